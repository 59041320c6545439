"""ChordMixer's rotation: each track of channels moves over the positions of its sequence, by a distance of its own.

Source: Yu et al. (arXiv 2405.08538), section 3.1; Khalitov et al., "ChordMixer" (arXiv 2206.05852). ``Rot(y)[t, track i] =
y[(t + s_i) mod L, track i]`` with ``s_0 = 0``, ``s_i = 2 ** (i - 1)`` and L the length of the sequence.

Shapes: B batch, L positions, C channels, N = all positions of a batch that are not padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Groups", "Tracks", "gather_rotated", "rotate", "rotate_add", "rotation_index", "rotation_pairs"]

Groups = tuple[tuple[int, int, int], ...]
"""(first row, number of sequences, their length): sequences of equal length that lie behind one another in (N, C)."""


@dataclass(frozen=True)
class Tracks:
    """Consecutive chunks of channels and their shifts."""

    bounds: tuple[tuple[int, int], ...]
    shifts: tuple[int, ...]

    @classmethod
    def cut(cls, channels: int, size: int) -> Tracks:
        """Chunks of ``size`` channels (the last may be short), shifted by 0, 1, 2, 4, ..."""
        bounds = tuple((first, min(first + size, channels)) for first in range(0, channels, size))
        return cls(bounds, tuple(0 if i == 0 else 2 ** (i - 1) for i in range(len(bounds))))

    def channel_shifts(self, channels: int) -> list[int]:
        """Shift of each of ``channels`` channels; channels past the last track stay in place."""
        shifts = [0] * channels
        for (first, last), shift in zip(self.bounds, self.shifts, strict=True):
            shifts[first:last] = [shift] * (last - first)
        return shifts


def rotate(y: Tensor, tracks: Tracks, sign: int = 1) -> Tensor:
    """Roll each track of ``y`` (B, L, C) modulo L: position t receives from t + sign * shift. The plain formulation."""
    length = y.shape[1]
    rolled = [
        torch.roll(y[:, :, first:last], shifts=-((sign * shift) % length), dims=1)
        for (first, last), shift in zip(tracks.bounds, tracks.shifts, strict=True)
    ]
    return torch.cat(rolled, dim=2)


# --------------------------------------------------------------------------------- packed sequences: (N, C), no padding


def rotation_pairs(to: Tensor, y: Tensor, groups: Groups, tracks: Tracks, sign: int = 1) -> list[tuple[Tensor, Tensor]]:
    """Views of ``to`` and of ``y``, both (N, C): each first one is where ``Rot(y)`` puts the values of its second one."""
    pairs = []
    for row, count, length in groups:
        rows = slice(row, row + count * length)
        targets, sources = (a[rows].view(count, length, -1) for a in (to, y))
        for (first, last), distance in zip(tracks.bounds, tracks.shifts, strict=True):
            target, source = targets[:, :, first:last], sources[:, :, first:last]
            shift = (sign * distance) % length
            kept = length - shift
            pairs.append((target[:, :kept], source[:, shift:]))
            if shift:
                pairs.append((target[:, kept:], source[:, :shift]))
    return pairs


class _RotateAdd(torch.autograd.Function):
    """``x + Rot(y)`` without a copy of a rotated tensor; backward moves each track the other way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, groups: Groups, tracks: Tracks, sign: int) -> Tensor:
        ctx.groups, ctx.tracks, ctx.sign = groups, tracks, sign
        result = torch.empty_like(x)
        y = y.to(x.dtype)
        written, read = (rotation_pairs(a, y, groups, tracks, sign) for a in (result, x))
        for (target, source), (base, _) in zip(written, read, strict=True):
            torch.add(base, source, out=target)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        gradient = gradients[0].contiguous()
        back = torch.empty_like(gradient)
        for target, source in rotation_pairs(back, gradient, ctx.groups, ctx.tracks, -ctx.sign):
            target.copy_(source)
        return gradient, back, None, None, None


def rotate_add(x: Tensor, y: Tensor, groups: Groups, tracks: Tracks, sign: int = 1) -> Tensor:
    """``x + Rot(y)`` for (N, C) matrices whose rows are the sequences of ``groups`` (the fused formulation)."""
    result: Tensor = _RotateAdd.apply(x, y, groups, tracks, sign)
    return result


# ------------------------------------------------------------------------------------------- padded batches: (B, T, C)


def rotation_index(mask: Tensor, tracks: Tracks, channels: int) -> tuple[Tensor, Tensor]:
    """(1 or B, T, channels) positions to gather from, forward and backward; padding (``mask`` False) stays in place."""
    lengths, total = mask.sum(1), mask.shape[1]
    # Nothing may wait for the device while a CUDA graph is captured: then every row keeps an index of its own.
    capturing = mask.device.type == "cuda" and torch.cuda.is_current_stream_capturing()
    if not capturing and bool((lengths == total).all()):
        lengths = lengths[:1]
    position = torch.arange(total, device=mask.device)[None, :, None]
    shift = torch.tensor(tracks.channel_shifts(channels), device=mask.device)[None, None, :]
    length = lengths[:, None, None]
    modulus = length.clamp(min=1)
    inside = position < length
    index = torch.where(inside, (position + shift) % modulus, position)
    inverse = torch.where(inside, (position - shift) % modulus, position)
    return index, inverse


class _Gather(torch.autograd.Function):
    """``y.gather(1, index)`` for an index that permutes positions; backward gathers with the inverse instead of scattering."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(inverse)
        return y.gather(1, index.expand_as(y))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (inverse,) = ctx.saved_tensors
        return gradients[0].gather(1, inverse.expand_as(gradients[0])), None, None


def gather_rotated(y: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
    """``Rot(y)`` of a padded (B, T, C) tensor by the indices of :func:`rotation_index`."""
    result: Tensor = _Gather.apply(y, index, inverse)
    return result
