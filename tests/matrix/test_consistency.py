"""A model whose answer for a row depends on the call, on the batch or on padding is refused, in the words of ``check``."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import findna_bench as fb
from findna_bench.models.consistency import check_consistent_embeddings

OPTIONS: dict[str, Any] = {"seeds": 1, "limit": 40}
calls = itertools.count()


def dropout_left_on(x: torch.Tensor) -> torch.Tensor:
    return functional.dropout(x, 0.1, training=True)


def counts_its_calls(x: torch.Tensor) -> torch.Tensor:
    return x * (1 + 0.01 * next(calls))


def statistics_of_the_batch(x: torch.Tensor) -> torch.Tensor:
    return functional.batch_norm(x.transpose(1, 2), None, None, training=True).transpose(1, 2)


def mean_over_the_batch(x: torch.Tensor) -> torch.Tensor:
    return x + 0.01 * x.mean(0, keepdim=True)


def place_in_the_batch(x: torch.Tensor) -> torch.Tensor:
    return x + 0.01 * torch.arange(len(x))[:, None, None]


def padding_is_read(x: torch.Tensor) -> torch.Tensor:
    return x + x.mean(1, keepdim=True)


FAULTS: dict[Callable[[torch.Tensor], torch.Tensor], str] = {
    dropout_left_on: "the same sequences twice give different embeddings",
    counts_its_calls: "the same sequences twice give different embeddings",
    statistics_of_the_batch: "an embedding depends on the other sequences of its batch",
    mean_over_the_batch: "an embedding depends on the other sequences of its batch",
    place_in_the_batch: "an embedding depends on the other sequences of its batch",
    padding_is_read: "an embedding depends on the padding",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("protocol", ["probe", "finetune"])
def test_an_encoder_that_answers_differently_is_an_error_and_no_score(
    fault: Callable[[torch.Tensor], torch.Tensor], protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from findna_plugins.chordmixer import ChordMixer

    forward = ChordMixer.forward

    def faulty(self: Any, batch: Any, **options: Any) -> Any:
        found = forward(self, batch, **options)
        return type(found)(fault(found.tokens), layers=found.layers)

    monkeypatch.setattr(ChordMixer, "forward", faulty)
    result, steady = fb.run(
        ["findna-tiny", "majority"], ["demo/species4"], protocol=protocol, sanity=False, output_dir=tmp_path, **OPTIONS
    )
    assert result.status == "error"
    assert FAULTS[fault] in result.error.message
    assert "findna-bench check" in result.error.message
    assert result.metrics.main.value is None
    assert steady.status == "success"


def random_scores(self: Any, scores: np.ndarray) -> np.ndarray:
    return scores + 0.01 * np.random.default_rng().random(scores.shape)


def ranks_in_the_table(self: Any, scores: np.ndarray) -> np.ndarray:
    return scores * np.linspace(0.5, 1, len(scores))[:, None]


def no_number_for_a_row(self: Any, scores: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(scores))[:, None] == len(scores) - 1, np.nan, scores)


@pytest.mark.parametrize(
    ("model", "method", "place"),
    [
        ("majority", "predict_scores", "findna_baselines.controls.majority.Majority"),
        ("kmer", "transform", "findna_baselines.controls.kmer.KmerFeatures"),
    ],
)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (random_scores, "the same rows twice"),
        (no_number_for_a_row, "NaN or infinity, first for row "),
        (ranks_in_the_table, "depends on the rows that are asked for with it"),
    ],
)
def test_so_is_a_control(
    model: str, method: str, place: str, fault: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from findna_bench.registry import load_factory

    module, _, name = place.rpartition(".")
    asked = getattr(load_factory(f"{module}:{name}", "a control"), method)

    def faulty(self: Any, table: Any) -> Any:
        found = asked(self, table)
        return fault(self, np.asarray(found.todense() if hasattr(found, "todense") else found, dtype=np.float64))

    monkeypatch.setattr(f"{place}.{method}", faulty)
    result = fb.run([model], ["demo/species4"], output_dir=tmp_path, **OPTIONS)[0]
    assert result.status == "error"
    assert words in result.error.message


@pytest.mark.parametrize(
    "name",
    [
        "findna-tiny",
        "findna-tiny@random",
        "hyenadna@random",
        "caduceus-ph-1k-d118@random",
        *(
            pytest.param(f"{n}@random", marks=pytest.mark.long)
            for n in ("caduceus-ps-1k-d118", "findna", "findna-t", "nt-v2-50m", "dnabert-3")
        ),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_models_of_the_house_are_not_refused(name: str, dtype: str) -> None:
    model = fb.load_model(name, device="cpu", dtype=dtype)
    for pooling in (None, "mean", "max"):
        check_consistent_embeddings(model, pooling=pooling)
    for layer in (0, 1):
        check_consistent_embeddings(model, layer=layer)


@pytest.mark.parametrize("model", ["kmer", "trivial", "majority", "nn-overlap", "cnn"])
def test_nor_are_its_controls(model: str, tmp_path: Path) -> None:
    result = fb.run([model], ["demo/human_vs_shuffled"], output_dir=tmp_path, seeds=1, limit=60)[0]
    assert result.status == "success", result.error
