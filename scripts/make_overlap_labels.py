"""A task with several labels per sequence, from genomic intervals that overlap: windows of one chromosome, and which sets have an interval there.

    python scripts/make_overlap_labels.py SETS --fasta CHROMOSOME.fa.gz --contig chr20 -o chr20_labels.csv

SETS is a folder with ``<set>/{train,test}.csv`` (or .csv.gz) of columns sequence, class, region_grch38, start, end: rows of GenomicBenchmarks as
they are published, of which those of one contig are used. Where a row lies in the FASTA is found by its sequence, on either strand, near
where the rows before it lie, so that another assembly than that of the coordinates will do; rows that are not found are counted.

A window (500 bp, next to one another) has a label where an interval of that set and class covers half of the window, or lies in it by half
or more of its own length. Windows that no interval of any set or class touches so, negative ones included, are left out. A label that a
window lacks means that the published sets, which are samples, have no such interval there, not that nothing of the kind was seen.
Blocks of one megabase are dealt out: of five, three are train, one validation, one test, so that neighbours stay together.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from findna_bench.api import read_fasta, reverse_complement

WINDOW = 500
BLOCK = 1_000_000
SPLITS = ("train", "train", "train", "validation", "test")
NAMES = {
    ("human_enhancers_cohn", "positive"): "enhancer_cohn",
    ("human_enhancers_ensembl", "positive"): "enhancer_ensembl",
    ("human_ocr_ensembl", "positive"): "open_chromatin",
    ("human_nontata_promoters", "positive"): "nontata_promoter",
    ("human_ensembl_regulatory", "enhancer"): "regulatory_enhancer",
    ("human_ensembl_regulatory", "promoter"): "regulatory_promoter",
    ("human_ensembl_regulatory", "ocr"): "regulatory_open_chromatin",
}
"""(set, class) -> label; rows of other classes of these sets only say that a window was looked at."""
NEAR = 20_000
"""Bases around the expected place in which a sequence is looked for first."""


def rows_of(sets: Path, contig: str) -> Iterator[tuple[int, str, str, str]]:
    """(start in the coordinates of the sets, sequence, set, class) of every row on the contig."""
    for name in sorted({name for name, _ in NAMES}):
        for path in sorted((sets / name).glob("*.csv*")):
            with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
                for row in csv.DictReader(stream):
                    if row["region_grch38"].removeprefix("chr") == contig.removeprefix("chr"):
                        yield int(float(row["start"])), row["sequence"].upper(), name, row["class"]


def place(genome: str, sequence: str, expected: int) -> int:
    """Where a sequence starts on the forward strand, -1 = nowhere."""
    strands = (sequence, reverse_complement(sequence))
    around = max(0, expected - NEAR), expected + len(sequence) + NEAR
    for bounds in (around, (0, len(genome))):
        for text in strands:
            if (found := genome.find(text, *bounds)) >= 0:
                return found
    return -1


def labelled_windows(genome: str, rows: list[tuple[int, str, str, str]]) -> tuple[dict[int, set[str]], Counter[str]]:
    """Window number -> its labels, for every window that a row touches; and how many rows there are of each kind, and not found."""
    windows: dict[int, set[str]] = {}
    counts: Counter[str] = Counter()
    offset = 0
    for start, sequence, name, of_class in sorted(rows):
        found = place(genome, sequence, start + offset)
        label = NAMES.get((name, of_class))
        if found < 0:
            counts["not found"] += 1
            continue
        offset = found - start
        counts[label or "other classes"] += 1
        end = found + len(sequence)
        for window in range(found // WINDOW, (end - 1) // WINDOW + 1):
            shared = min(end, (window + 1) * WINDOW) - max(found, window * WINDOW)
            if 2 * shared >= min(WINDOW, len(sequence)):
                windows.setdefault(window, set()).update([label] if label else [])
    return windows, counts


def main() -> None:
    """Write the table, and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--fasta", type=Path, required=True)
    parser.add_argument("--contig", default="chr20")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    records = [(name, text) for name, text in read_fasta(options.fasta) if len(text) >= WINDOW]
    genome = max(records, key=lambda record: len(record[1]))[1].upper()
    windows, counts = labelled_windows(genome, list(rows_of(options.sets, options.contig)))
    labels = list(NAMES.values())
    found: Counter[str] = Counter()
    with options.output.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "sequence", *(f"label_{name}" for name in labels), "contig", "start", "end", "split"])
        for window in sorted(windows):
            text = genome[window * WINDOW : (window + 1) * WINDOW]
            if len(text) < WINDOW or text.count("N") > WINDOW // 10:
                continue
            split = SPLITS[window * WINDOW // BLOCK % len(SPLITS)]
            has = [int(name in windows[window]) for name in labels]
            found.update([split, f"{np.sum(has)} labels"])
            where = (window * WINDOW, (window + 1) * WINDOW)
            writer.writerow([f"{options.contig}:{where[0]}", text, *has, options.contig, *where, split])
    print("intervals:", ", ".join(f"{name} {n:,}" for name, n in counts.most_common()))
    print("windows:", ", ".join(f"{name} {n:,}" for name, n in sorted(found.items())))


if __name__ == "__main__":
    main()
