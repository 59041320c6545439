"""How a running matrix is shown: rich bars on a terminal, plain dated lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from findna_bench.cli import output
from findna_bench.statistics.metric_cards import metric_scale
from findna_bench.terminal import printable

if TYPE_CHECKING:
    from rich.progress import TaskID

    from findna_bench.results.schema import Result

__all__ = ["Bars", "Lines", "matrix_reporter"]

_EVERY_S = 30.0


def matrix_reporter() -> Lines | Bars:
    """A reporter for this terminal, pipe, or quiet invocation; a context manager that leaves the terminal as it was."""
    if output.verbosity() < 0:
        return Lines(quiet=True)
    return Bars() if sys.stderr.isatty() else Lines()


def summary(results: Sequence[Result]) -> str:
    """One unit in a few words: the mean main metric over seeds, or why there is none."""
    scores = [r.metrics.main.value for r in results if r.status == "success" and r.metrics.main.value is not None]
    failed = next((r for r in results if r.error), None)
    reason = f"{failed.status}: {failed.error.message}" if failed and failed.error else ""
    if not scores:
        return reason or (f"{results[0].metrics.main.name} is undefined" if results else "no result")
    fits = f"{len(scores)} fit{'s' if len(scores) > 1 else ''}"
    metric = results[0].metrics.main.name
    scale = metric_scale(metric)
    mean = f"{metric} {scale * sum(scores) / len(scores):.2f}{' %' if scale == 100.0 else ''} ({fits})"
    return f"{mean}; {reason}" if reason else mean


def remarks(label: str, results: Sequence[Result]) -> list[str]:
    """What the user should know about the fits of a unit: truncation, and warnings over all seeds."""
    from findna_bench.results.flags import bases_read, truncation_note, warnings_of

    good = [r for r in results if r.status == "success"]
    can_window = bool(good) and good[0].model.kind == "encoder"
    cut = truncation_note(bases_read(good[:1])) if can_window else truncation_note(bases_read(good[:1]), remedy="")
    warnings = [cut, *warnings_of(good).values()] if cut else list(warnings_of(good).values())
    return [f"{label}: {text}" for text in warnings]


class Lines:
    """Dated lines on stderr. Units that were finished before are counted, not listed."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._units = self._done = self._found = 0
        self._to_compute = 0.0
        self._seconds: list[float] = []
        self._last_progress: dict[str, float] = {}
        """Label of every unit under work -> when it was last spoken of."""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._say_found()

    def _say(self, text: str) -> None:
        if not self._quiet:
            output.complain(text, name=f"{datetime.now():%Y-%m-%d %H:%M:%S} ")

    def _say_found(self) -> None:
        if self._found:
            self._say(
                f"[{self._done}/{self._units}] {self._found} unit{'s' * (self._found != 1)} had been finished before"
            )
        self._found = 0

    def started(self, units: int, cells: int, finished: int) -> None:
        self._units = units
        self._to_compute = units * (1 - finished / cells) if cells else 0.0
        already = f", {finished} finished before" if finished else ""
        self._say(f"{cells} cell{'s' * (cells != 1)} in {units} model x task unit{'s' * (units != 1)}{already}")

    def unit_started(self, label: str) -> None:
        self._last_progress[label] = time.monotonic()

    def unit_progress(self, label: str, done: int, total: int, what: str) -> None:
        if time.monotonic() - self._last_progress.get(label, 0.0) > _EVERY_S:
            self._last_progress[label] = time.monotonic()
            of = f"{label}: " if len(self._last_progress) > 1 else ""
            self._say(f"  {of}{what} {done}/{total}")

    def unit_finished(self, label: str, results: Sequence[Result], seconds: float) -> None:
        at_once = max(1, len(self._last_progress))
        self._last_progress.pop(label, None)
        if not seconds and all(result.status == "success" for result in results):
            self._done, self._found = self._done + 1, self._found + 1
            return
        self._say_found()
        self._done += 1
        if seconds:
            self._seconds.append(seconds)
        self._say(f"[{self._done}/{self._units}] {label}: {summary(results)}, {seconds:.1f} s{self._eta(at_once)}")
        for text in remarks(label, results):
            self.note(text)

    def _eta(self, at_once: int) -> str:
        """By the mean of the units computed so far, of which ``at_once`` are under work; those finished before cost nothing and do
        not count.
        """
        left = min(self._to_compute - len(self._seconds), self._units - self._done)
        if left <= 0 or not self._seconds:
            return ""
        return f", about {sum(self._seconds) / len(self._seconds) * left / at_once:.0f} s left"

    def note(self, text: str) -> None:
        self._say(f"  note: {text}")


class Bars:
    """Bars: units of the matrix, and the work inside each that is computed now."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._matrix: TaskID | None = None
        self._inner: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()  # also shows the cursor again

    def started(self, units: int, cells: int, finished: int) -> None:
        self._matrix = self._progress.add_task("matrix", total=units)

    def unit_started(self, label: str) -> None:
        self._drop(label)
        self._inner[label] = self._progress.add_task(printable(label), total=None)

    def unit_progress(self, label: str, done: int, total: int, what: str) -> None:
        if label in self._inner:
            self._progress.update(self._inner[label], completed=done, total=total)

    def unit_finished(self, label: str, results: Sequence[Result], seconds: float) -> None:
        self._drop(label)
        if seconds or any(result.status != "success" for result in results):
            self.note(f"{label}: {summary(results)}, {seconds:.1f} s", word="")
            for text in remarks(label, results):
                self.note(text)
        if self._matrix is not None:
            self._progress.advance(self._matrix)

    def _drop(self, label: str) -> None:
        if label in self._inner:
            self._progress.remove_task(self._inner.pop(label))

    def note(self, text: str, *, word: str = "note: ") -> None:
        self._progress.console.print(printable(f"{word}{text}"), markup=False, highlight=False)
