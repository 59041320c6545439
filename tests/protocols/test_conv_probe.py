"""The convolutional head on frozen vectors of bases, against a plain loop in PyTorch that holds everything in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from findna_bench.models.base_vectors import BaseVectors
from findna_bench.protocols import conv_probe
from findna_bench.protocols.base_encoder import ConvHead
from findna_bench.protocols.conv_probe import ConvBaseHead, fit_conv_probe
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import ConvProbe
from findna_bench.statistics.base_states import NO_STATE

N, D, C, WIDTH = 24, 5, 3, 30
TRAIN, HELD = np.arange(16), np.arange(16, N)
PRESET = ConvProbe(channels=8, batch_size=6, epochs=4, lr=0.02, patience=9)


@dataclass(frozen=True)
class InMemory:
    """Stands for the file of vectors."""

    vectors: np.ndarray

    @property
    def dim(self) -> int:
        return self.vectors.shape[1]

    def read(self, first: int, count: int) -> np.ndarray:
        return self.vectors[first : first + count]


@pytest.fixture
def rows() -> tuple[BaseVectors, np.ndarray]:
    """Sequences of several lengths, some bases of which were not read, some of which do not count; states follow from the base before."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(12, WIDTH + 1, N)
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    vectors = generator.normal(size=(int(lengths.sum()), D)).astype(np.float32) * [1, 10, 0.1, 3, 1] + 4
    read = generator.random(len(vectors)) > 0.1
    vectors[~read] = 0
    truth = np.full((N, WIDTH), NO_STATE, dtype=np.uint8)
    for i, (start, length) in enumerate(zip(first.tolist(), lengths.tolist(), strict=True)):
        before = np.roll(vectors[start : start + length, 1], 1)
        truth[i, :length] = np.digitize(before, [0, 8])
        truth[i, generator.integers(0, length, 2)] = NO_STATE
    files: Any = (InMemory(vectors.astype(np.float32)),)
    none = np.zeros(N, dtype=bool)
    return BaseVectors(
        files, np.zeros(N, np.int64), first.astype(np.int64), lengths.astype(np.int64), (read,), none, WIDTH
    ), truth


def plain_loop(features: BaseVectors, truth: np.ndarray, seed: int) -> tuple[list[float], np.ndarray]:
    """(validation loss of each epoch, probabilities of the best one for all rows)."""
    vectors, read = np.zeros((N, WIDTH, D), np.float32), np.zeros((N, WIDTH), bool)
    for i, length in enumerate(features.lengths.tolist()):
        vectors[i, :length], read[i, :length] = features.of_sequence(i)
    counts = truth != NO_STATE
    known = vectors[TRAIN][(read & counts)[TRAIN]].astype(np.float64)
    inputs = torch.from_numpy(np.where(read[..., None], (vectors - known.mean(0)) / known.std(0), 0).astype(np.float32))
    prior = torch.from_numpy(
        np.log(np.bincount(truth[TRAIN][counts[TRAIN]], minlength=C) / counts[TRAIN].sum())
    ).float()
    states, was_read = torch.from_numpy(truth.astype(np.int64)), torch.from_numpy(read)
    net = ConvHead(D, C, torch.Generator().manual_seed(seed), channels=PRESET.channels, kernel=PRESET.kernel)

    def logits(which: np.ndarray) -> torch.Tensor:
        return torch.where(was_read[which][..., None], net(inputs[which], was_read[which]), prior)

    def mean_loss(which: np.ndarray) -> torch.Tensor:
        return functional.cross_entropy(logits(which).flatten(0, 1), states[which].flatten(), ignore_index=NO_STATE)

    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors_alone = [p for p in net.parameters() if p.ndim == 1]
    optimiser = torch.optim.AdamW(
        [{"params": vectors_alone, "weight_decay": 0.0}, {"params": matrices, "weight_decay": PRESET.weight_decay}],
        lr=PRESET.lr,
    )
    in_epoch = math.ceil(len(TRAIN) / PRESET.batch_size)
    steps, step = in_epoch * PRESET.epochs, 0
    warm = round(PRESET.warmup * steps)
    losses: list[float] = []
    best = np.zeros(0)
    for epoch in range(PRESET.epochs):
        order = np.random.default_rng([seed, epoch]).permutation(TRAIN)
        for start in range(0, len(order), PRESET.batch_size):
            factor = step / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))
            for group in optimiser.param_groups:
                group["lr"] = PRESET.lr * factor
            optimiser.zero_grad()
            mean_loss(order[start : start + PRESET.batch_size]).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            step += 1
        with torch.inference_mode():
            losses.append(float(mean_loss(HELD)))
            if losses[-1] == min(losses):
                best = torch.softmax(logits(np.arange(N)), -1).numpy()
    return losses, best


@pytest.mark.parametrize("at_once", [1, 400, 10**6])
def test_the_head_is_that_of_a_plain_loop_however_little_is_in_memory(
    rows: tuple[BaseVectors, np.ndarray], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, truth = rows
    monkeypatch.setattr(conv_probe, "_BLOCK_VALUES", at_once)
    losses, expected = plain_loop(features, truth, seed=3)
    (head,) = fit_conv_probe(features, truth, [SeedSplit(3, TRAIN, HELD)], C, PRESET)
    assert isinstance(head, ConvBaseHead)
    assert [row["loss"] for row in head.validation["path"]] == pytest.approx(losses, rel=1e-4)
    assert head.settings["epoch"] == int(np.argmin(losses)) + 1
    assert losses[-1] < losses[0]
    inside = np.arange(WIDTH) < features.lengths[:, None]
    found = head.predict_scores(features).astype(np.float64)
    assert np.abs(found - expected)[inside].max() < 2e-3
    assert not found[~inside].any()
