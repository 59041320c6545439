"""Ways to run the groups of a matrix. An executor is called with (request, units of one model, reporter) and returns the
result files; it never raises for a cell that failed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from findna_bench.errors import BenchError, ModelError, ResultsFolderError
from findna_bench.matrix.report import Reporter
from findna_bench.matrix.request import Unit
from findna_bench.matrix.run import GroupRunner, cells_left
from findna_bench.matrix.unit import unfinished
from findna_bench.registry import get_registry
from findna_bench.requests.options import to_json
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.claims import Claims
from findna_bench.results.schema import Result, read_result
from findna_bench.results.store import ResultStore

__all__ = ["process", "serial"]

_GRACE_S = 10.0
"""How long a child that is asked to stop may take to finish a write."""

_BOOT = (
    "import json, sys; job = json.load(sys.stdin); sys.path[:] = job['path']; "
    "from findna_bench.matrix.child import main; sys.exit(main(job))"
)


def serial(request: RunRequest, units: Sequence[Unit], reporter: Reporter) -> list[Path]:
    """In this process, one unit after the other."""
    with Claims(request.output_dir) as claims:
        return GroupRunner(request, get_registry(), reporter, ResultStore(request.output_dir), claims).run(units)


def process(request: RunRequest, units: Sequence[Unit], reporter: Reporter) -> list[Path]:
    """Each group in a child process: a segfault, a kill by the out-of-memory killer or a hang fails one unit.

    The child that dies takes one unit with it; a new one goes on with the rest. ``request.timeout_s`` bounds the time
    a unit may take.

    Raises:
        ResultsFolderError: results cannot be written. ModelError: a unit failed and ``fail_fast`` is set.
    """
    settled: dict[str, list[Path]] = {}
    remaining = list(units)
    while remaining:
        child = _Child(request, remaining, reporter)
        death = child.watch()
        settled |= child.settled
        remaining = [unit for unit in remaining if unit.key not in settled]
        if not remaining:
            break
        # A child that ends well has settled all units, so this one died: with the unit it was at, or before its first.
        victim = next((unit for unit in remaining if unit.key == child.current), remaining[0])
        settled[victim.key] = _record_death(request, victim, child.written.get(victim.key, []), death, reporter)
        remaining.remove(victim)
    return [path for unit in units for path in settled[unit.key]]


def _record_death(
    request: RunRequest, unit: Unit, written: Sequence[Path], reason: str, reporter: Reporter
) -> list[Path]:
    """Failures for the cells of ``unit`` that the dead child had not written."""
    error = ModelError(f"{unit.label}: {reason}")
    store = ResultStore(request.output_dir)
    done = [read_result(path) for path in written]
    failed = unfinished(request, unit, "error", error, cells=cells_left(unit, done))
    paths = [*written, *(store.write(result) for result in failed)]
    if request.fail_fast:
        raise error
    reporter.unit_finished(unit.label, [*done, *failed], 0.0)
    return paths


@dataclass
class _Child:
    """A child process at work on units of one model, and what it has told so far."""

    request: RunRequest
    units: Sequence[Unit]
    reporter: Reporter
    settled: dict[str, list[Path]] = field(default_factory=dict)
    written: dict[str, list[Path]] = field(default_factory=dict)
    current: str | None = None
    """Key of the unit under work."""
    _since: float = 0.0

    def watch(self) -> str:
        """Run to the end; returns how the process ended, in words."""
        events, theirs = os.pipe()
        job = {
            "path": sys.path,
            "request": to_json(self.request),
            "units": [unit.key for unit in self.units],
            "events": theirs,
            "parent": os.getpid(),
        }
        # A session of its own: Ctrl-C in the terminal is the parent's to pass on, and a kill takes grandchildren along.
        # Standard output is the parent's: what a plugin prints goes where progress goes.
        child = subprocess.Popen(
            [sys.executable, "-c", _BOOT],
            stdin=subprocess.PIPE,
            stdout=2,
            pass_fds=[theirs],
            start_new_session=True,
            text=True,
        )
        os.close(theirs)
        try:
            with contextlib.suppress(BrokenPipeError):
                assert child.stdin is not None
                child.stdin.write(json.dumps(job))
                child.stdin.close()
            for line in _lines(events, child):
                if line:
                    self._take(json.loads(line))
                elif self._late():
                    _kill(child)
                    return f"took longer than --timeout {self.request.timeout_s:g} s and was stopped"
            code = child.wait()
            _kill(child)
            return _words(code)
        finally:
            os.close(events)
            _stop(child)

    def _late(self) -> bool:
        limit = self.request.timeout_s
        return limit is not None and self.current is not None and time.monotonic() - self._since > limit

    def _take(self, event: dict[str, Any]) -> None:
        name, arguments = event["event"], event["arguments"]
        if name == "failed":
            kind, text = arguments
            raise ResultsFolderError(text) if kind == ResultsFolderError.__name__ else BenchError(text)
        if name == "at":
            self.current, self._since = arguments[0], time.monotonic()
        elif name == "written":
            self.written.setdefault(arguments[0], []).append(Path(arguments[1]))
        elif name == "settled":
            self.settled[arguments[0]], self.current = [Path(path) for path in arguments[1]], None
        elif name == "unit_finished":
            label, results, seconds = arguments
            self.reporter.unit_finished(label, [Result.model_validate(result) for result in results], seconds)
        else:
            getattr(self.reporter, name)(*arguments)


def _lines(descriptor: int, child: subprocess.Popen[str]) -> Iterator[str]:
    """Lines from a pipe until its other end is closed or ``child`` is gone; an empty one twice a second."""
    buffer = b""
    while True:
        gone = child.poll() is not None  # asked before reading, so that its last words are not missed
        ready, _, _ = select.select([descriptor], [], [], 0.0 if gone else 0.5)
        chunk = os.read(descriptor, 1 << 16) if ready else b""
        if not chunk and (ready or gone):
            return
        *lines, buffer = (buffer + chunk).split(b"\n")
        yield from (line.decode() for line in lines)
        yield ""


def _stop(child: subprocess.Popen[str]) -> None:
    """Ask a child that still runs to finish its write and leave; end it where it does not, or is asked twice."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(_GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        _kill(child)


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
