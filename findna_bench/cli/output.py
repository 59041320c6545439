"""How verbs speak: tables and JSON to stdout, progress and remarks to stderr, verbosity of this invocation."""

from __future__ import annotations

import contextvars
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_verbosity: contextvars.ContextVar[int] = contextvars.ContextVar("verbosity", default=0)


def set_verbosity(level: int) -> None:
    """-1 quiet, 0 normal, 1 verbose (tracebacks, per-cell remarks)."""
    _verbosity.set(level)


def verbosity() -> int:
    return _verbosity.get()


def print_json(value: Any) -> None:
    """JSON and nothing else on stdout."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, notes: Sequence[str] = ()) -> None:
    """A table on a terminal (blocks where a table is too wide for it), tab-separated lines in a pipe (so that `cut` and `grep` work)."""
    if not sys.stdout.isatty():
        print("\t".join(header))
        for row in rows:
            print("\t".join(row))
        for note in notes:
            print(f"# {note}")
        return
    from rich.console import Console
    from rich.text import Text

    console, rows = Console(), list(rows)
    if _words_fit(header, rows, console.width):
        _print_grid(console, title, header, rows)
    else:
        _print_blocks(console, title, header, rows)
    for note in notes:
        console.print(Text(note, style="dim"))


def _words_fit(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Whether a grid can hold the first column unbroken (a name is there to be copied) and no word of the others is cut."""
    first = max(len(row[0]) for row in [header, *rows])
    others = (
        max(len(word) for cell in column for word in (cell.split() or [""]))
        for column in zip(header, *rows, strict=True)
    )
    next(others)
    return first + sum(others) + 3 * len(header) + 1 <= width


def _print_grid(console: Console, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", header_style="bold")
    for number, column in enumerate(header):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _print_blocks(console: Console, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A name on a line of its own, what is known about it below."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(Text(title, style="italic"))
    for name, *cells in rows:
        console.print(Text(name, style="bold"))
        known = {column: cell for column, cell in zip(header[1:], cells, strict=True) if cell not in ("", "-")}
        summary = known.pop("summary", "")
        for text in (summary, "; ".join(f"{column}: {cell}" for column, cell in known.items())):
            if text:
                console.print(Padding(Text(text, style="" if text == summary else "dim"), (0, 0, 0, 4)))


def remark(text: str) -> None:
    """One line to stderr, unless quiet."""
    if verbosity() >= 0:
        print(text, file=sys.stderr, flush=True)
