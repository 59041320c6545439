"""Overlap of genomic intervals: a sorted sweep over coordinates, strand left aside (both strands are one locus)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from findna_bench.relatedness.rows import Rows

__all__ = ["Overlaps", "known_apart", "largest_overlaps", "overlap_groups", "overlapping_pairs"]

_PAIRS_AT_ONCE = 1 << 22
"""Pairs expanded at a time, so that memory does not grow with the depth of a pile-up."""


@dataclass(frozen=True)
class Overlaps:
    """For each query row its largest overlap among the target rows.

    target: (n,) int64 target row, -1 = none; bases: (n,) int64 shared bases; fraction: (n,) shared bases over query length.
    """

    target: np.ndarray
    bases: np.ndarray
    fraction: np.ndarray


def overlapping_pairs(
    query: Rows, target: Rows, *, same: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Chunks of (query row, target row, shared bases), every pair that shares at least one base, once.

    same: ``query`` is ``target``; a row is then not paired with itself. Chunks come in order of contig and query start.
    Contigs are compared by name, as written.
    """
    q, t = np.flatnonzero(query.located), np.flatnonzero(target.located)
    if not len(q) or not len(t):
        return
    query_start, query_end, target_start, target_end = _laid_end_to_end(query, q, target, t)
    by_start, order = np.argsort(query_start, kind="stable"), np.argsort(target_start, kind="stable")
    q, query_start, query_end = q[by_start], query_start[by_start], query_end[by_start]
    t, starts, ends = t[order], target_start[order], target_end[order]
    # Targets that may overlap form one run per query, because the running maximum of their ends never falls.
    first = np.searchsorted(np.maximum.accumulate(ends), query_start, side="right")
    last = np.searchsorted(starts, query_end, side="left")
    sizes = np.maximum(last - first, 0)
    for lo, hi in _chunks(sizes):
        size = sizes[lo:hi]
        which = np.repeat(np.arange(lo, hi), size)
        step = np.arange(len(which)) - np.repeat(np.cumsum(size) - size, size)
        j = first[which] + step
        shared = np.minimum(ends[j], query_end[which]) - np.maximum(starts[j], query_start[which])
        keep = shared > 0
        if same:
            keep &= q[which] != t[j]
        if keep.any():
            yield q[which[keep]], t[j[keep]], shared[keep]


def _laid_end_to_end(
    query: Rows, q: np.ndarray, target: Rows, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Starts and ends of query rows and of target rows on one line that holds all contigs, so that one sweep serves all."""
    (query_contig, query_start, query_end), (target_contig, target_start, target_end) = (
        query.coordinates,
        target.coordinates,
    )
    contigs = np.concatenate([query_contig[q], target_contig[t]]).astype(str)
    _, number = np.unique(contigs, return_inverse=True)
    span = int(max(query_end[q].max(), target_end[t].max())) + 1
    before, beside = number[: len(q)] * span, number[len(q) :] * span
    return query_start[q] + before, query_end[q] + before, target_start[t] + beside, target_end[t] + beside


def _chunks(sizes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges whose sizes sum to about ``_PAIRS_AT_ONCE`` (one entry alone may be more)."""
    total = np.cumsum(sizes)
    lo = 0
    while lo < len(sizes):
        before = int(total[lo - 1]) if lo else 0
        hi = max(lo + 1, int(np.searchsorted(total, before + _PAIRS_AT_ONCE, side="right")))
        yield lo, hi
        lo = hi


def largest_overlaps(query: Rows, target: Rows, *, same: bool = False) -> Overlaps:
    """Each query row's largest overlap; among equal ones the first target row wins."""
    best = np.zeros(len(query), dtype=np.int64)
    where = np.full(len(query), -1, dtype=np.int64)
    for rows, others, shared in overlapping_pairs(query, target, same=same):
        order = np.lexsort((others, -shared, rows))
        rows, others, shared = rows[order], others[order], shared[order]
        top = np.flatnonzero(np.diff(rows, prepend=-1))
        best[rows[top]], where[rows[top]] = shared[top], others[top]
    length = np.maximum(query.lengths, 1)
    if query.located.any():
        _, start, end = query.coordinates
        length = np.maximum(end - start, 1)
    return Overlaps(where, best, best / length)


def known_apart(query: Rows, target: Rows, pair: np.ndarray) -> np.ndarray:
    """(n,) bool: the coordinates of a query row and of its target row ``pair[i]`` (-1 = none) are both known, and share no base."""
    some = np.flatnonzero(pair >= 0)
    some = some[query.located[some] & target.located[pair[some]]]
    out = np.zeros(len(query), dtype=bool)
    if len(some):
        contig, start, end = query.coordinates
        other_contig, other_start, other_end = target.coordinates
        other = pair[some]
        shared = np.minimum(end[some], other_end[other]) - np.maximum(start[some], other_start[other])
        out[some] = (contig[some] != other_contig[other]) | (shared <= 0)
    return out


def overlap_groups(contig: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(n,) int64: rows whose 0-based half-open intervals overlap by a base or more, directly or in a chain, share a number.

    Rows without a contig ("") are alone.
    """
    n = len(contig)
    _, codes = np.unique(contig, return_inverse=True)
    placed = np.asarray(contig) != ""
    order = np.lexsort((start, codes))
    order = order[placed[order]]
    code, first, last = codes[order], np.asarray(start)[order], np.asarray(end)[order]
    span = int(last.max(initial=0)) + 1
    reach = np.maximum.accumulate(last + code * span)  # contigs laid end to end: one running maximum serves all
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (first[1:] + code[1:] * span >= reach[:-1]) | (code[1:] != code[:-1])
    out = np.empty(n, dtype=np.int64)
    out[order] = np.cumsum(begins) - 1
    alone = np.flatnonzero(~placed)
    out[alone] = int(begins.sum()) + np.arange(len(alone))
    return out
