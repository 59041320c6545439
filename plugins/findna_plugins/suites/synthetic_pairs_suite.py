"""Generated pairs of sequences, no files: whether both sides hold the same motif, with and without a distance that gives it away.

Rows are drawn from a known distribution (:mod:`findna_plugins.synthetic_pairs`), so each card can compute the best accuracy that a rule on both
sides can reach; a rule on one side alone is right half of the time.
"""

from __future__ import annotations

from findna_bench.cards import SuiteCard, TaskCard

__all__ = ["SUITES", "TASKS"]

_ROWS = {"train": 2000, "validation": 500, "test": 1000}
_LENGTH = 100


def _task(name: str, near: tuple[float, float], summary: str, *, seed: int) -> TaskCard:
    labels = ("other", "same")
    return TaskCard(
        name=name,
        suite="synthetic-pairs",
        inputs="pair",
        labels=labels,
        summary=summary,
        split_policy="official",
        counts={split: dict.fromkeys(labels, n // 2) for split, n in _ROWS.items()},
        factory="findna_plugins.synthetic_pairs:generate",
        attainable="findna_plugins.synthetic_pairs:best_attainable",
        config={
            "motifs": ("AGATAAGCAG", "TGACGTCACC"),
            "length": _LENGTH,
            "conservation": 0.95,
            "near": near,
            "rows": _ROWS,
            "seed": seed,
        },
        strand="specific",
        licence="generated; no rights reserved",
        length=(_LENGTH, _LENGTH),
    )


TASKS = (
    _task(
        "shared_motif",
        (0.5, 0.5),
        "whether both sides hold the same of two motifs; neither side alone says anything, and distance does not",
        seed=201,
    ),
    _task(
        "shared_motif_distance",
        (0.2, 0.8),
        "as shared_motif, and pairs that do are near in four of five cases: what distance alone reaches is no skill, and no score within its strata",
        seed=202,
    ),
)
SUITES = (
    SuiteCard(
        name="synthetic-pairs",
        tasks=tuple(task.full_name for task in TASKS),
        summary="two generated tasks on pairs of sequences with known best attainable accuracy, one with a shortcut by distance",
    ),
)
