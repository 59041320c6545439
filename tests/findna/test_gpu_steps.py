"""The benchmark of steps on a GPU, as far as a CPU can tell: it runs, and all variants compute the authors' loss."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from findna_plugins import chordmixer

PATH = Path(__file__).parents[2] / "benchmarks" / "gpu_steps.py"
WORDS = ["--device", "cpu", "--small", "--steps", "1", "--warm-up", "0"]


@pytest.fixture
def benchmark(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("benchmarks/gpu_steps.py")


def test_every_case_is_timed_beside_the_authors_formulation(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark.main(WORDS)
    out = capsys.readouterr().out
    assert "say nothing about a GPU" in out
    assert len(re.findall(r"^  (authors|speed|memory) +[\d.]+ ms", out, re.M)) == 9
    assert "goal" not in out
    assert "NOT RUN ON A GPU" in benchmark.__doc__


def test_a_variant_with_another_loss_is_not_timed(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chordmixer, "gather_rotated", lambda y, index, inverse: y)
    with pytest.raises(AssertionError, match=r"speed: loss"):
        benchmark.main([*WORDS, "--case", "pretraining"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(benchmark: ModuleType) -> None:
    with pytest.raises(SystemExit):
        benchmark.main([])
