"""Settings of a pretraining."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from findna_bench.errors import UsageError

__all__ = ["PretrainSettings"]


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """Everything that decides the numbers of a run besides model and data.

    Raises:
        UsageError: a number is out of range.
    """

    objective: str = ""
    """Name of an objective."""
    objective_options: Mapping[str, Any] = field(default_factory=dict)
    backbone: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the backbone that replace the model card's."""
    windows: int = 100_000
    window_length: int = 1000
    sampling: str = "uniform-chromosome"
    max_n_frac: float = 1.0
    validation_windows: int = 1000
    """Drawn first; training windows do not touch them."""
    epochs: int = 1
    steps: int | None = None
    """Optimiser steps; overrules ``epochs``."""
    batch_size: int = 64
    """Sequences per optimiser step over all processes."""
    accumulate: int = 1
    """Micro-batches per optimiser step; raised to a multiple of the number of processes."""
    lr: float = 3e-4
    weight_decay: float = 3e-4
    decay_biases: bool = True
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float | None = 0.5
    """Norm to which gradients are clipped."""
    warmup: float = 0.3
    """Share of all steps."""
    schedule: str = "cosine"
    seed: int = 0

    def __post_init__(self) -> None:
        # Presets come from JSON-like mappings, where a pair is a list.
        object.__setattr__(self, "betas", tuple(self.betas))
        for name in ("windows", "window_length", "batch_size", "accumulate", "epochs"):
            if getattr(self, name) < 1:
                raise UsageError(f"pretraining: {name} must be at least 1, not {getattr(self, name)}")
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"pretraining: steps must be at least 1, not {self.steps}")
        if self.batch_size % self.accumulate:
            raise UsageError(
                f"pretraining: a batch of {self.batch_size} cannot be divided into {self.accumulate} equal parts"
            )
        if not self.lr > 0 or not 0 <= self.warmup <= 1:
            raise UsageError("pretraining: lr must be positive and warmup a share between 0 and 1")

    @classmethod
    def of(cls, values: Mapping[str, Any], where: str) -> PretrainSettings:
        """From a preset's mapping.

        Raises:
            UsageError: a name is no setting.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UsageError(f"{where}: pretraining has no setting {unknown[0]!r}; it has {', '.join(sorted(known))}")
        return cls(**values)
