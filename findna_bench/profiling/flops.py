"""Floating-point operations of a step, counted from shapes.

Conventions: a multiply-add is two operations; products and convolutions are counted, elementwise work is not. A complex
FFT of N points counts 5 N log2 N, one between real and complex numbers half of that, zero-padding included. Attention is
counted in its plain form (two batched products over all pairs of tokens), whatever kernel would run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["FlopCount", "complex_fft_flops", "count_flops", "real_fft_flops"]

aten = torch.ops.aten


@dataclass(frozen=True)
class FlopCount:
    """Operations of one step. products: matrix products and convolutions; ffts: Fourier transforms."""

    products: int
    ffts: int = 0

    @property
    def total(self) -> int:
        return self.products + self.ffts


def complex_fft_flops(n: int, transforms: int = 1) -> int:
    """``transforms`` complex transforms of ``n`` points: 5 n log2 n each."""
    return round(transforms * 5 * n * math.log2(n)) if n > 1 else 0


def real_fft_flops(n: int, transforms: int = 1) -> int:
    """``transforms`` transforms of ``n`` real points to or from their half spectrum: 2.5 n log2 n each."""
    return round(transforms * 2.5 * n * math.log2(n)) if n > 1 else 0


def _fft_formula(real: bool) -> Callable[..., int]:
    """Formula for ``_fft_r2c``, ``_fft_c2r`` or ``_fft_c2c``: (input shape, dims, ...) -> operations."""

    def formula(shape: Sequence[int], dims: Sequence[int], *args: Any, out_shape: Sequence[int], **kwargs: Any) -> int:
        # The longer side is the real one: a half spectrum has n // 2 + 1 points.
        points = math.prod(max(shape[dim], out_shape[dim]) for dim in dims)
        whole = [max(a, b) for a, b in zip(shape, out_shape, strict=True)]
        transforms = math.prod(whole) // points
        return (real_fft_flops if real else complex_fft_flops)(points, transforms)

    return formula


def _convolution_backward(
    grad_out: Sequence[int],
    x: Sequence[int],
    weight: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    output_mask: Sequence[bool],
    *args: Any,
    **kwargs: Any,
) -> int:
    """The gradient to the input and the one to the weight cost as much as the forward pass each.

    torch's own formula leaves groups out, which counts a depthwise convolution once per channel too often.
    """
    positions = math.prod((x if transposed else grad_out)[2:])
    forward = 2 * x[0] * positions * math.prod(weight)
    return forward * sum(bool(wanted) for wanted in output_mask[:2])


def _linear_pointwise(x: Sequence[int], weight: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * math.prod(x) * weight[0]


FORMULAS: Mapping[Any, Callable[..., int]] = {
    aten._fft_r2c: _fft_formula(real=True),
    aten._fft_c2r: _fft_formula(real=True),
    aten._fft_c2c: _fft_formula(real=False),
    aten.convolution_backward: _convolution_backward,
    # Linear layers on a CPU (findna_bench/models/linear_products.py), which torch's table does not know.
    **({torch.ops.mkldnn._linear_pointwise: _linear_pointwise} if torch.backends.mkldnn.is_available() else {}),
}
_FFTS = ("_fft_r2c", "_fft_c2r", "_fft_c2c")


@contextmanager
def _plain_attention() -> Iterator[None]:
    with sdpa_kernel(SDPBackend.MATH):
        yield


def count_flops(step: Callable[[], Any]) -> FlopCount:
    """Operations of ``step()``, which may run on meta tensors; attention is decomposed into its products."""
    with FlopCounterMode(display=False, custom_mapping=dict(FORMULAS)) as counter, _plain_attention():
        step()
    counts = counter.get_flop_counts().get("Global", {})
    by_name = {str(operator).removeprefix("aten."): int(value) for operator, value in counts.items()}
    ffts = sum(value for name, value in by_name.items() if name in _FFTS)
    return FlopCount(products=sum(by_name.values()) - ffts, ffts=ffts)
