"""Cutting published coordinates out of reference FASTA files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.table import SequenceTable
from findna_bench.data.tabular import contig_name
from findna_bench.errors import DataError
from findna_bench.sequences.fasta import Fasta

__all__ = ["check_assembly", "cut_sequences", "reference_files"]

ASSEMBLIES = (
    ("grch38", "hg38"),
    ("grch37", "hg19"),
    ("grcm38", "mm10"),
    ("grcm39", "mm39"),
    ("bdgp6", "dm6"),
    ("wbcel235", "ce11"),
)
"""Two names of one assembly, Ensembl's and UCSC's."""
# Bases of some chromosomes, by which a file whose name says nothing can be told to be of the other assembly.
_LENGTHS = {
    "grch37": {"1": 249_250_621, "8": 146_364_022, "20": 63_025_520, "22": 51_304_566, "X": 155_270_560},
    "grch38": {"1": 248_956_422, "8": 145_138_636, "20": 64_444_167, "22": 50_818_468, "X": 156_040_895},
}
_FASTA = re.compile(r"\.(fa|fasta|fna)(\.gz)?$", re.IGNORECASE)


def cut_sequences(
    card: TaskCard, tables: Mapping[str, SequenceTable], reference: str | Path, cache_dir: Path
) -> dict[str, SequenceTable]:
    """Sequences of all rows that ``tables`` know by coordinates, reverse-complemented where the strand is "-", as upstream cuts them.

    reference: a FASTA, or a folder of them, whose names tell assemblies apart where a task needs several
    (``config["reference"]``: class -> part of a file's name; otherwise the card's assembly). Indexes go to ``cache_dir``.

    Raises:
        DataError: a file is missing or of another assembly, or an interval does not lie in it; file and row are named.
    """
    with ExitStack() as stack:
        opened: dict[Path, Fasta] = {}
        by_label = []
        for path in reference_files(card, Path(reference).expanduser()):
            if path not in opened:
                opened[path] = stack.enter_context(Fasta(path, cache_dir))
            by_label.append(opened[path])
        unversioned = {id(fasta): {name.split(".")[0]: name for name in fasta.lengths} for fasta in opened.values()}
        prefixes = [str(card.config.get("contig_prefix", {}).get(name, "")) for name in card.labels]
        return {split: _cut(card, table, by_label, unversioned, prefixes) for split, table in tables.items()}


def _cut(
    card: TaskCard,
    table: SequenceTable,
    by_label: list[Fasta],
    unversioned: Mapping[int, Mapping[str, str]],
    prefixes: list[str],
) -> SequenceTable:
    sequences = []
    columns = (table.labels, table.contig, table.start, table.end, table.strand)
    for label, contig, start, end, strand in zip(*(np.asarray(column).tolist() for column in columns), strict=True):
        fasta = by_label[label]
        name = contig.removeprefix(prefixes[label])
        name = unversioned[id(fasta)].get(name, name)
        sequences.append(fasta.fetch(name, start, end, strand or "+"))
    return replace(table, sequences=sequences)


def reference_files(card: TaskCard, reference: Path) -> list[Path]:
    """The FASTA of each class, in label order.

    Raises:
        DataError: there is none, or none of the card's assembly.
    """
    if reference.is_dir():
        files = sorted(path for path in reference.iterdir() if _FASTA.search(path.name))
    elif reference.is_file():
        files = [reference]
    else:
        raise DataError(f"{reference}: no such file or folder; --reference is a FASTA or a folder of them")
    wanted: Mapping[str, str] = card.config.get("reference", {})
    tokens = [wanted.get(name, card.assembly) for name in card.labels]
    chosen = []
    for token in tokens:
        matching = [path for path in files if _names(path, token)]
        if len(matching) != 1 and len(files) == 1 and len(set(tokens)) == 1 and not _other_assembly(files[0], token):
            matching = files
        if len(matching) != 1:
            found = ", ".join(path.name for path in matching) or "none"
            raise DataError(
                f"{card.full_name}: needs one FASTA whose name holds {token!r} in {reference}; found {found}"
            )
        chosen.append(matching[0])
    return chosen


def _spellings(token: str) -> tuple[str, ...]:
    first, dot, rest = token.lower().partition(".")
    names = next((pair for pair in ASSEMBLIES if first in pair), (first,))
    return tuple(f"{name}{dot}{rest}" for name in names)


def _names(path: Path, token: str) -> bool:
    return any(spelling in path.name.lower() for spelling in _spellings(token))


def _other_assembly(path: Path, token: str) -> bool:
    """Whether the file's name tells another assembly of the same genome than is wanted."""
    mine = {name for spelling in _spellings(token) for name in [spelling.partition(".")[0]]}
    return any(name in path.name.lower() for pair in ASSEMBLIES for name in pair if name not in mine)


def check_assembly(card: TaskCard, path: Path, lengths: Mapping[str, int]) -> None:
    """Whether a genome can be that of the card's assembly, by the lengths of its contigs.

    Raises:
        DataError: a chromosome has the length that it has in another assembly of the same genome.
    """
    wanted = _spellings(card.assembly)[0].partition(".")[0]
    mine = next((name for name in _spellings(card.assembly) if name in _LENGTHS), wanted)
    if mine not in _LENGTHS:
        return
    for other, known in _LENGTHS.items():
        if other == mine:
            continue
        for contig, length in lengths.items():
            if known.get(contig_name(contig)) == length:
                raise DataError(
                    f"{path}: {contig} has {length:,} bases, as in {other.replace('grch', 'GRCh')}; the places of {card.full_name} are those of {card.assembly}"
                )
