"""Splits other than a task's own, as ``--split`` names them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SplitChoice", "parse_split"]


@dataclass(frozen=True)
class SplitChoice:
    """What ``--split`` names. how: ``grouped`` or ``chromosome``. fold, k: of grouped folds. contigs: held out for test, empty = drawn."""

    how: str
    fold: int = 0
    k: int | None = None
    contigs: tuple[str, ...] = ()
    every: bool = False
    """All folds (or contigs) one after the other, as one result."""


def parse_split(text: str) -> SplitChoice:
    """``grouped``, ``grouped:2/5``, ``chromosome``, ``chromosome:20`` or ``chromosome:20+22`` (with or without ``chr``); all folds:
    ``grouped:*/5``, ``chromosome:*``.

    Raises:
        ValueError: anything else.
    """
    how, colon, rest = text.partition(":")
    fold, separator, k = rest.partition("/")
    if how == "grouped" and fold == "*" and separator and k.isdecimal() and int(k) > 1:
        return SplitChoice(how, k=int(k), every=True)
    if how == "chromosome" and rest == "*":
        return SplitChoice(how, every=True)
    if how in ("grouped", "chromosome") and not colon:
        return SplitChoice(how)
    if how == "grouped" and separator and fold.isdecimal() and k.isdecimal() and int(fold) < int(k) and int(k) > 1:
        return SplitChoice(how, int(fold), int(k))
    if how == "chromosome" and rest and all(name.strip() for name in rest.split("+")):
        return SplitChoice(how, contigs=tuple(dict.fromkeys(name.strip() for name in rest.split("+"))))
    raise ValueError(
        f"split {text!r} is none of official, grouped, grouped:FOLD/K, grouped:*/K, chromosome, chromosome:NAME[+NAME], chromosome:*"
    )
