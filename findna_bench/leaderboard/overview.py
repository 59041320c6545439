"""All suites of a results folder on one page: per model what it gains over the controls, and what it costs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from findna_bench.grid import Grid
from findna_bench.leaderboard.columns import PARAMETERS
from findna_bench.leaderboard.configurations import settings_in_words
from findna_bench.leaderboard.costs import Costs
from findna_bench.leaderboard.reference_controls import reference_control
from findna_bench.leaderboard.score_tables import Leaderboard, Row, SuiteTable
from findna_bench.leaderboard.wording import percent, points, row_label

__all__ = ["OVERVIEW_LEGEND", "overview"]

OVERVIEW_LEGEND = (
    "Gains are in points, over the control trivial and over the control that is best on validation rows of each task (not on test rows, whose maximum over several controls is above what any of them is worth): the mean over the tasks of the suite's "
    "mean where it is defined (the tables below say why it is not), and in parentheses on how many of the tasks that both "
    "have the model's value is the higher one."
)


def overview(board: Leaderboard, costs: Costs | None = None) -> Grid | None:
    """One line per row of any table, models first; three columns per table: gain over ``trivial``, over the best control on validation, mean.

    None where there is one table and no costs: the table says it all.
    """
    if not board.tables or (len(board.tables) == 1 and costs is None):
        return None
    rows: dict[str, list[Row | None]] = {}
    for label, index, row in _labelled(board):
        rows.setdefault(label, [None] * len(board.tables))[index] = row
    header = ["model", "parameters"]
    for table in board.tables:
        header += [
            f"{table.name}: {words}" for words in ("over trivial", "over the best control on validation", "mean")
        ]
    header += ["flags", *(("ns per base", "MFLOP per base", "peak GiB") if costs else ())]
    references = [_references(table) for table in board.tables]
    order = sorted(rows, key=lambda label: any(row.control for row in rows[label] if row))
    lines = []
    for label in order:
        present = [row for row in rows[label] if row]
        cells = [label + (" (control)" if present[0].control else ""), PARAMETERS.text(present[0])]
        for table, of_table, own in zip(board.tables, references, rows[label], strict=True):
            cells += _standing(table, own, *of_table) if own else ["–"] * 3
        cells.append(_flags(board, rows[label]))
        lines.append((*cells, *(_cost(present[0].model, costs) if costs else ())))
    return Grid(tuple(header), tuple(lines))


_OF_THE_MODEL = ("weights", "network", "pooling", "layer", "strand", "window", "distribution", "version", "code")
"""Settings that do not depend on the protocol, by which rows of two tables are the same model or not."""


def _labelled(board: Leaderboard) -> list[tuple[str, int, Row]]:
    """(label, number of its table, row): rows of one label that are unlike models are told apart."""
    found: dict[str, list[tuple[int, Row, dict[str, str]]]] = {}
    for index, table in enumerate(board.tables):
        for row in table.rows:
            words = settings_in_words(row.results) if row.results else {}
            made = {name: words[name] for name in _OF_THE_MODEL if name in words}
            found.setdefault(row_label(row), []).append((index, row, made))
    labelled = []
    for label, same in found.items():
        unlike = [name for name in _OF_THE_MODEL if len({made[name] for *_, made in same if name in made}) > 1]
        for index, row, made in same:
            own = ", ".join(f"{name} {made[name]}" for name in unlike if name in made)
            labelled.append((f"{label} ({own})" if own else label, index, row))
    return labelled


def _flags(board: Leaderboard, rows: Sequence[Row | None]) -> str:
    """Flags of a model; those that only some of its rows have, with the table's name."""
    tables: dict[str, list[str]] = {}
    for table, row in zip(board.tables, rows, strict=True):
        for flag in row.flags if row else ():
            tables.setdefault(flag, []).append(table.name)
    present = sum(row is not None for row in rows)
    words = [flag if len(names) == present else f"{flag} ({'; '.join(names)})" for flag, names in tables.items()]
    return ", ".join(words) or "–"


def _references(table: SuiteTable) -> tuple[Row | None, dict[str, float], dict[str, float]]:
    """The row of ``trivial``; by task, its value, and that of the best control on validation."""
    trivial = next((other for other in table.rows if other.control and other.model == "trivial"), None)
    of_trivial = {c.name: value for c in table.columns if (value := _value(trivial, c.name)) is not None}
    of_best = {c.name: found.value for c in table.columns if (found := reference_control(table.rows, c))}
    return trivial, of_trivial, of_best


def _standing(
    table: SuiteTable, row: Row, trivial: Row | None, of_trivial: Mapping[str, float], of_best: Mapping[str, float]
) -> list[str]:
    # A control is not set against itself.
    gains = [
        "–" if row is trivial else _gain(table, row, of_trivial),
        "–" if row.control else _gain(table, row, of_best),
    ]
    return [*gains, percent(row.mean, row.scale) if row.mean is not None else "–"]


def _value(row: Row | None, task: str) -> float | None:
    entry = row.entries.get(task) if row else None
    return entry.value if entry else None


def _gain(table: SuiteTable, row: Row, reference: Mapping[str, float]) -> str:
    differences = {
        c.name: (value - reference[c.name]) * (1 if c.higher_is_better else -1)
        for c in table.columns
        if c.name in reference and (value := _value(row, c.name)) is not None
    }
    if not differences:
        return "–"
    in_mean = [c.name for c in table.columns if c.in_mean]
    complete = row.mean is not None and all(name in differences for name in in_mean)
    mean = points(statistics.fmean(differences[name] for name in in_mean), row.scale) + " " if complete else ""
    return f"{mean}({sum(d > 0 for d in differences.values())} of {len(differences)})"


def _cost(model: str, costs: Costs) -> tuple[str, str, str]:
    cost = costs.of(model)
    if cost is None:
        return "–", "–", "–"
    return (
        _three_digits(cost.ns_per_base),
        _three_digits(None if cost.flops_per_base is None else cost.flops_per_base / 1e6),
        _three_digits(None if cost.peak_bytes is None else cost.peak_bytes / 2**30),
    )


def _three_digits(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
