"""Cures: splits that cut through no group, stratified; variants without a length shortcut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from findna_bench.auditing import audit_tables
from findna_bench.cards import TaskCard
from findna_bench.data.length_matching import cropped, length_matched
from findna_bench.data.resplitting import chromosome_split, grouped_split, partition, regrouped, resplit
from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.relatedness.components import components
from findna_bench.sequences.alphabet import reverse_complement

CARD = TaskCard(name="planted", suite="made-up", labels=("negative", "positive"))


def genome(size: int, seed: int) -> str:
    return "".join(np.array(list("ACGT"))[np.random.default_rng(seed).integers(0, 4, size)])


def cut(contigs: dict[str, str], rows: list[tuple[str, int, int, str, int]]) -> SequenceTable:
    """Rows (contig, start, end, strand, label) with their sequence and coordinates."""
    sequences = []
    for contig, start, end, strand, _ in rows:
        text = contigs[contig][start:end]
        sequences.append(reverse_complement(text) if strand == "-" else text)
    return SequenceTable(
        sequences,
        np.array([row[4] for row in rows], dtype=np.int64),
        np.array([f"r{i}" for i in range(len(rows))]),
        contig=np.array([row[0] for row in rows]),
        start=np.array([row[1] for row in rows], dtype=np.int64),
        end=np.array([row[2] for row in rows], dtype=np.int64),
        strand=np.array([row[3] for row in rows]),
    )


def leaky(seed: int = 0) -> tuple[dict[str, str], dict[str, SequenceTable]]:
    """Negatives come three to a locus, each shifted; positives stand alone; split at random."""
    generator = np.random.default_rng(seed)
    contigs = {name: genome(60_000, seed + i) for i, name in enumerate("123")}
    rows: list[tuple[str, int, int, str, int]] = []
    for contig in contigs:
        for locus in range(0, 59_000, 500):
            if locus % 1000:
                rows.append((contig, locus, locus + 120, "-+"[locus % 3 == 0], 1))
            else:
                rows += [(contig, locus + shift, locus + shift + 120, "+-"[shift == 30], 0) for shift in (0, 30, 60)]
    table = cut(contigs, rows)
    order = generator.permutation(len(rows))
    return contigs, {"train": table.take(order[len(rows) // 5 :]), "test": table.take(order[: len(rows) // 5])}


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), min_size=1, max_size=150),
    st.sampled_from([(0.8, 0.2), (0.7, 0.1, 0.2), (0.2,) * 5]),
    st.integers(0, 5),
)
def test_no_group_is_cut_and_parts_are_a_function_of_the_seed(
    rows: list[tuple[int, int]], fractions: tuple[float, ...], seed: int
) -> None:
    labels, groups = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    part = partition(labels, groups, fractions, np.random.default_rng(seed))
    assert part.min() >= 0
    assert part.max() < len(fractions)
    for group in np.unique(groups):
        assert len(set(part[groups == group].tolist())) == 1
    assert (part == partition(labels, groups, fractions, np.random.default_rng(seed))).all()


def test_shares_of_every_class_are_exact_where_there_are_single_rows_enough() -> None:
    generator = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [500, 300, 50])
    groups = np.arange(850)
    joined = generator.choice(850, 200, replace=False)
    groups[joined] = groups[joined[0]] + 10_000 + np.arange(200) // 4
    part = partition(labels, groups, (0.7, 0.1, 0.2), np.random.default_rng(0))
    for label, n in enumerate((500, 300, 50)):
        held = np.bincount(part[labels == label], minlength=3)
        assert np.abs(held - n * np.array([0.7, 0.1, 0.2])).max() <= 2


def test_components_link_overlap_identity_and_similarity_across_strands() -> None:
    contigs = {"1": genome(5000, 5)}
    table = cut(
        contigs,
        [
            ("1", 0, 100, "+", 0),  # 0 overlaps 1
            ("1", 99, 200, "+", 1),
            ("1", 1000, 1100, "+", 0),  # 2 has a similar row elsewhere: 3
            ("1", 3000, 3100, "-", 0),
            ("1", 4000, 4100, "+", 1),  # alone
        ],
    )
    similar = list(table.sequences[2])
    for i in (20, 50, 80):
        similar[i] = "ACGT"[("ACGT".index(similar[i]) + 1) % 4]
    table.sequences[3] = reverse_complement("".join(similar))
    assert components(table).tolist() == [0, 0, 1, 1, 2]
    assert components(table, similar=False).tolist() == [0, 0, 1, 2, 3]


def test_a_chain_of_relatives_is_one_component() -> None:
    text = genome(1000, 6)
    chain = [text[i : i + 120] for i in range(0, 880, 40)]
    table = SequenceTable([*chain, genome(120, 7)], np.zeros(len(chain) + 1, dtype=np.int64), np.arange(len(chain) + 1))
    assert components(table).tolist() == [0] * len(chain) + [1]


def test_regrouping_a_leaky_task_leaves_nothing_of_the_leak() -> None:
    _, tables = leaky()
    before = audit_tables(tables, CARD)
    assert {"leak: overlap", "shortcut: overlap"} <= set(before.flags)
    cured = regrouped(tables, CARD.labels, seed=0)
    assert cured.warning == ""
    after = audit_tables(cured.tables, CARD)
    assert not [flag for flag in after.flags if flag.startswith(("leak", "shortcut", "asymmetric"))]
    for key in ("overlap_any", "similar"):
        counts = getattr(after.across["train->test"], key)
        assert counts.total == 0
    rows = sorted(i for table in cured.tables.values() for i in table.ids.tolist())
    assert rows == sorted(f"{split}/{i}" for split, table in tables.items() for i in table.ids.tolist())
    test = cured.tables["test"]
    assert np.abs(test.class_counts(2) / sum(t.class_counts(2) for t in tables.values()) - 0.2).max() < 0.02


def test_folds_cover_every_row_once_and_cut_no_group() -> None:
    _, tables = leaky(3)
    table = tables["train"]
    groups = components(table)
    folds = grouped_split(table, seed=1, k=4)
    assert sorted(np.concatenate([test for _, test in folds]).tolist()) == list(range(len(table)))
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
    assert [t.tolist() for _, t in grouped_split(table, seed=1, k=4)] == [t.tolist() for _, t in folds]
    second = resplit(tables, CARD.labels, "grouped:1/4", seed=2)
    third = resplit(tables, CARD.labels, "grouped:2/4", seed=2)
    assert not set(second.tables["test"].ids) & set(third.tables["test"].ids)


def test_too_few_independent_groups_are_not_evaluable() -> None:
    contigs = {"1": genome(20_000, 8)}
    rows = [("1", 10 * i, 10 * i + 100, "+", 0) for i in range(60)]  # one long pile of negatives
    rows += [("1", 2000 + 200 * i, 2100 + 200 * i, "+", 1) for i in range(80)]
    table = cut(contigs, rows)
    cured = regrouped(
        {"train": table.take(np.arange(0, 140, 2)), "test": table.take(np.arange(1, 140, 2))}, CARD.labels
    )
    assert cured.warning.startswith("not evaluable: fewer than 30 independent groups in test (negative ")
    with pytest.raises(DataError, match="too few for 200 folds"):
        grouped_split(table, seed=0, k=200)


def test_chromosomes_are_held_out_whole() -> None:
    _, tables = leaky(4)
    cured = chromosome_split(tables, CARD.labels, test=["2"], validation=["3"])
    assert {split: set(t.contig.tolist()) for split, t in cured.tables.items() if t.contig is not None} == {
        "train": {"1"},
        "validation": {"3"},
        "test": {"2"},
    }
    drawn = resplit(tables, CARD.labels, "chromosome")
    assert not set(drawn.tables["train"].contig) & set(drawn.tables["test"].contig)  # type: ignore[arg-type]
    named = resplit(tables, CARD.labels, "chromosome:chr2+3")
    assert named.tables["test"].contig is not None
    assert set(named.tables["test"].contig) == {"2", "3"}
    assert set(named.tables) == {"train", "test"}
    with pytest.raises(DataError, match="no row lies on 9"):
        resplit(tables, CARD.labels, "chromosome:9")
    with pytest.raises(DataError, match="none is left to train on"):
        resplit(tables, CARD.labels, "chromosome:1+2+3")
    for wrong in ("chromosome:", "chromosome:1+", "grouped:", "grouped:2/2", "random"):
        with pytest.raises(ValueError, match="is none of official"):
            resplit(tables, CARD.labels, wrong)


def test_cropping_moves_coordinates_with_the_bases() -> None:
    contigs = {"1": genome(3000, 9)}
    table = cut(
        contigs, [("1", 10, 111, "+", 0), ("1", 500, 700, "-", 1), ("1", 900, 950, "-", 1), ("1", 1000, 1051, "-", 0)]
    )
    out = cropped(table, 50)
    assert [len(s) for s in out.sequences] == [50, 50, 50, 50]
    assert out.start is not None
    assert out.end is not None
    again = cut(
        contigs, [(c, s, e, d, 0) for c, s, e, d in zip(table.contig, out.start, out.end, table.strand, strict=True)]
    )  # type: ignore[arg-type]
    assert again.sequences == out.sequences


@pytest.mark.parametrize("how", ["crop", "match"])
def test_length_matching_removes_the_length_shortcut(how: str) -> None:
    generator = np.random.default_rng(10)
    labels = generator.integers(0, 2, 3000)
    lengths = np.where(labels == 1, generator.integers(80, 110, 3000), generator.integers(90, 130, 3000))
    sequences = [genome(int(length), i) for i, length in enumerate(lengths)]
    table = SequenceTable(sequences, labels, np.arange(3000))
    parts = {"train": table.take(np.arange(2000)), "test": table.take(np.arange(2000, 3000))}
    assert "shortcut: length" in audit_tables(parts, CARD).flags
    matched = length_matched(table, how)
    n = 2 * len(matched) // 3
    order = np.random.default_rng(0).permutation(len(matched))
    cured = {"train": matched.take(order[:n]), "test": matched.take(order[n:])}
    assert "shortcut: length" not in audit_tables(cured, CARD).flags
    assert min(matched.class_counts(2)) > 400
