"""What the fits of several seeds share, whatever is fitted: each seed's rows, few-shot draws, probabilities from logits.

NumPy only, so that a run of controls needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from findna_bench.errors import UnsupportedError

__all__ = ["SeedSplit", "few_shot_rows", "few_shot_split", "softmax", "with_reverse_strand"]

_FOLDS = 5
"""Parts of the shots that are held out in turn; fewer where a class has fewer shots."""
_FOLDING = 1
"""Stream of random numbers for the folds, apart from that for the draw."""


@dataclass(frozen=True)
class SeedSplit:
    """Rows a seed trains and validates on: int64 indices into the same features.

    folds: pairs (train rows, held-out rows), both of them parts of ``train``, for a fit that has no other labelled rows to choose
    settings on. Empty: nothing can be held out, so settings are fixed. None: settings are chosen on ``validation``.
    """

    seed: int
    train: np.ndarray
    validation: np.ndarray
    folds: tuple[tuple[np.ndarray, np.ndarray], ...] | None = None

    @property
    def key(self) -> bytes:
        """Equal for splits of the same rows, whatever their seeds."""
        held = [rows.tobytes() for _, rows in self.folds or ()]
        return b"|".join([self.train.tobytes(), self.validation.tobytes(), *held])

    @property
    def parts(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """(train rows, rows to choose on), several times where the choice is by cross-validation."""
        return ((self.train, self.validation),) if self.folds is None else self.folds

    def held_out(self) -> SeedSplit:
        """For fits that want one validation set: the first fold is held out, the others are trained on."""
        if not self.folds:
            return self
        return SeedSplit(self.seed, *self.folds[0])


def few_shot_rows(labels: np.ndarray, shots: int, seed: int, names: Sequence[str] = ()) -> np.ndarray:
    """``shots`` rows of every class present, drawn anew for each seed; sorted row numbers. names: of the classes, for the error.

    Raises:
        UnsupportedError: a class has fewer rows.
    """
    generator = np.random.default_rng([seed, shots])
    chosen = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) < shots:
            of = f"class {names[label] if names else label}" if not names or label < len(names) else "no label"
            raise UnsupportedError(
                f"{shots} shots asked for, but {len(rows)} training rows are of {of}: ask for {len(rows)} or fewer"
            )
        chosen.append(generator.choice(rows, size=shots, replace=False))
    return np.sort(np.concatenate(chosen))


def few_shot_split(
    labels: np.ndarray,
    train: np.ndarray,
    groups: np.ndarray,
    shots: int,
    seed: int,
    *,
    choose: bool = True,
    names: Sequence[str] = (),
) -> SeedSplit:
    """``shots`` of the rows ``train`` per class, and nothing else that is labelled: settings are chosen by their folds.

    labels, groups: of all rows, groups holding rows that belong together. names: of the classes, for the error. choose: False where nothing is chosen, so that
    nothing need be held out. Rows of a group are in one fold, unless a class would then be missing from what is trained on.

    Raises:
        UnsupportedError: a class has fewer rows.
    """
    rows = train[few_shot_rows(labels[train], shots, seed, names)]
    folds = _stratified_folds(labels[rows], groups[rows], min(_FOLDS, shots), [seed, shots, _FOLDING]) if choose else []
    nothing = np.zeros(0, dtype=rows.dtype)
    return SeedSplit(seed, rows, nothing, tuple((rows[~held], rows[held]) for held in folds))


def _stratified_folds(labels: np.ndarray, groups: np.ndarray, n: int, seed: list[int]) -> list[np.ndarray]:
    """n masks of held-out rows, each class dealt out evenly; none for n < 2."""
    if n < 2:
        return []
    generator = np.random.default_rng(seed)
    fold = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        fold[members] = np.arange(len(members)) % n
    _, first, member_of = np.unique(groups, return_index=True, return_inverse=True)
    together = fold[first][member_of]
    grouped = [together == number for number in range(n)]
    classes = len(np.unique(labels))
    if all(held.any() and len(np.unique(labels[~held])) == classes for held in grouped):
        return grouped
    return [fold == number for number in range(n)]


def with_reverse_strand(
    forward: Any, reverse: Any, labels: np.ndarray, splits: Sequence[SeedSplit]
) -> tuple[Any, np.ndarray, list[SeedSplit]]:
    """Train on both strands (``--strand rc-augment``), validate on the forward one, as the test split is scored.

    forward, reverse: features of the same rows, reverse those of the reverse complements. Returns features (2n, D), labels
    (2n,) and splits whose training rows come twice.
    """
    n = len(labels)
    if hasattr(forward, "tocsr"):
        from scipy.sparse import vstack

        features = vstack([forward, reverse], format="csr")
    elif hasattr(forward, "joined"):  # on disk
        features = forward.joined(reverse)
    else:
        features = np.concatenate([forward, reverse])

    def both(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows, rows + n])

    doubled = [
        replace(
            split,
            train=both(split.train),
            folds=None if split.folds is None else tuple((both(rows), held) for rows, held in split.folds),
        )
        for split in splits
    ]
    return features, np.concatenate([labels, labels]), doubled


def softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis, in float64."""
    logits = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: np.ndarray = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities
