"""Tables of regions: rows that name a stretch of a genome, whose sequences are cut from a FASTA file.

Columns are contig (``chrom``, ``chromosome``, ...), ``start`` and ``end`` (from 0, half open), and ``strand`` where rows have one: a row on ``-`` is the
reverse complement, and its states per base, which files have in the order of the genome, are turned with it. Contigs are found with or
without ``chr``. A region that does not lie in its contig is an error: such a table belongs to another assembly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from findna_bench.data.tabular import CONTIG_COLUMN, SEQUENCE_COLUMNS, STRANDS, RawTable, label_text
from findna_bench.errors import DataError

if TYPE_CHECKING:
    from findna_bench.data.genome_windows import GenomeWindows

__all__ = ["holds_regions", "region_rows"]

_STATES = "states"


def holds_regions(raw: RawTable) -> bool:
    """Whether the rows of a table are regions of a genome, by its columns."""
    if raw.first_of(SEQUENCE_COLUMNS) is not None or not {"start", "end"} <= raw.columns.keys():
        return False
    return _contig_column(raw) is not None


def region_rows(raw: RawTable, genome: GenomeWindows | None) -> RawTable:
    """The same rows with ``sequence``; ``start`` and ``end`` are those of the sequences.

    Args:
        raw: a table of which :func:`holds_regions` is true.
        genome: that they are cut from, with its ``region_flank`` more bases on either side.

    Raises:
        DataError: there is no genome, or a row does not lie in it; the first such row is named, and how many there are.
    """
    if genome is None:
        raise DataError(
            f"{raw.origin}: its rows are regions of a genome; give it with --fasta, or add a column sequence"
        )
    flank = genome.region_flank
    if flank and _STATES in raw.columns:
        raise DataError(
            f"{raw.origin}: --flank has no meaning for states of bases, which its rows have for the regions alone"
        )
    column = str(_contig_column(raw))
    contigs = [label_text(value) for value in raw.columns[column]]
    bounds = list(zip(_whole_numbers(raw, "start"), _whole_numbers(raw, "end"), strict=True))
    strands = _strands(raw)
    _check(raw, genome, contigs, bounds)
    sequences, starts, ends, short = [], [], [], 0
    for contig, (start, end), strand in zip(contigs, bounds, strands, strict=True):
        first, last = max(0, start - flank), min(genome.length(contig) or 0, end + flank)
        short += last - first < end - start + 2 * flank
        sequences.append(genome.region(contig, first, last, strand))
        starts.append(first)
        ends.append(last)
    cut = raw.take(range(len(raw)))
    cut.columns |= {"sequence": sequences, "start": starts, "end": ends}
    if _STATES in raw.columns:
        states = [str(value) for value in raw.columns[_STATES]]
        cut.columns[_STATES] = [s[::-1] if strand == "-" else s for s, strand in zip(states, strands, strict=True)]
    cut.numbers = raw.numbers
    cut.notes = [*raw.notes, *_notes(raw, genome, contigs, strands, short)]
    return cut


def _contig_column(raw: RawTable) -> str | None:
    return next((name for name in raw.columns if CONTIG_COLUMN.fullmatch(name)), None)


def _whole_numbers(raw: RawTable, column: str) -> list[int]:
    texts = [label_text(value) for value in raw.columns[column]]
    for row, text in enumerate(texts):
        if not text.isdecimal():
            raise DataError(f"{raw.where(row)}: {column} {text!r} is no whole number")
    return [int(text) for text in texts]


def _strands(raw: RawTable) -> list[str]:
    """``+`` or ``-`` of each row; ``+`` where none is given."""
    if "strand" not in raw.columns:
        return ["+"] * len(raw)
    texts = [label_text(value) for value in raw.columns["strand"]]
    for row, text in enumerate(texts):
        if text not in STRANDS:
            raise DataError(f"{raw.where(row)}: strand {text!r} is none of +, - and .")
    return [STRANDS[text] or "+" for text in texts]


def _check(raw: RawTable, genome: GenomeWindows, contigs: list[str], bounds: list[tuple[int, int]]) -> None:
    empty = [row for row, (start, end) in enumerate(bounds) if end <= start]
    if empty:
        start, end = bounds[empty[0]]
        raise DataError(
            f"{raw.where(empty[0])}: {start} to {end} is no region, as in {len(empty):,} of {len(raw):,} rows; end comes after start"
        )
    wholes = [genome.length(contig) for contig in contigs]
    unknown = [row for row, whole in enumerate(wholes) if whole is None]
    if unknown:
        some = ", ".join(list(genome.lengths)[:5])
        raise DataError(
            f"{raw.where(unknown[0])}: {genome.path.name} has no contig {contigs[unknown[0]]!r} (it has {some}), with or without chr, as in "
            f"{len(unknown):,} of {len(raw):,} rows; give the genome of the regions' assembly"
        )
    outside = [row for row, ((_, end), whole) in enumerate(zip(bounds, wholes, strict=True)) if end > (whole or 0)]
    if outside:
        contig, (start, end) = contigs[outside[0]], bounds[outside[0]]
        raise DataError(
            f"{raw.where(outside[0])}: {contig}:{start}-{end} lies outside {contig}, which has {wholes[outside[0]]:,} bases in "
            f"{genome.path.name}, as in {len(outside):,} of {len(raw):,} rows; give the genome of the regions' assembly"
        )


def _notes(raw: RawTable, genome: GenomeWindows, contigs: list[str], strands: list[str], short: int) -> list[str]:
    notes = []
    renamed = next((contig for contig in contigs if contig not in genome.lengths), None)
    if renamed is not None:
        other = genome.own_name(renamed)
        notes.append(
            f"{raw.origin}: contigs are named otherwise than in {genome.path.name} ({renamed} is {other} there)"
        )
    if reverse := strands.count("-"):
        notes.append(
            f"{raw.origin}: {reverse:,} of {len(raw):,} rows are on strand - and read as its reverse complement"
        )
    if short:
        notes.append(f"{raw.origin}: {short:,} windows that a contig's end cuts short")
    return notes
