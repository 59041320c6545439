"""Convolutional networks trained from scratch: what the labels alone teach.

``small`` has the shape of GenomicBenchmarks' baseline (Gresova et al. 2023: three convolutions of 16, 8 and 4 channels on an
embedding of 100, width 8, batch normalisation, pooling by 2, 512 hidden units). ``deepsea`` has DeepSEA's convolutions (Zhou and
Troyanskaya 2015: 320, 480 and 960 channels, width 8, pooling by 4, dropout 0.2, 0.2 and 0.5, 925 hidden units) over the mean
and the maximum of all positions instead of a layer as wide as the sequence, so that its size does not depend on it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from findna_bench.api import SequenceTable, encode_padded, one_hot

__all__ = ["ConvolutionalClassifier", "DeepSea", "SmallCnn"]

_PAD = 5
_PREDICTED_BASES = 1 << 20


def _padded(x: Tensor) -> Tensor:
    """Zeros around positions, so that a convolution of width 8 keeps their number."""
    return functional.pad(x, (3, 4))


class SmallCnn(nn.Module):
    """(B, L) uint8 codes (0-4, 5 = padding) -> (B, C) logits, L fixed."""

    def __init__(self, length: int, n_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(100, 6))
        self.first = nn.Conv1d(100, 16, 8)
        self.second = nn.Conv1d(16, 8, 8)
        self.third = nn.Conv1d(8, 4, 8)
        self.norms = nn.ModuleList(nn.BatchNorm1d(channels) for channels in (16, 8, 4))
        self.hidden = nn.Linear(4 * (length // 8), 512)
        self.dropout = nn.Dropout(0.3)
        self.out = nn.Linear(512, n_classes)

    def forward(self, codes: Tensor) -> Tensor:
        symbols = torch.cat([one_hot(codes), (codes == _PAD)[..., None].float()], dim=-1).mT
        # Embedding and first convolution are both linear: one convolution on symbols, a sixteenth of the work.
        weight = torch.einsum("oek,es->osk", self.first.weight, self.embedding)
        x = functional.conv1d(_padded(symbols), weight, self.first.bias)
        x = functional.max_pool1d(functional.relu(self.norms[0](x)), 2)
        x = functional.max_pool1d(functional.relu(self.norms[1](self.second(_padded(x)))), 2)
        x = functional.max_pool1d(functional.relu(self.norms[2](self.third(_padded(x)))), 2)
        return self.out(functional.relu(self.hidden(self.dropout(x.flatten(1)))))


class DeepSea(nn.Module):
    """(B, L) uint8 codes (0-4, 5 = padding) -> (B, C) logits, any L."""

    def __init__(
        self, length: int, n_classes: int, channels: Sequence[int] = (320, 480, 960), hidden: int = 925
    ) -> None:
        super().__init__()
        sizes = (4, *channels)
        self.convolutions = nn.ModuleList(nn.Conv1d(a, b, 8) for a, b in itertools.pairwise(sizes))
        self.dropouts = nn.ModuleList(nn.Dropout(p) for p in (0.2, 0.2, 0.5))
        self.hidden = nn.Linear(2 * channels[-1], hidden)
        self.out = nn.Linear(hidden, n_classes)

    def forward(self, codes: Tensor) -> Tensor:
        x = one_hot(codes)[..., :4].mT
        for number, (convolution, dropout) in enumerate(zip(self.convolutions, self.dropouts, strict=True)):
            x = functional.relu(convolution(_padded(x)))
            if number < 2:
                x = functional.max_pool1d(x, 4, ceil_mode=True)
            x = dropout(x)
        real = self._real(codes, x.shape[2])
        mean = (x * real).sum(2) / real.sum(2)
        top = x.masked_fill(real == 0, 0.0).amax(2)  # never below zero after the rectifier
        return self.out(functional.relu(self.hidden(torch.cat([mean, top], dim=1))))

    @staticmethod
    def _real(codes: Tensor, positions: int) -> Tensor:
        """(B, 1, positions): 1 where pooled positions hold anything but padding."""
        real = (codes != _PAD).float()[:, None]
        for _ in range(2):
            real = functional.max_pool1d(real, 4, ceil_mode=True)
        return real[:, :, :positions]


NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {"small": SmallCnn, "deepsea": DeepSea}


class ConvolutionalClassifier:
    """Trained by AdamW with early stopping on the validation loss; the learning rate is the best one of those given.

    Sequences are padded to the longest training row (at least 64 bases), and longer ones cut at their end.
    """

    varies: tuple[str, ...] = ("initialisation", "row order", "dropout")

    def __init__(
        self,
        network: str = "small",
        learning_rates: Sequence[float] = (1e-3,),
        epochs: int = 30,
        patience: int = 5,
        batch_size: int = 64,
        weight_decay: float = 0.01,
        device: str = "auto",
    ) -> None:
        self._network, self._rates = network, tuple(learning_rates)
        self._epochs, self._patience, self._batch_size = epochs, patience, batch_size
        self._weight_decay = weight_decay
        cuda = device == "auto" and torch.cuda.is_available()
        self._device = torch.device("cuda" if cuda else "cpu" if device == "auto" else device)
        self._settings: dict[str, Any] = {}

    def fit(
        self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int
    ) -> ConvolutionalClassifier:
        """Train once per learning rate, keep the weights of the lowest validation loss."""
        self._length = max(64, *(len(sequence) for sequence in train.sequences))
        self._build: Callable[[], nn.Module] = lambda: NETWORKS[self._network](self._length, n_classes)
        data = (self._codes(train), self._labels(train), self._codes(validation), self._labels(validation))
        trials = [self._train(rate, seed, *data) for rate in self._rates]
        best = min(range(len(trials)), key=lambda i: trials[i][1]["loss"])
        self._model, chosen = trials[best]
        self._settings = {
            "network": self._network,
            "n_parameters": sum(p.numel() for p in self._model.parameters()),
            "length": self._length,
            "batch_size": self._batch_size,
            "max_epochs": self._epochs,
            "patience": self._patience,
            "weight_decay": self._weight_decay,
            "learning_rate": self._rates[best],
            "epoch": chosen["epoch"],
            "trials": [{"learning_rate": r, **trial} for r, (_, trial) in zip(self._rates, trials, strict=True)],
        }
        return self

    def predict_scores(self, table: SequenceTable) -> np.ndarray:
        """(n, C) class probabilities."""
        logits = [self._logits(self._model, self._codes(table.take(rows))) for rows in self._pieces(len(table))]
        return torch.softmax(torch.cat(logits).double(), dim=1).cpu().numpy()

    @property
    def max_length(self) -> int:
        """Bases of a sequence that the fitted network reads; the rest is cut off."""
        return self._length

    @property
    def settings(self) -> dict[str, Any]:
        """Sizes, what was chosen on validation, and the losses of all trials."""
        return self._settings

    def _codes(self, table: SequenceTable) -> Tensor:
        cut = [sequence[: self._length] for sequence in table.sequences]
        return torch.from_numpy(encode_padded(cut, self._length, pad=_PAD)).to(self._device)

    def _labels(self, table: SequenceTable) -> Tensor:
        return torch.from_numpy(np.asarray(table.labels, dtype=np.int64)).to(self._device)

    def _pieces(self, n: int) -> Iterator[np.ndarray]:
        step = max(1, _PREDICTED_BASES // self._length)
        return (np.arange(first, min(first + step, n)) for first in range(0, n, step))

    def _train(
        self, rate: float, seed: int, codes: Tensor, labels: Tensor, held_out: Tensor, truth: Tensor
    ) -> tuple[nn.Module, dict[str, Any]]:
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            model = self._build().to(self._device)
            optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=self._weight_decay)
            best, kept, epoch, losses = math.inf, {}, 0, []
            for number in range(1, self._epochs + 1):
                self._epoch(model, optimiser, codes, labels)
                losses.append(float(functional.cross_entropy(self._logits(model, held_out).float(), truth)))
                if losses[-1] < best:
                    best, epoch = losses[-1], number
                    kept = {name: value.clone() for name, value in model.state_dict().items()}
                elif number - epoch >= self._patience:
                    break
        if kept:
            model.load_state_dict(kept)
        return model.eval(), {"epoch": epoch, "loss": best, "losses": losses}

    def _epoch(self, model: nn.Module, optimiser: torch.optim.Optimizer, codes: Tensor, labels: Tensor) -> None:
        model.train()
        order = torch.randperm(len(codes))
        # A last batch of one row has no variance to normalise by.
        batches = [batch for batch in order.split(self._batch_size) if len(batch) > 1 or len(order) == 1]
        for batch in batches:
            rows = batch.to(self._device)
            optimiser.zero_grad(set_to_none=True)
            functional.cross_entropy(model(codes[rows]), labels[rows]).backward()
            optimiser.step()

    @torch.no_grad()
    def _logits(self, model: nn.Module, codes: Tensor) -> Tensor:
        model.eval()
        step = max(1, _PREDICTED_BASES // self._length)
        return torch.cat([model(part) for part in codes.split(step)])
