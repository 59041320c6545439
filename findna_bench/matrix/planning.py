"""What a run would do: cells, which are finished, and how long the rest may take; opens no data and no weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from statistics import fmean
from typing import Any

from findna_bench.collecting import no_collection
from findna_bench.data.catalog import TaskRef, data_root, read_manifest, task_folder, task_status
from findna_bench.errors import DataError
from findna_bench.matrix.request import CodeOfToday, Unit, can_choose, expand, unit_preset
from findna_bench.protocols.protocol import Protocol, find_protocol
from findna_bench.registry import Registry, get_registry
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.result_index import Alike
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore

__all__ = ["Plan", "PlannedUnit", "plan"]


@dataclass(frozen=True)
class PlannedUnit:
    """A model on a task.

    cells: asked for; 1 where one deterministic fit turned out to stand for all seeds. finished, failed: of these. seconds:
    expected for what a run would compute, from earlier timings of the same model under the protocol, on this task if there
    are any; None when there is none. remark: why it cannot run, or what is missing.
    """

    unit: Unit
    cells: int
    finished: int
    failed: int
    seconds: float | None
    remark: str = ""

    @property
    def to_do(self) -> int:
        """Cells that a run would compute."""
        return 0 if self.unit.skip is not None else self.cells - self.finished


@dataclass(frozen=True)
class Plan:
    """All units of a request."""

    units: tuple[PlannedUnit, ...]

    @property
    def cells(self) -> int:
        return sum(unit.cells for unit in self.units)

    @property
    def finished(self) -> int:
        return sum(unit.finished for unit in self.units)

    @property
    def failed(self) -> int:
        return sum(unit.failed for unit in self.units)

    @property
    def to_do(self) -> int:
        return sum(unit.to_do for unit in self.units)

    @property
    def seconds(self) -> float | None:
        """Seconds for all unfinished units, None while one of them is unknown."""
        known = [unit.seconds for unit in self.units if unit.to_do]
        return None if any(seconds is None for seconds in known) else sum(s for s in known if s is not None)


def plan(request: RunRequest, registry: Registry | None = None) -> Plan:
    """Expand a request and look up what lies in the results folder; of the data, manifests are read and nothing else.

    Raises:
        UsageError: a name or an option is wrong.
    """
    with no_collection():
        return _plan(request, registry or get_registry())


def _plan(request: RunRequest, registry: Registry) -> Plan:
    units = expand(request, registry)
    names = {unit.model.display_name for unit in units}
    # What is no result is computed.
    alike = list(ResultStore(request.output_dir).index(lambda problem: None, models=names).alike(models=names))
    by_request: dict[str, list[tuple[Result, int | None]]] = {}
    for group in alike:
        for record in group.records:
            by_request.setdefault(record.request_id, []).append((group.sample, record.seed))
    root, official = data_root(request.data_dir), request.split == "official"
    tasks = {unit.task.name: unit.task for unit in units}
    looked_up = _LookedUp(
        request,
        registry,
        find_protocol(request.protocol, registry),
        CodeOfToday(registry),
        by_request,
        {name: _digest(task, root, whole=official) for name, task in tasks.items()},
        _costs(group for group in alike if group.sample.protocol.name == request.protocol),
    )
    return Plan(tuple(_planned(unit, looked_up) for unit in units))


@dataclass(frozen=True)
class _LookedUp:
    """What all units of a plan have in common.

    lying: request id -> (what it shares with others, seed) of its results. digests: of the tasks' data, as :func:`_digest` gives them.
    """

    request: RunRequest
    registry: Registry
    protocol: Protocol
    code: CodeOfToday
    lying: Mapping[str, Sequence[tuple[Result, int | None]]]
    digests: Mapping[str, str | None]
    costs: Mapping[str, _Cost]


def _digest(task: TaskRef, root: Path, *, whole: bool) -> str | None:
    """The digest of an imported task's data by its manifest, ``""`` where nothing is imported, None where it is not known: what
    is made anew (not ``whole``, or derived from another task) has a digest of its own.
    """
    card = task.card
    if card is None:
        return None
    try:
        if task_status(card, root) == "missing":
            return ""
        manifest = read_manifest(task_folder(task.suite, task.task, root)) if whole and not card.derived_from else None
    except DataError:
        return None
    return str(manifest["digest"]) if manifest else None


def _planned(unit: Unit, looked_up: _LookedUp) -> PlannedUnit:
    digest = looked_up.digests[unit.task.name]
    found = [lying for cell in unit.cells for lying in looked_up.lying.get(cell.request_id, ())]
    samples = {id(sample): sample for sample, _ in found}
    done = {
        key
        for key, r in samples.items()
        if r.status == "success"
        and (digest in (None, "") or r.task.data_digest == digest)
        and looked_up.code.made(r, unit)
    }
    cells = 1 if any(samples[key].is_deterministic for key in done) else len(unit.cells)
    settled = {seed for sample, seed in found if id(sample) in done}
    finished = 0 if looked_up.request.overwrite == "always" else len(settled)
    failed = len({seed for sample, seed in found if sample.status in ("error", "oom") and seed not in settled})
    remark = f"skipped: {unit.skip}" if unit.skip is not None else ""
    if digest == "":
        source = (unit.task.card and unit.task.card.derived_from) or unit.task.name
        remark = remark or f"data missing: findna-bench fetch {source.partition('/')[0]}"
    left = cells - min(finished, cells)
    seconds = _seconds(unit, left, *_tried(unit, looked_up), looked_up.costs)
    return PlannedUnit(unit, cells, min(finished, cells), failed, seconds, remark)


def _tried(unit: Unit, looked_up: _LookedUp) -> tuple[int, int]:
    """(settings of a search or a choice, learning rates of the preset) that a fit tries, 1 where nothing is chosen."""
    request = looked_up.request
    if unit.model.kind != "encoder" or unit.skip is not None:
        return 1, 1
    if not looked_up.protocol.trains_encoder:
        return (_candidates(request) if can_choose(request, unit) else 1), 1
    preset = unit_preset(request, unit, unit.task.name, looked_up.registry)
    return (request.search if can_choose(request, unit) else None) or 1, len(getattr(preset, "rates", (1.0,)))


def _candidates(request: RunRequest) -> int:
    """Pairs of layer and pooling that a fit tries; at most, as ``auto`` depends on the model."""
    choices = request.layer, request.pooling
    return prod(4 if value == "auto" else len(value) if isinstance(value, tuple) else 1 for value in choices)


def _seconds(unit: Unit, left: int, settings: int, rates: int, costs: Mapping[str, _Cost]) -> float | None:
    if not left or unit.skip is not None:
        return 0.0
    model = unit.model.display_name
    for key in (f"{model} on {unit.task.name}", model):
        if key in costs:
            cost = costs[key]
            runs = settings if rates == 1 else cost.runs or rates + 1
            return cost.once + left * (runs * cost.run + cost.predict)
    return None


@dataclass(frozen=True)
class _Cost:
    """Seconds: once per unit; per whole run with one setting; per fitted cell, for predicting. runs: the whole runs that a choice
    among learning rates came to, its trials being shorter; None where none was made."""

    once: float
    run: float
    predict: float
    runs: float | None


def _costs(groups: Iterable[Alike]) -> dict[str, _Cost]:
    """Means over what was measured, by model and task, and by model."""
    measured: dict[str, _Measured] = {}
    for group in groups:
        result = group.sample
        if result.status != "success":
            continue
        runs = _whole_runs(result.protocol.settings)
        chosen = len(result.protocol.settings.get("rates") or ()) > 1
        _, once, run, predict = zip(*(record.times for record in group.records), strict=True)
        for key in (f"{result.model.name} on {result.task_name}", result.model.name):
            known = measured.setdefault(key, _Measured())
            known.once += [seconds or 0.0 for seconds in once]
            known.run += [(seconds or 0.0) / runs for seconds in run]
            known.predict += [seconds or 0.0 for seconds in predict]
            known.runs += [runs] * (len(group.records) if chosen else 0)
    return {key: known.mean() for key, known in measured.items()}


@dataclass(slots=True)
class _Measured:
    """What costs are means of."""

    once: list[float] = field(default_factory=list)
    run: list[float] = field(default_factory=list)
    predict: list[float] = field(default_factory=list)
    runs: list[float] = field(default_factory=list)

    def mean(self) -> _Cost:
        return _Cost(fmean(self.once), fmean(self.run), fmean(self.predict), fmean(self.runs) if self.runs else None)


def _whole_runs(settings: Mapping[str, Any]) -> float:
    """How many whole runs the trials of a fit come to: all of a search or a choice, fewer where trials were short."""
    trials = settings.get("trials") or [{}]
    steps = [trial.get("steps", 1) for trial in trials]
    return len(trials) if settings.get("search") else sum(steps) / max(steps)
