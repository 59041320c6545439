"""Families of pretrainings: networks that were made in one way and differ in the seed they were made with, named by a pattern."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from findna_bench.errors import UsageError
from findna_bench.private_paths import last_part

__all__ = ["FAMILY", "expand_families", "family_members", "family_name"]

FAMILY = "family:"


def expand_families(request: Any) -> None:
    """Write ``path:FOLDER`` of every network in place of ``family:PATTERN`` into the models of a request.

    Raises:
        UsageError: no folder of a network is called so.
    """
    if any(model.startswith(FAMILY) for model in request.models):
        named = (_folders(m) if m.startswith(FAMILY) else (m,) for m in request.models)
        object.__setattr__(request, "models", tuple(model for models in named for model in models))


def _folders(text: str) -> tuple[str, ...]:
    pattern = os.path.expanduser(text.removeprefix(FAMILY))
    folders = [folder for folder in glob.glob(pattern) if (Path(folder) / "config.json").is_file()]
    if not folders:
        raise UsageError(
            f"{text}: no folder of a network is called so; give a pattern of folders that `findna-bench pretrain` made, as "
            "family:runs/mine-* (in quotes)"
        )
    return tuple(f"path:{folder}" for folder in sorted(folders, key=_by_number))


def family_name(text: str) -> str:
    """``family:PATTERN`` without the folder that its networks lie in, which no result knows."""
    return FAMILY + last_part(text.removeprefix(FAMILY).rstrip("/"))


def family_members(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the names of models in results that are of the family: ``path:mine-1`` and ``mine-1`` of ``family:runs/mine-*``;
    no untrained ones.

    Example:
        >>> family_members("family:runs/mine-*", ["path:mine-10", "path:mine-2", "path:other", "mine-2@random"])
        ('path:mine-2', 'path:mine-10')
    """
    pattern = family_name(text).removeprefix(FAMILY)
    found = [n for n in names if "@" not in n and fnmatch.fnmatchcase(n.removeprefix("path:"), pattern)]
    return tuple(sorted(found, key=_by_number))


def _by_number(name: str) -> list[tuple[int, str]]:
    """``mine-2`` before ``mine-10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
