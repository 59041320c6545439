"""Results of many people as submissions to one leaderboard: bundles and results folders, in the order in which they were computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from findna_bench.errors import OutputError, UsageError
from findna_bench.files import sha256_file
from findna_bench.private_paths import last_part
from findna_bench.results.bundle import read_bundle
from findna_bench.results.merging import merge
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore

__all__ = ["Submission", "Submissions", "one_submission", "read_submissions"]

_BUNDLES = (".tar.gz", ".tgz")


@dataclass(frozen=True)
class Submission:
    """What one bundle or folder brings.

    name: the file's name without its suffix. date: when its newest result was computed. results: with numbers or without, those that
    contradict another submission's aside. sha256: of the bundle; None of a folder.
    """

    name: str
    date: str
    results: tuple[Result, ...]
    sha256: str | None = None


@dataclass(frozen=True)
class Submissions:
    """submissions: the oldest first. store: the results of all, each once. problems: a sentence for each that was not taken, and for
    each cell whose scores contradict each other, which was taken from none."""

    submissions: tuple[Submission, ...]
    store: ResultStore
    problems: tuple[str, ...]


def read_submissions(folder: Path, scratch: Path, left_out: Callable[[str], None]) -> Submissions:
    """Read every bundle (``NAME.tar.gz``) and every results folder that lies directly in a folder.

    Args:
        folder: the folder; other files in it, signatures say, are passed over.
        scratch: an empty folder, where bundles are unpacked and results brought together.
        left_out: takes a sentence about each file that is no result.

    Raises:
        UsageError: the folder is not there, or holds no submission.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no folder of submissions is there")
    found: list[tuple[str, Path, str | None]] = []
    problems: list[str] = []
    for path in sorted(folder.iterdir()):
        suffix = next((suffix for suffix in _BUNDLES if path.name.lower().endswith(suffix)), None)
        if path.is_dir() and any(ResultStore(path).paths()):
            found.append((path.name, path, None))
        elif suffix is not None:
            unpacked = scratch / f"bundle-{len(found)}"
            try:
                read_bundle(path, unpacked)
            except OutputError as error:
                problems.append(str(error).replace(str(path), path.name))
                continue
            found.append((path.name[: -len(suffix)], unpacked, sha256_file(path)))
    if not found and not problems:
        raise UsageError(
            f"{folder} holds no submission; put bundles (`findna-bench results bundle`) or results folders into it"
        )
    store = ResultStore(scratch / "together")
    merged = merge([path for _, path, _ in found], store.root, left_out)
    problems += [_public(line, found) for line in merged.conflicts]
    kept = {store.name_of(path) for path in store.paths()}
    submissions = [_submission(name, ResultStore(path), kept, sha256) for name, path, sha256 in found]
    ordered = sorted(submissions, key=lambda one: (one.date, one.name))
    return Submissions(tuple(ordered), store, tuple(problems))


def _submission(name: str, own: ResultStore, kept: set[str], sha256: str | None) -> Submission:
    everything = [(own.name_of(path), result) for path, result in own.readable(lambda text: None)]
    results = tuple(result for where, result in everything if where in kept)
    date = max((result.created for _, result in everything), default="")
    return Submission(last_part(name), date, results, sha256)


def _public(conflict: str, found: Sequence[tuple[str, Path, str | None]]) -> str:
    """With the names of submissions where their folders stand."""
    for name, path, _ in found:
        conflict = conflict.replace(f"in {path};", f"in {name};") if f"in {path};" in conflict else conflict
        conflict = conflict.removesuffix(f"in {path}") + f"in {name}" if conflict.endswith(f"in {path}") else conflict
    return conflict


def one_submission(folder: Path, store: ResultStore) -> Submission:
    """A results folder as the only submission."""
    return _submission(folder.name or "results", store, {store.name_of(path) for path in store.paths()}, None)
