"""Audits of states per base, of labels that few rows have, of pairs with numbers or labels: what is planted is found, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.auditing.audit_pages import write_pages
from findna_bench.auditing.auditing import audit_tables
from findna_bench.auditing.balanced import Gain, gain_of, significant, stricter
from findna_bench.auditing.cure import cure_tables
from findna_bench.errors import UnsupportedError
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.statistics.base_states import NO_STATE

N, LENGTH = 120, 80


def random_rows(n: int, rng: np.random.Generator, length: int = LENGTH) -> list[str]:
    return ["".join(rng.choice(list("ACGT"), length)) for _ in range(n)]


def table(sequences: list[str], labels: np.ndarray, split: str, **more: Any) -> fb.SequenceTable:
    return fb.SequenceTable(sequences, labels, np.array([f"{split}{i}" for i in range(len(sequences))]), **more)


# ------------------------------------------------------------------------------------------------------- states per base

STATES = fb.TaskCard(name="states", suite="lab", labels=("E", "I", "r"), target="per_base", metric="base_mcc")


def states_of(seed: int, n: int = N, length: int = LENGTH) -> dict[str, fb.SequenceTable]:
    """Stretches of three states anywhere, 2 % of them r."""
    rng, found = np.random.default_rng(seed), {}
    for split in ("train", "validation", "test"):
        states = np.repeat(rng.choice(3, p=(0.6, 0.38, 0.02), size=(n, length // 5)), 5, axis=1).astype(np.uint8)
        found[split] = table(random_rows(n, rng, length), states, split)
    return found


def test_states_that_say_nothing_are_clean_and_have_a_page(tmp_path: Path) -> None:
    report = audit_tables(states_of(0), STATES)
    assert (report.flags, report.verdict.level) == ((), "clean")
    test = report.splits["test"]
    assert test.details["bases"] == test.details["counted"] == N * LENGTH
    assert sum(state["bases"] for state in test.details["states"].values()) == N * LENGTH
    assert test.details["states"]["r"]["run_length"]["min"] == 5
    assert sum(entry.fraction for entry in test.classes.values()) == pytest.approx(1)
    page = next(path for path in write_pages([report], tmp_path) if path.name == "states.md").read_text()
    assert f"{test.details['states']['r']['bases']:,}" in page.partition("## States")[2]
    assert "place-trees" in page


@pytest.mark.parametrize("seed", range(6))
def test_clean_states_are_not_accused(seed: int) -> None:
    assert audit_tables(states_of(10 + seed, n=60, length=40), STATES).flags == ()


def test_a_rare_state_at_one_place_is_a_shortcut_and_named() -> None:
    given = states_of(1)
    for one in given.values():
        one.labels[one.labels == 2] = 0
        one.labels[::2, 30:32] = 2  # 1.3 % of the bases
    report = audit_tables(given, STATES)
    assert report.flags == ("shortcut: position",)
    assert "r from the other states" in report.verdict.text
    assert report.controls["majority"].accuracy > 0.55


def test_lower_case_that_is_a_state_is_a_shortcut_of_the_file() -> None:
    given = states_of(2)
    lower = {}
    for split, one in given.items():
        lower[split] = np.empty(N, dtype=object)
        lower[split][:] = [np.packbits(states == 1).tobytes() for states in one.labels]
    given = {split: fb.SequenceTable(t.sequences, t.labels, t.ids, lower=lower[split]) for split, t in given.items()}
    report = audit_tables(given, STATES)
    assert report.flags == ("shortcut: case",)
    assert report.splits["test"].classes["I"].lower_mean == 1
    assert report.splits["test"].classes["E"].lower_mean == 0


def test_a_base_that_is_its_state_is_a_note() -> None:
    given = states_of(3)
    for one in given.values():
        for row, sequence in enumerate(one.sequences):
            one.labels[row] = np.array(list(sequence)) == "G"
    assert audit_tables(given, STATES).flags == ("note: composition", "note: missing-state")


def test_copies_on_either_strand_are_leaks_and_states_that_differ_there_conflicts() -> None:
    given = states_of(4)
    train, test = given["train"], given["test"]
    for row in range(12):
        test.sequences[row] = reverse_complement(train.sequences[row])
        test.labels[row] = train.labels[row][::-1]
    for row in range(12, 24):
        test.sequences[row], test.labels[row] = train.sequences[row], train.labels[row]
    agreeing = audit_tables(given, STATES)
    cross = agreeing.across["train->test"]
    assert {"leak: duplicates", "leak: similarity"} == set(agreeing.flags)
    assert (cross.exact.total, cross.reverse_complement.total, cross.conflicting.total) == (12, 12, 0)  # type: ignore[union-attr]
    test.labels[0, 0], test.labels[12, 5] = (test.labels[0, 0] + 1) % 3, (test.labels[12, 5] + 1) % 3
    test.labels[13, 7] = NO_STATE  # not known is no other state
    differing = audit_tables(given, STATES)
    assert differing.across["train->test"].conflicting.total == 2  # type: ignore[union-attr]
    assert "conflicting-labels" in differing.flags


def test_a_state_that_a_split_lacks_and_bases_that_do_not_count_are_said() -> None:
    given = states_of(5)
    given["test"].labels[given["test"].labels == 2] = 1
    given["train"].labels[:, 30:] = NO_STATE
    for row in range(N):
        given["train"].sequences[row] = given["train"].sequences[row][:70] + "N" * 10
    report = audit_tables(given, STATES)
    assert set(report.flags) == {"note: missing-state", "note: unknown-states"}
    assert "No base of test has state r" in report.verdict.text
    details = report.splits["train"].details
    assert (details["n"], details["unknown"], details["counted"]) == (N * 10, N * 40, N * 30)


def test_rows_with_states_are_not_written_anew() -> None:
    with pytest.raises(UnsupportedError, match="--split grouped"):
        cure_tables(states_of(0), STATES)


# ------------------------------------------------------------------------------------------------------------ rare labels

LABELS = fb.TaskCard(name="labels", suite="lab", labels=("rare", "other"), target="labels", metric="auroc_macro")


def labels_of(seed: int, plant: str = "", n: int = 500) -> dict[str, fb.SequenceTable]:
    """Two labels, one on 4 % of rows."""
    rng, found = np.random.default_rng(seed), {}
    for split in ("train", "test"):
        truth = (rng.random((n, 2)) < (0.04, 0.5)).astype(np.int8)
        sequences, lower = random_rows(n, rng, 60), np.full(n, b"", dtype=object)
        for row in np.flatnonzero(truth[:, 0]).tolist():
            if plant == "length":
                sequences[row] = sequences[row][:52]
            if plant == "ends":
                sequences[row] = "TATA" + sequences[row][4:-3] + "GGG"
            if plant == "case":
                lower[row] = np.packbits(np.ones(60, dtype=np.uint8)).tobytes()
        more = {"lower": lower} if plant == "case" else {}
        found[split] = table(sequences, truth, split, **more)
    return found


@pytest.mark.parametrize("plant", ["length", "ends", "case"])
def test_a_shortcut_for_a_label_of_four_in_a_hundred_is_seen(plant: str) -> None:
    report = audit_tables(labels_of(0, plant), LABELS)
    assert f"shortcut: {plant}" in report.flags
    assert {finding.text.partition(":")[0] for finding in report.verdict.findings} == {"rare"}
    assert report.outputs["other"].flags == ()
    assert report.outputs["rare"].controls["length-balanced"].details == {"classes": "weighted alike"}


@pytest.mark.parametrize("seed", range(3))
def test_clean_labels_are_not_accused(seed: int) -> None:
    assert audit_tables(labels_of(20 + seed, n=300), LABELS).flags == ()


def test_many_looks_need_more_errors_and_a_gain_of_few_rows_is_none() -> None:
    assert stricter(3.0, 1) == 3
    assert stricter(3.0, 125) == pytest.approx(4.26, abs=0.02)
    rows = np.arange(100)
    few = gain_of(rows < 3, (rows < 3) | (rows % 2 == 0))  # all three, and half of the others
    assert few.value > 0.2
    assert significant({"a": few}, 3.0) == []
    strong = {"a": Gain(0.2, 0.05, 0.7)}
    assert significant(strong, 3.0) == ["a"]
    assert significant({**strong, **{f"b{i}": Gain(0.0, 0.05, 0.5) for i in range(200)}}, 3.0) == []


def test_a_gain_has_the_error_of_the_rows_that_bases_stand_in() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(40), 50)
    has = np.tile(np.arange(50) < 5, 40)
    lucky = np.repeat(rng.random(40) < 0.6, 50)  # a row is right as a whole, or wrong
    found = np.where(lucky, has, ~has)
    alone, together = gain_of(has, found), gain_of(has, found, clusters=clusters)
    assert together.error > 4 * alone.error
    assert together.value == alone.value


# ----------------------------------------------------------------------------------------- pairs with numbers or labels


def pairs(labels: np.ndarray, seed: int, split: str, **more: Any) -> fb.SequenceTable:
    rng = np.random.default_rng(seed)
    return table(random_rows(N, rng, 40), labels, split, sequences_b=random_rows(N, rng, 40), **more)


def test_pairs_with_numbers_are_audited_by_their_median() -> None:
    card = fb.TaskCard(name="p", suite="lab", labels=("score",), inputs="pair", target="values", metric="spearman")
    rng = np.random.default_rng(0)
    given, clean = {}, {}
    for number, split in enumerate(("train", "test")):
        distance = rng.uniform(1e3, 1e5, N)
        clean[split] = pairs(rng.normal(size=(N, 1)), number, split, extra={"distance": distance})
        given[split] = pairs(np.log(distance)[:, None], number, split, extra={"distance": distance})
    assert audit_tables(clean, card).flags == ()
    report = audit_tables(given, card)
    assert "shortcut: distance" in report.flags
    assert report.labels[0].startswith("score up to ")


def test_pairs_with_labels_are_audited_label_by_label(tmp_path: Path) -> None:
    card = fb.TaskCard(name="p", suite="lab", labels=("a", "b"), inputs="pair", target="labels", metric="auroc_macro")
    rng = np.random.default_rng(0)
    given = {}
    for number, split in enumerate(("train", "test")):
        truth = (rng.random((N, 2)) < (0.5, 0.15)).astype(np.int8)
        truth[0] = -1
        distance = np.where(truth[:, 1] == 1, 1e3, 1e5) + rng.uniform(0, 500, N)
        given[split] = pairs(truth, number, split, extra={"distance": distance})
    report = audit_tables(given, card)
    assert report.outputs["a"].flags == ()
    assert "shortcut: distance" in report.outputs["b"].flags
    assert report.outputs["b"].splits["test"].rows == N - 1
    page = next(path for path in write_pages([report], tmp_path) if path.name == "p.md").read_text()
    assert "Each by itself" in page


# --------------------------------------------------------------------------------------------------------------- variants

VARIANTS = fb.TaskCard(name="v", suite="lab", labels=("benign", "harmful"), inputs="variant")


def variants(
    seed: int, split: str, n: int = 200, *, elements: int = 4, labels: np.ndarray | None = None
) -> fb.SequenceTable:
    """Substitutions in windows of 60 bases of one of some elements, each split with elements of its own."""
    rng = np.random.default_rng(seed)
    windows = random_rows(elements, rng, 60)
    element = rng.integers(elements, size=n)
    offset = rng.integers(60, size=n)
    sequences = [windows[e] for e in element]
    ref = np.array([s[o] for s, o in zip(sequences, offset, strict=True)])
    alt = np.array([rng.choice([b for b in "ACGT" if b != r]) for r in ref])
    truth = rng.integers(2, size=n) if labels is None else labels
    extra = {"offset": offset, "ref": ref, "alt": alt, "element": np.array([f"{split}{e}" for e in element])}
    return table(sequences, truth, split, extra=extra)


def unique(one: fb.SequenceTable) -> fb.SequenceTable:
    """Each variant once."""
    keys = list(zip(one.sequences, one.extra["offset"].tolist(), one.extra["alt"].tolist(), strict=True))
    return one.take([keys.index(key) for key in dict.fromkeys(keys)])


def both_splits(**more: Any) -> dict[str, fb.SequenceTable]:
    return {split: unique(variants(seed, split, **more)) for seed, split in enumerate(("train", "test"))}


def test_variants_that_say_nothing_are_clean_and_have_a_page(tmp_path: Path) -> None:
    report = audit_tables(both_splits(), VARIANTS)
    assert (report.flags, report.verdict.level) == ((), "clean")
    details = report.splits["test"].details
    assert (details["elements"], details["windows"]) == (4, 4)
    assert details["substitutions"] == report.splits["test"].rows
    page = next(path for path in write_pages([report], tmp_path) if path.name == "v.md").read_text()
    assert "| test4" not in page
    assert "Classes by group" in page


@pytest.mark.parametrize("seed", range(0, 10, 2))
def test_clean_variants_are_not_accused(seed: int) -> None:
    given = {"train": unique(variants(seed, "train")), "test": unique(variants(seed + 1, "test"))}
    assert audit_tables(given, VARIANTS).flags == ()
    assert audit_tables({"test": given["test"]}, VARIANTS).flags == ()


def test_the_same_variant_site_and_element_in_train_are_told_apart() -> None:
    given = both_splits()
    train, test = given["train"], given["test"]
    sites = list(zip(train.sequences, train.extra["offset"].tolist(), strict=True))
    once = [row for row, site in enumerate(sites) if sites.count(site) == 1]
    taken = train.take(once[:20])
    other = np.array(
        [next(b for b in "ACGT" if b not in pair) for pair in zip(taken.extra["ref"], taken.extra["alt"], strict=True)]
    )
    again = fb.SequenceTable(
        taken.sequences,
        np.where(np.arange(20) < 5, 1 - taken.labels, taken.labels),
        np.array([f"again{i}" for i in range(20)]),
        extra={**taken.extra, "alt": np.where(np.arange(20) < 10, taken.extra["alt"], other)},
    )
    given["test"] = fb.SequenceTable.concatenate([test, again])
    report = audit_tables(given, VARIANTS)
    cross = report.across["train->test"]
    assert (cross.exact.total, cross.conflicting.total) == (10, 5)  # type: ignore[union-attr]
    assert cross.same_site.total == cross.shared_element.total == 20  # type: ignore[union-attr]
    assert {
        "leak: duplicates",
        "leak: same-site",
        "leak: shared-element",
        "leak: similarity",
        "conflicting-labels",
    } <= set(report.flags)
    leak = next(finding for finding in report.verdict.findings if finding.flag == "leak: same-site")
    assert "[" in leak.examples[0].sequence


@pytest.mark.parametrize(("shared", "same"), [((0, 60), 40), ((10, 51), 40), ((11, 60), 0), ((0, 50), 0)])
def test_a_site_is_known_by_twenty_bases_on_either_side(shared: tuple[int, int], same: int) -> None:
    """Variants at base 30 of windows of 60, of which so much is the same in test."""
    rng = np.random.default_rng(0)
    first, last = shared
    train = ["A" * first + row[first:last] + "A" * (60 - last) for row in random_rows(40, rng, 60)]
    test = ["C" * first + row[first:last] + "C" * (60 - last) for row in train]
    given = {}
    for split, windows in (("train", train), ("test", test)):
        ref = np.array([window[30] for window in windows])
        extra = {"offset": np.full(40, 30), "ref": ref, "alt": np.where(ref == "G", "T", "G")}
        given[split] = table(windows, np.arange(40) % 2, split, extra=extra)
    found = audit_tables(given, VARIANTS).across["train->test"].same_site
    assert found is not None
    assert found.total == same


@pytest.mark.parametrize("alone", [False, True])
def test_a_class_rate_of_elements_is_a_shortcut_with_and_without_train(alone: bool) -> None:
    given = {}
    for seed, split in enumerate(("train", "test")):
        one = variants(seed, split)
        rate = np.where(np.char.endswith(one.extra["element"], "0"), 0.9, 0.05)
        truth = (np.random.default_rng(seed).random(len(one)) < rate).astype(np.int64)
        names = np.array([name[-1] for name in one.extra["element"]])
        given[split] = unique(table(one.sequences, truth, split, extra={**one.extra, "element": names}))
    report = audit_tables({"test": given["test"]} if alone else given, VARIANTS)
    assert "shortcut: group" in report.flags
    assert report.verdict.level == ("shortcut" if alone else "shortcut and leak")
    assert ("Only test is present" in report.verdict.text) == alone
    assert report.splits["test"].details["by_group"]["0"]["classes"]["harmful"] > 30


def test_distance_place_and_kind_of_substitution_are_found() -> None:
    given = both_splits(n=300)
    near, at_start, transition = {}, {}, {}
    for split, one in given.items():
        rng = np.random.default_rng(7)
        distance = np.where(one.labels == 1, 200.0, 5e4) * rng.uniform(0.5, 2, len(one))
        distance[:3] = np.nan
        near[split] = table(one.sequences, one.labels, split, extra={**one.extra, "tss_distance": distance})
        at_start[split] = table(one.sequences, (one.extra["offset"] < 20).astype(np.int64), split, extra=one.extra)
        pairs_of = {"A": "G", "G": "A", "C": "T", "T": "C"}
        turned = np.array([pairs_of[r] == a for r, a in zip(one.extra["ref"], one.extra["alt"], strict=True)])
        transition[split] = table(one.sequences, turned.astype(np.int64), split, extra=one.extra)
    assert audit_tables(near, VARIANTS).flags == ("shortcut: distance",)
    assert audit_tables(at_start, VARIANTS).flags == ("shortcut: position",)
    assert audit_tables(transition, VARIANTS).flags == ("note: substitution",)


def test_values_of_variants_are_audited_and_rows_that_were_left_out_are_counted(tmp_path: Path) -> None:
    one = variants(3, "test")
    lines = ["sequence,offset,ref,alt,value,element"]
    for row, (s, o, r, a, e) in enumerate(
        zip(one.sequences, one.extra["offset"], one.extra["ref"], one.extra["alt"], one.extra["element"], strict=True)
    ):
        wrong = next(b for b in "ACGT" if b not in (r, a)) if row < 7 else r
        lines.append(f"{s},{o},{wrong},{a},{row % 17 + 0.1},{e}")
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
    report = fb.audit(str(tmp_path / "mine.csv"))
    (left_out,) = [finding for finding in report.verdict.findings if finding.flag == "note: left-out"]
    assert left_out.number == 7 / 200
    assert "7 whose ref is not what the sequence has there" in left_out.text
    assert report.labels == ("value up to 8.1", "value above 8.1")
    assert str(tmp_path) not in str(report.to_dict())


def test_variants_are_not_written_anew() -> None:
    with pytest.raises(UnsupportedError, match="--split grouped keeps those of one window, or of one group, together"):
        cure_tables(both_splits(), VARIANTS)


def test_variants_with_labels_are_audited_label_by_label() -> None:
    card = fb.TaskCard(
        name="v", suite="lab", labels=("a", "b"), inputs="variant", target="labels", metric="auroc_macro"
    )
    given = {}
    for split, one in both_splits(n=300).items():
        place = (one.extra["offset"] < 8).astype(np.int8)
        noise = np.random.default_rng(5).integers(2, size=len(one)).astype(np.int8)
        given[split] = table(one.sequences, np.stack([noise, place], axis=1), split, extra=one.extra)
    report = audit_tables(given, card)
    assert report.outputs["a"].flags == ()
    assert "shortcut: position" in report.outputs["b"].flags
    assert "shortcut: position" in report.flags
