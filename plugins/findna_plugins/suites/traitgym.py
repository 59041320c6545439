"""TraitGym: non-coding variants that cause Mendelian or complex traits, against matched controls (Benegas, Eraslan, Song 2025).

Nine controls per causal variant on the same chromosome, of the same consequence and near in distance to a transcription start (complex traits:
also in allele frequency and linkage), so that chance is an AUPRC of 0.10. The authors' score is the mean over chromosomes of the AUPRC, weighted by their rows. The score without
training is log p(ref) - log p(alt) for Mendelian traits, and the size of the log ratio for complex ones, whose causal allele may be either. A matched
set (``match_group``) is never cut by a split. The authors train by leaving one chromosome out: ``--split chromosome:*``.

The files hold places in GRCh38 and no sequences: the import needs that genome (``--reference``). Windows have 256 bases on either side, a choice of
this harness. The import was tried on small files made in the layout of the published ones, not on these.
"""

from __future__ import annotations

from typing import Literal

from findna_bench.cards import DataSource, SuiteCard, TaskCard

SUITE = "traitgym"
CITATION = """@article{benegas2025traitgym,
  title={Benchmarking {DNA} sequence models for causal regulatory variant prediction in human genetics},
  author={Benegas, Gonzalo and Eraslan, G{\\"o}kcen and Song, Yun S.},
  journal={bioRxiv},
  year={2025},
  doi={10.1101/2025.02.11.637758}
}"""
HUB = "https://huggingface.co/datasets/songlab/TraitGym/resolve/main/{folder}/test.parquet"
ROWS = {"mendelian_traits": 3380, "complex_traits": 11_400}


def _task(name: str, effect: Literal["negative", "absolute"], summary: str) -> TaskCard:
    folder = f"{name}_matched_9"
    return TaskCard(
        name=name,
        suite=SUITE,
        labels=("control", "causal"),
        inputs="variant",
        effect=effect,
        aggregate="groups",
        group_weights="rows",
        metric="auprc",
        summary=summary,
        split_policy="test rows only; leave one chromosome out with --split chromosome:*",
        sources=(DataSource(url=HUB.format(folder=folder), layout="files", licence="MIT"),),
        config={
            "recipe": "genome-variants",
            "files": (f"{folder}/test.parquet", f"{name}/test.parquet"),
            "columns": {
                "chrom": ("chrom",),
                "pos": ("pos",),
                "ref": ("ref",),
                "alt": ("alt",),
                "label": ("label",),
                "element": ("chrom",),
                "group": ("match_group",),
                "tss_dist": ("tss_dist",),
            },
            "classes": {"0": "control", "1": "causal", "false": "control", "true": "causal"},
            "flank": 256,
            "rows": {"test": ROWS[name]},
            "expected_splits": ("test",),
        },
        citation=CITATION,
        licence="MIT",
        assembly="GRCh38",
        strand="agnostic",
        length=(513, 513),
        locus_group="traitgym",
    )


TASKS = (
    _task(
        "mendelian_traits", "negative", "regulatory variants of OMIM against common ones, nine matched controls each"
    ),
    _task("complex_traits", "absolute", "fine-mapped variants of UK Biobank traits, nine matched controls each"),
)
SUITES = (
    SuiteCard(
        name=SUITE,
        tasks=tuple(task.full_name for task in TASKS),
        summary="causal non-coding variants of Mendelian and complex traits against matched controls, scored without training",
        reference="Benegas et al. 2025, doi:10.1101/2025.02.11.637758; songlab-cal/TraitGym@4d80fe8",
        protocol="zero_shot",
        citation=CITATION,
    ),
)
