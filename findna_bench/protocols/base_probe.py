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

__all__ = ["MOST_BASES", "BaseHead", "fit_base_probe"]

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
        places = [_usable(features, truth, row) for row in rows.tolist()]
        of_row = np.repeat(rows, [len(own) for own in places])
        place = np.concatenate([*places, np.zeros(0, np.int64)])
        total = len(place)
        if total > most:
            drawn = np.sort(np.random.default_rng(_SEED).choice(total, size=most, replace=False))
            of_row, place = of_row[drawn], place[drawn]
        return cls(of_row, place, total)

    def __len__(self) -> int:
        return len(self.rows)

    def within(self, rows: np.ndarray) -> np.ndarray:
        """Numbers of those that belong to ``rows``."""
        return np.flatnonzero(np.isin(self.rows, rows))


def _usable(features: BaseVectors, truth: np.ndarray, row: int) -> np.ndarray:
    length = int(features.lengths[row])
    return np.flatnonzero((truth[row, :length] != NO_STATE) & features.was_read(row))


def _fit_split(
    features: BaseVectors, truth: np.ndarray, split: SeedSplit, n_states: int, preset: Preset, device: Any
) -> BaseHead:
    most = min(MOST_BASES, max(1, _MOST_VALUES // features.shape[1]))
    train, held = (_Bases.of(features, truth, rows, most) for rows in (split.train, split.validation))
    for name, bases in (("train", train), ("validation", held)):
        if not len(bases) and (name == "train" or split.folds is None):
            raise UsageError(
                f"seed {split.seed} has no {name} base with a state that the model has read; give more rows"
            )
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
    return replace(head, validation=_validation(head, features, truth, split))


def _validation(head: BaseHead, features: BaseVectors, truth: np.ndarray, split: SeedSplit) -> dict[str, Any]:
    """Scores of all bases of the validation sequences; the loss is that by which was chosen."""
    inner = head.linear.validation
    chosen = {"loss": inner.get("loss")} | ({"path": inner["path"]} if "path" in inner else {})
    if not len(split.validation):
        return {"rows": 0} | chosen
    held = split.validation
    judged = PerBase().judge(truth[held], head.predict_scores(features[held]), truth[split.train])
    return {"rows": len(held)} | judged | chosen
