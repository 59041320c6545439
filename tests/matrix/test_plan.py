"""Planning: thousands of cells without opening data, what is finished and failed, and what the rest may take."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from motif_tasks import IMPORTED, import_motif_task, write_task

import findna_bench as fb
from findna_bench.data.task import Task
from findna_bench.errors import UnknownNameError, UsageError
from findna_bench.registry import get_registry

opened: list[str] = []
listening = False


def hear(event: str, arguments: Any) -> None:
    if listening and event == "open":
        opened.append(str(arguments[0]))


sys.addaudithook(hear)


@pytest.fixture
def files_opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that Python code opens during the test."""
    monkeypatch.setattr(sys.modules[__name__], "listening", True)
    opened.clear()
    return opened


def test_ten_thousand_cells_are_planned_without_opening_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_opened: list[str]
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError(f"data were opened: {arguments}")

    monkeypatch.setattr(Task, "load", refuse)
    monkeypatch.setattr(pq, "read_table", refuse)
    monkeypatch.setattr(pq, "ParquetFile", refuse)
    tasks = [card.full_name for card in get_registry().cards("tasks")] + [str(write_task(tmp_path / "t.csv", seed=0))]
    opened.clear()
    models = [f"hyenadna@random:{seed}" for seed in range(-(-10_000 // (5 * len(tasks))))]
    made = fb.plan(models, tasks, seeds=5, output_dir=tmp_path / "r")
    assert made.cells == len(models) * len(tasks) * 5 >= 10_000
    assert made.finished == made.failed == 0
    assert made.seconds is None
    ids = {cell.request_id for planned in made.units for cell in planned.unit.cells}
    assert len(ids) == made.cells
    assert not [name for name in files_opened if name.endswith((".csv", ".parquet", ".safetensors", ".pt"))]


def test_a_plan_counts_what_is_finished_and_failed_and_estimates_the_rest(tmp_path: Path) -> None:
    tasks = [str(write_task(tmp_path / f"{name}.csv", seed=i, rows=60)) for i, name in enumerate("ab")]
    bad = tmp_path / "bad.csv"
    bad.write_text("sequence,label\nACGT,a\nAC!T,b\n")
    out = tmp_path / "r"
    fb.run(["majority"], [tasks[0], str(bad)], seeds=2, output_dir=out)
    made = fb.plan(["majority", "hyenadna@random"], [*tasks, str(bad)], seeds=3, output_dir=out)
    counts = [(unit.cells, unit.finished, unit.failed) for unit in made.units]
    assert counts == [(3, 2, 0), (3, 0, 0), (3, 0, 2), (3, 0, 0), (3, 0, 0), (3, 0, 0)]
    first, second, third, *unknown = made.units
    assert first.seconds is not None
    assert second.seconds is not None
    assert 0 < first.seconds < second.seconds
    assert third.seconds == second.seconds
    assert [unit.seconds for unit in unknown] == [None] * 3
    assert made.seconds is None
    assert (made.finished, made.failed, made.to_do) == (2, 2, 16)
    known = fb.plan(["majority"], tasks[:1], seeds=2, output_dir=out)
    assert (known.seconds, known.to_do) == (0.0, 0)
    again = fb.plan(["majority"], tasks[:1], seeds=2, output_dir=out, overwrite="always")
    assert again.to_do == 2
    assert (again.seconds or 0) > 0


def test_a_plan_says_what_is_skipped_and_which_data_are_missing_or_newer_than_the_results(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "r"
    skipped = fb.plan(["majority"], ["demo/species4"], strand="rc-mean", output_dir=out, data_dir=data).units[0]
    assert (skipped.to_do, skipped.seconds) == (0, 0.0)
    assert "rc-mean" in skipped.remark
    missing = fb.plan(["majority"], [IMPORTED], output_dir=out, data_dir=data).units[0]
    assert missing.remark == "data missing: findna-bench fetch genomic_benchmarks"
    imported = import_motif_task(data, tmp_path, seed=1)
    options = {"seeds": 1, "output_dir": out, "data_dir": data}
    assert fb.run(["majority"], [IMPORTED], **options)[0].status == "success"
    assert fb.plan(["majority"], [IMPORTED], **options).finished == 1
    import_motif_task(data, tmp_path, seed=2)
    assert fb.plan(["majority"], [IMPORTED], **options).finished == 0
    shutil.rmtree(imported)
    assert fb.plan(["majority"], [IMPORTED], **options).finished == 1
    assert fb.run(["majority"], [IMPORTED], **options)[0].status == "success"


def test_names_and_options_are_refused_by_the_plan_already(tmp_path: Path) -> None:
    tasks = [
        str(write_task(tmp_path / folder / "t.csv", seed=0))
        for folder in ("a", "b")
        if (tmp_path / folder).mkdir() is None
    ]
    with pytest.raises(UnknownNameError, match="defautl"):
        fb.plan(["majority"], tasks[:1], preset="defautl")
    with pytest.raises(UsageError, match="--selection last"):
        fb.plan(["majority"], tasks[:1], selection="last")
    with pytest.raises(UsageError, match="--split"):
        fb.plan(["majority"], tasks[:1], split="mine")
    assert len(fb.plan(["majority"], tasks).units) == 2  # files of one name are different tasks
    assert fb.plan(["majority"], [tasks[0], tasks[0]], seeds=1).cells == 1
