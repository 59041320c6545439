"""Pairs in tables: rows that hold two sequences, such as an enhancer and a promoter, or two parts of a genome that may touch.

Two columns hold the sides, ``sequence_a, sequence_b`` (or another spelling, :data:`~findna_bench.data.tabular.SIDE_COLUMNS`). Two more are optional: ``distance``, the bases
between the sides, and ``strand``. A row that lacks a side is a row without a sequence, which readers refuse or drop by their one rule. What
looks like a pair and says nothing is kept, for all models alike, and counted: a side of N alone (padding), two sides that are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from findna_bench.data.table import SequenceTable
from findna_bench.data.tabular import (
    SEQUENCE_COLUMNS,
    SIDE_COLUMNS,
    STRANDS,
    RawTable,
    cell_text,
    is_number,
    label_text,
)
from findna_bench.data.variants import element_names
from findna_bench.errors import DataError
from findna_bench.sequences.alphabet import normalise_all

__all__ = [
    "N_STRATA",
    "PAIR_COLUMNS",
    "holds_pairs",
    "pair_sides",
    "pair_table",
    "with_strata",
]

PAIR_COLUMNS = ("distance", "strand")
"""Entries of :attr:`SequenceTable.extra` of a table of pairs, where its rows have them: float64, NaN where one is not known, and str."""
N_STRATA = 5
"""Strata of distance, of as many rows each as equal distances allow."""
UNKNOWN_DISTANCE = "no distance"


def holds_pairs(raw: RawTable) -> bool:
    """Whether the rows of a table are pairs, by its columns: both sides, and no column of single sequences.

    Raises:
        DataError: there is one side alone.
    """
    if raw.first_of(SEQUENCE_COLUMNS) is not None:
        return False
    if any(a in raw.columns and b in raw.columns for a, b in SIDE_COLUMNS):
        return True
    for sides in SIDE_COLUMNS:
        if there := [name for name in sides if name in raw.columns]:
            (missing,) = set(sides) - set(there)
            raise DataError(
                f"{raw.origin}: a column {there[0]} is one side of pairs; add {missing}, or call it sequence"
            )
    return False


def pair_sides(raw: RawTable) -> tuple[str, str]:
    """The columns of both sides, of a table of which :func:`holds_pairs` is true.

    Raises:
        DataError: the table has none.
    """
    found = next((sides for sides in SIDE_COLUMNS if set(sides) <= raw.columns.keys()), None)
    if found is None:
        raise DataError(
            f"{raw.origin}: no columns sequence_a and sequence_b among {', '.join(raw.columns)}, as in the others"
        )
    return found


def pair_table(raw: RawTable, table: SequenceTable) -> SequenceTable:
    """The other side, distances and strands of a table whose first side is read; ``raw.notes`` count what says nothing.

    Args:
        raw: as it was read.
        table: its rows, with the first side as their sequences.

    Raises:
        DataError: a side is no DNA, or a distance no number; the row is named.
    """
    _, column = pair_sides(raw)
    other = normalise_all([cell_text(value) for value in raw.columns[column]], raw.where)
    padding = [
        i for i, pair in enumerate(zip(table.sequences, other, strict=True)) if not all(s.strip("N") for s in pair)
    ]
    same = [i for i, (one, two) in enumerate(zip(table.sequences, other, strict=True)) if one == two]
    for rows, what in ((padding, "pairs have a side of N alone"), (same, "pairs have the same sequence on both sides")):
        if rows:
            first = raw.where(rows[0]).removeprefix(raw.origin + ", ")
            raw.notes.append(f"{raw.origin}: {len(rows):,} of {len(raw):,} {what} (first: {first}); they are kept")
    extra = {**element_names(raw), **_columns(raw)}
    return replace(table, sequences_b=other, lower=None, extra=table.extra | extra)


def _columns(raw: RawTable) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    if "distance" in raw.columns:
        found["distance"] = np.array([_distance(raw, row) for row in range(len(raw))], dtype=np.float64)
    if "strand" in raw.columns:
        texts = [label_text(value) for value in raw.columns["strand"]]
        if (row := next((i for i, text in enumerate(texts) if text not in STRANDS), None)) is not None:
            raise DataError(f"{raw.where(row)}: strand {texts[row]!r} is none; give +, - or nothing")
        found["strand"] = np.array([STRANDS[text] for text in texts], dtype=str)
    return found


def _distance(raw: RawTable, row: int) -> float:
    text = label_text(raw.columns["distance"][row])
    if not text:
        return float("nan")
    if not is_number(text):
        raise DataError(
            f"{raw.where(row)}: distance {text!r} is no number of bases; leave it empty where it is not known"
        )
    return abs(float(text))


def with_strata(tables: Mapping[str, SequenceTable]) -> dict[str, SequenceTable]:
    """Tables of pairs whose rows name (``extra["element"]``) the stratum of distance that they are in, where distances are known.

    Strata are quantiles of the distances of all rows of all splits, so that a split made anew has the same ones. They say nothing of labels.
    """
    if not all("distance" in table.extra for table in tables.values()):
        return dict(tables)
    distances = np.concatenate([table.extra["distance"] for table in tables.values()])
    edges, names = _strata(distances[np.isfinite(distances)])
    return {
        split: replace(table, extra={**table.extra, "element": _named(table.extra["distance"], edges, names)})
        for split, table in tables.items()
    }


def _strata(distances: np.ndarray) -> tuple[np.ndarray, Sequence[str]]:
    """Inner edges of the strata, and a name for each stratum: the shortest and longest distance in it."""
    if not len(distances):
        return np.zeros(0), ()
    inner = np.quantile(distances, np.arange(1, N_STRATA) / N_STRATA, method="inverted_cdf")
    edges = np.unique(inner[inner < distances.max()])
    number = np.searchsorted(edges, distances, side="left")
    names = []
    for stratum in range(len(edges) + 1):
        own = distances[number == stratum]
        low, high = (f"{value:,.0f}" if value == round(value) else f"{value:,g}" for value in (own.min(), own.max()))
        names.append(f"distance {low}" if low == high else f"distance {low} to {high}")
    return edges, names


def _named(distances: np.ndarray, edges: np.ndarray, names: Sequence[str]) -> np.ndarray:
    known = np.isfinite(distances)
    number = np.searchsorted(edges, distances, side="left")
    return np.array([names[i] if k else UNKNOWN_DISTANCE for i, k in zip(number.tolist(), known.tolist(), strict=True)])
