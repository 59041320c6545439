"""Lines and bars of units that are computed at the same time."""

from __future__ import annotations

import pytest

from findna_bench.cli import progress
from findna_bench.results.schema import Coverage, MainMetric, Metrics, Model, Protocol, Result, Task


def speak(reporter: progress.Lines | progress.Bars) -> None:
    reporter.started(3, 3, 0)
    reporter.unit_started("a on t")
    reporter.unit_progress("a on t", 1, 9, "seeds")
    reporter.unit_started("b on t")
    reporter.unit_progress("a on t", 2, 9, "seeds")
    reporter.unit_progress("b on t", 7, 8, "steps")
    reporter.unit_finished("a on t", [], 4.0)
    reporter.unit_progress("b on t", 8, 8, "steps")


def test_lines_name_the_unit_where_several_are_under_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_EVERY_S", -1.0)
    speak(progress.Lines())
    lines = [line[20:] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "3 cells in 3 model x task units",
        "  seeds 1/9",
        "  a on t: seeds 2/9",
        "  b on t: steps 7/8",
        "[1/3] a on t: no result, 4.0 s, about 4 s left",
        "  steps 8/8",
    ]


def test_every_unit_under_work_has_a_bar_of_its_own() -> None:
    bars = progress.Bars()
    speak(bars)
    shown = [(task.description, task.completed, task.total) for task in bars._progress.tasks]
    assert shown == [("matrix", 1, 3), ("b on t", 8, 8)]


@pytest.mark.parametrize(
    ("units", "cells", "finished", "words"),
    [
        (1, 1, 0, "1 cell in 1 model x task unit"),
        (1, 2, 0, "2 cells in 1 model x task unit"),
        (2, 4, 1, "4 cells in 2 model x task units, 1 finished before"),
    ],
)
def test_one_cell_or_unit_is_no_plural(
    units: int, cells: int, finished: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    progress.Lines().started(units, cells, finished)
    assert capsys.readouterr().err[20:] == f"{words}\n"


@pytest.mark.parametrize("found", [1, 2])
def test_units_of_before_are_counted_at_the_end(found: int, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.Lines() as lines:
        lines.started(found, found, found)
        for number in range(found):
            lines.unit_finished(f"{number} on t", [], 0.0)
    last = capsys.readouterr().err.splitlines()[-1][20:]
    assert last == f"[{found}/{found}] {found} unit{'s' * (found > 1)} had been finished before"


@pytest.mark.parametrize(("kind", "remedy"), [("encoder", "; --window window reads all of them"), ("features", "")])
def test_what_was_cut_is_said_with_a_remedy_where_there_is_one(kind: str, remedy: str) -> None:
    cut = Result(
        identity="i",
        request_id="r",
        config_id="c",
        status="success",
        protocol_version=2,
        model=Model(name="m", kind=kind),
        task=Task(suite="s", name="t", labels=["a", "b"]),
        seed=0,
        protocol=Protocol(name="probe"),
        metrics=Metrics(main=MainMetric(name="accuracy", value=0.5)),
        validation={"warnings": ["12 steps were skipped"]},
        coverage=Coverage(bases_total=10, bases_seen=5, truncated_sequences=1),
        created="2026",
    )
    assert progress.remarks("m on t", [cut]) == [
        f"m on t: truncated (50 % of bases read): 1 sequence is longer than the model takes and cut{remedy}",
        "m on t: 12 steps were skipped",
    ]
    assert progress.remarks("m on t", []) == []
