"""An encoder with a head per sequence, as fine-tuning trains it: pieces of sequences in, logits out; and which parameters move.

Shapes: R rows, P pieces (windows and strands of rows), T tokens, D channels, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from findna_bench.errors import UnsupportedError, UsageError
from findna_bench.models.backbone import Backbone, TokenBatch
from findna_bench.models.combinations import combine_sides
from findna_bench.models.pooling import pool
from findna_bench.models.windows import WindowPolicy
from findna_bench.protocols.settings import FineTuning
from findna_bench.sequences.alphabet import reverse_complement

__all__ = [
    "EncoderHead",
    "Pieces",
    "Reading",
    "choose_trainable",
    "cut_tokens",
    "layer_parameters",
    "linear_layer",
    "make_head",
    "uniform_by_fan_in",
]

Layer = TypeVar("Layer", nn.Linear, nn.Conv1d)


@dataclass(frozen=True)
class Pieces:
    """What is read of R rows.

    sequences: P strings. owner: (P,) row of each. share: (P,) its weight in the row's vector. start: (P,) where it begins in the row.
    turned: (P,) whether it is the reverse complement of what stands there.
    """

    sequences: list[str]
    owner: np.ndarray
    share: np.ndarray
    start: np.ndarray
    turned: np.ndarray
    n_rows: int


@dataclass(frozen=True)
class Reading:
    """How rows become pieces. window: what is read of long sequences. longest: bases at once, None = any.
    both_strands: every window is read on both strands, whose vectors are averaged."""

    window: WindowPolicy
    longest: int | None
    both_strands: bool = False

    def pieces(self, sequences: Sequence[str]) -> Pieces:
        """The windows of each sequence, weighted by their bases."""
        texts: list[str] = []
        owner: list[int] = []
        share: list[float] = []
        starts: list[int] = []
        turned: list[bool] = []
        for row, sequence in enumerate(sequences):
            cut = self.window.cut(len(sequence), self.longest)
            bases = sum(stop - start for start, stop in cut)
            for start, stop in cut:
                strands = [sequence[start:stop]]
                if self.both_strands:
                    strands.append(reverse_complement(strands[0]))
                texts += strands
                owner += [row] * len(strands)
                share += [(stop - start) / bases / len(strands)] * len(strands)
                starts += [start] * len(strands)
                turned += [False, True][: len(strands)]
        return Pieces(
            texts,
            np.asarray(owner, dtype=np.int64),
            np.asarray(share, dtype=np.float32),
            np.asarray(starts, dtype=np.int64),
            np.asarray(turned, dtype=bool),
            len(sequences),
        )

    def other_strand(self, sequence: str) -> str:
        """The reverse complement of what is read of a sequence: the same bases, whichever strand is drawn."""
        start, stop = self.span(len(sequence))
        return reverse_complement(sequence[start:stop])

    def span(self, length: int) -> tuple[int, int]:
        """What is read of a sequence of so many bases, from the first window's start to the last one's end."""
        cut = self.window.cut(length, self.longest)
        return cut[0][0], cut[-1][1]


class EncoderHead(nn.Module):
    """Backbone, pooling and head: logits (R, C) in float32, whatever the backbone computes in.

    With a ``combination`` rows are pairs whose sides one backbone reads: of 2R sequences the first R are the one side of the R rows, the others the
    other.
    """

    def __init__(self, backbone: Backbone, head: nn.Module, pooling: str, combination: str | None = None) -> None:
        super().__init__()
        self.backbone, self.head, self.pooling, self.combination = backbone, head, pooling, combination

    def forward(self, batch: TokenBatch, pieces: Pieces) -> Tensor:
        pooled = pool(self.backbone(batch), batch, self.pooling, causal=self.backbone.causal)
        owner, share = (torch.from_numpy(part).to(pooled.device) for part in (pieces.owner, pieces.share))
        with torch.autocast(pooled.device.type, enabled=False):
            rows = torch.zeros(pieces.n_rows, pooled.shape[1], dtype=pooled.dtype, device=pooled.device)
            rows = rows.index_add(0, owner, pooled * share[:, None])
            if self.combination is not None:
                half = pieces.n_rows // 2
                rows = combine_sides(self.combination, rows[:half], rows[half:])
            logits: Tensor = self.head(rows)
        return logits


def make_head(dimension: int, n_classes: int, preset: FineTuning, generator: torch.Generator) -> nn.Module:
    """The preset's head, drawn from ``generator`` by PyTorch's rule for linear layers."""
    layers: list[nn.Module] = []
    if preset.head == "pooler":
        layers += [linear_layer(dimension, dimension, generator), nn.Tanh()]
    layers += [nn.Dropout(preset.head_dropout), linear_layer(dimension, n_classes, generator)]
    return nn.Sequential(*layers)


def linear_layer(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer drawn from ``generator`` by PyTorch's rule."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # leaves the global generator alone
    return uniform_by_fan_in(layer, inputs, generator)


def uniform_by_fan_in(layer: Layer, fan_in: int, generator: torch.Generator) -> Layer:
    """The layer, its weight and bias drawn anew by PyTorch's rule for layers with so many inputs per output."""
    bound = fan_in**-0.5
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer


def cut_tokens(batch: TokenBatch, most: int) -> TokenBatch:
    """At most ``most`` tokens per row; a special token at a row's end ([SEP]) stays at its end."""
    if batch.mask.shape[1] <= most:
        return batch
    last = batch.mask.sum(1) - 1
    rows = torch.nonzero(last >= most)[:, 0]
    rows = rows[batch.special[rows, last[rows]]]
    changed = {}
    for name in ("inputs", "mask", "special", "spans"):
        values = getattr(batch, name)
        kept = values[:, :most].clone()
        kept[rows, most - 1] = values[rows, last[rows]]
        changed[name] = kept
    return replace(batch, **changed)


def layer_parameters(backbone: Backbone) -> list[list[nn.Parameter]]:
    """Parameters by depth: what comes before the layers (embedding), then each of the ``n_layers`` layers.

    What is registered after the layers (a last norm, a pretraining head) belongs to none.

    Raises:
        UnsupportedError: the backbone does not keep its layers in one ``ModuleList``.
    """
    name, stack = _layers(backbone)
    each = len(stack) // backbone.n_layers
    groups = [
        [p for module in stack[first : first + each] for p in module.parameters()]
        for first in range(0, len(stack), each)
    ]
    before: list[nn.Parameter] = []
    for parameter_name, parameter in backbone.named_parameters():
        if parameter_name.startswith(f"{name}."):
            break
        before.append(parameter)
    return [before, *groups]


def _layers(backbone: Backbone) -> tuple[str, nn.ModuleList]:
    """Name and modules of the stack: the ``ModuleList`` with most parameters whose length is a multiple of ``n_layers``."""
    stacks = [
        (name, module)
        for name, module in backbone.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) and len(module) % backbone.n_layers == 0
    ]
    if not stacks:
        raise UnsupportedError(
            f"{type(backbone).__name__} does not keep its layers in one list, so they can be frozen or adapted only as a whole"
        )
    return max(stacks, key=lambda found: sum(p.numel() for p in found[1].parameters()))


def choose_trainable(backbone: Backbone, preset: FineTuning) -> None:
    """Freeze what the preset says, and the pretraining head; add low-rank adapters where asked for.

    Raises:
        UnsupportedError: the backbone has no layers to freeze. UsageError: more layers than there are; peft is missing.
    """
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(not (backbone.head_prefixes and name.startswith(backbone.head_prefixes)))
    if preset.freeze_layers < 0:
        backbone.requires_grad_(False)
    elif preset.freeze_layers:
        groups = layer_parameters(backbone)
        if preset.freeze_layers >= len(groups):
            raise UsageError(
                f"freeze_layers {preset.freeze_layers}: the model has {len(groups) - 1} layers; -1 freezes all"
            )
        for group in groups[: preset.freeze_layers + 1]:
            for parameter in group:
                parameter.requires_grad_(False)
    if preset.lora_rank:
        _add_adapters(backbone, preset)
    backbone.gradient_checkpointing = preset.gradient_checkpointing


def _add_adapters(backbone: Backbone, preset: FineTuning) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise UsageError("low-rank adapters need peft; pip install 'findna-bench[lora]'") from error
    # Fast formulations may read weights past their module, and would never see the adapters.
    backbone.use_formulation("plain")
    targets = _called_linear_layers(backbone)
    if not targets:
        raise UnsupportedError(
            f"{type(backbone).__name__} has no linear layers in its stack that low-rank adapters could be added to"
        )
    backbone.requires_grad_(False)
    config = LoraConfig(
        r=preset.lora_rank,
        lora_alpha=preset.lora_alpha,
        lora_dropout=preset.lora_dropout,
        target_modules=targets,
    )
    inject_adapter_in_model(config, backbone)


def _called_linear_layers(backbone: Backbone) -> list[str]:
    """Names of the linear layers in the stack through which a forward pass goes (some only lend their weights)."""
    prefix, stack = _layers(backbone)
    linear = {name: module for name, module in stack.named_modules() if isinstance(module, nn.Linear)}
    called: set[nn.Module] = set()
    hooks = [module.register_forward_hook(lambda m, *_: called.add(m)) for module in linear.values()]
    device = next(backbone.parameters()).device
    was_training = backbone.training
    try:
        with torch.inference_mode():
            backbone.eval()(backbone.tokenize(["ACGT" * 8]).to(device))
    finally:
        backbone.train(was_training)
        for hook in hooks:
            hook.remove()
    return [f"{prefix}.{name}" for name, module in linear.items() if module in called]
