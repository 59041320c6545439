"""Copies of rows at 85 and 80 % identity: how many are found, and how many rows that are no copies are taken for some.

    python benchmarks/diverged_copies.py --data ../shared/data [--rows 900,3600] [--lengths 200,100,60] [-o benchmarks/results/diverged_copies.md]

Rows are windows of a genome that do not overlap. A third of them, each with 15 or 20 % of its bases replaced, on either strand, is looked up
among the other two thirds, which hold what they were made from: recall. Another third, windows of the same genome as they are, is looked up
there as well: found ones are false, or repeats that stand in the genome end to end. Among more rows of one genome more of them have relatives by
repeats, which makes them members of a family (or they are a tandem repeat) and no copies: the column "unchanged" is what is found of copies without any change, and
the rest is left out on purpose. The last column is what the audit itself measures as its
background, on the same rows read backwards.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from planted_faults import GENOMES, genome, substituted, windows

from findna_bench.grid import markdown_table
from findna_bench.relatedness.diverged_copies import diverged_copies
from findna_bench.results.environment import environment, environment_line
from findna_bench.sequences.alphabet import reverse_complement

SHARES = (0.0, 0.15, 0.20)


def measured(bases: str, rows: int, length: int) -> list[str]:
    """Recall at each share, false positives, and the background."""
    generator = np.random.default_rng(0)
    drawn = windows(bases, rows, generator, length)
    originals, others = drawn[: 2 * rows // 3], drawn[2 * rows // 3 :]
    found = []
    for share in SHARES:
        copies = [substituted(row, share, generator) for row in originals[: rows // 3]]
        copies = [reverse_complement(copy) if i % 2 else copy for i, copy in enumerate(copies)]
        again = diverged_copies(copies, originals, np.arange(len(copies)))
        found.append(f"{100 * (again.target == again.rows).mean():.1f}")
    nothing = diverged_copies(others, originals, np.arange(len(others)))
    return [*found, f"{100 * (nothing.target >= 0).mean():.1f}", f"{100 * nothing.background:.1f}"]


def _numbers(text: str) -> list[int]:
    return [int(n) for n in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the genomes")
    parser.add_argument("--rows", type=_numbers, default=[900, 3600])
    parser.add_argument("--lengths", type=_numbers, default=[200, 100, 60])
    parser.add_argument(
        "--backgrounds", type=lambda text: text.split(","), default=["worm", "human", "yeast"], help=", ".join(GENOMES)
    )
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    lines = []
    for name in options.backgrounds:
        bases = genome(options.data, name)
        for length, rows in itertools.product(options.lengths, options.rows):
            lines.append([name, str(length), f"{rows:,}", *measured(bases, rows, length)])
            print(lines[-1], flush=True)
    header = ["genome", "bases", "rows", "unchanged, %", "85 % identity, %", "80 %, %", "false, %", "backwards, %"]
    rows = ",".join(map(str, options.rows))
    command = f"python benchmarks/diverged_copies.py --data ../shared/data --rows {rows}"
    words = [
        f"Made by `{command}`; {environment_line(environment())}. Of the rows a third, each changed to this identity, is looked up among two thirds, which hold what it was made from; the last third is no copy of any.",
        "What is not found unchanged belongs to a family of repeats, or is a tandem repeat: such rows are no copies by definition. The goal is 95 % at 85 % identity and 80 % at 80 %.",
    ]
    text = "\n".join(["# Diverged copies", "", *words, "", *markdown_table(header, lines, words=1), ""])
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
