"""One result file that is none costs no other: it is named and left out, whatever is wrong with it."""

from __future__ import annotations

import copy
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from findna_bench.cli import main
from findna_bench.errors import OutputError
from findna_bench.leaderboard.html import render_html
from findna_bench.leaderboard.markdown import render_markdown
from findna_bench.leaderboard.screen import render_screen
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.matrix.runner import run as run_matrix
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.export import to_frame
from findna_bench.results.schema import Result, parse_result
from findna_bench.results.store import ResultStore


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of two models on a small table."""
    folder = tmp_path_factory.mktemp("made")
    rows = [f"{'ACGT' * (3 + i % 5)}{'ACGT'[i % 4]},{i % 2},{'test' if i > 30 else 'train'}" for i in range(60)]
    (folder / "x.csv").write_text("\n".join(["sequence,label,split", *rows]) + "\n")
    run_matrix(RunRequest(models="majority,kmer", tasks=f"{folder}/x.csv", seeds=1, output_dir=folder / "results"))
    return folder / "results"


def texts(path: Path) -> dict[str, bytes]:
    """What may become of a file."""
    good = path.read_bytes()
    value = json.loads(good)
    return {
        "empty": b"",
        "truncated": good[: len(good) // 2],
        "no-json": b"\x00\xff",
        "list": b"[1, 2]",
        "deep": b"[" * 100_000,
        "nan": json.dumps({**value, "timing": {"fit_s": float("nan")}}).encode(),
        "infinite": json.dumps({**value, "metrics": {**value["metrics"], "all": {"accuracy": float("inf")}}}).encode(),
        "huge": json.dumps(value).replace('"seed": 0', '"seed": 1e999').encode(),
        "surrogate": json.dumps({**value, "command": "\ud800"}).encode(),
        "wrong-type": json.dumps({**value, "model": "m"}).encode(),
        "later-schema": json.dumps({**value, "schema_version": 3}).encode(),
    }


@pytest.mark.parametrize("how", ["empty", "truncated", "no-json", "list", "deep", "nan", "infinite", "huge",
                                 "surrogate", "wrong-type", "later-schema", "folder", "pipe", "dangling"])  # fmt: skip
def test_every_verb_names_a_damaged_result_and_goes_on(
    how: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ResultStore(tmp_path / "results")
    good = list(ResultStore(made).paths())
    for path in good:
        copied = store.root / path.relative_to(made)
        copied.parent.mkdir(parents=True, exist_ok=True)
        for beside in path.parent.glob(f"{path.stem}*"):
            (copied.parent / beside.name).write_bytes(beside.read_bytes())
    bad = store.root / good[0].relative_to(made)
    bad = bad.with_name(f"bad-{how}.json")
    if how == "folder":
        bad.mkdir()
    elif how == "pipe":
        os.mkfifo(bad)
    elif how == "dangling":
        bad.symlink_to(tmp_path / "nowhere.json")
    else:
        bad.write_bytes(texts(good[0])[how])
    for words in (
        ["leaderboard", "-o", str(store.root)],
        ["compare", "majority", "kmer", "-o", str(store.root), "--json"],
        ["results", "export", "-o", str(store.root), "--to", str(tmp_path / "t.csv")],
        ["results", "bundle", "-o", str(store.root), "--to", str(tmp_path / "b.tar.gz")],
    ):
        monkeypatch.setattr(sys, "argv", ["findna-bench", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code == 0, (words, said.err)
        assert f"{bad.name} is not a findna-bench result" in said.err or f"cannot read {bad}" in said.err
        assert "left out" in said.err
    assert len(pd.read_csv(tmp_path / "t.csv")) == 2
    monkeypatch.setattr(sys, "argv", ["findna-bench", "verify", "-o", str(store.root)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert bad.name in capsys.readouterr().out
    with pytest.warns(UserWarning, match=r"left out"):
        assert len(store.load()) == 2


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(part, (*path, key))


@pytest.mark.parametrize("wrong", [None, "x", [], {}, -1, [1], {"x": []}, 2.5, True], ids=repr)
def test_a_result_with_a_wrong_type_anywhere_is_refused_or_shown(
    wrong: Any, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = json.loads(next(path for path in ResultStore(made).paths() if "kmer" in str(path)).read_text())
    value.pop("hashed"), value.pop("request")  # which verify reads
    refused = 0
    for path in places(value):
        if not path:
            continue
        changed = copy.deepcopy(value)
        inner: Any = changed
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = wrong
        try:
            result: Result = parse_result(json.dumps(changed), "x.json")
        except OutputError as error:
            refused += str(error).startswith("x.json is not a findna-bench result (")
            continue
        board = leaderboard([result])
        render_screen(board)
        render_markdown(board)
        render_html(board)
        to_frame([result])
    assert refused > 10
