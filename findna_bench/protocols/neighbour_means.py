"""Numbers predicted by the mean of the nearest training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from findna_bench.protocols.heads import FittedHead, NeighbourHead, check_features, fit_search, what_varies
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import KNearest

__all__ = ["NeighbourMeans", "fit_neighbour_means"]


@dataclass(frozen=True, kw_only=True)
class NeighbourMeans(FittedHead):
    """The plain mean over the nearest training rows."""

    search: NeighbourHead

    def predict_scores(self, features: Any) -> np.ndarray:
        """(m, K) values of features (m, D)."""
        means: np.ndarray = self.search.votes(features).mean(axis=1, dtype=np.float64)
        return means


def fit_neighbour_means(
    features: Any, truth: np.ndarray, splits: Sequence[SeedSplit], preset: KNearest
) -> list[FittedHead]:
    """Nearest neighbours among each split's training rows; nothing is chosen on validation.

    Args:
        features: (n, D) float32, dense or CSR.
        truth: (n, K) float64.
        splits: rows of each seed.
        preset: how many neighbours, and which are near.

    Raises:
        ModelError: a feature is not a finite number.
        UsageError: a split has no train row.
    """
    check_features(features, len(truth), splits, needs_validation=False)
    varies = what_varies(preset, splits)
    known: dict[bytes, NeighbourMeans] = {}
    for split in splits:
        if split.key not in known:
            found = fit_search(features, truth, split, truth.shape[1], preset)
            known[split.key] = NeighbourMeans(
                seed=split.seed, settings=found.settings, warnings=found.warnings, search=found
            )
    return [replace(known[split.key], seed=split.seed, varies=varies) for split in splits]
