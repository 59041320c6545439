"""``findna-bench worker``: joins runs that wait in a results folder."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from findna_bench.cli import options, output


def worker(
    output_dir: options.OutputDir = Path("results"),
    wait: Annotated[
        float,
        typer.Option(
            "--wait", help="Seconds to wait for further jobs, once there are none.", envvar=options.env("wait"), min=0.0
        ),
    ] = 0.0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Take up jobs of a results folder that nobody is at: of runs with the executor worker, and of what else waits in a queue."""
    from findna_bench.cli.progress import matrix_reporter
    from findna_bench.matrix.job_folders import job_folders
    from findna_bench.matrix.job_workers import work
    from findna_bench.matrix.runner import event_teller
    from findna_bench.results.store import ResultStore

    store = ResultStore.existing(output_dir)
    with matrix_reporter() as reporter, contextlib.redirect_stdout(sys.stderr):
        waiting = [(len(folder.job.units) - len(folder.settled()), folder) for folder in job_folders(output_dir)]
        cells = sum(units * len(folder.job.request.seeds) for units, folder in waiting)
        reporter.started(sum(units for units, _ in waiting), cells, 0)
        done = 0
        for settled, results in work(store, event_teller(reporter), wait_s=wait):
            reporter.unit_finished(settled.label, results, settled.seconds)
            done += 1
    output.remark(f"{done} model x task units settled, nothing is left to take up in {output_dir}")
    return 0
