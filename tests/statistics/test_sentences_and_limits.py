"""Every refusal of the metrics and tests in full, the limits they stop at, and their defaults."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from findna_bench.errors import ModelError, UsageError
from findna_bench.statistics.base_states import NO_STATE, state_counts
from findna_bench.statistics.classification import check_scores, compute_metrics, predictions
from findna_bench.statistics.fold_mean import BY_ROWS, FoldMean, Folds, is_mean_over_groups
from findna_bench.statistics.metric import Linearised, Metric, Sample, evaluate, make_metric, metric_label, metric_scale
from findna_bench.statistics.paired_tests import (
    Predictions,
    across_tasks,
    compact_letters,
    compare,
    estimate,
    mcnemar,
    rank_intervals,
    signed_rank,
    smallest_detectable,
)
from findna_bench.statistics.proportions import difference_interval, paired_interval, share_interval
from findna_bench.statistics.score_intervals import confidence_intervals

HALF = np.full((4, 2), 0.5)
REFUSED: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: check_scores(np.zeros(3), HALF), ValueError, "labels (n,) and scores (n, C >= 2) expected, not (3,) and (4, 2)"),
    (lambda: check_scores(np.zeros((4, 1)), HALF), ValueError, "labels (n,) and scores (n, C >= 2) expected, not (4, 1) and (4, 2)"),
    (lambda: check_scores(np.zeros(4), np.zeros(4)), ValueError, "labels (n,) and scores (n, C >= 2) expected, not (4,) and (4,)"),
    (lambda: check_scores(np.zeros(4), np.zeros((4, 1))), ValueError, "labels (n,) and scores (n, C >= 2) expected, not (4,) and (4, 1)"),
    (lambda: check_scores(np.zeros(0), np.zeros((0, 2))), ValueError, "no rows to score"),
    (lambda: check_scores(np.array([0, 1, 2, 0]), HALF), ValueError, "a label lies outside 0..1"),
    (lambda: check_scores(np.array([0, -1, 1, 0]), HALF), ValueError, "a label lies outside 0..1"),
    (lambda: check_scores(np.zeros(3), np.array([[1, 0], [np.inf, 0], [0, np.nan]])), ModelError, "the model's score for test row 1 is not a finite number"),
    (lambda: make_metric("recall:x", ["a", "b"]), UsageError, "metric 'recall:x': there is no class 'x'; there are a, b"),
    (lambda: make_metric("label_auroc:x", ["a"], target="labels"), UsageError, "metric 'label_auroc:x': there is no label 'x'; there are a"),
    (lambda: make_metric("recall"), UsageError, "metric 'recall' is about one class: say which, as recall:CLASS"),
    (lambda: make_metric("accuracy", target="values"), UsageError, "metric 'accuracy' scores classes, not values"),
    (lambda: Predictions(np.zeros(4), (HALF,), draws=(0, 1)), ValueError, "every seed needs its draw"),
    (lambda: Predictions(np.zeros(4), ()), ValueError, "predictions of at least one seed are needed"),
    (lambda: Predictions(np.zeros(4), (HALF, HALF[:3])), ValueError, "every seed must have scored the same rows"),
    (lambda: compare(Predictions(np.zeros(4), (HALF,)), Predictions(np.ones(4), (HALF,)), "accuracy"), ValueError, "models can be compared only on the same rows in the same order"),
    (lambda: estimate(Predictions(np.array([0, 1, 0, 1]), (HALF,), np.zeros(4)), "accuracy"), ValueError, "one group of related rows says nothing about others"),
    (lambda: estimate(Predictions(np.zeros(4, int), (HALF,)), "auroc"), ValueError, "auroc is undefined on these rows"),
    (lambda: rank_intervals({"a": {"x": np.ones(3)}, "b": {"y": np.ones(3)}}), ValueError, "no task was scored by all models"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "sentence"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_a_refusal_is_one_sentence(call: Callable[[], object], kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind) as refused:
        call()
    assert type(refused.value) is kind
    assert str(refused.value) == sentence


class Broken(Metric):
    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        raise RuntimeError("no")


def test_a_metric_that_raises_is_named_with_its_rows() -> None:
    broken = Broken()
    broken.name = "mine"
    with pytest.raises(ModelError, match=r"^metric 'mine' cannot be computed on 4 rows: .*no"):
        evaluate(broken, Sample(np.zeros(4), HALF))


def test_labels_and_scales_of_columns() -> None:
    assert [metric_label(name) for name in ("accuracy", "recall:x", "rmse", "gone")] == [
        "accuracy %",
        "recall % (x)",
        "RMSE",
        "gone",
    ]
    assert [metric_scale(name) for name in ("accuracy", "rmse", "gone")] == [100.0, 1.0, 100.0]


def test_probabilities_are_known_by_their_sum_and_sign() -> None:
    labels = np.array([0, 1])
    for scores, are in (
        ([[0.5, 0.5], [1.0, 0.0]], True),
        ([[0.5, 0.5 + 9e-7], [0.5, 0.5]], True),
        ([[0.5, 0.5 - 9e-7], [0.5, 0.5]], True),
        ([[0.5, 0.5 + 2e-6], [0.5, 0.5]], False),
        ([[0.5, 0.5 - 2e-6], [0.5, 0.5]], False),
        ([[1.5, -0.5], [0.5, 0.5]], False),
    ):
        found = compute_metrics(labels, np.array(scores))
        assert [found[name] is not None for name in ("log_loss", "brier_score", "expected_calibration_error")] == [
            are
        ] * 3
    worst = compute_metrics(np.array([1, 0]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert worst["log_loss"] == pytest.approx(-np.log(np.finfo(float).eps) / 2)
    assert predictions(np.array([[1, 1, 0], [0, 2, 2], [0, 0, 1]])).tolist() == [0, 1, 2]


def test_confidence_falls_into_bins_that_end_at_a_fifteenth() -> None:
    """A bin holds its upper end: rows at 0.6 and a little above it stand apart, so that their errors do not cancel."""
    apart = np.array([[0.6, 0.4], [0.6 + 1e-9, 0.4 - 1e-9]])
    found = compute_metrics(np.array([0, 1]), apart)["expected_calibration_error"]
    assert found == pytest.approx((0.4 + 0.6) / 2)
    together = np.array([[0.6 - 1e-9, 0.4 + 1e-9], [0.6, 0.4]])
    assert compute_metrics(np.array([0, 1]), together)["expected_calibration_error"] == pytest.approx(0.1)


def test_shares_have_wilsons_interval_and_differences_newcombes() -> None:
    assert share_interval(0, 0) == (0.0, 1.0)
    for found, n in ((0, 5), (5, 5), (3, 7)):
        wilson = stats.binomtest(found, n).proportion_ci(0.95, method="wilson")
        assert share_interval(found, n) == pytest.approx((wilson.low, wilson.high))
    (a, n), (b, m) = (7, 20), (3, 30)
    (low, high), (other_low, other_high) = share_interval(a, n), share_interval(b, m)
    p, q = a / n, b / m
    below, above = np.hypot(p - low, other_high - q), np.hypot(high - p, q - other_low)
    assert difference_interval((a, n), (b, m)) == pytest.approx((p - q - below, p - q + above))
    assert difference_interval((0, 0), (0, 0)) == pytest.approx((-1.0, 1.0))
    first, second = np.array([True] * 6 + [False] * 4), np.array([False] * 8 + [True] * 2)
    middle, z = (6.5 - 2.5) / 12, 1.959963984540054
    half = z * np.sqrt(9 - 16 / 12) / 12
    assert paired_interval(first, second) == pytest.approx((middle - half, middle + half))
    few = np.array([True])
    assert paired_interval(few, ~few)[1] == pytest.approx(min(1.0, 1 / 3 + z * np.sqrt(2 - 1 / 3) / 3))
    assert paired_interval(~few, few)[0] == -paired_interval(few, ~few)[1]


def test_intervals_end_at_the_bounds_of_a_metric_and_need_ten_groups() -> None:
    labels = np.arange(24) % 2
    nearly = np.where(np.eye(2)[labels] > 0, 0.99, 0.01)
    nearly[:3] = nearly[:3, ::-1]
    low, high = confidence_intervals(labels, nearly)["log_loss"] or (1, 1)
    assert low == 0.0 < high
    for groups, known in ((np.arange(24) % 10, True), (np.arange(24) % 9, False)):
        assert (confidence_intervals(labels, nearly, groups)["accuracy"] is not None) == known
    assert confidence_intervals(labels, nearly, None, ["recall:x"], classes=("x", "y"))["recall:x"] is not None


def test_mcnemars_test_counts_rows_that_one_alone_has_right() -> None:
    labels, first, second = np.zeros(9, int), np.array([0] * 5 + [1] * 4), np.array([1] * 5 + [0] * 1 + [1] * 3)
    expected = 2 * stats.binom.cdf(1, 6, 0.5) - stats.binom.pmf(1, 6, 0.5)
    assert mcnemar(labels, first, second) == pytest.approx(expected)
    assert mcnemar(labels, first, first) == 1.0
    detectable = (stats.t.ppf(0.975, 30) + stats.t.ppf(0.8, 30)) * 0.1
    assert smallest_detectable(0.1, 30) == pytest.approx(detectable)
    assert smallest_detectable(0.1, 30, alpha=0.01, power=0.5) == pytest.approx(stats.t.ppf(0.995, 30) * 0.1)


def test_ranks_over_tasks_are_means_of_clusters_with_ties_shared() -> None:
    drawn = {
        "a": {
            "x": np.array([3.0, 3, 1]),
            "y": np.array([1.0, 1, 1]),
            "z": np.array([2.0, 2, 2]),
            "only": np.array([9.0, 9, 9]),
        },
        "b": {"x": np.array([3.0, 1, 3]), "y": np.array([2.0, 2, 2]), "z": np.array([1.0, 1, 1])},
    }
    fixed = rank_intervals(drawn, {"x": "one", "y": "one"}, resample_tasks=False, level=1.0)
    # Of x and y together, then of z: (1.5 + 2) / 2 and 1, observed; drawn (1 + 2) / 2 and 1, then (2 + 2) / 2 and 1.
    assert (fixed["a"].mean, fixed["a"].low, fixed["a"].high) == (1.375, 1.25, 1.5)
    assert (fixed["b"].mean, fixed["b"].low, fixed["b"].high) == (1.625, 1.5, 1.75)
    assert (fixed["a"].best_share, fixed["b"].best_share) == (1.0, 0.5)
    plain = rank_intervals(drawn, resample_tasks=False)
    assert plain["a"].mean == pytest.approx((1.5 + 2 + 1) / 3)
    many = {m: {t: np.full(4001, v[0]) for t, v in own.items()} for m, own in drawn.items()}
    resampled = rank_intervals(many)
    assert (resampled["a"].low, resampled["a"].high) == (1.0, 2.0)
    assert resampled == rank_intervals(many, seed=0)
    scores = {"a": {"x": 0.5, "y": 0.7, "z": 0.1}, "b": {"x": 0.4, "y": 0.4, "w": 1.0}, "c": {"v": 1.0}}
    found = across_tasks(scores)
    assert list(found) == [("a", "b")]
    assert found["a", "b"] == (pytest.approx(0.2), 0.5)
    assert across_tasks(scores, {"x": "one", "y": "one"})["a", "b"] == (pytest.approx(0.2), 1.0)
    assert signed_rank(np.array([0.0, 0.0])) == 1.0
    names = [f"m{i:02}" for i in range(30)]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    letters = compact_letters(names, pairs)
    assert [letters[name] for name in (names[0], names[25], names[26], names[29])] == ["a", "z", "a'", "d'"]


def test_folds_are_numbered_and_samples_of_groups_are_told_from_them() -> None:
    assert not is_mean_over_groups(None)
    assert not is_mean_over_groups(np.array([0, 1, -1]))
    assert is_mean_over_groups(np.array([-2, -3, -1]))
    folds = Folds(np.array([5, -1, 7, 5]))
    assert (folds.n, folds.sampled, folds.by_rows) == (2, False, False)
    assert (Folds(np.array([BY_ROWS, -1])).by_rows, Folds(np.array([BY_ROWS + 1, -1])).by_rows) == (True, False)
    assert folds.of_rows(np.array([0, 3])).n == 1
    truth, outputs = np.array([[1.0], [2], [4], [7], [1], [3]]), np.array([[2.0], [2], [3], [6], [1], [9]])
    metric = make_metric("mae", target="values")
    errors = [np.mean([1, 0]), np.mean([1, 1, 0, 6])]
    for codes, expected in (
        ([-2, -2, -3, -3, -3, -3], np.mean(errors)),
        ([BY_ROWS, BY_ROWS] + [BY_ROWS - 1] * 4, 9 / 6),
    ):
        mean = FoldMean(metric, Folds(np.array(codes)))
        assert mean.compute(truth, outputs, np.ones(6)) == pytest.approx(expected)
        assert (mean.support, mean.prior_rows) == ("rows", 0.0)
    kept = FoldMean(make_metric("mcc"), Folds(np.array([0, 1])))
    assert (kept.support, kept.prior_rows, kept.bounds) == ("minority", 0.5, (-1.0, 1.0))


def test_a_value_without_a_derivative_is_kept_apart_from_one_with_it() -> None:
    sample = Sample(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]))
    for name in (
        "accuracy",
        "balanced_accuracy",
        "f1_macro",
        "mcc",
        "auroc",
        "auprc",
        "log_loss",
        "brier_score",
        "expected_calibration_error",
    ):
        without, with_slope = (evaluate(make_metric(name), sample, slopes=slopes) for slopes in (False, True))
        assert isinstance(without, Linearised)
        assert without.slope is None
        assert with_slope.slope is not None
        assert with_slope.slope.shape == (3,)
        assert without.value == with_slope.value
    states = np.array([[0, 1, NO_STATE], [1, 1, 2]], dtype=np.uint8)
    assert state_counts(states, 3).tolist() == [1, 3, 1]
