"""A split of a labelled data set, and the live task made from a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

__all__ = ["RowOrder", "RowOrigins", "SequenceTable", "rarest_labels"]


@dataclass(frozen=True)
class RowOrder:
    """How the rows of a task are numbered where vectors are computed elsewhere, the same under every ``--split``.

    words: what they follow, for messages (``the rows of my.csv``); empty = no order that its reader could know.
    n_rows: all rows of all splits. counts: rows of its parts, in order, where there are several.
    """

    words: str
    n_rows: int
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RowOrigins:
    """What rows are called in what their task is read from: (n,) numbers, ids there, and names of the splits they have there."""

    places: np.ndarray
    ids: np.ndarray
    splits: np.ndarray


@dataclass(frozen=True)
class SequenceTable:
    """Rows of one split.

    sequences: list of n strings over A, C, G, T, N (validated and upper-cased when imported; may be empty strings never).
    labels: (n,) int64 indices into the card's ``labels``; (n, K) float64 values, (n, K) int8 of several labels, (n, W) uint8 of states
        per base, :data:`~findna_bench.statistics.base_states.NO_STATE` where nothing counts.
    ids: (n,) row ids, unique within the split and stable between runs.
    group: (n,) or None; rows of one group must not be separated by a split and are resampled together.
    contig, start, end, strand: (n,) or None; 0-based half-open coordinates where they are known.
    lower: (n,) or None; which letters were lower case in the file (:func:`findna_bench.sequences.letter_case.lower_case`), for audits alone:
        no model sees it, no digest counts it, and a data root does not keep it.
    place: (n,) int64 or None; the row's number, from 0, in what the task is read from (see :class:`RowOrder`), whatever split it is in.
    sequences_b: list of n strings, or None; of rows that are pairs the other side, as ``sequences`` is then the first.
    """

    sequences: list[str]
    labels: np.ndarray
    ids: np.ndarray
    group: np.ndarray | None = None
    contig: np.ndarray | None = None
    start: np.ndarray | None = None
    end: np.ndarray | None = None
    strand: np.ndarray | None = None
    place: np.ndarray | None = None
    lower: np.ndarray | None = None
    sequences_b: list[str] | None = None
    extra: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.sequences)
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, np.ndarray | list) and len(value) != n:
                raise ValueError(f"column {column.name} has {len(value)} rows, sequences has {n}")

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def lengths(self) -> np.ndarray:
        """(n,) int64 bases of each row, of a pair those of both sides."""
        lengths = np.fromiter(map(len, self.sequences), dtype=np.int64, count=len(self))
        if self.sequences_b is None:
            return lengths
        return lengths + np.fromiter(map(len, self.sequences_b), dtype=np.int64, count=len(self))

    @property
    def texts(self) -> list[tuple[str, ...]]:
        """Of each row all its sequences: one, of a pair both sides."""
        others = () if self.sequences_b is None else (self.sequences_b,)
        return list(zip(self.sequences, *others, strict=True))

    def side(self, name: str) -> SequenceTable:
        """Rows of one side of pairs, as rows of a sequence each.

        Args:
            name: ``a`` or ``b``.

        Raises:
            ValueError: rows are no pairs.
        """
        if self.sequences_b is None:
            raise ValueError("these rows are no pairs")
        return replace(
            self, sequences=self.sequences if name == "a" else self.sequences_b, sequences_b=None, lower=None
        )

    @classmethod
    def concatenate(cls, tables: Sequence[SequenceTable]) -> SequenceTable:
        """Rows of several tables below one another; a column that one of them lacks is left out."""

        def column(name: str) -> np.ndarray | None:
            values = [getattr(table, name) for table in tables]
            if name == "lower" and any(value is not None for value in values):  # None: no letter is
                values = [
                    np.full(len(t), b"", dtype=object) if v is None else v for t, v in zip(tables, values, strict=True)
                ]
            return None if any(value is None for value in values) else np.concatenate(values)

        columns = {c.name: column(c.name) for c in fields(cls) if c.name not in ("sequences", "sequences_b", "extra")}
        others = [table.sequences_b for table in tables]
        pairs = [s for other in others for s in other or ()] if all(other is not None for other in others) else None
        shared = set.intersection(*(set(table.extra) for table in tables))
        extra = {name: np.concatenate([table.extra[name] for table in tables]) for name in sorted(shared)}
        return cls([s for table in tables for s in table.sequences], sequences_b=pairs, extra=extra, **columns)  # type: ignore[arg-type]

    def take(self, rows: np.ndarray | Sequence[int]) -> SequenceTable:
        """The given rows (integer indices), in the given order."""
        index = np.asarray(rows, dtype=np.int64)
        changed = {
            column.name: getattr(self, column.name)[index]
            for column in fields(self)
            if isinstance(getattr(self, column.name), np.ndarray)
        }
        extra = {name: values[index] for name, values in self.extra.items()}
        other = None if self.sequences_b is None else [self.sequences_b[i] for i in index]
        return replace(self, sequences=[self.sequences[i] for i in index], sequences_b=other, extra=extra, **changed)

    def coordinates(self) -> SequenceTable | None:
        """The same rows by label, id, contig, start, end and strand alone, sequences empty: the form in which coordinates are
        stored. None where no coordinates are known.
        """
        if self.contig is None or self.start is None or self.end is None:
            return None
        strand = np.full(len(self), "", dtype="<U1") if self.strand is None else self.strand
        return replace(
            self,
            sequences=[""] * len(self),
            sequences_b=None,
            group=None,
            strand=strand,
            place=None,
            lower=None,
            extra={},
        )

    @property
    def strata(self) -> np.ndarray:
        """(n,) int64 by which rows are dealt out evenly to splits: their classes, of several labels the rarest one; all alike where
        there are none.
        """
        if self.labels.ndim == 1:
            return self.labels
        return rarest_labels(self.labels) if self.labels.dtype.kind == "i" else np.zeros(len(self), dtype=np.int64)

    def class_counts(self, n_classes: int) -> np.ndarray:
        """(n_classes,) rows per label."""
        return np.bincount(self.labels, minlength=n_classes)


def rarest_labels(truth: np.ndarray) -> np.ndarray:
    """(n,) int64: of each row the label, among those that it has, which fewest rows have; K for a row that has none.

    truth: (n, K) of 1, 0 and -1 (not known).
    """
    has = truth == 1
    order = np.argsort(has.sum(axis=0), kind="stable")
    first: np.ndarray = order[has[:, order].argmax(axis=1)]
    return np.where(has.any(axis=1), first, truth.shape[1]).astype(np.int64)
