"""Heads on frozen features: probes and nearest neighbours, all seeds fitted in one computation.

A seed is a :class:`SeedSplit`: which rows it trains on and which it validates on. Features are (n, D) float32, dense (an array, or
:class:`~findna_bench.models.row_vectors.RowVectors` on disk) or scipy CSR; heads give (m, C) float64 probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from findna_bench.errors import ModelError, UsageError
from findna_bench.models.row_vectors import all_finite, in_memory
from findna_bench.protocols.adamw import LinearLayer, fit_linear_layers
from findna_bench.protocols.logistic import LogisticPaths, fit_paths
from findna_bench.protocols.seed_splits import (
    SeedSplit,
    few_shot_rows,
    softmax,
    with_reverse_strand,
)
from findna_bench.protocols.settings import (
    KNN_PRESETS,
    PROBE_PRESETS,
    AdamWProbe,
    KNearest,
    LogisticProbe,
    Preset,
    preset_settings,
)
from findna_bench.statistics.classification import compute_metrics
from findna_bench.targets.learning import against_prior

__all__ = [
    "KNN_PRESETS",
    "PROBE_PRESETS",
    "AdamWProbe",
    "FittedHead",
    "KNearest",
    "LinearHead",
    "LogisticProbe",
    "NeighbourHead",
    "SeedSplit",
    "check_features",
    "few_shot_rows",
    "fit_knn",
    "fit_probe",
    "fit_search",
    "softmax",
    "what_varies",
    "with_reverse_strand",
]

_BLOCK_ROWS = 8192


@dataclass(frozen=True, kw_only=True)
class FittedHead:
    """What every fitted head offers.

    settings: preset and what was chosen, JSON-able. validation: ``loss`` (mean cross-entropy, or None), all metrics, ``rows``,
    what :func:`~findna_bench.targets.learning.against_prior` says, and ``path``, what was compared. varies: what differs between the seeds this head was fitted with; empty = one
    deterministic fit, one effective seed.
    """

    seed: int
    settings: dict[str, Any]
    validation: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    """Sentences that stand with the result."""
    varies: tuple[str, ...] = ()

    def predict_scores(self, features: Any) -> np.ndarray:
        """(m, C) float64 class probabilities of features (m, D)."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class LinearHead(FittedHead):
    """A linear layer in the units of the features: weight (C, D), bias (C,), both float64."""

    weight: np.ndarray
    bias: np.ndarray

    def logits(self, features: Any) -> np.ndarray:
        """(m, C) float64."""
        logits: np.ndarray = _linear(features, self.weight.T) + self.bias
        return logits

    def predict_scores(self, features: Any) -> np.ndarray:
        """(m, C) float64 class probabilities of features (m, D)."""
        return softmax(self.logits(features))


@dataclass(frozen=True, kw_only=True)
class NeighbourHead(FittedHead):
    """Shares of the votes of the nearest training rows, which are kept as labels (n,) and a fitted search."""

    search: Any
    labels: np.ndarray
    n_classes: int
    metric: str
    centre: np.ndarray
    scale: np.ndarray

    def votes(self, features: Any) -> np.ndarray:
        """(m, k, ...) labels of the nearest training rows, the nearest first."""
        rows = _neighbour_space(features, self.centre, self.scale, self.metric)
        labels: np.ndarray = self.labels[self.search.kneighbors(rows, return_distance=False)]
        return labels

    def predict_scores(self, features: Any) -> np.ndarray:
        """(m, C) shares of the votes; nearer neighbours weigh a little more, enough to break ties and no more."""
        votes = self.votes(features)
        k = votes.shape[1]
        scores = np.zeros((len(votes), self.n_classes))
        for rank in range(k):
            scores[np.arange(len(votes)), votes[:, rank]] += 1.0 + 1e-3 * (1.0 - rank / k) / k
        shares: np.ndarray = scores / scores.sum(axis=1, keepdims=True)
        return shares


def fit_probe(
    features: Any,
    labels: np.ndarray,
    splits: Sequence[SeedSplit],
    n_classes: int,
    preset: Preset | None = None,
    *,
    device: str | torch.device = "cpu",
) -> list[FittedHead]:
    """One probe per split, all fitted together; the same as fitting them one by one.

    features: (n, D) float32 or CSR. labels: (n,) in 0..n_classes-1. preset: :class:`LogisticProbe` (default) or
    :class:`AdamWProbe`.

    Raises:
        ModelError: a feature is not a finite number.
        UsageError: a split has no train or validation row.
    """
    preset = preset or PROBE_PRESETS["default"]
    labels = _check(features, labels, splits, n_classes)
    if isinstance(preset, LogisticProbe):
        heads: list[LinearHead] = _fit_logistic(features, labels, splits, n_classes, preset, device)
    elif isinstance(preset, AdamWProbe):
        heads = _fit_adamw(features, labels, splits, n_classes, preset, device)
    else:
        raise UsageError(f"{type(preset).__name__} is not a preset of the probe protocol")
    varies = what_varies(preset, splits)
    return [replace(head, varies=varies) for head in heads]


def fit_knn(
    features: Any, labels: np.ndarray, splits: Sequence[SeedSplit], n_classes: int, preset: KNearest | None = None
) -> list[FittedHead]:
    """Nearest neighbours among each split's training rows; nothing is chosen on validation.

    Raises:
        ModelError: a feature is not a finite number.
        UsageError: a split has no train row.
    """
    preset = preset or KNearest()
    labels = _check(features, labels, splits, n_classes, needs_validation=False)
    varies = what_varies(preset, splits)
    fitted: dict[bytes, NeighbourHead] = {}
    heads: list[FittedHead] = []
    for split in splits:
        key = split.key
        if key not in fitted:
            fitted[key] = _fit_neighbours(features, labels, split, n_classes, preset)
        heads.append(replace(fitted[key], seed=split.seed, varies=varies))
    return heads


def what_varies(preset: Preset, splits: Sequence[SeedSplit]) -> tuple[str, ...]:
    """What differs between seeds: the rows, and what the preset draws at random."""
    rows = ("rows",) if len({split.key for split in splits}) > 1 else ()
    return (*rows, *preset.varies)


def _check(
    features: Any, labels: np.ndarray, splits: Sequence[SeedSplit], n_classes: int, *, needs_validation: bool = True
) -> np.ndarray:
    given = np.asarray(labels)
    if given.ndim != 1 or given.dtype.kind not in "iub":
        raise UsageError(
            f"a probe of classes takes labels (n,) of whole numbers from 0 to C - 1, not {given.shape} of {given.dtype}; a model that is fitted "
            "with one says targets=('classes',) on its card"
        )
    labels = given.astype(np.int64)
    if len(labels) and (labels.min() < 0 or labels.max() >= n_classes):
        raise ValueError(f"a label lies outside 0..{n_classes - 1}")
    check_features(features, len(labels), splits, needs_validation=needs_validation)
    return labels


def check_features(features: Any, n_rows: int, splits: Sequence[SeedSplit], *, needs_validation: bool = True) -> None:
    """Whether heads can be fitted on such features and rows.

    Raises:
        ModelError: a feature is not a finite number.
        UsageError: a split has no train or validation row.
    """
    if features.shape[0] != n_rows:
        raise ValueError(f"{features.shape[0]} rows of features, {n_rows} of labels")
    if not (np.isfinite(features.data).all() if hasattr(features, "tocsr") else all_finite(features)):
        raise ModelError("the model's features hold a value that is not a finite number")
    for split in splits:
        lacks = needs_validation and split.folds is None and not len(split.validation)
        if not len(split.train) or lacks:
            empty = "validation" if len(split.train) else "train"
            raise UsageError(f"seed {split.seed} has no {empty} rows; use more rows (a larger --limit)")


def _linear(features: Any, weights: np.ndarray) -> np.ndarray:
    """(m, K) features @ weights in float64, block by block."""
    out = np.empty((features.shape[0], weights.shape[1]))
    for first in range(0, features.shape[0], _BLOCK_ROWS):
        block = features[first : first + _BLOCK_ROWS]
        out[first : first + _BLOCK_ROWS] = block.astype(np.float64) @ weights
    return out


def mean_loss(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean cross-entropy over the rows of logits (m, ..., C)."""
    top = logits.max(axis=-1)
    total = top + np.log(np.exp(logits - top[..., None]).sum(axis=-1))
    index = labels.reshape(-1, *([1] * (logits.ndim - 1)))
    chosen = np.take_along_axis(logits, np.broadcast_to(index, (*logits.shape[:-1], 1)), axis=-1)[..., 0]
    loss: np.ndarray = (total - chosen).mean(axis=0)
    return loss


def _fit_logistic(
    features: Any,
    labels: np.ndarray,
    splits: Sequence[SeedSplit],
    n_classes: int,
    preset: LogisticProbe,
    device: str | torch.device,
) -> list[LinearHead]:
    different = {split.key: split for split in splits}
    found = _fit_strengths(features, labels, different, n_classes, preset, device)
    best = {key: _best_strength(split, found[key], preset) for key, split in different.items()}
    again = {key: split for key, split in different.items() if split.folds is not None}
    whole = _refit(features, labels, again, best, n_classes, preset, device)
    fitted = {
        key: _linear_head(features, labels, split, found[key], best[key], whole.get(key), preset)
        for key, split in different.items()
    }
    return [replace(fitted[split.key], seed=split.seed) for split in splits]


@dataclass(frozen=True)
class _Candidate:
    """The fit of one strength. weight (C, D), bias (C,), both float64; loss: mean over the rows to choose on, NaN without."""

    strength: float
    weight: np.ndarray
    bias: np.ndarray
    loss: float
    iterations: int
    converged: bool
    dropped: int
    absent: tuple[int, ...]


def _fit_strengths(
    features: Any,
    labels: np.ndarray,
    splits: Mapping[bytes, SeedSplit],
    n_classes: int,
    preset: LogisticProbe,
    device: str | torch.device,
) -> dict[bytes, list[list[_Candidate]]]:
    """For every part of every split the strong ones, then the weak ones of splits whose validation loss is not rising already."""
    strengths = sorted(preset.strengths, reverse=True)
    found: dict[bytes, list[list[_Candidate]]] = {key: [[] for _ in split.parts] for key, split in splits.items()}
    for some in (strengths[: preset.always], strengths[preset.always :]):
        keys = [key for key, parts in found.items() if parts and not _rising(_losses(splits[key], parts))]
        if not some or not keys:
            continue
        problems = [(key, *part) for key in keys for part in enumerate(splits[key].parts)]
        paths = _paths(features, labels, [rows for _, _, (rows, _) in problems], n_classes, some, preset, device)
        for s, (key, number, (_, held)) in enumerate(problems):
            found[key][number] += _candidates(features, labels, held, paths, s, some)
    return found


def _paths(
    features: Any,
    labels: np.ndarray,
    subsets: list[np.ndarray],
    n_classes: int,
    strengths: Sequence[float],
    preset: LogisticProbe,
    device: str | torch.device,
) -> LogisticPaths:
    return fit_paths(
        features,
        labels,
        subsets,
        n_classes,
        strengths,
        standardise=preset.standardise,
        drop_below=preset.drop_below,
        tolerance=preset.tolerance,
        max_iterations=preset.max_iterations,
        device=device,
    )


def _losses(split: SeedSplit, parts: list[list[_Candidate]]) -> list[float]:
    """Per strength the mean over all rows that are chosen on."""
    sizes = [len(held) for _, held in split.parts]
    if len(parts) == 1:
        return [candidate.loss for candidate in parts[0]]
    return [
        sum(candidate.loss * size for candidate, size in zip(row, sizes, strict=True)) / sum(sizes)
        for row in zip(*parts, strict=True)
    ]


def _rising(losses: list[float]) -> bool:
    return len(losses) > 2 and losses[-1] > losses[-2] > losses[-3]


def _candidates(
    features: Any, labels: np.ndarray, held: np.ndarray, paths: LogisticPaths, s: int, strengths: Sequence[float]
) -> list[_Candidate]:
    k, c, d = paths.weights[s].shape
    losses = np.full(k, np.nan)
    if len(held):
        logits = _linear(features[held], paths.weights[s].reshape(k * c, d).T).reshape(-1, k, c)
        losses = mean_loss(logits + paths.intercepts[s], labels[held])
    return [
        _Candidate(
            strength,
            paths.weights[s, i],
            paths.intercepts[s, i],
            float(losses[i]),
            int(paths.iterations[s, i]),
            bool(paths.converged[s, i]),
            int(paths.dropped[s]),
            paths.absent[s],
        )
        for i, strength in enumerate(strengths)
    ]


def _best_strength(split: SeedSplit, parts: list[list[_Candidate]], preset: LogisticProbe) -> float:
    """The strength of the lowest loss, the stronger one among equals; scikit-learn's default, C = 1, where nothing can be held out."""
    if not parts:
        return preset.strengths[0] if len(preset.strengths) == 1 else 1.0 / len(split.train)
    losses = _losses(split, parts)
    return parts[0][losses.index(min(losses))].strength


def _refit(
    features: Any,
    labels: np.ndarray,
    splits: Mapping[bytes, SeedSplit],
    strengths: Mapping[bytes, float],
    n_classes: int,
    preset: LogisticProbe,
    device: str | torch.device,
) -> dict[bytes, _Candidate]:
    """All train rows with the strength that their folds have chosen."""
    fitted: dict[bytes, _Candidate] = {}
    for strength in sorted({strengths[key] for key in splits}):
        keys = [key for key in splits if strengths[key] == strength]
        subsets = [splits[key].train for key in keys]
        paths = _paths(features, labels, subsets, n_classes, [strength], preset, device)
        for s, key in enumerate(keys):
            fitted[key] = _candidates(features, labels, splits[key].validation, paths, s, [strength])[0]
    return fitted


def _linear_head(
    features: Any,
    labels: np.ndarray,
    split: SeedSplit,
    parts: list[list[_Candidate]],
    strength: float,
    whole: _Candidate | None,
    preset: LogisticProbe,
) -> LinearHead:
    """The head of one split. whole: the fit of all train rows, where those of ``parts`` saw only some of them."""
    chosen = [next(candidate for candidate in part if candidate.strength == strength) for part in parts]
    final = chosen[0] if whole is None else whole
    warnings = []
    if parts and len(preset.strengths) > 1 and strength in (max(preset.strengths), min(preset.strengths)):
        edge = "strongest" if strength == max(preset.strengths) else "weakest"
        warnings.append(f"the {edge} regularisation of the grid ({strength:g}) has the lowest validation loss")
    if not final.converged:
        warnings.append(f"the fit did not converge within {preset.max_iterations} iterations")
    if final.absent:
        warnings.append(f"classes without a training row: {', '.join(map(str, final.absent))}")
    settings = {
        **preset_settings(preset),
        "strength": strength,
        "channels": final.weight.shape[1],
        "channels_dropped": final.dropped,
        "train_rows": len(split.train),
        "iterations": final.iterations,
    }
    heads = [LinearHead(seed=split.seed, settings={}, weight=c.weight, bias=c.bias) for c in chosen]
    losses = _losses(split, parts) if parts else []
    validation = _validation(features, labels, split, heads, min(losses, default=None))
    if parts:
        path = zip(parts[0], losses, strict=True)
        validation["path"] = [{"strength": candidate.strength, "loss": loss} for candidate, loss in path]
    return LinearHead(
        seed=split.seed,
        weight=final.weight,
        bias=final.bias,
        settings=settings,
        warnings=warnings,
        validation=validation,
    )


def _validation(
    features: Any, labels: np.ndarray, split: SeedSplit, heads: Sequence[FittedHead], loss: float | None
) -> dict[str, Any]:
    """Scores on the rows that are chosen on, each by the head of the part that held it out."""
    held = [rows for _, rows in split.parts]
    n_rows = sum(map(len, held))
    if not n_rows:
        return {"rows": 0, "loss": None}
    scores = [head.predict_scores(features[rows]) for head, rows in zip(heads, held, strict=True)]
    truth, predicted = labels[np.concatenate(held)], np.concatenate(scores)
    prior = against_prior(truth, predicted, labels[split.train])
    return {"rows": n_rows, "loss": loss, **compute_metrics(truth, predicted), **prior}


def _fit_adamw(
    features: Any,
    labels: np.ndarray,
    splits: Sequence[SeedSplit],
    n_classes: int,
    preset: AdamWProbe,
    device: str | torch.device,
) -> list[LinearHead]:
    dense = features.toarray() if hasattr(features, "tocsr") else in_memory(features)

    def fit(rows: Sequence[SeedSplit], epochs: Sequence[int | None]) -> list[LinearLayer]:
        return fit_linear_layers(dense, labels, rows, n_classes, preset, device, epochs=epochs) if rows else []

    parts = [[SeedSplit(s.seed, *part) for part in s.folds or ()] for s in splits]
    paths = iter(fit([part for of_one in parts for part in of_one], [None] * sum(map(len, parts))))
    losses = [
        _mean_path([len(part.validation) for part in of_one], [next(paths).losses for _ in of_one]) for of_one in parts
    ]
    chosen = [_best_epoch(split, path, preset) for split, path in zip(splits, losses, strict=True)]
    # A fold's weights at the epoch that all folds have chosen together: its own best one may be another.
    rows = [*splits, *(part for of_one in parts for part in of_one)]
    epochs = [*chosen, *(epoch for of_one, epoch in zip(parts, chosen, strict=True) for _ in of_one)]
    layers = fit(rows, epochs)
    others = iter(layers[len(splits) :])
    return [
        _adamw_head(dense, labels, split, layer, [next(others) for _ in of_one], path, preset)
        for split, layer, of_one, path in zip(splits, layers[: len(splits)], parts, losses, strict=True)
    ]


def _mean_path(sizes: list[int], paths: list[list[float]]) -> list[float]:
    """Loss per epoch over the rows of all folds."""
    return np.average(paths, axis=0, weights=sizes).tolist() if paths else []


def _best_epoch(split: SeedSplit, path: list[float], preset: AdamWProbe) -> int | None:
    """The epoch to keep; None: the one that its own validation rows like best."""
    if split.folds is None:
        return None
    if preset.select == "last" or not path:
        return preset.epochs
    return int(np.nanargmin(path)) + 1


def _adamw_head(
    features: np.ndarray,
    labels: np.ndarray,
    split: SeedSplit,
    layer: LinearLayer,
    of_folds: list[LinearLayer],
    path: list[float],
    preset: AdamWProbe,
) -> LinearHead:
    settings = {
        **preset_settings(preset),
        "epoch": layer.epoch,
        "channels": features.shape[1],
        "train_rows": len(split.train),
    }
    warnings = []
    if preset.select == "validation" and layer.epoch == preset.epochs and split.folds != ():
        warnings.append(f"the last epoch ({preset.epochs}) has the lowest validation loss")
    head = LinearHead(seed=split.seed, weight=layer.weight, bias=layer.bias, settings=settings, warnings=warnings)
    if split.folds is None:
        truth = labels[split.validation]
        heads, losses = [head], layer.losses
        loss: float | None = float(mean_loss(head.logits(features[split.validation]), truth))
    else:
        heads = [LinearHead(seed=split.seed, settings={}, weight=f.weight, bias=f.bias) for f in of_folds]
        losses, loss = path, path[layer.epoch - 1] if path else None
    validation = _validation(features, labels, split, heads, loss)
    if losses:
        validation["path"] = [{"epoch": e + 1, "loss": loss} for e, loss in enumerate(losses)]
    return replace(head, validation=validation)


def _fit_neighbours(
    features: Any, labels: np.ndarray, split: SeedSplit, n_classes: int, preset: KNearest
) -> NeighbourHead:
    head = fit_search(features, labels, split, n_classes, preset)
    heads = [head]
    if split.folds is not None:
        heads = [
            _fit_neighbours(features, labels, SeedSplit(split.seed, rows, rows[:0]), n_classes, preset)
            for rows, _ in split.folds
        ]
    return replace(head, validation=_validation(features, labels, split, heads, None))


def fit_search(features: Any, labels: np.ndarray, split: SeedSplit, n_classes: int, preset: KNearest) -> NeighbourHead:
    """A search among the train rows of one split, without validation scores."""
    from sklearn.neighbors import NearestNeighbors

    train = features[split.train]
    d = features.shape[1]
    centre, scale = np.zeros(d, dtype=np.float32), np.ones(d, dtype=np.float32)
    if preset.standardise and not hasattr(features, "tocsr"):
        deviation = train.std(axis=0, dtype=np.float64)
        centre = train.mean(axis=0, dtype=np.float64).astype(np.float32)
        scale = np.where(deviation > 0, deviation, 1.0).astype(np.float32)
    k = min(preset.k, len(split.train))
    search = NearestNeighbors(n_neighbors=k, algorithm="brute")
    search.fit(_neighbour_space(train, centre, scale, preset.metric))
    return NeighbourHead(
        seed=split.seed,
        settings={**preset_settings(preset), "k": k, "channels": d, "train_rows": len(split.train)},
        warnings=[f"only {k} training rows for {preset.k} neighbours"] if k < preset.k else [],
        search=search,
        labels=labels[split.train],
        n_classes=n_classes,
        metric=preset.metric,
        centre=centre,
        scale=scale,
    )


def _neighbour_space(features: Any, centre: np.ndarray, scale: np.ndarray, metric: str) -> Any:
    """Rows in which Euclidean distance orders neighbours as the metric does: scaled to unit length for the cosine."""
    if hasattr(features, "tocsr"):
        from sklearn.preprocessing import normalize

        return normalize(features) if metric == "cosine" else features
    rows = (features - centre) / scale
    if metric == "cosine":
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(length > 0, length, 1.0)
    return rows
