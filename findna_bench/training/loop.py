"""The training loop: optimiser steps from where a checkpoint stands to the last one, whatever is trained.

Pretraining and fine-tuning derive from :class:`TrainingLoop`. They say what a step reads and what its loss is; the loop accumulates gradients over parts and processes, divides what does not fit into memory, validates and writes
checkpoints. What a step draws is to be a function of seed and step alone: a training that goes on, from a checkpoint or after
Ctrl-C, then ends bit by bit where one that was left alone ends (on the CPU).
"""

from __future__ import annotations

import contextlib
import gc
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from findna_bench.errors import BenchError, NotFiniteError, is_out_of_memory
from findna_bench.interrupt import uninterrupted
from findna_bench.models.precision import compute_precision
from findna_bench.training.ranks import Ranks
from findna_bench.training.schedules import Shape, learning_rate_factor, set_learning_rate
from findna_bench.training.training_checkpoints import Checkpoint

__all__ = ["Plan", "TrainingLoop", "own_random_numbers", "prepared_ahead"]

Batch = TypeVar("Batch")
Part = TypeVar("Part")
Outcome = TypeVar("Outcome")
Item = TypeVar("Item")
Prepared = TypeVar("Prepared")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is fixed before the first step. steps, warmup: optimiser steps, of which ``warmup`` raise the learning rate."""

    steps: int
    warmup: int = 0
    schedule: Shape = "constant"
    validate_every: int | None = None
    """Optimiser steps between validations, the last step aside, which has one in any case; None = never."""
    clip: float | None = None
    """Norm to which gradients are clipped; None = not at all."""
    most_skipped: int | None = None
    """Steps on end that may be skipped because their gradient is not finite; None = it is not looked at."""


class TrainingLoop(ABC, Generic[Batch, Part, Outcome]):
    """Steps of one training.

    Args:
        name: of what is trained, for messages.
        plan: steps, rates and clipping.
        parameters: what the optimiser moves.
        optimiser: made with the peak learning rates.
        device: where parts are computed, in ``dtype``.
        ranks: the processes that train together.
        checkpoint: the file to go on from; None = none.
    """

    def __init__(
        self,
        name: str,
        plan: Plan,
        parameters: Iterable[Tensor],
        optimiser: torch.optim.Optimizer,
        device: torch.device,
        *,
        dtype: torch.dtype = torch.float32,
        ranks: Ranks | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.name, self.plan, self.parameters, self.optimiser = name, plan, list(parameters), optimiser
        self.device, self.dtype, self.ranks, self.checkpoint = device, dtype, ranks or Ranks(), checkpoint
        self._step = self._validated = self._skipped = self._skipped_on_end = 0
        self._within_step = False
        self._earlier_seconds, self._began, self._began_at = 0.0, time.monotonic(), 0

    # ------------------------------------------------------------------------------------------ what is trained says

    @abstractmethod
    def batches(self) -> Generator[Batch, None, None]:
        """What the steps that are left read, from number ``_step`` on."""

    @abstractmethod
    def parts(self, batch: Batch) -> Iterable[Part]:
        """What is read at once of a step; asked for again where memory ran out."""

    def loss(self, part: Part) -> tuple[Tensor, Outcome]:
        """The part's share of the step's loss, and what :meth:`stepped` wants to know of it, without gradients."""
        raise NotImplementedError

    def divide(self, batch: Batch) -> None:
        """A part of the batch did not fit into memory: make them smaller from here on.

        Raises:
            torch.OutOfMemoryError: there are no smaller ones.
        """
        raise torch.OutOfMemoryError(f"{self.name}: a training step does not fit into the memory of {self.device}")

    def stepped(self, outcomes: list[Outcome]) -> None:
        """After a step, of which ``_step`` is now the number, counted from 1."""

    def evaluate(self) -> Any:
        """Scores on validation rows; changes nothing, so that it can be interrupted and done again."""

    def validated(self, scores: Any) -> None:
        """Record what :meth:`evaluate` found."""

    def stops_early(self) -> bool:
        """Whether training ends before the last step."""
        return False

    def state(self) -> dict[str, Any]:
        """All that training changes, for a checkpoint: nested mappings and lists of tensors, numbers and strings."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state` gave."""

    # -------------------------------------------------------------------------------------------------- checkpoints

    @property
    def seconds(self) -> float:
        """Spent in training so far, in all processes that went on from one another."""
        return self._earlier_seconds + time.monotonic() - self._began

    @property
    def seconds_per_step(self) -> float:
        """Of the steps in this process, with all that is done between them."""
        return (time.monotonic() - self._began) / max(self._step - self._began_at, 1)

    def resume(self) -> None:
        """Go on from the checkpoint, where there is one.

        Raises:
            OutputError: it is damaged or another training's, and may not be replaced.
        """
        found = self._load_checkpoint()
        if found is None:
            return
        self.optimiser.load_state_dict(found["optimiser"])
        self._step, self._validated = found["step"], found["validated"]
        self._skipped, self._skipped_on_end = found["skipped"]
        self._earlier_seconds = found["seconds"]
        self.load_state(found["state"])

    def _load_checkpoint(self) -> dict[str, Any] | None:
        """What :meth:`_all_state` gave when it was written; None where there is none."""
        return self.checkpoint.load() if self.checkpoint is not None else None

    def save(self) -> None:
        """Write the checkpoint; the first process does."""
        if self.checkpoint is not None and self.ranks.first:
            self.checkpoint.save(self._all_state())

    def _all_state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "step": self._step,
            "validated": self._validated,
            "skipped": [self._skipped, self._skipped_on_end],
            "seconds": self.seconds,
            "optimiser": self.optimiser.state_dict(),
            "state": self.state(),
        }

    def _checkpoint_due(self) -> bool:
        """Whether one is to be written after this step."""
        return self.checkpoint is not None and self.checkpoint.due(self._step)

    # ----------------------------------------------------------------------------------------------------- the loop

    def train(self) -> None:
        """Take the steps that are left. Ctrl-C ends training after the step at work, and a checkpoint is written; a second
        one ends it at once, and the checkpoint before counts.

        Raises:
            NotFiniteError: gradients do not become finite.
        """
        self._began, self._began_at = time.monotonic(), self._step
        try:
            with own_random_numbers(self.device), contextlib.closing(self.batches()) as batches:
                self._validate_if_due()  # which may have been interrupted
                while self._step < self.plan.steps and not self.stops_early():
                    with uninterrupted(once=True):
                        self._one_step(next(batches))
                    self._validate_if_due()
                    if self._step < self.plan.steps and self._checkpoint_due():
                        self.save()
        except KeyboardInterrupt:
            if not self._within_step:
                self.save_when_interrupted()
            raise

    def save_when_interrupted(self) -> None:
        """:meth:`save` after an interruption, which may have come upon other processes elsewhere."""
        self.save()

    def _one_step(self, batch: Batch) -> float:
        """Gradients of all parts, over all processes, then one optimiser step; returns the learning rate."""
        self._within_step = True
        rate = set_learning_rate(self.optimiser, self.rate_factor(self._step))
        try:
            while (outcomes := self._accumulate(batch)) is None:
                self.divide(batch)
        except Exception:
            self._say_failed()
            raise
        self.sum_gradients()
        self._update()
        self._step += 1
        self.stepped(outcomes)
        self._within_step = False
        return rate

    def sum_gradients(self) -> None:
        """Add up the parts' gradients over processes."""
        self.ranks.sum_gradients(self.parameters)

    def clip_gradients(self, limit: float) -> Tensor:
        """Scale gradients to a norm of at most ``limit``; returns the norm that they had."""
        return nn.utils.clip_grad_norm_(self.parameters, limit)

    def _say_failed(self) -> None:
        """The other processes wait for gradients that there are none of."""
        self.optimiser.zero_grad(set_to_none=True)
        with contextlib.suppress(BenchError):
            self.ranks.sum_gradients(self.parameters, failed=True)

    def rate_factor(self, step: int) -> float:
        """What the peak learning rate is multiplied by in a step, counted from 0."""
        return learning_rate_factor(step, self.plan.steps, self.plan.warmup, self.plan.schedule)

    def _accumulate(self, batch: Batch) -> list[Outcome] | None:
        """The parts' outcomes, their gradients added up; None where memory ran out."""
        self.optimiser.zero_grad(set_to_none=True)
        outcomes = self._attempt(batch)
        if outcomes is None:  # the frames that held on to the failed attempt are gone here
            self.optimiser.zero_grad(set_to_none=True)
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        return outcomes

    def _attempt(self, batch: Batch) -> list[Outcome] | None:
        try:
            return [self.add_gradients(part) for part in self.parts(batch)]
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        return None

    def add_gradients(self, part: Part) -> Outcome:
        """Forward and backward of one part."""
        with compute_precision(self.device, self.dtype):
            loss, outcome = self.loss(part)
        loss.backward()
        return outcome

    def _update(self) -> None:
        plan = self.plan
        if plan.clip is not None or plan.most_skipped is not None:
            norm = self.clip_gradients(math.inf if plan.clip is None else plan.clip)
            if plan.most_skipped is not None and not bool(torch.isfinite(norm)):
                self._skip(plan.most_skipped)
                return
        self.optimiser.step()
        self._skipped_on_end = 0

    def _skip(self, most: int) -> None:
        self._skipped += 1
        self._skipped_on_end += 1
        if self._skipped_on_end > most:
            raise NotFiniteError(
                f"{self.name}: gradients have not been finite for {most} steps on end; use a lower learning rate "
                "or --dtype float32"
            )

    def _validate_if_due(self) -> None:
        every, step = self.plan.validate_every, self._step
        if every is None or self._validated == step or not (step % every == 0 or step == self.plan.steps):
            return
        scores = self.evaluate()
        with uninterrupted():
            self.validated(scores)
            self._validated = step


def own_random_numbers(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """What is seeded and drawn inside leaves the global generators as they were."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def prepared_ahead(
    prepare: Callable[[Item], Prepared], items: Iterable[Item], device: torch.device
) -> Iterator[Prepared]:
    """``prepare`` of each item in turn; beside a GPU the next one is made in a thread while the one before is computed."""
    if device.type != "cuda":
        yield from map(prepare, items)
        return
    with ThreadPoolExecutor(max_workers=1) as pool:
        following: Future[Prepared] | None = None
        for item in items:
            ready, following = following, pool.submit(prepare, item)
            if ready is not None:
                yield ready.result()
        if following is not None:
            yield following.result()
