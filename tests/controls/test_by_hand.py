"""What controls say, against counts, least squares and library fits written out here."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy.stats import linregress
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from findna_baselines.controls.base_context import BaseContext, BasePosition
from findna_baselines.controls.nn_overlap import NearestOverlap
from findna_baselines.controls.pair_controls import ElementMeans, PairTrees
from findna_baselines.controls.position import PositionFeatures
from findna_baselines.controls.trivial import TrivialClassifier
from findna_baselines.controls.variant_means import VariantMeans
from findna_bench.api import NO_STATE, ModelError, SequenceTable, UnsupportedError, reverse_complement

X = NO_STATE


def dna(n: int, seed: int, letters: str = "ACGT") -> str:
    return "".join(np.random.default_rng(seed).choice(list(letters), size=n))


def table(sequences: list[str], labels: Any, **columns: Any) -> SequenceTable:
    return SequenceTable(sequences, np.asarray(labels), np.arange(len(sequences)), **columns)


# -------------------------------------------------------------------------------------------------------- states per base


def states(sequences: list[str], seed: int, width: int) -> SequenceTable:
    """States that follow from the base and its left neighbour, some of them not known."""
    generator = np.random.default_rng(seed)
    labels = np.full((len(sequences), width), X, dtype=np.uint8)
    for row, sequence in enumerate(sequences):
        for place, base in enumerate(sequence):
            before = sequence[place - 1] if place else "."
            said = {"A": 0, "C": 1}.get(before, 2) if base in "GT" else 0
            labels[row, place] = X if generator.random() < 0.1 else said
    return table(sequences, labels)


def shares_by_key(rows: SequenceTable, key: Any, n_states: int) -> Any:
    """Key -> shares of states, with one base more that has the shares of all."""
    known = [
        (key(s, p), int(rows.labels[r, p]))
        for r, s in enumerate(rows.sequences)
        for p in range(len(s))
        if rows.labels[r, p] != X
    ]
    overall = np.bincount([state for _, state in known], minlength=n_states).astype(float)
    overall = (overall + (overall == 0).any()) / (overall + (overall == 0).any()).sum()
    counts: dict[Any, Any] = {}
    for name, state in known:
        counts.setdefault(name, np.zeros(n_states))[state] += 1
    return lambda name: (counts.get(name, np.zeros(n_states)) + overall) / (np.sum(counts.get(name, 0)) + 1)


def mean_loss(rows: SequenceTable, shares: Any, key: Any) -> float:
    losses = [
        -math.log(max(1e-7, shares(key(s, p))[rows.labels[r, p]]))
        for r, s in enumerate(rows.sequences)
        for p in range(len(s))
        if rows.labels[r, p] != X
    ]
    return sum(losses) / len(losses)


def around(flank: int) -> Any:
    return lambda s, p: "".join(s[i] if 0 <= i < len(s) else "." for i in range(p - flank, p + flank + 1))


def test_states_by_context_are_counted_with_one_base_more_and_the_best_context_is_taken() -> None:
    train = states([dna(40, seed, "ACGTN") for seed in range(6)] + ["G", "NN"], 0, 41)
    validation = states([dna(30, 10), dna(41, 11), "T"], 1, 41)
    control = BaseContext(flanks=(0, 1, 2)).fit(train, validation, 0, 4)  # state 3 has no base
    expected = {}
    for flank in (0, 1, 2):
        shares = shares_by_key(train, around(flank), 4)
        expected[str(2 * flank + 1)] = {"loss": pytest.approx(mean_loss(validation, shares, around(flank)))}
    assert control.settings == {"bases": 3, "validation": expected}
    test = states([dna(25, 20, "ACGTN"), "AC"], 2, 25)
    found = control.predict_scores(test)
    assert (found.shape, found.dtype) == ((2, 25, 4), np.float16)
    shares = shares_by_key(train, around(1), 4)
    for row, sequence in enumerate(test.sequences):
        right = [shares(around(1)(sequence, place)) for place in range(len(sequence))]
        np.testing.assert_allclose(found[row, : len(sequence)], right, atol=1e-3)
        assert not found[row, len(sequence) :].any()


def test_states_by_place_are_counted_in_bins_of_the_longest_train_sequence() -> None:
    def by_place(width: int, n: int, seed: int) -> SequenceTable:
        generator = np.random.default_rng(seed)
        labels = np.full((n, 23), X, dtype=np.uint8)
        for row in range(n):
            labels[row, :width] = [int(place * 4 // 20 + (generator.random() < 0.2)) % 4 for place in range(width)]
        labels[0, ::3] = X
        return table([dna(width, seed + row) for row in range(n)], labels)

    train, validation = by_place(20, 8, 0), by_place(23, 4, 50)
    control = BasePosition().fit(train, validation, 0, 4)

    def binned(bins: int) -> Any:
        return lambda s, p: min(p, 19) * bins // 20

    losses = {
        bins: mean_loss(validation, shares_by_key(train, binned(bins), 4), binned(bins)) for bins in (1, 4, 16, 20)
    }
    assert control.settings == {
        "bins": 4,
        "window": 20,
        "validation": {str(bins): {"loss": pytest.approx(loss)} for bins, loss in losses.items()},
    }
    assert min(losses, key=lambda bins: losses[bins]) == 4
    shares = shares_by_key(train, binned(4), 4)
    found = control.predict_scores(validation)
    np.testing.assert_allclose(found[1], [shares(binned(4)("", place)) for place in range(23)], atol=1e-3)


# ------------------------------------------------------------------------------------------------------------------ pairs


@pytest.mark.parametrize("combination", ["concat", "absdiff_product"])
def test_means_of_elements_begin_with_two_rows_of_the_mean_of_all(combination: str) -> None:
    a, b, c = (dna(12, seed) for seed in (1, 2, 3))
    sides = [(a, b), (a, c), (reverse_complement(a), b), (c, c), (b, a)]
    labels = np.array([[1, 0], [0, -1], [1, 1], [0, 1], [-1, 0]])
    rows = table([one for one, _ in sides], labels, sequences_b=[other for _, other in sides])
    control = ElementMeans(combination).fit(rows, rows, 0, 2)
    ordered = combination == "concat"
    overall = np.array([2 / 4, 2 / 4])

    def mean(sequence: str, side: int) -> np.ndarray:
        own = {sequence, reverse_complement(sequence)}
        held = [row for row, pair in enumerate(sides) if (pair[side] in own if ordered else own & set(pair))]
        known = [[labels[row, k] for row in held if labels[row, k] >= 0] for k in range(2)]
        return np.array([(sum(values) + 2 * overall[k]) / (len(values) + 2) for k, values in enumerate(known)])

    asked = [(a, b), (b, c), (reverse_complement(c), a), (dna(9, 9), b), (dna(9, 9), dna(9, 8))]
    new = table([one for one, _ in asked], np.zeros((5, 2), int), sequences_b=[other for _, other in asked])
    expected = [(mean(one, 0) + mean(other, 1)) / 2 for one, other in asked]
    np.testing.assert_allclose(control.predict_scores(new), expected)
    assert control.settings == {"elements": 6 if ordered else 3, "prior_rows": 2.0, "ordered": ordered}
    classes = table([one for one, _ in sides], [0, 1, 0, 2, 1], sequences_b=[other for _, other in sides])
    (found,) = ElementMeans(combination).fit(classes, classes, 0, 3).predict_scores(new.take(np.array([4])))
    np.testing.assert_allclose(found, [0.4, 0.4, 0.2])


def staged(model: Any, features: np.ndarray, rounds: int) -> np.ndarray:
    stages = list(
        model.staged_predict_proba(features) if hasattr(model, "predict_proba") else model.staged_predict(features)
    )
    return np.asarray(stages[rounds - 1])


def pairs(n: int, seed: int) -> SequenceTable:
    generator = np.random.default_rng(seed)
    distance = generator.integers(0, 5000, n).astype(float)
    strand = generator.choice(list("+-."), n)
    labels = ((distance > 900) ^ (strand == "+") ^ (generator.random(n) < 0.2)).astype(np.int64)
    distance[::7] = np.nan
    padded = [
        "N" * int(k) + dna(int(k) + 4, seed + i) + "N" * int(2 * k) for i, k in enumerate(generator.integers(0, 5, n))
    ]
    return table(
        padded, labels, sequences_b=[s[::-1] for s in padded[::-1]], extra={"distance": distance, "strand": strand}
    )


def of_distance(rows: SequenceTable) -> np.ndarray:
    found = []
    for distance, strand in zip(rows.extra["distance"], rows.extra["strand"], strict=True):
        known = not math.isnan(distance)
        bases = distance if known else 0.0
        found.append([bases, math.log10(1 + bases), known, strand == "+", strand == "-"])
    return np.array(found, dtype=float)


def of_length(rows: SequenceTable) -> np.ndarray:
    def side(s: str) -> list[int]:
        return [len(s), s.count("N"), len(s) - len(s.lstrip("N")), len(s) - len(s.rstrip("N"))]

    return np.array(
        [side(a) + side(b) for a, b in zip(rows.sequences, rows.sequences_b or [], strict=True)], dtype=float
    )


@pytest.mark.parametrize(
    ("by", "features", "n"), [("distance", of_distance, 300), ("length", of_length, 300), ("distance", of_distance, 90)]
)
def test_trees_of_pairs_are_the_librarys_with_the_rounds_of_the_lowest_loss(by: str, features: Any, n: int) -> None:
    train, validation, test = pairs(n, 0), pairs(80, 1), pairs(40, 2)
    control = PairTrees(by, max_rounds=12).fit(train, validation, 0, 2)
    leaf = {300: 15, 90: 4}[n]
    model = HistGradientBoostingClassifier(max_iter=12, early_stopping=False, random_state=0, min_samples_leaf=leaf)
    model.fit(features(train), train.labels)
    losses = [
        -np.log(np.maximum(p[np.arange(80), validation.labels], 1e-7)).mean()
        for p in model.staged_predict_proba(features(validation))
    ]
    rounds = 1 + int(np.argmin(losses))
    assert control.settings == {"by": by, "rounds": rounds, "max_rounds": 12}
    np.testing.assert_allclose(control.predict_scores(test), staged(model, features(test), rounds), atol=1e-9)


def test_pairs_without_distance_or_strand_and_unknown_kinds_are_refused() -> None:
    rows = pairs(12, 0)
    bare = table(rows.sequences, rows.labels, sequences_b=rows.sequences_b)
    with pytest.raises(UnsupportedError) as refused:
        PairTrees("distance").fit(bare, bare, 0, 2)
    assert str(refused.value) == "pair-distance reads columns distance and strand, and these pairs have neither"
    one_column = table(
        rows.sequences, rows.labels, sequences_b=rows.sequences_b, extra={"strand": rows.extra["strand"]}
    )
    assert PairTrees("distance", max_rounds=2).fit(one_column, one_column, 0, 2).predict_scores(rows).shape == (12, 2)
    with pytest.raises(ModelError) as wrong:
        PairTrees("age")
    assert str(wrong.value) == "PairTrees: by must be distance or length, not 'age'"


# --------------------------------------------------------------------------------------------------------------- variants

# Window, offset, ref, alt, distance to a transcription start -> what each kind of mean calls it, from wide to narrow.
VARIANTS = [
    ("AACGTA", 2, "C", "T", 0.0, "C>T", "A[C>T]G", "CpG lost", "CpG lost, transition", 2 / 5, "decade 0", "octave 0"),
    ("AACGTA", 2, "C", "A", 1.0, "C>A", "A[C>A]G", "CpG lost", "CpG lost, transversion", 2 / 5, "decade 0", "octave 1"),
    ("AATGTA", 2, "T", "C", 8.9, "T>C", "A[T>C]G", "CpG made", "CpG made, transition", 2 / 5, "decade 0", "octave 3"),
    ("ACAGTA", 2, "A", "G", 9.0, "A>G", "C[A>G]G", "CpG made", "CpG made, transition", 2 / 5, "decade 1", "octave 3"),
    ("ACAGTA", 0, "A", "T", -99.0, "A>T", "N[A>T]C", "no CpG", "no CpG, transversion", 0.0, "decade 2", "octave 6"),
    ("ACAGTA", 5, "A", "G", 98.0, "A>G", "T[A>G]N", "no CpG", "no CpG, transition", 1.0, "decade 1", "octave 6"),
    ("ACAGTA", 3, "G", "GC", 30.0, "insertion", "A[insertion]T", "no CpG", "no CpG, insertion", 3 / 5, "decade 1", "octave 4"),
    ("ACCGTA", 2, "CG", "C", 31.0, "deletion", "C[deletion]T", "CpG lost", "CpG lost, deletion", 2 / 5, "decade 1", "octave 5"),
    ("ACCATA", 2, "CA", "GT", 32.0, "several bases", "C[several bases]T", "CpG made", "CpG made, several bases", 2 / 5, "decade 1", "octave 5"),
    ("A", 0, "A", "C", float("nan"), "A>C", "N[A>C]N", "no CpG", "no CpG, transversion", 0.0, "unknown", "unknown"),
]  # fmt: skip


def variants(labels: Any, rows: Any = None) -> SequenceTable:
    chosen = VARIANTS if rows is None else [VARIANTS[row] for row in rows]
    extra = {
        "offset": np.array([v[1] for v in chosen]),
        "ref": np.array([v[2] for v in chosen]),
        "alt": np.array([v[3] for v in chosen]),
        "tss_distance": np.array([v[4] for v in chosen]),
        "element": np.array(["one", "two"])[np.arange(len(chosen)) % 2],
    }
    return table([v[0] for v in chosen], labels, extra=extra)


def kinds(by: str, row: int) -> list[str]:
    v = VARIANTS[row]
    twentieth = min(19, int(v[9] * 20))
    return {
        "substitution": [v[5], v[6]],
        "cpg": [v[7], v[8]],
        "position": [f"fifth {twentieth // 4}", f"bin {twentieth}"],
        "tss_distance": [v[10], v[11]],
        "group": [("one", "two")[row % 2]],
    }[by]


@pytest.mark.parametrize("by", ["substitution", "cpg", "position", "tss_distance", "group"])
def test_means_of_variants_begin_with_ten_rows_of_the_next_wider_kind(by: str) -> None:
    numbers = np.arange(20.0).reshape(10, 2) ** 2
    control = VariantMeans(by).fit(variants(numbers), variants(numbers), 0, 2)
    all_kinds = [kinds(by, row) for row in range(10)]
    expected = []
    for names in all_kinds:
        mean = numbers.mean(axis=0)
        for depth in range(1, len(names) + 1):
            own = [row for row in range(10) if all_kinds[row][:depth] == names[:depth]]
            mean = (numbers[own].sum(axis=0) + 10 * mean) / (len(own) + 10)
        expected.append(mean)
    np.testing.assert_allclose(control.predict_scores(variants(numbers)), expected)
    different = {tuple(names[:depth]) for names in all_kinds for depth in range(1, len(names) + 1)}
    assert control.settings == {"by": by, "kinds": len(different), "prior_rows": 10.0}
    assert control.scores_left_out == (by == "group")


def test_a_variant_of_no_known_kind_has_the_mean_of_the_next_wider_one_or_of_all() -> None:
    control = VariantMeans("substitution").fit(variants([0, 1, 0], [0, 1, 2]), variants([0], [0]), 0, 3)
    overall = np.array([2 / 3, 1 / 3, 0])
    known = (np.array([1, 0, 0]) + 10 * overall) / 11
    narrow = (np.array([1, 0, 0]) + 10 * known) / 11
    np.testing.assert_allclose(control.predict_scores(variants([0, 0], [0, 9])), [narrow, overall])
    other_neighbours = variants([0], [0])
    other_neighbours = table(["GGCGTA"], [0], extra=other_neighbours.extra)
    np.testing.assert_allclose(control.predict_scores(other_neighbours), [known])


def test_halves_of_groups_are_scored_by_the_other_half() -> None:
    n = 21
    extra = {name: np.array([value] * n) for name, value in (("offset", 0), ("ref", "A"), ("alt", "C"))}
    group, labels = np.array(["ab"[row % 2] for row in range(n)]), np.random.default_rng(1).integers(2, size=n)
    rows = table(["A"] * n, labels, extra={**extra, "element": group})
    half, generator = np.zeros(n, dtype=int), np.random.default_rng(0)
    for name in "ab":
        own = np.flatnonzero(group == name)
        half[own] = generator.permutation(len(own)) % 2
    truth, expected = np.eye(2)[labels], np.zeros((n, 2))
    for row in range(n):
        others = half != half[row]
        own = others & (group == group[row])
        expected[row] = (truth[own].sum(axis=0) + 10 * truth[others].mean(axis=0)) / (own.sum() + 10)
    np.testing.assert_allclose(VariantMeans("group").predict_left_out(rows, 2), expected)


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("tss_distance", "the variants have no column tss_dist, or distance_to_nearest_TSS, whose values it reads"),
        (
            "group",
            "the variants name no group: it reads a column element, gene, consequence or group, else chromosomes",
        ),
    ],
)
def test_variants_without_the_column_that_is_read_are_refused(by: str, message: str) -> None:
    extra = {name: value for name, value in variants([0] * 10).extra.items() if name not in ("tss_distance", "element")}
    rows = table([v[0] for v in VARIANTS], [0, 1] * 5, extra=extra)
    with pytest.raises(UnsupportedError) as refused:
        VariantMeans(by).fit(rows, rows, 0, 2)
    assert str(refused.value) == message


def test_too_few_variants_for_two_halves_and_unknown_kinds_are_refused() -> None:
    with pytest.raises(UnsupportedError) as few:
        VariantMeans("group").predict_left_out(variants([1], [0]), 2)
    assert str(few.value) == "1 variants are too few to score halves of groups by the others"
    with pytest.raises(ModelError) as wrong:
        VariantMeans("age")
    assert str(wrong.value) == "VariantMeans: by must be substitution, cpg, position, tss_distance, group, not 'age'"


# ------------------------------------------------------------------------------------------------------- nearest neighbours


def copies(n: int) -> tuple[list[str], np.ndarray]:
    """Twenty-odd rows, each with an exact copy but for the last five, and which row is the copy of which (-1: none)."""
    originals = [dna(120, 500 + i) for i in range(n)]
    alone = [dna(120, 900 + i) for i in range(5)]
    partner = np.concatenate([np.arange(n) + n, np.arange(n), np.full(5, -1)])
    return originals + originals + alone, partner


def test_numbers_are_drawn_from_the_neighbours_to_the_mean_by_the_slope_of_train() -> None:
    sequences, partner = copies(10)
    generator = np.random.default_rng(0)
    values = generator.normal(size=(25, 2))
    values[10:20, 0] = 0.6 * values[:10, 0] + 0.1 * generator.normal(size=10)
    values[:20, 1] = 1.5  # neighbours' numbers do not differ: no line through them
    train = table(sequences, values)
    control = NearestOverlap().fit(train, train, 0, 2)
    paired = np.arange(20)
    x, y = values[partner[paired], 0], values[paired, 0]
    line = linregress(x, y)
    assert control.settings["slope"] == pytest.approx([line.slope, 0.0])
    assert control.settings["mean_alone"] == pytest.approx(values[20:].mean(axis=0))
    assert control.settings["with_neighbour"] == pytest.approx(20 / 25)
    assert control.settings["probe_rows"] == 25
    assert control.settings["coordinates"] is False
    found = control.predict_scores(table([sequences[20], dna(120, 1)], np.zeros((2, 2))))
    np.testing.assert_allclose(found[0], [line.intercept + line.slope * values[20, 0], 1.5])
    np.testing.assert_allclose(found[1], values[20:].mean(axis=0))


def test_a_label_has_the_share_of_train_rows_whose_neighbour_says_the_same() -> None:
    sequences, partner = copies(10)
    labels = np.random.default_rng(3).integers(-1, 2, size=(25, 2))
    control = NearestOverlap().fit(table(sequences, labels), table(sequences, labels), 0, 2)
    overall = np.array([(labels[:, k] == 1).sum() / (labels[:, k] >= 0).sum() for k in range(2)])

    def share(state: int, k: int) -> float:
        """state: 0 and 1 as the neighbour's label, 2 where it is not known, 3 without a neighbour."""
        of_neighbour = [
            3 if partner[row] < 0 else 2 if labels[partner[row], k] < 0 else labels[partner[row], k]
            for row in range(25)
        ]
        own = [labels[row, k] for row in range(25) if of_neighbour[row] == state and labels[row, k] >= 0]
        if state < 2:  # half a row as train, half a row as the neighbour
            return float((sum(own) + 0.5 * overall[k] + 0.5 * state) / (len(own) + 1))
        return float((sum(own) + 0.5 * overall[k]) / (len(own) + 0.5))

    expected = [[share(state, k) for k in range(2)] for state in range(4)]
    np.testing.assert_allclose(control.settings["shares"], expected)
    asked = [*range(20, 25), 0, 1, 2, 3]
    states = [[2 if labels[row, k] < 0 else labels[row, k] for k in range(2)] for row in asked[:5]]
    found = control.predict_scores(table([sequences[row] for row in asked[:5]] + [dna(120, 2)], np.zeros((6, 2), int)))
    np.testing.assert_allclose(found, [[expected[s][k] for k, s in enumerate(row)] for row in states] + [expected[3]])


def test_classes_have_the_shares_of_train_rows_whose_neighbour_has_that_class() -> None:
    sequences, partner = copies(10)
    labels = np.random.default_rng(4).integers(3, size=25)
    control = NearestOverlap().fit(table(sequences, labels), table(sequences, labels), 0, 3)
    counts = np.zeros((4, 3))
    for row in range(25):
        counts[labels[partner[row]] if partner[row] >= 0 else 3, labels[row]] += 1
    counts[:3] += 0.5 * np.eye(3)
    counts += 0.5 * np.bincount(labels, minlength=3) / 25
    np.testing.assert_allclose(control.settings["shares"], counts / counts.sum(axis=1, keepdims=True))
    agree = np.mean([labels[partner[row]] == labels[row] for row in range(20)])
    assert control.settings["neighbour_agrees"] == pytest.approx(agree)
    found = control.predict_scores(table([sequences[22], dna(120, 3)], [0, 0]))
    np.testing.assert_allclose(found, [control.settings["shares"][labels[22]], control.settings["shares"][3]])


def test_at_most_so_many_rows_are_asked_for_their_neighbours() -> None:
    sequences, _ = copies(10)
    rows = table(sequences, np.arange(25) % 2)
    assert NearestOverlap(probe_rows=7).fit(rows, rows, 0, 2).settings["probe_rows"] == 7
    unrelated = table([dna(120, 40 + i) for i in range(8)], np.arange(8) % 2)
    alone = NearestOverlap().fit(unrelated, unrelated, 0, 2).settings
    assert (alone["with_neighbour"], alone["neighbour_agrees"]) == (0.0, None)


# ------------------------------------------------------------------------------------------------- length and composition


def test_shares_by_exact_length_begin_with_one_row_of_the_shares_of_all() -> None:
    lengths, labels = [10, 10, 10, 12, 12, 15], [0, 0, 1, 1, 1, 2]
    train = table([dna(n, i) for i, n in enumerate(lengths * 20)], labels * 20)
    control = TrivialClassifier(max_rounds=1).fit(train, train, 0, 3)
    assert control.settings["chosen"] == "length"
    assert control.settings["rounds"] == control.settings["max_rounds"] == 1
    assert control.settings["features"] == [
        "length",
        "length mod 3",
        "length mod 6",
        "length mod 50",
        "GC",
        "N",
        "16 dinucleotides",
    ]
    overall = np.array([2, 3, 1]) / 6
    counts = {10: [40, 20, 0], 12: [0, 40, 0], 15: [0, 0, 20]}
    asked = table([dna(n, 7) for n in (10, 12, 15, 11, 9, 99)], [0] * 6)
    expected = [(np.array(counts[n]) + overall) / (sum(counts[n]) + 1) for n in (10, 12, 15)] + [overall] * 3
    np.testing.assert_allclose(control.predict_scores(asked), expected)
    found = control.predict_scores(train)
    right = found[np.arange(120), train.labels]
    assert control.settings["validation"]["length"] == {
        "loss": pytest.approx(-np.log(right).mean()),
        "accuracy": pytest.approx(5 / 6),
    }


def test_lengths_of_pairs_are_one_number_in_whichever_order() -> None:
    a, b = [dna(10, i) for i in range(60)], [dna(12 + i % 2, 90 + i) for i in range(60)]
    train = table(a, [i % 2 for i in range(60)], sequences_b=b)
    control = TrivialClassifier(max_rounds=1, combination="concat").fit(train, train, 0, 2)
    turned = table(b, train.labels, sequences_b=a)
    assert control.settings["chosen"] == "length"
    np.testing.assert_allclose(control.predict_scores(train), control.predict_scores(turned))
    assert (control.predict_scores(turned).argmax(axis=1) == train.labels).all()


@pytest.mark.parametrize("n", [1000, 150])
def test_numbers_by_length_and_composition_are_the_librarys_trees_or_ridge(n: int) -> None:
    def rows(count: int, seed: int) -> SequenceTable:
        generator = np.random.default_rng(seed)
        lengths = generator.integers(20, 80, count)
        values = np.stack([np.sin(lengths / 5.0), np.where(lengths > 40, 5.0, 1.0)], axis=1)
        return table(
            [dna(int(k), seed * 10_000 + i) for i, k in enumerate(lengths)],
            values + generator.normal(0, 0.05, values.shape),
        )

    train, validation = rows(n, 1), rows(100, 2)
    control = TrivialClassifier(max_rounds=15).fit(train, validation, 0, 2)

    def features(found: SequenceTable) -> np.ndarray:
        from findna_baselines.controls.trivial import trivial_features

        return trivial_features(found)

    leaf, expected, rounds = {1000: 20, 150: 7}[n], [], []
    for k in range(2):
        model = HistGradientBoostingRegressor(max_iter=15, early_stopping=False, random_state=0, min_samples_leaf=leaf)
        model.fit(features(train), train.labels[:, k])
        errors = [
            ((stage - validation.labels[:, k]) ** 2).mean() for stage in model.staged_predict(features(validation))
        ]
        rounds.append(1 + int(np.argmin(errors)))
        expected.append(staged(model, features(validation), rounds[-1]))
    found = control.predict_scores(validation)
    np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=1e-9)
    scaled = ((found - validation.labels) / train.labels.std(axis=0)) ** 2
    assert control.settings["chosen"] == "trees"
    assert control.settings["rounds"] == rounds
    assert control.settings["validation"]["trees"]["loss"] == pytest.approx(scaled.mean())
    assert control.settings["max_rounds"] == 15


def test_features_beside_the_sequence_are_lengths_shares_and_words_of_two() -> None:
    from findna_baselines.controls.trivial import trivial_features

    sequence = "ACGTN" * 11 + "A"
    (row,) = trivial_features(table([sequence], [0]))
    words = Counter(sequence[i : i + 2] for i in range(55))
    known = {word: count for word, count in words.items() if "N" not in word}
    expected = [56, 56 % 3, 56 % 6, 56 % 50, 22 / 45, 11 / 56]
    expected += [known.get(a + b, 0) / sum(known.values()) for a in "ACGT" for b in "ACGT"]
    np.testing.assert_allclose(row, expected)


# ---------------------------------------------------------------------------------------------------------- places of bases


def test_bases_are_read_at_the_ends_or_everywhere_as_validation_prefers() -> None:
    def rows(n: int, seed: int, length: int = 40, at: int = 25) -> SequenceTable:
        labels = np.arange(n) % 2
        return table(
            [
                (s := dna(length, seed * 1000 + i))[:at] + ("A" if label else "C") + s[at + 1 :]
                for i, label in enumerate(labels)
            ],
            labels,
        )

    inside = PositionFeatures(ends=(6, 10)).fit(rows(200, 1), rows(60, 2), 0, 2)
    assert {key: value for key, value in inside.settings.items() if key != "trials"} == {
        "whole": 40,
        "max_choice_rows": 10_000,
    }
    assert [{k: v for k, v in trial.items() if k != "loss"} for trial in inside.settings["trials"]] == [
        {"ends": 6},
        {"ends": 10},
        {"whole": 40},
    ]
    assert inside.transform(rows(3, 3)).shape == (3, 200)
    near = PositionFeatures(ends=(6, 10)).fit(rows(200, 1, at=32), rows(60, 2, at=32), 0, 2)
    assert near.settings["ends"] == 10
    assert near.transform(["ACGT"]).shape == (1, 100)
    longer = PositionFeatures(ends=(6,)).fit(rows(20, 1, 1001), rows(10, 2, 1001), 0, 2)
    assert len(longer.settings["trials"]) == 1
    longest = PositionFeatures(ends=(6,)).fit(rows(20, 1, 1000), rows(10, 2, 1000), 0, 2)
    assert len(longest.settings["trials"]) == 2
    uneven = rows(20, 1)
    uneven = table([*uneven.sequences[:-1], uneven.sequences[-1] + "A"], uneven.labels)
    assert PositionFeatures(ends=(6,)).fit(uneven, uneven, 0, 2).settings["ends"] == 6
