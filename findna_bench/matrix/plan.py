"""What a run would do: cells, which are finished, and how long the rest may take; opens no data and no weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from findna_bench.data.catalog import TaskRef, data_root, read_manifest, task_folder, task_status
from findna_bench.errors import DataError, OutputError
from findna_bench.matrix.request import Unit, expand
from findna_bench.registry import Registry, get_registry
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.schema import Result, read_result
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
    registry = registry or get_registry()
    units = expand(request, registry)
    results = _readable(ResultStore(request.output_dir).paths())
    by_request: dict[str, list[Result]] = {}
    for result in results:
        by_request.setdefault(result.request_id, []).append(result)
    root, official = data_root(request.data_dir), request.split == "official"
    digests = {unit.task.name: _digest(unit.task, root, whole=official) for unit in units}
    costs = _costs([result for result in results if result.protocol.name == request.protocol])
    return Plan(tuple(_planned(request, unit, by_request, digests[unit.task.name], costs) for unit in units))


def _readable(paths: Iterable[Path]) -> list[Result]:
    found = []
    for path in paths:
        try:
            found.append(read_result(path))
        except OutputError:
            continue
    return found


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
) -> PlannedUnit:
    results = [result for cell in unit.cells for result in by_request.get(cell.request_id, ())]
    done = [r for r in results if r.status == "success" and (digest in (None, "") or r.task.data_digest == digest)]
    cells = 1 if any(result.is_deterministic for result in done) else len(unit.cells)
    finished = 0 if request.overwrite == "always" else len({result.seed for result in done})
    settled = {result.seed for result in done}
    failed = len({r.seed for r in results if r.status in ("error", "oom") and r.seed not in settled})
    remark = f"skipped: {unit.skip}" if unit.skip is not None else ""
    if digest == "":
        source = (unit.task.card and unit.task.card.derived_from) or unit.task.name
        remark = remark or f"data missing: findna-bench fetch {source.partition('/')[0]}"
    left = cells - min(finished, cells)
    trials = request.search or 1 if unit.model.kind == "encoder" else 1
    return PlannedUnit(unit, cells, min(finished, cells), failed, _seconds(unit, left, trials, costs), remark)


def _seconds(unit: Unit, left: int, trials: int, costs: Mapping[str, _Cost]) -> float | None:
    if not left or unit.skip is not None:
        return 0.0
    model = unit.model.display_name
    for key in (f"{model} on {unit.task.name}", model):
        if key in costs:
            cost = costs[key]
            return cost.once + left * (trials * cost.trial + cost.predict)
    return None


@dataclass(frozen=True)
class _Cost:
    """Seconds: once per unit; per fit with one setting; per fitted cell, for predicting."""

    once: float
    trial: float
    predict: float


def _costs(results: Iterable[Result]) -> dict[str, _Cost]:
    """Means over what was measured, by model and task, and by model."""
    times: dict[str, list[_Cost]] = {}
    for result in results:
        if result.status != "success":
            continue
        timing = result.timing
        trials = max(1, len(result.protocol.settings.get("trials", [])))
        cost = _Cost(timing.embed_s or 0.0, (timing.fit_s or 0.0) / trials, timing.predict_s or 0.0)
        for key in (f"{result.model.name} on {result.task_name}", result.model.name):
            times.setdefault(key, []).append(cost)
    return {
        key: _Cost(
            fmean(cost.once for cost in costs),
            fmean(cost.trial for cost in costs),
            fmean(cost.predict for cost in costs),
        )
        for key, costs in times.items()
    }
