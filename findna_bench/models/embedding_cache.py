"""Embeddings kept per sequence, so that no sequence goes through the same network twice.

A space is a folder named by the hash of everything that decides a vector besides its sequence (weights, tokenizer, layer,
code, pooling, window, strand, dtype, device type, versions); splits and labels play no part. Within it each write is one shard
file of its own, which appears whole or not at all, so several processes may share a space without locks. The index of a shard
and every row have checksums: a damaged shard is removed with a warning and its rows are computed again. Where a row lies in
several shards, the newest counts. All spaces together take a bounded room (:mod:`findna_bench.models.cache_folder`).

A shard: magic, header length (4 bytes), header (JSON: rows, dim, blake2b of the index), index, vectors (float32, row-major).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import time
import weakref
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from findna_bench.errors import OutputError
from findna_bench.files import canonical_json, stable_hash, write_atomic
from findna_bench.models.cache_folder import (
    SHARD_MAGIC,
    SHARD_SUFFIX,
    cache_limit,
    embeddings_folder,
    evict,
    mark_used,
)
from findna_bench.models.row_vectors import read_rows

__all__ = ["CacheSpace", "EmbeddingCache", "Hits", "sequence_digests"]

logger = logging.getLogger(__name__)

_INDEX = np.dtype([("digest", "V16"), ("crc", "<u4"), ("bases", "<i8"), ("windows", "<i4"), ("short", "<i4")])
_MOST_SHARDS = 64
_MERGED_BYTES = 64 * 2**20
"""Most bytes of shards that are joined, which are in memory together."""
_BLOCK = 16_384
_STALE_SECONDS = 86_400


def sequence_digests(sequences: Sequence[str]) -> NDArray[np.void]:
    """(n,) 16-byte blake2b of each sequence."""
    blake = hashlib.blake2b
    joined = b"".join(blake(sequence.encode(), digest_size=16).digest() for sequence in sequences)
    return np.frombuffer(joined, dtype="V16")


@dataclass(frozen=True)
class Hits:
    """What a lookup found: found (n,) bool; vectors (n, D) float32 and counts, meaningful where found."""

    found: NDArray[np.bool_]
    vectors: NDArray[np.float32]
    bases: NDArray[np.int64]
    windows: NDArray[np.int32]
    short: NDArray[np.int32]


class EmbeddingCache:
    """All spaces below one folder (default ``<cache root>/embeddings``).

    fresh: read nothing that somebody else has written, or this program before. limit: bytes that all spaces may take, None = no
    limit; what was used longest ago goes first.

    Raises:
        UsageError: ``FINDNA_BENCH_CACHE_LIMIT`` is malformed.
    """

    def __init__(self, folder: str | Path | None = None, *, fresh: bool = False, limit: int | str | None = "") -> None:
        self.folder = Path(folder) if folder is not None else embeddings_folder()
        self.fresh = fresh
        self.limit = cache_limit(limit) if isinstance(limit, str) else limit
        self._spaces: dict[str, CacheSpace] = {}
        self._room: int | None = None
        """Bytes that may be written before the folder is looked at again; other processes write to it, too."""

    def space(self, key: Mapping[str, Any], dim: int) -> CacheSpace:
        """The space of vectors made as ``key`` (JSON-serialisable) says, ``dim`` channels each."""
        name = stable_hash({**key, "dim": dim})[:32]
        if name not in self._spaces:
            self._spaces[name] = CacheSpace(self.folder / name, {**key, "dim": dim}, dim, self)
        return self._spaces[name]

    def wrote(self, n_bytes: int) -> None:
        """Make room where too little is left. Failing costs room, never the run."""
        if self.limit is None:
            return
        self._room = None if self._room is None else self._room - n_bytes
        if self._room is None or self._room < 0:
            left = evict(self.folder, self.limit)
            self._room = min(max(0, self.limit - left), self.limit // 8)


class CacheSpace:
    """Vectors of one way of embedding. Failing writes cost speed, never the run: one warning, then no more writes."""

    def __init__(self, folder: Path, key: Mapping[str, Any], dim: int, cache: EmbeddingCache | None = None) -> None:
        self.folder, self.key, self.dim = folder, dict(key), dim
        self._cache = cache
        self._own: set[str] = set()
        """Names of the shards written here: all that a fresh cache reads."""
        self.writable = True

    def lookup(self, digests: NDArray[np.void]) -> Hits:
        """Vectors of the sequences with these digests, checksums verified."""
        n = len(digests)
        hits = Hits(
            np.zeros(n, dtype=bool),
            np.zeros((n, self.dim), dtype=np.float32),
            np.zeros(n, dtype=np.int64),
            np.zeros(n, dtype=np.int32),
            np.zeros(n, dtype=np.int32),
        )
        shards = self._shards()
        if not n or not shards:
            return hits
        unique, first, inverse = np.unique(_comparable(digests), return_index=True, return_inverse=True)
        for shard in shards:
            if not self._read(shard, unique, first, hits):
                self._discard(shard)
            if hits.found[first].all():
                break
        again = np.flatnonzero(first[inverse] != np.arange(n))
        for column in (hits.found, hits.vectors, hits.bases, hits.windows, hits.short):
            column[again] = column[first[inverse[again]]]
        return hits

    def _read(self, shard: Path, unique: NDArray[Any], first: NDArray[np.int64], hits: Hits) -> bool:
        """Copy what a shard has of the wanted rows to their first places; False where it is damaged."""
        try:
            opened = _open(shard, self.dim)
            if opened is None:
                return False
            index, vectors = opened
            stored = _comparable(index["digest"])
            place = np.minimum(np.searchsorted(unique, stored), len(unique) - 1)
            wanted = np.flatnonzero((unique[place] == stored) & ~hits.found[first[place]])
            whole = True
            for block in np.split(wanted, range(_BLOCK, len(wanted), _BLOCK)):
                values = vectors.read(block)
                sums = np.fromiter((zlib.crc32(row) for row in values), dtype=np.uint32, count=len(block))
                good = sums == index["crc"][block]
                whole = whole and bool(good.all())
                rows, entries = first[place[block[good]]], index[block[good]]
                hits.vectors[rows] = values[good]
                hits.bases[rows], hits.windows[rows], hits.short[rows] = (
                    entries[c] for c in ("bases", "windows", "short")
                )
                hits.found[rows] = True
            if whole and len(wanted):
                mark_used(shard)
            if not whole:
                # None of its rows: computed again together they get the same bits as before, which a few alone may not.
                hits.found[first[place[wanted]]] = False
            return whole
        except FileNotFoundError:  # another process has merged or removed it since the folder was listed
            return True
        except EOFError:
            return False
        except OSError as error:
            logger.warning("embedding cache: %s cannot be read (%s); its rows are computed again", shard, error)
            return True

    def _discard(self, shard: Path) -> None:
        logger.warning("embedding cache: %s is damaged and was removed; its rows are computed again", shard)
        try:
            shard.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("embedding cache: %s cannot be removed (%s)", shard, error)

    def store(
        self,
        digests: NDArray[np.void],
        vectors: NDArray[np.float32],
        bases: NDArray[np.int64],
        windows: NDArray[np.int32],
        short: NDArray[np.int32],
    ) -> Path | None:
        """Keep vectors (n, D) under their digests, in the shard returned; None where nothing could be kept.

        Never raises for a full or read-only disk.
        """
        if not len(digests) or not self.writable or (self._cache is not None and self._cache.limit == 0):
            return None
        try:
            if not (self.folder / "key.json").is_file():
                write_atomic(self.folder / "key.json", canonical_json(self.key) + "\n")
            content = _pack(digests, np.ascontiguousarray(vectors, dtype="<f4"), bases, windows, short)
            shard = self.folder / f"{hashlib.blake2b(content, digest_size=16).hexdigest()}{SHARD_SUFFIX}"
            write_atomic(shard, content)
            self._own.add(shard.name)
            if self._cache is not None:
                self._cache.wrote(len(content))
            return shard
        except (OutputError, OSError) as error:
            self.writable = False
            logger.warning("embedding cache: %s; the run goes on without keeping embeddings", error)
            return None

    def merge(self) -> None:
        """Join many small shards into fewer ones of a bounded size; called when a run is through. Safe beside other processes."""
        shards = self._shards()
        if not self.writable or len(shards) <= _MOST_SHARDS:
            return
        small = [shard for shard in shards if _bytes_of(shard) < _MERGED_BYTES // 2]
        together: list[Path] = []
        for shard in small:  # newest first
            if together and sum(map(_bytes_of, (*together, shard))) > _MERGED_BYTES:
                self._join(together)
                together = []
            together.append(shard)
        self._join(together)

    def _join(self, shards: Sequence[Path]) -> None:
        """Shards, newest first, into one, which takes their place."""
        if len(shards) < 2:
            return
        parts: dict[bytes, tuple[Any, NDArray[np.float32]]] = {}
        read = []
        for shard in shards[::-1]:  # of several vectors of one sequence, the newest is kept
            try:
                opened = _open(shard, self.dim)
                rows = None if opened is None else opened[1].read(np.arange(len(opened[0])))
            except EOFError:
                opened = None
            except OSError:
                continue
            if opened is None or rows is None:
                self._discard(shard)
                continue
            index, _ = opened
            if any(zlib.crc32(row) != crc for row, crc in zip(rows, index["crc"], strict=True)):
                self._discard(shard)
                continue
            parts.update({bytes(entry["digest"]): (entry, row) for entry, row in zip(index, rows, strict=True)})
            read.append(shard)
        if not parts:
            return
        index = np.array([entry for entry, _ in parts.values()], dtype=_INDEX)
        vectors = np.stack([row for _, row in parts.values()])
        merged = self.store(index["digest"], vectors, index["bases"], index["windows"], index["short"])
        for shard in read if merged is not None else ():
            if shard != merged:
                shard.unlink(missing_ok=True)

    def _shards(self) -> list[Path]:
        """Shards of this space that may be read, newest first; leftovers of writers that died are swept."""
        try:
            entries = list(os.scandir(self.folder))
        except OSError:
            return []
        shards, fresh = [], self._cache is not None and self._cache.fresh
        for entry in entries:
            try:
                if entry.name.endswith(SHARD_SUFFIX):
                    if not fresh or entry.name in self._own:
                        shards.append((-entry.stat().st_mtime_ns, entry.name))
                elif entry.name.endswith(".part") and time.time() - entry.stat().st_mtime > _STALE_SECONDS:
                    os.unlink(entry.path)
            except OSError:
                continue
        return [self.folder / name for _, name in sorted(shards)]


def _comparable(digests: NDArray[np.void]) -> NDArray[np.bytes_]:
    """Void items cannot be sorted; as hexadecimal text they can, and no zero byte at the end is lost."""
    raw = np.ascontiguousarray(digests).view(np.uint8).reshape(-1, 16)
    letters = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    text = np.empty((len(raw), 32), dtype=np.uint8)
    text[:, 0::2], text[:, 1::2] = letters[raw >> 4], letters[raw & 15]
    return text.view("S32").reshape(-1)


def _pack(
    digests: NDArray[np.void],
    vectors: NDArray[np.float32],
    bases: NDArray[np.int64],
    windows: NDArray[np.int32],
    short: NDArray[np.int32],
) -> bytes:
    index = np.zeros(len(digests), dtype=_INDEX)
    index["digest"], index["bases"], index["windows"], index["short"] = digests, bases, windows, short
    index["crc"] = [zlib.crc32(row) for row in vectors]
    raw = index.tobytes()
    digest = hashlib.blake2b(raw, digest_size=16).hexdigest()
    header = json.dumps({"rows": len(index), "dim": vectors.shape[1], "index": digest}).encode()
    return b"".join((SHARD_MAGIC, struct.pack("<I", len(header)), header, raw, vectors.tobytes()))


class _ShardVectors:
    """Vectors of a shard that is open: read row by row, as a mapping would leave what was read with the process."""

    def __init__(self, descriptor: int, start: int, dim: int) -> None:
        self._descriptor, self._start, self._dim = descriptor, start, dim
        weakref.finalize(self, os.close, descriptor)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, D) of rows (m,).

        Raises:
            EOFError: the shard has become shorter. OSError: it cannot be read.
        """
        found = np.empty((len(rows), self._dim), dtype="<f4")
        read_rows(self._descriptor, self._start, rows, found)
        return found


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _open(path: Path, dim: int) -> tuple[NDArray[Any], _ShardVectors] | None:
    """Index and vectors of a shard; None where its frame or index is damaged.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(len(SHARD_MAGIC)) != SHARD_MAGIC:
            return None
        try:
            (length,) = struct.unpack("<I", stream.read(4))
            header = json.loads(stream.read(min(length, 4096)))
            rows, wide, digest = int(header["rows"]), int(header["dim"]), str(header["index"])
        except (struct.error, ValueError, KeyError, TypeError):
            return None
        start = len(SHARD_MAGIC) + 4 + length
        if wide != dim or rows < 1 or size != start + rows * (_INDEX.itemsize + 4 * dim):
            return None
        raw = stream.read(rows * _INDEX.itemsize)
        if hashlib.blake2b(raw, digest_size=16).hexdigest() != digest:
            return None
        return np.frombuffer(raw, dtype=_INDEX), _ShardVectors(os.dup(stream.fileno()), start + len(raw), dim)
