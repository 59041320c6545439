"""Metrics of several labels: scikit-learn's values, cells that are not known, derivatives, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score, roc_auc_score

from findna_bench.statistics.metric import Sample, make_metric
from findna_bench.statistics.paired_tests import Predictions, compare
from findna_bench.targets.labels import Labels

NAMES = ("auroc_macro", "auprc_macro", "auroc_micro", "auprc_micro", "lrap")


def rows(n: int = 120, k: int = 5, seed: int = 0, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, k)) < rng.uniform(0.1, 0.6, k)).astype(np.int8)
    scores = truth * 0.3 + rng.random((n, k))
    return truth, np.round(scores, 1) if ties else scores


def value(name: str, truth: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    return (
        make_metric(name, ["A", "B", "C", "D", "E"], target="labels")
        .linearise(Sample(truth, scores, weights), slopes=False)
        .value
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_values_are_those_of_scikit_learn(weighted: bool) -> None:
    truth, scores = rows()
    w = np.random.default_rng(1).random(len(truth)) if weighted else None
    for average in ("macro", "micro"):
        expected = roc_auc_score(truth, scores, average=average, sample_weight=w)
        assert value(f"auroc_{average}", truth, scores, w) == pytest.approx(expected, abs=1e-12)
        expected = average_precision_score(truth, scores, average=average, sample_weight=w)
        assert value(f"auprc_{average}", truth, scores, w) == pytest.approx(expected, abs=1e-12)
    expected = label_ranking_average_precision_score(truth, scores, sample_weight=w)
    assert value("lrap", truth, scores, w) == pytest.approx(expected, abs=1e-12)
    assert value("label_auroc:B", truth, scores, w) == pytest.approx(
        roc_auc_score(truth[:, 1], scores[:, 1], sample_weight=w), abs=1e-12
    )
    assert value("label_auprc:E", truth, scores, w) == pytest.approx(
        average_precision_score(truth[:, 4], scores[:, 4], sample_weight=w), abs=1e-12
    )


def test_what_is_not_known_counts_nowhere() -> None:
    truth, scores = rows(n=300)
    known = np.random.default_rng(3).random(truth.shape) < 0.8
    partly = np.where(known, truth, -1).astype(np.int8)
    of_each = [roc_auc_score(truth[known[:, k], k], scores[known[:, k], k]) for k in range(5)]
    assert value("auroc_macro", partly, scores) == pytest.approx(np.mean(of_each), abs=1e-12)
    assert value("auprc_micro", partly, scores) == pytest.approx(
        average_precision_score(truth[known], scores[known]), abs=1e-12
    )
    of_rows = [
        label_ranking_average_precision_score(truth[[i]][:, known[i]], scores[[i]][:, known[i]])
        if known[i].sum() > 1
        else 1.0
        for i in range(len(truth))
    ]
    assert value("lrap", partly, scores) == pytest.approx(np.mean(of_rows), abs=1e-12)
    noise = np.where(known, scores, np.random.default_rng(4).random(truth.shape))
    assert value("auroc_micro", partly, noise) == value("auroc_micro", partly, scores)


def test_a_label_with_one_class_is_left_out_of_means_and_named() -> None:
    truth, scores = rows()
    truth[:, 1], truth[:, 3] = 0, -1
    three = [roc_auc_score(truth[:, k], scores[:, k]) for k in (0, 2, 4)]
    assert value("auroc_macro", truth, scores) == pytest.approx(np.mean(three), abs=1e-12)
    assert np.isnan(value("label_auroc:B", truth, scores))
    assert np.isnan(value("label_auroc:D", truth, scores))
    assert Labels().flags(truth, list("ABCDE")) == ["not in the means, all test rows alike: B, D"]
    assert Labels().flags(truth[:, [0, 2]], ["A", "C"]) == []
    assert np.isnan(value("auroc_macro", np.zeros_like(truth), scores))


@pytest.mark.parametrize("name", [*NAMES, "label_auroc:A", "label_auprc:C"])
def test_derivatives_are_the_numeric_ones(name: str) -> None:
    truth, scores = rows(n=60)
    truth[np.random.default_rng(5).random(truth.shape) < 0.2] = -1
    weights = np.random.default_rng(2).uniform(0.5, 2.0, len(truth))
    metric = make_metric(name, list("ABCDE"), target="labels")
    slope = metric.linearise(Sample(truth, scores, weights)).slope
    assert slope is not None
    for row in range(0, 60, 7):
        up, down = weights.copy(), weights.copy()
        up[row] += 1e-5
        down[row] -= 1e-5
        numeric = (metric.compute(truth, scores, up) - metric.compute(truth, scores, down)) / 2e-5
        assert slope[row] == pytest.approx(numeric, abs=1e-7)


def test_one_label_has_the_interval_and_the_test_of_two_classes() -> None:
    truth, scores = rows(n=400, ties=False)
    other = rows(n=400, seed=9, ties=False)[1] * 0.5 + scores * 0.5
    truth[:40, 2] = -1
    groups = np.arange(400) // 2
    name = "label_auroc:C"
    labels = Labels()
    labels.name = "labels"
    _, found = labels.evaluate(truth, scores, [name], list("ABCDE"), groups)
    known = truth[:, 2] >= 0
    two = [np.stack([-s[known, 2], s[known, 2]], axis=1) for s in (scores, other)]
    plain = truth[known, 2].astype(np.int64)
    from findna_bench.statistics.score_intervals import confidence_intervals

    assert found[name] == pytest.approx(confidence_intervals(plain, two[0], groups[known], ["auroc"])["auroc"])
    ours = compare(
        *(Predictions(truth, (s,), groups, classes=tuple("ABCDE"), target=labels) for s in (scores, other)), name
    )
    theirs = compare(*(Predictions(plain, (s,), groups[known]) for s in two), "auroc")
    assert (ours.value, ours.p_value) == pytest.approx((theirs.value, theirs.p_value))


def test_a_mean_over_labels_has_no_interval_where_one_of_them_is_rare() -> None:
    truth, scores = rows(n=400, ties=False)
    labels = Labels()
    labels.name = "labels"
    _, found = labels.evaluate(truth, scores, NAMES)
    assert all(low < high for low, high in found.values())  # type: ignore[misc]
    truth[:, 0] = 0
    truth[:9, 0] = 1
    _, found = labels.evaluate(truth, scores, NAMES)
    assert found["auroc_macro"] is None
    assert found["lrap"] is not None
