"""How features that have several forms choose one: by the validation loss of a coarse linear probe."""

from __future__ import annotations

from typing import Any

import numpy as np

from findna_bench.api import LogisticProbe, SeedSplit, SequenceTable, fit_labels, fit_probe, fit_ridge

__all__ = ["sample_of", "validation_loss"]

_CHOICE = LogisticProbe(strengths=(1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-4), always=4, tolerance=1e-3, max_iterations=60)
"""Coarse, since only the order of validation losses matters."""


def sample_of(table: SequenceTable, most: int) -> SequenceTable:
    """At most so many rows, always the same ones, in their order."""
    if len(table) <= most:
        return table
    return table.take(np.sort(np.random.default_rng(0).permutation(len(table))[:most]))


def validation_loss(features: Any, labels: np.ndarray, n_train: int, n_classes: int) -> float:
    """Loss on the rows behind the first ``n_train``, of a probe that is fitted to these; labels are classes, several labels, or numbers."""
    rows = np.arange(len(labels))
    split = SeedSplit(0, rows[:n_train], rows[n_train:])
    if labels.dtype.kind == "f":
        (head,) = fit_ridge(features, labels, [split], _CHOICE)
    elif labels.ndim > 1:
        (head,) = fit_labels(features, labels, [split], _CHOICE)
    else:
        (head,) = fit_probe(features, labels, [split], n_classes, _CHOICE)
    return float(head.validation["loss"])
