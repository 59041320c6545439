"""Recipes: which augmentations make the student's and the teacher's view, and how far apart the views are (equation 10).

A recipe is the student's augmentations, ``+``, the teacher's; ``NoAug`` for none. A view is written as in Table 4 of
arXiv 2405.08538 by letters (M masking, D deletion, I insertion, T translocation, N noise, R reverse complement), which are
applied in the order D, I, T, N, R, M whatever the order they are written in; or by names of augmentations that any plugin
registers, separated by commas and applied in that order: ``mask,deletion,snp+noise,reverse_complement``. Masking comes last in
either form, because the target is the view before it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from findna_bench.api import (
    Augmentation,
    BenchError,
    MaskingAugmentation,
    ModelError,
    augment,
    effect_of,
    make_augmentation,
    one_hot,
)
from findna_plugins.augmentations import (
    Deletion,
    Insertion,
    Masking,
    Noise,
    ReverseComplement,
    Translocation,
)

__all__ = ["PAPER_RECIPE", "REFERENCE_RECIPE", "TABLE_4", "Recipe", "View", "Views", "divergence"]

PAPER_RECIPE = "MDIT+NR"
REFERENCE_RECIPE = "MNR+T"
"""What the released code feeds (masking, noise and reverse complement to the student, translocation to the teacher)."""
TABLE_4: Mapping[str, float] = {"M+NoAug": 0.025, "M+DIT": 0.149, "MDT+DIT": 0.152, "MDT+NR": 0.175}
"""KL divergence per recipe as published."""

_NONE = "NoAug"
_LETTERS = {
    "D": Deletion, "I": Insertion, "T": Translocation, "N": Noise, "R": ReverseComplement, "M": Masking,
}  # fmt: skip
"""The paper's letters, in the order in which they are applied."""


@dataclass(frozen=True)
class Views:
    """student, teacher: (B, L) codes or (B, L, 5) rows. target: (B, L) codes of the student's view before masking.
    masked: (B, L) bool, or None where the recipe masks nothing."""

    student: Tensor
    teacher: Tensor
    target: Tensor
    masked: Tensor | None


class View:
    """One side of a recipe: edits and noise in their order, then the mask, if any."""

    def __init__(self, augmentations: Sequence[Augmentation]) -> None:
        masks = [a for a in augmentations if effect_of(a) == "mask"]
        self.steps = [a for a in augmentations if effect_of(a) != "mask"]
        self.mask: MaskingAugmentation | None = masks[-1] if masks else None  # type: ignore[assignment]

    def edit(self, x: Tensor, generator: Generator, effects: Collection[str] = ("bases", "values")) -> Tensor:
        """All steps of these effects on codes (B, L) or rows (B, L, 5)."""
        for step in self.steps:
            effect = effect_of(step)
            if effect not in effects:
                continue
            x = augment(step, one_hot(x) if effect == "values" and x.dtype == torch.uint8 else x, generator)
        return x

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """The view of codes (B, L): codes, or rows (B, L, 5) where a step needs them."""
        view = self.edit(x, generator)
        return view if self.mask is None else augment(self.mask, view, generator)


class Recipe:
    """The augmentations of both views.

    Args:
        text: as the module's docstring says.
        parameters: keyword arguments by augmentation, e.g. ``{"M": {"ratio": 0.15}}`` or ``{"masking": {"ratio": 0.15}}``.

    Raises:
        ModelError: the text is no recipe.

    Example:
        >>> Recipe("mask,deletion,translocation+noise,reverse_complement", {"translocation": {"maximum": 20}})
    """

    def __init__(self, text: str = PAPER_RECIPE, parameters: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.text, self.parameters = text, {**(parameters or {})}
        parts = text.split("+")
        if len(parts) != 2 or not all(part.strip() for part in parts):
            raise self._wrong(
                "write the student's augmentations, +, the teacher's, as in MDIT+NR or mask,deletion+noise"
            )
        self.student, self.teacher = (View([self._make(name) for name in self._names(part)]) for part in parts)

    def _wrong(self, words: str) -> ModelError:
        return ModelError(f"recipe {self.text!r}: {words}")

    def _names(self, part: str) -> list[str]:
        """Names of one view in the order they are applied."""
        part = part.strip()
        if part == _NONE:
            return []
        letters = set(part) <= set(_LETTERS)
        names = sorted(part, key=[*_LETTERS].index) if letters else [name.strip() for name in part.split(",")]
        if len(set(names)) != len(names) or not all(names):
            raise self._wrong(f"a view is {_NONE} or augmentations, each once, as in MDIT+NR")
        return names

    def _make(self, name: str) -> Augmentation:
        """The augmentation of that name, with the parameters given for it under this or another of its names."""
        try:
            plain = _augmentation(name)
            given = next((v for k, v in self.parameters.items() if type(_augmentation(k)) is type(plain)), {})
            return _augmentation(name, **given) if given else plain
        except BenchError as error:
            raise self._wrong(str(error)) from error

    def student_view(self, x: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor | None]:
        """(view, target codes, masked positions) of codes (B, L)."""
        # Noise does not change what the bases are, so the target is edited with it left out: same edits, in codes.
        edited = self.student.edit(x, generator, ("bases",))
        view = self.student.edit(edited, generator, ("values",))
        if self.student.mask is None:
            return view, edited, None
        masked = self.student.mask.draw(edited, generator)
        return self.student.mask.apply(view, masked, generator), edited, masked

    def teacher_view(self, x: Tensor, generator: Generator) -> Tensor:
        """The teacher's view of codes (B, L)."""
        return self.teacher(x, generator)

    def views(self, x: Tensor, generator: Generator) -> Views:
        """Both views of codes (B, L)."""
        student, target, masked = self.student_view(x, generator)
        return Views(student, self.teacher_view(x, generator), target, masked)


def _augmentation(name: str, **parameters: Any) -> Augmentation:
    """A letter is the paper's whatever other plugins register; a name is looked up among all."""
    made: Augmentation = _LETTERS[name](**parameters) if name in _LETTERS else make_augmentation(name, **parameters)
    return made


def divergence(student: Tensor, teacher: Tensor) -> float:
    """Equation 10, as a mean over positions: KL(softmax(u) || softmax(v)) of the five input channels.

    The published values (0.025 to 0.175) can only be per-position means; the equation's sum is this times B x L.
    """
    u, v = (torch.log_softmax(one_hot(x) if x.dtype == torch.uint8 else x, dim=-1) for x in (student, teacher))
    return float((u.exp() * (u - v)).sum(-1).double().mean())
