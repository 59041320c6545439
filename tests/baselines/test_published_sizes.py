"""Random weights at the published sizes run forward and backward on one sequence of 1 kb.

The 2.5-billion-parameter models are left out, and a note on their cards says why.
"""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch

from findna_bench.cards import ModelCard
from findna_bench.models.loading import build_on_meta, load_model
from findna_bench.registry import get_registry, load_factory

TOO_LARGE = "not run forward and backward"


def cards() -> list[ModelCard]:
    """One card per published size: models that differ in their weights alone are one."""
    entries = get_registry().entries("models")
    encoders = [e.card for e in entries if e.plugin == "baselines" and e.card.kind == "encoder"]
    return list({f"{card.backbone} {card.config}": card for card in reversed(encoders)}.values())


RUN = [card.name for card in cards() if not any(TOO_LARGE in note for note in card.notes)]


def test_only_the_largest_are_left_out_and_their_cards_say_why() -> None:
    left_out = [card for card in cards() if card.name not in RUN]
    assert [card.n_parameters for card in left_out] == [2_530_727_041]
    assert all(any("GB" in note for note in card.notes if TOO_LARGE in note) for card in left_out)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", RUN)
def test_forward_and_backward_at_published_size(name: str, request: pytest.FixtureRequest) -> None:
    if name == "dnabert2":
        backbone = _dnabert2(request.getfixturevalue("shared"))
    else:
        backbone = load_model(f"{name}@random", device="cpu").backbone
    generator = torch.Generator().manual_seed(0)
    sequence = "".join("ACGT"[i] for i in torch.randint(4, (1000,), generator=generator))
    backbone.train()
    batch = backbone.tokenize([sequence])
    backbone(batch).tokens.square().mean().backward()
    gradients = [
        p.grad for n, p in backbone.named_parameters() if p.requires_grad and not n.startswith(backbone.head_prefixes)
    ]
    assert all(gradient is not None and bool(torch.isfinite(gradient).all()) for gradient in gradients)
    del backbone, gradients
    gc.collect()


def _dnabert2(shared: Path) -> torch.nn.Module:
    card = get_registry().resolve("models", "dnabert2").card
    cls = load_factory("findna_baselines.dnabert2:DNABERT2", "dnabert2")
    files = {"tokenizer.json": shared / "data" / "tokenizers" / "DNABERT-2-117M" / "tokenizer.json"}
    build_on_meta(cls, card.config, files)
    torch.manual_seed(0)
    return cls.from_config(card.config, files)
