"""What fixed places of a row give away: its ends, a word that stands at one place, N by place.

Everything is chosen on train and scored once on test, so that the number of places and words that were looked at accuses nobody.

A *site* is a word of 1, 2 or 4 letters (A, C, G, T, N) at one place, counted from the start, the end or the centre of rows, that one
class has more often, or less often, than the others; what the same word does at all other places is taken off, so that a class that
is rich in GC has no site anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from findna_bench.auditing.shortcuts import majority_class
from findna_bench.sequences.alphabet import BASES, encode
from findna_bench.sequences.positions import OUTSIDE, Anchor, at_places, one_hot_places

__all__ = [
    "END",
    "PROFILE",
    "Layout",
    "PlacedRows",
    "Positions",
    "Site",
    "SiteCounts",
    "find_site",
    "logistic",
    "profile",
]

END = 6
"""Bases at each end of a row that the control ``ends`` reads; ``middle`` reads as many from the middle."""
PROFILE = 60
"""Places from each end of which reports hold the bases per class."""
_TRAIN_ROWS = 20_000
"""Controls by position are fitted on a seeded sample of this many train rows where there are more."""
_WHOLE = 1000
"""Longest rows of one length that are read from end to end; of others so many places and fewer."""
_FROM_END, _AROUND_CENTRE = 200, 100
_WORDS = (1, 2, 4)
_CELLS = 1 << 25
_CONSENSUS = 0.9
_LONGEST_WORD = 30


class PlacedRows:
    """Sequences of one split with their labels, readable by place."""

    def __init__(self, sequences: Sequence[str], labels: np.ndarray, most: int | None = None) -> None:
        """sequences: n strings. labels: (n,). most: rows of a seeded sample, None = all."""
        if most is not None and len(sequences) > most:
            rows = np.sort(np.random.default_rng(0).choice(len(sequences), most, replace=False))
            sequences, labels = [sequences[i] for i in rows.tolist()], labels[rows]
        self.encoded = encode(sequences)
        self.labels = labels
        self.lengths = np.diff(self.encoded[1])

    @classmethod
    def sample(cls, sequences: Sequence[str], labels: np.ndarray) -> PlacedRows:
        """At most :data:`_TRAIN_ROWS` rows, to fit on."""
        return cls(sequences, labels, _TRAIN_ROWS)

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, anchor: Anchor, places: np.ndarray) -> np.ndarray:
        """(n, p) codes, see :func:`at_places`."""
        return at_places(self.encoded, anchor, places)

    def ends(self, layout: Layout) -> np.ndarray:
        """(n, 2 end) codes of the first and the last bases."""
        end = layout.end
        return np.concatenate([self.at("start", np.arange(end)), self.at("end", np.arange(-end, 0))], axis=1)

    def middle(self, layout: Layout) -> np.ndarray:
        """As many from the middle."""
        return self.at("centre", np.arange(-layout.end, layout.end))

    def wide(self, layout: Layout) -> np.ndarray:
        """(n, p) codes of all places that are looked at."""
        return np.concatenate([self.at(anchor, places) for anchor, places in layout.windows.items()], axis=1)

    def rotated(self, layout: Layout) -> np.ndarray:
        """As :meth:`wide`, of rows that are each turned round by a random number of bases: the same bases, at no fixed place."""
        return self._rotated.wide(layout)

    @cached_property
    def _rotated(self) -> PlacedRows:
        codes, offsets = self.encoded
        shift = (np.random.default_rng(0).random(len(self)) * self.lengths).astype(np.int64)
        row = np.repeat(np.arange(len(self)), self.lengths)
        within = np.arange(len(codes)) - offsets[row]
        turned = PlacedRows([], self.labels[:0])
        turned.encoded = (codes[offsets[row] + (within + shift[row]) % self.lengths[row]], offsets)
        turned.labels, turned.lengths = self.labels, self.lengths
        return turned


@dataclass(frozen=True)
class Layout:
    """The places that are looked at, the same in train and test.

    Attributes:
        windows: of each anchor its places: all of rows of one length, else those near both ends and the centre that most rows reach.
        end: bases at each end.
    """

    windows: Mapping[Anchor, np.ndarray]
    end: int

    @classmethod
    def of(cls, train: PlacedRows, test: PlacedRows) -> Layout:
        """Chosen by the lengths of train rows, and by whether all rows of both are of one length."""
        lengths = train.lengths
        reach = max(1, int(np.quantile(lengths, 0.25)))
        end = min(END, max(1, reach // 4))
        if reach <= _WHOLE and all((rows.lengths == reach).all() for rows in (train, test)):
            return cls({"start": np.arange(reach)}, end)
        from_end, half = min(_FROM_END, reach), min(_AROUND_CENTRE, max(reach // 2, 1))
        return cls(
            {"start": np.arange(from_end), "end": np.arange(-from_end, 0), "centre": np.arange(-half, half)}, end
        )


def logistic(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """(m,) labels of test by logistic regression on one-hot places; train: (n, p), test: (m, p) codes."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(labels)) < 2:
        return np.full(len(test), labels[0])
    model = LogisticRegression(C=0.1, max_iter=200, tol=1e-3).fit(one_hot_places(train), labels)
    predicted: np.ndarray = model.predict(one_hot_places(test)).astype(np.int64)
    return predicted


@dataclass(frozen=True)
class Site:
    """A word at one place.

    Attributes:
        anchor, place: where it starts, see :func:`at_places`.
        word: letters that are looked for.
        longer, first: the word with its neighbours that nearly all rows with the word share, and where that starts.
        label: the class that differs from the others by it.
        predicted: class of rows with the word, and of rows without it, as train has them.
    """

    anchor: Anchor
    place: int
    word: str
    longer: str
    first: int
    label: int
    predicted: tuple[int, int]

    def found(self, rows: PlacedRows) -> np.ndarray:
        """(n,) bool: the row has the word there."""
        return _holds(rows.at(self.anchor, self.place + np.arange(len(self.word))), self.word)

    def predict(self, rows: PlacedRows) -> np.ndarray:
        """(n,) labels."""
        with_word, without = self.predicted
        return np.where(self.found(rows), with_word, without)

    def count(self, rows: PlacedRows, layout: Layout) -> SiteCounts:
        """How the classes differ by the word there, and at all other places; of each place among the rows that reach it, for a class of
        short rows lacks every word far from their start."""
        places = layout.windows[self.anchor]
        elsewhere = []
        for place in places[places != self.place][:: max(1, len(places) // 64)].tolist():
            n, with_word, others, others_with = self._counted(rows, place)
            if n and others:
                elsewhere.append(with_word / n - others_with / others)
        return SiteCounts(*self._counted(rows, self.place), float(np.mean(elsewhere)) if elsewhere else 0.0)

    def _counted(self, rows: PlacedRows, place: int) -> tuple[int, int, int, int]:
        """Rows of the class that reach the place, those with the word there; all other such rows, those with the word."""
        codes = rows.at(self.anchor, place + np.arange(len(self.word)))
        reach, found = (codes < OUTSIDE).all(axis=1), _holds(codes, self.word)
        mine = rows.labels == self.label
        return (
            int((reach & mine).sum()),
            int((found & mine).sum()),
            int((reach & ~mine).sum()),
            int((found & ~mine).sum()),
        )

    @property
    def where(self) -> str:
        """The place in words."""
        if self.anchor == "start":
            return f"base {self.first + 1}"
        if self.anchor == "end":
            return f"base {-self.first} from the end"
        return f"base {self.first:+d} from the centre"


def _holds(codes: np.ndarray, word: str) -> np.ndarray:
    wanted = np.array([BASES.index(letter) for letter in word], dtype=np.uint8)
    holds: np.ndarray = (codes == wanted).all(axis=1)
    return holds


@dataclass(frozen=True)
class SiteCounts:
    """rows: of the class that reach the place, with: those with the word; others, others_with: of all other classes. elsewhere: mean
    difference of the shares at other places."""

    rows: int
    with_word: int
    others: int
    others_with: int
    elsewhere: float

    @property
    def share(self) -> float:
        return self.with_word / max(self.rows, 1)

    @property
    def others_share(self) -> float:
        return self.others_with / max(self.others, 1)

    @property
    def excess(self) -> float:
        """Difference of the shares beyond that at other places."""
        return self.share - self.others_share - self.elsewhere

    @property
    def error(self) -> float:
        """Standard error of the excess; rows with and without the word are each counted one more, so that it is never 0."""
        variance = 0.0
        for rows, found in ((self.rows, self.with_word), (self.others, self.others_with)):
            share = (found + 1) / (rows + 2)
            variance += share * (1 - share) / max(rows, 1)
        return float(variance**0.5)


def find_site(rows: PlacedRows, layout: Layout, n_classes: int) -> Site | None:
    """The site that tells a class of the train rows apart best; None where no word differs."""
    best: tuple[float, Anchor, int, int, int, int] | None = None
    present = np.flatnonzero(np.bincount(rows.labels, minlength=n_classes))
    if len(present) < 2:
        return None
    for anchor, places in layout.windows.items():
        codes = rows.at(anchor, places)
        for k in _WORDS:
            cells = n_classes * codes.shape[1] * len(BASES) ** k
            if codes.shape[1] < k or cells > _CELLS:
                continue
            for lower_bound, place, value, label in _strongest(codes, rows.labels, k, n_classes, present):
                if best is None or lower_bound > best[0]:
                    best = (lower_bound, anchor, int(places[place]), k, value, label)
    if best is None or best[0] <= 0:
        return None
    _, anchor, place, k, value, label = best
    word = "".join(BASES[value // len(BASES) ** i % len(BASES)] for i in reversed(range(k)))
    found = _holds(rows.at(anchor, place + np.arange(k)), word)
    classes = [majority_class(rows.labels[mask] if mask.any() else rows.labels, n_classes) for mask in (found, ~found)]
    mine = found & (rows.labels == label) if (found & (rows.labels == label)).any() else found
    longer, first = _longer(rows, mine, anchor, place, k)
    return Site(anchor, place, word, longer, first, label, (classes[0], classes[1]))


def _strongest(
    codes: np.ndarray, labels: np.ndarray, k: int, n_classes: int, present: np.ndarray
) -> Iterator[tuple[float, int, int, int]]:
    """(what the shares differ by at least, place, word, class) of the best word of each class."""
    words, size = codes.shape[1] - k + 1, len(BASES) ** k
    value = np.zeros((len(codes), words), dtype=np.int64)
    known = np.ones(value.shape, dtype=bool)
    for j in range(k):
        letter = codes[:, j : j + words]
        value = value * len(BASES) + np.minimum(letter, OUTSIDE - 1)
        known &= letter < OUTSIDE
    cell = (labels[:, None] * words + np.arange(words)) * size + value
    counts = np.bincount(cell[known], minlength=n_classes * words * size).reshape(n_classes, words, size)
    total, rows, reach = counts.sum(axis=0), np.bincount(labels, minlength=n_classes), counts.sum(axis=2)
    for label in present.tolist():
        # Of each place among the rows that reach it, where half of both sides do.
        n, others = reach[label][:, None], (reach.sum(axis=0) - reach[label])[:, None]
        share, rest = counts[label] / np.maximum(n, 1), (total - counts[label]) / np.maximum(others, 1)
        difference = share - rest
        elsewhere = (difference.sum(axis=0) - difference) / max(words - 1, 1)
        variance = share * (1 - share) / np.maximum(n, 1) + rest * (1 - rest) / np.maximum(others, 1)
        error = np.sqrt(variance + 0.25 / len(labels) ** 2)
        excess = difference - elsewhere
        bound = np.abs(excess) - 3 * error + 1e-9 * (excess > 0)  # of two classes the one that has it
        bound[((2 * n < rows[label]) | (2 * others < len(labels) - rows[label]))[:, 0]] = -np.inf
        best = int(bound.argmax())
        yield float(bound.flat[best]), best // size, best % size, label


def _longer(rows: PlacedRows, mine: np.ndarray, anchor: Anchor, place: int, k: int) -> tuple[str, int]:
    """The word and the letters beside it that nine of ten rows with the word have, and where they start."""
    around = np.arange(place - _LONGEST_WORD, place + k + _LONGEST_WORD)
    codes = rows.at(anchor, around)[mine]
    counts = np.stack([(codes == letter).sum(axis=0) for letter in range(OUTSIDE + 1)])
    letter, fixed = counts.argmax(axis=0), counts.max(axis=0) >= _CONSENSUS * max(len(codes), 1)
    fixed &= letter < OUTSIDE
    first, last = _LONGEST_WORD, _LONGEST_WORD + k
    while first > 0 and fixed[first - 1]:
        first -= 1
    while last < len(around) and fixed[last]:
        last += 1
    return "".join(BASES[code] for code in letter[first:last]), place - _LONGEST_WORD + first


@dataclass(frozen=True)
class Positions:
    """profile: see :func:`profile`, of test. site: the best site of train, and its counts in test."""

    profile: Mapping[str, Any] = field(default_factory=dict)
    site: tuple[Site, SiteCounts] | None = None

    def to_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Plain values; empty where sequences were not looked at."""
        content = dict(self.profile)
        if self.site is not None:
            site, counts = self.site
            content["site"] = {
                "word": site.longer,
                "at": site.where,
                "class": names[site.label],
                "share": counts.share,
                "others": counts.others_share,
                "elsewhere": counts.elsewhere,
                "excess": counts.excess,
                "error": counts.error,
            }
        return content


def profile(rows: PlacedRows, names: Sequence[str]) -> dict[str, Any]:
    """Shares of A, C, G, T, N at the first and last places, per class: ``start`` and ``end``, class -> a row of five per place."""
    out: dict[str, Any] = {}
    reach = min(PROFILE, int(rows.lengths.min(initial=PROFILE)))
    for anchor, places in (("start", np.arange(reach)), ("end", np.arange(-reach, 0))):
        codes = rows.at(anchor, places)  # type: ignore[arg-type]
        out[anchor] = {
            name: [
                [round(float(share), 4) for share in np.bincount(column, minlength=OUTSIDE + 1)[:OUTSIDE] / len(mine)]
                for column in mine.T
            ]
            for label, name in enumerate(names)
            if len(mine := codes[rows.labels == label])
        }
    return out
