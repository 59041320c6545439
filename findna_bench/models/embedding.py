"""Sequences to vectors: windows, batches of similar length, back-off when memory runs out, strands, pooling, cache.

Shapes: n sequences, B batch, T tokens, D channels. A "piece" is one window of one sequence.
"""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from findna_bench.errors import (
    ModelError,
    NotFiniteError,
    RanksError,
    TruncationWarning,
    UsageError,
    is_out_of_memory,
)
from findna_bench.models.backbone import Encoding, TokenBatch
from findna_bench.models.embedding_cache import CacheSpace, EmbeddingCache, sequence_digests
from findna_bench.models.linear_products import by_onednn
from findna_bench.models.loading import LoadedModel
from findna_bench.models.pooling import check_pooling, pool, short_rows
from findna_bench.models.precision import compute_precision
from findna_bench.models.representations import Representation, resolve_layer
from findna_bench.models.row_vectors import RowVectors, VectorRows, vectors_for
from findna_bench.models.windows import WindowPolicy
from findna_bench.results.flags import truncation_note
from findna_bench.results.schema import Coverage
from findna_bench.sequences.alphabet import normalise_all, reverse_complement
from findna_bench.sequences.batches import length_batches

__all__ = [
    "EMBEDDING_VERSION",
    "EMBED_STRANDS",
    "Embeddings",
    "batching_of",
    "embed",
    "encode",
    "hidden_states",
    "refuse_not_finite",
    "run_batches",
    "token_budget",
]

logger = logging.getLogger(__name__)

EMBEDDING_VERSION = 1
"""Raised whenever the same model and options give other vectors; part of the cache key."""

EMBED_STRANDS = ("forward", "reverse", "rc-mean")
"""``reverse``: the reverse complement alone, for protocols that combine strands later (rc-logit-mean, rc-augment)."""

Progress = Callable[[int, int], None]

_CPU_TOKENS = 8192
_MOST_CUDA_TOKENS = 1 << 19
_WORKING_COPIES = 48
"""Float32 copies of the hidden states that a forward pass is taken to need at once; a guess that back-off corrects."""
_MOST_ROWS = 1024
_WRITE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Embeddings:
    """vectors: float32 (n, D); where they may be on disk and are many, :class:`~findna_bench.models.row_vectors.RowVectors`, which are
    used as an array is by whoever reads block by block.

    coverage: ``bases_total``, ``bases_seen``, ``truncated_sequences``, ``windows`` (pieces read), ``short_sequences`` (no ordinary
    token). batch: ``requested``, ``effective`` (most sequences in a batch as planned), ``micro`` (most that memory allowed).
    cached: sequences whose vectors came from the cache.
    """

    vectors: NDArray[np.float32]
    coverage: dict[str, int]
    batch: dict[str, Any]
    cached: int = 0

    @property
    def truncation(self) -> str:
        """That not all bases were read, in a sentence for the user; empty where all were."""
        return truncation_note(Coverage(**self.coverage))


@dataclass
class _Batching:
    """How batches are cut, and what memory allowed."""

    requested: int | str
    budget: int | None
    rows: int
    effective: int = 0
    micro: int = 0
    limit: int | None = None
    """Tokens that fitted when a batch did not; nothing larger is tried again."""

    def plan(self, model: LoadedModel, lengths: Sequence[int]) -> list[NDArray[np.int64]]:
        tokens = model.backbone.token_counts(list(lengths)) if len(lengths) else []
        batches = length_batches(lengths, max_tokens=self.budget, batch_size=self.rows, n_tokens=tokens)
        self.effective = max([self.effective, *map(len, batches)])
        # Longest first: if memory is too small, that shows at once.
        return batches[::-1]

    def record(self) -> dict[str, Any]:
        micro = self.effective if self.limit is None else self.micro
        return {"requested": self.requested, "effective": self.effective, "micro": micro}


@dataclass
class _Counts:
    """Coverage per sequence."""

    bases: NDArray[np.int64]
    windows: NDArray[np.int32]
    short: NDArray[np.int32]
    found: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))

    @classmethod
    def zeros(cls, n: int) -> _Counts:
        return cls(np.zeros(n, np.int64), np.zeros(n, np.int32), np.zeros(n, np.int32), np.zeros(n, bool))


def embed(
    model: LoadedModel,
    sequences: Sequence[str],
    *,
    pooling: str | None = None,
    layer: int = -1,
    batch_size: int | str = "auto",
    strand: str = "forward",
    window: str | None = None,
    cache: EmbeddingCache | None = None,
    also: Sequence[Representation] = (),
    stream: bool = False,
    progress: Progress | None = None,
) -> Embeddings:
    """One vector per sequence, in the order given; a vector depends neither on the batch nor on the other sequences.

    pooling, window: None = the card's. layer: -1 or ``n_layers`` = last hidden states, 0 = embedding output, other negative
    ones count from the end. batch_size: rows, or ``"auto"``: as many tokens as the device is good for. Either is halved when
    memory runs out. strand: one of :data:`EMBED_STRANDS`; ``rc-mean`` averages the vectors of both. cache: where vectors are
    kept; not used for a model whose code cannot be hashed. also: further layers and poolings, whose vectors the same forward
    passes put into the cache. stream: whether vectors that take much room may be kept on disk. progress: called with (sequences done, of all).

    Raises:
        DataError: a sequence is empty or no DNA (its number is named). OutputError: there is no room on disk. UsageError, UnsupportedError: an option is wrong.
        torch.OutOfMemoryError: a single sequence does not fit. ModelError: the model gives NaN.
    """
    how = check_pooling(pooling or model.card.pooling, causal=model.backbone.causal)
    policy = WindowPolicy.parse(window or model.card.window)
    wanted = dict.fromkeys((Representation(resolve_layer(model, layer), how), *also))
    if strand not in EMBED_STRANDS:
        raise UsageError(f"strand {strand!r}: embed knows {', '.join(EMBED_STRANDS)}")
    batching = batching_of(model, batch_size)
    normal = normalise_all(list(sequences))
    unique, inverse = _unique(normal)
    strands = ("forward", "reverse") if strand == "rc-mean" else (strand,)
    report = _shared_progress(progress, len(unique), len(strands), len(normal))
    parts = []
    for one in strands:
        place, whole = vectors_for(len(unique), model.backbone.embed_dim, stream=stream)
        counts = _embed_strand(model, unique, [*wanted], policy, one, batching, cache, report, place)
        parts.append((whole(), counts))
    vectors = parts[0][0] if len(parts) == 1 else _mean(parts[0][0], parts[1][0])
    counts = parts[0][1]
    return Embeddings(
        cast("NDArray[np.float32]", vectors[inverse]),
        _coverage(normal, counts, inverse),
        batching.record(),
        int(counts.found[inverse].sum()),
    )


def _mean(one: Any, other: Any) -> Any:
    """Of the vectors of both strands."""
    if isinstance(one, RowVectors):
        return one.mapped(other, _mean)
    return (one + other) / np.float32(2)


def encode(
    model: LoadedModel, sequences: Sequence[str], *, batch_size: int | str = "auto"
) -> list[NDArray[np.float32]]:
    """Last hidden states of all tokens that are not padding, special ones included: float32 (T_i, D) per sequence.

    A sequence longer than the model takes is cut at its end, and a warning says so.

    Raises:
        DataError, torch.OutOfMemoryError, ModelError: as :func:`embed`.
    """
    normal = normalise_all(list(sequences))
    longest = model.max_length
    if longest is not None and (cut := sum(len(s) > longest for s in normal)):
        warnings.warn(
            f"{model.name} reads {longest:,} bases: {cut:,} of {len(normal):,} sequences are cut at their end",
            TruncationWarning,
            stacklevel=3,  # the caller of fb.encode
        )
        normal = [s[:longest] for s in normal]
    states: list[NDArray[np.float32]] = [np.zeros((0, model.backbone.embed_dim), np.float32)] * len(normal)

    def compute(batch: TokenBatch) -> tuple[Tensor, Tensor]:
        return _tokens(model, batch, model.backbone(batch)).float(), batch.mask

    for rows, (tokens, mask) in run_batches(model, normal, batching_of(model, batch_size), compute):
        for row, values, real in zip(rows, tokens, mask, strict=True):
            states[row] = values[real].cpu().numpy()
            refuse_not_finite(model, states[row].reshape(1, -1), [int(row)])
    return states


def token_budget(model: LoadedModel) -> int:
    """Tokens of a batch that the device is good for: fixed on the CPU, by free memory on CUDA."""
    if model.device.type != "cuda":
        return _CPU_TOKENS
    free, _ = torch.cuda.mem_get_info(model.device)
    each = 4 * model.backbone.embed_dim * _WORKING_COPIES
    return int(min(_MOST_CUDA_TOKENS, max(_CPU_TOKENS, 0.5 * free / each)))


def batching_of(model: LoadedModel, batch_size: int | str) -> _Batching:
    """How batches of a size, or ``auto``, are cut."""
    if batch_size == "auto":
        return _Batching("auto", token_budget(model), _MOST_ROWS)
    if isinstance(batch_size, bool) or not str(batch_size).isdecimal() or int(batch_size) < 1:
        raise UsageError(f"--batch-size {batch_size}: choose auto or a number of sequences, 1 or more")
    return _Batching(int(batch_size), None, int(batch_size))


def _unique(sequences: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Different sequences in order of appearance, and for each row its place among them."""
    places: dict[str, int] = {}
    inverse = np.fromiter((places.setdefault(s, len(places)) for s in sequences), dtype=np.int64, count=len(sequences))
    return list(places), inverse


def _shared_progress(progress: Progress | None, n_unique: int, n_strands: int, n_rows: int) -> Callable[[float], None]:
    """Counts sequences of all strands, and reports them as rows."""
    total, done = max(1, n_unique * n_strands), 0.0

    def report(more: float) -> None:
        nonlocal done
        done += more
        if progress is not None and n_rows:
            progress(min(n_rows, int(n_rows * done / total + 1e-6)), n_rows)

    return report


def _coverage(sequences: Sequence[str], counts: _Counts, inverse: NDArray[np.int64]) -> dict[str, int]:
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    seen = np.minimum(counts.bases[inverse], lengths)
    short = counts.short[inverse] > 0
    return {
        "bases_total": int(lengths.sum()),
        "bases_seen": int(seen.sum()),
        "truncated_sequences": int(((seen < lengths) & ~short).sum()),
        "windows": int(counts.windows[inverse].sum()),
        "short_sequences": int(short.sum()),
    }


# ------------------------------------------------------------------------------------------------------- one strand


def _embed_strand(
    model: LoadedModel,
    sequences: list[str],
    wanted: Sequence[Representation],
    policy: WindowPolicy,
    strand: str,
    batching: _Batching,
    cache: EmbeddingCache | None,
    report: Callable[[float], None],
    vectors: VectorRows,
) -> _Counts:
    """Put vectors of the first of ``wanted`` into ``vectors``, portion by portion; those of the others go into the cache, where there
    is one.
    """
    n, dim = len(sequences), model.backbone.embed_dim
    counts = _Counts.zeros(n)
    spaces: list[CacheSpace] = []
    if cache is not None and n and model.code_digest is not None:
        spaces = [cache.space(cache_key(model, one, policy, strand, batching), dim) for one in wanted]
    digests = sequence_digests(sequences) if spaces else np.zeros(n, "V16")
    written = [False] * len(spaces)
    # Shards of a bounded size: what was computed before a crash is kept. Portions and batch sizes follow from all rows,
    # cached or not, so that a run that was interrupted records and computes what an uninterrupted one does.
    for portion in _portions(np.arange(n), sequences, dim):
        found = np.zeros((max(1, len(spaces)), len(portion)), dtype=bool)
        for number, space in enumerate(spaces):
            found[number] = _look_up(space, digests[portion], portion, counts, vectors if number == 0 else None)
        complete = found.all(axis=0)
        report(int(complete.sum()))
        batching.plan(model, [stop - start for row in portion for start, stop in _cut(model, policy, sequences[row])])
        rows = portion[~complete]
        if not len(rows):
            continue
        computed = _embed_rows(model, sequences, rows, wanted[: len(found)], policy, strand, batching, counts, report)
        for number, values in enumerate(computed):
            lacking = ~found[number, ~complete]
            new = rows[lacking]
            if number == 0:
                vectors[new] = values[lacking]
            if spaces:
                counted = counts.bases[new], counts.windows[new], counts.short[new]
                spaces[number].store(digests[new], values[lacking], *counted)
                written[number] = written[number] or bool(len(new))
    for number, space in enumerate(spaces):
        if written[number]:
            space.merge()
    return counts


def _look_up(
    space: CacheSpace,
    digests: NDArray[np.void],
    rows: NDArray[np.int64],
    counts: _Counts,
    vectors: VectorRows | None,
) -> NDArray[np.bool_]:
    """Which of the rows a space holds. Of the space whose vectors are wanted, these and what was read are taken over."""
    hits = space.lookup(digests)
    if vectors is not None:
        some = rows[hits.found]
        vectors[some] = hits.vectors[hits.found]
        counts.bases[some], counts.windows[some], counts.short[some] = (
            column[hits.found] for column in (hits.bases, hits.windows, hits.short)
        )
        counts.found[some] = True
    return hits.found


def cache_key(
    model: LoadedModel, wanted: Representation, policy: WindowPolicy, strand: str, batching: _Batching
) -> dict[str, Any]:
    return {
        "embedding_version": EMBEDDING_VERSION,
        "backbone": model.card.backbone,
        "code": model.code_digest,
        "plugin": f"{model.spec.distribution} {model.spec.version}",
        "config": {str(k): repr(v) for k, v in model.config.items()},
        "weights": model.weights_digest,
        "network": model.network,
        "tokenizer": model.tokenizer_digest,
        "pooling": wanted.pooling,
        "layer": wanted.layer,
        "window": str(policy),
        "max_length": model.max_length,
        "strand": strand,
        "dtype": model.dtype_name,
        "device": model.device.type,
        "threads": torch.get_num_threads() if model.device.type == "cpu" else None,
        "batch_size": batching.requested,
        # Last digits differ; a key says it where they do, so that others keep their vectors.
        **({"products": "onednn"} if by_onednn(model.device, model.dtype) else {}),
    }


def _portions(rows: NDArray[np.int64], sequences: Sequence[str], dim: int) -> Iterator[NDArray[np.int64]]:
    """Rows in portions of about 64 MiB of vectors or 32 Mb of sequence, of similar length within a portion."""
    if not len(rows):
        return
    lengths = np.fromiter((len(sequences[row]) for row in rows), dtype=np.int64, count=len(rows))
    order = np.argsort(lengths, kind="stable")
    cost = np.cumsum(np.maximum(lengths[order] / (1 << 25), 4 * dim / _WRITE_BYTES))
    yield from np.split(rows[order], np.flatnonzero(np.diff(np.floor(cost))) + 1)


def _embed_rows(
    model: LoadedModel,
    sequences: list[str],
    rows: NDArray[np.int64],
    wanted: Sequence[Representation],
    policy: WindowPolicy,
    strand: str,
    batching: _Batching,
    counts: _Counts,
    report: Callable[[float], None],
) -> list[NDArray[np.float32]]:
    """(rows, D) vectors for each of ``wanted``: means over windows, weighted by the bases each has read. ``counts`` are filled in."""
    cuts = [_cut(model, policy, sequences[row]) for row in rows]
    sizes = np.array([len(cut) for cut in cuts], dtype=np.int64)
    owner = np.repeat(np.arange(len(rows)), sizes)
    pieces = [sequences[row][start:stop] for row, cut in zip(rows, cuts, strict=True) for start, stop in cut]
    if strand == "reverse":
        pieces = [reverse_complement(piece) for piece in pieces]
    pooled = np.empty((len(wanted), len(pieces), model.backbone.embed_dim), np.float32)
    seen, short = np.empty(len(pieces), np.int64), np.empty(len(pieces), bool)

    def compute(batch: TokenBatch) -> tuple[Tensor, Tensor, Tensor]:
        states, causal = hidden_states(model, batch, {one.layer for one in wanted}), model.backbone.causal
        values = torch.stack([pool(states[one.layer], batch, one.pooling, causal=causal) for one in wanted])
        return values, batch.spans.sum(dim=1), short_rows(batch)

    for some, (values, spans, no_token) in run_batches(model, pieces, batching, compute):
        pooled[:, some] = values.cpu().numpy()
        refuse_not_finite(model, pooled[:, some].transpose(1, 0, 2), rows[owner[some]])
        seen[some] = np.minimum(spans.cpu().numpy(), [len(pieces[piece]) for piece in some])
        short[some] = no_token.cpu().numpy()
        report(float((1 / sizes[owner[some]]).sum()))

    first = np.cumsum(sizes) - sizes
    counts.windows[rows] = sizes
    counts.short[rows] = np.logical_and.reduceat(short, first)
    counts.bases[rows] = [
        _bases_read(cut, seen[start : start + len(cut)]) for cut, start in zip(cuts, first, strict=True)
    ]
    return [_mean_of_windows(values, np.where(short, 0, seen), owner, first) for values in pooled]


def _cut(model: LoadedModel, policy: WindowPolicy, sequence: str) -> list[tuple[int, int]]:
    return policy.cut(len(sequence), model.max_length)


def _mean_of_windows(
    pooled: NDArray[np.float32], bases: NDArray[np.int64], owner: NDArray[np.int64], first: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Mean of each sequence's windows (contiguous from ``first``), weighted by bases; equally where none has read any."""
    if len(first) == len(pooled):
        return pooled
    weights = np.where(np.add.reduceat(bases, first)[owner] > 0, bases, 1).astype(np.float64)
    weights /= np.add.reduceat(weights, first)[owner]
    return np.add.reduceat(pooled * weights[:, None], first, axis=0).astype(np.float32)


def _bases_read(cut: list[tuple[int, int]], seen: NDArray[np.int64]) -> int:
    """Bases of a sequence that any of its windows has read; windows may overlap."""
    end = total = 0
    for (start, _), read in zip(cut, seen, strict=True):
        total += max(0, start + int(read) - max(start, end))
        end = max(end, start + int(read))
    return total


def hidden_states(model: LoadedModel, batch: TokenBatch, layers: set[int]) -> dict[int, Tensor]:
    """(B, T, D) states of each of the layers, in one forward pass."""
    last = model.backbone.n_layers
    inner = sorted(layers - {last})
    if not inner:
        return {last: _tokens(model, batch, model.backbone(batch))}
    encoding = model.backbone(batch, layers=tuple(inner))
    if missing := [layer for layer in inner if encoding.layers is None or layer not in encoding.layers]:
        raise ModelError(f"{model.name}: its backbone gives no hidden states of layer {missing[0]}, only the last ones")
    states = {layer: encoding.layers[layer] for layer in inner}
    return states | {last: _tokens(model, batch, encoding)} if last in layers else states


def _tokens(model: LoadedModel, batch: TokenBatch, encoding: Any) -> Tensor:
    """The last hidden states of what a backbone, which may be a stranger's, returned."""
    if not isinstance(encoding, Encoding):
        raise ModelError(f"{model.name}: its backbone returned a {type(encoding).__name__}; return an Encoding")
    shape, expected = tuple(encoding.tokens.shape), (*batch.mask.shape, model.backbone.embed_dim)
    if shape != expected:
        raise ModelError(
            f"{model.name}: its backbone returned tokens of shape {shape} where (sequences, tokens, embed_dim) is {expected}"
        )
    return encoding.tokens


def refuse_not_finite(model: LoadedModel, values: NDArray[np.float32], rows: Sequence[int] | NDArray[np.int64]) -> None:
    """Raise where a vector of ``values`` (rows, ...) holds what is no number; ``rows`` are their sequences."""
    finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if not finite.all():
        raise NotFiniteError(
            f"{model.name} gives NaN or infinity in {model.dtype_name} (sequence {int(rows[int(np.argmin(finite))])}, counted among "
            "different ones from 0); try --dtype float32, or check the weights"
        )


# ---------------------------------------------------------------------------------------------------------- batches


def run_batches(
    model: LoadedModel, sequences: Sequence[str], batching: _Batching, compute: Callable[[TokenBatch], Any]
) -> Iterator[tuple[NDArray[np.int64], Any]]:
    """Yield (rows, ``compute(batch)``) until every sequence was in a batch; compute runs without gradient, in eval mode.

    A batch that runs out of memory is halved, and none as large is tried again.

    Raises:
        torch.OutOfMemoryError: a single sequence does not fit.
    """
    lengths = [len(sequence) for sequence in sequences]
    waiting = batching.plan(model, lengths)[::-1]
    was_training = model.backbone.training
    model.backbone.eval()
    try:
        with _Tokens(model, sequences) as tokens:
            while waiting:
                rows = waiting.pop()
                size = len(rows) * max(lengths[row] for row in rows)
                if batching.limit is not None and size > batching.limit and len(rows) > 1:
                    waiting.extend(_halves(rows))
                    continue
                tokenized = tokens.take(rows, waiting[-1] if waiting else None)
                done, result = _try(model, tokenized, compute)
                if done:
                    batching.micro = max(batching.micro, len(rows))
                    yield rows, result
                    continue
                del tokenized
                if model.shared:
                    raise RanksError(
                        f"{model.name}: {len(rows)} sequences do not fit into the memory of {model.device}, and processes that share an encoder "
                        "cannot divide a batch in its middle; say --batch-size N, or a shorter window"
                    )
                _free_memory(model)
                if len(rows) == 1:
                    raise torch.OutOfMemoryError(
                        f"{model.name}: one sequence of {size:,} bases does not fit into the memory of {model.device}; "
                        "choose --window window, a shorter limit or another device"
                    )
                batching.limit = size // 2
                logger.info("%s: %d sequences do not fit into memory, going on with halves", model.name, len(rows))
                waiting.extend(_halves(rows))
    finally:
        model.backbone.train(was_training)


def _halves(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    middle = (len(rows) + 1) // 2
    return rows[:middle], rows[middle:]


def _try(model: LoadedModel, batch: TokenBatch, compute: Callable[[TokenBatch], Any]) -> tuple[bool, Any]:
    """(True, result), or (False, None) when memory ran out; on return nothing holds on to the failed attempt."""
    try:
        with torch.inference_mode(), compute_precision(model.device, model.dtype):
            return True, compute(batch.to(model.device, non_blocking=True))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return False, None


def _free_memory(model: LoadedModel) -> None:
    gc.collect()
    if model.device.type == "cuda":
        torch.cuda.empty_cache()


class _Tokens:
    """Tokenizes batches; on CUDA the next one in a thread, while the device computes."""

    def __init__(self, model: LoadedModel, sequences: Sequence[str]) -> None:
        self._model, self._sequences = model, sequences
        self._pool = ThreadPoolExecutor(1) if model.device.type == "cuda" else None
        self._next: tuple[NDArray[np.int64], Future[TokenBatch]] | None = None

    def __enter__(self) -> _Tokens:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def take(self, rows: NDArray[np.int64], following: NDArray[np.int64] | None) -> TokenBatch:
        """The batch of ``rows``; begins with ``following``."""
        ready = self._next
        batch = ready[1].result() if ready is not None and ready[0] is rows else self._tokenize(rows)
        self._next = None
        if self._pool is not None and following is not None:
            self._next = following, self._pool.submit(self._tokenize, following)
        return batch

    def _tokenize(self, rows: NDArray[np.int64]) -> TokenBatch:
        batch = self._model.backbone.tokenize([self._sequences[row] for row in rows])
        if not isinstance(batch, TokenBatch):
            raise ModelError(
                f"{self._model.name}: its backbone's tokenize gives a {type(batch).__name__}; return a TokenBatch"
            )
        if self._pool is None:
            return batch
        pinned = {name: getattr(batch, name).pin_memory() for name in batch.__dataclass_fields__}
        return TokenBatch(**pinned)
