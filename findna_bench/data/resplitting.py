"""Other splits of the same rows, so that rows which belong together are on one side. Nothing is deleted because it leaks.

All randomness comes from a seed, and equal input gives equal output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from findna_bench.data.table import SequenceTable
from findna_bench.data.tabular import contig_name
from findna_bench.errors import DataError
from findna_bench.relatedness.components import components
from findna_bench.requests.split_choice import parse_split

__all__ = [
    "LEAST_GROUPS",
    "RESPLIT_VERSION",
    "NewSplits",
    "chromosome_split",
    "evaluable_contigs",
    "grouped_split",
    "independent_groups",
    "not_evaluable",
    "partition",
    "pooled_rows",
    "regrouped",
    "resplit",
]

RESPLIT_VERSION = 2
"""Raised when equal input would be split otherwise."""
LEAST_GROUPS = 30
"""A class with fewer independent groups of rows in test cannot be evaluated."""


@dataclass(frozen=True)
class NewSplits:
    """Splits of all rows of a task.

    tables: by split; ``group`` holds the component of each row, which no split cuts through.
    groups: independent groups per split and class index. warning: why the result cannot be evaluated, or "" (with folds: all of
    them together).
    """

    tables: dict[str, SequenceTable]
    groups: dict[str, list[int]]
    warning: str = ""


def partition(
    labels: np.ndarray, groups: np.ndarray, fractions: Sequence[float], generator: np.random.Generator
) -> np.ndarray:
    """(n,) int64 part of each row: parts get about ``fractions`` of every class, and no group is cut.

    Large groups are placed first, each where the classes it holds are furthest below their share; groups of one row are dealt out
    at the end, so that shares are exact wherever there are enough of them.

    Raises:
        ValueError: fractions do not sum to 1.
    """
    if abs(sum(fractions) - 1.0) > 1e-9 or min(fractions) <= 0:
        raise ValueError(f"fractions must be positive and sum to 1, not {list(fractions)}")
    n_classes, n_parts = int(labels.max(initial=0)) + 1, len(fractions)
    _, group = np.unique(groups, return_inverse=True)
    sizes = np.bincount(group)
    wanted = np.outer(fractions, np.bincount(labels, minlength=n_classes))
    part_of = np.full(len(sizes), -1, dtype=np.int64)
    held = np.zeros((n_parts, n_classes))
    content = np.zeros((len(sizes), n_classes), dtype=np.int64)
    np.add.at(content, (group, labels), 1)
    many = generator.permutation(np.flatnonzero(sizes > 1))
    scale = np.maximum(wanted, 1.0)
    for g in many[np.argsort(-sizes[many], kind="stable")].tolist():
        room = ((wanted - held) / scale * content[g]).sum(axis=1)
        part = int(room.argmax())
        part_of[g] = part
        held[part] += content[g]
    single_label = content.argmax(axis=1)
    for label in range(n_classes):
        single = generator.permutation(np.flatnonzero((sizes == 1) & (single_label == label)))
        part_of[single] = np.repeat(np.arange(n_parts), _shares(wanted[:, label] - held[:, label], len(single)))
    return part_of[group]


def _shares(room: np.ndarray, n: int) -> np.ndarray:
    """Whole numbers that sum to n, as near to ``room`` (clipped at 0, scaled) as can be; largest remainders win."""
    room = np.maximum(room, 0)
    exact = room * n / room.sum() if room.sum() > 0 else np.full(len(room), n / len(room))
    whole: np.ndarray = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: n - int(whole.sum())]] += 1
    return whole


def grouped_split(
    table: SequenceTable, seed: int, k: int = 5, *, groups: np.ndarray | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """k stratified (train rows, test rows) pairs, sorted int64: each row is in one test part, no component is cut.

    groups: (n,) ids; None = :func:`components` of the table.

    Raises:
        DataError: there are fewer groups than folds.
    """
    groups = components(table) if groups is None else groups
    if len(np.unique(groups)) < k:
        raise DataError(
            f"{len(table)} rows form only {len(np.unique(groups))} independent groups, too few for {k} folds"
        )
    fold = partition(table.strata, groups, [1 / k] * k, np.random.default_rng(seed))
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]


def independent_groups(labels: np.ndarray, groups: np.ndarray, n_classes: int) -> list[int]:
    """Number of different groups that rows of each class belong to; one number where there are no classes."""
    if labels.ndim > 1:
        return [len(np.unique(groups))]
    return [len(np.unique(groups[labels == label])) for label in range(n_classes)]


def not_evaluable(groups_per_class: Sequence[int], names: Sequence[str]) -> str:
    """Why a test part cannot be evaluated, or "": a class in it has fewer than :data:`LEAST_GROUPS` independent groups."""
    of = names if len(groups_per_class) == len(names) else ("rows",)
    few = [f"{name} {n}" for name, n in zip(of, groups_per_class, strict=True) if n < LEAST_GROUPS]
    return f"not evaluable: fewer than {LEAST_GROUPS} independent groups in test ({', '.join(few)})" if few else ""


def regrouped(
    tables: Mapping[str, SequenceTable],
    names: Sequence[str],
    seed: int = 0,
    *,
    fold: int = 0,
    k: int | None = None,
    groups: np.ndarray | None = None,
) -> NewSplits:
    """All rows split anew by components, in the proportions of the given splits; with k, fold ``fold`` of k is test, for small
    tasks whose folds are scored together.

    Row ids become ``<old split>/<id>`` so that they stay unique. groups: (n,) component of each row of
    :func:`pooled_rows`, None = found here.

    Raises:
        DataError: fewer groups than folds.
    """
    pooled = pooled_rows(tables)
    groups = components(pooled) if groups is None else groups
    pooled = replace(pooled, group=groups)
    if k is None:
        sizes = {split: len(table) for split, table in tables.items()}
        fractions = [size / sum(sizes.values()) for size in sizes.values()]
        part = partition(pooled.strata, groups, fractions, np.random.default_rng(seed))
        rows = {split: np.flatnonzero(part == i) for i, split in enumerate(sizes)}
    else:
        train, test = grouped_split(pooled, seed, k, groups=groups)[fold]
        rows = {"train": train, "test": test}
    cured = _new_splits({split: pooled.take(index) for split, index in rows.items() if len(index)}, names)
    if k is None:
        return cured
    # Folds are scored together: every group is in test once.
    return replace(cured, warning=not_evaluable(independent_groups(pooled.labels, groups, len(names)), names))


def chromosome_split(
    tables: Mapping[str, SequenceTable],
    names: Sequence[str],
    test: Sequence[str] = (),
    validation: Sequence[str] = (),
    *,
    seed: int = 0,
) -> NewSplits:
    """All rows split anew by contig: ``test`` and ``validation`` are held out whole. Without ``test``, contigs are drawn until
    about the share of rows that test had is held out.

    Raises:
        DataError: rows without coordinates, or a contig that no row lies on.
    """
    pooled = pooled_rows(tables)
    if pooled.contig is None or (pooled.contig == "").any():
        raise DataError("a split by chromosome needs the coordinates of every row; this copy has none for some")
    known = sorted(set(pooled.contig.tolist()))
    missing = sorted((set(test) | set(validation)) - set(known))
    if missing:
        raise DataError(f"no row lies on {', '.join(missing)}; contigs are {', '.join(known[:30])}")
    if not test:
        share = len(tables["test"]) / len(pooled) if "test" in tables else 0.2
        test = _drawn_contigs(pooled.contig, share, seed)
    in_test, in_validation = np.isin(pooled.contig, list(test)), np.isin(pooled.contig, list(validation))
    pooled = replace(pooled, group=components(pooled, similar=False))
    rows = {"train": ~(in_test | in_validation), "validation": in_validation & ~in_test, "test": in_test}
    if not rows["train"].any():
        raise DataError(f"all rows lie on {', '.join(sorted(set(test) | set(validation)))}: none is left to train on")
    return _new_splits({split: pooled.take(np.flatnonzero(mask)) for split, mask in rows.items() if mask.any()}, names)


def evaluable_contigs(tables: Mapping[str, SequenceTable], names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Contigs that can be a test split of their own, and the others with the reason: a class with fewer than :data:`LEAST_GROUPS`
    independent groups on them.

    Raises:
        DataError: rows without coordinates, or fewer than two such contigs.
    """
    pooled = pooled_rows(tables)
    if pooled.contig is None or (pooled.contig == "").any():
        raise DataError("a split by chromosome needs the coordinates of every row; this copy has none for some")
    groups = components(pooled, similar=False)
    kept, left_out = [], {}
    for contig in sorted(set(pooled.contig.tolist())):
        rows = pooled.contig == contig
        reason = not_evaluable(independent_groups(pooled.labels[rows], groups[rows], len(names)), names)
        if reason:
            left_out[contig] = reason
        else:
            kept.append(contig)
    if len(kept) < 2:
        raise DataError(
            f"{len(kept)} chromosomes have {LEAST_GROUPS} independent groups of every class; all folds by chromosome need two"
        )
    return kept, left_out


def _drawn_contigs(contig: np.ndarray, share: float, seed: int) -> list[str]:
    """Contigs in random order, taken while they do not carry the number of rows further from the share."""
    known, sizes = np.unique(contig, return_counts=True)
    wanted, held, chosen = share * len(contig), 0, []
    for i in np.random.default_rng(seed).permutation(len(known)).tolist():
        if abs(held + sizes[i] - wanted) <= abs(held - wanted):
            chosen.append(str(known[i]))
            held += int(sizes[i])
    return chosen or [str(known[int(sizes.argmin())])]


def _new_splits(tables: dict[str, SequenceTable], names: Sequence[str]) -> NewSplits:
    groups = {
        split: independent_groups(table.labels, np.asarray(table.group), len(names)) for split, table in tables.items()
    }
    return NewSplits(tables, groups, not_evaluable(groups["test"], names) if "test" in groups else "")


def resplit(
    tables: Mapping[str, SequenceTable],
    names: Sequence[str],
    split: str,
    seed: int = 0,
    *,
    groups: np.ndarray | None = None,
) -> NewSplits:
    """The splits that ``--split`` names (see :func:`~findna_bench.requests.split_choice.parse_split`), made from all rows. groups: as :func:`regrouped` takes them.

    Raises:
        ValueError: the text is not a split. DataError: as the splits themselves.
    """
    choice = parse_split(split)
    if choice.how == "chromosome":
        held_out = tuple(dict.fromkeys(map(contig_name, choice.contigs)))
        return chromosome_split(tables, names, held_out, seed=seed)
    return regrouped(tables, names, seed, fold=choice.fold, k=choice.k, groups=groups)


def pooled_rows(tables: Mapping[str, SequenceTable]) -> SequenceTable:
    """All rows of all splits as one table, in the order of the splits, ids ``<split>/<id>``."""
    ids = [f"{split}/{i}" for split, table in tables.items() for i in table.ids.tolist()]
    return replace(SequenceTable.concatenate(list(tables.values())), ids=np.array(ids))
