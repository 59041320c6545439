"""``findna-bench status``: what runs, waits and has failed in a results folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from findna_bench.cli import options, output

if TYPE_CHECKING:
    from findna_bench.matrix.run_status import UnitStatus


def status(
    output_dir: options.OutputDir = Path("results"),
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show what runs, what waits, and what has failed and why, in a folder in which any executor works, from any machine that sees it."""
    from findna_bench.matrix.run_status import run_status

    found = run_status(output_dir)
    if json:
        output.print_json(found.to_dict())
        return
    counts = ", ".join(f"{found.count(state)} {state}" for state in ("running", "waiting", "failed"))
    skipped = f", {found.skipped} skipped" if found.skipped else ""
    output.print_table(
        "status",
        ["unit", "state", "since", "executor", "job", "process", "what"],
        [_row(unit) for unit in found.units],
        notes=[f"{found.finished} result{'s' * (found.finished != 1)} finished{skipped}; model x task units: {counts}"],
    )


def _row(unit: UnitStatus) -> list[str]:
    from datetime import datetime

    since = "" if unit.since is None else f"{datetime.fromtimestamp(unit.since):%Y-%m-%d %H:%M:%S}"
    process = "" if unit.host is None else f"{unit.pid} on {unit.host}"
    cells = f" ({unit.cells} fits)" if unit.cells > 1 else ""
    what = f"{unit.reason}{cells}" if unit.state == "failed" else unit.progress
    return [unit.unit, unit.state, since, unit.executor, unit.job, process, what]
