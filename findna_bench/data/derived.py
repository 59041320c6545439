"""Tasks made from the rows of another one: by a manifest of row ids that comes with a package, or split anew on the spot.

A manifest is a parquet file with one line per row: ``source_split``, ``class``, ``id`` (the row's published id within both),
``split`` (where it goes; rows that are not listed go nowhere) and ``group`` (rows of one group are never separated; -1 = alone).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.resources
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.catalog import SPLITS
from findna_bench.data.length_matching import cropped, trimmed
from findna_bench.data.resplitting import (
    RESPLIT_VERSION,
    evaluable_contigs,
    pooled_rows,
    resplit,
)
from findna_bench.data.table import RowOrder, RowOrigins, SequenceTable
from findna_bench.data.task_store import count_classes
from findna_bench.errors import DataError, OutputError, UnsupportedError, UsageError
from findna_bench.files import stable_hash, write_atomic
from findna_bench.relatedness.components import GROUPING_VERSION, components
from findna_bench.requests.split_choice import parse_split

__all__ = ["AllFolds", "Derived", "Remade", "Resplit", "manifest_key", "read_row_manifest", "write_row_manifest"]

Counts = dict[str, dict[str, int]]


class Source(Protocol):
    """The task whose rows are used."""

    @property
    def card(self) -> TaskCard: ...
    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def splits(self) -> tuple[str, ...]: ...
    @property
    def interval_splits(self) -> tuple[str, ...]: ...
    @property
    def data_digest(self) -> str: ...
    @property
    def data_dir(self) -> Path: ...
    @property
    def source(self) -> Mapping[str, Any]: ...
    @property
    def row_order(self) -> RowOrder: ...
    def load(self, split: str) -> SequenceTable: ...
    def intervals(self, split: str) -> SequenceTable: ...


class Remade:
    """Rows of another task in other splits."""

    def __init__(self, card: TaskCard, source: Source) -> None:
        self.card, self.task = card, source

    @property
    def status(self) -> str:
        return self.task.status

    @property
    def source(self) -> Mapping[str, Any]:
        return {"made from": self.task.name, **self.task.source}

    @property
    def splits(self) -> tuple[str, ...]:
        if self.status == "coordinates":
            return ()
        return tuple(split for split in SPLITS if split in self.tables)

    @property
    def interval_splits(self) -> tuple[str, ...]:
        return tuple(split for split in SPLITS if split in self.placed) if self.task.interval_splits else ()

    @property
    def counts(self) -> Counts:
        return count_classes(self.card.labels, self.placed if self.status == "coordinates" else self.tables)

    def read(self, split: str) -> SequenceTable:
        return self.tables[split]

    def intervals(self, split: str) -> SequenceTable:
        """Coordinates of a split.

        Raises:
            DataError: none are known.
        """
        tables = self.placed if self.task.interval_splits else self.tables
        found = tables[split].coordinates() if split in tables else None
        if found is None:
            raise DataError(f"task {self.card.full_name}: no coordinates are known for the {split} split")
        return found

    @functools.cached_property
    def tables(self) -> dict[str, SequenceTable]:
        return self._remake({split: self.task.load(split) for split in self.task.splits})

    @functools.cached_property
    def placed(self) -> dict[str, SequenceTable]:
        """The rows as published, by coordinates alone (their sequences are empty)."""
        return self._remake({s: self.task.intervals(s) for s in self.task.interval_splits})

    def _remake(self, tables: Mapping[str, SequenceTable]) -> dict[str, SequenceTable]:
        raise NotImplementedError


class Resplit(Remade):
    """A task's rows split anew, by groups or by chromosome; always with seed 0, so that the test split is one."""

    def __init__(self, source: Source, split: str) -> None:
        try:
            parse_split(split)
        except ValueError as error:
            raise UsageError(str(error)) from None
        super().__init__(source.card, source)
        self.split = split

    @property
    def digest(self) -> str:
        by_groups = parse_split(self.split).how == "grouped"
        return stable_hash(
            [self.task.data_digest, self.split, RESPLIT_VERSION, *([GROUPING_VERSION] if by_groups else [])]
        )

    @property
    def row_order(self) -> RowOrder:
        """Rows are numbered as without the new split."""
        return self.task.row_order

    def origins(self, places: np.ndarray) -> RowOrigins:
        """Ids and splits that the rows have without the new split."""
        names = {
            place: (row_id, split)
            for split in self.task.splits
            for table in [self.task.load(split)]
            for place, row_id in zip(np.asarray(table.place).tolist(), table.ids.tolist(), strict=True)
        }
        found = [names[place] for place in places.tolist()]
        return RowOrigins(places, np.array([i for i, _ in found]), np.array([split for _, split in found]))

    def _remake(self, tables: Mapping[str, SequenceTable]) -> dict[str, SequenceTable]:
        groups = None if parse_split(self.split).how == "chromosome" else self._groups(tables)
        cured = resplit(tables, self.card.labels, self.split, groups=groups)
        if cured.warning:
            raise UnsupportedError(f"task {self.card.full_name}, split {self.split}: {cured.warning}")
        return cured.tables

    def _groups(self, tables: Mapping[str, SequenceTable]) -> np.ndarray:
        """Components of all rows; found once, and kept under the data root, since all folds and all seeds share them."""
        rows = pooled_rows(tables)
        what = "sequences" if any(rows.sequences) else "coordinates"
        key = stable_hash([self.task.data_digest, RESPLIT_VERSION, GROUPING_VERSION, what])
        path = self.task.data_dir / "groups" / f"{key[:32]}.npy"
        with contextlib.suppress(OSError, ValueError, EOFError):
            kept: np.ndarray = np.load(path, allow_pickle=False)
            if kept.shape == (len(rows),) and kept.dtype == np.int64:
                return kept
        groups = components(rows)
        content = io.BytesIO()
        np.save(content, groups, allow_pickle=False)
        with contextlib.suppress(OutputError):  # a data root that cannot be written keeps none
            write_atomic(path, content.getvalue())
        return groups


class AllFolds(Resplit):
    """A task's rows in the test splits of all folds, in the order of the folds; a row of no fold's test split is in none.

    open_fold: opens the task in the split of one fold.
    """

    def __init__(self, source: Source, split: str, open_fold: Callable[[str], Any]) -> None:
        super().__init__(source, split)
        self._open_fold = open_fold

    @functools.cached_property
    def _contigs(self) -> tuple[list[str], dict[str, str]]:
        tables = {split: self.task.load(split) for split in self.task.splits}
        return evaluable_contigs(tables, self.card.labels)

    @functools.cached_property
    def folds(self) -> tuple[Any, ...]:
        """The task in each of the folds."""
        choice = parse_split(self.split)
        if choice.how == "grouped":
            names = [f"grouped:{fold}/{choice.k}" for fold in range(choice.k or 0)]
        else:
            names = [f"chromosome:{contig}" for contig in self._contigs[0]]
        return tuple(self._open_fold(name) for name in names)

    @property
    def left_out(self) -> dict[str, str]:
        """Chromosomes that are no fold -> why."""
        return self._contigs[1] if parse_split(self.split).how == "chromosome" else {}

    @functools.cached_property
    def tables(self) -> dict[str, SequenceTable]:
        return {"test": SequenceTable.concatenate([fold.load("test") for fold in self.folds])}


class Derived(Remade):
    """A task whose card names another task and a manifest of its rows."""

    @functools.cached_property
    def manifest(self) -> bytes:
        package, _, path = self.card.rows.partition(":")
        try:
            return importlib.resources.files(package).joinpath(*path.split("/")).read_bytes()
        except (ModuleNotFoundError, OSError) as error:
            raise DataError(
                f"task {self.card.full_name}: its rows {self.card.rows} cannot be read ({error})"
            ) from error

    @property
    def digest(self) -> str:
        sha256 = hashlib.sha256(self.manifest).hexdigest()
        trim = self.card.config.get("trim")  # what was made before there was one keeps its digest
        made = [self.task.data_digest, sha256, self.card.config.get("crop"), RESPLIT_VERSION]
        return stable_hash([*made, {"trim": trim}] if trim else made)

    def _remake(self, tables: Mapping[str, SequenceTable]) -> dict[str, SequenceTable]:
        wanted = read_row_manifest(io.BytesIO(self.manifest))
        rows = list(_chosen(tables, self.card.labels, wanted))
        found = sum(len(table) for _, table in rows)
        if self.status == "complete" and found != len(wanted):
            raise DataError(
                f"task {self.card.full_name}: {len(wanted) - found} of its {len(wanted)} rows are not in the copy of "
                f"{self.task.name}; row ids must be the published ones, so fetch it from its archive or its intervals"
            )
        if not found:
            raise DataError(f"task {self.card.full_name}: none of its rows is in the copy of {self.task.name}")
        out = {}
        for split in SPLITS:
            parts = [table for name, table in rows if name == split]
            if parts:
                table = SequenceTable.concatenate(parts)
                crop = self.card.config.get("crop")
                table = cropped(table, int(crop)) if crop else table
                out[split] = trimmed(table, int(self.card.config.get("trim", 0)))
        return out


def manifest_key(split: str, class_name: str, row_id: str) -> str:
    """How a row is named in manifests: ids are published per class, and some importers put the class before them."""
    return f"{split}/{class_name}/{row_id.removeprefix(class_name + '/')}"


def _chosen(
    tables: Mapping[str, SequenceTable], labels: Sequence[str], wanted: Mapping[str, tuple[str, int]]
) -> Iterator[tuple[str, SequenceTable]]:
    """(new split, its rows) for each source split; the group of a row that is alone is its own."""
    alone = 1 + max((group for _, group in wanted.values()), default=-1)
    for source_split, table in tables.items():
        names = [labels[label] for label in table.labels.tolist()]
        keys = [manifest_key(source_split, n, i) for n, i in zip(names, map(str, table.ids.tolist()), strict=True)]
        places = [wanted.get(key, ("", -1)) for key in keys]
        group = np.array([g if g >= 0 else alone + i for i, (_, g) in enumerate(places)], dtype=np.int64)
        alone += len(keys)
        renamed = replace(table, ids=np.array(keys), group=group, place=None)
        for split in SPLITS:
            rows = np.array([i for i, (name, _) in enumerate(places) if name == split], dtype=np.int64)
            if len(rows):
                yield split, renamed.take(rows)


def write_row_manifest(rows: Mapping[str, tuple[str, int]], path: Any) -> None:
    """Write ``{"<source split>/<class>/<id>": (split, group)}`` to a parquet file, sorted, small."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    keys = sorted((tuple(key.split("/", 2)) for key in rows), key=lambda key: (key[0], key[1], len(key[2]), key[2]))
    values = [rows["/".join(key)] for key in keys]
    table = pa.table(
        {
            "source_split": [key[0] for key in keys],
            "class": [key[1] for key in keys],
            "id": [key[2] for key in keys],
            "split": [split for split, _ in values],
            "group": [group for _, group in values],
        }
    )
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=["source_split", "class", "split"],
        column_encoding={"id": "DELTA_BYTE_ARRAY", "group": "DELTA_BINARY_PACKED"},
        write_statistics=False,
    )


def read_row_manifest(path: Any) -> dict[str, tuple[str, int]]:
    """``{"<source split>/<class>/<id>": (split, group)}`` of a manifest.

    Raises:
        DataError: it is not one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        columns = [table.column(name).to_pylist() for name in ("source_split", "class", "id", "split", "group")]
    except (pa.ArrowException, KeyError, OSError) as error:
        raise DataError(
            f"a manifest of rows cannot be read ({str(error).splitlines()[0]}); reinstall the package"
        ) from error
    return {f"{old}/{name}/{row}": (split, group) for old, name, row, split, group in zip(*columns, strict=True)}
