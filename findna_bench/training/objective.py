"""The interface of pretraining objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from findna_bench.errors import PluginError, UsageError
from findna_bench.models.backbone import Backbone
from findna_bench.plugin_code import plugin_code
from findna_bench.registry import Registry, make_with_options
from findna_bench.sequences.alphabet import BASES

__all__ = ["Objective", "exported_networks", "make_objective", "reads_base_codes", "refuse_base_codes", "take_step"]


class Objective(nn.Module):
    """A pretraining objective around a backbone.

    The loop calls ``training_step``, steps the optimiser over ``trainable_parameters()``, then calls ``after_step``.
    All state that must survive a restart is in ``state_dict()``.

    Example:
        >>> class GuessBase(fb.Objective):
        ...     def __init__(self, backbone: fb.Backbone, *, p: float = 0.15) -> None:
        ...         super().__init__()
        ...         self.network, self.p = backbone, p
        ...         self.letters = torch.nn.Linear(backbone.embed_dim, 4)
        ...
        ...     def training_step(self, batch, step, generator):
        ...         hide = torch.rand(batch.shape, generator=generator, device=batch.device) < self.p
        ...         seen = batch.masked_fill(hide, 5)  # blank
        ...         mask = torch.ones_like(hide)
        ...         lengths = torch.full((len(batch),), batch.shape[1], device=batch.device)
        ...         tokens = fb.TokenBatch(seen, mask, ~mask, mask.long(), lengths)
        ...         logits = self.letters(self.network(tokens).tokens)
        ...         asked = hide & (batch < 4)  # no N
        ...         return {"loss": torch.nn.functional.cross_entropy(logits[asked], batch[asked].long())}
        ...
        ...     @torch.no_grad()
        ...     def validation_step(self, batch, generator):
        ...         return self.training_step(batch, 0, generator)
        ...
        ...     def export(self):
        ...         return {"network": self.network}
        ...
        ...     def settings(self):
        ...         return {"p": self.p}
        >>> objective = GuessBase(fb.load_model("findna-tiny", device="cpu").backbone)
        >>> codes = torch.randint(0, 4, (2, 100), dtype=torch.uint8)
        >>> objective.training_step(codes, 0, torch.Generator().manual_seed(0))["loss"].shape
        torch.Size([])

        A distribution with one is ``tests/third_party/acme-dna``; ``findna-bench check NAME`` tests any.
    """

    def trainable_parameters(self) -> list[nn.Parameter]:
        """Parameters the optimiser owns (not a teacher's)."""
        return [p for p in self.parameters() if p.requires_grad]

    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """One step of training.

        Args:
            batch: (B, L) uint8 base codes on the device: A 0, C 1, G 2, T 3, N 4.
            step: number of the optimiser step, from 0.
            generator: of all that is drawn, on the device.

        Returns:
            ``loss``, a scalar with a gradient, and whatever other scalars are to be logged.
        """
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


def make_objective(name: str, backbone: nn.Module, options: Mapping[str, Any], registry: Registry) -> Objective:
    """The objective registered under a name, around a backbone.

    Raises:
        UnknownNameError: no plugin registers it. UsageError: it has no such option, or refuses a value.
        PluginError: it fails, or makes something else.
    """
    card = registry.resolve("objectives", name).card
    what = f"objective {card.name!r}"
    made = make_with_options(card.factory, what, options, backbone)
    if not isinstance(made, Objective):
        raise PluginError(f"{what}: {card.factory} makes a {type(made).__name__}, no findna_bench.api.Objective")
    return made


def reads_base_codes(backbone: Backbone) -> bool:
    """Whether a network's tokens are the bases themselves, by their codes, so that objectives on codes can train it."""
    batch = backbone.tokenize([BASES * 2])
    codes = torch.arange(len(BASES)).repeat(2)[None]
    return batch.inputs.shape == codes.shape and torch.equal(batch.inputs.long().cpu(), codes)


def refuse_base_codes(backbone: Backbone, backbone_name: str, objective: str) -> None:
    """Make a network whose tokens are its own refuse the codes of bases, which it would take for some of these.

    ``inputs`` of dtype uint8, and (B, L, 5) rows, are what objectives give that know nothing of a network's tokens.
    """
    if reads_base_codes(backbone):
        return

    def refuse(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        inputs = (arguments[0] if arguments else named["batch"]).inputs
        if inputs.dtype == torch.uint8 or inputs.dim() == 3:
            raise UsageError(
                f"backbone {backbone_name!r} cannot be trained by objective {objective!r}, which gives it the codes of bases (A 0, C 1, G 2, T 3, "
                "N 4): its tokens are others; take an objective that makes its tokens"
            )

    backbone.register_forward_pre_hook(refuse, with_kwargs=True)


def take_step(
    objective: Objective, method: Literal["training_step", "validation_step"], name: str, *arguments: Any
) -> Mapping[str, Tensor]:
    """A step of the objective called ``name``, checked: scalars by name, ``loss`` among them.

    Raises:
        PluginError: it raises something, or gives something else. What its backbone raises is said of the backbone.
    """
    where, step = f"objective {name!r}: {method}", getattr(objective, method)
    with plugin_code(where, called=step, parts={Backbone: "backbone"}):
        result = step(*arguments)
    return _step_values(result, where)


def _step_values(result: Any, where: str) -> Mapping[str, Tensor]:
    if not isinstance(result, Mapping):
        raise PluginError(f"{where} gives a {type(result).__name__}, not a mapping with a scalar loss")
    if "loss" not in result:
        raise PluginError(f"{where} gives no loss, only {', '.join(map(str, result)) or 'nothing'}")
    for name, value in result.items():
        if not isinstance(value, Tensor) or value.numel() != 1:
            shape = f" of shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
            raise PluginError(f"{where} gives a {type(value).__name__}{shape} as {name}, not a scalar tensor")
    return result


def exported_networks(objective: Objective, where: str) -> Mapping[str, nn.Module]:
    """The networks that an objective gives to save.

    Raises:
        PluginError: there is none, or something else.
    """
    with plugin_code(where, called=objective.export):
        networks = objective.export()
    if not isinstance(networks, Mapping) or not networks:
        raise PluginError(f"{where}: export gives no networks by name, but {networks!r}")
    if wrong := [name for name, network in networks.items() if not isinstance(network, nn.Module)]:
        raise PluginError(f"{where}: export gives a {type(networks[wrong[0]]).__name__} as {wrong[0]}, not a network")
    return networks
