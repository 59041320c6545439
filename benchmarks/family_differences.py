"""How often a difference between two families of pretrainings is called one that is none, and what can be found, by simulation.

    python benchmarks/family_differences.py [--tables 1000] [--into benchmarks/results/family_differences.md]

Two families of networks are scored on one test split: some pretrainings each, of every pretraining some fits (seeds of the head). Whether
a row is right is a threshold on a sum of normal parts: the row, shared by all; the row and the family; the row, anew for every pretraining;
the row, anew for every fit. A pretraining and a fit move the threshold of all rows. The families' true accuracies are equal (or differ by
what the table says), so that a corrected p below 0.05 is a false alarm in at most one of twenty tables.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import special, stats

from findna_bench.grid import markdown_table
from findna_bench.results.environment import environment, environment_line
from findna_bench.statistics.paired_tests import Difference, Predictions, compare

SHARED, FAMILY, PRETRAINING = 0.5, 0.2, 0.15
"""Shares of a row's variance that all networks, those of a family, and the fits of a pretraining have in common; the rest is a fit's own."""


@dataclass(frozen=True)
class Scenario:
    """pretrainings: of either family. spread: standard deviation of a pretraining's accuracy, in points, of either. seeds: fits of each.
    rows: of the test split. gap: true difference, in points."""

    pretrainings: tuple[int, int]
    spread: tuple[float, float]
    seeds: int = 3
    rows: int = 1000
    gap: float = 0.0

    def tables(self, count: int, rng: np.random.Generator) -> Iterator[tuple[Predictions, Predictions]]:
        for _ in range(count):
            labels = np.arange(self.rows) % 2
            shared = math.sqrt(SHARED) * rng.normal(size=self.rows)
            accuracies = (0.75 + self.gap / 200, 0.75 - self.gap / 200)
            yield tuple(  # type: ignore[misc]
                self._family(labels, shared, *one, rng, first=10 * place)
                for place, one in enumerate(zip(accuracies, self.pretrainings, self.spread, strict=True))
            )

    def _family(
        self,
        labels: np.ndarray,
        shared: np.ndarray,
        accuracy: float,
        count: int,
        spread: float,
        rng: np.random.Generator,
        first: int,
    ) -> Predictions:
        slope = stats.norm.pdf(special.ndtri(accuracy))
        moves, of_fit = spread / 100 / slope, 0.5 / 100 / slope
        threshold = special.ndtri(accuracy) * math.sqrt(1 + moves**2 + of_fit**2)
        common = shared + math.sqrt(FAMILY) * rng.normal(size=self.rows)
        scores, draws = [], []
        for draw in range(count):
            drawn = common + math.sqrt(PRETRAINING) * rng.normal(size=self.rows) + moves * rng.normal()
            for _ in range(self.seeds):
                noise = math.sqrt(1 - SHARED - FAMILY - PRETRAINING) * rng.normal(size=self.rows)
                right = threshold + drawn + noise + of_fit * rng.normal() > 0
                scores.append(np.eye(2)[np.where(right, labels, 1 - labels)])
                draws.append(first + draw)
        return Predictions(labels, tuple(scores), seeds=tuple(range(self.seeds)) * count, draws=tuple(draws))


def differences(scenario: Scenario, tables: int, seed: int = 0) -> list[Difference]:
    rng = np.random.default_rng([seed, *scenario.pretrainings, scenario.rows, round(10 * scenario.spread[0])])
    return [compare(first, second, "accuracy") for first, second in scenario.tables(tables, rng)]


def below(found: list[Difference], level: float = 0.05) -> float:
    return float(np.mean([d.p_value is not None and d.p_value < level for d in found]))


SIZES = ((5, 5), (3, 3), (5, 3), (2, 2))
SPREADS = ((2.3, 2.3), (2.3, 0.6), (0.6, 2.3), (0.6, 0.6), (0.0, 0.0))


def page(tables: int) -> str:
    alarms = []
    for sizes in SIZES:
        for spread in SPREADS:
            found = differences(Scenario(sizes, spread), tables)
            detectable = np.mean([d.detectable for d in found if d.detectable is not None])
            width = np.mean([d.high - d.low for d in found if d.high is not None and d.low is not None])
            alarms.append(
                (
                    f"{sizes[0]} and {sizes[1]}",
                    f"{spread[0]:g} and {spread[1]:g}",
                    f"{below(found):.3f}",
                    f"{100 * width / 2:.1f}",
                    f"{100 * detectable:.1f}",
                )
            )
    power = []
    for sizes in ((5, 5), (3, 3)):
        for gap in (2.0, 3.4, 5.0, 7.0):
            found = differences(Scenario(sizes, (2.3, 2.3), gap=gap), tables)
            power.append((f"{sizes[0]} and {sizes[1]}", f"{gap:g}", f"{below(found):.2f}"))
    header = ("pretrainings", "spread, points", "false alarms", "half width, points", "smallest detectable, points")
    return "\n".join(
        [
            "# Differences between families of pretrainings",
            "",
            f"Made by `python benchmarks/family_differences.py --tables {tables}`, whose docstring says what is simulated: 1,000 rows, accuracy 75 %, three "
            f"fits of every pretraining. A share of {tables:,} tables has a standard error of about {100 * math.sqrt(0.05 * 0.95 / tables):.1f} points. {environment_line(environment())}.",
            "",
            "## False alarms where there is no difference (0.05 is right)",
            "",
            *markdown_table(header, alarms),
            "",
            "## What is found, with a spread of 2.3 points between pretrainings of either family",
            "",
            *markdown_table(("pretrainings", "true difference, points", "found"), power),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--into", type=Path)
    arguments = parser.parse_args()
    text = page(arguments.tables)
    print(text)
    if arguments.into:
        arguments.into.write_text(text)


if __name__ == "__main__":
    main()
