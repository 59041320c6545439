"""An encoder as its card describes it, with random weights and without any network; and a batch for it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from findna_bench.cards import ModelCard
from findna_bench.errors import BenchError, ModelError, UnsupportedError
from findna_bench.models.backbone import Backbone, TokenBatch
from findna_bench.models.linear_products import with_fast_products
from findna_bench.models.loading import backbone_class, build_on_meta, load_model
from findna_bench.models.spec import PUBLISHED, parse_model
from findna_bench.models.weights import find_tokenizer_files
from findna_bench.registry import get_registry

__all__ = ["build_backbone", "make_batch"]


def build_backbone(model: str, *, meta: bool = False) -> tuple[Backbone, ModelCard]:
    """The encoder ``model`` names, at its card's size with random weights, and its card. No network is asked.

    Raises:
        UnsupportedError: the model is no encoder. WeightsError, OfflineError: a folder's or hub model's files are not here.
    """
    registry = get_registry()
    spec = parse_model(model, registry)
    if spec.kind != "encoder":
        raise UnsupportedError(
            f"{spec.display_name} is a model of kind {spec.kind}: only encoders have a step to profile"
        )
    if spec.card.backbone == PUBLISHED or spec.location is not None:  # only its files say how large it is
        loaded = load_model(spec, device="cpu", offline=True, registry=registry)
        return (loaded.backbone.to("meta") if meta else loaded.backbone), loaded.card
    _, cls = backbone_class(spec, None, registry)
    files: Mapping[str, Path] = {}
    with contextlib.suppress(BenchError):  # no cost depends on which tokens a vocabulary gives, only on how many
        files = find_tokenizer_files(spec, cls.tokenizer_files, {}, offline=True)
    if meta:
        return build_on_meta(cls, dict(spec.card.config), files), spec.card
    torch.manual_seed(0)
    backbone = cls.from_config(dict(spec.card.config), files)
    with_fast_products(backbone)
    backbone.reset_buffers()
    return backbone, spec.card


def make_batch(backbone: Backbone, sequences: Sequence[str]) -> tuple[TokenBatch, str]:
    """Tokens of ``sequences`` and a word on where they come from.

    Without its vocabulary a backbone that says its usual number of tokens per base gets that many random ids.

    Raises:
        ModelError: neither is possible.
    """
    try:
        return backbone.tokenize(sequences), "tokenized"
    except BenchError:
        if backbone.tokens_per_base is None:
            raise
    rate = backbone.tokens_per_base
    embeddings = [module for module in backbone.modules() if isinstance(module, nn.Embedding)]
    if not embeddings:
        raise ModelError(
            f"{type(backbone).__name__} has neither a vocabulary nor an embedding table to draw tokens from"
        )
    counts = torch.tensor([max(1, round(rate * len(s))) + 2 for s in sequences])
    positions = torch.arange(int(counts.max()))[None, :]
    mask = positions < counts[:, None]
    special = mask & ((positions == 0) | (positions == counts[:, None] - 1))
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(5, embeddings[0].num_embeddings, mask.shape, generator=generator)
    lengths = torch.tensor([len(s) for s in sequences])
    spans = torch.where(mask & ~special, lengths[:, None] // (counts[:, None] - 2).clamp(min=1), 0)
    batch = TokenBatch(inputs * mask, mask, special, spans, lengths)
    return batch, f"random tokens, {rate:g} per base (its vocabulary is not on this machine)"
