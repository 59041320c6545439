"""Own seeds against minimap2 (``pip install mappy``): rows of a genome found again on it, at what price.

    python benchmarks/genome_places.py GENOME.fa.gz [--other OTHER.fa.gz] [--rows 2000]

Rows are windows of the genome on either strand with 0, 5 and 9 % of their bases replaced, and windows of another genome. Prints of each kind how many
have a place, how many of these the right one, and processor seconds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from findna_bench.relatedness.genome_places import Places, places_by_minimap2, places_by_seeds
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.sequences.fasta import read_fasta


def windows(path: Path, n: int, length: int, seed: int) -> tuple[list[str], list[tuple[str, int]]]:
    """n windows without N, and where they are."""
    contigs = [(name, text) for name, text in read_fasta(path) if len(text) > length]
    sizes = np.array([len(text) for _, text in contigs], dtype=float)
    generator = np.random.default_rng(seed)
    found: list[str] = []
    places = []
    while len(found) < n:
        name, text = contigs[generator.choice(len(contigs), p=sizes / sizes.sum())]
        start = int(generator.integers(0, len(text) - length))
        if "N" not in (window := text[start : start + length]):
            found.append(window)
            places.append((name, start))
    return found, places


def changed(sequence: str, share: float, generator: np.random.Generator) -> str:
    letters = list(sequence)
    for i in generator.choice(len(letters), round(share * len(letters)), replace=False):
        letters[i] = "ACGT"[("ACGT".index(letters[i]) + generator.integers(1, 4)) % 4]
    text = "".join(letters)
    return reverse_complement(text) if generator.random() < 0.5 else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("genome", type=Path)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--rows", type=int, default=2000)
    options = parser.parse_args()
    kinds: list[tuple[str, list[str], list[tuple[str, int]]]] = []
    for length in (100, 200, 500):
        for share in (0.0, 0.05, 0.09):
            rows, places = windows(options.genome, options.rows // 9, length, length)
            generator = np.random.default_rng(length)
            kinds.append((f"{length} bp, {100 * share:g} %", [changed(r, share, generator) for r in rows], places))
    if options.other is not None:
        rows, _ = windows(options.other, options.rows, 200, 0)
        kinds.append(("200 bp of the other genome", rows, [("", -1)] * len(rows)))
    everything = [row for _, rows, _ in kinds for row in rows]
    for name, method in (("seeds", places_by_seeds), ("minimap2", places_by_minimap2)):
        begin = time.process_time()
        found = method(everything, options.genome)
        print(f"{name}: {time.process_time() - begin:.1f} processor seconds for {len(everything):,} rows")
        first = 0
        for kind, rows, places in kinds:
            print(f"  {kind:<28}{_words(found, first, places)}")
            first += len(rows)


def _words(found: Places, first: int, places: list[tuple[str, int]]) -> str:
    placed = found.found[first : first + len(places)]
    right = [
        contig == found.contig[first + i] and abs(start - int(found.start[first + i])) <= 20
        for i, (contig, start) in enumerate(places)
    ]
    return f"{100 * placed.mean():6.1f} % placed, {100 * np.mean(right):6.1f} % at the right place"


if __name__ == "__main__":
    main()
