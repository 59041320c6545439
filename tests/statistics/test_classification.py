"""Metrics equal scikit-learn's, weighted or not, and say None where they are undefined."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from findna_bench.errors import ModelError
from findna_bench.statistics.classification import F1, compute_metrics
from findna_bench.statistics.metric import Linearised, Metric, Sample, evaluate, make_metric, metric_names
from findna_bench.statistics.score_intervals import Design


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


def every_metric(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, *, slopes: bool = True
) -> dict[str, Linearised]:
    """Those of one class for each of the classes."""
    classes = [str(c) for c in range(scores.shape[1])]
    names = [*metric_names("classes"), *(f"{name}:{c}" for name in ("precision", "recall", "f1") for c in classes)]
    sample = Sample(labels, scores, weights)
    found = {name: evaluate(make_metric(name, classes), sample, slopes=slopes) for name in names}
    return {name: one for name, one in found.items() if not np.isnan(one.value) or not slopes}


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
    assert tuple(found) == metric_names("classes")
    for name, value in reference(labels, scores).items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_row_weights_mean_repeated_rows() -> None:
    labels, scores = draw(3, 200, 3, 8)
    rng = np.random.default_rng(0)
    weights = np.stack(
        [np.bincount(rng.integers(len(labels), size=len(labels)), minlength=len(labels)) for _ in range(5)]
    )
    for row in weights:
        found = every_metric(labels, scores, row)
        repeated = np.repeat(np.arange(len(labels)), row)
        for name, value in reference(labels[repeated], scores[repeated]).items():
            assert found[name].value == pytest.approx(value, abs=1e-12), name


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n_classes=st.integers(2, 4), levels=st.sampled_from([2, 5, 10**6]))
def test_slopes_are_the_derivatives_with_respect_to_row_weights(seed: int, n_classes: int, levels: int) -> None:
    labels, scores = draw(seed, 25, n_classes, levels)
    scores = scores / scores.sum(axis=1, keepdims=True)
    weights = 0.5 + np.random.default_rng(seed).random(len(labels))
    step = 1e-5
    found = every_metric(labels, scores, weights)
    for i in range(len(labels)):
        more, less = weights.copy(), weights.copy()
        more[i], less[i] = more[i] + step, less[i] - step
        up, down = (every_metric(labels, scores, w, slopes=False) for w in (more, less))
        for name, one in found.items():
            assert one.slope is not None
            assert one.slope[i] == pytest.approx((up[name].value - down[name].value) / (2 * step), abs=1e-8), name


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n_classes=st.integers(2, 5), weighted=st.booleans())
def test_metrics_of_probabilities_and_of_one_class_equal_scikit_learn(
    seed: int, n_classes: int, weighted: bool
) -> None:
    labels, scores = draw(seed, 40, n_classes, 50)
    scores = scores / scores.sum(axis=1, keepdims=True)
    weights = np.random.default_rng(seed).random(len(labels)) if weighted else np.ones(len(labels))
    found = {name: one.value for name, one in every_metric(labels, scores, weights, slopes=False).items()}
    w, chosen = {"sample_weight": weights}, scores.argmax(1)
    assert found["log_loss"] == pytest.approx(sk.log_loss(labels, scores, labels=range(n_classes), **w), abs=1e-12)
    squares = ((np.eye(n_classes)[labels] - scores) ** 2).sum(1) / (2 if n_classes == 2 else 1)
    assert found["brier_score"] == pytest.approx(np.average(squares, weights=weights), abs=1e-12)
    if n_classes == 2:
        assert found["brier_score"] == pytest.approx(sk.brier_score_loss(labels, scores[:, 1], **w), abs=1e-12)
    each = sk.precision_recall_fscore_support(labels, chosen, labels=range(n_classes), zero_division=np.nan, **w)
    for name, values in zip(("precision", "recall", "f1"), each, strict=False):
        for c in range(n_classes):
            assert found[f"{name}:{c}"] == pytest.approx(values[c], abs=1e-12, nan_ok=True), name


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    # Nine rows at 0.9, of which six are right; one at 0.5, a tie that goes to the first class and is wrong.
    scores = np.array([[0.9, 0.1]] * 9 + [[0.5, 0.5]])
    found = compute_metrics(np.array([0] * 6 + [1] * 4), scores)
    assert found["expected_calibration_error"] == pytest.approx((9 * (0.9 - 6 / 9) + 0.5) / 10)
    perfect = compute_metrics(np.array([0, 1]), np.eye(2))
    assert (perfect["expected_calibration_error"], perfect["log_loss"], perfect["brier_score"]) == (0.0, 0.0, 0.0)
    scores_of_no_kind = compute_metrics(np.array([0, 1]), np.array([[3.0, 1.0], [2.0, 5.0]]))
    assert [scores_of_no_kind[name] for name in ("log_loss", "brier_score", "expected_calibration_error")] == [None] * 3


class Harmonic(Metric):
    """A stranger's metric, which knows no derivatives: the harmonic mean of precision and recall of the second class."""

    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return float(sk.f1_score(truth, outputs.argmax(1), sample_weight=weights))


@pytest.mark.parametrize(
    ("n", "related"), [(300, 1), (900, 3), (6000, 1), pytest.param(9000, 2, marks=pytest.mark.long)]
)
def test_a_metric_that_knows_no_derivatives_has_the_interval_of_one_that_does(n: int, related: int) -> None:
    rng = np.random.default_rng(1)
    groups = np.arange(n) // related
    labels = np.repeat(rng.integers(2, size=n // related), related)
    right = np.repeat(rng.random(n // related) < 0.75, related)
    positive = np.where(right, labels, 1 - labels) * 0.8 + 0.1
    sample = Sample(labels, np.stack([1 - positive, positive], 1), groups=groups)
    design = Design(labels, groups, 2)
    known, taken = (evaluate(metric, sample) for metric in (F1(1), Harmonic()))
    assert taken.value == pytest.approx(known.value)
    assert known.slope is not None
    assert taken.slope is not None
    if n // related <= 2000:
        assert design.group_sums(taken.slope) == pytest.approx(design.group_sums(known.slope), abs=1e-8)
    exact, numeric = (design.variance(Harmonic(), one.slope, np.zeros(2)).variance for one in (known, taken))
    assert numeric == pytest.approx(exact, rel=0.1)


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
