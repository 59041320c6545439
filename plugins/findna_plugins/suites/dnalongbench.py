"""DNALongBench: the two of its five tasks whose rows are pairs (Cheng et al.): enhancers with their target genes, and eQTL in nine tissues.

The authors' tables name a gene and a region, in GRCh37 for enhancers and GRCh38 for eQTL; the file of settings beside them says which table, and how many bases
are read around either. The import needs the genome (``--reference``). Rows that the authors skip are left out and counted: gene and region on two chromosomes, a
strand that is none, more than 450,000 bases between them.

Where this differs from the paper: a row there is one sequence from the gene to the region (for eQTL twice, with either allele), turned so that the gene stands first, N at other
enhancers in between, and N behind it up to 450,000 bases. **How many N there are says how far apart the two are**, and distance says a good part of the label, so that a
model of padding alone scores. Here the sides are read apart and nothing is padded: the region and the promoter (eQTL: the region with either allele), with distance and strand as
columns, which the control ``pair-distance`` reads, and scores within strata of distance in every result.

Rows per split, licence and digests of the data were not seen, and stay unknown; 2,602 and 31,282 rows are what the paper counts in all splits and tissues. The import was
tried on small files made in the layout that the authors' code reads, not on the published ones.
"""

from __future__ import annotations

from typing import Any

from findna_bench.cards import DataSource, SuiteCard, TaskCard

__all__ = ["SUITES", "TASKS"]

SUITE = "dnalongbench"
CITATION = """@inproceedings{chengdna,
  title={DNALongBench: A Benchmark Suite for Long-Range DNA Prediction Tasks},
  author={Cheng, Wenduo and Song, Zhenqiao and Zhang, Yang and Wang, Shike and Wang, Danqing and Yang, Muyu and Li, Lei and Ma, Jian}
}"""
TISSUES = (
    "Adipose_Subcutaneous",
    "Artery_Tibial",
    "Cells_Cultured_fibroblasts",
    "Muscle_Skeletal",
    "Nerve_Tibial",
    "Skin_Not_Sun_Exposed_Suprapubic",
    "Skin_Sun_Exposed_Lower_leg",
    "Thyroid",
    "Whole_Blood",
)
SHORTCUT = (
    "as published, rows are padded with N to 450,000 bases, so that N and distance are one; here sides are read apart, and pair-distance says what "
    "distance alone is worth"
)


def _task(name: str, config: dict[str, Any], summary: str, doi: str, assembly: str, **card: Any) -> TaskCard:
    return TaskCard(
        name=name,
        suite=SUITE,
        inputs="pair",
        labels=("negative", "positive"),
        metric="auroc",
        summary=summary,
        sources=(DataSource(url=f"https://doi.org/{doi}", layout="page"),),
        config={
            "recipe": "genome-pairs",
            "splits": {"train": "train", "valid": "validation", "test": "test"},
            "classes": {"negative": "negative", "positive": "positive"},
            **config,
        },
        assembly=assembly,
        citation=CITATION,
        **card,
    )


TASKS = (
    _task(
        "enhancer_target_gene",
        {"settings": ("CRISPRi_EPI_K562_hg19.config",), "table": "EPI_file", "sides": "region-promoter"},
        f"whether an element regulates a gene (CRISPRi, K562): element and promoter; {SHORTCUT}",
        "10.7910/DVN/CTEQXX",
        "GRCh37",
    ),
    *(
        _task(
            f"eqtl_{tissue.lower()}",
            {"settings": (f"gtex_hg38.{tissue}.config",), "table": "eQTL_file", "sides": "alleles"},
            f"whether a variant changes a gene's expression ({tissue.replace('_', ' ')}): its region with either allele; {SHORTCUT}",
            "10.7910/DVN/YUP2G5",
            "GRCh38",
            combination="concat_absdiff_product",
            locus_group="dnalongbench-eqtl",
        )
        for tissue in TISSUES
    ),
)
SUITES = (
    SuiteCard(
        name=SUITE,
        tasks=tuple(task.full_name for task in TASKS),
        summary="pairs over long distances: enhancers with target genes, eQTL in nine tissues; sides read apart, without padding",
        reference="Cheng et al.; wenduocheng/DNALongBench@d6db3ae",
        citation=CITATION,
    ),
)
