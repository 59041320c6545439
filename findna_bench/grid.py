"""A table of text: as Markdown (by tabulate), on a terminal (by rich) and as tab-separated lines in a pipe."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from findna_bench.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Grid", "code", "escape", "markdown_table", "print_grid"]


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

    def to_markdown(self, *, words: int | None = None) -> list[str]:
        """Lines of a Markdown table in which every cell reads as the text that it is.

        Args:
            words: leading columns that are set to the left, where it is not those of the grid.
        """
        lines = (self.header, *self.rows)
        header, *rows = [["<br>".join(map(escape, cell.split("\n"))) for cell in line] for line in lines]
        return markdown_table(header, rows, words=self.words if words is None else words)


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
    text = printable(re.sub(r"\s+", " ", text))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text)


def code(text: str) -> str:
    """A command as Markdown shows code, whatever stands in it."""
    if re.fullmatch(r"[^`<>&\n]+", text) and printable(text) == text:
        return f"`{text}`"
    return f"<code>{escape(text)}</code>"


def print_grid(grid: Grid, styles: Mapping[tuple[int, int], str] | None = None) -> None:
    """Print a table and its notes: a rich one on a terminal, tab-separated lines below ``# title`` elsewhere.

    Args:
        grid: what to print; characters that could move the cursor or end a cell are shown as numbers.
        styles: rich's style of some cells, by (row, column).
    """
    if grid.rows and sys.stdout.isatty():
        _print_rich(grid, styles or {})
    else:
        print(f"# {printable(grid.title)}")
        for row in (grid.header, *grid.rows) if grid.rows else ():
            print("\t".join(printable(cell.replace("\n", " ")) for cell in row))
    for note in grid.notes:
        print(printable(note))


def _print_rich(grid: Grid, styles: Mapping[tuple[int, int], str]) -> None:
    """Lines and columns; where the terminal is too narrow for words alone, a block for each row."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, words_alone = Console(), grid.words == len(grid.header)
    if words_alone and not _words_fit(grid, console.width):
        _print_blocks(console, grid)
        return
    screen = Table(title=Text(printable(grid.title)), title_justify="left", header_style="bold")
    for number, name in enumerate(grid.header):
        justify: Literal["left", "right"] = "left" if number < grid.words else "right"
        screen.add_column(Text(printable(name)), justify=justify, overflow="fold", no_wrap=words_alone and number == 0)
    for i, row in enumerate(grid.rows):
        screen.add_row(*(Text(printable(cell), style=styles.get((i, j), "")) for j, cell in enumerate(row)))
    console.print(screen)


def _words_fit(grid: Grid, width: int) -> bool:
    """Whether the first column can stand unbroken (a name is there to be copied) and no word of the others is cut."""
    first = max(len(row[0]) for row in (grid.header, *grid.rows))
    others = [
        max(len(word) for cell in column for word in (cell.split() or [""]))
        for column in zip(grid.header, *grid.rows, strict=True)
    ][1:]
    return first + sum(others) + 3 * len(grid.header) + 1 <= width


def _print_blocks(console: Console, grid: Grid) -> None:
    """A name on a line of its own, what is known about it below."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(Text(printable(grid.title), style="italic"))
    for name, *cells in grid.rows:
        console.print(Text(printable(name), style="bold"))
        known = {c: cell for c, cell in zip(grid.header[1:], cells, strict=True) if cell not in ("", "-")}
        summary = known.pop("summary", "")
        facts = "; ".join(f"{column}: {cell}" for column, cell in known.items())
        for text, style in ((summary, ""), (facts, "dim")):
            if text:
                console.print(Padding(Text(printable(text), style=style), (0, 0, 0, 4)))
