"""Variants in tables: rows that hold a window of sequence, a place in it, the base there and what takes its place.

Two forms are read: ``sequence, offset, ref, alt`` (offset from 0; the window is the sequence), and ``chrom, pos, ref, alt`` (pos from 1,
as in VCF), whose windows are cut from a genome. What does not fit is left out by one rule for all models, counted, and named:

* ``ref`` is not what stands in the sequence (nothing is swapped or turned round to make it fit);
* ``alt`` equals ``ref``, or holds something else than A, C, G and T; several alternatives in one row;
* the place lies outside the sequence, or the contig is not in the genome.

Kept, and counted as well: windows that a contig's end cuts short, windows with an N next to the site, insertions and deletions, and
those of them that stand further to the right than they could and are moved (:mod:`findna_bench.data.left_alignment`): within the sequence, or
along the genome, where their window moves with them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from findna_bench.data.left_alignment import left_aligned
from findna_bench.data.table import SequenceTable
from findna_bench.data.tabular import CONTIG_COLUMN, SEQUENCE_COLUMNS, RawTable, contig_name, is_number, label_text
from findna_bench.errors import DataError
from findna_bench.sequences.alphabet import normalise_all

__all__ = [
    "GROUP_NAMES",
    "VARIANT_COLUMNS",
    "Genome",
    "alternative",
    "element_names",
    "holds_variants",
    "left_out_counts",
    "variant_extras",
    "variant_rows",
]

VARIANT_COLUMNS = ("offset", "ref", "alt")
"""Entries of :attr:`SequenceTable.extra` of a table of variants: int64, str and str, all (n,); a deletion's ``alt``, or an insertion's
``ref``, may be empty. ``element`` (str) and ``tss_distance`` (float64, bases, NaN = not known) where the data name them."""
GROUP_NAMES = ("element", "gene", "consequence")
"""Columns that name what scores are listed by; the first that is there counts, of variants ``group`` after them, and the chromosome where
there is none."""
_NOTHING = frozenset(("-", ".", ""))
_PLACES = ("pos", "position")
_TSS_DISTANCES = ("tss_dist", "tss_distance", "distance_to_nearest_tss", "distance_to_tss")
_FLANK_OF_N = 1
_GIVEN = "given_variant"
"""``OFFSET REF ALT`` as they were before insertions and deletions were moved; only where one was."""


class Genome(Protocol):
    """Where windows are cut from."""

    flank: int

    def base(self, contig: str, position: int) -> str:
        """The base at a 0-based place; empty where there is no such place."""

    def window(self, contig: str, position: int, length: int) -> tuple[str, int, bool] | None:
        """(window, 0-based start in the contig, whether the contig's end cut it short) around bases position..position+length
        (0-based); None where there is no such place."""


def holds_variants(raw: RawTable) -> bool:
    """Whether the rows of a table are variants, by its columns."""
    if not {"ref", "alt"} <= raw.columns.keys():
        return False
    return "offset" in raw.columns or (raw.first_of(SEQUENCE_COLUMNS) is None and raw.first_of(_PLACES) is not None)


@dataclass
class _Found:
    """What is kept and what is not."""

    rows: list[int] = field(default_factory=list)
    windows: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    alleles: list[tuple[str, str]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    given: list[tuple[int, str, str]] = field(default_factory=list)
    """Offset, ref and alt as the file has them, in the window that is kept."""
    left_out: dict[str, list[int]] = field(default_factory=dict)
    marks: Counter[str] = field(default_factory=Counter)

    def leave_out(self, row: int, why: str) -> None:
        self.left_out.setdefault(why, []).append(row)


def variant_rows(raw: RawTable, genome: Genome | None = None) -> RawTable:
    """The rows of a table of variants that can be scored, each with ``sequence`` (its window), ``offset``, ``ref`` and ``alt``; notes
    say what was left out and why.

    Args:
        raw: a table of which :func:`holds_variants` is true.
        genome: of which windows are cut where the table has none.

    Raises:
        DataError: there is no sequence and no genome, a place is no number, nothing is left, or so many ``ref`` differ from the sequence that it is
            another genome, or places are counted from another number.
    """
    found = _read(raw, genome)
    _check_references(raw, found)
    if not found.rows:
        raise DataError(f"{raw.origin}: none of its {len(raw):,} variants can be scored: {_reasons(raw, found)}")
    kept = raw.take(found.rows)
    kept.columns |= {
        "sequence": found.windows,
        "offset": found.offsets,
        "ref": [ref for ref, _ in found.alleles],
        "alt": [alt for _, alt in found.alleles],
    }
    if _contig_column(raw) is not None and len(found.starts) == len(found.rows):
        kept.columns["start"] = found.starts
        kept.columns["end"] = [start + len(window) for start, window in zip(found.starts, found.windows, strict=True)]
    if found.given != [(offset, *alleles) for offset, alleles in zip(found.offsets, found.alleles, strict=True)]:
        kept.columns[_GIVEN] = [" ".join(map(str, given)) for given in found.given]
    if len(found.rows) < len(raw):
        kept.numbers = [row if raw.numbers is None else raw.numbers[row] for row in found.rows]
    kept.notes = [*raw.notes, *_notes(raw, found)]
    return kept


def variant_extras(raw: RawTable) -> dict[str, np.ndarray]:
    """:attr:`SequenceTable.extra` of what :func:`variant_rows` gave."""
    return {
        "offset": np.array(raw.columns["offset"], dtype=np.int64),
        "ref": np.array(raw.columns["ref"], dtype=str),
        "alt": np.array(raw.columns["alt"], dtype=str),
        **element_names(raw, (*GROUP_NAMES, "group")),
        **_tss_distances(raw),
        **({_GIVEN: np.array(raw.columns[_GIVEN], dtype=str)} if _GIVEN in raw.columns else {}),
    }


def element_names(raw: RawTable, columns: Sequence[str] = GROUP_NAMES) -> dict[str, np.ndarray]:
    """``element`` -> (n,) str, what rows belong to by the first of ``columns`` that is there; empty where none is."""
    if (name := raw.first_of(columns)) is None:
        return {}
    return {"element": np.array([label_text(value) for value in raw.columns[name]], dtype=str)}


def _tss_distances(raw: RawTable) -> dict[str, np.ndarray]:
    """``tss_distance`` -> (n,) float64 bases to the transcription start site, NaN where a row has none; empty without such a column."""
    if (column := raw.first_of(_TSS_DISTANCES)) is None:
        return {}
    texts = [label_text(value) for value in raw.columns[column]]
    if (wrong := next((row for row, text in enumerate(texts) if text and not is_number(text)), None)) is not None:
        raise DataError(f"{raw.where(wrong)}: {column} {texts[wrong]!r} is no number of bases")
    return {"tss_distance": np.array([float(text) if text else np.nan for text in texts])}


def alternative(table: SequenceTable, row: int) -> str:
    """The window of a row with its variant in place of the reference."""
    offset, ref = int(table.extra["offset"][row]), str(table.extra["ref"][row])
    window = table.sequences[row]
    return window[:offset] + str(table.extra["alt"][row]) + window[offset + len(ref) :]


def _read(raw: RawTable, genome: Genome | None) -> _Found:
    sequences, places = _windows(raw, genome)
    contigs = _contig_column(raw)
    references, alternatives = (_alleles(raw.columns[name]) for name in ("ref", "alt"))
    positions = raw.first_of(_PLACES)
    found = _Found()
    for row, (ref, alt) in enumerate(zip(references, alternatives, strict=True)):
        if (why := _wrong_alleles(ref, alt)) is not None:
            found.leave_out(row, why)
            continue
        start, place = -1, places[row]
        if sequences is None:
            assert genome is not None
            assert contigs is not None
            cut = genome.window(contigs[row], place, len(ref))
            if cut is None:
                found.leave_out(row, "which lie in no sequence of the genome")
                continue
            window, start, short = cut
            offset = place - start
            found.marks["windows that a contig's end cuts short"] += short
        else:
            window, offset = sequences[row], place
            if contigs is not None and positions is not None:
                start = _number(raw, positions, row) - 1 - offset
        if not 0 <= offset <= len(window) - max(len(ref), 1):
            found.leave_out(row, "whose offset lies outside the sequence")
        elif window[offset : offset + len(ref)] != ref:
            found.leave_out(row, "whose ref is not what the sequence has there")
        elif len(ref) == len(alt):
            _keep(found, row, window, offset, (ref, alt), start)
        elif sequences is None and genome is not None and contigs is not None:
            _keep_aligned_in_genome(found, row, genome, contigs[row], (place, ref, alt))
        else:
            new, *alleles = left_aligned(lambda at, window=window: window[at : at + 1], offset, ref, alt)  # type: ignore[misc]
            _keep(found, row, window, new, (alleles[0], alleles[1]), start, (offset, ref, alt))
    return found


def _keep_aligned_in_genome(
    found: _Found, row: int, genome: Genome, contig: str, variant: tuple[int, str, str]
) -> None:
    """An insertion or deletion at its leftmost place, in the window around it."""
    place, ref, alt = left_aligned(lambda at: genome.base(contig, at), *variant)
    cut = genome.window(contig, place, len(ref))
    assert cut is not None
    window, start, _ = cut
    _keep(found, row, window, place - start, (ref, alt), start, (variant[0] - start, *variant[1:]))


def _keep(
    found: _Found,
    row: int,
    window: str,
    offset: int,
    alleles: tuple[str, str],
    start: int,
    given: tuple[int, str, str] | None = None,
) -> None:
    found.given.append(given or (offset, *alleles))
    found.rows.append(row)
    found.windows.append(window)
    found.offsets.append(offset)
    found.alleles.append(alleles)
    if start >= 0:
        found.starts.append(start)
    around = window[max(0, offset - _FLANK_OF_N) : offset + len(alleles[0]) + _FLANK_OF_N]
    found.marks["variants with an N next to them"] += "N" in around
    found.marks["insertions or deletions"] += len(alleles[0]) != len(alleles[1])
    found.marks["insertions or deletions that are moved to where they stand leftmost"] += found.given[-1] != (
        offset,
        *alleles,
    )


def _windows(raw: RawTable, genome: Genome | None) -> tuple[list[str] | None, list[int]]:
    """Sequences of the rows, and the place of the variant in each; None and 0-based places in contigs where they are to be cut."""
    column = raw.first_of(SEQUENCE_COLUMNS)
    if "offset" in raw.columns:
        if column is None:
            raise DataError(f"{raw.origin}: a column offset counts from the start of a sequence; add a column sequence")
        texts = ["" if value is None else str(value).strip() for value in raw.columns[column]]
        unique = list(dict.fromkeys(texts))
        first = {text: row for row, text in reversed([*enumerate(texts)])}
        for text in unique:
            if not text:
                raise DataError(f"{raw.where(first[text])}: the row has no {column}")
        clean = dict(zip(unique, normalise_all(unique, lambda i: raw.where(first[unique[i]])), strict=True))
        return [clean[text] for text in texts], [_number(raw, "offset", row) for row in range(len(raw))]
    position = raw.first_of(_PLACES)
    assert position is not None
    if _contig_column(raw) is None:
        raise DataError(f"{raw.origin}: variants with a column {position} need a column chrom")
    if genome is None:
        raise DataError(
            f"{raw.origin}: variants with chrom and {position} are windows of a genome; give it with --fasta, or add columns sequence and offset"
        )
    return None, [_number(raw, position, row) - 1 for row in range(len(raw))]


def _contig_column(raw: RawTable) -> list[str] | None:
    name = next((name for name in raw.columns if CONTIG_COLUMN.fullmatch(name)), None)
    return None if name is None else [contig_name(label_text(value)) for value in raw.columns[name]]


def _number(raw: RawTable, column: str, row: int) -> int:
    text = label_text(raw.columns[column][row])
    if not re.fullmatch(r"\d{1,12}", text):
        raise DataError(f"{raw.where(row)}: {column} {text!r} is no whole number")
    return int(text)


def _alleles(values: Sequence[Any]) -> list[str]:
    texts = ["" if value is None else str(value).strip().upper() for value in values]
    return ["" if text in _NOTHING else text for text in texts]


def _wrong_alleles(ref: str, alt: str) -> str | None:
    if "," in alt or "/" in alt:
        return "with several alternatives (one row each: `bcftools norm -m-`)"
    if set(ref + alt) - set("ACGT"):
        return "with letters other than A, C, G and T in ref or alt"
    return "whose alt is their ref" if ref == alt else None


def _check_references(raw: RawTable, found: _Found) -> None:
    differ = found.left_out.get("whose ref is not what the sequence has there", [])
    if len(differ) > len(found.rows):
        counted = "offset counts from 0" if "offset" in raw.columns else "pos counts from 1"
        raise DataError(
            f"{raw.where(differ[0])}: ref is not what the sequence has there, as in {len(differ):,} of {len(raw):,} rows; {counted}, and "
            "the sequence has to be that of the variants' own assembly"
        )


def _reasons(raw: RawTable, found: _Found) -> str:
    return ", ".join(
        f"{len(rows):,} {why} (first: {raw.where(rows[0]).removeprefix(raw.origin + ', ')})"
        for why, rows in found.left_out.items()
    )


def left_out_counts(note: str) -> tuple[int, int, str] | None:
    """(variants that are left out, of all, why) of a note of :func:`variant_rows`; None where it says something else.

    Example:
        >>> left_out_counts("my.csv: 1 of 1,200 variants are left out: 1 whose alt is their ref (first: row 7)")
        (1, 1200, '1 whose alt is their ref (first: row 7)')
    """
    found = re.search(r": ([\d,]+) of ([\d,]+) variants are left out: (.*)", note, re.DOTALL)
    if found is None:
        return None
    left_out, every = (int(text.replace(",", "")) for text in found.group(1, 2))
    return left_out, every, found.group(3)


def _notes(raw: RawTable, found: _Found) -> list[str]:
    notes = []
    if found.left_out:
        n = sum(map(len, found.left_out.values()))
        notes.append(f"{raw.origin}: {n:,} of {len(raw):,} variants are left out: {_reasons(raw, found)}")
    notes += [f"{raw.origin}: {n:,} {what}" for what, n in found.marks.items() if n]
    return notes
