"""Folders of results become one: alike once, contradictions named and taken from none, failures settled by numbers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from test_result_index import content, write

from findna_bench.cli import main
from findna_bench.results.merging import merge
from findna_bench.results.store import ResultStore


def fail(root: Path, number: int) -> None:
    (root / "errors").mkdir(parents=True, exist_ok=True)
    error = {"type": "ValueError", "message": "no", "traceback": None}
    text = json.dumps(content(number, status="error", error=error))
    (root / "errors" / f"{number:032x}.json").write_text(text)


def test_folders_become_one_and_contradictions_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs, out = tmp_path / "ours", tmp_path / "theirs", tmp_path / "together"
    for number in (0, 1, 2):
        write(ours, number, json.dumps(content(number)))
    write(theirs, 1, json.dumps(content(1, created="2025-01-01T00:00:00+00:00")))  # computed twice, alike
    write(theirs, 2, json.dumps(content(2, 0.75)))  # a contradiction
    write(theirs, 3, json.dumps(content(3)))
    fail(ours, 3)
    fail(theirs, 4)
    monkeypatch.setattr(sys, "argv", ["findna-bench", "results", "merge", str(ours), str(theirs), "-o", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert f"conflict: model-2/demo/task-0/probe/{2:016x}.json" in said
    assert "0.5 in" in said
    assert "0.75 in" in said
    held = {int(r.request_id, 16): r for r in ResultStore(out).load()}
    assert {number: r.status for number, r in held.items()} == {0: "success", 1: "success", 3: "success", 4: "error"}
    assert held[1].created.startswith("2025")
    again = merge([ours, theirs], out)
    assert (again.copied, len(again.conflicts)) == (0, 1)


def test_predictions_come_along_and_only_their_own(tmp_path: Path) -> None:
    import hashlib

    digests = {number: hashlib.sha256(b"rows").hexdigest() for number in (0, 1, 2)}
    for number, digest in digests.items():
        path = write(tmp_path / "a", number, json.dumps(content(number, predictions_digest=digest)))
        if number < 2:
            path.with_suffix(".predictions.parquet").write_bytes(b"rows" if number == 0 else b"others")
    said: list[str] = []
    assert merge([tmp_path / "a"], tmp_path / "c", said.append).copied == 1
    (copied,) = (tmp_path / "c").rglob("*.parquet")
    assert copied.read_bytes() == b"rows"
    assert sorted(text.partition(": ")[2] for text in said) == [
        "its predictions are not those that it was written with; it is left out",
        "its predictions cannot be read (No such file or directory); it is left out",
    ]
