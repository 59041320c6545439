"""What was asked for: models x tasks x seeds under one protocol, expanded into cells with their request ids.

Nothing here opens data or weights, so that planning ten thousand cells takes seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from findna_bench.cards import ModelCard, TaskCard, card_content
from findna_bench.data.catalog import TaskRef, resolve_suite, resolve_task, suite_tasks
from findna_bench.errors import UnknownNameError, UnsupportedError, UsageError
from findna_bench.files import canonical_json, stable_hash
from findna_bench.models.spec import ModelSpec, model_code, parse_model
from findna_bench.private_paths import legible
from findna_bench.protocols.protocol import Protocol, find_protocol, resolve_preset
from findna_bench.protocols.settings import Preset
from findna_bench.registry import Registry
from findna_bench.requests.declarations import request_id_options
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.schema import Result
from findna_bench.statistics.metric_cards import metric_card

__all__ = [
    "PROTOCOL_VERSION",
    "Cell",
    "CodeOfToday",
    "Unit",
    "can_choose",
    "cannot_predict",
    "cannot_score",
    "chosen_preset",
    "expand",
    "few_shot_validation",
    "names_of",
    "network_of",
    "no_combination",
    "path_digest",
    "request_id",
    "unit_preset",
    "weights_of",
]

PROTOCOL_VERSION = 2
"""Raised whenever a protocol computes something else for the same settings; part of every identity."""


@dataclass(frozen=True)
class Cell:
    """One fit: a seed of a unit."""

    seed: int
    request_id: str


@dataclass(frozen=True)
class Unit:
    """Cells that are computed together: one model on one task, all seeds."""

    model: ModelSpec
    task: TaskRef
    shots: int | None
    cells: tuple[Cell, ...]
    skip: str | None = None
    """Why the protocol does not apply, where it does not."""
    key: str = ""
    """Hash of ``hashed``: what tells units apart (two may have one label)."""
    hashed: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Everything that was asked for, seeds aside: what request ids are hashes of."""

    @property
    def label(self) -> str:
        shots = f" {self.shots}-shot" if self.shots else ""
        network = f" ({self.model.network})" if self.model.network else ""
        return f"{self.model.display_name}{network} on {self.task.name}{shots}"


def expand(request: RunRequest, registry: Registry) -> list[Unit]:
    """All units in the order models x tasks.

    Raises:
        UnknownNameError, UsageError: a name does not exist or an option does not apply; before any work.
    """
    specs = [
        spec
        for name in request.models
        for spec in _networks(request.held.get(name) or parse_model(name, registry), request.network)
    ]
    _check_weights(request, specs)
    protocol = find_protocol(request.protocol, registry)
    protocol.check(request)
    _check_choices(request, protocol)
    chosen_preset(request, None, registry)
    tasks = _tasks(request, registry)
    uncovered = [_uncovered(request, task, registry) for task in tasks]
    # Cards are hashed and written once each: a matrix has many more units than models and tasks.
    options = _options(request)
    of_tasks = [_task_settings(task) for task in tasks]
    task_texts = [canonical_json(of_task) for of_task in of_tasks]
    few_shots = [
        (shots, {"shots": shots, "shot_validation": few_shot_validation(request, shots)})
        for shots in request.shots or (None,)
    ]
    units = []
    _check_names(specs)
    for spec in {(spec.distribution, spec.display_name, spec.network): spec for spec in specs}.values():
        model = _model_settings(request, spec)
        begun = [_begun_hash(options, model, few) for _, few in few_shots]
        for task, of_task, text, reason in zip(tasks, of_tasks, task_texts, uncovered, strict=True):
            skip = _unsupported(request, protocol, spec, task, registry) or reason
            for (shots, few), of_model in zip(few_shots, begun, strict=True):
                hashed = {"options": options, "model": model, "task": of_task, **few}
                digest = of_model.copy()
                digest.update(f"{text}}}".encode())
                key = digest.hexdigest()
                cells = tuple(Cell(seed, _id_of_seed(key, seed)) for seed in request.seeds)
                units.append(Unit(spec, task, shots, cells, skip, key, hashed))
    return units


def _begun_hash(options: Mapping[str, Any], model: Mapping[str, Any], few: Mapping[str, Any]) -> Any:
    """:func:`stable_hash` of what a unit was asked for, up to its task, which is the last of its keys."""
    text = canonical_json({"options": options, "model": model, "task": None, **few})
    return hashlib.sha256(text.removesuffix("null}").encode())


def request_id(hashed: Mapping[str, Any], seed: int) -> str:
    """Hash of what was asked for (:attr:`Unit.hashed`) and a seed."""
    return _id_of_seed(stable_hash(hashed), seed)


def _id_of_seed(key: str, seed: int) -> str:
    """The first 32 digits of :func:`stable_hash` of a list of both. key: hash of what was asked for, in digits that JSON writes as they are."""
    return hashlib.sha256(f'["{key}",{seed:d}]'.encode()).hexdigest()[:32]


def few_shot_validation(request: RunRequest, shots: int | None) -> str | None:
    """``within`` or ``full`` for a few-shot unit, None for any other; ``--selection test`` has its own rows to choose on."""
    if shots is None:
        return None
    return "full" if request.selection == "test" else request.shot_validation


def _check_names(specs: list[ModelSpec]) -> None:
    """No two models of this machine have one name: results of one would stand for the other.

    Raises:
        UsageError: two have.
    """
    places: dict[str, ModelSpec] = {}
    for spec in specs:
        first = places.setdefault(spec.display_name, spec)
        if first.location != spec.location:
            raise UsageError(
                f"{first.text} and {spec.text} are both called {spec.display_name}; give one a name of its own, "
                f"NAME={spec.text.partition('=')[2] if '=' in spec.text.partition(':')[0] else spec.text}"
            )


def _networks(spec: ModelSpec, networks: str | None) -> list[ModelSpec]:
    """The model once per network where ``--network`` names several; what has no weights of its own stays one.

    Raises:
        UsageError: its checkpoints hold no such network.
    """
    names = _split(networks)
    if names and spec.held is not None and spec.kind == "encoder":
        raise UsageError(f"--network {networks}: {spec.display_name} is one network in memory; leave it out")
    if len(names) < 2 or spec.kind != "encoder" or spec.variant == "random":
        return [spec]
    for name in names:
        if name not in spec.card.networks:
            known = ", ".join(spec.card.networks) or "one network only"
            raise UsageError(f"--network {name}: checkpoints of {spec.display_name} hold {known}")
    return [replace(spec, network=name) for name in names]


def network_of(request: RunRequest, spec: ModelSpec) -> str | None:
    """The network to load for one model of a run."""
    return spec.network if len(_split(request.network)) > 1 else request.network


def _split(names: str | None) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in (names or "").split(",") if name.strip()))


def _tasks(request: RunRequest, registry: Registry) -> list[TaskRef]:
    """Tasks of the suites, then the others, each once; files of one name in different folders are different tasks.

    Raises:
        UsageError: two plugins have a task of one name.
    """
    suites = (suite_tasks(resolve_suite(suite, registry), registry) for suite in request.suites)
    tasks: dict[tuple[str, Path | None], TaskRef] = {}
    for task in (*chain.from_iterable(suites), *_named_tasks(request, registry)):
        known = tasks.setdefault((task.name, task.path), task)
        if known.distribution != task.distribution:
            raise UsageError(
                f"{known.distribution} and {task.distribution} both have a task {task.name}, and results of one would stand for the "
                "other; run them into two folders"
            )
    if request.target is not None and (other := next((t for t in tasks.values() if t.path is None), None)):
        raise UsageError(
            f"--target {request.target} says what columns of a file predict; {other.name} is no file: leave one of them out"
        )
    return list(tasks.values())


def _named_tasks(request: RunRequest, registry: Registry) -> list[TaskRef]:
    return [request.held.get(name) or resolve_task(name, registry) for name in request.tasks]


def chosen_preset(request: RunRequest, task: str | None, registry: Registry, *, kind: str = "encoder") -> Preset:
    """The settings of the request's protocol for a task (None = those without a task's own), with the epoch rule asked for.

    Where validation does not choose among learning rates (``--selection last`` and ``test``), or ``--search`` chooses among other
    settings, the preset's own rate or the model's centre stands alone.

    kind: of the model; a protocol may have other settings for some.

    Raises:
        UnknownNameError, ConfigError: there is no such preset. UnsupportedError: it does not cover the task.
        UsageError: ``--selection last`` where the preset trains no epochs.
    """
    own = find_protocol(request.protocol, registry).settings_for(kind)
    if own is not None:
        return own
    preset = resolve_preset(request.protocol, request.preset, task, registry)
    if request.selection == "last":
        return preset.to_the_end()
    chooses = request.selection == "validation" and request.search is None
    return preset if chooses else preset.without_choice()


def unit_preset(
    request: RunRequest, unit: Unit, task: str | None, registry: Registry, *, kind: str = "encoder"
) -> Preset:
    """:func:`chosen_preset` for one unit: one learning rate where its shots leave no row to choose on."""
    preset = chosen_preset(request, task, registry, kind=kind)
    return preset if can_choose(request, unit) else preset.without_choice()


def can_choose(request: RunRequest, unit: Unit) -> bool:
    """Whether there are rows to choose settings on; one shot of each class leaves none to hold out."""
    return not (few_shot_validation(request, unit.shots) == "within" and unit.shots == 1)


def _check_choices(request: RunRequest, protocol: Protocol) -> None:
    if protocol.trains_encoder and not request.choices and request.layer != -1:
        raise UsageError(
            f"--layer {request.layer}: --protocol {request.protocol} trains the whole network and reads its last layer; leave --layer out"
        )
    if not request.choices:
        return
    options = " and ".join(f"--{name}" for name in request.choices)
    if not protocol.chooses_representation:
        raise UsageError(
            f"{options}: several are tried by heads on a model that is not changed; --protocol {request.protocol} takes one"
        )
    if request.selection == "last":
        raise UsageError(f"{options}: validation chooses among several; --selection last looks at none, so name one")


def _uncovered(request: RunRequest, task: TaskRef, registry: Registry) -> str | None:
    try:
        chosen_preset(request, task.name, registry)
    except UnsupportedError as error:
        return str(error)
    return None


def _check_weights(request: RunRequest, specs: list[ModelSpec]) -> None:
    """Every ``--weights`` belongs to a model of the request that has weights.

    Raises:
        UsageError: one does not, and would be ignored.
    """
    by_name = {name: spec for spec in specs for name in names_of(spec)}
    for name, path in request.weights.items():
        if name not in by_name:
            raise UsageError(
                f"--weights {name}=...: {name!r} is not among the models asked for ({', '.join(request.models)})"
            )
        if by_name[name].held is not None:
            raise UsageError(f"--weights {name}={path}: {name} is an object that holds its weights; leave it out")
        if by_name[name].kind != "encoder":
            raise UsageError(
                f"--weights {name}={path}: {name} is a model of kind {by_name[name].kind}, which is fitted and has no weights; leave "
                "it out"
            )


def _unsupported(
    request: RunRequest, protocol: Protocol, spec: ModelSpec, task: TaskRef, registry: Registry
) -> str | None:
    card = spec.card
    if card.protocols is not None and request.protocol not in card.protocols:
        return f"{card.name} does not run under --protocol {request.protocol} (it allows {', '.join(card.protocols) or 'none'})"
    if card.kind not in protocol.kinds:
        return f"--protocol {request.protocol} scores models of kind {', '.join(protocol.kinds)}, not {card.name} ({card.kind})"
    if card.kind != "encoder" and request.strand not in (
        "forward",
        "rc-mean" if card.kind == "features" else "rc-logit-mean",
    ):
        return f"--strand {request.strand} does not apply to {card.name}, a model of kind {card.kind}"
    if task.card is not None and (
        why := no_combination(request, task.card) or cannot_score(protocol, card, task.card, registry)
    ):
        return why  # a file is asked when it has been read
    if card.causal and "cls" in (request.pooling if isinstance(request.pooling, tuple) else (request.pooling,)):
        return f"--pooling cls is meaningless for {card.name}, a causal model"
    return None


def cannot_score(protocol: Protocol, model: ModelCard, task: TaskCard, registry: Registry) -> str | None:
    """Why a model, or a protocol, does not go with a task; None where both do."""
    if task.inputs not in protocol.inputs:
        reads = " and ".join(_ROWS[name] for name in protocol.inputs)
        return f"--protocol {protocol.name} scores {reads}, and rows of {task.full_name} are {_ROWS[task.inputs]}"
    if task.inputs != "sequence" and registry.resolve("targets", task.target).card.of_bases:
        return f"rows of {task.full_name} are {_ROWS[task.inputs]}, and {task.target} needs one sequence per row"
    if model.kind != "encoder" and not _reads(model, task.inputs):
        reads = " and ".join(_ROWS.get(name, name) for name in model.inputs)
        return f"{model.name} reads {reads}, and rows of {task.full_name} are {_ROWS[task.inputs]}"
    return protocol.refuses(task) or cannot_predict(protocol, model, task.target, registry)


def _reads(model: ModelCard, inputs: str) -> bool:
    """Whether a fitted model takes such rows; features of sequences are combined for pairs by the harness."""
    return inputs in model.inputs or (inputs == "pair" and model.kind == "features" and "sequence" in model.inputs)


def no_combination(request: RunRequest, task: TaskCard) -> str | None:
    """Why ``--combination`` has no meaning for a task, where it was given; None where it has, or was not."""
    if request.combination is None or task.inputs != "sequence":
        return None
    return (
        f"--combination {request.combination} is of pairs and variants, and rows of {task.full_name} are {_ROWS[task.inputs]}; "
        "leave it out"
    )


_ROWS = {"sequence": "sequences", "variant": "variants", "pair": "pairs"}


def cannot_predict(protocol: Protocol, model: ModelCard, target: str, registry: Registry) -> str | None:
    """Why a model, or a protocol, does not predict a target; None where both do."""
    targets = ("classes",) if model.targets is None and model.kind == "classifier" else model.targets
    if targets is not None and target not in targets:
        return f"{model.name} predicts {' and '.join(targets)}, not {target}"
    if targets is None and model.kind == "features" and registry.resolve("targets", target).card.of_bases:
        return f"{model.name} gives one vector per sequence, and {target} needs one per base"
    return None if _predicts(protocol, target, registry) else f"--protocol {protocol.name} does not predict {target}"


def _predicts(protocol: Protocol, target: str, registry: Registry) -> bool:
    """Whether a protocol can be fitted to a target; what it says itself is known without importing the target."""
    if target in protocol.targets:
        return True
    from findna_bench.targets.target import find_target

    return protocol.predicts(find_target(target, registry))


def weights_of(request: RunRequest, spec: ModelSpec) -> str | None:
    """The ``--weights`` override of a model."""
    return next((request.weights[name] for name in names_of(spec) if name in request.weights), None)


def names_of(spec: ModelSpec) -> tuple[str, ...]:
    """By what ``--weights`` may call a model; weights for NAME are not meant for NAME@random beside it."""
    own = () if spec.variant == "random" or spec.held is not None else (spec.card.name, *spec.card.aliases)
    local = (spec.local_name,) if spec.location is not None else ()
    return (spec.text, spec.display_name, *local, *own)


def _model_settings(request: RunRequest, spec: ModelSpec) -> dict[str, Any]:
    """What was asked for as the model; no path of the user's, and a card as its digest."""
    known = spec.identity()
    card = known.pop("card")
    return {
        "name": spec.display_name,
        "kind": spec.card.kind,
        "backbone": spec.card.backbone,
        "licence": spec.card.licence_weights or None,
        **known,
        "location": path_digest(known["location"]),
        "weights": path_digest(weights_of(request, spec)),
        "card": stable_hash(card),
    }


def _task_settings(task: TaskRef) -> dict[str, Any]:
    """What was asked for as the task, as far as it is known without opening it; no path of the user's, a card as its digest.

    Raises:
        UsageError: no plugin registers its metric, or it scores another target.
    """
    card = task.card
    try:
        metric = metric_card(card.metric) if card else None
    except UsageError as error:
        raise UsageError(f"task {task.name}: {error}") from error
    if card and metric and card.target not in metric.targets:
        raise UsageError(
            f"task {task.name}: metric {card.metric!r} scores {' and '.join(metric.targets)}, not {card.target}; name another in its card"
        )
    higher = metric.higher_is_better if metric else None
    return {
        "name": task.name,
        "labels": stable_hash(list(card.labels)) if card else None,
        "metric": card.metric if card else None,
        "higher_is_better": higher,
        "published_counts": stable_hash(card.counts) if card else None,
        "card": task_card_digest(card) if card else None,
        "path": path_digest(task.path),
        "distribution": task.distribution,
        "version": task.version,
        **({"content": task.held.data_digest} if task.held is not None else {}),
    }


def task_card_digest(card: TaskCard) -> str:
    """Hash of a task's card."""
    return stable_hash(card_content(card))


def path_digest(path: Path | str | None) -> str | None:
    """A path as it takes part in a request id: results go to others, where a user's files lie is nobody's business."""
    return None if path is None else f"path:{stable_hash(legible(str(path)))[:32]}"


def _options(request: RunRequest) -> dict[str, Any]:
    """Everything that was asked for beside models, tasks and seeds; JSON-serialisable."""
    return {"protocol_version": PROTOCOL_VERSION, **request_id_options(request)}


class CodeOfToday:
    """The code that there is now, looked at once for each model: a folder holds many results of one.

    Args:
        registry: of the backbones.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._digests: dict[tuple[int, str | None], tuple[ModelSpec, str | None]] = {}

    def made(self, result: Result, unit: Unit) -> bool:
        """Whether a result of a unit is by this code; what could not be hashed is never."""
        key = id(unit.model), result.model.backbone
        if key not in self._digests:
            try:
                digest = model_code(unit.model, self._registry, result.model.backbone)
            except UnknownNameError:
                digest = None
            self._digests[key] = unit.model, digest  # held, so that its id stays its own
        _, today = self._digests[key]
        return today is not None and result.model.code_digest == today
