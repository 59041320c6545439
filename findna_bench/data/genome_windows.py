"""Windows of a genome around variants, and regions of it, by contig and position."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from findna_bench.errors import DataError
from findna_bench.sequences.fasta import Fasta

__all__ = ["DEFAULT_FLANK", "GenomeWindows"]

DEFAULT_FLANK = 256
"""Of variants; regions have none unless one is given."""


class GenomeWindows:
    """Cuts windows of ``flank`` bases on either side of a place from a FASTA file, shorter ones at the ends of contigs, and regions.

    Args:
        path: FASTA, plain or gzipped.
        flank: bases on either side; None = 256 around a variant, and none around a region.
        cache_dir: data root's folder for indexes, as :class:`~findna_bench.sequences.fasta.Fasta` has it.

    Raises:
        DataError: the file cannot be read.
    """

    def __init__(self, path: Path, flank: int | None, cache_dir: Path) -> None:
        if not path.is_file():
            raise DataError(f"--fasta {path}: there is no such file")
        self.path = path
        self.flank = DEFAULT_FLANK if flank is None else flank
        """Of variants."""
        self.region_flank = flank or 0
        self._fasta = Fasta(path, cache_dir)
        self.lengths: Mapping[str, int] = self._fasta.lengths
        """Bases of each contig, as the file names it."""
        self._names: dict[str, str | None] = {}

    def window(self, contig: str, position: int, length: int) -> tuple[str, int, bool] | None:
        """See :class:`findna_bench.data.variants.Genome`."""
        name = self.own_name(contig)
        if name is None:
            return None
        whole = self.lengths[name]
        if not 0 <= position <= whole - max(length, 1):
            return None
        start, end = max(0, position - self.flank), min(whole, position + length + self.flank)
        short = end - start < length + 2 * self.flank
        return self._fasta.fetch(name, start, end), start, short

    def base(self, contig: str, position: int) -> str:
        """The base at a 0-based place; empty where there is no such place."""
        name = self.own_name(contig)
        if name is None or not 0 <= position < self.lengths[name]:
            return ""
        return self._fasta.fetch(name, position, position + 1)

    def region(self, contig: str, start: int, end: int, strand: str = "+") -> str:
        """The sequence of [start, end), 0-based; its reverse complement on strand ``-``.

        Raises:
            DataError: there is no such region.
        """
        return self._fasta.fetch(contig, start, end, strand)

    def length(self, contig: str) -> int | None:
        """Bases of a contig, named with or without ``chr``; None where there is none."""
        name = self.own_name(contig)
        return None if name is None else self.lengths[name]

    def own_name(self, contig: str) -> str | None:
        """What the file calls a contig."""
        if contig not in self._names:
            try:
                self._names[contig] = self._fasta.contig(contig)
            except DataError:
                self._names[contig] = None
        return self._names[contig]
