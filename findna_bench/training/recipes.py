"""Recipes: which augmentations make the student's and the teacher's view of a sequence.

A recipe is the student's augmentations, ``+``, the teacher's; ``NoAug`` for none. A view is written by names of augmentations that any
plugin registers, separated by commas and applied in that order: ``mask,deletion,snp+noise,reverse_complement``; or by letters
(aliases of one character, as papers write them), which are applied in the order in which they are registered, whatever the order they
are written in: ``MDIT+NR``. Masking comes last in either form, because the target is the view before it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from findna_bench.errors import BenchError, ModelError
from findna_bench.registry import Entry, Registry, full_name, get_registry
from findna_bench.sequences.alphabet import one_hot
from findna_bench.training.augmentation import Augmentation, MaskingAugmentation, augment, effect_of, make_augmentation

__all__ = ["Recipe", "View", "Views"]

_NONE = "NoAug"


@dataclass(frozen=True)
class Views:
    """Both views of a batch.

    Attributes:
        student: (B, L) uint8 codes, or (B, L, 5) rows where an augmentation changes values.
        teacher: the same.
        target: (B, L) uint8 codes of the student's view before masking.
        masked: (B, L) bool, the positions that are hidden from the student; None where the recipe masks nothing.
    """

    student: Tensor
    teacher: Tensor
    target: Tensor
    masked: Tensor | None


class View:
    """One side of a recipe: edits and noise in their order, then the mask, if any.

    Args:
        augmentations: in the order in which they are applied; one that masks is applied last.
    """

    def __init__(self, augmentations: Sequence[Augmentation]) -> None:
        masks = [a for a in augmentations if effect_of(a) == "mask"]
        self.steps = [a for a in augmentations if effect_of(a) != "mask"]
        self.mask: MaskingAugmentation | None = masks[-1] if masks else None  # type: ignore[assignment]

    def edit(self, x: Tensor, generator: Generator, effects: Collection[str] = ("bases", "values")) -> Tensor:
        """All steps of these effects, without the mask.

        Args:
            x: (B, L) uint8 codes, or (B, L, 5) rows.
            generator: of all that is drawn.
            effects: of the steps that are taken; see :class:`Augmentation`.

        Returns:
            Codes, or rows where ``x`` is rows or a step needs them.
        """
        for step in self.steps:
            effect = effect_of(step)
            if effect not in effects:
                continue
            x = augment(step, one_hot(x) if effect == "values" and x.dtype == torch.uint8 else x, generator)
        return x

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """The view of (B, L) codes: codes, or (B, L, 5) rows where a step needs them."""
        view = self.edit(x, generator)
        return view if self.mask is None else augment(self.mask, view, generator)


class Recipe:
    """The augmentations of both views, as ``pretrain --recipe`` writes them; an objective with an option ``recipe`` is given that text.

    Args:
        text: the student's augmentations, ``+``, the teacher's: names in the order in which they are applied
            (``mask,deletion+noise``), or letters (``MDIT+NR``); ``NoAug`` for none.
        parameters: options by augmentation, e.g. ``{"masking": {"ratio": 0.15}}``, under any of its names.
        registry: where augmentations are looked up.

    Raises:
        ModelError: the text is no recipe, or an augmentation is unknown or refuses its options; the message says which.

    Example:
        >>> recipe = fb.Recipe("mask,deletion+noise", {"mask": {"ratio": 0.2}})
        >>> codes = torch.randint(0, 4, (8, 100), dtype=torch.uint8)
        >>> views = recipe.views(codes, torch.Generator().manual_seed(0))
        >>> views.student.shape, views.teacher.shape, views.masked.shape
        (torch.Size([8, 100]), torch.Size([8, 100, 5]), torch.Size([8, 100]))
    """

    def __init__(
        self,
        text: str,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        registry: Registry | None = None,
    ) -> None:
        self.text, self.parameters = text, {**(parameters or {})}
        self._registry = registry or get_registry()
        self._letters = _letters(self._registry)
        parts = text.split("+")
        if len(parts) != 2 or not all(part.strip() for part in parts):
            raise self._wrong(
                "write the student's augmentations, +, the teacher's, as in MDIT+NR or mask,deletion+noise"
            )
        self.student, self.teacher = (View([self._make(name) for name in self._names(part)]) for part in parts)

    @classmethod
    def of_one_view(
        cls,
        text: str,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        registry: Registry | None = None,
    ) -> Recipe:
        """A recipe for an objective with one network: the student's augmentations alone, without ``+``.

        Raises:
            ModelError: as of the class, or there is a ``+``.

        Example:
            >>> len(fb.Recipe.of_one_view("mask,deletion,insertion").student.steps)
            2
        """
        if "+" in text:
            raise ModelError(f"recipe {text!r} is to be one view, as in MDIT or mask,deletion")
        return cls(f"{text}+{_NONE}", parameters, registry=registry)

    def _wrong(self, words: str) -> ModelError:
        return ModelError(f"recipe {self.text!r}: {words}")

    def _names(self, part: str) -> list[str]:
        """Names of one view in the order they are applied."""
        part = part.strip()
        if part == _NONE:
            return []
        letters = set(part) <= set(self._letters)
        names = sorted(part, key=[*self._letters].index) if letters else [name.strip() for name in part.split(",")]
        if len(set(names)) != len(names) or not all(names):
            raise self._wrong(f"a view is {_NONE} or augmentations, each once, as in MDIT+NR")
        return names

    def _make(self, name: str) -> Augmentation:
        """The augmentation of that name, with the parameters given for it under this or another of its names."""
        try:
            wanted = self._qualified(name)
            given = next((v for k, v in self.parameters.items() if self._qualified(k) == wanted), {})
            return make_augmentation(wanted, registry=self._registry, **given)
        except BenchError as error:
            raise self._wrong(str(error)) from error

    def _qualified(self, name: str) -> str:
        """``distribution:name``; a letter is the harness's own before any other plugin's."""
        entry = self._letters.get(name) or self._registry.resolve("augmentations", name)
        return f"{entry.distribution}:{full_name(entry.card)}"

    def student_view(self, x: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor | None]:
        """The student's view, and what it hides.

        Args:
            x: (B, L) uint8 codes.
            generator: of all that is drawn.

        Returns:
            The view, codes or (B, L, 5) rows; its (B, L) codes before masking; (B, L) bool masked positions or None.
        """
        # Noise does not change what the bases are, so the target is edited with it left out: same edits, in codes.
        edited = self.student.edit(x, generator, ("bases",))
        view = self.student.edit(edited, generator, ("values",))
        if self.student.mask is None:
            return view, edited, None
        masked = self.student.mask.draw(edited, generator)
        return self.student.mask.apply(view, masked, generator), edited, masked

    def teacher_view(self, x: Tensor, generator: Generator) -> Tensor:
        """The teacher's view of (B, L) codes: codes, or (B, L, 5) rows."""
        return self.teacher(x, generator)

    def views(self, x: Tensor, generator: Generator) -> Views:
        """Both views of (B, L) codes."""
        student, target, masked = self.student_view(x, generator)
        return Views(student, self.teacher_view(x, generator), target, masked)


def _letters(registry: Registry) -> dict[str, Entry]:
    """Aliases of one character, in the order in which they are applied: that of registration, the harness's own first."""
    entries = registry.entries("augmentations")
    own = registry.own("augmentations")
    ordered = sorted(entries, key=lambda entry: entry.card not in own)
    found: dict[str, Entry] = {}
    for entry in ordered:
        for alias in entry.card.aliases:
            if len(alias) == 1:
                found.setdefault(alias, entry)
    return found
