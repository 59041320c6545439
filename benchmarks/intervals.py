"""How often 95 % intervals hold the true value, and how often paired tests find what is not there, by simulation; and what intervals cost.

python benchmarks/intervals.py [--tables 1000] [--into benchmarks/results/intervals.md]    coverage, about 20 minutes of one core
python benchmarks/intervals.py --metrics spearman label_auroc:a base_mcc --into benchmarks/results/intervals_kinds.md    of some metrics alone
python benchmarks/intervals.py --cost 1600x400 1600x1000 100000x2                          seconds and memory of rows x classes

Every table is a new test split of n groups (n rows, or groups of one to ten related rows, two on average) scored by one fit or by
five seeds. Accuracy: whether a row is right is a threshold on a sum of normal parts (group, row, seed on the row), and the seed
moves the threshold. Rankings: the score is such a sum plus d for positives, and the seed moves d; labels are drawn, so that the
number of positives varies. A lattice of few values has no exact level, so that p (on the logit scale, by up to 0.5) and d (by up to
0.5) differ from table to table. Tables whose rarer class has fewer than ten groups have no interval, and are counted apart.

Spearman: truth and prediction are such sums with a correlation that the seed moves (on Fisher's scale, as it differs from table to table).
One label of three (label_auroc): as AUROC, where a fifth of the labels is not known. MCC per base: n sequences of 30 to 60 bases in stretches of
six of one state; how much of a sequence has the rarer state differs from one to another (a beta distribution of a + b = 1.5, so that many
have none), and 0.3 of the variance of the score is the sequence's. All bases of all sequences are scored, and n counts sequences.

Paired tests: two models on the same rows, whose scores have half of their variance in common; either equally good, or one better.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import special, stats

from findna_bench.results.environment import environment, environment_line
from findna_bench.statistics.base_states import NO_STATE
from findna_bench.statistics.classification import compute_metrics
from findna_bench.statistics.metric import make_metric
from findna_bench.statistics.paired_tests import Predictions, compare, estimate
from findna_bench.statistics.score_intervals import Design, confidence_intervals
from findna_bench.targets.labels import Labels
from findna_bench.targets.per_base import PerBase
from findna_bench.targets.values import Values

RELATED, OWN, SEED_SD = 0.5, 0.3, 0.1
"""Shares of the lasting variance that is the group's, and of all variance that each seed draws anew per row; spread of seeds."""
SIZES = (100, 200, 500)
ACCURACIES = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
POSITIVE = (0.02, 0.05, 0.2, 0.5)
RANKED = ("auroc", "mcc", "auprc", "f1_macro", "balanced_accuracy")
LABEL = "label_auroc:a"
CORRELATIONS = (0.0, 0.3, 0.6, 0.9)
WIDTH, STRETCH, CLUMPED, OF_SEQUENCE = 60, 6, 1.5, 0.3
"""Of states per base: most bases of a sequence, bases of a stretch of one state, a + b of the beta distribution of its share, and the
sequence's share of the variance of scores."""
KNOWN_AS = {LABEL: "auroc", "base_mcc": "mcc"}
"""Metrics whose true value is that of another one."""
TARGETS = {"spearman": Values, LABEL: Labels, "base_mcc": PerBase}


@dataclass(frozen=True)
class Rows:
    """Rows of a test split: groups and truth (n, ...), and which of them are positive (n,), or the truth's own normal scores (n,)."""

    groups: np.ndarray
    truth: np.ndarray
    positive: np.ndarray


@dataclass(frozen=True)
class Scenario:
    """metric, independent groups, accuracy, correlation or share of positives, whether rows are grouped, seeds."""

    metric: str
    n: int
    share: float
    grouped: bool = False
    seeds: int = 1

    def tables(self, count: int, rng: np.random.Generator) -> Iterator[tuple[Predictions, float]]:
        """Scored test splits, each with the true value of the mean over all seeds."""
        for _ in range(count):
            quality, rows = self._quality(rng), self._rows(rng)
            yield self._scored(rows, quality, self._moves(rng), self._noise(rows, rng))

    def pairs(
        self, count: int, gap: float, rng: np.random.Generator
    ) -> Iterator[tuple[Predictions, Predictions, float]]:
        """Two models on the same rows, and the true difference. gap: by which the first is better, on the scale of its quality."""
        for _ in range(count):
            quality, rows = self._quality(rng), self._rows(rng)
            common = self._noise(rows, rng)
            found = []
            for more in (gap, 0.0):
                noise = np.sqrt(0.5) * common + np.sqrt(0.5) * self._noise(rows, rng)
                found.append(self._scored(rows, self._better(quality, more), self._moves(rng), noise))
            (first, value), (second, other) = found
            yield first, second, value - other

    def _quality(self, rng: np.random.Generator) -> float:
        """Accuracy, correlation, or distance of the classes; another one for each table."""
        move = rng.uniform(-0.5, 0.5)
        if self.metric == "accuracy":
            return float(special.expit(special.logit(self.share) + move))
        return float(np.tanh(np.arctanh(self.share) + move / 2)) if self.metric == "spearman" else 2.0 + move

    def _better(self, quality: float, gap: float) -> float:
        if self.metric == "accuracy":
            return float(special.expit(special.logit(quality) + gap))
        return float(np.tanh(np.arctanh(quality) + gap)) if self.metric == "spearman" else quality + gap

    def _groups(self, rng: np.random.Generator) -> np.ndarray:
        sizes = np.minimum(rng.geometric(0.5, size=self.n), 10) if self.grouped else np.ones(self.n, dtype=np.int64)
        return np.repeat(np.arange(self.n), sizes)

    def _rows(self, rng: np.random.Generator) -> Rows:
        groups = self._groups(rng)
        if self.metric == "accuracy":
            return Rows(groups, groups % 2, groups % 2 == 1)
        if self.metric == "spearman":
            scores = self._lasting(groups, rng)
            return Rows(groups, scores[:, None], scores)
        if self.metric == "base_mcc":
            return self._bases(groups, rng)
        labels = (rng.random(self.n) < self.share).astype(np.int64)[groups]
        if self.metric != LABEL:
            return Rows(groups, labels, labels == 1)
        truth = np.stack([labels, *rng.integers(2, size=(2, len(groups)))], axis=1).astype(np.int8)
        truth[rng.random(truth.shape) < 0.2] = -1
        return Rows(groups, truth, labels == 1)

    def _bases(self, groups: np.ndarray, rng: np.random.Generator) -> Rows:
        n = len(groups)
        share = rng.beta(CLUMPED * self.share, CLUMPED * (1 - self.share), size=n)
        states = np.repeat(rng.random((n, WIDTH // STRETCH)) < share[:, None], STRETCH, axis=1)
        lengths = rng.integers(WIDTH // 2, WIDTH + 1, size=n)
        truth = np.where(np.arange(WIDTH) < lengths[:, None], states, NO_STATE).astype(np.uint8)
        return Rows(groups, truth, states)

    def _lasting(self, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(n,) of variance 1, alike for all seeds."""
        related = RELATED if self.grouped else 0.0
        lasting = np.sqrt(related) * rng.normal(size=self.n)[groups]
        lasting += np.sqrt(1 - related) * rng.normal(size=len(groups))
        found: np.ndarray = lasting
        return found

    def _noise(self, rows: Rows, rng: np.random.Generator) -> np.ndarray:
        """(S, n), of bases (S, n, W), of variance 1."""
        lasting = self._lasting(rows.groups, rng)
        if rows.positive.ndim == 2:
            lasting = np.sqrt(OF_SEQUENCE) * lasting[:, None] + np.sqrt(1 - OF_SEQUENCE) * rng.normal(
                size=rows.positive.shape
            )
        if self.seeds == 1:
            return lasting[None]
        return np.sqrt(1 - OWN) * lasting + np.sqrt(OWN) * rng.normal(size=(self.seeds, *lasting.shape))

    def _moves(self, rng: np.random.Generator) -> np.ndarray:
        return SEED_SD * rng.normal(size=(self.seeds, 1)) if self.seeds > 1 else np.zeros((1, 1))

    def _scored(self, rows: Rows, quality: float, moves: np.ndarray, noise: np.ndarray) -> tuple[Predictions, float]:
        """Predictions and the true value. moves: (S, 1). noise: (S, n) or (S, n, W)."""
        seed_sd = SEED_SD if self.seeds > 1 else 0.0
        if self.metric == "accuracy":
            right = special.ndtri(quality) * np.sqrt(1 + seed_sd**2) + moves + noise > 0
            scores = [np.eye(2)[np.where(one, rows.truth, 1 - rows.truth)] for one in right]
            return self._predictions(rows, scores), quality
        if self.metric == "spearman":
            r = np.tanh(np.arctanh(quality) + moves)
            found = r * rows.positive + np.sqrt(1 - r**2) * noise
            return self._predictions(rows, [one[:, None] for one in found]), expected_spearman(quality, seed_sd)
        shape = moves[:, :, None] if noise.ndim == 3 else moves
        found = (quality + shape) * rows.positive + noise - threshold(self.share)
        truth = expected(KNOWN_AS.get(self.metric, self.metric), quality, self.share, seed_sd)
        if self.metric == LABEL:
            return self._predictions(rows, [_of_three(special.expit(one)) for one in found]), truth
        if self.metric == "base_mcc":
            positive = [special.expit(one) for one in found]
            return self._predictions(rows, [np.stack([1 - one, one], axis=2) for one in positive]), truth
        return self._predictions(rows, [np.stack([-one, one], axis=1) for one in found]), truth

    def _predictions(self, rows: Rows, scores: list[np.ndarray]) -> Predictions:
        target = TARGETS.get(self.metric)
        return Predictions(
            rows.truth,
            tuple(scores),
            rows.groups if self.grouped else None,
            tuple(range(self.seeds)),
            classes=("a", "b", "c") if self.metric == LABEL else (),
            target=None if target is None else target(),
        )


def _of_three(score: np.ndarray) -> np.ndarray:
    """(n, 3) scores of labels, the first of which is looked at."""
    return np.stack([score, np.full(len(score), 0.5), np.full(len(score), 0.5)], axis=1)


def expected_spearman(correlation: float, seed_sd: float) -> float:
    """Spearman's correlation of normal numbers (Pearson 1907), averaged over seeds."""

    def of(move: float) -> float:
        return float(6 / np.pi * np.arcsin(np.tanh(np.arctanh(correlation) + move) / 2))

    if seed_sd == 0:
        return of(0.0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    return float(np.dot(weights, [of(seed_sd * node) for node in nodes]) / weights.sum())


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
    for metric, shares in [
        ("accuracy", ACCURACIES),
        *((name, POSITIVE) for name in RANKED),
        ("spearman", CORRELATIONS),
        (LABEL, POSITIVE[1:]),
        ("base_mcc", POSITIVE[1:]),
    ]
    for n in SIZES
    for share in shares
    for grouped in (False, True)
    for seeds in (1, 5)
    if seeds == 1 or metric in ("accuracy", "auroc", "mcc", "spearman", "base_mcc")
]
PAIRED = [
    (Scenario(metric, n, share, grouped, seeds), gap)
    for metric, share, gap in [
        ("accuracy", 0.8, 0.5),
        ("auroc", 0.2, 0.5),
        ("mcc", 0.2, 0.5),
        ("spearman", 0.6, 0.2),
        (LABEL, 0.2, 0.5),
        ("base_mcc", 0.2, 0.5),
    ]
    for n in SIZES
    for grouped in (False, True)
    for seeds in (1, 5)
]
"""Scenarios of two models, and by how much one of them is better where they differ."""


@dataclass(frozen=True)
class Pairs:
    """Of two models. found: share of the tables of equally good models whose p-value is below 0.05; power: of those of which one is better;
    held: share of the intervals of the difference, where one is better, that hold the true one."""

    found: float
    power: float
    held: float
    tables: int


def paired(scenario: Scenario, gap: float, tables: int, seed: int = 1) -> Pairs:
    """Paired tests of equally good models, and of models of which one is better; the same seed gives the same tables."""
    key = [seed, scenario.n, round(1000 * scenario.share), scenario.grouped, scenario.seeds, len(scenario.metric)]
    shares, held, known = [], 0, 0
    for better in (0.0, gap):
        below = known = held = 0
        for first, second, truth in scenario.pairs(tables, better, np.random.default_rng([*key, round(1000 * better)])):
            difference = compare(first, second, scenario.metric)
            if difference.p_value is None or difference.low is None or difference.high is None:
                continue
            known += 1
            below += difference.p_value < 0.05
            held += difference.low <= truth <= difference.high
        shares.append(below / max(known, 1))
    return Pairs(shares[0], shares[1], held / max(known, 1), known)


MEASURED_BEFORE = [Scenario("auroc", 200, 0.05), Scenario("mcc", 500, 0.02), Scenario("accuracy", 100, 0.99)]


def page(tables: int, metrics: Sequence[str] = ()) -> str:
    """All scenarios as markdown, or those of some metrics; half of the tables where seeds are five."""
    command = f"python benchmarks/intervals.py --tables {tables}" + (
        f" --metrics {' '.join(metrics)}" if metrics else ""
    )
    lines = [
        "# How often 95 % intervals hold the true value",
        "",
        f"Made by `{command}`, whose docstring says what is simulated. A share of {tables:,} "
        f"tables has a standard error of about {100 * np.sqrt(0.05 * 0.95 / tables):.1f} points. few: tables without an interval, "
        "because fewer than ten groups are of the rarer class. Groups: n groups of one to ten related rows. Five seeds: half of the tables.",
        "",
        f"{environment_line(environment())}.",
        "",
    ]
    lines += _method_lines(tables) if not metrics else []
    for metric in metrics or dict.fromkeys(scenario.metric for scenario in PLANNED):
        what = {"accuracy": "accuracy", "spearman": "correlation"}.get(metric, "positive")
        lines += ["", f"## {metric}", ""]
        header = ["n", what, "rows, 1 fit", "width", "groups, 1 fit", "width"]
        mine = [scenario for scenario in PLANNED if scenario.metric == metric]
        five = any(scenario.seeds == 5 for scenario in mine)
        header += ["rows, 5 seeds", "width", "groups, 5 seeds", "width"] if five else []
        counted = metric not in ("accuracy", "spearman")
        header += ["few"] if counted else []
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
            cells += [f"{np.mean(few):.0%}"] if counted else []
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, *_paired_lines(tables // 2, metrics)]) + "\n"


def _method_lines(tables: int) -> list[str]:
    lines = [
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
    return lines


def _paired_lines(tables: int, metrics: Sequence[str]) -> list[str]:
    lines = [
        "",
        "## Paired tests",
        "",
        f"Two models on the same rows, {tables:,} tables each; of five seeds half of them. null: share of tables of equally good models with p below 0.05; power: "
        "the same where one is better (accuracy: by 0.5 on the logit scale, Spearman: by 0.2 on Fisher's, others: the classes are 0.5 further apart); held: intervals of that difference that hold it.",
        "",
        "| metric | share | n | groups | seeds | null | power | held |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for scenario, gap in PAIRED:
        if metrics and scenario.metric not in metrics:
            continue
        found = paired(scenario, gap, tables if scenario.seeds == 1 else tables // 2)
        cells = [scenario.metric, f"{scenario.share:g}", str(scenario.n), "yes" if scenario.grouped else "no"]
        shares = [f"{share:.3f}" for share in (found.found, found.power, found.held)]
        lines.append("| " + " | ".join([*cells, str(scenario.seeds), *shares]) + " |")
    return lines


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
    parser.add_argument("--metrics", nargs="+", default=[], metavar="METRIC")
    parser.add_argument("--cost", nargs="+", metavar="ROWSxCLASSES")
    options = parser.parse_args()
    if options.cost:
        for text in options.cost:
            rows, _, classes = text.partition("x")
            print(cost(int(rows), int(classes)))
        return
    options.into.write_text(page(options.tables, options.metrics), encoding="utf-8")


if __name__ == "__main__":
    main()
