"""Jobs that any process may take up: each a folder in the results folder, with what was done about it.

``<results>/.jobs/<executor>-<letters>/`` holds ``job.json``, a file of events for each attempt to compute it, and a log for each unit.
Whoever computes a job writes there what it settles, and whoever started the run reads it, so that nothing but the results folder
connects them: a driver that is started again finds its jobs, and the next attempt at a job what the last one left. Results are the
truth; what is lost of an event file costs a look at them.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from findna_bench.errors import BenchError, OutputError, ResultsFolderError, UsageError
from findna_bench.files import write_json
from findna_bench.matrix.events import (
    Event,
    Note,
    Report,
    ResultWritten,
    Settled,
    UnitProgress,
    UnitStarted,
    event_from_json,
    event_to_json,
)
from findna_bench.matrix.job_running import run_isolated
from findna_bench.matrix.jobs import Job, fail_job, settle_finished
from findna_bench.results.claims import Claims

__all__ = ["Ended", "JobFolder", "OpenJobs", "follow_jobs", "job_folders", "open_jobs", "waiting_for"]

_FOLDER = ".jobs"
_MOST_LOSSES = 3
"""Processes that may be lost, or stopped without getting further, while they compute one unit."""
_FURTHER = 0.05
"""Share of a unit's work that a process which was stopped has to add, to have got further."""
_PROGRESS_EVERY_S = 2.0
_JUST_SENT_S = 600.0
"""Age up to which a job that cannot be found may be on its way."""
_JUST_WRITTEN_S = 5.0
"""Age up to which whoever wrote a job down may not have said yet that it waits for it."""
_ELSEWHERE = (
    "executor",
    "workers",
    "timeout_s",
    "fail_fast",
    "overwrite",
    "command",
    "slurm",
    "ray_address",
    "environment",
)
"""Options that say where and when, and nothing of what is computed."""


@dataclass(frozen=True)
class Ended:
    """How a process that was to compute a job is known to have ended.

    Attributes:
        reason: in words, for the error of a unit that it left undone.
        then: ``again``: that says nothing of the model (a node was lost), and the job is computed once more, a few times at most;
            ``fail-unit``: the unit that was under work has failed, the others are computed once more; ``fail``: all that is left has failed.
    """

    reason: str
    then: Literal["again", "fail-unit", "fail"] = "again"


@dataclass
class _Attempt:
    """What one process did about a job, as far as it is written down."""

    settled: dict[str, Settled] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    """Unit -> its progress in words."""
    written: set[str] = field(default_factory=set)
    """Units of which it wrote a result."""
    progress: dict[str, float] = field(default_factory=dict)
    """Unit -> the largest share of its work that was reported."""
    stopped: bool = False
    """It was asked to stop, and did."""
    failed: tuple[str, str] | None = None
    """Kind and text of an error that ended it."""

    @property
    def begun(self) -> set[str]:
        return set(self.started)

    def take(self, values: Mapping[str, Any]) -> Event | None:
        """Add a line; the event it is, where it is one."""
        if values["event"] == "stopped":
            self.stopped = True
        elif values["event"] == "failed":
            self.failed = (str(values["kind"]), str(values["text"]))
        if values["event"] in ("begun", "stopped", "failed"):
            return None
        event = event_from_json({name: value for name, value in values.items() if name != "time"})
        if isinstance(event, Settled):
            self.settled[event.unit] = event
        elif isinstance(event, UnitStarted):
            self.started[event.unit] = float(values.get("time", 0.0))
        elif isinstance(event, ResultWritten):
            self.written.add(event.unit)
        elif isinstance(event, UnitProgress) and event.total:
            self.said[event.unit] = f"{event.what} {event.done}/{event.total}"
            self.progress[event.unit] = max(self.progress.get(event.unit, 0.0), event.done / event.total)
        return event


class JobFolder:
    """A job in the results folder.

    Attributes:
        path: its folder.
        job: the job.
    """

    def __init__(self, path: Path, job: Job) -> None:
        self.path, self.job = path, job

    @classmethod
    def create(cls, job: Job, executor: str) -> JobFolder:
        """Write a job down.

        Args:
            job: with the results folder in its request.
            executor: who is to compute it.

        Raises:
            ResultsFolderError: it cannot be written.
        """
        path = Path(job.request.output_dir).absolute() / _FOLDER / f"{executor}-{secrets.token_hex(6)}"
        folder = cls(path, job)
        folder._write("job.json", {"executor": executor, "created": time.time(), **job.to_json()})
        return folder

    @classmethod
    def open(cls, path: Path) -> JobFolder | None:
        """A job that was written down; None where it is done, and nobody waits for it any more.

        Raises:
            UsageError: it cannot be read.
        """
        try:
            values = json.loads((path / "job.json").read_text())
            return cls(path, Job.from_json(values))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} holds no job: {error}") from error

    @property
    def executor(self) -> str:
        """Who is to compute it."""
        return self.path.name.rpartition("-")[0]

    @property
    def created(self) -> float | None:
        """When it was written down, seconds since 1970."""
        with contextlib.suppress(OSError):
            return (self.path / "job.json").stat().st_mtime
        return None

    @property
    def age_s(self) -> float:
        """Seconds since it was written down."""
        return 0.0 if (created := self.created) is None else time.time() - created

    @property
    def submission(self) -> dict[str, Any]:
        """What :meth:`submitted` wrote last; empty where nothing was."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.path / "submission.json").read_text())
            return found if isinstance(found, dict) else {}
        return {}

    def submitted(self, **facts: Any) -> None:
        """Keep what is known of the job where it was sent: ``id``, and whatever finds it again; JSON-serialisable.

        Raises:
            ResultsFolderError: it cannot be written.
        """
        self._write("submission.json", facts)

    def log(self, unit: str) -> Path:
        """Where what is printed while a unit is computed goes."""
        return self.path / f"{unit[:16]}.log"

    def _write(self, name: str, values: Mapping[str, Any]) -> None:
        try:
            write_json(self.path / name, dict(values))
        except OutputError as error:
            raise ResultsFolderError(str(error)) from error

    def covers(self, job: Job) -> bool:
        """Whether this computes that job, whatever way it does."""
        return self.is_of(job) and set(job.units) <= set(self.job.units)

    def is_of(self, job: Job) -> bool:
        """Whether this asks for the same of some units as that job does of its units."""
        return self.job.python == job.python and _what(self.job) == _what(job)

    def only(self, units: Sequence[str]) -> JobFolder:
        """The same folder for one who waits for some of its units."""
        return JobFolder(self.path, replace(self.job, units=tuple(units)))

    def abandoned(self) -> bool:
        """Whether whoever waited for the job in :func:`waiting_for` is gone; False of one that was just written down.

        Raises:
            ResultsFolderError: the results folder cannot be written.
        """
        with Claims(self.path.parents[1]) as claims:
            return self.age_s > _JUST_WRITTEN_S and claims.take(f"driver-{self.path.name}")

    def close(self) -> None:
        """All is settled and known to whoever asked: nobody takes the job up any more. Its logs stay."""
        with contextlib.suppress(OSError):
            (self.path / "job.json").replace(self.path / "done.json")

    # ------------------------------------------------------------------------------------------------- what was done

    def events(self) -> Events:
        """A reader of what all attempts write down, from the first on."""
        return Events(self.path)

    def settled(self) -> dict[str, Settled]:
        """What came of units, as far as it is written down."""
        return {unit: found for attempt in self._attempts() for unit, found in attempt.settled.items()}

    def begun(self) -> set[str]:
        """Units that somebody began and nobody settled."""
        return {unit for attempt in self._attempts() for unit in attempt.begun} - set(self.settled())

    def started(self) -> dict[str, float]:
        """When work on a unit was last begun, seconds since 1970."""
        return {unit: at for attempt in self._attempts() for unit, at in attempt.started.items()}

    def progress(self, unit: str) -> str:
        """How far work on a unit has come, as it was last said: ``epochs 3/10``; empty where nothing was."""
        said = [attempt.said[unit] for attempt in self._attempts() if unit in attempt.said]
        return said[-1] if said else ""

    def _attempts(self) -> list[_Attempt]:
        reader = self.events()
        list(reader)
        return list(reader.attempts.values())

    def _given_up(self, unit: str) -> str | None:
        """Why a unit is not tried again, where it is not."""
        lost, stopped, furthest = 0, 0, 0.0
        for attempt in (found for found in self._attempts() if unit in found.begun and unit not in found.settled):
            progress = attempt.progress.get(unit, 0.0)
            if unit in attempt.written:
                lost = stopped = 0
            elif not attempt.stopped:
                lost += 1
            elif progress >= furthest + _FURTHER:
                stopped = 0
            else:
                stopped += 1
            furthest = max(furthest, progress)
        if lost >= _MOST_LOSSES:
            return f"{lost} processes that computed it were lost, the last on {self._host()}; see {self._shown(unit)}"
        if stopped >= _MOST_LOSSES:
            return (
                f"it was stopped {stopped} times without getting further; give it more time, or see {self._shown(unit)}"
            )
        return None

    def _host(self) -> str:
        names = [name for path in sorted(self.path.glob("attempt-*.jsonl")) for name in _hosts(path)]
        return names[-1] if names else "a machine without a name"

    def _shown(self, unit: str) -> str:
        return f"{_FOLDER}/{self.path.name}/{self.log(unit).name} in the results folder"

    # ----------------------------------------------------------------------------------------------------- to compute

    def compute(self, report: Report = lambda event: None, *, alone: bool = False, **facts: Any) -> Generator[Settled]:
        """Compute, in a child process, what nobody has settled yet; each unit as soon as it is settled. Closing the iterator, or an
        interruption, stops the child, which finishes a training step and its checkpoint.

        Args:
            report: takes events on the way.
            alone: compute nothing where a living process is at the job already. Otherwise cells that such a one holds are waited for.
            facts: about this attempt, to be kept; JSON-serialisable.

        Raises:
            BenchError: as :func:`findna_bench.api.run_job`.
        """
        with Claims(self.path.parents[1]) as claims:
            if claims.take(f"job-{self.path.name}", {"executor": self.executor}) or not alone:
                yield from self._compute(report, facts)

    def new_attempt(self) -> AttemptFile:
        """A file of events of whoever begins to do something about the job."""
        return AttemptFile(self.path / f"attempt-{time.time_ns()}-{secrets.token_hex(3)}.jsonl")

    def _compute(self, report: Report, facts: Mapping[str, Any]) -> Iterator[Settled]:
        earlier = self.settled()
        left = [unit for unit in self.job.units if unit not in earlier]
        if not left:
            return
        reasons = {unit: reason for unit in left if (reason := self._given_up(unit)) is not None}
        attempt = self.new_attempt()
        attempt.write({"event": "begun", "host": socket.gethostname(), "pid": os.getpid(), **facts})

        def tell(event: Event) -> None:
            attempt.take(event)
            report(event)

        try:
            for unit, reason in reasons.items():
                yield from map(attempt.take, fail_job(replace(self.job, units=(unit,)), reason))
            if rest := tuple(unit for unit in left if unit not in reasons):
                job = replace(self.job, units=rest)
                with contextlib.closing(run_isolated(job, tell, logs=self.path)) as answers:
                    yield from map(attempt.take, answers)
        except BenchError as error:
            attempt.write({"event": "failed", "kind": type(error).__name__, "text": str(error)})
            raise
        except (KeyboardInterrupt, GeneratorExit):
            attempt.write({"event": "stopped"})
            raise


@contextlib.contextmanager
def waiting_for(folders: Sequence[JobFolder]) -> Iterator[None]:
    """Inside, others see that this process waits for jobs (:meth:`JobFolder.abandoned`): for executors whose processes end with the
    command, so that what a killed one left is closed by the next.

    Args:
        folders: jobs of one results folder.

    Raises:
        ResultsFolderError: the results folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        if folders:
            claims = stack.enter_context(Claims(folders[0].path.parents[1]))
            for folder in folders:
                claims.take(f"driver-{folder.path.name}")
        yield


def job_folders(results: Path) -> list[JobFolder]:
    """All jobs of a results folder that are not known to be done, the oldest first; what cannot be read as one is left out."""
    found = []
    for path in (Path(results).absolute() / _FOLDER).glob("*/job.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, BenchError):
            values = json.loads(path.read_text())
            found.append((float(values["created"]), path.parent.name, JobFolder(path.parent, Job.from_json(values))))
    return [folder for *_, folder in sorted(found, key=lambda entry: entry[:2])]


@dataclass(frozen=True)
class OpenJobs:
    """What is to be done about the jobs of a run.

    Attributes:
        settled: units that need no computing.
        waiting: jobs that an earlier run of the same has sent, and that may still settle something.
        new: jobs to send.
    """

    settled: tuple[Settled, ...]
    waiting: tuple[JobFolder, ...]
    new: tuple[JobFolder, ...]


def open_jobs(jobs: Sequence[Job], executor: str, alive: Callable[[JobFolder], bool | None]) -> OpenJobs:
    """Write down those jobs of a run that somebody has to compute.

    Args:
        jobs: what the executor was given.
        executor: its name.
        alive: whether a job that lies there may still settle something; None where nobody can tell.

    Returns:
        What is settled without computing, what an earlier run of the same has sent already, and what is new.

    Raises:
        ResultsFolderError: jobs cannot be written.
    """
    lying = [folder for folder in job_folders(Path(jobs[0].request.output_dir)) if folder.executor == executor]
    settled, waiting, new = list[Settled](), list[JobFolder](), list[JobFolder]()
    for job in jobs:
        finished = settle_finished(job)
        settled += finished
        done = {found.unit for found in finished}
        for folder in lying:
            if set(folder.job.units) <= done and folder.is_of(job):  # nobody waited for its end
                folder.close()
        left = replace(job, units=tuple(unit for unit in job.units if unit not in done))
        if not left.units:
            continue
        same = [folder for folder in lying if folder.covers(left)]
        lives = {folder: alive(folder) for folder in same}
        living = next((folder for folder in same if lives[folder]), None)
        for folder in same:
            if lives[folder] is False and folder.age_s > _JUST_SENT_S:  # of a run that ended, however it did
                folder.close()
        if living is not None:
            waiting.append(living.only(left.units))
        else:
            new.append(JobFolder.create(left, executor))
    return OpenJobs(tuple(settled), tuple(waiting), tuple(new))


def _what(job: Job) -> dict[str, Any]:
    values = job.to_json()["request"]
    values["output_dir"] = str(Path(values["output_dir"]).absolute())
    return {name: value for name, value in values.items() if name not in _ELSEWHERE}


def _hosts(path: Path) -> list[str]:
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
        return [str(json.loads(path.read_text().splitlines()[0])["host"])]
    return []


class AttemptFile:
    """Writes down what an attempt does, each line in one write. Nothing is lost with what does not fit on a full disk but time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reported: dict[tuple[str, str], float] = {}

    def take(self, event: Any) -> Any:
        """Write an event down, of progress one every two seconds; returns it."""
        if isinstance(event, UnitProgress):
            key, now = (event.unit, event.what), time.monotonic()
            if now - self._reported.get(key, -_PROGRESS_EVERY_S) < _PROGRESS_EVERY_S and event.done < event.total:
                return event
            self._reported[key] = now
        self.write(event_to_json(event))
        return event

    def write(self, values: Mapping[str, Any]) -> None:
        line = json.dumps({**values, "time": time.time()}).encode() + b"\n"
        with contextlib.suppress(OSError):  # opened for each line: a network folder shows others what was closed
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)


class Events:
    """Iterates over what was written down since the last time; lines that are torn are left out.

    Attributes:
        attempts: file -> what it holds, as far as it was read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}
        self.attempts: dict[Path, _Attempt] = {}

    def __iter__(self) -> Iterator[Event]:
        for path in sorted(self._folder.glob("attempt-*.jsonl")):
            attempt = self.attempts.setdefault(path, _Attempt())
            for line in self._new_lines(path):
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    if (event := attempt.take(json.loads(line))) is not None:
                        yield event

    def _new_lines(self, path: Path) -> list[bytes]:
        at = self._read.get(path, 0)
        try:
            with path.open("rb") as stream:
                stream.seek(at)
                new = stream.read()
        except OSError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._read[path] = at + len(whole)
        return whole.splitlines()


@dataclass
class _Followed:
    """A job that is computed elsewhere, as its driver sees it."""

    folder: JobFolder
    events: Events
    settled: set[str] = field(default_factory=set)
    ends: int = 0
    errors: set[tuple[Path, str]] = field(default_factory=set)

    @property
    def left(self) -> list[str]:
        return [unit for unit in self.folder.job.units if unit not in self.settled]

    def news(self, report: Report) -> Iterator[Settled]:
        """What was settled since the last call.

        Raises:
            BenchError: an attempt met one that ends the run.
        """
        for event in self.events:
            if not isinstance(event, Settled):
                report(event)
            elif event.unit in self.left:
                self.settled.add(event.unit)
                yield event
        for path, attempt in self.events.attempts.items():
            if attempt.failed is None or (path, attempt.failed[1]) in self.errors:
                continue
            self.errors.add((path, attempt.failed[1]))
            if attempt.failed[0] != ResultsFolderError.__name__:
                raise BenchError(attempt.failed[1])
            report(Note(f"{self.folder.job.model}: {attempt.failed[1]}"))  # of that machine; another may have room

    def failed_by(self, end: Ended) -> list[str]:
        """The units that fail since a process ended so; the others are computed again."""
        attempts = list(self.events.attempts.values())
        if not (
            attempts and attempts[-1].stopped
        ):  # one that stopped as it was asked to is counted where it is begun again
            self.ends += 1
        begun = {unit for attempt in attempts for unit in attempt.begun}
        under_work = [unit for unit in self.left if unit in begun]
        if end.then == "fail" or self.ends >= _MOST_LOSSES:
            return self.left
        return (under_work or self.left) if end.then == "fail-unit" else []

    def fail(self, units: Sequence[str], reason: str) -> Iterator[Settled]:
        self.settled.update(units)
        settled = fail_job(replace(self.folder.job, units=tuple(units)), reason)
        yield from map(self.folder.new_attempt().take, settled)  # written down, so that nobody tries them again


def follow_jobs(
    folders: Sequence[JobFolder],
    ended: Callable[[JobFolder], Ended | None],
    again: Callable[[Sequence[JobFolder]], None],
    report: Report,
    *,
    every_s: float = 1.0,
) -> Iterator[Settled]:
    """Wait for jobs that other processes compute by :meth:`JobFolder.compute`: what an executor yields whose jobs run elsewhere.

    Args:
        folders: the jobs.
        ended: how the process that is to compute a job ended; None where it may still settle something. Only asked while it has
            something to settle.
        again: has jobs computed once more.
        report: takes events on the way.
        every_s: how often to look.

    Yields:
        What came of each unit.

    Raises:
        BenchError: one ended a job that says nothing of its models, or ``fail_fast`` is set and a unit failed.
    """
    running = [_Followed(folder, folder.events()) for folder in folders]
    while running:
        lost = []
        for followed in list(running):
            yield from followed.news(report)
            end = ended(followed.folder) if followed.left else None
            if end is not None:
                yield from followed.news(report)  # its last words, written before it was found to have ended
            if end is not None and followed.left:
                failed = followed.failed_by(end)
                if failed:
                    yield from followed.fail(failed, end.reason)
                else:
                    report(Note(f"{followed.folder.job.model}: {end.reason}; it is computed again"))
                lost += [followed.folder] if followed.left else []
            if not followed.left:
                followed.folder.close()
                running.remove(followed)
        if lost:
            again(lost)
        if running:
            time.sleep(every_s)
