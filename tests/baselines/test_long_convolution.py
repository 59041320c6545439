"""HyenaDNA's long convolution by transforms, in portions and with a backward pass of its own, is the sum over taps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from findna_baselines import hyenadna
from findna_baselines.hyenadna import HyenaFilter, HyenaOperator


def by_sums(layer: HyenaFilter, x: Tensor) -> Tensor:
    """(B, D, L): taps laid over the positions before each one, and the skip."""
    length = x.shape[-1]
    taps = layer.kernel(length).flip(-1)[:, None]
    return functional.conv1d(functional.pad(x, (length - 1, 0)), taps, groups=len(taps)) + x * layer.bias[:, None]


@pytest.mark.parametrize("cached", [1, 1000, 1 << 18])
@pytest.mark.parametrize("length", [1, 2, 7, 33, 96])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_values_and_gradients_are_those_of_sums_over_taps(
    monkeypatch: pytest.MonkeyPatch, cached: int, length: int, dtype: torch.dtype, limit: float
) -> None:
    monkeypatch.setattr(hyenadna, "_CACHED_NUMBERS", cached)
    torch.manual_seed(length)
    layer = HyenaFilter(6, 64, 5, 16, 2, 10.0).to(dtype).train()
    x = torch.randn(5, 6, length, dtype=dtype, requires_grad=True)
    towards = torch.randn(5, 6, length, dtype=dtype)
    inputs = [x, *layer.parameters()]
    results = []
    for found in (layer(x), by_sums(layer, x)):
        results.append([found, *torch.autograd.grad(found, inputs, towards)])
    for own, right in zip(*results, strict=True):
        assert (own - right).norm() <= limit * right.norm()


def test_a_frozen_filter_passes_gradients_on_and_gets_none() -> None:
    torch.manual_seed(0)
    layer = HyenaFilter(6, 64, 5, 16, 2, 10.0).train().requires_grad_(False)
    x = torch.randn(3, 6, 40, requires_grad=True)
    gradients = [torch.autograd.grad(f.square().sum(), x)[0] for f in (layer(x), by_sums(layer, x))]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_the_short_convolution_reads_what_stands_before(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    operator = HyenaOperator(6, 3, max_seq_len=64, emb_dim=5, filter_order=16, inner_layers=2, activation_freq=10.0)
    read: list[Tensor] = []
    monkeypatch.setattr(HyenaFilter, "forward", lambda self, x: read.append(x) or x)
    x = torch.randn(2, 9, 6)
    found = operator(x)
    projected = operator.in_proj(x).transpose(1, 2)
    gate, gate_in, value = operator.short_filter(projected)[..., :9].chunk(3, dim=1)
    torch.testing.assert_close(read[0], value * gate_in)
    torch.testing.assert_close(found, operator.out_proj((value * gate_in * gate).transpose(1, 2)))
    assert isinstance(operator.short_filter, nn.Conv1d)
