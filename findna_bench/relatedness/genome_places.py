"""Where rows stand on a genome: by the seeds and the alignment that leaks are found with, or by minimap2.

A row has a place where an alignment of :data:`IDENTITY` covers :data:`FULL` of it. The rows are indexed, and the genome goes by in
windows, so that memory grows with the rows and with the longest contig.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from findna_bench.relatedness.alignment import align
from findna_bench.relatedness.similarity import IDENTITY, LONGEST, Candidates, SequenceIndex
from findna_bench.sequences.alphabet import encode
from findna_bench.sequences.fasta import read_fasta

__all__ = ["FULL", "Places", "find_places", "places_by_minimap2", "places_by_seeds"]

FULL = 0.9
"""Least alignment columns over the length of a row."""
_WINDOW = 4096
"""Least bases of a genome that are looked up at once; more for longer rows."""
_WINDOWS_AT_ONCE = 2048
_TOP = 4
"""Best chains per row and stretch of the genome that are aligned."""


@dataclass(frozen=True)
class Places:
    """The best place of each row.

    Attributes:
        contig: (n,) str, "" = none. start, end: (n,) int64, 0-based half-open; of rows with insertions to within these.
        reverse: (n,) bool. identity: (n,) matches per column.
    """

    contig: np.ndarray
    start: np.ndarray
    end: np.ndarray
    reverse: np.ndarray
    identity: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """(n,) bool: the row has a place."""
        found: np.ndarray = self.contig != ""
        return found

    @classmethod
    def none(cls, n: int) -> Places:
        """No row has a place."""
        empty = np.full(n, "", dtype=object)
        return cls(empty, np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, dtype=bool), np.zeros(n))


def find_places(sequences: Sequence[str], fasta: Path) -> tuple[Places, str]:
    """Places of rows, and what found them: "minimap2" where ``mappy`` is installed, else "seeds".

    Raises:
        DataError: the file is no FASTA file.
    """
    try:
        import mappy  # noqa: F401
    except ImportError:
        return places_by_seeds(sequences, fasta), "seeds"
    return places_by_minimap2(sequences, fasta), "minimap2"


def places_by_minimap2(sequences: Sequence[str], fasta: Path) -> Places:
    """By ``mappy``: its preset for short reads with shorter and more seeds, and mismatches as cheap as in our own alignment.

    It takes a tenth of the time that own seeds take, and finds as many rows but for short ones with many changes: of 100 bases with 9 %
    changed 84 % and not 99 % (``benchmarks/genome_places.py``).
    """
    import mappy

    aligner = mappy.Aligner(
        str(fasta), preset="sr", best_n=1, k=15, w=5, min_cnt=1, min_chain_score=20, scoring=(1, 2, 3, 2)
    )
    places = Places.none(len(sequences))
    for row, sequence in enumerate(sequences):
        best = max(aligner.map(sequence), key=lambda hit: hit.mlen, default=None)
        if best is None or best.blen < FULL * len(sequence) or best.mlen < IDENTITY * best.blen:
            continue
        places.contig[row], places.reverse[row], places.identity[row] = best.ctg, best.strand < 0, best.mlen / best.blen
        places.start[row], places.end[row] = best.r_st, best.r_en
    return places


def places_by_seeds(sequences: Sequence[str], fasta: Path) -> Places:
    """By own seeds. The first of several places that are as good is kept."""
    places, matches = Places.none(len(sequences)), np.zeros(len(sequences), dtype=np.int64)
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    if not len(sequences) or not lengths.max():
        return places
    index = SequenceIndex(sequences)
    for contig, begin, windows in _windows(fasta, int(lengths.max())):
        encoded = encode(windows)
        for pairs in index.candidates(encoded):
            pairs = _strongest(pairs)
            found = align(encoded, pairs.query, index.encoded, pairs.target, pairs.reverse, pairs.diagonal)
            need = lengths[pairs.target]
            good = (
                (found.columns >= FULL * need) & (found.identity >= IDENTITY) & (found.matches > matches[pairs.target])
            )
            for pair in np.flatnonzero(good).tolist():
                row = int(pairs.target[pair])
                if found.matches[pair] <= matches[row]:
                    continue  # a better one of these pairs came before
                matches[row] = found.matches[pair]
                places.contig[row], places.reverse[row] = contig, pairs.reverse[pair]
                places.identity[row] = found.identity[pair]
                places.start[row] = max(0, begin[pairs.query[pair]] - pairs.diagonal[pair])
                places.end[row] = places.start[row] + lengths[row]
    return places


def _windows(fasta: Path, longest: int) -> Iterator[tuple[str, np.ndarray, list[str]]]:
    """(contig, where each window begins, windows), so that every stretch of ``longest`` bases lies within one window."""
    size = min(max(_WINDOW, 4 * longest), LONGEST)
    step = size - longest
    for contig, text in read_fasta(fasta):
        begins = np.arange(0, max(len(text) - longest, 1), step)
        for first in range(0, len(begins), _WINDOWS_AT_ONCE):
            part = begins[first : first + _WINDOWS_AT_ONCE]
            yield contig, part, [text[begin : begin + size] for begin in part.tolist()]


def _strongest(pairs: Candidates) -> Candidates:
    """The pairs of each row with the most seeds."""
    order = np.lexsort((pairs.query, -pairs.seeds, pairs.target))
    target = pairs.target[order]
    starts = np.flatnonzero(np.diff(target, prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return pairs.take(order[rank < _TOP])
