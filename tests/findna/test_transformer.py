"""FinDNA-T: parameter counts, independence of padding, direction of attention, and both objectives on it."""

from __future__ import annotations

import pytest
import torch

from findna_bench.api import ModelError, TokenBatch
from findna_bench.models.loading import count_parameters
from findna_bench.registry import get_registry
from findna_plugins.objectives.masked_nucleotide import MaskedNucleotide
from findna_plugins.objectives.self_distillation import SelfDistillation
from findna_plugins.transformer import Transformer, _relative_buckets

SMALL = {"width": 16, "layers": 2, "heads": 2, "feedforward": 32, "positions": 80, "group": 8, "query_width": 6}
VARIANTS = [{"attention": "softmax"}, {"attention": "gau", "causal": True}, {"attention": "gau", "causal": False}]


def small(**options: object) -> Transformer:
    torch.manual_seed(0)
    model = Transformer.from_config({**SMALL, **options})
    for layer in model.layers:  # as drawn, a gated layer hardly changes its input, and tests would see little
        for parameter in layer.parameters():
            if parameter.dim() == 2:
                torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def rows(length: int) -> tuple[torch.Tensor, TokenBatch]:
    inputs = torch.randn(1, length, 5, requires_grad=True)
    mask = torch.ones(1, length, dtype=torch.bool)
    return inputs, TokenBatch(inputs, mask, ~mask, mask.long(), torch.tensor([length]))


def test_parameters_match_findna_and_the_released_gated_stack() -> None:
    with torch.device("meta"):
        softmax = Transformer()
        gated = Transformer(attention="gau", layers=8)
    assert sum(p.numel() for p in gated.parameters()) == 13_668_101
    assert sum(p.numel() for p in gated.layers[0].parameters()) == 1_643_168
    blocks = sum(p.numel() for p in softmax.layers.parameters())
    assert abs(blocks / 12_651_873 - 1) < 0.01
    card = get_registry().resolve("models", "findna-t").card
    assert count_parameters(softmax) == card.n_parameters  # without options it has the sizes of its card
    assert softmax.max_length == card.max_length


@pytest.mark.parametrize("options", VARIANTS)
def test_hidden_states_depend_on_neither_padding_nor_batch(options: dict[str, object]) -> None:
    model = small(**options)
    sequences = ["ACGTN" * 3, "TTGCA" * 10, "G", "CCAGT" * 5]
    with torch.inference_mode():
        batch = model.tokenize(sequences)
        together = model(batch, layers=[0, 1, 2])
        for i, sequence in enumerate(sequences):
            alone = model(model.tokenize([sequence]), layers=[0, 1, 2])
            assert together.layers is not None
            assert alone.layers is not None
            for layer in (0, 1, 2):
                got = together.layers[layer][i, : len(sequence)]
                assert torch.allclose(got, alone.layers[layer][0], atol=1e-5)
            assert not together.tokens[i, len(sequence) :].any()


@pytest.mark.parametrize("options", VARIANTS)
def test_attention_looks_where_it_should(options: dict[str, object]) -> None:
    model = small(**options)
    inputs, batch = rows(30)
    # One channel: the sum over all is constant where the last thing done is a LayerNorm.
    model(batch).tokens[0, 12, 0].backward()
    assert inputs.grad is not None
    seen = inputs.grad[0].abs().sum(-1) > 0
    assert bool(seen[:13].all())
    assert bool(seen[13:].any()) != model.causal
    assert bool(seen[13:].all()) != model.causal


def test_relative_buckets_are_t5s() -> None:
    causal = _relative_buckets(200, causal=True)
    assert causal[10, :11].tolist() == list(range(10, -1, -1))
    assert int(causal[0, 5]) == 0  # what lies ahead counts as distance 0, and is masked
    assert int(causal[199, 0]) == 31
    both = _relative_buckets(200, causal=False)
    assert int(both[0, 1]) == 17
    assert int(both[1, 0]) == 1
    assert int(both.max()) == 31


@pytest.mark.parametrize("options", VARIANTS)
def test_both_objectives_train_it(options: dict[str, object]) -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 4, (4, 40), dtype=torch.uint8, generator=generator)
    for objective in (SelfDistillation(small(**options), n_cls=3), MaskedNucleotide(small(**options))):
        objective.training_step(codes, 0, generator)["loss"].backward()
        missing = [n for n, p in objective.named_parameters() if p.requires_grad and p.grad is None]
        assert not missing


def test_a_longer_input_than_it_has_positions_for() -> None:
    model = small()
    assert model.tokenize(["A" * 200]).inputs.shape == (1, 80)
    assert model.tokenize(["A" * 200]).lengths.tolist() == [200]
    with pytest.raises(ModelError, match="80 positions"):
        model(rows(81)[1])
    with pytest.raises(ModelError, match="heads"):
        small(heads=3)
