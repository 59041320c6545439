"""A target of a stranger: shares of a whole, with a ridge head for the probe and a metric of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import findna_bench.api as fb


class ExplainedVariance(fb.Metric):
    """Share of the variance that is explained, mean over outputs."""

    bounds = (float("-inf"), 1.0)

    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        centre = np.average(truth, axis=0, weights=weights)
        left = np.average((truth - outputs) ** 2, axis=0, weights=weights)
        whole = np.average((truth - centre) ** 2, axis=0, weights=weights)
        return float("nan") if (whole == 0).any() else float((1 - left / whole).mean())


@dataclass(frozen=True, kw_only=True)
class RidgeHead(fb.FittedHead):
    """weight (K, D), bias (K,)."""

    weight: np.ndarray
    bias: np.ndarray

    def predict_scores(self, features: Any) -> np.ndarray:
        shares: np.ndarray = np.asarray(features @ self.weight.T, dtype=np.float64) + self.bias
        return shares


def fit_ridge(
    features: Any, truth: np.ndarray, splits: Sequence[fb.SeedSplit], n_outputs: int, preset: Any, device: str
) -> list[fb.FittedHead]:
    """Strength by validation error."""
    rows = np.asarray(features.toarray() if hasattr(features, "toarray") else features, dtype=np.float64)
    return [_fit_one(rows, truth, split) for split in splits]


def _fit_one(rows: np.ndarray, truth: np.ndarray, split: fb.SeedSplit) -> RidgeHead:
    centre, mean = rows[split.train].mean(axis=0), truth[split.train].mean(axis=0)
    x, y = rows[split.train] - centre, truth[split.train] - mean
    gram, heads = x.T @ x, []
    for strength in (1e-3, 1e-1, 1e1, 1e3):
        weight = np.linalg.solve(gram + strength * np.eye(len(gram)), x.T @ y).T
        settings = {"strength": strength}
        heads.append(RidgeHead(seed=split.seed, settings=settings, weight=weight, bias=mean - weight @ centre))
    held = split.validation if len(split.validation) else split.train
    return min(heads, key=lambda head: float(((head.predict_scores(rows[held]) - truth[held]) ** 2).mean()))


class Shares(fb.Target):
    """truth and outputs: (n, K) float64, truth between 0 and 1."""

    default_metric = "explained_variance"
    heads: ClassVar[Mapping[str, Callable[..., Any]]] = {"probe": fit_ridge}
    can_be_trained = True

    def check(self, table: fb.SequenceTable, labels: Sequence[str], where: str) -> None:
        if table.labels.dtype.kind != "f" or table.labels.shape[1:] != (len(labels),):
            raise fb.DataError(f"{where}: labels must be shares, {len(labels)} per row")
        missing = np.flatnonzero(~np.isfinite(table.labels).all(axis=1))
        if len(missing):
            raise fb.DataError(f"{where}: the shares of row {missing[0]} are not finite")

    def loss(self, logits: Any, truth: Any) -> Any:
        return ((logits - truth.to(logits.dtype)) ** 2).sum()

    def learned(self, truth: np.ndarray, outputs: np.ndarray, train_truth: np.ndarray) -> dict[str, Any]:
        prior = float(((truth - train_truth.mean(axis=0)) ** 2).mean())
        return {"prior_loss": prior, "learned": bool(((truth - outputs) ** 2).mean() < prior)}
