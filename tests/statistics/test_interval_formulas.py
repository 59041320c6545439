"""Intervals and paired tests are what their formulas say, to the last digit: the same sums, written as plain loops over rows and groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics as sk

from findna_bench.statistics.classification import compute_metrics
from findna_bench.statistics.paired_tests import Predictions, analyse, compare, estimate
from findna_bench.statistics.score_intervals import confidence_intervals
from findna_bench.targets.values import Values

Score = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
CLASSES = ("none", "some", "many")


def calibration(labels: np.ndarray, scores: np.ndarray, w: np.ndarray) -> float:
    """Bins are (0, 1/15], (1/15, 2/15] and so on."""
    gap, confidence = w * ((scores.argmax(1) == labels) - scores.max(1)), scores.max(1)
    bins = [(confidence > i / 15) & (confidence <= (i + 1) / 15) for i in range(15)]
    return float(sum(abs(gap[inside].sum()) for inside in bins) / w.sum())


def area(positive: np.ndarray, score: np.ndarray, w: np.ndarray) -> float:
    """Chance that a positive is above a negative, half where they tie."""
    above = (score[positive, None] > score[~positive]) + 0.5 * (score[positive, None] == score[~positive])
    return float(w[positive] @ above @ w[~positive] / (w[positive].sum() * w[~positive].sum()))


def average_precision(positive: np.ndarray, score: np.ndarray, w: np.ndarray) -> float:
    """Mean over positives of the share of positives among the rows as high or higher."""
    as_high = score[positive, None] <= score
    precision = as_high @ (w * positive) / (as_high @ w)
    return float(w[positive] @ precision / w[positive].sum())


def one_against_rest(score: Score) -> Score:
    def mean(labels: np.ndarray, scores: np.ndarray, w: np.ndarray) -> float:
        of = [1] if scores.shape[1] == 2 else range(scores.shape[1])
        return float(np.mean([score(labels == c, scores[:, c], w) for c in of]))

    return mean


def of_table(score: Callable[[np.ndarray], float]) -> Score:
    """score: of the table of weights, label by prediction."""

    def found(labels: np.ndarray, scores: np.ndarray, w: np.ndarray) -> float:
        c = scores.shape[1]
        return float(score(np.bincount(labels * c + scores.argmax(1), w, minlength=c * c).reshape(c, c)))

    return found


def mcc(table: np.ndarray) -> float:
    """Gorodkin's R_K, as a correlation."""
    labels, said, n = table.sum(1), table.sum(0), table.sum()
    return (n * np.trace(table) - labels @ said) / math.sqrt((n**2 - labels @ labels) * (n**2 - said @ said))


@dataclass(frozen=True)
class Known:
    """What the documentation says of a metric. prior: rows that are added as right, and as many as wrong."""

    score: Score
    support: str
    prior: float
    bounds: tuple[float, float] = (0.0, 1.0)


METRICS = {
    "accuracy": Known(of_table(lambda t: np.trace(t) / t.sum()), "rows", 0.5),
    "f1_micro": Known(of_table(lambda t: np.trace(t) / t.sum()), "rows", 0.5),
    "balanced_accuracy": Known(of_table(lambda t: np.mean(np.diag(t) / t.sum(1))), "classes", 1.0),
    "f1_macro": Known(of_table(lambda t: np.mean(2 * np.diag(t) / (t.sum(0) + t.sum(1)))), "classes", 0.5),
    "mcc": Known(of_table(mcc), "minority", 0.5, (-1.0, 1.0)),
    "auroc": Known(one_against_rest(area), "classes", 0.05),
    "auprc": Known(one_against_rest(average_precision), "classes", 0.05),
    "log_loss": Known(lambda y, s, w: -w @ np.log(s[np.arange(len(y)), y]) / w.sum(), "rows", 0, (0.0, math.inf)),
    "brier_score": Known(
        lambda y, s, w: w @ ((np.eye(s.shape[1])[y] - s) ** 2).sum(1) / (2 if s.shape[1] == 2 else 1) / w.sum(),
        "rows",
        0,
        (0.0, 2.0),
    ),
    "expected_calibration_error": Known(calibration, "rows", 0),
}
OF_ONE = {
    name: Known(of_table(score), "counted", 0.5)
    for name, score in (
        ("precision", lambda t: t[1, 1] / t[:, 1].sum()),
        ("recall", lambda t: t[1, 1] / t[1].sum()),
        ("f1", lambda t: 2 * t[1, 1] / (t[1].sum() + t[:, 1].sum())),
    )
}


@dataclass
class Slopes:
    """value: with the added rows; rows: (n,); right, wrong: by class, of an added row."""

    value: float
    rows: np.ndarray
    right: dict[int, float]
    wrong: dict[int, float]


class Plain:
    """Formulas of the module's documentation for one set of labels and groups."""

    def __init__(self, known: Known, labels: np.ndarray, groups: np.ndarray, n_classes: int) -> None:
        self.known, self.labels, self.groups = known, labels, groups
        self.classes = [c for c in range(n_classes) if (labels == c).any()]
        self.rows_of = {c: int((labels == c).sum()) for c in range(n_classes)}
        self.groups_of = {c: len(set(groups[labels == c].tolist())) for c in range(n_classes)}
        self.n_groups = len(set(groups.tolist()))
        self.per_group = {c: self.rows_of[c] / self.groups_of[c] for c in self.classes}
        self.added = {c: known.prior / len(self.classes) * self.per_group[c] for c in self.classes}

    def slopes(self, scores: np.ndarray) -> Slopes:
        labels, weights, k = self.labels, np.ones(len(self.labels)), len(self.classes)
        if self.known.prior:
            by_size = sorted(self.rows_of, key=lambda c: (-self.rows_of[c], c))
            more = []
            for kind in ("right", "wrong"):
                for c in self.classes:
                    said = c if kind == "right" else by_size[1] if c == by_size[0] else by_size[0]
                    row = np.full(scores.shape[1], scores.min() - 1)
                    row[said] = scores.max() + 1
                    more.append(row)
            labels = np.concatenate([labels, self.classes, self.classes])
            scores = np.concatenate([scores, more])
            weights = np.concatenate([weights, [self.added[c] for c in self.classes] * 2])
        found = []
        for row in range(len(labels)):
            up, down = weights.copy(), weights.copy()
            up[row], down[row] = up[row] + 1e-4, down[row] - 1e-4
            found.append((self.known.score(labels, scores, up) - self.known.score(labels, scores, down)) / 2e-4)
        n, value = len(self.labels), self.known.score(labels, scores, weights)
        right = dict(zip(self.classes, found[n : n + k], strict=False))
        return Slopes(value, np.array(found[:n]), right, dict(zip(self.classes, found[n + k :], strict=False)))

    def strata(self) -> list[list[int]]:
        """Classes that stand together: from the one of fewest groups on, until there are ten."""
        if self.known.support == "rows":
            return [list(self.rows_of)]
        made: list[list[int]] = [[]]
        for c in sorted(self.groups_of, key=lambda c: (self.groups_of[c], c)):
            made[-1].append(c)
            if sum(self.groups_of[i] for i in made[-1]) >= 10:
                made.append([])
        left = made.pop()
        if made:
            made[-1] += left
        return made or [left]

    def variance(self, rows: np.ndarray, of_added: dict[int, float]) -> tuple[float, float]:
        """(variance, degrees of freedom)."""
        total = sum(float(rows[self.groups == g].sum()) ** 2 for g in set(self.groups.tolist()))
        within, spare = [], []
        for stratum in self.strata():
            mine = np.isin(self.labels, stratum)
            deviation = rows[mine] - rows[mine].mean()
            cells = [deviation[self.groups[mine] == g] for g in set(self.groups[mine].tolist())]
            together, alone = sum(float(cell.sum()) ** 2 for cell in cells), float((deviation**2).sum())
            room = sum(len(cell) ** 2 for cell in cells) / mine.sum() - 1
            excess = together / alone - 1 if alone > 0 else 0.0
            related = min(1.0, max(0.0, excess / room)) if room > 0 else 0.0
            sizes = [len(cell) + (len(cell) ** 2 - len(cell)) * related for cell in cells]
            effective = sum(sizes) ** 2 / sum(size**2 for size in sizes)
            added = sum(
                2 * self.added[c] * self.per_group[c] * of_added.get(c, 0.0) for c in stratum if c in self.added
            )
            total += added
            within.append(together + added)
            spare.append(max(effective - 1, 1.0))
        total += sum(w / s for w, s in zip(within, spare, strict=True))
        corrected = [w * (1 + 1 / s) for w, s in zip(within, spare, strict=True)]
        between = max(0.0, total - sum(corrected))
        inverse = sum(c**2 / s for c, s in zip(corrected, spare, strict=True)) + between**2 / (self.n_groups - 1)
        return total, max(1.0, min(spare), total**2 / inverse)

    def of_fit(self, one: Slopes) -> tuple[float, float]:
        return self.variance(one.rows, {c: (one.right[c] ** 2 + one.wrong[c] ** 2) / 2 for c in one.right})

    def seeds(self, values: np.ndarray, rows: Sequence[np.ndarray]) -> tuple[float, float]:
        """(variance of the seeds' mean, the part of it that is noise of rows within seeds)."""
        s, mean = len(values), np.mean(rows, axis=0)
        by_group = [
            sum(float((one - mean)[self.groups == g].sum()) ** 2 for g in set(self.groups.tolist())) for one in rows
        ]
        both = self.n_groups / (self.n_groups - 1) * np.mean(by_group) / (s - 1)
        return float(np.var(values, ddof=1)) / s, float(both)


def interval(
    known: Known, value: float, shrunk: float, views: Sequence[tuple[float, float]], level: float = 0.95
) -> tuple[float, float]:
    floor, ceiling = known.bounds
    lows, highs = [value], [value]
    for variance, df in views:
        t = stats.t.ppf((1 + level) / 2, df)
        if known.prior:
            width = ceiling - floor
            share, inner = (value - floor) / width, (shrunk - floor) / width
            n = inner * (1 - inner) / (variance / width**2)  # effective rows, of Wilson's interval
            centre = (share + t * t / (2 * n)) / (1 + t * t / n)
            half = t / (1 + t * t / n) * math.sqrt(share * (1 - share) / n + t * t / (4 * n * n))
            lows, highs = [*lows, floor + width * (centre - half)], [*highs, floor + width * (centre + half)]
        else:
            lows, highs = [*lows, value - t * math.sqrt(variance)], [*highs, value + t * math.sqrt(variance)]
    return max(floor, min(lows)), min(ceiling, max(highs))


def rows(n_classes: int, seed: int = 0, strength: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels, probabilities, groups of unequal sizes, some of them of several classes). The smallest class has few groups."""
    rng = np.random.default_rng(seed)
    shares = (0.72, 0.28) if n_classes == 2 else (0.15, 0.55, 0.3)
    groups = np.repeat(np.arange(60), 1 + np.arange(60) % 4)
    of_group = rng.choice(n_classes, p=shares, size=60)[groups]
    labels = np.where(rng.random(len(groups)) < 0.15, rng.integers(n_classes, size=len(groups)), of_group)
    logits = rng.normal(size=(len(groups), n_classes)) + rng.normal(size=(60, n_classes))[groups] * 0.5
    logits = (logits + strength * np.eye(n_classes)[labels]).round(1)
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return labels, scores, rng.permutation(60)[groups]


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", METRICS)
def test_the_interval_of_a_metric_of_classes(name: str, n_classes: int, grouped: bool) -> None:
    labels, scores, groups = rows(n_classes)
    known, value = METRICS[name], compute_metrics(labels, scores, [name])[name]
    plain = Plain(known, labels, groups if grouped else np.arange(len(labels)), n_classes)
    one = plain.slopes(scores)
    assert value is not None
    for level in (0.95, 0.5):
        expected = interval(known, value, one.value, [plain.of_fit(one)], level)
        found = confidence_intervals(labels, scores, groups if grouped else None, [name], level=level)
        assert found[name] == pytest.approx(expected, abs=1e-8)
    assert confidence_intervals(labels, scores, groups if grouped else None)[name] == pytest.approx(
        interval(known, value, one.value, [plain.of_fit(one)]), abs=1e-8
    )


@pytest.mark.parametrize("of", [0, 1, 2])
@pytest.mark.parametrize("name", OF_ONE)
def test_the_interval_of_a_metric_of_one_class_is_that_of_the_class_against_the_rest(name: str, of: int) -> None:
    labels, scores, groups = rows(3)
    truth, said = (labels == of).astype(int), (scores.argmax(1) == of).astype(int)
    plain = Plain(OF_ONE[name], truth, groups, 2)
    one = plain.slopes(np.eye(2)[said])
    value = OF_ONE[name].score(truth, np.eye(2)[said], np.ones(len(truth)))
    metric = f"{name}:{CLASSES[of]}"
    found = confidence_intervals(labels, scores, groups, [metric], classes=CLASSES)[metric]
    assert found == pytest.approx(interval(OF_ONE[name], value, one.value, [plain.of_fit(one)]), abs=1e-8)


def test_rare_classes_stand_together_until_they_have_ten_groups() -> None:
    """Classes of 4, 7, 9 and 30 groups: the first two are one stratum, and what is left over stands with the last one."""
    labels = np.repeat(np.arange(4), [8, 14, 18, 60])
    groups = np.arange(100) // 2
    scores = np.random.default_rng(0).random((100, 4)).round(2) + 0.5 * np.eye(4)[labels]
    known = METRICS["mcc"]
    for order in ([0, 1, 2, 3], [3, 2, 0, 1]):
        mine = np.array(order)[labels]
        plain = Plain(known, mine, groups, 4)
        one = plain.slopes(scores[:, np.argsort(order)])
        assert [len(stratum) for stratum in plain.strata()] == [2, 2]
        value = known.score(mine, scores[:, np.argsort(order)], np.ones(100))
        found = confidence_intervals(mine, scores[:, np.argsort(order)], groups, ["mcc"])["mcc"]
        assert found == pytest.approx(interval(known, value, one.value, [plain.of_fit(one)]), abs=1e-8)


# ------------------------------------------------------------------------------------------------------------- of seeds


def combined(rows: tuple[float, float], seeds: Sequence[tuple[float, float, int]]) -> tuple[float, float]:
    """(variance, df) of rows (variance, df) and seeds (variance, part counted twice, S - 1)."""
    common = max(0.0, rows[0] - sum(both for _, both, _ in seeds))
    between = sum(variance for variance, _, _ in seeds)
    total = common + between
    df = between**2 / sum(variance**2 / own for variance, _, own in seeds)
    share = between / total
    return total, 1 / (common / total / rows[1] + (math.sqrt(share) if df < 2 else share) / df)


def models(name: str, seeds: int, strength: float, start: int) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    labels, _, groups = rows(3)
    fits = []
    for seed in range(seeds):
        rng = np.random.default_rng(start + seed)
        common = np.random.default_rng(start).normal(size=(len(labels), 3))
        logits = 0.7 * common + 0.5 * rng.normal(size=(len(labels), 3)) + (strength + 0.2 * seed) * np.eye(3)[labels]
        fits.append(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    return labels, fits, groups


def mean_of(fits: Sequence[Slopes]) -> Slopes:
    """Added rows are as alike over fits as the rows that there are."""
    rows = np.mean([fit.rows for fit in fits], axis=0)
    alike = math.sqrt((rows**2).sum() / np.mean([(fit.rows**2).sum() for fit in fits]))
    right, wrong = (
        {c: alike * float(np.mean([getattr(fit, side)[c] for fit in fits])) for c in fits[0].right}
        for side in ("right", "wrong")
    )
    return Slopes(float(np.mean([fit.value for fit in fits])), rows, right, wrong)


@pytest.mark.parametrize(("name", "seeds"), [("accuracy", 2), ("mcc", 3), ("auroc", 4), ("log_loss", 3)])
def test_the_estimate_of_several_seeds(name: str, seeds: int) -> None:
    labels, fits, groups = models(name, seeds, 0.8, 100)
    known = METRICS[name]
    plain = Plain(known, labels, groups, 3)
    each = [plain.slopes(scores) for scores in fits]
    values = np.array([known.score(labels, scores, np.ones(len(labels))) for scores in fits])
    mean = mean_of(each)
    of_rows = plain.of_fit(mean)
    total = combined(of_rows, [(*plain.seeds(values, [one.rows for one in each]), seeds - 1)])
    for level in (0.95, 0.8):
        found = estimate(Predictions(labels, tuple(fits), groups, tuple(range(seeds))), name, level=level)
        expected = interval(known, values.mean(), mean.value, [total, of_rows], level)
        assert (found.low, found.high) == pytest.approx(expected, abs=1e-8)
    assert found.value == pytest.approx(values.mean(), abs=1e-12)
    assert found.se == pytest.approx(math.sqrt(max(total[0], of_rows[0])), abs=1e-9)
    assert found.seed_sd == pytest.approx(values.std(ddof=1), abs=1e-12)
    assert (found.n_seeds, found.n_groups) == (seeds, 60)


def difference(
    known: Known, one: Sequence[np.ndarray], other: Sequence[np.ndarray], paired: bool
) -> tuple[float, float, float, float, float]:
    """value, low, high, p and what is detectable."""
    labels, _, groups = rows(3)
    plain = Plain(known, labels, groups, 3)
    slopes = [[plain.slopes(scores) for scores in fits] for fits in (one, other)]
    values = [np.array([known.score(labels, s, np.ones(len(labels))) for s in fits]) for fits in (one, other)]
    a, b = (mean_of(each) for each in slopes)
    of_added = {
        c: (a.right[c] ** 2 + a.wrong[c] ** 2 + b.right[c] ** 2 + b.wrong[c] ** 2) / 2
        - (a.right[c] + a.wrong[c]) * (b.right[c] + b.wrong[c]) / 2
        for c in a.right
    }
    of_rows = plain.variance(a.rows - b.rows, of_added)
    if paired:
        pairs = [x.rows - y.rows for x, y in zip(*slopes, strict=True)]
        seeds = [(*plain.seeds(values[0] - values[1], pairs), len(pairs) - 1)]
    else:
        seeds = [
            (*plain.seeds(v, [x.rows for x in each]), len(v) - 1)
            for v, each in zip(values, slopes, strict=True)
            if len(v) > 1
        ]
    views = [combined(of_rows, seeds), of_rows]
    value = float(values[0].mean() - values[1].mean())
    half = max(stats.t.ppf(0.975, df) * math.sqrt(variance) for variance, df in views)
    p = 2 * max(float(special.stdtr(df, -abs(value) / math.sqrt(variance))) for variance, df in views)
    power = max(stats.t.ppf(0.8, df) * math.sqrt(variance) for variance, df in views)
    return value, value - half, value + half, p, half + power


@pytest.mark.parametrize(("seeds", "others"), [(3, 3), (3, 2), (4, 1), (1, 2)])
@pytest.mark.parametrize("name", ["accuracy", "auroc", "balanced_accuracy"])
def test_a_difference_of_several_seeds(name: str, seeds: int, others: int) -> None:
    labels, one, groups = models(name, seeds, 1.0, 100)
    _, other, _ = models(name, others, 0.8, 200)
    found = compare(
        Predictions(labels, tuple(one), groups, tuple(range(seeds))),
        Predictions(labels, tuple(other), groups, tuple(range(others))),
        name,
    )
    expected = difference(METRICS[name], one, other, paired=seeds == others)
    assert (found.value, found.low, found.high, found.p_value, found.detectable) == pytest.approx(expected, abs=1e-8)
    assert len(found.mcnemar) == {(3, 3): 3, (3, 2): 0, (4, 1): 4, (1, 2): 2}[seeds, others]


def test_models_of_other_seeds_or_draws_are_not_compared_seed_by_seed() -> None:
    labels, one, groups = models("accuracy", 3, 1.0, 100)
    _, other, _ = models("accuracy", 3, 0.8, 200)
    first = Predictions(labels, tuple(one), groups, (0, 1, 2), (0, 1, 2))
    for second in (
        Predictions(labels, tuple(other), groups, (3, 4, 5), (0, 1, 2)),
        Predictions(labels, tuple(other), groups, (0, 1, 2), (3, 4, 5)),
    ):
        found = compare(first, second, "accuracy")
        expected = difference(METRICS["accuracy"], one, other, paired=False)
        assert (found.value, found.low, found.high) == pytest.approx(expected[:3], abs=1e-8)
        assert found.mcnemar == ()


def test_draws_of_the_ranks_have_the_covariance_of_rows_and_seeds() -> None:
    labels, one, groups = models("accuracy", 3, 1.0, 100)
    _, other, _ = models("accuracy", 2, 0.6, 100)
    given = {
        "one": Predictions(labels, tuple(one), groups, (0, 1, 2)),
        "other": Predictions(labels, tuple(other), groups, (0, 1)),
    }
    found = analyse(given, "accuracy")
    assert all(drawn.shape == (10_001,) for drawn in found.drawn.values())
    plain = Plain(METRICS["accuracy"], labels, groups, 3)
    slopes = {name: [plain.slopes(s) for s in model.scores] for name, model in given.items()}
    sums = {name: np.array([mean_of(each).rows[groups == g].sum() for g in range(60)]) for name, each in slopes.items()}
    for name, model in given.items():
        values = np.array([METRICS["accuracy"].score(labels, s, np.ones(len(labels))) for s in model.scores])
        between, both = plain.seeds(values, [fit.rows for fit in slopes[name]])
        expected = (sums[name] ** 2).sum() + max(0.0, between - both)
        assert found.drawn[name][0] == pytest.approx(values.mean(), abs=1e-12)
        assert found.drawn[name][1:].mean() == pytest.approx(values.mean(), abs=4 * math.sqrt(expected / 10_000))
        assert found.drawn[name][1:].var() == pytest.approx(expected, rel=0.05)
    shared = np.cov(found.drawn["one"][1:], found.drawn["other"][1:])[0, 1]
    error = math.sqrt(found.drawn["one"].var() * found.drawn["other"].var() / 10_000)
    assert shared == pytest.approx((sums["one"] * sums["other"]).sum(), abs=4 * error)
    assert shared > 8 * error
    again = analyse(given, "accuracy", n_draws=50, seed=0).drawn["one"]
    assert again.tolist() != analyse(given, "accuracy", n_draws=50, seed=1).drawn["one"].tolist()
    assert again.tolist() == analyse(given, "accuracy", n_draws=50).drawn["one"].tolist()


# ------------------------------------------------------------------------------------------------------------ of numbers


def correlation(y: np.ndarray, f: np.ndarray, w: np.ndarray) -> float:
    covariance = np.cov(y, f, aweights=w, ddof=0)
    return float(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]))


def midranks(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.array([w[x < value].sum() + w[x == value].sum() / 2 for value in x])


OF_NUMBERS: dict[str, tuple[Score, tuple[float, float]]] = {
    "pearson": (correlation, (-1.0, 1.0)),
    "spearman": (lambda y, f, w: correlation(midranks(y, w), midranks(f, w), w), (-1.0, 1.0)),
    "r2": (lambda y, f, w: float(sk.r2_score(y, f, sample_weight=w)), (-math.inf, 1.0)),
    "rmse": (lambda y, f, w: float(sk.root_mean_squared_error(y, f, sample_weight=w)), (0.0, math.inf)),
    "mae": (lambda y, f, w: float(sk.mean_absolute_error(y, f, sample_weight=w)), (0.0, math.inf)),
}


@pytest.mark.parametrize("noise", [0.05, 1.0, 4.0])
@pytest.mark.parametrize("name", OF_NUMBERS)
def test_the_interval_of_a_metric_of_numbers(name: str, noise: float) -> None:
    """Students', within the bounds; several outputs count as their mean."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 1 + np.arange(20) % 3)
    truth = rng.normal(size=(len(groups), 2)).round(1)
    outputs = (truth + noise * rng.normal(size=truth.shape)).round(1)
    score, bounds = OF_NUMBERS[name]

    def mean(y: np.ndarray, f: np.ndarray, w: np.ndarray) -> float:
        return float(np.mean([score(y[:, k], f[:, k], w) for k in range(2)]))

    known, w = Known(mean, "rows", 0, bounds), np.ones(len(groups))
    plain = Plain(known, np.zeros(len(groups), int), groups, 1)
    plain.labels = truth
    one = plain.slopes(outputs)
    plain.labels = np.zeros(len(groups), int)
    found = estimate(Predictions(truth, (outputs,), groups, target=Values()), name)
    expected = interval(known, mean(truth, outputs, w), 0.0, [plain.variance(one.rows, {})])
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-7)
