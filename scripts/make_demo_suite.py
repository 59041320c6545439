"""Cut the embedded demo suite from real, public sequence: small tasks with official train and test splits, three of classes, one of values, one of variants.

    python scripts/make_demo_suite.py [--data FOLDER] [--output plugins/findna_plugins/demo_data]

FOLDER holds ``human/GRCh37_chr20.fa.gz`` and ``small_genomes/`` with Drosophila 2R, P. falciparum and E. coli 536, all gzipped FASTA.
Windows lie side by side on a grid and none is used twice; train and test are cut from different regions or chromosomes, and
each task from human regions of its own. The result depends on the seed and these files alone; ``manifest.json`` beside it
says from what, how many and with which digests.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from findna_bench.data.table import SequenceTable
from findna_bench.data.task_store import count_classes
from findna_bench.files import sha256_file, write_json
from findna_bench.sequences.fasta import Fasta
from findna_bench.sequences.shuffling import dinucleotide_shuffle

ROOT = Path(__file__).resolve().parents[1]
SEED = 20240513
SPLITS = ("train", "test")
MB = 1_000_000

# Both motifs begin with GA and end with GA: the two orders of a pair then have the same counts of all words of up to three
# letters, whatever lies around and between the motifs. GATA and CRE binding sites, embedded in that frame.
MOTIFS = {"cre": "GACGTCACGA", "gata": "GATAAGCAGA"}
TOUCHING = 0.65
LONGEST_GAP = 40


@dataclass(frozen=True)
class Source:
    """A file below the data folder and what it is."""

    file: str
    name: str
    contigs: dict[str, str]
    """Name in the file -> name in the suite."""


SOURCES = {
    "human": Source("human/GRCh37_chr20.fa.gz", "Homo sapiens GRCh37 chromosome 20", {"20": "20"}),
    "drosophila": Source("small_genomes/drosophila_chr2R.fa.gz", "Drosophila melanogaster dm3 2R", {"chr2R": "2R"}),
    "ecoli": Source(
        "small_genomes/ecoli_536_NC_008253.fna.gz",
        "Escherichia coli 536, NC_008253.1",
        {"gi|110640213|ref|NC_008253.1|": "NC_008253.1"},
    ),
    "plasmodium": Source(
        "small_genomes/plasmodium_falciparum.fa.gz",
        "Plasmodium falciparum 3D7, MAL1 to MAL14",
        {f"MAL{i}": f"MAL{i}" for i in range(1, 15)},
    ),
}


@dataclass(frozen=True)
class Region:
    """Where a split's windows of one source come from: contigs as in the file, 0-based half-open bounds (None = all)."""

    contigs: tuple[str, ...]
    start: int = 0
    end: int | None = None


HUMAN_REGIONS = {
    "human_vs_shuffled": {"train": Region(("20",), 1 * MB, 9 * MB), "test": Region(("20",), 31 * MB, 41 * MB)},
    "motif_order": {"train": Region(("20",), 9 * MB, 17 * MB), "test": Region(("20",), 41 * MB, 51 * MB)},
    "species4": {"train": Region(("20",), 17 * MB, 25 * MB), "test": Region(("20",), 51 * MB, 61 * MB)},
    "motif_dose": {"train": Region(("20",), 25 * MB, 26 * MB), "test": Region(("20",), 61 * MB, 61 * MB + 900_000)},
    "motif_variants": {
        "train": Region(("20",), 100_000, 1 * MB),
        "test": Region(("20",), 61 * MB + 900_000, 62 * MB + 800_000),
    },
}
OTHER_REGIONS = {
    "drosophila": {"train": Region(("chr2R",), 1 * MB, 10 * MB), "test": Region(("chr2R",), 11 * MB, 20 * MB)},
    "ecoli": {
        "train": Region(("gi|110640213|ref|NC_008253.1|",), 0, 2_200_000),
        "test": Region(("gi|110640213|ref|NC_008253.1|",), 2_700_000, 4_900_000),
    },
    "plasmodium": {
        "train": Region(tuple(f"MAL{i}" for i in range(1, 10))),
        "test": Region(tuple(f"MAL{i}" for i in range(10, 15))),
    },
}

LABELS = {
    "human_vs_shuffled": ("human", "shuffled"),
    "motif_order": ("cre_then_gata", "gata_then_cre"),
    "species4": ("drosophila", "ecoli", "human", "plasmodium"),
    "motif_dose": ("dose",),
    "motif_variants": ("neutral", "disrupting"),
}
WINDOWS = {
    "human_vs_shuffled": {"train": 350, "test": 200},
    "motif_order": {"train": 500, "test": 300},
    "species4": {"train": 200, "test": 150},
    "motif_dose": {"train": 250, "test": 150},
    "motif_variants": {"train": 180, "test": 120},
}
"""Windows of each source per split; tasks of pairs make two rows of each."""
DOSES = {"gata": 1.0, "cre": -0.5}
"""What each site of a motif adds to the dose."""
MOST_SITES = 3
NOISE = 0.5
"""Standard deviation of what nothing in the sequence tells."""


@dataclass(frozen=True)
class Row:
    """A row as it is written; coordinates are those of the window it was made from."""

    sequence: str
    label: int | float
    id: str
    group: str
    contig: str
    start: int
    end: int
    strand: str = "+"
    variant: tuple[int, str, str] | None = None
    """(offset, ref, alt)."""


class Cutter:
    """Windows without N of the sources, side by side on a grid, in random order."""

    def __init__(self, data: Path, cache: Path) -> None:
        self.fastas = {name: Fasta(data / source.file, cache) for name, source in SOURCES.items()}

    def windows(
        self, source: str, region: Region, lengths: Sequence[int], generator: np.random.Generator
    ) -> Iterator[tuple[str, int, int, str]]:
        """One window (contig, start, end, sequence) for each of ``lengths``; the grid is as wide as the longest."""
        fasta, step = self.fastas[source], max(lengths)
        slots = [
            (contig, start)
            for contig in region.contigs
            for start in range(region.start, (region.end or fasta.lengths[contig]) - step + 1, step)
        ]
        order = iter(generator.permutation(len(slots)).tolist())
        for length in lengths:
            while True:
                contig, start = slots[next(order)]
                sequence = fasta.fetch(contig, start, start + length)
                if "N" not in sequence:
                    yield SOURCES[source].contigs[contig], start, start + length, sequence
                    break


def human_vs_shuffled(cutter: Cutter, split: str, generator: np.random.Generator) -> list[Row]:
    """500 bp windows, and of each a shuffle with the same dinucleotide counts; the two are one group."""
    lengths = [500] * WINDOWS["human_vs_shuffled"][split]
    rows = []
    for contig, start, end, sequence in cutter.windows(
        "human", HUMAN_REGIONS["human_vs_shuffled"][split], lengths, generator
    ):
        place = f"{contig}:{start}-{end}"
        for label, text in enumerate((sequence, dinucleotide_shuffle(sequence, generator))):
            name = LABELS["human_vs_shuffled"][label]
            rows.append(Row(text, label, f"{place}:{name}", place, contig, start, end))
    return rows


def motif_order(cutter: Cutter, split: str, generator: np.random.Generator) -> list[Row]:
    """150 bp windows with both motifs planted, in either order: two rows of each window, which are one group."""
    width = sum(map(len, MOTIFS.values()))
    rows = []
    for contig, start, end, sequence in cutter.windows(
        "human", HUMAN_REGIONS["motif_order"][split], [150] * WINDOWS["motif_order"][split], generator
    ):
        gap = 0 if generator.random() < TOUCHING else int(generator.integers(1, LONGEST_GAP + 1))
        at = int(generator.integers(0, len(sequence) - width - gap + 1))
        between = sequence[at + width // 2 : at + width // 2 + gap]
        place = f"{contig}:{start}-{end}"
        for label, name in enumerate(LABELS["motif_order"]):
            first, second = (MOTIFS[motif] for motif in name.split("_then_"))
            text = sequence[:at] + first + between + second + sequence[at + width + gap :]
            rows.append(Row(text, label, f"{place}:{name}:gap{gap}", place, contig, start, end))
    return rows


def species4(cutter: Cutter, split: str, generator: np.random.Generator) -> list[Row]:
    """100 to 400 bp windows of four species; every species has the same lengths."""
    n = WINDOWS["species4"][split]
    lengths = np.exp(generator.uniform(np.log(100), np.log(401), size=n)).astype(int).tolist()
    lengths[:2] = [100, 400]
    rows = []
    for label, species in enumerate(LABELS["species4"]):
        region = (HUMAN_REGIONS["species4"] if species == "human" else OTHER_REGIONS[species])[split]
        for contig, start, end, sequence in cutter.windows(species, region, lengths, generator):
            place = f"{contig}:{start}-{end}"
            rows.append(Row(sequence, label, place, place, contig, start, end))
    return rows


def motif_dose(cutter: Cutter, split: str, generator: np.random.Generator) -> list[Row]:
    """120 bp windows with up to three sites of each motif; the dose is what these add, and noise."""
    rows = []
    region = HUMAN_REGIONS["motif_dose"][split]
    for contig, start, end, sequence in cutter.windows(
        "human", region, [120] * WINDOWS["motif_dose"][split], generator
    ):
        sites = [motif for motif in DOSES for _ in range(int(generator.integers(MOST_SITES + 1)))]
        slots = generator.choice(len(sequence) // 10, size=len(sites), replace=False)
        text, dose = sequence, float(generator.normal(0.0, NOISE))
        for motif, slot in zip(sites, slots.tolist(), strict=True):
            text = text[: slot * 10] + MOTIFS[motif] + text[slot * 10 + 10 :]
            dose += DOSES[motif]
        place = f"{contig}:{start}-{end}"
        name = "".join(f":{motif}{sites.count(motif)}" for motif in DOSES)
        rows.append(Row(text, round(dose, 4), f"{place}{name}", place, contig, start, end))
    return rows


def motif_variants(cutter: Cutter, split: str, generator: np.random.Generator) -> list[Row]:
    """100 bp windows with one site of a motif; a substitution in it, and the same one between the same neighbours elsewhere."""
    rows: list[Row] = []
    wanted = WINDOWS["motif_variants"][split]
    windows = cutter.windows("human", HUMAN_REGIONS["motif_variants"][split], [100] * 3 * wanted, generator)
    for contig, start, end, sequence in windows:
        motif = MOTIFS[("cre", "gata")[int(generator.integers(2))]]
        at = int(generator.integers(1, len(sequence) - len(motif)))
        text = sequence[:at] + motif + sequence[at + len(motif) :]
        inside, alt = at + int(generator.integers(len(motif))), "ACGT"[int(generator.integers(4))]
        around = text[inside - 1 : inside + 2]
        outside = [
            place
            for place in range(1, len(text) - 1)
            if text[place - 1 : place + 2] == around and not at - 2 <= place <= at + len(motif) + 1
        ]
        if alt == text[inside] or not outside:
            continue
        elsewhere = outside[int(generator.integers(len(outside)))]
        group = f"{contig}:{start}-{end}"
        for label, offset in enumerate((elsewhere, inside)):
            name = f"{group}:{offset}{text[offset]}>{alt}"
            rows.append(Row(text, label, name, group, contig, start, end, variant=(offset, text[offset], alt)))
        if len(rows) == 2 * wanted:
            return rows
    raise SystemExit(f"motif_variants, {split}: {len(rows) // 2} windows of {wanted}; cut more")


MAKERS = {
    "human_vs_shuffled": human_vs_shuffled,
    "motif_order": motif_order,
    "species4": species4,
    "motif_dose": motif_dose,
    "motif_variants": motif_variants,
}


def make_suite(data: Path, cache: Path) -> dict[str, dict[str, SequenceTable]]:
    """All tables by task and split, rows in random order, deterministic."""
    cutter = Cutter(data, cache)
    tables: dict[str, dict[str, SequenceTable]] = {}
    for number, (task, make) in enumerate(MAKERS.items()):
        tables[task] = {}
        for which, split in enumerate(SPLITS):
            generator = np.random.default_rng([SEED, number, which])
            rows = make(cutter, split, generator)
            rows = [rows[i] for i in generator.permutation(len(rows)).tolist()]
            tables[task][split] = SequenceTable(
                sequences=[row.sequence for row in rows],
                labels=_labels(rows),
                ids=np.array([row.id for row in rows]),
                group=np.array([row.group for row in rows]),
                contig=np.array([row.contig for row in rows]),
                start=np.array([row.start for row in rows], dtype=np.int64),
                end=np.array([row.end for row in rows], dtype=np.int64),
                strand=np.array([row.strand for row in rows]),
                extra=_variants(rows),
            )
    return tables


def _labels(rows: Sequence[Row]) -> np.ndarray:
    if isinstance(rows[0].label, float):
        return np.array([[row.label] for row in rows])
    return np.array([row.label for row in rows], dtype=np.int64)


def _variants(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    variants = [row.variant for row in rows if row.variant is not None]
    if not variants:
        return {}
    offsets, references, alternatives = zip(*variants, strict=True)
    return {"offset": np.array(offsets, dtype=np.int64), "ref": np.array(references), "alt": np.array(alternatives)}


def rows_digest(table: SequenceTable) -> str:
    """sha256 over all columns, independent of the file format."""
    digest = hashlib.sha256()
    columns = (
        table.ids,
        table.labels if table.labels.ndim == 1 else table.labels[:, 0],
        table.sequences,
        table.group,
        table.contig,
        table.start,
        table.end,
        table.strand,
        *(table.extra[name] for name in sorted(table.extra)),
    )
    for row in zip(*columns, strict=True):  # type: ignore[arg-type]
        digest.update(("\t".join(map(str, row)) + "\n").encode("ascii"))
    return digest.hexdigest()


def write_table(table: SequenceTable, path: Path) -> None:
    """Write as parquet with zstd at its strongest: the files travel in the package."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    label = ("label", table.labels) if table.labels.ndim == 1 else ("label_0", table.labels[:, 0])
    columns = {"sequence": table.sequences, label[0]: label[1], "id": table.ids, "group": table.group}
    columns |= {"contig": table.contig, "start": table.start, "end": table.end, "strand": table.strand}
    columns |= {f"extra.{name}": values for name, values in table.extra.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table(columns),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=["contig", "strand", *(["label"] if "label" in columns else [])],
        write_statistics=False,
    )


def manifest_of(tables: dict[str, dict[str, SequenceTable]], data: Path, output: Path) -> dict[str, Any]:
    """Counts and digests of the files, and what they were made from."""
    tasks: dict[str, Any] = {}
    for task, splits in tables.items():
        tasks[task] = {"labels": LABELS[task], "splits": {}}
        for split, table in splits.items():
            path = output / task / f"{split}.parquet"
            counts = count_classes(LABELS[task], {split: table})[split]
            tasks[task]["splits"][split] = {
                "rows": len(table),
                "bases": sum(map(len, table.sequences)),
                "counts": counts,
                "groups": len(np.unique(table.group)) if table.group is not None else None,
                "file_bytes": path.stat().st_size,
                "file_sha256": sha256_file(path),
                "rows_sha256": rows_digest(table),
            }
    sources = {
        name: {"name": source.name, "file": source.file, "sha256": sha256_file(data / source.file)}
        for name, source in SOURCES.items()
    }
    return {"made_by": "scripts/make_demo_suite.py", "seed": SEED, "sources": sources, "tasks": tasks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = Path(os.environ.get("FINDNA_BENCH_SHARED", ROOT.parent / "shared"))
    parser.add_argument("--data", type=Path, default=shared / "data")
    parser.add_argument("--output", type=Path, default=ROOT / "plugins" / "findna_plugins" / "demo_data")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        tables = make_suite(arguments.data, Path(cache))
    for task, splits in tables.items():
        for split, table in splits.items():
            write_table(table, arguments.output / task / f"{split}.parquet")
    manifest = manifest_of(tables, arguments.data, arguments.output)
    write_json(arguments.output / "manifest.json", manifest)
    for task, entry in manifest["tasks"].items():
        for split, facts in entry["splits"].items():
            print(f"{task:18} {split:5} {facts['rows']:5} rows {facts['bases']:8} bases {facts['file_bytes']:8} bytes")


if __name__ == "__main__":
    main()
