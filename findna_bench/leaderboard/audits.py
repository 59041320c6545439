"""Audit verdicts beside scores, from a folder that ``findna-bench audit --pages`` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from findna_bench.errors import UsageError

__all__ = ["Verdict", "read_audits"]


@dataclass(frozen=True)
class Verdict:
    """What an audit found on one task. route: what it looked at (sequences, coordinates)."""

    task: str
    level: str
    route: str
    sentences: tuple[str, ...]


def read_audits(folder: Path) -> Mapping[str, tuple[Verdict, ...]]:
    """Verdicts by task, one per route.

    Raises:
        UsageError: the folder holds no audit, or a damaged one.
    """
    found: dict[str, list[Verdict]] = {}
    for path in sorted(folder.rglob("*.json")):
        try:
            report = json.loads(path.read_text("utf-8"))
            verdict = Verdict(
                report["task"], report["verdict"]["level"], report["route"], tuple(report["verdict"]["sentences"])
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} is not a report of `findna-bench audit --pages FOLDER`") from error
        found.setdefault(verdict.task, []).append(verdict)
    if not found:
        raise UsageError(f"no audit in {folder}; `findna-bench audit SUITE --pages {folder}` writes some")
    return {task: tuple(verdicts) for task, verdicts in found.items()}
