"""Do results hold what they say? Each is checked against itself, its predictions and local data; some are computed again.

What is changed in one place shows: a result carries a digest of its own fields, its ids are hashes of what it says, its metrics and
intervals follow from its predictions, and those name the rows of a data set. Someone who makes all of it anew, consistently, is
found only by computing a cell again (``rerun``), or by the signature of a bundle (``key``).
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from findna_bench.errors import BenchError, OutputError, UsageError, listed
from findna_bench.files import sha256_file
from findna_bench.matrix.agreement import disagreements, wrong_flags
from findna_bench.matrix.local_data import LocalData, NotHereError
from findna_bench.matrix.rerun import CannotRerunError, Rerun
from findna_bench.matrix.rows_read import n_read, request_of_rows
from findna_bench.matrix.unit import metrics_of
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.bundle import read_bundle
from findna_bench.results.schema import ADDED_KEYS, Metrics, Result, digest_of, parse_result, read_content
from findna_bench.results.signing import check_signature, signature_of
from findna_bench.results.store import ResultStore, ScoredRows, read_predictions
from findna_bench.statistics.classification import compute_metrics
from findna_bench.targets.target import find_target
from findna_bench.terminal import printable

__all__ = ["CHECKS", "Check", "Finding", "Verification", "verify"]

CHECKS = ("digest", "ids and fields", "predictions", "metrics", "intervals", "data")
"""Kinds of check, in the order in which they are made."""

_METRIC_TOLERANCE = 1e-9
_INTERVAL_TOLERANCE = 1e-6
_ROUNDED = 1e-6
"""For metrics of schema 1, whose predictions are in float32."""
_NO_DIGEST = "schema 1: no digest, fields cannot be checked"


@dataclass(frozen=True)
class Finding:
    """Something that does not hold."""

    path: str
    problem: str


@dataclass(frozen=True)
class Check:
    """One kind of check. done: results it was made of. not_done: reason -> results it could not be made of."""

    done: int = 0
    not_done: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """results: files checked. checks: of each kind in :data:`CHECKS`, how many were done. rerun: cells computed again.
    notes: what is no problem and should be known. not_rerun: reason -> results that could not be computed again here.
    """

    results: int
    checks: Mapping[str, Check]
    rerun: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    not_rerun: Mapping[str, int] = field(default_factory=dict)


def verify(
    results: Path,
    *,
    rerun: int = 0,
    tolerance: float = 1e-3,
    places: Mapping[str, Path] | None = None,
    data_dir: Path | None = None,
    key: str | None = None,
) -> Verification:
    """Check a results folder or a bundle.

    Args:
        results: the folder or the bundle. One without any result is a finding: nothing was verified.
        rerun: how many successful cells, evenly spread over those that can be, are computed again from nothing.
        tolerance: how far a main metric that is computed again may lie off.
        places: where the files and folders of users lie that results name, by that name.
        data_dir: data root.
        key: a public key (its file, or the line in it) that a bundle is to be signed with; nothing is unpacked otherwise.

    Raises:
        UsageError: there is nothing at ``results`` or at a place, or no result names its file; ``key`` is none, or is given for a folder.
        OutputError: a bundle is damaged, or not signed with the key.
    """
    again = Rerun(places or {}, data_dir, tolerance)
    if results.is_file():
        signed = _signature(results, key)
        with tempfile.TemporaryDirectory() as folder:
            read_bundle(results, Path(folder))
            found = _verify(Path(folder), rerun, again)
        return replace(found, notes=(*signed, *found.notes))
    if key is not None:
        raise UsageError(f"--key checks the signature of a bundle, and {results} is none; give the .tar.gz")
    if not results.is_dir():
        raise UsageError(f"{results}: no results folder and no bundle is there")
    return _verify(results, rerun, again)


def _signature(archive: Path, key: str | None) -> tuple[str, ...]:
    """What there is to say of a bundle's signature."""
    if key is not None:
        signed = check_signature(archive, key)
        return (f"signed with key {signed.key}: {printable(signed.comment.replace(chr(9), ', '))}",)
    beside = signature_of(archive)
    return (f"{beside.name} lies beside it and was not checked; --key does",) if beside.exists() else ()


def _verify(root: Path, rerun: int, again: Rerun) -> Verification:
    store = ResultStore(root)
    examiner = _Examiner(store, LocalData(again.data_dir, again.places))
    paths = list(store.paths())
    for path in paths:
        examiner.examine(path)
    findings = examiner.findings
    if not paths:
        findings.append(
            Finding(
                ".", "no result is here, so nothing was verified; give the folder that `run` wrote with --output-dir"
            )
        )
    _check_places(again.places, examiner.good)
    requests, reasons = _requests(examiner.good, again) if rerun else ([], {})
    sample = _sample(requests, rerun)
    for result, request in sample:
        if (problem := again.problem(result, request)) is not None:
            findings.append(Finding(store.name_of(store.path_of(result)), problem))
    if rerun and reasons and not sample:
        findings.append(Finding(".", f"no result could be computed again: {'; '.join(reasons)}"))
    notes = (*examiner.notes(), *_strays(root, paths))
    return Verification(len(paths), examiner.checks(), len(sample), tuple(findings), notes, reasons)


def _check_places(places: Mapping[str, Path], results: Sequence[Result]) -> None:
    names = sorted({name for result in results if result.request for name in result.request.files})
    for name, path in places.items():
        if name not in names:
            raise UsageError(f"--map {name}=...: no result names such a file; they name {', '.join(names) or 'none'}")
        if not path.expanduser().exists():
            raise UsageError(f"--map {name}={path}: there is nothing")


def _requests(results: Sequence[Result], again: Rerun) -> tuple[list[tuple[Result, RunRequest]], dict[str, int]]:
    """What to ask for to have each result again; and why others cannot be had, with how many they are."""
    requests, reasons = [], Counter[str]()
    for result in results:
        try:
            requests.append((result, again.request_of(result)))
        except CannotRerunError as error:
            reasons[str(error)] += 1
    return requests, dict(reasons)


class _Examiner:
    """Checks one result file after the other, and counts what could be checked."""

    def __init__(self, store: ResultStore, data: LocalData) -> None:
        self._store, self._data = store, data
        self._done: Counter[str] = Counter()
        self._not_done: dict[str, Counter[str]] = {kind: Counter() for kind in CHECKS}
        self._schema_1 = 0
        self.findings: list[Finding] = []
        self.good: list[Result] = []

    def examine(self, path: Path) -> None:
        where = path.relative_to(self._store.root).as_posix()
        try:
            content = read_content(path)
            result = parse_result(content, where)
        except OutputError as error:
            self.findings.append(Finding(where, str(error)))
            return
        try:
            for problem in self._problems(path, json.loads(content), result):
                self.findings.append(Finding(where, problem))
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # free-form parts may hold anything
            self.findings.append(
                Finding(where, f"cannot be checked, a part of it is no such thing as `run` writes ({error})")
            )

    def checks(self) -> dict[str, Check]:
        return {kind: Check(self._done[kind], dict(self._not_done[kind])) for kind in CHECKS}

    def notes(self) -> list[str]:
        n = self._schema_1
        return [f"{n} result{' is' if n == 1 else 's are'} of {_NO_DIGEST}"] if n else []

    def _problems(self, path: Path, content: Mapping[str, Any], result: Result) -> Iterator[str]:
        if self._store.path_of(result) != path:
            yield "the file's place is not the one its identity gives"
        yield from self._own_words(content, result)
        if result.status != "success":
            return
        self.good.append(result)
        try:
            rows = self._predictions(path, result)
        except OutputError as error:
            yield str(error)
            return
        if result.schema_version != 1:
            yield from wrong_flags(result, find_target(result.task.target).flags(rows.labels, result.task.labels))
        yield from self._scores(rows, result)
        yield from self._against_data(rows, result)

    def _own_words(self, content: Mapping[str, Any], result: Result) -> Iterator[str]:
        if result.schema_version == 1:
            self._schema_1 += 1
            for kind in ("digest", "ids and fields"):
                self._not_done[kind][_NO_DIGEST] += 1
            newer = [key for key in ADDED_KEYS if key in content]
            if newer or result.protocol_version > 1:
                yield f"it says schema 1 and holds {newer[0] if newer else 'protocol version 2'}, which came with schema 2"
            return
        self._done["digest"] += 1
        if content.get("digest") != digest_of(content):
            yield "its digest is not that of its fields: it was changed after it was written"
        self._done["ids and fields"] += 1
        yield from disagreements(result)

    def _predictions(self, path: Path, result: Result) -> ScoredRows:
        """The scored rows that belong to a result.

        Raises:
            OutputError: there are none, or they are others.
        """
        file = path.with_suffix(".predictions.parquet")
        rows = read_predictions(file, result.task.labels, result.task.target)
        if result.schema_version == 1:
            self._not_done["predictions"][_NO_DIGEST] += 1
            return rows
        self._done["predictions"] += 1
        if sha256_file(file) != result.predictions_digest:
            raise OutputError("its predictions are not those it was written with (sha256 differs)")
        if rows.groups is None:
            raise OutputError("its predictions lack the groups of related rows that intervals are computed from")
        return rows

    def _scores(self, rows: ScoredRows, result: Result) -> Iterator[str]:
        self._done["metrics"] += 1
        stored = result.metrics
        if result.schema_version == 1:
            self._not_done["intervals"]["schema 1: computed by another method"] += 1
            yield from _rounded_metrics(rows, stored)
        else:
            self._done["intervals"] += 1
            try:
                every = find_target(result.task.target).metrics(stored.main.name, result.task.labels)
                own = [name for name in stored.all if name in every]
                strata = str(stored.grouping.get("strata", ""))
                again = metrics_of(
                    rows, stored.main, stored.groups_by, result.task.labels, result.task.target, own, strata
                )
            except (BenchError, ValueError) as error:
                yield f"its metrics cannot be computed from its predictions ({error})"
                return
            yield from _differing_metrics(stored, again)
        if stored.main.value != stored.all.get(stored.main.name):
            yield f"the main metric {stored.main.name} is not the one in the list of all"
        held = (result.task.counts or {}).get("test", {})
        total = sum(held.values())
        read = n_read("test", total, request_of_rows(result))
        if read == total and result.task.counts is not None:
            counted = find_target(result.task.target).counts(rows.labels, result.task.labels)
            if {name: n for name, n in counted.items() if n} != {name: n for name, n in held.items() if n}:
                yield f"its predictions are of {len(rows.ids)} test rows, the classes of which are not those of its counts"
        elif read < total and len(rows.ids) != read:
            yield f"{len(rows.ids)} predictions under a limit of {read} of {total} test rows"

    def _against_data(self, rows: ScoredRows, result: Result) -> Iterator[str]:
        try:
            yield from self._data.differences(result, rows)
            self._done["data"] += 1
        except NotHereError as error:
            self._not_done["data"][str(error)] += 1


def _differing_metrics(stored: Metrics, again: Metrics) -> Iterator[str]:
    names = [name for name in again.all if name in stored.all]  # a version with more metrics makes no result wrong
    if unknown := sorted((stored.all.keys() | stored.intervals.keys()) - again.all.keys()):
        yield f"it holds a metric {unknown[0]!r} that its predictions do not give; there are {', '.join(again.all)}"
    if stored.all.keys() != stored.intervals.keys() or stored.main.name not in stored.all:
        yield "its metrics, its intervals and its main metric do not have the same names"
    for name in names:
        new = again.all[name]
        if not _close((stored.all.get(name),), (new,), _METRIC_TOLERANCE):
            yield f"{name} is stored as {stored.all.get(name)}, its predictions give {new}"
    for name in names:
        interval = again.intervals[name]
        own = stored.intervals.get(name)
        if not _close(own or (None, None), interval or (None, None), _INTERVAL_TOLERANCE):
            yield f"the interval of {name} is stored as {_shown(own)}, its predictions give {_shown(interval)}"
    for part in ("groups", "grouping"):
        if not _alike(getattr(stored, part), getattr(again, part)):
            yield f"metrics.{part} is not what its predictions give"
    if (stored.interval_unit, stored.n_groups) != (again.interval_unit, again.n_groups):
        yield (
            f"intervals are said to be over {stored.n_groups} {stored.interval_unit}, its predictions give {again.n_groups} "
            f"{again.interval_unit}"
        )


def _alike(one: Any, other: Any) -> bool:
    """Nested values, numbers within the tolerance of intervals."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_alike(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _INTERVAL_TOLERANCE
    return bool(one == other)


def _shown(interval: tuple[float, float] | None) -> str:
    return "none" if interval is None else f"{interval[0]:.6g} to {interval[1]:.6g}"


def _close(one: Sequence[float | None], other: Sequence[float | None], tolerance: float) -> bool:
    return all(
        (a is None) == (b is None) and (a is None or b is None or abs(a - b) <= tolerance)
        for a, b in zip(one, other, strict=True)
    )


def _rounded_metrics(rows: ScoredRows, stored: Metrics) -> Iterator[str]:
    """Metrics of schema 1, whose scores were rounded to float32 after they were computed: two that were different may have become
    equal, which leaves a range for what is ranked, and for what is predicted nothing to compare.
    """
    own = np.eye(rows.scores.shape[1], dtype=bool)[rows.labels]
    higher = np.nextafter(rows.scores, np.inf)
    best = compute_metrics(rows.labels, np.where(own, higher, rows.scores))
    worst = compute_metrics(rows.labels, np.where(own, rows.scores, higher))
    top = np.sort(rows.scores, axis=1)
    tied = bool((top[:, -1] == top[:, -2]).any())
    for name, value in stored.all.items():
        low, high = worst.get(name), best.get(name)
        if tied and name not in ("auroc", "auprc"):
            continue
        if value is None or low is None or high is None:
            fits = value is None and low is None
        else:
            fits = low - _ROUNDED <= value <= high + _ROUNDED
        if not fits:
            yield f"{name} is stored as {value}, its predictions give {low if low == high else f'{low} to {high}'}"


def _strays(root: Path, results: Sequence[Path]) -> Iterator[str]:
    """What lies in a results folder and belongs to no result."""
    known = {path.with_suffix(".predictions.parquet") for path in results} | set(results)
    for pattern, what in (
        ("*.predictions.parquet", "predictions without a result"),
        ("*.json", "JSON in no result's place"),
    ):
        found = sorted(
            path.relative_to(root).as_posix()
            for path in root.rglob(pattern)
            if path not in known and not any(part.startswith(".") for part in path.relative_to(root).parts)
        )
        if found:
            yield f"not checked: {what}, {listed(found, 1)}"


def _sample(results: Sequence[tuple[Result, RunRequest]], n: int) -> list[tuple[Result, RunRequest]]:
    ordered = sorted(results, key=lambda pair: pair[0].identity or "")
    if n <= 0 or not ordered:
        return []
    return [ordered[i] for i in sorted({round(x) for x in np.linspace(0, len(ordered) - 1, min(n, len(ordered)))})]
