"""How often the right one of two scores higher, where a score is the difference between the two and has no threshold but zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from findna_bench.api import Metric

__all__ = ["PairedAccuracy"]


class PairedAccuracy(Metric):
    """Share of rows whose own class scores higher than the other one, or of several others the mean share; equal scores count half, so
    that a constant reaches no more than chance."""

    bounds = (0.0, 1.0)

    def compute(self, truth: NDArray[Any], outputs: NDArray[Any], weights: NDArray[Any]) -> float:
        """truth (n,) int; outputs (n, C); weights (n,)."""
        own = np.take_along_axis(outputs, truth[:, None], axis=1)
        right = (np.sign(own - outputs) + 1) / 2  # one half for the class itself, which is taken out
        of_others = (right.sum(axis=1) - 0.5) / (outputs.shape[1] - 1)
        return float((of_others * weights).sum() / weights.sum())
