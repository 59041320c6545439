"""Banded Smith-Waterman for many pairs at once.

Each pair is first compared along its diagonal without gaps. Most pairs that share a seed by chance go no further, and neither do pairs
that agree there all the way; the others are aligned with gaps within a band.

Score: match +1, mismatch -2, gap -3 per base (the first two are megablast's): an alignment goes on while more than about
two thirds of its bases agree. Score, matches and columns of a path are packed into one integer, of 32 bits where the rows are
short enough, so that the best path carries its identity with it and no traceback is needed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["BAND", "GAP", "MATCH", "MISMATCH", "Alignments", "align", "compare_whole"]

MATCH, MISMATCH, GAP = 1, -2, -3
BAND = 16
"""Diagonals either side of the seeds' own that a path may visit; longer pairs get a 64th of their length."""

_CELLS_AT_ONCE = 1 << 17
_WORTH_GAPS = 16
"""Least ungapped score of a pair that is aligned with gaps: a seed that two rows share by chance scores its own length and hardly more,
the least similar pair (32 columns, nine of ten matching) 22."""
_NEARLY_ALL = 2
"""Pairs with at most so many mismatches along the whole diagonal gain nothing from gaps."""
_FEW_PAIRS = 256
_PAD_TARGET, _N_QUERY = np.uint8(5), np.uint8(6)


@dataclass(frozen=True)
class Alignments:
    """Best local alignment of each pair: score, matches and columns (matches, mismatches and gap bases), (p,) int64."""

    score: np.ndarray
    matches: np.ndarray
    columns: np.ndarray

    @property
    def identity(self) -> np.ndarray:
        """(p,) matches over columns; 0 where nothing aligns."""
        identity: np.ndarray = self.matches / np.maximum(self.columns, 1)
        return identity

    def joined(self, more: Alignments) -> Alignments:
        """These and then those."""
        return Alignments(
            np.concatenate([self.score, more.score]),
            np.concatenate([self.matches, more.matches]),
            np.concatenate([self.columns, more.columns]),
        )


@dataclass(frozen=True)
class _Pairs:
    """p pairs of rows to lay beside each other; fields as :func:`align` takes them."""

    query: tuple[np.ndarray, np.ndarray]
    query_row: np.ndarray
    target: tuple[np.ndarray, np.ndarray]
    target_row: np.ndarray
    reverse: np.ndarray
    diagonal: np.ndarray

    def __getitem__(self, pairs: np.ndarray) -> _Pairs:
        """Some of them."""
        return _Pairs(
            self.query,
            self.query_row[pairs],
            self.target,
            self.target_row[pairs],
            self.reverse[pairs],
            self.diagonal[pairs],
        )

    def lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """(p,) bases of the query rows, and of the target rows."""
        return np.diff(self.query[1])[self.query_row], np.diff(self.target[1])[self.target_row]

    def spans(self) -> np.ndarray:
        """(p,) query bases that lie beside the target on these diagonals."""
        n, m = self.lengths()
        overlap: np.ndarray = np.maximum(np.minimum(n, m - self.diagonal) - np.maximum(0, -self.diagonal), 1)
        return overlap

    def of_query(self, start: np.ndarray, steps: int) -> np.ndarray:
        """(steps, p) codes of the query rows from ``start`` on."""
        return _gather(self.query, self.query_row, start, steps, np.zeros(len(start), dtype=bool), _N_QUERY)

    def of_target(self, start: np.ndarray, steps: int) -> np.ndarray:
        """The same of the target rows, on the strand that is aligned to."""
        return _gather(self.target, self.target_row, start, steps, self.reverse, _PAD_TARGET)

    def agree(self, steps: int) -> np.ndarray:
        """(steps, p) bool: the same base, and no N, lies beside each other on the diagonal, from where both rows have bases on."""
        start = np.maximum(0, -self.diagonal)
        bases, beside = self.of_query(start, steps), self.of_target(start + self.diagonal, steps)
        agree: np.ndarray = (bases == beside) & (bases < 4)
        return agree


def align(
    query: tuple[np.ndarray, np.ndarray],
    query_row: np.ndarray,
    target: tuple[np.ndarray, np.ndarray],
    target_row: np.ndarray,
    reverse: np.ndarray,
    diagonal: np.ndarray,
) -> Alignments:
    """Align ``query_row[i]`` to ``target_row[i]`` near ``diagonal[i]``.

    query, target: (codes, offsets) of all rows. reverse: (p,) bool, align to the target's reverse complement.
    diagonal: (p,) position in the (reverse-complemented) target minus position in the query.
    """
    rows = _Pairs(query, query_row, target, target_row, reverse, diagonal)
    span = rows.spans()
    score, matches, columns = np.zeros((3, len(query_row)), dtype=np.int64)
    for pairs, _ in _batches(span, banded=False):
        score[pairs], matches[pairs], columns[pairs] = _along_diagonal(rows[pairs], span[pairs])
    gapped = np.flatnonzero((score >= _WORTH_GAPS) & (matches < span - _NEARLY_ALL))
    for part, half in _batches(span[gapped]):
        pairs = gapped[part]
        score[pairs], matches[pairs], columns[pairs] = _align_batch(rows[pairs], half)
    return Alignments(score, matches, columns)


def compare_whole(
    query: tuple[np.ndarray, np.ndarray],
    query_row: np.ndarray,
    target: tuple[np.ndarray, np.ndarray],
    target_row: np.ndarray,
    reverse: np.ndarray,
    diagonal: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Matches and columns, (p,) int64, of all bases that lie beside each other on the diagonal, without gaps and whatever they score: of rows
    of which a fifth of the bases differ a local alignment leaves the ends out. Arguments as of :func:`align`."""
    rows = _Pairs(query, query_row, target, target_row, reverse, diagonal)
    span = rows.spans()
    matches = np.zeros(len(query_row), dtype=np.int64)
    for pairs, _ in _batches(span, banded=False):
        matches[pairs] = rows[pairs].agree(int(span[pairs].max())).sum(axis=0)
    return matches, span


def _along_diagonal(pairs: _Pairs, span: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score, matches and columns of the best segment without gaps of each pair, (p,) int64."""
    agree = pairs.agree(int(span.max()))
    gained = np.zeros((len(agree) + 1, len(span)), dtype=np.int32)
    np.cumsum(np.where(agree, MATCH, MISMATCH), axis=0, out=gained[1:], dtype=np.int32)
    lowest = np.minimum.accumulate(gained, axis=0)
    last = (gained - lowest).argmax(axis=0)
    pair = np.arange(len(span))
    score = (gained - lowest)[last, pair].astype(np.int64)
    first = (gained == lowest[last, pair]).argmax(axis=0)  # the longest of several
    columns = np.where(score > 0, last - first, 0).astype(np.int64)
    return score, (score - MISMATCH * columns) // (MATCH - MISMATCH), columns


def _half_band(length: int) -> int:
    return max(BAND, length // 64)


def _batches(span: np.ndarray, *, banded: bool = True) -> Iterator[tuple[np.ndarray, int]]:
    """Pairs of about one length, few enough that a band of all of them (or, not banded, all of their bases) stays in the cache, and
    their half band."""
    order = np.argsort(span, kind="stable")
    first = 0
    while first < len(order):
        half = _half_band(int(span[order[first]]))
        size = max(16, _CELLS_AT_ONCE // (2 * half + 1 if banded else int(span[order[first]])))
        last = first + int(
            np.searchsorted(span[order[first : first + size]], 1.25 * span[order[first]] + 32, side="right")
        )
        yield order[first:last], half
        first = last


@dataclass(frozen=True)
class _Packing:
    """Score, matches and columns of a path in one integer, the score on top: the larger one is the better path.

    Attributes:
        score, matches: bits below them. dtype: of the integers, int32 where that is enough.
    """

    score: int
    matches: int
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, steps: int, width: int) -> _Packing:
        """For paths over ``steps`` query bases in a band of ``width`` diagonals."""
        matches = (2 * steps + width).bit_length()  # columns: each passes a base of the query or one of the target
        score = matches + steps.bit_length()
        # Within a step the score is raised by what a gap over the whole band costs.
        enough = score + (steps - GAP * (width + 2)).bit_length() <= 31
        return cls(score, matches, np.dtype(np.int32 if enough else np.int64))

    def pack(self, score: int, matches: int) -> int:
        """Of one column."""
        return (score << self.score) + (matches << self.matches) + 1

    def unpack(self, packed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Score, matches and columns, int64."""
        values = packed.astype(np.int64)
        matches = (values >> self.matches) & ((1 << (self.score - self.matches)) - 1)
        return values >> self.score, matches, values & ((1 << self.matches) - 1)


def _align_batch(pairs: _Pairs, half: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best score of each pair, with its matches and columns. Layout (band, pairs): cell b of row i is target position i + diagonal - half + b.

    Cells lie in ``state`` less what a gap from the first of the band costs, so that a gap along the band is a running maximum, and plus a
    mismatch, which most pairs of bases are.
    """
    n, m = pairs.lengths()
    start = np.clip(-pairs.diagonal - half, 0, n)
    steps = int(max(1, (np.minimum(n, m - pairs.diagonal + half) - start).max(initial=1)))
    width = 2 * half + 1
    bases = pairs.of_query(start, steps)
    beside = pairs.of_target(start + pairs.diagonal - half, steps + width - 1)
    bases[bases == 4] = _N_QUERY  # N agrees with nothing, N included
    packing = _Packing.of(steps, width)
    number = packing.dtype.type
    match, mismatch, gap = packing.pack(MATCH, 1), packing.pack(MISMATCH, 0), packing.pack(GAP, 0)
    one, gain, gap_here = number(1 << packing.score), number(match - mismatch), number(2 * gap - mismatch)
    slope = (gap * np.arange(width + 1)).astype(number)[:, None]
    # The last line stays as it is: nothing comes from outside the band.
    state = np.repeat(number(mismatch) - slope, len(n), axis=1)
    same, following = state[:width], state[1:]
    to_state, slope = number(mismatch) - slope[:width], slope[:width]
    best, cell, gapped = np.zeros((3, width, len(n)), dtype=number)
    equal = np.empty((width, len(n)), dtype=bool)
    for i in range(steps):
        np.equal(beside[i : i + width], bases[i], out=equal)
        np.multiply(equal, gain, out=cell)
        cell += same
        np.add(following, gap_here, out=gapped)
        np.maximum(cell, gapped, out=cell)
        _running_maximum(cell)
        cell += slope
        np.greater_equal(cell, one, out=equal)
        np.multiply(cell, equal, out=cell)  # a path that scores nothing starts anew
        np.maximum(best, cell, out=best)
        np.add(cell, to_state, out=same)
    return packing.unpack(best.max(axis=0))


def _running_maximum(cells: np.ndarray) -> None:
    """Along the first axis, in place. numpy's own takes one number at a time, which is faster for few pairs alone."""
    if cells.shape[1] < _FEW_PAIRS:
        np.maximum.accumulate(cells, axis=0, out=cells)
        return
    for before, line in itertools.pairwise(cells):
        np.maximum(line, before, out=line)


def _gather(
    source: tuple[np.ndarray, np.ndarray],
    row: np.ndarray,
    start: np.ndarray,
    steps: int,
    reverse: np.ndarray,
    outside: np.uint8,
) -> np.ndarray:
    """(steps, p) codes of each row from ``start`` on, read on the other strand where ``reverse``; ``outside`` beyond it."""
    codes, offsets = source
    length = (offsets[1:] - offsets[:-1])[row]
    position = start + np.arange(steps)[:, None]
    inside = (position >= 0) & (position < length)
    position = np.where(reverse, length - 1 - position, position)
    taken = codes[np.where(inside, offsets[row] + position, 0)]
    taken = np.where(reverse & (taken < 4), 3 - taken, taken).astype(np.uint8)
    taken[~inside] = outside
    return taken
