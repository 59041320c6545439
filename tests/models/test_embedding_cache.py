"""The embedding cache saves work, never changes a number, and survives damage, full disks and company."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_backbone import CrampedBackbone, dna

from findna_bench.errors import OutputError
from findna_bench.models import embedding_cache as cache_module
from findna_bench.models import linear_products
from findna_bench.models.cache_folder import cache_info, clear_cache
from findna_bench.models.embedding import Embeddings, embed
from findna_bench.models.embedding_cache import CacheSpace, EmbeddingCache, sequence_digests
from findna_bench.models.loading import LoadedModel
from findna_bench.models.representations import Representation

Load = Callable[..., LoadedModel]
SEQUENCES = dna(12, 5, 30)


@pytest.fixture
def model(load: Load) -> LoadedModel:
    return load("cramped@random")


def computed(
    model: LoadedModel, cache: EmbeddingCache | None, sequences: list[str] = SEQUENCES, **options: object
) -> tuple[Embeddings, int]:
    """Embeddings and how many sequences went through the network."""
    CrampedBackbone.calls.clear()
    result = embed(model, sequences, batch_size=3, cache=cache, **options)  # type: ignore[arg-type]
    return result, sum(CrampedBackbone.calls)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.emb"))


def test_a_second_run_computes_nothing_and_gives_the_same_bits(model: LoadedModel, tmp_path: Path) -> None:
    first, n = computed(model, EmbeddingCache(tmp_path))
    assert n == len(SEQUENCES)
    again, n = computed(model, EmbeddingCache(tmp_path), SEQUENCES[::-1] + SEQUENCES[:2])
    assert (n, again.cached) == (0, 14)
    np.testing.assert_array_equal(again.vectors[:12], first.vectors[::-1])
    assert computed(model, EmbeddingCache(tmp_path))[0].coverage == first.coverage
    more, n = computed(model, EmbeddingCache(tmp_path), [*SEQUENCES, "ACGTACGTAC", "ACGTACGTAC"])
    assert (n, more.cached) == (1, 12)


def test_whatever_decides_a_vector_has_a_space_of_its_own(model: LoadedModel, load: Load, tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    computed(model, cache)
    for other, options in (
        (model, {"pooling": "max"}),
        (model, {"layer": 1}),
        (model, {"strand": "reverse"}),
        (model, {"window": "truncate-middle"}),
        (model.with_dtype("bfloat16"), {}),
        (load("cramped@random:1"), {}),
        (load("cramped@random", config={"depth": 3}), {}),
    ):
        got, n = computed(other, cache, **options)
        assert n == len(SEQUENCES), f"{options} was served from another space"
        np.testing.assert_array_equal(got.vectors, computed(other, None, **options)[0].vectors)
    assert computed(model, cache, strand="rc-mean")[1] == 0, "both strands were there already"


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
def test_vectors_of_one_library_of_products_are_not_served_to_another(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = EmbeddingCache(tmp_path)
    for faster in (True, False):
        monkeypatch.setattr(linear_products, "_is_faster", lambda faster=faster: faster)
        assert computed(model, cache)[1] == len(SEQUENCES)
        assert computed(model, cache)[1] == 0


def test_one_pass_keeps_all_layers_and_poolings_that_are_wanted(model: LoadedModel, tmp_path: Path) -> None:
    others = [Representation(layer, pooling) for layer in (0, 1, 2) for pooling in ("mean", "max")]
    cache = EmbeddingCache(tmp_path)
    assert computed(model, cache, SEQUENCES[:5], layer=1, pooling="max")[1] == 5
    first, n = computed(model, cache, also=others)
    assert n == len(SEQUENCES)
    np.testing.assert_array_equal(first.vectors, computed(model, None)[0].vectors)
    for one in others:
        alone = computed(model, None, layer=one.layer, pooling=one.pooling)[0]
        kept, n = computed(model, EmbeddingCache(tmp_path), layer=one.layer, pooling=one.pooling)
        assert (n, kept.coverage) == (0, alone.coverage)
        np.testing.assert_allclose(kept.vectors, alone.vectors, rtol=1e-6, atol=1e-7)
    assert computed(model, None, also=others)[0].coverage == first.coverage, (
        "without a cache they are computed when wanted"
    )


@pytest.mark.parametrize("place", ["magic", "header", "index", "vector", "end"])
def test_flipped_bytes_are_noticed_and_computed_again(
    model: LoadedModel, tmp_path: Path, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    first, _ = computed(model, EmbeddingCache(tmp_path))
    (shard,) = shards(tmp_path)
    content = bytearray(shard.read_bytes())
    at = {"magic": 2, "header": 20, "index": 120, "vector": len(content) - 5 * 32, "end": len(content) - 1}[place]
    content[at] ^= 0x10
    shard.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        again, n = computed(model, EmbeddingCache(tmp_path))
    assert n >= 1
    assert "damaged" in caplog.text
    np.testing.assert_allclose(again.vectors, first.vectors, atol=1e-6)
    caplog.clear()
    # The shard is gone; rows it still had and that were not rewritten are computed once more, without another warning.
    third, _ = computed(model, EmbeddingCache(tmp_path))
    assert "damaged" not in caplog.text
    assert computed(model, EmbeddingCache(tmp_path))[1] == 0
    assert third.coverage == first.coverage


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(0, 10_000), flip=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_damage_ever_changes_a_number(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("space")
    rng = np.random.default_rng(0)
    digests, vectors = sequence_digests(dna(20)), rng.normal(size=(20, 6)).astype(np.float32)
    bases, windows, short = (rng.integers(0, 9, 20).astype(t) for t in (np.int64, np.int32, np.int32))
    space = CacheSpace(folder, {}, 6)
    shard = space.store(digests, vectors, bases, windows, short)
    assert shard is not None
    content = bytearray(shard.read_bytes())
    content[flip % len(content)] ^= 1 << bit
    del content[len(content) - cut % 50 :]
    shard.write_bytes(content)
    hits = space.lookup(digests)
    np.testing.assert_array_equal(hits.vectors[hits.found], vectors[hits.found])
    for got, expected in ((hits.bases, bases), (hits.windows, windows), (hits.short, short)):
        np.testing.assert_array_equal(got[hits.found], expected[hits.found])


def test_a_disk_that_is_full_or_a_folder_that_cannot_be_made_costs_one_warning(
    model: LoadedModel, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = computed(model, None)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    full = OutputError("cannot write x: No space left on device")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    for folder in (blocked, tmp_path / "full"):
        if folder.name == "full":
            monkeypatch.setattr(cache_module, "write_atomic", lambda *_: (_ for _ in ()).throw(full))
        caplog.clear()
        cache = EmbeddingCache(folder)
        for _ in range(2):
            got, n = computed(model, cache)
            assert n == len(SEQUENCES)
            np.testing.assert_array_equal(got.vectors, expected.vectors)
        assert caplog.text.count("without keeping embeddings") == 1


def test_many_small_shards_are_merged_and_a_second_process_does_not_mind(model: LoadedModel, tmp_path: Path) -> None:
    mine, theirs = EmbeddingCache(tmp_path), EmbeddingCache(tmp_path)
    sequences = dna(70, 5, 30, seed=3)
    expected = embed(model, sequences, batch_size=3).vectors
    for i, sequence in enumerate(sequences):
        computed(model, (mine, theirs)[i % 2], [sequence])
    assert len(shards(tmp_path)) < 20
    got, n = computed(model, theirs, sequences)
    assert n == 0
    np.testing.assert_allclose(got.vectors, expected, atol=1e-5)


def test_a_shard_that_vanishes_between_listing_and_reading_is_no_error(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed(model, EmbeddingCache(tmp_path))
    listed = CacheSpace._shards
    monkeypatch.setattr(CacheSpace, "_shards", lambda self: [*listed(self), self.folder / "gone.emb"])
    assert computed(model, EmbeddingCache(tmp_path))[1] == 0
    monkeypatch.setattr(CacheSpace, "_shards", lambda self: [self.folder / "gone.emb"])
    assert computed(model, EmbeddingCache(tmp_path))[1] == len(SEQUENCES)


def test_leftovers_of_writers_that_died_are_swept(model: LoadedModel, tmp_path: Path) -> None:
    import os

    computed(model, EmbeddingCache(tmp_path))
    folder = shards(tmp_path)[0].parent
    for name, age in ((".a.part", 1e9), (".b.part", None)):
        (folder / name).write_bytes(b"half")
        if age:
            os.utime(folder / name, (age, age))
    computed(model, EmbeddingCache(tmp_path))
    assert sorted(p.name for p in folder.glob(".*.part")) == [".b.part"]


def test_a_fresh_cache_reads_only_what_it_wrote_and_the_newest_vector_counts(
    model: LoadedModel, tmp_path: Path
) -> None:
    computed(model, EmbeddingCache(tmp_path))
    fresh = EmbeddingCache(tmp_path, fresh=True)
    assert computed(model, fresh, SEQUENCES[:5])[1] == 5
    assert computed(model, fresh, SEQUENCES[:5])[1] == 0
    space = EmbeddingCache(tmp_path).space({"way": "one"}, 2)
    digests, zeros = sequence_digests(["ACGT"]), np.zeros(1, np.int64)
    for number in (1.0, 2.0):
        shard = space.store(digests, np.full((1, 2), number, np.float32), zeros, zeros.astype("i4"), zeros.astype("i4"))
        assert shard is not None
        os.utime(shard, ns=(0, int(number) * 10**9))
    assert space.lookup(digests).vectors.tolist() == [[2.0, 2.0]]


def test_code_of_its_own_is_a_space_of_its_own_and_none_is_kept_without(model: LoadedModel, tmp_path: Path) -> None:
    computed(model, EmbeddingCache(tmp_path))
    assert computed(replace(model, code_digest="sha256:other"), EmbeddingCache(tmp_path))[1] == len(SEQUENCES)
    kept = shards(tmp_path)
    for _ in range(2):
        assert computed(replace(model, code_digest=None), EmbeddingCache(tmp_path))[1] == len(SEQUENCES)
    assert shards(tmp_path) == kept


def test_beyond_its_limit_what_was_used_longest_ago_goes_and_nobody_who_reads_it_fails(tmp_path: Path) -> None:
    def rows(n: int, start: int) -> tuple[np.ndarray, ...]:
        digests = sequence_digests([str(number) for number in range(start, start + n)])
        counts = np.zeros(n, np.int64)
        return digests, np.full((n, 8), start, np.float32), counts, counts.astype("i4"), counts.astype("i4")

    one = EmbeddingCache(tmp_path, limit=None)
    spaces = [one.space({"way": way}, 8) for way in range(3)]
    for way, space in enumerate(spaces):
        shard = space.store(*rows(100, 1000 * way))
        assert shard is not None
        os.utime(shard, ns=((way + 1) * 10**9, shard.stat().st_mtime_ns))
    size = shards(tmp_path)[0].stat().st_size
    assert spaces[0].lookup(rows(100, 0)[0]).found.all(), "used now: the second is used longest ago"
    other = EmbeddingCache(tmp_path, limit=int(3.5 * size))
    assert other.space({"way": 3}, 8).store(*rows(100, 3000)) is not None
    left = [space.lookup(rows(100, 1000 * way)[0]).found.any() for way, space in enumerate(spaces)]
    assert left == [True, False, True]
    assert spaces[1].store(*rows(100, 1000)) is not None, "a running process writes what it misses again"
    assert cache_info(tmp_path).vectors == 400
    assert clear_cache(tmp_path) == 4 * size
    assert not any(space.lookup(rows(100, 1000 * way)[0]).found.any() for way, space in enumerate(spaces))
    assert EmbeddingCache(tmp_path, limit=0).space({}, 8).store(*rows(1, 0)) is None
