"""Saturation mutagenesis of regulatory elements in massively parallel reporter assays (Kircher et al. 2019).

Nearly every base of 21 promoters and enhancers changed to every other, in 29 experiments (some elements in several cells or
conditions, TERT and SORT1 several times): what is measured is the log2 change of expression. Without training a model's score is
log p(alt) - log p(ref) with the element as window, ranked within each experiment; the mean over experiments is the score of the suite.

``snv`` holds substitutions with at least ten barcodes, the authors' threshold; ``snv-all`` all of them. Deletions are in neither. How many rows
either has in all 29 experiments is not given here, since it was not counted.
"""

from __future__ import annotations

from findna_bench.cards import DataSource, SuiteCard, TaskCard

SUITE = "mpra-saturation"
CITATION = """@article{kircher2019saturation,
  title={Saturation mutagenesis of twenty disease-associated regulatory elements at single base-pair resolution},
  author={Kircher, Martin and Xiong, Chenling and Martin, Beth and Schubach, Max and Inoue, Fumitaka and Bell, Robert J. A. and
    Costello, Joseph F. and Shendure, Jay and Ahituv, Nadav},
  journal={Nature Communications},
  volume={10},
  pages={3583},
  year={2019},
  doi={10.1038/s41467-019-11526-w}
}"""
TABLE = DataSource(
    url="https://raw.githubusercontent.com/kircherlab/MPRA_SaturationMutagenesis/"
    "02c522ede208a6b8243f52764705583e074a04bd/data/elements.tsv.gz",
    layout="variants",
    git_blob="2074411440ba43fe50d255b940307d4967925c5e",
    size=2_677_485,
)
RECIPE = {
    "recipe": "variants",
    "files": ("elements", "variants"),
    "columns": {
        "element": ("element",),
        "chrom": ("chrom", "chromosome"),
        "pos": ("pos", "pos_grch37", "position"),
        "value": ("coefficient", "log2_effect"),
        "barcodes": ("barcodes", "tags"),
    },
    "keep": {"release": ("GRCh37",)},
    "alleles": "snv",
    "elements": 29,
}


def _task(name: str, summary: str, **recipe: object) -> TaskCard:
    return TaskCard(
        name=name,
        suite=SUITE,
        labels=("log2_effect",),
        target="values",
        inputs="variant",
        effect="signed",
        aggregate="groups",
        metric="spearman",
        summary=summary,
        sources=(TABLE,),
        config={**RECIPE, **recipe},
        citation=CITATION,
        assembly="GRCh37",
        strand="agnostic",
        locus_group="mpra-saturation",
    )


TASKS = (
    _task(
        "snv",
        "log2 effect of substitutions with at least 10 barcodes on expression, ranked within each experiment",
        at_least={"barcodes": 10},
    ),
    _task("snv-all", "the same for all substitutions, however few barcodes they have"),
)
SUITES = (
    SuiteCard(
        name=SUITE,
        tasks=(f"{SUITE}/snv",),
        extra_tasks=(f"{SUITE}/snv-all",),
        summary="saturation mutagenesis of promoters and enhancers, scored without training",
        reference="Kircher et al. 2019, doi:10.1038/s41467-019-11526-w",
        protocol="zero_shot",
        citation=CITATION,
        aliases=("satmut-mpra",),
    ),
)
