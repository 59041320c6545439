"""All classification metrics of a result, from labels and class scores, and how each depends on the weight of every row.

Everything is a fraction: accuracy, balanced_accuracy, f1_macro, f1_micro, auroc and auprc in [0, 1], mcc in [-1, 1]. The values are
scikit-learn's (1.4 and later) where those are defined:

* accuracy, f1_micro: share of correct rows (the same number when every row has one label and one prediction).
* balanced_accuracy: mean recall over the classes present among the labels.
* f1_macro: mean F1 over the classes present among labels or predictions.
* mcc: Matthews' coefficient, for several classes R_K (Gorodkin 2004); 0 for a constant prediction, undefined for constant labels.
* auroc: binary, or the plain mean of one class against the rest; undefined unless every class is present and one is missing per row.
* auprc: average precision (step-wise, no interpolation), binary or the plain mean of one class against the rest.

The prediction is the class of the highest score, the first one among equals.

Every metric is computed from counts per class and from one ranking per class, one after the other, so that time grows with rows
times classes and memory with rows plus classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from findna_bench.cards import METRICS
from findna_bench.errors import ModelError

__all__ = ["Linearised", "check_scores", "compute_metrics", "linearise", "predictions"]


def predictions(scores: np.ndarray) -> np.ndarray:
    """(n,) class of the highest score, the first one among equals."""
    return np.asarray(scores).argmax(axis=1)


def check_scores(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels as (n,) int64 and scores as (n, C) float64.

    Raises:
        ValueError: shapes do not fit, there is no row, or a label lies outside 0..C-1.
        ModelError: a score is not a finite number.
    """
    labels = np.asarray(labels)
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or labels.ndim != 1 or len(labels) != len(scores) or scores.shape[1] < 2:
        raise ValueError(f"labels (n,) and scores (n, C >= 2) expected, not {labels.shape} and {scores.shape}")
    if not len(labels):
        raise ValueError("no rows to score")
    labels = labels.astype(np.int64)
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(f"a label lies outside 0..{scores.shape[1] - 1}")
    if not np.isfinite(scores).all():
        row = int(np.argmin(np.isfinite(scores).all(axis=1)))
        raise ModelError(f"the model's score for test row {row} is not a finite number")
    return labels, scores


def compute_metrics(labels: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    """Every metric of :data:`findna_bench.cards.METRICS`; None where one is undefined.

    labels: (n,) int in 0..C-1. scores: (n, C) probabilities, or anything that grows with them.

    Raises:
        ValueError: shapes do not fit, or a label lies outside 0..C-1.
        ModelError: a score is not a finite number.
    """
    values = linearise(labels, scores, slopes=False)
    return {name: None if np.isnan(found.value) else found.value for name, found in values.items()}


@dataclass(frozen=True)
class Linearised:
    """A metric's value, and its derivative with respect to the weight of every row.

    value: NaN where it is undefined. slope: (n,), the influence of each row divided by the sum of weights; None where it was not
    asked for, or the value is undefined.
    """

    value: float
    slope: np.ndarray | None


def linearise(
    labels: np.ndarray,
    scores: np.ndarray,
    weights: np.ndarray | None = None,
    metrics: Sequence[str] = METRICS,
    *,
    slopes: bool = True,
) -> dict[str, Linearised]:
    """Metrics of weighted rows with their derivatives.

    labels, scores: as in :func:`compute_metrics`. weights: (n,), none negative; by default 1.

    Raises:
        ValueError, ModelError: see :func:`compute_metrics`.
    """
    labels, scores = check_scores(labels, scores)
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, dtype=np.float64)
    found: dict[str, Linearised] = {}
    if set(metrics) - {"auroc", "auprc"}:
        found |= _Counts.of(labels, predictions(scores), weights, scores.shape[1]).metrics(metrics, slopes)
    if {"auroc", "auprc"} & set(metrics):
        found |= _ranked(labels, scores, weights, slopes)
    return {name: found[name] for name in metrics}


@dataclass(frozen=True)
class _Counts:
    """Weighted counts. label, predicted: (n,). hits, actual, given: (C,) rows of a class that are right, that have its label, that
    are predicted as it."""

    label: np.ndarray
    predicted: np.ndarray
    hits: np.ndarray
    actual: np.ndarray
    given: np.ndarray

    @classmethod
    def of(cls, label: np.ndarray, predicted: np.ndarray, weights: np.ndarray, n_classes: int) -> _Counts:
        right = label == predicted
        hits = np.bincount(label[right], weights[right], minlength=n_classes)
        actual = np.bincount(label, weights, minlength=n_classes)
        return cls(label, predicted, hits, actual, np.bincount(predicted, weights, minlength=n_classes))

    def metrics(self, names: Sequence[str], slopes: bool) -> dict[str, Linearised]:
        made = {
            "accuracy": self._accuracy,
            "balanced_accuracy": self._balanced_accuracy,
            "f1_macro": self._f1_macro,
            "f1_micro": self._accuracy,
            "mcc": self._mcc,
        }
        return {name: made[name](slopes) for name in names if name in made}

    @property
    def _right(self) -> np.ndarray:
        return (self.label == self.predicted).astype(np.float64)

    def _accuracy(self, slopes: bool) -> Linearised:
        total = self.actual.sum()
        value = self.hits.sum() / total
        return Linearised(float(value), (self._right - value) / total if slopes else None)

    def _balanced_accuracy(self, slopes: bool) -> Linearised:
        present = self.actual > 0
        recall = np.divide(self.hits, self.actual, out=np.full(len(present), np.nan), where=present)
        value = float(np.nanmean(recall))
        if not slopes:
            return Linearised(value, None)
        inverse = np.divide(1.0, self.actual, out=np.zeros(len(present)), where=present) / present.sum()
        known = np.nan_to_num(recall)
        return Linearised(value, (self._right - known[self.label]) * inverse[self.label])

    def _f1_macro(self, slopes: bool) -> Linearised:
        both = self.actual + self.given
        present = both > 0
        f1 = np.divide(2 * self.hits, both, out=np.full(len(both), np.nan), where=present)
        value = float(np.nanmean(f1))
        if not slopes:
            return Linearised(value, None)
        inverse = np.divide(1.0, both, out=np.zeros(len(both)), where=present) / present.sum()
        lost = np.nan_to_num(f1) * inverse
        gained = 2 * self._right * inverse[self.label]
        return Linearised(value, gained - lost[self.label] - lost[self.predicted])

    def _mcc(self, slopes: bool) -> Linearised:
        # R_K as the correlation of label and prediction indicator vectors (Gorodkin 2004, eq. 8).
        total, hits = self.actual.sum(), self.hits.sum()
        covariance = hits * total - (self.actual * self.given).sum()
        of_labels, of_predictions = total**2 - (self.actual**2).sum(), total**2 - (self.given**2).sum()
        if of_labels == 0:
            return Linearised(float("nan"), None)
        if of_predictions == 0:
            return Linearised(0.0, np.zeros(len(self.label)) if slopes else None)
        scale = np.sqrt(of_labels * of_predictions)
        value = float(covariance / scale)
        if not slopes:
            return Linearised(value, None)
        shift = self._right * total + hits - self.given[self.label] - self.actual[self.predicted]
        wider = (total - self.actual[self.label]) / of_labels + (total - self.given[self.predicted]) / of_predictions
        return Linearised(value, shift / scale - value * wider)


def _ranked(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, slopes: bool) -> dict[str, Linearised]:
    """AUROC and average precision: binary, or the mean of one class against the rest."""
    n_classes = scores.shape[1]
    ranked = [1] if n_classes == 2 else range(n_classes)
    values = []
    sums = {"auroc": np.zeros(len(labels)), "auprc": np.zeros(len(labels))}
    for c in ranked:
        ranking = _Ranking(labels == c, scores[:, c], weights)
        values.append((ranking.auroc, ranking.auprc))
        if np.isnan(ranking.auroc):
            break  # undefined for one class is undefined for the mean
        if slopes:
            sums["auroc"] += ranking.auroc_slope()
            sums["auprc"] += ranking.auprc_slope()
    means = np.mean(values, axis=0)
    defined = slopes and not np.isnan(means[0])
    return {
        name: Linearised(float(mean), sums[name] / len(ranked) if defined else None)
        for name, mean in zip(("auroc", "auprc"), means, strict=True)
    }


class _Ranking:
    """Area under the ROC curve and average precision of one binary problem; NaN where a class has no weight."""

    def __init__(self, positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> None:
        self._order = np.argsort(-score, kind="stable")
        ordered = score[self._order]
        # Last row of each run of equal scores.
        self._ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        self._positive = positive
        total = weights[self._order]
        hits = total * positive[self._order]
        self._hits, self._total = np.cumsum(hits)[self._ends], np.cumsum(total)[self._ends]
        self._new_hits, new = np.diff(self._hits, prepend=0.0), np.diff(self._total, prepend=0.0)
        self._n_positive = self._hits[-1]
        self._n_negative = self._total[-1] - self._hits[-1]
        self._new_misses = new - self._new_hits
        if self._n_positive == 0 or self._n_negative == 0:
            self.auroc = self.auprc = float("nan")
            return
        above = np.dot(self._new_misses, self._hits - 0.5 * self._new_hits)
        self.auroc = float(above / (self._n_positive * self._n_negative))
        self._precision = self._hits / np.maximum(self._total, 1e-300)
        self.auprc = float(np.dot(self._new_hits, self._precision) / self._n_positive)

    def _by_row(self, of_positive: np.ndarray, of_negative: np.ndarray) -> np.ndarray:
        """(n,) from what positives and negatives at each run of equal scores have."""
        run = np.empty(len(self._order), dtype=np.int64)
        run[self._order] = np.repeat(np.arange(len(self._ends)), np.diff(self._ends, prepend=-1))
        return np.where(self._positive, of_positive[run], of_negative[run])

    def auroc_slope(self) -> np.ndarray:
        """From the placement of each row among the rows of the other class (DeLong et al. 1988)."""
        misses = np.cumsum(self._new_misses)
        below = (self._n_negative - misses + 0.5 * self._new_misses) / self._n_negative
        above = (self._hits - 0.5 * self._new_hits) / self._n_positive
        return self._by_row((below - self.auroc) / self._n_positive, (above - self.auroc) / self._n_negative)

    def auprc_slope(self) -> np.ndarray:
        """A row adds its own precision, if positive, and changes that of every positive at its score or below."""
        squared = np.maximum(self._total, 1e-300) ** 2
        more_hits = np.cumsum((self._new_hits * (self._total - self._hits) / squared)[::-1])[::-1]
        more_misses = -np.cumsum((self._new_hits * self._hits / squared)[::-1])[::-1]
        return self._by_row(
            (self._precision - self.auprc + more_hits) / self._n_positive, more_misses / self._n_positive
        )
