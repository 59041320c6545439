"""How people spell the names of splits."""

from __future__ import annotations

import re

__all__ = ["SPLIT_NAMES", "split_name", "split_of_file"]

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "valid": "validation",
    "val": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def split_name(text: str) -> str | None:
    """``train``, ``validation`` or ``test`` for any usual spelling; None for anything else."""
    return SPLIT_NAMES.get(text.strip().lower())


def split_of_file(stem: str) -> tuple[str, tuple[int, int] | None] | None:
    """(split, (number, of how many) of a shard) of a file name without suffixes: ``train``, ``test_set``, ``my-dev``,
    ``train-00000-of-00002``; None where no word of it, or more than one, names a split.
    """
    shard = re.fullmatch(r"(.+?)[-_.](\d+)[-_.]of[-_.](\d+)(-\w+)?", stem, re.IGNORECASE)
    words = re.split(r"[\s_.-]+", shard[1] if shard else stem)
    found = {SPLIT_NAMES[word.lower()] for word in words if word.lower() in SPLIT_NAMES}
    if len(found) != 1:
        return None
    return found.pop(), (int(shard[2]), int(shard[3])) if shard else None
