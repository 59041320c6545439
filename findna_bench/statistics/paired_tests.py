"""What may be concluded from scores: intervals, differences between models, and corrections for having looked often.

A score varies with the test rows and with the seeds. Rows that overlap or nearly repeat each other (groups) vary together;
every seed is scored on the same rows, so that the two sources are crossed. For a metric m averaged over S seeds

    variance = (V_rows - V_both) + V_seeds

V_rows: variance of the mean over seeds over groups of rows, from the metric's slopes (:mod:`findna_bench.statistics.score_intervals`).
V_seeds: sample variance of the seeds' values over S. V_both: the part of both that is noise of rows within seeds and would be
counted twice, from the slopes of the seeds' deviations from their mean (two-way clustering, Cameron, Gelbach and Miller 2011).
Since V_seeds comes from a handful of seeds, tests and intervals are Student's, with 1 / df = the mean of 1 / df of the rows and
1 / (S - 1) weighted by the two shares of the variance. (Satterthwaite's shares are squared: with three seeds 92 % of such intervals
cover, with these 94 to 96 %, whatever the shares. With two seeds the square root of the seeds' share is taken, so that they err
on the wide side.) No interval is narrower than the rows alone make it. With one seed (a deterministic fit) only V_rows is left.
Differences between two models are taken row by row, and seed by seed where both have the same seeds.
Where an untrained network is drawn several times and every draw has several seeds, the mean over the seeds of a draw takes
the place of a seed: draws are what is independent.
Nothing but the ranks' intervals is drawn at random, so that no p-value depends on a seed of the test.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special, stats

from findna_bench.statistics.classification import check_scores
from findna_bench.statistics.fold_mean import FoldMean, Folds
from findna_bench.statistics.metric import Metric, Sample, evaluate, make_metric
from findna_bench.statistics.score_intervals import Design, RowVariance, Slopes, says_nothing, score_interval

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
    "holm",
    "mcnemar",
    "rank_intervals",
    "signed_rank",
    "smallest_detectable",
]


class Scorable(Protocol):
    """What tests need of a target (:class:`findna_bench.targets.target.Target`)."""

    name: str

    def prepare(self, truth: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...

    def design(self, truth: np.ndarray, outputs: np.ndarray, groups: np.ndarray | None) -> Design: ...


class _Classes:
    name = "classes"

    def prepare(self, truth: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return check_scores(truth, outputs)

    def design(self, truth: np.ndarray, outputs: np.ndarray, groups: np.ndarray | None) -> Design:
        return Design(truth, groups, outputs.shape[1])


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
    classes: tuple[str, ...] = ()
    """Names of the classes, for metrics that are about one of them."""
    target: Scorable | None = None
    """What was predicted; None = classes."""
    folds: np.ndarray | None = None
    """(n,) the fold in which a row was scored, for a mean over folds; None where there are none."""

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
    """A metric averaged over seeds (or draws). low, high: 95 % interval (or the level asked for) over rows and seeds; None where
    there are too few groups of the rarer class."""

    value: float
    low: float | None
    high: float | None
    se: float
    n_seeds: int
    n_groups: int
    seed_sd: float | None
    """Standard deviation (ddof 1) of the seeds' values; None with one seed."""


@dataclass(frozen=True)
class Difference:
    """Metric of the first model minus that of the second. p_value: two-sided, of no difference.

    Interval, p_value and detectable are None where there are too few groups of the rarer class.

    mcnemar: mid-p of each pair of equal seeds (one fit is paired with every seed of the other model; empty where the seeds
    differ), a second view that takes rows as independent.
    detectable: the smallest true difference that this comparison would have found in four of five cases.
    """

    value: float
    low: float | None
    high: float | None
    se: float
    p_value: float | None
    detectable: float | None
    mcnemar: tuple[float, ...] = ()


@dataclass(frozen=True)
class RankInterval:
    """Mean rank over tasks (1 is best) with its interval, and the share of draws in which it is best."""

    mean: float
    low: float
    high: float
    best_share: float


@dataclass(frozen=True)
class TaskStatistics:
    """All models on one task.

    estimates: by model. differences: of every pair, in the order given. drawn: by model (1 + B,): the value, then B values as other
    rows and seeds might have given them, with the correlations that the same rows give; what :func:`rank_intervals` takes. undefined: models
    whose predictions have no such score (of a constant there is no correlation), which are in none of them.
    """

    estimates: Mapping[str, Estimate]
    differences: Mapping[tuple[str, str], Difference]
    drawn: Mapping[str, np.ndarray]
    undefined: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------------------ one task


def estimate(predictions: Predictions, metric: str, *, level: float = 0.95) -> Estimate:
    """The metric averaged over seeds, with an interval over rows (groups) and seeds; with one seed, that of
    :func:`findna_bench.statistics.score_intervals.confidence_intervals`.

    Raises:
        ValueError: the metric is undefined on these rows, or there is one group only.
    """
    scored = _Scored.of({"": predictions}, metric).need(1)
    return _estimate(scored, scored.fits[""], level)


def _estimate(scored: _Scored, fits: _Fits, level: float) -> Estimate:
    spread = fits.spread(scored.design, scored.metric)
    value = float(fits.observed.mean())
    low, high = score_interval(scored.metric, value, fits.mean.value, spread.views, level)
    n_seeds, n_groups = len(fits.observed), scored.design.n_groups
    seed_sd = float(fits.observed.std(ddof=1)) if n_seeds > 1 else None
    few = scored.too_few(fits.mean.rows) or says_nothing(scored.metric, value, spread.se**2)
    return Estimate(value, None if few else low, None if few else high, spread.se, n_seeds, n_groups, seed_sd)


def compare(first: Predictions, second: Predictions, metric: str, *, level: float = 0.95) -> Difference:
    """Difference of a metric between two models on the same rows.

    Raises:
        ValueError: the rows are not the same, the metric is undefined on them, or there is one group only.
    """
    return compare_all({"a": first, "b": second}, metric, level=level)["a", "b"]


def compare_all(
    models: Mapping[str, Predictions], metric: str, *, level: float = 0.95
) -> dict[tuple[str, str], Difference]:
    """Every pair of models, in the order given. ``p_value`` is not corrected; see :func:`holm`."""
    return _differences(models, _Scored.of(models, metric).need(len(models)), level)


def analyse(
    models: Mapping[str, Predictions], metric: str, *, level: float = 0.95, n_draws: int = 10_000, seed: int = 0
) -> TaskStatistics:
    """Estimates, differences and drawn values of all models of one task whose predictions have the score. n_draws, seed: for the ranks'
    intervals alone.

    Raises:
        ValueError: as :func:`compare_all`, but that two models with a score are enough.
    """
    scored = _Scored.of(models, metric).need(min(2, len(models)))
    defined = {name: models[name] for name in scored.fits}
    return TaskStatistics(
        {name: _estimate(scored, fits, level) for name, fits in scored.fits.items()},
        _differences(defined, scored, level),
        _drawn(scored.design, scored.fits, n_draws, seed),
        tuple(name for name in models if name not in defined),
    )


def _differences(models: Mapping[str, Predictions], scored: _Scored, level: float) -> dict[tuple[str, str], Difference]:
    return {
        (a, b): _difference(models[a], models[b], scored.fits[a], scored.fits[b], scored, level)
        for a, b in itertools.combinations(models, 2)
    }


def _difference(
    first: Predictions, second: Predictions, a: _Fits, b: _Fits, scored: _Scored, level: float
) -> Difference:
    design = scored.design
    same_seeds = len(first.scores) == len(second.scores) and first.seeds == second.seeds
    same_fits = same_seeds and first.draws == second.draws
    if same_fits:
        seeds = [_seed_variance(design, a.observed - b.observed, [x - y for x, y in zip(a.rows, b.rows, strict=True)])]
    else:
        seeds = [fits.seed_variance(design) for fits in (a, b)]
    of_added = a.mean.of_added_in_difference(b.mean)
    spread = _combine(design.variance(scored.metric, a.mean.rows - b.mean.rows, of_added), seeds)
    value = float(a.observed.mean() - b.observed.mean())
    half = spread.reach((1 - level) / 2)
    pairs: Iterable[tuple[np.ndarray, np.ndarray]] = ()
    if same_fits:
        pairs = zip(first.scores, second.scores, strict=True)
    elif 1 in (len(first.scores), len(second.scores)):
        pairs = itertools.product(first.scores, second.scores)
    if first.target is not None and first.target.name != "classes":
        pairs = ()  # McNemar's test is of right and wrong rows
    views = tuple(mcnemar(first.labels, one.argmax(axis=1), other.argmax(axis=1)) for one, other in pairs)
    few = scored.too_few(np.where(a.mean.rows != 0, a.mean.rows, b.mean.rows))
    if few or (value != 0 and says_nothing(scored.metric, value, spread.se**2)):
        return Difference(value, None, None, spread.se, None, None, views)
    detectable = spread.reach(0.025) + spread.reach(0.2)
    return Difference(value, value - half, value + half, spread.se, 2 * spread.tail(abs(value)), detectable, views)


@dataclass(frozen=True)
class _Spread:
    """How far a value may be off: Student's t with ``df``, but no less than what the rows alone say."""

    total: RowVariance
    rows: RowVariance

    @property
    def se(self) -> float:
        return math.sqrt(max(self.total.variance, self.rows.variance))

    @property
    def views(self) -> tuple[RowVariance, RowVariance]:
        """What either says; the wider one counts."""
        return self.total, self.rows

    def _views(self) -> list[tuple[float, float]]:
        return [(math.sqrt(view.variance), view.df) for view in self.views if view.variance > 0]

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
class _Fits:
    """A model's fits (or draws). observed: (S,) values. mean: slopes of their mean. rows: of each fit, the slopes (n,)."""

    observed: np.ndarray
    mean: Slopes
    rows: Sequence[np.ndarray]

    @classmethod
    def of(cls, values: Sequence[float], slopes: Sequence[Slopes], draws: Sequence[int]) -> _Fits:
        """The mean over the seeds of a draw stands for the draw."""
        of_seed = np.asarray(draws or range(len(values)))
        members = [np.flatnonzero(of_seed == draw).tolist() for draw in dict.fromkeys(of_seed.tolist())]
        drawn = [Slopes.mean([slopes[i] for i in each]) for each in members]
        observed = np.array([np.mean([values[i] for i in each]) for each in members])
        return cls(observed, Slopes.mean(drawn), [one.rows for one in drawn])

    def seed_variance(self, design: Design) -> _SeedVariance:
        return _seed_variance(design, self.observed, self.rows)

    def spread(self, design: Design, metric: Metric) -> _Spread:
        rows = design.variance(metric, self.mean.rows, self.mean.of_added)
        return _combine(rows, [self.seed_variance(design)])


def _seed_variance(design: Design, observed: np.ndarray, rows: Sequence[np.ndarray]) -> _SeedVariance:
    s = len(observed)
    if s < 2:
        return _SeedVariance(0.0, 0.0, 0)
    sums = np.stack([design.group_sums(slopes) for slopes in rows])
    deviations = sums - sums.mean(axis=0)
    unbiased = design.n_groups / (design.n_groups - 1)
    both = unbiased * float((deviations**2).sum(axis=1).mean()) * s / (s - 1)
    return _SeedVariance(float(observed.var(ddof=1)) / s, both / s, s - 1)


def _combine(rows: RowVariance, seeds: Sequence[_SeedVariance]) -> _Spread:
    parts = [part for part in seeds if part.df]
    common = max(0.0, rows.variance - sum(part.both for part in parts))
    between = sum(part.between for part in parts)
    total = common + between
    if total == 0:
        return _Spread(RowVariance(0.0, rows.df), rows)
    inverse = common / total / rows.df
    if between > 0:
        # Of two models' seeds together Satterthwaite's, which is Welch's test where rows add nothing.
        df = between**2 / sum(part.between**2 / part.df for part in parts)
        share = between / total
        inverse += (math.sqrt(share) if df < 2 else share) / df
    return _Spread(RowVariance(total, 1 / inverse), rows)


@dataclass(frozen=True)
class _Scored:
    """Values and slopes of every seed of every model on one set of rows. fits: of the models all of whose seeds have a value; the others
    are ``undefined``.
    """

    name: str
    metric: Metric
    design: Design
    fits: Mapping[str, _Fits]
    undefined: tuple[str, ...]

    def need(self, n_models: int) -> _Scored:
        """Itself, where so many models have a value."""
        if len(self.fits) >= n_models:
            return self
        whose = f" for {' and '.join(self.undefined)}" if self.fits and all(self.undefined) else ""
        raise ValueError(f"{self.name} is undefined on these rows{whose}")

    @classmethod
    def of(cls, models: Mapping[str, Predictions], name: str) -> _Scored:
        some = next(iter(models.values()))
        if any(not np.array_equal(model.labels, some.labels) for model in models.values()):
            raise ValueError("models can be compared only on the same rows in the same order")
        target = some.target or _Classes()
        made = make_metric(name, some.classes, target=target.name)
        if some.folds is not None:
            made = FoldMean(made, Folds(some.folds))
        metric = made
        labels, first = target.prepare(some.labels, some.scores[0])
        design = target.design(labels, first, some.groups)
        if made.of_class is not None:
            one = made.against_rest(labels, first)
            if not len(one.rows):
                raise ValueError(f"{name} is undefined on these rows")
            metric, design = one.metric, Design(one.truth, design.groups[one.rows], 2)
        if design.n_groups < 2:
            raise ValueError("one group of related rows says nothing about others")
        found, undefined = {}, []
        for model, predictions in models.items():
            values, slopes = [], []
            for of_seed in predictions.scores:
                truth, scores = labels, target.prepare(labels, of_seed)[1]
                if made.of_class is not None:
                    one = made.against_rest(labels, scores)
                    truth, scores = one.truth, one.outputs
                values.append(evaluate(metric, Sample(truth, scores), slopes=False).value)
                if np.isnan(values[-1]):
                    break
                slopes.append(design.slopes(metric, design.with_added_data(scores, truth)))
            if np.isnan(values[-1]):
                undefined.append(model)
            else:
                found[model] = _Fits.of(values, slopes, predictions.draws)
        return cls(name, metric, design, found, tuple(undefined))

    def too_few(self, rows: np.ndarray) -> bool:
        return self.design.too_few(self.metric, rows)


def _drawn(design: Design, fits: Mapping[str, _Fits], n_draws: int, seed: int) -> dict[str, np.ndarray]:
    """(1 + B,) by model: the value, then normal draws with the covariance that groups of rows give, and each model's own seeds."""
    generator = np.random.default_rng(seed)
    sums = np.stack([design.group_sums(one.mean.rows) for one in fits.values()], axis=1)  # (G, M)
    scale, axes = np.linalg.eigh(sums.T @ sums)
    root = axes * np.sqrt(np.maximum(scale, 0.0))
    common = generator.standard_normal((n_draws, len(fits))) @ root.T
    found = {}
    for place, (name, one) in enumerate(fits.items()):
        own = one.seed_variance(design)
        noise = math.sqrt(max(0.0, own.between - own.both)) * generator.standard_normal(n_draws)
        value = float(one.observed.mean())
        # Rounded, so that models of equal predictions stay equal.
        found[name] = np.round(np.concatenate([[value], value + common[:, place] + noise]), 12)
    return found


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
    """Mean ranks over tasks with intervals.

    values: model -> task -> (1 + B,) values, higher being better: the observed one, then B drawn ones, as
    :class:`TaskStatistics` has them. Only tasks that all models have count. resample_tasks: clusters of tasks are
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
