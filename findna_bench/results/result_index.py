"""An index of a results folder, so that a hundred thousand files are read once: ``.index.sqlite`` in the folder. It is never the truth.

A file is taken from the index where its size, times and inode are those that it was read with, and read where they are not; so an index that is
missing, older than the files or from another version costs time and changes no answer. Every row has a checksum, and rows are only
looked for by the names of folders that are there: what a damaged index says of anything else is not heard.

A row of the index is a folder of results (a model on a task): what tables and plans read of them. The rest of each lies apart, and is read
when it is looked at. An index is written beside and renamed, whole, and opened as a file that nobody changes: there are no locks to wait
for, and none that a network folder would have to have. Of two processes that write one, the later counts, and the other's files are read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import sqlite3
import stat
import weakref
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias
from warnings import warn

from pydantic_core import from_json

from findna_bench.collecting import no_collection
from findna_bench.errors import OutputError
from findna_bench.files import atomic_path, path_segment
from findna_bench.results import result_rows, schema
from findna_bench.results.result_rows import DamagedRowError, Parts, Record, Rows, record_of
from findna_bench.results.schema import Result, read_result

__all__ = ["INDEX", "Alike", "ResultIndex", "result_files"]

INDEX: Final = ".index.sqlite"
_FEWEST: Final = 200
"""Files to be read from which writing an index is worth it; of large folders a hundredth of all files."""
_COARSE_NS: Final = 2_000_000_000
"""The coarsest times that file systems keep: what was changed this shortly before it was read may have been changed again since."""
_DAMAGED: Final = (DamagedRowError, ValueError, TypeError, LookupError)
"""What reading a part may come to that is not what was written."""
_ERRORS: Final = "errors/"
_DEPTH: Final = 4
"""Folders above a result: model, suite, task, protocol."""
_TABLES: Final = """
    CREATE TABLE format (version TEXT);
    CREATE TABLE parts (number INTEGER PRIMARY KEY, content TEXT UNIQUE, checksum INTEGER);
    CREATE TABLE folders (path TEXT PRIMARY KEY, files TEXT, content TEXT, checksum INTEGER);
    CREATE TABLE rests (number INTEGER PRIMARY KEY, rest BLOB, checksum INTEGER);
"""

_Files: TypeAlias = dict[str, str]
"""Files where results should be, in the order of their names: name -> size, times of change (content and inode, ns) and inode, as text."""
_IRREGULAR: Final = "?"
"""Stands for what is no regular file."""
_UNSETTLED: Final = "-"
"""Stands for a file that may change without a trace; none is ever as that says."""


def result_files(root: Path) -> Iterator[str]:
    """All files where results should be, relative to the folder as POSIX writes it, folder by folder in the order of their names; hidden
    ones, and what lies elsewhere, are left out.
    """
    for folder, files in _scanned(root, None):
        yield from (folder + name for name in files)


def _scanned(root: Path, models: Collection[str] | None) -> list[tuple[str, _Files]]:
    """(folder, relative with "/" at its end; its files) of all folders that hold any. models: names of folders to look into, and into that of
    failures; None for all.
    """
    found: list[tuple[str, _Files]] = []
    base = os.fspath(root)
    if models is None:
        _collect(base, "", _DEPTH, found)
    else:
        for name in sorted({*models, _ERRORS[:-1]}):
            if not name.startswith(".") and os.path.isdir(f"{base}/{name}") and not os.path.islink(f"{base}/{name}"):
                _collect(f"{base}/{name}", f"{name}/", _DEPTH - 1, found)
    return found


def _collect(folder: str, prefix: str, above: int, found: list[tuple[str, _Files]]) -> None:
    failures = prefix.startswith(_ERRORS)
    files: _Files = {}
    inner: list[str] = []
    try:
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if entry.name[0] != "."]
        if above == 0 or failures:
            files = {entry.name: _state(entry) for entry in seen if entry.name.endswith(".json")}
        if above or failures:
            inner = [entry.name for entry in seen if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    if files:
        found.append((prefix, dict(sorted(files.items()))))
    for name in sorted(inner):
        _collect(f"{folder}/{name}", f"{prefix}{name}/", above - 1, found)


def _state(entry: os.DirEntry[str]) -> str:
    try:
        about = entry.stat()
    except OSError:
        return _IRREGULAR
    if not stat.S_ISREG(about.st_mode):
        return _IRREGULAR
    return f"{about.st_size}/{about.st_mtime_ns}/{about.st_ctime_ns}/{about.st_ino}"


def _last_change(state: str) -> float:
    """When a file last changed (ns), by what its folder says; what is no regular file never stops."""
    return math.inf if state == _IRREGULAR else max(map(int, state.split("/")[1:3]))


def _text(files: _Files) -> str:
    """Files as one text, so that those of a folder are compared at once; no name has a slash."""
    return "//".join([f"{name}/{state}" for name, state in files.items()])


def _files(text: str) -> _Files:
    """The inverse of :func:`_text`."""
    return dict(file.split("/", 1) for file in text.split("//")) if text else {}


class _Snapshot:
    """An index file, open; what it holds of a file is right for one that is as that was."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        weakref.finalize(self, connection.close)
        self._numbers: dict[bytes, int] = {}
        self.parts = Parts(self._add_part, self._part)

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

    def folders(self, models: Collection[str] | None) -> Iterator[tuple[str, _Folder]]:
        """Folders with what lies in them, but for those of which something is damaged; of all models, or of some and the failures."""
        select = "SELECT path, files, content, checksum FROM folders"
        if models is None:
            yield from self._folders(self._connection.execute(select))
            return
        for name in {*models, _ERRORS[:-1]}:
            with contextlib.suppress(UnicodeEncodeError):  # a name that is no UTF-8 is in no index
                bounds = f"{name}/", f"{name}0"  # "0" is what follows "/"
                yield from self._folders(self._connection.execute(f"{select} WHERE path >= ? AND path < ?", bounds))

    def _folders(self, rows: Iterable[tuple[str, str, str, int]]) -> Iterator[tuple[str, _Folder]]:
        for path, files, content, checksum in rows:
            texts = path, files, content
            if all(isinstance(text, str) for text in texts) and _checksum(*texts) == checksum:
                numbers, records = from_json(content)
                yield path, _Folder(self, path, files, numbers, [Record._make(values) for values in records])

    def rest(self, number: int, path: str) -> bytes:
        """The rest of a result in a folder.

        Raises:
            DamagedRowError: it is not there, or not what was written.
        """
        try:
            row = self._connection.execute("SELECT rest, checksum FROM rests WHERE number = ?", (number,)).fetchone()
        except sqlite3.Error as error:
            raise DamagedRowError from error
        if row is None or not isinstance(row[0], bytes) or zlib.crc32(row[0], zlib.crc32(path.encode())) != row[1]:
            raise DamagedRowError
        rest: bytes = row[0]
        return rest

    def add_rest(self, path: str, rest: bytes) -> int:
        """Keep the rest of a result in a folder; gives its number."""
        checksum = zlib.crc32(rest, zlib.crc32(path.encode()))
        return int(self._connection.execute("INSERT INTO rests VALUES (NULL, ?, ?)", (rest, checksum)).lastrowid or 0)

    def put(self, folder: _Folder) -> None:
        """Keep a folder, in place of what was known of it."""
        content = json.dumps([folder.numbers, folder.records], separators=(",", ":"))
        texts = folder.path, _text(folder.files), content
        self._connection.execute("INSERT OR REPLACE INTO folders VALUES (?, ?, ?, ?)", (*texts, _checksum(*texts)))

    def forget(self, folders: Iterable[str], rests: Iterable[int]) -> None:
        """Folders that are gone, and the rests of results that are."""
        self._connection.executemany("DELETE FROM folders WHERE path = ?", [(path,) for path in folders])
        self._connection.executemany("DELETE FROM rests WHERE number = ?", [(number,) for number in rests])

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Within it, what is written is written together, which is quicker."""
        self._connection.execute("BEGIN")
        yield
        self._connection.execute("COMMIT")

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
        try:
            row = self._connection.execute("SELECT content, checksum FROM parts WHERE number = ?", (number,)).fetchone()
        except sqlite3.Error as error:
            raise DamagedRowError from error
        if row is None or _checksum(number, row[0]) != row[1]:
            raise DamagedRowError
        return str(row[0])


def _checksum(*values: str | int) -> int:
    return zlib.crc32("\0".join(map(str, values)).encode(errors="replace"))


def _version() -> str:
    """Of what decides what a row holds; an index of another version is written anew."""
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in (schema, result_rows))
    return hashlib.sha256(_TABLES.encode() + sources).hexdigest()


@dataclass(eq=False, slots=True)
class _Folder:
    """Results of one folder, as an index holds them; a :class:`~findna_bench.results.result_rows.Source`.

    listing: files of the results as one text, as the index has it. numbers: of parts; results that have all of them in common share one list.
    records: of each file.
    """

    snapshot: _Snapshot
    path: str
    listing: str = ""
    numbers: list[list[int]] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    root: Path = Path()
    _files: _Files | None = None
    _rows: dict[int, Rows] = field(default_factory=dict)
    _places: dict[tuple[int, ...], int] = field(default_factory=dict)

    @property
    def files(self) -> _Files:
        """Those of the results; of most folders nobody asks, as nothing has changed there."""
        if self._files is None:
            self._files = _files(self.listing)
        return self._files

    @property
    def parts(self) -> Parts:
        return self.snapshot.parts

    def rest(self, record: Record) -> bytes:
        return self.snapshot.rest(record.number, self.path)

    def from_file(self, record: Record) -> Result:
        of_records = zip(self.files, self.records, strict=True)
        return self.read(next(name for name, own in of_records if own.number == record.number))

    def read(self, name: str) -> Result:
        """A result from its file, as the index is damaged.

        Raises:
            OutputError: the file is gone, or no result any more.
        """
        with contextlib.suppress(OSError):  # the next reader makes a new one
            (self.root / INDEX).unlink()
        return read_result(self.root / self.path / name)

    def rows(self, place: int) -> Rows:
        """The rows that share some numbers.

        Raises:
            DamagedRowError: a part is damaged.
        """
        if (found := self._rows.get(place)) is None:
            found = self._rows[place] = Rows(self, self.numbers[place])
        return found

    def add(self, name: str, state: str, numbers: Sequence[int], record: Record) -> None:
        """One more result; the place of its numbers is found here."""
        key = tuple(numbers)
        if (place := self._places.get(key)) is None:
            place = self._places[key] = len(self.numbers)
            self.numbers.append(list(numbers))
        self.files[name] = state
        self.records.append(record._replace(place=place))


@dataclass(eq=False, slots=True)
class _Listed:
    """A folder as it is now.

    files: all where results should be. known: what the index holds of it, of files that may have changed since. as_known: none has, and none is
    new. added: results that were read from their files just now, as rows. held: those that make no row.
    """

    path: str
    files: _Files
    known: _Folder | None
    as_known: bool
    added: _Folder | None = None
    held: dict[str, Result] = field(default_factory=dict)

    def of_known(self) -> dict[str, tuple[_Folder, Record]]:
        """Name -> (folder, record) of files that are as the index knows them."""
        if self.known is None:
            return {}
        return {
            name: (self.known, record)
            for (name, state), record in zip(self.known.files.items(), self.known.records, strict=True)
            if self.files.get(name) == state
        }

    def unknown(self) -> list[str]:
        """Names of files to be read."""
        if self.as_known:
            return []
        known = self.of_known()
        return [name for name in self.files if name not in known]

    def rows(self) -> Iterator[tuple[str, _Folder | None, Any]]:
        """(name, folder, record) of each result, or (name, None, result), in the order of names."""
        if self.as_known and self.known is not None:
            for name, record in zip(self.files, self.known.records, strict=True):
                yield name, self.known, record
            return
        found = self.of_known()
        if self.added is not None:
            of_records = zip(self.added.files, self.added.records, strict=True)
            found |= {name: (self.added, record) for name, record in of_records}
        for name in self.files:
            if name in found:
                yield name, *found[name]
            elif name in self.held:
                yield name, None, self.held[name]


@dataclass(frozen=True, slots=True)
class Alike:
    """Results of one folder that are :attr:`~findna_bench.results.schema.Result.alike`.

    sample: one of them, which says for all of them what they have in common. records: what each has alone, in the order of their paths.
    """

    sample: Result
    records: Sequence[Record]


class ResultIndex:
    """What lies in a results folder, and is read as it is asked for.

    Args:
        root: the folder.
        left_out: takes a sentence about each file that is no result.
        models: names of models whose results are looked at, and all failures; None for everything.
        fewest: files to be read from which an index is written.
    """

    def __init__(
        self,
        root: Path,
        left_out: Callable[[str], None] = warn,
        *,
        models: Collection[str] | None = None,
        fewest: int = _FEWEST,
    ) -> None:
        self._root, self._left_out = root, left_out
        self._problems: dict[str, str] = {}
        names = None if models is None else {path_segment(model) for model in models}
        with no_collection():
            scanned = _scanned(root, names)
            snapshot = _Snapshot.existing(root / INDEX)
            try:
                known = {} if snapshot is None else dict(snapshot.folders(names))
            except (sqlite3.Error, ValueError, TypeError):
                snapshot, known = None, {}
            self._listed = [_listed(path, files, known.pop(path, None), root) for path, files in scanned]
            unknown = [(listed, name) for listed in self._listed for name in listed.unknown()]
            n_files = sum(len(files) for _, files in scanned)
            if len(unknown) < max(fewest, n_files // 100):
                for listed, name, result in self._read(unknown):
                    listed.held[name] = result
            else:
                self._publish(snapshot, known, unknown)
        for listed in self._listed if self._problems else ():
            for name in listed.files:
                if (problem := self._problems.get(listed.path + name)) is not None:
                    left_out(problem)

    def results(self, *, models: Collection[str] | None = None, tasks: Collection[str] | None = None) -> list[Result]:
        """The results in the order of their paths, those of some models and tasks or all. Each reads what is looked at; what they have in common they
        share: it is not to be changed.
        """
        with no_collection():
            return [result for _, _, result in self._chosen(models, tasks)]

    def located(
        self, *, models: Collection[str] | None = None, tasks: Collection[str] | None = None
    ) -> list[tuple[str, Result]]:
        """:meth:`results`, each with its file, relative to the folder."""
        with no_collection():
            return [(folder + name, result) for folder, name, result in self._chosen(models, tasks)]

    def alike(self, *, models: Collection[str] | None = None) -> Iterator[Alike]:
        """:meth:`results` of some models or all, those of a folder that are alike together: an object for each takes most of the time of what looks
        at all of them and at little of each.
        """
        for listed in self._listed:
            of_rows: dict[Rows, list[Record]] = {}
            known = listed.known if listed.as_known else None
            if known is not None and len(known.numbers) == 1:  # nearly all of a large folder
                with contextlib.suppress(*_DAMAGED):
                    of_rows[known.rows(0)] = known.records
            for name, folder, record in () if of_rows else listed.rows():
                if folder is None:
                    yield from (_alone(result) for result in [record] if _among(result.model.name, models))
                    continue
                try:
                    of_rows.setdefault(folder.rows(record.place), []).append(record)
                except _DAMAGED:
                    yield from map(_alone, self._from_file(folder, name, models, None))
            for rows, records in of_rows.items():
                if _among(rows.model, models):
                    yield Alike(rows.result(records[0]), records)

    def _chosen(
        self, models: Collection[str] | None, tasks: Collection[str] | None
    ) -> Iterator[tuple[str, str, Result]]:
        """(folder, name of the file, result)."""
        wanted: dict[Rows, bool] = {}
        for listed in self._listed:
            for name, folder, record in listed.rows():
                if folder is None:
                    if _among(record.model.name, models) and _among(record.task_name, tasks):
                        yield listed.path, name, record
                    continue
                try:
                    rows = folder.rows(record.place)
                except _DAMAGED:
                    for result in self._from_file(folder, name, models, tasks):
                        yield listed.path, name, result
                    continue
                if rows not in wanted:
                    wanted[rows] = _among(rows.model, models) and _among(rows.task, tasks)
                if wanted[rows]:
                    yield listed.path, name, rows.result(record)

    def names(self) -> tuple[set[str], set[str]]:
        """(models, tasks) that there are results of."""
        models, tasks = set[str](), set[str]()
        for listed in self._listed:
            for name, folder, record in listed.rows():
                if folder is None:
                    models.add(record.model.name)
                    tasks.add(record.task_name)
                    continue
                try:
                    rows = folder.rows(record.place)
                except _DAMAGED:
                    for result in self._from_file(folder, name, None, None):
                        models.add(result.model.name)
                        tasks.add(result.task_name)
                else:
                    models.add(rows.model)
                    tasks.add(rows.task)
        return models, tasks

    def __len__(self) -> int:
        return sum(1 for listed in self._listed for _ in listed.rows())

    def _from_file(
        self, folder: _Folder, name: str, models: Collection[str] | None, tasks: Collection[str] | None
    ) -> list[Result]:
        """What the index turns out to hold damaged, from its file."""
        try:
            result = folder.read(name)
        except OutputError as error:
            self._left_out(f"{error}; it is left out")
            return []
        return [result] if _among(result.model.name, models) and _among(result.task_name, tasks) else []

    def _read(self, files: Iterable[tuple[_Listed, str]]) -> Iterator[tuple[_Listed, str, Result]]:
        for listed, name in files:
            path = self._root / (listed.path + name)
            try:
                yield listed, name, read_result(path)
            except OutputError as error:
                if path.is_symlink() or path.exists():  # not one that somebody removed in this moment
                    self._problems[listed.path + name] = f"{error}; it is left out"

    def _publish(
        self, base: _Snapshot | None, gone: dict[str, _Folder], unknown: Sequence[tuple[_Listed, str]]
    ) -> None:
        """Read files into a new index, or where none can be written into one that is gone with this process. gone: what the last holds of folders
        that are no more.
        """
        try:
            with atomic_path(self._root / INDEX) as temporary:
                now = temporary.stat().st_mtime_ns
                snapshot = _Snapshot.written(temporary, base)
                with snapshot.writing():
                    self._take(snapshot, unknown)
                    snapshot.forget(gone, (record.number for folder in gone.values() for record in folder.records))
                    for listed in self._listed:
                        if not listed.as_known:
                            self._put(snapshot, listed, now)
        except (OutputError, sqlite3.Error):
            self._take(_Snapshot.written(None, None), unknown)

    def _take(self, snapshot: _Snapshot, unknown: Iterable[tuple[_Listed, str]]) -> None:
        """Read files into a snapshot."""
        for listed, name, result in self._read(unknown):
            try:
                (listed.path + name).encode()
                row = snapshot.parts.row(result)
            except ValueError:  # a name that is no UTF-8, or a number that no other reader of JSON takes
                listed.held[name] = result
                continue
            if listed.added is None or listed.added.snapshot is not snapshot:
                listed.added = _Folder(snapshot, listed.path, root=self._root)
            number = snapshot.add_rest(listed.path, row.rest)
            listed.added.add(name, listed.files[name], row.numbers, row.record._replace(number=number))

    def _put(self, snapshot: _Snapshot, listed: _Listed, now: int) -> None:
        """Keep a folder as it is. now: when reading began, by the clock of the folder (ns)."""
        whole = _Folder(snapshot, listed.path)
        kept = set()
        for name, folder, record in listed.rows():
            if folder is None:
                continue
            # What was changed just now may change once more without a trace: the next reader reads it again.
            state = listed.files[name] if _last_change(listed.files[name]) < now - _COARSE_NS else _UNSETTLED
            whole.add(name, state, folder.numbers[record.place], record)
            kept.add(record.number)
        if listed.known is not None:
            snapshot.forget((), (record.number for record in listed.known.records if record.number not in kept))
        with contextlib.suppress(UnicodeEncodeError):
            snapshot.put(whole)


def _listed(path: str, files: _Files, known: _Folder | None, root: Path) -> _Listed:
    if known is not None:
        known.root = root
    return _Listed(path, files, known, known is not None and known.listing == _text(files))


def _alone(result: Result) -> Alike:
    return Alike(result, [record_of(result.to_dict())])


def _among(name: str, names: Collection[str] | None) -> bool:
    return names is None or name in names
