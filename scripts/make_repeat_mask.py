"""A task with a state at every base, from a soft-masked genome: whether the base is a repeat (lower case) or not.

    python scripts/make_repeat_mask.py dm6_chr2R.fa.gz -o repeats_2R.csv

Windows (512 bp, on a grid, so that none overlap) are drawn from the longest record of the FASTA, with a fixed seed. Blocks of one megabase
are dealt out: of five, three are train, one validation, one test, so that neighbours stay together and every split is spread over the
chromosome. The state of a base is R where the genome has it in lower case, u (unique) where it has not, and ``.`` where it is N. Windows
of which more than a tenth is N are left out.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from pathlib import Path

import numpy as np

WINDOW = 512
BLOCK = 1_000_000
SPLITS = ("train", "train", "train", "validation", "test")
SEED = 0


def longest_record(path: Path) -> tuple[str, str]:
    """(name, sequence) of the longest record, case kept."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
        records = stream.read().split(">")[1:]
    parts = [record.partition("\n") for record in records]
    return max(((head.split()[0], body.replace("\n", "")) for head, _, body in parts), key=lambda pair: len(pair[1]))


def drawn_windows(genome: str, wanted: dict[str, int]) -> list[tuple[int, str]]:
    """(start, split) of windows, in order."""
    starts = np.random.default_rng(SEED).permutation(len(genome) // WINDOW) * WINDOW
    left, found = dict(wanted), []
    for start in starts.tolist():
        split = SPLITS[start // BLOCK % len(SPLITS)]
        same_block = start // BLOCK == (start + WINDOW - 1) // BLOCK
        if left[split] and same_block and genome[start : start + WINDOW].upper().count("N") <= WINDOW // 10:
            left[split] -= 1
            found.append((start, split))
    return sorted(found)


def states_of(text: str) -> str:
    """R, u or . for every base."""
    return "".join("." if base in "Nn" else "R" if base.islower() else "u" for base in text)


def main() -> None:
    """Write the table, and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fasta", type=Path)
    parser.add_argument("--train", type=int, default=600)
    parser.add_argument("--validation", type=int, default=200)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    contig, genome = longest_record(options.fasta)
    wanted = {name: getattr(options, name) for name in ("train", "validation", "test")}
    counts: dict[str, list[int]] = {name: [0, 0, 0] for name in wanted}
    with options.output.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "sequence", "states", "contig", "start", "end", "split"])
        for start, split in drawn_windows(genome, wanted):
            text = genome[start : start + WINDOW]
            states = states_of(text)
            counts[split] = [n + more for n, more in zip(counts[split], (1, len(text), states.count("R")), strict=True)]
            writer.writerow([f"{contig}:{start}", text.upper(), states, contig, start, start + WINDOW, split])
    for split, (windows, bases, repeats) in counts.items():
        print(
            f"{split}: {windows:,} windows, {bases:,} bases, {repeats:,} ({100 * repeats / max(1, bases):.1f} %) repeats"
        )


if __name__ == "__main__":
    main()
