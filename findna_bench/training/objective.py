"""The interface of pretraining objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Objective"]


class Objective(nn.Module):
    """A pretraining objective around a backbone.

    The loop calls ``training_step``, steps the optimiser over ``trainable_parameters()``, then calls ``after_step``.
    All state that must survive a restart is in ``state_dict()``.

    Example:
        A worked one is ``acme_dna/objective.py`` in ``tests/third_party/acme-dna``; ``findna-bench check NAME`` tests any.
    """

    def trainable_parameters(self) -> list[nn.Parameter]:
        """Parameters the optimiser owns (not a teacher's)."""
        return [p for p in self.parameters() if p.requires_grad]

    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """``batch`` (B, L) uint8 base codes on the device; returns ``loss`` (scalar) and whatever else is to be logged."""
        raise NotImplementedError

    def validation_step(self, batch: Tensor, generator: torch.Generator) -> Mapping[str, Tensor]:
        """As ``training_step``, changing no state."""
        raise NotImplementedError

    def after_step(self, step: int, total_steps: int) -> None:
        """Called after the optimiser step (EMA, centres)."""

    def export(self) -> Mapping[str, nn.Module]:
        """Networks to save by name, the one to use downstream first."""
        raise NotImplementedError

    def settings(self) -> Mapping[str, Any]:
        """JSON-serialisable settings that define this objective."""
        raise NotImplementedError
