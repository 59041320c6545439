"""Rows as their relatedness is judged: labels, lengths, and whichever of sequence and coordinates is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from findna_bench.errors import DataError

__all__ = ["LabelledRows", "Rows", "rows_from_intervals", "rows_from_table"]


class LabelledRows(Protocol):
    """What is read of a table of rows (:class:`~findna_bench.data.table.SequenceTable` is one)."""

    @property
    def sequences(self) -> list[str]: ...
    @property
    def sequences_b(self) -> list[str] | None: ...
    @property
    def labels(self) -> np.ndarray: ...
    @property
    def ids(self) -> np.ndarray: ...
    @property
    def group(self) -> np.ndarray | None: ...
    @property
    def contig(self) -> np.ndarray | None: ...
    @property
    def start(self) -> np.ndarray | None: ...
    @property
    def end(self) -> np.ndarray | None: ...
    @property
    def lower(self) -> np.ndarray | None: ...


@dataclass(frozen=True)
class Rows:
    """One split, as far as it is known.

    labels: (n,) int64; ids: (n,); lengths: (n,) int64 bases.
    sequences: n strings, or None where only coordinates were imported.
    contig: (n,) str ("" = not known), start, end: (n,) int64, 0-based half-open; all None where no row has coordinates.
    lower: (n,) which letters a file has in lower case (:func:`findna_bench.sequences.letter_case.lower_case`); None: none, or not known.
    """

    labels: np.ndarray
    ids: np.ndarray
    lengths: np.ndarray
    sequences: list[str] | None = None
    contig: np.ndarray | None = None
    start: np.ndarray | None = None
    end: np.ndarray | None = None
    lower: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def located(self) -> np.ndarray:
        """(n,) bool: rows whose coordinates are known."""
        if self.contig is None or self.start is None or self.end is None:
            return np.zeros(len(self), dtype=bool)
        located: np.ndarray = (self.contig != "") & (self.start >= 0) & (self.end > self.start)
        return located

    @property
    def coordinates(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """contig, start and end.

        Raises:
            ValueError: none are known.
        """
        if self.contig is None or self.start is None or self.end is None:
            raise ValueError("these rows have no coordinates; look at `located` first")
        return self.contig, self.start, self.end

    def take(self, index: np.ndarray) -> Rows:
        """The given rows, in the given order."""
        return Rows(
            labels=self.labels[index],
            ids=self.ids[index],
            lengths=self.lengths[index],
            sequences=None if self.sequences is None else [self.sequences[i] for i in index],
            contig=None if self.contig is None else self.contig[index],
            start=None if self.start is None else self.start[index],
            end=None if self.end is None else self.end[index],
            lower=None if self.lower is None else self.lower[index],
        )


def rows_from_table(table: LabelledRows) -> Rows:
    """Rows of a table; lengths are those of the sequences."""
    contig, start, end = _coordinates(table.contig, table.start, table.end)
    return Rows(
        labels=np.asarray(table.labels, dtype=np.int64),
        ids=np.asarray(table.ids),
        lengths=np.fromiter(map(len, table.sequences), dtype=np.int64, count=len(table.sequences)),
        sequences=list(table.sequences),
        contig=contig,
        start=start,
        end=end,
        lower=table.lower,
    )


def rows_from_intervals(labels: Any, contig: Any, start: Any, end: Any, ids: Any | None = None) -> Rows:
    """Rows known by coordinates alone; length is ``end - start``.

    labels, contig, start, end, ids: sequences of n values; coordinates 0-based half-open.

    Raises:
        DataError: an interval has no bases (names the row).
    """
    label_array = np.asarray(labels, dtype=np.int64)
    contigs, starts, ends = _coordinates(np.asarray(contig, dtype=object), np.asarray(start), np.asarray(end))
    if contigs is None or starts is None or ends is None:
        raise DataError("no row has coordinates, and no sequence is given; import the task with one or the other")
    empty = np.flatnonzero(ends <= starts)
    if len(empty):
        row = int(empty[0])
        raise DataError(f"row {row} ends at {ends[row]}, not after its start {starts[row]}; correct or remove the row")
    return Rows(
        labels=label_array,
        ids=np.arange(len(label_array)) if ids is None else np.asarray(ids),
        lengths=ends - starts,
        contig=contigs,
        start=starts,
        end=ends,
    )


def _coordinates(
    contig: np.ndarray | None, start: np.ndarray | None, end: np.ndarray | None
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    if contig is None or start is None or end is None:
        return None, None, None
    names = np.array([c if isinstance(c, str) else "" for c in contig.tolist()], dtype=object)
    if not (names != "").any():
        return None, None, None
    return names, _integers(start), _integers(end)


def _integers(values: np.ndarray) -> np.ndarray:
    """int64, with -1 where a value is missing."""
    numbers = np.array([-1 if v is None else v for v in values.tolist()], dtype=np.float64)
    return np.where(np.isnan(numbers), -1, numbers).astype(np.int64)
