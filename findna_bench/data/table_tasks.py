"""Tasks that are tables of a Python process: rows in memory are read by the rules that files are read by."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from findna_bench.data.adhoc import WHOLE, RowSource, open_rows
from findna_bench.data.catalog import SPLITS, TaskRef, data_root
from findna_bench.data.pairs import PAIR_COLUMNS
from findna_bench.data.split_names import split_name
from findna_bench.data.table import SequenceTable
from findna_bench.data.tabular import RawTable
from findna_bench.data.task import Task
from findna_bench.errors import DataError, UsageError

__all__ = ["is_table", "name_of_task", "table_ref"]

_ACCEPTED = "give a name, a path, an fb.SequenceTable, a pandas DataFrame, or a mapping of split names to either"


def is_table(value: Any) -> bool:
    """Whether a value is one table, or a mapping of them, and no list of tasks."""
    return isinstance(value, SequenceTable | Mapping) or _is_frame(value)


def name_of_task(value: Any) -> str | None:
    """What a run is asked for by, where a value is an open task that a name or a path stands for.

    Raises:
        UsageError: it is another split of a task.
    """
    if not isinstance(value, Task):
        return None
    if value.split_name != "official":
        raise UsageError(f"{value.name} is split anew; give the task itself, and split={value.split_name!r}")
    if value.status != "adhoc":
        return value.name
    return str(value.source["from"]) if value.source["kind"] == "path" else None


def table_ref(value: Any, *, drop_missing: bool = False) -> TaskRef:
    """The task that a table is: ``adhoc/table-DIGEST``. Without a test split, one is drawn as from a file.

    Args:
        value: a :class:`SequenceTable`, a DataFrame with the columns that a file has, or a mapping ``{"train": ..., "test": ...}``.
        drop_missing: leave out rows without sequence or label, which are refused otherwise.

    Raises:
        UsageError: it is none of these. DataError: its rows are no labelled DNA.
    """
    if isinstance(value, Task):
        return TaskRef(value.name, held=value)
    if isinstance(value, Mapping):
        read = _by_split(value)
    else:
        read = {WHOLE: _rows(value, "the table")}
    card, origin = open_rows(RowSource("table", "the table", "table"), read, drop_missing=drop_missing)
    return TaskRef(card.full_name, held=Task(card, origin, data_dir=data_root()))


def _by_split(tables: Mapping[Any, Any]) -> dict[str, RawTable]:
    read: dict[str, RawTable] = {}
    for key, table in tables.items():
        split = split_name(str(key))
        if split is None:
            raise UsageError(f"a table is called {key!r}, which is no split; call them train, validation and test")
        if split in read:
            raise UsageError(f"two tables are for the {split} split; give one")
        read[split] = _rows(table, f"the {split} table")
    if not read:
        raise UsageError(f"a mapping without tables is no task; {_ACCEPTED}")
    return {split: read[split] for split in SPLITS if split in read}


def _is_frame(value: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def _rows(value: Any, where: str) -> RawTable:
    if isinstance(value, SequenceTable):
        raw = _from_table(value, where)
    elif _is_frame(value):
        raw = RawTable(where, _from_frame(value, where))
    else:
        raise UsageError(f"{where} is a {type(value).__name__}; {_ACCEPTED}")
    if not len(raw):
        raise DataError(f"{where} has no rows")
    return raw


def _from_frame(frame: Any, where: str) -> dict[str, list[Any]]:
    names = [str(name).strip().lower() for name in frame.columns]
    if len(set(names)) < len(names):
        raise DataError(f"{where}: two columns have the same name ({', '.join(names)})")
    return {name: frame.iloc[:, place].tolist() for place, name in enumerate(names)}


def _from_table(table: SequenceTable, where: str) -> RawTable:
    """Numbered classes (n,), or numbers (n, K), in the columns that a file has them in.

    Raises:
        DataError: its labels are neither.
    """
    labels = np.asarray(table.labels)
    if table.sequences_b is None:
        columns: dict[str, list[Any]] = {"sequence": list(table.sequences)}
    else:
        columns = {"sequence_a": list(table.sequences), "sequence_b": list(table.sequences_b)}
        columns |= {name: table.extra[name].tolist() for name in PAIR_COLUMNS if name in table.extra}
    if labels.ndim == 1:
        columns["label"] = labels.tolist()
    elif labels.ndim == 2 and labels.dtype.kind == "f" and labels.shape[1]:
        names = ["value"] if labels.shape[1] == 1 else [f"value_{number}" for number in range(1, labels.shape[1] + 1)]
        columns |= {name: labels[:, number].tolist() for number, name in enumerate(names)}
    else:
        raise DataError(
            f"{where}: labels of shape {labels.shape} and type {labels.dtype} are neither classes (n,) nor numbers (n, K)"
        )
    columns["id"] = [str(row) for row in table.ids.tolist()]
    known = None if table.contig is None else np.asarray(table.contig) != ""
    for name in ("group", "contig", "start", "end", "strand"):
        values: np.ndarray | None = getattr(table, name)
        if values is not None:
            given = np.ones(len(values), dtype=bool) if known is None or name == "group" else known
            columns[name] = [v if there else "" for v, there in zip(values.tolist(), given.tolist(), strict=True)]
    return RawTable(where, columns)
