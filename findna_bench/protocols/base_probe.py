"""A linear head per base on frozen vectors of bases: the probe of rows, fitted to bases.

Bases of train that count and that the model has read are the rows of an ordinary probe; of more than fit into memory, some are drawn,
always the same ones whatever the seed. What is chosen (strength or epoch) is chosen by the mean loss on bases of validation sequences.
A base that the model has not read (beyond its window, in a sequence without a token) is predicted by the shares of train.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from findna_bench.errors import ModelError, UsageError
from findna_bench.models.base_vectors import BaseVectors
from findna_bench.protocols.heads import FittedHead, LinearHead, fit_probe, what_varies
from findna_bench.protocols.seed_splits import SeedSplit, softmax
from findna_bench.protocols.settings import PROBE_PRESETS, Preset
from findna_bench.statistics.base_states import NO_STATE
from findna_bench.targets.learning import state_shares
from findna_bench.targets.per_base import PerBase

__all__ = ["MOST_BASES", "BaseHead", "drawn_bases", "fit_base_probe", "need_bases", "validation_scores"]

MOST_BASES = 100_000
"""Of train, and of validation, that a head is fitted to and chosen on."""
_MOST_VALUES = 100_000_000
"""Bases x channels; wider models are given fewer bases."""
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class BaseHead(FittedHead):
    """linear: of the vector of a base. shares: (C,) of the states in train, for bases that were not read."""

    linear: LinearHead
    shares: np.ndarray

    def predict_scores(self, features: BaseVectors) -> np.ndarray:
        """(m, W, C) float16 probabilities; zero behind the end of a sequence."""
        found = np.zeros((len(features), features.width, len(self.shares)), dtype=np.float16)
        for row, length in enumerate(features.lengths.tolist()):
            vectors, read = features.of_sequence(row)
            found[row, :length] = np.where(read[:, None], softmax(self.linear.logits(vectors)), self.shares)
        return found


def fit_base_probe(
    features: BaseVectors,
    truth: np.ndarray,
    splits: Sequence[SeedSplit],
    n_states: int,
    preset: Preset | None = None,
    *,
    device: str | torch.device = "cpu",
) -> list[FittedHead]:
    """One head per split.

    Args:
        features: vectors of the bases of n sequences.
        truth: (n, W) uint8 states.
        splits: sequences that each seed trains and chooses on.
        n_states: C.
        preset: a preset of the probe; None = the default.
        device: where it is computed.

    Raises:
        ModelError: a vector holds what is no number.
        UsageError: a split has no base to train or to choose on.
    """
    preset = preset or PROBE_PRESETS["default"]
    varies = what_varies(preset, splits)
    fitted: dict[tuple[bytes, int], FittedHead] = {}
    heads: list[FittedHead] = []
    for split in splits:
        key = split.key, split.seed if preset.varies else 0
        if key not in fitted:
            fitted[key] = _fit_split(features, truth, split, n_states, preset, device)
        heads.append(replace(fitted[key], seed=split.seed, varies=varies))
    return heads


@dataclass(frozen=True)
class _Bases:
    """Some bases: their sequences (m,), ascending, and places in them (m,); total: how many there were to draw from."""

    rows: np.ndarray
    places: np.ndarray
    total: int

    @classmethod
    def of(cls, features: BaseVectors, truth: np.ndarray, rows: np.ndarray, most: int) -> _Bases:
        """At most ``most`` of the bases of ``rows`` that count and were read, drawn evenly."""
        rows = np.sort(rows)
        counts = np.array([len(_usable(features, truth, row)) for row in rows.tolist()], dtype=np.int64)
        total, last = int(counts.sum()), np.cumsum(counts)
        drawn = np.arange(total)
        if total > most:
            drawn = np.sort(np.random.default_rng(_SEED).choice(total, size=most, replace=False))
        number = np.searchsorted(last, drawn, side="right")  # so that places of all bases are never in memory together
        place = np.zeros(len(drawn), np.int64)
        for row, start, stop in zip(*_runs(number), strict=True):
            own = drawn[start:stop] - (last[row] - counts[row])
            place[start:stop] = _usable(features, truth, int(rows[row]))[own]
        return cls(rows[number], place, total)

    def __len__(self) -> int:
        return len(self.rows)

    def within(self, rows: np.ndarray) -> np.ndarray:
        """Numbers of those that belong to ``rows``."""
        return np.flatnonzero(np.isin(self.rows, rows))


def _runs(sorted_numbers: np.ndarray) -> tuple[list[int], list[int], list[int]]:
    """(numbers, first places, places behind the last ones) of equal numbers."""
    numbers, starts = np.unique(sorted_numbers, return_index=True)
    return numbers.tolist(), starts.tolist(), [*starts[1:].tolist(), len(sorted_numbers)][: len(numbers)]


def _usable(features: BaseVectors, truth: np.ndarray, row: int) -> np.ndarray:
    length = int(features.lengths[row])
    return np.flatnonzero((truth[row, :length] != NO_STATE) & features.was_read(row))


def drawn_bases(features: BaseVectors, truth: np.ndarray, rows: np.ndarray) -> _Bases:
    """The bases of sequences that count and were read; where these are many, some of them, always the same ones."""
    return _Bases.of(features, truth, rows, min(MOST_BASES, max(1, _MOST_VALUES // features.shape[1])))


def need_bases(features: BaseVectors, truth: np.ndarray, split: SeedSplit) -> None:
    """Raise UsageError where a split has no base to train or to choose on."""
    for name, rows in (("train", split.train), ("validation", split.validation)):
        needed = name == "train" or split.folds is None
        if needed and not any(len(_usable(features, truth, row)) for row in rows.tolist()):
            raise UsageError(
                f"seed {split.seed} has no {name} base with a state that the model has read; give more rows"
            )


def _fit_split(
    features: BaseVectors, truth: np.ndarray, split: SeedSplit, n_states: int, preset: Preset, device: Any
) -> BaseHead:
    need_bases(features, truth, split)
    train, held = (drawn_bases(features, truth, rows) for rows in (split.train, split.validation))
    vectors = np.concatenate([features.gather(some.rows, some.places) for some in (train, held)])
    states = np.concatenate([truth[some.rows, some.places] for some in (train, held)]).astype(np.int64)
    folds = None
    if split.folds is not None:
        folds = tuple((train.within(rows), train.within(held_out)) for rows, held_out in split.folds)
    of_bases = SeedSplit(split.seed, np.arange(len(train)), len(train) + np.arange(len(held)), folds)
    (inner,) = fit_probe(vectors, states, [of_bases], n_states, preset, device=device)
    if not isinstance(inner, LinearHead):
        raise ModelError(f"the probe of bases needs a linear head, not a {type(inner).__name__}")
    drawn = {"train_bases": len(train), "train_bases_of": train.total, "validation_bases": len(held)}
    head = BaseHead(
        seed=split.seed,
        settings={**inner.settings, **drawn, "bases_seed": _SEED, "train_rows": len(split.train)},
        warnings=list(inner.warnings),
        linear=inner,
        shares=state_shares(truth[split.train], n_states),
    )
    chosen = {"loss": inner.validation.get("loss")}
    chosen |= {"path": inner.validation["path"]} if "path" in inner.validation else {}
    return replace(head, validation=validation_scores(head, features, truth, split) | chosen)


def validation_scores(head: FittedHead, features: BaseVectors, truth: np.ndarray, split: SeedSplit) -> dict[str, Any]:
    """Scores of all bases of the validation sequences."""
    if not len(split.validation):
        return {"rows": 0}
    held = split.validation
    judged = PerBase().judge(truth[held], head.predict_scores(features[held]), truth[split.train])
    return {"rows": len(held)} | judged
