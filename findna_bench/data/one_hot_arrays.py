"""Data sets of one-hot sequences in an HDF5 file, one group per split.

The card's ``config`` is the recipe:

* ``files``: endings of the file's path. ``splits``: the file's names of splits -> ours.
* ``groups``: the group of a split (``{split}`` is the file's name of it) -> what its rows are listed as (``element``), or nothing.
* ``labels``: ``pairs`` (arrays ``seqs`` and ``ctrls``: two rows each, the second label of the card and the first, never separated by a split), ``classes`` (arrays
  ``seqs`` and ``labels``, numbers in the card's order), or ``numbers`` (arrays ``seqs`` and the one that ``values`` names).

Sequences are (n, L, 4) in the order A, C, G, T; four zeros are N.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.hdf5_arrays import open_hdf5, read_array
from findna_bench.data.published_files import PublishedFiles, PublishedRows
from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError

__all__ = ["read_one_hot"]

_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)
_AT_ONCE = 10_000


def read_one_hot(card: TaskCard, files: PublishedFiles) -> PublishedRows | None:
    """The rows of a card; None where its file is not there.

    Raises:
        DataError: an array is missing, arrays do not belong together, or hold what is no sequence or label. ModelError: h5py is not installed.
    """
    found = files.find(card, card.config["files"])
    if found is None:
        return None
    tables: dict[str, SequenceTable] = {}
    with files.local(*found) as path, open_hdf5(path) as file:
        for theirs, split in card.config["splits"].items():
            parts = []
            for group, element in card.config["groups"].items():
                name = str(group).format(split=theirs)
                if name in file:
                    parts.append(_rows(card, file[name], f"{path.name}, {name}", element))
            if parts:
                tables[split] = SequenceTable.concatenate(parts)
    return PublishedRows(tables) if tables else None


def _rows(card: TaskCard, group: Any, where: str, element: str | None) -> SequenceTable:
    how = card.config["labels"]
    sequences = list(_decoded(group, "seqs", where))
    name = where.partition(", ")[2].replace("/", ".")
    ids = np.array([f"{name}-{row}" for row in range(len(sequences))])
    together: np.ndarray | None = None
    labels: np.ndarray
    if how == "pairs":
        controls = list(_decoded(group, "ctrls", where))
        _same_number(where, "ctrls", len(controls), len(sequences))
        labels = np.repeat([1, 0], len(sequences)).astype(np.int64)
        together = np.concatenate([ids, ids])
        ids = np.concatenate([np.char.add(ids, f":{card.labels[k]}") for k in (1, 0)])
        sequences = [*sequences, *controls]
    elif how == "classes":
        labels = np.asarray(read_array(group, "labels", where)).astype(np.int64)
        _same_number(where, "labels", len(labels), len(sequences))
        if len(labels) and not (labels.min() >= 0 and labels.max() < len(card.labels)):
            raise DataError(f"{where}: a label lies outside 0 to {len(card.labels) - 1} ({', '.join(card.labels)})")
    else:
        key = str(card.config["values"])
        labels = np.asarray(read_array(group, key, where), dtype=np.float64).reshape(-1, 1)
        _same_number(where, key, len(labels), len(sequences))
        if not np.isfinite(labels).all():
            raise DataError(f"{where}: {key} of row {int(np.argmin(np.isfinite(labels[:, 0])))} is not a finite number")
    extra = {} if element is None else {"element": np.full(len(sequences), element)}
    return SequenceTable(sequences=sequences, labels=labels, ids=ids, group=together, extra=extra)


def _decoded(group: Any, key: str, where: str) -> Iterator[str]:
    """Sequences, some thousand rows at a time."""
    array = group.get(key)
    if array is None or getattr(array, "ndim", 0) != 3 or array.shape[2] != 4:
        shape = getattr(array, "shape", "not there")
        raise DataError(f"{where}: array {key} is {shape}; (rows, bases, 4) is needed")
    for first in range(0, array.shape[0], _AT_ONCE):
        part = np.asarray(array[first : first + _AT_ONCE])
        total = part.sum(axis=2)
        wrong = np.argwhere((total > 1) | (part.max(axis=2) > 1))
        if len(wrong):
            raise DataError(
                f"{where}: base {wrong[0][1]} of row {first + wrong[0][0]} of {key} is not one of A, C, G, T or none"
            )
        letters = _LETTERS[np.where(total == 0, 4, part.argmax(axis=2))]
        for row in letters:
            yield row.tobytes().decode("ascii")


def _same_number(where: str, key: str, n: int, rows: int) -> None:
    if n != rows:
        raise DataError(f"{where}: {key} has {n:,} rows, seqs has {rows:,}; they belong together row by row")
