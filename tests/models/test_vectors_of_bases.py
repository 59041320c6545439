"""Vectors of bases of several files, put together, taken apart and read base by base."""

from __future__ import annotations

from typing import Any

import numpy as np

from findna_bench.models.base_vectors import BaseVectors

D = 3


class InMemory:
    """Stands for a file of vectors."""

    dim = D

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors

    def read(self, first: int, count: int) -> np.ndarray:
        return self.vectors[first : first + count]


def vectors(lengths: list[int], seed: int) -> tuple[BaseVectors, list[np.ndarray], list[np.ndarray]]:
    """(vectors, those of each sequence, which of its bases were read)."""
    generator = np.random.default_rng(seed)
    own = [generator.normal(size=(n, D)).astype(np.float32) for n in lengths]
    read = [generator.random(n) > 0.3 for n in lengths]
    files: Any = (InMemory(np.concatenate(own)),)
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    n = np.zeros(len(lengths), dtype=np.int64)
    return BaseVectors(files, n, first, np.array(lengths), (np.concatenate(read),), n > 0, max(lengths)), own, read


def test_sequences_of_several_files_keep_their_bases() -> None:
    parts = [vectors(lengths, seed) for seed, lengths in enumerate(([4, 7], [5], [3, 9, 6]))]
    joined = parts[0][0].joined(parts[1][0]).joined(parts[2][0])
    own = [one for _, found, _ in parts for one in found]
    read = [one for _, _, found in parts for one in found]
    assert (len(joined), joined.shape, joined.width) == (6, (6, D), 9)
    for row, (expected, seen) in enumerate(zip(own, read, strict=True)):
        found, was_read = joined.of_sequence(row)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(was_read, seen)
        np.testing.assert_array_equal(joined.was_read(row), seen)
    some = joined[np.array([4, 0])]
    np.testing.assert_array_equal(some.of_sequence(0)[0], own[4])
    np.testing.assert_array_equal(some.of_sequence(1)[0], own[0])


def test_single_bases_are_gathered_from_any_file() -> None:
    (one, own, _), (two, others, _) = vectors([4, 7], 0), vectors([5, 8], 1)
    joined, every = one.joined(two), [*own, *others]
    rows, places = np.array([0, 0, 1, 3, 3, 3]), np.array([3, 1, 6, 7, 0, 2])
    expected = np.stack([every[row][place] for row, place in zip(rows.tolist(), places.tolist(), strict=True)])
    np.testing.assert_array_equal(joined.gather(rows, places), expected)
    assert joined.gather(rows[:0], places[:0]).shape == (0, D)
