"""GenomicBenchmarks (Grešová et al. 2023): eight tasks, and Drosophila enhancers outside the mean.

Counts are those of the published interval files (ML-Bioinfo-CEITEC/genomic_benchmarks @ 605d853). Upstream numbers classes
by the order in which the file system lists their folders; here class names are sorted.
"""

from __future__ import annotations

from collections.abc import Mapping

from findna_bench.cards import DataSource, SuiteCard, TaskCard

SUITE = "genomic_benchmarks"
LICENCE = "Apache-2.0"
CITATION = """@article{gresova2023genomic,
  title={Genomic benchmarks: a collection of datasets for genomic sequence classification},
  author={Gre{\\v{s}}ov{\\'a}, Katar{\\'\\i}na and Martinek, Vlastimil and {\\v{C}}ech{\\'a}k, David and {\\v{S}}ime{\\v{c}}ek, Petr and Alexiou, Panagiotis},
  journal={BMC Genomic Data},
  volume={24},
  number={1},
  pages={25},
  year={2023},
  doi={10.1186/s12863-023-01123-8}
}"""
PAIR = ("negative", "positive")


def _task(
    name: str,
    summary: str,
    labels: tuple[str, ...],
    train: tuple[int, ...],
    test: tuple[int, ...],
    length: tuple[int, int],
    *,
    assembly: str = "GRCh38",
    known_shortcuts: tuple[str, ...] = (),
    config: Mapping[str, Mapping[str, str]] | None = None,
) -> TaskCard:
    return TaskCard(
        name=name,
        suite=SUITE,
        labels=labels,
        metric="accuracy",
        summary=summary,
        split_policy="official train and test, validation drawn from train",
        counts={"train": dict(zip(labels, train, strict=True)), "test": dict(zip(labels, test, strict=True))},
        sources=(
            DataSource(
                url=f"https://zenodo.org/records/16605299/files/{name}_v0.zip?download=1",
                layout="archive",
                licence=LICENCE,
            ),
            DataSource(
                url=f"https://huggingface.co/api/datasets/katarinagresova/Genomic_Benchmarks_{name}/parquet#default",
                layout="hub-parquet",
                licence=LICENCE,
            ),
        ),
        config=config or {},
        strand="unknown",
        known_shortcuts=known_shortcuts,
        citation=CITATION,
        licence=LICENCE,
        length=length,
        assembly=assembly,
        aliases=(f"Genomic_Benchmarks_{name}",),
    )


TASKS: tuple[TaskCard, ...] = (
    _task(
        "dummy_mouse_enhancers_ensembl",
        "Mouse enhancers against random mouse sequence of equal lengths",
        PAIR,
        (484, 484),
        (121, 121),
        (331, 4776),
        assembly="GRCm38",
    ),
    _task(
        "demo_coding_vs_intergenomic_seqs",
        "Human transcripts against intergenic sequence, 200 bp",
        ("coding_seqs", "intergenomic_seqs"),
        (37500, 37500),
        (12500, 12500),
        (200, 200),
        config={"reference": {"coding_seqs": "GRCh38.cdna", "intergenomic_seqs": "GRCh38.dna"}},
    ),
    _task(
        "demo_human_or_worm",
        "Human against C. elegans genome, 200 bp",
        ("human", "worm"),
        (37500, 37500),
        (12500, 12500),
        (200, 200),
        assembly="GRCh38, WBcel235",
        # both genomes have a chromosome X
        config={"reference": {"human": "GRCh38", "worm": "WBcel235"}, "contig_prefix": {"worm": "worm_"}},
    ),
    _task(
        "human_enhancers_cohn",
        "Human enhancers (Cohn et al. 2018) against other human sequence, 500 bp",
        PAIR,
        (10422, 10421),
        (3474, 3474),
        (500, 500),
    ),
    _task(
        "human_enhancers_ensembl",
        "Human enhancers of the Ensembl build against random human sequence of equal lengths",
        PAIR,
        (61936, 61936),
        (15485, 15485),
        (2, 573),
        known_shortcuts=("overlap",),
    ),
    _task(
        "human_ensembl_regulatory",
        "Human enhancers, open chromatin and promoters of the Ensembl build",
        ("enhancer", "ocr", "promoter"),
        (85512, 69902, 75934),
        (21378, 17476, 18859),
        (71, 802),
        known_shortcuts=("length",),
    ),
    _task(
        "human_nontata_promoters",
        "Human promoters without a TATA box against other gene sequence, 251 bp",
        PAIR,
        (12355, 14742),
        (4119, 4915),
        (251, 251),
        known_shortcuts=("overlap",),
    ),
    _task(
        "human_ocr_ensembl",
        "Human open chromatin of the Ensembl build against random human sequence of equal lengths",
        PAIR,
        (69902, 69902),
        (17476, 17476),
        (71, 593),
    ),
    _task(
        "drosophila_enhancers_stark",
        "Drosophila enhancers (Kvon et al. 2014) against random Drosophila sequence",
        PAIR,
        (2592, 2592),
        (865, 865),
        (236, 3237),
        assembly="BDGP6",
    ),
)

SUITES: tuple[SuiteCard, ...] = (
    SuiteCard(
        name=SUITE,
        tasks=tuple(task.full_name for task in TASKS[:-1]),
        extra_tasks=(TASKS[-1].full_name,),
        summary="Eight classification tasks on human, mouse and worm sequence; Drosophila enhancers beside the mean",
        reference="https://github.com/ML-Bioinfo-CEITEC/genomic_benchmarks",
        protocol="probe",
        citation=CITATION,
        aliases=("gb",),
    ),
)
