"""Metrics of numbers are scikit-learn's and SciPy's, whatever the weights; their derivatives are those taken numerically."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from findna_bench.statistics.metric import Metric, Sample
from findna_bench.statistics.regression import MAE, R2, RMSE, Pearson, Spearman

METRICS = (Pearson(), Spearman(), R2(), RMSE(), MAE())


def rows(seed: int, n: int = 60, k: int = 2, decimals: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(truth (n, k), outputs (n, k), weights (n,)), with ties."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=(n, k)).round(decimals)
    outputs = (0.6 * truth + generator.normal(size=(n, k))).round(decimals)
    return truth, outputs, generator.integers(1, 4, n).astype(np.float64)


def reference(name: str, y: np.ndarray, f: np.ndarray) -> float:
    return {
        "Pearson": lambda: stats.pearsonr(y, f).statistic,
        "Spearman": lambda: stats.spearmanr(y, f).statistic,
        "R2": lambda: sklearn_metrics.r2_score(y, f),
        "RMSE": lambda: sklearn_metrics.root_mean_squared_error(y, f),
        "MAE": lambda: sklearn_metrics.mean_absolute_error(y, f),
    }[name]()


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: type(m).__name__)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), decimals=st.integers(0, 3))
def test_values_are_those_of_scikit_learn_and_scipy(metric: Metric, seed: int, decimals: int) -> None:
    truth, outputs, weights = rows(seed, decimals=decimals)
    expected = np.mean([reference(type(metric).__name__, truth[:, k], outputs[:, k]) for k in range(2)])
    assert metric.compute(truth, outputs, np.ones(len(truth))) == pytest.approx(expected, abs=1e-12)
    repeated = np.repeat(np.arange(len(truth)), weights.astype(int))
    expected = np.mean([reference(type(metric).__name__, truth[repeated, k], outputs[repeated, k]) for k in range(2)])
    assert metric.compute(truth, outputs, weights) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: type(m).__name__)
def test_derivatives_are_those_taken_numerically(metric: Metric) -> None:
    for seed in range(5):
        truth, outputs, weights = rows(seed)
        numeric = Metric.linearise(metric, Sample(truth, outputs, weights)).slope
        exact = metric.linearise(Sample(truth, outputs, weights)).slope
        np.testing.assert_allclose(exact, numeric, atol=2e-6)


@pytest.mark.parametrize("metric", METRICS[:3], ids=lambda m: type(m).__name__)
def test_what_is_constant_has_no_correlation(metric: Metric) -> None:
    truth, outputs, weights = rows(0)
    truth[:, 1] = 0.1
    assert np.isnan(metric.compute(truth, outputs, weights))
    if not isinstance(metric, R2):
        truth, outputs, weights = rows(0)
        outputs[:, 0] = 1e6 + 0.1
        assert np.isnan(metric.compute(truth, outputs, weights))


def test_an_exact_prediction_is_exact() -> None:
    truth, _, weights = rows(1)
    found = [metric.linearise(Sample(truth, truth.copy(), weights)) for metric in METRICS]
    assert [one.value for one in found] == pytest.approx([1, 1, 1, 0, 0])
    for one in found:
        np.testing.assert_allclose(one.slope, 0, atol=1e-12)
