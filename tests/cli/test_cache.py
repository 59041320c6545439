"""``cache``: says where embeddings are, how many, and how large the cache may become; empties it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from findna_bench.cli import main
from findna_bench.models.embedding_cache import EmbeddingCache, sequence_digests


def bench(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["findna-bench", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_cache_says_what_it_holds_and_is_emptied(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zeros = np.zeros(3, np.int64)
    space = EmbeddingCache().space({"model": "any"}, 4)
    space.store(sequence_digests(["A", "C", "G"]), np.ones((3, 4), np.float32), zeros, zeros, zeros)
    assert bench(monkeypatch, "cache", "info", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["vectors"], found["spaces"], found["limit"]) == (3, 1, 20 * 10**9)
    assert Path(found["folder"]) == Path(os.environ["FINDNA_BENCH_CACHE_DIR"]) / "embeddings"
    assert bench(monkeypatch, "cache", "info") == 0
    said = capsys.readouterr().out
    assert found["folder"] in said
    assert "20.0 GB" in said
    assert bench(monkeypatch, "cache", "clear") == 0
    assert not list(Path(found["folder"]).rglob("*.*"))


@pytest.mark.parametrize(("given", "limit"), [("500MB", 5 * 10**8), ("1.5 gb", 15 * 10**8), ("0", 0), ("none", None)])
def test_the_limit_is_a_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, limit: int | None
) -> None:
    monkeypatch.setenv("FINDNA_BENCH_CACHE_LIMIT", given)
    assert bench(monkeypatch, "cache", "info", "--json") == 0
    assert json.loads(capsys.readouterr().out)["limit"] == limit


def test_a_malformed_limit_is_said_before_any_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("FINDNA_BENCH_CACHE_LIMIT", "much")
    for words in (("cache", "info"), ("run", "-m", "majority", "-t", "demo/species4", "-o", str(tmp_path / "r"))):
        assert bench(monkeypatch, *words) == 2
        assert "FINDNA_BENCH_CACHE_LIMIT" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
