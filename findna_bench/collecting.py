"""Python's search for cycles of garbage, put off while very many objects are made that are no garbage."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["no_collection"]


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Within it nothing is searched: of a million new objects, looking for garbage among them again and again takes half of the time.

    What was made within is then as old as objects get, and is looked through when those are; else it would be at once, all of it.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            if not gc.get_freeze_count():  # of a program that has frozen its objects, they stay so
                gc.freeze()
                gc.unfreeze()
            gc.enable()
