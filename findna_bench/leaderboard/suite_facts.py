"""What stands below the scores of a table, declared once: Markdown and HTML draw the same grids and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from findna_bench.grid import Grid
from findna_bench.leaderboard.reference_controls import reference_control, reference_note
from findna_bench.leaderboard.score_tables import Entry, Row, SuiteTable, TaskColumn
from findna_bench.leaderboard.wording import percent, points, row_label, short
from findna_bench.statistics.metric import metric_label

__all__ = ["control_note", "gain_grids", "group_grids", "score_notes", "task_grid", "without_numbers"]

MOST_GROUPS = 40
"""Groups that a table lists, the largest ones; results hold all."""
BEST = "the best control on validation (the one named, chosen by its validation score)"


def score_notes(table: SuiteTable) -> list[str]:
    """Sentences on the scores: what is outside the mean, what a seed changes, licences."""
    outside = [f"{short(c.name)} ({c.why_not})" for c in table.columns if c.why_not]
    reasons = sorted({row.mean_why_not for row in table.rows if row.mean_why_not})
    varied = sorted({v for row in table.rows for e in row.entries.values() for v in e.varies})
    licences = sorted({f"{row.model}: {row.licence}" for row in table.rows if row.licence})
    facts = (
        ("Outside the mean: ", ", ".join(outside)),
        ("Rows without a mean: ", "; ".join(reasons)),
        ("What a seed changes here: ", ", ".join(varied)),
        ("Licences of weights: ", "; ".join(licences)),
    )
    return [f"{opening}{words}." for opening, words in facts if words]


def gain_grids(table: SuiteTable) -> list[Grid]:
    """Gain over `trivial` first, where it ran, then over the control of each task that is best on validation rows."""
    trivial = next((row for row in table.rows if row.control and row.model == "trivial"), None)
    references = [("the control trivial", {c.name: _value(trivial, c) for c in table.columns})] if trivial else []
    chosen = {c.name: reference_control(table.rows, c) for c in table.columns}
    references.append((BEST, {name: (r.value, r.label) if r else None for name, r in chosen.items()}))
    models = [row for row in table.rows if not row.control]
    grids = []
    for words, reference in references:
        if not models or not any(reference.values()):
            continue
        over = [f"\nover {r[1]}" if (r := reference[c.name]) else "" for c in table.columns]
        header = ("model", *(short(c.name) + control for c, control in zip(table.columns, over, strict=True)))
        rows = tuple(
            (row_label(row), *(_gain(row.entries.get(c.name), reference[c.name], c) for c in table.columns))
            for row in models
        )
        grids.append(Grid(header, rows, title=f"Gain over {words}, points:"))
    return grids


def control_note(table: SuiteTable) -> str:
    """Why some controls are not among those that gains are measured against; empty where all are."""
    models = any(not row.control for row in table.rows)
    note = reference_note(table.rows, table.columns) if models else ""
    return f"Controls {note}." if note else ""


def _value(row: Row | None, column: TaskColumn) -> tuple[float, str] | None:
    entry = row.entries.get(column.name) if row else None
    return (entry.value, row.model) if row and entry and entry.value is not None else None


def _gain(entry: Entry | None, reference: tuple[float, str] | None, column: TaskColumn) -> str:
    """Above 0 where the model is better, whichever way the metric goes."""
    if entry is None or entry.value is None or reference is None:
        return "–"
    return points((entry.value - reference[0]) * (1 if column.higher_is_better else -1), entry.scale)


def group_grids(table: SuiteTable) -> list[Grid]:
    """Of every task whose results list scores by group: a line per group, then their mean, all rows together, and what a rule on the
    group alone reaches of them."""
    return [grid for column in table.columns if (grid := _groups_of(table, column)) is not None]


def _groups_of(table: SuiteTable, column: TaskColumn) -> Grid | None:
    found = [(row, e) for row in table.rows if (e := row.entries.get(column.name)) and _groups(e)]
    sizes = {name: int(group["n"]) for _, e in found for name, group in _groups(e).items()}
    if len(sizes) < 2:
        return None
    shown = set(sorted(sizes, key=lambda name: -sizes[name])[:MOST_GROUPS])
    lines = [
        (name, f"{n:,}", *(_group_score(e, column, name) for _, e in found))
        for name, n in sizes.items()
        if name in shown
    ]
    if len(sizes) > len(shown):
        rest = sum(n for name, n in sizes.items() if name not in shown)
        lines.append((f"{len(sizes) - len(shown):,} more, not shown", f"{rest:,}", *("–" for _ in found)))
    by_rows = any(r.metrics.grouping.get("weights") == "rows" for _, e in found for r in e.results)
    total = f"{sum(sizes.values()):,}"
    for of, words in (
        ("mean", "mean over groups, by their rows" if by_rows else "mean over groups"),
        ("pooled", "pooled"),
        ("rule", "pooled, a rule on the group alone"),
    ):
        lines.append((words, total, *(_of_grouping(e, column, of) for _, e in found)))
    title = f"{short(column.name)} by group, {metric_label(column.metric)}:"
    return Grid(("group", "n", *(row_label(row) for row, _ in found)), tuple(lines), title=title)


def _groups(entry: Entry) -> Mapping[str, Mapping[str, Any]]:
    return entry.results[0].metrics.groups if entry.results else {}


def _group_score(entry: Entry, column: TaskColumn, name: str) -> str:
    """Mean over fits; with its interval over rows where one fit stands for all."""
    each = [r.metrics.groups.get(name, {}) for r in entry.results]
    text = _mean_score([group.get(column.metric) for group in each], entry)
    interval = (each[0].get("intervals") or {}).get(column.metric) if len(each) == 1 else None
    if interval is None or text == "–":
        return text
    return f"{text}\n[{', '.join(f'{entry.scale * end:.{1 if entry.scale == 100.0 else 2}f}' for end in interval)}]"


def _of_grouping(entry: Entry, column: TaskColumn, of: str) -> str:
    return _mean_score([r.metrics.grouping.get(of, {}).get(column.metric) for r in entry.results], entry)


def _mean_score(values: Sequence[float | None], entry: Entry) -> str:
    known = [value for value in values if value is not None]
    return percent(sum(known) / len(known), entry.scale) if known and len(known) == len(values) else "–"


def task_grid(table: SuiteTable) -> Grid:
    """Its tasks: metric, size, and what flags they carry."""
    header = ("task", "metric", "classes", "test rows", "largest class %", "flags")
    rows = tuple(
        (
            short(c.name),
            metric_label(c.metric),
            str(c.n_classes),
            f"{c.n_test:,}" if c.n_test else "–",
            percent(c.chance) if c.chance else "–",
            ", ".join(c.flags) or "–",
        )
        for c in table.columns
    )
    return Grid(header, rows, title="Tasks", words=2)


def without_numbers(table: SuiteTable) -> list[str]:
    """Why cells have no number, or fewer fits."""
    return [
        f"{row_label(row)} on {short(name)}: {entry.status}: {entry.reason}"
        for row in table.rows
        for name, entry in row.entries.items()
        if entry.reason
    ]
