"""Markdown pages. The same results give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from findna_bench.grid import code, escape, markdown_table
from findna_bench.leaderboard.audits import Verdict
from findna_bench.leaderboard.columns import Column, columns_of, places
from findna_bench.leaderboard.costs import Costs
from findna_bench.leaderboard.overview import OVERVIEW_LEGEND, overview
from findna_bench.leaderboard.published import Paper
from findna_bench.leaderboard.published_tables import Group, Published, published_tables
from findna_bench.leaderboard.reference_controls import reference_control, reference_note
from findna_bench.leaderboard.remarks import fit_warnings
from findna_bench.leaderboard.score_tables import Entry, Leaderboard, Row, SuiteTable, TaskColumn
from findna_bench.leaderboard.wording import LEGEND, percent, points, row_label, short
from findna_bench.statistics.metric import metric_label

__all__ = ["render_markdown"]

BEST = "the best control on validation (the one named, chosen by its validation score)"


def render_markdown(
    board: Leaderboard,
    *,
    title: str = "Leaderboard",
    command: str | None = None,
    papers: Sequence[Paper] = (),
    audits: Mapping[str, Sequence[Verdict]] | None = None,
    costs: Costs | None = None,
) -> str:
    """One page for a whole leaderboard: an overview where there are several tables, then one section per table.

    papers: their figures on the tasks shown, beside ours only where that is fair. audits: verdicts by task. costs: per model.
    """
    parts = [f"# {escape(title)}", ""]
    if command:
        parts += [f"This page was made by {code(command)}.", ""]
    if board.commands:
        parts += ["Its results were computed by", "", *(f"* {code(c)}" for c in board.commands), ""]
    if board.environments:
        parts += ["on", "", *(f"* {escape(e)}" for e in board.environments), ""]
    parts += [LEGEND, ""]
    for note in board.notes:
        parts += [f"> {escape(note)}", ""]
    if whole := overview(board, costs):
        parts += ["## Overview", "", OVERVIEW_LEGEND, "", *whole.to_markdown(), ""]
        parts += [f"Costs: {escape(costs.about)}; parameters and costs do not depend on training.", ""] if costs else []
    for tables in board.suites:
        for table in tables:
            parts += _suite(table, audits or {})
        if published := published_tables(tables, papers):
            parts += _published(published)
    if not board.tables:
        parts += ["There are no results yet.", ""]
    return "\n".join(parts).rstrip() + "\n"


def _suite(table: SuiteTable, audits: Mapping[str, Sequence[Verdict]]) -> list[str]:
    parts = [f"## {escape(table.name)}", ""]
    if table.summary:
        parts += [escape(table.summary), ""]
    if table.missing:
        parts += [f"No number for: {', '.join(escape(short(name)) for name in table.missing)}.", ""]
    parts += _scores(table)
    parts += _gains(table)
    parts += _columns(table)
    parts += _verdicts(table, audits)
    parts += _reasons(table)
    parts += _warnings(table)
    return parts


def _scores(table: SuiteTable) -> list[str]:
    columns = columns_of(table)
    header = [escape(c.label) + (f"<br>{escape(c.unit)}" if c.unit else "") for c in columns]
    rows = [[_cell(column, row) for column in columns] for row in table.rows]
    for (line, number), place in places(table).items():
        value, separator, interval = rows[line][number].partition("<br>")
        rows[line][number] = (f"**{value}**" if place == 1 else f"<u>{value}</u>") + separator + interval
    for cells, row in zip(rows, table.rows, strict=True):
        cells[0] += " *(control)*" if row.control else ""
    parts = [*markdown_table(header, rows), ""]
    reasons = sorted({row.mean_why_not for row in table.rows if row.mean_why_not})
    outside = [f"{escape(short(c.name))} ({escape(c.why_not)})" for c in table.columns if c.why_not]
    if outside:
        parts += [f"Outside the mean: {', '.join(outside)}.", ""]
    if reasons:
        parts += [f"Rows without a mean: {escape('; '.join(reasons))}.", ""]
    varied = sorted({v for row in table.rows for e in row.entries.values() for v in e.varies})
    if varied:
        parts += [f"What a seed changes here: {escape(', '.join(varied))}.", ""]
    licences = sorted({f"{row.model}: {row.licence}" for row in table.rows if row.licence})
    if licences:
        parts += ["Licences of weights: " + escape("; ".join(licences)) + ".", ""]
    return parts


def _cell(column: Column, row: Row) -> str:
    """A score is made of digits and needs no escape; anything else is text."""
    text = column.text(row)
    return text.replace("\n", "<br>") if column.task else escape(text)


def _gains(table: SuiteTable) -> list[str]:
    """Gain over `trivial` first, where it ran, then over the control of each task that is best on validation rows."""
    parts: list[str] = []
    trivial = next((row for row in table.rows if row.control and row.model == "trivial"), None)
    references = [("the control trivial", {c.name: _value(trivial, c) for c in table.columns})] if trivial else []
    chosen = {c.name: reference_control(table.rows, c) for c in table.columns}
    references.append((BEST, {name: (r.value, r.label) if r else None for name, r in chosen.items()}))
    models = [row for row in table.rows if not row.control]
    for words, reference in references:
        if not models or not any(reference.values()):
            continue
        header = [
            "model",
            *(
                escape(short(c.name)) + (f"<br>over {escape(r[1])}" if (r := reference[c.name]) else "")
                for c in table.columns
            ),
        ]
        lines = [
            [escape(row_label(row)), *(_gain(row.entries.get(c.name), reference[c.name]) for c in table.columns)]
            for row in models
        ]
        parts += [f"Gain over {words}, points:", "", *markdown_table(header, lines), ""]
    if models and (unknown := reference_note(table.rows, table.columns)):
        parts += [f"Controls {escape(unknown)}.", ""]
    return parts


def _value(row: Row | None, column: TaskColumn) -> tuple[float, str] | None:
    entry = row.entries.get(column.name) if row else None
    return (entry.value, row.model) if row and entry and entry.value is not None else None


def _gain(entry: Entry | None, reference: tuple[float, str] | None) -> str:
    if entry is None or entry.value is None or reference is None:
        return "–"
    return points(entry.value - reference[0], entry.scale)


def _columns(table: SuiteTable) -> list[str]:
    header = ["task", "metric", "classes", "test rows", "largest class %", "flags"]
    lines = [
        [
            escape(c.name),
            escape(metric_label(c.metric)),
            str(c.n_classes),
            f"{c.n_test:,}" if c.n_test else "–",
            percent(c.chance) if c.chance else "–",
            escape(", ".join(c.flags)) or "–",
        ]
        for c in table.columns
    ]
    return [*markdown_table(header, lines, words=2), ""]


def _reasons(table: SuiteTable) -> list[str]:
    found = [
        f"* {escape(row_label(row))} on {escape(short(name))}: {entry.status}: {escape(entry.reason)}"
        for row in table.rows
        for name, entry in row.entries.items()
        if entry.reason
    ]
    return ["Cells without a number, or with fewer fits:", "", *found, ""] if found else []


def _warnings(table: SuiteTable) -> list[str]:
    found = [f"* {escape(line)}" for line in fit_warnings(table)]
    return ["Warnings of fits:", "", *found, ""] if found else []


def _verdicts(table: SuiteTable, audits: Mapping[str, Sequence[Verdict]]) -> list[str]:
    found = [
        f"* {escape(short(c.name))}, by {escape(v.route)}: **{escape(v.level)}**. {escape(v.text)}"
        for c in table.columns
        for v in audits.get(c.name, ())
    ]
    return ["What the audit says of these tasks:", "", *found, ""] if found else []


def _published(published: Published) -> list[str]:
    parts: list[str] = []
    if published.comparable:
        parts += [
            f"## {escape(published.suite)}: published figures beside ours",
            "",
            *_groups(published.comparable_groups),
            "",
        ]
        parts += [*published.comparable.to_markdown(), ""]
    if published.others:
        parts += [f"## {escape(published.suite)}: published figures, not comparable here", ""]
        parts += [*_groups(published.other_groups), ""]
        parts += ["<details><summary>The figures, in percent, with every digit as printed</summary>", ""]
        parts += [*published.others.to_markdown(), "", "</details>", ""]
    if published.notes:
        parts += [
            "What does not fit in the published figures:",
            "",
            *(f"* {escape(note)}" for note in published.notes),
            "",
        ]
    return [*parts, "Sources:", "", *(f"* {escape(source)}" for source in published.sources), ""]


def _groups(groups: Sequence[Group]) -> list[str]:
    return [
        f"* {escape(group.name)} ({escape(group.how)})"
        + (f". Why: {escape('; '.join(group.why))}." if group.why else ".")
        for group in groups
    ]
