"""Strict translation of published checkpoints: every key is used, or ignored for a stated reason, or an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from findna_bench.api import Adapted, Backbone, Checkpoint, WeightsError

__all__ = ["config_value", "own_prefix", "translate"]


_LARGEST, _MOST_LAYERS = 100_000_000, 10_000
"""Beyond these a size is damage, and building to it would take all memory or all day before any shape is compared."""


def own_prefix(tensors: Mapping[str, Tensor], prefix: str) -> str:
    """``prefix`` where any key carries it (a model with its head), else "" (a bare encoder saved by itself)."""
    return prefix if any(key.startswith(prefix) for key in tensors) else ""


def config_value(config: Mapping[str, Any], *names: str, source: str, kind: type = int) -> Any:
    """The first of ``names`` that ``config.json`` holds.

    Raises:
        WeightsError: none is there, or it is not a ``kind``.
    """
    for name in names:
        if name in config:
            value: Any = config[name]
            if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
                raise WeightsError(f"{source}: config.json says {name} = {value!r}, which is not a {kind.__name__}")
            if isinstance(value, (int, float)) and not 0 <= value <= (_MOST_LAYERS if "layer" in name else _LARGEST):
                raise WeightsError(f"{source}: config.json says {name} = {value!r}, which no model has")
            return value
    raise WeightsError(f"{source}: config.json has no {' or '.join(names)}; use the published config.json")


def translate(
    backbone: type[Backbone],
    config: Mapping[str, Any],
    checkpoint: Checkpoint,
    names: Mapping[str, str],
    *,
    computed: Mapping[str, Tensor] | None = None,
    ignored: Mapping[str, str] | None = None,
    tied: Mapping[str, str] | None = None,
) -> Adapted:
    """Account for every key of ``checkpoint``.

    names: own name -> upstream key, for all tensors of the backbone built from ``config`` (head included if it has one).
    computed: own name -> value where the upstream key may be absent because its value follows from the sizes.
    ignored: regular expression of upstream keys -> why they are not used. tied: upstream key -> the key it repeats; a file may
    hold either or both, and both must hold the same numbers.

    Raises:
        WeightsError: a key is missing, unexpected, or of the wrong shape or type; it is named. (That the numbers are finite is
            the loader's to check.)
    """
    tensors, source = checkpoint.tensors, checkpoint.source or "checkpoint"
    with torch.device("meta"):
        expected = backbone.from_config(config).state_dict()
    if set(expected) != set(names):
        odd = sorted(set(expected) ^ set(names))
        raise WeightsError(f"{source}: no rule says which key fills {', '.join(odd[:4])} of {backbone.__name__}")
    computed, tied = computed or {}, tied or {}
    # Formats that hold a shared tensor once keep it under whichever of its names comes first.
    stored = {key: again for again, key in tied.items() if again in tensors and key not in tensors}
    names = {own: stored.get(key, key) for own, key in names.items()}
    missing = sorted(key for own, key in names.items() if key not in tensors and own not in computed)
    if missing:
        raise WeightsError(f"{source}: {_keys(missing)} missing; is this a complete {backbone.__name__} checkpoint?")
    for key, first in tied.items():
        first = stored.get(first, first)
        if (
            key in tensors
            and first in tensors
            and not (tensors[key].shape == tensors[first].shape and torch.equal(tensors[key], tensors[first]))
        ):
            raise WeightsError(f"{source}: {key} differs from {first}, but they are one parameter")
    used = frozenset(key for key in names.values() if key in tensors)
    reasons = {key: _reason(key, ignored or {}) for key in tensors if key not in used}
    unexpected = sorted(key for key, reason in reasons.items() if reason is None)
    if unexpected:
        raise WeightsError(f"{source}: {_keys(unexpected)} not expected in a {backbone.__name__} checkpoint")
    state: dict[str, Tensor] = {}
    for own, key in names.items():
        value = tensors[key] if key in tensors else computed[own]
        _check(value, expected[own], key, source)
        state[own] = value
    return Adapted(
        config=config,
        state=state,
        used=used,
        ignored={key: reason for key, reason in reasons.items() if reason},
    )


def _keys(keys: list[str]) -> str:
    shown = ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
    return f"key {shown} is" if len(keys) == 1 else f"keys {shown} are"


def _reason(key: str, ignored: Mapping[str, str]) -> str | None:
    return next((reason for pattern, reason in ignored.items() if re.fullmatch(pattern, key)), None)


def _check(value: Tensor, expected: Tensor, key: str, source: str) -> None:
    if value.shape != expected.shape:
        raise WeightsError(
            f"{source}: {key} has shape {tuple(value.shape)} where the configuration asks for {tuple(expected.shape)}"
        )
    if not value.is_floating_point():
        raise WeightsError(f"{source}: {key} holds {value.dtype}, not floating-point weights")
