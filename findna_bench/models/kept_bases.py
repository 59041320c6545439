"""Vectors of bases in the embedding cache, so that no sequence is read base by base twice.

An entry is a sequence: its vectors one after another, NaN where a base was not read. Sequences of about the same length share a space
(of at most an eighth, or 64 bases, more than the sequence has, filled up with NaN). Portions are looked up and written one after another, so that memory
holds one of them. What would take more than half of the room that the cache has is not kept: it would push out all else, and itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from findna_bench.models.embedding_cache import EmbeddingCache, sequence_digests

__all__ = ["KeptBases", "OneSequence", "room_of"]

_LEAST = 64


@dataclass(frozen=True)
class OneSequence:
    """row: its number. vectors: (L, D) float32, zero where nothing was read. read: (L,) bool. windows: that it was read in."""

    row: int
    vectors: NDArray[np.float32]
    read: NDArray[np.bool_]
    windows: int


def room_of(length: int) -> int:
    """Bases of the space that a sequence of ``length`` bases is kept in.

    Example:
        >>> [room_of(length) for length in (1, 64, 65, 512, 600, 7330)]
        [64, 64, 128, 512, 640, 8192]
    """
    step = _LEAST
    while step * 16 <= length:
        step *= 2
    return -(-length // step) * step


@dataclass(frozen=True)
class KeptBases:
    """Vectors of bases made in one way. key: of the cache's spaces. dim: channels of a base."""

    cache: EmbeddingCache
    key: Mapping[str, Any]
    dim: int

    @classmethod
    def of(
        cls, cache: EmbeddingCache, key: Mapping[str, Any], dim: int, lengths: NDArray[np.int64]
    ) -> KeptBases | None:
        """None where all sequences together take more room than is given to them."""
        needed = sum(room_of(length) for length in lengths.tolist()) * dim * 4
        return cls(cache, key, dim) if cache.limit is None or 2 * needed <= cache.limit else None

    def lookup(self, rows: NDArray[np.int64], sequences: Sequence[str]) -> list[OneSequence]:
        """What is kept of the sequences with these numbers."""
        found = []
        for room, some in self._by_room(rows.tolist(), sequences).items():
            digests = sequence_digests([sequences[row] for row in some])
            hits = self.cache.space({**self.key, "bases": room}, room * self.dim).lookup(digests)
            for place in np.flatnonzero(hits.found).tolist():
                length = len(sequences[some[place]])
                vectors = hits.vectors[place].reshape(room, self.dim)[:length]
                read = ~np.isnan(vectors[:, 0])
                vectors[~read] = 0
                found.append(OneSequence(some[place], vectors, read, int(hits.windows[place])))
        return found

    def store(self, found: Sequence[OneSequence], sequences: Sequence[str]) -> None:
        """Keep vectors; failing costs speed, never the run."""
        by_row = {one.row: one for one in found}
        for room, some in self._by_room(list(by_row), sequences).items():
            vectors = np.full((len(some), room, self.dim), np.nan, dtype=np.float32)
            for place, row in enumerate(some):
                one = by_row[row]
                vectors[place, : len(one.vectors)][one.read] = one.vectors[one.read]
            seen = np.array([by_row[row].read.sum() for row in some], dtype=np.int64)
            windows = np.array([by_row[row].windows for row in some], dtype=np.int32)
            self.cache.space({**self.key, "bases": room}, room * self.dim).store(
                sequence_digests([sequences[row] for row in some]),
                vectors.reshape(len(some), -1),
                seen,
                windows,
                (seen == 0).astype(np.int32),
            )

    @staticmethod
    def _by_room(rows: Sequence[int], sequences: Sequence[str]) -> dict[int, list[int]]:
        rooms: dict[int, list[int]] = {}
        for row in rows:
            rooms.setdefault(room_of(len(sequences[row])), []).append(row)
        return rooms
