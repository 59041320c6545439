"""A card becomes a live task: imported, embedded, generated, or read from a path."""

from __future__ import annotations

import functools
import importlib
import importlib.resources
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.code import factory_digest
from findna_bench.data.catalog import (
    MANIFEST,
    SPLITS,
    TaskRef,
    data_root,
    expected_rows,
    intervals_folder,
    resolve_task,
    task_folder,
)
from findna_bench.data.derived import AllFolds, Derived, Remade, Resplit
from findna_bench.data.generated import generated_tables
from findna_bench.data.table import RowOrder, RowOrigins, SequenceTable
from findna_bench.data.task_store import content_digest, count_classes, load_manifest, read_intervals, read_split
from findna_bench.errors import BenchError, DataError, OfflineError, UnsupportedError, UsageError
from findna_bench.files import stable_hash
from findna_bench.registry import Registry
from findna_bench.requests.split_choice import parse_split

if TYPE_CHECKING:
    from findna_bench.data.genome_windows import GenomeWindows

__all__ = ["Task", "open_task"]

Counts = dict[str, dict[str, int]]


class Origin(Protocol):
    """Where a task's rows come from."""

    @property
    def status(self) -> str: ...
    @property
    def splits(self) -> tuple[str, ...]: ...
    @property
    def digest(self) -> str: ...
    @property
    def counts(self) -> Counts: ...
    @property
    def source(self) -> Mapping[str, Any]: ...
    def read(self, split: str) -> SequenceTable: ...


class Task:
    """A labelled data set, ready to load.

    card: what is known beforehand (made from the content for a path). status: ``complete``, ``partial``, ``embedded``,
    ``generated``, ``adhoc`` or ``coordinates`` (published intervals without sequences: auditable, not runnable).
    splits: those that can be loaded. manifest: of an imported task, else empty. flags: what every table that shows the task
    must carry: ``partial (n of N)``, ``shortcut``, ``leak``.
    """

    def __init__(
        self, card: TaskCard, origin: Origin, *, data_dir: Path, distribution: str = "", version: str = ""
    ) -> None:
        self.card = card
        self.data_dir = data_dir
        self.distribution = distribution
        self.version = version
        self._origin = origin
        self._tables: dict[str, SequenceTable] = {}

    def __repr__(self) -> str:
        return f"Task({self.name!r}, status={self.status!r}, splits={self.splits})"

    @property
    def name(self) -> str:
        """``suite/name``."""
        return self.card.full_name

    @property
    def status(self) -> str:
        return self._origin.status

    @property
    def splits(self) -> tuple[str, ...]:
        return self._origin.splits

    @property
    def folds(self) -> tuple[Task, ...]:
        """The task in each of its folds, where all of them are scored as one (``grouped:*/5``, ``chromosome:*``); else empty."""
        return self._origin.folds if isinstance(self._origin, AllFolds) else ()

    @property
    def split_name(self) -> str:
        """As ``--split`` names it."""
        return self._origin.split if isinstance(self._origin, Resplit) else "official"

    @property
    def left_out(self) -> Mapping[str, str]:
        """Chromosomes that are not among the folds, with the reason."""
        return self._origin.left_out if isinstance(self._origin, AllFolds) else {}

    @property
    def label_names(self) -> tuple[str, ...]:
        return self.card.labels

    @property
    def data_digest(self) -> str:
        """sha256 (hex) that changes with any row, label, id or label order of any split."""
        return self._origin.digest

    @property
    def counts(self) -> Counts:
        """Rows per split and class name."""
        return self._origin.counts

    @property
    def published_counts(self) -> Counts:
        """As :attr:`counts`, from the card; empty where not known."""
        return {split: dict(classes) for split, classes in self.card.counts.items()}

    @property
    def source(self) -> Mapping[str, Any]:
        """Where the rows came from, for records."""
        return self._origin.source

    @property
    def notes(self) -> tuple[str, ...]:
        """What was read of a file of the user's, or of published files by a recipe, and what was left out, in words."""
        return tuple(getattr(self._origin, "notes", ()))

    @property
    def flags(self) -> tuple[str, ...]:
        flags = []
        if self.status == "partial":
            held = sum(sum(classes.values()) for classes in self.counts.values())
            published = sum(expected_rows(self.card).values())
            flags.append(f"partial ({held} of {published})" if published else f"partial ({held})")
        leaks = [s for s in self.card.known_shortcuts if s.startswith("overlap")]
        if len(leaks) < len(self.card.known_shortcuts):
            flags.append("shortcut")
        if leaks:
            flags.append("leak")
        if self.card.split_policy.startswith("test drawn") and not isinstance(self._origin, Resplit):
            flags.append(self.card.split_policy)
        return tuple(flags)

    def load(self, split: str) -> SequenceTable:
        """Rows of ``train``, ``validation`` or ``test``; read once and kept.

        Raises:
            UnsupportedError: a partial import lacks this split. DataError: the task has none, or its file was damaged.
        """
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
        if split not in self._tables:
            if self.status == "coordinates":
                raise DataError(
                    f"task {self.name}: only coordinates are imported; fetch it again with a reference FASTA, or "
                    "from sequences, to load it"
                )
            if split not in self.splits:
                held = ", ".join(self.splits) or "nothing"
                kind = UnsupportedError if self.status == "partial" else DataError
                raise kind(
                    f"task {self.name}: the {split} split is absent from this {self.status} copy ({held} is there)"
                )
            table = self._origin.read(split)
            self._tables[split] = table if table.place is not None else replace(table, place=self._numbered(split))
        return self._tables[split]

    def _numbered(self, split: str) -> np.ndarray:
        """Numbers of the rows of a split where splits follow one another: train, validation, test."""
        sizes = {name: sum(classes.values()) for name, classes in self.counts.items()}
        before = sum(sizes.get(name, 0) for name in SPLITS[: SPLITS.index(split)])
        return np.arange(before, before + sizes[split], dtype=np.int64)

    @property
    def row_order(self) -> RowOrder:
        """How rows are numbered (``SequenceTable.place``) for vectors computed elsewhere."""
        own: RowOrder | None = getattr(self._origin, "row_order", None)
        if own is not None:
            return own
        counts = {split: sum(classes.values()) for split, classes in self.counts.items()}
        return RowOrder(f"the rows of {', then '.join(counts)}", sum(counts.values()), counts)

    def origins(self, split: str) -> RowOrigins:
        """What the rows of a split are called in what the task is read from, also where ``--split`` moved them."""
        table = self.load(split)
        places = np.asarray(table.place)
        if isinstance(self._origin, Resplit):
            return self._origin.origins(places)
        return RowOrigins(places, table.ids, np.full(len(table), split))

    def in_order(self) -> tuple[SequenceTable, np.ndarray]:
        """All rows in the order of :attr:`row_order`, and the split (n,) of each."""
        tables = {split: self.load(split) for split in self.splits}
        rows = SequenceTable.concatenate(list(tables.values()))
        splits = np.concatenate([np.full(len(table), split) for split, table in tables.items()])
        order = np.argsort(np.asarray(rows.place), kind="stable")
        return rows.take(order), splits[order]

    def intervals(self, split: str) -> SequenceTable:
        """Coordinates and labels of a split, with empty sequences: the published ones where imported, else those of its rows.

        Raises:
            DataError: no coordinates are known.
        """
        if isinstance(self._origin, Remade):
            return self._origin.intervals(split)
        found = read_intervals(intervals_folder(self.card.suite, self.card.name, self.data_dir), split)
        if found is None and split in self.splits:
            found = self.load(split).coordinates()
        if found is None:
            raise DataError(f"task {self.name}: no coordinates are known for the {split} split")
        return found

    @property
    def interval_splits(self) -> tuple[str, ...]:
        """Splits with published coordinates in the data root (opens no data)."""
        if isinstance(self._origin, Remade):
            return self._origin.interval_splits
        folder = intervals_folder(self.card.suite, self.card.name, self.data_dir)
        return tuple(split for split in SPLITS if (folder / f"{split}.parquet").is_file())


class _Stored:
    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest
        self.status = str(manifest["status"])
        self.splits = tuple(s for s in SPLITS if s in manifest["counts"]) if self.status != "coordinates" else ()
        self.digest = str(manifest["digest"])
        self.counts: Counts = {split: dict(classes) for split, classes in manifest["counts"].items()}
        self.source: Mapping[str, Any] = manifest.get("source", {})
        self.notes = tuple(manifest.get("notes", ()))

    def read(self, split: str) -> SequenceTable:
        return read_split(self.folder / f"{split}.parquet")


class _InMemory:
    """Small tables that are read, or made, as a whole when first needed."""

    status = ""
    labels: tuple[str, ...]

    @functools.cached_property
    def tables(self) -> Mapping[str, SequenceTable]:
        raise NotImplementedError

    @property
    def digest(self) -> str:
        return content_digest(self.labels, self.tables)

    @property
    def counts(self) -> Counts:
        return count_classes(self.labels, self.tables)

    @property
    def source(self) -> Mapping[str, Any]:
        return {}

    def read(self, split: str) -> SequenceTable:
        return self.tables[split]


class _Embedded(_InMemory):
    status = "embedded"

    def __init__(self, card: TaskCard) -> None:
        package, _, folder = (card.embedded or "").partition(":")
        try:
            root = importlib.resources.files(package)
        except ModuleNotFoundError as error:
            raise DataError(f"task {card.full_name}: package {package!r} of its data is not installed") from error
        self.folder = root.joinpath(*[part for part in folder.split("/") if part])
        splits = tuple(s for s in SPLITS if self.folder.joinpath(f"{s}.parquet").is_file())
        if not splits:
            raise DataError(f"task {card.full_name}: no data in {card.embedded}; reinstall the package that offers it")
        self.labels, self.splits = card.labels, splits

    @functools.cached_property
    def tables(self) -> Mapping[str, SequenceTable]:
        out = {}
        for split in self.splits:
            with importlib.resources.as_file(self.folder.joinpath(f"{split}.parquet")) as path:
                out[split] = read_split(path)
        return out


class _Generated(_InMemory):
    status = "generated"

    def __init__(self, card: TaskCard) -> None:
        self.labels, self.card = card.labels, card

    @property
    def splits(self) -> tuple[str, ...]:
        """Those the card's config declares under ``splits``; else those that come out when the rows are made."""
        declared = self.card.config.get("splits")
        return tuple(declared) if declared else tuple(split for split in SPLITS if split in self.tables)

    @property
    def digest(self) -> str:
        """Hash of the generator's code and its settings: the rows follow from them, and are not made for it; only where the code
        cannot be hashed are they.
        """
        factory = self.card.factory or ""
        code = factory_digest(factory) or content_digest(self.labels, self.tables)
        return stable_hash([factory, code, _plain(self.card.config), self.card.version, list(self.labels)])

    @functools.cached_property
    def tables(self) -> Mapping[str, SequenceTable]:
        return generated_tables(self.card)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value


def open_task(
    ref: TaskRef | str,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    registry: Registry | None = None,
    split: str = "official",
    drop_missing: bool = False,
    target: str | None = None,
    fasta: str | Path | None = None,
    flank: int | None = None,
) -> Task:
    """Open a task by name, path or reference. Nothing is read but a manifest; a path is read whole.

    offline: only changes the message about missing data; opening never asks the network. split: ``official``, or another
    split of all its rows, see :func:`findna_bench.requests.split_choice.parse_split`. drop_missing: whether rows of a path without
    sequence or label are left out instead of refused; registered tasks have none. target: what the columns of a path predict, where it is not what they say. fasta, flank: genome and bases on either side, of a path
    with variants or regions that are known by contig and position.

    Raises:
        UnknownNameError, UsageError: no such task or path.
        UnsupportedError: its kind cannot be run yet, or the import of its suite left it out.
        DataError: nothing of its suite is imported, or its files are not those that were imported.
    """
    if isinstance(ref, str):
        ref = resolve_task(ref, registry)
    root = data_root(data_dir)
    if target is not None and ref.path is None:
        raise UsageError(f"--target {target} says what columns of a file predict; {ref.name} is no file: leave it out")
    if ref.held is not None:
        return _split_anew(ref.held, split)
    if ref.path is not None:
        from findna_bench.data.adhoc import open_path

        genome = _genome(fasta, flank, root)
        made, rows = open_path(ref.path, ref.task, drop_missing=drop_missing, target=target, genome=genome)
        return _split_anew(Task(made, rows, data_dir=root), split)
    card = ref.card
    assert card is not None
    if card.derived_from:
        source = open_task(card.derived_from, data_dir=root, offline=offline, registry=registry)
        origin: Origin = Derived(card, source)
    else:
        origin = _origin(card, root, offline)
    return _split_anew(Task(card, origin, data_dir=root, distribution=ref.distribution, version=ref.version), split)


def _genome(fasta: str | Path | None, flank: int | None, root: Path) -> GenomeWindows | None:
    """Where variants and regions are cut from that are known by contig and position."""
    if fasta is None:
        return None
    from findna_bench.data.genome_windows import GenomeWindows

    return GenomeWindows(Path(fasta).expanduser(), flank, root / "fasta")


def _split_anew(task: Task, split: str) -> Task:
    """The task with all its rows split otherwise.

    Raises:
        UsageError: no such split.
    """
    if split == "official":
        return task
    try:
        every = parse_split(split).every
    except ValueError as error:
        raise UsageError(str(error)) from None
    origin = AllFolds(task, split, lambda fold: _split_anew(task, fold)) if every else Resplit(task, split)
    return Task(task.card, origin, data_dir=task.data_dir, distribution=task.distribution, version=task.version)


def _origin(card: TaskCard, root: Path, offline: bool) -> Origin:
    if card.embedded:
        return _Embedded(card)
    if card.factory:
        return _Generated(card)
    for folder in (task_folder(card.suite, card.name, root), intervals_folder(card.suite, card.name, root)):
        manifest = load_manifest(folder)
        if manifest is None:
            continue
        if list(manifest.get("labels", card.labels)) != list(card.labels):
            raise DataError(
                f"{folder} was imported with labels {', '.join(manifest['labels'])}, the card now has "
                f"{', '.join(card.labels)}; fetch the task again"
            )
        return _Stored(folder, manifest)
    kind: type[BenchError] = OfflineError if offline else DataError
    what = f"is not under {root}"
    if _suite_imported(card, root):
        kind, what = UnsupportedError, f"is absent from the partial import of {card.suite}"
    raise kind(
        f"task {card.full_name} {what}; run `findna-bench fetch {card.suite}` "
        f"or `findna-bench fetch {card.suite} --from PATH`"
    )


def _suite_imported(card: TaskCard, root: Path) -> bool:
    """Whether other tasks of the same suite are there, so that this one was left out rather than forgotten."""
    folder = task_folder(card.suite, card.name, root).parent
    return any(path.is_file() for path in folder.glob(f"[!.]*/{MANIFEST}"))
