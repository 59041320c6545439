"""Results of a folder -> a comparison of models."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from warnings import warn

from findna_bench.comparison.aligned_predictions import aligned_predictions
from findna_bench.comparison.comparison_records import Comparison
from findna_bench.comparison.conclusions import conclusions
from findna_bench.comparison.contestants import (
    canonical_name,
    check_distinct,
    contestant_of,
    find_model,
    one_protocol,
    task_order,
    wanted_tasks,
    without_limited,
)
from findna_bench.data.catalog import TaskRef
from findna_bench.errors import UsageError
from findna_bench.files import path_segment
from findna_bench.leaderboard.selected_results import named_apart, on_newest_data, without_superseded_failures
from findna_bench.matrix.request import path_digest
from findna_bench.protocols.protocol import without_metric
from findna_bench.registry import Registry, get_registry
from findna_bench.results.result_index import ResultIndex
from findna_bench.results.schema import APART, Result
from findna_bench.results.store import ResultStore
from findna_bench.statistics.metric import metric_card

__all__ = ["compare_models"]


def compare_models(
    output_dir: Path,
    models: Sequence[str],
    *,
    tasks: Sequence[str] = (),
    suites: Sequence[str] = (),
    protocol: str | None = None,
    split: str | None = None,
    metric: str | None = None,
    data_dir: Path | None = None,
    registry: Registry | None = None,
    left_out: Callable[[str], None] = warn,
) -> Comparison:
    """Compare models by their predictions in a results folder.

    models: two or more, named as the leaderboard names its rows: ``NAME``, ``NAME (pooling max)`` where a model has several
    configurations, ``NAME@random:*`` for all untrained draws together. metric: None for every task's main one. data_dir: where
    test rows are looked up to find related ones. left_out: takes a sentence about each file that is no result.

    Raises:
        UsageError: names that are unknown, equal or ambiguous; an unknown metric; results under several protocols or splits.
        OutputError: nothing can be compared.
    """
    registry = registry or get_registry()
    if len(models) < 2:
        raise UsageError("a comparison needs two models or more")
    if metric is not None:
        metric_card(metric, registry)
    store = ResultStore.existing(output_dir)
    stored = _index(store, models, tasks, registry, left_out)
    of_models, of_tasks = stored.names()
    wanted = wanted_tasks(tasks, suites, of_tasks, registry)
    named = [find_model(text, sorted(of_models), registry, output_dir) for text in models]
    if len(set(named)) < len(named):
        raise UsageError(f"a model is named twice in {', '.join(models)}; name different models")
    names = {name for one in named for name in one.members}
    notes: list[str] = []
    results = one_protocol(stored.results(models=names, tasks=wanted or None), protocol, split)
    if metric is not None and results and (why := without_metric(results[0].protocol.name, metric, registry)):
        raise UsageError(why)
    current = on_newest_data(without_superseded_failures(without_limited(results, notes)), notes)
    usable = named_apart(current)
    contestants = [contestant_of(one, usable, output_dir, notes) for one in named]
    check_distinct(contestants)
    order = list(wanted) or task_order({r.task_name for c in contestants for r in c.results}, registry)
    scored = [
        aligned_predictions(name, contestants, store, wanted.get(task), metric, data_dir, registry, results)
        for task in order
        for name in _names(task, wanted.get(task), usable)
    ]
    return conclusions(scored, contestants, registry, notes)


def _index(
    store: ResultStore, models: Sequence[str], tasks: Sequence[str], registry: Registry, left_out: Callable[[str], None]
) -> ResultIndex:
    """Of the models alone where their names are those of folders and their tasks are known; else of everything, as a name may stand for several models,
    and an error names what there is."""
    said: set[str] = set()

    def once(problem: str) -> None:
        if problem not in said:
            said.add(problem)
            left_out(problem)

    names = {canonical_name(text, (), registry) for text in models}
    # os.path.isdir: False for a name that no folder can have, where Path.is_dir raises
    if all(os.path.isdir(store.root / path_segment(name)) for name in names):
        stored = store.index(once, models=names)
        of_models, of_tasks = stored.names()
        if names <= of_models and all(_is_known(task, of_tasks, registry) for task in tasks):
            return stored
    return store.index(once)


def _is_known(task: str, known: Collection[str], registry: Registry) -> bool:
    try:
        wanted_tasks([task], (), known, registry)
    except UsageError:
        return False
    return True


def _names(task: str, ref: TaskRef | None, results: Sequence[Result]) -> list[str]:
    """Names that results of a task have: several where files of one name hold different data, unless one of them is given."""
    named: dict[str, set[str | None]] = {}
    for r in results:
        if r.task_name.partition(APART)[0] == task:
            named.setdefault(r.task_name, set()).add(r.place)
    given = path_digest(ref.path) if ref is not None else None
    return [name for name, places in named.items() if given in places] or sorted(named) or [task]
