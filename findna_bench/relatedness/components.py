"""Which rows belong together: connected components of duplicates, copies, overlaps, equal composition,
designs of one library and given groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from findna_bench.relatedness.composition import dinucleotide_keys
from findna_bench.relatedness.duplicates import duplicate_groups
from findna_bench.relatedness.libraries import Library, find_library
from findna_bench.relatedness.overlaps import overlap_groups
from findna_bench.relatedness.rows import LabelledRows
from findna_bench.relatedness.similarity import SequenceIndex

__all__ = ["GROUPING_VERSION", "components", "join_groups", "join_links", "related_by", "row_groups", "row_sites"]


class SitedRows(LabelledRows, Protocol):
    """Rows that may have a place (``extra["offset"]``)."""

    @property
    def extra(self) -> Mapping[str, np.ndarray]: ...


GROUPING_VERSION = 3
"""Raised when equal sequences would be grouped otherwise: 2 leaves repeats apart, 3 joins the designs of a library."""


def components(table: LabelledRows, *, similar: bool = True) -> np.ndarray:
    """(n,) int64: rows linked, directly or through others, by equal sequence on either strand, overlapping coordinates,
    as copies (see :mod:`findna_bench.relatedness.copies`; at other loci too, as segmental duplications are), equal dinucleotide counts
    (a sequence and its shuffle), as designs of one library (see :mod:`findna_bench.relatedness.libraries`) or by a common
    ``table.group`` share a number. Repeats do not link: through them most rows of a genome would be one component, and no split
    would be left.

    Pairs are related by their sides: two pairs share a number where either side of one is so related to either side of the other.

    similar: False leaves copies and equal counts out (rows of empty sequences, i.e. known by coordinates alone, never have any).
    """
    groupings = []
    if table.sequences_b is not None:
        groupings.append(_pair_groups(table.sequences, table.sequences_b, similar))
    elif any(table.sequences):
        groupings += _sequence_groupings(table.sequences, similar)
    if table.contig is not None and table.start is not None and table.end is not None:
        groupings.append(overlap_groups(table.contig, table.start, table.end))
    if table.group is not None:
        groupings.append(np.unique(table.group, return_inverse=True)[1].astype(np.int64))
    return join_groups(groupings, len(table.sequences))


def _sequence_groupings(sequences: Sequence[str], similar: bool) -> list[np.ndarray]:
    if not similar:
        return [duplicate_groups(sequences)]
    groupings = [_copy_groups(sequences), _composition_groups(sequences)]
    if (library := find_library(sequences)) is not None:
        groupings.append(_library_groups(library))
    return groupings


def _pair_groups(a: Sequence[str], b: Sequence[str], similar: bool) -> np.ndarray:
    """(n,) int64: pairs with related sides, directly or through others, share a number. A side of N alone is related to nothing."""
    both, n = [*a, *b], len(a)
    element = join_groups(_sequence_groupings(both, similar), len(both))
    padding = np.array([not sequence.strip("N") for sequence in both], dtype=bool)
    element = np.where(padding, len(both) + np.arange(len(both)), element)
    return join_links(np.tile(np.arange(n), 2), n + element, n + 2 * len(both))[:n]


def row_groups(table: LabelledRows) -> np.ndarray:
    """(n,) int64 ids of rows that belong together.

    ``table.group`` where it is given; otherwise rows linked by equal sequence, on either strand and of pairs on either side, or by
    overlapping coordinates, directly or through others.
    """
    if table.group is not None:
        return np.unique(table.group, return_inverse=True)[1].astype(np.int64)
    return components(table, similar=False)


def row_sites(table: SitedRows) -> np.ndarray:
    """(n,) int64 ids of rows that are related even within one element: the variants of one place of one window; :func:`row_groups` of
    rows that have no place."""
    offsets = table.extra.get("offset")
    if offsets is None:
        return row_groups(table)
    number: dict[tuple[str, int], int] = {}
    places = zip(table.sequences, offsets.tolist(), strict=True)
    return np.array([number.setdefault(place, len(number)) for place in places], dtype=np.int64)


def related_by(table: LabelledRows) -> str:
    """How :func:`row_groups` finds related rows of a table, in words."""
    if table.group is not None:
        return "as the data set groups them"
    equal = "equal sequences on either strand" + ("" if table.sequences_b is None else ", of any side")
    if table.contig is None or table.start is None or table.end is None:
        return f"{equal}; no coordinates are known"
    return f"{equal}, or overlapping coordinates"


def _composition_groups(sequences: Sequence[str]) -> np.ndarray:
    """(n,) int64: rows of equal dinucleotide counts share a number; short rows are alone."""
    number: dict[bytes, int] = {}
    return np.array(
        [i if not key else number.setdefault(key, i) for i, key in enumerate(dinucleotide_keys(sequences))],
        dtype=np.int64,
    )


def join_groups(groupings: Sequence[np.ndarray], n: int) -> np.ndarray:
    """(n,) int64 connected components of several groupings of the same n rows, numbered by first row."""
    if not groupings:
        return np.arange(n, dtype=np.int64)
    component = groupings[0]
    if len(groupings) > 1:
        sizes = np.cumsum([n, *(int(grouping.max(initial=-1)) + 1 for grouping in groupings)])
        links = np.concatenate([grouping + size for grouping, size in zip(groupings, sizes[:-1], strict=True)])
        component = join_links(np.tile(np.arange(n), len(groupings)), links, int(sizes[-1]))[:n]
    _, start, number = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(start, kind="stable"), kind="stable")[number].astype(np.int64)


def _copy_groups(sequences: Sequence[str]) -> np.ndarray:
    """(n,) int64: rows that are identical on either strand or copies of each other, directly or through others, share a number."""
    groups = duplicate_groups(sequences)
    _, first, back = np.unique(groups, return_index=True, return_inverse=True)
    unique = [sequences[i] for i in first.tolist()]
    n = len(unique)
    pairs = SequenceIndex(unique).copies(unique, own_row=np.arange(n))
    return join_links(*pairs, n)[back]


def _library_groups(library: Library) -> np.ndarray:
    """(n,) int64: rows that share a segment, directly or through others, share a number."""
    n = int(library.number.max()) + 1
    group = join_links(library.sequences, n + library.words, n + int(library.words.max(initial=-1)) + 1)
    rows: np.ndarray = group[library.number]
    return rows


def join_links(first: np.ndarray, second: np.ndarray, n: int) -> np.ndarray:
    """(n,) int64 component of each of n nodes, linked in pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(n, n)).tocsr()
    component: np.ndarray = connected_components(graph, directed=False)[1].astype(np.int64)
    return component
