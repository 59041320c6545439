"""Products of linear layers are the same whichever library computes them: values, gradients, formats, shapes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from findna_bench.api import linear
from findna_bench.models import linear_products
from findna_bench.models.linear_products import by_onednn, with_fast_products

ONEDNN = torch.backends.mkldnn.is_available()


@pytest.fixture(params=["onednn", "mkl"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Either library, on any processor."""
    if request.param == "onednn" and not ONEDNN:
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(linear_products, "_is_faster", lambda: request.param == "onednn")
    monkeypatch.setattr(linear_products, "_LEAST_WORK", 0)
    return str(request.param)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), requires_grad=True)


@pytest.mark.parametrize("shape", [(1, 5), (37, 5), (3, 11, 5), (2, 1, 3, 5)])
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients_are_those_of_double_precision(library: str, shape: tuple[int, ...], biased: bool) -> None:
    inputs = [drawn(*shape), drawn(7, 5), *([drawn(7)] if biased else [])]
    wide = [t.detach().double().requires_grad_() for t in inputs]
    found, expected = linear(*inputs), functional.linear(*wide)
    torch.testing.assert_close(found, expected.float())
    towards = torch.randn_like(found)
    gradients = torch.autograd.grad(found, inputs, towards)
    for own, right in zip(gradients, torch.autograd.grad(expected, wide, towards.double()), strict=True):
        torch.testing.assert_close(own, right.float())


def test_transposed_and_strided_views_are_read_as_what_they_are(library: str) -> None:
    x, weight = drawn(4, 6, 9).transpose(1, 2), drawn(6, 7).t()
    torch.testing.assert_close(linear(x, weight), functional.linear(x.contiguous(), weight.contiguous()))
    rows = drawn(12, 6)[::2]
    torch.testing.assert_close(linear(rows, weight), functional.linear(rows.contiguous(), weight))


def test_gradients_can_be_differentiated_again(library: str) -> None:
    x, weight = drawn(6, 5), drawn(7, 5)
    second = []
    for product in (linear, functional.linear):
        (first,) = torch.autograd.grad(product(x, weight).pow(3).sum(), x, create_graph=True)
        second.append(torch.autograd.grad(first.pow(2).sum(), weight)[0])
    torch.testing.assert_close(*second)


def test_a_frozen_weight_gets_no_gradient_and_a_frozen_input_none_either(library: str) -> None:
    x, weight, bias = drawn(6, 5), drawn(7, 5).detach(), drawn(7)
    linear(x, weight, bias).sum().backward()
    assert x.grad is not None
    assert bias.grad is not None
    assert weight.grad is None


@pytest.mark.parametrize("biased", [True, False])
def test_a_result_is_written_where_it_is_to_go(library: str, biased: bool) -> None:
    with torch.no_grad():
        x, weight, bias, memory = drawn(6, 5), drawn(7, 5), drawn(7) if biased else None, torch.empty(9, 7)
        found = linear(x, weight, bias, out=memory[2:8])
        assert found.data_ptr() == memory[2:8].data_ptr()
        torch.testing.assert_close(memory[2:8], functional.linear(x, weight, bias))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_formats_are_torchs_own(library: str, dtype: torch.dtype) -> None:
    x, weight, bias = (t.detach().to(dtype) for t in (drawn(6, 5), drawn(7, 5), drawn(7)))
    assert torch.equal(linear(x, weight, bias), functional.linear(x, weight, bias))


def test_autocast_still_decides_the_format(library: str) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(drawn(6, 5), drawn(7, 5)).dtype == torch.bfloat16
        assert not by_onednn(torch.device("cpu"), torch.float32)


@pytest.mark.skipif(not ONEDNN, reason="this torch has no oneDNN")
def test_torchs_own_switch_turns_onednn_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_products, "_is_faster", lambda: True)
    assert by_onednn(torch.device("cpu"), torch.float32)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    try:
        assert not by_onednn(torch.device("cpu"), torch.float32)
    finally:
        monkeypatch.undo()
    assert not by_onednn(torch.device("meta"), torch.float32)


def test_layers_of_a_network_stay_linear_layers_with_the_same_parameters(library: str) -> None:
    network = nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 3, bias=False))
    plain, x = copy.deepcopy(network), drawn(6, 5)
    with_fast_products(network)
    assert isinstance(network[0], nn.Linear)
    assert network.state_dict().keys() == plain.state_dict().keys()
    assert (type(network[0]) is nn.Linear) == (library == "mkl")
    again = copy.deepcopy(network)
    for one in (network, again):
        torch.testing.assert_close(one(x), plain(x))
    plain(x).sum().backward()
    again(x).sum().backward()
    for own, right in zip(again.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(own.grad, right.grad)


@pytest.mark.skipif(not ONEDNN, reason="this torch has no oneDNN")
def test_only_large_products_are_worth_a_start_of_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[tuple[int, ...]] = []
    product = linear_products._product
    monkeypatch.setattr(linear_products, "_is_faster", lambda: True)
    monkeypatch.setattr(
        linear_products, "_product", lambda x, *rest: computed.append(tuple(x.shape)) or product(x, *rest)
    )
    with torch.no_grad():
        linear(torch.ones(10, 64), torch.ones(64, 64))
        linear(torch.ones(2000, 64), torch.ones(64, 64))
    assert computed == [(2000, 64)]
