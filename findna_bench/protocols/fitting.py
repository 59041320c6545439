"""What fits have in common: how rows are divided, heads on features of both strands, estimators that are fitted first."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from findna_bench.data.splits import draw_validation
from findna_bench.data.table import SequenceTable
from findna_bench.errors import ModelError, PluginError
from findna_bench.models.consistency import check_consistent_rows
from findna_bench.models.estimators import fit_estimator, fitted_settings, rows_of
from findna_bench.models.representations import Representation
from findna_bench.models.row_vectors import in_memory
from findna_bench.plugin_code import plugin_code
from findna_bench.protocols.protocol import FitOptions, Fitted, HeadProtocol, ModelToFit, Pool, PredictScores
from findna_bench.protocols.seed_splits import (
    SeedSplit,
    few_shot_rows,
    few_shot_split,
    with_reverse_strand,
)
from findna_bench.protocols.settings import Preset, preset_settings
from findna_bench.relatedness.components import row_groups
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.statistics.metric import metric_card
from findna_bench.targets.classes import Classes
from findna_bench.targets.target import Target

if TYPE_CHECKING:
    from findna_bench.protocols.heads import FittedHead

__all__ = [
    "Embedder",
    "features_of",
    "fit_best_representation",
    "fit_classifier",
    "fit_features",
    "fit_heads",
    "pool_rows",
]


def pool_rows(
    train: SequenceTable,
    validation: SequenceTable | None,
    seeds: Sequence[int],
    names: Sequence[str],
    shots: int | None,
    *,
    within_shots: bool = False,
    choose: bool = True,
    target: Target | None = None,
) -> Pool:
    """The pool and its divisions: the official validation split, or 10 % of train drawn anew per seed.

    names: of classes, labels or states. shots: train rows per class. within_shots: settings are chosen on these rows alone
    (``choose`` False: none are chosen), and validation rows are left alone. This is the one place where rows are divided: whatever chooses, chooses by these splits.
    """
    target = target or Classes()
    n_classes = target.n_outputs(names)
    if shots is not None and within_shots:
        rows, groups, strata = np.arange(len(train)), row_groups(train), target.strata(train.labels)
        shot_splits = [few_shot_split(strata, rows, groups, shots, seed, choose=choose, names=names) for seed in seeds]
        return Pool(train, tuple(shot_splits), n_classes, False, within_shots=True, target=target)
    if validation is not None:
        pool = SequenceTable.concatenate([train, validation])
        rows = np.arange(len(pool))
        splits = [SeedSplit(seed, rows[: len(train)], rows[len(train) :]) for seed in seeds]
    else:
        pool = train
        groups, strata = row_groups(train), target.strata(train.labels)
        splits = [SeedSplit(seed, *draw_validation(train, seed, groups=groups, strata=strata)) for seed in seeds]
    if shots is not None:
        strata = target.strata(pool.labels)
        splits = [
            replace(split, train=split.train[few_shot_rows(strata[split.train], shots, split.seed, names)])
            for split in splits
        ]
    return Pool(pool, tuple(splits), n_classes, validation is not None, target=target)


def reverse_complemented(table: SequenceTable) -> SequenceTable:
    """The same rows read from the other strand; they have no place in a file of vectors."""
    other = None if table.sequences_b is None else [reverse_complement(sequence) for sequence in table.sequences_b]
    sequences = [reverse_complement(sequence) for sequence in table.sequences]
    return replace(table, sequences=sequences, sequences_b=other, place=None)


class Embedder:
    """Features of tables for one model, computed once per table and strand.

    ``vectors`` is called with a table and ``forward`` or ``reverse``; ``strand`` decides what is fed to the head:
    ``forward`` and ``rc-mean`` give one matrix (``vectors`` averages the strands itself), ``rc-augment`` adds the
    reverse strand's rows when fitting, ``rc-logit-mean`` averages the head's logits of both strands.
    """

    def __init__(self, vectors: Callable[[SequenceTable, str], Any], strand: str) -> None:
        self._vectors = vectors
        self.strand = strand
        self.streams = False
        """Whether features may lie on disk; arrays are made of them where not."""
        self._known: list[tuple[SequenceTable, str, Any]] = []

    def forward(self, table: SequenceTable) -> Any:
        """Features of the rows as they are (under ``rc-mean``: of both strands, averaged)."""
        return self._of(table, "forward")

    def reverse(self, table: SequenceTable) -> Any:
        """Features of the other strand."""
        return self._of(table, "reverse")

    def _of(self, table: SequenceTable, direction: str) -> Any:
        for known, known_direction, features in self._known:
            if known is table and known_direction == direction:
                return features
        features = self._vectors(table, direction)
        features = features if self.streams else in_memory(features)
        self._known.append((table, direction, features))
        return features


def fit_heads(protocol: HeadProtocol, pool: Pool, embedder: Embedder, preset: Preset, device: str) -> list[Fitted]:
    """Heads of all seeds on frozen features."""
    embedder.streams = protocol.streams and protocol.name not in pool.target.heads
    features = embedder.forward(pool.table)
    labels, splits = pool.table.labels, list(pool.splits)
    if embedder.strand == "rc-augment":
        features, labels, splits = with_reverse_strand(features, embedder.reverse(pool.table), labels, splits)
    started = time.perf_counter()
    fit: Callable[..., Sequence[FittedHead]] = pool.target.heads.get(protocol.name, protocol.fit_heads)
    where = f"protocol {protocol.name!r}: fit_heads"
    with plugin_code(where, called=fit):
        fitted = fit(features, labels, splits, pool.n_classes, preset, device)
    _check_heads(fitted, len(splits), where)
    seconds = (time.perf_counter() - started) / max(len(fitted), 1)
    return [
        Fitted(
            head.seed,
            _head_scores(head, embedder, pool.target),
            head.validation or _head_validation(head, features, labels, split, pool.target),
            preset_settings(preset) | head.settings,
            tuple(head.warnings),
            seconds,
        )
        for head, split in zip(fitted, splits, strict=True)
    ]


def _check_heads(fitted: Any, expected: int, where: str) -> None:
    """Whether a protocol gave a head for every seed; PluginError where it did not."""
    wanted = f"where a list of findna_bench.api.FittedHead, one for each of {expected} seeds, is expected"
    if not isinstance(fitted, Sequence):
        raise PluginError(f"{where} gives a {type(fitted).__name__} {wanted}")
    if wrong := [head for head in fitted if not callable(getattr(head, "predict_scores", None))]:
        raise PluginError(f"{where} gives a {type(wrong[0]).__name__} {wanted}")
    if len(fitted) != expected:
        raise PluginError(f"{where} gives {len(fitted)} heads {wanted}")


def fit_best_representation(
    protocol: HeadProtocol, pool: Pool, model: ModelToFit, preset: Preset, options: FitOptions
) -> list[Fitted]:
    """Heads on every candidate, one after the other, of which each seed keeps the best on its validation rows.

    Raises:
        ModelError: heads have a validation score neither as a loss nor in the task's main metric.
    """
    nothing_held = all(not len(split.validation) and not split.folds for split in pool.splits)
    candidates = options.candidates[:1] if nothing_held else options.candidates
    best: list[tuple[float, Fitted]] = []
    trials: list[list[dict[str, Any]]] = [[] for _ in pool.splits]
    seconds = 0.0
    for number, candidate in enumerate(candidates):
        options.progress(number, len(candidates), "layers and poolings")
        vectors = model.frozen_features(candidate)
        assert vectors is not None  # only encoders have candidates
        fitted = fit_heads(protocol, pool, Embedder(vectors, options.strand), preset, model.device)
        seconds += fitted[0].fit_s
        settings = {"layer": candidate.layer, "pooling": candidate.pooling}
        for tried, fit in zip(trials, fitted, strict=True):
            scores = {name: value for name, value in fit.validation.items() if name != "path"}
            tried.append({"settings": settings, "validation": scores})
        chosen = [
            replace(fit, selected={**fit.selected, **settings, "chosen_trial": number}, representation=candidate)
            for fit in fitted
        ]
        scored = [(_worth(fit.validation, options.metric), fit) for fit in chosen]
        best = [max(pair, key=lambda one: one[0]) for pair in zip(best, scored, strict=True)] if best else scored
    return [
        replace(fit, fit_s=seconds, trials=tuple(tried))
        if worth > -math.inf
        else _first_of(fit, options.candidates, seconds)
        for (worth, fit), tried in zip(best, trials, strict=True)
    ]


def _worth(validation: Mapping[str, Any], metric: str) -> float:
    """What the best candidate has most of; minus infinity without a row to choose on."""
    if not validation.get("rows"):
        return -math.inf
    if (loss := validation.get("loss")) is not None:
        return -float(loss) if math.isfinite(loss) else -math.inf
    if metric not in validation:
        raise ModelError(f"a layer or pooling cannot be chosen: the head gives no validation loss and no {metric}")
    value = validation[metric]
    return -math.inf if value is None else float(value) * (1 if metric_card(metric).higher_is_better else -1)


def _first_of(fit: Fitted, candidates: Sequence[Representation], seconds: float) -> Fitted:
    """The fit of a seed that nothing could be chosen for."""
    selected = {name: value for name, value in fit.selected.items() if name != "chosen_trial"}
    words = (
        f"{fit.representation}, is the first of {len(candidates)} candidates: there is no validation score to choose by"
    )
    return replace(fit, selected=selected, warnings=(*fit.warnings, words), fit_s=seconds)


def _head_validation(
    head: FittedHead, features: Any, labels: np.ndarray, rows: SeedSplit, target: Target
) -> dict[str, Any]:
    """Scores of a head that brings none, where there are rows that it was not fitted on."""
    held = rows.validation
    if not len(held):
        return {"rows": 0, "loss": None}
    judged = target.judge(labels[held], head.predict_scores(features[held]), labels[rows.train])
    return {"rows": len(held), "loss": judged.get("log_loss")} | judged


def _head_scores(head: FittedHead, embedder: Embedder, target: Target) -> PredictScores:
    def predict(table: SequenceTable) -> np.ndarray:
        scores = head.predict_scores(embedder.forward(table))
        if embedder.strand == "rc-logit-mean":
            scores = target.average([scores, head.predict_scores(embedder.reverse(table))])
        return scores

    return predict


def features_of(estimator: Any, strand: str, name: str) -> Callable[[SequenceTable, str], Any]:
    """(table, ``forward`` or ``reverse``) -> features (n, D) of a fitted estimator, of both strands averaged under ``rc-mean``."""

    def vectors(table: SequenceTable, direction: str) -> Any:
        forward = rows_of(
            estimator, "transform", name, table if direction == "forward" else reverse_complemented(table)
        )
        if strand != "rc-mean":
            return forward
        return (forward + rows_of(estimator, "transform", name, reverse_complemented(table))) / 2

    return vectors


def _check_rows(name: str, ask: Callable[[SequenceTable], Any], table: SequenceTable) -> None:
    """Whether what was fitted answers for a row alike alone, among others, and again; ModelError where it does not."""
    check_consistent_rows(name, lambda rows: ask(table.take(rows)), table.lengths.tolist())


def fit_features(protocol: HeadProtocol, pool: Pool, model: ModelToFit, preset: Preset, strand: str) -> list[Fitted]:
    """A feature map is fitted on each seed's train rows, then scored like any model's vectors.

    Raises:
        ModelError: features of a row depend on the call, or on the rows beside it.
    """
    fitted: list[Fitted] = []
    for split in pool.splits:
        started = time.perf_counter()
        estimator = model.estimator()
        fit_estimator(estimator, model.name, *_shown(pool, split), split.seed, pool.n_classes)
        if not fitted:
            _check_rows(model.name, partial(rows_of, estimator, "transform", model.name), pool.table)
        one = replace(pool, splits=(split,))
        head = fit_heads(protocol, one, Embedder(features_of(estimator, strand, model.name), strand), preset, "cpu")[0]
        settings = dict(head.selected) | {"features": fitted_settings(estimator, model.name)}
        fitted.append(replace(head, selected=settings, fit_s=time.perf_counter() - started))
    return fitted


def _shown(pool: Pool, rows: SeedSplit) -> tuple[SequenceTable, SequenceTable]:
    """(train, validation) for an estimator, which is promised validation rows: where one shot leaves none, it gets its own again."""
    rows = rows.held_out()
    return pool.table.take(rows.train), pool.table.take(rows.validation if len(rows.validation) else rows.train)


def fit_classifier(pool: Pool, model: ModelToFit, strand: str) -> list[Fitted]:
    """A classifier that brings its own fit.

    Raises:
        ModelError: scores of a row depend on the call, or on the rows beside it.
    """
    fitted: list[Fitted] = []
    for split in pool.splits:
        started = time.perf_counter()
        estimator = model.estimator()
        rows = split.held_out()
        fit_estimator(estimator, model.name, *_shown(pool, split), split.seed, pool.n_classes)
        ask = partial(rows_of, estimator, "predict_scores", model.name, columns=pool.n_classes)
        if not fitted:
            _check_rows(model.name, ask, pool.table)

        def predict(table: SequenceTable, ask: Callable[[SequenceTable], Any] = ask) -> np.ndarray:
            scores: np.ndarray = ask(table)
            if strand == "rc-logit-mean":
                other = pool.target.turned(ask(reverse_complemented(table)), table)
                scores = pool.target.average([scores, other])
            return scores

        seconds = time.perf_counter() - started
        validation = pool.table.take(rows.validation)
        judged = (
            pool.target.judge(validation.labels, predict(validation), pool.table.labels[rows.train])
            if len(validation)
            else {}
        )
        longest = getattr(estimator, "max_length", None)
        settings = fitted_settings(estimator, model.name)
        fitted.append(Fitted(split.seed, predict, judged, settings, (), seconds, rows=rows, max_length=longest))
    return fitted
