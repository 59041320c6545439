"""Settings of a pretraining."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, get_args, get_type_hints

from findna_bench.errors import UsageError
from findna_bench.training.schedules import Shape

__all__ = ["PretrainSettings"]


class _Form(NamedTuple):
    words: str
    holds: Callable[[Any], bool]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return (_whole(value) or isinstance(value, float)) and math.isfinite(value)


_FORMS: Mapping[Any, _Form] = {
    str: _Form("a name", lambda value: isinstance(value, str)),
    bool: _Form("true or false", lambda value: isinstance(value, bool)),
    int: _Form("a whole number", _whole),
    float: _Form("a number", _number),
    int | None: _Form("a whole number", lambda value: value is None or _whole(value)),
    float | None: _Form("a number", lambda value: value is None or _number(value)),
    tuple[float, float]: _Form(
        "two numbers", lambda value: isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_number, value))
    ),
    Mapping[str, Any]: _Form(
        "options by name, as --set objective.NAME=VALUE", lambda value: isinstance(value, Mapping)
    ),
}
"""What a setting of a type may hold, in words: settings come from command lines, files and presets of strangers."""


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
        self._check_types()
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
        if self.schedule not in get_args(Shape):
            raise UsageError(
                f"pretraining: schedule must be one of {', '.join(get_args(Shape))}, not {self.schedule!r}"
            )
        if not self.lr > 0 or not 0 <= self.warmup <= 1:
            raise UsageError("pretraining: lr must be positive and warmup a share between 0 and 1")

    def _check_types(self) -> None:
        """As declared; a whole number is a number, too."""
        for setting, kind in get_type_hints(type(self)).items():
            value, form = getattr(self, setting), _FORMS[kind]
            if not form.holds(value):
                raise UsageError(f"pretraining: {setting} must be {form.words}, not {value!r}")

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
