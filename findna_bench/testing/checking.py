"""One entry to the checks of everything that a plugin can register."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from findna_bench.cards import ModelCard
from findna_bench.data.catalog import resolve_task
from findna_bench.errors import BenchError, UnknownNameError, UsageError
from findna_bench.models.loading import LoadedModel, load_model
from findna_bench.models.spec import MODEL_SCHEMES, ModelSpec, parse_model
from findna_bench.registry import SINGULAR, Entry, Registry, full_name, get_registry, normalise
from findna_bench.testing.augmentation_checks import check_augmentation
from findna_bench.testing.card_names import check_names
from findna_bench.testing.check_report import Check, Checklist, Report, Status
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
    if normalise(name) in map(normalise, registry.distributions()):
        found.append(_DISTRIBUTIONS)
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
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Check one thing that a plugin registers: does its factory load, and does it keep its contract on a tiny example?

    Args:
        name: as the verbs take it: a model, task, suite, backbone, objective, augmentation, metric, target, protocol, preset
            or executor; or a distribution, for everything that it registers.
        kind: plural, as ``objectives``; where several kinds have the name, the first of :data:`KINDS` by default.
        weights: of a model.
        device: where models are run.
        data_dir: data root of tasks.
        offline: never reach for the network.
        registry: where the name is looked up.
        progress: of a distribution: called with what is checked next.

    Raises:
        UnknownNameError: nothing is called so. UsageError: there is no such kind, or ``weights`` are given for what has none.

    Example:
        >>> check("noise").passed
        True
    """
    registry = registry or get_registry()
    if kind is not None and kind not in (*KINDS, _DISTRIBUTIONS):
        raise UsageError(f"--kind {kind}: there are {', '.join((*KINDS, _DISTRIBUTIONS))}")
    if kind is None:
        kind = next(iter(kinds_of(name, registry)), None)
    if kind is None:
        raise UnknownNameError(_nothing_called(name, registry))
    if weights is not None and kind != "models":
        raise UsageError(f"--weights {weights}: {name} is a {_singular(kind)}, which has none")
    if kind == _DISTRIBUTIONS:
        return _check_distribution(name, registry, device=device, data_dir=data_dir, progress=progress)
    if kind == "models":
        spec = parse_model(name, registry)  # a name that nobody knows is wrong usage, not a check that failed
        report = check_model(name, weights=weights, device=device, offline=offline, registry=registry)
        return _with_names(report, [Entry(spec.card, spec.distribution, spec.version, "")], registry)
    if kind == "tasks":
        ref = resolve_task(name, registry)
        report = check_task(name, registry, data_dir=data_dir)
        return _with_names(report, [Entry(ref.card, ref.distribution, ref.version, "")] if ref.card else [], registry)
    # One paper may have a preset for each of several protocols.
    entries = registry.named(kind, name) if kind == "presets" else [registry.resolve(kind, name)]
    reports = [_check_entry(kind, entry, registry, device) for entry in entries]
    checks = tuple(found for report in reports for found in report.checks)
    return _with_names(Report(_singular(kind), name, checks), entries, registry)


def _singular(kind: str) -> str:
    return SINGULAR.get(kind, "distribution")


def _with_names(report: Report, entries: Sequence[Entry], registry: Registry) -> Report:
    """The report with the check of what the cards name before all others."""
    checklist = Checklist(report.kind, report.name)
    for entry in entries:
        check_names(checklist, entry, registry)
    return replace(report, checks=(*checklist.report().checks, *report.checks))


def _nothing_called(name: str, registry: Registry) -> str:
    """Names that are like it, whatever they are of, and where all names can be seen."""
    known = {normalise(distribution): [f"distribution {distribution}"] for distribution in registry.distributions()}
    for kind in KINDS:
        for label, card in registry.labels(kind):
            known.setdefault(normalise(label), []).append(f"{SINGULAR[kind]} {full_name(card)}")
    near = difflib.get_close_matches(normalise(name), known, n=3, cutoff=0.6)
    words = dict.fromkeys(found for label in near for found in known[label])
    hint = f"; did you mean {' or '.join(words)}?" if words else ""
    verbs = ", ".join(kind for kind in KINDS if kind != "published")
    return f"nothing is called {name!r}{hint}; `findna-bench list KIND` shows names, KIND being one of {verbs}, plugins"


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
    if kind == "presets":
        return check_preset(entry, registry)
    return check_published(entry, registry)


def _check_backbone(entry: Entry, registry: Registry, device: str) -> Report:
    """A backbone with its own defaults and random weights, as an encoder."""
    card = ModelCard(name=entry.card.name, kind="encoder", backbone=entry.card.name)
    spec = ModelSpec(card, entry.distribution, entry.version, variant="random", text=card.name, display_name=card.name)
    try:
        loaded = load_model(spec, device=device, offline=True, registry=registry)
    except BenchError as error:
        return Report("backbone", card.name, (Check("loads", "failed", str(error), {"error": type(error).__name__}),))
    return Report("backbone", card.name, check_encoder(loaded).checks)


# -------------------------------------------------------------------------------------------------- a whole distribution


def _check_distribution(
    name: str, registry: Registry, *, device: str, data_dir: Path | None, progress: Callable[[str], None] | None
) -> Report:
    """Everything that a distribution registers, one check for each thing: passed where all of its own are.

    Nothing is downloaded: encoders whose weights are not on this machine are checked with random ones.
    """
    plugins = [plugin for plugin in registry.plugins if normalise(plugin.distribution) == normalise(name)]
    if not plugins:
        raise UnknownNameError(_nothing_called(name, registry))
    checks = [Check(f"plugin {p.name}", "failed", "; ".join(p.errors)) for p in plugins if p.broken]
    entries = [
        (kind, entry)
        for kind in KINDS
        for entry in registry.entries(kind)
        if normalise(entry.distribution) == normalise(name)
    ]
    for number, (kind, entry) in enumerate(entries, 1):
        if progress is not None:
            progress(f"{number} of {len(entries)}: {SINGULAR[kind]} {full_name(entry.card)}")
        checks.append(_in_one(kind, entry, registry, device, data_dir))
    return Report("distribution", plugins[0].distribution, tuple(checks))


def _in_one(kind: str, entry: Entry, registry: Registry, device: str, data_dir: Path | None) -> Check:
    """All checks of one thing as one."""
    name = f"{entry.distribution}:{full_name(entry.card)}"
    if kind == "presets":  # of several protocols may have one name
        report = _with_names(check_preset(entry, registry), [entry], registry)
    elif kind == "models" and entry.card.kind == "encoder":
        random = f"{name}@random"
        report = check(name if entry.card.weights else random, kind, device=device, offline=True, registry=registry)
        if entry.card.weights and _is_offline(report):
            report = check(random, kind, device=device, offline=True, registry=registry)
    else:
        report = check(name, kind, device=device, data_dir=data_dir, offline=True, registry=registry)
    failed = [found for found in report.checks if found.status == "failed"]
    status: Status = "failed" if failed else "passed"
    words = "; ".join(f"{found.name}: {found.words}" for found in failed) or report.summary()
    if _is_offline(report):
        status = "skipped"
    return Check(f"{report.kind} {full_name(entry.card)}", status, words, {"checks": report.to_dict()["checks"]})


def _is_offline(report: Report) -> bool:
    """Whether files of it are not on this machine, so that nothing was found out."""
    return any(found.details.get("error") == "OfflineError" for found in report.checks)


_DISTRIBUTIONS = "distributions"
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
