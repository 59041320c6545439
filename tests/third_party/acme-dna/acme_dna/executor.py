"""An executor written against the public API only: models at the same time, in a pool of processes."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import findna_bench.api as fb


def pool(jobs: Sequence[fb.Job], report: fb.Report) -> Iterator[fb.Settled]:
    """``--workers`` jobs at once; where a process dies, what the pool had left to do has failed."""
    processes = ProcessPoolExecutor(
        max_workers=min(jobs[0].request.workers, len(jobs)),
        mp_context=get_context("spawn"),  # a forked process cannot use a GPU that its parent has used
        initializer=os.dup2,
        initargs=(2, 1),  # what models print goes where progress goes: standard output is for the answer
    )
    try:
        running = {processes.submit(fb.run_job, job): job for job in jobs}
        for future in as_completed(running):
            job = running[future]
            try:
                yield from future.result()
            except BrokenProcessPool:
                report(fb.Note(f"{job.model}: a process of the pool died"))
                yield from fb.fail_job(job, "a process of the pool died")
    finally:  # a run that is interrupted begins nothing more
        processes.shutdown(cancel_futures=True)
