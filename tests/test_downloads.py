"""Files that are fetched from this machine, and what is said of an address or a content that is not right."""

from __future__ import annotations

import hashlib
import os
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from refused import refused

from findna_bench.download import Digests, DownloadError, _content_range, _retry_after, digest_file, download
from findna_bench.errors import DataError, OfflineError

CONTENT = b"ACGT" * 5
SHA = hashlib.sha256(CONTENT).hexdigest()
BLOB = hashlib.sha1(b"blob 20\0" + CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "there" / "a b.txt"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


def test_a_file_is_known_by_its_size_and_digests(source: Path) -> None:
    assert digest_file(source) == Digests(20, SHA, BLOB)


@pytest.mark.parametrize(
    "expected", [{}, {"sha256": SHA}, {"sha256": SHA.upper()}, {"git_blob": BLOB.upper(), "size": 20}]
)
def test_a_local_file_is_copied_whole(expected: dict[str, Any], source: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "x.txt"
    assert download(source.as_uri(), target, **expected) == target
    assert target.read_bytes() == CONTENT
    umask = os.umask(0)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask
    assert [path.name for path in target.parent.iterdir()] == ["x.txt"]
    assert download("http://nowhere.invalid/x", target, offline=True, **expected) == target  # what fits is there


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({"size": 21}, "20 bytes received, 21 expected"),
        ({"size": 19, "sha256": "0"}, "20 bytes received, 19 expected"),
        ({"sha256": "0"}, f"wrong content: sha256 {SHA}, expected 0"),
        ({"git_blob": "0"}, f"wrong content: git blob {BLOB}, expected 0"),
        ({"sha256": SHA, "git_blob": "0"}, f"wrong content: git blob {BLOB}, expected 0"),
    ],
)
def test_a_file_with_another_content_never_appears(
    expected: dict[str, Any], words: str, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new" / "x.txt"
    assert (
        refused(lambda: download(source.as_uri(), target, **expected), DownloadError) == f"{source.as_uri()}: {words}"
    )
    assert not target.exists()
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(b"old")
    with pytest.raises(DownloadError):
        download(source.as_uri(), target, **expected)
    assert target.read_bytes() == b"old"
    download(source.as_uri(), target, sha256=SHA)
    assert target.read_bytes() == CONTENT


def test_addresses_that_cannot_be_fetched_are_refused(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    gone = (tmp_path / "gone").as_uri()
    assert refused(lambda: download(gone, target), DownloadError) == f"{gone}: no such file"
    assert (
        refused(lambda: download("ftp://a/b", target), DownloadError)
        == "ftp://a/b: only http, https and file addresses can be fetched"
    )
    said = "x.txt is not on this machine and the network may not be used (from http://a/b)"
    assert refused(lambda: download("http://a/b", target, offline=True), OfflineError) == said
    assert issubclass(DownloadError, DataError)
    del source


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("bytes 5-9/10", (5, 10)),
        ("Bytes 0-9/*", (0, None)),
        ("bytes 5-9", (5, None)),
        ("bytes */10", (-1, None)),
        ("items 5-9/10", (-1, None)),
        ("", (-1, None)),
    ],
)
def test_the_range_of_an_answer_is_read(value: str, found: tuple[int, int | None]) -> None:
    assert _content_range(value) == found


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("0", 0.0), ("", 0.0), ("soon", 0.0), ("1.5", 0.0)])
def test_a_server_may_say_how_long_to_wait(value: str, seconds: float) -> None:
    headers = Message()
    headers["Retry-After"] = value
    assert _retry_after(headers) == seconds
