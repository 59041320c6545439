"""Logistic regression of several labels on frozen features: all labels, strengths and seeds in one computation.

Every label is a binary problem of its own, as in scikit-learn's one-vs-rest: the rows are those of which it is known, standardised
among themselves, and its strength is the one of the lowest loss on validation rows. What problems share is that the rows are read
once for all of them (:func:`findna_bench.protocols.logistic.fit_paths`), which is what makes a hundred labels cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from findna_bench.errors import ConfigError, listed
from findna_bench.protocols.heads import FittedHead, check_features, what_varies
from findna_bench.protocols.logistic import fit_paths
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import LogisticProbe, Preset, preset_settings
from findna_bench.statistics.multilabel import has_both_classes
from findna_bench.targets.labels import Labels
from findna_bench.targets.learning import label_priors

__all__ = ["LabelsHead", "fit_labels"]

_BLOCK_ROWS = 8192
_AT_ONCE = 1024
"""Problems (labels x strengths) that are fitted together, which bounds memory."""


@dataclass(frozen=True, kw_only=True)
class LabelsHead(FittedHead):
    """One logistic function per label, in the units of the features: weight (K, D), bias (K,), both float64."""

    weight: np.ndarray
    bias: np.ndarray

    def predict_scores(self, features: Any) -> np.ndarray:
        """(m, K) probabilities of features (m, D)."""
        found: np.ndarray = expit(_logits(features, self.weight, self.bias))
        return found


def fit_labels(
    features: Any,
    truth: np.ndarray,
    splits: Sequence[SeedSplit],
    preset: Preset | None = None,
    *,
    device: str | torch.device = "cpu",
) -> list[FittedHead]:
    """One head per split; each label's strength is chosen by its own loss on validation rows.

    A label whose validation rows are all alike takes the strength that is best for the others; one whose train rows are all alike is
    predicted by its share, with half a row added to either side.

    Args:
        features: (n, D) float32, dense or CSR.
        truth: (n, K) int8 of 1, 0 and -1 (not known).
        splits: rows that each seed trains and chooses on.
        preset: a :class:`~findna_bench.protocols.settings.LogisticProbe`.
        device: where it is computed.

    Raises:
        ConfigError: the preset trains a layer for classes.
        ModelError: a feature is not a finite number.
        UsageError: a split has no train or validation row.
    """
    preset = LogisticProbe() if preset is None else preset
    if not isinstance(preset, LogisticProbe):
        raise ConfigError(
            f"a preset of method {preset.method} trains a layer for classes; labels are probed by logistic regression: use --preset default"
        )
    check_features(features, len(truth), splits)
    different = {split.key: split for split in splits}
    solver = _Solver(features, truth, preset, device)
    paths = _fit_strengths(solver, different)
    heads = {key: _head(solver, split, paths[key]) for key, split in different.items()}
    varies = what_varies(preset, splits)
    return [replace(heads[split.key], seed=split.seed, varies=varies) for split in splits]


@dataclass(frozen=True)
class _Solver:
    """Rows and settings that all problems share."""

    features: Any
    truth: np.ndarray
    preset: LogisticProbe
    device: str | torch.device

    @property
    def n_labels(self) -> int:
        return int(self.truth.shape[1])

    def fit(
        self, problems: Sequence[tuple[np.ndarray, int]], strengths: Sequence[float]
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(weights (S, D), biases (S,), converged (S,)) by strength, of each (train rows, label)."""
        step = max(1, _AT_ONCE // len(strengths))
        for first in range(0, len(problems), step):
            some = problems[first : first + step]
            paths = fit_paths(
                self.features,
                self.truth[:, [label for _, label in some]],
                [rows[self.truth[rows, label] >= 0] for rows, label in some],
                2,
                strengths,
                standardise=self.preset.standardise,
                drop_below=self.preset.drop_below,
                tolerance=self.preset.tolerance,
                max_iterations=self.preset.max_iterations,
                device=self.device,
            )
            yield from zip(paths.weights[:, :, 1], paths.intercepts[:, :, 1], paths.converged, strict=True)


class _PartPath:
    """The fits of all labels on the train rows of one part of a split, by strength.

    weight: (S, K, D); bias: (S, K); loss: (S, K) mean over the held rows of which a label is known, NaN where it was not fitted.
    """

    def __init__(self, solver: _Solver, train: np.ndarray, held: np.ndarray) -> None:
        self._solver, self.train, self.held = solver, train, held
        s, k, d = len(solver.preset.strengths), solver.n_labels, solver.features.shape[1]
        self.weight, self.bias = np.zeros((s, k, d)), np.zeros((s, k))
        self.bias[:] = _prior_logits(solver.truth[train])
        self.converged = np.ones((s, k), dtype=bool)
        self.fitted = has_both_classes(solver.truth[train])
        self.loss = np.full((s, k), np.nan)
        self.known = (solver.truth[held] >= 0).sum(axis=0)

    def score(self, strengths: Sequence[int], labels: np.ndarray) -> None:
        """Losses of labels (L,) at some strengths, by number."""
        truth, features = self._solver.truth[self.held][:, labels], self._solver.features[self.held]
        for number in strengths:
            logits = _logits(features, self.weight[number][labels], self.bias[number][labels])
            self.loss[number, labels] = _mean_loss(truth, logits)

    def head(self, numbers: np.ndarray) -> LabelsHead:
        """Of each label the fit of a strength (K,), by number."""
        labels = np.arange(len(numbers))
        return LabelsHead(seed=0, settings={}, weight=self.weight[numbers, labels], bias=self.bias[numbers, labels])


def _fit_strengths(solver: _Solver, splits: Mapping[bytes, SeedSplit]) -> dict[bytes, list[_PartPath]]:
    """For every part of every split the strong ones, then the weak ones of labels whose validation loss is not rising already."""
    strengths = sorted(solver.preset.strengths, reverse=True)
    paths = {key: [_PartPath(solver, *part) for part in split.parts] for key, split in splits.items()}
    always = solver.preset.always
    for first, some in ((0, strengths[:always]), (always, strengths[always:])):
        if not some:
            continue
        problems: list[tuple[_PartPath, int]] = []
        for parts in paths.values():
            wanted = _still_falling(_losses(parts)) if first and parts else np.ones(solver.n_labels, dtype=bool)
            problems += [(part, int(k)) for part in parts for k in np.flatnonzero(wanted & part.fitted)]
        fits = solver.fit([(part.train, label) for part, label in problems], some)
        for (part, label), (weight, bias, converged) in zip(problems, fits, strict=True):
            where = slice(first, first + len(some))
            part.weight[where, label], part.bias[where, label], part.converged[where, label] = weight, bias, converged
        of_part: dict[int, list[int]] = {}
        for part, label in problems:
            of_part.setdefault(id(part), []).append(label)
        for part in (part for parts in paths.values() for part in parts):
            if (labels := of_part.get(id(part))) is not None and len(part.held):
                part.score(range(first, first + len(some)), np.asarray(labels))
    return paths


def _losses(parts: Sequence[_PartPath]) -> np.ndarray:
    """(S, K) mean over all rows that are chosen on; NaN where a label was not fitted in each part, or is known of none of them."""
    known = np.stack([part.known for part in parts])
    cells = np.stack([np.where(part.known > 0, part.loss * part.known, 0.0) for part in parts])
    total = known.sum(axis=0)
    losses: np.ndarray = np.divide(cells.sum(axis=0), total, out=np.full(cells.shape[1:], np.nan), where=total > 0)
    return losses


def _still_falling(losses: np.ndarray) -> np.ndarray:
    """(K,) bool: labels whose loss of the last two strengths that were tried has not risen each time."""
    tried = losses[~np.isnan(losses).all(axis=1)]
    if len(tried) < 3:
        return np.ones(losses.shape[1], dtype=bool)
    rising: np.ndarray = (tried[-1] > tried[-2]) & (tried[-2] > tried[-3])
    return ~rising


def _choose(solver: _Solver, parts: Sequence[_PartPath]) -> np.ndarray:
    """(K,) number of each label's strength: that of its lowest loss, the stronger one among equals."""
    losses = _losses(parts)
    held = solver.truth[np.concatenate([part.held for part in parts])]
    fitted = ~np.isnan(losses).all(axis=0)
    decided = fitted & has_both_classes(held)
    numbers = np.zeros(solver.n_labels, dtype=np.int64)
    if decided.any() or fitted.any():
        of_others = losses[:, decided if decided.any() else fitted]
        everywhere = np.flatnonzero(~np.isnan(of_others).any(axis=1))
        numbers[:] = everywhere[of_others[everywhere].mean(axis=1).argmin()]
        numbers[decided] = np.where(np.isnan(losses), np.inf, losses)[:, decided].argmin(axis=0)
    return numbers


def _head(solver: _Solver, split: SeedSplit, parts: list[_PartPath]) -> LabelsHead:
    """The head of one split: all train rows, each label with the strength that it has chosen."""
    preset, strengths = solver.preset, np.sort(np.asarray(solver.preset.strengths))[::-1]
    numbers = _choose(solver, parts) if parts else None
    chosen = strengths[numbers] if numbers is not None else np.full(solver.n_labels, _without_choice(preset, split))
    if numbers is not None and split.folds is None:
        final, converged = parts[0].head(numbers), parts[0].converged[numbers, np.arange(solver.n_labels)]
    else:
        final, converged = _refit(solver, split.train, chosen)
    train = solver.truth[split.train]
    settings = {
        **preset_settings(preset),
        "strength": chosen.tolist(),
        "channels": solver.features.shape[1],
        "train_rows": len(split.train),
    }
    return replace(
        final,
        seed=split.seed,
        settings=settings,
        warnings=_warnings(preset, has_both_classes(train), numbers, converged),
        validation=_validation(solver, split, parts, numbers),
    )


def _without_choice(preset: LogisticProbe, split: SeedSplit) -> float:
    """Scikit-learn's default, C = 1, where nothing can be held out."""
    return preset.strengths[0] if len(preset.strengths) == 1 else 1.0 / len(split.train)


def _refit(solver: _Solver, train: np.ndarray, strengths: np.ndarray) -> tuple[LabelsHead, np.ndarray]:
    fitted = has_both_classes(solver.truth[train])
    weight = np.zeros((solver.n_labels, solver.features.shape[1]))
    bias, converged = _prior_logits(solver.truth[train]), np.ones(solver.n_labels, dtype=bool)
    for strength in np.unique(strengths[fitted]).tolist():
        labels = np.flatnonzero(fitted & (strengths == strength)).tolist()
        for label, found in zip(labels, solver.fit([(train, label) for label in labels], [strength]), strict=True):
            weight[label], bias[label], converged[label] = found[0][0], found[1][0], found[2][0]
    return LabelsHead(seed=0, settings={}, weight=weight, bias=bias), converged


def _warnings(
    preset: LogisticProbe, fitted: np.ndarray, numbers: np.ndarray | None, converged: np.ndarray
) -> list[str]:
    warnings = []
    n = int(fitted.sum())
    if numbers is not None and len(preset.strengths) > 1:
        for number, edge in ((0, "strongest"), (len(preset.strengths) - 1, "weakest")):
            some = int((fitted & (numbers == number)).sum())
            if 2 * some > n:  # that noise wants the strongest one is no news
                warnings.append(
                    f"the {edge} regularisation of the grid has the lowest validation loss for {some} of {n} labels"
                )
    if unfinished := int((fitted & ~converged).sum()):
        warnings.append(f"{unfinished} of {n} labels did not converge within {preset.max_iterations} iterations")
    if not fitted.all():
        alike = np.flatnonzero(~fitted).tolist()
        warnings.append(f"labels whose train rows are all alike, predicted by their share: {listed(alike, 10)}")
    return warnings


def _validation(
    solver: _Solver, split: SeedSplit, parts: Sequence[_PartPath], numbers: np.ndarray | None
) -> dict[str, Any]:
    """Scores on the rows that are chosen on, each by the fit of the part that held it out."""
    held = [part.held for part in parts]
    if numbers is None or not sum(map(len, held)):
        return {"rows": 0, "loss": None}
    outputs = np.concatenate([part.head(numbers).predict_scores(solver.features[part.held]) for part in parts])
    truth = solver.truth[np.concatenate(held)]
    losses = _losses(parts)
    own = losses[numbers, np.arange(solver.n_labels)]
    strengths = sorted(solver.preset.strengths, reverse=True)
    fitted = ~np.isnan(losses).all(axis=0)
    path = [
        {"strength": strength, "loss": float(of_labels.mean())}
        for strength, of_labels in zip(strengths, losses[:, fitted], strict=True)
        if len(of_labels) and not np.isnan(of_labels).any()
    ]
    judged = Labels()
    judged.name = "labels"
    scores = judged.judge(truth, outputs, solver.truth[split.train])
    return {"rows": len(truth), "loss": None if np.isnan(own).all() else float(np.nanmean(own)), **scores, "path": path}


def _prior_logits(truth: np.ndarray) -> np.ndarray:
    """(K,) log-odds of the shares of labels; 0 of one that is known of no row."""
    priors = label_priors(truth)
    logits: np.ndarray = np.log(priors) - np.log1p(-priors)
    return logits


def _logits(features: Any, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(m, K) float64, block by block."""
    out = np.empty((features.shape[0], len(bias)))
    for first in range(0, features.shape[0], _BLOCK_ROWS):
        block = features[first : first + _BLOCK_ROWS]
        out[first : first + _BLOCK_ROWS] = block.astype(np.float64) @ weight.T + bias
    return out


def _mean_loss(truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """(K,) mean cross-entropy over the rows of which a label is known; NaN where it is known of none."""
    known = truth >= 0
    cells = np.where(known, np.logaddexp(0.0, logits) - np.where(truth == 1, logits, 0.0), 0.0)
    n = known.sum(axis=0)
    losses: np.ndarray = np.divide(cells.sum(axis=0), n, out=np.full(logits.shape[1], np.nan), where=n > 0)
    return losses
