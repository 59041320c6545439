"""Data sets of a FASTA file per split, with the numbers of its records in a table beside it, row by row.

The card's ``config`` is the recipe: ``fasta`` and ``values`` (names of the two files, ``{split}`` where the split stands), ``splits`` (our name ->
theirs), and ``columns`` (those of the table that hold the card's ``labels``, in their order).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.archives import Tree
from findna_bench.data.layouts import fasta_records
from findna_bench.data.table import SequenceTable
from findna_bench.data.table_files import read_table
from findna_bench.data.tabular import RawTable, is_number, label_text, rows_to_table
from findna_bench.errors import DataError
from findna_bench.unpacking import without_compression

__all__ = ["read_fasta_values"]


def read_fasta_values(card: TaskCard, trees: Sequence[Tree]) -> dict[str, SequenceTable]:
    """The splits of a card that lie below ``trees``.

    Raises:
        DataError: a split has one of its two files, or several; their rows differ in number, a column is missing, or a value is no number.
    """
    tables = {}
    for split, theirs in card.config["splits"].items():
        names = [str(card.config[kind]).format(split=theirs) for kind in ("fasta", "values")]
        found = [[(tree, file) for tree in trees for file in tree.files if _is(file, name)] for name in names]
        if not any(found):
            continue
        if any(len(files) != 1 for files in found):
            name, files = next((n, f) for n, f in zip(names, found, strict=True) if len(f) != 1)
            raise DataError(f"{card.full_name}: {name} is there {len(files)} times; each split needs it once")
        tables[split] = _rows(card, *found[0][0], *found[1][0])
    return tables


def _is(file: str, name: str) -> bool:
    return without_compression(file.rpartition("/")[2]) == name


def _rows(card: TaskCard, tree: Tree, fasta: str, beside: Tree, values: str) -> SequenceTable:
    records = list(fasta_records(tree, fasta))
    with beside.open(values) as stream:
        raw = read_table(stream, without_compression(values).rpartition(".")[0] + ".tsv", beside.origin(values))
    if len(raw) != len(records):
        raise DataError(
            f"{tree.origin(fasta)} has {len(records):,} records, {beside.origin(values)} has {len(raw):,} rows; they belong together "
            "row by row, so get both again"
        )
    truth = np.stack([_numbers(raw, column) for column in card.config["columns"]], axis=1)
    rows = RawTable(tree.origin(fasta), {"sequence": [text for _, text in records]}, first_row=1)
    return rows_to_table(rows, card.labels, truth)


def _numbers(raw: RawTable, column: str) -> np.ndarray:
    if column.lower() not in raw.columns:
        raise DataError(f"{raw.origin}: no column {column} among {', '.join(raw.columns)}")
    texts = [label_text(value) for value in raw.columns[column.lower()]]
    for row, text in enumerate(texts):
        if not is_number(text):
            raise DataError(f"{raw.where(row)}: {column} {text!r} is no number")
    return np.array([float(text) for text in texts])
