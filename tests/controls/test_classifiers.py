"""Controls that bring their own fit: each finds the shortcut it is there to find, and none where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from findna_baselines.controls.cnn import ConvolutionalClassifier, DeepSea, SmallCnn
from findna_baselines.controls.nn_overlap import NearestOverlap
from findna_baselines.controls.trivial import TrivialClassifier, trivial_features
from findna_bench.data.table import SequenceTable
from findna_bench.models.loading import load_estimator
from findna_bench.models.spec import parse_model
from findna_bench.registry import get_registry
from findna_bench.sequences.alphabet import reverse_complement


def random_dna(rng: np.random.Generator, length: int, gc: float = 0.5) -> str:
    return "".join(rng.choice(list("ACGT"), length, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]))


def table(sequences: list[str], labels: Any, **columns: Any) -> SequenceTable:
    return SequenceTable(sequences, np.asarray(labels, dtype=np.int64), np.arange(len(sequences)), **columns)


def accuracy(control: Any, rows: SequenceTable) -> float:
    scores = control.predict_scores(rows)
    assert scores.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    return float((scores.argmax(axis=1) == rows.labels).mean())


def by_length(n: int, seed: int) -> SequenceTable:
    """Each length belongs to one class: a shortcut that no model of the sequence should get credit for."""
    owner = np.random.default_rng(99).permutation(200) % 2
    rng = np.random.default_rng(seed)
    lengths = rng.integers(200, size=n)
    return table([random_dna(rng, 100 + int(length)) for length in lengths], owner[lengths])


def by_gc(n: int, seed: int) -> SequenceTable:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return table([random_dna(rng, 150, 0.4 + 0.2 * label) for label in labels], labels)


def test_trivial_finds_lengths_and_composition_and_says_which() -> None:
    control = TrivialClassifier().fit(by_length(2000, 0), by_length(300, 1), 0, 2)
    assert accuracy(control, by_length(200, 2)) > 0.95
    assert control.settings["chosen"] == "length"
    control = TrivialClassifier().fit(by_gc(300, 0), by_gc(100, 1), 0, 2)
    assert accuracy(control, by_gc(200, 2)) > 0.9
    assert control.settings["chosen"] == "trees"
    assert set(control.settings["validation"]) == {"trees", "length"}


def test_trivial_sees_composition_in_a_small_table_too() -> None:
    def rows(seed: int, n: int = 36) -> SequenceTable:
        rng = np.random.default_rng(seed)
        return table(["NN" if i % 2 else random_dna(rng, 2) for i in range(n)], np.arange(n) % 2)

    assert accuracy(TrivialClassifier().fit(rows(0), rows(1, 4), 0, 2), rows(2)) == 1.0


def test_trivial_features_are_what_they_are_called() -> None:
    (row,) = trivial_features(table(["ACGTN" * 11 + "A"], [0]))
    assert row[:4].tolist() == [56, 2, 2, 6]
    assert row[4] == pytest.approx(22 / 45)
    assert row[5] == pytest.approx(11 / 56)
    assert row[6:].sum() == pytest.approx(1.0)
    assert row[6 + 1] == pytest.approx(1 / 3)  # AC, of AC CG GT


def families(seed: int, n: int = 60) -> tuple[SequenceTable, SequenceTable]:
    """Each test row is a training row with 3 % of its bases changed, half of them on the other strand; labels are random."""
    rng = np.random.default_rng(seed)
    train = [random_dna(rng, 200) for _ in range(n)]
    train += ["".join(b if rng.random() > 0.03 else rng.choice(list("ACGT")) for b in s) for s in train]
    labels = np.tile(rng.integers(2, size=n), 2)
    test = []
    for i, sequence in enumerate(train[:n]):
        changed = "".join(b if rng.random() > 0.03 else rng.choice(list("ACGT")) for b in sequence)
        test.append(changed if i % 2 else reverse_complement(changed))
    return table(train, labels), table(test, labels[:n])


def test_nn_overlap_finds_near_copies_on_both_strands_and_nothing_else() -> None:
    train, test = families(0)
    control = NearestOverlap().fit(train, test, 0, 2)
    assert accuracy(control, test) > 0.95
    assert control.settings["with_neighbour"] > 0.95
    rng = np.random.default_rng(5)
    unrelated = table([random_dna(rng, 200) for _ in range(40)], [0] * 40)
    scores = control.predict_scores(unrelated)
    assert (scores == scores[0]).all()  # no neighbour: the same prior for all


def test_nn_overlap_uses_coordinates_where_tables_carry_them() -> None:
    rng = np.random.default_rng(0)
    start = np.arange(80) * 1000
    labels = rng.integers(2, size=80)

    def located(shift: int, keep: slice) -> SequenceTable:
        rows = table(
            [random_dna(rng, 100) for _ in range(80)],
            labels,
            contig=np.array(["chr1"] * 80),
            start=start + shift,
            end=start + shift + 100,
        )
        return rows.take(np.arange(80)[keep])

    left, right = located(0, slice(None)), located(50, slice(None))
    train = SequenceTable(
        left.sequences + right.sequences,
        np.concatenate([left.labels, right.labels]),
        np.arange(160),
        contig=np.array(["chr1"] * 160),
        start=np.concatenate([left.start, right.start]),
        end=np.concatenate([left.end, right.end]),
    )
    control = NearestOverlap().fit(train, right, 0, 2)
    assert control.settings["coordinates"]
    assert accuracy(control, located(30, slice(None))) == 1.0


def test_nn_overlap_learns_when_near_copies_have_the_other_label() -> None:
    train, test = families(1)
    flipped = np.concatenate([train.labels[:60], 1 - train.labels[60:]])
    control = NearestOverlap().fit(table(train.sequences, flipped), test, 0, 2)
    assert control.settings["neighbour_agrees"] < 0.05


def motif(n: int, seed: int, length: int = 80) -> SequenceTable:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    sequences = []
    for label in labels:
        sequence, at = random_dna(rng, length), int(rng.integers(length - 8))
        sequences.append(sequence[:at] + ("TGACTCAT" if label else "TCTGATCA") + sequence[at + 8 :])
    return table(sequences, labels)


@pytest.mark.parametrize("network", ["small", "deepsea"])
def test_cnn_learns_a_motif_that_composition_does_not_show(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if network == "deepsea":
        small = {"deepsea": lambda length, classes: DeepSea(length, classes, channels=(24, 24, 32), hidden=32)}
        monkeypatch.setattr("findna_baselines.controls.cnn.NETWORKS", small)
    control = ConvolutionalClassifier(network, learning_rates=(3e-3,), epochs=15, device="cpu")
    control.fit(motif(800, 0), motif(200, 1), 0, 2)
    assert accuracy(control, motif(300, 2)) > 0.85
    trial = control.settings["trials"][0]
    assert trial["loss"] == min(trial["losses"])
    assert control.settings["epoch"] == trial["losses"].index(trial["loss"]) + 1
    validation = motif(200, 1)
    scores = control.predict_scores(validation)
    assert -np.log(scores[np.arange(200), validation.labels]).mean() == pytest.approx(trial["loss"], abs=1e-4)


def test_cnn_seeds_differ_and_repeat() -> None:
    def scores(seed: int) -> np.ndarray:
        control = ConvolutionalClassifier(epochs=1, device="cpu").fit(motif(65, 0), motif(20, 1), seed, 2)
        return control.predict_scores(motif(20, 2))

    assert (scores(0) == scores(0)).all()
    assert (scores(0) != scores(1)).any()


def test_cnn_shapes_are_the_published_ones() -> None:
    def count(model: torch.nn.Module) -> int:
        return sum(p.numel() for p in model.parameters())

    convolutions = (100 * 16 * 8 + 16) + (16 * 8 * 8 + 8) + (8 * 4 * 8 + 4)
    assert count(SmallCnn(251, 2)) == 600 + convolutions + 2 * (16 + 8 + 4) + (4 * 31 * 512 + 512) + (512 * 2 + 2)
    with torch.device("meta"):
        deepsea = DeepSea(1000, 2)
    assert [c.weight.numel() for c in deepsea.convolutions] == [320 * 4 * 8, 480 * 320 * 8, 960 * 480 * 8]  # type: ignore[operator, union-attr]


CONTROLS = ("majority", "trivial", "position", "nn-overlap", "kmer", "cnn", "cnn-deepsea")


def test_all_controls_are_registered_as_controls() -> None:
    registered = {card.name for card in get_registry().cards("models") if card.control}
    assert set(CONTROLS) <= registered


@pytest.mark.parametrize("name", [name for name in CONTROLS if name != "cnn-deepsea"])
def test_every_control_takes_any_length_and_n(name: str) -> None:
    rng = np.random.default_rng(0)
    sequences = [random_dna(rng, 1 + i % 9) for i in range(48)] + ["N", "NNNNNNNN", "A" * 300, "ACGTNNACGT"]
    labels = np.arange(len(sequences)) % 3
    train = table(sequences, labels)
    control = load_estimator(parse_model(name))
    control.fit(train, train.take(np.arange(24)), 1, 4)  # class 3 has no row
    strange = table(["A", "N", "AC", "ACGTACG", "G" * 700], [0, 1, 2, 0, 1])
    out = control.transform(strange) if hasattr(control, "transform") else control.predict_scores(strange)
    values = out.toarray() if hasattr(out, "toarray") else np.asarray(out)
    assert np.isfinite(values).all()
    assert len(values) == 5
    assert values.shape[1] == 4 or name in ("kmer", "position")
    import json

    json.dumps(control.settings)
