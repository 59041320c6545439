"""How numbers and names read, the same on every kind of page."""

from __future__ import annotations

from collections.abc import Iterable

from findna_bench.leaderboard.score_tables import Entry, Row

__all__ = ["LEGEND", "fits", "format_entry", "percent", "points", "row_label", "short"]

LEGEND = (
    "Values are percent. A value is the mean over n fits; ± is the standard deviation over seeds (ddof 1) and is absent where "
    "one deterministic fit stands for all seeds, or where all fits came to the same value. Brackets hold the 95 % interval over "
    "groups of related test rows and, where n is above 1, over fits, the same as in `findna-bench compare`; with one fit of something "
    "that varies it covers the choice of test rows alone. [too few] stands where there are fewer than 10 groups of the rarer class. "
    "**Bold** is the best of a column, <u>underlined</u> the runner-up, controls included; a difference inside the "
    "intervals is no evidence of an order: `findna-bench compare` tests one."
)


def short(name: str) -> str:
    """A task's name without its suite."""
    return name.partition("/")[2] or name


def percent(value: float, scale: float = 100.0) -> str:
    """In percent, or in the units of a metric."""
    return f"{scale * value:.2f}"


def points(difference: float, scale: float = 100.0) -> str:
    """A difference in points, or in the units of a metric, with its sign."""
    return f"{scale * difference:+.2f}"


def format_entry(entry: Entry | None, *, newline: str = "\n") -> str:
    """``83.12 ± 0.40`` and ``[81.0, 85.2]`` in a second line, or the word that says why there is no number."""
    if entry is None:
        return "–"
    if entry.status != "success" or entry.value is None:
        return entry.status if entry.status != "success" else "undefined"
    scale = entry.scale
    text = percent(entry.value, scale)
    if entry.spread is not None:
        shown = f"{scale * entry.spread:.2f}"
        text += f" ± {shown}" if float(shown) else " ± <0.01"
    if entry.too_few:
        text += f"{newline}[too few]"
    elif entry.low is not None and entry.high is not None:
        decimals = 1 if scale == 100.0 else 2
        text += f"{newline}[{scale * entry.low:.{decimals}f}, {scale * entry.high:.{decimals}f}]"
    return text


def row_label(row: Row) -> str:
    return row.model + (f" ({', '.join(row.settings)})" if row.settings else "")


def fits(row: Row) -> str:
    """Number of fits behind the row's values: one number, or the range over tasks."""
    return number_range(e.n for e in row.entries.values() if e.value is not None)


def number_range(values: Iterable[int]) -> str:
    """``3``, ``3–5`` or a dash."""
    counts = sorted(set(values))
    return "–" if not counts else str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
