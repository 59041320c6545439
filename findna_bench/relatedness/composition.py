"""What a sequence is made of: GC, N, dinucleotides and k-mer counts, vectorised over rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from findna_bench.sequences.alphabet import encode

__all__ = ["LEAST_LENGTH", "Composition", "composition", "dinucleotide_keys", "kmer_frequencies", "same_composition"]

_ROWS_AT_ONCE = 4096
LEAST_LENGTH = 50
"""Shorter rows have equal dinucleotide counts by chance."""


@dataclass(frozen=True)
class Composition:
    """gc: (n,) G and C over A, C, G, T (0 where there is none); n: (n,) N over length; dinucleotides: (n, 16) frequencies
    in the order AA, AC, ..., TT."""

    gc: np.ndarray
    n: np.ndarray
    dinucleotides: np.ndarray


def composition(sequences: Sequence[str]) -> Composition:
    """Composition of each sequence over A, C, G, T, N."""
    parts = [_part(sequences[i : i + _ROWS_AT_ONCE]) for i in range(0, len(sequences), _ROWS_AT_ONCE)]
    if not parts:
        return Composition(np.zeros(0), np.zeros(0), np.zeros((0, 16)))
    gc, unknown, pairs = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Composition(gc, unknown, pairs)


def _part(sequences: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    codes, offsets = encode(sequences)
    lengths = np.diff(offsets)
    row = np.repeat(np.arange(len(lengths)), lengths)
    bases = np.bincount(row * 5 + codes, minlength=5 * len(lengths)).reshape(-1, 5)
    known = bases[:, :4].sum(axis=1)
    gc = (bases[:, 1] + bases[:, 2]) / np.maximum(known, 1)
    return gc, bases[:, 4] / np.maximum(lengths, 1), _frequencies(codes, row, len(lengths), 2)


def dinucleotide_keys(sequences: Sequence[str]) -> list[bytes]:
    """A key per sequence that is equal where all 25 dinucleotide counts (N included) and the first base are: what a shuffle that
    keeps dinucleotides keeps. Empty for sequences shorter than :data:`LEAST_LENGTH`."""
    keys: list[bytes] = []
    for i in range(0, len(sequences), _ROWS_AT_ONCE):
        part = sequences[i : i + _ROWS_AT_ONCE]
        codes, offsets = encode(part)
        lengths = np.diff(offsets)
        row = np.repeat(np.arange(len(part)), lengths)
        pair = codes[:-1].astype(np.int64) * 5 + codes[1:]
        inside = row[:-1] == row[1:]
        counts = np.bincount(row[:-1][inside] * 25 + pair[inside], minlength=25 * len(part)).reshape(-1, 25)
        rows = np.column_stack([counts, codes[np.minimum(offsets[:-1], len(codes) - 1)]]).astype(np.int32)
        keys += [line.tobytes() if n >= LEAST_LENGTH else b"" for line, n in zip(rows, lengths.tolist(), strict=True)]
    return keys


def same_composition(
    query: Sequence[bytes], query_identity: np.ndarray, target: Sequence[bytes], target_identity: np.ndarray
) -> np.ndarray:
    """(m,) for each query row the first target row with its :func:`dinucleotide_keys` that is another sequence, -1 = none.

    query_identity, target_identity: numbers equal where two rows are one sequence, on either strand; a row is thereby never paired
    with itself.
    """
    rows_of: dict[bytes, list[int]] = {}
    for i, key in enumerate(target):
        if key:
            rows_of.setdefault(key, []).append(i)
    found = np.full(len(query), -1, dtype=np.int64)
    for i, key in enumerate(query):
        for j in rows_of.get(key, ()) if key else ():
            if target_identity[j] != query_identity[i]:
                found[i] = j
                break
    return found


def kmer_frequencies(sequences: Sequence[str], k: int) -> np.ndarray:
    """(n, 4**k) float32 frequencies of k-mers on the given strand; k-mers with N do not count."""
    out = np.zeros((len(sequences), 4**k), dtype=np.float32)
    for i in range(0, len(sequences), _ROWS_AT_ONCE):
        part = sequences[i : i + _ROWS_AT_ONCE]
        codes, offsets = encode(part)
        row = np.repeat(np.arange(len(part)), np.diff(offsets))
        out[i : i + len(part)] = _frequencies(codes, row, len(part), k)
    return out


def _frequencies(codes: np.ndarray, row: np.ndarray, n_rows: int, k: int) -> np.ndarray:
    size = len(codes) - k + 1
    if size <= 0:
        return np.zeros((n_rows, 4**k))
    kmer = np.zeros(size, dtype=np.int64)
    known = row[:size] == row[k - 1 :]
    for j in range(k):
        base = codes[j : j + size]
        kmer = kmer * 4 + (base & 3)
        known &= base < 4
    counts = np.bincount(row[:size][known] * 4**k + kmer[known], minlength=n_rows * 4**k).reshape(n_rows, -1)
    frequencies: np.ndarray = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return frequencies
