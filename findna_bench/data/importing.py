"""Importing data sets from disk: find them, read them, compare them with what was published, store them whole."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from findna_bench.cards import SuiteCard, TaskCard
from findna_bench.data.archives import Tree, is_archive, open_tree
from findna_bench.data.catalog import (
    SPLITS,
    expected_rows,
    intervals_folder,
    read_manifest,
    resolve_suite,
    resolve_task,
    suite_tasks,
    task_folder,
)
from findna_bench.data.layouts import Candidate, find_candidates, read_interval_tables, read_tables
from findna_bench.data.published_files import PublishedFiles, PublishedRows
from findna_bench.data.recipes import expected_splits, has_recipe, read_recipe
from findna_bench.data.reference import cut_sequences
from findna_bench.data.table import SequenceTable
from findna_bench.data.task_store import content_digest, count_classes, write_task
from findna_bench.errors import BenchError, DataError, UsageError
from findna_bench.registry import Registry

__all__ = ["ImportReport", "TaskImport", "import_suite", "import_tasks"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class TaskImport:
    """What became of one task.

    outcome: ``imported``, ``present`` (nothing was asked for), ``unchanged`` (the same rows were there), ``kept`` (a complete copy was not replaced by a partial
    one, or a runnable one by one without train or test), ``missing`` (not below the given path) or ``failed``. status: of what is stored now.
    """

    name: str
    outcome: str
    status: str = "missing"
    rows: Mapping[str, int] = field(default_factory=dict)
    published: Mapping[str, int] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True)
class ImportReport:
    """All tasks of a suite, in its order."""

    suite: str
    source: str
    tasks: tuple[TaskImport, ...]

    def with_outcome(self, *outcomes: str) -> tuple[TaskImport, ...]:
        return tuple(task for task in self.tasks if task.outcome in outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    @property
    def failed(self) -> bool:
        """Something went wrong, or nothing at all was found."""
        return bool(self.with_outcome("failed")) or len(self.with_outcome("missing")) == len(self.tasks)


def import_suite(
    suite_name: str,
    source_path: str | Path,
    data_dir: Path,
    *,
    reference: str | Path | None = None,
    tasks: Sequence[str] = (),
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import every task of a suite that lies below ``source_path`` (a folder, an archive, or one file).

    reference: FASTA files (one, or a folder of them) from which coordinates are cut, where only those are published.
    tasks: only these of the suite. progress: called with a line before each task.

    Raises:
        UnknownNameError: no such suite or task. DataError: the path does not exist. One damaged task does not raise: it is
        reported as ``failed`` and the others are imported.
    """
    suite = resolve_suite(suite_name, registry)
    cards = stored_cards(suite, tasks, registry)
    path = Path(source_path).expanduser()
    results = import_tasks(cards, path, data_dir, reference=reference, progress=progress)
    return ImportReport(suite.name, str(path), results)


def stored_cards(suite: SuiteCard, tasks: Sequence[str], registry: Registry | None) -> list[TaskCard]:
    """The cards of a suite whose data are files, all or those named in ``tasks``.

    Raises:
        UnknownNameError: a name of ``tasks`` is no task. UsageError: it is one of another suite. DataError: nothing is left.
    """
    cards = [ref.card for ref in suite_tasks(suite, registry) if ref.card is not None]
    wanted = {resolve_task(name, registry).name for name in tasks}
    foreign = wanted - {card.full_name for card in cards}
    if foreign:
        raise UsageError(f"task {min(foreign)} is not in suite {suite.name}; see `findna-bench describe {suite.name}`")
    stored = [c for c in cards if not c.embedded and not c.factory and (not wanted or c.full_name in wanted)]
    sources = sorted({c.derived_from.partition("/")[0] for c in stored if c.derived_from})
    stored = [c for c in stored if not c.derived_from]
    if not stored and sources:
        raise DataError(f"suite {suite.name} is made from {', '.join(sources)}; fetch that")
    if not stored:
        raise DataError(f"suite {suite.name} needs no fetching: its tasks come with the package")
    return stored


def import_tasks(
    cards: Sequence[TaskCard],
    path: Path,
    data_dir: Path,
    *,
    reference: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[TaskImport, ...]:
    """As :func:`import_suite`, for the given cards."""
    with contextlib.ExitStack() as stack:
        place = _look(path, cards, stack, progress)
        results = []
        for card in cards:
            results.append(_import_card(card, place, data_dir, reference, progress))
    return tuple(results)


def import_staged(
    card: TaskCard,
    folder: Path,
    data_dir: Path,
    source: Mapping[str, Any],
    *,
    reference: str | Path | None = None,
) -> TaskImport:
    """Import one freshly downloaded task, which must be complete.

    Raises:
        DataError: it is not in ``folder``, is damaged, or differs from what is published.
    """
    url = source.get("url")
    with contextlib.ExitStack() as stack:
        place = _look(folder, [card], stack)
        place.raise_broken(card)
        if has_recipe(card):
            found = read_recipe(card, place.files(reference, data_dir))
            if found is None:
                raise DataError(f"{url}: holds no files of {card.name}")
        else:
            candidates = place.candidates_of(card)
            if len(candidates) != 1:
                raise DataError(f"{url}: holds {'no' if not candidates else 'more than one'} data set {card.name}")
            tables, partial = read_tables(candidates[0])
            found = PublishedRows(tables, partial=frozenset(partial))
    reasons = [*found.short, *shortfalls(card, count_classes(card.labels, found.tables), found.partial)]
    if reasons and not card.config.get("counts_vary"):
        raise DataError(f"{url}: {'; '.join(reasons)}")
    return store_rows(card, found, data_dir, source=source)


class _Place:
    """What lies below a path, or in the archives there."""

    def __init__(self, trees: Sequence[Tree], cards: Sequence[TaskCard], broken: Mapping[str, BenchError]) -> None:
        self.trees, self.cards, self.broken = trees, cards, broken
        self.candidates = [candidate for tree in trees for candidate in find_candidates(tree, cards)]
        self._held: dict[Any, Any] = {}

    def candidates_of(self, card: TaskCard) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.card.full_name == card.full_name]

    def raise_broken(self, card: TaskCard) -> None:
        if card.full_name in self.broken:
            raise self.broken[card.full_name]

    def files(self, reference: str | Path | None, data_dir: Path) -> PublishedFiles:
        """As recipes read them."""
        genome = None if reference is None else Path(reference).expanduser()
        return PublishedFiles(self.trees, self.cards, genome, data_dir / "fasta", self._held)


def _look(
    path: Path, cards: Sequence[TaskCard], stack: contextlib.ExitStack, progress: Progress | None = None
) -> _Place:
    """Open the path and the archives in it. An archive that cannot be read is held against the card it is named after."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if path.is_file() and is_archive(path.name):
        return _Place([stack.enter_context(open_tree(path))], cards, {})
    trees = [stack.enter_context(open_tree(path))]
    broken: dict[str, BenchError] = {}
    folder = path if path.is_dir() else path.parent
    for archive in [folder / name for name in trees[0].files if is_archive(name)]:
        try:
            trees.append(stack.enter_context(open_tree(archive)))
        except DataError as error:
            owner = next((c.full_name for c in cards if archive.name.lower().startswith(c.name.lower())), None)
            if owner is not None:
                broken[owner] = error
            elif progress:
                progress(f"left out: {error}")
    return _Place(trees, cards, broken)


def _import_card(
    card: TaskCard, place: _Place, data_dir: Path, reference: str | Path | None, progress: Progress | None
) -> TaskImport:
    try:
        place.raise_broken(card)
        if has_recipe(card):
            return _import_recipe(card, place.files(reference, data_dir), data_dir, progress)
        found = place.candidates_of(card)
        if progress and found:
            progress(f"importing {card.full_name}")
        result = TaskImport(card.full_name, "missing", published=expected_rows(card))
        intervals = [candidate for candidate in found if candidate.intervals_only]
        rows = [candidate for candidate in found if not candidate.intervals_only]
        for group, importer in ((intervals, _import_intervals), (rows, _import_rows)):
            if len(group) > 1:
                places = " and ".join(candidate.place for candidate in group[:2])
                raise DataError(f"{card.full_name} is there twice, in {places}; name one of them")
            if group:
                result = importer(group[0], data_dir, reference)
        return result
    except BenchError as error:
        held = present(card, data_dir) or TaskImport(card.full_name, "missing", published=expected_rows(card))
        return dataclasses.replace(held, outcome="failed", message=str(error))


def present(card: TaskCard, data_dir: Path) -> TaskImport | None:
    """What the data root holds of a task, from its manifest alone."""
    manifest = read_manifest(task_folder(card.suite, card.name, data_dir))
    if manifest is None:
        return None
    rows = {split: sum(classes.values()) for split, classes in manifest["counts"].items()}
    message = "; ".join((*manifest.get("differs", ()), *manifest.get("notes", ())))
    return TaskImport(card.full_name, "present", str(manifest["status"]), rows, expected_rows(card), message)


def _import_recipe(card: TaskCard, files: PublishedFiles, data_dir: Path, progress: Progress | None) -> TaskImport:
    if progress:
        progress(f"importing {card.full_name}")
    found = read_recipe(card, files)
    if found is None:
        return TaskImport(card.full_name, "missing", published=expected_rows(card))
    return store_rows(card, found, data_dir, source={"kind": "import", "from": files.label})


def _import_rows(candidate: Candidate, data_dir: Path, reference: str | Path | None) -> TaskImport:
    tables, partial = read_tables(candidate)
    source = {"kind": "import", "from": candidate.tree.label}
    return store_rows(candidate.card, PublishedRows(tables, partial=frozenset(partial)), data_dir, source=source)


def _import_intervals(candidate: Candidate, data_dir: Path, reference: str | Path | None) -> TaskImport:
    """Coordinates into a place of their own; with a reference, the task itself as well."""
    card = candidate.card
    tables = read_interval_tables(candidate)
    source = {"kind": "import", "from": candidate.tree.label}
    manifest = _manifest(card, tables, "coordinates", source)
    folder = intervals_folder(card.suite, card.name, data_dir)
    before = read_manifest(folder)
    unchanged = before is not None and before["digest"] == manifest["digest"]
    if not unchanged:
        write_task(folder, tables, manifest)
    if reference is not None:
        cut = cut_sequences(card, tables, reference, data_dir / "fasta")
        return store_rows(card, PublishedRows(cut), data_dir, source={**source, "reference": str(reference)})
    rows = {split: len(table) for split, table in tables.items()}
    message = "coordinates only: can be audited, not run (give --reference, or sequences)"
    outcome = "unchanged" if unchanged else "imported"
    return TaskImport(card.full_name, outcome, "coordinates", rows, expected_rows(card), message)


def store_rows(card: TaskCard, found: PublishedRows, data_dir: Path, *, source: Mapping[str, Any]) -> TaskImport:
    """Write a task's splits to the data root unless that would replace a complete copy by a partial one."""
    tables = found.tables
    counts = count_classes(card.labels, tables)
    reasons = [*found.short, *shortfalls(card, counts, found.partial)]
    status = "partial" if reasons else "complete"
    rows = {split: len(tables[split]) for split in SPLITS if split in tables}
    manifest = _manifest(card, tables, status, source, reasons)
    if found.notes:
        manifest["notes"] = list(found.notes)
    folder = task_folder(card.suite, card.name, data_dir)
    before = read_manifest(folder)
    published = expected_rows(card)
    message = "; ".join((*reasons, *found.notes))
    if before is not None and before["digest"] == manifest["digest"] and before["status"] == status:
        return TaskImport(card.full_name, "unchanged", status, rows, published, message)
    if before is not None and before["status"] == "complete" and status == "partial":
        held = {split: sum(classes.values()) for split, classes in before["counts"].items()}
        message = f"the complete copy in {folder} was kept; what was offered is partial ({message})"
        return TaskImport(card.full_name, "kept", "complete", held, published, message)
    if before is not None and {"train", "test"} <= before["counts"].keys() and not {"train", "test"} <= tables.keys():
        held = {split: sum(classes.values()) for split, classes in before["counts"].items()}
        message = f"the copy in {folder} was kept, since what was offered cannot be run ({message})"
        return TaskImport(card.full_name, "kept", before["status"], held, published, message)
    write_task(folder, tables, manifest)
    return TaskImport(card.full_name, "imported", status, rows, published, message)


def shortfalls(card: TaskCard, counts: Mapping[str, Mapping[str, int]], partial: Collection[str]) -> list[str]:
    """Where the rows at hand differ from the published ones, in words; empty for a complete data set."""
    reasons = [f"{split} is only a part of the published file" for split in SPLITS if split in partial]
    published = expected_rows(card)
    for split in SPLITS:
        held = counts.get(split)
        if held is None:
            if split in published or split in expected_splits(card):
                reasons.append(f"no {split} split")
            continue
        if split in partial:
            continue
        total = sum(held.values())
        if split in published and total != published[split]:
            reasons.append(f"{split} has {total} rows, {published[split]} are published")
        elif split in card.counts and dict(card.counts[split]) != dict(held):
            wanted = ", ".join(f"{name} {n}" for name, n in card.counts[split].items())
            got = ", ".join(f"{name} {n}" for name, n in held.items())
            reasons.append(f"{split} has {got} where {wanted} is published (are the class numbers in another order?)")
    return reasons


def _manifest(
    card: TaskCard,
    tables: Mapping[str, SequenceTable],
    status: str,
    source: Mapping[str, Any],
    reasons: Sequence[str] = (),
) -> dict[str, Any]:
    return {
        "schema": 1,
        "suite": card.suite,
        "task": card.name,
        "card_version": card.version,
        "labels": list(card.labels),
        "status": status,
        "differs": list(reasons),
        "counts": count_classes(card.labels, tables),
        "published_counts": {split: dict(classes) for split, classes in card.counts.items()},
        "published_rows": expected_rows(card),
        "lengths": {split: _lengths(table) for split, table in tables.items()},
        "source": dict(source),
        "digest": content_digest(card.labels, tables),
    }


def _lengths(table: SequenceTable) -> dict[str, int]:
    """Bases: shortest, most frequent and longest, and how many rows are not of the most frequent length."""
    lengths = np.array([len(sequence) for row in table.texts for sequence in row], dtype=np.int64)
    if table.start is not None and table.end is not None and not lengths.any():
        lengths = table.end - table.start
    values, counts = np.unique(lengths, return_counts=True)
    usual = int(counts.argmax())
    return {
        "min": int(values[0]),
        "usual": int(values[usual]),
        "max": int(values[-1]),
        "rows_of_other_length": int(len(table) - counts[usual]),
    }
