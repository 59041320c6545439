"""Several results folders as one: what they have alike is taken once, and what contradicts itself is named and taken from none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from warnings import warn

from findna_bench.errors import OutputError, ResultsFolderError
from findna_bench.files import atomic_path, sha256_file, write_atomic
from findna_bench.results.schema import Result, parse_result, read_content
from findna_bench.results.store import ResultStore

__all__ = ["Merged", "merge"]


@dataclass(frozen=True)
class Merged:
    """What a merge did.

    copied: files of results that were written. present: results that were there already, or in several folders, with the same scores. settled: failures
    that are left out, as another folder holds a number for the same request. conflicts: a sentence about each cell whose numbers contradict each other.
    """

    copied: int
    present: int
    settled: int
    conflicts: tuple[str, ...]


def merge(folders: Sequence[Path], out: Path, left_out: Callable[[str], None] = warn) -> Merged:
    """Copy the results and predictions of several folders into one, which may hold some already. Of a cell that was computed several
    times with the same scores, the one stays that was there, or else the oldest; with other scores, none is copied.

    Args:
        folders: results folders, which are only read.
        out: the folder to write to; made if it is not there.
        left_out: takes a sentence about each file that is no result, or whose predictions are not its own.

    Raises:
        UsageError: one of the folders is not there.
        ResultsFolderError: ``out`` cannot be written.
    """
    sources = [ResultStore.existing(folder) for folder in folders]
    target = ResultStore(out)
    target.check_writable()
    found: dict[str, list[tuple[ResultStore, Result]]] = {}
    for store in [target, *(source for source in sources if source.root.resolve() != out.resolve())]:
        for path, result in store.readable(left_out):
            if store is target or _has_its_predictions(path, result, left_out):
                found.setdefault(store.name_of(path), []).append((store, result))
    numbers = {r.request_id for held in found.values() for _, r in held if r.status == "success"}
    copied = present = settled = 0
    conflicts = []
    for name, held in found.items():
        if all(r.status != "success" and r.request_id in numbers for _, r in held):
            settled += len(held)
            target.forget_failures({r.request_id for store, r in held if store is target})
            continue
        if len({_scores(r) for _, r in held if r.status == "success"}) > 1:
            where = "; ".join(f"{r.metrics.main.value} in {store.root}" for store, r in held)
            conflicts.append(f"{name} ({held[0][1].model.name} on {held[0][1].task_name}): {where}")
            continue
        store, _ = min(held, key=lambda one: (one[0] is not target, one[1].status != "success", one[1].created))
        present += len(held) - (store is not target)
        if store is not target:
            _copy(store.root / name, out / name)
            copied += 1
    return Merged(copied, present, settled, tuple(conflicts))


def _has_its_predictions(path: Path, result: Result, left_out: Callable[[str], None]) -> bool:
    """Whether the predictions beside a result are those that it was written with; there may be none of a failure, or by an old version."""
    if result.predictions_digest is None:
        return True
    try:
        same = sha256_file(path.with_suffix(".predictions.parquet")) == result.predictions_digest
    except OSError as error:
        left_out(f"{path}: its predictions cannot be read ({error.strerror or error}); it is left out")
        return False
    if not same:
        left_out(f"{path}: its predictions are not those that it was written with; it is left out")
    return same


def _scores(result: Result) -> str:
    """Of what two computations of one cell have to agree in."""
    return repr((result.identity, sorted(result.metrics.all.items()), result.metrics.main.value))


def _copy(source: Path, path: Path) -> None:
    """Predictions first, so that a result never lacks them.

    Raises:
        ResultsFolderError: they cannot be written, or the result was damaged in the meantime.
    """
    beside = source.with_suffix(".predictions.parquet")
    try:
        content = read_content(source)
        parse_result(content, str(source))
        if beside.exists():
            with atomic_path(path.with_suffix(".predictions.parquet")) as temporary:
                shutil.copyfile(beside, temporary)
        write_atomic(path, content)
    except OutputError as error:
        raise ResultsFolderError(str(error)) from error
