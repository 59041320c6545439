"""Embeddings of a FASTA file or of a task's rows, as a file that ``embeddings:FILE`` reads; its suffix says the format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from findna_bench.errors import DataError, UsageError
from findna_bench.files import atomic_path

if TYPE_CHECKING:
    from findna_bench.models.embedding import Embeddings
    from findna_bench.models.loading import LoadedModel

__all__ = ["NamedSequences", "embed_to_file", "read_fasta_records"]

SUFFIXES = (".npy", ".npz", ".parquet")


@dataclass(frozen=True)
class NamedSequences:
    """What is embedded: n sequences, their ids, and the splits these are counted in where they repeat between splits.

    no_order: why row numbers alone would not tell which row is which; empty where they do.
    """

    sequences: list[str]
    ids: list[str]
    splits: list[str] | None = None
    no_order: str = ""


def read_fasta_records(fasta: Path) -> NamedSequences:
    """All records in the order of the file.

    Raises:
        DataError: the file is empty, damaged, or holds a letter that is not DNA (record named).
    """
    from findna_bench.sequences.alphabet import normalise
    from findna_bench.sequences.fasta import read_fasta

    records = [(name, normalise(sequence, f"{fasta}, record {name}")) for name, sequence in read_fasta(fasta)]
    if not records:
        raise DataError(f"{fasta}: no FASTA record; is this the right file?")
    return NamedSequences([sequence for _, sequence in records], [name for name, _ in records])


def check_suffix(out: Path, rows: NamedSequences | None = None) -> None:
    """Whether ``out`` can hold vectors (of these rows); called before anything is computed.

    Raises:
        UsageError: another suffix, or an ``.npy`` file for rows without an order.
    """
    if out.suffix not in SUFFIXES:
        raise UsageError(f"-o {out}: the suffix says the format; give {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if out.suffix == ".npy" and rows is not None and rows.no_order:
        raise UsageError(f"-o {out}: {rows.no_order}; give an .npz or .parquet file, which hold ids")


def embed_to_file(model: LoadedModel, rows: NamedSequences, out: Path, **options: Any) -> Embeddings:
    """Embed rows and write them in their order.

    ``.npy``: float32 (n, D). ``.npz``: ``vectors``, ``ids`` and, where ids are counted in splits, ``split``. ``.parquet``: columns
    ``id``, ``split`` likewise, ``length``, ``e_0 .. e_{D-1}`` (float32). options: those of :func:`findna_bench.models.embedding.embed`.

    Raises:
        UsageError: as :func:`check_suffix`. Others as :func:`~findna_bench.models.embedding.embed`.
    """
    from findna_bench.models.embedding import embed

    check_suffix(out, rows)
    found = embed(model, rows.sequences, **options)
    with atomic_path(out) as temporary:
        if out.suffix == ".parquet":
            _write_parquet(rows, found.vectors, temporary)
        else:
            with temporary.open("wb") as stream:  # by name, numpy would add a suffix of its own
                _write_arrays(rows, found.vectors, stream, out.suffix)
    return found


def _write_arrays(rows: NamedSequences, vectors: np.ndarray, stream: Any, suffix: str) -> None:
    if suffix == ".npy":
        np.save(stream, vectors, allow_pickle=False)
        return
    split: dict[str, Any] = {} if rows.splits is None else {"split": np.array(rows.splits, dtype=str)}
    np.savez(stream, vectors=vectors, ids=np.array(rows.ids, dtype=str), **split)


def _write_parquet(rows: NamedSequences, vectors: np.ndarray, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"id": pa.array(rows.ids, pa.string())}
    if rows.splits is not None:
        columns["split"] = pa.array(rows.splits, pa.string())
    columns["length"] = pa.array([len(sequence) for sequence in rows.sequences])
    columns |= {f"e_{channel}": pa.array(vectors[:, channel]) for channel in range(vectors.shape[1])}
    pq.write_table(pa.table(columns), path, compression="zstd")
