"""Identical sequences: the same text, or the reverse complement of it, and whether their labels agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from findna_bench.relatedness.rows import Rows
from findna_bench.sequences.alphabet import reverse_complement

__all__ = ["Identity", "Twins", "duplicate_groups", "identities", "twins_across", "twins_within"]


@dataclass(frozen=True)
class Identity:
    """Numbers for the sequences of one split that mean the same in every split of the task.

    exact: (n,) int64, equal where the text is equal. either: (n,) equal where the text or its reverse complement is equal.
    """

    exact: np.ndarray
    either: np.ndarray


@dataclass(frozen=True)
class Twins:
    """Per row of a split, bool (n,): another row is the same text; is its reverse complement (and none is the same text);
    is either of the two and has another label."""

    exact: np.ndarray
    reverse_complement: np.ndarray
    conflicting: np.ndarray


def identities(splits: Mapping[str, Rows]) -> dict[str, Identity]:
    """Number all sequences of all splits; splits without sequences are left out."""
    exact_of: dict[str, int] = {}
    either_of: dict[str, int] = {}
    numbered = {}
    for name, rows in splits.items():
        if rows.sequences is None:
            continue
        exact = np.empty(len(rows), dtype=np.int64)
        either = np.empty(len(rows), dtype=np.int64)
        for i, sequence in enumerate(rows.sequences):
            exact[i] = exact_of.setdefault(sequence, len(exact_of))
            either[i] = either_of.setdefault(min(sequence, reverse_complement(sequence)), len(either_of))
        numbered[name] = Identity(exact, either)
    return numbered


def twins_within(identity: Identity, labels: np.ndarray) -> Twins:
    """Rows that have a twin among the other rows of their own split."""
    exact = np.bincount(identity.exact)[identity.exact] > 1
    either = np.bincount(identity.either)[identity.either] > 1
    distinct = _labels_per_sequence(identity.either, labels)
    return Twins(exact, either & ~exact, distinct[identity.either] > 1)


def twins_across(query: Identity, query_labels: np.ndarray, target: Identity, target_labels: np.ndarray) -> Twins:
    """Rows of the query split that have a twin in the target split."""
    exact = np.isin(query.exact, target.exact)
    either = np.isin(query.either, target.either)
    size = int(max(query.either.max(initial=-1), target.either.max(initial=-1))) + 1
    classes = int(max(query_labels.max(initial=-1), target_labels.max(initial=-1))) + 1
    seen = np.zeros((size, classes), dtype=bool)
    seen[target.either, target_labels] = True
    others = seen[query.either].sum(axis=1) - seen[query.either, query_labels]
    return Twins(exact, either & ~exact, others > 0)


def _labels_per_sequence(number: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(max number + 1,) how many different labels each sequence has."""
    if not len(number):
        return np.zeros(0, dtype=np.int64)
    seen = np.zeros((int(number.max()) + 1, int(labels.max()) + 1), dtype=bool)
    seen[number, labels] = True
    n_labels: np.ndarray = seen.sum(axis=1)
    return n_labels


def duplicate_groups(sequences: Sequence[str]) -> np.ndarray:
    """(n,) int64: rows of equal sequence, or of one the reverse complement of the other, share a number."""
    number: dict[str, int] = {}
    out = np.empty(len(sequences), dtype=np.int64)
    for i, sequence in enumerate(sequences):
        known = number.get(sequence)
        if known is None:
            known = len(number)
            number[sequence] = known
            number.setdefault(reverse_complement(sequence), known)
        out[i] = known
    return np.unique(out, return_inverse=True)[1].astype(np.int64)
