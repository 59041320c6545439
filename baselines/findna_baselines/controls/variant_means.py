"""Controls for variants: mean labels of training variants by what needs no model, such as the substitution and its neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from findna_bench.api import ModelError, SequenceTable, UnsupportedError

__all__ = ["VariantMeans"]

PRIOR_ROWS = 10.0
"""Rows of the next wider kind that every mean begins with."""
BINS = 20
_TRANSITIONS = frozenset(("AG", "GA", "CT", "TC"))

Kinds = tuple[str, ...]
"""Names of what a variant belongs to, from wide to narrow."""


def _around(table: SequenceTable, row: int) -> tuple[str, str, str, str]:
    """(base before, ref, alt, base after); N beyond the window's ends."""
    window, offset = table.sequences[row], int(table.extra["offset"][row])
    ref, alt = str(table.extra["ref"][row]), str(table.extra["alt"][row])
    before = window[offset - 1] if offset else "N"
    after = window[offset + len(ref) : offset + len(ref) + 1] or "N"
    return before, ref, alt, after


def _change(ref: str, alt: str) -> str:
    if len(ref) == len(alt) == 1:
        return f"{ref}>{alt}"
    return "insertion" if len(alt) > len(ref) else "deletion" if len(alt) < len(ref) else "several bases"


def _substitution(table: SequenceTable, row: int) -> Kinds:
    before, ref, alt, after = _around(table, row)
    return _change(ref, alt), f"{before}[{_change(ref, alt)}]{after}"


def _cpg(table: SequenceTable, row: int) -> Kinds:
    before, ref, alt, after = _around(table, row)
    old, new = f"{before}{ref}{after}".count("CG"), f"{before}{alt}{after}".count("CG")
    what = "CpG lost" if new < old else "CpG made" if new > old else "no CpG"
    change = _change(ref, alt)
    kind = ("transition" if ref + alt in _TRANSITIONS else "transversion") if ">" in change else change
    return what, f"{what}, {kind}"


def _position(table: SequenceTable, row: int) -> Kinds:
    share = int(table.extra["offset"][row]) / max(len(table.sequences[row]) - 1, 1)
    number = min(int(share * BINS), BINS - 1)
    return f"fifth {number * 5 // BINS}", f"bin {number}"


def _tss_distance(table: SequenceTable, row: int) -> Kinds:
    if "tss_distance" not in table.extra:
        raise UnsupportedError(
            "the variants have no column tss_dist, or distance_to_nearest_TSS, whose values it reads"
        )
    distance = abs(float(table.extra["tss_distance"][row]))
    if math.isnan(distance):
        return "unknown", "unknown"
    return f"decade {int(math.log10(distance + 1))}", f"octave {int(math.log2(distance + 1))}"


def _group(table: SequenceTable, row: int) -> Kinds:
    names = table.extra.get("element", table.contig)
    if names is None:
        raise UnsupportedError(
            "the variants name no group: it reads a column element, gene, consequence or group, else chromosomes"
        )
    return (str(names[row]),)


_KINDS: Mapping[str, Callable[[SequenceTable, int], Kinds]] = {
    "substitution": _substitution,
    "cpg": _cpg,
    "position": _position,
    "tss_distance": _tss_distance,
    "group": _group,
}


class VariantMeans:
    """The mean label (values, or class shares) of training variants of the same kind, drawn towards that of the next wider kind.

    ``by``: ``substitution`` (which base becomes which, then with both neighbours), ``cpg`` (whether a CpG is lost or made, then transition or
    transversion), ``position`` (where in the window, by fifths, then twentieths), ``tss_distance`` (to the transcription start site,
    by powers of ten, then of two), or ``group`` (what scores are listed by).

    Raises:
        ModelError: ``by`` is none of these.
    """

    varies: tuple[str, ...] = ()
    thread_invariant = True

    def __init__(self, by: str) -> None:
        if by not in _KINDS:
            raise ModelError(f"VariantMeans: by must be {', '.join(_KINDS)}, not {by!r}")
        self.by = by
        self._all = np.zeros(0)
        self._means: dict[Kinds, np.ndarray] = {}

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> VariantMeans:
        """Average the labels of ``train`` by kind."""
        labels = np.eye(n_classes)[train.labels] if train.labels.ndim == 1 else np.asarray(train.labels, np.float64)
        self._all = labels.mean(axis=0)
        sums: dict[Kinds, np.ndarray] = {}
        counts: dict[Kinds, int] = {}
        for row in range(len(train)):
            kinds = _KINDS[self.by](train, row)
            for depth in range(1, len(kinds) + 1):
                sums[kinds[:depth]] = sums.get(kinds[:depth], 0.0) + labels[row]
                counts[kinds[:depth]] = counts.get(kinds[:depth], 0) + 1
        self._means = {}
        for kinds in sorted(sums, key=len):
            wider = self._means.get(kinds[:-1], self._all)
            self._means[kinds] = (sums[kinds] + PRIOR_ROWS * wider) / (counts[kinds] + PRIOR_ROWS)
        return self

    def predict_scores(self, table: SequenceTable) -> np.ndarray:
        """(n, K) means of each row's kind; of the next wider one where no training variant is of it."""
        found = np.empty((len(table), len(self._all)))
        for row in range(len(table)):
            kinds = _KINDS[self.by](table, row)
            known = (self._means[kinds[:depth]] for depth in range(len(kinds), 0, -1) if kinds[:depth] in self._means)
            found[row] = next(known, self._all)
        return found

    @property
    def scores_left_out(self) -> bool:
        """Whether a protocol that fits nothing asks :meth:`predict_left_out`: no other group knows the rate of a group."""
        return self.by == "group"

    def predict_left_out(self, table: SequenceTable, n_classes: int) -> np.ndarray:
        """(n, K) of either half of every group by what the other half is labelled with, so that no row is scored by its own label.

        Halves are drawn once, whatever the labels: leaving out one row at a time would score every row of a class below the others of
        its group, since it is missing among them, and halves of equal composition would tell a row of its own label.
        """
        names = np.array([_KINDS[self.by](table, row)[0] for row in range(len(table))])
        half, generator = np.zeros(len(table), dtype=np.int64), np.random.default_rng(0)
        for name in np.unique(names):
            own = np.flatnonzero(names == name)
            half[own] = generator.permutation(len(own)) % 2
        others = [table.take(np.flatnonzero(half != side)) for side in (0, 1)]
        if not all(map(len, others)):
            raise UnsupportedError(f"{len(table)} variants are too few to score halves of groups by the others")
        first, second = (self.fit(rows, rows, 0, n_classes).predict_scores(table) for rows in others)
        scores: np.ndarray = np.where(half[:, None] == 0, first, second)
        return scores

    @property
    def settings(self) -> dict[str, Any]:
        """What is averaged by, and how many kinds there are."""
        return {"by": self.by, "kinds": len(self._means), "prior_rows": PRIOR_ROWS}
