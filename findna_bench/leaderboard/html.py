"""One self-contained page: no request leaves it, and no string of a result is ever read as markup."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from findna_bench.leaderboard.audits import Verdict
from findna_bench.leaderboard.columns import Column, columns_of, places
from findna_bench.leaderboard.costs import Costs
from findna_bench.leaderboard.overview import OVERVIEW_LEGEND, overview
from findna_bench.leaderboard.published import Paper
from findna_bench.leaderboard.published_tables import published_tables
from findna_bench.leaderboard.remarks import fit_warnings
from findna_bench.leaderboard.score_tables import Entry, Leaderboard, SuiteTable
from findna_bench.leaderboard.suite_facts import (
    control_note,
    gain_grids,
    group_grids,
    score_notes,
    task_grid,
    without_numbers,
)
from findna_bench.leaderboard.wording import LEGEND, row_label, short
from findna_bench.results.flags import flags_of, warnings_of
from findna_bench.statistics.metric_cards import metric_scale
from findna_bench.terminal import printable

__all__ = ["render_html"]


def render_html(
    board: Leaderboard,
    *,
    title: str = "Leaderboard",
    command: str | None = None,
    papers: Sequence[Paper] = (),
    audits: Mapping[str, Sequence[Verdict]] | None = None,
    costs: Costs | None = None,
) -> str:
    """The page as text, from what :func:`~findna_bench.leaderboard.markdown.render_markdown` takes. The same results give the
    same bytes.
    """
    whole = overview(board, costs)
    data = {
        "title": title,
        "legend": LEGEND.replace("**", "").replace("<u>", "").replace("</u>", ""),
        "notes": list(board.notes),
        "command": command,
        "commands": list(board.commands),
        "environments": list(board.environments),
        "overview": asdict(whole) if whole else None,
        "overview_legend": OVERVIEW_LEGEND,
        "costs": costs.about if costs else None,
        "tables": [_table(table, audits or {}, costs) for table in board.tables],
        "published": [asdict(p) for tables in board.suites if (p := published_tables(tables, papers))],
    }
    text = json.dumps(_shown(data), ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False)
    # Inside a script element only "<" (and "&" in old parsers) could end it early.
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    template = files("findna_bench.leaderboard").joinpath("page.html").read_text(encoding="utf-8")
    return template.replace("@@DATA@@", text)


def _shown(value: Any) -> Any:
    """Every text with the characters shown that would turn the direction of what follows, or not be seen."""
    if isinstance(value, dict):
        return {printable(key): _shown(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(part) for part in value]
    return printable(value) if isinstance(value, str) else value


def _table(table: SuiteTable, audits: Mapping[str, Sequence[Verdict]], costs: Costs | None) -> dict[str, Any]:
    columns, marks = columns_of(table), places(table)
    return {
        "name": table.name,
        "summary": table.summary,
        "missing": [short(name) for name in table.missing],
        "warnings": list(fit_warnings(table)),
        "notes": [*score_notes(table), *([note] if (note := control_note(table)) else [])],
        "groups": [asdict(grid) for grid in group_grids(table)],
        "gains": [asdict(grid) for grid in gain_grids(table)],
        "tasks": asdict(task_grid(table)),
        "without": without_numbers(table),
        "columns": [_column(column, audits) for column in columns],
        "rows": [
            {
                "label": row_label(row),
                "control": row.control,
                "n_parameters": row.n_parameters,
                "flags": list(row.flags),
                "licence": row.licence,
                "mean_why_not": row.mean_why_not,
                "cost": asdict(cost) if costs and (cost := costs.of(row.model)) else None,
                "cells": [{"text": column.text(row), "value": column.value(row)} for column in columns],
                "entries": {
                    column.name: _entry(entry, marks.get((index, number)), _range(table, column))
                    for number, column in enumerate(columns)
                    if (entry := row.entries.get(column.name))
                },
            }
            for index, row in enumerate(table.rows)
        ],
    }


def _column(column: Column, audits: Mapping[str, Sequence[Verdict]]) -> dict[str, Any]:
    """``task`` is what the page tells of a task; null for the columns that every table has."""
    task = column.task and {
        "metric": column.task.metric,
        "scale": metric_scale(column.task.metric),
        "higher_is_better": column.task.higher_is_better,
        "flags": list(column.task.flags),
        "why_not": column.task.why_not,
        "audits": [asdict(verdict) for verdict in audits.get(column.name, ())],
    }
    return {"name": column.name, "label": column.label, "unit": column.unit, "task": task}


def _range(table: SuiteTable, column: Column) -> tuple[float, float] | None:
    """The worst and the best value."""
    values = [e.value for row in table.rows if (e := row.entries.get(column.name)) and e.value is not None]
    if not values or max(values) == min(values) or column.task is None:
        return None
    return (min(values), max(values)) if column.task.higher_is_better else (max(values), min(values))


def _entry(entry: Entry, place: int | None, extremes: tuple[float, float] | None) -> dict[str, Any]:
    heat = (entry.value - extremes[0]) / (extremes[1] - extremes[0]) if extremes and entry.value is not None else None
    return {
        "status": entry.status,
        "reason": entry.reason,
        "value": entry.value,
        "n": entry.n,
        "validation": entry.validation,
        "varies": list(entry.varies),
        "flags": list(flags_of(entry.results)),
        "warnings": list(warnings_of(entry.results).values()),
        "place": place,
        "heat": heat,
        "results": [result.to_dict() for result in entry.results],
    }
