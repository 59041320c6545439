"""Data sets of variants in one published table, whose windows are put together from the table itself.

The card's ``config`` is the recipe: ``files`` (names of the table, without endings), ``columns`` (``element``, ``chrom``, ``pos``, ``value`` and
whatever ``at_least`` names -> the names that they may have), ``keep`` (column -> values of rows that are read, where there is such
a column), ``at_least`` (column -> lowest number), ``alleles`` (``snv``, or ``all``), and ``elements``, how many are published.

Every element's window is its reference bases in the order of their positions, N where the table has none. All rows are test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.archives import Tree
from findna_bench.data.table import SequenceTable
from findna_bench.data.table_files import read_table, table_suffix
from findna_bench.data.tabular import (
    RawTable,
    contig_name,
    is_number,
    label_text,
    rows_to_table,
)
from findna_bench.data.variants import variant_extras, variant_rows
from findna_bench.errors import DataError
from findna_bench.unpacking import without_compression

__all__ = ["read_variant_table"]


def read_variant_table(card: TaskCard, tree: Tree) -> tuple[SequenceTable, list[str]] | None:
    """The rows of a card, and where they fall short of what is published, in words; None where its table is not below ``tree``.

    Raises:
        DataError: there are two such tables, a column is missing, a value is no number, or two rows disagree about a reference base.
    """
    names = [file for file in tree.files if _stem(file) in card.config["files"]]
    if not names:
        return None
    if len(names) > 1:
        raise DataError(f"{tree.label}: {names[0]} and {names[1]} are both tables of {card.full_name}; leave one")
    with tree.open(names[0]) as stream:
        raw = read_table(stream, names[0], tree.origin(names[0]))
    rows = _rows(card, raw)
    named = variant_rows(_chosen(card, rows))
    table = rows_to_table(named, card.labels, np.array([[float(value)] for value in named.columns["value"]]))
    if left_out := [note for note in named.notes if "left out" in note]:
        raise DataError(left_out[0])
    table = replace(table, extra=table.extra | variant_extras(named))
    published, held = card.config.get("elements"), len(set(rows.columns["element"]))
    short = [f"{held} of {published} published experiments"] if published and held != published else []
    return table, short


def _stem(file: str) -> str:
    plain = without_compression(file.rpartition("/")[2])
    return plain.rpartition(".")[0] if table_suffix(plain) else ""


def _rows(card: TaskCard, raw: RawTable) -> RawTable:
    """Rows that are measured and wanted, under the recipe's names, with their windows."""
    keep, names = card.config.get("keep", {}), card.config["columns"]
    found = {name: raw.first_of(tuple(known)) for name, known in names.items()} | {"ref": "ref", "alt": "alt"}
    for name, column in found.items():
        if column is None or column not in raw.columns:
            raise DataError(
                f"{raw.origin}: no column {' or '.join(names.get(name, (name,)))} among {', '.join(raw.columns)}"
            )
    rows = [
        row
        for row in range(len(raw))
        if all(label_text(raw.columns[c][row]) in values for c, values in keep.items() if c in raw.columns)
        and label_text(raw.columns[str(found["value"])][row])
    ]
    columns = {name: [label_text(raw.columns[str(column)][row]) for row in rows] for name, column in found.items()}
    where = raw.where
    for name in ("pos", "value", *card.config.get("at_least", {})):
        for number, text in enumerate(columns[name]):
            if not is_number(text):
                raise DataError(f"{where(rows[number])}: {found[name]} {text!r} is no number")
    named = raw.take(rows)
    named.columns = {name: list(values) for name, values in columns.items()}
    return _with_windows(named)


def _with_windows(raw: RawTable) -> RawTable:
    """Columns ``sequence``, ``offset`` and ``id`` of rows that name element, chrom, pos, ref and alt."""
    bases: dict[str, dict[int, str]] = {}
    positions = [int(text) for text in raw.columns["pos"]]
    for row, (element, position, ref) in enumerate(
        zip(raw.columns["element"], positions, raw.columns["ref"], strict=True)
    ):
        for shift, base in enumerate(ref.upper()):
            if bases.setdefault(element, {}).setdefault(position + shift, base) != base:
                raise DataError(f"{raw.where(row)}: ref is {ref}, another row of {element} has another base there")
    first = {element: min(known) for element, known in bases.items()}
    window = {
        element: "".join(known.get(position, "N") for position in range(first[element], max(known) + 1))
        for element, known in bases.items()
    }
    elements = raw.columns["element"]
    contigs = [contig_name(text) for text in raw.columns["chrom"]]
    raw.columns |= {
        "chrom": contigs,
        "sequence": [window[element] for element in elements],
        "offset": [position - first[element] for element, position in zip(elements, positions, strict=True)],
    }
    raw.columns["id"] = _ids(raw)
    return raw


def _ids(raw: RawTable) -> list[str]:
    """``ELEMENT:POS:REF>ALT``, numbered where a variant was measured twice."""
    columns = raw.columns
    names = [
        f"{element}:{position}:{ref}>{alt}"
        for element, position, ref, alt in zip(
            columns["element"], columns["pos"], columns["ref"], columns["alt"], strict=True
        )
    ]
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return found


def _chosen(card: TaskCard, raw: RawTable) -> RawTable:
    """Those rows that the card wants."""
    at_least: Mapping[str, Any] = card.config.get("at_least", {})
    single = card.config.get("alleles", "all") == "snv"
    rows = [
        row
        for row in range(len(raw))
        if all(float(raw.columns[column][row]) >= least for column, least in at_least.items())
        and (not single or _is_snv(raw.columns["ref"][row], raw.columns["alt"][row]))
    ]
    if not rows:
        raise DataError(f"{raw.origin}: none of its rows are of {card.full_name}")
    return raw.take(rows)


def _is_snv(ref: str, alt: str) -> bool:
    return len(ref) == len(alt) == 1 and {*ref.upper(), *alt.upper()} <= set("ACGT")
