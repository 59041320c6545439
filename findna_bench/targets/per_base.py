"""``per_base``: a state at every base of a sequence; rows are sequences, what is scored are their bases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from findna_bench.data.tabular import SEQUENCE_COLUMNS, cell_text, no_column
from findna_bench.errors import DataError, ModelError, listed
from findna_bench.statistics.base_states import NO_STATE, state_counts
from findna_bench.statistics.bases import BaseDesign
from findna_bench.targets.learning import against_state_shares
from findna_bench.targets.target import Target

if TYPE_CHECKING:
    from torch import Tensor

    from findna_bench.data.table import SequenceTable
    from findna_bench.data.tabular import RawTable
    from findna_bench.statistics.score_intervals import Design

__all__ = ["MISSING_STATE", "PerBase"]

_COLUMN = "states"
MISSING_STATE = "."
"""Character of a base whose state is not known; it never counts."""
_MOST_STATES = 64
_LEAST = 1e-7
"""Probabilities are kept as float16, whose smallest number this is about."""


class PerBase(Target):
    """truth: (n, W) uint8 numbers of states, :data:`~findna_bench.statistics.base_states.NO_STATE` where nothing counts: behind the end of a
    sequence, at N, and where the state is not known. outputs: (n, W, C) float16 probabilities; the state of the highest is predicted.
    """

    name = "per_base"
    default_metric = "base_mcc"
    prior = "the shares of the states in train"
    of_bases: bool = True
    outputs_dtype: ClassVar[Any] = np.float16
    can_be_trained = True

    # ------------------------------------------------------------------------------------------------------------ rows

    def label_columns(self, table: RawTable) -> tuple[str, ...]:
        """``states``."""
        return (_COLUMN,) if _COLUMN in table.columns else ()

    def read(self, tables: Sequence[RawTable], columns: Sequence[str]) -> tuple[tuple[str, ...], list[np.ndarray]]:
        """One character per base; ``.`` is a base whose state is not known. States are in the order of their characters."""
        texts = [_states(table) for table in tables]
        found = sorted({letter for rows in texts for row in rows for letter in set(row)} - {MISSING_STATE})
        if not 2 <= len(found) <= _MOST_STATES:
            what = f"{len(found)} different states" if len(found) != 1 else f"all bases have state {found[0]!r}"
            raise DataError(f"{tables[0].origin}: {what} in column {_COLUMN}; 2 to {_MOST_STATES} are needed")
        code = {ord(letter): number for number, letter in enumerate(found)} | {ord(MISSING_STATE): NO_STATE}
        width = max(len(row) for rows in texts for row in rows)
        return tuple(found), [
            _numbered(rows, _sequences(table), code, width) for table, rows in zip(tables, texts, strict=True)
        ]

    def check(self, table: SequenceTable, labels: Sequence[str], where: str) -> None:
        truth = np.asarray(table.labels)
        if truth.dtype != np.uint8 or truth.ndim != 2:
            raise DataError(f"{where}: labels must be states of bases, (n, W) uint8, not {truth.dtype} {truth.shape}")
        known = truth != NO_STATE
        outside = np.argwhere(known & (truth >= len(labels)))
        if len(outside):
            row, base = outside[0].tolist()
            raise DataError(
                f"{where}: base {base} of row {row} has state {truth[row, base]}, outside 0 to {len(labels) - 1}"
            )
        lengths = np.fromiter(map(len, table.sequences), dtype=np.int64, count=len(table))
        reach = np.where(known.any(axis=1), truth.shape[1] - known[:, ::-1].argmax(axis=1), 0)
        beyond = np.flatnonzero(reach > lengths)
        if len(beyond):
            row = int(beyond[0])
            raise DataError(f"{where}: row {row} has {lengths[row]} bases and a state at base {reach[row] - 1}")

    def in_words(self, truth: np.ndarray, labels: Sequence[str]) -> str:
        counts = state_counts(truth, len(labels))
        shown = [f"{name} ({n:,})" for name, n in zip(labels, counts.tolist(), strict=True)]
        return "states per base " + listed(shown, 10)

    def flags(self, truth: np.ndarray, labels: Sequence[str]) -> list[str]:
        """The states that no mean over states counts."""
        counts = state_counts(truth, len(labels))
        absent = [name for name, n in zip(labels, counts.tolist(), strict=True) if not n]
        return [f"no test base has state {', '.join(absent[:5])}"] if absent else []

    # -------------------------------------------------------------------------------------------------------- training

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Cross-entropy summed over the bases that count. logits: (n, L, C) of the first L bases, behind which nothing counts."""
        from torch.nn import functional

        states = truth[:, : logits.shape[1]].long()
        return functional.cross_entropy(logits.flatten(0, 1), states.flatten(), ignore_index=NO_STATE, reduction="sum")

    def scored(self, truth: Tensor) -> int:
        """Bases that count."""
        return int((truth != NO_STATE).sum())

    # --------------------------------------------------------------------------------------------------------- outputs

    def outputs(self, logits: np.ndarray) -> np.ndarray:
        """(n, W, C) float16 probabilities."""
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        odds /= odds.sum(axis=-1, keepdims=True)
        found: np.ndarray = odds.astype(np.float16)
        return found

    def average(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities of the mean logits."""
        logits = np.mean([np.log(np.maximum(np.asarray(one, dtype=np.float32), _LEAST)) for one in outputs], axis=0)
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        mean: np.ndarray = odds / odds.sum(axis=-1, keepdims=True)
        return mean

    def turned(self, outputs: np.ndarray, table: SequenceTable) -> np.ndarray:
        """Outputs of reverse complements in the order of the sequences themselves."""
        outputs = np.array(outputs)
        for row, sequence in enumerate(table.sequences):
            outputs[row, : len(sequence)] = outputs[row, : len(sequence)][::-1].copy()
        return outputs

    # --------------------------------------------------------------------------------------------------------- scoring

    def learned(self, truth: np.ndarray, outputs: np.ndarray, train_truth: np.ndarray) -> dict[str, Any]:
        return against_state_shares(truth, outputs, train_truth)

    def prepare(self, truth: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outputs as they are stored: float16, zero where nothing counts.

        Raises:
            ModelError: they are not of these bases, or one that counts is no probability.
        """
        truth, outputs = np.asarray(truth), np.asarray(outputs)
        if outputs.ndim != 3 or outputs.shape[:2] != truth.shape:
            raise ModelError(
                f"scores of bases must be (rows, bases, states), {truth.shape} and states, not {outputs.shape}"
            )
        outputs = np.where((truth != NO_STATE)[..., None], outputs, 0).astype(np.float16)
        fine = (outputs >= 0) & (outputs <= 1)
        if not fine.all():
            row, base, _ = np.argwhere(~fine)[0].tolist()
            raise ModelError(f"the model's score for base {base} of test row {row} is no probability")
        return truth, outputs

    def design(self, truth: np.ndarray, outputs: np.ndarray, groups: np.ndarray | None) -> Design:
        return BaseDesign(truth, groups)

    def metrics(self, main: str | None = None, labels: Sequence[str] = ()) -> tuple[str, ...]:
        """The average precision of every state beside the others."""
        of_states = tuple(f"base_auprc:{name}" for name in labels)
        return tuple(dict.fromkeys((*super().metrics(), *of_states, *((main,) if main else ()))))

    # ----------------------------------------------------------------------------------------------------- predictions

    def to_columns(self, truth: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Per row as bytes: the states of all columns, and the float16 scores of the bases that count, base by base."""
        truth, outputs = self.prepare(truth, outputs)
        columns = {"states": np.empty(len(truth), dtype=object), "scores": np.empty(len(truth), dtype=object)}
        for row, (states, scores) in enumerate(zip(truth, outputs, strict=True)):
            columns["states"][row] = states.tobytes()
            columns["scores"][row] = scores[states != NO_STATE].astype("<f2").tobytes()
        return columns

    def from_columns(self, columns: Mapping[str, np.ndarray], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        if sorted(columns) != ["scores", "states"] or any(values.dtype != object for values in columns.values()):
            raise ValueError(f"they have columns {', '.join(columns)}")
        if len({len(states) for states in columns["states"]}) != 1:
            raise ValueError("their rows have different numbers of bases")
        truth = np.stack([np.frombuffer(states, dtype=np.uint8) for states in columns["states"]])
        known = truth != NO_STATE
        outputs = np.zeros((*truth.shape, len(labels)), dtype=np.float16)
        for row, scores in enumerate(columns["scores"]):
            outputs[row, known[row]] = np.frombuffer(scores, dtype="<f2").reshape(-1, len(labels))
        if not np.isfinite(outputs).all() or (truth[known] >= len(labels)).any():
            raise ValueError("they hold a score that is not finite, or a state outside the task's")
        return truth, outputs


def _sequences(table: RawTable) -> list[str]:
    column = table.first_of(SEQUENCE_COLUMNS)
    if column is None:
        raise no_column(table, ", ".join(SEQUENCE_COLUMNS[:3]))
    return [cell_text(value) for value in table.columns[column]]


def _states(table: RawTable) -> list[str]:
    """The states of every row, as many as it has bases.

    Raises:
        DataError: a row has more or fewer, or its cell is no text.
    """
    texts = []
    for row, (value, sequence) in enumerate(zip(table.columns[_COLUMN], _sequences(table), strict=True)):
        if not isinstance(value, str | bytes):
            raise DataError(
                f"{table.where(row)}: {_COLUMN} is a {type(value).__name__}, not a text of one character per base"
            )
        text = cell_text(value)
        if len(text) != len(sequence):
            raise DataError(
                f"{table.where(row)}: {len(text):,} states for {len(sequence):,} bases; give one character per base, "
                f"{MISSING_STATE!r} where the state is not known"
            )
        texts.append(text)
    return texts


def _numbered(texts: Sequence[str], sequences: Sequence[str], code: Mapping[int, int], width: int) -> np.ndarray:
    """(n, width) uint8."""
    truth = np.full((len(texts), width), NO_STATE, dtype=np.uint8)
    for row, (text, sequence) in enumerate(zip(texts, sequences, strict=True)):
        letters = np.frombuffer(sequence.upper().encode("ascii", "replace"), dtype=np.uint8)
        own = np.fromiter((code[ord(letter)] for letter in text), dtype=np.uint8, count=len(text))
        truth[row, : len(text)] = np.where(np.isin(letters, _BASES), own, NO_STATE)
    return truth


_BASES = np.frombuffer(b"ACGTU", dtype=np.uint8)
