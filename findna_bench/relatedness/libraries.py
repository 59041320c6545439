"""Designed libraries: rows made from common parents, as variants of promoters, 3' ends or enhancers are for a reporter assay.

Rows of a genome share words by chance or as repeats, at any offset; rows of a library share them where the design put them. A table
is taken for a library where at least half of its different sequences have :data:`WORD` bases in common, at the same place, with
another one of the same length. Words that more than a fifth of all sequences hold (primers, a scaffold, the reporter) are
constant segments: they are part of every design and make nobody related.

The rows of a library are related where they share a word that is not constant, wherever it stands: designs are shifted, too.
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
"""Share of different sequences that have a relative at the same place, from which a table is a library. Sets of the field that are
cut from genomes have less than 0.25, mostly less than 0.05; ``benchmarks/libraries.py`` prints them."""
CONSTANT = 0.2
"""Share of different sequences that hold a word, from which it is constant."""
_STRIDE = 15
"""Places that are looked at to tell a library lie so many bases apart."""
_LEAST_ROWS = 100


@dataclass(frozen=True)
class Library:
    """How the rows of a designed library belong together.

    Attributes:
        words, rows: (m,) int64, pairs of a word's number and a row that holds it; constant words are left out.
        related: share of different sequences with a relative at the same place.
        constant: words that are constant segments.
    """

    words: np.ndarray
    rows: np.ndarray
    related: float
    constant: tuple[str, ...]


def find_library(sequences: Sequence[str]) -> Library | None:
    """The library that sequences (n different strings) are; None where they are none."""
    if len(sequences) < _LEAST_ROWS:
        return None
    codes, offsets = encode(list(sequences))
    related = np.zeros(len(sequences), dtype=bool)
    most = CONSTANT * len(sequences)
    for rows, words, known in _words_by_length(codes, offsets, _STRIDE):
        for place in range(words.shape[1]):
            _, word, count = np.unique(words[:, place], return_inverse=True, return_counts=True)
            related[rows] |= known[:, place] & (count[word] > 1) & (count[word] <= most)
    share = float(related.mean())
    if share < DESIGNED:
        return None
    return _link(codes, offsets, share, most)


def _link(codes: np.ndarray, offsets: np.ndarray, share: float, most: float) -> Library:
    values, owners = [], []
    for rows, words, known in _words_by_length(codes, offsets, 1):
        values.append(words[known])
        owners.append(np.broadcast_to(rows[:, None], words.shape)[known])
    value, owner = np.concatenate(values), np.concatenate(owners)
    distinct, word = np.unique(value, return_inverse=True)
    n = len(offsets) - 1
    pairs = np.unique(word.astype(np.int64) * n + owner)
    word, owner = pairs // n, pairs % n
    count = np.bincount(word, minlength=len(distinct))
    constant = tuple(_letters(int(v)) for v in distinct[count > most])
    shared = (count[word] > 1) & (count[word] <= most)
    return Library(word[shared], owner[shared], share, constant)


def _words_by_length(
    codes: np.ndarray, offsets: np.ndarray, stride: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(rows (r,), their words (r, places) uint64, whether each is without N (r, places)) for each length of two rows or more."""
    lengths = np.diff(offsets)
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        if length < WORD or (len(rows) < 2 and stride > 1):
            continue
        places = np.arange(0, length - WORD + 1, stride)
        bases = codes[offsets[rows][:, None] + np.arange(length)]
        words = np.zeros((len(rows), len(places)), dtype=np.uint64)
        known = np.ones(words.shape, dtype=bool)
        for j in range(WORD):
            column = bases[:, places + j]
            words = (words << np.uint64(2)) | (column & 3).astype(np.uint64)
            known &= column < 4
        yield rows, words, known


def _letters(word: int) -> str:
    return "".join("ACGT"[(word >> shift) & 3] for shift in range(2 * WORD - 2, -2, -2))
