"""Command lines in processes of their own, and what their results hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import findna_bench as fb

__all__ = ["content", "failures", "fits", "start"]

_PROGRAM = "from findna_bench.cli import main; main()"


def start(
    *arguments: object, cwd: Path, environment: Mapping[str, str] | None = None, **popen: Any
) -> subprocess.Popen[str]:
    """``findna-bench ARGUMENTS`` in ``cwd``."""
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen}
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        text=True,
        **settings,
    )


def content(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything that no executor may change, of each result: identity, ids, metrics, and digest of its predictions."""
    return {
        str(path.relative_to(folder)): (
            found["status"], found["identity"], found["request_id"], found["config_id"], json.dumps(found["metrics"]), found["predictions_digest"],
        )
        for path in sorted(folder.glob("*/*/*/*/*.json"))
        for found in [json.loads(path.read_text())]
    }  # fmt: skip


def failures(folder: Path) -> list[str]:
    """What went wrong, of each failed cell."""
    return [json.loads(path.read_text())["error"]["message"] for path in sorted((folder / "errors").glob("*.json"))]


def fits(log: Path) -> list[str]:
    """The fits that models of the unruly plugin wrote down."""
    return sorted(log.read_text().splitlines()) if log.exists() else []


def open_jobs(results: Path) -> Sequence[fb.JobFolder]:
    """Jobs that are not known to be done."""
    return fb.job_folders(results)
