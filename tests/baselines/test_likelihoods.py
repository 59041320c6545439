"""``log_likelihoods`` of every first-party network against a loop written for its kind of token, one sequence at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_transformers_encoder import SIZES, write_tokenizer
from torch import Tensor

from findna_baselines.caduceus import Caduceus
from findna_baselines.dnabert import DNABERT
from findna_baselines.dnabert2 import DNABERT2
from findna_baselines.hyenadna import HyenaDNA
from findna_baselines.nucleotide_transformer_v1 import NucleotideTransformerV1
from findna_baselines.nucleotide_transformer_v2 import NucleotideTransformerV2
from findna_baselines.transformers_encoder import TransformersEncoder
from findna_bench.api import Backbone, TokenBatch, UnsupportedError
from findna_plugins.chordmixer import ChordMixer
from findna_plugins.transformer import Transformer

SEQUENCE = "ACGTTGCATGACCGATTGCGATAGGCTTACGATTACAGGCAAT"
WITH_N = "ACGTTGCATGACCGANTGCGATAGGCTTACGATTACAGGCAAT"
"""N after site 14."""
END = len(SEQUENCE) - 1


def alternatives(sequence: str, site: int) -> list[str]:
    return [sequence[:site] + base + sequence[site + 1 :] for base in "ACGT"]


def run(backbone: Backbone, ids: Sequence[int], special: Sequence[int] = ()) -> Tensor:
    """(T, V) log-probabilities of one row of ids."""
    inputs = torch.tensor([list(ids)])
    mask = torch.ones_like(inputs, dtype=torch.bool)
    marks = torch.zeros_like(mask)
    marks[0, list(special)] = True
    batch = TokenBatch(inputs, mask, marks, (~marks).long(), torch.tensor([len(ids)]))
    with torch.inference_mode():
        return backbone.logits(batch)[0].double().log_softmax(-1)


def chordmixer(folder: Path) -> Backbone:
    return ChordMixer(channels=24, track_size=4, hidden=16, layers=2, blocks_per_layer=5)


def transformer(folder: Path) -> Backbone:
    return Transformer(width=16, layers=2, heads=2, feedforward=32, positions=64)


def caduceus_ph(folder: Path) -> Backbone:
    return Caduceus(d_model=16, n_layers=2, rcps=False, d_state=4)


def caduceus_ps(folder: Path) -> Backbone:
    return Caduceus(d_model=16, n_layers=2, rcps=True, d_state=4)


def hyenadna(folder: Path) -> Backbone:
    return HyenaDNA(d_model=16, n_layers=2, max_seq_len=102)


def nt_v1(folder: Path) -> Backbone:
    published = {"model_type": "esm", "vocab_size": 4105, "position_embedding_type": "absolute", "mask_token_id": 2}
    return NucleotideTransformerV1(published=SIZES | published | {"pad_token_id": 1, "token_dropout": True})


def nt_v2(folder: Path) -> Backbone:
    return NucleotideTransformerV2(d_model=24, n_layers=2, n_heads=3, d_inner=32, max_positions=66)


def dnabert(folder: Path) -> Backbone:
    return DNABERT(published=SIZES | {"model_type": "bert", "vocab_size": 69})


def dnabert2(folder: Path) -> Backbone:
    write_tokenizer(folder)
    files = {"tokenizer.json": folder / "tokenizer.json"}
    return DNABERT2(d_model=24, n_layers=2, n_heads=3, d_inner=32, vocab_size=14, dropout=0.0, files=files)


def published_bpe(folder: Path) -> Backbone:
    size = write_tokenizer(folder)
    published = SIZES | {"model_type": "bert", "vocab_size": size}
    return TransformersEncoder(published=published, files={"tokenizer.json": folder / "tokenizer.json"})


BASES: dict[Any, tuple[str, int]] = {ChordMixer: ("ACGTN", 5), Transformer: ("ACGTN", 5)}


def of_bases(backbone: Backbone, sequence: str, site: int) -> list[float]:
    """The base is hidden, and the four are read there."""
    letters, mask = BASES.get(type(backbone), (".......ACGTN", 3))
    ids = [letters.index(base) for base in sequence]
    ids[site] = mask
    values = run(backbone, ids)[site]
    return [float(values[letters.index(base)]) for base in "ACGT"]


def of_next_bases(backbone: Backbone, sequence: str, site: int) -> list[float]:
    found = []
    for text in alternatives(sequence, site):
        ids = [".......ACGTN".index(base) for base in text]
        values = run(backbone, [*ids, 1], [len(ids)])
        found.append(sum(float(values[place - 1, ids[place]]) for place in range(1, len(ids))))
    return found


def sixmers(sequence: str) -> list[str]:
    words, place = [], 0
    while place < len(sequence):
        word = sequence[place : place + 6]
        size = 6 if len(word) == 6 and "N" not in word else 1
        words.append(sequence[place : place + size])
        place += size
    return words


def of_sixmers(backbone: Any, sequence: str, site: int) -> list[float]:
    vocabulary = backbone.tokenizer.vocabulary
    found = []
    for text in alternatives(sequence, site):
        words, reference = sixmers(text), sixmers(sequence)
        starts = np.cumsum([0, *map(len, words)])
        covering = int(np.searchsorted(starts, site, side="right")) - 1
        ids = [vocabulary.id(word) for word in reference]
        ids[covering] = vocabulary.id("<mask>")
        values = run(backbone, [vocabulary.id("<cls>"), *ids], [0])
        found.append(float(values[covering + 1, vocabulary.id(words[covering])]))
    return found


def of_overlapping(backbone: Any, sequence: str, site: int) -> list[float]:
    vocabulary, k = backbone.tokenizer.vocabulary, backbone.tokenizer.k

    def number(word: str) -> int:
        return int(vocabulary.id("[UNK]" if "N" in word else word))

    found = []
    for text in alternatives(sequence, site):
        words = [text[i : i + k] for i in range(len(text) - k + 1)]
        covering = [i for i, word in enumerate(words) if i <= site < i + k and "N" not in word]
        ids = [vocabulary.id("[MASK]") if i in covering else number(word) for i, word in enumerate(words)]
        values = run(backbone, [vocabulary.id("[CLS]"), *ids, vocabulary.id("[SEP]")], [0, len(ids) + 1])
        found.append(sum(float(values[i + 1, number(words[i])]) for i in covering))
    return found


def pseudo(backbone: Any, text: str) -> float:
    ids = backbone.tokenize([text]).inputs[0].tolist()
    total = 0.0
    for place in range(1, len(ids) - 1):
        hidden = list(ids)
        hidden[place] = backbone.mask_token
        total += float(run(backbone, hidden, [0, len(ids) - 1])[place, ids[place]])
    return total


def of_byte_pairs(backbone: Any, sequence: str, site: int) -> list[float]:
    return [pseudo(backbone, text) for text in alternatives(sequence, site)]


Loop = Callable[[Any, str, int], list[float]]
CASES: list[tuple[Callable[[Path], Backbone], Loop]] = [
    (chordmixer, of_bases),
    (transformer, of_bases),
    (caduceus_ph, of_bases),
    (caduceus_ps, of_bases),
    (hyenadna, of_next_bases),
    (nt_v1, of_sixmers),
    (nt_v2, of_sixmers),
    (dnabert, of_overlapping),
    (dnabert2, of_byte_pairs),
    (published_bpe, of_byte_pairs),
]
cases = pytest.mark.parametrize(("build", "loop"), CASES, ids=[build.__name__ for build, _ in CASES])


def built(build: Callable[[Path], Backbone], folder: Path) -> Backbone:
    """With every parameter drawn at random: what starts as identity or zero would hide mistakes."""
    torch.manual_seed(0)
    backbone = build(folder)
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if "A_log" not in name:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return backbone.eval()


@cases
def test_they_are_those_of_a_plain_loop(build: Callable[[Path], Backbone], loop: Loop, tmp_path: Path) -> None:
    backbone = built(build, tmp_path)
    questions = [(SEQUENCE, 0), (SEQUENCE, 17), (SEQUENCE, END), (WITH_N, 14)]
    found = backbone.log_likelihoods([alternatives(sequence, site) for sequence, site in questions], max_tokens=150)
    for values, (sequence, site) in zip(found, questions, strict=True):
        expected = np.array(loop(backbone, sequence, site))
        np.testing.assert_allclose(values - values[0], expected - expected[0], atol=2e-5, rtol=0)
        assert np.ptp(values) > 1e-4


@cases
def test_a_deletion_is_scored_by_the_whole_sequence_or_not_at_all(
    build: Callable[[Path], Backbone], loop: Loop, tmp_path: Path
) -> None:
    backbone = built(build, tmp_path)
    pair = (SEQUENCE, SEQUENCE[:17] + SEQUENCE[18:])
    (found,) = backbone.log_likelihoods([pair])
    if loop is of_overlapping:
        assert np.isnan(found).all()  # neighbours tell what a hidden token is
        return
    if loop is of_next_bases:
        expected = [of_next_bases(backbone, text, 0)["ACGT".index(text[0])] for text in pair]
    elif loop is of_byte_pairs:
        expected = [pseudo(backbone, text) for text in pair]
    else:
        width = 1 if loop is of_bases else 6
        expected = []
        for text in pair:
            places = np.cumsum([0, *map(len, sixmers(text))])[:-1] if width == 6 else range(len(text))
            expected.append(sum(loop(backbone, text, int(place))["ACGT".index(text[place])] for place in places))
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


@cases
def test_variants_of_one_site_share_its_forward_pass(
    build: Callable[[Path], Backbone], loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = built(build, tmp_path)
    rows: list[int] = []
    logits = backbone.logits
    monkeypatch.setattr(backbone, "logits", lambda batch: (rows.append(len(batch)), logits(batch))[1])
    sites = range(6, 30)
    pairs = [(SEQUENCE, text) for site in sites for text in alternatives(SEQUENCE, site) if text != SEQUENCE]
    found = backbone.log_likelihoods(pairs)
    assert len(found) == 3 * len(sites)
    if build is chordmixer:
        assert sum(rows) <= len(sites)  # or less than whole rows: see tests of ChordMixer
    elif loop in (of_bases, of_overlapping):
        assert sum(rows) == len(sites)
    elif loop is of_sixmers:
        assert sum(rows) == 4  # tokens, not sites
    elif loop is of_next_bases:
        assert sum(rows) == 3 * len(sites) + 1


@pytest.mark.parametrize("build", [nt_v1, nt_v2, dnabert, transformer], ids=lambda build: build.__name__)
def test_what_is_not_read_has_no_likelihood(build: Callable[[Path], Backbone], tmp_path: Path) -> None:
    backbone = built(build, tmp_path)
    long = SEQUENCE * 20
    assert backbone.max_length is not None
    (found,) = backbone.log_likelihoods([(long, long[:-1] + "A")])
    assert len(long) > backbone.max_length
    assert np.isnan(found).all()


def test_a_network_that_predicts_no_hidden_base_is_refused() -> None:
    released = ChordMixer(
        channels=24, track_size=4, hidden=16, layers=1, blocks_per_layer=5, head_output="sigmoid"
    ).eval()
    with pytest.raises(UnsupportedError, match="predicts no hidden token"):
        released.log_likelihoods([(SEQUENCE, "G" + SEQUENCE[1:])])


def test_a_network_without_its_head_is_refused() -> None:
    bare = HyenaDNA(d_model=16, n_layers=1, max_seq_len=102, with_head=False).eval()
    with pytest.raises(UnsupportedError, match="has no pretraining head"):
        bare.log_likelihoods([(SEQUENCE, "G" + SEQUENCE[1:])])
