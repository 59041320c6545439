"""A backbone that runs out of memory above so many sequences in a batch."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence

import torch
from torch import nn
from unruly import note

from findna_bench.api import Backbone, Encoding, TokenBatch, encode_padded, one_hot


class Hungry(Backbone):
    """One convolution over bases; at most ``rows`` sequences at once, none at all for 0. Writes down what it is trained on."""

    def __init__(self, *, rows: int) -> None:
        super().__init__()
        self.rows = rows
        self.embed_dim, self.n_layers, self.max_length = 6, 1, None
        self.convolution = nn.Conv1d(5, 6, kernel_size=5, padding=2)

    def tokenizer_digest(self) -> str:
        return hashlib.sha256(b"one-hot ACGTN").hexdigest()

    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        codes = torch.from_numpy(encode_padded(list(sequences)))
        lengths = torch.tensor([len(s) for s in sequences])
        mask = torch.arange(codes.shape[1])[None] < lengths[:, None]
        return TokenBatch(codes, mask, torch.zeros_like(mask), mask.long(), lengths)

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        if len(batch) > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        if self.training:
            time.sleep(float(os.environ.get("UNRULY_SLEEP", "0")))
            note(f"trained on {len(batch)}")
        x = one_hot(batch.inputs) * batch.mask[..., None]
        return Encoding(torch.relu(self.convolution(x.transpose(1, 2))).transpose(1, 2))
