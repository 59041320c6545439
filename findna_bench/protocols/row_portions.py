"""The rows of a training step, in portions that fit into memory, as tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch

from findna_bench.models.backbone import TokenBatch
from findna_bench.models.loading import LoadedModel
from findna_bench.protocols.encoder_head import Pieces, Reading
from findna_bench.sequences.batches import length_batches

__all__ = ["Portion", "RowPortions", "Texts", "first_limit"]

Texts = tuple[str, ...]
"""The sequences of a row: one, or both sides of a pair."""

_CPU_TOKENS = 16_384


def first_limit(device: torch.device) -> int | None:
    """Tokens of a portion at most: on a CPU some thousands, on other devices a whole step, until memory says otherwise."""
    return _CPU_TOKENS if device.type == "cpu" else None


@dataclass(frozen=True)
class Portion:
    """Some rows of a step: their numbers in it, what is read of them, and that as tokens."""

    rows: np.ndarray
    pieces: Pieces
    tokens: TokenBatch

    def pinned(self, device: torch.device) -> Portion:
        """In memory that a GPU can fetch from while it computes; as it is for other devices."""
        if device.type != "cuda":
            return self
        pinned = {name: getattr(self.tokens, name).pin_memory() for name in self.tokens.__dataclass_fields__}
        return replace(self, tokens=TokenBatch(**pinned))


@dataclass(frozen=True)
class RowPortions:
    """Divides rows for one model; a row is one sequence, or both of a pair. batch_size: rows of a portion at most; ``auto`` = as many as there are."""

    model: LoadedModel
    reading: Reading
    batch_size: int | str

    def divide(self, texts: Sequence[Texts], limit: int | None) -> list[np.ndarray]:
        """Row numbers of each portion: rows of similar length, of ``limit`` tokens together at most."""
        rows = len(texts) if self.batch_size == "auto" else int(self.batch_size)
        return length_batches(self._costs(texts), max_tokens=limit, batch_size=rows)

    def halved(self, texts: Sequence[Texts], limit: int | None) -> int:
        """The limit after a portion did not fit: half of the largest one.

        Raises:
            torch.OutOfMemoryError: it was a single row.
        """
        costs = np.asarray(self._costs(texts))
        largest = max(len(portion) * int(costs[portion].max()) for portion in self.divide(texts, limit))
        if largest <= int(costs.max()):
            raise torch.OutOfMemoryError(
                f"{self.model.name}: training on one row of {int(costs.max()):,} tokens does not fit into the memory of "
                f"{self.model.device}; use gradient checkpointing, frozen layers, a shorter window or another device"
            )
        return max(largest // 2, int(costs.max()))

    def tokenized(self, texts: Sequence[Texts], limit: int | None) -> Iterator[Portion]:
        """Each portion as tokens; of pairs the first sides of its rows, then the other ones."""
        for rows in self.divide(texts, limit):
            sides = zip(*(texts[row] for row in rows), strict=True)
            pieces = self.reading.pieces([sequence for side in sides for sequence in side])
            yield Portion(rows, pieces, self.model.backbone.tokenize(pieces.sequences))

    def coverage(self, texts: Sequence[Texts], *, by_tokens: bool) -> dict[str, int]:
        """What is read of rows: by lengths, and by tokens where these are cut."""
        coverage = dict.fromkeys(("bases_total", "bases_seen", "truncated_sequences", "windows", "short_sequences"), 0)
        for sequence in chain.from_iterable(texts):
            cut = self._cut(sequence)
            seen = min(len(sequence), sum(stop - start for start, stop in cut))
            if by_tokens:
                pieces = [sequence[start:stop] for start, stop in cut]
                seen = min(seen, int(self.model.backbone.tokenize(pieces).spans.sum()))
            coverage["bases_total"] += len(sequence)
            coverage["bases_seen"] += seen
            coverage["truncated_sequences"] += seen < len(sequence)
            coverage["windows"] += len(cut)
        return coverage

    def _cut(self, sequence: str) -> list[tuple[int, int]]:
        return self.reading.window.cut(len(sequence), self.reading.longest)

    def _costs(self, texts: Sequence[Texts]) -> list[int]:
        """Tokens of each row, over all its pieces."""
        cut = [[piece for sequence in row for piece in self._cut(sequence)] for row in texts]
        tokens = iter(self.model.backbone.token_counts([stop - start for pieces in cut for start, stop in pieces]))
        return [sum(next(tokens) for _ in pieces) * (1 + self.reading.both_strands) for pieces in cut]
