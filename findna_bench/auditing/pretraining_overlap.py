"""Whether a model has read the loci of a task before, unlabelled: the flag ``pretraining-overlap``."""

from __future__ import annotations

from typing import Literal

import numpy as np

from findna_bench.cards import Pretraining, TaskCard
from findna_bench.data.table import SequenceTable
from findna_bench.relatedness.overlaps import overlapping_pairs
from findna_bench.relatedness.rows import Rows, rows_from_intervals
from findna_bench.sequences.species import canonical_assembly, species

__all__ = ["Overlap", "pretraining_overlap", "species"]

Overlap = Literal["yes", "same genome", "no", "unknown"]


def pretraining_overlap(pretraining: Pretraining | None, table: SequenceTable | None, card: TaskCard) -> Overlap:
    """What a model's declared pretraining has to do with a task's test rows.

    table: the test split, or its coordinates (:meth:`SequenceTable.coordinates`); None where neither is at hand. Returns ``yes`` where pretraining covers test loci,
    ``same genome`` where it read other loci of that genome, or loci that cannot be compared (another assembly, no coordinates),
    ``no`` for other species, and ``unknown`` where the card of the model or of the task does not say enough.
    """
    tested = [part for part in card.assembly.split(",") if part.strip()]
    if pretraining is None or not pretraining.assemblies or not tested:
        return "unknown"
    read = {species(assembly) for assembly in pretraining.assemblies}
    wanted = {species(assembly) for assembly in tested}
    common = (read & wanted) - {None}
    if not common:
        named = {canonical_assembly(a) for a in pretraining.assemblies} & {canonical_assembly(a) for a in tested}
        if not named:
            return "unknown" if None in read or None in wanted else "no"
    if pretraining.chromosomes is None and not pretraining.regions and not pretraining.excluded_chromosomes:
        return "yes"
    rows = _rows(table)
    if rows is None:
        return "same genome"
    return "yes" if _covers(pretraining, rows, tested) else "same genome"


def _rows(table: SequenceTable | None) -> Rows | None:
    if table is None or table.contig is None or table.start is None or table.end is None:
        return None
    known = np.array([isinstance(c, str) and c != "" for c in table.contig.tolist()], dtype=bool)
    if not known.any():
        return None
    contig = np.array([_contig(c) for c in table.contig[known].tolist()], dtype=object)
    return rows_from_intervals(table.labels[known], contig, table.start[known], table.end[known])


def _contig(name: str) -> str:
    return name.removeprefix("chr")


def _covers(pretraining: Pretraining, rows: Rows, tested: list[str]) -> bool:
    """Whether a test row lies on what was read. Regions are compared within one assembly; chromosomes keep their names between
    assemblies of a species."""
    contigs = rows.coordinates[0]
    allowed = np.ones(len(rows), dtype=bool)
    if pretraining.chromosomes is not None:
        allowed &= np.isin(contigs, [_contig(c) for c in pretraining.chromosomes])
    allowed &= ~np.isin(contigs, [_contig(c) for c in pretraining.excluded_chromosomes])
    if not allowed.any() or not pretraining.regions:
        return bool(allowed.any())
    if not {canonical_assembly(a) for a in pretraining.assemblies} & {canonical_assembly(a) for a in tested}:
        return False
    names, starts, ends = zip(*pretraining.regions, strict=True)
    read = rows_from_intervals(np.zeros(len(names)), [_contig(c) for c in names], list(starts), list(ends))
    return next(overlapping_pairs(rows.take(np.flatnonzero(allowed)), read), None) is not None
