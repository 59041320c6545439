"""The data root: one folder per imported task, with a parquet file per split and a manifest; whole or absent.

A task's ``digest`` is taken over its rows, not over parquet bytes, so that equal data have equal digests whatever library
version wrote them. Opening checks size and modification time only; a file whose stamp differs is hashed again.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from findna_bench.data.catalog import MANIFEST, SPLITS, read_manifest
from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError, OutputError
from findna_bench.files import sha256_file, write_json

__all__ = [
    "IMPORTER_VERSION",
    "check_files",
    "content_digest",
    "count_classes",
    "read_intervals",
    "read_split",
    "write_task",
]

IMPORTER_VERSION = 1
"""Raised when equal input would be imported as other rows."""

_COLUMNS = ("group", "contig", "start", "end", "strand")


def content_digest(labels: Sequence[str], tables: Mapping[str, SequenceTable]) -> str:
    """sha256 over label names and all rows of all splits: ids, labels, sequences, groups, coordinates, extras."""
    digest = hashlib.sha256()

    def add(name: str, value: bytes) -> None:
        digest.update(f"{name}:{len(value)}\n".encode())
        digest.update(value)

    add("labels", json.dumps(list(labels)).encode())
    for split in [s for s in SPLITS if s in tables]:
        table = tables[split]
        add(split, str(len(table)).encode())
        add("sequences", "\n".join(table.sequences).encode())
        if table.sequences_b is not None:
            add("sequences_b", "\n".join(table.sequences_b).encode())
        add("label", table.labels.astype({"f": "<f8", "u": "u1"}.get(table.labels.dtype.kind, "<i8")).tobytes())
        optional = {name: getattr(table, name) for name in ("ids", *_COLUMNS)} | dict(sorted(table.extra.items()))
        for name, values in optional.items():
            if values is not None:
                add(name, "\n".join(map(str, values.tolist())).encode())
    return digest.hexdigest()


def count_classes(labels: Sequence[str], tables: Mapping[str, SequenceTable]) -> dict[str, dict[str, int]]:
    """Rows per split and class name; of rows without classes their number, as ``rows``."""
    return {
        split: {"rows": len(tables[split])}
        if tables[split].labels.ndim > 1
        else dict(zip(labels, tables[split].class_counts(len(labels)).tolist(), strict=True))
        for split in SPLITS
        if split in tables
    }


def write_split(table: SequenceTable, path: Path) -> None:
    """Write rows as parquet (zstd), synced to disk."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"sequence": table.sequences, "id": table.ids}
    if table.sequences_b is not None:
        columns["sequence_b"] = table.sequences_b
    if table.labels.ndim == 1:
        columns["label"] = table.labels
    else:
        columns |= {f"label_{k}": table.labels[:, k] for k in range(table.labels.shape[1])}
    columns |= {name: getattr(table, name) for name in _COLUMNS if getattr(table, name) is not None}
    columns |= {f"extra.{name}": values for name, values in table.extra.items()}
    pq.write_table(pa.table(columns), path, compression="zstd")
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def read_split(path: Path) -> SequenceTable:
    """Rows of a parquet file written by :func:`write_split` (or of the same columns).

    Raises:
        DataError: it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read ({str(error).splitlines()[0]}); fetch the task again") from error

    def column(name: str, dtype: Any) -> np.ndarray | None:
        if name not in table.column_names:
            return None
        values = table.column(name)
        return np.array(values.to_pylist(), dtype=str) if dtype is str else np.asarray(values.to_numpy(), dtype=dtype)

    n = table.num_rows
    ids = column("id", str)
    labels = column("label", np.int64)
    several = [name for name in (f"label_{k}" for k in range(table.num_columns)) if name in table.column_names]
    if labels is None and several:
        labels = np.stack([table.column(name).to_numpy() for name in several], axis=1)
    if labels is None or "sequence" not in table.column_names:
        raise DataError(f"{path} has no columns sequence and label; fetch the task again")
    extra = {}
    for name in table.column_names:
        if name.startswith("extra."):
            kind = str if pa.types.is_string(table.schema.field(name).type) else None
            extra[name.removeprefix("extra.")] = column(name, kind)
    return SequenceTable(
        sequences=table.column("sequence").to_pylist(),
        labels=labels,
        ids=ids if ids is not None else np.array([str(i) for i in range(n)], dtype=str),
        group=column("group", str),
        contig=column("contig", str),
        start=column("start", np.int64),
        end=column("end", np.int64),
        strand=column("strand", str),
        sequences_b=table.column("sequence_b").to_pylist() if "sequence_b" in table.column_names else None,
        extra={name: values for name, values in extra.items() if values is not None},
    )


def write_task(folder: Path, tables: Mapping[str, SequenceTable], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write all splits and the manifest to ``folder``: beside it first, synced, then renamed into place.

    ``files`` and ``created`` are added to the manifest, which is returned.

    Raises:
        OutputError: the data root cannot be written; what was there before is still there.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".new", dir=folder.parent))
            try:
                complete = _fill(staging, tables, manifest)
                staging.chmod(0o755)
                _swap(staging, folder)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {folder}: {error.strerror or error}; free some space or choose another --data-dir"
        ) from error
    return complete


def _fill(staging: Path, tables: Mapping[str, SequenceTable], manifest: Mapping[str, Any]) -> dict[str, Any]:
    files = []
    for split in [s for s in SPLITS if s in tables]:
        path = staging / f"{split}.parquet"
        write_split(tables[split], path)
        stat = path.stat()
        files.append(
            {
                "path": path.name,
                "split": split,
                "size": stat.st_size,
                "mtime_ns": stat.st_mtime_ns,
                "sha256": sha256_file(path),
                "rows": len(tables[split]),
            }
        )
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    complete = {**manifest, "files": files, "importer_version": IMPORTER_VERSION, "created": created}
    write_json(staging / MANIFEST, complete)
    return complete


def _swap(staging: Path, folder: Path) -> None:
    """Put ``staging`` in the place of ``folder``. A folder cannot be replaced in one step: the old one is moved aside first."""
    aside = folder.with_name(f".{folder.name}.old")
    if aside.exists() and not folder.exists():
        aside.rename(folder)  # an earlier swap was interrupted between its two steps
    shutil.rmtree(aside, ignore_errors=True)
    if folder.exists():
        folder.rename(aside)
    try:
        staging.rename(folder)
    except OSError:
        if aside.exists():
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other writers out of the folder that holds ``path``; the lock is on the folder itself and leaves no file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks; renames still keep files whole
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Make sure that the files are those of the manifest: by size and time stamp, by content where a stamp differs.

    Raises:
        DataError: a file is missing or has another content.
    """
    restamped = False
    files = [dict(entry) for entry in manifest["files"]]
    for entry in files:
        path = folder / entry["path"]
        try:
            stat = path.stat()
        except FileNotFoundError:
            raise DataError(f"{path} is missing; fetch the task again") from None
        if stat.st_size == entry["size"] and stat.st_mtime_ns == entry["mtime_ns"]:
            continue
        if stat.st_size != entry["size"] or sha256_file(path) != entry["sha256"]:
            raise DataError(f"{path} was changed after it was imported (its digest differs); fetch the task again")
        entry["mtime_ns"] = stat.st_mtime_ns
        restamped = True
    if restamped:
        with contextlib.suppress(OutputError):  # a read-only data root is hashed each time
            write_json(folder / MANIFEST, {**manifest, "files": files})


def load_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder whose files were checked, or None where nothing is imported.

    Raises:
        DataError: the manifest or a file is not what it should be.
    """
    manifest = read_manifest(folder)
    if manifest is not None:
        check_files(folder, manifest)
    return manifest


def read_intervals(folder: Path, split: str) -> SequenceTable | None:
    """Stored coordinates of a split, sequences empty; None where there are none.

    Raises:
        DataError: the files are not those that were imported.
    """
    manifest: Mapping[str, object] | None = read_manifest(folder)
    if manifest is None or not (folder / f"{split}.parquet").is_file():
        return None
    check_files(folder, manifest)
    return read_split(folder / f"{split}.parquet").coordinates()
