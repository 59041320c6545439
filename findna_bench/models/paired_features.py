"""Features of pairs, made by a feature map that reads one sequence per row: of each side, then combined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from findna_bench.models.combinations import combine_sides

if TYPE_CHECKING:
    from findna_bench.data.table import SequenceTable
    from findna_bench.models.estimators import Features

__all__ = ["PairedFeatures"]


class PairedFeatures:
    """A feature map of sequences for rows that are pairs: fitted on the sides of all pairs below one another, each with the label of its pair.

    Args:
        features: reads one sequence per row.
        combination: how both vectors become one.
    """

    def __init__(self, features: Features, combination: str) -> None:
        self._features, self._combination = features, combination

    @property
    def varies(self) -> tuple[str, ...]:
        """As the feature map has it."""
        return tuple(self._features.varies)

    @property
    def settings(self) -> Mapping[str, Any]:
        """As the feature map has them."""
        return self._features.settings

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> PairedFeatures:
        """Show it the sides as rows."""
        self._features.fit(_sides(train), _sides(validation), seed, n_classes)
        return self

    def transform(self, table: SequenceTable) -> Any:
        """(n, width) of pairs; each different sequence is shown once, in alphabetical order."""
        sides = _sides(table)
        _, first, place = np.unique(np.array(sides.sequences, dtype=object), return_index=True, return_inverse=True)
        features = self._features.transform(sides.take(first))
        n, place = len(table), place.reshape(-1)
        return combine_sides(self._combination, features[place[:n]], features[place[n:]])


def _sides(table: SequenceTable) -> SequenceTable:
    both = type(table).concatenate([table.side("a"), table.side("b")])
    return replace(both, ids=np.array([f"{row}/{side}" for side in "ab" for row in table.ids.tolist()], dtype=str))
