"""Rows that a task's factory makes, checked as rows of a file are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.catalog import SPLITS
from findna_bench.data.pairs import with_strata
from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.plugin_code import plugin_code
from findna_bench.registry import get_registry, load_factory, make

__all__ = ["check_generated", "generated_tables"]

_SEQUENCE = re.compile(r"[ACGTN]+")
_COLUMNS = ("group", "contig", "start", "end", "strand", "place")


def generated_tables(card: TaskCard) -> dict[str, SequenceTable]:
    """What the factory of a task's card makes, by split.

    Raises:
        PluginError: it cannot be imported, or raises something. DataError: what it makes is no task; the message names task,
            factory, split and row.
    """
    what = f"task {card.full_name}"
    factory = load_factory(card.factory or "", what)
    with plugin_code(what, card.factory or "", called=factory):
        found = factory(card.config)
    where = f"{what} ({card.factory})"
    if not isinstance(found, Mapping):
        raise DataError(f"{where}: its factory makes a {type(found).__name__}, not tables by split")
    if not found:
        raise DataError(f"{where}: its factory makes no split")
    for split, table in found.items():
        if split not in SPLITS:
            raise DataError(f"{where}: its factory makes a split {split!r}; splits are {', '.join(SPLITS)}")
        check_generated(card, split, table)
    if "train" not in found and not (card.inputs == "variant" and list(found) == ["test"]):
        raise DataError(f"{where}: its factory makes no split train; rows of variants may be test rows alone")
    return with_strata(found) if card.inputs == "pair" else dict(found)


def check_generated(card: TaskCard, split: str, table: Any) -> None:
    """One split of a generated task.

    Raises:
        DataError: its rows are not what a table promises; the message names the first that is not.
    """
    where = f"task {card.full_name} ({card.factory}), {split}"
    if not isinstance(table, SequenceTable):
        raise DataError(f"{where}: a {type(table).__name__}, not a findna_bench.api.SequenceTable")
    if not isinstance(table.sequences, list):
        raise DataError(f"{where}: sequences must be a list of texts, not a {type(table.sequences).__name__}")
    if not table.sequences:
        raise DataError(f"{where}: there are no rows")
    for name in ("labels", "ids", *_COLUMNS):
        column = getattr(table, name)
        if column is None and name in _COLUMNS:
            continue
        if not isinstance(column, np.ndarray) or column.shape[:1] != (len(table),):
            shape = getattr(column, "shape", "")
            raise DataError(
                f"{where}: {name} must be a NumPy array of {len(table)} rows, not a {type(column).__name__} {shape}".rstrip()
            )
    _check_ids(table, where)
    if (table.sequences_b is not None) != (card.inputs == "pair"):
        has = "no " if table.sequences_b is None else ""
        raise DataError(f"{where}: its card says that a row holds a {card.inputs}, and its rows have {has}sequences_b")
    for row, sides in enumerate(table.texts):
        for sequence in sides:
            if not isinstance(sequence, str) or not _SEQUENCE.fullmatch(sequence):
                raise DataError(
                    f"{where}: row {row} ({table.ids[row]}): {_wrong(sequence)}; a sequence is one or more of A, C, G, T, N in upper case"
                )
    _check_labels(card, split, table, where)


def _check_labels(card: TaskCard, split: str, table: SequenceTable, where: str) -> None:
    target: Any = make(get_registry().resolve("targets", card.target).card.factory, f"target {card.target!r}")
    with plugin_code(f"target {card.target!r}"):
        target.check(table, card.labels, where)
        held = target.counts(table.labels, card.labels)
    if split == "train" and (absent := [name for name, n in held.items() if not n]):
        raise DataError(f"{where}: there is no row of {absent[0]!r}, which the card names among its labels")


def _check_ids(table: SequenceTable, where: str) -> None:
    if table.ids.ndim != 1:
        raise DataError(f"{where}: ids must be one per row, not of shape {table.ids.shape}")
    first: dict[str, int] = {}
    for row, name in enumerate(table.ids.tolist()):
        if name is None or name == "":
            raise DataError(f"{where}: row {row} has no id")
        if (earlier := first.setdefault(str(name), row)) != row:
            raise DataError(f"{where}: rows {earlier} and {row} have the same id {name!r}")


def _wrong(sequence: Any) -> str:
    if not isinstance(sequence, str):
        return f"its sequence is a {type(sequence).__name__}"
    if not sequence:
        return "its sequence is empty"
    return f"its sequence holds {next(letter for letter in sequence if letter not in 'ACGTN')!r}"
