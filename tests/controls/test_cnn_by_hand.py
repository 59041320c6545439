"""The convolutional controls, layer by layer against plain torch, and their training against a loop written out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from findna_baselines.controls import cnn
from findna_baselines.controls.cnn import ConvolutionalClassifier, DeepSea, SmallCnn
from findna_bench.api import SequenceTable

PAD = 5


def dna(n: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGTN"), size=n, p=[0.24, 0.24, 0.24, 0.24, 0.04]))


def rows(n: int, seed: int, lengths: tuple[int, int] = (30, 70)) -> SequenceTable:
    generator = np.random.default_rng(seed)
    sequences = [dna(int(generator.integers(*lengths)), 1000 * seed + i) for i in range(n)]
    return SequenceTable(sequences, np.array([s.count("A") % 2 for s in sequences]), np.arange(n))


def codes_of(sequences: list[str], width: int) -> Tensor:
    padded = [["ACGTN".index(base) for base in s[:width]] + [PAD] * (width - len(s)) for s in sequences]
    return torch.tensor(padded, dtype=torch.uint8)


def randomised(model: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


@pytest.mark.parametrize("length", [64, 71])
def test_the_small_network_is_three_convolutions_on_an_embedding_then_two_layers(length: int) -> None:
    model = randomised(SmallCnn(length, 3)).train()
    assert isinstance(model, SmallCnn)
    assert model.dropout.p == 0.3
    model.dropout.p = 0.0
    codes = codes_of([dna(n, n) for n in (20, 50, length, 5)], length)
    x = model.embedding.T[codes.long()].mT
    for number, convolution in enumerate((model.first, model.second, model.third)):
        x = nn.functional.conv1d(nn.functional.pad(x, (3, 4)), convolution.weight, convolution.bias)
        mean, variance = x.mean((0, 2), keepdim=True), x.var((0, 2), unbiased=False, keepdim=True)
        scale, shift = (getattr(model.norms[number], name)[:, None] for name in ("weight", "bias"))
        x = ((x - mean) / torch.sqrt(variance + 1e-5) * scale + shift).clamp(min=0)
        x = x[..., : x.shape[2] // 2 * 2].unflatten(2, (-1, 2)).amax(-1)
    assert x.shape == (4, 4, length // 8)
    hidden = (x.flatten(1) @ model.hidden.weight.T + model.hidden.bias).clamp(min=0)
    expected = hidden @ model.out.weight.T + model.out.bias
    torch.testing.assert_close(model(codes), expected, atol=1e-5, rtol=1e-4)


def test_deepsea_pools_by_four_twice_and_takes_mean_and_maximum_of_what_is_no_padding() -> None:
    model = randomised(DeepSea(200, 3, channels=(5, 6, 7), hidden=11)).eval()
    assert isinstance(model, DeepSea)
    assert [dropout.p for dropout in model.dropouts] == [0.2, 0.2, 0.5]  # type: ignore[union-attr]
    sequences = [dna(n, n) for n in (1, 16, 17, 63, 64, 90)]
    codes = codes_of(sequences, 90)
    expected = []
    for own in codes:
        known = (own < 4).float()
        x = torch.stack([(own == base).float() for base in range(4)]) * known
        real = (own != PAD).float()
        for number, convolution in enumerate(model.convolutions):
            padded = nn.functional.pad(x, (3, 4))
            x = nn.functional.conv1d(padded[None], convolution.weight, convolution.bias)[0].clamp(min=0)  # type: ignore[arg-type]
            if number < 2:
                x, real = (torch.stack([part.amax(-1) for part in t.split(4, dim=-1)], dim=-1) for t in (x, real))
        there = x[:, real > 0]
        summary = torch.cat([there.mean(1), there.amax(1)])
        hidden = (model.hidden.weight @ summary + model.hidden.bias).clamp(min=0)
        expected.append(model.out.weight @ hidden + model.out.bias)
    torch.testing.assert_close(model(codes), torch.stack(expected), atol=1e-5, rtol=1e-4)
    with torch.device("meta"):
        whole = DeepSea(1000, 2)
    assert (whole.hidden.in_features, whole.hidden.out_features) == (2 * 960, 925)


def by_loop(
    settings: dict[str, Any], rate: float, seed: int, train: SequenceTable, held: SequenceTable, width: int
) -> tuple[Any, list[float]]:
    """AdamW on shuffled batches, stopped when the loss on held-out rows has not fallen for as many epochs as patience says."""
    torch.manual_seed(seed)
    model = SmallCnn(width, 2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=settings["weight_decay"])
    codes, labels = codes_of(train.sequences, width), torch.from_numpy(train.labels)
    losses: list[float] = []
    kept: Any = None
    while len(losses) < settings["epochs"]:
        model.train()
        order = torch.randperm(len(codes))
        for start in range(0, len(order), settings["batch_size"]):
            some = order[start : start + settings["batch_size"]]
            if len(some) == 1:
                continue
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(codes[some]), labels[some]).backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            found = model(codes_of(held.sequences, width))
        losses.append(float(nn.functional.cross_entropy(found, torch.from_numpy(held.labels))))
        if losses[-1] == min(losses):
            kept = {name: value.clone() for name, value in model.state_dict().items()}
        if len(losses) - 1 - losses.index(min(losses)) >= settings["patience"]:
            break
    model.load_state_dict(kept)
    return model.eval(), losses


@pytest.mark.parametrize("patience", [1, 3])
def test_training_is_a_plain_loop_with_the_best_rate_and_the_best_epoch(
    patience: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"epochs": 8, "patience": patience, "batch_size": 8, "weight_decay": 0.3}
    train, held, test = rows(33, 1), rows(20, 2), rows(9, 3, (20, 90))
    rates = (1e-2, 3e-3)
    control = ConvolutionalClassifier(learning_rates=rates, device="cpu", **settings)  # type: ignore[arg-type]
    monkeypatch.setattr(cnn, "_PREDICTED_BASES", 200)
    state = torch.get_rng_state()
    control.fit(train, held, 5, 2)
    assert torch.equal(torch.get_rng_state(), state)
    width = max(len(s) for s in train.sequences)
    assert width > 64
    tried = [by_loop(settings, rate, 5, train, held, width) for rate in rates]
    best = min(range(2), key=lambda i: min(tried[i][1]))
    model, losses = tried[best]
    trials = [
        {
            "learning_rate": rate,
            "epoch": found.index(min(found)) + 1,
            "loss": pytest.approx(min(found), abs=1e-5),
            "losses": pytest.approx(found, abs=1e-5),
        }
        for rate, (_, found) in zip(rates, tried, strict=True)
    ]
    assert control.settings == {
        "network": "small",
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "length": width,
        "batch_size": 8,
        "max_epochs": 8,
        "patience": patience,
        "weight_decay": 0.3,
        "learning_rate": rates[best],
        "epoch": losses.index(min(losses)) + 1,
        "trials": trials,
    }
    with torch.no_grad():
        expected = model(codes_of(test.sequences, width)).softmax(1).numpy()
    np.testing.assert_allclose(control.predict_scores(test), expected, atol=1e-5)


def test_short_rows_are_padded_to_64_bases_and_a_rate_that_diverges_is_not_chosen() -> None:
    train = rows(16, 1, (5, 9))
    control = ConvolutionalClassifier(epochs=1, device="cpu").fit(train, train, 0, 2)
    assert control.settings["length"] == 64
    assert math.isfinite(control.settings["trials"][0]["loss"])
    wild = ConvolutionalClassifier(learning_rates=(1e30, 1e-3), epochs=2, patience=2, device="cpu").fit(
        train, train, 0, 2
    )
    assert wild.settings["learning_rate"] == 1e-3
    assert wild.settings["trials"][0]["epoch"] == 0
