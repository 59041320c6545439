"""States of bases: (n, W) uint8 numbers, a row per sequence, padded to the longest one."""

from __future__ import annotations

import numpy as np

__all__ = ["NO_STATE", "state_counts"]

NO_STATE = 255
"""Nothing counts here: behind the end of a sequence, or where no state is known."""


def state_counts(states: np.ndarray, n_states: int) -> np.ndarray:
    """(C,) int64 bases of each state, of states (n, W)."""
    counts = np.zeros(n_states, dtype=np.int64)
    for row in states:
        counts += np.bincount(row, minlength=NO_STATE + 1)[:n_states]
    return counts
