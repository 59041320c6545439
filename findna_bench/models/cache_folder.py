"""Where downloads and embeddings are kept, how much room embeddings may take, and what goes first. No torch here.

A shard of embeddings is one file that is never changed, only written and removed as a whole, so any process may remove any
shard at any time: whoever has it open reads on, whoever looks for it later computes its rows again. The time of last use is the
file's access time, set by hand, so that it is right where the file system keeps none.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from findna_bench.errors import UsageError
from findna_bench.files import parse_size

__all__ = [
    "DEFAULT_LIMIT",
    "SHARD_MAGIC",
    "SHARD_SUFFIX",
    "CacheInfo",
    "cache_info",
    "cache_limit",
    "cache_root",
    "clear_cache",
    "embeddings_folder",
    "evict",
    "mark_used",
]

DEFAULT_LIMIT = "20GB"
SHARD_SUFFIX = ".emb"
SHARD_MAGIC = b"FBEMB1\n\0"
_LIMIT_VARIABLE = "FINDNA_BENCH_CACHE_LIMIT"
_KEPT_SHARE = 0.9
"""Share of the limit that is left after something had to go, so that not every write removes a file."""


def cache_root(option: str | Path | None = None) -> Path:
    """Folder for downloads, digests and embeddings: option > ``FINDNA_BENCH_CACHE_DIR`` > the user's cache folder."""
    given = option or os.environ.get("FINDNA_BENCH_CACHE_DIR")
    if given:
        return Path(os.path.expanduser(given))
    from platformdirs import user_cache_path

    try:
        return user_cache_path("findna-bench")
    except (KeyError, OSError, RuntimeError) as error:
        raise UsageError(
            "this user has no home folder; say where downloads and embeddings go with FINDNA_BENCH_CACHE_DIR"
        ) from error


def embeddings_folder() -> Path:
    """Folder of the embedding cache."""
    return cache_root() / "embeddings"


def cache_limit(text: str | None = None) -> int | None:
    """Bytes that embeddings may take: ``text`` > ``FINDNA_BENCH_CACHE_LIMIT`` > :data:`DEFAULT_LIMIT`; None = no limit.

    Written as a number with KB, MB, GB or TB (powers of 1,000), ``0`` to keep nothing, or ``none``.

    Raises:
        UsageError: not of that form.
    """
    given = text or os.environ.get(_LIMIT_VARIABLE) or DEFAULT_LIMIT
    try:
        return parse_size(given)
    except ValueError:
        message = f"cache limit {given!r} ({_LIMIT_VARIABLE}): write a size such as 500MB or 20GB, 0, or none"
        raise UsageError(message) from None


@dataclass(frozen=True)
class CacheInfo:
    """The embedding cache: spaces are ways of embedding (a model with its weights, pooling, ...), vectors are its entries."""

    folder: str
    bytes: int
    limit: int | None
    spaces: int
    shards: int
    vectors: int


@dataclass(frozen=True)
class _Shard:
    path: Path
    size: int
    used: int


def _shards(folder: Path) -> Iterator[_Shard]:
    for path in folder.glob(f"*/*{SHARD_SUFFIX}"):
        with contextlib.suppress(OSError):  # another process has removed it
            state = path.stat()
            yield _Shard(path, state.st_size, state.st_atime_ns)


def cache_info(folder: Path | None = None) -> CacheInfo:
    """What lies in the embedding cache.

    Raises:
        UsageError: the limit is malformed.
    """
    folder = folder or embeddings_folder()
    shards = list(_shards(folder))
    return CacheInfo(
        folder=str(folder),
        bytes=sum(shard.size for shard in shards),
        limit=cache_limit(),
        spaces=len({shard.path.parent for shard in shards}),
        shards=len(shards),
        vectors=sum(_rows(shard.path) for shard in shards),
    )


def _rows(path: Path) -> int:
    """Vectors in a shard by its header; 0 where it cannot be read. That its header was read is no use of it."""
    try:
        before = path.stat()
        with path.open("rb") as stream:
            start = stream.read(len(SHARD_MAGIC) + 4)
            header = stream.read(4096)
        with contextlib.suppress(OSError):  # not ours
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        if not start.startswith(SHARD_MAGIC):
            return 0
        (length,) = struct.unpack("<I", start[len(SHARD_MAGIC) :])
        return int(json.loads(header[:length])["rows"])
    except (OSError, struct.error, ValueError, KeyError, TypeError):
        return 0


def clear_cache(folder: Path | None = None) -> int:
    """Remove all embeddings; the bytes that became free. Safe beside running processes: they compute again what they miss."""
    freed = 0
    folder = folder or embeddings_folder()
    for shard in list(_shards(folder)):
        freed += _remove(shard)
    for space in folder.glob("*/"):
        _remove_if_empty(space)
    return freed


def evict(folder: Path, limit: int | None) -> int:
    """Remove the shards used longest ago until the rest takes at most ``limit`` bytes; the bytes that are left."""
    shards = sorted(_shards(folder), key=lambda shard: shard.used)
    left = sum(shard.size for shard in shards)
    if limit is None or left <= limit:
        return left
    for shard in shards:
        if left <= _KEPT_SHARE * limit:
            break
        if _remove(shard):
            left -= shard.size
            _remove_if_empty(shard.path.parent)
    return left


def mark_used(path: Path) -> None:
    """Put down that a shard was used now; the time of writing stays."""
    with contextlib.suppress(OSError):
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def _remove(shard: _Shard) -> int:
    try:
        shard.path.unlink()
    except FileNotFoundError:
        return shard.size
    except OSError:  # open elsewhere, on systems that mind, or not ours
        return 0
    return shard.size


def _remove_if_empty(space: Path) -> None:
    """A space without shards goes with its description; a writer that comes in between makes both anew."""
    with contextlib.suppress(OSError):
        if {entry.name for entry in os.scandir(space)} <= {"key.json"}:
            (space / "key.json").unlink(missing_ok=True)
            space.rmdir()
