"""Protocols are objects behind a hook: a stranger's is scored, refused and resumed like the harness's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.errors import UsageError
from findna_bench.registry import Registry
from findna_bench.results.store import ResultStore


def test_a_protocol_of_a_stranger_is_one_file(acme_registry: Registry, tmp_path: Path) -> None:
    asked = {"protocol": "centroid", "seeds": 2, "limit": 120, "output_dir": tmp_path}
    found = fb.run(["kmer", "findna-tiny", "majority"], ["demo/species4"], **asked)
    assert [r.status for r in found] == ["success"] * len(found)
    best = {r.model.name: r for r in found}
    assert best["kmer"].metrics.main.value > best["majority"].metrics.main.value + 0.1
    for r in found:
        assert r.protocol.name == "centroid"
        if r.model.kind != "classifier":
            settings = r.protocol.settings
            assert settings["method"] == "centroid"
            assert r.validation["selected"]["sharpness"] in (0.1, 1.0, 10.0)
            assert settings["seed_varies"] == ["validation draw"]
            assert r.validation["metrics"]["rows"] == settings["validation_rows"] > 0
            assert r.validation["metrics"]["accuracy"] > 0.3
        scored = ResultStore(tmp_path).predictions(r)
        assert np.allclose(scored.scores.sum(axis=1), 1)
    before = {path: path.stat().st_mtime_ns for path in ResultStore(tmp_path).paths()}
    again = fb.run(["kmer", "findna-tiny", "majority"], ["demo/species4"], **asked)
    assert [r.digest for r in again] == [r.digest for r in found]
    assert {path: path.stat().st_mtime_ns for path in ResultStore(tmp_path).paths()} == before
    (sharp,) = fb.run(["kmer"], ["demo/species4"], **(asked | {"preset": "sharp", "seeds": 1}))
    assert sharp.validation["selected"]["sharpness"] == 10.0
    assert sharp.config_id != best["kmer"].config_id


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"protocol": "centroids"}, "unknown protocol 'centroids'; did you mean centroid?"),
        ({"protocol": "centroid", "search": 3}, "centroid has no settings to choose on validation"),
        ({"protocol": "probe", "search": 3}, "a probe already tries"),
        ({"protocol": "centroid", "selection": "last"}, "trains no epochs"),
        ({"protocol": "centroid", "preset": "cosine"}, "is for knn|unknown preset"),
    ],
)
def test_what_a_protocol_contradicts_is_said_before_any_work(
    acme_registry: Registry, tmp_path: Path, options: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        fb.run(["kmer"], ["demo/species4"], output_dir=tmp_path / "r", **options)
    assert not (tmp_path / "r").exists()
