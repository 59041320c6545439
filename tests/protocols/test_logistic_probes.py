"""Probes of classes and of labels: losses, choices and probabilities are those of scikit-learn's fits, one strength and part at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from findna_bench.errors import ConfigError, ModelError, UsageError
from findna_bench.protocols import heads, label_probe, logistic
from findna_bench.protocols.heads import LinearHead, fit_knn, fit_probe
from findna_bench.protocols.label_probe import fit_labels
from findna_bench.protocols.logistic import fit_paths
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import AdamWProbe, ConvProbe, KNearest, LogisticProbe, preset_settings

STRENGTHS = (1e1, 1e0, 1e-1, 1e-2, 1e-3)
Predict = Callable[[np.ndarray], np.ndarray]


def data(n: int, d: int, n_classes: int, separation: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + d + n_classes)
    x = rng.normal(size=(n, d)) * np.logspace(-1, 1, d) + rng.normal(size=d)
    z = separation * ((x - x.mean(0)) / x.std(0))[:, :4] @ rng.normal(size=(4, n_classes))
    return x.astype(np.float32), (z + rng.gumbel(size=z.shape)).argmax(1)


def by_hand(x: np.ndarray, y: np.ndarray, train: np.ndarray, strength: float, standardise: bool = True) -> Predict:
    """Row numbers -> probabilities of the classes that train has, by scikit-learn."""
    x = x.astype(np.float64)
    mean, scale = x[train].mean(0), x[train].std(0)
    kept = scale > 0
    scale = np.where(kept & standardise, scale, 1.0)
    model = LogisticRegression(C=1 / (strength * len(train)), tol=1e-8, max_iter=20_000)
    model.fit(((x[train] - mean) / scale)[:, kept], y[train])
    return lambda rows: model.predict_proba(((x[rows] - mean) / scale)[:, kept])


def folded(rows: np.ndarray, n: int, seed: int = 4) -> SeedSplit:
    return SeedSplit(seed, rows, rows[:0], tuple((np.setdiff1d(rows, rows[k::n]), rows[k::n]) for k in range(n)))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n_folds", [None, 3])
@pytest.mark.parametrize(("csr", "standardise"), [(False, True), (True, True), (False, False)])
def test_a_probe_of_classes_is_chosen_and_fitted_as_by_scikit_learn(
    n_classes: int, n_folds: int | None, csr: bool, standardise: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logistic, "_CHUNK_ROWS", 23)
    monkeypatch.setattr(heads, "_BLOCK_ROWS", 17)
    x, y = data(110, 6, n_classes)
    x[:, 4] = 3.0
    rows = np.random.default_rng(1).permutation(110)
    split = SeedSplit(4, rows[:83], rows[83:]) if n_folds is None else folded(rows[:83], n_folds)
    preset = LogisticProbe(strengths=STRENGTHS, always=5, standardise=standardise)
    (head,) = fit_probe(sparse.csr_matrix(x) if csr else x, y, [split], n_classes, preset)
    held = np.concatenate([own for _, own in split.parts])
    scores = {
        strength: np.concatenate([by_hand(x, y, train, strength, standardise)(own) for train, own in split.parts])
        for strength in STRENGTHS
    }
    losses = [log_loss(y[held], scores[strength], labels=range(n_classes)) for strength in STRENGTHS]
    assert [step["strength"] for step in head.validation["path"]] == list(STRENGTHS)
    assert [step["loss"] for step in head.validation["path"]] == pytest.approx(losses, rel=1e-4)
    strength = STRENGTHS[int(np.argmin(losses))]
    iterations = head.settings["iterations"]
    assert 0 < iterations < 100
    assert head.settings == {
        **preset_settings(preset),
        "strength": strength,
        "channels": 6,
        "channels_dropped": 1,
        "train_rows": len(split.train),
        "iterations": iterations,
    }
    np.testing.assert_allclose(
        head.predict_scores(x), by_hand(x, y, split.train, strength, standardise)(np.arange(110)), atol=1e-4
    )
    assert head.validation["rows"] == len(held)
    assert head.validation["loss"] == pytest.approx(min(losses), rel=1e-4)
    assert head.validation["accuracy"] == accuracy_score(y[held], scores[strength].argmax(1))
    shares = np.bincount(y[split.train], minlength=n_classes) / len(split.train)
    assert head.validation["prior_loss"] == pytest.approx(-np.log(shares[y[held]]).mean())


@pytest.mark.parametrize("on_columns", [2, 3])
def test_solutions_are_in_the_units_of_the_features_and_reach_the_objective_they_tell(on_columns: int) -> None:
    """Of several subsets and strengths, one of which lacks a class and one of which has a single one."""
    x, y = data(80, 5, on_columns)
    subsets = [np.arange(60), np.arange(10, 80, 2), np.flatnonzero(y != 1), np.flatnonzero(y == 1)]
    found = fit_paths(x, y, subsets, on_columns, STRENGTHS[:2])
    assert found.weights.shape == (4, 2, on_columns, 5)
    assert found.intercepts.shape == found.weights.shape[:3]
    lacking = [c for c in range(on_columns) if c != 1]
    assert found.absent == ((), (), (1,), tuple(lacking))
    assert found.converged.all()
    assert found.dropped.tolist() == [0, 0, 0, 0]
    single = 2 if on_columns == 2 else 3  # from here on subsets have one class, and nothing is fitted
    for s, rows in enumerate(subsets):
        scale = x[rows].astype(np.float64).std(0)
        for k, strength in enumerate(STRENGTHS[:2]):
            weight, bias = found.weights[s, k], found.intercepts[s, k]
            if s >= single:
                assert (found.iterations[s, k], found.objective[s, k]) == (0, 0.0)
                assert not weight.any()
                continue
            logits = x[rows].astype(np.float64) @ weight.T + bias
            top = logits.max(1, keepdims=True)
            loss = (np.log(np.exp(logits - top).sum(1)) + top[:, 0] - logits[np.arange(len(rows)), y[rows]]).mean()
            value = loss + 0.5 * strength * ((weight * scale) ** 2).sum()
            assert found.objective[s, k] == pytest.approx(value, rel=1e-9)
            assert 0 < found.iterations[s, k] < 30
        for c in found.absent[s]:
            assert found.intercepts[s, 0, c] == -50.0


def test_separable_rows_take_newton_steps_and_end_where_lbfgs_would(monkeypatch: pytest.MonkeyPatch) -> None:
    for n_classes in (2, 3):
        x, y = data(60, 5, n_classes)
        y = np.digitize(x[:, 0], np.quantile(x[:, 0], np.arange(1, n_classes) / n_classes))
        preset, split = LogisticProbe(strengths=(1e-4,)), SeedSplit(0, np.arange(50), np.arange(50, 60))
        only_two = replace(split, train=split.train[y[split.train] != n_classes - 1])
        found = []
        for after in (3, 10**6):
            monkeypatch.setattr(logistic, "_NEWTON_AFTER", after)
            found.append(fit_probe(x, y, [split, *([only_two] if n_classes > 2 else [])], n_classes, preset))
        for newton, lbfgs in zip(*found, strict=True):
            assert newton.settings["iterations"] < lbfgs.settings["iterations"]
            assert not newton.warnings or newton.warnings == ["classes without a training row: 2"]
            np.testing.assert_allclose(newton.predict_scores(x), lbfgs.predict_scores(x), atol=1e-5)


def test_ways_of_reading_rows_give_the_same_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept in memory or converted anew, multiplied as CSR or as dense blocks, with all eigenvectors or the leading ones."""
    rng = np.random.default_rng(0)
    x = sparse.random(90, 30, density=0.1, random_state=1, format="csr", dtype=np.float32)
    y = (np.asarray(x[:, :10].sum(1))[:, 0] + 0.1 * rng.normal(size=90) > 0.5).astype(np.int64)
    split, preset = SeedSplit(0, np.arange(70), np.arange(70, 90)), LogisticProbe(strengths=(1e-2,))
    (usual,) = fit_probe(x, y, [split], 2, preset)
    monkeypatch.setattr(logistic, "_CHUNK_ROWS", 16)
    ways = [
        {"_SMALL_VALUES": 0},
        {"_SMALL_VALUES": 0, "_CACHED_NONZERO": 0},
        {"_SMALL_VALUES": 0, "_DENSE_SHARE": 0.0},
        {"_CACHED_VALUES": 0},
        {"_FULL_EIGEN": 20, "_LEADING_EIGEN": 8},
        {"_GRAM_ROWS": 30},
    ]
    for way in ways:
        with monkeypatch.context() as patch:
            for name, value in way.items():
                patch.setattr(logistic, name, value)
            (head,) = fit_probe(x, y, [split], 2, preset)
        np.testing.assert_allclose(head.predict_scores(x), usual.predict_scores(x), atol=1e-6, err_msg=str(way))
        assert head.warnings == []


def test_a_fit_that_is_stopped_says_so_and_after_how_many_steps() -> None:
    x, y = data(80, 6, 2, separation=5.0)
    split = SeedSplit(0, np.arange(60), np.arange(60, 80))
    (head,) = fit_probe(x, y, [split], 2, LogisticProbe(strengths=(1e-6,), max_iterations=2))
    assert head.warnings == ["the fit did not converge within 2 iterations"]
    assert head.settings["iterations"] == 2
    (labels,) = fit_labels(
        x, np.stack([y, y, y * 0], 1).astype(np.int8), [split], LogisticProbe(strengths=(1e-6,), max_iterations=2)
    )
    assert labels.warnings == [
        "2 of 2 labels did not converge within 2 iterations",
        "labels whose train rows are all alike, predicted by their share: 2",
    ]


@pytest.mark.parametrize(
    ("strengths", "words"),
    [
        ((1e3, 1e5), "the weakest regularisation of the grid (1000) has the lowest validation loss"),
        ((1e-9, 1e-7, 0.02), "the strongest regularisation of the grid (0.02) has the lowest validation loss"),
        ((1e4, 1e-2, 1e-9), None),
        ((1e3,), None),
    ],
)
def test_a_strength_at_the_edge_is_told(strengths: tuple[float, ...], words: str | None) -> None:
    x, y = data(100, 20, 2)
    (head,) = fit_probe(x, y, [SeedSplit(0, np.arange(60), np.arange(60, 100))], 2, LogisticProbe(strengths=strengths))
    assert head.warnings == ([] if words is None else [words])


def test_weak_strengths_are_left_out_once_the_loss_has_risen_twice() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(60, 30)).astype(np.float32), rng.permutation(60) % 2  # nothing to learn
    split = SeedSplit(0, np.arange(45), np.arange(45, 60))
    for always, tried in ((2, 9), (3, 3), (4, 4), (6, 6), (9, 9)):  # of two losses nothing can be told
        (head,) = fit_probe(x, y, [split], 2, LogisticProbe(always=always))
        losses = [step["loss"] for step in head.validation["path"]]
        assert len(losses) == tried
        assert losses[:3] == sorted(losses[:3])


def test_without_rows_to_choose_on_scikit_learns_default_or_the_only_strength_is_taken() -> None:
    x, y = data(60, 5, 3)
    split = SeedSplit(0, np.arange(40), np.arange(0), ())
    for preset, strength in ((LogisticProbe(), 1 / 40), (LogisticProbe(strengths=(0.3,)), 0.3)):
        (head,) = fit_probe(x, y, [split], 3, preset)
        assert (head.settings["strength"], head.validation, head.warnings) == (strength, {"rows": 0, "loss": None}, [])
        np.testing.assert_allclose(
            head.predict_scores(x), by_hand(x, y, split.train, strength)(np.arange(60)), atol=1e-4
        )
        labels = np.eye(3, dtype=np.int8)[y]
        (of_labels,) = fit_labels(x, labels, [split], preset)
        assert of_labels.settings["strength"] == [strength] * 3
        assert (of_labels.validation, of_labels.warnings) == ({"rows": 0, "loss": None}, [])
        for k in range(3):
            expected = by_hand(x, labels[:, k], split.train, strength)(np.arange(60))[:, 1]
            np.testing.assert_allclose(of_labels.predict_scores(x)[:, k], expected, atol=1e-4)


# --------------------------------------------------------------------------------------------------------- several labels


def labelled(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """A sixth of the labels is not known."""
    rng = np.random.default_rng(n)
    x = (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3).astype(np.float32)
    truth = ((x - x.mean(0)) @ rng.normal(size=(d, k)) * 0.3 + rng.normal(size=(n, k)) > 0).astype(np.int8)
    truth[rng.random(truth.shape) < 1 / 6] = -1
    return x, truth


@pytest.mark.parametrize("n_folds", [None, 3])
@pytest.mark.parametrize("at_once", [1024, 7])
def test_each_label_is_chosen_and_fitted_as_by_scikit_learn(
    n_folds: int | None, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_probe, "_AT_ONCE", at_once)
    monkeypatch.setattr(label_probe, "_BLOCK_ROWS", 17)
    x, truth = labelled(120, 5, 3)
    rows = np.random.default_rng(1).permutation(120)
    split = SeedSplit(4, rows[:90], rows[90:]) if n_folds is None else folded(rows[:90], n_folds)
    preset = LogisticProbe(strengths=STRENGTHS, always=5)
    (head,) = fit_labels(x, truth, [split], preset)

    def fit(train: np.ndarray, k: int, strength: float) -> Predict:
        return by_hand(x, truth[:, k], train[truth[train, k] >= 0], strength)

    losses = np.zeros((len(STRENGTHS), 3))
    for number, strength in enumerate(STRENGTHS):
        for k in range(3):
            total, count = 0.0, 0
            for train, held in split.parts:
                known = held[truth[held, k] >= 0]
                total += log_loss(truth[known, k], fit(train, k, strength)(known), labels=[0, 1], normalize=False)
                count += len(known)
            losses[number, k] = total / count
    chosen = [STRENGTHS[number] for number in losses.argmin(0)]
    assert head.settings == {**preset_settings(preset), "strength": chosen, "channels": 5, "train_rows": 90}
    assert head.validation["path"] == [
        {"strength": strength, "loss": pytest.approx(own.mean(), rel=1e-4)}
        for strength, own in zip(STRENGTHS, losses, strict=True)
    ]
    assert head.validation["loss"] == pytest.approx(losses.min(0).mean(), rel=1e-4)
    held = np.concatenate([own for _, own in split.parts])
    assert head.validation["rows"] == len(held)
    areas = []
    for k in range(3):
        np.testing.assert_allclose(
            head.predict_scores(x)[:, k], fit(split.train, k, chosen[k])(np.arange(120))[:, 1], atol=1e-4
        )
        scores = np.concatenate([fit(train, k, chosen[k])(own)[:, 1] for train, own in split.parts])
        known = truth[held, k] >= 0
        areas.append(roc_auc_score(truth[held, k][known], scores[known]))
    assert head.validation["auroc_macro"] == pytest.approx(np.mean(areas), abs=1e-9)


def test_a_label_whose_validation_rows_are_alike_takes_what_is_best_for_the_others() -> None:
    x, truth = labelled(140, 5, 3)
    split = SeedSplit(0, np.arange(100), np.arange(100, 140))
    truth[100:, 2] = 1
    (head,) = fit_labels(x, truth, [split], LogisticProbe(strengths=STRENGTHS, always=5))
    losses = np.zeros((5, 2))
    for number, strength in enumerate(STRENGTHS):
        for k in range(2):
            known = np.flatnonzero(truth[100:, k] >= 0) + 100
            train = np.flatnonzero(truth[:100, k] >= 0)
            losses[number, k] = log_loss(truth[known, k], by_hand(x, truth[:, k], train, strength)(known))
    best = [STRENGTHS[number] for number in losses.argmin(0)]
    assert head.settings["strength"] == [*best, STRENGTHS[losses.mean(1).argmin()]]
    truth[100:] = 1
    (alike,) = fit_labels(x, truth, [split], LogisticProbe(strengths=STRENGTHS, always=5))
    assert len(set(alike.settings["strength"])) == 1
    truth[100:] = -1
    (unknown,) = fit_labels(x, truth, [split], LogisticProbe(strengths=STRENGTHS, always=5))
    assert unknown.settings["strength"] == [10.0, 10.0, 10.0]
    assert (unknown.validation["rows"], unknown.validation["loss"]) == (40, None)


@pytest.mark.parametrize(
    ("strengths", "edge"), [((1e3, 1e5), "weakest"), ((1e-9, 1e-7, 0.02), "strongest"), ((1e3,), None)]
)
def test_an_edge_is_told_where_most_labels_choose_it(strengths: tuple[float, ...], edge: str | None) -> None:
    rng = np.random.default_rng(0)
    x, truth = labelled(200, 12, 4)
    truth[:, 0] = rng.permutation(200) % 2  # noise, which wants the strongest one
    truth[:, 3] = 1
    (head,) = fit_labels(
        x + rng.normal(size=x.shape).astype(np.float32) * 3,
        truth,
        [SeedSplit(0, np.arange(100), np.arange(100, 200))],
        LogisticProbe(strengths=strengths),
    )
    extreme = {"weakest": min, "strongest": max, None: min}[edge](strengths)
    some = sum(strength == extreme for strength in head.settings["strength"][:3])
    assert some >= 2
    told = (
        []
        if edge is None
        else [f"the {edge} regularisation of the grid has the lowest validation loss for {some} of 3 labels"]
    )
    assert head.warnings == [*told, "labels whose train rows are all alike, predicted by their share: 3"]


def test_an_edge_that_half_of_the_labels_choose_is_no_news() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 20)).astype(np.float32)
    told = (x[:, 0] * 5 + rng.normal(size=300) > 0).astype(np.int8)
    truth = np.stack([told, rng.permutation(300) % 2], axis=1).astype(np.int8)
    split = SeedSplit(0, np.arange(200), np.arange(200, 300))
    (both,) = fit_labels(x, truth, [split], LogisticProbe(strengths=(100.0, 1e-3)))
    assert both.settings["strength"] == [1e-3, 100.0]
    assert both.warnings == []
    (one,) = fit_labels(x, truth[:, 1:], [split], LogisticProbe(strengths=(100.0, 1e-3)))
    assert one.warnings == ["the strongest regularisation of the grid has the lowest validation loss for 1 of 1 labels"]


# ------------------------------------------------------------------------------------------------------ nearest neighbours


def test_votes_are_counted_by_hand_and_the_nearer_of_equals_wins() -> None:
    x = np.array([[0.0], [1.0], [3.0], [7.0], [20.0]], np.float32)
    y = np.array([2, 0, 0, 1, 2])
    split = SeedSplit(0, np.arange(5), np.arange(0), ())
    (head,) = fit_knn(x, y, [split], 4, KNearest(k=4))
    weights = [1 + 1e-3 / 4, 1 + 1e-3 * 0.75 / 4, 1 + 1e-3 * 0.5 / 4, 1 + 1e-3 * 0.25 / 4]
    expected = np.array([[weights[1] + weights[2], weights[3], weights[0], 0.0]]) / sum(weights)
    np.testing.assert_allclose(head.predict_scores(np.array([[-1.0]], np.float32)), expected, rtol=1e-12)
    (tied,) = fit_knn(x, y, [split], 3, KNearest(k=2))
    assert tied.predict_scores(np.array([[0.4], [0.6], [4.9]], np.float32)).argmax(1).tolist() == [2, 0, 0]
    assert tied.validation == {"rows": 0, "loss": None}


def test_all_rows_vote_where_fewer_than_k_are_there_and_it_is_told() -> None:
    x, y = data(12, 4, 2)
    for n, told in ((4, ["only 4 training rows for 5 neighbours"]), (5, [])):
        (head,) = fit_knn(x, y, [SeedSplit(0, np.arange(n), np.arange(n, 12))], 2)
        assert head.settings == {**preset_settings(KNearest()), "k": min(n, 5), "channels": 4, "train_rows": n}
        assert head.warnings == told
        np.testing.assert_allclose(head.predict_scores(x[5:6])[0], np.bincount(y[:n], minlength=2) / n, atol=1e-3)


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("csr", [False, True], ids=["dense", "csr"])
def test_neighbours_are_those_of_the_distances_by_hand(metric: Any, standardise: bool, csr: bool) -> None:
    x, y = data(60, 4, 3)
    x[:, 2] = 1.5
    x[50] = 0.0
    split = SeedSplit(0, np.arange(45), np.arange(45, 60))
    (head,) = fit_knn(
        sparse.csr_matrix(x) if csr else x, y, [split], 3, KNearest(k=3, metric=metric, standardise=standardise)
    )
    rows = x.astype(np.float64)
    if standardise and not csr:  # which would no longer be sparse
        deviation = rows[:45].std(0)
        rows = (rows - rows[:45].mean(0)) / np.where(deviation > 1e-6, deviation, 1.0)
    if metric == "cosine":
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    near = np.argsort(np.linalg.norm(rows[45:, None] - rows[None, :45], axis=2), axis=1)[:, :3]
    votes = np.stack([(y[near] == c).sum(1) for c in range(3)], axis=1) / 3
    keep = np.arange(45, 60) != (50 if metric == "cosine" and (csr or not standardise) else -1)  # equally far from all
    found = head.predict_scores(sparse.csr_matrix(x[45:]) if csr else x[45:])
    np.testing.assert_allclose(found[keep], votes[keep], atol=1e-3)
    assert np.isfinite(found).all()
    assert head.validation["accuracy"] == accuracy_score(y[45:], found.argmax(1))
    assert head.validation["loss"] is None


def test_neighbours_within_shots_are_judged_fold_by_fold() -> None:
    x, y = data(40, 4, 2)
    split = folded(np.arange(30), 3)
    (head,) = fit_knn(x, y, [split], 2, KNearest(k=3))
    assert split.folds is not None
    right = []
    for train, held in split.folds:
        near = np.argsort(np.linalg.norm(x[held][:, None] - x[train][None], axis=2), axis=1)[:, :3]
        right += ((y[train][near].mean(1) > 0.5) == y[held]).tolist()
    assert head.validation["rows"] == 30
    assert head.validation["accuracy"] == pytest.approx(np.mean(right))
    assert head.settings["train_rows"] == 30


# ------------------------------------------------------------------------------------------------------------ refusals


def test_what_cannot_be_fitted_is_refused_in_a_sentence() -> None:
    x, y = data(40, 6, 2)
    split, labels = SeedSplit(3, np.arange(30), np.arange(30, 40)), np.stack([y, 1 - y], axis=1).astype(np.int8)
    of_classes = "a probe of classes takes labels (n,) of whole numbers from 0 to C - 1, not {}; a model that is fitted with one says targets=('classes',) on its card"
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: fit_probe(x, labels, [split], 2), UsageError, of_classes.format("(40, 2) of int8")),
        (lambda: fit_knn(x, y * 0.5, [split], 2), UsageError, of_classes.format("(40,) of float64")),
        (lambda: fit_probe(x, y + 1, [split], 2), ValueError, "a label lies outside 0..1"),
        (lambda: fit_knn(x, y - 1, [split], 2), ValueError, "a label lies outside 0..1"),
        (lambda: fit_probe(x[1:], y, [split], 2), ValueError, "39 rows of features, 40 of labels"),
        (
            lambda: fit_probe(x, y, [split], 2, ConvProbe()),
            UsageError,
            "ConvProbe is not a preset of the probe protocol",
        ),
        (
            lambda: fit_probe(sparse.csr_matrix(np.where(x == x[2, 1], np.inf, x)), y, [split], 2),
            ModelError,
            "the model's features hold a value that is not a finite number",
        ),
        (
            lambda: fit_probe(x, y, [split, SeedSplit(8, np.arange(30), np.arange(0))], 2),
            UsageError,
            "seed 8 has no validation rows; use more rows (a larger --limit)",
        ),
        (
            lambda: fit_knn(x, y, [SeedSplit(8, np.arange(0), np.arange(30))], 2),
            UsageError,
            "seed 8 has no train rows; use more rows (a larger --limit)",
        ),
        (
            lambda: fit_labels(x, labels, [split], AdamWProbe()),
            ConfigError,
            "a preset of method adamw trains a layer for classes; labels are probed by logistic regression: use --preset default",
        ),
        (lambda: fit_labels(x, labels[2:], [split]), ValueError, "40 rows of features, 38 of labels"),
        (
            lambda: fit_labels(x, labels, [SeedSplit(8, np.arange(30), np.arange(0))]),
            UsageError,
            "seed 8 has no validation rows; use more rows (a larger --limit)",
        ),
    ]
    for ask, kind, words in cases:
        with pytest.raises(kind, match=f"^{re.escape(words)}$"):
            ask()
    assert fit_knn(x, y, [SeedSplit(8, np.arange(30), np.arange(0))], 2)[0].validation == {"rows": 0, "loss": None}
    assert fit_probe(x, y.astype(bool), [split], 2)[0].settings["train_rows"] == 30
    assert fit_probe(x, y, [split], 5)[0].predict_scores(x).shape == (40, 5)


def test_a_linear_head_reads_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_BLOCK_ROWS", 4)
    weight, bias = np.array([[1.0, 2.0], [0.0, -1.0], [0.5, 0.5]]), np.array([0.0, 1.0, -1.0])
    head = LinearHead(seed=0, settings={}, weight=weight, bias=bias)
    for n in (1, 4, 9):
        x = np.random.default_rng(n).normal(size=(n, 2)).astype(np.float32)
        expected = np.exp(x.astype(np.float64) @ weight.T + bias)
        for features in (x, sparse.csr_matrix(x)):
            np.testing.assert_allclose(head.logits(features), np.log(expected), atol=1e-12)
            np.testing.assert_allclose(head.predict_scores(features), expected / expected.sum(1, keepdims=True))
