"""Rows whose sequence or label is missing: refused, or left out and counted where the user says so. One rule for all readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from findna_bench.data.tabular import SEQUENCE_COLUMNS, SIDE_COLUMNS, RawTable, cell_text, is_missing
from findna_bench.errors import DataError

__all__ = ["without_missing"]

_MOST_SHOWN = 4


def without_missing(raw: RawTable, columns: Sequence[str], *, drop: bool) -> RawTable:
    """The rows that have a value in each of ``columns``; ``notes`` of the table that is returned count the others.

    Raises:
        DataError: there are others and they are not to be dropped, or nothing else is there.
    """
    missing = {name: [row for row, value in enumerate(raw.columns[name]) if is_missing(value)] for name in columns}
    dropped = {row for rows in missing.values() for row in rows}
    if not dropped:
        return raw
    if not drop:
        raise _refused(raw, missing, min(dropped), len(dropped))
    kept = [row for row in range(len(raw)) if row not in dropped]
    if not kept:
        raise DataError(
            f"{raw.origin}: all {len(raw):,} rows lack a {' or a '.join(n for n, r in missing.items() if r)}"
        )
    found = raw.take(kept)
    found.numbers = kept
    parts = [f"{len(rows):,} without {name}{_spelt(raw, name, rows)}" for name, rows in missing.items() if rows]
    found.notes = [
        *raw.notes,
        f"{raw.origin}: {len(dropped):,} of {len(raw):,} rows are dropped, {' and '.join(parts)}",
    ]
    return found


def _spelt(raw: RawTable, column: str, rows: Sequence[int]) -> str:
    """How missing values are written, as one of these may be meant as a name: `` ('NA' 3, empty 1)``."""
    counts = Counter(cell_text(raw.columns[column][row]) for row in rows)
    shown = ", ".join(f"{text!r} {n:,}" if text else f"empty {n:,}" for text, n in counts.most_common(_MOST_SHOWN))
    return f" ({shown})"


def _refused(raw: RawTable, missing: dict[str, list[int]], row: int, count: int) -> DataError:
    where = raw.where(row)
    if all(cell_text(values[row]) == "" for values in raw.columns.values()):
        what = "the row is empty; remove it"
    else:
        name = next(name for name, rows in missing.items() if row in rows)
        text = cell_text(raw.columns[name][row])
        holds_sequences = name in (*SEQUENCE_COLUMNS, *chain.from_iterable(SIDE_COLUMNS))
        rename = "" if holds_sequences else "; rename a class of this name"
        meaning = f" ({text!r} stands for a missing value{rename})" if text else ""
        what = f"the row has no {name}{meaning}; complete it"
    return DataError(f"{where}: {what}, or leave out all {count:,} such rows with --drop-missing")
