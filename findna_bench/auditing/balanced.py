"""Rules that are scored with every class counting alike, so that one for a rare class, label or state is seen.

Where one row in fifty has a label, no rule gains five points of accuracy over "no row has it". Rules here are fitted with classes
weighted alike and scored by the mean of the recalls; what they gain over chance has a standard error over rows (or over the
sequences that bases stand in), and of the many labels that one table is asked about Holm's correction decides which are shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import special

from findna_bench.sequences.positions import one_hot_places

__all__ = [
    "Gain",
    "balanced_left_out",
    "balanced_lookup",
    "balanced_places",
    "balanced_trees",
    "gain_of",
    "significant",
    "stricter",
]

Key = TypeVar("Key")
_TREES = 50
_TRAIN_ROWS = 20_000
"""Rules are fitted on a seeded sample of this many rows, those of the rarer classes first."""


@dataclass(frozen=True)
class Gain:
    """Mean recall of two sides (a class and all others) above one half, or above that of another rule; and its standard error."""

    value: float
    error: float
    score: float
    """The mean recall itself."""

    @property
    def tail(self) -> float:
        """Chance of such a gain where there is none."""
        return float(special.ndtr(-self.value / self.error)) if self.error > 0 else 0.5

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, of the gain."""
        reach = 1.96 * self.error
        return self.value - reach, self.value + reach


def gain_of(
    has: np.ndarray, found: np.ndarray, other: np.ndarray | None = None, clusters: np.ndarray | None = None
) -> Gain:
    """What a rule gains on one class.

    Args:
        has: (n,) bool, rows of the class.
        found: (n,) bool, rows that the rule gives it.
        other: (n,) bool, of a rule that it is compared with; None = chance.
        clusters: (n,) numbers of what rows stand in, where they are not independent.
    """
    if not has.any() or has.all():
        return Gain(0.0, 0.0, 0.5)
    variance_floor, value, score = 0.0, 0.0, 0.0
    influence = np.zeros(len(has))
    for side in (has, ~has):
        right = (found == has)[side].astype(np.float64)
        base = 0.5 if other is None else (other == has)[side].astype(np.float64)
        difference = right - base
        n = int(side.sum())
        k = n if clusters is None else len(np.unique(clusters[side]))
        smoothed = (right.mean() * k + 1) / (k + 2)  # never certain because all of a few are right
        variance_floor += smoothed * (1 - smoothed) / k / 4
        value += difference.mean() / 2
        score += right.mean() / 2
        influence[side] = (difference - difference.mean()) / n / 2
    sums = influence if clusters is None else np.bincount(np.unique(clusters, return_inverse=True)[1], influence)
    variance = float(sums @ sums) * len(sums) / max(len(sums) - 1, 1)
    return Gain(float(value), math.sqrt(max(variance, variance_floor)), float(score))


def significant(gains: Mapping[Key, Gain], errors: float, looks: int = 1) -> list[Key]:
    """Those that are, by Holm's correction over all of them, above chance at the level of ``errors`` standard errors; looks: tables of such
    gains of the same rows."""
    level, found = float(special.ndtr(-errors)) / looks, []
    ordered = sorted(gains, key=lambda key: gains[key].tail)
    for rank, key in enumerate(ordered):
        if gains[key].tail > level / (len(ordered) - rank):
            break
        found.append(key)
    return found


def stricter(errors: float, looks: int) -> float:
    """Standard errors that one of several looks needs, so that all together accuse as rarely as one (Bonferroni)."""
    return errors if looks <= 1 else float(-special.ndtri(special.ndtr(-errors) / looks))


def _sample(labels: np.ndarray) -> np.ndarray:
    """Rows to fit on, the same number of each class as far as there are."""
    if len(labels) <= _TRAIN_ROWS:
        return np.arange(len(labels))
    rng = np.random.default_rng(0)
    classes = np.unique(labels)
    rows, left = [], _TRAIN_ROWS
    for rank, label in enumerate(sorted(classes.tolist(), key=lambda one: int((labels == one).sum()))):
        mine = np.flatnonzero(labels == label)
        share = left // (len(classes) - rank)
        rows.append(mine if len(mine) <= share else rng.choice(mine, share, replace=False))
        left -= len(rows[-1])
    return np.sort(np.concatenate(rows))


def balanced_trees(train_features: np.ndarray, train: np.ndarray, test_features: np.ndarray) -> np.ndarray:
    """(m,) labels by boosted trees on (n, f) features, classes weighted alike; the rarest class where there is nothing to learn."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    rows = _sample(train)
    features, labels = train_features[rows], train[rows]
    if len(np.unique(labels)) < 2 or (features == features[0]).all():
        return np.full(len(test_features), labels[0])
    model = HistGradientBoostingClassifier(
        max_iter=_TREES, early_stopping=False, random_state=0, class_weight="balanced", min_samples_leaf=5
    )
    with threadpool_limits(1, user_api="openmp"):
        found: np.ndarray = model.fit(features, labels).predict(test_features).astype(np.int64)
    return found


def balanced_places(train_codes: np.ndarray, train: np.ndarray, test_codes: np.ndarray) -> np.ndarray:
    """(m,) labels by logistic regression on one-hot places of codes (n, p), classes weighted alike."""
    from sklearn.linear_model import LogisticRegression

    rows = _sample(train)
    labels = train[rows]
    if len(np.unique(labels)) < 2:
        return np.full(len(test_codes), labels[0])
    model = LogisticRegression(C=0.1, max_iter=200, tol=1e-3, class_weight="balanced")
    found: np.ndarray = model.fit(one_hot_places(train_codes[rows]), labels).predict(one_hot_places(test_codes))
    return found.astype(np.int64)


def balanced_lookup(train_keys: np.ndarray, train: np.ndarray, test_keys: np.ndarray, n_classes: int) -> np.ndarray:
    """(m,) the class that is most above its share of train among train rows of the same key; of an unknown key the majority class.

    Args:
        train_keys, test_keys: (n,), (m,) numbers or texts.
        train: (n,) labels.
        n_classes: of them.
    """
    known, where = np.unique(train_keys, return_inverse=True)
    counts = np.bincount(where * n_classes + train, minlength=len(known) * n_classes).reshape(-1, n_classes)
    overall = counts.sum(axis=0) / max(len(train), 1)
    # A row more, shared out as train is, keeps keys of a single row near what all rows are.
    lift = (counts + overall) / np.maximum(overall, 1e-12) / (counts.sum(axis=1, keepdims=True) + 1)
    lift[:, overall == 0] = 0
    best = lift.argmax(axis=1)
    place = np.minimum(np.searchsorted(known, test_keys), len(known) - 1)
    found: np.ndarray = np.where(known[place] == test_keys, best[place], int(overall.argmax()))
    return found


def balanced_left_out(keys: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """(n,) the class that is most above its share among the other rows of the same key; of a key of one row the majority class.

    Args:
        keys: (n,) numbers or texts.
        labels: (n,).
        n_classes: of them.
    """
    known, where = np.unique(keys, return_inverse=True)
    counts = np.bincount(where * n_classes + labels, minlength=len(known) * n_classes).reshape(-1, n_classes)
    overall = np.bincount(labels, minlength=n_classes)
    own = np.eye(n_classes, dtype=np.int64)[labels]
    others, shares = counts[where] - own, (overall - own) / max(len(labels) - 1, 1)
    lift = (others + shares) / np.maximum(shares, 1e-12)
    lift[shares <= 0] = 0
    alone = others.sum(axis=1) == 0
    found: np.ndarray = np.where(alone, int(overall.argmax()), lift.argmax(axis=1))
    return found
