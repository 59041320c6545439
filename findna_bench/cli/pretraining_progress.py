"""How a running pretraining is shown: a bar on a terminal, plain dated lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from findna_bench.cli import output
from findna_bench.terminal import printable

__all__ = ["pretraining_reporter"]


def pretraining_reporter() -> Lines | Bar | None:
    """A reporter for this terminal or pipe; none for a quiet invocation."""
    if output.verbosity() < 0:
        return None
    return Bar() if sys.stderr.isatty() else Lines()


def _in_words(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:.4g}" for name, value in values.items())


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


class Lines:
    """Dated lines on stderr, at most one every ten seconds."""

    def __init__(self) -> None:
        self._last = 0.0

    def _say(self, text: str) -> None:
        output.complain(text, name=f"{datetime.now():%Y-%m-%d %H:%M:%S} ")

    def started(self, total_steps: int, done: int, description: str) -> None:
        already = f", going on at step {done}" if done else ""
        self._say(f"{total_steps} steps on {description}{already}")

    def progress(self, step: int, total_steps: int, values: Mapping[str, float], seconds_left: float) -> None:
        if time.monotonic() - self._last < 10 and step < total_steps:
            return
        self._last = time.monotonic()
        self._say(f"step {step}/{total_steps}, {_duration(seconds_left)} left: {_in_words(values)}")

    def note(self, text: str) -> None:
        self._say(text)


class Bar:
    """A bar on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("pretraining"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
        )
        self._task: Any = None

    def started(self, total_steps: int, done: int, description: str) -> None:
        self._progress.start()
        self._task = self._progress.add_task(printable(description), total=total_steps, completed=done)

    def progress(self, step: int, total_steps: int, values: Mapping[str, float], seconds_left: float) -> None:
        shown = dict(list(values.items())[:4])
        self._progress.update(
            self._task, completed=step, description=printable(f"{_duration(seconds_left)} left  {_in_words(shown)}")
        )
        if step >= total_steps:
            self._progress.stop()

    def note(self, text: str) -> None:
        self._progress.console.print(printable(text), markup=False, highlight=False)

    def __del__(self) -> None:
        self._progress.stop()
