"""What a matrix costs beside its computing: planning, writing, resuming, tables and comparisons of many cells.

python benchmarks/matrix_scale.py [CELLS] [--sleep SECONDS] [--fill] [--predictions] [--folder DIR]

Models, tasks and an executor of this file, installed for the time of the run: the executor sleeps where others compute, and writes a real result
of each task under the names of the cells. Every figure is of a process of its own, from its start: wall time, processor time (what is left of
it on a machine that does other things, too), the most memory, and the load of the machine, of which other processes have their share.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import findna_bench.api as fb

SEEDS, TASKS, SUITES = 5, 100, 4


def n_models() -> int:
    return int(os.environ.get("MATRIX_SCALE_MODELS", "4"))


class Guesses:
    """Says what is most frequent in train rows."""

    varies = ("validation draw",)

    def __init__(self, number: int) -> None:
        self.settings: dict[str, Any] = {}

    def fit(self, train: Any, validation: Any, seed: int, n_classes: int) -> None:
        self.shares = np.bincount(train.labels, minlength=n_classes) / len(train.labels)

    def predict_scores(self, table: Any) -> Any:
        return np.tile(self.shares, (len(table), 1))


def rows(config: Mapping[str, Any]) -> dict[str, fb.SequenceTable]:
    """Forty rows of made-up DNA for each split."""
    draw = random.Random(config["number"])
    tables = {}
    for split in ("train", "validation", "test"):
        sequences = ["".join(draw.choices("ACGT", k=30)) for _ in range(40)]
        ids = np.array([f"{split}-{row}" for row in range(40)])
        tables[split] = fb.SequenceTable(sequences, np.arange(40) % 2, ids)
    return tables


@fb.hookimpl
def findna_bench_models() -> list[fb.ModelCard]:
    return [
        fb.ModelCard(
            name=f"guesses-{number:03}",
            kind="classifier",
            factory="matrix_scale:Guesses",
            config={"number": number},
            control=number < max(1, n_models() // 20),
        )
        for number in range(n_models())
    ]


@fb.hookimpl
def findna_bench_tasks() -> list[fb.TaskCard]:
    return [
        fb.TaskCard(
            name=f"task-{number:02}",
            suite=f"scale-{number % SUITES}",
            labels=("no", "yes"),
            factory="matrix_scale:rows",
            config={"number": number},
        )
        for number in range(TASKS)
    ]


@fb.hookimpl
def findna_bench_suites() -> list[fb.SuiteCard]:
    names: dict[str, list[str]] = {}
    for card in findna_bench_tasks():
        names.setdefault(card.suite, []).append(card.full_name)
    return [fb.SuiteCard(name=suite, tasks=tuple(tasks)) for suite, tasks in names.items()]


@fb.hookimpl
def findna_bench_executors() -> list[fb.ExecutorCard]:
    return [fb.ExecutorCard(name="sleeping", factory="matrix_scale:sleeping", summary="sleeps where others compute")]


def sleeping(jobs: Sequence[fb.Job], report: Any) -> Iterator[fb.Settled]:
    """Settle all units with the results that a task had once, after the time that computing them is said to take."""
    from findna_bench.matrix.request import expand
    from findna_bench.registry import get_registry
    from findna_bench.results.store import ResultStore

    seconds = float(os.environ["MATRIX_SCALE_SLEEP"])
    computed = computed_once()
    for job in jobs:
        store = ResultStore(job.request.output_dir)
        for unit in expand(job.request, get_registry()):
            if unit.key in job.units:
                started, names = time.time(), []
                for result in made_up(unit, computed[unit.task.name]):
                    time.sleep(seconds)
                    names.append(store.name_of(store.write(result)))
                yield fb.Settled(unit.key, unit.label, tuple(names), started, time.time())


def computed_once() -> dict[str, Any]:
    """Task -> a real result."""
    from findna_bench.results.store import ResultStore

    return {result.task_name: result for result in ResultStore(Path(os.environ["MATRIX_SCALE_FOLDER"]) / "real").load()}


def made_up(unit: Any, real: Any) -> Iterator[Any]:
    """Results of the cells of a unit: a real one with their names and other scores."""
    draw = random.Random(unit.key)
    model = real.model.model_copy(update={"name": unit.model.display_name})
    for cell in unit.cells:
        value = round(draw.random(), 6)
        main = real.metrics.main.model_copy(update={"value": value})
        metrics = real.metrics.model_copy(update={"main": main, "all": real.metrics.all | {"accuracy": value}})
        ids = {"request_id": cell.request_id, "identity": cell.request_id * 2, "config_id": unit.model.display_name}
        yield real.model_copy(update={**ids, "model": model, "seed": cell.seed, "metrics": metrics})


def fill(results: Path, units: Sequence[Any]) -> None:
    """Write the results of all units, without what makes a file safe."""
    from findna_bench.results.store import ResultStore

    store, computed = ResultStore(results), computed_once()
    for unit in units:
        for result in made_up(unit, computed[unit.task.name]):
            path = store.path_of(result)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(result.model_dump_json(indent=1))


def copy_predictions(results: Path, models: Sequence[str], tasks: Sequence[str]) -> None:
    """Give the results that are compared the predictions that their tasks had once."""
    real = {path.parents[1].name: path for path in results.parent.joinpath("real").rglob("*.parquet")}
    for model in models:
        for task in tasks:
            for path in (results / model / task / "probe").glob("*.json"):
                if not (beside := path.with_suffix(".predictions.parquet")).exists():
                    os.link(real[task.partition("/")[2]], beside)


def install(folder: Path) -> None:
    """What makes this file a plugin of those who have the folder in their path."""
    shutil.copy(__file__, folder / "matrix_scale.py")
    about = folder / "matrix_scale-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: matrix_scale\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[findna_bench]\nmatrix_scale = matrix_scale\n")


def command_line(words: Sequence[str]) -> None:
    from findna_bench.cli import main

    sys.argv = ["findna-bench", *words]
    stdout, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        sys.stdout = stdout


def step(what: str) -> None:
    """The work of one process, and a line on what it took."""
    folder = Path(os.environ["MATRIX_SCALE_FOLDER"])
    results = folder / "results"
    models = [card.name for card in findna_bench_models()]
    tasks = [card.full_name for card in findna_bench_tasks()]
    cells, note = len(models) * TASKS * SEEDS, ""
    if what == "real":
        done = fb.run(models[:1], tasks, seeds=1, output_dir=folder / "real")
        if failed := [result for result in done if result.status != "success"]:
            raise SystemExit(f"{len(failed)} of {len(done)} failed: {failed[0].error}")
        return
    if what == "predictions":
        copy_predictions(results, models[-3:], tasks[:50])
        return
    if what == "all predictions":
        copy_predictions(results, models, tasks)
        return
    started = time.perf_counter()
    if what in ("run", "resume"):
        fb.run(models, tasks, seeds=SEEDS, output_dir=results, executor="sleeping")
    elif what == "fill":
        fill(results, [planned.unit for planned in fb.plan(models, tasks, seeds=SEEDS, output_dir=results).units])
    elif what == "plan everything":
        note = f", {fb.plan(models, tasks, seeds=SEEDS, output_dir=results).finished:,} finished"
    elif what == "plan 30 cells":
        command_line(
            ["plan", "-m", ",".join(models[:2]), "-t", ",".join(tasks[:3]), "--seeds", str(SEEDS), "-o", str(results)]
        )
    elif what == "load_results":
        note = f", {len(fb.load_results(results)):,} rows"
    elif what.startswith("leaderboard"):
        command_line(["leaderboard", "-o", str(results), "--markdown", str(folder / "page.md")])
        note = f", {(folder / 'page.md').stat().st_size / 1e6:.1f} MB"
    elif what == "html":
        command_line(["leaderboard", "-o", str(results), "--html", str(folder / "html")])
        note = f", {sum(path.stat().st_size for path in (folder / 'html').iterdir()) / 1e6:.1f} MB"
    elif what == "first build":
        from findna_bench.results.store import ResultStore

        note = f", {len(ResultStore(results).index()):,} results"
    else:
        command_line(["compare", *models[-3:], "-t", ",".join(tasks[:50]), "-o", str(results)])
    seconds, processor = time.perf_counter() - started, time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if what == "run":
        slept = float(os.environ["MATRIX_SCALE_SLEEP"]) * cells
        note = f", {1000 * (seconds - slept) / cells:.2f} ms beside sleeping per cell, {1000 * processor / cells:.2f} ms of the processor"
    print(
        f"| {what} | {seconds:.1f} s | {processor:.1f} s | {peak:,.0f} MB | {os.getloadavg()[0]:.0f} | {note.removeprefix(', ')} |"
    )


def run_all(cells: int, sleep: float, fill: bool, predictions: bool, folder: Path) -> None:
    """Every step in order, each in a process of its own."""
    site = folder / "site"
    site.mkdir(parents=True)
    install(site)
    models = max(4, round(cells / (TASKS * SEEDS)))
    os.environ |= {
        "MATRIX_SCALE_MODELS": str(models),
        "MATRIX_SCALE_SLEEP": str(sleep),
        "MATRIX_SCALE_FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]),
    }
    print(
        f"{models} models x {TASKS} tasks x {SEEDS} seeds = {models * TASKS * SEEDS:,} cells, {sleep:g} s of sleep each\n"
    )
    print("| step | wall | processor | most memory | load | |\n|---|--:|--:|--:|--:|---|")
    index = folder / "results" / ".index.sqlite"
    for what in (
        "real",
        "plan everything",
        "fill" if fill else "run",
        "first build",
        "plan 30 cells",
        "plan everything",
        "resume",
    ):
        if what == "first build":
            index.unlink(missing_ok=True)
            time.sleep(3)  # what was written just now would be read twice
        measured(what)
    for what in ("leaderboard", "predictions", "compare", "html", "load_results"):
        measured(what)
    if predictions:
        for what in ("all predictions", "leaderboard with predictions", "leaderboard with predictions, again"):
            measured(what)
    print(f"\nThe index has {index.stat().st_size / 1e6:.0f} MB.")


def measured(what: str) -> None:
    done = subprocess.run([sys.executable, __file__, "--step", what], stdout=subprocess.PIPE, check=True)
    if line := done.stdout.decode().strip():
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=int, nargs="?", default=2_000)
    parser.add_argument("--sleep", type=float, default=0.0, help="seconds that a cell computes")
    parser.add_argument(
        "--fill",
        action="store_true",
        help="write the results as they are, without a run: quicker, and nothing is said of running",
    )
    parser.add_argument(
        "--predictions", action="store_true", help="then give every result predictions, and make the table twice"
    )
    parser.add_argument("--folder", type=Path, help="where results are written (a new folder); temporary by default")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        step(given.step)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as work:
        run_all(given.cells, given.sleep, given.fill, given.predictions, Path(work))


if __name__ == "__main__":
    main()
