"""What compressed files hold, and how much of it: a file of a few kilobytes must not fill memory or the disk.

One rule for everything that is read. Unpacked content is refused beyond :data:`MAX_BYTES`; beyond :data:`FREE_BYTES` where it is more
than :data:`MAX_RATIO` times its packed size; and, where it is held in memory as a whole (tables, vectors), beyond an eighth of the
machine's memory (on the way to a model there are several copies of it). ``FINDNA_BENCH_MAX_UNPACKED`` sets one size in place of all three.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from findna_bench.errors import DataError, UsageError
from findna_bench.files import open_regular, parse_size

__all__ = [
    "MAX_UNPACKED",
    "check_held",
    "check_unpacked",
    "decompressed",
    "is_compressed",
    "open_decompressed",
    "open_tar",
    "without_compression",
]

MAX_UNPACKED = "FINDNA_BENCH_MAX_UNPACKED"
"""Environment variable: how large what is read may be once it is unpacked, e.g. ``200GB``; ``none`` for no limit."""
MAX_BYTES = 64 << 30
MAX_RATIO = 200
"""DNA as text packs 4 to 5 times, a run of one letter about 1000 times."""
FREE_BYTES = 64 << 20
_LARGEST_READ = 16 << 20
_COMPRESSED = re.compile(r"\.(gz|bgz|bgzf|bz2|xz|zst)$", re.IGNORECASE)
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile)
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))


def without_compression(name: str) -> str:
    """A file name without ``.gz``, ``.bgz``, ``.bgzf``, ``.bz2``, ``.xz`` or ``.zst``, in upper or lower case."""
    return _COMPRESSED.sub("", name)


def check_unpacked(origin: str, unpacked: int, packed: int | None) -> None:
    """Refuse content of ``unpacked`` bytes that came, or would come, of ``packed`` (None: not known).

    Raises:
        DataError: it is too much.
    """
    limit, given = _limit()
    too_much = limit is not None and unpacked > limit
    dense = not given and packed is not None and unpacked > max(FREE_BYTES, MAX_RATIO * max(1, packed))
    if too_much or dense:
        of = "" if packed is None else f" from {_size(packed)}"
        raise DataError(
            f"{origin} would unpack to {_size(unpacked)} or more{of}; it is unsafe and was not read; if it is right, set "
            f"{MAX_UNPACKED}=SIZE (e.g. 200GB)"
        )


def check_held(origin: str, n_bytes: int) -> None:
    """Refuse to hold ``n_bytes`` of a file in memory.

    Raises:
        DataError: it is more than :data:`MAX_UNPACKED` says, or else than an eighth of the machine's memory.
    """
    limit, given = _limit()
    if not given:
        limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8
    if limit is not None and n_bytes > limit:
        raise DataError(
            f"{origin} holds {_size(n_bytes)} or more and is read into memory as a whole, for which {_size(limit)} are the limit "
            f"here; give less, or set {MAX_UNPACKED}=SIZE (e.g. 200GB)"
        )


def _limit() -> tuple[int | None, bool]:
    """The size beyond which nothing is unpacked (None: there is none), and whether the user gave it."""
    text = os.environ.get(MAX_UNPACKED)
    if not text:
        return MAX_BYTES, False
    try:
        return parse_size(text), True
    except ValueError:
        raise UsageError(f"{MAX_UNPACKED}={text!r}: write a size such as 500MB or 200GB, or none") from None


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:,.1f} MB"


def is_compressed(path: Path) -> bool:
    """Whether a file begins as gzip, bzip2, xz or zstd do, whatever its name.

    Raises:
        DataError: it cannot be read.
    """
    with open_regular(path) as stream:
        return _kind(stream.read(8)) is not None


def _kind(start: bytes) -> str | None:
    return next((kind for magic, kind in _MAGIC if start.startswith(magic)), None)


def open_decompressed(path: Path, *, in_memory: bool = False) -> io.BufferedReader:
    """:func:`decompressed` of a file on disk.

    Raises:
        DataError: it cannot be read.
    """
    return decompressed(open_regular(path), str(path), in_memory=in_memory)


@contextlib.contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar, compressed or not, whose members are to be read in their order, each before the next is asked for.

    Raises:
        DataError: it is damaged, unpacks to too much, or a header claims to be larger than any header is.
    """
    with open_decompressed(path) as content:
        try:
            with tarfile.open(fileobj=cast("IO[bytes]", _ForwardOnly(content, str(path))), mode="r:") as archive:
                yield archive
        except tarfile.TarError as error:
            raise DataError(f"{path} is damaged or truncated ({error}); get it again") from error


class _ForwardOnly:
    """As much of a file as reading a tar from front to end takes. Headers are read in one piece each, members in many."""

    def __init__(self, content: io.BufferedReader, origin: str) -> None:
        self._content, self._origin, self._position = content, origin, 0

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        if position < self._position:
            raise tarfile.StreamError("members are not read in their order")
        while self._position < position and self.read(min(position - self._position, _LARGEST_READ)):
            pass
        return self._position

    def read(self, size: int) -> bytes:
        if size > _LARGEST_READ:
            raise DataError(f"{self._origin} claims a header of {_size(size)}; it is unsafe and was not read")
        piece = self._content.read(size)
        self._position += len(piece)
        return piece


def packed_size(stream: IO[bytes]) -> int | None:
    """Bytes of an open file as they are stored; None where it cannot be known."""
    try:
        return os.fstat(stream.fileno()).st_size
    except (OSError, AttributeError):
        pass
    try:
        here = stream.tell()
        end = stream.seek(0, io.SEEK_END)
        stream.seek(here)
    except (OSError, AttributeError):
        return None
    return end


def decompressed(
    stream: IO[bytes], origin: str, *, packed: int | None = None, in_memory: bool = False
) -> io.BufferedReader:
    """What a file holds, be it plain or gzip (bgzip included), bzip2, xz or zstd: its first bytes say so, not its name.

    Args:
        stream: the open file, at its beginning; it is closed with the stream that is returned.
        origin: what messages call it.
        packed: its size as it is stored, where ``stream`` does not know it (a member of an archive).
        in_memory: whether all of it will be held in memory (:func:`check_held`).

    Returns:
        A buffered stream. Reading raises :class:`~findna_bench.errors.DataError` where the file is damaged or holds too much.
    """
    size = packed_size(stream) if packed is None else packed
    buffered: Any = stream if hasattr(stream, "peek") else io.BufferedReader(cast("io.RawIOBase", stream))
    start = buffered.peek(8)[:8]
    kind = _kind(start)
    content = buffered if kind is None else _opened(buffered, kind)
    return io.BufferedReader(_Limited(content, origin, None if kind is None else size, in_memory), 1 << 20)


def _opened(stream: Any, kind: str) -> Any:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=stream)
    if kind == "bz2":
        return bz2.BZ2File(stream)
    if kind == "xz":
        return lzma.LZMAFile(stream)
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")


class _Limited(io.RawIOBase):
    """A stream that ends in a sentence where it is damaged or gives too much. packed: None for a plain file."""

    def __init__(self, content: Any, origin: str, packed: int | None, in_memory: bool) -> None:
        self._content, self._origin, self._packed, self._in_memory = content, origin, packed, in_memory
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self._content.read(len(buffer))
        except _DAMAGED as error:
            raise self._damaged(error) from error
        except OSError as error:
            if error.errno is None:  # of a decoder, not of the system
                raise self._damaged(error) from error
            raise DataError(f"{self._origin} cannot be read ({error.strerror}); check its permissions") from error
        buffer[: len(piece)] = piece
        self._read += len(piece)
        if self._packed is not None:
            check_unpacked(self._origin, self._read, self._packed)
        if self._in_memory:
            check_held(self._origin, self._read)
        return len(piece)

    def _damaged(self, error: Exception) -> DataError:
        return DataError(f"{self._origin} is damaged or truncated ({error}); get it again")

    def close(self) -> None:
        if not self.closed:
            self._content.close()
        super().close()
