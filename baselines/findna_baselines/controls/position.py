"""Bases at fixed places: the control that says what the ends of rows, and words that always stand at one place, are worth.

One-hot A, C, G, T, N of the first and last bases, or of all places where rows have one length, for a linear probe. A row cut where a
motif begins, a primer left on in one class or a run of N at one end is learned by it; a motif that may stand anywhere is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from findna_baselines.controls.choices import sample_of, validation_loss
from findna_bench.api import (
    SequenceTable,
    position_features,
)

__all__ = ["PositionFeatures"]

_LONGEST = 1000
"""Rows of one length that are longer are read by their ends alone."""


class PositionFeatures:
    """One-hot bases at both ends, or of whole rows, whichever has the lowest validation loss of a linear probe.

    Choosing looks at no more than ``max_choice_rows`` rows of train and as many of validation, always the same ones.

    Args:
        ends: numbers of bases from each end that are tried.
        max_choice_rows: rows that are looked at to choose.
    """

    varies: tuple[str, ...] = ()

    def __init__(self, ends: Sequence[int] = (6, 20, 50), max_choice_rows: int = 10_000) -> None:
        self._sizes = tuple(ends)
        self._max_choice_rows = max_choice_rows
        self._ends = self._sizes[0]
        self._whole: int | None = None
        self._trials: list[dict[str, Any]] = []

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> PositionFeatures:
        """Choose which places to read."""
        lengths = {len(sequence) for sequence in train.sequences}
        (only,) = lengths if len(lengths) == 1 else (None,)
        train, validation = (sample_of(table, self._max_choice_rows) for table in (train, validation))
        layouts: list[tuple[int, int | None]] = [(ends, None) for ends in self._sizes]
        if only is not None and only <= _LONGEST:
            layouts.append((self._sizes[0], only))
        self._trials = []
        losses = {layout: self._loss(layout, train, validation, n_classes) for layout in layouts}
        self._ends, self._whole = min(losses, key=lambda tried: losses[tried])
        return self

    def transform(self, table: SequenceTable | Sequence[str]) -> Any:
        """(n, 5 p) CSR float32 for p places."""
        sequences = table.sequences if isinstance(table, SequenceTable) else list(table)
        return position_features(sequences, self._ends, whole=self._whole)

    @property
    def settings(self) -> dict[str, Any]:
        """What was chosen, and the validation loss of everything tried."""
        return {**_words(self._ends, self._whole), "max_choice_rows": self._max_choice_rows, "trials": self._trials}

    def _loss(
        self, layout: tuple[int, int | None], train: SequenceTable, validation: SequenceTable, n_classes: int
    ) -> float:
        ends, whole = layout
        features = position_features(train.sequences + validation.sequences, ends, whole=whole)
        labels = np.concatenate([train.labels, validation.labels])
        loss = validation_loss(features, labels, len(train), n_classes)
        self._trials.append({**_words(ends, whole), "loss": loss})
        return loss


def _words(ends: int, whole: int | None) -> dict[str, Any]:
    return {"whole": whole} if whole is not None else {"ends": ends}
