"""Names of assemblies and species, as cards and users write them."""

from __future__ import annotations

import pytest

from findna_bench.sequences.species import canonical_assembly, species


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GRCh38.p14", "human"), ("hg38", "human"), ("hg19", "human"), ("NCBI36", "human"), ("T2T-CHM13", "human"), ("hs1", "human"),
        (" Homo sapiens ", "human"), ("human", "human"), ("GRCm38.p6", "mouse"), ("mm9", "mouse"), ("Mus musculus", "mouse"),
        ("SPRET_EiJ_v1", "algerian mouse"), ("Mus spretus", "algerian mouse"), ("WBcel235", "worm"), ("ce10", "worm"), ("worm", "worm"),
        ("BDGP6.32", "fly"), ("dm3", "fly"), ("fly", "fly"), ("sacCer3", "yeast"), ("R64", "yeast"), ("MN908947.3", "sars-cov-2"),
        ("Escherichia coli", "e. coli"), ("e. coli", "e. coli"), ("ASM276v2", "p. falciparum"), ("danRer11", "zebrafish"),
        ("GRCz11", "zebrafish"), ("felCat9", None), ("", None), ("hum", None),
    ],
)  # fmt: skip
def test_species_of_an_assembly_or_a_species_name(name: str, expected: str | None) -> None:
    assert species(name) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [("hg38", "GRCh38.p14"), ("hg19", "GRCh37.p13"), ("mm10", "GRCm38"), ("mm39", "GRCm39"), ("dm6", "BDGP6.32"), ("ce11", "WBcel235"), ("sacCer3", "R64")],
)  # fmt: skip
def test_two_names_of_one_assembly_are_one(one: str, other: str) -> None:
    assert canonical_assembly(one) == canonical_assembly(other)
    assert canonical_assembly("hg18") not in {canonical_assembly("hg19"), canonical_assembly("hg38")}
