"""Workers that are started by hand: they take up the jobs that lie in a results folder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from findna_bench.errors import UsageError
from findna_bench.matrix.events import Note, Report, Settled
from findna_bench.matrix.job_folders import JobFolder, follow_jobs, job_folders, open_jobs
from findna_bench.matrix.jobs import Job, settle_finished
from findna_bench.results.schema import Result, read_result
from findna_bench.results.store import ResultStore

__all__ = ["work", "worker"]

_LOOK_EVERY_S = 1.0


def worker(jobs: Sequence[Job], report: Report) -> Iterator[Settled]:
    """Each job by one of the processes ``findna-bench worker``, on any machine that sees the results folder. One that dies is made up
    for by the next that comes.
    """
    opened = open_jobs(jobs, "worker", lambda folder: True)
    yield from opened.settled
    folders = [*opened.waiting, *opened.new]
    if folders:
        folder = jobs[0].request.output_dir
        report(
            Note(f"{len(folders)} jobs wait for `findna-bench worker --output-dir {folder}`, on this machine or others")
        )
    try:
        yield from follow_jobs(folders, lambda folder: None, lambda lost: None, report, every_s=_LOOK_EVERY_S)
    finally:
        for one in folders:  # nobody waits for them any more
            one.close()


def work(store: ResultStore, report: Report, *, wait_s: float = 0.0) -> Iterator[tuple[Settled, list[Result]]]:
    """Compute the jobs of a results folder that no living process is at, whoever has sent them, until there are none.

    Args:
        store: the results folder.
        report: takes events on the way.
        wait_s: seconds to wait for further jobs, once there are none.

    Yields:
        Each unit, with its results.

    Raises:
        ResultsFolderError: results cannot be written.
    """
    unknown, idle_since = set[str](), time.monotonic()
    while True:
        for folder in job_folders(store.root):
            if folder.path.name in unknown or not _known_here(folder, report):
                unknown.add(folder.path.name)
                continue
            for settled in folder.compute(report, alone=True, by="worker"):
                yield settled, [read_result(store.root / name) for name in settled.results]
                idle_since = time.monotonic()
        if time.monotonic() - idle_since >= wait_s:
            return
        time.sleep(_LOOK_EVERY_S)


def _known_here(folder: JobFolder, report: Report) -> bool:
    """Whether this process has the plugins and files of a job."""
    try:
        settle_finished(folder.job)
    except UsageError as error:
        report(Note(f"{folder.job.model} is left to others: {error}"))
        return False
    return True
