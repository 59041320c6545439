"""The other side of the executor ``process``: computes units and tells the parent about it, one JSON line per event."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from findna_bench.errors import BenchError
from findna_bench.matrix.interrupt import interrupt_on_terminate
from findna_bench.matrix.request import expand
from findna_bench.matrix.run import GroupRunner
from findna_bench.registry import get_registry
from findna_bench.requests.options import from_json
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.claims import Claims
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main(job: dict[str, Any]) -> int:
    """Run the units of a job as :mod:`findna_bench.matrix.executors` describes it; the exit code of the process."""
    interrupt_on_terminate()
    _die_with_parent(job["parent"])
    request = from_json(RunRequest, job["request"])
    sender = _Sender(job["events"])
    try:
        registry = get_registry()
        wanted = set(job["units"])
        units = [unit for unit in expand(request, registry) if unit.key in wanted]
        with Claims(request.output_dir) as claims:
            runner = GroupRunner(request, registry, sender, ResultStore(request.output_dir), claims)
            runner.on_begun = lambda unit: sender.send("at", unit.key)
            runner.on_written = lambda unit, path: sender.send("written", unit.key, str(path))
            runner.on_settled = lambda unit, paths: sender.send("settled", unit.key, [str(path) for path in paths])
            runner.run(units)
    except BenchError as error:
        sender.send("failed", type(error).__name__, str(error))
    except KeyboardInterrupt:
        return 130
    return 0


class _Sender:
    """A reporter that hands every event to the parent process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_inheritable(descriptor, False)

    def send(self, event: str, *arguments: Any) -> None:
        rest = memoryview(json.dumps({"event": event, "arguments": arguments}).encode() + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError as error:  # the parent listens no more: it was interrupted, or is gone
            raise KeyboardInterrupt from error

    def started(self, units: int, cells: int, finished: int) -> None: ...

    def unit_started(self, label: str) -> None:
        self.send("unit_started", label)

    def progress(self, done: int, total: int, what: str) -> None:
        self.send("progress", done, total, what)

    def unit_finished(self, label: str, results: Sequence[Result], seconds: float) -> None:
        self.send("unit_finished", label, [result.to_dict() for result in results], seconds)

    def note(self, text: str) -> None:
        self.send("note", text)


def _die_with_parent(parent: int) -> None:
    """A child whose parent was killed must not go on computing unseen, even where it hangs outside Python."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
