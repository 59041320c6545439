"""From numbers to words: fixed thresholds, the same for every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from findna_bench.auditing.audit_report import Asymmetry, CrossSplit, Finding, PerClass, SplitSummary, Verdict
from findna_bench.auditing.positional import Site, SiteCounts
from findna_bench.auditing.shortcuts import Control
from findna_bench.relatedness.diverged_copies import IDENTITY, DivergedCopies

__all__ = [
    "LENGTH_CONTROLS",
    "NEIGHBOUR_CONTROLS",
    "THRESHOLDS",
    "Thresholds",
    "asymmetries",
    "judge",
    "judge_pairs",
    "level_of",
]

LENGTH_CONTROLS = ("length-lookup", "length-linear", "length-trees")
NEIGHBOUR_CONTROLS = ("overlap-any", "overlap-half", "similar", "nn-overlap", "nn-relation", "same-composition")


@dataclass(frozen=True)
class Thresholds:
    """Where a finding becomes a flag. All are fractions.

    gain: a control's accuracy above the majority class (and more than ``errors`` standard errors above it) that makes it a
    shortcut. leak: share of a class's test rows with a counterpart in train by half their coordinates or as copies; as repeats it is
    worth a note.
    duplicates: the same for identical rows, on either strand. asymmetry: difference between classes of such shares.
    conflicting: share of all test rows whose identical train row has another label.
    composition: gain of trees on length, GC, N and dinucleotides, or of the k-mer model, worth a note.
    site: difference between classes in the share of test rows with a word at one place, beyond that at other places (and more than
    ``errors`` standard errors), that makes it a shortcut: with two classes of one size half of it is gained.
    within: share of a class's rows of one split that stand there more than once, on either strand, worth a note.
    """

    gain: float = 0.05
    errors: float = 3.0
    leak: float = 0.05
    duplicates: float = 0.01
    asymmetry: float = 0.05
    conflicting: float = 0.005
    composition: float = 0.10
    site: float = 0.10
    within: float = 0.05


THRESHOLDS = Thresholds()
_MEASURES = ("exact", "reverse_complement", "near", "similar", "copies", "repeats", "overlap_any", "overlap_half")


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


def judge(
    splits: Mapping[str, SplitSummary],
    cross: CrossSplit | None,
    asymmetry: Mapping[str, Asymmetry],
    controls: Mapping[str, Control],
    site: tuple[Site, SiteCounts] | None = None,
    diverged: DivergedCopies | None = None,
    thresholds: Thresholds = THRESHOLDS,
) -> Verdict:
    """The verdict on a task.

    Args:
        splits: what each split holds.
        cross: train -> test, None where one of them is absent.
        asymmetry: of ``cross``.
        controls: fitted on train, scored on test.
        site: the best one of train, counted in test.
        diverged: copies at low identity, with their background rate.
        thresholds: where a finding becomes a flag.
    """
    if cross is None:
        present = ", ".join(splits) or "nothing"
        return Verdict(
            "not audited", (), (f"Only {present} is present: leaks from train and shortcuts cannot be measured.",)
        )
    findings: list[Finding] = []
    _length(controls, splits["test"].rows, thresholds, findings)
    _positions(controls, site, splits, thresholds, findings)
    _neighbours(controls, splits["test"].rows, thresholds, findings)
    _leaks(cross, thresholds, findings)
    _diverged(cross, diverged, thresholds, findings)
    _within(splits, thresholds, findings)
    _asymmetric(asymmetry, thresholds, findings)
    _conflicts(cross, splits["test"].rows, thresholds, findings)
    _composition(controls, splits["test"].rows, thresholds, findings)
    level = level_of(findings)
    sentences = [finding.text for finding in findings]
    if level in ("clean", "note"):
        looked_at = "length" if cross.similar is None else "length, by fixed places or by letter case"
        sentences.insert(
            0, f"No shortcut by {looked_at}, and no more of test is found again in train than the thresholds allow."
        )
    if cross.similar is None:
        sentences.append("By coordinates alone: sequences were not looked at.")
        level = f"{level} by coordinates" if level in ("clean", "note") else level
    flags = tuple(dict.fromkeys(finding.flag for finding in findings))
    return Verdict(level, flags, tuple(sentences), tuple(findings))


def judge_pairs(
    splits: Mapping[str, SplitSummary],
    cross: CrossSplit | None,
    controls: Mapping[str, Control],
    thresholds: Thresholds = THRESHOLDS,
) -> Verdict:
    """The verdict on a task whose rows are pairs. cross: train -> test, None where one of them is absent."""
    if cross is None:
        return judge(splits, None, {}, controls, thresholds=thresholds)
    findings: list[Finding] = []
    n, base = splits["test"].rows, controls["majority"]
    for name, flag, words in _OF_PAIRS:
        if name in controls and _gain(controls[name], base, n, thresholds):
            scores = f"{_percent(controls[name].accuracy)} of test ({name}; majority class {_percent(base.accuracy)})"
            findings.append(Finding(flag, f"{words} {scores}."))
    if cross.exact is not None and cross.reverse_complement is not None:
        shares = _added((cross.exact, cross.reverse_complement))
        if max(shares.values(), default=0.0) >= thresholds.duplicates:
            findings.append(
                Finding("leak: duplicates", f"Test pairs that are in train, on whichever strand: {_listed(shares)}.")
            )
    together = "; --split grouped keeps such pairs together"
    if cross.shared_side is not None and _highest(cross.shared_side) >= thresholds.leak:
        findings.append(
            Finding(
                "leak: shared-side",
                f"Test pairs that share a side with a train pair: {_shares(cross.shared_side)}{together}.",
            )
        )
    elif cross.related_side is not None and _highest(cross.related_side) >= thresholds.leak:
        findings.append(
            Finding(
                "leak: related-side",
                f"Test pairs with a copy of a side of a train pair: {_shares(cross.related_side)}{together}.",
            )
        )
    _conflicts(cross, n, thresholds, findings)
    best = _best(controls, ("side-a", "side-b", "composition-trees"))
    if best and controls[best].accuracy - base.accuracy >= thresholds.composition:
        words = "composition of both sides" if best == "composition-trees" else f"{best.replace('-', ' ')} alone"
        findings.append(
            Finding(
                "note: one-side",
                f"Without asking whether the sides fit, {words} predicts {_percent(controls[best].accuracy)} of test (majority class "
                f"{_percent(base.accuracy)}).",
            )
        )
    level, sentences = level_of(findings), [finding.text for finding in findings]
    if level in ("clean", "note"):
        sentences.insert(
            0,
            "No shortcut by distance, length or a shared side, and no more of test is found again in train than the thresholds allow.",
        )
    return Verdict(level, tuple(finding.flag for finding in findings), tuple(sentences), tuple(findings))


_OF_PAIRS = (
    ("distance-trees", "shortcut: distance", "Distance and strand alone predict"),
    ("length-trees", "shortcut: length", "Lengths, N and padding of the sides alone predict"),
    ("shared-side", "shortcut: shared-side", "The labels of train pairs with the same side predict"),
)
"""Controls of pairs, the flag that each raises, and what it reads."""


def level_of(findings: Sequence[Finding]) -> str:
    """What a report is called by its findings."""
    kinds = {finding.kind for finding in findings}
    levels = [kind for kind in ("shortcut", "leak") if kind in kinds]
    return " and ".join(levels) or ("note" if kinds else "clean")


def _gain(control: Control, base: Control, n: int, thresholds: Thresholds) -> bool:
    difference = control.accuracy - base.accuracy
    error = (max(base.accuracy * (1 - base.accuracy), 1e-9) / max(n, 1)) ** 0.5
    return difference >= thresholds.gain and difference >= thresholds.errors * error


def _best(controls: Mapping[str, Control], names: tuple[str, ...]) -> str | None:
    present = [name for name in names if name in controls]
    return max(present, key=lambda name: controls[name].accuracy) if present else None


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _length(controls: Mapping[str, Control], n: int, thresholds: Thresholds, findings: list[Finding]) -> None:
    best = _best(controls, LENGTH_CONTROLS)
    if best and _gain(controls[best], controls["majority"], n, thresholds):
        scores = ", ".join(
            f"{name} {_percent(controls[name].accuracy)}" for name in LENGTH_CONTROLS if name in controls
        )
        findings.append(
            Finding(
                "shortcut: length",
                f"Length alone predicts test: {scores}, where the majority class gets {_percent(controls['majority'].accuracy)}.",
            )
        )


def _positions(
    controls: Mapping[str, Control],
    site: tuple[Site, SiteCounts] | None,
    splits: Mapping[str, SplitSummary],
    thresholds: Thresholds,
    findings: list[Finding],
) -> None:
    """Places and letter case. A linear model on all places that beats the same model on rotated rows is a note: the class may be
    centred on something, a start of transcription or a summit."""
    n = splits["test"].rows
    before = len(findings)
    if "case" in controls and _gain(controls["case"], controls["majority"], n, thresholds):
        shares = {name: entry.lower_mean or 0.0 for name, entry in splits["test"].classes.items() if entry.rows}
        findings.append(
            Finding(
                "shortcut: case",
                f"Upper and lower case alone predict {_percent(controls['case'].accuracy)} of test (majority class "
                f"{_percent(controls['majority'].accuracy)}); mean share of lower case: {_listed(shares)}. Models here read upper case; others may not.",
            )
        )
    if "ends" in controls and _beats(controls, "ends", "middle", n, thresholds):
        findings.append(
            Finding(
                "shortcut: ends",
                f"The first and last bases of rows ({controls['ends'].details['bases']} in all) predict {_percent(controls['ends'].accuracy)} of test, as many from the "
                f"middle {_percent(controls['middle'].accuracy)} (majority class {_percent(controls['majority'].accuracy)}).",
            )
        )
    if site is not None and _is_site(site[1], thresholds):
        word, counts = site
        names = list(splits["test"].classes)
        low, high = counts.excess - 1.96 * counts.error, counts.excess + 1.96 * counts.error
        findings.append(
            Finding(
                "shortcut: site",
                f"{word.longer} at {word.where} is in {_percent(counts.share)} of {names[word.label]} and {_percent(counts.others_share)} of the other rows of test: "
                f"a difference of {100 * counts.excess:.1f} points [{100 * low:.1f}, {100 * high:.1f}] beyond that at other places.",
            )
        )
    seen = len(findings) > before
    if not seen and "position-rotated" in controls and _beats(controls, "position", "position-rotated", n, thresholds):
        findings.append(
            Finding(
                "note: position",
                f"A linear model of the bases by place predicts {_percent(controls['position'].accuracy)} of test, of rotated rows "
                f"{_percent(controls['position-rotated'].accuracy)}: rows of a class have something at fixed places.",
            )
        )


def _beats(controls: Mapping[str, Control], name: str, base: str, n: int, thresholds: Thresholds) -> bool:
    """Whether a control is a gain over another one, and over the majority class."""
    return all(_gain(controls[name], controls[other], n, thresholds) for other in (base, "majority"))


def _is_site(counts: SiteCounts, thresholds: Thresholds) -> bool:
    return abs(counts.excess) >= max(thresholds.site, thresholds.errors * counts.error)


def _neighbours(controls: Mapping[str, Control], n: int, thresholds: Thresholds, findings: list[Finding]) -> None:
    best = _best(controls, NEIGHBOUR_CONTROLS)
    if not best or not _gain(controls[best], controls["majority"], n, thresholds):
        return
    kind = {"similar": "similarity", "nn-relation": "similarity", "same-composition": "same-composition"}.get(
        best, "overlap"
    )
    rule = controls[best]
    otherwise = rule.details.get("fallback")
    what = {
        "nn-relation": "The label of the nearest train row, read as train rows' neighbours teach it,",
        "same-composition": "The label of a train row with the same dinucleotide counts, read as train rows teach it,",
        "similar": f'"Label of the most similar train row, else {otherwise}"',
    }.get(best, f'"Label of the overlapping train row, else {otherwise}"')
    findings.append(
        Finding(
            f"shortcut: {kind}",
            f"{what} predicts {_percent(rule.accuracy)} of test ({best}; majority class {_percent(controls['majority'].accuracy)}).",
        )
    )


def _leaks(cross: CrossSplit, thresholds: Thresholds, findings: list[Finding]) -> None:
    if cross.overlap_half is not None and _highest(cross.overlap_half) >= thresholds.leak:
        findings.append(
            Finding(
                "leak: overlap", f"Test rows that overlap a train row by half or more: {_shares(cross.overlap_half)}."
            )
        )
    elif cross.overlap_any is not None and _highest(cross.overlap_any) >= thresholds.leak:
        findings.append(
            Finding(
                "leak: partial-overlap",
                f"Test rows that share bases with a train row, less than half: {_shares(cross.overlap_any)}.",
            )
        )
    if cross.exact is not None and cross.reverse_complement is not None:
        shares = _added((cross.exact, cross.reverse_complement), cross.identical_elsewhere)
        if max(shares.values(), default=0.0) >= thresholds.duplicates:
            findings.append(
                Finding("leak: duplicates", f"Test rows identical to a train row on either strand: {_listed(shares)}.")
            )
    if cross.same_composition is not None and _highest(cross.same_composition) >= thresholds.leak:
        other = cross.same_composition_conflicting
        share = other.total / cross.same_composition.total if other else 0.0
        findings.append(
            Finding(
                "leak: same-composition",
                "Test rows with exactly the dinucleotide counts of another sequence in train, as a shuffle leaves them: "
                f"{_shares(cross.same_composition)}; {_percent(share)} of these have the other label.",
            )
        )
    if cross.same_design is not None and _highest(cross.same_design) >= thresholds.leak:
        findings.append(
            Finding(
                "leak: design",
                "The sequences are a designed library: test rows that share a segment (constant ones left out) with a train row: "
                f"{_shares(cross.same_design)}; --split grouped keeps such rows together.",
            )
        )
    # Where all coordinates are known they have spoken: a copy that overlaps is counted above, any other is another locus.
    if cross.near_elsewhere is None and cross.copies is not None and _highest(cross.copies) >= thresholds.leak:
        findings.append(
            Finding(
                "leak: similarity",
                f"Test rows that are copies of a train row (whole, shifted, cut or extended, either strand): {_shares(cross.copies)}.",
            )
        )
    _repeats(cross, thresholds, findings)


def _diverged(
    cross: CrossSplit, diverged: DivergedCopies | None, thresholds: Thresholds, findings: list[Finding]
) -> None:
    """Copies at low identity. Where all coordinates are known they have spoken."""
    counts = cross.diverged_copies
    if counts is None or diverged is None or cross.near_elsewhere is not None:
        return
    if _highest(counts) - diverged.background >= thresholds.leak:
        findings.append(
            Finding(
                "leak: diverged-copies",
                f"Test rows that are a train row from end to end at {_percent(IDENTITY)} identity or more (either strand), and no closer to any: {_shares(counts)}; "
                f"of rows read backwards {_percent(diverged.background)} are. --split grouped does not join these.",
            )
        )


def _within(splits: Mapping[str, SplitSummary], thresholds: Thresholds, findings: list[Finding]) -> None:
    """Rows that stand in their own split more than once: they count twice in a fit or a score."""
    for split, summary in splits.items():
        if summary.exact is None or summary.reverse_complement is None:
            continue
        shares = _added((summary.exact, summary.reverse_complement))
        if max(shares.values(), default=0.0) >= thresholds.within:
            sizes = ", ".join(f"{n:,} in {size} rows" for size, n in summary.families.items() if size != "1" and n)
            findings.append(
                Finding(
                    "note: duplicates",
                    f"Rows of {split} that stand there more than once, on either strand: {_listed(shares)} (sequences: {sizes}).",
                )
            )


def _repeats(cross: CrossSplit, thresholds: Thresholds, findings: list[Finding]) -> None:
    """Repeats are biology, and a model may use them: they are reported, and make no task worthless."""
    known = [counts for counts in (cross.near_elsewhere, cross.identical_elsewhere) if counts is not None]
    if cross.near_elsewhere is not None:
        shares, where = _added(known), "similar to a train row at another locus (repeats, gene families)"
    elif cross.repeats is not None:
        shares = _added([cross.repeats])
        where = "similar to train rows as repeats are (in part, to many of them, or at another locus)"
    else:
        return
    if max(shares.values(), default=0.0) < thresholds.leak and (
        cross.identical_elsewhere is None or _highest(cross.identical_elsewhere) < thresholds.duplicates
    ):
        return
    as_copies = ""
    if cross.copies_elsewhere is not None and cross.copies_elsewhere.total:
        as_copies = (
            "; by sequence alone these would be copies, as segmental duplications are and one locus in two assemblies: "
            + _shares(cross.copies_elsewhere)
        )
    findings.append(Finding("note: repeats", f"Test rows {where}: {_listed(shares)}{as_copies}."))


def _added(parts: Sequence[PerClass], without: PerClass | None = None) -> dict[str, float]:
    """Fractions of each class in any of the disjoint parts, less those of ``without``."""
    return {
        name: sum(part.fraction(name) for part in parts) - (without.fraction(name) if without else 0.0)
        for name in parts[0].per_class
    }


def _highest(counts: PerClass) -> float:
    return max((entry.fraction for entry in counts.per_class.values()), default=0.0)


def _shares(counts: PerClass) -> str:
    return _listed({name: entry.fraction for name, entry in counts.per_class.items()})


def _listed(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{_percent(share)} of {name}" for name, share in shares.items())


def _asymmetric(asymmetry: Mapping[str, Asymmetry], thresholds: Thresholds, findings: list[Finding]) -> None:
    found = [name for name in ("overlap_half", "overlap_any") if name in asymmetry] or [
        n for n in ("similar",) if n in asymmetry
    ]
    worst = max(found, key=lambda name: asymmetry[name].difference, default=None)
    if worst is not None and asymmetry[worst].difference >= thresholds.asymmetry:
        entry = asymmetry[worst]
        findings.append(
            Finding(
                f"asymmetric: {worst.replace('_', '-')}",
                f"The classes are hit unequally ({worst.replace('_', ' ')}): {_percent(entry.highest)} of {entry.highest_class}, "
                f"{_percent(entry.lowest)} of {entry.lowest_class}.",
            )
        )


def _conflicts(cross: CrossSplit, n: int, thresholds: Thresholds, findings: list[Finding]) -> None:
    if cross.conflicting is None:
        return
    if cross.conflicting.total >= thresholds.conflicting * max(n, 1) and cross.conflicting.total:
        findings.append(
            Finding(
                "conflicting-labels",
                f"{cross.conflicting.total} test rows ({_percent(cross.conflicting.total / n)}) are in train under another label.",
            )
        )


def _composition(controls: Mapping[str, Control], n: int, thresholds: Thresholds, findings: list[Finding]) -> None:
    """Composition may be biology: it is reported, and does not make a task worthless."""
    if any(finding.flag == "shortcut: length" for finding in findings):
        return
    best = _best(controls, ("composition-trees", "kmer"))
    if best and controls[best].accuracy - controls["majority"].accuracy >= thresholds.composition:
        scores = ", ".join(
            f"{name} {_percent(controls[name].accuracy)}" for name in ("composition-trees", "kmer") if name in controls
        )
        findings.append(
            Finding(
                "note: composition",
                f"Composition alone goes far: {scores} (majority class {_percent(controls['majority'].accuracy)}); "
                "a model's score is to be read above that.",
            )
        )
