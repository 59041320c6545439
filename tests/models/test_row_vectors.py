"""Vectors of rows on disk give the numbers of an array in memory, and are never read as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_backbone import dna

from findna_bench.errors import DataError, ModelError, OutputError
from findna_bench.models import embedding, row_vectors
from findna_bench.models.combinations import combine_sides, read_in_order
from findna_bench.models.embedding import embed
from findna_bench.models.embedding_cache import EmbeddingCache
from findna_bench.models.loading import LoadedModel
from findna_bench.models.precomputed import PrecomputedFeatures
from findna_bench.models.row_vectors import ArrayFile, RowVectors, VectorFile
from findna_bench.protocols.heads import check_features, fit_probe
from findna_bench.protocols.label_probe import fit_labels
from findna_bench.protocols.ridge import fit_ridge
from findna_bench.protocols.seed_splits import SeedSplit, with_reverse_strand
from findna_bench.protocols.settings import LogisticProbe

ROWS, CHANNELS = 20_000, 5
PRESET = LogisticProbe(strengths=(1e-1, 1e-3), tolerance=1e-6)


@dataclass
class Watched:
    """Rows in memory that know how many of them were read at once."""

    rows: NDArray[np.float32]
    most: int = 0

    @property
    def dim(self) -> int:
        return int(self.rows.shape[1])

    @property
    def n_rows(self) -> int:
        return len(self.rows)

    def read_rows(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        self.most = max(self.most, len(rows))
        found: NDArray[np.float32] = self.rows[rows]
        return found


@pytest.fixture(autouse=True)
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINDNA_BENCH_CACHE_DIR", str(tmp_path / "cache"))


def features() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(ROWS, CHANNELS)).astype(np.float32)


def splits() -> list[SeedSplit]:
    orders = [np.random.default_rng(seed).permutation(ROWS) for seed in range(2)]
    return [SeedSplit(s, np.sort(o[ROWS // 2 :]), np.sort(o[: ROWS // 2])) for s, o in enumerate(orders)]


def fit(kind: str, x: Any, drawn: list[SeedSplit]) -> list[Any]:
    plain = features()
    if kind == "classes":
        return fit_probe(x, (plain[:, 0] + plain[:, 1] > 0.3).astype(np.int64), drawn, 2, PRESET)
    if kind == "values":
        return fit_ridge(x, plain[:, :2].astype(np.float64) ** 2, drawn, PRESET)
    return fit_labels(x, (plain[:, :2] > 0.5).astype(np.int8), drawn, PRESET)


@pytest.mark.parametrize("kind", ["classes", "values", "labels"])
def test_a_probe_of_vectors_on_disk_is_that_of_an_array_bit_by_bit_and_reads_blocks(kind: str) -> None:
    x, watched = features(), Watched(features())
    expected, found = fit(kind, x, splits()), fit(kind, RowVectors((watched,)), splits())
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one.weight, other.weight)
        np.testing.assert_array_equal(one.bias, other.bias)
        assert one.settings == other.settings
        assert one.validation == other.validation
        np.testing.assert_array_equal(one.predict_scores(x), other.predict_scores(RowVectors((watched,))))
    assert watched.most <= 8192


def test_views_hold_the_rows_that_an_array_would() -> None:
    x = features()[:100]
    files = []
    for part in (x[:60], x[60:]):
        file = VectorFile(CHANNELS, len(part), "rows")
        file[np.arange(len(part))[::-1]] = part[::-1]
        files.append(RowVectors((file,)))
    both = files[0].joined(files[1])
    some = np.random.default_rng(0).permutation(100)[:30]
    for rows in (some, slice(55, 70), np.arange(100) % 3 == 0, [3, 3, 99]):
        np.testing.assert_array_equal(np.asarray(both[rows]), x[rows])
    np.testing.assert_array_equal(both[some][::-1][:4].astype(np.float64), x[some][::-1][:4].astype(np.float64))
    assert both.shape == x.shape
    np.testing.assert_array_equal(
        np.asarray(combine_sides("concat_absdiff_product", both, both[::-1])),
        combine_sides("concat_absdiff_product", x, x[::-1]),
    )
    twice, labels, _ = with_reverse_strand(both, both[::-1], np.arange(100), [])
    np.testing.assert_array_equal(np.asarray(twice), np.concatenate([x, x[::-1]]))
    assert len(labels) == 200
    letters = list("DACB")
    read: Callable[[list[str]], Any] = lambda texts: both[[ord(text) for text in texts]]  # noqa: E731
    np.testing.assert_array_equal(np.asarray(read_in_order(letters, read)), x[[ord(text) for text in letters]])


def test_what_is_no_number_is_found_in_any_block() -> None:
    x = features()
    x[12_345, 1] = np.inf
    with pytest.raises(ModelError, match="finite"):
        check_features(RowVectors((Watched(x),)), ROWS, splits())


@pytest.mark.parametrize("strand", ["forward", "rc-mean"])
def test_embeddings_stream_to_disk_and_through_the_cache(
    load: Callable[..., LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strand: str
) -> None:
    model = load("tiny@random")
    sequences = dna(60, 5, 30)
    sequences += sequences[:7]
    expected = embed(model, sequences, strand=strand)
    assert isinstance(embed(model, sequences, strand=strand, stream=True).vectors, np.ndarray)
    monkeypatch.setattr(row_vectors, "_STREAMED_BYTES", 100)
    monkeypatch.setattr(embedding, "_WRITE_BYTES", 16 * model.backbone.embed_dim * 4)  # portions of 16 sequences
    portions = embed(model, sequences, strand=strand)
    cache = EmbeddingCache(tmp_path / "kept")
    for turn in range(3):
        found = embed(model, sequences, strand=strand, cache=cache, stream=turn > 0)
        assert isinstance(found.vectors, RowVectors if turn else np.ndarray)
        np.testing.assert_array_equal(np.asarray(found.vectors), portions.vectors)
        assert found.coverage == expected.coverage
        assert found.cached == (len(sequences) if turn else 0)
    np.testing.assert_allclose(portions.vectors, expected.vectors, atol=1e-6)


def test_an_array_file_is_read_where_it_lies(tmp_path: Path) -> None:
    path, x = tmp_path / "v.npy", features()[:50]
    for dtype in ("<f4", ">f8", "<f2"):
        np.save(path, x.astype(dtype))
        file = ArrayFile.open(path)
        assert file is not None
        np.testing.assert_array_equal(
            file.read_rows(np.array([4, 5, 6, 1])), x.astype(dtype)[[4, 5, 6, 1]].astype(np.float32)
        )
    for other in (x[0], x.astype(int), np.asfortranarray(x)):
        np.save(path, other)
        assert ArrayFile.open(path) is None
    np.save(path, x)
    file = ArrayFile.open(path)
    assert file is not None
    with path.open("r+b") as stream:
        stream.truncate(300)
    with pytest.raises(OutputError, match="shorter"):
        file.read_rows(np.arange(50))
    with pytest.raises(DataError, match="cannot be read"):
        PrecomputedFeatures(path)
