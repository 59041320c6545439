"""Files that are whole or absent: write beside, fsync, rename. Standard library only."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from findna_bench.errors import DataError, OutputError

__all__ = [
    "atomic_path",
    "canonical_json",
    "open_regular",
    "parse_size",
    "path_segment",
    "sha256_file",
    "size_text",
    "stable_hash",
    "write_atomic",
    "write_json",
]

_UNSAFE = re.compile(r"[^A-Za-z0-9._@-]")


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``; on leaving without an error it is synced and renamed to ``path``.

    Raises:
        OutputError: the folder cannot be written or the disk is full; nothing is left behind.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:60]}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another folder"
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the file system allows to sync a folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    with atomic_path(path) as temporary:
        # Half of a surrogate pair (a file name that is no UTF-8) is written as JSON and Python escape it.
        temporary.write_bytes(content.encode(errors="backslashreplace") if isinstance(content, str) else content)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON with a final newline; NaN and infinities are refused with ValueError."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def canonical_json(value: Any) -> str:
    """One text for equal values: sorted keys, no spaces, tuples as lists; floats keep their shortest exact form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def stable_hash(value: Any) -> str:
    """sha256 (hex) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_size(text: str) -> int | None:
    """Bytes of a size such as ``500MB`` or ``20 GB`` (powers of 1,000); None for ``none``.

    Raises:
        ValueError: not of that form.
    """
    if text.strip().lower() == "none":
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(text)
    return int(float(match[1]) * _UNITS[match[2].upper()])


def size_text(n_bytes: int) -> str:
    """A size to be read, in powers of 1,000."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.1f} {unit}"
    return f"{n_bytes} bytes"


def open_regular(path: Path) -> io.BufferedReader:
    """A file, open for reading. What is no regular file is refused before it is opened: a pipe would be waited for, and can be read
    only once.

    Raises:
        DataError: it cannot be read, or is a folder, pipe, socket or device.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder" if path.is_dir() else "no regular file (a pipe, socket or device)"
            raise DataError(f"{path}: is {what}; give a file on disk")
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise DataError(f"{str(path)!r}: is no path ({error})") from error


def sha256_file(path: Path) -> str:
    """sha256 (hex) of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@functools.lru_cache(maxsize=4096)
def path_segment(name: str) -> str:
    """``name`` as one path segment: anything outside ``[A-Za-z0-9._@-]`` percent-encoded, and a dot at its beginning, so that nothing is hidden."""
    encoded = _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), name)
    if encoded.strip(".") == "":
        return "".join(f"%{ord(character):02X}" for character in encoded) or "%00"
    return f"%2E{encoded[1:]}" if encoded[0] == "." else encoded
