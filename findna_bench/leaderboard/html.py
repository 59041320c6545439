"""One self-contained page: no request leaves it, and no string of a result is ever read as markup."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from findna_bench.leaderboard.audits import Verdict
from findna_bench.leaderboard.beside import published_beside
from findna_bench.leaderboard.costs import Costs
from findna_bench.leaderboard.overview import OVERVIEW_LEGEND, overview
from findna_bench.leaderboard.published import Paper
from findna_bench.leaderboard.remarks import fit_warnings
from findna_bench.leaderboard.table import Entry, Leaderboard, SuiteTable, ranked
from findna_bench.leaderboard.wording import LEGEND, MetricNames, fits, row_label, short
from findna_bench.results.flags import flags_of, warnings_of

__all__ = ["render_html"]


def render_html(
    board: Leaderboard,
    *,
    title: str = "Leaderboard",
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
        "notes": [*board.notes, *board.environments],
        "overview": asdict(whole) if whole else None,
        "overview_legend": OVERVIEW_LEGEND,
        "costs": costs.about if costs else None,
        "tables": [_table(table, audits or {}, costs) for table in board.tables],
        "published": [asdict(p) for tables in board.suites if (p := published_beside(tables, papers))],
    }
    text = json.dumps(data, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False)
    # Inside a script element only "<" (and "&" in old parsers) could end it early.
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    template = files("findna_bench.leaderboard").joinpath("page.html").read_text(encoding="utf-8")
    return template.replace("@@DATA@@", text)


def _table(table: SuiteTable, audits: Mapping[str, Sequence[Verdict]], costs: Costs | None) -> dict[str, Any]:
    places = {column.name: ranked(table.rows, column) for column in table.columns}
    scale = {column.name: _scale(table, column.name) for column in table.columns}
    return {
        "name": table.name,
        "suite": table.suite,
        "protocol": table.protocol,
        "summary": table.summary,
        "missing": [short(name) for name in table.missing],
        "warnings": list(fit_warnings(table)),
        "columns": [
            {
                "name": c.name,
                "short": short(c.name),
                "metric": c.metric,
                "metric_label": MetricNames[c.metric],
                "flags": list(c.flags),
                "why_not": c.why_not,
                "audits": [asdict(verdict) for verdict in audits.get(c.name, ())],
            }
            for c in table.columns
        ],
        "rows": [
            {
                "label": row_label(row),
                "control": row.control,
                "n_parameters": row.n_parameters,
                "flags": list(row.flags),
                "licence": row.licence,
                "mean": row.mean,
                "mean_why_not": row.mean_why_not,
                "fits": fits(row),
                "cost": asdict(cost) if costs and (cost := costs.of(row.model)) else None,
                "entries": {
                    name: _entry(entry, _place(places[name], index), scale[name]) for name, entry in row.entries.items()
                },
            }
            for index, row in enumerate(table.rows)
        ],
    }


def _place(places: tuple[set[int], set[int]], index: int) -> int | None:
    best, second = places
    return 1 if index in best else 2 if index in second else None


def _scale(table: SuiteTable, column: str) -> tuple[float, float] | None:
    values = [e.value for row in table.rows if (e := row.entries.get(column)) and e.value is not None]
    return (min(values), max(values)) if values and max(values) > min(values) else None


def _entry(entry: Entry, place: int | None, scale: tuple[float, float] | None) -> dict[str, Any]:
    heat = (entry.value - scale[0]) / (scale[1] - scale[0]) if scale and entry.value is not None else None
    return {
        "status": entry.status,
        "reason": entry.reason,
        "value": entry.value,
        "spread": entry.spread,
        "low": entry.low,
        "high": entry.high,
        "n": entry.n,
        "too_few": entry.too_few,
        "validation": entry.validation,
        "varies": list(entry.varies),
        "flags": list(flags_of(entry.results)),
        "warnings": list(warnings_of(entry.results).values()),
        "place": place,
        "heat": heat,
        "results": [result.to_dict() for result in entry.results],
    }
