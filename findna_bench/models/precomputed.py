"""Vectors that a model computed elsewhere, scored like any other features: ``embeddings:FILE.npy|npz``.

``.npy``: (rows, D), in the order of the task: train, then validation where the task has it, then test.
``.npz``: ``vectors`` (rows, D) and ``ids`` (rows,), any order; ``split`` (rows,) as well where ids repeat between splits.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from findna_bench.errors import DataError, UnsupportedError

__all__ = ["PrecomputedFeatures", "Rows"]


class Rows(Protocol):
    """What is needed of a table: ``sequences`` and ``ids``, row by row."""

    @property
    def sequences(self) -> list[str]: ...

    @property
    def ids(self) -> NDArray[Any]: ...


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
        self._vectors, self._ids, self._splits = _read(self.path)
        self._place: dict[tuple[str, str], int] = {}
        self._used: dict[str, NDArray[np.int64]] = {}

    @property
    def embed_dim(self) -> int:
        """Channels D."""
        return int(self._vectors.shape[1])

    def align(self, split: str, table: Rows, counts: Mapping[str, int]) -> None:
        """Find the vectors of all rows of one split.

        counts: rows of every split of the task, in the order in which an ``.npy`` file holds them.

        Raises:
            DataError: another number of rows than the task has, an id without vector, or two vectors for one row.
        """
        rows = self._by_order(split, table, counts) if self._ids is None else self._by_id(split, table)
        for key, row in zip(_keys(table), rows, strict=True):
            known = self._place.setdefault(key, int(row))
            if known != row and not np.array_equal(self._vectors[known], self._vectors[row]):
                raise DataError(
                    f"{self.path}: rows {known} and {row} (counted from 0) differ but belong to one id and sequence, {key[0]!r} of "
                    f"{split}; give ids that tell them apart"
                )

    def _by_order(self, split: str, table: Rows, counts: Mapping[str, int]) -> NDArray[np.int64]:
        total = sum(counts.values())
        if len(self._vectors) != total:
            parts = " + ".join(f"{count:,} {name}" for name, count in counts.items())
            raise DataError(
                f"{self.path} holds {len(self._vectors):,} rows and the task has {total:,} ({parts}); give one row for each, in "
                "this order, or an .npz file with ids"
            )
        if split not in counts or counts[split] != len(table.sequences):
            raise DataError(
                f"{self.path}: {split} has {len(table.sequences):,} rows, {counts.get(split, 0):,} were announced"
            )
        names = list(counts)
        start = sum(counts[name] for name in names[: names.index(split)])
        return np.arange(start, start + counts[split])

    def _by_id(self, split: str, table: Rows) -> NDArray[np.int64]:
        assert self._ids is not None
        mine = np.arange(len(self._ids)) if self._splits is None else np.flatnonzero(self._splits == split)
        by_id = dict(zip(self._ids[mine].tolist(), mine.tolist(), strict=True))
        if len(by_id) != len(mine):
            raise DataError(
                f"{self.path}: ids repeat; they must be unique (within a split, where the file names splits)"
            )
        wanted = [str(name) for name in table.ids]
        absent = [name for name in wanted if name not in by_id]
        if absent:
            raise DataError(
                f"{self.path} has no vector for {len(absent):,} of {len(wanted):,} rows of {split}, the first being id {absent[0]!r}"
            )
        rows = np.array([by_id[name] for name in wanted], dtype=np.int64)
        if self._splits is None:
            for other, used in self._used.items():
                if other != split and np.isin(rows, used).any():
                    raise DataError(
                        f"{self.path}: ids of {split} and {other} are the same; add an array `split` to the file"
                    )
        self._used[split] = rows
        return rows

    def fit(self, train: Rows, validation: Rows | None, seed: int, n_classes: int) -> None:
        """Nothing to fit."""

    def transform(self, table: Rows) -> NDArray[np.float32]:
        """(n, D) float32 vectors of rows that were aligned.

        Raises:
            UnsupportedError: a row is not one of the task's (its reverse complement, say), so there is no vector for it.
        """
        try:
            rows = [self._place[key] for key in _keys(table)]
        except KeyError as error:
            raise UnsupportedError(
                f"{self.path} has no vector for row {error.args[0][0]!r}: vectors computed elsewhere exist for the task's own rows only"
            ) from error
        return self._vectors[np.asarray(rows, dtype=np.int64)].astype(np.float32)


def _keys(table: Rows) -> list[tuple[str, str]]:
    return [(str(name), sequence) for name, sequence in zip(table.ids, table.sequences, strict=True)]


def _read(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]:
    """vectors (mapped where the format allows), ids as text or None, splits as text or None."""
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            vectors, ids, splits = loaded, None, None
        else:
            with loaded as archive:
                if "vectors" not in archive or "ids" not in archive:
                    raise DataError(
                        f"{path} must hold the arrays vectors and ids, not {', '.join(archive.files) or 'nothing'}"
                    )
                vectors, ids = archive["vectors"], archive["ids"].astype(str)
                splits = archive["split"].astype(str) if "split" in archive else None
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        # numpy's own words would advise to unpickle what cannot be read.
        reason = "it is none, or holds Python objects" if "ickle" in str(error) or "object" in str(error) else error
        raise DataError(
            f"{path} cannot be read as a plain array file ({reason}); write it with numpy.save or numpy.savez"
        ) from error
    if vectors.ndim != 2 or not len(vectors) or not vectors.shape[1]:
        raise DataError(f"{path}: vectors must be (rows, D), not of shape {vectors.shape}")
    if vectors.dtype.kind != "f":
        raise DataError(f"{path}: vectors must be floating-point numbers, not {vectors.dtype}")
    for name, column in (("ids", ids), ("split", splits)):
        if column is not None and column.shape != (len(vectors),):
            raise DataError(f"{path}: {name} has shape {column.shape}, vectors has {len(vectors)} rows")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise DataError(f"{path}: row {int(np.argmin(finite))} (counted from 0) holds NaN or infinity")
    return vectors, ids, splits
