"""The column that says a row's split, by whatever name it is called."""

from __future__ import annotations

from dataclasses import replace

from findna_bench.data.split_names import split_name
from findna_bench.data.tabular import ID_COLUMNS, LABEL_COLUMNS, SEQUENCE_COLUMNS, RawTable, label_text
from findna_bench.errors import DataError

__all__ = ["SPLIT_COLUMN", "with_split_column"]

SPLIT_COLUMN = "split"
_OTHERS = frozenset((*SEQUENCE_COLUMNS, *LABEL_COLUMNS, *ID_COLUMNS))


def with_split_column(raw: RawTable) -> RawTable:
    """The table with a column ``split``, where another one holds nothing but splits, train and test or validation among them; a note
    says so. Drawing a test split from a table that has one would train on test rows of its owner.

    Raises:
        DataError: several columns hold nothing but splits.
    """
    if SPLIT_COLUMN in raw.columns or not len(raw):
        return raw
    found = [name for name in raw.columns if name not in _OTHERS and _holds_splits(raw, name)]
    if not found:
        return raw
    if len(found) > 1:
        raise DataError(
            f"{raw.origin}: columns {' and '.join(found)} both say the split of a row; call one of them split"
        )
    columns = {SPLIT_COLUMN if name == found[0] else name: values for name, values in raw.columns.items()}
    note = f"{raw.origin}: column {found[0]!r} says which split a row is in"
    return replace(raw, columns=columns, notes=[*raw.notes, note])


def _holds_splits(raw: RawTable, name: str) -> bool:
    values = raw.columns[name]
    if not isinstance(values[0], str) or split_name(values[0]) is None:
        return False
    splits = {split_name(label_text(value)) for value in values}
    return None not in splits and "train" in splits and len(splits) > 1
