"""The demo suite: small tasks on real sequence, in the package (``demo_data``, cut by ``scripts/make_demo_suite.py``).

Three of classes, whose mean is the suite's score; beside it one of values and one of variants, whose labels follow from motifs planted in real sequence.

Official train and test splits from different regions; no validation split, which the harness draws from train.
"""

from __future__ import annotations

from findna_bench.cards import SuiteCard, TaskCard

__all__ = ["SUITES", "TASKS"]

_SPLIT = "official train and test, validation drawn from train"
_LICENCE = "public-domain genome sequence"


def _balanced(labels: tuple[str, ...], train: int, test: int) -> dict[str, dict[str, int]]:
    return {"train": dict.fromkeys(labels, train), "test": dict.fromkeys(labels, test)}


_REAL_OR_SHUFFLED = ("human", "shuffled")
_ORDERS = ("cre_then_gata", "gata_then_cre")
_EFFECTS = ("neutral", "disrupting")
_SPECIES = ("drosophila", "ecoli", "human", "plasmodium")

TASKS = (
    TaskCard(
        name="human_vs_shuffled",
        suite="demo",
        labels=_REAL_OR_SHUFFLED,
        summary=(
            "500 bp windows of human chromosome 20 against a shuffle of each that keeps all dinucleotide counts; base and "
            "dinucleotide composition score exactly chance, words of three and more bases do not"
        ),
        split_policy=_SPLIT,
        counts=_balanced(_REAL_OR_SHUFFLED, 350, 200),
        embedded="findna_plugins:demo_data/human_vs_shuffled",
        strand="agnostic",
        licence=_LICENCE,
        length=(500, 500),
        assembly="GRCh37",
    ),
    TaskCard(
        name="motif_order",
        suite="demo",
        labels=_ORDERS,
        summary=(
            "two planted motifs in one order or the other, in both orders on each 150 bp window of human chromosome 20; counts of "
            "words of up to three bases score exactly chance. In 65 % of windows the motifs touch, where long words suffice; "
            "in the others 1 to 40 bases lie between them, and a model must see both"
        ),
        split_policy=_SPLIT,
        counts=_balanced(_ORDERS, 500, 300),
        embedded="findna_plugins:demo_data/motif_order",
        strand="specific",
        licence=_LICENCE,
        length=(150, 150),
        assembly="GRCh37",
    ),
    TaskCard(
        name="species4",
        suite="demo",
        labels=_SPECIES,
        summary=(
            "which of four genomes (human chromosome 20, Drosophila 2R, E. coli, P. falciparum) a window of 100 to 400 bp is "
            "from; every class has the same lengths. Composition is most of the signal: dinucleotide counts reach 0.78"
        ),
        split_policy=_SPLIT,
        counts=_balanced(_SPECIES, 200, 150),
        embedded="findna_plugins:demo_data/species4",
        strand="agnostic",
        licence=_LICENCE,
        length=(100, 400),
        assembly="GRCh37",
    ),
    TaskCard(
        name="motif_dose",
        suite="demo",
        labels=("dose",),
        target="values",
        metric="pearson",
        summary=(
            "how much up to three sites of each of two motifs, planted in 120 bp windows of human chromosome 20, add up to: 1 for a GATA site, -0.5 for "
            "a CRE site, and noise of standard deviation 0.5 that no sequence tells, so that 0.93 is the best that can be expected"
        ),
        split_policy=_SPLIT,
        counts={"train": {"rows": 250}, "test": {"rows": 150}},
        embedded="findna_plugins:demo_data/motif_dose",
        strand="specific",
        licence=_LICENCE,
        length=(120, 120),
        assembly="GRCh37",
    ),
    TaskCard(
        name="motif_variants",
        suite="demo",
        labels=_EFFECTS,
        inputs="variant",
        effect="negative",
        metric="auroc",
        summary=(
            "whether a substitution lies in a motif planted in a 100 bp window of human chromosome 20; each has a partner in the same window, the same "
            "substitution between the same neighbours, outside the motif, so that substitution and context score exactly chance, and a rule that knows both "
            "motifs scores 1"
        ),
        split_policy=_SPLIT,
        counts=_balanced(_EFFECTS, 180, 120),
        embedded="findna_plugins:demo_data/motif_variants",
        strand="specific",
        licence=_LICENCE,
        length=(100, 100),
        assembly="GRCh37",
    ),
)

SUITES = (
    SuiteCard(
        name="demo",
        tasks=tuple(task.full_name for task in TASKS[:3]),
        extra_tasks=tuple(task.full_name for task in TASKS[3:]),
        summary=(
            "three small tasks on real sequence, and one of values and one of variants beside them, embedded in the package: no download; for trying things "
            "out, not for ranking models"
        ),
    ),
)
