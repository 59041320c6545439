"""A run whose fits are computed by several processes that ``torchrun`` started: the first one leads, and writes; the others follow.

The first process plans, claims and writes as any run does. Before it computes cells of an encoder it says which; the others then open the
same task and train the same copy of the model step by step with it, and forget what came of it. When a unit is through, all of them meet.
What they say to one another goes through torchrun's store and not through the collectives of training, so that whoever waits is told.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import torch
from torch import distributed as dist

from findna_bench.errors import RanksError, UsageError
from findna_bench.matrix.events import UnitReporter
from findna_bench.matrix.jobs import make_jobs
from findna_bench.matrix.models import LiveModel
from findna_bench.matrix.report import Reporter, RunReporter
from findna_bench.matrix.request import expand
from findna_bench.matrix.unit import CellKeys, Outcome, UnitFacts, compute, establish
from findna_bench.models.precision import resolve_device
from findna_bench.protocols.protocol import find_protocol
from findna_bench.registry import Registry, get_registry
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.schema import Result
from findna_bench.threads import compute_threads
from findna_bench.torchrun import world_size
from findna_bench.training.ranks import Ranks, process_group

__all__ = ["compute_together", "run_together"]

_LONG = timedelta(days=30)
_ALL_THROUGH = timedelta(minutes=30)
_ONE_FAILED = timedelta(minutes=1)
"""How long the others are waited for after an error here: whoever met the same one is there soon."""
_NUMBERS = itertools.count()
"""Of the runs of a process, so that what was said in one is not heard in the next."""
_at_work: UnitProcesses | None = None
"""The processes of the run that is at work in this one."""


def with_processes(request: RunRequest, registry: Registry) -> RunRequest:
    """The request, saying how many processes compute each fit.

    Raises:
        UsageError: it says another number than torchrun has started, or what it asks for is not computed by several.
    """
    started = world_size()
    if request.world_size == 1 and started == 1:
        return request
    how = "torchrun --nproc-per-node N --no-python findna-bench run ..."
    if request.world_size not in (1, started):
        raise UsageError(
            f"--world-size {request.world_size}: this run has {started} process(es); start it as `{how}`, with N = {request.world_size}"
        )
    if not find_protocol(request.protocol, registry).trains_encoder:
        raise UsageError(
            f"torchrun trains encoders together; --protocol {request.protocol} is computed by one process: start it without torchrun, or "
            "say --protocol finetune"
        )
    if request.executor != "serial":
        raise UsageError(
            f"torchrun has started {started} processes that compute each fit together; leave out --executor {request.executor}"
        )
    return replace(request, world_size=started)


def run_together(
    request: RunRequest, reporter: RunReporter, run: Callable[[RunRequest, RunReporter], list[Result]]
) -> list[Result]:
    """A run in every process that torchrun has started: ``run`` in the first one; the others follow, and have no results.

    Raises:
        UsageError: as :func:`with_processes`. RanksError: a process is gone. Others as ``run`` does.
    """
    global _at_work
    request = with_processes(request, get_registry())
    device = resolve_device(request.device)
    with process_group(device) as ranks:
        if device.type == "cuda":
            torch.cuda.set_device(ranks.local)
        processes = _at_work = UnitProcesses(ranks)
        try:
            if not ranks.first:
                follow(request, processes)
                return []
            try:
                return run(request, reporter)
            finally:
                processes.end()
        finally:
            _at_work = None


def compute_together(
    request: RunRequest, facts: UnitFacts, model: LiveModel, pending: Sequence[CellKeys], reporter: Reporter
) -> Iterator[Outcome]:
    """:func:`~findna_bench.matrix.unit.compute` in the first process of a run that several compute."""
    assert _at_work is not None  # run_together has begun
    return _at_work.compute(request, facts, model, pending, reporter)


class UnitProcesses:
    """What the processes of a run say to one another."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self._name = f"findna-bench {next(_NUMBERS)}"
        self._sent = self._met = 0
        self._in_step = True

    def tell(self, work: dict[str, Any] | None) -> None:
        """Say what is computed next; None: nothing more. For the first process.

        Raises:
            RanksError: the others are still at what this process has left.
        """
        if not self._in_step:
            raise RanksError(
                "the processes of torchrun are not at the same work any more; start the same command again: finished cells stay"
            )
        self._store().set(self._key_of_next(), json.dumps(work))
        self._sent += 1

    def end(self) -> None:
        """Say that nothing more is computed, where the others listen; where they do not, torchrun ends them."""
        if self._in_step:
            self.tell(None)

    def listen(self) -> dict[str, Any] | None:
        """What :meth:`tell` says next."""
        found = self._wait([self._key_of_next()], _LONG)
        self._sent += 1
        work: dict[str, Any] | None = json.loads(found[0])
        return work

    def meet(self, error: BaseException | None) -> None:
        """Wait until every process is through with a unit, each with or without an error.

        Raises:
            RanksError: some have failed and some have not, or one is gone.
        """
        number, self._met = self._met, self._met + 1
        text = "" if error is None else str(error) or type(error).__name__
        self._store().set(f"{self._name}/met/{number}/{self.ranks.rank}", text)
        keys = [f"{self._name}/met/{number}/{rank}" for rank in range(self.ranks.world)]
        try:
            texts = self._wait(keys, _ALL_THROUGH if error is None else _ONE_FAILED)
        except RanksError as lost:
            if error is None:
                raise
            raise RanksError(
                f"process {self.ranks.rank} of {self.ranks.world} failed and others did not: {text}"
            ) from lost
        failed = [(rank, words) for rank, words in enumerate(texts) if words]
        if failed and len(failed) < self.ranks.world:
            rank, words = failed[0]
            raise RanksError(f"process {rank} of {self.ranks.world} failed and others did not: {words}")

    def compute(
        self,
        request: RunRequest,
        facts: UnitFacts,
        model: LiveModel,
        pending: Sequence[CellKeys],
        reporter: Reporter,
    ) -> Iterator[Outcome]:
        """:func:`~findna_bench.matrix.unit.compute`, with the other processes at the same cells where an encoder is trained."""
        if self.ranks.world == 1 or model.kind != "encoder":
            yield from compute(request, facts, model, pending, reporter)
            return
        self.tell({"unit": facts.unit.key, "seeds": [cell.seed for cell in pending]})
        self._in_step = False
        try:
            yield from compute(request, facts, model, pending, reporter)
        except RanksError:
            raise
        except Exception as error:
            self.meet(error)
            self._in_step = True
            raise
        self.meet(None)
        self._in_step = True

    def _key_of_next(self) -> str:
        """Under which what is computed next is said; all processes count alike."""
        return f"{self._name}/next/{self._sent}"

    def _store(self) -> Any:
        return dist.distributed_c10d._get_default_store()

    def _wait(self, keys: list[str], at_most: timedelta) -> list[str]:
        store = self._store()
        try:
            store.wait(keys, at_most)
            return [store.get(key).decode() for key in keys]
        except RuntimeError as error:
            raise RanksError(
                "another process of torchrun is gone, or is at other work; start the same command again: finished cells stay, and training "
                "goes on from its checkpoint"
            ) from error


def follow(request: RunRequest, processes: UnitProcesses) -> None:
    """Compute what the first process says, with it, and write nothing.

    Raises:
        RanksError: another process is gone, or failed where this one did not.
    """
    registry = get_registry()
    units = expand(request, registry)
    jobs = {key: job for job in make_jobs(request, units) for key in job.units}
    by_key = {unit.key: unit for unit in units}
    live: tuple[str, LiveModel] | None = None
    with compute_threads(request.threads):
        while (work := processes.listen()) is not None:
            unit, own = by_key[work["unit"]], jobs[work["unit"]].request
            name = f"{unit.model.text} {unit.model.network}"
            failure: Exception | None = None
            try:
                if live is None or live[0] != name:
                    live = name, LiveModel(own, registry, unit.model)
                model = live[1]
                facts = establish(own, registry, unit, model)
                pending = [cell for cell in facts.cells if cell.seed in work["seeds"]]
                silent = UnitReporter(lambda event: None, unit.key, unit.label)
                for _ in compute(own, facts, model, pending, silent):
                    pass
            except RanksError:
                raise
            except (
                Exception
            ) as error:  # the first process met the same one, or there is no going on: they find out together
                failure = error
            processes.meet(failure)
