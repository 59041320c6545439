"""Vectors of rows on disk, one per sequence, where they take more room than is given to them in memory.

Whoever fits or scores reads them block by block, with ``pread`` and not through a mapping, so that what was read once does not stay
with the process. The numbers, and the blocks, are those of an array in memory: results are the same, bit by bit.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from findna_bench.errors import OutputError
from findna_bench.files import size_text
from findna_bench.models.cache_folder import cache_root

__all__ = [
    "ARRAY_HEADERS",
    "ArrayFile",
    "RowVectors",
    "StoredRows",
    "VectorFile",
    "VectorRows",
    "all_finite",
    "in_memory",
    "read_rows",
    "row_blocks",
    "streams",
    "vectors_for",
]

_STREAMED_BYTES = 2**30
"""Vectors of a table that take more are kept on disk."""
_BLOCK_ROWS = 8192
ARRAY_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""What reads the header of an ``.npy`` file, by its version."""


def streams(rows: int, dim: int) -> bool:
    """Whether float32 vectors (rows, dim) are kept on disk."""
    return rows * dim * 4 > _STREAMED_BYTES


def read_rows(descriptor: int, start: int, rows: NDArray[np.int64], out: NDArray[Any]) -> None:
    """Read rows of a file, of which those that follow one another are read at once.

    Args:
        descriptor: of the open file.
        start: byte of the file where row 0 begins.
        rows: (m,) numbers of rows.
        out: (m, D) array that is filled, in the type that the file holds.

    Raises:
        EOFError: the file ends too early. OSError: it cannot be read.
    """
    size = out.strides[0]
    for first, stop in _runs(rows):
        data, place, done = out[first:stop].view(np.uint8).reshape(-1).data, start + int(rows[first]) * size, 0
        while done < len(data):
            got = os.preadv(descriptor, [data[done:]], place + done)
            if not got:
                raise EOFError("a file of vectors is shorter than what it is to hold")
            done += got


def _runs(rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """(first, stop) of the rows (m,) that follow one another; none of no rows."""
    ends = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
    return zip([0, *ends], [*ends, len(rows)], strict=True) if len(rows) else iter(())


class VectorFile:
    """Rows of float32 in a file without a name, which is gone with the last reference, or with the process.

    Args:
        dim: D.
        rows: that it is to hold.
        of: what the rows are vectors of, for messages.

    Raises:
        OutputError: there is no room for them.
    """

    def __init__(self, dim: int, rows: int, of: str = "bases") -> None:
        self.dim, self.n_rows, self._of = dim, rows, of
        folder = cache_root()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            needed, free = rows * dim * 4, shutil.disk_usage(folder).free
            if needed > free:
                raise OutputError(
                    f"vectors of {rows:,} {of} take {size_text(needed)}, and {folder} has room for {size_text(free)}; choose a folder "
                    "with room by FINDNA_BENCH_CACHE_DIR, or fewer rows by --limit"
                )
            self._stream = tempfile.TemporaryFile(dir=folder, prefix=f"{of}-")  # noqa: SIM115 - closed with this object
        except OSError as error:
            raise OutputError(
                f"cannot write vectors of {of} to {folder}: {error.strerror or error}; choose a folder with room by FINDNA_BENCH_CACHE_DIR"
            ) from error
        weakref.finalize(self, self._stream.close)

    def write(self, first: int, rows: NDArray[np.float32]) -> None:
        """Put rows (m, D) at number ``first``."""
        data = np.ascontiguousarray(rows, dtype="<f4").data.cast("B")
        place, done = first * self.dim * 4, 0
        try:
            while done < len(data):
                done += os.pwrite(self._stream.fileno(), data[done:], place + done)
        except OSError as error:
            raise OutputError(
                f"cannot write vectors of {self._of}: {error.strerror or error}; choose a folder with room by FINDNA_BENCH_CACHE_DIR"
            ) from error

    def __setitem__(self, rows: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Put values (m, D) at the given numbers (m,)."""
        for first, stop in _runs(rows):
            self.write(int(rows[first]), values[first:stop])

    def read(self, first: int, n: int) -> NDArray[np.float32]:
        """(n, D) rows from number ``first``."""
        return self.read_rows(np.arange(first, first + n))

    def read_rows(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, D) rows of the given numbers (m,)."""
        found = np.empty((len(rows), self.dim), dtype="<f4")
        try:
            read_rows(self._stream.fileno(), 0, rows, found)
        except EOFError as error:
            raise OutputError(f"the file of vectors of {self._of} is shorter than what was written to it") from error
        return found


class StoredRows(Protocol):
    """Rows of numbers that can be read in any order."""

    @property
    def dim(self) -> int: ...

    @property
    def n_rows(self) -> int: ...

    def read_rows(self, rows: NDArray[np.int64]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class ArrayFile:
    """The rows of an ``.npy`` file, as float32.

    Attributes:
        path: the file, for messages.
        start: byte at which row 0 begins.
        n_rows, dim: its shape.
        dtype: of the numbers in it.
    """

    path: Path
    start: int
    n_rows: int
    dim: int
    dtype: np.dtype[Any]
    _descriptor: int

    @classmethod
    def open(cls, path: Path) -> ArrayFile | None:
        """The file at ``path``; None where it is no ``.npy`` file of (n, D) floating-point numbers, row after row.

        Raises:
            OSError: it cannot be read. ValueError: its header is damaged.
        """
        with path.open("rb") as stream:
            if stream.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
                return None
            stream.seek(0)
            version = np.lib.format.read_magic(stream)
            if version not in ARRAY_HEADERS:
                return None
            shape, by_columns, dtype = ARRAY_HEADERS[version](stream)
            start = stream.tell()
            if len(shape) != 2 or by_columns or dtype.kind != "f" or min(shape) < 1:
                return None
            if os.fstat(stream.fileno()).st_size < start + shape[0] * shape[1] * dtype.itemsize:
                return None
            found = cls(path, start, *shape, dtype, os.dup(stream.fileno()))
        weakref.finalize(found, os.close, found._descriptor)
        return found

    def read_rows(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, D) rows of the given numbers (m,)."""
        found = np.empty((len(rows), self.dim), dtype=self.dtype)
        try:
            read_rows(self._descriptor, self.start, rows, found)
        except EOFError as error:
            raise OutputError(f"{self.path} has become shorter while it was read") from error
        return found.astype(np.float32, copy=False)


class RowVectors:
    """Float32 vectors (n, D) of rows on disk, which behaves like an array where it is read: ``vectors[rows]`` is a view of some rows,
    ``np.asarray(vectors[rows])`` reads them.

    Args:
        files: where rows are.
        rows: (n,) number of each row in its file; None = all rows of the first one.
        of_file: (n,) number of the file of each row; None = the first one.

    Example:
        >>> file = VectorFile(2, 3, "rows")
        >>> file.write(0, np.arange(6, dtype=np.float32).reshape(3, 2))
        >>> np.asarray(RowVectors((file,))[[2, 0]]).tolist()
        [[4.0, 5.0], [0.0, 1.0]]
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(
        self,
        files: tuple[StoredRows, ...],
        rows: NDArray[np.int64] | None = None,
        of_file: NDArray[np.int8] | None = None,
    ) -> None:
        self._files = files
        self._rows = np.arange(files[0].n_rows) if rows is None else rows
        self._of_file = np.zeros(len(self._rows), np.int8) if of_file is None else of_file

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, D)."""
        return len(self), self._files[0].dim

    def __getitem__(self, rows: Any) -> RowVectors:
        """The given rows: a slice, numbers or a mask."""
        return RowVectors(self._files, self._rows[rows], self._of_file[rows])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        found = np.empty(self.shape, dtype=np.float32)
        for number, file in enumerate(self._files):
            mine = np.flatnonzero(self._of_file == number)
            if len(mine) == len(found):
                found = file.read_rows(self._rows)
            elif len(mine):
                found[mine] = file.read_rows(self._rows[mine])
        return found if dtype is None else found.astype(dtype, copy=False)

    def astype(self, dtype: DTypeLike) -> NDArray[Any]:
        """All of it, in memory."""
        return np.asarray(self, dtype=dtype)

    def joined(self, other: RowVectors) -> RowVectors:
        """The rows of both, one after another."""
        shifted = (other._of_file + len(self._files)).astype(np.int8)
        return RowVectors(
            self._files + other._files,
            np.concatenate([self._rows, other._rows]),
            np.concatenate([self._of_file, shifted]),
        )

    def mapped(self, other: RowVectors, function: Callable[[Any, Any], Any]) -> RowVectors:
        """What a function makes of the rows of both, block by block, on disk: (m, D) and (m, D) -> (m, E) float32."""
        file: VectorFile | None = None
        for where, block in row_blocks(self):
            made = function(block, np.asarray(other[where]))
            file = file or VectorFile(made.shape[1], len(self), "rows")
            file.write(where.start, made)
        assert file is not None  # what is on disk has rows
        return RowVectors((file,))


class VectorRows(Protocol):
    """A place that vectors of rows are put into as they are computed."""

    def __setitem__(self, rows: NDArray[np.int64], values: NDArray[np.float32], /) -> None: ...


def vectors_for(rows: int, dim: int, *, stream: bool) -> tuple[VectorRows, Callable[[], Any]]:
    """A place for vectors (rows, dim), and what gives all of them once they are in it.

    Args:
        rows, dim: their shape.
        stream: whether they may be kept on disk, where they are many.
    """
    if stream and streams(rows, dim):
        file = VectorFile(dim, rows, "rows")
        return file, lambda: RowVectors((file,))
    array = np.zeros((rows, dim), np.float32)
    return array, lambda: array


def row_blocks(features: Any, size: int = _BLOCK_ROWS) -> Iterator[tuple[slice, NDArray[Any]]]:
    """(rows, block in memory) of dense features (n, D), which may be :class:`RowVectors`."""
    for first in range(0, features.shape[0], size):
        where = slice(first, min(first + size, features.shape[0]))
        yield where, np.asarray(features[where])


def all_finite(features: Any) -> bool:
    """Whether dense features (n, D) hold neither NaN nor infinity."""
    return all(bool(np.isfinite(block).all()) for _, block in row_blocks(features))


def in_memory(features: Any) -> Any:
    """Features as they are, but for :class:`RowVectors`, which are read into an array."""
    return np.asarray(features) if isinstance(features, RowVectors) else features
