"""The script for machines with a GPU, rehearsed: what a CPU can run holds, the rest is skipped with a reason."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("gpu_check", "gpu_steps", "cpu_steps", "embedding", "baselines_forward"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("gpu_check")


def test_a_rehearsal_compares_models_and_says_what_it_skips(
    check: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(["--device", "cpu", "--checks", "models,memory,graphs"]) == 0
    out = capsys.readouterr().out
    assert (
        len(
            re.findall(
                r"holds: (?:findna-tiny|hyenadna\S*@random|nt-500m-human@random|caduceus\S*@random).*, float32: off by",
                out,
            )
        )
        >= 4
    )
    assert "skipped: there are CUDA graphs on CUDA alone" in out
    assert "skipped: memory of a CPU" in out
    assert "NOT RUN ON A GPU" in check.__doc__


def test_a_check_that_does_not_hold_or_breaks_fails_and_the_others_run(
    check: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(device: str, small: bool) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(
        check, "CHECKS", {"one": lambda *_: iter([(False, "off")]), "two": breaks, "three": check.graphs}
    )
    assert check.main(["--device", "cpu", "--checks", "one,two,three"]) == 1
    out = capsys.readouterr().out
    assert "FAILS: off" in out
    assert "FAILS: RuntimeError: broken" in out
    assert "skipped: there are CUDA graphs" in out
    assert "2 failed" in out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(check: ModuleType) -> None:
    with pytest.raises(SystemExit):
        check.main([])
