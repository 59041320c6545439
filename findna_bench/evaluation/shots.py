"""The ways of few-shot learning and their names, without any code that draws or fits."""

from __future__ import annotations

__all__ = ["SHOT_VALIDATIONS", "few_shot_words"]

SHOT_VALIDATIONS = ("within", "full")
"""On what a few-shot fit chooses: on its shots alone, or on all validation rows of the task."""


def few_shot_words(shots: int, validation: str | None) -> str:
    """``10-shot``, or ``10-shot, full validation`` where labelled rows beside the shots are chosen on."""
    return f"{shots}-shot" + (", full validation" if validation == "full" else "")
