"""Data sets of one-hot sequences in an HDF5 file, one group per split.

The card's ``config`` is the recipe:

* ``files``: endings of the file's path. ``splits``: the file's names of splits -> ours.
* ``groups``: the group of a split (``{split}`` is the file's name of it) -> what its rows are listed as (``element``), or nothing.
* ``labels``: ``insertions`` (one split, no groups; arrays ``positive`` and ``shuffled`` (words, m, L, 4): each row is a variant between the two, see
  :func:`_insertions`), ``pairs`` (arrays ``seqs`` and ``ctrls``: two rows each, the second label of the card and the first, never separated by a split), ``classes`` (arrays
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
        if card.config["labels"] == "insertions":
            return PublishedRows({"test": _insertions(file, path.name)})
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


def _insertions(file: Any, where: str) -> SequenceTable:
    """Words written into the middle of the same sequences, and what their shuffled letters look like there: a row per word and sequence, whose
    reference is the one and whose alternative the other, from the first base to the last in which they differ.

    Every second sequence has the word as the alternative (label 1), the others as the reference (label 0). Rows lie strand by strand, two for each
    sequence, which are of one label and, over all words, of one group.
    """
    whole, shuffled = (_array(file, key, where, dimensions=4) for key in ("positive", "shuffled"))
    if whole.shape != shuffled.shape:
        raise DataError(f"{where}: positive is {whole.shape} and shuffled {shuffled.shape}; they belong together")
    names: dict[str, list[Any]] = {
        name: [] for name in ("sequence", "id", "label", "group", "offset", "ref", "alt", "element")
    }
    for word in range(len(whole)):
        of_word, of_letters = (
            list(_sequences(array[word], f"{where}, word {word}", key))
            for array, key in ((whole, "positive"), (shuffled, "shuffled"))
        )
        for row, (with_word, without) in enumerate(zip(of_word, of_letters, strict=True)):
            differ = [place for place, (one, other) in enumerate(zip(with_word, without, strict=True)) if one != other]
            if not differ:
                raise DataError(f"{where}: positive and shuffled hold the same sequence in row {row} of word {word}")
            first, stop, label = differ[0], differ[-1] + 1, (row // 2 + 1) % 2
            reference, alternative = (without, with_word) if label else (with_word, without)
            values = (reference, f"word-{word}-{row}", label, f"sequence {row // 2}", first, reference[first:stop])
            for name, value in zip(names, (*values, alternative[first:stop], f"word {word}"), strict=True):
                names[name].append(value)
    return SequenceTable(
        sequences=names["sequence"],
        labels=np.array(names["label"], dtype=np.int64),
        ids=np.array(names["id"]),
        group=np.array(names["group"]),
        extra={name: np.array(names[name]) for name in ("offset", "ref", "alt", "element")},
    )


def _array(group: Any, key: str, where: str, *, dimensions: int) -> Any:
    """One whose last dimension is the four letters.

    Raises:
        DataError: there is none.
    """
    array = group.get(key)
    if array is None or getattr(array, "ndim", 0) != dimensions or array.shape[-1] != 4:
        shape = getattr(array, "shape", "not there")
        raise DataError(f"{where}: array {key} is {shape}; ({'words, ' * (dimensions - 3)}rows, bases, 4) is needed")
    return array


def _decoded(group: Any, key: str, where: str) -> Iterator[str]:
    """Sequences, some thousand rows at a time."""
    yield from _sequences(_array(group, key, where, dimensions=3), where, key)


def _sequences(array: Any, where: str, key: str) -> Iterator[str]:
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
