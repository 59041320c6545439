"""First-party plugins: FinDNA and its relatives, suites and published figures. Cards and hooks only; nothing heavy is imported."""

from findna_bench.cards import (
    AugmentationCard,
    BackboneCard,
    ExecutorCard,
    MetricCard,
    ModelCard,
    ObjectiveCard,
    PresetCard,
    PublishedCard,
    SuiteCard,
    TaskCard,
    hookimpl,
)
from findna_plugins import findna_cards, paper_presets, suites
from findna_plugins.executors import executor_cards
from findna_plugins.published_cards import PUBLISHED


@hookimpl
def findna_bench_backbones() -> list[BackboneCard]:
    return [*findna_cards.BACKBONES]


@hookimpl
def findna_bench_objectives() -> list[ObjectiveCard]:
    return [*findna_cards.OBJECTIVES]


@hookimpl
def findna_bench_augmentations() -> list[AugmentationCard]:
    return [*findna_cards.AUGMENTATIONS]


@hookimpl
def findna_bench_executors() -> list[ExecutorCard]:
    return [*executor_cards.EXECUTORS]


@hookimpl
def findna_bench_models() -> list[ModelCard]:
    return [*findna_cards.MODELS]


@hookimpl
def findna_bench_presets() -> list[PresetCard]:
    return [*findna_cards.PRETRAINING_PRESETS, *paper_presets.PRESETS]


@hookimpl
def findna_bench_tasks() -> list[TaskCard]:
    return [*suites.TASKS]


@hookimpl
def findna_bench_suites() -> list[SuiteCard]:
    return [*suites.SUITES]


@hookimpl
def findna_bench_metrics() -> list[MetricCard]:
    return [
        MetricCard(
            name="paired_accuracy",
            label="paired accuracy %",
            factory="findna_plugins.paired_accuracy:PairedAccuracy",
            scale_free=True,
            summary="share of rows whose own class scores higher than the other, ties counting half; of pairs of alleles scored without training the share of pairs",
        )
    ]


@hookimpl
def findna_bench_published() -> list[PublishedCard]:
    return [*PUBLISHED]
