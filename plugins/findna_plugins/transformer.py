"""FinDNA-T: FinDNA with a Transformer in place of ChordMixer (arXiv 2405.08538, Table 1).

The paper gives no sizes. Default: a bidirectional pre-norm Transformer with learned positions, of FinDNA's parameter count.
``attention="gau"``: what the released code trains (``wiedersehne/FinDNA`` at e3e72f1): FLASH, Hua et al., "Transformer Quality
in Linear Time" (arXiv 2202.10447), with the numbers of flash-pytorch 0.1.9; it is causal there.

Shapes: B batch, T positions (= bases), D width, S query and key width, E value width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from findna_bench.api import Backbone, Encoding, ModelError, TokenBatch
from findna_plugins.bases import ALPHABET, BLANK, BaseEmbedding, base_rule_digest, tokenize_bases

__all__ = ["GatedAttentionUnit", "Transformer", "TransformerBlock"]


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and feed-forward (GELU), each with a residual; attends both ways."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, keys: Tensor | None) -> Tensor:
        """x (B, T, D); keys (B, T) bool, True where a position may be attended, or None for all."""
        rows, total, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(rows, total, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if keys is None else keys[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        x = x + self.drop(self.out(mixed.transpose(1, 2).reshape(rows, total, width)))
        return x + self.drop(self.fc2(self.drop(functional.gelu(self.fc1(self.norm2(x))))))


def _laplace(x: Tensor) -> Tensor:
    """The attention function of Mega and FLASH: a Gaussian's distribution function of mean sqrt(1/2) and variance 1/(4 pi)."""
    return 0.5 * (1 + torch.erf((x - math.sqrt(0.5)) * math.sqrt(2 * math.pi)))


def _relative_buckets(total: int, causal: bool, buckets: int = 32, farthest: int = 128) -> Tensor:
    """(total, total) T5 buckets of key minus query position: exact when near, logarithmic when far."""
    position = torch.arange(total)
    behind = position[:, None] - position[None, :]
    offset = torch.zeros_like(behind)
    if causal:
        distance = behind.clamp(min=0)
    else:
        buckets //= 2
        offset = (behind < 0).long() * buckets
        distance = behind.abs()
    exact = buckets // 2
    far = exact + (
        torch.log(distance.clamp(min=1) / exact) / math.log(farthest / exact) * (buckets - exact)
    ).long().clamp(max=buckets - exact - 1)
    return offset + torch.where(distance < exact, distance, far)


class GatedAttentionUnit(nn.Module):
    """A FLASH layer: quadratic attention within groups of positions, linear attention across groups, gated."""

    def __init__(self, width: int, expansion: int, query_width: int, group: int, causal: bool) -> None:
        super().__init__()
        self.group, self.causal, self.inner = group, causal, width * expansion
        self.norm = nn.LayerNorm(width)
        self.to_hidden = nn.Linear(width, 2 * self.inner)
        self.to_query_key = nn.Linear(width, query_width)
        self.scale = nn.Parameter(0.02 * torch.randn(4, query_width))
        self.offset = nn.Parameter(torch.zeros(4, query_width))
        self.relative = nn.Embedding(32, 1)
        self.out = nn.Linear(self.inner, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, D) with T a multiple of the group; mask (B, T) bool, True where a position is not padding."""
        rows, total, _ = x.shape
        groups = total // self.group
        normed = self.norm(x)
        value, gate = functional.silu(self.to_hidden(normed)).chunk(2, dim=-1)
        shared = functional.silu(self.to_query_key(normed))
        near_q, far_q, near_k, far_k = (shared[:, :, None] * self.scale + self.offset).unbind(2)
        kept = mask[..., None].to(x.dtype)
        far_k, value_kept = far_k * kept, value * kept

        def grouped(t: Tensor) -> Tensor:
            return t.view(rows, groups, self.group, t.shape[-1])

        near = self._near(grouped(near_q), grouped(near_k), grouped(value_kept))
        far = self._far(grouped(far_q), grouped(far_k), grouped(value_kept), mask)
        mixed = (near + far).view(rows, total, -1)
        return x + self.out(gate * mixed)

    def _near(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Within groups; masked keys have a value of zero, which is all that Laplace attention (no normaliser) needs."""
        scores = q @ k.transpose(-1, -2) / self.group
        buckets = _relative_buckets(self.group, self.causal).to(q.device)
        scores = scores + self.relative(buckets)[..., 0] * math.sqrt(q.shape[-1])
        weights = _laplace(scores)
        if self.causal:
            weights = weights.tril()
        return weights @ v

    def _far(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Across groups: causal, all earlier groups; else all positions of the sequence."""
        memory = k.transpose(-1, -2) @ v
        if self.causal:
            before = memory.cumsum(1) - memory
            return q @ before / self.group
        count = mask.sum(1).clamp(min=1)[:, None, None, None]
        return q @ (memory.sum(1, keepdim=True) / count)


class Transformer(Backbone):
    """One token per base, learned positions.

    ``width`` D, ``layers``, ``heads``, ``feedforward``, ``dropout``; ``positions`` is the longest input, [CLS] tokens included.
    ``attention="gau"`` uses ``expansion``, ``query_width``, ``group`` and ``causal`` instead of heads and feed-forward.

    Raises:
        ModelError: impossible sizes or an unknown option.
    """

    head_prefixes: ClassVar[tuple[str, ...]] = ("head.",)

    def __init__(
        self,
        *,
        width: int = 512,
        layers: int = 4,
        heads: int = 8,
        feedforward: int = 2048,
        positions: int = 1010,
        dropout: float = 0.0,
        attention: Literal["softmax", "gau"] = "softmax",
        expansion: int = 2,
        query_width: int = 128,
        group: int = 256,
        causal: bool = True,
    ) -> None:
        super().__init__()
        if attention not in ("softmax", "gau"):
            raise ModelError(f"Transformer: attention must be softmax or gau, not {attention!r}")
        if attention == "softmax" and width % heads:
            raise ModelError(f"Transformer: width {width} cannot be divided among {heads} heads")
        self.embed_dim, self.n_layers, self.max_length = width, layers, positions
        self.mask_token = BLANK
        self.attention, self.group = attention, group
        self.gau_sizes = (expansion, query_width)
        self.causal = attention == "gau" and causal  # type: ignore[misc]
        self.embedding = BaseEmbedding(width)
        self.positions = nn.Parameter(0.02 * torch.randn(positions, width))
        self.layers = nn.ModuleList(
            TransformerBlock(width, heads, feedforward, dropout)
            if attention == "softmax"
            else GatedAttentionUnit(width, expansion, query_width, group, causal)
            for _ in range(layers)
        )
        # The released gated stack has no norm at its end.
        self.norm = nn.LayerNorm(width) if attention == "softmax" else nn.Identity()
        self.head = nn.Linear(width, len(ALPHABET))

    @classmethod
    def from_config(cls, config: Mapping[str, Any], files: Mapping[str, Path] | None = None) -> Transformer:
        """Build with ``config`` as keyword arguments."""
        try:
            return cls(**config)
        except TypeError as error:
            raise ModelError(f"Transformer: {error}; see `findna-bench describe transformer`") from error

    def tokenizer_digest(self) -> str:
        """One token per base."""
        return base_rule_digest()

    def token_counts(self, lengths: Sequence[int]) -> list[int]:
        """One per base."""
        return list(lengths)

    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        """(B, T) uint8 codes; what lies beyond the last learned position is cut off."""
        batch = tokenize_bases([sequence[: self.max_length] for sequence in sequences])
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        return TokenBatch(batch.inputs, batch.mask, batch.special, batch.spans, lengths)

    def analytic_flops(self, batch_size: int, n_tokens: int) -> int | None:
        """Products of the softmax form; None for ``gau``."""
        if self.attention != "softmax":
            return None
        block = self.layers[0]
        weights = sum(p.numel() for p in block.parameters() if p.dim() == 2)
        per_token = 2 * weights + 4 * n_tokens * self.embed_dim
        return batch_size * n_tokens * self.n_layers * per_token

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        """Hidden states (B, T, D), zero at padding; layer 0 is embedding plus position, the last one is normalised."""
        total = batch.mask.shape[1]
        if self.max_length is not None and total > self.max_length:
            raise ModelError(f"this Transformer has {self.max_length} positions, the input {total}; cut it")
        x = self.embedding(batch.inputs) + self.positions[:total]
        whole = bool(batch.mask.all())
        mask, keys = batch.mask, None if whole else batch.mask
        if self.attention == "gau":
            extra = -total % self.group
            x, mask = functional.pad(x, (0, 0, 0, extra)), functional.pad(mask, (0, extra))
        states = {0: x}
        for number, layer in enumerate(self.layers, start=1):
            x = layer(x, mask if self.attention == "gau" else keys)
            states[number] = x
        states[self.n_layers] = self.norm(x)
        wanted = {number: self._real(states[number], batch.mask) for number in {*(layers or ()), self.n_layers}}
        chosen = {number: wanted[number] for number in layers} if layers is not None else None
        return Encoding(tokens=wanted[self.n_layers], layers=chosen)

    @staticmethod
    def _real(state: Tensor, mask: Tensor) -> Tensor:
        return state[:, : mask.shape[1]].masked_fill(~mask[..., None], 0.0)

    def logits(self, batch: TokenBatch) -> Tensor:
        """(B, T, 5) nucleotide logits in the order A, C, G, T, N."""
        result: Tensor = self.head(self(batch).tokens)
        return result
