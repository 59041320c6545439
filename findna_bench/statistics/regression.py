"""Metrics of numbers: Pearson's and Spearman's correlation, R2, RMSE and MAE, with the derivative by the weight of every row.

Of several outputs each is the plain mean over outputs, as in scikit-learn (``multioutput="uniform_average"``; a correlation is
computed per output first). Values without weights are those of scikit-learn and SciPy:

* pearson: undefined where truth or prediction is constant in an output.
* spearman: Pearson's correlation of midranks; rows that tie share the mean of their ranks.
* r2: 1 - sum of squared errors / sum of squares around the mean of the truth; undefined for constant truth.
* rmse, mae: in the units of the values.

With weights, a midrank is the weight of the rows below plus half the weight of those that tie, so that repeating a row and
doubling its weight are the same (up to the ranks' constant, which no correlation sees).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from findna_bench.statistics.metric import Linearised, Metric, Sample

__all__ = ["MAE", "R2", "RMSE", "Pearson", "Spearman"]

_NOTHING = 1e-12
"""A standard deviation, relative to the largest value, that rounding makes."""


class _PerOutput(Metric):
    """The plain mean over outputs of a metric that knows its derivatives."""

    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return self.linearise(Sample(truth, outputs, weights), slopes=False).value

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        truth, outputs = (
            np.asarray(values, np.float64).reshape(len(sample), -1) for values in (sample.truth, sample.outputs)
        )
        found = [self.of_output(truth[:, k], outputs[:, k], sample.weights, slopes) for k in range(truth.shape[1])]
        value = float(np.mean([one.value for one in found]))
        if not slopes or np.isnan(value):
            return Linearised(value, None)
        return Linearised(value, np.mean([one.slope for one in found if one.slope is not None], axis=0))

    @abstractmethod
    def of_output(self, y: np.ndarray, f: np.ndarray, w: np.ndarray, slopes: bool) -> Linearised:
        """Of one output. y: (n,) truth. f: (n,) predictions. w: (n,) weights."""


class Pearson(_PerOutput):
    """Pearson's correlation."""

    def of_output(self, y: np.ndarray, f: np.ndarray, w: np.ndarray, slopes: bool) -> Linearised:
        zy, zf = _standardised(y, w), _standardised(f, w)
        if zy is None or zf is None:
            return Linearised(float("nan"), None)
        value = _clipped(float(np.average(zy * zf, weights=w)))
        slope = (zy * zf - value / 2 * (zy**2 + zf**2)) / w.sum() if slopes else None
        return Linearised(value, slope)


class Spearman(_PerOutput):
    """Spearman's rank correlation."""

    def of_output(self, y: np.ndarray, f: np.ndarray, w: np.ndarray, slopes: bool) -> Linearised:
        total = w.sum()
        of_truth, of_outputs = _Midranks(y, w), _Midranks(f, w)
        zy, zf = _standardised(of_truth.ranks, w), _standardised(of_outputs.ranks, w)
        if zy is None or zf is None:
            return Linearised(float("nan"), None)
        value = _clipped(float(np.average(zy * zf, weights=w)))
        if not slopes:
            return Linearised(value, None)
        # A row weighs on the mean product, and on the ranks of all rows above it and tied with it.
        own = (zy * zf - value / 2 * (zy**2 + zf**2)) / total
        through_truth = of_truth.pulled(w * (zf - value * zy) / _deviation(of_truth.ranks, w) / total)
        through_outputs = of_outputs.pulled(w * (zy - value * zf) / _deviation(of_outputs.ranks, w) / total)
        return Linearised(value, own + through_truth + through_outputs)


class R2(_PerOutput):
    """Share of the variance that is explained."""

    bounds = (float("-inf"), 1.0)

    def of_output(self, y: np.ndarray, f: np.ndarray, w: np.ndarray, slopes: bool) -> Linearised:
        if _standardised(y, w) is None:
            return Linearised(float("nan"), None)
        squares, errors = (y - np.average(y, weights=w)) ** 2, (y - f) ** 2
        whole, left = float(w @ squares), float(w @ errors)
        slope = (left * squares / whole - errors) / whole if slopes else None
        return Linearised(1.0 - left / whole, slope)


class RMSE(_PerOutput):
    """Root of the mean squared error, in units of the values."""

    bounds = (0.0, float("inf"))

    def of_output(self, y: np.ndarray, f: np.ndarray, w: np.ndarray, slopes: bool) -> Linearised:
        errors = (y - f) ** 2
        value = float(np.sqrt(np.average(errors, weights=w)))
        if not slopes:
            return Linearised(value, None)
        slope = (errors - value**2) / (2 * value * w.sum()) if value > 0 else np.zeros(len(y))
        return Linearised(value, slope)


class MAE(_PerOutput):
    """Mean absolute error, in units of the values."""

    bounds = (0.0, float("inf"))

    def of_output(self, y: np.ndarray, f: np.ndarray, w: np.ndarray, slopes: bool) -> Linearised:
        errors = np.abs(y - f)
        value = float(np.average(errors, weights=w))
        return Linearised(value, (errors - value) / w.sum() if slopes else None)


def _clipped(value: float) -> float:
    return min(1.0, max(-1.0, value))


def _deviation(x: np.ndarray, w: np.ndarray) -> float:
    centred = x - np.average(x, weights=w)
    return float(np.sqrt(np.average(centred**2, weights=w)))


def _standardised(x: np.ndarray, w: np.ndarray) -> np.ndarray | None:
    """(n,) of mean 0 and variance 1; None for a constant."""
    counted = x[w > 0]
    if not len(counted) or counted.min() == counted.max():
        return None
    deviation = _deviation(x, w)
    if deviation <= _NOTHING * float(np.abs(counted).max()):
        return None
    scaled: np.ndarray = (x - np.average(x, weights=w)) / deviation
    return scaled


class _Midranks:
    """Ranks between 0 and 1 of rows that each have a weight.

    Attributes:
        ranks: (n,) weight of the rows below, and half of that of the rows that tie, of all.
    """

    def __init__(self, x: np.ndarray, w: np.ndarray) -> None:
        _, self._place = np.unique(x, return_inverse=True)
        self._total = float(w.sum())
        ties = np.bincount(self._place, w)
        self.ranks = ((np.cumsum(ties) - ties / 2) / self._total)[self._place]

    def pulled(self, by_rank: np.ndarray) -> np.ndarray:
        """(n,) derivative by the weight of each row of something whose derivatives by the ranks are ``by_rank`` (n,)."""
        of_ties = np.bincount(self._place, by_rank)
        above = np.cumsum(of_ties[::-1])[::-1] - of_ties
        pulled: np.ndarray = ((above + of_ties / 2)[self._place] - float(by_rank @ self.ranks)) / self._total
        return pulled
