"""ChordMixer's logits at hidden positions, computed only where a hidden position reaches and is reached from.

Rows that hide one position of a sequence differ from the sequence itself in that position alone. Block by block the difference spreads by the
distances of the tracks, and of the last block nothing is read but the hidden position, which few positions of each block before reach. So the
sequence is computed once, whole, and of each row the positions that are both changed and needed: of 12 blocks over 600 bases, with tracks that move both
ways, a half. What is computed is the same function; sums are taken in another order.

Shapes: B blocks, L positions of the sequence, C channels, n rows, h hidden positions of a row, m changed and needed positions of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from findna_plugins.bases import BLANK
from findna_plugins.chordmixer_inference import MixedInPlace, Products
from findna_plugins.chordmixer_rotation import Tracks, rotate_add

if TYPE_CHECKING:
    from findna_plugins.chordmixer import ChordMixer, ChordMixerBlock

__all__ = ["ChangedPositions", "changed_logits"]

ROWS_AT_ONCE = 24
POSITIONS_AT_ONCE = 2048
"""Of whole rows that go through the blocks in the middle together, so that they stay in the cache."""
WORTH = 0.8
"""Share of the work of whole rows above which nothing is gained."""


@dataclass(frozen=True)
class ChangedPositions:
    """Where rows that hide some positions differ from their sequence, as far as the last block reads it.

    places: of every block, and behind the last, (m,) positions counted from the first hidden one. sources: of every block (tracks, m') where a track of
    the next block's positions comes from, by number in ``places`` of this one; m stands for a position that has not changed.
    kept: of every block (m',) the same position. length: L.
    """

    places: tuple[Tensor, ...]
    sources: tuple[Tensor, ...]
    kept: tuple[Tensor, ...]
    length: int

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, hidden: tuple[int, ...], length: int, tracks: Tracks, signs: tuple[int, ...]) -> ChangedPositions:
        """hidden: positions, the first one 0. signs: of every block, which way its tracks move."""
        changed = [np.isin(np.arange(length), np.asarray(hidden) % length)]
        for sign in signs:
            changed.append(changed[-1] | _any_moved(changed[-1], tracks, -sign))
        needed = [changed[0]]
        for sign in reversed(signs):
            needed.append(needed[-1] | _any_moved(needed[-1], tracks, sign))
        places = [np.flatnonzero(one & other) for one, other in zip(changed, reversed(needed), strict=True)]
        sources, kept = [], []
        for sign, now, then in zip(signs, places[:-1], places[1:], strict=True):
            number = np.full(length, len(now))
            number[now] = np.arange(len(now))
            moved = [number[(then + sign * shift) % length] for shift in tracks.shifts]
            sources.append(torch.from_numpy(np.stack(moved)))
            kept.append(torch.from_numpy(number[then]))
        return cls(tuple(map(torch.from_numpy, places)), tuple(sources), tuple(kept), length)

    @cached_property
    def whole(self) -> range:
        """Blocks in the middle, where more than half of all positions are changed and needed: they are computed for whole rows."""
        most = [number for number, places in enumerate(self.places[:-1]) if 2 * len(places) > self.length]
        return range(most[0], most[-1] + 1) if most else range(0)

    @property
    def cost(self) -> int:
        """Positions that a row computes, over all blocks."""
        sizes = [len(places) for places in self.places[:-1]]
        return sum(self.length if number in self.whole else size for number, size in enumerate(sizes))


def _any_moved(chosen: np.ndarray, tracks: Tracks, sign: int) -> np.ndarray:
    found: np.ndarray = np.any([np.roll(chosen, sign * shift) for shift in tracks.shifts], axis=0)
    return found


def changed_logits(model: ChordMixer, codes: Tensor, hidden: np.ndarray) -> Tensor | None:
    """(n, h, 5) logits at hidden positions of one sequence; None where whole rows cost no more.

    Args:
        model: in evaluation, bare blocks, on a CPU.
        codes: (L,) of the sequence.
        hidden: (n, h) positions, each row's at the same distances from its first one.
    """
    blocks, signs = model.blocks_in_order()
    distances = (hidden[0] - hidden[0, 0]) % len(codes)
    changed = ChangedPositions.of(tuple(distances.tolist()), len(codes), model.tracks, signs)
    everything = len(codes) * len(blocks)
    if everything + len(hidden) * changed.cost > WORTH * everything * len(hidden):
        return None
    run = _Rows(model, blocks, signs, changed, codes)
    last = torch.cat([run.last_states(some) for some in torch.from_numpy(hidden[:, 0]).split(ROWS_AT_ONCE)])
    logits: Tensor = model.head(last)
    return logits[:, torch.searchsorted(changed.places[-1], torch.from_numpy(distances))]


class _Rows:
    """Rows of one sequence that hide positions at the same distances from each other."""

    def __init__(
        self,
        model: ChordMixer,
        blocks: Sequence[ChordMixerBlock],
        signs: Sequence[int],
        changed: ChangedPositions,
        codes: Tensor,
    ) -> None:
        self.blocks, self.signs, self.changed, self.tracks = blocks, signs, changed, model.tracks
        self.blank: Tensor = model.embedding(torch.tensor([BLANK], dtype=torch.uint8))
        self.states: list[Tensor] = [model.embedding(codes)]
        self.added: list[Tensor] = []
        until = changed.whole.start if changed.whole else len(blocks)
        for block, sign in zip(blocks[:until], signs, strict=False):
            self.added.append(block.mix(self.states[-1]))
            self.states.append(rotate_add(self.states[-1], self.added[-1], ((0, 1, len(codes)),), model.tracks, sign))

    def last_states(self, first: Tensor) -> Tensor:
        """(n, h, C) behind the last block of rows whose first hidden positions are ``first`` (n,)."""
        where = self._where(first, 0)
        change = self.blank - self.states[0][where]
        for number in range(len(self.added)):
            own = self.states[number][where] + change
            added = self.blocks[number].mix(own) - self.added[number][where]
            change = self._next(number, change, added)
            where = self._where(first, number + 1)
        if not self.changed.whole:
            return self.states[-1][where] + change
        own = self._through_the_middle(first, where, change)
        for number in range(self.changed.whole.stop, len(self.blocks)):
            own = self._next(number, own, self.blocks[number].mix(own))
        return own

    def _where(self, first: Tensor, number: int) -> Tensor:
        """(n, m) positions in the sequence."""
        return (first[:, None] + self.changed.places[number]) % self.changed.length

    def _next(self, number: int, before: Tensor, added: Tensor) -> Tensor:
        """(n, m', C) of the next block's positions: what was there, and the tracks that come to them; what has not changed adds nothing."""
        nothing = added.new_zeros(len(added), 1, added.shape[2])
        before, added = torch.cat([before, nothing], dim=1), torch.cat([added, nothing], dim=1)
        found = before[:, self.changed.kept[number]]
        for (start, stop), source in zip(self.tracks.bounds, self.changed.sources[number], strict=True):
            found[..., start:stop] += added[..., start:stop][:, source]
        return found

    def _through_the_middle(self, first: Tensor, where: Tensor, change: Tensor) -> Tensor:
        """(n, m, C) behind the blocks that are computed for whole rows."""
        middle, length = self.changed.whole, self.changed.length
        products = [Products.of(self.blocks[n].fc1, self.blocks[n].fc2, change.dtype) for n in middle]
        step = max(1, POSITIONS_AT_ONCE * torch.get_num_threads() // length)
        out = self._where(first, middle.stop)
        found = []
        for places, own, leave in zip(where.split(step), change.split(step), out.split(step), strict=True):
            rows = torch.arange(len(own))[:, None]
            whole = self.states[middle.start].repeat(len(own), 1, 1)
            whole[rows, places] += own
            run = MixedInPlace(whole.flatten(0, 1), whole.shape[2], ((0, len(own), length),), self.tracks)
            for number, product in zip(middle, products, strict=True):
                run.mix_(product)
                run.add_rotated_(self.signs[number])
            found.append(run.x.view(len(own), length, -1)[rows, leave])
        return torch.cat(found)
