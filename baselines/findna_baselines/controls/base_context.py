"""Controls of states per base: what the bases around a base, or its place in the window, say."""

from __future__ import annotations

from typing import Any

import numpy as np

from findna_bench.api import NO_STATE, SequenceTable, encode_bases, state_shares

__all__ = ["BaseContext", "BasePosition"]

_LETTERS = 6
"""A, C, G, T, N, and what lies beyond an end."""
_PRIOR = 1.0
"""Bases that are added to each context, spread as the states are."""


class _Shares:
    """Shares of states among train bases by some code of a base, drawn a little towards those of all bases.

    Args:
        n_codes: different codes, a base having one of 0 .. n_codes - 1.
        overall: (C,) shares of all bases.
    """

    def __init__(self, n_codes: int, overall: np.ndarray) -> None:
        self._counts = np.zeros((n_codes, len(overall)))
        self._overall = overall

    def add(self, codes: np.ndarray, states: np.ndarray) -> None:
        """Count bases (m,) by code and state."""
        n_states = len(self._overall)
        both = codes.astype(np.int64) * n_states + states
        self._counts += np.bincount(both, minlength=self._counts.size).reshape(self._counts.shape)

    def of(self, codes: np.ndarray) -> np.ndarray:
        """(m, C)."""
        total = self._counts + _PRIOR * self._overall
        shares: np.ndarray = (total / total.sum(axis=1, keepdims=True))[codes]
        return shares


def _loss(shares: np.ndarray, states: np.ndarray) -> float:
    """Sum of -log p of the states (m,)."""
    return float(-np.log(np.maximum(shares[np.arange(len(states)), states], 1e-7)).sum())


def context_codes(codes: np.ndarray, flank: int) -> np.ndarray:
    """(L,) number of the 2 x flank + 1 letters around each base of a sequence, whose codes are (L,)."""
    padded = np.pad(codes.astype(np.int64), flank, constant_values=_LETTERS - 1)
    number = np.zeros(len(codes), dtype=np.int64)
    for step in range(2 * flank + 1):
        number = number * _LETTERS + padded[step : step + len(codes)]
    return number


class BaseContext:
    """Predicts a base by the base itself, or with its neighbours (trinucleotide, or more), as validation prefers.

    Args:
        flanks: neighbours on either side that are tried.
    """

    varies: tuple[str, ...] = ()
    thread_invariant = True

    def __init__(self, flanks: tuple[int, ...] = (0, 1)) -> None:
        self._flanks = tuple(flanks)
        self._settings: dict[str, Any] = {}

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> BaseContext:
        """Count states by context on ``train``, choose the context on ``validation``."""
        overall = state_shares(train.labels, n_classes)
        tables, losses = {}, {}
        for flank in self._flanks:
            tables[flank] = _Shares(_LETTERS ** (2 * flank + 1), overall)
            for codes, states in _rows(train):
                known = states != NO_STATE
                tables[flank].add(context_codes(codes, flank)[known], states[known])
            held = [(context_codes(codes, flank), states) for codes, states in _rows(validation)]
            total = sum(_loss(tables[flank].of(c[s != NO_STATE]), s[s != NO_STATE]) for c, s in held)
            losses[flank] = total / max(1, sum(int((s != NO_STATE).sum()) for _, s in held))
        self._flank = min(losses, key=lambda flank: (losses[flank], flank))
        self._table, self._n_states = tables[self._flank], n_classes
        self._settings = {
            "bases": 2 * self._flank + 1,
            "validation": {str(2 * flank + 1): {"loss": loss} for flank, loss in losses.items()},
        }
        return self

    def predict_scores(self, table: SequenceTable) -> np.ndarray:
        """(n, W, C) probabilities."""
        found = np.zeros((*table.labels.shape, self._n_states), dtype=np.float16)
        for row, (codes, _) in enumerate(_rows(table)):
            found[row, : len(codes)] = self._table.of(context_codes(codes, self._flank))
        return found

    @property
    def settings(self) -> dict[str, Any]:
        """How many bases it looks at."""
        return dict(self._settings)


class BasePosition:
    """Predicts a base by its place in the window: counted from the start, in as many bins as validation prefers.

    Args:
        bins: of a window, tried in turn; one bin for every place of the longest train sequence is tried too.
    """

    varies: tuple[str, ...] = ()
    thread_invariant = True

    def __init__(self, bins: tuple[int, ...] = (1, 4, 16, 64)) -> None:
        self._bins = tuple(bins)
        self._settings: dict[str, Any] = {}

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> BasePosition:
        """Count states by place on ``train``, choose the bins on ``validation``."""
        overall = state_shares(train.labels, n_classes)
        self._width = max(map(len, train.sequences))
        tables, losses = {}, {}
        for bins in dict.fromkeys((*(b for b in self._bins if b < self._width), self._width)):
            tables[bins] = _Shares(bins, overall)
            for states in train.labels:
                known = np.flatnonzero(states != NO_STATE)
                tables[bins].add(self._bin(known, bins), states[known])
            held = [(np.flatnonzero(states != NO_STATE), states) for states in validation.labels]
            total = sum(_loss(tables[bins].of(self._bin(known, bins)), states[known]) for known, states in held)
            losses[bins] = total / max(1, sum(len(known) for known, _ in held))
        self._chosen = min(losses, key=lambda bins: (losses[bins], bins))
        self._table, self._n_states = tables[self._chosen], n_classes
        self._settings = {
            "bins": self._chosen,
            "window": self._width,
            "validation": {str(bins): {"loss": loss} for bins, loss in losses.items()},
        }
        return self

    def _bin(self, places: np.ndarray, bins: int) -> np.ndarray:
        found: np.ndarray = np.minimum(places, self._width - 1) * bins // self._width
        return found

    def predict_scores(self, table: SequenceTable) -> np.ndarray:
        """(n, W, C) probabilities."""
        found = np.zeros((*table.labels.shape, self._n_states), dtype=np.float16)
        for row, sequence in enumerate(table.sequences):
            found[row, : len(sequence)] = self._table.of(self._bin(np.arange(len(sequence)), self._chosen))
        return found

    @property
    def settings(self) -> dict[str, Any]:
        """How many bins there are."""
        return dict(self._settings)


def _rows(table: SequenceTable) -> list[tuple[np.ndarray, np.ndarray]]:
    """(codes (L,), states (L,)) of each sequence."""
    if not len(table):
        return []
    codes, offsets = encode_bases(table.sequences)
    return [
        (codes[start:stop], states[: stop - start])
        for start, stop, states in zip(offsets[:-1].tolist(), offsets[1:].tolist(), table.labels, strict=True)
    ]
