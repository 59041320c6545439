"""Cut the embedded samples of real sequence on which loaded weights are judged (``findna_bench/sequences/samples``).

    python scripts/make_reference_samples.py --data FOLDER [--output findna_bench/sequences/samples]

FOLDER holds the files that :data:`SOURCES` names. Of each, 16 windows of 1,000 bases are taken at equal distances, each moved on
by whole windows to the first one without N. Nothing is drawn at random: the result depends on the files alone, whose digests
``manifest.json`` records beside contigs, 0-based half-open coordinates and the digest of each sample.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from findna_bench.files import sha256_file, write_json
from findna_bench.sequences.fasta import read_fasta

ROOT = Path(__file__).resolve().parents[1]
WINDOWS = 16
LENGTH = 1000
LICENCE = "public-domain genome sequence"


@dataclass(frozen=True)
class Source:
    """A contig of a file below the data folder. species: as :func:`findna_bench.sequences.species.species` names it."""

    species: str
    assembly: str
    file: str
    contig: str
    name: str
    """Of the contig, as users know it."""


SOURCES = (
    Source("human", "GRCh37", "human/GRCh37_chr20.fa.gz", "20", "chr20"),
    Source("fly", "dm3", "small_genomes/drosophila_chr2R.fa.gz", "chr2R", "chr2R"),
    Source("yeast", "sacCer2", "small_genomes/yeast_chr2.fa", "chrII", "chrII"),
    Source(
        "e. coli", "536", "small_genomes/ecoli_536_NC_008253.fna.gz", "gi|110640213|ref|NC_008253.1|", "NC_008253.1"
    ),
    Source("p. falciparum", "3D7", "small_genomes/plasmodium_falciparum.fa.gz", "MAL14", "MAL14"),
)


def cut(sequence: str) -> list[tuple[int, str]]:
    """(start, window) of all windows."""
    found = []
    for number in range(WINDOWS):
        start = round((number + 0.5) * len(sequence) / WINDOWS) - LENGTH // 2
        while set(window := sequence[start : start + LENGTH].upper()) - set("ACGT") or len(window) < LENGTH:
            start += LENGTH
        found.append((start, window))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=ROOT / "findna_bench" / "sequences" / "samples")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    samples = {}
    for source in SOURCES:
        path = asked.data / source.file
        windows = cut(dict(read_fasta(path))[source.contig])
        target = asked.output / f"{source.species.replace('. ', '-')}.fa"
        target.write_text("".join(f">{source.name}:{start}-{start + LENGTH}\n{window}\n" for start, window in windows))
        samples[source.species] = {
            "file": target.name,
            "sha256": sha256_file(target),
            "assembly": source.assembly,
            "contig": source.name,
            "windows": [[start, start + LENGTH] for start, _ in windows],
            "source": {"file": source.file, "sha256": sha256_file(path)},
            "licence": LICENCE,
        }
    write_json(asked.output / "manifest.json", {"made_by": "scripts/make_reference_samples.py", "samples": samples})


if __name__ == "__main__":
    main()
