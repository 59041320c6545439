"""Scores of rules that read no sequence, as an audit prints them: scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, recall_score

from findna_bench.auditing.shortcuts import control


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_scores_of_a_rule_are_scikit_learns(classes: int, seed: int) -> None:
    generator = np.random.default_rng([classes, seed])
    labels = generator.integers(0, classes, 90)
    guess = np.where(generator.random(90) < 0.5, labels, generator.integers(0, classes, 90))
    found = control(labels, guess, [f"c{i}" for i in range(classes)])
    present = sorted(set(labels.tolist()) | set(guess.tolist()))
    assert found.accuracy == pytest.approx(accuracy_score(labels, guess))
    assert found.f1_macro == pytest.approx(f1_score(labels, guess, labels=present, average="macro"))
    assert found.mcc == pytest.approx(matthews_corrcoef(labels, guess))
    assert list(found.recall.values()) == pytest.approx(recall_score(labels, guess, average=None).tolist())
