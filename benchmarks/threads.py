"""Whose numbers depend on threads or on the batch size: scores of test rows, bit by bit, against one thread and ``auto``.

    python benchmarks/threads.py [--limit 100] [--models NAME,NAME] [--protocol NAME] [--out FILE.md]

What differs here is part of an identity (``findna_bench/matrix/identity.py``): the threads of everything with a head and of
classifiers that do not declare otherwise, the batch size of encoders. Nothing here shows that a bit never changes elsewhere, so
an identity may hold more than this table asks for.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import findna_bench as fb
from findna_bench.protocols.fine_tuning import FineTuneOptions, FineTuning, LabelledRows, fine_tune
from findna_bench.results.store import ResultStore, read_predictions
from findna_bench.threads import compute_threads

TASK = "demo/species4"
KINDS = (
    ("encoder", "findna-tiny", "probe"),
    ("encoder", "hyenadna@random", "probe"),
    ("encoder", "hyenadna@random", "knn"),
    ("encoder", "findna-tiny", "two epochs"),
    ("features", "kmer", "probe"),
    ("classifier", "cnn", "probe"),
    ("classifier", "trivial", "probe"),
    ("classifier", "nn-overlap", "probe"),
    ("classifier", "majority", "probe"),
)
SETTINGS = ({"threads": 1}, {"threads": 2}, {"threads": 4}, {"threads": 1, "batch_size": 3})


def measure(model: str, protocol: str, limit: int) -> Iterator[tuple[dict[str, int], float, np.ndarray, str, float]]:
    """(settings, accuracy, scores, identity, seconds) per setting, each with caches of its own."""
    if protocol == "two epochs":
        yield from fine_tune_briefly(model, limit)
        return
    for settings in SETTINGS:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            result = fb.run(
                [model],
                [TASK],
                protocol=protocol,
                seeds=1,
                limit=limit,
                overwrite="always",
                output_dir=folder,
                **settings,
            )[0]
            seconds = time.perf_counter() - started
            if result.status != "success":
                raise SystemExit(f"{model}: {result.error.message if result.error else result.status}")
            path = ResultStore(Path(folder)).path_of(result).with_suffix(".predictions.parquet")
            scores = read_predictions(path, len(result.task.labels)).scores
            yield settings, result.metrics.main.value or 0.0, scores, (result.identity or "")[:8], seconds


def fine_tune_briefly(model: str, limit: int) -> Iterator[tuple[dict[str, int], float, np.ndarray, str, float]]:
    """As :func:`measure`, for an encoder trained for two epochs; the protocol's own training takes too long for a table."""
    task = fb.load_task(TASK)
    train, test = task.load("train"), task.load("test")
    few, some = (table.take(np.linspace(0, len(table) - 1, limit).astype(int)) for table in (train, test))
    for settings in SETTINGS:
        with compute_threads(settings["threads"]):
            started = time.perf_counter()
            rows = LabelledRows(few, few, len(task.label_names))
            options = FineTuneOptions(batch_size=settings.get("batch_size", "auto"))
            preset = FineTuning(lr=1e-3, batch_size=16, epochs=2)
            tuned = fine_tune(fb.load_model(model, device="cpu"), rows, preset, options=options)
            scores = tuned.predict_scores(some)
            accuracy = float((scores.argmax(1) == some.labels).mean())
            yield settings, accuracy, scores, "-", time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=100, help="rows per split")
    parser.add_argument("--models", default="", help="some of the models, by commas")
    parser.add_argument("--protocol", default="", help="one of the column protocol")
    parser.add_argument("--out", type=Path, help="write the table here, too")
    arguments = parser.parse_args()
    wanted = set(filter(None, arguments.models.split(",")))
    lines = [
        f"{TASK}, {arguments.limit} rows per split, seed 0, CPU.",
        "",
        "| kind | model | protocol | threads | batch size | accuracy | scores that differ | by at most | identity | seconds |",
        "|---|---|---|--:|---|--:|--:|--:|---|--:|",
    ]
    for kind, model, protocol in KINDS:
        if (wanted and model not in wanted) or arguments.protocol not in ("", protocol):
            continue
        first: np.ndarray | None = None
        for settings, accuracy, scores, identity, seconds in measure(model, protocol, arguments.limit):
            first = scores if first is None else first
            lines.append(
                f"| {kind} | {model} | {protocol} | {settings['threads']} | {settings.get('batch_size', 'auto')} "
                f"| {100 * accuracy:.2f} | {100 * np.mean(scores != first):.0f} % | {np.abs(scores - first).max():.0e} "
                f"| {identity} | {seconds:.1f} |"
            )
            print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
