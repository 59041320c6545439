"""The processes that ``torchrun`` starts, as their environment variables name them. No torch here."""

from __future__ import annotations

import os

__all__ = ["is_first", "world_size"]


def world_size() -> int:
    """How many processes ``torchrun`` has started for this program; 1 where it was started as any other."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def is_first() -> bool:
    """Whether this is the process that writes and speaks."""
    return world_size() == 1 or os.environ["RANK"] == "0"
