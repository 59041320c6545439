"""Lines and bars of units that are computed at the same time."""

from __future__ import annotations

import pytest

from findna_bench.cli import progress


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
