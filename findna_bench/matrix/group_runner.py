"""Runs the units of one model: finished cells are left alone, the others are claimed, computed, written; nothing that fails
stops the rest.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback as tracebacks
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from findna_bench.errors import (
    BenchError,
    ModelError,
    OfflineError,
    OutputError,
    PluginError,
    RanksError,
    ResultsFolderError,
    UnsupportedError,
    is_out_of_memory,
)
from findna_bench.interrupt import uninterrupted
from findna_bench.matrix.events import Note, Report, ResultWritten, Settled, UnitReporter, UnitStarted
from findna_bench.matrix.finished_units import found_by_request, successes, weights_are_known
from findna_bench.matrix.models import LiveModel
from findna_bench.matrix.request import Cell, Unit
from findna_bench.matrix.unit import (
    CellKeys,
    Outcome,
    UnitFacts,
    ValidResults,
    compute,
    establish,
    unfinished,
)
from findna_bench.models.spec import ModelSpec
from findna_bench.plugin_code import plugin_fault
from findna_bench.registry import Registry, get_registry
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.claims import Claims
from findna_bench.results.schema import Result, read_result
from findna_bench.results.store import ResultStore, ScoredRows
from findna_bench.threads import compute_threads

__all__ = ["GroupRunner", "cells_left"]

_POLL_S = 1.0

_ONE_THREAD = threading.RLock()
"""Held while a process computes: torch's random numbers and the number of CPU threads belong to the whole process, so that of models
computed in two threads each would change the other's numbers."""


def _in_eval_mode(spec: ModelSpec) -> contextlib.AbstractContextManager[None]:
    """A model that is an object, as it is to be run; others are loaded so."""
    if spec.held is None:
        return contextlib.nullcontext()
    from findna_bench.models.object_models import evaluating

    return evaluating(spec.held.value)


class _ClaimLostError(Exception):
    """Another process took a cell over while it was computed here."""


@dataclass
class GroupRunner:
    """Runs the units of one model in this process."""

    request: RunRequest
    registry: Registry
    report: Report
    store: ResultStore
    claims: Claims
    _old_failures: dict[str, int] = field(default_factory=dict)

    def run(self, units: Sequence[Unit]) -> Iterator[Settled]:
        """Compute, or find computed, every cell of ``units``, with the request's number of threads; cells another process holds are
        waited for at the end.
        """
        with _ONE_THREAD, compute_threads(self.request.threads), _in_eval_mode(units[0].model):
            self._old_failures = self.store.failures()
            model = LiveModel(self.request, self.registry, units[0].model)
            try:
                yield from self._settle_all(units, model)
            finally:
                model.close()

    def finished(self, units: Sequence[Unit]) -> list[Settled]:
        """Those of ``units`` that are settled without looking into any file of theirs."""
        found, valid = [], ValidResults(self.request, self.registry)
        for unit in units:
            if unit.skip is not None:
                found.append(self._settled(unit, self._write_skipped(unit, unit.skip)))
                continue
            lying = successes(self.store, unit, self.request.protocol)
            results = found_by_request(self.request, valid, unit, lying)
            if results is not None and weights_are_known(self.request, unit.model):
                found.append(self._settled(unit, results))
        return found

    def _settle_all(self, units: Sequence[Unit], model: LiveModel) -> Iterator[Settled]:
        left, named = list(units), set[str]()
        while left:
            waiting = []
            for unit in left:
                settled = self._attempt(unit, model)
                if settled is None:
                    waiting.append(unit)
                else:
                    yield settled
            left = waiting
            if left:
                if left[0].key not in named:
                    named.add(left[0].key)
                    self.report(Note(f"waiting for another process to finish {left[0].label}"))
                time.sleep(_POLL_S)

    def _attempt(self, unit: Unit, model: LiveModel) -> Settled | None:
        """The unit, settled; None where another living process works on it."""
        if unit.skip is not None:
            return self._settled(unit, self._write_skipped(unit, unit.skip))
        claimed = self._claim(unit)
        if claimed is None:
            return None
        try:
            return self._run_claimed(unit, model)
        finally:
            self.claims.release(claimed)

    def _claim(self, unit: Unit) -> list[str] | None:
        """All cells of the unit or none, in one order for all processes, so that two of them never hold a half each."""
        taken: list[str] = []
        about = {"unit": unit.key, "label": unit.label, "executor": self.request.executor}
        for request_id in sorted(cell.request_id for cell in unit.cells):
            if not self.claims.take(request_id, about):
                self.claims.release(taken)
                return None
            taken.append(request_id)
        return taken

    def _run_claimed(self, unit: Unit, model: LiveModel) -> Settled | None:
        started = time.time()
        failed = self._settled_failures(unit)
        todo = replace(unit, cells=tuple(cell for cell in unit.cells if cell.seed not in failed))
        results: list[Result] = []
        computed = bool(todo.cells)
        try:
            if todo.cells:
                computed = self._complete(todo, model, results)
        except _ClaimLostError:
            self.report(Note(f"{unit.label}: another process took it over, its results are awaited"))
            return None
        except UnsupportedError as error:
            results += self._write_skipped(todo, str(error))
        except (ResultsFolderError, RanksError):
            raise
        except (Exception, SystemExit) as error:  # a plugin that calls sys.exit() fails its own cell, not the run
            results += self._write_failed(todo, results, error)
            if self.request.fail_fast:
                raise _named(unit, error) from error
        return self._settled(unit, [*results, *failed.values()], started if computed else None)

    def _settled_failures(self, unit: Unit) -> dict[int, Result]:
        """Failures by seed that are not tried again: all under ``--overwrite never``, else those that another process has
        met since this one began.
        """
        found = {}
        now = self.store.failures() if self.request.overwrite != "always" else {}
        for cell in unit.cells:
            written = now.get(cell.request_id)
            old = written == self._old_failures.get(cell.request_id)
            if written is None or (old and self.request.overwrite == "failed"):
                continue
            with contextlib.suppress(OutputError):
                result = read_result(self.store.error_path(cell.request_id))
                if result.status in ("error", "oom"):
                    found[cell.seed] = result
        return found

    def _settled(self, unit: Unit, results: Sequence[Result], started: float | None = None) -> Settled:
        order = {cell.seed: number for number, cell in enumerate(unit.cells)}
        results = sorted(results, key=lambda result: order.get(result.seed or 0, 0))
        names = (self.store.name_of(self.store.path_of(result)) for result in results)
        return Settled(unit.key, unit.label, tuple(names), started, time.time())

    def _complete(self, unit: Unit, model: LiveModel, results: list[Result]) -> bool:
        """Find or compute all cells; ``results`` grows with every one that is on disk. Returns whether any was computed."""
        valid = ValidResults(self.request, self.registry)
        found = found_by_request(self.request, valid, unit, successes(self.store, unit, self.request.protocol))
        if found is not None and weights_are_known(self.request, unit.model):
            results += found
            return False
        self.report(UnitStarted(unit.key, unit.label))
        try:
            facts = establish(self.request, self.registry, unit, model)
        except OfflineError as error:
            if found is None:
                raise
            self.report(Note(f"{error}; the finished results stand, unchecked against the weights of today"))
            results += found
            return False
        done, pending = self._divide(facts)
        results += done
        if pending:
            for note in (*facts.task.notes, *model.notes()):
                self.report(Note(note))
            reporter = UnitReporter(self.report, unit.key, unit.label)
            for outcome in self._computed(facts, model, pending, reporter):
                self._write(unit, outcome)
                results.append(outcome.result)
        self.store.forget_failures(cell.request_id for cell in unit.cells)
        return bool(pending)

    def _computed(
        self, facts: UnitFacts, model: LiveModel, pending: Sequence[CellKeys], reporter: UnitReporter
    ) -> Iterator[Outcome]:
        if self.request.world_size == 1:
            return compute(self.request, facts, model, pending, reporter)
        from findna_bench.matrix.unit_processes import compute_together

        return compute_together(self.request, facts, model, pending, reporter)

    def _write(self, unit: Unit, outcome: Outcome) -> None:
        with uninterrupted():
            if not self.claims.still_mine(outcome.result.request_id):
                raise _ClaimLostError
            self._write_one(unit, outcome.result, outcome.predictions)
        outcome.discard()

    def _divide(self, facts: UnitFacts) -> tuple[list[Result], list[CellKeys]]:
        """Cells whose file exists and reads well, and those to compute."""
        done, pending = [], []
        anew = self.request.overwrite == "always" or facts.model.code_digest is None
        folder = self.store.folder(facts.model.name, facts.task.card.suite, facts.task.card.name, self.request.protocol)
        for cell in facts.cells:
            path = folder / f"{cell.identity[:16]}.json"
            try:
                result = read_result(path) if path.exists() and not anew else None
            except OutputError as error:
                self.report(Note(f"{error}; it is computed again"))
                result = None
            if result is not None and result.identity == cell.identity and result.status == "success":
                done.append(result)
            else:
                pending.append(cell)
        return done, pending

    def _write_skipped(self, unit: Unit, reason: str) -> list[Result]:
        self.store.forget_failures(cell.request_id for cell in unit.cells)
        return self._write_all(unit, unfinished(self.request, unit, "skipped", reason, cells=unit.cells[:1]))

    def _write_failed(self, unit: Unit, done: Sequence[Result], error: BaseException) -> list[Result]:
        status = "oom" if is_out_of_memory(error) else "error"
        in_words = isinstance(error, BenchError) and not isinstance(
            error, PluginError
        )  # whose author wants to know where
        text = None if in_words else "".join(tracebacks.format_exception(error))
        error = plugin_fault(error, get_registry().strangers) or error
        left = cells_left(unit, done)
        return self._write_all(unit, unfinished(self.request, unit, status, error, traceback=text, cells=left))

    def _write_all(self, unit: Unit, results: Sequence[Result]) -> list[Result]:
        for result in results:
            with uninterrupted():
                self._write_one(unit, result)
        return list(results)

    def _write_one(self, unit: Unit, result: Result, predictions: ScoredRows | None = None) -> None:
        path = self.store.write(result, predictions)
        self.report(ResultWritten(unit.key, self.store.name_of(path)))


def cells_left(unit: Unit, done: Iterable[Result]) -> list[Cell]:
    """Cells of a unit that have no result yet."""
    known = {result.seed for result in done}
    return [cell for cell in unit.cells if cell.seed not in known]


def _named(unit: Unit, error: BaseException) -> ModelError:
    """What ends a run under ``--fail-fast``, in one sentence."""
    kind = "" if isinstance(error, BenchError) else f"{type(error).__name__}: "
    return ModelError(f"{unit.label}: {kind}{error}")
