"""Coordinates of a data set's rows without their sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.catalog import read_manifest
from findna_bench.data.store import check_files, read_split
from findna_bench.data.table import SequenceTable

__all__ = ["IntervalTable", "prefix_contigs", "read_intervals"]


@dataclass(frozen=True)
class IntervalTable:
    """Rows of one split: 0-based half-open (contig, start, end), strand "+", "-" or "", label indices, ids; all (n,)."""

    contig: np.ndarray
    start: np.ndarray
    end: np.ndarray
    strand: np.ndarray
    labels: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.contig)

    @classmethod
    def of(cls, table: SequenceTable) -> IntervalTable | None:
        """The coordinates of a table's rows, or None where it has none."""
        if table.contig is None or table.start is None or table.end is None:
            return None
        strand = table.strand if table.strand is not None else np.full(len(table), "", dtype="<U1")
        return cls(table.contig, table.start, table.end, strand, table.labels, table.ids)

    @classmethod
    def concatenate(cls, tables: Sequence[IntervalTable]) -> IntervalTable:
        return cls(
            *(
                np.concatenate([getattr(table, name) for table in tables])
                for name in ("contig", "start", "end", "strand", "labels", "ids")
            )
        )

    def as_table(self) -> SequenceTable:
        """The same rows with empty sequences: the form in which they are stored, and no other use."""
        return SequenceTable(
            [""] * len(self), self.labels, self.ids, None, self.contig, self.start, self.end, self.strand
        )


def read_intervals(folder: Path, split: str) -> IntervalTable | None:
    """Stored coordinates of a split, or None.

    Raises:
        DataError: the files are not those that were imported.
    """
    manifest: Mapping[str, object] | None = read_manifest(folder)
    if manifest is None or not (folder / f"{split}.parquet").is_file():
        return None
    check_files(folder, manifest)
    return IntervalTable.of(read_split(folder / f"{split}.parquet"))


def prefix_contigs(card: TaskCard, contig: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Contigs with ``config["contig_prefix"][class]`` before them, where classes come from genomes with equal names."""
    prefixes: Mapping[str, str] = card.config.get("contig_prefix", {})
    out = contig.astype(object)
    for name, prefix in prefixes.items():
        rows = labels == card.labels.index(name)
        out[rows] = [f"{prefix}{text}" for text in contig[rows]]
    return out.astype(str) if prefixes else contig
