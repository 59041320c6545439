"""An index of a results folder, so that a hundred thousand files are read once: ``.index.sqlite`` in the folder. It is never the truth.

A file is taken from the index where its size, times and inode are those that it was read with, and read where they are not; so an index that is
missing, older than the files or from another version costs time and changes no answer. Every row has a checksum, and rows are only
looked for by the names of files that are there: what a damaged index says of anything else is not heard.

An index is written beside and renamed, whole, and opened as a file that nobody changes: there are no locks to wait for, and none that
a network folder would have to have. Of two processes that write one, the later counts, and the other's files are read again.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import sqlite3
import stat
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from warnings import warn

from findna_bench.errors import OutputError
from findna_bench.files import atomic_path
from findna_bench.results import result_rows, schema
from findna_bench.results.result_rows import Parts
from findna_bench.results.schema import Result, read_result

__all__ = ["INDEX", "Indexed", "ResultIndex", "result_files"]

INDEX: Final = ".index.sqlite"
_FEWEST: Final = 200
"""Files to be read from which writing an index is worth it; of large folders a hundredth of all files."""
_BATCH: Final = 500
_COARSE_NS: Final = 2_000_000_000
"""The coarsest times that file systems keep: what was changed this shortly before it was read may have been changed again since."""
_TABLES: Final = """
    CREATE TABLE format (version TEXT);
    CREATE TABLE parts (number INTEGER PRIMARY KEY, content TEXT UNIQUE, checksum INTEGER);
    CREATE TABLE summaries (
        number INTEGER PRIMARY KEY, path TEXT, signature TEXT, request_id TEXT, model INTEGER, task INTEGER, summary TEXT, checksum INTEGER
    );
    CREATE TABLE rests (number INTEGER PRIMARY KEY, rest BLOB, checksum INTEGER);
"""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file where a result should be. path: relative to the folder, as POSIX writes it. signature: size, times and inode; "" for what
    is no regular file. changed: when it last was (ns)."""

    path: str
    signature: str
    changed: int


def result_files(root: Path) -> list[ResultFile]:
    """All files where results should be, in the order of their paths; hidden ones, and what lies elsewhere, are left out."""
    found: list[ResultFile] = []
    with contextlib.suppress(OSError):
        _collect(os.fspath(root), "", 1, found)
    return found


def _collect(folder: str, prefix: str, depth: int, found: list[ResultFile]) -> None:
    failures = prefix.startswith("errors/")
    here: list[tuple[str, os.stat_result | None, bool]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            inner = entry.is_dir(follow_symlinks=False)
            named = (depth == 5 or failures) and name.endswith(".json")
            if (named or inner) and not name.startswith("."):
                about = None
                if named:
                    with contextlib.suppress(OSError):
                        about = entry.stat()
                here.append((name, about, inner))
    here.sort(key=lambda one: one[0])
    for name, about, inner in here:
        if (depth == 5 or failures) and name.endswith(".json"):
            found.append(_file(prefix + name, about))
        if inner and (depth < 5 or failures):
            with contextlib.suppress(OSError):
                _collect(f"{folder}/{name}", f"{prefix}{name}/", depth + 1, found)


def _file(path: str, about: os.stat_result | None) -> ResultFile:
    if about is None or not stat.S_ISREG(about.st_mode):
        return ResultFile(path, "", 0)
    signature = f"{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns} {about.st_ino}"
    return ResultFile(path, signature, max(about.st_mtime_ns, about.st_ctime_ns))


class _IndexedRow(NamedTuple):
    """A line of the table of summaries: a number, the file and its signature, and a :class:`~findna_bench.results.result_rows.Row`."""

    number: int
    path: str
    signature: str
    request_id: str
    model: int
    task: int
    summary: str


_COLUMNS: Final = ", ".join(_IndexedRow._fields)


class _DamagedError(Exception):
    """What an index holds is not what was written."""


class _Snapshot:
    """An index file, open; what it holds of a path is right for the file that had the path's signature."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        weakref.finalize(self, connection.close)
        self._numbers: dict[bytes, int] = {}
        self.parts = Parts(self._add_part, self._part)
        self.task_names: dict[int, str] = {}

    @classmethod
    def existing(cls, path: Path) -> _Snapshot | None:
        """The one in a folder; None where there is none, or none that this version can read."""
        try:
            if not path.is_file():
                return None
            address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
            connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
            found = connection.execute("SELECT version FROM format").fetchall()
        except (sqlite3.Error, OSError, ValueError):
            return None
        return cls(connection) if found == [(_version(),)] else None

    @classmethod
    def written(cls, path: Path | None, base: _Snapshot | None) -> _Snapshot:
        """A new one, with what another holds. path: None for one that is gone with this process."""
        # Without locks: the file is nobody else's, and some network folders have none.
        address = "" if path is None else f"{path.absolute().as_uri()}?nolock=1"
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        if base is None:
            connection.executescript(_TABLES)
            connection.execute("INSERT INTO format VALUES (?)", (_version(),))
        else:
            base._connection.backup(connection)
        return cls(connection)

    def rows(self) -> Iterator[_IndexedRow]:
        """All results, but for those of which something is damaged."""
        for *values, checksum in self._connection.execute(f"SELECT {_COLUMNS}, checksum FROM summaries"):
            if _checksum(*values) == checksum:
                yield _IndexedRow(*values)

    def rest(self, number: int, path: str) -> bytes:
        """The rest of a result.

        Raises:
            _DamagedError: it is not there, or not what was written.
        """
        row = self._connection.execute("SELECT rest, checksum FROM rests WHERE number = ?", (number,)).fetchone()
        if row is None or not isinstance(row[0], bytes) or zlib.crc32(row[0], zlib.crc32(path.encode())) != row[1]:
            raise _DamagedError
        rest: bytes = row[0]
        return rest

    def replace(self, gone: Iterable[int], rows: Iterable[tuple[_IndexedRow, bytes]]) -> None:
        """Forget some results, by number, and keep others."""
        forgotten = [(number,) for number in gone]
        self._connection.execute("BEGIN")
        for table in ("summaries", "rests"):
            self._connection.executemany(f"DELETE FROM {table} WHERE number = ?", forgotten)
        for row, rest in rows:
            self._connection.execute("INSERT INTO summaries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, _checksum(*row)))
            checksum = zlib.crc32(rest, zlib.crc32(row.path.encode()))
            self._connection.execute("INSERT INTO rests VALUES (?, ?, ?)", (row.number, rest, checksum))
        self._connection.execute("COMMIT")

    def following(self) -> int:
        """The number of the next result."""
        (number,) = self._connection.execute("SELECT coalesce(max(number), 0) + 1 FROM summaries").fetchone()
        return int(number)

    def _add_part(self, content: str) -> int:
        key = hashlib.blake2b(content.encode(), digest_size=16).digest()
        if (number := self._numbers.get(key)) is None:
            found = self._connection.execute("SELECT number FROM parts WHERE content = ?", (content,)).fetchone()
            if found is None:
                (following,) = self._connection.execute("SELECT coalesce(max(number), 0) + 1 FROM parts").fetchone()
                found = (following,)
                values = (following, content, _checksum(following, content))
                self._connection.execute("INSERT INTO parts VALUES (?, ?, ?)", values)
            number = self._numbers[key] = int(found[0])
        return number

    def _part(self, number: int) -> str:
        row = self._connection.execute("SELECT content, checksum FROM parts WHERE number = ?", (number,)).fetchone()
        if row is None or _checksum(number, row[0]) != row[1]:
            raise _DamagedError
        return str(row[0])


def _checksum(*values: str | int) -> int:
    return zlib.crc32("\0".join(map(str, values)).encode(errors="replace"))


def _version() -> str:
    """Of what decides what a row holds; an index of another version is written anew."""
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in (schema, result_rows))
    return hashlib.sha256(_TABLES.encode() + sources).hexdigest()


@dataclass(frozen=True, slots=True)
class Indexed:
    """A result that lies in the folder, by what results are looked for by.

    path: of its file, relative to the folder. task: ``suite/name``. result: where it was read from its file just now.
    """

    path: str
    request_id: str
    model: str
    task: str
    number: int = 0
    summary: str = ""
    source: _Snapshot | None = None
    result: Result | None = None


class ResultIndex:
    """What lies in a results folder, and is read as it is asked for.

    Args:
        root: the folder.
        left_out: takes a sentence about each file that is no result.
        fewest: files to be read from which an index is written.

    Attributes:
        entries: the results, in the order of their paths.
    """

    def __init__(self, root: Path, left_out: Callable[[str], None] = warn, *, fewest: int = _FEWEST) -> None:
        self._root, self._left_out = root, left_out
        self._problems: dict[str, str] = {}
        self._by_request: dict[str, list[Indexed]] | None = None
        files = result_files(root)
        snapshot = _Snapshot.existing(root / INDEX)
        try:
            found, gone = ({}, []) if snapshot is None else _known(snapshot, files)
        except (sqlite3.Error, _DamagedError, ValueError, TypeError):
            snapshot, found, gone = None, {}, []
        unknown = [file for file in files if file.path not in found]
        if len(unknown) < max(fewest, len(files) // 100):
            found |= {file.path: _held(file, result) for file, result in self._read(unknown)}
        else:
            found |= self._publish(snapshot, gone, unknown)
        self.entries = [found[file.path] for file in files if file.path in found]
        for file in files:
            if file.path in self._problems:
                left_out(self._problems[file.path])

    def results(self, entries: Iterable[Indexed] | None = None) -> list[Result]:
        """The whole results of some entries, or of all. What they have in common they share: it is not to be changed."""

        def whole(source: _Snapshot, entry: Indexed) -> Result:
            return source.parts.result(entry.summary, source.rest(entry.number, entry.path))

        return self._all(whole, entries)

    def summaries(self, entries: Iterable[Indexed] | None = None, *, metric: str | None = None) -> list[Result]:
        """What tables and plans read of them (:meth:`~findna_bench.results.result_rows.Parts.summary`), or more."""

        def summary(source: _Snapshot, entry: Indexed) -> Result:
            return source.parts.summary(entry.summary, lambda: source.rest(entry.number, entry.path), metric)

        return self._all(summary, entries)

    def whole(self, summary: Result) -> Result:
        """The whole of a result that :meth:`summaries` gave, with the metrics that were added to it since."""
        if self._by_request is None:
            self._by_request = {}
            for entry in self.entries:
                self._by_request.setdefault(entry.request_id, []).append(entry)
        for result in self.results(self._by_request.get(summary.request_id, ())):
            if (result.identity, result.created, result.status) == (summary.identity, summary.created, summary.status):
                added = {
                    name: getattr(result.metrics, name) | getattr(summary.metrics, name)
                    for name in ("all", "intervals")
                }
                changed = {"task": summary.task, "metrics": result.metrics.model_copy(update=added)}
                return result.model_copy(update=changed)
        return summary

    def _all(self, make: Callable[[_Snapshot, Indexed], Result], entries: Iterable[Indexed] | None) -> list[Result]:
        collecting = gc.isenabled()
        gc.disable()  # a million new objects and no garbage: looking for some again and again takes half of the time
        try:
            every = self.entries if entries is None else entries
            return [result for entry in every for result in self._made(entry, make)]
        finally:
            if collecting:
                gc.enable()

    def _made(self, entry: Indexed, make: Callable[[_Snapshot, Indexed], Result]) -> Iterator[Result]:
        """A result by the index, or where that is damaged by its file."""
        if entry.result is not None:
            yield entry.result
            return
        assert entry.source is not None
        try:
            result = make(entry.source, entry)
        except (sqlite3.Error, _DamagedError):
            with contextlib.suppress(OSError):  # the next reader makes a new one
                (self._root / INDEX).unlink()
            try:
                result = read_result(self._root / entry.path)
            except OutputError as error:
                self._left_out(f"{error}; it is left out")
                return
        yield result

    def _read(self, files: Iterable[ResultFile]) -> Iterator[tuple[ResultFile, Result]]:
        for file in files:
            path = self._root / file.path
            try:
                yield file, read_result(path)
            except OutputError as error:
                if path.is_symlink() or path.exists():  # not one that somebody removed in this moment
                    self._problems[file.path] = f"{error}; it is left out"

    def _publish(
        self, base: _Snapshot | None, gone: Sequence[int], unknown: Sequence[ResultFile]
    ) -> dict[str, Indexed]:
        """Read files into a new index, or where none can be written into one that is gone with this process."""
        try:
            with atomic_path(self._root / INDEX) as temporary:
                now = temporary.stat().st_mtime_ns
                return self._fill(_Snapshot.written(temporary, base), gone, unknown, now)
        except (OutputError, sqlite3.Error):
            return self._fill(_Snapshot.written(None, None), (), unknown, 0)

    def _fill(
        self, snapshot: _Snapshot, gone: Sequence[int], unknown: Sequence[ResultFile], now: int
    ) -> dict[str, Indexed]:
        """Results that are read, kept in a snapshot. now: when reading began, by the clock of the folder (ns)."""
        found: dict[str, Indexed] = {}
        snapshot.replace(gone, ())
        following, batch = snapshot.following(), []
        for number, (file, result) in enumerate(self._read(unknown), following):
            try:
                file.path.encode()
                row = snapshot.parts.row(result)
            except ValueError:  # a name that is no UTF-8, or a number that no other reader of JSON takes
                found[file.path] = _held(file, result)
                continue
            # What was changed just now may change once more without a trace: the next reader reads it again.
            signature = file.signature if file.changed < now - _COARSE_NS else "unsettled"
            values = _IndexedRow(number, file.path, signature, row.request_id, row.model, row.task, row.summary)
            batch.append((values, row.rest))
            found[file.path] = Indexed(
                file.path, row.request_id, result.model.name, result.task_name, number, row.summary, snapshot
            )
            if len(batch) == _BATCH:
                snapshot.replace((), batch)
                batch = []
        snapshot.replace((), batch)
        return found


def _known(snapshot: _Snapshot, files: Iterable[ResultFile]) -> tuple[dict[str, Indexed], list[int]]:
    """(path -> what a snapshot holds of files that are as they were; numbers of the results that it holds of any other).

    Raises:
        _DamagedError, sqlite3.Error: it cannot be read to its end.
    """
    wanted = {file.path: file.signature for file in files if file.signature}
    found, gone = {}, []
    for number, path, signature, request_id, model, task, summary in snapshot.rows():
        if wanted.get(path) != signature:
            gone.append(number)
            continue
        of_model, of_task = snapshot.parts.of(model, schema.Model), snapshot.parts.of(task, schema.Task)
        name = snapshot.task_names.get(task) or snapshot.task_names.setdefault(task, f"{of_task.suite}/{of_task.name}")
        found[path] = Indexed(path, request_id, of_model.name, name, number, summary, snapshot)
    return found, gone


def _held(file: ResultFile, result: Result) -> Indexed:
    return Indexed(file.path, result.request_id, result.model.name, result.task_name, result=result)
