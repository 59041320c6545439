"""What fits have in common: pools of rows, features of both strands, heads that a protocol gives, and the choice among representations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from findna_bench.data.splits import draw_validation
from findna_bench.data.table import SequenceTable
from findna_bench.errors import ModelError, PluginError
from findna_bench.models.representations import Representation
from findna_bench.protocols.fitting import Embedder, features_of, fit_best_representation, fit_heads, pool_rows
from findna_bench.protocols.heads import FittedHead
from findna_bench.protocols.protocol import HeadProtocol, Pool
from findna_bench.protocols.seed_splits import SeedSplit, few_shot_rows
from findna_bench.protocols.settings import KNearest


def rows(n: int, seed: int = 0) -> SequenceTable:
    rng = np.random.default_rng(seed)
    sequences = ["".join(rng.choice(list("ACGT"), 30)) for _ in range(n)]
    return SequenceTable(sequences, np.arange(n) % 2, np.array([f"{seed}-{row}" for row in range(n)]))


def test_pools_divide_rows_in_one_place() -> None:
    train, validation, names = rows(40), rows(10, 1), ("a", "b")
    official = pool_rows(train, validation, (3, 4), names, None)
    assert (official.official_validation, official.within_shots, official.n_classes) == (True, False, 2)
    assert len(official.table) == 50
    for split, seed in zip(official.splits, (3, 4), strict=True):
        assert (split.seed, split.folds) == (seed, None)
        assert split.train.tolist() == list(range(40))
        assert split.validation.tolist() == list(range(40, 50))
    drawn = pool_rows(train, None, (3,), names, None)
    assert (drawn.official_validation, len(drawn.table)) == (False, 40)
    expected = draw_validation(train, 3)
    assert [drawn.splits[0].train.tolist(), drawn.splits[0].validation.tolist()] == [part.tolist() for part in expected]
    few = pool_rows(train, validation, (3,), names, 5)
    assert few.splits[0].train.tolist() == few_shot_rows(train.labels, 5, 3).tolist()
    assert few.splits[0].validation.tolist() == list(range(40, 50))
    assert few.within_shots is False
    within = pool_rows(train, validation, (3,), names, 5, within_shots=True)
    assert (within.within_shots, within.official_validation, len(within.table)) == (True, False, 40)
    assert within.splits[0].train.tolist() == few_shot_rows(train.labels, 5, 3).tolist()
    assert within.splits[0].folds is not None
    assert len(within.splits[0].folds) == 5
    fixed = pool_rows(train, validation, (3,), names, 5, within_shots=True, choose=False)
    assert fixed.splits[0].folds == ()
    whole = pool_rows(train, validation, (3,), names, None, within_shots=True)
    assert (whole.within_shots, whole.official_validation) == (False, True)


def test_how_settings_were_chosen_is_said() -> None:
    table, some, none = rows(6), np.arange(3), np.arange(0)
    fold = ((some[:2], some[2:]),)

    def said(split: SeedSplit, *, official: bool = False, within: bool = False) -> str:
        return Pool(table, (split,), 2, official, within_shots=within).chosen_on(split)

    plain = SeedSplit(0, some, some)
    assert said(plain, official=True) == "official"
    assert said(plain) == "drawn"
    assert said(SeedSplit(0, some, none, fold), within=True) == "cross-validation within the shots"
    assert said(plain, within=True) == "held out within the shots"
    assert said(SeedSplit(0, some, none, ()), within=True) == "none"


def test_features_are_computed_once_for_each_table_and_strand() -> None:
    calls: list[tuple[int, str]] = []
    one, same = rows(4), rows(4)

    def vectors(table: SequenceTable, direction: str) -> np.ndarray:
        calls.append((id(table), direction))
        return np.full((len(table), 1), len(calls), dtype=np.float32)

    embedder = Embedder(vectors, "forward")
    found = [embedder.forward(one), embedder.reverse(one), embedder.forward(same), embedder.forward(one)]
    assert [float(part[0, 0]) for part in found] == [1, 2, 3, 1]
    assert calls == [(id(one), "forward"), (id(one), "reverse"), (id(same), "forward")]


class CountsA:
    def transform(self, table: SequenceTable) -> np.ndarray:
        return np.array([[text.count("A"), text.count("C")] for text in table.sequences], dtype=np.float32)


@pytest.mark.parametrize("strand", ["forward", "rc-augment", "rc-mean"])
def test_features_of_a_fitted_map_are_of_the_strand_that_is_asked_for(strand: str) -> None:
    table = rows(5)
    forward = np.array([[text.count("A"), text.count("C")] for text in table.sequences])
    other = np.array([[text.count("T"), text.count("G")] for text in table.sequences])
    vectors = features_of(CountsA(), strand, "mine")
    mean = (forward + other) / 2
    np.testing.assert_array_equal(vectors(table, "forward"), mean if strand == "rc-mean" else forward)
    if strand != "rc-mean":
        np.testing.assert_array_equal(vectors(table, "reverse"), other)


@dataclass(frozen=True, kw_only=True)
class Shares(FittedHead):
    """Says its first feature to be the probability of class 1."""

    def predict_scores(self, features: Any) -> np.ndarray:
        p = np.asarray(features)[:, 0].astype(float)
        return np.stack([1 - p, p], axis=1)


class Says(HeadProtocol):
    """Gives what it is told to."""

    settings = (KNearest,)
    presets = {"default": KNearest()}  # noqa: RUF012
    name = "says"

    def __init__(self, give: Any = None, validation: Any = None) -> None:
        self.give, self.validation = give, validation
        self.seen: list[Any] = []

    def fit_heads(self, features: Any, labels: Any, splits: Any, n_classes: int, preset: Any, device: str) -> Any:
        self.seen.append((features, labels, splits))
        if self.give is not None:
            return self.give
        told = {} if self.validation is None else self.validation(float(np.asarray(features)[0, 1]))
        return [Shares(seed=split.seed, settings={"own": 1}, validation=told, warnings=["w"]) for split in splits]


def embedder(strand: str = "forward") -> Embedder:
    """Class 1 is likelier the more A there are; of the other strand the more T."""

    def vectors(table: SequenceTable, direction: str) -> np.ndarray:
        letter = "A" if direction == "forward" else "T"
        return np.array([[text.count(letter) / len(text), 7.0] for text in table.sequences], dtype=np.float32)

    return Embedder(vectors, strand)


def test_heads_without_scores_of_their_own_are_judged_on_rows_that_they_have_not_seen() -> None:
    pool = pool_rows(rows(40), rows(20, 1), (3, 4), ("a", "b"), None)
    fits = fit_heads(Says(), pool, embedder(), KNearest(k=3), "cpu")
    assert [fit.seed for fit in fits] == [3, 4]
    held = pool.table.take(np.arange(40, 60))
    p = np.array([text.count("A") / 30 for text in held.sequences])
    own = np.where(held.labels == 1, p, 1 - p)
    for fit in fits:
        assert fit.validation["rows"] == 20
        assert fit.validation["loss"] == pytest.approx(-np.log(np.maximum(own, 2.2e-16)).mean(), rel=1e-5)
        assert fit.validation["accuracy"] == pytest.approx(((p > 0.5) == held.labels).mean())
        assert fit.selected == {"method": "knn", "k": 3, "metric": "euclidean", "standardise": False, "own": 1}
        assert fit.warnings == ("w",)
        assert fit.fit_s >= 0
        np.testing.assert_allclose(fit.predict(held)[:, 1], p, atol=1e-6)
    nothing = pool_rows(rows(40), None, (3,), ("a", "b"), 1, within_shots=True)
    assert fit_heads(Says(), nothing, embedder(), KNearest(), "cpu")[0].validation == {"rows": 0, "loss": None}


def test_strands_are_trained_on_or_averaged_as_they_are_asked_for() -> None:
    pool = pool_rows(rows(40), rows(20, 1), (3,), ("a", "b"), None)
    augmented = Says()
    fit_heads(augmented, pool, embedder("rc-augment"), KNearest(), "cpu")
    features, labels, (split,) = augmented.seen[0]
    assert (len(features), len(labels), len(split.train), len(split.validation)) == (120, 120, 80, 20)
    (fit,) = fit_heads(Says(), pool, embedder("rc-logit-mean"), KNearest(), "cpu")
    test = rows(5, 9)
    p, q = (np.array([text.count(letter) / 30 for text in test.sequences]) for letter in "AT")
    mean = (np.log(p / (1 - p)) + np.log(q / (1 - q))) / 2
    np.testing.assert_allclose(fit.predict(test)[:, 1], 1 / (1 + np.exp(-mean)), atol=1e-5)
    (plain,) = fit_heads(Says(), pool, embedder("rc-augment"), KNearest(), "cpu")
    np.testing.assert_allclose(plain.predict(test)[:, 1], p, atol=1e-6)


HEAD = Shares(seed=0, settings={})


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (HEAD, "gives a Shares"),
        ([HEAD, "x"], "gives a str"),
        ([HEAD], "gives 1 heads"),
        ([HEAD] * 3, "gives 3 heads"),
    ],
)
def test_what_is_no_head_for_every_seed_is_refused(give: Any, words: str) -> None:
    pool = pool_rows(rows(40), rows(20, 1), (3, 4), ("a", "b"), None)
    expected = "where a list of findna_bench.api.FittedHead, one for each of 2 seeds, is expected"
    with pytest.raises(PluginError) as refused:
        fit_heads(Says(give), pool, embedder(), KNearest(), "cpu")
    assert str(refused.value) == f"protocol 'says': fit_heads {words} {expected}"


# ----------------------------------------------------------------------------------------------------------- representations

CANDIDATES = tuple(Representation(layer, pooling) for layer in (2, 1) for pooling in ("mean", "max"))


def choose(worths: Any, metric: str = "accuracy", shots: int | None = None) -> tuple[list[Any], list[Any]]:
    """Fits, and what was reported, of a model whose candidates have these validation scores, in their order."""

    class Model:
        name, kind, device = "mine", "encoder", "cpu"

        def frozen_features(self, representation: Any = None) -> Any:
            number = CANDIDATES.index(representation)
            return lambda table, direction: np.full((len(table), 2), [0.5, number], dtype=np.float32)

    told: list[Any] = []
    options: Any = type("Options", (), {})()
    options.candidates, options.strand, options.metric = CANDIDATES, "forward", metric
    options.progress = lambda *report: told.append(report)
    within = shots is not None
    pool = pool_rows(rows(40), None if within else rows(20, 1), (3, 4), ("a", "b"), shots, within_shots=within)
    protocol = Says(validation=lambda number: worths[int(number)])
    return fit_best_representation(protocol, pool, Model(), KNearest(), options), told  # type: ignore[arg-type]


def test_the_candidate_of_the_lowest_loss_is_kept_and_the_first_of_equals() -> None:
    losses = [0.9, 0.4, 0.4, 0.7]
    fits, told = choose([{"rows": 20, "loss": loss, "path": [1]} for loss in losses])
    assert told == [(number, 4, "layers and poolings") for number in range(4)]
    for fit, seed in zip(fits, (3, 4), strict=True):
        assert (fit.seed, fit.representation) == (seed, CANDIDATES[1])
        assert {name: fit.selected[name] for name in ("layer", "pooling", "chosen_trial")} == {
            "layer": 2,
            "pooling": "max",
            "chosen_trial": 1,
        }
        assert [trial["settings"] for trial in fit.trials] == [
            {"layer": one.layer, "pooling": one.pooling} for one in CANDIDATES
        ]
        assert [trial["validation"] for trial in fit.trials] == [{"rows": 20, "loss": loss} for loss in losses]
        assert fit.fit_s > 0


@pytest.mark.parametrize(
    ("metric", "values", "chosen"),
    [
        ("accuracy", (0.1, 0.5, 0.7, 0.7), 2),
        ("rmse", (0.1, 0.05, 0.7, 0.05), 1),
        ("accuracy", (None, 0.1, None, 0.0), 1),
    ],
)
def test_without_a_loss_the_main_metric_decides(metric: str, values: Any, chosen: int) -> None:
    fits, _ = choose([{"rows": 20, "loss": None, metric: value} for value in values], metric)
    assert [fit.selected["chosen_trial"] for fit in fits] == [chosen, chosen]


def test_a_loss_that_is_no_number_is_the_worst() -> None:
    fits, _ = choose([{"rows": 20, "loss": loss} for loss in (float("nan"), float("inf"), 5.0, 6.0)])
    assert [fit.selected["chosen_trial"] for fit in fits] == [2, 2]


def test_where_nothing_tells_candidates_apart_the_first_is_kept_and_it_is_said() -> None:
    words = f"{CANDIDATES[0]}, is the first of 4 candidates: there is no validation score to choose by"
    fits, told = choose([{"rows": 0, "loss": None}] * 4)
    assert len(told) == 4
    once, first_alone = choose([{"rows": 0, "loss": None}] * 4, shots=1)
    assert first_alone == [(0, 1, "layers and poolings")]
    for fit in (*fits, *once):
        assert fit.warnings == ("w", words)
        assert fit.trials == ()
        assert "chosen_trial" not in fit.selected
        assert (fit.selected["layer"], fit.selected["pooling"], fit.representation) == (2, "mean", CANDIDATES[0])


def test_heads_with_neither_loss_nor_metric_cannot_be_chosen_among() -> None:
    words = "a layer or pooling cannot be chosen: the head gives no validation loss and no accuracy"
    with pytest.raises(ModelError, match=f"^{words}$"):
        choose([{"rows": 20, "loss": None}] * 4)
