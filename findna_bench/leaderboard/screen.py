"""The table on screen at the end of a run."""

from __future__ import annotations

import sys

from findna_bench.leaderboard.remarks import fit_warnings, task_flags
from findna_bench.leaderboard.table import Leaderboard, SuiteTable, ranked, reference_control
from findna_bench.leaderboard.wording import MetricNames, fits, format_entry, percent, row_label, short

__all__ = ["render_screen"]


def render_screen(board: Leaderboard) -> None:
    """Print all tables: rich ones on a terminal, tab-separated lines elsewhere."""
    if not board.tables:
        print("no results")
    for table in board.tables:
        if sys.stdout.isatty():
            _rich(table)
        else:
            _plain(table)
        for row in table.rows:
            for name, entry in row.entries.items():
                if entry.reason:
                    print(f"{row_label(row)} on {short(name)}: {entry.status}: {entry.reason}")
        for line in task_flags(table):
            print(f"flags of {line}")
        for line in fit_warnings(table):
            print(f"warning: {line}")
        if table.missing:
            print(f"no number for: {', '.join(short(name) for name in table.missing)}")
    for note in board.notes:
        print(note)


def _header(table: SuiteTable) -> list[str]:
    return [
        "model",
        "parameters",
        *(f"{short(c.name)} ({MetricNames[c.metric]})" for c in table.columns),
        "mean",
        "n",
        "flags",
    ]


def _plain(table: SuiteTable) -> None:
    print(f"# {table.name}")
    print("\t".join(_header(table)))
    for row in table.rows:
        cells = [format_entry(row.entries.get(c.name), newline=" ") for c in table.columns]
        mean = percent(row.mean) if row.mean is not None else "-"
        print(
            "\t".join(
                [row_label(row), f"{row.n_parameters or '-'}", *cells, mean, fits(row), ", ".join(row.flags) or "-"]
            )
        )


def _rich(table: SuiteTable) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    screen = Table(title=table.name, title_justify="left", header_style="bold")
    for index, name in enumerate(_header(table)):
        screen.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    places = [ranked(table.rows, column) for column in table.columns]
    for index, row in enumerate(table.rows):
        cells = [
            Text(row_label(row), style="dim" if row.control else ""),
            Text(f"{row.n_parameters:,}" if row.n_parameters else "-"),
        ]
        for (best, second), column in zip(places, table.columns, strict=True):
            style = "bold" if index in best else "underline" if index in second else ""
            cells.append(Text(format_entry(row.entries.get(column.name), newline="\n"), style=style))
        mean = percent(row.mean) if row.mean is not None else "-"
        cells += [Text(mean), Text(fits(row)), Text(", ".join(row.flags) or "-")]
        screen.add_row(*cells)
    gains = ["best control on validation", ""]
    for column in table.columns:
        control = reference_control(table.rows, column)
        gains.append(control.label if control else "-")
    screen.add_section()
    screen.add_row(*(Text(cell, style="dim") for cell in (*gains, "", "", "")))
    Console().print(screen)
