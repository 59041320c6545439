"""Pretraining: any backbone with any objective.

A run is a folder. The same command goes on where a run stopped, and gives bit for bit what an uninterrupted run gives on the
CPU: everything random is a function of (seed, step, micro-batch), so a checkpoint needs no state of a generator, and what a
micro-batch draws depends neither on how many processes there are nor on when the run was interrupted.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from findna_bench.cards import Pretraining as ReadBefore
from findna_bench.errors import ModelError, PluginError, UsageError
from findna_bench.models.precision import compute_precision
from findna_bench.plugin_code import plugin_code
from findna_bench.training.corpus import Corpus
from findna_bench.training.log import TrainingLog, draw_curves
from findna_bench.training.loop import Plan, TrainingLoop, prepared_ahead
from findna_bench.training.objective import Objective, exported_networks, take_step
from findna_bench.training.pretrain_settings import PretrainSettings
from findna_bench.training.ranks import Ranks
from findna_bench.training.run_folder import ModelFolder, RunFolder
from findna_bench.training.schedules import parameter_groups
from findna_bench.training.training_checkpoints import Checkpoint

__all__ = ["PretrainReport", "Pretraining", "Reporter", "SilentReporter"]

_VALIDATION_STREAM, _EPOCH_STREAM, _ROWS_STREAM = 1, 2, 3


class Reporter(Protocol):
    """Who follows how a run goes."""

    def started(self, total_steps: int, done: int, description: str) -> None:
        """Before the first step."""

    def progress(self, step: int, total_steps: int, values: Mapping[str, float], seconds_left: float) -> None:
        """After some steps."""

    def note(self, text: str) -> None:
        """Worth a line."""


class SilentReporter:
    """Prints nothing."""

    def started(self, total_steps: int, done: int, description: str) -> None: ...

    def progress(self, step: int, total_steps: int, values: Mapping[str, float], seconds_left: float) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass(frozen=True)
class PretrainReport:
    """folder: the model folder. steps: optimiser steps of the whole run. resumed_from: step at which this call began.
    seconds: of all calls together. validation: last validation metrics."""

    folder: Path
    steps: int
    resumed_from: int
    seconds: float
    validation: Mapping[str, float]
    networks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return {
            "folder": str(self.folder),
            "steps": self.steps,
            "resumed_from": self.resumed_from,
            "seconds": self.seconds,
            "networks": list(self.networks),
            "validation": dict(self.validation),
        }


@dataclass(frozen=True)
class _Part:
    """Rows (B, L) of a micro-batch that are read at once, its randomness, and which share of it they are."""

    codes: Tensor
    generator: torch.Generator
    share: float


class Pretraining(TrainingLoop[list[Tensor], _Part, dict[str, Tensor]]):
    """A run in a folder. A batch is this process's micro-batches of one step.

    objective: on ``device``, freshly made (its parameters are the starting point). identity: whatever else decides the
    numbers (backbone and sizes, digest of initial weights); it is stored, and a folder of another identity is refused.
    read: what the finished model will have read, for its folder; None where nobody knows.
    log_every, checkpoint_minutes, checkpoint_steps, validate_every do not change the numbers.

    Raises:
        UsageError: too few rows for one batch, or the folder holds another run.
    """

    def __init__(
        self,
        objective: Objective,
        corpus: Corpus,
        validation: Corpus | None,
        settings: PretrainSettings,
        folder: Path,
        *,
        model: ModelFolder,
        identity: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
        read: ReadBefore | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
        ranks: Ranks | None = None,
        reporter: Reporter | None = None,
        log_every: int = 50,
        validate_every: int | None = None,
        checkpoint_minutes: float = 10.0,
        checkpoint_steps: int | None = None,
        tensorboard: bool = False,
        curves: bool = True,
        overwrite: bool = False,
    ) -> None:
        ranks, device = ranks or Ranks(), device or torch.device("cpu")
        self.objective, self.corpus, self.validation, self.settings = objective, corpus, validation, settings
        self.model, self.read, self.reporter = model, read, reporter or SilentReporter()
        self.log_every, self.tensorboard, self.curves = log_every, tensorboard, curves
        self._writer: Any = None
        if tensorboard:
            _summary_writer()  # a package that is missing is missed before the first step
        self.per_epoch = _steps_per_epoch(corpus, settings)
        self.micro_batches = _micro_batches(settings, ranks)
        plan = _plan(settings, self.per_epoch, None if validation is None else validate_every or self.per_epoch)
        self.folder = RunFolder(
            folder,
            self._decides(dtype, device) | dict(identity or {}),
            {"total_steps": plan.steps, **(provenance or {})},
        )
        self._finished = self._check_folder(overwrite, ranks)
        groups = parameter_groups(objective, settings.weight_decay, decay_biases=settings.decay_biases)
        super().__init__(
            model.backbone,
            plan,
            objective.trainable_parameters(),
            torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas, fused=True),
            device,
            dtype=dtype,
            ranks=ranks,
            checkpoint=Checkpoint(
                self.folder.checkpoint, self.folder.identity, 60 * checkpoint_minutes, checkpoint_steps
            ),
        )
        self.log = TrainingLog(self.folder.log)
        self._epoch: tuple[int, np.ndarray] | None = None
        self._sums: dict[str, Tensor] = {}
        self._last_validation: dict[str, float] = {}
        self._rows_at_once: int | None = None
        self._buffers: dict[str, Tensor] = {}

    def _decides(self, dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
        """Everything that decides the numbers."""
        return {
            "settings": asdict(self.settings),
            "objective": _settings_of(self.objective, self.settings.objective),
            "model": {"backbone": self.model.backbone, "config": dict(self.model.config)},
            "corpus": self.corpus.digest(),
            "validation": self.validation.digest() if self.validation is not None else None,
            "rows": len(self.corpus),
            "micro_batches": self.micro_batches,
            "dtype": str(dtype).removeprefix("torch."),
            "device": device.type,
            **({"threads": torch.get_num_threads()} if device.type == "cpu" else {}),
        }

    def _check_folder(self, overwrite: bool, ranks: Ranks) -> bool:
        if not overwrite:
            return self.folder.check()
        if ranks.first:
            self.folder.clear()
        ranks.wait()
        return False

    # ---------------------------------------------------------------------------------------------------- the run

    def run(self) -> PretrainReport:
        """Train to the end, from the last checkpoint where there is one, and write the model folder.

        Raises:
            ModelError: the loss is NaN or infinite, or one sequence does not fit into memory.
            OutputError: the folder cannot be written.
        """
        if self._finished:
            found = self.folder.found()
            self.reporter.note(f"{self.folder.path} is finished already ({self.plan.steps} steps)")
            return self._report_of(self.plan.steps, found["seconds"], found["validation_metrics"], found["networks"])
        self.resume()
        self.ranks.broadcast(self.objective)
        resumed_from = self._step
        if self.ranks.first:
            self.folder.begin()
            self.log.resume(self._step)
        self.reporter.started(self.plan.steps, self._step, f"{len(self.corpus)} sequences")
        self.objective.train()
        try:
            self.train()
        finally:
            if self._writer is not None:
                self._writer.close()
        seconds = self.seconds
        self._finish(seconds)
        return self._report_of(resumed_from, seconds, self._last_validation, self.objective.export())

    def _report_of(
        self, resumed_from: int, seconds: float, validation: Mapping[str, float], networks: Any
    ) -> PretrainReport:
        return PretrainReport(self.folder.path, self.plan.steps, resumed_from, seconds, validation, tuple(networks))

    def _finish(self, seconds: float) -> None:
        if self.ranks.first:
            if self.curves:
                draw_curves(self.log.path, self.folder.curves)
            networks = exported_networks(self.objective, f"objective {self.settings.objective!r}")
            results = {
                "seconds": round(seconds, 1),
                "processes": self.ranks.world,
                "networks": list(networks),
                "validation_metrics": self._last_validation,
                **({} if self._rows_at_once is None else {"rows_at_once": self._rows_at_once}),
            }
            self.folder.finish(networks, self.model, self.read, results)
        self.ranks.wait()

    def state(self) -> dict[str, Any]:
        return {
            "objective": self.objective.state_dict(),
            "sums": dict(self._sums),
            "validation": self._last_validation,
            "rows_at_once": self._rows_at_once,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.objective.load_state_dict(state["objective"])
        self._sums = {name: value.to(self.device) for name, value in state["sums"].items()}
        self._last_validation = dict(state["validation"])
        self._rows_at_once = state["rows_at_once"]

    # --------------------------------------------------------------------------------------------------- one step

    def batches(self) -> Generator[list[Tensor], None, None]:
        """On a GPU the next step's sequences are read while the current one is computed."""
        for parts in prepared_ahead(self._load, range(self._step, self.plan.steps), self.device):
            batch = [part.to(self.device, non_blocking=True) for part in parts]
            self._buffers = {name: buffer.clone() for name, buffer in self.objective.named_buffers()}
            yield batch

    def _load(self, step: int) -> list[Tensor]:
        """This process's micro-batches of one step, in memory that a GPU can fetch from."""
        generator = np.random.default_rng([self.settings.seed, _ROWS_STREAM, step])
        codes = torch.from_numpy(np.ascontiguousarray(self.corpus.batch(self._rows(step), generator)))
        parts = codes.chunk(self.micro_batches)
        own = [parts[number] for number in self._own_parts()]
        return [part.pin_memory() for part in own] if self.device.type == "cuda" else own

    def _rows(self, step: int) -> np.ndarray:
        epoch, index = divmod(step, self.per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            generator = np.random.default_rng([self.settings.seed, _EPOCH_STREAM, epoch])
            self._epoch = (epoch, self.corpus.epoch(generator, self.settings.batch_size))
        rows: np.ndarray = self._epoch[1][index]
        return rows

    def _own_parts(self) -> range:
        """Numbers of the micro-batches that this process computes."""
        return range(self.ranks.rank, self.micro_batches, self.ranks.world)

    def parts(self, batch: list[Tensor]) -> Iterator[_Part]:
        """Whole micro-batches, until memory says otherwise."""
        for number, codes in zip(self._own_parts(), batch, strict=True):
            generator = self._generator(self._step, number)
            for some in codes.split(self._rows_at_once or len(codes)):
                yield _Part(some, generator, len(some) / len(codes))

    def _generator(self, step: int, part: int, stream: int = 0) -> torch.Generator:
        """Randomness of one micro-batch: augmentations from the generator, dropout from torch's global one, set here too."""
        seed = _mixed(self.settings.seed, stream, step, part)
        if stream == 0:
            torch.manual_seed(seed)
        return torch.Generator(self.device).manual_seed(seed)

    def loss(self, part: _Part) -> tuple[Tensor, dict[str, Tensor]]:
        name = self.settings.objective
        result = take_step(self.objective, "training_step", name, part.codes, self._step, part.generator)
        if not result["loss"].requires_grad:
            raise PluginError(f"objective {name!r}: training_step gives a loss that no parameter had a part in")
        values = {name: value.detach().double() * part.share for name, value in result.items()}
        return result["loss"] / (self.micro_batches / part.share), values

    def divide(self, batch: list[Tensor]) -> None:
        largest = min(self._rows_at_once or len(batch[0]), len(batch[0]))
        if largest == 1:
            raise ModelError(
                f"{self.name}: pretraining on one sequence of {batch[0].shape[1]:,} bases does not fit into the memory of "
                f"{self.device}; use a smaller --window-length, a smaller model or another device"
            )
        self._rows_at_once = (largest + 1) // 2
        for name, buffer in self.objective.named_buffers():  # which the failed attempt may have added to
            buffer.copy_(self._buffers[name])
        self.reporter.note(
            f"{largest} sequences at once do not fit into memory, going on with {self._rows_at_once}; "
            "--accumulate divides batches from the first step on"
        )

    # -------------------------------------------------------------------------------------------------- reporting

    def stepped(self, outcomes: list[dict[str, Tensor]]) -> None:
        with plugin_code(f"objective {self.settings.objective!r}: after_step"):
            self.objective.after_step(self._step - 1, self.plan.steps)
        self._collect(outcomes)
        if self._step % self.log_every == 0 or self._step == self.plan.steps:
            self._report()

    def _collect(self, outcomes: list[dict[str, Tensor]]) -> None:
        """Add to sums that stay on the device, so that nothing waits for it."""
        for values in outcomes:
            for name, value in values.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
        own = len(self._own_parts())
        self._sums["_parts"] = self._sums.get("_parts", torch.zeros((), device=self.device)) + own

    def _means(self) -> dict[str, float]:
        """Means over micro-batches and processes since the last call."""
        names = list(self._sums)
        totals = self.ranks.total(torch.stack([self._sums[name].double() for name in names])).tolist()
        self._sums = {}
        sums = dict(zip(names, totals, strict=True))
        parts = sums.pop("_parts")
        return {name: value / parts for name, value in sums.items()}

    def _report(self) -> None:
        means = self._means()
        if not math.isfinite(means["loss"]):
            raise ModelError(
                f"the loss is {means['loss']} after {self._step} steps; lower --lr, or use --dtype float32"
            )
        speed = {"sequences_per_second": self.settings.batch_size / self.seconds_per_step}
        self._write("train", speed | means)
        left = (self.plan.steps - self._step) * self.seconds_per_step
        self.reporter.progress(self._step, self.plan.steps, means, left)

    def evaluate(self) -> dict[str, float]:
        """Mean metrics over the validation rows, always the same rows with the same augmentations.

        Every process computes all of them: they are few, and so no process waits for a sum another never sends.
        """
        assert self.validation is not None
        self.objective.eval()
        sums: dict[str, float] = {}
        size = min(self.settings.batch_size, len(self.validation))
        batches = self.validation.epoch(np.random.default_rng([self.settings.seed, _VALIDATION_STREAM]), size)
        for number, rows in enumerate(batches):
            rows_rng = np.random.default_rng([self.settings.seed, _VALIDATION_STREAM, number])
            codes = torch.from_numpy(np.ascontiguousarray(self.validation.batch(rows, rows_rng)))
            with torch.no_grad(), compute_precision(self.device, self.dtype):
                generator = self._generator(number, 0, _VALIDATION_STREAM)
                name, held_out = self.settings.objective, codes.to(self.device)
                result = take_step(self.objective, "validation_step", name, held_out, generator)
            for name, value in result.items():
                sums[name] = sums.get(name, 0.0) + float(value)
        self.objective.train()
        return {name: value / len(batches) for name, value in sums.items()}

    def validated(self, scores: dict[str, float]) -> None:
        self._last_validation = scores
        self._write("validation", scores)

    def _write(self, split: str, values: Mapping[str, float]) -> None:
        """A row of the log, and of tensorboard's where there is one."""
        if not self.ranks.first:
            return
        row = {"seconds": self.seconds, "lr": self.optimiser.param_groups[0]["lr"], **values}
        self.log.write(self._step, split, row)
        if not self.tensorboard:
            return
        if self._writer is None:
            self._writer = _summary_writer()(str(self.folder.path / "tensorboard"), purge_step=self._step)
        for name, value in row.items():
            self._writer.add_scalar(f"{split}/{name}", value, self._step)
        self._writer.flush()


def _settings_of(objective: Objective, name: str) -> dict[str, Any]:
    """What an objective says of itself.

    Raises:
        PluginError: it cannot be written as JSON.
    """
    with plugin_code(f"objective {name!r}: settings"):
        settings = dict(objective.settings())
        json.dumps(settings)
    return settings


def _steps_per_epoch(corpus: Corpus, settings: PretrainSettings) -> int:
    """Full batches.

    Raises:
        UsageError: there is none.
    """
    steps = len(corpus) // settings.batch_size
    if steps < 1:
        raise UsageError(
            f"{len(corpus)} sequences do not fill one batch of {settings.batch_size}; give more, or a smaller --batch-size"
        )
    return steps


def _micro_batches(settings: PretrainSettings, ranks: Ranks) -> int:
    """Per step, over all processes: as many for each of them.

    Raises:
        UsageError: a batch cannot be divided so.
    """
    parts = settings.accumulate if settings.accumulate % ranks.world == 0 else settings.accumulate * ranks.world
    if settings.batch_size % parts:
        raise UsageError(
            f"a batch of {settings.batch_size} cannot be divided into {parts} equal parts; "
            f"choose --batch-size and --accumulate for {ranks.world} processes"
        )
    return parts


def _plan(settings: PretrainSettings, per_epoch: int, validate_every: int | None) -> Plan:
    steps = settings.steps or settings.epochs * per_epoch
    return Plan(
        steps=steps,
        warmup=round(settings.warmup * steps),
        schedule=settings.schedule,  # type: ignore[arg-type]
        validate_every=validate_every,
        clip=settings.clip,
    )


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("--tensorboard needs the package tensorboard: pip install tensorboard") from error
    return SummaryWriter


def _mixed(*numbers: int) -> int:
    """One 63-bit seed from several numbers; neighbours give unrelated seeds."""
    digest = hashlib.blake2b(",".join(map(str, numbers)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
