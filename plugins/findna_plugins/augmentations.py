"""Augmentations of DNA, vectorised over a batch: EvoAug's semantics and parameters, corrected for five channels.

Source: Lee et al., EvoAug (Genome Biology 24:105, 2023), ``p-koo/evoaug`` at 8e4378c; the parameters are those FinDNA uses
(arXiv 2405.08538, section 3.3). Random bases are A, C, G or T, never N, and the complement pairs A with T and C with G.

Every augmentation takes (B, L) uint8 codes (A 0, C 1, G 2, T 3, N 4, blank 5) or (B, L, 5) float rows and gives the same
form back; rows of the batch are independent; all randomness comes from the generator, which lives on the tensor's device.

How it is fast: an edit shifts pieces of a row by constant amounts, so each result is put together from *windows*, i.e. rows of
length L that begin at an offset of their own in a wider buffer. Windows are copied whole, and masks that choose between two
windows are windows into a step function; no index per base is ever made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from findna_bench.api import ModelError, one_hot
from findna_plugins.bases import BLANK

__all__ = ["Deletion", "Insertion", "Masking", "Noise", "ReverseComplement", "Translocation"]

CHANNELS = 5
SCRATCH_WORDS = 1 << 14
_COMPLEMENT_CHANNELS = [3, 2, 1, 0, 4]


def _windows(buffer: Tensor, offsets: Tensor, width: int) -> Tensor:
    """Rows ``buffer[i, offsets[i] : offsets[i] + width]`` of a contiguous (B, W, ...) buffer -> (B, width, ...)."""
    rows, wide = buffer.shape[:2]
    if buffer.device.type == "cpu":
        inner = buffer.shape[2] if buffer.ndim == 3 else 1
        overlapping = buffer.view(-1).as_strided((rows * wide - width + 1, width * inner), (inner, 1))
        starts = torch.arange(0, rows * wide, wide) + offsets
        return overlapping.index_select(0, starts).view(rows, width, *buffer.shape[2:])
    index = offsets[:, None] + torch.arange(width, device=buffer.device)
    if buffer.ndim == 3:
        return buffer.gather(1, index[..., None].expand(-1, -1, buffer.shape[2]))
    return buffer.gather(1, index)


def _before(cut: Tensor, width: int) -> Tensor:
    """(B, width) uint8, 255 at positions before ``cut`` (B,) (0 <= cut <= width) and 0 from there on."""
    step = torch.zeros(1, 2 * width, dtype=torch.uint8, device=cut.device)
    step[:, :width] = 255
    if cut.device.type != "cpu":
        return _windows(step.expand(len(cut), -1), width - cut, width)
    return step.view(-1).as_strided((width + 1, width), (1, 1)).index_select(0, width - cut)


def _choose(first: Tensor, before: Tensor, second: Tensor) -> Tensor:
    """``first`` where ``before`` is 255, ``second`` where it is 0; overwrites ``first`` or makes a new tensor."""
    if first.dtype == torch.uint8:
        # Bitwise: an order of magnitude faster than torch.where on bytes.
        return first.bitwise_xor_(second).bitwise_and_(before).bitwise_xor_(second)
    return torch.where(before.bool()[..., None], first, second)


def _random_bases(x: Tensor, width: int, generator: Generator) -> Tensor:
    """(B, width) codes or (B, width, 5) rows of A, C, G, T, each with probability 1/4."""
    codes = torch.randint(0, 4, (x.shape[0], width), dtype=torch.uint8, generator=generator, device=x.device)
    return codes if x.dtype == torch.uint8 else one_hot(codes, dtype=x.dtype)


def _integers(x: Tensor, high: int, generator: Generator) -> Tensor:
    """(B,) whole numbers, uniform over 0..high."""
    return torch.randint(0, high + 1, (x.shape[0],), generator=generator, device=x.device)


def _check(x: Tensor, what: str) -> None:
    codes = x.dtype == torch.uint8 and x.ndim == 2
    rows = x.is_floating_point() and x.ndim == 3 and x.shape[-1] == CHANNELS
    if not (codes or rows):
        raise ModelError(
            f"{what}: give (B, L) uint8 codes or (B, L, {CHANNELS}) float rows, not {tuple(x.shape)} {x.dtype}"
        )


@dataclass(frozen=True)
class Deletion:
    """Cut 0 to ``maximum`` bases at a random place; fill up with random bases, half of them (rounded down) in front."""

    maximum: int = 20

    def draw(self, x: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(B,) lengths, (B,) first bases cut, (B, maximum) random bases (the first half goes in front)."""
        longest = min(self.maximum, x.shape[1])
        lengths = _integers(x, longest, generator)
        starts = _integers(x, x.shape[1] - longest, generator)
        return lengths, starts, _random_bases(x, self.maximum, generator)

    def apply(self, x: Tensor, drawn: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Delete as drawn."""
        lengths, starts, bases = drawn
        width, half = x.shape[1], self.maximum // 2
        buffer = torch.cat([bases[:, :half], x, bases[:, half:]], dim=1)
        front = lengths // 2
        left = _windows(buffer, half - front, width)
        right = _windows(buffer, half - front + lengths, width)
        return _choose(left, _before(front + starts, width), right)

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        _check(x, "deletion")
        return self.apply(x, self.draw(x, generator))


@dataclass(frozen=True)
class Insertion:
    """Insert 0 to ``maximum`` random bases before a random base, then pad with random bases to L + ``maximum``: half of what
    is left (rounded down) in front. ``crop`` keeps the first L."""

    maximum: int = 20
    crop: bool = True

    def draw(self, x: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B,) lengths, (B,) places 0..L-1, (B, maximum) inserted bases, (B, maximum) padding (front half first)."""
        return (
            _integers(x, self.maximum, generator),
            _integers(x, x.shape[1] - 1, generator),
            _random_bases(x, self.maximum, generator),
            _random_bases(x, self.maximum, generator),
        )

    def apply(self, x: Tensor, drawn: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """Insert as drawn."""
        lengths, places, inserted, padding = drawn
        width = x.shape[1] if self.crop else x.shape[1] + self.maximum
        half = self.maximum // 2
        front = (self.maximum - lengths) // 2
        # Room at both ends, so that every window lies inside; what is read from there is never chosen.
        room = self.maximum
        edge = x.new_empty((x.shape[0], room, *x.shape[2:]))
        buffer = torch.cat([edge, padding[:, :half], x, padding[:, half:], edge], dim=1)
        right = _windows(buffer, room + half - front - lengths, width)
        # All inserted bases overwrite what follows the place: beyond ``lengths`` the other window is chosen.
        written = room + half + places[:, None] + torch.arange(self.maximum, device=x.device)
        buffer.scatter_(1, written if x.ndim == 2 else written[..., None].expand(-1, -1, x.shape[2]), inserted)
        left = _windows(buffer, room + half - front, width)
        return _choose(left, _before((front + places + lengths).clamp(max=width), width), right)

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        _check(x, "insertion")
        return self.apply(x, self.draw(x, generator))


@dataclass(frozen=True)
class Translocation:
    """Split the sequence at a random breakpoint and swap the two parts (arXiv 2405.08538, section 3.3).

    Every breakpoint that leaves two parts is equally likely. ``maximum`` gives EvoAug's translocation instead: a roll by 0 to
    ``maximum`` bases, left or right with equal chance, whose breakpoint is never further than that from an end.
    """

    maximum: int | None = None

    def __post_init__(self) -> None:
        whole = isinstance(self.maximum, int) and not isinstance(self.maximum, bool)
        if self.maximum is not None and not (whole and self.maximum >= 0):
            raise ModelError(f"translocation: maximum must be a number of bases, or None, not {self.maximum!r}")

    def draw(self, x: Tensor, generator: Generator) -> Tensor:
        """(B,) shifts, positive to the right; a breakpoint before base b is a shift by -b."""
        if self.maximum is None:
            return -1 - _integers(x, max(x.shape[1] - 2, 0), generator)
        size = _integers(x, self.maximum, generator)
        return torch.where(_integers(x, 1, generator).bool(), size, -size)

    def apply(self, x: Tensor, shifts: Tensor) -> Tensor:
        """Roll row i by ``shifts[i]``."""
        return _windows(torch.cat([x, x], dim=1), -shifts % x.shape[1], x.shape[1])

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        _check(x, "translocation")
        return self.apply(x, self.draw(x, generator))


@dataclass(frozen=True)
class ReverseComplement:
    """The other strand, with probability ``p`` per sequence. N and blank stay what they are."""

    p: float = 0.5

    def draw(self, x: Tensor, generator: Generator) -> Tensor:
        """(B,) bool, which rows to turn."""
        return torch.rand(x.shape[0], generator=generator, device=x.device) < self.p

    def apply(self, x: Tensor, turned: Tensor) -> Tensor:
        """Turn the rows where ``turned`` is True."""
        if x.dtype == torch.uint8:
            rows = turned.nonzero()[:, 0]
            part = x.index_select(0, rows)
            # Complements differ in both low bits, and only N and blank have the third bit set.
            complement = part ^ (3 - 3 * (part >> 2))
            return x.index_copy(0, rows, complement.flip(1))
        return torch.where(turned[:, None, None], x.flip(1)[..., _COMPLEMENT_CHANNELS], x)

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        _check(x, "reverse complement")
        return self.apply(x, self.draw(x, generator))


@dataclass(frozen=True)
class Noise:
    """Add independent Gaussian noise to all five channels; rows only, since codes cannot hold it."""

    effect: ClassVar[Literal["values"]] = "values"

    mean: float = 0.0
    std: float = 0.2

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        _check(x, "noise")
        if x.dtype == torch.uint8:
            raise ModelError("noise: base codes cannot hold noise; give (B, L, 5) float rows")
        return x + torch.empty_like(x).normal_(self.mean, self.std, generator=generator)


@dataclass(frozen=True)
class Masking:
    """Blank each position with probability ``ratio`` (to within 1/131072).

    ``scheme="bert_80_10_10"``: of the chosen positions 80 % are blanked, 10 % become a random base, 10 % stay.
    """

    effect: ClassVar[Literal["mask"]] = "mask"

    ratio: float = 0.3
    scheme: Literal["blank", "bert_80_10_10"] = "blank"

    def __post_init__(self) -> None:
        if not 0 <= self.ratio <= 1:
            raise ModelError(f"masking: ratio must lie between 0 and 1, not {self.ratio}")
        if self.scheme not in ("blank", "bert_80_10_10"):
            raise ModelError(f"masking: scheme must be blank or bert_80_10_10, not {self.scheme!r}")

    def draw(self, x: Tensor, generator: Generator) -> Tensor:
        """(B, L) bool, the positions chosen."""
        # Sixteen random bits per position are enough, and four times cheaper than a float each.
        limit = round(self.ratio * 65536) - 32768
        rows, width = x.shape[:2]
        chosen = torch.empty(rows * width, dtype=torch.bool, device=x.device)
        # A scratch buffer that stays in the cache: fresh memory for all words costs more than the words.
        step = SCRATCH_WORDS if x.device.type == "cpu" else rows * width // 4 + 1
        words = torch.empty(step, dtype=torch.int64, device=x.device)
        bits = words.view(torch.int16)
        for first in range(0, rows * width, 4 * step):
            part = chosen[first : first + 4 * step]
            words.random_(-(2**63), None, generator=generator)
            if x.device.type == "cpu":  # numpy compares 16-bit integers eight times faster than torch
                np.less(bits[: len(part)].numpy(), limit, out=part.numpy())
            else:
                torch.lt(bits[: len(part)], limit, out=part)
        return chosen.view(rows, width)

    def apply(self, x: Tensor, chosen: Tensor, generator: Generator) -> Tensor:
        """Mask the chosen positions (the generator is used by ``bert_80_10_10`` only)."""
        if self.scheme == "blank":
            return self._blank(x, chosen)
        fate = torch.rand(chosen.shape, generator=generator, device=x.device)
        random = _random_bases(x, x.shape[1], generator)
        swapped = chosen & (fate >= 0.8) & (fate < 0.9)
        replaced = torch.where(swapped if x.ndim == 2 else swapped[..., None], random, x)
        return self._blank(replaced, chosen & (fate < 0.8))

    @staticmethod
    def _blank(x: Tensor, chosen: Tensor) -> Tensor:
        if x.dtype == torch.uint8:
            # No code is above BLANK, so a maximum sets it.
            blank = chosen.view(torch.uint8) * BLANK
            return torch.maximum(x, blank, out=blank)
        return x * (~chosen)[..., None]

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        _check(x, "masking")
        return self.apply(x, self.draw(x, generator), generator)
