"""What a running matrix says to whoever watches; the command line turns it into bars or dated lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from findna_bench.results.schema import Result

__all__ = ["Reporter", "RunReporter", "Silent"]


class Reporter(Protocol):
    """Receives what the work within one unit says."""

    def progress(self, done: int, total: int, what: str) -> None:
        """``done`` of ``total`` sequences, epochs, ..."""

    def note(self, text: str) -> None:
        """A remark for the user: a warning, a licence, a back-off."""


class RunReporter(Protocol):
    """Receives the events of a run. Units that are computed at the same time are told apart by their labels."""

    def started(self, units: int, cells: int, finished: int) -> None:
        """``cells`` in ``units`` were asked for, ``finished`` of them lie there already."""

    def unit_started(self, label: str) -> None:
        """Work on one model x task begins."""

    def unit_progress(self, label: str, done: int, total: int, what: str) -> None:
        """Within a unit: ``done`` of ``total`` sequences, epochs, ..."""

    def unit_finished(self, label: str, results: Sequence[Result], seconds: float) -> None:
        """All cells of a unit are settled; ``seconds`` is 0 where nothing had to be computed."""

    def note(self, text: str) -> None:
        """A remark for the user."""


class Silent:
    """Says nothing, of a run or of a unit."""

    def started(self, units: int, cells: int, finished: int) -> None: ...

    def unit_started(self, label: str) -> None: ...

    def unit_progress(self, label: str, done: int, total: int, what: str) -> None: ...

    def unit_finished(self, label: str, results: Sequence[Result], seconds: float) -> None: ...

    def progress(self, done: int, total: int, what: str) -> None: ...

    def note(self, text: str) -> None: ...
