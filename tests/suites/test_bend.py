"""BEND from disk: small files in the layout of the published ones, two genomes in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.data.importing import import_suite
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.statistics.base_states import NO_STATE

LENGTH = 6000
N = 12


def genomes(folder: Path) -> dict[str, str]:
    """GRCh38 with ``chr`` and GRCh37 without; by assembly."""
    folder.mkdir()
    found = {}
    for seed, (name, contig) in enumerate(
        (("GRCh38.primary_assembly.genome.fa", "chr1"), ("GRCh37.no-chr.fa", "1")), start=5
    ):
        sequence = "".join(np.random.default_rng(seed).choice(list("ACGT"), size=LENGTH))
        (folder / name).write_text(f">{contig}\n{sequence}\n")
        found[name[:6]] = sequence
    return found


def write(path: Path, header: str, rows: list[tuple[Any, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join("\t".join(map(str, row)) for row in [tuple(header.split()), *rows]) + "\n")


def layout(folder: Path, sequences: dict[str, str]) -> Path:
    h5py = pytest.importorskip("h5py", reason="HDF5 files are read by h5py (findna-bench[hdf5])")
    splits = ["train"] * 6 + ["valid"] * 3 + ["test"] * 3
    rng = np.random.default_rng(0)
    for name in ("chromatin_accessibility", "histone_modification", "cpg_methylation"):
        contig = "1" if name.startswith("chromatin") else "chr1"
        lists = ["0,4", "", "1", "2,3,6"] * 3
        rows = [(contig, 400 * i, 400 * i + 512, "+-"[i % 2], lists[i], splits[i]) for i in range(N)]
        write(folder / name / f"{name}.bed", "chromosome start end strand label split", rows)
    places = [(100 * i, 100 * i + 60 + 5 * i) for i in range(N)]
    rows = [("chr1", start, end, "-", split) for (start, end), split in zip(places, splits, strict=True)]
    write(folder / "gene_finding" / "gene_finding.bed", "chromosome start end strand split", rows)
    with h5py.File(folder / "gene_finding" / "gene_finding.hdf5", "w") as file:
        kept = file.create_dataset("labels", (N,), dtype=h5py.vlen_dtype(np.int64))
        for row, (start, end) in enumerate(places):
            kept[row] = np.arange(start, end) % 9
    rows = [("chr1", 1280 * i, 1280 * (i + 1), "+", f"part{i}") for i in range(4)]
    write(folder / "enhancer_annotation" / "enhancer_annotation.bed", "chromosome start end strand split", rows)
    with h5py.File(folder / "enhancer_annotation" / "enhancer_annotation.hdf5", "w") as file:
        file["labels"] = rng.integers(2, size=(4, 10))
    for name in ("variant_effects_expression", "variant_effects_disease"):
        sequence = sequences["GRCh38"]
        rows = [
            ("chr1", place, place + 1, sequence[place], "ACGT"[("ACGT".index(sequence[place]) + 2) % 4], i % 2, "extra")
            for i, place in enumerate(range(300, 5000, 300))
        ]
        write(folder / "variant_effects" / f"{name}.bed", "chromosome start end ref alt label more", rows)
    return folder


def test_files_as_published_become_seven_tasks(tmp_path: Path) -> None:
    sequences = genomes(tmp_path / "genomes")
    report = import_suite(
        "bend", layout(tmp_path / "data_bend", sequences), tmp_path / "data", reference=tmp_path / "genomes"
    )
    assert {task.name: task.outcome for task in report.tasks if task.outcome != "imported"} == {}
    tasks = {task.name: fb.load_task(task.name, data_dir=tmp_path / "data") for task in report.tasks}
    grch37, grch38 = sequences["GRCh37"], sequences["GRCh38"]
    for name, sequence in (("chromatin_accessibility", grch37), ("histone_modification", grch38)):
        table = tasks[f"bend/{name}"].load("train")
        assert table.sequences[0] == sequence[:512]
        assert table.sequences[1] == reverse_complement(sequence[400:912])
        assert np.flatnonzero(table.labels[0]).tolist() == [0, 4]
        assert not table.labels[1].any()
    assert tasks["bend/cpg_methylation"].load("test").labels.shape == (3, 7)
    genes = tasks["bend/gene_finding"].load("train")
    assert genes.sequences[1] == grch38[100:165]  # its strand is not read, as by the authors
    assert genes.labels[1, :65].tolist() == [place % 9 for place in range(100, 165)]
    assert (genes.labels[1, 65:] == NO_STATE).all()
    enhancers = tasks["bend/enhancer_annotation"]
    assert enhancers.splits == ("test",)
    assert (enhancers.load("test").labels.reshape(4, 10, 128) == enhancers.load("test").labels[:, ::128, None]).all()
    variants = tasks["bend/variant_effects_disease"].load("test")
    assert variants.sequences[0] == grch38[300 - 256 : 300 + 257]
    assert variants.extra["offset"].tolist() == [256] * 16


def test_a_task_scores_and_says_that_it_is_a_part(tmp_path: Path) -> None:
    sequences = genomes(tmp_path / "genomes")
    import_suite("bend", layout(tmp_path / "data_bend", sequences), tmp_path / "data", reference=tmp_path / "genomes")
    (result,) = fb.run(
        ["trivial"], ["bend/histone_modification"], seeds=1, data_dir=tmp_path / "data", output_dir=tmp_path / "r"
    )
    assert result.status == "success", result.error
    assert result.metrics.main.name == "auroc_macro"
    assert "partial (12 of 625229)" in result.flags


def test_the_wrong_genome_and_labels_beyond_the_card_are_refused(tmp_path: Path) -> None:
    sequences = genomes(tmp_path / "genomes")
    folder = layout(tmp_path / "data_bend", sequences)
    bed = folder / "cpg_methylation" / "cpg_methylation.bed"
    bed.write_text(bed.read_text().replace("2,3,6", "2,3,7"))
    other = folder / "histone_modification" / "histone_modification.bed"
    other.write_text(other.read_text().replace("chr1\t400\t912", f"chr1\t400\t{LENGTH + 1}"))
    (folder / "gene_finding" / "gene_finding.hdf5").unlink()
    report = import_suite("bend", folder, tmp_path / "data", reference=tmp_path / "genomes")
    messages = {task.name.partition("/")[2]: task.message for task in report.tasks if task.outcome == "failed"}
    assert "label 7 is none of 0 to 6" in messages["cpg_methylation"]
    assert "lies outside chr1, which has 6,000 bases" in messages["histone_modification"]
    assert "no array of labels (gene_finding.hdf5)" in messages["gene_finding"]
    one = import_suite(
        "bend", folder, tmp_path / "more", reference=tmp_path / "genomes" / "GRCh38.primary_assembly.genome.fa"
    )
    wrong = next(task.message for task in one.tasks if task.name == "bend/chromatin_accessibility")
    assert "needs one FASTA whose name holds 'GRCh37'" in wrong


def test_the_page_of_the_data_is_named_where_a_program_cannot_fetch_them(tmp_path: Path) -> None:
    from findna_bench.data.fetching import fetch_suite

    report = fetch_suite("bend", tmp_path / "data", tasks=["bend/gene_finding"])
    assert "is a page for people" in report.tasks[0].message
    assert "fetch bend --from FOLDER" in report.tasks[0].message
