"""Published figures for the page of a suite: beside our rows where :func:`~findna_bench.leaderboard.published.differences`
finds none, and otherwise apart, with the reasons.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from findna_bench.errors import listed
from findna_bench.grid import Grid
from findna_bench.leaderboard.published import NOT_STATED, Figure, Paper, differences
from findna_bench.leaderboard.score_tables import Entry, Row, SuiteTable
from findna_bench.leaderboard.wording import format_entry, number_range, row_label, short
from findna_bench.results.schema import Result

__all__ = ["Group", "Published", "as_percent", "figure_groups", "how_made", "published_tables"]


@dataclass(frozen=True)
class Group:
    """Figures of one table of one paper that were made in one way. why: what keeps our closest rows from standing beside them."""

    name: str
    how: str
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """What papers print on the tasks of a suite.

    comparable: our rows that may stand beside a paper's, and those, with how the papers' were made (``comparable_groups``); None
    where there is no such pair. others: the other figures. notes: what does not fit in either, neutral sentences. sources: per paper.
    """

    suite: str
    comparable: Grid | None
    comparable_groups: tuple[Group, ...]
    others: Grid | None
    other_groups: tuple[Group, ...]
    notes: tuple[str, ...]
    sources: tuple[str, ...]


def published_tables(tables: Sequence[SuiteTable], papers: Iterable[Paper]) -> Published | None:
    """All score figures on the tasks that have a column in the tables of one suite; None where no paper prints any."""
    tasks = list(dict.fromkeys(column.name for table in tables for column in table.columns))
    papers = list(papers)
    printed = {f.task for paper in papers for found in figure_groups(paper, tasks).values() for f in found}
    ours = [_ours(table, row, printed) for table in tables for row in table.rows]
    comparable: list[tuple[str, Figure]] = []
    others: list[tuple[str, Figure]] = []
    groups: dict[bool, list[Group]] = {True: [], False: []}
    sources = []
    for paper in papers:
        found = figure_groups(paper, tasks)
        sources += [f"{paper.key}: {paper.title}, {paper.source}"] if found else []
        for name, figures in found.items():
            about = paper.table_abouts.get(figures[0].table, "")
            for fair, kept in ((True, comparable), (False, others)):
                part = [f for f in figures if any(row.differences(f) == () for row in ours) is fair]
                if part:
                    why = () if fair else _reasons(ours, part)
                    groups[fair].append(Group(name + (f": {about}" if about else ""), how_made(part), why))
                    kept += [(name, figure) for figure in part]
    if not sources:
        return None
    return Published(
        tables[0].suite,
        _grid(tasks, comparable, ours) if comparable else None,
        tuple(groups[True]),
        _grid(tasks, others) if others else None,
        tuple(groups[False]),
        _notes([*comparable, *others]),
        tuple(sources),
    )


def figure_groups(paper: Paper, tasks: Sequence[str]) -> dict[str, list[Figure]]:
    """Score figures by ``paper, table N``; quoted ones are groups of their own, as another paper made them."""
    groups: dict[str, list[Figure]] = {}
    for figure in paper.figures:
        if figure.kind == "score" and figure.task in tasks:
            name = f"{figure.paper}, table {figure.table}" + (f", quoted from {figure.quoted}" if figure.quoted else "")
            groups.setdefault(name, []).append(figure)
    return groups


@dataclass(frozen=True)
class _Ours:
    """A row of ours: its entries with a number, and the results behind each as JSON of schema 1, by task."""

    table: str
    label: str
    entries: Mapping[str, Entry]
    records: Mapping[str, Sequence[Mapping[str, Any]]]

    def differences(self, figure: Figure) -> tuple[str, ...] | None:
        """What keeps this row from standing beside a figure; None where it has no number on the figure's task."""
        if figure.task not in self.entries:
            return None
        return tuple(dict.fromkeys(why for r in self.records[figure.task] for why in differences(r, figure)))


def _ours(table: SuiteTable, row: Row, tasks: Collection[str]) -> _Ours:
    """A row on those tasks on which papers print something."""
    entries = {task: entry for task, entry in row.entries.items() if entry.value is not None and task in tasks}
    metrics = {column.name: column.metric for column in table.columns}
    records = {task: [_as_shown(r, metrics[task]) for r in entry.results] for task, entry in entries.items()}
    return _Ours(table.name, row_label(row), entries, records)


def _as_shown(result: Result, metric: str) -> dict[str, Any]:
    """JSON of a result, with the metric that the table shows as its main one."""
    return result.to_dict() | {"metrics": {"main": {"name": metric}}}


def _reasons(ours: Sequence[_Ours], figures: Sequence[Figure]) -> tuple[str, ...]:
    """What differs between each figure and the row of ours that is closest to it: every kind once, with an example."""
    kinds: dict[str, set[str]] = {}
    for figure in figures:
        found = [clauses for row in ours if (clauses := row.differences(figure)) is not None]
        for clause in min(found, key=lambda clauses: (len(clauses), clauses), default=()):
            kinds.setdefault(clause.partition(":")[0].partition(" (")[0], set()).add(clause)
    if not kinds:
        return ("no number of ours",)
    if "protocol" in kinds:  # what else differs follows from it
        kinds = {"protocol": kinds["protocol"]}
    return tuple(
        min(clauses) + (f" (and {len(clauses) - 1} more such)" if len(clauses) > 1 else "")
        for clauses in kinds.values()
    )


def how_made(figures: Sequence[Figure]) -> str:
    """In one line: protocol, metric, runs, kind of ±, selection, budget, split, and what the paper does not state."""
    spread = sorted({f.spread_kind for f in figures if f.spread_kind})
    runs, epochs = ({f.n_runs for f in figures}, {f.epochs for f in figures})
    selection = {f.selection for f in figures}
    facts = {
        "protocol": None if figures[0].protocol == NOT_STATED else figures[0].protocol,
        "metric": ", ".join(dict.fromkeys(f.metric for f in figures)),
        "number of runs": None if None in runs else f"{_numbers(runs)} {'run' if runs == {1} else 'runs'}",
        "±": f"± {', '.join(spread)}" if spread else "no ±",
        "selection split": None if NOT_STATED in selection else f"selection on {', '.join(sorted(selection))}",
        "epochs": None if None in epochs else f"{_numbers(epochs)} epochs",
        "split": ", ".join(dict.fromkeys(f"split {f.split}" for f in figures)),
        "test rows": None if any(f.n_test is None for f in figures) else "",
    }
    unknown = [name for name, value in facts.items() if value is None]
    return "; ".join([*filter(None, facts.values()), *([f"not stated: {', '.join(unknown)}"] if unknown else [])])


def _numbers(values: Iterable[int | None]) -> str:
    return number_range(value for value in values if value is not None)


def as_percent(figure: Figure) -> str:
    """A score in percent with every digit as printed."""
    shift = 2 if figure.unit == "fraction" else 0

    def shown(printed: str) -> str:
        return format(Decimal(printed).scaleb(shift), "f")

    return shown(figure.value) + (f" ± {shown(figure.spread)}" if figure.spread is not None else "")


def _grid(tasks: Sequence[str], figures: Sequence[tuple[str, Figure]], ours: Sequence[_Ours] = ()) -> Grid:
    """One line per comparable row of ours and per printed row; one column per task that has a figure, with its test rows."""
    used = [task for task in tasks if any(figure.task == task for _, figure in figures)]
    lines = []
    for row in ours:
        fair = {figure.task for _, figure in figures if row.differences(figure) == ()}
        cells = {t: f"{format_entry(e, newline=' ')} (n={e.n})" for t, e in row.entries.items() if t in fair}
        lines += [(f"here ({row.table})", row.label, cells)] if cells else []
    printed: dict[tuple[str, str], dict[str, str]] = {}
    for name, figure in figures:
        label = figure.label + (f" ({figure.variant})" if figure.variant else "")
        printed.setdefault((name, label), {})[figure.task] = as_percent(figure)
    lines += [(name, label, cells) for (name, label), cells in printed.items()]
    rows_of = {task: _numbers(figure.n_test for _, figure in figures if figure.task == task) for task in used}
    return Grid(
        ("source", "row", *(f"{short(task)} (test rows {rows_of[task]})" for task in used)),
        tuple((source, label, *(cells.get(task, "–") for task in used)) for source, label, cells in lines),
        words=2,
    )


def _notes(figures: Sequence[tuple[str, Figure]]) -> tuple[str, ...]:
    """Notes beside figures, equal ones once, with the figures they are about."""
    about: dict[str, list[str]] = {}
    for name, figure in figures:
        for note in figure.notes:
            where = f"{name}, {figure.label} on {short(figure.task)}, {as_percent(figure)}"
            about.setdefault(note, []).append(where)
    return tuple(f"{listed(places, 1)}: {note}" for note, places in about.items())
