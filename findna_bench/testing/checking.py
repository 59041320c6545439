"""One entry to the checks of everything that a plugin can register."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from findna_bench.cards import ModelCard
from findna_bench.data.catalog import resolve_task
from findna_bench.errors import BenchError, UsageError
from findna_bench.models.loading import LoadedModel, load_model
from findna_bench.models.spec import MODEL_SCHEMES, ModelSpec, parse_model
from findna_bench.registry import SINGULAR, Entry, Registry, get_registry
from findna_bench.testing.augmentation_checks import check_augmentation
from findna_bench.testing.check_report import Check, Report
from findna_bench.testing.data_checks import check_preset, check_published, check_suite, check_task
from findna_bench.testing.encoder_checks import check_encoder
from findna_bench.testing.estimator_checks import check_estimator
from findna_bench.testing.executor_checks import check_executor
from findna_bench.testing.metric_checks import check_metric
from findna_bench.testing.objective_checks import check_objective
from findna_bench.testing.protocol_checks import check_protocol
from findna_bench.testing.target_checks import check_target

__all__ = ["KINDS", "check", "check_model", "kinds_of"]


def check_model(
    model: str | LoadedModel,
    *,
    weights: str | Path | None = None,
    device: str | torch.device = "auto",
    offline: bool = False,
    only: Sequence[str] | None = None,
    registry: Registry | None = None,
) -> Report:
    """Run all checks of a model; a failing check never stops others that do not build on it.

    Args:
        model: a name, as ``--models`` takes it, or a loaded encoder.
        weights: file or folder, in place of the card's.
        device: where an encoder is run.
        offline: never reach for the network.
        only: names of checks of an encoder.
        registry: where the name is looked up.

    Returns:
        The report; a model that cannot be loaded has the one failed check ``loads``.
    """
    if isinstance(model, LoadedModel):
        return check_encoder(model, only=only)
    try:
        spec = parse_model(model, registry)
        if spec.kind != "encoder":
            return check_estimator(spec, str(device))
        started = time.perf_counter()
        loaded = load_model(spec, weights=weights, device=device, offline=offline, registry=registry)
    except BenchError as error:
        return Report("model", str(model), (Check("loads", "failed", str(error), {"error": type(error).__name__}),))
    return check_encoder(loaded, time.perf_counter() - started, only)


def kinds_of(name: str, registry: Registry | None = None) -> list[str]:
    """Kinds (plural) of everything that is called ``name``; models and tasks that are given by where they lie, too."""
    registry = registry or get_registry()
    scheme, separator, _ = name.partition(":")
    if (separator and scheme in MODEL_SCHEMES) or "@" in name:
        return ["models"]
    found = [kind for kind in KINDS if registry.named(kind, name)]
    if not found and Path(name).exists():
        return ["tasks"]
    return found


def check(
    name: str,
    kind: str | None = None,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    data_dir: Path | None = None,
    offline: bool = False,
    registry: Registry | None = None,
) -> Report:
    """Check one thing that a plugin registers: does its factory load, and does it keep its contract on a tiny example?

    Args:
        name: as the verbs take it: a model, task, suite, backbone, objective, augmentation, metric, target, protocol, preset or executor.
        kind: plural, as ``objectives``; where several kinds have the name, the first of :data:`KINDS` by default.
        weights: of a model.
        device: where models are run.
        data_dir: data root of tasks.
        offline: never reach for the network.
        registry: where the name is looked up.

    Raises:
        UnknownNameError: nothing is called so. UsageError: there is no such kind, or ``weights`` are given for what has none.

    Example:
        >>> check("reverse_complement").passed
        True
    """
    registry = registry or get_registry()
    if kind is not None and kind not in KINDS:
        raise UsageError(f"--kind {kind}: there are {', '.join(KINDS)}")
    if kind is None:
        kind = next(iter(kinds_of(name, registry)), "models")
    if weights is not None and kind != "models":
        raise UsageError(f"--weights {weights}: {name} is a {SINGULAR[kind]}, which has none")
    if kind == "models":
        parse_model(name, registry)  # a name that nobody knows is wrong usage, not a check that failed
        return check_model(name, weights=weights, device=device, offline=offline, registry=registry)
    if kind == "tasks":
        resolve_task(name, registry)
        return check_task(name, registry, data_dir=data_dir)
    if kind == "presets" and (
        presets := registry.named(kind, name)
    ):  # one paper may have one for each of several protocols
        return Report(
            "preset", name, tuple(found for entry in presets for found in check_preset(entry, registry).checks)
        )
    return replace(_check_entry(kind, registry.resolve(kind, name), registry, device), name=name)


def _check_entry(kind: str, entry: Entry, registry: Registry, device: str) -> Report:
    name = f"{entry.distribution}:{entry.card.name}"
    if kind == "backbones":
        return _check_backbone(entry, registry, device)
    if kind == "objectives":
        return check_objective(name, registry)
    if kind == "augmentations":
        return check_augmentation(name, registry)
    if kind == "metrics":
        return check_metric(entry.card, registry)
    if kind == "targets":
        return check_target(entry.card, registry)
    if kind == "protocols":
        return check_protocol(name, registry)
    if kind == "executors":
        return check_executor(name, registry)
    if kind == "suites":
        return check_suite(entry, registry)
    return check_published(entry)


def _check_backbone(entry: Entry, registry: Registry, device: str) -> Report:
    """A backbone with its own defaults and random weights, as an encoder."""
    card = ModelCard(name=entry.card.name, kind="encoder", backbone=entry.card.name)
    spec = ModelSpec(card, entry.distribution, entry.version, variant="random", text=card.name, display_name=card.name)
    try:
        loaded = load_model(spec, device=device, offline=True, registry=registry)
    except BenchError as error:
        return Report("backbone", card.name, (Check("loads", "failed", str(error), {"error": type(error).__name__}),))
    return Report("backbone", card.name, check_encoder(loaded).checks)


KINDS = (
    "models",
    "tasks",
    "suites",
    "backbones",
    "objectives",
    "augmentations",
    "metrics",
    "targets",
    "protocols",
    "executors",
    "presets",
    "published",
)
