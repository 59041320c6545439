"""Does an augmentation keep its contract (:class:`findna_bench.training.augmentation.Augmentation`)?"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from findna_bench.registry import Registry, factory_options, load_factory
from findna_bench.sequences.alphabet import one_hot
from findna_bench.testing.check_report import Checklist, Fault, Report
from findna_bench.training.augmentation import Augmentation, MaskingAugmentation, effect_of, make_augmentation

__all__ = ["check_augmentation"]

_EFFECTS = ("bases", "values", "mask")
_ROWS, _LENGTH = 6, 120


def check_augmentation(name: str, registry: Registry) -> Report:
    """All checks of the augmentation called ``name``, made without options as recipes make it."""
    subject = _Subject(name, registry)
    checklist = Checklist("augmentation", name)
    if checklist.check("loads", subject.loads) and checklist.check("form", subject.form):
        checklist.check("randomness", subject.randomness)
        checklist.check("untouched", subject.untouched)
        checklist.check("rows", subject.rows)
        if isinstance(subject.made, MaskingAugmentation) and effect_of(subject.made) == "mask":
            checklist.check("masking", subject.masking)
    return checklist.report()


class _Subject:
    def __init__(self, name: str, registry: Registry) -> None:
        self.name, self.registry = name, registry
        codes = torch.randint(0, 4, (_ROWS, _LENGTH), dtype=torch.uint8, generator=Generator().manual_seed(1))
        codes[2, :5] = 4  # N
        self.codes = codes

    @cached_property
    def made(self) -> Augmentation:
        return make_augmentation(self.name, registry=self.registry)

    @property
    def forms(self) -> dict[str, Tensor]:
        """What it is given: codes and rows, or rows alone where it changes values."""
        rows = {"(B, L, 5) float rows": one_hot(self.codes)}
        return rows if effect_of(self.made) == "values" else {"(B, L) uint8 codes": self.codes.clone(), **rows}

    def call(self, x: Tensor, seed: int = 0) -> Tensor:
        return self.made(x, Generator().manual_seed(seed))

    def loads(self) -> str:
        card = self.registry.resolve("augmentations", self.name).card
        options = factory_options(load_factory(card.factory, f"augmentation {card.name!r}"))
        if required := [name for name, default in options.items() if default is ...]:
            raise Fault(f"option {required[0]} has no default, so that no recipe can name the augmentation")
        effect: Any = effect_of(self.made)
        if effect not in _EFFECTS:
            raise Fault(f"effect must be one of {', '.join(_EFFECTS)}, not {effect!r}")
        return f"it is made without options and changes {effect}"

    def form(self) -> str:
        for words, x in self.forms.items():
            found = self.call(x.clone())
            if not isinstance(found, Tensor) or found.shape != x.shape or found.dtype != x.dtype:
                shape = f"{tuple(found.shape)} {found.dtype}" if isinstance(found, Tensor) else type(found).__name__
                raise Fault(f"{words} of shape {tuple(x.shape)} come back as {shape}, not in the same form")
            if x.dtype == torch.uint8 and int(found.max()) > 5:
                raise Fault(f"a code is {int(found.max())}; they are A 0, C 1, G 2, T 3, N 4, blank 5")
            if not bool(torch.isfinite(found.float()).all()):
                raise Fault(f"{words} come back with NaN or infinity")
        return f"{' and '.join(self.forms)} come back in the same form"

    def randomness(self) -> str:
        x = next(iter(self.forms.values()))
        kept = torch.random.get_rng_state()
        try:
            torch.manual_seed(1)
            one = self.call(x.clone())
            moved = not torch.equal(torch.random.get_rng_state(), torch.Generator().manual_seed(1).get_state())
            torch.manual_seed(2)
            other = self.call(x.clone())
        finally:
            torch.random.set_rng_state(kept)
        if moved or not torch.equal(one, other):
            raise Fault("it draws from torch's global generator: draw from the one it is given")
        other = self.call(x.clone(), seed=1)
        return "all it draws comes from the generator it is given" + (
            "" if not torch.equal(one, other) else " (two seeds changed nothing alike here: it may draw nothing)"
        )

    def untouched(self) -> str:
        for words, x in self.forms.items():
            given = x.clone()
            self.call(given)
            if not torch.equal(given, x):
                raise Fault(f"{words} are changed in place: the batch is read again")
        return "the batch it is given is left as it was"

    def rows(self) -> str:
        for x in self.forms.values():
            other = x.clone()
            other[1:] = x[1:].flip(0)
            if not torch.equal(self.call(x.clone())[0], self.call(other)[0]):
                raise Fault("what becomes of a row depends on the other rows of its batch")
        return "what becomes of a row depends on no other row"

    def masking(self) -> str:
        made = self.made
        assert isinstance(made, MaskingAugmentation)
        for x in self.forms.values():
            chosen = made.draw(x.clone(), Generator().manual_seed(3))
            if chosen.dtype != torch.bool or chosen.shape != x.shape[:2]:
                raise Fault(f"draw gives {tuple(chosen.shape)} {chosen.dtype}, not (B, L) bool")
            hidden = made.apply(x.clone(), chosen, Generator().manual_seed(3))
            if not torch.equal(hidden[~chosen], x[~chosen]):
                raise Fault("apply changes positions that were not chosen")
        return f"draw chooses {float(chosen.float().mean()):.0%} of the positions, apply changes no other"
