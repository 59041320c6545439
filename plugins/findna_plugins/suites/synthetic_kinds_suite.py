"""The suite of generated tasks of other kinds: numbers, several labels, a state at every base, variants; no files.

Labels follow from planted motifs and from noise (:mod:`findna_plugins.synthetic_kinds`), so each card computes the best score that any model can be expected to
reach; a score is to be read against that, not against 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from findna_bench.cards import SuiteCard, TaskCard

__all__ = ["SUITES", "TASKS"]

SUITE = "synthetic-kinds"
ROWS = {"train": 1000, "validation": 250, "test": 1000}
_GATA, _CRE, _EBOX = "AGATAAGCAG", "TGACGTCACC", "GCCACGTGAC"


def _task(
    name: str, labels: tuple[str, ...], target: str, metric: str, summary: str, config: Mapping[str, Any], **card: Any
) -> TaskCard:
    return TaskCard(
        name=name,
        suite=SUITE,
        labels=labels,
        target=target,
        metric=metric,
        summary=summary,
        counts={split: {"rows": n} for split, n in ROWS.items()},
        factory="findna_plugins.synthetic_kinds:generate",
        attainable="findna_plugins.synthetic_kinds:best_attainable",
        config={"length": 200, "rows": ROWS, **config},
        strand="specific",
        licence="generated; no rights reserved",
        length=(200, 200),
        **card,
    )


TASKS = (
    _task(
        "motif_dose",
        ("dose",),
        "values",
        "pearson",
        "how much up to three sites of each of two motifs add up to; 0.93 is attainable",
        {"kind": "dose", "motifs": (_GATA, _CRE), "weights": (1.0, -0.5), "most": 3, "noise": 0.5, "seed": 201},
    ),
    _task(
        "motif_labels",
        ("gata", "cre", "ebox"),
        "labels",
        "auroc_macro",
        "which of three motifs are present, a tenth of the labels turned round; 0.89 is attainable",
        {"kind": "presence", "motifs": (_GATA, _CRE, _EBOX), "share": 0.4, "flipped": 0.1, "seed": 202},
    ),
    _task(
        "motif_sites",
        ("background", "site"),
        "per_base",
        "base_mcc",
        "which bases belong to sites of two motifs, a tenth of the sites not labelled; 0.94 is attainable",
        {"kind": "sites", "motifs": (_GATA, _CRE), "most": 3, "flipped": 0.1, "seed": 203},
    ),
    _task(
        "site_variants",
        ("effect",),
        "values",
        "pearson",
        "what a substitution in a motif takes away by its place in it, elsewhere nothing, and noise; 0.90 is attainable",
        {
            "kind": "effects",
            "motifs": (_GATA,),
            "weights": (0.5, 1.0, 2.0, 2.0, 2.0, 1.5, 1.0, 0.5, 0.5, 0.5),
            "share": 0.5,
            "noise": 0.35,
            "seed": 204,
        },
        inputs="variant",
    ),
)

SUITES = (
    SuiteCard(
        name=SUITE,
        tasks=tuple(task.full_name for task in TASKS),
        summary="generated tasks of numbers, several labels, states per base and variants, with known best attainable scores",
    ),
)
