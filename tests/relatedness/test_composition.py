"""What sequences are made of, against counting letter by letter; and rows that are shuffles of others."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from findna_bench.relatedness.composition import LEAST_LENGTH, composition, dinucleotide_keys, same_composition
from findna_bench.relatedness.kmer_seeds import SeedScheme
from findna_bench.relatedness.similarity import SequenceIndex
from findna_bench.sequences.shuffling import dinucleotide_shuffle


@given(st.lists(st.text("ACGTN", max_size=30), max_size=6))
def test_composition_is_that_of_counting(sequences: list[str]) -> None:
    found = composition(sequences)
    for i, text in enumerate(sequences):
        known = [base for base in text if base != "N"]
        assert found.gc[i] == pytest.approx(sum(base in "GC" for base in known) / max(len(known), 1))
        assert found.n[i] == pytest.approx(text.count("N") / max(len(text), 1))
        pairs = [a + b for a, b in pairwise(text) if "N" not in a + b]
        shares = [pairs.count(a + b) / max(len(pairs), 1) for a, b in product("ACGT", repeat=2)]
        assert found.dinucleotides[i] == pytest.approx(shares)


def test_shuffles_are_found_and_neither_the_row_itself_nor_a_short_or_another_one() -> None:
    generator = np.random.default_rng(0)
    train = ["".join(generator.choice(list("ACGT"), 80)) for _ in range(5)]
    shuffled = [dinucleotide_shuffle(text, generator) for text in train]
    short = "ACGT" * 4
    target = [*train, shuffled[3], short]
    query = [shuffled[1], train[3], shuffled[4], train[0], "".join(generator.choice(list("ACGT"), 80)), short]
    number = {text: i for i, text in enumerate(dict.fromkeys([*target, *query]))}
    found = same_composition(
        dinucleotide_keys(query), np.array([number[text] for text in query]),
        dinucleotide_keys(target), np.array([number[text] for text in target]),
    )  # fmt: skip
    assert found.tolist() == [1, 5, 4, -1, -1, -1]


@pytest.mark.parametrize("length", [LEAST_LENGTH - 1, LEAST_LENGTH])
def test_rows_below_the_least_length_have_no_key(length: int) -> None:
    (key,) = dinucleotide_keys(["A" * length])
    assert bool(key) == (length >= LEAST_LENGTH)


@pytest.mark.parametrize(("rows", "k"), [(100, 11), (700, 13), (4000, 13)])
def test_seeds_get_longer_with_the_bases_of_all_rows(rows: int, k: int) -> None:
    generator = np.random.default_rng(0)
    index = SequenceIndex(["".join(generator.choice(list("ACGT"), 400)) for _ in range(rows)])
    assert index.scheme == SeedScheme(k, 2)
