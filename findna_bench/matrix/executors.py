"""The executors that need no package: ``serial`` in this process, ``process`` in children that may crash or hang."""

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
from collections.abc import Iterator, Sequence
from dataclasses import replace

from findna_bench.errors import BenchError, ResultsFolderError
from findna_bench.matrix.events import Event, Report, ResultWritten, Settled, UnitStarted, event_from_json
from findna_bench.matrix.jobs import Job, fail_job, settle

__all__ = ["process", "serial"]

_GRACE_S = 10.0
"""How long children that are asked to stop may take to finish a write."""
_LOOK_EVERY_S = 0.5

_BOOT = (
    "import json, sys; task = json.load(sys.stdin); sys.path[:] = task['path']; "
    "from findna_bench.matrix.child import main; sys.exit(main(task))"
)


def serial(jobs: Sequence[Job], report: Report) -> Iterator[Settled]:
    """In this process, one unit after the other."""
    for job in jobs:
        yield from settle(job, report)


def process(jobs: Sequence[Job], report: Report) -> Iterator[Settled]:
    """Each job in a child process, ``workers`` at a time: a segfault, a kill by the out-of-memory killer or a hang fails one unit.

    The child that dies takes one unit with it; a new one goes on with the rest. ``timeout_s`` bounds the time a unit may take.

    Raises:
        ResultsFolderError: results cannot be written. ModelError: a unit failed and ``fail_fast`` is set.
    """
    waiting, running = deque(jobs), list[_Child]()
    try:
        while waiting or running:
            while waiting and len(running) < waiting[0].request.workers:
                running.append(_Child(waiting.popleft()))
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

    def __init__(self, job: Job) -> None:
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
            [sys.executable, "-c", _BOOT],
            stdin=subprocess.PIPE,
            stdout=2,
            pass_fds=[theirs],
            start_new_session=True,
            text=True,
        )
        os.close(theirs)
        task = {"path": sys.path, "job": job.to_json(), "events": theirs, "parent": os.getpid()}
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
