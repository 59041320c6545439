"""The whole extension surface: one hook per kind of thing that a plugin can offer.

A plugin is a module with functions of these names, marked ``@hookimpl``, and an entry point in the group ``findna_bench``. Each returns
a list of cards (:mod:`findna_bench.cards`). ``findna-bench check NAME`` tests what is registered.

Example:
    >>> from findna_bench.cards import TaskCard, hookimpl
    >>> @hookimpl
    ... def findna_bench_tasks():
    ...     return [TaskCard(name="mine", suite="lab", labels=("no", "yes"), factory="my_package.rows:make")]
    >>> [card.full_name for card in findna_bench_tasks()]
    ['lab/mine']
"""

from __future__ import annotations

import pluggy

from findna_bench.cards import (
    AugmentationCard,
    BackboneCard,
    ExecutorCard,
    MetricCard,
    ModelCard,
    ObjectiveCard,
    PresetCard,
    ProtocolCard,
    PublishedCard,
    SuiteCard,
    TargetCard,
    TaskCard,
)

hookspec = pluggy.HookspecMarker("findna_bench")


@hookspec
def findna_bench_backbones() -> list[BackboneCard]:  # type: ignore[empty-body]
    """Architectures that turn a batch of sequences into hidden states."""


@hookspec
def findna_bench_objectives() -> list[ObjectiveCard]:  # type: ignore[empty-body]
    """Pretraining objectives."""


@hookspec
def findna_bench_augmentations() -> list[AugmentationCard]:  # type: ignore[empty-body]
    """Augmentations of a batch of sequences."""


@hookspec
def findna_bench_tasks() -> list[TaskCard]:  # type: ignore[empty-body]
    """Labelled data sets."""


@hookspec
def findna_bench_suites() -> list[SuiteCard]:  # type: ignore[empty-body]
    """Named lists of tasks."""


@hookspec
def findna_bench_models() -> list[ModelCard]:  # type: ignore[empty-body]
    """Models that can be run: encoders, feature maps and classifiers."""


@hookspec
def findna_bench_executors() -> list[ExecutorCard]:  # type: ignore[empty-body]
    """Ways to run the jobs of a run."""


@hookspec
def findna_bench_metrics() -> list[MetricCard]:  # type: ignore[empty-body]
    """Scores of a model's outputs."""


@hookspec
def findna_bench_targets() -> list[TargetCard]:  # type: ignore[empty-body]
    """What rows of a task are labelled with."""


@hookspec
def findna_bench_protocols() -> list[ProtocolCard]:  # type: ignore[empty-body]
    """Ways to score models."""


@hookspec
def findna_bench_presets() -> list[PresetCard]:  # type: ignore[empty-body]
    """Named protocol settings, e.g. a paper's own."""


@hookspec
def findna_bench_published() -> list[PublishedCard]:  # type: ignore[empty-body]
    """Files with figures from papers."""
