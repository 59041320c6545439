"""The Nucleotide Transformer's 18 downstream tasks, first published form and revised form (Dalla-Torre et al. 2023, 2024).

Upstream publishes ``<task>/{train,test}.fna`` with records ``>name|label``. Labels are the numbers given there. Rows of the
first form are upstream's figures where they agree with the data sets they were made from; the others are not recorded here.
"""

from __future__ import annotations

from findna_bench.cards import DataSource, SuiteCard, TaskCard

CITATION = """@article{dallatorre2024nucleotide,
  title={Nucleotide Transformer: building and evaluating robust foundation models for human genomics},
  author={Dalla-Torre, Hugo and Gonzalez, Liam and Mendoza-Revilla, Javier and Lopez Carranza, Nicolas and Grzywaczewski, Adam Henryk and Oteri, Francesco and Dallago, Christian and Trop, Evan and de Almeida, Bernardo P. and Sirelkhatim, Hassan and Richard, Guillaume and Skwark, Marcin and Beguir, Karim and Lopez, Marie and Pierrot, Thomas},
  journal={Nature Methods},
  year={2024},
  doi={10.1038/s41592-024-02523-z}
}"""
HUB = "https://huggingface.co/datasets/InstaDeepAI/{repository}/resolve/main/{task}/{{split}}.fna"

# name: (classes, length in bases, rows in train and test where known)
FIRST: dict[str, tuple[int, int, tuple[int, int] | None]] = {
    "promoter_all": (2, 300, (53276, 5920)),
    "promoter_tata": (2, 300, (5509, 621)),
    "promoter_no_tata": (2, 300, (47767, 5299)),
    "enhancers": (2, 200, (14968, 400)),
    "enhancers_types": (3, 200, (14968, 400)),
    "splice_sites_all": (3, 400, (27000, 3000)),
    "splice_sites_acceptors": (2, 600, None),
    "splice_sites_donors": (2, 600, None),
    "H3": (2, 500, (13468, 1497)),
    "H4": (2, 500, (13140, 1461)),
    "H3K9ac": (2, 500, (25003, 2779)),
    "H3K14ac": (2, 500, (29743, 3305)),
    "H4ac": (2, 500, (30685, 3410)),
    "H3K4me1": (2, 500, (28509, 3168)),
    "H3K4me2": (2, 500, (27614, 3069)),
    "H3K4me3": (2, 500, (33119, 3680)),
    "H3K36me3": (2, 500, (31392, 3488)),
    "H3K79me3": (2, 500, (25953, 2884)),
}
REVISED: dict[str, tuple[int, int, tuple[int, int] | None]] = {
    "promoter_all": (2, 300, None),
    "promoter_tata": (2, 300, None),
    "promoter_no_tata": (2, 300, None),
    "enhancers": (2, 400, None),
    "enhancers_types": (3, 400, None),
    "splice_sites_all": (3, 600, None),
    "splice_sites_acceptors": (2, 600, None),
    "splice_sites_donors": (2, 600, None),
    "H2AFZ": (2, 1000, None),
    "H3K27ac": (2, 1000, None),
    "H3K27me3": (2, 1000, None),
    "H3K36me3": (2, 1000, None),
    "H3K4me1": (2, 1000, None),
    "H3K4me2": (2, 1000, None),
    "H3K4me3": (2, 1000, None),
    "H3K9ac": (2, 1000, None),
    "H3K9me3": (2, 1000, None),
    "H4K20me1": (2, 1000, None),
}
_NT = "Nucleotide Transformer task"


def _task(suite: str, repository: str, name: str, classes: int, length: int, rows: tuple[int, int] | None) -> TaskCard:
    yeast = suite == "nt_tasks" and name.startswith("H")
    group = "yeast-emp" if yeast else f"{suite}-{'histone' if name.startswith('H') else name.partition('_')[0]}"
    return TaskCard(
        name=name,
        suite=suite,
        labels=tuple(str(i) for i in range(classes)),
        metric="mcc",
        summary=f"{_NT} {name}, about {length} bp",
        split_policy="official train and test, validation drawn from train",
        sources=(DataSource(url=HUB.format(repository=repository, task=name), layout="tables"),),
        config={"rows": dict(zip(("train", "test"), rows, strict=True))} if rows else {},
        citation=CITATION,
        assembly="Saccharomyces cerevisiae" if yeast else "Homo sapiens",
        locus_group=group,
        aliases=(name.removesuffix("s"),) if name.startswith("splice_sites_") else (),
    )


TASKS: tuple[TaskCard, ...] = (
    *(_task("nt_tasks", "nucleotide_transformer_downstream_tasks", name, *facts) for name, facts in FIRST.items()),
    *(
        _task("nt_tasks_revised", "nucleotide_transformer_downstream_tasks_revised", name, *facts)
        for name, facts in REVISED.items()
    ),
)

SUITES: tuple[SuiteCard, ...] = (
    SuiteCard(
        name="nt_tasks",
        tasks=tuple(f"nt_tasks/{name}" for name in FIRST),
        summary="The Nucleotide Transformer's 18 tasks as first published; its ten yeast marks are those of GUE",
        reference="https://huggingface.co/datasets/InstaDeepAI/nucleotide_transformer_downstream_tasks",
        citation=CITATION,
    ),
    SuiteCard(
        name="nt_tasks_revised",
        tasks=tuple(f"nt_tasks_revised/{name}" for name in REVISED),
        summary="The 18 tasks as revised for the journal paper: human histone marks, other negatives",
        reference="https://huggingface.co/datasets/InstaDeepAI/nucleotide_transformer_downstream_tasks_revised",
        citation=CITATION,
    ),
)
