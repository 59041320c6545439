"""Variants of a table whose lengths say nothing about the class: the middle of every row, or as many rows of each length.

All randomness comes from a seed, and equal input gives equal output.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError

__all__ = ["cropped", "length_matched", "trimmed"]


def length_matched(
    table: SequenceTable, how: str = "crop", *, length: int | None = None, seed: int = 0
) -> SequenceTable:
    """A variant whose lengths say nothing about the class.

    how: ``crop`` cuts the middle ``length`` bases of every row and leaves shorter rows out (None: the largest length that
    leaves out at most a tenth of any class); ``match`` keeps, of each exact length, equally many rows of every class.

    Raises:
        DataError: no row is left of some class.
    """
    lengths = _lengths(table)
    if how == "crop":
        least = length or int(min(np.quantile(lengths[table.labels == c], 0.1) for c in np.unique(table.labels)))
        out = cropped(table.take(np.flatnonzero(lengths >= least)), least)
    elif how == "match":
        out = table.take(_matched_rows(lengths, table.labels, np.random.default_rng(seed)))
    else:
        raise ValueError(f"how must be crop or match, not {how!r}")
    lost = sorted(set(table.labels.tolist()) - set(out.labels.tolist()))
    if lost:
        raise DataError(
            f"no row of class {lost[0]} is left after length matching by {how}; choose another length or the other way"
        )
    return out


def _lengths(table: SequenceTable) -> np.ndarray:
    if any(table.sequences) or table.start is None or table.end is None:
        return np.fromiter(map(len, table.sequences), dtype=np.int64, count=len(table))
    lengths: np.ndarray = table.end - table.start
    return lengths


def _matched_rows(lengths: np.ndarray, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    classes = np.unique(labels)
    order = generator.permutation(len(labels))
    order = order[np.lexsort((labels[order], lengths[order]))]
    kept = []
    for rows in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        of = [rows[labels[rows] == c] for c in classes]
        least = min(map(len, of))
        kept += [part[:least] for part in of]
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, dtype=np.int64)


def cropped(table: SequenceTable, length: int) -> SequenceTable:
    """The middle ``length`` bases of every row (the left one of two middles), coordinates with them; shorter rows stay whole."""
    whole = _lengths(table)
    before = np.maximum(whole - length, 0) // 2
    sequences = [s[b : b + length] if s else s for s, b in zip(table.sequences, before.tolist(), strict=True)]
    if table.start is None or table.end is None:
        return replace(table, sequences=sequences)
    size = np.minimum(whole, length)
    reverse = table.strand == "-" if table.strand is not None else np.zeros(len(table), dtype=bool)
    start = np.where(reverse, table.end - before - size, table.start + before)
    return replace(table, sequences=sequences, start=start, end=start + size)


def trimmed(table: SequenceTable, bases: int) -> SequenceTable:
    """Every row without its first and last ``bases`` bases, coordinates with them; of a row that has too few the middle base, or two, stays."""
    if not bases:
        return table
    whole = _lengths(table)
    cut = np.minimum(bases, (whole - 1) // 2)
    sequences = [s[c : len(s) - c] if s else s for s, c in zip(table.sequences, cut.tolist(), strict=True)]
    if table.start is None or table.end is None:
        return replace(table, sequences=sequences)
    return replace(table, sequences=sequences, start=table.start + cut, end=table.end - cut)
