"""Controls for pairs: what can be told without asking whether the sides fit each other.

Distance and strand, lengths and padding, each side alone, and what other pairs of the same element are labelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from findna_baselines.controls.kmer import KmerFeatures
from findna_baselines.controls.trivial import BoostedTrees
from findna_baselines.controls.trivial_labels import TrivialLabels
from findna_baselines.controls.trivial_regression import TrivialRegression
from findna_bench.api import ModelError, SequenceTable, UnsupportedError, combine_sides, reverse_complement

__all__ = ["ElementMeans", "PairTrees", "SideKmers"]

PRIOR_ROWS = 2.0
"""Rows of the overall mean that the mean of every element begins with."""


def _distance_features(table: SequenceTable, combination: str) -> np.ndarray:
    """(n, 5): distance and its logarithm, whether it is known, and the strands.

    Raises:
        UnsupportedError: rows have neither.
    """
    distance, strand = table.extra.get("distance"), table.extra.get("strand")
    if distance is None and strand is None:
        raise UnsupportedError("pair-distance reads columns distance and strand, and these pairs have neither")
    known = np.zeros(len(table), dtype=bool) if distance is None else np.isfinite(distance)
    bases = np.zeros(len(table)) if distance is None else np.where(known, distance, 0.0)
    strands = [np.zeros(len(table)) if strand is None else (strand == sign).astype(np.float64) for sign in "+-"]
    return np.column_stack([bases, np.log10(1 + bases), known, *strands])


def _length_features(table: SequenceTable, combination: str) -> np.ndarray:
    """Length, N, and N at either end of each side, combined."""
    sides = [_lengths(side) for side in (table.sequences, table.sequences_b or [])]
    return np.asarray(combine_sides(combination, *sides))


def _lengths(sequences: list[str]) -> np.ndarray:
    """(n, 4) float64: bases, N among them, N before the first base and after the last."""
    return np.array(
        [(len(s), s.count("N"), len(s) - len(s.lstrip("N")), len(s) - len(s.rstrip("N"))) for s in sequences],
        dtype=np.float64,
    ).reshape(len(sequences), 4)


_FEATURES: Mapping[str, Callable[[SequenceTable, str], np.ndarray]] = {
    "distance": _distance_features,
    "length": _length_features,
}


class PairTrees:
    """Boosted trees (numbers: or ridge; labels: logistic) on what pairs are beside their bases.

    Args:
        by: ``distance`` (and strand), or ``length`` (and N) of both sides.
        combination: how both sides' lengths become one row.

    Raises:
        ModelError: ``by`` is neither.
    """

    varies: tuple[str, ...] = ()
    thread_invariant = True

    def __init__(self, by: str, combination: str = "concat", max_rounds: int = 100) -> None:
        if by not in _FEATURES:
            raise ModelError(f"PairTrees: by must be {' or '.join(_FEATURES)}, not {by!r}")
        self.by, self._combination, self._max_rounds = by, combination, max_rounds
        self._fitted: BoostedTrees | TrivialRegression | TrivialLabels | None = None
        self._settings: dict[str, Any] = {}

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> PairTrees:
        """Fit on ``train``, as many rounds as ``validation`` likes best."""
        features, held_out = self._features(train), self._features(validation)
        if train.labels.dtype.kind == "f":
            self._fitted = TrivialRegression(features, train.labels, held_out, validation.labels, self._max_rounds)
        elif train.labels.ndim > 1:
            self._fitted = TrivialLabels(features, train.labels, held_out, validation.labels)
        else:
            trees = BoostedTrees(features, train.labels, n_classes, self._max_rounds)
            trees.choose_rounds(held_out, validation.labels)
            self._fitted, self._settings = trees, {"rounds": trees.rounds, "max_rounds": self._max_rounds}
            return self
        self._settings = dict(self._fitted.settings)
        return self

    def _features(self, table: SequenceTable) -> np.ndarray:
        return _FEATURES[self.by](table, self._combination)

    def predict_scores(self, table: SequenceTable) -> np.ndarray:
        """(n, C) class probabilities, or (n, K) numbers, or probabilities of labels."""
        assert self._fitted is not None
        return self._fitted.predict_scores(self._features(table))

    @property
    def settings(self) -> dict[str, Any]:
        """What was read and chosen."""
        return {"by": self.by, **self._settings}


class SideKmers(KmerFeatures):
    """k-mers of one side of each pair, the other unread.

    Args:
        side: ``a`` or ``b``.
    """

    def __init__(self, side: str) -> None:
        super().__init__()
        self.side = side

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> SideKmers:
        """Choose what to count."""
        super().fit(train.side(self.side), validation.side(self.side), seed, n_classes)
        return self

    def transform(self, table: Any) -> Any:
        """(n, words) of the side."""
        return super().transform(table.side(self.side))

    @property
    def settings(self) -> dict[str, Any]:
        """The side, and what was chosen."""
        return {"side": self.side, **super().settings}


class ElementMeans:
    """The mean label (values, labels, or class shares) of training pairs that share a side, on either strand, drawn towards that of all.

    The means of both sides are averaged; a side that no training pair has counts as the mean of all.
    """

    varies: tuple[str, ...] = ()
    thread_invariant = True

    def __init__(self, combination: str = "concat") -> None:
        self._ordered = combination != "absdiff_product"
        self._all = np.zeros(0)
        self._means: dict[tuple[int, str], np.ndarray] = {}

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> ElementMeans:
        """Average the labels of ``train`` by element."""
        truth = np.eye(n_classes)[train.labels] if train.labels.ndim == 1 else np.asarray(train.labels, np.float64)
        if train.labels.dtype.kind == "i" and train.labels.ndim > 1:
            truth = np.where(truth < 0, np.nan, truth)  # labels that are not known
        self._all = np.nan_to_num(np.nanmean(truth, axis=0)) if len(truth) else np.zeros(n_classes)
        sums: dict[tuple[int, str], np.ndarray] = {}
        counts: dict[tuple[int, str], np.ndarray] = {}
        for row, elements in enumerate(self._elements(train)):
            known = np.isfinite(truth[row])
            for element in set(elements):
                sums[element] = sums.get(element, 0.0) + np.where(known, truth[row], 0.0)
                counts[element] = counts.get(element, 0.0) + known
        self._means = {e: (sums[e] + PRIOR_ROWS * self._all) / (counts[e] + PRIOR_ROWS) for e in sums}
        return self

    def _elements(self, table: SequenceTable) -> list[tuple[tuple[int, str], tuple[int, str]]]:
        """Both sides of each row: which side (0 where the order means nothing), and the sequence, whichever strand it is given on."""
        strands: dict[str, str] = {}
        for sequence in {*table.sequences, *(table.sequences_b or ())}:
            strands[sequence] = min(sequence, reverse_complement(sequence))
        second = 1 if self._ordered else 0
        pairs = zip(table.sequences, table.sequences_b or (), strict=True)
        return [((0, strands[a]), (second, strands[b])) for a, b in pairs]

    def predict_scores(self, table: SequenceTable) -> np.ndarray:
        """(n, K) means over both sides."""
        found = [[self._means.get(side, self._all) for side in sides] for sides in self._elements(table)]
        means: np.ndarray = np.asarray(found, dtype=np.float64).reshape(len(table), 2, len(self._all)).mean(axis=1)
        return means

    @property
    def settings(self) -> dict[str, Any]:
        """How many elements train has."""
        return {"elements": len(self._means), "prior_rows": PRIOR_ROWS, "ordered": self._ordered}
