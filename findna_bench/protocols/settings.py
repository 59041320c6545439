"""Settings of the protocols: generic presets of the harness, and those that plugins register as cards.

A preset is a frozen dataclass; which one a :class:`~findna_bench.cards.PresetCard` means is its setting ``method``
(``logistic``, ``adamw``, ``knn``, ``finetune``), the other settings being fields of that class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, overload

from findna_bench.cards import ModelCard, PresetCard
from findna_bench.errors import ConfigError, UnsupportedError
from findna_bench.registry import Registry, normalise

__all__ = [
    "FINETUNE_PRESETS",
    "KNN_PRESETS",
    "PROBE_PRESETS",
    "AdamWProbe",
    "FineTuning",
    "KNearest",
    "LogisticProbe",
    "Preset",
    "at_one_rate",
    "draw_settings",
    "for_model",
    "preset_settings",
    "rate_by_size",
    "rate_trials",
    "resolve_preset",
    "trial_settings",
]


class Preset:
    """Base of all presets: ``method`` names the class, ``varies`` what its own randomness draws anew for each seed."""

    method: ClassVar[str]
    varies: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, kw_only=True)
class LogisticProbe(Preset):
    """L2 logistic regression on standardised features, strength chosen by mean validation loss. Deterministic."""

    method: ClassVar[str] = "logistic"
    strengths: tuple[float, ...] = (1e2, 1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    """lambda of the mean loss + lambda/2 ||W||^2 (scikit-learn's C = 1 / (lambda rows)), strongest first."""
    always: int = 6
    """Strengths, from the strongest on, that every seed tries; the weaker ones only where the validation loss of the last two
    has not risen each time."""
    standardise: bool = True
    drop_below: float = 1e-6
    """Channels whose standard deviation on train is below this share of the median one are left out."""
    tolerance: float = 1e-8
    max_iterations: int = 1000


@dataclass(frozen=True, kw_only=True)
class AdamWProbe(Preset):
    """A linear layer trained by AdamW with linear warm-up and a half cosine to zero, per step; epoch chosen on validation."""

    method: ClassVar[str] = "adamw"
    varies: ClassVar[tuple[str, ...]] = ("head initialisation", "row order")
    lr: float = 1e-2
    weight_decay: float = 0.1
    batch_size: int = 1024
    epochs: int = 50
    warmup: float = 0.3
    """Share of all steps."""
    standardise: bool = False
    select: Literal["validation", "last"] = "validation"
    """``validation``: the epoch of the lowest mean validation loss."""


@dataclass(frozen=True, kw_only=True)
class KNearest(Preset):
    """Votes of the k nearest training rows. Deterministic."""

    method: ClassVar[str] = "knn"
    k: int = 5
    metric: Literal["euclidean", "cosine"] = "euclidean"
    standardise: bool = False


@dataclass(frozen=True, kw_only=True)
class FineTuning(Preset):
    """Encoder and linear head trained together by AdamW with warm-up and a half cosine to zero."""

    method: ClassVar[str] = "finetune"
    varies: ClassVar[tuple[str, ...]] = ("head initialisation", "row order", "dropout")
    lr: float | None = None
    """None = centred for each model: see :func:`for_model`."""
    rates: tuple[float, ...] = (1.0,)
    """Multiples of ``lr`` and ``head_lr`` that are tried; validation chooses."""
    trial_steps: int | None = None
    """Optimiser steps of each such trial, at most; the chosen rate is then trained for the whole run. None = a trial is a whole
    run."""
    head_lr: float | None = None
    """None = ``lr``."""
    weight_decay: float = 0.01
    decay_biases: bool = False
    """Whether biases and normalisation weights decay too."""
    batch_size: int = 32
    """Rows per optimiser step, whatever fits into memory at once."""
    epochs: int = 10
    min_steps: int | None = None
    """Optimiser steps at least: few rows are read more often than ``epochs`` times."""
    max_steps: int | None = None
    """Optimiser steps at most."""
    warmup: float = 0.1
    """Share of all steps."""
    warmup_steps: int | None = None
    """Overrules ``warmup``."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    clip: float | None = 1.0
    """Norm to which gradients are clipped; None = not at all."""
    head: Literal["linear", "pooler"] = "linear"
    """``pooler``: a square layer and tanh before the linear one, as in BERT."""
    head_dropout: float = 0.0
    freeze_layers: int = 0
    """Lowest layers kept as they are, with the embedding; -1 = the whole encoder."""
    lora_rank: int = 0
    """Rank of low-rank adapters, trained instead of the encoder's own weights; 0 = none."""
    lora_alpha: int = 16
    lora_dropout: float = 0.05
    gradient_checkpointing: bool = False
    validate_every: int | None = None
    """Optimiser steps between validations; None = once per epoch."""
    monitor: str = "loss"
    """What validation is chosen by: ``loss``, a metric, or ``main`` for the task's main metric."""
    patience: int | None = None
    """Validations without a better one after which training ends; None = never."""
    drop_last: bool = False
    pooling: str | None = None
    """None = the model card's."""
    max_length: int | None = None
    """Bases per sequence, the rest cut off; None = what the model takes."""
    max_tokens: int | None = None
    """Tokens per sequence, special ones included; None = what the model takes."""
    backbone: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Name of a backbone -> settings that replace the model card's (e.g. its dropout)."""


PROBE_PRESETS: Mapping[str, Preset] = {"default": LogisticProbe()}
KNN_PRESETS: Mapping[str, Preset] = {"default": KNearest(), "cosine": KNearest(metric="cosine")}
RATES = (0.1, 0.32, 1.0, 3.2, 10.0)
"""Half a decade apart, a decade to either side: a centre that is wrong by a factor of ten is still corrected."""
FINETUNE_PRESETS: Mapping[str, FineTuning] = {
    "default": FineTuning(epochs=10, min_steps=500, rates=RATES, trial_steps=300)
}
SUMMARIES: Mapping[tuple[str, str], str] = {
    (
        "finetune",
        "default",
    ): "encoder and linear head by AdamW; learning rate chosen on validation among 5 around the one of the "
    "model's authors (else of its size): trials of at most 300 steps, then 10 epochs, at least 500 steps",
}
"""Of generic presets, where the class of settings does not say it all."""
GENERIC: Mapping[str, Mapping[str, Preset]] = {"probe": PROBE_PRESETS, "finetune": FINETUNE_PRESETS, "knn": KNN_PRESETS}
CLASSES: Mapping[str, tuple[type[Preset], ...]] = {
    "probe": (LogisticProbe, AdamWProbe),
    "finetune": (FineTuning,),
    "knn": (KNearest,),
}


@overload
def for_model(preset: FineTuning, card: ModelCard, n_parameters: int | None) -> FineTuning: ...
@overload
def for_model(preset: Preset, card: ModelCard, n_parameters: int | None) -> Preset: ...
def for_model(preset: Preset, card: ModelCard, n_parameters: int | None) -> Preset:
    """The preset with the learning rate at its centre for one model, where the preset leaves it open; else the preset as it is.

    The centre is the rate of the model's authors (:class:`~findna_bench.cards.PublishedFineTuning`), otherwise
    :func:`rate_by_size`. Low-rank adapters have a rate of their own: the authors', otherwise ten times the network's. A head on
    a frozen encoder is trained at 0.01, whatever stands below it.
    """
    if not isinstance(preset, FineTuning) or preset.lr is not None:
        return preset
    published = card.finetuning
    if preset.lora_rank and published is not None and published.adapter_learning_rate is not None:
        return replace(preset, lr=published.adapter_learning_rate)
    if preset.freeze_layers == -1 and not preset.lora_rank:
        return replace(preset, lr=_HEAD_RATE)
    whole = published.learning_rate if published is not None else rate_by_size(n_parameters or card.n_parameters or 0)
    return replace(preset, lr=_rounded(whole * (_ADAPTERS_OVER_NETWORK if preset.lora_rank else 1)))


def rate_by_size(n_parameters: int) -> float:
    """A learning rate for fine-tuning a network of which nothing but its size is known: 1e-3 up to a million parameters, falling
    with their power -3/4 to 1e-5 from 460 million on.

    The line runs through what authors publish: HyenaDNA 6e-4 at 0.4 million, Caduceus 1e-3 and 2e-3 at 0.5 to 2 million,
    DNABERT-2 3e-5 at 117 million, Nucleotide Transformers 1e-5 at 500 million. It is flat outside of them.
    """
    return _rounded(max(1e-3 * max(n_parameters / 1e6, 1.0) ** -0.75, 1e-5))


_HEAD_RATE = 0.01
"""Of the FinDNA paper's linear probe by AdamW (section 4.3)."""
_ADAPTERS_OVER_NETWORK = 10
"""Adapters start at zero and take larger steps: in Schulman et al. 2025 (LoRA Without Regret) the best rate is ten times that of
the whole network at every size. The Nucleotide Transformer's authors write 5e-4 beside 1e-5."""


def _rounded(rate: float) -> float:
    return float(f"{rate:.2g}")


@overload
def at_one_rate(preset: FineTuning) -> FineTuning: ...
@overload
def at_one_rate(preset: Preset) -> Preset: ...
def at_one_rate(preset: Preset) -> Preset:
    """The preset with no rate to choose: its own (or the model's centre) alone, trained once."""
    return replace(preset, rates=(1.0,), trial_steps=None) if isinstance(preset, FineTuning) else preset


def rate_trials(preset: FineTuning) -> list[FineTuning]:
    """The preset at each of its rates, lowest first; each a whole run. ``lr`` must be set."""
    assert preset.lr is not None
    alone = replace(preset, rates=(1.0,), trial_steps=None)
    return [
        replace(
            alone,
            lr=_rounded(preset.lr * multiple),
            head_lr=None if preset.head_lr is None else _rounded(preset.head_lr * multiple),
        )
        for multiple in sorted(preset.rates)
    ]


def resolve_preset(protocol: str, name: str, task: str | None, registry: Registry) -> Preset:
    """The preset ``name`` of ``protocol`` for a task (``suite/task``; None = settings without a task's own).

    Raises:
        UnknownNameError: no preset of that name.
        ConfigError: it belongs to another protocol, or its card sets what does not exist.
        UnsupportedError: it has no settings for this task.
    """
    generic = GENERIC[protocol]
    if name in generic:
        return generic[name]
    card = _find(protocol, name, registry)
    own = card.tasks.get(task) if task is not None else None
    if own is None and card.listed_only and task is not None:
        raise UnsupportedError(
            f"preset {name!r} has no settings for task {task!r}; it covers {', '.join(sorted(card.tasks))}"
        )
    settings = {**card.settings, **(own or {})}
    return _build(protocol, name, settings)


def _find(protocol: str, name: str, registry: Registry) -> PresetCard:
    """One name may be a preset of several protocols, e.g. a paper's for probing and for fine-tuning."""
    wanted = normalise(name)
    entries = registry.entries("presets")
    named = [e for e in entries if wanted in (normalise(e.card.name), normalise(f"{e.distribution}:{e.card.name}"))]
    mine = [entry.card for entry in named if entry.card.protocol == protocol]
    if len(mine) == 1:
        return mine[0]
    if not mine and named:
        others = " and ".join(sorted({entry.card.protocol for entry in named}))
        known = [*GENERIC[protocol], *sorted({e.card.name for e in entries if e.card.protocol == protocol})]
        raise ConfigError(
            f"preset {name!r} is for {others}, not for --protocol {protocol}, which has {', '.join(known)}"
        )
    return registry.resolve("presets", name).card  # raises: unknown or ambiguous


def _build(protocol: str, name: str, settings: dict[str, Any]) -> Preset:
    methods: dict[str, type[Preset]] = {c.method: c for c in CLASSES[protocol]}
    method = settings.pop("method", next(iter(methods)))
    if method not in methods:
        raise ConfigError(f"preset {name!r}: method must be one of {', '.join(methods)}, not {method!r}")
    chosen = methods[method]
    known = {f.name for f in fields(chosen)}  # type: ignore[arg-type]
    if unknown := set(settings) - known:
        raise ConfigError(
            f"preset {name!r}: {method} has no setting {sorted(unknown)[0]!r}; it has {', '.join(sorted(known))}"
        )
    return chosen(**settings)


def preset_settings(preset: Preset) -> dict[str, Any]:
    """JSON-able settings that define a preset, ``method`` first."""
    return {"method": preset.method, **asdict(preset)}  # type: ignore[call-overload]


def draw_settings(preset: FineTuning, trials: int, seed: int = 0) -> list[FineTuning]:
    """The preset itself and ``trials - 1`` variations: the same ones for every model, so that budgets are equal, around the
    preset's learning rate, which must be set.

    Learning rate log-uniform within a factor of ten around the preset's, weight decay 0, 0.01 or 0.1, batch half, once or twice
    the preset's, head dropout 0 or 0.1.
    """
    import numpy as np  # planning and listing presets start without it

    centre = preset.lr
    assert centre is not None
    preset = replace(preset, rates=(1.0,), trial_steps=None)
    generator = np.random.default_rng([seed, trials])
    drawn = [preset]
    for _ in range(trials - 1):
        drawn.append(
            replace(
                preset,
                lr=float(f"{centre * 10 ** generator.uniform(-1, 1):.3g}"),
                weight_decay=float(generator.choice([0.0, 0.01, 0.1])),
                batch_size=max(1, int(preset.batch_size * generator.choice([0.5, 1.0, 2.0]))),
                head_dropout=float(generator.choice([0.0, 0.1])),
            )
        )
    return drawn


def trial_settings(presets: Sequence[Preset]) -> list[dict[str, Any]]:
    """For each of the presets, its values of the settings in which they are not all alike."""
    whole = [preset_settings(preset) for preset in presets]
    differing = [name for name in whole[0] if any(settings.get(name) != whole[0][name] for settings in whole)]
    return [{name: settings[name] for name in differing} for settings in whole]
