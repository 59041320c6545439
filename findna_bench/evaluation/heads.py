"""Heads on frozen features: probes and nearest neighbours, all seeds fitted in one computation.

A seed is a :class:`SeedSplit`: which rows it trains on and which it validates on. Features are (n, D) float32, dense or
scipy CSR; heads give (m, C) float64 probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from findna_bench.errors import ModelError, UsageError
from findna_bench.evaluation.adamw import fit_linear_layers
from findna_bench.evaluation.learning import against_prior
from findna_bench.evaluation.logistic import LogisticPaths, fit_paths
from findna_bench.evaluation.metrics import compute_metrics
from findna_bench.evaluation.presets import (
    KNN_PRESETS,
    PROBE_PRESETS,
    AdamWProbe,
    KNearest,
    LogisticProbe,
    Preset,
    preset_settings,
)
from findna_bench.evaluation.seeds import SeedSplit, few_shot_rows, mean_logit_scores, softmax

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
    "few_shot_rows",
    "fit_knn",
    "fit_probe",
    "mean_logit_scores",
    "softmax",
    "what_varies",
    "with_reverse_strand",
]

_BLOCK_ROWS = 8192


@dataclass(frozen=True, kw_only=True)
class FittedHead:
    """What every fitted head offers.

    settings: preset and what was chosen, JSON-able. validation: ``loss`` (mean cross-entropy, or None), all metrics, ``rows``,
    what :func:`~findna_bench.evaluation.learning.against_prior` says, and ``path``, what was compared. varies: what differs between the seeds this head was fitted with; empty = one
    deterministic fit, one effective seed.
    """

    seed: int
    settings: dict[str, Any]
    validation: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
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
        return _linear(features, self.weight.T) + self.bias

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

    def predict_scores(self, features: Any) -> np.ndarray:
        """(m, C) shares of the votes; nearer neighbours weigh a little more, enough to break ties and no more."""
        rows = _neighbour_space(features, self.centre, self.scale, self.metric)
        votes = self.labels[self.search.kneighbors(rows, return_distance=False)]
        k = votes.shape[1]
        scores = np.zeros((len(votes), self.n_classes))
        for rank in range(k):
            scores[np.arange(len(votes)), votes[:, rank]] += 1.0 + 1e-3 * (1.0 - rank / k) / k
        return scores / scores.sum(axis=1, keepdims=True)


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
        key = _key(split)
        if key not in fitted:
            fitted[key] = _fit_neighbours(features, labels, split, n_classes, preset)
        heads.append(replace(fitted[key], seed=split.seed, varies=varies))
    return heads


def what_varies(preset: Preset, splits: Sequence[SeedSplit]) -> tuple[str, ...]:
    """What differs between seeds: the rows, and what the preset draws at random."""
    rows = ("rows",) if len({_key(split) for split in splits}) > 1 else ()
    return (*rows, *preset.varies)


def with_reverse_strand(
    forward: Any, reverse: Any, labels: np.ndarray, splits: Sequence[SeedSplit]
) -> tuple[Any, np.ndarray, list[SeedSplit]]:
    """Train on both strands (``--strand rc-augment``), validate on the forward one, as the test split is scored.

    forward, reverse: features of the same rows, reverse those of the reverse complements. Returns features (2n, D), labels
    (2n,) and splits whose training rows come twice.
    """
    n = len(labels)
    if hasattr(forward, "tocsr"):
        from scipy.sparse import vstack

        features = vstack([forward, reverse], format="csr")
    else:
        features = np.concatenate([forward, reverse])
    doubled = [replace(split, train=np.concatenate([split.train, split.train + n])) for split in splits]
    return features, np.concatenate([labels, labels]), doubled


def _key(split: SeedSplit) -> bytes:
    return split.train.tobytes() + b"|" + split.validation.tobytes()


def _check(
    features: Any, labels: np.ndarray, splits: Sequence[SeedSplit], n_classes: int, *, needs_validation: bool = True
) -> np.ndarray:
    labels = np.asarray(labels, dtype=np.int64)
    if features.shape[0] != len(labels):
        raise ValueError(f"{features.shape[0]} rows of features, {len(labels)} labels")
    if len(labels) and (labels.min() < 0 or labels.max() >= n_classes):
        raise ValueError(f"a label lies outside 0..{n_classes - 1}")
    values = features.data if hasattr(features, "tocsr") else features
    if not np.isfinite(values).all():
        raise ModelError("the model's features hold a value that is not a finite number")
    for split in splits:
        if not len(split.train) or (needs_validation and not len(split.validation)):
            empty = "validation" if len(split.train) else "train"
            raise UsageError(f"seed {split.seed} has no {empty} rows; use more rows (a larger --limit)")
    return labels


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
    return (total - chosen).mean(axis=0)


def _fit_logistic(
    features: Any,
    labels: np.ndarray,
    splits: Sequence[SeedSplit],
    n_classes: int,
    preset: LogisticProbe,
    device: str | torch.device,
) -> list[LinearHead]:
    different = {_key(split): split for split in splits}
    found = _fit_strengths(features, labels, different, n_classes, preset, device)
    fitted = {key: _choose_strength(features, labels, split, found[key], preset) for key, split in different.items()}
    return [replace(fitted[_key(split)], seed=split.seed) for split in splits]


@dataclass(frozen=True)
class _Candidate:
    """The fit of one strength. weight (C, D), bias (C,), both float64; loss: mean over the validation rows."""

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
) -> dict[bytes, list[_Candidate]]:
    """Strong ones for every split, then weak ones for those splits whose validation loss is not rising already."""
    strengths = sorted(preset.strengths, reverse=True)
    found: dict[bytes, list[_Candidate]] = {key: [] for key in splits}
    for part in (strengths[: preset.always], strengths[preset.always :]):
        keys = [key for key, candidates in found.items() if not _rising(candidates)]
        if not part or not keys:
            continue
        paths = fit_paths(
            features,
            labels,
            [splits[key].train for key in keys],
            n_classes,
            part,
            standardise=preset.standardise,
            drop_below=preset.drop_below,
            tolerance=preset.tolerance,
            max_iterations=preset.max_iterations,
            device=device,
        )
        for s, key in enumerate(keys):
            found[key] += _candidates(features, labels, splits[key], paths, s, part)
    return found


def _rising(candidates: list[_Candidate]) -> bool:
    return len(candidates) > 2 and candidates[-1].loss > candidates[-2].loss > candidates[-3].loss


def _candidates(
    features: Any, labels: np.ndarray, split: SeedSplit, paths: LogisticPaths, s: int, strengths: list[float]
) -> list[_Candidate]:
    k, c, d = paths.weights[s].shape
    logits = _linear(features[split.validation], paths.weights[s].reshape(k * c, d).T).reshape(-1, k, c)
    losses = mean_loss(logits + paths.intercepts[s], labels[split.validation])
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


def _choose_strength(
    features: Any, labels: np.ndarray, split: SeedSplit, candidates: list[_Candidate], preset: LogisticProbe
) -> LinearHead:
    best = min(candidates, key=lambda candidate: candidate.loss)  # the stronger one among equals
    warnings = []
    if len(preset.strengths) > 1 and best.strength in (max(preset.strengths), min(preset.strengths)):
        edge = "strongest" if best.strength == max(preset.strengths) else "weakest"
        warnings.append(f"the {edge} regularisation of the grid ({best.strength:g}) has the lowest validation loss")
    if not best.converged:
        warnings.append(f"the fit did not converge within {preset.max_iterations} iterations")
    if best.absent:
        warnings.append(f"classes without a training row: {', '.join(map(str, best.absent))}")
    settings = {
        **preset_settings(preset),
        "strength": best.strength,
        "channels": best.weight.shape[1],
        "channels_dropped": best.dropped,
        "train_rows": len(split.train),
        "iterations": best.iterations,
    }
    head = LinearHead(seed=split.seed, weight=best.weight, bias=best.bias, settings=settings, warnings=warnings)
    truth, scores = labels[split.validation], head.predict_scores(features[split.validation])
    validation = {
        "rows": len(truth),
        "loss": best.loss,
        **compute_metrics(truth, scores),
        **against_prior(truth, scores, labels[split.train]),
        "path": [{"strength": candidate.strength, "loss": candidate.loss} for candidate in candidates],
    }
    return replace(head, validation=validation)


def _fit_adamw(
    features: Any,
    labels: np.ndarray,
    splits: Sequence[SeedSplit],
    n_classes: int,
    preset: AdamWProbe,
    device: str | torch.device,
) -> list[LinearHead]:
    dense = features.toarray() if hasattr(features, "tocsr") else features
    heads = []
    for split, layer in zip(splits, fit_linear_layers(dense, labels, splits, n_classes, preset, device), strict=True):
        settings = {
            **preset_settings(preset),
            "epoch": layer.epoch,
            "channels": dense.shape[1],
            "train_rows": len(split.train),
        }
        warnings = []
        if preset.select == "validation" and layer.epoch == preset.epochs:
            warnings.append(f"the last epoch ({preset.epochs}) has the lowest validation loss")
        truth = labels[split.validation]
        head = LinearHead(seed=split.seed, weight=layer.weight, bias=layer.bias, settings=settings, warnings=warnings)
        logits = head.logits(dense[split.validation])
        validation = {
            "rows": len(truth),
            "loss": float(mean_loss(logits, truth)),
            **compute_metrics(truth, softmax(logits)),
            **against_prior(truth, softmax(logits), labels[split.train]),
            "path": [{"epoch": e + 1, "loss": loss} for e, loss in enumerate(layer.losses)],
        }
        heads.append(replace(head, validation=validation))
    return heads


def _fit_neighbours(
    features: Any, labels: np.ndarray, split: SeedSplit, n_classes: int, preset: KNearest
) -> NeighbourHead:
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
    head = NeighbourHead(
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
    validation: dict[str, Any] = {"rows": len(split.validation), "loss": None}
    if len(split.validation):
        truth, scores = labels[split.validation], head.predict_scores(features[split.validation])
        validation |= compute_metrics(truth, scores) | against_prior(truth, scores, labels[split.train])
    return replace(head, validation=validation)


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
