"""One command has one number on any machine: threads are an option, and what they may change is in the identity."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import findna_bench as fb
from findna_bench.errors import UsageError
from findna_bench.results.store import ResultStore, read_predictions
from findna_bench.threads import compute_threads

FEW: dict[str, Any] = {"seeds": 1, "limit": 100}
"""Enough for a small network to differ after training in another order of sums."""


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(model: str, out: Path, task: str = "demo/species4", **options: Any) -> tuple[fb.Result, np.ndarray]:
    result = fb.run([model], [task], output_dir=out, **options)[0]
    assert result.status == "success", result.error
    path = ResultStore(out).path_of(result).with_suffix(".predictions.parquet")
    return result, read_predictions(path, result.task.labels).scores


def test_the_machines_threads_change_neither_a_network_nor_its_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CNN ended in 47.5 % with one thread and in 51.3 % with two, under one identity."""
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(run("cnn", tmp_path / str(threads), **FEW))
        assert torch.get_num_threads() == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found.append(run("cnn", tmp_path / "process", executor="process", **FEW))
    assert len({result.identity for result, _ in found}) == 1
    assert all(np.array_equal(scores, found[0][1]) for _, scores in found)


def test_another_number_of_threads_is_another_result(tmp_path: Path) -> None:
    one, scores = run("cnn", tmp_path, **FEW)
    two, others = run("cnn", tmp_path, threads=2, **FEW)
    assert not np.array_equal(scores, others)
    assert one.identity != two.identity
    assert (one.threads, two.threads) == (1, 2)
    assert len(list(ResultStore(tmp_path).paths())) == 2
    again, same = run("cnn", tmp_path / "process", threads=2, executor="process", **FEW)
    assert again.identity == two.identity
    assert np.array_equal(same, others)


@pytest.mark.parametrize("model", ["trivial", "majority", "nn-overlap"])
def test_what_threads_do_not_change_is_not_computed_again(model: str, tmp_path: Path) -> None:
    one, scores = run(model, tmp_path / "one", **FEW)
    two, others = run(model, tmp_path / "two", threads=2, **FEW)
    assert np.array_equal(scores, others)
    assert one.identity == two.identity
    assert one.threads is None
    before = {path: path.stat().st_mtime_ns for path in ResultStore(tmp_path / "one").paths()}
    run(model, tmp_path / "one", threads=3, **FEW)
    assert {path: path.stat().st_mtime_ns for path in ResultStore(tmp_path / "one").paths()} == before


def test_vectors_of_other_batches_are_not_taken_from_the_cache(tmp_path: Path) -> None:
    """HyenaDNA's last bits depend on the shape of its batches: the order of two runs must not decide a number."""
    _, fresh = run("hyenadna@random", tmp_path / "a", batch_size=3, seeds=1, limit=60)
    os.environ["FINDNA_BENCH_CACHE_DIR"] += "-other"
    run("hyenadna@random", tmp_path / "b", seeds=1, limit=60)
    _, after = run("hyenadna@random", tmp_path / "c", batch_size=3, seeds=1, limit=60)
    assert np.array_equal(fresh, after)


def test_a_number_of_threads_is_at_least_one(tmp_path: Path) -> None:
    for threads in (0, -1, True, "2", 1.5):
        with pytest.raises(UsageError, match="--threads"):
            fb.run(["majority"], ["demo/species4"], threads=threads, output_dir=tmp_path)


def test_libraries_loaded_under_a_limit_keep_to_it_and_are_let_go_of_afterwards() -> None:
    code = """
import os
from findna_bench.threads import compute_threads
with compute_threads(1):
    import torch, numpy, scipy.linalg, sklearn.ensemble, threadpoolctl
    pools = lambda: {torch.get_num_threads(), *(pool["num_threads"] for pool in threadpoolctl.threadpool_info())}
    inside = pools()
    with compute_threads(3):
        more = torch.get_num_threads()
    again = pools()
print(inside, more, again, torch.get_num_threads(), os.environ["OMP_NUM_THREADS"], "MKL_NUM_THREADS" in os.environ)
"""
    environment = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    environment["OMP_NUM_THREADS"] = "2"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{1} 3 {1} 2 2 False"


def test_an_error_inside_lets_go_of_the_limit_too() -> None:
    torch.set_num_threads(2)
    seen = []
    with contextlib.suppress(ZeroDivisionError), compute_threads(1):
        seen.append(torch.get_num_threads())
        raise ZeroDivisionError
    assert seen == [1]
    assert torch.get_num_threads() == 2
