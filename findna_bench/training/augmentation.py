"""The interface of augmentations, and how one is made from its card."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from torch import Generator, Tensor

from findna_bench.errors import PluginError, UsageError
from findna_bench.plugin_code import plugin_code
from findna_bench.registry import Registry, get_registry, make_with_options

__all__ = ["Augmentation", "MaskingAugmentation", "augment", "effect_of", "make_augmentation"]

Effect = Literal["bases", "values", "mask"]


@runtime_checkable
class Augmentation(Protocol):
    """``(x, generator) -> x``: (B, L) uint8 codes (A 0, C 1, G 2, T 3, N 4, blank 5) or (B, L, 5) float rows, same form out.

    Rows of the batch are independent; all randomness comes from ``generator``, which lives on the tensor's device.

    A class attribute ``effect`` says what it does where that is not editing: ``"bases"`` (the default) changes the sequence,
    ``"values"`` changes the numbers that stand for it and nothing of what the bases are (noise; it is only ever given rows),
    ``"mask"`` hides positions (:class:`MaskingAugmentation`).

    Example:
        >>> class SNP:
        ...     def __init__(self, p: float = 0.01) -> None:
        ...         self.p = p
        ...
        ...     def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        ...         chosen = torch.rand(x.shape[:2], generator=generator, device=x.device) < self.p
        ...         bases = torch.randint(0, 4, x.shape[:2], dtype=torch.uint8, generator=generator, device=x.device)
        ...         if x.dtype == torch.uint8:
        ...             return torch.where(chosen, bases, x)
        ...         return torch.where(chosen[..., None], fb.one_hot(bases, dtype=x.dtype), x)
    """

    def __call__(self, x: Tensor, generator: Generator) -> Tensor: ...


@runtime_checkable
class MaskingAugmentation(Augmentation, Protocol):
    """An augmentation that hides positions, so that an objective can ask what stood there."""

    effect: ClassVar[Effect]
    """``"mask"``."""

    def draw(self, x: Tensor, generator: Generator) -> Tensor:
        """(B, L) bool, the positions chosen."""
        ...

    def apply(self, x: Tensor, chosen: Tensor, generator: Generator) -> Tensor:
        """``x`` with the chosen positions hidden."""
        ...


def effect_of(augmentation: Augmentation) -> Effect:
    """What an augmentation changes."""
    effect: Effect = getattr(augmentation, "effect", "bases")
    return effect


def augment(augmentation: Augmentation, x: Tensor, generator: Generator) -> Tensor:
    """``augmentation(x, generator)``, checked: an augmentation may be a stranger's.

    Args:
        augmentation: any that a plugin registers.
        x: (B, L) uint8 codes or (B, L, 5) rows.
        generator: of all that is drawn.

    Returns:
        A tensor of the shape and type of ``x``.

    Raises:
        PluginError: the augmentation raises something, or gives something else.

    Example:
        >>> codes = torch.zeros((2, 8), dtype=torch.uint8)
        >>> fb.augment(fb.make_augmentation("reverse_complement"), codes, torch.Generator().manual_seed(0)).shape
        torch.Size([2, 8])
    """
    what = f"augmentation {type(augmentation).__name__!r} ({type(augmentation).__module__})"
    with plugin_code(what, called=augmentation):
        found = augmentation(x, generator)
    if not isinstance(found, Tensor):
        raise PluginError(f"{what} gives a {type(found).__name__}, not a tensor")
    if found.shape != x.shape or found.dtype != x.dtype:
        raise PluginError(
            f"{what} gives {found.dtype} {tuple(found.shape)} for {x.dtype} {tuple(x.shape)}; return the form that came"
        )
    return found


def make_augmentation(name: str, *, registry: Registry | None = None, **options: Any) -> Augmentation:
    """The augmentation registered under a name.

    Args:
        name: name or alias of a card, or ``distribution:name``; see ``findna-bench list augmentations``.
        registry: where it is looked up.
        options: arguments of its factory.

    Returns:
        A callable ``(x, generator) -> x``.

    Raises:
        UnknownNameError: no plugin registers the name. UsageError: it has no such option, or the value makes no sense.

    Example:
        >>> noise = fb.make_augmentation("noise", std=0.2)
        >>> codes = torch.randint(0, 4, (8, 256), dtype=torch.uint8)
        >>> noise(fb.one_hot(codes), torch.Generator().manual_seed(0)).shape
        torch.Size([8, 256, 5])
    """
    card = (registry or get_registry()).resolve("augmentations", name).card
    what = f"augmentation {card.name!r}"
    made: Augmentation = make_with_options(card.factory, what, options)
    if not callable(made):
        raise PluginError(
            f"{what}: {card.factory} makes a {type(made).__name__} that cannot be called with (x, generator)"
        )
    if effect_of(made) == "mask" and not isinstance(made, MaskingAugmentation):
        raise UsageError(
            f"augmentation {card.name!r} says that it masks and has no draw and apply; see MaskingAugmentation"
        )
    return made
