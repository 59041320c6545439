"""Planted leaks and shortcuts are found and counted, per class; a clean set gives none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from findna_bench.auditing import AuditReport, Rows, audit_rows, audit_tables, rows_from_intervals
from findna_bench.auditing.shortcuts import control
from findna_bench.cards import TaskCard
from findna_bench.data.resplitting import regrouped
from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.relatedness.overlaps import largest_overlaps, overlapping_pairs
from findna_bench.sequences.alphabet import reverse_complement

CARD = TaskCard(name="planted", suite="made-up", labels=("negative", "positive"))
MEASURES = ("exact", "reverse_complement", "near", "near_reverse", "similar", "conflicting", "near_conflicting")


def random_sequences(n: int, length: int, generator: np.random.Generator) -> list[str]:
    return ["".join(row) for row in np.array(list("ACGT"))[generator.integers(0, 4, (n, length))]]


def mutated(sequence: str, share: float, generator: np.random.Generator) -> str:
    """Exactly ``share`` of the bases replaced by another one."""
    letters = list(sequence)
    for i in generator.choice(len(letters), round(share * len(letters)), replace=False):
        letters[i] = "ACGT"[("ACGT".index(letters[i]) + generator.integers(1, 4)) % 4]
    return "".join(letters)


def table(sequences: list[str], labels: list[int] | np.ndarray) -> SequenceTable:
    return SequenceTable(sequences, np.asarray(labels, dtype=np.int64), np.arange(len(sequences)))


def clean(generator: np.random.Generator, n: int = 400, length: int = 120) -> dict[str, SequenceTable]:
    return {
        "train": table(random_sequences(n, length, generator), np.arange(n) % 2),
        "test": table(random_sequences(n // 2, length, generator), np.arange(n // 2) % 2),
    }


def counts(report: AuditReport, pair: str, measure: str) -> list[int]:
    """[negative, positive] rows of ``across.<pair>.<measure>`` in the JSON."""
    content = json.loads(json.dumps(report.to_dict()))["across"][pair][measure]
    return [content["per_class"][name]["rows"] for name in CARD.labels]


def test_a_clean_set_gives_no_finding() -> None:
    report = audit_tables(clean(np.random.default_rng(1)), CARD)
    assert report.flags == ()
    assert report.verdict.level == "clean"
    assert [counts(report, "train->test", measure) for measure in MEASURES] == [[0, 0]] * len(MEASURES)
    assert counts(report, "train->test", "untouched") == [100, 100]
    within = report.to_dict()["splits"]["train"]
    assert [within[m]["total"] for m in ("exact", "reverse_complement", "conflicting")] == [0, 0, 0]


def test_planted_copies_are_counted_per_class() -> None:
    generator = np.random.default_rng(2)
    splits = clean(generator)
    train, rest = splits["train"], splits["test"]
    source, label = train.sequences, train.labels
    tail = random_sequences(8, 10, generator)
    planted: list[tuple[str, int]] = []
    planted += [(source[i], label[i]) for i in range(6)]  # exact: 3 of each class
    planted += [(reverse_complement(source[i]), label[i]) for i in range(10, 20, 2)]  # 5 negatives
    planted += [
        (mutated(source[i], 0.05, generator), label[i]) for i in range(21, 35, 2)
    ]  # 95 % identical: 7 positives
    planted += [(source[i][10:] + tail[i - 40], label[i]) for i in range(40, 48)]  # shifted: 4 of each class
    planted += [(reverse_complement(mutated(source[i], 0.05, generator)), label[i]) for i in (50, 51)]  # 1 of each
    planted += [(source[i], 1 - label[i]) for i in (60, 62, 64)]  # conflicting: 3 positives
    planted += [
        (mutated(source[i], 0.05, generator), 1 - label[i]) for i in (71, 73)
    ]  # near and conflicting: 2 negatives
    test = table([s for s, _ in planted] + rest.sequences, [int(c) for _, c in planted] + rest.labels.tolist())
    report = audit_tables({"train": train, "test": test}, CARD)
    assert {measure: counts(report, "train->test", measure) for measure in MEASURES} == {
        "exact": [3, 3 + 3],
        "reverse_complement": [5, 0],
        "near": [4 + 1 + 2, 7 + 4 + 1],
        "near_reverse": [1, 1],
        "similar": [3 + 5 + 7, 6 + 12],
        "conflicting": [0, 3],
        "near_conflicting": [2, 0],
    }
    assert {"leak: duplicates", "leak: similarity", "conflicting-labels"} <= set(report.flags)


def test_copies_in_one_class_alone_are_an_asymmetry_and_a_shortcut() -> None:
    generator = np.random.default_rng(3)
    splits = clean(generator)
    train, rest = splits["train"], splits["test"]
    copies = [[mutated(train.sequences[i], 0.03, generator) for i in range(0, 200, 2)] for _ in range(2)]
    grown = table(train.sequences + copies[0], [*train.labels, *[0] * 100])
    others = [s for s, c in zip(rest.sequences, rest.labels, strict=True) if c]
    report = audit_tables({"train": grown, "test": table(copies[1] + others, [0] * 100 + [1] * 100)}, CARD)
    assert report.to_dict()["asymmetry"]["similar"] == {
        "highest_class": "negative",
        "highest": 1.0,
        "lowest_class": "positive",
        "lowest": 0.0,
        "difference": 1.0,
    }
    assert report.controls["nn-overlap"].accuracy == 1.0
    assert {"asymmetric: similar", "shortcut: similarity"} <= set(report.flags)


def test_duplicates_within_a_split_are_counted() -> None:
    splits = clean(np.random.default_rng(4))
    train = splits["train"]
    more = [train.sequences[0], reverse_complement(train.sequences[2]), train.sequences[4]]
    grown = table(train.sequences + more, [*train.labels, 0, 0, 1])
    within = audit_tables(splits | {"train": grown}, CARD).to_dict()["splits"]["train"]
    assert within["exact"]["per_class"]["negative"]["rows"] == 3  # row 0 and its copy, row 4
    assert within["exact"]["per_class"]["positive"]["rows"] == 1  # the copy of row 4
    assert within["reverse_complement"]["per_class"]["negative"]["rows"] == 2
    assert within["conflicting"]["total"] == 2


def test_length_that_gives_the_class_away_is_a_shortcut() -> None:
    generator = np.random.default_rng(5)
    # Even lengths are one class, odd ones the other: a look-up sees it, a line does not.
    labels = generator.integers(0, 2, 1200)
    lengths = 2 * generator.integers(40, 60, 1200) + labels
    sequences = [random_sequences(1, length, generator)[0] for length in lengths.tolist()]
    splits = {"train": table(sequences[:900], labels[:900]), "test": table(sequences[900:], labels[900:])}
    report = audit_tables(splits, CARD)
    assert report.controls["length-lookup"].accuracy == 1.0
    assert report.controls["length-linear"].accuracy < 0.65
    assert "shortcut: length" in report.flags
    assert report.verdict.level == "shortcut"


def test_the_fallback_of_the_neighbour_rule_is_learned_on_train() -> None:
    """Positives stand alone, negatives come in overlapping pairs: a test row without neighbour is taken for a positive."""
    start = np.arange(0, 100_000, 1000)
    train = rows_from_intervals(
        [0] * 200 + [1] * 100,
        ["1"] * 300,
        np.concatenate([start, start + 50, start + 500]),
        np.concatenate([start + 100, start + 150, start + 600]),
    )
    near = start[:60]
    test = rows_from_intervals(
        [0] * 60 + [1] * 60,
        ["1"] * 60 + ["2"] * 60,
        np.concatenate([near + 20, near]),
        np.concatenate([near + 120, near + 100]),
    )
    report = audit_rows({"train": train, "test": test}, CARD)
    assert report.route == "coordinates"
    assert report.controls["overlap-half"].details["fallback"] == "positive"
    assert report.controls["overlap-half"].accuracy == 1.0
    assert counts(report, "train->test", "overlap_half") == [60, 0]
    assert {"shortcut: overlap", "leak: overlap", "asymmetric: overlap-half"} <= set(report.flags)


def test_without_train_leaks_among_the_others_are_still_counted() -> None:
    splits = clean(np.random.default_rng(6))
    test = table(splits["train"].sequences[:5] + splits["test"].sequences, [0] * 205)
    report = audit_tables({"validation": splits["train"], "test": test}, CARD)
    assert counts(report, "validation->test", "exact") == [5, 0]
    assert report.verdict.level == "not audited"
    assert report.controls == {}


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(DataError, match="nothing to audit"):
        audit_tables({"train": table([], [])}, CARD)


interval = st.tuples(st.sampled_from(["1", "2", ""]), st.integers(0, 60), st.integers(1, 30))


def rows_of(entries: list[tuple[str, int, int]]) -> Rows:
    return Rows(
        labels=np.zeros(len(entries), dtype=np.int64),
        ids=np.arange(len(entries)),
        lengths=np.array([length for _, _, length in entries], dtype=np.int64),
        contig=np.array([contig for contig, _, _ in entries], dtype=object),
        start=np.array([start for _, start, _ in entries], dtype=np.int64),
        end=np.array([start + length for _, start, length in entries], dtype=np.int64),
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(interval, min_size=1, max_size=25), st.lists(interval, min_size=1, max_size=25))
def test_overlap_is_that_of_comparing_every_pair(
    queries: list[tuple[str, int, int]], targets: list[tuple[str, int, int]]
) -> None:
    expected = {}
    for i, (contig, start, length) in enumerate(queries):
        for j, (other, begin, size) in enumerate(targets):
            shared = min(start + length, begin + size) - max(start, begin)
            if contig and contig == other and shared > 0:
                expected[i, j] = shared
    found = {}
    for q, t, shared in overlapping_pairs(rows_of(queries), rows_of(targets)):
        found.update({(int(a), int(b)): int(s) for a, b, s in zip(q, t, shared, strict=True)})
    assert found == expected
    best = largest_overlaps(rows_of(queries), rows_of(targets))
    for i, (_, _, length) in enumerate(queries):
        mine = {j: shared for (k, j), shared in expected.items() if k == i}
        assert best.bases[i] == max(mine.values(), default=0)
        assert best.fraction[i] == max(mine.values(), default=0) / length
        assert best.target[i] == (min(j for j in mine if mine[j] == max(mine.values())) if mine else -1)


def test_relatives_at_other_loci_are_told_apart_from_overlap() -> None:
    """Copies of a repeat lie elsewhere on the genome: similar, but no leak of a locus."""
    generator = np.random.default_rng(11)
    splits = clean(generator)
    repeat = random_sequences(1, 100, generator)[0]
    placed = {}
    for i, (name, rows) in enumerate(splits.items()):
        sequences = list(rows.sequences)
        for row in range(0, 60, 2):  # negatives of both splits carry a copy, each somewhat changed
            sequences[row] = mutated(repeat, 0.03, generator) + sequences[row][100:]
        start = 1000 * np.arange(len(rows)) + 1_000_000 * i
        placed[name] = SequenceTable(
            sequences, rows.labels, rows.ids, contig=np.full(len(rows), "1"), start=start, end=start + 120
        )
    report = audit_tables(placed, CARD)
    assert report.route == "sequences and coordinates"
    assert counts(report, "train->test", "near") == counts(report, "train->test", "near_elsewhere") == [30, 0]
    assert counts(report, "train->test", "overlap_any") == [0, 0]
    assert "note: repeats" in report.flags
    assert not [flag for flag in report.flags if flag.startswith(("leak", "asymmetric"))]


def shuffled(sequence: str, generator: np.random.Generator) -> str:
    """Another sequence with the same dinucleotide counts: stretches between equal bases, exchanged."""
    for _ in range(40):
        cuts = sorted(generator.choice(len(sequence), 4, replace=False).tolist())
        a, b, c, d = cuts
        if sequence[a] == sequence[c] and sequence[b] == sequence[d]:
            sequence = sequence[:a] + sequence[c:d] + sequence[b:c] + sequence[a:b] + sequence[d:]
    return sequence


def test_shuffles_of_train_rows_are_found_by_their_composition() -> None:
    """Negatives that are shuffled positives, dealt to both splits: a model need only remember counts."""
    generator = np.random.default_rng(12)
    positives = random_sequences(400, 120, generator)
    negatives = [shuffled(sequence, generator) for sequence in positives]
    assert sum(a != b for a, b in zip(positives, negatives, strict=True)) > 350
    whole = table(positives + negatives, [1] * 400 + [0] * 400)
    order = generator.permutation(800)
    parts = {"train": whole.take(order[:600]), "test": whole.take(order[600:])}
    report = audit_tables(parts, CARD)
    same = counts(report, "train->test", "same_composition")
    assert sum(same) > 100
    assert counts(report, "train->test", "same_composition_conflicting") == same
    assert report.controls["same-composition"].accuracy > 0.8
    assert {"shortcut: same-composition", "leak: same-composition"} <= set(report.flags)
    cured = audit_tables(regrouped(parts, CARD.labels).tables, CARD)
    assert counts(cured, "train->test", "same_composition") == [0, 0]
    assert "shortcut: same-composition" not in cured.flags


@pytest.mark.filterwarnings("ignore::UserWarning")  # of classes that are not there
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40), n_classes=st.integers(2, 4))
def test_controls_are_scored_as_by_scikit_learn(seed: int, n: int, n_classes: int) -> None:
    truth, said = np.random.default_rng(seed).integers(n_classes, size=(2, n))
    names = [f"c{i}" for i in range(n_classes)]
    found = control(truth, said, names, trees=3)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, said))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, said))
    assert found.f1_macro == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    assert found.mcc == pytest.approx(metrics.matthews_corrcoef(truth, said))
    each = metrics.recall_score(truth, said, labels=range(n_classes), average=None, zero_division=np.nan)
    assert list(found.recall) == names
    for value, recall in zip(found.recall.values(), each.tolist(), strict=True):
        assert (value is None) == np.isnan(recall)
        assert value is None or value == pytest.approx(recall)
    assert found.right is not None
    assert found.right.tolist() == (truth == said).tolist()
    assert found.details == {"trees": 3}
