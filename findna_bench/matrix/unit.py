"""Computes one unit: facts -> identities -> fits -> the test split, opened once -> results."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from findna_bench.auditing.pretraining_overlap import pretraining_overlap
from findna_bench.cards import TaskCard
from findna_bench.data.catalog import TaskRef, data_root, task_status
from findna_bench.data.table import SequenceTable
from findna_bench.data.task import Task, open_task
from findna_bench.errors import DataError, ModelError, UnsupportedError
from findna_bench.matrix.identity import (
    ModelFacts,
    TaskFacts,
    cell_settings,
    config_id,
    config_settings,
    identity,
)
from findna_bench.matrix.models import LiveModel
from findna_bench.matrix.recording import paths_of, stored_request
from findna_bench.matrix.report import Reporter
from findna_bench.matrix.request import (
    PROTOCOL_VERSION,
    CodeOfToday,
    Unit,
    can_choose,
    cannot_score,
    few_shot_validation,
    no_combination,
    unit_preset,
)
from findna_bench.matrix.rows_read import rows_read
from findna_bench.private_paths import published, without_paths
from findna_bench.protocols import fitting
from findna_bench.protocols.protocol import Fitted, Pool, find_protocol
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import Preset, preset_settings, trial_settings
from findna_bench.registry import Registry, get_registry
from findna_bench.relatedness.components import row_groups, row_sites
from findna_bench.requests.run_request import RunRequest
from findna_bench.results import schema
from findna_bench.results.environment import environment
from findna_bench.results.flags import following_flags
from findna_bench.results.store import ScoredRows
from findna_bench.statistics.fold_mean import Folds, is_mean_over_groups
from findna_bench.statistics.metric import metric_card
from findna_bench.targets.group_scores import (
    Weights,
    auroc_within,
    group_codes,
    group_names,
    group_scores,
    related_rows,
)
from findna_bench.targets.learning import not_learned
from findna_bench.targets.target import Target, find_target

__all__ = ["CellKeys", "Outcome", "UnitFacts", "ValidResults", "compute", "establish", "metrics_of", "unfinished"]


@dataclass(frozen=True)
class CellKeys:
    """A cell with its identity."""

    seed: int
    request_id: str
    identity: str
    hashed: Mapping[str, Any]
    """What the identity holds beside the configuration."""


@dataclass(frozen=True)
class UnitFacts:
    """A unit whose data and model are known, test split unopened."""

    unit: Unit
    task: Task
    model: ModelFacts
    preset: Preset
    config: Mapping[str, Any]
    config_id: str
    cells: tuple[CellKeys, ...]
    varies: tuple[str, ...]
    """What a seed changes; empty = one fit stands for all seeds."""
    flags: tuple[str, ...]
    """Those of the task; the others follow from what a result holds."""


@dataclass(frozen=True)
class Outcome:
    """A result with its predictions, ready to be written."""

    result: schema.Result
    predictions: ScoredRows | None
    discard: Callable[[], None] = lambda: None
    """Called when both are on disk."""


def establish(request: RunRequest, registry: Registry, unit: Unit, model: LiveModel) -> UnitFacts:
    """Open the task's manifest (not its rows) and compute the identities of the unit's cells.

    Raises:
        DataError: the data is missing or was changed since it was imported.
        UnsupportedError: a file holds what the model, or the protocol, does not predict, or what an option has no meaning for.
    """
    task = _open(request, registry, unit.task)
    protocol = find_protocol(request.protocol, registry)
    if why := no_combination(request, task.card) or cannot_score(protocol, model.card, task.card, registry):
        raise UnsupportedError(why)
    if protocol.reads_train and task.splits == ("test",) and not task.folds:
        raise UnsupportedError(
            f"{task.name} has test rows only, and --protocol {request.protocol} is fitted to others; --split grouped divides them anew"
        )
    if model.kind == "encoder" and request.pooling is not None and find_target(task.card.target).of_bases:
        raise UnsupportedError(f"--pooling has no meaning for {task.card.target}: every base keeps its own vector")
    facts = model.facts()
    preset, general = (
        unit_preset(request, unit, name, registry, kind=model.kind).for_model(model.card, facts.n_parameters)
        for name in (task.name, None)
    )
    if model.kind == "encoder" and (why := preset.refuses(find_target(task.card.target))):
        raise UnsupportedError(f"--preset {request.preset}: {why}")
    config = config_settings(request, facts, preset_settings(general), unit.shots)
    card = task.card
    task_facts = TaskFacts(
        suite=card.suite,
        name=card.name,
        labels=task.label_names,
        data_digest=task.data_digest,
        split=request.split,
        metric=card.metric,
        higher_is_better=metric_card(card.metric, registry).higher_is_better,
    )
    varies = _varies(request, unit, task, model, preset)
    cells = unit.cells if varies else unit.cells[:1]
    settings = _settings(request, preset, task.card) | {"seed_varies": list(varies)}
    if (tried := _tried(request, unit, preset)) is not None:
        settings["tried"] = tried
    hashed = [cell_settings(task_facts, settings, cell.seed) for cell in cells]
    keys = tuple(
        CellKeys(cell.seed, cell.request_id, identity(config, of_cell), of_cell)
        for cell, of_cell in zip(cells, hashed, strict=True)
    )
    return UnitFacts(unit, task, facts, preset, config, config_id(config), keys, varies, task.flags)


def _open(request: RunRequest, registry: Registry, ref: TaskRef) -> Task:
    """The task of a unit, as the request reads and splits it."""
    return open_task(
        ref,
        data_dir=request.data_dir,
        offline=request.offline,
        registry=registry,
        split=request.split,
        drop_missing=request.drop_missing,
        target=request.target,
        fasta=request.fasta,
        flank=request.flank,
    )


class ValidResults:
    """Which finished results a run would compute again as they are: they are on today's data, with today's settings and by today's code (of
    the data nothing but the manifest is read; the code is not imported). Each model and task is looked at once.

    Args:
        request: of the run.
        registry: of its models and tasks.
    """

    def __init__(self, request: RunRequest, registry: Registry) -> None:
        self._request, self._registry = request, registry
        self._code = CodeOfToday(registry)
        self._tasks: dict[int, tuple[TaskRef, tuple[Task, str] | None]] = {}

    def by_code(self, unit: Unit, results: Sequence[schema.Result]) -> list[schema.Result]:
        """Those results of a unit that are by today's code, whatever their data and settings."""
        return [result for result in results if self._code.made(result, unit)]

    def of(self, unit: Unit, results: Sequence[schema.Result]) -> list[schema.Result]:
        """Those results of a unit that are valid.

        Raises:
            BenchError: its data, or its preset, cannot be looked at.
        """
        results = self.by_code(unit, results)
        opened = self._task(unit.task) if results else None
        if opened is None:
            return results  # the data are gone, which makes no finished result wrong
        task, data_digest = opened
        preset = unit_preset(self._request, unit, task.name, self._registry, kind=unit.model.kind)
        verdicts: dict[tuple[int, int | None], bool] = {}  # results of a unit share what they have in common

        def holds(result: schema.Result) -> bool:
            if result.task.data_digest != data_digest:
                return False
            key = id(result.protocol), result.model.n_parameters
            if key not in verdicts:
                centred = preset.for_model(unit.model.card, result.model.n_parameters)
                verdicts[key] = self._has_settings(result.protocol.settings, unit, centred, task.card)
            return verdicts[key]

        return [result for result in results if holds(result)]

    def _task(self, ref: TaskRef) -> tuple[Task, str] | None:
        """The task of a unit and the digest of its data; None where they are gone."""
        if id(ref) not in self._tasks:
            if ref.card is not None and task_status(ref.card, data_root(self._request.data_dir)) == "missing":
                self._tasks[id(ref)] = ref, None
            else:
                task = _open(self._request, self._registry, ref)
                self._tasks[id(ref)] = ref, (task, task.data_digest)
        return self._tasks[id(ref)][1]

    def _has_settings(self, stored: Mapping[str, Any], unit: Unit, preset: Preset, task: TaskCard) -> bool:
        today = _settings(self._request, preset, task)
        if not all(json.dumps(stored.get(key)) == json.dumps(value) for key, value in today.items()):
            return False
        tried = _tried(self._request, unit, preset)
        return tried is None or [trial["settings"] for trial in stored.get("trials", [])] == tried


def _settings(request: RunRequest, preset: Preset, task: TaskCard) -> dict[str, Any]:
    """Settings of a fit that are known before it."""
    searched = {} if request.search is None else {"search": request.search}
    combination = request.combination or (task.combination if task.inputs == "pair" else None)
    combined = {} if combination is None else {"combination": combination}
    return preset_settings(preset) | searched | combined


def _tried(request: RunRequest, unit: Unit, preset: Preset) -> list[dict[str, Any]] | None:
    """What the trials of a search set, by nothing but the preset and their number; None where nothing is searched."""
    if request.search is None or unit.model.kind != "encoder" or not can_choose(request, unit):
        return None
    return trial_settings(preset.variations(request.search))


def _varies(request: RunRequest, unit: Unit, task: Task, model: LiveModel, preset: Preset) -> tuple[str, ...]:
    """What differs between two seeds of this unit, in words."""
    reasons = []
    protocol = find_protocol(request.protocol, get_registry())
    within = few_shot_validation(request, unit.shots) == "within"
    drawn = protocol.reads_train and "validation" not in task.splits and not within
    if drawn and request.selection != "test":
        reasons.append("validation draw")
    if unit.shots is not None:
        every_row = request.limit is None and set(task.counts.get("train", {}).values()) == {unit.shots}
        if not every_row:
            reasons.append("few-shot draw")
        elif within and request.selection == "validation" and unit.shots > 1 and (preset.chooses or request.choices):
            reasons.append("folds")
    reasons.extend(model.varies)
    if model.kind != "classifier":
        reasons.extend(preset.varies)
    return tuple(dict.fromkeys(reasons))


def compute(
    request: RunRequest, facts: UnitFacts, model: LiveModel, pending: Sequence[CellKeys], reporter: Reporter
) -> Iterator[Outcome]:
    """Yield the outcome of every pending cell, as soon as it is known.

    Seeds that are fitted one by one are finished one by one, so that an interruption costs one fit. Seeds that are fitted
    together are always all fitted, so that a cell has the same bits whether or not an earlier run wrote some of them.
    """
    alone = model.fits_seeds_alone
    seeds = [cell.seed for cell in (pending if alone else facts.cells)]
    wanted = {cell.seed: cell for cell in pending}
    model.check_consistency()
    for note in model.prove():
        reporter.note(note)
    if not facts.task.folds:
        for scored in _scored(request, facts, facts.task, model, seeds, wanted, reporter):
            yield _outcome(request, facts, model, wanted[scored.fit.seed], scored)
        return
    for some in [[seed] for seed in seeds] if alone else [seeds]:
        parts: dict[int, list[_Scored]] = {seed: [] for seed in some if seed in wanted}
        embed_s = 0.0
        for fold in facts.task.folds:
            for scored in _scored(request, facts, fold, model, some, wanted, reporter):
                parts[scored.fit.seed].append(scored)
            embed_s += model.embed_s
        model.embed_s = embed_s
        for seed, folds in parts.items():
            yield _outcome(request, facts, model, wanted[seed], _joined_folds(facts.task, folds))


@dataclass(frozen=True)
class _Scored:
    """A fit with the test rows that it has scored; ``folds`` (n,) where they are those of several fits."""

    fit: Fitted
    pool: Pool
    test: SequenceTable
    scores: np.ndarray
    predict_s: float
    settings: Mapping[str, Any]
    folds: np.ndarray | None = None

    @property
    def last_test(self) -> SequenceTable:
        """Test rows of the fit, or of the last fold, which with its other rows are all that there are."""
        return self.test if self.folds is None else self.test.take(np.flatnonzero(self.folds == self.folds.max()))


def _scored(
    request: RunRequest,
    facts: UnitFacts,
    task: Task,
    model: LiveModel,
    seeds: Sequence[int],
    wanted: Mapping[int, CellKeys],
    reporter: Reporter,
) -> Iterator[_Scored]:
    """Fit the seeds on one split of the task, and score its test rows. task: that of the unit, or one of its folds."""
    alone = model.fits_seeds_alone
    fold = "" if task is facts.task else f".{task.split_name.partition(':')[2].replace('/', '-')}"

    def checkpoint_of(seed: int) -> Path:
        path = request.output_dir / ".checkpoints" / f"{wanted[seed].identity[:32]}{fold}.pt"
        if request.overwrite == "always":  # from nothing
            for left in path.parent.glob(f"{path.stem}*"):
                left.unlink(missing_ok=True)
        return path

    test: SequenceTable | None = None
    if find_protocol(request.protocol, get_registry()).reads_train:
        pool = _training_pool(request, facts, task, model, seeds)
    else:
        test = _test_rows(request, task, model)
        pool = _empty_pool(task, test, seeds)
    for number, splits in enumerate([(split,) for split in pool.splits] if alone else [pool.splits]):
        model.reset_counters(reporter)
        if alone and len(seeds) > 1:
            reporter.progress(number, len(seeds), "seeds")
        fitted = [
            fit
            for fit in model.fit(replace(pool, splits=splits), facts.preset, task.card, checkpoint_of)
            if fit.seed in wanted
        ]
        # Everything about these cells has been chosen: only now is the test split opened.
        if test is None:
            test = _test_rows(request, task, model)
        for fit in fitted:
            started = time.perf_counter()
            scores = np.asarray(fit.predict(test), dtype=pool.target.outputs_dtype)
            seconds = time.perf_counter() - started
            yield _Scored(fit, pool, test, scores, seconds, _rows_of(request, pool, fit))


def _training_pool(request: RunRequest, facts: UnitFacts, task: Task, model: LiveModel, seeds: Sequence[int]) -> Pool:
    train, validation = _training_rows(request, task, model)
    shots, target = facts.unit.shots, find_target(task.card.target)
    return fitting.pool_rows(
        train,
        validation,
        seeds,
        task.label_names,
        shots,
        within_shots=few_shot_validation(request, shots) == "within",
        choose=request.selection == "validation",
        target=target,
    )


def _empty_pool(task: Task, test: SequenceTable, seeds: Sequence[int]) -> Pool:
    """For a protocol that fits nothing: no row is seen before the test."""
    none, target = np.zeros(0, dtype=np.int64), find_target(task.card.target)
    splits = tuple(SeedSplit(seed, none, none) for seed in seeds)
    return Pool(test.take(none), splits, target.n_outputs(task.label_names), official_validation=False, target=target)


def _rows_of(request: RunRequest, pool: Pool, fit: Fitted) -> dict[str, Any]:
    """How many rows a fit saw, what it chose on, and all that it tried."""
    rows = fit.rows or next(s for s in pool.splits if s.seed == fit.seed)
    settings: dict[str, Any] = {
        "train_rows": len(rows.train),
        "validation_rows": len(rows.validation),
        "validation_split": "test" if request.selection == "test" else pool.chosen_on(rows),
    }
    if not len(pool.table):  # a protocol that reads none
        settings["validation_split"] = "not read"
    if rows.folds:
        settings["folds"] = len(rows.folds)
    if fit.trials:
        settings["trials"] = [dict(trial) for trial in fit.trials]
    return settings


def _joined_folds(task: Task, parts: Sequence[_Scored]) -> _Scored:
    """The fits of all folds of a task as one: test rows in the order of the folds, validation scores averaged, rows summed."""
    fits, last = [part.fit for part in parts], parts[-1]
    names = [fold.split_name for fold in task.folds]
    settings: dict[str, Any] = {
        "train_rows": sum(part.settings["train_rows"] for part in parts),
        "validation_rows": sum(part.settings["validation_rows"] for part in parts),
        "validation_split": last.settings["validation_split"],
        "cross_validation": [
            {"split": name, **part.settings, "test_rows": len(part.test)}
            for name, part in zip(names, parts, strict=True)
        ],
    }
    if task.left_out:
        settings["left_out"] = dict(task.left_out)

    def discard() -> None:
        for fit in fits:
            fit.discard()

    fit = replace(
        last.fit,
        validation=_mean_validation([fit.validation for fit in fits]),
        selected={"folds": [dict(fit.selected) for fit in fits]},
        warnings=tuple(f"{name}: {text}" for name, fit in zip(names, fits, strict=True) for text in fit.warnings),
        fit_s=sum(fit.fit_s for fit in fits),
        trials=(),
        discard=discard,
    )
    scores = np.concatenate([part.scores for part in parts])
    folds = np.repeat(np.arange(len(parts)), [len(part.test) for part in parts])
    return _Scored(fit, last.pool, task.load("test"), scores, sum(p.predict_s for p in parts), settings, folds)


def _mean_validation(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over folds of what all of them have; rows are summed, and not learned in one is not learned."""
    mean: dict[str, Any] = {}
    for name in [name for name in folds[0] if all(name in fold for fold in folds)]:
        values = [fold[name] for fold in folds]
        if name == "learned":
            mean[name] = False if False in values else None if None in values else True
        elif name == "rows":
            mean[name] = sum(values)
        elif all(value is None or isinstance(value, int | float) for value in values):
            mean[name] = None if None in values else float(np.mean(values))
    return mean


def _rows(request: RunRequest, task: Task, model: LiveModel, split: str) -> SequenceTable:
    whole = task.load(split)
    model.align(split, task)
    target = find_target(task.card.target)
    target.check(whole, task.label_names, f"task {task.name}, {split}")
    return rows_read(whole, split, request, target)


def _training_rows(request: RunRequest, task: Task, model: LiveModel) -> tuple[SequenceTable, SequenceTable | None]:
    train = _rows(request, task, model, "train")
    if request.selection == "test":
        return train, _rows(request, task, model, "test")
    return train, _rows(request, task, model, "validation") if "validation" in task.splits else None


def _test_rows(request: RunRequest, task: Task, model: LiveModel) -> SequenceTable:
    """The test split; predictions are named by row id, so its ids must be unique."""
    test = _rows(request, task, model, "test")
    if len(set(test.ids.tolist())) != len(test):
        raise DataError(
            f"task {task.card.full_name}: row ids of the test split are not unique, so predictions cannot be named"
        )
    return test


def _outcome(
    request: RunRequest,
    facts: UnitFacts,
    model: LiveModel,
    cell: CellKeys,
    found: _Scored,
) -> Outcome:
    card, fit, test = facts.task.card, found.fit, found.test
    main = _main_metric(card)
    scored = _scored_rows(card, test, found, main.name, facts.task.label_names)
    settings = _settings(request, facts.preset, card) | {"seed_varies": list(facts.varies)}
    settings |= {**found.settings, **_few_shot_settings(request, facts.unit)}
    skeleton = _skeleton(request, facts, cell)
    if candidates := model.candidates():
        settings["candidates"] = candidates
        skeleton = replace_result(skeleton, model=_with_representation(skeleton.model, fit, request.protocol))
    unlearned = _unlearned(model, fit, found.pool.target.prior)
    seeds = [cell.seed] if model.fits_seeds_alone else [other.seed for other in facts.cells]
    digests = {"weights_digest": facts.model.weights_digest, "data_digest": facts.task.data_digest}
    every = find_target(card.target).metrics(main.name, facts.task.label_names)
    names = find_protocol(request.protocol, get_registry()).metrics(every)
    _, related_by = related_rows(test, whole=is_mean_over_groups(scored.folds))
    strata = "distance" if test.sequences_b is not None and "distance" in test.extra else ""
    metrics = metrics_of(scored, main, related_by, facts.task.label_names, card.target, names, strata)
    warnings = [*([unlearned] if unlearned else []), *fit.warnings, *_undefined(scored, metrics, facts.task)]
    result = replace_result(
        skeleton,
        status="success",
        n_effective_seeds=len(facts.cells),
        protocol=schema.Protocol(name=request.protocol, settings=settings),
        batch=model.batch(),
        metrics=metrics,
        validation={"metrics": dict(fit.validation), "selected": dict(fit.selected), "warnings": warnings},
        coverage=model.coverage(found.pool.table, found.last_test, fit.max_length),
        timing=schema.Timing(load_s=model.load_s, embed_s=model.embed_s, fit_s=fit.fit_s, predict_s=found.predict_s),
        memory=schema.Memory(peak_bytes=peak_bytes(model)),
        environment=skeleton.environment | ({"sharded": True} if model.sharded else {}),
        request=stored_request(request, facts.unit, seeds, **digests),
    )
    following = following_flags(result, find_target(card.target).flags(test.labels, facts.task.label_names))
    flags = [*facts.flags, *following, *model.doubts, *_pretraining_flag(facts, model, test)]
    result = replace_result(result, flags=list(dict.fromkeys(flags)))
    return Outcome(result, scored, fit.discard)


def _scored_rows(card: TaskCard, test: SequenceTable, found: _Scored, main: str, labels: Sequence[str]) -> ScoredRows:
    """Test rows with their scores, and what they belong to where the data name it."""
    elements, folds = group_names(test), found.folds
    if elements is None:
        return ScoredRows(test.ids, test.labels, found.scores, row_groups(test), folds)
    if folds is None and card.aggregate == "groups":
        folds = group_codes(find_target(card.target), test.labels, elements, main, labels, card.group_weights)
        if (folds == -1).all():
            raise DataError(f"task {card.full_name}: in none of its groups of test rows can {main} be computed")
    related, _ = related_rows(test, whole=is_mean_over_groups(folds))
    return ScoredRows(test.ids, test.labels, found.scores, related, folds, elements, row_sites(test))


def metrics_of(
    rows: ScoredRows,
    main: schema.MainMetric,
    groups_by: str | None,
    labels: Sequence[str] = (),
    target: str = "classes",
    names: Sequence[str] | None = None,
    strata: str = "",
) -> schema.Metrics:
    """Metrics and intervals of scored rows: what a result says follows from its predictions by this alone. names: of metrics; None =
    all of the target. strata: what the elements of rows are strata of, where they are.
    """
    scored = find_target(target)
    names = scored.metrics(main.name, labels) if names is None else names
    values, intervals = scored.evaluate(rows.labels, rows.scores, names, labels, rows.groups, folds=rows.folds)
    n_groups = len(rows.labels) if rows.groups is None else len(np.unique(rows.groups))
    return schema.Metrics(
        main=main.model_copy(update={"value": values[main.name]}),
        all=values,
        intervals=intervals,
        interval_unit="rows" if n_groups == len(rows.labels) else "groups",
        n_groups=n_groups,
        groups_by=groups_by,
        **_by_group(scored, rows, main.name, labels, names, strata),
    )


def _by_group(
    target: Target, rows: ScoredRows, main: str, labels: Sequence[str], names: Sequence[str], strata: str
) -> dict[str, Any]:
    """Scores within the elements of rows that name them, or within the strata that these are."""
    if rows.elements is None or rows.sites is None:
        return {}
    weights: Weights = "rows" if rows.folds is not None and Folds(rows.folds).by_rows else "uniform"
    found = group_scores(target, rows.labels, rows.scores, rows.elements, rows.sites, names, labels, weights)
    codes = group_codes(target, rows.labels, rows.elements, main, labels, weights)
    of_all = "rows" if rows.folds is None else "groups" if np.array_equal(rows.folds, codes) else "folds"
    grouping: dict[str, Any] = {
        "all": of_all,
        **({} if weights == "uniform" else {"weights": weights}),
        "left_out": list(dict.fromkeys(rows.elements[codes == -1].tolist())),
        "pooled": found.pooled,
        "mean": found.mean,
        "rule": found.rule,
    }
    if strata:
        within = auroc_within(*target.prepare(rows.labels, rows.scores), rows.elements)
        grouping |= {"strata": strata, "within": {"auroc": within}}
    return {"groups": found.groups, "grouping": grouping}


def _undefined(rows: ScoredRows, metrics: schema.Metrics, task: Task) -> list[str]:
    """In how many folds a metric is undefined that has no mean over them."""
    if rows.folds is None:
        return []
    target, found = find_target(task.card.target), []
    for name in [name for name, value in metrics.all.items() if value is None]:
        each = [
            target.evaluate(rows.labels[own], rows.scores[own], [name], task.label_names, intervals=False)[0][name]
            for own in (rows.folds == fold for fold in np.unique(rows.folds))
        ]
        found.append(f"{name} is undefined in {each.count(None)} of {len(each)} folds, so it has no mean over them")
    return found


def _main_metric(card: TaskCard | None) -> schema.MainMetric:
    """Of a task; one that could not even be opened is taken for what files are scored by."""
    name = card.metric if card is not None else "accuracy"
    return schema.MainMetric(name=name, higher_is_better=metric_card(name).higher_is_better)


def _unlearned(model: LiveModel, fit: Fitted, prior: str) -> str | None:
    """The warning of a fit that did not learn. That a control without a drawn network finds nothing is its answer, no fault."""
    return None if model.card.control and not model.varies else not_learned(fit.validation, prior)


def _with_representation(model: schema.Model, fit: Fitted, protocol: str) -> schema.Model:
    """The model with the layer and pooling that a fit has chosen."""
    if (chosen := fit.representation) is None:
        raise ModelError(f"--protocol {protocol} did not say which layer and pooling it has chosen")
    return model.model_copy(update={"layer": chosen.layer, "pooling": chosen.pooling})


def _few_shot_settings(request: RunRequest, unit: Unit) -> dict[str, Any]:
    if unit.shots is None:
        return {}
    return {"shots": unit.shots, "shot_validation": few_shot_validation(request, unit.shots)}


def _pretraining_flag(facts: UnitFacts, model: LiveModel, test: SequenceTable) -> list[str]:
    """Whether a trained model's declared pretraining covers the test loci: ``yes``, ``same genome`` or ``unknown``."""
    if facts.model.trained is not True:
        return []
    overlap = pretraining_overlap(model.card.pretraining, test, facts.task.card)
    return [] if overlap == "no" else [f"pretraining-overlap ({overlap})"]


def replace_result(result: schema.Result, **changes: Any) -> schema.Result:
    """A validated copy with some fields changed."""
    return schema.Result.model_validate(
        {**{name: getattr(result, name) for name in type(result).model_fields}, **changes}
    )


def _skeleton(request: RunRequest, facts: UnitFacts, cell: CellKeys) -> schema.Result:
    model, task = facts.model, facts.task
    return schema.Result(
        identity=cell.identity,
        request_id=cell.request_id,
        config_id=facts.config_id,
        status="error",
        command=request.command,
        protocol_version=PROTOCOL_VERSION,
        preset=request.preset,
        limit=request.limit,
        selection=request.selection,
        model=schema.Model(
            name=model.name,
            kind=model.kind,
            distribution=model.distribution,
            version=model.distribution_version,
            backbone=model.backbone,
            n_parameters=model.n_parameters,
            weights=schema.Weights(
                source=model.weights_source, digest=model.weights_digest, network=model.network, trained=model.trained
            ),
            tokenizer_digest=model.tokenizer_digest,
            code_digest=model.code_digest,
            pooling=model.pooling if isinstance(model.pooling, str) else None,
            layer=model.layer if isinstance(model.layer, int) else None,
            licence=model.licence,
        ),
        task=schema.Task(
            suite=task.card.suite,
            name=task.card.name,
            labels=list(task.label_names),
            target=task.card.target,
            data_digest=task.data_digest,
            counts={split: dict(counts) for split, counts in task.counts.items()},
            published_counts={split: dict(counts) for split, counts in task.published_counts.items()}
            if task.published_counts
            else None,
            split=request.split,
        ),
        strand=request.strand,
        window=model.window,
        seed=cell.seed,
        dtype=model.dtype,
        threads=model.threads,
        protocol=schema.Protocol(name=request.protocol, settings=_settings(request, facts.preset, task.card)),
        metrics=schema.Metrics(main=_main_metric(task.card)),
        environment=environment()
        | {"device": model.device_type, "gpu": _gpu(model.device_type), "threads": request.threads},
        created=_now(),
        hashed=schema.Hashed(request=dict(facts.unit.hashed), config=dict(facts.config), cell=dict(cell.hashed)),
    )


def unfinished(
    request: RunRequest,
    unit: Unit,
    status: str,
    error: BaseException | str,
    *,
    traceback: str | None = None,
    cells: Sequence[Any] | None = None,
) -> list[schema.Result]:
    """Results for cells that did not come to a number: ``error``, ``oom`` or ``skipped`` with the reason."""
    card, task = unit.model.card, unit.task.card
    kind = type(error).__name__ if isinstance(error, BaseException) else status
    paths = paths_of(request, unit)
    message = published(without_paths((str(error) or kind) if isinstance(error, BaseException) else error, paths))
    traceback = published(without_paths(traceback, paths)) if traceback else traceback
    return [
        schema.Result(
            identity=None,
            request_id=cell.request_id,
            config_id=None,
            status=status,  # type: ignore[arg-type]
            command=request.command,
            protocol_version=PROTOCOL_VERSION,
            preset=request.preset,
            limit=request.limit,
            selection=request.selection,
            model=schema.Model(
                name=unit.model.display_name,
                kind=card.kind,
                distribution=unit.model.distribution,
                version=unit.model.version,
                backbone=card.backbone,
                licence=card.licence_weights or None,
            ),
            task=schema.Task(
                suite=unit.task.suite,
                name=unit.task.task,
                labels=list(task.labels) if task else [],
                target=task.target if task else "classes",
                split=request.split,
            ),
            strand=request.strand,
            window=request.window,
            seed=cell.seed,
            protocol=schema.Protocol(
                name=request.protocol,
                settings=({} if request.search is None else {"search": request.search})
                | _few_shot_settings(request, unit),
            ),
            metrics=schema.Metrics(main=_main_metric(task)),
            environment=environment(),
            created=_now(),
            hashed=schema.Hashed(request=dict(unit.hashed)),
            request=stored_request(request, unit, [cell.seed]),
            error=schema.Error(type=kind, message=message, traceback=traceback),
        )
        for cell in (unit.cells if cells is None else cells)
    ]


def peak_bytes(model: LiveModel) -> int | None:
    """Peak memory: of the device's allocator on CUDA, of the process on the CPU."""
    if model.device_type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _gpu(device_type: str) -> str | None:
    """Which GPU computed: its kind is in an identity, its name is on record, as a processor's is."""
    if device_type != "cuda":
        return None
    import torch

    return torch.cuda.get_device_name()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
