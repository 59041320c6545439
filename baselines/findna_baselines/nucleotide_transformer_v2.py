"""Nucleotide Transformer v2 (Dalla-Torre et al. 2023/2024, doi:10.1038/s41592-024-02523-z): pre-LN, rotary, bias-free SwiGLU.

Written from the published description and checked against outputs of the authors' implementation. The code is the project's;
the weights are CC-BY-NC-SA-4.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from findna_baselines.checkpoints import config_value, own_prefix, translate
from findna_baselines.encoder import Encoder, key_padding_mask, run_stack, unless_narrower, wanted_layers
from findna_baselines.tokenization import KmerVocabulary, SixmerTokenizer
from findna_bench.api import Adapted, Checkpoint, Encoding, TokenBatch, WeightsError

__all__ = ["ESM_HEAD_KEYS", "EsmHead", "NucleotideTransformerV2", "sixmer_tokenizer"]

_ROTARY_BASE = 10_000.0
_LONGEST_KMER = 8
SPECIAL_V1 = ("<unk>", "<pad>", "<mask>", "<cls>")
SPECIAL_V2 = (*SPECIAL_V1, "<eos>", "<bos>")


def sixmer_tokenizer(files: Mapping[str, Path] | None, vocab_size: int, max_tokens: int) -> SixmerTokenizer:
    """From ``vocab.txt`` where it came with the weights, else by the published rule of v1 (4105 tokens) or v2 (4107).

    6-mers; the length of the k-mers is the largest of which all fit into the vocabulary.

    Raises:
        WeightsError: the vocabulary does not belong to a model with ``vocab_size`` word embeddings.
    """
    path, k = (files or {}).get("vocab.txt"), (vocab_size.bit_length() - 1) // 2
    if not 1 <= k <= _LONGEST_KMER:
        raise WeightsError(f"vocab_size {vocab_size} is not that of a model over k-mers of 1 to {_LONGEST_KMER} bases")
    special = SPECIAL_V2 if vocab_size == 4**k + len(SPECIAL_V2) + 5 else SPECIAL_V1
    vocabulary = KmerVocabulary.from_file(path, k) if path else KmerVocabulary.by_rule(special, k, tuple("ATCGN"))
    used = max(int(vocabulary.kmer_ids().max()), *(vocabulary.id(token) for token in (*"ACGTN", *SPECIAL_V1))) + 1
    if vocab_size not in (used, len(vocabulary)):
        raise WeightsError(
            f"{vocabulary.source}: {len(vocabulary)} tokens do not fit a model with {vocab_size} word embeddings"
        )
    return SixmerTokenizer(vocabulary, max_tokens)


class Rotary(nn.Module):
    """Rotary positions (Su et al. 2021) over halves of each head, with the checkpoint's frequencies."""

    inv_freq: Tensor

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        exponent = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
        self.register_buffer("inv_freq", 1.0 / _ROTARY_BASE**exponent)
        self._tables: tuple[Tensor, Tensor, Tensor, int] | None = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Rotary:
        """Move with the module, but keep the frequencies in fp32 at least."""
        nn.Module._apply(self, unless_narrower(fn), recurse)
        self._tables = None
        return self

    def forward(self, length: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """cos and sin, each (length, head_dim)."""
        known = self._tables
        if known is None or known[0] is not self.inv_freq or known[3] < length or known[1].dtype != dtype:
            # Not inference tensors, which could not serve a later training step.
            with torch.inference_mode(False), torch.no_grad():
                position = torch.arange(length, device=self.inv_freq.device, dtype=self.inv_freq.dtype)
                angle = torch.outer(position, self.inv_freq)
                angle = torch.cat((angle, angle), dim=-1)
                known = self._tables = (self.inv_freq, angle.cos().to(dtype), angle.sin().to(dtype), length)
        return known[1][:length], known[2][:length]


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each head's (first half, second half) pairs: x (B, H, T, d)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class NucleotideTransformerV2Block(nn.Module):
    """Pre-norm block: rotary self-attention, then SwiGLU."""

    def __init__(self, d_model: int, n_heads: int, d_inner: int, layer_norm_eps: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm1 = nn.LayerNorm(d_model, eps=layer_norm_eps)
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)
        self.norm2 = nn.LayerNorm(d_model, eps=layer_norm_eps)
        self.gated = nn.Linear(d_model, 2 * d_inner, bias=False)
        self.down = nn.Linear(d_inner, d_model, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """x (B, T, D), mask (B, 1, 1, T) bool or None -> (B, T, D)."""
        size, length, width = x.shape
        normed = self.norm1(x)
        q, k, v = (
            layer(normed).view(size, length, self.n_heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        cos, sin = cos.to(q.dtype), sin.to(q.dtype)
        mixed = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, attn_mask=mask)
        x = x + self.out(mixed.transpose(1, 2).reshape(size, length, width))
        gate, value = self.gated(self.norm2(x)).chunk(2, dim=-1)
        x = x + self.down(F.silu(gate) * value)
        return x


class EsmHead(nn.Module):
    """ESM's masked-token head: dense, GELU, norm, untied decoder."""

    def __init__(self, d_model: int, vocab_size: int, layer_norm_eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(d_model, d_model)
        self.norm = nn.LayerNorm(d_model, eps=layer_norm_eps)
        self.decoder = nn.Linear(d_model, vocab_size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, V)."""
        logits: Tensor = self.decoder(self.norm(F.gelu(self.dense(x))))
        return logits


ESM_HEAD_KEYS = {
    "head.dense.weight": "lm_head.dense.weight",
    "head.dense.bias": "lm_head.dense.bias",
    "head.norm.weight": "lm_head.layer_norm.weight",
    "head.norm.bias": "lm_head.layer_norm.bias",
    "head.decoder.weight": "lm_head.decoder.weight",
    "head.decoder.bias": "lm_head.bias",
}


class NucleotideTransformerV2(Encoder):
    """Nucleotide Transformer v2.

    The published parameter count includes learned positions and a contact head that rotary models never use; they are
    loaded, counted and frozen, so that the count can be compared with the literature and the checkpoint stays whole.

    Args:
        d_model: channels D. n_layers: blocks. n_heads: attention heads. d_inner: SwiGLU width.
        max_positions: rows of the unused position table; the model takes two tokens fewer, [CLS] included.
        with_head: build the masked-token head.
    """

    tokenizer: SixmerTokenizer
    optional_tokenizer_files: ClassVar[tuple[str, ...]] = ("vocab.txt",)
    published_as: ClassVar[tuple[str, ...]] = ("modeling_esm.EsmForMaskedLM",)
    head_prefixes: ClassVar[tuple[str, ...]] = ("head.",)

    def __init__(
        self,
        *,
        d_model: int,
        n_layers: int,
        n_heads: int,
        d_inner: int,
        vocab_size: int = 4107,
        max_positions: int = 2050,
        layer_norm_eps: float = 1e-12,
        with_head: bool = True,
        files: Mapping[str, Path] | None = None,
    ) -> None:
        super().__init__()
        if d_model % (2 * n_heads):
            raise ValueError(f"d_model {d_model} does not give {n_heads} heads of even width")
        self.tokenizer = sixmer_tokenizer(files, vocab_size, max_positions - 2)
        self.embed_dim, self.n_layers, self.max_length = d_model, n_layers, self.tokenizer.max_length
        self.mask_token = self.tokenizer.mask
        self.words = nn.Embedding(vocab_size, d_model)
        self.rotary = Rotary(d_model // n_heads)
        self.blocks = nn.ModuleList(
            NucleotideTransformerV2Block(d_model, n_heads, d_inner, layer_norm_eps) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(d_model, eps=layer_norm_eps)
        self.unused_positions = nn.Embedding(max_positions, d_model).requires_grad_(False)
        self.unused_contacts = nn.Linear(n_layers * n_heads, 1).requires_grad_(False)
        self.head = EsmHead(d_model, vocab_size, layer_norm_eps) if with_head else None
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    @classmethod
    def adapt_checkpoint(cls, checkpoint: Checkpoint, config: Mapping[str, Any], network: str | None = None) -> Adapted:
        sizes = dict(config) | _published_sizes(checkpoint)
        sizes["with_head"] = "lm_head.dense.weight" in checkpoint.tensors
        prefix = own_prefix(checkpoint.tensors, "esm.")
        names = {own: prefix + key for own, key in _OUTER_KEYS.items()}
        for n in range(sizes["n_layers"]):
            names |= {f"blocks.{n}.{own}": f"{prefix}encoder.layer.{n}.{key}" for own, key in _BLOCK_KEYS.items()}
        if sizes["with_head"]:
            names |= ESM_HEAD_KEYS
        frequencies = prefix + "encoder.layer.{}.attention.self.rotary_embeddings.inv_freq"
        tied = {frequencies.format(n): frequencies.format(0) for n in range(1, sizes["n_layers"])}
        computed = {"rotary.inv_freq": Rotary(sizes["d_model"] // sizes["n_heads"]).inv_freq}
        ignored = {
            r".*\.rotary_embeddings\.inv_freq": "the same frequencies as in layer 0, stored again",
            r"(esm\.)?embeddings\.position_ids": "a range of integers",
            r"lm_head\.decoder\.bias": "lm_head.bias, stored again",
        }
        if sizes["with_head"]:
            tied["lm_head.decoder.bias"] = "lm_head.bias"
        return translate(cls, sizes, checkpoint, names, computed=computed, ignored=ignored, tied=tied)

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        wanted = wanted_layers(layers, self.n_layers)
        x = self.words(batch.inputs)
        cos, sin = self.rotary(x.shape[1], x.dtype)
        mask = key_padding_mask(batch)
        x, kept = run_stack(x, self.blocks, cos, sin, mask, wanted=wanted, checkpointing=self.gradient_checkpointing)
        x = self.norm(x)
        if self.n_layers in wanted:
            kept[self.n_layers] = x
        return Encoding(tokens=x, layers=kept if layers is not None else None)

    def analytic_flops(self, batch_size: int, n_tokens: int) -> int:
        """Per block: four projections, two products over pairs of tokens, three of the gated MLP."""
        width = self.embed_dim
        total = 0
        for block in self.blocks:
            assert isinstance(block, NucleotideTransformerV2Block)
            per_token = 4 * width * width + 3 * width * block.down.in_features + 2 * width * n_tokens
            total += 2 * batch_size * n_tokens * per_token
        return total

    def logits(self, batch: TokenBatch) -> Tensor:
        """(B, T, V): logits of the token at each position."""
        if self.head is None:
            raise self.no_head("lm_head.*")
        logits: Tensor = self.head(self.forward(batch).tokens)
        return logits


_OUTER_KEYS = {
    "words.weight": "embeddings.word_embeddings.weight",
    "rotary.inv_freq": "encoder.layer.0.attention.self.rotary_embeddings.inv_freq",
    "norm.weight": "encoder.emb_layer_norm_after.weight",
    "norm.bias": "encoder.emb_layer_norm_after.bias",
    "unused_positions.weight": "embeddings.position_embeddings.weight",
    "unused_contacts.weight": "contact_head.regression.weight",
    "unused_contacts.bias": "contact_head.regression.bias",
}
_BLOCK_KEYS = {
    "gated.weight": "intermediate.dense.weight",
    "down.weight": "output.dense.weight",
    **{
        f"{own}.{kind}": f"{key}.{kind}"
        for own, key in {
            "norm1": "attention.LayerNorm",
            "query": "attention.self.query",
            "key": "attention.self.key",
            "value": "attention.self.value",
            "out": "attention.output.dense",
            "norm2": "LayerNorm",
        }.items()
        for kind in ("weight", "bias")
    },
}


def _published_sizes(checkpoint: Checkpoint) -> dict[str, Any]:
    """Sizes from ``config.json``.

    Raises:
        WeightsError: a size is missing, or the file describes another architecture.
    """
    config, source = checkpoint.config, checkpoint.source or "checkpoint"
    if config is None:
        return {}
    expected = {
        "position_embedding_type": "rotary",
        "emb_layer_norm_before": False,
        "token_dropout": False,
        "add_bias_fnn": False,
    }
    for name, value in expected.items():
        if config.get(name, value) not in (value, None):
            raise WeightsError(f"{source}: config.json says {name} = {config[name]!r}, v2 models have {value!r}")
    names = {
        "d_model": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "d_inner": "intermediate_size",
        "vocab_size": "vocab_size",
        "max_positions": "max_position_embeddings",
    }
    sizes = {own: config_value(config, name, source=source) for own, name in names.items()}
    if "layer_norm_eps" in config:
        sizes["layer_norm_eps"] = config_value(config, "layer_norm_eps", source=source, kind=float)
    return sizes
