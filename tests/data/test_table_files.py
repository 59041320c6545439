"""Tables as bytes: what each format means, what is no table, and the sentence that says so."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from toy import refusal

from findna_bench.data.table_files import read_table, table_suffix, text_of
from findna_bench.data.tabular import RawTable
from findna_bench.unpacking import MAX_UNPACKED


def read(name: str, content: str | bytes) -> RawTable:
    text = content if isinstance(content, bytes) else content.encode()
    return read_table(io.BytesIO(text), name, f"at/{name}")


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("x.csv", ".csv"),
        ("X.CSV.GZ", ".csv"),
        ("a.b.tsv.zst", ".tsv"),
        ("x.parquet", ".parquet"),
        ("x.jsonl.bgz", ".jsonl"),
        ("x.ndjson", ".ndjson"),
        ("x.json", ".json"),
        ("x.txt", None),
        ("x.csv.zip", None),
        ("csv", None),
    ],
)
def test_the_name_says_the_format(name: str, suffix: str | None) -> None:
    assert table_suffix(name) == suffix


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("x.csv", "A, b\n1, x\n\n2,\n\n\n", {"a": ["1", "", "2"], "b": ["x", "", ""]}),
        ("x.csv", "a,b\n", {"a": [], "b": []}),
        ("x.csv", "\n \na\n1\n", {"a": ["1"]}),
        ("x.csv", "sep=,\na,b\n1,2\n", {"a": ["1"], "b": ["2"]}),
        ("x.tsv", "sep=\t\na\tb\n1\t2\n", {"a": ["1"], "b": ["2"]}),
        ("x.csv", "sep=,,\n1,2,3\n", {"sep=": ["1"], "column 2": ["2"], "column 3": ["3"]}),
        ("x.csv", ",,a\n1,2,3\n", {"column 1": ["1"], "column 2": ["2"], "a": ["3"]}),
        ("x.csv", 'a,b\n"1\n2", "x, y"\n', {"a": ["1\n2"], "b": ["x, y"]}),
        ("x.csv", 'a,b\n"say ""x""",2\n', {"a": ['say "x"'], "b": ["2"]}),
        ("x.csv", "a\n" + "A" * 200_000 + "\n", {"a": ["A" * 200_000]}),
        ("x.csv", "\ufeffa\n1".encode("utf-16-le"), {"a": ["1"]}),
        ("x.csv", "\ufeffa\n1".encode("utf-16-be"), {"a": ["1"]}),
        ("x.csv", "\ufeffa\n1".encode("utf-32-le"), {"a": ["1"]}),
        ("x.csv", "\ufeffa\n1".encode("utf-32-be"), {"a": ["1"]}),
        ("x.csv.gz", gzip.compress(b"a\n1\n", mtime=0), {"a": ["1"]}),
        ("x.jsonl", '{"A": 1}\n\n {"b": 2}\n{"a": null, "b": 3}', {"a": [1, None, None], "b": [None, 2, 3]}),
        ("x.jsonl", ' \n [{"a": 1},\n{"a": 2}]', {"a": [1, 2]}),
        ("x.json", '[{"a": 1}, {"b": 2}]', {"a": [1, None], "b": [None, 2]}),
        ("x.json", '{"a": [1, 2], " B": [3, 4]}', {"a": [1, 2], "b": [3, 4]}),
        ("x.json", '{"a": {"0": 1, "7": 2}, "b": {"0": 3, "7": 4}}', {"a": [1, 2], "b": [3, 4]}),
        ("x.json", '{"a": 1, "b": "x"}', {"a": [1], "b": ["x"]}),
        ("x.json", '{"a": 1}\n{"a": 2}\n', {"a": [1, 2]}),
        ("x.json", '{"columns": ["a", 0], "index": [5, 6], "data": [[1, 2], [3, 4]]}', {"a": [1, 3], "0": [2, 4]}),
        ("x.json", '{"schema": {}, "data": [{"a": 1}, {"a": 2}]}', {"a": [1, 2]}),
        ("x.json", '{"features": {}, "rows": [{"a": 1}]}', {"a": [1]}),
        ("x.json", '{"train": [{"a": 1}], "dev": [{"a": 2}]}', {"a": [1, 2], "split": ["train", "dev"]}),
    ],
)
def test_what_is_written_is_what_is_read(name: str, content: str | bytes, columns: dict[str, list[Any]]) -> None:
    assert read(name, content).columns == columns


def test_rows_are_called_what_an_editor_calls_them() -> None:
    assert read("x.csv", "a\n1\n").where(0) == "at/x.csv, row 2 (the header is row 1)"
    lines = read("x.jsonl", '\n{"a": 1}\n\n{"a": 2}\n')
    assert [lines.where(row) for row in (0, 1)] == ["at/x.jsonl, line 1", "at/x.jsonl, line 3"]
    late = read("x.json", '\n{"a": 1}\n\n{"a": 2}\n')
    assert [late.where(row) for row in (0, 1)] == ["at/x.json, line 2", "at/x.json, line 4"]
    assert read("x.json", '[{"a": 1}, {"a": 2}]').where(1) == "at/x.json, row 2 (counted from 1)"


DEEP = "[" * 100_000
NO_OBJECT = 'a row is an object, {"sequence": ..., "label": ...}, not '


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "", "at/x.csv is empty"),
        ("x.csv", "\n \n", "at/x.csv is empty"),
        ("x.jsonl", "\n", "at/x.jsonl is empty"),
        ("x.json", "[]", "at/x.json is empty"),
        ("x.json", "{}", "at/x.json is empty"),
        ("x.parquet", b"", "at/x.parquet is empty"),
        ("x.doc", "a", "at/x.doc is no csv, tsv, parquet or jsonl file; give one of these, or a folder"),
        ("x.XLSX", "a", "at/x.XLSX is a spreadsheet; save its table as csv"),
        ("x.tar.gz", "a", "at/x.tar.gz is an archive; unpack it, and give the file or folder that it holds"),
        ("x.tar.br", "a", "at/x.tar.br is an archive; unpack it, and give the file or folder that it holds"),
        ("x.7z", "a", "at/x.7z is an archive; unpack it, and give the file or folder that it holds"),
        ("x.csv", b"PK\x03\x04abc", "at/x.csv is a zip archive (or a spreadsheet): unpack it, or save its table as csv"),
        ("x.csv", b"PAR1", "at/x.csv is a parquet file: name it .parquet"),
        ("x.tsv", b"ARROW1\0\0", "at/x.tsv is an Arrow file: save its table as parquet"),
        ("x.json", b"\x89HDF\r\n", "at/x.json is an HDF5 file: save its table as parquet or csv"),
        ("x.csv", b"SQLite format 3\0", "at/x.csv is a database: save its table as csv"),
        ("x.csv", b"a,b\n\xff\xfe\xfa,1\n", "at/x.csv is not text in UTF-8; save it in that encoding, as csv, tsv, parquet or jsonl"),
        ("x.csv", "a\0,b\n1,2\n", "at/x.csv holds NUL characters where text is expected; save it as UTF-8"),
        ("x.csv", "A,b, a \n1,2,3\n", "at/x.csv: two columns have the same name, 'a' (a, b, a)"),
        ("x.csv", "a,b\n1,2\n\n1\n", "at/x.csv, row 4 (the header is row 1): 1 fields where the header has 2"),
        ("x.csv", "a,b\n1,2,3\n", "at/x.csv, row 2 (the header is row 1): 3 fields where the header has 2"),
        ("x.csv", 'a,b\n1,"2\n3,4\n', "at/x.csv, line 3: is not a table (unexpected end of data)"),
        ("x.csv", "a\tb\n1\t2\n", "at/x.csv: its columns are separated by tabs: name it .tsv (its first line is 'a\\tb')"),
        ("x.csv", "a;b;\n", "at/x.csv: its columns are separated by ';': use commas in a .csv, tabs in a .tsv (its first line is 'a;b;')"),
        ("x.csv", "a|b\n", "at/x.csv: its columns are separated by '|': use commas in a .csv, tabs in a .tsv (its first line is 'a|b')"),
        ("x.tsv", "a,b\n", "at/x.tsv: its columns are separated by ',': use commas in a .csv, tabs in a .tsv (its first line is 'a,b')"),
        ("x.csv", "a b\n", "at/x.csv: its columns are separated by spaces: use commas in a .csv, tabs in a .tsv (its first line is 'a b')"),
        (
            "x.csv",
            f"{'a' * 70};b\n",
            f"at/x.csv: its columns are separated by ';': use commas in a .csv, tabs in a .tsv (its first line is '{'a' * 60}')",
        ),
        ("x.jsonl", '{"a": 1}\n\n[1]\n', f"at/x.jsonl, line 3: {NO_OBJECT}'[1]'"),
        ("x.jsonl", '{"a": 1}\n"' + "x" * 70 + '"\n', f"at/x.jsonl, line 2: {NO_OBJECT}'{'x' * 60}'"),
        ("x.jsonl", '{"a": 1}\n{"a"}\n', "at/x.jsonl, line 2: is not JSON (Expecting ':' delimiter: line 1 column 5 (char 4))"),
        ("x.jsonl", '{"a": 1, "a": 2}', "at/x.jsonl, line 1: is not JSON (a name stands twice in one object)"),
        ("x.jsonl", '{"a": 1}\n{"a": 1, "A": 2}', "at/x.jsonl, line 2: two columns have the same name, 'a' (a, a)"),
        ("x.jsonl", '{"a": "x"}\n{"b": "\\ud800"}', "at/x.jsonl, line 2: b holds half a character (surrogates not allowed)"),
        ("x.json", '[{"a": 1}, 5]', f"at/x.json, row 2: {NO_OBJECT}'5'"),
        ("x.json", '[{"a": 1}, {"a": 1, "A ": 2}]', "at/x.json, row 2: two columns have the same name, 'a' (a, a)"),
        ("x.json", "5", f"at/x.json: {NO_OBJECT}'5'"),
        ("x.json", '{"a": [1], "b": 2}', "at/x.json: column 'b' is no list; give a list of rows, or an object of columns"),
        ("x.json", '{"a": {"0": 1}, "b": {"1": 2}}', "at/x.json: column 'b' has other rows than 'a'"),
        ("x.json", '{"a": [1], "b": [1, 2]}', "at/x.json: its columns have different numbers of rows"),
        ("x.json", '{"A": [1], "a": [1]}', "at/x.json: two columns have the same name, 'a' (a, a)"),
        ("x.json", "{", "at/x.json: is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
    ],
)  # fmt: skip
def test_what_is_no_table_ends_in_a_whole_sentence(name: str, content: str | bytes, message: str) -> None:
    assert refusal(lambda: read(name, content)) == message


def test_json_that_is_too_deep_is_no_json() -> None:
    assert refusal(lambda: read("x.json", DEEP)).startswith("at/x.json: is not JSON (maximum recursion depth exceeded")


def parquet(columns: dict[str, list[Any]], metadata: dict[bytes, bytes] | None = None, **options: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), stream, **options)
    return stream.getvalue()


def test_parquet_is_read_whole_with_the_names_of_its_classes() -> None:
    info = {
        "info": {"features": {" Label": {"names": ["neg", 1]}, "seq": {"dtype": "string"}, "n": {"names": 3}, "m": 5}}
    }
    columns = {"Seq": [f"s{row}" for row in range(2500)], " label": list(range(2500)), "b": [[1, 2]] * 2500}
    found = read("x.parquet", parquet(columns, {b"huggingface": json.dumps(info).encode()}, row_group_size=900))
    assert found.columns == {"seq": columns["Seq"], "label": columns[" label"], "b": columns["b"]}
    assert found.class_names == {"label": ["neg", "1"]}
    assert found.where(0) == "at/x.parquet, row 1 (counted from 1)"
    for strange in (None, {b"huggingface": b"{"}, {b"huggingface": b"[]"}, {b"other": b"{}"}, {b"huggingface": b"{}"}):
        assert read("x.parquet", parquet({"a": [1]}, strange)).class_names == {}
    whole = parquet({"a": [1], "b": [2]})
    assert refusal(lambda: read("x.parquet", whole[:-3])).startswith("at/x.parquet is not a whole parquet file (")
    assert refusal(lambda: read("x.parquet", whole[:-3])).endswith("); get it again")
    assert (
        refusal(lambda: read("x.parquet", parquet({"a": [1], "A": [2]})))
        == "at/x.parquet: two columns have the same name, 'a' (a, a)"
    )


@pytest.mark.parametrize(
    ("limit", "content", "held"),
    [
        ("12MB", b"a\n" + b"1\n" * 100_000, "12.2 MB"),  # 58 bytes for a cell and 64 for a row
        ("17MB", b"a,b\n" + b"1,2\n" * 100_000, "18.0 MB"),
        ("18.1MB", b"a,b\n" + b"1,2\n" * 100_000, None),
    ],
)
def test_what_a_table_takes_in_memory_is_counted_before_it_is_full(
    limit: str, content: bytes, held: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MAX_UNPACKED, limit)
    if held is None:
        assert len(read("x.csv", content)) == content.count(b"\n") - 1
    else:
        assert refusal(lambda: read("x.csv", content)).startswith(f"at/x.csv holds {held} or more")


def test_objects_and_parquet_rows_are_counted_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b'{"a":1}\n' * 100_000
    packed = parquet({"a": [1] * 100_000, "b": [2] * 100_000})
    monkeypatch.setenv(MAX_UNPACKED, "17MB")
    assert refusal(lambda: read("x.jsonl", lines)).startswith("at/x.jsonl holds 18.0 MB or more")
    assert refusal(lambda: read("x.parquet", packed)).startswith("at/x.parquet holds 18.0 MB or more")
    monkeypatch.setenv(MAX_UNPACKED, "18.1MB")
    assert len(read("x.jsonl", lines)) == len(read("x.parquet", packed)) == 100_000


def test_a_stream_is_text_in_the_encoding_of_its_mark() -> None:
    def opened(content: bytes, **options: str) -> str:
        return text_of(io.BufferedReader(io.BytesIO(content)), **options).read()  # type: ignore[arg-type]

    assert opened("\ufeffé\r\n".encode()) == "é\r\n"
    assert opened(b"a\xff\r\n", errors="replace") == "a\ufffd\n"
    assert opened("\ufeffé".encode("utf-16-le")) == "é"
