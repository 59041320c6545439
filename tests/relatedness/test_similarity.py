"""The search for similar sequences against a plain Smith-Waterman over all pairs, on both strands."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from findna_bench.errors import UnsupportedError
from findna_bench.relatedness.similarity import COVERAGE, IDENTITY, LONGEST, MIN_COLUMNS, SequenceIndex
from findna_bench.sequences.alphabet import encode_padded, reverse_complement

MATCH, MISMATCH, GAP = 1, -2, -3
LETTERS = np.array(list("ACGT"))


def random_sequences(n: int, length: int, generator: np.random.Generator) -> list[str]:
    return ["".join(row) for row in LETTERS[generator.integers(0, 4, (n, length))]]


def local_scores(query: str, targets: np.ndarray) -> np.ndarray:
    """(n,) best Smith-Waterman score of the query against each row of codes (n, m); the full matrix, written plainly."""
    codes = encode_padded([query])[0]
    columns = np.ascontiguousarray(targets.T)
    m, n = columns.shape
    above = np.zeros((m + 1, n), dtype=np.int16)
    best = np.zeros(n, dtype=np.int16)
    match, mismatch, gap = np.int16(MATCH), np.int16(MISMATCH), np.int16(GAP)
    for base in codes:
        row = np.zeros((m + 1, n), dtype=np.int16)
        np.maximum(above[:-1] + np.where((columns == base) & (base < 4), match, mismatch), above[1:] + gap, out=row[1:])
        np.maximum(row, 0, out=row)
        for j in range(1, m + 1):
            np.maximum(row[j], row[j - 1] + gap, out=row[j])
        np.maximum(best, row.max(axis=0), out=best)
        above = row
    return best


def traced(query: str, target: str) -> tuple[int, int]:
    """(matches, columns) of a best local alignment, by traceback."""
    n, m = len(query), len(target)
    score = [[0] * (m + 1) for _ in range(n + 1)]
    top = (0, 0, 0)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            agree = MATCH if query[i - 1] == target[j - 1] != "N" else MISMATCH
            score[i][j] = max(0, score[i - 1][j - 1] + agree, score[i - 1][j] + GAP, score[i][j - 1] + GAP)
            top = max(top, (score[i][j], i, j))
    value, i, j = top
    matches = columns = 0
    while value > 0:
        columns += 1
        agree = MATCH if query[i - 1] == target[j - 1] != "N" else MISMATCH
        if value == score[i - 1][j - 1] + agree:
            matches += agree == MATCH
            i, j = i - 1, j - 1
        elif value == score[i - 1][j] + GAP:
            i -= 1
        else:
            j -= 1
        value = score[i][j]
    return matches, columns


def similar_rows(queries: list[str], targets: list[str]) -> set[int]:
    """Query rows that have a similar target by exhaustive local alignment on both strands."""
    padded = encode_padded(targets, pad=5)
    lengths = np.array([len(target) for target in targets])
    found: set[int] = set()
    for i, query in enumerate(queries):
        for text in (query, reverse_complement(query)):
            scores = local_scores(text, padded)
            need = np.maximum(MIN_COLUMNS, COVERAGE * np.minimum(len(query), lengths))
            least = need * (IDENTITY * MATCH + (1 - IDENTITY) * GAP)  # no similar pair scores less
            for j in np.flatnonzero(scores >= least).tolist():
                if i in found:
                    break
                matches, columns = traced(text, targets[j])
                if columns >= need[j] and matches / columns >= IDENTITY:
                    found.add(i)
    return found


def recall(queries: list[str], targets: list[str]) -> tuple[int, int, int]:
    """(query rows found, query rows to be found, rows found that exhaustive alignment does not call similar)."""
    truth = similar_rows(queries, targets)
    found = set(np.flatnonzero(SequenceIndex(targets).nearest(queries).similar).tolist())
    return len(found & truth), len(truth), len(found - truth)


def changed(sequence: str, share: float, gaps: float, generator: np.random.Generator) -> str:
    """Each base substituted with probability ``share``, lost or doubled with probability ``gaps``."""
    out = []
    for letter in sequence:
        dice = generator.random()
        if dice < share:
            out.append("ACGT"[("ACGT".index(letter) + generator.integers(1, 4)) % 4])
        elif dice >= share + gaps / 2:
            out.append(letter * (2 if dice < share + gaps else 1))
    return "".join(out)


@pytest.mark.parametrize(("length", "n"), [(70, 60), (251, 24)])
def test_recall_of_planted_relatives(length: int, n: int) -> None:
    """Substitutions, insertions, deletions, shifts up to a half, both strands: at least 90 % of what alignment finds."""
    generator = np.random.default_rng(length)
    targets = random_sequences(n, length, generator)
    queries = []
    for target in targets:
        shift = int(generator.integers(0, length // 2))
        text = target[shift:] + random_sequences(1, shift, generator)[0]
        text = changed(text, 0.06 * generator.random(), 0.02 * generator.random(), generator)
        queries.append(reverse_complement(text) if generator.random() < 0.5 else text)
    found, wanted, extra = recall(queries, targets)
    assert wanted >= 0.6 * n
    assert found >= 0.9 * wanted
    assert extra == 0


@pytest.mark.parametrize("shift", [0, 10])
def test_95_percent_identical_and_shifted_by_10_are_found(shift: int) -> None:
    generator = np.random.default_rng(7)
    targets = random_sequences(200, 70, generator)
    queries = []
    for target in targets:
        text = list(target[shift:] + random_sequences(1, shift, generator)[0])
        for i in generator.choice(70, 0 if shift else 4, replace=False):
            text[i] = "ACGT"[("ACGT".index(text[i]) + 1) % 4]
        queries.append("".join(text))
    hits = SequenceIndex(targets).nearest(queries + [reverse_complement(q) for q in queries])
    expected = np.tile(np.arange(200), 2)
    assert ((hits.target == expected) & hits.similar).mean() >= 0.99
    assert (hits.reverse == (np.arange(400) >= 200)).mean() >= 0.99


def test_identity_and_matched_bases_are_those_of_the_alignment() -> None:
    target = random_sequences(1, 200, np.random.default_rng(8))[0]
    query = target[50:90] + target[93:150]  # three bases lost
    hits = SequenceIndex([target]).nearest([query])
    assert (int(hits.matches[0]), int(hits.columns[0])) == traced(query, target) == (97, 100)
    assert hits.identity[0] == 0.97
    assert hits.matched_fraction[0] == 1.0


def test_rows_without_any_usable_seed_find_nothing() -> None:
    hits = SequenceIndex(["ACGT" * 20, "N" * 100, "AC"]).nearest(["N" * 50, "A", "GT"])
    assert hits.target.tolist() == [-1, -1, -1]
    assert not hits.similar.any()


def test_a_row_is_not_its_own_neighbour() -> None:
    rows = random_sequences(5, 100, np.random.default_rng(9))
    index = SequenceIndex([*rows, rows[0]])
    assert index.nearest(rows, own_row=np.arange(5)).target.tolist() == [5, -1, -1, -1, -1]


@pytest.mark.shared
@pytest.mark.long
@pytest.mark.parametrize("name", ["human_nontata_promoters", "human_enhancers_ensembl"])
def test_recall_on_real_sequences(shared: Path, name: str) -> None:
    """The first test rows on the genome against the train rows of the same part, by exhaustive alignment."""

    def place(row: Mapping[str, str]) -> tuple[str, int]:
        return row["region_grch38"], int(row["start"])

    folder = shared / "data" / "genomic_benchmarks" / "chr20_22_X" / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not there")
    rows = {}
    for split in ("train", "test"):
        with gzip.open(folder / f"{split}.csv.gz", "rt") as stream:
            rows[split] = sorted(csv.DictReader(stream), key=place)
    # Neighbours on the genome, so that relatives are among them.
    train = rows["train"][:500]
    near = [row for row in rows["test"] if place(row) <= place(train[-1])]
    sample = {
        "train": [row["sequence"].upper() for row in train],
        "test": [row["sequence"].upper() for row in near[:50]],
    }
    found, wanted, extra = recall(sample["test"], sample["train"])
    assert wanted >= 5
    assert found >= 0.9 * wanted
    assert extra == 0


def test_sequences_of_several_million_bases_end_in_a_sentence() -> None:
    long, short = "ACGT" * 1_000_000, "ACGTTGCA" * 8
    assert len(long) > LONGEST
    for call in (
        lambda: SequenceIndex([short, long]),
        lambda: SequenceIndex([short]).nearest([long]),
        lambda: SequenceIndex([short]).copies([long]),
    ):
        with pytest.raises(UnsupportedError, match="4,000,000 bases is too long to be aligned with the others"):
            call()
