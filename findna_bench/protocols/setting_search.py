"""A search of settings for fine-tuning: each is trained, and the one that validation likes best is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from findna_bench.errors import ModelError, NotFiniteError, UsageError
from findna_bench.files import stable_hash
from findna_bench.models.loading import LoadedModel
from findna_bench.protocols.fine_tuning_run import (
    FineTuned,
    FineTuneOptions,
    FineTuningRun,
    LabelledRows,
    planned_steps,
)
from findna_bench.protocols.settings import FineTuning, trial_settings
from findna_bench.protocols.sharded_fine_tuning import fine_tuning_run
from findna_bench.statistics.metric_cards import metric_card
from findna_bench.training.sharding import outline
from findna_bench.training.training_checkpoints import Checkpoint

__all__ = ["search", "search_rates"]


def search(
    model: LoadedModel,
    rows: LabelledRows,
    presets: Sequence[FineTuning],
    seed: int = 0,
    options: FineTuneOptions | None = None,
    *,
    trial_steps: int | None = None,
) -> FineTuned:
    """Fine-tune with each of the settings (see :meth:`~findna_bench.protocols.settings.FineTuning.variations`) and keep the one that
    validation likes best, the earlier one where two are equal.

    Settings are compared by what the first of them monitors. ``trials`` of the result records them all: the settings in
    which they differ, the optimiser steps, and the validation scores, or the error of a trial whose training did not stay
    finite; ``settings["chosen_trial"]`` is the number of the best one.
    Beside the model under training only the best trial's weights are kept, in main memory. Finished trials are kept in
    a file beside ``options.checkpoint`` and are not trained again.

    Args:
        model, rows, seed, options: as for :func:`~findna_bench.protocols.fine_tuning.fine_tune`.
        presets: the settings.
        trial_steps: optimiser steps of a trial at most. Where the best trial's settings ask for more, they are then trained to
            the end, which is the last trial and one like the others: the best of all is kept. Its schedule is its own, so it begins
            at the start.

    Raises:
        UsageError: ``selection`` is not ``validation``. ModelError: no trial stayed finite. Others as ``fine_tune``.
    """
    options = options or FineTuneOptions()
    if options.selection != "validation":
        raise UsageError(
            f"a search chooses among settings by validation, which --selection {options.selection} does not look at"
        )
    return _Search(model, rows, presets, seed, options, trial_steps).run()


def search_rates(
    model: LoadedModel, rows: LabelledRows, preset: FineTuning, seed: int, options: FineTuneOptions
) -> FineTuned:
    """:func:`search` among the preset's rates, with a word where the best one is the lowest or the highest."""
    presets = preset.for_model(model.card, model.n_parameters).rate_trials()
    tuned = search(model, rows, presets, seed, options, trial_steps=preset.trial_steps)
    for edge, other, end in (("lowest", "lower", presets[0]), ("highest", "higher", presets[-1])):
        if tuned.settings["lr"] == end.lr:
            tuned.warnings.append(
                f"the {edge} learning rate of the grid ({end.lr:g}) was the best on validation; a {other} one might be better"
            )
    return tuned


class _Search:
    """The trials of one search: what is tried, in which order, and how many steps each is given."""

    def __init__(
        self,
        model: LoadedModel,
        rows: LabelledRows,
        presets: Sequence[FineTuning],
        seed: int,
        options: FineTuneOptions,
        trial_steps: int | None,
    ) -> None:
        self.model, self.rows, self.seed, self.options = model, rows, seed, options
        self.presets = [preset.for_model(model.card, model.n_parameters) for preset in presets]
        first = self.presets[0]
        self.monitor = options.metric if first.monitor == "main" else first.monitor
        self.settings = trial_settings(self.presets)
        self.trials = [_shortened(preset, trial_steps, len(rows.train)) for preset in self.presets]
        self.steps = [planned_steps(preset, len(rows.train))[1] for preset in self.trials]
        self.whole = [planned_steps(preset, len(rows.train))[1] for preset in self.presets]
        self.total = sum(self.steps) + (max(self.whole) if self.whole != self.steps else 0)
        self.finished = _Finished.resume(self._checkpoint(), options)

    def _checkpoint(self) -> Checkpoint | None:
        path = self.options.checkpoint
        if path is None or self.model.code_digest is None:
            return None
        key = stable_hash([self._begin(self.trials[0]).key, self.settings, self.steps, self.whole])
        return Checkpoint(path.with_suffix(f".trials{path.suffix}"), key, replaceable=True)

    def _begin(self, preset: FineTuning, progress: Callable[[int, int], None] | None = None) -> FineTuningRun:
        return fine_tuning_run(self.model, self.rows, preset, self.seed, replace(self.options, progress=progress))

    def run(self) -> FineTuned:
        """All trials that are left, then the best one."""
        finished, tried = self.finished, len(self.trials)
        for number in range(len(finished.trials), tried):
            self._train(self.trials[number], self.settings[number], self.steps[number])
        if finished.best is None:
            raise ModelError(
                f"{self.model.name}: none of {tried} settings stayed finite; {finished.trials[0]['error']}"
            )
        best = _first_best([_worth(trial["validation"], self.monitor) for trial in finished.trials[:tried]])
        if self.whole[best] > self.steps[best] and len(finished.trials) == tried:
            self._train(self.presets[best], self.settings[best], self.whole[best])
        run = self._begin(self.presets[best] if finished.chosen == tried else self.trials[best])
        run.adopt(finished.best)
        tuned = run.fitted()
        tuned.settings["chosen_trial"], tuned.trials = finished.chosen, finished.trials
        if finished.file is not None:
            tuned.checkpoints += (finished.file.path,)
        return tuned

    def _train(self, preset: FineTuning, settings: dict[str, Any], planned: int) -> None:
        before = sum(trial["steps"] for trial in self.finished.trials)

        def report(done: int, _: int) -> None:
            if self.options.progress is not None:
                self.options.progress(before + done, self.total)

        run = self._begin(preset, report)
        record = {"settings": settings, "steps": planned, "validation": None}
        try:
            run.train_to_the_end()
        except NotFiniteError as error:
            self.finished.add(record | {"error": str(error)}, None, -math.inf)
        else:
            scores = run.validation(whole=False)
            self.finished.add(record | {"validation": scores}, run.outcome(), _worth(scores, self.monitor))


@dataclass
class _Finished:
    """Finished trials, and all that is needed of the best one.

    trials: their records. best: :meth:`FineTuningRun.outcome` of the best one so far, ``chosen`` its number and ``worth`` its score.
    """

    file: Checkpoint | None
    writes: bool = True
    """Whether this process writes the file; of several that search together the first one does."""
    trials: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    chosen: int = 0
    worth: float = -math.inf

    @classmethod
    def resume(cls, file: Checkpoint | None, options: FineTuneOptions) -> _Finished:
        """What lies in the file, where that was written for the same search. Of processes that share an encoder the first one alone has weights."""
        ranks, found = options.ranks, None
        if file is not None and (ranks.first or not options.shard):
            found = file.load()
        if file is not None and options.shard:
            known = ranks.from_first(outline(found))
            found = found if ranks.first else known
        return cls(file, ranks.first, **{name: value for name, value in (found or {}).items() if name != "run"})

    def add(self, record: dict[str, Any], outcome: dict[str, Any] | None, worth: float) -> None:
        """The next trial; it is safe when this returns."""
        if outcome is not None and (self.best is None or worth > self.worth):
            self.best, self.chosen, self.worth = outcome, len(self.trials), worth
        self.trials.append(record)
        if self.file is not None and self.writes:
            self.file.save({"trials": self.trials, "best": self.best, "chosen": self.chosen, "worth": self.worth})


def _shortened(preset: FineTuning, steps: int | None, n_rows: int) -> FineTuning:
    """The preset in so many optimiser steps, where it has more."""
    return preset if steps is None or planned_steps(preset, n_rows)[1] <= steps else replace(preset, max_steps=steps)


def _first_best(worths: Sequence[float]) -> int:
    """The number of the highest, the first of equals."""
    return max(range(len(worths)), key=lambda number: worths[number])


def _worth(scores: Mapping[str, Any] | None, monitor: str) -> float:
    """The value to bring up; the lowest for a trial that has none."""
    value = None if scores is None else scores[monitor]
    if value is None or not math.isfinite(value):
        return -math.inf
    lower = monitor == "loss" or not metric_card(monitor).higher_is_better
    return float(-value if lower else value)
