"""Files that are whole or absent, sizes, paths that stay private, and text as tables, pages and terminals show it."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from refused import refused

from findna_bench.errors import DataError, OutputError, UsageError, is_out_of_memory, listed
from findna_bench.files import (
    atomic_path,
    canonical_json,
    open_regular,
    parse_size,
    path_segment,
    size_text,
    stable_hash,
    write_atomic,
    write_json,
)
from findna_bench.grid import Grid, code, escape, markdown_table, print_grid
from findna_bench.private_paths import last_part, public_path, public_word, published, without_paths
from findna_bench.terminal import in_picture, printable, printable_json
from findna_bench.unpacking import MAX_UNPACKED, check_held, check_unpacked, is_compressed, without_compression


def refusal(call: Callable[[], object], kind: type[Exception] = DataError) -> str:
    return refused(call, kind)


# ----------------------------------------------------------------------------------------------------------- files


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.txt"
    write_atomic(path, "é\udc80")
    assert path.read_bytes() == "é\\udc80".encode()
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    names: list[str] = []

    def broken() -> None:
        with atomic_path(path) as aside:
            names.append(aside.name)
            aside.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert names[0].startswith(".x.txt.")
    assert names[0].endswith(".part")
    assert [one.name for one in path.parent.iterdir()] == ["x.txt"]
    with atomic_path(path) as aside:
        aside.write_text("new")
    assert path.read_text() == "new"
    long = tmp_path / f"{'n' * 250}.txt"
    write_atomic(long, b"x")
    assert long.read_bytes() == b"x"
    said = refusal(lambda: write_atomic(path / "under" / "y", b""), OutputError)
    assert said == f"cannot write {path / 'under' / 'y'}: Not a directory; free some space or choose another folder"


def test_json_is_written_readably_and_hashed_in_one_way(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": [1], "a": "é"})
    assert json.loads((tmp_path / "x.json").read_text()) == {"b": [1], "a": "é"}
    assert (tmp_path / "x.json").read_text().endswith("}\n")
    assert "é" in (tmp_path / "x.json").read_text()
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(tmp_path / "y.json", bad)
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical_json(bad)
    assert not (tmp_path / "y.json").exists()
    assert canonical_json({"b": (1, 2.5), "a": {"d": None, "c": "é"}}) == '{"a":{"c":"\\u00e9","d":null},"b":[1,2.5]}'
    assert stable_hash([1]) == "080a9ed428559ef602668b4c00f114f1a11c3f6b02a435f0bdc154578e4d7f22"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("17", 17), ("500MB", 500_000_000), ("20 GB", 20_000_000_000), (" 1.5k ", 1500), ("2tb", 2 * 10**12), ("3B", 3),
        ("none", None), (" None ", None), ("0.5G", 500_000_000),
        *((bad, ValueError) for bad in ("", "GB", "-1", "1 PB", "1.MB", "1e3", "5 GiB", "nothing")),
    ],
)  # fmt: skip
def test_sizes_are_read_in_powers_of_a_thousand(text: str, size: Any) -> None:
    if size is ValueError:
        with pytest.raises(ValueError, match=r".*"):
            parse_size(text)
    else:
        assert parse_size(text) == size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1949, "1.9 kB"), (999_999, "1000.0 kB"), (10**6, "1.0 MB"), (10**9 - 1, "1000.0 MB"),
        (10**9, "1.0 GB"), (25 * 10**11, "2500.0 GB"),
    ],
)  # fmt: skip
def test_sizes_are_shown_in_the_largest_unit_they_fill(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("a.b_c-d@e", "a.b_c-d@e"), ("a/b c", "a%2Fb%20c"), ("é", "%C3%A9"), (".hidden", "%2Ehidden"), ("..", "%2E%2E"), ("", "%00"), ("%", "%25"),
        ("a..", "a.."), (".", "%2E"),
    ],
)  # fmt: skip
def test_any_name_is_one_part_of_a_path(name: str, segment: str) -> None:
    assert path_segment(name) == segment


def test_only_files_on_disk_are_opened(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("x")
    with open_regular(path) as stream:
        assert stream.read() == b"x"
    assert refusal(lambda: open_regular(tmp_path)) == f"{tmp_path}: is a folder; give a file on disk"
    os.mkfifo(tmp_path / "pipe")
    said = "is no regular file (a pipe, socket or device); give a file on disk"
    assert refusal(lambda: open_regular(tmp_path / "pipe")) == f"{tmp_path / 'pipe'}: {said}"
    assert refusal(lambda: open_regular(Path("/dev/null"))) == f"/dev/null: {said}"
    assert (
        refusal(lambda: open_regular(tmp_path / "y"))
        == f"{tmp_path / 'y'}: cannot be read (No such file or directory); check the path"
    )
    assert refusal(lambda: open_regular(Path("a\0b"))) == "'a\\x00b': is no path (embedded null byte)"


# ------------------------------------------------------------------------------------------------------- unpacking

MB, GB = 10**6, 10**9


@pytest.mark.parametrize(
    ("limit", "unpacked", "packed", "said"),
    [
        ("", 64 << 20, 1, None),
        ("", (64 << 20) + 1, 1, "would unpack to 67.1 MB or more from 0.0 MB"),
        ("", 200 * MB, MB, None),
        ("", 200 * MB + 1, MB, "would unpack to 0.2 GB or more from 1.0 MB"),
        ("", (64 << 20) + 1, 0, "would unpack to 67.1 MB or more from 0.0 MB"),
        ("", 64 << 30, None, None),
        ("", (64 << 30) + 1, None, "would unpack to 68.7 GB or more"),
        ("", (64 << 30) + 1, GB, "would unpack to 68.7 GB or more from 1.0 GB"),
        ("1GB", GB, 1, None),
        ("1GB", GB + 1, 1, "would unpack to 1.0 GB or more from 0.0 MB"),
        ("none", 10**15, 1, None),
    ],
)
def test_what_unpacks_to_too_much_is_refused(
    limit: str, unpacked: int, packed: int | None, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MAX_UNPACKED, limit)
    if said is None:
        check_unpacked("x", unpacked, packed)
    else:
        assert refusal(lambda: check_unpacked("x", unpacked, packed)) == (
            f"x {said}; it is unsafe and was not read; if it is right, set FINDNA_BENCH_MAX_UNPACKED=SIZE (e.g. 200GB)"
        )


def test_what_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2_000_000}
    monkeypatch.setattr("findna_bench.unpacking.os.sysconf", sizes.__getitem__)
    eighth = 4096 * 2_000_000 // 8
    check_held("x", eighth)
    words = "and is read into memory as a whole, for which {} are the limit here; give less, or set FINDNA_BENCH_MAX_UNPACKED=SIZE (e.g. 200GB)"
    assert refusal(lambda: check_held("x", eighth + 1)) == f"x holds 1.0 GB or more {words.format('1.0 GB')}"
    monkeypatch.setenv(MAX_UNPACKED, "99.9MB")
    check_held("x", 99_900_000)
    assert refusal(lambda: check_held("x", 99_900_001)) == f"x holds 99.9 MB or more {words.format('99.9 MB')}"
    assert refusal(lambda: check_held("x", 1234567 * 10**6)) == f"x holds 1,234.6 GB or more {words.format('99.9 MB')}"
    monkeypatch.setenv(MAX_UNPACKED, "none")
    check_held("x", 10**18)
    monkeypatch.setenv(MAX_UNPACKED, "much")
    said = "FINDNA_BENCH_MAX_UNPACKED='much': write a size such as 500MB or 200GB, or none"
    assert refusal(lambda: check_held("x", 1), UsageError) == said


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        *((f"x.{end}", "x") for end in ("gz", "bgz", "bgzf", "bz2", "xz", "zst", "GZ")),
        ("x.gz.csv", "x.gz.csv"),
        ("x.zip", "x.zip"),
    ],
)
def test_compression_is_told_by_a_name_or_the_first_bytes(name: str, plain: str, tmp_path: Path) -> None:
    assert without_compression(name) == plain
    for start, packed in (
        (b"\x1f\x8b", True),
        (b"BZh", True),
        (b"\xfd7zXZ\0", True),
        (b"\x28\xb5\x2f\xfd", True),
        (b"\x1f", False),
        (b">a", False),
    ):
        (tmp_path / "x").write_bytes(start)
        assert is_compressed(tmp_path / "x") is packed


# ---------------------------------------------------------------------------------------------------------- errors


def test_names_are_listed_as_far_as_a_sentence_bears() -> None:
    assert listed([], 2) == ""
    assert listed([1, 2], 2) == "1, 2"
    assert listed(iter("abc"), 2) == "a, b and 1 more"
    assert listed("abcde", 1) == "a and 4 more"


@pytest.mark.parametrize(
    ("error", "ran_out"),
    [
        (MemoryError(), True),
        (OSError(12, "no"), True),
        (OSError(28, "no"), False),
        (RuntimeError("CUDA out of memory"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when"), True),
        (RuntimeError("you can't allocate that"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
        (DataError("out of memory"), False),
        (None, False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(error: BaseException | None, ran_out: bool) -> None:
    assert is_out_of_memory(error) is ran_out
    if error is not None:
        outer = DataError("x")
        outer.__cause__ = error
        assert is_out_of_memory(outer) is ran_out


# --------------------------------------------------------------------------------------------------------- private


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "jane"
    (folder / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder / "work")
    return folder


def test_a_path_is_shown_as_far_as_it_is_nobody_s_secret(home: Path) -> None:
    cases = {
        "results/mine": "results/mine",
        "/a/b/c": "c",
        "/": "/",
        "~/x/y": "y",
        "~": "~",
        str(home): "~",
        "../other": "other",
        "a/../b": "b",
        "x.csv": "x.csv",
    }
    assert {path: public_path(path) for path in cases} == cases
    assert last_part("/a/b/") == "b"
    words = {
        "path:/a/b/m": "path:m",
        "name=/a/b/m": "name=m",
        "x=path:/a/b/m,kmer,/c/d": "x=path:m,kmer,d",
        "embeddings:~/v.npy": "embeddings:v.npy",
        "and/or": "and/or",
        "./x.csv": "./x.csv",
        f"see:{home}/z": "see:~/z",
        "a=b": "a=b",
    }
    assert {word: public_word(word) for word in words} == words


def test_free_text_has_no_folders_in_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", "/opt/own", *sys.path])
    cases = {
        "/a/b/x.csv: row 3": "x.csv: row 3",
        "either and/or 1/2": "either and/or 1/2",
        "https://a.b/c/d": "https://a.b/c/d",
        "file:///a/b/c.txt": "c.txt",
        "file://localhost/a/b/c.txt": "c.txt",
        "(/a/b/c)": "(c)",
        "~/u/v.txt is": "v.txt is",
        "/one": "/one",
        "/opt/own/pkg/mod.py": "pkg/mod.py",
        "/opt/own/pkg/mod.txt": "mod.txt",
        "/opt/owned/pkg/mod.py": "mod.py",
    }
    found = {text: without_paths(text) for text in cases}
    assert found == cases
    spaced = home / "my own" / "file 1.csv"
    assert without_paths(f"{spaced}: bad; {spaced}.gz", [spaced]) == f"file 1.csv: bad; {without_paths(f'{spaced}.gz')}"
    assert published({"/a/b": ["/c/d/e", 3, ("/f/g",)], "k": None}) == {"/a/b": ["e", 3, ["g"]], "k": None}


# ------------------------------------------------------------------------------------------------- shown to people


def test_what_could_move_a_cursor_is_shown_as_a_number() -> None:
    assert printable("plain ~ text\nline") == "plain ~ text\nline"
    assert printable("a\x1bb\tc\u202ed\xa0é\ud800") == "a\\x1bb\\tc\\u202ed\xa0é\\ud800"
    assert printable_json('"a\x7fé\U000e0001"') == '"a\\u007fé\\udb40\\udc01"'
    assert printable_json('"plain"') == '"plain"'
    assert in_picture("$x\x1b$") == "\\$x\\x1b\\$"


def test_text_reads_in_markdown_as_what_it_is() -> None:
    assert escape("a  b\nc <x> & *y*_`[]|#~\\") == "a b c &lt;x&gt; &amp; \\*y\\*\\_\\`\\[\\]\\|\\#\\~\\\\"
    assert code("run -m a") == "`run -m a`"
    assert code("a`b") == "<code>a\\`b</code>"
    assert code("a<b") == "<code>a&lt;b</code>"
    assert code("a\x1b") == "<code>a\\\\x1b</code>"
    grid = Grid(("name", "n", "m"), (("a|b", "1", "2\n3"), ("c", "10", "")), words=1)
    assert [row.replace(" ", "").replace("-", "") for row in grid.to_markdown()] == [
        "|name|n|m|",
        "|:|:|:|",
        "|a\\|b|1|2<br>3|",
        "|c|10||",
    ]
    assert [row.count("-:") for row in grid.to_markdown()] == [0, 2, 0, 0]
    for words in (1, 2, 3):
        for lines in (grid.to_markdown(words=words), markdown_table(["a", "b", "c"], [["1", "2", "3"]], words=words)):
            assert [cell.startswith(":-") for cell in lines[1].strip("|").split("|")] == [
                place < words for place in range(3)
            ]
    assert markdown_table(["a", "b"], [["1", "2"]])[1].count("-:") == 1


def test_in_a_pipe_a_table_is_lines_of_cells(capsys: pytest.CaptureFixture[str]) -> None:
    print_grid(Grid(("a", "b"), (("x\ny", "1"), ("z\x1b", "2")), "Title", ("a note",)))
    assert capsys.readouterr().out == "# Title\na\tb\nx y\t1\nz\\x1b\t2\na note\n"
    print_grid(Grid(("a", "b"), (), "Empty", ("a note",)))
    assert capsys.readouterr().out == "# Empty\na note\n"


@pytest.mark.parametrize("words", [1, 3])
def test_on_a_terminal_a_table_is_drawn_or_told_in_blocks(
    words: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    rows = (("alpha", "12", "ends here"), ("b", "-", ""))
    print_grid(Grid(("name", "count", "summary"), rows, "Things", ("a note",), words))
    lines = [line.rstrip() for line in _plain(capsys.readouterr().out).splitlines()]
    assert lines[0] == "Things"
    assert lines[-1] == "a note"
    cells = [line.split("│")[1:-1] for line in lines if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in cells] == [list(row) for row in rows]
    assert [cell.endswith(" 12 ") for row in cells[:1] for cell in row][1] is (words == 1)  # numbers stand to the right
    monkeypatch.setenv("COLUMNS", "20")
    print_grid(Grid(("name", "count", "summary"), rows, "Things", (), words))
    narrow = [line.rstrip() for line in _plain(capsys.readouterr().out).splitlines()]
    if words == 3:
        assert narrow == ["Things", "alpha", "    ends here", "    count: 12", "b"]
    else:
        assert narrow[1].startswith("┏")


def _plain(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)
