"""Weights are judged on embedded real sequence, once, by what they were pretrained on; the task plays no part."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from tiny_backbone import FIRST, SIZES, TinyBackbone
from torch import Tensor

import findna_bench as fb
from findna_bench.cards import Pretraining
from findna_bench.errors import UnsupportedError, WeightsError
from findna_bench.models import sanity
from findna_bench.models.backbone import TokenBatch
from findna_bench.models.loading import LoadedModel
from findna_bench.models.sanity import check_weights, judge_weights, sanity_loss
from findna_bench.sequences.reference_samples import reference_sample, sampled_species
from findna_bench.sequences.species import species

Load = Callable[..., LoadedModel]


def windows(name: str) -> tuple[str, ...]:
    sample = reference_sample(name)
    assert sample is not None
    return sample.sequences


class Pentamers(TinyBackbone):
    """Predicts the next base from the last four, as often as it followed them in one species' sample."""

    causal: ClassVar[bool] = True
    published_as: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str) -> None:
        super().__init__(**SIZES)
        counts = torch.full((4**4, FIRST + 4), 0.5)
        for sequence in windows(name):
            codes = ["ACGT".index(base) for base in sequence]
            for a, b, c, d, following in zip(*(codes[shift:] for shift in range(5)), strict=False):
                counts[64 * a + 16 * b + 4 * c + d, FIRST + following] += 1
        self.shares = (counts / counts.sum(1, keepdim=True)).log()

    def logits(self, batch: TokenBatch) -> Tensor:
        codes = (batch.inputs - FIRST).clamp(0, 3)
        return self.shares[sum(4**back * codes.roll(back, 1) for back in range(4))]


class Headless(TinyBackbone):
    def logits(self, batch: TokenBatch) -> Tensor:
        raise UnsupportedError("there is no head")


class OtherVocabulary(TinyBackbone):
    """Logits over bases where ids are those of tokens."""

    def logits(self, batch: TokenBatch) -> Tensor:
        return torch.zeros(*batch.inputs.shape, 4)


def model_of(load: Load, backbone: TinyBackbone, *read: str, **card: object) -> LoadedModel:
    """A trained model with this backbone whose card says what it has read (nothing: the card does not say)."""
    known = load("tiny@random")
    pretraining = Pretraining(assemblies=read) if read else None
    changed = replace(known.card, pretraining=pretraining, **card)  # type: ignore[arg-type]
    digest = f"sha256:{random.random()}"
    return replace(known, backbone=backbone, card=changed, trained=True, weights_digest=digest)


def test_samples_are_what_their_manifest_says() -> None:
    folder = resources.files("findna_bench.sequences") / "samples"
    entries = json.loads((folder / "manifest.json").read_text())["samples"]
    assert next(iter(entries)) == "human"
    for name, entry in entries.items():
        content = (folder / entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert len(content) < 20_000
        sample = reference_sample(name)
        assert sample is not None
        assert {(len(window), not set(window) - set("ACGT")) for window in sample.sequences} == {(1000, True)}
        assert len(sample.sequences) == len(entry["windows"]) == len(set(sample.sequences)) == 16
    assert reference_sample("mouse") is None
    assert [reference_sample(species(name) or "") is not None for name in ("GRCh38.p14", "hg19", "sacCer3")] == [
        True
    ] * 3


@pytest.mark.parametrize("name", sampled_species())
def test_a_model_is_judged_on_what_its_card_says_it_has_read(load: Load, name: str) -> None:
    verdict = judge_weights(model_of(load, Pentamers(name), name))
    assert not verdict.refused
    assert not verdict.flag
    assert f"on {name} sequence, 16 windows of" in verdict.words


def test_a_model_of_another_organism_is_not_taken_for_a_damaged_one(load: Load) -> None:
    malaria = Pentamers("p. falciparum")
    assert not sanity_loss(model_of(load, malaria), windows("human")).passed  # a tenth of its bases are G or C
    silent = judge_weights(model_of(load, malaria))
    assert (silent.refused, silent.flag) == (False, "")
    assert "on p. falciparum sequence" in silent.words
    mouse = judge_weights(model_of(load, malaria, "GRCm39"))
    assert (mouse.refused, mouse.flag) == (False, "human sequence not predicted")
    assert "pretrained on GRCm39, of which there is no sample here" in mouse.words
    with pytest.raises(
        WeightsError, match=r"human sequence no better than chance \(loss 1\.\d+ .* uniform 1\.386"
    ) as raised:
        check_weights(model_of(load, malaria, "GRCh38"))
    assert "fetch" not in str(raised.value)
    assert "--no-sanity" in str(raised.value)


def test_weights_that_predict_no_organism_are_refused_whatever_their_composition(load: Load) -> None:
    leaning = TinyBackbone(**SIZES)
    for parameter in leaning.parameters():
        torch.nn.init.zeros_(parameter)
    leaning.reset_buffers()
    with torch.no_grad():
        leaning.head.bias[:] = torch.tensor([-9.0] * FIRST + [1.0, -1.0, -1.0, 1.0])
    with pytest.raises(
        WeightsError, match=r"human sequence no better than chance .* that of fly, yeast, .* composition"
    ):
        check_weights(model_of(load, leaning))  # and yet four fifths of P. falciparum are A and T


@pytest.mark.parametrize(
    ("backbone", "card", "words"),
    [
        (Headless, {}, "weights not judged: there is no head"),
        (OtherVocabulary, {}, "weights not judged: OtherVocabulary.logits gives"),
        (TinyBackbone, {"sanity": False}, "weights not judged: its card says"),
    ],
)
def test_what_a_model_cannot_be_judged_on_is_said(
    load: Load, backbone: type[TinyBackbone], card: dict[str, object], words: str
) -> None:
    made = backbone(**SIZES)
    made.reset_buffers()
    verdict = judge_weights(model_of(load, made, "GRCh38", **card))
    assert verdict.words.startswith(words)
    assert not verdict.refused


def test_a_model_without_a_mask_token_is_not_judged(load: Load) -> None:
    made = Pentamers("human")
    made.causal, made.mask_token = False, None  # type: ignore[misc]
    assert "names no mask_token" in judge_weights(model_of(load, made, "GRCh38")).words


def test_a_short_context_reads_the_whole_sample_in_pieces(load: Load) -> None:
    model = model_of(load, Pentamers("human"))
    counts = []
    for limit in (1000, 300, 7):
        model.backbone.max_length = limit
        counts.append(sanity_loss(model, windows("human")).n_tokens)
    assert counts == [16_000, 14_400, 16_000]  # a rest of 100 bases is too short to count, one of 6 of 7 is not


def test_weights_are_judged_once_in_a_process(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(load, Pentamers("human"), "GRCh38")
    first = judge_weights(model)
    monkeypatch.setattr(sanity, "sanity_loss", None)
    assert judge_weights(replace(model)) is first
    with pytest.raises(TypeError):
        judge_weights(replace(model, weights_digest="sha256:other"))


# -------------------------------------------------------------------------------------------------------- whole runs


def write_rows(path: Path, order: str) -> Path:
    """Random letters, which no network predicts, of two compositions; rows of class 0 or of class 1 first."""
    generator = random.Random(0)
    shares = {"0": "ACGT", "1": "AACCGT"}
    rows = [f"{''.join(generator.choices(shares[label], k=200))},{label}" for label in "01" for _ in range(80)]
    path.write_text("\n".join(["sequence,label", *(rows if order == "01" else reversed(rows))]) + "\n")
    return path


def test_the_shipped_weights_pass_on_tasks_of_random_letters(tmp_path: Path) -> None:
    """Rows of a task were what they were judged on: the first 16,000 bases of it."""
    tasks = [write_rows(tmp_path / f"{order}.csv", order) for order in ("01", "10")]
    results = fb.run(["findna-tiny"], [str(task) for task in tasks], output_dir=tmp_path / "r", protocol="knn", seeds=1)
    assert [r.status for r in results] == ["success"] * 2
    assert not any("predicted" in flag for r in results for flag in r.flags)


def test_the_shipped_weights_pass_with_margin(load: Load) -> None:
    found = sanity_loss(fb.load_model("findna-tiny"), windows("human"))
    assert (found.uniform - found.loss) / found.standard_error > 10


@pytest.mark.shared
def test_one_set_of_rows_in_three_orders_gets_one_verdict(shared: Path, tmp_path: Path) -> None:
    case = shared / "cases" / "03-sanity-order"
    if not case.is_dir():
        pytest.skip(f"the case is not at {case}")
    names = ("pn_negfirst.csv", "pn_posfirst.csv", "posneg", "smallreal_40_60.csv")
    results = fb.run(["findna-tiny"], [str(case / name) for name in names], output_dir=tmp_path / "r", seeds=1)
    assert [r.status for r in results] == ["success"] * 4
    assert results[1].metrics.main.value == pytest.approx(0.925)
