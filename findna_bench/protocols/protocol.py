"""What a protocol is: a way to score a model on a task, which sees train and validation rows only.

:mod:`findna_bench.matrix.unit` opens the test split, once, after a protocol has chosen everything; what it gets are
:class:`Fitted` objects that predict.
"""

from __future__ import annotations

import contextlib
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_type_hints

from findna_bench.cards import PresetCard, ProtocolCard, TaskCard
from findna_bench.errors import BenchError, ConfigError, ModelError, UnsupportedError, UsageError
from findna_bench.protocols.settings import Preset
from findna_bench.registry import Registry, make, normalise

if TYPE_CHECKING:  # `list presets` asks protocols, and starts without NumPy
    import numpy as np

    from findna_bench.data.table import SequenceTable
    from findna_bench.models.loading import LoadedModel
    from findna_bench.models.representations import Representation
    from findna_bench.protocols.heads import FittedHead
    from findna_bench.protocols.seed_splits import SeedSplit
    from findna_bench.targets.target import Target
    from findna_bench.training.ranks import Ranks

__all__ = [
    "FitOptions",
    "Fitted",
    "HeadProtocol",
    "ModelToFit",
    "Pool",
    "Protocol",
    "find_protocol",
    "preset_summary",
    "protocols",
    "resolve_preset",
    "without_metric",
]


PredictScores = Callable[["SequenceTable"], "np.ndarray"]


def _classes() -> Target:
    from findna_bench.targets.classes import Classes

    return Classes()


@dataclass(frozen=True)
class Fitted:
    """A fit of one seed.

    predict: table -> (n, C) class probabilities. selected: what was chosen on validation, JSON-serialisable.
    validation: metrics on the validation rows at the chosen setting.
    """

    seed: int
    predict: PredictScores
    validation: Mapping[str, Any]
    selected: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    """Sentences that stand with the result."""
    fit_s: float = 0.0
    """Seconds that the fit took."""
    trials: tuple[Mapping[str, Any], ...] = ()
    """All settings that were tried, with their validation scores, where settings were chosen."""
    max_length: int | None = None
    """Most bases of a sequence that a classifier's fit reads, where it says so; None = all."""
    discard: Callable[[], None] = lambda: None
    """Called when the result is safe on disk: a checkpoint of the fit is not needed any more."""
    rows: SeedSplit | None = None
    """The rows it was fitted and chosen on, where they are not the seed's split as it stands."""
    representation: Representation | None = None
    """Layer and pooling of the encoder that it reads, where there were several to choose among."""


@dataclass(frozen=True)
class Pool:
    """Rows that may be seen before the test: train and validation in one table, and each seed's division of it."""

    table: SequenceTable
    splits: tuple[SeedSplit, ...]
    """Per seed, which rows train and which validate."""
    n_classes: int
    """C, the size of a head."""
    official_validation: bool
    """Whether validation rows are the data set's own, not drawn from train."""
    within_shots: bool = False
    """Few-shot: no labelled row beside the shots is seen."""
    target: Target = field(default_factory=_classes)
    """What the rows are labelled with."""

    def chosen_on(self, rows: SeedSplit) -> str:
        """How settings were chosen that were fitted on ``rows``, for the record."""
        if self.official_validation:
            return "official"
        if not self.within_shots:
            return "drawn"
        if rows.folds:
            return "cross-validation within the shots"
        return "held out within the shots" if len(rows.validation) else "none"


@dataclass(frozen=True)
class FitOptions:
    """What was asked for beside the preset.

    metric: the task's main one. task: its card. selection: ``validation``, ``last`` or ``test``. search: settings to try for each seed, None = the
    preset's alone. strand, window, pooling, batch_size: of the request. candidates: layers and poolings of an encoder
    to choose among, empty where there is no choice. checkpoint_of: seed -> file for a fit that takes long. progress: called with
    (done, of all, what). combination: of pairs and variants, how the vectors of both sides, or windows, become one; None where rows are sequences.
    """

    metric: str
    task: TaskCard
    selection: str
    search: int | None
    strand: str
    window: str | None
    pooling: str | None
    candidates: tuple[Representation, ...]
    batch_size: int | str
    checkpoint_of: Callable[[int], Path]
    progress: Callable[[int, int, str], None]
    combination: str | None = None
    ranks: Ranks | None = None
    """The processes that train the encoder together; None = this one alone."""
    shard: bool = False
    """Whether these processes share the encoder, of which each else has a copy."""


class ModelToFit(typing.Protocol):
    """What a protocol may ask of the model that is scored."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str:
        """``encoder`` or ``features``; classifiers bring their own fit."""

    def frozen_features(
        self, representation: Representation | None = None
    ) -> Callable[[SequenceTable, str], Any] | None:
        """(table, ``forward`` or ``reverse``) -> features (n, D) that no fit changes; None for a feature map that is fitted first.

        Args:
            representation: one of :attr:`FitOptions.candidates`; None where there are none.
        """

    def estimator(self) -> Any:
        """A feature map, not fitted yet."""

    def encoder(self) -> LoadedModel:
        """The network of an encoder. It is not to be changed: train a copy."""

    def reload(self, changes: Mapping[str, Any]) -> LoadedModel:
        """The same weights in a backbone with some settings changed."""

    def count(self, coverage: Mapping[str, Any], batch: Mapping[str, Any]) -> None:
        """To be told of every table that is read: bases seen, batch sizes."""

    @property
    def device(self) -> str: ...


class Protocol(ABC):
    """A way to score models; plugins register theirs with a :class:`~findna_bench.cards.ProtocolCard`.

    Derive from :class:`HeadProtocol` for a head on frozen features, which is most of them.
    """

    settings: ClassVar[tuple[type[Preset], ...]]
    """Classes of settings; a preset card's ``method`` says which is meant, the first one where it does not."""
    presets: ClassVar[Mapping[str, Preset]]
    """Named settings of its own; one is called ``default``."""
    summaries: ClassVar[Mapping[str, str]] = {}
    """Of presets whose class does not say it all."""
    kinds: ClassVar[tuple[str, ...]] = ("encoder", "features", "classifier")
    """Kinds of models it can score."""
    targets: ClassVar[tuple[str, ...]] = ("classes",)
    """What it can predict; a target may bring a head of its own for more."""
    inputs: ClassVar[tuple[str, ...]] = ("sequence",)
    """Rows it can score: ``sequence``, ``variant``, ``pair``."""
    name: str = ""
    """As it is registered; set when it is made."""
    reads_train: ClassVar[bool] = True
    """Whether train and validation rows are read; where they are not, :meth:`fit` gets a pool without rows, and one seed."""
    trains_encoder: ClassVar[bool] = False
    """Whether the encoder itself is trained: each seed is then a fit of its own, and settings may be searched for."""
    chooses_representation: ClassVar[bool] = False
    """Whether ``--layer`` and ``--pooling`` may name several candidates; :attr:`FitOptions.candidates` are then to be tried."""

    def check(self, request: Any) -> None:
        """Options of a :class:`~findna_bench.requests.run_request.RunRequest` that this protocol contradicts.

        Raises:
            UsageError: there is one.
        """
        if request.search is not None and not self.trains_encoder:
            raise UsageError(
                f"--search is for --protocol finetune; {request.protocol} has no settings to choose on validation"
            )

    def predicts(self, target: Target) -> bool:
        """Whether it can be fitted to rows with such labels."""
        return target.name in self.targets or self.name in target.heads

    def refuses(self, task: TaskCard) -> str | None:
        """Why it does not score a task whose inputs and target it knows, in a sentence; None where it does."""
        return None

    def metrics(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those metrics of a target that its scores have."""
        return tuple(names)

    def settings_for(self, kind: str) -> Preset | None:
        """Settings that take the place of the preset for models of a kind; None = none do."""
        return None

    @abstractmethod
    def fit(self, model: ModelToFit, pool: Pool, preset: Preset, options: FitOptions) -> list[Fitted]:
        """Fit all seeds of a pool.

        Args:
            model: an encoder, or a feature map.
            pool: train and validation rows, and how each seed divides them.
            preset: one of :attr:`settings`.
            options: what was asked for beside it.
        """


class HeadProtocol(Protocol):
    """A head on features that it does not change: the heads of all seeds may be fitted in one computation.

    Of several layers and poolings each is given heads, and every seed keeps the one of the lowest validation loss; of heads that have
    no loss, the one with the best main metric of the task. The first of equals is kept, and the first of all where a fit has no
    validation score (one shot).

    Example:
        A nearest-centroid protocol is :meth:`fit_heads` and a :class:`~findna_bench.protocols.heads.FittedHead`; see
        ``tests/third_party/acme-dna``.
    """

    chooses_representation = True
    streams: ClassVar[bool] = False
    """Whether features of rows may also be :class:`~findna_bench.models.row_vectors.RowVectors`, which lie on disk and are read block by
    block, by :meth:`fit_heads` and by its heads; where not, these are read into memory first."""

    @abstractmethod
    def fit_heads(
        self, features: Any, labels: np.ndarray, splits: Sequence[SeedSplit], n_classes: int, preset: Any, device: str
    ) -> Sequence[FittedHead]:
        """One head per split.

        Args:
            features: (n, D) float32, dense or scipy CSR.
            labels: (n,) int64 in 0..n_classes-1, or what else the target predicts.
            splits: rows that each seed trains and chooses on.
            n_classes: C, the size of a head.
            preset: one of :attr:`settings`.
            device: of the encoder, where heads that are large may be computed.
        """

    def fit(self, model: ModelToFit, pool: Pool, preset: Preset, options: FitOptions) -> list[Fitted]:
        from findna_bench.protocols import fitting

        if options.candidates:
            return fitting.fit_best_representation(self, pool, model, preset, options)
        vectors = model.frozen_features()
        if vectors is None:
            return fitting.fit_features(self, pool, model, preset, options.strand)
        return fitting.fit_heads(self, pool, fitting.Embedder(vectors, options.strand), preset, model.device)


def find_protocol(name: str, registry: Registry) -> Protocol:
    """The protocol called ``name``.

    Raises:
        UnknownNameError: there is none.
        ModelError: its factory makes something else.
    """
    return made_protocol(registry.resolve("protocols", name).card)


def made_protocol(card: ProtocolCard) -> Protocol:
    """The protocol of a card.

    Raises:
        PluginError: its factory fails. ModelError: it makes something else.
    """
    made = make(card.factory, f"protocol {card.name!r}")
    if not isinstance(made, Protocol):
        raise ModelError(
            f"protocol {card.name!r}: {card.factory} makes a {type(made).__name__}, no findna_bench.api.Protocol"
        )
    made.name = card.name
    return made


def protocols(registry: Registry) -> list[tuple[str, str, Protocol]]:
    """(name, distribution, protocol) of all that plugins register and that can be made."""
    found = []
    for entry in registry.entries("protocols"):
        with contextlib.suppress(BenchError):
            found.append((entry.card.name, entry.distribution, made_protocol(entry.card)))
    return found


def preset_summary(protocol: Protocol, name: str) -> str:
    """What one of the protocol's own presets is, in a line."""
    return protocol.summaries.get(name) or (type(protocol.presets[name]).__doc__ or "").partition(".")[0]


def resolve_preset(protocol: str, name: str, task: str | None, registry: Registry) -> Preset:
    """The preset ``name`` of ``protocol`` for a task (``suite/task``; None = settings without a task's own).

    Raises:
        UnknownNameError: no preset of that name.
        ConfigError: it belongs to another protocol, or its card sets what does not exist.
        UnsupportedError: it has no settings for this task.
    """
    found = find_protocol(protocol, registry)
    if name in found.presets:
        return found.presets[name]
    card = _preset_card(protocol, name, registry)
    own = card.tasks.get(task) if task is not None else None
    if own is None and card.listed_only and task is not None:
        raise UnsupportedError(
            f"preset {name!r} has no settings for task {task!r}; it covers {', '.join(sorted(card.tasks))}"
        )
    settings = {**card.settings, **(own or {})}
    return _build(found, name, settings)


def _preset_card(protocol: str, name: str, registry: Registry) -> PresetCard:
    """One name may be a preset of several protocols, e.g. a paper's for probing and for fine-tuning."""
    wanted = normalise(name)
    entries = registry.entries("presets")
    named = [e for e in entries if wanted in (normalise(e.card.name), normalise(f"{e.distribution}:{e.card.name}"))]
    mine: list[PresetCard] = [entry.card for entry in named if entry.card.protocol == protocol]
    if len(mine) == 1:
        return mine[0]
    if not mine and named:
        others = " and ".join(sorted({entry.card.protocol for entry in named}))
        own = find_protocol(protocol, registry).presets
        known = [*own, *sorted({e.card.name for e in entries if e.card.protocol == protocol})]
        raise ConfigError(
            f"preset {name!r} is for {others}, not for --protocol {protocol}, which has {', '.join(known)}"
        )
    card: PresetCard = registry.resolve("presets", name).card  # raises: unknown or ambiguous
    return card


def _build(protocol: Protocol, name: str, settings: dict[str, Any]) -> Preset:
    methods: dict[str, type[Preset]] = {c.method: c for c in protocol.settings}
    method = settings.pop("method", next(iter(methods)))
    if method not in methods:
        raise ConfigError(f"preset {name!r}: method must be one of {', '.join(methods)}, not {method!r}")
    chosen = methods[method]
    known = {f.name for f in fields(chosen)}
    if unknown := set(settings) - known:
        raise ConfigError(
            f"preset {name!r}: {method} has no setting {sorted(unknown)[0]!r}; it has {', '.join(sorted(known))}"
        )
    _check_types(chosen, name, settings)
    return chosen(**settings)


def _check_types(chosen: type[Preset], name: str, settings: Mapping[str, Any]) -> None:
    """A preset's card may come from anybody: what would fail in the middle of a fit is refused here."""
    from pydantic import TypeAdapter, ValidationError

    for setting, kind in get_type_hints(chosen).items():
        if setting not in settings:
            continue
        value = settings[setting]
        try:
            fits = isinstance(TypeAdapter(kind).validate_python(value), str) or not isinstance(value, str)
        except ValidationError:
            fits = False
        if not fits:
            raise ConfigError(
                f"preset {name!r}: {setting} must be of type {getattr(kind, '__name__', kind)}, not {value!r}"
            )


def without_metric(protocol: str, metric: str, registry: Registry) -> str | None:
    """Why scores of a protocol have no such metric, in a sentence; None where they do, or where the protocol is not installed here."""
    try:
        found = find_protocol(protocol, registry)
    except BenchError:
        return None
    if metric in found.metrics([metric]):
        return None
    return f"--protocol {protocol} gives scores in units of their own, for which {metric} means nothing"
