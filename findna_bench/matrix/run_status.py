"""What runs, waits and has failed in a results folder, whichever executor works in it. Nothing is asked but the folder: the jobs that were sent, what
was written down about them, the claims of living processes, and the index of results.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from findna_bench.errors import BenchError
from findna_bench.matrix.job_folders import JobFolder, job_folders
from findna_bench.matrix.planning import plan
from findna_bench.matrix.request import expand
from findna_bench.registry import Registry, get_registry
from findna_bench.requests.declarations import from_json, to_json
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.claims import Claims, held_claims
from findna_bench.results.store import ResultStore

__all__ = ["RunStatus", "UnitStatus", "driving", "run_status"]

RUN_CLAIM = "run-"
"""How the name of a claim begins that a driver holds as long as it runs; it says what was asked for."""


@dataclass(frozen=True)
class UnitStatus:
    """A model on a task that is not finished.

    Attributes:
        unit: in words, ``MODEL on TASK``.
        state: ``running``; ``waiting``: somebody has asked for it, and nobody is at it; ``failed``.
        executor: who was asked to compute it; empty where the folder does not say (of what has failed).
        job: the executor's own name for the job (of Slurm, Ray); empty where it has none.
        host, pid: the process that computes it; None where none does.
        since: seconds since 1970: when it was begun, sent, or when it failed.
        progress: ``epochs 3/10``, as it was last said; empty where nothing was.
        cells: fits that have failed, of what has.
        reason: why it failed, in one line.
        log: file with what was printed while it was computed, relative to the results folder; empty where there is none.
    """

    unit: str
    state: Literal["running", "waiting", "failed"]
    executor: str = ""
    job: str = ""
    host: str | None = None
    pid: int | None = None
    since: float | None = None
    progress: str = ""
    cells: int = 0
    reason: str = ""
    log: str = ""


@dataclass(frozen=True)
class RunStatus:
    """The state of a results folder.

    Attributes:
        finished: results that are numbers.
        skipped: results that say why a model does not go with a task.
        units: what runs, waits and has failed, in this order.
    """

    finished: int
    skipped: int
    units: tuple[UnitStatus, ...]

    def count(self, state: str) -> int:
        """How many units are in a state."""
        return sum(unit.state == state for unit in self.units)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)


def run_status(results: Path, registry: Registry | None = None) -> RunStatus:
    """Look at a results folder; nothing in it is changed.

    Args:
        results: the folder.
        registry: where the models and tasks of runs are looked up; by default what is installed.

    Raises:
        UsageError: it does not exist.
    """
    store = ResultStore.existing(results)
    claims = held_claims(results)
    live: dict[str, UnitStatus] = {}
    for key, unit in (*_of_jobs(results, claims), *_of_claims(claims)):
        known = live.get(key)
        if known is None or (known.state == "waiting" and unit.state == "running"):
            live[key] = unit
    for key, unit in _asked_for(results, claims, registry or get_registry()):
        live.setdefault(key, unit)
    every = store.index(lambda problem: None).results()  # what is no result is for `verify` to say
    units = [*live.values(), *_failures(store, every)]
    order = ("running", "waiting", "failed")
    units.sort(key=lambda unit: order.index(unit.state))
    statuses = [result.status for result in every]
    return RunStatus(statuses.count("success"), statuses.count("skipped"), tuple(units))


def _of_jobs(results: Path, claims: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, UnitStatus]]:
    """Units of the jobs that were sent, by their keys."""
    for folder in job_folders(results):
        settled, owner = folder.settled(), claims.get(f"job-{folder.path.name}")
        begun = {key: at for key, at in folder.started().items() if key not in settled}
        labels = _labels(folder)
        for key in folder.job.units:
            if key in settled:
                continue
            runs = owner is not None and key in begun
            log = folder.log(key)
            yield (
                key,
                UnitStatus(
                    labels.get(key, f"{folder.job.model}, unit {key[:8]}"),
                    "running" if runs else "waiting",
                    folder.executor,
                    str(folder.submission.get("id", "")),
                    str(owner["host"]) if runs and owner is not None else None,
                    int(owner["pid"]) if runs and owner is not None else None,
                    begun[key] if runs else folder.created,
                    folder.progress(key) if runs else "",
                    log=f"{log.relative_to(results.absolute()).as_posix()}" if log.is_file() else "",
                ),
            )


def _labels(folder: JobFolder) -> dict[str, str]:
    """The units of a job in words; those that are not known here are left out."""
    with contextlib.suppress(BenchError):
        return {unit.key: unit.label for unit in expand(folder.job.request, get_registry())}
    return {}


def _of_claims(claims: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, UnitStatus]]:
    """Units that a living process holds: one claim for each of their cells."""
    for claim in claims.values():
        if isinstance(claim.get("unit"), str):
            yield (
                claim["unit"],
                UnitStatus(
                    str(claim.get("label", claim["unit"][:8])),
                    "running",
                    str(claim.get("executor", "")),
                    host=str(claim["host"]),
                    pid=int(claim["pid"]),
                    since=claim.get("since"),
                ),
            )


def _asked_for(
    results: Path, claims: Mapping[str, Mapping[str, Any]], registry: Registry
) -> Iterator[tuple[str, UnitStatus]]:
    """Units that living drivers have asked for, and that have neither a result nor a failure since."""
    for name, claim in claims.items():
        if not name.startswith(RUN_CLAIM):
            continue
        with contextlib.suppress(BenchError, ValueError, KeyError, TypeError):  # of other plugins, or another version
            request = replace(from_json(RunRequest, claim["request"]), output_dir=results)
            for planned in plan(request, registry).units:
                if planned.to_do > planned.failed:
                    yield (
                        planned.unit.key,
                        UnitStatus(planned.unit.label, "waiting", request.executor, since=claim.get("since")),
                    )


def _failures(store: ResultStore, results: list[Any]) -> list[UnitStatus]:
    """Failures by model and task, the last of each."""
    found: dict[str, list[Any]] = {}
    for result in results:
        if result.status in ("error", "oom"):
            shots = result.protocol.settings.get("shots")
            label = f"{result.model.name} on {result.task_name}{f' {shots}-shot' if shots else ''}"
            found.setdefault(label, []).append(result)
    units = []
    for label, failed in found.items():
        newest = max(failed, key=lambda result: (result.created, result.request_id))
        lines = (newest.error.message if newest.error else "").strip().splitlines()
        with contextlib.suppress(OSError):
            since: float | None = store.error_path(newest.request_id).stat().st_mtime
            units.append(UnitStatus(label, "failed", since=since, cells=len(failed), reason=(lines or [""])[0]))
    return units


@contextlib.contextmanager
def driving(request: RunRequest) -> Iterator[None]:
    """Within it, the results folder shows what this process has asked for."""
    # Objects of this process, and what they are, are nothing to others.
    about = {} if request.held else {"request": to_json(request)}
    with Claims(request.output_dir) as claims:
        claims.take(f"{RUN_CLAIM}{secrets.token_hex(8)}", about)
        yield
