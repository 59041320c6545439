"""What an audit found: frozen records, and the JSON they become.

JSON keys (``AuditReport.to_dict``), every count per class:

* ``schema`` "audit-4" ("audit-1" told no copies from repeats: its verdicts call repeats a leak; "audit-2" looked at no fixed places
  and no letter case; "audit-3" has the same verdicts without numbers, intervals and examples, and ``thresholds`` for ``rules``); ``task``, ``labels``, ``metric``, ``status``; ``route`` "sequences", "sequences and coordinates" or
  "coordinates".
* ``splits.<split>``: ``rows``; ``classes.<class>``: ``rows``, ``fraction`` of the split, ``length`` and ``gc``
  (mean, min, q05, q25, median, q75, q95, max), ``n_mean`` (mean share of N), ``rows_with_n``, ``lower_mean`` (mean share of letters that
  the file has in lower case; null where none is, or it is not known); and of rows with a twin within
  the split ``exact``, ``reverse_complement``, ``conflicting``, ``shuffles`` (another sequence with the same dinucleotide counts and another label); ``families``: sequences (either strand) by how many rows have them;
  ``details``, empty but of these kinds. States per base (``rows`` of a state are those that hold it, ``fraction`` is of the bases that count):
  ``bases``, ``counted``, ``n``, ``unknown``, and per state ``bases``, ``runs`` (stretches), ``run_length``. Variants: ``sites``, ``windows``,
  ``elements``, ``substitutions``, ``insertions_or_deletions``, ``cpg``, ``n_beside``, and per element ``rows`` and ``classes``.
* ``across.<earlier>-><later>``: rows of the later split that have a counterpart in the earlier one: ``exact`` (same text),
  ``reverse_complement`` (of it, and not exact), ``near`` (similar, and neither of the two), ``near_reverse`` (those of ``near``
  on the other strand), ``near_elsewhere`` (those that overlap no row of the earlier split: relatives at other loci, by repeats and
  gene families; null without coordinates), ``similar`` (exact, reverse complement or near), of these ``copies`` (exact, reverse
  complement, or a copy as :mod:`findna_bench.relatedness.copies` says; not where coordinates know the two to be different loci) and
  ``repeats`` (all others), ``diverged_copies`` (not similar to any, and a row of train from end to end at low identity, see
  :mod:`findna_bench.relatedness.diverged_copies`; train->test alone, of at most 5000 test rows; null elsewhere), ``identical_elsewhere`` and ``copies_elsewhere`` (exact or reverse complement, or any copy by its sequence,
  of a row that coordinates know to be another locus; null without coordinates), ``conflicting`` (identical on either strand, another label),
  ``near_conflicting`` (``near``, and the nearest row has another label), ``same_composition`` (another sequence with exactly the
  same dinucleotide counts: one is shuffled from the other), ``same_composition_conflicting`` (and that has another label), ``same_design`` (shares a segment that is
  not constant, where the sequences are a designed library, see :mod:`findna_bench.relatedness.libraries`; null where they are none), ``shared_side`` and ``related_side`` (of pairs: a
  side is that of an earlier pair on either strand, or is that or a copy of one), ``same_site`` and ``shared_element`` (of variants: another or
  the same alternative at a site of an earlier row; an element that earlier rows have), ``overlap_any``, ``overlap_half`` (coordinates
  shared: any base, at least half of the row), ``overlap_conflicting`` (the row with the largest overlap has another label),
  ``untouched`` (none of all these). Each is ``{"total": n, "per_class": {class: {"rows": n, "fraction": of the class}}}``, or
  null where it cannot be known (no sequences, no coordinates). ``repeat_families``: how large the families of ``repeats`` are, rows of both
  splits together: ``families``, ``largest``, ``rows`` (of the later split, in any), ``rows_in_large`` (in families of ten rows and more), ``sizes``: families by rows
  ("2", "3-9", "10-99", "100+"), see :mod:`findna_bench.relatedness.repeat_families`; null without sequences.
* ``asymmetry.<measure>``: over train->test, the class with the largest and the smallest fraction, and ``difference``.
* ``controls.<name>``: ``accuracy``, ``balanced_accuracy``, ``f1_macro``, ``mcc``, ``recall`` per class, ``details``.
* ``positions``: of test, where sequences are known: ``start`` and ``end``: class -> shares of A, C, G, T, N at the first and last places;
  ``site``: the word at one place that tells a class of train best, its ``share`` in the class and in ``others`` of test, the difference
  ``elsewhere`` (mean over other places), ``excess`` over that, and its standard ``error`` (:mod:`findna_bench.auditing.positional`).
* ``similarity_bins``: the k-mer control's score by how much of a test row its nearest train row matches: ``low``, ``high``
  (matched bases over row length, low < x <= high; the first bin is 0), ``rows`` and ``recall`` per class, ``total``,
  ``accuracy``.
* ``verdict``: ``level`` ("clean", "note", "shortcut", "leak", "shortcut and leak", "not audited"; "clean by coordinates" and
  "note by coordinates" where sequences were not looked at), ``flags``, ``sentences``, ``text``, ``looked_at`` (what the verdict rests
  on), ``findings``: ``rule_id``, ``kind``, ``text``, and what :mod:`findna_bench.auditing.rules` compares: ``number``, its 95 %
  ``interval`` (null where it has none), ``threshold``, ``version`` of the rule; ``examples``, up to five rows: ``id``, ``split``, ``label``,
  ``length``, ``sequence`` (its first bases), ``at`` (coordinates), ``counterpart`` (the same of the row it was found again as, or null);
  ``known_shortcuts`` and ``derived_from`` of the card; ``rules``: ``rule_id`` -> version of every rule that there was; ``settings``.
* ``neighbours``: some test rows beside the train rows that they were found again as: ``kind``, ``row`` (an example with its counterpart), ``strand``,
  ``identity``, ``start``, ``other_start``, ``alignment`` (both with gaps, or null), see :mod:`findna_bench.auditing.neighbours`.
* ``references``: ``against``, ``genome``, ``published_best``, where there was such a thing, see :mod:`findna_bench.auditing.references`.
* ``published_coordinates``: where the sequences are a part of what was published and all its coordinates are known, the report on
  those; else null.
* ``outputs``: only where rows have several numbers or labels: name -> the report of that one as two classes (below and above the
  median of train; without and with a label). All but ``labels``, ``metric`` and ``verdict`` is that of the worst one then.
* ``histograms``: ``length`` and ``gc``: ``edges`` and ``<split>.<class>`` counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from findna_bench.auditing.examples import Example
from findna_bench.auditing.neighbours import Neighbour
from findna_bench.auditing.rules import RULES, Rule, find_rule, rule_versions
from findna_bench.auditing.shortcuts import Control
from findna_bench.relatedness.composition import Composition
from findna_bench.relatedness.repeat_families import RepeatFamilies

__all__ = [
    "SCHEMA",
    "Asymmetry",
    "AuditReport",
    "ClassCount",
    "ClassSummary",
    "CrossSplit",
    "Finding",
    "PerClass",
    "SimilarityBin",
    "SplitSummary",
    "Spread",
    "Verdict",
    "family_sizes",
    "histograms",
    "outdated",
    "per_class",
    "spread",
    "summarise_classes",
]

_HISTOGRAM_BINS = 40

SCHEMA = "audit-4"
"""Raised when keys change; reports of every schema are read. Whether a verdict is old is said by the versions of its rules."""


@dataclass(frozen=True)
class ClassCount:
    """rows of a class, and their fraction of the class's rows in the split."""

    rows: int
    fraction: float


@dataclass(frozen=True)
class PerClass:
    """A number of rows, per class name."""

    total: int
    per_class: dict[str, ClassCount]

    def fraction(self, name: str) -> float:
        """Share of the class's rows."""
        return self.per_class[name].fraction


def family_sizes(number: np.ndarray) -> dict[str, int]:
    """Sequences (either strand) by how many rows have them: "1", "2", "3-9", "10+". number: (n,) equal where two rows are one sequence."""
    sizes = np.bincount(number)
    bounds = {"1": (1, 1), "2": (2, 2), "3-9": (3, 9), "10+": (10, len(number))}
    return {name: int(((sizes >= low) & (sizes <= high)).sum()) for name, (low, high) in bounds.items()}


def per_class(mask: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> PerClass:
    """Count the rows (n,) bool by class."""
    rows = np.bincount(labels[mask], minlength=len(names))
    of = np.bincount(labels, minlength=len(names))
    counts = {name: ClassCount(int(rows[i]), float(rows[i] / of[i]) if of[i] else 0.0) for i, name in enumerate(names)}
    return PerClass(int(mask.sum()), counts)


@dataclass(frozen=True)
class Spread:
    """Summary of a distribution."""

    mean: float
    min: float
    q05: float
    q25: float
    median: float
    q75: float
    q95: float
    max: float


def spread(values: np.ndarray) -> Spread | None:
    """Summary of values (n,), None where there are none."""
    if not len(values):
        return None
    low, q05, q25, median, q75, q95, high = (float(v) for v in np.quantile(values, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]))
    return Spread(float(values.mean()), low, q05, q25, median, q75, q95, high)


def histograms(
    measures: Mapping[str, Mapping[str, np.ndarray]], labels: Mapping[str, np.ndarray], names: Sequence[str]
) -> dict[str, Any]:
    """Counts of a report's ``histograms``.

    Args:
        measures: measure -> split -> value of each row (n,).
        labels: split -> (n,).
        names: of classes.
    """
    found: dict[str, Any] = {}
    for measure, values in measures.items():
        together = np.concatenate(list(values.values()))
        low, high = float(together.min()), float(together.max())
        edges = np.linspace(low, high if high > low else low + 1, _HISTOGRAM_BINS + 1)
        found[measure] = {"edges": edges.tolist()}
        for split, column in values.items():
            found[measure][split] = {
                name: np.histogram(column[labels[split] == i], bins=edges)[0].tolist() for i, name in enumerate(names)
            }
    return found


@dataclass(frozen=True)
class ClassSummary:
    """Rows of one class in one split."""

    rows: int
    fraction: float
    length: Spread | None
    gc: Spread | None = None
    n_mean: float | None = None
    rows_with_n: int | None = None
    lower_mean: float | None = None


def summarise_classes(
    labels: np.ndarray,
    names: Sequence[str],
    lengths: np.ndarray,
    made_of: Composition | None,
    lower: np.ndarray | None = None,
) -> dict[str, ClassSummary]:
    """Summarise the rows of a split by class.

    Args:
        labels: (n,) int.
        names: of the classes, by label.
        lengths: (n,) bases.
        made_of: of the n sequences; None where there are none.
        lower: (n,) share of lower case; None where the case is not known.
    """
    classes = {}
    for label, name in enumerate(names):
        mine = labels == label
        some = bool(mine.any())
        classes[name] = ClassSummary(
            rows=int(mine.sum()),
            fraction=float(mine.mean()),
            length=spread(lengths[mine]),
            gc=None if made_of is None else spread(made_of.gc[mine]),
            n_mean=None if made_of is None or not some else float(made_of.n[mine].mean()),
            rows_with_n=None if made_of is None else int((made_of.n[mine] > 0).sum()),
            lower_mean=None if lower is None or not some else float(lower[mine].mean()),
        )
    return classes


@dataclass(frozen=True)
class SplitSummary:
    """One split: its classes, and rows that have a twin within it (None without sequences)."""

    rows: int
    classes: dict[str, ClassSummary]
    exact: PerClass | None = None
    reverse_complement: PerClass | None = None
    conflicting: PerClass | None = None
    shuffles: PerClass | None = None
    families: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    """What only some kinds of rows have, see the module."""


@dataclass(frozen=True)
class CrossSplit:
    """Rows of the later split with a counterpart in the earlier one; see the module for each field."""

    earlier: str
    later: str
    exact: PerClass | None = None
    reverse_complement: PerClass | None = None
    near: PerClass | None = None
    near_reverse: PerClass | None = None
    near_elsewhere: PerClass | None = None
    similar: PerClass | None = None
    copies: PerClass | None = None
    diverged_copies: PerClass | None = None
    repeats: PerClass | None = None
    identical_elsewhere: PerClass | None = None
    copies_elsewhere: PerClass | None = None
    conflicting: PerClass | None = None
    near_conflicting: PerClass | None = None
    same_composition: PerClass | None = None
    same_composition_conflicting: PerClass | None = None
    same_design: PerClass | None = None
    shared_side: PerClass | None = None
    related_side: PerClass | None = None
    same_site: PerClass | None = None
    shared_element: PerClass | None = None
    overlap_any: PerClass | None = None
    overlap_half: PerClass | None = None
    overlap_conflicting: PerClass | None = None
    untouched: PerClass | None = None
    repeat_families: RepeatFamilies | None = None

    @classmethod
    def of(
        cls, earlier: str, later: str, counts: Mapping[str, PerClass], families: RepeatFamilies | None = None
    ) -> CrossSplit:
        """From the rows of each measure."""
        measures: dict[str, Any] = dict(counts)
        return cls(earlier, later, **measures, repeat_families=families)


@dataclass(frozen=True)
class Asymmetry:
    """How unequally a measure falls on the classes."""

    highest_class: str
    highest: float
    lowest_class: str
    lowest: float

    @property
    def difference(self) -> float:
        return self.highest - self.lowest


@dataclass(frozen=True)
class SimilarityBin:
    """Test rows whose nearest train row matches more than ``low`` and at most ``high`` of their bases."""

    low: float
    high: float
    total: int
    rows: dict[str, int]
    accuracy: float | None
    recall: dict[str, float | None]


@dataclass(frozen=True)
class Finding:
    """One rule that fired.

    Attributes:
        flag: of the rule, "leak: duplicates"; one of :data:`findna_bench.auditing.rules.RULES`.
        text: what was seen, in a sentence with its numbers.
        number: what the rule compares with its threshold, a fraction.
        interval: 95 %, of the number; None where it has none.
        examples: rows behind it.
    """

    flag: str
    text: str
    number: float | None = None
    interval: tuple[float, float] | None = None
    examples: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        """Raises KeyError where there is no such rule."""
        find_rule(self.flag)

    @property
    def rule(self) -> Rule:
        return find_rule(self.flag)

    @property
    def kind(self) -> str:
        """One of :data:`findna_bench.auditing.rules.KINDS`."""
        return self.rule.kind.name

    @property
    def rule_id(self) -> str:
        """The flag as one word, "leak/duplicates"."""
        return self.rule.rule_id

    @property
    def measured(self) -> str:
        """The number with its interval; "" where it is not known."""
        if self.number is None:
            return ""
        interval = (
            "" if self.interval is None else " [{:.1f}, {:.1f}]".format(*(100 * bound for bound in self.interval))
        )
        return f"{100 * self.number:.1f} {self.rule.unit}{interval}"

    @property
    def quoted(self) -> str:
        """The sentence with the rule, its number and its threshold."""
        if not self.measured:
            return f"{self.text} ({self.rule_id})"
        return f"{self.text.removesuffix('.')} ({self.rule_id}: {self.measured}; from {self.rule.condition})."

    def to_dict(self) -> dict[str, Any]:
        """Plain values, see the module."""
        return {
            "rule_id": self.rule_id,
            "kind": self.kind,
            "text": self.text,
            "number": self.number,
            "interval": self.interval,
            "threshold": self.rule.threshold,
            "version": self.rule.version,
            "examples": [asdict(example) for example in self.examples],
        }


@dataclass(frozen=True)
class Verdict:
    """The audit in words: level, machine-readable flags, one sentence per finding, and what it looked at."""

    level: str
    flags: tuple[str, ...]
    sentences: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    looked_at: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(self.sentences)


@dataclass(frozen=True)
class AuditReport:
    """Everything an audit found about one task."""

    task: str
    labels: tuple[str, ...]
    metric: str
    status: str
    route: str
    splits: dict[str, SplitSummary]
    across: dict[str, CrossSplit]
    asymmetry: dict[str, Asymmetry]
    controls: dict[str, Control]
    similarity_bins: tuple[SimilarityBin, ...]
    verdict: Verdict
    known_shortcuts: tuple[str, ...] = ()
    derived_from: str = ""
    rules: Mapping[str, int] = field(default_factory=rule_versions)
    settings: dict[str, Any] = field(default_factory=dict)
    histograms: dict[str, Any] = field(default_factory=dict)
    positions: dict[str, Any] = field(default_factory=dict)
    neighbours: tuple[Neighbour, ...] = ()
    references: Mapping[str, Any] = field(default_factory=dict)
    """What came of comparisons with what lies outside, see :mod:`findna_bench.auditing.references`."""
    published_coordinates: AuditReport | None = None
    outputs: Mapping[str, AuditReport] = field(default_factory=dict)
    """Where rows have several numbers or labels: the report of each as two classes. What is above is that of the worst one then, but
    for ``labels``, ``metric`` and ``verdict``."""

    @property
    def flags(self) -> tuple[str, ...]:
        return self.verdict.flags

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the keys listed in the module, fractions to six digits."""
        content = {"schema": SCHEMA, **asdict(replace(self, published_coordinates=None, outputs={}))}
        del content["outputs"]
        content["verdict"]["text"] = self.verdict.text
        content["verdict"]["findings"] = [finding.to_dict() for finding in self.verdict.findings]
        for control in content["controls"].values():
            del control["right"]
        for name, entry in self.asymmetry.items():
            content["asymmetry"][name]["difference"] = entry.difference
        plain: dict[str, Any] = _plain(content)
        if self.published_coordinates is not None:
            plain["published_coordinates"] = self.published_coordinates.to_dict()
        if self.outputs:
            plain["outputs"] = {name: report.to_dict() for name, report in self.outputs.items()}
        return plain


def outdated(report: Mapping[str, Any]) -> str:
    """Why the verdict of a stored report (``AuditReport.to_dict``) is not what an audit says today, or "". Verdicts on coordinates
    alone are the same in every schema up to "audit-3"."""
    if "rules" in report:
        changed = [
            name for name, version in report["rules"].items() if name in RULES and RULES[name].version != version
        ]
        return f"made by an older rule {', '.join(changed)}; audit again" if changed else ""
    if report.get("schema") == "audit-3" or report.get("route") == "coordinates":
        return ""
    if report.get("schema") == "audit-2":
        return "made before fixed places and letter case were looked at; audit again"
    return "made before copies and repeats were told apart; audit again"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return round(value, 6) if isinstance(value, float) else value
