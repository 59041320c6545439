"""What the columns of a user's table predict: every registered target is asked which of them hold its labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from findna_bench.data.tabular import LABEL_COLUMNS, RawTable
from findna_bench.errors import BenchError, DataError
from findna_bench.registry import Registry, get_registry, make

__all__ = ["LabelReader", "find_reader"]


class LabelReader(Protocol):
    """The part of a :class:`findna_bench.api.Target` that reads tables."""

    name: str
    default_metric: str
    reads_missing: bool
    of_bases: bool

    def label_columns(self, table: RawTable) -> tuple[str, ...]: ...

    def possible_columns(self, table: RawTable) -> tuple[str, ...]: ...

    def read(self, tables: Sequence[RawTable], columns: Sequence[str]) -> tuple[tuple[str, ...], list[np.ndarray]]: ...

    def in_words(self, truth: np.ndarray, labels: Sequence[str]) -> str: ...


def find_reader(table: RawTable, target: str | None = None, registry: Registry | None = None) -> LabelReader | None:
    """The target that a table's columns speak of, None where they are of classes, or of none. target: the name of one that they hold,
    whatever they speak of.

    A column ``label`` (``class``, ``target``) decides: it holds classes, unless a target claims that very column.

    Raises:
        DataError: the columns are those of several targets, or cannot hold the one that is named.
        UnknownNameError: there is no such target.
    """
    registry = registry or get_registry()
    if target is not None:
        return _chosen(table, target, registry)
    claims: list[tuple[LabelReader, tuple[str, ...]]] = []
    for entry in registry.entries("targets"):
        try:
            reader: Any = make(entry.card.factory, f"target {entry.card.name!r}")
        except BenchError:
            continue  # a plugin that cannot be imported has no say in other people's files
        reader.name, reader.of_bases = entry.card.name, entry.card.of_bases
        if columns := reader.label_columns(table):
            claims.append((reader, tuple(columns)))
    of_classes = {name for name in LABEL_COLUMNS if name in table.columns}
    if of_classes:
        claims = [(reader, columns) for reader, columns in claims if of_classes & set(columns)]
    if len(claims) > 1:
        several = " and ".join(f"{reader.name} ({', '.join(columns[:3])})" for reader, columns in claims)
        raise DataError(
            f"{table.origin}: its columns are those of {several}; leave those of one, or choose with --target"
        )
    return claims[0][0] if claims else None


def _chosen(table: RawTable, target: str, registry: Registry) -> LabelReader | None:
    card = registry.resolve("targets", target).card
    if card.name == "classes":
        return None
    reader: Any = make(card.factory, f"target {card.name!r}")
    reader.name, reader.of_bases = card.name, card.of_bases
    if not reader.possible_columns(table):
        raise DataError(
            f"{table.origin}: --target {card.name}: none of its columns ({', '.join(table.columns)}) can hold {card.name}; "
            "leave the option out, or name a column as the target has it"
        )
    return _Chosen(reader)


class _Chosen:
    """A target that was named, of whose columns a table need not speak."""

    def __init__(self, reader: LabelReader) -> None:
        self.name, self.default_metric = reader.name, reader.default_metric
        self.reads_missing, self.of_bases = reader.reads_missing, reader.of_bases
        self.label_columns = self.possible_columns = reader.possible_columns
        self.read, self.in_words = reader.read, reader.in_words
