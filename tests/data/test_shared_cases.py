"""The real inputs that were once read wrongly, where they are at hand: each gives the right value or the right sentence.

Inputs of the same kinds are made in ``test_user_files.py``, ``test_generated_files.py``, ``test_vectors_from_elsewhere.py``,
``test_flags_and_warnings.py``, ``test_sanity.py``, ``test_transformers_encoder.py`` and ``test_other_sizes.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.errors import BenchError, DataError
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.results.schema import Result
from findna_bench.sequences.fasta import read_fasta
from findna_bench.sequences.genome import read_bed

pytestmark = pytest.mark.shared

Case = Callable[[str], Path]
Run = Callable[..., list[Result]]


@pytest.fixture
def case(shared: Path) -> Case:
    def path(name: str) -> Path:
        found = shared / "cases" / name
        if not found.exists():
            pytest.skip(f"the case is not at {found}")
        return found

    return path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def call(models: Any, tasks: Any, **options: Any) -> list[Result]:
        return fb.run(models, tasks, seeds=1, output_dir=tmp_path / "r", **options)

    return call


READ = {
    "02-fasta-train-test/ntstyle": (("0", "1"), {"train": 160, "test": 40}),
    "02-fasta-train-test/ntstyle3": (("0", "1"), {"train": 120, "validation": 40, "test": 40}),
    "05-fasta-ext-dropped/cls_fas": (("a", "b", "c"), {"train": 240, "test": 60}),
    "05-fasta-ext-dropped/cls_bgz": (("a", "b", "c"), {"train": 240, "test": 60}),
    "11-fasta-bom-GZ/cls_GZ": (("a", "b"), {"train": 160, "test": 40}),
    "11-fasta-bom-GZ/cls_bom": (("a", "b"), {"train": 160, "test": 40}),
    "12-trailing-blank/trailing_blank.csv": (("0", "1"), {"train": 160, "test": 40}),
    "13-class-and-label/classmap.csv": (("promoter", "background"), {"train": 160, "test": 40}),
    "13-class-and-label/target.csv": (("0", "1"), {"train": 160, "test": 40}),
    "14-plus1/labplus.csv": (("-1", "1"), {"train": 160, "test": 40}),
    "15-coordinates/co_nan.csv": (("0", "1"), {"train": 96, "test": 24}),
    "15-coordinates/co_rev.csv": (("0", "1"), {"train": 96, "test": 24}),
    "15-coordinates/co_star.csv": (("0", "1"), {"train": 96, "test": 24}),
    "16-hub-shards/hfsplit": (("0", "1"), {"train": 160, "test": 40}),
    "22-file-not-a-split/tsplit": (("0", "1"), {"train": 160, "test": 40}),
}
NOTED = {
    "13-class-and-label/target.csv": None,
    "15-coordinates/co_nan.csv": None,
    "15-coordinates/co_rev.csv": "coordinates of 60 of 120 rows make no sense and are ignored",
    "15-coordinates/co_star.csv": None,
}
REFUSED = {
    "06-nan-sequence/nanseq.csv": "row 9 (the header is row 1): the row has no sequence ('nan' stands for a missing value)",
    "06-nan-sequence/naseq.csv": "row 9 (the header is row 1): the row has no sequence ('NA' stands for a missing value)",
    "07-NA-label/labNA.csv": "row 5 (the header is row 1): the row has no label ('NA' stands for a missing value",
    "22-file-not-a-split/tsplit2": "test.jsonl, line 1: is not JSON",
}
DROPPED = {
    "06-nan-sequence/nanseq.csv": (99, "1 of 100 rows are dropped, 1 without sequence ('nan' 1)"),
    "06-nan-sequence/naseq.csv": (99, "1 of 100 rows are dropped, 1 without sequence ('NA' 1)"),
    "07-NA-label/labNA.csv": (190, "10 of 200 rows are dropped, 10 without label ('NA' 10)"),
}


@pytest.mark.parametrize("name", READ)
def test_files_are_read_as_they_are(case: Case, name: str) -> None:
    labels, rows = READ[name]
    task = fb.load_task(case(name))
    assert task.label_names == labels
    assert {split: sum(classes.values()) for split, classes in task.counts.items()} == rows
    assert f"{sum(rows.values()):,} rows, classes {labels[0]} (" in task.notes[0]
    if (note := NOTED.get(name, "")) != "":
        assert [note in other for other in task.notes[1:]] == ([True] if note else [])


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_value_is_named_with_its_row(case: Case, name: str) -> None:
    with pytest.raises(DataError) as found:
        fb.load_task(case(name))
    assert REFUSED[name] in str(found.value)


@pytest.mark.parametrize("name", DROPPED)
def test_missing_values_are_dropped_and_counted(case: Case, name: str) -> None:
    rows, note = DROPPED[name]
    task = fb.load_task(case(name), drop_missing=True)
    assert len(task.in_order()[0]) == rows
    assert any(note in other for other in task.notes)


@pytest.mark.parametrize(
    ("vectors", "table"),
    [
        ("01-npy-order/vec_order.npy", "base.csv"),
        ("01-npy-order/vec_ids.npz", "base.csv"),
        ("08-split-npz-ids/vec_inter.npy", "split_inter.csv"),
        ("08-split-npz-ids/vec_inter_ids.npz", "split_inter.csv"),
    ],
)
def test_vectors_in_the_order_of_the_file_score_all_right(case: Case, run: Run, vectors: str, table: str) -> None:
    (found,) = run([case(vectors)], [case(vectors).with_name(table)])
    assert found.metrics.main.value == 1.0


def test_weights_are_judged_alike_whatever_the_order_of_rows(case: Case, run: Run) -> None:
    names = ("pn_negfirst.csv", "pn_posfirst.csv", "posneg", "smallreal_40_60.csv")
    found = run("findna-tiny", [case("03-sanity-order") / name for name in names])
    assert [result.status for result in found] == ["success"] * 4
    assert found[1].metrics.main.value == pytest.approx(0.925)


def test_cut_sequences_are_flagged(case: Case, run: Run) -> None:
    (cut,) = run("hyenadna-tiny-1k@random", case("04-truncation-silent/longend.csv"))
    assert "truncated (46 % of bases read)" in cut.flags
    assert cut.coverage.truncated_sequences == 60


def test_paths_are_tasks(case: Case, run: Run) -> None:
    assert fb.load_task(case("09-path-object/base.csv")).name == "adhoc/base"
    (found,) = run("kmer", [case("09-path-object/base.csv")])
    assert found.status == "success"


def test_a_vocabulary_larger_than_the_embedding_is_found_at_load(case: Case, run: Run) -> None:
    folder = case("10-vocab-too-large")
    (found,) = run([folder / "g_vocabsmall"], [folder / "base.csv"], sanity=False)
    assert found.error is not None
    assert "tokens up to number 68, the embedding 40 rows" in found.error.message


def test_fasta_with_a_mark_is_read(case: Case) -> None:
    assert list(read_fasta(case("11-fasta-bom-GZ/bom.fa")))


def test_names_in_other_scripts_stand_apart(case: Case, run: Run) -> None:
    found = [result for path in sorted(case("17-cjk-name").glob("*.csv")) for result in run("majority", [path])]
    (table,) = leaderboard(found).tables
    assert len(table.columns) == 2


@pytest.mark.parametrize("name", ["ok.bed.gz", "bom.bed"])
def test_bed_is_read_compressed_and_with_a_mark(case: Case, name: str) -> None:
    assert [(i.contig, i.start, i.end) for i in read_bed(case("18-bed") / name)] == [("chr1", 0, 3000)]


def test_one_sequence_is_embedded_and_none_is_a_sentence(case: Case) -> None:
    case("19-embed-args")
    assert np.asarray(fb.embed("findna-tiny", "ACGT")).shape == (1, 96)
    with pytest.raises(BenchError, match="sequence 0 is None"):
        fb.embed("findna-tiny", [None])  # type: ignore[list-item]


def test_a_test_split_of_one_class_is_flagged(case: Case, run: Run) -> None:
    (found,) = run("kmer", case("20-one-class-test/test1class.csv"))
    assert "one class in test (MCC and AUROC mean nothing)" in found.flags


@pytest.mark.parametrize("name", ["e_net", "e3_state_net"])
def test_wrappers_of_a_network_are_taken_away(case: Case, run: Run, name: str) -> None:
    table = case("20-one-class-test/test1class.csv")
    (found,) = run([case("21-wrapper-prefix") / name], [table], sanity=False)
    assert (found.status, found.model.n_parameters) == ("success", 35_808)
