"""Results -> score tables: rows that may be compared, means of complete and equal configurations, intervals."""

from __future__ import annotations

import math
import operator
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from findna_bench.cards import SuiteCard
from findna_bench.errors import OutputError, listed
from findna_bench.leaderboard.configurations import differing_settings, requested_settings, shot_validation
from findna_bench.leaderboard.fit_intervals import KeptIntervals, interval_over_fits
from findna_bench.leaderboard.score_tables import Entry, Leaderboard, Row, SuiteTable, TaskColumn
from findna_bench.leaderboard.selected_results import (
    Read,
    named_apart,
    on_newest_data,
    schema_note,
    with_metric,
    without_superseded_failures,
)
from findna_bench.registry import Registry, get_registry
from findna_bench.results.environment import environment_line
from findna_bench.results.flags import OF_CELLS, OF_TASKS, bases_read, few_shot_words, flags_of, share_read
from findna_bench.results.schema import Result
from findna_bench.statistics.metric import metric_card, metric_scale

__all__ = ["leaderboard"]


_NAMED_TASKS = 3
"""A flag that more tasks of a row have is shown with their number instead of their names."""


def leaderboard(
    results: Iterable[Result],
    *,
    include_limited: bool = False,
    registry: Registry | None = None,
    predictions: Read | None = None,
    intervals: KeptIntervals | None = None,
    metric: str | None = None,
    expected: Collection[str] | None = None,
) -> Leaderboard:
    """Group results by suite, protocol, split, rows used and configuration; their order makes no difference.

    ``include_limited``: results computed on a part of the rows (``--limit``) are left out unless this is set. ``predictions``: reads
    the scored rows of a result (:meth:`~findna_bench.results.store.ResultStore.predictions`), which the interval of a mean over
    several fits is computed from; without them such means have no interval, and a note says so. ``intervals``: those that were computed
    before (:func:`~findna_bench.leaderboard.fit_intervals.kept_intervals`). ``metric``: one
    for all tasks, computed from predictions where a result does not hold it; None for each task's main one. ``expected``: tasks
    that a table names if they have no number; None for all of its suite.

    Raises:
        UsageError: there is no such metric.
    """
    registry = registry or get_registry()
    notes: list[str] = []
    kept = list(results)
    if not include_limited:
        within = [r for r in kept if r.limit is None]
        if n_limited := len(kept) - len(within):
            notes.append(f"{n_limited} results computed with --limit are left out; --include-limited shows them")
        kept = within
    kept = named_apart(on_newest_data(without_superseded_failures(kept), notes))
    kept = with_metric(kept, metric, predictions, registry, notes)
    found = _fits(kept)
    groups = _by_suite(found, registry)
    keys = sorted(groups, key=lambda key: (_suite_order(registry, key[0]), key[:2], key[2] != "official", key[2:]))
    scoring = _Scoring(predictions, intervals, [], metric)
    tables = tuple(_suite_table(*key, groups[key], registry, scoring, expected) for key in keys)
    computed = {(id(r.environment), r.protocol_version): r for r in map(_first, found) if r.status == "success"}
    notes += _unread_note(scoring.unread) + schema_note(kept)
    return Leaderboard(
        tables,
        tuple(notes),
        tuple(sorted({r.command for r in map(_first, found) if r.command})),
        tuple(sorted({environment_line(r.environment, r.protocol_version) for r in computed.values()})),
        {fits[0].model.name: fits[-1] for fits in sorted(found, key=lambda fits: _order(fits[-1]))},
    )


_Fits: TypeAlias = list[Result]
"""Results that are :attr:`~findna_bench.results.schema.Result.alike`, in order: seeds of one model on one task, mostly. Where they belong the first
says for all of them."""
_first: Callable[[_Fits], Result] = operator.itemgetter(0)
_Group: TypeAlias = tuple[str, str, str, tuple[int, int, str]]
"""Suite, protocol, split, rows used."""


def _order(r: Result) -> tuple[str, str, str, int, str, str]:
    return r.task_name, r.model.name, r.config_id or "", r.seed or 0, r.created, r.request_id


def _fits(results: Iterable[Result]) -> list[_Fits]:
    found: dict[int, _Fits] = {}
    for r in results:
        found.setdefault(r.alike, []).append(r)
    for fits in found.values():
        fits.sort(key=lambda r: (r.seed or 0, r.created, r.request_id))
    return sorted(found.values(), key=lambda fits: _order(fits[0]))


def _together(fits: Sequence[_Fits]) -> Sequence[Result]:
    """All of them, in order."""
    return fits[0] if len(fits) == 1 else sorted((r for alike in fits for r in alike), key=_order)


def _by_suite(found: Sequence[_Fits], registry: Registry) -> dict[_Group, list[_Fits]]:
    """Results by the suite that their task is from. A suite of tasks of its own and of others has all of them in its table; the
    others stand in the table of their own suite as well.
    """
    lists = {card.name: {*card.tasks, *card.extra_tasks} for card in registry.cards("suites")}
    groups: dict[_Group, list[_Fits]] = {}
    listed: dict[str, list[str]] = {}
    for suite, tasks in lists.items():
        for task in tasks:
            listed.setdefault(task, []).append(suite)
    for fits in found:
        r = fits[0]
        listed_by = (suite for suite in listed.get(r.task_name, ()) if suite != r.task.suite)
        for suite in (r.task.suite, *listed_by):
            key = (suite, r.protocol.name, r.task.split or "official", _rows_used(r))
            groups.setdefault(key, []).append(fits)
    return {key: own for key, own in groups.items() if any(fits[0].task.suite == key[0] for fits in own)}


def _rows_used(r: Result) -> tuple[int, int, str]:
    """(rows of each split, training rows per class) that a result is limited to, 0 = all, and on what few shots are validated."""
    return r.limit or 0, r.protocol.settings.get("shots") or 0, shot_validation(r)


def _suite_order(registry: Registry, suite: str) -> int:
    names = [card.name for card in registry.cards("suites")]
    return names.index(suite) if suite in names else len(names)


def _suite_table(
    suite: str,
    protocol: str,
    split: str,
    used: tuple[int, int, str],
    found: Sequence[_Fits],
    registry: Registry,
    scoring: _Scoring,
    expected: Collection[str] | None,
) -> SuiteTable:
    card = next((c for c in registry.cards("suites") if c.name == suite), None)
    of_tasks = _by_task(found)
    present = list(of_tasks)
    order = [*card.tasks, *card.extra_tasks] if card else []
    names = [n for n in order if n in present] + sorted(n for n in present if n not in order)
    columns = tuple(_column(name, [*map(_first, of_tasks[name])], card, registry, scoring) for name in names)
    scored = {r.task_name for r in map(_first, found) if r.status == "success"}
    missing = tuple(n for n in order if n not in scored and (expected is None or n in expected))
    rows = _rows(found, columns, tuple(card.tasks) if card else (), registry, scoring)
    limit, shots, validation = used
    part = ", ".join([f"limit {limit}"] * bool(limit) + [few_shot_words(shots, validation)] * bool(shots))
    return SuiteTable(suite, protocol, split, part, card.summary if card else "", columns, missing, rows)


def _column(
    name: str, results: Sequence[Result], suite: SuiteCard | None, registry: Registry, scoring: _Scoring
) -> TaskColumn:
    good = [r for r in results if r.status == "success"]
    sample = (good or results)[0]
    counts = (sample.task.counts or {}).get("test") or {}
    n_test = sum(counts.values()) or None
    flags = tuple(dict.fromkeys(f for r in good for f in r.flags if f.startswith(OF_TASKS)))
    why_not = ""
    if suite is not None and name not in suite.tasks:
        why_not = "not part of the suite's mean"
    elif shortcuts := _known_shortcuts(name, registry):
        why_not = f"known shortcut: {'; '.join(shortcuts)}"
    metric, higher_is_better = scoring.metric_of(sample)
    return TaskColumn(
        name=name,
        metric=metric,
        higher_is_better=higher_is_better,
        n_classes=len(sample.task.labels),
        n_test=min(n_test, sample.limit) if n_test and sample.limit else n_test,
        chance=max(counts.values()) / n_test if n_test and set(counts) != {"rows"} else None,
        flags=flags,
        in_mean=not why_not,
        why_not=why_not,
    )


def _known_shortcuts(name: str, registry: Registry) -> tuple[str, ...]:
    cards = (entry.card for entry in registry.named("tasks", name))
    return next((card.known_shortcuts for card in cards if card.full_name == name), ())


def _rows(
    found: Sequence[_Fits],
    columns: Sequence[TaskColumn],
    suite_tasks: Sequence[str],
    registry: Registry,
    scoring: _Scoring,
) -> tuple[Row, ...]:
    controls = {card.name for card in registry.cards("models") if card.control}
    groups: dict[tuple[str, str], list[_Fits]] = {}
    for fits in found:
        if fits[0].status == "success":
            groups.setdefault((fits[0].model.name, fits[0].config_id or ""), []).append(fits)
    wanted: dict[tuple[str, tuple[object, ...]], list[tuple[str, str]]] = {}
    for key, group in groups.items():
        wanted.setdefault((key[0], requested_settings(group[0][0])), []).append(key)
    for fits in found:
        if (r := fits[0]).status != "success":
            # It has no configuration, only what was asked for: the rows that agree with that, else one of its own.
            for key in wanted.get((r.model.name, requested_settings(r))) or [(r.model.name, "")]:
                groups.setdefault(key, []).append(fits)
    configurations: dict[str, dict[str, list[Result]]] = {}
    for (model, config), group in groups.items():
        configurations.setdefault(model, {})[config] = [*map(_first, group)]
    counted = [name for name in suite_tasks if not _known_shortcuts(name, registry)]
    rows = []
    for (model, config), group in groups.items():
        of_tasks = _by_task(group)
        entries = {c.name: _entry(_together(of_tasks[c.name]), scoring) for c in columns if c.name in of_tasks}
        firsts = configurations[model][config]
        sample = next((r for r in firsts if r.status == "success"), firsts[0])
        mean, why_not = _mean(entries, columns, counted)
        rows.append(
            Row(
                model=model,
                settings=differing_settings(config, configurations[model]),
                config_id=config,
                control=model in controls,
                n_parameters=sample.model.n_parameters,
                flags=_row_flags(entries),
                licence=sample.model.licence,
                entries=entries,
                mean=mean,
                mean_why_not=why_not,
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.control, *_rank_key(row, columns), row.model, row.config_id)))


def _row_flags(entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """Flags of the model and the run; those of single cells with the tasks they are true of, where these are not all."""
    tasks_of: dict[str, list[str]] = {}
    for name, entry in entries.items():
        for flag in flags_of(entry.results) if entry.results else ():
            if not flag.startswith(OF_TASKS):
                tasks_of.setdefault(flag, []).append(name)
    scored = sum(bool(entry.results) for entry in entries.values())
    whole = [flag for flag, names in tasks_of.items() if not flag.startswith(OF_CELLS) or len(names) == scored]
    some = {
        kind: {f: names for f, names in tasks_of.items() if f.startswith(kind) and f not in whole} for kind in OF_CELLS
    }
    return (*whole, *(_on_tasks(kind, found, entries, scored) for kind, found in some.items() if found))


def _on_tasks(kind: str, found: Mapping[str, Sequence[str]], entries: Mapping[str, Entry], scored: int) -> str:
    """One kind of flag that not all tasks of a row have, or not in the same words."""
    tasks = [name for names in found.values() for name in names]
    if len(tasks) <= _NAMED_TASKS:
        return "; ".join(
            f"{flag} on {', '.join(name.partition('/')[2] for name in names)}" for flag, names in found.items()
        )
    where = f"on {len(tasks)} of {scored} tasks"
    if kind != "truncated":
        return f"{kind} {where}"
    coverages = [bases_read(entries[name].results) for name in tasks]
    read = sorted(((c.bases_seen or 0, c.bases_total or 1) for c in coverages), key=lambda pair: pair[0] / pair[1])
    low, high = share_read(*read[0]), share_read(*read[-1])
    return f"{kind} ({low if low == high else f'{low} to {high}'} of bases read) {where}"


def _by_task(found: Iterable[_Fits]) -> dict[str, list[_Fits]]:
    of_tasks: dict[str, list[_Fits]] = {}
    for fits in found:
        of_tasks.setdefault(fits[0].task_name, []).append(fits)
    return of_tasks


def _entry(cells: Sequence[Result], scoring: _Scoring) -> Entry:
    """One cell of a table from the successes and failures of its seeds."""
    good = [r for r in cells if r.status == "success"]
    bad = [r for r in cells if r.status != "success"]
    newest = max(bad, key=lambda r: (r.created, r.request_id), default=None)
    reason = newest.error.message if newest is not None and newest.error else ""
    if not good:
        assert newest is not None
        return Entry(newest.status, reason=reason)
    whole = _aggregate(good, scoring)
    return replace(whole, reason=f"{len(bad)} more failed: {reason}") if bad and whole.varies else whole


def _aggregate(cells: Sequence[Result], scoring: _Scoring) -> Entry:
    by_seed = {r.seed: r for r in sorted(cells, key=lambda r: r.created)}
    ordered = [by_seed[seed] for seed in sorted(by_seed, key=lambda s: -1 if s is None else s)]
    varies = tuple(dict.fromkeys(v for r in ordered for v in r.protocol.settings.get("seed_varies", [])))
    if not varies:  # one deterministic fit, whatever seed it was asked for with
        ordered = ordered[:1]
    name = scoring.metric or ordered[0].main_metric
    values = [value for r in ordered if (value := r.score(scoring.metric or r.main_metric)) is not None]
    stored = [r.interval(name) for r in ordered]
    undefined = all(interval is None for interval in stored)
    interval = None
    if not undefined and len(values) == len(ordered):
        interval = stored[0] if len(ordered) == 1 else scoring.over_fits(ordered, name)
    return Entry(
        status="success",
        value=statistics.fmean(values) if values else None,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        spread=_spread(values) if varies else None,
        n=len(ordered),
        varies=varies,
        results=tuple(ordered),
        too_few=bool(values) and undefined and all(r.metrics.n_groups is not None for r in ordered),
        scale=scoring.scale(name),
        validation=_validation(ordered, name),
    )


@dataclass(frozen=True)
class _Scoring:
    """Which number of a result is shown, and its interval.

    unread: collects what has no interval because its predictions cannot be read. metric: None for the main one of each task. scales: those
    looked up before.
    """

    predictions: Read | None
    intervals: KeptIntervals | None
    unread: list[str]
    metric: str | None
    scales: dict[str, float] = field(default_factory=dict)

    def metric_of(self, r: Result) -> tuple[str, bool]:
        """(name, whether higher is better) of the metric that is shown."""
        main = r.metrics.main
        if self.metric in (None, main.name):
            return main.name, main.higher_is_better
        return str(self.metric), metric_card(str(self.metric)).higher_is_better

    def scale(self, metric: str) -> float:
        """What its values are multiplied by."""
        if (found := self.scales.get(metric)) is None:
            found = self.scales[metric] = metric_scale(metric)
        return found

    def over_fits(self, fits: Sequence[Result], metric: str) -> tuple[float, float] | None:
        """The interval of a mean over several fits: over rows and fits, from their predictions."""
        try:
            if self.predictions is None:
                raise OutputError("nothing says where")
            if self.intervals is not None:
                return self.intervals.of(fits, metric)
            return interval_over_fits([self.predictions(r) for r in fits], metric, fits[0].task)
        except OutputError:
            self.unread.append(f"{fits[0].model.name} on {fits[0].task_name}")
            return None


def _unread_note(unread: Sequence[str]) -> list[str]:
    if not unread:
        return []
    return [f"no interval for means over several fits whose predictions are not there: {listed(unread, 3)}"]


def _validation(fits: Sequence[Result], metric: str) -> float | None:
    scores = [_validation_score(r, metric) for r in fits]
    known = [score for score in scores if score is not None]
    return statistics.fmean(known) if known and len(known) == len(scores) else None


def _validation_score(r: Result, metric: str) -> float | None:
    if r.selection == "test" or r.protocol.settings.get("validation_split") == "test":
        return None
    score = r.validation_score(metric)
    return float(score) if isinstance(score, int | float) else None


def _spread(values: Sequence[float]) -> float | None:
    """Standard deviation over fits (ddof 1); None for one fit, and where all came to the same value (nothing was measured)."""
    if len(set(values)) < 2:
        return None
    mean = statistics.fmean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _mean(
    entries: Mapping[str, Entry], columns: Sequence[TaskColumn], wanted: Sequence[str]
) -> tuple[float | None, str]:
    """The mean over the tasks of a suite that count, or why there is none."""
    by_name = {column.name: column for column in columns}
    if not wanted:
        return None, "no suite of this name"
    absent = [name for name in wanted if name not in entries or entries[name].value is None]
    if absent:
        return None, f"{len(absent)} of {len(wanted)} tasks have no number"
    if len({by_name[name].metric for name in wanted}) > 1:
        return None, "the tasks have unlike metrics"
    if any(flag.startswith("partial") for name in wanted for flag in by_name[name].flags):
        return None, "some data sets are partial"
    results = [r for name in wanted for r in entries[name].results]
    if any(r.limit is not None for r in results):
        return None, "computed with --limit"
    # Presets may have settings of their own for each task; what must not differ is which seeds were averaged.
    seeds = {tuple(r.seed for r in entries[name].results) for name in wanted if entries[name].varies}
    if len(seeds) > 1:
        return None, "the tasks have unlike seeds"
    return statistics.fmean(value for name in wanted if (value := entries[name].value) is not None), ""


def _rank_key(row: Row, columns: Sequence[TaskColumn]) -> tuple[int, float]:
    """Order of rows, best first: those with more columns, then by the mean over all columns they have."""
    better_up = {column.name: column.higher_is_better for column in columns}
    values = [e.value if better_up[name] else -e.value for name, e in row.entries.items() if e.value is not None]
    return -len(values), -statistics.fmean(values) if values else 0.0
