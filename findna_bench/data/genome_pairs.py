"""Data sets of pairs of a gene and a region, in one published table beside a file of settings; sequences are cut from the assembly that the card names.

The card's ``config`` is the recipe:

* ``settings``: endings of the path of the settings: lines of name, value and type. ``table``: the name there of the table's path. ``tss_flank_upstream``,
  ``tss_flank_downstream``, ``region_flank_upstream``, ``region_flank_downstream`` and ``seq_len_cutoff`` are read there, too.
* the table, tab-separated: ``gene_chrom``, ``gene_start``, ``gene_end``, ``gene_strand``, ``region_chrom``, ``region_start``, ``region_end`` (from 0, half open), ``target``,
  ``subset``; of alleles ``allele1`` (the genome's) and ``allele2``; ``gene_id`` and ``region_id`` name rows.
* ``sides``: ``region-promoter`` (the region with its flanks, on the genome's strand, and the transcription start with its own, on the gene's strand), or ``alleles`` (the region with
  its flanks, and the same with the other allele).
* ``classes`` and ``splits``: what stands in ``target`` and ``subset`` -> label of the card, split.

The distance of a row is that between both stretches with their flanks, 0 where they overlap. Left out and counted: gene and region on two chromosomes, a gene
without strand, a distance above the cutoff, an ``allele1`` that is not what the genome has there. A stretch that leaves its contig is cut short there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from findna_bench.cards import TaskCard
from findna_bench.data.genome_variants import labels_by_name, split_rows
from findna_bench.data.genome_windows import GenomeWindows
from findna_bench.data.pairs import pair_table, with_strata
from findna_bench.data.published_files import PublishedFiles, PublishedRows
from findna_bench.data.reference import check_assembly
from findna_bench.data.tabular import RawTable, contig_name, label_text, rows_to_table
from findna_bench.errors import DataError

__all__ = ["read_genome_pairs"]

_FLANKS = ("tss_flank_upstream", "tss_flank_downstream", "region_flank_upstream", "region_flank_downstream")
_NEEDED = (
    *("gene_chrom", "gene_start", "gene_end", "gene_strand"),
    *("region_chrom", "region_start", "region_end", "target", "subset"),
)
_ALLELES = ("allele1", "allele2")
_CUTOFF = 450_000
"""The authors' own, where the settings name none."""


def read_genome_pairs(card: TaskCard, files: PublishedFiles) -> PublishedRows | None:
    """The rows of a card; None where its settings are not there.

    Raises:
        DataError: the table or a column is missing, a place or label is none, there is no genome, or it is of another assembly.
    """
    settings = _settings(card, files)
    if settings is None:
        return None
    raw = _table(card, files, settings)
    genome = GenomeWindows(files.genome(card), None, files.cache_dir)
    check_assembly(card, genome.path, genome.lengths)
    found = _sides(card, raw, settings, genome)
    file = raw.origin.rpartition("/")[2]
    if not found.rows:
        raise DataError(f"{raw.origin}: none of its {len(raw):,} rows can be read: {_reasons(found)}")
    kept = raw.take(found.rows)
    kept.columns = {
        "id": _ids(kept),
        "label": list(kept.columns["target"]),
        "split": list(kept.columns["subset"]),
        **found.columns,
    }
    table = rows_to_table(kept, card.labels, labels_by_name(card, kept), "sequence_a")
    notes = [note.replace(raw.origin, file) for note in _notes(raw, found)]
    table = pair_table(kept, table)
    notes += [note.replace(raw.origin, file) for note in kept.notes if note not in raw.notes]
    return PublishedRows(with_strata(split_rows(card, kept, table)), notes=tuple(notes))


def _settings(card: TaskCard, files: PublishedFiles) -> dict[str, str] | None:
    found = files.find(card, card.config["settings"])
    if found is None:
        return None
    tree, file = found
    with tree.open(file) as stream:
        lines = stream.read().decode("utf-8", "replace").splitlines()
    settings = {parts[0]: parts[1] for line in lines if len(parts := line.split()) >= 2}
    for name in (card.config["table"], *_FLANKS):
        if name not in settings:
            raise DataError(f"{tree.origin(file)}: there is no line {name!r} in it")
    for name in (*_FLANKS, "seq_len_cutoff"):
        if not settings.get(name, "0").isdecimal():
            raise DataError(f"{tree.origin(file)}: {name} {settings[name]!r} is no whole number")
    return settings


def _table(card: TaskCard, files: PublishedFiles, settings: Mapping[str, str]) -> RawTable:
    name = settings[card.config["table"]].rpartition("/")[2]
    raw = files.table(card, (name,), "pairs.tsv")
    if raw is None:
        raise DataError(f"{card.full_name}: its settings name a table {name}, which is not below {files.label}")
    needed = (*_NEEDED, *(_ALLELES if card.config["sides"] == "alleles" else ()))
    if missing := [column for column in needed if column not in raw.columns]:
        raise DataError(f"{raw.origin}: no column {missing[0]} among {', '.join(raw.columns)}")
    return raw


@dataclass
class _Found:
    """What is kept, and why the rest is not."""

    rows: list[int] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(
        default_factory=lambda: {
            name: [] for name in ("sequence_a", "sequence_b", "distance", "strand", "chrom", "start", "end")
        }
    )
    left_out: dict[str, int] = field(default_factory=dict)
    short: int = 0

    def leave_out(self, why: str) -> None:
        self.left_out[why] = self.left_out.get(why, 0) + 1


def _sides(card: TaskCard, raw: RawTable, settings: Mapping[str, str], genome: GenomeWindows) -> _Found:
    tss_up, tss_down, region_up, region_down = (int(settings[name]) for name in _FLANKS)
    cutoff, found = int(settings.get("seq_len_cutoff", _CUTOFF)), _Found()
    for row in range(len(raw)):
        chrom, other = (contig_name(_text(raw, name, row)) for name in ("gene_chrom", "region_chrom"))
        strand = _text(raw, "gene_strand", row)
        start, end = _place(raw, "region_start", row), _place(raw, "region_end", row)
        if chrom != other:
            found.leave_out("with gene and region on two chromosomes")
            continue
        if strand not in ("+", "-"):
            found.leave_out("whose gene has no strand")
            continue
        tss = _place(raw, "gene_start", row) if strand == "+" else _place(raw, "gene_end", row) - 1
        # As the authors count: upstream and downstream are those of the genome's strand.
        region, promoter = (start - region_up, end + region_down), (tss - tss_up, tss + 1 + tss_down)
        distance = max(0, max(region[0], promoter[0]) - min(region[1], promoter[1]))
        if distance > cutoff:
            found.leave_out(f"with more than {cutoff:,} bases between gene and region")
            continue
        a = _cut(raw, row, genome, chrom, region, found)
        if card.config["sides"] == "alleles":
            first, second = (_text(raw, name, row).upper() for name in _ALLELES)
            at = start - max(region[0], 0)
            if a[at : at + end - start] != first:
                found.leave_out("whose allele1 is not what the genome has there")
                continue
            b = a[:at] + second + a[at + end - start :]
        else:
            b = _cut(raw, row, genome, chrom, promoter, found, strand)
        found.rows.append(row)
        values = (a, b, distance, strand, chrom, max(region[0], 0), max(region[0], 0) + len(a))
        for column, value in zip(found.columns.values(), values, strict=True):
            column.append(value)
    return found


def _cut(
    raw: RawTable,
    row: int,
    genome: GenomeWindows,
    chrom: str,
    bounds: tuple[int, int],
    found: _Found,
    strand: str = "+",
) -> str:
    """A stretch of the genome, without what lies beyond its contig.

    Raises:
        DataError: nothing of it is in the genome.
    """
    whole = genome.length(chrom)
    if whole is None or bounds[0] >= whole or bounds[1] <= 0:
        raise DataError(f"{raw.where(row)}: {chrom}:{bounds[0]}-{bounds[1]} is not in {genome.path.name}")
    first, last = max(bounds[0], 0), min(bounds[1], whole)
    found.short += (first, last) != bounds
    return genome.region(str(genome.own_name(chrom)), first, last, strand)


def _text(raw: RawTable, column: str, row: int) -> str:
    return label_text(raw.columns[column][row])


def _place(raw: RawTable, column: str, row: int) -> int:
    text = _text(raw, column, row)
    if not text.isdecimal():
        raise DataError(f"{raw.where(row)}: {column} {text!r} is no place")
    return int(text)


def _ids(raw: RawTable) -> list[str]:
    """``REGION/GENE`` where the table names both, numbered where a pair is there several times."""
    names = [column for column in ("region_id", "gene_id", "allele2") if column in raw.columns]
    if len(names) < 2:
        return [str(row) for row in range(len(raw))]
    seen: dict[str, int] = {}
    ids = []
    for row in range(len(raw)):
        name = "/".join(_text(raw, column, row) for column in names)
        seen[name] = seen.get(name, 0) + 1
        ids.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return ids


def _reasons(found: _Found) -> str:
    return ", ".join(f"{n:,} {why}" for why, n in found.left_out.items())


def _notes(raw: RawTable, found: _Found) -> Sequence[str]:
    notes = []
    if found.left_out:
        n = sum(found.left_out.values())
        notes.append(f"{raw.origin}: {n:,} of {len(raw):,} pairs are left out: {_reasons(found)}")
    if found.short:
        notes.append(f"{raw.origin}: {found.short:,} sides that a contig's end cuts short")
    return notes
