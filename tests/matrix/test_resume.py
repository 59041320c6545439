"""Killed or interrupted at any moment, the same command goes on: nothing finished is lost or computed again, and in the end
the results are those of a run that was left alone.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fork_server import Job, Server, alive, wait_until
from motif_tasks import write_task

import findna_bench as fb
from findna_bench.interrupt import uninterrupted
from findna_bench.results.store import ResultStore


def stamps(results: Path) -> dict[Path, int]:
    """Modification times (ns) of the finished cells."""
    return {
        path.relative_to(results): path.stat().st_mtime_ns
        for path in ResultStore(results).paths()
        if "errors" not in path.parts
    }


def lasting(results: Path) -> dict[str, Any]:
    """What a results folder says, but for times, memory and the state of the checkout."""
    content: dict[str, Any] = {}
    for path in ResultStore(results).paths():
        record = json.loads(path.read_text())
        for key in ("timing", "created", "memory", "digest"):
            del record[key]
        del record["environment"]["git_commit"], record["environment"]["dirty"]
        content[str(path.relative_to(results))] = json.dumps(record, indent=1)
        predictions = path.with_suffix(".predictions.parquet")
        content[str(predictions.relative_to(results))] = predictions.read_bytes()
    return content


def fits(log: Path) -> list[str]:
    return log.read_text().splitlines()


def tasks_in(folder: Path, n: int, rows: int) -> str:
    return ",".join(str(write_task(folder / f"t{i}.csv", seed=i, rows=rows)) for i in range(n))


def kill_when(job: Job, results: Path, cells: int, delay: float, number: signal.Signals) -> int:
    """Send a signal ``delay`` seconds after so many cells are finished; returns the exit code."""
    wait_until(lambda: len(stamps(results)) >= cells or not alive(job.pid))
    time.sleep(delay)
    assert alive(job.pid), job.stderr
    job.send(number)
    return job.wait()


def test_sigkill_loses_at_most_the_fit_under_work_and_a_dead_claim_is_taken_at_once(
    server: Server, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNRULY_SLEEP", "0.05")
    results = tmp_path / "r"
    command = ["run", "-m", "steady", "-t", tasks_in(tmp_path, 2, 40), "--seeds", 4, "-o", results]
    generator = random.Random(3)
    kills = 4
    for number in range(kills):
        before = stamps(results)
        job = server.start(*command, cwd=tmp_path)
        code = kill_when(job, results, 1 + 2 * number, generator.uniform(0, 0.06), signal.SIGKILL)
        assert code == -signal.SIGKILL
        after = stamps(results)
        assert {path: after[path] for path in before} == before
    assert list((results / ".claims").glob("*.json"))
    before = stamps(results)
    started = time.monotonic()
    job = server.start(*command, cwd=tmp_path)
    assert job.wait() == 0
    assert time.monotonic() - started < 60
    assert "waiting" not in job.stderr
    after = stamps(results)
    assert len(after) == 8
    assert {path: after[path] for path in before} == before
    assert len(fits(log)) <= 8 + kills
    assert len(set(fits(log))) == 8
    assert not list((results / ".claims").glob("*.json"))


def test_two_processes_share_a_folder_without_doing_a_cell_twice(
    server: Server, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNRULY_SLEEP", "0.02")
    tasks = tasks_in(tmp_path, 5, 40)
    bad = write_task(tmp_path / "bad.csv", seed=9, rows=40, marked=True)
    command = ["run", "--json", "-m", "steady,steady-too,raises", "-t", f"{tasks},{bad}", "--seeds", 2]
    jobs = [server.start(*command, "-o", tmp_path / "r", cwd=tmp_path) for _ in range(2)]
    assert [job.wait() for job in jobs] == [1, 1]
    first, second = (json.loads(job.stdout) for job in jobs)
    assert [(r["request_id"], r["status"]) for r in first] == [(r["request_id"], r["status"]) for r in second]
    assert len(stamps(tmp_path / "r")) == 3 * 6 * 2 - 2
    # 3 models on 5 tasks, two of them on the bad one; a model that fails does so in one process only
    counted = Counter(line for line in fits(log) if not line.startswith("pid"))
    assert sum(counted.values()) == (3 * 5 + 2) * 2
    assert sum(line.startswith("pid") for line in fits(log)) == 1


@pytest.mark.parametrize("executor", ["serial", "process"])
def test_ctrl_c_leaves_with_130_says_how_to_go_on_and_holds_no_claim(
    server: Server, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    monkeypatch.setenv("UNRULY_SLEEP", "0.2")
    results = tmp_path / "r"
    command = ["run", "-m", "steady", "-t", tasks_in(tmp_path, 2, 40), "--seeds", 4, "-o", results]
    job = server.start(*command, "--executor", executor, cwd=tmp_path)
    assert kill_when(job, results, 2, 0.1, signal.SIGINT) == 130
    assert "the same command goes on" in job.stderr
    assert "Traceback" not in job.stderr
    assert 2 <= len(stamps(results)) < 8
    assert not list((results / ".claims").glob("*.json"))
    assert not list(results.rglob("*.part"))
    assert server.start(*command, cwd=tmp_path).wait() == 0
    assert len(fits(log)) <= 8 + 1


def test_a_signal_during_a_write_waits_for_its_end() -> None:
    done = []

    def write() -> None:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("first half")
            time.sleep(0.01)
            done.append("second half")
        done.append("what comes after")

    # A process started in the background may have been told to ignore Ctrl-C; here it is to be heard.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            write()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert done == ["first half", "second half"]


def test_results_do_not_tell_whether_embeddings_were_cached(server: Server, tmp_path: Path) -> None:
    tasks = tasks_in(tmp_path, 2, 60)
    command = ["run", "-m", "hyenadna@random", "-t", tasks, "--seeds", 2, "-o", "results"]
    assert server.start(*command, cwd=tmp_path).wait() == 0
    first = lasting(tmp_path / "results")
    assert server.start(*command, "--overwrite", "always", cwd=tmp_path).wait() == 0
    again = lasting(tmp_path / "results")
    always = " --overwrite always"
    assert {k: v.replace(always, "") if isinstance(v, str) else v for k, v in again.items()} == first


def interrupted_run_ends_as_if_left_alone(
    server: Server, folder: Path, models: str, tasks: str, seeds: int, cells: int, times: int, seed: int
) -> None:
    """Kill (two of three times) or interrupt a run at random ``times`` times, finish it, compare with a run left alone."""
    generator = random.Random(seed)
    command = ["run", "-m", models, "-t", tasks, "--seeds", seeds, "-o", "results"]
    for name in ("calm", "rough"):
        (folder / name).mkdir()
    calm, rough = folder / "calm" / "results", folder / "rough" / "results"
    caches = {
        name: {"FINDNA_BENCH_CACHE_DIR": str(folder / name / "cache"), "UNRULY_SLEEP": "0.1"}
        for name in ("calm", "rough")
    }
    assert server.start(*command, cwd=folder / "calm", environment=caches["calm"]).wait() == 0
    assert len(stamps(calm)) == cells
    # The moments: when so many cells are done, and a little later; the first ones while nothing is done yet.
    moments = sorted(generator.sample(range(1, cells - 5), times - times // 3) + [0] * (times // 3))
    for done in moments:
        before = stamps(rough)
        job = server.start(*command, cwd=folder / "rough", environment=caches["rough"])
        number = generator.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT])
        code = kill_when(job, rough, done, generator.uniform(0, 0.4 if done == 0 else 0.1), number)
        assert code in (-number, 130, 0)
        after = stamps(rough)
        assert {path: after[path] for path in before} == before
    job = server.start(*command, cwd=folder / "rough", environment=caches["rough"])
    assert job.wait() == 0, job.stderr
    expected, found = lasting(calm), lasting(rough)
    assert sorted(found) == sorted(expected)
    assert [path for path in expected if found[path] != expected[path]] == []


def test_a_run_interrupted_at_random_ends_with_the_bytes_of_one_left_alone(server: Server, tmp_path: Path) -> None:
    interrupted_run_ends_as_if_left_alone(
        server, tmp_path, "hyenadna@random,steady", tasks_in(tmp_path, 2, 40), seeds=3, cells=12, times=3, seed=1
    )


@pytest.mark.long
@pytest.mark.timeout(3600)  # 450 s on two cores that do other things as well
@pytest.mark.parametrize("seed", [0, 1])
def test_three_models_on_six_tasks_interrupted_ten_times(server: Server, tmp_path: Path, seed: int) -> None:
    interrupted_run_ends_as_if_left_alone(
        server, tmp_path, "hyenadna@random,letters,steady", tasks_in(tmp_path, 6, 60), 5, cells=90, times=10, seed=seed
    )


class _LosesItsCell:
    """While it computes for the first time, another host takes its cell over, as it does of one that was suspended."""

    def __init__(self, results: Path) -> None:
        self.results, self.lost = results, list[Path]()

    def embed(self, sequences: list[str]) -> np.ndarray:
        if not self.lost:
            other = {
                "host": "elsewhere",
                "boot_id": "x",
                "pid_namespace": "n",
                "pid": 1,
                "process_start": "1",
                "token": "t",
            }
            self.lost = list((self.results / ".claims").glob("*.json"))
            for claim in self.lost:
                claim.write_text(json.dumps(other))
        return np.array([[text.count(base) / len(text) for base in "ACGT"] for text in sequences])


def test_a_cell_that_another_host_took_over_meanwhile_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "r"
    model, task = _LosesItsCell(results), write_task(tmp_path / "t.csv", seed=0, rows=40)
    written_while_waiting: list[int] = []

    def wait(seconds: float) -> None:
        written_while_waiting.append(len(stamps(results)))
        for claim in model.lost:  # the other one gives up
            claim.unlink(missing_ok=True)

    monkeypatch.setattr("findna_bench.matrix.group_runner.time", SimpleNamespace(**{**vars(time), "sleep": wait}))
    (result,) = fb.run([model], [task], seeds=1, output_dir=results)
    assert written_while_waiting[:1] == [0], "it waited for the other's result, and wrote none of its own"
    assert result.status == "success"
    assert len(stamps(results)) == 1
