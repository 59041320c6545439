"""The other side of the executor ``process``: computes a job and tells the parent about it, one JSON line per event."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from findna_bench.errors import BenchError
from findna_bench.interrupt import interrupt_on_terminate
from findna_bench.matrix.events import Event, event_to_json
from findna_bench.matrix.jobs import Job, settle

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main(task: Mapping[str, Any]) -> int:
    """Run the job of a task as :mod:`findna_bench.matrix.executors` describes it; the exit code of the process."""
    interrupt_on_terminate()
    _die_with_parent(task["parent"])
    descriptor: int = task["events"]
    os.set_inheritable(descriptor, False)

    def report(event: Event) -> None:
        _send(descriptor, event_to_json(event))

    try:
        for settled in settle(Job.from_json(task["job"]), report):
            report(settled)
    except BenchError as error:
        _send(descriptor, {"event": "failed", "kind": type(error).__name__, "text": str(error)})
    except KeyboardInterrupt:
        return 130
    return 0


def _send(descriptor: int, message: Mapping[str, Any]) -> None:
    rest = memoryview(json.dumps(message).encode() + b"\n")
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except BrokenPipeError as error:  # the parent listens no more: it was interrupted, or is gone
        raise KeyboardInterrupt from error


def _die_with_parent(parent: int) -> None:
    """A child whose parent was killed must not go on computing unseen, even where it hangs outside Python."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
