"""Presets: generic ones, and plugins' by task; what a card asks for must exist."""

from __future__ import annotations

import json
from typing import Any

import pytest

from findna_bench.cards import ModelCard, PresetCard, PublishedFineTuning
from findna_bench.errors import ConfigError, UnknownNameError, UnsupportedError
from findna_bench.matrix import plugin as core
from findna_bench.protocols.protocol import resolve_preset
from findna_bench.protocols.settings import (
    FINETUNE_PRESETS,
    AdamWProbe,
    FineTuning,
    LogisticProbe,
    preset_settings,
    rate_by_size,
)
from findna_bench.registry import Entry, Plugin, Registry, get_registry

CARDS = [card for card in get_registry().cards("presets") if card.protocol != "pretrain"]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: f"{card.protocol}-{card.name}")
def test_every_registered_preset_names_real_settings_and_real_tasks(card: PresetCard) -> None:
    registry = get_registry()
    for task in card.tasks:
        preset = resolve_preset(card.protocol, card.name, task, registry)
        assert registry.resolve("tasks", task).card.full_name == task
        for name in preset.backbone if isinstance(preset, FineTuning) else ():
            registry.resolve("backbones", name)
        json.dumps(preset_settings(preset))
    resolve_preset(card.protocol, card.name, None, registry)


def test_the_papers_tables() -> None:
    registry = get_registry()
    probe = resolve_preset("probe", "findna-paper-inferred", "genomic_benchmarks/human_nontata_promoters", registry)
    assert probe == AdamWProbe(lr=0.01, weight_decay=0.1, batch_size=1024, epochs=50, warmup=0.3, standardise=False)
    cohn = resolve_preset("finetune", "findna-paper", "genomic_benchmarks/human_enhancers_cohn", registry)
    assert isinstance(cohn, FineTuning)
    assert (cohn.batch_size, cohn.lr, cohn.epochs, cohn.warmup, cohn.weight_decay) == (1024, 1e-3, 50, 0.1, 0.1)
    assert cohn.backbone["chordmixer"]["dropout"] == 0.3
    tf = resolve_preset("finetune", "gue-dnabert2", "gue/mouse_3", registry)
    assert isinstance(tf, FineTuning)
    assert (tf.lr, tf.max_steps, tf.max_tokens, tf.warmup_steps) == (3e-5, 1000, 30, 30)


def registry_with(*cards: PresetCard) -> Registry:
    registry = Registry()
    registry.add(core, Plugin("core", "findna_bench.matrix.plugin", "findna-bench", "0"))
    registry.plugins.append(Plugin("mine", "mine", "mine", "1"))
    registry._entries["presets"] += [Entry(card, "mine", "1", "mine") for card in cards]
    return registry


def test_a_tasks_own_settings_replace_the_general_ones() -> None:
    card = PresetCard(
        name="p",
        protocol="probe",
        settings={"strengths": (1.0,)},
        tasks={"s/t": {"strengths": (2.0,)}},
        listed_only=True,
    )
    registry = registry_with(card)
    assert resolve_preset("probe", "p", "s/t", registry) == LogisticProbe(strengths=(2.0,))
    assert resolve_preset("probe", "p", None, registry) == LogisticProbe(strengths=(1.0,))
    with pytest.raises(UnsupportedError, match="no settings for task 's/other'"):
        resolve_preset("probe", "p", "s/other", registry)


def test_wrong_names_are_told() -> None:
    registry = registry_with(
        PresetCard(name="p", protocol="probe", settings={"strenghts": (1.0,)}),
        PresetCard(name="q", protocol="probe", settings={"method": "magic"}),
        PresetCard(name="fast", protocol="probe", settings={"method": "adamw", "lr": "fast"}),
        PresetCard(name="quoted", protocol="finetune", settings={"epochs": "3"}),
        PresetCard(name="both", protocol="knn", settings={"k": 3}),
        PresetCard(name="both", protocol="probe"),
    )
    with pytest.raises(ConfigError, match="no setting 'strenghts'"):
        resolve_preset("probe", "p", None, registry)
    with pytest.raises(ConfigError, match="method must be one of logistic, adamw"):
        resolve_preset("probe", "q", None, registry)
    with pytest.raises(ConfigError, match=r"preset 'fast': lr must be of type .*not 'fast'"):
        resolve_preset("probe", "fast", None, registry)
    with pytest.raises(ConfigError, match="preset 'quoted': epochs must be of type int, not '3'"):
        resolve_preset("finetune", "quoted", None, registry)
    with pytest.raises(ConfigError, match="is for probe, not for --protocol finetune"):
        resolve_preset("finetune", "p", None, registry)
    with pytest.raises(UnknownNameError, match="unknown preset 'x'"):
        resolve_preset("probe", "x", None, registry)
    assert preset_settings(resolve_preset("knn", "both", None, registry))["k"] == 3
    assert resolve_preset("probe", "both", None, registry) == LogisticProbe()


def centre(model: str, n_parameters: int | None = None, **settings: Any) -> float | None:
    card = get_registry().resolve("models", model).card
    preset = FineTuning(**settings).for_model(card, n_parameters)
    assert isinstance(preset, FineTuning)
    return preset.lr


def test_learning_rates_are_centred_where_the_authors_have_theirs_and_by_size_else() -> None:
    assert [centre(model) for model in ("dnabert2", "nt-v2-500m", "hyenadna", "caduceus-ph", "findna")] == [
        3e-5,
        1e-5,
        6e-4,
        1e-3,
        5e-4,
    ]
    assert centre("findna-tiny") == 1e-3
    assert centre("findna-t") == rate_by_size(13_130_752) == 1.4e-4
    assert centre("findna-tiny", 117_000_000) == 2.8e-5
    assert centre("dnabert2", lr=0.1) == 0.1
    sizes = [10**4, 10**6, 10**7, 10**8, 5 * 10**8, 25 * 10**8]
    assert [rate_by_size(n) for n in sizes] == [1e-3, 1e-3, 1.8e-4, 3.2e-5, 1e-5, 1e-5]


def test_adapters_and_heads_alone_have_rates_of_their_own() -> None:
    assert centre("nt-500m-human", lora_rank=8) == 5e-4
    assert centre("dnabert2", lora_rank=8) == 3e-4
    assert centre("findna-tiny", lora_rank=8) == 1e-2
    assert centre("dnabert2", freeze_layers=-1) == centre("findna-tiny", freeze_layers=-1) == 1e-2
    assert centre("dnabert2", freeze_layers=4) == 3e-5


def test_all_models_are_given_the_same_multiples_and_steps() -> None:
    default = FINETUNE_PRESETS["default"]
    for model in ("dnabert2", "findna-tiny"):
        tried = default.for_model(get_registry().resolve("models", model).card, None).rate_trials()
        assert [round(preset.lr / tried[2].lr, 2) for preset in tried] == [0.1, 0.32, 1.0, 3.2, 10.0]
        assert {(preset.epochs, preset.min_steps, preset.max_steps) for preset in tried} == {(10, 500, None)}
    two = FineTuning(lr=1e-3, head_lr=1e-2, rates=(2.0, 0.5)).rate_trials()
    assert [(preset.lr, preset.head_lr) for preset in two] == [(5e-4, 5e-3), (2e-3, 2e-2)]


def test_published_settings_name_their_source() -> None:
    for card in get_registry().cards("models"):
        assert isinstance(card, ModelCard)
        assert card.finetuning is None or len(card.finetuning.source) > 20
    with pytest.raises(ValueError, match="names its source"):
        PublishedFineTuning(learning_rate=1e-4, source="")
    with pytest.raises(ValueError, match="names its source"):
        PublishedFineTuning(learning_rate=1e-4, source="a paper", adapter_learning_rate=1e-3)
    with pytest.raises(ValueError, match="above 0"):
        PublishedFineTuning(learning_rate=0, source="a paper")
