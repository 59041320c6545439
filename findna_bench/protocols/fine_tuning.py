"""Fine-tuning: an encoder and its head trained on a task, the epoch, and where there are several the settings, chosen on validation.

A run that is continued from a checkpoint equals one that was never interrupted, bit by bit on the CPU
(:mod:`findna_bench.protocols.fine_tuning_run`); so does a search (:mod:`findna_bench.protocols.setting_search`).
"""

from __future__ import annotations

from findna_bench.models.loading import LoadedModel
from findna_bench.protocols.fine_tuning_run import FineTuned, FineTuneOptions, LabelledRows
from findna_bench.protocols.setting_search import search, search_rates
from findna_bench.protocols.settings import FINETUNE_PRESETS, FineTuning
from findna_bench.protocols.sharded_fine_tuning import fine_tuning_run

__all__ = ["FINETUNE_PRESETS", "FineTuneOptions", "FineTuned", "FineTuning", "LabelledRows", "fine_tune", "search"]


def fine_tune(
    model: LoadedModel,
    rows: LabelledRows,
    preset: FineTuning | None = None,
    seed: int = 0,
    options: FineTuneOptions | None = None,
) -> FineTuned:
    """Train a copy of ``model`` with a new head; ``model`` itself is left as it is.

    A preset with several ``rates`` is a :func:`search` among them, in trials of ``trial_steps``, the best of which is then
    trained to the end; with another ``selection`` than ``validation`` there is nothing to choose by, and the preset's own (or
    the model's centre) alone is trained.

    Args:
        model: a live encoder.
        rows: what it is trained and chosen on.
        preset: settings; None = the default ones.
        seed: of the head, row order, strands and dropout.
        options: how rows are read, and what is kept where.

    Raises:
        UsageError, UnsupportedError: an option is wrong, or the model cannot do what the preset asks for.
        torch.OutOfMemoryError: a single row does not fit. ModelError: training does not stay finite.
    """
    preset, options = preset or FINETUNE_PRESETS["default"], options or FineTuneOptions()
    if len(preset.rates) > 1 and options.selection == "validation":
        return search_rates(model, rows, preset, seed, options)
    run = fine_tuning_run(model, rows, preset.without_choice(), seed, options)
    run.train_to_the_end()
    return run.fitted()
