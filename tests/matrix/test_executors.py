"""The executor ``process``: what dies or hangs is one failed unit; the others finish, and nobody goes on unseen."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fork_server import Server, alive, wait_until
from motif_tasks import write_task

import findna_bench.api as fb


def run_json(server: Server, cwd: Path, *arguments: object) -> tuple[int, list[dict], str]:
    job = server.start("run", "--json", "-o", cwd / "results", *arguments, cwd=cwd)
    code = job.wait()
    return code, json.loads(job.stdout), job.stderr


def pids(log: Path) -> list[int]:
    return [int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("pid")]


@pytest.mark.parametrize(
    ("model", "words"),
    [("segfault", "SIGSEGV"), ("killed", "SIGKILL"), ("hang", "--timeout 20"), ("leaves-a-child", "SIGSEGV")],
)
def test_a_model_that_dies_or_hangs_is_one_failed_unit(
    server: Server, tmp_path: Path, log: Path, model: str, words: str
) -> None:
    tasks = [write_task(tmp_path / f"t{i}.csv", seed=i, rows=60, marked=i == 1) for i in range(3)]
    timeout = ["--timeout", 20] if model == "hang" else []
    asked = ["-m", f"{model},steady", "-t", ",".join(map(str, tasks)), "--seeds", 2, "--workers", 2]
    code, results, _ = run_json(server, tmp_path, *asked, "--executor", "process", *timeout)
    assert code == 1
    assert [r["status"] for r in results] == ["success"] * 2 + ["error"] * 2 + ["success"] * 8
    for failed in results[2:4]:
        assert words in failed["error"]["message"]
        assert f"{model} on adhoc/t1" in failed["error"]["message"]
    assert pids(log)
    wait_until(lambda: not any(alive(pid) for pid in pids(log)), 20)


def test_children_die_with_a_parent_that_is_killed(server: Server, tmp_path: Path, log: Path) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60, marked=True)
    job = server.start("run", "-m", "hang", "-t", task, "--executor", "process", "-o", tmp_path / "r", cwd=tmp_path)
    wait_until(lambda: pids(log))
    (child,) = pids(log)
    assert child != job.pid
    assert alive(child)
    job.send(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    wait_until(lambda: not alive(child), 20)


def test_both_executors_give_the_same_results(server: Server, tmp_path: Path) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    found = []
    for executor in ("serial", "process"):
        _, results, _ = run_json(
            server, tmp_path, "-m", "steady", "-t", task, "--seeds", 2, "--executor", executor, "--overwrite", "always"
        )
        found.append([(r["identity"], r["metrics"], r["n_effective_seeds"]) for r in results])
    assert found[0] == found[1]


def test_workers_compute_models_at_the_same_time(server: Server, tmp_path: Path, log: Path) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    words = ["-m", "meets,meets-too,steady", "-t", task, "--seeds", 1, "--executor", "process", "--workers", 2]
    code, results, said = run_json(server, tmp_path, *words)
    assert (code, [r["status"] for r in results]) == (0, ["success"] * 3)
    assert len(set(pids(log))) == 2
    assert sorted(line.split("]")[0][-3:] for line in said.splitlines() if "]" in line) == ["1/3", "2/3", "3/3"]


def test_ctrl_c_stops_all_workers(server: Server, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNRULY_SLEEP", "600")
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    words = ["-m", "meets,meets-too", "-t", task, "--executor", "process", "--workers", 2, "-o", tmp_path / "r"]
    job = server.start("run", *words, cwd=tmp_path)
    wait_until(lambda: len(pids(log)) == 2)
    job.send(signal.SIGINT)
    assert job.wait() == 130
    assert not any(alive(pid) for pid in pids(log))
    assert not list((tmp_path / "r" / ".claims").glob("*.json"))


def test_the_first_failure_stops_the_other_workers_where_that_is_asked(
    server: Server, tmp_path: Path, log: Path
) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60, marked=True)
    words = ["-m", "hang,raises", "-t", task, "--executor", "process", "--workers", 2, "--fail-fast"]
    job = server.start("run", *words, "-o", tmp_path / "r", cwd=tmp_path)
    assert job.wait() == 1
    assert "raises on adhoc/t: model 'raises': Unruly.fit: RuntimeError: no idea" in job.stderr
    assert not any(alive(pid) for pid in pids(log))


def test_an_interruption_of_the_watcher_stops_the_executor(tmp_path: Path) -> None:
    from findna_bench.matrix.report import Silent
    from findna_bench.matrix.runner import run
    from findna_bench.requests.run_request import RunRequest

    class Interrupted(Silent):
        def unit_finished(self, *_: object) -> None:
            raise KeyboardInterrupt

    tasks = tuple(str(write_task(tmp_path / f"t{i}.csv", seed=i, rows=60)) for i in range(2))
    with pytest.raises(KeyboardInterrupt) as caught:
        run(RunRequest(models=("majority",), tasks=tasks, seeds=(0,), output_dir=tmp_path / "r"), Interrupted())
    assert caught.traceback, "whoever holds the traceback holds no claims"
    assert "claims-heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_a_job_is_json_that_another_process_runs(tmp_path: Path) -> None:
    import findna_bench as fb

    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    jobs = fb.make_jobs("majority,kmer", [str(task)], seeds=1, shots=(2, 3), output_dir=tmp_path / "r")
    assert [(job.model, len(job.units)) for job in jobs] == [("majority", 2), ("kmer", 2)]
    first = json.loads(json.dumps(jobs[0].to_json()))
    assert fb.Job.from_json(first) == jobs[0]
    program = "import json, sys, findna_bench as fb; print([s.label for s in fb.run_job(json.load(sys.stdin))])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(first),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.strip() == "['majority on adhoc/t 2-shot', 'majority on adhoc/t 3-shot']"
    events: list[fb.Event] = []
    assert [s.started for s in fb.run_job(jobs[0], events.append)] == [None, None], "it was finished before"
    with pytest.raises(fb.UsageError, match="none of the request's here"):
        fb.run_job(fb.Job(jobs[1].request, jobs[0].units, "kmer"))


@pytest.mark.parametrize(
    ("executor", "code", "words"),
    [("forgetful", 1, "executor 'forgetful' gave no answer"), ("repetitive", 1, "no unit that is still to be settled")],
)
def test_an_executor_settles_every_unit_once(
    server: Server, tmp_path: Path, executor: str, code: int, words: str
) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    command = ["run", "-m", "steady,steady-too", "-t", task, "--seeds", 1, "--executor", executor]
    job = server.start(*command, "-o", tmp_path / "r", cwd=tmp_path)
    assert job.wait() == code
    assert words in job.stderr
    assert "Traceback" not in job.stderr


@pytest.mark.parametrize("executor", ["serial", "process"])
def test_an_exception_an_exit_and_missing_memory_are_failed_cells(
    server: Server, tmp_path: Path, executor: str
) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60, marked=True)
    code, results, _ = run_json(
        server, tmp_path, "-m", "raises,exits,memory,steady", "-t", task, "--seeds", 1, "--executor", executor
    )
    assert code == 1
    assert [(r["status"], (r["error"] or {}).get("type")) for r in results] == [
        ("error", "PluginError"),
        ("error", "PluginError"),
        ("oom", "PluginError"),
        ("success", None),
    ]
    assert "misbehave" in results[0]["error"]["traceback"]


def test_a_timeout_needs_a_process_that_can_be_stopped(server: Server, tmp_path: Path) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    job = server.start("run", "-m", "steady", "-t", task, "--timeout", 3, "-o", tmp_path / "r", cwd=tmp_path)
    assert job.wait() == 2
    assert "--executor process" in job.stderr
    assert not (tmp_path / "r").exists()


def test_jobs_in_two_threads_of_a_process_are_computed_one_after_the_other(tmp_path: Path) -> None:
    """torch's random numbers and the number of CPU threads belong to the process."""
    jobs = fb.make_jobs("trivial,majority", "demo/species4", seeds=1, output_dir=tmp_path)
    both = threading.Barrier(2)

    def compute(job: fb.Job) -> list[fb.Settled]:
        both.wait(60)
        return fb.run_job(job)

    with ThreadPoolExecutor(2) as pool:
        first, second = sorted((s for settled in pool.map(compute, jobs) for s in settled), key=lambda s: s.ended)
    assert first.started is not None
    assert second.started is not None
    assert first.ended <= second.started


def another_python(folder: Path, *, harness: bool = True) -> Path:
    """The interpreter of a virtual environment with what is installed here, and by its own account with another timm."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    if harness:
        (packages / "here.pth").write_text("\n".join(path for path in sys.path if Path(path).is_dir() and path))
        (packages / "timm-0.1.dist-info").mkdir()
        (packages / "timm-0.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: timm\nVersion: 0.1\n")
    return folder / "bin" / "python"


def test_a_model_may_have_a_python_of_its_own(tmp_path: Path) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    environment = {"kmer": str(another_python(tmp_path / "venv"))}
    usual, other = fb.run(["majority", "kmer"], [task], seeds=1, environment=environment, output_dir=tmp_path / "r")
    assert (usual.status, other.status) == ("success", "success")
    assert other.environment["versions"]["timm"] == "0.1"
    assert usual.environment["versions"]["timm"] != "0.1"
    (same,) = fb.run(["kmer"], [task], seeds=1, output_dir=tmp_path / "same")
    assert (same.identity, same.metrics) == (other.identity, other.metrics)


@pytest.mark.parametrize(
    ("name", "harness", "words"),
    [("kmer", False, "has no findna-bench"), ("nobody", True, "--environment nobody: no model of this run")],
)
def test_a_python_that_cannot_compute_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, harness: bool, words: str
) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    python = another_python(tmp_path / "venv", harness=harness)
    with pytest.raises(fb.UsageError, match=words):
        fb.run(["kmer"], [task], environment={name: str(python)}, output_dir=tmp_path / "r")
    with pytest.raises(fb.UsageError, match="No such file"):
        fb.run(["kmer"], [task], environment={"kmer": "nowhere/python"}, output_dir=tmp_path / "r")
