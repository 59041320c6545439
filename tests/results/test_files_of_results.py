"""The files of a results folder: where they lie, what is read back, and each sentence about one that is damaged."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from refused import refused

from findna_bench.errors import OutputError, ResultsFolderError, UsageError
from findna_bench.results.bundle import read_bundle, write_bundle
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore, ScoredRows, read_predictions, write_predictions


def made(number: int = 0, **changes: Any) -> Result:
    content: dict[str, Any] = {
        "identity": f"{number:064x}", "request_id": f"{number:032x}", "config_id": None, "status": "success", "protocol_version": 2,
        "model": {"name": "m/n", "kind": "encoder"}, "task": {"suite": "s", "name": "t", "labels": ["a", "b"]}, "seed": 0,
        "protocol": {"name": "probe"}, "metrics": {"main": {"name": "mcc", "value": 0.5}}, "created": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Result.model_validate(content | changes)


ROWS = ScoredRows(np.array(["x", "y", "z"]), np.array([0, 1, 1]), np.array([[0.75, 0.25], [0.1, 0.9], [1 / 3, 2 / 3]]))


def refusal(call: Callable[[], object], kind: type[Exception] = OutputError) -> str:
    return refused(call, kind)


def test_predictions_are_read_to_the_bit_with_all_that_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_predictions(path, ROWS)
    found = read_predictions(path, ("a", "b"))
    assert (found.ids.tolist(), found.labels.tolist(), found.scores.tolist()) == (
        ["x", "y", "z"],
        [0, 1, 1],
        ROWS.scores.tolist(),
    )
    assert (found.groups, found.folds, found.elements, found.sites) == (None, None, None, None)
    assert pq.read_table(path).column_names == ["row_id", "label", "score_0", "score_1"]
    more = ScoredRows(
        ROWS.ids,
        ROWS.labels,
        ROWS.scores,
        np.array([4, 4, 7]),
        np.array([0, 1, 0]),
        np.array(["e", "f", "e"]),
        np.array([9, 8, 9]),
    )
    write_predictions(path, more)
    found = read_predictions(path, ("a", "b"))
    for name in ("groups", "folds", "elements", "sites"):
        np.testing.assert_array_equal(getattr(found, name), getattr(more, name))


COLUMNS: dict[str, Any] = {"row_id": ["x", "y"], "label": [0, 1], "score_0": [0.5, 0.5], "score_1": [0.5, 0.5]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row_id": None}, "its predictions have columns label, score_0, score_1"),
        (dict.fromkeys(COLUMNS, ()), "its predictions hold no row"),
        ({"row_id": ["x", "x"]}, "its predictions name a row twice"),
        ({"element": ["e", "f"]}, "its predictions hold one of the columns element and site without the other"),
        ({"site": [1, 2]}, "its predictions hold one of the columns element and site without the other"),
    ],
)
def test_predictions_that_are_none_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    columns = {name: list(values) for name, values in (COLUMNS | changes).items() if values is not None}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    assert refusal(lambda: read_predictions(tmp_path / "x.parquet", ("a", "b"))) == message
    gone = "its predictions are missing (y.parquet); run the cell again with --overwrite always"
    assert refusal(lambda: read_predictions(tmp_path / "y.parquet", ("a", "b"))) == gone
    (tmp_path / "z.parquet").write_bytes(b"no")
    assert refusal(lambda: read_predictions(tmp_path / "z.parquet", ("a", "b"))).startswith(
        "its predictions cannot be read ("
    )


def test_results_lie_by_identity_and_failures_by_request(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "r")
    store.check_writable()
    assert list(store.root.iterdir()) == []
    folder = store.root / "m%2Fn" / "s" / "t" / "probe"
    failed = made(1, status="error", error={"type": "X", "message": "no", "traceback": None})
    error = store.write(failed)
    assert error == store.root / "errors" / f"{1:032x}.json" == store.error_path(failed.request_id)
    assert store.failures() == {f"{1:032x}": error.stat().st_mtime_ns}
    path = store.write(made(1), ROWS)
    assert path == folder / f"{'0' * 16}.json"
    assert not error.exists()
    assert (store.failures(), store.name_of(path)) == ({}, f"m%2Fn/s/t/probe/{'0' * 16}.json")
    (held,) = store.load()
    assert held.predictions_digest is not None
    assert store.predictions(held).scores.tolist() == ROWS.scores.tolist()
    assert store.have_predictions([held])
    assert not store.have_predictions([held, made(0xA << 240)])
    assert store.folder("m/n", "s", "t", "probe") == folder
    assert store.folder_name("m/n", "s", "t", "probe") == "m%2Fn/s/t/probe/"
    (folder / "bad.json").write_text("{")
    assert store.damaged() == [folder / "bad.json"]
    said: list[str] = []
    assert [one for one, _ in store.readable(said.append)] == [path]
    assert len(said) == 1
    assert said[0].endswith("; it is left out")
    for name, age in ((".a.part", 86_500), (".b.part", 86_300)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age,) * 2)
    store.sweep()
    assert not (folder / ".a.part").exists()
    assert (folder / ".b.part").exists()


def test_a_folder_that_is_none_is_said_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = f"results folder {tmp_path / 'file'} is a file; choose another with --output-dir"
    assert refusal(lambda: ResultStore(tmp_path / "file").check_writable(), ResultsFolderError) == said
    below = tmp_path / "file" / "r"
    said = f"cannot write to results folder {below}: Not a directory; choose another with --output-dir"
    assert refusal(lambda: ResultStore(below).check_writable(), ResultsFolderError) == said
    for name, what in (("file", "is a file"), ("none", "does not exist")):
        said = f"results folder {tmp_path / name} {what}; `findna-bench run` makes one"
        assert refusal(lambda name=name: ResultStore.existing(tmp_path / name), UsageError) == said  # type: ignore[misc]


def test_a_bundle_is_the_same_bytes_and_read_back_whole(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "r")
    assert (
        refusal(lambda: write_bundle(store.root, tmp_path / "x.tar.gz"))
        == f"{store.root} holds no result; `findna-bench run` makes some"
    )
    paths = [store.write(made(1), ROWS), store.write(made(2 << 240))]
    assert write_bundle(store.root, tmp_path / "x.tar.gz") == write_bundle(store.root, tmp_path / "y.tar.gz") == 3
    assert (tmp_path / "x.tar.gz").read_bytes() == (tmp_path / "y.tar.gz").read_bytes()
    assert read_bundle(tmp_path / "x.tar.gz", tmp_path / "out") == 3
    for path in paths:
        assert (tmp_path / "out" / store.name_of(path)).read_bytes() == path.read_bytes()


def packed(path: Path, members: list[tuple[str, bytes]], kind: bytes = tarfile.REGTYPE) -> Path:
    with gzip.open(path, "wb") as raw, tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(content), kind
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("files", "members", "message"),
    [
        (None, [("a.json", b"x")], "has no manifest.json; it was not made by `findna-bench results bundle`"),
        ({"a.json": "0"}, [("a.json", b"x")], "is not as it was packed (changed: a.json); ask for the bundle again"),
        ({"b.json": "0", "c.json": "1"}, [("a.json", b"x")], "is not as it was packed (missing: b.json, c.json; not packed: a.json); ask for the bundle again"),
        ({}, [("/a", b"x")], ": refused, because '/a' is no plain file inside the bundle"),
        ({}, [("a/../b", b"x")], ": refused, because 'a/../b' is no plain file inside the bundle"),
        ({}, [("a\\b", b"x")], ": refused, because 'a\\\\b' is no plain file inside the bundle"),
        ({}, [("a//b", b"x")], ": refused, because 'a//b' is no plain file inside the bundle"),
        ({}, [("a", b"x"), ("a", b"y")], ": refused, because a is in it twice"),
    ],
)  # fmt: skip
def test_an_archive_that_is_no_bundle_is_refused(
    files: dict[str, str] | None, members: list[tuple[str, bytes]], message: str, tmp_path: Path
) -> None:
    from findna_bench.results.bundle import MANIFEST

    manifest = [] if files is None else [(MANIFEST, json.dumps({"files": files}).encode())]
    path = packed(tmp_path / "x.tar.gz", [*manifest, *members])
    wanted = f"{path}{'' if message.startswith(':') else ' '}{message.replace('manifest.json', MANIFEST)}"
    assert refusal(lambda: read_bundle(path, tmp_path / "out")) == wanted
    assert not (tmp_path / "out").exists()
