"""Data sets of variants by their place in a genome, in one published table; windows are cut from the assembly that the card names.

The card's ``config`` is the recipe:

* ``files``: endings of the table's path; ``format``: a file name that says of what format it is, where its own does not.
* ``columns``: ``chrom``, ``pos``, ``ref``, ``alt``, ``label`` (or ``value``), and where there are any ``element`` (what scores are listed by), ``group`` (rows
  that belong together), ``tss_dist`` and ``split`` -> the names that they may have. Without ``ref`` the genome's base is the reference.
* ``first``: number of the first base of a contig (1 unless it says 0). ``flank``: bases on either side of the site.
* ``classes``: what stands in the label column, in lower case -> a label of the card; anything else is an error. ``splits``: the same of splits for the split
  column; without one all rows are test.
* ``keep``: column -> values of rows that the data set's authors use; the others are counted.
* ``alleles``: ``ref-alt``, or ``either``, where the genome's base may be the second of the two. The two are exchanged then, and counted, which
  a score without sign does not see: the card's ``effect`` has to be ``absolute``.

Rows that cannot be scored are left out by the rules of :mod:`findna_bench.data.variants`, the same ones for every model, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.catalog import SPLITS
from findna_bench.data.genome_windows import DEFAULT_FLANK, GenomeWindows
from findna_bench.data.published_files import PublishedFiles, PublishedRows
from findna_bench.data.reference import check_assembly
from findna_bench.data.table import SequenceTable
from findna_bench.data.tabular import RawTable, is_number, label_text, rows_to_table
from findna_bench.data.variants import variant_extras, variant_rows
from findna_bench.errors import DataError

__all__ = ["labels_by_name", "named_columns", "read_genome_variants", "rows_kept", "split_rows"]

_NEEDED = ("chrom", "pos", "alt")


def read_genome_variants(card: TaskCard, files: PublishedFiles) -> PublishedRows | None:
    """The rows of a card; None where its table is not there.

    Raises:
        DataError: a column is missing, a label is none of the card's, there is no genome, or it is of another assembly.
    """
    raw = files.table(card, card.config["files"], card.config.get("format"))
    if raw is None:
        return None
    file = raw.origin.rpartition("/")[2]
    raw, kept = rows_kept(card, raw)
    named = named_columns(card, raw, _NEEDED)
    genome = GenomeWindows(files.genome(card), int(card.config.get("flank", DEFAULT_FLANK)), files.cache_dir)
    check_assembly(card, genome.path, genome.lengths)
    notes = [*kept, *_place_alleles(card, named, genome)]
    named.columns["id"] = _ids(named)
    scored = variant_rows(named, genome)
    table = rows_to_table(scored, card.labels, _truth(card, scored))
    table = replace(table, extra=table.extra | variant_extras(scored))
    remarks = [note.replace(raw.origin, file) for note in scored.notes]
    short = tuple(note for note in remarks if "left out" in note)
    notes += [note for note in remarks if "left out" not in note]
    return PublishedRows(split_rows(card, scored, table), short, tuple(notes))


def rows_kept(card: TaskCard, raw: RawTable) -> tuple[RawTable, list[str]]:
    """The rows that the data set's authors use (``keep``), and how many they do not."""
    keep: Mapping[str, Sequence[str]] = card.config.get("keep", {})
    for column in keep:
        if column not in raw.columns:
            raise DataError(f"{raw.origin}: no column {column} among {', '.join(raw.columns)}")
    rows = [
        row
        for row in range(len(raw))
        if all(label_text(raw.columns[column][row]).lower() in values for column, values in keep.items())
    ]
    if len(rows) == len(raw):
        return raw, []
    if not rows:
        raise DataError(f"{raw.origin}: none of its {len(raw):,} rows are those that {', '.join(keep)} select")
    file = raw.origin.rpartition("/")[2]
    left = len(raw) - len(rows)
    return raw.take(rows), [
        f"{file}: {left:,} of {len(raw):,} rows are not used, as its authors do ({', '.join(keep)})"
    ]


def named_columns(card: TaskCard, raw: RawTable, needed: Sequence[str]) -> RawTable:
    """The columns of a recipe under the recipe's names.

    Raises:
        DataError: one that is ``needed``, or that the recipe reads labels from, is not there.
    """
    found: dict[str, list[Any]] = {}
    for name, known in card.config["columns"].items():
        column = raw.first_of(tuple(known))
        if column is not None:
            found[name] = list(raw.columns[column])
        elif name in needed or name in ("label", "value", "split"):
            raise DataError(f"{raw.origin}: no column {' or '.join(known)} among {', '.join(raw.columns)}")
    named = raw.take(range(len(raw)))
    named.columns = found
    return named


def labels_by_name(card: TaskCard, raw: RawTable) -> np.ndarray:
    """(n,) int64: the column ``label`` by the recipe's ``classes``."""
    classes: Mapping[str, str] = card.config["classes"]
    number = {text: card.labels.index(name) for text, name in classes.items()}
    texts = [label_text(value).lower() for value in raw.columns["label"]]
    for row, text in enumerate(texts):
        if text not in number:
            raise DataError(f"{raw.where(row)}: label {text!r} is none of {', '.join(number)}")
    return np.array([number[text] for text in texts], dtype=np.int64)


def split_rows(card: TaskCard, raw: RawTable, table: SequenceTable) -> dict[str, SequenceTable]:
    """The rows of each split by the column ``split``; all are test where the recipe has none.

    Raises:
        DataError: a split is none of the recipe's.
    """
    if "split" not in raw.columns:
        return {"test": table}
    ours: Mapping[str, str] = card.config["splits"]
    names = [label_text(value).lower() for value in raw.columns["split"]]
    for row, name in enumerate(names):
        if name not in ours:
            raise DataError(f"{raw.where(row)}: split {name!r} is none of {', '.join(ours)}")
    by_split = {split: [i for i, name in enumerate(names) if ours[name] == split] for split in SPLITS}
    return {split: table.take(rows) for split, rows in by_split.items() if rows}


def _truth(card: TaskCard, raw: RawTable) -> np.ndarray:
    if card.target == "classes":
        return labels_by_name(card, raw)
    texts = [label_text(value) for value in raw.columns["value"]]
    for row, text in enumerate(texts):
        if not is_number(text):
            raise DataError(f"{raw.where(row)}: value {text!r} is no number")
    return np.array([[float(text)] for text in texts])


def _place_alleles(card: TaskCard, raw: RawTable, genome: GenomeWindows) -> list[str]:
    """Positions from 1, and a reference allele: the genome's, where the table has none or has it second. What was done, in words."""
    first = int(card.config.get("first", 1))
    places = [label_text(value) for value in raw.columns["pos"]]
    for row, text in enumerate(places):
        if not text.isdecimal():
            raise DataError(f"{raw.where(row)}: pos {text!r} is no whole number")
    raw.columns["pos"] = [int(text) + 1 - first for text in places]
    raw.columns["chrom"] = [label_text(value) for value in raw.columns["chrom"]]
    either = card.config.get("alleles") == "either"
    if either and card.effect != "absolute":
        raise DataError(f"{card.full_name}: alleles in either order need effect absolute, whose score has no sign")
    if "ref" in raw.columns and not either:
        return []
    bases = [genome.base(c, p - 1) for c, p in zip(raw.columns["chrom"], raw.columns["pos"], strict=True)]
    if "ref" not in raw.columns:
        raw.columns["ref"] = bases
        return [f"{raw.origin.rpartition('/')[2]}: no column of reference alleles; the genome's bases are taken"]
    turned = [row for row, base in enumerate(bases) if base and _allele(raw, "alt", row) == base]
    for row in turned:
        raw.columns["ref"][row], raw.columns["alt"][row] = raw.columns["alt"][row], raw.columns["ref"][row]
    if not turned:
        return []
    file = raw.origin.rpartition("/")[2]
    return [
        f"{file}: in {len(turned):,} of {len(raw):,} rows the second allele is the genome's base and taken as reference"
    ]


def _allele(raw: RawTable, column: str, row: int) -> str:
    return label_text(raw.columns[column][row]).upper()


def _ids(raw: RawTable) -> list[str]:
    """``CHROM:POS:REF>ALT``, numbered where a variant is there several times."""
    seen: Counter[str] = Counter()
    found = []
    for values in zip(*(raw.columns[name] for name in ("chrom", "pos", "ref", "alt")), strict=True):
        name = "{}:{}:{}>{}".format(*values)
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return found
