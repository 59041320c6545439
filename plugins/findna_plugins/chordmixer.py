"""ChordMixer, the backbone of FinDNA: blocks of an MLP over channels followed by a rotation of channel tracks over positions.

Sources: Yu et al., "Self-distillation improves DNA sequence inference" (arXiv 2405.08538), section 3.1; Khalitov et al.,
"ChordMixer" (arXiv 2206.05852). Checkpoints: ``wiedersehne/FinDNA`` at e3e72f1.

Shapes: B batch, T positions (= bases), C channels, N = all positions of a batch that are not padding.

One block computes ``x + Rot(MLP(x))`` with ``Rot(y)[t, track i] = y[(t + s_i) mod L, track i]``, ``s_0 = 0``,
``s_i = 2 ** (i - 1)``. Three formulations of the same function:

* ``plain``: ``torch.roll`` per track, concatenation, addition; the reference.
* ``fused``: positions of all sequences in one (N, C) matrix without padding, and rotation and residual in one pass that
  writes each track once, already shifted; with gradient in portions (:mod:`findna_plugins.chordmixer_training`). Default on the CPU.
* ``gather``: a padded (B, T, C) tensor and one gather per block whose backward is the inverse gather, channels padded to
  a multiple of 64. Default on CUDA; the block may be compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from findna_bench.api import (
    Adapted,
    Backbone,
    Checkpoint,
    Encoding,
    ModelError,
    TokenBatch,
    encode_padded,
)
from findna_plugins.bases import ALPHABET, BLANK, BaseEmbedding, base_rule_digest, tokenize_bases
from findna_plugins.chordmixer_inference import MixedInPlace, Products
from findna_plugins.chordmixer_rotation import (
    Groups,
    Tracks,
    gather_rotated,
    rotate,
    rotate_add,
    rotation_index,
)
from findna_plugins.chordmixer_training import Portions, block_by_portions

__all__ = ["REFERENCE_ADAPTATIONS", "ChordMixer", "Tracks", "rotate", "rotate_add"]

AUTHORS_ALPHABET = "ACGNT"
"""Channel order of the released checkpoints: scikit-learn's LabelBinarizer sorts the letters."""

CHUNK_POSITIONS = 2048
"""Positions that go through all blocks together at inference on one CPU thread, so that activations stay in the cache."""

REFERENCE_ADAPTATIONS: Mapping[str, Mapping[str, int]] = {
    name: {"length": length, "track_size": track_size, "blocks_per_layer": blocks, "layers": layers}
    for name, (length, track_size, blocks, layers) in {
        "human_nontata_promoters": (251, 50, 8, 4),
        "human_enhancers_cohn": (500, 40, 9, 3),
        "demo_human_or_worm": (200, 50, 8, 4),
        "dummy_mouse_enhancers_ensembl": (4776, 24, 13, 2),
        "demo_coding_vs_intergenomic_seqs": (200, 38, 8, 2),
        "human_enhancers_ensembl": (573, 40, 10, 3),
        "human_ensembl_regulatory": (802, 36, 10, 4),
        "human_ocr_ensembl": (593, 30, 10, 2),
        **{f"emp_{mark}": (500, 38, 9, 4) for mark in ("H3", "H3K4me2", "H3K4me3", "H3K14ac")},
        **{f"emp_{mark}": (500, 40, 9, 4) for mark in ("H4", "H3K4me1", "H3K36me3", "H4ac", "H3K79me3", "H3K9ac")},
        "virus_covid": (999, 28, 10, 4),
        "mtcdna-1024": (1024, 28, 10, 4),
        "mtcdna-4096": (4096, 24, 12, 4),
        "mtcdna-8192": (8192, 22, 13, 4),
        "mtcdna-16384": (16384, 20, 14, 4),
    }.items()
}
"""How the authors' fine-tuning scripts re-cut the network per data set (``config_gb.yaml``, ``config_gue.yaml``)."""


class _GeluLinear(torch.autograd.Function):
    """``linear(gelu(h), weight, bias)`` that keeps ``h`` only and computes the GELU again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        # Under autocast h has the short format and the weights the long one; backward runs without autocast.
        weight, bias = weight.to(h.dtype), bias.to(h.dtype)
        ctx.save_for_backward(h, weight)
        return functional.linear(functional.gelu(h), weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h, weight = ctx.saved_tensors
        gradient = gradients[0].to(h.dtype)
        flat = gradient.reshape(-1, gradient.shape[-1])
        activated = functional.gelu(h).reshape(-1, h.shape[-1])
        to_h = torch.ops.aten.gelu_backward(gradient @ weight, h)
        return to_h, flat.t() @ activated, flat.sum(0)


class ChordMixerBlock(nn.Module):
    """``x + Rot(drop(MLP(norm(x))))``, then an optional norm; holds the weights, the backbone chooses how to rotate."""

    def __init__(self, channels: int, hidden: int, norm: str, dropout: float, layer_dropout: float) -> None:
        super().__init__()
        self.norm_pre = nn.LayerNorm(channels) if norm in ("pre", "prepost") else nn.Identity()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)
        self.norm_post = nn.LayerNorm(channels) if norm == "prepost" else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.layer_dropout = nn.Dropout(layer_dropout)

    @property
    def bare(self) -> bool:
        """Whether nothing but the two products and the GELU happens in :meth:`mix` just now, and their weights say all.

        Low-rank adapters stand in place of a linear layer and have its ``weight``, but compute something else.
        """
        drops = self.training and (self.dropout.p > 0 or self.layer_dropout.p > 0)
        norms = not (isinstance(self.norm_pre, nn.Identity) and isinstance(self.norm_post, nn.Identity))
        return not drops and not norms and isinstance(self.fc1, nn.Linear) and isinstance(self.fc2, nn.Linear)

    def mix(self, x: Tensor) -> Tensor:
        """The MLP with its norm and dropouts: (..., C) -> (..., C)."""
        hidden = self.dropout(functional.gelu(self.fc1(self.norm_pre(x))))
        mixed: Tensor = self.layer_dropout(self.dropout(self.fc2(hidden)))
        return mixed


def _gather_block(
    x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, index: Tensor, inverse: Tensor, recompute: bool
) -> Tensor:
    """One bare block on a padded (B, T, C) tensor."""
    h = functional.linear(x, w1, b1)
    y = _GeluLinear.apply(h, w2, b2) if recompute else functional.linear(functional.gelu(h), w2, b2)
    return x + gather_rotated(y, index, inverse)


@dataclass(frozen=True)
class _Packing:
    """Where the positions of a right-padded batch go in an (N, C) matrix."""

    groups: Groups
    rows: Tensor | None
    """(N,) index into the flattened (B * T) positions; None where nothing is padded."""

    @classmethod
    def of(cls, lengths: list[int], total: int, device: torch.device) -> _Packing:
        if all(length == total for length in lengths):
            return cls(((0, len(lengths), total),), None)
        order = sorted(range(len(lengths)), key=lambda i: lengths[i])
        rows = torch.cat([torch.arange(lengths[i]) + i * total for i in order])
        groups, start = [], 0
        for length in sorted(set(lengths)):
            count = lengths.count(length)
            if length:
                groups.append((start, count, length))
            start += count * length
        return cls(tuple(groups), rows.to(device))


class ChordMixer(Backbone):
    """ChordMixer encoder with the nucleotide head of FinDNA.

    Arguments (all sizes as in the paper): ``channels`` C, ``track_size`` channels per track, ``hidden`` width of the MLP,
    ``layers`` of ``blocks_per_layer`` blocks each. ``norm`` none, pre or prepost; ``dropout`` after GELU and after the second
    product; ``layer_dropout`` before the rotation.

    ``directions``: ``left`` moves content to the left in every block (the paper); what lies left of a position then reaches it
    only by going around the circle, log2(L) blocks for the nearest neighbour. ``alternate`` moves it to the right in every
    second block.

    ``padding``: ``own-length`` rotates modulo each sequence's own length, so that an embedding depends on neither padding nor
    batch; ``authors`` appends blank rows up to ``padded_length``, rotates modulo that, and counts them as positions.

    ``adapt`` (with ``length``, the longest sequence of the task): ``keep`` leaves the network as it is; ``extend`` gives it
    ``ceil(log2(length))`` blocks per layer and as many tracks plus one where that is more than it has, new blocks starting as
    identity (``new_blocks="default"``: as the authors', randomly); ``reference`` re-cuts it as the authors' script does for
    ``task`` (:data:`REFERENCE_ADAPTATIONS`).

    ``head_output``: ``sigmoid`` for the authors' release, whose nucleotide head was trained as five sigmoids of ten times its
    output; a cross-entropy of it says nothing, so such a network names no ``mask_token`` for the sanity check.

    ``formulation``: ``auto`` (``fused`` on the CPU, ``gather`` on CUDA), ``plain``, ``fused``, ``gather``.
    ``recompute_gelu`` keeps the activation before the GELU only, which saves about 40 % of the memory of training; in float32 on the CPU
    that is done in any case.

    Raises:
        ModelError: impossible sizes or an unknown option.
    """

    head_prefixes: ClassVar[tuple[str, ...]] = ("head.",)

    def __init__(
        self,
        *,
        channels: int = 308,
        track_size: int = 28,
        hidden: int = 512,
        layers: int = 4,
        blocks_per_layer: int = 10,
        norm: Literal["none", "pre", "prepost"] = "none",
        dropout: float = 0.0,
        layer_dropout: float = 0.0,
        directions: Literal["left", "alternate"] = "left",
        padding: Literal["own-length", "authors"] = "own-length",
        padded_length: int | None = None,
        adapt: Literal["keep", "extend", "reference"] = "extend",
        length: int | None = None,
        task: str | None = None,
        new_blocks: Literal["identity", "default"] = "identity",
        head_output: Literal["softmax", "sigmoid"] = "softmax",
        formulation: Literal["auto", "plain", "fused", "gather"] = "auto",
        recompute_gelu: bool = False,
    ) -> None:
        super().__init__()
        sizes = {"channels": channels, "track_size": track_size, "hidden": hidden, "layers": layers}
        for name, value in {**sizes, "blocks_per_layer": blocks_per_layer}.items():
            if not isinstance(value, int) or value < 1:
                raise ModelError(f"ChordMixer: {name} must be a positive whole number, not {value!r}")
        _one_of("norm", norm, ("none", "pre", "prepost"))
        _one_of("directions", directions, ("left", "alternate"))
        _one_of("padding", padding, ("own-length", "authors"))
        _one_of("head_output", head_output, ("softmax", "sigmoid"))
        _one_of("formulation", formulation, ("auto", "plain", "fused", "gather"))
        if padding == "authors" and padded_length is None:
            raise ModelError('ChordMixer: padding "authors" needs padded_length, the longest sequence of the data set')
        # `adapt` changes what is built, so it is applied to the sizes here and to the checkpoint in adapt_checkpoint.
        cut = _adapted_sizes(channels, track_size, layers, blocks_per_layer, adapt, length, task)
        self.track_size, self.layers_count, self.blocks_per_layer = cut
        self.new_blocks = new_blocks
        self.channels, self.hidden, self.norm = channels, hidden, norm
        self.signs = tuple(-1 if directions == "alternate" and i % 2 else 1 for i in range(self.blocks_per_layer))
        self.padding, self.padded_length = padding, padded_length
        self.formulation, self.recompute_gelu = formulation, recompute_gelu
        self.tracks = Tracks.cut(channels, self.track_size)
        self.embed_dim, self.n_layers = channels, self.layers_count
        self.max_length = padded_length if padding == "authors" else None
        self.embedding = BaseEmbedding(channels)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                ChordMixerBlock(channels, hidden, norm, dropout, layer_dropout) for _ in range(self.blocks_per_layer)
            )
            for _ in range(self.layers_count)
        )
        self.head = nn.Linear(channels, len(ALPHABET))
        self.mask_token = BLANK if head_output == "softmax" else None
        self._block: Callable[..., Tensor] = _gather_block

    @classmethod
    def from_config(cls, config: Mapping[str, Any], files: Mapping[str, Path] | None = None) -> ChordMixer:
        """Build with ``config`` as keyword arguments."""
        try:
            return cls(**config)
        except TypeError as error:
            raise ModelError(
                f"ChordMixer: {error}; see `findna-bench describe chordmixer` for its arguments"
            ) from error

    # ------------------------------------------------------------------------------------------------ checkpoints

    @classmethod
    def adapt_checkpoint(cls, checkpoint: Checkpoint, config: Mapping[str, Any], network: str | None = None) -> Adapted:
        """Read the authors' layout (``Teacher.*``, ``Student.*``) or this project's own (``teacher.*``, ``student.*`` or bare).

        Sizes are read off the tensors; a ``config.json`` beside the weights, else the number of tracks = blocks per layer + 1,
        decides the width of a track. The authors' channel order A,C,G,N,T becomes A,C,G,T,N.
        """
        from findna_plugins.chordmixer_checkpoint import adapt

        return adapt(checkpoint, config, network)

    @classmethod
    def adapt_own(cls, checkpoint: Checkpoint, config: Mapping[str, Any], network: str | None = None) -> Adapted:
        """As :meth:`adapt_checkpoint`: a model folder, too, can be adapted to longer sequences."""
        return cls.adapt_checkpoint(checkpoint, config, network)

    # --------------------------------------------------------------------------------------------------- tokens

    def tokenizer_digest(self) -> str:
        """One token per base, and how it is padded."""
        return base_rule_digest(f"padding={self.padding}:{self.padded_length}")

    def token_counts(self, lengths: Sequence[int]) -> list[int]:
        """One token per base, or the padded length."""
        if self.padding == "authors":
            return [self.padded_length or 0] * len(lengths)
        return list(lengths)

    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        """(B, T) uint8 codes; T is the longest sequence, or ``padded_length`` with ``padding="authors"``."""
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        if self.padding == "authors":
            codes = torch.from_numpy(
                encode_padded([s[: self.max_length] for s in sequences], length=self.padded_length)
            )
            real = torch.arange(codes.shape[1])[None, :] < lengths[:, None]
            # The authors' blank rows are positions like any other: rotated, and part of the mean.
            return TokenBatch(
                inputs=codes.masked_fill(~real, BLANK),
                mask=torch.ones_like(real),
                special=torch.zeros_like(real),
                spans=real.long(),
                lengths=lengths,
            )
        return tokenize_bases(sequences)

    # -------------------------------------------------------------------------------------------------- forward

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        """Mixer output (B, T, C), zero at padding; layer 0 is the input projection, layer i the output of layer i."""
        formulation = self.formulation
        if formulation == "auto":
            formulation = "gather" if batch.inputs.device.type == "cuda" and self.norm == "none" else "fused"
        wanted = frozenset(layers or ())
        run = self._forward_gather if formulation == "gather" else self._forward_packed
        states = run(batch, wanted, formulation == "plain")
        tokens = states[self.n_layers]
        return Encoding(tokens=tokens, layers={i: states[i] for i in layers} if layers is not None else None)

    def logits(self, batch: TokenBatch) -> Tensor:
        """(B, T, 5) nucleotide logits in the order A, C, G, T, N."""
        result: Tensor = self.head(self(batch).tokens)
        return result

    def hidden_logits(self, sequences: Sequence[str], hidden: Sequence[Sequence[int]]) -> Tensor:
        """(M, 5) logits at hidden positions, all rows one after the other; rows of one sequence are computed where they differ from it."""
        from findna_plugins.chordmixer_hidden import changed_logits

        if not self._computes_changes:
            return super().hidden_logits(sequences, hidden)
        rows: dict[tuple[str, tuple[int, ...]], list[int]] = {}
        for row, (sequence, own) in enumerate(zip(sequences, hidden, strict=True)):
            rows.setdefault((sequence, tuple(place - own[0] for place in own)), []).append(row)
        found: dict[int, Tensor] = {}
        with torch.inference_mode():
            for (sequence, _), some in rows.items():
                codes = self.tokenize([sequence]).inputs[0]
                logits = changed_logits(self, codes, np.array([hidden[row] for row in some])) if len(some) > 1 else None
                found |= dict(zip(some, logits, strict=True)) if logits is not None else {}
        left = [row for row in range(len(sequences)) if row not in found]
        if left:
            whole = super().hidden_logits([sequences[row] for row in left], [hidden[row] for row in left])
            found |= dict(zip(left, whole.split([len(hidden[row]) for row in left]), strict=True))
        return torch.cat([found[row] for row in range(len(sequences))])

    @property
    def _computes_changes(self) -> bool:
        """Whether a row is nothing but bare blocks over its own length, in the format of the weights, on a CPU."""
        weight = self.embedding.weight
        return (
            weight.device.type == "cpu"
            and _compute_format(weight.device, weight.dtype) == weight.dtype
            and self.padding == "own-length"
            and self.mask_token is not None
            and not self.training
            and all(block.bare for block in self._blocks())
        )

    def blocks_in_order(self) -> tuple[list[ChordMixerBlock], tuple[int, ...]]:
        """All blocks of all layers, and which way the tracks of each move."""
        return self._blocks(), self.signs * self.layers_count

    def compile_blocks(self, **options: Any) -> None:
        """Compile one block of the ``gather`` formulation and use it for all (``options`` go to ``torch.compile``)."""
        self._block = torch.compile(_gather_block, **options)

    def use_formulation(self, name: Literal["plain", "fast"]) -> None:
        """``plain``: the reference formulation; ``fast``: what is best on the device of the batch."""
        self.formulation = "plain" if name == "plain" else "auto"

    def analytic_flops(self, batch_size: int, n_tokens: int) -> int:
        """Two products per block and position; the input projection of codes is a look-up, and rotations cost no operation."""
        blocks = self.layers_count * self.blocks_per_layer
        return 2 * batch_size * n_tokens * blocks * 2 * self.channels * self.hidden

    def _forward_packed(self, batch: TokenBatch, wanted: frozenset[int], plain: bool) -> dict[int, Tensor]:
        rows_per_batch, total = batch.mask.shape
        packing = _Packing.of(batch.mask.sum(1).tolist(), total, batch.inputs.device)
        inputs = batch.inputs.reshape(rows_per_batch * total, *batch.inputs.shape[2:])
        inputs = inputs if packing.rows is None else inputs[packing.rows]
        if torch.is_grad_enabled() or self.training or plain:
            states = self._run_blocks(inputs, packing.groups, wanted, plain)
        else:
            states = self._run_chunked(inputs, packing.groups, wanted)
        return {i: self._unpack(state, packing, rows_per_batch, total) for i, state in states.items()}

    def _run_chunked(self, inputs: Tensor, groups: Groups, wanted: frozenset[int]) -> dict[int, Tensor]:
        """Inference: a few sequences at a time through all blocks, so that their activations stay in the cache."""
        limit = CHUNK_POSITIONS * torch.get_num_threads()
        short = _compute_format(inputs.device, self.embedding.weight.dtype)
        products = [Products.of(block.fc1, block.fc2, short) if block.bare else None for block in self._blocks()]
        chunks: list[dict[int, Tensor]] = []
        for row, count, length in groups:
            step = max(1, limit // length)
            for first in range(0, count, step):
                part = min(step, count - first)
                start = row + first * length
                chunk = inputs[start : start + part * length]
                chunks.append(self._run_in_place(chunk, (0, part, length), products, wanted))
        keys = chunks[0].keys()
        return {i: torch.cat([chunk[i] for chunk in chunks]) for i in keys}

    def _run_in_place(
        self, inputs: Tensor, group: tuple[int, int, int], products: list[Products | None], wanted: frozenset[int]
    ) -> dict[int, Tensor]:
        """(N,) codes or (N, 5) rows of sequences of one length -> hidden states (N, C); every block adds to the same tensor."""
        start = self.embedding(inputs).to(self.embedding.weight.dtype)
        width = max((p.into_hidden.shape[1] for p in products if p is not None), default=self.channels)
        mixed = MixedInPlace(start, width, (group,), self.tracks)
        x = mixed.x
        states = {0: start} if 0 in wanted else {}
        blocks, signs = self.blocks_in_order()
        for i, (block, bare, sign) in enumerate(zip(blocks, products, signs, strict=True), start=1):
            if bare is not None:
                mixed.mix_(bare)
            else:
                mixed.set_(block.mix(x))
            mixed.add_rotated_(sign)
            if not isinstance(block.norm_post, nn.Identity):
                x.copy_(block.norm_post(x))
            layer, rest = divmod(i, self.blocks_per_layer)
            if not rest and layer in wanted and layer < self.n_layers:
                states[layer] = x.clone()
        return {**states, self.n_layers: x}

    def _run_blocks(self, inputs: Tensor, groups: Groups, wanted: frozenset[int], plain: bool) -> dict[int, Tensor]:
        """(N,) codes or (N, 5) rows -> hidden states (N, C) of the layers wanted and of the last."""
        x = self.embedding(inputs)
        states = {0: x} if 0 in wanted else {}
        portions = None if plain else self._portions(x, groups)
        for number, blocks in enumerate(self.layers, start=1):
            for block, sign in zip(blocks, self.signs, strict=True):  # type: ignore[call-overload]
                if plain:
                    x = block.norm_post(x + self._rotate_plain(block.mix(x), groups, sign))
                elif portions is not None and block.bare:
                    x = block_by_portions(x, block.fc1, block.fc2, portions, sign)
                else:
                    x = block.norm_post(rotate_add(x, self._mix(block, x), groups, self.tracks, sign))
            if number in wanted or number == self.n_layers:
                states[number] = x
        return states

    def _portions(self, x: Tensor, groups: Groups) -> Portions | None:
        """What bare blocks are computed in, where it is worth it: on a CPU, in the format of the weights."""
        if x.device.type != "cpu" or not groups or _compute_format(x.device, x.dtype) != x.dtype:
            return None
        return Portions(groups, self.tracks, x, self.hidden)

    def _blocks(self) -> list[ChordMixerBlock]:
        return [block for blocks in self.layers for block in blocks]  # type: ignore[attr-defined]

    def _mix(self, block: ChordMixerBlock, x: Tensor) -> Tensor:
        if self.recompute_gelu and block.bare:
            mixed: Tensor = _GeluLinear.apply(block.fc1(x), block.fc2.weight, block.fc2.bias)
            return mixed
        return block.mix(x)

    def _rotate_plain(self, y: Tensor, groups: Groups, sign: int) -> Tensor:
        rotated = [
            rotate(y[row : row + count * length].view(count, length, -1), self.tracks, sign).reshape(count * length, -1)
            for row, count, length in groups
        ]
        return torch.cat(rotated)

    @staticmethod
    def _unpack(state: Tensor, packing: _Packing, rows: int, total: int) -> Tensor:
        if packing.rows is None:
            return state.view(rows, total, -1)
        padded = state.new_zeros(rows * total, state.shape[-1])
        return padded.index_copy(0, packing.rows, state).view(rows, total, -1)

    def _forward_gather(self, batch: TokenBatch, wanted: frozenset[int], plain: bool) -> dict[int, Tensor]:
        """Padded (B, T, C') with C' the channels rounded up to a multiple of 64; the extra channels are exactly zero."""
        if self.norm != "none":
            raise ModelError('ChordMixer: the formulation "gather" has no norms; use "fused" or "plain"')
        extra = -self.channels % 64
        index, inverse = rotation_index(batch.mask, self.tracks, self.channels + extra)
        x = functional.pad(self.embedding(batch.inputs), (0, extra))
        states = {0: x} if 0 in wanted else {}
        for number, blocks in enumerate(self.layers, start=1):
            for block, sign in zip(blocks, self.signs, strict=True):  # type: ignore[call-overload]
                to, back = (index, inverse) if sign > 0 else (inverse, index)
                if block.bare:
                    w1 = functional.pad(block.fc1.weight, (0, extra))
                    w2 = functional.pad(block.fc2.weight, (0, 0, 0, extra))
                    b2 = functional.pad(block.fc2.bias, (0, extra))
                    x = self._block(x, w1, block.fc1.bias, w2, b2, to, back, self.recompute_gelu)
                else:
                    y = functional.pad(block.mix(x[..., : self.channels]), (0, extra))
                    x = x + gather_rotated(y, to, back)
            if number in wanted or number == self.n_layers:
                states[number] = x
        keep = batch.mask[..., None]
        return {i: (state[..., : self.channels]).masked_fill(~keep, 0.0) for i, state in states.items()}


def _compute_format(device: torch.device, weights: torch.dtype) -> torch.dtype:
    """The format of products: that of autocast, which leaves float64 alone, else that of the weights."""
    short = weights != torch.float64 and torch.is_autocast_enabled(device.type)
    return torch.get_autocast_dtype(device.type) if short else weights


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ModelError(f"ChordMixer: {name} must be one of {', '.join(allowed)}, not {value!r}")


def _adapted_sizes(
    channels: int, track_size: int, layers: int, blocks: int, adapt: str, length: int | None, task: str | None
) -> tuple[int, int, int]:
    """(track size, layers, blocks per layer) after adaptation to sequences of ``length`` bases or to a data set."""
    _one_of("adapt", adapt, ("keep", "extend", "reference"))
    if adapt == "reference":
        if task is None or task not in REFERENCE_ADAPTATIONS:
            known = ", ".join(sorted(REFERENCE_ADAPTATIONS))
            raise ModelError(f'ChordMixer: adapt "reference" needs task, one of {known}; not {task!r}')
        cut = REFERENCE_ADAPTATIONS[task]
        return cut["track_size"], cut["layers"], cut["blocks_per_layer"]
    if adapt == "extend" and length is not None:
        needed = max(1, math.ceil(math.log2(length))) if length > 1 else 1
        if needed > blocks:
            return math.ceil(channels / (needed + 1)), layers, needed
    return track_size, layers, blocks
