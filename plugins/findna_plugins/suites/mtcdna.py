"""MTcDNA: mouse against turtle transcripts of more than 5000 bases, cut to 1024 to 16384 (Yu et al. 2022; the FinDNA paper).

Built from four Ensembl cDNA files as the papers' script builds it: 16,493 transcripts in the papers' (unnamed) release, split
60/20/20 at random. A cDNA file holds many transcripts of one gene, so that split puts isoforms on both sides; the ``-gene``
tasks keep all transcripts of a gene together. Transcripts shorter than the length are filled with N, which shows their length.
"""

from __future__ import annotations

from findna_bench.cards import DataSource, SuiteCard, TaskCard

SUITE = "mtcdna"
LENGTHS = (1024, 4096, 8192, 16384)
PAPER_LENGTHS = (1024, 4096, 8192)
LABELS = ("turtle", "mouse")
FILES = (
    ("Chelonoidis_abingdonii", "turtle"),
    ("Gopherus_agassizii", "turtle"),
    ("Mus_musculus", "mouse"),
    ("Mus_spretus", "mouse"),
)
_RELEASE = "https://ftp.ensembl.org/pub/release-104/fasta"
_ENSEMBL = " ".join(
    f"{_RELEASE}/{species.lower()}/cdna/{species}.{assembly}.cdna.all.fa.gz"
    for species, assembly in (
        ("Chelonoidis_abingdonii", "ASM359739v1"),
        ("Gopherus_agassizii", "ASM289641v1"),
        ("Mus_musculus", "GRCm39"),
        ("Mus_spretus", "SPRET_EiJ_v1"),
    )
)
CITATION = """@inproceedings{yu2022paramixer,
  title={Paramixer: Parameterizing Mixing Links in Sparse Factors Works Better than Dot-Product Self-Attention},
  author={Yu, Tong and Khalitov, Ruslan and Cheng, Lei and Yang, Zhirong},
  booktitle={Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  pages={691--700},
  year={2022}
}"""


def _task(length: int, split: str) -> TaskCard:
    by_gene = split == "gene"
    name = f"mtcdna-{length}" + ("-gene" if by_gene else "")
    rows = {} if by_gene else {"rows": {"train": 9895, "validation": 3299, "test": 3299}}
    return TaskCard(
        name=name,
        suite=SUITE,
        labels=LABELS,
        metric="accuracy",
        summary=f"Mouse or turtle: first {length} bases of long transcripts, "
        + ("split by gene" if by_gene else "the papers' random split"),
        split_policy="60/20/20 by gene, stratified, seeded" if by_gene else "60/20/20 at random, as published",
        sources=(DataSource(url=_ENSEMBL, layout="files", licence="no restriction (Ensembl)"),),
        config={
            "recipe": "transcripts",
            "files": FILES,
            "min_length": 5000,
            "max_length": length,
            "pad": True,
            "split": split,
            "random_state": 1,
            "counts_vary": True,  # with the Ensembl release
            **rows,
        },
        strand="specific",
        known_shortcuts=() if by_gene else ("overlap (isoforms)",),
        citation=CITATION,
        licence="no restriction (Ensembl)",
        length=(length, length),
        assembly="GRCm39, SPRET_EiJ_v1, ASM359739v1, ASM289641v1",
        locus_group="mtcdna",
    )


TASKS: tuple[TaskCard, ...] = tuple(_task(length, split) for split in ("random", "gene") for length in LENGTHS)

SUITES: tuple[SuiteCard, ...] = (
    SuiteCard(
        name=SUITE,
        tasks=tuple(f"{SUITE}/mtcdna-{length}" for length in PAPER_LENGTHS),
        extra_tasks=(
            f"{SUITE}/mtcdna-16384",
            *(f"{SUITE}/mtcdna-{length}-gene" for length in LENGTHS),
        ),
        summary="Mouse or turtle from long transcripts; the same split by gene is shown beside the published random one",
        reference="https://arxiv.org/abs/2405.08538",
        citation=CITATION,
    ),
)
