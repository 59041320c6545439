"""What a model has read before, against the loci of a task."""

from __future__ import annotations

import numpy as np
import pytest

from findna_bench.auditing.pretraining_overlap import pretraining_overlap
from findna_bench.cards import Pretraining, TaskCard
from findna_bench.data.table import SequenceTable


def card(assembly: str) -> TaskCard:
    return TaskCard(name="t", suite="s", labels=("0", "1"), assembly=assembly)


def rows(*places: tuple[str, int, int]) -> SequenceTable:
    return SequenceTable(
        ["A" * (end - start) for _, start, end in places],
        np.zeros(len(places), dtype=np.int64),
        np.arange(len(places)),
        contig=np.array([contig for contig, _, _ in places]),
        start=np.array([start for _, start, _ in places]),
        end=np.array([end for _, _, end in places]),
    )


ON_20 = rows(("20", 100, 200), ("chr20", 500, 600))


@pytest.mark.parametrize(
    ("pretraining", "assembly", "expected"),
    [
        (None, "GRCh38", "unknown"),
        (Pretraining(), "GRCh38", "unknown"),
        (Pretraining(assemblies=("GRCh38",)), "", "unknown"),
        (Pretraining(assemblies=("GRCh38",)), "GRCh38", "yes"),
        (Pretraining(assemblies=("hg38",)), "GRCh38.p13", "yes"),
        (Pretraining(assemblies=("GRCh38",)), "hg19", "yes"),
        (Pretraining(assemblies=("GRCh38",)), "GRCm38", "no"),
        (Pretraining(assemblies=("GRCm38",)), "GRCh38, WBcel235", "no"),
        (Pretraining(assemblies=("GRCh38",)), "GRCh38, WBcel235", "yes"),
        (Pretraining(assemblies=("hundreds of species",)), "GRCm38", "unknown"),
        (Pretraining(assemblies=("GRCh38",), chromosomes=("chr20",)), "GRCh38", "yes"),
        (Pretraining(assemblies=("GRCh38",), chromosomes=("chr22", "X")), "GRCh38", "same genome"),
        (Pretraining(assemblies=("GRCh38",), excluded_chromosomes=("20",)), "GRCh38", "same genome"),
        (Pretraining(assemblies=("GRCh38",), regions=(("chr20", 150, 160),)), "GRCh38", "yes"),
        (Pretraining(assemblies=("GRCh38",), regions=(("chr20", 200, 500),)), "GRCh38", "same genome"),
        (Pretraining(assemblies=("GRCh37",), regions=(("chr20", 150, 160),)), "GRCh38", "same genome"),
    ],
)
def test_overlap_with_rows_on_chromosome_20(pretraining: Pretraining | None, assembly: str, expected: str) -> None:
    assert pretraining_overlap(pretraining, ON_20, card(assembly)) == expected


def test_without_coordinates_a_part_of_the_genome_cannot_be_compared() -> None:
    part = Pretraining(assemblies=("GRCh38",), chromosomes=("20",))
    whole = Pretraining(assemblies=("GRCh38",))
    bare = SequenceTable(["ACGT"], np.zeros(1, dtype=np.int64), np.arange(1))
    for table in (None, bare):
        assert pretraining_overlap(part, table, card("GRCh38")) == "same genome"
        assert pretraining_overlap(whole, table, card("GRCh38")) == "yes"
