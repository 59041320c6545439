"""What is asked of Slurm and Ray, and what is made of their answers, with stand-ins that say what is wanted of them: no daemon, no cluster."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import findna_bench.api as fb
from findna_plugins.executors import ray_executor, slurm_executor
from findna_plugins.executors.slurm_executor import _Arrays, _Queue


def job(path: str = "/r/.jobs/a", **submission: Any) -> Any:
    """A job's folder, as far as executors ask it."""
    said: dict[str, Any] = dict(submission)
    return SimpleNamespace(
        path=Path(path),
        submission=said,
        submitted=said.update,
        close=lambda: said.update(closed=True),
        job=SimpleNamespace(model="kmer"),
    )


def request(**changes: Any) -> Any:
    return SimpleNamespace(
        **{"slurm": {}, "threads": 3, "workers": 1, "device": "auto", "ray_address": None, **changes}
    )


# ------------------------------------------------------------------------------------------------------------------ sbatch


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("1", 1), ("90", 90), ("10:30", 10.5), ("2:00:00", 120), ("1:02:30", 62.5), ("1-0", 1440), ("1-12", 2160), ("2-1:30", 2970), ("1-1:1:30", 1501.5),
        ("", None), ("x", None), ("1:", None), ("1-", None), ("1:2:3:4", None), ("-1", None), ("1.5", None),
    ],
)  # fmt: skip
def test_time_limits_are_read_as_sbatch_reads_them(text: str, minutes: float | None) -> None:
    assert slurm_executor._minutes(text) == minutes


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        (None, 90),
        ("60", 90),
        ("6", 90),
        ("5", 75),
        ("1", 15),
        ("0:20", 5),
        ("0:30", 7),
        ("0:24", 6),
        ("nonsense", 90),
        ("1-0", 90),
    ],
)
def test_a_task_is_told_of_its_end_a_quarter_of_its_time_before_it_at_most(limit: str | None, seconds: int) -> None:
    assert slurm_executor._warning_s(limit) == seconds


def test_options_are_the_users_but_for_those_that_jobs_are_found_by() -> None:
    assert slurm_executor._sbatch_options(request()) == {"cpus-per-task": 3, "requeue": True}
    given = {"--mem": "4G", "no_requeue": "true", "time": "1:00", "exclusive": "true", "cpus-per-task": "7"}
    assert slurm_executor._sbatch_options(request(slurm=given)) == {
        "cpus-per-task": "7",
        "mem": "4G",
        "no-requeue": True,
        "time": "1:00",
        "exclusive": True,
    }
    assert "requeue" not in slurm_executor._sbatch_options(request(slurm={"no-requeue": "true"}))
    for taken in (
        "array",
        "error",
        "job-name",
        "open-mode",
        "output",
        "parsable",
        "quiet",
        "test-only",
        "wait",
        "wrap",
    ):
        with pytest.raises(fb.UsageError) as refused:
            slurm_executor._sbatch_options(request(slurm={f"--{taken}".replace("-name", "_name"): "x"}))
        assert str(refused.value) == f"--slurm {taken}: the harness sets it itself; leave it out"
    with pytest.raises(fb.UsageError) as time:
        slurm_executor._sbatch_options(request(slurm={"time": "soon"}))
    assert str(time.value) == "--slurm time=soon: write minutes, H:MM:SS or DAYS-H:MM:SS"


def test_the_last_line_of_what_failed_is_said() -> None:
    failed = subprocess.CalledProcessError(1, "sbatch")
    failed.stderr = b"sbatch: warning\nsbatch: error: no such partition \n\n"
    assert slurm_executor._last_line(failed) == "sbatch: error: no such partition"
    assert slurm_executor._last_line(RuntimeError("one\ntwo")) == "two"
    assert slurm_executor._last_line(RuntimeError("")) == "RuntimeError"
    assert slurm_executor._own_id({"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0", "SLURM_JOB_ID": "9"}) == "7_0"
    assert slurm_executor._own_id({"SLURM_JOB_ID": "9"}) == "9"
    assert slurm_executor._own_id({}) == ""


class Submitit:
    """Stands for submitit: keeps what it is given; refuses where it is told to."""

    def __init__(self, refuses: Sequence[str] = ()) -> None:
        self.refuses, self.asked = list(refuses), []  # type: ignore[var-annotated]

    def SlurmExecutor(self, folder: Path) -> Any:
        asked: dict[str, Any] = {"folder": folder}

        def map_array(function: Any, paths: list[str]) -> list[Any]:
            self.asked.append({**asked, "function": function, "paths": paths})
            if self.refuses and (words := self.refuses.pop(0)):
                raise RuntimeError(words)
            return [
                SimpleNamespace(job_id=f"41_{i}", paths=SimpleNamespace(stderr=Path(f"/log/{i}")))
                for i in range(len(paths))
            ]

        return SimpleNamespace(update_parameters=asked.update, map_array=map_array)


@pytest.fixture
def submitit(monkeypatch: pytest.MonkeyPatch) -> Submitit:
    library = Submitit()
    monkeypatch.setitem(sys.modules, "submitit", library)
    monkeypatch.setattr(slurm_executor.shutil, "which", lambda name: f"/bin/{name}")
    return library


@pytest.mark.parametrize(("workers", "at_once", "n"), [(1, 1000, 2), (4, 4, 1)])
def test_jobs_are_sent_as_one_array(submitit: Submitit, workers: int, at_once: int, n: int) -> None:
    notes: list[Any] = []
    array = _Arrays(request(workers=workers, slurm={"time": "2", "mem": "1G"}), notes.append, _Queue())
    folders = [job(f"/r/.jobs/{i}") for i in range(n)]
    array.submit(folders)
    (asked,) = submitit.asked
    name = asked["job_name"]
    assert name.startswith("findna-")
    assert len(name) == len("findna-") + 8
    assert asked == {
        "folder": Path(f"/r/.jobs/slurm-array-{name}"), "time": None, "job_name": name, "signal_delay_s": 30, "array_parallelism": at_once,
        "additional_parameters": {"cpus-per-task": 3, "time": "2", "mem": "1G", "requeue": True}, "function": slurm_executor.compute,
        "paths": [f"/r/.jobs/{i}" for i in range(n)],
    }  # fmt: skip
    assert [one.submission for one in folders] == [
        {"name": name, "task": i, "id": f"41_{i}", "log": f"/log/{i}"} for i in range(n)
    ]
    assert [note.text for note in notes] == [f"Slurm job 41: {n} model{'s' if n > 1 else ''}; logs are in /r/.jobs"]


def test_nodes_where_a_task_failed_are_left_out_while_there_are_others(submitit: Submitit) -> None:
    queue = _Queue()
    queue._failed[Path("/r/.jobs/a")] = {"n2", "n1"}
    array = _Arrays(request(slurm={"exclude": "n9"}), lambda note: None, queue)
    array.submit([job()])
    assert submitit.asked[0]["additional_parameters"]["exclude"] == "n9,n1,n2"
    submitit.refuses = ["sbatch: error: no nodes are left", ""]
    array.submit([job()])
    assert [asked["additional_parameters"]["exclude"] for asked in submitit.asked[1:]] == ["n9,n1,n2", "n9"]
    submitit.refuses = ["first", "sbatch: error: no such account"]
    refused = job()
    with pytest.raises(fb.UsageError) as error:
        array.submit([refused])
    assert str(error.value) == "executor slurm: sbatch refuses the jobs: sbatch: error: no such account"
    assert refused.submission["closed"]


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, submitit: Submitit) -> None:
    for missing in ("sbatch", "srun"):
        monkeypatch.setattr(
            slurm_executor.shutil, "which", lambda name, missing=missing: None if name == missing else name
        )
        with pytest.raises(fb.UsageError) as programs:
            _Arrays(request(), print, _Queue())
        assert (
            str(programs.value)
            == "executor slurm: sbatch and srun are not on PATH; start the command where jobs are submitted"
        )
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(fb.UsageError) as library:
        _Arrays(request(), print, _Queue())
    assert str(library.value) == "executor slurm needs submitit; install it with `pip install 'findna-bench[slurm]'`"
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(fb.UsageError) as ray:
        ray_executor._import_ray()
    assert str(ray.value) == "executor ray needs Ray; install it with `pip install 'findna-bench[ray]'`"


# ------------------------------------------------------------------------------------------------------------------ squeue


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.lines, self.looked = 1000.0, "", 0
        self.fails = False
        monkeypatch.setattr(slurm_executor.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(slurm_executor.subprocess, "run", self.run)

    def run(self, command: list[str], **options: Any) -> Any:
        assert command == ["squeue", "--noheader", "--array", "--all", "--me", "--states=all", "--format=%i|%j|%T|%N"]
        self.looked += 1
        if self.fails:
            raise subprocess.CalledProcessError(1, command)
        return SimpleNamespace(stdout=self.lines)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_queue_is_looked_at_every_five_seconds_and_believed_only_where_it_answers(clock: Clock) -> None:
    queue, one, other, single = _Queue(), job(name="f", task=0), job(name="f", task=12), job(name="g")
    clock.lines = "7_0|f|RUNNING|n1\n7_12|f|PENDING|\n9|g|COMPLETED|n2\n"
    assert [queue.state(folder) for folder in (one, other, single, job(name="h"))] == [
        "RUNNING",
        "PENDING",
        "COMPLETED",
        "",
    ]
    assert [queue.waits_or_runs(folder) for folder in (one, other, single, job(name="h"))] == [True, True, False, False]
    clock.lines = ""
    clock.now += 4.9
    assert queue.state(one) == "RUNNING"
    assert clock.looked == 1
    clock.now += 0.1
    clock.fails = True
    assert queue.state(one) == "RUNNING"
    assert clock.looked == 2
    clock.fails = False
    clock.now += 5
    assert queue.state(one) == ""


@pytest.mark.parametrize(
    ("state", "after", "reason", "then"),
    [
        ("COMPLETED", 4, "Slurm job 7_0 ended as COMPLETED; see /log", "again"),
        ("NODE_FAIL", 4, "Slurm job 7_0 ended as NODE_FAIL; see /log", "again"),
        ("FAILED", 4, "Slurm job 7_0 ended as FAILED; see /log", "again"),
        ("CANCELLED", 4, "Slurm job 7_0 was cancelled", "fail"),
        ("OUT_OF_MEMORY", 4, "Slurm job 7_0 ended as OUT_OF_MEMORY (give it more by --slurm mem=...)", "fail-unit"),
        ("", 20, "Slurm job 7_0 is not in the queue any more; see /log", "again"),
    ],
)
def test_an_ended_task_is_told_once_others_can_see_what_it_wrote(
    clock: Clock, state: str, after: float, reason: str, then: str
) -> None:
    queue, folder = _Queue(), job(name="f", task=0, id="7_0", log="/log")
    clock.lines = "7_0|f|RUNNING|n1\n"
    assert queue.ended(folder) is None
    clock.lines = f"7_0|f|{state}|n1\n" if state else ""
    clock.now += 5
    assert queue.ended(folder) is None
    clock.now += after - 0.1
    assert queue.ended(folder) is None
    clock.now += 0.1
    assert queue.ended(folder) == fb.Ended(reason, then)  # type: ignore[arg-type]
    assert queue.failed_on([folder, job("/other")]) == ({"n1"} if state == "FAILED" else set())


def test_a_task_that_was_put_back_begins_to_end_anew(clock: Clock) -> None:
    queue, folder = _Queue(), job(name="f", task=0)
    clock.lines = "7_0|f|PREEMPTED|n1\n"
    assert queue.ended(folder) is None
    for now, state in ((5, "PENDING"), (5, "PREEMPTED"), (3.9, "PREEMPTED")):
        clock.now += now
        clock.lines = f"7_0|f|{state}|n1\n"
        assert queue.ended(folder) is None
    clock.now += 0.2
    assert queue.ended(folder) == fb.Ended("Slurm job ended as PREEMPTED; see /r/.jobs/a")


@pytest.mark.parametrize(
    ("answer", "cancelled"), [("y\n", True), (" YES \n", True), ("n\n", False), ("", False), (None, False)]
)
def test_on_ctrl_c_whoever_sits_there_is_asked(
    answer: str | None, cancelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return answer is not None

    said, called = Terminal(), []
    monkeypatch.setattr(sys, "stdin", Terminal(answer or ""))
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(slurm_executor.subprocess, "run", lambda command, **options: called.append(command))
    slurm_executor._leave([])
    assert said.getvalue() == ""
    slurm_executor._leave([job(id="7_0"), job(id="7_1"), job()])
    question = "\nCancel 3 Slurm jobs that are not done? (y/N) " if answer is not None else ""
    left = "Slurm goes on with jobs 7_0 7_1; the same command waits for them again, `scancel 7_0 7_1` cancels them\n"
    assert said.getvalue() == question + ("cancelled: 7_0 7_1\n" if cancelled else left)
    assert called == ([["scancel", "7_0", "7_1"]] if cancelled else [])
    slurm_executor._cancel([job()])
    assert len(called) == cancelled


# ----------------------------------------------------------------------------------------------------------------- compute


@pytest.mark.parametrize(
    ("number", "requeued", "code"),
    [(signal.SIGUSR2, True, 128 + signal.SIGUSR2), (signal.SIGTERM, False, 128 + signal.SIGTERM), (None, False, 130)],
)
def test_a_task_that_is_told_of_its_end_stops_and_goes_back_into_the_queue(
    number: signal.Signals | None,
    requeued: bool,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    handlers: dict[int, Any] = {}
    called: list[Any] = []

    def computed(**known: Any) -> Any:
        assert known == {"slurm": "7_3", "restart": "2"}
        yield SimpleNamespace(label="kmer on t")
        if number is not None:
            handlers[number](number, None)
        raise KeyboardInterrupt

    monkeypatch.setattr(slurm_executor.signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(fb.JobFolder, "open", classmethod(lambda cls, path: SimpleNamespace(compute=computed)))
    monkeypatch.setattr(slurm_executor.subprocess, "run", lambda command, **options: called.append(command))
    monkeypatch.setattr(slurm_executor.time, "sleep", called.append)
    for name, value in (("SLURM_ARRAY_JOB_ID", "7"), ("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_RESTART_COUNT", "2")):
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as left:
        slurm_executor.compute("/r/.jobs/a")
    assert left.value.code == code
    assert set(handlers) == {signal.SIGUSR2, signal.SIGTERM}
    assert called == ([["scontrol", "requeue", "7_3"], 120] if requeued else [])
    assert (
        capsys.readouterr().err == f"kmer on t: settled\nstopped by {number.name if number is not None else 'Ctrl-C'}\n"
    )
    if number is not None:
        handlers[number](number, None)  # a second one changes nothing: the first is at work


def test_a_job_that_is_settled_is_not_computed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    slurm_executor.compute(str(tmp_path / "gone"))
    assert capsys.readouterr().err == f"{tmp_path / 'gone'}: settled already\n"


# --------------------------------------------------------------------------------------------------------------------- ray


class FakeRay:
    """Stands for Ray: nodes, and tasks that are sent to it."""

    class exceptions:
        class RayError(Exception):
            pass

        class OutOfMemoryError(RayError):
            pass

        class RuntimeEnvSetupError(RayError):
            pass

        class TaskUnschedulableError(RayError):
            pass

        class RayTaskError(RayError):
            cause = ValueError("no\n such file")

        class WorkerCrashedError(RayError):
            pass

    def __init__(self, nodes: list[dict[str, Any]], running: bool = False) -> None:
        self._nodes, self._running = nodes, running
        self.calls: list[Any] = []
        self.ready, self.answer = True, None
        affinity = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda **asked: asked)
        self.util = SimpleNamespace(scheduling_strategies=affinity)

    def is_initialized(self) -> bool:
        return self._running

    def init(self, **options: Any) -> None:
        self.calls.append(("init", options))

    def nodes(self) -> list[dict[str, Any]]:
        return self._nodes

    def remote(self, **needs: Any) -> Any:
        reference = SimpleNamespace(task_id=lambda: SimpleNamespace(hex=lambda: "abc"))

        def sent(options: dict[str, Any], *arguments: Any) -> Any:
            self.calls.append((needs, options, arguments))
            return reference

        return lambda function: SimpleNamespace(
            options=lambda **options: SimpleNamespace(remote=lambda *arguments: sent(options, *arguments))
        )

    def wait(self, references: list[Any], timeout: float, num_returns: int = 1) -> tuple[list[Any], list[Any]]:
        return (references, []) if self.ready else ([], references)

    def get(self, reference: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def cancel(self, reference: Any) -> None:
        self.calls.append("cancel")

    def shutdown(self) -> None:
        self.calls.append("shutdown")


def node(name: str, cpu: float = 4, gpu: float = 0, memory: float = 1000, alive: bool = True) -> dict[str, Any]:
    return {
        "NodeID": name,
        "Alive": alive,
        "Resources": {"CPU": cpu, "memory": memory, **({"GPU": gpu} if gpu else {})},
    }


def test_a_cluster_is_started_here_or_joined_with_what_workers_need(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("FINDNA_BENCH_DATA_DIR", "/d"),
        ("HF_TOKEN", "s"),
        ("FINDNA_BENCH_TOKEN", "s"),
        ("HF_HOME", "/h"),
        ("XDG_CACHE_HOME", "/c"),
        ("OTHER", "x"),
    ):
        monkeypatch.setenv(name, value)
    for changes, here in (
        ({}, {"include_dashboard": False, "object_store_memory": 100_000_000}),
        ({"workers": 2}, {"include_dashboard": False, "object_store_memory": 100_000_000, "num_cpus": 6}),
        ({"workers": 2, "ray_address": "ray://x"}, {}),
    ):
        library = FakeRay([node("a")])
        tasks = ray_executor._Tasks(library, request(**changes))
        ((_, options),) = library.calls
        passed = options.pop("runtime_env")["env_vars"]
        assert {name: value for name, value in passed.items() if name in ("FINDNA_BENCH_DATA_DIR", "HF_HOME", "XDG_CACHE_HOME")} == {
            "FINDNA_BENCH_DATA_DIR": "/d", "HF_HOME": "/h", "XDG_CACHE_HOME": "/c",
        }  # fmt: skip
        assert not {"HF_TOKEN", "FINDNA_BENCH_TOKEN", "OTHER"} & set(passed)
        assert passed["PYTHONPATH"]
        assert options == {
            "address": changes.get("ray_address", "local"),
            "log_to_driver": False,
            "logging_level": 40,
            **here,
        }
        tasks.close()
        assert library.calls[1:] == ["shutdown"]
    joined = FakeRay([node("a")], running=True)
    ray_executor._Tasks(joined, request()).close()
    assert joined.calls == []

    class Gone(FakeRay):
        def init(self, **options: Any) -> None:
            raise ConnectionError("no\n  answer" + "x" * 400)

    for address, where in ((None, "this machine"), ("ray://x", "ray://x")):
        with pytest.raises(fb.UsageError) as error:
            ray_executor._Tasks(Gone([]), request(ray_address=address))
        assert str(error.value) == f"executor ray: no cluster at {where}: no answer{'x' * 291}"


@pytest.mark.parametrize(
    ("network", "device", "gpus", "wanted"),
    [(True, "auto", 1, 1), (True, "cpu", 1, 0), (True, "auto", 0, 0), (False, "auto", 1, 0)],
)
def test_a_job_asks_for_what_it_needs_and_some_node_has(
    network: bool, device: str, gpus: float, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = FakeRay([node("dead", gpu=8, memory=10**6, alive=False), node("a"), node("b", gpu=gpus, memory=2000)])
    tasks = ray_executor._Tasks(library, request(device=device))
    folder = job()
    for memory, asked in ((1700, 1700), (1900, 1800)):
        needs = SimpleNamespace(network=network, threads=2, memory_bytes=memory)
        monkeypatch.setattr(fb, "needs_of", lambda job, needs=needs: needs)
        tasks.send([folder])
        found, options, arguments = library.calls[-1]
        assert found == {"num_cpus": 2, "num_gpus": wanted, "memory": asked, "max_retries": 0, "max_calls": 1}
        assert options == {"name": "findna-kmer"}
        assert arguments == ("/r/.jobs/a", str(Path.cwd()))
    assert folder.submission == {"id": "abc", "name": "findna-kmer"}
    tasks._failed[folder.path] = {"a"}
    tasks.send([folder])
    assert library.calls[-1][1] == {"name": "findna-kmer", "scheduling_strategy": {"node_id": "b", "soft": True}}
    tasks._failed[folder.path] = {"a", "b"}
    tasks.send([folder])
    assert library.calls[-1][1] == {"name": "findna-kmer"}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, fb.Ended("its task ended before it was done")),
        (("n7", "disk full " + "y" * 400), fb.Ended(f"its task failed: disk full {'y' * 290}")),
        (
            FakeRay.exceptions.OutOfMemoryError(),
            fb.Ended("Ray ended the process computing it, as its node ran out of memory", "fail-unit"),
        ),
        (FakeRay.exceptions.RuntimeEnvSetupError("bad\n env"), fb.Ended("Ray cannot run it: bad env", "fail")),
        (FakeRay.exceptions.TaskUnschedulableError("z" * 400), fb.Ended(f"Ray cannot run it: {'z' * 300}", "fail")),
        (FakeRay.exceptions.RayTaskError(), fb.Ended("its task failed: no such file")),
        (FakeRay.exceptions.WorkerCrashedError(), fb.Ended("its Ray worker was lost (WorkerCrashedError)")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_how_a_task_of_ray_ended_is_said(answer: Any, expected: fb.Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    library = FakeRay([node("a")])
    tasks = ray_executor._Tasks(library, request())
    monkeypatch.setattr(fb, "needs_of", lambda job: SimpleNamespace(network=False, threads=1, memory_bytes=1))
    folder = job()
    tasks.send([folder])
    library.ready = False
    assert tasks.ended(folder) is None
    tasks.close()
    assert library.calls[-2:] == ["cancel", "shutdown"]
    library.ready, library.answer = True, answer
    assert tasks.ended(folder) == expected
    assert tasks._failed == ({folder.path: {"n7"}} if isinstance(answer, tuple) else {})
