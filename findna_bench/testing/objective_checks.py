"""Does a pretraining objective keep its contract (:class:`findna_bench.training.objective.Objective`)?

It is built around a small network of one token per base, takes a few optimiser steps as the training loop would, and is stopped
and taken up again.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor, nn

from findna_bench.models.backbone import Backbone, Encoding, TokenBatch
from findna_bench.registry import Registry, load_factory
from findna_bench.sequences.alphabet import encode_padded, one_hot
from findna_bench.testing.check_report import Checklist, Fault, Report
from findna_bench.training.objective import Objective

__all__ = ["OneTokenPerBase", "check_objective"]

_STEPS = 3


def check_objective(name: str, registry: Registry) -> Report:
    """All checks of the objective called ``name``, with its own defaults."""
    subject, checklist = _Subject(name, registry), Checklist("objective", name)
    if checklist.check("loads", subject.loads) and checklist.check("step", subject.step):
        checklist.check("deterministic", subject.deterministic)
        checklist.check("validation", subject.validation)
        checklist.check("resume", subject.resume)
        checklist.check("export", subject.export)
        checklist.check("settings", subject.settings)
    return checklist.report()


class OneTokenPerBase(Backbone):
    """A small network that objectives are tried on: (B, T) codes or (B, T, 5) rows, a linear ``head`` from D to the five letters."""

    head_prefixes = ("head.",)

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.embed_dim, self.n_layers, self.max_length = width, 1, None
        self.embedding = nn.Linear(5, width)
        self.convolution = nn.Conv1d(width, width, kernel_size=5, padding=2)
        self.head = nn.Linear(width, 5)

    def tokenizer_digest(self) -> str:
        return "one token per base"

    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        codes = torch.from_numpy(encode_padded(sequences))
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        mask = torch.arange(codes.shape[1])[None] < lengths[:, None]
        return TokenBatch(codes, mask, torch.zeros_like(mask), mask.long(), lengths)

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        rows = batch.inputs if batch.inputs.dim() == 3 else one_hot(batch.inputs)
        embedded = self.embedding(rows.float()) * batch.mask[..., None]
        hidden = embedded + torch.tanh(self.convolution(embedded.mT).mT)
        kept = {number: state for number, state in enumerate((embedded, hidden)) if number in (layers or ())}
        return Encoding(hidden, layers=kept if layers is not None else None)

    def logits(self, batch: TokenBatch) -> Tensor:
        logits: Tensor = self.head(self.forward(batch).tokens)
        return logits


class _Subject:
    def __init__(self, name: str, registry: Registry) -> None:
        self.name, self.registry = name, registry
        self.batch = torch.randint(0, 4, (4, 60), dtype=torch.uint8, generator=Generator().manual_seed(1))

    def make(self) -> Objective:
        """A fresh one around a fresh network, always the same."""
        card = self.registry.resolve("objectives", self.name).card
        factory = load_factory(card.factory, f"objective {card.name!r}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            objective: Objective = factory(OneTokenPerBase())
        return objective

    @cached_property
    def made(self) -> Objective:
        return self.make()

    def optimiser(self, objective: Objective) -> torch.optim.Optimizer:
        return torch.optim.SGD(objective.trainable_parameters(), lr=1e-2)

    def train(self, objective: Objective, steps: range, *, total: int = _STEPS) -> list[float]:
        """Losses of some steps of the training loop."""
        optimiser, losses = self.optimiser(objective), []
        objective.train()
        for step in steps:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(step)
                found = objective.training_step(self.batch.clone(), step, Generator().manual_seed(step))
            optimiser.zero_grad(set_to_none=True)
            found["loss"].backward()
            optimiser.step()
            objective.after_step(step, total)
            losses.append(float(found["loss"].detach()))
        return losses

    # ------------------------------------------------------------------------------------------------- the checks

    def loads(self) -> str:
        if not isinstance(self.made, Objective):
            raise Fault(f"its factory made a {type(self.made).__name__}, which is no findna_bench.api.Objective")
        if not (trainable := self.made.trainable_parameters()):
            raise Fault("trainable_parameters is empty: there is nothing to train")
        return f"built around a small network, with {sum(p.numel() for p in trainable):,} trainable parameters"

    def step(self) -> str:
        objective = self.make()
        batch = self.batch.clone()
        found = objective.training_step(batch, 0, Generator().manual_seed(0))
        loss = found.get("loss") if isinstance(found, Mapping) else None
        if not isinstance(loss, Tensor) or loss.dim() != 0:
            raise Fault("training_step must return a mapping with `loss`, a scalar tensor")
        if not bool(torch.isfinite(loss)):
            raise Fault(f"the loss is {float(loss.detach())}")
        if other := [name for name, value in found.items() if not isinstance(value, Tensor) or value.numel() != 1]:
            raise Fault(f"training_step returns {other[0]!r}, which is no scalar tensor and cannot be logged")
        if not torch.equal(batch, self.batch):
            raise Fault("training_step changes its batch in place")
        if not loss.requires_grad:
            raise Fault("the loss has no gradient")
        loss.backward()
        if all(p.grad is None or not bool(p.grad.any()) for p in objective.trainable_parameters()):
            raise Fault("no gradient reaches the trainable parameters")
        if any(p.grad is not None and not bool(torch.isfinite(p.grad).all()) for p in objective.trainable_parameters()):
            raise Fault("a gradient holds NaN or infinity")
        return f"a training step gives a finite loss ({float(loss.detach()):.3f}) whose gradients reach the parameters"

    def deterministic(self) -> str:
        if self.train(self.make(), range(_STEPS)) != self.train(self.make(), range(_STEPS)):
            raise Fault("the same steps twice give other losses: draw from the generator given, or from torch's own")
        return f"{_STEPS} steps twice give the same losses"

    def validation(self) -> str:
        objective = self.make()
        self.train(objective, range(1))
        before = copy.deepcopy(objective.state_dict())
        objective.eval()
        found = objective.validation_step(self.batch.clone(), Generator().manual_seed(5))
        if "loss" not in found:
            raise Fault("validation_step returns no `loss`")
        changed = _difference(before, objective.state_dict())
        if changed:
            raise Fault(f"validation_step changes {changed}")
        return "a validation step gives a loss and changes no state"

    def resume(self) -> str:
        whole = self.train(self.make(), range(_STEPS))
        stopped = self.make()
        self.train(stopped, range(1))
        taken_up = self.make()
        taken_up.load_state_dict(copy.deepcopy(stopped.state_dict()))
        if self.train(taken_up, range(1, _STEPS)) != whole[1:]:
            raise Fault(
                "taken up from its state_dict it goes on otherwise than without a stop: keep all state in buffers"
            )
        return "stopped after a step and taken up from its state_dict, it goes on the same"

    def export(self) -> str:
        networks = self.made.export()
        if (
            not isinstance(networks, Mapping)
            or not networks
            or not all(isinstance(n, nn.Module) for n in networks.values())
        ):
            raise Fault("export must return networks by name, the one to use downstream first")
        wrong = [name for name, network in networks.items() if not isinstance(network, Backbone)]
        if wrong:
            raise Fault(f"export gives {wrong[0]!r}, which is no backbone and cannot be saved as a model")
        return f"it exports {', '.join(networks)}"

    def settings(self) -> str:
        settings: Any = self.made.settings()
        try:
            json.dumps(dict(settings), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise Fault(f"settings() cannot be written as JSON ({error})") from error
        return f"settings are JSON: {', '.join(settings) or 'none'}"


def _difference(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> str:
    """The first name whose values differ, empty where none does."""
    return next((name for name in before if not torch.equal(before[name], after[name])), "")
