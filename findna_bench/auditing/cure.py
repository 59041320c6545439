"""A split written anew, so that what an audit found is no longer there: filtered, trimmed alike in all classes, and dealt by relatives.

What is done, in this order, and again while the audit of what came out still finds something that more of it can cure:

1. rows whose sequence (on either strand) has several labels are left out, and of equal rows of one label all but the first; again once
   rows are cut, for what differed in its ends alone is equal then;
2. where length gives the class away, all rows are cut to the same number of bases around their middle, and shorter ones left out; where the
   ends do, so many bases are cut from both ends of every row of every class;
3. all rows are dealt to the splits anew in the proportions they had, relatives on one side, copies at low identity among them.

Of rows that are known by coordinates alone, as those of ``scripts/make_clean_suite.py`` are, the same steps are done by overlaps.

Letter case is not written. What stands inside of rows (a site, composition) cannot be cured by a split: then the result is called what it is.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from findna_bench.auditing.audit_report import AuditReport
from findna_bench.auditing.auditing import audit_tables
from findna_bench.auditing.variant_audits import holds_variant_rows
from findna_bench.cards import TaskCard
from findna_bench.data.length_matching import length_matched, trimmed
from findna_bench.data.resplitting import pooled_rows, regrouped
from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError, UnsupportedError
from findna_bench.files import write_atomic
from findna_bench.relatedness.components import components
from findna_bench.relatedness.diverged_copies import diverged_copies
from findna_bench.relatedness.duplicates import duplicate_groups

__all__ = ["Cure", "cure_tables", "cut_alike", "deal_anew", "write_cure"]

TRIMS = (0, 6, 12, 24)
"""Bases cut from both ends, one after another while the ends give the class away."""
_ROUNDS = 5
_SEED = 0


@dataclass(frozen=True)
class Cure:
    """Rows split anew.

    Attributes:
        tables: by split.
        moves: row (``<split>/<id>``) -> where it went ("" = left out), and why.
        trim: bases cut from both ends of every row. crop: bases that rows were cut to, None = not.
        before, after: audits of what was given and of what is written.
    """

    tables: Mapping[str, SequenceTable]
    moves: Mapping[str, tuple[str, str]]
    trim: int
    crop: int | None
    before: AuditReport
    after: AuditReport

    @property
    def clean(self) -> bool:
        """Whether the audit finds no leak, no shortcut, no conflict and no asymmetry in what is written; notes may be left."""
        return self.after.verdict.level in ("clean", "note")

    @property
    def sentence(self) -> str:
        """What came out, in words."""
        n = sum(len(table) for table in self.tables.values())
        left_out = sum(not to for to, _ in self.moves.values())
        done = f"{n:,} rows written, {left_out:,} left out"
        done += f", {self.trim} bases cut from both ends of every row" if self.trim else ""
        done += f", cut to {self.crop} bases" if self.crop else ""
        flags = ", ".join(self.after.flags) or "none"
        verdict = f"audited again: {self.after.verdict.level} (flags: {flags})"
        return f"{done}; {verdict}" if self.clean else f"{done}; NOT clean, {verdict}"


def cure_tables(tables: Mapping[str, SequenceTable], card: TaskCard) -> Cure:
    """Split rows anew so that an audit finds less in them.

    Args:
        tables: train and test, or more, with classes as labels.
        card: of the task.

    Raises:
        UnsupportedError: rows have no classes, or there is no train or test.
        DataError: too little is left of a class.
    """
    if any(table.labels.ndim > 1 for table in tables.values()):
        raise UnsupportedError(
            f"task {card.full_name}: only rows with classes are written anew; --split grouped splits others by relatives"
        )
    if any(table.sequences_b is not None for table in tables.values()):
        raise UnsupportedError(
            f"task {card.full_name}: rows that are pairs are not written anew; --split grouped keeps pairs with a common side together"
        )
    if holds_variant_rows(tables):
        raise UnsupportedError(
            f"task {card.full_name}: rows that are variants are not written anew; --split grouped keeps those of one window, or of one group, together"
        )
    if not {"train", "test"} <= tables.keys():
        raise UnsupportedError(f"task {card.full_name}: only {', '.join(tables)} is there; give train and test")
    before = audit_tables(tables, card)
    kept, left_out = _filtered(tables)
    crop = _crop(kept) if "shortcut: length" in before.flags else None
    best: Cure | None = None
    for trim in TRIMS if "shortcut: ends" in before.flags else TRIMS[:1]:
        if best is not None and _shortest(kept, crop) <= 4 * trim:
            break  # more would be cut than is left
        cut, short = cut_alike(kept, crop, trim)
        cut, equal = _filtered(cut) if crop or trim else (cut, {})
        new = deal_anew(cut, card.labels)
        moves = {**left_out, **short, **equal, **_moves(new)}
        best = Cure(new, moves, trim, crop, before, audit_tables(new, card))
        if "shortcut: ends" not in best.after.flags and (trim or "shortcut: ends" not in before.flags):
            break
    assert best is not None
    return best


def _filtered(tables: Mapping[str, SequenceTable]) -> tuple[dict[str, SequenceTable], dict[str, tuple[str, str]]]:
    """Rows that are left, and those that are not with the reason."""
    pooled = pooled_rows(tables)
    group = duplicate_groups(pooled.sequences)
    labels_of = np.zeros((int(group.max()) + 1, int(pooled.labels.max()) + 1), dtype=bool)
    labels_of[group, pooled.labels] = True
    _, first = np.unique(group, return_index=True)
    left_out: dict[str, tuple[str, str]] = {}
    keep = np.ones(len(pooled), dtype=bool)
    for row, name in enumerate(pooled.ids.tolist()):
        if labels_of[group[row]].sum() > 1:
            keep[row], left_out[name] = False, ("", "its sequence has several labels")
        elif first[group[row]] != row:
            original = pooled.ids[first[group[row]]]
            keep[row], left_out[name] = False, ("", f"the same sequence as {original}, on either strand")
    out, begin = {}, 0
    for split, table in tables.items():
        rows = np.flatnonzero(keep[begin : begin + len(table)])
        out[split] = replace(table.take(rows), lower=None)
        begin += len(table)
    if any(not len(table) for table in out.values()):
        raise DataError("a split has no row left that stands there once and under one label; nothing is written")
    return out, left_out


def _shortest(tables: Mapping[str, SequenceTable], crop: int | None) -> int:
    """Bases of a row that is shorter than nine tenths of all."""
    lengths = [len(sequence) for table in tables.values() for sequence in table.sequences]
    return crop or int(np.quantile(lengths, 0.1))


def _crop(tables: Mapping[str, SequenceTable]) -> int:
    """Bases that at least nine tenths of every class have."""
    pooled = pooled_rows(tables)
    lengths = np.array([len(sequence) for sequence in pooled.sequences])
    return int(min(np.quantile(lengths[pooled.labels == label], 0.1) for label in np.unique(pooled.labels)))


def cut_alike(
    tables: Mapping[str, SequenceTable], crop: int | None, trim: int
) -> tuple[dict[str, SequenceTable], dict[str, tuple[str, str]]]:
    """Rows cut alike in all classes, and those that are too short with the reason.

    Args:
        tables: by split; rows may be known by coordinates alone.
        crop: bases around the middle that every row has afterwards, those of ``trim`` counted in; None = rows stay as long as they are.
        trim: bases cut from both ends.
    """
    out: dict[str, SequenceTable] = {}
    short: dict[str, tuple[str, str]] = {}
    for split, table in tables.items():
        rows = trimmed(table, trim)
        if crop is not None:
            rows = length_matched(rows, "crop", length=crop - 2 * trim)
            gone = sorted(set(table.ids.tolist()) - set(rows.ids.tolist()))
            short |= {f"{split}/{i}": ("", f"shorter than {crop} bases, which all rows are cut to") for i in gone}
        out[split] = rows
    return out, short


def deal_anew(tables: Mapping[str, SequenceTable], labels: Sequence[str]) -> dict[str, SequenceTable]:
    """All rows dealt to the splits anew, in the proportions that they have and with relatives on one side.

    Groups that a copy at low identity joins are joined, too. Rows that are known by coordinates alone are related by overlaps.

    Args:
        tables: by split.
        labels: names of the classes.
    """
    pooled = pooled_rows(tables)
    groups = components(pooled)
    place = {name: row for row, name in enumerate(pooled.ids.tolist())}
    new = regrouped(tables, labels, _SEED, groups=groups).tables
    for _ in range(_ROUNDS if any(pooled.sequences) else 0):
        train, test = new["train"], new["test"]
        found = diverged_copies(test.sequences, train.sequences, np.arange(len(test)))
        pairs = [
            (place[test.ids[row]], place[train.ids[target]])
            for row, target in zip(found.rows.tolist(), found.target.tolist(), strict=True)
            if target >= 0
        ]
        if not pairs:
            break
        for a, b in pairs:
            groups[groups == groups[a]] = groups[b]
        new = regrouped(tables, labels, _SEED, groups=groups).tables
    return new


def _moves(tables: Mapping[str, SequenceTable]) -> dict[str, tuple[str, str]]:
    moves = {}
    for split, table in tables.items():
        for name in table.ids.tolist():
            source = str(name).partition("/")[0]
            moves[str(name)] = (split, "stays" if source == split else "dealt anew, with its relatives on one side")
    return moves


def write_cure(cure: Cure, folder: Path) -> list[Path]:
    """Write ``train.csv``, ``test.csv`` (``validation.csv``), ``moves.csv`` and ``manifest.json``.

    Raises:
        OutputError: the folder cannot be written.
    """
    written = []
    for split, table in cure.tables.items():
        written.append(folder / f"{split}.csv")
        write_atomic(written[-1], _rows(table, cure.after.labels))
    moves = [(name, *name.split("/", 1)[:1], to, why) for name, (to, why) in cure.moves.items()]
    written.append(folder / "moves.csv")
    write_atomic(written[-1], _csv(("row", "from", "to", "why"), moves))
    manifest = {
        "task": cure.before.task,
        "rows": {split: len(table) for split, table in cure.tables.items()},
        "left_out": sum(not to for to, _ in cure.moves.values()),
        "trim": cure.trim,
        "crop": cure.crop,
        "seed": _SEED,
        "clean": cure.clean,
        "before": _verdict(cure.before),
        "after": _verdict(cure.after),
    }
    written.append(folder / "manifest.json")
    write_atomic(written[-1], json.dumps(manifest, indent=1) + "\n")
    return written


def _verdict(report: AuditReport) -> dict[str, object]:
    verdict = report.verdict
    return {"level": verdict.level, "flags": list(verdict.flags), "text": verdict.text}


def _rows(table: SequenceTable, labels: tuple[str, ...]) -> str:
    columns: dict[str, list[object]] = {
        "sequence": list(table.sequences),
        "label": [labels[label] for label in table.labels.tolist()],
        "id": table.ids.tolist(),
    }
    for name in ("group", "contig", "start", "end", "strand"):
        values: np.ndarray | None = getattr(table, name)
        if values is not None:
            columns[name] = values.tolist()
    return _csv(tuple(columns), list(zip(*columns.values(), strict=True)))


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    return text.getvalue()
