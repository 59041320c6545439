"""BED files with labels: a table with a header, separated by tabs, of ``chromosome``, ``start``, ``end`` and what rows are labelled with.

Other columns mean what they mean in any table, and some mean more here, as benchmarks write them:

* ``label`` with several numbers separated by commas: the labels (from 0) that a row has; an empty cell is a row with none.
* ``ref`` and ``alt``: a variant at ``start`` (from 0).
* A file of the same name that ends in ``.hdf5`` or ``.h5``, with an array ``labels`` of one row per row: classes (n,) or numbers (n,) or (n, K), labels
  of 0 and 1 (n, K), or states of bases: rows as long as their regions, or (with ``--target per_base``) a whole number of times shorter, where each
  entry stands for a bin of bases. Rows may have different lengths, or be filled up with -100.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from findna_bench.data.hdf5_arrays import open_hdf5, read_array
from findna_bench.data.table_files import read_table
from findna_bench.data.tabular import CONTIG_COLUMN, RawTable, label_text
from findna_bench.errors import DataError
from findna_bench.files import open_regular
from findna_bench.unpacking import decompressed, without_compression

__all__ = ["STATE_LETTERS", "array_columns", "is_bed", "label_lists", "read_bed"]

ARRAY = "labels"
FILLED = -100
"""What stands behind the end of a shorter row."""
STATE_LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
"""State k of an array is written as letter k."""
_UNKNOWN = "."
_LIST = re.compile(r"\d*(,\d+)*")
_SUFFIXES = (".hdf5", ".h5")


def is_bed(name: str) -> bool:
    """Whether a file is one, by its name."""
    return without_compression(name).lower().endswith(".bed")


def read_bed(path: Path, target: str | None = None) -> RawTable:
    """Rows of a BED file under the names that other tables have; ``target``: what the array beside it holds, where it does not say.

    Raises:
        DataError: it has no header, or the array beside it does not fit its rows. ModelError: that array cannot be read without h5py.
    """
    _check_header(path)
    with open_regular(path) as stream:
        raw = read_table(stream, f"{without_compression(path.name)}.tsv", str(path))
    raw.columns = {name.lstrip("#").strip(): values for name, values in raw.columns.items()}
    if not {"start", "end"} <= raw.columns.keys() or not any(CONTIG_COLUMN.fullmatch(name) for name in raw.columns):
        raise _no_header(path, list(raw.columns))
    if not len(raw):
        raise DataError(f"{path} has a header and no rows")
    if {"ref", "alt"} <= raw.columns.keys():
        return _variants(raw)
    beside = [path.parent / f"{_stem(path)}{suffix}" for suffix in _SUFFIXES]
    arrays = [file for file in beside if file.is_file()]
    if len(arrays) > 1:
        raise DataError(f"{path}: {arrays[0].name} and {arrays[1].name} are both its labels; leave one")
    if arrays:
        with open_hdf5(arrays[0]) as file:
            array = read_array(file, ARRAY, str(arrays[0]))
        _attach(raw, array_columns(raw, array, arrays[0], target), arrays[0])
    elif target in (None, "labels") and "label" in raw.columns:
        raw.columns = label_lists(raw, always=target is not None)
    return raw


def label_lists(raw: RawTable, *, always: bool = False, n_labels: int | None = None) -> dict[str, list[Any]]:
    """The columns of a table, ``label`` as one column of 0 and 1 for each label where cells hold several.

    always: also where no cell does. n_labels: how many there are; None = up to the largest number that a row has.

    Raises:
        DataError: a cell holds something else than numbers, or a number beyond the last label.
    """
    texts = [re.sub(r"\s", "", label_text(value)) for value in raw.columns["label"]]
    if not always and not any("," in text for text in texts):
        return raw.columns
    for row, text in enumerate(texts):
        if not _LIST.fullmatch(text):
            raise DataError(f"{raw.where(row)}: label {text!r} is no list of numbers separated by commas")
    lists = [[int(part) for part in text.split(",") if part] for text in texts]
    largest = max((max(numbers) for numbers in lists if numbers), default=0)
    total = largest + 1 if n_labels is None else n_labels
    if largest >= total:
        row = next(row for row, numbers in enumerate(lists) if largest in numbers)
        raise DataError(f"{raw.where(row)}: label {largest} is none of 0 to {total - 1}")
    truth = np.zeros((len(lists), total), dtype=np.int8)
    for row, numbers in enumerate(lists):
        truth[row, numbers] = 1
    others = {name: values for name, values in raw.columns.items() if name != "label"}
    return others | {f"label_{number}": truth[:, number].tolist() for number in range(total)}


def array_columns(raw: RawTable, array: Any, file: Path, target: str | None = None) -> dict[str, list[Any]]:
    """The columns that say what an array of labels says.

    Args:
        raw: regions, with ``start`` and ``end``.
        array: (n,) or (n, K) numbers, or (n,) arrays.
        file: for messages.
        target: of the task; None = what the array is like.

    Raises:
        DataError: it has another number of rows, rows of other lengths than their regions, or could hold several kinds of labels.
    """
    if len(array) != len(raw):
        raise DataError(
            f"{file}: its array {ARRAY} has {len(array):,} rows, {Path(raw.origin).name} has {len(raw):,}; they belong together row by row"
        )
    lengths = _lengths(raw)
    rows = [_unfilled(np.asarray(row)) for row in array] if array.dtype == object or array.ndim == 2 else None
    if target == "per_base" or (target is None and rows is not None and _are_states(rows, lengths)):
        return {"states": _states(raw, rows, lengths, file)}
    if array.dtype == object or array.ndim > 2:
        row = 0 if rows is None else next(i for i, own in enumerate(rows) if len(own) != lengths[i])
        what = f"shape {array.shape}" if rows is None else f"{len(rows[row]):,} labels for {lengths[row]:,} bases"
        raise DataError(f"{file}, row {row}: {what}; rows of states are as long as their regions")
    if array.ndim == 1:
        return {"value" if array.dtype.kind == "f" and target != "classes" else "label": array.tolist()}
    if target == "values" or (target is None and array.dtype.kind == "f"):
        names = ["value"] if array.shape[1] == 1 else [f"value_{number}" for number in range(array.shape[1])]
        return {name: array[:, number].tolist() for number, name in enumerate(names)}
    if not np.isin(array, (0, 1)).all():
        raise DataError(
            f"{file}: an array {array.shape} of whole numbers is neither labels of 0 and 1 nor states of {lengths[0]:,} bases; say what it is "
            "with --target"
        )
    return {f"label_{number}": array[:, number].tolist() for number in range(array.shape[1])}


def _check_header(path: Path) -> None:
    with open_regular(path) as stream, decompressed(stream, str(path), in_memory=True) as content:
        fields = content.readline().decode("utf-8", "replace").strip().split("\t")
    if len(fields) > 2 and fields[1].strip().isdecimal() and fields[2].strip().isdecimal():
        raise _no_header(path, fields)


def _no_header(path: Path, fields: Sequence[str]) -> DataError:
    return DataError(
        f"{path}: its first row is no header with chromosome, start and end ({', '.join(fields[:4])}); put one above it"
    )


def _variants(raw: RawTable) -> RawTable:
    """Rows whose ``start`` is the place of a variant, as tables with ``pos`` have them."""
    texts = [label_text(value) for value in raw.columns["start"]]
    for row, text in enumerate(texts):
        if not text.isdecimal():
            raise DataError(f"{raw.where(row)}: start {text!r} is no whole number")
    raw.columns["pos"] = [int(text) + 1 for text in texts]
    del raw.columns["start"], raw.columns["end"]
    return raw


def _attach(raw: RawTable, labels: dict[str, list[Any]], file: Path) -> None:
    if "label" in raw.columns:
        raw.notes.append(f"{raw.origin}: its column label is not read; labels are those of {file.name}")
        del raw.columns["label"]
    raw.columns |= labels


def _stem(path: Path) -> str:
    return without_compression(path.name)[: -len(".bed")]


def _lengths(raw: RawTable) -> list[int]:
    found = []
    for start, end in zip(raw.columns["start"], raw.columns["end"], strict=True):
        first, last = label_text(start), label_text(end)
        found.append(int(last) - int(first) if first.isdecimal() and last.isdecimal() else 0)
    return found


def _unfilled(row: np.ndarray) -> np.ndarray:
    """A row without what it was filled up with."""
    held = np.flatnonzero(row != FILLED)
    return row[: held[-1] + 1] if len(held) else row[:0]


def _are_states(rows: Sequence[np.ndarray], lengths: Sequence[int]) -> bool:
    return all(row.dtype.kind in "iub" and len(row) == length for row, length in zip(rows, lengths, strict=True))


def _states(raw: RawTable, rows: Sequence[np.ndarray] | None, lengths: Sequence[int], file: Path) -> list[str]:
    """One letter per base of each row; a bin's letter for each of its bases."""
    if rows is None:
        raise DataError(f"{file}: an array with one number per row holds no states of bases")
    found = []
    for row, (states, length) in enumerate(zip(rows, lengths, strict=True)):
        if not len(states) or length % len(states):
            raise DataError(
                f"{file}, row {row}: {len(states):,} labels for the {length:,} bases of {raw.where(row)}; give one per base, or one per bin of equal "
                "numbers of bases"
            )
        codes = np.asarray(states)
        if codes.dtype.kind == "f" and not np.equal(codes, np.round(codes)).all():
            raise DataError(
                f"{file}, row {row}: states of bases are whole numbers, and one is {codes[codes != np.round(codes)][0]}"
            )
        if codes.max() >= len(STATE_LETTERS):
            raise DataError(f"{file}, row {row}: state {int(codes.max())}; 0 to {len(STATE_LETTERS) - 1} are read")
        letters = "".join(STATE_LETTERS[int(code)] if code >= 0 else _UNKNOWN for code in codes)
        found.append(letters if len(letters) == length else "".join(c * (length // len(letters)) for c in letters))
    return found
