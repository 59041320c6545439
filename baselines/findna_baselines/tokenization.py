"""How DNA becomes tokens: characters, non-overlapping 6-mers, overlapping k-mers, and byte-pair encoding.

Every tokenizer works on whole batches with NumPy and gives ids, padding mask, special-token mask and the number of bases that
each token stands for (spans). Lower case is read as upper case; a letter outside A, C, G, T, N is an error.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from findna_bench.api import DataError, TokenBatch, WeightsError

__all__ = [
    "BytePairTokenizer",
    "CharacterTokenizer",
    "KmerVocabulary",
    "OverlappingKmerTokenizer",
    "PublishedTokenizer",
    "SixmerTokenizer",
    "Tokenizer",
    "assemble",
    "digest_of",
]

Int64 = NDArray[np.int64]


class Tokenizer(Protocol):
    """What the backbones here ask of a tokenizer."""

    def digest(self) -> str:
        """sha256 of everything that decides how sequences become tokens."""

    def __call__(self, sequences: Sequence[str]) -> TokenBatch:
        """Tokenize a batch, padded at the right."""

    def counts(self, lengths: Sequence[int]) -> list[int]:
        """Tokens for sequences of these lengths, special ones included, at most."""


def digest_of(*parts: str | bytes) -> str:
    """sha256 over the parts, each preceded by its length."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(f"{len(data)}:".encode() + data)
    return total.hexdigest()


def assemble(
    ids: Int64,
    spans: Int64,
    counts: Int64,
    lengths: Int64,
    *,
    pad: int,
    prefix: tuple[int, ...] = (),
    suffix: tuple[int, ...] = (),
) -> TokenBatch:
    """Lay ragged tokens out as one right-padded batch.

    ids, spans: flat, the ordinary tokens of all sequences one after another. counts: (B,) ordinary tokens per sequence.
    lengths: (B,) bases per sequence before truncation. prefix, suffix: special ids around every sequence.
    """
    total = counts + len(prefix) + len(suffix)
    width = int(total.max(initial=1))
    column = np.arange(width)
    mask = column < total[:, None]
    ordinary = (column >= len(prefix)) & (column < (counts + len(prefix))[:, None])
    inputs = np.full(mask.shape, pad, dtype=np.int64)
    inputs[ordinary] = ids
    inputs[:, : len(prefix)] = prefix
    rows = np.arange(len(counts))
    for offset, token in enumerate(suffix):
        inputs[rows, counts + len(prefix) + offset] = token
    bases = np.zeros(mask.shape, dtype=np.int64)
    bases[ordinary] = spans
    return TokenBatch(
        inputs=torch.from_numpy(inputs),
        mask=torch.from_numpy(mask),
        special=torch.from_numpy(mask & ~ordinary),
        spans=torch.from_numpy(bases),
        lengths=torch.from_numpy(lengths),
    )


def letters(sequences: Sequence[str], table: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Int64]:
    """Flat codes of all sequences and their lengths; ``table`` maps byte to code, 255 = not a nucleotide.

    Raises:
        DataError: a letter outside A, C, G, T, N, or an empty sequence.
    """
    lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
    if (lengths == 0).any():
        raise DataError(f"sequence {int(np.flatnonzero(lengths == 0)[0])} is empty: nothing to tokenize")
    raw = np.frombuffer("".join(sequences).encode("latin-1", "replace"), dtype=np.uint8)
    codes = table[raw]
    bad = np.flatnonzero(codes == 255)
    if bad.size:
        row = int(np.searchsorted(np.cumsum(lengths), bad[0], side="right"))
        position = int(bad[0] - lengths[:row].sum())
        raise DataError(
            f"sequence {row}, position {position + 1}: {sequences[row][position]!r} is not one of A, C, G, T, N; "
            f"normalise sequences before tokenizing"
        )
    return codes, lengths


def letter_table(codes: dict[str, int]) -> NDArray[np.uint8]:
    """Byte -> code for upper and lower case; 255 elsewhere."""
    table = np.full(256, 255, dtype=np.uint8)
    for letter, code in codes.items():
        table[ord(letter)] = table[ord(letter.lower())] = code
    return table


class CharacterTokenizer:
    """One token per base, no [CLS]: HyenaDNA's ``-hf`` tokenizer and Caduceus's. ``append_sep``: [SEP] at the end.

    Ids: [CLS] 0, [SEP] 1, [BOS] 2, [MASK] 3, [PAD] 4, [RESERVED] 5, [UNK] 6, A 7, C 8, G 9, T 10, N 11.
    """

    sep, mask, pad = 1, 3, 4
    codes = {"A": 7, "C": 8, "G": 9, "T": 10, "N": 11}  # noqa: RUF012

    def __init__(self, max_length: int | None, *, append_sep: bool = True) -> None:
        self.max_length = max_length
        self._suffix = (self.sep,) if append_sep else ()
        self._table = letter_table(self.codes)

    def digest(self) -> str:
        return digest_of(
            "characters", "1", repr(sorted(self.codes.items())), f"suffix={self._suffix}", f"pad={self.pad}"
        )

    def counts(self, lengths: Sequence[int]) -> list[int]:
        limit = self.max_length
        return [(length if limit is None else min(length, limit)) + len(self._suffix) for length in lengths]

    def __call__(self, sequences: Sequence[str]) -> TokenBatch:
        lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
        if self.max_length is not None:
            sequences = [s[: self.max_length] for s in sequences]
        ids, counts = letters(sequences, self._table)
        return assemble(
            ids.astype(np.int64),
            np.ones(len(ids), dtype=np.int64),
            counts,
            lengths,
            pad=self.pad,
            suffix=self._suffix,
        )


_BASES = "ACGT"
_BASE_CODES = {"A": 0, "C": 1, "G": 2, "T": 3, "N": 4}


class KmerVocabulary:
    """Ids of k-mers, single bases and special tokens, from a published rule or a ``vocab.txt`` (one token per line)."""

    def __init__(self, tokens: Sequence[str], k: int, source: str) -> None:
        self.k, self.tokens, self.source = k, tuple(tokens), source
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens):
            raise WeightsError(f"{source}: a token is listed twice")

    @classmethod
    def by_rule(cls, special: Sequence[str], k: int, singles: Sequence[str] = ()) -> KmerVocabulary:
        """Special tokens, then all k-mers in the authors' letter order A, T, C, G, then single letters."""
        kmers = ("".join(letters) for letters in itertools.product("ATCG", repeat=k))
        return cls((*special, *kmers, *singles), k, f"the published {k}-mer rule")

    @classmethod
    def from_file(cls, path: Path, k: int) -> KmerVocabulary:
        """Read ``vocab.txt``.

        Raises:
            WeightsError: not a text file, or a token is listed twice.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise WeightsError(f"{path}: cannot be read as a vocabulary ({error})") from error
        return cls(text.rstrip("\n").split("\n"), k, str(path))

    def __len__(self) -> int:
        return len(self.tokens)

    def id(self, token: str) -> int:
        """The id of one token.

        Raises:
            WeightsError: it is not in the vocabulary.
        """
        if token not in self._ids:
            raise WeightsError(
                f"{self.source}: token {token} is missing; use the vocabulary published with the weights"
            )
        return self._ids[token]

    def kmer_ids(self) -> Int64:
        """(4**k,) ids, indexed by the k-mer read as a base-4 number with A 0, C 1, G 2, T 3."""
        return np.array([self.id("".join(kmer)) for kmer in itertools.product(_BASES, repeat=self.k)], dtype=np.int64)

    def digest(self) -> str:
        return digest_of(*self.tokens)


class SixmerTokenizer:
    """Nucleotide Transformer's tokens: 6-mers from the left, N and what is left before it or at the end as single letters.

    [CLS] first, nothing at the end. ``max_tokens`` counts [CLS]; what does not fit is cut off.
    """

    def __init__(self, vocabulary: KmerVocabulary, max_tokens: int) -> None:
        self.vocabulary, self.max_tokens, self.k = vocabulary, max_tokens, vocabulary.k
        self.cls, self.pad, self.mask = (vocabulary.id(token) for token in ("<cls>", "<pad>", "<mask>"))
        self.max_length = self.k * (max_tokens - 1)
        self._kmers = vocabulary.kmer_ids()
        self._singles = np.array([vocabulary.id(letter) for letter in "ACGTN"], dtype=np.int64)
        self._table = letter_table(_BASE_CODES)

    def digest(self) -> str:
        return digest_of("sixmers", "1", self.vocabulary.digest(), f"max_tokens={self.max_tokens}")

    def counts(self, lengths: Sequence[int]) -> list[int]:
        """Without N; every N costs up to ``k`` tokens more, never above ``max_tokens``."""
        return [min(length // self.k + length % self.k + 1, self.max_tokens) for length in lengths]

    def __call__(self, sequences: Sequence[str]) -> TokenBatch:
        lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
        codes, kept = letters([s[: self.max_length] for s in sequences], self._table)
        ends = np.cumsum(kept)
        starts = _kmer_layout(codes, ends - kept, self.k)
        first = np.flatnonzero(starts)
        whole = starts[first] == self.k
        ids = np.empty(len(first), dtype=np.int64)
        ids[~whole] = self._singles[codes[first[~whole]]]
        ids[whole] = self._kmers[_kmer_codes(codes, first[whole], self.k)]
        row = np.searchsorted(ends, first, side="right")
        counts = np.bincount(row, minlength=len(sequences))
        rank = np.arange(len(first)) - (np.cumsum(counts) - counts)[row]
        fits = rank < self.max_tokens - 1
        return assemble(
            ids[fits],
            starts[first][fits].astype(np.int64),
            np.minimum(counts, self.max_tokens - 1),
            lengths,
            pad=self.pad,
            prefix=(self.cls,),
        )


def _kmer_layout(codes: NDArray[np.uint8], sequence_starts: Int64, k: int) -> NDArray[np.uint8]:
    """Per base: bases of the token that starts there (``k`` or 1), 0 inside a k-mer."""
    size = len(codes)
    unknown = codes == 4
    breaks = unknown.copy()
    breaks[1:] |= unknown[:-1]
    breaks[sequence_starts] = True
    run_starts = np.flatnonzero(breaks)
    run_lengths = np.diff(run_starts, append=size)
    offset = np.arange(size) - np.repeat(run_starts, run_lengths)
    inside = offset < np.repeat(run_lengths - run_lengths % k, run_lengths)
    layout = np.ones(size, dtype=np.uint8)
    layout[inside] = np.where(offset[inside] % k == 0, k, 0)
    return layout


def _kmer_codes(codes: NDArray[np.uint8], starts: Int64, k: int) -> Int64:
    """Base-4 numbers of the k-mers at ``starts`` (none of them holds N)."""
    number = np.zeros(len(starts), dtype=np.int64)
    for step in range(k):
        number = number * 4 + codes[starts + step]
    return number


class OverlappingKmerTokenizer:
    """DNABERT's tokens: every k-mer, one base apart, between [CLS] and [SEP]; a k-mer with N is [UNK].

    Spans count the bases that a token adds: ``k`` for the first, 1 for the others. A sequence shorter than k has no k-mer.
    """

    def __init__(self, vocabulary: KmerVocabulary, max_tokens: int) -> None:
        self.vocabulary, self.max_tokens, self.k = vocabulary, max_tokens, vocabulary.k
        special = ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]")
        self.cls, self.sep, self.pad, self.unk, self.mask = (vocabulary.id(token) for token in special)
        self.max_length = max_tokens - 2 + self.k - 1
        self._kmers = vocabulary.kmer_ids()
        self._table = letter_table(_BASE_CODES)

    def digest(self) -> str:
        return digest_of("overlapping-kmers", "1", self.vocabulary.digest(), f"max_tokens={self.max_tokens}")

    def counts(self, lengths: Sequence[int]) -> list[int]:
        return [max(0, min(length, self.max_length) - self.k + 1) + 2 for length in lengths]

    def __call__(self, sequences: Sequence[str]) -> TokenBatch:
        lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
        codes, kept = letters([s[: self.max_length] for s in sequences], self._table)
        ends = np.cumsum(kept)
        counts = np.maximum(kept - self.k + 1, 0)
        to_end = np.repeat(ends, kept) - np.arange(len(codes))
        starts = np.flatnonzero(to_end >= self.k)
        unknown = np.concatenate(([0], np.cumsum(codes == 4)))
        clean = unknown[starts + self.k] == unknown[starts]
        ids = np.full(len(starts), self.unk, dtype=np.int64)
        ids[clean] = self._kmers[_kmer_codes(codes, starts[clean], self.k)]
        spans = np.ones(len(starts), dtype=np.int64)
        spans[(np.cumsum(counts) - counts)[counts > 0]] = self.k
        return assemble(ids, spans, counts, lengths, pad=self.pad, prefix=(self.cls,), suffix=(self.sep,))


class BytePairTokenizer:
    """DNABERT-2's byte-pair tokens from its ``tokenizer.json``, between [CLS] and [SEP].

    The vocabulary knows neither N nor lower case: both would be [UNK]. Case is settled first; each N stays one [UNK].
    """

    def __init__(self, path: Path, max_length: int | None) -> None:
        self.max_length = max_length
        self._content, self._tokenizer = read_tokenizer(path)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        vocabulary: Mapping[str, int] = self._tokenizer.get_vocab()
        self.size = max(vocabulary.values()) + 1
        special = ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", *_BASES)
        absent = [token for token in special if token not in vocabulary]
        if absent:
            raise WeightsError(
                f"{path}: token {absent[0]} is missing; use the tokenizer.json published with the weights"
            )
        self.cls, self.sep, self.pad, self.unk, self.mask = (vocabulary[token] for token in special[:5])
        self._spans = np.ones(self.size, dtype=np.int64)
        for token, number in vocabulary.items():
            if set(token) <= set(_BASES):
                self._spans[number] = len(token)
        self._table = letter_table({letter: ord(letter) for letter in "ACGTN"})

    def digest(self) -> str:
        return digest_of("byte-pairs", "1", self._content, f"max_length={self.max_length}")

    def counts(self, lengths: Sequence[int]) -> list[int]:
        """An upper bound is one token per base; in practice it is about one per four to five."""
        limit = self.max_length
        return [(length if limit is None else min(length, limit)) + 2 for length in lengths]

    def __call__(self, sequences: Sequence[str]) -> TokenBatch:
        lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
        codes, kept = letters([s[: self.max_length] for s in sequences], self._table)
        text, ends = codes.tobytes().decode("ascii"), np.cumsum(kept)
        clean = [text[end - size : end] for end, size in zip(ends.tolist(), kept.tolist(), strict=True)]
        encode: Any = getattr(self._tokenizer, "encode_batch_fast", self._tokenizer.encode_batch)
        rows = [encoding.ids for encoding in encode(clean, add_special_tokens=False)]
        counts = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
        ids = np.fromiter(itertools.chain.from_iterable(rows), dtype=np.int64, count=int(counts.sum()))
        return assemble(ids, self._spans[ids], counts, lengths, pad=self.pad, prefix=(self.cls,), suffix=(self.sep,))


class PublishedTokenizer:
    """Any ``tokenizer.json`` over DNA letters, with its own special tokens; spans come from character offsets.

    Case is settled first: upper case, or lower case where the vocabulary holds only that.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        self._content, self._tokenizer = read_tokenizer(path)
        self.max_tokens = max_tokens
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        vocabulary = self._tokenizer.get_vocab()
        self._lower = "a" in vocabulary and "A" not in vocabulary
        self.size = max(vocabulary.values()) + 1
        self.largest_id = max(number for token, number in vocabulary.items() if set(token.upper()) <= set("ACGTN"))
        named = {token: vocabulary[token] for token in ("[PAD]", "<pad>") if token in vocabulary}
        if not named:
            raise WeightsError(f"{path}: no padding token ([PAD] or <pad>) in the vocabulary")
        self.pad = next(iter(named.values()))
        self.mask = next((vocabulary[token] for token in ("[MASK]", "<mask>") if token in vocabulary), None)
        self._table = letter_table({letter: ord(letter) for letter in "ACGTN"})

    def digest(self) -> str:
        return digest_of("published", "1", self._content, f"max_tokens={self.max_tokens}")

    def counts(self, lengths: Sequence[int]) -> list[int]:
        """An upper bound: one token per base and the special ones."""
        return [min(length + 2, self.max_tokens) for length in lengths]

    def __call__(self, sequences: Sequence[str]) -> TokenBatch:
        letters(sequences, self._table)
        text = [s.lower() if self._lower else s.upper() for s in sequences]
        encodings = self._tokenizer.encode_batch(text)
        width = max(len(encoding.ids) for encoding in encodings)
        inputs = np.full((len(sequences), width), self.pad, dtype=np.int64)
        mask, special = np.zeros(inputs.shape, dtype=bool), np.zeros(inputs.shape, dtype=bool)
        spans = np.zeros(inputs.shape, dtype=np.int64)
        for row, encoding in enumerate(encodings):
            size = len(encoding.ids)
            inputs[row, :size], mask[row, :size] = encoding.ids, True
            special[row, :size] = np.array(encoding.special_tokens_mask, dtype=bool)
            offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
            spans[row, :size] = np.where(special[row, :size], 0, offsets[:, 1] - offsets[:, 0])
        return TokenBatch(
            inputs=torch.from_numpy(inputs),
            mask=torch.from_numpy(mask),
            special=torch.from_numpy(special),
            spans=torch.from_numpy(spans),
            lengths=torch.tensor([len(s) for s in sequences]),
        )


def read_tokenizer(path: Path) -> tuple[bytes, Any]:
    """The bytes of a ``tokenizer.json`` and the tokenizer they describe.

    Raises:
        WeightsError: it cannot be read.
    """
    from tokenizers import Tokenizer as FastTokenizer

    try:
        content = path.read_bytes()
        return content, FastTokenizer.from_str(content.decode())
    except Exception as error:  # the library raises a bare Exception for anything it cannot parse
        raise WeightsError(f"{path}: cannot be read as a tokenizer.json ({error})") from error
