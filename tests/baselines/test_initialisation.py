"""Untrained networks start as their authors' do: spreads, zeros and ones, tensor by tensor."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from findna_baselines.caduceus import Caduceus
from findna_baselines.dnabert2 import DNABERT2
from findna_baselines.hyenadna import HyenaDNA
from findna_baselines.nucleotide_transformer_v2 import NucleotideTransformerV2
from findna_bench.api import Backbone
from findna_plugins.chordmixer import ChordMixer
from findna_plugins.transformer import Transformer

Check = Callable[[Tensor], bool]


def normal(std: float) -> Check:
    """Drawn from N(0, std): standard deviation within five of its standard errors, and one in three beyond it."""

    def holds(x: Tensor) -> bool:
        n, beyond = x.numel(), float((x.abs() > std).float().mean())
        near = abs(float(x.double().square().mean().sqrt()) / std - 1) < 5 / math.sqrt(2 * n)
        return near and abs(beyond - 0.3173) < 5 * math.sqrt(0.217 / n)

    return holds


def uniform(bound: float) -> Check:
    """Drawn evenly between -bound and bound."""

    def holds(x: Tensor) -> bool:
        n, most = x.numel(), float(x.abs().max())
        near = abs(float(x.double().square().mean().sqrt()) / (bound / math.sqrt(3)) - 1) < 5 * math.sqrt(0.2 / n)
        return near and bound * (1 - 12 / n) < most <= bound * (1 + 1e-6)

    return holds


def constant(value: float) -> Check:
    return lambda x: bool((x == value).all())


def linear(fan_in: int) -> Check:
    """As torch's own layers: weights and biases within 1 / sqrt(inputs)."""
    return uniform(1 / math.sqrt(fan_in))


def log_uniform_steps(x: Tensor) -> bool:
    """softplus of them is spread evenly between 0.001 and 0.1 on a logarithmic scale."""
    power = torch.nn.functional.softplus(x.double()).log10()
    ranks = (power.sort().values + 3) / 2
    distance = float((ranks - (torch.arange(len(ranks)) + 0.5) / len(ranks)).abs().max())
    return (
        -3 <= float(power.min()) < -2.95 and -1.05 < float(power.max()) <= -1 and distance < 2 / math.sqrt(len(ranks))
    )


def log_range(n: int) -> Check:
    return lambda x: torch.allclose(x, torch.log(torch.arange(1.0, n + 1)).expand_as(x))


N = r"\d+\."
CASES: dict[str, tuple[Callable[[], Backbone], Mapping[str, Check]]] = {
    "hyenadna": (
        lambda: HyenaDNA(d_model=128, n_layers=8, max_seq_len=34),
        {
            r"(embedding|lm_head)\.weight": normal(0.02),
            rf"blocks\.{N}(mixer\.out_proj|fc2)\.weight": normal(0.02 / 4),
            rf"blocks\.{N}(mixer\.in_proj|fc1|mixer\.filter\.hidden\.\d|mixer\.filter\.output)\.weight": normal(0.02),
            rf"blocks\.{N}(mixer\.(in|out)_proj|fc\d|mixer\.filter\.hidden\.\d)\.bias": constant(0.0),
            rf"blocks\.{N}mixer\.filter\.bias": normal(1.0),
            rf"blocks\.{N}mixer\.filter\.freq": constant(10.0),
            rf"blocks\.{N}mixer\.short_filter\.(weight|bias)": linear(3),
            r".*norm\d?\.weight": constant(1.0),
            r".*norm\d?\.bias": constant(0.0),
        },
    ),
    "caduceus": (
        lambda: Caduceus(d_model=128, n_layers=9, rcps=True),
        {
            r"embedding\.weight": normal(0.02),
            rf"blocks\.{N}mixer\.in_proj\.weight": linear(128),
            rf"blocks\.{N}mixer\.out_proj\.weight": uniform(1 / math.sqrt(256) / 3),
            rf"blocks\.{N}mixer\.(forward|reverse)_scan\.conv\.(weight|bias)": linear(4),
            rf"blocks\.{N}mixer\.(forward|reverse)_scan\.x_proj\.weight": linear(256),
            rf"blocks\.{N}mixer\.(forward|reverse)_scan\.dt_proj\.weight": linear(8),
            rf"blocks\.{N}mixer\.(forward|reverse)_scan\.dt_proj\.bias": log_uniform_steps,
            rf"blocks\.{N}mixer\.(forward|reverse)_scan\.A_log": log_range(16),
            rf"blocks\.{N}mixer\.(forward|reverse)_scan\.D": constant(1.0),
            r".*norm\.weight": constant(1.0),
        },
    ),
    "dnabert2": (
        lambda: DNABERT2(d_model=96, n_layers=2, n_heads=4, d_inner=64, vocab_size=64),
        {
            r"(words|types)\.weight|blocks\.\d\.(qkv|out|gated|wo)\.weight|head\.dense\.weight": normal(0.02),
            r".*(qkv|out|wo|dense|norm\d?|head)\.bias": constant(0.0),
            r".*norm\d?\.weight": constant(1.0),
        },
    ),
    "nt-v2": (
        lambda: NucleotideTransformerV2(d_model=96, n_layers=2, n_heads=4, d_inner=64, max_positions=20),
        {
            r"(words|unused_positions|unused_contacts)\.weight": normal(0.02),
            r"blocks\.\d\.(query|key|value|out|gated|down)\.weight|head\.(dense|decoder)\.weight": normal(0.02),
            r".*(query|key|value|out|contacts|dense|decoder|norm\d?)\.bias": constant(0.0),
            r".*norm\d?\.weight": constant(1.0),
        },
    ),
    "chordmixer": (
        lambda: ChordMixer(channels=60, track_size=10, hidden=90, layers=2, blocks_per_layer=3, norm="prepost"),
        {
            r"embedding\.(weight|bias)": linear(5),
            r"layers\..*fc1\.(weight|bias)": linear(60),
            r"layers\..*fc2\.(weight|bias)": linear(90),
            r"head\.(weight|bias)": linear(60),
            r".*norm_(pre|post)\.weight": constant(1.0),
            r".*norm_(pre|post)\.bias": constant(0.0),
        },
    ),
    "transformer": (
        lambda: Transformer(width=96, layers=2, heads=4, feedforward=80, positions=50),
        {
            r"embedding\.(weight|bias)": linear(5),
            r"positions": normal(0.02),
            r"layers\..*(qkv|out|fc1)\.(weight|bias)": linear(96),
            r"layers\..*fc2\.(weight|bias)": linear(80),
            r"head\.(weight|bias)": linear(96),
            r".*norm\d?\.weight": constant(1.0),
            r".*norm\d?\.bias": constant(0.0),
        },
    ),
    "gated transformer": (
        lambda: Transformer(width=64, layers=3, positions=50, attention="gau", query_width=48),
        {
            r"embedding\.(weight|bias)": linear(5),
            r"positions": normal(0.02),
            r"layers\..*scale": normal(0.02),
            r"layers\..*offset": constant(0.0),
            r"layers\..*to_(hidden|query_key)\.(weight|bias)": linear(64),
            r"layers\..*relative\.weight": normal(1.0),
            r"layers\..*out\.(weight|bias)": linear(128),
            r"head\.(weight|bias)": linear(64),
            r".*norm\.weight": constant(1.0),
            r".*norm\.bias": constant(0.0),
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_tensor_starts_as_the_authors_have_it(name: str) -> None:
    build, rules = CASES[name]
    torch.manual_seed(0)
    backbone = build()
    for own, parameter in backbone.named_parameters():
        fitting = [check for pattern, check in rules.items() if re.fullmatch(pattern, own)]
        assert len(fitting) == 1, f"{own}: {len(fitting)} rules"
        assert fitting[0](parameter.detach()), own
