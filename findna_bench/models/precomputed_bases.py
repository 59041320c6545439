"""Vectors of bases that a model computed elsewhere: ``embeddings:FILE.npz`` with an array ``offsets``.

``vectors`` (B, D) floats: the vectors of all bases of all rows, row after row. ``offsets`` (n + 1,) integers: the bases of row i are
``vectors[offsets[i]:offsets[i + 1]]``. ``ids`` (n,) and, where they repeat, ``split`` (n,) as for vectors of rows; without ``ids`` the order is
that of what the task is read from. Written with ``numpy.savez`` (or ``savez_compressed``); vectors are streamed to a file that can be read at any
place, so that memory holds a portion of them.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from findna_bench.errors import DataError, UnsupportedError
from findna_bench.files import open_regular
from findna_bench.models.base_vectors import BaseVectors
from findna_bench.models.precomputed import PrecomputedFeatures, check_archive, unreadable
from findna_bench.models.row_vectors import ARRAY_HEADERS, VectorFile

if TYPE_CHECKING:
    from findna_bench.data.table import SequenceTable

__all__ = ["PrecomputedBases"]

_PORTION_BYTES = 16 * 2**20


@dataclass(frozen=True)
class _StoredBases:
    """file: vectors on disk. offsets: (n + 1,). ids and splits (n,) as text, or None."""

    file: VectorFile
    offsets: NDArray[np.int64]
    ids: NDArray[Any] | None
    splits: NDArray[Any] | None

    def __len__(self) -> int:
        return len(self.offsets) - 1


class PrecomputedBases(PrecomputedFeatures):
    """Vectors of bases, looked up by row.

    Raises:
        DataError: the file is damaged, its arrays do not fit each other, or a vector is not finite.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._stored: _StoredBases = _read(self.path)  # type: ignore[assignment]
        self._row_of = {}
        self._used = {}

    @property
    def embed_dim(self) -> int:
        """Channels D."""
        return self._stored.file.dim

    def transform(self, table: SequenceTable) -> BaseVectors:  # type: ignore[override]
        """Vectors of all bases of rows that were aligned.

        Raises:
            UnsupportedError: a row is not one of the task's (its reverse complement, say), so there are no vectors for it.
            DataError: a row has another number of bases than vectors.
        """
        places = [-1] * len(table) if table.place is None else table.place.tolist()
        rows = [self._row_of.get(place, -1) for place in places]
        if -1 in rows:
            raise UnsupportedError(
                f"{self.path} has no vectors for row {str(table.ids[rows.index(-1)])!r}: vectors computed elsewhere exist for the "
                "task's own rows only"
            )
        index = np.asarray(rows, dtype=np.int64)
        first, lengths = self._stored.offsets[index], np.diff(self._stored.offsets)[index]
        wrong = np.flatnonzero(lengths != table.lengths)
        if len(wrong):
            row = int(wrong[0])
            raise DataError(
                f"{self.path} has {lengths[row]:,} vectors for row {str(table.ids[row])!r} of {table.lengths[row]:,} bases; give one for every "
                "base of every row, cut rows and special tokens aside"
            )
        n = len(table)
        return BaseVectors(
            (self._stored.file,),
            np.zeros(n, dtype=np.int64),
            first,
            lengths,
            (np.ones(int(self._stored.offsets[-1]), dtype=bool),),
            np.zeros(n, dtype=bool),
            int(table.labels.shape[1]),
        )


def _read(path: Path) -> _StoredBases:
    if path.exists():
        open_regular(path).close()  # a pipe would be waited for
    try:
        check_archive(path, in_memory=False)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "vectors.npy" not in names:
                raise DataError(f"{path} must hold the arrays vectors and offsets, not {', '.join(names)}")
            offsets = _small(archive, "offsets")
            ids = _small(archive, "ids").astype(str) if "ids.npy" in names else None
            splits = _small(archive, "split").astype(str) if "split.npy" in names else None
            shape, dtype = _shape(archive)
            _check(path, shape, dtype, offsets, ids, splits)
            file = VectorFile(shape[1], shape[0])
            first = 0
            for rows in _portions(archive, shape, dtype):
                finite = np.isfinite(rows).all(axis=1)
                if not finite.all():
                    base = first + int(np.argmin(finite))
                    row = int(np.searchsorted(offsets, base, side="right")) - 1
                    name = f"row {row} (counted from 0)" if ids is None else f"row {str(ids[row])!r}"
                    raise DataError(f"{path}: {name}, base {base - int(offsets[row])} holds NaN or infinity")
                file.write(first, rows)
                first += len(rows)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except (OSError, ValueError, OverflowError, EOFError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        raise unreadable(path, error) from error
    return _StoredBases(file, offsets.astype(np.int64), ids, splits)


def _small(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as stream:
        found: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return found


def _shape(archive: zipfile.ZipFile) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open("vectors.npy") as stream:
        shape, fortran, dtype = ARRAY_HEADERS[np.lib.format.read_magic(stream)](stream)
    if fortran and min(shape, default=0) > 1:
        raise ValueError("vectors are stored column after column; numpy.ascontiguousarray puts them row after row")
    return shape, dtype


def _check(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    offsets: NDArray[Any],
    ids: NDArray[Any] | None,
    splits: NDArray[Any] | None,
) -> None:
    if len(shape) != 2 or not shape[0] or not shape[1]:
        raise DataError(f"{path}: vectors must be (bases, D), not of shape {shape}")
    if dtype.kind != "f":
        raise DataError(f"{path}: vectors must be floating-point numbers, not {dtype}")
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) < 2:
        raise DataError(f"{path}: offsets must be (rows + 1,) integers, not {offsets.dtype} {offsets.shape}")
    whole = offsets.astype(np.int64)
    if whole[0] != 0 or whole[-1] != shape[0] or (np.diff(whole) < 0).any():
        raise DataError(
            f"{path}: offsets must rise from 0 to {shape[0]:,}, the number of vectors; they end at {whole[-1]:,}"
        )
    for name, column in (("ids", ids), ("split", splits)):
        if column is not None and column.shape != (len(offsets) - 1,):
            raise DataError(f"{path}: {name} has shape {column.shape}, offsets are of {len(offsets) - 1} rows")


def _portions(archive: zipfile.ZipFile, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[NDArray[np.float32]]:
    """(m, D) float32, one after another."""
    size = dtype.itemsize * shape[1]
    step = max(1, _PORTION_BYTES // size)
    with archive.open("vectors.npy") as stream:
        ARRAY_HEADERS[np.lib.format.read_magic(stream)](stream)
        for first in range(0, shape[0], step):
            rows = min(step, shape[0] - first)
            data = stream.read(rows * size)
            if len(data) < rows * size:
                raise EOFError("vectors end too early")
            yield np.frombuffer(data, dtype=dtype).reshape(rows, shape[1]).astype(np.float32)
