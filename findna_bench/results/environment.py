"""Versions, commit, device and processor: what a number was computed with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from findna_bench import __version__

__all__ = ["environment", "environment_line", "versions_line"]

_PACKAGES = (
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
    versions: dict[str, str | None] = {"findna-bench": __version__}  # installed metadata may be older than the code
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


def environment_line(environment: Mapping[str, Any], protocol_version: int | None = None) -> str:
    """An environment on one line, as pages have it: device where there is one, processor, versions, and the protocol's version
    where scores are shown.

    Example:
        >>> environment_line({"device": "cpu", "cpu": "AMD EPYC", "cpu_count": 2, "python": "3.11.7", "versions": {"torch": "2.14.1"}}, 2)
        'cpu: AMD EPYC, 2 cores; Python 3.11.7, torch 2.14.1, findna-bench ?; protocol version 2'
    """
    device = f"{environment['device']}: " if environment.get("device") else ""
    processor = f"{environment.get('cpu', '?')}, {environment.get('cpu_count', '?')} cores"
    line = f"{device}{processor}; {versions_line(environment, ('torch', 'findna-bench'))}"
    return line if protocol_version is None else f"{line}; protocol version {protocol_version}"


def versions_line(environment: Mapping[str, Any], packages: Sequence[str]) -> str:
    """Python and the packages with their versions: "Python 3.11.7, torch 2.14.1"."""
    versions = environment.get("versions", {})
    named = (f"{package} {versions.get(package) or '?'}" for package in packages)
    return ", ".join((f"Python {environment.get('python', '?')}", *named))


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
