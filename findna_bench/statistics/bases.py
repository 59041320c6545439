"""Metrics of bases: every base that counts is scored, weights and derivatives are those of whole sequences.

truth: (n, W) uint8 numbers of states, :data:`~findna_bench.statistics.base_states.NO_STATE` where nothing counts. outputs: (n, W, C) float16
probabilities. Values are scikit-learn's of all bases that count, put one after another:

* base_accuracy, base_mcc, base_f1_macro: as ``accuracy``, ``mcc`` and ``f1_macro`` are of rows.
* base_auprc: average precision of one state against the rest; undefined where no base, or every base, has it.
* base_auprc_macro: its mean over the states that are defined.

The bases of one sequence are not independent, so uncertainty is over sequences (and groups of related ones): a metric's derivative by
the weight of a sequence is the sum of those of its bases. Counts per sequence and pair of states are all that the first three need, and
counts per distinct score all that rankings need, so that memory does not grow with what is computed.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import numpy as np

from findna_bench.statistics.base_states import NO_STATE
from findna_bench.statistics.classification import Counts, Ranking
from findna_bench.statistics.metric import Linearised, Metric, Sample
from findna_bench.statistics.score_intervals import FEWEST, Design

__all__ = [
    "BaseAUPRC",
    "BaseAUPRCMacro",
    "BaseAccuracy",
    "BaseDesign",
    "BaseF1Macro",
    "BaseMCC",
]

_BLOCK = 1 << 22
"""Scores of bases that are looked at at once."""
_SCORES = 1 << 16
"""Different float16 numbers."""


class BaseDesign(Design):
    """Sequences and their groups. A metric that counts states alike needs enough groups that hold each of them, and another one."""

    def __init__(self, truth: np.ndarray, groups: np.ndarray | None) -> None:
        super().__init__(np.zeros(len(truth), dtype=np.int64), groups, 1)
        counted = truth != NO_STATE
        self._counted = len(np.unique(self.groups[counted.any(axis=1)]))
        found = np.unique(truth[counted]).tolist()
        sides = [(truth == state).any(axis=1) for state in found]
        self._fewest = min((len(np.unique(self.groups[side])) for side in sides), default=0)

    def too_few(self, metric: Metric, slopes: np.ndarray | None = None) -> bool:
        fewest = self._fewest if metric.support == "classes" else self._counted
        return super().too_few(metric, slopes) or fewest < FEWEST


class _OfBases(Metric):
    """A metric that knows its derivatives."""

    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return self.linearise(Sample(truth, outputs, weights), slopes=False).value

    @abstractmethod
    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised: ...


class BaseAccuracy(_OfBases):
    """Share of the bases whose state is predicted."""

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return _of_pairs(sample, Counts.accuracy, slopes)


class BaseMCC(_OfBases):
    """Matthews' correlation coefficient of all bases; for several states R_K (Gorodkin 2004)."""

    bounds = (-1.0, 1.0)
    support = "classes"

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return _of_pairs(sample, Counts.mcc, slopes)


class BaseF1Macro(_OfBases):
    """Mean F1 over the states that are present or predicted."""

    support = "classes"

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return _of_pairs(sample, Counts.f1_macro, slopes)


class BaseAUPRCMacro(_OfBases):
    """Mean over states of average precision."""

    support = "classes"

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        states = range(sample.outputs.shape[2])
        found = [_average_precision(sample, state, slopes) for state in states]
        defined = [one for one in found if not np.isnan(one.value)]
        if not defined:
            return Linearised(float("nan"), None)
        value = float(np.mean([one.value for one in defined]))
        of_rows = [one.slope for one in defined if one.slope is not None]
        return Linearised(value, np.mean(of_rows, axis=0) if slopes else None)


class BaseAUPRC(_OfBases):
    """Average precision of one state against the rest.

    Args:
        state: its number.
    """

    support = "classes"

    def __init__(self, state: int) -> None:
        self._state = state

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        return _average_precision(sample, self._state, slopes)


def _pairs(sample: Sample) -> np.ndarray:
    """(n, C, C) bases of each sequence by state and predicted state."""
    n, width, c = sample.outputs.shape
    found = np.zeros((n, c, c))
    step = max(1, _BLOCK // max(width * c, 1))
    for first in range(0, n, step):
        block = slice(first, first + step)
        row, base = np.nonzero(sample.truth[block] != NO_STATE)
        predicted = sample.outputs[block][row, base].argmax(axis=1)
        cell = (row * c + sample.truth[block][row, base].astype(np.int64)) * c + predicted
        rows = len(sample.truth[block])
        found[block] = np.bincount(cell, minlength=rows * c * c).reshape(rows, c, c)
    return found


def _of_pairs(sample: Sample, metric: object, slopes: bool) -> Linearised:
    pairs = sample.shared(_pairs)
    n, c, _ = pairs.shape
    label, predicted = np.divmod(np.arange(c * c), c)
    weights = sample.weights @ pairs.reshape(n, -1)
    if not weights.sum():
        return Linearised(float("nan"), None)
    found: Linearised = metric(Counts.of(label, predicted, weights, c), slopes)  # type: ignore[operator]
    if found.slope is None:
        return found
    return Linearised(found.value, pairs.reshape(n, -1) @ found.slope)


class _Items(NamedTuple):
    """Per sequence the distinct items (score, has the state or not) of its bases, how many there are of each, and which row."""

    row: np.ndarray
    item: np.ndarray
    times: np.ndarray


def _items(sample: Sample, state: int) -> _Items:
    rows, items, counts = [], [], []
    for row in range(len(sample)):
        counted = sample.truth[row] != NO_STATE
        score = np.ascontiguousarray(sample.outputs[row, counted, state], dtype=np.float16).view(np.uint16)
        item, count = np.unique(score.astype(np.int64) * 2 + (sample.truth[row, counted] == state), return_counts=True)
        rows.append(np.full(len(item), row))
        items.append(item)
        counts.append(count)
    return _Items(np.concatenate(rows), np.concatenate(items), np.concatenate(counts))


def _average_precision(sample: Sample, state: int, slopes: bool) -> Linearised:
    row, item, times = _items(sample, state)
    if not len(item):
        return Linearised(float("nan"), None)
    weight = np.bincount(item, sample.weights[row] * times, minlength=2 * _SCORES)
    used = np.flatnonzero(np.bincount(item, minlength=2 * _SCORES))
    score = (used // 2).astype(np.uint16).view(np.float16).astype(np.float64)
    ranking = Ranking(used % 2 == 1, score, weight[used])
    if np.isnan(ranking.auprc) or not slopes:
        return Linearised(ranking.auprc, None)
    slope = np.zeros(2 * _SCORES)
    slope[used] = ranking.auprc_slope()
    return Linearised(ranking.auprc, np.bincount(row, slope[item] * times, minlength=len(sample)))
