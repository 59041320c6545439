"""MTcDNA from transcript FASTA files in Ensembl's header format."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from findna_bench.data.catalog import resolve_task
from findna_bench.data.importing import import_suite
from findna_bench.data.task import open_task

SPECIES = {
    "Gopherus_agassizii.ASM289641v1": ("ENSGAGT", 12),
    "Chelonoidis_abingdonii.ASM359739v1": ("ENSCABT", 16),
    "Mus_spretus.SPRET_EiJ_v1": ("MGP_SPRETEiJ_T", 20),
    "Mus_musculus.GRCm39": ("ENSMUST", 48),
}


def write_transcripts(folder: Path) -> dict[str, list[tuple[str, str, str]]]:
    """Four files; every gene has two transcripts, of which some are 5000 bases or shorter. {species: (id, gene, sequence)}."""
    generator = np.random.default_rng(0)
    out: dict[str, list[tuple[str, str, str]]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for species, (prefix, n) in SPECIES.items():
        records, lines = [], []
        for i in range(n):
            length = (5000, 5001, 5600, 9000)[i % 4]
            sequence = "".join(generator.choice(list("ACGT"), length))
            name, gene = f"{prefix}{i:011d}.1", f"{prefix[:-1]}G{i // 2:011d}"
            records.append((name, gene, sequence))
            header = (
                f">{name} cdna chromosome:X:{i}:100:{i + length}:1 gene:{gene}.{1 + i % 2} gene_biotype:protein_coding "
                f"transcript_biotype:protein_coding gene_symbol:S{i} description:some protein [Source:MGI]"
            )
            lines.append(header + "\n" + "\n".join(sequence[k : k + 60] for k in range(0, length, 60)) + "\n")
        (folder / f"{species}.cdna.all.fa.gz").write_bytes(gzip.compress("".join(lines).encode(), 1))
        out[species] = records
    return out


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[tuple[str, str, str]]]]:
    folder = tmp_path_factory.mktemp("cdna")
    records = write_transcripts(folder)
    root = tmp_path_factory.mktemp("root")
    report = import_suite("mtcdna", folder, root)
    assert len(report.with_outcome("imported")) == 8
    return root, records


def test_transcripts_are_chosen_cut_filled_and_labelled(
    built: tuple[Path, dict[str, list[tuple[str, str, str]]]],
) -> None:
    root, records = built
    for length in (1024, 8192):
        task = open_task(f"mtcdna-{length}", data_dir=root)
        assert task.label_names == ("turtle", "mouse")
        held = {}
        for split in task.splits:
            table = task.load(split)
            held |= dict(zip(table.ids.tolist(), zip(table.sequences, table.labels.tolist(), strict=True), strict=True))
        expected = {
            name: (sequence[:length].ljust(length, "N"), int(species.startswith("Mus")))
            for species, entries in records.items()
            for name, _, sequence in entries
            if len(sequence) > 5000
        }
        assert held == expected
    assert task.flags[0].startswith("partial")
    assert "leak" in task.flags


def test_random_split_is_that_of_the_published_script(
    built: tuple[Path, dict[str, list[tuple[str, str, str]]]],
) -> None:
    from sklearn.model_selection import train_test_split

    root, records = built
    order = ["Chelonoidis", "Gopherus", "Mus_musculus", "Mus_spretus"]
    names = [
        name
        for prefix in order
        for species, entries in records.items()
        if species.startswith(prefix)
        for name, _, sequence in entries
        if len(sequence) > 5000
    ]
    rest, test = train_test_split(names, test_size=0.2, random_state=1)
    train, validation = train_test_split(rest, test_size=0.25, random_state=1)
    task = open_task("mtcdna/mtcdna-4096", data_dir=root)
    for split, expected in (("train", train), ("validation", validation), ("test", test)):
        assert task.load(split).ids.tolist() == expected


def test_sizes_of_the_random_split_at_the_published_number() -> None:
    from findna_bench.data.table import SequenceTable
    from findna_bench.data.transcripts import _random_split

    n = 16_493
    labels = (np.arange(n) >= 4193).astype(np.int64)  # 4,193 turtle, 12,300 mouse
    table = SequenceTable(["A"] * n, labels, np.arange(n).astype(str))
    parts = _random_split(table, 1)
    assert {split: len(rows) for split, rows in parts.items()} == {"train": 9895, "validation": 3299, "test": 3299}
    assert round(100 * float(labels.mean()), 1) == 74.6
    assert sum(int(labels[rows].sum()) for rows in parts.values()) == 12_300
    card = resolve_task("mtcdna-1024").card
    assert card is not None
    assert card.config["rows"] == {"train": 9895, "validation": 3299, "test": 3299}


def test_gene_split_keeps_genes_together_and_classes_in_proportion(
    built: tuple[Path, dict[str, list[tuple[str, str, str]]]],
) -> None:
    root, _ = built
    task = open_task("mtcdna-1024-gene", data_dir=root)
    groups = {}
    for split in task.splits:
        table = task.load(split)
        assert table.group is not None
        groups[split] = set(table.group.tolist())
    assert not groups["train"] & groups["test"]
    assert not groups["train"] & groups["validation"]
    assert not groups["validation"] & groups["test"]
    shares = {split: sum(classes.values()) for split, classes in task.counts.items()}
    total = sum(shares.values())
    assert abs(shares["test"] / total - 0.2) < 0.03
    mouse = [classes["mouse"] / sum(classes.values()) for classes in task.counts.values()]
    assert max(mouse) - min(mouse) < 0.08
    leaking = open_task("mtcdna-1024", data_dir=root)
    train, test = leaking.load("train").group, leaking.load("test").group
    assert train is not None
    assert test is not None
    assert set(train.tolist()) & set(test.tolist())  # what the gene split is for


def test_a_missing_species_is_named(tmp_path: Path) -> None:
    write_transcripts(tmp_path / "cdna")
    (tmp_path / "cdna" / "Mus_spretus.SPRET_EiJ_v1.cdna.all.fa.gz").unlink()
    report = import_suite("mtcdna", tmp_path / "cdna", tmp_path / "root", tasks=["mtcdna-1024"])
    assert report.failed
    assert "no FASTA file of Mus_spretus" in report.tasks[0].message
