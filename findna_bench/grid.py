"""A table of text: as Markdown (by tabulate), on a terminal (by rich) and as tab-separated lines in a pipe."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Grid", "escape", "left_table", "markdown_table", "print_grid"]


@dataclass(frozen=True)
class Grid:
    """Cells as plain text; whoever shows them escapes them. A cell may have two lines.

    Attributes:
        header: one name per column.
        rows: cells, as many per row as the header has names.
        title: heading of the table.
        notes: sentences to print below it.
        words: leading columns that hold words, which are set to the left; the others hold numbers, set to the right.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    words: int = 1

    def to_markdown(self) -> list[str]:
        """Lines of a Markdown table in which every cell reads as the text that it is."""
        lines = (self.header, *self.rows)
        header, *rows = [["<br>".join(map(escape, cell.split("\n"))) for cell in line] for line in lines]
        return markdown_table(header, rows, words=self.words)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> list[str]:
    """Lines of a Markdown table of cells that are Markdown already, without a bare ``|``.

    Args:
        header: one name per column.
        rows: cells, as many per row as the header has names.
        words: leading columns that are set to the left; the others are set to the right.
    """
    from tabulate import tabulate

    align = ["left" if number < words else "right" for number in range(len(header))]
    text: str = tabulate(rows, header, tablefmt="pipe", disable_numparse=True, colalign=align, preserve_whitespace=True)
    return text.split("\n")


def escape(text: str) -> str:
    """Plain text as Markdown: no markup, no HTML, no table borders, one line."""
    text = re.sub(r"\s+", " ", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text)


def left_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table of cells that are Markdown already, with any ``|`` in them, all set to the left."""
    header, *rows = [[cell.replace("|", "\\|") for cell in line] for line in (header, *rows)]
    return markdown_table(header, rows, words=len(header))


def print_grid(grid: Grid, styles: Mapping[tuple[int, int], str] | None = None) -> None:
    """Print a table and its notes: a rich one on a terminal, tab-separated lines below ``# title`` elsewhere.

    Args:
        grid: what to print; characters that could move the cursor or end a cell become ``?``.
        styles: rich's style of some cells, by (row, column).
    """
    if grid.rows and sys.stdout.isatty():
        _print_rich(grid, styles or {})
    else:
        print(f"# {_printable(grid.title)}")
        for row in (grid.header, *grid.rows) if grid.rows else ():
            print("\t".join(_printable(cell.replace("\n", " ")) for cell in row))
    for note in grid.notes:
        print(_printable(note))


def _print_rich(grid: Grid, styles: Mapping[tuple[int, int], str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    screen = Table(title=Text(_printable(grid.title)), title_justify="left", header_style="bold")
    for number, name in enumerate(grid.header):
        screen.add_column(Text(_printable(name)), justify="left" if number < grid.words else "right", overflow="fold")
    for i, row in enumerate(grid.rows):
        screen.add_row(*(Text(_printable(cell), style=styles.get((i, j), "")) for j, cell in enumerate(row)))
    Console().print(screen)


def _printable(text: str) -> str:
    """Without control characters; lines of a cell stay lines."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
