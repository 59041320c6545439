"""Folders in which the names of folders and files say what class a sequence is of, and which split it is in where they say that.

==============================================  ==========================================================
``pos/x.fa``, ``neg/x.fa``                      a folder per class
``train/pos/x.fa``, ``pos/train/x.fa``          splits and classes, either outside the other
``pos/train.fa``, ``train/pos.fa``              one of the two is the file's name
``pos_train.fa``, ``neg_train.fa``              both are
``train/pos/0.txt``, ``train/pos/1.txt``        one sequence a file (GenomicBenchmarks)
==============================================  ==========================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from findna_bench.data.archives import FolderTree
from findna_bench.data.catalog import SPLITS
from findna_bench.data.layouts import fasta_records
from findna_bench.data.split_names import split_name
from findna_bench.data.tabular import RawTable
from findna_bench.errors import DataError
from findna_bench.files import open_regular
from findna_bench.sequences.fasta import FASTA_SUFFIX
from findna_bench.unpacking import without_compression

__all__ = ["ClassFile", "class_file", "class_files", "read_class_files"]

_DEEPEST = 3
_TEXT = re.compile(r"\.txt$", re.IGNORECASE)
_ABOUT = re.compile(r"readme|licen[sc]e|citation|md5|sha256", re.IGNORECASE)


@dataclass(frozen=True)
class ClassFile:
    """A file whose sequences are all of one class, and in one split where its name or a folder's says so."""

    file: Path
    class_name: str
    split: str | None


def class_files(path: Path) -> list[ClassFile]:
    """All files of a folder whose class is said by a name; empty where there is none.

    Raises:
        DataError: several folders' names may be the class of a file, or a folder cannot be read.
    """
    files = sorted(_sequence_files(path, 1), key=lambda file: _natural(str(file)))
    fasta = [file for file in files if FASTA_SUFFIX.search(file.name)]
    found = (class_file(path, file) for file in fasta or files)
    return [one for one in found if one is not None]


def _sequence_files(path: Path, depth: int) -> Iterator[Path]:
    try:
        entries = [entry for entry in path.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    for entry in entries:
        if entry.is_dir():
            if depth <= _DEEPEST:
                yield from _sequence_files(entry, depth + 1)
        elif FASTA_SUFFIX.search(entry.name) or (_TEXT.search(entry.name) and not _ABOUT.match(entry.name)):
            yield entry


def class_file(path: Path, file: Path) -> ClassFile | None:
    """What the names of a file below ``path``, and of the folders above it, say; None where they say no class.

    Raises:
        DataError: several folders' names may be its class.
    """
    folders = file.relative_to(path).parts[:-1]
    splits = [split for folder in folders if (split := split_name(folder))]
    classes = [folder for folder in folders if not split_name(folder)]
    if len(splits) > 1 or len(classes) > 1:
        raise DataError(
            f"{path}: {file.relative_to(path)} lies in several folders that may be its {'split' if len(splits) > 1 else 'class'}; "
            "keep one folder per class, and one above or below it per split"
        )
    stem, split_of_stem = _without_split(_stem(file))
    split = splits[0] if splits else split_of_stem
    if classes:
        return ClassFile(file, classes[0], split)
    if _TEXT.search(file.name) or not (name := stem if not splits else _stem(file)):
        return None
    return ClassFile(file, name, split)


def _without_split(stem: str) -> tuple[str, str | None]:
    """``pos_train`` is ``pos`` in train; a stem with no split, or with two, is the class as it stands."""
    words = re.split(r"([\s_.-]+)", stem)
    places = [place for place, word in enumerate(words) if split_name(word)]
    if len(places) != 1:
        return stem, None
    place = places[0]
    rest = words[: max(place - 1, 0)] + words[place + 1 :] if place else words[2:]
    return "".join(rest), split_name(words[place])


def read_class_files(path: Path, files: Sequence[ClassFile], whole: str) -> dict[str, RawTable]:
    """Rows by split, or all of them as ``whole`` where no name says a split.

    Raises:
        DataError: some names say a split and others do not, there is no train split, or a file is damaged or empty.
    """
    apart = [one for one in files if one.split is None]
    if apart and len(apart) < len(files):
        raise DataError(
            f"{path}: no name says which split {apart[0].file.relative_to(path)} is in, as others do; put train, validation or test into it"
        )
    if apart:
        return {whole: _rows(path, files)}
    by_split = {split: [one for one in files if one.split == split] for split in SPLITS}
    return {split: _rows(path, held) for split, held in by_split.items() if held}


def _rows(path: Path, files: Sequence[ClassFile]) -> RawTable:
    columns: dict[str, list[Any]] = {"sequence": [], "class": [], "id": []}
    places: list[str] = []
    for one in files:
        before = len(places)
        for number, (header, sequence) in enumerate(_records(path, one.file), start=1):
            columns["sequence"].append(sequence)
            columns["class"].append(one.class_name)
            columns["id"].append(header.split()[0] if header.split() else str(number))
            places.append(f"{one.file}, record {number}" if FASTA_SUFFIX.search(one.file.name) else str(one.file))
        if len(places) == before:
            raise DataError(f"{one.file} is empty")
    return RawTable(str(path), columns, named=places.__getitem__)


def _records(path: Path, file: Path) -> Iterator[tuple[str, str]]:
    if FASTA_SUFFIX.search(file.name):
        name = file.relative_to(path).as_posix()
        return fasta_records(FolderTree(path, [name]), name)
    with open_regular(file) as stream:
        try:
            text = stream.read().decode("utf-8-sig")
        except UnicodeError as error:
            raise DataError(f"{file} is not text in UTF-8") from error
    return iter([(_stem(file), "".join(text.split()))] if text.strip() else [])


def _stem(file: Path) -> str:
    plain = without_compression(file.name)
    return FASTA_SUFFIX.sub("", plain) if FASTA_SUFFIX.search(plain) else plain.rpartition(".")[0]


def _natural(text: str) -> list[tuple[int, int, str]]:
    """``2.txt`` before ``10.txt``."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text)]
