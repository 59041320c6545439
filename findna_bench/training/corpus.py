"""What a network is pretrained on: random windows of a genome, or the rows of a labelled data set without their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from findna_bench.sequences.alphabet import encode
from findna_bench.sequences.genome import Genome, WindowManifest

__all__ = ["Corpus", "GenomeWindows", "SequenceRows"]


class Corpus(Protocol):
    """Rows to train on; an epoch is a sequence of full batches."""

    def __len__(self) -> int:
        """Rows."""

    def epoch(self, generator: np.random.Generator, batch_size: int) -> np.ndarray:
        """(batches, batch_size) int64 row indices of one epoch; what does not fill a batch is left out."""

    def batch(self, rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(B, L) uint8 codes of the given rows, all of one length."""

    def digest(self) -> str:
        """sha256 of what decides the content."""


class GenomeWindows:
    """Windows of one length from a packed genome."""

    def __init__(self, genome: Genome, manifest: WindowManifest) -> None:
        self.genome, self.manifest = genome, manifest

    def __len__(self) -> int:
        return len(self.manifest)

    def epoch(self, generator: np.random.Generator, batch_size: int) -> np.ndarray:
        """Shuffled."""
        batches = len(self) // batch_size
        return generator.permutation(len(self))[: batches * batch_size].reshape(batches, batch_size)

    def batch(self, rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The windows as they are."""
        return self.genome.codes(self.manifest.take(rows))

    def digest(self) -> str:
        """Of the genome's files and the windows."""
        return hashlib.sha256(f"{self.genome.digest}\n{self.manifest.digest()}".encode()).hexdigest()


class SequenceRows:
    """Sequences of any length. A batch holds rows of similar length, each cut at a random place to the shortest of them and to
    ``window_length`` at most, so that no batch has padding."""

    def __init__(self, sequences: Sequence[str], window_length: int) -> None:
        self.codes, self.offsets = encode(sequences)
        self.lengths = np.diff(self.offsets)
        self.window_length = window_length

    def __len__(self) -> int:
        return len(self.lengths)

    def epoch(self, generator: np.random.Generator, batch_size: int) -> np.ndarray:
        """Rows sorted by length (ties shuffled), cut into batches, batches shuffled."""
        order = generator.permutation(len(self))
        effective = np.minimum(self.lengths, self.window_length)
        order = order[np.argsort(effective[order], kind="stable")]
        batches = len(self) // batch_size
        spare = len(self) - batches * batch_size
        # Leave out random rows, not always the longest.
        kept = np.sort(generator.permutation(len(self))[spare:])
        return order[kept].reshape(batches, batch_size)[generator.permutation(batches)]

    def batch(self, rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """A random stretch of each row."""
        length = int(min(self.lengths[rows].min(), self.window_length))
        begin = self.offsets[rows] + generator.integers(0, self.lengths[rows] - length + 1)
        codes: np.ndarray = self.codes[begin[:, None] + np.arange(length)]
        return codes

    def digest(self) -> str:
        """Of the letters, where rows end, and the window length."""
        value = hashlib.sha256(f"rows {self.window_length}\n".encode())
        value.update(self.offsets.tobytes())
        value.update(self.codes.tobytes())
        return value.hexdigest()
