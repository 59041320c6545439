"""Audits of tasks with numbers or several labels: every output is audited as two classes, and the report has a line for each.

A number is cut at its median in train; a label is had or not, and rows of which it is not known are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from findna_bench.auditing.audit_report import AuditReport, Verdict
from findna_bench.auditing.verdict import level_of
from findna_bench.cards import TaskCard
from findna_bench.data.table import SequenceTable
from findna_bench.errors import UnsupportedError
from findna_bench.relatedness.rows import Rows, rows_from_table

__all__ = ["TwoClasses", "audit_outputs"]

TwoClasses = tuple[str, TaskCard, dict[str, np.ndarray], dict[str, np.ndarray]]
"""Name of an output, the card of its two classes, and per split the classes (m,) of its known rows and their numbers (m,)."""


def audit_outputs(
    tables: Mapping[str, SequenceTable],
    card: TaskCard,
    audit: Callable[[dict[str, Rows], TaskCard, dict[str, np.ndarray] | None], AuditReport],
) -> AuditReport:
    """The report of the only output; of several the report of the worst one, with the verdicts and the reports of all.

    Args:
        tables: splits, labels (n, K).
        card: of the task.
        audit: makes the report of rows (of all splits) with two classes; the third argument are the classes that take the place of
            the rows' own where all rows are known, so that what was measured of the rows is used again.

    Raises:
        UnsupportedError: no output has two classes in train.
    """
    rows = {
        split: rows_from_table(replace(table, labels=np.zeros(len(table), dtype=np.int64)))
        for split, table in tables.items()
    }
    reports: dict[str, AuditReport] = {}
    alike = []
    for name, two, classes, known in _two_classes(tables, card):
        first = classes.get("train", next(iter(classes.values())))
        if len(np.unique(first)) < 2 or not all(map(len, classes.values())):
            alike.append(name)
        elif all(len(known[split]) == len(rows[split]) for split in rows):
            reports[name] = audit(rows, two, classes)
        else:
            some = {s: replace(rows[s].take(known[s]), labels=classes[s]) for s in rows}
            reports[name] = audit(some, two, None)
    if not reports:
        raise UnsupportedError(
            f"task {card.full_name}: its train rows are all alike, so that there is nothing to audit"
        )
    worst = max(reports.values(), key=lambda report: _badness(report.verdict))
    if len(card.labels) == 1:
        return worst
    findings = [
        replace(finding, text=f"{name}: {finding.text}")
        for name, report in reports.items()
        for finding in report.verdict.findings
    ]
    flags = tuple(dict.fromkeys(finding.flag for finding in findings))
    sentences = [f"{name}: {report.verdict.level}. {report.verdict.text}" for name, report in reports.items()]
    sentences += [f"{name}: not audited, its rows are all alike." for name in alike]
    return replace(
        worst,
        labels=tuple(card.labels),
        metric=card.metric,
        verdict=Verdict(level_of(findings), flags, tuple(sentences), tuple(findings), worst.verdict.looked_at),
        outputs=reports,
    )


def _badness(verdict: Verdict) -> tuple[int, int]:
    levels = ("clean", "note", "shortcut", "leak", "shortcut and leak")
    return levels.index(verdict.level) if verdict.level in levels else -1, len(verdict.flags)


def _two_classes(tables: Mapping[str, SequenceTable], card: TaskCard) -> Iterator[TwoClasses]:
    first = tables.get("train", next(iter(tables.values())))
    for k, name in enumerate(card.labels):
        columns = {split: table.labels[:, k] for split, table in tables.items()}
        if first.labels.dtype.kind == "f":
            median = float(np.median(first.labels[:, k]))
            classes = {split: (values > median).astype(np.int64) for split, values in columns.items()}
            known = {split: np.arange(len(values)) for split, values in columns.items()}
            names = (f"{name} up to {median:.4g}", f"{name} above {median:.4g}")
        else:
            known = {split: np.flatnonzero(values >= 0) for split, values in columns.items()}
            classes = {split: columns[split][known[split]].astype(np.int64) for split in columns}
            names = (f"without {name}", name)
        yield name, replace(card, labels=names, target="classes", metric="accuracy", counts={}), classes, known
