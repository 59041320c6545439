"""The search for cycles of garbage is put off, and not given up."""

from __future__ import annotations

import gc
import weakref

from findna_bench.collecting import no_collection


class Node:
    def __init__(self) -> None:
        self.itself = self


def test_cycles_made_while_nothing_is_searched_are_found_later() -> None:
    with no_collection():
        assert not gc.isenabled()
        garbage = weakref.ref(Node())
        with no_collection():
            pass
        assert not gc.isenabled()
        assert garbage() is not None
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert garbage() is None


def test_what_a_program_has_frozen_stays_frozen() -> None:
    gc.freeze()
    try:
        with no_collection():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
