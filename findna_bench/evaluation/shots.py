"""The ways of few-shot learning and their names, without any code that draws or fits."""

from __future__ import annotations

__all__ = ["few_shot_words"]


def few_shot_words(shots: int, validation: str | None) -> str:
    """``10-shot``, or ``10-shot, full validation`` where labelled rows beside the shots are chosen on."""
    return f"{shots}-shot" + (", full validation" if validation == "full" else "")
