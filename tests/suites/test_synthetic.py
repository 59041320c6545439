"""Generated tasks: their likelihood ratios are exact, so the accuracy that cards call best attainable is just that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from findna_bench.cards import TaskCard
from findna_bench.registry import load_factory
from findna_bench.sequences.alphabet import reverse_complement
from findna_plugins.suites.synthetic_suite import TASKS
from findna_plugins.synthetic import bayes_posterior, generate

CARDS = {card.name: card for card in TASKS}
by_card = pytest.mark.parametrize("card", TASKS, ids=CARDS)

# Small enough that every possible sequence of six bases turns up often.
SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "one motif": ("planted-motif", {"motif": "GAT", "conservation": 0.8}),
    "either strand": ("planted-motif", {"motif": "GAT", "conservation": 0.8, "both_strands": True}),
    "order": (
        "motif-pair",
        {"first": "GA", "second": "CT", "conservation": 0.8, "swapped": (False, True), "distances": ((2, 3), (2, 4))},
    ),
    "distance": (
        "motif-pair",
        {"first": "GA", "second": "CT", "conservation": 0.7, "swapped": (False, False), "distances": ((2,), (3, 4))},
    ),
    "composition": ("gc-content", {"gc": (0.4, 0.7)}),
}


def small_config(process: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    rows = {"train": 60_000, "validation": 2, "test": 2}
    return {"process": process, "settings": {"length": 6, **settings}, "rows": rows, "seed": 1}


def bayes_accuracy(card: TaskCard, split: str, seed: int) -> tuple[float, int]:
    table = generate({**card.config, "seed": seed})[split]
    posterior = bayes_posterior(card.config, table.sequences)
    return float(((posterior > 0.5) == table.labels).mean()), len(table)


@pytest.mark.parametrize(("process", "settings"), SMALL.values(), ids=SMALL)
def test_the_posterior_of_every_possible_sequence_is_its_frequency(process: str, settings: dict[str, Any]) -> None:
    config = small_config(process, settings)
    table = generate(config)["train"]
    cells, where = np.unique(np.array(table.sequences), return_inverse=True)
    posterior = bayes_posterior(config, cells.tolist())
    n, n_ones = np.bincount(where), np.bincount(where, weights=table.labels)
    often = n >= 10
    deviation = (n_ones - n * posterior)[often] ** 2 / (n * posterior * (1 - posterior))[often]
    assert often.sum() > 500
    assert chi2.sf(deviation.sum(), often.sum()) > 1e-3
    # and what is said to be attainable is the mean of the larger posterior over all sequences
    expected = float(np.maximum(posterior, 1 - posterior)[where].mean())
    attainable = load_factory("findna_plugins.synthetic:best_attainable", "test")(config)
    assert abs(attainable - expected) < 0.003


@by_card
def test_the_bayes_rule_scores_what_the_card_calls_best_attainable(card: TaskCard) -> None:
    assert card.attainable is not None
    attainable = load_factory(card.attainable, card.name)(card.config)
    assert 0.85 < attainable < 0.999  # neither hopeless nor trivial
    split = "test" if card.name == "distant_motifs" else "train"
    accuracy, n = bayes_accuracy(card, split, card.config["seed"])
    assert abs(accuracy - attainable) < 4 * np.sqrt(attainable * (1 - attainable) / n) + 0.002


@by_card
def test_rows_are_as_the_card_says_and_follow_from_the_seed(card: TaskCard) -> None:
    config = {**card.config, "rows": {"train": 40, "validation": 20, "test": 40}}
    tables = generate(config)
    again, other = generate(config), generate({**config, "seed": config["seed"] + 1})
    for split, table in tables.items():
        assert table.sequences == again[split].sequences
        assert table.sequences != other[split].sequences
        assert table.class_counts(2).tolist() == [config["rows"][split] // 2] * 2
        assert {len(s) for s in table.sequences} == {card.length[0]} if card.length else True
    everything = [s for table in tables.values() for s in table.sequences]
    assert len(set(everything)) == len(everything)


@by_card
def test_a_task_called_strand_agnostic_is_so(card: TaskCard) -> None:
    sequences = generate({**card.config, "rows": {"train": 40, "validation": 2, "test": 2}})["train"].sequences
    forward = bayes_posterior(card.config, sequences)
    reverse = bayes_posterior(card.config, [reverse_complement(s) for s in sequences])
    assert np.allclose(forward, reverse) == (card.strand == "agnostic")


def word_accuracy(card: TaskCard, k: int) -> float:
    tables = generate(card.config)
    counter = CountVectorizer(analyzer="char", ngram_range=(k, k), lowercase=False)
    train, test = counter.fit_transform(tables["train"].sequences), counter.transform(tables["test"].sequences)
    model = LogisticRegression(C=0.03, max_iter=300).fit(train, tables["train"].labels)
    return float(model.score(test, tables["test"].labels))


@pytest.mark.parametrize("name", ["motif_order", "spacing"])
def test_counts_of_words_do_not_solve_order_and_distance(name: str) -> None:
    card = CARDS[name]
    standard_error = np.sqrt(0.25 / card.config["rows"]["test"])
    assert abs(word_accuracy(card, 4) - 0.5) < 4 * standard_error


def test_base_counts_reach_the_best_attainable_on_composition() -> None:
    card = CARDS["gc_content"]
    attainable = load_factory(str(card.attainable), card.name)(card.config)
    assert word_accuracy(card, 1) > attainable - 0.02
