"""The audit itself: every check that the given splits allow."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from findna_bench.auditing import positional, shortcuts
from findna_bench.auditing.audit_report import (
    AuditReport,
    CrossSplit,
    SimilarityBin,
    SplitSummary,
    family_sizes,
    histograms,
    per_class,
    summarise_classes,
)
from findna_bench.auditing.base_audits import audit_bases
from findna_bench.auditing.examples import Behind, ExampleRows
from findna_bench.auditing.neighbours import find_neighbours
from findna_bench.auditing.output_audits import audit_outputs
from findna_bench.auditing.pair_audits import audit_pairs
from findna_bench.auditing.rare_labels import KnownRows, sequence_columns
from findna_bench.auditing.references import References, with_references
from findna_bench.auditing.relatives import Relatives
from findna_bench.auditing.variant_audits import audit_variants, holds_variant_rows
from findna_bench.auditing.verdict import Measured, asymmetries, judge
from findna_bench.cards import TaskCard
from findna_bench.data.catalog import SPLITS
from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.relatedness import copies, libraries
from findna_bench.relatedness import diverged_copies as diverged
from findna_bench.relatedness.composition import Composition, composition, dinucleotide_keys, same_composition
from findna_bench.relatedness.diverged_copies import DivergedCopies
from findna_bench.relatedness.duplicates import Identity, identities, twins_across, twins_within
from findna_bench.relatedness.kmer_seeds import SeedScheme
from findna_bench.relatedness.libraries import Library, find_library
from findna_bench.relatedness.overlaps import Overlaps, known_apart, largest_overlaps
from findna_bench.relatedness.repeat_families import RepeatFamilies, repeat_families
from findna_bench.relatedness.rows import Rows, rows_from_intervals, rows_from_table
from findna_bench.relatedness.similarity import COVERAGE, IDENTITY, MIN_COLUMNS, Hits, SequenceIndex
from findna_bench.sequences.letter_case import case_features, lower_share

if TYPE_CHECKING:
    from findna_bench.data.task import Task

__all__ = ["audit_rows", "audit_tables", "audit_task"]

_PROBE_ROWS = 4000
"""Train rows looked up in the rest of train to choose the fallback of the neighbour rules."""
_BINS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)


def audit_task(
    name: str,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    drop_missing: bool = False,
    target: str | None = None,
    references: References | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> AuditReport:
    """Audit a task by name or path; where only coordinates are imported, by coordinates alone.

    Where the sequences are partial and all published coordinates are there, the report carries one on those as well. The
    report is kept under the data root, for ``describe``. drop_missing: of a path, leave out rows without sequence or label. target: of a
    path, what its columns predict, where these say otherwise. references: what it is compared with. progress:
    called with what was read of a path.

    Raises:
        UnknownNameError, DataError: as :func:`findna_bench.data.task.open_task`.
    """
    from findna_bench.auditing.stored_reports import store_report
    from findna_bench.data.task import open_task

    task = open_task(name, data_dir=data_dir, offline=offline, drop_missing=drop_missing, target=target)
    for note in task.notes:
        progress(note)
    report = _audit(task, references or References())
    store_report(report, task.data_digest, data_dir)
    return report


def _audit(task: Task, references: References) -> AuditReport:
    if task.status == "coordinates":
        return with_references(_audit_coordinates(task), {}, task.card, references)
    tables = {split: task.load(split) for split in task.splits}
    report = audit_tables(tables, task.card, status=task.status, notes=task.notes)
    report = with_references(report, tables, task.card, references)
    if task.status == "partial" and task.interval_splits:
        published = References(published=references.published)  # of the complete rows; sequences are compared above
        complete = with_references(_audit_coordinates(task), {}, task.card, published)
        return replace(report, published_coordinates=complete)
    return report


def _audit_coordinates(task: Task) -> AuditReport:
    splits = {}
    for split in task.interval_splits:
        table = task.intervals(split)
        splits[split] = rows_from_intervals(table.labels, table.contig, table.start, table.end, table.ids)
    return audit_rows(splits, task.card, status="coordinates")


def audit_tables(
    tables: Mapping[str, SequenceTable], card: TaskCard, *, status: str = "", notes: Sequence[str] = ()
) -> AuditReport:
    """Audit splits given as tables; any of train, validation and test may be absent.

    status: how complete the data are (``Task.status``), shown in the report. notes: what was said when the rows were read. Of rows with numbers, or several
    labels, each of these is audited as two classes: below and above the median of train, or without and with a label.

    Raises:
        DataError: no split, or an empty one.
        UnsupportedError: rows have no number or label that two classes can be made of.
    """
    if any(table.sequences_b is not None for table in tables.values()):
        return audit_pairs(tables, card, status=status)
    if tables and holds_variant_rows(tables):
        return audit_variants(tables, card, status=status, notes=notes)
    if not any(table.labels.ndim > 1 for table in tables.values()):
        return audit_rows({name: rows_from_table(table) for name, table in tables.items()}, card, status=status)
    if any(table.labels.dtype.kind == "u" for table in tables.values()):
        return audit_bases(tables, card, lambda rows: _relatives(rows, status), status=status)
    rows = {name: rows_from_table(replace(t, labels=np.zeros(len(t), dtype=np.int64))) for name, t in tables.items()}
    measured: dict[str, _Evidence] = {}

    def audit(known: KnownRows, two: TaskCard, looks: int) -> AuditReport:
        if any(len(known.rows[split]) < len(rows[split]) for split in rows):
            some = {s: replace(rows[s].take(known.rows[s]), labels=known.classes[s]) for s in rows}
            return _report(_gather(_checked(some, card)), two, status, looks)
        if not measured:  # of the rows, whatever their labels: once for all outputs
            measured["all rows"] = _gather(_checked(rows, card))
        return _report(measured["all rows"].with_classes(known.classes), two, status, looks)

    return audit_outputs(tables, card, audit, sequence_columns)


def audit_rows(splits: Mapping[str, Rows], card: TaskCard, *, status: str = "") -> AuditReport:
    """Audit rows known by sequence, by coordinates, or by both.

    Raises:
        DataError: no split, or an empty one.
    """
    return _report(_gather(_checked(splits, card)), card, status)


def _checked(splits: Mapping[str, Rows], card: TaskCard) -> dict[str, Rows]:
    splits = {name: splits[name] for name in SPLITS if name in splits}
    if not splits or any(not len(rows) for rows in splits.values()):
        raise DataError(f"task {card.full_name}: nothing to audit, a split is absent or empty; import the task again")
    return splits


def _report(evidence: _Evidence, card: TaskCard, status: str, looks: int = 1) -> AuditReport:
    """looks: reports of the same rows by other labels that are made as well."""
    splits = evidence.splits
    found = {(a, b): _across(evidence, a, b) for a, b in _split_pairs(splits)}
    across = {f"{a}->{b}": _counted(evidence, a, b, masks, card.labels) for (a, b), masks in found.items()}
    summaries = {name: _summary(evidence, name, card.labels) for name in splits}
    controls, bins = _controls(evidence, card.labels)
    places, by_place = _positional(evidence, card.labels, controls.get("majority"))
    controls |= by_place
    cross = across.get("train->test")
    behind = _behind(evidence, found.get(("train", "test"), {}), places)
    measured = Measured(
        splits=summaries,
        cross=cross,
        controls=controls,
        site=places.site,
        diverged=evidence.diverged,
        rows=ExampleRows(splits, card.labels, behind),
        looked_at=_looked_at(evidence, status),
        looks=looks,
    )
    return AuditReport(
        task=card.full_name,
        labels=tuple(card.labels),
        metric=card.metric,
        status=status,
        route=evidence.route,
        splits=summaries,
        across=across,
        asymmetry=asymmetries(cross),
        controls=controls,
        similarity_bins=bins,
        verdict=judge(measured),
        neighbours=find_neighbours(measured.rows),
        positions=places.to_dict(card.labels),
        known_shortcuts=tuple(card.known_shortcuts),
        derived_from=card.derived_from,
        settings=_settings(evidence),
        histograms=_histograms(evidence, card.labels),
    )


def _looked_at(evidence: _Evidence, status: str) -> tuple[str, ...]:
    """What the numbers of a report rest on, in words."""
    splits = evidence.splits
    words = [f"{len(rows):,} rows of {name}" for name, rows in splits.items()]
    if status not in ("", "coordinates"):
        words[-1] += f" (data: {status})"
    if evidence.identity:
        words.append(f"sequences of {_joined(evidence.identity)}, on either strand")
    else:
        words.append("no sequences")
    located = {name: int(rows.located.sum()) for name, rows in splits.items()}
    if any(located.values()):
        known = (f"{n:,} of {len(splits[name]):,} rows of {name}" for name, n in located.items())
        words.append(f"coordinates of {_joined(known)}")
    else:
        words.append("no coordinates")
    if evidence.identity:
        marked = [name for name, rows in splits.items() if rows.lower is not None]
        words.append(
            f"letter case of {_joined(marked)}"
            if marked
            else "no letter case: all letters are upper case, or it is not known"
        )
    if evidence.diverged is not None:
        words.append(
            f"copies at low identity of {len(evidence.diverged.rows):,} rows of test that have no closer relative"
        )
    return tuple(words)


def _joined(words: Iterable[str]) -> str:
    return ", ".join(words)


def _behind(evidence: _Evidence, masks: Mapping[str, np.ndarray], places: positional.Positions) -> dict[str, Behind]:
    """The rows behind the numbers of train -> test and of the splits themselves, each with what it was found again as."""
    behind: dict[str, Behind] = {}
    if masks:
        counterparts = _counterparts(evidence, "train", "test")
        if "exact" in masks:
            masks = {**masks, "identical": masks["exact"] | masks["reverse_complement"]}
        behind = {name: Behind("test", mask, counterparts.get(name)) for name, mask in masks.items()}
    for split, identity in evidence.identity.items():
        number = identity.either
        behind[f"within_{split}"] = Behind(split, np.bincount(number)[number] > 1, _other_of_same(number), split)
        source = evidence.made_of_others(split)
        behind[f"shuffles_{split}"] = Behind(split, source >= 0, source, split)
    test = evidence.splits.get("test")
    if places.site is not None and test is not None and test.sequences is not None:
        site = places.site[0]
        with_word = site.found(positional.PlacedRows(test.sequences, test.labels))
        mine = with_word & (test.labels == site.label)
        behind["site"] = Behind("test", mine if mine.any() else with_word)
    return behind


def _other_of_same(number: np.ndarray) -> np.ndarray:
    """(n,) the next row of the same number, the first one for the last; -1 where there is no other."""
    order = np.argsort(number, kind="stable")
    ordered = number[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    size = np.diff(np.append(first, len(ordered)))
    following = np.append(order[1:], -1)
    following[first + size - 1] = np.where(size > 1, order[first], -1)
    other = np.full(len(number), -1, dtype=np.int64)
    other[order] = following
    return other


def _counterparts(evidence: _Evidence, earlier: str, later: str) -> dict[str, np.ndarray]:
    """Measure -> (n,) the row of the earlier split that each row of the later one was found again as, -1 = none."""
    first, second = evidence.splits[earlier], evidence.splits[later]
    found: dict[str, np.ndarray] = {}
    if (earlier, later) in evidence.hits:
        hits = evidence.hits[earlier, later]
        known, own = evidence.identity[earlier].either, evidence.identity[later].either
        twin = _twin(known, first.located, own)
        found = dict.fromkeys(("exact", "reverse_complement", "identical", "identical_elsewhere"), twin)
        near = np.where(twin >= 0, twin, hits.target)
        found |= dict.fromkeys(("similar", "near", "near_elsewhere", "repeats"), near)
        found["copies"] = np.where(twin >= 0, twin, hits.copy)
        found["same_composition"] = evidence.shuffled[earlier, later]
        found["conflicting"] = _twin_of_other_label(known, first.labels, own, second.labels)
        if (earlier, later) == ("train", "test") and evidence.diverged is not None:
            found["diverged_copies"] = _diverged_target(evidence.diverged, len(second))
    if (earlier, later) in evidence.overlaps:
        overlaps = evidence.overlaps[earlier, later]
        found |= dict.fromkeys(("overlap_any", "overlap_half", "overlap_conflicting"), overlaps.target)
    return found


def _twin_of_other_label(
    earlier: np.ndarray, earlier_labels: np.ndarray, later: np.ndarray, later_labels: np.ndarray
) -> np.ndarray:
    """(n,) for each later row an earlier one of the same number and another label, -1 = none."""
    found = np.full(len(later), -1, dtype=np.int64)
    for label in np.unique(later_labels):
        rows = np.flatnonzero(later_labels == label)
        others = np.flatnonzero(earlier_labels != label)
        if len(others):
            twin = _twin(earlier[others], np.zeros(len(others), dtype=bool), later[rows])
            found[rows] = np.where(twin >= 0, others[twin], -1)
    return found


def _split_pairs(splits: Mapping[str, Rows]) -> list[tuple[str, str]]:
    """(earlier, later) names of all pairs of splits that are there: a later one is looked up in each earlier one, never the other way."""
    return list(itertools.combinations([name for name in SPLITS if name in splits], 2))


@dataclass(frozen=True)
class _Evidence:
    """All that was measured on the rows, before it is counted.

    shuffled: (earlier, later) split -> (n,) for each row of the later one a row of the earlier one with its dinucleotide counts, -1 = none.
    within_train: of the rows of :func:`_probed`, the nearest other rows of train. schemes: seeds of each split that was searched.
    """

    splits: dict[str, Rows]
    identity: dict[str, Identity]
    made_of: dict[str, Composition]
    shuffled: dict[tuple[str, str], np.ndarray]
    schemes: dict[str, SeedScheme]
    hits: dict[tuple[str, str], Hits]
    within_train: Hits | None
    overlaps: dict[tuple[str, str], Overlaps]
    diverged: DivergedCopies | None
    places: dict[str, slice]
    library: Library | None

    def designed(self, earlier: str, later: str) -> np.ndarray | None:
        """(n,) bool: rows of the later split that share a segment of the library with one of the earlier split; None = no library."""
        if self.library is None:
            return None
        return self.library.share_a_segment(self.places[later], self.places[earlier])

    def with_classes(self, classes: Mapping[str, np.ndarray]) -> _Evidence:
        """The same rows with other labels (n,) in each split."""
        return replace(self, splits={name: replace(rows, labels=classes[name]) for name, rows in self.splits.items()})

    def made_of_others(self, split: str) -> np.ndarray:
        """(n,) for each row another one of its split with its dinucleotide counts and another label, -1 = none."""
        source, labels = self.shuffled[split, split], self.splits[split].labels
        return np.where((source >= 0) & (labels[np.maximum(source, 0)] != labels), source, -1)

    @property
    def route(self) -> str:
        located = any(rows.located.any() for rows in self.splits.values())
        if not self.identity:
            return "coordinates"
        return "sequences and coordinates" if located else "sequences"


def _gather(splits: dict[str, Rows]) -> _Evidence:
    identity = identities(splits)
    made_of = {name: composition(rows.sequences) for name, rows in splits.items() if rows.sequences is not None}
    schemes, hits, within_train = _search(splits)
    overlaps = {
        (earlier, later): largest_overlaps(splits[later], splits[earlier])
        for earlier, later in _split_pairs(splits)
        if splits[earlier].located.any() and splits[later].located.any()
    }
    low = _diverged(splits, identity, hits)
    shuffled = _shuffled(splits, identity)
    library = _library(splits)
    return _Evidence(dict(splits), identity, made_of, shuffled, schemes, hits, within_train, overlaps, low, *library)


def _search(splits: Mapping[str, Rows]) -> tuple[dict[str, SeedScheme], dict[tuple[str, str], Hits], Hits | None]:
    """``schemes``, ``hits`` and ``within_train`` of the evidence. An index is large, and gone once all has been looked up in it."""
    schemes: dict[str, SeedScheme] = {}
    hits: dict[tuple[str, str], Hits] = {}
    within_train = None
    for earlier, pairs in itertools.groupby(_split_pairs(splits), lambda pair: pair[0]):
        known = splits[earlier].sequences
        later = {name: rows for _, name in pairs if (rows := splits[name].sequences) is not None}
        if known is None or not later:
            continue
        index = SequenceIndex(known)
        schemes[earlier] = index.scheme
        hits |= {(earlier, name): index.nearest(sequences) for name, sequences in later.items()}
        if earlier == "train" and "test" in later:
            probe = _probed(len(known))
            within_train = index.nearest([known[i] for i in probe.tolist()], own_row=probe)
    return schemes, hits, within_train


def _probed(n_train: int) -> np.ndarray:
    """(p,) train rows that are looked up among the others."""
    return np.sort(np.random.default_rng(0).permutation(n_train)[:_PROBE_ROWS])


def _shuffled(splits: Mapping[str, Rows], identity: Mapping[str, Identity]) -> dict[tuple[str, str], np.ndarray]:
    """Rows with the dinucleotide counts of a row of an earlier split, or of another row of their own."""
    keys = {name: dinucleotide_keys(rows.sequences) for name, rows in splits.items() if rows.sequences is not None}
    return {
        (earlier, later): same_composition(keys[later], identity[later].either, keys[earlier], identity[earlier].either)
        for earlier, later in itertools.combinations_with_replacement(keys, 2)
    }


def _diverged(
    splits: Mapping[str, Rows], identity: Mapping[str, Identity], hits: Mapping[tuple[str, str], Hits]
) -> DivergedCopies | None:
    """Copies at low identity of train rows among the test rows that have no closer relative; None without the sequences of both."""
    if ("train", "test") not in hits:
        return None
    train, test, found = splits["train"], splits["test"], hits["train", "test"]
    assert train.sequences is not None
    assert test.sequences is not None
    close = found.similar | (found.copy >= 0) | np.isin(identity["test"].either, identity["train"].either)
    return diverged.diverged_copies(test.sequences, train.sequences, np.flatnonzero(~close))


def _library(splits: dict[str, Rows]) -> tuple[dict[str, slice], Library | None]:
    """The library that the sequences of all splits are, if they are one, and the rows of each split in it."""
    pooled: list[str] = []
    places = {}
    for name, rows in splits.items():
        if rows.sequences is not None:
            places[name] = slice(len(pooled), len(pooled) + len(rows))
            pooled += rows.sequences
    return places, find_library(pooled)


def _summary(evidence: _Evidence, split: str, names: Sequence[str]) -> SplitSummary:
    rows, made_of = evidence.splits[split], evidence.made_of.get(split)
    lower = None if rows.lower is None else lower_share(rows.lower, rows.lengths)
    classes = summarise_classes(rows.labels, names, rows.lengths, made_of, lower)
    if split not in evidence.identity:
        return SplitSummary(len(rows), classes)
    twins = twins_within(evidence.identity[split], rows.labels)
    return SplitSummary(
        len(rows),
        classes,
        exact=per_class(twins.exact, rows.labels, names),
        reverse_complement=per_class(twins.reverse_complement, rows.labels, names),
        conflicting=per_class(twins.conflicting, rows.labels, names),
        shuffles=per_class(evidence.made_of_others(split) >= 0, rows.labels, names),
        families=family_sizes(evidence.identity[split].either),
    )


def _relatives(splits: Mapping[str, Rows], status: str) -> Relatives:
    """What is known of rows whose labels are no classes."""
    evidence = _gather(dict(splits))
    masks = {pair: _across(evidence, *pair) for pair in _split_pairs(splits)}
    behind = _behind(evidence, masks.get(("train", "test"), {}), positional.Positions())
    return Relatives(
        masks,
        {pair: _repeat_families(evidence, *pair, found) for pair, found in masks.items()},
        behind,
        evidence.identity,
        evidence.diverged,
        _settings(evidence),
        evidence.route,
        _looked_at(evidence, status),
    )


def _across(evidence: _Evidence, earlier: str, later: str) -> dict[str, np.ndarray]:
    """Measure -> (n,) bool, rows of the later split that are found again in the earlier one."""
    first, second = evidence.splits[earlier], evidence.splits[later]
    counts: dict[str, np.ndarray] = {}
    touched = np.zeros(len(second), dtype=bool)
    if (earlier, later) in evidence.hits:
        hits = evidence.hits[earlier, later]
        twins = twins_across(evidence.identity[later], second.labels, evidence.identity[earlier], first.labels)
        identical = twins.exact | twins.reverse_complement
        near = hits.similar & ~identical
        elsewhere = _known_elsewhere(evidence, earlier, later, identical)
        copied = identical | (hits.copy >= 0)
        shuffled = evidence.shuffled[earlier, later]
        counts = {
            "exact": twins.exact,
            "reverse_complement": twins.reverse_complement,
            "near": near,
            "near_reverse": near & hits.reverse,
            "similar": hits.similar | identical,
            "copies": copied & ~elsewhere,
            "repeats": (hits.similar | identical) & ~(copied & ~elsewhere),
            "conflicting": twins.conflicting,
            "near_conflicting": near & (first.labels[np.maximum(hits.target, 0)] != second.labels),
            "same_composition": shuffled >= 0,
            "same_composition_conflicting": (shuffled >= 0) & (first.labels[np.maximum(shuffled, 0)] != second.labels),
        }
        if (earlier, later) == ("train", "test") and evidence.diverged is not None:
            counts["diverged_copies"] = _diverged_rows(evidence.diverged, first, second)
            touched |= counts["diverged_copies"]
        if (designed := evidence.designed(earlier, later)) is not None:
            counts["same_design"] = designed
            touched |= designed
        if first.located.any() and second.located.any():
            counts |= {"identical_elsewhere": identical & elsewhere, "copies_elsewhere": copied & elsewhere}
        touched |= counts["similar"] | counts["same_composition"]
    if (earlier, later) in evidence.overlaps:
        overlaps = evidence.overlaps[earlier, later]
        some = overlaps.target >= 0
        counts |= {
            "overlap_any": some,
            "overlap_half": overlaps.fraction >= 0.5,
            "overlap_conflicting": some & (first.labels[np.maximum(overlaps.target, 0)] != second.labels),
        }
        if "near" in counts and first.located.all() and second.located.all():
            counts["near_elsewhere"] = counts["near"] & ~some
        touched |= some
    if counts:
        counts["untouched"] = ~touched
    return counts


def _counted(
    evidence: _Evidence, earlier: str, later: str, masks: Mapping[str, np.ndarray], names: Sequence[str]
) -> CrossSplit:
    labels = evidence.splits[later].labels
    counts = {key: per_class(mask, labels, names) for key, mask in masks.items()}
    return CrossSplit.of(earlier, later, counts, _repeat_families(evidence, earlier, later, masks))


def _repeat_families(
    evidence: _Evidence, earlier: str, later: str, masks: Mapping[str, np.ndarray]
) -> RepeatFamilies | None:
    """How large the families are that the repeats of the later split belong to; None without sequences."""
    if (earlier, later) not in evidence.hits:
        return None
    query, target = evidence.hits[earlier, later].repeats
    nearest = _counterparts(evidence, earlier, later)["repeats"]
    # Among these are copies that coordinates know to be another locus.
    rows = np.flatnonzero(masks["repeats"] & (nearest >= 0))
    links = np.concatenate([query, rows]), np.concatenate([target, nearest[rows]])
    return repeat_families(links, masks["repeats"], len(evidence.splits[earlier]))


def _diverged_target(diverged: DivergedCopies, n: int) -> np.ndarray:
    """(n,) the train row that each test row is a copy of at low identity, -1 = none."""
    target = np.full(n, -1, dtype=np.int64)
    target[diverged.rows] = diverged.target
    return target


def _diverged_rows(diverged: DivergedCopies, train: Rows, test: Rows) -> np.ndarray:
    """(n,) bool: test rows that are copies at low identity, not of a train row that is known to be another locus."""
    target = _diverged_target(diverged, len(test))
    found: np.ndarray = (target >= 0) & ~known_apart(test, train, target)
    return found


def _known_elsewhere(evidence: _Evidence, earlier: str, later: str, identical: np.ndarray) -> np.ndarray:
    """(n,) bool: rows whose twin or copy in the earlier split is known by coordinates to be another locus."""
    first, second = evidence.splits[earlier], evidence.splits[later]
    hits = evidence.hits[earlier, later]
    original = np.where(hits.copy >= 0, hits.copy, hits.target)
    twin = _twin(evidence.identity[earlier].either, first.located, evidence.identity[later].either)
    return known_apart(second, first, np.where(identical, twin, original))


def _twin(earlier: np.ndarray, located: np.ndarray, later: np.ndarray) -> np.ndarray:
    """(n,) for each number of the later split the earlier row of that number, -1 = none; of several one without coordinates."""
    order = np.argsort(located, kind="stable")
    known, first = np.unique(earlier[order], return_index=True)
    place = np.minimum(np.searchsorted(known, later), len(known) - 1)
    return np.where(known[place] == later, order[first[place]], -1)


def _controls(
    evidence: _Evidence, names: Sequence[str]
) -> tuple[dict[str, shortcuts.Control], tuple[SimilarityBin, ...]]:
    """Every control that can be fitted; none without train and test."""
    if "train" not in evidence.splits or "test" not in evidence.splits:
        return {}, ()
    train, test = evidence.splits["train"], evidence.splits["test"]
    classes = len(names)
    predicted: dict[str, tuple[np.ndarray, dict[str, object]]] = {
        "majority": (
            shortcuts.majority(train.labels, len(test), classes),
            {"class": names[shortcuts.majority_class(train.labels, classes)]},
        ),
        "length-lookup": (
            shortcuts.length_lookup(train.lengths, train.labels, test.lengths, classes),
            {"lengths_in_train": len(np.unique(train.lengths))},
        ),
        "length-linear": (shortcuts.length_regression(train.lengths, train.labels, test.lengths), {}),
        "length-trees": (
            shortcuts.boosted_trees(
                train.lengths[:, None].astype(float), train.labels, test.lengths[:, None].astype(float)
            ),
            {},
        ),
    }
    predicted |= _neighbour_controls(evidence, names)
    bins: tuple[SimilarityBin, ...] = ()
    if train.sequences is not None and test.sequences is not None:
        predicted["composition-trees"] = (
            shortcuts.boosted_trees(_features(evidence, "train"), train.labels, _features(evidence, "test")),
            {},
        )
        by_kmers = shortcuts.kmer_regression(train.sequences, train.labels, test.sequences)
        predicted["kmer"] = (by_kmers, {"k": shortcuts.KMER})
        matched = evidence.hits["train", "test"].matched_fraction
        bins = _similarity_bins(matched, test.labels, by_kmers == test.labels, names)
    scored = {
        name: shortcuts.control(test.labels, labels, names, **details) for name, (labels, details) in predicted.items()
    }
    return scored, bins


def _positional(
    evidence: _Evidence, names: Sequence[str], majority: shortcuts.Control | None
) -> tuple[positional.Positions, dict[str, shortcuts.Control]]:
    """What fixed places say, and the controls that read nothing else; none without the sequences of train and test."""
    train, test = evidence.splits.get("train"), evidence.splits.get("test")
    if majority is None or train is None or test is None or train.sequences is None or test.sequences is None:
        return positional.Positions(), {}
    known = positional.PlacedRows.sample(train.sequences, train.labels)
    asked = positional.PlacedRows(test.sequences, test.labels)
    layout = positional.Layout.of(known, asked)
    predicted: dict[str, tuple[np.ndarray, dict[str, object]]] = {}

    def fit(name: str, columns: Callable[[positional.PlacedRows, positional.Layout], np.ndarray]) -> None:
        codes = columns(known, layout)
        predicted[name] = positional.logistic(codes, known.labels, columns(asked, layout)), {"bases": codes.shape[1]}

    fit("position", positional.PlacedRows.wide)
    fit("ends", positional.PlacedRows.ends)
    fit("middle", positional.PlacedRows.middle)
    if (predicted["position"][0] == test.labels).mean() > majority.accuracy:
        fit("position-rotated", positional.PlacedRows.rotated)
    site = positional.find_site(known, layout, len(names))
    if site is not None:
        predicted["site"] = (site.predict(asked), {"word": site.longer, "at": site.where, "class": names[site.label]})
    if train.lower is not None or test.lower is not None:
        by_case = shortcuts.boosted_trees(_case(train), train.labels, _case(test))
        predicted["case"] = (by_case, {})
    found = positional.Positions(
        positional.profile(asked, names), None if site is None else (site, site.count(asked, layout))
    )
    return found, {
        name: shortcuts.control(test.labels, labels, names, **details) for name, (labels, details) in predicted.items()
    }


def _case(rows: Rows) -> np.ndarray:
    lower = np.full(len(rows), b"", dtype=object) if rows.lower is None else rows.lower
    return case_features(lower, rows.lengths)


def _features(evidence: _Evidence, split: str) -> np.ndarray:
    """(n, 19) length, GC, N, dinucleotides."""
    made_of = evidence.made_of[split]
    lengths = evidence.splits[split].lengths.astype(float)
    return np.column_stack([lengths, made_of.gc, made_of.n, made_of.dinucleotides])


def _neighbour_controls(evidence: _Evidence, names: Sequence[str]) -> dict[str, tuple[np.ndarray, dict[str, object]]]:
    """The rules that copy a label from train, each with a fallback chosen by leave-one-out on train."""
    train = evidence.splits["train"]
    neighbours: dict[str, np.ndarray] = {}
    probes: dict[str, np.ndarray] = {}
    probe = _probed(len(train))
    if ("train", "test") in evidence.overlaps:
        found, own = evidence.overlaps["train", "test"], largest_overlaps(train, train, same=True)
        for key, need in (("overlap-any", 0.0), ("overlap-half", 0.5)):
            neighbours[key] = np.where(found.fraction >= need, found.target, -1)
            probes[key] = np.where(own.fraction >= need, own.target, -1)[probe]
    if (within := evidence.within_train) is not None:
        hits = evidence.hits["train", "test"]
        neighbours["similar"] = np.where(hits.similar, hits.target, -1)
        probes["similar"] = np.where(within.similar, within.target, -1)
    if neighbours:
        order = [key for key in ("overlap-any", "similar") if key in neighbours]
        neighbours["nn-overlap"] = _first_found([neighbours[key] for key in order])
        probes["nn-overlap"] = _first_found([probes[key] for key in order])
    out: dict[str, tuple[np.ndarray, dict[str, object]]] = {}
    for key, neighbour in neighbours.items():
        labels, fallback = shortcuts.neighbour_rule(neighbour, train.labels, probe, probes[key], len(names))
        out[key] = (labels, {"fallback": names[fallback], "test_rows_with_neighbour": int((neighbour >= 0).sum())})
    if "nn-overlap" in neighbours:
        labels = shortcuts.neighbour_relation(
            neighbours["nn-overlap"], train.labels, probe, probes["nn-overlap"], len(names)
        )
        out["nn-relation"] = (labels, {})
    if ("train", "test") in evidence.shuffled:
        out["same-composition"] = _same_composition_control(evidence, len(names))
    return out


def _same_composition_control(evidence: _Evidence, n_classes: int) -> tuple[np.ndarray, dict[str, object]]:
    """What the label of a row with the same dinucleotide counts says, as train rows among themselves teach it."""
    train, neighbour = evidence.splits["train"], evidence.shuffled["train", "test"]
    labels = shortcuts.neighbour_relation(
        neighbour, train.labels, np.arange(len(train)), evidence.shuffled["train", "train"], n_classes
    )
    return labels, {"test_rows_with_neighbour": int((neighbour >= 0).sum())}


def _first_found(columns: list[np.ndarray]) -> np.ndarray:
    out = columns[0]
    for column in columns[1:]:
        out = np.where(out >= 0, out, column)
    return out


def _similarity_bins(
    matched: np.ndarray, labels: np.ndarray, right: np.ndarray, names: Sequence[str]
) -> tuple[SimilarityBin, ...]:
    edges = [(0.0, 0.0), *itertools.pairwise(_BINS)]
    bins = []
    for low, high in edges:
        inside = (matched > low) & (matched <= high) if high > low else matched <= 0
        rows = {name: int((inside & (labels == i)).sum()) for i, name in enumerate(names)}
        recall = {
            name: float(right[inside & (labels == i)].mean()) if rows[name] else None for i, name in enumerate(names)
        }
        accuracy = float(right[inside].mean()) if inside.any() else None
        bins.append(SimilarityBin(low, high, int(inside.sum()), rows, accuracy, recall))
    return tuple(bins)


def _settings(evidence: _Evidence) -> dict[str, Any]:
    settings: dict[str, Any] = {"similar": {"identity": IDENTITY, "coverage": COVERAGE, "min_columns": MIN_COLUMNS}}
    settings["copy"] = {
        "full": copies.FULL,
        "end_to_end": copies.END_TO_END,
        "shifted_identity": copies.SHIFTED_IDENTITY,
        "unique": copies.UNIQUE,
        "few": copies.FEW,
        "same": copies.SAME,
        "alike_identity": copies.ALIKE_IDENTITY,
        "alike": copies.ALIKE,
    }
    if (found := evidence.diverged) is not None:
        settings["diverged_copies"] = {
            "identity": diverged.IDENTITY,
            "full": diverged.FULL,
            "slack": diverged.SLACK,
            "few": diverged.FEW,
            "least_length": diverged.LEAST_LENGTH,
            "rows": len(found.rows),
            "background": found.background,
        }
    settings["seeds"] = {name: {"k": scheme.k, "window": scheme.window} for name, scheme in evidence.schemes.items()}
    settings["probe_rows"] = _PROBE_ROWS
    if (library := evidence.library) is not None:
        settings["library"] = {
            "word": libraries.WORD,
            "related": library.related,
            "in_place": library.in_place,
            "constant": list(library.constant),
        }
    return settings


def _histograms(evidence: _Evidence, names: Sequence[str]) -> dict[str, Any]:
    columns: dict[str, dict[str, np.ndarray]] = {"length": {s: r.lengths for s, r in evidence.splits.items()}}
    if evidence.made_of:
        columns["gc"] = {s: made_of.gc for s, made_of in evidence.made_of.items()}
    return histograms(columns, {split: rows.labels for split, rows in evidence.splits.items()}, names)
