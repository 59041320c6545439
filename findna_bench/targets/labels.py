"""``labels``: any number of labels per row (multilabel), some of which may not be known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from findna_bench.data.table import rarest_labels
from findna_bench.data.tabular import LABEL_COLUMNS, is_missing, label_text
from findna_bench.errors import DataError, listed
from findna_bench.statistics.multilabel import LabelDesign, has_both_classes
from findna_bench.targets.learning import against_label_priors
from findna_bench.targets.target import Target

if TYPE_CHECKING:
    from torch import Tensor

    from findna_bench.data.table import SequenceTable
    from findna_bench.data.tabular import RawTable
    from findna_bench.statistics.score_intervals import Design

__all__ = ["Labels"]

_NAMES = "labels"
"""Column of names."""
_OF_ONE = re.compile(r"label_(.+)")
"""Columns of 0 and 1."""
_SEPARATOR = ";"
_CODES = {"0": 0, "1": 1, "false": 0, "true": 1, "": -1}
_LEAST = 1e-12


class Labels(Target):
    """truth: (n, K) int8 of 1, 0 and -1 (not known). outputs: (n, K) probabilities, each label's by itself."""

    name = "labels"
    default_metric = "auroc_macro"
    prior = "the shares of the labels in train"
    reads_missing = True
    can_be_trained = True

    # ------------------------------------------------------------------------------------------------------------ rows

    def label_columns(self, table: RawTable) -> tuple[str, ...]:
        """``labels``, where it holds names separated by semicolons (or lists) and no column ``label`` comes before it; else all of
        ``label_NAME``, where one holds 0 and 1.
        """
        if table.first_of(LABEL_COLUMNS) == _NAMES and any(map(_is_list, table.columns[_NAMES])):
            return (_NAMES,)
        of_one = _columns_of_one(table)
        return of_one if any(_is_binary(table.columns[name]) for name in of_one) else ()

    def possible_columns(self, table: RawTable) -> tuple[str, ...]:
        """Those, or else what would hold classes, as names."""
        column = table.first_of(LABEL_COLUMNS)
        return self.label_columns(table) or _columns_of_one(table) or ((column,) if column else ())

    def read(self, tables: Sequence[RawTable], columns: Sequence[str]) -> tuple[tuple[str, ...], list[np.ndarray]]:
        """Labels in the order of their columns, or of the alphabet.

        Of names, an empty cell is a row with none of the labels, and what stands for a missing value (``NA``) a row of which none is
        known; of 0 and 1, either is a label that is not known.
        """
        if len(columns) == 1 and not _OF_ONE.fullmatch(columns[0]):
            return _read_names(tables, columns[0])
        names = tuple(name.removeprefix("label_") for name in columns)
        return names, [np.stack([_binary(table, name) for name in columns], axis=1) for table in tables]

    def check(self, table: SequenceTable, labels: Sequence[str], where: str) -> None:
        truth = np.asarray(table.labels)
        if truth.dtype.kind != "i" or truth.shape[1:] != (len(labels),):
            raise DataError(
                f"{where}: labels must be 0, 1 or -1 (not known), {len(labels)} per row (n, {len(labels)}), not {truth.dtype} {truth.shape}"
            )
        outside = np.argwhere((truth < -1) | (truth > 1))
        if len(outside):
            row, label = outside[0].tolist()
            raise DataError(f"{where}: {labels[label]} of row {row} is {truth[row, label]}, not 0, 1 or -1 (not known)")

    def strata(self, truth: np.ndarray) -> np.ndarray:
        return rarest_labels(truth)

    def in_words(self, truth: np.ndarray, labels: Sequence[str]) -> str:
        found, unknown = (truth == 1).sum(axis=0), (truth == -1).sum(axis=0)
        shares = [
            f"{name} ({n:,}{f', {m:,} not known' if m else ''})"
            for name, n, m in zip(labels, found.tolist(), unknown.tolist(), strict=True)
        ]
        return "labels " + listed(shares, 10)

    def flags(self, truth: np.ndarray, labels: Sequence[str]) -> list[str]:
        """The labels that no mean over labels counts."""
        left_out = [name for name, both in zip(labels, has_both_classes(truth), strict=True) if not both]
        if not left_out:
            return []
        return [f"not in the means, all test rows alike: {listed(left_out, 5)}"]

    # -------------------------------------------------------------------------------------------------------- training

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Binary cross-entropy of the labels that are known, mean over labels, summed over rows."""
        from torch.nn import functional

        known = (truth >= 0).to(logits.dtype)
        wanted = truth.clamp(min=0).to(logits.dtype)
        cells = functional.binary_cross_entropy_with_logits(logits, wanted, weight=known, reduction="sum")
        return cells / logits.shape[1]

    def outputs(self, logits: np.ndarray) -> np.ndarray:
        from scipy.special import expit

        found: np.ndarray = expit(np.asarray(logits, dtype=np.float64))
        return found

    def average(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities of the mean logits."""
        from scipy.special import logit

        return self.outputs(np.mean([logit(np.clip(p, _LEAST, 1 - _LEAST)) for p in outputs], axis=0))

    # --------------------------------------------------------------------------------------------------------- scoring

    def learned(self, truth: np.ndarray, outputs: np.ndarray, train_truth: np.ndarray) -> dict[str, Any]:
        return against_label_priors(truth, outputs, train_truth)

    def design(self, truth: np.ndarray, outputs: np.ndarray, groups: np.ndarray | None) -> Design:
        return LabelDesign(truth, groups)

    # ----------------------------------------------------------------------------------------------------- predictions

    def to_columns(self, truth: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        columns = {f"label_{k}": np.asarray(truth[:, k], dtype=np.int8) for k in range(truth.shape[1])}
        return columns | {f"score_{k}": np.asarray(outputs, dtype=np.float64)[:, k] for k in range(outputs.shape[1])}

    def from_columns(self, columns: Mapping[str, np.ndarray], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        n = len(labels)
        if sorted(columns) != sorted([f"label_{k}" for k in range(n)] + [f"score_{k}" for k in range(n)]):
            raise ValueError(f"they have columns {', '.join(columns)}")
        truth = np.stack([columns[f"label_{k}"].astype(np.int64) for k in range(n)], axis=1)
        outputs = np.stack([columns[f"score_{k}"].astype(np.float64) for k in range(n)], axis=1)
        if not np.isfinite(outputs).all() or truth.min(initial=0) < -1 or truth.max(initial=0) > 1:
            raise ValueError("they hold a score that is not finite, or a label other than 0, 1 and -1")
        return truth.astype(np.int8), outputs


def _columns_of_one(table: RawTable) -> tuple[str, ...]:
    return tuple(name for name in table.columns if _OF_ONE.fullmatch(name))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray) or (isinstance(value, str) and _SEPARATOR in value)


def _is_binary(values: Sequence[Any]) -> bool:
    """Whether a column holds 0 and 1, or nothing, and not nothing alone."""
    texts = {label_text(value).lower() for value in values}
    return texts <= _CODES.keys() and texts != {""}


def _binary(table: RawTable, column: str) -> np.ndarray:
    """(n,) int8.

    Raises:
        DataError: a value is neither 0, 1 nor missing.
    """
    texts = [label_text(value).lower() for value in table.columns[column]]
    if unknown := set(texts) - _CODES.keys():
        row = next(row for row, text in enumerate(texts) if text in unknown)
        raise DataError(
            f"{table.where(row)}: {column} {table.columns[column][row]!r} is neither 0 nor 1, nor empty (not known); "
            "columns label_NAME hold one label each: rename it if it is none"
        )
    return np.fromiter((_CODES[text] for text in texts), dtype=np.int8, count=len(texts))


def _read_names(tables: Sequence[RawTable], column: str) -> tuple[tuple[str, ...], list[np.ndarray]]:
    found = [[_names(value) for value in table.columns[column]] for table in tables]
    labels = sorted({name for rows in found for names in rows for name in names or ()})
    if not labels:
        raise DataError(f"{tables[0].origin}: no row has a label in its column {column}")
    number = {name: k for k, name in enumerate(labels)}
    truths = []
    for rows in found:
        truth = np.zeros((len(rows), len(labels)), dtype=np.int8)
        for row, names in enumerate(rows):
            if names is None:
                truth[row] = -1
            else:
                truth[row, [number[name] for name in names]] = 1
        truths.append(truth)
    return tuple(labels), truths


def _names(value: Any) -> list[str] | None:
    """The labels of a row; None where they are not known."""
    if isinstance(value, list | tuple | np.ndarray):
        return [str(name).strip() for name in value if name is not None]
    if isinstance(value, str) and not value.strip():
        return []
    text = label_text(value)
    if is_missing(text):
        return None
    return [name.strip() for name in text.split(_SEPARATOR) if name.strip()]
