"""Recipes: how published files that are no tables of labelled sequences become rows. A card's ``config["recipe"]`` names one.

=================  ==============================================================================================
``transcripts``    transcripts of several species (:mod:`findna_bench.data.transcripts`)
``variants``       variants whose windows are put together from their table (:mod:`findna_bench.data.variant_tables`)
``fasta-values``   a FASTA file and a table of numbers, row by row (:mod:`findna_bench.data.fasta_values`)
``genome-variants``  variants by their place in a genome (:mod:`findna_bench.data.genome_variants`)
``genome-regions``   labelled regions of a genome (:mod:`findna_bench.data.genome_regions`)
``genome-pairs``     pairs of a gene and a region (:mod:`findna_bench.data.genome_pairs`)
``one-hot``          one-hot sequences in an HDF5 file (:mod:`findna_bench.data.one_hot_arrays`)
=================  ==============================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from findna_bench.cards import TaskCard
from findna_bench.data.fasta_values import read_fasta_values
from findna_bench.data.genome_pairs import read_genome_pairs
from findna_bench.data.genome_regions import read_genome_regions
from findna_bench.data.genome_variants import read_genome_variants
from findna_bench.data.one_hot_arrays import read_one_hot
from findna_bench.data.published_files import PublishedFiles, PublishedRows
from findna_bench.data.transcripts import build_transcripts, read_transcripts
from findna_bench.data.variant_tables import read_variant_table
from findna_bench.errors import DataError

__all__ = ["expected_splits", "has_recipe", "read_recipe"]


def has_recipe(card: TaskCard) -> bool:
    return "recipe" in card.config


def read_recipe(card: TaskCard, files: PublishedFiles) -> PublishedRows | None:
    """The rows of a card that has a recipe; None where its files are not there.

    Raises:
        DataError: there is no such recipe, or a file is damaged or not what the recipe says.
    """
    name = str(card.config["recipe"])
    if name not in _RECIPES:
        raise DataError(f"{card.full_name}: recipe {name!r} is none of {', '.join(_RECIPES)}")
    return _RECIPES[name](card, files)


def expected_splits(card: TaskCard) -> tuple[str, ...]:
    """Splits without which a task is not whole."""
    if card.config.get("recipe") == "variants":
        return ("test",)
    given = card.config.get("expected_splits")
    return ("train", "test") if given is None else tuple(given)


def _transcripts(card: TaskCard, files: PublishedFiles) -> PublishedRows | None:
    """Files are read once for all cards that share them."""
    names = tuple(map(tuple, card.config["files"]))
    key = (names, int(card.config["min_length"]))
    if key not in files.held:
        sharing = [
            c
            for c in files.cards
            if c.config.get("recipe") == "transcripts" and tuple(map(tuple, c.config["files"])) == names
        ]
        keep = max(int(c.config["max_length"]) for c in sharing)
        found = (read_transcripts(tree, names, key[1], keep) for tree in files.trees)
        files.held[key] = next((one for one in found if one is not None), None)
    transcripts = files.held[key]
    return None if transcripts is None else PublishedRows(build_transcripts(card, transcripts))


def _variants(card: TaskCard, files: PublishedFiles) -> PublishedRows | None:
    found = (read_variant_table(card, tree) for tree in files.trees)
    rows = next((one for one in found if one is not None), None)
    return None if rows is None else PublishedRows({"test": rows[0]}, short=tuple(rows[1]))


def _fasta_values(card: TaskCard, files: PublishedFiles) -> PublishedRows | None:
    tables = read_fasta_values(card, files.trees)
    return PublishedRows(tables) if tables else None


_RECIPES: Mapping[str, Callable[[TaskCard, PublishedFiles], PublishedRows | None]] = {
    "transcripts": _transcripts,
    "variants": _variants,
    "fasta-values": _fasta_values,
    "genome-variants": read_genome_variants,
    "genome-regions": read_genome_regions,
    "genome-pairs": read_genome_pairs,
    "one-hot": read_one_hot,
}
