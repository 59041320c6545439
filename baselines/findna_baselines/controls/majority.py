"""The control that does not look at the sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from findna_bench.api import SequenceTable, label_priors, state_shares

__all__ = ["Majority"]


class Majority:
    """Scores every row with the class shares of the training rows, so that it predicts the most frequent class; numbers with their
    mean, several labels with the share of each, bases with the shares of states.

    Between equally frequent classes the first one is predicted.
    """

    varies: tuple[str, ...] = ()
    thread_invariant = True

    def __init__(self) -> None:
        self._shares = np.zeros(0)
        self._name = "class_shares"

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> Majority:
        """Count the classes of ``train``, or average its numbers."""
        if train.labels.dtype.kind == "f":
            self._shares, self._name = train.labels.mean(axis=0), "means"
            return self
        if train.labels.dtype.kind == "u":
            self._shares, self._name = state_shares(train.labels, n_classes), "state_shares"
            return self
        if train.labels.ndim > 1:
            self._shares, self._name = label_priors(train.labels), "label_shares"
            return self
        counts = train.class_counts(n_classes).astype(np.float64)
        self._shares = counts / counts.sum()
        return self

    def predict_scores(self, table: SequenceTable) -> np.ndarray:
        """(n, C) the same shares, or means, for every row; (n, W, C) for every base."""
        if self._name == "state_shares":
            return np.tile(self._shares, (*table.labels.shape, 1))
        return np.tile(self._shares, (len(table), 1))

    @property
    def settings(self) -> dict[str, Any]:
        """The class shares of the training rows, or their means."""
        return {self._name: [float(share) for share in self._shares]}
