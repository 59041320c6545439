"""Drawn, dealt and cut rows, against the same rules written out as plain loops, and bounds at, below and above."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import refusal

from findna_bench.data.length_matching import cropped, length_matched, trimmed
from findna_bench.data.pairs import with_strata
from findna_bench.data.resplitting import (
    LEAST_GROUPS,
    chromosome_split,
    evaluable_contigs,
    grouped_split,
    independent_groups,
    not_evaluable,
    partition,
    pooled_rows,
    regrouped,
    resplit,
)
from findna_bench.data.splits import draw_rows, draw_validation
from findna_bench.data.table import SequenceTable, rarest_labels


def table(labels: Any, sequences: list[str] | None = None, **more: Any) -> SequenceTable:
    truth = np.asarray(labels)
    texts = sequences or ["".join("ACGT"[(i >> 2 * k) % 4] for k in range(12)) for i in range(len(truth))]
    return SequenceTable(texts, truth, np.arange(len(truth)).astype(str), **more)


def drawn_by_hand(labels: list[int], groups: list[int], seed: int, fraction: float) -> list[bool]:
    """Groups in random order while every class they hold has room; then the smallest group of a class that has none."""
    sizes = Counter(labels)
    room = {c: min(max(1, round(fraction * n)), n - 1) if n > 1 else 0 for c, n in sizes.items()}
    limit = {c: max(room[c], n // 2) for c, n in sizes.items()}
    names = sorted(set(groups))
    held = {g: Counter(c for c, own in zip(labels, groups, strict=True) if own == g) for g in names}
    taken: list[int] = []
    for number in np.random.default_rng(seed).permutation(len(names)).tolist():
        if all(n <= room[c] for c, n in held[names[number]].items()):
            taken.append(names[number])
            for c, n in held[names[number]].items():
                room[c] -= n
    for c in sorted(sizes):
        drawn = sum((held[g] for g in taken), Counter())
        if drawn[c]:
            continue
        for g in sorted((g for g in names if held[g][c]), key=lambda g: (sum(held[g].values()), g)):
            if all(drawn[k] + held[g][k] <= limit[k] for k in sizes):
                taken.append(g)
                break
    return [g in taken for g in groups]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=40),
    st.integers(0, 3),
    st.sampled_from([0.1, 0.25, 0.5]),
)
def test_rows_are_drawn_as_the_rule_says(rows: list[tuple[int, int]], seed: int, fraction: float) -> None:
    labels, groups = [c for c, _ in rows], [g for _, g in rows]
    found = draw_rows(np.array(labels), np.array(groups), np.random.default_rng(seed), fraction)
    assert found.tolist() == drawn_by_hand(labels, groups, seed, fraction)


def test_shares_that_are_none_are_refused_and_none_of_none_are_drawn() -> None:
    for fraction in (0.0, 1.0, -0.1, 1.5):
        with pytest.raises(ValueError, match=f"^fraction must lie between 0 and 1, not {fraction}$"):
            draw_rows(np.zeros(2), np.arange(2), np.random.default_rng(0), fraction)
    assert draw_rows(np.zeros(0), np.zeros(0), np.random.default_rng(0), 0.5).tolist() == []


def test_a_tenth_is_drawn_unless_strata_or_shares_say_otherwise() -> None:
    rows = table(np.repeat([0, 1], [30, 10]))
    train, validation = draw_validation(rows, 0)
    assert (len(train), len(validation)) == (36, 4)
    assert np.bincount(rows.labels[validation]).tolist() == [3, 1]
    strata = np.repeat([0, 1, 2, 3], 10)
    assert np.bincount(strata[draw_validation(rows, 0, 0.2, strata=strata)[1]]).tolist() == [2, 2, 2, 2]
    together = np.repeat(np.arange(20), 2)
    _, pairs = draw_validation(rows, 0, 0.2, groups=together)
    assert sorted(Counter(together[pairs].tolist()).values()) == [2] * (len(pairs) // 2)
    few = table([0, 0, 1, 1], group=np.array(["a"] * 4))
    said = "no validation rows can be drawn from 4 rows in 1 groups of related sequences; give a validation split"
    assert refusal(lambda: draw_validation(few, 0)) == said
    sides = table([0, 0, 1, 1], group=np.array(["a"] * 4), sequences_b=["AC", "CC", "GG", "TT"])
    assert (
        refusal(lambda: draw_validation(sides, 0))
        == f"{said}, or a column group (pairs that share a side are related, and so are theirs)"
    )


def dealt_by_hand(labels: list[int], groups: list[int], fractions: tuple[float, ...], seed: int) -> list[int]:
    """Large groups first, each where its classes are furthest below their share; single rows class by class, by largest remainders."""
    rng, names = np.random.default_rng(seed), sorted(set(groups))
    held = {g: Counter(c for c, own in zip(labels, groups, strict=True) if own == g) for g in names}
    size = {g: sum(held[g].values()) for g in names}
    classes = range(max(labels) + 1)
    wanted = [[f * labels.count(c) for c in classes] for f in fractions]
    there = [[0.0 for _ in classes] for _ in fractions]
    part: dict[int, int] = {}
    many = rng.permutation([i for i, g in enumerate(names) if size[g] > 1]).astype(int).tolist()
    for i in sorted(many, key=lambda i: -size[names[i]]):
        g = names[i]
        room = [
            sum((w - t) / max(w, 1) * held[g][c] for c, (w, t) in enumerate(zip(ws, ts, strict=True)))
            for ws, ts in zip(wanted, there, strict=True)
        ]
        best = max(range(len(fractions)), key=lambda p: (round(room[p], 9), -p))
        part[g] = best
        for c in classes:
            there[best][c] += held[g][c]
    for c in classes:
        single = rng.permutation([i for i, g in enumerate(names) if size[g] == 1 and held[g][c]]).astype(int).tolist()
        left = [max(wanted[p][c] - there[p][c], 0) for p in range(len(fractions))]
        exact = [x * len(single) / sum(left) if sum(left) > 0 else len(single) / len(left) for x in left]
        whole = [int(x) for x in exact]
        order = sorted(range(len(exact)), key=lambda p: (-round(exact[p] - whole[p], 9), p))
        for p in order[: len(single) - sum(whole)]:
            whole[p] += 1
        places = [p for p, n in enumerate(whole) for _ in range(n)]
        part |= {names[i]: p for i, p in zip(single, places, strict=True)}
    return [part[g] for g in groups]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 25)), min_size=1, max_size=60),
    st.sampled_from([(0.75, 0.25), (0.5, 0.25, 0.25), (0.25,) * 4]),
    st.integers(0, 3),
)
def test_rows_are_dealt_to_parts_as_the_rule_says(
    rows: list[tuple[int, int]], fractions: tuple[float, ...], seed: int
) -> None:
    labels, groups = [c for c, _ in rows], [g for _, g in rows]
    found = partition(np.array(labels), np.array(groups), fractions, np.random.default_rng(seed))
    assert found.tolist() == dealt_by_hand(labels, groups, fractions, seed)


@pytest.mark.parametrize("fractions", [(0.5, 0.4), (0.5, 0.5 + 2e-9), (1.0, 0.0), (1.5, -0.5)])
def test_parts_are_shares_of_a_whole(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"^fractions must be positive and sum to 1, not \["):
        partition(np.array([0, 1]), np.array([0, 1]), fractions, np.random.default_rng(0))
    assert len(partition(np.array([0, 1]), np.array([0, 1]), (0.5, 0.5 + 5e-10), np.random.default_rng(0))) == 2


def test_folds_are_five_and_need_as_many_groups() -> None:
    rows = table([0, 1] * 5)
    folds = grouped_split(rows, 0, groups=np.arange(10))
    assert [len(test) for _, test in folds] == [2] * 5
    assert sorted(np.concatenate([test for _, test in folds]).tolist()) == list(range(10))
    for train, test in folds:
        assert sorted([*train.tolist(), *test.tolist()]) == list(range(10))
    assert len(grouped_split(rows, 0, 3, groups=np.repeat(np.arange(3), [4, 3, 3]))) == 3
    assert (
        refusal(lambda: grouped_split(rows, 0, 4, groups=np.repeat(np.arange(3), [4, 3, 3])))
        == "10 rows form only 3 independent groups, too few for 4 folds"
    )


def test_a_class_needs_thirty_groups_to_be_evaluated() -> None:
    assert LEAST_GROUPS == 30
    assert not_evaluable([30, 31], ("a", "b")) == ""
    said = "not evaluable: fewer than 30 independent groups in test"
    assert not_evaluable([29, 30], ("a", "b")) == f"{said} (a 29)"
    assert not_evaluable([3, 0, 30], ("a", "b", "c")) == f"{said} (a 3, b 0)"
    assert not_evaluable([4], ("a", "b")) == f"{said} (rows 4)"
    labels, groups = np.array([0, 0, 2, 2, 2]), np.array([5, 5, 5, 6, 7])
    assert independent_groups(labels, groups, 4) == [1, 0, 3, 0]
    assert independent_groups(np.zeros((5, 1)), groups, 1) == [3]


def placed(contigs: list[str], labels: Any, *, start: np.ndarray | None = None) -> SequenceTable:
    n = len(contigs)
    first = np.arange(n) * 100 if start is None else start
    return table(labels, contig=np.array(contigs), start=first, end=first + 12, strand=np.full(n, "+"))


def test_contigs_are_held_out_by_name_or_drawn_while_they_bring_the_share_nearer() -> None:
    sizes = {"1": 40, "2": 25, "3": 20, "X": 15}
    contigs = [name for name, n in sizes.items() for _ in range(n)]
    rows = placed(contigs, np.arange(100) % 2)
    tables = {"train": rows.take(np.arange(0, 100, 4)), "test": rows.take([i for i in range(100) if i % 4])}
    for share, made in ((75.0, tables), (20.0, {"train": rows})):  # a fifth where there is no test split
        for seed in range(6):
            held, chosen = 0, set()
            for i in np.random.default_rng(seed).permutation(4).tolist():
                name = sorted(sizes)[i]
                if abs(held + sizes[name] - share) <= abs(held - share):
                    chosen.add(name)
                    held += sizes[name]
            found = chromosome_split(made, ("a", "b"), seed=seed).tables
            assert found["test"].contig is not None
            assert set(found["test"].contig.tolist()) == chosen
            assert sum(map(len, found.values())) == 100
    named = chromosome_split(tables, ("a", "b"), ["X"], ["2", "X"])
    assert {split: len(part) for split, part in named.tables.items()} == {"train": 60, "validation": 25, "test": 15}
    assert named.groups == {"train": [30, 30], "validation": [13, 12], "test": [7, 8]}
    assert named.warning.startswith("not evaluable: fewer than 30 independent groups in test (a ")
    assert chromosome_split(tables, ("a", "b"), ["1", "2"]).warning == ""
    assert named.tables["test"].ids.tolist()[0].split("/")[0] in ("train", "test")
    small = placed(["1", "2", "2", "2"], [0, 1, 0, 1])
    assert chromosome_split({"train": small.take([0, 1, 2]), "test": small.take([3])}, ("a", "b")).tables[
        "test"
    ].ids.tolist() == ["train/0"]


@pytest.mark.parametrize(
    ("test", "validation", "message"),
    [
        (["7"], ["9", "8"], "no row lies on 7, 8, 9; contigs are 1, 2"),
        (["1"], ["2"], "all rows lie on 1, 2: none is left to train on"),
        (["1", "2"], [], "all rows lie on 1, 2: none is left to train on"),
    ],
)
def test_contigs_that_leave_nothing_are_refused(test: list[str], validation: list[str], message: str) -> None:
    rows = placed(["1", "2"] * 4, [0, 1] * 4)
    assert refusal(lambda: chromosome_split({"train": rows}, ("a", "b"), test, validation)) == message


def test_rows_without_places_have_no_chromosomes() -> None:
    said = "a split by chromosome needs the coordinates of every row; this copy has none for some"
    for rows in (table([0, 1]), placed(["1", ""], [0, 1])):
        assert refusal(lambda rows=rows: chromosome_split({"train": rows}, ("a", "b"))) == said  # type: ignore[misc]
        assert refusal(lambda rows=rows: evaluable_contigs({"train": rows}, ("a", "b"))) == said  # type: ignore[misc]
    many = placed([f"c{n:02}" for n in range(32)], [0, 1] * 16)
    known = ", ".join(f"c{n:02}" for n in range(30))
    assert (
        refusal(lambda: chromosome_split({"train": many}, ("a", "b"), ["x"]))
        == f"no row lies on x; contigs are {known}"
    )


def test_chromosomes_with_enough_of_every_class_are_folds() -> None:
    contigs = [*["1"] * 60, *["2"] * 60, *["3"] * 59]
    rows = placed(contigs, np.arange(179) % 2)
    kept, left = evaluable_contigs({"train": rows}, ("a", "b"))
    assert kept == ["1", "2"]
    assert left == {"3": "not evaluable: fewer than 30 independent groups in test (b 29)"}
    assert (
        refusal(lambda: evaluable_contigs({"train": rows.take(np.arange(60, 179))}, ("a", "b")))
        == "1 chromosomes have 30 independent groups of every class; all folds by chromosome need two"
    )


def test_regrouped_rows_keep_the_shares_of_their_splits_and_groups() -> None:
    rows = table(np.arange(200) % 2)
    tables = {
        "train": rows.take(np.arange(140)),
        "validation": rows.take(np.arange(140, 160)),
        "test": rows.take(np.arange(160, 200)),
    }
    pooled = pooled_rows(tables)
    assert pooled.ids.tolist()[139:141] == ["train/139", "validation/140"]
    groups = np.arange(200) // 2
    cured = regrouped(tables, ("a", "b"), 3, groups=groups)
    assert list(cured.tables) == ["train", "validation", "test"]
    assert [len(part) for part in cured.tables.values()] == [140, 20, 40]
    assert cured.groups == {"train": [70, 70], "validation": [10, 10], "test": [20, 20]}
    assert cured.warning == "not evaluable: fewer than 30 independent groups in test (a 20, b 20)"
    first = regrouped(tables, ("a", "b"), 3, fold=0, k=2, groups=groups)
    second = regrouped(tables, ("a", "b"), 3, fold=1, k=2, groups=groups)
    assert set(first.tables["test"].ids.tolist()) == set(second.tables["train"].ids.tolist())
    assert (first.warning, list(first.tables)) == ("", ["train", "test"])  # of all folds together there are a hundred
    assert (
        first.tables["test"].ids.tolist()
        == resplit(tables, ("a", "b"), "grouped:0/2", 3, groups=groups).tables["test"].ids.tolist()
    )
    few = regrouped(tables, ("a", "b"), k=2, groups=np.arange(200) // 7)
    assert few.warning.startswith("not evaluable: fewer than 30 independent groups in test (a 29, b 29)")


@pytest.mark.parametrize("length", [1, 4, 5, 6, 7, 9])
def test_the_middle_of_every_row_is_kept_with_its_place(length: int) -> None:
    texts = ["ACGTACG", "ACGTAC", "ACGTACG", "A"]
    starts = np.array([10, 20, 30, 40])
    rows = table(
        [0, 1, 0, 1],
        texts,
        contig=np.full(4, "1"),
        start=starts,
        end=starts + np.array([7, 6, 7, 1]),
        strand=np.array(["+", "+", "-", "-"]),
    )
    out = cropped(rows, length)
    for row, text in enumerate(texts):
        size = min(length, len(text))
        before = (len(text) - size) // 2
        assert out.sequences[row] == text[before : before + size]
        from_left = before if rows.strand[row] == "+" else len(text) - before - size  # type: ignore[index]
        assert out.start is not None
        assert out.end is not None
        assert (out.start[row], out.end[row]) == (starts[row] + from_left, starts[row] + from_left + size)
    bare = cropped(table([0, 1, 0, 1], texts), length)
    assert (bare.sequences, bare.start) == (out.sequences, None)
    places = cropped(
        table([0, 1], ["", ""], contig=np.full(2, "1"), start=np.array([0, 5]), end=np.array([9, 9])), length
    )
    assert [int(n) for n in places.end - places.start] == [min(length, 9), min(length, 4)]  # type: ignore[operator]
    assert places.start.tolist() == [(9 - min(length, 9)) // 2, 5 + (4 - min(length, 4)) // 2]  # type: ignore[union-attr]


@pytest.mark.parametrize("bases", [0, 1, 2, 3, 4, 10])
def test_ends_are_cut_off_and_the_middle_stays(bases: int) -> None:
    texts = ["ACGTACG", "ACGTAC", "A", "AC"]
    starts = np.array([10, 20, 30, 40])
    rows = table([0, 1, 0, 1], texts, contig=np.full(4, "1"), start=starts, end=starts + np.array([7, 6, 1, 2]))
    out = trimmed(rows, bases)
    cuts = [min(bases, (len(text) - 1) // 2) for text in texts]
    assert out.sequences == [text[cut : len(text) - cut] for text, cut in zip(texts, cuts, strict=True)]
    assert out.start is not None
    assert out.end is not None
    assert out.start.tolist() == (starts + cuts).tolist()
    assert out.end.tolist() == [s + len(t) - c for s, t, c in zip(starts, texts, cuts, strict=True)]
    bare = trimmed(table([0, 1, 0, 1], texts), bases)
    assert (bare.sequences, bare.end) == (out.sequences, None)


def test_lengths_are_matched_row_for_row_or_cut_to_what_nine_tenths_have() -> None:
    lengths = [5, 5, 5, 6, 6, 7, 8, 5, 6, 6, 7, 7, 7]
    labels = [0] * 7 + [1] * 6
    rows = table(labels, ["A" * n for n in lengths])
    for seed in range(3):
        out = length_matched(rows, "match", seed=seed)
        held = Counter(zip(map(len, out.sequences), out.labels.tolist(), strict=True))
        assert held == {(5, 0): 1, (5, 1): 1, (6, 0): 2, (6, 1): 2, (7, 0): 1, (7, 1): 1}
        assert out.ids.tolist() == sorted(out.ids.tolist(), key=int)
    assert len({tuple(length_matched(rows, "match", seed=seed).ids.tolist()) for seed in range(9)}) > 1
    even = table([0] * 20 + [1] * 20, ["A" * n for n in [*range(10, 30), *range(12, 32)]])
    out = length_matched(even)
    least = int(np.quantile(np.arange(10, 30), 0.1))
    assert {len(text) for text in out.sequences} == {least}
    assert len(out) == sum(n >= least for n in [*range(10, 30), *range(12, 32)])
    assert {len(text) for text in length_matched(even, length=20).sequences} == {20}
    assert (
        refusal(lambda: length_matched(even, length=30))
        == "no row of class 0 is left after length matching by crop; choose another length or the other way"
    )
    apart = table([0, 1], ["AA", "AAA"])
    assert refusal(lambda: length_matched(apart, "match")).startswith(
        "no row of class 0 is left after length matching by match;"
    )
    with pytest.raises(ValueError, match=r"^how must be crop or match, not 'cut'$"):
        length_matched(even, "cut")


def test_the_rarest_label_of_a_row_is_its_stratum() -> None:
    truth = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0], [-1, 1, 1], [1, -1, 0]])
    assert rarest_labels(truth).tolist() == [1, 0, 2, 3, 1, 0]
    assert table(truth.astype(np.int8)).strata.tolist() == [1, 0, 2, 3, 1, 0]
    assert table(truth.astype(np.float64)).strata.tolist() == [0] * 6
    assert table([2, 0, 1]).strata.tolist() == [2, 0, 1]


def test_pairs_are_listed_by_fifths_of_their_distance() -> None:
    def strata(*distances: float) -> list[str]:
        n = len(distances)
        rows = table([0] * n, sequences_b=["A"] * n, extra={"distance": np.array(distances)})
        half = {"train": rows.take(np.arange(0, n, 2)), "test": rows.take(np.arange(1, n, 2))}
        made = with_strata(half)
        names = np.empty(n, dtype=object)
        names[0::2], names[1::2] = made["train"].extra["element"], made["test"].extra["element"] if n > 1 else []
        return list(names)

    assert strata(*range(10)) == [f"distance {2 * (i // 2)} to {2 * (i // 2) + 1}" for i in range(10)]
    assert strata(0, 0, 0, 0, 5, 1000.5, float("nan"), 12_345, 20_000, 20_000) == [
        *["distance 0"] * 4,
        *["distance 5 to 1,000.5"] * 2,
        "no distance",
        *["distance 12,345 to 20,000"] * 3,
    ]
    assert strata(7, 7, 7) == ["distance 7"] * 3
    assert strata(float("nan"), float("nan")) == ["no distance"] * 2
    without = {"train": table([0, 1])}
    assert with_strata(without) == without


def test_tables_refuse_columns_of_other_lengths_and_join_what_they_share() -> None:
    with pytest.raises(ValueError, match=r"^column ids has 1 rows, sequences has 2$"):
        SequenceTable(["A", "C"], np.zeros(2), np.zeros(1))
    lower = np.array([b"x", b"y"], dtype=object)
    one = table([0, 1], extra={"a": np.array([1, 2]), "b": np.array([3, 4])}, group=np.array(["g", "h"]), lower=lower)
    two = table([1], extra={"a": np.array([5]), "c": np.array([6])})
    both = SequenceTable.concatenate([one, two])
    assert (both.labels.tolist(), {name: v.tolist() for name, v in both.extra.items()}) == ([0, 1, 1], {"a": [1, 2, 5]})
    assert both.group is None
    assert both.lower is not None
    assert both.lower.tolist() == [b"x", b"y", b""]
    assert SequenceTable.concatenate([two, two]).lower is None
    assert one.take([1]).group.tolist() == ["h"]  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"^these rows are no pairs$"):
        one.side("a")
    sides = table([0], ["AC"], sequences_b=["GGG"])
    assert (sides.side("a").sequences, sides.side("b").sequences, sides.texts) == (["AC"], ["GGG"], [("AC", "GGG")])
    assert (one.lengths.tolist(), sides.lengths.tolist(), one.texts[1]) == ([12, 12], [5], (one.sequences[1],))
    assert one.class_counts(4).tolist() == [1, 1, 0, 0]
    assert one.coordinates() is None
    there = placed(["1", "2"], [0, 1]).coordinates()
    assert there is not None
    assert (there.sequences, there.strand.tolist()) == (["", ""], ["+", "+"])  # type: ignore[union-attr]


def test_genes_are_apart_and_transcripts_strictly_longer(tmp_path: Path) -> None:
    from findna_bench.cards import TaskCard
    from findna_bench.data.archives import FolderTree
    from findna_bench.data.transcripts import build_transcripts, read_transcripts

    (tmp_path / "x.A_b.v1.fa").write_text(">t1 gene:G1.2 a\nACGTA\n>t2 other\nACGT\n>\nACGTACGTN\n")
    (tmp_path / "A_b.v1.cdna.fa").write_text(">t1 gene:G1.2 a\nACGTA\n>t2 other\nACGT\n>\nACGTACGTN\n>t4\nacgtaa\n")
    (tmp_path / "c.fasta").write_text(">u\nGGGGG\n")
    tree = FolderTree(tmp_path)
    found = read_transcripts(tree, [("a_B", "x"), ("C", "y")], 4, 6)
    assert found is not None
    assert (found.ids, found.genes) == (["t1", "3", "t4", "u"], ["a_B:G1", "a_B:3", "a_B:t4", "C:u"])
    assert (found.classes, found.lengths) == (["x", "x", "x", "y"], [5, 9, 6, 5])
    assert found.sequences == ["ACGTA", "ACGTAC", "ACGTAA", "GGGGG"]
    assert read_transcripts(tree, [("Z", "x")], 4, 6) is None
    asked = [("a_B", "x"), ("Z", "y")]
    assert (
        refusal(lambda: read_transcripts(tree, asked, 4, 6))
        == f"{tmp_path}: no FASTA file of Z; one of each is needed: a_B, Z"
    )
    (tmp_path / "C2.fa.gz").touch()
    assert (
        refusal(lambda: read_transcripts(FolderTree(tmp_path), [("a_B", "x"), ("C", "y")], 4, 6))
        == f"{tmp_path}: 2 FASTA files (C2.fa.gz, c.fasta) of C; one of each is needed: a_B, C"
    )
    (tmp_path / "c.fasta").write_text("")
    assert refusal(lambda: read_transcripts(tree, [("a_B", "x"), ("C", "y")], 4, 6)) == f"{tmp_path}/c.fasta is empty"
    (tmp_path / "c.fasta").write_text(">s\nAC\n>u\nGGG!G\n")
    assert refusal(lambda: read_transcripts(tree, [("C", "y")], 4, 6)).startswith(f"{tmp_path}/c.fasta, record 2 (u): ")
    card = TaskCard(name="t", suite="s", labels=("x", "y"), config={"max_length": 7, "min_length": 4, "pad": True})
    assert (
        refusal(lambda: build_transcripts(card, found))
        == "s/t: 4 transcripts are longer than 4 bases, too few to split"
    )
    ten = type(found)(
        *(column * 3 for column in ([*found.ids], found.genes, found.classes, found.sequences, found.lengths))
    )
    made = build_transcripts(card, ten)
    assert {split: len(rows) for split, rows in made.items()} == {"train": 6, "validation": 3, "test": 3}
    whole = SequenceTable.concatenate(list(made.values()))
    assert {len(text) for text in whole.sequences} == {7}
    assert sorted(whole.extra["transcript_length"].tolist()) == [5] * 6 + [6] * 3 + [9] * 3
