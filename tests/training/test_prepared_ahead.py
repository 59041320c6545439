"""Beside a GPU the next item is prepared while the one before is used: same order, errors in their place, no thread left."""

from __future__ import annotations

import threading

import pytest
import torch

from findna_bench.training.loop import prepared_ahead

GPU = torch.device("cuda")
"""Only its name is looked at."""


def test_the_next_item_is_prepared_while_one_is_used_and_no_further() -> None:
    begun: list[int] = []
    second = threading.Event()

    def prepare(item: int) -> int:
        begun.append(item)
        if item == 1:
            second.set()
        return item * 10

    items = prepared_ahead(prepare, range(5), GPU)
    assert next(items) == 0
    assert second.wait(10)
    assert begun == [0, 1]
    assert list(items) == [10, 20, 30, 40]
    assert list(prepared_ahead(prepare, range(3), torch.device("cpu"))) == [0, 10, 20]


def test_an_error_comes_at_its_item_and_the_thread_ends_with_it_or_with_the_consumer() -> None:
    def prepare(item: int) -> int:
        if item == 2:
            raise ValueError("no such base")
        return item

    before = threading.active_count()
    items = prepared_ahead(prepare, range(5), GPU)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(ValueError, match="no such base"):
        next(items)
    left = prepared_ahead(prepare, range(5), GPU)
    assert next(left) == 0
    left.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
