"""Similar sequences on either strand: shared seeds propose pairs, banded alignment decides.

Two rows are similar when their best local alignment has at least :data:`IDENTITY` matches per column and spans at least
:data:`COVERAGE` of the shorter row and :data:`MIN_COLUMNS` columns. Which similar rows are copies, and which are repeats, is said in
:mod:`findna_bench.relatedness.copies`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from findna_bench.errors import UnsupportedError
from findna_bench.relatedness.alignment import Alignments, align
from findna_bench.relatedness.copies import are_copies
from findna_bench.relatedness.kmer_seeds import Seeds, SeedScheme, choose_scheme, find_seeds
from findna_bench.sequences.alphabet import encode

__all__ = [
    "COVERAGE",
    "IDENTITY",
    "LONGEST",
    "MIN_COLUMNS",
    "Candidates",
    "Hits",
    "SequenceIndex",
    "is_similar",
]

IDENTITY = 0.90
"""Least matches per alignment column."""
COVERAGE = 0.50
"""Least alignment columns over the length of the shorter row."""
MIN_COLUMNS = 32
"""Least alignment columns: shorter rows can only be identical, not similar."""

LONGEST = 1 << 18
"""Most bases of a row: the time of an alignment grows with the square of its length, and its path is counted in 20 bits."""

COMMON_SEED = 64
"""A seed with more places than this among the target rows is used only for rows that have fewer than _FEW others."""
_FEW = 3
_RESCUED = 8
_HITS_AT_ONCE = 1 << 20
_TAKEN_AT_ONCE = 1 << 20
_FILTER_BITS = 26
_SAME_DIAGONAL = 12
"""Seeds of one pair whose diagonals lie this close are one chain (a few inserted or deleted bases between them)."""
_LEAST_SEEDS = 0.06
"""Share of the seeds expected at the thresholds that a chain needs, for substitutions may be spread as badly as can be."""
_TOP = 8
"""Best chains per query row that are aligned."""
_MORE = 32
"""As many where the best of the first is nearly similar (in a family of genes or repeats seeds alone do not tell who is nearest), or
similar (how many others are as near tells a copy from a repeat)."""
_NEARLY = 0.8
"""Identity from which it is nearly similar."""


@dataclass(frozen=True)
class Candidates:
    """Pairs that share seeds on neighbouring diagonals: query, target, reverse (bool), diagonal, seeds; all (p,)."""

    query: np.ndarray
    target: np.ndarray
    reverse: np.ndarray
    diagonal: np.ndarray
    seeds: np.ndarray

    def take(self, index: np.ndarray) -> Candidates:
        """The given pairs."""
        return Candidates(
            self.query[index], self.target[index], self.reverse[index], self.diagonal[index], self.seeds[index]
        )


@dataclass(frozen=True)
class _PackedPairs:
    """Pair, strand and diagonal in one integer, so that one sort of integers puts hits in the order of all four.

    Attributes:
        targets: indexed rows. longest_query, longest_target: bases, which say how far diagonals reach.
    """

    targets: int
    longest_query: int
    longest_target: int

    @property
    def span(self) -> int:
        """Diagonals of a pair."""
        return self.longest_query + self.longest_target + 1

    def pack(self, query: np.ndarray, target: np.ndarray, reverse: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
        """(p,) int64."""
        pair = (query * self.targets + target) * 2 + reverse
        packed: np.ndarray = pair * self.span + (diagonal + self.longest_query)
        return packed

    def unpack(self, packed: np.ndarray, seeds: np.ndarray) -> Candidates:
        """The pairs (p,) with their numbers of seeds."""
        pair, diagonal = np.divmod(packed, self.span)
        rows, reverse = np.divmod(pair, 2)
        query, target = np.divmod(rows, self.targets)
        return Candidates(query, target, reverse.astype(bool), diagonal - self.longest_query, seeds)


@dataclass(frozen=True)
class Hits:
    """For each query row its nearest target row.

    target: (n,) int64, -1 = nothing aligned; reverse: (n,) bool; identity: (n,); columns, matches: (n,) int64;
    similar: (n,) bool, see the module; matched_fraction: (n,) matches over the length of the query row.
    copy: (n,) int64, the nearest target row that the row is a copy of, -1 = none; a similar row that is no copy is a repeat.
    repeats: query and target rows of the aligned pairs that are similar and no copies, both (p,) int32; of each query row the strongest few dozen alone.
    """

    target: np.ndarray
    reverse: np.ndarray
    identity: np.ndarray
    columns: np.ndarray
    matches: np.ndarray
    similar: np.ndarray
    matched_fraction: np.ndarray
    copy: np.ndarray
    repeats: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Aligned:
    """Candidate pairs of whole query rows, their alignments, and whether each is among those that decide who is nearest."""

    pairs: Candidates
    found: Alignments
    similar: np.ndarray
    copy: np.ndarray
    contends: np.ndarray


def is_similar(found: Alignments, query_length: np.ndarray, target_length: np.ndarray) -> np.ndarray:
    """(p,) bool: the alignment makes the pair similar."""
    need = np.maximum(MIN_COLUMNS, np.ceil(COVERAGE * np.minimum(query_length, target_length)))
    similar: np.ndarray = (found.identity >= IDENTITY) & (found.columns >= need)
    return similar


def _check_lengths(sequences: Sequence[str]) -> None:
    longest = max(map(len, sequences), default=0)
    if longest > LONGEST:
        raise UnsupportedError(
            f"a sequence of {longest:,} bases is too long to be aligned with the others, which takes at most {LONGEST:,}; cut it into windows"
        )


class SequenceIndex:
    """Rows of one split, ready to be searched."""

    def __init__(self, sequences: Sequence[str], scheme: SeedScheme | None = None) -> None:
        """sequences: n strings over A, C, G, T, N. scheme: None = chosen by their total length.

        Raises:
            UnsupportedError: one is longer than :data:`LONGEST`.
        """
        _check_lengths(sequences)
        self.encoded = encode(sequences)
        self.lengths = np.diff(self.encoded[1])
        self.scheme = scheme or choose_scheme(int(self.encoded[1][-1]))
        number: dict[str, int] = {}
        self._text = np.fromiter(
            (number.setdefault(s, len(number)) for s in sequences), dtype=np.int64, count=len(sequences)
        )
        seeds = find_seeds(*self.encoded, self.scheme)
        self._seeds = _by_value(seeds)
        del seeds
        # Most seeds of a query are nowhere in the index: a table of low bits tells so without a search.
        bits = min(2 * self.scheme.k, max(16, (8 * len(self._seeds.value)).bit_length()), _FILTER_BITS)
        self._filter = np.zeros(1 << bits, dtype=bool)
        self._filter[self._seeds.value & np.uint32((1 << bits) - 1)] = True
        new = np.ones(len(self._seeds.value), dtype=bool)
        np.not_equal(self._seeds.value[1:], self._seeds.value[:-1], out=new[1:])
        self._first = np.append(np.flatnonzero(new), len(new))
        self._distinct = self._seeds.value[self._first[:-1]]

    def nearest(self, sequences: Sequence[str], *, own_row: np.ndarray | None = None) -> Hits:
        """The nearest indexed row of each sequence.

        own_row: (n,) int64, the indexed row that a query row itself is, and which it is not compared with; None = none.
        """
        _check_lengths(sequences)
        encoded = encode(sequences)
        hits = _nothing_found(len(sequences))
        repeats = [np.zeros((2, 0), dtype=np.int32)]
        for aligned in self._aligned(encoded, own_row):
            _keep_best(hits, aligned)
            repeats.append(_repeats(aligned, len(self.lengths)))
        lengths = np.maximum(np.diff(encoded[1]), 1)
        query, target = np.concatenate(repeats, axis=1)
        return replace(hits, matched_fraction=hits.matches / lengths, repeats=(query, target))

    def copies(self, sequences: Sequence[str], *, own_row: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(query row, indexed row), both (p,) int64: pairs that are copies. own_row: as :meth:`nearest` takes it."""
        _check_lengths(sequences)
        query, target = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for aligned in self._aligned(encode(sequences), own_row):
            query.append(aligned.pairs.query[aligned.copy])
            target.append(aligned.pairs.target[aligned.copy])
        return np.concatenate(query), np.concatenate(target)

    def _aligned(self, encoded: tuple[np.ndarray, np.ndarray], own_row: np.ndarray | None) -> Iterator[_Aligned]:
        """The strongest candidates of each query row, aligned; of rows with relatives more of them."""
        lengths = np.diff(encoded[1])
        for candidates in self.candidates(encoded, own_row=own_row):
            order, rank = _by_strength(candidates)
            first = candidates.take(order[rank < _TOP])
            found = self._align(encoded, first)
            similar = is_similar(found, lengths[first.query], self.lengths[first.target])
            family, related = _with_relatives(first, found, similar, len(lengths))
            more = candidates.take(order[(rank >= _TOP) & (rank < _MORE) & related[candidates.query[order]]])
            pairs = _joined_pairs(first, more)
            found = found.joined(self._align(encoded, more))
            similar = is_similar(found, lengths[pairs.query], self.lengths[pairs.target])
            copy = are_copies(
                encoded,
                pairs.query,
                pairs.target,
                self.lengths,
                self._text,
                pairs.diagonal,
                found,
                similar,
                COVERAGE,
            )
            contends = (np.arange(len(pairs.query)) < len(first.query)) | family[pairs.query]
            yield _Aligned(pairs, found, similar, copy, contends)

    def _align(self, encoded: tuple[np.ndarray, np.ndarray], pairs: Candidates) -> Alignments:
        return align(encoded, pairs.query, self.encoded, pairs.target, pairs.reverse, pairs.diagonal)

    def candidates(
        self, encoded: tuple[np.ndarray, np.ndarray], *, own_row: np.ndarray | None = None
    ) -> Iterator[Candidates]:
        """Chunks of candidate pairs; all pairs of a query row are in one chunk. encoded: (codes, offsets) of the queries."""
        seeds = find_seeds(*encoded, self.scheme)
        first, places = self._places(seeds.value)
        used = _usable(seeds.row, places, len(encoded[1]) - 1)
        seeds = Seeds(seeds.value[used], seeds.row[used], seeds.position[used], seeds.forward[used])
        first, places = first[used], places[used]
        taken = np.minimum(places, COMMON_SEED)
        lengths = np.diff(encoded[1])
        pairs = _PackedPairs(len(self.lengths), int(lengths.max(initial=0)), int(self.lengths.max(initial=0)))
        for lo, hi in _row_chunks(seeds.row, taken):
            chunk = self._expand(seeds, first, places, taken, lo, hi, own_row, pairs)
            if len(chunk):
                yield self._plausible(_chains(chunk, pairs), lengths)

    def _places(self, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(m,) first place of each seed among the sorted ones of the index, and how many it has there."""
        first, places = np.zeros((2, len(value)), dtype=np.int64)
        known = np.flatnonzero(self._filter[value & np.uint32(len(self._filter) - 1)])
        if not len(self._distinct):
            return first, places
        order = known[np.argsort(value[known], kind="stable")]
        asked = value[order]
        at = np.minimum(np.searchsorted(self._distinct, asked), len(self._distinct) - 1)
        there = self._distinct[at] == asked
        order, at = order[there], at[there]
        first[order] = self._first[at]
        places[order] = self._first[at + 1] - self._first[at]
        return first, places

    def _expand(
        self,
        seeds: Seeds,
        first: np.ndarray,
        places: np.ndarray,
        taken: np.ndarray,
        lo: int,
        hi: int,
        own_row: np.ndarray | None,
        pairs: _PackedPairs,
    ) -> np.ndarray:
        """Every hit of the query seeds ``lo:hi``, packed."""
        size = taken[lo:hi]
        which = np.repeat(np.arange(lo, hi), size)
        step = np.arange(len(which)) - np.repeat(np.cumsum(size) - size, size)
        # Evenly spaced where there are too many.
        place = first[which] + step * places[which] // np.maximum(taken[which], 1)
        query, target = seeds.row[which].astype(np.int64), self._seeds.row[place].astype(np.int64)
        reverse = seeds.forward[which] != self._seeds.forward[place]
        position = self._seeds.position[place].astype(np.int64)
        position = np.where(reverse, self.lengths[target] - self.scheme.span - position, position)
        packed = pairs.pack(query, target, reverse, position - seeds.position[which])
        return packed if own_row is None else packed[target != own_row[query]]

    def _plausible(self, found: Candidates, query_length: np.ndarray) -> Candidates:
        """Leave out chains with far fewer seeds than the least similar pair is expected to share."""
        shorter = np.minimum(query_length[found.query], self.lengths[found.target])
        columns = np.maximum(MIN_COLUMNS, COVERAGE * shorter)
        expected = (columns - self.scheme.span + 1) * IDENTITY**self.scheme.k * self.scheme.density
        return found.take(np.flatnonzero(found.seeds > expected * _LEAST_SEEDS))


def _by_value(seeds: Seeds) -> Seeds:
    """In order of value, and of row and position where it is the same."""
    # One sort of (value, place), 32 bits each, which are read again without shifts and copies.
    packed = np.empty(len(seeds.value), dtype="<u8")
    halves = packed.view("<u4").reshape(-1, 2)
    halves[:, 0] = np.arange(len(packed), dtype=np.uint32)
    halves[:, 1] = seeds.value
    packed.sort()
    columns = [halves[:, 1].astype(np.uint32)]
    for column in (seeds.row, seeds.position, seeds.forward):
        columns.append(np.empty_like(column))
        for first in range(0, len(packed), _TAKEN_AT_ONCE):
            part = slice(first, first + _TAKEN_AT_ONCE)
            columns[-1][part] = column[halves[part, 0]]
    return Seeds(*columns)


def _usable(row: np.ndarray, places: np.ndarray, n_rows: int) -> np.ndarray:
    """Indices of the query seeds to look up: those with few places; for rows with too few of them also their rarest."""
    rare = (places > 0) & (places <= COMMON_SEED)
    poor = np.bincount(row[rare], minlength=n_rows) < _FEW
    common = np.flatnonzero((places > COMMON_SEED) & poor[row])
    if len(common):
        common = common[np.lexsort((places[common], row[common]))]
        rank = (
            np.arange(len(common))
            - np.flatnonzero(np.diff(row[common], prepend=-1))[np.cumsum(np.diff(row[common], prepend=-1) != 0) - 1]
        )
        common = common[rank < _RESCUED]
    return np.sort(np.concatenate([np.flatnonzero(rare), common]))


def _row_chunks(row: np.ndarray, sizes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of seeds of whole query rows whose hits number about ``_HITS_AT_ONCE``."""
    if not len(row):
        return
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    ends = np.append(starts[1:], len(row))
    total = np.cumsum(sizes)
    i = 0
    while i < len(starts):
        before = int(total[starts[i] - 1]) if starts[i] else 0
        j = max(i + 1, int(np.searchsorted(total[ends - 1], before + _HITS_AT_ONCE, side="right")))
        yield int(starts[i]), int(ends[j - 1])
        i = j


def _chains(hits: np.ndarray, pairs: _PackedPairs) -> Candidates:
    """Hits of one pair and strand on neighbouring diagonals, joined: the middle diagonal, and how many there were. hits: packed."""
    hits = np.sort(hits)
    which = hits // pairs.span
    new = np.ones(len(hits), dtype=bool)
    # Of one pair and strand packed hits differ as their diagonals do.
    new[1:] = (which[1:] != which[:-1]) | (np.diff(hits) > _SAME_DIAGONAL)
    starts = np.flatnonzero(new)
    sizes = np.diff(np.append(starts, len(hits)))
    return pairs.unpack(hits[starts + sizes // 2], sizes)


def _by_strength(found: Candidates) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the chains by query row and falling number of seeds, and the rank of each within its query row."""
    order = np.lexsort((found.target, -found.seeds, found.query))
    query = found.query[order]
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    rank = np.arange(len(query)) - np.repeat(starts, np.diff(np.append(starts, len(query))))
    return order, rank


def _with_relatives(
    pairs: Candidates, found: Alignments, similar: np.ndarray, n_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool, twice: query rows whose best pair is nearly similar; those, and rows that have similar pairs."""
    identity, has_similar = np.zeros(n_rows), np.zeros(n_rows, dtype=bool)
    # The pair with the most matches is written last, the first target of several.
    order = np.lexsort((-pairs.target, found.matches, pairs.query))
    aligned = order[found.columns[order] >= MIN_COLUMNS]
    identity[pairs.query[aligned]] = found.identity[aligned]
    has_similar[pairs.query[similar]] = True
    family = (identity >= _NEARLY) & ~has_similar
    return family, family | has_similar


def _joined_pairs(first: Candidates, second: Candidates) -> Candidates:
    return Candidates(
        *(
            np.concatenate([getattr(first, f), getattr(second, f)])
            for f in ("query", "target", "reverse", "diagonal", "seeds")
        )
    )


def _nothing_found(n: int) -> Hits:
    return Hits(
        target=np.full(n, -1, dtype=np.int64),
        reverse=np.zeros(n, dtype=bool),
        identity=np.zeros(n),
        columns=np.zeros(n, dtype=np.int64),
        matches=np.zeros(n, dtype=np.int64),
        similar=np.zeros(n, dtype=bool),
        matched_fraction=np.zeros(n),
        copy=np.full(n, -1, dtype=np.int64),
        repeats=(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)),
    )


def _repeats(aligned: _Aligned, n_targets: int) -> np.ndarray:
    """(2, p) int32 query and target rows of pairs that are similar, and copies on no strand and diagonal."""
    pair = aligned.pairs.query * n_targets + aligned.pairs.target
    repeats = np.setdiff1d(pair[aligned.similar], pair[aligned.copy])
    return np.stack(np.divmod(repeats, n_targets)).astype(np.int32)


def _keep_best(hits: Hits, aligned: _Aligned) -> None:
    """Write each query row's best pair into ``hits``: a similar one before any other, then by matches, then the first target;
    and its best copy, by matches."""
    pairs, found = aligned.pairs, aligned.found
    among = np.flatnonzero((found.columns >= MIN_COLUMNS) & aligned.contends)
    top = among[np.lexsort((pairs.target[among], -found.matches[among], ~aligned.similar[among], pairs.query[among]))]
    top = top[np.flatnonzero(np.diff(pairs.query[top], prepend=-1))]
    rows = pairs.query[top]
    hits.target[rows] = pairs.target[top]
    hits.reverse[rows] = pairs.reverse[top]
    hits.identity[rows] = found.identity[top]
    hits.columns[rows] = found.columns[top]
    hits.matches[rows] = found.matches[top]
    hits.similar[rows] = aligned.similar[top]
    copies = np.flatnonzero(aligned.copy)
    # Falling order: the best is written last.
    copies = copies[np.lexsort((-pairs.target[copies], found.matches[copies]))]
    hits.copy[pairs.query[copies]] = pairs.target[copies]
