"""The last audit of a task, kept beside its data: what ``describe`` and pages quote without auditing again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from findna_bench.auditing.audit_report import AuditReport, outdated
from findna_bench.cards import TaskCard
from findna_bench.data.catalog import data_root, read_manifest, task_folder, task_status
from findna_bench.errors import BenchError, OutputError
from findna_bench.files import path_segment, write_json

__all__ = ["describe_task", "store_report", "stored_report"]


def _path(task: str, root: Path) -> Path:
    suite, _, name = task.partition("/")
    return root / "audits" / path_segment(suite) / f"{path_segment(name)}.json"


def store_report(report: AuditReport, digest: str, data_dir: str | Path | None = None) -> None:
    """Keep a report under the data root, with the digest of the data it is about; a root that cannot be written keeps none."""
    with contextlib.suppress(OutputError):
        write_json(_path(report.task, data_root(data_dir)), {"data_digest": digest, "report": report.to_dict()})


def stored_report(task: str, digest: str, data_dir: str | Path | None = None) -> dict[str, Any] | None:
    """The report kept for a task (``suite/name``), as plain values; None where there is none, or it is about other data."""
    try:
        content = json.loads(_path(task, data_root(data_dir)).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, Mapping) or content.get("data_digest") != digest:
        return None
    report = content.get("report")
    return dict(report) if isinstance(report, Mapping) else None


def describe_task(card: TaskCard, data_dir: str | Path | None = None) -> dict[str, Any]:
    """What there is to say about a task beside its card: ``data`` (its state here), ``counts``, ``audit`` (level),
    ``audit flags``, ``audit verdict``, ``sources`` (addresses), ``licence`` and ``bibtex``; opens no rows.
    """
    root = data_root(data_dir)
    suite, _, name = (card.derived_from or card.full_name).partition("/")
    manifest = read_manifest(task_folder(suite, name, root)) or {}
    facts: dict[str, Any] = {"data": task_status(card, root), "counts": manifest.get("counts", {})}
    report = _last_report(card, root)
    command = f"findna-bench audit {card.full_name}"
    facts["audit"] = report["verdict"]["level"] if report else f"not audited here: {command}"
    if report and outdated(report):
        facts["audit"] += f" ({outdated(report)}: {command})"
    facts["audit flags"] = list(report["verdict"]["flags"]) if report else []
    facts["audit verdict"] = list(report["verdict"]["sentences"]) if report else []
    if report and report.get("published_coordinates"):
        facts["audit of all coordinates"] = list(report["published_coordinates"]["verdict"]["sentences"])
    facts["sources"] = [source.url for source in card.sources] or (
        [f"rows of {card.derived_from}"] if card.derived_from else []
    )
    facts["licence"] = card.licence
    facts["bibtex"] = card.citation
    return facts


def _last_report(card: TaskCard, root: Path) -> dict[str, Any] | None:
    if not _path(card.full_name, root).is_file():
        return None
    from findna_bench.data.task import open_task

    try:
        digest = open_task(card.full_name, data_dir=root, offline=True).data_digest
    except BenchError:
        return None
    return stored_report(card.full_name, digest, root)
