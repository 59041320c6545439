"""Scores within groups of test rows (elements, genes, chromosomes), their mean, and what a rule on the group alone would reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from findna_bench.data.table import SequenceTable
from findna_bench.relatedness.components import join_groups, related_by, row_groups
from findna_bench.statistics.fold_mean import BY_ROWS
from findna_bench.targets.target import Target

__all__ = ["GroupScores", "Weights", "auroc_within", "group_codes", "group_names", "group_scores", "related_rows"]

Weights = Literal["uniform", "rows"]
"""What a group counts in the mean over groups: as much as any other, or as much as it has rows."""


@dataclass(frozen=True)
class GroupScores:
    """groups: name -> ``n``, every metric, and ``intervals``. mean: over the groups in which a metric is defined. pooled: of all rows
    together. rule: of all rows together, each predicted by the mean truth of the other half of its group."""

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
    weights: Weights = "uniform",
) -> GroupScores:
    """Args:
    names: (n,) str, the group of each row.
    sites: (n,) int; rows of one site are related, also within a group.
    weights: of groups in their mean.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(names.tolist()):
        own = names == name
        values, intervals = target.evaluate(truth[own], outputs[own], metrics, labels, sites[own])
        groups[name] = {"n": int(own.sum()), **values, "intervals": intervals}
    pooled, _ = target.evaluate(truth, outputs, metrics, labels, intervals=False)
    rule, _ = target.evaluate(truth, _mean_of_other_half(truth, names, len(labels)), metrics, labels, intervals=False)
    sizes = [one["n"] if weights == "rows" else 1 for one in groups.values()]
    mean = {metric: _mean([one[metric] for one in groups.values()], sizes) for metric in metrics}
    return GroupScores(groups, mean, pooled, rule)


def group_names(table: SequenceTable) -> np.ndarray | None:
    """(n,) str, what scores are listed by: the elements that rows name, the chromosomes of variants that name none; None = nothing."""
    elements = table.extra.get("element")
    if elements is not None or "offset" not in table.extra or table.contig is None:
        return elements
    return table.contig if (table.contig != "").all() else None


def related_rows(table: SequenceTable, *, whole: bool) -> tuple[np.ndarray, str]:
    """(n,) int64 ids of rows that belong together, and how they were found, in words.

    whole: whether groups are drawn whole, as where the score is a mean over them, which varies by which groups there are.
    """
    related, words, names = row_groups(table), related_by(table), group_names(table)
    if not whole or names is None:
        return related, words
    joined = join_groups([related, np.unique(names, return_inverse=True)[1].reshape(-1)], len(table))
    return joined, words if joined.max() == related.max() else f"{words}; or of one group"


def group_codes(
    target: Target,
    truth: np.ndarray,
    names: np.ndarray,
    main: str,
    labels: Sequence[str],
    weights: Weights = "uniform",
) -> np.ndarray:
    """(n,) int64: of each row the group that it counts in, as :class:`~findna_bench.statistics.fold_mean.Folds` has it.

    From -2 downwards in order of appearance (from ``BY_ROWS``, where groups count by their rows); -1 where the rows of a group are so alike that no prediction of them could be scored (one class,
    one value).
    """
    codes, first = np.full(len(names), -1, dtype=np.int64), BY_ROWS if weights == "rows" else -2
    perfect = _as_outputs(truth, len(labels))
    for number, name in enumerate(dict.fromkeys(names.tolist())):
        own = names == name
        values, _ = target.evaluate(truth[own], perfect[own], [main], labels, intervals=False)
        if values[main] is not None:
            codes[own] = first - number
    return codes


def auroc_within(truth: np.ndarray, outputs: np.ndarray, names: np.ndarray) -> float | None:
    """Of all pairs of a row of class 1 and one of class 0 of the same group, the share in which the first has the higher score (ties count
    half): the area under the ROC curve that no rule on the group alone can raise above a half. None where there is no such pair, or are not
    two classes.

    Args:
        truth: (n,) int64.
        outputs: (n, 2) scores.
        names: (n,) str, the group of each row.
    """
    from scipy.stats import rankdata

    if truth.ndim != 1 or truth.dtype.kind != "i" or outputs.shape[1:] != (2,):
        return None
    won, pairs = 0.0, 0
    for name in np.unique(names):
        own = names == name
        positive, ranks = truth[own] == 1, rankdata(outputs[own, 1])
        n = int(positive.sum())
        won += float(ranks[positive].sum()) - n * (n + 1) / 2
        pairs += n * (len(positive) - n)
    return won / pairs if pairs else None


def _as_outputs(truth: np.ndarray, n_classes: int) -> np.ndarray:
    """(n, K) float64: the truth as a head would give it."""
    if truth.ndim == 1:
        one_hot: np.ndarray = np.eye(n_classes)[truth]
        return one_hot
    return np.asarray(truth, dtype=np.float64)


def _mean_of_other_half(truth: np.ndarray, names: np.ndarray, n_classes: int) -> np.ndarray:
    """(n, K): the mean over the rows of its group that are not in its half of it; over all rows, where there are none.

    Halves are drawn once, whatever the truth. Leaving out one row at a time would rank every row of a class below the others of its
    group, since it is missing among them, and a rule that is as good as any on groups would look worse than it is.
    """
    values, generator = _as_outputs(truth, n_classes), np.random.default_rng(0)
    means = np.tile(values.mean(axis=0), (len(values), 1))
    for name in dict.fromkeys(names.tolist()):
        own = np.flatnonzero(names == name)
        half = generator.permutation(len(own)) % 2
        for side in (0, 1):
            if (half != side).any():
                means[own[half == side]] = values[own[half != side]].mean(axis=0)
    return means


def _mean(values: Sequence[float | None], weights: Sequence[int]) -> float | None:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    if not known:
        return None
    return float(np.average([value for value, _ in known], weights=[weight for _, weight in known]))
