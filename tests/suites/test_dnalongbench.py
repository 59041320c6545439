"""DNALongBench's pairs from disk: small files in the layout that its authors' code reads, two genomes in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import findna_bench as fb
from findna_bench.data.importing import import_suite
from findna_bench.sequences.alphabet import reverse_complement

LENGTH = 30_000
HEADER = [
    "gene_chrom",
    "gene_start",
    "gene_end",
    "region_chrom",
    "region_start",
    "region_end",
    "gene_id",
    "gene_strand",
    "region_id",
    "target",
    "subset",
]


def genomes(folder: Path) -> dict[str, str]:
    folder.mkdir()
    found = {}
    for seed, name in enumerate(("GRCh38.primary_assembly.genome.fa", "GRCh37.primary_assembly.genome.fa")):
        sequence = "".join(np.random.default_rng(seed).choice(list("ACGT"), size=LENGTH))
        (folder / name).write_text(f">chr1\n{sequence}\n>chr2\n{'ACGT' * 100}\n")
        found[name[:6]] = sequence
    return found


def settings(path: Path, **values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {
        "tss_flank_upstream": 30,
        "tss_flank_downstream": 20,
        "region_flank_upstream": 5,
        "region_flank_downstream": 10,
        "seq_len_cutoff": 20_000,
        **values,
    }
    kinds = {name: "int" if isinstance(value, int) else "str" for name, value in known.items()}
    path.write_text("".join(f"{name}\t{value}\t{kinds[name]}\n" for name, value in known.items()))


def table(path: Path, rows: list[list[Any]], more: tuple[str, ...] = ()) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join("\t".join(map(str, row)) for row in [[*HEADER, *more], *rows]) + "\n")


def gene_row(i: int, split: str, **changed: Any) -> list[Any]:
    """A gene at 1000 + 300 i on alternating strands, a region 2000 bases behind its start."""
    start = 1000 + 300 * i
    row = {
        **dict.fromkeys(HEADER, ""),
        "gene_chrom": "chr1",
        "gene_start": start,
        "gene_end": start + 500,
        "region_chrom": "chr1",
        "region_start": start + 2000 + 10 * i,
        "region_end": start + 2100 + 10 * i,
        "gene_id": f"G{i}",
        "gene_strand": "+-"[i % 2],
        "region_id": f"R{i}",
        "target": ("positive", "negative")[i % 3 == 0],
        "subset": split,
        **changed,
    }
    return list(row.values())


SPLITS = ["train"] * 12 + ["valid"] * 6 + ["test"] * 6


def layout(folder: Path, sequences: dict[str, str]) -> Path:
    root = folder / "enhancer_target_gene"
    settings(
        root / "config" / "CRISPRi_EPI_K562_hg19.config", genome_fa="seqs/hg19.fa", EPI_file="targets/CRISPRi_EPI.txt"
    )
    rows = [gene_row(i, split) for i, split in enumerate(SPLITS)]
    rows += [
        gene_row(30, "train", region_chrom="chr2", region_start=10, region_end=40),
        gene_row(31, "train", gene_strand="."),
        gene_row(32, "test", gene_start=100, gene_end=600, region_start=25_000, region_end=25_100, gene_strand="+"),
    ]
    table(root / "targets" / "CRISPRi_EPI.txt", rows)
    root, sequence = folder / "eQTL", sequences["GRCh38"]
    settings(root / "config" / "gtex_hg38.Thyroid.config", genome_fa="seqs/hg38.fa", eQTL_file="targets/Thyroid.tsv")
    alleles = []
    for i, split in enumerate(SPLITS):
        place = 3000 + 310 * i
        ref = sequence[place]
        row = gene_row(i, split, region_start=place, region_end=place + 1)
        alleles.append([*row, ref, "ACGT"[("ACGT".index(ref) + 1) % 4]])
    alleles[0][-2:] = ["ACGT"[("ACGT".index(sequence[3000]) + 1) % 4], sequence[3000]]  # not what the genome has
    table(root / "targets" / "Thyroid.tsv", alleles, ("allele1", "allele2"))
    return folder


def test_files_in_the_authors_layout_become_pairs_read_apart(tmp_path: Path) -> None:
    sequences = genomes(tmp_path / "genomes")
    report = import_suite(
        "dnalongbench", layout(tmp_path / "d", sequences), tmp_path / "data", reference=tmp_path / "genomes"
    )
    outcomes = {task.name.rpartition("/")[2]: task.outcome for task in report.tasks}
    imported = {name for name, outcome in outcomes.items() if outcome == "imported"}
    assert imported == {"enhancer_target_gene", "eqtl_thyroid"}
    task = fb.load_task("dnalongbench/enhancer_target_gene", data_dir=tmp_path / "data")
    assert {split: sum(classes.values()) for split, classes in task.counts.items()} == {
        "train": 12,
        "validation": 6,
        "test": 6,
    }
    train, genome = task.load("train"), sequences["GRCh37"]
    assert train.sequences_b is not None
    assert train.sequences[0] == genome[2995:3110]
    assert train.sequences_b[0] == genome[970:1021]
    tss = 1300 + 500 - 1  # of the gene on the other strand
    assert train.sequences_b[1] == reverse_complement(genome[tss - 30 : tss + 21])
    assert train.extra["distance"][:2].tolist() == [2995 - 1021, 3305 - (tss + 21)]
    assert train.extra["strand"][:2].tolist() == ["+", "-"]
    assert train.ids[:2].tolist() == ["R0/G0", "R1/G1"]
    assert train.labels[:3].tolist() == [0, 1, 1]
    assert len({*train.extra["element"], *task.load("test").extra["element"]}) == 5
    alleles = fb.load_task("dnalongbench/eqtl_thyroid", data_dir=tmp_path / "data").load("train")
    assert len(alleles) == 11
    assert alleles.sequences_b is not None
    differing = [
        [i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
        for a, b in zip(alleles.sequences, alleles.sequences_b, strict=True)
    ]
    assert differing == [[5]] * 11
    told = " ".join(task.message for task in report.tasks if task.outcome == "imported")
    for words in (
        "3 of 27 pairs are left out: 1 with gene and region on two chromosomes, 1 whose gene has no strand, 1 with more than 20,000 bases",
        "1 of 24 pairs are left out: 1 whose allele1 is not what the genome has there",
    ):
        assert words in told
    found = fb.run("majority,pair-distance,findna-tiny", "dnalongbench/enhancer_target_gene", seeds=1, device="cpu",
                   data_dir=tmp_path / "data", output_dir=tmp_path / "r")  # fmt: skip
    assert {r.status for r in found} == {"success"}, [r.error for r in found]
    assert found[0].metrics.grouping["strata"] == "distance"


def test_a_table_that_the_settings_do_not_lead_to_is_named(tmp_path: Path) -> None:
    sequences = genomes(tmp_path / "genomes")
    folder = layout(tmp_path / "d", sequences)
    (folder / "enhancer_target_gene" / "targets" / "CRISPRi_EPI.txt").unlink()
    report = import_suite("dnalongbench", folder, tmp_path / "data", reference=tmp_path / "genomes")
    (failed,) = [task for task in report.tasks if task.outcome == "failed"]
    assert "its settings name a table CRISPRi_EPI.txt, which is not below" in failed.message


def test_what_is_not_known_of_the_published_data_stays_unknown() -> None:
    from findna_bench.registry import get_registry

    cards = [entry.card for entry in get_registry().entries("tasks") if entry.card.suite == "dnalongbench"]
    assert len(cards) == 10
    for card in cards:
        assert (card.counts, card.licence, card.sources[0].sha256) == ({}, "", None)
        assert "padded with N" in card.summary
