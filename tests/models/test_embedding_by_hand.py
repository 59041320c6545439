"""Batches, windows, strands and vectors of bases, counted and averaged by plain loops; messages whole."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_backbone import CLS, FIRST, MASK, CrampedBackbone, TinyBackbone, dna

from findna_bench.api import TokenBatch
from findna_bench.errors import ModelError, NotFiniteError, RanksError, UnsupportedError, UsageError
from findna_bench.models import embedding as embedding_module
from findna_bench.models import likelihood as likelihood_module
from findna_bench.models.base_vectors import BaseReading, embed_bases
from findna_bench.models.cache_folder import cache_info, cache_limit, clear_cache, evict
from findna_bench.models.embedding import batching_of, embed, encode, token_budget
from findna_bench.models.embedding_cache import EmbeddingCache, sequence_digests
from findna_bench.models.kept_bases import KeptBases, room_of
from findna_bench.models.loading import LoadedModel
from findna_bench.models.windows import WindowPolicy
from findna_bench.sequences.alphabet import reverse_complement

Load = Callable[..., LoadedModel]


# ----------------------------------------------------------------------------------------------------------------- batches


def batches_seen(
    model: LoadedModel, sequences: list[str], monkeypatch: pytest.MonkeyPatch, **options: Any
) -> tuple[list[tuple[int, int]], dict[str, Any]]:
    """(rows, longest) of every batch in the order they are computed, and what is recorded."""
    seen: list[tuple[int, int]] = []
    forward = type(model.backbone).forward

    def spy(backbone: Any, batch: TokenBatch, **more: Any) -> Any:
        seen.append((len(batch), int(batch.lengths.max())))
        return forward(backbone, batch, **more)

    with monkeypatch.context() as patch:
        patch.setattr(type(model.backbone), "forward", spy)
        found = embed(model, sequences, **options)
    return seen, found.batch


def test_batches_hold_so_many_rows_or_tokens_and_the_longest_come_first(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load("tiny@random")
    sequences = [("ACGT" * 99)[: 10 + i] for i in range(10)]
    seen, record = batches_seen(model, sequences, monkeypatch, batch_size=4)
    assert seen == [(2, 19), (4, 17), (4, 13)]
    assert record == {"requested": 4, "effective": 4, "micro": 4}
    monkeypatch.setattr(embedding_module, "_CPU_TOKENS", 60)
    seen, record = batches_seen(model, sequences, monkeypatch)
    assert seen == [(1, 19), (2, 18), (3, 16), (4, 13)]  # two tokens more than bases, 60 at most
    assert record == {"requested": "auto", "effective": 4, "micro": 4}


def test_what_a_device_is_good_for() -> None:
    assert token_budget(SimpleNamespace(device=torch.device("cpu"))) == 8192  # type: ignore[arg-type]
    made = batching_of(SimpleNamespace(device=torch.device("cpu")), "auto")  # type: ignore[arg-type]
    assert (made.requested, made.budget, made.rows) == ("auto", 8192, 1024)
    one = batching_of(SimpleNamespace(), 7)  # type: ignore[arg-type]
    assert (one.requested, one.budget, one.rows) == (7, None, 7)
    assert batching_of(SimpleNamespace(), 1).rows == 1  # type: ignore[arg-type]
    for wrong in (0, "0", True, "two", -3):
        with pytest.raises(UsageError) as refused:
            batching_of(SimpleNamespace(), wrong)  # type: ignore[arg-type]
        assert str(refused.value) == f"--batch-size {wrong}: choose auto or a number of sequences, 1 or more"


@pytest.mark.parametrize(("free", "budget"), [(0, 8192), (10**9, 10**9 // 2 // (4 * 64 * 48)), (10**12, 1 << 19)])
def test_on_a_gpu_half_of_what_is_free_holds_so_many_tokens(
    monkeypatch: pytest.MonkeyPatch, free: int, budget: int
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**12))
    model = SimpleNamespace(device=torch.device("cuda"), backbone=SimpleNamespace(embed_dim=64))
    assert token_budget(model) == max(8192, budget)  # type: ignore[arg-type]


def test_a_batch_that_does_not_fit_is_halved_and_none_as_large_is_tried_again(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    model = load("cramped@random")  # three rows of forty bases at most
    CrampedBackbone.calls.clear()
    sequences = [("ACGT" * 9)[: 20 + i] for i in range(12)]
    with caplog.at_level(logging.INFO):
        found = embed(model, sequences, batch_size=8)
    # Four rows of 31 bases fail, so that 62 bases is the most: pairs from there on, without another attempt of eight or four.
    assert CrampedBackbone.calls == [4, 2, 2, 2, 2, 2, 2]
    assert found.batch["micro"] == 2
    assert (found.batch["requested"], found.batch["effective"]) == (8, 8)
    assert (
        f"{model.name}: {CrampedBackbone.calls[0]} sequences do not fit into memory, going on with halves"
        in caplog.text
    )
    alone = np.stack([embed(model, [sequence]).vectors[0] for sequence in sequences])
    np.testing.assert_allclose(found.vectors, alone, atol=1e-6)


def test_what_cannot_be_divided_is_said_in_a_sentence(load: Load) -> None:
    model = load("cramped@random")
    with pytest.raises(torch.OutOfMemoryError) as one:
        embed(model, ["A" * 41])
    assert str(one.value) == (
        "cramped@random: one sequence of 41 bases does not fit into the memory of cpu; choose --window window, a shorter limit or another device"
    )
    with pytest.raises(RanksError) as shared:
        embed(replace(model, shared=True), ["ACGT", "ACG", "AC", "A"])
    assert str(shared.value) == (
        "cramped@random: 4 sequences do not fit into the memory of cpu, and processes that share an encoder cannot divide a batch in its middle; "
        "say --batch-size N, or a shorter window"
    )


def test_what_a_backbone_returns_is_checked(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("tiny@random")
    for returned, message in (
        (torch.zeros(1), "tiny@random: its backbone returned a Tensor; return an Encoding"),
        (
            embedding_module.Encoding(torch.zeros(2, 5, 8)),
            "tiny@random: its backbone returned tokens of shape (2, 5, 8) where (sequences, tokens, embed_dim) is (2, 6, 8)",
        ),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(TinyBackbone, "forward", lambda *_, returned=returned, **__: returned)
            with pytest.raises(ModelError) as wrong:
                embed(model, ["ACGT", "ACG"])
            assert str(wrong.value) == message
    with monkeypatch.context() as patch:
        patch.setattr(TinyBackbone, "tokenize", lambda *_: [1])
        with pytest.raises(ModelError) as tokens:
            embed(model, ["ACGT"])
        assert str(tokens.value) == "tiny@random: its backbone's tokenize gives a list; return a TokenBatch"
    with torch.no_grad():
        model.backbone.embedding.weight[FIRST + 1, 0] = float("inf")  # C
    with pytest.raises(NotFiniteError) as infinite:
        embed(model, ["AGT", "AAA", "AGT", "ACG"], pooling="max")
    assert str(infinite.value) == (
        "tiny@random gives NaN or infinity in float32 (sequence 2, counted among different ones from 0); try --dtype float32, or check the weights"
    )


# ----------------------------------------------------------------------------------------------------- windows and coverage


@pytest.mark.parametrize("window", ["window", "window:4", "window:7", "truncate", "truncate-middle"])
@pytest.mark.parametrize("name", ["tiny", "tiny-3mer"])
def test_vectors_of_windows_have_the_weight_of_the_bases_they_read(load: Load, name: str, window: str) -> None:
    model = load(f"{name}@random")
    k = model.backbone.kmer
    model.backbone.max_length = 10
    sequences = [s.replace("N", "A") for s in [*dna(6, 9, 35, seed=2), "AC", "A" * 10, "C" * 11]]
    found = embed(model, sequences, window=window)
    policy, longest = WindowPolicy.parse(window), 10
    counted = {"bases_total": 0, "bases_seen": 0, "truncated_sequences": 0, "windows": 0, "short_sequences": 0}
    for row, sequence in enumerate(sequences):
        cuts = policy.cut(len(sequence), longest)
        parts = [embed(model, [sequence[start:stop]]).vectors[0] for start, stop in cuts]
        read = [(stop - start) // k * k for start, stop in cuts]
        weights = read if sum(read) else [1] * len(cuts)
        np.testing.assert_allclose(found.vectors[row], np.average(parts, axis=0, weights=weights), atol=1e-6)
        bases = {base for (start, _), n in zip(cuts, read, strict=True) for base in range(start, start + n)}
        counted["bases_total"] += len(sequence)
        counted["bases_seen"] += len(bases)
        counted["windows"] += len(cuts)
        counted["short_sequences"] += not bases
        counted["truncated_sequences"] += bool(bases) and len(bases) < len(sequence)
    assert found.coverage == counted


def test_progress_is_told_in_rows_however_they_are_read(load: Load) -> None:
    model = load("tiny-short@random")
    sequences = [("ACGT" * 9)[:n] for n in (25, 10, 4, 25, 9)]
    for strand, expected in (
        ("forward", [0, 1, 2, 3, 5]),
        ("rc-mean", [0, 0, 1, 1, 2, 2, 3, 3, 4, 5]),
    ):  # four different ones
        told: list[tuple[int, int]] = []
        embed(
            model,
            sequences,
            batch_size=1,
            strand=strand,
            window="truncate",
            progress=lambda *pair, told=told: told.append(pair),
        )
        assert told == [(done, 5) for done in expected]
    told = []
    embed(model, [], progress=lambda *pair: told.append(pair))
    assert told == []


def test_a_cut_sequence_is_warned_of_where_it_is_encoded(load: Load) -> None:
    model = load("tiny-short@random")
    with pytest.warns(match=r"^tiny-short@random reads 10 bases: 2 of 3 sequences are cut at their end$"):
        states = encode(model, ["A" * 11, "ACGT", "C" * 2000])
    assert [len(state) for state in states] == [12, 6, 12]


# ---------------------------------------------------------------------------------------------------------- vectors of bases


@pytest.mark.parametrize("strand", ["forward", "reverse", "rc-mean"])
@pytest.mark.parametrize(("window", "k"), [("window:4", 1), ("window", 3), ("truncate-middle", 1)])
def test_a_base_has_the_mean_of_all_that_read_it(load: Load, strand: str, window: str, k: int, tmp_path: Path) -> None:
    model = load("tiny-3mer@random" if k == 3 else "tiny@random")
    model.backbone.max_length = 10
    sequences = [s.replace("N", "T") for s in dna(5, 8, 33, seed=4)] + ["AC"]
    cache = EmbeddingCache(tmp_path)
    told: list[tuple[int, int]] = []
    for number in range(2):
        found = embed_bases(
            model,
            sequences,
            window=window,
            strand=strand,
            cache=cache,
            batch_size=2,
            progress=lambda *pair: told.append(pair),
        )
        assert told[6 * number :] == [(done, 6) for done in range(1, 7)]
        windows = seen = short = cut = 0
        for row, sequence in enumerate(sequences):
            sums, counts = np.zeros((len(sequence), 8)), np.zeros(len(sequence))
            cuts = WindowPolicy.parse(window).cut(len(sequence), 10)
            windows += len(cuts)
            for start, stop in cuts:
                for way in ("forward", "reverse") if strand == "rc-mean" else (strand,):
                    piece = sequence[start:stop] if way == "forward" else reverse_complement(sequence[start:stop])
                    states = encode(model, [piece])[0][1:-1]
                    per_base = [(states[i // k] if i // k < len(states) else None) for i in range(len(piece))]
                    for i, state in enumerate(per_base if way == "forward" else per_base[::-1]):
                        if state is not None:
                            sums[start + i] += state
                            counts[start + i] += 1
            vectors, read = found.vectors.of_sequence(row)
            np.testing.assert_array_equal(read, counts > 0)
            np.testing.assert_allclose(vectors, sums / np.maximum(counts, 1)[:, None], atol=2e-6)
            seen += int((counts > 0).sum())
            short += not (counts > 0).any()
            cut += bool((counts > 0).any() and not (counts > 0).all())
        assert found.coverage == {
            "bases_total": sum(map(len, sequences)), "bases_seen": seen, "truncated_sequences": cut, "windows": windows, "short_sequences": short,
        }  # fmt: skip
        assert found.vectors.width == max(map(len, sequences))
        assert found.vectors.turned.tolist() == [strand == "reverse"] * 6
    with pytest.raises(UsageError) as wrong:
        BaseReading(model, sequences, strand="both")
    assert str(wrong.value) == "strand 'both': embed_bases knows forward, reverse, rc-mean"
    with pytest.raises(UsageError) as other:
        embed(model, sequences, strand="both")
    assert str(other.value) == "strand 'both': embed knows forward, reverse, rc-mean"


def test_rooms_of_kept_bases_are_at_most_an_eighth_larger_than_a_sequence() -> None:
    for length in [*range(1, 3000), 8191, 8192, 8193, 100_000]:
        room = room_of(length)
        assert length <= room <= max(length + 63, length * 9 / 8)
        assert room % 64 == 0
    assert [room_of(length) for length in (64, 65, 1023, 1024, 1025, 2047, 2049)] == [
        64,
        128,
        1024,
        1024,
        1152,
        2048,
        2304,
    ]


def test_bases_that_take_more_than_half_of_the_cache_are_not_kept(tmp_path: Path) -> None:
    lengths = np.array([64, 100])  # rooms of 64 and 128 bases of 3 channels of 4 bytes
    needed = (64 + 128) * 3 * 4
    for limit, kept in ((2 * needed - 1, False), (2 * needed, True), (None, True)):
        assert (KeptBases.of(EmbeddingCache(tmp_path, limit=limit), {}, 3, lengths) is not None) == kept


# ------------------------------------------------------------------------------------------------------------------- cache


def filled(cache: EmbeddingCache, way: int, rows: int) -> Path:
    zeros = np.zeros(rows, np.int64)
    shard = cache.space({"way": way}, 4).store(
        sequence_digests([f"{way} {i}" for i in range(rows)]),
        np.full((rows, 4), way, np.float32),
        zeros,
        zeros.astype("i4"),
        zeros.astype("i4"),
    )
    assert shard is not None
    return shard


def test_what_must_go_goes_oldest_first_down_to_nine_tenths_of_the_limit(tmp_path: Path) -> None:
    import os

    cache = EmbeddingCache(tmp_path, limit=None)
    shards = [filled(cache, way, 50) for way in range(10)]
    sizes = {shard.stat().st_size for shard in shards}
    (size,) = sizes
    for number, shard in enumerate(shards):
        os.utime(shard, ns=(number * 10**9, shard.stat().st_mtime_ns))
    info = cache_info(tmp_path)
    assert (info.bytes, info.spaces, info.shards, info.vectors) == (10 * size, 10, 10, 500)
    assert evict(tmp_path, None) == evict(tmp_path, 10 * size) == 10 * size
    assert evict(tmp_path, 10 * size - 1) == 8 * size  # nine tenths of the limit are a little less than nine shards
    assert [shard.exists() for shard in shards] == [False] * 2 + [True] * 8
    assert not shards[0].parent.exists()
    shards[2].with_suffix(".other").write_text("x")
    assert evict(tmp_path, 5 * size) == 4 * size
    assert shards[2].parent.exists()
    assert clear_cache(tmp_path) == 4 * size
    assert cache_info(tmp_path).vectors == 0
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "damaged.emb").write_bytes(b"FBEMB1\n\0\1\0\0\0{")
    (tmp_path / "space" / "other.emb").write_bytes(b"other")
    assert (cache_info(tmp_path).vectors, cache_info(tmp_path).shards) == (0, 2)


def test_a_write_makes_room_once_an_eighth_of_the_limit_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from findna_bench.models import embedding_cache

    asked: list[int] = []
    left = [50, 100, 75]
    monkeypatch.setattr(embedding_cache, "evict", lambda folder, limit: asked.append(limit) or left[len(asked) - 1])
    cache = EmbeddingCache(tmp_path, limit=80)
    for written, looked in ((5, 1), (10, 1), (1, 2), (1, 3), (5, 3), (1, 4)):
        if looked == 4:
            left.append(0)
        cache.wrote(written)
        assert len(asked) == looked
    EmbeddingCache(tmp_path, limit=None).wrote(10**9)
    assert asked == [80] * 4


def test_a_malformed_limit_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINDNA_BENCH_CACHE_LIMIT", raising=False)
    assert cache_limit() == 20 * 10**9
    assert cache_limit("2TB") == 2 * 10**12
    with pytest.raises(UsageError) as wrong:
        cache_limit("lots")
    assert (
        str(wrong.value)
        == "cache limit 'lots' (FINDNA_BENCH_CACHE_LIMIT): write a size such as 500MB or 20GB, 0, or none"
    )


# -------------------------------------------------------------------------------------------------------------- likelihoods


def test_likelihoods_are_told_by_row_and_computed_longest_first(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("tiny@random").backbone.eval()
    seen: list[tuple[int, int]] = []
    logits = model.logits
    monkeypatch.setattr(
        model, "logits", lambda batch: seen.append((len(batch), int(batch.lengths.max()))) or logits(batch)
    )
    questions = [[s, s[:3] + ("A" if s[3] != "A" else "C") + s[4:]] for s in (("ACGT" * 9)[: 10 + i] for i in range(6))]
    told: list[tuple[int, int]] = []
    found = model.log_likelihoods(questions, max_tokens=34, progress=lambda *pair: told.append(pair))
    assert seen[:3] == [(2, 15), (2, 13), (2, 11)]
    assert told == [(2, 6), (4, 6), (6, 6)]
    for values, (one, other) in zip(found, questions, strict=True):
        ids = [CLS, *(FIRST + "ACGT".index(base) for base in one), 2]
        ids[4] = MASK
        n = len(ids)
        batch = TokenBatch(
            torch.tensor([ids]),
            torch.ones(1, n, dtype=torch.bool),
            torch.zeros(1, n, dtype=torch.bool),
            torch.ones(1, n).long(),
            torch.tensor([n - 2]),
        )
        with torch.no_grad():
            said = logits(batch)[0, 4].double().log_softmax(-1)
        np.testing.assert_allclose(values, [float(said[FIRST + "ACGT".index(s[3])]) for s in (one, other)], atol=1e-5)


def test_a_batch_of_likelihoods_that_does_not_fit_is_halved_down_to_one_row(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load("tiny@random").backbone.eval()
    whole = model.log_likelihoods(
        [["ACGTACGT" + tail, "CCGTACGT" + tail] for tail in ("A", "AC", "ACG", "ACGT", "ACGTA")]
    )
    logits, most = model.logits, [2]

    def cramped(batch: TokenBatch) -> Any:
        if len(batch) > most[0]:
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        return logits(batch)

    monkeypatch.setattr(model, "logits", cramped)
    halved = model.log_likelihoods(
        [["ACGTACGT" + tail, "CCGTACGT" + tail] for tail in ("A", "AC", "ACG", "ACGT", "ACGTA")]
    )
    np.testing.assert_allclose(np.stack(halved), np.stack(whole), atol=1e-5)
    most[0] = 0
    with pytest.raises(torch.OutOfMemoryError):
        model.log_likelihoods([["A", "C"]])


def test_questions_beyond_those_compared_at_once_are_answered_alike(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load("tiny-3mer@random").backbone.eval()
    questions = [[s, "T" + s[1:]] for s in ("ACGTAC", "GGGTAC", "ACGTACGTA", "AC", "CCC")]
    whole = model.log_likelihoods(questions)
    monkeypatch.setattr(likelihood_module, "_QUESTIONS", 2)
    for one, other in zip(whole, model.log_likelihoods(questions), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.isnan(whole[3]).all()  # too short for a token
    (alone,) = model.log_likelihoods([["ACGTAC"]])
    assert alone.shape == (1,)
    assert np.isfinite(alone).all()


def test_logits_that_do_not_fit_their_tokens_are_refused(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("tiny@random").backbone.eval()
    monkeypatch.setattr(model, "logits", lambda batch: torch.zeros(1, 3, 9))
    with pytest.raises(UnsupportedError) as shape:
        model.log_likelihoods([["ACGT", "CCGT"]])
    assert str(shape.value) == "TinyBackbone.logits gives (1, 3, 9) for (1, 6) tokens"
    monkeypatch.setattr(model, "hidden_logits", lambda sequences, hidden: torch.zeros(3, 9))
    with pytest.raises(UnsupportedError) as count:
        model.log_likelihoods([["ACGT", "CCGT"]])
    assert str(count.value) == "TinyBackbone.hidden_logits gives (3, 9) for 1 hidden tokens"
    model.mask_token = None
    with pytest.raises(UnsupportedError) as none:
        model.log_likelihoods([["ACGT", "CCGT"]])
    assert (
        str(none.value)
        == "TinyBackbone with these settings predicts no hidden token (it names no mask_token), so it has no likelihoods"
    )
