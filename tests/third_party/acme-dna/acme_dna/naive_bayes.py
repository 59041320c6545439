"""A model of kind ``classifier``: it brings its own fit, and gives class probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import findna_bench.api as fb

_LENGTH = 4


class NaiveBayes:
    """Multinomial naive Bayes on words of four bases; how many words are assumed to have been seen is chosen on validation."""

    varies: tuple[str, ...] = ()
    thread_invariant = True
    """No sum here depends on the number of threads, so ``--threads`` is no part of a result's identity."""

    def __init__(self, pseudocounts: tuple[float, ...] = (0.1, 1.0, 10.0)) -> None:
        self._pseudocounts = pseudocounts
        self._prior = self._words = np.zeros(0)
        self._settings: dict[str, object] = {}

    def fit(self, train: fb.SequenceTable, validation: fb.SequenceTable, seed: int, n_classes: int) -> NaiveBayes:
        self._prior = np.log((train.class_counts(n_classes) + 1) / (len(train) + n_classes))
        counts, held = word_counts(train), word_counts(validation)
        of_class = np.stack([counts[train.labels == label].sum(axis=0) for label in range(n_classes)])
        losses = {}
        for pseudocount in self._pseudocounts:
            self._words = self._log_shares(of_class, pseudocount)
            own = self._scores(held)[np.arange(len(validation)), validation.labels]
            losses[pseudocount] = float(-np.log(np.maximum(own, 1e-12)).mean())
        best = min(losses, key=lambda pseudocount: losses[pseudocount])
        self._words = self._log_shares(of_class, best)
        self._settings = {"pseudocount": best, "losses": {str(key): loss for key, loss in losses.items()}}
        return self

    def predict_scores(self, table: fb.SequenceTable) -> NDArray[np.float64]:
        """(n, C) class probabilities."""
        return self._scores(word_counts(table))

    @property
    def settings(self) -> dict[str, object]:
        """What was chosen on validation."""
        return self._settings

    @staticmethod
    def _log_shares(of_class: NDArray[np.float64], pseudocount: float) -> NDArray[np.float64]:
        smoothed = of_class + pseudocount
        shares: NDArray[np.float64] = np.log(smoothed / smoothed.sum(axis=1, keepdims=True))
        return shares

    def _scores(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        joint = counts @ self._words.T + self._prior
        joint -= joint.max(axis=1, keepdims=True)
        scores: NDArray[np.float64] = np.exp(joint) / np.exp(joint).sum(axis=1, keepdims=True)
        return scores


def word_counts(table: fb.SequenceTable) -> NDArray[np.float64]:
    """(n, 256) how often each word of four bases stands in a row; words with an N count nowhere."""
    found = np.zeros((len(table), 4**_LENGTH))
    for row, sequence in enumerate(table.sequences):
        letters = fb.encode_padded([sequence])[0].astype(np.int64)
        n = max(len(letters) - _LENGTH + 1, 0)
        windows = np.stack([letters[place : place + n] for place in range(_LENGTH)])
        words = (windows.T * 4 ** np.arange(_LENGTH)[::-1]).sum(axis=1)[(windows < 4).all(axis=0)]
        found[row] = np.bincount(words, minlength=4**_LENGTH)
    return found


if TYPE_CHECKING:  # mypy holds the class to its contract
    _contract: type[fb.Classifier] = NaiveBayes
