"""Vectors computed elsewhere are matched to the task's rows, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from findna_bench.data.table import RowOrder, RowOrigins, SequenceTable
from findna_bench.errors import DataError, UnsupportedError
from findna_bench.models.loading import load_estimator
from findna_bench.models.precomputed import PrecomputedFeatures
from findna_bench.models.spec import parse_model
from findna_bench.registry import Registry

TRAIN = RowOrigins(np.arange(3), np.array(["0", "1", "2"]), np.full(3, "train"))
TEST = RowOrigins(np.arange(3, 5), np.array(["0", "1"]), np.full(2, "test"))
ORDER = RowOrder("the rows of train, then test", 5, {"train": 3, "test": 2})
VECTORS = np.arange(20, dtype=np.float64).reshape(5, 4)


def rows(*places: int) -> SequenceTable:
    """Some rows of the task, whatever they hold."""
    n = len(places)
    return SequenceTable(
        ["ACG"] * n, np.zeros(n, np.int64), np.array([f"row {p}" for p in places]), place=np.array(places)
    )


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_rows_in_the_order_of_the_task_whatever_split_they_are_in(tmp_path: Path, registry: Registry) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    features = load_estimator(parse_model(f"embeddings:{tmp_path / 'v.npy'}", registry))
    drawn = RowOrigins(np.array([4, 1]), np.array(["4", "1"]), np.full(2, "test"))
    features.align(drawn, RowOrder("the rows of my.csv", 5))
    np.testing.assert_array_equal(features.transform(rows(1, 4)), VECTORS[[1, 4]].astype(np.float32))
    assert features.transform(rows(1)).dtype == np.float32
    with pytest.raises(UnsupportedError, match=r"'row 2'.*task's own rows only"):
        features.transform(rows(2))
    with pytest.raises(UnsupportedError, match="task's own rows only"):
        features.transform(replace(rows(1), place=None))


def test_rows_by_id_and_split_as_the_file_spells_it(tmp_path: Path) -> None:
    ids, split = ["1", "0", "2", "1", "0"], ["Training", "test", "Training", "test", "Training"]
    features = PrecomputedFeatures(save(tmp_path / "v.npz", vectors=VECTORS, ids=ids, split=split))
    for rows_of_split in (TRAIN, TEST):
        features.align(rows_of_split, ORDER, {"Training": "train", "test": "test"}.get)
    np.testing.assert_array_equal(features.transform(rows(0, 1, 2)), VECTORS[[4, 0, 2]])
    np.testing.assert_array_equal(features.transform(rows(3, 4)), VECTORS[[1, 3]])


def test_rows_without_a_common_order_need_ids(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    with pytest.raises(DataError, match=r"one FASTA per class.*give an \.npz file"):
        PrecomputedFeatures(tmp_path / "v.npy").align(TRAIN, RowOrder("", 5))


def test_parquet_is_read_as_embed_writes_it(tmp_path: Path) -> None:
    columns = {"id": ["b", "a"], "length": [3, 3], "e_0": [0.5, 1.5], "e_1": [2.5, 3.5]}
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    features = PrecomputedFeatures(tmp_path / "v.parquet")
    features.align(RowOrigins(np.arange(2), np.array(["a", "b"]), np.full(2, "train")), RowOrder("", 2))
    np.testing.assert_array_equal(features.transform(rows(0, 1)), [[1.5, 3.5], [0.5, 2.5]])
    pq.write_table(pa.table({"id": ["a"], "x": [1.0]}), tmp_path / "v.parquet")
    with pytest.raises(DataError, match="must have the columns id and e_0"):
        PrecomputedFeatures(tmp_path / "v.parquet")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (
            {"vectors": VECTORS, "ids": ["0", "1", "3", "4", "5"]},
            "no vector for 1 of 3 rows of train, the first being id '2'",
        ),
        ({"vectors": VECTORS, "ids": ["0", "1", "2", "0", "1"]}, "ids repeat"),
        ({"vectors": VECTORS[:3], "ids": ["0", "1", "2"]}, "ids of test and train are the same"),
        ({"vectors": VECTORS}, "vectors and ids"),
        ({"vectors": VECTORS, "ids": ["0"]}, "5 rows"),
        ({"vectors": VECTORS.astype(int), "ids": list("abcde")}, "floating-point"),
        ({"vectors": np.where(VECTORS == 9, np.nan, VECTORS), "ids": list("abcde")}, "row 2 .* NaN"),
        ({"vectors": VECTORS[0], "ids": list("abcd")}, r"\(rows, D\)"),
        ({"vectors": np.array([{}, {}]), "ids": list("ab")}, "plain array file"),
    ],
)
def test_vectors_that_do_not_fit_the_rows_are_refused(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    path = save(tmp_path / "v.npz", **arrays)
    with pytest.raises(DataError, match=words):
        align_all(PrecomputedFeatures(path))


def align_all(features: PrecomputedFeatures) -> None:
    features.align(TRAIN, ORDER)
    features.align(TEST, ORDER)


def test_a_file_of_another_length_or_no_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS[:2])
    with pytest.raises(DataError, match=r"holds 2 rows and the task has 5 \(3 train \+ 2 test\)"):
        align_all(PrecomputedFeatures(tmp_path / "v.npy"))
    (tmp_path / "v.npy").write_bytes(b"\x93NUMPY truncated")
    with pytest.raises(DataError, match="cannot be read"):
        PrecomputedFeatures(tmp_path / "v.npy")
    (tmp_path / "v.npy").write_text("no array")
    with pytest.raises(
        DataError, match=r"cannot be read .*it is none, or holds Python objects.*; write it with"
    ) as caught:
        PrecomputedFeatures(tmp_path / "v.npy")
    assert "allow_pickle" not in str(caught.value)
