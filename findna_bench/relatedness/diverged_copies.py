"""Copies that have diverged: rows that are a row of another split from end to end, at down to about 80 % identity.

Such pairs are below what makes rows similar (:mod:`findna_bench.relatedness.similarity`), and members of repeat families are as much
alike. What tells them apart: a copy begins and ends where its original does, while windows of a genome cut a repeat anywhere; and
it has one relative, while a repeat has many. So a pair counts where lengths and ends agree within :data:`SLACK`, the alignment, or the
rows laid beside each other without gaps, cover :data:`FULL` of the longer row with at least :data:`IDENTITY`, enough of it is no tandem repeat, and at most :data:`FEW` other rows are
related by half of the row. How often rows that cannot be related pass all that is measured on the same rows read backwards.

Grouped splits do not join such pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from findna_bench.relatedness.alignment import align, compare_whole
from findna_bench.relatedness.copies import tandem_bases
from findna_bench.relatedness.kmer_seeds import SeedScheme
from findna_bench.relatedness.similarity import Candidates, SequenceIndex
from findna_bench.sequences.alphabet import encode

__all__ = [
    "BACKGROUND_ROWS",
    "FEW",
    "FULL",
    "IDENTITY",
    "LEAST_LENGTH",
    "MOST_ROWS",
    "SLACK",
    "DivergedCopies",
    "diverged_copies",
]

IDENTITY = 0.77
"""Least matches per alignment column: a fifth of the bases changed, and as many more as fall on short rows by chance."""
FULL = 0.9
"""Least alignment columns over the longer row."""
SLACK = 0.05
"""Most difference of lengths, and of where the rows begin, over the shorter row."""
FEW = 3
"""Most other rows that are related by half of the row."""
LEAST_LENGTH = 60
"""Shorter rows share too few words at such identity."""
MOST_ROWS = 5000
"""Rows of a seeded sample that are looked up."""
BACKGROUND_ROWS = 1000
"""Rows of it that are read backwards for the background rate."""
_RELATED = 0.5
_UNIQUE = 0.25
_SEEDS = SeedScheme(11, 2, "1110101001001010111")
_TOP = 8
"""Pairs of a row that are aligned, those with the most seeds."""
_TOP_BESIDE = 32
"""As many whose ends agree: among hundreds of thousands of rows chance pairs share as many seeds as a copy of a short row, but not there."""
_TARGETS_AT_ONCE = 20_000


@dataclass(frozen=True)
class DivergedCopies:
    """What was found for a sample of query rows.

    Attributes:
        rows: (m,) query rows that were looked up, in order.
        target: (m,) row that each is a diverged copy of, -1 = none.
        background: share of rows read backwards that pass as copies.
    """

    rows: np.ndarray
    target: np.ndarray
    background: float


def diverged_copies(queries: Sequence[str], targets: Sequence[str], among: np.ndarray) -> DivergedCopies:
    """Look up query rows among target rows.

    Args:
        queries, targets: strings over A, C, G, T, N.
        among: query rows to draw the sample from, (k,) int64.
    """
    rows = among
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(among, MOST_ROWS, replace=False))
    sample = [queries[i] for i in rows.tolist()]
    backwards = [sequence[::-1] for sequence in sample[:: max(1, len(sample) // BACKGROUND_ROWS)]]
    found = _originals([*sample, *backwards], targets)  # the targets are read once for both
    background = float((found[len(sample) :] >= 0).mean()) if backwards else 0.0
    return DivergedCopies(rows, found[: len(sample)], background)


def _originals(sample: Sequence[str], targets: Sequence[str]) -> np.ndarray:
    """(m,) target row that each row of the sample is a diverged copy of, -1 = none."""
    original = np.full(len(sample), -1, dtype=np.int64)
    if not len(sample) or not len(targets):
        return original
    # The sample is indexed and all targets are looked up in it: it is the smaller of the two.
    index = SequenceIndex(sample, _SEEDS)
    encoded = encode(targets)
    lengths = np.fromiter(map(len, targets), dtype=np.int64, count=len(targets))
    pairs = _strongest(_candidates(index, targets, lengths), index.lengths, lengths)
    found = align(encoded, pairs.query, index.encoded, pairs.target, pairs.reverse, pairs.diagonal)
    shorter, longer = _by_length(pairs, index.lengths, lengths)
    beside = np.flatnonzero(_ends_agree(pairs, index.lengths, lengths) & (shorter >= LEAST_LENGTH))
    matches, columns = found.matches.copy(), found.columns.copy()
    # From end to end, where an alignment that leaves the ends out is too short.
    trimmed = beside[columns[beside] < FULL * longer[beside]]
    near = pairs.take(trimmed)
    matches[trimmed], columns[trimmed] = compare_whole(
        encoded, near.query, index.encoded, near.target, near.reverse, near.diagonal
    )
    whole = np.zeros(len(matches), dtype=bool)
    whole[beside] = (columns >= FULL * longer)[beside] & (matches >= IDENTITY * columns)[beside]
    related = (found.columns >= _RELATED * shorter) & (found.columns >= LEAST_LENGTH // 2)
    relatives = np.bincount(pairs.target[related], minlength=len(sample)) - 1
    tandem = np.add.reduceat(np.append(tandem_bases(*index.encoded), 0).astype(np.int64), index.encoded[1][:-1])
    plain = tandem <= (1 - _UNIQUE) * index.lengths
    good = np.flatnonzero(whole & (relatives <= FEW)[pairs.target] & plain[pairs.target])
    good = good[np.lexsort((-pairs.query[good], matches[good]))]  # the best is written last
    original[pairs.target[good]] = pairs.query[good]
    return original


def _by_length(pairs: Candidates, sample: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(p,) bases of the shorter and of the longer row of each pair. sample, targets: lengths of all rows."""
    n, m = sample[pairs.target], targets[pairs.query]
    return np.minimum(n, m), np.maximum(n, m)


def _ends_agree(pairs: Candidates, sample: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(p,) bool: the rows begin and end at about the same place."""
    shorter, longer = _by_length(pairs, sample, targets)
    slack = np.maximum(SLACK * shorter, 4)
    agree: np.ndarray = (longer - shorter <= slack) & (np.abs(pairs.diagonal) <= slack)
    return agree


def _candidates(index: SequenceIndex, targets: Sequence[str], lengths: np.ndarray) -> list[Candidates]:
    """Pairs (query = target row, target = row of the sample) that share seeds, no more of any part of the targets than are needed of all."""
    found = []
    for first in range(0, len(targets), _TARGETS_AT_ONCE):
        for part in index.candidates(encode(targets[first : first + _TARGETS_AT_ONCE])):
            pairs = Candidates(part.query + first, part.target, part.reverse, part.diagonal, part.seeds)
            found.append(_strongest([pairs], index.lengths, lengths))
    return found


def _strongest(parts: Sequence[Candidates], sample: np.ndarray, targets: np.ndarray) -> Candidates:
    """The pairs of each sample row with the most seeds, and those whose ends agree with the most seeds."""
    columns = ("query", "target", "reverse", "diagonal", "seeds")
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return Candidates(empty, empty, empty.astype(bool), empty, empty)
    pairs = Candidates(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))
    pairs = pairs.take(np.lexsort((pairs.query, -pairs.seeds, pairs.target)))
    kept = _rank(pairs.target) < _TOP
    agree = np.flatnonzero(_ends_agree(pairs, sample, targets))
    kept[agree[_rank(pairs.target[agree]) < _TOP_BESIDE]] = True
    return pairs.take(np.flatnonzero(kept))


def _rank(row: np.ndarray) -> np.ndarray:
    """(p,) how many of the same row stand before each. row: (p,) in order."""
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    ranks: np.ndarray = np.arange(len(row)) - np.repeat(starts, np.diff(np.append(starts, len(row))))
    return ranks
