"""The conformance checks pass on a sound backbone, and each finds the fault it is there for."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from findna_bench.cards import BackboneCard, ModelCard
from findna_bench.errors import ModelError, UnsupportedError
from findna_bench.models.backbone import Backbone, Encoding, TokenBatch
from findna_bench.models.embedding import embed, encode
from findna_bench.models.loading import LoadedModel, load_model
from findna_bench.registry import Plugin, Registry
from findna_bench.sequences.alphabet import one_hot
from findna_bench.testing import CHECKS, BackboneConformance, Report, check_model

NOT_ABOUT_FAULTS = {"loads", "strands", "memory", "logits"}


class Sound(Backbone):
    """A small causal model over characters that does everything right."""

    causal = True
    letters = "ACGTN"

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.embed_dim, self.n_layers, self.max_length = width, 2, 60
        self.embedding = nn.Embedding(6, width)
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 3) for _ in range(2))
        self.head = nn.Linear(width, 6)

    head_prefixes = ("head.",)

    def tokenizer_digest(self) -> str:
        return "letters-1"

    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        rows = [[self.letters.index(c) for c in s.upper()[: self.max_length]] for s in sequences]
        width = max(map(len, rows))
        inputs = torch.tensor([row + [5] * (width - len(row)) for row in rows])
        mask = torch.tensor([[i < len(row) for i in range(width)] for row in rows])
        return TokenBatch(inputs, mask, torch.zeros_like(mask), mask.long(), torch.tensor([len(s) for s in sequences]))

    def token_counts(self, lengths: Sequence[int]) -> list[int]:
        return [min(length, self.max_length) for length in lengths]

    def embed(self, inputs: Tensor) -> Tensor:
        rows = one_hot(inputs) if inputs.dim() == 2 else inputs
        return rows @ self.embedding.weight[:5] + self.embedding.weight[5]

    def block(self, x: Tensor, layer: nn.Module, batch: TokenBatch) -> Tensor:
        return x + torch.tanh(layer(nn.functional.pad(x.transpose(1, 2), (2, 0)))).transpose(1, 2)

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        x = self.embed(batch.inputs)
        kept = {0: x}
        for number, layer in enumerate(self.layers, 1):
            kept[number] = x = self.block(x, layer, batch)
        return Encoding(x, layers=None if layers is None else {n: kept[n] for n in layers})

    def logits(self, batch: TokenBatch) -> Tensor:
        return self.head(self.forward(batch).tokens)


class ComputesInInit(Sound):
    """A buffer that no checkpoint holds, with values from ``__init__``."""

    def __init__(self, width: int = 8) -> None:
        super().__init__(width)
        self.register_buffer("ramp", torch.linspace(0, 1, width), persistent=False)

    def embed(self, inputs: Tensor) -> Tensor:
        return super().embed(inputs) + self.ramp


class FillsInPlace(ComputesInInit):
    def reset_buffers(self) -> None:
        self.ramp.copy_(torch.linspace(0, 1, self.embed_dim))


class Assigns(ComputesInInit):
    """Sound: the buffer is assigned anew."""

    def reset_buffers(self) -> None:
        self.ramp = torch.linspace(0, 1, self.embed_dim)


class SeesPadding(Sound):
    def block(self, x: Tensor, layer: nn.Module, batch: TokenBatch) -> Tensor:
        return super().block(x, layer, batch) + x.mean(1, keepdim=True)


class SeesBatch(Sound):
    def block(self, x: Tensor, layer: nn.Module, batch: TokenBatch) -> Tensor:
        return super().block(x, layer, batch) + x[:, :1].mean(0)


class Noisy(Sound):
    def block(self, x: Tensor, layer: nn.Module, batch: TokenBatch) -> Tensor:
        return super().block(x, layer, batch) + torch.rand(1)


class LowerCaseIsUnknown(Sound):
    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        return super().tokenize([s if s.isupper() else "N" * len(s) for s in sequences])


class UnknownIsNaN(Sound):
    def block(self, x: Tensor, layer: nn.Module, batch: TokenBatch) -> Tensor:
        return super().block(x, layer, batch).masked_fill((batch.inputs == 4)[..., None], float("nan"))


class PadsLeft(Sound):
    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        batch = super().tokenize(sequences)
        return replace(batch, **{n: getattr(batch, n).flip(1) for n in ("inputs", "mask", "special", "spans")})


class WrongSpans(Sound):
    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        batch = super().tokenize(sequences)
        return replace(batch, spans=batch.spans * 2)


class PromisesFewerTokens(Sound):
    def token_counts(self, lengths: Sequence[int]) -> list[int]:
        return [1 for _ in lengths]


class MergesLetters(Sound):
    letters = "ACG"

    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        return super().tokenize([s.upper().replace("T", "A").replace("N", "A") for s in sequences])


class ShortIsNaN(Sound):
    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        found = super().forward(batch, layers=layers)
        return replace(found, tokens=torch.where(batch.mask.sum(1)[:, None, None] < 3, float("nan"), found.tokens))


class NoLimitKept(Sound):
    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        self.max_length, kept = 10_000, self.max_length
        try:
            return super().tokenize(sequences)
        finally:
            self.max_length = kept

    def __init__(self, width: int = 8) -> None:
        super().__init__(width)
        self.max_length = 60

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        if batch.inputs.shape[1] >= 60:
            raise IndexError("index out of range in self")
        return super().forward(batch, layers=layers)


class DetachesGradients(Sound):
    def block(self, x: Tensor, layer: nn.Module, batch: TokenBatch) -> Tensor:
        return super().block(x.detach(), layer, batch)


class ForgetsLayers(Sound):
    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        return replace(super().forward(batch, layers=layers), layers=None)


class KeepsAllLayers(Sound):
    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        return super().forward(batch, layers=layers or range(3))


class ChangesInput(Sound):
    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        found = super().forward(batch, layers=layers)
        batch.spans.mul_(3)
        return found


class Overflows(Sound):
    def block(self, x: Tensor, layer: nn.Module, batch: TokenBatch) -> Tensor:
        y = layer(nn.functional.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2)
        return x + torch.sin(1000 * y)


class TakesNoBytes(Sound):
    def embed(self, inputs: Tensor) -> Tensor:
        return self.embedding(inputs)


class TakesNoRows(Sound):
    def embed(self, inputs: Tensor) -> Tensor:
        return self.embedding(inputs.long())


class BlankIsNaN(Sound):
    def embed(self, inputs: Tensor) -> Tensor:
        rows = one_hot(inputs)
        return super().embed(rows / rows.sum(-1, keepdim=True))


class SaysNoToRows(Sound):
    def embed(self, inputs: Tensor) -> Tensor:
        if inputs.dim() == 3:
            raise UnsupportedError("it reads codes only, so train it with an objective that gives no rows")
        return self.embedding(inputs.long())


FAULTS = {
    ComputesInInit: "reload",
    FillsInPlace: "reload",
    SeesPadding: "padding",
    SeesBatch: "batch",
    Noisy: "deterministic",
    LowerCaseIsUnknown: "lower-case",
    UnknownIsNaN: "unknown-bases",
    PadsLeft: "spans",
    WrongSpans: "spans",
    PromisesFewerTokens: "spans",
    MergesLetters: "round-trip",
    ShortIsNaN: "short",
    NoLimitKept: "maximum",
    DetachesGradients: "gradients",
    ForgetsLayers: "layers",
    KeepsAllLayers: "layers",
    ChangesInput: "untouched",
    Overflows: "bfloat16",
    TakesNoBytes: "objectives",
    TakesNoRows: "objectives",
    BlankIsNaN: "objectives",
}


def load(cls: type[Backbone]) -> LoadedModel:
    """A model of this class with random weights, through a registry of its own."""

    class Hooks:
        @staticmethod
        def findna_bench_backbones() -> list[BackboneCard]:
            return [BackboneCard(name="tried", factory=f"{__name__}:{cls.__name__}")]

        @staticmethod
        def findna_bench_models() -> list[ModelCard]:
            return [ModelCard(name="tried", kind="encoder", backbone="tried", causal=True)]

    from findna_bench.cards import hookimpl

    for name in ("findna_bench_backbones", "findna_bench_models"):
        setattr(Hooks, name, staticmethod(hookimpl(getattr(Hooks, name))))
    registry = Registry()
    registry.add(Hooks(), Plugin("tried", __name__, "tried", "0"))
    return load_model("tried@random", registry=registry)


def test_a_sound_backbone_passes_every_check() -> None:
    report = check_model(load(Sound))
    assert report.passed, report.text()
    assert [check.name for check in report.checks] == list(CHECKS)
    assert {c.name for c in report.checks if c.status == "measured"} == {"strands", "memory"}


@pytest.mark.parametrize("cls", FAULTS, ids=lambda cls: cls.__name__)
def test_each_fault_is_found(cls: type[Backbone]) -> None:
    check = check_model(load(cls), only=[FAULTS[cls]]).checks[0]
    assert check.status == "failed", check.words
    assert check.words


def test_a_buffer_is_assigned_in_reset_buffers() -> None:
    (sound,) = check_model(load(Assigns), only=["reload"]).checks
    assert sound.status == "passed", sound.words
    (lost,) = check_model(load(FillsInPlace), only=["reload"]).checks
    assert "reset_buffers must assign a new tensor to it (self.ramp = ...)" in lost.words


def test_every_check_that_can_fail_is_shown_to() -> None:
    assert set(FAULTS.values()) == set(CHECKS) - NOT_ABOUT_FAULTS - {"refusals"}


def test_a_backbone_may_say_what_objectives_it_is_not_for() -> None:
    (check,) = check_model(load(SaysNoToRows), only=["objectives"]).checks
    assert (check.status, "reads codes only" in check.words) == ("skipped", True)


def test_a_fault_in_a_check_names_file_and_line() -> None:
    (check,) = check_model(load(TakesNoBytes), only=["objectives"]).checks
    assert re.search(r"test_conformance\.py, line \d+", check.words), check.words


class NoLimits(Sound):
    def __init__(self) -> None:
        super().__init__()
        del self.embed_dim, self.max_length


class NoDigest(Sound):
    tokenizer_digest = Backbone.tokenizer_digest


class OtherArgument(Sound):
    def __init__(self, *, widht: int) -> None:
        super().__init__(widht)

    @classmethod
    def from_config(cls, config: Any, files: Any = None) -> Backbone:
        return cls(**config)


@pytest.mark.parametrize(
    ("cls", "words"),
    [(NoLimits, "has no embed_dim, max_length"), (NoDigest, "no method tokenizer_digest"), (OtherArgument, "'widht'")],
)
def test_a_backbone_that_leaves_something_out_is_refused_by_what_it_leaves_out(cls: type[Backbone], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load(cls)


class Bare(Sound):
    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Any:
        return super().forward(batch).tokens


class Turned(Sound):
    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        return Encoding(super().forward(batch).tokens.transpose(1, 2))


@pytest.mark.parametrize(("cls", "words"), [(Bare, "returned a Tensor"), (Turned, "tokens of shape (1, 8, 21)")])
def test_an_output_that_is_no_encoding_is_named(cls: type[Backbone], words: str) -> None:
    model = load(cls)
    for call in (lambda: embed(model, ["ACGTACGTACGTACGTACGTA"]), lambda: encode(model, ["ACGTACGTACGTACGTACGTA"])):
        with pytest.raises(ModelError, match=re.escape(words)):
            call()


def test_a_report_reads_as_words_and_as_json() -> None:
    report = check_model(load(SeesPadding))
    assert not report.passed
    as_read = json.loads(json.dumps(report.to_dict()))
    assert as_read["model"] == "tried@random"
    assert {c["name"]: c["status"] for c in as_read["checks"]}["padding"] == "failed"
    assert "failed    padding" in report.text()


def test_a_model_that_cannot_be_loaded_fails_its_first_check() -> None:
    report = check_model("no-such-model", offline=True)
    assert (report.passed, [c.name for c in report.checks]) == (False, ["loads"])
    assert "no-such-model" in report.checks[0].words


@pytest.mark.parametrize("name", ["kmer", "majority"])
def test_models_that_are_fitted_are_checked_too(name: str) -> None:
    report = check_model(name)
    assert isinstance(report, Report)
    assert report.passed, report.text()


class TestHyenaDNA(BackboneConformance):
    """What a plugin author writes."""

    model = "hyenadna@random"


class TestExempt(BackboneConformance):
    model = "hyenadna@random"
    exempt = {name: "shown elsewhere" for name in CHECKS if name != "loads"}  # noqa: RUF012


def test_a_failing_conformance_test_says_which_check() -> None:
    case: Any = type("Case", (BackboneConformance,), {"model": "tried@random"})
    from findna_bench.testing.encoder_checks import _Subject

    case._subject = _Subject(load(SeesPadding))
    with pytest.raises(AssertionError, match="padding: an embedding depends on the padding"):
        case().test_padding()
    assert np.isfinite(case._subject.vectors).all()
