"""The audit of variants: the same variant, site or element on both sides of a split, and what a group, a kind of substitution, a place or a distance
says of the label.

Where one split alone is there, as zero-shot scores need no more, rates of a group or of a kind of substitution are those of its other
rows, and nothing can leak from train.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from findna_bench.auditing import shortcuts
from findna_bench.auditing.audit_report import (
    AuditReport,
    CrossSplit,
    Finding,
    SplitSummary,
    histograms,
    per_class,
    summarise_classes,
)
from findna_bench.auditing.balanced import (
    Gain,
    balanced_left_out,
    balanced_lookup,
    balanced_trees,
    gain_of,
    significant,
)
from findna_bench.auditing.examples import Behind, ExampleRows
from findna_bench.auditing.output_audits import audit_outputs
from findna_bench.auditing.rare_labels import Columns, KnownRows
from findna_bench.auditing.relatives import copies_of
from findna_bench.auditing.rules import ERRORS, find_rule
from findna_bench.auditing.verdict import Measured, judge_variants
from findna_bench.cards import TaskCard
from findna_bench.data.catalog import SPLITS
from findna_bench.data.table import SequenceTable
from findna_bench.data.variants import VARIANT_COLUMNS, left_out_counts
from findna_bench.errors import DataError
from findna_bench.relatedness.composition import composition
from findna_bench.relatedness.overlaps import largest_overlaps
from findna_bench.relatedness.rows import Rows

__all__ = ["audit_variants", "holds_variant_rows"]

SETTING = "variants"
"""Entry of a report's ``settings`` by which pages know such reports."""
_AROUND = 20
"""Bases on either side by which a site is known where it has no coordinates."""
_MOST_ELEMENTS = 50
_HEAD = 12
_RULES = {
    "group": ("shortcut: group", "The class rate of its group ({group}) tells"),
    "distance": ("shortcut: distance", "The distance to the start of transcription tells"),
    "place": ("shortcut: position", "The place in the window tells"),
    "length": ("shortcut: length", "Length and N of the window tell"),
    "substitution": ("note: substitution", "What is substituted, with the bases beside it, tells"),
    "composition": ("note: composition", "Composition of the window tells"),
}
"""Rule -> the flag that it raises, and what it reads."""


def holds_variant_rows(tables: Mapping[str, SequenceTable]) -> bool:
    """Whether the rows of tables are variants."""
    return all(name in table.extra for table in tables.values() for name in VARIANT_COLUMNS)


def audit_variants(
    tables: Mapping[str, SequenceTable], card: TaskCard, *, status: str = "", notes: Sequence[str] = ()
) -> AuditReport:
    """Audit splits of variants; of numbers or several labels, each as two classes.

    Args:
        tables: splits; one alone is audited as far as that goes.
        card: of the task.
        status: how complete the data are.
        notes: what was said when the rows were read, such as how many were left out and why.

    Raises:
        DataError: no split, or an empty one. UnsupportedError: no number or label has two classes.
    """
    tables = {name: tables[name] for name in SPLITS if name in tables}
    if not tables or any(not len(table) for table in tables.values()):
        raise DataError(f"task {card.full_name}: nothing to audit, a split is absent or empty; import the task again")
    if not any(table.labels.ndim > 1 for table in tables.values()):
        return _audit_classes(tables, card, status, notes)

    def audit(known: KnownRows, two: TaskCard, looks: int) -> AuditReport:
        some = {split: replace(t.take(known.rows[split]), labels=known.classes[split]) for split, t in tables.items()}
        return _audit_classes(some, two, status, notes, looks)

    return audit_outputs(tables, card, audit, lambda train, test: Columns({}))


def _audit_classes(
    tables: Mapping[str, SequenceTable], card: TaskCard, status: str, notes: Sequence[str], looks: int = 1
) -> AuditReport:
    names = card.labels
    sites = _sites(tables)
    summaries = {name: _summary(table, sites[name], names) for name, table in tables.items()}
    masks = {
        (a, b): _found_again((tables[a], sites[a]), (tables[b], sites[b])) for a, b in itertools.combinations(tables, 2)
    }
    across = {
        f"{a}->{b}": CrossSplit.of(a, b, {key: per_class(mask, tables[b].labels, names) for key, mask in found.items()})
        for (a, b), found in masks.items()
    }
    controls, gains = _controls(tables, names)
    group = "element" if _elements(tables) else "chromosome"
    findings = [*_findings(gains, names, group, looks), *_left_out(notes)]
    located = all(table.contig is not None for table in tables.values())
    measured = Measured(
        splits=summaries,
        cross=across.get("train->test"),
        controls=controls,
        rows=_example_rows(tables, names, masks.get(("train", "test"), {})),
        looked_at=(
            *(f"{len(table):,} variants of {name}" for name, table in tables.items()),
            "sites by coordinates" if located else f"sites by the {_AROUND} bases on either side",
        ),
        looks=looks,
    )
    return AuditReport(
        task=card.full_name,
        labels=tuple(names),
        metric=card.metric,
        status=status,
        route="sequences and coordinates" if located else "sequences",
        splits=summaries,
        across=across,
        asymmetry={},
        controls=controls,
        similarity_bins=(),
        verdict=judge_variants(measured, findings),
        known_shortcuts=tuple(card.known_shortcuts),
        derived_from=card.derived_from,
        settings={SETTING: {"group": group, "site": "coordinates" if located else _AROUND, "notes": _of_rows(notes)}},
        histograms=histograms(
            {
                "length": {name: table.lengths for name, table in tables.items()},
                "gc": {name: composition(table.sequences).gc for name, table in tables.items()},
            },
            {name: table.labels for name, table in tables.items()},
            names,
        ),
    )


# --------------------------------------------------------------------------------------------------------- what is there


@dataclass(frozen=True)
class _Sites:
    """site, variant: (n,) numbers that mean the same in every split."""

    site: np.ndarray
    variant: np.ndarray


def _sites(tables: Mapping[str, SequenceTable]) -> dict[str, _Sites]:
    by_coordinates = all(table.contig is not None and table.start is not None for table in tables.values())
    site_of: dict[Hashable, int] = {}
    variant_of: dict[Hashable, int] = {}
    found = {}
    for name, table in tables.items():
        keys = [_site(table, row, by_coordinates) for row in range(len(table))]
        site = np.array([site_of.setdefault(key, len(site_of)) for key in keys], dtype=np.int64)
        alleles = zip(site.tolist(), table.extra["ref"].tolist(), table.extra["alt"].tolist(), strict=True)
        variant = np.array([variant_of.setdefault(one, len(variant_of)) for one in alleles], dtype=np.int64)
        found[name] = _Sites(site, variant)
    return found


def _site(table: SequenceTable, row: int, by_coordinates: bool) -> Hashable:
    offset, window = int(table.extra["offset"][row]), table.sequences[row]
    if by_coordinates and table.contig is not None and table.start is not None:
        return str(table.contig[row]), int(table.start[row]) + offset
    before = window[max(0, offset - _AROUND) : offset].rjust(_AROUND)
    return before, window[offset : offset + 1 + _AROUND].ljust(1 + _AROUND)


def _groups(table: SequenceTable) -> np.ndarray | None:
    """(n,) str, the element of each variant, else its chromosome; None where neither is known."""
    if "element" in table.extra:
        return table.extra["element"].astype(str)
    return None if table.contig is None else table.contig.astype(str)


def _elements(tables: Mapping[str, SequenceTable]) -> bool:
    return all("element" in table.extra for table in tables.values())


def _summary(table: SequenceTable, sites: _Sites, names: Sequence[str]) -> SplitSummary:
    labels = table.labels
    twice = np.bincount(sites.variant)[sites.variant] > 1
    return SplitSummary(
        len(table),
        summarise_classes(labels, names, table.lengths, composition(table.sequences)),
        exact=per_class(twice, labels, names),
        reverse_complement=per_class(np.zeros(len(table), dtype=bool), labels, names),
        conflicting=per_class(_differs(sites.variant, labels, sites.variant, labels), labels, names),
        details=_details(table, sites, names),
    )


def _details(table: SequenceTable, sites: _Sites, names: Sequence[str]) -> dict[str, Any]:
    groups = _groups(table)
    kinds = [_substitution(table, row) for row in range(len(table))]
    single = np.array([len(kind) == len("ACG>T") for kind in kinds])
    counted = Counter() if groups is None else Counter(groups.tolist())
    by_group = {
        name: {"rows": n, "classes": _classes_of(table.labels[groups == name], names)}
        for name, n in counted.most_common(_MOST_ELEMENTS)
    }
    return {
        "sites": len(np.unique(sites.site)),
        "windows": len(set(table.sequences)),
        "elements": len(counted) if "element" in table.extra else None,
        "substitutions": int(single.sum()),
        "insertions_or_deletions": int((~single).sum()),
        "cpg": sum(_at_cpg(kind) for kind in kinds),
        "n_beside": sum("N" in kind[:3] for kind, one in zip(kinds, single.tolist(), strict=True) if one),
        "by_group": by_group,
    }


def _classes_of(labels: np.ndarray, names: Sequence[str]) -> dict[str, int]:
    return {name: int((labels == label).sum()) for label, name in enumerate(names)}


def _substitution(table: SequenceTable, row: int) -> str:
    """``ACG>T``: C, between A and G, becomes T; of another variant how many bases more or fewer it has, "+2", "-1"; "=2" of two at once."""
    window, offset = table.sequences[row], int(table.extra["offset"][row])
    ref, alt = str(table.extra["ref"][row]), str(table.extra["alt"][row])
    if len(ref) != 1 or len(alt) != 1:
        difference = len(alt) - len(ref)
        return f"{difference:+d}" if difference else f"={len(ref)}"
    before = window[offset - 1] if offset else "N"
    behind = window[offset + 1] if offset + 1 < len(window) else "N"
    return f"{before}{ref}{behind}>{alt}"


def _at_cpg(kind: str) -> bool:
    return len(kind) == len("ACG>T") and (kind[1:3] == "CG" or kind[:2] == "CG")


# --------------------------------------------------------------------------------------------------------- found again


def _differs(query: np.ndarray, labels: np.ndarray, known: np.ndarray, known_labels: np.ndarray) -> np.ndarray:
    """(n,) bool: rows whose number has another label among the known ones."""
    size = int(max(query.max(initial=0), known.max(initial=0))) + 1
    low, high = np.full(size, np.iinfo(np.int64).max), np.full(size, -1)
    np.minimum.at(low, known, known_labels)
    np.maximum.at(high, known, known_labels)
    found: np.ndarray = (high[query] >= 0) & ((low[query] != labels) | (high[query] != labels))
    return found


def _found_again(earlier: tuple[SequenceTable, _Sites], later: tuple[SequenceTable, _Sites]) -> dict[str, np.ndarray]:
    """Counterpart -> (n,) bool, variants of the later split that have one in the earlier split."""
    (first, known), (second, own) = earlier, later
    masks = {
        "exact": np.isin(own.variant, known.variant),
        "same_site": np.isin(own.site, known.site),
        "conflicting": _differs(own.variant, second.labels, known.variant, first.labels),
    }
    if "element" in first.extra and "element" in second.extra:
        masks["shared_element"] = np.isin(second.extra["element"], first.extra["element"])
    masks |= _windows_again(first, second)
    touched = np.logical_or.reduce([mask for name, mask in masks.items() if name != "conflicting"])
    return {**masks, "untouched": ~touched}


def _windows_again(first: SequenceTable, second: SequenceTable) -> dict[str, np.ndarray]:
    """Windows that overlap one of the earlier split, by coordinates; where there are none, that are copies of one."""
    mine, theirs = _windows(second), _windows(first)
    if mine is not None and theirs is not None:
        (own, of_row), (known, _) = mine, theirs
        overlaps = largest_overlaps(own, known)
        return {
            "overlap_any": (overlaps.target >= 0)[of_row],
            "overlap_half": (overlaps.fraction >= 0.5)[of_row],
        }
    known_texts, texts = set(first.sequences), set(second.sequences)
    copied = (known_texts & texts) | copies_of(known_texts, texts - known_texts)
    return {"copies": np.array([text in copied for text in second.sequences], dtype=bool)}


def _windows(table: SequenceTable) -> tuple[Rows, np.ndarray] | None:
    """The different windows of a table, and which of them each row has (n,); None without coordinates."""
    if table.contig is None or table.start is None or table.end is None:
        return None
    keys = list(zip(table.contig.tolist(), table.start.tolist(), table.end.tolist(), strict=True))
    number = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    contig, start, end = (np.array(column) for column in zip(*number, strict=True))
    zeros = np.zeros(len(number), dtype=np.int64)
    windows = Rows(zeros, zeros, end - start, None, contig.astype(object), start, end)
    return windows, np.array([number[key] for key in keys], dtype=np.int64)


def _example_rows(
    tables: Mapping[str, SequenceTable], names: Sequence[str], masks: Mapping[str, np.ndarray]
) -> ExampleRows:
    """Variants as examples show them: what changes, between the bases beside it."""
    splits = {
        name: Rows(
            labels=table.labels,
            ids=table.ids,
            lengths=table.lengths,
            sequences=[_shown(table, row) for row in range(len(table))],
            contig=None if table.start is None or table.contig is None else table.contig.astype(object),
            start=None if table.start is None else table.start + table.extra["offset"],
            end=None if table.start is None else table.start + table.extra["offset"] + 1,
        )
        for name, table in tables.items()
    }
    return ExampleRows(splits, names, {name: Behind("test", mask) for name, mask in masks.items()})


def _shown(table: SequenceTable, row: int) -> str:
    window, offset = table.sequences[row], int(table.extra["offset"][row])
    ref, alt = str(table.extra["ref"][row]), str(table.extra["alt"][row])
    end = offset + len(ref)
    return f"{window[max(0, offset - _HEAD) : offset]}[{ref}/{alt}]{window[end : end + _HEAD]}"


# ------------------------------------------------------------------------------------------------------------- controls


def _keys(tables: Mapping[str, SequenceTable]) -> dict[str, list[np.ndarray]]:
    """Rule -> per table the texts (n,) that it looks up."""
    keys: dict[str, list[np.ndarray]] = {}
    groups = [_groups(table) for table in tables.values()]
    if all(one is not None for one in groups):
        keys["group"] = [one for one in groups if one is not None]
    keys["substitution"] = [np.array([_substitution(t, row) for row in range(len(t))]) for t in tables.values()]
    return keys


def _controls(
    tables: Mapping[str, SequenceTable], names: Sequence[str]
) -> tuple[dict[str, shortcuts.Control], dict[tuple[str, int], Gain]]:
    """Rules with classes counting alike: fitted on train and scored on test; of the only split, look-ups of its other rows."""
    c = len(names)
    split = "test" if "test" in tables else next(iter(tables))
    test = tables[split]
    predicted: dict[str, np.ndarray] = {}
    if "train" in tables and split == "test":
        train = tables["train"]
        both = {"train": train, "test": test}
        predicted = {
            rule: balanced_lookup(mine, train.labels, theirs, c) for rule, (mine, theirs) in _keys(both).items()
        }
        for rule, of in _FEATURES.items():
            mine, theirs = of(train), of(test)
            if mine is not None and theirs is not None:
                predicted[rule] = balanced_trees(mine, train.labels, theirs)
        majority = shortcuts.majority(train.labels, len(test), c)
    else:
        predicted = {rule: balanced_left_out(keys, test.labels, c) for rule, (keys,) in _keys({split: test}).items()}
        majority = shortcuts.majority(test.labels, len(test), c)
    controls = {"majority": shortcuts.control(test.labels, majority, names)}
    controls |= {
        rule: shortcuts.control(test.labels, found, names, classes="weighted alike")
        for rule, found in predicted.items()
    }
    gains = {
        (rule, label): gain_of(test.labels == label, found == label)
        for rule, found in predicted.items()
        for label in (range(c) if c > 2 else (1,))
    }
    return controls, gains


def _distances(table: SequenceTable) -> np.ndarray | None:
    if "tss_distance" not in table.extra:
        return None
    distance: np.ndarray = table.extra["tss_distance"][:, None].astype(np.float64)
    return distance


def _places(table: SequenceTable) -> np.ndarray:
    offset = table.extra["offset"]
    return np.column_stack([offset, table.lengths - 1 - offset]).astype(np.float64)


def _lengths(table: SequenceTable) -> np.ndarray:
    columns = [
        (len(s), s.count("N"), len(s) - len(s.lstrip("N")), len(s) - len(s.rstrip("N"))) for s in table.sequences
    ]
    return np.array(columns, dtype=np.float64)


def _composition(table: SequenceTable) -> np.ndarray:
    made_of = composition(table.sequences)
    return np.column_stack([made_of.gc, made_of.dinucleotides])


_FEATURES = {"distance": _distances, "place": _places, "length": _lengths, "composition": _composition}


def _findings(gains: Mapping[tuple[str, int], Gain], names: Sequence[str], group: str, looks: int) -> list[Finding]:
    findings = []
    shown = significant(gains, ERRORS, looks)
    for rule, (flag, words) in _RULES.items():
        least = find_rule(flag).threshold
        told = sorted(
            (key for key in shown if key[0] == rule and gains[key].value >= least), key=lambda key: -gains[key].value
        )
        if told:
            best = gains[told[0]]
            classes = ", ".join(f"{names[label]} in {100 * gains[rule, label].score:.1f} %" for _, label in told[:5])
            text = f"{words.format(group=group)} {classes} of variants from all others (mean recall of both sides; chance 50)."
            findings.append(Finding(flag, text, best.value, best.interval))
    return findings


def _of_rows(notes: Sequence[str]) -> list[str]:
    """What is said of left-out rows, without the names of files."""
    return [found[2] for note in notes if (found := left_out_counts(note)) is not None]


def _left_out(notes: Sequence[str]) -> list[Finding]:
    counts = [found for note in notes if (found := left_out_counts(note)) is not None]
    if not counts:
        return []
    left_out, every = sum(one[0] for one in counts), sum(one[1] for one in counts)
    why = "; ".join(one[2] for one in counts)
    text = f"{left_out:,} of {every:,} variants of the file are in no split: {why}."
    return [Finding("note: left-out", text, left_out / max(every, 1))]
