"""Downloads against a server that cuts, stalls, lies and refuses: a right file from the next source, or a clear error."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toy import N, card, csv_text, zip_bytes

from findna_bench.cards import DataSource, TaskCard
from findna_bench.data.catalog import TaskRef, task_status
from findna_bench.data.fetching import LOCK_NAME, Network, fetch_tasks
from findna_bench.data.importing import TaskImport
from findna_bench.data.task import open_task
from findna_bench.download import DownloadError, download
from findna_bench.errors import OfflineError

QUICK = Network(timeout=0.3, retries=1, backoff=0.01)
ARCHIVE = zip_bytes()


class Server(http.server.ThreadingHTTPServer):
    """``/<fault>/<anything>``: each request to a path plays the next part of its script, the last one for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scripts: dict[str, list[str]] = {}
        self.content: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, str | None]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def put(self, path: str, content: bytes, *script: str) -> str:
        self.content[f"/{path}"], self.scripts[f"/{path}"] = content, list(script or ("good",))
        return self.url(path)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        script = self.server.scripts.get(path, ["404"])
        part = script.pop(0) if len(script) > 1 else script[0]
        self.server.requests.append((path, part, self.headers.get("Range")))
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client may have given up
            getattr(self, f"play_{part}", self._refuse(part))(self.server.content.get(path, b""))

    def _refuse(self, part: str) -> Any:
        def refuse(body: bytes) -> None:
            self.send_response(int(part))
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"no!\n")

        return refuse

    def _head(self, status: int, length: int | None, etag: str | None = '"v1"', **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", headers.pop("kind", "application/octet-stream"))
        if length is not None:
            self.send_header("Content-Length", str(length))
        if etag:
            self.send_header("ETag", etag)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _body(self, body: bytes) -> tuple[int, bytes]:
        """(first byte, bytes to send), as a range was asked for."""
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if asked:
            self._head(206, len(body) - start, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self._head(200, len(body))
        return start, body[start:]

    def play_good(self, body: bytes) -> None:
        self.wfile.write(self._body(body)[1])

    def play_cut(self, body: bytes) -> None:
        rest = self._body(body)[1]
        self.wfile.write(rest[: len(rest) // 2])

    def play_stall(self, body: bytes) -> None:
        rest = self._body(body)[1]
        self.wfile.write(rest[: len(rest) // 2])
        self.wfile.flush()
        time.sleep(0.7)

    def play_drip(self, body: bytes) -> None:
        for byte in self._body(body)[1][:40]:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.05)

    def play_silent(self, body: bytes) -> None:
        time.sleep(0.7)

    def play_too_long(self, body: bytes) -> None:
        self._head(200, len(body) + 1000)
        self.wfile.write(body)

    def play_too_short(self, body: bytes) -> None:
        self._head(200, len(body) - 100)
        self.wfile.write(body[:-100])

    def play_no_length(self, body: bytes) -> None:
        self._head(200, None, etag=None)
        self.wfile.write(body[: len(body) // 2])

    def play_wrong_bytes(self, body: bytes) -> None:
        wrong = bytes(b ^ 0x55 for b in body)
        self._head(200, len(wrong))
        self.wfile.write(wrong)

    def play_other_data(self, body: bytes) -> None:
        """A whole archive, of which rows are missing."""
        fewer = csv_text("train").splitlines()[:9]
        self._head(200, len("\n".join(fewer)))
        self.wfile.write("\n".join(fewer).encode())

    def play_page(self, body: bytes) -> None:
        self._head(200, 20, kind="text/html")
        self.wfile.write(b"<html>sign in</html>")

    def play_wrong_range(self, body: bytes) -> None:
        if self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            wrong = body[3 : 3 + len(body) - start]  # as many bytes as are missing, from elsewhere
            self._head(206, len(wrong), Content_Range=f"bytes 3-{len(wrong) + 2}/{len(body)}")
            self.wfile.write(wrong)
        else:
            self.play_cut(body)

    def play_changed(self, body: bytes) -> None:
        """Another version is there now: the range is not honoured, the whole new file comes."""
        self._head(200, len(body), etag='"v2"')
        self.wfile.write(body)

    def play_garbage(self, body: bytes) -> None:
        self.wfile.write(b"this is not http\r\n\r\n")

    def play_away(self, body: bytes) -> None:
        self.send_response(302)
        self.send_header("Location", "file:///etc/hostname")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        running.shutdown()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


FAULTS = (
    "cut", "stall", "drip", "silent", "too_long", "too_short", "no_length", "wrong_bytes", "page", "wrong_range", "garbage",
    "away", "404", "403", "500", "503",
)  # fmt: skip


def fetch(task: TaskCard, root: Path, **options: Any) -> TaskImport:
    return fetch_tasks([task], root, network=QUICK, cache_dir=root.parent / "cache", **options)[0]


def data_files(root: Path) -> list[str]:
    """Every file under the data root."""
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


WHOLE = ["tasks/toys/toy_enhancers/" + name for name in ("manifest.json", "test.parquet", "train.parquet")]


def expect_whole(root: Path, task: TaskCard) -> None:
    opened = open_task(TaskRef(task.full_name, card=task), data_dir=root)
    assert opened.status == "complete"
    assert {split: len(opened.load(split)) for split in N} == N
    assert data_files(root) == [LOCK_NAME, *WHOLE]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_source_is_followed_by_the_next(fault: str, server: Server, root: Path) -> None:
    bad = server.put("bad/toy_enhancers_v0.zip", ARCHIVE, fault)
    good = server.put("good/toy_enhancers_v0.zip", ARCHIVE)
    task = card(sources=[DataSource(url=bad, layout="archive"), DataSource(url=good, layout="archive")])
    result = fetch(task, root)
    assert (result.outcome, result.status) == ("imported", "complete")
    expect_whole(root, task)
    lock = json.loads((root / LOCK_NAME).read_text())["files"]
    assert lock == {good: {"sha256": hashlib.sha256(ARCHIVE).hexdigest(), "size": len(ARCHIVE)}}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_source_alone_is_a_clear_error_and_leaves_nothing(fault: str, server: Server, root: Path) -> None:
    bad = server.put("bad/toy_enhancers_v0.zip", ARCHIVE, fault)
    task = card(sources=[DataSource(url=bad, layout="archive")])
    result = fetch(task, root)
    assert (result.outcome, result.status) == ("failed", "missing")
    assert bad in result.message or "toy_enhancers.zip" in result.message
    assert "\n" not in result.message
    assert data_files(root) == []
    assert task_status(task, root) == "missing"


PASSING = ("408", "425", "429", "500", "502", "503", "504", "520", "521", "522", "523", "524")
"""Answers of a server, or of the network before it, that say to try again."""
LASTING = ("400", "401", "403", "404", "410", "451", "501", "505", "525")


@pytest.mark.parametrize("fault", ["cut", "stall", "wrong_range", "silent", "garbage", "too_long", *PASSING])
def test_a_passing_fault_is_outlived(fault: str, server: Server, root: Path) -> None:
    url = server.put("toy_enhancers_v0.zip", ARCHIVE, fault, "good")
    task = card(sources=[DataSource(url=url, layout="archive")])
    assert fetch(task, root).outcome == "imported"
    expect_whole(root, task)


@pytest.mark.parametrize("status", LASTING)
def test_an_answer_that_will_not_change_is_asked_for_once(status: str, server: Server, tmp_path: Path) -> None:
    url = server.put("file.bin", b"content", status, "good")
    with pytest.raises(DownloadError, match=status):
        download(url, tmp_path / "file.bin", backoff=0.01)
    assert len(server.requests) == 1


def test_a_cut_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    body = bytes(range(256)) * 400
    url = server.put("file.bin", body, "cut", "stall", "good")
    path = download(url, tmp_path / "file.bin", timeout=0.3, backoff=0.01, size=len(body))
    assert path.read_bytes() == body
    assert [asked for _, _, asked in server.requests] == [None, "bytes=51200-", "bytes=76800-"]
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_a_range_that_was_not_asked_for_is_thrown_away(server: Server, tmp_path: Path) -> None:
    body = bytes(range(256)) * 400
    url = server.put("file.bin", body, "cut", "wrong_range", "good")
    assert download(url, tmp_path / "file.bin", backoff=0.01).read_bytes() == body
    assert server.requests[-1][2] is None


def test_a_download_goes_on_in_the_next_process(server: Server, tmp_path: Path) -> None:
    body = bytes(range(256)) * 400
    url = server.put("file.bin", body, "cut", "good")
    with pytest.raises(DownloadError, match="ended after 51200 of 102400 bytes"):
        download(url, tmp_path / "file.bin", retries=0)
    assert not (tmp_path / "file.bin").exists()
    assert download(url, tmp_path / "file.bin", retries=0).read_bytes() == body
    assert server.requests[-1][2] == "bytes=51200-"


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    old, new = b"old " * 5000, b"new " * 5000
    url = server.put("file.bin", old, "cut", "changed")
    with pytest.raises(DownloadError):
        download(url, tmp_path / "file.bin", retries=0)
    server.content["/file.bin"] = new
    assert download(url, tmp_path / "file.bin", retries=0).read_bytes() == new


def test_what_a_digest_forbids_never_appears(server: Server, tmp_path: Path) -> None:
    url = server.put("file.bin", b"content")
    target = tmp_path / "file.bin"
    for wrong in ({"sha256": "0" * 64}, {"git_blob": "0" * 40}, {"size": 6}):
        with pytest.raises(DownloadError):
            download(url, target, backoff=0.01, **wrong)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    right = hashlib.sha1(b"blob 7\0content").hexdigest()
    assert download(url, target, git_blob=right).read_bytes() == b"content"
    asked = len(server.requests)
    assert download(url, target, git_blob=right) == target
    assert len(server.requests) == asked


def test_digest_of_the_first_download_is_required_afterwards(server: Server, root: Path) -> None:
    url = server.put("toy_enhancers_v0.zip", ARCHIVE)
    task = card(sources=[DataSource(url=url, layout="archive")])
    assert fetch(task, root).outcome == "imported"
    for path in sorted((root / "tasks").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    server.content["/toy_enhancers_v0.zip"] = zip_bytes(seed=1)  # as many rows, others
    result = fetch(task, root)
    assert result.outcome == "failed"
    assert "expected" in result.message
    assert data_files(root) == [LOCK_NAME]
    server.content["/toy_enhancers_v0.zip"] = ARCHIVE
    assert fetch(task, root).outcome == "imported"


def test_one_file_a_split_and_a_source_with_too_few_rows(server: Server, root: Path) -> None:
    for place, script in (("a", "other_data"), ("b", "good")):
        server.put(f"{place}/train.csv", csv_text("train").encode(), script)
        server.put(f"{place}/test.csv", csv_text("test").encode())
    sources = [DataSource(url=server.url(place + "/{split}.csv"), layout="tables") for place in "ab"]
    task = card(sources=sources)
    assert fetch(task, root).outcome == "imported"
    expect_whole(root, task)
    alone = card(sources=sources[:1])
    other = root.parent / "other"
    result = fetch(alone, other)
    assert "train has 8 rows, 20 are published" in result.message
    assert data_files(other) == []


def test_parquet_files_that_a_hub_lists(server: Server, root: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    listing: dict[str, list[str]] = {}
    for split in N:
        table = pc.read_csv(pa.BufferReader(csv_text(split).encode()))
        for i, part in enumerate((table.slice(0, 5), table.slice(5))):
            path = tmp_path / "part.parquet"
            pq.write_table(part, path)
            url = server.put(f"{split}/{i}.parquet", path.read_bytes())
            listing.setdefault(split, []).append(url)
    hub = server.put("api/parquet", json.dumps({"default": listing}).encode(), "503", "good")
    task = card(sources=[DataSource(url=f"{hub}#default", layout="hub-parquet")])
    assert fetch(task, root).outcome == "imported"
    expect_whole(root, task)
    broken = server.put("api/broken", b"[]")
    result = fetch(card(sources=[DataSource(url=f"{broken}#default", layout="hub-parquet")]), root.parent / "other")
    assert "lists no parquet files of default" in result.message


def test_failure_keeps_the_partial_copy_that_was_there(server: Server, root: Path, tmp_path: Path) -> None:
    from findna_bench.data.importing import import_tasks

    folder = tmp_path / "toy_enhancers"
    folder.mkdir()
    (folder / "test.csv").write_text(csv_text("test"))
    task = card(sources=[DataSource(url=server.url("nothing.zip"), layout="archive")])
    import_tasks([task], folder, root)
    result = fetch(task, root)
    assert (result.outcome, result.status, result.rows) == ("failed", "partial", {"test": N["test"]})
    assert len(open_task(TaskRef(task.full_name, card=task), data_dir=root).load("test")) == N["test"]


def test_no_socket_is_opened_offline_or_for_what_is_there(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.put("toy_enhancers_v0.zip", ARCHIVE)
    task = card(sources=[DataSource(url=url, layout="archive")])
    absent = card("toy_other", sources=[DataSource(url=url, layout="archive")])
    assert fetch(task, root).outcome == "imported"

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert fetch(task, root).outcome == "present"
    assert fetch(task, root, offline=True).outcome == "present"
    result = fetch(absent, root, offline=True)
    assert result.outcome == "failed"
    assert "--offline" in result.message
    with pytest.raises(OfflineError):
        download(url, root / "x", offline=True)
    expect_whole(root, task)


def test_several_processes_that_want_one_file_get_it_whole(server: Server, tmp_path: Path) -> None:
    body = bytes(range(256)) * 4000
    url = server.put("file.bin", body)
    target = tmp_path / "file.bin"
    threads = [threading.Thread(target=download, args=(url, target)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == body
    assert len(server.requests) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_a_host_that_cannot_be_reached_is_waited_for_once_and_others_are_tried_once(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]  # bound, and nobody listens
        hosts = [f"127.0.0.1:{port}", f"127.0.0.1:{port}", f"localhost:{port}"]
        tasks = [
            card(name=f"t{n}", sources=(DataSource(url=f"http://{host}/t{n}.zip", layout="archive"),))
            for n, host in enumerate(hosts)
        ]
        quick = Network(timeout=0.3, retries=3, backoff=0.01)
        for _ in range(2):  # what one call met is nothing to the next
            first, second, third = fetch_tasks(tasks, tmp_path / "data", network=quick, cache_dir=tmp_path / "cache")
            assert "no connection" in first.message
            assert "after 4 tries" in first.message
            assert "not asked again" in second.message
            assert "no connection" in third.message
            assert "tries" not in third.message
