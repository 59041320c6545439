"""What stands below the scores of a table, declared once: Markdown and HTML draw the same grids and sentences."""

from __future__ import annotations

from findna_bench.grid import Grid
from findna_bench.leaderboard.reference_controls import reference_control, reference_note
from findna_bench.leaderboard.score_tables import Entry, Row, SuiteTable, TaskColumn
from findna_bench.leaderboard.wording import percent, points, row_label, short
from findna_bench.statistics.metric import metric_label

__all__ = ["control_note", "gain_grids", "score_notes", "task_grid", "without_numbers"]

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
            (row_label(row), *(_gain(row.entries.get(c.name), reference[c.name]) for c in table.columns))
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


def _gain(entry: Entry | None, reference: tuple[float, str] | None) -> str:
    if entry is None or entry.value is None or reference is None:
        return "–"
    return points(entry.value - reference[0], entry.scale)


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
