"""Which hidden states stand for a sequence: a layer and how its tokens are pooled, one of each or several to choose among."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from findna_bench.errors import UsageError

if TYPE_CHECKING:
    from findna_bench.models.loading import LoadedModel

__all__ = ["Layers", "Poolings", "Representation", "candidate_layers", "candidate_poolings", "resolve_layer"]

Layers = int | str | tuple[int, ...]
"""A layer, several, or ``auto``."""
Poolings = str | tuple[str, ...] | None
"""A pooling, several, or ``auto``; None = the card's."""

_AUTO_DEPTHS = (1.0, 0.75, 0.5, 0.25)
"""Shares of a model's depth, the default first: it is kept where validation finds others no better."""


@dataclass(frozen=True)
class Representation:
    """layer: 0 (embedding output) to ``n_layers``. pooling: one of :data:`~findna_bench.cards.POOLINGS`."""

    layer: int
    pooling: str

    def __str__(self) -> str:
        return f"layer {self.layer}, pooling {self.pooling}"


def resolve_layer(model: LoadedModel, layer: int) -> int:
    """``layer`` counted from the embedding output (0) to ``n_layers``.

    Raises:
        UsageError: there is no such layer.
    """
    last = model.backbone.n_layers
    number = layer if layer >= 0 else last + 1 + layer
    if not 0 <= number <= last:
        raise UsageError(f"--layer {layer}: {model.name} has layers 0 (embedding) to {last}; -1 is the last")
    return number


def candidate_layers(model: LoadedModel, choice: Layers) -> tuple[int, ...]:
    """The layers that ``choice`` stands for, each once, in order.

    ``auto``: the last one and those at three quarters, half and a quarter of the depth, rounded up; four of every model with four
    layers or more.

    Raises:
        UsageError: the model has no such layer.
    """
    if isinstance(choice, str):
        depth = model.backbone.n_layers
        found = [math.ceil(depth * share) for share in _AUTO_DEPTHS]
    else:
        found = [resolve_layer(model, layer) for layer in ((choice,) if isinstance(choice, int) else choice)]
    return tuple(dict.fromkeys(found))


def candidate_poolings(model: LoadedModel, choice: Poolings) -> tuple[str, ...]:
    """The poolings that ``choice`` stands for, each once, in order.

    ``auto``: the card's, mean and max, and the first token's (cls) of a model that puts a special one there and is not causal.
    """
    own = model.card.pooling
    if choice == "auto":
        first = model.backbone.tokenize(["ACGTACGTACGTACGT"])
        has_cls = not model.backbone.causal and bool((first.special & first.mask)[0, 0])
        return tuple(dict.fromkeys((own, "mean", "max", *(("cls",) if has_cls else ()))))
    if choice is None or isinstance(choice, str):
        return (choice or own,)
    return choice
