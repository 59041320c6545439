"""ChordMixer's blocks without gradient: one set of buffers and views for all blocks, products in the format of autocast.

What bfloat16 costs beside its products on a CPU is conversions and allocations, so the residual stream stays in float32 (in
bfloat16 it would be off by more than 1 % after 40 blocks), and nothing but the hidden layer is allocated per block.

Shapes: N positions, C channels, H width of the hidden layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from findna_bench.api import linear
from findna_plugins.chordmixer_rotation import Groups, Tracks, rotation_pairs

__all__ = ["MixedInPlace", "Products"]

TILE = 32
"""Multiple to which products in a short format are padded: a row of a matrix tile (AMX) holds 32 numbers of two bytes."""


@dataclass(frozen=True)
class Products:
    """The two products of a block, as they are computed: in a short format with C rounded up, the rest being zero."""

    into_hidden: Tensor
    """(H, C)"""
    hidden_bias: Tensor
    out_of_hidden: Tensor
    """(C, H)"""
    bias: Tensor

    @classmethod
    def of(cls, first: nn.Linear, second: nn.Linear, dtype: torch.dtype) -> Products:
        """The layers' own tensors where ``dtype`` is theirs, else padded copies in ``dtype``."""
        tensors = first.weight, first.bias, second.weight, second.bias
        if dtype == first.weight.dtype:
            return cls(*tensors)
        extra = -first.in_features % TILE
        pads = (0, extra), (0, 0), (0, 0, 0, extra), (0, extra)
        return cls(*(functional.pad(t.to(dtype), pad) for t, pad in zip(tensors, pads, strict=True)))


class MixedInPlace:
    """``x += Rot(MLP(x))``, again and again for the same positions.

    Arguments: ``x`` (N, C), the states at the start; ``width``: C as the :class:`Products` have it; ``groups``: the sequences
    in ``x``. :attr:`x` (N, C) always holds the present states.
    """

    def __init__(self, x: Tensor, width: int, groups: Groups, tracks: Tracks) -> None:
        channels = x.shape[1]
        self._whole = x.clone() if width == channels else functional.pad(x, (0, width - channels))
        self._y = torch.empty_like(self._whole)
        self.x, self._mixed = self._whole[:, :channels], self._y[:, :channels]
        self._groups, self._tracks = groups, tracks
        self._short: Tensor | None = None
        self._pairs: dict[int, list[tuple[Tensor, Tensor]]] = {}

    def mix_(self, products: Products) -> None:
        """Compute the MLP of ``x``."""
        if products.into_hidden.dtype == self._whole.dtype:
            hidden = linear(self._whole, products.into_hidden, products.hidden_bias)
            linear(torch.ops.aten.gelu_(hidden), products.out_of_hidden, products.bias, out=self._y)
            return
        if self._short is None:
            self._short = torch.empty_like(self._whole, dtype=products.into_hidden.dtype)
        hidden = functional.linear(self._short.copy_(self._whole), products.into_hidden, products.hidden_bias)
        self._y.copy_(functional.linear(torch.ops.aten.gelu_(hidden), products.out_of_hidden, products.bias))

    def set_(self, mixed: Tensor) -> None:
        """Take ``mixed`` (N, C) for the MLP of ``x``."""
        self._mixed.copy_(mixed)

    def add_rotated_(self, sign: int) -> None:
        """``x += Rot(...)`` of what :meth:`mix_` or :meth:`set_` left."""
        if sign not in self._pairs:
            self._pairs[sign] = rotation_pairs(self.x, self._mixed, self._groups, self._tracks, sign)
        for target, source in self._pairs[sign]:
            target.add_(source)
