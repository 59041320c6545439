"""A genome in two bits per base, memory-mapped, and fast random windows of it.

The cache of a set of FASTA files is one folder, ``<key>.genome``, whose key is the digest of the files' contents: ``packed.bin``
(four bases per byte, first base in the lowest bits, each contig beginning at a whole byte), ``n_runs.npy`` (int64 (runs, 2), the
stretches of N as global half-open positions) and ``contigs.json``. Built aside and renamed, so it is whole or absent.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from findna_bench.errors import DataError
from findna_bench.files import atomic_path
from findna_bench.sequences.alphabet import encode, normalise
from findna_bench.sequences.fasta import content_digest, match_contig, read_blocks, record_name
from findna_bench.unpacking import open_decompressed

__all__ = ["Genome", "Interval", "Sampling", "WindowManifest", "read_bed"]

Sampling = Literal["uniform-chromosome", "length-weighted"]

_FORMAT = "2bit-1"
_UNPACK = np.array([[byte >> shift & 3 for shift in (0, 2, 4, 6)] for byte in range(256)], dtype=np.uint8)
_UNPACK_WORDS = _UNPACK.view(np.uint32).ravel()
"""The four codes of each byte as one 32-bit word, so that unpacking is one look-up."""
_ROWS_AT_A_TIME = 4096


@dataclass(frozen=True)
class Interval:
    """0-based half-open."""

    contig: str
    start: int
    end: int


def read_bed(path: Path | str) -> list[Interval]:
    """Intervals of a BED file, plain or compressed (first three columns; headers, comments and blank lines are passed over).

    Raises:
        DataError: the file cannot be read, or a line is not an interval (file and line are named).
    """
    file = Path(path)
    with open_decompressed(file, in_memory=True) as stream:
        content = stream.read()
    lines = content.decode("utf-8-sig", "replace").splitlines()
    intervals = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        fields = line.split()
        try:
            interval = Interval(fields[0], int(fields[1]), int(fields[2]))
        except (IndexError, ValueError):
            raise DataError(
                f"{file}, line {number}: is not contig, start, end separated by tabs: {line[:60]!r}"
            ) from None
        if not 0 <= interval.start < interval.end:
            raise DataError(f"{file}, line {number}: start {interval.start} must be below end {interval.end}")
        intervals.append(interval)
    return intervals


@dataclass(frozen=True)
class WindowManifest:
    """Which windows were drawn, in the order of drawing.

    contigs: names. contig: (n,) int32 index into ``contigs``. start: (n,) int64, 0-based. length: bases of each.
    """

    contigs: tuple[str, ...]
    contig: np.ndarray
    start: np.ndarray
    length: int

    def __len__(self) -> int:
        return len(self.start)

    def take(self, rows: np.ndarray | slice) -> WindowManifest:
        """The given rows."""
        return WindowManifest(self.contigs, self.contig[rows], self.start[rows], self.length)

    def digest(self) -> str:
        """sha256 of what :meth:`write` writes."""
        digest = hashlib.sha256()
        for line in self._lines():
            digest.update(line.encode())
        return digest.hexdigest()

    def write(self, path: Path | str) -> None:
        """Write as BED (contig, start, end), atomically."""
        with atomic_path(Path(path)) as aside, aside.open("w", encoding="utf-8") as stream:
            stream.writelines(self._lines())

    def _lines(self) -> Iterator[str]:
        for contig, start in zip(self.contig.tolist(), self.start.tolist(), strict=True):
            yield f"{self.contigs[contig]}\t{start}\t{start + self.length}\n"


class Genome:
    """Contigs in two bits per base with their stretches of N, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        """Open a cache folder made by :meth:`open`."""
        description = json.loads((folder / "contigs.json").read_text("utf-8"))
        self.digest: str = description["digest"]
        """sha256 of the contents of the FASTA files."""
        self.contigs: tuple[str, ...] = tuple(description["names"])
        self.lengths = np.array(description["lengths"], dtype=np.int64)
        """(contigs,) bases."""
        self._offsets = np.array(description["offsets"], dtype=np.int64)  # global position of each contig's first base
        self._packed = np.memmap(folder / "packed.bin", dtype=np.uint8, mode="r")
        # An empty run in front spares every look-up the case "before the first run".
        runs = np.concatenate([np.zeros((1, 2), dtype=np.int64), np.load(folder / "n_runs.npy")])
        self._n_starts, self._n_ends = runs[:, 0].copy(), runs[:, 1].copy()
        self._n_before = np.concatenate([[0], np.cumsum(self._n_ends - self._n_starts)])

    @classmethod
    def open(cls, paths: Path | str | Sequence[Path | str], cache_dir: Path | str) -> Genome:
        """The genome of one or more FASTA files (plain or gzipped), packed on first use into ``cache_dir``.

        Raises:
            DataError: a file is not FASTA, a record is empty, two records share a name, or a letter is not DNA.
        """
        files = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
        if not files:
            raise DataError("no FASTA file was given")
        cache = Path(cache_dir)
        digests = [content_digest(file, cache) for file in files]
        digest = digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
        folder = cache / f"{digest}.{_FORMAT}.genome"
        if not (folder / "contigs.json").is_file():
            _build(files, digest, folder)
        return cls(folder)

    def __len__(self) -> int:
        """Bases of all contigs."""
        return int(self.lengths.sum())

    def contig_index(self, name: str) -> int:
        """Index of a contig; ``chr1`` finds ``1`` and the other way round.

        Raises:
            DataError: there is none.
        """
        return self.contigs.index(match_contig(name, self.contigs, "the genome"))

    def codes(self, windows: WindowManifest) -> np.ndarray:
        """uint8 codes (n, L) of windows of this genome.

        Raises:
            ValueError: the manifest is of other contigs, or a window does not lie inside its contig.
        """
        if windows.contigs != self.contigs:
            raise ValueError("the manifest names other contigs than this genome has")
        ends = windows.start + windows.length
        if len(windows) and (windows.start.min() < 0 or (ends > self.lengths[windows.contig]).any()):
            raise ValueError("a window does not lie inside its contig")
        return self._codes(self._offsets[windows.contig] + windows.start, windows.length)

    def fetch(self, contig: str, start: int, end: int) -> np.ndarray:
        """uint8 codes (end - start,) of one interval."""
        one = WindowManifest(self.contigs, np.array([self.contig_index(contig)]), np.array([start]), end - start)
        codes: np.ndarray = self.codes(one)[0]
        return codes

    def _codes(self, positions: np.ndarray, length: int) -> np.ndarray:
        out = np.empty((len(positions), length), dtype=np.uint8)
        width = (length + 3 + 3) // 4  # bytes that hold any window, wherever in a byte it begins
        frames = np.lib.stride_tricks.sliding_window_view(self._packed, width)
        for first in range(0, len(positions), _ROWS_AT_A_TIME):
            rows = positions[first : first + _ROWS_AT_A_TIME]
            letters = _UNPACK_WORDS[frames[rows >> 2]].view(np.uint8)
            part = out[first : first + len(rows)]
            for phase in range(4):
                chosen = np.flatnonzero((rows & 3) == phase)
                part[chosen] = letters[chosen, phase : phase + length]
        self._write_n(out, positions, length)
        return out

    def _write_n(self, out: np.ndarray, positions: np.ndarray, length: int) -> None:
        first = np.searchsorted(self._n_ends, positions, side="right")
        last = np.searchsorted(self._n_starts, positions + length, side="left")
        for row in np.flatnonzero(first < last):
            for run in range(first[row], last[row]):
                out[row, max(0, self._n_starts[run] - positions[row]) : self._n_ends[run] - positions[row]] = 4

    def _n_upto(self, positions: np.ndarray) -> np.ndarray:
        """N before each global position."""
        run = np.searchsorted(self._n_starts, positions, side="right") - 1
        before: np.ndarray = self._n_before[run] + np.minimum(positions, self._n_ends[run]) - self._n_starts[run]
        return before

    def draw(
        self,
        n: int,
        length: int,
        generator: np.random.Generator,
        *,
        sampling: Sampling = "uniform-chromosome",
        max_n_frac: float = 1.0,
        contigs: Sequence[str] | None = None,
        regions: Sequence[Interval] | None = None,
        exclude: Sequence[Interval] | None = None,
        unique: bool = True,
    ) -> WindowManifest:
        """``n`` random windows of ``length`` bases, forward strand, entirely inside a contig.

        sampling: each draw takes a contig uniformly, then a start uniformly in it (the paper's way, which favours short
            contigs); or a start uniformly over all contigs.
        max_n_frac: a window with a larger fraction of N is drawn again.
        contigs, regions: windows lie entirely inside these; exclude: windows touch none of these.
        unique: no two windows begin at the same place.

        Raises:
            DataError: so many windows cannot be found, or none of the contigs of ``regions`` or ``exclude`` is in the genome.
        """
        if n < 0 or length < 1:
            raise ValueError("n must be at least 0 and length at least 1")
        places = self._allowed(length, contigs, regions, exclude)
        if unique and int(places.sizes.sum()) < n:
            raise DataError(
                f"{n:,} windows of {length:,} bases are asked for, and there are {int(places.sizes.sum()):,} places for one in the contigs and "
                "regions asked for; ask for fewer windows or shorter ones"
            )
        positions = np.empty(0, dtype=np.int64)
        drawn, limit = 0, 1000 * n + 100_000
        while len(positions) < n:
            wanted = int((n - len(positions)) * 1.1) + 16
            fresh = places.draw(wanted, sampling, generator)
            drawn += wanted
            if max_n_frac < 1.0:
                n_bases = self._n_upto(fresh + length) - self._n_upto(fresh)
                fresh = fresh[n_bases <= max_n_frac * length]
            positions = np.concatenate([positions, fresh])
            if unique:
                _, first = np.unique(positions, return_index=True)
                positions = positions[np.sort(first)]
            if drawn > limit and len(positions) < n:
                raise DataError(
                    f"only {len(positions)} of {n} windows of {length} bases were found in {drawn} draws; "
                    "allow more N, exclude less, or ask for fewer"
                )
        positions = positions[:n]
        contig = np.searchsorted(self._offsets, positions, side="right") - 1
        return WindowManifest(self.contigs, contig.astype(np.int32), positions - self._offsets[contig], length)

    def sample(
        self, n: int, length: int, generator: np.random.Generator, **settings: object
    ) -> tuple[np.ndarray, WindowManifest]:
        """uint8 codes (n, length) of random windows and their manifest; settings as for :meth:`draw`."""
        manifest = self.draw(n, length, generator, **settings)  # type: ignore[arg-type]
        return self.codes(manifest), manifest

    def _allowed(
        self,
        length: int,
        contigs: Sequence[str] | None,
        regions: Sequence[Interval] | None,
        exclude: Sequence[Interval] | None,
    ) -> _Places:
        chosen = range(len(self.contigs)) if contigs is None else sorted({self.contig_index(name) for name in contigs})
        inside = None if regions is None else self._by_contig(regions, "regions")
        outside = {} if exclude is None else self._by_contig(exclude, "exclude")
        contig_of, starts, sizes, longest = [], [], [], 0
        for index in chosen:
            total = int(self.lengths[index])
            stretches = [(0, total)] if inside is None else _merged(inside.get(index, ()))
            longest = max([longest, *(min(b, total) - max(a, 0) for a, b in stretches)])
            # A window beginning at s touches [a, b) for a - length < s < b.
            forbidden = _merged((a - length + 1, b) for a, b in outside.get(index, ()))
            for low, high in _minus(((max(a, 0), min(b, total) - length + 1) for a, b in stretches), forbidden):
                contig_of.append(index)
                starts.append(int(self._offsets[index]) + low)
                sizes.append(high - low)
        if not starts:
            why = f"the longest of them has {longest:,}" if longest < length else "what is excluded leaves none"
            advice = "ask for shorter windows" if longest < length else "exclude less, or ask for shorter windows"
            raise DataError(
                f"no place for a window of {length:,} bases in the contigs and regions asked for: {why}; {advice}"
            )
        return _Places(np.array(contig_of), np.array(starts, dtype=np.int64), np.array(sizes, dtype=np.int64))

    def _by_contig(self, intervals: Sequence[Interval], what: str) -> dict[int, list[tuple[int, int]]]:
        """Intervals by contig; those of contigs that the genome lacks are left out, unless that is all of them."""
        found: dict[int, list[tuple[int, int]]] = {}
        names = {interval.contig for interval in intervals}
        index = {}
        for name in names:
            try:
                index[name] = self.contig_index(name)
            except DataError:
                continue
        if names and not index:
            raise DataError(
                f"{what}: none of its contigs ({', '.join(sorted(names)[:3])}, ...) is in the genome "
                f"({', '.join(self.contigs[:3])}, ...)"
            )
        for interval in intervals:
            if interval.contig in index:
                found.setdefault(index[interval.contig], []).append((interval.start, interval.end))
        return found


@dataclass(frozen=True)
class _Places:
    """Stretches of allowed starts: contig index, first start (global position), number of starts; (k,) each, by contig."""

    contig: np.ndarray
    start: np.ndarray
    sizes: np.ndarray

    def draw(self, n: int, sampling: Sampling, generator: np.random.Generator) -> np.ndarray:
        bounds = np.concatenate([[0], np.cumsum(self.sizes)])
        if sampling == "length-weighted":
            place = generator.integers(bounds[-1], size=n)
        elif sampling == "uniform-chromosome":
            _, first = np.unique(self.contig, return_index=True)  # stretches of a contig lie together
            low, high = bounds[first], np.append(bounds[first[1:]], bounds[-1])
            contig = generator.integers(len(first), size=n)
            place = low[contig] + generator.integers(high[contig] - low[contig])
        else:
            raise ValueError(f"sampling must be uniform-chromosome or length-weighted, not {sampling!r}")
        stretch = np.searchsorted(bounds, place, side="right") - 1
        positions: np.ndarray = self.start[stretch] + place - bounds[stretch]
        return positions


def _merged(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _minus(stretches: Iterable[tuple[int, int]], holes: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What of half-open stretches lies outside the (merged) holes; empty pieces are left out."""
    for low, high in stretches:
        for start, end in holes:
            if end <= low or start >= high:
                continue
            if start > low:
                yield low, start
            low = max(low, end)
        if low < high:
            yield low, high


def _build(files: Sequence[Path], digest: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        names: dict[str, None] = {}  # ordered, and quick to search
        lengths: list[int] = []
        offsets: list[int] = []
        runs: list[np.ndarray] = []
        position = 0
        with (aside / "packed.bin").open("wb") as out:
            for file in files:
                for name, codes in _contigs(file):
                    if name in names:
                        raise DataError(f"{file}: two records are named {name!r}; rename or remove one")
                    names[name] = None
                    lengths.append(len(codes))
                    offsets.append(position)
                    runs.append(_n_runs(codes) + position)
                    position += _pack_into(out, codes) * 4
            out.write(bytes(64))  # so that a frame around the last window lies inside the file
            out.flush()
            os.fsync(out.fileno())
        np.save(aside / "n_runs.npy", np.concatenate(runs))
        description = {"digest": digest, "names": list(names), "lengths": lengths, "offsets": offsets}
        (aside / "contigs.json").write_text(json.dumps(description), "utf-8")
        try:
            os.rename(aside, folder)
        except OSError:
            if not (folder / "contigs.json").is_file():  # else another process was first, with the same content
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _contigs(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name and codes of each record, one contig in memory at a time."""
    name, parts, count = None, [], 0
    for header, letters in read_blocks(path):
        if header is None:
            try:
                parts.append(encode([letters.decode("ascii", "replace")])[0])
            except DataError:
                before = sum(map(len, parts))
                normalise("N" * before + letters.decode("ascii", "replace"), f"{path}, record {name!r}")
            continue
        if name is not None:
            yield name, _whole(path, name, parts)
        name, parts, count = record_name(path, header, count), [], count + 1
    if name is not None:
        yield name, _whole(path, name, parts)


def _whole(path: Path, name: str, parts: Sequence[np.ndarray]) -> np.ndarray:
    codes = np.concatenate(parts) if parts else np.empty(0, dtype=np.uint8)
    if not len(codes):
        raise DataError(f"{path}: record {name!r} has no sequence; remove it, or get the file again")
    return codes


def _n_runs(codes: np.ndarray) -> np.ndarray:
    """int64 (runs, 2): half-open stretches of N."""
    edges = np.flatnonzero(np.diff(codes == 4, prepend=False, append=False))
    return edges.reshape(-1, 2).astype(np.int64)


def _pack_into(out: BinaryIO, codes: np.ndarray) -> int:
    """Write four bases per byte; returns the bytes written."""
    whole = np.zeros(-(-len(codes) // 4) * 4, dtype=np.uint8)
    whole[: len(codes)] = codes & 3  # N is 4, packed as 0 and restored from the runs
    quads = whole.reshape(-1, 4)
    packed = quads[:, 0] | quads[:, 1] << 2 | quads[:, 2] << 4 | quads[:, 3] << 6
    out.write(packed.tobytes())
    return len(packed)
