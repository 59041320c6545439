"""The tables on screen at the end of a run."""

from __future__ import annotations

from dataclasses import replace

from findna_bench.grid import print_grid
from findna_bench.leaderboard.columns import columns_of, places, score_grid
from findna_bench.leaderboard.reference_controls import reference_control
from findna_bench.leaderboard.remarks import fit_warnings, task_flags
from findna_bench.leaderboard.score_tables import Leaderboard, SuiteTable
from findna_bench.leaderboard.wording import row_label, short
from findna_bench.terminal import printable

__all__ = ["render_screen"]

_STYLES = {1: "bold", 2: "underline"}


def render_screen(board: Leaderboard) -> None:
    """Print all tables: rich ones on a terminal, tab-separated lines elsewhere."""
    if not board.tables:
        print("no results")
    for table in board.tables:
        styles = {cell: _STYLES[place] for cell, place in places(table).items()}
        styles |= {(number, 0): "dim" for number, row in enumerate(table.rows) if row.control}
        print_grid(replace(score_grid(table), notes=tuple(_notes(table))), styles)
    for note in board.notes:
        print(printable(note))


def _notes(table: SuiteTable) -> list[str]:
    chosen = {
        c.label: control.label
        for c in columns_of(table)
        if c.task and (control := reference_control(table.rows, c.task))
    }
    notes = (
        [f"best control on validation: {', '.join(f'{label} {name}' for label, name in chosen.items())}"]
        if chosen
        else []
    )
    notes += [
        f"{row_label(row)} on {short(name)}: {entry.status}: {entry.reason}"
        for row in table.rows
        for name, entry in row.entries.items()
        if entry.reason
    ]
    notes += [f"flags of {line}" for line in task_flags(table)]
    notes += [f"warning: {line}" for line in fit_warnings(table)]
    if table.missing:
        notes.append(f"no number for: {', '.join(short(name) for name in table.missing)}")
    return notes
