"""Windows of a genome around variants that are known by contig and position."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from findna_bench.errors import DataError
from findna_bench.sequences.fasta import Fasta

__all__ = ["DEFAULT_FLANK", "GenomeWindows"]

DEFAULT_FLANK = 256


class GenomeWindows:
    """Cuts windows of ``flank`` bases on either side of a place from a FASTA file; shorter ones at the ends of contigs.

    Args:
        path: FASTA, plain or gzipped.
        flank: bases on either side.
        cache_dir: data root's folder for indexes, as :class:`~findna_bench.sequences.fasta.Fasta` has it.

    Raises:
        DataError: the file cannot be read.
    """

    def __init__(self, path: Path, flank: int, cache_dir: Path) -> None:
        if not path.is_file():
            raise DataError(f"--fasta {path}: there is no such file")
        self.path, self.flank = path, flank
        self._fasta = Fasta(path, cache_dir)
        self.lengths: Mapping[str, int] = self._fasta.lengths
        """Bases of each contig."""
        self._names: dict[str, str | None] = {}

    def window(self, contig: str, position: int, length: int) -> tuple[str, int, bool] | None:
        """See :class:`findna_bench.data.variants.Genome`."""
        name = self._name(contig)
        if name is None:
            return None
        whole = self._fasta.lengths[name]
        if not 0 <= position <= whole - max(length, 1):
            return None
        start, end = max(0, position - self.flank), min(whole, position + length + self.flank)
        short = end - start < length + 2 * self.flank
        return self._fasta.fetch(name, start, end), start, short

    def base(self, contig: str, position: int) -> str:
        """The base at a 0-based place; empty where there is no such place."""
        found = self.window(contig, position, 1)
        return "" if found is None else found[0][position - found[1]]

    def _name(self, contig: str) -> str | None:
        if contig not in self._names:
            try:
                self._names[contig] = self._fasta.contig(contig)
            except DataError:
                self._names[contig] = None
        return self._names[contig]
