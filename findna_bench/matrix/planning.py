"""What a run would do: cells, which are finished, and how long the rest may take; opens no data and no weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import fmean
from typing import Any

from findna_bench.collecting import no_collection
from findna_bench.data.catalog import TaskRef, data_root, read_manifest, task_folder, task_status
from findna_bench.errors import DataError
from findna_bench.matrix.request import CodeOfToday, Unit, can_choose, expand, unit_preset
from findna_bench.protocols.protocol import find_protocol
from findna_bench.registry import Registry, get_registry
from findna_bench.requests.run_request import RunRequest
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
    results = ResultStore(request.output_dir).index(lambda problem: None, models=names).results(models=names)
    by_request: dict[str, list[Result]] = {}
    for result in results:
        by_request.setdefault(result.request_id, []).append(result)
    code = CodeOfToday(registry)
    root, official = data_root(request.data_dir), request.split == "official"
    digests = {unit.task.name: _digest(unit.task, root, whole=official) for unit in units}
    costs = _costs([result for result in results if result.protocol.name == request.protocol])
    return Plan(
        tuple(_planned(request, unit, by_request, digests[unit.task.name], costs, registry, code) for unit in units)
    )


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


def _planned(
    request: RunRequest,
    unit: Unit,
    by_request: Mapping[str, Sequence[Result]],
    digest: str | None,
    costs: Mapping[str, _Cost],
    registry: Registry,
    code: CodeOfToday,
) -> PlannedUnit:
    results = [result for cell in unit.cells for result in by_request.get(cell.request_id, ())]
    done = [
        r
        for r in results
        if r.status == "success" and (digest in (None, "") or r.task.data_digest == digest) and code.made(r, unit)
    ]
    cells = 1 if any(result.is_deterministic for result in done) else len(unit.cells)
    finished = 0 if request.overwrite == "always" else len({result.seed for result in done})
    settled = {result.seed for result in done}
    failed = len({r.seed for r in results if r.status in ("error", "oom") and r.seed not in settled})
    remark = f"skipped: {unit.skip}" if unit.skip is not None else ""
    if digest == "":
        source = (unit.task.card and unit.task.card.derived_from) or unit.task.name
        remark = remark or f"data missing: findna-bench fetch {source.partition('/')[0]}"
    left = cells - min(finished, cells)
    settings, rates = _tried(request, unit, registry)
    return PlannedUnit(unit, cells, min(finished, cells), failed, _seconds(unit, left, settings, rates, costs), remark)


def _tried(request: RunRequest, unit: Unit, registry: Registry) -> tuple[int, int]:
    """(settings of a search or a choice, learning rates of the preset) that a fit tries, 1 where nothing is chosen."""
    protocol = find_protocol(request.protocol, registry)
    if unit.model.kind != "encoder" or unit.skip is not None:
        return 1, 1
    if not protocol.trains_encoder:
        return (_candidates(request) if can_choose(request, unit) else 1), 1
    preset = unit_preset(request, unit, unit.task.name, registry)
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


def _costs(results: Iterable[Result]) -> dict[str, _Cost]:
    """Means over what was measured, by model and task, and by model."""
    times: dict[str, list[_Cost]] = {}
    for result in results:
        if result.status != "success":
            continue
        timing = result.timing
        runs = _whole_runs(result.protocol.settings)
        chosen = runs if len(result.protocol.settings.get("rates") or ()) > 1 else None
        cost = _Cost(timing.embed_s or 0.0, (timing.fit_s or 0.0) / runs, timing.predict_s or 0.0, chosen)
        for key in (f"{result.model.name} on {result.task_name}", result.model.name):
            times.setdefault(key, []).append(cost)
    return {key: _mean(costs) for key, costs in times.items()}


def _mean(costs: Sequence[_Cost]) -> _Cost:
    runs = [cost.runs for cost in costs if cost.runs is not None]
    return _Cost(
        fmean(cost.once for cost in costs),
        fmean(cost.run for cost in costs),
        fmean(cost.predict for cost in costs),
        fmean(runs) if runs else None,
    )


def _whole_runs(settings: Mapping[str, Any]) -> float:
    """How many whole runs the trials of a fit come to: all of a search or a choice, fewer where trials were short."""
    trials = settings.get("trials") or [{}]
    steps = [trial.get("steps", 1) for trial in trials]
    return len(trials) if settings.get("search") else sum(steps) / max(steps)
