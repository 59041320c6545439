"""The columns of a table of scores, each declared once: terminal, Markdown, HTML and CSV draw this list.

A column of your own is a line in ``FIRST`` (before the tasks) or ``LAST`` (after them), and nothing else.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from findna_bench.grid import Grid
from findna_bench.leaderboard.score_tables import Entry, Leaderboard, Row, SuiteTable, TaskColumn, ranked
from findna_bench.leaderboard.wording import fits, format_entry, percent, row_label, short
from findna_bench.statistics.metric import metric_label

__all__ = ["FIRST", "LAST", "PARAMETERS", "Column", "columns_of", "places", "render_csv", "score_grid"]


@dataclass(frozen=True)
class Column:
    """A column of a table of scores.

    Attributes:
        name: what a page sorts by and a file calls it.
        label: its heading.
        value: what a row has there: a number or a text, by which rows are sorted and which is written to files; None = nothing.
        format: how the value reads, in one line or two; ``–`` stands where there is none.
        unit: second line of the heading.
        task: the task whose entries it holds; None for the columns that every table has.
        about: what it says, in a sentence.

    Example:
        >>> dtype = Column("dtype", "precision", lambda row: row.results[0].dtype if row.results else None)
    """

    name: str
    label: str
    value: Callable[[Row], Any]
    format: Callable[[Any], str] = str
    unit: str = ""
    task: TaskColumn | None = None
    about: str = ""

    def text(self, row: Row) -> str:
        """The cell of a row."""
        if self.task is not None:
            return format_entry(row.entries.get(self.task.name))
        value = self.value(row)
        return "–" if value is None or value == "" else self.format(value)


@dataclass(frozen=True)
class _Mean(Column):
    """Over tasks, in the units of their metric."""

    def text(self, row: Row) -> str:
        return "–" if row.mean is None else percent(row.mean, row.scale)


PARAMETERS = Column(
    "parameters",
    "parameters",
    lambda row: row.n_parameters,
    "{:,}".format,
    about="Parameters of the network; of fits, none.",
)
FIRST = (
    Column("model", "model", row_label, about="The model, with the settings in which its rows differ."),
    PARAMETERS,
)
LAST = (
    _Mean(
        "mean",
        "mean",
        lambda row: row.mean,
        about="Mean over the tasks of the suite, where the row has all of them.",
    ),
    Column("n", "n", fits, about="Fits per task."),
    Column("flags", "flags", lambda row: ", ".join(row.flags), about="What the reader of a number has to know."),
)


def columns_of(table: SuiteTable) -> tuple[Column, ...]:
    """All columns of a table, from left to right."""
    return (*FIRST, *map(_of_task, table.columns), *LAST)


def _of_task(task: TaskColumn) -> Column:
    def value(row: Row) -> float | None:
        entry: Entry | None = row.entries.get(task.name)
        return entry.value if entry else None

    return Column(task.name, short(task.name), value, unit=metric_label(task.metric), task=task)


def render_csv(board: Leaderboard) -> str:
    """The rows of all tables in one file, with the columns of all of them; scores are fractions.

    The first column names the table; a task that a table has not is empty there.
    """
    names = dict.fromkeys(column.name for table in board.tables for column in columns_of(table))
    text = io.StringIO()
    file = csv.DictWriter(text, ["table", *names], lineterminator="\n")
    file.writeheader()
    for table in board.tables:
        for row in table.rows:
            file.writerow({"table": table.name} | {column.name: column.value(row) for column in columns_of(table)})
    return text.getvalue()


def score_grid(table: SuiteTable) -> Grid:
    """All rows as text."""
    columns = columns_of(table)
    return Grid(
        tuple(f"{column.label}\n{column.unit}" if column.unit else column.label for column in columns),
        tuple(tuple(column.text(row) for column in columns) for row in table.rows),
        table.name,
    )


def places(table: SuiteTable) -> dict[tuple[int, int], int]:
    """1 for the best cells of a task, 2 for the runners-up, by (row, column)."""
    found: dict[tuple[int, int], int] = {}
    for number, column in enumerate(columns_of(table)):
        if column.task is not None:
            best, second = ranked(table.rows, column.task)
            found |= {(row, number): 1 for row in best} | {(row, number): 2 for row in second}
    return found
