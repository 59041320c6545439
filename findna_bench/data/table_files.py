"""Reading the files that tables come as: csv, tsv, parquet, JSON lines and JSON, plain or compressed, in UTF-8 or marked UTF-16."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

from findna_bench.data.split_names import split_name
from findna_bench.data.tabular import RawTable
from findna_bench.errors import DataError
from findna_bench.unpacking import check_held, check_unpacked, decompressed, without_compression

__all__ = ["FORMATS", "PUBLISHED_SUFFIXES", "read_table", "table_suffix", "text_of"]

FORMATS = "csv, tsv, parquet or jsonl"
"""What messages say may be given."""
PUBLISHED_SUFFIXES = (".csv", ".tsv", ".parquet")
"""What the data sets that cards describe are published as; other files beside them are no data."""
_SPREADSHEET = re.compile(r"\.(xlsx?|xlsm|xlsb|ods|numbers)$", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|7z|rar)$|\.tar\.\w+$", re.IGNORECASE)
_BEGINNINGS = {
    b"PK\x03\x04": "a zip archive (or a spreadsheet): unpack it, or save its table as csv",
    b"PAR1": "a parquet file: name it .parquet",
    b"ARROW1": "an Arrow file: save its table as parquet",
    b"\x89HDF": "an HDF5 file: save its table as parquet or csv",
    b"SQLite": "a database: save its table as csv",
}
"""What binary files begin with that people name as text."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16 does, so it stands first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CELL, _ROW = 58, 64
"""Bytes of memory that a cell and a row take beside their letters."""
_BATCH = 1024


def table_suffix(name: str) -> str | None:
    """``.csv``, ``.tsv``, ``.parquet``, ``.jsonl``, ``.ndjson`` or ``.json`` of a file name, also before ``.gz`` and the like; None for
    anything else.
    """
    plain = without_compression(name).lower()
    return next((suffix for suffix in _READERS if plain.endswith(suffix)), None)


def no_table(name: str, origin: str) -> DataError:
    """The error of a file that is none of the formats."""
    if _SPREADSHEET.search(name):
        return DataError(f"{origin} is a spreadsheet; save its table as csv")
    if _ARCHIVE.search(name):
        return DataError(f"{origin} is an archive; unpack it, and give the file or folder that it holds")
    return DataError(f"{origin} is no {FORMATS} file; give one of these, or a folder")


def read_table(stream: IO[bytes], name: str, origin: str) -> RawTable:
    """Read one table from an open binary file; ``name`` decides how.

    Raises:
        DataError: the file is empty, truncated, not text, not of its format, or too large to be held in memory.
    """
    suffix = table_suffix(name)
    if suffix is None:
        raise no_table(name, origin)
    try:
        with decompressed(stream, origin, in_memory=True) as content:
            if suffix != ".parquet":
                _check_beginning(content, origin)
            raw = _READERS[suffix](content, origin)
    except UnicodeError as error:
        raise DataError(f"{origin} is not text in UTF-8; save it in that encoding, as {FORMATS}") from error
    if not raw.columns:
        raise DataError(f"{origin} is empty")
    return raw


def _check_beginning(stream: io.BufferedReader, origin: str) -> None:
    start = stream.peek(8)
    if (found := next((words for mark, words in _BEGINNINGS.items() if start.startswith(mark)), None)) is not None:
        raise DataError(f"{origin} is {found}")


def text_of(stream: io.BufferedReader, *, errors: str = "strict") -> io.TextIOWrapper:
    """Text in UTF-8, or in what a byte-order mark says."""
    start = stream.peek(4)[:4]
    encoding = next((encoding for mark, encoding in _MARKS if start.startswith(mark)), "utf-8-sig")
    return io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline=None if errors == "replace" else "")


# -------------------------------------------------------------------------------------------------- csv and tsv


def _read_csv(stream: io.BufferedReader, origin: str) -> RawTable:
    return _read_delimited(stream, origin, ",")


def _read_tsv(stream: io.BufferedReader, origin: str) -> RawTable:
    return _read_delimited(stream, origin, "\t")


def _read_delimited(stream: io.BufferedReader, origin: str, delimiter: str) -> RawTable:
    limit = csv.field_size_limit(sys.maxsize)  # the default refuses sequences over 131 kb
    # strict: a quote that is never closed would swallow the rows after it
    reader = csv.reader(text_of(stream), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        filled = (row for row in reader if any(cell.strip() for cell in row))
        first: list[str] = next(filled, [])
        if [cell.strip() for cell in first] == ["sep=", ""]:  # what spreadsheets write above a table
            first = next(filled, [])
        if any("\0" in cell for cell in first):
            raise DataError(f"{origin} holds NUL characters where text is expected; save it as UTF-8")
        _check_separator(first, origin)
        header = _column_names([cell.strip() or f"column {place}" for place, cell in enumerate(first, 1)], origin)
        return RawTable(origin, _csv_columns(reader, header, origin), first_row=2)
    except csv.Error as error:
        raise DataError(f"{origin}, line {reader.line_num}: is not a table ({error})") from error
    finally:
        csv.field_size_limit(limit)


def _check_separator(first: Sequence[str], origin: str) -> None:
    """A header of one cell that holds several names: its rows would be counted wrong before anything said why."""
    text = first[0].strip() if len(first) == 1 else ""
    for mark, words in (("\t", "tabs: name it .tsv"), (";", "';'"), ("|", "'|'"), (",", "','"), (" ", "spaces")):
        if len(text.split(mark)) > 1 and all(part.strip() for part in text.split(mark)[:-1]):
            advice = "" if mark == "\t" else ": use commas in a .csv, tabs in a .tsv"
            raise DataError(f"{origin}: its columns are separated by {words}{advice} (its first line is {text[:60]!r})")


def _column_names(names: Sequence[str], origin: str) -> list[str]:
    """Names in lower case, without spaces around them.

    Raises:
        DataError: two are the same.
    """
    plain = [name.strip().lower() for name in names]
    if len(set(plain)) != len(plain):
        twice = next(name for name in plain if plain.count(name) > 1)
        raise DataError(f"{origin}: two columns have the same name, {twice!r} ({', '.join(plain)})")
    return plain


def _csv_columns(reader: Iterator[list[str]], header: list[str], origin: str) -> dict[str, list[Any]]:
    """Columns by name; a row without any content is one of empty cells, unless nothing follows it."""
    rows: list[list[str]] = []
    width, blank = len(header), 0
    for number, row in enumerate(reader, start=2):
        if not any(cell.strip() for cell in row):
            blank += 1
            continue
        rows.extend([[""] * width] * blank)
        blank = 0
        if len(row) != width:
            raise DataError(
                f"{origin}, row {number} (the header is row 1): {len(row)} fields where the header has {width}"
            )
        rows.append(row)
        if not len(rows) % 100_000:
            check_held(origin, len(rows) * (width * _CELL + _ROW))
    columns = list(zip(*rows, strict=True)) if rows else [()] * width
    return {name: list(values) for name, values in zip(header, columns, strict=True)}


# ------------------------------------------------------------------------------------------------ JSON, JSON lines


def _read_json_lines(stream: io.BufferedReader, origin: str) -> RawTable:
    text = text_of(stream)
    first = next((line for line in text if line.strip()), "")
    if first.lstrip().startswith("["):  # a list of rows, which is JSON whatever the file is called
        return _from_json(first + text.read(), origin)
    return _from_lines(itertools.chain([first] if first else [], text), origin)


def _from_lines(lines: Iterable[str], origin: str) -> RawTable:
    """One object a line; lines without anything are passed over. A list of objects is JSON, whatever the file is called."""
    records: list[Mapping[str, Any]] = []
    numbers: list[int] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{origin}, line {number}"
            records.append(_object(_parsed(line, where), where))
            numbers.append(number)
            if not len(records) % 100_000:
                check_held(origin, len(records) * (len(records[-1]) * 2 * _CELL + _ROW))

    def named(row: int) -> str:
        return f"{origin}, line {numbers[row]}"

    return RawTable(origin, _record_columns(records, named), named=named)


def _read_json(stream: io.BufferedReader, origin: str) -> RawTable:
    return _from_json(text_of(stream).read(), origin)


def _from_json(text: str, origin: str) -> RawTable:
    """A list of objects, an object of columns (lists, or objects by row as pandas writes them), or lines after all."""
    try:
        content = _parsed(text, origin)
    except DataError:
        if "\n" not in text.strip():
            raise
        return _from_lines(text.splitlines(), origin)
    if isinstance(content, list):
        records = [_object(record, f"{origin}, row {row + 1}") for row, record in enumerate(content)]
        return RawTable(origin, _record_columns(records, lambda row: f"{origin}, row {row + 1}"))
    columns = _object(content, origin)
    if (rows := _rows_of_object(columns)) is not None:
        return RawTable(origin, _record_columns(rows, lambda row: f"{origin}, row {row + 1}"))
    if columns and all(not isinstance(values, list | Mapping) for values in columns.values()):
        return RawTable(
            origin, _record_columns([columns], lambda row: f"{origin}, row {row + 1}")
        )  # lines, one of them
    names = _column_names(list(columns), origin)
    lists: list[list[Any]] = []
    for name, values in columns.items():
        if not isinstance(values, list | Mapping):
            raise DataError(f"{origin}: column {name!r} is no list; give a list of rows, or an object of columns")
        if isinstance(values, Mapping) and list(values) != list(columns[next(iter(columns))]):
            raise DataError(f"{origin}: column {name!r} has other rows than {next(iter(columns))!r}")
        lists.append(list(values.values()) if isinstance(values, Mapping) else values)
    if len({len(values) for values in lists}) > 1:
        raise DataError(f"{origin}: its columns have different numbers of rows")
    return RawTable(origin, dict(zip(names, lists, strict=True)))


def _rows_of_object(content: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """Rows of an object that holds them as pandas (``split``, ``table``) or the hub writes them, or in lists by split; None of any other."""
    data, names = content.get("data"), content.get("columns")
    if isinstance(data, list) and isinstance(names, list):
        whole = all(isinstance(row, list) and len(row) == len(names) for row in data)
        return [dict(zip(map(str, names), row, strict=True)) for row in data] if whole else None
    lists = {
        name: rows
        for name, rows in content.items()
        if isinstance(rows, list) and rows and all(isinstance(row, Mapping) for row in rows)
    }
    if set(lists) in ({"data"}, {"rows"}) and not any(
        isinstance(v, list) for k, v in content.items() if k not in lists
    ):
        return next(iter(lists.values()))
    if len(lists) == len(content) and lists and all(split_name(name) for name in lists):
        return [{**row, "split": name} for name, rows in lists.items() for row in rows]
    return None


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not JSON ({error})") from error


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError(f'{where}: a row is an object, {{"sequence": ..., "label": ...}}, not {str(value)[:60]!r}')
    return value


def _record_columns(records: Sequence[Mapping[str, Any]], where: Callable[[int], str]) -> dict[str, list[Any]]:
    """Columns of objects; what a row does not have is missing.

    Raises:
        DataError: two names of a row are the same but for case, or text is no Unicode.
    """
    columns: dict[str, list[Any]] = {}
    for row, record in enumerate(records):
        for name, value in zip(_column_names(list(record), where(row)), record.values(), strict=True):
            if isinstance(value, str) and not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError as error:
                    raise DataError(f"{where(row)}: {name} holds half a character ({error.reason})") from error
            if name not in columns:
                columns[name] = [None] * row
            columns[name].append(value)
        for values in columns.values():
            values.extend([None] * (row + 1 - len(values)))
    return columns


# ---------------------------------------------------------------------------------------------------------- parquet


def _read_parquet(stream: io.BufferedReader, origin: str) -> RawTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = stream.read()
    if not content:
        raise DataError(f"{origin} is empty")
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        groups = range(file.metadata.num_row_groups)
        check_unpacked(origin, sum(file.metadata.row_group(i).total_byte_size for i in groups), len(content))
        names = file.schema_arrow.names
        check_held(origin, file.metadata.num_rows * (len(names) * _CELL + _ROW))
        lists: list[list[Any]] = [[] for _ in names]
        held = 0
        for batch in file.iter_batches(batch_size=_BATCH, use_threads=False):  # whose threads outlive the interpreter
            held += sum(map(_unrolled, batch.columns))
            check_held(origin, held)
            for values, column in zip(lists, batch.columns, strict=True):
                values.extend(column.to_pylist())
        metadata = file.schema_arrow.metadata
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{origin} is not a whole parquet file ({str(error).splitlines()[0]}); get it again") from error
    columns = dict(zip(_column_names(names, origin), lists, strict=True))
    return RawTable(origin, columns, first_row=1, class_names=_class_names(metadata))


def _unrolled(column: Any) -> int:
    """Bytes of a column's values, written out where they are numbers of a dictionary."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    kind = column.type.value_type
    if not any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)):
        return int(column.dictionary.nbytes) + len(column) * 8
    return int(pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py() or 0)


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


_READERS: Mapping[str, Callable[[io.BufferedReader, str], RawTable]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
}
