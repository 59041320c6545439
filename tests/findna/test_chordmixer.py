"""ChordMixer: the check values of the specification, parity with the released code, and equality of its formulations."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from findna_bench.api import Backbone, Checkpoint, ModelError, TokenBatch, WeightsError
from findna_bench.models import linear_products
from findna_bench.models.loading import backbone_class, build_on_meta, count_parameters
from findna_bench.models.spec import parse_model
from findna_bench.registry import get_registry
from findna_plugins import chordmixer_training
from findna_plugins.augmentations import Translocation
from findna_plugins.bases import BLANK
from findna_plugins.chordmixer import ChordMixer, Tracks, rotate
from findna_plugins.objectives.nucleotides import base_batch

SMALL = {"channels": 21, "track_size": 4, "hidden": 16, "layers": 2, "blocks_per_layer": 5}


def small(seed: int = 0, **options: object) -> ChordMixer:
    torch.manual_seed(seed)
    return ChordMixer.from_config({**SMALL, **options})


def random_sequences(lengths: list[int], seed: int = 0) -> list[str]:
    generator = torch.Generator().manual_seed(seed)
    return ["".join("ACGTN"[i] for i in torch.randint(0, 5, (n,), generator=generator)) for n in lengths]


def products_by(patch: pytest.MonkeyPatch, onednn: bool) -> None:
    """Compute all products of linear layers by oneDNN, where torch has it, or none."""
    patch.setattr(linear_products, "_is_faster", lambda: onednn and torch.backends.mkldnn.is_available())
    patch.setattr(linear_products, "_LEAST_WORK", 0)


def flatten(tensors: dict[str, object], prefix: str = "") -> dict[str, torch.Tensor]:
    flat: dict[str, torch.Tensor] = {}
    for key, value in tensors.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, torch.Tensor):
            flat[f"{prefix}{key}"] = value
    return flat


def load(checkpoint: Checkpoint, config: dict[str, object] | None = None, network: str | None = None) -> ChordMixer:
    adapted = ChordMixer.adapt_checkpoint(checkpoint, config or {}, network)
    model = ChordMixer.from_config(adapted.config)
    model.load_state_dict(adapted.state)
    assert adapted.used | adapted.ignored.keys() == set(checkpoint.tensors)
    return model.eval()


def test_parameter_counts_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        model = ChordMixer()
        pre, norms = ChordMixer(norm="pre"), ChordMixer(norm="prepost")
    count = sum(p.numel() for p in model.parameters())
    assert count == 12_651_873
    assert sum(p.numel() for p in model.layers[0][0].parameters()) == 316_212
    assert sum(p.numel() for p in pre.parameters()) == 12_676_513
    assert sum(p.numel() for p in norms.parameters()) == 12_701_153


def test_tracks_shift_by_powers_of_two_and_move_content_left() -> None:
    tracks = Tracks.cut(308, 28)
    assert tracks.shifts == (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    y = torch.zeros(1, 8, 308)
    y[0, 5] = 1
    assert rotate(y, tracks)[0, :, 28].tolist().index(1) == 4
    assert Tracks.cut(308, 50).bounds[-1] == (300, 308)


def test_one_layer_connects_every_position_with_every_other() -> None:
    torch.manual_seed(0)
    model = ChordMixer(channels=22, track_size=2, hidden=8, layers=1, blocks_per_layer=10)
    length = 1010
    rows = torch.zeros(1, length, 5, requires_grad=True)
    mask = torch.ones(1, length, dtype=torch.bool)
    batch = TokenBatch(rows, mask, ~mask, mask.long(), torch.tensor([length]))
    model(batch).tokens[0, 0].sum().backward()
    assert rows.grad is not None
    assert bool((rows.grad[0].abs().sum(-1) > 0).all())


def test_alternating_directions_bring_both_neighbours_at_once() -> None:
    reached = {}
    for directions in ("left", "alternate"):
        torch.manual_seed(0)
        model = ChordMixer(channels=8, track_size=2, hidden=8, layers=1, blocks_per_layer=2, directions=directions)
        rows = torch.zeros(1, 100, 5, requires_grad=True)
        mask = torch.ones(1, 100, dtype=torch.bool)
        model(TokenBatch(rows, mask, ~mask, mask.long(), torch.tensor([100]))).tokens[0, 50].sum().backward()
        assert rows.grad is not None
        reached[directions] = set((rows.grad[0].abs().sum(-1) > 0).nonzero()[:, 0].tolist())
    assert 51 in reached["left"]
    assert 49 not in reached["left"]
    assert {49, 51} <= reached["alternate"]


def test_circular_shift_of_the_input_shifts_the_output() -> None:
    model = small(formulation="plain").eval()
    (sequence,) = random_sequences([37])
    with torch.no_grad():
        one = model(model.tokenize([sequence])).tokens[0]
        other = model(model.tokenize([sequence[11:] + sequence[:11]])).tokens[0]
    assert torch.equal(one.roll(-11, 0), other)


@pytest.mark.parametrize("formulation", ["plain", "fused", "gather"])
def test_translocation_leaves_the_mean_over_positions_alone(formulation: str) -> None:
    model = small(formulation=formulation).eval()
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 5, (8, 61), dtype=torch.uint8, generator=generator)
    moved = Translocation()(codes, generator)
    assert not torch.equal(codes, moved)
    with torch.no_grad():
        one, other = (model(base_batch(x)).tokens.mean(1) for x in (codes, moved))
        assert torch.allclose(one, other, atol=1e-6)
        # [CLS] tokens cut the circle.
        cut = [
            model(base_batch(torch.nn.functional.pad(x, (0, 2), value=BLANK), 2)).tokens[:, :61].mean(1)
            for x in (codes, moved)
        ]
    assert not torch.allclose(*cut, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=5),
    formulation=st.sampled_from(["fused", "gather"]),
    recompute=st.booleans(),
    directions=st.sampled_from(["left", "alternate"]),
    positions=st.sampled_from([1, 60, 2048]),
    onednn=st.booleans(),
)
def test_fast_formulations_equal_the_plain_one_with_gradients(
    lengths: list[int], formulation: str, recompute: bool, directions: str, positions: int, onednn: bool
) -> None:
    plain = small(formulation="plain", directions=directions)
    fast = small(formulation=formulation, recompute_gelu=recompute, directions=directions)
    fast.load_state_dict(plain.state_dict())
    sequences = random_sequences(lengths)
    results = []
    for model in (plain, fast):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chordmixer_training, "POSITIONS", positions)
            products_by(patch, onednn)
            tokens = model(model.tokenize(sequences)).tokens
            (tokens.square().sum() + tokens.sin().sum()).backward()
        results.append((tokens.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}))
    (expected, expected_gradients), (got, gradients) = results
    assert torch.allclose(expected, got, atol=1e-5)
    for name, gradient in expected_gradients.items():
        assert torch.allclose(gradient, gradients[name], atol=1e-5, rtol=1e-5), name


def test_gradients_are_right_whatever_is_frozen() -> None:
    model, plain = small(), small(formulation="plain")
    for network in (model, plain):
        network.embedding.requires_grad_(False)
        network.layers[0].requires_grad_(False)
        network.layers[1][0].fc1.requires_grad_(False)
        network(network.tokenize(random_sequences([20, 9, 20]))).tokens.sin().sum().backward()
    for (name, own), (_, other) in zip(model.named_parameters(), plain.named_parameters(), strict=True):
        assert (own.grad is None) == (other.grad is None), name
        assert own.grad is None or torch.allclose(own.grad, other.grad, atol=1e-5, rtol=1e-5), name


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("norm", ["none", "pre", "prepost"])
def test_inference_equals_training_mode_graph(norm: str, onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small(norm=norm).eval()
    batch = model.tokenize(random_sequences([30, 30, 7, 1, 65]))
    graph = model(batch, layers=[0, 1, 2])
    products_by(monkeypatch, onednn)
    with torch.inference_mode():
        direct = model(batch, layers=[0, 1, 2])
    assert graph.layers is not None
    assert direct.layers is not None
    for i in (0, 1, 2):
        assert torch.allclose(graph.layers[i], direct.layers[i], atol=1e-6)
    assert not torch.equal(direct.layers[0], direct.layers[1])


@pytest.mark.parametrize("formulation", ["plain", "fused", "gather"])
@pytest.mark.parametrize("recompute", [False, True])
def test_adapters_in_place_of_a_product_are_computed(formulation: str, recompute: bool) -> None:
    peft = pytest.importorskip("peft", reason="low-rank adapters need the extra lora")
    model = small(formulation=formulation, recompute_gelu=recompute)
    config = peft.LoraConfig(r=2, target_modules=["fc1", "fc2"], init_lora_weights=False, lora_dropout=0.0)
    batch = model.tokenize(random_sequences([20, 9, 20]))
    with torch.inference_mode():
        bare = model.eval()(batch).tokens
    torch.manual_seed(5)
    peft.inject_adapter_in_model(config, model)
    model.eval()
    graph = model(batch).tokens
    with torch.inference_mode():
        direct = model(batch).tokens
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(batch).tokens
        model.formulation, model.recompute_gelu = "plain", False
        expected = model(batch).tokens
    for got, low, high in ((bare, 0.1, 1e9), (graph, 0, 1e-5), (direct, 0, 1e-5), (rounded.float(), 0, 2e-2)):
        assert low <= float((got.detach() - expected).norm() / expected.norm()) < high


def test_dropout_is_active_in_training_only_and_equal_between_formulations() -> None:
    outputs = []
    for formulation in ("plain", "fused", "gather"):
        model = small(formulation=formulation, dropout=0.3, layer_dropout=0.2).train()
        torch.manual_seed(1)
        outputs.append(model(model.tokenize(random_sequences([20, 20]))).tokens)
    assert torch.allclose(outputs[0], outputs[1], atol=1e-6)
    assert not torch.allclose(outputs[0], small().eval()(small().tokenize(random_sequences([20, 20]))).tokens)


def test_an_embedding_depends_on_neither_padding_nor_batch() -> None:
    model = small().eval()
    sequences = random_sequences([9, 64, 1, 33, 33])
    with torch.inference_mode():
        together = model(model.tokenize(sequences)).tokens
        for i, sequence in enumerate(sequences):
            alone = model(model.tokenize([sequence])).tokens[0]
            assert torch.allclose(together[i, : len(sequence)], alone, atol=1e-6)
            assert not together[i, len(sequence) :].any()


HIDDEN = {
    "one": [(place,) for place in range(0, 60, 4)],
    "neighbours": [(place, place + 1, place + 5) for place in range(2, 50, 3)],
    "the-last-with-others": [(5,), (59,), (59,), (0,), (17, 3), (18, 4), (20, 6), (21, 7)],
}


@pytest.mark.parametrize("directions", ["left", "alternate"])
@pytest.mark.parametrize("sizes", [(1, 3), (2, 6), (3, 3)])
@pytest.mark.parametrize("name", list(HIDDEN))
def test_hidden_positions_have_the_logits_of_whole_rows(name: str, sizes: tuple[int, int], directions: str) -> None:
    """What is computed only where rows differ is the same function, in a batch with rows of other sequences as well."""
    layers, blocks = sizes
    net = small(layers=layers, blocks_per_layer=blocks, directions=directions).eval()
    one, other, longer = random_sequences([60, 60, 75])
    sequences, hidden = [one[:30] + "N" + one[31:]] * len(HIDDEN[name]), list(HIDDEN[name])
    sequences, hidden = [other, *sequences, longer, longer, longer], [(3,), *hidden, (70,), (1,), (2, 9)]
    with torch.inference_mode():
        expected = Backbone.hidden_logits(net, sequences, hidden)
    torch.testing.assert_close(net.hidden_logits(sequences, hidden), expected, atol=2e-5, rtol=0)


def test_rows_of_one_sequence_take_less_than_whole_rows() -> None:
    net = small(layers=2, blocks_per_layer=3).eval()
    (sequence,) = random_sequences([400])
    hidden = [(place,) for place in range(40)]
    work = []
    for logits in (net.hidden_logits, partial(Backbone.hidden_logits, net)):
        with FlopCounterMode(display=False) as counted:
            logits([sequence] * 40, hidden)
        work.append(counted.get_total_flops())
    assert work[0] < 0.5 * work[1]


def test_what_is_not_bare_is_computed_in_whole_rows() -> None:
    (sequence,) = random_sequences([60])
    hidden = [(place,) for place in range(20)]
    for net in (small(norm="prepost").eval(), small(padding="authors", padded_length=64).eval()):
        with torch.inference_mode():
            expected = Backbone.hidden_logits(net, [sequence] * 20, hidden)
        torch.testing.assert_close(net.hidden_logits([sequence] * 20, hidden), expected, atol=0, rtol=0)


def test_authors_padding_rotates_and_averages_over_blank_rows() -> None:
    model = small(padding="authors", padded_length=50).eval()
    (sequence,) = random_sequences([20])
    batch = model.tokenize([sequence])
    assert batch.inputs.shape == (1, 50)
    assert bool((batch.inputs[0, 20:] == BLANK).all())
    assert bool(batch.mask.all())
    rows = torch.cat([torch.nn.functional.one_hot(batch.inputs[:, :20].long(), 5), torch.zeros(1, 30, 5)], 1)
    as_rows = TokenBatch(rows.float(), batch.mask, batch.special, batch.spans, batch.lengths)
    with torch.inference_mode():
        tokens = model(batch).tokens
        assert torch.allclose(tokens, model(as_rows).tokens, atol=1e-6)
        assert not torch.allclose(tokens[0, :20], small().eval()(small().tokenize([sequence])).tokens[0], atol=1e-3)
    assert (model.max_length, small().max_length) == (50, None)
    with pytest.raises(ModelError, match="padded_length"):
        small(padding="authors")


@pytest.mark.parametrize("name", ["findna", "findna-t", "cm-mnm", "findna-tiny"])
def test_a_backbone_is_what_its_card_says(name: str) -> None:
    spec = parse_model(name)
    _, cls = backbone_class(spec, None, get_registry())
    backbone = build_on_meta(cls, spec.card.config)
    assert count_parameters(backbone) == spec.card.n_parameters
    assert (backbone.max_length, backbone.causal) == (spec.card.max_length, spec.card.causal)


def test_extension_to_longer_sequences_starts_as_the_network_it_extends() -> None:
    model = small()
    tensors = dict(model.state_dict())
    same = load(Checkpoint(tensors, config=SMALL), {"adapt": "extend", "length": 32})
    assert same.blocks_per_layer == 5
    longer = load(Checkpoint(tensors, config=SMALL), {"adapt": "extend", "length": 4096})
    assert longer.blocks_per_layer == 12
    assert longer.track_size == 2
    assert not longer.layers[0][11].fc2.weight.any()
    kept = load(Checkpoint(tensors, config=SMALL), {"adapt": "keep", "length": 4096})
    assert kept.blocks_per_layer == 5
    for length, track_size in ((1000, 28), (4096, 24), (8192, 22)):
        with torch.device("meta"):
            assert ChordMixer(length=length).track_size == track_size


def test_reference_adaptation_drops_the_blocks_the_authors_dropped() -> None:
    published = {  # millions of parameters, classes
        "human_nontata_promoters": (10.12, 2),
        "human_enhancers_cohn": (8.54, 2),
        "demo_human_or_worm": (10.12, 2),
        "dummy_mouse_enhancers_ensembl": (8.22, 2),
        "demo_coding_vs_intergenomic_seqs": (5.06, 2),
        "human_enhancers_ensembl": (9.49, 2),
        "human_ensembl_regulatory": (12.65, 3),
        "human_ocr_ensembl": (6.33, 2),
        "emp_H3": (11.39, 2),
        "virus_covid": (12.65, 9),
        "mtcdna-1024": (12.65, 2),
        "mtcdna-4096": (15.18, 2),
        "mtcdna-8192": (16.45, 2),
    }
    with torch.device("meta"):
        pretrained = ChordMixer().state_dict()
        counts = {
            task: sum(p.numel() for p in ChordMixer(adapt="reference", task=task).parameters())
            - 309 * 5  # the nucleotide head
            + 309 * classes  # a linear classifier, which the published counts include
            for task, (_, classes) in published.items()
        }
    assert {task: round(n / 1e6, 2) for task, n in counts.items()} == {t: n for t, (n, _) in published.items()}
    tensors = {name: torch.zeros(p.shape) for name, p in pretrained.items()}
    model = load(Checkpoint(tensors), {"adapt": "reference", "task": "human_enhancers_cohn"})
    assert (model.layers_count, model.blocks_per_layer, model.track_size) == (3, 9, 40)


def test_damaged_checkpoints_are_refused_by_name() -> None:
    tensors = dict(small().state_dict())
    with pytest.raises(WeightsError, match=r"layers\.1\.4\.fc2\.bias"):
        load(Checkpoint({k: v for k, v in tensors.items() if k != "layers.1.4.fc2.bias"}, config=SMALL))
    with pytest.raises(WeightsError, match="stray"):
        load(Checkpoint({**tensors, "stray.weight": torch.zeros(1)}, config=SMALL))
    with pytest.raises(WeightsError, match="channels = 22"):
        load(Checkpoint(tensors, config={**SMALL, "channels": 22}))
    with pytest.raises(ModelError, match="track_sizes"):
        small(track_sizes=3)


def test_own_layout_holds_both_networks() -> None:
    teacher, student = small(1), small(2)
    tensors = {f"teacher.{k}": v for k, v in teacher.state_dict().items()}
    tensors |= {f"student.{k}": v for k, v in student.state_dict().items()}
    checkpoint = Checkpoint(tensors, config={"backbone": "chordmixer", "config": SMALL})
    for name, network in ((None, teacher), ("student", student)):
        loaded = load(checkpoint, network=name)
        assert torch.equal(loaded.embedding.weight, network.embedding.weight)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("formulation", ["fused", "gather"])
def test_bfloat16_stays_close_to_float32_with_gradients(formulation: str, recompute: bool) -> None:
    torch.manual_seed(0)
    model = ChordMixer(channels=44, track_size=4, hidden=64, formulation=formulation, recompute_gelu=recompute)
    batch = model.tokenize(random_sequences([100] * 4))
    results = []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            tokens = model(batch).tokens
        tokens.float().square().mean().backward()
        results.append((tokens.detach().float(), model.layers[1][2].fc1.weight.grad))
    for exact, rounded in zip(*results, strict=True):
        assert float((exact - rounded).norm() / exact.norm()) < 1e-2


@pytest.mark.parametrize("norm", ["none", "prepost"])
def test_embedding_in_bfloat16_is_within_one_percent_of_float32_at_the_published_size(norm: str) -> None:
    torch.manual_seed(0)
    model = ChordMixer(norm=norm).eval()
    batch = model.tokenize(random_sequences([300, 1, 300, 211]))
    with torch.inference_mode():
        exact = model(batch, layers=[0, 2, 4])
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(batch, layers=[0, 2, 4])
    assert exact.layers is not None
    assert rounded.layers is not None
    assert torch.equal(exact.layers[0], rounded.layers[0])
    assert rounded.tokens.dtype == torch.float32
    for layer in (2, 4):
        error = (exact.layers[layer] - rounded.layers[layer]).norm() / exact.layers[layer].norm()
        assert 1e-5 < float(error) < 1e-2


@pytest.mark.shared
@pytest.mark.parametrize("formulation", ["plain", "fused", "gather"])
def test_parity_with_the_released_code(shared: Path, formulation: str) -> None:
    from safetensors.torch import load_file

    stem = shared / "parity" / "findna_reference_small"
    raw = torch.load(stem.with_suffix(".pt"), weights_only=True, map_location="cpu")
    expected = load_file(stem.with_suffix(".expected.safetensors"))
    case = json.loads(stem.with_suffix(".json").read_text())
    checkpoint = Checkpoint(flatten(raw), source="findna_reference_small.pt")
    teacher = load(checkpoint, {"formulation": formulation})
    student = load(checkpoint, {"formulation": formulation}, "student")
    assert teacher.track_size == 4
    assert sum(p.numel() for p in teacher.parameters()) == case["n_parameters"]
    mixed = [sequence for sequences in zip(*case["sequences"].values(), strict=True) for sequence in sequences]
    with torch.inference_mode():
        batch = teacher.tokenize(mixed)
        together, logits = teacher(batch).tokens, teacher.logits(batch)
        for k, length in enumerate(case["sequences"]):
            rows = slice(k, None, len(case["sequences"]))
            sequences, n = case["sequences"][length], int(length)
            alone = torch.cat([teacher(teacher.tokenize([s])).tokens for s in sequences])
            for tokens in (alone, together[rows, :n]):
                assert torch.allclose(tokens[:, :16], expected[f"teacher_tokens_{length}"], atol=5e-5)
                assert torch.allclose(tokens.mean(1), expected[f"teacher_mean_{length}"], atol=5e-5)
            assert torch.allclose(logits[rows, :16], expected[f"teacher_mnm_logits_ACGTN_{length}"], atol=5e-5)
            means = student(student.tokenize(sequences)).tokens.mean(1)
            assert torch.allclose(means, expected[f"student_mean_{length}"], atol=5e-5)
