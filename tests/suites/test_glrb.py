"""The Genomics Long-Range Benchmark from disk: small files in the layout of the published ones, two genomes in one folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import findna_bench as fb
from findna_bench.data.importing import import_suite
from findna_bench.sequences.alphabet import reverse_complement

LENGTH = 12_000


def genomes(folder: Path) -> dict[str, str]:
    folder.mkdir()
    found = {}
    for seed, name in enumerate(("hg38", "hg19")):
        sequence = "".join(np.random.default_rng(seed).choice(list("ACGT"), size=LENGTH))
        (folder / f"{name}.fa").write_text(f">chr1\n{sequence}\n")
        found[name] = sequence
    return found


def layout(folder: Path, sequences: dict[str, str]) -> Path:
    rng = np.random.default_rng(2)
    splits = ["train"] * 6 + ["test"] * 4
    places = np.arange(10) * 1000 + 400
    hg38 = sequences["hg38"]
    refs = [hg38[p] for p in places]
    alts = ["ACGT"[("ACGT".index(r) + 1) % 4] for r in refs]
    alts[1] = refs[1]  # the table's alternative is the genome's base
    at = {"CHROM": "chr1", "POS": places + 1, "split": splits}
    eqtl = pd.DataFrame({**at, "ALT": alts, "label": np.arange(10) % 2, "tissue": ["Liver", "Lung"] * 5})
    eqtl["distance_to_nearest_TSS"] = 100 * np.arange(10)
    clinvar = pd.DataFrame({**at, "REF": refs, "ALT": alts, "INT_LABEL": np.arange(10) % 2, "LABEL": "words"})
    omim = clinvar.assign(split="test")
    chromatin = pd.DataFrame(at)
    for column in ("HISTONES", "DNASE"):
        chromatin[column] = [str(row.tolist()) for row in rng.integers(2, size=(10, 20))]
    chromatin.loc[0, "POS"] = 100
    elements = pd.DataFrame(
        {"CHROM": "chr1", "START": places + 1, "STOP": places + 201, "split": splits, "label": np.arange(10) % 2}
    )
    genes = pd.DataFrame(
        {"id": [f"g{i}" for i in range(10)], "chrom": "chr1", "strand": ["+", "-"] * 5, "split": splits}
    )
    genes["CAGE_representative_TSS"] = places + 2001
    values = pd.DataFrame(rng.normal(size=(10, 218)), columns=[f"tissue {i}" for i in range(218)])
    for path, frame in {
        "variant_effect_causal_eqtl/All_Tissues.csv": eqtl,
        "variant_effect_pathogenic/vep_pathogenic_coding.csv": clinvar,
        "variant_effect_pathogenic/vep_pathogenic_non_coding.csv": omim,
        "chromatin_features/histones_and_dnase.csv": chromatin,
        "regulatory_elements/promoter_dataset.csv": elements,
        "regulatory_elements/enhancer_dataset.csv": elements,
        "bulk_rna_expression/gene_coordinates.csv": genes,
        "bulk_rna_expression/rna_expression_values.csv": values,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(folder / path, index=False)
    return folder


def test_files_as_published_become_eight_tasks(tmp_path: Path) -> None:
    sequences = genomes(tmp_path / "genomes")
    folder = layout(tmp_path / "hub", sequences)
    report = import_suite("glrb", folder, tmp_path / "data", reference=tmp_path / "genomes")
    assert {task.name: task.outcome for task in report.tasks if task.outcome != "imported"} == {}
    messages = {task.name.partition("/")[2]: task.message for task in report.tasks}
    tasks = {name: fb.load_task(f"glrb/{name}", data_dir=tmp_path / "data") for name in messages}
    hg38, hg19 = sequences["hg38"], sequences["hg19"]

    eqtl = tasks["variant_effect_causal_eqtl"]
    rows = eqtl.load("train")
    assert rows.extra["ref"].tolist() == [hg38[400], *(hg38[400 + 1000 * i] for i in range(2, 6))]
    assert rows.sequences[0] == hg38[400 - 256 : 400 + 257]
    assert rows.extra["element"].tolist() == ["Liver", "Liver", "Lung", "Liver", "Lung"]
    assert rows.extra["tss_distance"].tolist() == [0.0, 200.0, 300.0, 400.0, 500.0]
    assert "no column of reference alleles; the genome's bases are taken" in messages["variant_effect_causal_eqtl"]
    for name in ("variant_effect_causal_eqtl", "variant_effect_pathogenic_clinvar", "variant_effect_pathogenic_omim"):
        assert "1 of 10 variants are left out: All_Tissues" not in messages[name]
        assert "1 whose alt is their ref" in messages[name]
    assert tasks["variant_effect_pathogenic_omim"].splits == ("test",)

    chromatin = tasks["chromatin_features_histone_marks"]
    assert (chromatin.card.target, chromatin.load("test").labels.shape) == ("labels", (4, 20))
    assert chromatin.load("train").sequences[0] == hg19[: 99 + 256]
    assert chromatin.load("train").sequences[1] == hg19[1400 - 256 : 1400 + 256]
    assert "1 windows that a contig's end cuts short" in messages["chromatin_features_histone_marks"]

    elements = tasks["regulatory_element_promoter"].load("train")
    assert elements.sequences[2] == hg38[2400 - 156 : 2400 + 356]

    genes = tasks["bulk_rna_expression"].load("train")
    values = pd.read_csv(folder / "bulk_rna_expression" / "rna_expression_values.csv").to_numpy()
    np.testing.assert_allclose(genes.labels, values[:6])
    assert genes.sequences[0] == hg19[2400 - 2048 : 2400 + 2048]
    assert genes.sequences[1] == reverse_complement(hg19[3400 - 2048 : 3400 + 2048])


def test_tables_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    folder = layout(tmp_path / "hub", genomes(tmp_path / "genomes"))
    values = folder / "bulk_rna_expression" / "rna_expression_values.csv"
    values.write_text("\n".join(values.read_text().splitlines()[:-1]) + "\n")
    chromatin = folder / "chromatin_features" / "histones_and_dnase.csv"
    chromatin.write_text(chromatin.read_text().replace("[0, ", "[2, ", 1).replace("[1, ", "[2, ", 1))
    report = import_suite("glrb", folder, tmp_path / "data", reference=tmp_path / "genomes")
    failed = {task.name.partition("/")[2]: task.message for task in report.tasks if task.outcome == "failed"}
    assert "has 9 rows of 218 values; 10 rows of 218 are needed" in failed["bulk_rna_expression"]
    assert any("is no list of 20 times 0 or 1" in message for message in failed.values())
