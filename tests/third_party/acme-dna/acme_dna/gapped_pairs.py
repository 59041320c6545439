"""A model of kind ``features``: numbers for every row, which any protocol for frozen features then reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import findna_bench.api as fb


class GappedPairs:
    """Frequencies of the 16 pairs of bases ``gap`` bases apart; the gap is the one whose probe has the lowest validation loss."""

    varies: tuple[str, ...] = ()
    """A seed changes nothing here: what is chosen follows from the rows."""

    def __init__(self, gaps: Sequence[int] = (0, 1, 2)) -> None:
        self._gaps = tuple(gaps)
        self._chosen = self._gaps[0]
        self._losses: dict[int, float] = {}

    def fit(self, train: fb.SequenceTable, validation: fb.SequenceTable, seed: int, n_classes: int) -> GappedPairs:
        labels = np.concatenate([train.labels, validation.labels])
        rows = np.arange(len(labels))
        split = fb.SeedSplit(seed, rows[: len(train)], rows[len(train) :])
        for gap in self._gaps:
            features = pair_frequencies([*train.sequences, *validation.sequences], gap)
            (head,) = fb.fit_probe(features, labels, [split], n_classes)
            self._losses[gap] = float(head.validation["loss"])
        self._chosen = min(self._losses, key=lambda gap: self._losses[gap])
        return self

    def transform(self, table: fb.SequenceTable) -> NDArray[np.float32]:
        """(n, 16) float32."""
        return pair_frequencies(table.sequences, self._chosen)

    @property
    def settings(self) -> dict[str, object]:
        """What was chosen, and the validation loss of everything tried; stored with the result."""
        return {"gap": self._chosen, "losses": {str(gap): loss for gap, loss in self._losses.items()}}


def pair_frequencies(sequences: Sequence[str], gap: int) -> NDArray[np.float32]:
    """(n, 16) shares of the pairs (base, base ``gap`` + 1 further on); pairs with an N count nowhere."""
    found = np.zeros((len(sequences), 16), dtype=np.float32)
    for row, codes in enumerate(fb.encode_padded([sequence]) for sequence in sequences):
        letters = codes[0].astype(np.int64)
        first, second = letters[: -gap - 1], letters[gap + 1 :]
        known = (first < 4) & (second < 4)
        counts = np.bincount(4 * first[known] + second[known], minlength=16)
        found[row] = counts / max(int(counts.sum()), 1)
    return found


if TYPE_CHECKING:  # mypy holds the class to its contract
    _contract: type[fb.Features] = GappedPairs
