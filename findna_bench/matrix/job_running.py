"""Runs a job: in this process, or in a child of it that may crash, hang, or be another Python."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from findna_bench.errors import BenchError, ResultsFolderError
from findna_bench.matrix.events import Event, Report, ResultWritten, Settled, UnitStarted, event_from_json
from findna_bench.matrix.jobs import Job, fail_job, settle

__all__ = ["run_isolated", "run_job", "settle_children", "settle_job"]

_GRACE_S = 10.0
"""How long children that are asked to stop may take to finish a write."""
_LOOK_EVERY_S = 0.5

_BOOT = (
    "import json, sys; task = json.load(sys.stdin); sys.path[:] = task['path'] or sys.path; "
    "from findna_bench.matrix.child import main; sys.exit(main(task))"
)


def run_job(job: Job | Mapping[str, Any], report: Report = lambda event: None) -> list[Settled]:
    """Compute the units of a job in this process and write their results. In one process jobs are computed one after the other,
    in whichever threads: torch's random numbers belong to the process. Several at once take several processes.

    Args:
        job: a job, or its JSON.
        report: takes events on the way.

    Returns:
        What came of each unit: cells that another process holds are waited for, and cells that fail are settled, too.

    Raises:
        UsageError: a unit is not known here: this process has other plugins, versions or files than the one that made the job.
        ResultsFolderError: results cannot be written. ModelError: a unit failed and ``fail_fast`` is set.

    Example:
        >>> for job in fb.make_jobs("findna-tiny,kmer", suite="demo"):  # doctest: +SKIP
        ...     fb.run_job(job)
    """
    return list(settle_job(job if isinstance(job, Job) else Job.from_json(job), report))


def settle_job(job: Job, report: Report) -> Iterator[Settled]:
    """:func:`run_job`, one unit after the other."""
    yield from run_isolated(job, report) if _another_python(job) else settle(job, report)


def _another_python(job: Job) -> bool:
    """Whether a job names an interpreter that is not this one (of virtual environments, the links differ)."""
    return job.python is not None and os.path.abspath(job.python) != os.path.abspath(sys.executable)


def run_isolated(job: Job, report: Report, *, logs: Path | None = None) -> Generator[Settled]:
    """Compute the units of a job in a child process, one after the other, and write their results: a segfault, a kill by the
    out-of-memory killer, a hang (``timeout_s``) fails one unit, and a new child goes on with the rest.

    Closing the iterator stops the child: it finishes the write or the training step that it is at.

    Args:
        job: a job. Its child runs the Python that the job names, where it names one.
        report: takes events on the way.
        logs: a folder; what is printed while a unit is computed goes to ``<first 16 letters of its key>.log`` in it.

    Yields:
        What came of each unit, as soon as it is settled.

    Raises:
        BenchError: as :func:`run_job`.

    Example:
        >>> for job in fb.make_jobs("findna-tiny,kmer", suite="demo"):  # doctest: +SKIP
        ...     for settled in fb.run_isolated(job, print):
        ...         print(settled.label, settled.seconds)
    """
    yield from settle_children([job], report, workers=1, logs=logs)


def settle_children(
    jobs: Sequence[Job], report: Report, *, workers: int, logs: Path | None = None
) -> Iterator[Settled]:
    """:func:`run_isolated` for several jobs, ``workers`` at a time."""
    waiting, running = deque(jobs), list[_Child]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_Child(waiting.popleft(), logs))
            _wait_for_one(running)
            for child in list(running):
                for event in child.events():
                    if isinstance(event, Settled):
                        yield event
                    else:
                        report(event)
                if (death := child.death()) is None:
                    continue
                running.remove(child)
                # A child that ends well has settled all units, so this one died: with the unit it was at, or before its first.
                if left := child.unsettled():
                    victim = child.current if child.current in left else left[0]
                    yield from fail_job(replace(child.job, units=(victim,)), death, written=child.written)
                    rest = tuple(unit for unit in left if unit != victim)
                    waiting.extendleft([replace(child.job, units=rest)] if rest else [])
    finally:
        _stop(running)


def _wait_for_one(children: Sequence[_Child]) -> None:
    """Wait, a moment at most, until a child has something to say or is gone."""
    gone = any(child.process.poll() is not None for child in children)
    select.select([child.pipe for child in children], [], [], 0.0 if gone else _LOOK_EVERY_S)


class _Child:
    """A child process at work on a job, and what it has said so far."""

    def __init__(self, job: Job, logs: Path | None) -> None:
        self.job = job
        self.current: str | None = None
        """Key of the unit under work."""
        self.written: dict[str, list[str]] = {}
        self._since = 0.0
        self._settled: set[str] = set()
        self._buffer = b""
        self._silent = False
        """Whether nothing more is to come through the pipe."""
        self.pipe, theirs = os.pipe()
        # A session of its own: Ctrl-C in the terminal is the parent's to pass on, and a kill takes grandchildren along.
        # Standard output is the parent's: what a plugin prints goes where progress goes.
        self.process = subprocess.Popen(
            [job.python or sys.executable, "-c", _BOOT],
            stdin=subprocess.PIPE,
            stdout=2,
            pass_fds=[theirs],
            start_new_session=True,
            text=True,
        )
        os.close(theirs)
        task = {
            "path": None if _another_python(job) else sys.path,  # another Python has packages of its own
            "job": job.to_json(),
            "events": theirs,
            "parent": os.getpid(),
            "logs": None if logs is None else str(logs),
        }
        with contextlib.suppress(BrokenPipeError):
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(task))
            self.process.stdin.close()

    def unsettled(self) -> list[str]:
        return [unit for unit in self.job.units if unit not in self._settled]

    def events(self) -> Iterator[Event]:
        """What the child has said since the last call; does not wait.

        Raises:
            BenchError: one that ends the run was raised in the child.
        """
        gone = self.process.poll() is not None  # asked before reading, so that its last words are not missed
        ready, _, _ = select.select([self.pipe], [], [], 0.0)
        chunk = os.read(self.pipe, 1 << 16) if ready else b""
        self._silent = not chunk and bool(ready or gone)
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        for line in lines:
            values = json.loads(line)
            if values["event"] == "failed":
                folder = values["kind"] == ResultsFolderError.__name__
                raise ResultsFolderError(values["text"]) if folder else BenchError(values["text"])
            event = event_from_json(values)
            self._take(event)
            yield event

    def _take(self, event: Event) -> None:
        if isinstance(event, UnitStarted):
            self.current, self._since = event.unit, time.monotonic()
        elif isinstance(event, ResultWritten):
            self.written.setdefault(event.unit, []).append(event.path)
        elif isinstance(event, Settled):
            self._settled.add(event.unit)
            self.current = None

    def death(self) -> str | None:
        """How the child ended, in words; None while it runs. One that is late is ended."""
        limit = self.job.request.timeout_s
        late = limit is not None and self.current is not None and time.monotonic() - self._since > limit
        if not late and not self._silent:
            return None
        if self._silent:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_GRACE_S)
        _kill(self.process)
        os.close(self.pipe)
        return f"took longer than --timeout {limit:g} s and was stopped" if late else _words(self.process.returncode)


def _stop(children: Sequence[_Child]) -> None:
    """Ask children that still run to finish their writes and leave; end them where they do not, or are asked twice."""
    for child in children:
        os.close(child.pipe)
        child.process.terminate()
    end = time.monotonic() + _GRACE_S
    with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        for child in children:
            child.process.wait(max(0.0, end - time.monotonic()))
    for child in children:
        _kill(child.process)


def _kill(child: subprocess.Popen[str]) -> None:
    """End a child, and whatever it has started itself."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _words(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory, most likely)" if -code == signal.SIGKILL else ""
        return f"the process computing it was ended by {name}{hint}"
    return f"the process computing it ended with exit code {code}"
