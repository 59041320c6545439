"""Bases at fixed places of a row, counted from its start, its end or its centre."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from findna_bench.sequences.alphabet import encode

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["ANCHORS", "OUTSIDE", "Anchor", "at_places", "one_hot_places", "position_features"]

Anchor = Literal["start", "end", "centre"]
ANCHORS: tuple[Anchor, ...] = ("start", "end", "centre")
OUTSIDE = 5
"""Code of a place that a row does not reach; below it the codes of A, C, G, T, N."""


def at_places(encoded: tuple[np.ndarray, np.ndarray], anchor: Anchor, places: np.ndarray) -> np.ndarray:
    """Codes at the same places of every row.

    Args:
        encoded: (codes, offsets) of n rows, as :func:`findna_bench.sequences.alphabet.encode` gives them.
        anchor: where places are counted from. places: (p,) int64; from the start 0 is the first base, from the end -1 is the last one,
            from the centre 0 is the base behind the middle (its number is half the length).

    Returns:
        (n, p) uint8, :data:`OUTSIDE` where a row does not reach.
    """
    codes, offsets = encoded
    lengths = np.diff(offsets)
    zero = {"start": np.zeros(len(lengths), dtype=np.int64), "end": lengths, "centre": lengths // 2}[anchor]
    position = zero[:, None] + places
    inside = (position >= 0) & (position < lengths[:, None])
    if not len(codes):
        return np.full(position.shape, OUTSIDE, dtype=np.uint8)
    taken = codes[np.where(inside, offsets[:-1, None] + position, 0)]
    return np.where(inside, taken, OUTSIDE).astype(np.uint8)


def one_hot_places(codes: np.ndarray) -> csr_matrix:
    """(n, 5 p) sparse float32 of codes (n, p): a column per place and letter A, C, G, T, N; a place outside of the row has none."""
    from scipy.sparse import csr_matrix

    inside = codes < OUTSIDE
    columns = (np.arange(codes.shape[1]) * OUTSIDE + codes)[inside]
    bounds = np.concatenate([[0], np.cumsum(inside.sum(axis=1))])
    values = np.ones(len(columns), dtype=np.float32)
    return csr_matrix((values, columns, bounds), shape=(len(codes), OUTSIDE * codes.shape[1]))


def position_features(sequences: Sequence[str], ends: int, *, whole: int | None = None) -> csr_matrix:
    """Bases by position, as a linear model can read them.

    Args:
        sequences: n strings.
        ends: bases that are read from the start and from the end of each row.
        whole: rows of this length are expected, and read base by base; None: the ends alone.

    Returns:
        (n, 5 p) sparse float32, one-hot A, C, G, T, N at ``whole`` places, or at ``ends`` from the start and then at ``ends`` from the end.

    Example:
        >>> position_features(["AC", "GT"], 1).toarray().astype(int).tolist()
        [[1, 0, 0, 0, 0, 0, 1, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0, 1, 0]]
    """
    encoded = encode(sequences)
    if whole is not None:
        return one_hot_places(at_places(encoded, "start", np.arange(whole)))
    first, last = (
        at_places(encoded, "start", np.arange(ends)),
        at_places(encoded, "end", np.arange(-ends, 0)),
    )
    return one_hot_places(np.concatenate([first, last], axis=1))
