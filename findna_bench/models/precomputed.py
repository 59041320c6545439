"""Vectors that a model computed elsewhere, scored like any other features: ``embeddings:FILE.npy|npz|parquet``.

``.npy``: (rows, D), one per row of the task in the order of what it is read from, whatever the split: for one file the
file's rows, for several files and for tasks of a suite train, then validation where there is one, then test.
``.npz``: ``vectors`` (rows, D) and ``ids`` (rows,), any order; ``split`` (rows,) as well where ids repeat between splits.
For states per base ``.npz`` has ``offsets`` as well, see :mod:`findna_bench.models.precomputed_bases`.
``.parquet``: columns ``id``, ``e_0 .. e_{D-1}``, and ``split`` where ids repeat, as ``findna-bench embed`` writes it.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from findna_bench.errors import DataError, UnsupportedError
from findna_bench.files import open_regular
from findna_bench.models.row_vectors import ARRAY_HEADERS, ArrayFile, RowVectors, row_blocks, streams
from findna_bench.unpacking import check_held, check_unpacked

if TYPE_CHECKING:
    from findna_bench.data.table import RowOrder, RowOrigins

__all__ = ["PrecomputedFeatures", "Rows", "check_archive", "unreadable"]


class Rows(Protocol):
    """What is needed of a table: ids for messages, and each row's number in what the task is read from."""

    @property
    def ids(self) -> NDArray[Any]: ...

    @property
    def place(self) -> NDArray[Any] | None: ...


class PrecomputedFeatures:
    """A feature map that looks vectors up instead of computing them.

    Every split of the task is shown once to :meth:`align`; after that :meth:`transform` serves any of its rows.

    Raises:
        DataError: the file is damaged, or its vectors are not finite floating-point numbers.
    """

    settings: ClassVar[Mapping[str, Any]] = {}
    varies: ClassVar[tuple[str, ...]] = ()
    """Nothing is fitted, so no seed changes anything here."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._stored = _read(self.path)
        self._row_of: dict[int, int] = {}
        """Number of a row in the task -> its row in the file of vectors."""
        self._used: dict[str, NDArray[np.int64]] = {}

    @property
    def embed_dim(self) -> int:
        """Channels D."""
        return int(self._stored.vectors.shape[1])

    def align(self, rows: RowOrigins, order: RowOrder, split_name: Callable[[str], str | None] = str) -> None:
        """Find the vectors of all rows of one split, called and numbered as in what the task is read from.

        split_name: the task's name for a split as the file of vectors spells it (``dev`` is ``validation``).

        Raises:
            DataError: another number of vectors than the task has rows, rows without a known order, an id without vector, or
                two vectors for one id.
        """
        if self._stored.ids is None:
            self._check_order(order)
            found = rows.places
        else:
            found = np.empty(len(rows.places), dtype=np.int64)
            for split in dict.fromkeys(rows.splits.tolist()):
                of_split = np.flatnonzero(rows.splits == split)
                found[of_split] = self._by_id(str(split), rows.ids[of_split], split_name)
        self._row_of.update(zip(rows.places.tolist(), found.tolist(), strict=True))

    def _check_order(self, order: RowOrder) -> None:
        held = len(self._stored)
        if not order.words:
            raise DataError(
                f"{self.path}: this task is made of one FASTA per class, whose records have no common order; give an .npz file "
                "with vectors and ids"
            )
        if held != order.n_rows:
            parts = f" ({' + '.join(f'{n:,} {name}' for name, n in order.counts.items())})" if order.counts else ""
            raise DataError(
                f"{self.path} holds {held:,} rows and the task has {order.n_rows:,}{parts}; give one vector for each of "
                f"{order.words}, in this order, or an .npz file with vectors and ids"
            )

    def _by_id(self, split: str, ids: NDArray[Any], split_name: Callable[[str], str | None]) -> NDArray[np.int64]:
        stored = self._stored
        assert stored.ids is not None
        mine = np.arange(len(stored.ids))
        if stored.splits is not None:
            named = [name for name in np.unique(stored.splits).tolist() if split_name(name) == split]
            mine = np.flatnonzero(np.isin(stored.splits, named))
        by_id = dict(zip(stored.ids[mine].tolist(), mine.tolist(), strict=True))
        if len(by_id) != len(mine):
            raise DataError(
                f"{self.path}: ids repeat; they must be unique (within a split, where the file names splits)"
            )
        wanted = [str(name) for name in ids.tolist()]
        absent = [name for name in wanted if name not in by_id]
        if absent:
            raise DataError(
                f"{self.path} has no vector for {len(absent):,} of {len(wanted):,} rows of {split}, the first being id "
                f"{absent[0]!r}; ids are those of the task's rows (without a column id: row numbers of the file, from 0)"
            )
        rows = np.array([by_id[name] for name in wanted], dtype=np.int64)
        if stored.splits is None:
            for other, used in self._used.items():
                if other != split and np.isin(rows, used).any():
                    raise DataError(
                        f"{self.path}: ids of {split} and {other} are the same; add an array `split` to the file"
                    )
        self._used[split] = np.concatenate([self._used.get(split, rows[:0]), rows])
        return rows

    def fit(self, train: Rows, validation: Rows | None, seed: int, n_classes: int) -> None:
        """Nothing to fit."""

    def transform(self, table: Rows) -> Any:
        """(n, D) float32 vectors of rows that were aligned; of many rows of an ``.npy`` file as
        :class:`~findna_bench.models.row_vectors.RowVectors`.

        Raises:
            UnsupportedError: a row is not one of the task's (its reverse complement, say), so there is no vector for it.
        """
        places = [-1] * len(table.ids) if table.place is None else table.place.tolist()
        rows = [self._row_of.get(place) for place in places]
        if None in rows:
            raise UnsupportedError(
                f"{self.path} has no vector for row {str(table.ids[rows.index(None)])!r}: vectors computed elsewhere exist for the "
                "task's own rows only"
            )
        found = self._stored.vectors[np.asarray(rows, dtype=np.int64)]
        return found if isinstance(found, RowVectors) and streams(*found.shape) else found.astype(np.float32)


@dataclass(frozen=True)
class _Stored:
    """vectors (n, D), left in the file where the format allows; ids and splits (n,) as text, or None."""

    vectors: NDArray[Any] | RowVectors
    ids: NDArray[Any] | None = None
    splits: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.vectors)


def _read(path: Path) -> _Stored:
    if path.exists():
        open_regular(path).close()  # a pipe would be waited for
    try:
        found = _read_parquet(path) if path.suffix == ".parquet" else _read_arrays(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    _check(path, found)
    return found


def _read_arrays(path: Path) -> _Stored:
    try:
        if zipfile.is_zipfile(path):
            check_archive(path)
        elif (file := ArrayFile.open(path)) is not None:
            return _Stored(RowVectors((file,)))
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _Stored(loaded)
        with loaded as archive:
            if "vectors" not in archive or "ids" not in archive:
                raise DataError(
                    f"{path} must hold the arrays vectors and ids, not {', '.join(archive.files) or 'nothing'}"
                )
            splits = archive["split"].astype(str) if "split" in archive else None
            return _Stored(archive["vectors"], archive["ids"].astype(str), splits)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, OverflowError, EOFError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> DataError:
    """That a file holds no plain arrays; numpy's own words would advise to unpickle what cannot be read."""
    reason = "it is none, or holds Python objects" if "ickle" in str(error) or "object" in str(error) else error
    return DataError(f"{path} cannot be read as a plain array file ({reason}); write it with numpy.save or numpy.savez")


def check_archive(path: Path, *, in_memory: bool = True) -> None:
    """Compare what the arrays of an ``.npz`` file claim to be with what it holds, before memory is taken for them.

    in_memory: all of it is to be read at once.

    Raises:
        DataError: they unpack to too much. ValueError: a shape is false.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        check_unpacked(str(path), sum(member.file_size for member in members), path.stat().st_size)
        if in_memory:
            check_held(str(path), sum(member.file_size for member in members))
        for member in members:
            with archive.open(member) as stream:
                version = np.lib.format.read_magic(stream)
                if version not in ARRAY_HEADERS:
                    raise ValueError(f"{member.filename} is no plain array")
                shape, _, dtype = ARRAY_HEADERS[version](stream)
                held = member.file_size - stream.tell()
            if not dtype.hasobject and math.prod(shape) * dtype.itemsize != held:
                raise ValueError(f"{member.filename} claims the shape {shape} and holds {held:,} bytes")


def _read_parquet(path: Path) -> _Stored:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a whole parquet file ({str(error).splitlines()[0]}); write it again") from error
    channels = 0
    while f"e_{channels}" in table.column_names:
        channels += 1
    if "id" not in table.column_names or not channels:
        raise DataError(
            f"{path} must have the columns id and e_0, e_1, ... as `findna-bench embed` writes them, not "
            f"{', '.join(table.column_names[:5]) or 'none'}"
        )
    vectors = np.column_stack([table.column(f"e_{channel}").to_numpy() for channel in range(channels)])
    splits = table.column("split").to_pylist() if "split" in table.column_names else None
    return _Stored(
        vectors,
        np.array(table.column("id").to_pylist(), dtype=str),
        None if splits is None else np.array(splits, dtype=str),
    )


def _check(path: Path, stored: _Stored) -> None:
    vectors, ids, splits = stored.vectors, stored.ids, stored.splits
    if vectors.ndim != 2 or not len(vectors) or not vectors.shape[1]:
        raise DataError(f"{path}: vectors must be (rows, D), not of shape {vectors.shape}")
    if vectors.dtype.kind != "f":
        raise DataError(f"{path}: vectors must be floating-point numbers, not {vectors.dtype}")
    for name, column in (("ids", ids), ("split", splits)):
        if column is not None and column.shape != (len(vectors),):
            raise DataError(f"{path}: {name} has shape {column.shape}, vectors has {len(vectors)} rows")
    for where, block in row_blocks(vectors):
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            row = where.start + int(np.argmin(finite))
            raise DataError(f"{path}: row {row} (counted from 0) holds NaN or infinity")
