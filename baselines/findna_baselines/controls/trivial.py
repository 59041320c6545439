"""What can be told without reading the sequence as a sequence: length and composition.

Two models, the better of which (by mean validation loss) is used: boosted trees on length, its remainders, GC, N and
dinucleotides; and the class shares of training rows of exactly the same length, which finds data sets whose classes were cut
to different lengths. Numbers are predicted from the same features by trees or ridge regression, several labels by a
logistic regression each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from findna_baselines.controls.trivial_labels import TrivialLabels
from findna_baselines.controls.trivial_regression import TrivialRegression
from findna_bench.api import SequenceTable, combine_sides, composition

__all__ = ["BoostedTrees", "LengthTable", "TrivialClassifier", "trivial_features"]

_MOST_BASES = 2.0**26
"""More than a side of a pair has; two lengths are one number so, and exact."""
FEATURES = ("length", "length mod 3", "length mod 6", "length mod 50", "GC", "N", "16 dinucleotides")


def trivial_features(table: SequenceTable) -> np.ndarray:
    """(n, 22) float64: length in bases, its remainders by 3, 6 and 50, shares of GC and of N, dinucleotide frequencies."""
    return _features_of(table.sequences)


def _features_of(sequences: list[str]) -> np.ndarray:
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.float64)
    made_of = composition(sequences)
    remainders = [lengths % divisor for divisor in (3, 6, 50)]
    return np.column_stack([lengths, *remainders, made_of.gc, made_of.n, made_of.dinucleotides])


class LengthTable:
    """Class shares of the training rows of a length, drawn towards the overall shares as if by one more row."""

    def __init__(self, lengths: np.ndarray, labels: np.ndarray, n_classes: int) -> None:
        self._overall = np.bincount(labels, minlength=n_classes) / len(labels)
        self._known, place = np.unique(lengths, return_inverse=True)
        counts = np.bincount(place * n_classes + labels, minlength=len(self._known) * n_classes)
        smoothed = counts.reshape(len(self._known), n_classes) + self._overall
        self._shares = smoothed / smoothed.sum(axis=1, keepdims=True)

    def predict_scores(self, lengths: np.ndarray) -> np.ndarray:
        """(n, C); the overall shares for a length that was never seen."""
        place = np.minimum(np.searchsorted(self._known, lengths), len(self._known) - 1)
        return np.where((self._known[place] == lengths)[:, None], self._shares[place], self._overall)


class BoostedTrees:
    """Gradient-boosted trees, as many rounds as validation likes best."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, n_classes: int, max_rounds: int) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self._n_classes = n_classes
        self._only = int(labels[0]) if len(np.unique(labels)) < 2 else None
        self.rounds = max_rounds
        if self._only is None:
            # Twenty rows per leaf, the library's default, would leave small tables without any split at all.
            leaf = min(20, max(2, len(labels) // 20))
            model = HistGradientBoostingClassifier(
                max_iter=max_rounds, early_stopping=False, random_state=0, min_samples_leaf=leaf
            )
            self._model = model.fit(features, labels)

    def choose_rounds(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Keep the number of rounds of the lowest mean loss."""
        if self._only is None and len(labels):
            losses = [mean_loss(self._spread(p), labels) for p in self._model.staged_predict_proba(features)]
            self.rounds = int(np.argmin(losses)) + 1

    def predict_scores(self, features: np.ndarray) -> np.ndarray:
        """(n, C)."""
        if self._only is not None:
            return np.tile(np.eye(self._n_classes)[self._only], (len(features), 1))
        for number, scores in enumerate(self._model.staged_predict_proba(features), start=1):
            if number == self.rounds:
                return self._spread(scores)
        raise AssertionError("the chosen round was fitted")

    def _spread(self, scores: np.ndarray) -> np.ndarray:
        """Columns of the classes that train has, among all C."""
        spread = np.zeros((len(scores), self._n_classes))
        spread[:, self._model.classes_] = scores
        return spread


def mean_loss(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy; a class held impossible costs as much as a chance of one in a million."""
    return float(-np.log(np.maximum(scores[np.arange(len(labels)), labels], 1e-6)).mean())


class TrivialClassifier:
    """The better one, on validation, of trees on :func:`trivial_features` and the table of exact lengths."""

    varies: tuple[str, ...] = ()
    thread_invariant = True

    def __init__(self, max_rounds: int = 100, combination: str | None = None) -> None:
        self._max_rounds, self._combination = max_rounds, combination
        self._other: TrivialRegression | TrivialLabels | None = None
        self._settings: dict[str, Any] = {}

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> TrivialClassifier:
        """Fit both on ``train``, choose on ``validation``."""
        features, held_out = self._features(train), self._features(validation)
        if train.labels.dtype.kind == "f":
            self._other = TrivialRegression(features, train.labels, held_out, validation.labels, self._max_rounds)
        elif train.labels.ndim > 1:
            self._other = TrivialLabels(features, train.labels, held_out, validation.labels)
        if self._other is not None:
            self._settings = {**self._other.settings, "features": list(FEATURES)}
            return self
        self._trees = BoostedTrees(features, train.labels, n_classes, self._max_rounds)
        self._trees.choose_rounds(held_out, validation.labels)
        self._table = LengthTable(self._lengths(train), train.labels, n_classes)
        by_length = self._table.predict_scores(self._lengths(validation))
        trials = {"trees": self._trees.predict_scores(held_out), "length": by_length}
        losses = {name: mean_loss(scores, validation.labels) for name, scores in trials.items()}
        hits = {name: scores.argmax(axis=1) == validation.labels for name, scores in trials.items()}
        self._chosen = min(losses, key=lambda name: losses[name])
        self._settings = {
            "chosen": self._chosen,
            "rounds": self._trees.rounds,
            "max_rounds": self._max_rounds,
            "features": list(FEATURES),
            "validation": {n: {"loss": losses[n], "accuracy": float(hits[n].mean())} for n in losses},
        }
        return self

    def predict_scores(self, table: SequenceTable) -> np.ndarray:
        """(n, C) class probabilities, or (n, K) numbers, or probabilities of labels."""
        if self._other is None and self._chosen == "length":
            return self._table.predict_scores(self._lengths(table))
        features = self._features(table)
        if self._other is not None:
            return self._other.predict_scores(features)
        return self._trees.predict_scores(features)

    def _features(self, table: SequenceTable) -> np.ndarray:
        """Of rows, of pairs those of both sides combined."""
        if table.sequences_b is None or self._combination is None:
            return trivial_features(table)
        sides = (_features_of(table.sequences), _features_of(table.sequences_b))
        return np.asarray(combine_sides(self._combination, *sides))

    def _lengths(self, table: SequenceTable) -> np.ndarray:
        """(n,) a number for each length, of pairs for both lengths, in whichever order."""
        lengths = np.array([len(sequence) for sequence in table.sequences], dtype=np.float64)
        if table.sequences_b is None:
            return lengths
        others = np.array([len(sequence) for sequence in table.sequences_b], dtype=np.float64)
        return np.maximum(lengths, others) * _MOST_BASES + np.minimum(lengths, others)

    @property
    def settings(self) -> dict[str, Any]:
        """Which one was chosen, and how both did on validation."""
        return self._settings
