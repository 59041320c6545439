"""Ridge regression of numbers: every loss, choice and coefficient is that of scikit-learn on the same rows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge

from findna_bench.errors import ConfigError, ModelError, UsageError
from findna_bench.protocols import ridge
from findna_bench.protocols.heads import FittedHead
from findna_bench.protocols.ridge import RidgeHead, fit_ridge
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import AdamWProbe, LogisticProbe, preset_settings

STRENGTHS = (1e1, 1e0, 1e-1, 1e-2, 1e-3)


def data(n: int, d: int, k: int, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Channels of several scales and means, and outputs in units of their own that depend on them."""
    rng = np.random.default_rng(n + d)
    x = rng.normal(size=(n, d)) * np.logspace(-2, 2, d) + rng.normal(size=d) * 10
    z = (x - x.mean(0)) / x.std(0) @ rng.normal(size=(d, k)) + noise * rng.normal(size=(n, k)) * np.sqrt(d)
    return x.astype(np.float32), z * np.logspace(0, 3, k) + 100


def by_hand(x: np.ndarray, y: np.ndarray, train: np.ndarray, strength: float, standardise: bool) -> Any:
    """Features -> outputs, by scikit-learn."""
    x = x.astype(np.float64)
    mean, scale = x[train].mean(0), x[train].std(0)
    kept = scale > 0
    scale = np.where(kept & standardise, scale, 1.0)
    centre, unit = y[train].mean(0), np.where(y[train].std(0) > 0, y[train].std(0), 1.0)
    model = Ridge(alpha=strength * len(train), solver="svd")
    model.fit(((x[train] - mean) / scale)[:, kept], (y[train] - centre) / unit)
    return lambda rows: model.predict(((x[rows] - mean) / scale)[:, kept]).reshape(len(rows), -1) * unit + centre


def loss_by_hand(
    x: np.ndarray, y: np.ndarray, part: tuple[np.ndarray, np.ndarray], strength: float, standardise: bool
) -> float:
    train, held = part
    unit = np.where(y[train].std(0) > 0, y[train].std(0), 1.0)
    return float((((by_hand(x, y, train, strength, standardise)(held) - y[held]) / unit) ** 2).mean())


def folded(rows: np.ndarray, n: int) -> SeedSplit:
    return SeedSplit(4, rows, rows[:0], tuple((np.setdiff1d(rows, rows[k::n]), rows[k::n]) for k in range(n)))


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("csr", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize(("n", "d"), [(90, 7), (40, 60)], ids=["tall", "wide"])
@pytest.mark.parametrize("n_folds", [None, 3])
def test_losses_strength_and_coefficients_are_scikit_learns(
    n: int, d: int, csr: bool, standardise: bool, n_folds: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ridge, "_BLOCK_ROWS", 11)  # so that sums are taken over blocks, the last one shorter
    x, y = data(n, d, 2)
    x[:, 3] = 5.0  # does not vary
    if not standardise:
        x = (x / np.logspace(-2, 2, d)).astype(np.float32)
    rows = np.random.default_rng(0).permutation(n)
    split = SeedSplit(4, rows[: n - 13], rows[n - 13 :]) if n_folds is None else folded(rows[: n - 13], n_folds)
    preset = LogisticProbe(strengths=STRENGTHS, standardise=standardise, always=5)
    (head,) = fit_ridge(sparse.csr_matrix(x) if csr else x, y, [split], preset)
    sizes = [len(held) for _, held in split.parts]
    losses = [
        sum(
            loss_by_hand(x, y, part, strength, standardise) * size
            for part, size in zip(split.parts, sizes, strict=True)
        )
        / sum(sizes)
        for strength in STRENGTHS
    ]
    assert [step["strength"] for step in head.validation["path"]] == list(STRENGTHS)
    assert [step["loss"] for step in head.validation["path"]] == pytest.approx(losses, rel=1e-5)
    strength = STRENGTHS[int(np.argmin(losses))]
    assert head.validation["loss"] == pytest.approx(min(losses), rel=1e-5)
    assert head.settings == {
        **preset_settings(preset),
        "strength": strength,
        "channels": d,
        "channels_dropped": 1,
        "train_rows": len(split.train),
    }
    every = np.arange(n)
    expected = by_hand(x, y, split.train, strength, standardise)(every)
    np.testing.assert_allclose((head.predict_scores(x) - expected) / y.std(0), 0, atol=1e-6)
    held = np.concatenate([own for _, own in split.parts])
    outputs = np.concatenate([by_hand(x, y, train, strength, standardise)(own) for train, own in split.parts])
    assert head.validation["rows"] == len(held)
    correlations = [pearsonr(y[held, k], outputs[:, k]).statistic for k in range(2)]
    assert head.validation["pearson"] == pytest.approx(np.mean(correlations), abs=1e-5)
    spread = (y[held] - y[split.train].mean(0)) / y[split.train].std(0)
    assert head.validation["prior_loss"] == pytest.approx(float((spread**2).mean()), rel=1e-6)


def test_weak_strengths_are_left_out_once_the_loss_has_risen_twice_and_enough_were_tried() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(60, 40)).astype(np.float32), rng.normal(size=(60, 1))  # nothing to learn
    split = SeedSplit(0, np.arange(45), np.arange(45, 60))
    whole = [loss_by_hand(x, y, split.parts[0], strength, True) for strength in sorted(LogisticProbe().strengths)[::-1]]
    rising = [i for i in range(2, 9) if whole[i] > whole[i - 1] > whole[i - 2]]
    assert rising[0] == 2
    for always, tried in ((0, 3), (3, 3), (4, 4), (6, 6), (9, 9)):
        (head,) = fit_ridge(x, y, [split], LogisticProbe(always=always))
        assert [step["loss"] for step in head.validation["path"]] == pytest.approx(whole[:tried], rel=1e-6)


@pytest.mark.parametrize(
    ("strengths", "words"),
    [
        ((1e3, 1e5), "the weakest regularisation of the grid (1000) has the lowest validation loss"),
        ((1e-9, 1e-7, 0.02), "the strongest regularisation of the grid (0.02) has the lowest validation loss"),
        ((1e3, 1e-1, 1e-9), None),
        ((1e3,), None),
    ],
)
def test_a_strength_at_the_edge_is_told(strengths: tuple[float, ...], words: str | None) -> None:
    x, y = data(60, 20, 1, noise=0.6)
    (head,) = fit_ridge(x, y, [SeedSplit(0, np.arange(40), np.arange(40, 60))], LogisticProbe(strengths=strengths))
    assert head.warnings == ([] if words is None else [words])


def test_the_stronger_of_equal_strengths_is_chosen() -> None:
    """Outputs that do not vary have the same loss, none, at every strength."""
    x, _ = data(50, 5, 1)
    (head,) = fit_ridge(x, np.full((50, 1), 3.0), [SeedSplit(0, np.arange(40), np.arange(40, 50))])
    assert head.settings["strength"] == 100.0
    np.testing.assert_array_equal(head.predict_scores(x), np.full((50, 1), 3.0))


def test_without_rows_to_choose_on_scikit_learns_default_or_the_only_strength_is_taken() -> None:
    x, y = data(50, 5, 2)
    split = SeedSplit(0, np.arange(20), np.arange(0), ())
    (default,) = fit_ridge(x, y, [split])
    (only,) = fit_ridge(x, y, [split], LogisticProbe(strengths=(0.3,)))
    assert (default.settings["strength"], only.settings["strength"]) == (1 / 20, 0.3)
    for head in (default, only):
        assert head.validation == {"rows": 0, "loss": None}
        assert head.warnings == []
        expected = by_hand(x, y, split.train, head.settings["strength"], True)(np.arange(50))
        np.testing.assert_allclose((head.predict_scores(x) - expected) / y.std(0), 0, atol=1e-7)


def test_channels_that_hardly_vary_beside_the_others_are_left_out() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5)).astype(np.float32)
    x[:, 1] = rng.permutation(60) % 2 * np.float32(2e-4)  # deviation 1e-4, others' median about 1
    y, split = rng.normal(size=(60, 1)), SeedSplit(0, np.arange(50), np.arange(50, 60))
    for drop_below, dropped in ((1e-6, 0), (1e-3, 1), (0.0, 0)):
        (head,) = fit_ridge(x, y, [split], LogisticProbe(strengths=(1.0,), drop_below=drop_below))
        assert head.settings["channels_dropped"] == dropped
        assert isinstance(head, RidgeHead)
        assert (head.weight[0, 1] == 0) == bool(dropped)


def test_features_that_do_not_vary_predict_the_mean() -> None:
    for d in (2, 70):
        (head,) = fit_ridge(
            np.ones((50, d), np.float32), np.arange(50.0)[:, None], [SeedSplit(0, np.arange(40), np.arange(40, 50))]
        )
        np.testing.assert_allclose(head.predict_scores(np.ones((3, d))), np.full((3, 1), 19.5))
        assert head.settings["channels_dropped"] == d


def test_seeds_of_the_same_rows_are_one_fit_and_say_what_varies() -> None:
    x, y = data(60, 5, 1)
    rows = [SeedSplit(s, np.arange(50), np.arange(50, 60)) for s in (2, 9)]
    heads: list[FittedHead] = fit_ridge(x, y, rows)
    assert [(head.seed, head.varies) for head in heads] == [(2, ()), (9, ())]
    other = SeedSplit(5, np.arange(10, 60), np.arange(10))
    assert [(head.seed, head.varies) for head in fit_ridge(x, y, [*rows, other])] == [(s, ("rows",)) for s in (2, 9, 5)]


def test_a_system_that_is_not_positive_by_rounding_is_solved_all_the_same() -> None:
    """Two equal channels and next to no penalty: the mean of both is what can be told."""
    rng = np.random.default_rng(0)
    one = rng.normal(size=(40, 1)).astype(np.float32)
    x, y = np.repeat(one, 3, axis=1), 2 * one.astype(np.float64) + 1
    split = SeedSplit(0, np.arange(30), np.arange(30, 40))
    (head,) = fit_ridge(x, y, [split], LogisticProbe(strengths=(1e-17,)))
    np.testing.assert_allclose(head.predict_scores(x), y, atol=1e-6)


def test_what_cannot_be_fitted_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = data(40, 6, 1)
    split = SeedSplit(3, np.arange(30), np.arange(30, 40))
    cases: list[tuple[Any, type[Exception], str]] = [
        (
            lambda: fit_ridge(x, y, [split], AdamWProbe()),
            ConfigError,
            "a preset of method adamw trains a layer for classes; values are probed by ridge regression: use --preset default",
        ),
        (
            lambda: fit_ridge(np.where(x == x[2, 1], np.inf, x), y, [split]),
            ModelError,
            "the model's features hold a value that is not a finite number",
        ),
        (
            lambda: fit_ridge(x, y, [SeedSplit(3, np.arange(30), np.arange(0))]),
            UsageError,
            "seed 3 has no validation rows; use more rows (a larger --limit)",
        ),
        (
            lambda: fit_ridge(x, y, [SeedSplit(3, np.arange(0), np.arange(30))]),
            UsageError,
            "seed 3 has no train rows; use more rows (a larger --limit)",
        ),
        (lambda: fit_ridge(x[1:], y, [split]), ValueError, "39 rows of features, 40 of labels"),
    ]
    for ask, kind, words in cases:
        with pytest.raises(kind, match=f"^{re.escape(words)}$"):
            ask()
    monkeypatch.setattr(ridge, "_LARGEST_SYSTEM", 5)
    with pytest.raises(
        ModelError,
        match=r"^6 features of 30 rows are too many for an exact ridge regression \(at most 5 of either\)$",
    ):
        fit_ridge(x, y, [split])
    monkeypatch.setattr(ridge, "_LARGEST_SYSTEM", 6)
    assert fit_ridge(x, y, [split])
