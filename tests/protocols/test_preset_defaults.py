"""What a preset is when nobody says otherwise: results name these numbers, so none of them moves unseen."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pytest

from findna_bench.cards import ModelCard
from findna_bench.errors import UsageError
from findna_bench.protocols.knn import NearestNeighbours
from findna_bench.protocols.probe import Probe
from findna_bench.protocols.settings import (
    FINETUNE_PRESETS,
    KNN_PRESETS,
    PROBE_PRESETS,
    RATES,
    AdamWProbe,
    ConvProbe,
    FineTuning,
    KNearest,
    LogisticProbe,
    Preset,
    preset_settings,
    rate_by_size,
    trial_settings,
)
from findna_bench.protocols.zero_shot import VariantScore, ZeroShot
from findna_bench.registry import get_registry
from findna_bench.targets.target import find_target

EPOCHS = {"epochs": 50, "select": "validation"}
FINE_TUNING: dict[str, Any] = {
    "method": "finetune",
    "lr": None,
    "rates": (1.0,),
    "trial_steps": None,
    "head_lr": None,
    "weight_decay": 0.01,
    "decay_biases": False,
    "batch_size": 32,
    "epochs": 10,
    "min_steps": None,
    "max_steps": None,
    "warmup": 0.1,
    "warmup_steps": None,
    "schedule": "cosine",
    "clip": 1.0,
    "head": "linear",
    "head_dropout": 0.0,
    "freeze_layers": 0,
    "lora_rank": 0,
    "lora_alpha": 16,
    "lora_dropout": 0.05,
    "gradient_checkpointing": False,
    "validate_every": None,
    "monitor": "loss",
    "patience": None,
    "drop_last": False,
    "pooling": None,
    "max_length": None,
    "max_tokens": None,
    "backbone": {},
}
USUAL = {"rates": (0.1, 0.32, 1.0, 3.2, 10.0), "trial_steps": 300, "epochs": 10, "min_steps": 500}
WRITTEN: list[tuple[Preset, dict[str, Any]]] = [
    (
        LogisticProbe(),
        {
            "method": "logistic",
            "strengths": (100.0, 10.0, 1.0, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001),
            "always": 6,
            "standardise": True,
            "drop_below": 1e-6,
            "tolerance": 1e-8,
            "max_iterations": 1000,
        },
    ),
    (
        AdamWProbe(),
        {
            "method": "adamw",
            "lr": 0.01,
            "weight_decay": 0.1,
            "batch_size": 1024,
            "warmup": 0.3,
            "standardise": False,
            **EPOCHS,
        },
    ),
    (
        ConvProbe(),
        {
            "method": "conv",
            "channels": 64,
            "kernel": 3,
            "lr": 0.003,
            "weight_decay": 0.01,
            "batch_size": 64,
            "patience": 5,
            "warmup": 0.1,
            **EPOCHS,
        },
    ),
    (KNearest(), {"method": "knn", "k": 5, "metric": "euclidean", "standardise": False}),
    (VariantScore(), {"method": "zero_shot", "score": "likelihood", "at": "site", "effect": "task"}),
    (FineTuning(), FINE_TUNING),
    (FINETUNE_PRESETS["default"], FINE_TUNING | USUAL),
    (FINETUNE_PRESETS["conv"], FINE_TUNING | USUAL | {"head": "conv"}),
    (FINETUNE_PRESETS["huber"], FINE_TUNING | USUAL | {"loss": "huber"}),
]


@pytest.mark.parametrize(("preset", "written"), WRITTEN, ids=lambda value: getattr(value, "method", ""))
def test_settings_have_these_values(preset: Preset, written: dict[str, Any]) -> None:
    assert preset_settings(preset) == written
    assert next(iter(preset_settings(preset))) == "method"
    assert {type(value) for value in preset_settings(preset).values()} == {type(value) for value in written.values()}


def test_presets_of_protocols_are_these() -> None:
    assert {"default": LogisticProbe(), "conv": ConvProbe()} == PROBE_PRESETS
    assert {"default": KNearest(), "cosine": KNearest(metric="cosine")} == KNN_PRESETS
    assert USUAL["rates"] == RATES
    assert ZeroShot.presets == {
        "default": VariantScore(score="likelihood", at="site", effect="task"),
        "signed": VariantScore(score="likelihood", at="site", effect="signed"),
        "negative": VariantScore(score="likelihood", at="site", effect="negative"),
        "absolute": VariantScore(score="likelihood", at="site", effect="absolute"),
        "cosine": VariantScore(score="cosine", at="site", effect="task"),
        "cosine-pooled": VariantScore(score="cosine", at="pooled", effect="task"),
        "l2": VariantScore(score="l2", at="site", effect="task"),
        "l2-pooled": VariantScore(score="l2", at="pooled", effect="task"),
    }
    assert (Probe.streams, NearestNeighbours.streams) == (True, False)
    assert [protocol.chooses_representation for protocol in (Probe, NearestNeighbours, ZeroShot)] == [True, True, False]
    assert [protocol.reads_train for protocol in (Probe, NearestNeighbours, ZeroShot)] == [True, True, False]


def test_what_draws_and_what_chooses_is_said_of_every_kind() -> None:
    drawn = ("head initialisation", "row order")
    assert {
        kind.method: (kind.varies, kind.chooses)
        for kind in (LogisticProbe, AdamWProbe, ConvProbe, KNearest, VariantScore, FineTuning)
    } == {
        "logistic": ((), True),
        "adamw": (drawn, True),
        "conv": (drawn, True),
        "knn": ((), False),
        "zero_shot": ((), False),
        "finetune": ((*drawn, "dropout"), True),
    }


def test_a_loss_is_a_setting_only_where_it_is_named() -> None:
    assert "loss" not in preset_settings(FineTuning())
    assert preset_settings(FineTuning(loss="mse"))["loss"] == "mse"


def test_the_last_epoch_is_kept_where_epochs_are_trained() -> None:
    for preset in (AdamWProbe(epochs=3), ConvProbe(epochs=3)):
        assert asdict(preset.to_the_end()) == asdict(preset) | {"select": "last"}
    tuned = FineTuning(rates=(0.5, 2.0), trial_steps=7, epochs=3)
    assert tuned.to_the_end() == tuned.without_choice() == FineTuning(epochs=3)
    for without in (LogisticProbe(), KNearest()):
        assert without.without_choice() is without
        with pytest.raises(UsageError) as refused:
            without.to_the_end()
        assert str(refused.value) == "--selection last: this preset trains no epochs; use validation"
    with pytest.raises(UsageError) as refused:
        LogisticProbe().variations(2)
    assert str(refused.value) == "--search: LogisticProbe has no settings to choose on validation"


@pytest.mark.parametrize("preset", [ConvProbe(), FineTuning(head="conv")], ids=["probe", "finetune"])
def test_a_head_over_neighbours_is_for_bases(preset: Preset) -> None:
    for name in ("classes", "values", "labels"):
        refused = preset.refuses(find_target(name))
        assert (
            refused
            == f"its head reads the neighbours of a base, and {name} are not predicted per base; use another preset"
        )
    assert preset.refuses(find_target("per_base")) is None
    for other in (LogisticProbe(), FineTuning()):
        assert {other.refuses(find_target(name)) for name in ("classes", "values", "labels", "per_base")} == {None}


def test_rates_by_size_fall_with_the_power_of_three_quarters_between_a_million_and_460_million() -> None:
    expected = {
        0: 1e-3,
        1_000_000: 1e-3,
        2_000_000: 5.9e-4,
        20_000_000: 1.1e-4,
        100_000_000: 3.2e-5,
        256_000_000: 1.6e-5,  # 1e-3 / 64
        400_000_000: 1.1e-5,
        464_158_883: 1e-5,
        10**11: 1e-5,
    }
    assert {size: rate_by_size(size) for size in expected} == expected


def card(**changes: Any) -> ModelCard:
    found: ModelCard = get_registry().resolve("models", "findna-tiny").card
    return replace(found, **changes)


def test_the_rate_of_a_network_of_unknown_size_is_that_of_the_smallest() -> None:
    of_card = card(n_parameters=20_000_000, finetuning=None)
    assert FineTuning().for_model(of_card, None).lr == 1.1e-4
    assert FineTuning().for_model(of_card, 256_000_000).lr == 1.6e-5
    assert FineTuning().for_model(replace(of_card, n_parameters=None), None).lr == 1e-3
    assert FineTuning(lora_rank=1).for_model(of_card, None).lr == 1.1e-3
    assert FineTuning(lora_rank=1, freeze_layers=-1).for_model(of_card, None).lr == 1.1e-3
    assert FineTuning(freeze_layers=-1).for_model(of_card, None).lr == 0.01
    assert FineTuning(freeze_layers=1).for_model(of_card, None).lr == 1.1e-4
    assert KNearest().for_model(of_card, None) == KNearest()


def test_variations_are_drawn_in_this_order_from_one_generator() -> None:
    preset = FineTuning(lr=2e-3, batch_size=1, rates=(1.0, 2.0), trial_steps=5, monitor="main")
    for n, seed in ((1, 0), (4, 0), (4, 3)):
        generator = np.random.default_rng([seed, n])
        expected = [FineTuning(lr=2e-3, batch_size=1, monitor="main")]
        for _ in range(n - 1):
            lr = float(f"{2e-3 * 10 ** generator.uniform(-1, 1):.3g}")
            decay = [0.0, 0.01, 0.1][
                int(np.flatnonzero(np.array([0.0, 0.01, 0.1]) == generator.choice([0.0, 0.01, 0.1]))[0])
            ]
            batch = max(1, int(1 * generator.choice([0.5, 1.0, 2.0])))
            dropout = float(generator.choice([0.0, 0.1]))
            expected.append(
                FineTuning(lr=lr, weight_decay=decay, batch_size=batch, head_dropout=dropout, monitor="main")
            )
        assert preset.variations(n, seed) == expected
    assert preset.variations(4) == preset.variations(4, 0)
    assert {one.batch_size for one in replace(preset, batch_size=8).variations(40)} == {4, 8, 16}


def test_trials_name_what_is_not_alike_in_all_of_them() -> None:
    presets = [FineTuning(lr=1e-3, batch_size=8), FineTuning(lr=1e-3, batch_size=16), FineTuning(lr=1e-3, clip=None)]
    assert trial_settings(presets) == [
        {"batch_size": 8, "clip": 1.0},
        {"batch_size": 16, "clip": 1.0},
        {"batch_size": 32, "clip": None},
    ]
    assert trial_settings(presets[:1]) == [{}]


def test_every_field_of_a_preset_is_a_setting_of_its_results() -> None:
    for preset, _ in WRITTEN:
        expected = {"method", *(field.name for field in fields(preset))}
        assert set(preset_settings(preset)) | {"loss"} == expected | {"loss"}
