"""Drawing validation and test rows: stratified, seeded, and never through a group of rows that belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.sequences.alphabet import reverse_complement

__all__ = ["draw_rows", "draw_validation", "duplicate_groups", "overlap_groups", "related_by", "row_groups"]


def draw_validation(
    table: SequenceTable, seed: int, fraction: float = 0.1, *, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into train and validation, stratified by label, whole groups on one side.

    groups: (n,) group ids; by default :func:`row_groups`. Each class gives ``round(fraction * its rows)`` rows, at least
    one, as nearly as its groups allow; a group larger than what is still wanted stays in train.

    Returns:
        (train rows, validation rows): sorted int64 indices, disjoint, together all rows.

    Raises:
        DataError: no row can be drawn without emptying a class of train.
    """
    groups = row_groups(table) if groups is None else groups
    drawn = draw_rows(table.labels, groups, np.random.default_rng(seed), fraction)
    if not drawn.any():
        raise DataError(
            f"no validation rows can be drawn from {len(table)} rows in {len(np.unique(groups))} groups of related "
            "sequences; give a validation split"
        )
    return np.flatnonzero(~drawn).astype(np.int64), np.flatnonzero(drawn).astype(np.int64)


def draw_rows(labels: np.ndarray, groups: np.ndarray, generator: np.random.Generator, fraction: float) -> np.ndarray:
    """(n,) bool: the rows drawn. Groups come in random order and are taken while every class they hold has room."""
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"fraction must lie between 0 and 1, not {fraction}")
    _, label_codes = np.unique(labels, return_inverse=True)
    _, group_codes = np.unique(groups, return_inverse=True)
    n_classes, n_groups = int(label_codes.max(initial=-1)) + 1, int(group_codes.max(initial=-1)) + 1
    totals = np.bincount(label_codes, minlength=n_classes)
    room = np.maximum(1, np.rint(fraction * totals)).astype(np.int64)
    room = np.where(totals > 1, np.minimum(room, totals - 1), 0)  # train keeps at least one row of each class
    pairs, n_rows = np.unique(group_codes * n_classes + label_codes, return_counts=True)
    first = np.searchsorted(pairs, np.arange(n_groups + 1) * n_classes)
    classes = (pairs % n_classes).tolist()
    counts, left, bounds = n_rows.tolist(), room.tolist(), first.tolist()
    taken = np.zeros(n_groups, dtype=bool)
    for group in generator.permutation(n_groups).tolist():
        members = range(bounds[group], bounds[group + 1])
        if all(counts[m] <= left[classes[m]] for m in members):
            taken[group] = True
            for m in members:
                left[classes[m]] -= counts[m]
    _rescue(taken, group_codes, label_codes, np.maximum(room, totals // 2))
    return taken[group_codes]


def _rescue(taken: np.ndarray, group_codes: np.ndarray, label_codes: np.ndarray, limit: np.ndarray) -> None:
    """Give a class without any drawn row its smallest group, if no class gives more than ``limit`` rows then."""
    sizes = np.bincount(group_codes)
    for label in range(len(limit)):
        drawn = np.bincount(label_codes[taken[group_codes]], minlength=len(limit))
        if drawn[label]:
            continue
        candidates = np.unique(group_codes[label_codes == label])
        for group in candidates[np.argsort(sizes[candidates], kind="stable")].tolist():
            added = np.bincount(label_codes[group_codes == group], minlength=len(limit))
            if (drawn + added <= limit).all():
                taken[group] = True
                break


def row_groups(table: SequenceTable) -> np.ndarray:
    """(n,) int64 ids of rows that belong together.

    ``table.group`` where it is given; otherwise rows linked by equal sequence, on either strand, or by overlapping
    coordinates, directly or through others.
    """
    if table.group is not None:
        return np.unique(table.group, return_inverse=True)[1].astype(np.int64)
    groups = duplicate_groups(table.sequences)
    if table.contig is None or table.start is None or table.end is None:
        return groups
    return _join(groups, overlap_groups(table.contig, table.start, table.end))


def related_by(table: SequenceTable) -> str:
    """How :func:`row_groups` finds related rows of a table, in words."""
    if table.group is not None:
        return "as the data set groups them"
    if table.contig is None or table.start is None or table.end is None:
        return "equal sequences on either strand; no coordinates are known"
    return "equal sequences on either strand, or overlapping coordinates"


def duplicate_groups(sequences: Sequence[str]) -> np.ndarray:
    """(n,) int64: rows of equal sequence, or of one the reverse complement of the other, share a number."""
    number: dict[str, int] = {}
    out = np.empty(len(sequences), dtype=np.int64)
    for i, sequence in enumerate(sequences):
        known = number.get(sequence)
        if known is None:
            known = len(number)
            number[sequence] = known
            number.setdefault(reverse_complement(sequence), known)
        out[i] = known
    return np.unique(out, return_inverse=True)[1].astype(np.int64)


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


def _join(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n,) ids of the connected components of two groupings (rows link a group of one to a group of the other)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_first, n_second = int(first.max(initial=-1)) + 1, int(second.max(initial=-1)) + 1
    size = n_first + n_second
    links = coo_array((np.ones(len(first), dtype=bool), (first, second + n_first)), shape=(size, size))
    component = connected_components(links.tocsr(), directed=False)[1]
    return np.unique(component[first], return_inverse=True)[1].astype(np.int64)
