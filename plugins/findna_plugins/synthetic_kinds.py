"""Generated tasks of every kind whose best attainable score is known in closed form.

All plant exact sites of known motifs into independent uniform bases, at most one in each of the non-overlapping slots of a sequence, and label rows by the sites and by noise
that no sequence tells. What a row's label depends on is therefore a function of the sequence (but for motifs that turn up by chance, one in a million places), and the
best prediction is the expectation given that function:

* ``dose`` (values): y = sum of the sites' weights + noise. No prediction correlates with y better than the sum itself: r = sqrt(V / (V + s^2)) with the variance V of the sum
  and the noise's s^2.
* ``presence`` (several labels): y_k says whether motif k is there, turned round with probability e. The posterior has two values, so its ROC curve has one corner, (FPR, TPR), and
  the area is (1 + TPR - FPR) / 2.
* ``sites`` (a state at every base): bases of a site have state 1, but all those of a site with probability e have state 0. Which sites these are cannot be known, so the best rule
  marks all: MCC from the expected shares of the four cases.
* ``effects`` (variants): a substitution at place i of a site takes the weight of i away, anywhere else nothing, and noise is added: r as for ``dose``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from findna_bench.api import SequenceTable

__all__ = ["best_attainable", "generate", "ideal_outputs"]

SPLITS = ("train", "validation", "test")
_LETTERS = np.array(list("ACGT"))

Config = Mapping[str, Any]
Rows = tuple[list[str], np.ndarray, dict[str, np.ndarray]]
"""Sequences, truth and extra columns."""


def generate(config: Config) -> dict[str, SequenceTable]:
    """All splits of a generated task; the same for the same ``config``.

    config: ``kind`` (``dose``, ``presence``, ``sites`` or ``effects``), ``motifs`` of one length, ``length`` of the sequences, ``rows`` per split, ``seed``, and what the kind needs: ``weights`` (of
    motifs, or of places in the motif), ``most`` (sites of a motif), ``noise``, ``flipped``, ``share``.
    """
    tables = {}
    for number, split in enumerate(SPLITS):
        generator = np.random.default_rng(np.random.SeedSequence(config["seed"], spawn_key=(number,)))
        sequences, truth, extra = _MAKERS[config["kind"]](config, int(config["rows"][split]), generator)
        ids = np.array([f"{split}-{row}" for row in range(len(sequences))])
        tables[split] = SequenceTable(sequences=sequences, labels=truth, ids=ids, extra=extra)
    return tables


def ideal_outputs(config: Config, table: SequenceTable) -> np.ndarray:
    """What the best prediction says of rows: (n, 1), of several labels (n, K), of bases (n, W, 2)."""
    return _IDEAL[config["kind"]](config, table)


def best_attainable(config: Config) -> float:
    """The highest expected value of the task's metric, in closed form."""
    return _ATTAINABLE[config["kind"]](config)


# ------------------------------------------------------------------------------------------------------------ planting


def _planted(config: Config, counts: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, list[list[int]]]:
    """(n, length) letters with ``counts`` (n, motifs) sites, and of each row the starts of its sites."""
    motifs = [np.array(list(motif)) for motif in config["motifs"]]
    width, length = len(motifs[0]), int(config["length"])
    letters = _LETTERS[generator.integers(4, size=(len(counts), length))]
    starts: list[list[int]] = []
    for row, of_row in enumerate(counts):
        which = np.repeat(np.arange(len(motifs)), of_row)
        slots = generator.choice(length // width, size=len(which), replace=False)
        for motif, slot in zip(which.tolist(), slots.tolist(), strict=True):
            letters[row, slot * width : (slot + 1) * width] = motifs[motif]
        starts.append([slot * width for slot in slots.tolist()])
    return letters, starts


def _texts(letters: np.ndarray) -> list[str]:
    return ["".join(row) for row in letters]


def _counted(config: Config, table: SequenceTable) -> np.ndarray:
    """(n, motifs) sites in each sequence."""
    return np.array([[text.count(motif) for motif in config["motifs"]] for text in table.sequences])


def _correlation(variance: float, noise: float) -> float:
    return float(np.sqrt(variance / (variance + noise**2)))


# ---------------------------------------------------------------------------------------------------------------- dose


def _dose(config: Config, n: int, generator: np.random.Generator) -> Rows:
    weights = np.array(config["weights"])
    counts = generator.integers(int(config["most"]) + 1, size=(n, len(weights)))
    letters, _ = _planted(config, counts, generator)
    return _texts(letters), (counts @ weights + generator.normal(0, config["noise"], size=n))[:, None], {}


def _ideal_dose(config: Config, table: SequenceTable) -> np.ndarray:
    total: np.ndarray = (_counted(config, table) @ np.array(config["weights"]))[:, None].astype(np.float64)
    return total


def _best_dose(config: Config) -> float:
    of_count = ((int(config["most"]) + 1) ** 2 - 1) / 12
    return _correlation(of_count * float(np.square(config["weights"]).sum()), config["noise"])


# ------------------------------------------------------------------------------------------------------------ presence


def _presence(config: Config, n: int, generator: np.random.Generator) -> Rows:
    there = generator.random((n, len(config["motifs"]))) < config["share"]
    letters, _ = _planted(config, there.astype(np.int64), generator)
    flipped = generator.random(there.shape) < config["flipped"]
    return _texts(letters), (there ^ flipped).astype(np.int8), {}


def _ideal_presence(config: Config, table: SequenceTable) -> np.ndarray:
    there = _counted(config, table) > 0
    found: np.ndarray = np.where(there, 1 - config["flipped"], config["flipped"])
    return found


def _best_presence(config: Config) -> float:
    share, flipped = config["share"], config["flipped"]
    kept, lost = share * (1 - flipped), share * flipped
    made, none = (1 - share) * flipped, (1 - share) * (1 - flipped)
    return float((1 + kept / (kept + made) - lost / (lost + none)) / 2)


# --------------------------------------------------------------------------------------------------------------- sites


def _sites(config: Config, n: int, generator: np.random.Generator) -> Rows:
    counts = generator.integers(1, int(config["most"]) + 1, size=(n, len(config["motifs"])))
    letters, starts = _planted(config, counts, generator)
    width, truth = len(config["motifs"][0]), np.zeros(letters.shape, dtype=np.uint8)
    for row, of_row in enumerate(starts):
        for start in of_row:
            truth[row, start : start + width] = generator.random() >= config["flipped"]
    return _texts(letters), truth, {}


def _ideal_sites(config: Config, table: SequenceTable) -> np.ndarray:
    width = len(config["motifs"][0])
    marked = np.zeros(table.labels.shape)
    for row, text in enumerate(table.sequences):
        for motif in config["motifs"]:
            start = text.find(motif)
            while start >= 0:
                marked[row, start : start + width] = 1 - config["flipped"]
                start = text.find(motif, start + 1)
    return np.stack([1 - marked, marked], axis=-1)


def _best_sites(config: Config) -> float:
    per_motif = (int(config["most"]) + 1) / 2
    in_sites = per_motif * len(config["motifs"]) * len(config["motifs"][0]) / config["length"]
    true, false, neither = in_sites * (1 - config["flipped"]), in_sites * config["flipped"], 1 - in_sites
    return float(true * neither / np.sqrt((true + false) * true * (neither + false) * neither))


# ------------------------------------------------------------------------------------------------------------- effects


def _effects(config: Config, n: int, generator: np.random.Generator) -> Rows:
    letters, starts = _planted(config, np.ones((n, 1), dtype=np.int64), generator)
    weights, length = np.array(config["weights"]), int(config["length"])
    begin = np.array([of_row[0] for of_row in starts])
    inside = generator.random(n) < config["share"]
    place = generator.integers(len(weights), size=n)
    beyond = generator.integers(length - len(weights), size=n)
    offset = np.where(inside, begin + place, beyond + np.where(beyond >= begin, len(weights), 0))
    ref = letters[np.arange(n), offset]
    step = generator.integers(1, 4, size=n)
    alt = _LETTERS[(np.searchsorted(_LETTERS, ref) + step) % 4]
    value = -np.where(inside, weights[place], 0.0) + generator.normal(0, config["noise"], size=n)
    return _texts(letters), value[:, None], {"offset": offset.astype(np.int64), "ref": ref, "alt": alt}


def _ideal_effects(config: Config, table: SequenceTable) -> np.ndarray:
    (motif,), weights = config["motifs"], np.array(config["weights"])
    begin = np.array([text.find(motif) for text in table.sequences])
    place = table.extra["offset"] - begin
    inside = (place >= 0) & (place < len(weights))
    return -np.where(inside, weights[np.clip(place, 0, len(weights) - 1)], 0.0)[:, None]


def _best_effects(config: Config) -> float:
    weights, share = np.array(config["weights"]), config["share"]
    variance = share * float(np.mean(weights**2)) - (share * float(weights.mean())) ** 2
    return _correlation(variance, config["noise"])


_MAKERS: Mapping[str, Callable[[Config, int, np.random.Generator], Rows]] = {
    "dose": _dose,
    "presence": _presence,
    "sites": _sites,
    "effects": _effects,
}
_IDEAL: Mapping[str, Callable[[Config, SequenceTable], np.ndarray]] = {
    "dose": _ideal_dose,
    "presence": _ideal_presence,
    "sites": _ideal_sites,
    "effects": _ideal_effects,
}
_ATTAINABLE: Mapping[str, Callable[[Config], float]] = {
    "dose": _best_dose,
    "presence": _best_presence,
    "sites": _best_sites,
    "effects": _best_effects,
}
