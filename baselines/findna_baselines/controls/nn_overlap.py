"""What copying from the training rows is worth: the label of an overlapping or similar training row.

The neighbour of a row is the training row with which it shares most bases by coordinates, where both splits carry these, else
the nearest one by alignment on either strand (at least 90 % identity over half of the shorter row; seeds propose, a banded
alignment decides). What a neighbour's label says is learned on train alone, leaving each row itself out: rows made from
each other may as well have different labels (shuffled negatives) as equal ones. Numbers are drawn from the neighbour's towards the
mean, by the slope that train has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from findna_bench.api import SequenceIndex, SequenceTable, label_priors, largest_overlaps, rows_from_table

__all__ = ["NearestOverlap"]


class _Shrinkage:
    """What the numbers of a neighbour say: a least-squares line per output, and the mean of rows without a neighbour.

    neighbours, own: (m, K), of rows whose neighbour was ``found`` (m,).
    """

    def __init__(self, neighbours: np.ndarray, own: np.ndarray, found: np.ndarray) -> None:
        x, y = neighbours[found], own[found]
        overall = own.mean(axis=0)
        self.alone = own[~found].mean(axis=0) if (~found).any() else overall
        self.centre, self.mean = (x.mean(axis=0), y.mean(axis=0)) if len(x) else (overall, overall)
        spread = ((x - self.centre) ** 2).sum(axis=0)
        self.slope = np.ones(own.shape[1])  # with nothing else known, the neighbour's own number
        if len(x) > 2:
            products = ((x - self.centre) * (y - self.mean)).sum(axis=0)
            self.slope = np.divide(products, spread, out=np.zeros(own.shape[1]), where=spread > 0)
        self.settings = {"slope": self.slope.tolist(), "mean_alone": self.alone.tolist()}

    def predict(self, neighbours: np.ndarray, found: np.ndarray) -> np.ndarray:
        """(n, K)."""
        return np.where(found[:, None], self.mean + self.slope * (neighbours - self.centre), self.alone)


class _LabelShares:
    """What the labels of a neighbour say: of each label its share among rows whose neighbour has it, has it not, or is not known to have
    it, and among rows without a neighbour; all drawn a little towards the label's share in train.

    neighbours, own: (m, K) of 1, 0 and -1 (not known), of rows whose neighbour was ``found`` (m,). overall: (K,) shares in train.
    """

    def __init__(self, neighbours: np.ndarray, own: np.ndarray, found: np.ndarray, overall: np.ndarray) -> None:
        states = self._states(neighbours, found)
        shares = []
        for state, prior in enumerate((0.0, 1.0, None, None)):  # with nothing else known, the neighbour's own label
            with_it, known = (((states == state) & seen).sum(axis=0) for seen in (own == 1, own >= 0))
            rows = 0.5 if prior is None else 1.0
            shares.append((with_it + 0.5 * overall + (0.5 * prior if prior is not None else 0.0)) / (known + rows))
        self._shares = np.stack(shares)
        self.settings = {"shares": self._shares.tolist()}

    def predict(self, neighbours: np.ndarray, found: np.ndarray) -> np.ndarray:
        """(n, K)."""
        states = self._states(neighbours, found)
        return np.take_along_axis(self._shares, states, axis=0)

    @staticmethod
    def _states(neighbours: np.ndarray, found: np.ndarray) -> np.ndarray:
        """(n, K): 0 and 1 as the neighbour's label, 2 where it is not known, 3 without a neighbour."""
        states = np.where(neighbours < 0, 2, neighbours).astype(np.int64)
        return np.where(found[:, None], states, 3)


class NearestOverlap:
    """Scores a row by the classes that training rows with a like-labelled neighbour (or without any) have."""

    varies: tuple[str, ...] = ()
    thread_invariant = True

    def __init__(self, probe_rows: int = 4000) -> None:
        self._probe_rows = probe_rows
        self._settings: dict[str, Any] = {}

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> NearestOverlap:
        """Index ``train``, and learn on at most ``probe_rows`` of its rows, always the same ones, what a neighbour says."""
        several = train.labels.ndim > 1
        self._labels, self._n_classes = np.asarray(train.labels, dtype=None if several else np.int64), n_classes
        self._rows = rows_from_table(train)
        self._index = SequenceIndex(train.sequences)
        probe = np.sort(np.random.default_rng(0).permutation(len(train))[: self._probe_rows])
        neighbour = self._neighbours(train.take(probe), probe)
        found = neighbour >= 0
        self._settings = {
            "probe_rows": len(probe),
            "with_neighbour": float(found.mean()),
            "coordinates": bool(self._rows.located.any()),
        }
        if several:
            known = self._labels[neighbour], self._labels[probe], found
            self._rule: _Shrinkage | _LabelShares = (
                _Shrinkage(*known)
                if train.labels.dtype.kind == "f"
                else _LabelShares(*known, label_priors(self._labels))
            )
            self._settings |= self._rule.settings
            return self
        self._shares = self._learn(neighbour, self._labels[probe])
        agreeing = self._labels[neighbour[found]] == self._labels[probe][found]
        self._settings |= {
            "neighbour_agrees": float(agreeing.mean()) if found.any() else None,
            "shares": self._shares.tolist(),
        }
        return self

    def predict_scores(self, table: SequenceTable) -> np.ndarray:
        """(n, C) class probabilities, or (n, K) numbers, or probabilities of labels."""
        neighbour = self._neighbours(table, None)
        if self._labels.ndim > 1:
            return self._rule.predict(self._labels[neighbour], neighbour >= 0)
        return self._shares[self._states(neighbour)]

    @property
    def settings(self) -> dict[str, Any]:
        """How many probed training rows have a neighbour, how many of those agree, and (C + 1, C) class shares by the
        neighbour's label, the last row for rows without one."""
        return self._settings

    def _neighbours(self, table: SequenceTable, own_row: np.ndarray | None) -> np.ndarray:
        """(n,) training row, -1 where there is none; ``own_row``: the training rows that the queries are."""
        hits = self._index.nearest(table.sequences, own_row=own_row)
        similar = np.where(hits.similar, hits.target, -1)
        query = rows_from_table(table)
        if not (query.located.any() and self._rows.located.any()):
            return similar
        if own_row is None:
            overlap = largest_overlaps(query, self._rows).target
        else:
            overlap = largest_overlaps(self._rows, self._rows, same=True).target[own_row]
        return np.where(overlap >= 0, overlap, similar)

    def _states(self, neighbour: np.ndarray) -> np.ndarray:
        return np.where(neighbour >= 0, self._labels[np.maximum(neighbour, 0)], self._n_classes)

    def _learn(self, neighbour: np.ndarray, labels: np.ndarray) -> np.ndarray:
        c = self._n_classes
        counts = np.zeros((c + 1, c))
        np.add.at(counts, (self._states(neighbour), labels), 1.0)
        counts[:c] += 0.5 * np.eye(c)  # with nothing else known, the neighbour's own label
        overall = np.bincount(self._labels, minlength=c) / len(self._labels)
        counts += 0.5 * overall
        return counts / counts.sum(axis=1, keepdims=True)
