"""``values``: one or more numbers per row (regression)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from findna_bench.data.tabular import is_number, label_text
from findna_bench.errors import DataError
from findna_bench.targets.learning import against_mean
from findna_bench.targets.target import Target

if TYPE_CHECKING:
    from findna_bench.data.table import SequenceTable
    from findna_bench.data.tabular import RawTable

__all__ = ["Values"]


class Values(Target):
    """truth and outputs: (n, K) float64, in the units of the data; ``labels`` of a task name the K values."""

    name = "values"
    default_metric = "spearman"
    prior = "the mean of train"

    def label_columns(self, table: RawTable) -> tuple[str, ...]:
        """``value``, or all of ``value_NAME``."""
        return tuple(name for name in table.columns if name == "value" or re.fullmatch(r"value_.+", name))

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
        return "values " + ", ".join(ranges[:10]) + (f" and {len(ranges) - 10} more" if len(ranges) > 10 else "")

    def learned(self, truth: np.ndarray, outputs: np.ndarray, train_truth: np.ndarray) -> dict[str, Any]:
        return against_mean(truth, outputs, train_truth)


def _numbers(table: RawTable, column: str) -> np.ndarray:
    """(n,) float64.

    Raises:
        DataError: a row has none.
    """
    texts = [label_text(value) for value in table.columns[column]]
    for row, text in enumerate(texts):
        if not is_number(text):
            what = f"{column} {text!r} is no number" if text else f"the row has no {column}"
            raise DataError(f"{table.where(row)}: {what}")
    return np.array([float(text) for text in texts], dtype=np.float64)
