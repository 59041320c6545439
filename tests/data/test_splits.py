"""Drawn splits: whole groups, right shares, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from findna_bench.data.splits import draw_validation
from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.relatedness.components import row_groups
from findna_bench.relatedness.duplicates import duplicate_groups
from findna_bench.relatedness.overlaps import overlap_groups
from findna_bench.sequences.alphabet import reverse_complement


def table(labels: np.ndarray, group: np.ndarray | None = None, sequences: list[str] | None = None) -> SequenceTable:
    n = len(labels)
    texts = sequences or ["".join("ACGT"[(i >> 2 * k) % 4] for k in range(9)) + "AAAAC" for i in range(n)]
    return SequenceTable(texts, labels.astype(np.int64), np.arange(n).astype(str), group=group)


grouped_rows = st.integers(5, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 2), min_size=n, max_size=n),
        st.lists(st.integers(0, max(3, n // 2)), min_size=n, max_size=n),
    )
)


@settings(max_examples=100, deadline=None)
@given(grouped_rows, st.integers(0, 5))
def test_groups_stay_whole_and_no_row_is_lost(rows: tuple[list[int], list[int]], seed: int) -> None:
    labels, groups = np.array(rows[0]), np.array(rows[1])
    whole = table(labels, groups)
    try:
        train, validation = draw_validation(whole, seed, 0.2)
    except DataError:
        return
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert not set(groups[train]) & set(groups[validation])
    for label in set(labels.tolist()):  # no class leaves train, none gives more than its share by a group
        held, drawn = (labels[train] == label).sum(), (labels[validation] == label).sum()
        assert held > 0
        assert drawn <= max(round(0.2 * (held + drawn)), 1, (held + drawn) // 2)
    again = draw_validation(whole, seed, 0.2)
    assert np.array_equal(again[1], validation)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=60, max_size=300), st.integers(0, 3))
def test_single_rows_are_stratified_to_the_row(values: list[int], seed: int) -> None:
    labels = np.array(values)
    _, validation = draw_validation(table(labels, np.arange(len(labels))), seed)
    for label, n in zip(*np.unique(labels, return_counts=True), strict=True):
        wanted = min(max(1, round(0.1 * n)), n - 1)
        assert abs((labels[validation] == label).sum() - wanted) <= (0 if n > 1 else 1)


def test_another_seed_draws_other_rows() -> None:
    labels = np.arange(400) % 2
    draws = {tuple(draw_validation(table(labels), seed)[1].tolist()) for seed in range(5)}
    assert len(draws) == 5
    assert {len(draw) for draw in draws} == {40}


def test_a_class_in_large_groups_still_reaches_validation() -> None:
    """Ten groups of ten: one whole group is drawn although each is larger than a tenth of a class would be in pieces."""
    labels = np.repeat([0, 1], 50)
    groups = np.repeat(np.arange(10), 10)
    _, validation = draw_validation(table(labels, groups), 0)
    assert set(labels[validation]) == {0, 1}
    assert len(validation) == 20


def test_one_group_of_all_rows_cannot_be_split() -> None:
    with pytest.raises(DataError, match="no validation rows"):
        draw_validation(table(np.arange(20) % 2, np.zeros(20)), 0)


letters = st.text("ACGT", min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.lists(letters, min_size=1, max_size=30))
def test_duplicates_on_either_strand_share_a_group(sequences: list[str]) -> None:
    groups = duplicate_groups(sequences)
    for i, a in enumerate(sequences):
        for j, b in enumerate(sequences):
            assert (groups[i] == groups[j]) == (a in (b, reverse_complement(b)))


intervals = st.lists(
    st.tuples(st.sampled_from(["", "1", "2", "X"]), st.integers(0, 60), st.integers(1, 12)), max_size=30
)


@settings(max_examples=100, deadline=None)
@given(intervals)
def test_overlap_groups_are_the_connected_components(rows: list[tuple[str, int, int]]) -> None:
    contig = np.array([c for c, _, _ in rows], dtype="<U3")
    start = np.array([s for _, s, _ in rows], dtype=np.int64)
    end = start + np.array([n for _, _, n in rows], dtype=np.int64)
    groups = overlap_groups(contig, start, end)
    parent = list(range(len(rows)))

    def find(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for i in range(len(rows)):
        for j in range(i):
            if contig[i] and contig[i] == contig[j] and start[i] < end[j] and start[j] < end[i]:
                parent[find(i)] = find(j)
    roots = [find(i) for i in range(len(rows))]
    for i in range(len(rows)):
        for j in range(i):
            assert (groups[i] == groups[j]) == (roots[i] == roots[j])


def test_rows_are_linked_through_duplicates_and_overlap_together() -> None:
    whole = SequenceTable(
        sequences=["AACC", "GGTT", "ACAC", "TTTT"],
        labels=np.zeros(4, dtype=np.int64),
        ids=np.arange(4).astype(str),
        contig=np.array(["1", "2", "2", "3"]),
        start=np.array([0, 0, 2, 0]),
        end=np.array([4, 4, 6, 4]),
    )
    groups = row_groups(whole)  # 0 and 1 are reverse complements, 1 and 2 overlap
    assert groups[0] == groups[1] == groups[2] != groups[3]
