"""Robust downloads: resumable, atomic, checked. Standard library only, shared by data and weights.

A file appears at its destination whole and verified, or not at all. Bytes on their way are kept in ``<name>.part`` (in
``partial_dir``, by default beside the destination) with the validator the server gave, so that an interrupted download
goes on where it stopped, in this process or the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import shutil
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any

from findna_bench.errors import DataError, OfflineError

__all__ = ["Digests", "DownloadError", "UnreachableError", "digest_file", "download"]

Progress = Callable[[int, int | None], None]

CHUNK = 1 << 18
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
MAX_WAIT = 30.0
MINIMUM_RATE = 200.0
"""Bytes per second, averaged over one time-out, under which a connection counts as stalled."""


class DownloadError(DataError):
    """A file could not be had from one source; the message names the address and the reason."""


class UnreachableError(DownloadError):
    """No try came as far as a connection."""


@dataclass(frozen=True)
class Digests:
    """What identifies a file's content. ``git_blob``: sha1 over ``blob <size>\\0<content>``."""

    size: int
    sha256: str
    git_blob: str


class _Transient(Exception):
    """A failure that a second try may mend."""

    def __init__(self, reason: str, wait: float = 0.0, *, reached: bool = True) -> None:
        super().__init__(reason)
        self.wait, self.reached = wait, reached


class _Final(Exception):
    """A failure that no second try mends."""


def digest_file(path: str | Path) -> Digests:
    """Size, sha256 and git blob id of a file, read once."""
    size = os.stat(path).st_size
    sha, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            sha.update(chunk)
            blob.update(chunk)
    return Digests(size, sha.hexdigest(), blob.hexdigest())


def download(
    url: str,
    destination: str | Path,
    *,
    sha256: str | None = None,
    git_blob: str | None = None,
    size: int | None = None,
    offline: bool = False,
    timeout: float = 30.0,
    retries: int = 4,
    backoff: float = 1.0,
    partial_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch ``url`` (http, https or file) to ``destination`` unless a file that fits is there already.

    sha256, git_blob, size: what the content must be; whatever is given is checked, for a file already present too.
    timeout: seconds without data (or at under 200 bytes/s) after which a connection is given up. retries: further tries
    after transient failures, each resuming where the last stopped. backoff: seconds before the first of them, doubled
    each time, 30 at most (``Retry-After`` is honoured up to there). progress: called with (bytes so far, total or None).

    Returns:
        ``destination``.

    Raises:
        OfflineError: the file is not there and ``offline`` is set; no socket was opened.
        DownloadError: no right file could be had; nothing is at ``destination`` that was not there before.
    """
    destination = Path(destination)
    if destination.is_file() and _mismatch(destination, sha256, git_blob, size) is None:
        return destination
    parsed = urllib.parse.urlsplit(url)
    if parsed.scheme == "file":
        return _copy_local(url, destination, sha256, git_blob, size)
    if parsed.scheme not in ("http", "https"):
        raise DownloadError(f"{url}: only http, https and file addresses can be fetched")
    if offline:
        raise OfflineError(f"{destination.name} is not on this machine and the network may not be used (from {url})")
    folder = Path(partial_dir) if partial_dir is not None else destination.parent
    part = folder / f"{destination.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part"
    try:
        return _fetch(url, destination, part, (sha256, git_blob, size), timeout, retries, backoff, progress)
    except OSError as error:
        raise DownloadError(f"{destination} cannot be written ({error.strerror or error})") from error


def _fetch(
    url: str,
    destination: Path,
    part: Path,
    expected: tuple[str | None, str | None, int | None],
    timeout: float,
    retries: int,
    backoff: float,
    progress: Progress | None,
) -> Path:
    destination.parent.mkdir(parents=True, exist_ok=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    with _locked(part) as file:
        if destination.is_file() and _mismatch(destination, *expected) is None:
            part.unlink(missing_ok=True)  # another process finished it while this one waited for the lock
            return destination
        transfer = _Transfer(url, file, part, timeout, progress, expected[2])
        _attempts(transfer, retries, backoff, lambda: _mismatch(part, *expected))
        file.flush()
        os.fsync(file.fileno())
        _move(part, destination)
        transfer.forget()
    return destination


def _attempts(transfer: _Transfer, retries: int, backoff: float, check: Callable[[], str | None]) -> None:
    """Run the transfer until it gives a file that passes ``check``."""
    wrong_content, reached = 0, False
    for attempt in range(retries + 1):
        try:
            transfer.run()
            problem = check()
            if problem is None:
                return
            transfer.restart()
            wrong_content += 1
            reason, wait, final = problem, 0.0, wrong_content > 1  # one fresh try: a resumed file may have been changed
            reached = True
        except _Transient as error:
            reason, wait, final = str(error), error.wait, False
            reached = reached or error.reached
        except _Final as error:
            reason, wait, final = str(error), 0.0, True
            reached = True
        if final or attempt == retries:
            transfer.drop_if_empty()
            tries = f" after {attempt + 1} tries" if attempt else ""
            raise (DownloadError if reached else UnreachableError)(f"{transfer.url}: {reason}{tries}")
        time.sleep(min(MAX_WAIT, max(wait, backoff * 2**attempt)))


class _Transfer:
    """One address and its partial file."""

    def __init__(
        self, url: str, file: IO[bytes], part: Path, timeout: float, progress: Progress | None, size: int | None
    ) -> None:
        self.url, self.file, self.part, self.timeout, self.progress, self.size = (
            url,
            file,
            part,
            timeout,
            progress,
            size,
        )
        self.note = part.with_name(part.name + ".json")

    def run(self) -> None:
        """Bring the partial file to its end.

        Raises: _Transient, _Final.
        """
        held, validator = self._resume_point()
        headers = {"Accept-Encoding": "identity", "User-Agent": "findna-bench"}
        if held:
            headers |= {"Range": f"bytes={held}-", "If-Range": validator}
        try:
            with _OPENER.open(urllib.request.Request(self.url, headers=headers), timeout=self.timeout) as response:
                self._receive(response, held)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error, held)
        except http.client.HTTPException as error:
            raise _Transient(f"broken answer ({type(error).__name__})") from error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", None) or error
            unreached = isinstance(error, urllib.error.URLError)  # others may come while an answer is read
            raise _Transient(f"no connection ({reason})", reached=not unreached) from error

    def restart(self) -> None:
        """Throw away what was received."""
        self.file.seek(0)
        self.file.truncate()
        self.note.unlink(missing_ok=True)

    def forget(self) -> None:
        self.note.unlink(missing_ok=True)

    def drop_if_empty(self) -> None:
        """Leave nothing behind where nothing of use was received."""
        if not self.note.exists() or os.fstat(self.file.fileno()).st_size == 0:
            self.part.unlink(missing_ok=True)
            self.note.unlink(missing_ok=True)

    def _resume_point(self) -> tuple[int, str]:
        """(bytes held, validator); a partial file without a validator cannot be trusted and starts again."""
        held = os.fstat(self.file.fileno()).st_size
        try:
            validator = json.loads(self.note.read_text())["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            validator = None
        if not held or not isinstance(validator, str):
            self.restart()
            return 0, ""
        return held, validator

    def _refused(self, error: urllib.error.HTTPError, held: int) -> None:
        if error.code == 416 and held:
            self.restart()
            raise _Transient("the server has another version of the file")
        if error.code in TRANSIENT_STATUS:
            raise _Transient(f"HTTP {error.code} {error.reason}", _retry_after(error.headers))
        raise _Final(f"HTTP {error.code} {error.reason}")

    def _receive(self, response: Any, held: int) -> None:
        headers = response.headers
        if headers.get("Content-Encoding", "identity") not in ("", "identity"):
            raise _Final(f"the server sends it as {headers['Content-Encoding']}, which was not asked for")
        if headers.get_content_type() == "text/html" and Path(self.part.stem).suffix not in (".html", ".htm"):
            raise _Final("the server sent a web page instead of the file")
        total = self._begin(response, held)
        if self.size is not None and total is not None and total != self.size:
            self.restart()
            raise _Final(f"the server announces {total} bytes, {self.size} are expected")
        done = self._copy(response, total)
        if total is not None and done != total:
            raise _Transient(f"the connection ended after {done} of {total} bytes")

    def _begin(self, response: Any, held: int) -> int | None:
        """Position the partial file for this answer; the total size or None."""
        headers = response.headers
        length = headers.get("Content-Length")
        body = int(length) if length and length.isdigit() and not headers.get("Transfer-Encoding") else None
        if response.status == 206:
            start, total = _content_range(headers.get("Content-Range", ""))
            if start != held or not held:
                self.restart()
                raise _Transient("the server sent another range than was asked for")
            self.file.seek(held)
            return total if total is not None else (held + body if body is not None else None)
        self.restart()
        validator = headers.get("ETag") or headers.get("Last-Modified")
        if validator and not validator.startswith("W/"):
            self.note.write_text(json.dumps({"url": self.url, "validator": validator}))
        return body

    def _copy(self, response: Any, total: int | None) -> int:
        """Append the body; bytes held at its end. What was received stays, whatever happens."""
        try:
            return self._append(response, total)
        finally:
            self.file.flush()

    def _append(self, response: Any, total: int | None) -> int:
        done = self.file.tell()
        window_start, window_bytes = time.monotonic(), 0
        while True:
            try:
                chunk = response.read1(CHUNK)
            except TimeoutError as error:
                raise _Transient(f"no data for {self.timeout:g} s after {done} bytes") from error
            except (http.client.HTTPException, OSError) as error:
                raise _Transient(f"the connection broke after {done} bytes ({type(error).__name__})") from error
            if not chunk:
                break
            self.file.write(chunk)
            done += len(chunk)
            window_bytes += len(chunk)
            if self.progress:
                self.progress(done, total)
            elapsed = time.monotonic() - window_start
            if elapsed > self.timeout:
                if window_bytes < MINIMUM_RATE * elapsed:
                    raise _Transient(f"only {window_bytes} bytes in {elapsed:.0f} s")
                window_start, window_bytes = time.monotonic(), 0
        return done


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Redirects stay on the web: never to file: or ftp:."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise urllib.error.HTTPError(newurl, code, "redirect away from the web refused", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_WebOnly)


def _content_range(value: str) -> tuple[int, int | None]:
    """(first byte, total or None) of ``bytes 5-9/10``; first byte -1 where it cannot be read."""
    unit, _, rest = value.partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit.lower() != "bytes" or not start.isdigit():
        return -1, None
    return int(start), int(total) if total.isdigit() else None


def _retry_after(headers: Message) -> float:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def _mismatch(path: Path, sha256: str | None, git_blob: str | None, size: int | None) -> str | None:
    """What is wrong with a file's content, or None."""
    held = path.stat().st_size
    if size is not None and held != size:
        return f"{held} bytes received, {size} expected"
    if sha256 is None and git_blob is None:
        return None
    found = digest_file(path)
    if sha256 is not None and found.sha256 != sha256.lower():
        return f"wrong content: sha256 {found.sha256}, expected {sha256}"
    if git_blob is not None and found.git_blob != git_blob.lower():
        return f"wrong content: git blob {found.git_blob}, expected {git_blob}"
    return None


def _copy_local(url: str, destination: Path, sha256: str | None, git_blob: str | None, size: int | None) -> Path:
    source = Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))
    if not source.is_file():
        raise DownloadError(f"{url}: no such file")
    problem = _mismatch(source, sha256, git_blob, size)
    if problem:
        raise DownloadError(f"{url}: {problem}")
    destination.parent.mkdir(parents=True, exist_ok=True)
    _copy_atomically(source, destination)
    return destination


def _move(part: Path, destination: Path) -> None:
    """Rename, or copy and rename where the partial file is on another file system."""
    try:
        os.replace(part, destination)
    except OSError:
        _copy_atomically(part, destination)
        part.unlink()
    else:
        _sync_folder(destination.parent)


def _copy_atomically(source: Path, destination: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{destination.name}.", dir=destination.parent)
    try:
        with os.fdopen(handle, "wb") as out, open(source, "rb") as into:
            shutil.copyfileobj(into, out, 1 << 20)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, destination)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(destination.parent)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system lets a folder be synced
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """The partial file, open for update and locked against other processes that fetch the same address."""
    while True:
        file = open(part, "a+b")  # noqa: SIM115 - closed below, after the lock protocol
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            same = os.fstat(file.fileno()).st_ino == part.stat().st_ino
        except FileNotFoundError:
            same = False
        if same:
            break
        file.close()  # whoever held the lock has renamed the file away; lock the new one
    try:
        yield file
    finally:
        file.close()
