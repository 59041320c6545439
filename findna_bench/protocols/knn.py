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
    """Votes of the k nearest training rows; nothing is chosen on validation."""

    settings = (KNearest,)
    presets = KNN_PRESETS

    def fit_heads(
        self, features: Any, labels: np.ndarray, splits: Sequence[SeedSplit], n_classes: int, preset: Any, device: str
    ) -> Sequence[FittedHead]:
        from findna_bench.protocols.heads import fit_knn

        return fit_knn(features, labels, splits, n_classes, preset)
