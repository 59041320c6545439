"""``finetune``: encoder and head trained together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from findna_bench.errors import UsageError
from findna_bench.protocols.probe import Probe
from findna_bench.protocols.protocol import FitOptions, Fitted, ModelToFit, Pool, Protocol
from findna_bench.protocols.settings import FINETUNE_PRESETS, PROBE_PRESETS, FineTuning, Preset

if TYPE_CHECKING:
    from findna_bench.data.table import SequenceTable
    from findna_bench.protocols.seed_splits import SeedSplit
    from findna_bench.targets.target import Target

__all__ = ["FineTune"]


class FineTune(Protocol):
    """Encoder and head trained together, one seed after the other; a killed fit goes on from its last checkpoint.

    Of variants the encoder reads the windows with the reference and with the alternative, cut around the site where it takes fewer bases, and the
    head what they are combined to, ``[ref, alt - ref]`` unless another combination is named, as a probe does.

    Features that do not learn have nothing to fine-tune: they are probed, so that the strongest control stands beside fine-tuned
    scores, too.
    """

    settings = (FineTuning,)
    presets = FINETUNE_PRESETS
    summaries: ClassVar[Mapping[str, str]] = {
        "default": "encoder and linear head by AdamW; learning rate chosen on validation among 5 around the one of the "
        "model's authors (else of its size): trials of at most 300 steps, then 10 epochs, at least 500 steps",
        "conv": "of bases: the default with two convolutions over neighbouring bases before the linear layer of the head",
        "huber": "of numbers: the default with Huber's loss in the place of the mean squared error",
    }
    targets = ("classes", "values", "labels", "per_base")
    inputs = ("sequence", "pair", "variant")
    trains_encoder = True

    def check(self, request: Any) -> None:
        if request.search is None or request.selection == "validation":
            return
        if request.selection == "last":
            raise UsageError(
                "--search chooses settings on validation; --selection last looks at none, so leave one of them out"
            )
        raise UsageError(
            "--search chooses settings on validation; with --selection test it would choose them on the test split, so leave "
            "one of them out"
        )

    def predicts(self, target: Target) -> bool:
        return target.can_be_trained

    def settings_for(self, kind: str) -> Preset | None:
        return PROBE_PRESETS["default"] if kind == "features" else None

    def fit(self, model: ModelToFit, pool: Pool, preset: Preset, options: FitOptions) -> list[Fitted]:
        if not isinstance(preset, FineTuning):
            return _probe().fit(model, pool, preset, options)
        return [_fit_seed(model, pool, split, preset, options) for split in pool.splits]


def _fit_seed(model: ModelToFit, pool: Pool, split: SeedSplit, preset: FineTuning, options: FitOptions) -> Fitted:
    from findna_bench.protocols.fine_tuning import FineTuneOptions, LabelledRows, fine_tune, search
    from findna_bench.training.ranks import Ranks

    started = time.perf_counter()
    own = split.held_out()
    of_variants = "offset" in pool.table.extra
    both = partial(_windows, model, preset) if of_variants else _as_they_are
    train, validation = (both(pool.table.take(rows)) for rows in (own.train, own.validation))
    rows = LabelledRows(train, validation, pool.n_classes, validation, pool.target)
    how = FineTuneOptions(
        metric=options.metric,
        selection=options.selection if len(validation) else "last",  # one shot leaves nothing to choose on
        strand=options.strand,
        window=options.window,
        pooling=options.pooling,
        combination=options.combination,
        batch_size=options.batch_size,
        checkpoint=options.checkpoint_of(split.seed),
        reload=model.reload,
        counted=model.count,
        progress=lambda done, total: options.progress(done, total, "steps of fine-tuning"),
        ranks=options.ranks or Ranks(),
        shard=options.shard,
    )
    if options.search is not None and len(validation):
        tuned = search(model.encoder(), rows, preset.variations(options.search), split.seed, how)
    else:
        tuned = fine_tune(model.encoder(), rows, preset, split.seed, how)
    return Fitted(
        split.seed,
        lambda table: tuned.predict_scores(both(table)),
        tuned.validation,
        tuned.settings,
        tuple(tuned.warnings),
        time.perf_counter() - started,
        tuple(tuned.trials),
        discard=tuned.discard_checkpoint,
        rows=own,
    )


def _as_they_are(table: SequenceTable) -> SequenceTable:
    return table


def _windows(model: ModelToFit, preset: FineTuning, table: SequenceTable) -> SequenceTable:
    """Variants as pairs of windows, which hold no more than the model and the preset read."""
    from findna_bench.protocols.variant_scores import variant_pairs

    limits = [length for length in (model.encoder().max_length, preset.max_length) if length is not None]
    pairs = variant_pairs(table, min(limits, default=None))
    references, alternatives = [one for one, _, _ in pairs], [other for _, other, _ in pairs]
    return replace(table, sequences=references, sequences_b=alternatives, extra={})


def _probe() -> Probe:
    probe = Probe()
    probe.name = "probe"
    return probe
