"""What all encoders here share: building from a card, delegating to a tokenizer, running a stack of blocks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from findna_baselines.tokenization import OverlappingKmerTokenizer, Tokenizer
from findna_bench.api import Backbone, ModelError, TokenBatch, UnsupportedError, WeightsError

__all__ = [
    "Encoder",
    "at_least_float32",
    "compute_dtype",
    "key_padding_mask",
    "names_itself",
    "run_stack",
    "unless_narrower",
    "wanted_layers",
]


class Encoder(Backbone):
    """A backbone whose ``__init__`` takes the card's sizes as keywords and sets ``tokenizer``."""

    tokenizer: Tokenizer | None
    tokenizer_hint: ClassVar[str] = ""
    """What to do when there is no tokenizer."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any], files: Mapping[str, Path] | None = None) -> Self:
        known = inspect.signature(cls.__init__).parameters
        unknown = sorted(set(config) - set(known))
        if unknown:
            raise ModelError(
                f"{cls.__name__} does not know the setting {', '.join(unknown)}; it takes {', '.join(_settings(known))}"
            )
        given = dict(config) | ({"files": files} if "files" in known else {})
        try:
            return cls(**given)
        except (TypeError, ValueError, ZeroDivisionError, RuntimeError, AssertionError) as error:
            raise ModelError(f"{cls.__name__} cannot be built with {dict(config)}: {error}") from error

    @classmethod
    def recognises(cls, config: Mapping[str, Any]) -> bool:
        """By ``model_type``, ``architectures``, or the repository's own class (:func:`names_itself`)."""
        return super().recognises(config) or names_itself(config, cls.published_as)

    def _tokenizer(self) -> Tokenizer:
        if self.tokenizer is None:
            raise WeightsError(self.tokenizer_hint)
        return self.tokenizer

    def tokenizer_digest(self) -> str:
        return self._tokenizer().digest()

    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        return self._tokenizer()(sequences)

    def token_counts(self, lengths: Sequence[int]) -> list[int]:
        return self._tokenizer().counts(lengths)

    def token_ranges(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        starts, stops = super().token_ranges(batch)
        tokenizer = self._tokenizer()
        if isinstance(tokenizer, OverlappingKmerTokenizer):  # a span counts what is added, a token reads k bases
            starts = torch.where(stops > starts, stops - tokenizer.k, stops)
        return starts, stops

    def no_head(self, what: str) -> UnsupportedError:
        """The error of :meth:`logits` for a checkpoint that came without its pretraining head."""
        return UnsupportedError(f"this {type(self).__name__} checkpoint has no pretraining head ({what})")


def names_itself(config: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether ``auto_map`` names one of the classes ``module.Class``.

    That code is never run: its name only tells apart what ``model_type`` does not (Nucleotide Transformer v2 says "esm").
    """
    auto_map = config.get("auto_map")
    own_code = auto_map.values() if isinstance(auto_map, Mapping) else ()
    return not {str(name).rpartition("--")[2] for name in own_code}.isdisjoint(names)


def _settings(parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    return [name for name in parameters if name not in ("self", "files")]


def wanted_layers(layers: Sequence[int] | None, n_layers: int) -> frozenset[int]:
    """Layer numbers 0 (embedding output) to ``n_layers`` (last); negative ones count from the end.

    Raises:
        ModelError: there is no such layer.
    """
    wanted = [layer + n_layers + 1 if layer < 0 else layer for layer in layers or ()]
    for layer, number in zip(layers or (), wanted, strict=True):
        if not 0 <= number <= n_layers:
            raise ModelError(f"layer {layer} does not exist: this model has layers 0 (embedding) to {n_layers}")
    return frozenset(wanted)


def run_stack(
    x: Tensor,
    blocks: Iterable[Callable[..., Any]],
    *args: Any,
    wanted: frozenset[int] = frozenset(),
    checkpointing: bool = False,
) -> tuple[Tensor, dict[int, Tensor]]:
    """Apply ``block(x, *args)`` one after another; returns the last output and the inputs of the wanted layers.

    The last layer is never in the mapping: what becomes of it (a final norm) is the caller's to add.
    """
    kept: dict[int, Tensor] = {}
    for number, block in enumerate(blocks):
        if number in wanted:
            kept[number] = x
        if checkpointing and torch.is_grad_enabled():
            x = checkpoint(block, x, *args, use_reentrant=False)
        else:
            x = block(x, *args)
    return x, kept


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` itself in float32 or float64, anything narrower in float32."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def compute_dtype(x: Tensor) -> torch.dtype:
    """What products of ``x`` are computed in: the type of autocast where that is on, else its own."""
    device = "cpu" if x.is_meta else x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def unless_narrower(fn: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """For ``Module._apply``: move tensors as asked, but never to a narrower floating-point type."""

    def apply(x: Tensor) -> Tensor:
        moved = fn(x)
        narrower = moved.is_floating_point() and moved.element_size() < x.element_size()
        return x.to(moved.device) if narrower else moved

    return apply


def key_padding_mask(batch: TokenBatch) -> Tensor | None:
    """(B, 1, 1, T) bool for attention, or None where nothing is padded (which lets the fastest kernel run)."""
    return None if bool(batch.mask.all()) else batch.mask[:, None, None, :]
