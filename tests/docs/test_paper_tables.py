"""docs/paper-tables.md cannot rot: its commands parse, its names exist, and what it asks for is what would be run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import findna_bench as fb
from findna_bench.cli import app
from findna_bench.data.catalog import resolve_suite, resolve_task
from findna_bench.models.folders import save_model_folder
from findna_bench.models.spec import parse_model
from findna_bench.registry import get_registry
from findna_bench.requests.pretrain_request import PretrainRequest
from findna_bench.training import launch
from findna_bench.training.pretraining import PretrainReport
from findna_plugins import view_divergence

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "paper-tables.md").read_text()
COMMANDS = [line for block in re.findall(r"```\n(.*?)```", TEXT, re.S) for line in block.splitlines()]


def parse(made: typer.Typer, verb: str, words: list[str]) -> dict[str, Any]:
    """Values of a verb's options; click's own error where one does not exist."""
    command = typer.main.get_command(made)
    command = getattr(command, "commands", {}).get(verb, command)
    return dict(command.make_context(verb, list(words)).params)


def options_of(verb: str) -> set[str]:
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.fixture
def pretrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks in the folders that the page pretrains into."""
    monkeypatch.chdir(tmp_path)
    model = fb.load_model("findna-tiny@random")
    for name in re.findall(r"-o (runs/(?:findna|findna-t|cm-mnm))$", "\n".join(COMMANDS), re.M):
        networks = {"teacher": model.backbone, "student": model.backbone}
        save_model_folder(tmp_path / name, networks, backbone="chordmixer", config=model.config)


def check_run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = parse(app, "run", words)
    done = CliRunner().invoke(app, ["plan", *words, "--json"], standalone_mode=False)
    assert done.exception is None, done.exception
    rows = json.loads(done.stdout)
    tasks = resolve_suite(asked["suites"][0], get_registry()).tasks if asked["suites"] else asked["tasks"][0].split(",")
    networks = asked["network"].split(",") if asked["network"] else [""]
    models = asked["models"][0].split(",")
    expected = [(name, task) for name in models for _ in networks for task in tasks]
    kept = [(row["model"], row["task"]) for row in rows if "skipped" not in row["remark"]]
    canonical = [(parse_model(name).display_name, task) for name, task in expected]
    assert [pair for pair in kept if "drosophila" not in pair[1]] == canonical
    assert all("drosophila" in row["task"] for row in rows if "skipped" in row["remark"])


def check_pretrain(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def pretend(request: PretrainRequest, **_: Any) -> PretrainReport:
        settings, _name = launch.choose_settings(
            request.model, preset=request.preset, objective=request.objective, changes=request.changes()
        )
        seen.update(model=request.model, fasta=request.fasta, settings=settings)
        return PretrainReport(request.output, 1, 0, 0.0, {}, ("student",))

    monkeypatch.setattr(launch, "pretrain", pretend)
    done = CliRunner().invoke(app, ["pretrain", *words], standalone_mode=False)
    assert done.exception is None, done.exception
    assert parse_model(seen["model"]).card.backbone
    assert seen["fasta"] == (Path("hg38.fa"),)
    settings = seen["settings"]
    assert (settings.windows, settings.window_length, settings.epochs, settings.batch_size) == (100_000, 1000, 50, 64)
    assert settings.objective == ("masked_nucleotide" if seen["model"] == "cm-mnm" else "self_distillation")


def check_fetch(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(resolve_suite(name, get_registry()).tasks for name in parse(app, "fetch", words)["names"])


def check_profile(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = parse(app, "profile", words)
    assert asked["overhead"]
    for name in asked["models"]:
        assert parse_model(name).card.backbone
    for name in asked["tasks"]:
        assert resolve_task(name).card is not None


def check_script(words: list[str], load_script: Callable[[str], ModuleType]) -> None:
    if words[:2] == ["-m", view_divergence.__name__]:
        made = typer.Typer()
        made.command()(view_divergence.command)
        assert parse(made, "", words[2:])["fasta"] == Path("hg38.fa")
        return
    asked = load_script(words[0]).parser().parse_args(words[1:])
    assert parse_model(asked.model).card.pretraining_preset
    assert resolve_suite(asked.suite, get_registry()).tasks


CHECKS: dict[str, Callable[[list[str], pytest.MonkeyPatch], None]] = {
    "run": check_run,
    "pretrain": check_pretrain,
    "fetch": check_fetch,
    "profile": check_profile,
}


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_page_parses_and_resolves(
    line: str, pretrained: None, monkeypatch: pytest.MonkeyPatch, load_script: Callable[[str], ModuleType]
) -> None:
    program, *words = shlex.split(line)
    if program == "python":
        check_script(words, load_script)
    else:
        assert program == "findna-bench"
        CHECKS[words[0]](words[1:], monkeypatch)


def test_every_table_has_its_command() -> None:
    for number in (1, 2, 4, 8, 9):
        section = re.search(rf"^## Table {number}:.*?(?=^## |\Z)", TEXT, re.M | re.S)
        assert section is not None
        assert "```\n" in section[0], number


def test_options_named_in_the_text_exist(load_script: Callable[[str], ModuleType]) -> None:
    known = {option for verb in CHECKS for option in options_of(verb)}
    known |= {name for a in load_script("scripts/paper_table_4.py").parser()._actions for name in a.option_strings}
    divergence = typer.Typer()
    divergence.command()(view_divergence.command)
    known |= {name for parameter in typer.main.get_command(divergence).params for name in parameter.opts}
    named = {word for span in re.findall(r"`(--[^`]+)`", TEXT) for word in span.split() if word.startswith("--")}
    assert len(named) >= 8
    assert named <= known


def test_wrong_recipes_are_refused_before_anything_is_trained(
    tmp_path: Path, load_script: Callable[[str], ModuleType]
) -> None:
    main = load_script("scripts/paper_table_4.py").main
    with pytest.raises(fb.BenchError, match="recipe"):
        main(["--fasta", "no.fa", "--recipes", "M+NoAug,MX+NR", "-o", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
