"""Downloading data sets: several sources per task, digests recorded at first download and required afterwards.

A download is staged outside the data root, imported from there as a user's own copy would be, and reaches the data root only
if it is complete. What fails at one source is tried at the next.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from findna_bench.cards import DataSource, TaskCard
from findna_bench.data.catalog import SPLITS, expected_rows, resolve_suite
from findna_bench.data.importing import ImportReport, Progress, TaskImport, import_staged, present, stored_cards
from findna_bench.data.task_store import locked
from findna_bench.download import DownloadError, UnreachableError, digest_file, download
from findna_bench.errors import BenchError, DataError, UsageError
from findna_bench.files import write_json
from findna_bench.registry import Registry

__all__ = ["LOCK_NAME", "Network", "fetch_suite", "fetch_tasks"]

LOCK_NAME = "bench.lock"


@dataclass(frozen=True)
class Network:
    """How patient downloads are: see :func:`findna_bench.download.download`."""

    timeout: float = 30.0
    retries: int = 4
    backoff: float = 1.0
    unreachable: set[str] = field(default_factory=set, compare=False)
    """Hosts that could not be reached, filled as they are met. Files of these are not asked for again; where one could not be reached, others are
    tried once, as what is in the way (no network, a proxy that is down) may be in the way of all.
    """

    def download(self, url: str, destination: Path, **options: Any) -> Path:
        """:func:`findna_bench.download.download`.

        Raises:
            DownloadError, OfflineError: as that function.
        """
        host = urllib.parse.urlsplit(url).netloc
        if host in self.unreachable:
            raise DownloadError(f"{url}: {host} could not be reached before, and is not asked again in this run")
        retries = 0 if self.unreachable else self.retries
        try:
            return download(url, destination, timeout=self.timeout, retries=retries, backoff=self.backoff, **options)
        except UnreachableError:
            self.unreachable.add(host)
            raise


@dataclass
class _Lock:
    """``bench.lock`` under the data root: address -> {sha256, size}, as first downloaded."""

    path: Path
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, data_dir: Path) -> _Lock:
        path = data_dir / LOCK_NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, {str(url): dict(entry) for url, entry in content["files"].items()})
        except FileNotFoundError:
            return cls(path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} cannot be read ({error}); mend or delete it") from error

    def record(self, files: Mapping[str, Mapping[str, Any]]) -> None:
        """Add addresses that are not known yet."""
        with locked(self.path):
            newest = _Lock.read(self.path.parent).files
            self.files = {**files, **newest}  # type: ignore[dict-item]
            if self.files != newest:
                write_json(self.path, {"version": 1, "files": dict(sorted(self.files.items()))})


def fetch_suite(
    suite_name: str,
    data_dir: Path,
    *,
    tasks: Sequence[str] = (),
    offline: bool = False,
    reference: str | Path | None = None,
    registry: Registry | None = None,
    progress: Progress | None = None,
    network: Network | None = None,
    cache_dir: Path | None = None,
) -> ImportReport:
    """Download every task of a suite that is not complete under the data root; for what is, no socket is opened.

    tasks: only these of the suite. offline: report what is missing instead of asking the network. reference: FASTA files, of tasks
    whose files hold places in a genome.

    Raises:
        UnknownNameError: no such suite or task. A task that cannot be had does not raise: it is reported as ``failed``.
    """
    suite = resolve_suite(suite_name, registry)
    cards = stored_cards(suite, tasks, registry)
    results = fetch_tasks(
        cards,
        data_dir,
        offline=offline,
        reference=reference,
        progress=progress,
        network=network,
        cache_dir=cache_dir,
    )
    return ImportReport(suite.name, "the network" if not offline else "this machine", results)


def fetch_tasks(
    cards: Sequence[TaskCard],
    data_dir: Path,
    *,
    offline: bool = False,
    reference: str | Path | None = None,
    progress: Progress | None = None,
    network: Network | None = None,
    cache_dir: Path | None = None,
) -> tuple[TaskImport, ...]:
    """As :func:`fetch_suite`, for the given cards."""
    network = replace(network or Network(), unreachable=set())  # of this call
    staging = (cache_dir or _cache_dir()) / "downloads"
    run = staging / f"run-{os.getpid()}"
    results = []
    try:
        for card in cards:
            held = present(card, data_dir)
            if held is not None and held.status == "complete":
                results.append(held)
            elif offline:
                message = "not on this machine, and the network may not be used (--offline)"
                absent = TaskImport(card.full_name, "failed", published=expected_rows(card), message=message)
                results.append(held or absent)
            else:
                folders = _Folders(data_dir, run, staging / "partial")
                results.append(_fetch(card, folders, network, progress, held, reference))
    finally:
        shutil.rmtree(run, ignore_errors=True)
    return tuple(results)


def _cache_dir() -> Path:
    given = os.environ.get("FINDNA_BENCH_CACHE_DIR")
    if given:
        return Path(given).expanduser()
    import platformdirs

    try:
        return Path(platformdirs.user_cache_path("findna-bench", appauthor=False))
    except (KeyError, OSError, RuntimeError) as error:
        raise UsageError("this user has no home folder; say where downloads go with FINDNA_BENCH_CACHE_DIR") from error


@dataclass(frozen=True)
class _Folders:
    """Where data go in the end, where files of this run are staged, and where halves of them wait for the next run."""

    data: Path
    run: Path
    partial: Path


def _fetch(
    card: TaskCard,
    folders: _Folders,
    network: Network,
    progress: Progress | None,
    held: TaskImport | None,
    reference: str | Path | None,
) -> TaskImport:
    """The first source that gives the whole data set; otherwise what was there stays, with all reasons."""
    reasons = []
    for source in card.sources:
        folder = folders.run / _short(source.url)  # tasks with one source share what was downloaded for the first
        try:
            if progress:
                progress(f"fetching {card.full_name} from {urllib.parse.urlsplit(source.url).netloc or source.url}")
            lock = _Lock.read(folders.data)
            files = _download(card, source, folder, folders.partial, lock, network)
            origin = {"kind": "download", "url": source.url, "files": files}
            result = import_staged(card, folder, folders.data, origin, reference=reference)
            lock.record(files)
            return result
        except BenchError as error:
            reasons.append(str(error))
            shutil.rmtree(folder, ignore_errors=True)
    message = "; then ".join(reasons) or "no source is known: import it with --from PATH"
    status = held.status if held else "missing"
    rows = held.rows if held else {}
    return TaskImport(card.full_name, "failed", status, rows, expected_rows(card), message)


def _short(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:12]


def _download(
    card: TaskCard, source: DataSource, folder: Path, partial: Path, lock: _Lock, network: Network
) -> dict[str, dict[str, Any]]:
    """Bring a source's files to ``folder`` under names that the importer knows; {address: {sha256, size}}."""
    files = {}
    for url, name, pinned in _plan(card, source, folder, partial, network):
        known = lock.files.get(url, {})
        target = folder / name
        network.download(
            url,
            target,
            sha256=pinned.sha256 or known.get("sha256"),
            git_blob=pinned.git_blob,
            size=pinned.size if pinned.size is not None else known.get("size"),
            partial_dir=partial,
        )
        digests = digest_file(target)
        files[url] = {"sha256": digests.sha256, "size": digests.size}
    return files


def _plan(
    card: TaskCard, source: DataSource, folder: Path, partial: Path, network: Network
) -> list[tuple[str, str, DataSource]]:
    """(address, name below the staging folder, what is pinned) for each file of a source, by its layout."""
    loose = DataSource(url=source.url)
    if source.layout == "archive":
        suffix = next((s for s in (".tar.gz", ".tgz", ".tar") if s in source.url), ".zip")
        return [(source.url, f"{card.name}{suffix}", source)]
    if source.layout == "tables":
        names: Mapping[str, str] = card.config.get("split_files", {"train": "train", "test": "test"})
        plan = []
        for split in [s for s in SPLITS if s in names]:
            url = source.url.format(split=names[split])
            path = urllib.parse.urlsplit(url).path
            suffixes = "".join(Path(path).suffixes[-2:]) if path.endswith(".gz") else Path(path).suffix
            plan.append((url, f"{card.name}/{split}{suffixes}", source if "{split}" not in source.url else loose))
        return plan
    if source.layout == "hub-parquet":
        return _hub_plan(card, source, folder, partial, network)
    if source.layout in ("files", "variants"):
        addresses = source.url.split()
        # Their last folder belongs to the name: some data sets are told apart by it alone.
        places = ["/".join(Path(urllib.parse.urlsplit(url).path).parts[-2:]).lstrip("/") for url in addresses]
        pinned = source if len(addresses) == 1 else loose
        return [(url, place, pinned) for url, place in zip(addresses, places, strict=True)]
    if source.layout == "page":
        raise DataError(
            f"{source.url} is a page for people; get the files from there and import them: `findna-bench fetch {card.suite} --from FOLDER`"
        )
    raise DataError(f"task {card.full_name}: layout {source.layout!r} of a source is not known")


def _hub_plan(
    card: TaskCard, source: DataSource, folder: Path, partial: Path, network: Network
) -> list[tuple[str, str, DataSource]]:
    """A hub's list of parquet files, ``{config: {split: [address, ...]}}``; the address's fragment names the config."""
    address, _, config = source.url.partition("#")
    listing = network.download(address, folder / "listing.json", partial_dir=partial)
    try:
        content = json.loads(listing.read_text(encoding="utf-8"))
        splits = content[config or next(iter(content))]
        addresses = [(str(split), [str(url) for url in urls]) for split, urls in splits.items()]
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise DataError(f"{address} lists no parquet files of {config or 'the data set'}") from error
    finally:
        listing.unlink()
    loose = DataSource(url=source.url)
    return [
        (url, f"{card.name}/{split}/{number:04d}.parquet", loose)
        for split, urls in addresses
        for number, url in enumerate(urls)
    ]
