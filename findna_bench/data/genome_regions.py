"""Data sets of regions of a genome in one published table; sequences are cut from the assembly that the card names.

The card's ``config`` is the recipe:

* ``files``: endings of the table's path; ``format``: a file name that says of what format it is, where its own does not.
* ``columns``: ``chrom``, ``start`` and ``end``, or ``pos`` alone, and where there are any ``label``, ``strand``, ``split``, ``element`` and ``group`` -> the names that they may
  have. ``first``: number of the first base of a contig (0 unless it says 1). A ``strand`` that the recipe does not name is not read.
* ``window``: bases of a window around the middle of a region, or around ``pos``. One that would leave its contig is cut short there and counted.
* ``labels``: how rows are labelled: ``classes`` (with ``classes``: text -> label), ``lists`` (numbers of labels, separated by commas), ``flags`` (a list of one 0
  or 1 per label, as JSON), ``array`` (an HDF5 file, ``array`` its endings, see :mod:`findna_bench.data.bed_files`), or ``numbers`` (a second table, ``numbers``
  its endings, whose columns are the card's labels in their order, row by row).
* ``splits``: what stands in the split column -> split; without one all rows are test.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.bed_files import STATE_LETTERS, array_columns, label_lists
from findna_bench.data.genome_variants import labels_by_name, named_columns, rows_kept, split_rows
from findna_bench.data.genome_windows import GenomeWindows
from findna_bench.data.hdf5_arrays import open_hdf5, read_array
from findna_bench.data.published_files import PublishedFiles, PublishedRows
from findna_bench.data.reference import check_assembly
from findna_bench.data.regions import region_rows
from findna_bench.data.tabular import RawTable, is_number, label_text, rows_to_table
from findna_bench.data.variants import element_names
from findna_bench.errors import DataError
from findna_bench.statistics.base_states import NO_STATE

__all__ = ["read_genome_regions"]


def read_genome_regions(card: TaskCard, files: PublishedFiles) -> PublishedRows | None:
    """The rows of a card; None where its table is not there.

    Raises:
        DataError: a column or a file of labels is missing, labels do not fit the rows or the card, there is no genome, or it is of another
            assembly.
    """
    raw = files.table(card, card.config["files"], card.config.get("format"))
    if raw is None:
        return None
    raw, notes = rows_kept(card, raw)
    centred = "pos" in card.config["columns"]
    named = named_columns(card, raw, ("chrom", "pos") if centred else ("chrom", "start", "end"))
    genome = GenomeWindows(files.genome(card), None, files.cache_dir)
    check_assembly(card, genome.path, genome.lengths)
    _place(card, named)
    named.columns |= _labels(card, named, files)
    if "window" in card.config:
        notes = [*notes, *_cut_windows(card, named, genome)]
    cut = region_rows(named, genome)
    file = raw.origin.rpartition("/")[2]
    notes = [*notes, *(note.replace(raw.origin, file) for note in cut.notes)]
    table = rows_to_table(cut, card.labels, _truth(card, cut))
    table = replace(table, extra=table.extra | element_names(cut))
    return PublishedRows(split_rows(card, cut, table), notes=tuple(notes))


def _place(card: TaskCard, raw: RawTable) -> None:
    """``start`` and ``end`` from 0, half open; of a position the base itself."""
    first = int(card.config.get("first", 0))
    for name in ("pos", "start", "end"):
        if name not in raw.columns:
            continue
        texts = [label_text(value) for value in raw.columns[name]]
        for row, text in enumerate(texts):
            if not text.isdecimal() or int(text) < first:
                raise DataError(f"{raw.where(row)}: {name} {text!r} is no place that counts from {first}")
        raw.columns[name] = [int(text) - first for text in texts]
    if "pos" in raw.columns:
        raw.columns["start"] = raw.columns.pop("pos")
        raw.columns["end"] = [place + 1 for place in raw.columns["start"]]


def _cut_windows(card: TaskCard, raw: RawTable, genome: GenomeWindows) -> list[str]:
    """Regions as windows of one length around their middles, shorter at the ends of contigs; how many these are, in words."""
    length = int(card.config["window"])
    starts, ends, short = [], [], 0
    places = zip(raw.columns["chrom"], raw.columns["start"], raw.columns["end"], strict=True)
    for chrom, start, end in places:
        whole = genome.length(label_text(chrom))
        first = (start + end) // 2 - length // 2
        last = first + length
        if whole is not None and start < whole:  # else the region is not in the genome, which is said of it below
            short += first < 0 or last > whole
            first, last = max(first, 0), min(last, whole)
        starts.append(max(first, 0))
        ends.append(last)
    raw.columns |= {"start": starts, "end": ends}
    return [f"{raw.origin.rpartition('/')[2]}: {short:,} windows that a contig's end cuts short"] if short else []


def _labels(card: TaskCard, raw: RawTable, files: PublishedFiles) -> dict[str, list[Any]]:
    """Columns of labels that are not in the table as they are needed."""
    how = card.config["labels"]
    if how == "lists":
        columns = label_lists(raw, always=True, n_labels=len(card.labels))
        return {name: columns[name] for name in columns if name not in raw.columns}
    if how == "flags":
        return _flags(card, raw)
    if how == "array":
        return _from_array(card, raw, files)
    if how == "numbers":
        return _numbers(card, raw, files)
    return {}


def _flags(card: TaskCard, raw: RawTable) -> dict[str, list[Any]]:
    rows = []
    for row, value in enumerate(raw.columns["label"]):
        try:
            flags = json.loads(value) if isinstance(value, str) else list(value)
        except (ValueError, TypeError):
            flags = None
        if not isinstance(flags, list) or len(flags) != len(card.labels) or any(flag not in (0, 1) for flag in flags):
            raise DataError(
                f"{raw.where(row)}: label {str(value)[:40]!r} is no list of {len(card.labels)} times 0 or 1"
            )
        rows.append(flags)
    truth = np.array(rows, dtype=np.int8)
    return {f"label_{number}": truth[:, number].tolist() for number in range(len(card.labels))}


def _from_array(card: TaskCard, raw: RawTable, files: PublishedFiles) -> dict[str, list[Any]]:
    found = files.find(card, card.config["array"])
    if found is None:
        raise DataError(
            f"{card.full_name}: {raw.origin} is there, and no array of labels ({' or '.join(card.config['array'])})"
        )
    with files.local(*found) as path, open_hdf5(path) as file:
        return array_columns(raw, read_array(file, "labels", path.name), path, card.target)


def _numbers(card: TaskCard, raw: RawTable, files: PublishedFiles) -> dict[str, list[Any]]:
    values = files.table(card, card.config["numbers"])
    if values is None:
        raise DataError(
            f"{card.full_name}: {raw.origin} is there, and no table of its values ({' or '.join(card.config['numbers'])})"
        )
    if len(values) != len(raw) or len(values.columns) != len(card.labels):
        raise DataError(
            f"{values.origin} has {len(values):,} rows of {len(values.columns):,} values; {len(raw):,} rows of {len(card.labels):,} are needed, row by row "
            f"with {raw.origin.rpartition('/')[2]}"
        )
    return {f"value_{number}": column for number, column in enumerate(values.columns.values())}


def _truth(card: TaskCard, raw: RawTable) -> np.ndarray:
    if card.target == "classes":
        return labels_by_name(card, raw)
    if card.target == "labels":
        return np.stack([np.asarray(raw.columns[f"label_{k}"], dtype=np.int8) for k in range(len(card.labels))], axis=1)
    if card.target == "per_base":
        return _states(card, raw)
    truth = np.empty((len(raw), len(card.labels)))
    for k in range(len(card.labels)):
        texts = [label_text(value) for value in raw.columns[f"value_{k}"]]
        for row, text in enumerate(texts):
            if not is_number(text):
                raise DataError(f"{raw.where(row)}: value {text!r} of {card.labels[k]} is no number")
        truth[:, k] = [float(text) for text in texts]
    return truth


def _states(card: TaskCard, raw: RawTable) -> np.ndarray:
    """(n, W) uint8; nothing counts at N."""
    code = np.full(256, NO_STATE, dtype=np.uint8)
    code[np.frombuffer(STATE_LETTERS[: len(card.labels)].encode(), dtype=np.uint8)] = np.arange(len(card.labels))
    truth = np.full((len(raw), max(map(len, raw.columns["states"]))), NO_STATE, dtype=np.uint8)
    beyond = set(STATE_LETTERS[len(card.labels) :])
    for row, (states, sequence) in enumerate(zip(raw.columns["states"], raw.columns["sequence"], strict=True)):
        if found := beyond & set(states):
            raise DataError(
                f"{raw.where(row)}: state {min(map(STATE_LETTERS.index, found))}; the card has {len(card.labels)}"
            )
        bases = np.frombuffer(sequence.encode(), dtype=np.uint8)
        truth[row, : len(states)] = np.where(
            bases == ord("N"), NO_STATE, code[np.frombuffer(states.encode(), np.uint8)]
        )
    return truth
