"""Copies of rows at 85 and 80 % identity: how many are found, and how many rows that are no copies are taken for some.

    python benchmarks/diverged_copies.py --data ../shared/data [--rows 900] [--lengths 200,100] [-o benchmarks/results/diverged_copies.md]

Rows are windows of a genome that do not overlap. A third of them, each with 15 or 20 % of its bases replaced, on either strand, is looked up
among the other two thirds, which hold what they were made from: recall. Another third, windows of the same genome as they are, is looked up
there as well: found ones are false, or repeats that stand in the genome end to end. The last column is what the audit itself measures as its
background, on the same rows read backwards.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from planted_faults import GENOMES, genome, substituted, windows

from findna_bench.grid import markdown_table
from findna_bench.relatedness.diverged_copies import diverged_copies
from findna_bench.sequences.alphabet import reverse_complement

SHARES = (0.15, 0.20)


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the genomes")
    parser.add_argument("--rows", type=int, default=900)
    parser.add_argument("--lengths", type=lambda text: [int(n) for n in text.split(",")], default=[200, 100])
    parser.add_argument(
        "--backgrounds", type=lambda text: text.split(","), default=["worm", "human", "yeast"], help=", ".join(GENOMES)
    )
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    lines = []
    for name in options.backgrounds:
        bases = genome(options.data, name)
        for length in options.lengths:
            lines.append([name, str(length), *measured(bases, options.rows, length)])
            print(lines[-1], flush=True)
    header = ["genome", "bases", "recall at 85 % identity, %", "at 80 %", "false, %", "backwards, %"]
    command = f"python benchmarks/diverged_copies.py --data ../shared/data --rows {options.rows}"
    words = f"Made by `{command}`: {options.rows // 3} copies at each identity among {2 * options.rows // 3} rows, {options.rows // 3} rows that are no copies."
    text = "\n".join(["# Diverged copies", "", words, "", *markdown_table(header, lines, words=1), ""])
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
