"""From numbers to words, by the rules of :mod:`findna_bench.auditing.rules`, the same for every task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from findna_bench.auditing.audit_report import Asymmetry, CrossSplit, Finding, PerClass, SplitSummary, Verdict
from findna_bench.auditing.balanced import stricter
from findna_bench.auditing.examples import Behind, ExampleRows
from findna_bench.auditing.positional import Site, SiteCounts
from findna_bench.auditing.rules import ERRORS, RULES, Rule
from findna_bench.auditing.shortcuts import Control
from findna_bench.relatedness.diverged_copies import IDENTITY, DivergedCopies
from findna_bench.relatedness.repeat_families import LARGE, RepeatFamilies
from findna_bench.statistics.proportions import difference_interval, paired_interval, share_interval

__all__ = [
    "LENGTH_CONTROLS",
    "NEIGHBOUR_CONTROLS",
    "Measured",
    "asymmetries",
    "class_share",
    "judge",
    "judge_pairs",
    "judge_states",
    "judge_variants",
    "level_of",
    "listed_shares",
    "with_findings",
]

LENGTH_CONTROLS = ("length-lookup", "length-linear", "length-trees")
NEIGHBOUR_CONTROLS = ("overlap-any", "overlap-half", "similar", "nn-overlap", "nn-relation", "same-composition")
_MEASURES = ("exact", "reverse_complement", "near", "similar", "copies", "repeats", "overlap_any", "overlap_half")
_BEHIND_SHORTCUTS = {
    "shortcut/overlap": ("overlap_half", "overlap_any"),
    "shortcut/similarity": ("similar", "overlap_any"),
    "shortcut/same-composition": ("same_composition",),
    "shortcut/shared-side": ("shared_side",),
}
"""Rows that a rule copies the label to, which say more than any row that it gets right."""


@dataclass(frozen=True)
class Measured:
    """All that a verdict reads.

    Attributes:
        splits: what each split holds.
        cross: train -> test, None where one of them is absent.
        controls: fitted on train, scored on test.
        site: the best one of train, counted in test.
        diverged: copies at low identity, with their background rate.
        rows: the rows behind the numbers, for examples.
        looked_at: what the numbers rest on, in words.
        looks: outputs of the same rows that are judged, each by itself; the more, the more standard errors a gain has to be above 0.
    """

    splits: Mapping[str, SplitSummary]
    cross: CrossSplit | None
    controls: Mapping[str, Control] = field(default_factory=dict)
    site: tuple[Site, SiteCounts] | None = None
    diverged: DivergedCopies | None = None
    rows: ExampleRows = field(default_factory=ExampleRows)
    looked_at: tuple[str, ...] = ()
    looks: int = 1

    @property
    def strictness(self) -> float:
        """What standard errors are multiplied by for the number of looks."""
        return stricter(ERRORS, self.looks) / ERRORS

    @property
    def test_rows(self) -> int:
        return self.splits["test"].rows

    @property
    def across(self) -> CrossSplit:
        """Train -> test, where both are there."""
        assert self.cross is not None
        return self.cross

    @property
    def by_sequences(self) -> bool:
        """Whether sequences were looked at; else coordinates alone."""
        return self.cross is not None and self.cross.exact is not None

    def rows_of(self, name: str, split: str = "test") -> int:
        """Rows of a class."""
        return self.splits[split].classes[name].rows


def asymmetries(cross: CrossSplit | None) -> dict[str, Asymmetry]:
    """For each measure that is known, the classes where it is largest and smallest."""
    found = {}
    for measure in _MEASURES:
        counts: PerClass | None = getattr(cross, measure) if cross else None
        if counts is not None:
            ordered = sorted(counts.per_class.items(), key=lambda entry: entry[1].fraction)
            low, high = ordered[0], ordered[-1]
            found[measure] = Asymmetry(high[0], high[1].fraction, low[0], low[1].fraction)
    return found


Check = Callable[[Measured], Iterator[Finding]]


def judge(measured: Measured) -> Verdict:
    """The verdict on a task whose rows are sequences or coordinates."""
    checks = (
        _length,
        _positions,
        _neighbours,
        _leaks,
        _repeats,
        _diverged,
        _within,
        _shuffles,
        _asymmetric,
        _conflicts,
        _composition,
    )
    by = "length, by fixed places or by letter case" if measured.by_sequences else "length"
    return _verdict(measured, checks, by)


def judge_states(measured: Measured, findings: Sequence[Finding]) -> Verdict:
    """The verdict on a task with a state per base. findings: what rules on bases found."""
    checks = (lambda m: iter(findings), _leaks, _repeats, _diverged, _within, _conflicts)
    return _verdict(measured, checks, "the place of a base or by letter case")


def judge_variants(measured: Measured, findings: Sequence[Finding]) -> Verdict:
    """The verdict on a task whose rows are variants. findings: what rules on them found; the only ones where one split alone is there."""
    checks = (lambda m: iter(findings), _variants, _within, _conflicts)
    by = "group, distance, place or length"
    if measured.cross is not None:
        return _verdict(measured, checks, by)
    (split,) = measured.splits if len(measured.splits) == 1 else ("one split",)
    alone = f"Only {split} is present, as a score without training needs no more: nothing can leak from train."
    sentences = [alone, *(finding.quoted for finding in findings)]
    flags = tuple(dict.fromkeys(finding.flag for finding in findings))
    return Verdict(level_of(findings), flags, tuple(sentences), tuple(findings), measured.looked_at)


def judge_pairs(measured: Measured) -> Verdict:
    """The verdict on a task whose rows are pairs."""
    checks = (_of_pairs, _duplicates, _sides, _conflicts, _one_side)
    return _verdict(measured, checks, "distance, length or a shared side")


def _verdict(measured: Measured, checks: Sequence[Check], shortcuts: str) -> Verdict:
    if measured.cross is None:
        present = ", ".join(measured.splits) or "nothing"
        sentence = f"Only {present} is present: leaks from train and shortcuts cannot be measured."
        return Verdict("not audited", (), (sentence,), looked_at=measured.looked_at)
    findings = tuple(finding for check in checks for finding in check(measured))
    level = level_of(findings)
    sentences = [finding.quoted for finding in findings]
    if level in ("clean", "note"):
        sentences.insert(
            0, f"No shortcut by {shortcuts}, and no more of test is found again in train than the thresholds allow."
        )
    if not measured.by_sequences:
        sentences.append("By coordinates alone: sequences were not looked at.")
        level = f"{level} by coordinates" if level in ("clean", "note") else level
    flags = tuple(dict.fromkeys(finding.flag for finding in findings))
    return Verdict(level, flags, tuple(sentences), findings, measured.looked_at)


def level_of(findings: Sequence[Finding]) -> str:
    """What a report is called by its findings, where sequences were looked at."""
    kinds = {finding.kind for finding in findings}
    levels = [kind for kind in ("shortcut", "leak") if kind in kinds]
    return " and ".join(levels) or ("note" if kinds else "clean")


def with_findings(verdict: Verdict, more: Sequence[Finding]) -> Verdict:
    """A verdict to which findings are added, and the level that it has then."""
    if not more:
        return verdict
    findings = (*verdict.findings, *more)
    level = level_of(findings)
    if verdict.level == "not audited":
        level = verdict.level
    elif verdict.level.endswith("by coordinates") and level in ("clean", "note"):
        level = f"{level} by coordinates"
    # That there is no shortcut and no leak is said first, and no longer where there is one.
    before = (
        verdict.sentences[1:]
        if verdict.level.split()[0] in ("clean", "note") and level.split()[0] not in ("clean", "note")
        else verdict.sentences
    )
    sentences = (*before, *(finding.quoted for finding in more))
    flags = tuple(dict.fromkeys(finding.flag for finding in findings))
    return Verdict(level, flags, sentences, findings, verdict.looked_at)


# -------------------------------------------------------------------------------------------------------- shortcuts


@dataclass(frozen=True)
class _Gain:
    """A gain in accuracy and its interval."""

    number: float
    interval: tuple[float, float] | None
    error: float

    def passes(self, rule: Rule) -> bool:
        return self.number >= rule.threshold and self.number >= rule.errors * self.error


def _gain(measured: Measured, name: str, base: str = "majority") -> _Gain:
    """Of one control over another."""
    first, second = measured.controls[name], measured.controls[base]
    error = (max(second.accuracy * (1 - second.accuracy), 1e-9) / max(measured.test_rows, 1)) ** 0.5
    known = first.right is not None and second.right is not None
    interval = paired_interval(np.asarray(first.right), np.asarray(second.right)) if known else None
    return _Gain(first.accuracy - second.accuracy, interval, error * measured.strictness)


def _least_gain(measured: Measured, name: str, base: str, rule: Rule) -> _Gain | None:
    """The smaller gain of a control, over another one and over the majority class; None where either is too small."""
    gains = [_gain(measured, name, other) for other in (base, "majority")]
    return min(gains, key=lambda gain: gain.number) if all(gain.passes(rule) for gain in gains) else None


def _best(controls: Mapping[str, Control], names: Sequence[str]) -> str | None:
    present = [name for name in names if name in controls]
    return max(present, key=lambda name: controls[name].accuracy) if present else None


def _by_control(measured: Measured, rule_id: str, text: str, control: str, gain: _Gain) -> Finding:
    """A finding whose examples are rows that the control gets right, and the majority class does not."""
    rows = measured.rows
    examples = rows.of(*_BEHIND_SHORTCUTS.get(rule_id, ()))
    right, base = measured.controls[control].right, measured.controls["majority"].right
    if not examples and right is not None and base is not None:
        examples = rows.drawn(Behind("test", right & ~base if (right & ~base).any() else right))
    return Finding(RULES[rule_id].flag, text, gain.number, gain.interval, examples)


def _length(m: Measured) -> Iterator[Finding]:
    best = _best(m.controls, LENGTH_CONTROLS)
    if best and (gain := _gain(m, best)).passes(RULES["shortcut/length"]):
        scores = ", ".join(f"{name} {_accuracy(m, name)}" for name in LENGTH_CONTROLS if name in m.controls)
        text = f"Length alone predicts test: {scores}, where the majority class gets {_accuracy(m, 'majority')}."
        yield _by_control(m, "shortcut/length", text, best, gain)


def _positions(m: Measured) -> Iterator[Finding]:
    """Places and letter case; a linear model on all places says nothing more where one of these does."""
    found = [*_case(m), *_ends(m), *_site(m)]
    yield from found
    rule = RULES["note/position"]
    if (
        not found
        and "position-rotated" in m.controls
        and (gain := _least_gain(m, "position", "position-rotated", rule))
    ):
        text = (
            f"A linear model of the bases by place predicts {_accuracy(m, 'position')} of test, of rotated rows "
            f"{_accuracy(m, 'position-rotated')}: rows of a class have something at fixed places."
        )
        yield _by_control(m, rule.rule_id, text, "position", gain)


def _case(m: Measured) -> Iterator[Finding]:
    if "case" in m.controls and (gain := _gain(m, "case")).passes(RULES["shortcut/case"]):
        shares = {name: entry.lower_mean or 0.0 for name, entry in m.splits["test"].classes.items() if entry.rows}
        text = (
            f"Upper and lower case alone predict {_accuracy(m, 'case')} of test (majority class {_accuracy(m, 'majority')}); mean share of "
            f"lower case: {_listed(shares)}. Models here read upper case; others may not."
        )
        yield _by_control(m, "shortcut/case", text, "case", gain)


def _ends(m: Measured) -> Iterator[Finding]:
    rule = RULES["shortcut/ends"]
    if "ends" in m.controls and (gain := _least_gain(m, "ends", "middle", rule)):
        text = (
            f"The first and last bases of rows ({m.controls['ends'].details['bases']} in all) predict {_accuracy(m, 'ends')} of test, as many "
            f"from the middle {_accuracy(m, 'middle')} (majority class {_accuracy(m, 'majority')})."
        )
        yield _by_control(m, rule.rule_id, text, "ends", gain)


def _site(m: Measured) -> Iterator[Finding]:
    rule = RULES["shortcut/site"]
    if m.site is None or abs(m.site[1].excess) < max(rule.threshold, rule.errors * m.strictness * m.site[1].error):
        return
    word, counts = m.site
    low, high = counts.excess - 1.96 * counts.error, counts.excess + 1.96 * counts.error
    label = list(m.splits["test"].classes)[word.label]
    text = (
        f"{word.longer} at {word.where} is in {_percent(counts.share)} of {label} and {_percent(counts.others_share)} of the other rows of "
        f"test: a difference of {100 * counts.excess:.1f} points beyond that at other places."
    )
    yield Finding(rule.flag, text, counts.excess, (low, high), m.rows.of("site"))


def _neighbours(m: Measured) -> Iterator[Finding]:
    best = _best(m.controls, NEIGHBOUR_CONTROLS)
    if not best:
        return
    kind = {"similar": "similarity", "nn-relation": "similarity", "same-composition": "same-composition"}.get(
        best, "overlap"
    )
    rule, gain = RULES[f"shortcut/{kind}"], _gain(m, best)
    if not gain.passes(rule):
        return
    otherwise = m.controls[best].details.get("fallback")
    what = {
        "nn-relation": "The label of the nearest train row, read as train rows' neighbours teach it,",
        "same-composition": "The label of a train row with the same dinucleotide counts, read as train rows teach it,",
        "similar": f'"Label of the most similar train row, else {otherwise}"',
    }.get(best, f'"Label of the overlapping train row, else {otherwise}"')
    text = f"{what} predicts {_accuracy(m, best)} of test ({best}; majority class {_accuracy(m, 'majority')})."
    yield _by_control(m, rule.rule_id, text, best, gain)


_PAIR_SHORTCUTS = (
    ("distance-trees", "shortcut/distance", "Distance and strand alone predict"),
    ("length-trees", "shortcut/length", "Lengths, N and padding of the sides alone predict"),
    ("shared-side", "shortcut/shared-side", "The labels of train pairs with the same side predict"),
)
"""Controls of pairs, the rule of each, and what it reads."""


def _of_pairs(m: Measured) -> Iterator[Finding]:
    for name, rule_id, words in _PAIR_SHORTCUTS:
        if name in m.controls and (gain := _gain(m, name)).passes(RULES[rule_id]):
            text = f"{words} {_accuracy(m, name)} of test ({name}; majority class {_accuracy(m, 'majority')})."
            yield _by_control(m, rule_id, text, name, gain)


def _one_side(m: Measured) -> Iterator[Finding]:
    best = _best(m.controls, ("side-a", "side-b", "composition-trees"))
    if best and (gain := _gain(m, best)).passes(RULES["note/one-side"]):
        words = "composition of both sides" if best == "composition-trees" else f"{best.replace('-', ' ')} alone"
        text = (
            f"Without asking whether the sides fit, {words} predicts {_accuracy(m, best)} of test (majority class "
            f"{_accuracy(m, 'majority')})."
        )
        yield _by_control(m, "note/one-side", text, best, gain)


def _composition(m: Measured) -> Iterator[Finding]:
    """Composition may be biology: it is reported, and does not make a task worthless. Where length tells, it tells that."""
    best = _best(m.controls, ("composition-trees", "kmer"))
    if not best or any(True for _ in _length(m)):
        return
    if (gain := _gain(m, best)).passes(RULES["note/composition"]):
        scores = ", ".join(
            f"{name} {_accuracy(m, name)}" for name in ("composition-trees", "kmer") if name in m.controls
        )
        text = f"Composition alone goes far: {scores} (majority class {_accuracy(m, 'majority')}); a model's score is to be read above that."
        yield _by_control(m, "note/composition", text, best, gain)


# ------------------------------------------------------------------------------------------------------------ leaks


def _shared(
    m: Measured, rule_id: str, rows: Mapping[str, int], text: str, numbers: Sequence[str], split: str = "test"
) -> Iterator[Finding]:
    """A finding where the share of a class's rows is high enough. rows: of each class; text: with "{}" where the shares of all classes go."""
    shares = {name: n / max(m.rows_of(name, split), 1) for name, n in rows.items()}
    worst = max(shares, key=lambda name: shares[name], default=None)
    if worst is None or shares[worst] < RULES[rule_id].threshold:
        return
    interval = share_interval(rows[worst], m.rows_of(worst, split))
    yield Finding(
        RULES[rule_id].flag, text.replace("{}", _listed(shares), 1), shares[worst], interval, m.rows.of(*numbers)
    )


def _counted(*parts: PerClass, without: PerClass | None = None) -> dict[str, int]:
    """Rows of each class in any of the disjoint parts, less those of ``without``."""
    return {
        name: sum(part.per_class[name].rows for part in parts) - (without.per_class[name].rows if without else 0)
        for name in parts[0].per_class
    }


def _leaks(m: Measured) -> Iterator[Finding]:
    cross = m.across
    halves = []
    if cross.overlap_half is not None:
        text = "Test rows that overlap a train row by half or more: {}."
        halves = list(_shared(m, "leak/overlap", _counted(cross.overlap_half), text, ["overlap_half"]))
        yield from halves
    if cross.overlap_any is not None and not halves:
        text = "Test rows that share bases with a train row, less than half: {}."
        yield from _shared(m, "leak/partial-overlap", _counted(cross.overlap_any), text, ["overlap_any"])
    yield from _duplicates(m)
    if cross.same_composition is not None:
        other = cross.same_composition_conflicting
        share = other.total / max(cross.same_composition.total, 1) if other else 0.0
        text = (
            "Test rows with exactly the dinucleotide counts of another sequence in train, as a shuffle leaves them: {}; "
            f"{_percent(share)} of these have the other label."
        )
        numbers = ["same_composition"]
        yield from _shared(m, "leak/same-composition", _counted(cross.same_composition), text, numbers)
    if cross.same_design is not None:
        text = (
            "The sequences are a designed library: test rows that share a segment (constant ones left out) with a train row: {}; "
            "--split grouped keeps such rows together."
        )
        yield from _shared(m, "leak/design", _counted(cross.same_design), text, ["same_design"])
    # Where all coordinates are known they have spoken: a copy that overlaps is counted above, any other is another locus.
    if cross.near_elsewhere is None and cross.copies is not None:
        text = "Test rows that are copies of a train row (whole, shifted, cut or extended, either strand): {}."
        yield from _shared(m, "leak/similarity", _counted(cross.copies), text, ["copies"])


def _duplicates(m: Measured) -> Iterator[Finding]:
    cross = m.across
    if cross.exact is None or cross.reverse_complement is None:
        return
    rows = _counted(cross.exact, cross.reverse_complement, without=cross.identical_elsewhere)
    text = "Test rows identical to a train row on either strand: {}."
    if "shared-side" in m.controls:
        text = "Test pairs that are in train, on whichever strand: {}."
    yield from _shared(m, "leak/duplicates", rows, text, ["identical"])


def _variants(m: Measured) -> Iterator[Finding]:
    cross, together = m.across, "; --split grouped keeps them together."
    if cross.exact is not None:
        text = "Test variants that are in train: {}."
        yield from _shared(m, "leak/duplicates", _counted(cross.exact), text, ["exact"])
    if cross.same_site is not None:
        text = "Test variants at a site of a train variant: {}" + together
        yield from _shared(m, "leak/same-site", _counted(cross.same_site), text, ["same_site"])
    if cross.shared_element is not None:
        text = "Test variants in an element that train has variants of: {}; with elements in a column group --split grouped keeps them together."
        yield from _shared(m, "leak/shared-element", _counted(cross.shared_element), text, ["shared_element"])
    if cross.overlap_half is not None:
        text = "Windows of test variants that overlap one of train by half or more: {}."
        yield from _shared(m, "leak/overlap", _counted(cross.overlap_half), text, ["overlap_half"])
    if cross.copies is not None:
        text = "Windows of test variants that are a window of train, or a copy of one: {}."
        yield from _shared(m, "leak/similarity", _counted(cross.copies), text, ["copies"])


def _sides(m: Measured) -> Iterator[Finding]:
    cross, together = m.across, "; --split grouped keeps such pairs together."
    found = []
    if cross.shared_side is not None:
        text = "Test pairs that share a side with a train pair: {}" + together
        found = list(_shared(m, "leak/shared-side", _counted(cross.shared_side), text, ["shared_side"]))
        yield from found
    if cross.related_side is not None and not found:
        text = "Test pairs with a copy of a side of a train pair: {}" + together
        yield from _shared(m, "leak/related-side", _counted(cross.related_side), text, ["related_side"])


def _diverged(m: Measured) -> Iterator[Finding]:
    """Copies at low identity. Where all coordinates are known they have spoken."""
    counts, rule = m.across.diverged_copies, RULES["leak/diverged-copies"]
    if counts is None or m.diverged is None or m.across.near_elsewhere is not None:
        return
    worst = max(counts.per_class, key=counts.fraction, default=None)
    if worst is None or counts.fraction(worst) - m.diverged.background < rule.threshold:
        return
    low, high = (
        bound - m.diverged.background for bound in share_interval(counts.per_class[worst].rows, m.rows_of(worst))
    )
    text = (
        f"Test rows that are a train row from end to end at {_percent(IDENTITY)} identity or more (either strand), and no closer to any: "
        f"{listed_shares(counts)}; of rows read backwards {_percent(m.diverged.background)} are. --split grouped does not join these."
    )
    number = counts.fraction(worst) - m.diverged.background
    yield Finding(rule.flag, text, number, (low, high), m.rows.of("diverged_copies"))


def _within(m: Measured) -> Iterator[Finding]:
    """Rows that stand in their own split more than once: they count twice in a fit or a score."""
    for split, summary in m.splits.items():
        if summary.exact is None or summary.reverse_complement is None:
            continue
        sizes = ", ".join(f"{n:,} in {size} rows" for size, n in summary.families.items() if size != "1" and n)
        text = f"Rows of {split} that stand there more than once, on either strand: {{}} (sequences: {sizes})."
        rows = _counted(summary.exact, summary.reverse_complement)
        yield from _shared(m, "note/duplicates", rows, text, [f"within_{split}"], split)


def _shuffles(m: Measured) -> Iterator[Finding]:
    """Rows made of rows of another class of their own split: across splits they are a leak or a shortcut."""
    for split, summary in m.splits.items():
        if summary.shuffles is not None:
            text = f"Rows of {split} with exactly the dinucleotide counts of another sequence there that has another label: {{}}."
            yield from _shared(m, "note/shuffles", _counted(summary.shuffles), text, [f"shuffles_{split}"], split)


def _families(found: RepeatFamilies | None) -> str:
    """How large the families of repeats are, in a sentence."""
    if found is None or not found.families:
        return ""
    many = "family" if found.families == 1 else "families"
    return (
        f" By sequence {found.rows:,} test rows belong to {found.families:,} {many} of repeats, the largest of {found.largest:,} rows of train and test; "
        f"{found.rows_in_large:,} of them to families of {LARGE} rows or more."
    )


def _repeats(m: Measured) -> Iterator[Finding]:
    """Repeats are biology, and a model may use them: they are reported, and make no task worthless."""
    cross = m.across
    if cross.near_elsewhere is not None:
        parts = [counts for counts in (cross.near_elsewhere, cross.identical_elsewhere) if counts is not None]
        where = "similar to a train row at another locus (repeats, gene families)"
    elif cross.repeats is not None:
        parts = [cross.repeats]
        where = "similar to train rows as repeats are (in part, to many of them, or at another locus)"
    else:
        return
    as_copies = ""
    if cross.copies_elsewhere is not None and cross.copies_elsewhere.total:
        as_copies = (
            "; by sequence alone these would be copies, as segmental duplications are and one locus in two assemblies: "
            + listed_shares(cross.copies_elsewhere)
        )
    numbers = ["near_elsewhere", "repeats", "identical_elsewhere"]
    text = f"Test rows {where}: {{}}{as_copies}.{_families(cross.repeat_families)}"
    found = list(_shared(m, "note/repeats", _counted(*parts), text, numbers))
    yield from found
    if not found and cross.identical_elsewhere is not None:
        text = f"Test rows identical to a train row at another locus: {{}}{as_copies}."
        rows = _counted(cross.identical_elsewhere)
        yield from _shared(m, "note/identical-elsewhere", rows, text, ["identical_elsewhere"])


def _asymmetric(m: Measured) -> Iterator[Finding]:
    cross = m.across
    measures = {
        name: counts for name in ("overlap_half", "overlap_any") if (counts := getattr(cross, name)) is not None
    }
    if not measures and cross.similar is not None:
        measures = {"similar": cross.similar}
    known = asymmetries(cross)
    worst = max(measures, key=lambda name: known[name].difference, default=None)
    if worst is None:
        return
    entry, rule = known[worst], RULES[f"asymmetric/{worst.replace('_', '-')}"]
    if entry.difference < rule.threshold:
        return
    classes = (entry.highest_class, entry.lowest_class)
    counted = [(measures[worst].per_class[name].rows, m.rows_of(name)) for name in classes]
    text = (
        f"The classes are hit unequally ({worst.replace('_', ' ')}): {_percent(entry.highest)} of {entry.highest_class}, "
        f"{_percent(entry.lowest)} of {entry.lowest_class}."
    )
    interval = difference_interval(counted[0], counted[1])
    yield Finding(rule.flag, text, entry.difference, interval, m.rows.of(worst))


def _conflicts(m: Measured) -> Iterator[Finding]:
    counts, n, rule = m.across.conflicting, m.test_rows, RULES["conflicting-labels"]
    if counts is None or not counts.total or counts.total < rule.threshold * max(n, 1):
        return
    text = f"{counts.total} test rows ({_percent(counts.total / n)}) are in train under another label."
    yield Finding(rule.flag, text, counts.total / n, share_interval(counts.total, n), m.rows.of("conflicting"))


# ------------------------------------------------------------------------------------------------------------ words


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _accuracy(m: Measured, name: str) -> str:
    return _percent(m.controls[name].accuracy)


def class_share(counts: PerClass, labels: np.ndarray, names: Sequence[str]) -> tuple[float, tuple[float, float]]:
    """The share of a class's rows where it is highest, and its interval. labels: (n,) of all rows."""
    rows = np.bincount(labels, minlength=len(names))
    worst = max(range(len(names)), key=lambda i: counts.fraction(names[i]))
    return counts.fraction(names[worst]), share_interval(counts.per_class[names[worst]].rows, int(rows[worst]))


def listed_shares(counts: PerClass) -> str:
    """What share of each class, in words."""
    return _listed({name: entry.fraction for name, entry in counts.per_class.items()})


def _listed(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{_percent(share)} of {name}" for name, share in shares.items())
