"""Shortcuts for a label that few rows have, or that few lack: the rules of an audit once more, with both sides counting alike.

Of a label that two of a hundred rows have, a rule that finds every one of them gains two points of accuracy over "no row has it", fewer
than an audit asks for. All rules of all labels are tested together (Holm), so that many labels accuse no more often than one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from findna_bench.auditing import shortcuts
from findna_bench.auditing.audit_report import AuditReport, Finding
from findna_bench.auditing.balanced import Gain, balanced_places, balanced_trees, gain_of, significant
from findna_bench.auditing.positional import Layout, PlacedRows
from findna_bench.auditing.rules import ERRORS, find_rule
from findna_bench.auditing.verdict import with_findings
from findna_bench.data.table import SequenceTable
from findna_bench.relatedness.composition import composition
from findna_bench.sequences.letter_case import case_features

__all__ = ["RARE", "Columns", "KnownRows", "sequence_columns", "with_rare_labels"]

RARE = 0.25
"""Share of train rows on the smaller side of a label, below which its rules are scored with both sides counting alike."""
_FLAGS = {
    "length": ("shortcut: length", "Length alone tells"),
    "distance": ("shortcut: distance", "Distance and strand alone tell"),
    "case": ("shortcut: case", "Upper and lower case of the file alone tell"),
    "ends": ("shortcut: ends", "The first and last bases of rows, more than as many from the middle, tell"),
    "overlap-any": ("shortcut: overlap", "The label of the overlapping train row tells"),
    "overlap-half": ("shortcut: overlap", "The label of the overlapping train row tells"),
    "similar": ("shortcut: similarity", "The label of the most similar train row tells"),
    "nn-overlap": ("shortcut: overlap", "The label of the overlapping or most similar train row tells"),
    "same-composition": (
        "shortcut: same-composition",
        "The label of a train row with the same dinucleotide counts tells",
    ),
    "shared-side": ("shortcut: shared-side", "The labels of train pairs with the same side tell"),
    "composition": ("note: composition", "Composition alone tells"),
}
"""Rule -> the flag that it raises, and what it reads."""
_STORED = ("overlap-any", "overlap-half", "similar", "nn-overlap", "same-composition", "shared-side")
"""Rules that a report has scored already; the last that is there counts once for all that read a neighbour."""


@dataclass(frozen=True)
class Columns:
    """What rules read of all rows of train and of test, whatever the label.

    Attributes:
        trees: rule -> features (n, f) and (m, f).
        places: codes (n, p), (m, p) of the ends of rows, and as many of their middle; None where rows are no single sequences.
    """

    trees: Mapping[str, tuple[np.ndarray, np.ndarray]]
    places: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None


@dataclass(frozen=True)
class KnownRows:
    """Of one label, per split: the rows (m,) that it is known of, and whether they have it (m,)."""

    rows: Mapping[str, np.ndarray]
    classes: Mapping[str, np.ndarray]

    @property
    def rare(self) -> bool:
        """Whether few rows have it, or few have it not; never where a split has one side alone."""
        if not {"train", "test"} <= self.classes.keys():
            return False
        shares = [float(self.classes[split].mean()) if len(self.classes[split]) else 0.0 for split in ("train", "test")]
        return all(0 < share < 1 for share in shares) and min(shares[0], 1 - shares[0]) < RARE


def sequence_columns(train: SequenceTable, test: SequenceTable) -> Columns:
    """What rules read of rows that are single sequences."""
    lengths = [table.lengths for table in (train, test)]
    trees = {"length": (lengths[0][:, None].astype(float), lengths[1][:, None].astype(float))}
    made = [composition(table.sequences) for table in (train, test)]
    of_composition = [np.column_stack([one.gc, one.n, one.dinucleotides]) for one in made]
    trees["composition"] = (of_composition[0], of_composition[1])
    if train.lower is not None or test.lower is not None:
        lower = [np.full(len(t), b"", dtype=object) if t.lower is None else t.lower for t in (train, test)]
        trees["case"] = (case_features(lower[0], lengths[0]), case_features(lower[1], lengths[1]))
    known, other = (PlacedRows(table.sequences, np.zeros(len(table), dtype=np.int64)) for table in (train, test))
    layout = Layout.of(known, other)
    return Columns(trees, ((known.ends(layout), other.ends(layout)), (known.middle(layout), other.middle(layout))))


def with_rare_labels(
    reports: Mapping[str, AuditReport], known: Mapping[str, KnownRows], columns: Columns
) -> dict[str, AuditReport]:
    """The reports, those of rare labels with what is found when both sides count alike.

    Args:
        reports: label -> the report of having it and not having it.
        known: label -> the rows that it is known of, for all labels of ``reports``.
        columns: what rules read.
    """
    rare = {name: one for name, one in known.items() if name in reports and one.rare}
    gains: dict[tuple[str, str], Gain] = {}
    controls: dict[str, dict[str, shortcuts.Control]] = {}
    for name, one in rare.items():
        found = _predicted(one, columns)
        has = one.classes["test"] == 1
        names = reports[name].labels
        controls[name] = {
            f"{rule}-balanced": shortcuts.control(one.classes["test"], labels, names, classes="weighted alike")
            for rule, labels in found.items()
        }
        gains |= {
            (name, rule): gain_of(has, labels == 1, found["middle"] == 1 if rule == "ends" else None)
            for rule, labels in found.items()
            if rule != "middle"
        }
        gains |= {(name, rule): gain for rule, gain in _of_stored(reports[name], has).items()}
    shown = significant(gains, ERRORS)
    out = dict(reports)
    for name in rare:
        mine = {rule: gains[name, rule] for label, rule in shown if label == name}
        out[name] = _with(reports[name], mine, controls[name])
    return out


def _predicted(one: KnownRows, columns: Columns) -> dict[str, np.ndarray]:
    """Rule -> (m,) whether test rows have the label, by rules fitted with both sides counting alike."""
    (train, test), labels = (one.rows[split] for split in ("train", "test")), one.classes["train"]
    found = {rule: balanced_trees(a[train], labels, b[test]) for rule, (a, b) in columns.trees.items()}
    if columns.places is not None:
        for rule, (a, b) in zip(("ends", "middle"), columns.places, strict=True):
            found[rule] = balanced_places(a[train], labels, b[test])
    return found


def _of_stored(report: AuditReport, has: np.ndarray) -> dict[str, Gain]:
    """The best of the rules that read a neighbour's label, by its recall of both sides."""
    found = {}
    without, with_label = report.labels
    for rule in _STORED:
        recall = report.controls[rule].recall if rule in report.controls else {}
        a, b = recall.get(without), recall.get(with_label)
        if a is None or b is None:
            continue
        variance = 0.0
        for share, n in ((a, int((~has).sum())), (b, int(has.sum()))):
            smoothed = (share * n + 1) / (n + 2)
            variance += smoothed * (1 - smoothed) / n / 4
        found[rule] = Gain((a + b) / 2 - 0.5, math.sqrt(variance), (a + b) / 2)
    if not found:
        return {}
    best = max(found, key=lambda rule: found[rule].value)
    return {best: found[best]}


def _with(report: AuditReport, gains: Mapping[str, Gain], controls: Mapping[str, shortcuts.Control]) -> AuditReport:
    findings = []
    length = "shortcut: length" in report.flags or "length" in gains
    for rule, gain in gains.items():
        flag, words = _FLAGS[rule]
        if flag in report.flags or gain.value < find_rule(flag).threshold or (rule == "composition" and length):
            continue
        text = f"{words} {report.labels[1]} from {report.labels[0]} in {100 * gain.score:.1f} % of test rows (mean recall of both sides; chance 50)."
        findings.append(Finding(flag, text, gain.value, gain.interval))
    verdict = with_findings(report.verdict, findings)
    return replace(report, controls={**report.controls, **controls}, verdict=verdict)
