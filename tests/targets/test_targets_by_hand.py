"""What a target says of its rows: losses, outputs, shares, refusals and columns, against plain computations; and whether a fit learned."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from findna_bench.data.table import SequenceTable
from findna_bench.data.tabular import RawTable
from findna_bench.errors import ConfigError, DataError, ModelError
from findna_bench.statistics.base_states import NO_STATE
from findna_bench.targets.classes import Classes
from findna_bench.targets.group_scores import auroc_within, group_names, group_scores, related_rows
from findna_bench.targets.labels import Labels
from findna_bench.targets.learning import (
    against_label_priors,
    against_mean,
    against_prior,
    against_state_shares,
    label_priors,
    not_learned,
    state_shares,
)
from findna_bench.targets.per_base import PerBase
from findna_bench.targets.target import Target, find_target
from findna_bench.targets.values import Values

NAMES = ("classes", "values", "labels", "per_base")


# ------------------------------------------------------------------------------------------------- whether a fit learned


def clearly(gains: Sequence[float]) -> bool:
    mean = statistics.fmean(gains)
    error = statistics.stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return mean > max(2.5 * error, 1e-12)


def verdict(prior_loss: float, gains: Sequence[float], towards: Sequence[float]) -> bool:
    much = statistics.fmean(gains) >= 0.05 * prior_loss > 0
    return much or clearly(gains) or clearly(towards)


def shares_by_hand(counts: Sequence[int]) -> list[float]:
    counts = [n + 1 for n in counts] if 0 in counts else list(counts)
    return [n / sum(counts) for n in counts]


def assert_learned(found: dict[str, Any], prior_loss: float, learned: bool) -> None:
    assert set(found) == {"prior_loss", "learned"}
    assert found["prior_loss"] == pytest.approx(prior_loss, rel=1e-9)
    assert found["learned"] is learned


def cases() -> list[tuple[np.random.Generator, int, float]]:
    """(generator, rows, how much is told), from nothing to all, and from the fewest rows that say something on."""
    strengths = (-0.5, 0.0, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
    return [
        (np.random.default_rng([round(100 + 10 * strength), n, k]), n, strength)
        for strength in strengths
        for n in (10, 30, 200)
        for k in range(4)
    ]


def test_classes_are_held_against_the_class_shares_of_train() -> None:
    verdicts = []
    for generator, n, strength in cases():
        c = int(generator.integers(2, 5))
        train = generator.integers(0, c - int(generator.integers(2)), 50)  # sometimes without the last class
        truth = generator.integers(0, c, n)
        scores = np.exp(generator.normal(size=(n, c)) + strength * np.eye(c)[truth])
        scores /= scores.sum(1, keepdims=True)
        shares = shares_by_hand([int((train == k).sum()) for k in range(c)])
        own = [float(scores[row, y]) for row, y in enumerate(truth)]
        prior = [shares[y] for y in truth]
        gains = [math.log(p) - math.log(q) for p, q in zip(own, prior, strict=True)]
        towards = [p / q - 1 for p, q in zip(own, prior, strict=True)]
        prior_loss = statistics.fmean(-math.log(q) for q in prior)
        verdicts.append(verdict(prior_loss, gains, towards))
        assert_learned(against_prior(truth, scores, train), prior_loss, verdicts[-1])
        assert against_prior(truth[:9], scores[:9], train)["learned"] is None
    assert {True, False} == set(verdicts)


def test_a_class_of_no_score_costs_what_the_least_number_costs() -> None:
    truth, scores = np.array([0, 1] * 10), np.tile([1.0, 0.0], (20, 1))
    found = against_prior(truth, scores, truth)
    assert_learned(found, math.log(2), False)  # half of the rows lose 690 nats, and gain as much as they lose in shares


@pytest.mark.parametrize("shift", [0.0, 1e-13, 1e-9])
def test_scores_that_are_the_shares_themselves_say_nothing(shift: float) -> None:
    truth = np.array([0, 1, 1, 1] * 5)
    expected = None if shift < 1e-12 else False
    shares = np.tile([0.25 + shift, 0.75 - shift], (20, 1))
    assert against_prior(truth, shares, truth)["learned"] is expected
    labels = truth[:, None].astype(np.int8)
    assert against_label_priors(labels, np.full((20, 1), 0.75 - shift), labels)["learned"] is expected
    values = truth[:, None].astype(float)
    assert against_mean(values, np.full((20, 1), values.mean() + shift), values)["learned"] is expected


def test_numbers_are_held_against_the_mean_of_train() -> None:
    verdicts = []
    for generator, n, strength in cases():
        k = int(generator.integers(1, 3))
        train = generator.normal(size=(40, k)) * [3.0, 0.5][:k] + 7
        if strength == 0.1 and k == 2:
            train[:, 1] = 4.0
        truth = generator.normal(size=(n, k)) * [3.0, 0.5][:k] + 7
        outputs = 7 + strength * (truth - 7) + generator.normal(size=(n, k)) * 0.6
        mean = [statistics.fmean(train[:, j]) for j in range(k)]
        scale = [statistics.pstdev(train[:, j]) or 1.0 for j in range(k)]
        z = [[(float(truth[i, j]) - mean[j]) / scale[j] for j in range(k)] for i in range(n)]
        f = [[(float(outputs[i, j]) - mean[j]) / scale[j] for j in range(k)] for i in range(n)]
        centre = [statistics.fmean(row[j] for row in f) for j in range(k)]
        prior_loss = statistics.fmean(cell**2 for row in z for cell in row)
        gains = [
            statistics.fmean(a**2 - (a - b) ** 2 for a, b in zip(x, y, strict=True)) for x, y in zip(z, f, strict=True)
        ]
        towards = [
            statistics.fmean(a * (b - c) for a, b, c in zip(x, y, centre, strict=True))
            for x, y in zip(z, f, strict=True)
        ]
        verdicts.append(verdict(prior_loss, gains, towards))
        assert_learned(against_mean(truth, outputs, train), prior_loss, verdicts[-1])
        assert against_mean(truth[:9], outputs[:9], train)["learned"] is None
    assert {True, False} == set(verdicts)


def prior_of(column: Sequence[int]) -> float:
    having, lacking = sum(value == 1 for value in column), sum(value == 0 for value in column)
    if not having or not lacking:
        return (having + 0.5) / (having + lacking + 1)
    return having / (having + lacking)


def test_labels_are_held_against_their_shares_in_train_where_they_are_known() -> None:
    verdicts = []
    for generator, n, strength in cases():
        k = 3
        train = generator.integers(-1, 2, (40, k))
        if strength == 0.2:
            train[:, 0], train[:, 1] = 1, -1
        truth = generator.integers(-1, 2, (n, k))
        truth[n // 2] = -1  # a row of which nothing is known
        outputs = 1 / (1 + np.exp(-(generator.normal(size=(n, k)) + strength * (2 * (truth == 1) - 1))))
        priors = [prior_of(train[:, j].tolist()) for j in range(k)]
        np.testing.assert_allclose(label_priors(train), priors)
        losses, gains, towards = [], [], []
        for row in range(n):
            known = [j for j in range(k) if truth[row, j] >= 0]
            if not known:
                continue
            own = [outputs[row, j] if truth[row, j] else 1 - outputs[row, j] for j in known]
            prior = [priors[j] if truth[row, j] else 1 - priors[j] for j in known]
            losses.append(statistics.fmean(-math.log(q) for q in prior))
            gains.append(statistics.fmean(math.log(p / q) for p, q in zip(own, prior, strict=True)))
            towards.append(statistics.fmean(p / q - 1 for p, q in zip(own, prior, strict=True)))
        found = against_label_priors(truth.astype(np.int8), outputs, train.astype(np.int8))
        if len(losses) < 10:
            assert found["learned"] is None
            assert found["prior_loss"] == pytest.approx(statistics.fmean(losses))
            continue
        verdicts.append(verdict(statistics.fmean(losses), gains, towards))
        assert_learned(found, statistics.fmean(losses), verdicts[-1])
    assert {True, False} == set(verdicts)
    nothing = np.full((12, 2), -1, dtype=np.int8)
    assert against_label_priors(nothing, np.full((12, 2), 0.5), nothing) == {"prior_loss": None, "learned": None}


def test_states_are_held_against_their_shares_row_by_row() -> None:
    verdicts = []
    for generator, n, strength in cases():
        c, width = 3, 12
        train = generator.integers(0, c - int(generator.integers(2)), (20, width)).astype(np.uint8)
        truth = generator.integers(0, c, (n, width)).astype(np.uint8)
        truth[generator.random(truth.shape) < 0.2] = NO_STATE
        truth[1] = NO_STATE
        scores = np.exp(
            0.5 * generator.normal(size=(n, width, c)) + 0.3 * strength * np.eye(c)[np.minimum(truth, c - 1)]
        )
        scores /= scores.sum(2, keepdims=True)
        shares = shares_by_hand([int((train == k).sum()) for k in range(c)])
        np.testing.assert_allclose(state_shares(train, c), shares)
        losses, gains, towards = [], [], []
        for row in range(n):
            known = [b for b in range(width) if truth[row, b] != NO_STATE]
            if known:
                own = [float(scores[row, b, truth[row, b]]) for b in known]
                prior = [shares[truth[row, b]] for b in known]
                losses.append(statistics.fmean(-math.log(q) for q in prior))
                gains.append(statistics.fmean(math.log(p / q) for p, q in zip(own, prior, strict=True)))
                towards.append(statistics.fmean(p / q - 1 for p, q in zip(own, prior, strict=True)))
        found = against_state_shares(truth, scores, train)
        if len(losses) < 10:
            assert found["learned"] is None
            assert found["prior_loss"] == pytest.approx(statistics.fmean(losses))
            continue
        verdicts.append(verdict(statistics.fmean(losses), gains, towards))
        assert_learned(found, statistics.fmean(losses), verdicts[-1])
    assert {True, False} == set(verdicts)
    unknown = np.full((11, 4), NO_STATE, dtype=np.uint8)
    assert against_state_shares(unknown, np.full((11, 4, 2), 0.5), unknown) == {"prior_loss": None, "learned": None}


@pytest.mark.parametrize(("away", "learned"), [(0.0009, None), (0.002, False)])
def test_scores_of_bases_that_are_the_shares_but_for_their_format_say_nothing(away: float, learned: Any) -> None:
    truth = np.tile(np.array([0, 1], dtype=np.uint8), (12, 3))
    scores = np.tile([0.5 + away, 0.5 - away], (12, 6, 1))
    assert against_state_shares(truth, scores, truth)["learned"] is learned


def test_what_is_said_of_a_fit_that_learned_nothing() -> None:
    assert not_learned({"learned": False, "loss": 1.25, "prior_loss": 1.125}, "the mean of train") == (
        "did not learn: the validation loss, 1.2500, is not clearly below that of the mean of train, 1.1250"
    )
    assert not_learned({"learned": False, "loss": None, "prior_loss": 1.0}) == (
        "did not learn: validation rows are not predicted clearly better than by the class shares of train"
    )
    for learned in (True, None):
        assert not_learned({"learned": learned, "loss": 1.0, "prior_loss": 1.0}) is None


# -------------------------------------------------------------------------------------------------------- losses, outputs


def test_losses_are_sums_over_what_is_scored() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(5, 3))
    classes = np.array([0, 2, 1, 1, 0])
    by_row = [
        -math.log(math.exp(row[y]) / sum(map(math.exp, row))) for row, y in zip(logits.tolist(), classes, strict=True)
    ]
    found = Classes().loss(torch.from_numpy(logits), torch.from_numpy(classes))
    assert float(found) == pytest.approx(sum(by_row))
    assert Classes().scored(torch.from_numpy(classes)) == 5

    labels = np.array([[1, 0, -1], [0, 0, 0], [-1, -1, -1], [1, 1, 1], [0, -1, 1]], dtype=np.int8)
    total = sum(
        math.log1p(math.exp(-x if y else x))
        for row, ys in zip(logits, labels, strict=True)
        for x, y in zip(row, ys, strict=True)
        if y >= 0
    )
    assert float(Labels().loss(torch.from_numpy(logits), torch.from_numpy(labels))) == pytest.approx(total / 3)

    numbers, train = generator.normal(size=(5, 3)) * 4 + 9, generator.normal(size=(30, 3)) * [2.0, 5.0, 0.0] + 9
    scale = np.where(train.std(0) > 0, train.std(0), 1.0)
    distance = logits - (numbers - train.mean(0)) / scale
    squares = float((distance**2).sum()) / 3
    huber = float(np.where(np.abs(distance) <= 1, distance**2 / 2, np.abs(distance) - 0.5).sum()) / 3
    for name, expected in ((None, squares), ("mse", squares), ("huber", huber)):
        trained = find_target("values").for_training(train, name)
        assert float(trained.loss(torch.from_numpy(logits), torch.from_numpy(numbers))) == pytest.approx(expected)
        np.testing.assert_allclose(trained.outputs(logits), logits * scale + train.mean(0))
        assert trained.name == "values"

    of_bases = generator.normal(size=(2, 4, 3))
    states = np.array([[0, 1, NO_STATE, 2, NO_STATE], [2, NO_STATE, NO_STATE, NO_STATE, NO_STATE]], dtype=np.uint8)
    cells = [(0, 0, 0), (0, 1, 1), (0, 3, 2), (1, 0, 2)]
    total = sum(math.log(sum(map(math.exp, of_bases[r, b]))) - of_bases[r, b, s] for r, b, s in cells)
    assert float(PerBase().loss(torch.from_numpy(of_bases), torch.from_numpy(states))) == pytest.approx(total)
    assert PerBase().scored(torch.from_numpy(states)) == 4


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits)
    return odds / odds.sum(-1, keepdims=True)


def test_outputs_of_both_strands_are_those_of_the_mean_logits() -> None:
    generator = np.random.default_rng(1)
    one, other = generator.normal(size=(2, 4, 3))
    np.testing.assert_allclose(Classes().outputs(one), softmax(one))
    np.testing.assert_allclose(Classes().average([softmax(one), softmax(other)]), softmax((one + other) / 2))
    np.testing.assert_allclose(Classes().outputs(one + 5000), softmax(one))
    assert Classes().average([np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]])]).tolist() == [[1.0, pytest.approx(0.0)]]
    sigmoid = 1 / (1 + np.exp(-one))
    np.testing.assert_allclose(Labels().outputs(one), sigmoid)
    np.testing.assert_allclose(
        Labels().average([sigmoid, 1 / (1 + np.exp(-other))]), 1 / (1 + np.exp(-(one + other) / 2))
    )
    assert Labels().average([np.array([[1.0]]), np.array([[0.0]])]).tolist() == [[pytest.approx(0.5, abs=1e-5)]]
    np.testing.assert_allclose(Values().average([one, other]), (one + other) / 2)
    np.testing.assert_allclose(Values().outputs(one), one)
    bases = generator.normal(size=(2, 5, 3))
    found = PerBase().outputs(bases)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, softmax(bases), atol=1e-3)
    turned = generator.normal(size=(2, 5, 3))
    np.testing.assert_allclose(
        PerBase().average([softmax(bases), softmax(turned)]), softmax((bases + turned) / 2), rtol=1e-4
    )


def test_outputs_of_the_other_strand_are_turned_within_their_sequence_and_only_where_they_are_of_bases() -> None:
    table = SequenceTable(["ACG", "ACGTA"], np.zeros((2, 5), np.uint8), np.arange(2))
    given = np.arange(20, dtype=float).reshape(2, 5, 2)
    kept = given.copy()
    found = PerBase().turned(given, table)
    np.testing.assert_array_equal(found[0], kept[0][[2, 1, 0, 3, 4]])
    np.testing.assert_array_equal(found[1], kept[1][::-1])
    np.testing.assert_array_equal(given, kept)
    assert Classes().turned(given, table) is given


def test_losses_are_those_that_a_target_has() -> None:
    for name in NAMES:
        target = find_target(name)
        known = "there are mse, huber" if name == "values" else "there is one loss only"
        words = f"loss 'mae' is not for {name}: {known}; use another preset"
        assert target.refuses_loss("mae") == words
        assert target.refuses_loss(None) is None
        with pytest.raises(ConfigError, match=f"^{re.escape(words)}$"):
            target.for_training(np.zeros((3, 2)), "mae")
        assert (target.can_be_trained, target.of_bases) == (True, name == "per_base")
    assert [Values().refuses_loss(name) for name in ("mse", "huber")] == [None, None]


# ---------------------------------------------------------------------------------------------------------- rows, columns


def table(truth: Any, sequences: Sequence[str] = ("ACGT", "AC", "ACG")) -> SequenceTable:
    return SequenceTable(list(sequences), np.asarray(truth), np.arange(len(sequences)))


N = NO_STATE
REFUSED: list[tuple[str, Any, str]] = [
    ("classes", np.zeros((3, 1), np.int64), "labels must be whole numbers, one per row, not int64 (3, 1)"),
    ("classes", np.zeros(3), "labels must be whole numbers, one per row, not float64 (3,)"),
    ("classes", np.array([1, 0, 2]), "row 2 has label 2, outside 0 to 1"),
    ("classes", np.array([0, -1, 5]), "row 1 has label -1, outside 0 to 1"),
    ("values", np.zeros((3, 2), np.int64), "labels must be numbers, 2 per row (n, 2), not int64 (3, 2)"),
    ("values", np.zeros((3, 1)), "labels must be numbers, 2 per row (n, 2), not float64 (3, 1)"),
    ("values", np.array([[0, 1], [2, np.nan], [np.inf, 0]]), "b of row 1 is nan, not a finite number"),
    ("labels", np.zeros((3, 2)), "labels must be 0, 1 or -1 (not known), 2 per row (n, 2), not float64 (3, 2)"),
    ("labels", np.zeros(3, np.int8), "labels must be 0, 1 or -1 (not known), 2 per row (n, 2), not int8 (3,)"),
    ("labels", np.array([[0, 1], [1, 2], [-2, 0]]), "b of row 1 is 2, not 0, 1 or -1 (not known)"),
    ("labels", np.array([[0, 1], [1, 1], [-2, 0]]), "a of row 2 is -2, not 0, 1 or -1 (not known)"),
    ("per_base", np.zeros((3, 4), np.int64), "labels must be states of bases, (n, W) uint8, not int64 (3, 4)"),
    ("per_base", np.zeros(3, np.uint8), "labels must be states of bases, (n, W) uint8, not uint8 (3,)"),
    (
        "per_base",
        np.array([[0, 1, 1, 0], [0, 2, N, N], [N, N, N, N]], np.uint8),
        "base 1 of row 1 has state 2, outside 0 to 1",
    ),
    (
        "per_base",
        np.array([[0, 1, 1, 0], [0, 1, N, N], [N, N, N, 0]], np.uint8),
        "row 2 has 3 bases and a state at base 3",
    ),
]
SOUND = {
    "classes": np.array([1, 0, 1]),
    "values": np.array([[0.0, -1e9], [1e9, 0.5], [2, 3]]),
    "labels": np.array([[0, 1], [-1, -1], [1, 0]], np.int8),
    "per_base": np.array([[0, 1, N, 0], [0, 1, N, N], [N, N, N, N]], np.uint8),
}


@pytest.mark.parametrize(("name", "truth", "words"), REFUSED)
def test_rows_that_are_labelled_otherwise_are_refused(name: str, truth: np.ndarray, words: str) -> None:
    with pytest.raises(DataError) as refused:
        find_target(name).check(table(truth), ("a", "b"), "train")
    assert str(refused.value) == f"train: {words}"


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_columns_and_come_back(name: str) -> None:
    target, truth = find_target(name), SOUND[name]
    target.check(table(truth), ("a", "b"), "train")
    outputs = np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    if name == "per_base":
        outputs = np.where((truth != N)[..., None], np.array([0.25, 0.75]), 0)
    columns = target.to_columns(truth, outputs)
    expected = {
        "classes": ["label", "score_0", "score_1"],
        "values": ["value_0", "value_1", "score_0", "score_1"],
        "labels": ["label_0", "label_1", "score_0", "score_1"],
        "per_base": ["states", "scores"],
    }[name]
    assert list(columns) == expected
    again = target.from_columns(columns, ("a", "b"))
    np.testing.assert_array_equal(again[0], truth)
    np.testing.assert_array_equal(again[1], outputs)
    with pytest.raises(ValueError, match=f"^they have columns {', '.join(expected[:-1])}$"):
        target.from_columns({key: columns[key] for key in expected[:-1]}, ("a", "b"))


def damaged(name: str, change: Callable[[dict[str, np.ndarray]], None]) -> dict[str, np.ndarray]:
    outputs = np.full((3, 4, 2), 0.5) if name == "per_base" else np.full((3, 2), 0.5)
    columns = find_target(name).to_columns(SOUND[name], outputs)
    change(columns)
    return columns


def put(column: str, row: int, value: Any) -> Callable[[dict[str, np.ndarray]], None]:
    def change(columns: dict[str, np.ndarray]) -> None:
        columns[column][row] = value

    return change


OUTSIDE = "they hold a score that is not finite, or a label outside the task's"
OTHER = "they hold a score that is not finite, or a label other than 0, 1 and -1"
STATES = "they hold a score that is not finite, or a state outside the task's"


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("classes", put("score_1", 2, np.nan), OUTSIDE),
        ("classes", put("label", 1, 2), OUTSIDE),
        ("classes", put("label", 1, -1), OUTSIDE),
        ("labels", put("score_0", 2, np.inf), OTHER),
        ("labels", put("label_1", 0, 2), OTHER),
        ("labels", put("label_1", 0, -2), OTHER),
        ("values", put("value_1", 0, np.nan), "they hold a number that is not finite"),
        ("values", put("score_0", 0, np.inf), "they hold a number that is not finite"),
        ("per_base", put("states", 0, b"\x00\x02\xff\x00"), STATES),
        ("per_base", put("states", 0, b"\x00\x01\xff"), "their rows have different numbers of bases"),
        ("per_base", put("scores", 1, np.array([0.5, np.nan, 0.5, 0.5], "<f2").tobytes()), STATES),
    ],
)
def test_columns_that_hold_what_cannot_be_are_refused(name: str, change: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        find_target(name).from_columns(damaged(name, change), ("a", "b"))


def test_scores_of_bases_are_probabilities_where_they_count() -> None:
    truth = np.array([[0, N, 1]], np.uint8)
    scores = np.array([[[0.5, 0.5], [7.0, np.nan], [1.0, 0.0]]])
    _, found = PerBase().prepare(truth, scores)
    assert (found.dtype, found[0, 1].tolist(), found[0, 2].tolist()) == (np.float16, [0.0, 0.0], [1.0, 0.0])
    for value in (-0.01, 1.01, np.nan):
        wrong = scores.copy()
        wrong[0, 2, 1] = value
        with pytest.raises(ModelError, match=r"^the model's score for base 2 of test row 0 is no probability$"):
            PerBase().prepare(truth, wrong)
    with pytest.raises(
        ModelError, match=re.escape("scores of bases must be (rows, bases, states), (1, 3) and states, not (1, 2, 2)")
    ):
        PerBase().prepare(truth, scores[:, :2])
    with pytest.raises(ModelError, match=r"^the model's score for test row 1 is not a finite number$"):
        Values().prepare(np.zeros((3, 2)), np.array([[0, 1], [np.nan, 0], [np.inf, 0]]))


def test_strata_counts_flags_and_words() -> None:
    labels = ("a", "b", "c")
    truth = np.array([0, 1, 1, 0])
    assert Classes().strata(truth).tolist() == [0, 1, 1, 0]
    assert Classes().counts(truth, labels) == {"a": 2, "b": 2, "c": 0}
    assert Values().strata(np.zeros((4, 2))).tolist() == [0] * 4
    assert Values().counts(np.zeros((4, 2)), labels) == {"rows": 4}
    assert Values().flags(np.zeros((4, 2)), labels) == []
    states = np.array([[0, 2, N], [0, N, N]], np.uint8)
    assert PerBase().flags(states, labels) == ["no test base has state b"]
    assert PerBase().flags(states, ("a",)) == []
    assert PerBase().flags(np.full((1, 2), N, np.uint8), [f"s{k}" for k in range(7)]) == [
        "no test base has state s0, s1, s2, s3, s4"
    ]
    assert Values().in_words(np.array([[1.0], [1234567.0]]), ["x"]) == "values x 1 to 1.235e+06"
    counted = np.repeat(np.array([[1], [0], [-1]], np.int8), [1200, 1, 1500], axis=0)
    assert Labels().in_words(counted, ["x"]) == "labels x (1,200, 1,500 not known)"
    assert PerBase().in_words(np.zeros((2, 1000), np.uint8), ["x", "y"]) == "states per base x (2,000), y (0)"
    assert PerBase().metrics("base_mcc", ("x", "y"))[-2:] == ("base_auprc:x", "base_auprc:y")
    assert PerBase().metrics("base_auprc:x", ("x",)) == PerBase().metrics(None, ("x",))
    assert Values().metrics("rmse") == Values().metrics()


def raw(**columns: list[Any]) -> RawTable:
    return RawTable("x.csv", columns, 2)


def test_columns_that_a_target_reads() -> None:
    sequence = ["ACGT", "AC"]
    plain = raw(sequence=sequence, value=[1, 2], value_x=[3, 4], values=[5, 6])
    assert Values().label_columns(plain) == ("value", "value_x")
    assert Values().possible_columns(raw(sequence=sequence, label=[1, 2])) == ("label",)
    assert Values().possible_columns(raw(sequence=sequence)) == ()
    assert Values().read([plain], ("value", "value_x"))[0] == ("value", "x")
    of_one = raw(sequence=sequence, label_a=["0", "true"], label_b=["", "FALSE"], label_c=["x", "y"])
    assert Labels().label_columns(of_one) == ("label_a", "label_b", "label_c")
    assert Labels().label_columns(raw(sequence=sequence, label_a=["", ""])) == ()
    assert Labels().label_columns(raw(sequence=sequence, label_a=["2", "1"])) == ()
    assert Labels().possible_columns(raw(sequence=sequence, label_a=["2", "1"])) == ("label_a",)
    assert Labels().possible_columns(raw(sequence=sequence, labels=["x", "y"])) == ("labels",)
    assert Labels().label_columns(raw(sequence=sequence, labels=["x", "x;y"])) == ("labels",)
    assert Labels().label_columns(raw(sequence=sequence, label=["x", "x"], labels=["x", "x;y"])) == ()
    names, (truth,) = Labels().read([of_one], ("label_a", "label_b"))
    assert (names, truth.tolist(), truth.dtype) == (("a", "b"), [[0, -1], [1, 0]], np.int8)
    lists = raw(sequence=["A"] * 4, labels=[["y", None, " x "], [], "NA", " y;;x "])
    names, (truth,) = Labels().read([lists], ("labels",))
    assert (names, truth.tolist()) == (("x", "y"), [[1, 1], [0, 0], [-1, -1], [1, 1]])
    assert PerBase().label_columns(plain) == ()
    states = raw(sequence=["ACGN", "acu"], states=["ba.b", "abb"])
    assert PerBase().label_columns(states) == ("states",)
    names, (truth,) = PerBase().read([states], ("states",))
    assert (names, truth.tolist()) == (("a", "b"), [[1, 0, N, N], [0, 1, 1, N]])


MOST = "".join(chr(200 + k) for k in range(64))


@pytest.mark.parametrize(
    ("target", "columns", "names", "words"),
    [
        (
            Labels(),
            {"label_a": ["0", "2"]},
            ("label_a",),
            "x.csv, row 3 (the header is row 1): label_a '2' is neither 0 nor 1, nor empty (not known); columns label_NAME hold one label each: "
            "rename it if it is none",
        ),
        (Labels(), {"labels": ["", "NA"]}, ("labels",), "x.csv: no row has a label in its column labels"),
        (Values(), {"value": ["1", ""]}, ("value",), "x.csv, row 3 (the header is row 1): the row has no value"),
        (Values(), {"value": ["x", "1"]}, ("value",), "x.csv, row 2 (the header is row 1): value 'x' is no number"),
        (
            Values(),
            {"value": ["1,5", "1"]},
            ("value",),
            "x.csv, row 2 (the header is row 1): value '1,5' is no number; write decimals with a point",
        ),
        (
            PerBase(),
            {"states": ["aaaa", "aa"]},
            ("states",),
            "x.csv: all bases have state 'a' in column states; 2 to 64 are needed",
        ),
        (
            PerBase(),
            {"states": ["....", ".."]},
            ("states",),
            "x.csv: 0 different states in column states; 2 to 64 are needed",
        ),
        (
            PerBase(),
            {"states": ["abab", 12]},
            ("states",),
            "x.csv, row 3 (the header is row 1): states is a int, not a text of one character per base",
        ),
        (
            PerBase(),
            {"states": ["abab", "abc"]},
            ("states",),
            "x.csv, row 3 (the header is row 1): 3 states for 2 bases; give one character per base, '.' where the state is not known",
        ),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(target: Target, columns: Any, names: Any, words: str) -> None:
    with pytest.raises(DataError) as refused:
        target.read([raw(sequence=["ACGT", "AC"], **columns)], names)
    assert str(refused.value) == words


@pytest.mark.parametrize("n", [2, 64, 65])
def test_up_to_sixty_four_states_are_read(n: int) -> None:
    letters = "".join(chr(300 + k) for k in range(n))
    given = raw(sequence=["A" * n], states=[letters])
    if n <= 64:
        names, (truth,) = PerBase().read([given], ("states",))
        assert (len(names), truth.tolist()) == (n, [list(range(n))])
        return
    with pytest.raises(DataError, match=r"^x.csv: 65 different states in column states; 2 to 64 are needed$"):
        PerBase().read([given], ("states",))


# ------------------------------------------------------------------------------------------------------ scores within groups


def test_pairs_within_groups_are_counted_one_by_one() -> None:
    generator = np.random.default_rng(2)
    truth, names = generator.integers(0, 2, 40), generator.choice(list("abcd"), 40)
    scores = generator.integers(0, 5, 40) / 5  # ties
    outputs = np.stack([1 - scores, scores], axis=1)
    won = pairs = 0.0
    for i in range(40):
        for j in range(40):
            if names[i] == names[j] and truth[i] == 1 and truth[j] == 0:
                pairs += 1
                won += 1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0
    assert auroc_within(truth, outputs, names) == pytest.approx(won / pairs)
    assert auroc_within(truth, outputs, np.arange(40).astype(str)) is None
    assert auroc_within(truth.astype(float), outputs, names) is None
    assert auroc_within(truth[:, None], outputs, names) is None
    assert auroc_within(truth, np.full((40, 3), 1 / 3), names) is None


@pytest.mark.parametrize("weights", ["uniform", "rows"])
def test_groups_have_their_own_scores_and_a_mean_over_those_that_have_one(weights: Any) -> None:
    truth = np.array([0, 1, 1, 1, 0, 0, 1, 1, 1, 1])
    names = np.array(["b"] * 5 + ["a"] * 3 + ["c"] * 2)
    outputs = np.eye(2)[np.array([0, 1, 1, 0, 0, 0, 0, 1, 1, 1])] * 0.8 + 0.1
    found = group_scores(Classes(), truth, outputs, names, np.arange(10), ("accuracy", "auroc"), ("no", "yes"), weights)
    assert list(found.groups) == ["b", "a", "c"]
    assert [one["n"] for one in found.groups.values()] == [5, 3, 2]
    accuracies = [one["accuracy"] for one in found.groups.values()]
    assert accuracies == [pytest.approx(4 / 5), pytest.approx(2 / 3), 1.0]
    areas = [one["auroc"] for one in found.groups.values()]
    assert areas == [pytest.approx(5 / 6), pytest.approx(0.75), None]
    sizes = [5, 3, 2] if weights == "rows" else [1, 1, 1]
    assert found.mean["accuracy"] == pytest.approx(np.average([4 / 5, 2 / 3, 1.0], weights=sizes))
    assert found.mean["auroc"] == pytest.approx(np.average([5 / 6, 0.75], weights=sizes[:2]))
    assert found.pooled["accuracy"] == pytest.approx(0.8)
    ranked = np.average([(s > t) + 0.5 * (s == t) for s in outputs[truth == 1, 1] for t in outputs[truth == 0, 1]])
    assert found.pooled["auroc"] == pytest.approx(ranked)
    assert set(found.groups["a"]["intervals"]) == {"accuracy", "auroc"}


def test_the_rule_of_a_group_is_the_mean_of_its_other_half() -> None:
    truth = np.array([0, 1, 1, 1, 0, 1, 0, 0, 1])
    names = np.array(["a"] * 5 + ["b"] * 3 + ["c"])
    expected, generator = np.full(9, truth.mean()), np.random.default_rng(0)
    for name in ("a", "b", "c"):
        own = np.flatnonzero(names == name)
        half = generator.permutation(len(own)) % 2
        for i, row in enumerate(own):
            other = [truth[own[j]] for j in range(len(own)) if half[j] != half[i]]
            if other:
                expected[row] = np.mean(other)
    found = group_scores(
        Classes(), truth, np.full((9, 2), 0.5), names, np.arange(9), ("log_loss", "auroc"), ("no", "yes")
    )
    pairs = [(p > q) + 0.5 * (p == q) for p in expected[truth == 1] for q in expected[truth == 0]]
    assert found.rule["auroc"] == pytest.approx(np.mean(pairs))
    of_row = np.where(truth == 1, expected, 1 - expected)
    assert found.rule["log_loss"] == pytest.approx(-np.log(np.maximum(of_row, np.finfo(float).eps)).mean())


def test_rows_are_named_by_elements_else_by_the_chromosomes_of_variants() -> None:
    def rows(contig: Any = None, **extra: Any) -> SequenceTable:
        return SequenceTable(
            ["ACGT"] * 3,
            np.zeros(3, np.int64),
            np.arange(3),
            contig=None if contig is None else np.array(contig),
            extra={name: np.array(values) for name, values in extra.items()},
        )

    assert group_names(rows()) is None
    assert group_names(rows(["1", "1", "2"])) is None
    assert group_names(rows(offset=[1, 2, 3])) is None
    assert group_names(rows(["1", "", "2"], offset=[1, 2, 3])) is None
    assert group_names(rows(["1", "1", "2"], offset=[1, 2, 3])).tolist() == ["1", "1", "2"]
    elements = rows(["1", "1", "2"], offset=[1, 2, 3], element=["x", "y", "y"])
    assert group_names(elements).tolist() == ["x", "y", "y"]
    groups, words = related_rows(elements, whole=True)
    assert groups[1] == groups[2]
    alone, plain = related_rows(elements, whole=False)
    assert words == (plain if alone.max() == groups.max() else f"{plain}; or of one group")
