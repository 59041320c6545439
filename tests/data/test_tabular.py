"""What the columns of a table mean: labels, ids, coordinates and missing values, and every sentence about what is none of these."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from toy import refusal

from findna_bench.data.tabular import (
    RawTable,
    cell_text,
    contig_name,
    coordinates,
    is_missing,
    is_number,
    label_indices,
    label_text,
    label_texts,
    no_column,
    row_ids,
    rows_to_table,
)


def raw(first_row: int = 2, **columns: list[Any]) -> RawTable:
    return RawTable("t.csv", columns, first_row)


def test_rows_are_counted_as_their_file_counts_them() -> None:
    assert raw(a=[0]).where(15) == "t.csv, row 17 (the header is row 1)"
    assert raw(1, a=[0]).where(15) == "t.csv, row 16 (counted from 1)"
    assert RawTable("t", {}, named=lambda row: f"record {row}").where(3) == "record 3"
    assert len(RawTable("t", {})) == 0
    chosen = raw(a=[5, 6, 7, 8]).take([3, 1])
    assert (chosen.columns, chosen.where(0), chosen.where(1)) == (
        {"a": [8, 6]},
        "t.csv, row 5 (the header is row 1)",
        "t.csv, row 3 (the header is row 1)",
    )


def test_files_of_one_split_keep_their_own_row_numbers() -> None:
    one, two, three = (
        RawTable(name, {"a": [name, name], "b": [1, 2]}, notes=[f"note of {name}"]) for name in ("x", "y", "z")
    )
    assert RawTable.joined([one]) is one
    both = RawTable.joined([one, two, three])
    assert both.columns == {"a": ["x", "x", "y", "y", "z", "z"], "b": [1, 2, 1, 2, 1, 2]}
    assert [both.where(row) for row in (0, 3, 4)] == [
        "x, row 1 (counted from 1)",
        "y, row 2 (counted from 1)",
        "z, row 1 (counted from 1)",
    ]
    assert (both.origin, both.notes) == ("x", ["note of x", "note of y", "note of z"])
    other = RawTable("w", {"a": [1], "d": [1], "c": [1]})
    assert refusal(lambda: RawTable.joined([one, other])) == "w: not the columns of x (b is in one of them only)"
    assert refusal(lambda: RawTable.joined([one, two, other])) == "w: not the columns of x (b is in one of them only)"


@pytest.mark.parametrize(
    ("value", "text", "missing"),
    [
        (None, "", True),
        ("", "", True),
        ("  ", "", True),
        (" NaN ", "NaN", True),
        (float("nan"), "nan", True),
        ("#N/A N/A", "#N/A N/A", True),
        ("-1.#QNAN", "-1.#QNAN", True),
        ("-1.#IND", "-1.#IND", True),
        ("#VALUE!", "#VALUE!", True),
        ("NAT", "NAT", True),
        ("nano", "nano", False),
        ("none at all", "none at all", False),
        (0, "0", False),
        (b" ACGT ", "ACGT", False),
        (b"\xff", "\\xff", False),
    ],
)
def test_a_cell_is_its_text_and_some_texts_are_no_value(value: Any, text: str, missing: bool) -> None:
    assert cell_text(value) == text
    assert is_missing(value) is missing


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        *((text, True) for text in ("0", "-1", "+2", "3.", ".5", "1.5", "1e5", "1E-5", "-.5e+05", "007")),
        *((text, False) for text in ("", ".", "-", "e5", "1e", "1,5", "0x1", "1 2", "nan", "inf", "--1", "1.2.3")),
    ],
)
def test_numbers_are_told_from_names(text: str, is_one: bool) -> None:
    assert is_number(text) is is_one


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        ("NA", ""),
        (True, "1"),
        (False, "0"),
        (np.True_, "True"),
        (3, "3"),
        (3.0, "3"),
        (3.5, "3.5"),
        (float("inf"), "inf"),
        ("3.0", "3"),
        ("3.", "3"),
        ("3.50", "3.50"),
        ("+3", "3"),
        ("+3.0", "3"),
        ("+3.5", "+3.5"),
        ("-3.0", "-3"),
        ("+x", "+x"),
        ("\N{MINUS SIGN}3", "-3"),
        ("\N{MINUS SIGN}3.0", "-3"),
        ("\N{MINUS SIGN}x", "\N{MINUS SIGN}x"),
        (" a.b ", "a.b"),
        ("007", "007"),
    ],
)
def test_a_label_is_whole_numbers_without_a_point_and_else_its_text(value: Any, text: str) -> None:
    assert label_text(value) == text


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("chr1", "1"),
        ("CHRX", "X"),
        ("1", "1"),
        (" chr2 ", "2"),
        ("chr", "chr"),
        ("chrM", "MT"),
        ("M", "MT"),
        ("MT", "MT"),
        ("m", "m"),
        ("chromosome1", "omosome1"),
        ("scaffold_3", "scaffold_3"),
    ],
)
def test_contigs_are_named_without_chr(name: str, bare: str) -> None:
    assert contig_name(name) == bare


def test_numbers_are_named_by_another_column_only_where_it_maps_one_to_one_to_names() -> None:
    numbers = [0, "1.0", "0", 1]
    assert label_texts(raw(label=numbers)) == (["0", "1", "0", "1"], None)
    assert label_texts(raw(label=numbers, **{"class": ["a", "b", "a", "b"]})) == (
        ["0", "1", "0", "1"],
        {"0": "a", "1": "b"},
    )
    for other in (["a", "b", "c", "b"], ["a", "a", "a", "a"], ["a", "", "a", ""], ["a", "1", "a", "1"]):
        assert label_texts(raw(label=numbers, **{"class": other})) == (["0", "1", "0", "1"], None)
    third = raw(label=numbers, **{"class": ["a", "a", "a", "a"], "target": ["n", "p", "n", "p"]})
    assert label_texts(third)[1] == {"0": "n", "1": "p"}
    assert label_texts(raw(label=["x", "1", "x", "1"], **{"class": ["a", "b", "a", "b"]}))[1] is None
    assert label_texts(raw(labels=["1e+05", "1E3", "1e-1", "1e15", "1e16", "ex"]))[0] == [
        "100000",
        "1000",
        "1e-1",
        "1e15",
        "1e16",
        "ex",
    ]
    assert label_texts(raw(labels=["9e14"]))[0] == ["900000000000000"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": [1]}, "t.csv: no column label or class among x; rename one"),
        (
            {"label": ["a", "b", ["a"], ("b",)]},
            "t.csv, row 4 (the header is row 1): label is a list of several values; give one class per row",
        ),
        (
            {"class": ["a", {"b": 1}]},
            "t.csv, row 3 (the header is row 1): class is a list of several values; give one class per row",
        ),
        (
            {"label": ["a", "b\nc", "b\rc"]},
            "t.csv, row 3 (the header is row 1): label holds a line break; a quote may stand where none belongs",
        ),
        (
            {"target": ["a", "b\rc", "z\nz", "a\nb"]},
            "t.csv, row 3 (the header is row 1): target holds a line break; a quote may stand where none belongs",
        ),
        ({"label": ["a", "b", "", None]}, "t.csv, row 4 (the header is row 1): the row has no label"),
    ],
)
def test_labels_that_are_none_are_refused_by_row(columns: dict[str, list[Any]], message: str) -> None:
    assert refusal(lambda: label_texts(raw(**columns))) == message


def test_labels_are_found_among_the_card_s_by_name_or_number() -> None:
    card = ("neg", "pos", "mid")
    assert label_indices(raw(label=["pos", "neg", "mid"]), card).tolist() == [1, 0, 2]
    found = label_indices(raw(label=["2", 0, 1.0]), card)
    assert (found.tolist(), found.dtype) == ([2, 0, 1], np.int64)
    named = raw(label=[1, 0, 1], **{"class": ["neg", "pos", "neg"]})
    assert label_indices(named, card).tolist() == [0, 1, 0]  # names decide, not numbers
    foreign = raw(label=[1, 0, 1], **{"class": ["x", "pos", "x"]})
    assert label_indices(foreign, card).tolist() == [1, 0, 1]
    own = RawTable("t", {"label": [0, 1, 2]}, class_names={"label": ["mid", "pos", "neg"]})
    assert label_indices(own, card).tolist() == [2, 1, 0]
    stranger = RawTable("t", {"label": [0]}, class_names={"label": ["mid", "x", "y"]})
    assert (
        refusal(lambda: label_indices(stranger, card)) == "t: its label 'x' is not in the card's labels (neg, pos, mid)"
    )
    assert (
        refusal(lambda: label_indices(raw(label=["pos", "x", "neg", "y"]), card))
        == "t.csv, row 3 (the header is row 1): label 'x' is not in the card's labels (neg, pos, mid)"
    )
    assert (
        refusal(lambda: label_indices(raw(label=["0", "1", "3", "neg"]), card))
        == "t.csv, row 4 (the header is row 1): label '3' is not in the card's labels (neg, pos, mid)"
    )


def test_ids_are_the_file_s_own_where_they_tell_rows_apart() -> None:
    labels, truth = ("neg", "pos"), np.array([0, 1, 1])
    assert row_ids(raw(id=["a", 2.0, "c"]), truth, labels).tolist() == ["a", "2", "c"]
    assert row_ids(raw(name=["a", "b", "c"], id=["x", "y", "z"]), truth, labels).tolist() == ["x", "y", "z"]
    assert row_ids(raw(id=["a", "a", "c"]), truth, labels).tolist() == ["neg/a", "pos/a", "pos/c"]
    assert row_ids(raw(id=["a", "c", "c"]), truth, labels).tolist() == ["0", "1", "2"]
    assert row_ids(raw(id=["a", None, "c"]), truth, labels).tolist() == ["0", "1", "2"]
    assert row_ids(raw(x=[1, 2, 3]), truth, labels).tolist() == ["0", "1", "2"]
    values = np.array([[0.5], [1.5], [2.5]])
    assert row_ids(raw(id=["a", "a", "c"]), values, ("value",)).tolist() == ["0", "1", "2"]
    assert row_ids(raw(id=["a", "b", "c"]), values, ("value",)).tolist() == ["a", "b", "c"]
    splits = ["train", "test", "train"]
    assert row_ids(raw(id=["a", "a", "c"]), truth, labels, splits).tolist() == ["a", "a", "c"]
    assert row_ids(raw(id=["a", "b", "a"]), truth, labels, splits).tolist() == ["neg/a", "pos/b", "pos/a"]
    some = raw(x=[1, 2, 3])
    some.numbers = [4, 6, 9]
    assert row_ids(some, truth, labels).tolist() == ["4", "6", "9"]


def test_rows_become_a_table_of_dna() -> None:
    table = rows_to_table(
        raw(seq=["acgT", "ACGU", "nn"], label=["b", "a", "b"], group=["g", 1, "g"], text=["x", "y", "z"]), ("a", "b")
    )
    assert table.sequences == ["ACGT", "ACGT", "NN"]
    assert (table.labels.tolist(), table.ids.tolist()) == ([1, 0, 1], ["0", "1", "2"])
    assert table.group is not None
    assert table.group.tolist() == ["g", "1", "g"]
    assert table.lower is not None
    assert (table.contig, table.start, table.end, table.strand) == (None, None, None, None)
    truth = np.array([[1.0], [2.0]])
    sides = rows_to_table(raw(sequence_a=["AC", "GG"], sequence=["T", "T"]), ("value",), truth, "sequence_a")
    assert (sides.sequences, sides.labels.tolist(), sides.group) == (["AC", "GG"], [[1.0], [2.0]], None)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"dna": ["A"], "label": ["a"]}, "t.csv: no column sequence, seq, text among dna, label; rename one"),
        ({}, "t.csv: no column sequence, seq, text among none; rename one"),
        ({"seq": [], "label": []}, "t.csv has a header and no rows"),
        ({"seq": ["A", "C"], "label": ["a", "x"]}, "t.csv, row 3 (the header is row 1): label 'x' is not in the card's labels (a, b)"),
        ({"seq": ["A", "", "NA"], "label": ["a", "b", "a"]}, "t.csv, row 3 (the header is row 1): the row has no seq"),
    ],
)  # fmt: skip
def test_rows_that_are_no_labelled_dna_are_refused(columns: dict[str, list[Any]], message: str) -> None:
    assert refusal(lambda: rows_to_table(raw(**columns), ("a", "b"))) == message


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["'sequence'", "label"], "t.csv: no column x among 'sequence', label; its names stand in single quotes: use double ones, or none"),
        (["'sequence", "label"], "t.csv: no column x among 'sequence, label; rename one"),
        (
            ["acgtunac", "0"],
            "t.csv: its first row holds a sequence where the names of the columns are expected; put a row above it (for a csv: sequence,label)",
        ),
        (["acgtuna", "0"], "t.csv: no column x among acgtuna, 0; rename one"),
        (["acgtxacgt", "0"], "t.csv: no column x among acgtxacgt, 0; rename one"),
    ],
)  # fmt: skip
def test_a_header_that_is_none_is_explained(names: list[str], message: str) -> None:
    assert str(no_column(raw(**{name: [1] for name in names}), "x")) == message


def test_coordinates_are_read_where_they_make_sense_and_counted_where_not() -> None:
    table = raw(
        chrom=["chr1", "chrM", "2", "2", "", "3", "3", "3", "3", None],
        start=[0, 5, "7", "1e3", "", 5, "", 10**15, "-1", None],
        end=[1, 5, "9.0", "1e+05", "", 9, 9, 10**15 + 1, "4", None],
        strand=["+", "-", "-1", "*", "", "up", "+", "+", "+", None],
    )
    contig, start, end, strand = coordinates(table)
    assert contig is not None
    assert start is not None
    assert end is not None
    assert strand is not None
    assert contig.tolist() == ["1", "", "2", "2", "", "", "", "", "", ""]
    assert start.tolist() == [0, 0, 7, 1000, 0, 0, 0, 0, 0, 0]
    assert end.tolist() == [1, 0, 9, 100_000, 0, 0, 0, 0, 0, 0]
    assert strand.tolist() == ["+", "", "-", "", "", "", "", "", "", ""]
    assert table.notes == [
        "t.csv: coordinates of 5 of 10 rows make no sense and are ignored (first: row 3 (the header is row 1))"
    ]


@pytest.mark.parametrize("name", ["contig", "chrom", "chromosome", "chr", "region", "region_name"])
def test_the_contig_has_several_names(name: str) -> None:
    columns = {name: ["1"], "start": [3], "end": [4]}
    found = coordinates(raw(**columns))
    assert [None if values is None else values.tolist() for values in found] == [["1"], [3], [4], [""]]
    for without in columns:
        assert coordinates(raw(**{key: values for key, values in columns.items() if key != without})) == (None,) * 4


@pytest.mark.parametrize("name", ["contigs", "chroms", "regions", "ch", "xchr"])
def test_other_columns_are_no_contig(name: str) -> None:
    assert coordinates(raw(**{name: ["1"], "start": [3], "end": [4]})) == (None,) * 4


def test_a_table_without_a_sensible_place_has_none_and_says_so() -> None:
    table = raw(chrom=["1", "1"], start=[5, 6], end=[5, 2])
    assert coordinates(table) == (None, None, None, None)
    assert table.notes == [
        "t.csv: coordinates of 2 of 2 rows make no sense and are ignored (first: row 2 (the header is row 1))"
    ]
