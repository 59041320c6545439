"""What a result says of its data, against the data on this machine: digest, labels, counts, rows scored and fitted on, flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from findna_bench.auditing.pretraining_overlap import pretraining_overlap
from findna_bench.cards import TaskCard
from findna_bench.data.catalog import ADHOC_SUITE, TaskRef
from findna_bench.data.table import SequenceTable
from findna_bench.data.task import Task, open_task
from findna_bench.errors import BenchError, UnknownNameError
from findna_bench.files import canonical_json, stable_hash
from findna_bench.matrix.recording import FOLDER_MARK
from findna_bench.matrix.rows_read import request_of_rows, rows_read
from findna_bench.models.spec import MODEL_SCHEMES, parse_model
from findna_bench.protocols import fitting
from findna_bench.protocols.protocol import find_protocol
from findna_bench.registry import get_registry
from findna_bench.requests.declarations import identity_options
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.schema import Result
from findna_bench.results.store import ScoredRows
from findna_bench.statistics.fold_mean import is_mean_over_groups
from findna_bench.targets.group_scores import related_rows
from findna_bench.targets.target import find_target

__all__ = ["LocalData", "NotHereError"]


class NotHereError(Exception):
    """There is nothing here to compare a result with; the text says why, in a few words."""


class LocalData:
    """Tasks of this machine, opened once. places: where files and folders lie that results name."""

    def __init__(self, data_dir: Path | None = None, places: Mapping[str, Path] | None = None) -> None:
        self._data_dir, self._places = data_dir, places or {}
        self._tasks: dict[tuple[Any, ...], Task | str] = {}
        self._tables: dict[tuple[str, str, str, str], SequenceTable] = {}
        self._groups: dict[tuple[str, str, str], tuple[np.ndarray, str]] = {}

    def differences(self, result: Result, rows: ScoredRows) -> Iterator[str]:
        """Where a successful result and the data here differ, in words.

        Raises:
            NotHereError: its data are not here.
        """
        task = self._task(result)
        try:
            if task.data_digest != result.task.data_digest:
                if (name := _file_of(result)) is not None:
                    raise NotHereError(f"--map {name}: this is another file than the one it was made with")
                yield f"data_digest is {_short(result.task.data_digest)}, that of the data here is {_short(task.data_digest)}"
                return
            yield from _described(result, task)
            test = self._table(result, task, "test")
        except BenchError as error:
            raise NotHereError(f"its data cannot be read here ({error})") from error
        yield from self._rows(result, rows, test)
        if result.schema_version == 1:
            return
        try:
            yield from self._fitted(result, task)
        except UnknownNameError as error:
            raise NotHereError("no installed plugin offers its protocol") from error
        yield from _pretraining(result, task.card, test)

    def _task(self, result: Result) -> Task:
        request = (result.hashed.request or {}).get("task", {})
        name = _file_of(result)
        options = result.request.options if result.request else {}
        drop, genome = bool(options.get("drop_missing")), (options.get("fasta"), options.get("flank"))
        target = options.get("target")
        split = result.task.split or "official"
        key = (result.task_name if name is None else name, split, request.get("distribution"), drop, target, *genome)
        if key not in self._tasks:
            self._tasks[key] = (
                self._open(*key[:3]) if name is None else self._open_file(name, split, drop, target, *genome)
            )
        found = self._tasks[key]
        if isinstance(found, str):
            raise NotHereError(found)
        if (found.status == "partial") != any(flag.startswith("partial") for flag in result.flags):
            raise NotHereError("one of the two copies of its data is partial")
        return found

    def _open_file(
        self, name: str, split: str, drop_missing: bool, target: str | None, fasta: str | None, flank: int | None
    ) -> Task | str:
        """A task that was given as a path, where it is known to lie."""
        for file in (name, *([fasta] if fasta else [])):
            if file not in self._places:
                return f"a task given as a path; say where it lies now, --map {file}=PATH"
        path = self._places[name].expanduser().absolute()
        genome = self._places[fasta].expanduser().absolute() if fasta else None
        try:
            return open_task(
                str(path),
                data_dir=self._data_dir,
                split=split,
                drop_missing=drop_missing,
                target=target,
                fasta=genome,
                flank=flank,
            )
        except BenchError as error:
            return f"its data cannot be read here ({error})"

    def _open(self, name: str, split: str, distribution: str | None) -> Task | str:
        """The task, or why it cannot be opened. A name in a file of others is never taken for a path."""
        if name.startswith(f"{ADHOC_SUITE}/"):
            return "a task given as a path, which results do not hold"
        try:
            entry = get_registry().resolve("tasks", name, within=distribution)
            if entry.card.full_name != name:
                return "no installed plugin offers its task"
            ref = TaskRef(name, card=entry.card, distribution=entry.distribution, version=entry.version)
            return open_task(ref, data_dir=self._data_dir, split=split)
        except UnknownNameError:
            return "no installed plugin offers its task"
        except BenchError:
            return "its data are not here"

    def _table(self, result: Result, task: Task, split: str) -> SequenceTable:
        request = request_of_rows(result)
        # One file may be read in several ways, with other rows or labels.
        key = (f"{task.name} {task.data_digest}", task.split_name, split, _row_options(request))
        if key not in self._tables:
            self._tables[key] = rows_read(task.load(split), split, request, find_target(task.card.target))
        return self._tables[key]

    def _rows(self, result: Result, rows: ScoredRows, test: SequenceTable) -> Iterator[str]:
        if rows.ids.tolist() != [str(row) for row in test.ids]:
            yield "its predictions are not of the test rows of the data here"
            return
        if not np.array_equal(rows.labels, test.labels):
            yield "the labels of its predictions are not those of the data here"
        if rows.groups is None:
            return
        of_data = f"{result.task_name} {result.task.data_digest}"
        key = (of_data, result.task.split or "official", _row_options(request_of_rows(result)))
        if key not in self._groups:
            self._groups[key] = related_rows(test, whole=is_mean_over_groups(rows.folds))
        groups, words = self._groups[key]
        if not np.array_equal(rows.groups, groups):
            yield "the groups of related rows of its predictions are not those of the data here"
        if result.metrics.groups_by != words:
            yield f"groups_by is {result.metrics.groups_by!r}, the data here give {words!r}"

    def _fitted(self, result: Result, task: Task) -> Iterator[str]:
        """Rows fitted on, by the code that divided them, in each fold where there are several."""
        settings = result.protocol.settings
        if not find_protocol(result.protocol.name, get_registry()).reads_train:
            return
        if not task.folds:
            yield from self._divided(result, task, settings)
            return
        if dict(task.left_out) != settings.get("left_out", {}):
            yield "left_out is not what the data here give"
        stored = settings.get("cross_validation", [])
        if [fold["split"] for fold in stored] != [fold.split_name for fold in task.folds]:
            yield f"its folds are {', '.join(fold['split'] for fold in stored) or 'none'}, not those of the data here"
            return
        for fold, of_fold in zip(task.folds, stored, strict=True):
            for problem in self._divided(result, fold, of_fold):
                yield f"{fold.split_name}: {problem}"

    def _divided(self, result: Result, task: Task, settings: Mapping[str, Any]) -> Iterator[str]:
        official = "validation" if "validation" in task.splits else None
        name = "test" if result.selection == "test" else official
        validation = self._table(result, task, name) if name else None
        target = find_target(task.card.target)
        pool = fitting.pool_rows(
            self._table(result, task, "train"),
            validation,
            [result.seed or 0],
            task.label_names,
            result.protocol.settings.get("shots"),
            within_shots=result.protocol.settings.get("shot_validation") == "within",
            choose=result.selection == "validation",
            target=target,
        )
        rows = pool.splits[0]
        trained = result.model.kind == "encoder" and find_protocol(result.protocol.name, get_registry()).trains_encoder
        if result.model.kind == "classifier" or trained:
            rows = rows.held_out()
        held = {
            "train_rows": len(rows.train),
            "validation_rows": len(rows.validation),
            "validation_split": "test" if result.selection == "test" else pool.chosen_on(rows),
            "folds": len(rows.folds or ()) or None,
        }
        for key, value in held.items():
            if settings.get(key) != value:
                yield f"{key} is {settings.get(key)}, the data here give {value}"


def _file_of(result: Result) -> str | None:
    """What a result calls the file or folder of its task; None for a registered task, and where it is not known."""
    tasks = result.request.options.get("tasks") if result.request is not None else None
    return next((task.removeprefix(FOLDER_MARK) for task in tasks or () if task.startswith(FOLDER_MARK)), None)


def _row_options(request: RunRequest) -> str:
    return canonical_json({"limit": request.limit, **identity_options(request)})


def _short(digest: str | None) -> str:
    return "missing" if digest is None else digest[:16]


def _described(result: Result, task: Task) -> Iterator[str]:
    """What the task says of itself."""
    said, known = result.task, task.card
    if list(task.label_names) != said.labels:
        yield f"labels are {', '.join(said.labels)}, those of the data here {', '.join(task.label_names)}"
    if {split: dict(classes) for split, classes in task.counts.items()} != said.counts:
        yield "counts are not those of the data here"
    request = result.hashed.request or {}
    if stable_hash(known.counts) == request.get("task", {}).get("published_counts"):
        published = task.published_counts or None
        if said.published_counts != published:
            yield "published_counts are not those of the task's card"
    own = [flag for flag in result.flags if flag in task.flags or _of_task(flag)]
    for flag in sorted({*own} ^ {*task.flags}):
        yield f"the flag {flag!r} is {'missing' if flag in task.flags else 'not that of the data here'}"


def _of_task(flag: str) -> bool:
    return flag in ("shortcut", "leak") or flag.startswith(("partial (", "test drawn"))


def _pretraining(result: Result, task: TaskCard, test: SequenceTable) -> Iterator[str]:
    """The flag of a trained model, where its card is the one installed here and no other weights' own words count."""
    request = (result.hashed.request or {}).get("model", {})
    name = result.model.name
    if result.model.weights.trained is not True or request.get("weights") or name.partition(":")[0] in MODEL_SCHEMES:
        return
    try:
        card = parse_model(name)
    except BenchError:
        return
    if stable_hash(card.identity()["card"]) != request.get("card"):
        return
    overlap = pretraining_overlap(card.card.pretraining, test, task)
    expected = [] if overlap == "no" else [f"pretraining-overlap ({overlap})"]
    own = [flag for flag in result.flags if flag.startswith("pretraining-overlap")]
    if own != expected:
        yield f"its flag is {(own or ['missing'])[0]}, data and model card give {(expected or ['none'])[0]}"
