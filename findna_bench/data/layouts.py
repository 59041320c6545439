"""Finding data sets in a folder or archive by the names under which upstream publishes them.

Every file name is read as (key, split, class): the key is the path that names the data set, and is compared with the names
and aliases of the cards, so that one rule serves all layouts:

=========================================  ================================================================
``KEY/SPLIT/CLASS/*.txt``                  one sequence a file (GenomicBenchmarks)
``KEY/SPLIT/CLASS.csv.gz``                 coordinates, one file a class (GenomicBenchmarks intervals)
``KEY/SPLIT.csv``, ``KEY_SPLIT.csv``       rows; ``.tsv``, ``.parquet`` and ``.gz`` as well; ``SPLIT_partial`` is a part
``KEY/SPLIT/0000.parquet``                 rows in shards (hub), also ``KEY/[data/]SPLIT-00000-of-00002-*.parquet``
``KEY/SPLIT.fna``                          records ``>name|label`` (Nucleotide Transformer tasks)
=========================================  ================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.archives import Tree
from findna_bench.data.catalog import SPLITS
from findna_bench.data.split_names import SPLIT_NAMES, split_name
from findna_bench.data.table import SequenceTable
from findna_bench.data.table_files import PUBLISHED_SUFFIXES, read_table, table_suffix, text_of
from findna_bench.data.tabular import (
    LABEL_COLUMNS,
    RawTable,
    coordinates,
    label_text,
    row_ids,
    rows_to_table,
)
from findna_bench.errors import DataError
from findna_bench.sequences.fasta import FASTA_SUFFIX
from findna_bench.unpacking import decompressed, without_compression

__all__ = [
    "Candidate",
    "Piece",
    "fasta_records",
    "find_candidates",
    "read_interval_tables",
    "read_labelled_fasta",
    "read_tables",
]

_SPLIT = "|".join(sorted(SPLIT_NAMES, key=len, reverse=True))
_WHOLE = re.compile(rf"({_SPLIT})(_partial)?(-\d+-of-\d+(-\w+)?)?", re.IGNORECASE)
_SUFFIXED = re.compile(rf"(.+?)[_.-]({_SPLIT})(_partial)?", re.IGNORECASE)
_VERSION = re.compile(r"_v\d+$")


@dataclass(frozen=True)
class Piece:
    """One file of a data set."""

    key: tuple[str, ...]
    split: str
    kind: str
    """``text`` (one sequence), ``rows`` (a table), ``class`` (a table named after a class or shard) or ``fasta``."""
    file: str
    class_name: str = ""
    partial: bool = False


@dataclass
class Candidate:
    """The files of one card found under one key."""

    card: TaskCard
    tree: Tree
    key: tuple[str, ...]
    pieces: list[Piece] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{self.tree.label} ({'/'.join(self.key[len(self.tree.prefix) :]) or '.'})"

    @property
    def intervals_only(self) -> bool:
        """Coordinates without sequences: tables named after the card's classes whose header has no sequence column."""
        return all(piece.kind == "class" and piece.class_name in self.card.labels for piece in self.pieces)


def find_candidates(tree: Tree, cards: Sequence[TaskCard]) -> list[Candidate]:
    """Data sets of ``cards`` below ``tree``, one candidate per card and key."""
    aliases = _alias_table(cards)
    found: dict[tuple[str, ...], Candidate | None] = {}
    for file in tree.files:
        piece = _read_name(tree.prefix, file)
        if piece is None:
            continue
        if piece.key not in found:
            card = _match(piece.key, aliases)
            found[piece.key] = Candidate(card, tree, piece.key) if card else None
        candidate = found[piece.key]
        if candidate is not None:
            candidate.pieces.append(piece)
    return [candidate for candidate in found.values() if candidate is not None]


def _alias_table(cards: Sequence[TaskCard]) -> dict[tuple[str, ...], TaskCard]:
    table: dict[tuple[str, ...], TaskCard] = {}
    for card in cards:
        for alias in (card.name, *card.aliases):
            table[_folded(alias.split("/"))] = card
    return table


def _folded(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(_VERSION.sub("", part.lower().replace("-", "_")) for part in parts)


def _match(key: tuple[str, ...], aliases: Mapping[tuple[str, ...], TaskCard]) -> TaskCard | None:
    """The card whose longest alias ends the key."""
    folded = _folded(key)
    for length in range(min(len(folded), 4), 0, -1):
        card = aliases.get(folded[-length:])
        if card is not None:
            return card
    return None


def _read_name(prefix: tuple[str, ...], file: str) -> Piece | None:
    parts = (*prefix, *file.split("/"))
    name = parts[-1]
    plain = without_compression(name)
    suffix = table_suffix(name)
    is_fasta = FASTA_SUFFIX.search(plain) is not None
    if plain.lower().endswith(".txt"):
        split = split_name(parts[-3]) if len(parts) > 3 else None
        return Piece(parts[:-3], split, "text", file, class_name=parts[-2]) if split else None
    if suffix not in PUBLISHED_SUFFIXES and not is_fasta:
        return None
    stem = plain[: plain.rindex(".")]
    kind = "fasta" if is_fasta else "rows"
    if whole := _WHOLE.fullmatch(stem):
        key = parts[:-2] if len(parts) > 2 and parts[-2] == "data" else parts[:-1]
        return Piece(key, SPLIT_NAMES[whole[1].lower()], kind, file, partial=bool(whole[2]))
    if len(parts) > 2 and (split := split_name(parts[-2])):
        return Piece(parts[:-2], split, "class", file, class_name=stem)
    if suffixed := _SUFFIXED.fullmatch(stem):
        key = (*parts[:-1], suffixed[1])
        return Piece(key, SPLIT_NAMES[suffixed[2].lower()], kind, file, partial=bool(suffixed[3]))
    return None


def read_tables(candidate: Candidate) -> tuple[dict[str, SequenceTable], set[str]]:
    """Rows per split, and the splits of which upstream's file is only there in part.

    Raises:
        DataError: a file is damaged, or a row is not what the card says; file and row are named.
    """
    tables, partial = {}, set()
    for split in SPLITS:
        pieces = [piece for piece in candidate.pieces if piece.split == split]
        if any(not piece.partial for piece in pieces):
            pieces = [piece for piece in pieces if not piece.partial]
        elif pieces:
            partial.add(split)
        if pieces:
            table = _read_split(candidate, pieces)
            if table.contig is not None:
                table = replace(table, contig=_prefix_contigs(candidate.card, table.contig, table.labels))
            tables[split] = table
    return tables, partial


def _read_split(candidate: Candidate, pieces: list[Piece]) -> SequenceTable:
    kinds = {(piece.kind, _format(piece)) for piece in pieces}
    if len(kinds) > 1:
        files = ", ".join(sorted(piece.file for piece in pieces)[:3])
        raise DataError(f"{candidate.place}: the same split in several forms ({files}); leave one")
    kind = pieces[0].kind
    if kind == "text":
        return _read_texts(candidate, pieces)
    if kind == "fasta":
        raw = RawTable.joined([read_labelled_fasta(candidate.tree, piece.file) for piece in pieces])
    else:
        if len(pieces) > 1 and not all(_is_shard(piece) for piece in pieces):
            files = ", ".join(sorted(piece.file for piece in pieces)[:3])
            raise DataError(f"{candidate.place}: several files for one split ({files}); leave one")
        raws = [_read_raw(candidate.tree, piece.file) for piece in sorted(pieces, key=lambda p: p.file)]
        tables = [_published_rows(_own_task(raw, candidate.card), candidate.card) for raw in raws]
        return _with_unique_ids(SequenceTable.concatenate(tables))
    return _published_rows(raw, candidate.card)


def _published_rows(raw: RawTable, card: TaskCard) -> SequenceTable:
    """Rows as the card has them; of published data nothing is ignored.

    Raises:
        DataError: coordinates make no sense, or a column with names of classes disagrees with the labels.
    """
    table = rows_to_table(raw, card.labels)
    for column in (name for name in LABEL_COLUMNS if name in raw.columns):
        names = [label_text(value) for value in raw.columns[column]]
        if set(names) <= set(card.labels):
            other = np.array([card.labels.index(name) for name in names])
            if len(rows := np.flatnonzero(other != table.labels)):
                row = int(rows[0])
                raise DataError(
                    f"{raw.where(row)}: {column} says {names[row]!r} and the label {card.labels[table.labels[row]]!r}; labels are "
                    f"numbered in the order {', '.join(card.labels)}"
                )
    if raw.notes:
        raise DataError(raw.notes[0].replace(" and are ignored", ""))
    return table


def _with_unique_ids(table: SequenceTable) -> SequenceTable:
    """Rows numbered where files repeat each other's ids."""
    if len(np.unique(table.ids)) == len(table):
        return table
    return replace(table, ids=np.array([str(i) for i in range(len(table))], dtype=str))


def _own_task(raw: RawTable, card: TaskCard) -> RawTable:
    """The rows of this task, where one file holds several (a column ``task`` names them)."""
    if "task" not in raw.columns:
        return raw
    names = {name.rpartition("/")[2].lower() for name in (card.name, *card.aliases)}
    keep = [i for i, value in enumerate(raw.columns["task"]) if str(value).lower() in names]
    if len(keep) == len(raw):
        return raw
    return raw.take(keep)


def _format(piece: Piece) -> str:
    return table_suffix(piece.file) or ""


def _is_shard(piece: Piece) -> bool:
    return piece.kind == "class" or re.search(r"-\d+-of-\d+", piece.file) is not None


def _read_raw(tree: Tree, file: str) -> RawTable:
    with tree.open(file) as stream:
        return read_table(stream, file, tree.origin(file))


def _read_texts(candidate: Candidate, pieces: list[Piece]) -> SequenceTable:
    """One sequence a file; the file's name is the row's id, its folder the class."""
    card, tree = candidate.card, candidate.tree
    for name in sorted({piece.class_name for piece in pieces}):
        if name not in card.labels:
            raise DataError(
                f"{candidate.place}: folder {name!r} is not among the card's labels ({', '.join(card.labels)})"
            )
    pieces = sorted(pieces, key=lambda p: (card.labels.index(p.class_name), _natural(p.file)))
    texts = []
    for piece in pieces:
        with tree.open(piece.file) as stream:
            texts.append(stream.read().decode("utf-8", "replace").strip())
    stems = [piece.file.rpartition("/")[2].removesuffix(".txt") for piece in pieces]
    columns: dict[str, list[Any]] = {"sequence": texts, "class": [p.class_name for p in pieces], "id": stems}
    raw = RawTable(tree.label, columns, named=lambda row: tree.origin(pieces[row].file))
    return rows_to_table(raw, card.labels)


def _natural(text: str) -> list[tuple[int, str | int]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", text)]


def read_labelled_fasta(tree: Tree, file: str) -> RawTable:
    """Records whose header ends in ``|label``; header text before it is the id."""
    names: list[str] = []
    labels: list[str] = []
    sequences: list[str] = []
    for header, sequence in fasta_records(tree, file):
        name, bar, label = header.rpartition("|")
        if not bar:
            raise DataError(f"{tree.origin(file)}, record {len(names) + 1}: header {header!r} does not end in |label")
        names.append(name.strip())
        labels.append(label.strip())
        sequences.append(sequence)
    origin = tree.origin(file)
    if not names:
        raise DataError(f"{origin} is empty")
    columns: dict[str, list[Any]] = {"sequence": sequences, "label": labels, "id": names}
    return RawTable(origin, columns, named=lambda row: f"{origin}, record {row + 1}")


def fasta_records(tree: Tree, file: str) -> Iterator[tuple[str, str]]:
    """(header without ``>``, sequence) of each record, streamed; plain or compressed. Lines that begin with ``;`` are comments.

    Raises:
        DataError: text before the first header, or a damaged file.
    """
    origin = tree.origin(file)
    header: str | None = None
    lines: list[str] = []
    with tree.open(file) as stream, decompressed(stream, origin, in_memory=True) as content:
        for line in text_of(content, errors="replace"):
            if line.startswith(";"):
                continue
            if line.startswith(">"):
                if header is not None:
                    yield header, "".join(lines)
                header, lines = line[1:].strip(), []
            elif header is None and line.strip():
                raise DataError(f"{origin}, line 1: no FASTA header (a line that starts with >)")
            else:
                lines.append(line.strip())
        if header is not None:
            yield header, "".join(lines)


def read_interval_tables(candidate: Candidate) -> dict[str, SequenceTable]:
    """Coordinates per split from one file a class, classes in label order.

    Raises:
        DataError: a file is damaged or has no columns region, start and end.
    """
    out = {}
    for split in SPLITS:
        pieces = [piece for piece in candidate.pieces if piece.split == split]
        pieces.sort(key=lambda p: candidate.card.labels.index(p.class_name))
        if pieces:
            out[split] = SequenceTable.concatenate([_class_intervals(candidate, piece) for piece in pieces])
    return out


def _class_intervals(candidate: Candidate, piece: Piece) -> SequenceTable:
    raw = _read_raw(candidate.tree, piece.file)
    contig, start, end, strand = coordinates(raw)
    if raw.notes:
        raise DataError(raw.notes[0].replace(" and are ignored", ""))
    if contig is None or start is None or end is None or strand is None:
        raise DataError(f"{raw.origin}: no columns region, start and end among {', '.join(raw.columns)}")
    label = candidate.card.labels.index(piece.class_name)
    labels = np.full(len(raw), label, dtype=np.int64)
    own = row_ids(raw, labels, candidate.card.labels)
    ids = np.array([f"{piece.class_name}/{text}" for text in own.tolist()], dtype=str)
    contig = _prefix_contigs(candidate.card, contig, labels)
    return SequenceTable([""] * len(raw), labels, ids, contig=contig, start=start, end=end, strand=strand)


def _prefix_contigs(card: TaskCard, contig: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Contigs with ``config["contig_prefix"][class]`` before them, where classes come from genomes with equal names."""
    prefixes: Mapping[str, str] = card.config.get("contig_prefix", {})
    out = contig.astype(object)
    for name, prefix in prefixes.items():
        rows = labels == card.labels.index(name)
        out[rows] = [f"{prefix}{text}" for text in contig[rows]]
    return out.astype(str) if prefixes else contig
