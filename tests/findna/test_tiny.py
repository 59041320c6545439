"""The weights in the package: whole, small, described, and better at DNA than chance."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from findna_bench import api as fb
from findna_plugins import findna_cards

FOLDER = resources.files("findna_plugins") / "weights" / "findna-tiny"


def test_the_packaged_network_loads_as_the_card_says() -> None:
    model = fb.load_model("findna-tiny")
    card = next(card for card in findna_cards.MODELS if card.name == "findna-tiny")
    assert model.trained
    assert 250_000 < model.n_parameters < 350_000
    assert {key: model.config[key] for key in card.config} == dict(card.config)
    assert fb.embed(model, ["ACGTN" * 30, "A"]).shape == (2, card.config["channels"])


def test_its_files_are_small_and_say_how_they_were_made() -> None:
    size = sum(len(file.read_bytes()) for file in FOLDER.iterdir())
    assert size <= 1_500_000
    text = (FOLDER / "training.json").read_text()
    record = json.loads(text)
    assert record["status"] == "finished"
    names = {file["name"] for file in record["pretraining"]["fasta"]}
    assert not any("chr20" in name for name in names)  # held out: demo and test rows come from it
    assert "/tmp" not in text
    assert "/home" not in text
    preset = next(card for card in findna_cards.PRETRAINING_PRESETS if card.name == "findna-tiny")
    # The option came later; what it is set to is all that there was when these weights were made.
    record["settings"]["objective_options"]["translocation_maximum"] = 20
    for name, value in preset.settings.items():
        stored = record["settings"][name]
        assert stored == (list(value) if isinstance(value, tuple) else value), name


def test_its_teacher_did_not_collapse() -> None:
    metrics = json.loads((FOLDER / "training.json").read_text())["validation_metrics"]
    assert 0.05 < metrics["teacher_entropy"] / metrics["max_entropy"] < 0.95
    assert metrics["teacher_information"] > 0.05
    assert metrics["accuracy"] == pytest.approx(0.37, abs=0.03)
