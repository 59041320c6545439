"""Insertions and deletions where VCF has them: as far to the left as the sequence allows (Tan et al. 2015; ``bcftools norm``)."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["left_aligned"]


def left_aligned(base_at: Callable[[int], str], place: int, ref: str, alt: str) -> tuple[int, str, str]:
    """The same change of the sequence at its leftmost place, with the base before it in both alleles.

    What lies leftmost already, and what is no pure insertion or deletion (a substitution, of several bases too), is returned as it is.
    An allele is empty where nothing that could stand before the change is known: at the sequence's start, and after an N.

    Args:
        base_at: the base at a place, upper case; empty outside the sequence.
        place: of the first base of ``ref``; of the base that an insertion stands before, where ``ref`` is empty.
        ref: what stands there.
        alt: what takes its place.

    Returns:
        (place, ref, alt).

    Example:
        >>> sequence = "GCACACAT"
        >>> left_aligned(lambda place: sequence[place : place + 1], 5, "CA", "")
        (0, 'GCA', 'G')
    """
    first, removed, inserted = _trimmed(place, ref, alt)
    if bool(removed) == bool(inserted):
        return place, ref, alt
    piece, shifted = removed or inserted, first
    while shifted > 0 and base_at(shifted - 1) == piece[-1]:
        shifted, piece = shifted - 1, piece[-1] + piece[:-1]
    if shifted == first:
        return place, ref, alt
    before = base_at(shifted - 1) if shifted > 0 else ""
    before = before if before in set("ACGT") else ""
    return shifted - len(before), before + (piece if removed else ""), before + (piece if inserted else "")


def _trimmed(place: int, ref: str, alt: str) -> tuple[int, str, str]:
    """Without the bases that both alleles end with, then without those that both begin with."""
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        place, ref, alt = place + 1, ref[1:], alt[1:]
    return place, ref, alt
