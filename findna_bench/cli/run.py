"""``findna-bench run``: models x tasks x seeds under one protocol."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace

from findna_bench.cli import options, output
from findna_bench.cli.requested import requested
from findna_bench.requests.declarations import to_words
from findna_bench.requests.run_request import RunRequest
from findna_bench.torchrun import is_first


@requested(RunRequest)
def run(request: RunRequest, json: options.Json = False) -> int:
    """Run models on tasks; finished cells are skipped, and the table is printed at the end."""
    from findna_bench.cli.progress import matrix_reporter
    from findna_bench.leaderboard.fit_intervals import kept_intervals
    from findna_bench.leaderboard.screen import render_screen
    from findna_bench.leaderboard.table_building import leaderboard
    from findna_bench.matrix.runner import run as run_matrix
    from findna_bench.results.store import ResultStore

    request = replace(request, command=to_words(request, "run"))
    # What a plugin prints goes where progress goes: stdout holds the answer and nothing else.
    with matrix_reporter() as reporter, contextlib.redirect_stdout(sys.stderr):
        results = run_matrix(request, reporter=reporter)
    if not is_first():  # of the processes of torchrun one speaks
        return 0
    if json:
        output.print_json([result.to_dict() for result in results])
    else:
        store = ResultStore(request.output_dir)
        tasks = {result.task_name for result in results}
        with kept_intervals(store) as intervals:
            board = leaderboard(
                results, include_limited=True, predictions=store.predictions, intervals=intervals, expected=tasks
            )
        render_screen(board)
        output.remark(f"results are in {request.output_dir}")
    return int(any(result.status in ("error", "oom") for result in results))
