"""Scores of variants: log-likelihood ratios, distances between embeddings, and controls that are fitted on other groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from findna_bench.data.variants import alternative
from findna_bench.errors import UnsupportedError
from findna_bench.protocols.protocol import FitOptions, Fitted, ModelToFit, Pool
from findna_bench.relatedness.components import row_groups
from findna_bench.sequences.alphabet import reverse_complement

if TYPE_CHECKING:
    from findna_bench.data.table import SequenceTable
    from findna_bench.models.loading import LoadedModel
    from findna_bench.protocols.score_files import ScoreFile
    from findna_bench.protocols.zero_shot import VariantScore

__all__ = ["fit_scores", "variant_pairs"]

MOST_FOLDS = 20
"""Fits of a control; more groups than that are left out several at a time."""
_ROWS_AT_ONCE = 256

Pair = tuple[str, str, int]
"""Window with the reference, window with the alternative, place of the variant in both."""


def fit_scores(model: ModelToFit, pool: Pool, preset: VariantScore, options: FitOptions) -> list[Fitted]:
    """One :class:`~findna_bench.protocols.protocol.Fitted` per seed of the pool, which has no rows."""
    found = []
    for split in pool.splits:
        warnings: list[str] = []
        if model.kind == "classifier" and hasattr(estimator := model.estimator(), "score"):
            predict = partial(_looked_up, model.name, estimator, preset, pool, warnings)
        elif model.kind == "classifier":
            predict = partial(_fitted_on_others, model, split.seed, pool.n_classes, warnings)
        else:
            predict = partial(_scored, model, preset, options, pool, warnings)
        found.append(Fitted(seed=split.seed, predict=predict, validation={"rows": 0, "loss": None}, warnings=warnings))
    return found


# ------------------------------------------------------------------------------------------------------------- encoders


def _scored(
    model: ModelToFit,
    preset: VariantScore,
    options: FitOptions,
    pool: Pool,
    warnings: list[str],
    table: SequenceTable,
) -> np.ndarray:
    """(n, K) scores; what has none counts as no difference."""
    encoder = model.encoder()
    strands = ("forward", "reverse") if options.strand == "rc-mean" else ("forward",)
    score = _likelihood_ratios if preset.score == "likelihood" else partial(_distances, preset)
    each = [score(encoder, variant_pairs(table, encoder.max_length, strand), options) for strand in strands]
    scores: np.ndarray = np.mean(each, axis=0)
    if not np.isfinite(scores).any():
        raise UnsupportedError(f"{encoder.name} has no score for any of the {len(table):,} variants")
    scores = _complete(scores, f"{preset.score} score by this model's tokens", warnings)
    _count(model, table, encoder.max_length)
    if preset.score == "likelihood":
        scores = _EFFECTS[options.task.effect if preset.effect == "task" else preset.effect](scores)
    return _as_outputs(scores, pool)


def _complete(scores: np.ndarray, what: str, warnings: list[str]) -> np.ndarray:
    """Scores of all variants, for all models the same ones: 0 for those that have none, which are counted."""
    missing = ~np.isfinite(scores)
    if missing.any():
        warnings.append(f"{int(missing.sum()):,} of {len(scores):,} variants have no {what} and count as no difference")
    return np.where(missing, 0.0, scores)


def _looked_up(
    name: str, scorer: ScoreFile, preset: VariantScore, pool: Pool, warnings: list[str], table: SequenceTable
) -> np.ndarray:
    """(n, K) scores of a file, as they are unless the preset says what becomes of them."""
    if preset.score != "likelihood":
        raise UnsupportedError(f"{name} holds scores, and no embeddings that have a distance")
    scores = _complete(scorer.score(table), "score in the file", warnings)
    effect = _EFFECTS["signed" if preset.effect == "task" else preset.effect]
    return _as_outputs(effect(scores), pool)


_EFFECTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "signed": np.asarray,
    "negative": np.negative,
    "absolute": np.abs,
}


def _as_outputs(scores: np.ndarray, pool: Pool) -> np.ndarray:
    """One score for the second of two classes, the same one for each of several values."""
    if pool.target.name == "classes":
        return np.stack([-scores, scores], axis=1)
    return np.repeat(scores[:, None], pool.n_classes, axis=1)


def variant_pairs(table: SequenceTable, longest: int | None, strand: str = "forward") -> list[Pair]:
    """Windows of all rows, cut around the variant where the model takes fewer bases; the place is that of the variant's first base
    on the strand that is read."""
    found = []
    for row, window in enumerate(table.sequences):
        offset, ref, alt = (table.extra[name][row] for name in ("offset", "ref", "alt"))
        other, place = alternative(table, row), int(offset)
        if longest is not None and max(len(window), len(other)) > longest:
            shorter = longest - abs(len(alt) - len(ref))
            first = min(max(0, place - shorter // 2), len(window) - shorter)
            window, other, place = window[first : first + shorter], other[first:], place - first
            other = other[: len(window) + len(alt) - len(ref)]
        if strand == "reverse":
            place = len(window) - place - max(len(ref), 1)
            window, other = reverse_complement(window), reverse_complement(other)
        found.append((window, other, place))
    return found


def _likelihood_ratios(encoder: LoadedModel, pairs: Sequence[Pair], options: FitOptions) -> np.ndarray:
    """(n,) log p(alt) - log p(ref) in nats, NaN where it is not defined."""
    from findna_bench.models.embedding import token_budget
    from findna_bench.models.precision import compute_precision

    tokens = token_budget(encoder)
    if options.batch_size != "auto":
        longest = max(len(window) for pair in pairs for window in pair[:2])
        tokens = int(options.batch_size) * max(encoder.backbone.token_counts([longest]))
    with compute_precision(encoder.device, encoder.dtype):
        found = encoder.backbone.log_likelihoods(
            [(reference, other) for reference, other, _ in pairs],
            max_tokens=tokens,
            progress=lambda done, total: options.progress(done, total, "forward passes"),
        )
    return np.array([alt - ref for ref, alt in found])


def _distances(preset: VariantScore, encoder: LoadedModel, pairs: Sequence[Pair], options: FitOptions) -> np.ndarray:
    """(n,) distances between the vectors of both windows."""
    vectors = _site_vectors if preset.at == "site" else _pooled_vectors
    found = []
    for first in range(0, len(pairs), _ROWS_AT_ONCE):
        some = pairs[first : first + _ROWS_AT_ONCE]
        references = vectors(encoder, [(window, place) for window, _, place in some], options)
        others = vectors(encoder, [(window, place) for _, window, place in some], options)
        found.append(_distance(preset.score, references, others))
        options.progress(first + len(some), len(pairs), "variants")
    return np.concatenate(found)


def _distance(how: str, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = one.astype(np.float64), other.astype(np.float64)
    if how == "l2":
        distance: np.ndarray = np.linalg.norm(one - other, axis=1)
        return distance
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosine = (one * other).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
    return np.where(lengths > 0, 1.0 - cosine, np.nan)


def _pooled_vectors(encoder: LoadedModel, windows: Sequence[tuple[str, int]], options: FitOptions) -> np.ndarray:
    from findna_bench.models.embedding import embed

    embedded = embed(encoder, [window for window, _ in windows], pooling=options.pooling, batch_size=options.batch_size)
    return embedded.vectors


def _site_vectors(encoder: LoadedModel, windows: Sequence[tuple[str, int]], options: FitOptions) -> np.ndarray:
    """(n, D) last hidden states of the tokens that bring in the base at the site; NaN where none does."""
    from findna_bench.models.embedding import encode

    unique = list(dict.fromkeys(window for window, _ in windows))
    states = dict(zip(unique, encode(encoder, unique, batch_size=options.batch_size), strict=True))
    ends = dict(zip(unique, _token_ends(encoder, unique), strict=True))
    found = np.full((len(windows), encoder.backbone.embed_dim), np.nan, dtype=np.float32)
    for row, (window, place) in enumerate(windows):
        token = int(np.searchsorted(ends[window], place, side="right"))
        if token < len(states[window]):
            found[row] = states[window][token]
    return found


def _token_ends(encoder: LoadedModel, windows: Sequence[str]) -> Iterator[np.ndarray]:
    """Per window the number of bases up to and with each token, padding left out."""
    batch = encoder.backbone.tokenize(windows)
    for spans, real in zip(batch.spans.numpy(), batch.mask.numpy(), strict=True):
        yield np.cumsum(spans[real])


def _count(model: ModelToFit, table: SequenceTable, longest: int | None) -> None:
    lengths = [len(window) for window in table.sequences]
    seen = [length if longest is None else min(length, longest) for length in lengths]
    coverage = {
        "bases_total": sum(lengths),
        "bases_seen": sum(seen),
        "truncated_sequences": sum(s < length for s, length in zip(seen, lengths, strict=True)),
        "windows": len(lengths),
    }
    model.count(coverage, {})


# ------------------------------------------------------------------------------------------------------------- controls


def _fitted_on_others(
    model: ModelToFit, seed: int, n_classes: int, warnings: list[str], table: SequenceTable
) -> np.ndarray:
    """(n, K) of a control, each row by a fit to rows of other groups, so that none is scored by what was fitted to it.

    A control of what groups are like (``scores_left_out``) says itself what a row is by the labels of others of its group.

    Raises:
        UnsupportedError: all rows are of one group.
    """
    if getattr(estimator := model.estimator(), "scores_left_out", False):
        warnings.append(
            "each half of a group's test rows is scored by the labels of its other half: a rule, no prediction"
        )
        left_out: np.ndarray = np.asarray(estimator.predict_left_out(table, n_classes))
        return left_out
    groups = row_groups(table)
    if len(np.unique(groups)) < 2:
        raise UnsupportedError(
            f"{model.name} is fitted on other groups than it scores, and all {len(table):,} variants are of one (related) group"
        )
    outputs = np.zeros((len(table), n_classes))
    for held in _folds(groups):
        rest = table.take(np.flatnonzero(~held))
        estimator = model.estimator()
        estimator.fit(rest, rest, seed, n_classes)
        outputs[held] = estimator.predict_scores(table.take(np.flatnonzero(held)))
    return outputs


def _folds(groups: np.ndarray) -> Iterator[np.ndarray]:
    """Masks (n,) of rows to hold out: one group each, or several, the largest dealt out first, where there are many."""
    names, sizes = np.unique(groups, return_counts=True)
    n_folds = min(MOST_FOLDS, len(names))
    loads, fold = np.zeros(n_folds, dtype=np.int64), {}
    for name in names[np.argsort(-sizes, kind="stable")].tolist():
        fold[name] = int(loads.argmin())
        loads[fold[name]] += int(sizes[names == name][0])
    own = np.array([fold[name] for name in groups.tolist()])
    for number in range(n_folds):
        yield own == number
