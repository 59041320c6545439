"""One fine-tuning step or forward pass of a model: its operations, its times and its memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from findna_bench.models.backbone import Backbone, TokenBatch
from findna_bench.models.loading import count_parameters
from findna_bench.profiling.building import build_backbone, make_batch
from findna_bench.profiling.flops import FlopCount, count_flops
from findna_bench.profiling.profile_rows import Formulation
from findna_bench.profiling.timing import Start, Steps, autocast, measure_steps

__all__ = ["FineTuning", "count_model", "measure_model"]

N_CLASSES = 2
_LARGEST_COUNTED_RUNNING = 250_000_000
"""Parameters of a backbone that may be counted while it runs on the CPU, where meta tensors do not do."""


class FineTuning(nn.Module):
    """Encoder, mean over ordinary tokens, linear head: what a fine-tuning step runs through."""

    def __init__(self, backbone: Backbone, n_classes: int = N_CLASSES) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.embed_dim, n_classes)

    def forward(self, batch: TokenBatch) -> Tensor:
        """(B, n_classes) logits."""
        tokens = self.backbone(batch).tokens
        weight = (batch.mask & ~batch.special).to(device=tokens.device, dtype=tokens.dtype)[..., None]
        pooled = (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)
        logits: Tensor = self.head(pooled)
        return logits


def count_model(model: str, sequences: Sequence[str], mode: str) -> dict[str, Any]:
    """Operations of one forward pass and of one step in the plain formulation, parameters, and tokens.

    Counted on meta tensors. A backbone that must see values is counted while it runs on the CPU, and says so in a note.
    """
    backbone, card = build_backbone(model, meta=True)
    backbone.use_formulation("plain")
    batch, how = make_batch(backbone, sequences)
    parameters = count_parameters(backbone)
    counts, notes = _count_on_meta(FineTuning(backbone).to("meta"), batch, mode), []
    if counts is None and parameters <= _LARGEST_COUNTED_RUNNING:
        running, _ = build_backbone(model)
        running.use_formulation("plain")
        counts = _count(FineTuning(running), batch, mode)
        notes.append("operations counted while running on the CPU: this backbone cannot run on meta tensors")
    elif counts is None:
        notes.append(
            "operations not counted: this backbone cannot run on meta tensors, and is too large to count while running"
        )
    rows, tokens = batch.mask.shape
    limits = [limit for limit in (backbone.max_length, card.max_length) if limit is not None]
    analytic = backbone.eval().analytic_flops(rows, tokens)
    forward, step = counts or (None, None)
    return {
        "tokens": tokens,
        "tokenized": how,
        "flops": step and step.total,
        "fft_flops": step and step.ffts,
        "counted_forward_flops": forward and forward.total,
        "analytic_forward_flops": None if analytic is None else analytic + 2 * rows * backbone.embed_dim * N_CLASSES,
        "n_parameters": parameters,
        "n_parameters_training": parameters + (backbone.embed_dim + 1) * N_CLASSES if mode == "train" else parameters,
        "max_length": min(limits, default=None),
        "notes": notes,
    }


class _WithoutPadding(TorchDispatchMode):
    """On meta tensors a question such as ``mask.all()`` has no answer; this gives the one of a batch without padding.

    Attention over a padded batch costs the same, so the count is that of the batch as it is laid out.
    """

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta and args[0].dtype is torch.bool:
            return True
        return func(*args, **(kwargs or {}))


def _count_on_meta(network: FineTuning, batch: TokenBatch, mode: str) -> tuple[FlopCount, FlopCount] | None:
    """None where the backbone needs values. Some read the mask only: they get it, and everything else without values."""
    for variant in (replace(batch, inputs=batch.inputs.to("meta")), batch.to("meta")):
        with contextlib.suppress(RuntimeError, NotImplementedError), _WithoutPadding():
            return _count(network, variant, mode)
    return None


def _count(network: FineTuning, batch: TokenBatch, mode: str) -> tuple[FlopCount, FlopCount]:
    network.eval()
    with torch.no_grad():
        forward = count_flops(lambda: network(batch))
    if mode == "inference":
        return forward, forward
    network.train()
    return forward, count_flops(lambda: network(batch).float().sum().backward())


def measure_model(
    model: str, sequences: Sequence[str], *, mode: str, device: str, formulation: Formulation, steps: Steps
) -> dict[str, Any]:
    """Times and peak memory of ``mode`` steps over ``sequences``, with the checklist as it was carried out."""
    start = Start.now()
    backbone, _ = build_backbone(model)
    batch, _ = make_batch(backbone, sequences)
    network = FineTuning(backbone)
    if mode == "inference" and formulation.precision == "bfloat16":
        network = network.to(torch.bfloat16)  # no gradients, so weights may be kept in it
    network.to(device)
    backbone.use_formulation("plain" if formulation.plain else "fast")
    compiled = _compile(backbone) if formulation.compile else "off"
    if mode == "train":
        network.train()
        labels = torch.arange(len(sequences), device=device) % N_CLASSES
        step = _training_step(network, batch.to(device), labels, formulation, device)
    else:
        network.eval()
        step = _inference_step(network, batch.to(device), formulation, device)
    measured = measure_steps(
        step, device=device, formulation=formulation, steps=steps, start=start, training=mode == "train"
    )
    measured["checklist"]["compile"] = compiled
    return measured


def _compile(backbone: Backbone) -> str:
    compile_blocks: Callable[[], None] | None = getattr(backbone, "compile_blocks", None)
    if compile_blocks is not None:
        compile_blocks()
        return "one block, used for all"
    if not backbone.can_compile:
        return "off (not supported by this backbone)"
    backbone.compile(dynamic=False)
    return "whole encoder"


def _training_step(
    network: FineTuning, batch: TokenBatch, labels: Tensor, formulation: Formulation, device: str
) -> Callable[[], None]:
    """Forward, cross-entropy, backward, AdamW; loss scaling with float16, as it cannot train without."""
    graphed = formulation.cuda_graphs and device.startswith("cuda")
    options: dict[str, Any] = {"fused": True} if formulation.fused_optimiser else {}
    if graphed:
        options["capturable"] = True
    # Tiny steps: nothing is learnt here, and random weights must not run off to infinities that time differently.
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-6, **options)
    scaler: Any = torch.amp.GradScaler(torch.device(device).type, enabled=formulation.precision == "float16")

    def step() -> None:
        optimiser.zero_grad(set_to_none=not graphed)
        with autocast(formulation, device, network):
            loss = functional.cross_entropy(network(batch).float(), labels)
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()

    return step


def _inference_step(
    network: FineTuning, batch: TokenBatch, formulation: Formulation, device: str
) -> Callable[[], None]:
    def step() -> None:
        with torch.no_grad(), autocast(formulation, device, network):
            network(batch)

    return step
