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
from findna_bench.leaderboard.remarks import fit_warnings
from findna_bench.leaderboard.score_tables import Leaderboard, Row, SuiteTable
from findna_bench.leaderboard.suite_facts import (
    control_note,
    gain_grids,
    group_grids,
    score_notes,
    task_grid,
    without_numbers,
)
from findna_bench.leaderboard.wording import LEGEND, short

__all__ = ["render_markdown"]


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
    parts += _by_group(table)
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
    notes = [line for note in score_notes(table) for line in (escape(note), "")]
    return [*markdown_table(header, rows), "", *notes]


def _cell(column: Column, row: Row) -> str:
    """A score is made of digits and needs no escape; anything else is text."""
    text = column.text(row)
    return text.replace("\n", "<br>") if column.task else escape(text)


def _gains(table: SuiteTable) -> list[str]:
    parts: list[str] = []
    for grid in gain_grids(table):
        parts += [escape(grid.title), "", *grid.to_markdown(), ""]
    return [*parts, escape(note), ""] if (note := control_note(table)) else parts


def _by_group(table: SuiteTable) -> list[str]:
    return [line for grid in group_grids(table) for line in (escape(grid.title), "", *grid.to_markdown(), "")]


def _columns(table: SuiteTable) -> list[str]:
    return [*task_grid(table).to_markdown(), ""]


def _reasons(table: SuiteTable) -> list[str]:
    found = [f"* {escape(line)}" for line in without_numbers(table)]
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
