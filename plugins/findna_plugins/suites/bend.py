"""BEND: seven tasks on human sequence (Marin, Teufel et al. 2024).

Regions in files with a header, ``NAME.bed``, and for the two tasks with a state at every base arrays in ``NAME.hdf5``. The files hold no sequences: the import
needs the genome (``--reference``), GRCh37 for ``chromatin_accessibility`` (whose contigs have no ``chr``) and GRCh38 for the others; a folder with both will do.
Strands are read as the authors read them: of the three tasks with several labels, not of the others.

Where this differs from the paper: heads are the harness's, not the authors' two-layer network; ``enhancer_annotation``, labelled in bins of 128 bases, is scored base by base,
and has no official train and test (the authors use ten folds by chromosome; ``--split chromosome:*`` or ``grouped:*/5`` here); variants are scored by likelihood unless
``--preset cosine`` asks for the authors' cosine distance. Windows of variants have 256 bases on either side, as theirs. Licence and digests of the data, the rows of
``cpg_methylation`` and of the variants, and the names of labels and states were not seen: labels are called by their numbers. The import was tried on small files made
in the layout of the published ones, not on these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from findna_bench.cards import DataSource, SuiteCard, TaskCard

SUITE = "bend"
CITATION = """@inproceedings{marin2024bend,
  title={{BEND}: Benchmarking {DNA} language models on biologically meaningful tasks},
  author={Marin, Frederikke Isa and Teufel, Felix and Horlacher, Marc and Madsen, Dennis and Pultz, Dennis and Winther, Ole and Boomsma, Wouter},
  booktitle={The Twelfth International Conference on Learning Representations},
  year={2024},
  url={https://openreview.net/forum?id=uKB4cFNQFg}
}"""
FOLDER = DataSource(url="https://sid.erda.dk/cgi-sid/ls.py?share_id=aNQa0Oz2lY", layout="page")
SPLITS = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}
REGION = {"chrom": ("chromosome", "chrom"), "start": ("start",), "end": ("end",)}


def _task(name: str, labels: tuple[str, ...], summary: str, config: Mapping[str, Any], **card: Any) -> TaskCard:
    return TaskCard(
        name=name,
        suite=SUITE,
        labels=labels,
        summary=summary,
        sources=(FOLDER,),
        config={"files": (f"{name}.bed",), "format": f"{name}.tsv", **config},
        citation=CITATION,
        **{"assembly": "GRCh38", "locus_group": "bend", **card},
    )


def _several_labels(name: str, n: int, summary: str, rows: Mapping[str, int], **card: Any) -> TaskCard:
    return _task(
        name,
        tuple(map(str, range(n))),
        f"{summary}: {n} labels of 512 bp",
        {
            "recipe": "genome-regions",
            "columns": {**REGION, "strand": ("strand",), "label": ("label",), "split": ("split",)},
            "splits": SPLITS,
            "labels": "lists",
            "rows": rows,
        },
        target="labels",
        metric="auroc_macro",
        length=(512, 512),
        strand="unknown",
        **card,
    )


def _variants(name: str, effect: Literal["negative", "absolute"], summary: str) -> TaskCard:
    return _task(
        name,
        ("control", "effect"),
        summary,
        {
            "recipe": "genome-variants",
            "columns": {
                "chrom": ("chromosome", "chrom"),
                "pos": ("start",),
                "ref": ("ref",),
                "alt": ("alt",),
                "label": ("label",),
            },
            "first": 0,
            "flank": 256,
            "classes": {"0": "control", "1": "effect", "false": "control", "true": "effect"},
            "expected_splits": ("test",),
        },
        inputs="variant",
        effect=effect,
        metric="auroc",
        split_policy="test rows only",
        length=(513, 513),
    )


TASKS = (
    _task(
        "gene_finding",
        tuple(map(str, range(9))),
        "nine states of every base of 5,977 gene regions: exon, intron, donor and acceptor of either strand, and none",
        {
            "recipe": "genome-regions",
            "columns": {**REGION, "split": ("split",)},
            "splits": SPLITS,
            "labels": "array",
            "array": ("gene_finding.hdf5",),
            "rows": {"train": 4783, "validation": 597, "test": 597},
        },
        target="per_base",
        metric="base_mcc",
        split_policy="official, at 80 % identity; chromosomes are shared",
        strand="specific",
    ),
    _task(
        "enhancer_annotation",
        ("none", "enhancer"),
        "whether each base of 285 regions of 100,096 bp lies in a bin with an enhancer",
        {
            "recipe": "genome-regions",
            "columns": {**REGION},
            "labels": "array",
            "array": ("enhancer_annotation.hdf5",),
            "rows": {"test": 285},
            "expected_splits": ("test",),
        },
        target="per_base",
        metric="base_auprc:enhancer",
        split_policy="no official train and test; the authors use ten folds by chromosome",
        length=(100_096, 100_096),
    ),
    _several_labels(
        "chromatin_accessibility",
        125,
        "chromatin accessibility",
        {"train": 1_410_554, "validation": 279_422, "test": 372_153},
        assembly="GRCh37",
    ),
    _several_labels(
        "histone_modification",
        18,
        "histone marks",
        {"train": 433_861, "validation": 70_801, "test": 120_567},
    ),
    _several_labels("cpg_methylation", 7, "methylation of CpG sites", {}),
    _variants("variant_effects_expression", "absolute", "variants that change expression against others"),
    _variants("variant_effects_disease", "negative", "variants that cause disease against benign ones"),
)
SUITES = (
    SuiteCard(
        name=SUITE,
        tasks=tuple(task.full_name for task in TASKS),
        summary="genes, enhancers, chromatin and variants on human sequence; GRCh37 and GRCh38",
        reference="Marin et al. 2024, https://openreview.net/forum?id=uKB4cFNQFg; frederikkemarin/BEND@ac6e80c",
        citation=CITATION,
    ),
)
