"""Data sets built from the transcript FASTA files of several species, one class or more species to a class.

The card's ``config`` is the recipe: ``files`` ((beginning of a file's name, class), in order of concatenation),
``min_length`` (transcripts must be strictly longer), ``max_length`` (bases kept from the 5' end; shorter ones are filled
with N at the 3' end where ``pad`` is set), ``split`` (``random`` as published, or ``gene``), ``random_state``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from findna_bench.cards import TaskCard
from findna_bench.data.archives import Tree
from findna_bench.data.layouts import fasta_records
from findna_bench.data.splits import draw_rows
from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError
from findna_bench.sequences.alphabet import normalise

__all__ = ["Transcripts", "build_transcripts", "read_transcripts"]

TEST_FRACTION = 0.2
VALIDATION_FRACTION = 0.25
_GENE = re.compile(r"\bgene:(\S+)")
_FASTA = re.compile(r"\.(fa|fasta|fna)(\.gz)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Transcripts:
    """Transcripts of all species that are long enough, in order of concatenation, 5' ends only."""

    ids: list[str]
    genes: list[str]
    """``species:gene`` without the version."""
    classes: list[str]
    sequences: list[str]
    """At most ``keep`` bases."""
    lengths: list[int]


def read_transcripts(tree: Tree, files: Sequence[Sequence[str]], min_length: int, keep: int) -> Transcripts | None:
    """Read one FASTA per species below ``tree``; None where there is none of them.

    Raises:
        DataError: some species are there and others are not, a species twice, a damaged file, a letter that is not DNA.
    """
    found = {species: _species_files(tree, species) for species, _ in files}
    if not any(found.values()):
        return None
    for species, names in found.items():
        if len(names) != 1:
            what = f"{len(names)} FASTA files ({', '.join(names[:2])})" if names else "no FASTA file"
            raise DataError(
                f"{tree.label}: {what} of {species}; one of each is needed: {', '.join(species for species, _ in files)}"
            )
    out = Transcripts([], [], [], [], [])
    for species, class_name in files:
        _read_species(tree, found[species][0], species, class_name, min_length, keep, out)
    return out


def _species_files(tree: Tree, species: str) -> list[str]:
    return [
        file
        for file in tree.files
        if file.rpartition("/")[2].lower().startswith(species.lower()) and _FASTA.search(file)
    ]


def _read_species(
    tree: Tree, file: str, species: str, class_name: str, min_length: int, keep: int, out: Transcripts
) -> None:
    n = 0
    for number, (header, sequence) in enumerate(fasta_records(tree, file), start=1):
        n = number
        if len(sequence) <= min_length:
            continue
        name = header.split(maxsplit=1)[0] if header else str(number)
        gene = _GENE.search(header)
        out.ids.append(name)
        out.genes.append(f"{species}:{gene[1].partition('.')[0] if gene else name}")
        out.classes.append(class_name)
        out.sequences.append(normalise(sequence[:keep], f"{tree.origin(file)}, record {number} ({name})"))
        out.lengths.append(len(sequence))
    if not n:
        raise DataError(f"{tree.origin(file)} is empty")


def build_transcripts(card: TaskCard, transcripts: Transcripts) -> dict[str, SequenceTable]:
    """The task's splits. ``group`` is the gene; ``extra["transcript_length"]`` the length before cutting.

    Raises:
        DataError: too few transcripts to split.
    """
    recipe = card.config
    length = int(recipe["max_length"])
    texts = [sequence[:length] for sequence in transcripts.sequences]
    if recipe.get("pad"):
        texts = [text.ljust(length, "N") for text in texts]
    table = SequenceTable(
        sequences=texts,
        labels=np.array([card.labels.index(name) for name in transcripts.classes], dtype=np.int64),
        ids=np.array(transcripts.ids, dtype=str),
        group=np.array(transcripts.genes, dtype=str),
        extra={"transcript_length": np.array(transcripts.lengths, dtype=np.int64)},
    )
    if len(table) < 10:
        raise DataError(
            f"{card.full_name}: {len(table)} transcripts are longer than {recipe['min_length']} bases, too few to split"
        )
    draw = _gene_split if recipe.get("split") == "gene" else _random_split
    rows = draw(table, int(recipe.get("random_state", 1)))
    return {split: table.take(index) for split, index in rows.items()}


def _random_split(table: SequenceTable, random_state: int) -> Mapping[str, np.ndarray]:
    """As the published script splits: 20 % test, then 25 % of the rest validation, not stratified."""
    from sklearn.model_selection import train_test_split

    rest, test = train_test_split(np.arange(len(table)), test_size=TEST_FRACTION, random_state=random_state)
    train, validation = train_test_split(rest, test_size=VALIDATION_FRACTION, random_state=random_state)
    return {"train": train, "validation": validation, "test": test}


def _gene_split(table: SequenceTable, random_state: int) -> Mapping[str, np.ndarray]:
    """The same shares, stratified, with all transcripts of a gene on one side."""
    assert table.group is not None
    generator = np.random.default_rng(random_state)
    test = draw_rows(table.labels, table.group, generator, TEST_FRACTION)
    rest = np.flatnonzero(~test)
    validation = draw_rows(table.labels[rest], table.group[rest], generator, VALIDATION_FRACTION)
    return {"train": rest[~validation], "validation": rest[validation], "test": np.flatnonzero(test)}
