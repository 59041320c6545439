"""Designed libraries: rows made from common parents, as variants of promoters, 3' ends or enhancers are for a reporter assay.

Rows of a genome share words by chance or as repeats, at any offset; rows of a library share them where the design put them. A table
is a library where at least :data:`DESIGNED` of its different sequences have :data:`WORD` bases in common, at the same place, with
another one of the same length, and where at least :data:`IN_PLACE` of all pairs that share a word share it at the same place. Words
that more than :data:`CONSTANT` of all sequences hold (primers, a scaffold, the reporter) are constant segments: they are part of
every design and make nobody related.

The rows of a library are related where they share a word of which half or more lies outside constant segments, wherever it stands:
designs are shifted, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from findna_bench.sequences.alphabet import encode

__all__ = ["Library", "find_library"]

WORD = 30
"""Bases that rows of a library share: long enough that no two rows do by chance, and fits into 64 bits."""
DESIGNED = 0.5
"""Least share of different sequences with a relative at the same place."""
IN_PLACE = 0.5
"""Least share of the pairs with a common word that have it at the same place. Repeats stand anywhere."""
CONSTANT = 0.2
"""Share of different sequences that hold a word, from which it is constant."""
_STRIDE = 15
"""Places that are looked at first, to tell that a table is no library, lie so many bases apart."""
_LEAST_ROWS = 100


@dataclass(frozen=True)
class Library:
    """How the rows of a designed library belong together.

    Attributes:
        number: (n,) int64, of each row the number of its sequence among the different ones.
        words, sequences: (m,) int64, pairs of a word's number and that of a sequence that holds it; words that are constant by more
            than half are left out.
        related: share of different sequences with a relative at the same place.
        in_place: share of the pairs with a common word that have it at the same place.
        constant: words that are constant segments.
    """

    number: np.ndarray
    words: np.ndarray
    sequences: np.ndarray
    related: float
    in_place: float
    constant: tuple[str, ...]

    def share_a_segment(self, rows: slice, others: slice) -> np.ndarray:
        """bool of ``rows``: each shares a segment with one of ``others``."""
        words = np.unique(self.words[np.isin(self.sequences, self.number[others])])
        relatives = np.unique(self.sequences[np.isin(self.words, words)])
        return np.isin(self.number[rows], relatives)


def find_library(sequences: Sequence[str]) -> Library | None:
    """The library that sequences (n strings, some of them equal) are; None where they are none.

    Example:
        >>> import numpy as np
        >>> parents = ["".join(np.random.default_rng(i).choice(list("ACGT"), 60)) for i in range(80)]
        >>> find_library([parent + end for parent in parents for end in ("A" * 9, "C" * 9)]).related
        1.0
        >>> find_library(parents) is None
        True
    """
    numbers: dict[str, int] = {}
    number = np.array([numbers.setdefault(sequence, len(numbers)) for sequence in sequences], dtype=np.int64)
    if len(numbers) < _LEAST_ROWS:
        return None
    codes, offsets = encode(list(numbers))
    most = CONSTANT * len(numbers)
    related = np.zeros(len(numbers), dtype=bool)
    for rows, _, words, known in _words_by_length(codes, offsets, _STRIDE):
        for place in range(words.shape[1]):
            _, word, count = np.unique(words[:, place], return_inverse=True, return_counts=True)
            related[rows] |= known[:, place] & (count[word] > 1) & (count[word] <= most)
    share = float(related.mean())
    return _link(number, codes, offsets, share, most) if share >= DESIGNED else None


def _link(number: np.ndarray, codes: np.ndarray, offsets: np.ndarray, related: float, most: float) -> Library | None:
    n = len(offsets) - 1
    found = [
        (words[known], np.broadcast_to(rows[:, None], words.shape)[known], np.broadcast_to(places, words.shape)[known])
        for rows, places, words, known in _words_by_length(codes, offsets, 1)
    ]
    values, owner, place = (np.concatenate(parts) for parts in zip(*found, strict=True))
    distinct, word = np.unique(values, return_inverse=True)
    word = word.astype(np.int64)
    held = np.bincount(np.unique(word * n + owner) // n, minlength=len(distinct))
    kept = (held > 1) & (held <= most)
    longest = int(np.diff(offsets).max())
    _, at_place = np.unique(word[kept[word]] * longest + place[kept[word]], return_counts=True)
    together = held[kept].astype(np.int64)
    in_place = float((at_place * (at_place - 1)).sum() / (together * (together - 1)).sum())
    if in_place < IN_PLACE:
        return None
    free = _constant_bases(offsets, owner, place, (held > most)[word]) <= WORD // 2
    pairs = np.unique(word[kept[word] & free] * n + owner[kept[word] & free])
    constant = tuple(_letters(int(value)) for value in distinct[held > most])
    return Library(number, pairs // n, pairs % n, related, in_place, constant)


def _constant_bases(offsets: np.ndarray, owner: np.ndarray, place: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """(m,) bases of each word, at ``place`` of row ``owner``, that lie in a constant one."""
    start = offsets[owner] + place
    change = np.zeros(int(offsets[-1]) + 1, dtype=np.int32)
    np.add.at(change, start[constant], 1)
    np.add.at(change, start[constant] + WORD, -1)
    covered = np.concatenate([[0], np.cumsum(np.cumsum(change[:-1]) > 0)])
    inside: np.ndarray = covered[start + WORD] - covered[start]
    return inside


def _words_by_length(
    codes: np.ndarray, offsets: np.ndarray, stride: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """(rows (r,), places (p,), their words (r, p) uint64, whether each is without N (r, p)) for each length."""
    lengths = np.diff(offsets)
    for length in np.unique(lengths[lengths >= WORD]).tolist():
        rows = np.flatnonzero(lengths == length)
        places = np.arange(0, length - WORD + 1, stride)
        starts = offsets[rows][:, None] + places
        words = np.zeros(starts.shape, dtype=np.uint64)
        known = np.ones(words.shape, dtype=bool)
        for j in range(WORD):
            column = codes[starts + j]
            words = (words << np.uint64(2)) | (column & 3).astype(np.uint64)
            known &= column < 4
        yield rows, places, words, known


def _letters(word: int) -> str:
    return "".join("ACGT"[(word >> shift) & 3] for shift in range(2 * WORD - 2, -2, -2))
