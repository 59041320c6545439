"""Results in a dataset repository on the Hugging Face hub: one bundle per name, ``bundles/NAME.tar.gz``, with its signature beside it.

What is pushed is what :func:`findna_bench.results.bundle.write_bundle` packs. What is pulled is checked before it is taken: the signature
where a key is given, every name, size and digest, and that each result is one; then it is merged, so that contradicting numbers are named.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from findna_bench.errors import BenchError, OfflineError, OutputError, UsageError
from findna_bench.results.bundle import LARGEST, read_bundle, write_bundle
from findna_bench.results.merging import Merged, merge
from findna_bench.results.schema import read_result
from findna_bench.results.signing import check_signature, signature_of
from findna_bench.results.store import ResultStore

__all__ = ["Pulled", "Pushed", "pull", "push"]

_FOLDER = "bundles"
_SUFFIX = ".tar.gz"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_MOST_BUNDLES = 10_000


@dataclass(frozen=True)
class Pushed:
    """files: results and predictions in the bundle. address: the page of the commit, or of the pull request."""

    files: int
    address: str


@dataclass(frozen=True)
class Pulled:
    """names: of the bundles. revision: the commit that they were taken from. merged: what came of their results."""

    names: tuple[str, ...]
    revision: str
    merged: Merged


def push(
    results: Path,
    repository: str,
    name: str,
    *,
    sign: Callable[[Path], Path] | None = None,
    private: bool = False,
    pull_request: bool = False,
    left_out: Callable[[str], None],
) -> Pushed:
    """Put the results of a folder into a dataset repository, as one bundle, in one commit.

    Args:
        results: a results folder.
        repository: ``OWNER/NAME``; it is made if it is not there, unless ``pull_request`` is set.
        name: of the bundle; one of that name is replaced, and stays in the repository's history.
        sign: writes the signature of a file, and returns where it is; None = the bundle is not signed.
        private: whether a repository that is made now is private.
        pull_request: propose the commit to those whose repository it is.
        left_out: takes a sentence about each file that is no result.

    Raises:
        UsageError: a name is none. OfflineError: the hub may not be reached.
        OutputError: there is no result, or the hub does not take them.
    """
    _check_names(repository, [name])
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, name + _SUFFIX)
        packed = write_bundle(results, archive, left_out)
        files = [archive, *([] if sign is None else [sign(archive)])]
        with _answers(repository) as hub:
            api = _api(hub)
            if not pull_request:
                api.create_repo(repository, repo_type="dataset", private=private or None, exist_ok=True)
            there = _bundle_files(api, hub, repository, None)
            operations = [hub.CommitOperationAdd(f"{_FOLDER}/{file.name}", str(file)) for file in files]
            stale = f"{_FOLDER}/{signature_of(archive).name}"
            if sign is None and stale in there:  # of the bundle before
                operations.append(hub.CommitOperationDelete(stale))
            commit = api.create_commit(
                repository, operations, commit_message=f"{name}: {packed} files", repo_type="dataset", create_pr=pull_request
            )  # fmt: skip
    return Pushed(packed, str(commit.pr_url or commit.commit_url))


def pull(
    repository: str,
    out: Path,
    *,
    names: Sequence[str] = (),
    revision: str | None = None,
    key: str | None = None,
    left_out: Callable[[str], None],
) -> Pulled:
    """Bring the results of a dataset repository into a folder.

    Args:
        repository: ``OWNER/NAME``.
        out: the results folder, which may hold some already.
        names: the bundles to take; none = all.
        revision: a branch, tag or commit; None = the newest.
        key: a public key that every bundle is to be signed with.
        left_out: takes a sentence about what is not taken.

    Raises:
        UsageError: a name is none, or ``key`` is no key. OfflineError: the hub may not be reached.
        OutputError: the hub gives none, or a bundle is damaged, unsafe, not signed with the key, or holds what is no result; then
            nothing is taken from any.
    """
    _check_names(repository, names)
    with tempfile.TemporaryDirectory() as folder:
        archives, commit = _download(repository, names, revision, key is not None, Path(folder), left_out)
        unpacked = []
        for number, archive in enumerate(archives):
            if key is not None:
                check_signature(archive, key)
            target = Path(folder, f"unpacked-{number}")
            read_bundle(archive, target)
            _check_results(target, f"{repository}, {archive.name}")
            unpacked.append(target)
        merged = merge(unpacked, out, left_out)
    return Pulled(tuple(archive.name.removesuffix(_SUFFIX) for archive in archives), commit, merged)


def _check_names(repository: str, names: Sequence[str]) -> None:
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(f"{repository!r} is no dataset repository; write OWNER/NAME")
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(f"--name {name!r}: a bundle's name has letters, digits, '.', '_' and '-' only")


def _download(
    repository: str,
    names: Sequence[str],
    revision: str | None,
    signed: bool,
    folder: Path,
    left_out: Callable[[str], None],
) -> tuple[list[Path], str]:
    """Bundles, all of one commit, and that commit."""
    with _answers(repository) as hub:
        api = _api(hub)
        commit = str(api.dataset_info(repository, revision=revision).sha)
        files = _bundle_files(api, hub, repository, commit)
        found = dict[str, int]()
        for path, size in sorted(files.items()):
            name = path.removeprefix(f"{_FOLDER}/").removesuffix(_SUFFIX)
            if not path.endswith(_SUFFIX):
                continue
            if not _NAME.fullmatch(name):
                left_out(f"{repository}: {path!r} is left out; that is no name of a bundle")
            else:
                found[name] = size
        if absent := [name for name in names if name not in found]:
            raise OutputError(f"{repository} has no bundle {absent[0]}; it has {', '.join(found) or 'none'}")
        if not found or len(found) > _MOST_BUNDLES:
            raise OutputError(
                f"{repository} has {len(found) or 'no'} bundles in {_FOLDER}/; name those to take by --name"
            )
        archives = []
        for number, name in enumerate(name for name in found if not names or name in names):
            if found[name] > LARGEST:
                raise OutputError(f"{repository}: {name} has {found[name]:,} bytes, a bundle at most {LARGEST:,}")
            wanted = [f"{_FOLDER}/{name}{_SUFFIX}"]
            wanted += [beside for beside in [f"{wanted[0]}.minisig"] if signed and beside in files]
            target = folder / f"downloaded-{number}"
            paths = [
                api.hf_hub_download(repository, path, repo_type="dataset", revision=commit, local_dir=target)
                for path in wanted
            ]
            archives.append(Path(paths[0]))
    return archives, commit


def _api(hub: Any) -> Any:
    """The hub that the environment names now (the library reads it once, when it is imported)."""
    return hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))


def _bundle_files(api: Any, hub: Any, repository: str, revision: str | None) -> dict[str, int]:
    """Files directly in ``bundles/`` and their sizes."""
    try:
        entries = list(api.list_repo_tree(repository, _FOLDER, repo_type="dataset", revision=revision))
    except hub.errors.EntryNotFoundError:
        return {}
    return {entry.path: int(entry.size) for entry in entries if hasattr(entry, "size")}


def _check_results(folder: Path, origin: str) -> None:
    """Hold every result to the schema.

    Raises:
        OutputError: one is none; the first is named.
    """
    for path in ResultStore(folder).paths():
        try:
            read_result(path)
        except OutputError as error:
            name = path.relative_to(folder).as_posix()
            reason = str(error).replace(f"{path}: ", "").replace(str(path), name)
            raise OutputError(f"{origin} holds what is no result ({name}: {reason}); nothing was taken") from error


@contextlib.contextmanager
def _answers(repository: str) -> Iterator[Any]:
    """The hub's library; inside, what goes wrong between it and the hub becomes one sentence."""
    import huggingface_hub as hub
    from huggingface_hub import errors
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        yield hub
    except BenchError:
        raise
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise OfflineError(f"{repository}: the hub cannot be reached, or may not be (HF_HUB_OFFLINE)") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise OutputError(
            f"{repository}: no such dataset repository or revision, or no access to it; `hf auth login` gives access"
        ) from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no")
        words = " ".join(str(error.server_message or "").split())[:200]
        access = "; `hf auth login` gives access, or HF_TOKEN" if status in (401, 403) else ""
        raise OutputError(f"{repository}: the hub answers {status}{f' ({words})' if words else ''}{access}") from error
    except Exception as error:  # whatever a network, a proxy or an answer of another form may do
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise OutputError(f"{repository}: the hub cannot be reached or understood ({words})") from error
