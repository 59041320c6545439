"""The Genomics Long-Range Benchmark: variants, expression, chromatin and regulatory elements of the human genome (Trop et al. 2024).

The files hold places in GRCh38, or GRCh37 for expression and chromatin, from 1, and no sequences: the import needs the genomes (``--reference``). How long a sequence is
is free upstream (100,000 by default); here windows are 513 (variants), 512 (elements and chromatin) and 4,096 bp (expression), a choice of this harness, so what makes the
benchmark long-range is not tested. Upstream leaves out rows whose window leaves the chromosome, so that their number depends on the length; here such windows are
cut short and kept. Where a table has reference alleles they are checked; rows whose ``ref`` is not the genome's base, or whose ``alt`` is, are left out and counted.

``cage_prediction`` (50 numbers for each of 896 bins, in NPZ shards whose keys were not seen) is left out: no kind of task has numbers per bin. Names of labels and of the 218 values were not seen: they are called by
their numbers. Metrics are the harness's where the authors' were not seen. The import was tried on small files made in the layout of the published ones, not on these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from findna_bench.cards import DataSource, SuiteCard, TaskCard

SUITE = "glrb"
LICENCE = "CC-BY-NC-SA-4.0"
CITATION = """@misc{trop2024glrb,
  title={The Genomics Long-Range Benchmark},
  author={Trop, Evan and others},
  year={2024},
  howpublished={https://huggingface.co/datasets/InstaDeepAI/genomics-long-range-benchmark}
}"""
HUB = "https://huggingface.co/datasets/InstaDeepAI/genomics-long-range-benchmark/resolve/main"
SPLITS = {"train": "train", "test": "test"}


def _task(name: str, labels: tuple[str, ...], summary: str, paths: tuple[str, ...], **card: Any) -> TaskCard:
    config: Mapping[str, Any] = card.pop("config")
    files = tuple(path.rpartition("/")[2] for path in paths)
    return TaskCard(
        name=name,
        suite=SUITE,
        labels=labels,
        summary=summary,
        sources=(DataSource(url=" ".join(f"{HUB}/{path}" for path in paths), layout="files", licence=LICENCE),),
        config={"files": files[:1], "first": 1, "splits": SPLITS, **config},
        citation=CITATION,
        licence=LICENCE,
        locus_group="glrb",
        **{"assembly": "GRCh38", "strand": "unknown", "split_policy": "official, by chromosome", **card},
    )


def _variants(name: str, labels: tuple[str, str], summary: str, path: str, **card: Any) -> TaskCard:
    config = {
        "recipe": "genome-variants",
        "columns": {
            "chrom": ("chrom",),
            "pos": ("pos",),
            "ref": ("ref",),
            "alt": ("alt",),
            "label": ("int_label", "label"),
            "element": ("tissue",),
            "tss_dist": ("distance_to_nearest_tss",),
            "split": ("split",),
        },
        "classes": dict(zip(("0", "1"), labels, strict=True)),
        "flank": 256,
        **card.pop("config"),
    }
    return _task(
        name, labels, summary, (path,), inputs="variant", metric="auroc", length=(513, 513), config=config, **card
    )


def _regulatory(name: str, label: str, rows: Mapping[str, int]) -> TaskCard:
    config = {
        "recipe": "genome-regions",
        "columns": {
            "chrom": ("chrom",),
            "start": ("start",),
            "end": ("stop",),
            "label": ("label",),
            "split": ("split",),
        },
        "labels": "classes",
        "classes": {"0": "none", "1": label},
        "window": 512,
        "rows": rows,
    }
    labels, path = ("none", label), f"regulatory_elements/{label}_dataset.csv"
    return _task(
        name, labels, f"whether a region is one of {label}s", (path,), metric="auroc", length=(512, 512), config=config
    )


def _chromatin(name: str, column: str, summary: str) -> TaskCard:
    config = {
        "recipe": "genome-regions",
        "columns": {"chrom": ("chrom",), "pos": ("pos",), "label": (column,), "split": ("split",)},
        "labels": "flags",
        "window": 512,
        "rows": {"train": 2_203_689, "test": 227_456},
    }
    return _task(
        name,
        tuple(map(str, range(20))),
        f"{summary}: 20 labels of the 200 bases in the middle",
        ("chromatin_features/histones_and_dnase.csv",),
        target="labels",
        metric="auroc_macro",
        assembly="GRCh37",
        length=(512, 512),
        config=config,
    )


TASKS = (
    _variants(
        "variant_effect_causal_eqtl",
        ("other", "causal"),
        "variants that change expression in a tissue against others; listed by tissue, one row for each tissue of a variant",
        "variant_effect_causal_eqtl/All_Tissues.csv",
        effect="absolute",
        config={"rows": {"train": 88_717, "test": 8_846}},
    ),
    _variants(
        "variant_effect_pathogenic_clinvar",
        ("benign", "pathogenic"),
        "pathogenic coding variants of ClinVar against benign ones",
        "variant_effect_pathogenic/vep_pathogenic_coding.csv",
        effect="negative",
        config={"rows": {"train": 38_634, "test": 1_018}},
    ),
    _task(
        "bulk_rna_expression",
        tuple(map(str, range(218))),
        "expression in 218 tissues around a gene's transcription start, on its strand",
        ("bulk_rna_expression/gene_coordinates.csv", "bulk_rna_expression/rna_expression_values.csv"),
        target="values",
        metric="r2",
        assembly="GRCh37",
        strand="specific",
        length=(4096, 4096),
        config={
            "recipe": "genome-regions",
            "columns": {
                "chrom": ("chrom",),
                "pos": ("cage_representative_tss",),
                "strand": ("strand",),
                "split": ("split",),
            },
            "labels": "numbers",
            "numbers": ("rna_expression_values.csv",),
            "window": 4096,
            "rows": {"train": 22_827, "test": 990},
        },
    ),
    _chromatin("chromatin_features_histone_marks", "histones", "histone marks"),
    _chromatin("chromatin_features_dna_accessibility", "dnase", "DNA accessibility"),
    _regulatory("regulatory_element_promoter", "promoter", {"train": 953_376, "test": 96_240}),
    _regulatory("regulatory_element_enhancer", "enhancer", {"train": 1_914_575, "test": 192_201}),
    _variants(
        "variant_effect_pathogenic_omim",
        ("other", "pathogenic"),
        "pathogenic non-coding variants of OMIM against common ones",
        "variant_effect_pathogenic/vep_pathogenic_non_coding.csv",
        effect="negative",
        split_policy="test rows only",
        config={"rows": {"test": 2_321_473}, "expected_splits": ("test",)},
    ),
)
SUITES = (
    SuiteCard(
        name=SUITE,
        tasks=tuple(task.full_name for task in TASKS[:-1]),
        extra_tasks=(TASKS[-1].full_name,),
        summary="variants, expression, chromatin and regulatory elements of the human genome, in short windows",
        reference="https://huggingface.co/datasets/InstaDeepAI/genomics-long-range-benchmark",
        citation=CITATION,
        aliases=("genomics-long-range-benchmark",),
    ),
)
