"""Scores of variants that were computed elsewhere (phyloP, CADD, another model): ``scores:FILE``, a table joined by variant.

Columns ``score`` and one of ``id``; ``chrom, pos, ref, alt`` (pos from 1); ``element, offset, ref, alt``; ``sequence, offset, ref, alt``. Scores are
taken as they are: that high means what the task's labels mean is up to whoever made the file (``--preset negative`` turns them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from findna_bench.data.table_files import read_table
from findna_bench.data.tabular import CONTIG_COLUMN, RawTable, contig_name, is_number, label_text
from findna_bench.errors import DataError, ModelError
from findna_bench.files import open_regular

if TYPE_CHECKING:
    from findna_bench.data.table import SequenceTable

__all__ = ["ScoreFile"]

_KEYS = (
    ("id",),
    ("chrom", "pos", "ref", "alt"),
    ("element", "offset", "ref", "alt"),
    ("sequence", "offset", "ref", "alt"),
)


class ScoreFile:
    """Numbers by variant; nothing is fitted.

    Raises:
        DataError: the file cannot be read, lacks columns, holds what is no number, or two scores of one variant.
    """

    varies: ClassVar[tuple[str, ...]] = ()
    thread_invariant: ClassVar[bool] = True

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with open_regular(self.path) as stream:
            raw = read_table(stream, self.path.name, str(self.path))
        contig = next((name for name in raw.columns if CONTIG_COLUMN.fullmatch(name)), None)
        if contig is not None:
            raw.columns["chrom"] = [contig_name(label_text(value)) for value in raw.columns[contig]]
        if "position" in raw.columns:
            raw.columns.setdefault("pos", raw.columns["position"])
        self._by = next((key for key in _KEYS if set(key) <= raw.columns.keys()), ())
        if "score" not in raw.columns or not self._by:
            raise DataError(
                f"{self.path}: columns {', '.join(raw.columns)}; give score, and id, or chrom, pos, ref and alt, or offset, ref and alt with "
                "element or sequence"
            )
        self._scores = dict(self._read(raw))

    @property
    def settings(self) -> Mapping[str, Any]:
        """What variants are joined by, and how many there are."""
        return {"joined_by": list(self._by), "scores": len(self._scores)}

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> None:
        """Scores of a file are not fitted.

        Raises:
            ModelError: always.
        """
        raise ModelError(f"{self.path}: scores that were computed elsewhere are not fitted; use --protocol zero_shot")

    def predict_scores(self, table: SequenceTable) -> np.ndarray:
        """(n, 1): :meth:`score`."""
        return self.score(table)[:, None]

    def score(self, table: SequenceTable) -> np.ndarray:
        """(n,) float64, NaN for variants that the file does not hold.

        Raises:
            DataError: it holds none of them, or the task does not know what they are joined by.
        """
        found = np.array([self._scores.get(key, np.nan) for key in self._keys(table)])
        if (
            "given_variant" in table.extra
        ):  # insertions and deletions as the task's file had them, before they were moved
            others = self._keys(replace(table, extra=table.extra | _given(table)))
            found = np.where(np.isnan(found), [self._scores.get(key, np.nan) for key in others], found)
        if np.isnan(found).all():
            raise DataError(
                f"{self.path} has a score for none of the {len(table):,} variants, joined by {', '.join(self._by)}"
            )
        return found

    def _read(self, raw: RawTable) -> Iterator[tuple[tuple[str, ...], float]]:
        known: set[tuple[str, ...]] = set()
        for row in range(len(raw)):
            key = tuple(_cell(name, raw.columns[name][row]) for name in self._by)
            text = label_text(raw.columns["score"][row])
            if not text:
                continue  # no score, as for a variant that is not there
            if not is_number(text):
                raise DataError(f"{raw.where(row)}: score {text!r} is no number")
            if key in known:
                raise DataError(f"{raw.where(row)}: a second score of one variant ({' '.join(key)[:80]})")
            known.add(key)
            yield key, float(text)

    def _keys(self, table: SequenceTable) -> Sequence[tuple[str, ...]]:
        columns: dict[str, Any] = {
            "id": table.ids,
            "sequence": table.sequences,
            "chrom": table.contig,
            "pos": None if table.start is None else table.start + table.extra["offset"] + 1,
            **table.extra,
        }
        if lacking := [name for name in self._by if columns.get(name) is None]:
            raise DataError(
                f"{self.path} is joined by {', '.join(self._by)}, and the task knows no {' and '.join(lacking)}"
            )
        return [
            tuple(map(str, key)) for key in zip(*(np.asarray(columns[name]).tolist() for name in self._by), strict=True)
        ]


def _given(table: SequenceTable) -> dict[str, np.ndarray]:
    """``offset``, ``ref`` and ``alt`` (n,) as the file of the task had them."""
    parts = [text.split(" ") for text in table.extra["given_variant"].tolist()]
    return {
        "offset": np.array([int(part[0]) for part in parts], dtype=np.int64),
        **{name: np.array([part[k] for part in parts], dtype=str) for k, name in ((1, "ref"), (2, "alt"))},
    }


def _cell(name: str, value: Any) -> str:
    text = label_text(value) if name not in ("ref", "alt", "sequence") else str(value or "").strip().upper()
    return "" if name in ("ref", "alt") and text in ("-", ".") else text
