"""``classes``: one of several classes per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.results.flags import class_flag
from findna_bench.statistics.classification import check_scores
from findna_bench.statistics.score_intervals import Design
from findna_bench.targets.learning import against_prior
from findna_bench.targets.target import Target

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Classes"]


class Classes(Target):
    """truth: (n,) int64 in 0..C-1. outputs: (n, C) probabilities; the class of the highest is the prediction."""

    name = "classes"
    default_metric = "accuracy"
    prior = "the class shares of train"
    can_be_trained = True

    def check(self, table: SequenceTable, labels: Sequence[str], where: str) -> None:
        truth = np.asarray(table.labels)
        if truth.ndim != 1 or truth.dtype.kind not in "iu":
            raise DataError(f"{where}: labels must be whole numbers, one per row, not {truth.dtype} {truth.shape}")
        outside = np.flatnonzero((truth < 0) | (truth >= len(labels)))
        if len(outside):
            row = int(outside[0])
            raise DataError(f"{where}: row {row} has label {truth[row]}, outside 0 to {len(labels) - 1}")

    def strata(self, truth: np.ndarray) -> np.ndarray:
        return truth

    def counts(self, truth: np.ndarray, labels: Sequence[str]) -> dict[str, int]:
        return dict(zip(labels, np.bincount(truth, minlength=len(labels)).tolist(), strict=True))

    def flags(self, truth: np.ndarray, labels: Sequence[str]) -> list[str]:
        flag = class_flag(len(np.unique(truth)), len(labels))
        return [] if flag is None else [flag]

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        from torch.nn import functional

        return functional.cross_entropy(logits, truth.long(), reduction="sum")

    def outputs(self, logits: np.ndarray) -> np.ndarray:
        logits = np.asarray(logits, dtype=np.float64)
        shifted: np.ndarray = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities: np.ndarray = shifted / shifted.sum(axis=-1, keepdims=True)
        return probabilities

    def average(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities of the mean logits."""
        return self.outputs(np.mean([np.log(np.maximum(p, np.finfo(np.float64).tiny)) for p in outputs], axis=0))

    def learned(self, truth: np.ndarray, outputs: np.ndarray, train_truth: np.ndarray) -> dict[str, Any]:
        return against_prior(truth, outputs, train_truth)

    def prepare(self, truth: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return check_scores(truth, outputs)

    def design(self, truth: np.ndarray, outputs: np.ndarray, groups: np.ndarray | None) -> Design:
        return Design(truth, groups, outputs.shape[1])

    def to_columns(self, truth: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        scores = np.asarray(outputs, dtype=np.float64)
        return {"label": np.asarray(truth, dtype=np.int64)} | {
            f"score_{c}": scores[:, c] for c in range(scores.shape[1])
        }

    def from_columns(self, columns: Mapping[str, np.ndarray], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        names = [f"score_{c}" for c in range(len(labels))]
        if sorted(columns) != sorted(["label", *names]):
            raise ValueError(f"they have columns {', '.join(columns)}")
        truth, outputs = columns["label"].astype(np.int64), np.stack([columns[n].astype(np.float64) for n in names], 1)
        if not np.isfinite(outputs).all() or truth.min(initial=0) < 0 or truth.max(initial=0) >= len(labels):
            raise ValueError("they hold a score that is not finite, or a label outside the task's")
        return truth, outputs
