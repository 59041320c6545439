"""Controls that look at anything but biology: fitted on train, scored on test.

Each answers one question: how far does length, composition, or a copy of the row in train take a model that has learned
nothing else? A score below the best of them is worth nothing; a score near it needs explaining.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = [
    "KMER",
    "Control",
    "boosted_trees",
    "control",
    "kmer_regression",
    "length_lookup",
    "length_regression",
    "majority",
    "majority_class",
    "neighbour_relation",
    "neighbour_rule",
]

KMER = 5
_KMER_TRAIN_ROWS = 40_000
"""The k-mer control is fitted on a seeded sample of this many train rows where there are more."""
_TREES = 100
_ROWS_FOR_THREADS = 20_000


@dataclass(frozen=True)
class Control:
    """A control's score on test. accuracy, balanced_accuracy, f1_macro: fractions; mcc in [-1, 1] (R_K for several classes);
    recall: per class name, None where the class has no test row; details: what was fitted; right: (n,) bool, test rows that it predicts
    right, of which reports hold nothing."""

    accuracy: float
    balanced_accuracy: float
    f1_macro: float
    mcc: float
    recall: dict[str, float | None]
    details: dict[str, object] = field(default_factory=dict)
    right: np.ndarray | None = field(default=None, repr=False, compare=False)


def control(labels: np.ndarray, predicted: np.ndarray, names: Sequence[str], **details: object) -> Control:
    """Score predicted labels (n,) against labels (n,)."""
    classes = len(names)
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes).astype(float)
    n, right = confusion.sum(), np.diag(confusion)
    truth, guess = confusion.sum(axis=1), confusion.sum(axis=0)
    present = truth > 0
    recall = right[present] / truth[present]
    used = truth + guess > 0
    f1 = 2 * right[used] / (truth + guess)[used]
    # R_K (Gorodkin 2004), which for two classes is Matthews' coefficient.
    covariance = right.sum() * n - truth @ guess
    spread = np.sqrt(n**2 - guess @ guess) * np.sqrt(n**2 - truth @ truth)
    return Control(
        accuracy=float(right.sum() / max(n, 1)),
        balanced_accuracy=float(recall.mean()) if len(recall) else 0.0,
        f1_macro=float(f1.mean()) if len(f1) else 0.0,
        mcc=float(covariance / spread) if spread > 0 else 0.0,
        recall={name: float(right[i] / truth[i]) if truth[i] else None for i, name in enumerate(names)},
        details=dict(details),
        right=predicted == labels,
    )


def majority_class(labels: np.ndarray, n_classes: int) -> int:
    """The most frequent label, the first of several."""
    return int(np.bincount(labels, minlength=n_classes).argmax())


def majority(train: np.ndarray, n_test: int, n_classes: int) -> np.ndarray:
    """(n_test,) the majority class of the train labels."""
    return np.full(n_test, majority_class(train, n_classes))


def length_lookup(train_lengths: np.ndarray, train: np.ndarray, test_lengths: np.ndarray, n_classes: int) -> np.ndarray:
    """(m,) majority class among train rows of exactly that length; for a length train does not have, the majority class."""
    most = majority_class(train, n_classes)
    known, where = np.unique(train_lengths, return_inverse=True)
    counts = np.bincount(where * n_classes + train, minlength=len(known) * n_classes).reshape(-1, n_classes)
    # Ties go to the majority class: half a row more for it decides nothing else.
    best = (counts + 0.5 * (np.arange(n_classes) == most)).argmax(axis=1)
    place = np.minimum(np.searchsorted(known, test_lengths), len(known) - 1)
    return np.where(known[place] == test_lengths, best[place], most)


def length_regression(train_lengths: np.ndarray, train: np.ndarray, test_lengths: np.ndarray) -> np.ndarray:
    """(m,) logistic (for several classes multinomial) regression on length, a linear model."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(train)) < 2:
        return np.full(len(test_lengths), train[0])
    centre, scale = train_lengths.mean(), train_lengths.std() or 1.0
    model = LogisticRegression(max_iter=1000).fit((train_lengths[:, None] - centre) / scale, train)
    predicted: np.ndarray = model.predict((test_lengths[:, None] - centre) / scale).astype(np.int64)
    return predicted


def boosted_trees(train_features: np.ndarray, train: np.ndarray, test_features: np.ndarray) -> np.ndarray:
    """(m,) gradient-boosted trees on (n, f) features, defaults of scikit-learn, no early stopping."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    if len(np.unique(train)) < 2 or (train_features == train_features[0]).all():
        return np.full(len(test_features), majority_class(train, int(train.max()) + 1))
    model = HistGradientBoostingClassifier(max_iter=_TREES, early_stopping=False, random_state=0)
    # On few rows threads only wait for each other, for minutes where the machine is busy.
    with threadpool_limits(1 if len(train) < _ROWS_FOR_THREADS else None, user_api="openmp"):
        predicted: np.ndarray = model.fit(train_features, train).predict(test_features).astype(np.int64)
        return predicted


def kmer_regression(train_sequences: Sequence[str], train: np.ndarray, test_sequences: Sequence[str]) -> np.ndarray:
    """(m,) logistic regression on standardised k-mer frequencies (k = 5, given strand)."""
    from sklearn.linear_model import LogisticRegression

    from findna_bench.relatedness.composition import kmer_frequencies

    if len(np.unique(train)) < 2:
        return np.full(len(test_sequences), train[0])
    rows = np.arange(len(train))
    if len(rows) > _KMER_TRAIN_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(len(train), _KMER_TRAIN_ROWS, replace=False))
    features = kmer_frequencies([train_sequences[i] for i in rows.tolist()], KMER)
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1
    features -= centre
    features /= scale
    model = LogisticRegression(C=0.001, max_iter=200, tol=1e-3).fit(features, train[rows])
    del features
    predicted = np.empty(len(test_sequences), dtype=np.int64)
    for i in range(0, len(predicted), 16384):
        part = (kmer_frequencies(test_sequences[i : i + 16384], KMER) - centre) / scale
        predicted[i : i + len(part)] = model.predict(part)
    return predicted


def neighbour_rule(
    neighbour: np.ndarray, train: np.ndarray, probe: np.ndarray, probe_neighbour: np.ndarray, n_classes: int
) -> tuple[np.ndarray, int]:
    """Label of the neighbouring train row, else the class that train rows without a neighbour mostly have.

    neighbour: (m,) train row per test row, -1 = none. probe: (p,) train rows, and probe_neighbour (p,) *another* train row
    near each, -1 = none: the fallback is chosen by leave-one-out on train and nothing else.
    Returns the predictions (m,) and the fallback class.
    """
    alone = train[probe[probe_neighbour < 0]]
    fallback = majority_class(alone if len(alone) else train, n_classes)
    return np.where(neighbour >= 0, train[np.maximum(neighbour, 0)], fallback), fallback


def neighbour_relation(
    neighbour: np.ndarray, train: np.ndarray, probe: np.ndarray, probe_neighbour: np.ndarray, n_classes: int
) -> np.ndarray:
    """(m,) the class that train rows in the same state mostly have; the state is the label of the neighbour, or "none".

    Unlike :func:`neighbour_rule` it also sees that similar rows mostly have *different* labels (negatives made from positives).
    """
    states = np.where(probe_neighbour >= 0, train[np.maximum(probe_neighbour, 0)], n_classes)
    counts = np.zeros((n_classes + 1, n_classes))
    np.add.at(counts, (states, train[probe]), 1)
    counts[np.arange(n_classes), np.arange(n_classes)] += 0.5  # an unseen state: the neighbour's own label
    counts[n_classes, majority_class(train, n_classes)] += 0.5
    predicted: np.ndarray = counts.argmax(axis=1)[np.where(neighbour >= 0, train[np.maximum(neighbour, 0)], n_classes)]
    return predicted
