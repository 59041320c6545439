"""The executors that need no package: ``serial`` in this process, ``process`` in children that may crash or hang."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from findna_bench.matrix.events import Report, Settled
from findna_bench.matrix.job_running import settle_children, settle_job
from findna_bench.matrix.jobs import Job

__all__ = ["process", "serial"]


def serial(jobs: Sequence[Job], report: Report) -> Iterator[Settled]:
    """In this process, one unit after the other."""
    for job in jobs:
        yield from settle_job(job, report)


def process(jobs: Sequence[Job], report: Report) -> Iterator[Settled]:
    """Each job in a child process, ``workers`` at a time: a segfault, a kill by the out-of-memory killer or a hang fails one unit.

    The child that dies takes one unit with it; a new one goes on with the rest. ``timeout_s`` bounds the time a unit may take.

    Raises:
        ResultsFolderError: results cannot be written. ModelError: a unit failed and ``fail_fast`` is set.
    """
    yield from settle_children(jobs, report, workers=jobs[0].request.workers)
