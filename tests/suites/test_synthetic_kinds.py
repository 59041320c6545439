"""Generated tasks of every kind: the best rule scores what the card calls attainable, and nothing that cannot be known is in the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.cards import TaskCard
from findna_bench.registry import load_factory
from findna_bench.targets.target import find_target
from findna_plugins.suites.synthetic_kinds_suite import TASKS
from findna_plugins.synthetic_kinds import generate, ideal_outputs

by_card = pytest.mark.parametrize("card", TASKS, ids=lambda card: card.name)


def score(card: TaskCard, table: fb.SequenceTable, outputs: np.ndarray) -> float:
    target = find_target(card.target)
    target.check(table, card.labels, card.name)
    values, _ = target.evaluate(table.labels, outputs, [card.metric], card.labels, intervals=False)
    assert values[card.metric] is not None
    return values[card.metric]


def attainable(card: TaskCard) -> float:
    return load_factory(str(card.attainable), card.name)(card.config)


@by_card
def test_the_ideal_rule_reaches_what_the_card_calls_attainable(card: TaskCard) -> None:
    config = {**card.config, "rows": {"train": 2, "validation": 2, "test": 3000}, "seed": 7}
    table = generate(config)["test"]
    best = attainable(card)
    assert 0.85 < best < 0.97  # neither hopeless nor trivial
    assert abs(score(card, table, ideal_outputs(config, table)) - best) < 0.015
    assert f"{best:.2f} is attainable" in card.summary


@by_card
def test_a_rule_that_errs_scores_less(card: TaskCard) -> None:
    config = {**card.config, "rows": {"train": 2, "validation": 2, "test": 1000}, "seed": 8}
    table = generate(config)["test"]
    ideal = ideal_outputs(config, table)
    erring = np.concatenate([ideal[:300][::-1], ideal[300:]])
    assert score(card, table, erring) < score(card, table, ideal) - 0.05


@by_card
def test_rows_are_as_the_card_says_and_follow_from_the_seed(card: TaskCard) -> None:
    config: dict[str, Any] = {**card.config, "rows": {"train": 30, "validation": 10, "test": 30}}
    tables, again, other = generate(config), generate(config), generate({**config, "seed": config["seed"] + 1})
    everything = [sequence for table in tables.values() for sequence in table.sequences]
    assert len(set(everything)) == len(everything)
    assert card.length == (200, 200)
    assert {len(sequence) for sequence in everything} == {200}
    for split, table in tables.items():
        assert table.sequences == again[split].sequences != other[split].sequences
        np.testing.assert_array_equal(table.labels, again[split].labels)


def test_each_is_opened_and_checked_by_name() -> None:
    for card in TASKS:
        task = fb.load_task(card.full_name)
        assert task.splits == ("train", "validation", "test")
        assert len(task.load("test")) == 1000
