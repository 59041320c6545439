"""Whether a fit learned anything is told from its validation rows, however sure of itself it is."""

from __future__ import annotations

import numpy as np
import pytest

from findna_bench.protocols.heads import KNearest, SeedSplit, fit_knn, fit_probe
from findna_bench.targets.learning import against_prior, not_learned


def rows(n: int, effect: float, seed: int = 0, positive: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """(features (n, 20), labels): one channel differs between the classes by ``effect`` standard deviations."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(n) < positive).astype(np.int64)
    features = generator.normal(size=(n, 20)).astype(np.float32)
    features[:, 0] += effect * labels
    return features, labels


def probed(n: int, effect: float, seed: int, positive: float = 0.5) -> dict:
    features, labels = rows(n, effect, seed, positive)
    split = SeedSplit(0, np.arange(n // 4, n), np.arange(n // 4))
    return fit_probe(features, labels, [split], 2)[0].validation


def test_labels_that_nothing_tells_are_not_learned() -> None:
    flagged = [probed(800, 0.0, seed)["learned"] is False for seed in range(10)]
    assert sum(flagged) >= 9


@pytest.mark.parametrize(
    ("n", "effect", "positive"), [(800, 1.0, 0.5), (800, 3.0, 0.05), (80, 3.0, 0.5), (4000, 0.5, 0.5)]
)
def test_a_good_probe_is_never_flagged(n: int, effect: float, positive: float) -> None:
    assert all(probed(n, effect, seed, positive)["learned"] is True for seed in range(10))


def test_nearest_neighbours_are_judged_too() -> None:
    split = SeedSplit(0, np.arange(100, 400), np.arange(100))
    for effect, learned in ((0.0, False), (4.0, True)):
        features, labels = rows(400, effect)
        (head,) = fit_knn(features, labels, [split], 2, KNearest())
        assert head.validation["learned"] is learned


def test_being_too_sure_is_not_the_same_as_having_learned_nothing() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, 200)
    said = np.where(generator.random(200) < 0.8, labels, 1 - labels)
    scores = np.eye(2)[said] * 0.9998 + 0.0001
    found = against_prior(labels, scores, labels)
    assert -np.log(scores[np.arange(200), labels]).mean() > found["prior_loss"]
    assert found["learned"] is True


def test_the_class_shares_themselves_and_a_handful_of_rows_say_nothing() -> None:
    train, labels = np.array([0, 0, 0, 1]), np.array([0, 1] * 10)
    assert against_prior(labels, np.tile([0.75, 0.25], (20, 1)), train)["learned"] is None
    assert against_prior(labels[:4], np.tile([0.5, 0.5], (4, 1)), train)["learned"] is None


def test_the_warning_names_both_losses() -> None:
    assert not_learned({"learned": False, "loss": 0.6921, "prior_loss": 0.69314}) == (
        "did not learn: the validation loss, 0.6921, is not clearly below that of the class shares of train, 0.6931"
    )
    assert not_learned({"learned": True, "loss": 0.1, "prior_loss": 0.69}) is None
    assert not_learned({}) is None
