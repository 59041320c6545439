"""Linear layers trained by AdamW, one per seed, all in the same batched step.

Each seed has its own rows, initialisation (PyTorch's for a linear layer) and row order, drawn from its own generator, its own
count of steps and so its own learning rate: the result is that of training it alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from findna_bench.errors import NotFiniteError
from findna_bench.protocols.settings import AdamWProbe
from findna_bench.training.schedules import learning_rate_factor

__all__ = ["LinearLayer", "fit_linear_layers"]

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class _Rows(Protocol):
    @property
    def seed(self) -> int: ...
    @property
    def train(self) -> np.ndarray: ...
    @property
    def validation(self) -> np.ndarray: ...


@dataclass(frozen=True)
class LinearLayer:
    """weight (C, D) and bias (C,), float64, of the epoch chosen (from 1); ``losses``: mean validation loss per epoch."""

    weight: np.ndarray
    bias: np.ndarray
    epoch: int
    losses: list[float]


def fit_linear_layers(
    features: np.ndarray,
    labels: np.ndarray,
    splits: Sequence[_Rows],
    n_classes: int,
    preset: AdamWProbe,
    device: str | torch.device = "cpu",
    *,
    epochs: Sequence[int | None] | None = None,
) -> list[LinearLayer]:
    """One layer per split; features (n, D) float32, labels (n,). epochs: per split the one to keep, None = the preset's choice.

    Raises:
        NotFiniteError: no epoch (with ``select="last"``: not the last one) has a finite validation loss.
    """
    device = torch.device(device)
    x = torch.as_tensor(np.ascontiguousarray(features, dtype=np.float32)).to(device)
    y = torch.as_tensor(labels).to(device)
    return _Training(x, y, splits, n_classes, preset).run([None] * len(splits) if epochs is None else epochs)


class _Training:
    """Parameters and AdamW state of all seeds: weight (S, C, D + 1), the last column being the bias."""

    def __init__(self, x: Tensor, y: Tensor, splits: Sequence[_Rows], n_classes: int, preset: AdamWProbe) -> None:
        self.x, self.y, self.splits, self.preset, self.n_classes = x, y, splits, preset, n_classes
        self.generators = [torch.Generator().manual_seed(split.seed) for split in splits]
        self.parameters = torch.stack([self._initial(g) for g in self.generators]).to(x.device)
        self.first, self.second = torch.zeros_like(self.parameters), torch.zeros_like(self.parameters)
        self.rows = [torch.as_tensor(split.train, dtype=torch.int64) for split in splits]
        self.epoch_steps = [math.ceil(len(rows) / preset.batch_size) for rows in self.rows]
        self.taken = [0] * len(splits)
        self.centre, self.scale = self._standardisation()

    def _initial(self, generator: torch.Generator) -> Tensor:
        bound = 1.0 / math.sqrt(self.x.shape[1])
        return (torch.rand(self.n_classes, self.x.shape[1] + 1, generator=generator) * 2 - 1) * bound

    def _standardisation(self) -> tuple[Tensor, Tensor]:
        shape = (len(self.splits), 1, self.x.shape[1])
        centre, scale = torch.zeros(shape, device=self.x.device), torch.ones(shape, device=self.x.device)
        if self.preset.standardise:
            for s, rows in enumerate(self.rows):
                own = self.x[rows.to(self.x.device)].double()
                deviation = own.std(0, correction=0)
                centre[s, 0], scale[s, 0] = own.mean(0).float(), torch.where(deviation > 0, deviation, 1.0).float()
        return centre, scale

    def run(self, wanted: Sequence[int | None]) -> list[LinearLayer]:
        best = [math.inf] * len(self.splits)
        kept, epochs = self.parameters.clone(), [0] * len(self.splits)
        losses: list[list[float]] = [[] for _ in self.splits]
        for epoch in range(1, self.preset.epochs + 1):
            self._epoch()
            for s, loss in enumerate(self._validation_losses()):
                losses[s].append(loss)
                better = self.preset.select == "last" or loss < best[s]
                if better if wanted[s] is None else epoch == wanted[s]:
                    best[s], epochs[s] = loss, epoch
                    kept[s] = self.parameters[s]
        for s, split in enumerate(self.splits):
            last = losses[s][epochs[s] - 1]
            finite = math.isfinite(last) if len(split.validation) else bool(torch.isfinite(kept[s]).all())
            if not (epochs[s] and finite):
                raise NotFiniteError(
                    f"the probe of seed {split.seed} did not stay finite; use a preset that standardises features or has a lower lr"
                )
        return [self._layer(kept[s], s, epochs[s], losses[s]) for s in range(len(self.splits))]

    def _layer(self, parameters: Tensor, s: int, epoch: int, losses: list[float]) -> LinearLayer:
        weight = parameters[:, :-1].double() / self.scale[s, 0].double()
        bias = parameters[:, -1].double() - weight @ self.centre[s, 0].double()
        return LinearLayer(weight.cpu().numpy(), bias.cpu().numpy(), epoch, losses)

    def _epoch(self) -> None:
        orders = [
            rows[torch.randperm(len(rows), generator=g)] for rows, g in zip(self.rows, self.generators, strict=True)
        ]
        size = self.preset.batch_size
        for step in range(max(self.epoch_steps)):
            batches = [order[step * size : (step + 1) * size] for order in orders]
            index = torch.nn.utils.rnn.pad_sequence(batches, batch_first=True)
            counts = torch.tensor([len(batch) for batch in batches])
            weight = (torch.arange(index.shape[1]) < counts[:, None]).float() / counts.clamp(min=1)[:, None]
            active = [
                s for s, batch in enumerate(batches) if len(batch)
            ]  # a seed with fewer rows may be through already
            self._step(index.to(self.x.device), weight.to(self.x.device), active)

    def _logits(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """(S, B, C) logits of rows ``index`` (S, B), and the inputs (S, B, D)."""
        inputs = self.x.index_select(0, index.reshape(-1)).view(*index.shape, -1)  # several times faster than x[index]
        if self.preset.standardise:
            inputs = (inputs - self.centre) / self.scale
        return inputs @ self.parameters[:, :, :-1].mT + self.parameters[:, None, :, -1], inputs

    def _step(self, index: Tensor, weight: Tensor, active: list[int]) -> None:
        logits, inputs = self._logits(index)
        residual = torch.softmax(logits, dim=2)
        residual.scatter_add_(2, self.y[index][:, :, None], torch.full_like(residual[:, :, :1], -1.0))
        residual *= weight[:, :, None]
        gradient = torch.cat([residual.mT @ inputs, residual.sum(1)[:, :, None]], dim=2)
        self._update(gradient, active)

    def _update(self, gradient: Tensor, active: list[int]) -> None:
        p = self.preset
        rate, correction1, correction2 = [], [], []
        for s in active:
            total = self.epoch_steps[s] * p.epochs
            rate.append(p.lr * learning_rate_factor(self.taken[s], total, round(p.warmup * total)))
            self.taken[s] += 1
            correction1.append(1 - _BETA1 ** self.taken[s])
            correction2.append(1 - _BETA2 ** self.taken[s])

        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=self.x.device)[:, None, None]

        which = slice(None) if len(active) == len(self.splits) else active
        g, lr = gradient[which], column(rate)
        first = torch.lerp(self.first[which], g, 1 - _BETA1)
        second = torch.lerp(self.second[which], g * g, 1 - _BETA2)
        denominator = (second / column(correction2)).sqrt() + _EPSILON
        updated = self.parameters[which] * (1 - lr * p.weight_decay) - lr / column(correction1) * first / denominator
        self.parameters[which], self.first[which], self.second[which] = updated, first, second

    def _validation_losses(self) -> list[float]:
        losses = []
        for s, split in enumerate(self.splits):
            index: Any = torch.as_tensor(split.validation, device=self.x.device)
            inputs = self.x.index_select(0, index)
            if self.preset.standardise:
                inputs = (inputs - self.centre[s]) / self.scale[s]
            logits = inputs @ self.parameters[s, :, :-1].T + self.parameters[s, :, -1]
            losses.append(float(torch.nn.functional.cross_entropy(logits, self.y[index])))
        return losses
