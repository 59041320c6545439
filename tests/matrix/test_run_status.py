"""What ``status`` says of a results folder, whoever works in it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from motif_tasks import write_task

import findna_bench as fb
from findna_bench.matrix.report import Silent
from findna_bench.matrix.runner import run
from findna_bench.results.claims import Claims
from findna_bench.results.store import ResultStore


@pytest.fixture
def tasks(tmp_path: Path) -> list[str]:
    return [str(write_task(tmp_path / f"t{seed}.csv", seed=seed, rows=60)) for seed in range(2)]


def states(results: Path) -> dict[str, fb.UnitStatus]:
    found = {unit.unit: unit for unit in fb.status(results).units}
    assert len(found) == len(fb.status(results).units)
    return found


def test_a_run_that_is_alive_shows_what_it_is_at_and_what_waits(tasks: list[str], tmp_path: Path) -> None:
    seen: list[dict[str, fb.UnitStatus]] = []
    results, began = tmp_path / "r", time.time()

    class Looks(Silent):
        def unit_started(self, label: str) -> None:
            seen.append(states(results))

    (job,) = fb.make_jobs("majority", tasks, seeds=2, output_dir=results)
    run(job.request, Looks())
    for number, found in enumerate(seen):
        first = found.get("majority on adhoc/t0")
        if number == 0:
            assert first is not None
            assert first.state == "running"
            second = found["majority on adhoc/t1"]
            assert (second.state, second.executor, second.pid) == ("waiting", "serial", None)
        else:
            assert first is None
            second = found["majority on adhoc/t1"]
            assert (second.state, second.executor, second.host) == ("running", "serial", socket.gethostname())
            assert second.pid == os.getpid()
            assert began - 1 <= (second.since or 0) <= time.time() + 1
    assert len(seen) == 2
    ended = fb.status(results)
    assert (ended.units, ended.finished) == ((), len(list(ResultStore(results).paths())))


def test_jobs_that_were_sent_wait_then_run_with_the_queues_own_id(tasks: list[str], tmp_path: Path) -> None:
    results = tmp_path / "r"
    jobs = fb.make_jobs("majority", tasks, seeds=1, output_dir=results)
    (folder,) = fb.open_jobs(jobs, "mine", lambda folder: None).new
    folder.submitted(id="4711_3")
    waiting = states(results)
    assert {(unit.state, unit.executor, unit.job) for unit in waiting.values()} == {("waiting", "mine", "4711_3")}
    assert sorted(waiting) == ["majority on adhoc/t0", "majority on adhoc/t1"]
    seen: list[dict[str, fb.UnitStatus]] = []

    def report(event: fb.Event) -> None:
        if isinstance(event, fb.UnitStarted):
            seen.append(states(results))

    list(folder.compute(report))
    running = seen[0]["majority on adhoc/t0"]
    assert (running.state, running.job, running.pid) == ("running", "4711_3", os.getpid())
    assert running.log.startswith(".jobs/mine-")
    assert seen[0]["majority on adhoc/t1"].state == "waiting"
    assert "majority on adhoc/t0" not in seen[1]


def test_what_a_lost_process_began_waits(tasks: list[str], tmp_path: Path) -> None:
    jobs = fb.make_jobs("majority", tasks, seeds=1, output_dir=tmp_path / "r")
    (folder,) = fb.open_jobs(jobs, "mine", lambda folder: None).new
    folder.new_attempt().take(fb.UnitStarted(folder.job.units[0], "begun"))
    assert {unit.state for unit in states(tmp_path / "r").values()} == {"waiting"}


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command."""
    from findna_bench.cli import main

    monkeypatch.setattr("sys.argv", ["findna-bench", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def failed(results: Path, tasks: list[str], message: str) -> None:
    (result,) = fb.run("majority", tasks[:1], seeds=1, output_dir=results)
    error = {"type": "ValueError", "message": message}
    content = result.to_dict() | {"status": "error", "error": error, "identity": None}
    path = results / "errors" / f"{result.request_id}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def test_failures_say_why_in_one_line(
    tasks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed(tmp_path / "r", tasks, "no such\nthing, at length")
    found = states(tmp_path / "r")["majority on adhoc/t0"]
    assert (found.state, found.reason, found.cells) == ("failed", "no such", 1)
    capsys.readouterr()
    code, out, _ = said(monkeypatch, capsys, "status", "-o", tmp_path / "r")
    assert code == 0
    header, row, note = out.splitlines()
    assert header.split("\t")[:2] == ["unit", "state"]
    assert row.split("\t")[:2] == ["majority on adhoc/t0", "failed"]
    assert row.endswith("no such")
    assert note == "# 1 result finished; model x task units: 0 running, 0 waiting, 1 failed"
    values: dict[str, Any] = json.loads(said(monkeypatch, capsys, "status", "-o", tmp_path / "r", "--json")[1])
    assert values["finished"] == 1
    assert values["units"][0]["reason"] == "no such"


def test_status_changes_nothing_and_a_folder_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = said(monkeypatch, capsys, "status", "-o", tmp_path / "absent")
    assert code == 2
    assert "does not exist" in err
    (tmp_path / "r").mkdir()
    assert fb.status(tmp_path / "r").units == ()
    assert list((tmp_path / "r").iterdir()) == []


def test_claims_without_words_and_of_the_dead_are_no_work(tmp_path: Path) -> None:
    with Claims(tmp_path) as claims:
        claims.take("older")
        claims.take("named", {"unit": "u" * 64, "label": "a on b", "executor": "process"})
        path = tmp_path / ".claims" / "named.json"
        gone = json.loads(path.read_text()) | {"process_start": "1", "unit": "v" * 64}
        (tmp_path / ".claims" / "gone.json").write_text(json.dumps(gone))
        assert [(unit.unit, unit.state, unit.executor) for unit in fb.status(tmp_path).units] == [
            ("a on b", "running", "process")
        ]
        with contextlib.suppress(OSError):
            (tmp_path / ".claims" / "gone.json").unlink()
    assert fb.status(tmp_path).units == ()
