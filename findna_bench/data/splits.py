"""Drawing validation and test rows: stratified, seeded, and never through a group of rows that belong together."""

from __future__ import annotations

import numpy as np

from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.relatedness.components import row_groups

__all__ = ["draw_rows", "draw_validation"]


def draw_validation(
    table: SequenceTable,
    seed: int,
    fraction: float = 0.1,
    *,
    groups: np.ndarray | None = None,
    strata: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into train and validation, stratified by label, whole groups on one side.

    strata: (n,) codes; by default the labels. groups: (n,) group ids; by default :func:`row_groups`. Each class gives ``round(fraction * its rows)`` rows, at least
    one, as nearly as its groups allow; a group larger than what is still wanted stays in train.

    Returns:
        (train rows, validation rows): sorted int64 indices, disjoint, together all rows.

    Raises:
        DataError: no row can be drawn without emptying a class of train.
    """
    groups = row_groups(table) if groups is None else groups
    drawn = draw_rows(table.labels if strata is None else strata, groups, np.random.default_rng(seed), fraction)
    if not drawn.any():
        raise DataError(
            f"no validation rows can be drawn from {len(table)} rows in {len(np.unique(groups))} groups of related "
            f"sequences; give a validation split{_of_pairs(table)}"
        )
    return np.flatnonzero(~drawn).astype(np.int64), np.flatnonzero(drawn).astype(np.int64)


def _of_pairs(table: SequenceTable) -> str:
    return (
        ""
        if table.sequences_b is None
        else ", or a column group (pairs that share a side are related, and so are theirs)"
    )


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
