"""Does a target keep its contract (:class:`findna_bench.targets.target.Target`)? What needs its labels is tried by `check` of a task."""

from __future__ import annotations

from functools import cached_property

from findna_bench.cards import TargetCard
from findna_bench.errors import UsageError
from findna_bench.registry import Registry
from findna_bench.statistics.metric import metric_card
from findna_bench.targets.target import Target, find_target
from findna_bench.testing.check_report import Checklist, Fault, Report

__all__ = ["check_target"]

_LABELS = ("a", "b", "c")


def check_target(card: TargetCard, registry: Registry) -> Report:
    """All checks of a target that need no rows."""
    checklist, subject = Checklist("target", card.name), _Subject(card, registry)
    if checklist.check("loads", subject.loads):
        checklist.check("metric", subject.metric)
        checklist.check("heads", subject.heads)
        checklist.check("loss", subject.loss)
    return checklist.report()


class _Subject:
    def __init__(self, card: TargetCard, registry: Registry) -> None:
        self.card, self.registry = card, registry

    @cached_property
    def target(self) -> Target:
        return find_target(self.card.name, self.registry)

    def loads(self) -> str:
        n = self.target.n_outputs(_LABELS)
        if not isinstance(n, int) or n < 1:
            raise Fault(f"n_outputs of {len(_LABELS)} labels is {n!r}, not the size of a head")
        return f"it is made; a head for {len(_LABELS)} labels has {n} outputs"

    def metric(self) -> str:
        name = getattr(self.target, "default_metric", None)
        if not isinstance(name, str):
            raise Fault("default_metric must be the name of a metric")
        try:
            targets = metric_card(name, self.registry).targets
        except UsageError as error:
            raise Fault(f"default_metric: {error}") from error
        if self.card.name not in targets:
            raise Fault(f"default_metric {name!r} scores {', '.join(targets)}; name {self.card.name} in its card")
        return f"its metric is {name}"

    def heads(self) -> str:
        if wrong := [name for name, fit in self.target.heads.items() if not callable(fit)]:
            raise Fault(f"the head for {wrong[0]} is no function")
        for name in self.target.heads:
            self.registry.resolve("protocols", name)
        own = [card.name for card in self.registry.cards("protocols")]
        return f"it brings heads for {', '.join(self.target.heads) or 'no protocol'} of {', '.join(own)}"

    def loss(self) -> str:
        # What is trained may be an object of another class, which `for_training` makes of the train rows.
        own = type(self.target)
        written = own.loss is not Target.loss or own.for_training is not Target.for_training
        if self.target.can_be_trained and not written:
            raise Fault("can_be_trained is True, and there is no loss")
        if written and not self.target.can_be_trained:
            raise Fault("there is a loss that nothing uses: set can_be_trained")
        return "it can be fine-tuned" if written else "it cannot be fine-tuned"
