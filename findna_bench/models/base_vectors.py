"""One vector per base: hidden states of tokens, brought back to the bases that each token reads.

A base that several tokens read (overlapping k-mers, overlapping windows) has their mean; the bases of one token (a k-mer, a byte-pair
token) all have its vector; special tokens and padding belong to no base. Vectors stream to a file, so that memory holds a portion of
them, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from findna_bench.errors import UsageError
from findna_bench.models.backbone import Backbone, TokenBatch
from findna_bench.models.embedding import (
    EMBED_STRANDS,
    batching_of,
    cache_key,
    hidden_states,
    refuse_not_finite,
    run_batches,
)
from findna_bench.models.embedding_cache import EmbeddingCache
from findna_bench.models.kept_bases import KeptBases, OneSequence
from findna_bench.models.loading import LoadedModel
from findna_bench.models.representations import Representation, resolve_layer
from findna_bench.models.row_vectors import VectorFile
from findna_bench.models.windows import WindowPolicy
from findna_bench.sequences.alphabet import normalise_all, reverse_complement

__all__ = ["BaseEmbeddings", "BaseReading", "BaseVectors", "embed_bases", "spread_over_bases"]

_PORTION_BYTES = 64 * 2**20
"""Of vectors that are in memory at once, sums over windows included."""


@dataclass(frozen=True)
class BaseVectors:
    """Vectors of all bases of n sequences, on disk.

    Attributes:
        files: one per strand or table that was put together.
        of_file, first: (n,) int64, where the bases of a sequence begin: in which file, and at which row of it.
        lengths: (n,) int64 bases of each sequence.
        read: per file (rows,) bool, bases that the model has read; the vector of another is zero and means nothing.
        turned: (n,) bool, whether the model has read the other strand of a sequence; its vectors stand in the order of the sequence.
        width: columns of what is predicted for a sequence; those beyond its bases are padding.
    """

    files: tuple[VectorFile, ...]
    of_file: NDArray[np.int64]
    first: NDArray[np.int64]
    lengths: NDArray[np.int64]
    read: tuple[NDArray[np.bool_], ...]
    turned: NDArray[np.bool_]
    width: int

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, D): sequences, and channels of a base."""
        return len(self), self.files[0].dim

    def __getitem__(self, rows: Any) -> BaseVectors:
        """The given sequences."""
        return replace(
            self,
            of_file=self.of_file[rows],
            first=self.first[rows],
            lengths=self.lengths[rows],
            turned=self.turned[rows],
        )

    def joined(self, other: BaseVectors) -> BaseVectors:
        """The sequences of both, one after another."""
        shifted = other.of_file + len(self.files)
        return BaseVectors(
            self.files + other.files,
            np.concatenate([self.of_file, shifted]),
            np.concatenate([self.first, other.first]),
            np.concatenate([self.lengths, other.lengths]),
            self.read + other.read,
            np.concatenate([self.turned, other.turned]),
            max(self.width, other.width),
        )

    def of_sequence(self, row: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Vectors (L, D) of a sequence, and which of its bases were read (L,)."""
        return self._span(int(row), 0, int(self.lengths[row]))

    def was_read(self, row: int) -> NDArray[np.bool_]:
        """(L,) bases of a sequence that the model has read."""
        first = int(self.first[row])
        return self.read[int(self.of_file[row])][first : first + int(self.lengths[row])]

    def gather(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, D) of single bases: sequences (m,), sorted, and places in them (m,)."""
        found = np.empty((len(rows), self.files[0].dim), np.float32)
        some, starts = np.unique(rows, return_index=True)
        for row, start, stop in zip(
            some.tolist(), starts.tolist(), [*starts[1:].tolist(), len(rows)][: len(some)], strict=True
        ):
            mine = places[start:stop]
            low, high = int(mine.min()), int(mine.max()) + 1
            found[start:stop] = self._span(row, low, high)[0][mine - low]
        return found

    def _span(self, row: int, start: int, stop: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        number, first = int(self.of_file[row]), int(self.first[row])
        rows = self.files[number].read(first + start, stop - start)
        return rows, self.read[number][first + start : first + stop]


@dataclass(frozen=True)
class BaseEmbeddings:
    """vectors: of all bases. coverage, batch: as :class:`~findna_bench.models.embedding.Embeddings` has them."""

    vectors: BaseVectors
    coverage: dict[str, int]
    batch: dict[str, Any]


class BaseReading:
    """Reads sequences base by base: an iterator over (row, vectors (L, D) float32, bases that were read (L,)), rows of similar length
    one after another, of which a portion is in memory.

    What was read is counted as it goes.

    Args:
        model: a loaded encoder.
        sequences: n normal ones (:func:`~findna_bench.sequences.alphabet.normalise_all`).
        layer, batch_size, strand, window, cache: as :func:`embed_bases` takes them.
    """

    def __init__(
        self,
        model: LoadedModel,
        sequences: Sequence[str],
        *,
        layer: int = -1,
        batch_size: int | str = "auto",
        strand: str = "forward",
        window: str | None = None,
        cache: EmbeddingCache | None = None,
    ) -> None:
        if strand not in EMBED_STRANDS:
            raise UsageError(f"strand {strand!r}: embed_bases knows {', '.join(EMBED_STRANDS)}")
        self.model, self.sequences = model, sequences
        self.lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
        self.batching = batching_of(model, batch_size)
        self._layer = resolve_layer(model, layer)
        self._policy = WindowPolicy.parse(window or model.card.window)
        self._strands = ("forward", "reverse") if strand == "rc-mean" else (strand,)
        self._windows = 0
        self._seen = np.zeros(len(sequences), np.int64)
        self._kept: KeptBases | None = None
        if cache is not None:
            key = cache_key(model, Representation(self._layer, "bases"), self._policy, strand, self.batching)
            self._kept = KeptBases.of(cache, key, model.backbone.embed_dim, self.lengths)

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.bool_]]]:
        for rows in _portions(self.lengths, self.model.backbone.embed_dim):
            for row, vectors, read in self._known_or_read(rows):
                self._seen[row] = read.sum()
                yield row, vectors, read

    def _known_or_read(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.bool_]]]:
        """Of a portion what is kept from before, then what is read now, and kept."""
        if self._kept is None:
            yield from self._of_portion(rows)
            return
        known = self._kept.lookup(rows, self.sequences)
        for one in known:
            self._windows += one.windows * len(self._strands)
            yield one.row, one.vectors, one.read
        missing = rows[~np.isin(rows, [one.row for one in known])]
        if not len(missing):
            return
        del known
        found = []
        for row, vectors, read in self._of_portion(missing):
            windows = len(self._policy.cut(int(self.lengths[row]), self.model.max_length))
            found.append(OneSequence(row, vectors, read, windows))
            yield row, vectors, read
        self._kept.store(found, self.sequences)

    def coverage(self) -> dict[str, int]:
        """What was read, as :class:`~findna_bench.models.embedding.Embeddings` counts it."""
        return {
            "bases_total": int(self.lengths.sum()),
            "bases_seen": int(self._seen.sum()),
            "truncated_sequences": int(((self._seen < self.lengths) & (self._seen > 0)).sum()),
            "windows": self._windows // len(self._strands),
            "short_sequences": int((self._seen == 0).sum()),
        }

    def _of_portion(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.bool_]]]:
        """Means over strands, and windows, that have read a base."""
        model, sequences = self.model, self.sequences
        dim = model.backbone.embed_dim
        cuts = [self._policy.cut(len(sequences[row]), model.max_length) for row in rows]
        pieces = [
            (place, start, stop, strand)
            for place, cut in enumerate(cuts)
            for start, stop in cut
            for strand in self._strands
        ]
        texts = [sequences[rows[place]][start:stop] for place, start, stop, _ in pieces]
        texts = [
            reverse_complement(text) if piece[3] == "reverse" else text
            for text, piece in zip(texts, pieces, strict=True)
        ]
        sums = [np.zeros((len(sequences[row]), dim), np.float32) for row in rows]
        counts = [np.zeros(len(sequences[row]), np.int32) for row in rows]

        def compute(batch: TokenBatch) -> tuple[Tensor, Tensor]:
            return spread_over_bases(model.backbone, batch, hidden_states(model, batch, {self._layer})[self._layer])

        for some, (values, covered) in run_batches(model, texts, self.batching, compute):
            vectors, known = values.cpu().numpy(), covered.cpu().numpy()
            refuse_not_finite(model, vectors, rows[[pieces[piece][0] for piece in some]])
            for own, has, piece in zip(vectors, known, some.tolist(), strict=True):
                place, start, stop, strand = pieces[piece]
                n = stop - start
                own, has = own[:n], has[:n]
                if strand == "reverse":
                    own, has = own[::-1], has[::-1]
                sums[place][start:stop] += own
                counts[place][start:stop] += has
        self._windows += len(pieces)
        for place, row in enumerate(rows.tolist()):
            seen = counts[place] > 0
            mean: NDArray[np.float32] = sums[place] / np.maximum(counts[place], 1).astype(np.float32)[:, None]
            yield row, mean, seen


def embed_bases(
    model: LoadedModel,
    sequences: Sequence[str],
    *,
    layer: int = -1,
    batch_size: int | str = "auto",
    strand: str = "forward",
    window: str | None = None,
    width: int | None = None,
    cache: EmbeddingCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BaseEmbeddings:
    """A vector for every base of every sequence, streamed to disk.

    Args:
        model: a loaded encoder.
        sequences: n of them, of any lengths.
        layer, batch_size: as :func:`~findna_bench.models.embedding.embed` takes them.
        strand: ``forward``; ``reverse``, vectors of the other strand in the order of this one, so that base i is base i;
            ``rc-mean``, the mean of both.
        window: None = the card's. Bases that no window covers are not read; one that several cover has their mean.
        width: see :class:`BaseVectors`; None = the longest sequence.
        cache: where vectors are kept from one call to another (:mod:`findna_bench.models.kept_bases`); None = nowhere.
        progress: called with (sequences done, of all).

    Raises:
        DataError: a sequence is empty or no DNA. UsageError: an option is wrong. ModelError: the model gives NaN.
        OutputError: there is no room on disk. torch.OutOfMemoryError: a single sequence does not fit.

    Example:
        >>> found = embed_bases(fb.load_model("findna-tiny"), ["ACGTACGT"]).vectors
        >>> found.of_sequence(0)[0].shape
        (8, 96)
    """
    reading = BaseReading(
        model,
        normalise_all(list(sequences)),
        layer=layer,
        batch_size=batch_size,
        strand=strand,
        window=window,
        cache=cache,
    )
    lengths = reading.lengths
    first = np.cumsum(lengths) - lengths
    file = VectorFile(model.backbone.embed_dim, int(lengths.sum()))
    read = np.zeros(int(lengths.sum()), dtype=bool)
    for done, (row, values, seen) in enumerate(reading, 1):
        file.write(int(first[row]), values)
        read[first[row] : first[row] + lengths[row]] = seen
        if progress is not None:
            progress(done, len(lengths))
    vectors = BaseVectors(
        (file,),
        np.zeros(len(lengths), np.int64),
        first,
        lengths,
        (read,),
        np.full(len(lengths), strand == "reverse"),
        int(lengths.max(initial=0)) if width is None else width,
    )
    return BaseEmbeddings(vectors, reading.coverage(), reading.batching.record())


def _portions(lengths: NDArray[np.int64], dim: int) -> Iterator[NDArray[np.int64]]:
    """Rows of similar length, about :data:`_PORTION_BYTES` of vectors at once, a single sequence at least."""
    if not len(lengths):
        return
    order = np.argsort(lengths, kind="stable")
    cost = np.cumsum(lengths[order] * (4 * dim / _PORTION_BYTES))
    yield from np.split(order, np.flatnonzero(np.diff(np.floor(cost))) + 1)


def spread_over_bases(backbone: Backbone, batch: TokenBatch, states: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors of bases from those of tokens.

    Args:
        backbone: whose tokens they are.
        batch: the tokens.
        states: (B, T, D).

    Returns:
        (vectors (B, L, D) float32, zero where nothing was read; bases read (B, L) bool), L being the longest sequence of the batch.
    """
    starts, stops = backbone.token_ranges(batch)
    stops = torch.minimum(stops, batch.lengths[:, None])
    n_rows, longest, dim = len(batch), int(batch.lengths.max()), states.shape[-1]
    ordinary = batch.mask & ~batch.special & (stops > starts)
    row, token = torch.nonzero(ordinary, as_tuple=True)
    starts, widths = starts[row, token], (stops - starts)[row, token]
    of_base = torch.repeat_interleave(torch.arange(len(row), device=row.device), widths)
    inside = torch.arange(len(of_base), device=row.device) - torch.repeat_interleave(
        torch.cumsum(widths, 0) - widths, widths
    )
    base = (row * longest + starts)[of_base] + inside
    values = states[row, token].float()
    counts = torch.zeros(n_rows * longest, device=states.device, dtype=torch.float32)
    counts.index_add_(0, base, torch.ones_like(base, dtype=torch.float32))
    if int(counts.max()) <= 1:
        vectors = torch.zeros(n_rows * longest, dim, device=states.device)
        vectors[base] = values[of_base]
    else:
        # Token by token place, so that no vector is repeated for each of its bases at once.
        vectors = torch.zeros(n_rows * longest, dim, device=states.device)
        for step in range(int(widths.max())):
            reaches = torch.nonzero(widths > step)[:, 0]
            vectors.index_add_(0, (row * longest + starts)[reaches] + step, values[reaches])
        vectors /= counts.clamp(min=1)[:, None]
    return vectors.view(n_rows, longest, dim), (counts > 0).view(n_rows, longest)
