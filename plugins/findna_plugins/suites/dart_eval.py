"""DART-Eval: human regulatory sequence and variants in it (Patel et al. 2024).

All five tasks, not each with all of its scores. Sequences come as one-hot arrays (``task_N.../data.h5``, read by h5py), split by the authors by chromosome: 5, 10, 14, 18, 20 and 22 are test, 6 and
21 validation. The two sets of variants are read from the authors' tables, since the labels in their array are the column that selects rows, not the labels: African caQTLs on GRCh38,
Yoruban dsQTLs on GRCh37, whose controls are 0 in one and -1 in the other. Either allele may be the genome's; the score is the size of the log ratio, which does not
depend on it. Windows of variants have 1,057 bases on either side (the authors': 2,114 bp).

Task 2, a motif or its shuffled letters in the middle of a sequence, is scored without training as a variant of several bases: each row's two sequences are the alleles, every second
sequence has the motif as the alternative, and the score is the share of pairs in which the motif is likelier. Ties count half (the authors': as right), and of a masked
network the bases that differ are hidden together, where the authors take the likelihood of the whole sequence. The array holds no names of motifs: they are called by their number in the
alphabet.

Left out: the direction of effects of task 5 (which allele an effect size belongs to was not seen), clustering of task 3, and of task 4 the AUROC of peaks against others and the reproducible
peaks, which are among the peaks. Task 1 is scored as classes of single sequences, pairs never separated; its paired accuracy is not. Data: Synapse syn59522070, a page for people; their licence and numbers of
rows were not seen. The import was tried on small files made in the layout that the authors' code writes, not on the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from findna_bench.cards import DataSource, SuiteCard, TaskCard

SUITE = "dart-eval"
CITATION = """@inproceedings{patel2024dart,
  title={{DART-Eval}: A comprehensive {DNA} language model evaluation benchmark on regulatory {DNA}},
  author={Patel, Aman and Singhal, Arpita and Wang, Austin and Pampari, Anusri and Kasowski, Maya and Kundaje, Anshul},
  booktitle={Advances in Neural Information Processing Systems},
  year={2024},
  url={https://arxiv.org/abs/2412.05430}
}"""
PAGE = DataSource(url="https://www.synapse.org/Synapse:syn59522070", layout="page")
SPLITS = {"train": "train", "val": "validation", "test": "test"}
CELL_LINES = ("GM12878", "H1ESC", "HEPG2", "IMR90", "K562")


def _task(name: str, labels: tuple[str, ...], summary: str, config: Mapping[str, Any], **card: Any) -> TaskCard:
    return TaskCard(
        name=name,
        suite=SUITE,
        labels=labels,
        summary=summary,
        sources=(PAGE,),
        config=config,
        citation=CITATION,
        locus_group="dart-eval",
        **{"assembly": "GRCh38", "split_policy": "official, by chromosome", **card},
    )


def _arrays(folder: str, groups: Mapping[str, str | None], labels: str, **more: Any) -> dict[str, Any]:
    return {
        "recipe": "one-hot",
        "files": (f"{folder}/data.h5",),
        "splits": SPLITS,
        "groups": groups,
        "labels": labels,
        **more,
    }


def _variants(name: str, file: str, columns: Mapping[str, tuple[str, ...]], **card: Any) -> TaskCard:
    config = {
        "recipe": "genome-variants",
        "files": (file,),
        "columns": columns,
        "alleles": "either",
        "flank": 1057,
        "expected_splits": ("test",),
        **card.pop("config"),
    }
    return _task(
        name,
        ("control", "qtl"),
        inputs="variant",
        effect="absolute",
        metric="auprc",
        split_policy="test rows only",
        length=(2115, 2115),
        config=config,
        **card,
    )


TASKS = (
    _task(
        "ccre",
        ("shuffled", "ccre"),
        "candidate regulatory elements against their dinucleotide shuffles, 350 bp",
        _arrays("task_1_ccre", {"{split}": None}, "pairs"),
        length=(350, 350),
    ),
    _task(
        "motif_insertions",
        ("shuffled", "motif"),
        "a motif in the middle of 350 bp against its shuffled letters there; listed by motif",
        {
            "recipe": "one-hot",
            "files": ("task_2_footprinting/data.h5",),
            "labels": "insertions",
            "expected_splits": ("test",),
        },
        inputs="variant",
        effect="signed",
        metric="paired_accuracy",
        split_policy="test rows only",
        length=(350, 350),
    ),
    _task(
        "cell_type_peaks",
        CELL_LINES,
        "in which of five cell lines a region is accessible, 500 bp",
        _arrays("task_3_peak_classification", {"{split}": None}, "classes"),
        length=(500, 500),
    ),
    *(
        _task(
            f"accessibility_{cell}",
            ("log_counts",),
            f"log of one more than the DNase reads in {cell}, 2,114 bp around peaks and elsewhere; both listed apart",
            _arrays(
                "task_4_chromatin_activity",
                {f"{cell}/{{split}}/peaks": "peaks", f"{cell}/{{split}}/nonpeaks": "nonpeaks"},
                "numbers",
                values="counts",
            ),
            target="values",
            metric="pearson",
            length=(2114, 2114),
        )
        for cell in CELL_LINES
    ),
    _variants(
        "african_caqtl",
        "Afr.CaQTLS.tsv",
        {
            "chrom": ("chr_hg38",),
            "pos": ("pos_hg38",),
            "ref": ("allele1",),
            "alt": ("allele2",),
            "label": ("label",),
        },
        summary="variants that change accessibility in African donors against others in peaks",
        config={"classes": {"0": "control", "1": "qtl"}, "keep": {"isused": ("1", "true"), "in_peaks": ("1", "true")}},
    ),
    _variants(
        "yoruban_dsqtl",
        "yoruban.dsqtls.benchmarking.tsv",
        {
            "chrom": ("var.chrom",),
            "pos": ("var.pos",),
            "ref": ("var.allele1",),
            "alt": ("var.allele2",),
            "label": ("var.label",),
        },
        summary="variants that change DNase sensitivity in Yoruban donors against others",
        assembly="GRCh37",
        config={"classes": {"-1": "control", "1": "qtl"}, "keep": {"var.isused": ("1", "true")}},
    ),
)
SUITES = (
    SuiteCard(
        name=SUITE,
        tasks=tuple(task.full_name for task in TASKS),
        summary="regulatory elements, accessibility and variants on human sequence; GRCh38, and GRCh37 for one",
        reference="Patel et al. 2024, https://arxiv.org/abs/2412.05430; kundajelab/DART-Eval@af2a86d",
        citation=CITATION,
    ),
)
