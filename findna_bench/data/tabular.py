"""Reading csv, tsv and parquet files of labelled sequences, with a name for every row in messages."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.sequences.alphabet import normalise_all

__all__ = ["RawTable", "contig_name", "label_indices", "no_column", "read_table", "row_ids", "rows_to_table"]

SEQUENCE_COLUMNS = ("sequence", "seq", "text", "sequences")
LABEL_COLUMNS = ("class", "label", "labels", "target")
ID_COLUMNS = ("id", "row_id", "seq_id", "name")
CONTIG_COLUMN = re.compile(r"contig|chrom|chromosome|chr|region(_\w+)?")
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
_WHOLE_NUMBER = re.compile(r"-?\d+\.0+")
_NOT_A_NUMBER = frozenset({"nan", "NaN", "NAN"})


@dataclass
class RawTable:
    """Columns of a file as they stand in it. ``columns`` maps lower-case names to lists of n values (str, numbers, None)."""

    origin: str
    """File name as messages give it."""
    columns: dict[str, list[Any]]
    first_row: int = 1
    """Number of the first data row as ``where`` counts."""
    class_names: dict[str, list[str]] = field(default_factory=dict)
    """Names of numbered label columns, where the file itself carries them."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def where(self, row: int) -> str:
        """Data row ``row`` (0-based) in words: ``train.csv, row 17 (the header is row 1)``."""
        counted = "the header is row 1" if self.first_row == 2 else "counted from 1"
        return f"{self.origin}, row {row + self.first_row} ({counted})"

    def first_of(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if name in self.columns), None)


def table_suffix(name: str) -> str | None:
    """``.csv``, ``.tsv`` or ``.parquet`` of a file name, also before ``.gz``; None for anything else."""
    plain = name.lower().removesuffix(".gz")
    return next((suffix for suffix in TABLE_SUFFIXES if plain.endswith(suffix)), None)


def read_table(stream: IO[bytes], name: str, origin: str) -> RawTable:
    """Read one table from an open binary file; ``name`` decides how.

    Raises:
        DataError: the file is empty, truncated, not text, or not of its format.
    """
    suffix = table_suffix(name)
    try:
        if name.lower().endswith(".gz"):
            stream = gzip.open(stream)  # type: ignore[assignment]  # noqa: SIM115 - closed with the stream
        if suffix == ".parquet":
            return _read_parquet(stream, origin)
        return _read_csv(stream, origin, "\t" if suffix == ".tsv" else ",")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{origin} is damaged or truncated ({error}); get it again") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{origin} is not text in UTF-8; save it in that encoding, as csv, tsv or parquet") from error


def _read_csv(stream: IO[bytes], origin: str, delimiter: str) -> RawTable:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    limit = csv.field_size_limit(sys.maxsize)  # the default refuses sequences over 131 kb
    try:
        reader = csv.reader(text, delimiter=delimiter)
        header = [name.strip().lower() for name in next(reader, [])]
        if not any(header):
            raise DataError(f"{origin} is empty")
        if len(set(header)) != len(header):
            raise DataError(f"{origin}: two columns have the same name ({', '.join(header)})")
        return RawTable(origin, _csv_columns(reader, header, origin), first_row=2)
    except csv.Error as error:
        raise DataError(f"{origin} is not a table ({error})") from error
    finally:
        csv.field_size_limit(limit)


def _csv_columns(reader: Iterator[list[str]], header: list[str], origin: str) -> dict[str, list[Any]]:
    rows: list[list[str]] = []
    width = len(header)
    for number, row in enumerate(reader, start=2):
        if len(row) != width:
            if not any(cell.strip() for cell in row):
                raise DataError(f"{origin}, row {number} (the header is row 1): the row is empty; remove it")
            raise DataError(
                f"{origin}, row {number} (the header is row 1): {len(row)} fields where the header has {width}"
            )
        rows.append(row)
    columns = list(zip(*rows, strict=True)) if rows else [()] * width
    return {name: list(values) for name, values in zip(header, columns, strict=True)}


def _read_parquet(stream: IO[bytes], origin: str) -> RawTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(stream.read()))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{origin} is not a whole parquet file ({str(error).splitlines()[0]}); get it again") from error
    columns = {name.strip().lower(): table.column(name).to_pylist() for name in table.column_names}
    return RawTable(origin, columns, first_row=1, class_names=_class_names(table.schema.metadata))


def _class_names(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """Names of class-label columns from the metadata that the ``datasets`` library writes into parquet files."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name.strip().lower(): [str(label) for label in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and isinstance(feature.get("names"), list)
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def rows_to_table(raw: RawTable, labels: Sequence[str]) -> SequenceTable:
    """Validated rows of a raw table: sequences normalised, labels as indices into ``labels``.

    Raises:
        DataError: no sequence or label column, a row without one, a letter that is not DNA, a label not in ``labels``.
    """
    column = raw.first_of(SEQUENCE_COLUMNS)
    if column is None:
        raise no_column(raw, ", ".join(SEQUENCE_COLUMNS[:3]))
    if not len(raw):
        raise DataError(f"{raw.origin} has a header and no rows")
    indices = label_indices(raw, labels)
    texts = ["" if value is None else str(value).strip() for value in raw.columns[column]]
    sequences = normalise_all(texts, raw.where)
    contig, start, end, strand = coordinates(raw)
    return SequenceTable(
        sequences=sequences,
        labels=indices,
        ids=row_ids(raw, indices, labels),
        group=np.array([str(g) for g in raw.columns["group"]], dtype=str) if "group" in raw.columns else None,
        contig=contig,
        start=start,
        end=end,
        strand=strand,
    )


def no_column(raw: RawTable, wanted: str) -> DataError:
    """The error of a table without the column ``wanted``, with the likeliest reason."""
    header = list(raw.columns)
    what = f"{raw.origin}: no column {wanted} among {', '.join(header) or 'none'}"
    other = next((mark for mark in ";\t,|" if mark in header[0]), None) if len(header) == 1 else None
    if other == "\t":
        return DataError(f"{what}; its columns are separated by tabs: name it .tsv")
    if other:
        return DataError(f"{what}; its columns are separated by {other!r}: use commas in a .csv, tabs in a .tsv")
    if any(re.fullmatch("[acgtun]{8,}", name) for name in header):
        return DataError(
            f"{raw.origin}: its first row holds a sequence where the names of the columns are expected; "
            "put a row above it (for a csv: sequence,label)"
        )
    return DataError(f"{what}; rename one")


def label_indices(raw: RawTable, labels: Sequence[str]) -> np.ndarray:
    """(n,) int64 indices into ``labels``, from names or numbers; where a file has both they must agree.

    Raises:
        DataError: no label column, a missing label, a label that is not among ``labels``, or columns that disagree.
    """
    columns = [name for name in LABEL_COLUMNS if name in raw.columns]
    if not columns:
        raise no_column(raw, "label or class")
    found = [_resolve(raw, name, labels) for name in columns]
    for name, other in zip(columns[1:], found[1:], strict=True):
        if not np.array_equal(found[0], other):
            row = int(np.flatnonzero(found[0] != other)[0])
            raise DataError(
                f"{raw.where(row)}: {columns[0]} says {labels[found[0][row]]!r} and {name} says {labels[other[row]]!r}; "
                f"labels are numbered in the order {', '.join(labels)}"
            )
    return found[0]


def _resolve(raw: RawTable, column: str, labels: Sequence[str]) -> np.ndarray:
    values = [label_text(value) for value in raw.columns[column]]
    if "" in values:
        raise DataError(f"{raw.where(values.index(''))}: the row has no {column}")
    by_name = {name: i for i, name in enumerate(labels)}
    by_number = {str(i): i for i in range(len(labels))}
    own = raw.class_names.get(column)
    if own is not None:
        unknown = [name for name in own if name not in by_name]
        if unknown:
            raise DataError(f"{raw.origin}: its label {unknown[0]!r} is not in the card's labels ({', '.join(labels)})")
        by_number = {str(i): by_name[name] for i, name in enumerate(own)}
    distinct = set(values)
    table = next((t for t in (by_name, by_number) if distinct <= t.keys()), None)
    if table is None:
        table = max((by_name, by_number), key=lambda t: len(distinct & t.keys()))
        row = next(i for i, value in enumerate(values) if value not in table)
        raise DataError(f"{raw.where(row)}: label {values[row]!r} is not in the card's labels ({', '.join(labels)})")
    return np.fromiter((table[value] for value in values), dtype=np.int64, count=len(values))


def label_text(value: Any) -> str:
    """A label as text: whole numbers without a point, missing as ""."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    text = str(value).strip()
    if "." in text and _WHOLE_NUMBER.fullmatch(text):
        return text.partition(".")[0]
    return "" if text in _NOT_A_NUMBER else text


def row_ids(
    raw: RawTable, indices: np.ndarray, labels: Sequence[str], splits: Sequence[str | None] | None = None
) -> np.ndarray:
    """(n,) ids: the file's own, with the class before them where they repeat, else row numbers of the file from 0.

    splits: (n,) names; ids may repeat between splits then, if they do not within one.
    """
    within = [""] * len(raw) if splits is None else [str(split) for split in splits]
    column = raw.first_of(ID_COLUMNS)
    if column is not None:
        ids = ["" if value is None else label_text(value) for value in raw.columns[column]]
        for candidate in (ids, [f"{labels[i]}/{text}" for i, text in zip(indices, ids, strict=True)]):
            if "" not in ids and len(set(zip(within, candidate, strict=True))) == len(candidate):
                return np.array(candidate, dtype=str)
    return np.array([str(i) for i in range(len(raw))], dtype=str)


def contig_name(name: str) -> str:
    """A contig without its ``chr``; the mitochondrion, ``M`` or ``MT``, is ``MT``."""
    bare = name.strip()
    if bare[:3].lower() == "chr" and len(bare) > 3:
        bare = bare[3:]
    return "MT" if bare == "M" else bare


def coordinates(
    raw: RawTable,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """(contig, start, end, strand) arrays, or Nones where the file has no coordinates; strand "" where not given.

    Raises:
        DataError: a start or end is no whole number, or the end lies before the start.
    """
    column = next((name for name in raw.columns if CONTIG_COLUMN.fullmatch(name)), None)
    if column is None or "start" not in raw.columns or "end" not in raw.columns:
        return None, None, None, None
    names: dict[str, str] = {}
    texts = [label_text(value) for value in raw.columns[column]]
    contig = np.array([names.setdefault(text, contig_name(text)) for text in texts], dtype=str)
    start = _whole_numbers(raw, "start")
    end = _whole_numbers(raw, "end")
    if len(raw) and (end <= start).any():
        row = int(np.flatnonzero(end <= start)[0])
        raise DataError(f"{raw.where(row)}: the interval ends at {end[row]}, not after its start {start[row]}")
    strands = [label_text(value) for value in raw.columns["strand"]] if "strand" in raw.columns else [""] * len(raw)
    wrong: Callable[[str], bool] = lambda s: s not in ("+", "-", "", ".")  # noqa: E731
    if any(map(wrong, set(strands))):
        row = next(i for i, s in enumerate(strands) if wrong(s))
        raise DataError(f"{raw.where(row)}: strand {strands[row]!r} is none of +, - and empty")
    return contig, start, end, np.array([s.replace(".", "") for s in strands], dtype="<U1")


def _whole_numbers(raw: RawTable, column: str) -> np.ndarray:
    texts = [label_text(value) for value in raw.columns[column]]
    try:
        return np.array([int(text) for text in texts], dtype=np.int64)
    except ValueError:
        row = next(i for i, text in enumerate(texts) if not re.fullmatch(r"-?\d+", text))
        raise DataError(f"{raw.where(row)}: {column} {texts[row]!r} is not a whole number") from None
