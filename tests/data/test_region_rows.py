"""Regions, windows and places of a genome: every bound at, below and above, and what is said of each, in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy import refusal

from findna_bench.data.bed_files import array_columns, is_bed, label_lists, read_bed
from findna_bench.data.genome_windows import GenomeWindows
from findna_bench.data.left_alignment import left_aligned
from findna_bench.data.regions import holds_regions, region_rows
from findna_bench.data.tabular import RawTable

CONTIG = "ACGTTGCAAC"  # ten bases
OTHER = "GGGCCCATAT" * 120


def raw(**columns: list[Any]) -> RawTable:
    return RawTable("r.tsv", columns, 2)


def windows(folder: Path, flank: int | None = None) -> GenomeWindows:
    path = folder / "g.fa"
    path.write_text(f">1\n{CONTIG}\n>chr2\n{OTHER}\n")
    return GenomeWindows(path, flank, folder / "cache")


def places(*rows: tuple[Any, ...], names: str = "chrom start end strand") -> RawTable:
    return raw(**{name: list(values) for name, values in zip(names.split(), zip(*rows, strict=True), strict=False)})


def test_regions_are_cut_to_the_base_on_their_strand(tmp_path: Path) -> None:
    table = places(("1", 0, 10, "+"), ("1", 2, 5, "-"), ("1", 9, 10, "."), ("1", 0, 1, "-1"))
    cut = region_rows(table, windows(tmp_path))
    assert cut.columns["sequence"] == ["ACGTTGCAAC", "AAC", "C", "T"]
    assert (cut.columns["start"], cut.columns["end"]) == ([0, 2, 9, 0], [10, 5, 10, 1])
    assert cut.notes == ["r.tsv: 2 of 4 rows are on strand - and read as its reverse complement"]
    assert (cut.where(1), cut.numbers, "sequence" in table.columns) == (
        "r.tsv, row 3 (the header is row 1)",
        None,
        False,
    )
    plain = region_rows(places(("1", 3, 6)), windows(tmp_path))
    assert (plain.columns["sequence"], plain.notes) == (["TTG"], [])


@pytest.mark.parametrize(
    ("region", "sequence", "start", "end", "short"),
    [
        (("1", 2, 8, "+"), "ACGTTGCAAC", 0, 10, False),
        (("1", 1, 8, "+"), "ACGTTGCAAC", 0, 10, True),
        (("1", 2, 9, "+"), "ACGTTGCAAC", 0, 10, True),
        (("1", 4, 5, "-"), "GCAAC", 2, 7, False),
    ],
)
def test_flanks_are_cut_short_where_the_contig_ends(
    region: tuple[Any, ...], sequence: str, start: int, end: int, short: bool, tmp_path: Path
) -> None:
    cut = region_rows(places(region), windows(tmp_path, 2))
    assert (cut.columns["sequence"], cut.columns["start"], cut.columns["end"]) == ([sequence], [start], [end])
    assert any("windows that a contig's end cuts short" in note for note in cut.notes) is short


def test_what_was_done_to_regions_is_counted(tmp_path: Path) -> None:
    table = places(("chr1", 0, 4, "-"), ("chr1", 5, 10, "+"), ("1", 4, 6, "-"), ("2", 4, 6, "*"))
    table.notes.append("as before")
    table.numbers = [3, 5, 7, 9]
    cut = region_rows(table, windows(tmp_path, 3))
    assert cut.notes == [
        "as before",
        "r.tsv: contigs are named otherwise than in g.fa (chr1 is 1 there)",
        "r.tsv: 2 of 4 rows are on strand - and read as its reverse complement",
        "r.tsv: 2 windows that a contig's end cuts short",
    ]
    assert cut.numbers == [3, 5, 7, 9]


def test_states_of_bases_are_turned_with_their_row(tmp_path: Path) -> None:
    table = raw(chrom=["1", "1"], start=[0, 0], end=[3, 3], strand=["+", "-"], states=["012", "012"])
    assert region_rows(table, windows(tmp_path)).columns["states"] == ["012", "210"]
    assert (
        refusal(lambda: region_rows(table, windows(tmp_path, 1)))
        == "r.tsv: --flank has no meaning for states of bases, which its rows have for the regions alone"
    )


FINE = ("1", 0, 4, "+")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([FINE, ("1", "x", 4, "+")], "r.tsv, row 3 (the header is row 1): start 'x' is no whole number"),
        ([FINE, ("1", 1, "4.5", "+")], "r.tsv, row 3 (the header is row 1): end '4.5' is no whole number"),
        ([FINE, FINE, ("1", 1, 4, "up"), ("1", 1, 4, "x")], "r.tsv, row 4 (the header is row 1): strand 'up' is none of +, - and ."),
        (
            [FINE, ("1", 4, 4, "+"), ("1", 5, 2, "+")],
            "r.tsv, row 3 (the header is row 1): 4 to 4 is no region, as in 2 of 3 rows; end comes after start",
        ),
        (
            [FINE, ("9", 0, 4, "+"), ("8", 0, 4, "+"), FINE],
            "r.tsv, row 3 (the header is row 1): g.fa has no contig '9' (it has 1, chr2), with or without chr, as in 2 of 4 rows; "
            "give the genome of the regions' assembly",
        ),
        (
            [FINE, ("1", 0, 10, "+"), ("chr1", 3, 11, "+"), ("2", 1199, 1201, "+")],
            "r.tsv, row 4 (the header is row 1): chr1:3-11 lies outside chr1, which has 10 bases in g.fa, as in 2 of 4 rows; "
            "give the genome of the regions' assembly",
        ),
        (
            [("2", 1199, 1201, "+")],
            "r.tsv, row 2 (the header is row 1): 2:1199-1201 lies outside 2, which has 1,200 bases in g.fa, as in 1 of 1 rows; "
            "give the genome of the regions' assembly",
        ),
    ],
)  # fmt: skip
def test_what_is_no_region_of_the_genome_is_refused_by_row(
    rows: list[tuple[Any, ...]], message: str, tmp_path: Path
) -> None:
    assert refusal(lambda: region_rows(places(*rows), windows(tmp_path))) == message


def test_five_contigs_of_a_genome_are_named(tmp_path: Path) -> None:
    (tmp_path / "h.fa").write_text("".join(f">c{number}\nACGT\n" for number in range(7)))
    genome = GenomeWindows(tmp_path / "h.fa", None, tmp_path / "cache")
    assert "(it has c0, c1, c2, c3, c4), with" in refusal(lambda: region_rows(places(FINE), genome))
    assert (
        refusal(lambda: region_rows(places(FINE), None))
        == "r.tsv: its rows are regions of a genome; give it with --fasta, or add a column sequence"
    )
    missing = tmp_path / "none.fa"
    assert refusal(lambda: GenomeWindows(missing, None, tmp_path)) == f"--fasta {missing}: there is no such file"


def test_tables_of_regions_are_told_by_their_columns() -> None:
    assert holds_regions(places(FINE))
    for name in ("chrom", "start", "end"):
        assert not holds_regions(raw(**{key: [1] for key in ("chrom", "start", "end") if key != name}))
    assert not holds_regions(raw(chrom=[1], start=[1], end=[1], seq=["A"]))


@pytest.mark.parametrize(
    ("position", "length", "window"),
    [
        (0, 1, ("ACGT", 0, True)),
        (2, 1, ("ACGTTG", 0, True)),
        (3, 1, ("ACGTTGC", 0, False)),
        (6, 1, ("TTGCAAC", 3, False)),
        (7, 1, ("TGCAAC", 4, True)),
        (4, 2, ("CGTTGCAA", 1, False)),
        (9, 1, ("CAAC", 6, True)),
        (8, 2, ("GCAAC", 5, True)),
        (9, 2, None),
        (9, 0, ("CAAC", 6, True)),
        (10, 0, None),
        (-1, 1, None),
    ],
)
def test_windows_are_as_wide_on_either_side_as_the_contig_allows(
    position: int, length: int, window: tuple[str, int, bool] | None, tmp_path: Path
) -> None:
    genome = windows(tmp_path, 3)
    assert genome.window("1", position, length) == window
    assert genome.window("chr1", position, length) == window
    assert genome.window("3", position, length) is None


def test_a_genome_answers_by_either_name_of_a_contig(tmp_path: Path) -> None:
    genome = windows(tmp_path)
    assert [genome.base("1", place) for place in (-1, 0, 9, 10)] == ["", "A", "C", ""]
    assert (genome.base("chr1", 2), genome.base("7", 0)) == ("G", "")
    assert (genome.length("2"), genome.length("chr2"), genome.length("7")) == (1200, 1200, None)
    assert (genome.own_name("2"), genome.own_name("7"), genome.own_name("7")) == ("chr2", None, None)
    assert genome.region("2", 0, 4, "-") == "GCCC"
    assert (genome.flank, genome.region_flank) == (256, 0)
    assert (windows(tmp_path, 0).flank, windows(tmp_path, 7).region_flank) == (0, 7)


@pytest.mark.parametrize(
    ("sequence", "variant", "moved"),
    [
        ("GCACACAT", (5, "CA", ""), (0, "GCA", "G")),
        ("CACACAT", (4, "CA", ""), (0, "CA", "")),
        ("NCACACAT", (5, "CA", ""), (1, "CA", "")),
        ("GAAAT", (4, "", "A"), (0, "G", "GA")),
        ("AAAT", (3, "", "A"), (0, "", "A")),
        ("GAAAT", (2, "AA", "A"), (0, "GA", "G")),
        ("GAAAT", (0, "GA", "G"), (0, "GA", "G")),
        ("GACT", (1, "A", ""), (1, "A", "")),
        ("GACT", (1, "AC", "TG"), (1, "AC", "TG")),
        ("GACT", (1, "AC", "T"), (1, "AC", "T")),
        ("GACT", (1, "A", "A"), (1, "A", "A")),
        ("TGGGGC", (3, "GGC", "GC"), (0, "TG", "T")),
        ("TGGGGC", (1, "GG", "GGG"), (1, "GG", "GGG")),
        ("TACAC", (3, "", "AC"), (0, "T", "TAC")),
        ("TACAC", (4, "", "CA"), (0, "T", "TAC")),
    ],
)
def test_insertions_and_deletions_stand_leftmost(
    sequence: str, variant: tuple[int, str, str], moved: tuple[int, str, str]
) -> None:
    place, ref, alt = moved
    assert left_aligned(lambda at: sequence[at : at + 1], *variant) == moved
    given, before, after = variant
    assert (
        sequence[:place] + alt + sequence[place + len(ref) :]
        == sequence[:given] + after + sequence[given + len(before) :]
    )


def test_cells_of_several_numbers_are_several_labels() -> None:
    table = raw(label=["0, 2", "", "1", None, 3.0], other=list("abcde"))
    assert label_lists(table) == {
        "other": list("abcde"),
        "label_0": [1, 0, 0, 0, 0],
        "label_1": [0, 0, 1, 0, 0],
        "label_2": [1, 0, 0, 0, 0],
        "label_3": [0, 0, 0, 0, 1],
    }
    single = raw(label=["0", "1"])
    assert label_lists(single) == single.columns
    assert label_lists(single, always=True) == {"label_0": [1, 0], "label_1": [0, 1]}
    assert label_lists(raw(label=["", ""]), always=True) == {"label_0": [0, 0]}
    assert list(label_lists(single, always=True, n_labels=3)) == ["label_0", "label_1", "label_2"]
    assert list(label_lists(single, always=True, n_labels=2)) == ["label_0", "label_1"]
    assert (
        refusal(lambda: label_lists(raw(label=["0", "2,0", "2"]), n_labels=2))
        == "r.tsv, row 3 (the header is row 1): label 2 is none of 0 to 1"
    )
    for wrong in ("1,", "1;2", "a,1", "1,,2"):
        found = refusal(lambda wrong=wrong: label_lists(raw(label=["0,1", wrong])))  # type: ignore[misc]
        assert found == f"r.tsv, row 3 (the header is row 1): label {wrong!r} is no list of numbers separated by commas"


def objects(*rows: list[Any]) -> np.ndarray:
    found = np.empty(len(rows), dtype=object)
    for number, row in enumerate(rows):
        found[number] = np.array(row)
    return found


THREE = raw(chrom=["1"] * 3, start=[0, 2, 4], end=[4, 6, "8.0"])


@pytest.mark.parametrize(
    ("array", "target", "columns"),
    [
        (np.array([0, 1, 2]), None, {"label": [0, 1, 2]}),
        (np.array([0.0, 1.0, 2.5]), None, {"value": [0.0, 1.0, 2.5]}),
        (np.array([0.0, 1.0, 2.0]), "classes", {"label": [0.0, 1.0, 2.0]}),
        (np.array([[0.5], [1], [2]]), None, {"value": [0.5, 1.0, 2.0]}),
        (np.array([[1, 2], [3, 4], [5, 6]]), "values", {"value_0": [1, 3, 5], "value_1": [2, 4, 6]}),
        (np.array([[1.5, 2], [3, 4], [5, 6]]), None, {"value_0": [1.5, 3.0, 5.0], "value_1": [2.0, 4.0, 6.0]}),
        (np.array([[0, 1], [1, 1], [0, 0]]), None, {"label_0": [0, 1, 0], "label_1": [1, 1, 0]}),
        (np.array([[0.0, 1], [1, 1], [0, 0]]), "labels", {"label_0": [0.0, 1.0, 0.0], "label_1": [1.0, 1.0, 0.0]}),
        (np.array([[0, 1, 2, 3], [10, 35, 36, 61], [-1, 0, -1, 1]]), None, {"states": ["0123", "AZaz", ".0.1"]}),
        (np.array([[0, 1], [1, 1], [0, -100]]), "per_base", {"states": ["0011", "1111", "0000"]}),
        (np.array([[0, 1, 0, 1], [1, 1, -100, -100], [0, 0, 0, -100]]), "labels", None),
        (np.array([[0.0, 1.0], [1, 1], [2, 0]]), "per_base", {"states": ["0011", "1111", "2200"]}),
        (objects([0, 1, 2, 3], [3, 2, 1, 0], [0, 0, 0, 1]), None, {"states": ["0123", "3210", "0001"]}),
        (objects([True, False, True, True], [1, 0, 1, 0], [0, 0, 0, 1]), None, {"states": ["1011", "1010", "0001"]}),
    ],
)
def test_an_array_of_labels_says_what_it_holds(
    array: np.ndarray, target: str | None, columns: dict[str, list[Any]] | None
) -> None:
    if columns is None:
        assert "neither labels of 0 and 1" in refusal(lambda: array_columns(THREE, array, Path("a.h5"), target))
    else:
        assert array_columns(THREE, array, Path("a.h5"), target) == columns


@pytest.mark.parametrize(
    ("array", "target", "message"),
    [
        (np.arange(2), None, "a.h5: its array labels has 2 rows, r.tsv has 3; they belong together row by row"),
        (objects([0] * 4, [0] * 3, [0]), None, "a.h5, row 1: 3 labels for 4 bases; rows of states are as long as their regions"),
        (np.zeros((3, 2, 2)), None, "a.h5, row 0: shape (3, 2, 2); rows of states are as long as their regions"),
        (np.arange(3), "per_base", "a.h5: an array with one number per row holds no states of bases"),
        (
            np.array([[0, 1, 2], [1, 1, 1], [2, 2, 2]]),
            None,
            "a.h5: an array (3, 3) of whole numbers is neither labels of 0 and 1 nor states of 4 bases; say what it is with --target",
        ),
        (
            np.array([[0, 1], [1, 1], [-100, -100]]),
            "per_base",
            "a.h5, row 2: 0 labels for the 4 bases of r.tsv, row 4 (the header is row 1); give one per base, or one per bin of equal numbers of bases",
        ),
        (
            objects([0, 1], [1, 1, 1], [1]),
            "per_base",
            "a.h5, row 1: 3 labels for the 4 bases of r.tsv, row 3 (the header is row 1); give one per base, or one per bin of equal numbers of bases",
        ),
        (np.array([[0.0, 1], [1.5, 2.5], [0, 0]]), "per_base", "a.h5, row 1: states of bases are whole numbers, and one is 1.5"),
        (np.array([[0, 1], [1, 62], [0, 63]]), "per_base", "a.h5, row 1: state 62; 0 to 61 are read"),
    ],
)  # fmt: skip
def test_an_array_that_does_not_fit_its_rows_is_refused(array: np.ndarray, target: str | None, message: str) -> None:
    assert refusal(lambda: array_columns(THREE, array, Path("a.h5"), target)) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\t0\t5\tx\ty\n", "its first row is no header with chromosome, start and end (1, 0, 5, x); put one above it"),
        ("chrom\tstart\tlast\n1\t2\t3\n", "its first row is no header with chromosome, start and end (chrom, start, last); put one above it"),
        ("name\tstart\tend\n1\t2\t3\n", "its first row is no header with chromosome, start and end (name, start, end); put one above it"),
        ("chrom\tstart\tend\n", " has a header and no rows"),
        ("chrom\tstart\tend\tref\talt\n1\t2\t3\tA\tC\n1\tx\t3\tA\tC\n", ", row 3 (the header is row 1): start 'x' is no whole number"),
    ],
)  # fmt: skip
def test_a_bed_without_a_header_or_rows_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.bed"
    path.write_text(text)
    assert refusal(lambda: read_bed(path)) == f"{path}{': ' if message.startswith('its') else ''}{message}"


def test_a_bed_is_read_with_the_labels_beside_it(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="HDF5 files are read by h5py (findna-bench[hdf5])")
    path = tmp_path / "x.bed"
    path.write_text("#chrom\tstart\tend\tlabel\n1\t0\t4\t0,1\n1\t4\t8\t\n")
    assert [is_bed(name) for name in ("x.bed", "X.BED.GZ", "x.bed.txt")] == [True, True, False]
    assert read_bed(path).columns["label_1"] == [1, 0]
    assert read_bed(path, "classes").columns["label"] == ["0,1", ""]
    path.write_text("#chrom\tstart\tend\tlabel\n1\t0\t4\t0\n1\t4\t8\t2\n")
    assert read_bed(path).columns["label"] == ["0", "2"]
    assert read_bed(path, "labels").columns["label_2"] == [0, 1]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["labels"] = np.array([1.5, 2.5])
    beside = read_bed(path)
    assert "label" not in beside.columns
    assert beside.columns["value"] == [1.5, 2.5]
    assert beside.notes == [f"{path}: its column label is not read; labels are those of x.h5"]
    (tmp_path / "x.hdf5").touch()
    assert refusal(lambda: read_bed(path)) == f"{path}: x.hdf5 and x.h5 are both its labels; leave one"
    path.write_text("chrom\tstart\tend\tref\talt\n1\t2\t3\tA\tC\n")
    variants = read_bed(path)
    assert variants.columns == {"chrom": ["1"], "ref": ["A"], "alt": ["C"], "pos": [3]}
