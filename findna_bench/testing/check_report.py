"""Outcomes of checks, in words and as a dictionary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from findna_bench.errors import BenchError, UnsupportedError
from findna_bench.plugin_code import fault_in_words

__all__ = ["Check", "Checklist", "Fault", "Report", "Status"]

Status = Literal["passed", "failed", "measured", "skipped"]


@dataclass(frozen=True)
class Check:
    """Outcome of one check.

    Attributes:
        name: of the check.
        status: ``measured`` is no fault either way, ``skipped`` has a reason in ``words``.
        words: one sentence.
        details: the numbers behind it.
    """

    name: str
    status: Status
    words: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """All checks of one thing that a plugin registers.

    Attributes:
        kind: singular, as ``model``.
        name: what was checked.
        checks: outcomes in the order in which they were made.
    """

    kind: str
    name: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """No check failed."""
        return not any(check.status == "failed" for check in self.checks)

    def text(self) -> str:
        """One line per check and a last one that sums up."""
        width = max((len(check.name) for check in self.checks), default=0)
        lines = [f"{check.status:<8}  {check.name:<{width}}  {check.words}" for check in self.checks]
        return "\n".join([*lines, f"{self.kind} {self.name}: {self.summary()}"])

    def summary(self) -> str:
        """How many checks passed, failed, ..., in words."""
        counts = {
            status: sum(c.status == status for c in self.checks)
            for status in ("passed", "failed", "measured", "skipped")
        }
        return ", ".join(f"{number} {status}" for status, number in counts.items() if number)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the name under its kind, ``passed``, ``checks`` (``name``, ``status``, ``words``, ``details``)."""
        return {self.kind: self.name, "passed": self.passed, "checks": [asdict(check) for check in self.checks]}


class Fault(Exception):
    """What a check found, as a sentence."""


class Checklist:
    """Checks of one thing, made one after the other; an exception of what is checked is a fault in its own words.

    Args:
        kind: singular, as ``objective``.
        name: what is checked.
    """

    def __init__(self, kind: str, name: str) -> None:
        self._kind, self._name = kind, name
        self._checks: list[Check] = []

    def check(self, name: str, run: Callable[[], str], *, status: Status = "passed") -> bool:
        """Make one check.

        Args:
            name: of the check.
            run: returns what holds, as a sentence; raises :class:`Fault` with the sentence where it does not, and
                ``UnsupportedError`` where the check does not apply.
            status: of a check that raises nothing; ``measured`` where neither outcome is a fault.

        Returns:
            Whether others that build on it may follow.
        """
        try:
            outcome = Check(name, status, run())
        except UnsupportedError as error:
            outcome = Check(name, "skipped", str(error))
        except (Fault, BenchError) as error:
            outcome = Check(name, "failed", str(error), {"error": type(error).__name__})
        except (Exception, SystemExit) as error:
            outcome = Check(name, "failed", fault_in_words(error), {"error": type(error).__name__})
        self._checks.append(outcome)
        return outcome.status != "failed"

    def report(self) -> Report:
        """What was found so far."""
        return Report(self._kind, self._name, tuple(self._checks))
