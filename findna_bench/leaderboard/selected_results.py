"""Which results may stand in one table: the newest data, no failure that was settled since, and the metric that is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from findna_bench.errors import OutputError, UsageError
from findna_bench.protocols.protocol import without_metric
from findna_bench.registry import Registry
from findna_bench.results.schema import APART, Result
from findna_bench.results.store import ScoredRows
from findna_bench.statistics.metric import metric_card

__all__ = [
    "Read",
    "named_apart",
    "on_newest_data",
    "one_of_each",
    "schema_note",
    "with_metric",
    "without_superseded_failures",
]


Read = Callable[[Result], ScoredRows]


def one_of_each(results: Iterable[Result]) -> list[Result]:
    """The first of those that are :attr:`~findna_bench.results.schema.Result.alike`, in order: of a hundred thousand results, what holds for all of
    them is looked up on a few thousand."""
    found: dict[int, Result] = {}
    for r in results:
        found.setdefault(r.alike, r)
    return list(found.values())


def without_superseded_failures(results: Sequence[Result]) -> list[Result]:
    """A failure is dropped once the same request came to a number."""
    failed = {r.request_id for r in results if r.status != "success"}
    settled = {r.request_id for r in results if r.status == "success"} if failed else set()
    if not failed & settled:
        return list(results)
    return [r for r in results if r.status == "success" or r.request_id not in settled]


def on_newest_data(results: Sequence[Result], notes: list[str]) -> list[Result]:
    """Where the data of a task changed between runs, only rows of the newest data are comparable. Files of one name that lie in
    different folders are different tasks.
    """
    digests: dict[tuple[str, str | None, str | None], set[str]] = {}
    for r in one_of_each(results):
        if r.status == "success":
            digests.setdefault((r.task_name, r.task.split, r.place), set()).add(r.task.data_digest or "")
    if all(len(found) == 1 for found in digests.values()):
        return list(results)
    newest: dict[tuple[str, str | None, str | None], tuple[str, str]] = {}
    for r in results:
        if r.status == "success":
            key = r.task_name, r.task.split, r.place
            newest[key] = max(newest.get(key, ("", "")), (r.created, r.task.data_digest or ""))
    kept = [
        r
        for r in results
        if r.status != "success" or (r.task.data_digest or "") == newest[r.task_name, r.task.split, r.place][1]
    ]
    if len(kept) < len(results):
        notes.append(f"{len(results) - len(kept)} results on older data of the same tasks are left out")
    return kept


def named_apart(results: Sequence[Result]) -> list[Result]:
    """The same results, in which tasks of one name that hold different data (files of one name in different folders) have the
    beginning of its digest in their name: ``adhoc/x#3fa9c1``.
    """
    data: dict[tuple[str, str | None], dict[str, str]] = {}  # task and split -> place -> digest
    if all(r.place is None for r in one_of_each(results)):
        return list(results)
    for r in results:
        if r.task.data_digest is not None and (place := r.place) is not None:
            data.setdefault((r.task_name, r.task.split), {})[place] = r.task.data_digest
    named = []
    for r in results:
        known = data.get((r.task_name, r.task.split), {})
        digest = known.get(r.place or "")
        if digest is not None and len(set(known.values())) > 1:
            task = r.task.model_copy(update={"name": f"{r.task.name}{APART}{digest[:6]}"})
            r = r.model_copy(update={"task": task})
        named.append(r)
    return named


def with_metric(
    results: Sequence[Result], metric: str | None, predictions: Read | None, registry: Registry, notes: list[str]
) -> list[Result]:
    """Failures, and the successes with the metric: as stored, else computed from their predictions.

    Raises:
        UsageError: no plugin registers such a metric, and no result holds it.
    """
    if metric is None:
        return list(results)
    if not any(metric in r.metrics.all for r in results):
        metric_card(metric, registry)
    kept, reasons = [], Counter[str]()
    for r in results:
        try:
            held = r.status != "success" or metric in r.metrics.all
            kept.append(r if held else _computed(r, metric, predictions, registry))
        except (OutputError, UsageError) as error:
            reasons[str(error)] += 1
    if reasons and not any(r.status == "success" for r in kept):
        raise UsageError(next(iter(reasons)))
    notes += [f"{n} results without {metric} are left out: {reason}" for reason, n in reasons.items()]
    return kept


def _computed(r: Result, metric: str, predictions: Read | None, registry: Registry) -> Result:
    """A result with one more metric."""
    from findna_bench.targets.target import find_target  # with SciPy, which few tables need

    if (why := without_metric(r.protocol.name, metric, registry)) is not None:
        raise UsageError(why)
    if predictions is None:
        raise OutputError("their predictions are not at hand")
    rows = predictions(r)
    scored = find_target(r.task.target)
    values, intervals = scored.evaluate(
        rows.labels, rows.scores, [metric], r.task.labels, rows.groups, folds=rows.folds
    )
    more = {"all": r.metrics.all | values, "intervals": r.metrics.intervals | intervals}
    return r.model_copy(update={"metrics": r.metrics.model_copy(update=more)})


def schema_note(results: Iterable[Result]) -> list[str]:
    """Which results are of schema 1, and what that means; empty where none is."""
    everything = list(results)
    if not any(r.schema_version == 1 for r in one_of_each(everything)):
        return []
    old = [r for r in everything if r.schema_version == 1]
    names = sorted({r.model.name for r in old})
    which = "all" if len(old) == len(everything) else f"{len(old)} of {len(everything)}"
    return [
        f"{which} results are of schema 1, computed under protocol {', '.join(map(str, sorted({r.protocol_version for r in old})))} "
        f"by a version before 0.2 ({', '.join(names)}): their stored intervals are percentiles of a bootstrap that mostly took "
        "every row as independent and are too narrow for rare classes and related rows; nothing in them says which code made a model"
    ]
