"""Generated tasks whose distribution is known, so that the best attainable accuracy is known too.

A process draws sequences of a class and gives the exact log likelihood ratio of its two classes. Background bases are
independent and uniform; a planted site shows each base of its motif with probability ``conservation`` and each other base
with a third of the rest. Against the background a site at position i has the ratio
``s(i) = prod_j p_j(x[i + j]) / (1/4)``, and a class that places sites at random has the mean of such products over all
placements. Both classes are equally frequent, so no classifier does better than the sign of the log ratio (Bayes rule), whose
expected accuracy is the mean of the larger posterior.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from findna_bench.api import SequenceTable

__all__ = ["PROCESSES", "GCContent", "MotifPair", "PlantedMotif", "bayes_posterior", "best_attainable", "generate"]

SPLITS = ("train", "validation", "test")
_LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)
_CODES = np.zeros(256, dtype=np.uint8)
_CODES[_LETTERS] = np.arange(4)
_SIMULATED_BASES = 4_000_000
_ROWS_AT_A_TIME = 256


class Process(Protocol):
    """Two classes of sequences of one length over A, C, G, T."""

    @property
    def length(self) -> int:
        """Bases per sequence."""

    def draw(self, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """uint8 codes (n, length), one sequence for each label (n,)."""

    def log_ratio(self, codes: np.ndarray) -> np.ndarray:
        """(n,) log P(sequence | class 1) - log P(sequence | class 0), exact."""

    def best_accuracy(self) -> float:
        """Expected accuracy of the Bayes rule on balanced classes."""


def _motif_codes(motif: str) -> np.ndarray:
    return _CODES[np.frombuffer(motif.encode("ascii"), dtype=np.uint8)]


def _background(n: int, length: int, generator: np.random.Generator) -> np.ndarray:
    return generator.integers(4, size=(n, length), dtype=np.uint8)


def _plant(
    codes: np.ndarray, motif: np.ndarray, starts: np.ndarray, conservation: float, generator: np.random.Generator
) -> None:
    """Write a site of ``motif`` into each row of ``codes`` at ``starts`` (n,)."""
    shape = (len(codes), len(motif))
    other = (motif + generator.integers(1, 4, size=shape, dtype=np.uint8)) % 4
    site = np.where(generator.random(shape) < conservation, motif, other)
    columns = starts[:, None] + np.arange(len(motif))
    np.put_along_axis(codes, columns, site.astype(np.uint8), axis=1)


def _site_ratios(codes: np.ndarray, motif: np.ndarray, conservation: float) -> np.ndarray:
    """s(i) for every start: float64 (n, length - width + 1)."""
    n_starts = codes.shape[1] - len(motif) + 1
    ratios = np.ones((len(codes), n_starts))
    for j, base in enumerate(motif):
        ratios *= np.where(codes[:, j : j + n_starts] == base, 4 * conservation, 4 * (1 - conservation) / 3)
    return ratios


def _simulated_accuracy(process: Process) -> float:
    """Mean of the larger posterior over drawn sequences: the exact likelihood ratio, integrated by simulation.

    Its standard error is at most ``0.25 / sqrt(n)`` (a posterior lies between 1/2 and 1): 0.002 for 200 bases, 0.006 for 4200.
    """
    n = max(2000, _SIMULATED_BASES // process.length)
    generator = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(99,)))
    total = 0.0
    for first in range(0, n, _ROWS_AT_A_TIME):
        labels = np.arange(first, min(n, first + _ROWS_AT_A_TIME)) % 2
        ratio = np.abs(process.log_ratio(process.draw(labels, generator)))
        total += float((1 / (1 + np.exp(-ratio))).sum())
    return total / n


@dataclass(frozen=True)
class PlantedMotif:
    """Class 1 has one site of ``motif`` at a uniform position, with ``both_strands`` on a random strand; class 0 has none."""

    length: int
    motif: str
    conservation: float
    both_strands: bool = False

    def _motifs(self) -> list[np.ndarray]:
        forward = _motif_codes(self.motif)
        return [forward, (3 - forward)[::-1]] if self.both_strands else [forward]

    def draw(self, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        codes = _background(len(labels), self.length, generator)
        motifs = self._motifs()
        strand = generator.integers(len(motifs), size=len(labels))
        starts = generator.integers(self.length - len(self.motif) + 1, size=len(labels))
        for which, motif in enumerate(motifs):
            rows = np.flatnonzero((labels == 1) & (strand == which))
            planted = codes[rows]
            _plant(planted, motif, starts[rows], self.conservation, generator)
            codes[rows] = planted
        return codes

    def log_ratio(self, codes: np.ndarray) -> np.ndarray:
        ratios = [_site_ratios(codes, motif, self.conservation).mean(axis=1) for motif in self._motifs()]
        return np.log(np.mean(ratios, axis=0))

    def best_accuracy(self) -> float:
        return _simulated_accuracy(self)


@dataclass(frozen=True)
class MotifPair:
    """Both classes have a site of each motif; they differ in which comes first, or in the distance.

    swapped: whether ``second`` stands before ``first``, for class 0 and 1. distances: for class 0 and 1, those from the
    start of the left site to the start of the right one, of which each is equally likely; the left site is at any place that leaves room.
    """

    length: int
    first: str
    second: str
    conservation: float
    swapped: tuple[bool, bool]
    distances: tuple[Sequence[int], Sequence[int]]

    def _sites(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        left, right = _motif_codes(self.first), _motif_codes(self.second)
        return (right, left) if self.swapped[label] else (left, right)

    def draw(self, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        codes = _background(len(labels), self.length, generator)
        for label in (0, 1):
            rows = np.flatnonzero(labels == label)
            left, right = self._sites(label)
            distance = generator.choice(np.asarray(self.distances[label], dtype=np.int64), size=len(rows))
            starts = generator.integers(self.length - distance - len(right) + 1)
            planted = codes[rows]
            _plant(planted, left, starts, self.conservation, generator)
            _plant(planted, right, starts + distance, self.conservation, generator)
            codes[rows] = planted
        return codes

    def log_ratio(self, codes: np.ndarray) -> np.ndarray:
        log_likelihood = []
        for label in (0, 1):
            left, right = (_site_ratios(codes, motif, self.conservation) for motif in self._sites(label))
            total = np.zeros(len(codes))
            for distance in self.distances[label]:
                n_starts = right.shape[1] - distance
                total += np.einsum("ni,ni->n", left[:, :n_starts], right[:, distance:]) / n_starts
            log_likelihood.append(np.log(total / len(self.distances[label])))
        return log_likelihood[1] - log_likelihood[0]

    def best_accuracy(self) -> float:
        return _simulated_accuracy(self)


@dataclass(frozen=True)
class GCContent:
    """Independent bases; each is G or C with probability ``gc[class]``. Best accuracy in closed form."""

    length: int
    gc: tuple[float, float]

    def draw(self, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        shape = (len(labels), self.length)
        strong = generator.random(shape) < np.asarray(self.gc)[labels][:, None]
        either = generator.integers(2, size=shape, dtype=np.uint8)
        return np.where(strong, 1 + either, 3 * either).astype(np.uint8)  # C or G, A or T

    def log_ratio(self, codes: np.ndarray) -> np.ndarray:
        n_strong = ((codes == 1) | (codes == 2)).sum(axis=1)
        low, high = self.gc
        return n_strong * math.log(high / low) + (self.length - n_strong) * math.log((1 - high) / (1 - low))

    def best_accuracy(self) -> float:
        """Half the sum over GC counts of the larger of two binomial probabilities."""
        counts = np.arange(self.length + 1)
        log_choose = np.array(
            [math.lgamma(self.length + 1) - math.lgamma(k + 1) - math.lgamma(self.length - k + 1) for k in counts]
        )
        log_pmf = [log_choose + counts * math.log(p) + (self.length - counts) * math.log(1 - p) for p in self.gc]
        return float(np.exp(np.maximum(*log_pmf)).sum() / 2)


PROCESSES: Mapping[str, Callable[..., Process]] = {
    "planted-motif": PlantedMotif,
    "motif-pair": MotifPair,
    "gc-content": GCContent,
}


def _process(config: Mapping[str, Any]) -> Process:
    return PROCESSES[config["process"]](**config["settings"])


def generate(config: Mapping[str, Any]) -> dict[str, SequenceTable]:
    """All splits of a generated task; the same for the same ``config``.

    config: ``process`` (a key of ``PROCESSES``), ``settings`` (its fields), ``rows`` (rows per split, half of each class), ``seed``.
    """
    process = _process(config)
    tables = {}
    for number, split in enumerate(SPLITS):
        generator = np.random.default_rng(np.random.SeedSequence(config["seed"], spawn_key=(number,)))
        labels = generator.permutation(np.arange(config["rows"][split]) % 2)
        letters = _LETTERS[process.draw(labels, generator)]
        tables[split] = SequenceTable(
            sequences=[row.tobytes().decode("ascii") for row in letters],
            labels=labels.astype(np.int64),
            ids=np.array([f"{split}-{i}" for i in range(len(labels))]),
        )
    return tables


def bayes_posterior(config: Mapping[str, Any], sequences: Sequence[str]) -> np.ndarray:
    """(n,) exact probability of class 1 for sequences of a generated task: the rule that nothing beats."""
    process = _process(config)
    codes = _CODES[np.frombuffer("".join(sequences).encode("ascii"), dtype=np.uint8)].reshape(-1, process.length)
    parts = [process.log_ratio(codes[i : i + _ROWS_AT_A_TIME]) for i in range(0, len(codes), _ROWS_AT_A_TIME)]
    return 1 / (1 + np.exp(-np.concatenate(parts)))


def best_attainable(config: Mapping[str, Any]) -> float:
    """The highest expected accuracy any classifier can have on a generated task, in closed form or by simulation."""
    return _process(config).best_accuracy()
