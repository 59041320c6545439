"""What cards say of the rows of public tasks is what the published files hold."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import pytest

from findna_bench.cards import TaskCard
from findna_bench.registry import get_registry

pytestmark = pytest.mark.shared
SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def cards(suite: str) -> list[TaskCard]:
    return [card for card in get_registry().cards("tasks") if card.suite == suite]


@pytest.mark.parametrize("card", cards("genomic_benchmarks"), ids=lambda card: str(card.name))
def test_of_genomic_benchmarks(card: TaskCard, shared: Path) -> None:
    folder = shared / "data" / "genomic_benchmarks" / "intervals" / card.name
    found: dict[str, dict[str, int]] = {}
    for path in folder.glob("*/*.csv.gz"):
        with gzip.open(path, "rb") as file:
            found.setdefault(path.parent.name, {})[path.name.removesuffix(".csv.gz")] = sum(1 for _ in file) - 1
    assert card.counts == found


def test_of_gue(shared: Path) -> None:
    root, compared = shared / "data" / "gue" / "GUE", 0
    for card in cards("gue"):
        for name, split in SPLITS.items():
            path = next((p for alias in card.aliases if (p := root / alias / f"{name}.csv").is_file()), None)
            if path is None:  # not at hand, or a part of it only
                continue
            with path.open(newline="") as file:
                labels = Counter(row["label"] for row in csv.DictReader(file))
            assert card.config["rows"][split] == labels.total(), (card.name, split)
            if split in card.counts:
                assert card.counts[split] == labels, (card.name, split)
            compared += 1
    assert compared >= 40
