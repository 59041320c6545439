"""Seconds that planning takes: models x tasks x seeds, into an empty results folder and into one that holds every cell.

python benchmarks/plan.py [cells]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import findna_bench as fb
from findna_bench.files import path_segment
from findna_bench.matrix.planning import Plan
from findna_bench.registry import get_registry

SEEDS = 5


def fill(made: Plan, results: Path) -> None:
    """Write a finished result for every cell of a plan: a real one, renamed."""
    task = results.parent / "toy.csv"
    rows = [f"{'ACGT' * (5 + row % 3)},{row % 2},{'test' if row % 3 == 0 else 'train'}" for row in range(60)]
    task.write_text("\n".join(["sequence,label,split", *rows]) + "\n")
    record = fb.run(["majority"], [str(task)], seeds=1, output_dir=results.parent / "one")[0].to_dict()
    for planned in made.units:
        unit = planned.unit
        folder = results.joinpath(
            *(path_segment(part) for part in (unit.model.display_name, unit.task.suite, unit.task.task, "probe"))
        )
        folder.mkdir(parents=True)
        record["model"]["name"] = unit.model.display_name
        record["task"] |= {"suite": unit.task.suite, "name": unit.task.task}
        for cell in unit.cells:
            record |= {"request_id": cell.request_id, "identity": cell.request_id * 2, "seed": cell.seed}
            (folder / f"{cell.request_id[:16]}.json").write_text(json.dumps(record, indent=1))


def main(cells: int = 10_000) -> None:
    """Print cells and seconds of planning."""
    started = time.perf_counter()
    tasks = [card.full_name for card in get_registry().cards("tasks")]
    n_models = -(-cells // (SEEDS * len(tasks)))
    models = [f"hyenadna@random:{seed}" for seed in range(n_models)]
    print(f"{time.perf_counter() - started:.2f} s to find the plugins; {n_models} models x {len(tasks)} tasks")
    with tempfile.TemporaryDirectory() as work:
        results = Path(work) / "results"
        for words in ("no results yet", "all cells finished"):
            started, processor = time.perf_counter(), time.process_time()
            made = fb.plan(models, tasks, seeds=SEEDS, output_dir=results, data_dir=Path(work) / "data")
            seconds, processor = time.perf_counter() - started, time.process_time() - processor
            print(
                f"{made.cells:,} cells, {made.finished:,} finished ({words}): {seconds:.2f} s, {processor:.2f} s of processor time"
            )
            if not made.finished:
                fill(made, results)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
