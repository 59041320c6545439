"""Products of linear layers in float32 on a CPU, by whichever of torch's two libraries is fast on this processor.

torch computes them with MKL, whose products on AMD's processors with AVX-512 take twice as long as those of oneDNN, which torch
holds as well and uses for bfloat16 (``benchmarks/results/cpu_steps.md``). With AVX2 only it is the other way round.

Shapes: N rows, I inputs, O outputs.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FastLinear", "by_onednn", "linear", "with_fast_products"]

_LEAST_WORK = 1 << 22
"""Multiplications from which oneDNN is worth its start: 12 microseconds a call, and half a millisecond for every new shape."""


@functools.cache
def _is_faster() -> bool:
    """Whether this processor computes faster with oneDNN."""
    is_wide = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
    return is_wide and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # it is torch's own, and may go


def by_onednn(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether large products of this format are oneDNN's: always in float32 on processors with AVX-512, unless
    ``torch.backends.mkldnn.flags(enabled=False)`` forbids it; under autocast torch chooses.
    """
    if device.type != "cpu" or dtype != torch.float32 or not _is_faster():
        return False
    return bool(torch.backends.mkldnn.enabled) and not torch.is_autocast_enabled("cpu")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias``, as ``torch.nn.functional.linear``, with gradients of any order.

    Args:
        x: (..., I). weight: (O, I); both may be transposed views. bias: (O,).
        out: (N, O), where to write the result of an ``x`` (N, I); then nothing may need a gradient.

    Returns:
        (..., O); ``out`` where it is given.

    Example:
        >>> linear(torch.ones(2, 3), torch.ones(4, 3), torch.ones(4)).shape
        torch.Size([2, 4])
    """
    large = x.dim() > 1 and x.numel() * weight.shape[0] >= _LEAST_WORK
    if not (large and weight.dtype == x.dtype and by_onednn(x.device, x.dtype)):
        if out is None:
            return functional.linear(x, weight, bias)
        return torch.mm(x, weight.t(), out=out) if bias is None else torch.addmm(bias, x, weight.t(), out=out)
    if out is not None:
        return out.copy_(_product(x, weight, bias))
    needed = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias))
    return _Linear.apply(x, weight, bias) if needed else _product(x, weight, bias)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    # A layer's forward pass without an activation behind it; torch's compiler calls it so, too.
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0].flatten(0, -2)
        for_x, for_weight, for_bias = ctx.needs_input_grad
        return (
            linear(gradient, weight.t()).view_as(x) if for_x else None,
            linear(gradient.t(), x.flatten(0, -2).t()) if for_weight else None,
            gradient.sum(0) if for_bias else None,
        )


class FastLinear(nn.Linear):
    """A linear layer that computes by :func:`linear`."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


def with_fast_products(network: nn.Module) -> None:
    """Let the linear layers of a network compute by :func:`linear`, where that makes a difference on this processor.

    Names, parameters and ``isinstance`` of the layers stay; layers of a class of their own are left alone.
    """
    for module in network.modules():
        if _is_faster() and type(module) is nn.Linear:
            module.__class__ = FastLinear
