"""Copies and repeats among similar rows.

A pair of similar rows is a *copy* (the same piece of sequence twice, whole, shifted, cut or extended, on either strand) when

* the alignment covers :data:`FULL` of the bases that lie beside each other on its diagonal, so that it ends where a row ends, not
  within both;
* where these bases are fewer than :data:`END_TO_END` of the shorter row (a window cut elsewhere on the locus), identity is at least
  :data:`SHIFTED_IDENTITY`: such windows have the same bases, while relatives by repeats have diverged;
* at least :data:`UNIQUE` of the bases beside each other lie in no tandem repeat;
* it stands out: at most :data:`FEW` different rows are as near, that is over :data:`AS_LONG` of its columns, within twice its
  divergence and two points (members of a repeat family have many relatives at about one distance). Where more are as near,
  :data:`ALIKE` of them must agree as windows of one locus do, with :data:`SAME` identity and each up to the end of a row; or as
  copies of one row do, with :data:`ALIKE_IDENTITY` and cut end to end, as windows drawn at random from a genome are not.

All other similar pairs are *repeats*: partial matches, interspersed and tandem repeats.
"""

from __future__ import annotations

import numpy as np

from findna_bench.relatedness.alignment import Alignments

__all__ = [
    "ALIKE",
    "ALIKE_IDENTITY",
    "AS_LONG",
    "END_TO_END",
    "FEW",
    "FULL",
    "SAME",
    "SHIFTED_IDENTITY",
    "UNIQUE",
    "are_copies",
    "tandem_bases",
]

FULL = 0.9
"""Least alignment columns over the bases of the rows that lie beside each other."""
END_TO_END = 0.90
"""Bases beside each other over the shorter row from which the pair is whole, not shifted."""
SHIFTED_IDENTITY = 0.97
"""Least identity of a shifted pair."""
UNIQUE = 0.25
"""Least share of the bases beside each other that lie in no tandem repeat."""
LEAST_UNIQUE = 20
"""As many bases in any case."""
FEW = 10
"""Most rows as near as a copy."""
_MARGIN = 0.02
"""Divergence, beside twice its own, within which others are as near as a copy."""
AS_LONG = 0.80
"""Least columns, over those of the copy, of rows that are as near: a copy stands out among relatives of a part of it."""
SAME = 0.99
"""Least identity of windows of one locus of which there are many."""
ALIKE_IDENTITY = 0.95
"""Least identity of copies of one row of which there are many."""
ALIKE = 0.80
"""Least share of the many that agree."""

_WORD = 8
_FARTHEST = 100
"""Tandem repeats are words of ``_WORD`` bases that come again within this many bases of the row."""


def are_copies(
    query: tuple[np.ndarray, np.ndarray],
    query_row: np.ndarray,
    target_row: np.ndarray,
    target_length: np.ndarray,
    target_text: np.ndarray,
    diagonal: np.ndarray,
    found: Alignments,
    similar: np.ndarray,
    coverage: float,
) -> np.ndarray:
    """(p,) bool: the aligned pair is a copy. All aligned pairs of a query row must be among the p.

    query: (codes, offsets) of all query rows. query_row, target_row, diagonal: (p,) as :func:`align` takes them.
    target_length: (n,) bases, target_text: (n,) a number per different text, of all target rows. similar: (p,) bool.
    coverage: least columns over the shorter row of a relative.
    """
    n, m = np.diff(query[1])[query_row], target_length[target_row]
    first = np.maximum(0, -diagonal)
    last = np.maximum(np.minimum(n, m - diagonal), first)
    shorter = np.maximum(np.minimum(n, m), 1)
    whole = last - first >= END_TO_END * shorter
    full = found.columns >= FULL * (last - first)
    candidate: np.ndarray = similar & full & (whole | (found.identity >= SHIFTED_IDENTITY))
    at = np.flatnonzero(candidate)
    if not len(at):
        return candidate
    unique = _unique_bases(query, query_row[at], first[at], last[at])
    at = at[unique >= np.maximum(LEAST_UNIQUE, UNIQUE * (last - first)[at])]
    relative = np.flatnonzero(found.columns >= coverage * shorter)
    near, near_full, near_whole = _as_near(
        query_row, target_text[target_row], found, (full, full & whole), relative, at
    )
    identity = found.identity[at]
    one_locus = (identity >= SAME) & (near_full >= ALIKE * near)
    one_row = (identity >= ALIKE_IDENTITY) & (near_whole >= ALIKE * near)
    out = np.zeros(len(candidate), dtype=bool)
    out[at[(near <= FEW) | one_locus | one_row]] = True
    return out


def _as_near(
    query_row: np.ndarray,
    text: np.ndarray,
    found: Alignments,
    agreeing: tuple[np.ndarray, ...],
    relative: np.ndarray,
    at: np.ndarray,
) -> list[np.ndarray]:
    """For the pairs ``at``: how many different texts related to the query row are as near over about as many columns, and how many
    of those agree in each way."""
    order = relative[np.lexsort((-found.matches[relative], text[relative], query_row[relative]))]
    new = (np.diff(query_row[order], prepend=-1) != 0) | (np.diff(text[order], prepend=-1) != 0)
    once = order[new]
    first = np.searchsorted(query_row[once], query_row[at], side="left")
    size = np.searchsorted(query_row[once], query_row[at], side="right") - first
    pair = np.repeat(np.arange(len(at)), size)
    other = once[np.repeat(first - (np.cumsum(size) - size), size) + np.arange(len(pair))]
    divergence = 1 - found.identity
    near = (divergence[other] <= 2 * divergence[at][pair] + _MARGIN) & (
        found.columns[other] >= AS_LONG * found.columns[at][pair]
    )
    counts = [near, *(near & agrees[other] for agrees in agreeing)]
    return [np.bincount(pair[mask], minlength=len(at)) for mask in counts]


def _unique_bases(
    query: tuple[np.ndarray, np.ndarray], row: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """(p,) bases of query row ``row[i]`` from ``first[i]`` to ``last[i]`` that lie in no tandem repeat."""
    codes, offsets = query
    rows, which = np.unique(row, return_inverse=True)
    lengths = np.diff(offsets)[rows]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    taken = np.repeat(offsets[rows] - starts[:-1], lengths) + np.arange(starts[-1])
    unique = np.concatenate([[0], np.cumsum(~tandem_bases(codes[taken], starts))])
    n_unique: np.ndarray = unique[starts[which] + last] - unique[starts[which] + first]
    return n_unique


def tandem_bases(codes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(bases,) bool: the base lies in a word that comes again, on the same strand, close by in its row (a tandem repeat or a
    run of one base). codes, offsets: as :func:`findna_bench.sequences.alphabet.encode` gives them."""
    size = len(codes) - _WORD + 1
    out = np.zeros(len(codes), dtype=bool)
    if size <= 0:
        return out
    word = np.zeros(size, dtype=np.uint32)
    for j in range(_WORD):
        word = word * np.uint32(5) + codes[j : j + size]
    row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    again = np.zeros(size, dtype=bool)
    for lag in range(1, min(_FARTHEST, size - 1) + 1):
        equal = (word[lag:] == word[:-lag]) & (row[:-lag][: size - lag] == row[lag + _WORD - 1 :])
        again[lag:] |= equal
        again[:-lag] |= equal
    for j in range(_WORD):
        out[j : j + size] |= again
    return out
