"""A folder, a zip or a tar as the same thing: a list of files that can be opened. Archives are checked before use.

Members of a zip are read where they are, so no name in it ever becomes a path on disk. Tar archives, which cannot be read
in any order, are unpacked to a temporary folder after the same checks.
"""

from __future__ import annotations

import collections
import contextlib
import io
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from findna_bench.errors import DataError
from findna_bench.files import open_regular
from findna_bench.unpacking import check_held, check_unpacked, open_tar

__all__ = ["Tree", "is_archive", "open_tree"]

ARCHIVE = re.compile(r"\.(zip|tar|tar\.gz|tgz|tar\.bz2|tar\.xz|tar\.zst)$", re.IGNORECASE)


class Tree(Protocol):
    """Files below one place. ``prefix``: names of the folders above them, which may be part of a data set's name."""

    label: str
    prefix: tuple[str, ...]
    files: list[str]

    def open(self, name: str) -> IO[bytes]: ...
    def origin(self, name: str) -> str: ...


def is_archive(name: str) -> bool:
    return ARCHIVE.search(name) is not None


@contextlib.contextmanager
def open_tree(path: Path) -> Iterator[Tree]:
    """The files below ``path``: a folder, a zip, a tar (packed or not), or one file by itself.

    Raises:
        DataError: there is nothing, or an archive is damaged or unsafe.
    """
    if path.is_dir():
        yield FolderTree(path)
    elif not path.exists():
        raise DataError(f"{path}: no such file or folder")
    elif not is_archive(path.name):
        yield FolderTree(path.parent, [path.name])
    elif path.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                yield ZipTree(path, archive)
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise DataError(f"{path} is damaged or truncated ({error}); get it again") from error
    else:
        with _unpacked(path) as folder:
            yield FolderTree(folder, prefix=_archive_prefix(path), label=str(path))


def _archive_prefix(path: Path) -> tuple[str, ...]:
    stem = ARCHIVE.sub("", path.name)
    return (*path.absolute().parent.parts[1:], stem)


class FolderTree:
    """A folder on disk; hidden files are left out."""

    def __init__(
        self, root: Path, files: list[str] | None = None, prefix: tuple[str, ...] | None = None, label: str = ""
    ) -> None:
        self.root, self.label = root, label or str(root)
        self.prefix = root.absolute().parts[1:] if prefix is None else prefix
        self.files = sorted(_walk(root)) if files is None else files

    def open(self, name: str) -> IO[bytes]:
        return open_regular(self.root / name)

    def origin(self, name: str) -> str:
        return f"{self.label}/{name}"


def _walk(root: Path) -> Iterator[str]:
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith((".", "__MACOSX"))]
        base = os.path.relpath(folder, root)
        for name in names:
            if not name.startswith("."):
                yield name if base == "." else f"{base}/{name}".replace(os.sep, "/")


class ZipTree:
    """A zip, read in place."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self.archive, self.label = path, archive, str(path)
        self.prefix = _archive_prefix(path)
        members = archive.infolist()
        for member in members:
            mode = member.external_attr >> 16
            _check_member(path, member.filename, link=stat.S_ISLNK(mode))
        check_unpacked(str(path), sum(member.file_size for member in members), path.stat().st_size)
        names = [member.filename for member in members]
        if len(set(names)) < len(names):
            twice = collections.Counter(names).most_common(1)[0][0]
            raise DataError(f"{path} holds two files of the name {twice!r}; it is damaged or unsafe and was not read")
        self.files = sorted(
            member.filename
            for member in members
            if not member.is_dir() and not any(p.startswith((".", "__MACOSX")) for p in member.filename.split("/"))
        )

    def open(self, name: str) -> IO[bytes]:
        check_held(self.origin(name), self.archive.getinfo(name).file_size)
        try:
            return io.BytesIO(self.archive.read(name))
        except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError, NotImplementedError) as error:
            raise DataError(
                f"{self.origin(name)} is damaged or cannot be read ({error}); get the archive again"
            ) from error

    def origin(self, name: str) -> str:
        return f"{self.path}: {name}"


def _check_member(archive: Path, name: str, *, link: bool = False) -> None:
    """Refuse names that would leave the folder they are unpacked to, and links."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ".." in parts or (parts and re.match(r"[A-Za-z]:", parts[0])):
        raise DataError(f"{archive} holds {name!r}, which points outside the archive; it is unsafe and was not read")
    if link:
        raise DataError(f"{archive} holds {name!r}, which is a link or a device; it is unsafe and was not read")


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """A tar's regular files below a temporary folder that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="findna-bench-"))
    try:
        try:
            with open_tar(path) as archive:
                _unpack(path, archive, folder)
        except OSError as error:
            raise DataError(f"{path} is damaged or truncated ({error}); get it again") from error
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(path: Path, archive: tarfile.TarFile, folder: Path) -> None:
    total = 0
    for member in archive:
        _check_member(path, member.name, link=not (member.isfile() or member.isdir()))
        if not member.isfile():
            continue
        total += member.size
        check_unpacked(str(path), total, path.stat().st_size)
        target = folder / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        content = archive.extractfile(member)
        assert content is not None
        with content, target.open("wb") as out:
            shutil.copyfileobj(content, out, 1 << 20)
        if target.stat().st_size != member.size:
            raise tarfile.ReadError(f"{member.name} ends early")
