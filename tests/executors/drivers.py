"""Command lines in processes of their own, and what their results hold."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import findna_bench as fb

__all__ = ["Terminal", "content", "failures", "fits", "process_of", "start", "steps_trained", "tuning"]

_PROGRAM = "from findna_bench.cli import main; main()"


def start(
    *arguments: object, cwd: Path, environment: Mapping[str, str] | None = None, **popen: Any
) -> subprocess.Popen[str]:
    """``findna-bench ARGUMENTS`` in ``cwd``."""
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen}
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        text=True,
        **settings,
    )


def content(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything that no executor may change, of each result: identity, ids, metrics, and digest of its predictions."""
    return {
        str(path.relative_to(folder)): (
            found["status"], found["identity"], found["request_id"], found["config_id"], json.dumps(found["metrics"]), found["predictions_digest"],
        )
        for path in sorted(folder.glob("*/*/*/*/*.json"))
        for found in [json.loads(path.read_text())]
    }  # fmt: skip


def failures(folder: Path) -> list[str]:
    """What went wrong, of each failed cell."""
    return [json.loads(path.read_text())["error"]["message"] for path in sorted((folder / "errors").glob("*.json"))]


def fits(log: Path) -> list[str]:
    """The fits that models of the unruly plugin wrote down."""
    return sorted(log.read_text().splitlines()) if log.exists() else []


def open_jobs(results: Path) -> Sequence[fb.JobFolder]:
    """Jobs that are not known to be done."""
    return fb.job_folders(results)


def process_of(folder: fb.JobFolder) -> int:
    """The process that is at a job, by the last attempt's own words."""
    *_, last = sorted(folder.path.glob("attempt-*.jsonl"))
    return int(json.loads(last.read_text().splitlines()[0])["pid"])


def tuning(task: Path) -> list[object]:
    """A command line that fine-tunes a small network in ten steps, one per batch of eight rows."""
    return ["run", "-m", "frugal@random", "-t", task, "--seeds", 1, "--protocol", "finetune", "--preset", "brief", "--no-sanity"]  # fmt: skip


def steps_trained(log: Path) -> int:
    """Batches that the unruly plugin's network was trained on."""
    return len([line for line in fits(log) if line.startswith("trained on")])


class Terminal:
    """``findna-bench ARGUMENTS`` on a terminal of its own, as a user types it."""

    def __init__(self, *arguments: object, cwd: Path, environment: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()

        def own_the_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        ends: dict[str, Any] = {"stdin": slave, "stdout": slave, "stderr": slave}
        self.process = start(
            *arguments, cwd=cwd, environment={**environment, "TERM": "dumb"}, preexec_fn=own_the_terminal, **ends
        )
        os.close(slave)
        self.shown = ""

    def read_until(self, words: str, seconds: float) -> None:
        """Wait until the terminal shows ``words``.

        Raises:
            AssertionError: it does not.
        """
        end = time.monotonic() + seconds
        while words not in self.shown:
            assert time.monotonic() < end, self.shown
            ready, _, _ = select.select([self._master], [], [], 0.5)
            if ready:
                try:
                    self.shown += os.read(self._master, 1 << 16).decode(errors="replace")
                except OSError:  # nobody has it open any more
                    assert words in self.shown, self.shown

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def end(self, seconds: float) -> int:
        """The exit code, once all that is shown was read."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            if select.select([self._master], [], [], 0.5)[0]:
                with contextlib.suppress(OSError):
                    self.shown += os.read(self._master, 1 << 16).decode(errors="replace")
        code = self.process.wait(timeout=5)
        with contextlib.suppress(OSError):
            while select.select([self._master], [], [], 0)[0] and (piece := os.read(self._master, 1 << 16)):
                self.shown += piece.decode(errors="replace")
        os.close(self._master)
        return code
