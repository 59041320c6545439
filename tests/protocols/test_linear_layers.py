"""The probe by AdamW: a loop of plain PyTorch gives the same layer, loss of every epoch, and choice of an epoch."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.metrics import accuracy_score, log_loss
from torch.nn import functional

from findna_bench.errors import NotFiniteError
from findna_bench.protocols.adamw import LinearLayer, fit_linear_layers
from findna_bench.protocols.heads import FittedHead, LinearHead, fit_probe
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import AdamWProbe, preset_settings

N, D, C = 53, 4, 3
PRESET = AdamWProbe(lr=0.05, weight_decay=0.2, batch_size=10, epochs=4, warmup=0.25)


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    """Channels on several scales, one of which is constant; labels that the first two tell."""
    generator = np.random.default_rng(4)
    x = generator.normal(size=(N, D)) * [1.0, 3.0, 0.5, 0.0] + [0.5, -1.0, 0.0, 2.0]
    labels = np.digitize(x[:, 0] + x[:, 1] / 3 + 0.3 * generator.normal(size=N), [-0.4, 0.6])
    return x.astype(np.float32), labels.astype(np.int64)


SPLITS = [
    SeedSplit(5, np.arange(0, 36), np.arange(36, N)),  # four steps per epoch, the last one of six rows
    SeedSplit(1, np.arange(20, 53), np.arange(0, 20)),  # four, the last one of three
    SeedSplit(2, np.arange(0, 11), np.arange(30, 45)),  # two, the last one of a single row
]


def plain_loop(
    x: np.ndarray, labels: np.ndarray, split: SeedSplit, preset: AdamWProbe
) -> tuple[list[np.ndarray], list[np.ndarray], list[float]]:
    """Weights (C, D) and biases (C,) in the units of the features, and validation losses, after each epoch."""
    own = x[split.train].astype(np.float64)
    mean, scale = own.mean(0), own.std(0)
    scale[scale == 0] = 1.0
    if not preset.standardise:
        mean, scale = np.zeros(D), np.ones(D)
    inputs, truth = torch.from_numpy((x - mean) / scale), torch.from_numpy(labels)
    generator = torch.Generator().manual_seed(split.seed)
    drawn = ((torch.rand(C, D + 1, generator=generator) * 2 - 1) / math.sqrt(D)).double()
    weight, bias = drawn[:, :-1].clone().requires_grad_(), drawn[:, -1].clone().requires_grad_()
    optimiser = torch.optim.AdamW(
        [weight, bias], lr=1.0, weight_decay=preset.weight_decay, betas=(0.9, 0.999), eps=1e-8
    )
    rows = torch.from_numpy(split.train)
    total = math.ceil(len(rows) / preset.batch_size) * preset.epochs
    warm, step = round(preset.warmup * total), 0
    weights, biases, losses = [], [], []
    for _ in range(preset.epochs):
        order = rows[torch.randperm(len(rows), generator=generator)]
        for batch in order.split(preset.batch_size):
            factor = step / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm)))
            optimiser.param_groups[0]["lr"] = preset.lr * factor
            optimiser.zero_grad()
            functional.cross_entropy(inputs[batch] @ weight.T + bias, truth[batch]).backward()
            optimiser.step()
            step += 1
        w, b = weight.detach().numpy().copy(), bias.detach().numpy().copy()
        weights.append(w / scale)
        biases.append(b - (w / scale) @ mean)
        logits = inputs[split.validation] @ weight.T + bias
        losses.append(float(functional.cross_entropy(logits, truth[split.validation]).detach()))
    return weights, biases, losses


def assert_layer(layer: LinearLayer | LinearHead, weight: np.ndarray, bias: np.ndarray) -> None:
    assert (layer.weight.dtype, layer.bias.dtype) == (np.float64, np.float64)
    np.testing.assert_allclose(layer.weight, weight, atol=2e-5)
    np.testing.assert_allclose(layer.bias, bias, atol=1e-4)


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("select", ["validation", "last"])
def test_layers_of_unequal_seeds_are_those_of_plain_loops(
    data: tuple[np.ndarray, np.ndarray], standardise: bool, select: str
) -> None:
    preset = replace(PRESET, standardise=standardise, select=select)
    layers = fit_linear_layers(*data, SPLITS, C, preset)
    assert len(layers) == len(SPLITS)
    for layer, split in zip(layers, SPLITS, strict=True):
        weights, biases, losses = plain_loop(*data, split, preset)
        assert layer.losses == pytest.approx(losses, abs=2e-5)
        epoch = int(np.argmin(losses)) + 1 if select == "validation" else PRESET.epochs
        assert layer.epoch == epoch
        assert_layer(layer, weights[epoch - 1], biases[epoch - 1])


def test_an_epoch_that_is_asked_for_is_the_one_that_is_kept(data: tuple[np.ndarray, np.ndarray]) -> None:
    layers = fit_linear_layers(*data, SPLITS, C, PRESET, epochs=[1, None, 3])
    for layer, split, wanted in zip(layers, SPLITS, (1, None, 3), strict=True):
        weights, biases, losses = plain_loop(*data, split, PRESET)
        epoch = wanted or int(np.argmin(losses)) + 1
        assert layer.epoch == epoch
        assert_layer(layer, weights[epoch - 1], biases[epoch - 1])


def test_without_validation_rows_the_last_epoch_is_kept_as_it_is(data: tuple[np.ndarray, np.ndarray]) -> None:
    split = replace(SPLITS[0], validation=np.arange(0))
    (layer,) = fit_linear_layers(*data, [split], C, replace(PRESET, select="last"))
    weights, biases, _ = plain_loop(*data, SPLITS[0], PRESET)
    assert layer.epoch == 4
    assert_layer(layer, weights[-1], biases[-1])


@pytest.mark.parametrize("standardise", [False, True])
def test_the_head_tells_its_epochs_and_its_scores(data: tuple[np.ndarray, np.ndarray], standardise: bool) -> None:
    x, labels = data
    preset = replace(PRESET, standardise=standardise)
    heads = fit_probe(x, labels, SPLITS, C, preset)
    of_csr = fit_probe(sparse.csr_matrix(x), labels, SPLITS, C, preset)
    for head, same, split in zip(heads, of_csr, SPLITS, strict=True):
        weights, biases, losses = plain_loop(x, labels, split, preset)
        epoch = int(np.argmin(losses)) + 1
        assert head.settings == {
            **preset_settings(preset),
            "epoch": epoch,
            "channels": D,
            "train_rows": len(split.train),
        }
        said = ["the last epoch (4) has the lowest validation loss"] if epoch == 4 else []
        assert head.warnings == said
        assert (head.seed, head.varies) == (split.seed, ("rows", "head initialisation", "row order"))
        expected = torch.softmax(torch.from_numpy(x @ weights[epoch - 1].T + biases[epoch - 1]), 1).numpy()
        np.testing.assert_allclose(head.predict_scores(x), expected, atol=1e-5)
        np.testing.assert_allclose(same.predict_scores(x), expected, atol=1e-5)
        held = split.validation
        assert head.validation["rows"] == len(held)
        assert head.validation["loss"] == pytest.approx(
            log_loss(labels[held], expected[held], labels=range(C)), abs=1e-5
        )
        assert head.validation["accuracy"] == accuracy_score(labels[held], expected[held].argmax(1))
        assert [step["epoch"] for step in head.validation["path"]] == [1, 2, 3, 4]
        assert [step["loss"] for step in head.validation["path"]] == pytest.approx(losses, abs=2e-5)


def folded(seed: int, rows: np.ndarray, n: int) -> SeedSplit:
    """Rows within which every n-th one is held out in turn."""
    held = [rows[k::n] for k in range(n)]
    return SeedSplit(seed, rows, rows[:0], tuple((np.setdiff1d(rows, own), own) for own in held))


def test_folds_choose_one_epoch_together_and_all_rows_are_trained_up_to_it(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, labels = data
    splits = [folded(3, np.arange(0, 41), 2), folded(8, np.arange(12, 53), 3)]
    for head, split in zip(fit_probe(x, labels, splits, C, PRESET), splits, strict=True):
        assert split.folds is not None
        parts = [SeedSplit(split.seed, *part) for part in split.folds]
        loops = [plain_loop(x, labels, part, PRESET) for part in parts]
        sizes = [len(part.validation) for part in parts]
        mean = [
            sum(n * loss for n, loss in zip(sizes, row, strict=True)) / sum(sizes)
            for row in zip(*(loop[2] for loop in loops), strict=True)
        ]
        epoch = int(np.argmin(mean)) + 1
        assert head.settings["epoch"] == epoch
        assert head.settings["train_rows"] == 41
        assert_layer(
            only_linear(head),
            *(found[epoch - 1] for found in plain_loop(x, labels, replace(parts[0], train=split.train), PRESET)[:2]),
        )
        scores = np.concatenate(
            [
                x[part.validation] @ weights[epoch - 1].T + biases[epoch - 1]
                for part, (weights, biases, _) in zip(parts, loops, strict=True)
            ]
        )
        truth = labels[np.concatenate([part.validation for part in parts])]
        assert head.validation["rows"] == 41
        assert head.validation["loss"] == pytest.approx(mean[epoch - 1], abs=2e-5)
        assert head.validation["accuracy"] == accuracy_score(truth, scores.argmax(1))
        assert [step["loss"] for step in head.validation["path"]] == pytest.approx(mean, abs=2e-5)


def test_folds_with_the_last_epoch_and_no_folds_at_all_keep_the_last_one(data: tuple[np.ndarray, np.ndarray]) -> None:
    rows = np.arange(41)
    (last,) = fit_probe(*data, [folded(3, rows, 2)], C, replace(PRESET, select="last"))
    (none,) = fit_probe(*data, [SeedSplit(3, rows, rows[:0], ())], C, PRESET)
    weights, biases, _ = plain_loop(*data, SeedSplit(3, rows, np.arange(41, N)), PRESET)
    for head in (last, none):
        assert_layer(only_linear(head), weights[-1], biases[-1])
        assert (head.settings["epoch"], head.warnings) == (4, [])
    assert none.validation == {"rows": 0, "loss": None}
    assert last.validation["rows"] == 41
    assert last.validation["loss"] == last.validation["path"][-1]["loss"]


def only_linear(head: FittedHead) -> LinearHead:
    assert isinstance(head, LinearHead)
    return head


@pytest.mark.parametrize(("select", "n_held"), [("validation", 13), ("last", 13), ("last", 0)])
def test_what_is_no_number_is_refused_with_its_seed(select: str, n_held: int) -> None:
    features = np.full((40, 2), 3e38, np.float32)
    features[::2] *= -1
    split = SeedSplit(7, np.arange(27), np.arange(27, 27 + n_held))
    preset = AdamWProbe(lr=1e30, epochs=3, warmup=0.0, select=select)
    with pytest.raises(NotFiniteError) as refused:
        fit_linear_layers(features, np.arange(40) % 2, [split], 2, preset)
    assert (
        str(refused.value)
        == "the probe of seed 7 did not stay finite; use a preset that standardises features or has a lower lr"
    )
