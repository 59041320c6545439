"""What is known of a metric by its name; nothing of it is imported, so that planning starts without NumPy."""

from __future__ import annotations

from findna_bench.cards import MetricCard
from findna_bench.errors import UsageError
from findna_bench.registry import Registry, get_registry

__all__ = ["metric_card", "metric_label", "metric_names", "metric_scale"]


def metric_names(target: str, registry: Registry | None = None) -> tuple[str, ...]:
    """Metrics that are computed for every result of a target, in the order of tables: the core's, but for those of one class.

    Others, those of first-party plugins too, are computed from the predictions when a table asks for them: no plugin changes a result.
    """
    cards = (registry or get_registry()).own("metrics", core=True)
    return tuple(card.name for card in cards if target in card.targets and not card.per_class)


def metric_card(name: str, registry: Registry | None = None) -> MetricCard:
    """The card of the metric called ``name`` (``NAME:CLASS`` for one that is about a single class); nothing of it is imported.

    Raises:
        UnknownNameError: there is no such metric.
        UsageError: it is about one class, and ``name`` does not say which.
    """
    registry = registry or get_registry()
    base, _, label = name.partition(":")
    about_one: list[MetricCard] = [entry.card for entry in registry.named("metrics", base) if entry.card.per_class]
    if label and about_one and not registry.named("metrics", name):
        return about_one[0]
    card: MetricCard = registry.resolve("metrics", name).card
    if card.per_class:
        raise UsageError(f"metric {name!r} is about one class: say which, as {card.name}:CLASS")
    return card


def metric_label(name: str, registry: Registry | None = None) -> str:
    """Head of a metric's column; a metric that no plugin registers here, any more, is called by its name."""
    try:
        card = metric_card(name, registry)
    except UsageError:
        return name
    label, of_class = card.label or f"{card.name.replace('_', ' ')} %", name.partition(":")[2]
    return f"{label} ({of_class})" if card.per_class else label


def metric_scale(name: str, registry: Registry | None = None) -> float:
    """What tables multiply values of a metric by; 100 for one that no plugin registers here, any more."""
    try:
        return metric_card(name, registry).scale
    except UsageError:
        return 100.0
