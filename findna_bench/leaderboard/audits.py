"""Audit verdicts beside scores, from a folder that ``findna-bench audit --pages`` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from findna_bench.errors import UsageError

__all__ = ["Verdict", "read_audits"]


@dataclass(frozen=True)
class Verdict:
    """What an audit found on one task. level: in a word or two; route: what it looked at (sequences, coordinates)."""

    level: str
    route: str
    text: str


def read_audits(folder: Path) -> Mapping[str, tuple[Verdict, ...]]:
    """Verdicts by task (``suite/name``), one per route.

    Raises:
        UsageError: the folder holds no audit, or another kind of JSON.
    """
    from findna_bench.auditing.audit_pages import (
        read_verdicts,
    )  # which takes as long to import as all the rest of a leaderboard

    try:
        verdicts = read_verdicts(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder} holds JSON that is no report of `findna-bench audit --pages FOLDER`") from error
    if not verdicts:
        raise UsageError(f"no audit in {folder}; `findna-bench audit SUITE --pages {folder}` writes some")
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict["task"], []).append(Verdict(verdict["level"], verdict["route"], verdict["verdict"]))
    return {task: tuple(verdicts) for task, verdicts in found.items()}
