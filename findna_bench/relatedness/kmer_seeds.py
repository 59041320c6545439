"""Seeds: the k-mers by which similar sequences are found, the same ones on either strand.

A k-mer is read on the strand where its packed value is smaller (k is odd, so no k-mer is its own reverse complement). In
large sets only closed syncmers are kept: k-mers whose smallest s-mer is the first or the last (Edgar 2021,
10.7717/peerj.10805). Whether a k-mer is one depends on the k-mer alone, so two copies keep the same seeds.

The k bases need not be neighbours: spaced seeds find more of what is less alike, for their hits depend less on each other (Ma, Tromp and Li
2002, 10.1093/bioinformatics/18.3.440). In 100 bases of which 80 agree, 11 neighbours agree somewhere in 87 % of all cases, 11 in the shape
1110101001001010111 in 97 %, and unrelated rows share either as rarely.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["SeedScheme", "Seeds", "choose_scheme", "find_seeds"]

_BASES_AT_ONCE = 1 << 18
"""Their words stay in the cache."""
_DENSE_BASES = 8_000_000
"""Up to this many bases every k-mer is a seed."""
_LARGEST_WINDOW = 8


@dataclass(frozen=True)
class SeedScheme:
    """Attributes:
    k: bases of a seed (odd, at most 15).
    window: s-mers per k-mer, s = k - window + 1; 2 keeps every k-mer.
    shape: which of the bases it lies over are the k, "1" for these and "0" for the others; it reads the same from either end, as
        strands ask for. "" = k neighbours.
    """

    k: int
    window: int
    shape: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a shape that is not one of k bases, is not the same from both ends, or is thinned."""
        if self.shape and (self.shape.count("1") != self.k or self.shape != self.shape[::-1] or self.window > 2):
            raise ValueError(f"{self.shape!r} is no symmetric shape of {self.k} bases of which every one is kept")

    @property
    def places(self) -> tuple[int, ...]:
        """Of the k bases, counted from the first."""
        return tuple(i for i, base in enumerate(self.shape or "1" * self.k) if base == "1")

    @property
    def span(self) -> int:
        """Bases that a seed lies over."""
        return len(self.shape) or self.k

    @property
    def density(self) -> float:
        """Expected share of k-mers kept, 2 / window."""
        return 2.0 / self.window


@dataclass(frozen=True)
class Seeds:
    """value: (m,) uint32 packed k-mer; row: (m,) int32; position: (m,) int32 in the row; forward: (m,) bool, read on the
    given strand. Ordered by row and position."""

    value: np.ndarray
    row: np.ndarray
    position: np.ndarray
    forward: np.ndarray


def choose_scheme(bases: int) -> SeedScheme:
    """Seeds long enough that chance hits are rare among ``bases`` indexed bases, and thin enough to fit in memory."""
    k = 11
    while k < 15 and 4**k // 2 < 8 * bases:
        k += 2
    return SeedScheme(k, min(_LARGEST_WINDOW, 2 * max(1, -(-bases // _DENSE_BASES))))


def find_seeds(codes: np.ndarray, offsets: np.ndarray, scheme: SeedScheme) -> Seeds:
    """Seeds of all rows; codes (bases,) uint8 and offsets (n + 1,) as :func:`findna_bench.sequences.alphabet.encode` gives
    them. K-mers with N, and rows shorter than k, give none."""
    parts = [_chunk_seeds(codes, offsets, first, last, scheme) for first, last in _row_chunks(offsets)]
    if not parts:
        empty = np.zeros(0, dtype=np.int32)
        return Seeds(empty.astype(np.uint32), empty, empty, empty.astype(bool))
    value, row, position, forward = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Seeds(value, row, position, forward)


def _row_chunks(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    first = 0
    while first < len(offsets) - 1:
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + _BASES_AT_ONCE, side="right")) - 1)
        yield first, last
        first = last


def _chunk_seeds(
    codes: np.ndarray, offsets: np.ndarray, first: int, last: int, scheme: SeedScheme
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    span, part = scheme.span, codes[offsets[first] : offsets[last]]
    size = len(part) - span + 1
    if size <= 0:
        empty = np.zeros(0, dtype=np.int32)
        return empty.astype(np.uint32), empty, empty, empty.astype(bool)
    lengths = np.diff(offsets[first : last + 1])
    forward, backward = _packed(part, scheme.places)
    value = np.minimum(forward, backward)
    keep = _without_n(part, span)
    if scheme.window > 2:
        keep &= _closed_syncmers(part, scheme.k, scheme.window)
    starts = np.flatnonzero(keep)
    row = np.repeat(np.arange(len(lengths)), lengths)[starts]
    position = starts - (offsets[first:last] - offsets[first])[row]
    inside = position + span <= lengths[row]
    starts, row, position = starts[inside], row[inside], position[inside]
    rows, positions = (row + first).astype(np.int32), position.astype(np.int32)
    return value[starts], rows, positions, forward[starts] < backward[starts]


def _packed(codes: np.ndarray, places: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """(size - span + 1,) uint32 packed k-mers as read, and as read on the other strand; N is packed as A. places: of their bases."""
    bases = (codes & 3).astype(np.uint32)
    size = len(codes) - places[-1]
    forward, backward = np.zeros(size, dtype=np.uint32), np.zeros(size, dtype=np.uint32)
    for j, place in enumerate(places):
        base = bases[place : place + size]
        forward = (forward << np.uint32(2)) | base
        backward |= (np.uint32(3) - base) << np.uint32(2 * j)
    return forward, backward


def _without_n(codes: np.ndarray, k: int) -> np.ndarray:
    """(size - k + 1,) bool: no base of the k-mer is N."""
    unknown = np.zeros(len(codes) + 1, dtype=np.int32)
    np.cumsum(codes > 3, out=unknown[1:])
    known: np.ndarray = unknown[k:] == unknown[:-k]
    return known


def _closed_syncmers(codes: np.ndarray, k: int, window: int) -> np.ndarray:
    """(size - k + 1,) bool."""
    size = len(codes) - k + 1
    forward, backward = _packed(codes, range(k - window + 1))
    order = _scrambled(np.minimum(forward, backward))
    smallest = order[:size].copy()
    for j in range(1, window):
        np.minimum(smallest, order[j : j + size], out=smallest)
    chosen: np.ndarray = (smallest == order[:size]) | (smallest == order[window - 1 : window - 1 + size])
    return chosen


def _scrambled(values: np.ndarray) -> np.ndarray:
    """A fixed one-to-one mixing of uint32, so that A-rich s-mers are not always the smallest."""
    mixed = values * np.uint32(0x9E3779B1)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x85EBCA77)
    mixed ^= mixed >> np.uint32(13)
    return mixed
