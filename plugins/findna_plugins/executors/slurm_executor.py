"""The executor ``slurm``: each model a task of a job array, submitted by submitit.

Tasks write what they settle into the results folder (:class:`findna_bench.api.JobFolder`); ``squeue`` says which of them may still
do so. Accounting (``sacct``) is not asked, as many sites keep none. A task that is preempted or runs out of time stops its training
step, writes a checkpoint and puts itself back into the queue; one whose node is lost is put back by Slurm, or submitted again; one
that failed (a full disk, say) is submitted again to other nodes.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import findna_bench.api as fb

__all__ = ["compute", "slurm"]

_LOOK_EVERY_S = 5.0
_TERMINAL_FOR_S = 4.0
"""How long an ended task may take until others see what it wrote."""
_ABSENT_FOR_S = 20.0
_ENDED = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT",
}  # fmt: skip
_OURS = ("array", "error", "job-name", "open-mode", "output", "parsable", "quiet", "test-only", "wait", "wrap")
"""Options of sbatch that submitting and finding the jobs rests on."""
_MOST_AT_ONCE = 1000


def slurm(jobs: Sequence[fb.Job], report: fb.Report) -> Iterator[fb.Settled]:
    """Submit jobs as one array, and wait for them. Jobs that an earlier command has submitted are waited for, not submitted again.

    Raises:
        UsageError: submitit or Slurm is not there, or refuses the options.
    """
    queue = _Queue()
    array = _Arrays(jobs[0].request, report, queue)
    opened = fb.open_jobs(jobs, "slurm", queue.waits_or_runs)
    yield from opened.settled
    followed = [*opened.waiting, *opened.new]
    for folder in opened.waiting:
        report(fb.Note(f"{folder.job.model}: Slurm job {folder.submission.get('id')} is there already"))
    try:
        if opened.new:
            array.submit(opened.new)
        yield from fb.follow_jobs(followed, queue.ended, array.submit, report)
    except (KeyboardInterrupt, GeneratorExit):
        _leave([folder for folder in followed if queue.waits_or_runs(folder)])
        raise
    except fb.BenchError:
        _cancel([folder for folder in followed if queue.waits_or_runs(folder)])
        raise
    _cancel(
        [folder for folder in followed if queue.state(folder) in ("PENDING", "REQUEUED")]
    )  # put back, settled meanwhile


# ------------------------------------------------------------------------------------------------------------ submitting


class _Arrays:
    """Submits jobs of one request."""

    def __init__(self, request: Any, report: fb.Report, queue: _Queue) -> None:
        try:
            import submitit
        except ImportError as error:
            raise fb.UsageError(
                "executor slurm needs submitit; install it with `pip install 'findna-bench[slurm]'`"
            ) from error
        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise fb.UsageError(
                "executor slurm: sbatch and srun are not on PATH; start the command where jobs are submitted"
            )
        self._executor, self._request, self._report, self._queue = submitit.SlurmExecutor, request, report, queue
        self._options = _sbatch_options(request)

    def submit(self, folders: Sequence[fb.JobFolder]) -> None:
        """Send jobs as one array, not to nodes where a task has failed if there are others.

        Raises:
            UsageError: sbatch refuses it.
        """
        avoided = self._queue.failed_on(folders)
        given = [value for value in [self._options.get("exclude")] if value]
        tried = [{"exclude": ",".join([*given, *sorted(avoided)])}] if avoided else []
        for options in [*tried, {}]:
            refused = self._submit(folders, {**self._options, **options})
            if refused is None:
                return
        for one in folders:
            one.close()
        raise fb.UsageError(f"executor slurm: sbatch refuses the jobs: {refused}")

    def _submit(self, folders: Sequence[fb.JobFolder], options: Mapping[str, Any]) -> str | None:
        """What sbatch says where it refuses."""
        name = f"findna-{secrets.token_hex(4)}"
        folder = folders[0].path.parent / f"slurm-array-{name}"
        for number, one in enumerate(folders):
            one.submitted(name=name, task=number)  # before there is a job, so that one is never lost from sight
        array = self._executor(folder)
        workers = self._request.workers
        array.update_parameters(
            time=None,
            job_name=name,
            signal_delay_s=_warning_s(self._options.get("time")),
            array_parallelism=workers if workers > 1 else _MOST_AT_ONCE,
            additional_parameters=options,
        )
        try:
            submitted = array.map_array(compute, [str(one.path) for one in folders])
        except (subprocess.CalledProcessError, RuntimeError) as error:
            return _last_line(error)
        for number, (one, job) in enumerate(zip(folders, submitted, strict=True)):
            one.submitted(name=name, task=number, id=job.job_id, log=str(job.paths.stderr))
        ids = sorted({str(job.job_id).partition("_")[0] for job in submitted})
        self._report(
            fb.Note(
                f"Slurm job {', '.join(ids)}: {len(folders)} model{'s' * (len(folders) > 1)}; logs are in {folders[0].path.parent}"
            )
        )
        return None


def _sbatch_options(request: Any) -> dict[str, Any]:
    """Long options of sbatch and their values.

    Raises:
        UsageError: one is not the user's to give.
    """
    given = {name.lstrip("-").replace("_", "-"): value for name, value in request.slurm.items()}
    if taken := sorted(set(given) & set(_OURS)):
        raise fb.UsageError(f"--slurm {taken[0]}: the harness sets it itself; leave it out")
    options: dict[str, Any] = {name: True if value == "true" else value for name, value in given.items()}
    if not {"requeue", "no-requeue"} & set(options):
        options["requeue"] = True
    if "time" in options and _minutes(str(options["time"])) is None:
        raise fb.UsageError(f"--slurm time={options['time']}: write minutes, H:MM:SS or DAYS-H:MM:SS")
    return {"cpus-per-task": request.threads, **options}


def _minutes(text: str) -> float | None:
    """A time limit as sbatch reads it; None where it is none."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if match is None:
        return None
    days, first, second, third = match.groups()
    if days is not None:
        return int(days) * 1440 + int(first) * 60 + int(second or 0) + int(third or 0) / 60
    if third is not None:
        return int(first) * 60 + int(second) + int(third) / 60
    return int(first) + int(second or 0) / 60


def _warning_s(time_limit: Any) -> int:
    """How long before the end a task is told of it."""
    minutes = _minutes(str(time_limit)) if time_limit is not None else None
    return 90 if minutes is None else max(5, min(90, int(minutes * 15)))


def _last_line(error: Exception) -> str:
    text = error.stderr if isinstance(error, subprocess.CalledProcessError) and error.stderr else str(error)
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


# --------------------------------------------------------------------------------------------------------------- waiting


class _Queue:
    """What ``squeue`` says of the jobs of this user. Where it does not answer, nothing is concluded."""

    def __init__(self) -> None:
        self._looked = -_LOOK_EVERY_S
        self._states: dict[tuple[str, int], str] = {}
        self._nodes: dict[tuple[str, int], str] = {}
        self._failed: dict[Path, set[str]] = {}
        self._since: dict[tuple[str, int, str], float] = {}

    def state(self, folder: fb.JobFolder) -> str:
        """State of a job's task, in capitals; empty where Slurm knows none."""
        self._look()
        return self._states.get(_key(folder), "")

    def waits_or_runs(self, folder: fb.JobFolder) -> bool:
        return self.state(folder) not in {"", *_ENDED}

    def ended(self, folder: fb.JobFolder) -> fb.Ended | None:
        """How a task ended, once what it wrote has had the time to be seen."""
        state, name = self.state(folder), f"Slurm job {folder.submission.get('id', '')}".strip()
        key = _key(folder)
        for stale in [one for one in self._since if one[:2] == key and one[2] != state]:
            del self._since[stale]
        if state and state not in _ENDED:
            return None
        since = self._since.setdefault((*key, state), time.monotonic())
        if time.monotonic() - since < (_TERMINAL_FOR_S if state else _ABSENT_FOR_S):
            return None
        words = f"{name} ended as {state}" if state else f"{name} is not in the queue any more"
        shown = f"{words}; see {folder.submission.get('log', folder.path)}"
        if state == "CANCELLED":
            return fb.Ended(f"{name} was cancelled", "fail")
        if state == "OUT_OF_MEMORY":
            return fb.Ended(f"{words} (give it more by --slurm mem=...)", "fail-unit")
        if state == "FAILED" and self._nodes.get(key):
            self._failed.setdefault(folder.path, set()).add(self._nodes[key])
        return fb.Ended(shown)

    def failed_on(self, folders: Sequence[fb.JobFolder]) -> set[str]:
        """Nodes on which tasks of these jobs have failed: a disk is full there, or something is not installed."""
        return {node for folder in folders for node in self._failed.get(folder.path, ())}

    def _look(self) -> None:
        if time.monotonic() - self._looked < _LOOK_EVERY_S:
            return
        self._looked = time.monotonic()
        command = ["squeue", "--noheader", "--array", "--all", "--me", "--states=all", "--format=%i|%j|%T|%N"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError):
            return
        self._states, self._nodes = {}, {}
        for line in done.stdout.splitlines():
            job, name, state, node = line.strip().split("|")
            key = name, int(job.partition("_")[2] or 0)
            self._states[key], self._nodes[key] = state, node


def _key(folder: fb.JobFolder) -> tuple[str, int]:
    found = folder.submission
    return str(found.get("name", "")), int(found.get("task", 0))


def _leave(folders: Sequence[fb.JobFolder]) -> None:
    """On Ctrl-C: cancel jobs where the user says so, else leave them running."""
    if not folders:
        return
    ids = _ids(folders)
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
        with contextlib.suppress(KeyboardInterrupt, EOFError):
            # No square brackets: while progress is shown, rich reads what has no line end as markup.
            print(f"\nCancel {len(folders)} Slurm jobs that are not done? (y/N) ", end="", file=sys.stderr, flush=True)
            if sys.stdin.readline().strip().lower() in ("y", "yes"):
                _cancel(folders)
                print(f"cancelled: {' '.join(ids)}", file=sys.stderr)
                return
    print(
        f"Slurm goes on with jobs {' '.join(ids)}; the same command waits for them again, `scancel {' '.join(ids)}` cancels them",
        file=sys.stderr,
    )


def _cancel(folders: Sequence[fb.JobFolder]) -> None:
    if ids := _ids(folders):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(["scancel", *ids], timeout=60, check=False, capture_output=True)


def _ids(folders: Sequence[fb.JobFolder]) -> list[str]:
    return [str(found["id"]) for folder in folders if (found := folder.submission).get("id")]


# ------------------------------------------------------------------------------------------------------------- computing


def compute(path: str) -> None:
    """What a task does, on its node: compute the job in a folder. SIGUSR2 comes before the time is up or at preemption, SIGTERM with
    the end: the child stops after a training step, and the task goes back into the queue.
    """
    folder = fb.JobFolder.open(Path(path))
    if folder is None:
        print(f"{path}: settled already", file=sys.stderr)
        return
    received: list[int] = []

    def stop(number: int, frame: Any) -> None:
        received.append(number)
        if len(received) == 1:
            raise KeyboardInterrupt

    for number in (signal.SIGUSR2, signal.SIGTERM):
        signal.signal(number, stop)
    job = _own_id(os.environ)
    try:
        for settled in folder.compute(slurm=job, restart=os.environ.get("SLURM_RESTART_COUNT", "0")):
            print(f"{settled.label}: settled", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print(f"stopped by {signal.Signals(received[0]).name if received else 'Ctrl-C'}", file=sys.stderr, flush=True)
        if received[:1] == [signal.SIGUSR2]:
            subprocess.run(["scontrol", "requeue", job], timeout=60, check=True)
            time.sleep(120)  # Slurm ends this task
        sys.exit(128 + (received[0] if received else signal.SIGINT))


def _own_id(environment: Mapping[str, str]) -> str:
    array = environment.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{environment['SLURM_ARRAY_TASK_ID']}" if array else environment.get("SLURM_JOB_ID", "")
