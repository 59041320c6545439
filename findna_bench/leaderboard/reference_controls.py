"""The control that a task's models are set against, chosen on validation rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from findna_bench.leaderboard.score_tables import Row, TaskColumn

__all__ = ["Reference", "reference_control", "reference_note"]


@dataclass(frozen=True)
class Reference:
    """The control that a task's models are set against: the one that is best on validation rows, and its test value.

    unknown: controls that have a test value, but no validation score to be chosen by.
    """

    label: str
    value: float
    unknown: tuple[str, ...] = ()


def reference_control(rows: Sequence[Row], column: TaskColumn) -> Reference | None:
    """The control of a task that is best on validation rows, ties going to the first by name; None where no control has both a
    test value and a validation score.

    Never the best on test rows: the maximum over several test scores lies above what any of them is worth.
    """
    known, unknown = [], []
    for row in rows:
        entry = row.entries.get(column.name) if row.control else None
        if entry is None or entry.value is None:
            continue
        label = row.model + (f" ({', '.join(row.settings)})" if row.settings else "")
        if entry.validation is None:
            unknown.append(label)
        else:
            known.append((entry.validation * (-1 if column.higher_is_better else 1), label, entry.value))
    if not known:
        return None
    _, label, value = min(known)
    return Reference(label, value, tuple(sorted(unknown)))


def reference_note(rows: Sequence[Row], columns: Sequence[TaskColumn]) -> str:
    """Which controls could not be chosen as reference, and where; empty where all could."""
    found: dict[str, list[str]] = {}
    for column in columns:
        for row in rows:
            entry = row.entries.get(column.name) if row.control else None
            if entry is not None and entry.value is not None and entry.validation is None:
                found.setdefault(row.model, []).append(column.name.partition("/")[2] or column.name)
    if not found:
        return ""
    where = "; ".join(f"{model} on {', '.join(dict.fromkeys(names))}" for model, names in sorted(found.items()))
    return f"without a validation score, and so no reference: {where}"
