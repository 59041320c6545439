"""Results -> what may be concluded about the order of models: paired differences on the same rows, corrected for all looks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.catalog import TaskRef, resolve_suite, resolve_task, suite_tasks
from findna_bench.data.task import open_task
from findna_bench.errors import BenchError, OutputError, UnknownNameError, UsageError
from findna_bench.leaderboard.table import (
    asked,
    described,
    differing_settings,
    on_newest_data,
    schema_note,
    without_superseded_failures,
)
from findna_bench.registry import Registry, get_registry
from findna_bench.relatedness.components import related_by, row_groups
from findna_bench.results.flags import flags_of, warnings_of
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore, ScoredRows
from findna_bench.statistics.metric import metric_card
from findna_bench.statistics.paired_tests import (
    Difference,
    Predictions,
    RankInterval,
    TaskStatistics,
    across_tasks,
    analyse,
    compact_letters,
    holm,
    rank_intervals,
)

__all__ = [
    "AcrossTasks",
    "ComparedModel",
    "Comparison",
    "PairAcross",
    "PairedDifference",
    "Score",
    "TaskComparison",
    "compare_models",
]

ALPHA = 0.05
TOO_FEW = "too few rows of the rarer class"
_POOLED = re.compile(r"(.+@random):\*", re.DOTALL)
_LABEL = re.compile(r"(.+?) \((.+)\)", re.DOTALL)


@dataclass(frozen=True)
class ComparedModel:
    """One configuration of a model. pooled: the untrained draws that stand under this name, if several do."""

    name: str
    settings: tuple[str, ...]
    """What was asked for to tell it from the model's other configurations."""
    pooled: tuple[str, ...]
    flags: tuple[str, ...]

    @property
    def label(self) -> str:
        return self.name + (f" ({', '.join(self.settings)})" if self.settings else "")


@dataclass(frozen=True)
class Score:
    """One model on one task: the metric averaged over fits.

    low, high: 95 % interval over rows and, where fits differ, over fits; None where there are too few rows of the rarer class.
    n_fits: independent ones (draws of an untrained network, else seeds). seed_sd: standard deviation (ddof 1) between them, None where all agree. varies: what a seed changes; empty = one deterministic fit.
    letters: models that share one do not differ; empty with two models, and where nothing was tested. reason: what else was asked for and is not here.
    """

    value: float
    low: float | None
    high: float | None
    n_fits: int
    seed_sd: float | None
    seeds: tuple[int, ...]
    varies: tuple[str, ...]
    flags: tuple[str, ...]
    letters: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    """Of its fits, each with how many of them it is true of."""


@dataclass(frozen=True)
class PairedDifference:
    """Metric of ``first`` minus that of ``second``. p_holm: corrected for all pairs on all tasks of the comparison that are tested.

    withheld: why there is no test (p_value, p_holm, detectable and mcnemar are then empty): one fit stands for something that
    varies, and the interval covers rows alone; or there are too few rows of the rarer class, and there is no interval either.
    mcnemar: mid-p per pair of seeds, not corrected. detectable: the smallest true difference that would have been found in four of
    five cases at 5 %, not corrected.
    """

    first: str
    second: str
    value: float
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    detectable: float | None
    mcnemar: tuple[float, ...]
    withheld: str = ""


@dataclass(frozen=True)
class TaskComparison:
    """One task. groups: how related rows were told (``known_groups``), or why every row counts as independent.

    missing: model -> why it has no score here. problem: why nothing was compared at all.
    """

    task: str
    metric: str
    n_rows: int = 0
    n_groups: int = 0
    known_groups: bool = False
    groups: str = ""
    scores: Mapping[str, Score] = field(default_factory=dict)
    differences: tuple[PairedDifference, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class PairAcross:
    """Two models over the tasks both have: mean difference over clusters and Wilcoxon's signed-rank p over them.

    p_value, p_holm: None where one fit of a model stands for something that varies. smallest_p: no result on so few clusters could
    have come below it.
    """

    first: str
    second: str
    n_tasks: int
    n_clusters: int
    mean_difference: float
    p_value: float | None
    p_holm: float | None
    smallest_p: float


@dataclass(frozen=True)
class AcrossTasks:
    """Several tasks together. ranks: over ``tasks``, which all models have. clusters: tasks that share loci, counted as one.

    n_clusters: independent tasks behind the ranks. pairs: empty where ``why_no_pairs`` says so.
    """

    tasks: tuple[str, ...]
    n_clusters: int
    clusters: Mapping[str, tuple[str, ...]]
    ranks: Mapping[str, RankInterval]
    pairs: tuple[PairAcross, ...]
    why_no_pairs: str = ""


@dataclass(frozen=True)
class Comparison:
    """Everything a page or the screen shows. n_tests: those that ``p_holm`` of the tasks corrects for."""

    protocol: str
    split: str
    models: tuple[ComparedModel, ...]
    tasks: tuple[TaskComparison, ...]
    n_tests: int
    across: AcrossTasks | None
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    complete: bool = True
    """False where predictions are missing, damaged or not of the same rows."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self) | {"models": [asdict(model) | {"label": model.label} for model in self.models]}


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
) -> Comparison:
    """Compare models by their predictions in a results folder.

    models: two or more, named as the leaderboard names its rows: ``NAME``, ``NAME (pooling max)`` where a model has several
    configurations, ``NAME@random:*`` for all untrained draws together. metric: None for every task's main one. data_dir: where
    test rows are looked up to find related ones.

    Raises:
        UsageError: names that are unknown, equal or ambiguous; an unknown metric; results under several protocols or splits.
        OutputError: a file is not a result, or nothing can be compared.
    """
    registry = registry or get_registry()
    if len(models) < 2:
        raise UsageError("a comparison needs two models or more")
    if metric is not None:
        metric_card(metric, registry)
    store = ResultStore.existing(output_dir)
    stored = store.load()
    wanted = _wanted_tasks(tasks, suites, stored, registry)
    results = [r for r in stored if not wanted or r.task_name in wanted]
    meant = [_Meant.of(text, stored, registry, output_dir) for text in models]
    if len(set(meant)) < len(meant):
        raise UsageError(f"a model is named twice in {', '.join(models)}; name different models")
    names = {name for one in meant for name in one.members}
    notes: list[str] = []
    results = _one_protocol([r for r in results if r.model.name in names], protocol, split)
    usable = on_newest_data(without_superseded_failures(_unlimited(results, notes)), notes)
    contestants = [_contestant(one, usable, output_dir, notes) for one in meant]
    _check_distinct(contestants)
    order = list(wanted) or _task_order({r.task_name for c in contestants for r in c.results}, registry)
    scored = [
        _Scored.of(name, contestants, store, wanted.get(name), metric, data_dir, registry, results) for name in order
    ]
    return _concluded(scored, contestants, registry, notes)


# ------------------------------------------------------------------------------------------------------- what is compared


def _wanted_tasks(
    tasks: Sequence[str], suites: Sequence[str], stored: Sequence[Result], registry: Registry
) -> dict[str, TaskRef | None]:
    """Canonical names asked for, in order; none = all. A task whose plugin is gone is found by its results."""
    known = {r.task_name for r in stored}
    wanted: dict[str, TaskRef | None] = {}
    for text in tasks:
        try:
            ref = resolve_task(text, registry)
            wanted[ref.name] = ref
        except UnknownNameError:
            alike = sorted(name for name in known if text in (name, name.partition("/")[2]))
            if len(alike) != 1:
                raise
            wanted[alike[0]] = None
    for suite in suites:
        wanted |= {ref.name: ref for ref in suite_tasks(resolve_suite(suite, registry), registry)}
    return wanted


@dataclass(frozen=True)
class _Meant:
    """What a name on the command line stands for. members: names of models in the results, draws in order."""

    name: str
    settings: str
    members: tuple[str, ...]
    pooled: bool

    @classmethod
    def of(cls, text: str, stored: Sequence[Result], registry: Registry, root: Path) -> _Meant:
        """Raises UsageError where there are no results of it."""
        names = sorted({r.model.name for r in stored})
        label = None if text in names else _LABEL.fullmatch(text)  # a name that holds brackets itself is a name
        name, settings = (label[1], label[2]) if label else (text, "")
        if match := _POOLED.fullmatch(name):
            base = _canonical(match[1], names, registry)
            found = [n for n in names if n == base or re.fullmatch(re.escape(base) + r":\d+", n)]
            if found:
                return cls(f"{base}:*", settings, tuple(sorted(found, key=_draw_of)), True)
        name = _canonical(name, names, registry)
        if name in names:
            return cls(name, settings, (name,), False)
        near = difflib.get_close_matches(text, names, n=3) or names[:12]
        there = f"; there are {', '.join(near)}" if near else ""
        raise UsageError(f"no results of {text} are in {root}{there}")


def _canonical(name: str, names: Sequence[str], registry: Registry) -> str:
    base, at, variant = name.partition("@")
    if name in names:
        return name
    try:
        return str(registry.resolve("models", base).card.name) + at + variant
    except UnknownNameError:
        return name


def _draw_of(name: str) -> int:
    """Initialisation seed of an untrained model's name."""
    number = name.rpartition("@random")[2].removeprefix(":")
    return int(number) if number else 0


def _one_protocol(results: Sequence[Result], protocol: str | None, split: str | None) -> list[Result]:
    kept = _only(results, "--protocol", protocol, lambda r: r.protocol.name)
    return _only(kept, "--split", split, lambda r: r.task.split or "official")


def _only(results: Sequence[Result], option: str, asked_for: str | None, key: Callable[[Result], str]) -> list[Result]:
    found = sorted({key(r) for r in results if r.status == "success"})
    if asked_for is None and len(found) > 1:
        raise UsageError(f"the results of these models are under {', '.join(found)}; choose one with {option}")
    chosen = asked_for if asked_for is not None else found[0] if found else None
    if asked_for is not None and results and asked_for not in found:
        raise UsageError(
            f"{option} {asked_for}: these models have no such results, only {', '.join(found) or 'failures'}"
        )
    return [r for r in results if chosen is None or key(r) == chosen]


def _unlimited(results: Sequence[Result], notes: list[str]) -> list[Result]:
    """Of a model that has results on all rows, those computed on a part of them are left out."""
    whole = {(r.model.name, r.task_name) for r in results if r.status == "success" and r.limit is None}
    kept = [r for r in results if r.limit is None or (r.model.name, r.task_name) not in whole]
    if len(kept) < len(results):
        notes.append(f"{len(results) - len(kept)} results computed with --limit are left out: there are complete ones")
    return kept


@dataclass(frozen=True)
class _Contestant:
    """A model to be compared, with its successes, and its failures of the same request."""

    model: ComparedModel
    results: tuple[Result, ...]
    failures: tuple[Result, ...]

    def on(self, task: str) -> list[Result]:
        """One result per draw and seed; one alone where no seed changes anything."""
        cells: dict[tuple[int, int], Result] = {}
        for r in sorted((r for r in self.results if r.task_name == task), key=lambda r: (r.created, r.request_id)):
            cells[_draw_of(r.model.name) if self.model.pooled else 0, r.seed or 0] = r
        kept: dict[tuple[int, int], Result] = {}
        for (draw, seed), r in sorted(cells.items()):
            if not (r.is_deterministic and any(other == draw for other, _ in kept)):
                kept[draw, seed] = r
        return list(kept.values())


def _contestant(meant: _Meant, usable: Sequence[Result], root: Path, notes: list[str]) -> _Contestant:
    mine = [r for r in usable if r.model.name in meant.members]
    good = [r for r in mine if r.status == "success"]
    chosen = _configuration(meant, good, root)
    wanted = {asked(r) for r in chosen}
    failures = [r for r in mine if r.status != "success" and (not wanted or asked(r) in wanted)]
    draws = tuple(member for member in meant.members if any(r.model.name == member for r in chosen))
    if meant.pooled and len(draws) > 1:
        notes.append(
            f"{meant.name} stands for {len(draws)} untrained draws ({', '.join(draws)}); each counts once, with the mean over its seeds"
        )
    elif meant.pooled:
        notes.append(f"{meant.name} stands for one untrained draw only ({', '.join(draws) or 'without a score'})")
    flags = tuple(dict.fromkeys(flag for r in chosen for flag in r.flags))
    settings = tuple(meant.settings.split(", ")) if meant.settings else ()
    model = ComparedModel(meant.name, settings, draws if meant.pooled and len(draws) > 1 else (), flags)
    return _Contestant(model, tuple(chosen), tuple(failures))


def _configuration(meant: _Meant, good: Sequence[Result], root: Path) -> list[Result]:
    """The successes of the one configuration that is meant.

    Raises:
        UsageError: several are, or none.
    """
    name, settings = meant.name, meant.settings
    groups: dict[str, list[Result]] = {}
    for r in good:
        groups.setdefault(r.config_id or "", []).append(r)
    groups = _merged_draws(groups) if meant.pooled else groups
    labels = {config: differing_settings(config, groups) for config in groups}
    if meant.pooled:  # the draws' weights differ by intent
        labels = {c: tuple(setting for setting in s if not setting.startswith("weights ")) for c, s in labels.items()}
    fitting = [c for c, group in groups.items() if settings in ("", ", ".join(labels[c])) or _has(group, settings)]
    if len(fitting) == 1 or not groups:
        return groups[fitting[0]] if fitting else []
    choices = ", ".join(f"'{name} ({', '.join(s)})'" for s in sorted(labels.values()) if s)
    if not fitting:
        there = choices or f"one configuration only, {name!r}"
        raise UsageError(f"{name} has no configuration ({settings}) in {root}; there is {there}")
    raise UsageError(
        f"{name} has {len(fitting)} configurations in {root} that must not be mixed; name one of them in quotes: {choices}"
    )


def _has(group: Sequence[Result], settings: str) -> bool:
    """Whether a configuration has all of ``pooling max, layer 2``."""
    words = {f"{name} {value}" for name, value in described(group).items()}
    return set(settings.split(", ")) <= words | {f"configuration {(group[0].config_id or '')[:8]}"}


def _merged_draws(groups: Mapping[str, Sequence[Result]]) -> dict[str, list[Result]]:
    """Configurations that differ in nothing but the draw of their weights, as one."""
    words = {config: described(group) for config, group in groups.items()}
    common = set.intersection(*(set(found) for found in words.values())) if words else set()
    merged: dict[tuple[str, ...], list[str]] = {}
    for config, found in words.items():
        key = tuple(f"{setting} {found[setting]}" for setting in sorted(common - {"weights"}))
        merged.setdefault(key, []).append(config)
    return {configs[0]: [r for config in configs for r in groups[config]] for configs in merged.values()}


def _check_distinct(contestants: Sequence[_Contestant]) -> None:
    owner: dict[str, str] = {}
    for contestant in contestants:
        for r in contestant.results:
            other = owner.setdefault(r.request_id, contestant.model.label)
            if other != contestant.model.label:
                raise UsageError(f"{other} and {contestant.model.label} share results; name models that do not overlap")


def _task_order(names: set[str], registry: Registry) -> list[str]:
    cards = [task for card in registry.cards("suites") for task in (*card.tasks, *card.extra_tasks)]
    return [n for n in dict.fromkeys(cards) if n in names] + sorted(n for n in names if n not in cards)


# ------------------------------------------------------------------------------------------------------------ one task


@dataclass(frozen=True)
class _Scored:
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

    @classmethod
    def of(
        cls,
        name: str,
        contestants: Sequence[_Contestant],
        store: ResultStore,
        ref: TaskRef | None,
        metric: str | None,
        data_dir: Path | None,
        registry: Registry,
        everything: Sequence[Result],
    ) -> _Scored:
        found = {c.model.label: c.on(name) for c in contestants}
        mains = sorted({r.metrics.main.name for cells in found.values() for r in cells})
        task = TaskComparison(name, metric or (mains[0] if mains else ""))
        missing, reasons, damaged = {}, {}, False
        sources: dict[str, list[Result]] = {}
        tables: dict[str, list[ScoredRows]] = {}
        for contestant in contestants:
            label = contestant.model.label
            failed = [r for r in contestant.failures if r.task_name == name]
            said = _said(failed)
            if not found[label]:
                missing[label] = said or _why_absent(contestant, name, everything)
                continue
            try:
                tables[label] = [store.predictions(r) for r in found[label]]
                sources[label] = found[label]
                reasons[label] = f"{len(failed)} more failed: {said}" if failed else ""
            except OutputError as error:
                missing[label], damaged = str(error), True
        task = replace(task, missing=missing)
        if metric is None and len(mains) > 1:
            return cls(
                replace(
                    task, problem=f"its results have unlike main metrics ({', '.join(mains)}); choose one with --metric"
                )
            )
        if len(tables) < 2:
            return cls(replace(task, problem="fewer than two models have scores"), damaged=damaged)
        if problem := _unequal(sources, tables):
            return cls(replace(task, problem=problem), damaged=True)
        first = next(iter(tables.values()))[0]
        ids, labels = first.ids, first.labels
        groups, words = _stored_groups(sources, tables, ids)
        if groups is None:
            groups, words = _groups(name, ref, next(iter(sources.values()))[0], ids, data_dir, registry)
        pooled = {c.model.label for c in contestants if c.model.pooled}
        predictions = {}
        for label, cells in sources.items():
            scores = tuple(_in_order(table, ids) for table in tables[label])
            draws = tuple(_draw_of(r.model.name) for r in cells) if label in pooled else ()
            seeds, classes = tuple(r.seed or 0 for r in cells), tuple(cells[0].task.labels)
            predictions[label] = Predictions(labels, scores, groups, seeds, draws, classes)
        n_groups = next(iter(predictions.values())).n_groups
        task = replace(task, n_rows=len(ids), n_groups=n_groups, known_groups=groups is not None, groups=words)
        return cls(task, predictions, sources, reasons, damaged)


def _said(failures: Sequence[Result]) -> str:
    newest = max(failures, key=lambda r: (r.created, r.request_id), default=None)
    if newest is None:
        return ""
    return f"{newest.status}: {newest.error.message}" if newest.error else newest.status


def _why_absent(contestant: _Contestant, task: str, everything: Sequence[Result]) -> str:
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
        task = open_task(ref or name, data_dir=data_dir, registry=registry, split=sample.task.split or "official")
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


# --------------------------------------------------------------------------------------------------------- conclusions


def _concluded(
    scored: Sequence[_Scored],
    contestants: Sequence[_Contestant],
    registry: Registry,
    notes: Sequence[str],
) -> Comparison:
    tasks: list[TaskComparison] = []
    found: dict[str, tuple[_Scored, TaskStatistics]] = {}
    for one in scored:
        task = one.task
        if one.predictions:
            try:
                found[task.task] = one, analyse(one.predictions, task.metric)
            except (ValueError, UsageError) as error:
                task = replace(task, problem=str(error))
        tasks.append(task)
    if not found:
        why = [f"{t.task}: {t.problem}" + "".join(f"; {m}: {r}" for m, r in t.missing.items()) for t in tasks]
        raise OutputError(f"nothing can be compared: {' | '.join(why[:5]) or 'no task has a result of these models'}")
    tested = {
        (task, pair): d.p_value
        for task, (one, statistics) in found.items()
        for pair, d in statistics.differences.items()
        if d.p_value is not None and not one.withheld(pair)
    }
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    with_letters = len(contestants) > 2
    tasks = [_told(task, *found[task.task], corrected, with_letters) if task.task in found else task for task in tasks]
    successes = [r for one, _ in found.values() for cells in one.sources.values() for r in cells]
    sample = successes[0]
    return Comparison(
        protocol=sample.protocol.name,
        split=sample.task.split or "official",
        models=tuple(c.model for c in contestants),
        tasks=tuple(tasks),
        n_tests=len(tested),
        across=_across(found, [c.model.label for c in contestants], registry),
        notes=(*notes, *schema_note(successes)),
        commands=tuple(sorted({r.command for r in successes if r.command})),
        complete=not any(one.damaged for one in scored),
    )


def _paired(pair: tuple[str, str], d: Difference, withheld: str, p_holm: float | None) -> PairedDifference:
    if d.p_value is None:
        return PairedDifference(*pair, d.value, None, None, None, None, None, (), TOO_FEW)
    if withheld:
        return PairedDifference(*pair, d.value, d.low, d.high, None, None, None, (), withheld)
    return PairedDifference(*pair, d.value, d.low, d.high, d.p_value, p_holm, d.detectable, d.mcnemar)


def _told(
    task: TaskComparison,
    one: _Scored,
    statistics: TaskStatistics,
    corrected: Mapping[tuple[str, tuple[str, str]], float],
    with_letters: bool,
) -> TaskComparison:
    differences = tuple(
        _paired(pair, d, one.withheld(pair), corrected.get((task.task, pair)))
        for pair, d in statistics.differences.items()
    )
    alone = {name for name in statistics.estimates if one.fitted_once(name)}
    values = {name: e.value for name, e in statistics.estimates.items() if name not in alone}
    best_first = sorted(values, key=lambda name: values[name], reverse=metric_card(task.metric).higher_is_better)
    told = [d for d in differences if d.p_holm is not None]
    apart = [(d.first, d.second) for d in told if d.p_holm is not None and d.p_holm < ALPHA]
    letters = compact_letters(best_first, apart) if with_letters and told else {}
    scores = {}
    for name, e in statistics.estimates.items():
        cells = one.sources[name]
        varies = tuple(dict.fromkeys(v for r in cells for v in r.protocol.settings.get("seed_varies", [])))
        seeds = tuple(dict.fromkeys(r.seed or 0 for r in cells))
        flags, warnings = flags_of(cells), tuple(warnings_of(cells).values())
        scores[name] = Score(
            e.value,
            e.low,
            e.high,
            e.n_seeds,
            e.seed_sd or None,
            seeds,
            varies,
            flags,
            letters.get(name, ""),
            one.reasons[name],
            warnings,
        )
    return replace(task, scores=scores, differences=differences)


def _across(
    found: Mapping[str, tuple[_Scored, TaskStatistics]], models: Sequence[str], registry: Registry
) -> AcrossTasks | None:
    """Ranks and signed-rank tests; None where fewer than two tasks were scored by all models."""
    common = [task for task, (_, s) in found.items() if all(model in s.estimates for model in models)]
    if len(common) < 2:
        return None
    cards = {card.full_name: card for card in registry.cards("tasks")}
    clusters = {task: _locus(task, cards) for task in found}
    sign = {t: 1.0 if metric_card(found[t][0].task.metric, registry).higher_is_better else -1.0 for t in common}
    values = {m: {t: sign[t] * found[t][1].drawn[m] for t in common} for m in models}
    n_clusters = len({clusters[task] for task in common})
    ranks = rank_intervals(values, clusters, resample_tasks=n_clusters > 1)
    metrics = sorted({found[task][0].task.metric for task in found})
    why = (
        ""
        if len(metrics) == 1
        else f"the tasks have unlike metrics ({', '.join(metrics)}); --metric chooses one for all"
    )
    sharing: dict[str, list[str]] = {}
    for task in found:
        sharing.setdefault(clusters[task], []).append(task)
    return AcrossTasks(
        tasks=tuple(common),
        n_clusters=n_clusters,
        clusters={locus: tuple(members) for locus, members in sharing.items() if len(members) > 1},
        ranks=ranks,
        pairs=() if why else _pairs_across(found, models, clusters),
        why_no_pairs=why,
    )


def _locus(task: str, cards: Mapping[str, TaskCard]) -> str:
    """What tasks on the same loci have in common: their card's group, that of the task they are made from, else the task."""
    card = cards.get(task)
    if card is None:
        return task
    return card.locus_group or (_locus(card.derived_from, cards) if card.derived_from else task)


def _pairs_across(
    found: Mapping[str, tuple[_Scored, TaskStatistics]], models: Sequence[str], clusters: Mapping[str, str]
) -> tuple[PairAcross, ...]:
    values = {m: {t: s.estimates[m].value for t, (_, s) in found.items() if m in s.estimates} for m in models}
    found_across = across_tasks(values, clusters)
    alone = {m for m in models for _, (one, s) in found.items() if m in s.estimates and one.fitted_once(m)}
    tested = {pair: p for pair, (_, p) in found_across.items() if not alone & set(pair)}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    pairs = []
    for (a, b), (mean, _) in found_across.items():
        both = [task for task in values[a] if task in values[b]]
        n_clusters = len({clusters[task] for task in both})
        smallest = min(1.0, 2.0 ** (1 - n_clusters))
        p_value, p_holm = tested.get((a, b)), corrected.get((a, b))
        pairs.append(PairAcross(a, b, len(both), n_clusters, mean, p_value, p_holm, smallest))
    return tuple(pairs)
