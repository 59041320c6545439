"""ChordMixer's bare blocks with gradient, on a CPU: forward and backward a few sequences at a time, in memory that all blocks share.

What a block costs beside its matrix products is passes over memory, so each portion of the positions goes through all steps of a
block while it is in the cache, and views of the rotation are made once for all blocks. Kept for the backward pass are the states before the block and its hidden layer before
the GELU, which is computed again.

Shapes: N positions, C channels, H width of the hidden layer, n positions of a portion.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from findna_bench.api import linear
from findna_plugins.chordmixer_rotation import Groups, Tracks, rotation_pairs

__all__ = ["Portions", "block_by_portions"]

POSITIONS = 2048
"""Of a portion on one thread; a longer sequence is a portion of its own."""


class Portions:
    """Positions (N, C) in portions of whole sequences, and memory for one of them at a time.

    Args:
        groups: the sequences.
        tracks: how channels move.
        like: a tensor (N, C); hidden: H.
    """

    def __init__(self, groups: Groups, tracks: Tracks, like: Tensor, hidden: int) -> None:
        self._groups, self._tracks = _cut(groups, POSITIONS * torch.get_num_threads()), tracks
        most = max(_positions(own) for own in self._groups)
        self._mixed, self._moved = like.new_empty(most, like.shape[1]), like.new_empty(most, like.shape[1])
        self._hidden = like.new_empty(2, most, hidden)
        self._pairs: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}

    def each(self) -> Iterator[tuple[int, slice, Tensor, Tensor, Tensor]]:
        """(number, rows of N, memory (n, C) for what is to be rotated, two of (n, H)) of each portion."""
        for number, own in enumerate(self._groups):
            n = _positions(own)
            yield number, slice(own[0][0], own[0][0] + n), self._mixed[:n], self._hidden[0, :n], self._hidden[1, :n]

    def rotated(self, number: int, sign: int) -> Tensor:
        """(n, C): what was put into the memory of a portion, each track moved."""
        own = self._groups[number]
        n = _positions(own)
        if (number, sign) not in self._pairs:
            inside = tuple((row - own[0][0], count, length) for row, count, length in own)
            self._pairs[number, sign] = rotation_pairs(self._moved[:n], self._mixed[:n], inside, self._tracks, sign)
        for target, source in self._pairs[number, sign]:
            target.copy_(source)
        return self._moved[:n]


def _positions(groups: Groups) -> int:
    return sum(count * length for _, count, length in groups)


def _cut(groups: Groups, limit: int) -> list[Groups]:
    """The sequences of ``groups`` in portions of at most ``limit`` positions, or of one sequence."""
    portions: list[Groups] = []
    room = 0
    for row, count, length in groups:
        done = 0
        while done < count:
            fit = room // length
            if not fit:
                portions.append(())
                room = max(limit, length)
                fit = room // length
            some = min(fit, count - done)
            portions[-1] = (*portions[-1], (row + done * length, some, length))
            done, room = done + some, room - some * length
    return portions


class _Block(torch.autograd.Function):
    """``x + Rot(W2 gelu(W1 x + b1) + b2)``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, portions: Portions, sign: int
    ) -> Tensor:
        ctx.portions, ctx.sign = portions, sign
        result, before = torch.empty_like(x), x.new_empty(len(x), len(w1))
        for number, rows, mixed, active, _ in portions.each():
            own = linear(x[rows], w1, b1, out=before[rows])
            torch.ops.aten.gelu.out(own, out=active)
            linear(active, w2, b2, out=mixed)
            torch.add(x[rows], portions.rotated(number, sign), out=result[rows])
        ctx.save_for_backward(x, before, w1, w2)
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, before, w1, w2 = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        for_x, for_first = ctx.needs_input_grad[0], any(ctx.needs_input_grad[1:3])
        to_x = torch.empty_like(x) if for_x else None
        to_w1, to_w2 = torch.zeros_like(w1), torch.zeros_like(w2)
        to_b1 = w1.new_zeros(len(w1))
        for number, rows, mixed, active, hidden in ctx.portions.each():
            mixed.copy_(gradient[rows])
            to_mixed = ctx.portions.rotated(number, -ctx.sign)
            torch.ops.aten.gelu.out(before[rows], out=active)
            if ctx.needs_input_grad[3]:
                to_w2 += linear(to_mixed.t(), active.t())
            linear(to_mixed, w2.t(), out=hidden)
            torch.ops.aten.gelu_backward.grad_input(hidden, before[rows], grad_input=hidden)
            if for_first:
                to_w1 += linear(hidden.t(), x[rows].t())
                to_b1 += hidden.sum(0)
            if to_x is not None:
                linear(hidden, w1.t(), out=to_x[rows]).add_(gradient[rows])
        return to_x, to_w1, to_b1, to_w2, gradient.sum(0), None, None


def block_by_portions(x: Tensor, first: nn.Linear, second: nn.Linear, portions: Portions, sign: int) -> Tensor:
    """(N, C) behind a block of two linear layers with a GELU between them."""
    result: Tensor = _Block.apply(x, first.weight, first.bias, second.weight, second.bias, portions, sign)
    return result
