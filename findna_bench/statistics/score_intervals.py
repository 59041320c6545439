"""95 % intervals of every metric over test rows, or over groups of rows that belong together: one method for tables and ``compare``.

How far a metric m may be off is read from its derivative with respect to the weight of every row (the infinitesimal jackknife;
for AUROC this is DeLong's variance, over groups Obuchowski's), summed over each group of related rows:

    V = sum over groups of (sum of slopes)^2 + sum over strata of V_stratum / (r - 1)

A stratum holds the rows of one class (all rows, for accuracy), r its groups; classes of fewer than ten groups stand together.
An interval holds the values from which the observed one is at most t * sqrt(V) away, V being taken as proportional to s (1 - s),
where s is the metric on its own range from 0 to 1 (Wilson's score interval, with the effective number of rows s (1 - s) / V).
t is Student's, with Satterthwaite's degrees of freedom over the strata; where groups are of unequal size, r is the number of
equal groups that would tell as much. So that no class is taken for certain because all its few rows are right, V is computed with
a little more data (units of the size of a group), spread evenly over the classes, half of it right and half wrong.

Nothing is drawn at random. ``benchmarks/intervals.py`` simulates how often such intervals hold the true value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from findna_bench.statistics.classification import check_scores
from findna_bench.statistics.metric import Metric, Sample, evaluate, make_metric, metric_names

__all__ = [
    "FEWEST",
    "AddedData",
    "Design",
    "RowVariance",
    "Slopes",
    "confidence_intervals",
    "interval_of",
    "says_nothing",
    "score_interval",
]

FEWEST = 10
"""Groups of what a metric depends on that an interval needs; below, tables say "too few"."""
_NOTHING = 1e-24
"""A variance, relative to the square of the value, that rounding makes."""


def confidence_intervals(
    labels: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray | None = None,
    metrics: Sequence[str] | None = None,
    *,
    classes: Sequence[str] = (),
    level: float = 0.95,
) -> dict[str, tuple[float, float] | None]:
    """Intervals of metrics; None where the metric is undefined, or there are too few groups of what it depends on.

    Args:
        labels: (n,) int.
        scores: (n, C).
        groups: (n,) or None; rows of one group are related. What must be at least :data:`FEWEST`: groups, for accuracy; groups with a
            row outside the largest class, for mcc; groups of the rarest class, for other metrics of classes (the same as for mcc
            where there are two).
        metrics: names; None = all that are computed for every result.
        classes: their names, for metrics that are about one.
        level: of confidence.

    Raises:
        ValueError, ModelError: see :func:`findna_bench.statistics.classification.compute_metrics`.
    """
    labels, scores = check_scores(labels, scores)
    design, sample = Design(labels, groups, scores.shape[1]), Sample(labels, scores)
    added = design.with_added_data(scores)
    names = metric_names("classes") if metrics is None else metrics
    return {name: interval_of(make_metric(name, classes), design, sample, added, level) for name in names}


def interval_of(
    metric: Metric, design: Design, sample: Sample, added: AddedData, level: float = 0.95
) -> tuple[float, float] | None:
    """Of one metric on rows whose design is known; see :func:`confidence_intervals`."""
    if metric.of_class is not None:
        one = metric.against_rest(sample.truth, sample.outputs)
        if not len(one.rows):
            return None
        metric, design = one.metric, Design(one.truth, design.groups[one.rows], 2)
        sample, added = Sample(one.truth, one.outputs), design.with_added_data(one.outputs)
    value = evaluate(metric, sample, slopes=False).value
    if np.isnan(value) or design.too_few(metric):
        return None
    slopes = design.slopes(metric, added)
    if design.too_few(metric, slopes.rows):
        return None
    variance = design.variance(metric, slopes.rows, slopes.of_added)
    if says_nothing(metric, value, variance.variance):
        return None
    return score_interval(metric, value, slopes.value, (variance,), level)


def says_nothing(metric: Metric, value: float, variance: float) -> bool:
    """Whether rows are all alike, which says nothing of how others would differ; added data speak of that, where a metric has any."""
    return not metric.prior_rows and variance <= _NOTHING * max(value**2, 1.0)


def score_interval(
    metric: Metric, value: float, shrunk: float, variances: Sequence[RowVariance], level: float = 0.95
) -> tuple[float, float]:
    """Wilson's interval around ``value`` with an effective number of rows, or Student's where no data were added; the widest of
    those that ``variances`` give.

    shrunk: the value with the added data, which is never at a bound.
    """
    floor, ceiling = metric.bounds
    low = high = value
    for one in variances:
        if one.variance <= 0:
            continue
        t = -float(special.stdtrit(one.df, (1 - level) / 2))
        if metric.prior_rows:
            width = ceiling - floor
            share, inner = (value - floor) / width, (shrunk - floor) / width
            reach = t * t * one.variance / width**2 / (inner * (1 - inner))  # t^2 / effective rows
            centre = floor + width * (share + reach / 2) / (1 + reach)
            half = width * math.sqrt(reach * share * (1 - share) + reach * reach / 4) / (1 + reach)
        else:
            centre, half = value, t * math.sqrt(one.variance)
        low, high = min(low, centre - half), max(high, centre + half)
    return max(floor, low), min(ceiling, high)


@dataclass(frozen=True)
class RowVariance:
    """Of a value, over groups of rows, with the degrees of freedom of Student's t."""

    variance: float
    df: float


@dataclass(frozen=True)
class Slopes:
    """How a metric, or a mean of metrics of several fits, depends on every row.

    value: with the added data. rows: (n,) derivatives. right, wrong: (C,) derivatives of an added row of each class.
    """

    value: float
    rows: np.ndarray
    right: np.ndarray
    wrong: np.ndarray

    @property
    def of_added(self) -> np.ndarray:
        """(C,) mean square of an added row's derivative."""
        square: np.ndarray = (self.right**2 + self.wrong**2) / 2
        return square

    def of_added_in_difference(self, other: Slopes) -> np.ndarray:
        """(C,) the same of a difference; whether an added row is right for one model says nothing of the other."""
        square: np.ndarray = (
            self.of_added + other.of_added - (self.right + self.wrong) * (other.right + other.wrong) / 2
        )
        return square

    @staticmethod
    def mean(fits: Sequence[Slopes]) -> Slopes:
        """Of the mean over fits; an added row is as alike for all of them as the rows that there are."""
        if len(fits) == 1:
            return fits[0]
        rows = np.mean([fit.rows for fit in fits], axis=0)
        of_each = float(np.mean([np.dot(fit.rows, fit.rows) for fit in fits]))
        alike = math.sqrt(float(np.dot(rows, rows)) / of_each) if of_each > 0 else 1.0
        right, wrong = (np.mean([getattr(fit, side) for fit in fits], axis=0) * alike for side in ("right", "wrong"))
        return Slopes(float(np.mean([fit.value for fit in fits])), rows, right, wrong)


class AddedData:
    """Rows, and the same with a little data added: what metrics share that add the same amount of it."""

    def __init__(self, design: Design, truth: np.ndarray, outputs: np.ndarray) -> None:
        self.plain = Sample(truth, outputs, groups=design.groups)
        self._design = design
        self._samples: dict[float, Sample] = {}

    def weighted(self, amount: float) -> Sample:
        """The rows, followed by a right one and then a wrong one of each class that is present, ``amount`` of either in all."""
        if amount not in self._samples:
            labels, scores = self._extended
            added = np.tile(self._design.added(amount)[self._design.present], 2)
            self._samples[amount] = Sample(labels, scores, np.concatenate([np.ones(len(self.plain)), added]))
        return self._samples[amount]

    @cached_property
    def _extended(self) -> tuple[np.ndarray, np.ndarray]:
        design, scores = self._design, self.plain.outputs
        present, other = design.present, design.mistaken_for
        extra = np.full((2 * len(present), design.n_classes), scores.min() - 1.0)
        extra[np.arange(len(extra)), np.concatenate([present, other])] = scores.max() + 1.0
        return np.concatenate([design.labels, present, present]), np.concatenate([scores, extra])


class Design:
    """The labels and groups of test rows: what all models that were scored on them have in common."""

    def __init__(self, labels: np.ndarray, groups: np.ndarray | None, n_classes: int) -> None:
        self.labels = np.asarray(labels, dtype=np.int64)
        self.n_classes = n_classes
        n = len(self.labels)
        self.groups = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
        self.n_groups = int(self.groups.max()) + 1
        self._rows = np.bincount(self.labels, minlength=n_classes)
        pairs = np.unique(self.groups * n_classes + self.labels)
        self._groups_of_class = np.bincount(pairs % n_classes, minlength=n_classes)
        self._largest = int(self._rows.argmax())
        self._outside = len(np.unique(self.groups[self.labels != self._largest]))

    def too_few(self, metric: Metric, slopes: np.ndarray | None = None) -> bool:
        """Whether there are fewer than :data:`FEWEST` groups of what the metric depends on; for one that depends on some rows only,
        ``slopes`` (n,) say on which.
        """
        groups = self.n_groups
        if metric.support == "minority":
            groups = min(groups, self._outside)
        elif metric.support == "classes":
            groups = min(groups, int(self._groups_of_class.min()))
        elif metric.support == "counted" and slopes is not None:
            groups = len(np.unique(self.groups[slopes != 0]))
        return groups < FEWEST

    # ------------------------------------------------------------------------------------------------ added data

    @cached_property
    def _per_group(self) -> np.ndarray:
        """(C,) rows of a class in a group that has any."""
        return np.divide(self._rows, self._groups_of_class, out=np.zeros(self.n_classes), where=self._rows > 0)

    @cached_property
    def present(self) -> np.ndarray:
        """Classes that have a row."""
        return np.flatnonzero(self._rows)

    @property
    def mistaken_for(self) -> np.ndarray:
        """The class that a wrong row of each present class is taken for: the largest other one."""
        rows = self._rows.copy()
        rows[self._largest] = -1
        return np.where(self.present == self._largest, int(rows.argmax()), self._largest)

    def added(self, amount: float) -> np.ndarray:
        """(C,) weight of the right row that is added to each class; the wrong one has as much."""
        return amount / np.count_nonzero(self._rows) * self._per_group

    def with_added_data(self, outputs: np.ndarray, truth: np.ndarray | None = None) -> AddedData:
        """outputs: (n, C) scores. truth: (n, ...) where the target has no classes."""
        return AddedData(self, self.labels if truth is None else truth, outputs)

    def slopes(self, metric: Metric, data: AddedData) -> Slopes:
        """Derivatives of a metric that is defined on the rows."""
        right, wrong = np.zeros(self.n_classes), np.zeros(self.n_classes)
        if not metric.prior_rows:
            plain = evaluate(metric, data.plain)
            assert plain.slope is not None
            return Slopes(plain.value, plain.slope, right, wrong)
        found = evaluate(metric, data.weighted(metric.prior_rows))
        assert found.slope is not None
        n, k = len(self.labels), len(self.present)
        right[self.present], wrong[self.present] = found.slope[n : n + k], found.slope[n + k :]
        return Slopes(found.value, found.slope[:n], right, wrong)

    # -------------------------------------------------------------------------------------------------- variance

    def variance(self, metric: Metric, rows: np.ndarray, of_added: np.ndarray) -> RowVariance:
        """Of a value whose derivatives are ``rows`` (n,) and, in the mean square, ``of_added`` (C,)."""
        strata = self._one_stratum if metric.support == "rows" else self._strata_of_classes
        total = float((np.bincount(self.groups, rows) ** 2).sum())
        # A unit of added data is a group: its rows vary together.
        added = np.bincount(
            strata.of_class, 2 * self.added(metric.prior_rows) * self._per_group * of_added, minlength=strata.n
        )
        within, effective = strata.within(rows)
        spare = np.maximum(effective - 1, 1.0)
        within = within + added
        total += float(added.sum() + (within / spare).sum())
        if total <= 0:
            return RowVariance(0.0, max(1.0, self.n_groups - 1.0))
        between = max(0.0, total - float((within * (1 + 1 / spare)).sum()))
        corrected = within * (1 + 1 / spare)
        inverse = float((corrected**2 / spare).sum()) + between**2 / (self.n_groups - 1)
        return RowVariance(total, max(1.0, float(spare.min()), total**2 / inverse))

    def group_sums(self, rows: np.ndarray) -> np.ndarray:
        """(G,) from (n,)."""
        return np.bincount(self.groups, rows)

    @cached_property
    def _one_stratum(self) -> _Strata:
        return _Strata(np.zeros(len(self.labels), np.int64), self.groups, np.zeros(self.n_classes, np.int64))

    @cached_property
    def _strata_of_classes(self) -> _Strata:
        stratum, filled = np.zeros(self.n_classes, np.int64), 0
        number = 0
        for c in np.argsort(self._groups_of_class, kind="stable").tolist():
            stratum[c] = number
            filled += int(self._groups_of_class[c])
            if filled >= FEWEST:
                number, filled = number + 1, 0
        stratum[stratum == number] = max(0, number - 1)  # what is left over stands with the last one
        return _Strata(stratum[self.labels], self.groups, stratum)


class _Strata:
    """Rows in strata, and in cells: the rows of one group in one stratum."""

    def __init__(self, of_row: np.ndarray, groups: np.ndarray, of_class: np.ndarray) -> None:
        self.of_class = of_class
        self.n = int(of_class.max()) + 1
        self._of_row = of_row
        self._n_rows = np.bincount(of_row, minlength=self.n)
        cells, self._cell, sizes = np.unique(groups * self.n + of_row, return_inverse=True, return_counts=True)
        self._cell = self._cell.reshape(-1)
        self._of_cell, self._sizes = cells % self.n, sizes.astype(np.float64)
        self._pairs = self._sum(self._sizes**2) / np.maximum(self._n_rows, 1)

    def _sum(self, of_cell: np.ndarray) -> np.ndarray:
        return np.bincount(self._of_cell, of_cell, minlength=self.n)

    def within(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Per stratum: sum over groups of (sum of deviations)^2, and the number of equal groups that would tell as much."""
        mean = np.bincount(self._of_row, rows, minlength=self.n) / np.maximum(self._n_rows, 1)
        deviations = rows - mean[self._of_row]
        alone = np.bincount(self._of_row, deviations**2, minlength=self.n)
        together = self._sum(np.bincount(self._cell, deviations) ** 2)
        # Correlation of rows of one group: together / alone = 1 + related * (mean size over rows - 1).
        room = self._pairs - 1
        excess = np.divide(together, alone, out=np.ones(self.n), where=alone > 0) - 1
        related = np.clip(np.divide(excess, room, out=np.zeros(self.n), where=room > 0), 0.0, 1.0)
        of_cell = self._sizes + (self._sizes**2 - self._sizes) * related[self._of_cell]
        squares = self._sum(of_cell**2)
        effective = np.divide(self._sum(of_cell) ** 2, squares, out=np.ones(self.n), where=squares > 0)
        return together, effective
