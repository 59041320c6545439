"""Example rows behind the numbers of a verdict: up to five, with where they stand and what they were found again as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from findna_bench.relatedness.rows import Rows

__all__ = ["MOST", "Behind", "Example", "ExampleRows"]

MOST = 5
"""Examples of a finding."""
HEAD = 40
"""Bases of a row that are shown."""


@dataclass(frozen=True)
class Example:
    """A row as a verdict shows it.

    Attributes:
        id: of the row in its split.
        split, label: where it stands.
        length: bases.
        sequence: its first bases; "" where only coordinates are known.
        at: "contig:start-end", 0-based half-open; "" where not known.
        counterpart: the row of an earlier split that it was found again as; None = there is no such row.
    """

    id: str
    split: str
    label: str
    length: int
    sequence: str = ""
    at: str = ""
    counterpart: Example | None = None

    @property
    def words(self) -> str:
        """In one line."""
        shown = self.sequence + ("…" if len(self.sequence) < self.length and self.sequence else "")
        what = " ".join(part for part in (f"{self.split} {self.id}", f"({self.label})", self.at, shown) if part)
        return what if self.counterpart is None else f"{what} = {self.counterpart.words}"


@dataclass(frozen=True)
class Behind:
    """The rows behind a number.

    Attributes:
        split: where they stand.
        rows: (n,) bool.
        counterpart: (n,) row of ``other`` that each was found again as, -1 = none; None where there is none.
        other: split of the counterparts.
    """

    split: str
    rows: np.ndarray
    counterpart: np.ndarray | None = None
    other: str = "train"


@dataclass(frozen=True)
class ExampleRows:
    """Rows of the splits of a task, and which of them are behind which number."""

    splits: Mapping[str, Rows] = field(default_factory=dict)
    labels: Sequence[str] = ()
    behind: Mapping[str, Behind] = field(default_factory=dict)

    def of(self, *numbers: str) -> tuple[Example, ...]:
        """Up to :data:`MOST` examples of the first of these numbers that has any row, evenly spaced in its split."""
        for number in numbers:
            if number in self.behind and self.behind[number].rows.any():
                return self.drawn(self.behind[number])
        return ()

    def drawn(self, behind: Behind) -> tuple[Example, ...]:
        """Up to :data:`MOST` of the given rows; those with a counterpart first."""
        found = np.flatnonzero(behind.rows)
        if not len(found) or behind.split not in self.splits:
            return ()
        if behind.counterpart is not None and (paired := found[behind.counterpart[found] >= 0]).size:
            found = paired
        chosen = found[np.unique(np.linspace(0, len(found) - 1, min(MOST, len(found))).astype(np.int64))]
        return tuple(self._example(behind, row) for row in chosen.tolist())

    def _example(self, behind: Behind, row: int) -> Example:
        other = -1 if behind.counterpart is None else int(behind.counterpart[row])
        counterpart = self.example(behind.other, other) if other >= 0 and behind.other in self.splits else None
        return self.example(behind.split, row, counterpart)

    def example(self, split: str, row: int, counterpart: Example | None = None) -> Example:
        """One row of a split."""
        rows = self.splits[split]
        at = ""
        if rows.contig is not None:
            contig, start, end = (column[row] for column in rows.coordinates)
            if contig != "" and 0 <= start < end:  # not Rows.located, which looks at all of them
                at = f"{contig}:{start}-{end}"
        return Example(
            id=str(rows.ids[row]),
            split=split,
            label=str(self.labels[int(rows.labels[row])]),
            length=int(rows.lengths[row]),
            sequence="" if rows.sequences is None else rows.sequences[row][:HEAD],
            at=at,
            counterpart=counterpart,
        )
