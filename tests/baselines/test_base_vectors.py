"""One vector per base of every first-party network, against a plain loop over its tokens, one sequence at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from test_likelihoods import (
    WITH_N,
    built,
    caduceus_ph,
    caduceus_ps,
    chordmixer,
    dnabert,
    dnabert2,
    hyenadna,
    nt_v1,
    nt_v2,
    published_bpe,
    sixmers,
    transformer,
)
from test_transformers_encoder import SIZES
from tokenizers import Tokenizer

from findna_bench.api import Backbone
from findna_bench.cards import ModelCard
from findna_bench.models.base_vectors import embed_bases
from findna_bench.models.loading import LoadedModel
from findna_bench.sequences.alphabet import reverse_complement

SEQUENCE = "ACGTTGCATGACCGATTGCGATAGGCTTACGATTACAGGCAAT"
TEXTS = [SEQUENCE, WITH_N, "NNACGTAC", SEQUENCE[:19] + "N" + SEQUENCE[3:17], "GATTACAG"]

Ranges = Callable[[str, Path], list[tuple[int, int]]]


def of_bases(text: str, folder: Path) -> list[tuple[int, int]]:
    return [(place, place + 1) for place in range(len(text))]


def of_sixmers(text: str, folder: Path) -> list[tuple[int, int]]:
    found, place = [(0, 0)], 0  # [CLS]
    for word in sixmers(text):
        found.append((place, place + len(word)))
        place += len(word)
    return found


def of_overlapping(text: str, folder: Path) -> list[tuple[int, int]]:
    return [(0, 0), *((place, place + 3) for place in range(len(text) - 2))]


def of_byte_pairs(text: str, folder: Path) -> list[tuple[int, int]]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(SIZES["max_position_embeddings"])
    encoding = tokenizer.encode(text)
    return [
        (0, 0) if special else (start, stop)
        for (start, stop), special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True)
    ]


def of_byte_pairs_after_cls(text: str, folder: Path) -> list[tuple[int, int]]:
    encoding = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False)
    return [(0, 0), *encoding.offsets]


CASES: list[tuple[Callable[[Path], Backbone], Ranges]] = [
    (chordmixer, of_bases),
    (transformer, of_bases),
    (caduceus_ph, of_bases),
    (caduceus_ps, of_bases),
    (hyenadna, of_bases),
    (nt_v1, of_sixmers),
    (nt_v2, of_sixmers),
    (dnabert, of_overlapping),
    (dnabert2, of_byte_pairs_after_cls),
    (published_bpe, of_byte_pairs),
]
cases = pytest.mark.parametrize(("build", "ranges"), CASES, ids=[build.__name__ for build, _ in CASES])


def loaded(backbone: Backbone, window: str = "truncate") -> LoadedModel:
    spec: Any = SimpleNamespace(display_name="small")
    card = ModelCard(name="small", kind="encoder", backbone="small", window=window)
    cpu, n = torch.device("cpu"), sum(p.numel() for p in backbone.parameters())
    return LoadedModel(spec, card, backbone, cpu, torch.float32, "random", "random", "", None, n, False)


def by_loop(backbone: Backbone, text: str, ranges: Ranges, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(L, D) means of the states of all tokens that read a base, and the bases that any reads (L,)."""
    with torch.inference_mode():
        states = backbone(backbone.tokenize([text])).tokens[0].double().numpy()
    total, count = np.zeros((len(text), states.shape[1])), np.zeros(len(text))
    for token, (start, stop) in enumerate(ranges(text, folder)):
        for base in range(start, stop):
            total[base] += states[token]
            count[base] += 1
    return total / np.maximum(count, 1)[:, None], count > 0


@cases
def test_they_are_those_of_a_plain_loop(build: Callable[[Path], Backbone], ranges: Ranges, tmp_path: Path) -> None:
    backbone = built(build, tmp_path)
    model = loaded(backbone)
    found = embed_bases(model, TEXTS, batch_size=3).vectors
    turned = embed_bases(model, TEXTS, batch_size=2, strand="reverse").vectors
    both = embed_bases(model, TEXTS, strand="rc-mean").vectors
    for row, text in enumerate(TEXTS):
        expected, read = by_loop(backbone, text, ranges, tmp_path)
        values, seen = found.of_sequence(row)
        np.testing.assert_array_equal(seen, read)
        assert seen.all() or len(text) < 3
        np.testing.assert_allclose(values, expected, atol=2e-5)
        other, _ = by_loop(backbone, reverse_complement(text), ranges, tmp_path)
        np.testing.assert_allclose(turned.of_sequence(row)[0], other[::-1], atol=2e-5)
        np.testing.assert_allclose(both.of_sequence(row)[0], (expected + other[::-1]) / 2, atol=2e-5)
        rows, places = np.full(3, row), np.array([0, len(text) - 1, 2])
        np.testing.assert_array_equal(found.gather(rows, places), values[places])


@pytest.mark.parametrize(("build", "ranges"), [(nt_v2, of_sixmers), (dnabert, of_overlapping)])
def test_bases_beyond_a_window_are_not_read_and_windows_are_averaged(
    build: Callable[[Path], Backbone], ranges: Ranges, tmp_path: Path
) -> None:
    backbone = built(build, tmp_path)
    longest = cast("int", backbone.max_length)
    text = (SEQUENCE * 40)[: longest + 11]
    cut = embed_bases(loaded(backbone), [text])
    _, seen = cut.vectors.of_sequence(0)
    assert seen.sum() == longest
    assert not seen[longest:].any()
    assert cut.coverage["bases_seen"] == longest
    assert cut.coverage["truncated_sequences"] == 1
    whole = embed_bases(loaded(backbone, "window:8"), [text]).vectors.of_sequence(0)
    total, count = np.zeros_like(whole[0], dtype=np.float64), np.zeros(len(text))
    for start in range(0, len(text) - longest + 8, 8):
        values, read = by_loop(backbone, text[start : start + longest], ranges, tmp_path)
        total[start : start + longest] += values
        count[start : start + longest] += read
    assert whole[1].all()
    np.testing.assert_allclose(whole[0], total / count[:, None], atol=2e-5)


def test_a_sequence_without_a_token_is_not_read(tmp_path: Path) -> None:
    found = embed_bases(loaded(built(dnabert, tmp_path)), ["AC", SEQUENCE])
    values, seen = found.vectors.of_sequence(0)
    assert not seen.any()
    assert not values.any()
    assert found.coverage["short_sequences"] == 1
    assert found.vectors.of_sequence(1)[1].all()
