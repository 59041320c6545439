"""Which labelled data sets there are, where they lie, and what is known about them without opening them.

Standard library and platformdirs only: this is what ``list tasks``, planning and shell completion read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from findna_bench.cards import SuiteCard, TaskCard
from findna_bench.errors import DataError, UnknownNameError, UsageError
from findna_bench.files import path_segment, stable_hash
from findna_bench.private_paths import legible
from findna_bench.registry import Registry, get_registry

if TYPE_CHECKING:
    from findna_bench.data.task import Task

__all__ = [
    "ADHOC_SUITE",
    "SPLITS",
    "TaskRef",
    "data_root",
    "expected_rows",
    "intervals_folder",
    "read_manifest",
    "resolve_suite",
    "resolve_task",
    "suite_tasks",
    "task_folder",
    "task_status",
]

SPLITS = ("train", "validation", "test")
ADHOC_SUITE = "adhoc"
"""Suite name of tasks that are given as a path."""
MANIFEST = "manifest.json"

_GENERIC_NAMES = frozenset({"data", "dataset", "sequences", "train", "all", "table"})


@dataclass(frozen=True)
class TaskRef:
    """A task by name: a registered card, or a path that has not been opened yet."""

    name: str
    """Canonical ``suite/task``; for a path ``adhoc/<file or folder name>``."""
    card: TaskCard | None = None
    path: Path | None = None
    distribution: str = ""
    version: str = ""
    held: Task | None = field(default=None, compare=False, repr=False)
    """The task, where it is a table of this process."""

    @property
    def suite(self) -> str:
        return self.name.partition("/")[0]

    @property
    def task(self) -> str:
        return self.name.partition("/")[2]


def data_root(option: str | Path | None = None) -> Path:
    """The data root: ``option``, else ``FINDNA_BENCH_DATA_DIR``, else the user's data folder. It need not exist yet."""
    chosen = option or os.environ.get("FINDNA_BENCH_DATA_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    try:
        return Path(platformdirs.user_data_path("findna-bench", appauthor=False))
    except (KeyError, OSError, RuntimeError) as error:
        raise UsageError(
            "this user has no home folder; say where data go with --data-dir FOLDER or FINDNA_BENCH_DATA_DIR"
        ) from error


def task_folder(suite: str, task: str, data_dir: Path) -> Path:
    """Where an imported task lies: ``<data root>/tasks/<suite>/<task>``."""
    return data_dir / "tasks" / path_segment(suite) / path_segment(task)


def intervals_folder(suite: str, task: str, data_dir: Path) -> Path:
    """Where a task's published coordinates lie: ``<data root>/intervals/<suite>/<task>``."""
    return data_dir / "intervals" / path_segment(suite) / path_segment(task)


def resolve_task(name: str, registry: Registry | None = None, *, within: str | None = None) -> TaskRef:
    """The task called ``name``: ``suite/task``, a bare name if unique, or a path.

    A path starts with ``./``, ``../``, ``/`` or ``~``; any other text with a separator is a path if it exists and no task
    is registered under that name. within: distribution of the suite that names it, whose own task is meant first.

    Raises:
        UnknownNameError: no such task, or an ambiguous bare name.
        UsageError: a path that does not exist.
    """
    registry = registry or get_registry()
    if name.startswith(("./", "../", "/", "~")):
        return _path_ref(Path(name).expanduser())
    known = any(name.lower() == entry.card.full_name.lower() for entry in registry.entries("tasks"))
    if not known and "/" in name and _exists(Path(name)):
        return _path_ref(Path(name))
    try:
        entry = registry.resolve("tasks", name, within=within)
    except UnknownNameError as error:
        if _exists(Path(name)):
            raise UnknownNameError(f"{error}; for the file or folder of this name write ./{name}") from error
        raise
    return TaskRef(entry.card.full_name, card=entry.card, distribution=entry.distribution, version=entry.version)


def _path_ref(path: Path) -> TaskRef:
    if not _exists(path):
        raise UsageError(f"task {path}: no such file or folder")
    return TaskRef(f"{ADHOC_SUITE}/{adhoc_name(path)}", path=path.absolute())


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that may not be entered
        return False


def adhoc_name(path: Path) -> str:
    """The task name of a path: its name without suffixes; with the folder's name before it where it says nothing."""
    stem = _stem(path)
    if stem.lower() in _GENERIC_NAMES and path.absolute().parent.name:
        stem = f"{path.absolute().parent.name}-{stem}"
    cleaned = re.sub(r"[^A-Za-z0-9._+-]+", "-", stem).strip("-._+")
    lost = not stem.isascii()  # names in other scripts would all come to the same few letters
    return "-".join(part for part in (cleaned, stable_hash(stem)[:8] if lost else "") if part) or "task"


def _stem(path: Path) -> str:
    stem = legible(path.name)
    if path.is_file():
        stem = re.sub(r"\.(gz|bgz|bgzf|bz2|xz|zst)$", "", stem, flags=re.IGNORECASE)
        stem = re.sub(
            r"\.(csv|tsv|txt|bed|parquet|jsonl|ndjson|json|fa|fasta|fna|fas|ffn|frn)$", "", stem, flags=re.IGNORECASE
        )
    return stem or path.absolute().name


def resolve_suite(name: str, registry: Registry | None = None) -> SuiteCard:
    """The suite card called ``name``.

    Raises:
        UnknownNameError: no such suite.
    """
    card = (registry or get_registry()).resolve("suites", name).card
    assert isinstance(card, SuiteCard)
    return card


def suite_tasks(suite: SuiteCard, registry: Registry | None = None, *, extra: bool = True) -> list[TaskRef]:
    """The tasks of a suite in its order; with ``extra`` those outside its mean as well.

    Raises:
        UnknownNameError: the suite names a task that no plugin registers.
    """
    registry = registry or get_registry()
    names = (*suite.tasks, *(suite.extra_tasks if extra else ()))
    within = registry.distribution_of("suites", suite)
    return [resolve_task(task, registry, within=within) for task in names]


def expected_rows(card: TaskCard) -> dict[str, int]:
    """Published rows per split, as far as known: from ``counts``, else from ``config["rows"]``."""
    rows = {split: int(n) for split, n in dict(card.config.get("rows", {})).items()}
    rows.update({split: sum(classes.values()) for split, classes in card.counts.items()})
    return {split: rows[split] for split in SPLITS if split in rows}


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an imported task, or None where nothing is imported.

    Raises:
        DataError: it is there and cannot be read.
    """
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); delete the folder and fetch the task again") from error
    if not isinstance(manifest, Mapping) or "files" not in manifest or "digest" not in manifest:
        raise DataError(f"{path} is not a manifest of an imported task; delete the folder and fetch the task again")
    return dict(manifest)


def task_status(card: TaskCard, data_dir: Path) -> str:
    """``embedded``, ``generated``, ``complete``, ``partial``, ``coordinates`` (no sequence) or ``missing``; opens no data.

    A derived task has the status of the task it is made from.
    """
    if card.embedded:
        return "embedded"
    if card.factory:
        return "generated"
    suite, _, name = (card.derived_from or card.full_name).partition("/")
    manifest = read_manifest(task_folder(suite, name, data_dir))
    if manifest is not None:
        return str(manifest["status"])
    return "coordinates" if read_manifest(intervals_folder(suite, name, data_dir)) else "missing"
