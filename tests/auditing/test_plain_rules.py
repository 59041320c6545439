"""What an audit counts, fits and shows, against the same written as plain loops over rows and places, or handed to scikit-learn."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from drawn_sequences import made
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from statsmodels.stats.multitest import multipletests

from findna_bench.auditing.audit_report import (
    AuditReport,
    ClassCount,
    Finding,
    PerClass,
    Verdict,
    family_sizes,
    histograms,
    outdated,
    per_class,
    spread,
    summarise_classes,
)
from findna_bench.auditing.balanced import (
    Gain,
    balanced_left_out,
    balanced_lookup,
    balanced_places,
    balanced_trees,
    gain_of,
    significant,
    stricter,
)
from findna_bench.auditing.examples import Behind, Example, ExampleRows
from findna_bench.auditing.neighbours import find_neighbours, local_alignment
from findna_bench.auditing.positional import (
    Layout,
    PlacedRows,
    Positions,
    Site,
    SiteCounts,
    find_site,
    logistic,
    profile,
)
from findna_bench.auditing.rules import RULES
from findna_bench.auditing.shortcuts import (
    boosted_trees,
    control,
    kmer_regression,
    length_lookup,
    length_regression,
    majority,
    neighbour_relation,
    neighbour_rule,
)
from findna_bench.relatedness.composition import composition
from findna_bench.relatedness.rows import Rows
from findna_bench.sequences.alphabet import reverse_complement

NAMES = ("a", "b", "c")


# ------------------------------------------------------------------------------------------------- both sides counting alike


def plain_gain(
    has: list[bool], found: list[bool], other: list[bool] | None, clusters: list[int]
) -> tuple[float, float, float]:
    """(gain, standard error, mean recall)."""
    value = score = floor = 0.0
    influence: dict[int, float] = dict.fromkeys(clusters, 0.0)
    for side in (True, False):
        rows = [i for i in range(len(has)) if has[i] == side]
        right = [float(found[i] == has[i]) for i in rows]
        base = [0.5 if other is None else float(other[i] == has[i]) for i in rows]
        gained = [r - b for r, b in zip(right, base, strict=True)]
        mean, k = sum(gained) / len(rows), len({clusters[i] for i in rows})
        value, score = value + mean / 2, score + sum(right) / len(rows) / 2
        smoothed = (sum(right) / len(rows) * k + 1) / (k + 2)
        floor += smoothed * (1 - smoothed) / k / 4
        for i, gain in zip(rows, gained, strict=True):
            influence[clusters[i]] += (gain - mean) / len(rows) / 2
    n = len(influence)
    return value, math.sqrt(max(floor, sum(v**2 for v in influence.values()) * n / (n - 1))), score


@pytest.mark.parametrize("compared", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("luck", [0.5, 0.9, 1.0])
def test_a_gain_is_the_mean_recall_of_both_sides_above_chance(luck: float, clustered: bool, compared: bool) -> None:
    generator = np.random.default_rng(0)
    clusters = np.repeat(np.arange(20), 1 + np.arange(20) % 4)
    has = generator.random(len(clusters)) < 0.3
    found = np.where(np.repeat(generator.random(20) < luck, 1 + np.arange(20) % 4), has, ~has)
    other = generator.random(len(clusters)) < 0.5 if compared else None
    gain = gain_of(has, found, other, clusters if clustered else None)
    expected = plain_gain(
        has.tolist(),
        found.tolist(),
        None if other is None else other.tolist(),
        clusters.tolist() if clustered else list(range(len(has))),
    )
    assert (gain.value, gain.error, gain.score) == pytest.approx(expected)
    assert gain.tail == pytest.approx(stats.norm.sf(expected[0] / expected[1]))
    assert gain.interval == pytest.approx((gain.value - 1.96 * gain.error, gain.value + 1.96 * gain.error))


def test_a_gain_on_one_side_alone_is_none() -> None:
    for has in (np.zeros(4, bool), np.ones(4, bool)):
        assert gain_of(has, np.ones(4, bool)) == Gain(0.0, 0.0, 0.5)
    assert Gain(0.3, 0.0, 0.8).tail == 0.5


@pytest.mark.parametrize("looks", [1, 4])
def test_gains_are_shown_by_holms_correction(looks: int) -> None:
    generator = np.random.default_rng(looks)
    for errors in (1.0, 2.0):
        level = stats.norm.sf(errors) / looks
        gains = {f"g{i}": Gain(float(v), 1.0, 0.6) for i, v in enumerate(generator.normal(1.5, 1.2, 12))}
        rejected = multipletests([gain.tail for gain in gains.values()], alpha=level, method="holm")[0]
        shown = significant(gains, errors, looks)
        assert set(shown) == {key for key, is_shown in zip(gains, rejected, strict=True) if is_shown}
        assert [gains[key].value for key in shown] == sorted((gains[key].value for key in shown), reverse=True)
        assert 0 < len(shown) < 12 or errors == 2.0
    assert stricter(2.0, looks) == pytest.approx(stats.norm.isf(stats.norm.sf(2.0) / looks))


def test_the_class_that_stands_out_of_its_share_is_looked_up() -> None:
    generator = np.random.default_rng(1)
    keys, labels = generator.integers(8, size=60), generator.choice(4, 60, p=[0.6, 0.3, 0.1, 0.0])
    keys[:2] = [90, 91]  # keys of one row
    share = [np.mean(labels == c) for c in range(4)]

    def lift(counts: list[float], overall: list[float]) -> int:
        raised = [(n + s) / s if s > 0 else 0.0 for n, s in zip(counts, overall, strict=True)]
        return int(np.argmax(raised))

    asked = [*range(8), 90, 91, 55, -1]
    expected = [
        lift([float(np.sum((keys == key) & (labels == c))) for c in range(4)], share)
        if key in keys
        else int(np.argmax(share))
        for key in asked
    ]
    assert balanced_lookup(keys, labels, np.array(asked), 4).tolist() == expected
    left_out = []
    for row in range(60):
        others = np.arange(60) != row
        mine = [float(np.sum((keys == keys[row]) & (labels == c) & others)) for c in range(4)]
        rest = [float(np.mean(labels[others] == c)) for c in range(4)]
        left_out.append(lift(mine, rest) if sum(mine) else int(np.argmax(share)))
    assert balanced_left_out(keys, labels, 4).tolist() == left_out
    assert left_out[0] == int(np.argmax(share))


def test_rules_fitted_alike_are_scikit_learns() -> None:
    generator = np.random.default_rng(2)
    features, labels = generator.normal(size=(120, 2)), (generator.random(120) < 0.2).astype(int)
    features[:, 0] += labels
    asked = generator.normal(size=(50, 2))
    trees = HistGradientBoostingClassifier(
        max_iter=50, early_stopping=False, random_state=0, class_weight="balanced", min_samples_leaf=5
    )
    assert balanced_trees(features, labels, asked).tolist() == trees.fit(features, labels).predict(asked).tolist()
    plain = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=0)
    assert boosted_trees(features, labels, asked).tolist() == plain.fit(features, labels).predict(asked).tolist()
    codes, other = generator.integers(6, size=(120, 4)), generator.integers(6, size=(50, 4))
    codes[labels == 1, 0] = 2
    one_hot = [(c[:, :, None] == np.arange(5)).reshape(len(c), -1).astype(float) for c in (codes, other)]
    for found, weight in ((balanced_places, "balanced"), (logistic, None)):
        line = LogisticRegression(C=0.1, max_iter=200, tol=1e-3, class_weight=weight).fit(one_hot[0], labels)
        assert found(codes, labels, other).tolist() == line.predict(one_hot[1]).tolist()
    for fitted in (balanced_trees, boosted_trees, balanced_places, logistic):
        both = (codes, other) if fitted in (balanced_places, logistic) else (features, asked)
        assert fitted(both[0], np.full(120, 2), both[1]).tolist() == [2] * 50
    rare_first = np.array([1, 0, 0])
    assert balanced_trees(np.ones((3, 1)), rare_first, np.ones((2, 1))).tolist() == [1, 1]
    assert boosted_trees(np.ones((3, 1)), rare_first, np.ones((2, 1))).tolist() == [0, 0]


# ------------------------------------------------------------------------------------------------------------- shortcuts


def most(labels: list[int]) -> int:
    counts = Counter(labels)
    return min(counts, key=lambda c: (-counts[c], c))


def test_rules_on_length_and_neighbours_are_votes_of_train() -> None:
    generator = np.random.default_rng(3)
    lengths, labels = generator.integers(20, 40, 150), generator.integers(3, size=150)
    asked = np.arange(15, 45)
    expected = []
    for length in asked:
        votes = labels[lengths == length].tolist()
        ties = [c for c in range(3) if votes and votes.count(c) == max(votes.count(i) for i in range(3))]
        expected.append(most(labels.tolist()) if not votes or most(labels.tolist()) in ties else min(ties))
    assert length_lookup(lengths, labels, asked, 3).tolist() == expected
    scaled = [((x - lengths.mean()) / lengths.std())[:, None] for x in (lengths, asked)]
    line = LogisticRegression(max_iter=1000).fit(scaled[0], labels)
    assert length_regression(lengths, labels, asked).tolist() == line.predict(scaled[1]).tolist()
    assert length_regression(lengths, np.full(150, 1), asked).tolist() == [1] * 30
    assert length_regression(np.full(150, 9), labels, asked).tolist() == [most(labels.tolist())] * 30
    assert majority(np.array([2, 1, 1, 2]), 3, 4).tolist() == [1, 1, 1]
    for rare in range(2):
        neighbour = generator.integers(-1, 150, 40)
        probe, near = generator.permutation(150)[:60], generator.integers(-1, 150, 60)
        near[:20] = -1
        if rare:  # no train row without a neighbour
            near = np.maximum(near, 0)
        alone = [int(labels[p]) for p, n in zip(probe, near, strict=True) if n < 0] or labels.tolist()
        found, fallback = neighbour_rule(neighbour, labels, probe, near, 3)
        assert fallback == most(alone)
        assert found.tolist() == [int(labels[n]) if n >= 0 else most(alone) for n in neighbour]
        votes_of: dict[int, list[float]] = {state: [0.0] * 3 for state in range(4)}
        for state in range(3):
            votes_of[state][state] = 0.5
        votes_of[3][most(labels.tolist())] = 0.5
        for p, n in zip(probe, near, strict=True):
            votes_of[int(labels[n]) if n >= 0 else 3][int(labels[p])] += 1
        learned = [int(np.argmax(votes_of[int(labels[n]) if n >= 0 else 3])) for n in neighbour]
        assert neighbour_relation(neighbour, labels, probe, near, 3).tolist() == learned


def test_the_rule_on_words_is_a_line_on_their_frequencies() -> None:
    generator = np.random.default_rng(4)
    train, labels = made(60, 80, generator), np.arange(60) % 2
    train = ["AACCG" * 4 + text[20:] if y else text for text, y in zip(train, labels, strict=True)]
    asked = made(20, 80, generator) + ["AACCG" * 4 + text for text in made(20, 60, generator)]
    words = ["".join(word) for word in itertools.product("ACGT", repeat=5)]
    shares = [
        np.array([[sum(text[i : i + 5] == w for i in range(76)) / 76 for w in words] for text in texts])
        for texts in (train, asked)
    ]
    centre, scale = shares[0].mean(0), shares[0].std(0)
    scale[scale == 0] = 1
    line = LogisticRegression(C=0.001, max_iter=200, tol=1e-3).fit((shares[0] - centre) / scale, labels)
    assert kmer_regression(train, labels, asked).tolist() == line.predict((shares[1] - centre) / scale).tolist()
    assert kmer_regression(train, np.ones(60, int), asked).tolist() == [1] * 40


def test_a_control_of_nothing_right_has_no_score_and_lacking_classes_no_recall() -> None:
    nothing = control(np.array([0, 0]), np.array([1, 1]), NAMES)
    assert (nothing.accuracy, nothing.balanced_accuracy, nothing.f1_macro, nothing.mcc) == (0, 0, 0, 0)
    assert nothing.recall == {"a": 0.0, "b": None, "c": None}
    empty = control(np.zeros(0, int), np.zeros(0, int), NAMES)
    assert (empty.accuracy, empty.balanced_accuracy, empty.f1_macro, empty.mcc) == (0, 0, 0, 0)


# ---------------------------------------------------------------------------------------------------------------- places


def letters(sequence: str, anchor: str, place: int, k: int) -> str:
    """The letters there, "" where the row does not reach."""
    zero = {"start": 0, "end": len(sequence), "centre": len(sequence) // 2}[anchor]
    return sequence[zero + place : zero + place + k] if 0 <= zero + place <= len(sequence) - k else ""


def placed(sequences: list[str], labels: np.ndarray) -> PlacedRows:
    return PlacedRows(sequences, labels)


@pytest.mark.parametrize(
    ("train", "test", "windows", "end"),
    [
        ([100] * 4, [100] * 4, {"start": (0, 100)}, 6),
        ([1000] * 4, [1000] * 4, {"start": (0, 1000)}, 6),
        ([1001] * 4, [1001] * 4, {"start": (0, 200), "end": (-200, 0), "centre": (-100, 100)}, 6),
        ([100] * 4, [100, 101], {"start": (0, 100), "end": (-100, 0), "centre": (-50, 50)}, 6),
        ([100, 99, 100, 100, 100], [100], {"start": (0, 100), "end": (-100, 0), "centre": (-50, 50)}, 6),
        ([20, 24, 28, 32, 40], [20], {"start": (0, 24), "end": (-24, 0), "centre": (-12, 12)}, 6),
        ([23] * 4, [23], {"start": (0, 23)}, 5),
        ([3] * 4, [3], {"start": (0, 3)}, 1),
        ([1, 3, 3, 3], [3], {"start": (0, 2), "end": (-2, 0), "centre": (-1, 1)}, 1),
    ],
)  # fmt: skip
def test_places_that_are_looked_at_follow_from_the_lengths_of_train(
    train: list[int], test: list[int], windows: dict[str, tuple[int, int]], end: int
) -> None:
    rows = [placed(["A" * n for n in lengths], np.zeros(len(lengths), int)) for lengths in (train, test)]
    layout = Layout.of(*rows)
    assert {anchor: (int(p[0]), int(p[-1]) + 1) for anchor, p in layout.windows.items()} == windows
    assert all((np.diff(p) == 1).all() for p in layout.windows.values())
    assert layout.end == end


def test_bases_by_place_are_read_letter_by_letter() -> None:
    generator = np.random.default_rng(5)
    sequences = [made(1, n, generator, "ACGTN")[0] for n in (30, 31, 12, 5)]
    rows = placed(sequences, np.zeros(4, int))
    layout = Layout({"start": np.arange(3), "centre": np.arange(-2, 2)}, 2)

    def codes(anchor: str, places: range) -> list[list[int]]:
        return [["ACGTN".find(letters(s, anchor, p, 1) or "?") % 6 for p in places] for s in sequences]

    def beside(*parts: list[list[int]]) -> list[list[int]]:
        return [list(itertools.chain(*row)) for row in zip(*parts, strict=True)]

    assert rows.ends(layout).tolist() == beside(codes("start", range(2)), codes("end", range(-2, 0)))
    assert rows.middle(layout).tolist() == codes("centre", range(-2, 2))
    assert rows.wide(layout).tolist() == beside(codes("start", range(3)), codes("centre", range(-2, 2)))
    whole = Layout({"start": np.arange(31)}, 2)
    turned = rows.rotated(whole)
    assert turned.shape == (4, 31)
    for row, text in zip(turned.tolist(), sequences, strict=True):
        read = "".join("ACGTN"[code] for code in row if code < 5)
        assert len(read) == len(text)
        assert read in text + text
    shift = (np.random.default_rng(0).random(4) * [30, 31, 12, 5]).astype(int)
    assert ["".join("ACGTN"[code] for code in row if code < 5) for row in turned.tolist()] == [
        text[s:] + text[:s] for text, s in zip(sequences, shift.tolist(), strict=True)
    ]


@pytest.mark.parametrize("lengths", [(40, 41), (24, 44)])
@pytest.mark.parametrize(("n_classes", "word"), [(2, "G"), (2, "GT"), (3, "GTCA")])
def test_the_site_is_the_word_that_differs_most_surely(n_classes: int, word: str, lengths: tuple[int, int]) -> None:
    """Of every word, place and class: difference of the shares beyond that at other places, less three errors."""
    generator = np.random.default_rng(len(word))
    labels = np.arange(120) % n_classes
    sequences = [made(1, int(generator.integers(*lengths)), generator)[0] for _ in labels]
    sequences = [
        s[:9] + word + s[9 + len(word) :] if y == 1 and generator.random() < 0.8 else s
        for s, y in zip(sequences, labels, strict=True)
    ]
    rows = placed(sequences, labels)
    layout = Layout.of(rows, rows)
    best: tuple[float, str, int, str, int] | None = None
    for anchor, places in layout.windows.items():
        for k in (1, 2, 4):
            at = [places[0] + j for j in range(len(places) - k + 1)]
            seen = [[letters(s, anchor, int(p), k) for p in at] for s in sequences]
            for label in range(n_classes):
                mine = [i for i in range(120) if labels[i] == label]
                rest = [i for i in range(120) if labels[i] != label]
                n = [sum(bool(seen[i][j]) for i in mine) for j in range(len(at))]
                m = [sum(bool(seen[i][j]) for i in rest) for j in range(len(at))]
                counts = [
                    (Counter(seen[i][j] for i in mine), Counter(seen[i][j] for i in rest)) for j in range(len(at))
                ]
                for text in sorted({w for row in seen for w in row if w}):
                    p = [counts[j][0][text] / max(n[j], 1) for j in range(len(at))]
                    q = [counts[j][1][text] / max(m[j], 1) for j in range(len(at))]
                    for j in range(len(at)):
                        if 2 * n[j] < len(mine) or 2 * m[j] < len(rest):
                            continue
                        elsewhere = sum(p[i] - q[i] for i in range(len(at)) if i != j) / max(len(at) - 1, 1)
                        excess = p[j] - q[j] - elsewhere
                        error = math.sqrt(
                            p[j] * (1 - p[j]) / max(n[j], 1) + q[j] * (1 - q[j]) / max(m[j], 1) + 0.25 / 120**2
                        )
                        bound = abs(excess) - 3 * error + (1e-9 if excess > 0 else 0)
                        if best is None or bound > best[0] + 1e-12:
                            best = (bound, anchor, int(at[j]), text, label)
    site = find_site(rows, layout, n_classes)
    assert site is not None
    assert best is not None
    assert (site.anchor, site.place, site.word, site.label) == best[1:]
    has = [letters(s, site.anchor, site.place, len(site.word)) == site.word for s in sequences]
    assert site.found(rows).tolist() == has
    assert site.predicted == tuple(
        most([int(y) for y, h in zip(labels, has, strict=True) if h == side]) for side in (True, False)
    )
    assert site.predict(rows).tolist() == [site.predicted[0] if h else site.predicted[1] for h in has]
    places = layout.windows[site.anchor]
    elsewhere = []
    for place in [int(p) for p in places if p != site.place][:: max(1, len(places) // 64)]:
        there = [letters(s, site.anchor, place, len(site.word)) for s in sequences]
        sides = [
            [there[i] == site.word for i in range(120) if there[i] and (labels[i] == site.label) == side]
            for side in (True, False)
        ]
        if all(sides):
            elsewhere.append(np.mean(sides[0]) - np.mean(sides[1]))
    reach = [bool(letters(s, site.anchor, site.place, len(site.word))) for s in sequences]
    mine = [h for h, r, y in zip(has, reach, labels, strict=True) if r and y == site.label]
    rest = [h for h, r, y in zip(has, reach, labels, strict=True) if r and y != site.label]
    counted = site.count(rows, layout)
    assert (counted.rows, counted.with_word, counted.others, counted.others_with) == (
        len(mine),
        sum(mine),
        len(rest),
        sum(rest),
    )
    assert counted.elsewhere == pytest.approx(np.mean(elsewhere))
    content = Positions({"start": {}}, (site, counted)).to_dict(("x", "y", "z"))["site"]
    assert content == {
        "word": site.longer,
        "at": site.where,
        "class": "xyz"[site.label],
        "share": pytest.approx(np.mean(mine)),
        "others": pytest.approx(np.mean(rest)),
        "elsewhere": counted.elsewhere,
        "excess": pytest.approx(np.mean(mine) - np.mean(rest) - np.mean(elsewhere)),
        "error": pytest.approx(
            math.sqrt(
                sum(p * (1 - p) / n for p, n in (((sum(s) + 1) / (len(s) + 2), len(s)) for s in (mine, rest)))
            )
        ),
    }  # fmt: skip


def test_words_of_one_class_alone_or_that_tell_nothing_are_no_site() -> None:
    sequences = made(30, 20, np.random.default_rng(6))
    rows = placed(sequences, np.zeros(30, int))
    assert find_site(rows, Layout.of(rows, rows), 2) is None
    alike = placed(["ACGTACGTAC"] * 30, np.arange(30) % 2)
    assert find_site(alike, Layout.of(alike, alike), 2) is None
    assert Positions().to_dict(NAMES) == {}
    none = SiteCounts(0, 0, 0, 0, 0.0)
    assert (none.share, none.others_share, none.excess) == (0.0, 0.0, 0.0)
    assert none.error == pytest.approx(math.sqrt(0.5))


def test_a_site_is_told_with_the_letters_beside_it() -> None:
    """Nine of ten rows of the class go on with AC before and TT behind the word; one letter further on it is less."""
    generator = np.random.default_rng(7)
    sequences = made(200, 50, generator)
    for i in range(100):
        before = "AC" if i < 90 else made(1, 2, generator)[0]
        sequences[i] = sequences[i][:18] + before + "GGCC" + "TT" + sequences[i][26:]
        if i < 89:
            sequences[i] = sequences[i][:17] + "T" + sequences[i][18:]
        elif sequences[i][17] == "T":
            sequences[i] = sequences[i][:17] + "A" + sequences[i][18:]
        if i >= 80 and sequences[i][26] == "G":
            sequences[i] = sequences[i][:26] + "A" + sequences[i][27:]
    labels = np.repeat([1, 0], 100)
    rows = placed(sequences, labels)
    site = find_site(rows, Layout.of(rows, rows), 2)
    assert site is not None
    assert (site.longer, site.first, site.where) == ("ACGGCCTT", 18, "base 19")
    for anchor, first, words in (("end", -3, "base 3 from the end"), ("centre", 4, "base +4 from the centre"), ("centre", -4, "base -4 from the centre"), ("centre", 0, "base +0 from the centre")):  # fmt: skip
        assert Site(anchor, 0, "A", "A", first, 0, (0, 1)).where == words  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [20, 100])
def test_a_profile_holds_the_share_of_every_letter_at_the_ends(length: int) -> None:
    generator = np.random.default_rng(8)
    sequences = [made(1, length + i % 3, generator, "ACGTN")[0] for i in range(30)]
    labels = np.arange(30) % 2
    found = profile(placed(sequences, labels), NAMES)
    reach = min(60, length)
    for anchor, places in (("start", range(reach)), ("end", range(-reach, 0))):
        assert list(found[anchor]) == ["a", "b"]
        for label, name in enumerate("ab"):
            mine = [s for s, y in zip(sequences, labels, strict=True) if y == label]
            assert found[anchor][name] == [
                [round(sum(s[p] == base for s in mine) / 15, 4) for base in "ACGTN"] for p in places
            ]


# -------------------------------------------------------------------------------------------------- examples, neighbours


def test_a_local_alignment_is_the_best_one() -> None:
    generator = np.random.default_rng(9)
    for turn in range(30):
        (query,) = made(1, 30, generator, "ACGTN" if turn % 2 else "ACGT")
        target = query[5:14] + made(1, 3, generator)[0] + query[16:28] if turn % 3 else made(1, 25, generator)[0]
        score, start, other_start, first, second = local_alignment(query, target)
        cells = np.zeros((len(query) + 1, len(target) + 1), dtype=int)
        for i, j in itertools.product(range(len(query)), range(len(target))):
            hit = 1 if query[i] == target[j] != "N" else -2
            cells[i + 1, j + 1] = max(0, cells[i, j] + hit, cells[i, j + 1] - 3, cells[i + 1, j] - 3)
        assert score == cells.max()
        columns = list(zip(first, second, strict=True))
        gained = sum(-3 if "-" in (a, b) else 1 if a == b != "N" else -2 for a, b in columns)
        assert gained == score
        assert first.replace("-", "") == query[start : start + len(first.replace("-", ""))]
        assert second.replace("-", "") == target[other_start : other_start + len(second.replace("-", ""))]
    assert local_alignment("AAAA", "CCC") == (0, *local_alignment("AAAA", "CCC")[1:3], "", "")
    assert local_alignment("NNNN", "NNNN")[0] == 0


def example_rows(n: int = 20, **behind: Behind) -> ExampleRows:
    generator = np.random.default_rng(10)
    train = Rows(np.zeros(n, int), np.array([f"t{i}" for i in range(n)]), np.full(n, 60), made(n, 60, generator))
    test = Rows(
        np.arange(n) % 2, np.array([f"q{i}" for i in range(n)]), np.full(n, 60), [reverse_complement(s) for s in train.sequences or []],
        np.array(["1"] * (n - 1) + [""], dtype=object), np.arange(n) * 10, np.arange(n) * 10 + 60,
    )  # fmt: skip
    return ExampleRows({"train": train, "test": test}, ("no", "yes"), behind)


def test_examples_are_spread_over_the_rows_behind_a_number() -> None:
    counterpart = np.where(np.arange(20) % 2, np.arange(20), -1)
    given = example_rows(
        all=Behind("test", np.ones(20, bool)),
        some=Behind("test", np.arange(20) < 12, counterpart),
        alone=Behind("test", np.arange(20) % 2 == 0, counterpart),
        none=Behind("test", np.zeros(20, bool)),
        elsewhere=Behind("validation", np.ones(20, bool)),
    )
    assert [e.id for e in given.of("all")] == ["q0", "q4", "q9", "q14", "q19"]
    assert [(e.id, e.counterpart.id) for e in given.of("some") if e.counterpart] == [
        ("q1", "t1"), ("q3", "t3"), ("q5", "t5"), ("q7", "t7"), ("q11", "t11"),
    ]  # fmt: skip
    assert [(e.id, e.counterpart) for e in given.of("none", "unknown", "alone")] == [
        (f"q{i}", None) for i in (0, 4, 8, 12, 18)
    ]
    assert given.of("none") == given.of("unknown") == given.of("elsewhere") == ()
    sequence = (given.splits["test"].sequences or [])[3]
    found = given.example("test", 3, given.example("train", 3))
    assert found == Example(
        "q3",
        "test",
        "yes",
        60,
        sequence[:40],
        "1:30-90",
        Example("t3", "train", "no", 60, reverse_complement(sequence)[:40]),
    )
    assert found.words == f"test q3 (yes) 1:30-90 {sequence[:40]}… = train t3 (no) {reverse_complement(sequence)[:40]}…"
    assert given.example("test", 19).at == ""
    assert Example("x", "test", "no", 3, "ACG").words == "test x (no) ACG"
    assert Example("x", "test", "no", 3).words == "test x (no)"


def test_neighbours_are_shown_six_of_a_kind_each_row_once() -> None:
    counterpart = np.arange(20)
    given = example_rows(
        copies=Behind("test", np.ones(20, bool), counterpart),
        identical=Behind("test", np.arange(20) < 2, counterpart),
        overlap_any=Behind("test", np.ones(20, bool), np.where(np.arange(20) == 3, 5, -1)),
        repeats=Behind("test", np.ones(20, bool)),
        same_composition=Behind("test", np.arange(20) < 1, counterpart),
    )
    found = find_neighbours(given)
    assert [(one.kind, one.row.id) for one in found] == [
        ("identical", "q0"), ("identical", "q1"),
        *(("copy", f"q{i}") for i in (2, 5, 8, 12, 15, 19)),
        ("overlap", "q3"),
    ]  # fmt: skip
    for one in found[:-1]:
        sequence = (given.splits["test"].sequences or [])[int(one.row.id[1:])]
        assert (one.strand, one.identity, one.start, one.other_start) == ("-", 1.0, 0, 0)
        assert one.alignment == (sequence, sequence)
        assert one.row.counterpart is not None
        assert one.row.counterpart.id == "t" + one.row.id[1:]
    assert found[-1].row.counterpart is not None
    assert found[-1].row.counterpart.id == "t5"
    for length, aligned in ((2000, True), (2001, False)):
        long = Rows(np.zeros(1, int), np.array(["x"]), np.full(1, length), ["ACGGT" * 400 + "A" * (length - 2000)])
        rows = ExampleRows(
            {"train": long, "test": long}, ("no",), {"copies": Behind("test", np.ones(1, bool), np.zeros(1, int))}
        )
        (one,) = find_neighbours(rows)
        assert (one.strand, one.identity, one.alignment is not None) == (
            ("+", 1.0, True) if aligned else ("", None, False)
        )


# ---------------------------------------------------------------------------------------------------------------- counts


def test_counts_and_summaries_are_numpys() -> None:
    generator = np.random.default_rng(11)
    labels, mask = generator.integers(2, size=50), generator.random(50) < 0.3
    found = per_class(mask, labels, NAMES)
    assert found == PerClass(
        int(mask.sum()),
        {name: ClassCount(int((mask & (labels == i)).sum()), float(mask[labels == i].mean()) if i < 2 else 0.0) for i, name in enumerate(NAMES)},
    )  # fmt: skip
    assert found.fraction("b") == found.per_class["b"].fraction
    values = generator.normal(size=30)
    assert spread(np.zeros(0)) is None
    summary = spread(values)
    assert summary is not None
    assert (summary.mean, summary.min, summary.max) == (values.mean(), values.min(), values.max())
    assert (summary.q05, summary.q25, summary.median, summary.q75, summary.q95) == tuple(
        np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    )
    sizes = [1, 1, 2, 3, 9, 10, 40]
    assert family_sizes(np.repeat(np.arange(7), sizes)) == {"1": 2, "2": 1, "3-9": 2, "10+": 2}
    columns = {"train": np.array([1.0, 3.0, 5.0]), "test": np.array([5.0, 41.0])}
    made_of = histograms({"length": columns}, {"train": np.array([0, 1, 1]), "test": np.array([0, 0])}, ("a", "b"))
    assert made_of["length"]["edges"] == [float(i) for i in range(1, 42)]
    bins = {value: [int(i == value - 1) for i in range(40)] for value in (1, 3, 5)}
    assert made_of["length"]["train"] == {"a": bins[1], "b": [x + y for x, y in zip(bins[3], bins[5], strict=True)]}
    assert made_of["length"]["test"] == {"a": [int(i in (4, 39)) for i in range(40)], "b": [0] * 40}
    alike = histograms({"gc": {"test": np.array([0.5])}}, {"test": np.array([0])}, ("a",))["gc"]
    assert (alike["edges"][0], alike["edges"][-1], alike["test"]["a"][0]) == (0.5, 1.5, 1)
    sequences = ["ACGT", "GGNN", "AANA"]
    classes = summarise_classes(
        np.array([0, 0, 1]), NAMES, np.array([4, 4, 4]), composition(sequences), np.array([0.5, 0.0, 1.0])
    )
    assert (
        classes["a"].rows,
        classes["a"].fraction,
        classes["a"].n_mean,
        classes["a"].rows_with_n,
        classes["a"].lower_mean,
    ) == (2, 2 / 3, 0.25, 1, 0.25)
    assert classes["a"].gc is not None
    assert (classes["a"].gc.min, classes["a"].gc.max) == (0.5, 1.0)
    assert (
        classes["c"].rows,
        classes["c"].length,
        classes["c"].n_mean,
        classes["c"].rows_with_n,
        classes["c"].lower_mean,
    ) == (0, None, None, 0, None)
    bare = summarise_classes(np.array([0]), NAMES, np.array([4]), None)["a"]
    assert (bare.gc, bare.n_mean, bare.rows_with_n, bare.lower_mean) == (None, None, None, None)


def test_a_report_is_plain_to_six_digits_and_says_when_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    example = Example("x", "test", "no", 3)
    finding = Finding("leak: duplicates", "Some.", 0.123456789, (0.1, 0.2), (example,))
    verdict = Verdict("leak", ("leak: duplicates",), ("Some.", "More."), (finding,))
    score = control(np.array([0, 1, 1]), np.array([0, 1, 0]), ("no", "yes"), trees=np.int64(3))
    part = AuditReport("s/part", ("no",), "mcc", "", "coordinates", {}, {}, {}, {}, (), Verdict("clean", (), ()))
    whole = AuditReport(
        "s/t", ("no", "yes"), "accuracy", "partial", "sequences", {}, {}, {}, {"length": score}, (), verdict,
        published_coordinates=part, outputs={"yes": part},
    )  # fmt: skip
    found = whole.to_dict()
    assert found["schema"] == "audit-4"
    assert found["controls"]["length"] == {
        "accuracy": 0.666667, "balanced_accuracy": 0.75, "f1_macro": 0.666667, "mcc": 0.5, "recall": {"no": 1.0, "yes": 0.5},
        "details": {"trees": 3},
    }  # fmt: skip
    assert found["verdict"]["text"] == "Some. More."
    (told,) = found["verdict"]["findings"]
    assert {key: told[key] for key in ("rule_id", "kind", "text", "number", "interval", "threshold", "version")} == {
        "rule_id": "leak/duplicates", "kind": "leak", "text": "Some.", "number": 0.123457, "interval": [0.1, 0.2], "threshold": 0.01, "version": 1,
    }  # fmt: skip
    assert told["examples"][0]["id"] == "x"
    assert found["published_coordinates"]["task"] == "s/part"
    assert found["outputs"] == {"yes": part.to_dict()}
    assert "outputs" not in part.to_dict()
    assert part.to_dict()["published_coordinates"] is None
    assert (finding.rule, finding.rule_id, finding.kind) == (RULES["leak/duplicates"], "leak/duplicates", "leak")
    assert finding.measured == "12.3 % [10.0, 20.0]"
    words = {
        "audit-4": {"rules": {"leak/duplicates": 1, "gone/rule": 9}},
        "audit-3": {"schema": "audit-3"},
        "by coordinates": {"schema": "audit-2", "route": "coordinates"},
    }
    assert all(outdated(old) == "" for old in words.values())
    assert outdated({"rules": {"leak/duplicates": 0, "leak/overlap": 2}}) == (
        "made by an older rule leak/duplicates, leak/overlap; audit again"
    )
    assert outdated({"schema": "audit-2", "route": "sequences"}) == (
        "made before fixed places and letter case were looked at; audit again"
    )
    assert outdated({"schema": "audit-1"}) == "made before copies and repeats were told apart; audit again"
