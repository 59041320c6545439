"""Random sequences, for tests of rooms that compare them."""

from __future__ import annotations

import numpy as np


def made(n: int, length: int, generator: np.random.Generator, letters: str = "ACGT") -> list[str]:
    """So many sequences of one length."""
    return ["".join(generator.choice(list(letters), length)) for _ in range(n)]
