"""Does self-distillation help a network of this size? Pretrainings with several seeds each, scored and compared as draws of one recipe.

    python scripts/make_family_pages.py pretrain networks --fasta chrX.fa.gz --fasta chr22.fa.gz --workers 2
    python scripts/make_family_pages.py score networks --work work --yeast shalem_2015.tsv.gz --repeats repeats_2R.csv
    python scripts/make_family_pages.py page networks --work work --to leaderboards/pretraining

``pretrain`` makes 19 small networks with equal windows and steps (3 to 11 minutes of a core each), by `findna-bench pretrain`: five
of FinDNA with self-distillation (the preset of findna-tiny) and five with masked nucleotides alone, three with the paper's literal
equations, and three Transformers of that size with and without self-distillation. ``score`` runs every task that was chosen beforehand
(`RUNS`) on those that are there, and ``page`` compares recipes over pretrainings, test rows and head seeds together. A network or a
score that is there is not computed again, and several calls may work at the same time.

GenomicBenchmarks, GUE and the saturation mutagenesis must have been fetched. Chromosome 20, which is held out where a task has places,
was not pretrained on.
"""

from __future__ import annotations

import csv
import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from scipy import stats

import findna_bench.api as fb
from findna_bench.comparison.comparison_records import PairedDifference, TaskComparison
from findna_bench.grid import escape, markdown_table
from findna_bench.matrix.request import PROTOCOL_VERSION
from findna_bench.results.environment import environment, environment_line
from findna_bench.statistics.paired_tests import holm, smallest_detectable

app = typer.Typer(help=__doc__.splitlines()[0], add_completion=False)

LITERAL = {
    "objective.alpha": 0.5,
    "objective.mnm_reduction": "sum",
    "objective.cl_reduction": "sum",
    "objective.teacher_momentum": 0.996,
}
"""The paper's equations: what differs in the preset findna-tiny, put back."""
TRANSFORMER = {"width": 96, "layers": 3, "heads": 4, "feedforward": 240, "positions": 510}
"""findna-t at the size of findna-tiny."""


@dataclass(frozen=True)
class Recipe:
    """One way to pretrain, and how many seeds of it there are."""

    name: str
    title: str
    seeds: int
    words: tuple[str, ...]


def _set(options: dict[str, object], prefix: str = "") -> tuple[str, ...]:
    return tuple(word for name, value in options.items() for word in ("--set", f"{prefix}{name}={value}"))


_MASKED = ("--objective", "masked_nucleotide")
_SMALL_TRANSFORMER = ("findna-t", "--preset", "findna-tiny", *_set(dict(TRANSFORMER), "backbone."))
RECIPES = (
    Recipe("distilled", "FinDNA, self-distillation", 5, ("findna-tiny",)),
    Recipe("masked", "FinDNA, masked nucleotides alone", 5, ("findna-tiny", *_MASKED)),
    Recipe("literal", "FinDNA, literal equations", 3, ("findna-tiny", *_set(dict(LITERAL)))),
    Recipe("transformer-distilled", "Transformer, self-distillation", 3, _SMALL_TRANSFORMER),
    Recipe("transformer-masked", "Transformer, masked nucleotides alone", 3, (*_SMALL_TRANSFORMER, *_MASKED)),
)
TITLES = {recipe.name: recipe.title for recipe in RECIPES}
TWINS = tuple("findna-tiny@random" + ("" if i == 0 else f":{i}") for i in range(3))
CONTROLS = ("kmer", "trivial", "majority")


@dataclass(frozen=True)
class Run:
    """One call of `findna-bench run`: what is scored how."""

    key: str
    words: tuple[str, ...]
    protocol: str
    split: str | None = None
    recipes: tuple[str, ...] = tuple(recipe.name for recipe in RECIPES)
    others: tuple[str, ...] = (*TWINS, *CONTROLS)


_PROBED = "demo/human_vs_shuffled,demo/motif_order,demo/species4,demo/motif_dose,gue/mouse_0,gue/prom_300_tata"
_CHROMOSOME_20 = "genomic_benchmarks/human_enhancers_cohn,genomic_benchmarks/human_enhancers_ensembl,genomic_benchmarks/human_ocr_ensembl"
_FINE_TUNED = ("distilled", "masked")
RUNS = (
    Run("probe", ("-t", _PROBED, "--seeds", "2"), "probe"),
    Run("repeats", ("-t", "./repeats_2R.csv", "--seeds", "1"), "probe", others=(*TWINS, "base-context", "majority")),
    Run("yeast", ("-t", "./yeast.csv", "--split", "grouped", "--seeds", "2"), "probe", "grouped"),
    Run("chromosome 20", ("-t", _CHROMOSOME_20, "--split", "chromosome:20", "--seeds", "2"), "probe", "chromosome:20"),
    Run("knn", ("-t", _PROBED, "--protocol", "knn", "--seeds", "1"), "knn"),
    Run(
        "knn yeast", ("-t", "./yeast.csv", "--protocol", "knn", "--split", "grouped", "--seeds", "1"), "knn", "grouped"
    ),
    Run(
        "knn chromosome 20",
        ("-t", _CHROMOSOME_20, "--protocol", "knn", "--split", "chromosome:20", "--seeds", "1"),
        "knn",
        "chromosome:20",
    ),
    Run(
        "variants",
        ("-t", "mpra-saturation/snv", "--protocol", "zero_shot", "--seeds", "1"),
        "zero_shot",
        others=("variant-substitution", "variant-cpg"),
    ),
    Run(
        "fine-tuning",
        ("-t", "demo/motif_order,gue/mouse_0", "--protocol", "finetune", "--seeds", "1"),
        "finetune",
        None,
        _FINE_TUNED,
        ("cnn",),
    ),
    Run(
        "fine-tuning chromosome 20",
        (
            "-t",
            "genomic_benchmarks/human_enhancers_cohn",
            "--protocol",
            "finetune",
            "--split",
            "chromosome:20",
            "--seeds",
            "1",
        ),
        "finetune",
        "chromosome:20",
        _FINE_TUNED,
        ("cnn",),
    ),
)
"""Chosen before any of these networks was scored."""
CONTRASTS = (
    ("distilled", "masked"),
    ("distilled", "literal"),
    ("transformer-distilled", "transformer-masked"),
    ("distilled", "transformer-distilled"),
    ("masked", "transformer-masked"),
)
"""What is compared; p-values are corrected over all tasks of one contrast."""

Networks = Annotated[Path, typer.Argument(help="Folder of the networks.", file_okay=False)]
Work = Annotated[Path, typer.Option("--work", help="Folder of files and results.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Data root, where suites were fetched to; default: the user's.")
]


def findna_bench(*words: str, folder: Path) -> int:
    """Call the program in a folder, where files have short names."""
    print("findna-bench", shlex.join(words), flush=True)
    program = "from findna_bench.cli import main; main()"
    return subprocess.run([sys.executable, "-c", program, *words], cwd=folder, env=os.environ).returncode


@app.command()
def pretrain(
    networks: Networks,
    fasta: Annotated[list[Path], typer.Option("--fasta", help="Sequence to learn from; repeatable.", exists=True)],
    assembly: Annotated[str, typer.Option("--assembly", help="What the sequence is of.")] = "GRCh37",
    workers: Annotated[int, typer.Option("--workers", help="Networks made at the same time, a core each.", min=1)] = 1,
) -> None:
    """Make the networks that are not there."""
    networks.mkdir(parents=True, exist_ok=True)
    data = [word for path in fasta for word in ("--fasta", str(path.absolute()))]
    most = max(recipe.seeds for recipe in RECIPES)
    waiting = [(recipe, seed) for seed in range(1, most + 1) for recipe in RECIPES if seed <= recipe.seeds]

    def make(job: tuple[Recipe, int]) -> int:
        recipe, seed = job
        name = f"{recipe.name}-{seed}"
        if _is_finished(networks / name):
            return 0
        options = (
            "--seed",
            str(seed),
            *data,
            "--assembly",
            assembly,
            "--device",
            "cpu",
            "--threads",
            "1",
            "-q",
            "-o",
            name,
        )
        return findna_bench("pretrain", *recipe.words, *options, folder=networks)

    with ThreadPoolExecutor(workers) as pool:
        codes = list(pool.map(make, waiting))
    raise typer.Exit(max(codes))


def _is_finished(network: Path) -> bool:
    report = network / "training.json"
    return report.is_file() and json.loads(report.read_text())["status"] == "finished"


@app.command()
def score(
    networks: Networks,
    work: Work,
    yeast: Annotated[
        Path, typer.Option("--yeast", help="Table of Shalem et al. 2015: sequence, log expression.", exists=True)
    ],
    repeats: Annotated[
        Path, typer.Option("--repeats", help="What scripts/make_repeat_mask.py made of Drosophila 2R.", exists=True)
    ],
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Runs (their keys); repeatable. Default: all.")
    ] = None,
    data_dir: DataDir = None,
    recipe: Annotated[
        list[str] | None, typer.Option("--recipe", help="Recipes, or `controls`; repeatable. Default: all.")
    ] = None,
) -> None:
    """Score the networks that are there, and the controls."""
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "yeast.csv").exists():
        rows = pd.read_csv(yeast, sep="\t")
        rows.columns = ["sequence", "value"]
        rows.to_csv(work / "yeast.csv", index=False)
    if not (work / "repeats_2R.csv").exists():
        (work / "repeats_2R.csv").write_bytes(repeats.read_bytes())
    codes = [0]
    for run in (run for run in RUNS if not only or run.key in only):
        chosen = [name for name in run.recipes if not recipe or name in recipe]
        models = [f"path:{network.absolute()}" for name in chosen for network in _members(networks, name)]
        models += run.others if not recipe or "controls" in recipe else ()
        if models:
            # That a network has learnt too little to predict anything is a finding here: it is flagged, not refused.
            options = ["--no-sanity", "--threads", "1", "-q", "-o", "results"]
            options += ["--data-dir", str(data_dir.absolute())] if data_dir else []
            codes.append(findna_bench("run", "-m", ",".join(models), *run.words, *options, folder=work))
    raise typer.Exit(max(codes))


def _members(networks: Path, recipe: str) -> list[Path]:
    seeds = next(r.seeds for r in RECIPES if r.name == recipe)
    return [folder for i in range(1, seeds + 1) if _is_finished(folder := networks / f"{recipe}-{i}")]


@app.command()
def page(
    networks: Networks,
    work: Work,
    to: Annotated[Path, typer.Option("--to", help="Folder of the pages.")],
    data_dir: DataDir = None,
) -> None:
    """Compare the recipes, and write README.md and families.json."""
    found = {recipe.name: len(_members(networks, recipe.name)) for recipe in RECIPES}
    results = fb.load_results(work / "results")
    results = results[results["status"] == "success"]
    tables = [scored for run in RUNS if (scored := _compared(run, networks, results, work, data_dir)) is not None]
    contrasts = {}
    for pair in CONTRASTS:
        lines = _contrast(pair, tables)
        contrasts[pair] = _over_tasks(pair, lines, results) + lines
    learned = {name: _learned(networks, name) for name, count in found.items() if count}
    to.mkdir(parents=True, exist_ok=True)
    started = _started(results)
    (to / "README.md").write_text(_page(found, tables, contrasts, learned, started))
    figures = {
        "networks": learned,
        "fine_tuning": [asdict(start) for start in started],
        "differences": [asdict(line) for lines in contrasts.values() for line in lines],
        "environment": environment(),
    }
    (to / "families.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(f"{to / 'README.md'}, {to / 'families.json'}")


@dataclass(frozen=True)
class Scored:
    """What a run came to."""

    run: Run
    comparison: fb.Comparison


def _compared(run: Run, networks: Path, results: pd.DataFrame, work: Path, data_dir: Path | None) -> Scored | None:
    """None where nothing was scored, or of one network alone."""
    tasks = run.words[run.words.index("-t") + 1].split(",")
    rows = results[(results["protocol.name"] == run.protocol) & (results["task.split"] == (run.split or "official"))]
    scored = set(rows[rows["task.name"].isin([Path(task).stem for task in tasks])]["model.name"])
    families = [name for name in run.recipes if sum(f"path:{n.name}" in scored for n in _members(networks, name)) > 1]
    others = [name for name in run.others if name in scored and name not in TWINS]
    twins = ["findna-tiny@random:*"] if scored.issuperset(TWINS) else []
    models = [*(f"family:{name}-*" for name in families), *twins, *others]
    if not families or len(models) < 2:
        return None
    places = [str(work / task) if task.startswith("./") else task for task in tasks]
    comparison = fb.compare(
        models, places, protocol=run.protocol, split=run.split, output_dir=work / "results", data_dir=data_dir
    )
    return Scored(run, comparison)


@dataclass(frozen=True)
class Line:
    """One difference, in points (hundredths of the metric), first minus second. spread: standard deviation over pretrainings."""

    protocol: str
    task: str
    metric: str
    first: str
    second: str
    scores: tuple[float, float]
    spreads: tuple[float | None, float | None]
    counts: tuple[int, int]
    value: float
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    detectable: float | None


def _contrast(pair: tuple[str, str], tables: Sequence[Scored]) -> list[Line]:
    """Every task of one contrast, corrected together."""
    names = tuple(f"family:{name}-*" for name in pair)
    lines = []
    for scored in tables:
        for task in scored.comparison.tasks:
            difference = next((d for d in task.differences if {d.first, d.second} == set(names)), None)
            if difference is not None:
                lines.append(_line(scored, task, difference, pair, turned=difference.first != names[0]))
    tested = [line for line in lines if line.p_value is not None]
    corrected = dict(
        zip(map(id, tested), holm([line.p_value for line in tested if line.p_value is not None]), strict=True)
    )
    return [replace(line, p_holm=corrected.get(id(line))) for line in lines]


def _line(scored: Scored, task: TaskComparison, d: PairedDifference, pair: tuple[str, str], *, turned: bool) -> Line:
    first, second = (task.scores[f"family:{name}-*"] for name in pair)
    low, high = (-d.high, -d.low) if turned and d.low is not None and d.high is not None else (d.low, d.high)
    return Line(
        scored.run.protocol,
        task.task.removeprefix("./"),
        task.metric,
        *pair,
        (100 * first.value, 100 * second.value),
        (_points(first.seed_sd), _points(second.seed_sd)),
        (first.n_fits, second.n_fits),
        100 * (-d.value if turned else d.value),
        _points(low),
        _points(high),
        d.p_value,
        None,
        _points(d.detectable),
    )


def _over_tasks(pair: tuple[str, str], lines: Sequence[Line], table: pd.DataFrame) -> list[Line]:
    """The mean over the tasks of each protocol: every pretraining counts once, with its mean over tasks (Welch's interval)."""
    means = []
    for protocol in dict.fromkeys(line.protocol for line in lines):
        own = [line for line in lines if line.protocol == protocol]
        if len(own) < 2:
            continue
        names = {line.task.rsplit("/", 1)[-1] for line in own}
        rows = table[(table["protocol.name"] == protocol) & table["task.name"].isin(names)]
        scores = 100 * rows.groupby(["model.name", "task.name"])["metrics.main.value"].mean().unstack().dropna().mean(
            axis=1
        )
        first, second = (scores[scores.index.str.fullmatch(rf"path:{name}-\d+")] for name in pair)
        if min(len(first), len(second)) < 2:  # networks that were scored on all of them
            continue
        test = stats.ttest_ind(first, second, equal_var=False)
        low, high = test.confidence_interval(0.95)
        width = float(test.df), float(np.sqrt(first.var() / len(first) + second.var() / len(second)))
        means.append(
            Line(
                protocol,
                f"mean of {len(names)} tasks",
                "–",
                *pair,
                (float(first.mean()), float(second.mean())),
                (float(first.std()), float(second.std())),
                (len(first), len(second)),
                float(first.mean() - second.mean()),
                float(low),
                float(high),
                float(test.pvalue),
                None,
                smallest_detectable(width[1], width[0]),
            )
        )
    return means


def _points(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _learned(networks: Path, recipe: str) -> dict[str, list[float]]:
    """Of every network: masked accuracy and cross-entropy on held-out windows after the last step."""
    rows = []
    for folder in _members(networks, recipe):
        with (folder / "log.csv").open() as text:
            last = [row for row in csv.DictReader(text) if row["split"] == "validation"][-1]
        rows.append((100 * float(last["accuracy"]), float(last["mnm"])))
    return {name: list(values) for name, values in zip(("accuracy", "nats"), zip(*rows, strict=True), strict=True)}


@dataclass(frozen=True)
class Start:
    """How the fine-tuning of one recipe's networks on one task went.

    Attributes:
        rates: chosen learning rates, one per network.
        learned: optimiser steps at the first validation that was better than the class shares of train; None = at none.
        steps: optimiser steps of the whole run.
    """

    recipe: str
    task: str
    rates: list[float]
    learned: list[int | None]
    steps: int


def _started(table: pd.DataFrame) -> list[Start]:
    """Of every recipe and task that was fine-tuned."""
    rows = table[table["protocol.name"] == "finetune"]
    starts = []
    for task in dict.fromkeys(rows["task.name"]):
        for recipe in _FINE_TUNED:
            own = rows[(rows["task.name"] == task) & rows["model.name"].str.fullmatch(rf"path:{recipe}-\d+")]
            if own.empty:
                continue
            validations = [json.loads(text) for text in own["validation"]]
            chosen = [validation["selected"] for validation in validations]
            paths = [validation["metrics"]["path"] for validation in validations]
            learned = [next((int(at["step"]) for at in path if at["learned"]), None) for path in paths]
            rates = [float(row["lr"]) for row in chosen]
            starts.append(Start(recipe, task, rates, learned, max(int(row["steps"]) for row in chosen)))
    return starts


# ------------------------------------------------------------------------------------------------------------------- the page


def _page(
    found: dict[str, int],
    tables: Sequence[Scored],
    contrasts: dict[tuple[str, str], list[Line]],
    learned: dict[str, dict[str, list[float]]],
    started: Sequence[Start],
) -> str:
    made = ", ".join(f"{count} x {TITLES[name]}" for name, count in found.items() if count)
    lines = [
        "# Does self-distillation help a network of 0.3 M parameters?",
        "",
        "Made by `python scripts/make_family_pages.py page networks --work work --to leaderboards/pretraining`, after `pretrain` and `score` of that script; its docstring "
        "says what is done and which tasks were chosen beforehand.",
        "",
        f"* {environment_line(environment(), PROTOCOL_VERSION)}",
        "",
        f"Networks: {made}. All saw the same number of windows (1,300 steps of 16 x 500 bp of human chromosomes 22 and X), networks of one seed "
        "the same windows. Tasks, protocols and contrasts were fixed before any network was scored. Recipes are presets: beside the loss, the views of self-distillation "
        "differ (noise, reverse complement), and a translocation goes 20 bases far in it and anywhere with masked nucleotides alone.",
        "",
        "A difference is between recipes: its interval and p-value take pretrainings as draws, with test rows and head seeds "
        "([how](../../docs/reference/statistics.md)). Five against five find a true difference of 3.4 points in 41 of 100 cases where pretrainings spread by 2.3 points, one "
        "of 5 points in 72, one of 7 in 95; three against three find 21, 40 and 65 "
        "([simulated](../../benchmarks/results/family_differences.md)). What is not found may be there.",
        "",
        "## What they learned",
        "",
        *markdown_table(
            ("recipe", "networks", "masked accuracy, %", "cross-entropy, nats"),
            [_learned_row(*item) for item in learned.items()],
        ),
        "",
        "On 400 held-out windows of the same chromosomes; mean and standard deviation over pretrainings.",
        "",
        "Below, ± is the standard deviation over pretrainings. Holm's correction is over all tasks of one table. A mean over tasks speaks of these tasks: each network counts once, with its "
        "mean, and the interval is Welch's over networks.",
        "",
    ]
    for pair, rows in contrasts.items():
        if rows:
            lines += [
                f"## {TITLES[pair[0]]} minus {TITLES[pair[1]]}",
                "",
                *_differences(rows),
                "",
            ]
    if started:
        lines += [
            "## How fine-tuning went",
            "",
            *markdown_table(
                ("recipe", "task", "networks", "learning rates chosen", "first learned at step", "of steps"),
                [_started_row(start) for start in started],
            ),
            "",
            "The default preset tries five rates on validation and trains the best one. A network has learned at the first validation whose loss is clearly below that of the class shares of train.",
            "",
        ]
    lines += ["## Scores, beside untrained twins and controls", ""]
    for scored in tables:
        lines += [*_scores(scored), ""]
    return "\n".join(lines)


def _learned_row(name: str, figures: dict[str, list[float]]) -> tuple[str, ...]:
    digits = {"accuracy": 2, "nats": 4}
    return (TITLES[name], str(len(figures["accuracy"])), *(_mean_sd(figures[key], digits[key]) for key in digits))


def _started_row(start: Start) -> tuple[str, ...]:
    rates = ", ".join(f"{rate:g} ({start.rates.count(rate)})" for rate in sorted(set(start.rates)))
    never = start.learned.count(None)
    steps = sorted(step for step in start.learned if step is not None)
    span = " to ".join(map(str, dict.fromkeys((steps[0], steps[-1])))) if steps else ""
    at = ", ".join(filter(None, (span, f"never ({never})" if never else "")))
    return TITLES[start.recipe], escape(start.task), str(len(start.rates)), rates, at, str(start.steps)


def _mean_sd(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def _differences(lines: Sequence[Line]) -> list[str]:
    header = (
        "protocol",
        "task",
        "metric x100",
        lines[0].first,
        lines[0].second,
        "difference [95 % interval]",
        "p",
        "p (Holm)",
        "smallest detectable",
    )
    return markdown_table(header, [_difference_row(line) for line in lines])


def _difference_row(line: Line) -> tuple[str, ...]:
    scores = (
        f"{score:.2f}" + ("" if spread is None else f" ± {spread:.2f}") + f" n={count}"
        for score, spread, count in zip(line.scores, line.spreads, line.counts, strict=True)
    )
    interval = "" if line.low is None or line.high is None else f" [{line.low:+.2f}, {line.high:+.2f}]"
    return (
        line.protocol,
        escape(line.task),
        line.metric,
        *scores,
        f"{line.value:+.2f}{interval}",
        _p(line.p_value),
        _p(line.p_holm),
        "–" if line.detectable is None else f"{line.detectable:.2f}",
    )


def _p(value: float | None) -> str:
    return "–" if value is None else ("< 0.0001" if value < 1e-4 else f"{value:.4f}")


def _scores(scored: Scored) -> list[str]:
    comparison = scored.comparison
    models = [model.name for model in comparison.models]
    header = (f"{scored.run.protocol}", *(escape(_title(name)) for name in models))
    rows = []
    for task in comparison.tasks:
        cells = []
        for name in models:
            score = task.scores.get(name)
            cells.append(
                "–"
                if score is None
                else f"{100 * score.value:.2f}" + ("" if score.seed_sd is None else f" ± {100 * score.seed_sd:.2f}")
            )
        rows.append((escape(f"{task.task.removeprefix('./')} ({task.metric} x100)"), *cells))
    return markdown_table(header, rows)


def _title(name: str) -> str:
    return TITLES.get(name.removeprefix("family:").removesuffix("-*"), name)


if __name__ == "__main__":
    app()
