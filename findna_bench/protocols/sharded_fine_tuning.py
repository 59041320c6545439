"""Fine-tuning of an encoder that several processes share, each with its part of the parameters, gradients and optimiser state.

What is kept beside them (the best weights so far, a checkpoint) is whole, in the main memory of the first process, and in the form that processes
with a copy each write: a training begun in one way goes on in the other. The head is small, and every process has it whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from findna_bench.errors import BenchError, RanksError
from findna_bench.models.loading import LoadedModel
from findna_bench.models.precision import compute_precision
from findna_bench.protocols.fine_tuning_run import FineTuneOptions, FineTuningRun, LabelledRows, StepRows
from findna_bench.protocols.settings import FineTuning
from findna_bench.training.sharding import (
    LockStep,
    as_part,
    gathered,
    is_part,
    others_may_be_gone,
    outline,
    own_part,
    own_values,
    shard_encoder,
    take_part,
)

__all__ = ["ShardedFineTuningRun", "fine_tuning_run"]


def fine_tuning_run(
    model: LoadedModel, rows: LabelledRows, preset: FineTuning, seed: int, options: FineTuneOptions
) -> FineTuningRun:
    """Training with one preset, in the way that the options say (errors as :class:`FineTuningRun`)."""
    made = ShardedFineTuningRun if options.shard and options.ranks.world > 1 else FineTuningRun
    return made(model, rows, preset, seed, options)


class ShardedFineTuningRun(FineTuningRun):
    """:class:`FineTuningRun` with one encoder for all processes.

    Raises:
        UnsupportedError: the encoder has parameters that cannot be shared. Others as :class:`FineTuningRun`.
    """

    def __init__(
        self, model: LoadedModel, rows: LabelledRows, preset: FineTuning, seed: int, options: FineTuneOptions
    ) -> None:
        self._moved: list[tuple[Tensor, Tensor]] = []
        self._factor = 1.0
        super().__init__(model, rows, preset, seed, options)
        self.lockstep: LockStep = LockStep(self.model.backbone, self.ranks, self.device)
        self._shortest = min(self._texts, key=lambda row: sum(map(len, row)))

    def distributed(self, model: LoadedModel, options: FineTuneOptions) -> LoadedModel:
        self._factor = shard_encoder(model.backbone, options.ranks, model.device, model.name)
        return replace(model, shared=True)

    def optimised(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """This process's part of each parameter, as a plain tensor that shares its memory: not every optimiser, and not every version of torch,
        computes with parts.
        """
        moved = [nn.Parameter(own_values(p.detach())) if is_part(p) else p for p in parameters]
        self._moved += zip(parameters, moved, strict=True)
        return moved

    @property
    def _shared(self) -> list[tuple[Tensor, Tensor]]:
        """Parameters of the encoder, and this process's part of each."""
        return [(parameter, own) for parameter, own in self._moved if is_part(parameter)]

    @property
    def _whole(self) -> list[Tensor]:
        """Parameters of the head."""
        return [parameter for parameter, _ in self._moved if not is_part(parameter)]

    # -------------------------------------------------------------------------------------------------------- one step

    def add_gradients(self, part: Any) -> Any:
        with others_may_be_gone():
            outcome = super().add_gradients(part)
        self.lockstep.passed()
        return outcome

    def _accumulate(self, batch: StepRows) -> Any:
        outcomes = super()._accumulate(batch)
        if outcomes is not None:
            self.lockstep.catch_up(self._idle_pass)
        return outcomes

    def _idle_pass(self) -> None:
        """A forward and backward pass that adds nothing, for the sake of the others."""
        for portion in self.portions.tokenized([self._shortest], None):
            with compute_precision(self.device, self.dtype):
                logits = self.net(portion.tokens.to(self.device), portion.pieces)
            (logits.sum() * 0.0).backward()

    def divide(self, batch: StepRows) -> None:
        raise RanksError(
            f"{self.model.name}: {len(batch.texts)} rows of a step do not fit into the memory of {self.device}, and processes that share an "
            "encoder cannot divide them in the middle; say --batch-size N, or use gradient checkpointing or a shorter window"
        )

    def sum_gradients(self) -> None:
        """Of the head; those of the encoder have been added up in the backward pass."""
        for parameter, own in self._shared:
            if parameter.grad is not None:
                own.grad = own_values(parameter.grad).mul_(self._factor)
                parameter.grad = None
        self.ranks.sum_gradients(self._whole)

    def clip_gradients(self, limit: float) -> Tensor:
        shared = [own for _, own in self._shared]
        square = self.ranks.total(_squared(shared, self.device)) + _squared(self._whole, self.device)
        norm = square.sqrt()
        factor = torch.clamp(limit / (norm + 1e-6), max=1.0)  # as torch's clip_grad_norm_ has it
        if bool(torch.isfinite(norm)) and float(factor) < 1:
            for parameter in (*shared, *self._whole):
                if parameter.grad is not None:
                    parameter.grad.mul_(factor.to(parameter.grad.dtype))
        return norm

    def has_gradients(self, parameters: Sequence[Tensor]) -> bool:
        own = any(part.grad is not None and bool(part.grad.any()) for _, part in self._shared)
        return bool(self.ranks.total(torch.tensor([float(own)], device=self.device)))

    def _say_failed(self) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        with contextlib.suppress(BenchError):
            self.lockstep.fail()

    # ---------------------------------------------------------------------------------------------------- checkpoints

    def kept(self) -> dict[str, Tensor]:
        own = {name: value if is_part(value) else value.detach().clone() for name, value in self._trained().items()}
        return dict(gathered(own, self.ranks))

    def _load(self, state: Mapping[str, Tensor]) -> None:
        own = self.net.state_dict()
        for name, value in state.items():
            take_part(own[name], value, self.ranks)

    def _load_checkpoint(self) -> dict[str, Any] | None:
        if self.checkpoint is None:
            return None
        found = self.checkpoint.load() if self.ranks.first else None
        known: dict[str, Any] | None = self.ranks.from_first(outline(found))
        if known is None:
            return None
        found = known if found is None else found
        moments = {
            number: {name: own_part(value, self._moved[number][0], self.ranks) for name, value in values.items()}
            for number, values in found["optimiser"]["state"].items()
        }
        return {**found, "optimiser": {**found["optimiser"], "state": moments}}

    def _all_state(self) -> dict[str, Any]:
        state = super()._all_state()
        moments = {
            number: {name: as_part(value, self._moved[number][0]) for name, value in values.items()}
            for number, values in state["optimiser"]["state"].items()
        }
        return {**state, "optimiser": {**state["optimiser"], "state": moments}}

    def _checkpoint_due(self) -> bool:
        """By the clock of the first process."""
        due = self.ranks.first and super()._checkpoint_due()
        return bool(self.ranks.total(torch.tensor([float(due)], device=self.device)))

    def save(self) -> None:
        if self.checkpoint is None:
            return
        state = gathered(self._all_state(), self.ranks)
        if self.ranks.first:
            self.checkpoint.save(state)

    def save_when_interrupted(self) -> None:
        """Nothing: the others may be within a pass, and the checkpoint before counts."""


def _squared(parameters: Sequence[Tensor], device: torch.device) -> Tensor:
    """(1,) squared norm of all gradients that there are, float64."""
    norms = [torch.linalg.vector_norm(p.grad).double() for p in parameters if p.grad is not None]
    return torch.stack(norms).square().sum()[None] if norms else torch.zeros(1, dtype=torch.float64, device=device)
