"""What happens while jobs run, as values that travel between processes as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = [
    "Event",
    "Note",
    "Report",
    "ResultWritten",
    "Settled",
    "UnitProgress",
    "UnitReporter",
    "UnitStarted",
    "event_from_json",
    "event_to_json",
]


@dataclass(frozen=True)
class UnitStarted:
    """The cells of a unit (model x task) were claimed, and work on it begins.

    Attributes:
        unit: the unit's key, one of :attr:`findna_bench.api.Job.units`.
        label: the unit in words.
    """

    unit: str
    label: str


@dataclass(frozen=True)
class UnitProgress:
    """Within a unit, ``done`` of ``total`` sequences, seeds or steps (``what``) are computed."""

    unit: str
    label: str
    done: int
    total: int
    what: str


@dataclass(frozen=True)
class ResultWritten:
    """A result of a unit is on disk; ``path`` is relative to the results folder."""

    unit: str
    path: str


@dataclass(frozen=True)
class Note:
    """A remark for the user."""

    text: str
    """One sentence for the user."""


@dataclass(frozen=True)
class Settled:
    """All cells of a unit have a result file: computed, found, skipped or failed.

    Attributes:
        unit: the unit's key.
        label: the unit in words.
        results: result files in the order of the seeds, relative to the results folder.
        started, ended: seconds since 1970; ``started`` is None where nothing had to be computed.
    """

    unit: str
    label: str
    results: tuple[str, ...]
    started: float | None
    ended: float

    @property
    def seconds(self) -> float:
        """How long the unit was computed, 0 where nothing had to be."""
        return 0.0 if self.started is None else self.ended - self.started


Event = UnitStarted | UnitProgress | ResultWritten | Note | Settled
Report = Callable[[Event], None]
"""Takes what happens, as soon as it does."""

_EVENTS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (UnitStarted, UnitProgress, ResultWritten, Note, Settled)
}


def event_to_json(event: Event) -> dict[str, Any]:
    """An event, JSON-serialisable."""
    return {"event": type(event).__name__, **asdict(event)}


def event_from_json(values: Mapping[str, Any]) -> Event:
    """The inverse of :func:`event_to_json`."""
    kind = _EVENTS[values["event"]]
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    del fields["event"]
    event: Event = kind(**fields)
    return event


@dataclass(frozen=True)
class UnitReporter:
    """Turns what work within one unit says into events."""

    report: Report
    unit: str
    label: str

    def progress(self, done: int, total: int, what: str) -> None:
        self.report(UnitProgress(self.unit, self.label, done, total, what))

    def note(self, text: str) -> None:
        self.report(Note(text))
