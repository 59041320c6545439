"""What an audit knows of which rows stand in several splits, whatever they are labelled with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from findna_bench.auditing.audit_report import ClassCount, PerClass
from findna_bench.auditing.examples import Behind
from findna_bench.relatedness.diverged_copies import DivergedCopies
from findna_bench.relatedness.duplicates import Identity
from findna_bench.relatedness.repeat_families import RepeatFamilies
from findna_bench.relatedness.similarity import SequenceIndex

__all__ = ["Relatives", "copies_of", "count_holders"]


@dataclass(frozen=True)
class Relatives:
    """Attributes:
    masks: (earlier, later) split -> name of a counterpart (see ``across`` of a report) -> (n,) bool, rows of the later split that have one.
    families: (earlier, later) split -> how large the families of its repeats are; None without sequences.
    behind: the rows behind these numbers, of train -> test.
    identity: split -> numbers of its sequences. diverged: copies at low identity. settings, route: of a report. looked_at: of a verdict.
    """

    masks: Mapping[tuple[str, str], Mapping[str, np.ndarray]]
    families: Mapping[tuple[str, str], RepeatFamilies | None]
    behind: Mapping[str, Behind]
    identity: Mapping[str, Identity]
    diverged: DivergedCopies | None
    settings: Mapping[str, Any]
    route: str
    looked_at: tuple[str, ...] = ()


def count_holders(mask: np.ndarray, holds: np.ndarray, names: Sequence[str]) -> PerClass:
    """Count rows that may be of several classes at once.

    Args:
        mask: (n,) bool, rows that are counted.
        holds: (n, C) bool, rows that hold a class.
        names: of the C classes.
    """
    rows, of = (mask[:, None] & holds).sum(axis=0), holds.sum(axis=0)
    counts = {name: ClassCount(int(rows[i]), float(rows[i] / of[i]) if of[i] else 0.0) for i, name in enumerate(names)}
    return PerClass(int(mask.sum()), counts)


def copies_of(known: set[str], others: set[str]) -> set[str]:
    """Those of the other sequences that are copies of a known one."""
    if not known or not others:
        return set()
    ordered = sorted(others)
    hits = SequenceIndex(sorted(known)).nearest(ordered)
    return {ordered[i] for i in np.flatnonzero(hits.copy >= 0).tolist()}
