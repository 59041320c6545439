"""Does a metric keep its contract (:class:`findna_bench.statistics.metric.Metric`)?"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from findna_bench.cards import MetricCard
from findna_bench.errors import UnsupportedError
from findna_bench.registry import Registry
from findna_bench.statistics.metric import Metric, Sample, evaluate, make_metric
from findna_bench.testing.check_report import Checklist, Fault, Report

__all__ = ["check_metric"]

_CLASSES = ("a", "b", "c")
_TOLERANCE = 1e-9


def check_metric(card: MetricCard, registry: Registry) -> Report:
    """All checks of a metric, on made-up rows of two and of three classes; one of other targets is only made."""
    checklist, subject = Checklist("metric", card.name), _Subject(card, registry)
    if checklist.check("loads", subject.loads) and checklist.check("value", subject.value):
        if "classes" not in card.targets:
            return checklist.report()
        checklist.check("weights", subject.weights)
        checklist.check("order", subject.order)
        checklist.check("direction", subject.direction)
        checklist.check("slopes", subject.slopes)
        checklist.check("untouched", subject.untouched)
    return checklist.report()


class _Subject:
    def __init__(self, card: MetricCard, registry: Registry) -> None:
        self.card, self.registry = card, registry
        rng = np.random.default_rng(3)
        self.samples = [_made_up(rng, n_classes) for n_classes in (2, 3)]

    @cached_property
    def metric(self) -> Metric:
        name = f"{self.card.name}:{_CLASSES[1]}" if self.card.per_class else self.card.name
        target = next(iter(self.card.targets), "classes")
        return make_metric(
            name, _CLASSES, self.registry, target="classes" if "classes" in self.card.targets else target
        )

    def of(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return evaluate(self.metric, Sample(truth, outputs, weights), slopes=False).value

    def loads(self) -> str:
        low, high = self.metric.bounds
        if not low < high:
            raise Fault(f"bounds must be the lowest and the highest value, not {self.metric.bounds}")
        return f"it is made; values lie between {low:g} and {high:g}"

    def value(self) -> str:
        if "classes" not in self.card.targets:
            raise UnsupportedError(f"it scores {', '.join(self.card.targets)}, of which there are no made-up rows here")
        found = []
        for truth, outputs in self.samples:
            value = self.of(truth, outputs, np.ones(len(truth)))
            low, high = self.metric.bounds
            if np.isnan(value):
                raise Fault(f"it is undefined on {len(truth)} ordinary rows of {outputs.shape[1]} classes")
            if not low - _TOLERANCE <= value <= high + _TOLERANCE:
                raise Fault(f"it gives {value:g}, outside its bounds {low:g} to {high:g}")
            found.append(f"{value:.3f}")
        return f"it gives {' and '.join(found)} on made-up rows of two and three classes"

    def weights(self) -> str:
        for truth, outputs in self.samples:
            counts = np.arange(len(truth)) % 3
            repeated = np.repeat(np.arange(len(truth)), counts)
            weighted = self.of(truth, outputs, counts.astype(np.float64))
            if abs(weighted - self.of(truth[repeated], outputs[repeated], np.ones(len(repeated)))) > 1e-6:
                raise Fault(
                    "a weight of two is not the same as the row twice, so that intervals would be wrong: use `weights`"
                )
            if abs(weighted - self.of(truth, outputs, 10.0 * counts)) > 1e-6:
                raise Fault("weights ten times as large give another value: divide by their sum")
        return "a row of weight two counts as the row twice"

    def order(self) -> str:
        for truth, outputs in self.samples:
            back, ones = np.arange(len(truth))[::-1], np.ones(len(truth))
            if abs(self.of(truth, outputs, ones) - self.of(truth[back], outputs[back], ones)) > 1e-6:
                raise Fault("it depends on the order of the rows")
        return "it does not depend on the order of the rows"

    def direction(self) -> str:
        for truth, outputs in self.samples:
            ones, perfect = np.ones(len(truth)), np.eye(outputs.shape[1])[truth]
            better = self.of(truth, perfect, ones) - self.of(truth, outputs, ones)
            if better * (1 if self.card.higher_is_better else -1) < 0:
                raise Fault("perfect outputs score worse than others: set higher_is_better on the card")
        return f"perfect outputs are best; {'higher' if self.card.higher_is_better else 'lower'} is better"

    def slopes(self) -> str:
        truth, outputs = self.samples[0]
        weights = np.ones(len(truth))
        known = evaluate(self.metric, Sample(truth, outputs, weights)).slope
        if known is None or known.shape != truth.shape or not np.isfinite(known).all():
            raise Fault("its derivatives must be (n,) finite numbers")
        bumped = weights.copy()
        bumped[:5] += 1e-4
        change = (self.of(truth, outputs, bumped) - self.of(truth, outputs, weights)) / 1e-4
        if abs(change - known[:5].sum()) > 0.05 * np.abs(known).max() * 5 + 1e-6:
            raise Fault(
                f"its derivatives add up to {known[:5].sum():.3g} for five rows whose weights move it by {change:.3g}"
            )
        return "derivatives with respect to weights are those of its values"

    def untouched(self) -> str:
        truth, outputs = self.samples[1]
        given = truth.copy(), outputs.copy()
        self.metric.compute(*given, np.ones(len(truth)))
        if not np.array_equal(given[0], truth) or not np.array_equal(given[1], outputs):
            raise Fault("it changes what it is given in place")
        return "what it is given is left as it was"


def _made_up(rng: np.random.Generator, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(truth, outputs) of 90 rows; most of them are right, none is certain."""
    truth = np.arange(90) % n_classes
    raw = rng.random((90, n_classes)) + 0.8 * np.eye(n_classes)[truth]
    return truth.astype(np.int64), raw / raw.sum(axis=1, keepdims=True)
