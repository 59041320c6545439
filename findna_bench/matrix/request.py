"""What was asked for: models x tasks x seeds under one protocol, expanded into cells with their request ids.

Nothing here opens data or weights, so that planning ten thousand cells takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from findna_bench.cards import POOLINGS, PROTOCOLS, RUNNABLE_TASK_KINDS
from findna_bench.data.catalog import TaskRef, resolve_suite, resolve_task, suite_tasks
from findna_bench.errors import UnsupportedError, UsageError
from findna_bench.evaluation.presets import PROBE_PRESETS, Preset, resolve_preset
from findna_bench.evaluation.shots import SHOT_VALIDATIONS
from findna_bench.files import stable_hash
from findna_bench.models.spec import ModelSpec, parse_model
from findna_bench.registry import Registry
from findna_bench.threads import DEFAULT_THREADS

__all__ = [
    "PROTOCOL_VERSION",
    "Cell",
    "RunRequest",
    "Unit",
    "chosen_preset",
    "expand",
    "few_shot_validation",
    "network_of",
    "weights_of",
]

PROTOCOL_VERSION = 2
"""Raised whenever a protocol computes something else for the same settings; part of every identity."""

STRANDS = ("forward", "rc-mean", "rc-logit-mean", "rc-augment")
SELECTIONS = ("validation", "last", "test")


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """All options of ``findna-bench run``; defaults are the protocol's."""

    models: tuple[str, ...]
    tasks: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    protocol: str = "probe"
    preset: str = "default"
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    shots: tuple[int, ...] = ()
    shot_validation: str = "within"
    """On what a few-shot fit chooses its settings: ``within`` its shots, or on the ``full`` validation split beside them."""
    weights: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None
    pooling: str | None = None
    layer: int = -1
    strand: str = "forward"
    window: str | None = None
    split: str = "official"
    selection: str = "validation"
    search: int | None = None
    """Fine-tuning settings tried per fit, the best one on validation kept; None = the preset's alone."""
    limit: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | str = "auto"
    threads: int = DEFAULT_THREADS
    """CPU threads that numbers are computed with, whatever the machine and the executor."""
    output_dir: Path = Path("results")
    data_dir: Path | None = None
    offline: bool = False
    sanity: bool = True
    """Trained weights must predict real sequence better than a uniform guess before they are scored."""
    overwrite: str = "failed"
    fail_fast: bool = False
    executor: str = "serial"
    timeout_s: float | None = None
    command: str | None = None

    def __post_init__(self) -> None:
        def one_of(option: str, value: str, choices: tuple[str, ...]) -> None:
            if value not in choices:
                raise UsageError(f"--{option} {value!r}: choose one of {', '.join(choices)}")

        one_of("protocol", self.protocol, PROTOCOLS)
        one_of("strand", self.strand, STRANDS)
        one_of("selection", self.selection, SELECTIONS)
        one_of("shot-validation", self.shot_validation, SHOT_VALIDATIONS)
        one_of("overwrite", self.overwrite, ("never", "failed", "always"))
        one_of("dtype", self.dtype, ("auto", "float32", "bfloat16"))
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise UsageError(f"--device {self.device!r}: choose auto, cpu, cuda or cuda:N")
        if self.pooling is not None:
            one_of("pooling", self.pooling, POOLINGS)
        if not self.models:
            raise UsageError("no model given; say --models NAME,NAME (see `findna-bench list models`)")
        if not self.tasks and not self.suites:
            raise UsageError("no task given; say --suite NAME or --tasks NAME (see `findna-bench list suites`)")
        if self.limit is not None and self.limit < 2:
            raise UsageError(f"--limit {self.limit}: at least 2 rows of each split are needed")
        if isinstance(self.threads, bool) or not isinstance(self.threads, int) or self.threads < 1:
            raise UsageError(f"--threads {self.threads}: give a number of threads, 1 or more")
        if any(shot < 1 for shot in self.shots):
            raise UsageError(f"--shots {','.join(map(str, self.shots))}: shots are rows per class, 1 or more")
        if self.shot_validation == "full" and not self.shots:
            raise UsageError("--shot-validation full says how --shots are validated; add --shots, or leave it out")
        if not self.seeds:
            raise UsageError("no seed given; say --seeds 5 or --seeds 0,1,2")
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise UsageError(f"--timeout {self.timeout_s:g}: give seconds, more than 0")
        if self.timeout_s is not None and self.executor == "serial":
            raise UsageError("--timeout needs a process that can be stopped; add --executor process")
        check_window(self.window)
        check_split(self.split)
        if self.search is not None:
            check_search(self.search, self.protocol, self.selection)


def check_split(split: str) -> None:
    """``official``, ``grouped``, ``grouped:FOLD/K``, ``chromosome`` or ``chromosome:NAME[+NAME]``.

    Raises:
        UsageError: anything else.
    """
    if split == "official":
        return
    from findna_bench.data.cures import parse_split

    try:
        parse_split(split)
    except ValueError as error:
        raise UsageError(f"--split: {error}") from error


def check_search(trials: int, protocol: str, selection: str) -> None:
    """Whether settings can be searched for.

    Raises:
        UsageError: no trial, a protocol that has its settings without, or a choice that would not be made on validation.
    """
    if trials < 1:
        raise UsageError(f"--search {trials}: at least 1 setting has to be tried")
    if protocol == "probe":
        raise UsageError(
            "--search is for --protocol finetune; a probe already tries the preset's strengths, or epochs, on validation, the "
            "same for every model"
        )
    if protocol != "finetune":
        raise UsageError(f"--search is for --protocol finetune; {protocol} has no settings to choose on validation")
    if selection == "last":
        raise UsageError(
            "--search chooses settings on validation; --selection last looks at none, so leave one of them out"
        )
    if selection == "test":
        raise UsageError(
            "--search chooses settings on validation; with --selection test it would choose them on the test split, so leave one "
            "of them out"
        )


def check_window(window: str | None) -> None:
    """``truncate``, ``truncate-middle``, ``window`` or ``window:STRIDE``.

    Raises:
        UsageError: anything else.
    """
    if window in (None, "truncate", "truncate-middle", "window"):
        return
    name, _, stride = str(window).partition(":")
    if name != "window" or not stride.isdecimal() or int(stride) < 1:
        raise UsageError(f"--window {window!r}: choose truncate, truncate-middle, window or window:STRIDE")


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
    """Hash of everything that was asked for, seeds aside: what tells units apart (two may have one label)."""

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
    specs = [spec for name in request.models for spec in _networks(parse_model(name, registry), request.network)]
    _check_weights(request, specs)
    chosen_preset(request, None, registry)
    tasks = _tasks(request, registry)
    uncovered = [_uncovered(request, task, registry) for task in tasks]
    # Cards are hashed once each: a matrix has many more units than models and tasks.
    options = stable_hash(_options(request))
    task_hashes = [stable_hash(_task_settings(task)) for task in tasks]
    units = []
    for spec in {(spec.distribution, spec.display_name, spec.network): spec for spec in specs}.values():
        model = stable_hash([spec.identity(), weights_of(request, spec)])
        for task, task_hash, reason in zip(tasks, task_hashes, uncovered, strict=True):
            skip = _unsupported(request, spec, task) or reason
            for shots in request.shots or (None,):
                few = shots if shots is None else [shots, few_shot_validation(request, shots)]
                key = stable_hash([options, model, task_hash, few])
                cells = tuple(Cell(seed, stable_hash([key, seed])[:32]) for seed in request.seeds)
                units.append(Unit(spec, task, shots, cells, skip, key))
    return units


def few_shot_validation(request: RunRequest, shots: int | None) -> str | None:
    """``within`` or ``full`` for a few-shot unit, None for any other; ``--selection test`` has its own rows to choose on."""
    if shots is None:
        return None
    return "full" if request.selection == "test" else request.shot_validation


def _networks(spec: ModelSpec, asked: str | None) -> list[ModelSpec]:
    """The model once per network where ``--network`` names several; what has no weights of its own stays one.

    Raises:
        UsageError: its checkpoints hold no such network.
    """
    names = _split(asked)
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
    """Tasks of the suites, then the others, each once.

    Raises:
        UsageError: two paths would have their results under one name.
    """
    suites = (suite_tasks(resolve_suite(suite, registry), registry) for suite in request.suites)
    tasks: dict[str, TaskRef] = {}
    for task in (*chain.from_iterable(suites), *(resolve_task(name, registry) for name in request.tasks)):
        known = tasks.setdefault(task.name, task)
        if known.path != task.path:
            raise UsageError(f"{known.path} and {task.path} are both task {task.name}; rename one of them")
        if known.distribution != task.distribution:
            raise UsageError(
                f"{known.distribution} and {task.distribution} both have a task {task.name}, and results of one would stand for the "
                "other; run them into two folders"
            )
    return list(tasks.values())


def chosen_preset(request: RunRequest, task: str | None, registry: Registry, *, kind: str = "encoder") -> Preset:
    """The settings of the request's protocol for a task (None = those without a task's own), with the epoch rule asked for.

    kind: of the model. Features that do not learn have nothing to fine-tune: under ``finetune`` they are probed, so that the
    strongest control stands beside fine-tuned scores, too.

    Raises:
        UnknownNameError, ConfigError: there is no such preset. UnsupportedError: it does not cover the task.
        UsageError: ``--selection last`` where the preset trains no epochs.
    """
    if kind == "features" and request.protocol == "finetune":
        return PROBE_PRESETS["default"]
    preset = resolve_preset(request.protocol, request.preset, task, registry)
    if request.selection != "last":
        return preset
    if not hasattr(preset, "select"):
        raise UsageError(f"--selection last: preset {request.preset!r} trains no epochs; use validation")
    return replace(preset, select="last")  # type: ignore[type-var]


def _uncovered(request: RunRequest, task: TaskRef, registry: Registry) -> str | None:
    try:
        chosen_preset(request, task.name, registry)
    except UnsupportedError as error:
        return str(error)
    return None


def _check_weights(request: RunRequest, specs: list[ModelSpec]) -> None:
    known = {name for spec in specs for name in _names(spec)}
    for name in request.weights:
        if name not in known:
            raise UsageError(
                f"--weights {name}=...: {name!r} is not among the models asked for ({', '.join(request.models)})"
            )


def _unsupported(request: RunRequest, spec: ModelSpec, task: TaskRef) -> str | None:
    card = spec.card
    if request.protocol not in card.protocols:
        return f"{card.name} does not run under --protocol {request.protocol} (it allows {', '.join(card.protocols) or 'none'})"
    if card.kind != "encoder" and request.strand not in (
        "forward",
        "rc-mean" if card.kind == "features" else "rc-logit-mean",
    ):
        return f"--strand {request.strand} does not apply to {card.name}, a model of kind {card.kind}"
    if task.card is not None and task.card.kind not in RUNNABLE_TASK_KINDS:
        return f"tasks of kind {task.card.kind} are not supported yet"
    if card.causal and request.pooling == "cls":
        return f"--pooling cls is meaningless for {card.name}, a causal model"
    return None


def weights_of(request: RunRequest, spec: ModelSpec) -> str | None:
    """The ``--weights`` override of a model."""
    return next((request.weights[name] for name in _names(spec) if name in request.weights), None)


def _names(spec: ModelSpec) -> tuple[str, ...]:
    """By what ``--weights`` may call a model; weights for NAME are not meant for NAME@random beside it."""
    own = () if spec.variant == "random" else (spec.card.name, *spec.card.aliases)
    return (spec.text, spec.display_name, *own)


def _task_settings(task: TaskRef) -> dict[str, Any]:
    return {
        "name": task.name,
        "card": asdict(task.card) if task.card else None,
        "path": str(task.path) if task.path else None,
        "version": task.version,
    }


def _options(request: RunRequest) -> dict[str, Any]:
    """Everything that was asked for beside models, tasks and seeds; JSON-serialisable."""
    options = {
        "protocol_version": PROTOCOL_VERSION,
        "network": request.network,
        "protocol": request.protocol,
        "preset": request.preset,
        "pooling": request.pooling,
        "layer": request.layer,
        "strand": request.strand,
        "window": request.window,
        "split": request.split,
        "selection": request.selection,
        "limit": request.limit,
        "device": request.device,
        "dtype": request.dtype,
        "batch_size": request.batch_size,
        "threads": request.threads,
    }
    # Absent where nothing is searched for: results from before there was a search keep their names.
    return options if request.search is None else options | {"search": request.search}
