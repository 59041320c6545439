"""Pretraining: one loop for any backbone with any objective.

A run is a folder. The same command goes on where a run stopped, and gives bit for bit what an uninterrupted run gives on the
CPU: everything random is a function of (seed, step, micro-batch), so a checkpoint needs no state of a generator, and what a
micro-batch draws depends neither on how many processes there are nor on when the run was interrupted.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from findna_bench.cards import Pretraining as ReadBefore
from findna_bench.errors import ModelError, OutputError, UsageError
from findna_bench.files import stable_hash, write_json
from findna_bench.models.folders import save_model_folder
from findna_bench.models.precision import compute_precision
from findna_bench.results.environment import environment
from findna_bench.training.corpus import Corpus
from findna_bench.training.log import TrainingLog, draw_curves
from findna_bench.training.objective import Objective
from findna_bench.training.ranks import Ranks
from findna_bench.training.schedules import learning_rate_factor, parameter_groups, set_learning_rate
from findna_bench.training.training_checkpoints import load_checkpoint, save_checkpoint

__all__ = ["ModelFolder", "PretrainReport", "PretrainSettings", "Pretraining", "Reporter", "SilentReporter"]

CHECKPOINT = "checkpoint.pt"
TRAINING = "training.json"
_VALIDATION_STREAM, _EPOCH_STREAM, _ROWS_STREAM = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """Everything that decides the numbers of a run besides model and data.

    Raises:
        UsageError: a number is out of range.
    """

    objective: str = ""
    """Name of an objective."""
    objective_options: Mapping[str, Any] = field(default_factory=dict)
    backbone: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the backbone that replace the model card's."""
    windows: int = 100_000
    window_length: int = 1000
    sampling: str = "uniform-chromosome"
    max_n_frac: float = 1.0
    validation_windows: int = 1000
    """Drawn first; training windows do not touch them."""
    epochs: int = 1
    steps: int | None = None
    """Optimiser steps; overrules ``epochs``."""
    batch_size: int = 64
    """Sequences per optimiser step over all processes."""
    accumulate: int = 1
    """Micro-batches per optimiser step; raised to a multiple of the number of processes."""
    lr: float = 3e-4
    weight_decay: float = 3e-4
    decay_biases: bool = True
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float | None = 0.5
    """Norm to which gradients are clipped."""
    warmup: float = 0.3
    """Share of all steps."""
    schedule: str = "cosine"
    seed: int = 0

    def __post_init__(self) -> None:
        # Presets come from JSON-like mappings, where a pair is a list.
        object.__setattr__(self, "betas", tuple(self.betas))
        for name in ("windows", "window_length", "batch_size", "accumulate", "epochs"):
            if getattr(self, name) < 1:
                raise UsageError(f"pretraining: {name} must be at least 1, not {getattr(self, name)}")
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"pretraining: steps must be at least 1, not {self.steps}")
        if self.batch_size % self.accumulate:
            raise UsageError(
                f"pretraining: a batch of {self.batch_size} cannot be divided into {self.accumulate} equal parts"
            )
        if not self.lr > 0 or not 0 <= self.warmup <= 1:
            raise UsageError("pretraining: lr must be positive and warmup a share between 0 and 1")

    @classmethod
    def of(cls, values: Mapping[str, Any], where: str) -> PretrainSettings:
        """From a preset's mapping.

        Raises:
            UsageError: a name is no setting.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UsageError(f"{where}: pretraining has no setting {unknown[0]!r}; it has {', '.join(sorted(known))}")
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """How the trained networks are written: arguments of :func:`findna_bench.models.folders.save_model_folder`."""

    backbone: str
    config: Mapping[str, Any]
    pooling: str = "mean"
    pooling_source: str = ""
    notes: tuple[str, ...] = ()


class Reporter(Protocol):
    """Who is told how a run goes."""

    def started(self, total_steps: int, done: int, description: str) -> None:
        """Before the first step."""

    def progress(self, step: int, total_steps: int, values: Mapping[str, float], seconds_left: float) -> None:
        """After some steps."""

    def note(self, text: str) -> None:
        """Worth a line."""


class SilentReporter:
    """Tells nobody."""

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


class Pretraining:
    """A run in a folder.

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
        self.objective, self.corpus, self.validation, self.settings = objective, corpus, validation, settings
        self.folder, self.model, self.read = folder, model, read
        self.device, self.dtype = device or torch.device("cpu"), dtype
        self.ranks, self.reporter = ranks or Ranks(), reporter or SilentReporter()
        self.log_every, self.checkpoint_minutes, self.checkpoint_steps = log_every, checkpoint_minutes, checkpoint_steps
        self.tensorboard, self.curves = tensorboard, curves
        self._writer: Any = None
        if tensorboard:
            _summary_writer()  # a package that is missing is missed before the first step
        self.per_epoch = len(corpus) // settings.batch_size
        if self.per_epoch < 1:
            raise UsageError(
                f"{len(corpus)} sequences do not fill one batch of {settings.batch_size}; give more, or a smaller --batch-size"
            )
        self.total_steps = settings.steps or settings.epochs * self.per_epoch
        self.validate_every = validate_every or self.per_epoch
        parts = settings.accumulate
        self.micro_batches = parts if parts % self.ranks.world == 0 else parts * self.ranks.world
        if settings.batch_size % self.micro_batches:
            raise UsageError(
                f"a batch of {settings.batch_size} cannot be divided into {self.micro_batches} equal parts; "
                f"choose --batch-size and --accumulate for {self.ranks.world} processes"
            )
        self.record = self._record(identity or {}, provenance or {})
        self._check_folder(overwrite)
        self.parameters = objective.trainable_parameters()
        self.optimiser = self._optimiser()
        self.log = TrainingLog(folder / "log.csv")
        self._epoch: tuple[int, np.ndarray] | None = None
        self._step, self._seconds = 0, 0.0
        self._sums: dict[str, Tensor] = {}
        self._last_validation: dict[str, float] = {}

    # ------------------------------------------------------------------------------------------------- the folder

    def _record(self, identity: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, Any]:
        decides = {
            "settings": asdict(self.settings),
            "objective": dict(self.objective.settings()),
            "model": {"backbone": self.model.backbone, "config": dict(self.model.config)},
            "corpus": self.corpus.digest(),
            "validation": self.validation.digest() if self.validation is not None else None,
            "rows": len(self.corpus),
            "micro_batches": self.micro_batches,
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": self.device.type,
            **({"threads": torch.get_num_threads()} if self.device.type == "cpu" else {}),
            **identity,
        }
        return {"identity": stable_hash(decides), **decides, "total_steps": self.total_steps, **provenance}

    def _check_folder(self, overwrite: bool) -> None:
        """Refuse to mix two runs in one folder."""
        path = self.folder / TRAINING
        self._finished = False
        if not path.is_file():
            if (self.folder / "config.json").exists() and not overwrite:
                raise UsageError(f"{self.folder} holds a model already; choose another --output or say --overwrite")
            return
        if overwrite:
            if self.ranks.first:
                for name in (TRAINING, CHECKPOINT, "log.csv", "config.json", "model.safetensors", "curves.png"):
                    (self.folder / name).unlink(missing_ok=True)
            self.ranks.wait()
            return
        found = _read_record(path)
        if found.get("identity") != self.record["identity"]:
            raise UsageError(
                f"{self.folder} holds another pretraining ({_difference(found, self.record)}); "
                "choose another --output or say --overwrite"
            )
        self._finished = found.get("status") == "finished"

    def _optimiser(self) -> torch.optim.Optimizer:
        groups = parameter_groups(self.objective, self.settings.weight_decay, decay_biases=self.settings.decay_biases)
        return torch.optim.AdamW(groups, lr=self.settings.lr, betas=self.settings.betas, fused=True)

    def _save(self) -> None:
        if not self.ranks.first:
            return
        save_checkpoint(
            self.folder / CHECKPOINT,
            {
                "identity": self.record["identity"],
                "step": self._step,
                "seconds": self._seconds,
                "objective": self.objective.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "sums": dict(self._sums),
                "validation": self._last_validation,
            },
        )

    def _resume(self) -> None:
        state = load_checkpoint(self.folder / CHECKPOINT)
        if state is None:
            return
        if state.get("identity") != self.record["identity"]:
            raise OutputError(f"{self.folder / CHECKPOINT} is of another run; remove it to begin again")
        self.objective.load_state_dict(state["objective"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._step, self._seconds = int(state["step"]), float(state["seconds"])
        self._sums = {name: value.to(self.device) for name, value in state["sums"].items()}
        self._last_validation = dict(state["validation"])

    # --------------------------------------------------------------------------------------------------- the loop

    def run(self) -> PretrainReport:
        """Train to the end, from the last checkpoint where there is one, and write the model folder.

        Raises:
            ModelError: the loss is NaN or infinite. OutputError: the folder cannot be written.
        """
        if self._finished:
            found = _read_record(self.folder / TRAINING)
            self.reporter.note(f"{self.folder} is finished already ({self.total_steps} steps)")
            return PretrainReport(
                self.folder,
                self.total_steps,
                self.total_steps,
                found["seconds"],
                found["validation_metrics"],
                tuple(found["networks"]),
            )
        self._resume()
        self.ranks.broadcast(self.objective)
        resumed_from = self._step
        if self.ranks.first:
            for left in self.folder.glob(".*.part"):  # of a process that was killed while it wrote
                left.unlink(missing_ok=True)
            write_json(self.folder / TRAINING, {"status": "running", **self.record})
            self.log.resume(self._step)
        self.reporter.started(self.total_steps, self._step, f"{len(self.corpus)} sequences")
        try:
            with self._batches() as batches:
                self._loop(batches)
        except KeyboardInterrupt:
            self._save()
            raise
        finally:
            if self._writer is not None:
                self._writer.close()
        self._export()
        return PretrainReport(
            self.folder,
            self.total_steps,
            resumed_from,
            self._seconds,
            self._last_validation,
            tuple(self.objective.export()),
        )

    def _loop(self, batches: Iterator[Sequence[Tensor]]) -> None:
        self.objective.train()
        began, first = time.monotonic() - self._seconds, self._step
        started = saved = time.monotonic()
        while self._step < self.total_steps:
            rate = self._one_step(next(batches))
            self._step += 1
            done = self._step == self.total_steps
            if self._step % self.log_every == 0 or done:
                self._seconds = time.monotonic() - began
                self._report(rate, (time.monotonic() - started) / (self._step - first))
            if self.validation is not None and (self._step % self.validate_every == 0 or done):
                self._validate(rate)
            due = time.monotonic() - saved > 60 * self.checkpoint_minutes
            due = due or (self.checkpoint_steps is not None and self._step % self.checkpoint_steps == 0)
            if due and not done:
                self._seconds = time.monotonic() - began
                self._save()
                saved = time.monotonic()
        self._seconds = time.monotonic() - began

    def _one_step(self, parts: Sequence[Tensor]) -> float:
        """Gradients of all micro-batches, over all processes, then one optimiser step; returns the learning rate."""
        warmup = round(self.settings.warmup * self.total_steps)
        factor = learning_rate_factor(self._step, self.total_steps, warmup, self.settings.schedule)  # type: ignore[arg-type]
        rate = set_learning_rate(self.optimiser, factor)
        self.optimiser.zero_grad(set_to_none=True)
        for number, batch in zip(self._own_parts(), parts, strict=True):
            generator = self._generator(self._step, number)
            with compute_precision(self.device, self.dtype):
                result = self.objective.training_step(batch, self._step, generator)
            (result["loss"] / self.micro_batches).backward()
            self._collect(result)
        self.ranks.sum_gradients(self.parameters)
        if self.settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.optimiser.step()
        self.objective.after_step(self._step, self.total_steps)
        return rate

    def _own_parts(self) -> range:
        """Numbers of the micro-batches that this process computes."""
        return range(self.ranks.rank, self.micro_batches, self.ranks.world)

    def _generator(self, step: int, part: int, stream: int = 0) -> torch.Generator:
        """Randomness of one micro-batch: augmentations from the generator, dropout from torch's global one, set here too."""
        seed = _mixed(self.settings.seed, stream, step, part)
        if stream == 0:
            torch.manual_seed(seed)
        return torch.Generator(self.device).manual_seed(seed)

    def _rows(self, step: int) -> np.ndarray:
        epoch, index = divmod(step, self.per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            generator = np.random.default_rng([self.settings.seed, _EPOCH_STREAM, epoch])
            self._epoch = (epoch, self.corpus.epoch(generator, self.settings.batch_size))
        rows: np.ndarray = self._epoch[1][index]
        return rows

    def _load(self, step: int) -> list[Tensor]:
        """This process's micro-batches of one step, in memory that a GPU can fetch from."""
        generator = np.random.default_rng([self.settings.seed, _ROWS_STREAM, step])
        codes = torch.from_numpy(np.ascontiguousarray(self.corpus.batch(self._rows(step), generator)))
        parts = codes.chunk(self.micro_batches)
        own = [parts[number] for number in self._own_parts()]
        return [part.pin_memory() for part in own] if self.device.type == "cuda" else own

    @contextmanager
    def _batches(self) -> Iterator[Iterator[Sequence[Tensor]]]:
        """Batches from the current step on; on a GPU the next one is read while the current one is computed."""
        if self.device.type != "cuda":
            yield (self._load(step) for step in range(self._step, self.total_steps))
            return
        with ThreadPoolExecutor(max_workers=1) as pool:
            yield self._ahead(pool)

    def _ahead(self, pool: ThreadPoolExecutor) -> Iterator[Sequence[Tensor]]:
        waiting: Future[list[Tensor]] = pool.submit(self._load, self._step)
        for step in range(self._step, self.total_steps):
            parts = waiting.result()
            if step + 1 < self.total_steps:
                waiting = pool.submit(self._load, step + 1)
            yield [part.to(self.device, non_blocking=True) for part in parts]

    # -------------------------------------------------------------------------------------------------- reporting

    def _collect(self, result: Mapping[str, Tensor]) -> None:
        """Add to sums that stay on the device, so that nothing waits for it."""
        for name, value in result.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach().double()
        self._sums["_parts"] = self._sums.get("_parts", torch.zeros((), device=self.device)) + 1

    def _means(self) -> dict[str, float]:
        """Means over micro-batches and processes since the last call."""
        names = list(self._sums)
        totals = self.ranks.total(torch.stack([self._sums[name].double() for name in names])).tolist()
        self._sums = {}
        sums = dict(zip(names, totals, strict=True))
        parts = sums.pop("_parts")
        return {name: value / parts for name, value in sums.items()}

    def _report(self, rate: float, seconds_per_step: float) -> None:
        means = self._means()
        if not math.isfinite(means["loss"]):
            raise ModelError(
                f"the loss is {means['loss']} after {self._step} steps; lower --lr, or use --dtype float32"
            )
        speed = self.settings.batch_size / seconds_per_step
        if self.ranks.first:
            row = {"seconds": self._seconds, "lr": rate, "sequences_per_second": speed, **means}
            self.log.write(self._step, "train", row)
            self._to_tensorboard("train", row)
        left = (self.total_steps - self._step) * seconds_per_step
        self.reporter.progress(self._step, self.total_steps, means, left)

    def _validate(self, rate: float) -> None:
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
                result = self.objective.validation_step(codes.to(self.device), generator)
            for name, value in result.items():
                sums[name] = sums.get(name, 0.0) + float(value)
        self._last_validation = {name: value / len(batches) for name, value in sums.items()}
        self.objective.train()
        if self.ranks.first:
            row = {"seconds": self._seconds, "lr": rate, **self._last_validation}
            self.log.write(self._step, "validation", row)
            self._to_tensorboard("validation", row)

    def _to_tensorboard(self, split: str, row: Mapping[str, float]) -> None:
        if not self.tensorboard:
            return
        if self._writer is None:
            self._writer = _summary_writer()(str(self.folder / "tensorboard"), purge_step=self._step)
        for name, value in row.items():
            self._writer.add_scalar(f"{split}/{name}", value, self._step)
        self._writer.flush()

    # ---------------------------------------------------------------------------------------------------- the end

    def _export(self) -> None:
        """Networks, then ``training.json``, which says that the folder is finished; the checkpoint goes last."""
        if self.ranks.first:
            networks = self.objective.export()
            save_model_folder(
                self.folder,
                {name: network.eval() for name, network in networks.items()},
                backbone=self.model.backbone,
                config=self.model.config,
                pooling=self.model.pooling,
                pooling_source=self.model.pooling_source,
                notes=self.model.notes,
                pretraining=self.read,
                extra={"pretraining": {"identity": self.record["identity"], "steps": self.total_steps}},
            )
            if self.curves:
                draw_curves(self.log.path, self.folder / "curves.png")
            record = {
                "status": "finished",
                **self.record,
                "seconds": round(self._seconds, 1),
                "processes": self.ranks.world,
                "networks": list(networks),
                "validation_metrics": self._last_validation,
                "environment": environment(),
            }
            write_json(self.folder / TRAINING, record)
            (self.folder / CHECKPOINT).unlink(missing_ok=True)
        self.ranks.wait()


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


def _read_record(path: Path) -> dict[str, Any]:
    import json

    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be read ({error}); remove it to begin again") from error
    if not isinstance(value, dict):
        raise OutputError(f"{path} is no record of a training; remove it to begin again")
    return value


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first thing in which two runs differ, in words."""
    import json

    plain = json.loads(json.dumps(wanted))
    for key in (
        "settings",
        "objective",
        "model",
        "corpus",
        "validation",
        "dtype",
        "device",
        "threads",
        "micro_batches",
    ):
        old, new = found.get(key), plain.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            for name in sorted(old.keys() | new.keys()):
                if old.get(name) != new.get(name):
                    return f"{key}: {name} was {old.get(name)!r}, now {new.get(name)!r}"
        return f"{key} was {old}, now {new}" if isinstance(new, int) else f"another {key}"
    return "another starting point"
