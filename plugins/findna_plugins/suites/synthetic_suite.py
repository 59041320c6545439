"""The synthetic suite: six generated tasks, no files; each isolates one thing a model must be able to read.

Rows are drawn from a known distribution (:mod:`findna_plugins.synthetic`), so each card can compute the best accuracy that any
classifier can reach; a score is to be read against that, not against 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from findna_bench.cards import SuiteCard, TaskCard

__all__ = ["SUITES", "TASKS"]

_SHORT = {"train": 2000, "validation": 500, "test": 2000}
_LONG = {"train": 800, "validation": 200, "test": 800}
_GATA, _CRE = "AGATAAGCAG", "TGACGTCACC"


def _task(
    name: str,
    labels: tuple[str, str],
    process: str,
    settings: Mapping[str, Any],
    summary: str,
    *,
    rows: Mapping[str, int] = _SHORT,
    strand: Literal["specific", "agnostic"] = "specific",
    seed: int,
) -> TaskCard:
    return TaskCard(
        name=name,
        suite="synthetic",
        labels=labels,
        summary=summary,
        split_policy="official",
        counts={split: dict.fromkeys(labels, n // 2) for split, n in rows.items()},
        factory="findna_plugins.synthetic:generate",
        attainable="findna_plugins.synthetic:best_attainable",
        config={"process": process, "settings": settings, "rows": rows, "seed": seed},
        strand=strand,
        licence="generated; no rights reserved",
        length=(settings["length"], settings["length"]),
    )


TASKS = (
    _task(
        "planted_motif",
        ("background", "motif"),
        "planted-motif",
        {"length": 200, "motif": _GATA, "conservation": 0.9},
        "whether one degenerate 10-base motif is present; mean-pooled local features suffice",
        seed=101,
    ),
    _task(
        "strand_symmetric_motif",
        ("background", "motif"),
        "planted-motif",
        {"length": 200, "motif": _GATA, "conservation": 0.9, "both_strands": True},
        "as planted_motif, the site on either strand: a model must treat both strands alike",
        strand="agnostic",
        seed=102,
    ),
    _task(
        "motif_order",
        ("cre_then_gata", "gata_then_cre"),
        "motif-pair",
        {
            "length": 200,
            "first": _CRE,
            "second": _GATA,
            "conservation": 0.9,
            "swapped": (False, True),
            "distances": (tuple(range(20, 101)), tuple(range(20, 101))),
        },
        "which of two motifs comes first, 10 to 90 bases between them: counts of words below 12 bases carry next to nothing",
        seed=103,
    ),
    _task(
        "spacing",
        ("near", "far"),
        "motif-pair",
        {
            "length": 200,
            "first": _CRE,
            "second": _GATA,
            "conservation": 0.9,
            "swapped": (False, False),
            "distances": (tuple(range(15, 31)), tuple(range(40, 56))),
        },
        "whether two motifs in fixed order are 5 to 20 or 30 to 45 bases apart",
        seed=104,
    ),
    _task(
        "distant_motifs",
        ("cre_then_gata", "gata_then_cre"),
        "motif-pair",
        {
            "length": 4200,
            "first": _CRE,
            "second": _GATA,
            "conservation": 0.9,
            "swapped": (False, True),
            "distances": (tuple(range(250, 4001, 250)), tuple(range(250, 4001, 250))),
        },
        "which of two motifs comes first, 250 to 4000 bases apart in 4200: needs a receptive field of kilobases",
        rows=_LONG,
        seed=105,
    ),
    _task(
        "gc_content",
        ("low", "high"),
        "gc-content",
        {"length": 200, "gc": (0.45, 0.55)},
        "45 or 55 % of G and C: composition alone, the floor that any model should reach",
        strand="agnostic",
        seed=106,
    ),
)

SUITES = (
    SuiteCard(
        name="synthetic",
        tasks=tuple(task.full_name for task in TASKS),
        summary="six generated tasks with known best attainable accuracy: presence, strand, order, spacing, long range, composition",
    ),
)
