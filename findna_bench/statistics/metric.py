"""What a metric is: a number from the truth and a model's outputs, for rows that each have a weight.

Weights make one definition serve for everything: the value itself, repeated rows, and the derivative with respect to the weight of
every row, from which intervals and paired tests are computed (:mod:`findna_bench.statistics.score_intervals`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np

from findna_bench.errors import BenchError, ModelError, UsageError
from findna_bench.plugin_code import fault_in_words
from findna_bench.registry import Registry, make
from findna_bench.statistics.metric_cards import metric_card, metric_label, metric_names, metric_scale

__all__ = [
    "Linearised",
    "Metric",
    "OneClass",
    "Sample",
    "evaluate",
    "make_metric",
    "metric_card",
    "metric_label",
    "metric_names",
    "metric_scale",
]

T = TypeVar("T")

_STEP = 1e-3
_MOST_BLOCKS = 2000
"""Derivatives that are taken numerically at most; more groups are put together into so many blocks, at random."""


class Sample:
    """Rows to be scored.

    Attributes:
        truth: (n, ...) what is true of each row; for classes (n,) int64.
        outputs: (n, ...) what a model says of it; for classes (n, C) float64 probabilities.
        weights: (n,) float64, none negative.
        groups: (n,) int; rows of one group are related. None = no two rows are.
    """

    def __init__(
        self,
        truth: np.ndarray,
        outputs: np.ndarray,
        weights: np.ndarray | None = None,
        groups: np.ndarray | None = None,
    ) -> None:
        self.truth, self.outputs, self.groups = truth, outputs, groups
        self.weights = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=np.float64)
        self._shared: dict[Any, Any] = {}

    def __len__(self) -> int:
        return len(self.truth)

    def shared(self, make: Callable[[Sample], T]) -> T:
        """``make(self)``, computed once for all metrics that need it."""
        if make not in self._shared:
            self._shared[make] = make(self)
        found: T = self._shared[make]
        return found


@dataclass(frozen=True)
class Linearised:
    """A metric's value, and its derivative with respect to the weight of every row.

    value: NaN where it is undefined. slope: (n,), the influence of each row divided by the sum of weights; None where it was not
    asked for, or the value is undefined.
    """

    value: float
    slope: np.ndarray | None


class Metric(ABC):
    """A score of a model's outputs; plugins register theirs with a :class:`~findna_bench.cards.MetricCard`.

    :meth:`compute` is all that has to be written. Intervals and tests then follow from derivatives that are taken numerically;
    a metric that knows its derivatives says them in :meth:`linearise`, which is faster and exact.

    Example:
        >>> class ErrorRate(Metric):
        ...     def compute(self, truth, outputs, weights):
        ...         return float(np.average(outputs.argmax(axis=1) != truth, weights=weights))
        >>> ErrorRate().compute(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), np.ones(2))
        0.5
    """

    name: str = ""
    """As it is registered; set when it is made."""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """Lowest and highest possible value; infinite where there is none."""
    support: ClassVar[Literal["rows", "minority", "classes", "counted"]] = "rows"
    """Of what an interval needs ten groups at least: of rows; of rows outside the largest class; of each class; of rows that the
    value depends on."""
    of_class: int | None = None
    """Number of the class that the metric is about, where it is about one: computed for that class against the rest."""
    prior_rows: ClassVar[float] = 0.0
    """Rows that are added as right, and as many as wrong, when uncertainty is computed, so that no value at a bound is taken for
    certain: intervals are Wilson's then. 0 = none, and intervals are Student's."""

    @abstractmethod
    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        """The value; NaN where it is undefined.

        Args:
            truth: (n, ...), n > 0; for classes (n,) int64.
            outputs: (n, ...); for classes (n, C) float64 probabilities.
            weights: (n,) float64, none negative, not all zero.
        """

    def linearise(self, sample: Sample, *, slopes: bool = True) -> Linearised:
        """Value and, if ``slopes``, derivatives; taken numerically unless a metric knows better."""
        value = float(self.compute(sample.truth, sample.outputs, sample.weights))
        return Linearised(value, _numeric_slopes(self, sample) if slopes and not np.isnan(value) else None)

    def against_rest(self, truth: np.ndarray, outputs: np.ndarray) -> OneClass:
        """Of a metric about one class (:attr:`of_class`): the same as one of two classes, which intervals and tests are computed of.

        Args:
            truth, outputs: as :meth:`compute` takes them.
        """
        mine = outputs.argmax(axis=1) == self.of_class
        two = np.stack([~mine, mine], axis=1).astype(np.float64)
        return OneClass(type(self)(1), (truth == self.of_class).astype(np.int64), two, np.arange(len(truth)))  # type: ignore[call-arg]


@dataclass(frozen=True)
class OneClass:
    """A metric of one class, on rows that know this class and the rest alone.

    Attributes:
        metric: of two classes, about the second one.
        truth: (m,) int64, 0 or 1.
        outputs: (m, 2) float64.
        rows: (m,) int64, the rows that it is about: of all, those of which the class is known.
    """

    metric: Metric
    truth: np.ndarray
    outputs: np.ndarray
    rows: np.ndarray


def _numeric_slopes(metric: Metric, sample: Sample) -> np.ndarray:
    """(n,) central differences of whole groups of rows, at the first row of each, which stands for the group.

    Of very many groups, random blocks take the place: the sum of squares, which variances are made of, is the same on average.
    """
    group = np.arange(len(sample)) if sample.groups is None else np.unique(sample.groups, return_inverse=True)[1]
    n_groups = int(group.max()) + 1
    blocks = np.arange(n_groups)
    if n_groups > _MOST_BLOCKS:
        blocks = np.random.default_rng(0).permutation(n_groups) % _MOST_BLOCKS
    block = blocks[group]
    found = np.zeros(len(sample))
    for number, row in zip(*np.unique(block, return_index=True), strict=True):
        mine = block == number
        more, less = sample.weights + _STEP * mine, np.maximum(sample.weights - _STEP * mine, 0.0)
        up, down = (float(metric.compute(sample.truth, sample.outputs, w)) for w in (more, less))
        found[row] = (up - down) / float((more - less)[row])
    return np.nan_to_num(found)


def evaluate(metric: Metric, sample: Sample, *, slopes: bool = True) -> Linearised:
    """:meth:`Metric.linearise`, with whatever a stranger's metric raises as one sentence.

    Raises:
        ModelError: it raised something, or gave no number.
    """
    try:
        found = metric.linearise(sample, slopes=slopes)
        return Linearised(float(found.value), found.slope)
    except BenchError:
        raise
    except Exception as error:
        raise ModelError(
            f"metric {metric.name!r} cannot be computed on {len(sample)} rows: {fault_in_words(error, metric.compute)}"
        ) from error


def make_metric(
    name: str, classes: Sequence[str] = (), registry: Registry | None = None, *, target: str = "classes"
) -> Metric:
    """The metric called ``name``.

    Args:
        name: as registered, e.g. ``mcc``, or ``recall:enhancer`` for one that is about a single class.
        classes: class names of the task, in label order.
        registry: where it is registered.
        target: what it is to score.

    Raises:
        UsageError: there is no such metric, or no such class; or it does not score this target.

    Example:
        >>> make_metric("recall:enhancer", ["background", "enhancer"]).of_class
        1
    """
    card = metric_card(name, registry)
    if target not in card.targets:
        raise UsageError(f"metric {name!r} scores {' and '.join(card.targets)}, not {target}")
    if not card.per_class:
        return _made(card.factory, name, None)
    label = name.partition(":")[2]
    if label not in classes:
        what = "class" if target == "classes" else "label"
        raise UsageError(f"metric {name!r}: there is no {what} {label!r}; there are {', '.join(classes)}")
    return _made(card.factory, name, list(classes).index(label))


@cache
def _made(factory: str, name: str, of_class: int | None) -> Metric:
    metric = make(factory, f"metric {name!r}", *([] if of_class is None else [of_class]))
    if not isinstance(metric, Metric):
        raise ModelError(f"metric {name!r}: {factory} makes a {type(metric).__name__}, no findna_bench.api.Metric")
    metric.name = name
    return metric
