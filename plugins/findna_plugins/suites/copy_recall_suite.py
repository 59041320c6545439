"""Copy recall: whether a model uses an earlier copy of a segment, by kind of copy and by distance, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from findna_bench.cards import SuiteCard, TaskCard

SUITE = "copy-recall"
_NEAR, _FAR = (64, 128, 256, 512, 1024), (2048, 8192, 32768)
_SETTINGS: dict[str, Any] = {"segment": 40, "mutations": 0.1, "seed": 301}


def _task(name: str, kind: str, what: str, distances: Sequence[int], rows: int) -> TaskCard:
    span = f"{distances[0]:,} to {distances[-1]:,} bases apart"
    return TaskCard(
        name=name,
        suite=SUITE,
        labels=("other", "copied"),
        inputs="variant",
        effect="signed",
        metric="auroc",
        summary=f"whether a base of a segment's second copy is likelier than another one; {what}, {span}",
        split_policy="official",
        factory="findna_plugins.copy_recall:generate",
        attainable="findna_plugins.copy_recall:best_attainable",
        config={"kind": kind, "distances": tuple(distances), "rows": rows, **_SETTINGS},
        strand="specific",
        licence="generated; no rights reserved",
    )


_KINDS = (
    ("exact", "an exact copy before it"),
    ("mutated", "a copy before it of which a tenth of the bases were changed"),
    ("inverted", "its reverse complement before it"),
)
TASKS = (
    *(_task(kind, kind, what, _NEAR, 80) for kind, what in _KINDS),
    _task(
        "control", "control", "other bases in the place of the copy, so that 0.5 is all there is to reach", _NEAR, 80
    ),
    *(_task(f"{kind}-far", kind, what, _FAR, 30) for kind, what in _KINDS),
)
SUITES = (
    SuiteCard(
        name=SUITE,
        tasks=tuple(f"{SUITE}/{kind}" for kind, _ in _KINDS),
        extra_tasks=(f"{SUITE}/control", *(f"{SUITE}/{kind}-far" for kind, _ in _KINDS)),
        summary="generated windows in which a segment stands twice: is a base of the second copy known from the first, 64 to 32,768 bases away?",
        protocol="zero_shot",
    ),
)
