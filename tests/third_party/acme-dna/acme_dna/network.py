"""A backbone written against the public API only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import nn

from findna_bench.api import Backbone, Encoding, TokenBatch, encode_padded, one_hot


class Convolution(Backbone):
    """One convolution over embedded bases: layer 0 is the embedding, layer 1 the last."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.embed_dim, self.n_layers, self.max_length = width, 1, None
        self.embedding = nn.Linear(5, width, bias=False)  # layer 0; padding stays zero
        self.convolution = nn.Conv1d(width, width, kernel_size=9, padding=4)

    def tokenizer_digest(self) -> str:
        return hashlib.sha256(b"one-hot ACGTN").hexdigest()

    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        codes = torch.from_numpy(encode_padded(sequences))
        lengths = torch.tensor([len(s) for s in sequences])
        mask = torch.arange(codes.shape[1])[None] < lengths[:, None]
        return TokenBatch(codes, mask, torch.zeros_like(mask), mask.long(), lengths)

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        x = one_hot(batch.inputs) * batch.mask[..., None]
        embedded = self.embedding(x)
        hidden = torch.relu(self.convolution(embedded.transpose(1, 2))).transpose(1, 2)
        wanted = {n: h for n, h in enumerate((embedded, hidden)) if n in layers} if layers else None
        return Encoding(hidden, layers=wanted)
