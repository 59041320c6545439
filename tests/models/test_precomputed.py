"""Vectors computed elsewhere are matched to the task's rows, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from findna_bench.errors import DataError, UnsupportedError
from findna_bench.models.loading import load_estimator
from findna_bench.models.precomputed import PrecomputedFeatures
from findna_bench.models.spec import parse_model
from findna_bench.registry import Registry


@dataclass
class Table:
    sequences: list[str]
    ids: np.ndarray


TRAIN = Table(["ACG", "CCC", "GGT"], np.array(["0", "1", "2"]))
TEST = Table(["TTT", "ACG"], np.array(["0", "1"]))
COUNTS = {"train": 3, "test": 2}
VECTORS = np.arange(20, dtype=np.float64).reshape(5, 4)


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_rows_in_the_order_of_the_task(tmp_path: Path, registry: Registry) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    features = load_estimator(parse_model(f"embeddings:{tmp_path / 'v.npy'}", registry))
    features.align("test", TEST, COUNTS)
    features.align("train", TRAIN, COUNTS)
    features.fit(TRAIN, None, 0, 2)
    np.testing.assert_array_equal(features.transform(TEST), VECTORS[3:].astype(np.float32))
    some = Table(["GGT", "ACG"], np.array(["2", "0"]))
    np.testing.assert_array_equal(features.transform(some), VECTORS[[2, 0]])
    assert features.transform(some).dtype == np.float32
    with pytest.raises(UnsupportedError, match="task's own rows only"):
        features.transform(Table(["ACC"], np.array(["2"])))


def test_rows_by_id_and_split(tmp_path: Path) -> None:
    ids, split = ["1", "0", "2", "1", "0"], ["train", "test", "train", "test", "train"]
    features = PrecomputedFeatures(save(tmp_path / "v.npz", vectors=VECTORS, ids=ids, split=split))
    features.align("train", TRAIN, COUNTS)
    features.align("test", TEST, COUNTS)
    np.testing.assert_array_equal(features.transform(TRAIN), VECTORS[[4, 0, 2]])
    np.testing.assert_array_equal(features.transform(TEST), VECTORS[[1, 3]])


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
    features.align("train", TRAIN, COUNTS)
    features.align("test", TEST, COUNTS)


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
