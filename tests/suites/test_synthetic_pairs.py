"""Generated pairs: what the best rule reaches, what no side says, and a distance that gives the label away."""

from __future__ import annotations

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.registry import get_registry, load_factory


@pytest.mark.parametrize("name", ["shared_motif", "shared_motif_distance"])
def test_the_best_rule_reaches_what_the_card_says_and_one_side_half(name: str) -> None:
    task = fb.load_task(f"synthetic-pairs/{name}")
    card = task.card
    attainable = load_factory(card.attainable or "", name)(card.config)
    assert 0.9 < attainable < 1
    test = task.load("test")
    assert test.sequences_b is not None
    assert task.counts == {split: dict(classes) for split, classes in card.counts.items()}
    motifs = card.config["motifs"]

    def nearest(sequence: str) -> int:
        """Which motif the best window of a sequence is like: nearly the best rule."""
        return int(
            np.argmax(
                [
                    max(sum(x == y for x, y in zip(sequence[i : i + 10], m, strict=True)) for i in range(91))
                    for m in motifs
                ]
            )
        )

    rows = range(0, 1000, 2)
    a, b = ([nearest(side[i]) for i in rows] for side in (test.sequences, test.sequences_b))
    right = np.mean([(x == y) == label for x, y, label in zip(a, b, test.labels[::2], strict=True)])
    assert right == pytest.approx(attainable, abs=0.03)
    assert np.mean(np.array(a) == test.labels[::2]) == pytest.approx(0.5, abs=0.07)
    near = test.extra["distance"] < 20_000
    assert np.mean(near == test.labels) == pytest.approx(0.8 if name.endswith("distance") else 0.5, abs=0.05)
    assert len(set(test.extra["element"].tolist())) == 5


def test_the_suite_is_listed() -> None:
    assert [entry.card.tasks for entry in get_registry().entries("suites") if entry.card.name == "synthetic-pairs"] == [
        ("synthetic-pairs/shared_motif", "synthetic-pairs/shared_motif_distance")
    ]
