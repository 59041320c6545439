"""What the columns of a table of labelled sequences mean, with a name for every row in messages."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.sequences.alphabet import normalise_all
from findna_bench.sequences.letter_case import lower_case

__all__ = [
    "MISSING",
    "STRANDS",
    "RawTable",
    "cell_text",
    "contig_name",
    "is_missing",
    "is_number",
    "label_indices",
    "label_texts",
    "no_column",
    "row_ids",
    "rows_to_table",
]

SEQUENCE_COLUMNS = ("sequence", "seq", "text", "sequences")
SIDE_COLUMNS = (
    ("sequence_a", "sequence_b"),
    ("seq_a", "seq_b"),
    ("sequence_1", "sequence_2"),
    ("sequence1", "sequence2"),
    ("seq_1", "seq_2"),
    ("seq1", "seq2"),
)
"""Names of the two columns that hold the sides; the first two that are there count."""
LABEL_COLUMNS = ("label", "labels", "class", "target")
"""The first of these decides; see :func:`label_texts`."""
ID_COLUMNS = ("id", "row_id", "seq_id", "name")
CONTIG_COLUMN = re.compile(r"contig|chrom|chromosome|chr|region(_\w+)?")
_LARGEST_WHOLE = 1e15
_WHOLE_NUMBER = re.compile(r"([-+]?\d+)(\.0*)?")
MISSING = frozenset((
    "", "#n/a", "#n/a n/a", "#na", "-nan", "<na>", "n/a", "n.a.", "na", "nan", "nat", "null", "none",
    "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "#div/0!", "#name?", "#null!", "#num!", "#ref!", "#value!",
))  # fmt: skip
"""What stands for a missing value, in any column and in upper or lower case: what pandas reads as missing, and what it, R and
spreadsheets write for it.

It does in every format alike, also where it is text that a format could tell from a missing value (``"None"`` in JSON, a FASTA header
``|NA``): a class of such a name has to be renamed. Otherwise the same rows would have other classes as csv and as parquet."""

_LONGEST_MISSING = max(map(len, MISSING))


@dataclass
class RawTable:
    """Columns of a file as they stand in it. ``columns`` maps lower-case names to lists of n values (str, numbers, None)."""

    origin: str
    """File name as messages give it."""
    columns: dict[str, list[Any]]
    first_row: int = 1
    """Number of the first data row as ``where`` counts."""
    class_names: dict[str, list[str]] = field(default_factory=dict)
    """Names of numbered label columns, where the file itself carries them."""
    notes: list[str] = field(default_factory=list)
    """What was read and ignored, in words."""
    named: Callable[[int], str] | None = None
    """What messages call a row (its number here from 0 -> words), where these are not the rows of one file from first to last."""
    numbers: list[int] | None = None
    """(n,) numbers, from 0, that rows have in what was read, where some of it was left out."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def where(self, row: int) -> str:
        """Data row ``row`` (0-based) in words: ``train.csv, row 17 (the header is row 1)``; of FASTA ``a.fa, record 3``."""
        if self.named is not None:
            return self.named(row)
        counted = "the header is row 1" if self.first_row == 2 else "counted from 1"
        return f"{self.origin}, row {row + self.first_row} ({counted})"

    @classmethod
    def joined(cls, parts: Sequence[RawTable]) -> RawTable:
        """Rows of several files one after another.

        Raises:
            DataError: their columns differ.
        """
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        for part in parts[1:]:
            if part.columns.keys() != first.columns.keys():
                differing = sorted(part.columns.keys() ^ first.columns.keys())
                raise DataError(
                    f"{part.origin}: not the columns of {first.origin} ({differing[0]} is in one of them only)"
                )
        columns = {name: [value for part in parts for value in part.columns[name]] for name in first.columns}
        notes = [note for part in parts for note in part.notes]
        places = [(part, row) for part in parts for row in range(len(part))]

        def named(row: int) -> str:
            part, own = places[row]
            return part.where(own)

        return cls(first.origin, columns, first.first_row, first.class_names, notes, named)

    def take(self, rows: Sequence[int]) -> RawTable:
        """The given rows, called in messages what they are called here."""
        columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        kept = list(rows)
        return RawTable(
            self.origin, columns, self.first_row, self.class_names, self.notes, lambda row: self.where(kept[row])
        )

    def first_of(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if name in self.columns), None)


def rows_to_table(
    raw: RawTable, labels: Sequence[str], truth: np.ndarray | None = None, column: str | None = None
) -> SequenceTable:
    """Validated rows of a raw table: sequences normalised, labels as indices into ``labels``, unless ``truth`` (n, ...) holds them. column: of the
    sequences, None = the first of :data:`SEQUENCE_COLUMNS`.

    Raises:
        DataError: no sequence or label column, a row without one, a letter that is not DNA, a label not in ``labels``.
    """
    column = column or raw.first_of(SEQUENCE_COLUMNS)
    if column is None:
        raise no_column(raw, ", ".join(SEQUENCE_COLUMNS[:3]))
    if not len(raw):
        raise DataError(f"{raw.origin} has a header and no rows")
    truth = label_indices(raw, labels) if truth is None else truth
    texts = [cell_text(value) for value in raw.columns[column]]
    if missing := [row for row, text in enumerate(texts) if _says_nothing(text)]:
        raise DataError(f"{raw.where(missing[0])}: the row has no {column}")
    sequences = normalise_all(texts, raw.where)
    contig, start, end, strand = coordinates(raw)
    return SequenceTable(
        sequences=sequences,
        labels=truth,
        ids=row_ids(raw, truth, labels),
        group=np.array([str(g) for g in raw.columns["group"]], dtype=str) if "group" in raw.columns else None,
        contig=contig,
        start=start,
        end=end,
        strand=strand,
        lower=lower_case(texts),
    )


def no_column(raw: RawTable, wanted: str) -> DataError:
    """The error of a table without the column ``wanted``, with the likeliest reason."""
    header = list(raw.columns)
    what = f"{raw.origin}: no column {wanted} among {', '.join(header) or 'none'}"
    if any(name[:1] == name[-1:] == "'" for name in header):
        return DataError(f"{what}; its names stand in single quotes: use double ones, or none")
    if any(re.fullmatch("[acgtun]{8,}", name) for name in header):
        return DataError(
            f"{raw.origin}: its first row holds a sequence where the names of the columns are expected; "
            "put a row above it (for a csv: sequence,label)"
        )
    return DataError(f"{what}; rename one")


def label_texts(raw: RawTable) -> tuple[list[str], dict[str, str] | None]:
    """The labels (n,) of a table as text, and the names of numbered ones where another column gives them.

    The first of :data:`LABEL_COLUMNS` decides. Another one is carried along and means nothing, unless the first holds numbers and
    the other maps to them one to one: then it names them (``label 0, class promoter``).

    Returns:
        (labels, number -> name or None).

    Raises:
        DataError: no such column, or a row without a label.
    """
    columns = [name for name in LABEL_COLUMNS if name in raw.columns]
    if not columns:
        raise no_column(raw, "label or class")
    values = raw.columns[columns[0]]
    if any(issubclass(kind, list | dict | tuple) for kind in set(map(type, values))):
        row = next(i for i, value in enumerate(values) if isinstance(value, list | dict | tuple))
        raise DataError(f"{raw.where(row)}: {columns[0]} is a list of several values; give one class per row")
    texts = _each_once(values, lambda value: _plain_number(label_text(value)))
    distinct = set(texts)
    if broken := [text for text in distinct if "\n" in text or "\r" in text]:
        row = min(map(texts.index, broken))
        raise DataError(f"{raw.where(row)}: {columns[0]} holds a line break; a quote may stand where none belongs")
    if "" in distinct:
        raise DataError(f"{raw.where(texts.index(''))}: the row has no {columns[0]}")
    if not all(map(is_number, distinct)):
        return texts, None
    for name in columns[1:]:
        others = _each_once(raw.columns[name], label_text)
        pairs = set(zip(texts, others, strict=True))
        one_to_one = len(pairs) == len({number for number, _ in pairs}) == len({other for _, other in pairs})
        if one_to_one and "" not in others and not any(map(is_number, others)):
            return texts, dict(pairs)
    return texts, None


def _each_once(values: Sequence[Any], text_of: Callable[[Any], str]) -> list[str]:
    """The text of each value; of labels as files have them, texts of which there are few, computed once each."""
    known: dict[str, str] = {}
    texts = []
    for value in values:
        if type(value) is not str:
            texts.append(text_of(value))
        elif (text := known.get(value)) is not None:
            texts.append(text)
        else:
            texts.append(known.setdefault(value, text_of(value)))
    return texts


def _plain_number(text: str) -> str:
    """Whole numbers in scientific notation, as R writes them (``1e+05``), without it."""
    if "e" not in text.lower() or not is_number(text):
        return text
    number = float(text)
    return str(int(number)) if number.is_integer() and abs(number) < _LARGEST_WHOLE else text


def cell_text(value: Any) -> str:
    """A cell as text without spaces around it; bytes, as some programs write text to parquet, are ASCII."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "backslashreplace")
    return "" if value is None else str(value).strip()


def is_missing(value: Any) -> bool:
    """Whether a cell holds no value, in whatever way (:data:`MISSING`)."""
    return _says_nothing(cell_text(value))


def _says_nothing(text: str) -> bool:
    return len(text) <= _LONGEST_MISSING and text.lower() in MISSING


def is_number(text: str) -> bool:
    """Whether a label is a number, whole or not."""
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text) is not None


def label_indices(raw: RawTable, labels: Sequence[str]) -> np.ndarray:
    """(n,) int64 indices into ``labels``, from names or numbers (see :func:`label_texts`).

    Raises:
        DataError: no label column, a missing label, or a label that is not among ``labels``.
    """
    texts, names = label_texts(raw)
    if names is not None and set(names.values()) <= set(labels):
        texts = [names[text] for text in texts]
    column = next(name for name in LABEL_COLUMNS if name in raw.columns)
    return _resolve(raw, column, texts, labels)


def _resolve(raw: RawTable, column: str, values: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    by_name = {name: i for i, name in enumerate(labels)}
    by_number = {str(i): i for i in range(len(labels))}
    own = raw.class_names.get(column)
    if own is not None:
        unknown = [name for name in own if name not in by_name]
        if unknown:
            raise DataError(f"{raw.origin}: its label {unknown[0]!r} is not in the card's labels ({', '.join(labels)})")
        by_number = {str(i): by_name[name] for i, name in enumerate(own)}
    distinct = set(values)
    table = next((t for t in (by_name, by_number) if distinct <= t.keys()), None)
    if table is None:
        table = max((by_name, by_number), key=lambda t: len(distinct & t.keys()))
        row = next(i for i, value in enumerate(values) if value not in table)
        raise DataError(f"{raw.where(row)}: label {values[row]!r} is not in the card's labels ({', '.join(labels)})")
    return np.fromiter((table[value] for value in values), dtype=np.int64, count=len(values))


def label_text(value: Any) -> str:
    """A label as text: whole numbers without a point, missing as ""."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    text = cell_text(value)
    if text[:1] == "\N{MINUS SIGN}" and is_number(text[1:]):
        text = f"-{text[1:]}"
    if text[:1] == "+" or "." in text:
        whole = _WHOLE_NUMBER.fullmatch(text)
        return whole[1].removeprefix("+") if whole else text
    return "" if _says_nothing(text) else text


def row_ids(
    raw: RawTable, truth: np.ndarray, labels: Sequence[str], splits: Sequence[str | None] | None = None
) -> np.ndarray:
    """(n,) ids: the file's own, with the class before them where they repeat and there are classes, else row numbers of the file from 0.

    truth: (n,) class of each row, or (n, K). splits: (n,) names; ids may repeat between splits then, if they do not within one.
    """
    within = [""] * len(raw) if splits is None else [str(split) for split in splits]
    column = raw.first_of(ID_COLUMNS)
    if column is not None:
        ids = ["" if value is None else label_text(value) for value in raw.columns[column]]
        of_class = [f"{labels[i]}/{text}" for i, text in zip(truth, ids, strict=True)] if truth.ndim == 1 else ids
        for candidate in (ids, of_class):
            if "" not in ids and len(set(zip(within, candidate, strict=True))) == len(candidate):
                return np.array(candidate, dtype=str)
    return np.array([str(i) for i in raw.numbers or range(len(raw))], dtype=str)


def contig_name(name: str) -> str:
    """A contig without its ``chr``; the mitochondrion, ``M`` or ``MT``, is ``MT``."""
    bare = name.strip()
    if bare[:3].lower() == "chr" and len(bare) > 3:
        bare = bare[3:]
    return "MT" if bare == "M" else bare


def coordinates(
    raw: RawTable,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """(contig, start, end, strand) arrays, or Nones where no row has coordinates; strand "" where not given.

    Rows whose coordinates make no sense (a start or end that is missing or no whole number, an end not after its start, a strand that
    is none) have none (contig ""), and ``raw.notes`` counts them.
    """
    column = next((name for name in raw.columns if CONTIG_COLUMN.fullmatch(name)), None)
    if column is None or "start" not in raw.columns or "end" not in raw.columns:
        return None, None, None, None
    names: dict[str, str] = {}
    texts = [label_text(value) for value in raw.columns[column]]
    contig = np.array([names.setdefault(text, contig_name(text)) for text in texts], dtype=object)
    start, end = _whole_numbers(raw, "start"), _whole_numbers(raw, "end")
    strands = [label_text(value) for value in raw.columns["strand"]] if "strand" in raw.columns else [""] * len(raw)
    known = np.array([strand in STRANDS for strand in strands], dtype=bool)
    sensible = (contig != "") & (start >= 0) & (end > start) & known
    given = np.array([bool(text) or bool(label_text(s)) for text, s in zip(texts, raw.columns["start"], strict=True)])
    if ignored := int((given & ~sensible).sum()):
        raw.notes.append(
            f"{raw.origin}: coordinates of {ignored:,} of {len(raw):,} rows make no sense and are ignored (first: "
            f"{raw.where(int(np.flatnonzero(given & ~sensible)[0])).removeprefix(raw.origin + ', ')})"
        )
    if not sensible.any():
        return None, None, None, None
    contig[~sensible] = ""
    start[~sensible] = end[~sensible] = 0
    plain = [STRANDS.get(strand, "") if fine else "" for strand, fine in zip(strands, sensible, strict=True)]
    return contig.astype(str), start, end, np.array(plain, dtype="<U1")


STRANDS = {"+": "+", "-": "-", "1": "+", "-1": "-", "": "", ".": "", "*": ""}
"""``*`` is either strand, as Bioconductor writes it."""


def _whole_numbers(raw: RawTable, column: str) -> np.ndarray:
    """(n,) int64; -1 for what is no whole number."""
    texts = [_plain_number(label_text(value)) for value in raw.columns[column]]
    return np.array([int(text) if re.fullmatch(r"\d{1,15}", text) else -1 for text in texts], dtype=np.int64)
