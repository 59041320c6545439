"""How often 95 % intervals hold the true value, by simulation; and what intervals cost.

python benchmarks/intervals.py [--tables 1000] [--into benchmarks/results/intervals.md]    coverage, about 10 minutes of one core
python benchmarks/intervals.py --cost 1600x400 1600x1000 100000x2                          seconds and memory of rows x classes

Every table is a new test split of n groups (n rows, or groups of one to ten related rows, two on average) scored by one fit or by
five seeds. Accuracy: whether a row is right is a threshold on a sum of normal parts (group, row, seed on the row), and the seed
moves the threshold. Rankings: the score is such a sum plus d for positives, and the seed moves d; labels are drawn, so that the
number of positives varies. A lattice of few values has no exact level, so that p (on the logit scale, by up to 0.5) and d (by up to
0.5) differ from table to table. Tables whose rarer class has fewer than ten groups have no interval, and are counted apart.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import special, stats

from findna_bench.statistics.classification import compute_metrics
from findna_bench.statistics.metric import make_metric
from findna_bench.statistics.paired_tests import Predictions, estimate
from findna_bench.statistics.score_intervals import Design, confidence_intervals

RELATED, OWN, SEED_SD = 0.5, 0.3, 0.1
"""Shares of the lasting variance that is the group's, and of all variance that each seed draws anew per row; spread of seeds."""
SIZES = (100, 200, 500)
ACCURACIES = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
POSITIVE = (0.02, 0.05, 0.2, 0.5)
RANKED = ("auroc", "mcc", "auprc", "f1_macro", "balanced_accuracy")


@dataclass(frozen=True)
class Scenario:
    """metric, independent groups, accuracy or share of positives, whether rows are grouped, seeds."""

    metric: str
    n: int
    share: float
    grouped: bool = False
    seeds: int = 1

    def tables(self, count: int, rng: np.random.Generator) -> Iterator[tuple[Predictions, float]]:
        """Scored test splits, each with the true value of the mean over all seeds."""
        for _ in range(count):
            yield self._accuracy(rng) if self.metric == "accuracy" else self._ranked(rng)

    def _groups(self, rng: np.random.Generator) -> np.ndarray:
        sizes = np.minimum(rng.geometric(0.5, size=self.n), 10) if self.grouped else np.ones(self.n, dtype=np.int64)
        return np.repeat(np.arange(self.n), sizes)

    def _noise(self, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(S, n) of variance 1."""
        related = RELATED if self.grouped else 0.0
        lasting = np.sqrt(related) * rng.normal(size=self.n)[groups]
        lasting += np.sqrt(1 - related) * rng.normal(size=len(groups))
        if self.seeds == 1:
            return lasting[None]
        return np.sqrt(1 - OWN) * lasting + np.sqrt(OWN) * rng.normal(size=(self.seeds, len(groups)))

    def _moves(self, rng: np.random.Generator) -> np.ndarray:
        return SEED_SD * rng.normal(size=(self.seeds, 1)) if self.seeds > 1 else np.zeros((1, 1))

    def _accuracy(self, rng: np.random.Generator) -> tuple[Predictions, float]:
        accuracy = special.expit(special.logit(self.share) + rng.uniform(-0.5, 0.5))
        groups = self._groups(rng)
        threshold = special.ndtri(accuracy) * np.sqrt(1 + (SEED_SD**2 if self.seeds > 1 else 0.0))
        right = threshold + self._moves(rng) + self._noise(groups, rng) > 0
        labels = groups % 2
        scores = tuple(np.eye(2)[np.where(row, labels, 1 - labels)] for row in right)
        return self._predictions(labels, scores, groups), float(accuracy)

    def _ranked(self, rng: np.random.Generator) -> tuple[Predictions, float]:
        distance = 2.0 + rng.uniform(-0.5, 0.5)
        groups = self._groups(rng)
        labels = (rng.random(self.n) < self.share).astype(np.int64)[groups]
        cut = threshold(self.share)
        scores = (distance + self._moves(rng)) * labels + self._noise(groups, rng) - cut
        truth = expected(self.metric, distance, self.share, SEED_SD if self.seeds > 1 else 0.0)
        return self._predictions(labels, tuple(np.stack([-row, row], axis=1) for row in scores), groups), truth

    def _predictions(self, labels: np.ndarray, scores: tuple[np.ndarray, ...], groups: np.ndarray) -> Predictions:
        return Predictions(labels, scores, groups if self.grouped else None, tuple(range(self.seeds)))


def threshold(share: float) -> float:
    """Between the middle of two normal classes 2 apart and what their prevalence would make of it."""
    return 1.0 + 0.25 * float(np.log((1 - share) / share))


def expected(metric: str, distance: float, share: float, seed_sd: float) -> float:
    """A metric of infinitely many rows, averaged over seeds."""
    if seed_sd == 0:
        return _of_normal_classes(metric, distance, share)
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    values = [_of_normal_classes(metric, distance + seed_sd * node, share) for node in nodes]
    return float(np.dot(weights, values) / weights.sum())


def _of_normal_classes(metric: str, distance: float, share: float) -> float:
    if metric == "auroc":
        return float(special.ndtr(distance / np.sqrt(2)))
    if metric == "auprc":
        x = np.linspace(-6, 6 + distance, 1001)
        found, false = share * special.ndtr(distance - x), (1 - share) * special.ndtr(-x)
        density = stats.norm.pdf(x - distance)
        return float((density * found / (found + false)).sum() * (x[1] - x[0]))
    cut = threshold(share)
    hit, fall = special.ndtr(distance - cut), special.ndtr(-cut)
    table = np.array([[(1 - share) * (1 - fall), (1 - share) * fall], [share * (1 - hit), share * hit]])
    if metric == "balanced_accuracy":
        return float((hit + 1 - fall) / 2)
    actual, given = table.sum(axis=1), table.sum(axis=0)
    if metric == "f1_macro":
        return float((2 * np.diag(table) / (actual + given)).mean())
    return float(np.linalg.det(table) / np.sqrt(actual.prod() * given.prod()))


@dataclass(frozen=True)
class Coverage:
    """tables: with an interval. few: without, the rarer class being too small. width: mean."""

    tables: int
    few: int
    share: float
    width: float


Method = Callable[[Predictions, str], "tuple[float, float] | None"]


def ours(predictions: Predictions, metric: str) -> tuple[float, float] | None:
    """The interval of tables and of ``compare``."""
    try:
        found = estimate(predictions, metric)
    except ValueError:  # one class only
        return None
    return None if found.low is None or found.high is None else (found.low, found.high)


def percentiles(predictions: Predictions, metric: str, resamples: int = 300) -> tuple[float, float] | None:
    """Of a bootstrap over rows, as tables had it before 0.2."""
    if ours(predictions, metric) is None:
        return None
    rng, n = np.random.default_rng(0), len(predictions.labels)
    values = []
    for _ in range(resamples):
        rows = rng.integers(n, size=n)
        value = compute_metrics(predictions.labels[rows], predictions.scores[0][rows])[metric]
        values += [] if value is None else [value]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def logit(predictions: Predictions, metric: str) -> tuple[float, float] | None:
    """Symmetric on the logit (for mcc, Fisher's) scale, with the variance of rows, as ``compare`` had it before 0.2."""
    if ours(predictions, metric) is None:
        return None
    design = Design(predictions.labels, predictions.groups, 2)
    rows = design.slopes(make_metric(metric), design.with_added_data(predictions.scores[0])).rows
    value = compute_metrics(predictions.labels, predictions.scores[0])[metric] or 0.0
    floor = -1.0 if metric == "mcc" else 0.0
    share = (value - floor) / (1 - floor)
    if not 0 < share < 1:
        reach = 1 - 0.025 ** (1 / design.n_groups)
        return (1 - reach, 1.0) if share >= 1 else (floor, floor + reach)
    se = np.sqrt(np.sum(design.group_sums(rows) ** 2)) / (1 - floor) / (share * (1 - share))
    low, high = special.expit(special.logit(share) + np.array([-1.96, 1.96]) * se)
    return float(floor + (1 - floor) * low), float(floor + (1 - floor) * high)


def coverage(scenario: Scenario, tables: int, seed: int = 0, method: Method = ours) -> Coverage:
    """How often the interval holds the truth; the same seed gives the same tables."""
    key = [seed, scenario.n, round(1000 * scenario.share), scenario.grouped, scenario.seeds, len(scenario.metric)]
    held, widths = 0, []
    for predictions, truth in scenario.tables(tables, np.random.default_rng(key)):
        interval = method(predictions, scenario.metric)
        if interval is not None:
            held += interval[0] <= truth <= interval[1]
            widths.append(interval[1] - interval[0])
    known = len(widths)
    return Coverage(known, tables - known, held / max(known, 1), float(np.mean(widths)) if widths else 0.0)


PLANNED = [
    Scenario(metric, n, share, grouped, seeds)
    for metric, shares in [("accuracy", ACCURACIES), *((name, POSITIVE) for name in RANKED)]
    for n in SIZES
    for share in shares
    for grouped in (False, True)
    for seeds in (1, 5)
    if seeds == 1 or metric in ("accuracy", "auroc", "mcc")
]
MEASURED_BEFORE = [Scenario("auroc", 200, 0.05), Scenario("mcc", 500, 0.02), Scenario("accuracy", 100, 0.99)]


def page(tables: int) -> str:
    """All scenarios as markdown; half of the tables where seeds are five."""
    lines = [
        "# How often 95 % intervals hold the true value",
        "",
        f"Made by `python benchmarks/intervals.py --tables {tables}`, whose docstring says what is simulated. A share of {tables:,} "
        f"tables has a standard error of about {100 * np.sqrt(0.05 * 0.95 / tables):.1f} points. few: tables without an interval, "
        "because fewer than ten groups are of the rarer class. Groups: n groups of one to ten related rows. Five seeds: half of the tables.",
        "",
        "## Methods",
        "",
        "The same tables, one fit, independent rows: percentiles of a bootstrap (what tables showed before 0.2), symmetric on the "
        "logit scale (what `compare` showed), and the score interval that both show now.",
        "",
        "| metric | n | share | percentiles | logit | score |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for scenario in MEASURED_BEFORE:
        shares = [coverage(scenario, min(tables, 400), method=method).share for method in (percentiles, logit, ours)]
        lines.append(
            f"| {scenario.metric} | {scenario.n} | {scenario.share:g} | "
            + " | ".join(f"{share:.3f}" for share in shares)
            + " |"
        )
    for metric in dict.fromkeys(scenario.metric for scenario in PLANNED):
        what = "accuracy" if metric == "accuracy" else "positive"
        lines += ["", f"## {metric}", ""]
        header = ["n", what, "rows, 1 fit", "width", "groups, 1 fit", "width"]
        mine = [scenario for scenario in PLANNED if scenario.metric == metric]
        five = any(scenario.seeds == 5 for scenario in mine)
        header += ["rows, 5 seeds", "width", "groups, 5 seeds", "width"] if five else []
        header += ["few"] if metric != "accuracy" else []
        lines += ["| " + " | ".join(header) + " |", "| " + " | ".join(["---:"] * len(header)) + " |"]
        for n, share in dict.fromkeys((scenario.n, scenario.share) for scenario in mine):
            cells, few = [str(n), f"{share:g}"], []
            for scenario in sorted(
                (s for s in mine if (s.n, s.share) == (n, share)), key=lambda s: (s.seeds, s.grouped)
            ):
                found = coverage(scenario, tables if scenario.seeds == 1 else tables // 2)
                few.append(found.few / (found.few + found.tables))
                enough = found.tables >= tables // 10
                cells += [f"{found.share:.3f}", f"{found.width:.3f}"] if enough else ["too few", "–"]
            cells += [f"{np.mean(few):.0%}"] if metric != "accuracy" else []
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cost(rows: int, classes: int) -> str:
    """Seconds and memory of metrics and intervals."""
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.arange(classes), rng.integers(classes, size=rows - classes)])
    scores = rng.random((rows, classes)) + np.eye(classes)[labels]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    compute_metrics(labels, scores)
    confidence_intervals(labels, scores, np.arange(rows) // 2)
    seconds = time.process_time() - started
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return f"{rows:,} rows x {classes:,} classes: {seconds:.2f} s of processor time, {more:.0f} MiB beside the scores"


def main() -> None:
    """Write the page, or print costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--into", type=Path, default=Path(__file__).parent / "results" / "intervals.md")
    parser.add_argument("--cost", nargs="+", metavar="ROWSxCLASSES")
    options = parser.parse_args()
    if options.cost:
        for text in options.cost:
            rows, _, classes = text.partition("x")
            print(cost(int(rows), int(classes)))
        return
    options.into.write_text(page(options.tables), encoding="utf-8")


if __name__ == "__main__":
    main()
