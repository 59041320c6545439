"""The other side of a child process: computes a job and tells the parent about it, one JSON line per event."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from findna_bench.errors import BenchError
from findna_bench.interrupt import interrupt_on_terminate
from findna_bench.matrix.events import Event, Note, Settled, UnitStarted, event_to_json
from findna_bench.matrix.jobs import Job, settle

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main(task: Mapping[str, Any]) -> int:
    """Run the job of a task as :mod:`findna_bench.matrix.job_running` describes it; the exit code of the process."""
    interrupt_on_terminate()
    _die_with_parent(task["parent"])
    descriptor: int = task["events"]
    os.set_inheritable(descriptor, False)

    log = _UnitLogs(None if task["logs"] is None else Path(task["logs"]))

    def report(event: Event) -> None:
        log.take(event)
        _send(descriptor, event_to_json(event))

    try:
        for settled in settle(Job.from_json(task["job"]), report):
            report(settled)
    except BenchError as error:
        _send(descriptor, {"event": "failed", "kind": type(error).__name__, "text": str(error)})
    except KeyboardInterrupt:
        return 130
    return 0


class _UnitLogs:
    """Sends what is printed while a unit is computed to the unit's own log, and writes into it what happens."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._usual = tuple(map(os.dup, (1, 2)))

    def take(self, event: Event) -> None:
        if self._folder is None:
            return
        match event:
            case UnitStarted():
                self._to(self._folder / f"{event.unit[:16]}.log")
                _say(f"{event.label}: begun on {socket.gethostname()}")
            case Note():
                _say(event.text)
            case Settled():
                _say(f"{event.label}: {', '.join(event.results)}")
                self._back()

    def _to(self, path: Path) -> None:
        """A log that cannot be written, on a full disk say, is no reason to compute nothing."""
        self._back()
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            for number in (1, 2):
                os.dup2(descriptor, number)
            os.close(descriptor)

    def _back(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, usual in zip((1, 2), self._usual, strict=True):
            os.dup2(usual, number)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] {text}\n".encode(errors="backslashreplace"))


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
