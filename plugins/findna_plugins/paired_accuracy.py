"""How often the right one of two scores higher, where a score is the difference between the two and has no threshold but zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from findna_bench.api import Metric

__all__ = ["PairedAccuracy"]


class PairedAccuracy(Metric):
    """Share of rows whose own class scores higher than the other one; equal scores count half, so that a constant reaches no more than chance."""

    bounds = (0.0, 1.0)

    def compute(self, truth: NDArray[Any], outputs: NDArray[Any], weights: NDArray[Any]) -> float:
        """NaN of more than two classes."""
        if outputs.shape[1] != 2:
            return float("nan")
        rows = np.arange(len(truth))
        right = (np.sign(outputs[rows, truth] - outputs[rows, 1 - truth]) + 1) / 2
        return float((right * weights).sum() / weights.sum())
