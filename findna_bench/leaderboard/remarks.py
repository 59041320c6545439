"""What stands beside a number: flags and warnings of fits, in the same words on screen and on every page. Plain text."""

from __future__ import annotations

from collections.abc import Iterable

from findna_bench.errors import listed
from findna_bench.leaderboard.score_tables import Row, SuiteTable
from findna_bench.leaderboard.wording import row_label, short
from findna_bench.results.flags import warnings_of

__all__ = ["fit_warnings", "task_flags"]


def task_flags(table: SuiteTable) -> tuple[str, ...]:
    """``species4: partial (700 of 900), leak``, a line for each task that has flags."""
    return tuple(f"{short(c.name)}: {', '.join(c.flags)}" for c in table.columns if c.flags)


def fit_warnings(table: SuiteTable) -> tuple[str, ...]:
    """``kmer on species4: the fit did not converge ... (3 of 5 fits)``, one line per row and kind of warning."""
    return tuple(line for row in table.rows for line in _of_row(row, alone=len(table.columns) == 1))


def _of_row(row: Row, *, alone: bool) -> Iterable[str]:
    kinds: dict[str, dict[str, list[str]]] = {}
    for name, entry in row.entries.items():
        for kind, text in warnings_of(entry.results).items():
            kinds.setdefault(kind, {}).setdefault(text, []).append(short(name))
    for texts in kinds.values():
        tasks = list(dict.fromkeys(task for named in texts.values() for task in named))
        text = next(iter(texts)) if len(texts) == 1 else _without_count(next(iter(texts))) + ", and the like"
        yield f"{row_label(row)}{'' if alone else f' on {listed(tasks, 5)}'}: {text}"


def _without_count(text: str) -> str:
    head, bracket, count = text.rpartition(" (")
    return (head if bracket and count.endswith(" fits)") else text).removesuffix(", and the like")
