"""Do tasks, suites, presets and files of published figures hold what their cards say?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from findna_bench.cards import PresetCard, PublishedCard, SuiteCard, TaskCard
from findna_bench.data.catalog import TaskRef, resolve_task, suite_tasks
from findna_bench.data.table import SequenceTable
from findna_bench.data.task import Task, open_task
from findna_bench.data.task_store import content_digest
from findna_bench.errors import DataError, UnsupportedError
from findna_bench.leaderboard.published import load_published
from findna_bench.protocols.protocol import resolve_preset
from findna_bench.registry import Entry, Registry, make
from findna_bench.targets.target import find_target
from findna_bench.testing.check_report import Checklist, Fault, Report
from findna_bench.testing.objective_checks import OneTokenPerBase
from findna_bench.training.objective import make_objective
from findna_bench.training.pretrain_settings import PretrainSettings

__all__ = ["check_preset", "check_published", "check_suite", "check_task"]

_SEQUENCE = re.compile(r"[ACGTN]+")


def check_task(name: str, registry: Registry, *, data_dir: Path | None = None) -> Report:
    """All checks of a task, by name or path; its rows are not checked where they are not on this machine."""
    checklist = Checklist("task", name)
    subject = _TaskSubject(name, registry, data_dir)
    if checklist.check("loads", subject.loads) and subject.tables:
        sound = checklist.check("rows", subject.rows) and checklist.check("labels", subject.labels)
        if sound and checklist.check("opens", subject.opens):
            checklist.check("counts", subject.counts)
            if subject.card.factory:
                checklist.check("deterministic", subject.deterministic)
        checklist.check("overlap", subject.overlap, status="measured")
    if subject.tables and subject.card.attainable:
        checklist.check("attainable", subject.attainable)
    return checklist.report()


class _TaskSubject:
    def __init__(self, name: str, registry: Registry, data_dir: Path | None) -> None:
        self.name, self.registry, self.data_dir = name, registry, data_dir
        self.tables: dict[str, SequenceTable] = {}
        self.card: TaskCard

    def open(self) -> Task:
        return open_task(
            resolve_task(self.name, self.registry), data_dir=self.data_dir, registry=self.registry, offline=True
        )

    def loads(self) -> str:
        ref = resolve_task(self.name, self.registry)
        if ref.card is not None:
            self.card = ref.card
        found = self._generated() if ref.card is not None and ref.card.factory else self._stored(ref)
        if wrong := [split for split, table in found.items() if not isinstance(table, SequenceTable)]:
            raise Fault(f"split {wrong[0]} is a {type(found[wrong[0]]).__name__}, not a findna_bench.api.SequenceTable")
        # What may be scored without training has no train rows, as zero-shot tasks of pairs and variants.
        needed = {"train", "test"} if self.card.inputs == "sequence" else {"test"}
        if absent := needed - set(found):
            raise Fault(f"there is no split {sorted(absent)[0]}")
        self.tables = found
        return ", ".join(f"{split} {len(table):,} rows" for split, table in found.items())

    def _generated(self) -> dict[str, SequenceTable]:
        """What the factory makes, before anything else looks at it."""
        found = make(self.card.factory or "", f"task {self.card.full_name}", self.card.config)
        if not isinstance(found, Mapping):
            raise Fault(f"its factory makes a {type(found).__name__}, not tables by split")
        return dict(found)

    def _stored(self, ref: TaskRef) -> dict[str, SequenceTable]:
        try:
            task = self.open()
            found = {split: task.load(split) for split in task.splits}
        except DataError as error:
            if ref.card is not None and not ref.card.embedded:
                raise UnsupportedError(f"its rows are not on this machine: {error}") from error
            raise
        self.card = task.card
        return found

    def opens(self) -> str:
        task = self.open()
        for split in task.splits:
            task.load(split)
        return f"a run opens it as {task.status}"

    def rows(self) -> str:
        for split, table in self.tables.items():
            wrong = next(
                (row for row, sides in enumerate(table.texts) if not all(map(_SEQUENCE.fullmatch, sides))), None
            )
            if wrong is not None:
                raise Fault(f"{split} row {table.ids[wrong]}: a sequence is one or more of A, C, G, T, N in upper case")
            if len(set(table.ids.tolist())) != len(table):
                raise Fault(f"{split}: ids repeat")
        return "sequences are upper-case DNA, ids are unique in their split"

    def labels(self) -> str:
        target = find_target(self.card.target)
        for split, table in self.tables.items():
            try:
                target.check(table, self.card.labels, split)
            except DataError as error:
                raise Fault(str(error)) from error
        if "train" not in self.tables:
            return f"labels are those of the card ({', '.join(self.card.labels)})"
        held = target.counts(self.tables["train"].labels, self.card.labels)
        absent = [name for name, n in held.items() if not n]
        if absent:
            raise Fault(f"train has no row of class {absent[0]!r}")
        return f"labels are those of the card ({', '.join(self.card.labels)}), train has all of them"

    def counts(self) -> str:
        if not self.card.counts:
            raise UnsupportedError("the card names no counts")
        held = self.open().counts
        for split, classes in self.card.counts.items():
            if dict(classes) != dict(held.get(split, {})):
                raise Fault(f"the card counts {dict(classes)} rows of {split}, there are {dict(held.get(split, {}))}")
        return "as many rows per class as the card says"

    def deterministic(self) -> str:
        again = self.open()
        tables = {split: again.load(split) for split in again.splits}
        if content_digest(self.card.labels, tables) != content_digest(self.card.labels, self.tables):
            raise Fault("its factory makes other rows when it is called again: draw from a fixed seed")
        return "its factory makes the same rows again"

    def overlap(self) -> str:
        if "train" not in self.tables:
            raise UnsupportedError("there is no train split, so no test row can stand in it")
        train = set(self.tables["train"].texts)
        shared = sum(row in train for row in self.tables["test"].texts)
        return f"{shared} of {len(self.tables['test'])} test rows stand in train letter by letter; `audit` tells more"

    def attainable(self) -> str:
        value = make(self.card.attainable or "", f"task {self.card.full_name}", self.card.config)
        if not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise Fault(f"attainable gives {value!r}, not a value of {self.card.metric}")
        return f"the highest attainable {self.card.metric} is {value:.3f}"


def check_suite(entry: Entry, registry: Registry) -> Report:
    """Whether a suite has tasks that can be run, and its preset settings for them."""
    suite: SuiteCard = entry.card
    checklist = Checklist("suite", suite.name)

    def tasks() -> str:
        if not suite.tasks:
            raise Fault("it has no task")
        found = suite_tasks(suite, registry)
        for ref in found:
            if ref.card is not None:
                find_target(ref.card.target, registry)
        return f"{len(found)} tasks, all registered"

    checklist.check("tasks", tasks)
    if suite.preset:
        checklist.check("preset", lambda: _built(suite.protocol, suite.preset, suite.tasks, registry))
    return checklist.report()


def check_preset(entry: Entry, registry: Registry) -> Report:
    """Whether a preset's settings are those of its protocol, for every task that it names."""
    preset: PresetCard = entry.card
    checklist = Checklist("preset", preset.name)
    if checklist.check("settings", lambda: _settings(preset, registry)) and preset.tasks:
        checklist.check("tasks", lambda: _built(preset.protocol, preset.name, tuple(preset.tasks), registry))
    return checklist.report()


def _settings(preset: PresetCard, registry: Registry) -> str:
    if preset.protocol == "pretrain":
        settings = PretrainSettings.of(preset.settings, f"preset {preset.name!r}")
        if settings.objective and settings.objective_options:  # a recipe among them names augmentations
            make_objective(settings.objective, OneTokenPerBase(), settings.objective_options, registry)
    else:
        resolve_preset(preset.protocol, preset.name, None, registry)
    return f"settings of {preset.protocol}: {', '.join(preset.settings) or 'the defaults'}"


def _built(protocol: str, name: str, tasks: tuple[str, ...], registry: Registry) -> str:
    for task in tasks:
        resolve_task(task, registry)
        resolve_preset(protocol, name, task, registry)
    return f"settings for {len(tasks)} tasks, all registered"


def check_published(entry: Entry, registry: Registry) -> Report:
    """Whether a file of published figures can be read, and its figures are on tasks that are registered."""
    card: PublishedCard = entry.card
    checklist = Checklist("published", card.name)

    def figures() -> str:
        (paper,) = load_published([card])
        if not paper.figures:
            raise Fault(f"{card.path} holds no figure")
        tasks = sorted({figure.task for figure in paper.figures if figure.task})
        for task in tasks:
            resolve_task(task, registry, within=entry.distribution)
        return f"{len(paper.figures)} figures on {len(tasks)} tasks, all registered"

    checklist.check("figures", figures)
    return checklist.report()
