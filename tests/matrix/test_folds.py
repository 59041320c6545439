"""``--split grouped:*/K`` and ``chromosome:*``: all folds as one result, as if each had been run and the scores averaged."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from motif_tasks import write_task

import findna_bench as fb
from findna_bench.data.task import open_task
from findna_bench.errors import UsageError
from findna_bench.matrix.verification import verify
from findna_bench.relatedness.components import components
from findna_bench.results.store import ResultStore

MODELS = ("kmer", "trivial", "findna-tiny@random")


def run(task: Path, out: Path, split: str, models: tuple[str, ...] = MODELS, **options: Any) -> list[fb.Result]:
    found = fb.run([*models], [str(task)], split=split, output_dir=out, **{"seeds": 2, **options})
    assert [r.error for r in found if r.error] == []
    return found


def check(whole: list[fb.Result], folds: list[list[fb.Result]], out: Path) -> None:
    """That a result of all folds is the mean of those of each, and holds the rows of all."""
    for number, result in enumerate(whole):
        own = [fold[number] for fold in folds]
        assert {(r.model.name, r.seed) for r in own} == {(result.model.name, result.seed)}
        for name, value in result.metrics.all.items():
            values = [r.metrics.all[name] for r in own]
            assert value == (None if None in values else pytest.approx(statistics.fmean(values), abs=1e-12)), name
        rows = ResultStore(out / "all").predictions(result)
        of_folds = [ResultStore(out / "each").predictions(r) for r in own]
        assert rows.folds is not None
        assert rows.ids.tolist() == [row for one in of_folds for row in one.ids.tolist()]
        assert rows.folds.tolist() == [fold for fold, one in enumerate(of_folds) for _ in one.ids]
        np.testing.assert_array_equal(rows.scores, np.concatenate([one.scores for one in of_folds]))
        settings, cells = result.protocol.settings, result.protocol.settings["cross_validation"]
        for fold, r in zip(cells, own, strict=True):
            assert (fold["split"], fold["train_rows"]) == (r.task.split, r.protocol.settings["train_rows"])
            assert fold["validation_split"] == "drawn"
        assert settings["validation_rows"] == sum(r.protocol.settings["validation_rows"] for r in own)
        assert [dict(r.validation["selected"]) for r in own] == result.validation["selected"]["folds"]
        assert result.metrics.intervals["accuracy"] is not None
        assert f"split {result.task.split}" in result.flags


def test_all_groups_folds_are_each_fold_by_hand_averaged(tmp_path: Path) -> None:
    task = write_task(tmp_path / "motif.csv", seed=0, rows=240)
    whole = run(task, tmp_path / "all", "grouped:*/3")
    check(whole, [run(task, tmp_path / "each", f"grouped:{fold}/3") for fold in range(3)], tmp_path)
    before = {path: path.stat().st_mtime_ns for path in ResultStore(tmp_path / "all").paths()}
    assert [r.digest for r in run(task, tmp_path / "all", "grouped:*/3")] == [r.digest for r in whole]
    assert {path: path.stat().st_mtime_ns for path in ResultStore(tmp_path / "all").paths()} == before
    checked = verify(tmp_path / "all", rerun=2, places={"motif.csv": task})
    assert (checked.findings, checked.rerun, checked.checks["data"].done) == ((), 2, 6)
    compared = fb.compare(["kmer", "trivial"], [str(task)], output_dir=tmp_path / "all")
    (one,) = compared.tasks
    kmer, trivial = (
        statistics.fmean(r.metrics.main.value for r in whole if r.model.name == name) for name in ("kmer", "trivial")
    )
    assert one.problem == ""
    assert [abs(d.value) for d in one.differences] == pytest.approx([abs(kmer - trivial)])


def test_no_fold_trains_on_a_relative_of_its_test_rows_and_every_row_is_tested_once(tmp_path: Path) -> None:
    task = write_task(tmp_path / "motif.csv", seed=0, rows=300)
    lines = task.read_text().splitlines()
    task.write_text("\n".join([*lines, *lines[1:60]]) + "\n")  # copies, in the split of their originals and in others
    whole = open_task(str(task), split="grouped:*/4")
    test = whole.load("test")
    assert len(test) == len(set(test.ids.tolist())) == 359
    assert len(whole.folds) == 4
    for fold in whole.folds:
        tables = fold.load("train"), fold.load("test")
        rows = [*tables[0].sequences, *tables[1].sequences]
        together = components(type(tables[0]).concatenate(list(tables)), similar=False)
        assert len(rows) == 359
        assert not set(together[: len(tables[0])].tolist()) & set(together[len(tables[0]) :].tolist())


def test_every_chromosome_with_enough_rows_is_a_fold(tmp_path: Path) -> None:
    source = write_task(tmp_path / "source.csv", seed=0, rows=420).read_text().splitlines()[1:]
    sizes = {"chr1": 160, "chr2": 140, "chr3": 100, "chr4": 20}
    contigs = [name for name, n in sizes.items() for _ in range(n)]
    lines = ["sequence,label,split,chrom,start,end"]
    for row, (contig, line) in enumerate(zip(contigs, source, strict=True)):
        lines.append(f"{line},{contig},{1000 * row},{1000 * row + len(line.partition(',')[0])}")
    task = tmp_path / "placed.csv"
    task.write_text("\n".join(lines) + "\n")
    whole = run(task, tmp_path / "all", "chromosome:*", models=("trivial",))
    each = [run(task, tmp_path / "each", f"chromosome:{name}", models=("trivial",)) for name in "123"]
    check(whole, each, tmp_path)
    left_out = whole[0].protocol.settings["left_out"]
    assert list(left_out) == ["4"]
    assert "fewer than 30 independent groups" in next(iter(left_out.values()))
    assert verify(tmp_path / "all", places={"placed.csv": task}).findings == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"limit": 50}, r"--split grouped:\*/4 does not go with --limit; name one fold"),
        ({"layer": [1, 2]}, "does not go with --layer with several values"),
        ({"search": 3, "protocol": "finetune"}, "does not go with --search"),
        ({"split": "grouped:*"}, r"none of official, grouped, grouped:FOLD/K, grouped:\*/K"),
    ],
)
def test_what_does_not_go_with_all_folds_is_said_before_any_work(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        fb.run(["kmer"], ["demo/species4"], output_dir=tmp_path / "r", **{"split": "grouped:*/4", **options})
    assert not (tmp_path / "r").exists()
