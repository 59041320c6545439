"""``knn``: votes of the nearest training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from findna_bench.protocols.protocol import HeadProtocol
from findna_bench.protocols.settings import KNN_PRESETS, KNearest

if TYPE_CHECKING:
    import numpy as np

    from findna_bench.protocols.heads import FittedHead
    from findna_bench.protocols.seed_splits import SeedSplit

__all__ = ["NearestNeighbours"]


class NearestNeighbours(HeadProtocol):
    """Votes of the k nearest training rows, or the mean of their numbers or labels; nothing is chosen on validation."""

    targets = ("classes", "values", "labels")
    inputs = ("sequence", "pair", "variant")
    settings = (KNearest,)
    presets = KNN_PRESETS

    def fit_heads(
        self, features: Any, labels: np.ndarray, splits: Sequence[SeedSplit], n_classes: int, preset: Any, device: str
    ) -> Sequence[FittedHead]:
        if labels.ndim > 1:
            from findna_bench.protocols.neighbour_means import fit_neighbour_means

            return fit_neighbour_means(features, labels, splits, preset)
        from findna_bench.protocols.heads import fit_knn

        return fit_knn(features, labels, splits, n_classes, preset)
