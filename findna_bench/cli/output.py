"""How verbs speak: tables and JSON to stdout, progress and remarks to stderr, verbosity of this invocation."""

from __future__ import annotations

import contextvars
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from findna_bench.grid import Grid, print_grid
from findna_bench.terminal import printable, printable_json

__all__ = ["answer", "complain", "print_json", "print_table", "remark", "set_verbosity", "verbosity"]

_verbosity: contextvars.ContextVar[int] = contextvars.ContextVar("verbosity", default=0)


def set_verbosity(level: int) -> None:
    """-1 quiet, 0 normal, 1 verbose (tracebacks, per-cell remarks)."""
    _verbosity.set(level)


def verbosity() -> int:
    return _verbosity.get()


def answer(text: str = "", *, tabs: bool = False) -> None:
    """A line, or several, on stdout. tabs: whether tabulators separate its cells."""
    print("\t".join(map(printable, text.split("\t"))) if tabs else printable(text))


def print_json(value: Any) -> None:
    """JSON and nothing else on stdout."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(printable_json(text) + "\n")


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, notes: Sequence[str] = ()) -> None:
    """A table on a terminal (blocks where a table is too wide for it), tab-separated lines in a pipe (so that `cut` and `grep` work)."""
    if not sys.stdout.isatty():
        lines = ("\t".join([cell.replace("\n", " ") for cell in row]) for row in (header, *rows))
        answer("\n".join(lines), tabs=True)
        for note in notes:
            answer(f"# {note}")
        return
    print_grid(Grid(tuple(header), tuple(map(tuple, rows)), title, tuple(notes), words=len(header)))


def remark(text: str) -> None:
    """One line to stderr, unless quiet."""
    if verbosity() >= 0:
        print(printable(text), file=sys.stderr, flush=True)


def complain(text: str, *, name: str = "findna-bench: ") -> None:
    """One line to stderr, in any case."""
    print(printable(f"{name}{text}"), file=sys.stderr, flush=True)
