"""ChordMixer block by block in plain sums, its checkpoints tensor by tensor, and every sentence of a refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from findna_bench.api import Checkpoint, ModelError, WeightsError
from findna_plugins import chordmixer, chordmixer_hidden
from findna_plugins.bases import BLANK
from findna_plugins.chordmixer import ChordMixer, Tracks
from findna_plugins.chordmixer_hidden import ChangedPositions
from findna_plugins.chordmixer_inference import Products
from findna_plugins.chordmixer_rotation import rotation_index
from findna_plugins.chordmixer_training import Portions, _cut

SMALL = {"channels": 7, "track_size": 2, "hidden": 5, "layers": 2, "blocks_per_layer": 3}


def made(seed: int = 0, **options: Any) -> ChordMixer:
    torch.manual_seed(seed)
    model = ChordMixer(**{**SMALL, **options})  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
    return model.double().eval()


def by_hand(model: ChordMixer, sequence: str, norm: str, alternate: bool) -> list[Tensor]:
    """States of every layer of one sequence: x[t] + MLP(norm(x))[t + shift of the track], then a norm."""
    rows = torch.stack([torch.eye(5)["ACGTN".index(base)] for base in sequence]).double()
    x = rows @ model.embedding.weight.T + model.embedding.bias
    layers, length = [x], len(sequence)
    shifts = [0, 0, 1, 1, 2, 2, 4]  # of channels: tracks of two, the last one short
    for blocks in model.layers:
        for number, block in enumerate(blocks):  # type: ignore[arg-type]
            normed = (
                nn.functional.layer_norm(x, (7,), block.norm_pre.weight, block.norm_pre.bias)
                if norm in ("pre", "prepost")
                else x
            )
            y = nn.functional.gelu(normed @ block.fc1.weight.T + block.fc1.bias) @ block.fc2.weight.T + block.fc2.bias
            sign = -1 if alternate and number % 2 else 1
            moved = torch.stack(
                [
                    torch.stack([y[(t + sign * shift) % length, c] for c, shift in enumerate(shifts)])
                    for t in range(length)
                ]
            )
            x = x + moved
            if norm == "prepost":
                x = nn.functional.layer_norm(x, (7,), block.norm_post.weight, block.norm_post.bias)
        layers.append(x)
    return layers


@pytest.mark.parametrize("norm", ["none", "pre", "prepost"])
@pytest.mark.parametrize("directions", ["left", "alternate"])
def test_every_formulation_is_the_sum_over_tracks(norm: str, directions: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(norm=norm, directions=directions)
    sequences = ["ACGTN", "G", "TTGACCA", "ACGTA", "CC"]
    expected = [by_hand(model, sequence, norm, directions == "alternate") for sequence in sequences]
    formulations = ["plain", "fused", "auto"] + (["gather"] if norm == "none" else [])
    for formulation in formulations:
        model.formulation = formulation  # type: ignore[assignment]
        for chunk in (1, 9, 2048):
            monkeypatch.setattr(chordmixer, "CHUNK_POSITIONS", chunk)
            for grad in (False, True):
                with torch.set_grad_enabled(grad):
                    found = model(model.tokenize(sequences), layers=[0, 1, 2])
                assert found.layers is not None
                for row, right in enumerate(expected):
                    for layer in (0, 1, 2):
                        own = found.layers[layer][row].detach()
                        torch.testing.assert_close(
                            own[: len(sequences[row])], right[layer].detach(), atol=1e-10, rtol=0
                        )
                        assert layer == 0 or not own[len(sequences[row]) :].any()
                torch.testing.assert_close(found.tokens, found.layers[2])
    assert model.analytic_flops(3, 10) == 2 * 3 * 10 * 6 * 2 * 7 * 5
    assert model.token_counts([3, 9]) == [3, 9]
    assert made(padding="authors", padded_length=12).token_counts([3, 90]) == [12, 12]
    model.use_formulation("plain")
    assert model.formulation == "plain"
    model.use_formulation("fast")
    assert model.formulation == "auto"


def test_gather_has_no_norms_and_says_so() -> None:
    model = made(norm="pre", formulation="gather")
    with pytest.raises(ModelError) as refused:
        model(model.tokenize(["ACGT"]))
    assert str(refused.value) == 'ChordMixer: the formulation "gather" has no norms; use "fused" or "plain"'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({name: value}, f"{name} must be a positive whole number, not {value!r}") for name in ("channels", "track_size", "hidden", "layers", "blocks_per_layer") for value in (0, 1.5)),
        ({"norm": "post"}, "norm must be one of none, pre, prepost, not 'post'"),
        ({"directions": "right"}, "directions must be one of left, alternate, not 'right'"),
        ({"padding": "zeros"}, "padding must be one of own-length, authors, not 'zeros'"),
        ({"head_output": "x"}, "head_output must be one of softmax, sigmoid, not 'x'"),
        ({"formulation": "x"}, "formulation must be one of auto, plain, fused, gather, not 'x'"),
        ({"adapt": "x"}, "adapt must be one of keep, extend, reference, not 'x'"),
        ({"padding": "authors"}, 'padding "authors" needs padded_length, the longest sequence of the data set'),
        ({"rate": 1}, "ChordMixer.__init__() got an unexpected keyword argument 'rate'; see `findna-bench describe chordmixer` for its arguments"),
        ({"adapt": "reference", "task": "x"}, f'adapt "reference" needs task, one of {", ".join(sorted(chordmixer.REFERENCE_ADAPTATIONS))}; not \'x\''),
    ],
    ids=str,
)  # fmt: skip
def test_impossible_networks_are_refused_in_a_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as refused:
        ChordMixer.from_config({**SMALL, **options})
    assert str(refused.value) == f"ChordMixer: {message}"


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (None, (2, 3)),
        (1, (2, 3)),
        (2, (2, 3)),
        (8, (2, 3)),
        (9, (2, 4)),
        (16, (2, 4)),
        (17, (2, 5)),
        (100, (1, 7)),
        (1024, (1, 10)),
        (1025, (1, 11)),
    ],
)
def test_a_longer_input_takes_more_blocks_and_narrower_tracks(length: int | None, expected: tuple[int, int]) -> None:
    model = ChordMixer(**SMALL, length=length)  # type: ignore[arg-type]
    assert (model.track_size, model.blocks_per_layer) == expected
    kept = ChordMixer(**SMALL, length=length, adapt="keep")  # type: ignore[arg-type]
    assert (kept.track_size, kept.blocks_per_layer) == (2, 3)


def test_tracks_are_cut_in_order_and_channels_beyond_stay() -> None:
    tracks = Tracks.cut(7, 3)
    assert (tracks.bounds, tracks.shifts) == (((0, 3), (3, 6), (6, 7)), (0, 1, 2))
    assert tracks.channel_shifts(9) == [0, 0, 0, 1, 1, 1, 2, 0, 0]
    mask = torch.tensor([[True] * 4, [True] * 3 + [False], [False] * 4])
    index, inverse = rotation_index(mask, tracks, 7)
    assert index[0, :, 6].tolist() == [2, 3, 0, 1]
    assert index[1, :, 3].tolist() == [1, 2, 0, 3]
    assert inverse[1, :, 3].tolist() == [2, 0, 1, 3]
    assert index[2, :, 6].tolist() == [0, 1, 2, 3]
    assert [len(rotation_index(torch.ones(n, 4, dtype=torch.bool), tracks, 7)[0]) for n in (1, 5)] == [1, 1]


def test_portions_hold_whole_sequences_up_to_a_limit() -> None:
    groups = ((0, 3, 4), (12, 2, 7), (26, 1, 30))
    assert _cut(groups, 8) == [((0, 2, 4),), ((8, 1, 4),), ((12, 1, 7),), ((19, 1, 7),), ((26, 1, 30),)]
    assert _cut(groups, 12) == [((0, 3, 4),), ((12, 1, 7),), ((19, 1, 7),), ((26, 1, 30),)]
    assert _cut(groups, 19) == [((0, 3, 4), (12, 1, 7)), ((19, 1, 7),), ((26, 1, 30),)]
    assert _cut(groups, 100) == [groups]
    portions = Portions(groups, Tracks.cut(7, 2), torch.zeros(56, 7), 5)
    assert [
        (number, rows.start, rows.stop, tuple(mixed.shape), tuple(one.shape))
        for number, rows, mixed, one, _ in portions.each()
    ] == [(0, 0, 56, (56, 7), (56, 5))]


def test_products_in_a_short_format_are_padded_to_rows_of_a_tile() -> None:
    first, second = nn.Linear(40, 9), nn.Linear(9, 40)
    own = Products.of(first, second, torch.float32)
    assert own.into_hidden is first.weight
    short = Products.of(first, second, torch.bfloat16)
    assert [tuple(t.shape) for t in (short.into_hidden, short.hidden_bias, short.out_of_hidden, short.bias)] == [
        (9, 64),
        (9,),
        (64, 9),
        (64,),
    ]
    assert torch.equal(short.into_hidden[:, :40], first.weight.bfloat16())
    assert torch.equal(short.out_of_hidden[:40], second.weight.bfloat16())
    assert not short.into_hidden[:, 40:].any()
    assert not short.bias[40:].any()
    assert Products.of(nn.Linear(32, 9), nn.Linear(9, 32), torch.bfloat16).into_hidden.shape == (9, 32)


# ----------------------------------------------------------------------------------------------------------- hidden positions


@pytest.mark.parametrize("hidden", [(0,), (0, 1, 5)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (1, -1, 1, -1)])
def test_what_is_changed_and_needed_is_what_sets_of_positions_say(
    hidden: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    length, tracks = 23, Tracks.cut(7, 2)
    changed = [set(hidden)]
    for sign in signs:
        changed.append({(p - sign * s) % length for p in changed[-1] for s in tracks.shifts} | changed[-1])
    needed = [set(hidden)]
    for sign in reversed(signs):
        needed.append({(p + sign * s) % length for p in needed[-1] for s in tracks.shifts} | needed[-1])
    expected = [sorted(one & other) for one, other in zip(changed, reversed(needed), strict=True)]
    found = ChangedPositions.of(hidden, length, tracks, signs)
    assert [places.tolist() for places in found.places] == expected
    for number, sign in enumerate(signs):
        here, there = expected[number], expected[number + 1]
        for track, shift in enumerate(tracks.shifts):
            wanted = [
                here.index((p + sign * shift) % length) if (p + sign * shift) % length in here else len(here)
                for p in there
            ]
            assert found.sources[number][track].tolist() == wanted
        assert found.kept[number].tolist() == [here.index(p) if p in here else len(here) for p in there]
    many = [number for number, places in enumerate(expected[:-1]) if len(places) > length / 2]
    assert list(found.whole) == (list(range(many[0], many[-1] + 1)) if many else [])
    assert found.cost == sum(length if n in found.whole else len(places) for n, places in enumerate(expected[:-1]))


@pytest.mark.parametrize("at_once", [1, 3, 24])
def test_hidden_positions_have_the_logits_of_a_row_computed_alone(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chordmixer_hidden, "ROWS_AT_ONCE", at_once)
    monkeypatch.setattr(chordmixer_hidden, "POSITIONS_AT_ONCE", 50)
    monkeypatch.setattr(chordmixer_hidden, "WORTH", 9.0)  # computed so even where it is not worth it
    model = made(directions="alternate")
    sequence = "ACGTTGCANGATTACAGGCATCAG"
    hidden = [(place, (place + 2) % 24) for place in range(22)]
    found = model.hidden_logits([sequence] * 22, hidden)
    for row, places in enumerate(hidden):
        codes = model.tokenize([sequence])
        codes.inputs[0, list(places)] = BLANK
        with torch.no_grad():
            expected = model.logits(codes)[0, list(places)]
        torch.testing.assert_close(found[2 * row : 2 * row + 2], expected, atol=1e-10, rtol=0)


# --------------------------------------------------------------------------------------------------------------- checkpoints


def authors(model: ChordMixer, prefix: str) -> dict[str, Tensor]:
    """The authors' names and order of letters, A C G N T."""
    order = [0, 1, 2, 4, 3]
    state = {name: tensor.float() for name, tensor in model.state_dict().items()}
    found = {
        f"{prefix}embedding.weight": state["embedding.weight"][:, order], f"{prefix}embedding.bias": state["embedding.bias"],
        f"{prefix}linear.weight": state["head.weight"][order], f"{prefix}linear.bias": state["head.bias"][order],
    }  # fmt: skip
    for name, tensor in state.items():
        if name.startswith("layers."):
            _, layer, block, rest = name.split(".", 3)
            found[f"{prefix}encoder.SwanDNA_blocks.{layer}.SwanDNA_blocks.{block}.column_transform.{rest}"] = tensor
    return found


def test_the_authors_layout_is_translated_tensor_by_tensor() -> None:
    teacher, student = made(1, track_size=2), made(2, track_size=2)
    tensors = authors(teacher, "Teacher.") | authors(student, "Student.")
    for network, model in ((None, teacher), ("teacher", teacher), ("student", student)):
        found = ChordMixer.adapt_checkpoint(Checkpoint(tensors, source="x.pt"), {"formulation": "plain"}, network)
        assert found.network == (network or "teacher")
        assert found.config == {
            "formulation": "plain", "channels": 7, "track_size": 2, "hidden": 5, "layers": 2, "blocks_per_layer": 3, "norm": "none", "head_output": "sigmoid",
        }  # fmt: skip
        assert set(found.state) == set(model.state_dict())
        for name, tensor in model.state_dict().items():
            assert torch.equal(found.state[name], tensor.float()), name
        other = "Student." if found.network == "teacher" else "Teacher."
        assert found.ignored == {
            key: f"belongs to the {other[:-1].lower()} network" for key in tensors if key.startswith(other)
        }
        assert found.used == {key for key in tensors if not key.startswith(other)}
    cut = ChordMixer.adapt_checkpoint(
        Checkpoint(authors(teacher, "Student."), source="x"), {"adapt": "reference", "task": "human_ocr_ensembl"}, None
    )
    assert cut.network == "student"
    longer = ChordMixer.adapt_checkpoint(Checkpoint(authors(teacher, "Teacher."), source="x"), {"length": 9}, None)
    assert not longer.state["layers.1.3.fc2.weight"].any()
    assert not longer.state["layers.1.3.fc2.bias"].any()
    assert longer.state["layers.1.3.fc1.weight"].any()
    drawn = ChordMixer.adapt_checkpoint(
        Checkpoint(authors(teacher, "Teacher."), source="x"), {"length": 9, "new_blocks": "default"}, None
    )
    again = ChordMixer.adapt_checkpoint(
        Checkpoint(authors(teacher, "Teacher."), source="x"), {"length": 9, "new_blocks": "default"}, None
    )
    assert drawn.state["layers.1.3.fc2.weight"].any()
    assert torch.equal(drawn.state["layers.1.3.fc2.weight"], again.state["layers.1.3.fc2.weight"])


@pytest.mark.parametrize(
    ("change", "config", "network", "message"),
    [
        (lambda t: t.update({"Teacher.encoder.x": torch.zeros(1)}), None, None, "x.pt: unexpected tensor 'Teacher.encoder.x' for a ChordMixer in the authors' layout"),
        (lambda t: t.update({"b": torch.zeros(1), "a": torch.zeros(1)}), None, None, "x.pt: unexpected tensor 'a' (2 in all) for a ChordMixer"),
        (lambda t: None, None, "third", "x.pt holds no 'third' network, only teacher"),
        (lambda t: None, {"checkpoint_channel_order": "ACGTX"}, None, "x.pt: checkpoint_channel_order must be an order of ACGTN, not 'ACGTX'"),
        (lambda t: t.pop("Teacher.embedding.weight"), None, None, "x.pt: tensor 'embedding.weight' is missing, so this is no ChordMixer checkpoint"),
        (
            lambda t: t.pop("Teacher.encoder.SwanDNA_blocks.1.SwanDNA_blocks.0.column_transform.fc2.bias"), None, None,
            "x.pt: tensor 'layers.1.0.fc2.bias' is missing",
        ),
        (lambda t: t.update({"Teacher.embedding.bias": torch.zeros(3)}), None, None, "x.pt: tensor 'embedding.bias' has shape (3,), expected (7,)"),
        (lambda t: None, {"hidden": 6}, None, "x.pt: config.json says hidden = 6, the tensors say 5"),
        (lambda t: None, {"config": {"layers": 3}}, None, "x.pt: config.json says layers = 3, the tensors say 2"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_names_the_tensor(
    change: Any, config: Any, network: str | None, message: str
) -> None:
    tensors = authors(made(), "Teacher.")
    change(tensors)
    with pytest.raises(WeightsError) as refused:
        ChordMixer.adapt_checkpoint(Checkpoint(tensors, config=config, source="x.pt"), {}, network)
    assert str(refused.value) == message


def test_own_folders_may_lack_a_head_and_hold_one_network() -> None:
    state = {name: tensor for name, tensor in made(norm="pre").state_dict().items() if not name.startswith("head.")}
    found = ChordMixer.adapt_checkpoint(
        Checkpoint(state, config={"network": "teacher", "track_size": 3}, source="m"), {}, None
    )
    assert (found.network, found.config["norm"], found.config["track_size"], "head_output" in found.config) == (
        "teacher",
        "pre",
        3,
        False,
    )
    assert not any(name.startswith("head.") for name in found.state)
    with pytest.raises(WeightsError) as one:
        ChordMixer.adapt_checkpoint(Checkpoint(state, config={"network": "teacher"}, source="m"), {}, "student")
    assert str(one.value) == "m holds one network only, not a student; leave out --network"
    assert ChordMixer.adapt_checkpoint(Checkpoint(state, source="m"), {}, "student").network == "student"
    reordered = {**state, "embedding.weight": state["embedding.weight"][:, [4, 3, 2, 1, 0]]}
    turned = ChordMixer.adapt_checkpoint(
        Checkpoint(reordered, config={"checkpoint_channel_order": "NTGCA"}, source="m"), {}, None
    )
    assert torch.equal(turned.state["embedding.weight"], state["embedding.weight"].float())
    assert np.isclose(float(turned.state["embedding.weight"].sum()), float(state["embedding.weight"].sum()), rtol=1e-4)
