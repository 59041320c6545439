"""The k-mer and majority controls: exact counts, choices made on validation, sequences of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import findna_bench as fb
from findna_baselines.controls.kmer import KmerFeatures, Spectrum, canonical_index
from findna_baselines.controls.majority import Majority
from findna_bench.data.table import SequenceTable
from findna_bench.models.loading import load_estimator
from findna_bench.models.spec import parse_model
from findna_bench.sequences.alphabet import reverse_complement

dna = st.text(alphabet="ACGTN", min_size=1, max_size=40)


def table(sequences: list[str], labels: list[int] | np.ndarray) -> SequenceTable:
    return SequenceTable(sequences, np.asarray(labels, dtype=np.int64), np.arange(len(sequences)))


def dense(features: object) -> np.ndarray:
    return features.toarray() if hasattr(features, "toarray") else np.asarray(features)


def naive(sequence: str, k: int) -> dict[str, int]:
    words = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
    return {word: words.count(word) for word in words if "N" not in word}


@settings(max_examples=60, deadline=None)
@given(sequences=st.lists(dna, min_size=1, max_size=4), k=st.integers(1, 6))
def test_counts_are_those_of_a_naive_reading(sequences: list[str], k: int) -> None:
    found = dense(Spectrum(k, canonical=False, frequencies=False).transform(sequences))
    assert found.shape == (len(sequences), 4**k)
    for row, sequence in zip(found, sequences, strict=True):
        expected = np.zeros(4**k)
        for word, count in naive(sequence, k).items():
            expected[int("".join(str("ACGT".index(base)) for base in word), 4)] = count
        assert (row == expected).all()


@settings(max_examples=60, deadline=None)
@given(sequence=dna, k=st.integers(1, 6))
def test_canonical_counts_are_the_same_for_both_strands(sequence: str, k: int) -> None:
    spectrum = Spectrum(k, canonical=True, frequencies=True)
    forward, backward = dense(spectrum.transform([sequence, reverse_complement(sequence)]))
    assert forward == pytest.approx(backward)
    assert forward.sum() == pytest.approx(1.0 if naive(sequence, k) else 0.0)


def test_canonical_words_number_half_and_the_palindromes() -> None:
    assert [int(canonical_index(k).max()) + 1 for k in range(1, 7)] == [2, 10, 32, 136, 512, 2080]


def planted(n: int, seed: int, both_strands: bool) -> SequenceTable:
    """Class 1 holds a word of four bases more often, on one strand or on either."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    sequences = []
    for label in labels:
        bases = ["".join(rng.choice(list("ACGT"), 120))]
        for _ in range(6 * label):
            word = "GACC" if not both_strands or rng.random() < 0.5 else "GGTC"
            bases.append(word + "".join(rng.choice(list("ACGT"), 6)))
        sequences.append("".join(bases)[:120] if not label else "".join(bases)[-120:])
    return table(sequences, labels)


def test_the_word_length_and_strand_are_chosen_on_validation() -> None:
    control = KmerFeatures(k=(1, 2, 4)).fit(planted(200, 0, False), planted(80, 1, False), 0, 2)
    assert control.settings["k"] == 4
    best = min(control.settings["trials"], key=lambda trial: trial["loss"])
    assert {name: control.settings[name] for name in ("k", "canonical", "frequencies")} == {
        name: best[name] for name in ("k", "canonical", "frequencies")
    }
    assert len(control.settings["trials"]) == 7
    assert dense(control.transform(["A", "NN", "ACGTACG"])).shape[0] == 3


def test_majority_predicts_the_commonest_class_and_says_its_share() -> None:
    control = Majority().fit(table(["A"] * 10, [1] * 6 + [0] * 3 + [2]), table(["A"], [0]), 0, 4)
    scores = control.predict_scores(table(["ACGT", "N"], [0, 0]))
    assert scores == pytest.approx(np.array([[0.3, 0.6, 0.1, 0.0]] * 2))
    assert control.settings == {"class_shares": pytest.approx([0.3, 0.6, 0.1, 0.0])}
    assert control.varies == ()


def test_controls_are_registered_as_controls() -> None:
    for name in ("kmer", "majority"):
        spec = parse_model(name)
        assert spec.card.control
        load_estimator(spec)


def test_k_mers_stand_beside_fine_tuned_models_as_they_do_beside_probed_ones(tmp_path: Path) -> None:
    asked = {"tasks": ["demo/species4"], "limit": 120, "seeds": 1, "output_dir": tmp_path}
    (probed,) = fb.run(models=["kmer"], protocol="probe", **asked)
    for options in ({}, {"search": 2}):
        (tuned,) = fb.run(models=["kmer"], protocol="finetune", **asked, **options)
        assert tuned.status == "success"
        assert tuned.metrics.main == probed.metrics.main
        assert tuned.protocol.settings["method"] == "logistic"
