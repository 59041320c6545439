"""The audit of pairs: pairs and sides found again, and what distance, lengths, one side or a shared side alone predict."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from findna_bench.auditing import shortcuts
from findna_bench.auditing.audit_report import (
    AuditReport,
    CrossSplit,
    SplitSummary,
    histograms,
    per_class,
    summarise_classes,
)
from findna_bench.auditing.examples import Behind, ExampleRows
from findna_bench.auditing.output_audits import audit_outputs
from findna_bench.auditing.rare_labels import Columns, KnownRows
from findna_bench.auditing.relatives import copies_of
from findna_bench.auditing.verdict import Measured, asymmetries, judge_pairs
from findna_bench.cards import TaskCard
from findna_bench.data.catalog import SPLITS
from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.models.combinations import SYMMETRIC
from findna_bench.relatedness.composition import composition
from findna_bench.relatedness.duplicates import Identity, twins_across, twins_within
from findna_bench.relatedness.rows import Rows
from findna_bench.sequences.alphabet import reverse_complement

__all__ = ["audit_pairs"]

_HEAD = 18
"""Bases of a side that an example shows."""


def audit_pairs(tables: Mapping[str, SequenceTable], card: TaskCard, *, status: str = "") -> AuditReport:
    """Audit splits of pairs; of several numbers or labels, each as two classes.

    Two pairs are the same where both sides are, in either order if the card's combination is symmetric; on either strand, side by side.

    Raises:
        DataError: no split, or an empty one. UnsupportedError: no number or label has two classes in train.
    """
    tables = {name: tables[name] for name in SPLITS if name in tables}
    if not tables or any(not len(table) for table in tables.values()):
        raise DataError(f"task {card.full_name}: nothing to audit, a split is absent or empty; import the task again")
    if not any(table.labels.ndim > 1 for table in tables.values()):
        return _audit_classes(tables, card, status)

    def audit(known: KnownRows, two: TaskCard, looks: int) -> AuditReport:
        some = {split: replace(t.take(known.rows[split]), labels=known.classes[split]) for split, t in tables.items()}
        return _audit_classes(some, two, status, looks)

    return audit_outputs(tables, card, audit, _columns)


def _audit_classes(tables: Mapping[str, SequenceTable], card: TaskCard, status: str, looks: int = 1) -> AuditReport:
    names = card.labels
    strands = _canonical(tables)
    identity = _identities(tables, strands, symmetric=card.combination in SYMMETRIC)
    summaries = {name: _summary(table, identity[name], names) for name, table in tables.items()}
    found = {
        (a, b): _across((a, tables[a]), (b, tables[b]), identity, strands) for a, b in itertools.combinations(tables, 2)
    }
    across = {
        f"{a}->{b}": CrossSplit.of(a, b, {key: per_class(mask, tables[b].labels, names) for key, mask in masks.items()})
        for (a, b), masks in found.items()
    }
    cross = across.get("train->test")
    controls = _controls(tables["train"], tables["test"], strands, names) if cross is not None else {}
    return AuditReport(
        task=card.full_name,
        labels=tuple(names),
        metric=card.metric,
        status=status,
        route="sequences",
        splits=summaries,
        across=across,
        asymmetry=asymmetries(cross),
        controls=controls,
        similarity_bins=(),
        verdict=judge_pairs(
            Measured(
                splits=summaries,
                cross=cross,
                controls=controls,
                looks=looks,
                rows=_example_rows(tables, names, found.get(("train", "test"), {})),
                looked_at=(
                    *(f"{len(table):,} pairs of {name}" for name, table in tables.items()),
                    "sequences of both sides, on either strand",
                ),
            )
        ),
        known_shortcuts=tuple(card.known_shortcuts),
        settings={"pairs": {"combination": card.combination, "ordered": card.combination not in SYMMETRIC}},
        histograms=_histograms(tables, names),
    )


def _canonical(tables: Mapping[str, SequenceTable]) -> dict[str, str]:
    """Each side -> what it is called on whichever strand."""
    sides = {side for table in tables.values() for row in table.texts for side in row}
    return {side: min(side, reverse_complement(side)) for side in sides}


def _identities(
    tables: Mapping[str, SequenceTable], strands: Mapping[str, str], *, symmetric: bool
) -> dict[str, Identity]:
    exact: dict[tuple[str, ...], int] = {}
    either: dict[tuple[str, ...], int] = {}

    def number(known: dict[tuple[str, ...], int], rows: Sequence[tuple[str, ...]]) -> np.ndarray:
        keys = (tuple(sorted(row)) if symmetric else row for row in rows)
        return np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.int64)

    return {
        name: Identity(number(exact, table.texts), number(either, [tuple(strands[s] for s in r) for r in table.texts]))
        for name, table in tables.items()
    }


def _joined(table: SequenceTable) -> list[str]:
    return ["".join(row) for row in table.texts]


def _summary(table: SequenceTable, identity: Identity, names: Sequence[str]) -> SplitSummary:
    twins = twins_within(identity, table.labels)
    return SplitSummary(
        len(table),
        summarise_classes(table.labels, names, table.lengths, composition(_joined(table))),
        exact=per_class(twins.exact, table.labels, names),
        reverse_complement=per_class(twins.reverse_complement, table.labels, names),
        conflicting=per_class(twins.conflicting, table.labels, names),
    )


def _across(
    earlier: tuple[str, SequenceTable],
    later: tuple[str, SequenceTable],
    identity: Mapping[str, Identity],
    strands: Mapping[str, str],
) -> dict[str, np.ndarray]:
    """Measure -> (n,) bool, pairs of the later split that are found again in the earlier one."""
    (first_name, first), (second_name, second) = earlier, later
    twins = twins_across(identity[second_name], second.labels, identity[first_name], first.labels)
    known = {strands[side] for row in first.texts for side in row if side.strip("N")}
    copied = copies_of(known, {strands[side] for row in second.texts for side in row if side.strip("N")} - known)
    shared = np.array([any(strands[side] in known for side in row) for row in second.texts], dtype=bool)
    related = shared | np.array([any(strands[side] in copied for side in row) for row in second.texts], dtype=bool)
    return {
        "exact": twins.exact,
        "reverse_complement": twins.reverse_complement,
        "conflicting": twins.conflicting,
        "shared_side": shared,
        "related_side": related,
        "untouched": ~(related | twins.exact | twins.reverse_complement),
    }


def _example_rows(
    tables: Mapping[str, SequenceTable], names: Sequence[str], masks: Mapping[str, np.ndarray]
) -> ExampleRows:
    """Pairs as examples show them: the beginnings of both sides."""
    splits = {
        name: Rows(
            labels=table.labels,
            ids=table.ids,
            lengths=np.array([sum(map(len, row)) for row in table.texts], dtype=np.int64),
            sequences=[" | ".join(side[:_HEAD] for side in row) for row in table.texts],
        )
        for name, table in tables.items()
    }
    if "exact" in masks:
        masks = {**masks, "identical": masks["exact"] | masks["reverse_complement"]}
    return ExampleRows(splits, names, {name: Behind("test", mask) for name, mask in masks.items()})


# ------------------------------------------------------------------------------------------------------------- controls


def _controls(
    train: SequenceTable, test: SequenceTable, strands: Mapping[str, str], names: Sequence[str]
) -> dict[str, shortcuts.Control]:
    labels = train.labels
    features = {"length-trees": _lengths, "distance-trees": _distances, "composition-trees": _composition}
    predicted = {"majority": shortcuts.majority(labels, len(test), len(names))}
    for name, of in features.items():
        mine, theirs = of(train), of(test)
        if mine is not None and theirs is not None:
            predicted[name] = shortcuts.boosted_trees(mine, labels, theirs)
    for side in ("a", "b"):
        one, other = train.side(side).sequences, test.side(side).sequences
        predicted[f"side-{side}"] = shortcuts.kmer_regression(one, labels, other)
    predicted["shared-side"] = _shared_side(train, test, strands, len(names))
    return {name: shortcuts.control(test.labels, found, names) for name, found in predicted.items()}


def _columns(train: SequenceTable, test: SequenceTable) -> Columns:
    """What rules on rare labels read."""
    trees = {}
    for name, of in {"length": _lengths, "distance": _distances, "composition": _composition}.items():
        mine, theirs = of(train), of(test)
        if mine is not None and theirs is not None:
            trees[name] = (mine, theirs)
    return Columns(trees)


def _lengths(table: SequenceTable) -> np.ndarray:
    """(n, 8): of each side its bases, N among them, and N at its start and its end."""
    columns = [
        (len(s), s.count("N"), len(s) - len(s.lstrip("N")), len(s) - len(s.rstrip("N")))
        for row in table.texts
        for s in row
    ]
    return np.array(columns, dtype=np.float64).reshape(len(table), -1)


def _distances(table: SequenceTable) -> np.ndarray | None:
    """(n, 1 to 3): distance, NaN where it is not known, and strands; None where rows have neither."""
    columns = [table.extra["distance"]] if "distance" in table.extra else []
    if (strand := table.extra.get("strand")) is not None:
        columns += [(strand == sign).astype(np.float64) for sign in "+-"]
    return np.column_stack(columns) if columns else None


def _composition(table: SequenceTable) -> np.ndarray:
    """(n, 36): GC, N and dinucleotides of both sides."""
    sides = [composition(table.side(name).sequences) for name in ("a", "b")]
    return np.column_stack([part for side in sides for part in (side.gc, side.n, side.dinucleotides)])


def _shared_side(train: SequenceTable, test: SequenceTable, strands: Mapping[str, str], n_classes: int) -> np.ndarray:
    """(m,) the class that train pairs with the same sides mostly have; the majority class where there are none."""
    counts: dict[str, np.ndarray] = {}
    for row, label in zip(train.texts, train.labels.tolist(), strict=True):
        for side in {strands[side] for side in row}:
            counts.setdefault(side, np.zeros(n_classes))[label] += 1
    overall = np.bincount(train.labels, minlength=n_classes) / len(train)
    means = {side: (found + overall) / (found.sum() + 1) for side, found in counts.items()}
    scores = [sum(means.get(strands[side], overall) for side in row) for row in test.texts]
    found: np.ndarray = np.asarray(scores).argmax(axis=1)
    return found


def _histograms(tables: Mapping[str, SequenceTable], names: Sequence[str]) -> dict[str, Any]:
    columns: dict[str, dict[str, np.ndarray]] = {
        "length": {name: table.lengths for name, table in tables.items()},
        "gc": {name: composition(_joined(table)).gc for name, table in tables.items()},
    }
    return histograms(columns, {name: table.labels for name, table in tables.items()}, names)
