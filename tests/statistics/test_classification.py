"""Metrics equal scikit-learn's, weighted or not, and say None where they are undefined."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from findna_bench.cards import METRICS
from findna_bench.errors import ModelError
from findna_bench.statistics.classification import compute_metrics, linearise


def reference(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    chosen = scores.argmax(1)
    every = np.arange(scores.shape[1])
    w = {"sample_weight": weights}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = {
            "accuracy": sk.accuracy_score(labels, chosen, **w),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, chosen, **w),
            "f1_macro": sk.f1_score(labels, chosen, average="macro", **w),
            "f1_micro": sk.f1_score(labels, chosen, average="micro", **w),
            "mcc": sk.matthews_corrcoef(labels, chosen, **w),
        }
        if len(every) == 2:
            out["auroc"] = sk.roc_auc_score(labels, scores[:, 1], **w)
            out["auprc"] = sk.average_precision_score(labels, scores[:, 1], **w)
        else:
            each = [(labels == c, scores[:, c]) for c in every]
            out["auroc"] = np.mean([sk.roc_auc_score(y, s, **w) for y, s in each])
            out["auprc"] = np.mean([sk.average_precision_score(y, s, **w) for y, s in each])
    return out


def draw(seed: int, n: int, n_classes: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels with every class present, and scores with ties (``levels`` different values)."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=n)])
    scores = np.round(rng.random((len(labels), n_classes)) * levels) / levels + 0.3 * np.eye(n_classes)[labels]
    return labels, scores


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), n=st.integers(2, 60), n_classes=st.integers(2, 5), levels=st.sampled_from([2, 5, 10**6])
)
def test_all_metrics_equal_scikit_learn(seed: int, n: int, n_classes: int, levels: int) -> None:
    labels, scores = draw(seed, n, n_classes, levels)
    found = compute_metrics(labels, scores)
    assert tuple(found) == METRICS
    for name, value in reference(labels, scores).items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_row_weights_mean_repeated_rows() -> None:
    labels, scores = draw(3, 200, 3, 8)
    rng = np.random.default_rng(0)
    weights = np.stack(
        [np.bincount(rng.integers(len(labels), size=len(labels)), minlength=len(labels)) for _ in range(5)]
    )
    for row in weights:
        found = linearise(labels, scores, row)
        repeated = np.repeat(np.arange(len(labels)), row)
        for name, value in reference(labels[repeated], scores[repeated]).items():
            assert found[name].value == pytest.approx(value, abs=1e-12), name


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n_classes=st.integers(2, 4), levels=st.sampled_from([2, 5, 10**6]))
def test_slopes_are_the_derivatives_with_respect_to_row_weights(seed: int, n_classes: int, levels: int) -> None:
    labels, scores = draw(seed, 25, n_classes, levels)
    weights = 0.5 + np.random.default_rng(seed).random(len(labels))
    step = 1e-5
    found = linearise(labels, scores, weights)
    for i in range(len(labels)):
        more, less = weights.copy(), weights.copy()
        more[i], less[i] = more[i] + step, less[i] - step
        up, down = (linearise(labels, scores, w, slopes=False) for w in (more, less))
        for name in METRICS:
            slope = found[name].slope
            assert slope is not None
            assert slope[i] == pytest.approx((up[name].value - down[name].value) / (2 * step), abs=1e-8), name


def test_undefined_is_none_and_a_constant_prediction_is_worth_nothing() -> None:
    one_class = compute_metrics(np.zeros(4, int), np.array([[0.9, 0.1]] * 3 + [[0.2, 0.8]]))
    assert one_class["accuracy"] == 0.75
    assert [one_class[name] for name in ("mcc", "auroc", "auprc")] == [None, None, None]
    constant = compute_metrics(np.array([0, 0, 0, 1]), np.array([[0.75, 0.25]] * 4))
    assert (constant["accuracy"], constant["mcc"], constant["auroc"], constant["auprc"]) == (0.75, 0.0, 0.5, 0.25)
    missing_class = compute_metrics(np.array([0, 1, 0, 1]), np.array([[0.6, 0.3, 0.1]] * 4))
    assert missing_class["auroc"] is None
    assert missing_class["balanced_accuracy"] == 0.5


@pytest.mark.parametrize(
    ("labels", "scores", "error"),
    [
        ([0, 1], [[0.5, np.nan], [0.5, 0.5]], ModelError),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], ValueError),
        ([0], [[0.5, 0.5], [0.5, 0.5]], ValueError),
        ([], np.zeros((0, 2)), ValueError),
    ],
)
def test_unusable_scores_are_refused(labels: list[int], scores: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        compute_metrics(np.asarray(labels), np.asarray(scores))
