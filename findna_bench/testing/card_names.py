"""Are all names that a card gives of other things registered? A wrong one would be found by the run that needs it, and by nothing before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from findna_bench.cards import MetricCard, ModelCard, PresetCard, SuiteCard, TaskCard
from findna_bench.data.catalog import resolve_task
from findna_bench.errors import BenchError, UnknownNameError
from findna_bench.models.spec import PUBLISHED
from findna_bench.registry import SINGULAR, Entry, Registry
from findna_bench.statistics.metric import make_metric
from findna_bench.testing.check_report import Checklist, Fault

__all__ = ["check_names"]

_PRETRAIN = "pretrain"
"""What presets of pretraining say for a protocol."""


@dataclass(frozen=True)
class _Named:
    """A name that a card gives of something else: in which field, and the kind (plural) of what it names."""

    field: str
    kind: str
    name: str


def check_names(checklist: Checklist, entry: Entry, registry: Registry) -> bool:
    """Make the check ``names`` of a card that names other things: each is registered, and is what it is needed for.

    Returns:
        Whether all are.
    """
    named = list(_names_of(entry.card))
    return not named or checklist.check("names", lambda: _all_registered(entry, named, registry))


def _all_registered(entry: Entry, named: list[_Named], registry: Registry) -> str:
    faults = []
    for one in named:
        try:
            _resolve(entry, one, registry)
        except (BenchError, Fault) as error:
            faults.append(f"{one.field}: {error}")
    if faults:
        raise Fault("; ".join(dict.fromkeys(faults)))
    words = dict.fromkeys(f"{SINGULAR[one.kind]} {one.name}" for one in named)
    return f"what its card names is registered: {', '.join(words)}"


def _resolve(entry: Entry, one: _Named, registry: Registry) -> None:
    if one.kind == "metrics" and isinstance(entry.card, TaskCard):
        make_metric(one.name, entry.card.labels, registry, target=entry.card.target)
    elif one.kind == "presets":
        _resolve_pretraining(one.name, registry)
    elif one.kind == "tasks":
        resolve_task(one.name, registry, within=entry.distribution)
    else:
        registry.resolve(one.kind, one.name, within=entry.distribution)


def _resolve_pretraining(name: str, registry: Registry) -> None:
    """``pretrain`` finds presets by their name alone, and takes its own only."""
    known = sorted(card.name for card in registry.cards("presets") if card.protocol == _PRETRAIN)
    if name not in known:
        raise UnknownNameError(f"no pretraining preset is called {name!r}; there are {', '.join(known) or 'none'}")


def _names_of(card: Any) -> Iterator[_Named]:
    match card:
        case ModelCard():
            if card.kind == "encoder" and card.backbone != PUBLISHED:
                yield _Named("backbone", "backbones", str(card.backbone))
            if card.pretraining_preset:
                yield _Named("pretraining_preset", "presets", card.pretraining_preset)
            yield from (_Named("protocols", "protocols", name) for name in card.protocols or ())
            yield from (_Named("targets", "targets", name) for name in card.targets or ())
        case TaskCard():
            yield _Named("target", "targets", card.target)
            yield _Named("metric", "metrics", card.metric)
            if card.derived_from:
                yield _Named("derived_from", "tasks", card.derived_from)
        case SuiteCard():
            yield _Named("protocol", "protocols", card.protocol)
            yield from (_Named("tasks", "tasks", name) for name in card.tasks)
            yield from (_Named("extra_tasks", "tasks", name) for name in card.extra_tasks)
        case PresetCard():
            if card.protocol != _PRETRAIN:
                yield _Named("protocol", "protocols", card.protocol)
            elif objective := card.settings.get("objective"):
                yield _Named("settings", "objectives", str(objective))
            yield from (_Named("tasks", "tasks", name) for name in card.tasks)
        case MetricCard():
            yield from (_Named("targets", "targets", name) for name in card.targets)
