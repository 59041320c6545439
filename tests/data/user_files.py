"""A generator of files as people have them (hypothesis), and what has to be read of each."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

ROWS = st.integers(24, 40)
FORMATS = (
    "csv",
    "tsv",
    "jsonl",
    "ndjson",
    "json",
    "json columns",
    "json pandas",
    "parquet",
    "fasta splits",
    "fasta classes",
)
SEQUENCE_NAMES = ("sequence", "Sequence", "seq", "text", " sequences ")
LABEL_NAMES = ("label", "LABEL", "labels", "class", "target")
MISSING_TEXTS = (
    "",
    "NA",
    "nan",
    "NaN",
    "N/A",
    "null",
    "NULL",
    "Null",
    "None",
    "none",
    "<NA>",
    "#N/A",
    "n/a",
    "N.A.",
    "#REF!",
    "  ",
)
TARGETS = ("classes", "classes", "values", "labels")
CLASSES: tuple[tuple[tuple[Any, ...], tuple[str, ...]], ...] = (
    (("0", "1"), ("0", "1")),
    (("-1", "+1"), ("-1", "1")),
    (("0.0", "1.0", "2.0"), ("0", "1", "2")),
    (("2", "10", "1"), ("1", "2", "10")),
    (("TRUE", "FALSE"), ("FALSE", "TRUE")),
    (("promoter", "background"), ("background", "promoter")),
    (("a,b", 'say "x"', "c;d"), ("a,b", "c;d", 'say "x"')),
    (("éxon", "启动子"), ("éxon", "启动子")),
    (("no", "yes", "may be"), ("may be", "no", "yes")),
    (("0e+00", "1e+05"), ("0", "100000")),
    (("true", "FALSE", "True", "false"), ("False", "True")),
    ((" 0", "1 "), ("0", "1")),
    (("+1", "-1.0", "0"), ("-1", "0", "1")),
    ((0, 1), ("0", "1")),
    ((False, True), ("0", "1")),
    ((0.0, 1.0), ("0", "1")),
    ((10, 9), ("9", "10")),
)
"""Labels as they are written, and the classes they stand for in their order."""
_COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".GZ": gzip.compress,
    ".bgz": lambda content: gzip.compress(content[:9]) + gzip.compress(content[9:]),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: _zstd(content),
}


def _zstd(content: bytes) -> bytes:
    import pyarrow as pa

    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as packed:
        packed.write(content)
    return bytes(out.getvalue().to_pybytes())


@dataclass(frozen=True)
class UserFile:
    """A file or folder to write, and what it holds.

    rows: (sequence, label as written, class or None, split or None) of each row; None where the row has no class, "" without sequence.
    target: ``classes``, ``values`` (the label as written is a number) or ``labels`` (names separated by semicolons).
    """

    kind: str
    rows: tuple[tuple[str, Any, str | None, str | None], ...]
    classes: tuple[str, ...]
    sequence_name: str
    label_name: str
    extra: tuple[str, ...]
    order: tuple[int, ...]
    compression: str
    encoding: str
    newline: str
    end: str
    quoting: int
    target: str = "classes"

    @property
    def missing(self) -> int:
        return sum(1 for sequence, _, name, _ in self.rows if sequence.strip() in MISSING_TEXTS or name is None)

    def kept(self) -> list[tuple[str, str, str | None]]:
        """(sequence, class, split) of the rows that are whole, in order."""
        return [
            (sequence.strip().upper().replace("U", "T"), name, split)
            for sequence, _, name, split in self.rows
            if sequence.strip() not in MISSING_TEXTS and name is not None
        ]

    def write(self, folder: Path) -> Path:
        """The path to give to the harness."""
        if self.kind == "fasta splits":
            return self._write_fasta(folder / "set", by_split=True)
        if self.kind == "fasta classes":
            return self._write_fasta(folder / "set", by_split=False)
        suffix = self.kind.partition(" ")[0]
        path = folder / f"x.{suffix}{self.compression}"
        path.write_bytes(_COMPRESSORS[self.compression](self._content()))
        return path

    def _columns(self) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {
            self.sequence_name: [sequence for sequence, _, _, _ in self.rows],
            self.label_name: [label for _, label, _, _ in self.rows],
        }
        if self.rows[0][3] is not None:
            columns["split" if len(self.extra) % 2 else " Split"] = [
                _spelt(split, row) for row, (*_, split) in enumerate(self.rows)
            ]
        for number, name in enumerate(self.extra):
            columns[name] = [_extra(name, row, number) for row in range(len(self.rows))]
        names = list(columns)
        return {names[i]: columns[names[i]] for i in self.order if i < len(names)}

    def _content(self) -> bytes:
        columns = self._columns()
        records = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        if self.kind == "parquet":
            import pandas as pd

            stream = io.BytesIO()
            values = columns[self.label_name]
            if not all(isinstance(value, str) for value in values) and any(isinstance(value, str) for value in values):
                columns[self.label_name] = [None if isinstance(value, str) else value for value in values]
            pd.DataFrame(columns).to_parquet(stream)
            return stream.getvalue()
        if self.kind in ("csv", "tsv"):
            text = io.StringIO()
            writer = csv.writer(
                text,
                delimiter="," if self.kind == "csv" else "\t",
                lineterminator=self.newline,
                quoting=self.quoting,  # type: ignore[arg-type]
            )
            writer.writerow(columns)
            writer.writerows(record.values() for record in records)
            return (text.getvalue() + self.end).encode(self.encoding)
        if self.kind in ("jsonl", "ndjson"):
            lines = [json.dumps(record, ensure_ascii=len(self.extra) % 2 == 0) for record in records]
            return (self.newline.join(lines) + self.newline + self.end).encode(self.encoding)
        if self.kind == "json columns":
            return json.dumps(columns).encode(self.encoding)
        if self.kind == "json pandas":
            by_row = {name: {str(row): value for row, value in enumerate(values)} for name, values in columns.items()}
            return json.dumps(by_row).encode(self.encoding)
        return json.dumps(records, indent=len(self.extra) or None).encode(self.encoding)

    def _write_fasta(self, folder: Path, *, by_split: bool) -> Path:
        folder.mkdir()
        records: dict[str, list[str]] = {}
        for number, (sequence, label, name, split) in enumerate(self.rows):
            half = len(sequence) // 2
            lines = [sequence[:half], sequence[half:]] if half else [sequence]
            header = f">r{number}|{label}" if by_split else f">r{number} words"
            file = (split or "train") if by_split else str(name)
            records.setdefault(file, []).append(self.newline.join([header, *lines]) + self.newline)
        for file, texts in records.items():
            content = ("".join(texts) + self.end.replace(",", "")).encode(self.encoding)
            (folder / f"{file}.fa{self.compression}").write_bytes(_COMPRESSORS[self.compression](content))
        return folder


def _extra(name: str, row: int, number: int) -> str:
    """A column that is carried along: words, quotes, separators, line breaks, nothing."""
    return ("", "NA", 'a "b", c', "two\nlines", f"{name}; {row % (number + 3)}", "é\t启")[
        (row + number) % 6 if number else 4
    ]


def _spelt(split: str | None, row: int) -> str:
    """A split as people write it, not the same in all rows."""
    return {
        "train": ("train", "Training ")[row % 2],
        "validation": ("dev", "VALID")[row % 2],
        "test": ("test", " Test")[row % 2],
    }[str(split)]


@st.composite
def user_files(draw: st.DrawFn, kind: str) -> UserFile:
    """Any of the files of a format; a third of them with missing values."""
    fasta, textual = kind.startswith("fasta"), kind in ("csv", "tsv") or kind.startswith("fasta")
    written, classes = draw(st.sampled_from(CLASSES))
    if textual:
        written = tuple(str(label) for label in written)
        classes = tuple(sorted(written)) if set(written) == {"False", "True"} else classes
    target = "classes" if fasta else draw(st.sampled_from(TARGETS))
    if target == "values":
        written = draw(st.sampled_from([("0.5", "-1e-3", "+2"), ("7", "8.25", "1e3"), ("-0.0", ".5", "3.")]))
        written, classes = (written if textual or kind != "parquet" else tuple(map(float, written))), ("value",)
    if target == "labels":
        written, classes = ("b;a", "a", "c", "a; c", "b"), ("a", "b", "c")
    if kind == "fasta classes":  # file names are the classes
        written, classes = draw(st.sampled_from([(("a", "b"), ("a", "b")), (("10", "9"), ("9", "10"))]))
    by_text = _class_of(classes) if target == "classes" else str
    n = draw(ROWS)
    letters, generator = draw(_LETTERS), random.Random(n)
    sequences = ["".join(generator.choices(letters, k=generator.randint(24, 40))) for _ in range(n)]
    labels: list[Any] = [written[i % len(written)] for i in range(n)]
    splits = draw(st.booleans()) or kind == "fasta splits"
    names = ["train" if i < n * 2 // 3 else ("test" if i % 2 else "validation") for i in range(n)]
    gone = draw(st.sets(st.integers(len(written) * 2, n - 1), max_size=3)) if draw(st.integers(0, 2)) == 0 else set()
    rows = []
    for i in range(n):
        sequence, label, name = sequences[i], labels[i], by_text(labels[i])
        if i in gone:
            if i % 2 or kind == "fasta classes" or target == "labels":
                sequence = "" if fasta else draw(st.sampled_from(MISSING_TEXTS))
            else:
                label, name = draw(st.sampled_from(MISSING_TEXTS)), None
        rows.append((sequence, label, name, names[i] if splits else None))
    if kind == "fasta classes":
        rows = sorted(((s, la, na, None) for s, la, na, _ in rows), key=lambda row: str(row[2]))
    extra = draw(st.lists(st.sampled_from(["note", "score", "species", "Gene Name", "id2"]), unique=True, max_size=3))
    width = 2 + (rows[0][3] is not None) + len(extra)
    label_name = {"values": "value", "labels": "labels"}.get(target) or draw(st.sampled_from(LABEL_NAMES))
    if target == "classes" and label_name == "labels" and any(";" in name for name in classes):
        label_name = "label"  # a column of lists of labels is several labels
    encodings = ["utf-8"] if kind.startswith("json ") else ["utf-8", "utf-8-sig"]
    encodings += ["utf-16", "utf-32"] if kind in ("csv", "tsv", "jsonl") else []
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    return UserFile(
        kind,
        tuple(rows),
        classes,
        draw(st.sampled_from(SEQUENCE_NAMES)),
        label_name,
        tuple(extra),
        tuple(draw(st.permutations(range(width)))),
        draw(st.sampled_from(list(_COMPRESSORS))),
        draw(st.sampled_from(encodings)),
        draw(st.sampled_from(["\n", "\r\n"])),
        draw(st.sampled_from(["", "\n", "\n\n", " \n"])),
        quoting,
        target,
    )


_LETTERS = st.sampled_from(["ACGT", "acgt", "ACGTN", "ACGU"])


def _class_of(classes: tuple[str, ...]) -> Callable[[Any], str]:
    def found(label: Any) -> str:
        if isinstance(label, bool | float):
            return str(int(label))
        text = str(label).strip().removeprefix("+")
        if "e+" in text:
            return str(int(float(text)))
        if text.capitalize() in classes:
            return text.capitalize()
        return text.removesuffix(".0") if text.removesuffix(".0") in classes else text

    return found
