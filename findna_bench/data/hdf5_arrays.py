"""Arrays of HDF5 files, read by h5py, which is an optional dependency and imported when the first such file is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from findna_bench.errors import DataError, ModelError
from findna_bench.unpacking import check_held

__all__ = ["open_hdf5", "read_array"]


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """The ``h5py.File`` of a path.

    Raises:
        ModelError: h5py is not installed. DataError: the file cannot be read.
    """
    try:
        import h5py
    except ImportError as error:
        raise ModelError(
            f"{path}: HDF5 files are read by h5py, which is not installed; `pip install findna-bench[hdf5]`"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise DataError(
            f"{path} cannot be read as HDF5 ({' '.join(str(error).split())[:120]}); get it again"
        ) from error


def read_array(file: Any, key: str, where: str) -> Any:
    """The array under ``key``: NumPy, of rows of different lengths an array of objects (n,).

    Raises:
        DataError: there is none, or it is too large to be held in memory.
    """
    found = file.get(key)
    if found is None or not hasattr(found, "shape"):
        raise DataError(f"{where}: no array {key!r} among {', '.join(map(str, file)) or 'none'}")
    check_held(where, int(found.size) * int(found.dtype.itemsize))
    return found[()]
