"""A metric of rows that were scored in folds, each by a fit of its own: the mean over folds of the metric within each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from findna_bench.statistics.metric import Linearised, Metric, OneClass, Sample, evaluate

__all__ = ["BY_ROWS", "FoldMean", "Folds", "is_mean_over_groups"]

BY_ROWS = -(2**31)
"""Codes of groups from here on downwards: in a mean over them, each counts as much as it has rows."""


class Folds:
    """The fold of every row.

    codes: (n,) int. From 0 on: folds that are fixed, as those of a cross-validation. Below -1: groups that are a sample of others, such as
    elements or genes, so that a mean over them varies by which they are, too; from :data:`BY_ROWS` downwards, such groups that count by
    their rows. -1: rows in none.
    """

    def __init__(self, codes: np.ndarray) -> None:
        numbers = np.unique(codes[codes != -1])
        self._codes = codes
        self._code = np.where(codes != -1, np.searchsorted(numbers, codes), -1)
        self.n = len(numbers)
        self.sampled = bool((codes < -1).any())
        self.by_rows = bool((codes <= BY_ROWS).any())

    def of_rows(self, rows: np.ndarray) -> Folds:
        """Of some of the rows (m,)."""
        return Folds(self._codes[rows])

    def parts(self, sample: Sample) -> list[tuple[np.ndarray, int, Sample]]:
        """Per fold: its row numbers, how many of them are its own, and its rows as a sample.

        Rows beyond the n (added data) belong to every fold, with an equal share of their weight.
        """
        return sample.shared(self._split)

    def _split(self, sample: Sample) -> list[tuple[np.ndarray, int, Sample]]:
        n, found = len(self._code), []
        for fold in range(self.n):
            own = np.flatnonzero(self._code == fold)
            rows = np.concatenate([own, np.arange(n, len(sample))])
            weights = sample.weights[rows]
            weights[len(own) :] /= self.n
            groups = None if sample.groups is None else sample.groups[rows]
            found.append((rows, len(own), Sample(sample.truth[rows], sample.outputs[rows], weights, groups)))
        return found


def is_mean_over_groups(codes: np.ndarray | None) -> bool:
    """Whether the folds of rows (n,) are groups, which are a sample of others, rather than those of a cross-validation."""
    return codes is not None and Folds(codes).sampled


class FoldMean(Metric):
    """Mean over folds of a metric; undefined where it is undefined in one of them.

    Its derivative with respect to a row is that within the row's fold, divided by the number of folds, so that everything which is
    computed from derivatives (variances, intervals, tests) holds for rows of all folds at once, whatever groups they share. Where folds
    are a sample, each weighs as much as the mean weight of its rows (or as their sum, where groups count by their rows): leaving out
    all rows of one leaves it out of the mean.
    """

    def __init__(self, metric: Metric, folds: Folds) -> None:
        self.metric, self.folds = metric, folds
        self.name, self.of_class = metric.name, metric.of_class
        self.bounds, self.support, self.prior_rows = metric.bounds, metric.support, metric.prior_rows  # type: ignore[misc]
        if folds.sampled:  # a mean of as many numbers as there are groups, whatever each of them is made of
            self.support, self.prior_rows = "rows", 0.0  # type: ignore[misc]

    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return self.linearise(Sample(truth, outputs, weights), slopes=False).value

    def against_rest(self, truth: np.ndarray, outputs: np.ndarray) -> OneClass:
        one = self.metric.against_rest(truth, outputs)
        return replace(one, metric=FoldMean(one.metric, self.folds.of_rows(one.rows)))

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        parts = self.folds.parts(sample)
        found = [evaluate(self.metric, part, slopes=slopes) for _, _, part in parts]
        means = np.ones(self.folds.n)
        if self.folds.sampled:
            sums = [float(part.weights[:n_own].sum()) for _, n_own, part in parts]
            means = np.array([of / self._share(n_own) for of, (_, n_own, _) in zip(sums, parts, strict=True)])
        value = float(np.average([one.value for one in found], weights=means))
        if not slopes or np.isnan(value):
            return Linearised(value, None)
        total = np.zeros(len(sample))
        for (rows, n_own, _), one, mean in zip(parts, found, means, strict=True):
            assert one.slope is not None
            own = np.arange(len(rows)) < n_own
            total[rows] += one.slope * np.where(own, 1.0, 1.0 / self.folds.n) * mean / means.sum()
            if self.folds.sampled:
                total[rows] += own * (one.value - value) / self._share(n_own) / means.sum()
        return Linearised(value, total)

    def _share(self, n_own: int) -> int:
        """What the weights of a group's n rows are divided by to be its weight in the mean."""
        return 1 if self.folds.by_rows else n_own
