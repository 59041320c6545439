"""Score tables as data: rows, task columns, entries, and what each number covers. No text layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from findna_bench.results.schema import Result

__all__ = ["Entry", "Leaderboard", "Row", "SuiteTable", "TaskColumn", "ranked"]


@dataclass(frozen=True)
class Entry:
    """One model configuration on one task: the mean over its fits.

    value, low, high: fractions; the interval is that of ``compare``: over test rows and, with several fits, over fits. too_few:
    there is none because there are too few rows of the rarer class.
    spread: standard deviation over seeds (ddof 1), None for one fit and where all fits agree. n: fits. varies: what differed
    between them. reason: why there is no number, or why some fits have none.
    """

    status: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    n: int = 0
    varies: tuple[str, ...] = ()
    reason: str = ""
    results: tuple[Result, ...] = ()
    too_few: bool = False
    scale: float = 100.0
    """What its values are multiplied by where they are shown."""
    validation: float | None = None
    """The same metric on validation rows, mean over fits; None where a fit has none, or where its validation rows are the test
    rows."""


@dataclass(frozen=True)
class TaskColumn:
    """A task as a column: what was measured on how much."""

    name: str
    metric: str
    higher_is_better: bool
    n_classes: int
    n_test: int | None
    chance: float | None
    """Share of the largest test class."""
    flags: tuple[str, ...]
    in_mean: bool
    why_not: str = ""


@dataclass(frozen=True)
class Row:
    """One configuration of one model."""

    model: str
    settings: tuple[str, ...]
    """The settings in which configurations of the same model differ."""
    config_id: str
    control: bool
    n_parameters: int | None
    flags: tuple[str, ...]
    licence: str | None
    entries: Mapping[str, Entry]
    mean: float | None
    mean_why_not: str = ""

    @property
    def scale(self) -> float:
        """Of its mean: that of its entries."""
        return next((entry.scale for entry in self.entries.values() if entry.value is not None), 100.0)

    @property
    def results(self) -> tuple[Result, ...]:
        """All results that the row is made of: fits of every task."""
        return tuple(result for entry in self.entries.values() for result in entry.results)


@dataclass(frozen=True)
class SuiteTable:
    """All rows of one suite under one protocol on one kind of split: what was scored on the same test rows, after learning from
    as many. part: ``limit N``, ``N-shot`` or both; empty = all rows."""

    suite: str
    protocol: str
    split: str
    part: str
    summary: str
    columns: tuple[TaskColumn, ...]
    missing: tuple[str, ...]
    """Tasks of the suite for which there is no number."""
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """Suite and protocol, the split where it is not the authors', and which part of the rows was used."""
        split = "" if self.split == "official" else f"split {self.split}"
        return ", ".join(filter(None, (self.suite, self.protocol, split, self.part)))


@dataclass(frozen=True)
class Leaderboard:
    """Tables by suite and protocol, and what was left out of them."""

    tables: tuple[SuiteTable, ...]
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    models: Mapping[str, Result] = field(default_factory=dict)

    @property
    def suites(self) -> tuple[tuple[SuiteTable, ...], ...]:
        """The tables of each suite."""
        found: dict[str, list[SuiteTable]] = {}
        for table in self.tables:
            found.setdefault(table.suite, []).append(table)
        return tuple(map(tuple, found.values()))


def ranked(rows: Sequence[Row], column: TaskColumn) -> tuple[set[int], set[int]]:
    """(indices of the best rows, indices of the runners-up) in a column; ties share a place."""
    values = {i: e.value for i, row in enumerate(rows) if (e := row.entries.get(column.name)) and e.value is not None}
    order = sorted(set(values.values()), reverse=column.higher_is_better)
    best = {i for i, v in values.items() if order and v == order[0]}
    second = {i for i, v in values.items() if len(order) > 1 and v == order[1]}
    return best, second if len(best) == 1 else set()
