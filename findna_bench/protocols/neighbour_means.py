"""Numbers, and labels, predicted by the mean of the nearest training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from findna_bench.protocols.heads import FittedHead, NeighbourHead, check_features, fit_search, what_varies
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import KNearest
from findna_bench.targets.learning import label_priors

__all__ = ["NeighbourMeans", "fit_neighbour_means"]


@dataclass(frozen=True, kw_only=True)
class NeighbourMeans(FittedHead):
    """The plain mean over the nearest training rows; of labels over those of which one is known, and the share in train where it is
    known of none.
    """

    search: NeighbourHead

    def predict_scores(self, features: Any) -> np.ndarray:
        """(m, K) values, or shares of the rows that have a label, of features (m, D)."""
        votes = self.search.votes(features)
        if votes.dtype.kind == "f":
            means: np.ndarray = votes.mean(axis=1, dtype=np.float64)
            return means
        known = (votes >= 0).sum(axis=1)
        shares: np.ndarray = np.tile(label_priors(self.search.labels), (len(votes), 1))
        np.divide((votes == 1).sum(axis=1), known, out=shares, where=known > 0)
        return shares


def fit_neighbour_means(
    features: Any, truth: np.ndarray, splits: Sequence[SeedSplit], preset: KNearest
) -> list[FittedHead]:
    """Nearest neighbours among each split's training rows; nothing is chosen on validation.

    Args:
        features: (n, D) float32, dense or CSR.
        truth: (n, K) float64, or int8 labels of 1, 0 and -1 (not known).
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
