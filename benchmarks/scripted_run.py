"""``findna-bench run`` of six models on eight tasks, beside a script that does the same with scikit-learn, at the same time.

    OMP_NUM_THREADS=1 python benchmarks/scripted_run.py [--limit 100] [--seeds 3] [--rounds 3] [--output FILE.md]

The script (:func:`script`) is written as people write it: each task and encoder is embedded once, 32 rows at a time as they come, padded to
the longest, FinDNA in its authors' formulation and HyenaDNA as published; per seed a tenth of train is held out and GridSearchCV chooses
the strength of a logistic regression on standardised vectors there. k-mers are CountVectorizer's with k = 1 to 6 in the same grid, length
and composition go into boosted trees, the majority is DummyClassifier's. Both sides are processes of their own with empty caches, which run at the same time: their times are those of
the processor, from start to end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

ENCODERS = ("findna-tiny", "findna-tiny@random", "hyenadna@random")
CONTROLS = ("kmer", "trivial", "majority")
TASKS = (
    "demo/human_vs_shuffled", "demo/motif_order", "demo/species4", "synthetic/planted_motif", "synthetic/strand_symmetric_motif",
    "synthetic/motif_order", "synthetic/spacing", "synthetic/gc_content",
)  # fmt: skip
GRID = np.logspace(-4, 4, 9)
PARTS = ("imports and models", "embedding", "heads of encoders", "k-mers", "composition", "majority")
ABOUT = """The script embeds every task once per encoder, 32 rows at a time padded to the longest (FinDNA as its authors write it, HyenaDNA as
published), and fits with scikit-learn: StandardScaler and LogisticRegression with nine strengths in GridSearchCV, chosen on a held-out tenth of train per seed;
CountVectorizer with k = 1 to 6 in the same grid; HistGradientBoostingClassifier on length and composition; DummyClassifier. `run` does what it always does: it checks weights and rows,
tries strengths and words, and writes results with intervals and predictions. Both are processes of their own with empty caches; times are of the processor, from start to end.
The encoders are tiny and the tasks small so that a round takes minutes, so start-up is a visible part of `run`."""


def script(folder: Path, seeds: int) -> dict[str, Any]:
    """What people write: {"model/task": mean accuracy over seeds}, and the processor seconds of each part."""
    import time

    from cpu_steps import Plain, load, plain_vectors
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, PredefinedSplit, train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    spent = dict.fromkeys(PARTS, 0.0)
    models = {name: Plain(load(name)).eval() for name in ENCODERS}
    last = 0.0

    def lap(part: str) -> None:
        nonlocal last
        now = time.process_time()
        spent[part] += now - last
        last = now

    lap("imports and models")
    scores: dict[str, list[float]] = {}
    for file in sorted(folder.glob("*.json")):
        task = json.loads(file.read_text())
        (train_x, train_y), (test_x, test_y) = task["train"], task["test"]
        vectors = {name: (plain_vectors(m, train_x), plain_vectors(m, test_x)) for name, m in models.items()}
        lap("embedding")
        for seed in range(seeds):
            held = train_test_split(np.arange(len(train_y)), test_size=0.1, stratify=train_y, random_state=seed)[1]
            fold = np.full(len(train_y), -1)
            fold[held] = 0

            def grid(model: Any, settings: dict[str, Any], fold: np.ndarray = fold) -> Any:
                return GridSearchCV(model, settings, cv=PredefinedSplit(fold), scoring="neg_log_loss")

            fits: list[tuple[str, Any, Any, Any, str]] = [
                (
                    name,
                    grid(
                        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
                        {"logisticregression__C": GRID},
                    ),
                    *vectors[name],
                    "heads of encoders",
                )
                for name in ENCODERS
            ]
            words = make_pipeline(
                CountVectorizer(analyzer="char"), StandardScaler(with_mean=False), LogisticRegression(max_iter=1000)
            )
            sizes = {"countvectorizer__ngram_range": [(k, k) for k in range(1, 7)], "logisticregression__C": GRID}
            fits += [
                ("kmer", grid(words, sizes), train_x, test_x, "k-mers"),
                ("trivial", HistGradientBoostingClassifier(random_state=seed), composition(train_x), composition(test_x), "composition"),
                ("majority", DummyClassifier(), train_x, test_x, "majority"),
            ]  # fmt: skip
            for name, model, x, other, part in fits:
                model.fit(x, train_y)
                right = np.mean(model.predict(other) == np.array(test_y))
                scores.setdefault(f"{name}/{task['name']}", []).append(float(right))
                lap(part)
    return {"scores": {key: statistics.mean(found) for key, found in scores.items()}, "seconds": spent}


def composition(sequences: Sequence[str]) -> np.ndarray:
    pairs = [a + b for a in "ACGT" for b in "ACGT"]
    return np.array([[len(s), *(s.count(p) / len(s) for p in ("G", "C", *pairs))] for s in sequences])


def write_rows(folder: Path, limit: int) -> None:
    """As many rows of either split as ``run --limit`` reads, for the script."""
    import findna_bench as fb

    for name in TASKS:
        task, data = fb.load_task(name), {}
        for split in ("train", "test"):
            rows = task.load(split)
            rows = rows.take(np.linspace(0, len(rows) - 1, min(limit, len(rows))).astype(int))
            data[split] = [rows.sequences, rows.labels.tolist()]
        (folder / f"{name.replace('/', '-')}.json").write_text(json.dumps({"name": name, **data}))


# ------------------------------------------------------------------------------------------------------------- both ways


def start(words: Sequence[str], cache: Path, log: Path) -> subprocess.Popen[str]:
    """A process of its own session, so that both ways get the same share of a busy machine."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cache)}
    with log.open("w") as output:
        command = [sys.executable, *words]
        return subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, text=True, start_new_session=True
        )


def processor_seconds(process: subprocess.Popen[str], log: Path) -> float:
    """User and system time of a process, from start to end."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(log.read_text())
    return used.ru_utime + used.ru_stime


def a_round(rows: Path, limit: int, seeds: int) -> dict[str, Any]:
    """Both ways at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        out, logs = Path(folder) / "results", [Path(folder) / name for name in ("ours.log", "script.log")]
        words = ["run", "--models", ",".join([*ENCODERS, *CONTROLS]), "--tasks", ",".join(TASKS), "--seeds", str(seeds)]
        words += ["--limit", str(limit), "--threads", "1", "--output-dir", str(out)]
        command = ["-c", "from findna_bench.cli import main; main()", *words]
        run = start(command, Path(folder) / "cache", logs[0])
        plain = start([__file__, "--script", str(rows), "--seeds", str(seeds)], Path(folder) / "other", logs[1])
        ours, theirs = processor_seconds(run, logs[0]), processor_seconds(plain, logs[1])
        found = [json.loads(file.read_text()) for file in out.rglob("*.json")]
        cells = [(r["model"], r["metrics"]["main"]["value"]) for r in found if r.get("status") == "success"]
        script_found = json.loads(logs[1].read_text().splitlines()[-1])
    scores = {key: value for key, value in script_found["scores"].items() if key.startswith(ENCODERS)}
    return {
        "ours": ours,
        "plain": theirs,
        "parts": script_found["seconds"],
        "cells": len(cells),
        "ours_mean": statistics.mean(value for model, value in cells if model["kind"] == "encoder"),
        "plain_mean": statistics.mean(scores.values()),
    }


def page(rounds: Sequence[dict[str, Any]], arguments: argparse.Namespace) -> str:
    from cpu_steps import processor
    from sklearn import __version__ as sklearn_version

    ratios = [r["plain"] / r["ours"] for r in rounds]
    middle = {side: statistics.median(r[side] for r in rounds) for side in ("ours", "plain")}
    spread = {side: f"{min(r[side] for r in rounds):.1f} to {max(r[side] for r in rounds):.1f}" for side in middle}
    parts = {part: statistics.median(r["parts"][part] for r in rounds) for part in PARTS}
    command = f"python benchmarks/scripted_run.py --limit {arguments.limit} --seeds {arguments.seeds} --rounds {arguments.rounds}"
    return "\n".join(
        [
            "# A run of six models on eight tasks, beside a script with scikit-learn",
            "",
            f"`{command}`",
            "",
            f"{processor()}; scikit-learn {sklearn_version}, 1 thread; {len(rounds)} rounds, both ways at the same time. "
            f"{arguments.limit} rows of train and of test, {arguments.seeds} seeds, {rounds[0]['cells']} results.",
            "",
            "| | seconds of the processor, median | least to greatest |",
            "|---|--:|--:|",
            f"| `findna-bench run` | {middle['ours']:.1f} | {spread['ours']} |",
            f"| the script | {middle['plain']:.1f} | {spread['plain']} |",
            "",
            f"The script takes **{statistics.median(ratios):.2f} times** as long ({min(ratios):.2f} to {max(ratios):.2f}; goal 3). "
            f"Of its seconds: {', '.join(f'{part} {used:.1f}' for part, used in parts.items())}.",
            f"Mean accuracy of the encoders: {100 * rounds[0]['ours_mean']:.1f} and {100 * rounds[0]['plain_mean']:.1f} % (other rows are held out).",
            "",
            f"Models: {', '.join([*ENCODERS, *CONTROLS])}. Tasks: {', '.join(TASKS)}.",
            "",
            ABOUT,
            "",
        ]
    )


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=100, help="rows of train and of test")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--script", type=Path, help="the script's side alone, on rows written before")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    if arguments.script:
        print(json.dumps(script(arguments.script, arguments.seeds)))
        return
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder), arguments.limit)
        for _ in range(arguments.rounds):
            rounds.append(a_round(Path(folder), arguments.limit, arguments.seeds))
            print(json.dumps(rounds[-1]), flush=True)
    text = page(rounds, arguments)
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
