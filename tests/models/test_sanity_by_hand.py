"""The loss that judges weights, token by token, and every sentence of a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_backbone import FIRST, MASK, SIZES, TinyBackbone, dna
from torch import Tensor

from findna_bench.api import TokenBatch
from findna_bench.cards import Pretraining
from findna_bench.errors import UnsupportedError, UsageError, WeightsError
from findna_bench.models import sanity
from findna_bench.models.loading import LoadedModel
from findna_bench.models.sanity import SanityLoss, check_weights, hide_tokens, judge_weights, sanity_loss

Load = Callable[..., LoadedModel]


def expected_loss(model: LoadedModel, pieces: list[str], batch_size: int, seed: int, kmer: int) -> SanityLoss:
    """One sequence and one token at a time."""
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for first in range(0, len(pieces), batch_size):
        batch = model.backbone.tokenize(pieces[first : first + batch_size])
        drawn = torch.rand(batch.mask.shape, generator=generator) if not model.backbone.causal else None
        for row in range(len(batch)):
            n = int(batch.mask[row].sum())
            ids = batch.inputs[row, :n].clone()
            asked = [t for t in range(1, n - 1) if drawn is None or float(drawn[row, t]) < 0.15]
            shown = ids.clone()
            if drawn is not None:
                shown[asked] = MASK
            alone = TokenBatch(
                shown[None],
                torch.ones(1, n, dtype=torch.bool),
                batch.special[row : row + 1, :n],
                batch.spans[row : row + 1, :n],
                batch.lengths[row : row + 1],
            )
            with torch.no_grad():
                said = model.backbone.logits(alone)[0].double().log_softmax(-1)
            losses += [-float(said[t - (drawn is None), ids[t]]) for t in asked]
    n = len(losses)
    return SanityLoss(float(np.mean(losses)), float(np.std(losses, ddof=1)) / math.sqrt(n), kmer * math.log(4), n)


@pytest.mark.parametrize(("name", "kmer"), [("tiny@random:4", 1), ("tiny-3mer@random", 3), ("causal@random", 1)])
def test_the_loss_is_the_mean_over_hidden_or_next_tokens_of_pieces(load: Load, name: str, kmer: int) -> None:
    model = load(name)
    sequences = ["".join(base for base in s if base != "N") for s in dna(9, 25, 70, seed=3)]
    model.backbone.max_length = 20
    pieces = [s[i : i + 20] for s in sequences for i in range(0, max(len(s) - 10, 1), 20)]
    lengths = {len(piece) for piece in pieces}
    assert lengths & set(range(11, 20))
    assert not lengths & set(range(1, 10))
    for options in ({}, {"seed": 5, "batch_size": 3}):
        found = sanity_loss(model, sequences, **options)
        expected = expected_loss(model, pieces, options.get("batch_size", 8), options.get("seed", 0), kmer)
        assert found.n_tokens == expected.n_tokens
        assert (found.loss, found.standard_error, found.uniform) == pytest.approx(
            (expected.loss, expected.standard_error, expected.uniform), rel=1e-4
        )


def test_a_vocabulary_smaller_than_the_words_is_what_a_guess_chooses_from(load: Load) -> None:
    model = load("tiny-3mer@random")
    few = SimpleNamespace(backbone=model.backbone, max_length=None, device=torch.device("cpu"), dtype=torch.float32)
    sequences = ["A" * 90] * 4
    model.backbone.logits = lambda batch: torch.zeros(*batch.inputs.shape, 7)  # type: ignore[method-assign]
    assert sanity_loss(few, sequences).uniform == pytest.approx(math.log(7))  # type: ignore[arg-type]


def test_below_is_by_more_than_three_standard_errors() -> None:
    found = SanityLoss(1.0, 0.125, 1.5, 40)
    assert [found.below(chance) for chance in (1.374, 1.375, 1.376)] == [False, False, True]
    assert found.passed
    assert not replace(found, uniform=1.375).passed
    assert found.words == "loss 1.000 +- 0.125 nats for 40 tokens, uniform 1.500"


def test_hiding_of_rows_blanks_them_and_of_causal_models_hides_nothing() -> None:
    mask = torch.tensor([[True] * 9 + [False], [True] * 10])
    special = torch.zeros(2, 10, dtype=torch.bool)
    special[:, 0] = True
    rows = torch.eye(5)[torch.arange(20).remainder(4)].view(2, 10, 5)
    batch = TokenBatch(rows, mask, special, mask.long(), torch.tensor([9, 10]))
    hidden, targets = hide_tokens(
        SimpleNamespace(causal=False, mask_token=None), batch, torch.Generator().manual_seed(0)
    )  # type: ignore[arg-type]
    chosen = (torch.rand(2, 10, generator=torch.Generator().manual_seed(0)) < 0.15) & mask & ~special
    assert chosen.any()
    assert torch.equal(targets, torch.where(chosen, rows.argmax(-1), -100))
    assert torch.equal(hidden.inputs, rows * ~chosen[..., None])
    shown, following = hide_tokens(SimpleNamespace(causal=True, mask_token=None), batch, torch.Generator())  # type: ignore[arg-type]
    assert shown is batch
    ids = rows.argmax(-1)
    assert torch.equal(following[:, 9], torch.tensor([-100, -100]))
    assert torch.equal(following[1, :9], ids[1, 1:])
    assert torch.equal(following[0, :8], ids[0, 1:9])
    assert following[0, 8] == -100


def test_what_cannot_be_computed_is_said_in_a_sentence(load: Load) -> None:
    model = load("tiny@random")
    with pytest.raises(UsageError) as none:
        sanity_loss(model, [])
    assert str(none.value) == "the sanity check needs a few real sequences"
    with pytest.raises(UsageError) as few:
        sanity_loss(model, ["A"])
    assert str(few.value) == "the sanity check found fewer than two tokens to predict; give longer sequences"
    assert sanity_loss(load("causal@random"), ["AC"]).n_tokens == 2
    model.backbone.mask_token = None
    with pytest.raises(UnsupportedError) as masked:
        sanity_loss(model, ["ACGT" * 9])
    assert str(masked.value) == "TinyBackbone names no mask_token, so nothing can be hidden from it"
    causal = load("causal@random")
    for shape, given in (((2, 6, FIRST + 4), "(2, 6, 9)"), ((1, 6, 5), "(1, 6, 5)")):
        causal.backbone.logits = lambda batch, shape=shape: torch.zeros(shape)  # type: ignore[method-assign]
        with pytest.raises(UnsupportedError) as shaped:
            sanity_loss(causal, ["ACGT"])
        assert str(shaped.value) == f"CausalBackbone.logits gives {given} for (1, 6) tokens"
    causal.backbone.logits = lambda batch: torch.zeros(1, 6, FIRST + 4)  # type: ignore[method-assign]
    assert sanity_loss(causal, ["ACGT"]).loss == pytest.approx(math.log(9))


# ---------------------------------------------------------------------------------------------------------------- verdicts


class Leaning(TinyBackbone):
    """Says the same of every base."""

    def __init__(self, shares: tuple[float, ...]) -> None:
        super().__init__(**SIZES)
        self.said = torch.tensor([-9.0] * FIRST + [math.log(share) for share in shares])

    def logits(self, batch: TokenBatch) -> Tensor:
        return self.said.expand(*batch.inputs.shape, -1)


class Sample:
    def __init__(self, species: str, sequences: tuple[str, ...]) -> None:
        self.species, self.sequences, self.words = species, sequences, f"{species} sequence, here"


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """One species of even composition, one of many A, one of nothing but AT in turn."""
    generator = np.random.default_rng(0)
    made = {
        "even": Sample("even", ("ACGT" * 250,) * 8),
        "leaning": Sample(
            "leaning",
            tuple("".join(generator.choice(list("ACGT"), p=[0.7, 0.1, 0.1, 0.1], size=1000)) for _ in range(8)),
        ),
    }
    monkeypatch.setattr(sanity, "reference_sample", made.get)
    monkeypatch.setattr(sanity, "sampled_species", lambda: tuple(made))
    monkeypatch.setattr(sanity, "species", lambda name: {"Even1": "even", "Lean2": "leaning"}.get(name))
    monkeypatch.setattr(sanity, "_VERDICTS", {})


def model_of(load: Load, backbone: TinyBackbone, read: tuple[str, ...] | None, **card: Any) -> LoadedModel:
    known = load("tiny@random")
    pretraining = None if read is None else Pretraining(assemblies=read)
    return replace(
        known,
        backbone=backbone,
        card=replace(known.card, pretraining=pretraining, **card),
        trained=True,
        weights_digest=f"sha256:{id(backbone)}",
    )


FAIR, GOOD, WRONG = (0.25, 0.25, 0.25, 0.25), (0.7, 0.1, 0.1, 0.1), (0.01, 0.33, 0.33, 0.33)


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize(
    ("shares", "read", "expected"),
    [
        (GOOD, ("Lean2",), ("sanity LEANING, on leaning sequence, here", False, "")),
        (GOOD, ("unheard", "Lean2", "Even1"), ("sanity LEANING, on leaning sequence, here", False, "")),
        (FAIR, ("Lean2",), ("its weights predict leaning sequence no better than chance (LEANING, on leaning sequence, here)", True, "")),
        (GOOD, ("Even1",), ("its weights predict even sequence no better than chance (EVEN, on even sequence, here)", True, "")),
        (
            GOOD, ("Mouse", "Rat"),
            ("weights not judged: it was pretrained on Mouse, Rat, of which there is no sample here; no better than chance elsewhere (EVEN, on even sequence, here)", False, "even sequence not predicted"),
        ),
        (
            GOOD, None,
            ("its weights predict even sequence no better than chance (EVEN, on even sequence, here), and that of leaning no better than its composition does", True, ""),
        ),
        (
            GOOD, (),
            ("its weights predict even sequence no better than chance (EVEN, on even sequence, here), and that of leaning no better than its composition does", True, ""),
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_verdict_says_what_was_measured_on_what(
    load: Load, shares: tuple[float, ...], read: tuple[str, ...] | None, expected: tuple[str, bool, str]
) -> None:
    model = model_of(load, Leaning(shares), read)
    words = expected[0]
    for name in ("even", "leaning"):
        words = words.replace(name.upper(), sanity_loss(model, sanity.reference_sample(name).sequences).words)  # type: ignore[union-attr]
    verdict = judge_weights(model)
    assert (verdict.words, verdict.refused, verdict.flag) == (words, *expected[1:])
    if not verdict.refused:
        assert check_weights(model) is verdict
        return
    with pytest.raises(WeightsError) as refused:
        check_weights(model)
    assert str(refused.value) == (
        f"tiny@random: {words}: these are not the weights of this model, they have learnt too little, they were pretrained on something that the card does "
        "not name, or by an objective that does not train the head behind logits; check where they come from, or use --no-sanity (or sanity=False on the "
        "card) to run them all the same"
    )


@pytest.mark.usefixtures("samples")
def test_weights_without_a_card_may_know_any_of_the_samples_better_than_its_composition(load: Load) -> None:
    class Cheat(Leaning):
        """Knows every base of what has many A, and nothing of the rest."""

        causal = True  # type: ignore[misc]

        def logits(self, batch: TokenBatch) -> Tensor:
            ahead = torch.nn.functional.one_hot(batch.inputs.roll(-1, 1), FIRST + 4).float()
            many = (batch.inputs == FIRST).float().mean(1) > 0.5
            return torch.where(many[:, None, None], 4 * ahead, torch.zeros_like(ahead))

    model = model_of(load, Cheat(FAIR), None)
    verdict = judge_weights(model)
    there = sanity_loss(model, sanity.reference_sample("leaning").sequences).words  # type: ignore[union-attr]
    assert verdict.words == f"sanity {there}, on leaning sequence, here; no better than chance on even sequence"
    assert (verdict.refused, verdict.flag) == (False, "")


@pytest.mark.usefixtures("samples")
def test_what_is_not_judged_says_why(load: Load) -> None:
    told = judge_weights(model_of(load, Leaning(GOOD), ("Even1",), sanity=False))
    assert (told.words, told.refused) == (
        "weights not judged: its card says that the loss of its pretraining head proves nothing",
        False,
    )

    class Unfinished(Leaning):
        def logits(self, batch: TokenBatch) -> Tensor:
            raise NotImplementedError("not yet")

    assert judge_weights(model_of(load, Unfinished(GOOD), ("Even1",))).words == "weights not judged: not yet"


@pytest.mark.usefixtures("samples")
def test_another_network_format_or_configuration_is_judged_anew(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(load, Leaning(GOOD), ("Lean2",))
    asked: list[int] = []
    monkeypatch.setattr(sanity, "_judge", lambda model, read: asked.append(1) or sanity.SanityVerdict("x"))
    others = [
        replace(model, network="student"), replace(model, dtype=torch.bfloat16), replace(model, config={**model.config, "depth": 1}),
        replace(model, weights_digest="sha256:x"), replace(model, card=replace(model.card, pretraining=Pretraining(assemblies=("Even1",)))),
        replace(model, backbone=TinyBackbone(**SIZES)),
    ]  # fmt: skip
    for number, other in enumerate([model, *others], start=1):
        judge_weights(other)
        judge_weights(other)
        assert len(asked) == number
