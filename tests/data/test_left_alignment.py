"""Insertions and deletions are moved to where VCF has them, and change the sequence as they did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import findna_bench as fb
from findna_bench.data.left_alignment import left_aligned
from findna_bench.data.variants import alternative
from findna_bench.protocols.score_files import ScoreFile


def changed(sequence: str, place: int, ref: str, alt: str) -> str:
    assert sequence[place : place + len(ref)] == ref
    return sequence[:place] + alt + sequence[place + len(ref) :]


def moved(sequence: str, place: int, ref: str, alt: str) -> tuple[int, str, str]:
    return left_aligned(lambda at: sequence[at : at + 1], place, ref, alt)


def leftmost(sequence: str, haplotype: str) -> int:
    """The first place where removing, or inserting, that many bases gives the haplotype: tried one after the other."""
    length = abs(len(sequence) - len(haplotype))
    long, short = (sequence, haplotype) if len(sequence) > len(haplotype) else (haplotype, sequence)
    return next(at for at in range(len(short) + 1) if long[:at] + long[at + length :] == short)


@given(
    st.text("AC", min_size=1, max_size=14),
    st.integers(0, 14),
    st.integers(0, 4),
    st.text("AC", max_size=4),
    st.integers(0, 2),
)
@settings(max_examples=300, deadline=None)
def test_the_haplotype_stays_and_nothing_could_go_further_left(
    sequence: str, place: int, length: int, alt: str, context: int
) -> None:
    place = min(place, len(sequence))
    ref = sequence[place : place + length]
    before, after = sequence[max(0, place - context) : place], sequence[place + len(ref) : place + len(ref) + context]
    variant = (
        place - len(before),
        before + ref + after,
        before + alt + after,
    )  # bases that do not change, on either side
    haplotype = changed(sequence, *variant)
    found = moved(sequence, *variant)
    assert changed(sequence, *found) == haplotype
    assert moved(sequence, *found) == found
    pure = not ref or not alt
    if not pure or len(haplotype) == len(sequence):
        return
    at, own, other = found
    first = at
    while own and other and own[-1] == other[-1] and (len(own) > 1 or len(other) > 1):
        own, other = own[:-1], other[:-1]
    while own and other and own[0] == other[0]:
        first, own, other = first + 1, own[1:], other[1:]
    assert first == leftmost(sequence, haplotype)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ((5, "CA", ""), (0, "GCA", "G")),
        ((6, "AT", "T"), (6, "AT", "T")),  # GCACAC[A]T: no A before it that it could be
        ((6, "A", "ACA"), (0, "G", "GCA")),
        ((0, "GCA", "G"), (0, "GCA", "G")),
        ((3, "C", "T"), (3, "C", "T")),
        ((1, "CA", "GT"), (1, "CA", "GT")),
        ((1, "CAC", "GT"), (1, "CAC", "GT")),  # no pure deletion
    ],
)
def test_examples(variant: tuple[int, str, str], expected: tuple[int, str, str]) -> None:
    assert moved("GCACACAT", *variant) == expected


def test_nothing_is_moved_over_an_n_or_beyond_the_start() -> None:
    assert moved("GNAAAT", 4, "A", "") == (2, "A", "")
    assert moved("AAAT", 2, "A", "") == (0, "A", "")


def test_files_are_aligned_along_the_genome_and_joined_by_what_they_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sequence = "".join(rng.choice(list("ACGT"), size=60)) + "G" + "T" * 30 + "".join(rng.choice(list("ACGT"), size=60))
    (tmp_path / "g.fa").write_text(f">chr2\n{sequence}\n")
    header = "chrom,pos,ref,alt,value\n"
    rows = [(91, "T", ""), (20, sequence[19], {"A": "C"}.get(sequence[19], "A"))]
    (tmp_path / "v.csv").write_text(header + "".join(f"2,{p},{r},{a or '-'},{n}\n" for n, (p, r, a) in enumerate(rows)))
    task = fb.load_task(tmp_path / "v.csv", fasta=tmp_path / "g.fa", flank=10)
    table = task.load("test")
    assert (table.start[0] + table.extra["offset"][0], table.extra["ref"][0], table.extra["alt"][0]) == (60, "GT", "G")  # type: ignore[index]
    assert table.sequences[0] == sequence[50:72]  # the window goes along
    assert alternative(table, 0) == sequence[50:61] + sequence[62:72]
    assert table.extra["offset"][1] == 10
    notes = " ".join(task.notes)
    assert "1 insertions or deletions," not in notes
    assert "1 insertions or deletions that are moved to where they stand leftmost" in notes
    for name, place, ref, alt in (("given", 91, "T", "-"), ("aligned", 61, "GT", "G")):
        (tmp_path / f"{name}.csv").write_text(f"chrom,pos,ref,alt,score\nchr2,{place},{ref},{alt},3.5\n")
        assert ScoreFile(tmp_path / f"{name}.csv").score(table)[0] == 3.5
