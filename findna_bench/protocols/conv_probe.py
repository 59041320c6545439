"""Two convolutions and a linear layer on frozen vectors of bases, trained by AdamW from the file that these lie in.

A step reads the vectors of its sequences, and nothing else of them is in memory. Channels are standardised by mean and deviation over at most
:data:`~findna_bench.protocols.base_probe.MOST_BASES` bases of train. The epoch is chosen by the mean loss on bases of validation sequences.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from findna_bench.models.base_vectors import BaseVectors
from findna_bench.protocols.base_encoder import ConvHead, base_logits
from findna_bench.protocols.base_probe import drawn_bases, need_bases, validation_scores
from findna_bench.protocols.heads import FittedHead
from findna_bench.protocols.seed_splits import SeedSplit, softmax
from findna_bench.protocols.settings import ConvProbe, preset_settings
from findna_bench.statistics.base_states import NO_STATE
from findna_bench.targets.learning import state_shares
from findna_bench.targets.per_base import PerBase
from findna_bench.training.loop import Plan, TrainingLoop
from findna_bench.training.schedules import parameter_groups

__all__ = ["ConvBaseHead", "fit_conv_probe"]

_BLOCK_VALUES = 4_000_000
"""Bases x channels that are in memory at once; a single sequence at least."""
_CLIP = 1.0
_MOST_SKIPPED = 20


@dataclass(frozen=True)
class _Block:
    """Some sequences: vectors (R, L, D) in standard deviations, zero where nothing was read; read (R, L); states (R, L)."""

    vectors: Tensor
    read: Tensor
    states: Tensor


@dataclass(frozen=True)
class _Source:
    """Vectors of bases, standardised as they are read. centre, scale: (D,) float32."""

    features: BaseVectors
    centre: np.ndarray
    scale: np.ndarray
    device: torch.device

    def blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """``rows`` in portions of similar length that fit into memory."""
        lengths, dim = self.features.lengths[rows], self.features.shape[1]
        order = np.argsort(lengths, kind="stable")
        start = 0
        for stop in range(1, len(order) + 1):
            whole = stop == len(order)
            if whole or (stop + 1 - start) * int(lengths[order[stop]]) * dim > _BLOCK_VALUES:
                yield rows[order[start:stop]]
                start = stop

    def load(self, rows: np.ndarray, truth: np.ndarray | None = None) -> _Block:
        """Sequences in the order in which the model has read them: those of the other strand from their end."""
        lengths = self.features.lengths[rows]
        longest = int(lengths.max(initial=1))
        vectors = np.zeros((len(rows), longest, self.features.shape[1]), np.float32)
        read = np.zeros((len(rows), longest), dtype=bool)
        states = np.full((len(rows), longest), NO_STATE, dtype=np.uint8)
        for place, (row, length) in enumerate(zip(rows.tolist(), lengths.tolist(), strict=True)):
            own, seen = self.features.of_sequence(row)
            way = -1 if self.features.turned[row] else 1
            vectors[place, :length] = np.where(seen[:, None], (own - self.centre) / self.scale, 0)[::way]
            read[place, :length] = seen[::way]
            if truth is not None:
                states[place, :length] = truth[row, :length][::way]
        return _Block(*(torch.from_numpy(part).to(self.device) for part in (vectors, read, states)))


@dataclass(frozen=True, kw_only=True)
class ConvBaseHead(FittedHead):
    """net: of standardised vectors. prior: (C,) log shares of the states in train, for bases that were not read."""

    net: ConvHead
    prior: Tensor
    centre: np.ndarray
    scale: np.ndarray

    def predict_scores(self, features: BaseVectors) -> np.ndarray:
        """(m, W, C) float16 probabilities; zero behind the end of a sequence."""
        source = _Source(features, self.centre, self.scale, self.prior.device)
        found = np.zeros((len(features), features.width, len(self.prior)), dtype=np.float16)
        self.net.eval()
        with torch.inference_mode():
            for rows in source.blocks(np.arange(len(features))):
                block = source.load(rows)
                scores = softmax(base_logits(self.net, block.vectors, block.read, self.prior).cpu().numpy())
                for row, own in zip(rows.tolist(), scores, strict=True):
                    length = int(features.lengths[row])
                    found[row, :length] = own[:length][:: -1 if features.turned[row] else 1]
        return found


class _Training(TrainingLoop[np.ndarray, _Block, float]):
    """One head on one division of the rows; losses: mean validation loss of each epoch.

    Args:
        keep: the epoch to keep; None = the one of the lowest validation loss, and training ends ``patience`` epochs after it.
    """

    def __init__(
        self,
        source: _Source,
        truth: np.ndarray,
        rows: tuple[np.ndarray, np.ndarray],
        preset: ConvProbe,
        prior: Tensor,
        seed: int,
        *,
        keep: int | None = None,
        patience: int | None = None,
    ) -> None:
        self.source, self.truth, self.preset, self.prior, self.seed = source, truth, preset, prior, seed
        self.rows, self.held = rows
        self.keep, self.patience, self.losses, self.best_epoch = keep, patience, list[float](), 0
        self.epoch_steps = math.ceil(len(self.rows) / preset.batch_size)
        generator = torch.Generator().manual_seed(seed)
        dim = source.features.shape[1]
        self.net = ConvHead(dim, len(prior), generator, channels=preset.channels, kernel=preset.kernel).to(
            source.device
        )
        self.kept = self._weights()
        steps = self.epoch_steps * preset.epochs
        plan = Plan(
            steps=steps,
            warmup=round(preset.warmup * steps),
            schedule="cosine",
            validate_every=self.epoch_steps,
            clip=_CLIP,
            most_skipped=_MOST_SKIPPED,
        )
        groups = [
            group for group in parameter_groups(self.net, preset.weight_decay, decay_biases=False) if group["params"]
        ]
        optimiser = torch.optim.AdamW(groups, lr=preset.lr)
        super().__init__("the convolutional probe", plan, self.net.parameters(), optimiser, source.device)

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.net.state_dict().items()}

    def batches(self) -> Generator[np.ndarray, None, None]:
        size = self.preset.batch_size
        for epoch in range(self.preset.epochs):
            order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
            yield from (order[start : start + size] for start in range(0, len(order), size))

    def parts(self, batch: np.ndarray) -> Iterator[_Block]:
        self.net.train()
        self._scored = max(int((self.truth[batch] != NO_STATE).sum()), 1)
        return (self.source.load(rows, self.truth) for rows in self.source.blocks(batch))

    def loss(self, part: _Block) -> tuple[Tensor, float]:
        loss = self._summed(part) / self._scored
        return loss, float(loss.detach())

    def _summed(self, block: _Block) -> Tensor:
        return PerBase().loss(base_logits(self.net, block.vectors, block.read, self.prior), block.states)

    def evaluate(self) -> float:
        if not len(self.held):
            return math.nan
        self.net.eval()
        with torch.inference_mode():
            total = sum(
                float(self._summed(self.source.load(rows, self.truth))) for rows in self.source.blocks(self.held)
            )
        return total / max(int((self.truth[self.held] != NO_STATE).sum()), 1)

    def validated(self, scores: float) -> None:
        self.losses.append(scores)
        epoch = len(self.losses)
        if epoch == self.keep or (self.keep is None and (epoch == 1 or scores < min(self.losses[:-1]))):
            self.kept, self.best_epoch = self._weights(), epoch

    def stops_early(self) -> bool:
        if self.keep is not None:
            return len(self.losses) >= self.keep
        return self.patience is not None and len(self.losses) - self.best_epoch > self.patience

    def fitted(self) -> ConvHead:
        """The head of the epoch that is kept."""
        self.train()
        self.net.load_state_dict(self.kept)
        return self.net


def fit_conv_probe(
    features: BaseVectors,
    truth: np.ndarray,
    splits: Sequence[SeedSplit],
    n_states: int,
    preset: ConvProbe,
    *,
    device: str | torch.device = "cpu",
) -> list[FittedHead]:
    """One head per split, as :func:`~findna_bench.protocols.base_probe.fit_base_probe` fits linear ones.

    Raises:
        NotFiniteError: training does not stay finite. UsageError: a split has no base to train or to choose on.
    """
    return [_fit_split(features, truth, split, n_states, preset, torch.device(device)) for split in splits]


def _fit_split(
    features: BaseVectors, truth: np.ndarray, split: SeedSplit, n_states: int, preset: ConvProbe, device: torch.device
) -> FittedHead:
    need_bases(features, truth, split)
    some = drawn_bases(features, truth, split.train)
    vectors = features.gather(some.rows, some.places).astype(np.float64)
    deviation = vectors.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0).astype(np.float32)
    source = _Source(features, vectors.mean(axis=0).astype(np.float32), scale, device)
    shares = state_shares(truth[split.train], n_states)
    prior = torch.log(torch.from_numpy(shares).float()).to(device)

    def train(rows: tuple[np.ndarray, np.ndarray], **how: Any) -> _Training:
        run = _Training(source, truth, rows, preset, prior, split.seed, **how)
        run.fitted()
        return run

    if split.folds is None and preset.select == "validation":
        run = train((split.train, split.validation), patience=preset.patience)
        losses = run.losses
    else:
        folds = split.folds if preset.select == "validation" else ()
        paths = [train(fold, patience=None).losses for fold in folds or ()]
        losses = np.mean(paths, axis=0).tolist() if paths else []
        epoch = int(np.argmin(losses)) + 1 if losses else preset.epochs
        run = train((split.train, split.validation), keep=epoch)
        losses = losses or run.losses
    warnings = []
    if run.best_epoch == preset.epochs and preset.select == "validation" and losses:
        warnings.append(f"the last epoch ({preset.epochs}) has the lowest validation loss")
    head = ConvBaseHead(
        seed=split.seed,
        settings={
            **preset_settings(preset),
            "epoch": run.best_epoch,
            "standardised_on_bases": len(some),
            "train_rows": len(split.train),
        },
        warnings=warnings,
        varies=preset.varies,
        net=run.net.eval(),
        prior=prior,
        centre=source.centre,
        scale=source.scale,
    )
    finite = [loss for loss in losses if math.isfinite(loss)]
    path = [{"epoch": number, "loss": loss} for number, loss in enumerate(losses, 1) if math.isfinite(loss)]
    chosen = {"loss": losses[run.best_epoch - 1] if finite else None} | ({"path": path} if path else {})
    return replace(head, validation=validation_scores(head, features, truth, split) | chosen)
