"""Statistics: closed forms agree with scipy and statsmodels; simulated coverage and error rates are the nominal ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar as exact_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from findna_bench.statistics.paired_tests import (
    Predictions,
    across_tasks,
    analyse,
    compact_letters,
    compare,
    compare_all,
    estimate,
    holm,
    mcnemar,
    rank_intervals,
    signed_rank,
    smallest_detectable,
)
from findna_bench.targets.per_base import PerBase
from findna_bench.targets.values import Values


def from_right(right: np.ndarray, groups: np.ndarray | None = None) -> Predictions:
    """Predictions that are right where ``right`` (S, n) says so."""
    labels = np.arange(right.shape[1]) % 2
    scores = [np.eye(2)[np.where(r, labels, 1 - labels)] for r in right]
    return Predictions(labels, tuple(scores), groups, tuple(range(len(right))))


def test_one_deterministic_fit_has_the_binomial_interval() -> None:
    right = np.random.default_rng(0).random((1, 3000)) < 0.8
    found = estimate(from_right(right), "accuracy")
    low, high = stats.binomtest(int(right.sum()), 3000).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.002)
    assert found.value == right.mean()
    assert found.seed_sd is None


@pytest.mark.parametrize("n", [40, 60, 128, 200])
def test_fits_that_are_one_and_the_same_have_the_interval_of_one(n: int) -> None:
    """Also where no row has a slope, exactly or but for rounding."""
    labels = np.arange(n) % 2
    alike = {"constant": np.full((n, 2), 0.5), "noise": np.random.default_rng(0).random((n, 2))}
    for name, scores in alike.items():
        one, three = (
            estimate(Predictions(labels, (scores,) * fits, None, tuple(range(fits))), "auroc") for fits in (1, 3)
        )
        assert (one.low, one.high) == pytest.approx((three.low, three.high)), name
        assert one.high - one.low > 0.005, name


def test_a_difference_is_that_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    first = rng.random((1, 2000)) < 0.8
    second = np.where(rng.random((1, 2000)) < 0.15, rng.random((1, 2000)) < 0.75, first)
    found = compare(from_right(first), from_right(second), "accuracy")
    reference = stats.ttest_rel(first[0].astype(float), second[0].astype(float))
    assert found.value == pytest.approx(first.mean() - second.mean())
    assert found.p_value == pytest.approx(reference.pvalue, rel=0.02)
    interval = reference.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.0002)
    assert 0.01 < reference.pvalue < 0.1


def test_any_metric_can_be_compared() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(2, size=600)

    def scored(strength: float) -> Predictions:
        positive = stats.norm.cdf(strength * (2 * labels - 1) + rng.normal(size=600))
        return Predictions(labels, (np.stack([1 - positive, positive], axis=1),))

    strong, weak = scored(1.0), scored(0.4)
    found = compare(strong, weak, "auroc")
    values = [roc_auc_score(labels, model.scores[0][:, 1]) for model in (strong, weak)]
    assert found.value == pytest.approx(values[0] - values[1])
    assert found.p_value < 1e-4
    assert found.low < values[0] - values[1] < found.high
    with pytest.raises(ValueError, match="same rows"):
        compare(strong, Predictions(1 - labels, weak.scores), "auroc")


def test_related_rows_count_once() -> None:
    rng = np.random.default_rng(3)
    right = rng.random((1, 200)) < 0.7
    copies = np.repeat(np.arange(200), 8)
    alone = estimate(from_right(right), "accuracy")
    grouped = estimate(from_right(right[:, copies], copies), "accuracy")
    naive = estimate(from_right(right[:, copies]), "accuracy")
    assert grouped.se == pytest.approx(alone.se, rel=0.15)
    assert naive.se < 0.5 * grouped.se
    with pytest.raises(ValueError, match="one group"):
        estimate(from_right(right, np.zeros(200)), "accuracy")


def test_seeds_add_their_own_uncertainty_and_more_seeds_less_of_it() -> None:
    rng = np.random.default_rng(4)
    chances = np.array([0.6, 0.65, 0.7, 0.75, 0.8])
    difficulty = rng.random(2000)
    right = difficulty < chances[:, None]
    found = estimate(from_right(right), "accuracy")
    assert found.seed_sd == pytest.approx(chances.std(ddof=1), abs=0.01)
    assert found.se == pytest.approx(np.sqrt(chances.var(ddof=1) / 5 + 0.21 / 2000), rel=0.1)
    assert found.high - found.low > 2 * 2.3 * found.se  # seeds dominate: Student's t with few degrees of freedom
    many = estimate(from_right(np.repeat(right, 4, axis=0)), "accuracy")
    assert many.se < found.se


def test_a_perfect_score_is_not_a_certain_one() -> None:
    found = estimate(from_right(np.ones((2, 300), dtype=bool)), "accuracy")
    assert found.value == found.high == 1.0
    assert found.low == pytest.approx(stats.binomtest(300, 300).proportion_ci(method="wilson").low, abs=0.001)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(5, 60), seed=st.integers(0, 1000))
def test_mid_p_mcnemar_is_the_exact_one_less_half_of_the_observed_table(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, first, second = (rng.integers(2, size=n) for _ in range(3))
    right, other = first == labels, second == labels
    table = [[(right & other).sum(), (right & ~other).sum()], [(~right & other).sum(), (~right & ~other).sum()]]
    b, c = int(table[0][1]), int(table[1][0])
    expected = 1.0 if b == c else exact_mcnemar(table, exact=True).pvalue - stats.binom.pmf(min(b, c), b + c, 0.5)
    assert mcnemar(labels, first, second) == pytest.approx(expected)


@settings(max_examples=10, deadline=None)  # statsmodels collects garbage at every call
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-40, 40), min_size=1, max_size=10))
def test_signed_rank_is_the_exact_permutation_test(differences: list[int]) -> None:
    d = np.array(differences, dtype=float)
    nonzero = d[d != 0]
    found = signed_rank(d)
    if not len(nonzero):
        assert found == 1.0
        return
    if len(np.unique(np.abs(nonzero))) == len(nonzero):
        assert found == pytest.approx(stats.wilcoxon(nonzero, method="exact").pvalue)
    ranks = stats.rankdata(np.abs(nonzero))
    sums = np.array(
        [
            sum(r for r, s in zip(ranks, signs, strict=True) if s)
            for signs in itertools.product((0, 1), repeat=len(ranks))
        ]
    )
    observed = ranks[nonzero > 0].sum()
    assert found == pytest.approx(min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean())))


def test_the_smallest_detectable_difference_is_what_power_analysis_says() -> None:
    solved = TTestPower().solve_power(nobs=400, alpha=0.05, power=0.8, effect_size=None)
    assert smallest_detectable(1 / 20, 399) == pytest.approx(solved, rel=0.01)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(2, 6))
def test_two_models_share_a_letter_exactly_if_they_do_not_differ(data: st.DataObject, n: int) -> None:
    names = [f"m{i}" for i in range(n)]
    pairs = list(itertools.combinations(names, 2))
    different = {pair for pair in pairs if data.draw(st.booleans())}
    letters = compact_letters(names, different)
    assert all(letters[name] for name in names)
    for a, b in pairs:
        assert bool(set(letters[a]) & set(letters[b])) == ((a, b) not in different)


def test_letters_run_from_the_best() -> None:
    assert compact_letters(["x", "y", "z"], [("x", "z")]) == {"x": "a", "y": "ab", "z": "b"}
    assert compact_letters(["x", "y"], []) == {"x": "a", "y": "a"}


def test_tasks_that_share_loci_count_as_one() -> None:
    tasks = [f"t{i}" for i in range(12)]
    scores = {"a": {t: 0.8 + 0.001 * i for i, t in enumerate(tasks)}, "b": dict.fromkeys(tasks, 0.7)}
    apart = across_tasks(scores)["a", "b"]
    assert apart == pytest.approx((0.1055, 2 * 0.5**12))
    together = across_tasks(scores, dict.fromkeys(tasks[:10], "locus"))["a", "b"]
    assert together[1] == pytest.approx(2 * 0.5**3)
    assert together[0] == pytest.approx(np.mean([0.1045, 0.11, 0.111]))


def test_rank_intervals_hold_the_rank_and_say_who_is_best() -> None:
    rng = np.random.default_rng(0)

    def draws(value: float, sd: float) -> np.ndarray:
        return np.concatenate([[value], value + sd * rng.normal(size=500)])

    tasks = [f"t{i}" for i in range(6)]
    values = {
        "best": {t: draws(0.9, 0.001) for t in tasks},
        "even": {t: draws(0.8, 0.01) for t in tasks},
        "odd": {t: draws(0.8, 0.01) for t in tasks},
    }
    ranks = rank_intervals(values)
    assert (ranks["best"].mean, ranks["best"].low, ranks["best"].high, ranks["best"].best_share) == (1, 1, 1, 1)
    for name in ("even", "odd"):
        assert 2 <= ranks[name].low < ranks[name].high <= 3
        assert ranks[name].best_share == 0.0
    with pytest.raises(ValueError, match="no task"):
        rank_intervals({"a": {"x": draws(1, 0)}, "b": {"y": draws(1, 0)}})


def simulate(
    rng: np.random.Generator,
    accuracy: float,
    related: float,
    seed_sd: float,
    own: float,
    n_seeds: int,
    n_groups: int = 350,
) -> list[Predictions]:
    """Two models of equal expected accuracy on about twice as many rows as groups.

    Whether a row is right is a threshold on the sum of what the group, the row, the model on both, the seed, and the seed on the
    row contribute. related: share of the lasting variance that is the group's; own: share that each seed draws anew per row.
    """
    sizes = np.minimum(rng.geometric(0.5, size=n_groups), 10)
    groups = np.repeat(np.arange(n_groups), sizes)
    by_group, by_row = np.sqrt((1 - own) * related / 2), np.sqrt((1 - own) * (1 - related) / 2)

    def lasting() -> np.ndarray:
        return by_group * rng.normal(size=n_groups)[groups] + by_row * rng.normal(size=len(groups))

    common = lasting()
    threshold = stats.norm.ppf(accuracy) * np.sqrt(1 + seed_sd**2)
    models = []
    for _ in range(2):
        mine = common + lasting()
        noise = np.sqrt(own) * rng.normal(size=(n_seeds, len(groups))) + seed_sd * rng.normal(size=(n_seeds, 1))
        models.append(from_right(threshold + mine + noise > 0, groups))
    return models


SCENARIOS = {
    "no seed effect": (0.8, 0.5, 0.0, 0.3, 5),
    "small seed effect": (0.8, 0.5, 0.05, 0.3, 5),
    "large seed effect": (0.75, 0.5, 0.15, 0.3, 5),
    "strongly related rows": (0.9, 0.8, 0.1, 0.1, 5),
    "three seeds": (0.7, 0.5, 0.1, 0.3, 3),
    "three seeds of large effect": (0.7, 0.5, 0.3, 0.3, 3),
    "four seeds that disagree on many rows": (0.8, 0.3, 0.05, 0.7, 4),
    "ten seeds on many rows": (0.85, 0.5, 0.05, 0.3, 10, 1000),
    "one fit": (0.6, 0.5, 0.0, 0.0, 1),
}


@pytest.mark.long
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nominal_levels_hold_for_related_rows_and_seed_effects(scenario: str) -> None:
    rng = np.random.default_rng(7)
    accuracy, repeats = SCENARIOS[scenario][0], 1000
    covered = rejected = uneven = 0
    for _ in range(repeats):
        first, second = simulate(rng, *SCENARIOS[scenario])
        kept = max(1, len(second.scores) - 2)
        fewer = Predictions(second.labels, second.scores[:kept], second.groups, second.seeds[:kept])
        found = analyse({"a": first, "b": second, "fewer": fewer}, "accuracy")
        covered += found.estimates["a"].low <= accuracy <= found.estimates["a"].high
        rejected += found.differences["a", "b"].p_value < 0.05
        uneven += found.differences["a", "fewer"].p_value < 0.05
    assert 0.93 <= covered / repeats <= 0.97
    assert 0.03 <= rejected / repeats <= 0.07
    if kept > 1:  # one seed says nothing of seeds; two err on the wide side
        assert uneven / repeats <= 0.07
    if kept > 2:
        assert uneven / repeats >= 0.03


def test_seeds_of_one_draw_are_not_independent() -> None:
    rng = np.random.default_rng(6)
    difficulty = rng.random(2000)
    right = np.concatenate([difficulty < chance + 0.01 * rng.normal(size=(4, 1)) for chance in (0.6, 0.7, 0.8)])
    draws = tuple(np.repeat([0, 1, 2], 4).tolist())
    seeds = from_right(right)
    pooled = Predictions(seeds.labels, seeds.scores, None, seeds.seeds, draws)
    found = analyse({"pooled": pooled, "naive": seeds}, "accuracy")
    assert found.estimates["pooled"].n_seeds == 3
    assert found.estimates["pooled"].value == pytest.approx(right.mean())
    assert found.estimates["pooled"].seed_sd == pytest.approx(0.1, abs=0.02)
    assert found.estimates["pooled"].se > 1.5 * found.estimates["naive"].se
    assert found.drawn["pooled"][0] == pytest.approx(right.mean())
    assert found.drawn["pooled"][1:].std() > 1.5 * found.drawn["naive"][1:].std()
    with pytest.raises(ValueError, match="draw"):
        Predictions(seeds.labels, seeds.scores, None, seeds.seeds, draws[:2])


def test_all_pairs_are_compared_on_the_same_rows() -> None:
    rng = np.random.default_rng(5)
    models = {name: from_right(rng.random((5, 500)) < chance) for name, chance in (("a", 0.9), ("b", 0.7), ("c", 0.7))}
    found = compare_all(models, "accuracy")
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found["a", "b"] == compare(models["a"], models["b"], "accuracy")
    assert found["a", "b"].p_value < 1e-4
    assert len(found["a", "b"].mcnemar) == 5
    uneven = Predictions(models["a"].labels, models["a"].scores[:1], None, (0,))
    assert compare(uneven, models["b"], "accuracy").p_value < 1e-4


def test_rows_that_are_all_alike_are_no_evidence_where_no_data_are_added() -> None:
    """Every base right against every base wrong: without a spread there is no test, only equal predictions are surely equal."""
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=(30, 12)).astype(np.uint8)
    right = np.stack([truth == 0, truth == 1], axis=2).astype(np.float16)
    constant = np.zeros_like(right)
    constant[..., 0] = 1
    models = {
        name: Predictions(truth, (outputs,), classes=("a", "b"), target=PerBase())
        for name, outputs in (("right", right), ("constant", constant), ("again", right))
    }
    found = analyse(models, "base_mcc")
    one = found.differences["right", "constant"]
    assert (one.value, one.low, one.p_value, one.detectable) == (1.0, None, None, None)
    assert found.estimates["right"].low is None
    assert found.differences["right", "again"].p_value == 1.0


def test_a_model_whose_score_is_undefined_keeps_no_other_from_being_compared() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 1))
    outputs = {"good": truth + rng.normal(size=(40, 1)), "bad": rng.normal(size=(40, 1)), "constant": np.zeros((40, 1))}
    models = {name: Predictions(truth, (own,), target=Values()) for name, own in outputs.items()}
    found = analyse(models, "pearson")
    assert found.undefined == ("constant",)
    assert list(found.estimates) == list(found.drawn) == ["good", "bad"]
    assert list(found.differences) == [("good", "bad")]
    with pytest.raises(ValueError, match="pearson is undefined on these rows for constant"):
        compare_all(models, "pearson")
    with pytest.raises(ValueError, match="pearson is undefined on these rows for constant"):
        analyse({name: models[name] for name in ("good", "constant")}, "pearson")
    with pytest.raises(ValueError, match=r"^pearson is undefined on these rows$"):
        analyse(dict.fromkeys("ab", models["constant"]), "pearson")
