"""What the ends of rows give away in ``genomic_benchmarks-clean``, with and without the bases that its recipe cuts from them.

    python benchmarks/row_ends.py --data ../shared/data [--tasks human_enhancers_ensembl,human_ocr_ensembl] [-o benchmarks/results/row_ends.md]

Two logistic regressions on one-hot bases, as the audit fits them: on the first and the last six bases of rows, and on twelve from their
middle; fitted on train, scored on test. The rows are those of chromosomes 20, 22 and X, dealt as the recipe says; "as dealt" has them
whole, "as the suite has them" without the bases that the recipe cuts from both ends. Rows of human_enhancers_ensembl mostly start with TG and end
with CA, as intervals do whose boundaries are CAGE tags.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from findna_bench.auditing.positional import Layout, PlacedRows, logistic
from findna_bench.data.derived import Derived
from findna_bench.data.importing import import_suite
from findna_bench.data.table import SequenceTable
from findna_bench.data.task import open_task
from findna_bench.grid import markdown_table
from findna_bench.results.environment import environment, environment_line

SUITE = "genomic_benchmarks-clean"
SEQUENCES = "genomic_benchmarks/chr20_22_X"
GOAL = 2.0
"""Points that the ends may predict more than the middle."""


def rows_of(name: str, root: Path, *, trimmed: bool) -> dict[str, SequenceTable]:
    """Train and test of a task of the suite, with or without its ends."""
    task = open_task(f"{SUITE}/{name}-clean", data_dir=root, offline=True)
    config = {key: value for key, value in task.card.config.items() if trimmed or key != "trim"}
    return dict(
        Derived(
            replace(task.card, config=config), open_task(task.card.derived_from, data_dir=root, offline=True)
        ).tables
    )


def predicted(tables: Mapping[str, SequenceTable]) -> dict[str, float]:
    """Shares of test that the ends, the middle, and the majority class of train predict."""
    train, test = (tables[split] for split in ("train", "test"))
    known, asked = PlacedRows.sample(train.sequences, train.labels), PlacedRows(test.sequences, test.labels)
    layout = Layout.of(known, asked)
    most = np.bincount(train.labels).argmax()
    return {
        "ends": float((logistic(known.ends(layout), known.labels, asked.ends(layout)) == test.labels).mean()),
        "middle": float((logistic(known.middle(layout), known.labels, asked.middle(layout)) == test.labels).mean()),
        "majority": float((test.labels == most).mean()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--tasks", type=lambda text: text.split(","), default=["human_enhancers_ensembl", "human_ocr_ensembl"]
    )
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        import_suite("genomic_benchmarks", options.data / SEQUENCES, root, tasks=options.tasks)
        for name in options.tasks:
            for trimmed, words in ((False, "as dealt"), (True, "as the suite has them")):
                tables = rows_of(name, root, trimmed=trimmed)
                found = predicted(tables)
                gain = 100 * (found["ends"] - found["middle"])
                kept = "yes" if gain <= GOAL else "no"
                shares = [f"{100 * found[key]:.1f}" for key in ("ends", "middle", "majority")]
                lines.append([f"{name}-clean", words, f"{len(tables['test']):,}", *shares, f"{gain:+.1f}", kept])
    header = [
        "task",
        "rows",
        "test rows",
        "12 end bases %",
        "12 middle bases %",
        "majority %",
        "ends - middle",
        "at most 2",
    ]
    command = "python benchmarks/row_ends.py --data ../shared/data"
    text = "\n".join(
        [
            "# Ends of rows",
            "",
            f"Made by `{command}`; {environment_line(environment())}.",
            "",
            *markdown_table(header, lines, words=2),
            "",
        ]
    )
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
