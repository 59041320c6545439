"""Masked nucleotide modelling alone: the ablation CM-MNM of arXiv 2405.08538 (FinDNA with contrastive learning removed)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from findna_bench.api import Backbone, ModelError, Objective, Recipe
from findna_plugins.objectives.nucleotides import Reduction, base_batch, nucleotide_head, nucleotide_losses

__all__ = ["MaskedNucleotide"]


@dataclass(frozen=True, kw_only=True)
class MaskedNucleotideOptions:
    """Settings of :class:`MaskedNucleotide`.

    Raises:
        ModelError: a setting is unknown or makes no sense.
    """

    recipe: str = "MDIT"
    """The one view, letters or names; as the student's in self-distillation, so that only that is ablated. ``M`` masks without
    editing."""
    translocation_maximum: int | None = None
    """None: translocation swaps the two parts at a random breakpoint (section 3.3). A number: it rolls by at most so many bases
    either way, as EvoAug and the released code (20) do."""
    mask_ratio: float = 0.3
    mask_scheme: Literal["blank", "bert_80_10_10"] = "blank"
    mnm_loss: Literal["ce", "bce"] = "ce"
    mnm_reduction: Reduction = "mean"
    """mean over masked positions, or sum per sequence (equation 2); alone, the two differ by a factor."""

    def __post_init__(self) -> None:
        if "+" in self.recipe:
            raise ModelError(f"masked_nucleotide: recipe {self.recipe!r} is one view, as in MDIT or mask,deletion")
        for name, allowed in {"mnm_loss": ("ce", "bce"), "mnm_reduction": ("sum", "mean")}.items():
            if getattr(self, name) not in allowed:
                raise ModelError(
                    f"masked_nucleotide: {name} must be {' or '.join(allowed)}, not {getattr(self, name)!r}"
                )


class MaskedNucleotide(Objective):
    """Predict masked bases; one network, no teacher, no [CLS] tokens. Options: :class:`MaskedNucleotideOptions`.

    Example::

        objective = MaskedNucleotide(ChordMixer(channels=22, track_size=2, hidden=32))
        codes = torch.randint(0, 4, (8, 256), dtype=torch.uint8)
        objective.training_step(codes, 0, torch.Generator())["loss"].backward()

    Raises:
        ModelError: an option is unknown, or the backbone has no nucleotide head.
    """

    Options = MaskedNucleotideOptions

    def __init__(self, backbone: Backbone, **options: Any) -> None:
        super().__init__()
        try:
            self.options = MaskedNucleotideOptions(**options)
        except TypeError as error:
            raise ModelError(f"masked_nucleotide: {error}") from error
        nucleotide_head(backbone)
        self.student = backbone
        masking = {"ratio": self.options.mask_ratio, "scheme": self.options.mask_scheme}
        edits: dict[str, dict[str, Any]] = {"M": masking, "T": {"maximum": self.options.translocation_maximum}}
        self.recipe = Recipe.of_one_view(self.options.recipe, edits)
        if self.recipe.student.mask is None:
            raise ModelError(f"masked_nucleotide: recipe {self.options.recipe!r} masks nothing; add M, as in MDIT")

    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """``batch`` (B, L) codes -> ``loss``, ``mnm``, ``mnm_sum``, ``accuracy``."""
        view, target, masked = self.recipe.student_view(batch, generator)
        assert masked is not None
        tokens = self.student(base_batch(view)).tokens
        losses = nucleotide_losses(
            nucleotide_head(self.student)(tokens[masked]),
            target[masked],
            len(batch),
            loss=self.options.mnm_loss,
            reduction=self.options.mnm_reduction,
        )
        return {"loss": losses["mnm_loss"], **{k: v for k, v in losses.items() if k != "mnm_loss"}}

    def validation_step(self, batch: Tensor, generator: torch.Generator) -> Mapping[str, Tensor]:
        """As :meth:`training_step`; this objective has no state to change."""
        return self.training_step(batch, 0, generator)

    def export(self) -> Mapping[str, nn.Module]:
        """The trained network itself; it is called student where it stands beside teachers."""
        return {"student": self.student}

    def settings(self) -> Mapping[str, Any]:
        """Options of the constructor."""
        return asdict(self.options)
