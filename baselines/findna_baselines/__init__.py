"""Published DNA language models as native PyTorch, and the controls that they have to beat: hooks and cards only."""

from __future__ import annotations

from findna_baselines import baseline_cards, published_presets
from findna_baselines.controls import control_cards
from findna_bench.cards import BackboneCard, ModelCard, PresetCard, hookimpl


@hookimpl
def findna_bench_backbones() -> list[BackboneCard]:
    """Architectures of the baselines."""
    return [*baseline_cards.BACKBONES]


@hookimpl
def findna_bench_models() -> list[ModelCard]:
    """Baselines in all published sizes, and the controls."""
    return [*baseline_cards.MODELS, *control_cards.MODELS]


@hookimpl
def findna_bench_presets() -> list[PresetCard]:
    """Settings with which the baselines' authors fine-tuned."""
    return [*published_presets.PRESETS]
