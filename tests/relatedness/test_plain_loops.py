"""Seeds, alignments, copies, overlaps, groups and families against the same written as plain loops over bases, pairs and rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from drawn_sequences import made

from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.relatedness.alignment import Alignments, align, compare_whole
from findna_bench.relatedness.components import components, join_groups, related_by, row_groups, row_sites
from findna_bench.relatedness.composition import dinucleotide_keys, kmer_frequencies
from findna_bench.relatedness.copies import are_copies, tandem_bases
from findna_bench.relatedness.diverged_copies import diverged_copies
from findna_bench.relatedness.duplicates import duplicate_groups, identities, twins_across, twins_within
from findna_bench.relatedness.kmer_seeds import SeedScheme, choose_scheme, find_seeds
from findna_bench.relatedness.overlaps import known_apart, largest_overlaps, overlap_groups, overlapping_pairs
from findna_bench.relatedness.repeat_families import repeat_families
from findna_bench.relatedness.rows import Rows, rows_from_intervals, rows_from_table
from findna_bench.relatedness.similarity import SequenceIndex
from findna_bench.sequences.alphabet import encode, reverse_complement

LETTERS = np.array(list("ACGT"))


def changed(sequence: str, generator: np.random.Generator, share: float = 0.1, gaps: float = 0.03) -> str:
    out = []
    for letter in sequence:
        dice = generator.random()
        kept = "ACGT"[generator.integers(4)] if dice < share else letter
        out.append("" if share <= dice < share + gaps / 2 else kept * (2 if dice > 1 - gaps / 2 else 1))
    return "".join(out)


# ------------------------------------------------------------------------------------------------------------ alignments


def best_segment(agree: list[bool]) -> tuple[int, int, int]:
    """(score, matches, columns) without gaps: the first end among the best, the longest of these."""
    found = (0, 0, 0)
    for end in range(1, len(agree) + 1):
        for start in range(end):
            hits = sum(agree[start:end])
            score = hits - 2 * (end - start - hits)
            if score > found[0]:
                found = (score, hits, end - start)
    return found


def banded(query: str, target: str, diagonal: int, half: int) -> tuple[int, int, int]:
    """(score, matches, columns) of the best path within the band; of equal scores the one of most matches, then of most columns."""
    cells: dict[tuple[int, int], tuple[int, int, int]] = {}
    best = (0, 0, 0)
    for i in range(len(query)):
        for j in range(max(0, i + diagonal - half), min(len(target), i + diagonal + half + 1)):
            hit = query[i] == target[j] != "N"
            options = [(0, 0, 0)]
            for before, step in (((i - 1, j - 1), (1, 1, 1) if hit else (-2, 0, 1)), ((i - 1, j), (-3, 0, 1)), ((i, j - 1), (-3, 0, 1))):  # fmt: skip
                known = cells.get(before, (0, 0, 0))
                options.append((known[0] + step[0], known[1] + step[1], known[2] + step[2]))
            cells[i, j] = max(options) if max(options)[0] > 0 else (0, 0, 0)
            best = max(best, cells[i, j])
    return best


def beside(query: str, target: str, diagonal: int) -> list[bool]:
    places = range(max(0, -diagonal), min(len(query), len(target) - diagonal))
    return [query[i] == target[i + diagonal] != "N" for i in places]


def pairs_of(seed: int, n: int, length: int) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Queries and targets of unequal lengths, related and not, with N; strand and diagonal of each pair."""
    generator = np.random.default_rng(seed)
    targets, queries, reverse, diagonal = [], [], [], []
    for row in range(n):
        target = made(1, length + row, generator)[0]
        shift = int(generator.integers(-length // 3, length // 3))
        text = target[shift:] if shift >= 0 else made(1, -shift, generator)[0] + target
        text = changed(text, generator) if row % 4 else text[: length // 2]
        text = text[: int(generator.integers(20, length))] if row % 3 else text
        if row % 5 == 0:
            text = text[:10] + "NN" + text[12:]
            target = target[:30] + "N" + target[31:]
        backwards = bool(generator.integers(2))
        targets.append(reverse_complement(target) if backwards else target)
        queries.append(text if row % 7 else made(1, 40, generator)[0])
        reverse.append(backwards)
        diagonal.append(shift + int(generator.integers(-3, 4)) * (row % 2))
    return queries, targets, np.array(reverse), np.array(diagonal)


def test_an_alignment_is_the_best_path_of_its_band() -> None:
    queries, targets, reverse, diagonal = pairs_of(0, 60, 80)
    rows = np.arange(60)
    found = align(encode(queries), rows, encode(targets), rows, reverse, diagonal)
    gapped = 0
    for row in range(60):
        target = reverse_complement(targets[row]) if reverse[row] else targets[row]
        agree = beside(queries[row], target, int(diagonal[row]))
        expected = best_segment(agree)
        if expected[0] >= 16 and expected[1] < len(agree) - 2:
            expected = banded(queries[row], target, int(diagonal[row]), 16)
            gapped += expected[2] > sum(agree)
        assert (found.score[row], found.matches[row], found.columns[row]) == expected, row
        assert found.identity[row] == expected[1] / max(expected[2], 1)
    assert gapped > 10


def test_rows_laid_beside_each_other_are_compared_whole() -> None:
    queries, targets, reverse, diagonal = pairs_of(1, 30, 60)
    rows = np.arange(30)
    matches, columns = compare_whole(encode(queries), rows, encode(targets), rows[::-1], reverse[::-1], diagonal)
    for row in rows.tolist():
        other = targets[29 - row]
        agree = beside(queries[row], reverse_complement(other) if reverse[29 - row] else other, int(diagonal[row]))
        assert (matches[row], columns[row]) == (sum(agree), max(1, len(agree)))


# ----------------------------------------------------------------------------------------------------------------- seeds


def plain_seeds(sequences: list[str], places: Sequence[int], span: int) -> list[tuple[int, int, int, bool]]:
    """(value, row, position, read on the given strand): the smaller of both strands, two bits per base."""

    def value(text: str) -> int:
        return int("".join(str("ACGT".index(text[place])) for place in places), 4)

    found = []
    for row, sequence in enumerate(sequences):
        for position in range(len(sequence) - span + 1):
            word = sequence[position : position + span]
            if "N" not in word:
                strands = value(word), value(reverse_complement(word))
                found.append((min(strands), row, position, strands[0] < strands[1]))
    return found


@pytest.mark.parametrize("scheme", [SeedScheme(11, 2), SeedScheme(15, 2), SeedScheme(5, 2, "1101011")])
def test_seeds_are_the_words_of_either_strand(scheme: SeedScheme) -> None:
    generator = np.random.default_rng(0)
    sequences = [*made(5, 40, generator), "A" * 10, "", *made(2, 23, generator, "ACGTN"), "ACGTACGTACGTACG", "T" * 15]
    found = find_seeds(*encode(sequences), scheme)
    columns = zip(*(c.tolist() for c in (found.value, found.row, found.position, found.forward)), strict=True)
    places = scheme.places
    assert len(places) == scheme.k
    assert places[-1] + 1 == scheme.span
    assert list(columns) == plain_seeds(sequences, places, scheme.span)
    assert scheme.density == 1.0


def test_thinned_seeds_depend_on_the_word_alone_and_are_the_same_on_either_strand() -> None:
    """Of closed syncmers of window w about 2 / w are kept, and whether one is depends on nothing but its bases."""
    generator = np.random.default_rng(1)
    for window in (4, 8):
        scheme = SeedScheme(13, window)
        (sequence,) = made(1, 6000, generator)
        kept = find_seeds(*encode([sequence, reverse_complement(sequence), sequence[1000:1100]]), scheme)
        rows = [set(kept.position[kept.row == row].tolist()) for row in range(3)]
        assert len(rows[0]) / 5988 == pytest.approx(scheme.density, abs=0.03)
        assert rows[1] == {6000 - 13 - place for place in rows[0]}
        assert rows[2] == {place - 1000 for place in rows[0] if 1000 <= place <= 1087}
        every = {(row, place): value for value, row, place, _ in plain_seeds([sequence], range(13), 13)}
        mine = kept.row == 0
        assert kept.value[mine].tolist() == [every[0, place] for place in kept.position[mine].tolist()]


def test_seeds_grow_with_the_bases_and_are_thinned_from_eight_million_on() -> None:
    for bases, expected in {
        0: (11, 2), 262_144: (11, 2), 262_145: (13, 2), 4_194_304: (13, 2), 4_194_305: (15, 2), 8_000_000: (15, 2),
        8_000_001: (15, 4), 16_000_000: (15, 4), 16_000_001: (15, 6), 24_000_001: (15, 8), 10**9: (15, 8),
    }.items():  # fmt: skip
        assert choose_scheme(bases) == SeedScheme(*expected), bases


@pytest.mark.parametrize(("k", "window", "shape"), [(3, 2, "1101"), (3, 2, "11101"), (2, 2, "1101"), (3, 4, "11011")])
def test_a_shape_of_a_seed_is_checked(k: int, window: int, shape: str) -> None:
    with pytest.raises(ValueError) as refused:
        SeedScheme(k, window, shape)
    assert str(refused.value) == f"{shape!r} is no symmetric shape of {k} bases of which every one is kept"


# ---------------------------------------------------------------------------------------------------------------- copies


def plain_tandem(sequence: str) -> list[bool]:
    found = [False] * len(sequence)
    words = [sequence[i : i + 8] for i in range(len(sequence) - 7)]
    for i, j in itertools.combinations(range(len(words)), 2):
        if words[i] == words[j] and j - i <= 100:
            for place in (*range(i, i + 8), *range(j, j + 8)):
                found[place] = True
    return found


def test_words_that_come_again_close_by_are_tandem_repeats() -> None:
    generator = np.random.default_rng(2)
    word, long = made(1, 8, generator)[0], made(3, 92, generator)
    sequences = [
        "A" * 30 + made(1, 50, generator)[0],
        word + long[0] + word,  # 100 bases further on
        word + long[1] + "A" + word,  # 101
        "CAGCAGCAGCAGCAG" + long[2],
        "ACGTACG",
        "",
        word,
        word,
        "NNNNNNNNNN",
    ]
    found = tandem_bases(*encode(sequences)).tolist()
    assert found == [base for sequence in sequences for base in plain_tandem(sequence)]
    assert tandem_bases(*encode(["ACG"])).tolist() == [False] * 3


def plain_copies(
    queries: list[str], query: list[int], target: list[int], lengths: list[int], text: list[int],
    diagonal: list[int], found: Alignments, similar: list[bool], coverage: float,
) -> list[bool]:  # fmt: skip
    n_pairs = len(query)
    identity = [found.matches[p] / found.columns[p] for p in range(n_pairs)]
    span, whole, full, related = [], [], [], []
    for p in range(n_pairs):
        n, m = len(queries[query[p]]), lengths[target[p]]
        first = max(0, -diagonal[p])
        last = max(first, min(n, m - diagonal[p]))
        span.append((first, last))
        whole.append(last - first >= 0.9 * min(n, m))
        full.append(found.columns[p] >= 0.9 * (last - first))
        related.append(found.columns[p] >= coverage * min(n, m))
    out = []
    for p in range(n_pairs):
        first, last = span[p]
        unique = sum(not base for base in plain_tandem(queries[query[p]])[first:last])
        best: dict[int, int] = {}
        for other in range(n_pairs):
            if query[other] == query[p] and related[other]:
                known = best.get(text[target[other]])
                if known is None or found.matches[other] > found.matches[known]:
                    best[text[target[other]]] = other
        near = [
            o
            for o in best.values()
            if 1 - identity[o] <= 2 * (1 - identity[p]) + 0.02 and found.columns[o] >= 0.8 * found.columns[p]
        ]
        n_full = sum(full[o] for o in near)
        n_whole = sum(full[o] and whole[o] for o in near)
        out.append(
            bool(
                similar[p]
                and full[p]
                and (whole[p] or identity[p] >= 0.97)
                and unique >= max(20, 0.25 * (last - first))
                and (
                    len(near) <= 10
                    or (identity[p] >= 0.99 and n_full >= 0.8 * len(near))
                    or (identity[p] >= 0.95 and n_whole >= 0.8 * len(near))
                )
            )
        )
    return out


@pytest.mark.parametrize("family", [3, 12, 30])
@pytest.mark.parametrize("kind", ["whole", "shifted", "mixed"])
def test_a_copy_is_full_unique_and_stands_out(kind: str, family: int) -> None:
    """Made-up alignments of rows of 100 bases, close to every limit; the first two queries are tandem repeats in part."""
    generator = np.random.default_rng(family)
    queries = [*made(6, 100, generator), "CAG" * 24 + made(1, 28, generator)[0], "A" * 82 + made(1, 18, generator)[0]]
    lengths = [100] * 30 + [60] * 10
    text = (np.arange(40) // 2 * 2 if kind == "mixed" else np.arange(40)).tolist()
    query = np.repeat(np.arange(8), family)
    target = np.concatenate([generator.permutation(40)[:family] for _ in range(8)])
    shifts = {"whole": [-3, 0, 3, 10, -10], "shifted": [-50, -11, 11, 30, 50], "mixed": [-50, -10, 0, 11, 40]}
    diagonal = generator.choice(shifts[kind], len(query))
    full = np.array([min(100, lengths[t] - d) - max(0, -d) for t, d in zip(target, diagonal, strict=True)])
    columns = np.maximum(full - generator.choice([0, 0, 1, 5, 9, 10, 11, 40], len(query)), 30)
    matches = np.rint(columns * generator.choice([0.9, 0.94, 0.95, 0.96, 0.97, 0.99, 1, 1], len(query))).astype(int)
    if kind != "mixed":  # a family that agrees
        matches = np.maximum(matches, np.ceil(0.95 * columns).astype(int))
        columns = np.where(generator.random(len(query)) < 0.9, np.maximum(columns, full), columns)
        matches = np.minimum(matches, columns)
    found = Alignments(matches - 2 * (columns - matches), matches, columns)
    similar = generator.random(len(query)) < 0.95
    got = are_copies(encode(queries), query, target, np.array(lengths), np.array(text), diagonal, found, similar, 0.5)
    expected = plain_copies(
        queries, query.tolist(), target.tolist(), lengths, text, diagonal.tolist(), found, similar.tolist(), 0.5
    )
    assert got.tolist() == expected
    assert any(expected) or family == 30
    assert not all(expected)


def test_the_nearest_row_is_the_one_of_most_matches_on_its_strand() -> None:
    generator = np.random.default_rng(4)
    targets = made(30, 150, generator)
    targets[7] = targets[6]
    queries, expected = [], []
    for row in range(0, 30, 2):
        at = int(generator.integers(0, 60))
        text = list(targets[row][at : at + 90])
        for place in (30, 60)[: row % 3]:
            text[place] = "ACGT"["TGCA".index(text[place])]
        queries.append(reverse_complement("".join(text)) if row % 4 else "".join(text))
        expected.append((row, bool(row % 4), 90 - row % 3, 90))
    queries.append(made(1, 90, generator)[0])
    hits = SequenceIndex(targets).nearest(queries)
    found = zip(hits.target.tolist(), hits.reverse.tolist(), hits.matches.tolist(), hits.columns.tolist(), strict=True)
    assert list(found)[:-1] == expected
    assert hits.target[-1] == -1
    assert hits.similar.tolist() == [True] * 15 + [False]
    assert hits.copy.tolist() == [row for row, *_ in expected] + [-1]
    assert hits.matched_fraction.tolist() == [matches / 90 for *_, matches, _ in expected] + [0.0]
    assert hits.identity.tolist()[:-1] == [matches / 90 for *_, matches, _ in expected]
    pairs = SequenceIndex(targets).copies(queries)
    assert sorted(zip(*(column.tolist() for column in pairs), strict=True)) == sorted(
        [(i, row) for i, (row, *_) in enumerate(expected)] + [(3, 7)]
    )


def test_copies_at_low_identity_agree_from_end_to_end() -> None:
    """Exactly so many of 100 bases differ; lengths and starts differ by no more than five."""
    generator = np.random.default_rng(5)
    originals = made(12, 100, generator)

    def differing(sequence: str, n: int) -> str:
        text = list(sequence)
        for place in np.linspace(31, 68, n).round().astype(int):
            text[place] = "ACGT"["CGTA".index(text[place])]
        return "".join(text)

    queries = [
        differing(originals[0], 15),
        differing(originals[1], 23),
        differing(originals[2], 24),
        reverse_complement(differing(originals[3], 20)),
        made(1, 5, generator)[0] + originals[4][:-5],
        made(1, 6, generator)[0] + originals[5][:-6],
        originals[6] + made(1, 5, generator)[0],
        originals[7] + made(1, 6, generator)[0],
        originals[8][:59],
        "ACGTT" * 16 + originals[9][80:],
    ]
    originals[9] = queries[9]
    targets = [*originals[:8], queries[8], originals[9]]
    found = diverged_copies(queries, targets, np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
    assert found.rows.tolist() == list(range(10))
    assert found.target.tolist() == [0, 1, -1, 3, 4, -1, 6, -1, -1, -1]
    assert found.background == 0.0
    some = diverged_copies(queries, targets, np.array([2, 3]))
    assert (some.rows.tolist(), some.target.tolist()) == ([2, 3], [-1, 3])
    none = diverged_copies(queries, targets, np.array([], dtype=np.int64))
    assert (len(none.rows), len(none.target), none.background) == (0, 0, 0.0)


def test_a_row_of_many_relatives_is_no_copy_at_low_identity_and_what_passes_backwards_is_told() -> None:
    generator = np.random.default_rng(6)
    for relatives, expected in ((4, True), (5, False)):
        (ancestor,) = made(1, 100, generator)
        family = [changed(ancestor, generator, share=0.05, gaps=0) for _ in range(relatives)]
        found = diverged_copies([ancestor], [*made(5, 100, generator), *family], np.array([0]))
        assert (found.target[0] >= 5) == expected
    half = made(4, 60, generator)
    palindromes = [text + text[::-1] for text in half[:3]]
    found = diverged_copies([*palindromes, made(1, 120, generator)[0]], palindromes, np.arange(4))
    assert found.background == 0.75


# ------------------------------------------------------------------------------------------------ coordinates and groups


def placed(seed: int, n: int = 40) -> Rows:
    generator = np.random.default_rng(seed)
    start = generator.integers(0, 60, n)
    contig = generator.choice(["1", "2", ""], n, p=[0.5, 0.4, 0.1]).astype(object)
    ends = start + generator.integers(1, 15, n)
    return Rows(generator.integers(2, size=n), np.arange(n), np.full(n, 9), None, contig, start, ends)


def shares(a: Rows, i: int, b: Rows, j: int) -> int:
    if not a.contig[i] or a.contig[i] != b.contig[j]:  # type: ignore[index]
        return 0
    return max(0, min(a.end[i], b.end[j]) - max(a.start[i], b.start[j]))  # type: ignore[index]


@pytest.mark.parametrize("seed", range(3))
def test_overlaps_are_those_of_all_pairs(seed: int) -> None:
    first, second = placed(seed), placed(seed + 10, 25)
    every = {(i, j): shares(first, i, second, j) for i in range(40) for j in range(25) if shares(first, i, second, j)}
    found = [zip(*(c.tolist() for c in chunk), strict=True) for chunk in overlapping_pairs(first, second)]
    assert {(i, j): n for chunk in found for i, j, n in chunk} == every
    own = largest_overlaps(first, first, same=True)
    for i in range(40):
        others = {j: shares(first, i, first, j) for j in range(40) if j != i}
        most = max(others.values())
        assert own.bases[i] == most
        assert own.target[i] == (min(j for j in others if others[j] == most) if most else -1)
        assert own.fraction[i] == most / (first.end[i] - first.start[i])  # type: ignore[index]
    pair = np.random.default_rng(seed).integers(-1, 25, 40)
    assert known_apart(first, second, pair).tolist() == [
        bool(j >= 0 and first.contig[i] and second.contig[j] and not shares(first, i, second, j))  # type: ignore[index]
        for i, j in enumerate(pair.tolist())
    ]
    groups = overlap_groups(first.contig, first.start, first.end)  # type: ignore[arg-type]
    assert same_partition(groups, [(i, j) for i in range(40) for j in range(40) if shares(first, i, first, j)])


def same_partition(number: np.ndarray, links: list[tuple[int, int]]) -> bool:
    """Whether rows share a number exactly where links join them, directly or through others."""
    known = list(range(len(number)))
    for i, j in links:
        known = [known[i] if k == known[j] else k for k in known]
    pairs = itertools.combinations(range(len(number)), 2)
    return all((number[i] == number[j]) == (known[i] == known[j]) for i, j in pairs)


def test_rows_that_only_touch_or_stand_inside_others() -> None:
    contig = np.array(["1", "1", "1", "2", "1", "1", "", ""], dtype=object)
    start, end = np.array([0, 10, 2, 0, 9, 30, 0, 0]), np.array([10, 20, 4, 99, 11, 31, 5, 5])
    assert overlap_groups(contig, start, end).tolist() == [0, 0, 0, 2, 0, 1, 3, 4]
    assert overlap_groups(contig[:2], start[:2], end[:2]).tolist() == [0, 1]
    assert overlap_groups(contig[6:], start[6:], end[6:]).tolist() == [0, 1]


def test_groups_are_joined_and_numbered_by_their_first_row() -> None:
    assert join_groups([], 3).tolist() == [0, 1, 2]
    assert join_groups([np.array([4, 2, 4, 1])], 4).tolist() == [0, 1, 0, 2]
    assert join_groups([np.array([4, 2, 4, 1, 0]), np.array([0, 1, 2, 1, 3])], 5).tolist() == [0, 1, 0, 1, 2]
    assert duplicate_groups(["AAC", "GTT", "ACG", "CGT", "AAA", "GTT"]).tolist() == [0, 0, 1, 1, 2, 0]


def table(n: int = 4, **more: object) -> SequenceTable:
    sequences = made(n, 70, np.random.default_rng(0))
    return SequenceTable(sequences, np.zeros(n, np.int64), np.arange(n), **more)  # type: ignore[arg-type]


def test_rows_are_grouped_by_what_is_known_of_them_and_it_is_said() -> None:
    places = {"contig": np.array(["1"] * 4, dtype=object), "start": np.arange(4) * 50, "end": np.arange(4) * 50 + 70}
    grouped = table(group=np.array(["b", "a", "b", "c"]))
    assert row_groups(grouped).tolist() == [1, 0, 1, 2]
    assert components(grouped).tolist() == [0, 1, 0, 2]
    assert related_by(grouped) == "as the data set groups them"
    assert row_groups(table()).tolist() == [0, 1, 2, 3]
    assert related_by(table()) == "equal sequences on either strand; no coordinates are known"
    assert row_groups(table(**places)).tolist() == [0, 0, 0, 0]
    assert related_by(table(**places)) == "equal sequences on either strand, or overlapping coordinates"
    pairs = table(sequences_b=made(4, 70, np.random.default_rng(1)))
    pairs.sequences_b[2] = reverse_complement(pairs.sequences[0])  # type: ignore[index]
    assert row_groups(pairs).tolist() == [0, 1, 0, 2]
    assert related_by(pairs) == "equal sequences on either strand, of any side; no coordinates are known"
    padded = table(sequences_b=["N" * 70] * 4)
    assert components(padded).tolist() == [0, 1, 2, 3]
    assert row_sites(table()).tolist() == [0, 1, 2, 3]
    at = table(extra={"offset": np.array([3, 3, 4, 3])})
    at.sequences[1] = at.sequences[2] = at.sequences[0]
    assert row_sites(at).tolist() == [0, 0, 1, 2]


def test_copies_join_rows_only_where_they_are_asked_for() -> None:
    one = table()
    one.sequences[2] = one.sequences[0][:35] + "ACGT"["CGTA".index(one.sequences[0][35])] + one.sequences[0][36:]
    assert components(one).tolist() == [0, 1, 0, 2]
    assert components(one, similar=False).tolist() == [0, 1, 2, 3]


def test_families_count_rows_of_both_splits() -> None:
    """Families of 2, 9, 10, 99 and 100 rows, one without a member, and a lone member."""
    sizes, first, second, members = [2, 9, 10, 99, 100, 5], [], [], []
    earlier = 0
    for size in sizes:
        row = len(members)
        members += [size != 5, size == 100]
        first += [row] * (size - 2) + ([row + 1] if size > 2 else [])
        second += [*range(earlier, earlier + size - 2), *([earlier] if size > 2 else [])]
        if size == 2:
            first, second, members = [0], [0], [True, False]
            size = 3
        earlier += size - 2
    members.append(True)
    found = repeat_families((np.array(first), np.array(second)), np.array(members), earlier)
    assert (found.families, found.largest, found.rows, found.rows_in_large) == (5, 100, 6, 4)
    assert found.sizes == {"2": 1, "3-9": 1, "10-99": 2, "100+": 1}
    nothing = np.zeros(0, dtype=np.int64)
    none = repeat_families((nothing, nothing), np.array([True]), 3)
    assert (none.families, none.largest, none.rows, none.rows_in_large) == (0, 0, 0, 0)


# ------------------------------------------------------------------------------------------------------------------ rows


def test_twins_are_those_of_all_pairs() -> None:
    generator = np.random.default_rng(7)
    words = [*made(6, 5, generator), "ACGT"]
    words += [reverse_complement(word) for word in words]
    splits = {
        name: Rows(generator.integers(3, size=n), np.arange(n), np.full(n, 5), generator.choice(words, n).tolist())
        for name, n in (("train", 20), ("test", 12))
    }
    number = identities({**splits, "bare": placed(0)})
    assert list(number) == ["train", "test"]

    def twins(name: str, other: str, found: object) -> None:
        mine, theirs = splits[name], splits[other]
        for i, text in enumerate(mine.sequences or []):
            others = [j for j in range(len(theirs)) if name != other or i != j]
            same = [j for j in others if theirs.sequences[j] == text]  # type: ignore[index]
            either = [j for j in others if theirs.sequences[j] in (text, reverse_complement(text))]  # type: ignore[index]
            assert found.exact[i] == bool(same)  # type: ignore[attr-defined]
            assert found.reverse_complement[i] == (bool(either) and not same)  # type: ignore[attr-defined]
            assert found.conflicting[i] == any(theirs.labels[j] != mine.labels[i] for j in either)  # type: ignore[attr-defined]

    twins("train", "train", twins_within(number["train"], splits["train"].labels))
    twins("test", "train", twins_across(number["test"], splits["test"].labels, number["train"], splits["train"].labels))


def test_kmers_and_keys_are_counted_letter_by_letter() -> None:
    generator = np.random.default_rng(8)
    sequences = [*made(4, 60, generator), *made(2, 60, generator, "ACGTN"), "AC", "", "N" * 60]
    found = kmer_frequencies(sequences, 3)
    assert found.dtype == np.float32
    for row, text in enumerate(sequences):
        words = [text[i : i + 3] for i in range(len(text) - 2) if "N" not in text[i : i + 3]]
        expected = [words.count("".join(w)) / max(len(words), 1) for w in itertools.product("ACGT", repeat=3)]
        assert found[row] == pytest.approx(expected, abs=1e-7)
    assert kmer_frequencies(["A"], 3).tolist() == [[0.0] * 64]
    text = sequences[4]
    turned = text[-1] + text[1:-1] + text[0]
    keys = dinucleotide_keys([text, turned, *sequences])
    for (i, a), (j, b) in itertools.combinations(enumerate([text, turned, *sequences]), 2):
        alike = a[:1] == b[:1] and sorted(map("".join, itertools.pairwise(a))) == sorted(
            map("".join, itertools.pairwise(b))
        )
        assert (keys[i] == keys[j] != b"") == (alike and min(len(a), len(b)) >= 50)
    assert [bool(key) for key in keys] == [len(text) >= 50 for text in [text, turned, *sequences]]


def test_rows_know_where_they_stand() -> None:
    contig = np.array(["1", None, "2", "3", "4"], dtype=object)
    start, end = np.array([0.0, 5.0, np.nan, 7.0, 3.0]), np.array([4.0, 9.0, 9.0, 7.0, 5.0])
    rows = rows_from_table(table(5, contig=contig, start=start, end=end))
    assert rows.located.tolist() == [True, False, False, False, True]
    assert [column.tolist() for column in rows.coordinates] == [
        ["1", "", "2", "3", "4"],
        [0, 5, -1, 7, 3],
        [4, 9, 9, 7, 5],
    ]
    assert rows.lengths.tolist() == [70] * 5
    some = rows.take(np.array([4, 0]))
    assert [column.tolist() for column in some.coordinates] == [["4", "1"], [3, 0], [5, 4]]
    assert (some.ids.tolist(), some.sequences) == ([4, 0], [rows.sequences[4], rows.sequences[0]])  # type: ignore[index]
    bare = rows_from_table(table(2))
    assert (bare.contig, bare.located.tolist()) == (None, [False, False])
    assert bare.take(np.array([1])).contig is None
    with pytest.raises(ValueError) as refused:
        _ = bare.coordinates
    assert str(refused.value) == "these rows have no coordinates; look at `located` first"
    only = rows_from_intervals([1, 0], ["1", "2"], [3, 5], [10, 6], ["x", "y"])
    assert (only.lengths.tolist(), only.ids.tolist(), only.labels.tolist()) == ([7, 1], ["x", "y"], [1, 0])
    assert rows_from_intervals([1, 0], ["1", "2"], [3, 5], [10, 6]).ids.tolist() == [0, 1]
    for ends, sentence in (
        ([10, 5], "row 1 ends at 5, not after its start 5; correct or remove the row"),
        ([2, 5], "row 0 ends at 2, not after its start 3; correct or remove the row"),
    ):
        with pytest.raises(DataError) as wrong:
            rows_from_intervals([1, 0], ["1", "2"], [3, 5], ends)
        assert str(wrong.value) == sentence
    with pytest.raises(DataError) as nowhere:
        rows_from_intervals([1], [None], [3], [4])
    assert (
        str(nowhere.value) == "no row has coordinates, and no sequence is given; import the task with one or the other"
    )
