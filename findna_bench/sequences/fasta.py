"""FASTA: records one after another, intervals by random access (pyfaidx), and windows.

Nothing is ever written beside the user's file: indexes, and the plain text of gzipped files (which pyfaidx does not read),
live in a cache folder, ``<data root>/fasta`` by convention, under the digest of what they were made from.
Coordinates are 0-based and half-open everywhere.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from findna_bench.errors import DataError
from findna_bench.files import atomic_path, open_regular, write_atomic
from findna_bench.sequences.alphabet import normalise, reverse_complement
from findna_bench.unpacking import is_compressed, open_decompressed

__all__ = [
    "FASTA_SUFFIX",
    "Fasta",
    "Window",
    "content_digest",
    "match_contig",
    "plain_fasta",
    "read_blocks",
    "read_fasta",
    "windows",
]

FASTA_SUFFIX = re.compile(r"\.(fa|fasta|fna|fas|ffn|frn)(\.(gz|bgz|bgzf|bz2|xz|zst))?$", re.IGNORECASE)
"""What FASTA files of DNA are called."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLOCK = 1 << 22
_MITOCHONDRION = {"M": "MT", "MT": "M", "chrM": "MT", "chrMT": "M"}


@dataclass(frozen=True)
class Window:
    """A stretch of a contig, 0-based half-open, and its forward-strand sequence over A, C, G, T, N."""

    contig: str
    start: int
    end: int
    sequence: str


def content_digest(path: Path, cache_dir: Path | None = None) -> str:
    """sha256 of a file's bytes; remembered in ``cache_dir`` by path, size and modification time where one is given.

    Raises:
        DataError: the file cannot be read.
    """
    note = None
    if cache_dir is not None:
        note = cache_dir / "digests" / _stat_key(path)
        if note.is_file() and len(text := note.read_text("ascii").strip()) == 64:
            return text
    with open_regular(path) as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if note is not None:
        write_atomic(note, digest)
    return digest


def _stat_key(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    key = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def plain_fasta(path: Path, cache_dir: Path) -> Path:
    """The path itself, or for a compressed file its plain text, decompressed once to ``cache_dir/<sha256 of the file>.fa``.

    Streamed, and atomic: the target is whole or absent.

    Raises:
        DataError: the file cannot be read, or is truncated, damaged, or unpacks to too much.
    """
    if not is_compressed(path):
        return path
    target = cache_dir / f"{content_digest(path, cache_dir)}.fa"
    if target.is_file():
        return target
    with atomic_path(target) as aside, aside.open("wb") as out, open_decompressed(path) as stream:
        shutil.copyfileobj(stream, out, _BLOCK)
    return target


def read_blocks(path: Path) -> Iterator[tuple[str | None, bytes]]:
    """A FASTA file, compressed or not, as ``(header, b"")`` at each record and ``(None, letters)`` for its sequence in blocks.

    Letters come as they are in the file, without line breaks. Memory does not depend on the length of lines or records.

    Raises:
        DataError: the file cannot be read, is damaged, unpacks to too much, is empty, or does not begin with ``>``.
    """
    with open_decompressed(path) as stream:
        yield from _parse_blocks(iter(lambda: stream.read(_BLOCK), b""), path)


def _parse_blocks(blocks: Iterator[bytes], path: Path) -> Iterator[tuple[str | None, bytes]]:
    header: bytes | None = None  # a header line that is not complete yet
    line_start, started = True, False
    for block in blocks:
        position = 0
        if not started:
            block = block.removeprefix(_BYTE_ORDER_MARK)
            position = len(block) - len(block.lstrip(b"\r\n"))
            if position == len(block):
                continue
            if block[position : position + 1] != b">":
                raise DataError(f"{path}: is not FASTA, its first line does not begin with '>'")
            started = True
        while position < len(block):
            if header is not None:
                stop = block.find(b"\n", position)
                header += block[position : None if stop < 0 else stop]
                if stop < 0:
                    break
                yield header.decode("utf-8", "replace").strip(), b""
                header, line_start, position = None, True, stop + 1
                continue
            if line_start and block[position : position + 1] == b">":
                header, position = b"", position + 1
                continue
            stop = block.find(b"\n>", position)
            end = len(block) if stop < 0 else stop + 1
            yield None, block[position:end].translate(None, b"\r\n")
            line_start, position = block[end - 1 : end] == b"\n", end
    if header is not None:
        yield header.decode("utf-8", "replace").strip(), b""
    if not started:
        raise DataError(f"{path}: is empty; give a FASTA file with at least one record")


def read_fasta(path: Path | str, *, full_header: bool = False) -> Iterator[tuple[str, str]]:
    """``(name, sequence)`` of each record in turn; plain or gzipped; lines may be of any length.

    name: the header's first word, or with ``full_header`` the whole of it. sequence: over A, C, G, T, N.

    Raises:
        DataError: not FASTA; a record without name or sequence, or named like another; a letter that is not DNA. The message
            names file, record and position.
    """
    file = Path(path)
    header: str | None = None
    parts: list[str] = []
    names: set[str] = set()
    for next_header, letters in read_blocks(file):
        if next_header is None:
            parts.append(letters.decode("ascii", "replace"))
            continue
        if header is not None:
            yield _record(file, header, parts, full_header)
        header, parts = next_header, []
        name = record_name(file, header, len(names))
        if name in names:
            raise DataError(f"{file}: two records are named {name!r}; rename or remove one")
        names.add(name)
    if header is not None:
        yield _record(file, header, parts, full_header)


def record_name(path: Path, header: str, index: int) -> str:
    """First word of a header.

    Raises:
        DataError: there is none.
    """
    if not header:
        raise DataError(f"{path}: record {index + 1} has no name after '>'")
    return header.split(None, 1)[0]


def _record(path: Path, header: str, parts: Sequence[str], full_header: bool) -> tuple[str, str]:
    name = header.split(None, 1)[0]
    sequence = "".join(parts)
    if not sequence:
        raise DataError(f"{path}: record {name!r} has no sequence; remove it, or get the file again")
    return (header if full_header else name), normalise(sequence, f"{path}, record {name!r}")


def match_contig(contig: str, names: Mapping[str, object] | Sequence[str], where: str) -> str:
    """The name among ``names`` that means ``contig``: itself, else with or without ``chr``; M and MT are one.

    Raises:
        DataError: none of them is there; the message shows some that are.
    """
    other = contig.removeprefix("chr") if contig.startswith("chr") else f"chr{contig}"
    mitochondrion = _MITOCHONDRION.get(contig)
    candidates = [contig, other, *([mitochondrion, f"chr{mitochondrion}"] if mitochondrion else [])]
    for candidate in candidates:
        if candidate in names:
            return candidate
    some = ", ".join(list(names)[:5]) + (", ..." if len(names) > 5 else "")
    raise DataError(f"{where}: has no contig {contig!r} (it has {some})")


class Fasta:
    """Random access to a FASTA file, plain or gzipped.

    cache_dir: folder for the index and for the plain text of a gzipped file; ``<data root>/fasta`` by convention.

    Raises:
        DataError: the file cannot be read or cannot be indexed (lines of unequal length, two records of one name, an empty
            record, no record at all).
    """

    def __init__(self, path: Path | str, cache_dir: Path | str) -> None:
        self.path = Path(path)
        self._plain = plain_fasta(self.path, Path(cache_dir))
        index = Path(cache_dir) / f"{_stat_key(self._plain)}.fai"
        self._fasta = _open_indexed(self._plain, index, self.path)
        self.lengths: dict[str, int] = {name: len(self._fasta[name]) for name in self._fasta.keys()}  # noqa: SIM118
        """Bases of each contig, in file order."""
        if not self.lengths:
            raise DataError(f"{self.path}: holds no record; give a FASTA file with at least one")
        empty = [name for name, length in self.lengths.items() if length == 0]
        if empty:
            raise DataError(f"{self.path}: record {empty[0]!r} has no sequence; remove it, or get the file again")

    def __enter__(self) -> Fasta:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._fasta.close()

    def contig(self, name: str) -> str:
        """The file's own name for a contig (``chr1`` finds ``1`` and the other way round).

        Raises:
            DataError: there is none.
        """
        return match_contig(name, self.lengths, str(self.path))

    def fetch(self, contig: str, start: int, end: int, strand: str = "+") -> str:
        """The sequence of [start, end), 0-based, over A, C, G, T, N; reverse-complemented where ``strand`` is ``-``.

        Raises:
            DataError: unknown contig, an interval that is empty or not inside it, a strand other than + - . or a letter
                that is not DNA.
        """
        name = self.contig(contig)
        if not 0 <= start < end <= self.lengths[name]:
            raise DataError(
                f"{self.path}: {contig}:{start}-{end} does not lie in {name}, which has {self.lengths[name]} bases"
                if start < end
                else f"{self.path}: {contig}:{start}-{end} is empty or reversed; start must be below end"
            )
        if strand not in ("+", "-", "."):
            raise DataError(f"{self.path}: strand of {contig}:{start}-{end} is {strand!r}; it must be + or -")
        letters = self._fasta.faidx.fetch(name, start + 1, end).seq
        sequence = normalise(letters, f"{self.path}, {name}:{start}-{end}")
        return reverse_complement(sequence) if strand == "-" else sequence


def _open_indexed(plain: Path, index: Path, shown: Path) -> Any:
    """A ``pyfaidx.Fasta`` whose index is built aside and put in place whole."""
    import pyfaidx

    index.parent.mkdir(parents=True, exist_ok=True)
    if plain.stat().st_size == 0:
        raise DataError(f"{shown}: is empty; give a FASTA file with at least one record")
    try:
        if not index.is_file():
            with tempfile.TemporaryDirectory(dir=index.parent, prefix=".index-") as folder:
                aside = Path(folder) / index.name
                pyfaidx.Faidx(str(plain), indexname=str(aside)).close()
                os.replace(aside, index)
        # The name of the index holds the file's time and size, so a newer file never meets an old index.
        return pyfaidx.Fasta(str(plain), indexname=str(index), rebuild=False, as_raw=False)
    except pyfaidx.FastaIndexingError as error:
        raise DataError(
            f"{shown}: cannot be indexed ({_one_line(error)}); lines of a record must be equally long"
        ) from error
    except (pyfaidx.FastaNotFoundError, pyfaidx.IndexNotFoundError, KeyError, ValueError, OSError) as error:
        raise DataError(f"{shown}: cannot be indexed ({_one_line(error)})") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def windows(
    fasta: Fasta,
    length: int,
    *,
    stride: int | None = None,
    n: int | None = None,
    generator: np.random.Generator | None = None,
    max_n_frac: float = 1.0,
    contigs: Sequence[str] | None = None,
) -> Iterator[Window]:
    """Windows of ``length`` bases: every ``stride`` bases, or ``n`` at random.

    stride: step between starts (default: ``length``, side by side); the rest at a contig's end that holds no whole window is left out.
    n, generator: that many windows instead, starts uniform over all possible ones, repeats possible.
    max_n_frac: windows with a larger fraction of N are passed over (for random ones another is drawn).

    Raises:
        DataError: no contig is long enough, or random windows with few enough N are not found.
        ValueError: settings that contradict each other.
    """
    if length < 1 or (stride is not None and stride < 1):
        raise ValueError("length and stride must be at least 1")
    if (n is None) != (generator is None) or (n is not None and stride is not None):
        raise ValueError("give either a stride, or n and a generator")
    names = [fasta.contig(name) for name in contigs] if contigs is not None else list(fasta.lengths)
    names = [name for name in names if fasta.lengths[name] >= length]
    if not names:
        raise DataError(f"{fasta.path}: no contig has {length} bases; ask for shorter windows")
    if n is None or generator is None:
        return _strided(fasta, names, length, stride or length, max_n_frac)
    return _random(fasta, names, length, n, generator, max_n_frac)


def _strided(fasta: Fasta, names: Sequence[str], length: int, stride: int, max_n_frac: float) -> Iterator[Window]:
    for name in names:
        for start in range(0, fasta.lengths[name] - length + 1, stride):
            sequence = fasta.fetch(name, start, start + length)
            if sequence.count("N") <= max_n_frac * length:
                yield Window(name, start, start + length, sequence)


def _random(
    fasta: Fasta, names: Sequence[str], length: int, n: int, generator: np.random.Generator, max_n_frac: float
) -> Iterator[Window]:
    bounds = np.cumsum([fasta.lengths[name] - length + 1 for name in names])
    refused = 0
    while n > 0:
        place = int(generator.integers(bounds[-1]))
        i = int(np.searchsorted(bounds, place, side="right"))
        start = place - (int(bounds[i - 1]) if i else 0)
        sequence = fasta.fetch(names[i], start, start + length)
        if sequence.count("N") <= max_n_frac * length:
            yield Window(names[i], start, start + length, sequence)
            n, refused = n - 1, 0
            continue
        refused += 1
        if refused >= 10_000:
            raise DataError(
                f"{fasta.path}: 10000 random windows in a row had more than {max_n_frac:.0%} of N; allow more"
            )
