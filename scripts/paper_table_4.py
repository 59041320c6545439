"""Table 4 of arXiv 2405.08538 from one command: per pair of augmentations a pretraining, equation 10's dissimilarity, a probe.

    python scripts/paper_table_4.py --fasta hg38.fa -o runs/table4                      # the paper's size: days on a CPU
    python scripts/paper_table_4.py --fasta chr22.fa --model findna-tiny --steps 300 --suite demo --seeds 3 -o runs/table4-tiny

What differs between the columns is the recipe alone: same windows, same initial weights, same order of rows. The same command goes
on where it was stopped, inside a pretraining too. ``-o`` holds one model folder per recipe, the results of the probe, and
``table4.json`` with what was printed. Exit code 1 if a cell has no number.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

import findna_bench as fb
from findna_bench.data.catalog import data_root
from findna_bench.errors import BenchError
from findna_bench.files import write_json
from findna_bench.leaderboard.published import Figure, load_published
from findna_bench.registry import get_registry
from findna_bench.requests.pretrain_request import PretrainRequest
from findna_bench.sequences.genome import Genome
from findna_bench.training.launch import choose_settings, pretrain
from findna_bench.training.pretrain_settings import PretrainSettings
from findna_plugins.view_divergence import recipe_divergences
from findna_plugins.views import PAPER_RECIPE, TABLE_4

DIVERGENCE_WINDOWS = 1000
_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--fasta", type=Path, action="append", required=True, help="genome; repeatable")
    made.add_argument("-o", "--output-dir", type=Path, required=True, help="model folders, results and table4.json")
    made.add_argument("--recipes", default=",".join([*TABLE_4, PAPER_RECIPE]), help="by commas; default: %(default)s")
    made.add_argument("--model", default="findna", help="whose network and preset; default: %(default)s")
    made.add_argument("--pretrain-preset", help="pretraining preset; default: the model's")
    made.add_argument("--steps", type=int, help="optimiser steps per recipe; default: the preset's")
    made.add_argument("--windows", type=int, help="training windows; default: the preset's")
    made.add_argument("--batch-size", type=int, help="sequences per step; default: the preset's")
    made.add_argument("--pretrain-seed", type=int, default=0)
    made.add_argument("--suite", default="genomic_benchmarks", help="default: %(default)s")
    made.add_argument("--tasks", help="these tasks, by commas, instead of a suite")
    made.add_argument("--preset", default="findna-paper-inferred", help="of the probe; default: %(default)s")
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument("--limit", type=int, help="at most so many rows per split, for trials; flagged")
    made.add_argument("--device", default="auto")
    made.add_argument("--data-dir", type=Path)
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Pretrain, measure, probe, print."""
    asked = parser().parse_args(words)
    recipes = [text.strip() for text in asked.recipes.split(",") if text.strip()]
    for text in recipes:
        fb.Recipe(text)  # a wrong one is refused before anything is trained
    settings, preset = choose_settings(
        asked.model,
        preset=asked.pretrain_preset,
        changes={
            "steps": asked.steps,
            "windows": asked.windows,
            "batch_size": asked.batch_size,
            "seed": asked.pretrain_seed,
        },
    )
    folders = {text: asked.output_dir / "pretrained" / text for text in recipes}
    for text, folder in folders.items():
        options = {**settings.objective_options, "recipe": text}
        own = replace(settings, objective_options=options)
        wanted = PretrainRequest(
            model=asked.model,
            output=folder,
            fasta=tuple(asked.fasta),
            preset=preset or None,
            device=asked.device,
            data_dir=asked.data_dir,
        )
        pretrain(wanted, own, reporter=_Lines(text))
    translocation = {"maximum": settings.objective_options.get("translocation_maximum")}
    divergence = recipe_divergences(_windows(asked, settings), recipes, parameters={"T": translocation})
    names = {f"path:{folder}": text for text, folder in folders.items()}
    results = fb.run(
        list(names),
        [name.strip() for name in asked.tasks.split(",")] if asked.tasks else (),
        suite=None if asked.tasks else asked.suite,
        preset=asked.preset,
        seeds=asked.seeds,
        limit=asked.limit,
        device=asked.device,
        data_dir=asked.data_dir,
        output_dir=asked.output_dir / "results",
        sanity=False,  # these weights were made here: a recipe that learns little is a result, not a damaged download
    )
    rows = table(results, names, divergence)
    print(_markdown(rows, recipes))
    steps = settings.steps or "all"
    print(
        f"\n{asked.model}, {steps} steps of {settings.batch_size} x {settings.window_length} bp; probe {asked.preset}."
    )
    print(_reasons(results))
    write_json(asked.output_dir / "table4.json", {"recipes": recipes, "rows": rows})
    return int(any(result.status in ("error", "oom") for result in results))


class _Lines:
    """Says on stderr how a pretraining goes, at most once a minute."""

    def __init__(self, recipe: str) -> None:
        self._recipe, self._last = recipe, -60.0

    def _say(self, text: str) -> None:
        print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {self._recipe}: {text}", file=sys.stderr, flush=True)

    def started(self, total_steps: int, done: int, description: str) -> None:
        self._say(f"{total_steps} steps on {description}" + (f", going on at step {done}" if done else ""))

    def progress(self, step: int, total_steps: int, values: Mapping[str, float], seconds_left: float) -> None:
        if time.monotonic() - self._last >= 60 or step == total_steps:
            self._last = time.monotonic()
            self._say(f"step {step} of {total_steps}, loss {values['loss']:.4g}, {seconds_left / 60:.0f} min left")

    def note(self, text: str) -> None:
        self._say(text)


def _windows(asked: argparse.Namespace, settings: PretrainSettings) -> list[str]:
    """Windows drawn as those of the pretraining are, from another stream."""
    genome = Genome.open(list(asked.fasta), data_root(asked.data_dir) / "fasta")
    generator = np.random.default_rng([settings.seed, DIVERGENCE_WINDOWS])
    codes, _ = genome.sample(
        DIVERGENCE_WINDOWS,
        settings.window_length,
        generator,
        sampling=settings.sampling,
        max_n_frac=settings.max_n_frac,
    )
    return [_LETTERS[row].tobytes().decode() for row in codes]


def table(
    results: Sequence[fb.Result], names: Mapping[str, str], divergence: Mapping[str, float]
) -> dict[str, dict[str, dict[str, Any]]]:
    """row -> recipe -> ``{"value", "spread", "n", "published"}``: nats for ``KL-divergence``, else percent.

    A spread is given where fits differed. ``mean`` is over the tasks that every recipe has a number for, so it is the paper's
    average only where all eight are there.
    """
    published = _published()
    rows: dict[str, dict[str, dict[str, Any]]] = {"KL-divergence": {}}
    for text, value in divergence.items():
        rows["KL-divergence"][text] = {"value": value, "published": published.get(("kl-divergence", text))}
    for task in dict.fromkeys(result.task_name for result in results):
        rows[task] = {}
        for name, text in names.items():
            cells = [r for r in results if r.task_name == task and r.model.name == name and r.status == "success"]
            values = [100 * r.metrics.main.value for r in cells if r.metrics.main.value is not None]
            if values:
                rows[task][text] = {
                    "value": statistics.fmean(values),
                    "spread": statistics.stdev(values) if len(set(values)) > 1 else None,
                    "n": len(values),
                    "published": published.get((task, text)),
                }
    whole = [task for task, row in rows.items() if task != "KL-divergence" and len(row) == len(names)]
    rows["mean"] = {
        text: {
            "value": statistics.fmean(rows[task][text]["value"] for task in whole),
            "n": len(whole),
            "published": published.get(("average", text)) if len(whole) == 8 else None,
        }
        for text in (names.values() if whole else ())
    }
    return rows


def _published() -> dict[tuple[str, str], str]:
    """(task or column, recipe) -> as printed."""
    papers = load_published(get_registry().cards("published"))
    figures: list[Figure] = [f for paper in papers for f in paper.figures if f.table == "4" and f.model == "findna"]
    return {(figure.task or figure.column, figure.variant): figure.value for figure in figures}


def _markdown(rows: Mapping[str, Mapping[str, Mapping[str, Any]]], recipes: Sequence[str]) -> str:
    lines = ["| | " + " | ".join(recipes) + " |", "|---|" + "---:|" * len(recipes)]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(_cell(row.get(text), name) for text in recipes) + " |")
    return "\n".join(lines)


def _cell(entry: Mapping[str, Any] | None, row: str) -> str:
    if entry is None:
        return "-"
    text = f"{entry['value']:.3f}" if row == "KL-divergence" else f"{entry['value']:.2f}"
    if entry.get("spread") is not None:
        text += f" ± {entry['spread']:.2f}"
    return text + (f" ({entry['published']})" if entry.get("published") else "")


def _reasons(results: Sequence[fb.Result]) -> str:
    """What the numbers do not say by themselves."""
    flags = dict.fromkeys(flag for result in results for flag in result.flags)
    lines = ["In brackets: the paper's. ± over seeds of the probe, one pretraining per recipe."]
    lines += [f"flags: {', '.join(flags)}"] if flags else []
    failed = {result.task_name: result.error.message for result in results if result.error is not None}
    lines += [f"no number for {task}: {message}" for task, message in failed.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        print(f"paper_table_4: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
        sys.exit(130)
