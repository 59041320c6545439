"""Generated windows in which a segment stands twice: whether a model that is asked about a base of the second copy uses the first one.

All bases are drawn evenly, so that nothing but the first copy says anything of the second. A row is a variant at a site inside the second
copy: one of its two alleles is the base that a copy has there, the other is another base, and each of them is the reference as often. A model that
recalls gives the copied base the higher likelihood; one that does not ranks the two at random (AUROC 0.5), as every model has to where the first copy
was replaced by other bases (kind ``control``).

The site is at least :data:`CONTEXT` bases behind the start of the second copy, which a causal model has read by then. Windows end :data:`TAIL` bases behind that copy, so that a
model which takes fewer bases than there are reads those before the site: it can see the first copy up to about its whole length away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from findna_bench.api import SequenceTable

__all__ = ["CONTEXT", "KINDS", "TAIL", "best_attainable", "generate"]

KINDS = ("exact", "mutated", "inverted", "control")
CONTEXT, TAIL, HEAD = 12, 8, 16
_LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)


def generate(config: Mapping[str, Any]) -> dict[str, SequenceTable]:
    """The test rows of a task; the same for the same ``config``.

    config: ``kind`` (one of :data:`KINDS`), ``distances`` (bases from the start of the first copy to that of the second), ``rows`` (of each
    distance), ``segment`` (bases of a copy), ``mutations`` (share of the first copy's bases that are changed, kind ``mutated``), ``seed``. Rows of
    one seed have the same second copies and spacers whatever the kind.
    """
    sequences: list[str] = []
    extra: dict[str, list[Any]] = {name: [] for name in ("offset", "ref", "alt", "element")}
    labels = []
    for distance in config["distances"]:
        for row in range(config["rows"]):
            window, place, copied, other = _window(config, distance, row)
            label = row % 2  # 1: the alternative is the base that a copy has
            ref, alt = (other, copied) if label else (copied, other)
            window[place] = ref
            sequences.append(_LETTERS[window].tobytes().decode("ascii"))
            labels.append(label)
            for name, value in zip(extra, (place, "ACGT"[ref], "ACGT"[alt], f"{distance} bases"), strict=True):
                extra[name].append(value)
    table = SequenceTable(
        sequences=sequences,
        labels=np.array(labels, dtype=np.int64),
        ids=np.array([f"test-{number}" for number in range(len(sequences))]),
        extra={name: np.array(values) for name, values in extra.items()},
    )
    return {"test": table}


def _window(config: Mapping[str, Any], distance: int, row: int) -> tuple[np.ndarray, int, int, int]:
    """(codes of a window, place of the site, code that a copy has there, another code)."""
    segment, kind = config["segment"], config["kind"]
    if distance < segment:
        raise ValueError(f"copies of {segment} bases cannot begin {distance} bases apart")
    common = np.random.default_rng([config["seed"], distance, row])
    own = np.random.default_rng([config["seed"], distance, row, KINDS.index(kind)])
    second = common.integers(4, size=segment, dtype=np.uint8)
    within = int(common.integers(CONTEXT, segment - 4))
    other = int((second[within] + common.integers(1, 4)) % 4)
    window = common.integers(4, size=HEAD + distance + segment + TAIL, dtype=np.uint8)
    first = _first_copy(second, within, kind, config["mutations"], own)
    window[HEAD : HEAD + segment] = first
    window[HEAD + distance : HEAD + distance + segment] = second
    return window, HEAD + distance + within, int(second[within]), other


def _first_copy(
    second: np.ndarray, within: int, kind: str, mutations: float, generator: np.random.Generator
) -> np.ndarray:
    if kind == "control":
        return generator.integers(4, size=len(second), dtype=np.uint8)
    if kind == "inverted":  # as in an inverted repeat
        return (3 - second)[::-1].astype(np.uint8)
    if kind == "exact":
        return second
    changed = (second + generator.integers(1, 4, size=len(second), dtype=np.uint8)) % 4
    hit = generator.random(len(second)) < mutations
    hit[within] = False  # what is asked for stays in the first copy
    return np.where(hit, changed, second).astype(np.uint8)


def best_attainable(config: Mapping[str, Any]) -> float:
    """AUROC of what recalls every copy; of a control nothing can be known."""
    return 0.5 if config["kind"] == "control" else 1.0
