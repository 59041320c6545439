"""A metric: agreement of predicted and true classes beyond what their shares alone would give (Cohen 1960)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import findna_bench.api as fb


class CohensKappa(fb.Metric):
    """1 for perfect agreement, 0 for that of chance."""

    bounds = (-1.0, 1.0)
    support = "minority"

    def compute(self, truth: NDArray[Any], outputs: NDArray[Any], weights: NDArray[Any]) -> float:
        n_classes = outputs.shape[1]
        table = np.zeros((n_classes, n_classes))
        np.add.at(table, (truth, outputs.argmax(axis=1)), weights)
        table /= table.sum()
        by_chance = float(table.sum(axis=0) @ table.sum(axis=1))
        return float("nan") if by_chance == 1 else (float(np.trace(table)) - by_chance) / (1 - by_chance)
