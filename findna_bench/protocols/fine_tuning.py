"""Fine-tuning: an encoder and its head trained on a task, the epoch chosen on validation.

A run is a function of (weights, rows, preset, seed): row order, strands and dropout of every step are drawn from seed and step
number alone, so that a run continued from a checkpoint equals one that was never interrupted, bit by bit on the CPU. A step
always sees ``batch_size`` rows; when memory runs out they are read in smaller portions and the step is done again.
"""

from __future__ import annotations

import copy
import gc
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from findna_bench.data.table import SequenceTable
from findna_bench.data.task_store import content_digest
from findna_bench.errors import ModelError, NotFiniteError, OutputError, UnsupportedError, UsageError, is_out_of_memory
from findna_bench.files import stable_hash
from findna_bench.models.backbone import TokenBatch
from findna_bench.models.embedding import embed
from findna_bench.models.loading import LoadedModel
from findna_bench.models.pooling import check_pooling
from findna_bench.models.precision import compute_precision
from findna_bench.models.windows import WindowPolicy
from findna_bench.protocols.encoder_head import EncoderHead, Pieces, Reading, choose_trainable, cut_tokens, make_head
from findna_bench.protocols.settings import (
    FINETUNE_PRESETS,
    FineTuning,
    preset_settings,
    trial_settings,
)
from findna_bench.requests.run_request import SELECTIONS, STRANDS
from findna_bench.sequences.batches import length_batches
from findna_bench.targets.classes import Classes
from findna_bench.targets.target import Target
from findna_bench.training.schedules import learning_rate_factor, parameter_groups, set_learning_rate
from findna_bench.training.training_checkpoints import load_checkpoint, save_checkpoint

__all__ = ["FINETUNE_PRESETS", "FineTuned", "FineTuning", "fine_tune", "search"]

logger = logging.getLogger(__name__)

Counted = Callable[[Mapping[str, Any], Mapping[str, Any]], None]
"""Told (coverage, batch) of every table that is read."""

_CPU_TOKENS = 16_384
"""Tokens read at once on the CPU; on other devices a whole step, until memory says otherwise."""
_CHECKPOINT_SECONDS = 30.0
_CHECKPOINT_SHARE = 0.05
"""Share of the time that writing checkpoints may take, beyond one in :data:`_CHECKPOINT_SECONDS`."""
_MOST_SKIPPED = 20
_ORDER, _STEP, _HEAD, _ADAPTERS = 1, 2, 3, 4
"""What random numbers are for: one stream each."""


@dataclass(frozen=True)
class _Options:
    """How a run reads and chooses, beyond the preset."""

    pooling: str
    window: str
    strand: str
    metric: str
    selection: str
    batch_size: int | str
    target: Target


@dataclass
class FineTuned:
    """A fine-tuned model. validation: ``loss``, all metrics, ``rows`` and ``path`` (every validation: step, epoch, learning rate,
    train loss and accuracy since the last one, loss and metrics); with ``--selection test`` these are the test split's."""

    seed: int
    settings: dict[str, Any]
    validation: dict[str, Any]
    warnings: list[str]
    varies: tuple[str, ...]
    model: LoadedModel
    head: nn.Module
    options: _Options
    trials: list[dict[str, Any]] = field(default_factory=list)
    """Where settings were chosen: every one that was tried, its optimiser steps and its validation scores."""
    checkpoints: tuple[Path, ...] = ()
    counted: Counted | None = field(default=None, repr=False)

    def predict_scores(self, table: SequenceTable | Sequence[str]) -> np.ndarray:
        """(n, C) float64 class probabilities."""
        sequences = table.sequences if isinstance(table, SequenceTable) else list(table)
        target = self.options.target
        if self.options.strand == "rc-logit-mean":
            return target.average([target.outputs(self._logits(sequences, s)) for s in ("forward", "reverse")])
        return target.outputs(self._logits(sequences, "rc-mean" if self.options.strand == "rc-mean" else "forward"))

    def discard_checkpoint(self) -> None:
        """Remove the checkpoints of the finished run; called when its result is safe."""
        for file in self.checkpoints:
            file.unlink(missing_ok=True)

    def _logits(self, sequences: Sequence[str], strand: str) -> np.ndarray:
        logits, coverage, batch = _evaluate(self.model, self.head, sequences, self.options, strand)
        if self.counted is not None and strand != "reverse":
            self.counted(coverage, batch)
        return logits


def fine_tune(
    model: LoadedModel,
    train: SequenceTable,
    validation: SequenceTable,
    n_classes: int,
    preset: FineTuning | None = None,
    seed: int = 0,
    *,
    metric: str = "accuracy",
    selection: str = "validation",
    test: SequenceTable | None = None,
    strand: str = "forward",
    window: str | None = None,
    pooling: str | None = None,
    batch_size: int | str = "auto",
    checkpoint: Path | None = None,
    reload: Callable[[Mapping[str, Any]], LoadedModel] | None = None,
    counted: Counted | None = None,
    progress: Callable[[int, int], None] | None = None,
    target: Target | None = None,
) -> FineTuned:
    """Train a copy of ``model`` with a new head on ``train``; ``model`` itself is left as it is.

    A preset with several ``rates`` is a :func:`search` among them, in trials of ``trial_steps``, the best of which is then
    trained to the end; with another ``selection`` than ``validation`` there is nothing to choose by, and the preset's own (or
    the model's centre) alone is trained.

    metric: the task's main metric, which ``monitor="main"`` means. selection: ``validation``; ``last`` keeps the last weights, and
    needs no validation rows;
    ``test`` chooses on ``test`` (to reproduce papers that did). strand: ``rc-augment`` reads each row on a strand drawn anew
    in every epoch, ``rc-mean`` averages the vectors of both, ``rc-logit-mean`` the logits when predicting. pooling, window:
    None = the preset's, else the card's. batch_size: rows read at once, ``auto`` or a number; a step sees the preset's
    ``batch_size`` in any case. checkpoint: file to continue from and to write to; not used for a model whose code cannot be
    hashed. reload: loads the same weights with other
    settings of the backbone, for presets that ask for these. progress: called with (steps done, of all).

    Raises:
        UsageError, UnsupportedError: an option is wrong, or the model cannot do what the preset asks for.
        torch.OutOfMemoryError: a single row does not fit. ModelError: training does not stay finite.
    """
    checkpoint = checkpoint if model.code_digest is not None else None
    wanted = preset or FINETUNE_PRESETS["default"]
    options: dict[str, Any] = {
        "metric": metric,
        "selection": selection,
        "test": test,
        "strand": strand,
        "window": window,
        "pooling": pooling,
        "batch_size": batch_size,
        "checkpoint": checkpoint,
        "reload": reload,
        "target": target,
    }
    data = model, train, validation, n_classes
    if len(wanted.rates) > 1 and selection == "validation":
        return _at_the_best_rate(*data, wanted, seed, counted=counted, progress=progress, **options)
    run = _begin(*data, wanted.without_choice(), seed, **options)
    run.train_to_the_end(progress)
    return run.fitted(counted)


def _at_the_best_rate(
    model: LoadedModel,
    train: SequenceTable,
    validation: SequenceTable,
    n_classes: int,
    preset: FineTuning,
    seed: int,
    **options: Any,
) -> FineTuned:
    """:func:`search` among the preset's rates, with a word where the best one is the lowest or the highest."""
    presets = preset.for_model(model.card, model.n_parameters).rate_trials()
    tuned = search(model, train, validation, n_classes, presets, seed, trial_steps=preset.trial_steps, **options)
    for edge, other, end in (("lowest", "lower", presets[0]), ("highest", "higher", presets[-1])):
        if tuned.settings["lr"] == end.lr:
            tuned.warnings.append(
                f"the {edge} learning rate of the grid ({end.lr:g}) was the best on validation; a {other} one might be better"
            )
    return tuned


def _begin(
    model: LoadedModel,
    train: SequenceTable,
    validation: SequenceTable,
    n_classes: int,
    preset: FineTuning,
    seed: int,
    *,
    metric: str = "accuracy",
    selection: str = "validation",
    test: SequenceTable | None = None,
    strand: str = "forward",
    window: str | None = None,
    pooling: str | None = None,
    batch_size: int | str = "auto",
    checkpoint: Path | None = None,
    reload: Callable[[Mapping[str, Any]], LoadedModel] | None = None,
    target: Target | None = None,
) -> _Run:
    """A run with its own copy of the model, nothing trained yet; arguments as :func:`fine_tune`, one rate."""
    _check(train, validation, selection, strand, test)
    preset = preset.for_model(model.card, model.n_parameters)
    changes = preset.backbone.get(str(model.card.backbone))
    if changes:
        if reload is None:
            raise UsageError("this preset changes the backbone's settings, and the caller cannot load it anew")
        model = reload(changes)
    options = _Options(
        check_pooling(pooling or preset.pooling or model.card.pooling, causal=model.backbone.causal),
        window or model.card.window,
        strand,
        metric,
        selection,
        batch_size,
        target or Classes(),
    )
    return _Run(_copy(model, preset, seed), train, validation, n_classes, preset, seed, options, test, checkpoint)


def search(
    model: LoadedModel,
    train: SequenceTable,
    validation: SequenceTable,
    n_classes: int,
    presets: Sequence[FineTuning],
    seed: int = 0,
    *,
    trial_steps: int | None = None,
    checkpoint: Path | None = None,
    counted: Counted | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> FineTuned:
    """Fine-tune with each of the settings (see :meth:`~findna_bench.protocols.settings.FineTuning.variations`) and keep the one that
    validation likes best, the earlier one where two are equal.

    trial_steps: optimiser steps of a trial at most. Where the best trial's settings ask for more, they are then trained to the
    end, which is the last trial and one like the others: the best of all is kept. Its schedule is its own, so it begins anew.

    Settings are compared by what the first of them monitors. ``trials`` of the result records them all: the settings in
    which they differ, the optimiser steps, and the validation scores, or the error of a trial whose training did not stay
    finite; ``settings["chosen_trial"]`` is the number of the best one.
    Beside the model under training only the best trial's weights are kept, in main memory. Finished trials are kept in
    a file beside ``checkpoint`` and are not trained again. Other arguments as :func:`fine_tune`.

    Raises:
        UsageError: ``selection`` is not ``validation``. ModelError: no trial stayed finite. Others as :func:`fine_tune`.
    """
    if (selection := options.get("selection", "validation")) != "validation":
        raise UsageError(
            f"a search chooses among settings by validation, which --selection {selection} does not look at"
        )
    checkpoint = checkpoint if model.code_digest is not None else None
    presets = [preset.for_model(model.card, model.n_parameters) for preset in presets]
    monitor = options.get("metric", "accuracy") if presets[0].monitor == "main" else presets[0].monitor
    drawn = trial_settings(presets)
    trials = [_shortened(preset, trial_steps, len(train)) for preset in presets]
    steps = [_planned_steps(preset, len(train))[1] for preset in trials]
    whole = [_planned_steps(preset, len(train))[1] for preset in presets]
    total = sum(steps) + (max(whole) if whole != steps else 0)
    file = checkpoint and checkpoint.with_suffix(f".trials{checkpoint.suffix}")

    def begin(preset: FineTuning) -> _Run:
        return _begin(model, train, validation, n_classes, preset, seed, checkpoint=checkpoint, **options)

    finished = _Trials.continued(stable_hash([begin(trials[0]).key, drawn, steps, whole]), file)

    def run_trial(preset: FineTuning, settings: dict[str, Any], planned: int) -> None:
        before = sum(trial["steps"] for trial in finished.trials)

        def report(done: int, _: int) -> None:
            if progress is not None:
                progress(before + done, total)

        run = begin(preset)
        record = {"settings": settings, "steps": planned, "validation": None}
        try:
            run.train_to_the_end(report)
        except NotFiniteError as error:
            finished.add(record | {"error": str(error)}, None, -math.inf)
        else:
            scores = run.validation(whole=False)
            finished.add(record | {"validation": scores}, run.outcome(), _worth(scores, monitor))

    for number in range(len(finished.trials), len(trials)):
        run_trial(trials[number], drawn[number], steps[number])
    if finished.best is None:
        raise ModelError(f"{model.name}: none of {len(presets)} settings stayed finite; {finished.trials[0]['error']}")
    best = _best([_worth(t["validation"], monitor) for t in finished.trials[: len(trials)]])
    if whole[best] > steps[best] and len(finished.trials) == len(trials):
        run_trial(presets[best], drawn[best], whole[best])
    run = begin(presets[best] if finished.chosen == len(trials) else trials[best])
    run.adopt(finished.best)
    tuned = run.fitted(counted)
    tuned.settings["chosen_trial"], tuned.trials = finished.chosen, finished.trials
    tuned.checkpoints = tuple(path for path in (checkpoint, file) if path is not None)
    return tuned


def _shortened(preset: FineTuning, steps: int | None, n_rows: int) -> FineTuning:
    """The preset in so many optimiser steps, where it has more."""
    return preset if steps is None or _planned_steps(preset, n_rows)[1] <= steps else replace(preset, max_steps=steps)


def _best(worths: Sequence[float]) -> int:
    """The number of the highest, the first of equals."""
    return max(range(len(worths)), key=lambda number: worths[number])


def _worth(scores: Mapping[str, Any] | None, monitor: str) -> float:
    """The value to bring up; the lowest for a trial that has none."""
    value = None if scores is None else scores[monitor]
    if value is None or not math.isfinite(value):
        return -math.inf
    return float(-value if monitor == "loss" else value)


@dataclass
class _Trials:
    """Finished trials of a search, and all that is needed of the best one.

    trials: their records. best: :meth:`_Run.outcome` of the best one so far, ``chosen`` its number and ``worth`` its score.
    """

    key: str
    file: Path | None
    trials: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    chosen: int = 0
    worth: float = -math.inf

    @classmethod
    def continued(cls, key: str, file: Path | None) -> _Trials:
        """What lies in the file, where that was written for the same search."""
        found = _undamaged(file)
        return cls(**found, file=file) if found is not None and found.get("key") == key else cls(key, file)

    def add(self, record: dict[str, Any], outcome: dict[str, Any] | None, worth: float) -> None:
        """The next trial; it is safe when this returns."""
        if outcome is not None and (self.best is None or worth > self.worth):
            self.best, self.chosen, self.worth = outcome, len(self.trials), worth
        self.trials.append(record)
        if self.file is not None:
            save_checkpoint(self.file, {f.name: getattr(self, f.name) for f in fields(self) if f.name != "file"})


def _undamaged(file: Path | None) -> dict[str, Any] | None:
    """What a checkpoint holds; nothing where there is none. A damaged one costs the work it kept, and a warning says so."""
    try:
        return load_checkpoint(file) if file is not None else None
    except OutputError as error:
        logger.warning("%s; training starts anew", str(error).removesuffix("; remove it to begin again"))
        return None


def _check(
    train: SequenceTable, validation: SequenceTable, selection: str, strand: str, test: SequenceTable | None
) -> None:
    if selection not in SELECTIONS:
        raise UsageError(f"--selection {selection}: choose one of {', '.join(SELECTIONS)}")
    if strand not in STRANDS:
        raise UsageError(f"--strand {strand}: choose one of {', '.join(STRANDS)}")
    if selection == "test" and (test is None or not len(test)):
        raise UsageError("--selection test needs the test split")
    needed = (("train", train), ("validation", validation)) if selection == "validation" else (("train", train),)
    for name, table in needed:
        if not len(table):
            raise UsageError(f"there are no {name} rows to fine-tune with; use more rows (a larger --limit)")


def _copy(model: LoadedModel, preset: FineTuning, seed: int) -> LoadedModel:
    """The model to train, with the preset's limits; low-rank adapters are drawn from the seed."""
    backbone = copy.deepcopy(model.backbone)
    if preset.max_tokens is not None:
        most, tokenize = preset.max_tokens, backbone.tokenize
        backbone.tokenize = lambda sequences: cut_tokens(tokenize(sequences), most)  # type: ignore[method-assign]
    with _own_random_numbers(model.device):
        torch.manual_seed(_derived(seed, _ADAPTERS, 0))
        choose_trainable(backbone, preset)
    lengths = [length for length in (model.card.max_length, preset.max_length) if length is not None]
    return replace(model, backbone=backbone, card=replace(model.card, max_length=min(lengths, default=None)))


def _evaluate(
    model: LoadedModel, head: nn.Module, sequences: Sequence[str], options: _Options, strand: str
) -> tuple[np.ndarray, dict[str, int], dict[str, Any]]:
    """(logits (n, C) float64, coverage, batch)."""
    found = embed(
        model, sequences, pooling=options.pooling, window=options.window, strand=strand, batch_size=options.batch_size
    )
    head.eval()
    with torch.inference_mode():
        device = next(head.parameters()).device
        logits = head(torch.from_numpy(found.vectors).to(device)).double().cpu().numpy()
    return logits, found.coverage, found.batch


def _planned_steps(preset: FineTuning, n_rows: int) -> tuple[int, int]:
    """Optimiser steps of (an epoch, the whole run)."""
    per_epoch = n_rows / preset.batch_size
    epoch_steps = max(1, math.floor(per_epoch) if preset.drop_last else math.ceil(per_epoch))
    total = max(preset.epochs * epoch_steps, preset.min_steps or 1)
    return epoch_steps, min(total, preset.max_steps or total)


@dataclass
class _Progress:
    """Where a run is: everything a checkpoint holds besides weights and optimiser."""

    step: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    best_value: float = math.inf
    best_step: int = 0
    stale: int = 0
    micro_tokens: int | None = None
    micro_rows: int = 0
    loss_sum: float = 0.0
    hits: int = 0
    rows: int = 0
    path: list[dict[str, Any]] = field(default_factory=list)


class _Run:
    """One training run."""

    def __init__(
        self,
        model: LoadedModel,
        train: SequenceTable,
        validation: SequenceTable,
        n_classes: int,
        preset: FineTuning,
        seed: int,
        options: _Options,
        test: SequenceTable | None,
        checkpoint: Path | None,
    ) -> None:
        assert preset.lr is not None  # for_model has set it
        self.model, self.preset, self.seed, self.options, self.lr = model, preset, seed, options, preset.lr
        self.train, self.chosen_on = train, test if options.selection == "test" and test is not None else validation
        self.checkpoint, self.n_classes = checkpoint, n_classes
        generator = torch.Generator().manual_seed(_derived(seed, _HEAD, 0))
        head = make_head(model.backbone.embed_dim, n_classes, preset, generator).to(model.device)
        self.net = EncoderHead(model.backbone, head, options.pooling)
        self.reading = Reading(WindowPolicy.parse(options.window), model.max_length, options.strand == "rc-mean")
        self.optimiser = self._optimiser()
        self.epoch_steps, self.total = _planned_steps(preset, len(train))
        self.warmup = round(preset.warmup * self.total) if preset.warmup_steps is None else preset.warmup_steps
        self.at = _Progress(micro_tokens=_CPU_TOKENS if model.device.type == "cpu" else None)
        self.best: dict[str, Tensor] | None = None
        self.key = self._key()
        self.saved_at, self.save_took = time.monotonic(), 0.0

    def _optimiser(self) -> torch.optim.AdamW:
        groups = []
        for module, rate in (
            (self.net.backbone, self.lr),
            (self.net.head, self.preset.head_lr or self.lr),
        ):
            made = parameter_groups(module, self.preset.weight_decay, decay_biases=self.preset.decay_biases)
            groups += [{**group, "lr": rate} for group in made if group["params"]]
        return torch.optim.AdamW(groups, lr=self.lr)

    def _key(self) -> str:
        """What a checkpoint must have been written for to be continued."""
        rows = content_digest((), {"train": self.train, "validation": self.chosen_on})
        options = asdict(self.options) | {"target": self.options.target.name}
        settings = [preset_settings(self.preset), options, self.seed, self.n_classes]
        weights = [self.model.weights_digest, self.model.code_digest, self.model.dtype_name, self.model.device.type]
        return stable_hash([settings, weights, torch.get_num_threads(), rows])

    # ------------------------------------------------------------------------------------------------------ the loop

    def train_to_the_end(self, progress: Callable[[int, int], None] | None) -> None:
        """Train from where the checkpoint stands, and pick the weights."""
        self._continue()
        with _own_random_numbers(self.model.device):
            while self.at.step < self.total and not self._given_up():
                for rows, flipped in self._steps_of_epoch(self.at.step // self.epoch_steps):
                    self._step(rows, flipped)
                    if progress is not None:
                        progress(self.at.step, self.total)
                    if self._validation_is_due():
                        self._validate()
                    if self._checkpoint_is_due():
                        self._save()
                    if self.at.step >= self.total or self._given_up():
                        break
        self._save()
        if self.best is not None and self.options.selection != "last":
            self._load(self.best)

    def _given_up(self) -> bool:
        return self.preset.patience is not None and self.at.stale > self.preset.patience

    def _validation_is_due(self) -> bool:
        return self.at.step % (self.preset.validate_every or self.epoch_steps) == 0 or self.at.step == self.total

    def _steps_of_epoch(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The steps of an epoch that are still to be done: (row numbers, which of them are read on the other strand)."""
        generator = np.random.default_rng([self.seed, _ORDER, epoch])
        order = generator.permutation(len(self.train))
        flipped = generator.random(len(order)) < (0.5 if self.options.strand == "rc-augment" else 0.0)
        size = self.preset.batch_size
        for number in range(self.at.step - epoch * self.epoch_steps, self.epoch_steps):
            where = slice(number * size, (number + 1) * size)
            yield order[where], flipped[where]

    # ------------------------------------------------------------------------------------------------------- one step

    def _step(self, rows: np.ndarray, flipped: np.ndarray) -> None:
        sequences = [self.train.sequences[row] for row in rows]
        sequences = [self.reading.other_strand(s) if flip else s for s, flip in zip(sequences, flipped, strict=True)]
        labels = torch.from_numpy(self.train.labels[rows]).to(self.model.device)
        while (done := self._accumulate(sequences, labels)) is None:
            self._halve(sequences)
        loss, hits = done
        set_learning_rate(self.optimiser, self._rate_factor(self.at.step))
        parameters = [p for p in self.net.parameters() if p.grad is not None]
        norm = nn.utils.clip_grad_norm_(parameters, self.preset.clip or math.inf)
        if bool(torch.isfinite(norm)):
            self.optimiser.step()
            self.at.skipped_in_a_row = 0
        else:
            self._skip()
        self.at.step += 1
        self.at.loss_sum += loss
        self.at.hits += hits
        self.at.rows += len(rows)

    def _rate_factor(self, step: int) -> float:
        return learning_rate_factor(step, self.total, self.warmup, self.preset.schedule)

    def _skip(self) -> None:
        self.at.skipped += 1
        self.at.skipped_in_a_row += 1
        if self.at.skipped_in_a_row > _MOST_SKIPPED:
            raise NotFiniteError(
                f"{self.model.name}: gradients have not been finite for {_MOST_SKIPPED} steps on end; use a lower learning rate "
                "or --dtype float32"
            )

    def _accumulate(self, sequences: list[str], labels: Tensor) -> tuple[float, int] | None:
        """Gradients of the mean loss over the rows: (summed loss, rows right), or None where memory ran out."""
        self.optimiser.zero_grad(set_to_none=True)
        self.net.train()
        torch.manual_seed(_derived(self.seed, _STEP, self.at.step))
        portions = self._portions(sequences)
        loss, hits, fits = 0.0, 0, True
        try:
            for portion, (pieces, tokens) in zip(portions, self._tokenized(sequences, portions), strict=True):
                truth = labels[torch.from_numpy(portion).to(labels.device)]
                part_loss, part_hits = self._backward(pieces, tokens, truth, len(sequences))
                loss, hits = loss + part_loss, hits + part_hits
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            fits = False  # nothing may hold on to the failed attempt while memory is freed, so that happens below
        if not fits:
            self.optimiser.zero_grad(set_to_none=True)
            gc.collect()
            if self.model.device.type == "cuda":
                torch.cuda.empty_cache()
            return None
        self.at.micro_rows = max(self.at.micro_rows, *(len(portion) for portion in portions))
        if self.at.step == 0:
            self._check_gradients()
        return loss, hits

    def _backward(self, pieces: Pieces, tokens: TokenBatch, labels: Tensor, step_rows: int) -> tuple[float, int]:
        device = self.model.device
        with compute_precision(device, self.model.dtype):
            logits = self.net(
                tokens.to(device, non_blocking=True),
                torch.from_numpy(pieces.owner).to(device),
                torch.from_numpy(pieces.share).to(device),
                pieces.n_rows,
            )
        loss = self.options.target.loss(logits, labels)
        (loss / step_rows).backward()
        right = int((logits.detach().argmax(1) == labels).sum()) if self._has_classes else 0
        return float(loss.detach()), right

    def _portions(self, sequences: list[str]) -> list[np.ndarray]:
        """Rows that are read at once: of similar length, within what memory has proved to hold."""
        costs = self._costs(sequences)
        rows = len(sequences) if self.options.batch_size == "auto" else int(self.options.batch_size)
        return length_batches(costs, max_tokens=self.at.micro_tokens, batch_size=rows)

    def _costs(self, sequences: list[str]) -> list[int]:
        """Tokens of each row, over all its pieces."""
        cut = [self.reading.window.cut(len(sequence), self.reading.longest) for sequence in sequences]
        tokens = iter(self.model.backbone.token_counts([stop - start for pieces in cut for start, stop in pieces]))
        return [sum(next(tokens) for _ in pieces) * (1 + self.reading.both_strands) for pieces in cut]

    def _halve(self, sequences: list[str]) -> None:
        """After a portion did not fit: no portion as large as half of the largest one again."""
        costs = np.asarray(self._costs(sequences))
        largest = max(len(portion) * int(costs[portion].max()) for portion in self._portions(sequences))
        if largest <= int(costs.max()):
            raise torch.OutOfMemoryError(
                f"{self.model.name}: training on one row of {int(costs.max()):,} tokens does not fit into the memory of "
                f"{self.model.device}; use gradient checkpointing, frozen layers, a shorter window or another device"
            )
        self.at.micro_tokens = max(largest // 2, int(costs.max()))
        logger.info("%s: a portion does not fit into memory, going on with halves", self.model.name)

    def _tokenized(self, sequences: list[str], portions: list[np.ndarray]) -> Iterator[tuple[Pieces, TokenBatch]]:
        """Each portion's pieces and tokens; the next one is made in a thread while the device computes."""

        def make(portion: np.ndarray) -> tuple[Pieces, TokenBatch]:
            pieces = self.reading.pieces([sequences[row] for row in portion])
            return pieces, self.model.backbone.tokenize(pieces.sequences)

        if self.model.device.type == "cpu":
            yield from map(make, portions)
            return
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(make, portions[0])
            for portion in portions[1:]:
                ready, following = following, pool.submit(make, portion)
                yield ready.result()
            yield following.result()

    def _check_gradients(self) -> None:
        """Adapters that the backbone computes past would train nothing, silently."""
        trained = [p.grad is not None for p in self.net.backbone.parameters() if p.requires_grad]
        if trained and not any(trained):
            what = "low-rank adapters" if self.preset.lora_rank else "its parameters"
            raise UnsupportedError(
                f"{self.model.name}: {what} take no part in its forward pass, so they cannot be trained"
            )

    @property
    def _has_classes(self) -> bool:
        return self.options.target.name == "classes"

    # ----------------------------------------------------------------------------------------------------- validation

    def _validate(self) -> None:
        at, truth = self.at, self.chosen_on.labels
        so_far = {
            "step": at.step,
            "epoch": at.step / self.epoch_steps,
            "lr": self.lr * self._rate_factor(at.step - 1),
            "train_loss": at.loss_sum / max(at.rows, 1),
            "train_accuracy": at.hits / max(at.rows, 1) if self._has_classes else None,
        }
        at.loss_sum, at.hits, at.rows = 0.0, 0, 0
        if not len(truth):  # the last weights are kept, so there need be nothing to choose on
            at.path.append({**so_far, "loss": None, "predicted_classes": None})
            return
        strand = "rc-mean" if self.options.strand == "rc-mean" else "forward"
        logits, _, _ = _evaluate(self.model, self.net.head, self.chosen_on.sequences, self.options, strand)
        if not np.isfinite(logits).all():
            raise NotFiniteError(
                f"{self.model.name}: outputs on the validation rows are not finite after step {at.step}; use a lower learning "
                "rate or --dtype float32"
            )
        target = self.options.target
        outputs = target.outputs(logits)
        loss = float(target.loss(torch.from_numpy(logits), torch.from_numpy(truth))) / len(truth)
        metrics = target.judge(truth, outputs, self.train.labels)
        classes = len(np.unique(outputs.argmax(axis=1))) if self._has_classes else None
        at.path.append({**so_far, "loss": loss, "predicted_classes": classes, **metrics})
        value = self._monitored(loss, metrics)
        if value < at.best_value or self.best is None:
            at.best_value, at.best_step, at.stale = value, at.step, 0
            if self.options.selection != "last":
                self.best = {name: v.detach().cpu().clone() for name, v in self._state().items()}
        else:
            at.stale += 1

    def _monitored(self, loss: float, metrics: Mapping[str, float | None]) -> float:
        """The value to bring down."""
        name = self.options.metric if self.preset.monitor == "main" else self.preset.monitor
        if name == "loss":
            return loss
        if name not in metrics:
            raise UsageError(f"monitor {name!r}: choose loss, main or one of {', '.join(metrics)}")
        value = metrics[name]
        return math.inf if value is None else -value

    # ---------------------------------------------------------------------------------------------------- checkpoints

    def _state(self) -> dict[str, Tensor]:
        """What training changes."""
        frozen = {name for name, parameter in self.net.named_parameters() if not parameter.requires_grad}
        return {name: value for name, value in self.net.state_dict().items() if name not in frozen}

    def _load(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            own = self.net.state_dict()
            for name, value in state.items():
                own[name].copy_(value)

    def _checkpoint_is_due(self) -> bool:
        return time.monotonic() - self.saved_at >= max(_CHECKPOINT_SECONDS, self.save_took / _CHECKPOINT_SHARE)

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        started = time.monotonic()
        state = {
            "key": self.key,
            "at": asdict(self.at),
            "state": self._state(),
            "optimiser": self.optimiser.state_dict(),
            "best": self.best,
        }
        save_checkpoint(self.checkpoint, state)
        self.saved_at = time.monotonic()
        self.save_took = self.saved_at - started

    def _continue(self) -> None:
        found = _undamaged(self.checkpoint)
        if found is None or found.get("key") != self.key:
            return
        self._load(found["state"])
        self.optimiser.load_state_dict(found["optimiser"])
        self.best, self.at = found["best"], _Progress(**found["at"])
        logger.info("%s: continuing at step %d of %d", self.model.name, self.at.step, self.total)

    # --------------------------------------------------------------------------------------------------------- result

    def _batch(self) -> dict[str, Any]:
        return {
            "requested": self.options.batch_size,
            "effective": min(self.preset.batch_size, len(self.train)),
            "micro": self.at.micro_rows,
        }

    def _training_coverage(self) -> dict[str, int]:
        """Of train and the rows chosen on: by lengths, and by tokens where the preset cuts these."""
        coverage = dict.fromkeys(("bases_total", "bases_seen", "truncated_sequences", "windows", "short_sequences"), 0)
        for sequence in (*self.train.sequences, *self.chosen_on.sequences):
            cut = self.reading.window.cut(len(sequence), self.reading.longest)
            seen = min(len(sequence), sum(stop - start for start, stop in cut))
            if self.preset.max_tokens is not None:
                pieces = [sequence[start:stop] for start, stop in cut]
                seen = min(seen, int(self.model.backbone.tokenize(pieces).spans.sum()))
            coverage["bases_total"] += len(sequence)
            coverage["bases_seen"] += seen
            coverage["truncated_sequences"] += seen < len(sequence)
            coverage["windows"] += len(cut)
        return coverage

    def outcome(self) -> dict[str, Any]:
        """What :meth:`adopt` needs of a run that has ended: where it ended, and its best weights in main memory."""
        return {"at": asdict(self.at), "best": self.best}

    def adopt(self, outcome: Mapping[str, Any]) -> None:
        """Take the place of a run of the same settings that has ended."""
        self.at, self.best = _Progress(**outcome["at"]), outcome["best"]
        self._load(outcome["best"])

    def validation(self, *, whole: bool = True) -> dict[str, Any]:
        """Scores on the rows that are chosen on, at the step that was chosen; ``whole``: with the path to it."""
        chosen = self._chosen()
        scores = {name: chosen[name] for name in chosen if name not in ("step", "epoch", "lr")}
        scores |= {"rows": len(self.chosen_on)}
        return scores | {"path": self.at.path} if whole else scores

    def _chosen(self) -> dict[str, Any]:
        if self.options.selection == "last":
            return self.at.path[-1]
        return next(entry for entry in self.at.path if entry["step"] == self.at.best_step)

    def fitted(self, counted: Counted | None) -> FineTuned:
        """The model as it was picked; ``counted`` is told what was read for it, and whatever it reads from here on."""
        if counted is not None:
            counted(self._training_coverage(), self._batch())
        chosen = self._chosen()
        settings = {
            **preset_settings(self.preset),
            "selection": self.options.selection,
            "chosen_step": chosen["step"],
            "chosen_epoch": chosen["epoch"],
            "steps": self.at.step,
            "planned_steps": self.total,
            "warmup_steps_taken": self.warmup,
            "train_rows": len(self.train),
            "trained_parameters": sum(p.numel() for p in self.net.parameters() if p.requires_grad),
            "skipped_steps": self.at.skipped,
            "batch": self._batch(),
        }
        self.net.eval()
        self.optimiser.zero_grad(set_to_none=True)
        return FineTuned(
            seed=self.seed,
            settings=settings,
            validation=self.validation(),
            warnings=self._warnings(chosen),
            varies=self.preset.varies,
            model=self.model,
            head=self.net.head,
            options=self.options,
            checkpoints=() if self.checkpoint is None else (self.checkpoint,),
            counted=counted,
        )

    def _warnings(self, chosen: Mapping[str, Any]) -> list[str]:
        warnings = []
        if self._has_classes and chosen["predicted_classes"] == 1 and len(np.unique(self.chosen_on.labels)) > 1:
            warnings.append("collapsed: one and the same class is predicted for every validation row")
        if self.at.skipped:
            warnings.append(f"{self.at.skipped} steps were skipped because their gradient was not finite")
        if self.options.selection != "last" and chosen["step"] == self.total and len(self.at.path) > 1:
            warnings.append("the last validation was the best one; more epochs might help")
        return warnings


def _own_random_numbers(device: torch.device) -> AbstractContextManager[None]:
    """What is seeded and drawn inside leaves the global generators as they were."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def _derived(*numbers: int) -> int:
    """A seed for one purpose and step, unlike those of its neighbours."""
    return int(np.random.SeedSequence(numbers).generate_state(2, np.uint32).view(np.uint64)[0] >> 1)
