"""A backbone small enough to see through: k-mer tokens, states that depend on the whole sequence, a tied head, a computed buffer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from findna_bench.api import Adapted, Backbone, Checkpoint, Encoding, TokenBatch
from findna_bench.cards import BackboneCard, ModelCard, WeightsSource, hookimpl

PAD, CLS, SEP, MASK, UNKNOWN, FIRST = range(6)
SIZES = {"width": 8, "depth": 2, "kmer": 1}


class TinyBackbone(Backbone):
    """Tokens [CLS] k-mers [SEP]; a tail shorter than k is not tokenized."""

    head_prefixes: ClassVar[tuple[str, ...]] = ("head.",)
    published_as: ClassVar[tuple[str, ...]] = ("tiny",)
    scale: Tensor

    def __init__(self, *, width: int, depth: int, kmer: int = 1, limit: int | None = None) -> None:
        super().__init__()
        self.embed_dim, self.n_layers, self.max_length, self.kmer = width, depth, limit, kmer
        self.mask_token = MASK
        self.embedding = nn.Embedding(FIRST + 4**kmer, width)
        self.blocks = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(depth))
        self.head = nn.Linear(width, FIRST + 4**kmer)
        self.head.weight = self.embedding.weight
        self.register_buffer("scale", torch.empty(width), persistent=False)

    def reset_buffers(self) -> None:
        self.scale = torch.linspace(0.5, 1.5, self.embed_dim, device=self.embedding.weight.device)

    @classmethod
    def adapt_checkpoint(cls, checkpoint: Checkpoint, config: Mapping[str, Any], network: str | None = None) -> Adapted:
        sizes = {**config, **{k: v for k, v in (checkpoint.config or {}).items() if k in SIZES}}
        used = {key: key.removeprefix("tiny.") for key in checkpoint.tensors if key.startswith("tiny.")}
        ignored = {key: "a table" for key in checkpoint.tensors if key == "position_ids"}
        state = {own: checkpoint.tensors[key] for key, own in used.items()}
        return Adapted(config=sizes, state=state, used=frozenset(used), ignored=ignored)

    def tokenizer_digest(self) -> str:
        return hashlib.sha256(f"tiny {self.kmer}".encode()).hexdigest()

    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        k = self.kmer
        rows = [[s[i : i + k] for i in range(0, len(s) - k + 1, k)] for s in sequences]
        width = max(map(len, rows)) + 2
        inputs = torch.full((len(rows), width), PAD)
        mask, special = torch.zeros(len(rows), width, dtype=torch.bool), torch.zeros(len(rows), width, dtype=torch.bool)
        spans = torch.zeros(len(rows), width, dtype=torch.long)
        for i, words in enumerate(rows):
            ids = [UNKNOWN if "N" in w else FIRST + sum("ACGT".index(c) * 4**j for j, c in enumerate(w)) for w in words]
            inputs[i, : len(ids) + 2] = torch.tensor([CLS, *ids, SEP])
            mask[i, : len(ids) + 2] = True
            special[i, 0] = special[i, len(ids) + 1] = True
            spans[i, 1 : len(ids) + 1] = k
        return TokenBatch(inputs, mask, special, spans, torch.tensor([len(s) for s in sequences]))

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        x = self.embedding(batch.inputs) * self.scale
        states = {0: x}
        real = batch.mask[..., None].to(x.dtype)
        for number, block in enumerate(self.blocks, start=1):
            mean = (x * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
            x = x + torch.tanh(block(torch.cat([x, mean.expand_as(x)], dim=-1)))
            states[number] = x
        # What is at padding is nobody's business: it must not reach any result.
        x = x.masked_fill(~batch.mask[..., None], float("nan"))
        return Encoding(x, layers=None if layers is None else {i: states[i] for i in layers})

    def logits(self, batch: TokenBatch) -> Tensor:
        return self.head(self.forward(batch).tokens)


class CrampedBackbone(TinyBackbone):
    """Runs out of memory above three sequences, or above 40 bases in one."""

    published_as: ClassVar[tuple[str, ...]] = ()
    calls: ClassVar[list[int]] = []

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        self.calls.append(len(batch))
        if len(batch) > 3 or int(batch.lengths.max()) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        return super().forward(batch, layers=layers)


class CausalBackbone(TinyBackbone):
    causal: ClassVar[bool] = True
    published_as: ClassVar[tuple[str, ...]] = ()


class Plugin:
    """What the plugin of these tests registers."""

    @hookimpl
    def findna_bench_backbones(self) -> list[BackboneCard]:
        names = {"tiny": "TinyBackbone", "cramped": "CrampedBackbone", "causal": "CausalBackbone"}
        return [BackboneCard(name=name, factory=f"tiny_backbone:{cls}") for name, cls in names.items()]

    @hookimpl
    def findna_bench_models(self) -> list[ModelCard]:
        source = WeightsSource(repo="acme/tiny", revision="0" * 40, files=("model.safetensors", "config.json"))
        mirror = WeightsSource(url="https://example.invalid/tiny.pt", files=("tiny.pt",))
        return [
            ModelCard(
                name="tiny",
                kind="encoder",
                aliases=("tiny-dna",),
                backbone="tiny",
                config=SIZES,
                weights=(source, mirror),
                n_parameters=9 * 8 + 2 * (16 * 8 + 8),
            ),
            ModelCard(name="tiny-3mer", kind="encoder", backbone="tiny", config={**SIZES, "kmer": 3}),
            ModelCard(name="tiny-short", kind="encoder", backbone="tiny", config={**SIZES, "limit": 10}),
            ModelCard(name="cramped", kind="encoder", backbone="cramped", config=SIZES),
            ModelCard(
                name="causal", kind="encoder", backbone="causal", config=SIZES, causal=True, networks=("one", "two")
            ),
            ModelCard(name="counted", kind="features", factory="collections:Counter"),
            ModelCard(name="miscounted", kind="encoder", backbone="tiny", config=SIZES, n_parameters=7),
        ]


def dna(n: int, shortest: int = 1, longest: int = 60, seed: int = 0) -> list[str]:
    """Random sequences over A, C, G, T, N."""
    generator = np.random.default_rng(seed)
    return [
        "".join(
            generator.choice(list("ACGTN"), size=int(generator.integers(shortest, longest + 1)), p=[0.24] * 4 + [0.04])
        )
        for _ in range(n)
    ]
