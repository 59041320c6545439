"""What each submission changed on a leaderboard: models that came, scores that moved, and who is best of a task since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from findna_bench.grid import Grid
from findna_bench.leaderboard.score_tables import Entry, Leaderboard, Row, SuiteTable, ranked
from findna_bench.leaderboard.selected_results import Read
from findna_bench.leaderboard.submissions import Submission
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.leaderboard.wording import percent, row_label
from findna_bench.results.schema import Result
from findna_bench.statistics.metric import metric_label

__all__ = ["Step", "history"]

_Place = tuple[str, str, str]
"""Table, configuration, task."""


@dataclass(frozen=True)
class Step:
    """submission: what came. scores: cells that came, changed or went, one per line. leaders: tasks whose best changed."""

    submission: Submission
    scores: Grid
    leaders: Grid


def history(
    submissions: Sequence[Submission],
    *,
    include_limited: bool = False,
    metric: str | None = None,
    predictions: Read | None = None,
) -> tuple[Step, ...]:
    """The board after each submission against the one before, the oldest first. Scores alone: no interval is computed.

    Args:
        submissions: the oldest first.
        include_limited, metric, predictions: as of :func:`~findna_bench.leaderboard.table_building.leaderboard`.
    """
    results: dict[str, Result] = {}
    before, steps = Leaderboard(()), list[Step]()
    for submission in submissions:
        for result in submission.results:
            results.setdefault(f"{result.request_id} {result.status}", result)
        after = leaderboard(
            results.values(),
            include_limited=include_limited,
            metric=metric,
            predictions=predictions if metric else None,
        )
        steps.append(Step(submission, _scores(before, after), _leaders(before, after)))
        before = after
    return tuple(steps)


def _scores(before: Leaderboard, after: Leaderboard) -> Grid:
    old, new = _cells(before), _cells(after)
    lines = []
    for place in sorted(old.keys() | new.keys()):
        was, now = old.get(place), new.get(place)
        if (shown := _shown(was)) != _shown(now):
            table, row, task = (now or was or ("", "", "", None))[:3]
            lines.append((row, task, table, shown, _shown(now)))
    return Grid(("model", "task", "table", "before", "after"), tuple(lines), words=3)


_Cell = tuple[str, str, str, Entry]
"""Table, row and task in words, and what stands there."""


def _cells(board: Leaderboard) -> dict[_Place, _Cell]:
    return {
        (table.name, f"{row.model} {row.config_id}", name): (table.name, row_label(row), name, entry)
        for table in board.tables
        for row in table.rows
        for name, entry in row.entries.items()
    }


def _shown(cell: _Cell | None) -> str:
    if cell is None:
        return "–"
    entry = cell[3]
    if entry.value is None:
        return entry.status
    fits = f" (n = {entry.n})" if entry.n != 1 else ""
    return f"{percent(entry.value, entry.scale)}{fits}"


def _leaders(before: Leaderboard, after: Leaderboard) -> Grid:
    old, new = _best(before), _best(after)
    lines = [
        (task, table, metric, old.get((table, task, metric), "–"), best) for (table, task, metric), best in new.items()
    ]
    changed = tuple(sorted(line for line in lines if line[3] != line[4]))
    return Grid(("task", "table", "metric", "best before", "best since"), changed, words=3)


def _best(board: Leaderboard) -> dict[tuple[str, str, str], str]:
    found = {}
    for table in board.tables:
        for column in table.columns:
            best, _ = ranked(table.rows, column)
            rows = [table.rows[index] for index in sorted(best)]
            if rows:
                found[table.name, column.name, metric_label(column.metric)] = "; ".join(
                    sorted(_with_value(row, table, column.name) for row in rows)
                )
    return found


def _with_value(row: Row, table: SuiteTable, task: str) -> str:
    entry = row.entries[task]
    return f"{row_label(row)} {percent(entry.value or 0.0, entry.scale)}"
