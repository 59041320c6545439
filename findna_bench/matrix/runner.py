"""Runs a matrix: what was asked for becomes jobs, an executor settles them, and whoever watches is told."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace

from findna_bench import __version__
from findna_bench.errors import ModelError, UsageError
from findna_bench.matrix.events import Event, Note, Report, Settled, UnitProgress, UnitStarted
from findna_bench.matrix.finished_units import FinishedUnits
from findna_bench.matrix.job_folders import job_folders
from findna_bench.matrix.jobs import Executor, Job, fail_job, make_jobs, not_elsewhere
from findna_bench.matrix.report import RunReporter, Silent
from findna_bench.matrix.request import Unit, expand
from findna_bench.matrix.run_status import driving
from findna_bench.models.cache_folder import cache_limit
from findna_bench.plugin_code import plugin_code
from findna_bench.registry import Registry, get_registry, load_factory
from findna_bench.requests.declarations import options_of
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.result_rows import RowsInMemory
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore
from findna_bench.torchrun import world_size

__all__ = ["event_teller", "run"]


def run(request: RunRequest, reporter: RunReporter | None = None) -> list[Result]:
    """All cells of the request, finished before or now, in the order models x tasks x seeds; what results have in common they share. Names are those of the plugins that
    are installed, for this process as for any other that an executor starts.

    Raises:
        UsageError: a name or an option is wrong; before any work.
        OutputError: results cannot be written.
        BenchError: a cell failed and ``fail_fast`` is set.
    """
    if request.shard == "on" and world_size() == request.world_size == 1:
        raise UsageError(
            "--shard on: one process has nobody to share an encoder with; start several, `torchrun --nproc-per-node N --no-python findna-bench "
            "run ...`, or leave it out"
        )
    if world_size() > 1 or request.world_size > 1:
        from findna_bench.matrix.unit_processes import run_together

        return run_together(request, reporter or Silent(), _run)
    return _run(request, reporter or Silent())


def _run(request: RunRequest, reporter: RunReporter) -> list[Result]:
    registry = get_registry()
    units = expand(request, registry)
    card = registry.resolve("executors", request.executor).card
    if request.held and not card.in_process:
        raise UsageError(f"executor {card.name}: {not_elsewhere(request)}")
    executor: Executor = load_factory(card.factory, f"executor {request.executor!r}")
    _check_interpreters(request.environment)
    cache_limit()  # a malformed limit is said before any work
    store = ResultStore(request.output_dir)
    store.check_writable()
    store.sweep()
    for note in (*_shadowed(request, registry), *_without_effect(request, units)):
        reporter.note(note)
    jobs = make_jobs(request, units)
    elsewhere = {key for job in jobs if job.python is not None for key in job.units}  # by another environment's code
    here = [unit for unit in units if unit.key not in elsewhere]
    finished = FinishedUnits(store, request, here, registry)
    reporter.started(len(units), sum(len(unit.cells) for unit in units), finished.cells)
    # Jobs that an earlier run sent somewhere are closed by the executor that finds them settled.
    results = {} if job_folders(request.output_dir) else finished.results
    rows = RowsInMemory()
    for unit in units:
        if unit.key in results:
            reporter.unit_finished(unit.label, results[unit.key], 0.0)
    each = (replace(job, units=tuple(key for key in job.units if key not in results)) for job in jobs)
    left = [job for job in each if job.units]
    answers = _settled(executor, request.executor, left, event_teller(reporter))
    with (
        driving(request) if left else contextlib.nullcontext(),
        contextlib.closing(answers),  # an interruption here is one of the executor, which stops what it has started
    ):
        for settled in answers:
            results[settled.unit] = [rows.read(store.root / name) for name in settled.results]
            reporter.unit_finished(settled.label, results[settled.unit], settled.seconds)
    return [result for unit in units for result in results[unit.key]]


def _check_interpreters(environment: Mapping[str, str]) -> None:
    """That every Python that was named is there, and has this harness in this version.

    Raises:
        UsageError: one is not, or has not.
    """
    for name, python in environment.items():
        where = f"--environment {name}={python}"
        try:
            program = "import findna_bench, findna_bench.matrix.child; print(findna_bench.__version__)"
            done = subprocess.run(
                [os.path.expanduser(python), "-c", program],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(
                f"{where}: {getattr(error, 'strerror', None) or 'it gives no answer'}; name a Python interpreter"
            ) from error
        found = done.stdout.strip()
        if done.returncode or found != __version__:
            has = f"has findna-bench {found}" if found and not done.returncode else "has no findna-bench"
            raise UsageError(f"{where}: that Python {has}; install version {__version__} there")


def _settled(executor: Executor, name: str, jobs: Sequence[Job], report: Report) -> Generator[Settled]:
    """Every unit of the jobs, once; those that the executor forgets have failed.

    Raises:
        ModelError: the executor yields what it was not given, or one unit twice.
    """
    if not jobs:
        return
    open_units = {key: job for job in jobs for key in job.units}
    with plugin_code(f"executor {name!r}", called=executor):
        answers = iter(executor(jobs, report))
    try:
        for answer in _answers(answers, name):
            if not isinstance(answer, Settled) or open_units.pop(answer.unit, None) is None:
                raise ModelError(f"executor {name!r} yields {answer!r}, which is no unit that is still to be settled")
            yield answer
    finally:
        if (close := getattr(answers, "close", None)) is not None:
            close()
    for key, job in open_units.items():
        yield from fail_job(Job(job.request, (key,), job.model), f"executor {name!r} gave no answer for it")


def _answers(answers: Iterator[Settled], name: str) -> Iterator[Settled]:
    """What the executor yields; only what it raises itself is its own, not what is done with an answer."""
    while True:
        with plugin_code(f"executor {name!r}"):
            try:
                answer = next(answers)
            except StopIteration:
                return
        yield answer


def event_teller(reporter: RunReporter) -> Report:
    """Says events to a reporter, notes once each."""
    reported = set[str]()

    def tell(event: Event) -> None:
        match event:
            case UnitStarted():
                reporter.unit_started(event.label)
            case UnitProgress():
                reporter.unit_progress(event.label, event.done, event.total, event.what)
            case Note() if event.text not in reported:  # several jobs have the same to say of a task
                reported.add(event.text)
                reporter.note(event.text)

    return tell


_OF_ENCODERS = ("network", "pooling", "layer", "window", "dtype")


def _without_effect(request: RunRequest, units: Sequence[Unit]) -> list[str]:
    """Options that say how encoders are read, where no model of the run is one."""
    if any(unit.model.kind == "encoder" for unit in units):
        return []
    given = [o.flag for o in options_of(request) if o.field in _OF_ENCODERS and getattr(request, o.field) != o.default]
    return [f"{', '.join(given)}: without effect, none of these models is an encoder"] if given else []


def _shadowed(request: RunRequest, registry: Registry) -> list[str]:
    """Names of the request that several plugins register, and which of them is meant."""
    names = [("models", model.partition("@")[0]) for model in request.models] + [("tasks", t) for t in request.tasks]
    notes = []
    for kind, name in names:
        if registry.named(kind, name) and (others := registry.shadowed(kind, name)):
            distribution = registry.resolve(kind, name).distribution
            notes.append(f"{name} is {distribution}'s; {' and '.join(others)} can be written out")
    return notes
