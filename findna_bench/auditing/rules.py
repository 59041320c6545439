"""The one table of what an audit can find: every rule with its threshold, the reason for it, and its version.

Verdicts, pages, gates (``--fail-on``, JUnit, SARIF) and the documentation read this table and nothing else. A rule whose threshold or
number changes gets a higher version; reports say by which versions they were made, and verdicts of older ones say that they are old.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ERRORS", "KINDS", "RULES", "Kind", "Rule", "find_rule", "rule_versions"]

ERRORS = 3.0
"""Standard errors that a gain has to be above 0, so that few test rows make no shortcut by chance: of 1000 clean tasks about one
passes by each control."""


@dataclass(frozen=True)
class Kind:
    """A kind of finding. severity: the level of SARIF ("error", "warning", "note"); about: what such a finding says."""

    name: str
    severity: Literal["error", "warning", "note"]
    about: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind("leak", "error", "Test rows stand in train, as they are or nearly."),
        Kind("shortcut", "error", "A rule that knows no biology predicts the labels of test."),
        Kind("conflicting-labels", "warning", "Test rows stand in train under another label."),
        Kind("asymmetric", "warning", "What is found again in train falls on one class more than on another."),
        Kind("note", "note", "Repeats or composition that a score has to be read beside; it makes no task worthless."),
    )
}
"""Kinds of findings, the worst first."""


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        rule_id: stable name, ``kind/what``, or the kind alone.
        title: what is so where it fires, in a sentence.
        number: the quantity that is compared with the threshold, a fraction.
        threshold: where it fires, from there on.
        reason: why there.
        errors: standard errors that the number has to be above 0 as well; 0 = none.
        version: raised when the number, what counts into it, or the threshold changes.
    """

    rule_id: str
    title: str
    number: str
    threshold: float
    reason: str
    errors: float = 0.0
    version: int = 1

    @property
    def kind(self) -> Kind:
        """The kind of finding that it makes."""
        return KINDS[self.rule_id.partition("/")[0]]

    @property
    def flag(self) -> str:
        """As tables and ``describe`` have it: "leak: duplicates"."""
        return self.rule_id.replace("/", ": ")

    @property
    def unit(self) -> Literal["%", "points"]:
        """Of the number and the threshold, once they are multiplied by 100."""
        return "points" if self.number.startswith("gain") or " less " in self.number else "%"

    @property
    def condition(self) -> str:
        """The threshold in words."""
        above = f" and {self.errors:g} standard errors" if self.errors else ""
        return f"{100 * self.threshold:g} {self.unit}{above}"


_GAIN = (
    "gain in test accuracy over the majority class; for a label that few rows have and for a state of bases, gain in the mean recall of both "
    "sides over one half"
)
_SHARE = "share of a class's test rows, in the class where it is highest"
_FIVE_POINTS = "Published models differ by fewer points than these five: what a rule without biology gains is then larger than what is compared."
_FIVE_OF_100 = (
    "A model that only remembers train gains at most the share that it has seen; five in a hundred are as many points as models differ "
    "by, and more than repeats of a genome bring about by chance."
)
_ONE_OF_100 = "Rows that are equal come about by no chance; one in a hundred is more than a slip, and as much as close models differ by."

_TABLE = (
    Rule(
        "shortcut/length",
        "Length alone predicts test.",
        _GAIN,
        0.05,
        _FIVE_POINTS,
        ERRORS,
    ),
    Rule(
        "shortcut/ends",
        "The first and last bases predict test better than as many from the middle.",
        "gain in test accuracy over the same model of bases from the middle, and over the majority class (the smaller of the two)",
        0.05,
        "What the ends know and the middle does not is how rows were cut, as by a motif that begins each; composition would be in both.",
        ERRORS,
    ),
    Rule(
        "shortcut/site",
        "A word at one place tells a class.",
        "share of the class's test rows with the word there less that of other rows (of rows that reach the place), beyond the same difference at other places",
        0.10,
        "With two classes of one size half of it is gained in accuracy: ten points are the five of every other shortcut.",
        ERRORS,
        2,
    ),
    Rule(
        "shortcut/case",
        "Upper and lower case of the file predict test.",
        _GAIN,
        0.05,
        _FIVE_POINTS + " Case is how files mark repeats.",
        ERRORS,
    ),
    Rule(
        "shortcut/overlap",
        "The label of the train row that overlaps predicts test.",
        _GAIN,
        0.05,
        _FIVE_POINTS,
        ERRORS,
    ),
    Rule(
        "shortcut/similarity",
        "The label of the most similar train row predicts test.",
        _GAIN,
        0.05,
        _FIVE_POINTS,
        ERRORS,
    ),
    Rule(
        "shortcut/same-composition",
        "The label of a train row with the same dinucleotide counts predicts test.",
        _GAIN,
        0.05,
        _FIVE_POINTS + " Negatives that are shuffled positives give themselves away so.",
        ERRORS,
    ),
    Rule(
        "shortcut/distance",
        "Of pairs: distance and strand alone predict test; of variants: the distance to the start of transcription.",
        _GAIN,
        0.05,
        _FIVE_POINTS,
        ERRORS,
    ),
    Rule(
        "shortcut/shared-side",
        "Of pairs: the labels of train pairs with the same side predict test.",
        _GAIN,
        0.05,
        _FIVE_POINTS,
        ERRORS,
    ),
    Rule(
        "shortcut/position",
        "The place in the row alone tells the state of a base, or the class of a variant.",
        "gain in the mean recall of both sides (of the state or class, and all others) over one half",
        0.05,
        _FIVE_POINTS + " Rows that begin or end at something know by counting where they are.",
        ERRORS,
    ),
    Rule(
        "shortcut/group",
        "Of variants: the class rate of the element, or of the chromosome, tells the class.",
        "gain in the mean recall of both sides (of the class, and all others) over one half",
        0.05,
        _FIVE_POINTS
        + " A score pooled over groups of unequal rates is theirs; within groups such a rule is worth nothing.",
        ERRORS,
    ),
    Rule(
        "leak/same-site",
        "Of variants: test variants are at a site of a train variant.",
        _SHARE,
        0.05,
        _FIVE_OF_100,
    ),
    Rule(
        "leak/shared-element",
        "Of variants: test variants are in an element that train has variants of.",
        _SHARE,
        0.05,
        _FIVE_OF_100,
    ),
    Rule(
        "leak/overlap",
        "Test rows overlap a train row by half or more.",
        _SHARE,
        0.05,
        _FIVE_OF_100,
    ),
    Rule(
        "leak/partial-overlap",
        "Test rows share bases with a train row, none of them half or more.",
        _SHARE,
        0.05,
        _FIVE_OF_100,
    ),
    Rule(
        "leak/duplicates",
        "Test rows are identical to a train row, on either strand.",
        _SHARE,
        0.01,
        _ONE_OF_100,
    ),
    Rule(
        "leak/similarity",
        "Test rows are copies of a train row: whole, shifted, cut or extended, on either strand.",
        _SHARE,
        0.05,
        _FIVE_OF_100,
    ),
    Rule(
        "leak/diverged-copies",
        "Test rows are a train row from end to end at low identity, and no closer to any.",
        "share of a class's test rows, in the class where it is highest, less that of rows read backwards",
        0.05,
        _FIVE_OF_100 + " Rows read backwards say how many pass by chance.",
        version=2,  # spaced seeds, and rows compared from end to end: more of them are found
    ),
    Rule(
        "leak/same-composition",
        "Test rows have exactly the dinucleotide counts of another sequence in train, as a shuffle leaves them.",
        _SHARE,
        0.05,
        _FIVE_OF_100,
    ),
    Rule(
        "leak/design",
        "Of a designed library: test rows share a segment that is not constant with a train row.",
        _SHARE,
        0.05,
        _FIVE_OF_100,
    ),
    Rule(
        "leak/genome-locus",
        "By their places on a genome that was given, test rows overlap a train row by half or more.",
        _SHARE,
        0.05,
        _FIVE_OF_100 + " Only where the task has no coordinates of its own.",
    ),
    Rule(
        "leak/shared-side",
        "Of pairs: test pairs share a side with a train pair, on either strand.",
        _SHARE,
        0.05,
        _FIVE_OF_100,
    ),
    Rule(
        "leak/related-side",
        "Of pairs: test pairs have a copy of a side of a train pair.",
        _SHARE,
        0.05,
        _FIVE_OF_100,
    ),
    Rule(
        "conflicting-labels",
        "Test rows are in train under another label.",
        "share of all test rows",
        0.005,
        "Each is lost to a model that has learned train, and is right by chance to one that has not: a floor under the error of any model.",
    ),
    Rule(
        "asymmetric/overlap-half",
        "The classes differ in how many of their test rows overlap a train row by half or more.",
        "share of a class's test rows, the highest less the lowest of the classes",
        0.05,
        "What is found again then says something of the class, whatever its label in train.",
    ),
    Rule(
        "asymmetric/overlap-any",
        "The classes differ in how many of their test rows share bases with a train row.",
        "share of a class's test rows, the highest less the lowest of the classes",
        0.05,
        "What is found again then says something of the class, whatever its label in train.",
    ),
    Rule(
        "asymmetric/similar",
        "The classes differ in how many of their test rows are similar to a train row.",
        "share of a class's test rows, the highest less the lowest of the classes",
        0.05,
        "What is found again then says something of the class, whatever its label in train.",
    ),
    Rule(
        "note/position",
        "A linear model of the bases by place beats the same model of rotated rows.",
        "gain in test accuracy over the same model of rotated rows, and over the majority class (the smaller of the two)",
        0.05,
        _FIVE_POINTS
        + " A class may be centred on something, a start of transcription or a summit: then this is biology.",
        ERRORS,
    ),
    Rule(
        "note/composition",
        "Composition alone goes far.",
        "gain in test accuracy over the majority class of trees on composition or a linear model of 5-mers",
        0.10,
        "Composition may be biology, as that of promoters is: more is asked for than of a shortcut, and a score is to be read above it.",
    ),
    Rule(
        "note/substitution",
        "Of variants: what is substituted, with the bases beside it, tells the class.",
        "gain in the mean recall of both sides (of the class, and all others) over one half",
        0.10,
        "Mutation rates differ by context, and so may what is under selection: more is asked for than of a shortcut.",
        ERRORS,
    ),
    Rule(
        "note/left-out",
        "Of variants: rows of the file are in no split, as their reference is not what the sequence has there, say.",
        "share of the file's rows",
        0.0,
        "A score is then of fewer rows than were published.",
    ),
    Rule(
        "note/missing-state",
        "Of states per base: a split lacks a state.",
        "share of the states that no base of the split has",
        0.01,
        "A mean over states is then over fewer, and of other states than in train.",
    ),
    Rule(
        "note/unknown-states",
        "Of states per base: most bases of a split do not count.",
        "share of the bases of the split that are N or have no state",
        0.5,
        "What is scored is then the smaller part of what a model reads.",
    ),
    Rule(
        "note/one-side",
        "Of pairs: one side, or composition, predicts without asking whether the sides fit.",
        "gain in test accuracy over the majority class",
        0.10,
        "One side may say something of the label by biology: more is asked for than of a shortcut.",
    ),
    Rule(
        "note/repeats",
        "Test rows are similar to train rows as repeats are, or stand at another locus.",
        _SHARE,
        0.05,
        "Half of a mammal's genome is repeats: they are reported, and a model may use them.",
    ),
    Rule(
        "note/identical-elsewhere",
        "Test rows are identical to a train row that is known to be another locus.",
        _SHARE,
        0.01,
        "As of identical rows that leak; by coordinates these are two loci, as segmental duplications are.",
    ),
    Rule(
        "note/other-benchmark",
        "Rows are copies of rows of another benchmark that was given, on either strand, down to low identity.",
        "share of a class's rows of one split, in the class where it is highest",
        0.05,
        "Of this task it is no fault; scores on both are not two findings, and what was chosen on one was chosen on the other.",
    ),
    Rule(
        "note/duplicates",
        "Rows stand in their own split more than once, on either strand.",
        "share of a class's rows of one split, in the class where it is highest",
        0.05,
        "Such rows count twice in a fit or a score; what leaks is what they have across splits.",
    ),
    Rule(
        "note/shuffles",
        "Rows have exactly the dinucleotide counts of another sequence with another label in their own split: one is made of the other.",
        "share of a class's rows of one split, in the class where it is highest",
        0.05,
        "Windows of a genome have such a counterpart by chance in less than one of 1000; a task made so is about telling shuffles from sequence.",
    ),
)

RULES = {rule.rule_id: rule for rule in _TABLE}
"""Every rule by its ``rule_id``, in the order of this file."""


def find_rule(flag: str) -> Rule:
    """The rule of a flag ("leak: duplicates") or a ``rule_id`` ("leak/duplicates").

    Raises:
        KeyError: there is none.
    """
    rule_id = flag.replace(": ", "/")
    if rule_id not in RULES:
        raise KeyError(f"{flag!r} is no rule of an audit; add it to the table in findna_bench/auditing/rules.py")
    return RULES[rule_id]


def rule_versions() -> dict[str, int]:
    """``rule_id`` -> version of all rules, as reports hold them."""
    return {rule_id: rule.version for rule_id, rule in RULES.items()}
