"""Tasks given as a path: one table, a folder with a file per split, or a folder with one FASTA per class."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.archives import FolderTree
from findna_bench.data.catalog import ADHOC_SUITE, SPLITS
from findna_bench.data.layouts import fasta_records, split_name
from findna_bench.data.splits import draw_rows
from findna_bench.data.table import RowOrder, SequenceTable
from findna_bench.data.tabular import (
    LABEL_COLUMNS,
    RawTable,
    label_text,
    no_column,
    read_table,
    row_ids,
    rows_to_table,
    table_suffix,
)
from findna_bench.data.task_store import content_digest, count_classes
from findna_bench.errors import DataError
from findna_bench.files import stable_hash
from findna_bench.relatedness.components import row_groups

__all__ = ["PathOrigin", "open_path"]

TEST_FRACTION = 0.2
TEST_SEED = 0
MAX_CLASSES = 1000
WHOLE = "whole"
"""Name of the one table that splits are made from."""
_FASTA = re.compile(r"\.(fa|fasta|fna)(\.gz)?$", re.IGNORECASE)


class PathOrigin:
    """Rows read from a path; a missing test split is drawn from train (20 %, stratified, groups kept together, seed 0)."""

    status = "adhoc"

    def __init__(
        self, path: Path, labels: tuple[str, ...], tables: Mapping[str, SequenceTable], drawn: bool, row_order: RowOrder
    ) -> None:
        self.path, self.labels, self.tables, self.drawn, self.row_order = path, labels, tables, drawn, row_order
        self.splits = tuple(split for split in SPLITS if split in tables)

    @functools.cached_property
    def digest(self) -> str:
        """Of the rows, and of where they stand: the same rows in another order belong to other vectors."""
        places = [np.asarray(self.tables[split].place).tolist() for split in self.splits]
        return stable_hash([content_digest(self.labels, self.tables), places])

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        return count_classes(self.labels, self.tables)

    @property
    def source(self) -> Mapping[str, object]:
        return {"kind": "path", "from": str(self.path), "test_drawn": self.drawn}

    def read(self, split: str) -> SequenceTable:
        return self.tables[split]


def open_path(path: Path, name: str) -> tuple[TaskCard, PathOrigin]:
    """Read a path whole; kind and labels are taken from it (numbers in order of size, names in order of the alphabet).

    Raises:
        DataError: no table or FASTA, no rows, fewer than two classes, or a row that is not labelled DNA.
    """
    files = _read(path)
    labels = _infer_labels(files)
    tables = _placed({name: rows_to_table(raw, labels) for name, raw in files.items()})
    order = _row_order(path, tables)
    if WHOLE in files:
        tables = _by_split(files[WHOLE], tables[WHOLE], labels)
    _check_training(path, tables, labels)
    drawn = "test" not in tables
    if drawn:
        tables = _draw_test(path, tables)
    lengths = [len(sequence) for table in tables.values() for sequence in table.sequences]
    card = TaskCard(
        name=name,
        suite=ADHOC_SUITE,
        labels=labels,
        summary=f"{path.name}, given as a path",
        split_policy="test drawn from train (20 %, seed 0)" if drawn else "as given",
        length=(min(lengths), max(lengths)),
    )
    return card, PathOrigin(path, labels, tables, drawn, order)


def _read(path: Path) -> dict[str, RawTable]:
    """Raw tables: a file, or the classes of a folder, as :data:`WHOLE`; else the files of a folder by split."""
    if path.is_dir():
        return _read_folder(path)
    if table_suffix(path.name) is None:
        raise DataError(f"{path} is no csv, tsv or parquet file; give one of these, or a folder")
    return {WHOLE: _read_file(path)}


def _read_file(path: Path) -> RawTable:
    try:
        with path.open("rb") as stream:
            raw = read_table(stream, path.name, str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    if not len(raw):
        raise DataError(f"{path} has a header and no rows")
    return raw


def _placed(tables: Mapping[str, SequenceTable]) -> dict[str, SequenceTable]:
    """Rows numbered as they stand in their file, files following one another: train, validation, test."""
    placed, first = {}, 0
    for name in sorted(tables, key=[WHOLE, *SPLITS].index):
        table = tables[name]
        placed[name] = replace(table, place=np.arange(first, first + len(table), dtype=np.int64))
        first += len(table)
    return placed


def _row_order(path: Path, tables: Mapping[str, SequenceTable]) -> RowOrder:
    counts = {name: len(table) for name, table in tables.items()}
    total = sum(counts.values())
    if WHOLE not in tables:
        return RowOrder(f"the rows of the files {', then '.join(counts)} of {path.name}", total, counts)
    return RowOrder(f"the rows of {path.name}" if path.is_file() else "", total)


def _by_split(raw: RawTable, table: SequenceTable, labels: Sequence[str]) -> dict[str, SequenceTable]:
    """The rows of each value of the column ``split``; all rows are train where there is none."""
    if "split" not in raw.columns:
        return {"train": table}
    names = [split_name(label_text(value)) for value in raw.columns["split"]]
    if None in names:
        row = names.index(None)
        raise DataError(
            f"{raw.where(row)}: split {raw.columns['split'][row]!r} is none of train, dev, valid, validation and test"
        )
    table = replace(table, ids=row_ids(raw, table.labels, labels, names))
    return {split: table.take([i for i, n in enumerate(names) if n == split]) for split in SPLITS if split in names}


def _read_folder(path: Path) -> dict[str, RawTable]:
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    tables: dict[str, RawTable] = {}
    for file in files:
        split = split_name(file.name.partition(".")[0])
        if split is None or table_suffix(file.name) is None:
            continue
        if split in tables:
            raise DataError(f"{path}: two files for the {split} split ({tables[split].origin} and {file}); leave one")
        tables[split] = _read_file(file)
    if tables:
        return tables
    classes = [file for file in files if _FASTA.search(file.name)]
    if len(classes) >= 2:
        return {WHOLE: _read_classes(path, classes)}
    raise DataError(
        f"{path} holds neither train, dev or test files (csv, tsv, parquet) nor one FASTA per class (two or more)"
    )


def _read_classes(path: Path, files: Sequence[Path]) -> RawTable:
    """One FASTA per class; the file's name is the class."""
    tree = FolderTree(path, [file.name for file in files])
    columns: dict[str, list[str]] = {"sequence": [], "class": [], "id": []}
    places: list[str] = []
    for file in files:
        before = len(places)
        for number, (header, sequence) in enumerate(fasta_records(tree, file.name), start=1):
            columns["sequence"].append(sequence)
            columns["class"].append(_FASTA.sub("", file.name))
            columns["id"].append(header.split()[0] if header.split() else str(number))
            places.append(f"{file}, record {number}")
        if len(places) == before:
            raise DataError(f"{file} is empty")
    raw = RawTable(str(path), dict(columns))
    raw.where = lambda row: places[row]  # type: ignore[method-assign]
    return raw


def _infer_labels(raws: Mapping[str, RawTable]) -> tuple[str, ...]:
    """Class names in label order. Names win over numbers where a file has both columns.

    Raises:
        DataError: no label column, a missing label, one class only, or labels that look like measurements.
    """
    seen: set[str] = set()
    for raw in raws.values():
        columns = [name for name in LABEL_COLUMNS if name in raw.columns]
        if not columns:
            raise no_column(raw, "label or class")
        texts = [[label_text(value) for value in raw.columns[name]] for name in columns]
        for name, values in zip(columns, texts, strict=True):
            if "" in values:
                raise DataError(f"{raw.where(values.index(''))}: the row has no {name}")
        named = [values for values in texts if not all(map(_is_number, values))]
        seen |= set((named or texts)[0])
        own = raw.class_names.get(columns[0])
        if own and not named:
            seen = set(own)
    place = next(iter(raws.values())).origin
    fractions = sorted(text for text in seen if _is_number(text) and not re.fullmatch(r"-?\d+", text))
    if fractions or len(seen) > MAX_CLASSES:
        what = f"label {fractions[0]} is no class" if fractions else f"{len(seen)} different labels are no classes"
        raise DataError(f"{place}: {what}; regression is not supported, give classes")
    if len(seen) < 2:
        raise DataError(f"{place}: all rows have label {next(iter(seen), 'none')!r}; two classes or more are needed")
    if all(map(_is_number, seen)):
        return tuple(sorted(seen, key=int))
    return tuple(sorted(seen))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text) is not None


def _check_training(path: Path, tables: Mapping[str, SequenceTable], labels: Sequence[str]) -> None:
    if "train" not in tables:
        raise DataError(f"{path}: no train split; give a train file, or rows with split train")
    missing = np.flatnonzero(tables["train"].class_counts(len(labels)) == 0)
    if len(missing):
        name = labels[missing[0]]
        where = ", ".join(s for s, table in tables.items() if (table.labels == missing[0]).any())
        raise DataError(f"{path}: label {name!r} occurs in {where} and not in train; write labels alike in all splits")


def _draw_test(path: Path, tables: Mapping[str, SequenceTable]) -> dict[str, SequenceTable]:
    train = tables["train"]
    drawn = draw_rows(train.labels, row_groups(train), np.random.default_rng(TEST_SEED), TEST_FRACTION)
    if not drawn.any():
        raise DataError(f"{path}: too few independent rows to draw a test split from; give one (column split)")
    rest = {"train": train.take(np.flatnonzero(~drawn)), "test": train.take(np.flatnonzero(drawn))}
    return {**tables, **rest}
