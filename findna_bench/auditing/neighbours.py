"""Test rows beside the train rows that they were found again as, with their alignments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from findna_bench.auditing.examples import Behind, Example, ExampleRows
from findna_bench.relatedness.alignment import GAP, MATCH, MISMATCH
from findna_bench.sequences.alphabet import reverse_complement

__all__ = ["Neighbour", "find_neighbours", "local_alignment"]

_OF_EACH = 6
"""Rows of each kind."""
_KINDS = (
    ("identical", "identical"),
    ("copies", "copy"),
    ("diverged_copies", "diverged copy"),
    ("repeats", "repeat"),
    ("overlap_half", "overlap by half or more"),
    ("overlap_any", "overlap"),
    ("same_composition", "same dinucleotide counts"),
)
_LONGEST = 2000
"""Bases up to which both rows are aligned: the time grows with the product of their lengths."""


@dataclass(frozen=True)
class Neighbour:
    """A test row and the train row that it was found again as.

    Attributes:
        kind: how: "identical", "copy", "repeat", ...
        row: of test, with its counterpart.
        strand: "+" or "-", of the counterpart as it is aligned; "" where nothing was aligned.
        identity: matches over columns; None where nothing was aligned.
        start, other_start: bases before the alignment, of the row and of the counterpart (read on ``strand``).
        alignment: the row and the counterpart with "-" for gaps; None where nothing was aligned.
    """

    kind: str
    row: Example
    strand: str = ""
    identity: float | None = None
    start: int = 0
    other_start: int = 0
    alignment: tuple[str, str] | None = None


def find_neighbours(rows: ExampleRows) -> tuple[Neighbour, ...]:
    """Up to a handful of each kind, each test row once."""
    seen: set[int] = set()
    found = []
    for measure, kind in _KINDS:
        behind = rows.behind.get(measure)
        if behind is None or behind.counterpart is None:
            continue
        candidates = np.flatnonzero(behind.rows & (behind.counterpart >= 0))
        candidates = candidates[[row not in seen for row in candidates.tolist()]] if seen else candidates
        chosen = np.unique(np.linspace(0, len(candidates) - 1, min(_OF_EACH, len(candidates))).astype(np.int64))
        for row in candidates[chosen].tolist() if len(candidates) else ():
            seen.add(row)
            found.append(_neighbour(rows, behind, row, kind))
    return tuple(found)


def _neighbour(rows: ExampleRows, behind: Behind, row: int, kind: str) -> Neighbour:
    assert behind.counterpart is not None
    other = int(behind.counterpart[row])
    example = rows.example(behind.split, row, rows.example(behind.other, other))
    texts = [rows.splits[split].sequences for split in (behind.split, behind.other)]
    if texts[0] is None or texts[1] is None:
        return Neighbour(kind, example)
    query, target = texts[0][row], texts[1][other]
    if max(len(query), len(target)) > _LONGEST:
        return Neighbour(kind, example)
    aligned = [
        (local_alignment(query, text), strand) for text, strand in ((target, "+"), (reverse_complement(target), "-"))
    ]
    (score, start, other_start, first, second), strand = max(aligned, key=lambda each: each[0][0])
    if not score:
        return Neighbour(kind, example)
    identity = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    return Neighbour(kind, example, strand, identity, start, other_start, (first, second))


def local_alignment(query: str, target: str) -> tuple[int, int, int, str, str]:
    """The best local alignment by the scores that copies are found with, of one strand.

    Returns:
        Score, bases before it in the query and in the target, and both with "-" for gaps. N agrees with nothing.
    """
    a, b = (np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8) for text in (query, target))
    scores = np.zeros((len(a) + 1, len(b) + 1), dtype=np.int32)
    slope = GAP * np.arange(len(b) + 1, dtype=np.int32)
    unknown = ord("N")
    for i in range(1, len(a) + 1):
        agree = np.where((b == a[i - 1]) & (b != unknown), MATCH, MISMATCH)
        scores[i, 1:] = np.maximum(scores[i - 1, :-1] + agree, scores[i - 1, 1:] + GAP)
        np.maximum(scores[i], 0, out=scores[i])
        # A gap in the query: the best cell to the left, less the gap from there to here.
        scores[i] = np.maximum.accumulate(scores[i] - slope) + slope
    i, j = (int(n) for n in np.unravel_index(int(scores.argmax()), scores.shape))
    best = int(scores[i, j])
    first, second = [], []
    while i and j and scores[i, j] > 0:
        agree_here = MATCH if a[i - 1] == b[j - 1] and a[i - 1] != unknown else MISMATCH
        if scores[i, j] == scores[i - 1, j - 1] + agree_here:
            i, j = i - 1, j - 1
            first.append(query[i])
            second.append(target[j])
        elif scores[i, j] == scores[i - 1, j] + GAP:
            i -= 1
            first.append(query[i])
            second.append("-")
        else:
            j -= 1
            first.append("-")
            second.append(target[j])
    return best, i, j, "".join(reversed(first)), "".join(reversed(second))
