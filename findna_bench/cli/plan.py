"""``findna-bench plan``: what ``run`` with the same options would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from findna_bench.cli import options, output
from findna_bench.cli import run as run_verb
from findna_bench.threads import DEFAULT_THREADS


def plan(
    ctx: typer.Context,
    models: options.Models = None,
    tasks: options.Tasks = None,
    suite: options.Suites = None,
    protocol: run_verb.Protocol = "probe",
    preset: run_verb.Preset = "default",
    seeds: run_verb.Seeds = "5",
    shots: run_verb.Shots = None,
    shot_validation: run_verb.ShotValidation = "within",
    weights: options.Weights = None,
    network: run_verb.Network = None,
    pooling: run_verb.Pooling = None,
    layer: run_verb.Layer = -1,
    strand: run_verb.Strand = "forward",
    window: run_verb.Window = None,
    split: run_verb.Split = "official",
    selection: run_verb.Selection = "validation",
    search: run_verb.Search = None,
    device: options.Device = "auto",
    dtype: run_verb.Dtype = "auto",
    batch_size: run_verb.BatchSize = "auto",
    threads: run_verb.Threads = DEFAULT_THREADS,
    limit: run_verb.Limit = None,
    output_dir: options.OutputDir = Path("results"),
    data_dir: options.DataDir = None,
    config: run_verb.Config = None,
    offline: options.Offline = False,
    no_sanity: run_verb.NoSanity = False,
    overwrite: run_verb.Overwrite = "failed",
    fail_fast: run_verb.FailFast = False,
    executor: run_verb.Executor = "serial",
    timeout: run_verb.Timeout = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show the cells of a run, what is finished, and the time the rest may take; opens no data and no weights."""
    request = run_verb.request_from(options.with_config(ctx, config))
    from findna_bench.matrix.plan import plan as make_plan

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
