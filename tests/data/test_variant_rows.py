"""Variants in tables: which rows are scored, which are left out, and what is said of both, in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy import refusal

from findna_bench.data.genome_windows import GenomeWindows
from findna_bench.data.table import SequenceTable
from findna_bench.data.tabular import RawTable
from findna_bench.data.variants import (
    alternative,
    element_names,
    holds_variants,
    left_out_counts,
    variant_extras,
    variant_rows,
)

WINDOW = "ACGTTGCA"


def raw(**columns: list[Any]) -> RawTable:
    return RawTable("v.csv", columns, 2)


def rows(*values: tuple[Any, ...], sequence: str = WINDOW) -> RawTable:
    """Rows of (offset, ref, alt) in one window."""
    offset, ref, alt = (list(column) for column in zip(*values, strict=True))
    return raw(sequence=[sequence] * len(values), offset=offset, ref=ref, alt=alt)


def test_tables_of_variants_are_told_by_their_columns() -> None:
    base = {"ref": ["A"], "alt": ["C"]}
    assert holds_variants(raw(**base, offset=[1]))
    assert holds_variants(raw(**base, offset=[1], sequence=["A"]))
    assert holds_variants(raw(**base, pos=[1]))
    assert holds_variants(raw(**base, position=[1]))
    assert not holds_variants(raw(**base))
    assert not holds_variants(raw(**base, pos=[1], sequence=["A"]))
    assert not holds_variants(raw(ref=["A"], offset=[1]))
    assert not holds_variants(raw(alt=["A"], offset=[1]))


def test_rows_that_fit_are_kept_as_they_are() -> None:
    kept = variant_rows(rows((0, "A", "C"), ("7", "a", "g"), (2.0, "GT", "CC"), (3, " T ", "C")))
    assert kept.columns == {
        "sequence": [WINDOW] * 4,
        "offset": [0, 7, 2, 3],
        "ref": ["A", "A", "GT", "T"],
        "alt": ["C", "G", "CC", "C"],
    }
    assert (kept.notes, kept.numbers) == ([], None)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ((8, "A", "C"), "whose offset lies outside the sequence"),
        ((7, "AC", "CG"), "whose offset lies outside the sequence"),
        ((8, "", "C"), "whose offset lies outside the sequence"),
        ((1, "A", "C"), "whose ref is not what the sequence has there"),
        ((0, "A", "A"), "whose alt is their ref"),
        ((0, "-", "."), "whose alt is their ref"),
        ((0, "A", "C,G"), "with several alternatives (one row each: `bcftools norm -m-`)"),
        ((0, "A", "C/G"), "with several alternatives (one row each: `bcftools norm -m-`)"),
        ((0, "A", "N"), "with letters other than A, C, G and T in ref or alt"),
        ((0, "R", "A"), "with letters other than A, C, G and T in ref or alt"),
    ],
)
def test_a_row_that_does_not_fit_is_left_out_and_named(row: tuple[Any, ...], why: str) -> None:
    table = rows((0, "A", "C"), (0, "A", "G"), row, (1, "C", "T"))
    table.notes.append("as before")
    kept = variant_rows(table)
    assert kept.columns["alt"] == ["C", "G", "T"]
    assert kept.numbers == [0, 1, 3]
    note = f"v.csv: 1 of 4 variants are left out: 1 {why} (first: row 4 (the header is row 1))"
    assert kept.notes == ["as before", note]
    assert left_out_counts(note) == (1, 4, f"1 {why} (first: row 4 (the header is row 1))")
    assert refusal(lambda: variant_rows(rows(row, row, row))).startswith(
        "v.csv: none of its 3 variants can be scored: 3 " + why
        if "not what" not in why
        else "v.csv, row 2 (the header is row 1): ref is not what the sequence has there, as in 3 of 3 rows; offset counts from 0, and "
    )


def test_reasons_are_counted_each_with_its_first_row() -> None:
    table = rows((0, "A", "A"), (9, "A", "C"), (0, "A", "C"), (9, "A", "G"), (1, "C", "C"), (12, "A", "G"))
    table.numbers = [2, 3, 5, 7, 11, 13]
    kept = variant_rows(table)
    assert kept.numbers == [5]
    assert kept.notes == [
        "v.csv: 5 of 6 variants are left out: 2 whose alt is their ref (first: row 2 (the header is row 1)), "
        "3 whose offset lies outside the sequence (first: row 3 (the header is row 1))"
    ]
    assert left_out_counts("x: 1,234 of 5,678 variants are left out: y") == (1234, 5678, "y")
    assert left_out_counts("x: 2 of 4 rows are dropped") is None


@pytest.mark.parametrize(("right", "refused"), [(1, True), (2, False), (3, False)])
def test_a_table_of_another_assembly_is_refused_where_most_references_differ(right: int, refused: bool) -> None:
    table = rows(*[(0, "A", "C")] * right, (1, "A", "G"), (2, "A", "G"))
    if refused:
        assert refusal(lambda: variant_rows(table)) == (
            "v.csv, row 3 (the header is row 1): ref is not what the sequence has there, as in 2 of 3 rows; offset counts from 0, and "
            "the sequence has to be that of the variants' own assembly"
        )
    else:
        assert len(variant_rows(table)) == right


@pytest.mark.parametrize(
    ("sequence", "offset", "beside"),
    [
        ("ANCGT", 2, True),
        ("ACNGT", 1, True),
        ("ACNGT", 3, True),
        ("NACGT", 2, False),
        ("ACGTN", 2, False),
        ("ACGTN", 3, True),
    ],
)
def test_windows_with_an_n_beside_the_site_are_counted(sequence: str, offset: int, beside: bool) -> None:
    ref = sequence[offset]
    kept = variant_rows(rows((offset, ref, "ACGT"[("ACGT".index(ref) + 1) % 4]), sequence=sequence))
    assert kept.notes == (["v.csv: 1 variants with an N next to them"] if beside else [])


def test_insertions_and_deletions_are_moved_and_keep_what_was_given() -> None:
    kept = variant_rows(rows((5, "CA", ""), (0, "G", "T"), (7, "", "GG"), sequence="GCACACAT"))
    assert kept.columns["offset"] == [0, 0, 7]
    assert kept.columns["ref"] == ["GCA", "G", ""]
    assert kept.columns["alt"] == ["G", "T", "GG"]
    assert kept.columns["given_variant"] == ["5 CA ", "0 G T", "7  GG"]
    assert kept.notes == [
        "v.csv: 2 insertions or deletions",
        "v.csv: 1 insertions or deletions that are moved to where they stand leftmost",
    ]
    extras = variant_extras(kept)
    assert extras["given_variant"].tolist() == kept.columns["given_variant"]
    assert (extras["offset"].dtype, extras["offset"].tolist()) == (np.int64, [0, 0, 7])
    table = SequenceTable(kept.columns["sequence"], np.zeros(3), np.arange(3), extra=extras)
    assert [alternative(table, row) for row in range(3)] == ["GCACAT", "TCACACAT", "GCACACAGGT"]
    assert "given_variant" not in variant_extras(variant_rows(rows((0, "A", "C"))))


def genome(folder: Path) -> GenomeWindows:
    path = folder / "g.fa"
    path.write_text(">chr1\nTGCACACATGGGGATCA\n")
    return GenomeWindows(path, 3, folder / "cache")


def test_windows_are_cut_around_places_that_count_from_one(tmp_path: Path) -> None:
    table = raw(
        chrom=["1", "chr1", "1", "2", "1", "1", "1"],
        pos=[1, 9, "17", 5, 18, 7, 13],
        ref=["T", "T", "A", "A", "A", "CA", "G"],
        alt=["A", "C", "C", "C", "C", "", ""],
    )
    kept = variant_rows(table, genome(tmp_path))
    assert kept.columns["offset"] == [0, 3, 3, 1, 3]
    assert (kept.columns["ref"], kept.columns["alt"]) == (["T", "T", "A", "GCA", "TG"], ["A", "C", "C", "G", "T"])
    assert kept.columns["start"] == [0, 5, 13, 0, 5]
    text = "TGCACACATGGGGATCA"
    for window, start, end in zip(kept.columns["sequence"], kept.columns["start"], kept.columns["end"], strict=True):
        assert window == text[start:end]
    assert kept.columns["end"] == [4, 12, 17, 7, 13]
    assert kept.columns["given_variant"] == ["0 T A", "3 T C", "3 A C", "6 CA ", "7 G "]
    assert kept.notes == [
        "v.csv: 2 of 7 variants are left out: 2 which lie in no sequence of the genome (first: row 5 (the header is row 1))",
        "v.csv: 2 windows that a contig's end cuts short",
        "v.csv: 2 insertions or deletions",
        "v.csv: 2 insertions or deletions that are moved to where they stand leftmost",
    ]


def test_windows_with_a_place_have_coordinates() -> None:
    table = rows((2, "G", "C"), (0, "A", "C"))
    table.columns |= {"chrom": ["chr3", "4"], "pos": [103, "1"]}
    kept = variant_rows(table)
    assert (kept.columns["start"], kept.columns["end"]) == ([100, 0], [108, 8])
    table.columns["pos"] = [103, "0"]
    assert "start" not in variant_rows(table).columns  # one of them would begin before its contig
    del table.columns["pos"]
    assert "start" not in variant_rows(table).columns


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            raw(offset=[1], ref=["A"], alt=["C"]),
            "v.csv: a column offset counts from the start of a sequence; add a column sequence",
        ),
        (raw(pos=[1], ref=["A"], alt=["C"]), "v.csv: variants with a column pos need a column chrom"),
        (
            raw(position=[1], chrom=["1"], ref=["A"], alt=["C"]),
            "v.csv: variants with chrom and position are windows of a genome; give it with --fasta, or add columns sequence and offset",
        ),
        (rows((0, "A", "C"), ("x", "A", "C")), "v.csv, row 3 (the header is row 1): offset 'x' is no whole number"),
        (rows((0, "A", "C"), (-1, "A", "C")), "v.csv, row 3 (the header is row 1): offset '-1' is no whole number"),
        (rows((10**12, "A", "C")), "v.csv, row 2 (the header is row 1): offset '1000000000000' is no whole number"),
        (
            rows((10**11, "A", "C")),
            "v.csv: none of its 1 variants can be scored: 1 whose offset lies outside the sequence (first: row 2 (the header is row 1))",
        ),
        (
            raw(sequence=["AC", " ", "AC", ""], offset=[0] * 4, ref=["A"] * 4, alt=["C"] * 4),
            "v.csv, row 3 (the header is row 1): the row has no sequence",
        ),
        (
            raw(seq=["AC", "AC", "AJ"], offset=[0] * 3, ref=["A"] * 3, alt=["C"] * 3),
            "v.csv, row 4 (the header is row 1): position 2 is 'J'; only A, C, G, T, U and IUPAC codes are read",
        ),
    ],
)
def test_a_table_that_holds_no_places_is_refused(table: RawTable, message: str) -> None:
    found = refusal(lambda: variant_rows(table))
    assert found == message or ("'J'" in message and found.startswith(message[:50]))


def test_what_variants_belong_to_is_the_first_column_that_names_it() -> None:
    names = raw(consequence=["x"], gene=["g"], group=["z"], offset=[0], ref=["A"], alt=["C"])
    assert element_names(names)["element"].tolist() == ["g"]
    assert variant_extras(names)["element"].tolist() == ["g"]
    by_group = raw(group=[7.0], offset=[0], ref=["A"], alt=["C"])
    assert element_names(by_group) == {}
    assert variant_extras(by_group)["element"].tolist() == ["7"]
    assert "element" not in variant_extras(raw(offset=[0], ref=["A"], alt=["C"]))


@pytest.mark.parametrize("name", ["tss_dist", "tss_distance", "distance_to_nearest_tss", "distance_to_tss"])
def test_distances_to_the_start_of_transcription_are_numbers_or_missing(name: str) -> None:
    table = raw(**{name: [5, "", "-2.5"]}, offset=[0] * 3, ref=["A"] * 3, alt=["C"] * 3)
    np.testing.assert_array_equal(variant_extras(table)["tss_distance"], [5.0, np.nan, -2.5])
    table.columns[name] = [1, "far", "x"]
    assert (
        refusal(lambda: variant_extras(table))
        == f"v.csv, row 3 (the header is row 1): {name} 'far' is no number of bases"
    )
