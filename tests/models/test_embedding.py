"""Embeddings depend on the sequence alone: not on the batch, not on memory, not on what was read before."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from tiny_backbone import CrampedBackbone, dna

from findna_bench.api import Encoding
from findna_bench.errors import DataError, ModelError, UnsupportedError, UsageError
from findna_bench.models.embedding import embed, encode
from findna_bench.models.loading import LoadedModel, load_model
from findna_bench.models.sanity import sanity_loss
from findna_bench.models.windows import WindowPolicy
from findna_bench.sequences.alphabet import reverse_complement

Load = Callable[..., LoadedModel]


@pytest.mark.parametrize("name", ["tiny@random", "tiny-3mer@random"])
@pytest.mark.parametrize("pooling", ["mean", "mean_all", "mean_bases", "cls", "last", "max"])
def test_vectors_do_not_depend_on_the_batch(load: Load, name: str, pooling: str) -> None:
    model, sequences = load(name), dna(40)
    alone = embed(model, sequences, pooling=pooling, batch_size=1).vectors
    for size in (3, 64, "auto"):
        together = embed(model, sequences, pooling=pooling, batch_size=size).vectors
        np.testing.assert_allclose(together, alone, atol=1e-5)
    shuffled = embed(model, sequences[::-1] + sequences[:7], pooling=pooling).vectors
    np.testing.assert_allclose(shuffled, np.concatenate([alone[::-1], alone[:7]]), atol=1e-5)
    assert alone.dtype == np.float32
    assert np.ptp(alone, axis=0).min() > 0


def test_encode_gives_every_token_but_padding(load: Load) -> None:
    model, sequences = load("tiny-3mer@random"), ["ACGTACGT", "AC", "acgtun"]
    states = encode(model, sequences)
    assert [s.shape for s in states] == [(4, 8), (2, 8), (4, 8)]
    for state, sequence in zip(states, sequences, strict=True):
        np.testing.assert_allclose(encode(model, [sequence])[0], state, atol=1e-5)
    assert encode(model, []) == []


@pytest.mark.parametrize("given", [None, (), (0,)])
def test_a_backbone_that_gives_no_states_of_a_layer_is_named(
    load: Load, given: tuple[int, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load("tiny@random")
    whole = type(model.backbone).forward

    def forward(backbone: Any, batch: Any, *, layers: Any = None) -> Encoding:
        found = whole(backbone, batch, layers=layers)
        some = None if given is None else {layer: found.layers[layer] for layer in given if layer in found.layers}
        return dataclasses.replace(found, layers=some)

    monkeypatch.setattr(type(model.backbone), "forward", forward)
    with pytest.raises(ModelError, match=r"tiny@random: its backbone gives no hidden states of layer 1, only the last"):
        embed(model, dna(3), layer=1)


def test_layers_count_from_the_embedding_output(load: Load) -> None:
    model, sequences = load("tiny@random"), dna(5)
    by_layer = [embed(model, sequences, layer=layer).vectors for layer in (0, 1, 2)]
    for a, b in itertools.combinations(by_layer, 2):
        assert not np.allclose(a, b)
    for layer, positive in ((-1, 2), (-2, 1), (-3, 0)):
        np.testing.assert_array_equal(embed(model, sequences, layer=layer).vectors, by_layer[positive])
    for layer in (3, -4):
        with pytest.raises(UsageError, match=r"layers 0 \(embedding\) to 2"):
            embed(model, sequences, layer=layer)


def test_strands(load: Load) -> None:
    model, sequences = load("tiny@random"), dna(9, 5)
    other = [reverse_complement(s) for s in sequences]
    forward, backward = embed(model, sequences).vectors, embed(model, other).vectors
    np.testing.assert_array_equal(embed(model, sequences, strand="reverse").vectors, backward)
    both = embed(model, sequences, strand="rc-mean").vectors
    np.testing.assert_allclose(both, (forward + backward) / 2, atol=1e-6)
    np.testing.assert_allclose(embed(model, other, strand="rc-mean").vectors, both, atol=1e-6)
    with pytest.raises(UsageError, match="forward, reverse, rc-mean"):
        embed(model, sequences, strand="rc-logit-mean")


# ----------------------------------------------------------------------------------------------------------- windows


@given(length=st.integers(1, 300), longest=st.integers(1, 80), stride=st.integers(1, 80))
def test_windows_read_all_bases_in_order_and_none_twice_in_vain(length: int, longest: int, stride: int) -> None:
    policy = WindowPolicy.parse(f"window:{stride}")
    if stride > longest and length > longest:
        with pytest.raises(UsageError, match="would be skipped"):
            policy.cut(length, longest)
        return
    cut = policy.cut(length, longest)
    assert {base for start, stop in cut for base in range(start, stop)} == set(range(length))
    assert all(0 < stop - start <= longest for start, stop in cut)
    assert [stop for _, stop in cut] == sorted({stop for _, stop in cut})
    for kind in ("truncate", "truncate-middle"):
        ((start, stop),) = WindowPolicy.parse(kind).cut(length, longest)
        assert stop - start == min(length, longest)
        assert (start == 0) if kind == "truncate" else abs(start - (length - stop)) <= 1


def test_windows_are_averaged_by_the_bases_they_read(load: Load) -> None:
    model = load("tiny-short@random")  # reads 10 bases at once
    sequence, short = "".join(dna(1, 24, 24)), "ACGT"
    parts = embed(model, [sequence[:10], sequence[10:20], sequence[20:], sequence[7:17]]).vectors
    got = embed(model, [sequence, short], window="window")
    np.testing.assert_allclose(got.vectors[0], (10 * parts[0] + 10 * parts[1] + 4 * parts[2]) / 24, atol=1e-6)
    assert got.coverage == {
        "bases_total": 28,
        "bases_seen": 28,
        "truncated_sequences": 0,
        "windows": 4,
        "short_sequences": 0,
    }
    assert embed(model, [sequence], window="window:5").coverage["bases_seen"] == 24
    cut = embed(model, [sequence, short])
    np.testing.assert_allclose(cut.vectors[0], parts[0], atol=1e-6)
    assert cut.coverage == {
        "bases_total": 28,
        "bases_seen": 14,
        "truncated_sequences": 1,
        "windows": 2,
        "short_sequences": 0,
    }
    np.testing.assert_allclose(embed(model, [sequence], window="truncate-middle").vectors[0], parts[3], atol=1e-6)
    assert [len(s) for s in encode(model, [sequence])] == [12]
    for bad in ("middle", "window:0", "window:x", "truncate:3"):
        with pytest.raises(UsageError, match="choose truncate"):
            embed(model, [sequence], window=bad)


def test_sequences_too_short_for_a_token_are_counted_and_finite(load: Load) -> None:
    got = embed(load("tiny-3mer@random"), ["A", "AC", "ACG", "ACGT"])
    assert np.isfinite(got.vectors).all()
    assert got.coverage["short_sequences"] == 2
    assert got.coverage["bases_seen"] == 6
    assert got.coverage["truncated_sequences"] == 1


# ------------------------------------------------------------------------------------------------------------ memory


def test_a_batch_that_does_not_fit_is_halved_and_recorded(load: Load) -> None:
    sequences = dna(20, 5, 40)
    plenty = embed(load("tiny@random"), sequences)
    CrampedBackbone.calls.clear()
    cramped = embed(load("cramped@random"), sequences, batch_size=16)
    np.testing.assert_allclose(cramped.vectors, plenty.vectors, atol=1e-5)
    assert cramped.batch["requested"] == 16
    assert cramped.batch["effective"] == 16
    assert 1 <= cramped.batch["micro"] <= 3
    assert sum(n > 3 for n in CrampedBackbone.calls) <= 4, "batches known to be too large were tried again"
    assert encode(load("cramped@random"), sequences)[3].shape == (len(sequences[3]) + 2, 8)


def test_one_sequence_that_does_not_fit_is_an_out_of_memory_error(load: Load) -> None:
    model = load("cramped@random")
    with pytest.raises(torch.OutOfMemoryError, match="one sequence of 50 bases does not fit"):
        embed(model, ["A" * 50, "ACG"])
    assert not model.backbone.training


# ------------------------------------------------------------------------------------------------------------ errors


def test_wrong_input_is_named(load: Load) -> None:
    model = load("tiny@random")
    with pytest.raises(DataError, match=r"sequence 1.*position 3"):
        embed(model, ["ACGT", "AC-T"])
    with pytest.raises(DataError, match=r"sequence 0.*empty"):
        encode(model, [""])
    for size in (0, -1, "many", True):
        with pytest.raises(UsageError, match="batch-size"):
            embed(model, ["ACGT"], batch_size=size)
    with pytest.raises(UnsupportedError, match="causal"):
        embed(load("causal@random"), ["ACGT"], pooling="cls")
    assert embed(model, []).vectors.shape == (0, 8)
    with torch.no_grad():
        model.backbone.get_parameter("blocks.0.bias").fill_(float("nan"))
    with pytest.raises(ModelError, match="NaN"):
        embed(model, ["ACGT"])


def test_progress_ends_at_all_rows(load: Load) -> None:
    seen: list[tuple[int, int]] = []
    embed(
        load("tiny-short@random"),
        dna(30) * 2,
        window="window",
        strand="rc-mean",
        progress=lambda a, b: seen.append((a, b)),
    )
    assert seen[-1] == (60, 60)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_bfloat16_computes_under_autocast_and_stays_close(load: Load) -> None:
    model, sequences = load("tiny@random"), dna(10)
    full, half = embed(model, sequences).vectors, embed(model.with_dtype("bfloat16"), sequences).vectors
    assert half.dtype == np.float32
    assert 0 < np.abs(full - half).max() < 0.05
    assert {p.dtype for p in model.backbone.parameters()} == {torch.float32}


# ------------------------------------------------------------------------------------------------------------ sanity


def test_sanity_tells_weights_that_know_something_from_those_that_do_not(load: Load) -> None:
    sequences = ["ACGT" * 50] * 20
    model = load("causal@random")
    untrained = sanity_loss(model, sequences)
    assert not untrained.passed
    assert untrained.uniform == pytest.approx(np.log(4))
    optimiser = torch.optim.Adam(model.backbone.parameters(), lr=0.05)
    for _ in range(60):
        logits = model.backbone.logits(batch := model.backbone.tokenize(sequences[:2]))
        real = logits[:, :-2].reshape(-1, logits.shape[-1])
        loss = torch.nn.functional.cross_entropy(real, batch.inputs[:, 1:-1].reshape(-1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert sanity_loss(model, sequences).passed
    masked = sanity_loss(load("tiny@random"), sequences)
    assert not masked.passed
    assert 300 < masked.n_tokens < 900


# ------------------------------------------------------------------------------------------------------- real models


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("hyenadna", "hyenadna_small"),
        ("dnabert2", "dnabert2_small"),
        ("nt-v2-50m", "ntv2_small"),
        ("nt-500m-human", "ntv1_small"),
        ("dnabert", "dnabert6_small"),
    ],
)
@pytest.mark.parametrize("batch_size", [1, "auto"])
def test_published_layouts_give_the_authors_hidden_states(
    shared: Path, name: str, case: str, batch_size: int | str
) -> None:
    folder = shared / "parity" / case
    model = load_model(name, weights=folder, device="cpu", offline=True)
    expected, sequences = (
        load_file(folder / "expected.safetensors"),
        json.loads((folder / "expected.json").read_text())["sequences"],
    )
    for i, state in enumerate(encode(model, sequences, batch_size=batch_size)):
        np.testing.assert_allclose(state, expected[f"hidden_{i}"], atol=5e-5)
    alone = np.concatenate([embed(model, [sequence]).vectors for sequence in sequences])
    np.testing.assert_allclose(embed(model, sequences).vectors, alone, atol=1e-5)


@pytest.mark.shared
def test_findna_means_are_the_authors(shared: Path) -> None:
    stem = shared / "parity" / "findna_reference_small"
    model = load_model("findna", weights=stem.with_suffix(".pt"), device="cpu")
    sequences = json.loads(stem.with_suffix(".json").read_text())["sequences"]
    expected = load_file(f"{stem}.expected.safetensors")
    mixed = embed(model, list(itertools.chain(*sequences.values()))).vectors
    means = np.concatenate([expected[f"teacher_mean_{length}"] for length in sequences])
    np.testing.assert_allclose(mixed, means, atol=5e-5)
