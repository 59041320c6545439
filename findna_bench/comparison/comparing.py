"""Results of a folder -> a comparison of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from warnings import warn

from findna_bench.comparison.aligned_predictions import aligned_predictions
from findna_bench.comparison.comparison_records import Comparison
from findna_bench.comparison.conclusions import conclusions
from findna_bench.comparison.contestants import (
    check_distinct,
    contestant_of,
    find_model,
    one_protocol,
    task_order,
    wanted_tasks,
    without_limited,
)
from findna_bench.errors import UsageError
from findna_bench.leaderboard.selected_results import on_newest_data, without_superseded_failures
from findna_bench.registry import Registry, get_registry
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
    stored = store.load(left_out)
    wanted = wanted_tasks(tasks, suites, stored, registry)
    results = [r for r in stored if not wanted or r.task_name in wanted]
    named = [find_model(text, stored, registry, output_dir) for text in models]
    if len(set(named)) < len(named):
        raise UsageError(f"a model is named twice in {', '.join(models)}; name different models")
    names = {name for one in named for name in one.members}
    notes: list[str] = []
    results = one_protocol([r for r in results if r.model.name in names], protocol, split)
    usable = on_newest_data(without_superseded_failures(without_limited(results, notes)), notes)
    contestants = [contestant_of(one, usable, output_dir, notes) for one in named]
    check_distinct(contestants)
    order = list(wanted) or task_order({r.task_name for c in contestants for r in c.results}, registry)
    scored = [
        aligned_predictions(name, contestants, store, wanted.get(name), metric, data_dir, registry, results)
        for name in order
    ]
    return conclusions(scored, contestants, registry, notes)
