"""Published files that a card's recipe turns into rows: every column, count and sentence, on a genome of a few bases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy import refusal

from findna_bench.cards import TaskCard
from findna_bench.data.archives import FolderTree
from findna_bench.data.published_files import PublishedFiles, PublishedRows
from findna_bench.data.recipes import expected_splits, has_recipe, read_recipe
from findna_bench.data.reference import check_assembly, reference_files
from findna_bench.statistics.base_states import NO_STATE

ONE = "ACGTTGCAACGGTACCATGCATTTGACCAN"  # thirty bases
TWO = "GGGTTTAAACCC"


def card(config: dict[str, Any], labels: tuple[str, ...] = ("no", "yes"), **more: Any) -> TaskCard:
    return TaskCard(name="made", suite="lab", labels=labels, assembly="GRCh38", config=config, **more)


def put(folder: Path, name: str, *lines: str) -> Path:
    path = folder / "files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(line.replace(" ", "\t") for line in lines) + "\n")
    return path


def files(folder: Path, *cards: TaskCard, genome: bool = True) -> PublishedFiles:
    path = folder / "hg38.fa"
    path.write_text(f">chr1\n{ONE}\n>chr2\n{TWO}\n")
    return PublishedFiles([FolderTree(folder / "files")], cards, path if genome else None, folder / "cache")


def read(folder: Path, task: TaskCard, **options: Any) -> PublishedRows:
    found = read_recipe(task, files(folder, task, **options))
    assert found is not None
    return found


# --------------------------------------------------------------------------------------------------------- regions


def regions(**more: Any) -> dict[str, Any]:
    columns = {"chrom": ["chrom"], "start": ["start"], "end": ["end"], "label": ["label"]}
    return {
        "recipe": "genome-regions",
        "files": ["r.tsv"],
        "labels": "classes",
        "classes": {"0": "no", "1": "yes"},
        "columns": columns,
        **more,
    }


def test_regions_are_cut_as_the_card_counts(tmp_path: Path) -> None:
    put(tmp_path, "r.tsv", "chrom start end label strand", "1 0 4 0 -", "chr2 3 9 1 -")
    found = read(tmp_path, card(regions()))
    assert found.tables["test"].sequences == ["ACGT", "TTTAAA"]  # a strand that the recipe does not name is not read
    assert found.tables["test"].labels.tolist() == [0, 1]
    assert found.notes == ("r.tsv: contigs are named otherwise than in hg38.fa (1 is chr1 there)",)
    put(tmp_path, "r.tsv", "chrom start end label strand", "1 1 4 0 -", "chr2 4 9 1 +")
    first = read(tmp_path, card(regions(first=1, columns={**regions()["columns"], "strand": ["strand"]})))
    assert first.tables["test"].sequences == ["CGT", "TTTAA"]
    for place, why in (
        ("0", "start '0' is no place that counts from 1"),
        ("x", "start 'x' is no place that counts from 1"),
    ):
        path = put(tmp_path, "r.tsv", "chrom start end label", "1 1 4 0", f"1 {place} 4 0")
        assert refusal(lambda: read(tmp_path, card(regions(first=1)))) == f"{path}, row 3 (the header is row 1): {why}"


@pytest.mark.parametrize("window", [4, 5])
def test_windows_stand_around_the_middle_of_their_region(window: int, tmp_path: Path) -> None:
    bounds = [(4, 8), (1, 3), (4, 6), (27, 29), (28, 30)]
    put(tmp_path, "r.tsv", "chrom start end label", *(f"chr1 {start} {end} 0" for start, end in bounds))
    found = read(tmp_path, card(regions(window=window), target="classes"))
    table = found.tables["test"]
    middles = [(start + end) // 2 for start, end in bounds]
    wanted = [(max(0, middle - window // 2), min(30, middle - window // 2 + window)) for middle in middles]
    assert table.start is not None
    assert table.end is not None
    assert list(zip(table.start.tolist(), table.end.tolist(), strict=True)) == wanted
    assert table.sequences == [ONE[start:end] for start, end in wanted]
    short = sum(last - first < window for first, last in wanted)
    assert list(found.notes) == [f"r.tsv: {short} windows that a contig's end cuts short"]


def test_a_place_alone_is_a_window_of_its_own(tmp_path: Path) -> None:
    columns = {"chrom": ["chrom"], "pos": ["position"], "label": ["label"], "element": ["gene"], "split": ["part"]}
    put(tmp_path, "r.tsv", "chrom position label gene part", "chr1 4 0 a Tr", "chr1 10 1 b te", "chr1 20 1 b tr")
    task = card(regions(columns=columns, window=3, splits={"tr": "train", "te": "test"}))
    found = read(tmp_path, task)
    assert {split: table.sequences for split, table in found.tables.items()} == {
        "train": [ONE[3:6], ONE[19:22]],
        "test": [ONE[9:12]],
    }
    assert found.tables["train"].extra["element"].tolist() == ["a", "b"]
    path = put(tmp_path, "r.tsv", "chrom position label gene part", "chr1 4 0 a tr", "chr1 10 1 b all", "chr1 5 0 c x")
    assert (
        refusal(lambda: read(tmp_path, task)) == f"{path}, row 3 (the header is row 1): split 'all' is none of tr, te"
    )


def test_regions_have_labels_of_every_kind(tmp_path: Path) -> None:
    rows = ["1 0 4", "1 4 8", "1 8 12"]
    plain = {name: regions()["columns"][name] for name in ("chrom", "start", "end")}
    put(tmp_path, "r.tsv", "chrom start end label", *(f"{r} {x}" for r, x in zip(rows, ("0,2", "1", "0"), strict=True)))
    three = {"labels": ("a", "b", "c"), "target": "labels"}
    lists = read(tmp_path, card(regions(labels="lists"), **three))
    assert lists.tables["test"].labels.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 0]]
    put(
        tmp_path,
        "r.tsv",
        "chrom start end label",
        *(f"{r} [{x}]" for r, x in zip(rows, ("1,0,1", "0,0,0", "0,1,0"), strict=True)),
    )
    flags = read(tmp_path, card(regions(labels="flags"), **three))
    assert flags.tables["test"].labels.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert flags.tables["test"].labels.dtype == np.int8
    for wrong in ("[1,0]", "[1,0,2]", "1", "{", "[1,0,0,1]"):
        path = put(tmp_path, "r.tsv", "chrom start end label", f"{rows[0]} [1,0,0]", f"{rows[1]} {wrong}")
        assert (
            refusal(lambda: read(tmp_path, card(regions(labels="flags"), **three)))
            == f"{path}, row 3 (the header is row 1): label {wrong!r} is no list of 3 times 0 or 1"
        )
    put(tmp_path, "r.tsv", "chrom start end", *rows)
    numbers = card(regions(labels="numbers", numbers=["v.tsv"], columns=plain), ("x", "y"), target="values")
    put(tmp_path, "v.tsv", "b a", "1 2", "3 4.5", "-1 0")
    assert read(tmp_path, numbers).tables["test"].labels.tolist() == [[1, 2], [3, 4.5], [-1, 0]]
    put(tmp_path, "v.tsv", "b a", "1 2", "3 z", "-1 0")
    origin = tmp_path / "files" / "r.tsv"
    assert (
        refusal(lambda: read(tmp_path, numbers))
        == f"{origin}, row 3 (the header is row 1): value 'z' of y is no number"
    )
    values = put(tmp_path, "v.tsv", "b a", "1 2", "3 4")
    assert (
        refusal(lambda: read(tmp_path, numbers))
        == f"{values} has 2 rows of 2 values; 3 rows of 2 are needed, row by row with r.tsv"
    )
    put(tmp_path, "v.tsv", "b", "1", "3", "4")
    assert "has 3 rows of 1 values; 3 rows of 2 are needed" in refusal(lambda: read(tmp_path, numbers))
    values.unlink()
    assert (
        refusal(lambda: read(tmp_path, numbers)) == f"lab/made: {origin} is there, and no table of its values (v.tsv)"
    )


def test_regions_have_states_of_bases_from_an_array(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="HDF5 files are read by h5py (findna-bench[hdf5])")
    plain = {name: [name] for name in ("chrom", "start", "end", "strand")}
    task = card(regions(labels="array", array=["a.h5", "a.hdf5"], columns=plain), ("s", "t"), target="per_base")
    put(tmp_path, "r.tsv", "chrom start end strand", "1 0 4 -", "1 27 30 +")
    origin = tmp_path / "files" / "r.tsv"
    assert (
        refusal(lambda: read(tmp_path, task)) == f"lab/made: {origin} is there, and no array of labels (a.h5 or a.hdf5)"
    )
    with h5py.File(tmp_path / "files" / "a.h5", "w") as file:
        file["labels"] = np.array([[0, 1, 1, -1], [1, 1, 1, -100]])
    table = read(tmp_path, task).tables["test"]
    assert table.labels.tolist() == [[NO_STATE, 1, 1, 0], [1, 1, NO_STATE, NO_STATE]]  # N counts for nothing
    with h5py.File(tmp_path / "files" / "a.h5", "w") as file:
        file["labels"] = np.array([[0, 1, 1, 0], [1, 3, 2, -100]])
    assert refusal(lambda: read(tmp_path, task)) == f"{origin}, row 3 (the header is row 1): state 2; the card has 2"


def test_rows_that_authors_do_not_use_are_counted(tmp_path: Path) -> None:
    lines = ["1 0 4 0 A", "1 1 4 1 b", "1 2 4 1 a", "1 3 4 1 c"]
    path = put(tmp_path, "r.tsv", "chrom start end label kind", *lines)
    found = read(tmp_path, card(regions(keep={"kind": ["a"], "label": ["0", "1"]})))
    assert found.tables["test"].sequences == ["ACGT", "GT"]
    assert found.notes[0] == "r.tsv: 2 of 4 rows are not used, as its authors do (kind, label)"
    assert len(read(tmp_path, card(regions(keep={"kind": ["a", "b", "c"]}))).notes) == 1
    assert (
        refusal(lambda: read(tmp_path, card(regions(keep={"kind": ["z"]}))))
        == f"{path}: none of its 4 rows are those that kind select"
    )
    assert (
        refusal(lambda: read(tmp_path, card(regions(keep={"sort": ["z"]}))))
        == f"{path}: no column sort among chrom, start, end, label, kind"
    )
    named = {**regions()["columns"], "start": ["begin", "from"]}
    assert (
        refusal(lambda: read(tmp_path, card(regions(columns=named))))
        == f"{path}: no column begin or from among chrom, start, end, label, kind"
    )
    optional = {**regions()["columns"], "element": ["gene"]}
    assert "element" not in read(tmp_path, card(regions(columns=optional))).tables["test"].extra
    for needed in ("split", "value"):
        assert "no column gene among" in refusal(
            lambda needed=needed: read(tmp_path, card(regions(columns={**regions()["columns"], needed: ["gene"]})))  # type: ignore[misc]
        )
    put(tmp_path, "r.tsv", "chrom start end label kind", "1 0 4 0 A", "1 0 4 2 A", "1 0 4 3 A")
    assert (
        refusal(lambda: read(tmp_path, card(regions())))
        == f"{path}, row 3 (the header is row 1): label '2' is none of 0, 1"
    )


# -------------------------------------------------------------------------------------------------------- variants


def variants(**more: Any) -> dict[str, Any]:
    columns = {name: [name] for name in ("chrom", "pos", "ref", "alt", "label")}
    return {
        "recipe": "genome-variants",
        "files": ["v.tsv"],
        "classes": {"good": "no", "bad": "yes"},
        "columns": columns,
        "flank": 2,
        **more,
    }


def test_variants_stand_in_windows_of_the_genome(tmp_path: Path) -> None:
    lines = ["1 5 T A good", "chr2 12 C G Bad", "1 5 T A bad", "1 6 A C bad", "1 40 A C bad"]
    put(tmp_path, "v.tsv", "chrom pos ref alt label", *lines)
    found = read(tmp_path, card(variants(), inputs="variant"))
    table = found.tables["test"]
    assert table.sequences == ["GTTGC", "CCC", "GTTGC"]
    assert table.ids.tolist() == ["1:5:T>A", "chr2:12:C>G", "1:5:T>A:2"]
    assert table.labels.tolist() == [0, 1, 1]
    assert table.extra["offset"].tolist() == [2, 2, 2]
    assert found.short == (
        "v.tsv: 2 of 5 variants are left out: 1 whose ref is not what the sequence has there (first: "
        "row 5 (the header is row 1)), 1 which lie in no sequence of the genome (first: row 6 (the header is row 1))",
    )
    assert found.notes == ("v.tsv: 1 windows that a contig's end cuts short",)
    zero = read(
        tmp_path,
        card({**variants(), "first": 0, "columns": {**variants()["columns"], "ref": ["none"]}}, inputs="variant"),
    )
    assert zero.notes[0] == "v.tsv: no column of reference alleles; the genome's bases are taken"
    assert zero.tables["test"].extra["ref"].tolist() == [
        "G",
        "G",
    ]  # the others lie beyond their contig, or are their ref
    assert zero.tables["test"].extra["offset"].tolist() == [2, 2]
    path = put(tmp_path, "v.tsv", "chrom pos ref alt label", "1 5 T A good", "1 5.5 T A bad")
    assert (
        refusal(lambda: read(tmp_path, card(variants(), inputs="variant")))
        == f"{path}, row 3 (the header is row 1): pos '5.5' is no whole number"
    )


def test_alleles_in_either_order_are_exchanged_and_counted(tmp_path: Path) -> None:
    either = {"inputs": "variant", "effect": "absolute"}
    put(tmp_path, "v.tsv", "chrom pos ref alt label", "1 5 T A good", "1 5 C t bad", "1 5 g T bad")
    found = read(tmp_path, card(variants(alleles="either"), **either))
    assert found.tables["test"].extra["ref"].tolist() == ["T", "T", "T"]
    assert found.tables["test"].extra["alt"].tolist() == ["A", "C", "G"]
    assert found.notes == ("v.tsv: in 2 of 3 rows the second allele is the genome's base and taken as reference",)
    put(tmp_path, "v.tsv", "chrom pos ref alt label", "1 5 T A good")
    assert read(tmp_path, card(variants(alleles="either"), **either)).notes == ()
    assert (
        refusal(lambda: read(tmp_path, card(variants(alleles="either"), inputs="variant")))
        == "lab/made: alleles in either order need effect absolute, whose score has no sign"
    )


def test_variants_have_numbers_where_the_card_says_so(tmp_path: Path) -> None:
    columns = {**variants()["columns"], "value": ["score"]}
    del columns["label"]
    task = card(variants(columns=columns), ("value",), inputs="variant", target="values")
    path = put(tmp_path, "v.tsv", "chrom pos ref alt score", "1 5 T A -0.5", "1 5 T G 2")
    assert read(tmp_path, task).tables["test"].labels.tolist() == [[-0.5], [2.0]]
    put(tmp_path, "v.tsv", "chrom pos ref alt score", "1 5 T A -0.5", "1 5 T G high", "1 5 T C x")
    assert refusal(lambda: read(tmp_path, task)) == f"{path}, row 3 (the header is row 1): value 'high' is no number"
    assert (
        refusal(lambda: read(tmp_path, task, genome=False))
        == "lab/made: its files hold places in GRCh38 and no sequences; give that genome with --reference FASTA"
    )


# ----------------------------------------------------------------------------------------------------------- pairs

FLANKS = {"tss_flank_upstream": 2, "tss_flank_downstream": 1, "region_flank_upstream": 1, "region_flank_downstream": 2}
GENE = "gene_chrom gene_start gene_end gene_strand region_chrom region_start region_end target subset"


def pairs(folder: Path, *rows: str, more: str = "", cutoff: int | None = None) -> None:
    known = {
        "genome": "x",
        "table": "somewhere/t.txt",
        **FLANKS,
        **({} if cutoff is None else {"seq_len_cutoff": cutoff}),
    }
    put(folder, "c/s.config", *(f"{name} {value} kind" for name, value in known.items()), "alone")
    put(folder, "t/t.txt", f"{GENE}{more}", *rows)


def pair_card(**more: Any) -> TaskCard:
    config = {
        "recipe": "genome-pairs",
        "settings": ["s.config"],
        "table": "table",
        "sides": "region-promoter",
        "classes": {"n": "no", "p": "yes"},
        "splits": {"a": "train", "b": "test"},
        **more,
    }
    return card(config, inputs="pair")


def test_a_region_and_a_promoter_are_cut_with_their_flanks(tmp_path: Path) -> None:
    pairs(
        tmp_path,
        "chr1 10 15 + 1 20 24 p a",
        "1 10 15 - 1 3 6 n b",
        "1 10 15 + 1 11 12 n a",
        "1 0 5 + 1 28 30 n a",
        "1 10 15 + 2 20 24 p a",
        "1 10 15 . 1 20 24 p a",
    )
    found = read(tmp_path, pair_card())
    train, test = found.tables["train"], found.tables["test"]
    assert train.sequences == [ONE[19:26], ONE[10:14], ONE[27:30]]
    assert train.sequences_b == [ONE[8:12], ONE[8:12], ONE[0:2]]
    assert test.sequences == [ONE[2:8]]
    reverse = ONE[12:16][::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert test.sequences_b == [reverse]
    assert train.extra["distance"].tolist() == [19 - 12, 0, 27 - 2]
    assert test.extra["distance"].tolist() == [12 - 8]
    assert (train.extra["strand"].tolist(), test.extra["strand"].tolist()) == (["+", "+", "+"], ["-"])
    assert (train.labels.tolist(), test.labels.tolist(), train.ids.tolist()) == ([1, 0, 0], [0], ["0", "2", "3"])
    assert train.start is not None
    assert train.end is not None
    assert (train.start.tolist(), train.end.tolist()) == ([19, 10, 27], [26, 14, 30])
    assert found.notes == (
        "t.txt: 2 of 6 pairs are left out: 1 with gene and region on two chromosomes, 1 whose gene has no strand",
        "t.txt: 2 sides that a contig's end cuts short",
    )


@pytest.mark.parametrize(("cutoff", "kept"), [(7, 1), (6, 0), (None, 1)])
def test_pairs_further_apart_than_the_settings_say_are_left_out(cutoff: int | None, kept: int, tmp_path: Path) -> None:
    pairs(tmp_path, "chr1 10 15 + 1 20 24 p a", "1 10 15 + 1 11 12 n b", cutoff=cutoff)
    found = read(tmp_path, pair_card())
    assert len(found.tables.get("train", ())) == kept
    said = "t.txt: 1 of 2 pairs are left out: 1 with more than 6 bases between gene and region"
    assert found.notes == (() if kept else (said,))


def test_pairs_of_alleles_differ_where_the_variant_is(tmp_path: Path) -> None:
    task = pair_card(sides="alleles")
    pairs(
        tmp_path,
        "1 10 15 + 1 20 21 p a a T g1 r1",
        "1 10 15 + 1 20 21 p b A C g1 r1",
        "1 10 15 + 1 20 21 n b A C g1 r1",
        "1 10 15 + 1 0 1 n a A G g2 r2",
        "1 10 15 + 1 20 21 n a G C g1 r1",
        more=" allele1 allele2 gene_id region_id",
    )
    found = read(tmp_path, task)
    train, test = found.tables["train"], found.tables["test"]
    assert train.sequences == [ONE[19:23], ONE[0:3]]
    assert train.sequences_b == [ONE[19] + "T" + ONE[21:23], "G" + ONE[1:3]]
    assert train.ids.tolist() == ["r1/g1/T", "r2/g2/G"]
    assert test.ids.tolist() == ["r1/g1/C", "r1/g1/C#2"]
    assert found.notes == (
        "t.txt: 1 of 5 pairs are left out: 1 whose allele1 is not what the genome has there",
        "t.txt: 1 sides that a contig's end cuts short",
    )
    pairs(tmp_path, "1 10 15 + 1 20 21 p a t", more=" allele1")
    assert (
        refusal(lambda: read(tmp_path, task))
        == f"{tmp_path}/files/t/t.txt: no column allele2 among {GENE.replace(' ', ', ')}, allele1"
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1 10 15 + 1 x 24 p a", "{t}, row 3 (the header is row 1): region_start 'x' is no place"),
        ("1 x 15 + 1 20 24 p a", "{t}, row 3 (the header is row 1): gene_start 'x' is no place"),
        ("1 10 x - 1 20 24 p a", "{t}, row 3 (the header is row 1): gene_end 'x' is no place"),
        ("1 10 15 + 1 31 35 p a", "{t}, row 3 (the header is row 1): 1:30-37 is not in hg38.fa"),
        ("7 10 15 + 7 20 24 p a", "{t}, row 3 (the header is row 1): 7:19-26 is not in hg38.fa"),
        ("1 40 45 + 1 20 24 p a", "{t}, row 3 (the header is row 1): 1:38-42 is not in hg38.fa"),
        ("1 10 15 + 1 20 24 q a", "{t}, row 3 (the header is row 1): label 'q' is none of n, p"),
        ("1 10 15 + 1 20 24 p c", "{t}, row 3 (the header is row 1): split 'c' is none of a, b"),
    ],
)
def test_pairs_that_are_none_are_refused_by_row(row: str, message: str, tmp_path: Path) -> None:
    pairs(tmp_path, "1 10 15 + 1 20 24 p a", row)
    assert refusal(lambda: read(tmp_path, pair_card())) == message.format(t=f"{tmp_path}/files/t/t.txt")


def test_settings_of_pairs_have_to_name_what_is_read(tmp_path: Path) -> None:
    pairs(tmp_path, "1 10 15 . 1 20 24 p a", "1 10 15 . 2 20 24 p a")
    table = f"{tmp_path}/files/t/t.txt"
    assert (
        refusal(lambda: read(tmp_path, pair_card()))
        == f"{table}: none of its 2 rows can be read: 1 whose gene has no strand, 1 with gene and region on two chromosomes"
    )
    lines = [f"{name} {value}" for name, value in FLANKS.items()]
    path = put(tmp_path, "c/s.config", "table t.txt", *lines[:3])
    assert refusal(lambda: read(tmp_path, pair_card())) == f"{path}: there is no line 'region_flank_downstream' in it"
    put(tmp_path, "c/s.config", *lines)
    assert refusal(lambda: read(tmp_path, pair_card())) == f"{path}: there is no line 'table' in it"
    put(tmp_path, "c/s.config", "table t.txt", *lines, "seq_len_cutoff 1e6")
    assert refusal(lambda: read(tmp_path, pair_card())) == f"{path}: seq_len_cutoff '1e6' is no whole number"
    put(tmp_path, "c/s.config", "table d/u.txt", *lines)
    assert (
        refusal(lambda: read(tmp_path, pair_card()))
        == f"lab/made: its settings name a table u.txt, which is not below {tmp_path}/files"
    )
    path.unlink()
    assert read_recipe(pair_card(), files(tmp_path, pair_card())) is None


# ------------------------------------------------------------------------------------------- variants from a table


def measured(**more: Any) -> dict[str, Any]:
    columns = {name: [name] for name in ("element", "chrom", "pos", "value", "tags")}
    return {"recipe": "variants", "files": ["m"], "columns": columns, "at_least": {"tags": 10}, **more}


def test_windows_are_put_together_from_the_references_of_an_element(tmp_path: Path) -> None:
    header = "element chrom pos ref alt value tags"
    lines = ["e chr1 100 A C 0.5 10", "e chr1 101 g T 1 11", "e chr1 104 TT A -1 30", "e chr1 101 G T 2 10"]
    path = put(tmp_path, "m.tsv", header, *lines, "f chrX 7 C G 3 9", "f chrX 8 A G 3 10", "f chrX 9 A G NA 10")
    task = card(measured(elements=3), ("value",), inputs="variant", target="values")
    found = read(tmp_path, task)
    table = found.tables["test"]
    assert table.sequences == ["AGNNTT"] * 4 + ["CA"]
    assert table.extra["offset"].tolist() == [0, 1, 4, 1, 1]
    assert table.labels.tolist() == [[0.5], [1.0], [-1.0], [2.0], [3.0]]
    assert table.ids.tolist() == ["e:100:A>C", "e:101:g>T", "e:104:TT>A", "e:101:G>T", "f:8:A>G"]
    assert table.extra["element"].tolist() == ["e"] * 4 + ["f"]
    assert found.short == ("2 of 3 published experiments",)
    single = read(tmp_path, card(measured(alleles="snv", elements=2), ("value",), inputs="variant", target="values"))
    assert single.tables["test"].ids.tolist() == ["e:100:A>C", "e:101:g>T", "e:101:G>T", "f:8:A>G"]
    assert single.short == ()
    kept = card(measured(keep={"element": ["f"], "none": ["x"]}), ("value",), inputs="variant", target="values")
    assert read(tmp_path, kept).tables["test"].ids.tolist() == ["f:8:A>G"]
    none = card(measured(at_least={"tags": 31}), ("value",), inputs="variant", target="values")
    assert refusal(lambda: read(tmp_path, none)) == f"{path}: none of its rows are of lab/made"
    put(tmp_path, "m.tsv", header, "e chr1 100 AC G 1 10", "e chr1 101 T G 1 10")
    assert (
        refusal(lambda: read(tmp_path, task))
        == f"{path}, row 3 (the header is row 1): ref is T, another row of e has another base there"
    )
    put(tmp_path, "m.tsv", header, "e chr1 100 A G NA 10", "e chr1 100 A G 1 x")
    assert refusal(lambda: read(tmp_path, task)) == f"{path}, row 3 (the header is row 1): tags 'x' is no number"
    put(tmp_path, "m.tsv", "element chrom pos ref alt value", "e chr1 100 A G 1")
    assert refusal(lambda: read(tmp_path, task)) == f"{path}: no column tags among element, chrom, pos, ref, alt, value"
    put(tmp_path, "m.csv", header)
    assert (
        refusal(lambda: read(tmp_path, task))
        == f"{tmp_path}/files: m.csv and m.tsv are both tables of lab/made; leave one"
    )


# --------------------------------------------------------------------------------------------- FASTA with numbers


def test_numbers_beside_a_fasta_belong_to_its_records(tmp_path: Path) -> None:
    config = {
        "recipe": "fasta-values",
        "fasta": "{split}.fa",
        "values": "{split}_numbers.txt",
        "splits": {"train": "Train", "test": "Test"},
        "columns": ["B", "a"],
    }
    task = card(config, ("b", "a"), target="values")
    fasta = put(tmp_path, "Train.fa", ">x", "ACG", "T", ">y", "GGG")
    values = put(tmp_path, "Train_numbers.txt", "A b c", "1 2 3", "4.5 -6 7")
    found = read(tmp_path, task)
    assert list(found.tables) == ["train"]
    assert found.tables["train"].sequences == ["ACGT", "GGG"]
    assert found.tables["train"].labels.tolist() == [[2.0, 1.0], [-6.0, 4.5]]
    put(tmp_path, "Train_numbers.txt", "A b c", "1 2 3")
    assert (
        refusal(lambda: read(tmp_path, task))
        == f"{fasta} has 2 records, {values} has 1 rows; they belong together row by row, so get both again"
    )
    put(tmp_path, "Train_numbers.txt", "A b c", "1 2 3", "1 q 3")
    assert refusal(lambda: read(tmp_path, task)) == f"{values}, row 3 (the header is row 1): B 'q' is no number"
    put(tmp_path, "Train_numbers.txt", "A c", "1 2", "1 3")
    assert refusal(lambda: read(tmp_path, task)) == f"{values}: no column B among a, c"
    put(tmp_path, "d/Train.fa.gz", "x")
    assert refusal(lambda: read(tmp_path, task)) == "lab/made: Train.fa is there 2 times; each split needs it once"
    put(tmp_path, "Test.fa", ">x", "ACG")
    (tmp_path / "files/d/Train.fa.gz").unlink()
    put(tmp_path, "Train_numbers.txt", "A b c", "1 2 3", "4.5 -6 7")
    assert (
        refusal(lambda: read(tmp_path, task)) == "lab/made: Test_numbers.txt is there 0 times; each split needs it once"
    )


# ------------------------------------------------------------------------------------------------ one-hot sequences


def one_hot(*texts: str) -> np.ndarray:
    return np.array([[[letter == base for base in "ACGT"] for letter in text] for text in texts], dtype=np.int8)


def hot_card(labels: str, **more: Any) -> TaskCard:
    config = {
        "recipe": "one-hot",
        "files": ["x.h5"],
        "splits": {"tr": "train", "te": "test"},
        "groups": {"{split}": None},
        "labels": labels,
        **more,
    }
    return card(config)


def hdf5(folder: Path, **arrays: Any) -> Path:
    h5py = pytest.importorskip("h5py", reason="HDF5 files are read by h5py (findna-bench[hdf5])")
    (folder / "files").mkdir(exist_ok=True)
    with h5py.File(folder / "files" / "x.h5", "w") as file:
        for name, values in arrays.items():
            file[name.replace("__", "/")] = values
    return folder / "files" / "x.h5"


def test_one_hot_rows_are_read_with_their_classes_or_numbers(tmp_path: Path) -> None:
    hdf5(tmp_path, tr__seqs=one_hot("ACGN", "TTNT"), tr__labels=[1, 0], te__seqs=one_hot("GG"), te__labels=[0])
    found = read(tmp_path, hot_card("classes"))
    assert found.tables["train"].sequences == ["ACGN", "TTNT"]
    assert found.tables["train"].labels.tolist() == [1, 0]
    assert found.tables["train"].ids.tolist() == ["tr-0", "tr-1"]
    assert found.tables["train"].extra == {}
    assert found.tables["test"].sequences == ["GG"]
    hdf5(tmp_path, tr__a__seqs=one_hot("AC", "CA"), tr__a__score=[0.5, -1], tr__b__seqs=one_hot("GT"), tr__b__score=[2])
    numbers = hot_card("numbers", values="score", groups={"{split}/a": "first", "{split}/b": "second"})
    table = read(tmp_path, numbers).tables["train"]
    assert (table.sequences, table.labels.tolist()) == (["AC", "CA", "GT"], [[0.5], [-1.0], [2.0]])
    assert table.extra["element"].tolist() == ["first", "first", "second"]
    assert table.ids.tolist() == ["tr.a-0", "tr.a-1", "tr.b-0"]
    hdf5(tmp_path, tr__seqs=one_hot("AC", "CA"), tr__ctrls=one_hot("GT", "TG"))
    pairs = read(tmp_path, hot_card("pairs")).tables["train"]
    assert pairs.sequences == ["AC", "CA", "GT", "TG"]
    assert pairs.labels.tolist() == [1, 1, 0, 0]
    assert pairs.ids.tolist() == ["tr-0:yes", "tr-1:yes", "tr-0:no", "tr-1:no"]
    assert pairs.group is not None
    assert pairs.group.tolist() == ["tr-0", "tr-1", "tr-0", "tr-1"]
    hdf5(tmp_path, other=[1])
    assert read_recipe(hot_card("pairs"), files(tmp_path)) is None


TWICE = np.array([[[1, 0, 0, 0], [0, 1, 0, 0]], [[1, 0, 0, 0], [0, 1, 1, 0]]])


@pytest.mark.parametrize(
    ("labels", "arrays", "message"),
    [
        ("pairs", {"tr__seqs": one_hot("AC")}, "x.h5, tr: array ctrls is not there; (rows, bases, 4) is needed"),
        ("pairs", {"tr__seqs": one_hot("AC")[0]}, "x.h5, tr: array seqs is (2, 4); (rows, bases, 4) is needed"),
        ("pairs", {"tr__seqs": np.zeros((1, 2, 5))}, "x.h5, tr: array seqs is (1, 2, 5); (rows, bases, 4) is needed"),
        ("pairs", {"tr__seqs": one_hot("AC", "CA"), "tr__ctrls": one_hot("AC")}, "x.h5, tr: ctrls has 1 rows, seqs has 2; they belong together row by row"),
        ("pairs", {"tr__seqs": TWICE, "tr__ctrls": one_hot("AC")}, "x.h5, tr: base 1 of row 1 of seqs is not one of A, C, G, T or none"),
        ("pairs", {"tr__seqs": 2 * one_hot("AC"), "tr__ctrls": one_hot("AC")}, "x.h5, tr: base 0 of row 0 of seqs is not one of A, C, G, T or none"),
        ("classes", {"tr__seqs": one_hot("AC"), "tr__labels": [0, 1]}, "x.h5, tr: labels has 2 rows, seqs has 1; they belong together row by row"),
        ("classes", {"tr__seqs": one_hot("AC"), "tr__labels": [2]}, "x.h5, tr: a label lies outside 0 to 1 (no, yes)"),
        ("classes", {"tr__seqs": one_hot("AC"), "tr__labels": [-1]}, "x.h5, tr: a label lies outside 0 to 1 (no, yes)"),
        ("numbers", {"tr__seqs": one_hot("AC", "AC", "CC"), "tr__v": [0, np.nan, np.inf]}, "x.h5, tr: v of row 1 is not a finite number"),
        ("insertions", {"positive": one_hot("AC")}, "x.h5: array positive is (1, 2, 4); (words, rows, bases, 4) is needed"),
        ("insertions", {"positive": one_hot("AC")[None]}, "x.h5: array shuffled is not there; (words, rows, bases, 4) is needed"),
        (
            "insertions",
            {"positive": one_hot("AC")[None], "shuffled": one_hot("AC", "CA")[None]},
            "x.h5: positive is (1, 1, 2, 4) and shuffled (1, 2, 2, 4); they belong together",
        ),
        (
            "insertions",
            {"positive": one_hot("AC", "CA")[None], "shuffled": one_hot("AG", "CA")[None]},
            "x.h5: positive and shuffled hold the same sequence in row 1 of word 0",
        ),
    ],
)  # fmt: skip
def test_arrays_that_are_no_sequences_or_labels_are_refused(
    labels: str, arrays: dict[str, Any], message: str, tmp_path: Path
) -> None:
    hdf5(tmp_path, **arrays)
    assert refusal(lambda: read(tmp_path, hot_card(labels, values="v"))) == message


def test_an_inserted_word_is_a_variant_of_its_shuffled_letters(tmp_path: Path) -> None:
    whole = np.stack([one_hot("AACAA", "TACAT", "AGGTA", "CGGTC"), one_hot("ATTGA", "TTTGT", "ACACA", "CACAC")])
    other = np.stack([one_hot("ACAAA", "TCAAT", "ATGGA", "CTGGC"), one_hot("AGTTA", "TGTTT", "CAACA", "CCAAC")])
    hdf5(tmp_path, positive=whole, shuffled=other)
    table = read(tmp_path, hot_card("insertions")).tables["test"]
    assert table.labels.tolist() == [1, 1, 0, 0] * 2
    assert table.sequences == ["ACAAA", "TCAAT", "AGGTA", "CGGTC", "AGTTA", "TGTTT", "ACACA", "CACAC"]
    assert table.extra["offset"].tolist() == [1, 1, 1, 1, 1, 1, 0, 1]
    assert table.extra["ref"].tolist() == ["CA", "CA", "GGT", "GGT", "GTT", "GTT", "AC", "AC"]
    assert table.extra["alt"].tolist() == ["AC", "AC", "TGG", "TGG", "TTG", "TTG", "CA", "CA"]
    assert table.extra["element"].tolist() == ["word 0"] * 4 + ["word 1"] * 4
    assert table.ids.tolist() == [f"word-{word}-{row}" for word in range(2) for row in range(4)]
    assert table.group is not None
    assert table.group.tolist() == ["sequence 0", "sequence 0", "sequence 1", "sequence 1"] * 2


# -------------------------------------------------------------------------------------------------------- whatever


def test_recipes_are_named_and_splits_expected() -> None:
    assert has_recipe(card({"recipe": "x"}))
    assert not has_recipe(card({}))
    with_none = PublishedFiles([], [], None, Path())
    assert (
        refusal(lambda: read_recipe(card({"recipe": "x"}), with_none))
        == "lab/made: recipe 'x' is none of transcripts, variants, fasta-values, genome-variants, genome-regions, genome-pairs, one-hot"
    )
    assert expected_splits(card({})) == ("train", "test")
    assert expected_splits(card({"recipe": "variants"})) == ("test",)
    assert expected_splits(card({"recipe": "one-hot", "expected_splits": ["test"]})) == ("test",)
    assert expected_splits(card({"expected_splits": []})) == ()


def test_a_file_is_found_by_the_end_of_its_path_and_once(tmp_path: Path) -> None:
    task = card({})
    put(tmp_path, "a/b/t.csv.gz", "x")
    put(tmp_path, "a/xt.csv", "x")
    held = files(tmp_path, task)
    assert held.find(task, ["t.csv"]) == (held.trees[0], "a/b/t.csv.gz")
    assert held.find(task, ["none", "b/t.csv"]) == (held.trees[0], "a/b/t.csv.gz")
    assert held.find(task, ["c/t.csv"]) is None
    put(tmp_path, "c/t.csv", "x")
    assert (
        refusal(lambda: files(tmp_path, task).find(task, ["t.csv"]))
        == f"lab/made: {tmp_path}/files/a/b/t.csv.gz and {tmp_path}/files/c/t.csv are both its file; leave one"
    )


def test_a_genome_is_the_one_whose_name_holds_the_assembly(tmp_path: Path) -> None:
    task = card({})
    assert (
        refusal(lambda: reference_files(task, tmp_path / "none"))
        == f"{tmp_path}/none: no such file or folder; --reference is a FASTA or a folder of them"
    )
    (tmp_path / "own.fa").touch()
    assert reference_files(task, tmp_path) == [tmp_path / "own.fa"] * 2  # the only one, and of no other assembly
    assert reference_files(task, tmp_path / "own.fa") == [tmp_path / "own.fa"] * 2
    two = card({"reference": {"yes": "GRCm38"}})
    assert (
        refusal(lambda: reference_files(two, tmp_path))
        == f"lab/made: needs one FASTA whose name holds 'GRCh38' in {tmp_path}; found none"
    )
    (tmp_path / "x.hg38.fna.gz").touch()
    (tmp_path / "mm10.fasta").touch()
    (tmp_path / "hg38.txt").touch()
    assert reference_files(task, tmp_path) == [tmp_path / "x.hg38.fna.gz"] * 2
    assert reference_files(two, tmp_path) == [tmp_path / "x.hg38.fna.gz", tmp_path / "mm10.fasta"]
    (tmp_path / "GRCh38.fa").touch()
    assert (
        refusal(lambda: reference_files(task, tmp_path))
        == f"lab/made: needs one FASTA whose name holds 'GRCh38' in {tmp_path}; found GRCh38.fa, x.hg38.fna.gz"
    )
    for name in ("hg19", "grch37", "mm10", "dm6"):
        other = tmp_path / f"{name}.fa"
        other.touch()
        assert "found none" in refusal(lambda other=other: reference_files(task, other))  # type: ignore[misc]
    patch = TaskCard(name="made", suite="lab", labels=("no", "yes"), assembly="GRCh38.p14")
    (tmp_path / "hg38.p14.fa").touch()
    assert reference_files(patch, tmp_path) == [tmp_path / "hg38.p14.fa"] * 2


def test_a_genome_of_another_assembly_is_told_by_its_lengths(tmp_path: Path) -> None:
    place = tmp_path / "g.fa"
    check_assembly(card({}), place, {"chr1": 248_956_422, "chrX": 5})
    check_assembly(card({}), place, {"chr1": 249_250_620})
    assert refusal(lambda: check_assembly(card({}), place, {"2": 5, "chr8": 146_364_022})) == (
        f"{place}: chr8 has 146,364,022 bases, as in GRCh37; the places of lab/made are those of GRCh38"
    )
    older = TaskCard(name="made", suite="lab", labels=("no", "yes"), assembly="hg19")
    assert "20 has 64,444,167 bases, as in GRCh38; the places of lab/made are those of hg19" in refusal(
        lambda: check_assembly(older, place, {"20": 64_444_167})
    )
    check_assembly(older, place, {"20": 63_025_520})
    mouse = TaskCard(name="made", suite="lab", labels=("no", "yes"), assembly="GRCm38")
    check_assembly(mouse, place, {"chr1": 248_956_422})
