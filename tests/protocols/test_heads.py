"""Probes and nearest neighbours: optimal, equal to one-by-one fits, honest about what was chosen and what varied."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from findna_bench.errors import ModelError, NotFiniteError, UnsupportedError, UsageError
from findna_bench.protocols import logistic
from findna_bench.protocols.heads import (
    AdamWProbe,
    KNearest,
    LinearHead,
    LogisticProbe,
    SeedSplit,
    few_shot_rows,
    fit_knn,
    fit_probe,
    with_reverse_strand,
)
from findna_bench.targets.classes import Classes


def make(n: int, d: int, n_classes: int, seed: int = 0, separation: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated float32 features with unequal scales and means, labels that depend on them."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 8))
    x = np.tanh(latent @ rng.normal(size=(8, d))) * np.logspace(-3, 2, d) + rng.normal(size=d) * 10
    z = separation * latent @ rng.normal(size=(8, n_classes))
    labels = (z + rng.gumbel(size=z.shape)).argmax(1)
    return (x + 0.05 * rng.normal(size=x.shape) * np.logspace(-3, 2, d)).astype(np.float32), labels


def draws(n: int, seeds: int) -> list[SeedSplit]:
    out = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(n)
        out.append(SeedSplit(seed, np.sort(order[n // 5 :]), np.sort(order[: n // 5])))
    return out


def logits(head: object, x: object) -> np.ndarray:
    assert isinstance(head, LinearHead)
    return head.logits(x)


@pytest.mark.parametrize(("n_classes", "strength"), [(2, 1e-1), (2, 1e-5), (4, 1e-3)])
def test_the_default_probe_reaches_scikit_learns_optimum(n_classes: int, strength: float) -> None:
    x, y = make(400, 30, n_classes)
    (split,) = draws(400, 1)
    (head,) = fit_probe(x, y, [split], n_classes, LogisticProbe(strengths=(strength,)))
    rows, truth = x[split.train].astype(np.float64), y[split.train]
    scaler = StandardScaler().fit(rows)
    own = LogisticRegression(C=1 / (strength * len(truth)), tol=1e-10, max_iter=50_000).fit(
        scaler.transform(rows), truth
    )
    weights = logits(head, np.eye(30)) - logits(head, np.zeros((1, 30)))  # (D, C) in the features' units

    def objective(scores: np.ndarray, coefficients: np.ndarray) -> float:
        loss = -np.log(scores[np.arange(len(truth)), truth]).mean()
        return float(loss + 0.5 * strength * (coefficients**2).sum())

    columns = weights[:, 1:] if n_classes == 2 else weights
    ours = objective(head.predict_scores(rows), columns * scaler.scale_[:, None])
    theirs = objective(own.predict_proba(scaler.transform(rows)), own.coef_)
    assert ours <= theirs * (1 + 1e-6)
    assert np.abs(head.predict_scores(x) - own.predict_proba(scaler.transform(x.astype(np.float64)))).max() < 1e-3


def test_a_direction_that_rounding_turned_uphill_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = make(300, 20, 3)
    splits, preset = draws(300, 3), LogisticProbe(strengths=(1e-3,))
    expected = [head.predict_scores(x) for head in fit_probe(x, y, splits, 3, preset)]
    calls, direction = itertools.count(), logistic._History.direction

    def spoiled(*arguments: Any) -> torch.Tensor:
        found = direction(*arguments)
        found[next(calls) % len(found)] *= -1
        return found

    monkeypatch.setattr(logistic._History, "direction", spoiled)
    heads = fit_probe(x, y, splits, 3, preset)
    assert next(calls) > 3
    assert max(np.abs(head.predict_scores(x) - e).max() for head, e in zip(heads, expected, strict=True)) < 1e-4


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "preset", [LogisticProbe(), AdamWProbe(epochs=4, batch_size=50), AdamWProbe(epochs=3, standardise=True)]
)
def test_seeds_fitted_together_equal_one_by_one(preset: LogisticProbe | AdamWProbe, n_classes: int) -> None:
    x, y = make(230, 40, n_classes, separation=3.0)
    x = x / np.abs(x).max(axis=0) if isinstance(preset, AdamWProbe) else x
    splits = draws(230, 4)
    splits[2] = replace(splits[2], train=splits[2].train[:57])  # fewer rows, so fewer steps per epoch
    together = fit_probe(x, y, splits, n_classes, preset)
    assert len({h.predict_scores(x).tobytes() for h in together}) == 4
    for split, head in zip(splits, together, strict=True):
        (alone,) = fit_probe(x, y, [split], n_classes, preset)
        assert np.abs(logits(head, x) - logits(alone, x)).max() < 1e-4
        assert head.validation["loss"] == pytest.approx(alone.validation["loss"], abs=1e-6)
        assert head.seed == alone.seed == split.seed


def test_sparse_and_dense_features_give_the_same_probe() -> None:
    rng = np.random.default_rng(0)
    for density in (0.3, 0.01):
        x = sparse.random(300, 60, density=density, random_state=1, format="csr", dtype=np.float32)
        y = (np.asarray(x[:, :10].sum(1))[:, 0] + 0.05 * rng.normal(size=300) > x[:, :10].sum(1).mean()).astype(int)
        splits = draws(300, 2)
        preset = LogisticProbe(strengths=(1e-1, 1e-2, 1e-3))
        pairs = zip(fit_probe(x.toarray(), y, splits, 2, preset), fit_probe(x, y, splits, 2, preset), strict=True)
        for dense, csr in pairs:
            assert np.abs(logits(dense, x.toarray()) - logits(csr, x)).max() < 1e-4


def test_many_channels_take_the_leading_eigenvectors_and_still_converge() -> None:
    x, y = make(200, 1100, 2)
    (head,) = fit_probe(x, y, draws(200, 1), 2, LogisticProbe(strengths=(1e-1, 1e-2, 1e-3)))
    assert head.settings["channels"] == 1100
    assert not [w for w in head.warnings if "converge" in w]


def test_strength_is_the_one_of_lowest_validation_loss_and_edges_are_told() -> None:
    x, y = make(300, 20, 2)
    (head,) = fit_probe(x, y, draws(300, 1), 2)
    path = head.validation["path"]
    assert np.log10(LogisticProbe().strengths[0] / LogisticProbe().strengths[-1]) >= 7
    losses = [entry["loss"] for entry in path]
    assert len(path) == 9 or (len(path) == 6 and losses[-1] > losses[-2] > losses[-3])
    (whole,) = fit_probe(x, y, draws(300, 1), 2, LogisticProbe(always=9))
    assert len(whole.validation["path"]) == 9
    assert whole.settings["strength"] == head.settings["strength"]
    best = min(path, key=lambda entry: entry["loss"])
    assert (head.settings["strength"], head.validation["loss"]) == (best["strength"], best["loss"])
    (noise,) = fit_probe(np.random.default_rng(0).normal(size=(300, 50)).astype(np.float32), y, draws(300, 1), 2)
    assert noise.settings["strength"] > head.settings["strength"]
    (edge,) = fit_probe(x, y, draws(300, 1), 2, LogisticProbe(strengths=(1e2, 1e1)))
    assert "weakest" in edge.warnings[0]


def test_constant_and_nearly_constant_channels_are_dropped_on_the_seeds_own_rows() -> None:
    x, y = make(200, 10, 2)
    split = draws(200, 1)[0]
    flat = np.full((200, 2), 7.0, np.float32)
    flat[split.validation, 1] = 1000.0  # varies only where this seed must not look
    (with_flat,) = fit_probe(np.hstack([x, flat]), y, [split], 2)
    (without,) = fit_probe(x, y, [split], 2)
    assert with_flat.settings["channels_dropped"] == 2
    assert np.abs(with_flat.predict_scores(np.hstack([x, flat])) - without.predict_scores(x)).max() < 1e-6


def test_validation_rows_do_not_leak_into_the_fit() -> None:
    x, y = make(200, 10, 2)
    split = draws(200, 1)[0]
    changed = x.copy()
    changed[split.validation] += 50.0
    strengths = LogisticProbe(strengths=(1e-2,))
    (a,), (b,) = fit_probe(x, y, [split], 2, strengths), fit_probe(changed, y, [split], 2, strengths)
    assert np.abs(logits(a, x) - logits(b, x)).max() < 1e-6


def test_what_varies_between_seeds_is_said() -> None:
    x, y = make(120, 6, 2)
    official = [SeedSplit(s, np.arange(100), np.arange(100, 120)) for s in range(3)]
    deterministic = fit_probe(x, y, official, 2)
    assert {h.varies for h in deterministic} == {()}
    assert len({h.predict_scores(x).tobytes() for h in deterministic}) == 1
    assert [h.seed for h in deterministic] == [0, 1, 2]
    assert fit_probe(x, y, draws(120, 2), 2)[0].varies == ("rows",)
    random = fit_probe(x / 100, y, official, 2, AdamWProbe(epochs=2))
    assert random[0].varies == ("head initialisation", "row order")
    assert len({h.predict_scores(x).tobytes() for h in random}) == 3


def test_a_class_without_training_rows_gets_no_probability_and_a_warning() -> None:
    x, y = make(150, 6, 3)
    split = draws(150, 2)
    without = replace(split[0], train=split[0].train[y[split[0].train] != 1])
    only = replace(split[0], seed=9, train=split[0].train[y[split[0].train] == 2])
    heads = fit_probe(x, y, [without, split[1], only], 3)
    assert heads[0].predict_scores(x)[:, 1].max() < 1e-12
    assert any("without a training row: 1" in w for w in heads[0].warnings)
    assert heads[2].predict_scores(x)[:, 2].min() > 0.999
    (alone,) = fit_probe(x, y, [split[1]], 3)
    assert np.abs(logits(alone, x) - logits(heads[1], x)).max() < 1e-4


def test_the_adamw_probe_learns_and_keeps_its_best_epoch() -> None:
    x, y = make(600, 12, 2, separation=4.0)
    x = (x - x.mean(0)) / x.std(0)
    (head,) = fit_probe(x, y, draws(600, 1), 2, AdamWProbe(epochs=30, batch_size=64))
    losses = [entry["loss"] for entry in head.validation["path"]]
    assert head.settings["epoch"] == int(np.argmin(losses)) + 1
    assert head.validation["loss"] == pytest.approx(min(losses), abs=1e-5)
    assert head.validation["accuracy"] > 0.75


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_nearest_neighbours_are_scikit_learns(metric: str) -> None:
    x, y = make(200, 5, 3)
    (split,) = draws(200, 1)
    (head,) = fit_knn(x, y, [split], 3, KNearest(k=5, metric=metric))  # type: ignore[arg-type]
    reference = KNeighborsClassifier(5, metric=metric, algorithm="brute").fit(x[split.train], y[split.train])
    scores = head.predict_scores(x[split.validation])
    assert np.abs(scores - reference.predict_proba(x[split.validation])).max() < 1e-3
    assert head.varies == ()
    assert head.settings["k"] == 5


def test_few_shot_rows_are_stratified_and_drawn_anew_for_each_seed() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 12])
    rows = [few_shot_rows(labels, 10, seed) for seed in range(3)]
    for chosen in rows:
        assert np.bincount(labels[chosen]).tolist() == [10, 10, 10]
        assert len(set(chosen)) == 30
    assert len({r.tobytes() for r in rows}) == 3
    assert (few_shot_rows(labels, 10, 1) == rows[1]).all()
    with pytest.raises(UnsupportedError, match="but 12 training rows are of class 2: ask for 12 or fewer"):
        few_shot_rows(labels, 13, 0)


def test_both_strands_train_and_logits_of_both_strands_average() -> None:
    x, y = make(100, 4, 2)
    split = draws(100, 1)
    features, labels, doubled = with_reverse_strand(x, -x, y, split)
    assert (features[doubled[0].train[80:]] == -x[split[0].train]).all()
    assert (labels[doubled[0].train] == np.tile(y[split[0].train], 2)).all()
    assert (doubled[0].validation == split[0].validation).all()
    a, b = np.array([[2.0, 0.0, 1.0]]), np.array([[0.0, 1.0, -3.0]])
    expected = np.exp((a + b) / 2) / np.exp((a + b) / 2).sum()
    assert Classes().average([np.exp(z) / np.exp(z).sum() for z in (a, b)]) == pytest.approx(expected)


def test_unusable_input_is_refused() -> None:
    x, y = make(50, 4, 2)
    split = draws(50, 1)
    with pytest.raises(ModelError, match="finite"):
        fit_probe(np.where(x == x[3, 2], np.nan, x), y, split, 2)
    with pytest.raises(UsageError, match="no validation rows"):
        fit_probe(x, y, [replace(split[0], validation=np.array([], dtype=np.int64))], 2)


def test_an_adamw_probe_that_does_not_stay_finite_is_an_error() -> None:
    """It would otherwise be scored as it was drawn."""
    features = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    features[:, 0] = np.where(features[:, 0] > 0, 3e38, -3e38)
    split = SeedSplit(0, np.arange(40), np.arange(40, 60))
    for select in ("validation", "last"):
        with pytest.raises(NotFiniteError, match="seed 0"):
            fit_probe(features, np.arange(60) % 2, [split], 2, AdamWProbe(epochs=2, select=select))
