"""The alphabet A, C, G, T, N: normalising, encoding to uint8 codes, decoding, reverse complement, one-hot.

Codes: A 0, C 1, G 2, T 3, N 4; two bases are complementary where their codes sum to 3. Padding has the code of N and is
told apart by a mask. Strings are worked on as joined bytes with ``bytes.translate``, which on one core is faster than an
indexed look-up in numpy. Torch is imported only by what works on tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from findna_bench.errors import DataError

if TYPE_CHECKING:
    import torch

__all__ = [
    "BASES",
    "PAD",
    "decode",
    "encode",
    "encode_padded",
    "normalise",
    "normalise_all",
    "one_hot",
    "reverse_complement",
    "reverse_complement_codes",
]

BASES = "ACGTN"
"""Base of each code, and the order of one-hot channels."""
PAD = 4
"""Code of padding: that of N, with a mask beside it."""

_IUPAC = "ACGTU" + "N" + "RYSWKMBDHV"
_COMPLEMENTS = "TGCAA" + "N" + "YRSWMKVHDB"
_BAD_CODE = 255
_BAD_LETTER = ord("!")
_CHUNK_BASES = 1 << 18
"""Bases joined at a time: the working set of a chunk stays in the second-level cache."""


def _table(letters: str, images: bytes, missing: int) -> bytes:
    table = bytearray([missing] * 256)
    for letter, image in zip(letters, images, strict=True):
        table[ord(letter)] = image
    return bytes(table)


_BOTH_CASES = _IUPAC + _IUPAC.lower()
_NORMAL = _table(_BOTH_CASES, (b"ACGTT" + b"N" * 11) * 2, _BAD_LETTER)
_CODE = _table(_BOTH_CASES, bytes([0, 1, 2, 3, 3] + [4] * 11) * 2, _BAD_CODE)
_LETTER = bytes(BASES, "ascii") + bytes([_BAD_LETTER] * (256 - len(BASES)))
_COMPLEMENT_LETTER = _table(_BOTH_CASES, (_COMPLEMENTS + _COMPLEMENTS.lower()).encode("ascii"), _BAD_LETTER)
_COMPLEMENT_CODE = np.arange(256, dtype=np.uint8)
_COMPLEMENT_CODE[:4] = [3, 2, 1, 0]

CodesT = TypeVar("CodesT", np.ndarray, "torch.Tensor")


def normalise(sequence: str, where: str = "") -> str:
    """The sequence over A, C, G, T, N: upper-cased, U read as T, other IUPAC letters as N.

    ``where`` names its place for messages, e.g. ``"reads.csv, row 7"``.

    Raises:
        DataError: the sequence is empty or holds anything else; names ``where``, the 1-based position and the character.
    """
    place = where or "sequence"
    if not sequence:
        raise DataError(f"{place}: the sequence is empty; give at least one base, or remove the row")
    try:
        letters = sequence.encode("ascii").translate(_NORMAL)
    except UnicodeEncodeError as error:
        raise _not_dna(place, sequence, error.start) from None
    position = letters.find(_BAD_LETTER)
    if position >= 0:
        raise _not_dna(place, sequence, position)
    return letters.decode("ascii")


def _not_dna(place: str, sequence: str, position: int) -> DataError:
    character = sequence[position]
    shown = "a line break" if character in "\r\n" else "a space" if character == " " else repr(character)
    return DataError(
        f"{place}: position {position + 1} is {shown}, which is not a DNA letter; "
        "allowed are A, C, G, T, U, N and the other IUPAC letters (read as N)"
    )


def normalise_all(sequences: Sequence[str], where: Callable[[int], str] = "sequence {}".format) -> list[str]:
    """:func:`normalise` for many sequences, fast; ``where(i)`` names the place of sequence ``i`` (0-based).

    Raises:
        DataError: as :func:`normalise`, for the first sequence at fault.
    """
    normal: list[str] = []
    for first, last in _chunks(sequences):
        part = sequences[first:last]
        joined = "".join(part)
        letters = joined.encode("ascii", "replace").translate(_NORMAL)  # "?" is no DNA letter either
        if _BAD_LETTER in letters or not all(part):
            normal.extend(normalise(sequence, where(first + i)) for i, sequence in enumerate(part))
            continue
        text = letters.decode("ascii")
        if text == joined:
            normal.extend(part)
            continue
        start = 0
        for sequence in part:
            normal.append(text[start : start + len(sequence)])
            start += len(sequence)
    return normal


def _chunks(sequences: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Row ranges of at least ``_CHUNK_BASES`` bases (the last may be shorter)."""
    first, bases = 0, 0
    for i, sequence in enumerate(sequences):
        bases += len(sequence)
        if bases >= _CHUNK_BASES:
            yield first, i + 1
            first, bases = i + 1, 0
    if first < len(sequences):
        yield first, len(sequences)


def encode(sequences: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Codes of all sequences one after another: uint8 (bases,), and int64 offsets (n + 1,).

    Sequence ``i`` is ``codes[offsets[i]:offsets[i + 1]]``. Letters are read as :func:`normalise` reads them.

    Raises:
        DataError: a letter is not DNA; names the sequence (0-based), position and character.
    """
    offsets = np.zeros(len(sequences) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences)), out=offsets[1:])
    codes = np.empty(int(offsets[-1]), dtype=np.uint8)
    for first, last in _chunks(sequences):
        part = "".join(sequences[first:last]).encode("ascii", "replace").translate(_CODE)
        if _BAD_CODE in part:
            _raise_first_fault(sequences[first:last], first)
        codes[offsets[first] : offsets[last]] = np.frombuffer(part, dtype=np.uint8)
    return codes, offsets


def _raise_first_fault(sequences: Sequence[str], first: int) -> None:
    for i, sequence in enumerate(sequences):
        if sequence:
            normalise(sequence, f"sequence {first + i}")
    raise AssertionError("a sequence was said to be at fault and none is")


def encode_padded(sequences: Sequence[str], length: int | None = None, pad: int = PAD) -> np.ndarray:
    """Codes of a batch as uint8 (B, L), padded at the right with ``pad``; L is ``length``, or the longest sequence's.

    Raises:
        ValueError: a sequence is longer than ``length`` (cutting is the caller's decision).
        DataError: as :func:`encode`.
    """
    longest = max(map(len, sequences), default=0)
    width = longest if length is None else length
    if longest > width:
        raise ValueError(f"a sequence has {longest} bases, more than the {width} asked for; cut it first")
    codes, offsets = encode(sequences)
    lengths = np.diff(offsets)
    if len(sequences) and lengths.min() == width:
        return codes.reshape(len(sequences), width)
    padded = np.full((len(sequences), width), pad, dtype=np.uint8)
    for row, start, stop in zip(padded, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        row[: stop - start] = codes[start:stop]
    return padded


def decode(codes: np.ndarray) -> str:
    """The letters of uint8 codes (L,).

    Raises:
        ValueError: a code is above 4, or the array is not one-dimensional.
    """
    array = np.asarray(codes)
    if array.ndim != 1:
        raise ValueError(f"codes must be one-dimensional, not of shape {array.shape}")
    if array.size and (array.max() >= len(BASES) or array.min() < 0):
        raise ValueError(f"codes must be 0 to {len(BASES) - 1}, not {array.max()}")
    return array.astype(np.uint8, copy=False).tobytes().translate(_LETTER).decode("ascii")


def reverse_complement(sequence: str) -> str:
    """The other strand, read 5' to 3'; IUPAC letters are complemented and case is kept (U becomes A).

    Raises:
        DataError: a letter is not DNA.
    """
    letters = sequence.encode("ascii", "replace").translate(_COMPLEMENT_LETTER)
    if _BAD_LETTER in letters:
        normalise(sequence)
    return letters[::-1].decode("ascii")


def reverse_complement_codes(codes: CodesT, lengths: CodesT | None = None) -> CodesT:
    """Reverse complement of codes (..., L), array or tensor; codes of 4 and above are kept as they are.

    lengths: None, or bases per row (...): then each row is reversed within its own length and its padding stays at the right.
    """
    if isinstance(codes, np.ndarray):
        complement = _COMPLEMENT_CODE[codes].astype(codes.dtype, copy=False)
        if lengths is None:
            return np.ascontiguousarray(complement[..., ::-1])
        return np.take_along_axis(complement, _reversal(np.arange(codes.shape[-1]), np.asarray(lengths), np.where), -1)
    import torch

    complement = torch.where(codes < 4, 3 - codes, codes)
    if lengths is None:
        return complement.flip(-1)
    position = torch.arange(codes.shape[-1], device=codes.device)
    return complement.gather(-1, _reversal(position, torch.as_tensor(lengths, device=codes.device), torch.where))


def _reversal(position: Any, lengths: Any, where: Callable[..., Any]) -> Any:
    """Index (..., L) that reverses the first ``lengths`` entries of a row; the same arithmetic for arrays and tensors."""
    mirrored = lengths[..., None] - 1 - position
    return where(mirrored >= 0, mirrored, position)


def one_hot(codes: torch.Tensor, *, mask: torch.Tensor | None = None, dtype: torch.dtype | None = None) -> torch.Tensor:
    """One-hot rows (..., 5) in the order A, C, G, T, N, made on the device of ``codes``.

    Args:
        codes: (...) whole numbers, of which 5 and above give zero rows; or (..., 5) floating rows already, so that a network reads
            both of what objectives give it.
        mask: (...) bool; positions where it is False are zero rows.
        dtype: float32 unless given; of rows their own.

    Example:
        >>> fb.one_hot(torch.tensor([0, 3, 5], dtype=torch.uint8)).tolist()
        [[1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    import torch

    if codes.is_floating_point():
        rows = codes if dtype is None else codes.to(dtype)
        return rows if mask is None else rows * mask.unsqueeze(-1)
    channels = torch.arange(len(BASES), device=codes.device, dtype=codes.dtype)
    hot = codes.unsqueeze(-1) == channels
    if mask is not None:
        hot = hot & mask.unsqueeze(-1)
    return hot.to(dtype or torch.float32)
