"""``findna-bench plan``: what ``run`` with the same options would do."""

from __future__ import annotations

from typing import Any

from findna_bench.cli import options, output
from findna_bench.cli.requested import requested
from findna_bench.requests.run_request import RunRequest


@requested(RunRequest)
def plan(request: RunRequest, json: options.Json = False) -> None:
    """Show the cells of a run, what is finished, and the time the rest may take; opens no data and no weights."""
    from findna_bench.collecting import no_collection

    with no_collection():
        _show(request, json)


def _show(request: RunRequest, json: bool) -> None:
    from findna_bench.matrix.planning import plan as make_plan

    made = make_plan(request)
    rows: list[dict[str, Any]] = [
        {
            "model": unit.unit.model.display_name,
            "task": unit.unit.task.name,
            "shots": unit.unit.shots,
            "cells": unit.cells,
            "finished": unit.finished,
            "failed": unit.failed,
            "seconds": unit.seconds,
            "remark": unit.remark,
        }
        for unit in made.units
    ]
    if json:
        output.print_json(rows)
        return
    seconds = f"about {made.seconds:.0f} s to go" if made.seconds is not None else "time to go not known yet"
    output.print_table(
        "plan",
        ["model", "task", "cells", "finished", "failed", "seconds to go", "remark"],
        [
            [
                row["model"],
                row["task"] + (f" {row['shots']}-shot" if row["shots"] else ""),
                *(str(row[name]) for name in ("cells", "finished", "failed")),
                "?" if row["seconds"] is None else f"{row['seconds']:.1f}",
                row["remark"],
            ]
            for row in rows
        ],
        notes=[
            f"{made.cells} cell{'s' * (made.cells != 1)}, {made.finished} finished, {made.failed} failed, {made.to_do} to compute, {seconds}"
        ],
    )
