"""Audits of tasks with numbers or several labels: every output is audited as two classes, and the report has a line for each.

A number is cut at its median in train; a label is had or not, and rows of which it is not known are left out. The more outputs, the more
standard errors a finding needs, so that many accuse no more often than one; labels that few rows have are looked at once more
(:mod:`findna_bench.auditing.rare_labels`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from findna_bench.auditing.audit_report import AuditReport, Verdict
from findna_bench.auditing.rare_labels import Columns, KnownRows, with_rare_labels
from findna_bench.auditing.verdict import level_of
from findna_bench.cards import TaskCard
from findna_bench.data.table import SequenceTable
from findna_bench.errors import UnsupportedError

__all__ = ["TwoClasses", "audit_outputs"]

TwoClasses = tuple[str, TaskCard, KnownRows]
"""Name of an output, the card of its two classes, and its known rows with their classes."""


def audit_outputs(
    tables: Mapping[str, SequenceTable],
    card: TaskCard,
    audit: Callable[[KnownRows, TaskCard, int], AuditReport],
    columns: Callable[[SequenceTable, SequenceTable], Columns],
) -> AuditReport:
    """The report of the only output; of several the report of the worst one, with the verdicts and the reports of all.

    Args:
        tables: splits, labels (n, K).
        card: of the task.
        audit: makes the report of known rows with two classes; the number is that of all outputs.
        columns: what rules on rare labels read of train and test.

    Raises:
        UnsupportedError: no output has two classes in train.
    """
    outputs = list(_two_classes(tables, card))
    reports: dict[str, AuditReport] = {}
    alike = []
    for name, two, known in outputs:
        first = known.classes.get("train", next(iter(known.classes.values())))
        if len(np.unique(first)) < 2 or not all(map(len, known.classes.values())):
            alike.append(name)
        else:
            reports[name] = audit(known, two, len(outputs))
    labels = {name: known for name, _, known in outputs if name in reports and known.rare}
    if labels and card.target == "labels":
        reports = with_rare_labels(reports, labels, columns(tables["train"], tables["test"]))
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
            rows = {split: np.arange(len(values)) for split, values in columns.items()}
            names = (f"{name} up to {median:.4g}", f"{name} above {median:.4g}")
        else:
            rows = {split: np.flatnonzero(values >= 0) for split, values in columns.items()}
            classes = {split: columns[split][rows[split]].astype(np.int64) for split in columns}
            names = (f"without {name}", name)
        two = replace(card, labels=names, target="classes", metric="accuracy", counts={})
        yield name, two, KnownRows(rows, classes)
