"""Do results hold what they say? Schema, names, digests, metrics recomputed from predictions, sampled cells run again."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from findna_bench.errors import BenchError, OutputError, UsageError
from findna_bench.evaluation.metrics import compute_metrics
from findna_bench.results.bundle import read_bundle
from findna_bench.results.schema import Result, read_result
from findna_bench.results.store import ResultStore, read_predictions
from findna_bench.threads import DEFAULT_THREADS

__all__ = ["Finding", "Verification", "verify"]

_TOLERANCE = 1e-6
"""Predictions are stored in float32, metrics were computed in float64."""


@dataclass(frozen=True)
class Finding:
    """Something that does not hold."""

    path: str
    problem: str


@dataclass(frozen=True)
class Verification:
    """results: files checked. recomputed: of these, metrics recomputed from predictions. rerun: cells computed again."""

    results: int
    recomputed: int
    rerun: int
    findings: tuple[Finding, ...]


def verify(results: Path, *, rerun: int = 0, tolerance: float = 1e-3, data_dir: Path | None = None) -> Verification:
    """Check a results folder or a bundle.

    rerun: how many successful cells, evenly spread, are computed again; their main metric must agree to ``tolerance``.

    Raises:
        UsageError: there is nothing at ``results``. OutputError: a bundle is damaged.
    """
    if results.is_file():
        with tempfile.TemporaryDirectory() as folder:
            read_bundle(results, Path(folder))
            return _verify(Path(folder), rerun, tolerance, data_dir)
    if not results.is_dir():
        raise UsageError(f"{results}: no results folder and no bundle is there")
    return _verify(results, rerun, tolerance, data_dir)


def _verify(root: Path, rerun: int, tolerance: float, data_dir: Path | None) -> Verification:
    store = ResultStore(root)
    findings: list[Finding] = []
    good: list[Result] = []
    checked = recomputed = 0
    for path in store.paths():
        checked += 1
        where = path.relative_to(root).as_posix()
        try:
            result = read_result(path)
        except OutputError as error:
            findings.append(Finding(where, str(error)))
            continue
        if store.path_of(result) != path:
            findings.append(Finding(where, "the file's place is not the one its identity gives"))
        if result.status == "success":
            good.append(result)
            recomputed += 1
            findings += [Finding(where, problem) for problem in _check_predictions(path, result)]
    again = _sample(good, rerun)
    findings += [finding for result in again for finding in _run_again(store, result, tolerance, data_dir)]
    return Verification(checked, recomputed, len(again), tuple(findings))


def _check_predictions(path: Path, result: Result) -> list[str]:
    try:
        rows = read_predictions(path.with_suffix(".predictions.parquet"), len(result.task.labels))
    except OutputError as error:
        return [str(error)]
    again = compute_metrics(rows.labels, rows.scores)
    problems = []
    for name, value in result.metrics.all.items():
        new = again.get(name)
        if (value is None) != (new is None) or (
            value is not None and new is not None and abs(value - new) > _TOLERANCE
        ):
            problems.append(f"{name} is stored as {value}, its predictions give {new}")
    main = result.metrics.main
    if main.value != result.metrics.all.get(main.name):
        problems.append(f"the main metric {main.name} is not the one in the list of all")
    if (
        result.limit is None
        and result.task.counts
        and len(rows.ids) != sum(result.task.counts.get("test", {}).values())
    ):
        problems.append(f"{len(rows.ids)} predictions for {sum(result.task.counts.get('test', {}).values())} test rows")
    return problems


def _sample(results: Sequence[Result], n: int) -> list[Result]:
    ordered = sorted(results, key=lambda result: result.identity or "")
    if n <= 0 or not ordered:
        return []
    return [ordered[i] for i in sorted({round(x) for x in np.linspace(0, len(ordered) - 1, min(n, len(ordered)))})]


def _run_again(store: ResultStore, result: Result, tolerance: float, data_dir: Path | None) -> list[Finding]:
    from findna_bench.matrix.run import run
    from findna_bench.requests.run_request import RunRequest

    where = store.path_of(result).relative_to(store.root).as_posix()
    settings = result.protocol.settings
    with tempfile.TemporaryDirectory() as folder:
        request = RunRequest(
            models=(result.model.name,),
            tasks=(result.task_name,),
            protocol=result.protocol.name,
            preset=result.preset or "default",
            seeds=(result.seed or 0,),
            shots=(settings["shots"],) if settings.get("shots") else (),
            shot_validation=settings.get("shot_validation", "full") if settings.get("shots") else "within",
            pooling=result.model.pooling,
            layer=result.model.layer if result.model.layer is not None else -1,
            strand=result.strand or "forward",
            window=result.window,
            split=result.task.split or "official",
            selection=result.selection or "validation",
            search=settings.get("search"),
            limit=result.limit,
            dtype=result.dtype or "auto",
            batch_size=result.batch.requested or "auto",
            threads=result.threads or DEFAULT_THREADS,
            output_dir=Path(folder),
            data_dir=data_dir,
        )
        try:
            again = run(replace(request, overwrite="always"))[0]
        except BenchError as error:
            return [Finding(where, f"cannot be computed again: {error}")]
    if again.status != "success" or again.metrics.main.value is None or result.metrics.main.value is None:
        return [
            Finding(where, f"computed again it ends in {again.status}: {again.error.message if again.error else ''}")
        ]
    if abs(again.metrics.main.value - result.metrics.main.value) > tolerance:
        return [
            Finding(
                where,
                f"computed again {again.metrics.main.name} is {again.metrics.main.value}, stored is {result.metrics.main.value}",
            )
        ]
    if again.identity != result.identity:
        return [
            Finding(where, "computed again it has another identity: data, weights, settings or versions differ here")
        ]
    return []
