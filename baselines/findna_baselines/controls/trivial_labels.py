"""Labels predicted from length and composition, without reading the sequence as a sequence."""

from __future__ import annotations

import numpy as np

from findna_bench.api import SeedSplit, fit_labels

__all__ = ["TrivialLabels"]


class TrivialLabels:
    """A logistic regression per label on length and composition, each with the strength that validation likes best.

    Attributes:
        settings: what was chosen, JSON-serialisable.
    """

    def __init__(self, features: np.ndarray, truth: np.ndarray, held_out: np.ndarray, held_truth: np.ndarray) -> None:
        rows = np.arange(len(truth) + len(held_truth))
        split = SeedSplit(0, rows[: len(truth)], rows[len(truth) :])
        both = np.concatenate([features, held_out]).astype(np.float32), np.concatenate([truth, held_truth])
        (self._head,) = fit_labels(*both, [split])
        self.settings = {
            "chosen": "logistic",
            "strength": self._head.settings["strength"],
            "validation": {"logistic": {"loss": self._head.validation["loss"]}},
        }

    def predict_scores(self, features: np.ndarray) -> np.ndarray:
        """(n, K) of features (n, D)."""
        return self._head.predict_scores(features.astype(np.float32))
