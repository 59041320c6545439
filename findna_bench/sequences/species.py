"""Which species an assembly is of."""

from __future__ import annotations

__all__ = ["canonical_assembly", "species"]

_SPECIES = {
    "human": (
        "grch38",
        "grch37",
        "hg38",
        "hg19",
        "hg18",
        "ncbi36",
        "t2t-chm13",
        "chm13",
        "hs1",
        "homo sapiens",
        "human",
    ),
    "mouse": ("grcm39", "grcm38", "mm39", "mm10", "mm9", "mus musculus", "mouse"),
    "algerian mouse": ("spret_eij_v1", "spret_eij_v3", "mus spretus"),
    "worm": ("wbcel235", "ce11", "ce10", "caenorhabditis elegans", "c. elegans"),
    "fly": ("bdgp6", "bdgp5", "dm6", "dm3", "drosophila melanogaster"),
    "yeast": ("r64", "saccer3", "saccer2", "saccharomyces cerevisiae", "yeast"),
    "sars-cov-2": ("sars-cov-2", "nc_045512", "mn908947"),
    "e. coli": ("escherichia coli", "e. coli"),
    "p. falciparum": ("plasmodium falciparum", "p. falciparum", "asm276v2"),
    "zebrafish": ("grcz11", "danrer11", "danio rerio"),
}
_SAME = {
    "hg38": "grch38",
    "hg19": "grch37",
    "mm10": "grcm38",
    "mm39": "grcm39",
    "dm6": "bdgp6",
    "ce11": "wbcel235",
    "saccer3": "r64",
}


def species(assembly: str) -> str | None:
    """The species of an assembly or species name, None where the name is not known; patches (``GRCh38.p14``) do not matter."""
    name = canonical_assembly(assembly)
    return next((kind for kind, names in _SPECIES.items() if name == kind or name in names), None)


def canonical_assembly(assembly: str) -> str:
    """One name for what UCSC and the Genome Reference Consortium call differently, in lower case, without patch."""
    name = assembly.strip().lower()
    head, _, patch = name.rpartition(".")
    if head and (patch.isdigit() or (patch[:1] == "p" and patch[1:].isdigit())):
        name = head
    return _SAME.get(name, name)
