"""Settings of the harness's own protocols. A preset is a frozen dataclass; ``method`` is the name of its class in preset cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from findna_bench.cards import ModelCard
from findna_bench.errors import UsageError

if TYPE_CHECKING:
    from findna_bench.targets.target import Target

__all__ = [
    "FINETUNE_PRESETS",
    "KNN_PRESETS",
    "PROBE_PRESETS",
    "AdamWProbe",
    "ConvProbe",
    "FineTuning",
    "KNearest",
    "LogisticProbe",
    "Preset",
    "preset_settings",
    "rate_by_size",
    "trial_settings",
]

_NOT_OF_BASES = "its head reads the neighbours of a base, and {} are not predicted per base; use another preset"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Base of all presets: a frozen dataclass of a protocol's settings.

    ``method`` names the class in preset cards, ``varies`` what its own randomness draws anew for each seed, ``chooses`` whether
    anything is chosen on validation rows.

    Example:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Centroid(Preset):
        ...     method = "centroid"
        ...     shrink: float = 0.0
    """

    method: ClassVar[str]
    varies: ClassVar[tuple[str, ...]] = ()
    chooses: ClassVar[bool] = True

    def for_model(self, card: ModelCard, n_parameters: int | None) -> Self:
        """The preset with what it leaves open filled in for one model of so many parameters."""
        return self

    def without_choice(self) -> Self:
        """The preset where nothing can, or may, be chosen on validation: it is trained once, as it stands."""
        return self

    def to_the_end(self) -> Self:
        """The preset for ``--selection last``: the weights of the last epoch are kept.

        Raises:
            UsageError: it trains no epochs.
        """
        raise UsageError("--selection last: this preset trains no epochs; use validation")

    def refuses(self, target: Target) -> str | None:
        """Why it is not for such labels, in a sentence; None where it is."""
        return None

    def variations(self, n: int) -> list[Self]:
        """The preset and ``n - 1`` others, the same ones for every model, for ``--search``."""
        raise UsageError(f"--search: {type(self).__name__} has no settings to choose on validation")


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
    """Whether channels are brought to mean 0 and standard deviation 1 on train."""
    drop_below: float = 1e-6
    """Channels whose standard deviation on train is below this share of the median one are left out."""
    tolerance: float = 1e-8
    """Length of the last step, relative to 1 + that of the solution, at which a fit is done."""
    max_iterations: int = 1000
    """Steps of the optimiser after which a fit stops, with a warning."""


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

    def to_the_end(self) -> AdamWProbe:
        return replace(self, select="last")


@dataclass(frozen=True, kw_only=True)
class ConvProbe(Preset):
    """Of bases: two convolutions over neighbours with GELU and a linear layer, trained by AdamW on frozen vectors of bases in standard
    deviations, with warm-up and a half cosine to zero; epoch chosen on validation. Widths, rate, decay and batch are those of BEND."""

    method: ClassVar[str] = "conv"
    varies: ClassVar[tuple[str, ...]] = ("head initialisation", "row order")
    channels: int = 64
    kernel: int = 3
    lr: float = 3e-3
    weight_decay: float = 0.01
    batch_size: int = 64
    """Sequences per optimiser step."""
    epochs: int = 50
    patience: int = 5
    """Epochs without a lower validation loss after which training ends."""
    warmup: float = 0.1
    """Share of all steps."""
    select: Literal["validation", "last"] = "validation"
    """``validation``: the epoch of the lowest mean validation loss."""

    def refuses(self, target: Target) -> str | None:
        return None if target.of_bases else _NOT_OF_BASES.format(target.name)

    def to_the_end(self) -> ConvProbe:
        return replace(self, select="last")


@dataclass(frozen=True, kw_only=True)
class KNearest(Preset):
    """Votes of the k nearest training rows. Deterministic."""

    method: ClassVar[str] = "knn"
    chooses: ClassVar[bool] = False
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
    head: Literal["linear", "pooler", "conv"] = "linear"
    """``pooler``: a square layer and tanh before the linear one, as in BERT; ``conv``: of bases, two convolutions over neighbours and
    GELU before it, as in BEND."""
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
    loss: str | None = None
    """One of those that the target has (of numbers ``mse`` and ``huber``); None = its usual one."""

    def for_model(self, card: ModelCard, n_parameters: int | None) -> FineTuning:
        """With the learning rate at its centre for one model, where the preset leaves it open.

        The centre is the rate of the model's authors (:class:`~findna_bench.cards.PublishedFineTuning`), otherwise
        :func:`rate_by_size`. Low-rank adapters have a rate of their own: the authors', otherwise ten times the network's. A head on
        a frozen encoder is trained at 0.01, whatever stands below it.
        """
        if self.lr is not None:
            return self
        published = card.finetuning
        if self.lora_rank and published is not None and published.adapter_learning_rate is not None:
            return replace(self, lr=published.adapter_learning_rate)
        if self.freeze_layers == -1 and not self.lora_rank:
            return replace(self, lr=_HEAD_RATE)
        whole = (
            published.learning_rate if published is not None else rate_by_size(n_parameters or card.n_parameters or 0)
        )
        return replace(self, lr=_rounded(whole * (_ADAPTERS_OVER_NETWORK if self.lora_rank else 1)))

    def refuses(self, target: Target) -> str | None:
        if self.head == "conv" and not target.of_bases:
            return _NOT_OF_BASES.format(target.name)
        return target.refuses_loss(self.loss)

    def without_choice(self) -> FineTuning:
        """With no rate to choose: its own (or the model's centre) alone, trained once."""
        return replace(self, rates=(1.0,), trial_steps=None)

    def to_the_end(self) -> FineTuning:
        return self.without_choice()

    def rate_trials(self) -> list[FineTuning]:
        """The preset at each of its rates, lowest first; each a whole run. ``lr`` must be set."""
        assert self.lr is not None
        alone, rate, head = self.without_choice(), self.lr, self.head_lr
        return [
            replace(alone, lr=_rounded(rate * multiple), head_lr=None if head is None else _rounded(head * multiple))
            for multiple in sorted(self.rates)
        ]

    def variations(self, n: int, seed: int = 0) -> list[FineTuning]:
        """The preset itself and ``n - 1`` variations: the same ones for every model, so that budgets are equal, around the
        preset's learning rate, which must be set.

        Learning rate log-uniform within a factor of ten around the preset's, weight decay 0, 0.01 or 0.1, batch half, once or twice
        the preset's, head dropout 0 or 0.1.
        """
        import numpy as np  # planning and listing presets start without it

        centre = self.lr
        assert centre is not None
        preset = self.without_choice()
        generator = np.random.default_rng([seed, n])
        drawn = [preset]
        for _ in range(n - 1):
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


PROBE_PRESETS: Mapping[str, Preset] = {"default": LogisticProbe(), "conv": ConvProbe()}
KNN_PRESETS: Mapping[str, Preset] = {"default": KNearest(), "cosine": KNearest(metric="cosine")}
RATES = (0.1, 0.32, 1.0, 3.2, 10.0)
"""Half a decade apart, a decade to either side: a centre that is wrong by a factor of ten is still corrected."""
_FINE_TUNING = FineTuning(epochs=10, min_steps=500, rates=RATES, trial_steps=300)
FINETUNE_PRESETS: Mapping[str, FineTuning] = {
    "default": _FINE_TUNING,
    "conv": replace(_FINE_TUNING, head="conv"),
    "huber": replace(_FINE_TUNING, loss="huber"),
}


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


def preset_settings(preset: Preset) -> dict[str, Any]:
    """JSON-able settings that define a preset, ``method`` first."""
    settings = {"method": preset.method, **asdict(preset)}
    if settings.get("loss", "") is None:
        del settings["loss"]  # the target's own; a setting of later than the others, which no older result holds
    return settings


def trial_settings(presets: Sequence[Preset]) -> list[dict[str, Any]]:
    """For each of the presets, its values of the settings in which they are not all alike."""
    whole = [preset_settings(preset) for preset in presets]
    differing = [name for name in whole[0] if any(settings.get(name) != whole[0][name] for settings in whole)]
    return [{name: settings[name] for name in differing} for settings in whole]
