"""Cards: frozen descriptions of everything a plugin offers, and the ``hookimpl`` marker.

The bottom of the harness: standard library and pluggy only, so that a plugin's entry-point module, which holds cards and
hook implementations, imports in milliseconds. Code that needs torch is named by a factory string ``"package.module:Name"``
and imported when it is first used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pluggy

__all__ = [
    "AugmentationCard",
    "BackboneCard",
    "DataSource",
    "ExecutorCard",
    "MetricCard",
    "ModelCard",
    "ObjectiveCard",
    "PresetCard",
    "Pretraining",
    "ProtocolCard",
    "PublishedCard",
    "PublishedFineTuning",
    "SuiteCard",
    "TargetCard",
    "TaskCard",
    "WeightsSource",
    "hookimpl",
]

hookimpl = pluggy.HookimplMarker("findna_bench")

ENTRY_POINT_GROUP = "findna_bench"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)?")
_METRIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(:.+)?")
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

COMBINATIONS: tuple[str, ...] = ("absdiff_product", "concat", "difference", "concat_absdiff_product")
"""How the vectors of both sides of a pair become one; see :mod:`findna_bench.models.combinations`."""
_CHOICES = {
    "inputs": ("sequence", "variant", "pair"),
    "effect": ("signed", "negative", "absolute"),
    "aggregate": ("rows", "groups"),
    "group_weights": ("uniform", "rows"),
    "combination": COMBINATIONS,
}
"""Of a task's card."""
POOLINGS: tuple[str, ...] = ("mean", "mean_all", "mean_bases", "cls", "last", "max")


def _check_name(name: str, pattern: re.Pattern[str], what: str) -> None:
    if not pattern.fullmatch(name):
        raise ValueError(
            f"{what} name {name!r} may only hold letters, digits and . _ + -, and starts with a letter or digit"
        )


def _check_factory(factory: str, where: str) -> None:
    if not _FACTORY.fullmatch(factory):
        raise ValueError(f'{where}: factory {factory!r} must have the form "package.module:Name"')


def card_content(card: ModelCard | TaskCard) -> dict[str, Any]:
    """What a card says, for the ids that hash it.

    Fields that came later are left out where they have their default, so that ids from before they were there stay what they are.
    """
    content = asdict(card)
    if isinstance(card, ModelCard) and len(card.inputs) > 1:  # that it reads pairs, too, changes nothing of other rows
        content["inputs"] = tuple(name for name in card.inputs if name != "pair")
    for name, default in _LATER_FIELDS[type(card).__name__].items():
        if content[name] == default:
            del content[name]
    return content


_LATER_FIELDS: dict[str, dict[str, Any]] = {
    "ModelCard": {"inputs": ("sequence",)},
    "TaskCard": {
        "inputs": "sequence",
        "effect": "signed",
        "aggregate": "rows",
        "group_weights": "uniform",
        "combination": "absdiff_product",
    },
}


@dataclass(frozen=True, kw_only=True)
class _FactoryCard:
    """What backbones, objectives, augmentations and executors have in common."""

    name: str
    factory: str
    """``"package.module:Class"``; imported on first use."""
    summary: str = ""
    reference: str = ""
    """Paper or upstream repository, with commit where that matters."""

    def __post_init__(self) -> None:
        _check_name(self.name, _NAME, type(self).__name__)
        _check_factory(self.factory, f"{type(self).__name__} {self.name!r}")


@dataclass(frozen=True, kw_only=True)
class BackboneCard(_FactoryCard):
    """An architecture: its factory is a subclass of :class:`findna_bench.api.Backbone`.

    Example:
        >>> BackboneCard(name="my-convolution", factory="my_package.network:Convolution").name
        'my-convolution'
    """


@dataclass(frozen=True, kw_only=True)
class ObjectiveCard(_FactoryCard):
    """A pretraining objective: its factory is a subclass of :class:`findna_bench.api.Objective`, made with a backbone and options.

    Example:
        >>> ObjectiveCard(name="denoise", factory="my_package.objective:Denoise").name
        'denoise'
    """


@dataclass(frozen=True, kw_only=True)
class AugmentationCard(_FactoryCard):
    """An augmentation: its factory makes a :class:`findna_bench.api.Augmentation` from keyword arguments, all of them with defaults.

    Example:
        >>> AugmentationCard(name="snp", factory="my_package.augmentation:SNP", aliases=("S",)).aliases
        ('S',)
    """

    aliases: tuple[str, ...] = ()
    """Other names, such as the letter that papers write in a recipe."""


@dataclass(frozen=True, kw_only=True)
class ExecutorCard(_FactoryCard):
    """A way to run jobs: its factory is a :class:`findna_bench.api.Executor`, a function of all jobs of a run.

    Example:
        >>> ExecutorCard(name="cluster", factory="my_package.cluster:submit").factory
        'my_package.cluster:submit'
    """

    in_process: bool = False
    """It runs jobs in the process that called it, so that models and tables which are objects of that process can be run."""


@dataclass(frozen=True, kw_only=True)
class MetricCard(_FactoryCard):
    """A score of a model's outputs: its factory is a subclass of :class:`findna_bench.api.Metric`, made without arguments.

    Example:
        >>> MetricCard(name="error_rate", factory="my_package.metrics:ErrorRate", higher_is_better=False).targets
        ('classes',)
    """

    targets: tuple[str, ...] = ("classes",)
    """What it can score: names of targets."""
    scale_free: bool = False
    """Whether scores in units of their own will do (a rank or a correlation), so that what was never fitted has it, too."""
    per_class: bool = False
    """It is about one class: called ``NAME:CLASS``, and made with the number of the class."""
    higher_is_better: bool = True
    label: str = ""
    """Head of its column in tables, e.g. ``MCC x100``; empty = the name with a percent sign."""
    scale: float = 100.0
    """What tables multiply values by; 1 for a metric in units of its own."""


@dataclass(frozen=True, kw_only=True)
class TargetCard(_FactoryCard):
    """What rows of a task are labelled with: its factory is a subclass of :class:`findna_bench.api.Target`, made without arguments.

    Example:
        >>> TargetCard(name="values", factory="my_package.values:Values").name
        'values'
    """

    of_bases: bool = False
    """Whether every base of a row is predicted, so that a model needs a vector per base."""


@dataclass(frozen=True, kw_only=True)
class ProtocolCard(_FactoryCard):
    """A way to score models: its factory is a subclass of :class:`findna_bench.api.Protocol`, made without arguments.

    Example:
        >>> ProtocolCard(name="centroid", factory="my_package.centroid:NearestCentroid").name
        'centroid'
    """


@dataclass(frozen=True, kw_only=True)
class WeightsSource:
    """Where a checkpoint (or a tokenizer file) may be had. Exactly one of ``repo``, ``url`` and ``package`` is given."""

    repo: str | None = None
    """Hugging Face hub repository ``ORG/NAME``."""
    revision: str | None = None
    """Pinned commit of ``repo``; ``None`` means that no commit is known yet, and the resolved one is recorded."""
    url: str | None = None
    package: str | None = None
    """``"package:folder"`` inside an installed distribution."""
    files: tuple[str, ...] = ()
    """Allow-list of file names, weights first; for ``url`` the name under which it is cached."""
    sha256: str | None = None
    """Of the file, in hexadecimal; checked."""
    git_blob: str | None = None
    """sha1 over ``blob <size>\\0<content>``, for files that only a git host vouches for."""
    size: int | None = None
    """Bytes."""
    licence: str = ""
    """By its SPDX name."""

    def __post_init__(self) -> None:
        if sum(x is not None for x in (self.repo, self.url, self.package)) != 1:
            raise ValueError("a WeightsSource names exactly one of repo, url and package")

    @property
    def pinned(self) -> bool:
        """Whether all its files can only ever be the same: a commit, a file with a digest, part of an installed distribution."""
        if self.repo:  # a digest is that of the weights alone; the config beside them decides, too
            return re.fullmatch(r"[0-9a-f]{40}", self.revision or "") is not None
        return bool(self.package or self.sha256 or self.git_blob)

    @property
    def label(self) -> str:
        """One word for tables and messages: ``hf:ORG/NAME@REV``, the URL, or ``package:...``."""
        if self.repo:
            return f"hf:{self.repo}" + (f"@{self.revision}" if self.revision else "")
        return self.url or f"package:{self.package}"


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """What a model has read before: used for the flag ``pretraining-overlap``."""

    assemblies: tuple[str, ...] = ()
    """Assemblies or species, e.g. ``("GRCh38",)``."""
    chromosomes: tuple[str, ...] | None = None
    """``None`` = all of the assemblies."""
    regions: tuple[tuple[str, int, int], ...] = ()
    """0-based half-open (contig, start, end), where pretraining was limited to them."""
    excluded_chromosomes: tuple[str, ...] = ()
    """Left out of training, where the rest of the assemblies was read."""
    note: str = ""
    """What else is to be known."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Pretraining:
        """From what :func:`dataclasses.asdict` made of one, lists for tuples.

        Raises:
            TypeError, ValueError: it is no such mapping.
        """
        if not isinstance(values, Mapping):
            raise TypeError(f"not a mapping: {values!r}")
        given = dict(values)
        if not isinstance(given.get("note", ""), str):
            raise TypeError("note is no text")
        for name in ("assemblies", "chromosomes", "excluded_chromosomes"):
            if name not in given or (name == "chromosomes" and given[name] is None):
                continue
            if not isinstance(given[name], (list, tuple)) or not all(isinstance(value, str) for value in given[name]):
                raise TypeError(f"{name} is no list of names")
            given[name] = tuple(given[name])
        given["regions"] = tuple((str(c), int(start), int(end)) for c, start, end in given.get("regions", ()))
        return cls(**given)

    def followed_by(self, later: Pretraining) -> Pretraining:
        """What a model has read that was trained further on ``later``.

        On the safe side where the two are of other kinds, and unknown (no assemblies) where one of them is.
        """
        first, second = self.chromosomes, later.chromosomes
        named = self.assemblies and later.assemblies
        if second == ():  # single rows, on no chromosome from end to end: what was said before still bounds the rest
            regions = self.regions
        else:
            regions = (*self.regions, *later.regions) if self.regions and later.regions else ()
        return Pretraining(
            assemblies=tuple(dict.fromkeys((*self.assemblies, *later.assemblies))) if named else (),
            chromosomes=None if first is None or second is None else tuple(dict.fromkeys((*first, *second))),
            regions=regions,
            excluded_chromosomes=tuple(c for c in self.excluded_chromosomes if c in later.excluded_chromosomes),
            note="; ".join(note for note in (self.note, later.note) if note),
        )


@dataclass(frozen=True, kw_only=True)
class PublishedFineTuning:
    """How a model's authors fine-tune it: as published, never guessed. Fine-tuning centres its learning rates here."""

    learning_rate: float
    """Of the whole network. Where the authors give several, one in their middle, and ``note`` gives the others."""
    source: str
    """Paper, script or notebook that says so."""
    batch_size: int | None = None
    """Rows per optimiser step."""
    epochs: int | None = None
    """Passes over train; None where steps are published."""
    steps: int | None = None
    """Optimiser steps; None where epochs are published."""
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else is published, e.g. ``{"weight_decay": 0.1}``."""
    adapter_learning_rate: float | None = None
    """Of low-rank adapters, where the authors train these."""
    adapter_source: str = ""
    """Paper, script or notebook that says so."""
    note: str = ""
    """What else is to be known, such as other rates that are given."""

    def __post_init__(self) -> None:
        if not self.learning_rate > 0 or (
            self.adapter_learning_rate is not None and not self.adapter_learning_rate > 0
        ):
            raise ValueError("a published learning rate is above 0")
        if not self.source or (self.adapter_learning_rate is not None and not self.adapter_source):
            raise ValueError("a published learning rate names its source")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """A runnable model.

    ``kind`` ``encoder``: ``backbone`` names a :class:`BackboneCard` and ``config`` its sizes.
    ``kind`` ``features``: ``factory``, called with ``config``, makes a :class:`findna_bench.api.Features`, which turns rows into vectors.
    ``kind`` ``classifier``: ``factory`` makes a :class:`findna_bench.api.Classifier`, which gives class probabilities itself.

    Raises:
        ValueError: fields contradict each other.

    Example:
        >>> ModelCard(name="gaps", kind="features", factory="my_package.gaps:GappedPairs", config={"gaps": (0, 1)}).pooling
        'mean'
    """

    name: str
    kind: Literal["encoder", "features", "classifier"]
    aliases: tuple[str, ...] = ()
    """Other names under which it is found."""
    summary: str = ""
    """One line for tables."""
    backbone: str | None = None
    factory: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    protocols: tuple[str, ...] | None = None
    """Protocols this model may be scored with, any other gives a ``skipped`` row; ``None`` = all that score its kind of model."""
    weights: tuple[WeightsSource, ...] = ()
    """Where its weights are, in the order in which they are tried; empty: only random ones, or `--weights`."""
    tokenizer: tuple[WeightsSource, ...] = ()
    """Empty where the tokenizer is a rule in code."""
    pooling: str = "mean"
    pooling_source: str = ""
    """Who says that this pooling is the right default."""
    window: str = "truncate"
    """Default ``--window`` for sequences longer than the model takes."""
    max_length: int | None = None
    """Longest sequence in bases; ``None`` = no limit."""
    causal: bool = False
    """Whether a token sees only those before it; pooling and likelihoods follow."""
    n_parameters: int | None = None
    """Expected parameter count of the backbone as loaded (without a pretraining head); asserted."""
    paper: str = ""
    """Citation, or a link."""
    licence_code: str = ""
    """Of the code, by its SPDX name."""
    licence_weights: str = ""
    """Of the weights, by its SPDX name."""
    notes: tuple[str, ...] = ()
    """Printed with the model, and stored with its results."""
    pretraining: Pretraining | None = None
    """What the weights have read, for the flag `pretraining-overlap`; None = nobody knows."""
    pretraining_preset: str = ""
    """Preset that ``pretrain NAME`` uses unless another is named."""
    finetuning: PublishedFineTuning | None = None
    """Its authors' fine-tuning; ``None`` = not known, and learning rates are centred by the number of parameters."""
    networks: tuple[str, ...] = ()
    """Networks a checkpoint may hold, default first, e.g. ``("teacher", "student")``."""
    sanity: bool = True
    """Whether masked- or next-token loss on real sequence can prove that the weights are what they should be."""
    targets: tuple[str, ...] | None = None
    """What it can be fitted to; ``None`` = classes for a classifier, anything for the others, whose head predicts."""
    inputs: tuple[str, ...] = ("sequence",)
    """What rows it reads, where it is no encoder: ``sequence``, ``variant``, ``pair``. Features of sequences are combined for pairs by the
    harness."""
    control: bool = False
    """A control: shown below the models, and a candidate for "gain over the best control on validation"."""
    version: int = 1
    """Part of every identity: raise it where something changed that no digest sees."""

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            _check_name(name, _NAME, "model")
        if self.kind == "encoder":
            if not self.backbone:
                raise ValueError(f"model {self.name!r}: an encoder names its backbone")
        elif self.kind in ("features", "classifier"):
            if not self.factory:
                raise ValueError(f"model {self.name!r}: kind {self.kind!r} names its factory")
            _check_factory(self.factory, f"model {self.name!r}")
        else:
            raise ValueError(f"model {self.name!r}: kind must be encoder, features or classifier, not {self.kind!r}")
        if self.pooling not in POOLINGS:
            raise ValueError(f"model {self.name!r}: pooling must be one of {', '.join(POOLINGS)}, not {self.pooling!r}")
        if self.causal and self.pooling == "cls":
            raise ValueError(f"model {self.name!r}: cls pooling is meaningless for a causal model")
        for protocol in self.protocols or ():
            _check_name(protocol, _NAME, f"model {self.name!r}: protocol")


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Where a labelled data set may be had; sources of a card are tried in order.

    ``layout`` names how it is downloaded (``archive``, ``tables``, ``hub-parquet``, ``files``), or says that it cannot be by a program (``page``).
    ``url`` may hold ``{split}`` where a layout has one file per split.
    """

    url: str
    layout: str = "folders-zip"
    sha256: str | None = None
    """Of the file, in hexadecimal; checked."""
    git_blob: str | None = None
    """sha1 over `blob <size>` and the content, for files that only a git host vouches for."""
    size: int | None = None
    """Bytes."""
    licence: str = ""
    """By its SPDX name."""


@dataclass(frozen=True, kw_only=True)
class TaskCard:
    """A labelled data set. ``suite/name`` is its canonical name.

    Exactly one of three origins: ``sources`` and files imported under the data root; ``embedded`` (``"package:folder"``
    with ``train|validation|test.parquet``); ``factory`` (``"package.module:function"`` called with ``config``, returning
    ``{split: SequenceTable}``).

    Raises:
        ValueError: fields contradict each other.

    Example:
        >>> TaskCard(name="mine", suite="lab", labels=("no", "yes"), factory="my_package.rows:make").full_name
        'lab/mine'
    """

    name: str
    suite: str
    labels: tuple[str, ...]
    """Class names in label order: label ``i`` is ``labels[i]``. Targets without classes: names of what is predicted."""
    target: str = "classes"
    """What rows are labelled with; see ``findna-bench list targets``."""
    inputs: Literal["sequence", "variant", "pair"] = "sequence"
    """What a row holds. ``variant``: a window of sequence with a place in it, and two alleles
    (``SequenceTable.extra``: ``offset``, ``ref``, ``alt``). ``pair``: two sequences (``SequenceTable.sequences_b``)."""
    combination: Literal["absdiff_product", "concat", "difference", "concat_absdiff_product"] = "absdiff_product"
    """Of pairs: how the vectors of both sides, a and b, become the one that a head reads, unless a run says otherwise
    (``--combination``). ``absdiff_product``, ``[|a - b|, a * b]``, is the only one that does not change with the order of the sides."""
    effect: Literal["signed", "negative", "absolute"] = "signed"
    """How a score without training follows from log p(alt) - log p(ref): as it is, turned round (what is unlikely is pathogenic), or
    its size. A convention of the data set, never chosen on labels."""
    aggregate: Literal["rows", "groups"] = "rows"
    """Of rows with a column ``element``: whether the score is that of all rows together, or the mean over elements of the score within
    each, as the data set's authors have it. The other one stands beside it."""
    group_weights: Literal["uniform", "rows"] = "uniform"
    """What an element counts in the mean over elements: as much as any other, or as much as it has rows."""
    metric: str = "accuracy"
    """Name of a metric, e.g. ``mcc`` or ``recall:enhancer``; see ``findna-bench list metrics``."""
    summary: str = ""
    """One line for tables."""
    split_policy: str = "official"
    """``official`` (never re-split) or ``official train and test, validation drawn from train``."""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Published rows per split and class name, e.g. ``{"train": {"negative": 12355, ...}, ...}``; empty = not known."""
    sources: tuple[DataSource, ...] = ()
    embedded: str | None = None
    factory: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    derived_from: str = ""
    """Canonical name of an imported task whose rows these are, split anew as the manifest ``rows`` says; ``config`` may hold
    ``crop``, the length to which every row is cut."""
    rows: str = ""
    """``"package:folder/file.parquet"``, see :mod:`findna_bench.data.derived`."""
    attainable: str | None = None
    """``"package.module:function"`` that, called with ``config``, returns the highest expected value of ``metric`` that any
    classifier can reach; only where the rows are drawn from a known distribution."""
    strand: Literal["specific", "agnostic", "unknown"] = "unknown"
    """Whether the label belongs to one strand, so that the reverse complement is another question."""
    known_shortcuts: tuple[str, ...] = ()
    """What gives the label away without biology, in words; shown by `audit` and `describe`."""
    citation: str = ""
    """Paper, or a link."""
    licence: str = ""
    """Of the data, by its SPDX name."""
    length: tuple[int, int] | None = None
    """Shortest and longest sequence in bases as published."""
    assembly: str = ""
    """Genome that coordinates are of, e.g. `GRCh38`; several separated by commas."""
    locus_group: str = ""
    """Tasks of one group share loci (e.g. the ten EMP marks); statistics across tasks count the group as one cluster."""
    aliases: tuple[str, ...] = ()
    """Other folder or file names under which upstream publishes this data set."""
    version: int = 1
    """Part of every identity: raise it where something changed that no digest sees."""

    def __post_init__(self) -> None:
        _check_name(self.name, _NAME, "task")
        _check_name(self.suite, _NAME, "suite")
        if not _METRIC.fullmatch(self.metric):
            raise ValueError(f"task {self.full_name!r}: metric {self.metric!r} is no name of a metric")
        _check_name(self.target, _NAME, f"task {self.full_name!r}: target")
        for name in _CHOICES:
            if getattr(self, name) not in _CHOICES[name]:
                raise ValueError(
                    f"task {self.full_name!r}: {name} must be {' or '.join(_CHOICES[name])}, not {getattr(self, name)!r}"
                )
        fewest = 2 if self.target == "classes" else 1
        if len(set(self.labels)) != len(self.labels) or len(self.labels) < fewest:
            raise ValueError(f"task {self.full_name!r}: labels must be {fewest} or more different names")
        if self.factory:
            _check_factory(self.factory, f"task {self.full_name!r}")
        if self.attainable:
            _check_factory(self.attainable, f"task {self.full_name!r}")
        if self.embedded and self.factory:
            raise ValueError(f"task {self.full_name!r}: give embedded or factory, not both")
        if bool(self.derived_from) != bool(self.rows) or (self.derived_from and (self.embedded or self.factory)):
            raise ValueError(f"task {self.full_name!r}: a derived task has derived_from and rows, and no other origin")

    @property
    def full_name(self) -> str:
        """``suite/name``."""
        return f"{self.suite}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class SuiteCard:
    """A named list of tasks with the authors' protocol.

    Example:
        >>> SuiteCard(name="lab", tasks=("lab/mine", "demo/species4")).tasks
        ('lab/mine', 'demo/species4')
    """

    name: str
    tasks: tuple[str, ...]
    """Canonical task names, run and shown in this order."""
    extra_tasks: tuple[str, ...] = ()
    """Run and shown with the suite, but outside its mean."""
    summary: str = ""
    """One line for tables."""
    reference: str = ""
    """What the protocol follows."""
    protocol: str = "probe"
    preset: str = ""
    """Of the protocol; empty = its default. Both are what the suite's authors use, for readers: ``run`` applies neither by itself."""
    citation: str = ""
    """Paper, or a link."""
    aliases: tuple[str, ...] = ()
    """Other names under which it is found."""

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            _check_name(name, _NAME, "suite")
        for task in (*self.tasks, *self.extra_tasks):
            _check_name(task, _TASK_NAME, f"suite {self.name!r}: task")


@dataclass(frozen=True, kw_only=True)
class PresetCard:
    """A named set of protocol settings that is somebody's own, e.g. a paper's table of fine-tuning settings.

    ``protocol`` is the name of a protocol, or ``pretrain``. ``settings`` are field names and values of its settings dataclass
    (:mod:`findna_bench.protocols.settings`), ``method`` saying which where it has several; ``tasks``
    maps canonical task names to settings that replace them for that task.

    Raises:
        ValueError: a name is none, or ``listed_only`` is given without tasks.

    Example:
        >>> PresetCard(name="lab", protocol="finetune", settings={"lr": 1e-3}, tasks={"demo/species4": {"lr": 1e-4}}).protocol
        'finetune'
    """

    name: str
    protocol: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    tasks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    summary: str = ""
    """One line for tables."""
    reference: str = ""
    """Who says so: paper, table, repository."""
    listed_only: bool = False
    """The preset covers the tasks named in ``tasks`` and no others."""

    def __post_init__(self) -> None:
        _check_name(self.name, _NAME, "preset")
        _check_name(self.protocol, _NAME, f"preset {self.name!r}: protocol")
        for task in self.tasks:
            _check_name(task, _TASK_NAME, f"preset {self.name!r}: task")
        if self.listed_only and not self.tasks:
            raise ValueError(f"preset {self.name!r}: listed_only needs tasks")


@dataclass(frozen=True, kw_only=True)
class PublishedCard:
    """A TOML file with figures from one paper: ``path`` is ``"package:folder/file.toml"``.

    Example:
        >>> PublishedCard(name="my-paper", path="my_package:paper.toml").name
        'my-paper'
    """

    name: str
    path: str
    summary: str = ""
    """One line for tables."""

    def __post_init__(self) -> None:
        _check_name(self.name, _NAME, "published")
