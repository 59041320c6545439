"""DNABERT-2 (Zhou et al. 2023, arXiv:2306.15006): a post-LN BERT with ALiBi, gated GELU and byte-pair tokens.

Written from the published description and checked against outputs of the authors' implementation. The released checkpoint has
no pooler, so a pooled output of the original code comes from random weights: pool the hidden states instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from findna_baselines.checkpoints import config_value, own_prefix, translate
from findna_baselines.encoder import Encoder, compute_dtype, run_stack, wanted_layers
from findna_baselines.tokenization import BytePairTokenizer
from findna_bench.api import Adapted, Checkpoint, Encoding, TokenBatch, WeightsError

__all__ = ["DNABERT2"]


def alibi_slopes(n_heads: int) -> list[float]:
    """One slope per head: a geometric series for the largest power of two, then every other term of the doubled one."""
    power = 2 ** math.floor(math.log2(n_heads))
    slopes = [2.0 ** (-8.0 * (i + 1) / power) for i in range(power)]
    return slopes + [2.0 ** (-4.0 * (2 * i + 1) / power) for i in range(n_heads - power)]


class SymmetricALiBi(nn.Module):
    """``-slope * |i - j|`` per head, built once for the longest batch so far and sliced."""

    def __init__(self, n_heads: int) -> None:
        super().__init__()
        self.slopes = alibi_slopes(n_heads)
        self._bias: Tensor | None = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SymmetricALiBi:
        self._bias = None
        nn.Module._apply(self, fn, recurse)
        return self

    def forward(self, length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        """(H, length, length)."""
        bias = self._bias
        if bias is None or bias.shape[1] < length or bias.device != device or bias.dtype != dtype:
            size = -(-length // 64) * 64
            # Not an inference tensor, which could not serve a later training step.
            with torch.inference_mode(False), torch.no_grad():
                position = torch.arange(size, device=device)
                distance = (position[:, None] - position).abs().float()
                slopes = torch.tensor(self.slopes, device=device)
                bias = self._bias = (-slopes[:, None, None] * distance).to(dtype)
        return bias[:, :length, :length]


class DNABERT2Block(nn.Module):
    """Post-norm block: self-attention, then gated MLP; the norms follow the residual sums."""

    def __init__(self, d_model: int, n_heads: int, d_inner: int, layer_norm_eps: float, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.norm1 = nn.LayerNorm(d_model, eps=layer_norm_eps)
        self.gated = nn.Linear(d_model, 2 * d_inner, bias=False)
        self.wo = nn.Linear(d_inner, d_model)
        self.norm2 = nn.LayerNorm(d_model, eps=layer_norm_eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x (B, T, D), bias (B or 1, H, T, T) -> (B, T, D)."""
        size, length, width = x.shape
        q, k, v = self.qkv(x).view(size, length, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        x = self.norm1(x + self.dropout(self.out(mixed.transpose(1, 2).reshape(size, length, width))))
        gate, value = self.gated(x).chunk(2, dim=-1)
        x = self.norm2(x + self.wo(self.dropout(F.gelu(gate) * value)))
        return x


class MaskedHead(nn.Module):
    """Dense, GELU, norm, then the (tied) word embedding and a bias."""

    def __init__(self, d_model: int, vocab_size: int, layer_norm_eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(d_model, d_model)
        self.norm = nn.LayerNorm(d_model, eps=layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        """x (B, T, D), words (V, D) -> (B, T, V)."""
        return F.linear(self.norm(F.gelu(self.dense(x))), words, self.bias)


class DNABERT2(Encoder):
    """DNABERT-2.

    Args:
        d_model: channels D. n_layers: blocks. n_heads: attention heads. d_inner: gated MLP width.
        max_length: longest sequence in bases; ALiBi itself has no limit, 10 kb is the longest that the authors evaluated.
        with_head: build the masked-token head.
    """

    tokenizer_files: ClassVar[tuple[str, ...]] = ("tokenizer.json",)
    tokenizer_hint: ClassVar[str] = (
        "DNABERT-2 needs its tokenizer.json, which cannot be generated: fetch the model with `findna-bench fetch dnabert2`, "
        "or pass a folder that holds tokenizer.json as the weights"
    )
    published_as: ClassVar[tuple[str, ...]] = ("bert_layers.BertForMaskedLM",)
    head_prefixes: ClassVar[tuple[str, ...]] = ("head.",)
    tokens_per_base: ClassVar[float] = 0.215
    """1000 random bases give 215 tokens (209 to 220) with the published vocabulary."""

    def __init__(
        self,
        *,
        d_model: int,
        n_layers: int,
        n_heads: int,
        d_inner: int,
        vocab_size: int = 4096,
        type_vocab_size: int = 2,
        layer_norm_eps: float = 1e-12,
        dropout: float = 0.1,
        max_length: int | None = 10_000,
        with_head: bool = True,
        files: Mapping[str, Path] | None = None,
    ) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"d_model {d_model} is not a multiple of n_heads {n_heads}")
        self.embed_dim, self.n_layers, self.max_length = d_model, n_layers, max_length
        path = (files or {}).get("tokenizer.json")
        self.tokenizer = BytePairTokenizer(path, max_length) if path is not None else None
        self.mask_token = self.tokenizer.mask if self.tokenizer is not None else None
        if self.tokenizer is not None and self.tokenizer.size > vocab_size:
            raise WeightsError(
                f"{path}: holds ids up to {self.tokenizer.size - 1}, but the model has {vocab_size} word embeddings"
            )
        self.words = nn.Embedding(vocab_size, d_model)
        self.types = nn.Embedding(type_vocab_size, d_model)
        self.norm = nn.LayerNorm(d_model, eps=layer_norm_eps)
        self.dropout = nn.Dropout(dropout)
        self.alibi = SymmetricALiBi(n_heads)
        self.blocks = nn.ModuleList(
            DNABERT2Block(d_model, n_heads, d_inner, layer_norm_eps, dropout) for _ in range(n_layers)
        )
        self.head = MaskedHead(d_model, vocab_size, layer_norm_eps) if with_head else None
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    @classmethod
    def adapt_checkpoint(cls, checkpoint: Checkpoint, config: Mapping[str, Any], network: str | None = None) -> Adapted:
        sizes = dict(config) | _published_sizes(checkpoint)
        sizes["with_head"] = "cls.predictions.transform.dense.weight" in checkpoint.tensors
        prefix = own_prefix(checkpoint.tensors, "bert.")
        names = {own: prefix + key for own, key in _EMBEDDING_KEYS.items()}
        for n in range(sizes["n_layers"]):
            names |= {f"blocks.{n}.{own}": f"{prefix}encoder.layer.{n}.{key}" for own, key in _BLOCK_KEYS.items()}
        if sizes["with_head"]:
            names |= _HEAD_KEYS
        ignored = {
            r"cls\.predictions\.decoder\.weight": "tied to the word embeddings",
            r"cls\.predictions\.bias": "the decoder's bias, stored again",
            r"(bert\.)?embeddings\.position_ids": "a range of integers, not used with ALiBi",
            r"(bert\.)?pooler\.dense\.(weight|bias)": "no pooling here uses the pooler",
        }
        tied = {"cls.predictions.decoder.weight": f"{prefix}embeddings.word_embeddings.weight"}
        if sizes["with_head"]:
            tied["cls.predictions.bias"] = "cls.predictions.decoder.bias"
        return translate(cls, sizes, checkpoint, names, ignored=ignored, tied=tied)

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        wanted = wanted_layers(layers, self.n_layers)
        x = self.dropout(self.norm(self.words(batch.inputs) + self.types.weight[0]))
        bias = self.alibi(x.shape[1], x.device, compute_dtype(x))[None]
        if not bool(batch.mask.all()):
            bias = bias.masked_fill(~batch.mask[:, None, None, :], -10000.0)
        x, kept = run_stack(x, self.blocks, bias, wanted=wanted, checkpointing=self.gradient_checkpointing)
        if self.n_layers in wanted:
            kept[self.n_layers] = x
        return Encoding(tokens=x, layers=kept if layers is not None else None)

    def analytic_flops(self, batch_size: int, n_tokens: int) -> int:
        """Per block: four projections, two products over pairs of tokens, three of the gated MLP."""
        width = self.embed_dim
        total = 0
        for block in self.blocks:
            assert isinstance(block, DNABERT2Block)
            per_token = 4 * width * width + 3 * width * block.wo.in_features + 2 * width * n_tokens
            total += 2 * batch_size * n_tokens * per_token
        return total

    def logits(self, batch: TokenBatch) -> Tensor:
        """(B, T, V): logits of the token at each position."""
        if self.head is None:
            raise self.no_head("cls.predictions.*")
        logits: Tensor = self.head(self.forward(batch).tokens, self.words.weight)
        return logits


_EMBEDDING_KEYS = {
    "words.weight": "embeddings.word_embeddings.weight",
    "types.weight": "embeddings.token_type_embeddings.weight",
    "norm.weight": "embeddings.LayerNorm.weight",
    "norm.bias": "embeddings.LayerNorm.bias",
}
_BLOCK_KEYS = {
    "gated.weight": "mlp.gated_layers.weight",
    **{
        f"{own}.{kind}": f"{key}.{kind}"
        for own, key in {
            "qkv": "attention.self.Wqkv",
            "out": "attention.output.dense",
            "norm1": "attention.output.LayerNorm",
            "wo": "mlp.wo",
            "norm2": "mlp.layernorm",
        }.items()
        for kind in ("weight", "bias")
    },
}
_HEAD_KEYS = {
    "head.dense.weight": "cls.predictions.transform.dense.weight",
    "head.dense.bias": "cls.predictions.transform.dense.bias",
    "head.norm.weight": "cls.predictions.transform.LayerNorm.weight",
    "head.norm.bias": "cls.predictions.transform.LayerNorm.bias",
    "head.bias": "cls.predictions.decoder.bias",
}


def _published_sizes(checkpoint: Checkpoint) -> dict[str, Any]:
    """Sizes from ``config.json``.

    Raises:
        WeightsError: a size is missing, or the file describes another activation.
    """
    config, source = checkpoint.config, checkpoint.source or "checkpoint"
    if config is None:
        return {}
    if config.get("hidden_act", "gelu") != "gelu":
        raise WeightsError(f"{source}: hidden_act {config['hidden_act']!r} is not DNABERT-2's gelu")
    names = {
        "d_model": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "d_inner": "intermediate_size",
        "vocab_size": "vocab_size",
    }
    sizes = {own: config_value(config, name, source=source) for own, name in names.items()}
    if "type_vocab_size" in config:
        sizes["type_vocab_size"] = config_value(config, "type_vocab_size", source=source)
    for own, name in {"layer_norm_eps": "layer_norm_eps", "dropout": "hidden_dropout_prob"}.items():
        if name in config:
            sizes[own] = config_value(config, name, source=source, kind=float)
    return sizes
