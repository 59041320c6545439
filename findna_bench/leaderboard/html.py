"""One self-contained page: no request leaves it, and no string of a result is ever read as markup.

What a cell shows when it is pressed, its results as JSON, lies in a compressed block per row: in the page itself, or for large boards in
``cells/`` beside it, from where the page takes what is asked for, opened from a disk or from a server.
"""

from __future__ import annotations

import base64
import json
import zlib
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
from findna_bench.leaderboard.score_tables import Entry, Leaderboard, Row, SuiteTable
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

__all__ = ["MOST_IN_ONE_FILE", "html_files", "page_template", "render_html", "script_json", "shown"]

MOST_IN_ONE_FILE = 2_000
"""Results up to which a page is one file."""
_LEFT_OUT: Mapping[str, Any] = {
    "status": "success", "reason": "", "value": None, "n": 1, "validation": None, "varies": [], "flags": [], "warnings": [], "place": None,
    "heat": None,
}  # fmt: skip
"""Of an entry: what the page puts in where nothing stands."""


def html_files(
    board: Leaderboard,
    *,
    title: str = "Leaderboard",
    command: str | None = None,
    papers: Sequence[Paper] = (),
    audits: Mapping[str, Sequence[Verdict]] | None = None,
    costs: Costs | None = None,
    most_in_one: int = MOST_IN_ONE_FILE,
    links: Sequence[tuple[str, str]] = (),
) -> dict[str, str]:
    """The page, and of a board of many results what it shows when a cell is pressed. The same results give the same bytes.

    Args:
        board, title, command, papers, audits, costs: what :func:`~findna_bench.leaderboard.markdown.render_markdown` takes.
        most_in_one: results up to which there is one file.
        links: (text, address) of other pages, shown above the title.

    Returns:
        File name -> content: ``index.html``, and ``cells/N.js`` where there are more.
    """
    overall = overview(board, costs)
    rows = [(table, row) for table in board.tables for row in table.rows]
    together = sum(len(row.results) for _, row in rows) <= most_in_one
    data = {
        "title": title,
        "links": [list(link) for link in links],
        "legend": LEGEND.replace("**", "").replace("<u>", "").replace("</u>", ""),
        "notes": list(board.notes),
        "command": command,
        "commands": list(board.commands),
        "environments": list(board.environments),
        "overview": asdict(overall) if overall else None,
        "overview_legend": OVERVIEW_LEGEND,
        "costs": costs.about if costs else None,
        "tables": [_table(table, audits or {}, costs) for table in board.tables],
        "published": [asdict(p) for tables in board.suites if (p := published_tables(tables, papers))],
    }
    blocks = (_block(row.entries) for _, row in rows)
    details = list(blocks) if together else None
    files_beside = (
        {} if together else {f"cells/{i}.js": f'arrived({i}, "{block}");\n' for i, block in enumerate(blocks)}
    )
    text = script_json(shown(data) | {"details": details, "entry": _LEFT_OUT})
    page = page_template("page.html").replace("@@SCRIPTS@@", "" if together else " 'self'").replace("@@DATA@@", text)
    return {"index.html": page, **files_beside}


def render_html(board: Leaderboard, **options: Any) -> str:
    """The page as one file, however many results there are; options as of :func:`html_files`."""
    return html_files(board, **options, most_in_one=sum(len(row.results) for t in board.tables for row in t.rows))[
        "index.html"
    ]


def page_template(name: str) -> str:
    """A page of this package with the style and the parts of scripts that all pages share."""
    folder = files("findna_bench.leaderboard")
    text = folder.joinpath(name).read_text(encoding="utf-8")
    for place, part in (("@@STYLE@@", "page.css"), ("@@PARTS@@", "page_parts.js")):
        text = text.replace(place, folder.joinpath(part).read_text(encoding="utf-8"))
    return text


def script_json(value: Any) -> str:
    """JSON that may stand in a script element."""
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False)
    # Inside a script element only "<" (and "&" in old parsers) could end it early.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _block(entries: Mapping[str, Entry]) -> str:
    """The results of a row by task, compressed: JSON, zlib, base64."""
    found = {name: [result.to_dict() for result in entry.results] for name, entry in entries.items()}
    text = json.dumps(found, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    if "\\" in text or printable(text) != text:  # an escape, or a character that is not to be shown
        text = json.dumps(shown(found), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(errors="backslashreplace"), 6)).decode()


def shown(value: Any) -> Any:
    """Every text with the characters shown that would turn the direction of what follows, or not be seen."""
    if isinstance(value, dict):
        return {printable(key): shown(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(part) for part in value]
    return printable(value) if isinstance(value, str) else value


def _table(table: SuiteTable, audits: Mapping[str, Sequence[Verdict]], costs: Costs | None) -> dict[str, Any]:
    columns, marks = columns_of(table), places(table)
    ranges = [_range(table, column) for column in columns]
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
                "cells": [_cell(column, row) for column in columns],
                "entries": {
                    column.name: _entry(entry, marks.get((index, number)), ranges[number])
                    for number, column in enumerate(columns)
                    if (entry := row.entries.get(column.name))
                },
            }
            for index, row in enumerate(table.rows)
        ],
    }


def _cell(column: Column, row: Row) -> list[Any]:
    """What it shows and, where that is not it, what it is sorted by; of a task that is the value of its entry."""
    text, value = column.text(row), column.value(row)
    return [text] if column.task is not None or value == text else [text, value]


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
    values = {
        "status": entry.status,
        "reason": entry.reason,
        "value": entry.value,
        "n": entry.n,
        "validation": entry.validation,
        "varies": list(entry.varies),
        "flags": list(flags_of(entry.results)),
        "warnings": list(warnings_of(entry.results).values()),
        "place": place,
        "heat": None if heat is None else round(heat, 3),
    }
    return {name: value for name, value in values.items() if value != _LEFT_OUT[name]}
