"""One run of fine-tuning: an encoder and its head trained with fixed settings, the epoch chosen on validation.

A run is a function of (weights, rows, preset, seed): row order, strands and dropout of every step are drawn from seed and step
number alone. A step always sees ``batch_size`` rows; when memory runs out they are read in smaller portions and the step is done
again.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from findna_bench.data.table import SequenceTable
from findna_bench.data.task_store import content_digest
from findna_bench.errors import ModelError, NotFiniteError, UnsupportedError, UsageError
from findna_bench.files import stable_hash
from findna_bench.models.backbone import TokenBatch
from findna_bench.models.combinations import combine_sides, combined_width, read_in_order
from findna_bench.models.embedding import Embeddings, embed
from findna_bench.models.loading import LoadedModel
from findna_bench.models.pooling import check_pooling
from findna_bench.models.precision import compute_precision
from findna_bench.models.windows import WindowPolicy
from findna_bench.protocols.base_encoder import BaseEncoderHead, ConvHead, predict_base_logits
from findna_bench.protocols.encoder_head import EncoderHead, Pieces, Reading, choose_trainable, cut_tokens, make_head
from findna_bench.protocols.row_portions import Portion, RowPortions, Texts, first_limit
from findna_bench.protocols.settings import FineTuning, preset_settings
from findna_bench.requests.run_request import SELECTIONS, STRANDS
from findna_bench.statistics.base_states import NO_STATE
from findna_bench.statistics.metric_cards import metric_card
from findna_bench.targets.classes import Classes
from findna_bench.targets.learning import state_shares
from findna_bench.targets.target import Target
from findna_bench.training.loop import Plan, TrainingLoop, own_random_numbers, prepared_ahead
from findna_bench.training.ranks import Ranks
from findna_bench.training.schedules import parameter_groups
from findna_bench.training.sharding import LockStep, others_may_be_gone
from findna_bench.training.training_checkpoints import Checkpoint

__all__ = ["FineTuneOptions", "FineTuned", "FineTuningRun", "LabelledRows", "StepRows", "planned_steps"]

logger = logging.getLogger(__name__)

CountRead = Callable[[Mapping[str, Any], Mapping[str, Any]], None]
"""Called with (coverage, batch) of every table that is read."""

_CHECKPOINT_SECONDS = 30.0
_CHECKPOINT_SHARE = 0.05
"""Share of the time that writing checkpoints may take, beyond one in :data:`_CHECKPOINT_SECONDS`."""
_MOST_SKIPPED = 20
_ORDER, _STEP, _HEAD, _ADAPTERS = 1, 2, 3, 4
"""What random numbers are for: one stream each."""
_NO_METRICS = ("step", "epoch", "lr", "train_loss", "train_accuracy", "loss", "predicted_classes")
"""What an entry of the path holds beside the target's metrics."""


@dataclass(frozen=True)
class LabelledRows:
    """Rows that a run may see. n_classes: C, the size of the head. test: only read where the epoch is chosen on it. target: what the
    labels are."""

    train: SequenceTable
    validation: SequenceTable
    n_classes: int
    test: SequenceTable | None = None
    target: Target = field(default_factory=Classes)


@dataclass(frozen=True, kw_only=True)
class FineTuneOptions:
    """How a run reads and chooses, beside its preset."""

    metric: str = "accuracy"
    """The task's main metric, which ``monitor="main"`` means."""
    selection: str = "validation"
    """``validation``; ``last`` keeps the last weights, and needs no validation rows; ``test`` chooses on the test rows (to reproduce
    papers that did)."""
    strand: str = "forward"
    """``rc-augment`` reads each row on a strand drawn anew in every epoch, ``rc-mean`` averages the vectors of both,
    ``rc-logit-mean`` the logits when predicting."""
    window: str | None = None
    """None = the model card's."""
    pooling: str | None = None
    """None = the preset's, else the model card's."""
    combination: str | None = None
    """Of pairs, how the vectors of both sides become one; None = rows are sequences."""
    batch_size: int | str = "auto"
    """Rows read at once, ``auto`` or a number; a step sees the preset's ``batch_size`` in any case."""
    checkpoint: Path | None = None
    """File to continue from and to write to; not used for a model whose code cannot be hashed."""
    reload: Callable[[Mapping[str, Any]], LoadedModel] | None = None
    """Loads the same weights with other settings of the backbone, for presets that change these."""
    counted: CountRead | None = None
    """Called with (coverage, batch) of every table that is read."""
    progress: Callable[[int, int], None] | None = None
    """Called with (steps done, of all)."""
    ranks: Ranks = field(default_factory=Ranks)
    """Processes that train together: each reads its share of the rows of a step, and of those that are scored."""
    shard: bool = False
    """Whether these processes share the encoder, of which each else has a copy."""


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
    net: EncoderHead | BaseEncoderHead
    target: Target
    options: FineTuneOptions
    trials: list[dict[str, Any]] = field(default_factory=list)
    """Where settings were chosen: every one that was tried, its optimiser steps and its validation scores."""
    checkpoints: tuple[Path, ...] = ()
    lockstep: LockStep | None = None
    """Where several processes share the encoder."""

    def predict_scores(self, table: SequenceTable | Sequence[str]) -> np.ndarray:
        """(n, C) float64 class probabilities, or what else the target predicts of the rows."""
        texts = table.texts if isinstance(table, SequenceTable) else [(sequence,) for sequence in table]
        width = table.labels.shape[1] if isinstance(table, SequenceTable) and self.target.of_bases else None
        if self.options.strand == "rc-logit-mean":
            return self.target.average([self._outputs(texts, strand, width) for strand in ("forward", "reverse")])
        return self._outputs(texts, "rc-mean" if self.options.strand == "rc-mean" else "forward", width)

    def discard_checkpoint(self) -> None:
        """Remove the checkpoints of the finished run; called when its result is safe."""
        for file in self.checkpoints:
            file.unlink(missing_ok=True)

    def _outputs(self, texts: Sequence[Texts], strand: str, width: int | None) -> np.ndarray:
        logits, coverage, batch = _shared_logits(
            self.model, self.net, texts, self.options, strand, width, self.lockstep
        )
        if self.options.counted is not None and strand != "reverse":
            self.options.counted(coverage, batch)
        return self.target.outputs(logits)


def planned_steps(preset: FineTuning, n_rows: int) -> tuple[int, int]:
    """Optimiser steps of (an epoch, the whole run)."""
    per_epoch = n_rows / preset.batch_size
    epoch_steps = max(1, math.floor(per_epoch) if preset.drop_last else math.ceil(per_epoch))
    total = max(preset.epochs * epoch_steps, preset.min_steps or 1)
    return epoch_steps, min(total, preset.max_steps or total)


@dataclass
class _Progress:
    """What a checkpoint holds beside steps, weights and optimiser."""

    best_value: float = math.inf
    best_step: int = 0
    stale: int = 0
    micro_tokens: int | None = None
    micro_rows: int = 0
    loss_sum: float = 0.0
    hits: int = 0
    rows: int = 0
    path: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class StepRows:
    """This process's rows of a step: texts as they are read, labels (R,). scored: what is scored of the whole step. portions: the rows as
    tokens, of ``limit`` at most.
    """

    texts: list[Texts]
    labels: Tensor
    scored: int
    limit: int | None
    portions: list[Portion]


@dataclass(frozen=True)
class _Part:
    """A portion of a step that scores ``step_scored`` things (:meth:`Target.scored`): labels (R,), and P pieces as tokens."""

    labels: Tensor
    pieces: Pieces
    tokens: TokenBatch
    step_scored: int


@dataclass(frozen=True)
class _Outcome:
    """loss: summed over what is scored. hits: rows whose class is right."""

    loss: float
    hits: int
    rows: int
    scored: int


class FineTuningRun(TrainingLoop[StepRows, _Part, _Outcome]):
    """Training with one preset and one learning rate, on a copy of the model.

    Raises:
        UsageError, UnsupportedError: an option is wrong, or the model cannot do what the preset wants.
    """

    def __init__(
        self, model: LoadedModel, rows: LabelledRows, preset: FineTuning, seed: int, options: FineTuneOptions
    ) -> None:
        _check(rows, options)
        preset = preset.for_model(model.card, model.n_parameters)
        assert preset.lr is not None  # for_model has set it
        model = self.distributed(_copy(_reloaded(model, preset, options), preset, seed), options)
        self.model, self.preset, self.seed = model, preset, seed
        self.target = rows.target.for_training(rows.train.labels, preset.loss)
        self.options = _resolved(options, preset, model)
        self.train_rows, self.n_classes = rows.train, rows.n_classes
        chosen_on = rows.test if options.selection == "test" else rows.validation
        assert chosen_on is not None  # _check has seen it
        self.chosen_on = chosen_on
        generator = torch.Generator().manual_seed(_derived(seed, _HEAD, 0))
        self.net = _network(model, self.target, rows, preset, self.options, generator)
        window = WindowPolicy.parse(str(self.options.window))
        self.reading = Reading(window, model.max_length, options.strand == "rc-mean")
        self.portions = RowPortions(model, self.reading, options.batch_size)
        self.epoch_steps, steps = planned_steps(preset, len(rows.train))
        self.at = _Progress(micro_tokens=first_limit(model.device))
        self.best: dict[str, Tensor] | None = None
        self.lockstep: LockStep | None = None
        self._texts = rows.train.texts
        self._epoch: tuple[int, np.ndarray, np.ndarray] | None = None
        trained = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        super().__init__(
            model.name,
            Plan(
                steps=steps,
                warmup=round(preset.warmup * steps) if preset.warmup_steps is None else preset.warmup_steps,
                schedule=preset.schedule,
                validate_every=preset.validate_every or self.epoch_steps,
                clip=preset.clip or None,
                most_skipped=_MOST_SKIPPED,
            ),
            trained,
            self._optimiser(preset.lr),
            model.device,
            dtype=model.dtype,
            ranks=options.ranks,
            checkpoint=self._checkpoint(options.checkpoint),
        )

    def distributed(self, model: LoadedModel, options: FineTuneOptions) -> LoadedModel:
        """The model that is trained, as this process holds it."""
        return model

    def _optimiser(self, lr: float) -> torch.optim.AdamW:
        groups = []
        for module, rate in ((self.net.backbone, lr), (self.net.head, self.preset.head_lr or lr)):
            made = parameter_groups(module, self.preset.weight_decay, decay_biases=self.preset.decay_biases)
            groups += [
                {**group, "params": self.optimised(group["params"]), "lr": rate} for group in made if group["params"]
            ]
        return torch.optim.AdamW(groups, lr=lr)

    def optimised(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """What the optimiser is to move of parameters."""
        return list(parameters)

    def _checkpoint(self, path: Path | None) -> Checkpoint | None:
        if path is None or self.model.code_digest is None:
            return None
        return Checkpoint(path, self.key, _CHECKPOINT_SECONDS, share=_CHECKPOINT_SHARE, replaceable=True)

    @property
    def key(self) -> str:
        """What decides the run's numbers, as a hash."""
        rows = content_digest((), {"train": self.train_rows, "validation": self.chosen_on})
        o = self.options
        reading = [o.metric, o.selection, o.strand, o.window, o.pooling, o.batch_size, self.target.name]
        reading += [] if o.combination is None else [o.combination]
        reading += [] if o.ranks.world == 1 else [o.ranks.world]
        weights = [self.model.weights_digest, self.model.code_digest, self.model.dtype_name, self.model.device.type]
        settings = [preset_settings(self.preset), reading, self.seed, self.n_classes]
        return stable_hash([settings, weights, torch.get_num_threads(), rows])

    def train_to_the_end(self) -> None:
        """Train from where the checkpoint stands, and pick the weights.

        Raises:
            torch.OutOfMemoryError: a single row does not fit. NotFiniteError: training does not stay finite.
        """
        self.resume()
        if len(set(self.ranks.gather(self._step))) > 1:
            raise ModelError(
                f"{self.model.name}: processes do not go on from the same checkpoint; choose a results folder that all of them see"
            )
        if self._step:
            logger.info("%s: continuing at step %d of %d", self.model.name, self._step, self.plan.steps)
        self.train()
        self.save()
        if self.best is not None and self.options.selection != "last":
            self._load(self.best)

    def stops_early(self) -> bool:
        return self.preset.patience is not None and self.at.stale > self.preset.patience

    # -------------------------------------------------------------------------------------------------------- one step

    def batches(self) -> Generator[StepRows, None, None]:
        """Beside a GPU the next step's rows are turned and tokenized while the current step is computed."""
        yield from prepared_ahead(self._load_rows, range(self._step, self.plan.steps), self.device)

    def _load_rows(self, step: int) -> StepRows:
        """This process's rows of a step, tokenized in portions of today's size."""
        epoch, number = divmod(step, self.epoch_steps)
        order, flipped = self._order_of(epoch)
        size, rows = self.preset.batch_size, self._texts
        where = slice(number * size, (number + 1) * size)
        texts = [
            tuple(map(self.reading.other_strand, rows[row])) if flip else rows[row]
            for row, flip in zip(order[where], flipped[where], strict=True)
        ]
        labels = self.train_rows.labels[order[where]]
        if self.target.of_bases:
            spans = [self.reading.span(len(self.train_rows.sequences[row])) for row in order[where]]
            labels = _states_read(labels, spans, flipped[where])
        own = slice(self.ranks.rank, None, self.ranks.world)
        scored = self.target.scored(torch.from_numpy(labels))
        limit = self.at.micro_tokens
        return StepRows(texts[own], torch.from_numpy(labels[own]), scored, limit, self._tokenized(texts[own], limit))

    def _order_of(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of an epoch in their order, and which of them are read from the other strand."""
        if self._epoch is None or self._epoch[0] != epoch:
            generator = np.random.default_rng([self.seed, _ORDER, epoch])
            order = generator.permutation(len(self.train_rows))
            flipped = generator.random(len(order)) < (0.5 if self.options.strand == "rc-augment" else 0.0)
            self._epoch = epoch, order, flipped
        return self._epoch[1:]

    def _tokenized(self, texts: Sequence[Texts], limit: int | None) -> list[Portion]:
        return [portion.pinned(self.device) for portion in self.portions.tokenized(texts, limit)] if texts else []

    def parts(self, batch: StepRows) -> Iterator[_Part]:
        self.net.train()
        # Of several processes each has dropout masks of its own; they are not those of one process that reads all rows.
        torch.manual_seed(_derived(self.seed, _STEP, self._step, *([self.ranks.rank] if self.ranks.rank else [])))
        limit, portions, whole = self.at.micro_tokens, batch.portions, batch.labels.to(self.device)
        if limit != batch.limit:  # memory ran out since
            portions = self._tokenized(batch.texts, limit)
        for portion in portions:
            labels = whole[torch.from_numpy(portion.rows).to(self.device)]
            yield _Part(labels, portion.pieces, portion.tokens, batch.scored)

    def loss(self, part: _Part) -> tuple[Tensor, _Outcome]:
        logits = self.net(part.tokens.to(self.device, non_blocking=True), part.pieces)
        with torch.autocast(self.device.type, enabled=False):
            loss = self.target.loss(logits, part.labels)
        hits = int((logits.detach().argmax(1) == part.labels).sum()) if self._has_classes else 0
        outcome = _Outcome(float(loss.detach()), hits, len(part.labels), self.target.scored(part.labels))
        return loss / max(part.step_scored, 1), outcome

    def divide(self, batch: StepRows) -> None:
        self.at.micro_tokens = self.portions.halved(batch.texts, self.at.micro_tokens)
        logger.info("%s: a portion does not fit into memory, going on with halves", self.model.name)

    def stepped(self, outcomes: list[_Outcome]) -> None:
        loss, hits, scored = (sum(getattr(one, name) for one in outcomes) for name in ("loss", "hits", "scored"))
        if self.ranks.world > 1:
            sums = torch.tensor([loss, hits, scored], dtype=torch.float64, device=self.device)
            loss, hits, scored = self.ranks.total(sums).tolist()
        self.at.loss_sum += loss
        self.at.hits += int(hits)
        self.at.rows += int(scored)
        self.at.micro_rows = max([self.at.micro_rows, *(outcome.rows for outcome in outcomes)])
        if self._step == 1:
            self._check_gradients()
        if self.options.progress is not None:
            self.options.progress(self._step, self.plan.steps)

    def _check_gradients(self) -> None:
        """Adapters that the backbone computes past would train nothing, silently."""
        trained = [p for p in self.net.backbone.parameters() if p.requires_grad]
        if trained and not self.has_gradients(trained):
            what = "low-rank adapters" if self.preset.lora_rank else "its parameters"
            raise UnsupportedError(
                f"{self.model.name}: {what} take no part in its forward pass, so they cannot be trained"
            )

    def has_gradients(self, parameters: Sequence[Tensor]) -> bool:
        """Whether any of them has one."""
        of_several = self.ranks.world > 1  # where those without a gradient have one of zeros
        return any(p.grad is not None and (not of_several or bool(p.grad.any())) for p in parameters)

    @property
    def _has_classes(self) -> bool:
        return self.target.name == "classes"

    # ----------------------------------------------------------------------------------------------------- validation

    def evaluate(self) -> dict[str, Any]:
        """An entry of the path."""
        at, truth = self.at, self.chosen_on.labels
        entry: dict[str, Any] = {
            "step": self._step,
            "epoch": self._step / self.epoch_steps,
            "lr": (self.preset.lr or 0.0) * self.rate_factor(self._step - 1),
            "train_loss": at.loss_sum / max(at.rows, 1),
            "train_accuracy": at.hits / max(at.rows, 1) if self._has_classes else None,
        }
        if not len(truth):  # the last weights are kept, so there need be nothing to choose on
            return {**entry, "loss": None, "predicted_classes": None}
        strand = "rc-mean" if self.options.strand == "rc-mean" else "forward"
        width = truth.shape[1] if self.target.of_bases else None
        logits, _, _ = _shared_logits(
            self.model, self.net, self.chosen_on.texts, self.options, strand, width, self.lockstep
        )
        if not np.isfinite(logits).all():
            raise NotFiniteError(
                f"{self.model.name}: outputs on the validation rows are not finite after step {self._step}; use a lower learning "
                "rate or --dtype float32"
            )
        outputs = self.target.outputs(logits)
        scored = self.target.scored(torch.from_numpy(truth))
        loss = float(self.target.loss(torch.from_numpy(logits), torch.from_numpy(truth))) / max(scored, 1)
        metrics = self.target.judge(truth, outputs, self.train_rows.labels)
        classes = len(np.unique(outputs.argmax(axis=1))) if self._has_classes else None
        return {**entry, "loss": loss, "predicted_classes": classes, **metrics}

    def validated(self, scores: dict[str, Any]) -> None:
        at = self.at
        at.loss_sum, at.hits, at.rows = 0.0, 0, 0
        at.path.append(scores)
        if scores["loss"] is None:
            return
        value = self._monitored(scores)
        if value < at.best_value or self.best is None:
            at.best_value, at.best_step, at.stale = value, self._step, 0
            if self.options.selection != "last":
                self.best = self.kept()
        else:
            at.stale += 1

    def _monitored(self, scores: Mapping[str, Any]) -> float:
        """The value to bring down."""
        name = self.options.metric if self.preset.monitor == "main" else self.preset.monitor
        if name == "loss":
            return float(scores["loss"])
        metrics = [known for known in scores if known not in _NO_METRICS]
        if name not in metrics:
            raise UsageError(f"monitor {name!r}: choose loss, main or one of {', '.join(metrics)}")
        value = scores[name]
        if value is None:
            return math.inf
        return -float(value) if metric_card(name).higher_is_better else float(value)

    # ---------------------------------------------------------------------------------------------------- checkpoints

    def _trained(self) -> dict[str, Tensor]:
        """What training changes of the network."""
        frozen = {name for name, parameter in self.net.named_parameters() if not parameter.requires_grad}
        return {name: value for name, value in self.net.state_dict().items() if name not in frozen}

    def kept(self) -> dict[str, Tensor]:
        """A copy of what training changes, in main memory."""
        return {name: value.detach().cpu().clone() for name, value in self._trained().items()}

    def _load(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            own = self.net.state_dict()
            for name, value in state.items():
                own[name].copy_(value)

    def state(self) -> dict[str, Any]:
        return {"at": asdict(self.at), "network": self._trained(), "best": self.best}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._load(state["network"])
        self.best, self.at = state["best"], _Progress(**state["at"])

    def outcome(self) -> dict[str, Any]:
        """What :meth:`adopt` needs of a run that has ended: where it ended, and its best weights in main memory."""
        return {"step": self._step, "skipped": self._skipped, "at": asdict(self.at), "best": self.best}

    def adopt(self, outcome: Mapping[str, Any]) -> None:
        """Take the place of a run of the same settings that has ended."""
        self._step, self._skipped = outcome["step"], outcome["skipped"]
        self.load_state({**outcome, "network": outcome["best"]})

    # --------------------------------------------------------------------------------------------------------- result

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

    def fitted(self) -> FineTuned:
        """The model as it was picked."""
        batch = {
            "requested": self.options.batch_size,
            "effective": min(self.preset.batch_size, len(self.train_rows)),
            "micro": self.at.micro_rows,
        }
        if self.options.counted is not None:
            read = [*self.train_rows.texts, *self.chosen_on.texts]
            by_tokens = self.preset.max_tokens is not None
            self.options.counted(self.portions.coverage(read, by_tokens=by_tokens), batch)
        chosen = self._chosen()
        settings = {
            **preset_settings(self.preset),
            "selection": self.options.selection,
            "chosen_step": chosen["step"],
            "chosen_epoch": chosen["epoch"],
            "steps": self._step,
            "planned_steps": self.plan.steps,
            "warmup_steps_taken": self.plan.warmup,
            "train_rows": len(self.train_rows),
            "trained_parameters": sum(parameter.numel() for parameter in self.parameters),
            "skipped_steps": self._skipped,
            "batch": batch,
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
            net=self.net,
            target=self.target,
            options=replace(self.options, progress=None),
            checkpoints=() if self.checkpoint is None else (self.checkpoint.path,),
            lockstep=self.lockstep,
        )

    def _warnings(self, chosen: Mapping[str, Any]) -> list[str]:
        warnings = []
        if self._has_classes and chosen["predicted_classes"] == 1 and len(np.unique(self.chosen_on.labels)) > 1:
            warnings.append("collapsed: one and the same class is predicted for every validation row")
        if self._skipped:
            warnings.append(f"{self._skipped} steps were skipped because their gradient was not finite")
        if self.options.selection != "last" and chosen["step"] == self.plan.steps and len(self.at.path) > 1:
            warnings.append("the last validation was the best one; more epochs might help")
        return warnings


def _check(rows: LabelledRows, options: FineTuneOptions) -> None:
    selection, strand = options.selection, options.strand
    if selection not in SELECTIONS:
        raise UsageError(f"--selection {selection}: choose one of {', '.join(SELECTIONS)}")
    if strand not in STRANDS:
        raise UsageError(f"--strand {strand}: choose one of {', '.join(STRANDS)}")
    if selection == "test" and (rows.test is None or not len(rows.test)):
        raise UsageError("--selection test needs the test split")
    tables = {"train": rows.train, "validation": rows.validation}
    for name in ("train", "validation") if selection == "validation" else ("train",):
        if not len(tables[name]):
            raise UsageError(f"there are no {name} rows to fine-tune with; use more rows (a larger --limit)")


def _reloaded(model: LoadedModel, preset: FineTuning, options: FineTuneOptions) -> LoadedModel:
    """The model with the backbone's settings of the preset, where it has any."""
    changes = preset.backbone.get(str(model.card.backbone))
    if not changes:
        return model
    if options.reload is None:
        raise UsageError("this preset changes the backbone's settings, and the caller cannot load it anew")
    return options.reload(changes)


def _copy(model: LoadedModel, preset: FineTuning, seed: int) -> LoadedModel:
    """The model to train, with the preset's limits; low-rank adapters are drawn from the seed."""
    backbone = copy.deepcopy(model.backbone) if model.whole is None else model.whole()
    if preset.max_tokens is not None:
        most, tokenize = preset.max_tokens, backbone.tokenize
        backbone.tokenize = lambda sequences: cut_tokens(tokenize(sequences), most)  # type: ignore[method-assign]
    with own_random_numbers(model.device):
        torch.manual_seed(_derived(seed, _ADAPTERS, 0))
        choose_trainable(backbone, preset)
    lengths = [length for length in (model.card.max_length, preset.max_length) if length is not None]
    return replace(
        model, backbone=backbone, whole=None, card=replace(model.card, max_length=min(lengths, default=None))
    )


def _resolved(options: FineTuneOptions, preset: FineTuning, model: LoadedModel) -> FineTuneOptions:
    """With the preset's and the card's values where none are given."""
    pooling = options.pooling or preset.pooling or model.card.pooling
    return replace(
        options,
        pooling=check_pooling(pooling, causal=model.backbone.causal),
        window=options.window or model.card.window,
    )


def _network(
    model: LoadedModel,
    target: Target,
    rows: LabelledRows,
    preset: FineTuning,
    options: FineTuneOptions,
    generator: torch.Generator,
) -> EncoderHead | BaseEncoderHead:
    """The backbone with a head for the target, drawn from ``generator``."""
    dimension, combination = model.backbone.embed_dim, options.combination
    head: nn.Module
    if not target.of_bases:
        width = dimension if combination is None else combined_width(combination, dimension)
        head = make_head(width, rows.n_classes, preset, generator).to(model.device)
        return EncoderHead(model.backbone, head, str(options.pooling), combination)
    if preset.head == "conv":
        head = ConvHead(dimension, rows.n_classes, generator, dropout=preset.head_dropout)
    else:
        head = make_head(dimension, rows.n_classes, preset, generator)
    prior = torch.log(torch.from_numpy(state_shares(rows.train.labels, rows.n_classes)).float())
    return BaseEncoderHead(model.backbone, head, prior).to(model.device)


def _states_read(states: np.ndarray, spans: Sequence[tuple[int, int]], flipped: np.ndarray) -> np.ndarray:
    """(R, W) states of what is read of rows, each from its span; a row that is flipped is the other strand of its span."""
    found = np.full_like(states, NO_STATE)
    for row, (start, stop) in enumerate(spans):
        own = states[row, start:stop]
        if flipped[row]:
            found[row, : len(own)] = own[::-1]
        else:
            found[row, start : start + len(own)] = own
    return found


def _shared_logits(
    model: LoadedModel,
    net: EncoderHead | BaseEncoderHead,
    texts: Sequence[Texts],
    options: FineTuneOptions,
    strand: str,
    width: int | None,
    lockstep: LockStep | None = None,
) -> tuple[np.ndarray, dict[str, int], dict[str, Any]]:
    """:func:`_predict_logits`, of which each process computes its share of the rows, and has all of them.

    Raises:
        NotFiniteError: a process has met what is no number, in all of them. Others as :func:`_predict_logits`.
    """
    ranks = options.ranks
    if len(texts) < ranks.world or ranks.world == 1:
        with others_may_be_gone():
            return _predict_logits(model, net, texts, options, strand, width)
    own = texts[ranks.rank :: ranks.world]
    if width is None and isinstance(net, BaseEncoderHead):
        width = max(len(sequence) for row in texts for sequence in row)
    found: Any
    try:
        with others_may_be_gone():
            found = _predict_logits(model, net, own, options, strand, width)
    except NotFiniteError as error:
        found = str(error)
    except Exception:
        if lockstep is not None:
            lockstep.fail()
        raise
    if lockstep is not None:
        lockstep.catch_up(lambda: _idle_pass(model, texts))
    shares = ranks.gather(found)
    for share in shares:
        if isinstance(share, str):
            raise NotFiniteError(share)
    logits = np.empty((len(texts), *shares[0][0].shape[1:]), dtype=shares[0][0].dtype)
    for rank, (share, _, _) in enumerate(shares):
        logits[rank :: ranks.world] = share
    coverage = {name: sum(share[1][name] for share in shares) for name in shares[0][1]}
    return logits, coverage, shares[0][2]


def _idle_pass(model: LoadedModel, texts: Sequence[Texts]) -> None:
    """A forward pass for the sake of the others."""
    shortest = min((sequence for row in texts for sequence in row), key=len)
    with torch.inference_mode(), compute_precision(model.device, model.dtype):
        model.backbone(model.backbone.tokenize([shortest[: model.max_length]]).to(model.device))


def _predict_logits(
    model: LoadedModel,
    net: EncoderHead | BaseEncoderHead,
    texts: Sequence[Texts],
    options: FineTuneOptions,
    strand: str,
    width: int | None,
) -> tuple[np.ndarray, dict[str, int], dict[str, Any]]:
    """(logits (n, C) float64, coverage, batch); of bases (n, width, C) float32, None = the longest sequence."""
    sequences = [sequence for side in zip(*texts, strict=True) for sequence in side]
    if isinstance(net, BaseEncoderHead):
        return predict_base_logits(
            model,
            net,
            sequences,
            window=str(options.window),
            strand=strand,
            batch_size=options.batch_size,
            width=max(map(len, sequences)) if width is None else width,
        )
    head = net.head
    found: Embeddings | None = None

    def read(some: Sequence[str]) -> np.ndarray:
        nonlocal found
        found = embed(
            model,
            some,
            pooling=str(options.pooling),
            window=str(options.window),
            strand=strand,
            batch_size=options.batch_size,
        )
        return found.vectors

    if options.combination is None:
        vectors = read(sequences)
    else:
        sides = read_in_order(sequences, read)
        vectors = combine_sides(options.combination, sides[: len(texts)], sides[len(texts) :])
    assert found is not None
    head.eval()
    with torch.inference_mode():
        device = next(head.parameters()).device
        logits = head(torch.from_numpy(vectors).to(device)).double().cpu().numpy()
    return logits, found.coverage, found.batch


def _derived(*numbers: int) -> int:
    """A seed for one purpose and step, unlike those of its neighbours."""
    return int(np.random.SeedSequence(numbers).generate_state(2, np.uint32).view(np.uint64)[0] >> 1)
