"""Generated pairs whose distribution is known: do both sides hold the same motif?

Each side is drawn by itself: a background of independent, uniform bases with one site of one of two motifs, each equally likely, at a uniform
position. The label says whether both sides hold the same motif, so neither side alone says anything of it. With ``q`` the probability that
a side holds the first motif given its bases, both hold the same one with probability ``q_a q_b + (1 - q_a)(1 - q_b)``, and no rule is right more
often than the larger of this and the rest. ``distance`` is drawn from one of two ranges, the near one with a probability that the label
decides: ``near`` for pairs of class 0 and 1. Where these differ, distance is a shortcut that scores within its strata are free of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from findna_bench.api import SequenceTable
from findna_plugins.synthetic import SPLITS, PlantedMotif

__all__ = ["best_attainable", "generate"]

_RANGES = ((1_000, 10_000), (50_000, 100_000))
"""Distances of near and of far pairs, in bases."""
_SIMULATED_SIDES = 20_000
_LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)


def _processes(config: Mapping[str, Any]) -> list[PlantedMotif]:
    return [PlantedMotif(config["length"], motif, config["conservation"]) for motif in config["motifs"]]


def _sides(which: np.ndarray, config: Mapping[str, Any], generator: np.random.Generator) -> np.ndarray:
    """uint8 codes (n, length), a site of motif ``which`` (n,) in each."""
    codes = np.empty((len(which), config["length"]), dtype=np.uint8)
    for number, process in enumerate(_processes(config)):
        rows = np.flatnonzero(which == number)
        codes[rows] = process.draw(np.ones(len(rows), dtype=np.int64), generator)
    return codes


def generate(config: Mapping[str, Any]) -> dict[str, SequenceTable]:
    """All splits; the same for the same ``config``.

    config: ``motifs`` (two, of one length), ``length`` of a side, ``conservation``, ``near`` (shares of near pairs, by class), ``rows`` per split, ``seed``.
    """
    tables = {}
    for number, split in enumerate(SPLITS):
        generator = np.random.default_rng(np.random.SeedSequence(config["seed"], spawn_key=(number,)))
        labels = generator.permutation(np.arange(config["rows"][split]) % 2)
        a = generator.integers(2, size=len(labels))
        b = np.where(labels == 1, a, 1 - a)
        sides = [[row.tobytes().decode("ascii") for row in _LETTERS[_sides(w, config, generator)]] for w in (a, b)]
        near = generator.random(len(labels)) < np.asarray(config["near"])[labels]
        low, high = np.where(near[:, None], *map(np.array, _RANGES)).T
        tables[split] = SequenceTable(
            sequences=sides[0],
            sequences_b=sides[1],
            labels=labels.astype(np.int64),
            ids=np.array([f"{split}-{i}" for i in range(len(labels))]),
            extra={"distance": generator.integers(low, high).astype(np.float64)},
        )
    return tables


def best_attainable(config: Mapping[str, Any]) -> float:
    """The highest expected accuracy of any rule on both sides that does not look at the distance, by simulation.

    Its standard error is below 0.003.
    """
    generator = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(98,)))
    codes = _sides(np.arange(_SIMULATED_SIDES) % 2, config, generator)
    first, second = (process.log_ratio(codes) for process in _processes(config))
    q = 1 / (1 + np.exp(second - first))
    order = generator.permutation(len(q))
    a, b = q[order[: len(q) // 2]], q[order[len(q) // 2 :]]
    same = a * b + (1 - a) * (1 - b)
    return float(np.maximum(same, 1 - same).mean())
