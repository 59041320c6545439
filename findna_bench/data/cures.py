"""Cures for what the audit finds: other splits of the same rows, and variants without a length shortcut. Nothing is deleted
because it leaks; rows that belong together are put on one side.

All randomness comes from a seed, and equal input gives equal output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from findna_bench.data.splits import overlap_groups
from findna_bench.data.table import SequenceTable
from findna_bench.data.tabular import contig_name
from findna_bench.errors import DataError
from findna_bench.requests.splits import parse_split

__all__ = [
    "CURES_VERSION",
    "GROUPING_VERSION",
    "LEAST_GROUPS",
    "Cured",
    "chromosome_split",
    "components",
    "cropped",
    "grouped_split",
    "independent_groups",
    "joined",
    "length_matched",
    "not_evaluable",
    "partition",
    "pooled_rows",
    "regrouped",
    "resplit",
]

CURES_VERSION = 2
"""Raised when equal input would be cured to other rows."""
GROUPING_VERSION = 2
"""Raised when equal sequences would be grouped otherwise: 2 leaves repeats apart."""
LEAST_GROUPS = 30
"""A class with fewer independent groups of rows in test cannot be evaluated."""


@dataclass(frozen=True)
class Cured:
    """Splits after a cure.

    tables: by split; ``group`` holds the component of each row, which no split cuts through.
    groups: independent groups per split and class index. warning: why the result cannot be evaluated, or "" (with folds: all of
    them together).
    """

    tables: dict[str, SequenceTable]
    groups: dict[str, list[int]]
    warning: str = ""


def components(table: SequenceTable, *, similar: bool = True) -> np.ndarray:
    """(n,) int64: rows linked, directly or through others, by equal sequence on either strand, overlapping coordinates,
    as copies (see :mod:`findna_bench.data.audit.copies`; at other loci too, as segmental duplications are), equal dinucleotide counts
    (a sequence and its shuffle) or a common ``table.group`` share a number. Repeats do not link: through them most rows of a
    genome would be one component, and no split would be left.

    similar: False leaves copies and equal counts out (rows of empty sequences, i.e. known by coordinates alone, never have any).
    """
    groupings = []
    if any(table.sequences):
        from findna_bench.data.audit.similarity import copy_components
        from findna_bench.data.splits import duplicate_groups

        groupings.append(copy_components(table.sequences) if similar else duplicate_groups(table.sequences))
        if similar:
            groupings.append(_composition_groups(table.sequences))
    if table.contig is not None and table.start is not None and table.end is not None:
        groupings.append(overlap_groups(table.contig, table.start, table.end))
    if table.group is not None:
        groupings.append(np.unique(table.group, return_inverse=True)[1].astype(np.int64))
    return joined(groupings, len(table))


def _composition_groups(sequences: Sequence[str]) -> np.ndarray:
    """(n,) int64: rows of equal dinucleotide counts share a number; short rows are alone."""
    from findna_bench.data.audit.composition import dinucleotide_keys

    number: dict[bytes, int] = {}
    return np.array(
        [i if not key else number.setdefault(key, i) for i, key in enumerate(dinucleotide_keys(sequences))],
        dtype=np.int64,
    )


def joined(groupings: Sequence[np.ndarray], n: int) -> np.ndarray:
    """(n,) int64 connected components of several groupings of the same n rows, numbered by first row."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links, first, size = [], [], n
    for grouping in groupings:
        links.append(grouping + size)
        first.append(np.arange(n))
        size += int(grouping.max(initial=-1)) + 1
    if not links:
        return np.arange(n, dtype=np.int64)
    edges = (np.concatenate(first), np.concatenate(links))
    graph = coo_array((np.ones(len(edges[0]), dtype=bool), edges), shape=(size, size)).tocsr()
    component = connected_components(graph, directed=False)[1][:n]
    _, start, number = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(start, kind="stable"), kind="stable")[number].astype(np.int64)


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
    whole = np.floor(exact).astype(np.int64)
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
    fold = partition(table.labels, groups, [1 / k] * k, np.random.default_rng(seed))
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]


def independent_groups(labels: np.ndarray, groups: np.ndarray, n_classes: int) -> list[int]:
    """Number of different groups that rows of each class belong to."""
    return [len(np.unique(groups[labels == label])) for label in range(n_classes)]


def not_evaluable(groups_per_class: Sequence[int], names: Sequence[str]) -> str:
    """Why a test part cannot be evaluated, or "": a class in it has fewer than :data:`LEAST_GROUPS` independent groups."""
    few = [f"{name} {n}" for name, n in zip(names, groups_per_class, strict=True) if n < LEAST_GROUPS]
    return f"not evaluable: fewer than {LEAST_GROUPS} independent groups in test ({', '.join(few)})" if few else ""


def regrouped(
    tables: Mapping[str, SequenceTable],
    names: Sequence[str],
    seed: int = 0,
    *,
    fold: int = 0,
    k: int | None = None,
    groups: np.ndarray | None = None,
) -> Cured:
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
        part = partition(pooled.labels, groups, fractions, np.random.default_rng(seed))
        rows = {split: np.flatnonzero(part == i) for i, split in enumerate(sizes)}
    else:
        train, test = grouped_split(pooled, seed, k, groups=groups)[fold]
        rows = {"train": train, "test": test}
    cured = _cured({split: pooled.take(index) for split, index in rows.items() if len(index)}, names)
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
) -> Cured:
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
    return _cured({split: pooled.take(np.flatnonzero(mask)) for split, mask in rows.items() if mask.any()}, names)


def _drawn_contigs(contig: np.ndarray, share: float, seed: int) -> list[str]:
    """Contigs in random order, taken while they do not carry the number of rows further from the share."""
    known, sizes = np.unique(contig, return_counts=True)
    wanted, held, chosen = share * len(contig), 0, []
    for i in np.random.default_rng(seed).permutation(len(known)).tolist():
        if abs(held + sizes[i] - wanted) <= abs(held - wanted):
            chosen.append(str(known[i]))
            held += int(sizes[i])
    return chosen or [str(known[int(sizes.argmin())])]


def _cured(tables: dict[str, SequenceTable], names: Sequence[str]) -> Cured:
    groups = {
        split: independent_groups(table.labels, np.asarray(table.group), len(names)) for split, table in tables.items()
    }
    return Cured(tables, groups, not_evaluable(groups["test"], names) if "test" in groups else "")


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
    return table.end - table.start


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


def resplit(
    tables: Mapping[str, SequenceTable],
    names: Sequence[str],
    split: str,
    seed: int = 0,
    *,
    groups: np.ndarray | None = None,
) -> Cured:
    """The splits that ``--split`` names (see :func:`~findna_bench.requests.splits.parse_split`), made from all rows. groups: as :func:`regrouped` takes them.

    Raises:
        ValueError: the text is not a split. DataError: as the splits themselves.
    """
    choice = parse_split(split)
    if choice.how == "chromosome":
        held_out = tuple(dict.fromkeys(map(contig_name, choice.contigs)))
        return chromosome_split(tables, names, held_out, seed=seed)
    return regrouped(tables, names, seed, fold=choice.fold, k=choice.k, groups=groups)


def pooled_rows(tables: Mapping[str, SequenceTable]) -> SequenceTable:
    """All rows of all splits as one table, in the order of the splits, ids ``<split>/<id>``; columns that some split lacks are left out."""
    parts = list(tables.values())

    def column(name: str) -> np.ndarray | None:
        values = [getattr(part, name) for part in parts]
        return None if any(v is None for v in values) else np.concatenate(values)

    shared = set.intersection(*(set(part.extra) for part in parts))
    return SequenceTable(
        sequences=[sequence for part in parts for sequence in part.sequences],
        labels=np.concatenate([part.labels for part in parts]),
        ids=np.array([f"{split}/{i}" for split, part in tables.items() for i in part.ids.tolist()]),
        group=column("group"),
        contig=column("contig"),
        start=column("start"),
        end=column("end"),
        strand=column("strand"),
        place=column("place"),
        extra={name: np.concatenate([part.extra[name] for part in parts]) for name in sorted(shared)},
    )
