"""Jobs: parts of a run that any process can compute, and what an executor does with them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Protocol

from findna_bench.errors import ModelError, UsageError
from findna_bench.matrix.events import Report, Settled
from findna_bench.matrix.finished_units import successes
from findna_bench.matrix.group_runner import GroupRunner, cells_left
from findna_bench.matrix.request import Unit, expand, names_of
from findna_bench.matrix.unit import unfinished
from findna_bench.registry import Registry, get_registry
from findna_bench.requests.declarations import from_json, to_json
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.claims import Claims
from findna_bench.results.schema import read_result
from findna_bench.results.store import ResultStore

__all__ = ["Executor", "Job", "fail_job", "make_jobs", "not_elsewhere", "settle", "settle_finished"]


@dataclass(frozen=True)
class Job:
    """Units (model x task) of one model that :func:`findna_bench.api.run_job` computes in any process with the same plugins, files and working
    folder; it can be pickled, and written as JSON.

    Attributes:
        request: what was asked for of this model.
        units: keys of the units to compute. ``dataclasses.replace(job, units=...)`` makes a smaller job; the model's weights
            are loaded once per job.
        model: the model's name, for a queue's display.
        python: the Python interpreter that computes it; None = that of whoever runs the job.
    """

    request: RunRequest
    units: tuple[str, ...]
    model: str = ""
    python: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The job, JSON-serialisable.

        Raises:
            UsageError: it holds objects of this process.
        """
        if self.request.held:
            raise UsageError(not_elsewhere(self.request))
        return {"request": to_json(self.request), "units": list(self.units), "model": self.model, "python": self.python}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Job:
        """The inverse of :meth:`to_json`."""
        return cls(
            from_json(RunRequest, values["request"]),
            tuple(values["units"]),
            values.get("model", ""),
            values.get("python"),
        )


class Executor(Protocol):
    """What the factory of an :class:`~findna_bench.api.ExecutorCard` is: a function (or another callable) that gets every job of a
    run at once and yields each unit as soon as it is settled, in any order.

    It runs a job by :func:`findna_bench.api.run_job`, in whatever process; all jobs have the options of the run in their
    request (``workers``, ``timeout_s``, ``fail_fast``). A unit that nothing was yielded for is recorded as failed.
    Processes share nothing but the results folder: claims in it keep two of them from computing one cell.

    Example:
        >>> def in_turn(jobs, report):
        ...     for job in jobs:
        ...         yield from fb.run_job(job, report)
    """

    def __call__(self, jobs: Sequence[Job], report: Report, /) -> Iterable[Settled]:
        """Run all jobs.

        Args:
            jobs: one per model (and network); at least one.
            report: takes events on the way (:class:`~findna_bench.api.UnitStarted` and others), for whoever watches; nothing
                depends on its being called. Not safe to call from several threads at once.

        Raises:
            BenchError: one that :func:`run_job` or :func:`fail_job` raised; it ends the run.
        """


def not_elsewhere(request: RunRequest) -> str:
    """Why another process cannot compute what is an object of this one."""
    names = ", ".join(name for name in (*request.models, *request.tasks) if name in request.held)
    return (
        f"{names} exists in this process only; run it with executor='serial', or give others a file: path:FOLDER, embeddings:FILE, or the "
        "table as csv or parquet"
    )


def make_jobs(request: RunRequest, units: Sequence[Unit]) -> list[Job]:
    """One job for each network of each model: its weights are loaded once.

    Raises:
        UsageError: ``environment`` names what is none of the run's models and distributions.
    """
    jobs, unused = [], dict(request.environment)
    for _, group in groupby(units, key=lambda unit: (unit.model.text, unit.model.network)):
        of_model = list(group)
        spec = of_model[0].model
        network = f" ({spec.network})" if spec.network else ""
        names = names_of(spec)
        weights = {name: path for name, path in request.weights.items() if name in names}
        named = (*names, spec.card.name, *spec.card.aliases, spec.distribution)
        found = [name for name in named if name in request.environment]
        for name in found:
            unused.pop(name, None)
        own = replace(request, models=(spec.text,), weights=weights, environment={})
        python = os.path.abspath(os.path.expanduser(request.environment[found[0]])) if found else None
        jobs.append(Job(own, tuple(unit.key for unit in of_model), f"{spec.display_name}{network}", python))
    if unused:
        raise UsageError(
            f"--environment {next(iter(unused))}: no model of this run has that name, or comes from such a distribution"
        )
    return jobs


def settle(job: Job, report: Report) -> Iterator[Settled]:
    """Compute the units of a job in this process, one after the other; each is yielded as soon as it is settled."""
    registry = get_registry()
    units = _units(job, registry)
    request = job.request
    with Claims(request.output_dir) as claims:
        yield from GroupRunner(request, registry, report, ResultStore(request.output_dir), claims).run(units)


def settle_finished(job: Job) -> list[Settled]:
    """Settle the units of a job that need no computing: their results lie there, by the code that there is now, or the protocol does
    not apply to them. Opens no data and no weights, so that nothing is sent elsewhere to find that out.

    Returns:
        What came of those units; others may turn out to be finished once their files are looked at.

    Raises:
        UsageError: a unit is not known here. ResultsFolderError: results cannot be written.
    """
    registry, store = get_registry(), ResultStore(job.request.output_dir)
    return GroupRunner(job.request, registry, lambda event: None, store, Claims(store.root)).finished(
        _units(job, registry)
    )


def fail_job(job: Job, reason: str, *, written: Mapping[str, Iterable[str]] | None = None) -> list[Settled]:
    """Settle what a job left undone, as when the process that computed it died: its cells without a result have failed.

    Args:
        job: with the units to settle; ``dataclasses.replace(job, units=...)`` leaves out the others.
        reason: why they failed, for the user.
        written: unit -> result files that are known to be of this run, relative to the results folder. Without it, results that
            lie there count (none under ``--overwrite always``).

    Returns:
        Every unit of the job.

    Raises:
        ModelError: ``fail_fast`` is set, so this ends the run.
    """
    request, store, settled = job.request, ResultStore(job.request.output_dir), []
    for unit in _units(job, get_registry()):
        if written is not None:
            done = [read_result(store.root / name) for name in written.get(unit.key, ())]
        else:
            done = [] if request.overwrite == "always" else successes(store, unit, request.protocol)
        error = ModelError(f"{unit.label}: {reason}")
        left = [] if any(result.is_deterministic for result in done) else cells_left(unit, done)
        failed = unfinished(request, unit, "error", error, cells=left)
        paths = [*(store.path_of(result) for result in done), *(store.write(result) for result in failed)]
        if failed and request.fail_fast:
            raise error
        settled.append(Settled(unit.key, unit.label, tuple(map(store.name_of, paths)), None, time.time()))
    return settled


def _units(job: Job, registry: Registry) -> list[Unit]:
    """The units of a job, in its order.

    Raises:
        UsageError: one is not known here.
    """
    known = {unit.key: unit for unit in expand(job.request, registry)}
    if absent := [key for key in job.units if key not in known]:
        raise UsageError(
            f"job of {job.model}: unit {absent[0][:16]} is none of the request's here; run it where plugins, their versions, files and "
            "the working folder are those of the process that made it"
        )
    return [known[key] for key in job.units]
