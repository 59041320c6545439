"""Cost of one pretraining step per objective: what a teacher and a second view add to masked modelling alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from findna_bench.models.loading import count_parameters
from findna_bench.profiling.building import build_backbone
from findna_bench.profiling.flops import count_flops
from findna_bench.profiling.profile_rows import Formulation
from findna_bench.profiling.timing import Start, Steps, autocast, measure_steps
from findna_bench.registry import get_registry
from findna_bench.training.objective import Objective, make_objective

__all__ = ["count_objective", "measure_objective"]

TOTAL_STEPS = 1000
"""Of the schedules that ``after_step`` reads; no cost depends on it."""


def _build(model: str, objective: str) -> tuple[Objective, int]:
    """The objective around the model's backbone, and the backbone's parameters."""
    backbone, _ = build_backbone(model)
    backbone.train()
    built = make_objective(objective, backbone, {}, get_registry())
    return built, count_parameters(backbone)


def _codes(rows: int, length: int, device: str) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(4, (rows, length), generator=generator, dtype=torch.uint8).to(device)


def _use(built: Objective, formulation: str) -> None:
    """Tell every network the objective holds, a teacher included."""
    for network in built.modules():
        use: Callable[[str], None] | None = getattr(network, "use_formulation", None)
        if use is not None:
            use(formulation)


def count_objective(model: str, objective: str, batch_size: int, length: int) -> dict[str, Any]:
    """Operations of one step on one sequence, counted while it runs (augmentations draw, which meta tensors cannot)."""
    built, parameters = _build(model, objective)
    _use(built, "plain")
    codes, generator = _codes(1, length, "cpu"), torch.Generator().manual_seed(0)
    count = count_flops(lambda: built.training_step(codes, 0, generator)["loss"].backward())
    return {
        "flops": count.total * batch_size,
        "fft_flops": count.ffts * batch_size,
        "tokens": length,
        "n_parameters": parameters,
        "n_parameters_training": sum(p.numel() for p in built.parameters()),
        "notes": ["operations counted on one sequence, times the batch"],
    }


def measure_objective(
    model: str, objective: str, *, batch_size: int, length: int, device: str, formulation: Formulation, steps: Steps
) -> dict[str, Any]:
    """Times and peak memory of pretraining steps: views, forward passes, backward, AdamW, ``after_step``."""
    start = Start.now()
    built, _ = _build(model, objective)
    built.to(device).train()
    _use(built, "plain" if formulation.plain else "fast")
    codes, generator = _codes(batch_size, length, device), torch.Generator(device).manual_seed(0)
    options: dict[str, Any] = {"fused": True} if formulation.fused_optimiser else {}
    optimiser = torch.optim.AdamW(built.trainable_parameters(), lr=1e-6, **options)
    scaler: Any = torch.amp.GradScaler(torch.device(device).type, enabled=formulation.precision == "float16")

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with autocast(formulation, device, built):
            loss = built.training_step(codes, 0, generator)["loss"]
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        built.after_step(0, TOTAL_STEPS)

    return measure_steps(step, device=device, formulation=formulation, steps=steps, start=start, training=True)
