"""GenomicBenchmarks with its leaks and its shortcuts by length and by the ends of rows cured: the same rows, split anew by locus.

Each task takes the rows of its namesake in ``genomic_benchmarks``: groups of overlapping intervals are on one side of the split,
stratified, in the published proportion; human_ensembl_regulatory is cut to the middle 200 bases, and rows of three tasks lose six bases at
either end, which told the class. Not cured: human_nontata_promoters is centred on the start of transcription, whose initiator one word at
one place finds; that is what the task is about. Rows and counts are those of
``genomic_benchmarks_clean/``, made by ``scripts/make_clean_suite.py`` from the published coordinates with seed 0.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from findna_bench.cards import SuiteCard, TaskCard
from findna_plugins.suites import genomic_benchmarks

SUITE = "genomic_benchmarks-clean"
FOLDER = "genomic_benchmarks_clean"
RECIPE: dict[str, dict[str, Any]] = json.loads(
    resources.files("findna_plugins").joinpath(FOLDER, "recipe.json").read_text(encoding="utf-8")
)

NOT_CURED = {"human_nontata_promoters": "; the initiator at its centre, one word at one place, still tells the class"}
"""What no split cures, by task: said on its card."""


def _task(source: TaskCard) -> TaskCard:
    made = RECIPE[source.name]
    crop, trim = made["crop"], made["trim"]
    cut = {name: bases for name, bases in (("crop", crop), ("trim", trim)) if bases}
    return TaskCard(
        name=f"{source.name}-clean",  # so that the bare names of both suites stay unique
        suite=SUITE,
        labels=source.labels,
        metric=source.metric,
        summary=f"{source.summary}; split by locus"
        + (f", middle {crop} bp" if crop else "")
        + (f", without {trim} bp at either end" if trim else "")
        + NOT_CURED.get(source.name, ""),
        split_policy="official train and test, validation drawn from train",
        counts=made["counts"],
        derived_from=source.full_name,
        rows=f"findna_plugins:{FOLDER}/{source.name}.parquet",
        config=cut,
        strand=source.strand,
        citation=source.citation,
        licence=source.licence,
        length=(crop, crop) if crop else _shorter(source.length, trim),
        assembly=source.assembly,
        locus_group=source.locus_group,
    )


def _shorter(length: tuple[int, int] | None, trim: int | None) -> tuple[int, int] | None:
    """Shortest and longest row after so many bases were cut from both ends; a row that has too few keeps its middle."""
    if length is None or not trim:
        return length
    low, high = (bases - 2 * min(trim, (bases - 1) // 2) for bases in length)
    return low, high


TASKS: tuple[TaskCard, ...] = tuple(
    _task(card) for card in genomic_benchmarks.TASKS if not RECIPE[card.name]["not_evaluable"]
)
_EXTRA = set(genomic_benchmarks.SUITES[0].extra_tasks)

SUITES: tuple[SuiteCard, ...] = (
    SuiteCard(
        name=SUITE,
        tasks=tuple(task.full_name for task in TASKS if task.derived_from not in _EXTRA),
        extra_tasks=tuple(task.full_name for task in TASKS if task.derived_from in _EXTRA),
        summary="GenomicBenchmarks split by locus, without its leaks and its shortcuts by length and by the ends of rows",
        reference="scripts/make_clean_suite.py",
        protocol="probe",
        citation=genomic_benchmarks.CITATION,
    ),
)
