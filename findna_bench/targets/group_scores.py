"""Scores within groups of test rows (elements, genes, chromosomes), their mean, and what a rule on the group alone would reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from findna_bench.targets.target import Target

__all__ = ["GroupScores", "group_codes", "group_scores"]


@dataclass(frozen=True)
class GroupScores:
    """groups: name -> ``n``, every metric, and ``intervals``. mean: plain mean over the groups in which a metric is defined. pooled: of all rows
    together. rule: of all rows together, each predicted by the mean truth of the other rows of its group."""

    groups: dict[str, dict[str, Any]]
    mean: dict[str, float | None]
    pooled: dict[str, float | None]
    rule: dict[str, float | None]


def group_scores(
    target: Target,
    truth: np.ndarray,
    outputs: np.ndarray,
    names: np.ndarray,
    sites: np.ndarray,
    metrics: Sequence[str],
    labels: Sequence[str],
) -> GroupScores:
    """Args:
    names: (n,) str, the group of each row.
    sites: (n,) int; rows of one site are related, also within a group.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(names.tolist()):
        own = names == name
        values, intervals = target.evaluate(truth[own], outputs[own], metrics, labels, sites[own])
        groups[name] = {"n": int(own.sum()), **values, "intervals": intervals}
    pooled, _ = target.evaluate(truth, outputs, metrics, labels, intervals=False)
    rule, _ = target.evaluate(truth, _mean_of_others(truth, names, len(labels)), metrics, labels, intervals=False)
    mean = {metric: _mean([one[metric] for one in groups.values()]) for metric in metrics}
    return GroupScores(groups, mean, pooled, rule)


def group_codes(target: Target, truth: np.ndarray, names: np.ndarray, main: str, labels: Sequence[str]) -> np.ndarray:
    """(n,) int64: of each row the group that it counts in, as :class:`~findna_bench.statistics.fold_mean.Folds` has it.

    From -2 downwards in order of appearance; -1 where the rows of a group are so alike that no prediction of them could be scored (one class,
    one value).
    """
    codes = np.full(len(names), -1, dtype=np.int64)
    perfect = _as_outputs(truth, len(labels))
    for number, name in enumerate(dict.fromkeys(names.tolist())):
        own = names == name
        values, _ = target.evaluate(truth[own], perfect[own], [main], labels, intervals=False)
        if values[main] is not None:
            codes[own] = -2 - number
    return codes


def _as_outputs(truth: np.ndarray, n_classes: int) -> np.ndarray:
    """(n, K) float64: the truth as a head would give it."""
    if truth.ndim == 1:
        one_hot: np.ndarray = np.eye(n_classes)[truth]
        return one_hot
    return np.asarray(truth, dtype=np.float64)


def _mean_of_others(truth: np.ndarray, names: np.ndarray, n_classes: int) -> np.ndarray:
    """(n, K): of the other rows of its group; of all rows, for a row that is alone."""
    values = _as_outputs(truth, n_classes)
    code = np.unique(names, return_inverse=True)[1].reshape(-1)
    sizes = np.bincount(code)[code][:, None]
    sums = np.stack([np.bincount(code, values[:, k])[code] for k in range(values.shape[1])], axis=1)
    means: np.ndarray = np.where(sizes > 1, (sums - values) / np.maximum(sizes - 1, 1), values.mean(axis=0))
    return means


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
