"""A task against what lies outside of it: another benchmark, a genome, a published score.

What comes out stands in a report under ``references`` and, where a rule fires, among its findings:

* ``against``: a list, for each split of each other task: ``task``, ``split``, ``rows``; ``found``: split of the audited task -> ``exact``, ``reverse_complement``,
  ``copies``, ``repeats``, ``diverged_copies`` as in ``across``, per class. Labels of the other task play no part.
* ``genome``: ``file`` (name), ``by`` (what found the places), ``identity``, ``full``; ``placed``: split -> rows that have a place; ``overlap_any``, ``overlap_half``: placed test
  rows that share bases (at least half of the row) with a placed train row, null without train and test.
* ``published_best``: ``metric``, ``published``, ``source``; ``majority``, and of the best rule without biology (``rule``, ``reaches``, ``of_gain``) and of the best one on composition
  (``composition``, ``composition_reaches``, ``composition_of_gain``), fractions; ``of_gain``: of what the published score gains over the majority class. Or ``why_not``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from findna_bench.auditing.audit_report import AuditReport, Finding, PerClass, per_class
from findna_bench.auditing.examples import Behind, ExampleRows
from findna_bench.auditing.rules import RULES
from findna_bench.auditing.verdict import (
    LENGTH_CONTROLS,
    NEIGHBOUR_CONTROLS,
    class_share,
    listed_shares,
    with_findings,
)
from findna_bench.cards import TaskCard
from findna_bench.data.table import SequenceTable
from findna_bench.errors import UnsupportedError
from findna_bench.relatedness.diverged_copies import diverged_copies
from findna_bench.relatedness.duplicates import identities
from findna_bench.relatedness.genome_places import FULL, Places, find_places
from findna_bench.relatedness.overlaps import largest_overlaps
from findna_bench.relatedness.rows import Rows
from findna_bench.relatedness.similarity import IDENTITY, SequenceIndex

__all__ = ["OtherSplit", "Published", "References", "with_references"]

_RULES = (*LENGTH_CONTROLS, *NEIGHBOUR_CONTROLS, "ends", "site", "case", "distance-trees", "shared-side")
"""Controls that no biology is in."""
_COMPOSITION = ("composition-trees", "kmer", "position", "side-a", "side-b")
_METRICS = ("accuracy", "balanced_accuracy", "f1_macro", "mcc")


@dataclass(frozen=True)
class OtherSplit:
    """A split of another task. rows: n sequences; of pairs both sides."""

    task: str
    split: str
    sequences: Sequence[str]


@dataclass(frozen=True)
class Published:
    """A published score of a task, a fraction, and who published it."""

    value: float
    source: str = ""


@dataclass(frozen=True)
class References:
    """What a task is compared with.

    Attributes:
        against: called for the splits of the other tasks, which are read once.
        genome: FASTA file.
        published: called with the card of a task; None = nothing is published.
    """

    against: Callable[[], Sequence[OtherSplit]] = tuple
    genome: Path | None = None
    published: Callable[[TaskCard], Published | None] = lambda card: None

    @property
    def read_sequences(self) -> bool:
        """Whether any of them needs the rows' sequences."""
        return self.genome is not None or bool(self.against())


def with_references(
    report: AuditReport, tables: Mapping[str, SequenceTable], card: TaskCard, references: References
) -> AuditReport:
    """The report with what came out of the comparisons.

    Args:
        report: of the task.
        tables: its splits; empty where only coordinates are at hand.
        card: of the task.
        references: what it is compared with.

    Raises:
        UnsupportedError: sequences are needed, and there are none.
        DataError: the genome is no FASTA file.
    """
    found: dict[str, Any] = {}
    findings: list[Finding] = []
    if references.read_sequences:
        if not tables:
            raise UnsupportedError(
                f"task {card.full_name}: only coordinates are on this machine; --against and --genome compare sequences"
            )
        parts = {split: _Part.of(table, card.labels) for split, table in tables.items()}
        rows = ExampleRows({split: part.rows for split, part in parts.items()}, next(iter(parts.values())).labels)
        if others := [other for other in references.against() if other.task != card.full_name]:
            found["against"] = [_against(other, parts, rows, findings) for other in others]
        if references.genome is not None:
            found["genome"] = _genome(references.genome, parts, rows, report, findings)
    if (published := references.published(card)) is not None:
        found["published_best"] = _published(published, report)
    if not found:
        return report
    return replace(report, references=found, verdict=with_findings(report.verdict, findings))


@dataclass(frozen=True)
class _Part:
    """One split: its rows with classes, and the sequences of each row."""

    rows: Rows
    labels: tuple[str, ...]
    sequences: tuple[list[str], ...]

    @classmethod
    def of(cls, table: SequenceTable, labels: Sequence[str]) -> _Part:
        classes = table.labels.ndim == 1
        sides = [table.sequences] if table.sequences_b is None else [table.sequences, table.sequences_b]
        rows = Rows(
            labels=table.labels.astype(np.int64) if classes else np.zeros(len(table), dtype=np.int64),
            ids=table.ids,
            lengths=np.array([sum(map(len, row)) for row in zip(*sides, strict=True)], dtype=np.int64),
            sequences=[" | ".join(row) for row in zip(*sides, strict=True)] if len(sides) > 1 else list(sides[0]),
        )
        return cls(rows, tuple(labels) if classes else ("all",), tuple(list(side) for side in sides))

    def counted(self, masks: Iterable[np.ndarray]) -> tuple[np.ndarray, PerClass]:
        """Rows of which any side is found, (n,) bool, and how many of each class."""
        found = np.logical_or.reduce(list(masks))
        return found, per_class(found, self.rows.labels, self.labels)


# ------------------------------------------------------------------------------------------------- another benchmark


def _against(
    other: OtherSplit, parts: Mapping[str, _Part], rows: ExampleRows, findings: list[Finding]
) -> dict[str, Any]:
    index = SequenceIndex(other.sequences)
    found: dict[str, Any] = {}
    for split, part in parts.items():
        measures = [_found_again(side, other.sequences, index) for side in part.sequences]
        masks, counts = {}, {}
        for name in measures[0]:
            masks[name], counts[name] = part.counted(measure[name] for measure in measures)
        found[split] = {name: asdict(each) for name, each in counts.items()}
        again, total = part.counted(masks[name] for name in ("copies", "diverged_copies"))
        rule = RULES["note/other-benchmark"]
        number, interval = class_share(total, part.rows.labels, part.labels)
        if number >= rule.threshold:
            text = f"Rows of {split} that {other.task} {other.split} has as well, as copies on either strand: {listed_shares(total)}."
            examples = rows.drawn(Behind(split, again))
            findings.append(Finding(rule.flag, text, number, interval, examples))
    return {"task": other.task, "split": other.split, "rows": len(other.sequences), "found": found}


def _found_again(sequences: Sequence[str], others: Sequence[str], index: SequenceIndex) -> dict[str, np.ndarray]:
    """Measure -> (n,) bool, by the thresholds that leaks are found with."""
    number = identities({"own": _unlabelled(sequences), "other": _unlabelled(others)})
    exact = np.isin(number["own"].exact, number["other"].exact)
    either = np.isin(number["own"].either, number["other"].either)
    hits = index.nearest(sequences)
    copied = either | (hits.copy >= 0)
    low = diverged_copies(sequences, others, np.flatnonzero(~(hits.similar | copied)))
    diverged = np.zeros(len(sequences), dtype=bool)
    diverged[low.rows[low.target >= 0]] = True
    return {
        "exact": exact,
        "reverse_complement": either & ~exact,
        "copies": copied,
        "repeats": (hits.similar | either) & ~copied,
        "diverged_copies": diverged,
    }


def _unlabelled(sequences: Sequence[str]) -> Rows:
    n = len(sequences)
    return Rows(np.zeros(n, dtype=np.int64), np.arange(n), np.zeros(n, dtype=np.int64), list(sequences))


# ----------------------------------------------------------------------------------------------------------- genome


def _genome(
    fasta: Path, parts: Mapping[str, _Part], rows: ExampleRows, report: AuditReport, findings: list[Finding]
) -> dict[str, Any]:
    sides = [(split, side) for split, part in parts.items() for side in part.sequences]
    places, by = find_places([sequence for _, side in sides for sequence in side], fasta)
    located: dict[str, list[Rows]] = {}
    first = 0
    for split, side in sides:
        located.setdefault(split, []).append(
            _located(places, slice(first, first + len(side)), parts[split].rows.labels)
        )
        first += len(side)
    placed = {split: parts[split].counted(side.located for side in each)[1] for split, each in located.items()}
    content: dict[str, Any] = {
        "file": fasta.name,
        "by": by,
        "identity": IDENTITY,
        "full": FULL,
        "placed": {split: asdict(counts) for split, counts in placed.items()},
        "overlap_any": None,
        "overlap_half": None,
    }
    if not {"train", "test"} <= located.keys():
        return content
    overlaps = [largest_overlaps(side, _together(located["train"])) for side in located["test"]]
    test = parts["test"]
    for name, least in (("overlap_any", 0.0), ("overlap_half", 0.5)):
        found, counts = test.counted((o.target >= 0) & (o.fraction >= least) for o in overlaps)
        content[name] = asdict(counts)
        number, interval = class_share(counts, test.rows.labels, test.labels)
        rule = RULES["leak/genome-locus"]
        # Where the task's own coordinates are known, these have said it.
        if name == "overlap_half" and number >= rule.threshold and "coordinates" not in report.route:
            shares = listed_shares(counts)
            text = f"By their places on {fasta.name}, test rows overlap a train row by half or more: {shares}."
            target = overlaps[0].target if len(overlaps) == 1 else None
            examples = rows.drawn(Behind("test", found, target))
            findings.append(Finding(rule.flag, text, number, interval, examples))
    return content


def _located(places: Places, part: slice, labels: np.ndarray) -> Rows:
    start, end = places.start[part], places.end[part]
    return Rows(labels, np.arange(len(labels)), end - start, None, places.contig[part], start, end)


def _together(sides: Sequence[Rows]) -> Rows:
    columns = zip(*((r.labels, r.ids, r.lengths, *r.coordinates) for r in sides), strict=True)
    labels, ids, lengths, contig, start, end = (np.concatenate(column) for column in columns)
    return Rows(labels, ids, lengths, None, contig, start, end)


# -------------------------------------------------------------------------------------------------- published scores


def _published(published: Published, report: AuditReport) -> dict[str, Any]:
    content: dict[str, Any] = {
        "metric": report.metric,
        "published": published.value,
        "source": published.source,
        "why_not": "",
    }
    if report.metric not in _METRICS:
        return content | {"why_not": f"rules are scored by {', '.join(_METRICS)}"}
    if "majority" not in report.controls or report.outputs:
        return content | {"why_not": "no rule was scored on this task as a whole"}
    scores = {name: float(getattr(control, report.metric)) for name, control in report.controls.items()}
    base = scores["majority"]
    content["majority"] = base
    for key, names in (("", _RULES), ("composition", _COMPOSITION)):
        known = [name for name in names if name in scores]
        best = max(known, key=lambda name: scores[name], default=None)
        if best is None:
            continue
        gain = published.value - base
        prefix = f"{key}_" if key else ""
        content[key or "rule"] = best
        content[f"{prefix}reaches"] = scores[best]
        content[f"{prefix}of_gain"] = (scores[best] - base) / gain if gain > 0 else None
    return content
