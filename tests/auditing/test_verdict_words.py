"""Every rule of a verdict: it fires at its threshold and not below, with its number, its interval, its words and its examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from findna_bench.auditing.audit_report import (
    Asymmetry,
    ClassCount,
    ClassSummary,
    CrossSplit,
    Finding,
    PerClass,
    SplitSummary,
    Verdict,
)
from findna_bench.auditing.examples import Behind, ExampleRows
from findna_bench.auditing.positional import Site, SiteCounts
from findna_bench.auditing.rules import KINDS, RULES
from findna_bench.auditing.shortcuts import Control
from findna_bench.auditing.verdict import (
    Measured,
    asymmetries,
    judge,
    judge_pairs,
    judge_states,
    judge_variants,
    with_findings,
)
from findna_bench.relatedness.diverged_copies import DivergedCopies
from findna_bench.relatedness.repeat_families import RepeatFamilies
from findna_bench.relatedness.rows import Rows

FAR, NEAR = 1000, 1000
"""Rows of test of either class: the first ones are far."""


def count(far: int, near: int, of_far: int = FAR, of_near: int = NEAR) -> PerClass:
    return PerClass(far + near, {"far": ClassCount(far, far / of_far), "near": ClassCount(near, near / of_near)})


def summary(far: int, near: int, **more: Any) -> SplitSummary:
    lower = more.pop("lower", (None, None))
    classes = {
        name: ClassSummary(rows, rows / (far + near), None, lower_mean=share)
        for name, rows, share in (("far", far, lower[0]), ("near", near, lower[1]))
    }
    return SplitSummary(far + near, classes, **more)


def control(right: int, n: int = FAR + NEAR, **details: object) -> Control:
    """Right in the first rows."""
    return Control(right / n, 0.0, 0.0, 0.0, {}, details, np.arange(n) < right)


def measured(far: int = FAR, near: int = NEAR, **given: Any) -> Measured:
    """Train and test that share nothing, but for what is given."""
    none = count(0, 0, far, near)
    cross = {"exact": none, "reverse_complement": none, **given.pop("cross", {})}
    test = given.pop("test", summary(far, near))
    controls = {"majority": control(far, far + near), **given.pop("controls", {})}
    rows = Rows(np.repeat([0, 1], [far, near]), np.arange(far + near), np.full(far + near, 7))
    behind = {name: Behind("test", mask) for name, mask in given.pop("behind", {}).items()}
    return Measured(
        splits={"train": summary(300, 300), "test": test},
        cross=CrossSplit("train", "test", **cross),
        controls=controls,
        rows=ExampleRows({"test": rows}, ("far", "near"), behind),
        looked_at=("all",),
        **given,
    )


def wilson(rows: int, n: int) -> tuple[float, float]:
    found = stats.binomtest(rows, n).proportion_ci(method="wilson")
    return found.low, found.high


def agresti_min(more: int, n: int = FAR + NEAR, fewer: int = 0) -> tuple[float, float]:
    """Of shares of the same rows: ``more`` that the first alone has, ``fewer`` that the second alone has."""
    b, c = more + 0.5, fewer + 0.5
    middle, half = (b - c) / (n + 2), 1.959964 * math.sqrt(b + c - (b - c) ** 2 / (n + 2)) / (n + 2)
    return middle - half, middle + half


def newcombe(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    p, q = first[0] / first[1], second[0] / second[1]
    (low, high), (other_low, other_high) = wilson(*first), wilson(*second)
    return p - q - math.hypot(p - low, other_high - q), p - q + math.hypot(high - p, q - other_low)


def only(verdict: Verdict, rule_id: str) -> Finding:
    assert verdict.flags == (RULES[rule_id].flag,)
    (finding,) = verdict.findings
    assert finding.rule_id == rule_id
    return finding


# ------------------------------------------------------------------------------------------------------------- shortcuts

SHORTCUTS: dict[str, tuple[Callable[[Measured], Verdict], Callable[[int], dict[str, Control]], int, str]] = {
    "shortcut/length": (
        judge,
        lambda n: {"length-linear": control(1020), "length-lookup": control(n), "length-trees": control(1010)},
        100,
        "Length alone predicts test: length-lookup 55.0 %, length-linear 51.0 %, length-trees 50.5 %, where the majority class gets 50.0 %.",
    ),
    "shortcut/case": (
        judge,
        lambda n: {"case": control(n)},
        100,
        "Upper and lower case alone predict 55.0 % of test (majority class 50.0 %); mean share of lower case: 25.0 % of far, 0.0 % of near. "
        "Models here read upper case; others may not.",
    ),
    "shortcut/ends": (
        judge,
        lambda n: {"ends": control(n, bases=12), "middle": control(900)},
        100,
        "The first and last bases of rows (12 in all) predict 55.0 % of test, as many from the middle 45.0 % (majority class 50.0 %).",
    ),
    "note/position": (
        judge,
        lambda n: {"position": control(n), "position-rotated": control(990)},
        100,
        "A linear model of the bases by place predicts 55.0 % of test, of rotated rows 49.5 %: rows of a class have something at fixed places.",
    ),
    "shortcut/overlap": (
        judge,
        lambda n: {"overlap-any": control(n, fallback="near"), "overlap-half": control(1050), "similar": control(900)},
        100,
        '"Label of the overlapping train row, else near" predicts 55.0 % of test (overlap-any; majority class 50.0 %).',
    ),
    "shortcut/similarity": (
        judge,
        lambda n: {"similar": control(n, fallback="far"), "overlap-any": control(1050)},
        100,
        '"Label of the most similar train row, else far" predicts 55.0 % of test (similar; majority class 50.0 %).',
    ),
    "shortcut/same-composition": (
        judge,
        lambda n: {"same-composition": control(n)},
        100,
        "The label of a train row with the same dinucleotide counts, read as train rows teach it, predicts 55.0 % of test (same-composition; "
        "majority class 50.0 %).",
    ),
    "note/composition": (
        judge,
        lambda n: {"kmer": control(n), "composition-trees": control(1100)},
        201,
        "Composition alone goes far: composition-trees 55.0 %, kmer 60.1 % (majority class 50.0 %); a model's score is to be read above that.",
    ),
    "shortcut/distance": (
        judge_pairs,
        lambda n: {"distance-trees": control(n)},
        100,
        "Distance and strand alone predict 55.0 % of test (distance-trees; majority class 50.0 %).",
    ),
    "shortcut/shared-side": (
        judge_pairs,
        lambda n: {"shared-side": control(n)},
        100,
        "The labels of train pairs with the same side predict 55.0 % of test (shared-side; majority class 50.0 %).",
    ),
    "note/one-side": (
        judge_pairs,
        lambda n: {"side-a": control(1100), "side-b": control(n), "composition-trees": control(900)},
        201,
        "Without asking whether the sides fit, side b alone predicts 60.1 % of test (majority class 50.0 %).",
    ),
}


@pytest.mark.parametrize("rule_id", SHORTCUTS)
def test_a_control_is_a_finding_from_the_threshold_on(rule_id: str) -> None:
    judged, controls, least, text = SHORTCUTS[rule_id]
    test = summary(FAR, NEAR, lower=(0.25, None))
    assert judged(measured(test=test, controls=controls(FAR + least - 2))).findings == ()
    finding = only(judged(measured(test=test, controls=controls(FAR + least))), rule_id)
    assert finding.text == text
    assert finding.number == pytest.approx(least / 2000)
    assert finding.interval == pytest.approx(agresti_min(least), abs=1e-6)
    # Rows that the control gets right and the majority class does not, evenly spaced.
    assert [example.id for example in finding.examples] == [
        str(FAR + round(place)) for place in (0, (least - 1) // 4, (least - 1) // 2, 3 * (least - 1) // 4, least - 1)
    ]
    assert all((example.split, example.label, example.length) == ("test", "near", 7) for example in finding.examples)


def test_other_words_of_shortcuts() -> None:
    texts = {
        "nn-relation": "The label of the nearest train row, read as train rows' neighbours teach it, predicts",
        "nn-overlap": '"Label of the overlapping train row, else far" predicts',
        "overlap-half": '"Label of the overlapping train row, else far" predicts',
    }
    for name, words in texts.items():
        rule_id = "shortcut/similarity" if name == "nn-relation" else "shortcut/overlap"
        found = judge(measured(controls={name: control(1200, fallback="far")}))
        assert only(found, rule_id).text == f"{words} 60.0 % of test ({name}; majority class 50.0 %)."
    pairs = judge_pairs(measured(controls={"length-trees": control(1200)}))
    assert (
        only(pairs, "shortcut/length").text
        == "Lengths, N and padding of the sides alone predict 60.0 % of test (length-trees; majority class 50.0 %)."
    )
    sides = judge_pairs(measured(controls={"composition-trees": control(1202), "side-a": control(1190)}))
    assert (
        only(sides, "note/one-side").text
        == "Without asking whether the sides fit, composition of both sides predicts 60.1 % of test (majority class 50.0 %)."
    )
    lone = judge(measured(controls={"composition-trees": control(1202)}))
    assert only(lone, "note/composition").text.startswith(
        "Composition alone goes far: composition-trees 60.1 % (majority"
    )
    lone = judge(measured(controls={"length-linear": control(1200)}))
    assert only(lone, "shortcut/length").text.startswith("Length alone predicts test: length-linear 60.0 %, where the")


@pytest.mark.parametrize(("looks", "least"), [(1, 22), (10, 26)])
def test_of_few_rows_a_gain_has_to_be_three_errors_and_more_where_more_is_looked_at(looks: int, least: int) -> None:
    """Of 200 rows one error is 3.5 points; of ten looks each needs 3.64 of them."""
    for right, found in ((least - 1, ()), (least, ("shortcut: length",))):
        asked = measured(100, 100, controls={"length-trees": control(100 + right, 200)}, looks=looks)
        assert judge(asked).flags == found


def test_a_gain_by_place_is_the_smaller_one_over_the_majority_and_over_the_other_control() -> None:
    for name, other, rule_id in (
        ("ends", "middle", "shortcut/ends"),
        ("position", "position-rotated", "note/position"),
    ):
        more = {name: control(1151, bases=4), other: control(1050)}
        finding = only(judge(measured(controls=more)), rule_id)
        assert finding.number == pytest.approx(0.0505)
        assert finding.interval == pytest.approx(agresti_min(101), abs=1e-6)
        assert judge(measured(controls={name: control(1149, bases=4), other: control(1050)})).flags == ()
        assert judge(measured(controls={name: control(1099, bases=4), other: control(900)})).flags == ()


def test_what_one_rule_says_another_does_not_repeat() -> None:
    """Places as a whole where one place is found, and composition where length is."""
    by_place = {"position": control(1400), "position-rotated": control(1000)}
    assert judge(measured(controls={**by_place, "case": control(1400)})).flags == ("shortcut: case",)
    assert judge(measured(controls={"kmer": control(1400), "length-trees": control(1400)})).flags == (
        "shortcut: length",
    )


def test_a_rule_by_neighbours_shows_the_rows_that_have_one() -> None:
    rows = {name: np.arange(2000) == place for place, name in enumerate(("overlap_any", "overlap_half", "similar"))}
    rows["same_composition"], rows["shared_side"] = np.arange(2000) == 3, np.arange(2000) == 4
    for name, expected in (("overlap-any", "1"), ("similar", "2"), ("same-composition", "3")):
        (finding,) = judge(measured(controls={name: control(1200)}, behind=rows)).findings
        assert [example.id for example in finding.examples] == [expected]
    (finding,) = judge_pairs(measured(controls={"shared-side": control(1200)}, behind=rows)).findings
    assert [example.id for example in finding.examples] == ["4"]
    del rows["overlap_half"], rows["similar"]
    for name in ("overlap-half", "similar"):
        (finding,) = judge(measured(controls={name: control(1200)}, behind=rows)).findings
        assert [example.id for example in finding.examples] == ["0"]


def test_a_site_is_a_finding_from_ten_points_and_three_errors_on() -> None:
    site = Site("start", 60, "AT", "GATTAC", 58, 1, (1, 0))

    def asked(with_word: int, others: int = 100, n: int = 1000, elsewhere: float = 0.02, looks: int = 1) -> Measured:
        return measured(site=(site, SiteCounts(n, with_word, n, others, elsewhere)), looks=looks)

    assert judge(asked(219)).flags == ()
    finding = only(judge(asked(221)), "shortcut/site")
    assert finding.text == (
        "GATTAC at base 59 is in 22.1 % of near and 10.0 % of the other rows of test: a difference of 10.1 points beyond that at other places."
    )
    assert finding.number == pytest.approx(0.101)
    error = math.sqrt(sum(p * (1 - p) / 1000 for p in (222 / 1002, 101 / 1002)))
    assert finding.interval == pytest.approx((0.101 - 1.96 * error, 0.101 + 1.96 * error))
    lacking = only(judge(asked(100, 300, elsewhere=-0.02)), "shortcut/site")
    assert lacking.number == pytest.approx(-0.18)
    # Of 100 rows: three errors of 0.30 and 0.10 are 16.7 points, of ten looks 20.3.
    assert [bool(judge(asked(n, 10, 100, 0.0)).flags) for n in (26, 27)] == [False, True]
    assert [bool(judge(asked(n, 10, 100, 0.0, looks=10)).flags) for n in (30, 32)] == [False, True]


# ----------------------------------------------------------------------------------------------------------------- leaks

LEAKS: dict[str, tuple[Callable[[Measured], Verdict], str, int, str]] = {
    "leak/overlap": (judge, "overlap_half", 50, "Test rows that overlap a train row by half or more: {}."),
    "leak/partial-overlap": (
        judge,
        "overlap_any",
        50,
        "Test rows that share bases with a train row, less than half: {}.",
    ),
    "leak/duplicates": (judge, "exact", 10, "Test rows identical to a train row on either strand: {}."),
    "leak/design": (
        judge,
        "same_design",
        50,
        "The sequences are a designed library: test rows that share a segment (constant ones left out) with a train row: {}; --split grouped "
        "keeps such rows together.",
    ),
    "leak/similarity": (
        judge,
        "copies",
        50,
        "Test rows that are copies of a train row (whole, shifted, cut or extended, either strand): {}.",
    ),
    "note/repeats": (
        judge,
        "repeats",
        50,
        "Test rows similar to train rows as repeats are (in part, to many of them, or at another locus): {}.",
    ),
    "leak/shared-side": (
        judge_pairs,
        "shared_side",
        50,
        "Test pairs that share a side with a train pair: {}; --split grouped keeps them together.",
    ),
    "leak/related-side": (
        judge_pairs,
        "related_side",
        50,
        "Test pairs with a copy of a side of a train pair: {}; --split grouped keeps such pairs together.",
    ),
    "leak/same-site": (
        lambda m: judge_variants(m, ()),
        "same_site",
        50,
        "Test variants at a site of a train variant: {}; --split grouped keeps them together.",
    ),
    "leak/shared-element": (
        lambda m: judge_variants(m, ()),
        "shared_element",
        50,
        "Test variants in an element that train has variants of: {}; with elements in a column group --split grouped keeps them together.",
    ),
}


def examples_of(number: str) -> dict[str, np.ndarray]:
    return {number: np.arange(FAR + NEAR) == 1234}


@pytest.mark.parametrize("rule_id", LEAKS)
def test_a_share_of_a_class_is_a_finding_from_the_threshold_on(rule_id: str) -> None:
    judged, measure, least, text = LEAKS[rule_id]
    number = "identical" if measure == "exact" else measure
    for classes in (("far", "near"), ("near", "far")):
        rows = dict(zip(classes, (least, least // 2), strict=True))
        at = measured(cross={measure: count(rows["far"], rows["near"])}, behind=examples_of(number))
        rows[classes[0]] -= 1
        below = measured(cross={measure: count(rows["far"], rows["near"])}, behind=examples_of(number))
        kept = [f for f in judged(below).findings if f.kind != "asymmetric"]
        assert kept == []
        (finding,) = [f for f in judged(at).findings if f.kind != "asymmetric"]
        assert finding.rule_id == rule_id
        share = {
            name: f"{100 * n / 1000:.1f} % of {name}" for name, n in zip(classes, (least, least // 2), strict=True)
        }
        expected = text.replace("{}", f"{share['far']}, {share['near']}")
        assert (
            finding.text == expected.replace("keeps them together", "keeps such pairs together")
            if (rule_id == "leak/shared-side")
            else finding.text == expected
        )
        assert finding.number == pytest.approx(least / 1000)
        assert finding.interval == pytest.approx(wilson(least, 1000))
        assert [example.id for example in finding.examples] == ["1234"]


def test_words_of_pairs_and_of_variants_that_are_found_again() -> None:
    tenth = count(100, 0)
    pairs = judge_pairs(measured(cross={"exact": tenth}, controls={"shared-side": control(1000)}))
    assert only(pairs, "leak/duplicates").text == (
        "Test pairs that are in train, on whichever strand: 10.0 % of far, 0.0 % of near."
    )
    both = judge_pairs(measured(cross={"shared_side": tenth, "related_side": tenth}))
    assert only(both, "leak/shared-side")
    texts = {
        "exact": ("leak/duplicates", "Test variants that are in train: {}."),
        "overlap_half": ("leak/overlap", "Windows of test variants that overlap one of train by half or more: {}."),
        "copies": ("leak/similarity", "Windows of test variants that are a window of train, or a copy of one: {}."),
    }
    for measure, (rule_id, text) in texts.items():
        found = judge_variants(measured(cross={measure: tenth}, behind=examples_of(measure)), ())
        finding = only(found, rule_id)
        assert finding.text == text.replace("{}", "10.0 % of far, 0.0 % of near")
        assert [example.id for example in finding.examples] == ["1234"]


def test_rows_identical_on_either_strand_are_counted_together_less_those_at_another_locus() -> None:
    cross = {"exact": count(20, 0), "reverse_complement": count(10, 5), "identical_elsewhere": count(15, 5)}
    cross["near_elsewhere"] = count(0, 0)
    found = judge(measured(cross=cross, behind=examples_of("identical_elsewhere")))
    assert found.flags == ("leak: duplicates", "note: identical-elsewhere")
    leak, note = found.findings
    assert leak.text == "Test rows identical to a train row on either strand: 1.5 % of far, 0.0 % of near."
    assert note.text == "Test rows identical to a train row at another locus: 1.5 % of far, 0.5 % of near."
    assert leak.interval == note.interval == pytest.approx(wilson(15, 1000))
    assert [example.id for example in note.examples] == ["1234"]


def test_an_overlap_by_half_stands_for_the_overlap_by_any_base() -> None:
    both = {"overlap_half": count(60, 60), "overlap_any": count(100, 100)}
    assert judge(measured(cross=both)).flags == ("leak: overlap",)
    both["overlap_half"] = count(49, 49)
    assert judge(measured(cross=both)).flags == ("leak: partial-overlap",)


def test_shuffles_of_train_rows_say_how_many_have_the_other_label() -> None:
    cross = {"same_composition": count(50, 10), "same_composition_conflicting": count(30, 0)}
    finding = only(judge(measured(cross=cross, behind=examples_of("same_composition"))), "leak/same-composition")
    assert finding.text == (
        "Test rows with exactly the dinucleotide counts of another sequence in train, as a shuffle leaves them: 5.0 % of far, 1.0 % of near; "
        "50.0 % of these have the other label."
    )
    assert [example.id for example in finding.examples] == ["1234"]
    assert judge(measured(cross={"same_composition": count(49, 49)})).flags == ()
    alone = only(judge(measured(cross={"same_composition": count(0, 50)})), "leak/same-composition")
    assert alone.text.endswith("; 0.0 % of these have the other label.")


def test_repeats_tell_their_families_and_what_would_be_copies() -> None:
    families = RepeatFamilies(1, 12, 40, 30, {})
    cross = {
        "near_elsewhere": count(40, 0),
        "identical_elsewhere": count(20, 4),
        "copies_elsewhere": count(10, 5),
        "repeat_families": families,
        "copies": count(500, 500),
    }
    finding = only(judge(measured(cross=cross, behind=examples_of("near_elsewhere"))), "note/repeats")
    assert finding.text == (
        "Test rows similar to a train row at another locus (repeats, gene families): 6.0 % of far, 0.4 % of near; by sequence alone these would be "
        "copies, as segmental duplications are and one locus in two assemblies: 1.0 % of far, 0.5 % of near. By sequence 40 test rows belong to "
        "1 family of repeats, the largest of 12 rows of train and test; 30 of them to families of 10 rows or more."
    )
    assert finding.number == pytest.approx(0.06)
    assert [example.id for example in finding.examples] == ["1234"]
    many = {"repeats": count(50, 0), "repeat_families": replace(families, families=1234, largest=5678, rows=2345)}
    finding = only(judge(measured(cross=many, behind=examples_of("repeats"))), "note/repeats")
    assert finding.text.endswith(
        " By sequence 2,345 test rows belong to 1,234 families of repeats, the largest of 5,678 rows of train and test; 30 of them to families of "
        "10 rows or more."
    )
    none = {"repeats": count(50, 0), "repeat_families": replace(families, families=0)}
    assert only(judge(measured(cross=none)), "note/repeats").text.endswith("5.0 % of far, 0.0 % of near.")


def test_copies_at_low_identity_are_counted_above_those_of_rows_read_backwards() -> None:
    diverged = DivergedCopies(np.arange(3), np.full(3, -1), 0.02)
    behind = examples_of("diverged_copies")
    assert judge(measured(cross={"diverged_copies": count(30, 69)}, diverged=diverged)).flags == ()
    finding = only(
        judge(measured(cross={"diverged_copies": count(30, 71)}, diverged=diverged, behind=behind)),
        "leak/diverged-copies",
    )
    assert finding.text == (
        "Test rows that are a train row from end to end at 77.0 % identity or more (either strand), and no closer to any: 3.0 % of far, 7.1 % of near; "
        "of rows read backwards 2.0 % are. --split grouped does not join these."
    )
    assert finding.number == pytest.approx(0.051)
    assert finding.interval == pytest.approx(tuple(bound - 0.02 for bound in wilson(71, 1000)))
    assert [example.id for example in finding.examples] == ["1234"]
    by_loci = {"diverged_copies": count(30, 71), "near_elsewhere": count(0, 0)}
    assert judge(measured(cross=by_loci, diverged=diverged)).flags == ()
    assert judge(measured(cross={"diverged_copies": count(30, 71)})).flags == ()


def test_rows_that_stand_twice_in_a_split_or_are_made_of_each_other() -> None:
    twice = summary(
        300, 300,
        exact=count(10, 10, 300, 300), reverse_complement=count(5, 2, 300, 300), shuffles=count(3, 15, 300, 300),
        families={"1": 573, "2": 1200, "3-9": 1, "10+": 0},
    )  # fmt: skip
    asked = measured(behind={"within_train": np.arange(2000) == 5, "shuffles_train": np.arange(2000) == 6})
    found = judge(replace(asked, splits={"train": twice, "test": asked.splits["test"]}))
    assert found.flags == ("note: duplicates", "note: shuffles")
    same, made = found.findings
    assert same.text == (
        "Rows of train that stand there more than once, on either strand: 5.0 % of far, 4.0 % of near (sequences: 1,200 in 2 rows, 1 in 3-9 rows)."
    )
    assert made.text == (
        "Rows of train with exactly the dinucleotide counts of another sequence there that has another label: 1.0 % of far, 5.0 % of near."
    )
    assert (same.number, made.number) == pytest.approx((0.05, 0.05))
    assert same.interval == made.interval == pytest.approx(wilson(15, 300))
    assert [[example.id for example in one.examples] for one in (same, made)] == [["5"], ["6"]]
    fewer = replace(
        twice, reverse_complement=count(4, 4, 300, 300), shuffles=count(14, 14, 300, 300), families={"1": 600}
    )
    assert judge(replace(asked, splits={"train": fewer, "test": asked.splits["test"]})).flags == ()


def test_classes_that_are_found_again_unequally() -> None:
    cross = {"overlap_any": count(40, 91), "overlap_half": count(0, 30), "similar": count(0, 900)}
    found = judge(measured(cross=cross, behind=examples_of("overlap_any")))
    assert found.flags == ("leak: partial-overlap", "asymmetric: overlap-any")
    finding = found.findings[1]
    assert finding.text == "The classes are hit unequally (overlap any): 9.1 % of near, 4.0 % of far."
    assert finding.number == pytest.approx(0.051)
    assert finding.interval == pytest.approx(newcombe((91, 1000), (40, 1000)))
    assert [example.id for example in finding.examples] == ["1234"]
    assert judge(measured(cross={"overlap_any": count(40, 89)})).flags == ("leak: partial-overlap",)
    similar = only(judge(measured(cross={"similar": count(54, 2)})), "asymmetric/similar")
    assert similar.text == "The classes are hit unequally (similar): 5.4 % of far, 0.2 % of near."
    half = judge(measured(cross={"overlap_half": count(0, 500), "overlap_any": count(10, 500)})).findings
    assert [finding.rule_id for finding in half] == ["leak/overlap", "asymmetric/overlap-half"]
    assert asymmetries(CrossSplit("train", "test", exact=count(3, 1), overlap_half=count(2, 2))) == {
        "exact": Asymmetry("far", 0.003, "near", 0.001),
        "overlap_half": Asymmetry("near", 0.002, "far", 0.002),
    }
    assert asymmetries(None) == {}


def test_rows_under_another_label_count_from_one_in_two_hundred() -> None:
    finding = only(
        judge(measured(cross={"conflicting": count(7, 3)}, behind=examples_of("conflicting"))), "conflicting-labels"
    )
    assert finding.text == "10 test rows (0.5 %) are in train under another label."
    assert finding.number == 0.005
    assert finding.interval == pytest.approx(wilson(10, 2000))
    assert [example.id for example in finding.examples] == ["1234"]
    assert judge(measured(cross={"conflicting": count(6, 3)})).flags == ()
    for judged in (judge_pairs, lambda m: judge_variants(m, ()), lambda m: judge_states(m, ())):
        assert judged(measured(cross={"conflicting": count(7, 3)})).flags == ("conflicting-labels",)


# -------------------------------------------------------------------------------------------------------------- verdicts

CLEAN = ", and no more of test is found again in train than the thresholds allow."
LEAK = Finding("leak: duplicates", "Some rows.", 0.02, (0.01, 0.03))
NOTE = Finding("note: missing-state", "No base.")
SHORTCUT = Finding("shortcut: length", "Length tells.", 0.0512)


def test_a_clean_verdict_says_what_was_asked() -> None:
    words = {
        judge: "No shortcut by length, by fixed places or by letter case",
        judge_pairs: "No shortcut by distance, length or a shared side",
        lambda m: judge_variants(m, ()): "No shortcut by group, distance, place or length",
        lambda m: judge_states(m, ()): "No shortcut by the place of a base or by letter case",
    }
    for judged, said in words.items():
        assert judged(measured()) == Verdict("clean", (), (said + CLEAN,), (), ("all",))
    known = {"exact": None, "reverse_complement": None, "overlap_half": count(0, 0)}
    assert judge(measured(cross=known)) == Verdict(
        "clean by coordinates",
        (),
        ("No shortcut by length" + CLEAN, "By coordinates alone: sequences were not looked at."),
        (),
        ("all",),
    )
    leaking = judge(measured(cross={**known, "overlap_half": count(300, 300)}))
    assert leaking.level == "leak"
    assert leaking.sentences[1:] == ("By coordinates alone: sequences were not looked at.",)


def test_levels_and_quoted_sentences() -> None:
    said = "Some rows (leak/duplicates: 2.0 % [1.0, 3.0]; from 1 %)."
    levels = {
        (LEAK,): "leak",
        (SHORTCUT,): "shortcut",
        (LEAK, SHORTCUT): "shortcut and leak",
        (NOTE, LEAK): "leak",
        (NOTE,): "note",
    }
    for findings, level in levels.items():
        found = judge_states(measured(), findings)
        assert found.level == level
        assert found.flags == tuple(finding.flag for finding in findings)
        assert found.findings == findings
        assert len(found.sentences) == len(findings) + (level == "note")
    assert judge_states(measured(), (LEAK,)).text == said
    assert judge_states(measured(), (NOTE,)).sentences[1] == "No base. (note/missing-state)"
    assert SHORTCUT.quoted == "Length tells (shortcut/length: 5.1 points; from 5 points and 3 standard errors)."
    assert judge_states(measured(), (LEAK, LEAK)).flags == ("leak: duplicates",)


def test_without_train_there_is_no_verdict_but_on_variants() -> None:
    for splits, present in (({"test": summary(5, 5)}, "test"), ({}, "nothing")):
        lone = Measured(splits, None, looked_at=("all",))
        said = f"Only {present} is present: leaks from train and shortcuts cannot be measured."
        for judged in (judge, judge_pairs, lambda m: judge_states(m, (LEAK,))):
            assert judged(lone) == Verdict("not audited", (), (said,), (), ("all",))
    alone = judge_variants(Measured({"test": summary(5, 5)}, None, looked_at=("all",)), (SHORTCUT, SHORTCUT))
    said = "Only test is present, as a score without training needs no more: nothing can leak from train."
    assert alone == Verdict(
        "shortcut", ("shortcut: length",), (said, SHORTCUT.quoted, SHORTCUT.quoted), (SHORTCUT, SHORTCUT), ("all",)
    )
    two = judge_variants(Measured({"validation": summary(5, 5), "test": summary(5, 5)}, None), ())
    assert two.sentences[0].startswith("Only one split is present, ")
    assert two.level == "clean"


def test_findings_that_come_later_change_the_level() -> None:
    first = "No shortcut." + CLEAN
    clean = Verdict("clean", (), (first,), (), ("all",))
    assert with_findings(clean, ()) is clean
    noted = with_findings(clean, (NOTE,))
    assert noted == Verdict("note", (NOTE.flag,), (first, NOTE.quoted), (NOTE,), ("all",))
    leaking = with_findings(noted, (LEAK,))
    assert leaking == Verdict("leak", (NOTE.flag, LEAK.flag), (NOTE.quoted, LEAK.quoted), (NOTE, LEAK), ("all",))
    again = with_findings(leaking, (LEAK,))
    assert (again.flags, again.sentences) == (leaking.flags, (NOTE.quoted, LEAK.quoted, LEAK.quoted))
    by_coordinates = replace(clean, level="clean by coordinates")
    assert with_findings(by_coordinates, (NOTE,)).level == "note by coordinates"
    assert with_findings(by_coordinates, (SHORTCUT,)).level == "shortcut"
    unknown = replace(clean, level="not audited")
    assert with_findings(unknown, (LEAK,)).level == "not audited"
    assert with_findings(unknown, (LEAK,)).sentences == (first, LEAK.quoted)


# ----------------------------------------------------------------------------------------------------------------- rules

THRESHOLDS: Mapping[str, tuple[float, float, int, str]] = {
    "shortcut/length": (0.05, 3, 1, "points"),
    "shortcut/ends": (0.05, 3, 1, "points"),
    "shortcut/site": (0.10, 3, 2, "points"),
    "shortcut/case": (0.05, 3, 1, "points"),
    "shortcut/overlap": (0.05, 3, 1, "points"),
    "shortcut/similarity": (0.05, 3, 1, "points"),
    "shortcut/same-composition": (0.05, 3, 1, "points"),
    "shortcut/distance": (0.05, 3, 1, "points"),
    "shortcut/shared-side": (0.05, 3, 1, "points"),
    "shortcut/position": (0.05, 3, 1, "points"),
    "shortcut/group": (0.05, 3, 1, "points"),
    "leak/same-site": (0.05, 0, 1, "%"),
    "leak/shared-element": (0.05, 0, 1, "%"),
    "leak/overlap": (0.05, 0, 1, "%"),
    "leak/partial-overlap": (0.05, 0, 1, "%"),
    "leak/duplicates": (0.01, 0, 1, "%"),
    "leak/similarity": (0.05, 0, 1, "%"),
    "leak/diverged-copies": (0.05, 0, 2, "points"),
    "leak/same-composition": (0.05, 0, 1, "%"),
    "leak/design": (0.05, 0, 1, "%"),
    "leak/genome-locus": (0.05, 0, 1, "%"),
    "leak/shared-side": (0.05, 0, 1, "%"),
    "leak/related-side": (0.05, 0, 1, "%"),
    "conflicting-labels": (0.005, 0, 1, "%"),
    "asymmetric/overlap-half": (0.05, 0, 1, "points"),
    "asymmetric/overlap-any": (0.05, 0, 1, "points"),
    "asymmetric/similar": (0.05, 0, 1, "points"),
    "note/position": (0.05, 3, 1, "points"),
    "note/composition": (0.10, 0, 1, "points"),
    "note/substitution": (0.10, 3, 1, "points"),
    "note/left-out": (0.0, 0, 1, "%"),
    "note/missing-state": (0.01, 0, 1, "%"),
    "note/unknown-states": (0.5, 0, 1, "%"),
    "note/one-side": (0.10, 0, 1, "points"),
    "note/repeats": (0.05, 0, 1, "%"),
    "note/identical-elsewhere": (0.01, 0, 1, "%"),
    "note/other-benchmark": (0.05, 0, 1, "%"),
    "note/duplicates": (0.05, 0, 1, "%"),
    "note/shuffles": (0.05, 0, 1, "%"),
}
"""Threshold, standard errors, version and unit. Whoever changes one of the first two raises the third."""


def test_a_rule_has_the_threshold_of_its_version() -> None:
    assert {
        rule_id: (rule.threshold, rule.errors, rule.version, rule.unit) for rule_id, rule in RULES.items()
    } == THRESHOLDS
    assert RULES["shortcut/site"].condition == "10 points and 3 standard errors"
    assert RULES["conflicting-labels"].condition == "0.5 %"
    assert {kind.name: kind.severity for kind in KINDS.values()} == {
        "leak": "error",
        "shortcut": "error",
        "conflicting-labels": "warning",
        "asymmetric": "warning",
        "note": "note",
    }
