"""From names to reports: tasks, suites and paths, one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from findna_bench.auditing.audit_report import AuditReport
from findna_bench.auditing.auditing import audit_task
from findna_bench.auditing.references import OtherSplit, References
from findna_bench.data.catalog import data_root, resolve_suite, resolve_task, suite_tasks, task_status
from findna_bench.data.task import open_task
from findna_bench.errors import DataError, UnknownNameError
from findna_bench.registry import Registry, get_registry

__all__ = ["Audited", "audit_targets", "expand_targets", "other_benchmark"]


@dataclass(frozen=True)
class Audited:
    """A task and its report; ``report`` is None where the task was skipped, and ``reason`` says why."""

    task: str
    report: AuditReport | None
    reason: str = ""


def expand_targets(names: Sequence[str], registry: Registry | None = None) -> tuple[str, ...]:
    """Task names and paths for suites, tasks and paths, each once, in order.

    Raises:
        UnknownNameError: neither a suite nor a task has this name.
        UsageError: a path that does not exist.
    """
    return tuple(_expand(names, registry or get_registry()))


def _expand(names: Sequence[str], registry: Registry) -> dict[str, bool]:
    """Task or path -> it was asked for by its suite alone."""
    found: dict[str, bool] = {}
    for name in names:
        try:
            suite = resolve_suite(name, registry)
        except UnknownNameError:
            ref = resolve_task(name, registry)
            found[str(ref.path) if ref.path else ref.name] = False
        else:
            for ref in suite_tasks(suite, registry):
                found.setdefault(ref.name, True)
    return found


def audit_targets(
    names: Sequence[str],
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    drop_missing: bool = False,
    target: str | None = None,
    references: References | None = None,
    registry: Registry | None = None,
    progress: Callable[[str], None] = lambda text: None,
    finished: Callable[[AuditReport], object] = lambda report: None,
) -> list[Audited]:
    """Audit every task of the given suites, tasks and paths. drop_missing: of paths, leave out rows without sequence or label.
    target: of paths, what their columns predict, where these say otherwise. references: what each is compared with. finished: called
    with each report as it is made, so that it can be kept where a later task fails.

    A task of a suite that is not imported is skipped with a reason; one that was asked for by its own name is an error.

    Raises:
        UnknownNameError, UsageError: a name or path that does not exist, before anything is audited.
        DataError: a task's data are missing or damaged.
    """
    registry = registry or get_registry()
    root = data_root(data_dir)
    out = []
    for task, by_suite in _expand(names, registry).items():
        ref = resolve_task(task, registry)
        if ref.card is not None and by_suite and task_status(ref.card, root) == "missing":
            out.append(Audited(task, None, f"not imported: findna-bench fetch {ref.suite}"))
            continue
        progress(f"auditing {task}")
        report = audit_task(
            task,
            data_dir=root,
            offline=offline,
            drop_missing=drop_missing,
            target=target,
            references=references,
            progress=progress,
        )
        finished(report)
        out.append(Audited(task, report))
    return out


def other_benchmark(
    names: Sequence[str],
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> Callable[[], Sequence[OtherSplit]]:
    """The splits of tasks, suites and paths, read once when they are first asked for; as :class:`~findna_bench.auditing.references.References` takes them.

    Tasks of a suite that are not imported, or known by coordinates alone, are left out, and ``progress`` is told.

    Raises (when they are read):
        UnknownNameError, UsageError: a name or path that does not exist. DataError: no sequence is left.
    """

    @cache
    def read() -> Sequence[OtherSplit]:
        found = []
        for name in expand_targets(names):
            task = open_task(name, data_dir=data_dir, offline=offline) if _has_sequences(name, data_dir) else None
            if task is None or task.status == "coordinates":
                progress(f"not compared with {name}: its sequences are not on this machine")
                continue
            drawn = task.card.split_policy.startswith("test drawn from train")  # by the harness, not by its authors
            parts: dict[str, list[str]] = {}
            for split in task.splits:
                table = task.load(split)
                parts.setdefault("all" if drawn else split, []).extend([*table.sequences, *(table.sequences_b or ())])
            found += [OtherSplit(task.card.full_name, split, sequences) for split, sequences in parts.items()]
        if names and not found:
            raise DataError(f"--against {','.join(names)}: none of its sequences is on this machine; fetch it first")
        return found

    return read


def _has_sequences(name: str, data_dir: str | Path | None) -> bool:
    card = resolve_task(name).card
    return card is None or task_status(card, data_root(data_dir)) != "missing"
