"""Which units of a run are finished, by what lies in the results folder: nothing is loaded for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from findna_bench.code import file_settings
from findna_bench.collecting import no_collection
from findna_bench.errors import OutputError
from findna_bench.matrix.request import Unit, weights_of
from findna_bench.matrix.unit import ValidResults
from findna_bench.models.spec import ModelSpec
from findna_bench.registry import Registry
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.schema import Result, read_result
from findna_bench.results.store import ResultStore

__all__ = ["FinishedUnits", "found_by_request", "successes", "weights_are_known"]


def successes(store: ResultStore, unit: Unit, protocol: str) -> list[Result]:
    """Finished results for a unit's requests; damaged files are left out (they are written anew)."""
    wanted = {cell.request_id for cell in unit.cells}
    folder = store.folder(unit.model.display_name, unit.task.suite, unit.task.task, protocol)
    found = _readable(sorted(folder.glob("*.json")))
    return [result for result in found if result.request_id in wanted and result.status == "success"]


def _readable(paths: Iterable[Path]) -> list[Result]:
    found = []
    for path in paths:
        try:
            found.append(read_result(path))
        except OutputError:
            continue
    return found


def found_by_request(
    request: RunRequest, valid: ValidResults, unit: Unit, lying: Sequence[Result]
) -> list[Result] | None:
    """All results of a unit by what was asked for: same name, data and preset; None where some are missing, or where a folder
    or file may hold other weights than it did.

    lying: its :func:`successes`. valid: says which of them a run would compute again as they are.
    """
    local = (
        unit.model.location is not None
        or weights_of(request, unit.model) is not None
        or bool(file_settings(unit.model.card.config))
    )
    if request.overwrite == "always" or local:
        return None
    found = {r.request_id: r for r in valid.of(unit, lying)}
    wanted = [cell.request_id for cell in unit.cells]
    first = found.get(wanted[0])
    if first is not None and first.is_deterministic:
        wanted = wanted[:1]
    return [found[request_id] for request_id in wanted] if all(key in found for key in wanted) else None


def weights_are_known(request: RunRequest, model: ModelSpec) -> bool:
    """Whether the name stands for the same weights as ever: a repository without a commit may have changed. Offline it
    cannot be asked, and what was computed from it stands.
    """
    if model.variant or all(source.pinned for source in model.card.weights):
        return True
    from findna_bench.models.weights import is_offline

    return is_offline(request.offline)


class FinishedUnits:
    """What of a request lies in its results folder, looked up once for all of its units.

    Attributes:
        cells: how many of the request's cells have a result, by the code that there is now.
        results: unit -> its results, of the units that need nothing more.
    """

    def __init__(self, store: ResultStore, request: RunRequest, units: Sequence[Unit], registry: Registry) -> None:
        self.cells = 0
        self.results: dict[str, list[Result]] = {}
        if request.overwrite != "always":
            with no_collection():
                self._look_up(store, request, units, registry)

    def _look_up(self, store: ResultStore, request: RunRequest, units: Sequence[Unit], registry: Registry) -> None:
        wanted = {cell.request_id for unit in units for cell in unit.cells}
        index = store.index(_without_words, models={unit.model.display_name for unit in units})
        by_request: dict[str, list[tuple[str, Result]]] = {}
        for path, result in index.located():
            if result.request_id in wanted and result.status == "success":
                by_request.setdefault(result.request_id, []).append((path, result))
        valid = ValidResults(request, registry)
        for unit in units:
            located = [found for cell in unit.cells for found in by_request.get(cell.request_id, ())]
            if not located:
                continue
            inside = store.folder_name(unit.model.display_name, unit.task.suite, unit.task.task, request.protocol)
            lying = [result for path, result in sorted(located, key=_path) if path.startswith(inside)]
            self.cells += _covered(unit, valid.by_code(unit, lying))
            if unit.skip is None and lying and weights_are_known(request, unit.model):
                # What is wrong with its data or code, the unit meets again when it is run, and records.
                with contextlib.suppress(Exception, SystemExit):
                    if (found := found_by_request(request, valid, unit, lying)) is not None:
                        self.results[unit.key] = found


def _without_words(problem: str) -> None:
    """What is no result is computed."""


def _path(located: tuple[str, Result]) -> str:
    return located[0]


def _covered(unit: Unit, found: Sequence[Result]) -> int:
    """How many cells of a unit have a result; one deterministic fit stands for all of them."""
    if any(result.is_deterministic for result in found):
        return len(unit.cells)
    return len({result.request_id for result in found})
