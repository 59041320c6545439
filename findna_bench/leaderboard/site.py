"""A static site of one leaderboard: a page per suite, model and task, and what each submission changed. No request leaves it, nothing but
the suites' pages has a script, and no string of a result is ever read as markup. The same results give the same bytes."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from findna_bench.errors import OutputError
from findna_bench.files import path_segment, write_atomic
from findna_bench.grid import Grid
from findna_bench.leaderboard.audits import Verdict
from findna_bench.leaderboard.columns import PARAMETERS
from findna_bench.leaderboard.costs import Costs
from findna_bench.leaderboard.history import Step
from findna_bench.leaderboard.html import html_files
from findna_bench.leaderboard.overview import OVERVIEW_LEGEND, overview
from findna_bench.leaderboard.published import Paper
from findna_bench.leaderboard.score_tables import Entry, Leaderboard, Row, SuiteTable, TaskColumn
from findna_bench.leaderboard.suite_facts import score_notes
from findna_bench.leaderboard.wording import LEGEND, format_entry, row_label
from findna_bench.results.flags import flags_of
from findna_bench.results.schema import Result
from findna_bench.statistics.metric import metric_label
from findna_bench.terminal import printable

__all__ = ["Site", "site_files", "write_site"]

LIST = "site.json"
"""What the site consists of: the next one made there removes what is no longer part of it."""
_LONGEST = 100
_STYLE = """
:root { color-scheme: light dark; --bg: #fbfbf9; --fg: #1c1d1f; --dim: #5c5f66; --line: #d9dade; --accent: #0b63a5; --card: #fff; }
@media (prefers-color-scheme: dark) { :root { --bg: #16181b; --fg: #e8e8e6; --dim: #a3a7ae; --line: #34373d; --accent: #6db3ea; --card: #1e2125; } }
* { box-sizing: border-box; } body { margin: 0 auto; padding: 1rem; max-width: 90rem; background: var(--bg); color: var(--fg); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } h1, h2, h3, p, li { overflow-wrap: anywhere; } p, li { max-width: 85ch; } .dim { color: var(--dim); } a { color: var(--accent); }
nav { display: flex; flex-wrap: wrap; gap: 1rem; } .scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; background: var(--card); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; min-width: 100%; } th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: pre-line; vertical-align: top; }
th { font-size: .85rem; vertical-align: bottom; } .words { text-align: left; overflow-wrap: anywhere; min-width: 8rem; } tbody tr:last-child td { border-bottom: 0; }
"""


@dataclass(frozen=True)
class _Link:
    """A text that leads to a page of the site."""

    text: str
    page: str


_Cell = str | _Link


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a site shows.

    board: tables over all submissions. steps: what each submission changed, the oldest first. problems: sentences about what was not
    taken. title, command, papers, audits, costs: as of :func:`~findna_bench.leaderboard.html.html_files`.
    """

    board: Leaderboard
    steps: Sequence[Step]
    problems: Sequence[str] = ()
    title: str = "Leaderboard"
    command: str | None = None
    papers: Sequence[Paper] = ()
    audits: Mapping[str, Sequence[Verdict]] | None = None
    costs: Costs | None = None


def site_files(site: Site) -> dict[str, str]:
    """All files of a site.

    Args:
        site: what it shows.

    Returns:
        Path within the site -> content; ``index.html`` leads to all others.
    """
    return _Pages(site).all()


def write_site(folder: Path, files: Mapping[str, str]) -> None:
    """Write a site, and remove what an earlier one had there and this one has not.

    Raises:
        OutputError: a file cannot be written.
    """
    before = _listed(folder)
    for name, content in files.items():
        write_atomic(folder / name, content)
    for name in sorted(before - files.keys()):
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot remove {folder / name}, which is no longer part of the site: {error.strerror}"
            ) from error
    write_atomic(folder / LIST, json.dumps(sorted(files), indent=0) + "\n")


def _listed(folder: Path) -> set[str]:
    """Files of an earlier site; what leads out of the folder is none."""
    try:
        names = json.loads((folder / LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    plain = {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
    return {name for name in plain if not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts}


class _Pages:
    def __init__(self, site: Site) -> None:
        self.site = site
        tables = site.board.tables
        self.rows = [(table, row) for table in tables for row in table.rows]
        self.models = _paths("models", {row.model for _, row in self.rows})
        self.tasks = _paths("tasks", {column.name for table in tables for column in table.columns})
        self.suites = _paths("suites", {table.suite for table in tables}, "/index.html")

    def all(self) -> dict[str, str]:
        files = {"index.html": self._index(), "history.html": self._history()}
        for suite, path in self.suites.items():
            files |= self._suite(suite, path)
        files |= {path: self._model(model, path) for model, path in self.models.items()}
        return files | {path: self._task(task, path) for task, path in self.tasks.items()}

    # ------------------------------------------------------------------------------------------------------- the pages

    def _index(self) -> str:
        board, at = self.site.board, "index.html"
        parts = [_paragraphs(board.notes), _paragraphs(self.site.problems)]
        if (whole := overview(board, self.site.costs)) is not None:
            parts += [_heading("Overview"), _paragraphs([OVERVIEW_LEGEND]), self._overview(whole, at)]
        suites = [
            (_Link(suite, path), str(len(found)), str(sum(len(table.rows) for table in found)))
            for suite, path in self.suites.items()
            for found in [[table for table in board.tables if table.suite == suite]]
        ]
        parts += [_heading("Suites"), _table(("suite", "tables", "rows"), suites, at)]
        models = [(_Link(model, path), *self._about(model)) for model, path in self.models.items()]
        parts += [_heading("Models"), _table(("model", "parameters", "licence", "tasks"), models, at, words=1)]
        tasks = [(_Link(task, path), str(self._scored(task))) for task, path in self.tasks.items()]
        parts += [_heading("Tasks"), _table(("task", "rows with a number"), tasks, at)]
        parts += [_heading("Submissions"), self._submissions(at)]
        if not board.tables:
            parts.append(_paragraphs(["There are no results yet."]))
        return self._page(at, self.site.title, parts)

    def _overview(self, whole: Grid, at: str) -> str:
        """With a link where a line's model has a page."""
        named = {row_label(row): self.models[row.model] for _, row in self.rows}
        rows = [
            (
                _Link(line[0], named[plain]) if (plain := line[0].removesuffix(" (control)")) in named else line[0],
                *line[1:],
            )
            for line in whole.rows
        ]
        return _table(whole.header, rows, at)

    def _about(self, model: str) -> tuple[str, str, str]:
        rows = [row for _, row in self.rows if row.model == model]
        tasks = {name for row in rows for name, entry in row.entries.items() if entry.value is not None}
        licences = sorted({row.licence for row in rows if row.licence})
        return PARAMETERS.text(rows[0]), ", ".join(licences) or "–", str(len(tasks))

    def _scored(self, task: str) -> int:
        return sum(_value(row, task) is not None for _, row in self.rows)

    def _suite(self, suite: str, path: str) -> dict[str, str]:
        """The interactive page of one suite, and what it shows when a cell is pressed."""
        site = self.site
        board = replace(site.board, tables=tuple(table for table in site.board.tables if table.suite == suite))
        files = html_files(
            board, title=f"{site.title}: {suite}", command=site.command, papers=site.papers, audits=site.audits, costs=site.costs,
            links=[(text, _href(page, path)) for text, page in self._navigation()],
        )  # fmt: skip
        return {f"{path.removesuffix('index.html')}{name}": content for name, content in files.items()}

    def _model(self, model: str, at: str) -> str:
        own = [(table, row) for table, row in self.rows if row.model == model]
        result = self.site.board.models.get(model)
        parts = [] if result is None else [_table(("", ""), _facts(result, own[0][1]), at, words=2)]
        for table, row in own:
            lines = [self._of_model(table, row, column) for column in table.columns if column.name in row.entries]
            parts += [_heading(f"{table.name}: {row_label(row)}" if row.settings else table.name)]
            parts += [_table(("task", "metric", "value", "place", "best", "flags"), lines, at, words=2)]
            parts.append(_paragraphs([f"Flags: {', '.join(row.flags)}"] if row.flags else []))
        return self._page(at, model, parts)

    def _of_model(self, table: SuiteTable, row: Row, column: TaskColumn) -> tuple[_Cell, ...]:
        order = _order(table, column)
        place = next((number for number, other in order if other is row), None)
        best = order[0][1] if order else None
        shown = (
            "–"
            if best is None
            else f"{row_label(best)} {format_entry(best.entries[column.name]).partition(chr(10))[0]}"
        )
        entry = row.entries[column.name]
        return (
            _Link(column.name, self.tasks[column.name]), metric_label(column.metric), _score(entry),
            "–" if place is None else f"{place} of {len(order)}", shown, ", ".join(flags_of(entry.results)) or "–",
        )  # fmt: skip

    def _task(self, task: str, at: str) -> str:
        parts = []
        for table in self.site.board.tables:
            column = next((column for column in table.columns if column.name == task), None)
            if column is None:
                continue
            order = [(str(place), row) for place, row in _order(table, column)]
            ranked = {id(row) for _, row in order}
            order += [("–", row) for row in table.rows if task in row.entries and id(row) not in ranked]
            lines = [self._of_task(place, row, task) for place, row in order]
            parts += [_heading(table.name), _paragraphs(_about_column(column))]
            parts.append(
                _table(("place", "model", metric_label(column.metric), "n", "parameters", "flags"), lines, at, words=2)
            )
            parts.append(_paragraphs(score_notes(table)))
        verdicts = (self.site.audits or {}).get(task, ())
        if verdicts:
            parts += [
                _heading("What the audit says"),
                _paragraphs([f"{v.route}: {v.level}. {v.text}" for v in verdicts]),
            ]
        return self._page(at, task, parts)

    def _of_task(self, place: str, row: Row, task: str) -> tuple[_Cell, ...]:
        entry = row.entries[task]
        control = " (control)" if row.control else ""
        return (
            place, _Link(row_label(row) + control, self.models[row.model]), _score(entry), str(entry.n), PARAMETERS.text(row),
            ", ".join(flags_of(entry.results)) or "–",
        )  # fmt: skip

    def _history(self) -> str:
        at = "history.html"
        parts = [_paragraphs(self.site.problems)]
        for number, step in reversed(list(enumerate(self.site.steps, 1))):
            submission = step.submission
            numbers = sum(result.status == "success" for result in submission.results)
            digest = [f"sha256 of the bundle: {submission.sha256}"] if submission.sha256 else []
            parts.append(f'<h2 id="submission-{number}">{_text(submission.name)}</h2>')
            parts.append(_paragraphs([f"{submission.date[:10]}, {numbers} fits with a number", *digest]))
            for title, grid in (("Scores", step.scores), ("Best of a task", step.leaders)):
                if grid.rows:
                    parts += [f"<h3>{_text(title)}</h3>", self._changes(grid, at)]
            if not step.scores.rows and not step.leaders.rows:
                parts.append(_paragraphs(["It changed nothing that is shown."]))
        return self._page(at, "What each submission changed", parts)

    def _changes(self, grid: Grid, at: str) -> str:
        """With a link where a task has a page."""
        task = grid.header.index("task")
        rows = [
            tuple(
                _Link(cell, self.tasks[cell]) if i == task and cell in self.tasks else cell
                for i, cell in enumerate(row)
            )
            for row in grid.rows
        ]
        return _table(grid.header, rows, at, words=grid.words)

    def _submissions(self, at: str) -> str:
        lines = [
            (
                _Link(step.submission.name, f"history.html#submission-{number}"), step.submission.date[:10],
                str(len(step.submission.results)), str(len(step.scores.rows)),
            )
            for number, step in reversed(list(enumerate(self.site.steps, 1)))
        ]  # fmt: skip
        return _table(("submission", "date", "results", "cells changed"), lines, at)

    # ---------------------------------------------------------------------------------------------------------- layout

    def _navigation(self) -> list[tuple[str, str]]:
        return [(self.site.title, "index.html"), ("History", "history.html")]

    def _page(self, at: str, title: str, parts: Iterable[str]) -> str:
        links = "".join(f'<a href="{_text(_href(page, at))}">{_text(text)}</a>' for text, page in self._navigation())
        legend = LEGEND.replace("**", "").replace("<u>", "").replace("</u>", "")
        made = (
            f'<p class="dim">This site was made by <code>{_text(self.site.command)}</code>.</p>'
            if self.site.command
            else ""
        )
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
        return (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<title>{_text(title)}</title>\n<link rel="icon" href="data:,">\n'
            f"<style>{_STYLE}</style>\n</head>\n<body>\n<nav>{links}</nav>\n<h1>{_text(title)}</h1>\n"
            + "\n".join(part for part in parts if part)
            + f'\n<details><summary>How to read the numbers</summary><p class="dim">{_text(legend)}</p></details>\n{made}\n</body>\n</html>\n'
        )


def _paths(folder: str, names: Iterable[str], end: str = ".html") -> dict[str, str]:
    """Where the page of each name lies: alike in upper and lower case are told apart, as some file systems do not do it."""
    paths: dict[str, str] = {}
    taken = set[str]()
    for name in sorted(names):
        parts = [_segment(part) for part in name.split("/")]
        path = "/".join([folder, *parts])
        if path.casefold() in taken:
            path += f"-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"
        taken.add(path.casefold())
        paths[name] = path + end
    return paths


def _segment(name: str) -> str:
    segment = path_segment(printable(name))
    if len(segment) <= _LONGEST:
        return segment
    return f"{segment[:_LONGEST]}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _href(page: str, at: str) -> str:
    """A link from one page to another."""
    path, mark, place = page.partition("#")
    return "../" * at.count("/") + quote(path) + mark + place


def _text(text: str) -> str:
    """Any text as HTML shows it, in an element or in an attribute."""
    return html.escape("\n".join(map(printable, text.split("\n"))), quote=True)


def _heading(text: str) -> str:
    return f"<h2>{_text(text)}</h2>"


def _paragraphs(texts: Iterable[str]) -> str:
    return "\n".join(f'<p class="dim">{_text(text)}</p>' for text in texts)


def _table(header: Sequence[str], rows: Sequence[Sequence[_Cell]], at: str, *, words: int = 1) -> str:
    def tag(kind: str, number: int, content: str) -> str:
        scope = ' scope="col"' if kind == "th" else ""
        of = ' class="words"' if number < words else ""
        return f"<{kind}{scope}{of}>{content}</{kind}>"

    def cell(found: _Cell) -> str:
        if isinstance(found, str):
            return _text(found)
        return f'<a href="{_text(_href(found.page, at))}">{_text(found.text)}</a>'

    head = "".join(tag("th", number, _text(name)) for number, name in enumerate(header))
    lines = ["".join(tag("td", number, cell(found)) for number, found in enumerate(row)) for row in rows]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    top = f"<thead><tr>{head}</tr></thead>" if any(header) else ""
    return f'<div class="scroll"><table>{top}<tbody>\n{body}\n</tbody></table></div>'


def _facts(result: Result, row: Row) -> list[tuple[str, str]]:
    model = result.model
    facts: list[tuple[str, Any]] = [
        ("kind", model.kind), ("parameters", PARAMETERS.text(row)), ("licence", model.licence), ("backbone", model.backbone),
        ("distribution", " ".join(filter(None, (model.distribution, model.version)))), ("weights", model.weights.source),
        ("digest of the weights", model.weights.digest), ("pooling", model.pooling),
    ]  # fmt: skip
    return [(name, str(value)) for name, value in facts if value and value != "–"]


def _value(row: Row, task: str) -> float | None:
    entry = row.entries.get(task)
    return entry.value if entry else None


def _score(entry: Entry) -> str:
    reason = f"\n{entry.reason}" if entry.value is None and entry.reason else ""
    return format_entry(entry) + reason


def _order(table: SuiteTable, column: TaskColumn) -> list[tuple[int, Row]]:
    """Rows with a number, the best first, with their place; ties share one."""
    found = [(value, row) for row in table.rows if (value := _value(row, column.name)) is not None]
    found.sort(key=lambda one: one[0], reverse=column.higher_is_better)
    values = [value for value, _ in found]
    return [(values.index(value) + 1, row) for value, row in found]


def _about_column(column: TaskColumn) -> list[str]:
    facts = [f"{column.n_test:,} test rows"] if column.n_test is not None else []
    facts += [f"{column.n_classes} classes"] if column.n_classes else []
    facts += [f"share of the largest class {100 * column.chance:.2f} %"] if column.chance is not None else []
    facts += [f"flags: {', '.join(column.flags)}"] if column.flags else []
    facts += [column.why_not] if column.why_not else []
    return ["; ".join(facts)] if facts else []
