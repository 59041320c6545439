"""The predictions of several models on the same rows of one task, in one order, with groups of related rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from findna_bench.comparison.comparison_records import TaskComparison
from findna_bench.comparison.contestants import Contestant
from findna_bench.data.catalog import TaskRef
from findna_bench.data.task import open_task
from findna_bench.errors import BenchError, OutputError
from findna_bench.registry import Registry
from findna_bench.relatedness.components import related_by, row_groups
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore, ScoredRows
from findna_bench.statistics.paired_tests import Predictions
from findna_bench.targets.target import find_target

__all__ = ["AlignedPredictions", "aligned_predictions"]


@dataclass(frozen=True)
class AlignedPredictions:
    """A task's predictions, read and aligned. sources: model -> its results. damaged: something is not as it should be."""

    task: TaskComparison
    predictions: Mapping[str, Predictions] = field(default_factory=dict)
    sources: Mapping[str, Sequence[Result]] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    damaged: bool = False

    def fitted_once(self, name: str) -> bool:
        """Whether one fit (or draw) of the model stands for something that varies."""
        own = self.predictions[name]
        varies = any(r.protocol.settings.get("seed_varies") for r in self.sources[name]) or bool(own.draws)
        return varies and len(set(own.draws) or own.scores) == 1

    def withheld(self, pair: tuple[str, str]) -> str:
        """Why two models are not tested against each other here; empty where they are."""
        alone = [name for name in pair if self.fitted_once(name)]
        return f"one fit of {' and of '.join(alone)}" if alone else ""


def aligned_predictions(
    name: str,
    contestants: Sequence[Contestant],
    store: ResultStore,
    ref: TaskRef | None,
    metric: str | None,
    data_dir: Path | None,
    registry: Registry,
    everything: Sequence[Result],
) -> AlignedPredictions:
    """Read and align what the contestants predicted for one task.

    Args:
        name: the task, ``suite/name``.
        ref: how the task was named, where it was.
        metric: one for all tasks; None for the main one.
        data_dir: where test rows are looked up, for groups of related rows that are not stored with the results.
        everything: all results of these models, to say why one of them is absent.
    """
    found = {c.model.label: c.on(name) for c in contestants}
    mains = sorted({r.metrics.main.name for cells in found.values() for r in cells})
    task = TaskComparison(name, metric or (mains[0] if mains else ""))
    missing, reasons, damaged = {}, {}, False
    sources: dict[str, list[Result]] = {}
    tables: dict[str, list[ScoredRows]] = {}
    for contestant in contestants:
        label = contestant.model.label
        failed = [r for r in contestant.failures if r.task_name == name]
        failure = _newest_failure(failed)
        if not found[label]:
            missing[label] = failure or _why_absent(contestant, name, everything)
            continue
        try:
            tables[label] = [store.predictions(r) for r in found[label]]
            sources[label] = found[label]
            reasons[label] = f"{len(failed)} more failed: {failure}" if failed else ""
        except OutputError as error:
            missing[label], damaged = str(error), True
    task = replace(task, missing=missing)
    if metric is None and len(mains) > 1:
        return AlignedPredictions(
            replace(
                task, problem=f"its results have unlike main metrics ({', '.join(mains)}); choose one with --metric"
            )
        )
    if len(tables) < 2:
        return AlignedPredictions(replace(task, problem="fewer than two models have scores"), damaged=damaged)
    if problem := _unequal(sources, tables):
        return AlignedPredictions(replace(task, problem=problem), damaged=True)
    first = next(iter(tables.values()))[0]
    ids, labels = first.ids, first.labels
    groups, words = _stored_groups(sources, tables, ids)
    if groups is None:
        groups, words = _groups(name, ref, next(iter(sources.values()))[0], ids, data_dir, registry)
    pooled = {c.model.label: c for c in contestants if c.model.pooled}
    # Pretrainings of two families were drawn apart from each other: no two of them are a pair.
    first_of = {
        label: 1_000_000 * place if c.model.is_family else 0 for place, (label, c) in enumerate(pooled.items(), 1)
    }
    predictions = {}
    for label, cells in sources.items():
        scores = tuple(_in_order(table, ids) for table in tables[label])
        draws = tuple(first_of[label] + pooled[label].draw_of(r) for r in cells) if label in pooled else ()
        seeds, classes = tuple(r.seed or 0 for r in cells), tuple(cells[0].task.labels)
        target = find_target(cells[0].task.target)
        predictions[label] = Predictions(labels, scores, groups, seeds, draws, classes, target, first.folds)
    n_groups = next(iter(predictions.values())).n_groups
    task = replace(task, n_rows=len(ids), n_groups=n_groups, known_groups=groups is not None, groups=words)
    return AlignedPredictions(task, predictions, sources, reasons, damaged)


def _newest_failure(failures: Sequence[Result]) -> str:
    newest = max(failures, key=lambda r: (r.created, r.request_id), default=None)
    if newest is None:
        return ""
    return f"{newest.status}: {newest.error.message}" if newest.error else newest.status


def _why_absent(contestant: Contestant, task: str, everything: Sequence[Result]) -> str:
    names = set(contestant.model.pooled) or {contestant.model.name}
    others = [r for r in everything if r.model.name in names and r.task_name == task and r.status == "success"]
    return "only results of another configuration, or on older data" if others else "no result"


def _unequal(sources: Mapping[str, Sequence[Result]], tables: Mapping[str, Sequence[ScoredRows]]) -> str:
    """Why these predictions are not of the same rows; empty where they are."""
    first = next(iter(sources))
    own = tables[first][0]
    rows = dict(zip(own.ids.tolist(), own.labels.tolist(), strict=True))
    for name, cells in sources.items():
        for r, other in zip(cells, tables[name], strict=True):
            who = f"{first} and {name}" if name != first else f"the fits of {name}"
            if r.task.labels != sources[first][0].task.labels:
                return f"{who} were scored on different classes"
            others = dict(zip(other.ids.tolist(), other.labels.tolist(), strict=True))
            if others.keys() != rows.keys():
                shared = len(others.keys() & rows.keys())
                return (
                    f"{who} were not scored on the same test rows ({len(rows)} and {len(others)}, {shared} in common); "
                    "run both on the same data with the same --limit"
                )
            if others != rows:
                return f"{who} were scored on the same test rows with different labels; run both on the same data"
    return ""


def _in_order(table: ScoredRows, ids: np.ndarray) -> np.ndarray:
    """Scores of a table in the order of ``ids``."""
    if np.array_equal(table.ids, ids):
        return table.scores
    place = {row: i for i, row in enumerate(table.ids.tolist())}
    return table.scores[[place[row] for row in ids.tolist()]]


def _stored_groups(
    sources: Mapping[str, Sequence[Result]], tables: Mapping[str, Sequence[ScoredRows]], ids: np.ndarray
) -> tuple[np.ndarray | None, str]:
    """The groups that came with any of the results (the data are the same, and so are the groups), and how they were found."""
    for name, cells in sources.items():
        for r, table in zip(cells, tables[name], strict=True):
            if table.groups is not None:
                group_of = dict(zip(table.ids.tolist(), table.groups.tolist(), strict=True))
                return np.array(
                    [group_of[row] for row in ids.tolist()]
                ), r.metrics.groups_by or "as stored with the results"
    return None, ""


def _groups(
    name: str, ref: TaskRef | None, sample: Result, ids: np.ndarray, data_dir: Path | None, registry: Registry
) -> tuple[np.ndarray | None, str]:
    """(groups of related rows or None, how they were found or why not)."""
    try:
        task = open_task(
            ref or name,
            data_dir=data_dir,
            registry=registry,
            split=sample.task.split or "official",
            drop_missing=bool(sample.request and sample.request.options.get("drop_missing")),
            target=sample.request.options.get("target") if sample.request else None,
        )
        if task.data_digest != sample.task.data_digest:
            return None, "the data here are not those that were scored"
        table = task.load("test")
    except BenchError:
        hint = "; give its path with --tasks" if name.startswith("adhoc/") else ""
        return None, f"the data are not at hand{hint}"
    group_of = dict(zip((str(row) for row in table.ids), row_groups(table).tolist(), strict=True))
    if any(row not in group_of for row in ids.tolist()):
        return None, "the data here lack some of the rows that were scored"
    return np.array([group_of[row] for row in ids.tolist()]), related_by(table)
