"""``values``: one or more numbers per row (regression)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from findna_bench.data.tabular import LABEL_COLUMNS, is_number, label_text
from findna_bench.errors import DataError, listed
from findna_bench.targets.learning import against_mean
from findna_bench.targets.target import Target

if TYPE_CHECKING:
    from torch import Tensor

    from findna_bench.data.table import SequenceTable
    from findna_bench.data.tabular import RawTable

__all__ = ["Values"]


class Values(Target):
    """truth and outputs: (n, K) float64, in the units of the data; ``labels`` of a task name the K values."""

    name = "values"
    default_metric = "spearman"
    prior = "the mean of train"
    can_be_trained = True
    losses = ("mse", "huber")

    def label_columns(self, table: RawTable) -> tuple[str, ...]:
        """``value``, or all of ``value_NAME``."""
        return tuple(name for name in table.columns if name == "value" or re.fullmatch(r"value_.+", name))

    def possible_columns(self, table: RawTable) -> tuple[str, ...]:
        """``value``, ``value_NAME``, or else what would hold classes."""
        column = table.first_of(LABEL_COLUMNS)
        return self.label_columns(table) or ((column,) if column else ())

    def read(self, tables: Sequence[RawTable], columns: Sequence[str]) -> tuple[tuple[str, ...], list[np.ndarray]]:
        """Numbers as they stand in the columns."""
        names = tuple(name.removeprefix("value_") for name in columns)
        return names, [np.stack([_numbers(table, name) for name in columns], axis=1) for table in tables]

    def check(self, table: SequenceTable, labels: Sequence[str], where: str) -> None:
        truth = np.asarray(table.labels)
        if truth.dtype.kind != "f" or truth.shape[1:] != (len(labels),):
            raise DataError(
                f"{where}: labels must be numbers, {len(labels)} per row (n, {len(labels)}), not {truth.dtype} {truth.shape}"
            )
        missing = np.argwhere(~np.isfinite(truth))
        if len(missing):
            row, output = missing[0].tolist()
            raise DataError(f"{where}: {labels[output]} of row {row} is {truth[row, output]}, not a finite number")

    def in_words(self, truth: np.ndarray, labels: Sequence[str]) -> str:
        ranges = [
            f"{name} {low:.4g} to {high:.4g}"
            for name, low, high in zip(labels, truth.min(0), truth.max(0), strict=True)
        ]
        return "values " + listed(ranges, 10)

    def for_training(self, truth: np.ndarray, loss: str | None = None) -> Target:
        super().for_training(truth, loss)
        return _Standardised(self.name, truth, loss or "mse")

    def learned(self, truth: np.ndarray, outputs: np.ndarray, train_truth: np.ndarray) -> dict[str, Any]:
        return against_mean(truth, outputs, train_truth)


class _Standardised(Values):
    """Numbers as a network is trained on them, less the mean of train and in units of its standard deviation.

    Args:
        name: of the target.
        truth: (n, K) of the train rows.
        loss: ``mse``, or ``huber``, which grows with the distance, not with its square, beyond one standard deviation.
    """

    def __init__(self, name: str, truth: np.ndarray, loss: str) -> None:
        self.name, self._loss = name, loss
        deviation = truth.std(axis=0)
        self._mean, self._scale = truth.mean(axis=0), np.where(deviation > 0, deviation, 1.0)

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Mean over outputs, summed over rows."""
        import torch
        from torch.nn import functional

        mean, scale = (
            torch.as_tensor(part, dtype=torch.float64, device=truth.device) for part in (self._mean, self._scale)
        )
        wanted = ((truth - mean) / scale).to(logits.dtype)
        of_cell = functional.huber_loss if self._loss == "huber" else functional.mse_loss
        return of_cell(logits, wanted, reduction="sum") / logits.shape[1]

    def outputs(self, logits: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.asarray(logits, dtype=np.float64) * self._scale + self._mean
        return found


def _numbers(table: RawTable, column: str) -> np.ndarray:
    """(n,) float64.

    Raises:
        DataError: a row has none.
    """
    texts = [label_text(value) for value in table.columns[column]]
    for row, text in enumerate(texts):
        if not is_number(text):
            comma = "; write decimals with a point" if is_number(text.replace(",", ".", 1)) else ""
            what = f"{column} {text!r} is no number{comma}" if text else f"the row has no {column}"
            raise DataError(f"{table.where(row)}: {what}")
    return np.array([float(text) for text in texts], dtype=np.float64)
