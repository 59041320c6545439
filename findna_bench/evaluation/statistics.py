"""What may be concluded from scores: intervals, differences between models, and corrections for having looked often.

A score varies with the test rows and with the seeds. Rows that overlap or nearly repeat each other (groups) are drawn together;
every seed is scored on the same rows, so that the two sources are crossed. For a metric m averaged over S seeds

    variance = (V_rows - V_both) + V_seeds

V_rows: variance of the mean over seeds under resampling of groups (bootstrap, times G / (G - 1)). V_seeds: sample variance of the
seeds' values over S. V_both: the part of both that is noise of rows within seeds and would be counted twice, estimated from the
deviations of the seeds' values from their mean across resamples (two-way clustering, Cameron, Gelbach and Miller 2011).
Since V_seeds comes from a handful of seeds, tests and intervals are Student's, with 1 / df = the mean of 1 / (G - 1) and
1 / (S - 1) weighted by the two shares of the variance. (Satterthwaite's shares are squared: with three seeds 92 % of such intervals
cover, with these 94 to 96 %, whatever the shares. With two seeds the square root of the seeds' share is taken, so that they err
on the wide side.) No interval is narrower than the rows alone make it. With one seed (a deterministic fit) only V_rows is left.
Differences between two models use the same resamples for both, and seed by seed differences where both have the same seeds.
Where an untrained network is drawn several times and every draw has several seeds, the mean over the seeds of a draw takes
the place of a seed: draws are what is independent.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from findna_bench.evaluation.intervals import resample_weights
from findna_bench.evaluation.metrics import WeightedMetrics

__all__ = [
    "Difference",
    "Estimate",
    "Predictions",
    "RankInterval",
    "TaskStatistics",
    "across_tasks",
    "analyse",
    "compact_letters",
    "compare",
    "compare_all",
    "estimate",
    "expected_detectable",
    "holm",
    "mcnemar",
    "rank_intervals",
    "signed_rank",
    "smallest_detectable",
]


@dataclass(frozen=True)
class Predictions:
    """A model's scores of a test split.

    labels: (n,) int. scores: per seed (n, C), rows as in ``labels``. groups: (n,) or None; rows of one group are related.
    seeds: their numbers; models whose seeds are the same are compared seed by seed. draws: per seed, the draw of an untrained
    network that it was fitted on; empty where all seeds share their weights.
    """

    labels: np.ndarray
    scores: tuple[np.ndarray, ...]
    groups: np.ndarray | None = None
    seeds: tuple[int, ...] = ()
    draws: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.draws and len(self.draws) != len(self.scores):
            raise ValueError("every seed needs its draw")
        if not self.scores:
            raise ValueError("predictions of at least one seed are needed")
        if any(len(scores) != len(self.labels) for scores in self.scores):
            raise ValueError("every seed must have scored the same rows")

    @property
    def n_groups(self) -> int:
        """Independent observations."""
        return len(self.labels) if self.groups is None else len(np.unique(self.groups))


@dataclass(frozen=True)
class Estimate:
    """A metric averaged over seeds (or draws). low, high: 95 % interval (or the level asked for) over rows and seeds."""

    value: float
    low: float
    high: float
    se: float
    n_seeds: int
    n_groups: int
    seed_sd: float | None
    """Standard deviation (ddof 1) of the seeds' values; None with one seed."""


@dataclass(frozen=True)
class Difference:
    """Metric of the first model minus that of the second. p_value: two-sided, of no difference.

    mcnemar: mid-p of each pair of equal seeds (one fit is paired with every seed of the other model; empty where the seeds
    differ), a second view that takes rows as independent.
    detectable: the smallest true difference that this comparison would have found in four of five cases.
    """

    value: float
    low: float
    high: float
    se: float
    p_value: float
    detectable: float
    mcnemar: tuple[float, ...] = ()


@dataclass(frozen=True)
class RankInterval:
    """Mean rank over tasks (1 is best) with the interval of its bootstrap, and the share of resamples in which it is best."""

    mean: float
    low: float
    high: float
    best_share: float


@dataclass(frozen=True)
class TaskStatistics:
    """All models on one task.

    estimates: by model. differences: of every pair, in the order given. resampled: by model (1 + B,): the value, then those of
    B resamples of rows and of seeds, the same for every model; what :func:`rank_intervals` takes.
    """

    estimates: Mapping[str, Estimate]
    differences: Mapping[tuple[str, str], Difference]
    resampled: Mapping[str, np.ndarray]


# ------------------------------------------------------------------------------------------------------------ one task


def estimate(
    predictions: Predictions, metric: str, *, n_resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> Estimate:
    """The metric averaged over seeds, with an interval over rows (groups) and seeds.

    The interval is symmetric on the logit scale (for mcc on Fisher's), so that it stays within the metric's bounds; for a value
    at a bound it is the exact binomial one of as many observations as there are groups.

    Raises:
        ValueError: the metric is undefined on these rows, or there is one group only.
    """
    return _estimate(_values({"": predictions}, metric, n_resamples, seed)[""], predictions.n_groups, metric, level)


def _estimate(values: _Values, n_groups: int, metric: str, level: float) -> Estimate:
    spread = values.spread(n_groups)
    value = float(values.observed.mean())
    low, high = _bounded_interval(value, spread, n_groups, level, -1.0 if metric == "mcc" else 0.0)
    n_seeds = len(values.observed)
    seed_sd = float(values.observed.std(ddof=1)) if n_seeds > 1 else None
    return Estimate(value, low, high, spread.se, n_seeds, n_groups, seed_sd)


def _bounded_interval(value: float, spread: _Spread, n_groups: int, level: float, floor: float) -> tuple[float, float]:
    share = (value - floor) / (1.0 - floor)
    if not 0.0 < share < 1.0:
        reach = (1 - floor) * (1 - ((1 - level) / 2) ** (1 / n_groups))
        return (max(floor, value - reach), value) if share >= 1 else (value, min(1.0, value + reach))
    half = spread.reach((1 - level) / 2) / (1.0 - floor) / (share * (1 - share))
    centre = math.log(share / (1 - share))
    low, high = (1 / (1 + math.exp(-(centre + side * half))) for side in (-1, 1))
    return floor + (1 - floor) * low, floor + (1 - floor) * high


def compare(
    first: Predictions, second: Predictions, metric: str, *, n_resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> Difference:
    """Difference of a metric between two models on the same rows.

    Raises:
        ValueError: the rows are not the same, the metric is undefined on them, or there is one group only.
    """
    return compare_all({"a": first, "b": second}, metric, n_resamples=n_resamples, seed=seed, level=level)["a", "b"]


def compare_all(
    models: Mapping[str, Predictions],
    metric: str,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[tuple[str, str], Difference]:
    """Every pair of models, in the order given, on the same resamples. ``p_value`` is not corrected; see :func:`holm`."""
    return _differences(models, _values(models, metric, n_resamples, seed), level)


def analyse(
    models: Mapping[str, Predictions],
    metric: str,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> TaskStatistics:
    """Estimates, differences and resampled values of all models of one task, from one set of resamples.

    Raises:
        ValueError: as :func:`compare_all`.
    """
    values = _values(models, metric, n_resamples, seed)
    return TaskStatistics(
        {name: _estimate(values[name], model.n_groups, metric, level) for name, model in models.items()},
        _differences(models, values, level),
        {name: value.of_resampled_seeds(seed) for name, value in values.items()},
    )


def _differences(
    models: Mapping[str, Predictions], values: Mapping[str, _Values], level: float
) -> dict[tuple[str, str], Difference]:
    return {
        (a, b): _difference(models[a], models[b], values[a], values[b], models[a].n_groups, level)
        for a, b in itertools.combinations(models, 2)
    }


def _difference(
    first: Predictions, second: Predictions, a: _Values, b: _Values, n_groups: int, level: float
) -> Difference:
    same_fits = len(first.scores) == len(second.scores) and first.seeds == second.seeds
    if same_fits and first.draws == second.draws:
        spread = _Values(a.observed - b.observed, a.resampled - b.resampled).spread(n_groups)
    else:
        rows = a.resampled.mean(axis=1) - b.resampled.mean(axis=1)
        seeds = [values.seed_variance() for values in (a, b)]
        spread = _combine(float(rows.var(ddof=1)), n_groups, seeds)
    value = float(a.observed.mean() - b.observed.mean())
    half = spread.reach((1 - level) / 2)
    p_value = 2 * spread.tail(abs(value))
    pairs: Iterable[tuple[np.ndarray, np.ndarray]] = ()
    if same_fits:
        pairs = zip(first.scores, second.scores, strict=True)
    elif 1 in (len(first.scores), len(second.scores)):
        pairs = itertools.product(first.scores, second.scores)
    views = tuple(mcnemar(first.labels, one.argmax(axis=1), other.argmax(axis=1)) for one, other in pairs)
    detectable = spread.reach(0.025) + spread.reach(0.2)
    return Difference(value, value - half, value + half, spread.se, p_value, detectable, views)


@dataclass(frozen=True)
class _Spread:
    """How far a value may be off: Student's t with ``df``, but no less than what the rows alone say."""

    total: float
    df: float
    rows: float
    rows_df: float

    @property
    def se(self) -> float:
        return math.sqrt(max(self.total, self.rows))

    def _views(self) -> list[tuple[float, float]]:
        both = ((self.total, self.df), (self.rows, self.rows_df))
        return [(math.sqrt(variance), df) for variance, df in both if variance > 0]

    def tail(self, distance: float) -> float:
        """Chance of an error above ``distance``."""
        certain = 0.5 if distance == 0 else 0.0
        return max((float(special.stdtr(df, -distance / se)) for se, df in self._views()), default=certain)

    def reach(self, chance: float) -> float:
        """The distance that an error exceeds with ``chance`` (below one half)."""
        return max((-float(special.stdtrit(df, chance)) * se for se, df in self._views()), default=0.0)


@dataclass(frozen=True)
class _SeedVariance:
    """Of a mean over seeds. between: sample variance over S; both: the part of it that is noise of rows; df: S - 1."""

    between: float
    both: float
    df: int


@dataclass(frozen=True)
class _Values:
    """A metric's values. observed: (S,). resampled: (B, S)."""

    observed: np.ndarray
    resampled: np.ndarray

    def of_resampled_seeds(self, seed: int) -> np.ndarray:
        """(1 + B,): the mean over seeds, then in each resample the mean over seeds that were drawn with replacement."""
        n_resamples, s = self.resampled.shape
        picked = np.random.default_rng([seed, s]).integers(s, size=(n_resamples, s))
        means = np.take_along_axis(self.resampled, picked, axis=1).mean(axis=1)
        return np.concatenate([[self.observed.mean()], means])

    def seed_variance(self) -> _SeedVariance:
        s = len(self.observed)
        if s < 2:
            return _SeedVariance(0.0, 0.0, 0)
        deviations = self.resampled - self.resampled.mean(axis=1, keepdims=True)
        both = float(deviations.var(axis=0, ddof=1).mean()) * s / (s - 1)
        return _SeedVariance(float(self.observed.var(ddof=1)) / s, both / s, s - 1)

    def spread(self, n_groups: int) -> _Spread:
        rows = float(self.resampled.mean(axis=1).var(ddof=1))
        return _combine(rows, n_groups, [self.seed_variance()])


def _combine(rows: float, n_groups: int, seeds: Sequence[_SeedVariance]) -> _Spread:
    unbiased = n_groups / (n_groups - 1)
    parts = [part for part in seeds if part.df]
    common = max(0.0, unbiased * (rows - sum(part.both for part in parts)))
    total = common + sum(part.between for part in parts)
    if total == 0:
        return _Spread(0.0, n_groups - 1, unbiased * rows, n_groups - 1)
    inverse = common / total / (n_groups - 1)
    for part in parts:
        share = part.between / total
        inverse += (math.sqrt(share) if part.df == 1 else share) / part.df
    return _Spread(total, 1 / inverse, unbiased * rows, n_groups - 1)


def _values(models: Mapping[str, Predictions], metric: str, n_resamples: int, seed: int) -> dict[str, _Values]:
    """The metric of every seed of every model, on the rows and on the same resamples of them."""
    some = next(iter(models.values()))
    if any(not np.array_equal(model.labels, some.labels) for model in models.values()):
        raise ValueError("models can be compared only on the same rows in the same order")
    if some.n_groups < 2:
        raise ValueError("one group of related rows says nothing about others")
    scorers = {
        name: [WeightedMetrics(model.labels, scores) for scores in model.scores] for name, model in models.items()
    }
    ones = np.ones((1, len(some.labels)))
    parts: dict[str, list[np.ndarray]] = {name: [_scored(seeds, ones, metric)] for name, seeds in scorers.items()}
    for block in resample_weights(len(some.labels), some.groups, n_resamples, seed):
        for name, seeds in scorers.items():
            parts[name].append(_scored(seeds, block, metric))
    found = {}
    for name, model in models.items():
        table = _by_draw(np.concatenate(parts[name]), model.draws)
        defined = table[1:][~np.isnan(table[1:]).any(axis=1)]
        if np.isnan(table[0]).any() or len(defined) < 0.9 * n_resamples:
            raise ValueError(f"{metric} is undefined on these rows, or on too many resamples of them")
        found[name] = _Values(table[0], defined)
    return found


def _scored(seeds: Sequence[WeightedMetrics], weights: np.ndarray, metric: str) -> np.ndarray:
    """(r, S) values of all seeds under weights (r, n)."""
    return np.stack([weighted(weights, (metric,))[metric] for weighted in seeds], axis=1)


def _by_draw(table: np.ndarray, draws: Sequence[int]) -> np.ndarray:
    """(r, D) means over the seeds of each draw, from (r, S)."""
    if not draws:
        return table
    of_seed = np.asarray(draws)
    return np.stack([table[:, of_seed == draw].mean(axis=1) for draw in dict.fromkeys(draws)], axis=1)


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Mid-p of McNemar's test that two sets of predicted labels are right equally often (Fagerland et al. 2013).

    labels, first, second: (n,) int. Rows count as independent.
    """
    right, other = first == labels, second == labels
    only_first, only_second = int((right & ~other).sum()), int((~right & other).sum())
    n, fewer = only_first + only_second, min(only_first, only_second)
    if only_first == only_second:
        return 1.0
    return float(2 * stats.binom.cdf(fewer, n, 0.5) - stats.binom.pmf(fewer, n, 0.5))


def smallest_detectable(se: float, df: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true difference that a two-sided test at ``alpha`` finds with chance ``power``, its standard error being ``se``."""
    return float((stats.t.ppf(1 - alpha / 2, df) + stats.t.ppf(power, df)) * se)


def expected_detectable(n_groups: int, disagreement: float = 0.1, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """As :func:`smallest_detectable`, for accuracies, before any model was run: ``disagreement`` is the share of independent
    rows (groups) that one of two models has right and the other wrong."""
    return smallest_detectable(math.sqrt(disagreement / n_groups), n_groups - 1, alpha=alpha, power=power)


# ------------------------------------------------------------------------------------------------------------ many looks


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for having made all these tests (Holm 1979), in the order given."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return [float(value) for value in corrected]


def compact_letters(names: Sequence[str], different: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Letters such that two models share one exactly if they are not different (Piepho 2004, insert and absorb).

    names: best first, so that letters run from the best. different: pairs found to differ. Not being different is not
    transitive, and a model may have several letters.
    """
    columns = [frozenset(names)]
    for a, b in different:
        split = []
        for column in columns:
            split += [column - {a}, column - {b}] if a in column and b in column else [column]
        columns = [c for c in dict.fromkeys(split) if not any(c < other for other in split)]
    place = {name: number for number, name in enumerate(names)}
    columns.sort(key=lambda column: sorted(place[name] for name in column))
    return {name: "".join(_letter(i) for i, column in enumerate(columns) if name in column) for name in names}


def _letter(number: int) -> str:
    return chr(ord("a") + number % 26) + ("'" * (number // 26))


# ------------------------------------------------------------------------------------------------------------ many tasks


def across_tasks(
    scores: Mapping[str, Mapping[str, float]], clusters: Mapping[str, str] | None = None
) -> dict[tuple[str, str], tuple[float, float]]:
    """Every pair of models over the tasks both have: (mean difference over clusters, Wilcoxon's p, not corrected).

    scores: model -> task -> value, higher being better. clusters: task -> name of its cluster; tasks that share loci count
    as one observation, their mean difference.
    """
    found = {}
    for a, b in itertools.combinations(scores, 2):
        differences = _cluster_means({t: scores[a][t] - scores[b][t] for t in scores[a] if t in scores[b]}, clusters)
        if len(differences):
            found[a, b] = (float(differences.mean()), signed_rank(differences))
    return found


def _cluster_means(values: Mapping[str, float], clusters: Mapping[str, str] | None) -> np.ndarray:
    gathered: dict[str, list[float]] = {}
    for task, value in values.items():
        gathered.setdefault((clusters or {}).get(task) or f"task {task}", []).append(value)
    return np.array([np.mean(members) for members in gathered.values()])


def signed_rank(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, exact also with ties; zeros are left out.

    The distribution is that of all assignments of signs to the mid-ranks found.
    """
    d = np.asarray(differences, dtype=np.float64)
    d = d[d != 0]
    if not len(d):
        return 1.0
    doubled = np.rint(2 * stats.rankdata(np.abs(d))).astype(np.int64)
    chances = np.ones(1)
    for rank in doubled:
        shifted = np.zeros(len(chances) + rank)
        shifted[: len(chances)] += 0.5 * chances
        shifted[rank:] += 0.5 * chances
        chances = shifted
    positive = int(doubled[d > 0].sum())
    tail = min(chances[: positive + 1].sum(), chances[positive:].sum())
    return float(min(1.0, 2 * tail))


def rank_intervals(
    values: Mapping[str, Mapping[str, np.ndarray]],
    clusters: Mapping[str, str] | None = None,
    *,
    resample_tasks: bool = True,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, RankInterval]:
    """Mean ranks over tasks with bootstrap intervals.

    values: model -> task -> (1 + B,) values, higher being better: the observed one, then those of B resamples of the task's
    rows, the same resamples for every model. Only tasks that all models have count. resample_tasks: clusters of tasks are
    resampled as well, so that the interval speaks of tasks like these; otherwise of these tasks.
    """
    models = list(values)
    tasks = [task for task in values[models[0]] if all(task in values[model] for model in models)]
    if not tasks:
        raise ValueError("no task was scored by all models")
    table = np.stack([np.stack([values[model][task] for task in tasks]) for model in models])  # (M, T, 1 + B)
    ranks = stats.rankdata(-table, axis=0)
    names = [(clusters or {}).get(task) or f"task {task}" for task in tasks]
    cluster = np.unique(names, return_inverse=True)[1]
    # A cluster is one observation: the mean of its tasks' ranks.
    sizes = np.bincount(cluster)
    by_cluster = np.stack([ranks[:, cluster == c].sum(axis=1) / sizes[c] for c in range(len(sizes))], axis=1)
    observed = by_cluster[:, :, 0].mean(axis=1)
    generator = np.random.default_rng(seed)
    draws = by_cluster[:, :, 1:]
    if resample_tasks:
        picked = generator.integers(len(sizes), size=(draws.shape[2], len(sizes)))
        means = np.stack([draws[:, picked[b], b].mean(axis=1) for b in range(draws.shape[2])], axis=1)
    else:
        means = draws.mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=1)
    best = (means == means.min(axis=0)).mean(axis=1)
    return {
        model: RankInterval(float(observed[m]), float(low[m]), float(high[m]), float(best[m]))
        for m, model in enumerate(models)
    }
