"""Means over folds: values, derivatives and intervals of rows that several fits have scored, each its own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from findna_bench.statistics.classification import compute_metrics
from findna_bench.statistics.fold_mean import FoldMean, Folds
from findna_bench.statistics.metric import Sample, make_metric, metric_names
from findna_bench.statistics.paired_tests import Predictions, compare, estimate
from findna_bench.targets.classes import Classes

CLASSES = ("none", "some", "many")


def scored(n: int = 240, k: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores whose level differs from fold to fold, folds."""
    rng = np.random.default_rng(seed)
    labels, folds = rng.integers(0, 3, n), rng.permutation(n) % k
    logits = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[labels] + folds[:, None] * np.array([0.8, 0.0, -0.4])
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return labels, scores, folds


def test_values_are_means_over_folds_and_derivatives_are_theirs() -> None:
    labels, scores, folds = scored()
    names = (*metric_names("classes"), "recall:some")
    values, intervals = Classes().evaluate(labels, scores, names, CLASSES, folds=folds)
    for name in names:
        own = [compute_metrics(labels[folds == f], scores[folds == f], [name], classes=CLASSES)[name] for f in range(4)]
        assert values[name] == pytest.approx(np.mean(own), abs=1e-12), name
        low, high = intervals[name] or (0, 0)
        assert low < values[name] < high
        predictions = Predictions(labels, (scores,), classes=CLASSES, folds=folds)
        assert (estimate(predictions, name).low, estimate(predictions, name).high) == pytest.approx((low, high))
    metric = FoldMean(make_metric("auroc"), Folds(folds))
    slope = metric.linearise(Sample(labels, scores)).slope
    assert slope is not None
    for row in (0, 17, 100):
        weights = np.ones(len(labels))
        ups = []
        for step in (1e-4, -1e-4):
            weights[row] = 1 + step
            ups.append(metric.compute(labels, scores, weights))
        assert slope[row] == pytest.approx((ups[0] - ups[1]) / 2e-4, rel=1e-4, abs=1e-9)


def test_a_fold_in_which_a_metric_is_undefined_leaves_no_mean() -> None:
    labels, scores, folds = scored()
    keep = (folds != 2) | (labels != 1)
    values, intervals = Classes().evaluate(labels[keep], scores[keep], ("auroc", "accuracy"), folds=folds[keep])
    assert (values["auroc"], intervals["auroc"]) == (None, None)
    assert values["accuracy"] is not None


def test_a_model_is_no_better_than_itself_and_a_shift_between_folds_is_no_ranking() -> None:
    labels, scores, folds = scored()
    one, shifted = Predictions(labels, (scores,), folds=folds), np.log(scores) + 5.0 * folds[:, None]
    same = compare(one, Predictions(labels, (np.exp(shifted - shifted.max()),), folds=folds), "accuracy")
    assert (same.value, same.p_value) == (0.0, 1.0)


@pytest.mark.parametrize("metric", ["accuracy", "mcc", "auroc"])
def test_intervals_hold_the_true_value_over_related_rows_of_folds(metric: str) -> None:
    """Pairs of equal rows, five folds, whose fits are of different quality: 95 % intervals over 300 draws."""
    rng = np.random.default_rng(3)
    quality = np.array([0.6, 0.9, 1.2, 1.0, 0.8])

    def draw(groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        labels, folds = rng.integers(0, 2, groups), np.arange(groups) % 5
        score = rng.normal(size=groups) + quality[folds] * (2 * labels - 1)
        p = 1 / (1 + np.exp(-score))
        twice = np.repeat(np.arange(groups), 2)
        return labels[twice], np.stack([1 - p, p], 1)[twice], folds[twice], twice

    labels, scores, folds, _ = draw(200_000)
    truth = Classes().evaluate(labels, scores, (metric,), folds=folds, intervals=False)[0][metric]
    held = 0
    for _ in range(300):
        labels, scores, folds, groups = draw(150)
        low, high = Classes().evaluate(labels, scores, (metric,), groups=groups, folds=folds)[1][metric] or (0, 0)
        held += low <= truth <= high
    assert 0.915 <= held / 300 <= 0.985, held / 300


def test_groups_that_are_a_sample_vary_by_which_they_are() -> None:
    """With codes below -1 the variance of a mean over groups is that of the groups' own values."""
    rng = np.random.default_rng(0)
    codes = np.repeat(-2 - np.arange(12), 30)
    truth = rng.normal(size=(360, 1))
    outputs = truth * np.repeat(rng.normal(size=12), 30)[:, None] + rng.normal(size=(360, 1))
    metric = FoldMean(make_metric("spearman", target="values"), Folds(codes))
    sample = Sample(truth, outputs)
    found = metric.linearise(sample)
    each = [spearmanr(truth[codes == code, 0], outputs[codes == code, 0]).statistic for code in dict.fromkeys(codes)]
    assert found.value == pytest.approx(np.mean(each))
    assert found.slope is not None
    by_group = np.array([found.slope[codes == code].sum() for code in dict.fromkeys(codes)])
    np.testing.assert_allclose(by_group, (each - np.mean(each)) / 12, atol=1e-9)
    step = 1e-4
    for row in (0, 100, 359):
        weights = np.ones(360)
        weights[row] += step
        up = metric.compute(truth, outputs, weights)
        weights[row] -= 2 * step
        assert found.slope[row] == pytest.approx((up - metric.compute(truth, outputs, weights)) / (2 * step), abs=1e-5)


def test_rows_in_no_group_count_in_no_mean() -> None:
    rng = np.random.default_rng(0)
    truth, outputs = rng.normal(size=(60, 1)), rng.normal(size=(60, 1))
    codes = np.repeat([-2, -1, -3], 20)
    metric = make_metric("pearson", target="values")
    kept = codes != -1
    expected = FoldMean(metric, Folds(codes[kept])).compute(truth[kept], outputs[kept], np.ones(40))
    assert FoldMean(metric, Folds(codes)).compute(truth, outputs, np.ones(60)) == pytest.approx(expected)
