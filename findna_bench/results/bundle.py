"""A results folder as one archive that can be checked: every file with its sha256 in ``bundle.json``.

The digests show damage, and what was changed, added or left out after packing; who makes the manifest anew as well is not found by them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from warnings import warn

from findna_bench.errors import DataError, OutputError, listed
from findna_bench.files import atomic_path
from findna_bench.results.store import ResultStore
from findna_bench.unpacking import open_tar

__all__ = ["LARGEST", "MANIFEST", "read_bundle", "write_bundle"]

MANIFEST = "bundle.json"
LARGEST = 2 << 30
"""Bytes that a bundle may unpack to."""
_MOST_FILES = 1_000_000


def write_bundle(results: Path, archive: Path, left_out: Callable[[str], None] = warn) -> int:
    """Pack all results and predictions under ``results`` into a tar.gz; the same files give the same bytes.

    Args:
        results: a results folder.
        archive: the file to write.
        left_out: takes a sentence about each file that is no result.

    Returns:
        Files packed.

    Raises:
        OutputError: there is no result, or the archive cannot be written.
    """
    store = ResultStore(results)
    paths = [
        p
        for path, _ in store.readable(left_out)
        for p in (path, path.with_suffix(".predictions.parquet"))
        if p.exists()
    ]
    if not paths:
        raise OutputError(f"{results} holds no result; `findna-bench run` makes some")
    members = {path.relative_to(results).as_posix(): path.read_bytes() for path in paths}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    manifest = json.dumps({"bundle_version": 1, "files": digests}, indent=1, sort_keys=True).encode()
    with (
        atomic_path(archive) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,  # no name, no time: the same bytes
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, content in [(MANIFEST, manifest), *members.items()]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return len(members)


def read_bundle(archive: Path, folder: Path) -> int:
    """Unpack into ``folder`` after checking every name, size and digest.

    Returns:
        Files unpacked.

    Raises:
        OutputError: the archive is damaged, unsafe, or a file is not the one that was packed.
    """
    try:
        with open_tar(archive) as tar:
            contents = {member.name: _content(tar, member, archive) for member in _members(tar, archive)}
    except (DataError, OSError) as error:
        raise OutputError(f"{archive} cannot be read as a bundle ({error}); ask for it again") from error
    _check(archive, _digests(archive, contents.pop(MANIFEST, None)), contents)
    try:
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise OutputError(f"{archive}: {name} cannot be unpacked ({error.strerror or error})") from error
    return len(contents)


def _digests(archive: Path, manifest: bytes | None) -> dict[str, str]:
    """``files`` of the manifest: name -> sha256.

    Raises:
        OutputError: there is no manifest, or it is none.
    """
    try:
        files = json.loads(manifest or b"")["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except (AttributeError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise OutputError(f"{archive} has no {MANIFEST}; it was not made by `findna-bench results bundle`") from error


def _check(archive: Path, digests: Mapping[str, str], contents: Mapping[str, bytes]) -> None:
    """Hold every file to its digest.

    Raises:
        OutputError: some are missing, changed, or were not packed; all of them are named.
    """
    changed = [
        name for name in contents if name in digests and hashlib.sha256(contents[name]).hexdigest() != digests[name]
    ]
    found = {
        "missing": digests.keys() - contents.keys(),
        "changed": changed,
        "not packed": contents.keys() - digests.keys(),
    }
    parts = [f"{what}: {listed(sorted(names), 20)}" for what, names in found.items() if names]
    if parts:
        raise OutputError(f"{archive} is not as it was packed ({'; '.join(parts)}); ask for the bundle again")


def _members(tar: tarfile.TarFile, archive: Path) -> Iterator[tarfile.TarInfo]:
    """Members in their order, to be read one by one."""
    names = set[str]()
    total = 0
    for member in tar:
        pure = PurePosixPath(member.name)
        total += member.size
        strange = pure.is_absolute() or ".." in pure.parts or "\\" in member.name or str(pure) != member.name
        if not member.isreg() or strange:
            raise OutputError(f"{archive}: refused, because {member.name!r} is no plain file inside the bundle")
        if member.name in names:
            raise OutputError(f"{archive}: refused, because {member.name} is in it twice")
        if total > LARGEST or len(names) > _MOST_FILES:
            raise OutputError(f"{archive}: refused, because it unpacks to more than {LARGEST:,} bytes")
        names.add(member.name)
        yield member


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path) -> bytes:
    stream = tar.extractfile(member)
    if stream is None:
        raise OutputError(f"{archive}: {member.name} cannot be read")
    return b"".join(iter(lambda: stream.read(1 << 20), b""))
