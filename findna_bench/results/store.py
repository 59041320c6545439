"""The results folder: ``<model>/<suite>/<task>/<protocol>/<identity[:16]>.json`` with predictions beside, whole or absent."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from warnings import warn

from findna_bench.errors import OutputError, ResultsFolderError, UsageError
from findna_bench.files import atomic_path, path_segment, sha256_file, write_atomic
from findna_bench.registry import get_registry, make
from findna_bench.results.result_index import ResultIndex, result_files
from findna_bench.results.schema import APART, Result, read_result, result_text, sealed

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ResultStore", "ScoredRows", "read_predictions", "write_predictions"]

_STALE_S = 86_400.0
_DIGITS: Final = 16
"""Of the identity, in the name of a file."""
_PREDICTIONS: Final = ".predictions.parquet"


@dataclass(frozen=True)
class ScoredRows:
    """What the metrics and intervals of a result were computed from, and all that is needed to compute them again.

    ids: (n,) str. labels: (n,) int64 classes, or what else the target predicts. scores: (n, C) float64. groups: (n,) int64, rows of one group being related (equal
    sequences, overlapping coordinates, or a group of the data set); None where nobody looked (results of schema 1).
    """

    ids: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    groups: np.ndarray | None = None
    folds: np.ndarray | None = None
    """(n,) int64, the fold in which a row was scored, or its element where scores are means over elements, as
    :class:`~findna_bench.statistics.fold_mean.Folds` numbers them; None where there are none."""
    elements: np.ndarray | None = None
    """(n,) str, what a row belongs to, by which scores are listed as well; None where the data name nothing."""
    sites: np.ndarray | None = None
    """(n,) int64, with ``elements``: rows of one site are related within an element, too."""


class ResultStore:
    """Reads and writes the result files under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check_writable(self) -> None:
        """Find out before any work whether results can be written.

        Raises:
            ResultsFolderError: they cannot.
        """
        if self.root.exists() and not self.root.is_dir():
            raise ResultsFolderError(f"results folder {self.root} is a file; choose another with --output-dir")
        try:
            probe = self.root / f".writable.{os.getpid()}"
            write_atomic(probe, b"?")
            probe.unlink(missing_ok=True)
        except (OSError, OutputError) as error:
            cause = error.__cause__ if isinstance(error, OutputError) else error
            reason = getattr(cause, "strerror", None) or error
            raise ResultsFolderError(
                f"cannot write to results folder {self.root}: {reason}; choose another with --output-dir"
            ) from error

    @classmethod
    def existing(cls, root: Path) -> ResultStore:
        """The store of a folder that is there already.

        Raises:
            UsageError: it is not there.
        """
        if not root.is_dir():
            what = "is a file" if root.exists() else "does not exist"
            raise UsageError(f"results folder {root} {what}; `findna-bench run` makes one")
        return cls(root)

    def sweep(self) -> None:
        """Remove what killed writers left behind; a file younger than a day may still be written."""
        for path in self.root.rglob(".*.part"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink()

    def folder(self, model: str, suite: str, task: str, protocol: str) -> Path:
        """Where the cells of a model on a task under a protocol lie."""
        return self.root.joinpath(*(path_segment(part) for part in (model, suite, task, protocol)))

    def folder_name(self, model: str, suite: str, task: str, protocol: str) -> str:
        """:meth:`folder`, as :meth:`name_of` says where files lie, with "/" at its end."""
        return "/".join(path_segment(part) for part in (model, suite, task, protocol)) + "/"

    def path_of(self, result: Result) -> Path:
        """The file of a result: by identity, or under ``errors/`` by request where the cell has no identity."""
        return self.root / f"{self._stem(result)}.json"

    def predictions_name(self, result: Result) -> str:
        """The file of its predictions, relative to the folder."""
        return self._stem(result) + _PREDICTIONS

    def have_predictions(self, results: Sequence[Result]) -> bool:
        """Whether those of all results of one model, task and protocol are there; they lie in one folder."""
        folder = os.path.dirname(self._stem(results[0]))
        try:
            there = set(os.listdir(f"{self.root}/{folder}"))
        except OSError:
            return False
        return all(f"{(r.identity or '')[:_DIGITS]}{_PREDICTIONS}" in there for r in results)

    def _stem(self, result: Result) -> str:
        if result.status in ("error", "oom") or result.identity is None:
            return f"errors/{result.request_id}"
        task = result.task.name.partition(APART)[0]
        folder = self.folder_name(result.model.name, result.task.suite, task, result.protocol.name)
        return folder + result.identity[:_DIGITS]

    def name_of(self, path: Path) -> str:
        """A file of this folder as other processes and machines find it: relative to the folder."""
        return path.relative_to(self.root).as_posix()

    def error_path(self, request_id: str) -> Path:
        return self.root / "errors" / f"{request_id}.json"

    def failures(self) -> dict[str, int]:
        """Modification times (ns) of the files under ``errors/``, by request id."""
        try:
            entries = list(os.scandir(self.root / "errors"))
        except OSError:
            return {}
        found = {}
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    found[entry.name.removesuffix(".json")] = entry.stat().st_mtime_ns
        return found

    def forget_failures(self, request_ids: Iterable[str]) -> None:
        """Remove what earlier tries left under ``errors/``.

        Raises:
            ResultsFolderError: it cannot be removed.
        """
        for request_id in request_ids:
            path = self.error_path(request_id)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise ResultsFolderError(f"cannot remove {path}: {error.strerror or error}") from error

    def write(self, result: Result, predictions: ScoredRows | None = None) -> Path:
        """Write a result; ``predictions`` go first, so that a result never lacks them. A success removes the error file of
        an earlier try.

        Raises:
            ResultsFolderError: the disk is full or the folder cannot be written.
        """
        path = self.path_of(result)
        beside = self.root / self.predictions_name(result)
        try:
            if predictions is not None:
                write_predictions(beside, predictions, result.task.target)
            digest = sha256_file(beside) if predictions is not None else None
            write_atomic(path, result_text(sealed(result, digest)))
        except OutputError as error:
            raise ResultsFolderError(str(error)) from error
        if path != self.error_path(result.request_id):
            self.forget_failures([result.request_id])
        return path

    def predictions(self, result: Result) -> ScoredRows:
        """The scored rows of a successful result.

        Raises:
            OutputError: they are missing, or not what belongs to this result.
        """
        path = self.root / self.predictions_name(result)
        return read_predictions(path, result.task.labels, result.task.target)

    def paths(self) -> Iterator[Path]:
        """All result files, in a fixed order; claims and other hidden files are left out."""
        for name in result_files(self.root):
            yield self.root / name

    def index(self, left_out: Callable[[str], None] = warn, *, models: Collection[str] | None = None) -> ResultIndex:
        """What lies in the folder now; of many results, files that did not change are not read again.

        Args:
            left_out: takes a sentence about each file that is no result; it is a Python warning where nobody does.
            models: names of models whose results are looked at, and all failures; None for everything.
        """
        return ResultIndex(self.root, left_out, models=models)

    def load(self, left_out: Callable[[str], None] = warn) -> list[Result]:
        """All results. One file that is none costs no other: it is left out, and named (as in :meth:`index`)."""
        return self.index(left_out).results()

    def readable(self, left_out: Callable[[str], None] = warn) -> Iterator[tuple[Path, Result]]:
        """:meth:`load` from the files themselves, each result with its file."""
        for path in self.paths():
            try:
                yield path, read_result(path)
            except OutputError as error:
                left_out(f"{error}; it is left out")

    def damaged(self) -> list[Path]:
        """Files where a result should be that cannot be read as one."""
        found = []
        for path in self.paths():
            try:
                read_result(path)
            except OutputError:
                found.append(path)
        return found


def _target(name: str) -> Any:
    """What knows the columns of a predictions file."""
    return make(get_registry().resolve("targets", name).card.factory, f"target {name!r}")


def write_predictions(path: Path, rows: ScoredRows, target: str = "classes") -> None:
    """Parquet with ``row_id``, the columns of the target (classes: ``label, score_0 .. score_{C-1}``, float64, every bit that the
    metrics were computed from) and, where they are known, ``group``, ``element`` and ``site``, and of a split in folds ``fold`` (int64)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"row_id": pa.array([str(r) for r in rows.ids])}
    columns |= {name: pa.array(values) for name, values in _target(target).to_columns(rows.labels, rows.scores).items()}
    if rows.groups is not None:
        columns["group"] = pa.array(np.asarray(rows.groups, dtype=np.int64))
    if rows.folds is not None:
        columns["fold"] = pa.array(np.asarray(rows.folds, dtype=np.int64))
    if rows.elements is not None:
        columns["element"] = pa.array([str(name) for name in rows.elements])
        columns["site"] = pa.array(np.asarray(rows.sites, dtype=np.int64))
    # As open files: pyarrow takes no path with letters that the locale cannot read.
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        pq.write_table(pa.table(columns), stream, compression="zstd")


def read_predictions(path: Path, labels: Sequence[str], target: str = "classes") -> ScoredRows:
    """What :func:`write_predictions` wrote; files of schema 1 have scores rounded to float32, and no groups.

    Raises:
        OutputError: the file is missing, unreadable, empty, or holds other columns; row ids are not unique; a score is not finite; no
            plugin registers the target.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as stream:
            # In this thread alone: Arrow's threads may let go of a Python file when the interpreter has ended, which aborts the process.
            table = pq.ParquetFile(stream, pre_buffer=False).read(use_threads=False)
    except FileNotFoundError:
        raise OutputError(
            f"its predictions are missing ({path.name}); run the cell again with --overwrite always"
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise OutputError(f"its predictions cannot be read ({error})") from error
    columns = {name: table[name] for name in table.column_names}
    named = columns.pop("row_id", None)
    groups, folds, sites = (columns.pop(name, None) for name in ("group", "fold", "site"))
    elements = columns.pop("element", None)
    if named is None:
        raise OutputError(f"its predictions have columns {', '.join(table.column_names)}")
    if not len(named):
        raise OutputError("its predictions hold no row")
    try:
        arrays = {
            name: np.array(column.to_pylist(), dtype=object)
            if pa.types.is_binary(column.type)
            else np.asarray(column.to_numpy(), dtype=np.float64)
            for name, column in columns.items()
        }
        truth, scores = _target(target).from_columns(arrays, labels)
        group, fold, site = (
            None if c is None else np.asarray(c.to_numpy(), dtype=np.int64) for c in (groups, folds, sites)
        )
    except UsageError as error:
        raise OutputError(f"its predictions cannot be read: {error}") from error
    except (ValueError, TypeError) as error:
        raise OutputError(f"its predictions are not those of target {target}: {error}") from error
    ids = np.asarray(named.to_pylist(), dtype=object)
    if len(set(ids.tolist())) != len(ids):
        raise OutputError("its predictions name a row twice")
    named_elements = None if elements is None else np.asarray(elements.to_pylist(), dtype=str)
    if (named_elements is None) != (site is None):
        raise OutputError("its predictions hold one of the columns element and site without the other")
    return ScoredRows(ids, truth, scores, group, fold, named_elements, site)
