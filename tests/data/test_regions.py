"""Regions of a genome with labels: BED files as benchmarks write them, arrays of labels beside them, and what does not fit."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.data.bed_files import read_bed
from findna_bench.errors import DataError, ModelError
from findna_bench.matrix.verification import verify
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.statistics.base_states import NO_STATE

LENGTH = 3000


@pytest.fixture
def genome(tmp_path: Path) -> str:
    sequence = "".join(np.random.default_rng(4).choice(list("ACGT"), size=LENGTH))
    (tmp_path / "g.fa").write_text(f">1\n{sequence}\n")
    return sequence


def bed(path: Path, rows: list[tuple[Any, ...]], header: str = "chromosome,start,end,strand,label,split") -> Path:
    path.write_text("\n".join("\t".join(map(str, row)) for row in [tuple(header.split(",")), *rows]) + "\n")
    return path


def regions(n: int = 30, length: int = 40, contig: str = "chr1") -> list[tuple[str, int, int, str]]:
    return [(contig, 60 * i, 60 * i + length, "-" if i % 3 == 0 else "+") for i in range(n)]


def splits(n: int = 30) -> list[str]:
    return ["train" if i < 18 else "valid" if i < 24 else "test" for i in range(n)]


def load(path: Path, **options: Any) -> fb.Task:
    return fb.load_task(path, fasta=path.parent / "g.fa", **options)


def array(path: Path, rows: Any, key: str = "labels") -> Path:
    h5py = pytest.importorskip("h5py", reason="HDF5 files are read by h5py (findna-bench[hdf5])")
    with h5py.File(path, "w") as file:
        if isinstance(rows, list):
            kept = file.create_dataset(key, (len(rows),), dtype=h5py.vlen_dtype(np.int64))
            for row, values in enumerate(rows):
                kept[row] = values
        else:
            file[key] = rows
    return path


def test_classes_are_read_on_the_strand_of_their_row(tmp_path: Path, genome: str) -> None:
    rows = [(*region, i % 2, split) for i, (region, split) in enumerate(zip(regions(), splits(), strict=True))]
    task = load(bed(tmp_path / "a.bed", rows))
    assert task.card.full_name == "adhoc/a"
    assert task.counts == {
        "train": {"0": 9, "1": 9},
        "validation": {"0": 3, "1": 3},
        "test": {"0": 3, "1": 3},
    }
    table = task.load("train")
    assert table.sequences[0] == reverse_complement(genome[:40])
    assert table.sequences[1] == genome[60:100]
    assert table.strand is not None
    assert table.strand.tolist()[:3] == ["-", "+", "+"]
    notes = " ".join(task.notes)
    assert "10 of 30 rows are on strand - and read as its reverse complement" in notes
    assert "chr1 is 1 there" in notes
    flanked = load(bed(tmp_path / "b.bed", rows), flank=10).load("train")
    assert flanked.sequences[1] == genome[50:110]
    assert flanked.sequences[0] == reverse_complement(genome[:50])  # the contig begins at 0


def test_lists_of_numbers_are_several_labels_and_an_empty_cell_none(tmp_path: Path, genome: str) -> None:
    labels = ["0,2", "", "1", "0,1,2", ""] * 6
    rows = [(*region, label, split) for region, label, split in zip(regions(), labels, splits(), strict=True)]
    task = load(bed(tmp_path / "a.bed", rows))
    assert (task.card.target, task.label_names) == ("labels", ("0", "1", "2"))
    np.testing.assert_array_equal(
        task.load("train").labels[:5], [[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]]
    )
    single = bed(tmp_path / "b.bed", [(*row[:4], str(i % 3), row[5]) for i, row in enumerate(rows)])
    assert load(single).card.target == "classes"
    assert load(single, target="labels").card.target == "labels"
    with pytest.raises(DataError, match=r"row 2 .*: label 'x,2' is no list of numbers"):
        load(bed(tmp_path / "c.bed", [(*rows[0][:4], "x,2", "train"), *rows[1:]]))


def test_values_and_columns_of_other_tables_mean_what_they_mean_there(tmp_path: Path, genome: str) -> None:
    rows = [(*region, 0.5 * i, split) for i, (region, split) in enumerate(zip(regions(), splits(), strict=True))]
    task = load(bed(tmp_path / "a.bed", rows, "#chrom,start,end,strand,value,split"))
    assert task.card.target == "values"
    assert task.load("test").labels[0, 0] == 12.0
    comma = tmp_path / "a.csv"
    comma.write_text((tmp_path / "a.bed").read_text().replace("\t", ",").replace("#", ""))
    assert load(comma).load("test").sequences == task.load("test").sequences


def test_a_bed_with_alleles_holds_variants_at_its_starts(tmp_path: Path, genome: str) -> None:
    places = range(100, 400, 20)
    rows = [("1", p, p + 1, genome[p], "ACGT"[("ACGT".index(genome[p]) + 1) % 4], i % 2) for i, p in enumerate(places)]
    task = load(bed(tmp_path / "v.bed", rows, "chromosome,start,end,ref,alt,label"), flank=20)
    assert task.card.inputs == "variant"
    assert task.load("test").sequences[0] == genome[80:121]


@pytest.mark.parametrize("kind", ["classes", "values", "labels"])
def test_an_array_beside_holds_the_labels_of_its_rows(kind: str, tmp_path: Path, genome: str) -> None:
    rng = np.random.default_rng(1)
    truth: dict[str, Any] = {
        "classes": np.arange(30) % 2,
        "values": rng.normal(size=(30, 2)),
        "labels": rng.integers(2, size=(30, 5)),
    }
    rows = [(*region, split) for region, split in zip(regions(), splits(), strict=True)]
    file = bed(tmp_path / "a.bed", rows, "chromosome,start,end,strand,split")
    array(tmp_path / "a.hdf5", truth[kind])
    task = load(file)
    assert task.card.target == kind
    np.testing.assert_allclose(task.load("test").labels, truth[kind][24:])


@pytest.mark.parametrize("filled", [False, True], ids=["rows of their own lengths", "filled up"])
def test_states_of_bases_follow_the_genome_and_are_turned_with_the_strand(
    filled: bool, tmp_path: Path, genome: str
) -> None:
    rng = np.random.default_rng(2)
    places = [(contig, start, end - i % 4, strand) for i, (contig, start, end, strand) in enumerate(regions())]
    states = [rng.integers(3, size=end - start) for _, start, end, _ in places]
    wide = np.full((30, 40), -100)
    for row, own in enumerate(states):
        wide[row, : len(own)] = own
    rows = [(*region, split) for region, split in zip(places, splits(), strict=True)]
    file = bed(tmp_path / "a.bed", rows, "chromosome,start,end,strand,split")
    array(tmp_path / "a.hdf5", wide if filled else states)
    task = load(file)
    assert (task.card.target, task.label_names) == ("per_base", ("0", "1", "2"))
    table = task.load("train")
    for row in (0, 1):
        own = states[row][::-1] if row == 0 else states[row]
        assert table.labels[row, : len(own)].tolist() == own.tolist()
        assert (table.labels[row, len(own) :] == NO_STATE).all()
    with pytest.raises(DataError, match="--flank has no meaning for states of bases"):
        load(file, flank=10)


def test_bins_stand_for_their_bases_where_states_are_asked_for(tmp_path: Path, genome: str) -> None:
    bins = np.random.default_rng(3).integers(2, size=(30, 4))
    rows = [(*region[:3], split) for region, split in zip(regions(), splits(), strict=True)]
    file = bed(tmp_path / "a.bed", rows, "chromosome,start,end,split")
    array(tmp_path / "a.hdf5", bins)
    assert load(file).card.target == "labels"
    table = load(file, target="per_base").load("train")
    np.testing.assert_array_equal(table.labels, np.repeat(bins, 10, axis=1)[:18])


def test_arrays_that_do_not_fit_are_refused_in_a_sentence(tmp_path: Path, genome: str) -> None:
    rows = [(*region, split) for region, split in zip(regions(), splits(), strict=True)]
    file = bed(tmp_path / "a.bed", rows, "chromosome,start,end,strand,split")
    cases: list[tuple[Any, str, str]] = [
        (np.arange(29), "labels", r"its array labels has 29 rows, a.bed has 30; they belong together row by row"),
        ([np.zeros(40)] * 29 + [np.zeros(39)], "labels", "row 29: 39 labels for 40 bases"),
        (
            np.full((30, 7), 5),
            "labels",
            "neither labels of 0 and 1 nor states of 40 bases; say what it is with --target",
        ),
        (np.arange(30), "targets", "no array 'labels' among targets"),
    ]
    for truth, key, words in cases:
        array(tmp_path / "a.hdf5", truth, key)
        with pytest.raises(DataError, match=words):
            load(file)
    array(tmp_path / "a.hdf5", np.zeros((30, 7)))
    with pytest.raises(DataError, match="7 labels for the 40 bases of"):
        load(file, target="per_base")
    (tmp_path / "a.hdf5").write_bytes(b"no such thing")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        load(file)


def test_without_h5py_a_sentence_says_what_to_install(
    tmp_path: Path, genome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return own(name, *rest, **options)

    file = bed(tmp_path / "a.bed", [(*region, 0, "train") for region in regions()])
    (tmp_path / "a.h5").touch()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelError, match=r"pip install findna-bench\[hdf5\]"):
        load(file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("chr1", LENGTH - 20, LENGTH + 20), r"lies outside chr1, which has 3,000 bases in g.fa, as in 1 of 30 rows"),
        (("chr9", 0, 40), r"g.fa has no contig 'chr9' \(it has 1\), with or without chr, as in 1 of 30 rows"),
        (("chr1", 40, 40), "40 to 40 is no region, as in 1 of 30 rows"),
        (("chr1", "x", 40), "start 'x' is no whole number"),
    ],
    ids=["outside", "contig", "empty", "no number"],
)
def test_regions_that_are_not_in_the_genome_are_refused(
    change: tuple[Any, ...], words: str, tmp_path: Path, genome: str
) -> None:
    rows = [(*region, i % 2, split) for i, (region, split) in enumerate(zip(regions(), splits(), strict=True))]
    rows[4] = (*change, *rows[4][3:])  # type: ignore[assignment]
    with pytest.raises(DataError, match=words) as error:
        load(bed(tmp_path / "a.bed", rows))
    assert "row 6 (the header is row 1)" in str(error.value)


def test_a_genome_a_header_and_known_strands_are_needed(tmp_path: Path, genome: str) -> None:
    rows = [(*region, i % 2, split) for i, (region, split) in enumerate(zip(regions(), splits(), strict=True))]
    file = bed(tmp_path / "a.bed", rows)
    with pytest.raises(DataError, match="its rows are regions of a genome; give it with --fasta"):
        fb.load_task(file)
    (tmp_path / "b.bed").write_text("\n".join(file.read_text().splitlines()[1:]))
    with pytest.raises(DataError, match="its first row is no header"):
        read_bed(tmp_path / "b.bed")
    rows[0] = (*rows[0][:3], "x", *rows[0][4:])
    with pytest.raises(DataError, match=r"strand 'x' is none of \+, - and \."):
        load(bed(tmp_path / "c.bed", rows))


def test_a_bed_runs_and_verifies_elsewhere(tmp_path: Path, genome: str) -> None:
    rows = [(*region, i % 2, split) for i, (region, split) in enumerate(zip(regions(), splits(), strict=True))]
    file = bed(tmp_path / "a.bed", rows)
    (result,) = fb.run(["trivial"], [file], seeds=1, fasta=tmp_path / "g.fa", output_dir=tmp_path / "r")
    assert result.status == "success", result.error
    checked = verify(tmp_path / "r", rerun=1, places={"a.bed": file, "g.fa": tmp_path / "g.fa"})
    assert not checked.findings
    assert checked.rerun == 1
