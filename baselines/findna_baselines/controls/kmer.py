"""k-mer counts: the control that says what composition alone is worth.

A word that holds an N is not counted; a sequence shorter than k has no words and all counts zero. ``canonical`` counts a word
and its reverse complement as one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from findna_baselines.controls.choices import sample_of, validation_loss
from findna_bench.api import (
    SequenceTable,
    combine_sides,
    encode_bases,
)

__all__ = ["KmerFeatures", "Spectrum", "canonical_index", "kmer_indices"]

_BLOCK_CELLS = 8_000_000


@dataclass(frozen=True)
class Spectrum:
    """Which words are counted, and how: ``frequencies`` divides by the number of words of the row."""

    k: int
    canonical: bool
    frequencies: bool

    @property
    def width(self) -> int:
        """Number of features."""
        return int(canonical_index(self.k).max()) + 1 if self.canonical else 4**self.k

    def transform(self, sequences: Sequence[str]) -> Any:
        """(n, width) float32: dense up to 256 words, CSR beyond."""
        from scipy import sparse

        blocks = [np.zeros((0, self.width), dtype=np.float32)]
        blocks.extend(self._block(sequences[first:last]) for first, last in self._bounds(len(sequences)))
        if self.width <= 256:
            return np.concatenate(blocks)
        return sparse.vstack([sparse.csr_matrix(block) for block in blocks], format="csr")

    def _bounds(self, n: int) -> Iterator[tuple[int, int]]:
        step = min(8192, max(1, _BLOCK_CELLS // self.width))
        return ((first, min(first + step, n)) for first in range(0, n, step))

    def _block(self, sequences: Sequence[str]) -> np.ndarray:
        rows, words = kmer_indices(sequences, self.k)
        if self.canonical:
            words = canonical_index(self.k)[words]
        counts = np.bincount(rows * self.width + words, minlength=len(sequences) * self.width)
        table: np.ndarray = counts.reshape(len(sequences), self.width).astype(np.float32)
        if self.frequencies:
            table /= np.maximum(table.sum(axis=1, keepdims=True), np.float32(1.0))
        return table

    def as_settings(self) -> dict[str, Any]:
        """JSON-able."""
        return {"k": self.k, "canonical": self.canonical, "frequencies": self.frequencies}


def kmer_indices(sequences: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
    """All words of length k without N: (sequence number, word number), the first base being the highest digit of four."""
    codes, offsets = encode_bases(list(sequences))
    n = len(codes) - k + 1
    if n <= 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    words = np.zeros(n, dtype=np.int64)
    known = np.ones(n, dtype=bool)
    for shift in range(k):
        part = codes[shift : shift + n]
        words *= 4
        words += part
        known &= part < 4
    owner = np.repeat(np.arange(len(sequences)), np.diff(offsets))
    known &= owner[:n] == owner[k - 1 :]  # words do not reach into the next sequence
    return owner[:n][known], words[known]


def canonical_index(k: int) -> np.ndarray:
    """(4**k,) number of each word among the classes {word, reverse complement}, counted in the order of their first words."""
    words = np.arange(4**k)
    digits = (words[:, None] >> (2 * np.arange(k))) & 3  # last base first: already reversed
    partner = ((3 - digits) << (2 * np.arange(k - 1, -1, -1))).sum(axis=1)
    return np.unique(np.minimum(words, partner), return_inverse=True)[1]


class KmerFeatures:
    """k-mer counts whose k, strandedness and normalisation are those of the lowest validation loss of a linear probe.

    First k and strandedness by frequencies, k growing beyond five only while that helps, then counts against frequencies.
    Choosing looks at no more than ``max_choice_rows`` rows of train and as many of validation, always the same ones. Of pairs, the words of both
    sides are counted and combined.
    """

    varies: tuple[str, ...] = ()

    def __init__(
        self, k: Sequence[int] = (1, 2, 3, 4, 5, 6), max_choice_rows: int = 10_000, combination: str | None = None
    ) -> None:
        self._sizes = tuple(k)
        self._combination = combination
        self._max_choice_rows = max_choice_rows
        self._chosen = Spectrum(self._sizes[0], canonical=False, frequencies=True)
        self._trials: list[dict[str, Any]] = []

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> KmerFeatures:
        """Choose what to count."""
        train, validation = (sample_of(table, self._max_choice_rows) for table in (train, validation))
        self._trials = []
        losses: dict[Spectrum, float] = {}
        for k in self._sizes:
            if losses and 4**k > 4 * len(train):
                break  # far more words than rows: nothing is learned of most of them
            for canonical in (False, True):
                candidate = Spectrum(k, canonical, True)
                losses[candidate] = self._loss(candidate, train, validation, n_classes)
            if k >= 5 and k - min(losses, key=lambda tried: losses[tried]).k >= 2:
                break  # the last two lengths were no better (a signal may begin at words of four, so five are always tried)
        best = min(losses, key=lambda tried: losses[tried])
        counts = Spectrum(best.k, best.canonical, False)
        self._chosen = counts if self._loss(counts, train, validation, n_classes) < losses[best] else best
        return self

    def transform(self, table: SequenceTable | Sequence[str]) -> Any:
        """(n, words) float32, dense or CSR."""
        if isinstance(table, SequenceTable):
            return self._features(self._chosen, table)
        return self._chosen.transform(table)

    def _features(self, spectrum: Spectrum, table: SequenceTable) -> Any:
        """Of rows, of pairs those of both sides combined."""
        counted = spectrum.transform(table.sequences)
        if table.sequences_b is None or self._combination is None:
            return counted
        return combine_sides(self._combination, counted, spectrum.transform(table.sequences_b))

    @property
    def settings(self) -> dict[str, Any]:
        """What was chosen, and the validation loss of everything tried."""
        return {**self._chosen.as_settings(), "max_choice_rows": self._max_choice_rows, "trials": self._trials}

    def _loss(self, spectrum: Spectrum, train: SequenceTable, validation: SequenceTable, n_classes: int) -> float:
        both = SequenceTable.concatenate([train, validation])
        loss = validation_loss(self._features(spectrum, both), both.labels, len(train), n_classes)
        self._trials.append({**spectrum.as_settings(), "loss": loss})
        return loss
