"""Versions, commit, device and processor: what a number was computed with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["environment"]

_PACKAGES = (
    "findna-bench",
    "torch",
    "numpy",
    "scikit-learn",
    "scipy",
    "transformers",
    "tokenizers",
    "safetensors",
    "timm",
    "pandas",
)


@cache
def environment() -> dict[str, Any]:
    """JSON-serialisable description of this process's surroundings; no host or user name, no path."""
    versions: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    commit, dirty = _git_state()
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": versions,
        "git_commit": commit,
        "dirty": dirty,
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git_state() -> tuple[str | None, bool | None]:
    """Commit of the harness's own checkout, where it runs from one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None, None
    try:
        return _git(root, "rev-parse", "HEAD"), bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(root: Path, *args: str) -> str:
    command = ["git", "-C", str(root), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
