"""Tasks given as a path: one table, a folder with a file (or shards) per split, or a folder with one FASTA per class."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.archives import FolderTree
from findna_bench.data.bed_files import is_bed, read_bed
from findna_bench.data.catalog import ADHOC_SUITE, SPLITS
from findna_bench.data.class_folders import ClassFile, class_file, class_files, read_class_files
from findna_bench.data.label_columns import LabelReader, find_reader
from findna_bench.data.label_spellings import with_one_spelling
from findna_bench.data.layouts import read_labelled_fasta
from findna_bench.data.missing_rows import without_missing
from findna_bench.data.pairs import holds_pairs, pair_sides, pair_table, with_strata
from findna_bench.data.regions import holds_regions, region_rows
from findna_bench.data.split_columns import SPLIT_COLUMN, with_split_column
from findna_bench.data.split_names import split_name, split_of_file
from findna_bench.data.splits import draw_rows
from findna_bench.data.table import RowOrder, SequenceTable
from findna_bench.data.table_files import FORMATS, no_table, read_table, table_suffix
from findna_bench.data.tabular import (
    LABEL_COLUMNS,
    SEQUENCE_COLUMNS,
    RawTable,
    is_number,
    label_text,
    label_texts,
    row_ids,
    rows_to_table,
)
from findna_bench.data.task_store import content_digest, count_classes
from findna_bench.data.variants import element_names, holds_variants, variant_extras, variant_rows
from findna_bench.data.vcf import is_vcf, read_vcf
from findna_bench.errors import DataError, listed
from findna_bench.files import open_regular, stable_hash
from findna_bench.relatedness.components import row_groups
from findna_bench.sequences.fasta import FASTA_SUFFIX
from findna_bench.unpacking import without_compression

if TYPE_CHECKING:
    from findna_bench.data.genome_windows import GenomeWindows

__all__ = ["WHOLE", "PathOrigin", "RowSource", "open_path", "open_rows"]

TEST_FRACTION = 0.2
TEST_SEED = 0
MAX_CLASSES = 1000
WHOLE = "whole"
"""Name of the one table that splits are made from."""


@dataclass(frozen=True)
class RowSource:
    """What rows are read from: a path, or a table of this process."""

    name: str
    """What it is called, without the folder that it lies in."""
    where: str
    """What messages call it."""
    kind: str = "path"
    ordered: bool = True
    """Whether its rows have an order that its owner knows."""


class PathOrigin:
    """Rows read from a path; a missing test split is drawn from train (20 %, stratified, groups kept together, seed 0)."""

    status = "adhoc"

    def __init__(
        self,
        read_from: RowSource,
        labels: tuple[str, ...],
        tables: Mapping[str, SequenceTable],
        drawn: bool,
        row_order: RowOrder,
        notes: Sequence[str] = (),
        predicted: str = "",
    ) -> None:
        self.read_from, self.labels, self.tables = read_from, labels, tables
        self.drawn, self.row_order = drawn, row_order
        self.notes = (self._in_words(predicted or self._classes_in_words()), *notes)
        self.splits = tuple(split for split in SPLITS if split in tables)

    def _classes_in_words(self) -> str:
        counts = count_classes(self.labels, self.tables)
        classes = {name: sum(held[name] for held in counts.values()) for name in self.labels}
        return "classes " + listed((f"{name} ({n:,})" for name, n in classes.items()), 10)

    def _in_words(self, predicted: str) -> str:
        """What was read, in a line."""
        total = sum(map(len, self.tables.values()))
        splits = ", ".join(
            f"{split} {len(table):,}{' (drawn)' if self.drawn and split == 'test' else ''}"
            for split, table in self.tables.items()
        )
        lengths = _lengths(self.tables)
        spread = f"{min(lengths):,}" if min(lengths) == max(lengths) else f"{min(lengths):,} to {max(lengths):,}"
        what = "rows" if all(table.sequences_b is None for table in self.tables.values()) else "pairs"
        return f"{self.read_from.name}: {total:,} {what}, {predicted}; {splits}; {spread} bp"

    @functools.cached_property
    def digest(self) -> str:
        """Of the rows, and of where they stand."""
        return _digest(self.labels, self.tables)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        return count_classes(self.labels, self.tables)

    @property
    def source(self) -> Mapping[str, object]:
        return {"kind": self.read_from.kind, "from": self.read_from.where, "test_drawn": self.drawn}

    def read(self, split: str) -> SequenceTable:
        return self.tables[split]


def open_path(
    path: Path,
    name: str,
    *,
    drop_missing: bool = False,
    target: str | None = None,
    genome: GenomeWindows | None = None,
) -> tuple[TaskCard, PathOrigin]:
    """Read a path whole; target and labels are taken from its columns (classes: numbers in order of size, names in order of the alphabet).

    drop_missing: leave out rows without sequence or label, which are refused otherwise. target: what the columns predict, None = what
    they say.

    Raises:
        DataError: no table or FASTA, no rows, fewer than two classes, or a row that is not labelled DNA.
    """
    notes: list[str] = []
    read = _read(path, notes, target)
    source = RowSource(path.name, str(path), ordered=path.is_file() or WHOLE not in read)
    return open_rows(source, read, name, notes, drop_missing=drop_missing, target=target, genome=genome)


def open_rows(
    source: RowSource,
    read: Mapping[str, RawTable],
    name: str = "",
    notes: Sequence[str] = (),
    *,
    drop_missing: bool = False,
    target: str | None = None,
    genome: GenomeWindows | None = None,
) -> tuple[TaskCard, PathOrigin]:
    """A task of tables that are read already, by split, or one table as :data:`WHOLE`. Without a name it is called by its content.

    Raises:
        DataError: as :func:`open_path`.
    """
    if WHOLE in read:
        read = {WHOLE: with_split_column(read[WHOLE])}
    reader = find_reader(next(iter(read.values())), target)
    _check_target(next(iter(read.values())), reader)
    files = {name: _complete(raw, reader, drop_missing) for name, raw in read.items()}
    inputs = _inputs(next(iter(files.values())))
    variants = inputs == "variant"
    if variants:
        files = {name: variant_rows(raw, genome) for name, raw in files.items()}
    elif inputs == "sequence" and holds_regions(next(iter(files.values()))):
        files = {name: region_rows(raw, genome) for name, raw in files.items()}
    notes = list(notes)
    if reader is None:
        files, remarks = with_one_spelling(files)
        notes += remarks
    labels, truth = _read_labels(files, reader)
    tables = _placed({name: _to_table(raw, labels, truth.get(name), inputs) for name, raw in files.items()})
    if inputs == "pair":
        tables = with_strata(tables)
    dropped = any(raw.numbers is not None for raw in files.values())
    order = _row_order(source, tables, dropped)
    if WHOLE in files:
        tables = _by_split(files[WHOLE], tables[WHOLE], labels, alone="test" if variants else "train")
    if not variants or "train" in tables:
        _check_training(source.where, tables, labels)
    drawn = "test" not in tables
    if drawn:
        tables = _draw_test(source.where, tables)
    if not name:
        name = f"{source.name}-{_digest(labels, tables)[:8]}"
        source = replace(source, name=name)
    lengths = _lengths(tables)
    card = TaskCard(
        name=name,
        suite=ADHOC_SUITE,
        labels=labels,
        summary=f"{source.name}, given as a {source.kind}",
        split_policy="test drawn from train (20 %, seed 0)" if drawn else "as given",
        length=(min(lengths), max(lengths)),
        target="classes" if reader is None else reader.name,
        metric=_metric(reader, variants),
        inputs=inputs,
        effect="negative" if variants and reader is None else "signed",
    )
    notes += [note for raw in files.values() for note in raw.notes]
    whole = SequenceTable.concatenate(list(tables.values())).labels
    predicted = "" if reader is None else reader.in_words(whole, labels)
    return card, PathOrigin(source, labels, tables, drawn, order, notes, predicted)


def _digest(labels: tuple[str, ...], tables: Mapping[str, SequenceTable]) -> str:
    """Of rows, and of where they stand: the same rows in another order belong to other vectors."""
    places = [np.asarray(tables[split].place).tolist() for split in SPLITS if split in tables]
    # Of sequences, and of pairs, what they belong to decides what is listed and no score.
    known = {split: table if "offset" in table.extra else _unlisted(table) for split, table in tables.items()}
    return stable_hash([content_digest(labels, known), places])


def _unlisted(table: SequenceTable) -> SequenceTable:
    return replace(table, extra={name: values for name, values in table.extra.items() if name != "element"})


def _metric(reader: LabelReader | None, variants: bool) -> str:
    if reader is not None:
        return reader.default_metric
    return "auroc" if variants else "accuracy"


def _to_table(raw: RawTable, labels: Sequence[str], truth: np.ndarray | None, inputs: str) -> SequenceTable:
    if inputs == "pair":
        return pair_table(raw, rows_to_table(raw, labels, truth, pair_sides(raw)[0]))
    table = rows_to_table(raw, labels, truth)
    return replace(table, extra=table.extra | (variant_extras(raw) if inputs == "variant" else element_names(raw)))


def _inputs(raw: RawTable) -> Literal["sequence", "variant", "pair"]:
    """What the rows of a table hold, by its columns."""
    if holds_variants(raw):
        return "variant"
    return "pair" if holds_pairs(raw) else "sequence"


def _check_target(raw: RawTable, reader: LabelReader | None) -> None:
    """Whether rows of two sequences can have such labels.

    Raises:
        DataError: they cannot.
    """
    if reader is not None and reader.of_bases and _inputs(raw) == "pair":
        raise DataError(
            f"{raw.origin}: its rows are pairs, and {reader.name} needs one sequence per row; give one side as sequence"
        )


def _lengths(tables: Mapping[str, SequenceTable]) -> list[int]:
    """Bases of all sequences, of pairs those of either side."""
    sides = (side for table in tables.values() for side in (table.sequences, table.sequences_b or ()))
    return [len(sequence) for side in sides for sequence in side]


def _read_labels(
    files: Mapping[str, RawTable], reader: LabelReader | None
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """The task's labels, and the truth of every file; of classes the labels alone, which :func:`rows_to_table` looks up.

    Raises:
        DataError: a file lacks a column that another one has.
    """
    if reader is None:
        return _infer_labels(files), {}
    columns = reader.label_columns(next(iter(files.values())))
    for raw in files.values():
        if set(reader.label_columns(raw)) != set(columns):
            raise DataError(
                f"{raw.origin}: its columns of {reader.name} are not {', '.join(columns)}, as in the others"
            )
    labels, truth = reader.read(list(files.values()), columns)
    return labels, dict(zip(files, truth, strict=True))


def _complete(raw: RawTable, reader: LabelReader | None, drop: bool) -> RawTable:
    """The rows that have a sequence and a label, or all values of a target that reads others; of one that knows what a missing value
    means, those that have a sequence.
    """
    labels: Sequence[str | None] = (raw.first_of(LABEL_COLUMNS),)
    if reader is not None:
        labels = () if reader.reads_missing else reader.label_columns(raw)
    sequences = pair_sides(raw) if holds_pairs(raw) else (raw.first_of(SEQUENCE_COLUMNS),)
    columns = [name for name in (*sequences, *labels) if name is not None]
    return without_missing(raw, columns, drop=drop)


def _read(path: Path, notes: list[str], target: str | None) -> dict[str, RawTable]:
    """Raw tables: a file, or the classes of a folder, as :data:`WHOLE`; else the files of a folder by split."""
    if path.is_dir():
        return _read_folder(path, notes)
    if not path.is_file():
        raise DataError(f"{path} is neither a file nor a folder; give a {FORMATS} file, or a folder")
    if is_vcf(path.name):
        return {WHOLE: read_vcf(path)}
    if is_bed(path.name):
        return {WHOLE: read_bed(path, target)}
    if FASTA_SUFFIX.search(path.name):
        return {WHOLE: read_labelled_fasta(FolderTree(path.parent, [path.name]), path.name)}
    if table_suffix(path.name) is None:
        raise no_table(path.name, str(path))
    return {WHOLE: _read_file(path)}


def _read_file(path: Path) -> RawTable:
    with open_regular(path) as stream:
        raw = read_table(stream, path.name, str(path))
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


def _row_order(source: RowSource, tables: Mapping[str, SequenceTable], dropped: bool) -> RowOrder:
    kept = " that are not dropped" if dropped else ""
    counts = {name: len(table) for name, table in tables.items()}
    total = sum(counts.values())
    if WHOLE not in tables:
        parts = "files" if source.kind == "path" else "tables"
        return RowOrder(f"the rows of the {parts} {', then '.join(counts)} of {source.name}{kept}", total, counts)
    return RowOrder(f"the rows of {source.name}{kept}" if source.ordered else "", total)


def _by_split(
    raw: RawTable, table: SequenceTable, labels: Sequence[str], alone: str = "train"
) -> dict[str, SequenceTable]:
    """The rows of each value of the column ``split``; all rows are ``alone`` where there is none."""
    if SPLIT_COLUMN not in raw.columns:
        return {alone: table}
    names = [split_name(label_text(value)) for value in raw.columns[SPLIT_COLUMN]]
    if None in names:
        row = names.index(None)
        raise DataError(
            f"{raw.where(row)}: split {raw.columns['split'][row]!r} is none of train, dev, eval, valid, validation and test"
        )
    table = replace(table, ids=row_ids(raw, table.labels, labels, names))
    return {split: table.take([i for i, n in enumerate(names) if n == split]) for split in SPLITS if split in names}


def _read_folder(path: Path, notes: list[str], deep: bool = False) -> dict[str, RawTable]:
    """The files of a folder by split, or its FASTA files by class; of a data set as the hub lays it out those of its one folder.

    deep: whether the folder is in one that was given.
    """
    try:
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    folders = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if entry not in folders]  # a pipe among them is refused when it is read
    readable = [file for file in files if table_suffix(file.name) is not None or FASTA_SUFFIX.search(file.name)]
    if any(table_suffix(file.name) != ".json" for file in readable):  # else words about the data, which lie beside them
        readable = [file for file in readable if table_suffix(file.name) != ".json"]
    if not readable and folders:
        return _read_folders(path, folders, notes, deep)
    by_split: dict[str, list[tuple[tuple[int, int] | None, Path]]] = {}
    for file in readable:
        if (named := split_of_file(_stem(file))) is not None:
            by_split.setdefault(named[0], []).append((named[1], file))
    if len(by_split.get("train", ())) > 1 and (named_so := _classes_and_splits(path, by_split)):
        notes += _left_out(path, [entry for entry in entries if entry not in [one.file for one in named_so]])
        return read_class_files(path, named_so, WHOLE)
    if "train" in by_split:
        used = [file for shards in by_split.values() for _, file in shards]
        notes += _left_out(path, [entry for entry in entries if entry not in used])
        return {split: _read_split(path, split, by_split[split]) for split in SPLITS if split in by_split}
    classes = [file for file in readable if FASTA_SUFFIX.search(file.name)]
    if len(classes) >= 2:
        notes += _left_out(path, [entry for entry in entries if entry not in classes])
        return {WHOLE: _read_classes(path, classes)}
    raise _no_data(path, files)


def _classes_and_splits(
    path: Path, by_split: Mapping[str, Sequence[tuple[tuple[int, int] | None, Path]]]
) -> list[ClassFile]:
    """FASTA files whose names say both, as ``pos_train.fa``; none where some say one alone, or are shards."""
    files = [(number, file) for shards in by_split.values() for number, file in shards]
    if not all(number is None and FASTA_SUFFIX.search(file.name) for number, file in files):
        return []
    found = [class_file(path, file) for _, file in files]
    return [one for one in found if one is not None] if None not in found else []


def _no_data(path: Path, entries: Sequence[Path]) -> DataError:
    there = f" (there are {', '.join(entry.name for entry in entries[:5])})" if entries else " (it is empty)"
    return DataError(
        f"{path} holds neither train, dev or test files (csv, tsv, parquet, jsonl, or FASTA with >name|label) nor one FASTA, or one "
        f"folder of FASTA, per class (two or more){there}"
    )


def _read_folders(path: Path, folders: Sequence[Path], notes: list[str], deep: bool) -> dict[str, RawTable]:
    """A folder per split, with its rows in one file or several, or with one FASTA per class; folders that are classes, too
    (:mod:`findna_bench.data.class_folders`); or else the one folder with data."""
    named = [(split, folder) for folder in folders if (split := split_name(folder.name))]
    by_split = dict(named)
    if len(by_split) < len(named):
        names = ", ".join(folder.name for _, folder in named)
        raise DataError(f"{path}: two of its folders are one split ({names}); leave one folder for each")
    if "train" in by_split and all(map(_plain_files, by_split.values())):
        notes += _left_out(path, [folder for folder in folders if folder not in by_split.values()])
        return {split: _read_split_folder(by_split[split], split) for split in SPLITS if split in by_split}
    if len(folders) > 1 and (files := class_files(path)):
        used = {path / one.file.relative_to(path).parts[0] for one in files}
        notes += _left_out(path, [folder for folder in folders if folder not in used])
        return read_class_files(path, files, WHOLE)
    inner = [folder for folder in folders if folder.name == "data"] or list(folders)
    if len(inner) > 1 or deep:
        raise _no_data(path, folders)
    notes += _left_out(path, [folder for folder in folders if folder not in inner])
    return _read_folder(inner[0], notes, deep=True)


def _read_split_folder(path: Path, split: str) -> RawTable:
    files = _plain_files(path)
    tables = [file for file in files if table_suffix(file.name) is not None]
    fasta = [file for file in files if FASTA_SUFFIX.search(file.name)]
    if not (tables or fasta) or len(tables) + len(fasta) < len(files) or (tables and fasta):
        raise DataError(
            f"{path} holds neither tables alone nor one FASTA per class alone ({', '.join(f.name for f in files[:5])})"
        )
    if tables:
        return RawTable.joined([_read_file(file) for file in tables])
    if len(fasta) == 1:
        return read_labelled_fasta(FolderTree(path, [fasta[0].name]), fasta[0].name)
    return _read_classes(path, fasta)


def _plain_files(path: Path) -> list[Path]:
    entries = (entry for entry in path.iterdir() if not entry.name.startswith(".") and not entry.is_dir())
    return sorted(entries, key=lambda file: _natural(file.name))


def _natural(text: str) -> list[tuple[int, int, str]]:
    """``2.csv`` before ``10.csv``."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text)]


def _stem(file: Path) -> str:
    """The name without suffixes of format and compression."""
    plain = without_compression(file.name)
    return FASTA_SUFFIX.sub("", plain) if FASTA_SUFFIX.search(plain) else plain.rpartition(".")[0]


def _left_out(path: Path, files: Sequence[Path]) -> list[str]:
    """A note that names files which were not read; words about the data are no data."""
    names = [file.name for file in files if not _DESCRIPTION.match(file.name)]
    if not names:
        return []
    return [
        f"{path.name}: {listed(names, 5)} {'is' if len(names) == 1 else 'are'} left out: named like no split or class, or no csv, tsv, parquet, jsonl or FASTA"
    ]


_DESCRIPTION = re.compile(
    r"readme|licen[sc]e|citation|dataset_infos?|dataset_dict|md5|sha256|.*\.(md|txt|pdf|yaml|yml|json|cfg)$",
    re.IGNORECASE,
)


def _read_split(path: Path, split: str, shards: Sequence[tuple[tuple[int, int] | None, Path]]) -> RawTable:
    """The file of a split, or its shards one after another.

    Raises:
        DataError: two files claim to be the whole of it, or a shard is missing.
    """
    names = [file.name for _, file in shards]
    if len(shards) > 1 and any(number is None for number, _ in shards):
        raise DataError(f"{path}: two files for the {split} split ({' and '.join(names[:2])}); leave one")
    numbers = [number for number, _ in shards if number is not None]
    if numbers:
        total = numbers[0][1]
        first = 1 if {number for number, _ in numbers} == set(range(1, total + 1)) else 0
        missing = sorted(set(range(first, first + total)) - {number for number, _ in numbers})
        if missing or len(numbers) != total or {of for _, of in numbers} != {total}:
            what = (
                f"shard {missing[0]} of {total} is missing"
                if missing
                else f"its shards do not fit ({', '.join(names[:4])})"
            )
            raise DataError(f"{path}: {split}: {what}; get it again")
    raws = [
        read_labelled_fasta(FolderTree(path, [file.name]), file.name)
        if FASTA_SUFFIX.search(file.name)
        else _read_file(file)
        for _, file in sorted(shards, key=lambda shard: shard[0] or (0, 0))
    ]
    return RawTable.joined(raws)


def _read_classes(path: Path, files: Sequence[Path]) -> RawTable:
    """One FASTA per class; the file's name is the class."""
    by_class: dict[str, Path] = {}
    for file in files:
        if (other := by_class.setdefault(_stem(file), file)) != file:
            raise DataError(f"{path}: two files for the class {_stem(file)} ({other.name} and {file.name}); leave one")
    return read_class_files(path, [ClassFile(file, name, None) for name, file in by_class.items()], WHOLE)[WHOLE]


def _infer_labels(raws: Mapping[str, RawTable]) -> tuple[str, ...]:
    """Class names in label order: numbers by size (by the names another column gives them, if it does), names by the alphabet.

    Raises:
        DataError: no label column, a missing label, one class only, or labels that look like measurements.
    """
    seen: set[str] = set()
    names: dict[str, set[str]] = {}
    named = True
    for raw in raws.values():
        texts, of_numbers = label_texts(raw)
        own = raw.class_names.get(next(name for name in LABEL_COLUMNS if name in raw.columns))
        seen |= set(own) if own and all(map(is_number, texts)) else set(texts)
        named = named and of_numbers is not None
        for number, name in (of_numbers or {}).items():
            names.setdefault(number, set()).add(name)
    place = next(iter(raws.values())).origin
    fractions = sorted(text for text in seen if is_number(text) and not re.fullmatch(r"-?\d+", text))
    commas = sorted(text for text in seen if re.fullmatch(r"[-+]?\d+,\d*", text))
    if commas and len(commas) == len(seen):
        raise DataError(
            f"{place}: labels such as {commas[0]!r} have a decimal comma; write {commas[0].partition(',')[0]}"
        )
    if fractions or len(seen) > MAX_CLASSES:
        what = f"label {fractions[0]} is no class" if fractions else f"{len(seen)} different labels are no classes"
        raise DataError(f"{place}: {what}; call the column value to predict numbers, or give classes")
    if len(seen) < 2:
        raise DataError(f"{place}: all rows have label {next(iter(seen), 'none')!r}; two classes or more are needed")
    if all(map(is_number, seen)):
        ordered = sorted(seen, key=int)
        alike = named and all(len(names.get(number, ())) == 1 for number in ordered)
        labels = tuple(next(iter(names[number])) for number in ordered) if alike else tuple(ordered)
        return labels if len(set(labels)) == len(ordered) else tuple(ordered)
    return tuple(sorted(seen))


def _check_training(where: str, tables: Mapping[str, SequenceTable], labels: Sequence[str]) -> None:
    if "train" not in tables:
        raise DataError(f"{where}: no train split; give a train file, or rows with split train")
    if tables["train"].labels.ndim > 1:
        return
    missing = np.flatnonzero(tables["train"].class_counts(len(labels)) == 0)
    if len(missing):
        name = labels[missing[0]]
        found = ", ".join(s for s, table in tables.items() if (table.labels == missing[0]).any())
        raise DataError(f"{where}: label {name!r} occurs in {found} and not in train; write labels alike in all splits")


def _draw_test(where: str, tables: Mapping[str, SequenceTable]) -> dict[str, SequenceTable]:
    train = tables["train"]
    drawn = draw_rows(train.strata, row_groups(train), np.random.default_rng(TEST_SEED), TEST_FRACTION)
    if not drawn.any():
        shared = (
            ""
            if train.sequences_b is None
            else "; pairs that share a side are related, unless a column group says otherwise"
        )
        raise DataError(f"{where}: too few independent rows to draw a test split from; give one (column split){shared}")
    rest = {"train": train.take(np.flatnonzero(~drawn)), "test": train.take(np.flatnonzero(drawn))}
    return {**tables, **rest}
