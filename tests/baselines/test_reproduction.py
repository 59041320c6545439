"""The script that confirms released weights, on weights that are here: a figure that holds, one that does not, and what is submitted."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "reproduce_public.py"


@pytest.fixture(scope="module")
def reproduction(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("scripts/reproduce_public.py")


def test_figure_is_confirmed_or_off(
    reproduction: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def figure(value: float) -> object:
        return reproduction.Figure(
            "findna-tiny", "demo/motif_order", "probe", "accuracy", value, 0.03, "leaderboards/demo.md", "nothing"
        )

    def submitted(*figures: object) -> tuple[int, dict[str, str]]:
        monkeypatch.setattr(reproduction, "FIGURES", figures)
        words = ["--models", "findna-tiny", "--by", "A. Stranger", "--offline", "--output", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", ["reproduce_public.py", *words])
        code = reproduction.main()
        written = json.loads((tmp_path / "reproduced.json").read_text())
        assert written["by"] == "A. Stranger"
        assert str(tmp_path) not in json.dumps(written)
        (model,) = written["models"]
        return code, model

    code, model = submitted(figure(0.6506))
    assert (code, model["status"]) == (0, "confirmed")
    assert model["note"].startswith("confirmed with the released weights by A. Stranger on 20")
    assert "demo/motif_order probe accuracy 0.6" in model["note"]
    assert "models: 1 confirmed, 0 off, 0 not tried" in capsys.readouterr().out

    code, model = submitted(figure(0.6506), figure(0.9))
    assert (code, model["status"], model["note"]) == (1, "off", "")

    code, model = submitted()
    assert (code, model["status"], model["words"]) == (
        0,
        "not tried",
        "confirmed: loading, sanity loss, conformance; no published figure",
    )


def test_every_figure_names_a_model_and_a_task_that_are_there(reproduction: ModuleType) -> None:
    from findna_bench.registry import get_registry

    registry = get_registry()
    for figure in reproduction.FIGURES:
        assert registry.resolve("models", figure.model).card.name == figure.model
        assert registry.resolve("tasks", figure.task).card.name == figure.task.rpartition("/")[2]
        assert 0 < figure.tolerance < 0.1 < figure.value < 1
