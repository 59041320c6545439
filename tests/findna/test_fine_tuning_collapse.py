"""The measures of `benchmarks/fine_tuning_collapse.py` on cases whose answer is known; the experiment itself takes minutes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from findna_bench.data.table import SequenceTable

PATH = Path(__file__).parents[2] / "benchmarks" / "fine_tuning_collapse.py"


@pytest.fixture
def benchmark(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("benchmarks/fine_tuning_collapse.py")


def test_effective_rank_counts_the_directions_in_which_vectors_differ(benchmark: ModuleType) -> None:
    corners = torch.cat([torch.eye(8), -torch.eye(8)]) + 5  # a common offset is none
    assert benchmark.effective_rank(corners) == pytest.approx(8)
    assert benchmark.effective_rank(corners * torch.tensor([1.0] + [1e-9] * 7)) == pytest.approx(1)


def test_order_distance_is_nothing_for_what_does_not_see_the_order(benchmark: ModuleType) -> None:
    labels, group = np.array([0, 1, 1, 0]), np.array(["a", "b", "a", "b"])
    table = SequenceTable(["ACGT"] * 4, labels, np.arange(4), group=group)
    composition = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])  # the same in both rows of a window
    assert benchmark.order_distance(composition, table) == 0
    moved = composition + 0.1 * labels[:, None] * np.array([1.0, -1.0])
    assert benchmark.order_distance(moved, table) == pytest.approx(0.1, rel=0.2)


def test_the_page_holds_what_was_measured_and_nothing_else(benchmark: ModuleType) -> None:
    record = {
        "cross-entropy": 1.25,
        "accuracy": 0.4,
        "effective rank": 12.0,
        "pooled deviation": 0.5,
        "order distance": 0.0712,
        "probe": 0.68,
    }
    text = benchmark.page({"begun/symmetric": record})
    assert "| symmetric " in text
    assert "7.12" in text
    assert "trained on with" not in text
