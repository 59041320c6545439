"""Does an executor keep its contract (:class:`findna_bench.matrix.jobs.Executor`)? Two jobs on a made-up file of rows show it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from findna_bench.errors import UsageError
from findna_bench.matrix.events import Settled
from findna_bench.matrix.jobs import Executor, Job, make_jobs
from findna_bench.matrix.request import expand
from findna_bench.registry import Registry, load_factory
from findna_bench.requests.declarations import build
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.store import ResultStore
from findna_bench.testing.check_report import Checklist, Fault, Report

__all__ = ["check_executor"]

_ROWS = 40


def check_executor(name: str, registry: Registry) -> Report:
    """All checks of the executor called ``name``: two models, given by vectors, on two tasks."""
    checklist = Checklist("executor", name)
    card = registry.resolve("executors", name).card

    def loads() -> str:
        made = load_factory(card.factory, f"executor {card.name!r}")
        if not callable(made):
            raise Fault(f"its factory is a {type(made).__name__}; an executor is a function of jobs and a report")
        return "it is a function"

    if not checklist.check("loads", loads):
        return checklist.report()
    execute: Executor = load_factory(card.factory, f"executor {card.name!r}")
    with _made_up_run(name, registry) as run:
        if checklist.check("settles", lambda: run.settles(execute)):
            checklist.check("results", run.results)
            checklist.check("again", lambda: run.again(execute))
    return checklist.report()


@dataclass
class _Run:
    """Jobs on made-up files in a folder of their own, and what an executor made of them."""

    jobs: list[Job]
    store: ResultStore
    settled: tuple[Settled, ...] = ()

    def settles(self, execute: Executor) -> str:
        events: list[object] = []
        wanted = [unit for job in self.jobs for unit in job.units]
        found = list(execute(self.jobs, events.append))
        if wrong := [value for value in found if not isinstance(value, Settled)]:
            raise Fault(f"it yields a {type(wrong[0]).__name__}, not findna_bench.api.Settled")
        keys = [settled.unit for settled in found]
        if absent := [unit for unit in wanted if unit not in keys]:
            raise Fault(f"it settles {len(wanted) - len(absent)} of {len(wanted)} units; yield one Settled for each")
        if len(keys) != len(set(keys)):
            raise Fault("it settles a unit twice")
        self.settled = tuple(found)
        return f"{len(wanted)} units of {len(self.jobs)} jobs are settled, each once"

    def results(self) -> str:
        for settled in self.settled:
            for name in settled.results:
                if not (self.store.root / name).is_file():
                    raise Fault(f"{settled.label}: {name} is not in the results folder")
        failed = [result for result in self.store.load() if result.status != "success"]
        if failed:
            reason = failed[0].error.message if failed[0].error is not None else failed[0].status
            raise Fault(f"{len(failed)} results are no success: {reason}")
        return f"{len(self.store.load())} results lie in the results folder, all of them successes"

    def again(self, execute: Executor) -> str:
        before = {path: path.stat().st_mtime_ns for path in self.store.paths()}
        list(execute(self.jobs, lambda event: None))
        if {path: path.stat().st_mtime_ns for path in self.store.paths()} != before:
            raise Fault("the same jobs again compute what is there already")
        return "the same jobs again find their results"


@contextmanager
def _made_up_run(executor: str, registry: Registry) -> Iterator[_Run]:
    """Vectors of two models, which any process can read, for two files of rows."""
    with tempfile.TemporaryDirectory() as name:
        folder, rng = Path(name), np.random.default_rng(0)
        for task in ("one", "two"):
            lines = [
                f"{''.join(rng.choice(list('ACGT'), 30))},{row % 2},{'test' if row % 4 == 3 or row % 4 == 0 else 'train'}\n"
                for row in range(_ROWS)
            ]
            (folder / f"{task}.csv").write_text("sequence,label,split\n" + "".join(lines))
        for model in ("first", "second"):
            vectors = rng.random((_ROWS, 3)) + (np.arange(_ROWS) % 2)[:, None]
            np.save(folder / f"{model}.npy", vectors.astype(np.float32))
        values = {
            "models": [f"embeddings:{folder / model}.npy" for model in ("first", "second")],
            "tasks": [str(folder / f"{task}.csv") for task in ("one", "two")],
            "seeds": 1,
            "executor": executor,
            "output_dir": folder / "results",
        }
        try:
            request = build(RunRequest, values | {"workers": 2})
        except UsageError:  # it computes one after the other
            request = build(RunRequest, values)
        yield _Run(make_jobs(request, expand(request, registry)), ResultStore(folder / "results"))
