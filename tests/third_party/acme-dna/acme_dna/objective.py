"""A pretraining objective: substitute some bases, and say which stood there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import findna_bench.api as fb


class Denoise(fb.Objective):
    """Cross-entropy of the true base at all positions of a sequence some of whose bases were drawn anew.

    The head is the objective's own, so that any backbone with one token per base can be pretrained.
    """

    def __init__(self, backbone: fb.Backbone, *, p: float = 0.1) -> None:
        super().__init__()
        if not 0 < p < 1:
            raise fb.ModelError(f"denoise: p must be between 0 and 1, not {p!r}")
        self.p = p
        self.network = backbone
        self.letters = nn.Linear(backbone.embed_dim, 4)
        self.substitute = fb.make_augmentation("snp", p=p)

    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        logits = self.letters(self.network(one_token_per_base(self.substitute(batch, generator))).tokens)
        known = batch < 4
        target = batch[known].long()
        loss = functional.cross_entropy(logits[known].float(), target)
        accuracy = (logits[known].argmax(dim=-1) == target).float().mean()
        return {"loss": loss, "accuracy": accuracy}

    @torch.no_grad()
    def validation_step(self, batch: Tensor, generator: torch.Generator) -> Mapping[str, Tensor]:
        return self.training_step(batch, 0, generator)

    def export(self) -> Mapping[str, nn.Module]:
        return {"network": self.network}

    def settings(self) -> Mapping[str, Any]:
        return {"p": self.p}


def one_token_per_base(codes: Tensor) -> fb.TokenBatch:
    """(B, L) codes without padding as a batch of tokens."""
    mask = torch.ones(codes.shape, dtype=torch.bool, device=codes.device)
    lengths = torch.full((len(codes),), codes.shape[1], device=codes.device)
    return fb.TokenBatch(codes, mask, torch.zeros_like(mask), mask.long(), lengths)
