"""Classification metrics: from class labels and scores, with the derivative by the weight of every row.

Everything is a fraction but log loss: accuracy, balanced_accuracy, f1_macro, f1_micro, auroc, auprc, brier_score (two classes) and
expected_calibration_error in [0, 1], mcc in [-1, 1], brier_score of more classes in [0, 2]. The values are scikit-learn's (1.4 and
later, Brier's 1.7) where those are defined:

* accuracy, f1_micro: share of correct rows (the same number when every row has one label and one prediction).
* balanced_accuracy: mean recall over the classes present among the labels.
* f1_macro: mean F1 over the classes present among labels or predictions.
* mcc: Matthews' coefficient, for several classes R_K (Gorodkin 2004); 0 for a constant prediction, undefined for constant labels.
* auroc: binary, or the plain mean of one class against the rest; undefined unless every class is present and one is missing per row.
* auprc: average precision (step-wise, no interpolation), binary or the plain mean of one class against the rest.
* log_loss: mean of -log p of the true class, p clipped to 2.2e-16.
* brier_score: mean squared error of p of the second class; for several classes the sum over classes.
* expected_calibration_error: mean absolute gap between confidence and accuracy over 15 equal bins of confidence (Guo et al. 2017).
* precision, recall, f1 of one class; undefined where it is neither present nor predicted.

The last seven of these read probabilities: where scores are none (a row does not sum to 1), log loss, Brier score and calibration
error are undefined. The prediction is the class of the highest score, the first one among equals.

Every metric is computed from counts per class and from one ranking per class, one after the other, so that time grows with rows
times classes and memory with rows plus classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from findna_bench.errors import ModelError
from findna_bench.statistics.metric import Linearised, Metric, Sample, evaluate, make_metric, metric_names

__all__ = [
    "AUPRC",
    "AUROC",
    "F1",
    "MCC",
    "Accuracy",
    "BalancedAccuracy",
    "BrierScore",
    "Counts",
    "ExpectedCalibrationError",
    "F1Macro",
    "LogLoss",
    "Precision",
    "Ranking",
    "Recall",
    "check_scores",
    "compute_metrics",
    "predictions",
]

_CALIBRATION_BINS = 15
_LEAST = float(np.finfo(np.float64).eps)


def predictions(scores: np.ndarray) -> np.ndarray:
    """(n,) class of the highest score, the first one among equals."""
    predicted: np.ndarray = np.asarray(scores).argmax(axis=1)
    return predicted


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


def compute_metrics(
    labels: np.ndarray, scores: np.ndarray, metrics: Sequence[str] | None = None, *, classes: Sequence[str] = ()
) -> dict[str, float | None]:
    """Metrics by name; None where one is undefined.

    Args:
        labels: (n,) int in 0..C-1.
        scores: (n, C) probabilities, or anything that grows with them.
        metrics: names; None = every metric of classes that the harness has, but for those about one class.
        classes: their names, for metrics about one of them (``recall:enhancer``).

    Raises:
        ValueError: shapes do not fit, or a label lies outside 0..C-1.
        ModelError: a score is not a finite number.
        UsageError: there is no such metric.

    Example:
        >>> compute_metrics(np.array([0, 1]), np.array([[0.8, 0.2], [0.4, 0.6]]))["accuracy"]
        1.0
    """
    sample = Sample(*check_scores(labels, scores))
    names = metric_names("classes") if metrics is None else metrics
    values = {name: evaluate(make_metric(name, classes), sample, slopes=False).value for name in names}
    return {name: None if np.isnan(value) else value for name, value in values.items()}


class _ClassMetric(Metric):
    """A metric that knows its derivatives."""

    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return self.linearise(Sample(*check_scores(truth, outputs), weights), slopes=False).value

    @abstractmethod
    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised: ...


class Accuracy(_ClassMetric):
    """Share of correct rows."""

    prior_rows = 0.5

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return sample.shared(Counts.of_sample).accuracy(slopes)


class BalancedAccuracy(_ClassMetric):
    """Mean recall over the classes present among the labels."""

    support = "classes"
    prior_rows = 1.0

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return sample.shared(Counts.of_sample).balanced_accuracy(slopes)


class F1Macro(_ClassMetric):
    """Mean F1 over the classes present among labels or predictions."""

    support = "classes"
    prior_rows = 0.5

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return sample.shared(Counts.of_sample).f1_macro(slopes)


class MCC(_ClassMetric):
    """Matthews' correlation coefficient; for several classes R_K (Gorodkin 2004)."""

    bounds = (-1.0, 1.0)
    support = "minority"
    prior_rows = 0.5

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return sample.shared(Counts.of_sample).mcc(slopes)


class AUROC(_ClassMetric):
    """Area under the ROC curve: binary, or the mean of one class against the rest."""

    support = "classes"
    prior_rows = 0.05
    """Fewer than elsewhere: a wrong one is last of all rows."""

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return sample.shared(_ranked_slopes if slopes else _ranked_values)[0]


class AUPRC(_ClassMetric):
    """Average precision: binary, or the mean of one class against the rest."""

    support = "classes"
    prior_rows = 0.05

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return sample.shared(_ranked_slopes if slopes else _ranked_values)[1]


class _OfProbabilities(_ClassMetric):
    """A metric of probabilities; undefined where scores are none."""

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        if not sample.shared(_are_probabilities):
            return Linearised(float("nan"), None)
        return self.of_probabilities(sample, slopes)

    @abstractmethod
    def of_probabilities(self, sample: Sample, slopes: bool) -> Linearised: ...


class LogLoss(_OfProbabilities):
    """Mean cross-entropy, in nats."""

    bounds = (0.0, float("inf"))

    def of_probabilities(self, sample: Sample, slopes: bool) -> Linearised:
        own = sample.outputs[np.arange(len(sample)), sample.truth]
        return _mean(-np.log(np.clip(own, _LEAST, 1.0)), sample.weights, slopes)


class BrierScore(_OfProbabilities):
    """Mean squared error of the probabilities."""

    bounds = (0.0, 2.0)

    def of_probabilities(self, sample: Sample, slopes: bool) -> Linearised:
        if sample.outputs.shape[1] == 2:
            return _mean((sample.outputs[:, 1] - sample.truth) ** 2, sample.weights, slopes)
        own = sample.outputs[np.arange(len(sample)), sample.truth]
        return _mean((sample.outputs**2).sum(axis=1) - 2 * own + 1, sample.weights, slopes)


class ExpectedCalibrationError(_OfProbabilities):
    """Gap between confidence and accuracy over equal bins of confidence."""

    def of_probabilities(self, sample: Sample, slopes: bool) -> Linearised:
        predicted = predictions(sample.outputs)
        confidence = sample.outputs.max(axis=1)
        bins = np.clip(np.ceil(confidence * _CALIBRATION_BINS).astype(np.int64) - 1, 0, _CALIBRATION_BINS - 1)
        gap = (predicted == sample.truth) - confidence
        of_bin = np.bincount(bins, sample.weights * gap, minlength=_CALIBRATION_BINS)
        total = sample.weights.sum()
        value = float(np.abs(of_bin).sum() / total)
        return Linearised(value, (np.sign(of_bin)[bins] * gap - value) / total if slopes else None)


class _OfOneClass(_ClassMetric):
    """A share of the rows that one class has to do with.

    Args:
        of_class: its number.
    """

    support = "counted"
    prior_rows = 0.5
    of_label: ClassVar[float]
    of_prediction: ClassVar[float]
    """What a row that has the class as its label, or as its prediction, counts in the denominator."""

    def __init__(self, of_class: int) -> None:
        self.of_class = of_class

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        counts = sample.shared(Counts.of_sample)
        actual, given = counts.label == self.of_class, counts.predicted == self.of_class
        counted = self.of_label * actual + self.of_prediction * given
        total = float((sample.weights * counted).sum())
        if total == 0:
            return Linearised(float("nan"), None)
        hits = (actual & given).astype(np.float64)
        value = float((sample.weights * hits).sum() / total)
        return Linearised(value, (hits - value * counted) / total if slopes else None)


class Precision(_OfOneClass):
    """Share of the rows predicted as a class that are of it."""

    of_label, of_prediction = 0.0, 1.0


class Recall(_OfOneClass):
    """Share of the rows of a class that are predicted as it."""

    of_label, of_prediction = 1.0, 0.0


class F1(_OfOneClass):
    """Harmonic mean of precision and recall of a class."""

    of_label, of_prediction = 0.5, 0.5


def _mean(of_row: np.ndarray, weights: np.ndarray, slopes: bool) -> Linearised:
    total = weights.sum()
    value = float(np.dot(weights, of_row) / total)
    return Linearised(value, (of_row - value) / total if slopes else None)


def _are_probabilities(sample: Sample) -> bool:
    return bool(sample.outputs.min() >= 0 and np.abs(sample.outputs.sum(axis=1) - 1).max() <= 1e-6)


def _ranked_values(sample: Sample) -> tuple[Linearised, Linearised]:
    return _ranked(sample, False)


def _ranked_slopes(sample: Sample) -> tuple[Linearised, Linearised]:
    return _ranked(sample, True)


def _ranked(sample: Sample, slopes: bool) -> tuple[Linearised, Linearised]:
    """AUROC and average precision, from one ranking at a time."""
    n_classes = sample.outputs.shape[1]
    ranked = [1] if n_classes == 2 else range(n_classes)
    values = []
    sums = np.zeros((2, len(sample)))
    for c in ranked:
        ranking = Ranking(sample.truth == c, sample.outputs[:, c], sample.weights)
        values.append((ranking.auroc, ranking.auprc))
        if np.isnan(ranking.auroc):
            break  # undefined for one class is undefined for the mean
        if slopes:
            sums += ranking.auroc_slope(), ranking.auprc_slope()
    auroc, auprc = np.mean(values, axis=0)
    if not slopes or np.isnan(auroc):
        return Linearised(float(auroc), None), Linearised(float(auprc), None)
    return Linearised(float(auroc), sums[0] / len(ranked)), Linearised(float(auprc), sums[1] / len(ranked))


@dataclass(frozen=True)
class Counts:
    """Weighted counts. label, predicted: (n,). hits, actual, given: (C,) rows of a class that are right, that have its label, that
    are predicted as it."""

    label: np.ndarray
    predicted: np.ndarray
    hits: np.ndarray
    actual: np.ndarray
    given: np.ndarray

    @classmethod
    def of(cls, label: np.ndarray, predicted: np.ndarray, weights: np.ndarray, n_classes: int) -> Counts:
        right = label == predicted
        hits = np.bincount(label[right], weights[right], minlength=n_classes)
        actual = np.bincount(label, weights, minlength=n_classes)
        return cls(label, predicted, hits, actual, np.bincount(predicted, weights, minlength=n_classes))

    @classmethod
    def of_sample(cls, sample: Sample) -> Counts:
        return cls.of(sample.truth, predictions(sample.outputs), sample.weights, sample.outputs.shape[1])

    @property
    def right(self) -> np.ndarray:
        right: np.ndarray = (self.label == self.predicted).astype(np.float64)
        return right

    def accuracy(self, slopes: bool) -> Linearised:
        total = self.actual.sum()
        value = self.hits.sum() / total
        return Linearised(float(value), (self.right - value) / total if slopes else None)

    def balanced_accuracy(self, slopes: bool) -> Linearised:
        present = self.actual > 0
        recall = np.divide(self.hits, self.actual, out=np.full(len(present), np.nan), where=present)
        value = float(np.nanmean(recall))
        if not slopes:
            return Linearised(value, None)
        inverse = np.divide(1.0, self.actual, out=np.zeros(len(present)), where=present) / present.sum()
        known = np.nan_to_num(recall)
        return Linearised(value, (self.right - known[self.label]) * inverse[self.label])

    def f1_macro(self, slopes: bool) -> Linearised:
        both = self.actual + self.given
        present = both > 0
        f1 = np.divide(2 * self.hits, both, out=np.full(len(both), np.nan), where=present)
        value = float(np.nanmean(f1))
        if not slopes:
            return Linearised(value, None)
        inverse = np.divide(1.0, both, out=np.zeros(len(both)), where=present) / present.sum()
        lost = np.nan_to_num(f1) * inverse
        gained = 2 * self.right * inverse[self.label]
        return Linearised(value, gained - lost[self.label] - lost[self.predicted])

    def mcc(self, slopes: bool) -> Linearised:
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
        shift = self.right * total + hits - self.given[self.label] - self.actual[self.predicted]
        wider = (total - self.actual[self.label]) / of_labels + (total - self.given[self.predicted]) / of_predictions
        return Linearised(value, shift / scale - value * wider)


class Ranking:
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
