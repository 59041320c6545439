"""Does a protocol keep its contract (:class:`findna_bench.protocols.protocol.Protocol`)? Heads are fitted to made-up features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from findna_bench.errors import UnsupportedError
from findna_bench.protocols.heads import FittedHead
from findna_bench.protocols.protocol import HeadProtocol, Protocol, find_protocol
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import Preset
from findna_bench.registry import Registry
from findna_bench.testing.check_report import Checklist, Fault, Report

__all__ = ["check_protocol"]

_N_CLASSES, _ROWS, _CHANNELS = 3, 90, 6


def check_protocol(name: str, registry: Registry) -> Report:
    """All checks of the protocol called ``name``, with its default preset; how a network is trained is not tried."""
    checklist, subject = Checklist("protocol", name), _Subject(name, registry)
    if not (checklist.check("loads", subject.loads) and checklist.check("presets", subject.presets)):
        return checklist.report()
    if checklist.check("fits", subject.fits) and isinstance(subject.protocol, HeadProtocol):
        checklist.check("scores", subject.scores)
        checklist.check("settings", subject.settings)
        checklist.check("deterministic", subject.deterministic)
        checklist.check("rows", subject.rows)
        checklist.check("sparse", subject.sparse)
    return checklist.report()


class _Subject:
    def __init__(self, name: str, registry: Registry) -> None:
        self.name, self.registry = name, registry
        rng = np.random.default_rng(5)
        self.labels = np.arange(_ROWS, dtype=np.int64) % _N_CLASSES
        means = 2 * rng.random((_N_CLASSES, _CHANNELS))
        self.features = (means[self.labels] + 0.5 * rng.normal(size=(_ROWS, _CHANNELS))).astype(np.float32)
        order = [rng.permutation(_ROWS) for _ in range(2)]
        self.splits = [SeedSplit(seed, rows[:50], rows[50:70]) for seed, rows in enumerate(order)]

    @cached_property
    def protocol(self) -> Protocol:
        return find_protocol(self.name, self.registry)

    def fit(self, features: Any) -> Sequence[FittedHead]:
        if not isinstance(self.protocol, HeadProtocol):
            raise UnsupportedError(
                "it is no head on frozen features, so nothing is fitted here; `run` tries it on a small task"
            )
        preset = self.protocol.presets["default"]
        return self.protocol.fit_heads(features, self.labels, self.splits, _N_CLASSES, preset, "cpu")

    @cached_property
    def heads(self) -> Sequence[FittedHead]:
        return self.fit(self.features)

    # ------------------------------------------------------------------------------------------------- the checks

    def loads(self) -> str:
        protocol = self.protocol
        if not getattr(protocol, "settings", None) or not all(issubclass(c, Preset) for c in protocol.settings):
            raise Fault("settings must be a tuple of classes derived from findna_bench.api.Preset")
        return f"it scores {', '.join(protocol.kinds)}, targets {', '.join(protocol.targets)}"

    def presets(self) -> str:
        presets = getattr(self.protocol, "presets", {})
        if "default" not in presets:
            raise Fault("presets must hold one called default")
        for name, preset in presets.items():
            if not isinstance(preset, self.protocol.settings) or not is_dataclass(preset):
                raise Fault(f"preset {name!r} is a {type(preset).__name__}, none of its settings classes")
            _check_json(f"preset {name!r}", asdict(preset))
        return f"presets {', '.join(presets)}"

    def fits(self) -> str:
        heads = self.heads
        if len(heads) != len(self.splits) or [h.seed for h in heads] != [s.seed for s in self.splits]:
            raise Fault(
                f"fit_heads must give one head for each split, in their order, not {len(heads)} for {len(self.splits)}"
            )
        if wrong := [head for head in heads if not isinstance(head, FittedHead)]:
            raise Fault(f"fit_heads gives a {type(wrong[0]).__name__}, which is no findna_bench.api.FittedHead")
        return f"a head is fitted for each of {len(heads)} seeds"

    def scores(self) -> str:
        for head in self.heads:
            found = np.asarray(head.predict_scores(self.features))
            if found.shape != (_ROWS, _N_CLASSES):
                raise Fault(f"scores of {_ROWS} rows and {_N_CLASSES} classes have shape {found.shape}")
            if not np.isfinite(found).all() or found.min() < 0 or not np.allclose(found.sum(axis=1), 1, atol=1e-3):
                raise Fault("scores must be class probabilities: finite, between 0 and 1, adding up to 1 in every row")
        right = np.mean([head.predict_scores(self.features).argmax(axis=1) == self.labels for head in self.heads])
        return f"heads give class probabilities ({right:.0%} of made-up rows are right, chance is {1 / _N_CLASSES:.0%})"

    def settings(self) -> str:
        for head in self.heads:
            _check_json("settings of a head", head.settings)
            _check_json("validation of a head", head.validation)
            if isinstance(head.varies, str) or not all(isinstance(word, str) for word in head.varies):
                raise Fault(f"varies of a head must be a tuple of what a seed changes, in words, not {head.varies!r}")
        return f"settings are JSON; a seed varies {', '.join(self.heads[0].varies) or 'nothing'}"

    def deterministic(self) -> str:
        for head, again in zip(self.heads, self.fit(self.features.copy()), strict=True):
            if not np.array_equal(head.predict_scores(self.features), again.predict_scores(self.features)):
                raise Fault("the same splits fitted twice give other scores: draw from the seed alone")
        return "the same splits fitted twice give the same scores"

    def rows(self) -> str:
        seen = np.unique(np.concatenate([rows for split in self.splits for rows in (split.train, split.validation)]))
        unseen = np.setdiff1d(np.arange(_ROWS), seen)
        changed = self.features.copy()
        changed[unseen] += 7
        for head, other in zip(self.heads, self.fit(changed), strict=True):
            if not np.allclose(head.predict_scores(self.features), other.predict_scores(self.features), atol=1e-6):
                raise Fault(
                    "rows that are in no split change its heads: use `split.train` and `split.validation` alone"
                )
        return f"the {len(unseen)} rows that are in no split change nothing"

    def sparse(self) -> str:
        for head, other in zip(self.heads, self.fit(csr_matrix(self.features)), strict=True):
            found = other.predict_scores(csr_matrix(self.features))
            if not np.allclose(head.predict_scores(self.features), found, atol=1e-3):
                raise Fault("sparse features give other scores than the same numbers as an array")
        return "sparse features give the same scores"


def _check_json(what: str, values: Any) -> None:
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Fault(f"{what} cannot be written as JSON ({error})") from error
