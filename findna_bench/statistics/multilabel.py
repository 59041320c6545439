"""Metrics of several labels per row (multilabel), some of which may be missing, with the derivative by the weight of every row.

truth: (n, K) of 1 (has the label), 0 (has it not) and -1 (not known). outputs: (n, K), higher where the label is likelier. A cell
that is not known counts nowhere. Values without missing cells are scikit-learn's:

* auroc_macro, auprc_macro: plain mean over labels (``average="macro"``) of those that rows with and rows without are known of; the
  other labels are left out, and the target's flag names them. Undefined where no label is left.
* auroc_micro, auprc_micro: of all cells as rows of one binary problem (``average="micro"``).
* lrap: label ranking average precision: over the labels of a row, the mean share of its labels among those ranked as high or higher;
  1 for a row that has all of its known labels, or none.
* label_auroc, label_auprc: of one label, over the rows that it is known of; undefined where these are all alike.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from findna_bench.statistics.classification import AUPRC, AUROC, Ranking
from findna_bench.statistics.metric import Linearised, Metric, OneClass, Sample
from findna_bench.statistics.score_intervals import FEWEST, Design

__all__ = [
    "LRAP",
    "AUPRCMacro",
    "AUPRCMicro",
    "AUROCMacro",
    "AUROCMicro",
    "LabelAUPRC",
    "LabelAUROC",
    "LabelDesign",
    "has_both_classes",
]

_BLOCK_CELLS = 4_000_000


def has_both_classes(truth: np.ndarray) -> np.ndarray:
    """(K,) bool: labels of truth (n, K) that some rows have and some have not."""
    both: np.ndarray = (truth == 1).any(axis=0) & (truth == 0).any(axis=0)
    return both


class LabelDesign(Design):
    """Rows and groups of several labels. A metric that counts labels alike needs enough groups of either side of each of them."""

    def __init__(self, truth: np.ndarray, groups: np.ndarray | None) -> None:
        super().__init__(np.zeros(len(truth), dtype=np.int64), groups, 1)
        self._fewest = min(
            (
                len(np.unique(self.groups[truth[:, k] == side]))
                for k in np.flatnonzero(has_both_classes(truth))
                for side in (0, 1)
            ),
            default=0,
        )

    def too_few(self, metric: Metric, slopes: np.ndarray | None = None) -> bool:
        return super().too_few(metric, slopes) or (metric.support == "classes" and self._fewest < FEWEST)


class _OfLabels(Metric):
    """A metric that knows its derivatives."""

    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return self.linearise(Sample(truth, outputs, weights), slopes=False).value

    @abstractmethod
    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised: ...


class AUROCMacro(_OfLabels):
    """Mean over labels of the area under the ROC curve."""

    support = "classes"

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return sample.shared(_macro_slopes if slopes else _macro_values)[0]


class AUPRCMacro(_OfLabels):
    """Mean over labels of average precision."""

    support = "classes"

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return sample.shared(_macro_slopes if slopes else _macro_values)[1]


class AUROCMicro(_OfLabels):
    """Area under the ROC curve of all cells."""

    support = "classes"

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return sample.shared(_micro_slopes if slopes else _micro_values)[0]


class AUPRCMicro(_OfLabels):
    """Average precision of all cells."""

    support = "classes"

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return sample.shared(_micro_slopes if slopes else _micro_values)[1]


class LRAP(_OfLabels):
    """Label ranking average precision."""

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        of_row = sample.shared(_ranking_precision)
        total = float(sample.weights.sum())
        value = float(sample.weights @ of_row) / total
        return Linearised(value, (of_row - value) / total if slopes else None)


class _OfOneLabel(_OfLabels):
    """A metric of one label, over the rows that it is known of.

    Args:
        of_class: its number.
    """

    support = "classes"
    binary: type[Metric]
    """The same of two classes, by which intervals and tests are computed."""

    def __init__(self, of_class: int) -> None:
        self.of_class = of_class

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        one = self.against_rest(sample.truth, sample.outputs)
        known = Sample(one.truth, one.outputs, sample.weights[one.rows])
        if not len(known):
            return Linearised(float("nan"), None)
        found = one.metric.linearise(known, slopes=slopes)
        if found.slope is None:
            return found
        slope = np.zeros(len(sample))
        slope[one.rows] = found.slope
        return Linearised(found.value, slope)

    def against_rest(self, truth: np.ndarray, outputs: np.ndarray) -> OneClass:
        rows = np.flatnonzero(truth[:, self.of_class] >= 0)
        score = outputs[rows, self.of_class]
        return OneClass(
            self.binary(), truth[rows, self.of_class].astype(np.int64), np.stack([-score, score], axis=1), rows
        )


class LabelAUROC(_OfOneLabel):
    """Area under the ROC curve of one label."""

    binary = AUROC


class LabelAUPRC(_OfOneLabel):
    """Average precision of one label."""

    binary = AUPRC


def _macro_values(sample: Sample) -> tuple[Linearised, Linearised]:
    return _means(_rankings(sample), len(sample), False)


def _macro_slopes(sample: Sample) -> tuple[Linearised, Linearised]:
    return _means(_rankings(sample), len(sample), True)


def _rankings(sample: Sample) -> Iterator[tuple[np.ndarray, Ranking]]:
    """(rows that it is known of, their ranking) of each label."""
    for k in range(sample.truth.shape[1]):
        rows = np.flatnonzero(sample.truth[:, k] >= 0)
        if len(rows):
            yield rows, Ranking(sample.truth[rows, k] == 1, sample.outputs[rows, k], sample.weights[rows])


def _means(rankings: Iterator[tuple[np.ndarray, Ranking]], n_rows: int, slopes: bool) -> tuple[Linearised, Linearised]:
    """AUROC and average precision, means over the rankings that have both classes."""
    values = []
    sums = np.zeros((2, n_rows))
    for rows, ranking in rankings:
        if np.isnan(ranking.auroc):
            continue
        values.append((ranking.auroc, ranking.auprc))
        if slopes:
            # A row has several cells where rows are those of all labels, one after the other.
            for total, slope in zip(sums, (ranking.auroc_slope(), ranking.auprc_slope()), strict=True):
                total += np.bincount(rows, slope, minlength=n_rows)
    if not values:
        return Linearised(float("nan"), None), Linearised(float("nan"), None)
    auroc, auprc = np.mean(values, axis=0).tolist()
    if not slopes:
        return Linearised(auroc, None), Linearised(auprc, None)
    return Linearised(auroc, sums[0] / len(values)), Linearised(auprc, sums[1] / len(values))


def _micro_values(sample: Sample) -> tuple[Linearised, Linearised]:
    return _means(_all_cells(sample), len(sample), False)


def _micro_slopes(sample: Sample) -> tuple[Linearised, Linearised]:
    return _means(_all_cells(sample), len(sample), True)


def _all_cells(sample: Sample) -> Iterator[tuple[np.ndarray, Ranking]]:
    rows, labels = np.nonzero(sample.truth >= 0)
    if len(rows):
        yield rows, Ranking(sample.truth[rows, labels] == 1, sample.outputs[rows, labels], sample.weights[rows])


def _ranking_precision(sample: Sample) -> np.ndarray:
    """(n,) mean over the labels of a row of the share of its labels among those ranked as high or higher."""
    n, k = sample.truth.shape
    step = max(1, _BLOCK_CELLS // k)
    blocks = [
        _block_precision(sample.truth[first : first + step], sample.outputs[first : first + step])
        for first in range(0, n, step)
    ]
    return np.concatenate(blocks)


def _block_precision(truth: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    n, k = truth.shape
    known = truth >= 0
    # Cells that are not known come last, so that no rank counts them.
    order = np.lexsort((-outputs, ~known), axis=1)
    scores = np.take_along_axis(np.where(known, outputs, -np.inf), order, axis=1)
    positive = np.take_along_axis(truth == 1, order, axis=1)
    hits = np.cumsum(positive, axis=1)
    # Labels that tie share the last place among them.
    last = np.concatenate([scores[:, 1:] != scores[:, :-1], np.ones((n, 1), dtype=bool)], axis=1)
    place = np.where(last, np.arange(k), k)
    place = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]
    precision = np.take_along_axis(hits, place, axis=1) / (place + 1)
    n_positive, n_known = hits[:, -1], known.sum(axis=1)
    total = np.where(positive, precision, 0.0).sum(axis=1)
    some = (n_positive > 0) & (n_positive < n_known)
    mean: np.ndarray = np.divide(total, n_positive, out=np.ones(n), where=some)
    return mean
