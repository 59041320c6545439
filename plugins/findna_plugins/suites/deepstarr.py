"""DeepSTARR: enhancer activity in Drosophila S2 cells, for two promoters (de Almeida et al. 2022).

Log2 enrichment over input of 249-bp fragments in STARR-seq, with a developmental (``dev``) and a housekeeping (``hk``) promoter. The second half
of chromosome arm 2R is test. 18 train rows hold an N. Whether both strands of a fragment are rows, and the licence of the data, was not seen; the
import was tried on small files made in the layout of the published ones, not on these.
"""

from __future__ import annotations

from findna_bench.cards import DataSource, SuiteCard, TaskCard

SUITE = "deepstarr"
RECORD = "https://zenodo.org/records/5502060/files"
FILES = [
    f"{stem}{split}{end}"
    for split in ("Train", "Val", "Test")
    for stem, end in (("Sequences_", ".fa"), ("Sequences_activity_", ".txt"))
]
CITATION = """@article{dealmeida2022deepstarr,
  title={{DeepSTARR} predicts enhancer activity from {DNA} sequence and enables the de novo design of synthetic enhancers},
  author={de Almeida, Bernardo P. and Reiter, Franziska and Pagani, Michaela and Stark, Alexander},
  journal={Nature Genetics},
  volume={54},
  pages={613--624},
  year={2022},
  doi={10.1038/s41588-022-01048-5}
}"""
TASKS = (
    TaskCard(
        name="s2-activity",
        suite=SUITE,
        labels=("dev", "hk"),
        target="values",
        metric="pearson",
        summary="log2 enhancer activity of 249 bp with a developmental and a housekeeping promoter, mean over both",
        split_policy="official: the second half of 2R is test",
        sources=(DataSource(url=" ".join(f"{RECORD}/{file}?download=1" for file in FILES), layout="files"),),
        config={
            "recipe": "fasta-values",
            "fasta": "Sequences_{split}.fa",
            "values": "Sequences_activity_{split}.txt",
            "splits": {"train": "Train", "validation": "Val", "test": "Test"},
            "columns": ("Dev_log2_enrichment", "Hk_log2_enrichment"),
            "rows": {"train": 402_296, "validation": 40_570, "test": 41_186},
        },
        citation=CITATION,
        assembly="dm3",
        strand="unknown",
        length=(249, 249),
        locus_group="deepstarr",
    ),
)
SUITES = (
    SuiteCard(
        name=SUITE,
        tasks=(f"{SUITE}/s2-activity",),
        summary="enhancer activity in Drosophila S2 cells for two promoters",
        reference="de Almeida et al. 2022, doi:10.1038/s41588-022-01048-5",
        citation=CITATION,
    ),
)
