"""Lengths by which a FASTA is told to be of one human assembly or the other: as the Genome Reference Consortium publishes them."""

from __future__ import annotations

from findna_bench.data.reference import _LENGTHS

PUBLISHED = """
1 249250621 248956422
8 146364022 145138636
20 63025520 64444167
22 51304566 50818468
X 155270560 156040895
"""


def test_lengths_of_chromosomes_are_the_published_ones() -> None:
    rows = [line.split() for line in PUBLISHED.strip().splitlines()]
    assert {
        "grch37": {name: int(length) for name, length, _ in rows},
        "grch38": {name: int(length) for name, _, length in rows},
    } == _LENGTHS
