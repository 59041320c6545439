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
    lengths: set[int] = set()
    for path in folder.glob("*/*.csv.gz"):
        with gzip.open(path, "rt", newline="") as file:
            bases = [int(row["end"]) - int(row["start"]) for row in csv.DictReader(file)]
        found.setdefault(path.parent.name, {})[path.name.removesuffix(".csv.gz")] = len(bases)
        lengths.update(bases)
    assert card.counts == found
    assert card.length == (min(lengths), max(lengths))


def test_of_gue(shared: Path) -> None:
    root, compared = shared / "data" / "gue" / "GUE", 0
    lengths: dict[str, set[int]] = {}
    for card in cards("gue"):
        for name, split in SPLITS.items():
            path = next((p for alias in card.aliases if (p := root / alias / f"{name}.csv").is_file()), None)
            if path is None:  # not at hand, or a part of it only
                continue
            with path.open(newline="") as file:
                rows = list(csv.DictReader(file))
            labels = Counter(row["label"] for row in rows)
            lengths.setdefault(card.name, set()).update(len(row["sequence"]) for row in rows)
            assert card.config["rows"][split] == labels.total(), (card.name, split)
            if split in card.counts:
                assert card.counts[split] == labels, (card.name, split)
            compared += 1
    assert compared >= 40
    cut = {
        name for name in lengths if name.startswith("emp_")
    }  # some of these ten have genes at an end of a chromosome
    for card in (card for card in cards("gue") if card.name in lengths):
        of_group = set().union(*(lengths[name] for name in cut)) if card.name in cut else lengths[card.name]
        assert card.length == (min(of_group), max(of_group)), card.name
