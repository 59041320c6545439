"""Files as people have them: what was written is what is read, or a sentence says which row it is not."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.errors import DataError, UsageError
from findna_bench.sequences.genome import read_bed

ROWS = 40


def letters(seed: int = 0, n: int = ROWS) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), size=30)) for _ in range(n)]


def csv(labels: list[str], header: str = "sequence,label", sequences: list[str] | None = None) -> str:
    rows = zip(sequences or letters(n=len(labels)), labels, strict=True)
    return header + "\n" + "".join(f"{sequence},{label}\n" for sequence, label in rows)


def fasta(sequences: list[str], header: Callable[[int], str]) -> bytes:
    return "".join(f">{header(i)}\n{sequence}\n" for i, sequence in enumerate(sequences)).encode()


def alternating(*names: str, n: int = ROWS) -> list[str]:
    return [names[i % len(names)] for i in range(n)]


@pytest.mark.parametrize(
    "missing",
    [
        "",
        "NA",
        "nan",
        "NaN",
        "Nan",
        "null",
        "NULL",
        "Null",
        "None",
        "none",
        "N/A",
        "n/a",
        "N.A.",
        "<NA>",
        "#N/A",
        "#REF!",
    ],
)
@pytest.mark.parametrize("column", ["sequence", "label"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_missing_value_is_one_whatever_wrote_it(tmp_path: Path, missing: str, column: str, suffix: str) -> None:
    labels, sequences = alternating("0", "1"), letters()
    (labels if column == "label" else sequences)[6] = missing
    text = csv(labels, sequences=sequences)
    path = tmp_path / f"x{suffix}"
    path.write_text(text if suffix == ".csv" else text.replace(",", "\t"))
    with pytest.raises(DataError, match=rf"row 8 .*: the row has no {column}"):
        fb.load_task(path)


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        (("-1", "+1"), ("-1", "1")),
        (("0.0", "1.0"), ("0", "1")),
        (("0.", "1."), ("0", "1")),
        (("FALSE", "TRUE"), ("FALSE", "TRUE")),
        (("2", "10"), ("2", "10")),
        (("no", "yes"), ("no", "yes")),
        (("0e+00", "1e+05"), ("0", "100000")),
        (("\N{MINUS SIGN}1", "+1"), ("-1", "1")),
        ((" 0", "1 "), ("0", "1")),
        ((' "0"', ' "1"'), ("0", "1")),
    ],
)
def test_labels_as_programs_write_them(tmp_path: Path, written: tuple[str, str], labels: tuple[str, str]) -> None:
    (tmp_path / "x.csv").write_text(csv(alternating(*written)))
    task = fb.load_task(tmp_path / "x.csv")
    assert task.label_names == labels
    rows, _ = task.in_order()
    assert rows.labels.tolist() == [i % 2 for i in range(ROWS)]


def test_another_column_names_numbers_only_where_it_maps_to_them_one_to_one(tmp_path: Path) -> None:
    one, two = alternating("0", "1"), alternating("promoter", "background")
    both = [f"{number},{name}" for number, name in zip(one, two, strict=True)]
    (tmp_path / "named.csv").write_text(csv(both, "sequence,label,class"))
    named = fb.load_task(tmp_path / "named.csv")
    assert named.label_names == ("promoter", "background")  # label 1 stays class 1
    assert named.in_order()[0].labels.tolist() == [i % 2 for i in range(ROWS)]
    (tmp_path / "other.csv").write_text(
        csv(
            [f"{n},{t}" for n, t in zip(one, alternating("CTCF", "MYC", "REST", "YY1"), strict=True)],
            "sequence,label,target",
        )
    )
    assert fb.load_task(tmp_path / "other.csv").label_names == ("0", "1")


@pytest.mark.parametrize("suffix", ["fa", "fasta", "fna", "fas", "ffn", "frn", "FA", "Fasta"])
@pytest.mark.parametrize("compression", ["", ".gz", ".GZ", ".bgz"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_fasta_of_every_name_is_read(tmp_path: Path, suffix: str, compression: str, mark: bytes) -> None:
    folder = tmp_path / "classes"
    folder.mkdir()
    for name, seed in (("a", 0), ("b", 1)):
        content = mark + fasta(letters(seed), lambda i: f"r{i}")
        (folder / f"{name}.{suffix}{compression}").write_bytes(gzip.compress(content) if compression else content)
    task = fb.load_task(folder)
    assert task.label_names == ("a", "b")
    assert task.in_order()[0].sequences == letters(0) + letters(1)


@pytest.mark.parametrize(
    "names", [("train.fa", "test.fa"), ("train.fna.gz", "test.fna.gz"), ("my_train.fasta", "my_test.fasta")]
)
def test_fasta_named_like_splits_has_its_labels_in_the_headers(tmp_path: Path, names: tuple[str, str]) -> None:
    for seed, name in enumerate(names):
        content = fasta(letters(seed), lambda i: f"chr1:{i} | {'pos' if i % 2 else 'neg'}")
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    task = fb.load_task(tmp_path)
    assert task.label_names == ("neg", "pos")
    assert task.load("test").sequences == letters(1)
    assert task.load("train").labels.tolist() == [i % 2 for i in range(ROWS)]
    (tmp_path / names[0]).write_bytes(fasta(letters(0), lambda i: f"r{i}"))
    with pytest.raises(DataError, match=r"does not end in \|label"):
        fb.load_task(tmp_path)


def test_shards_are_one_split_and_a_missing_one_is_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = tmp_path / "set" / "data"
    data.mkdir(parents=True)
    whole = {"sequence": letters(), "label": [i % 2 for i in range(ROWS)]}
    for shard in range(3):
        part = {name: values[shard * 10 : shard * 10 + 10] for name, values in whole.items()}
        pq.write_table(pa.table(part), data / f"train-{shard:05d}-of-00003.parquet")
    rest = {name: values[30:] for name, values in whole.items()}
    pq.write_table(pa.table(rest), data / "test-00000-of-00001-0a1b2c3d.parquet")
    task = fb.load_task(tmp_path / "set")
    assert task.load("train").sequences == whole["sequence"][:30]
    assert task.load("test").sequences == whole["sequence"][30:]
    (data / "train-00001-of-00003.parquet").unlink()
    with pytest.raises(DataError, match="train: shard 1 of 3 is missing"):
        fb.load_task(tmp_path / "set")


def test_what_is_left_out_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(csv(alternating("0", "1")))
    (tmp_path / "test.rda").write_text("{}")
    (tmp_path / "extra.csv").write_text(csv(alternating("0", "1")))
    (tmp_path / "README.md").write_text("words")
    task = fb.load_task(tmp_path)
    assert any("extra.csv, test.rda are left out" in note for note in task.notes)
    assert "40 rows, classes 0 (20), 1 (20); train 32, test 8 (drawn); 30 bp" in task.notes[0]


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "x0.rda is left out"),
        (5, "x0.rda, x1.rda, x2.rda, x3.rda, x4.rda are left out"),
        (7, "x0.rda, x1.rda, x2.rda, x3.rda, x4.rda and 2 more are left out"),
    ],
)
def test_five_files_that_are_left_out_are_named_and_the_rest_counted(tmp_path: Path, count: int, words: str) -> None:
    (tmp_path / "train.csv").write_text(csv(alternating("0", "1")))
    for number in range(count):
        (tmp_path / f"x{number}.rda").write_text("{}")
    assert any(f": {words}: named like no split" in note for note in fb.load_task(tmp_path).notes)


@pytest.mark.parametrize(("count", "rest"), [(10, ""), (11, " and 1 more"), (12, " and 2 more")])
def test_ten_classes_are_named_and_the_rest_counted(tmp_path: Path, count: int, rest: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(csv([f"c{row % count:02}" for row in range(20 * count)]))
    named = ", ".join(f"c{number:02} (20)" for number in range(10))
    assert f"{20 * count} rows, classes {named}{rest}; train" in fb.load_task(path).notes[0]


@pytest.mark.parametrize("end", ["", "\n", "\n\n", " \n", ",\n,\n", "\r\n\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_how_a_table_begins_and_ends_is_nothing(tmp_path: Path, end: str, mark: str, line: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes((mark + csv(alternating("0", "1")).replace("\n", line) + end).encode())
    rows, _ = fb.load_task(path).in_order()
    assert rows.sequences == letters()


def test_a_blank_line_between_rows_is_refused(tmp_path: Path) -> None:
    text = csv(alternating("0", "1")).splitlines(keepends=True)
    (tmp_path / "x.csv").write_text("".join([*text[:5], "\n", *text[5:]]))
    with pytest.raises(DataError, match=r"row 6 .*: the row is empty; remove it"):
        fb.load_task(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("coordinates", "ignored"),
    [
        (lambda i: f"chr1,{100 * i},{100 * i + 30},+", 0),
        (lambda i: f"chr1,{100 * i},{100 * i + 30},*", 0),
        (lambda i: ",,," if i % 2 else f"chr1,{100 * i},{100 * i + 30},-", 0),
        (lambda i: f"chr1,{100 * i + 30},{100 * i},-" if i % 2 else f"chr1,{100 * i},{100 * i + 30},+", 20),
        (lambda i: f"chr1,{100 * i}.5,{100 * i + 30},+" if i < 3 else f"chr1,{100 * i},{100 * i + 30},+", 3),
        (lambda i: f"chr1,{100 * i},{100 * i + 30},up", 40),
    ],
)
def test_coordinates_that_make_no_sense_are_counted_and_ignored(
    tmp_path: Path, coordinates: Callable[[int], str], ignored: int
) -> None:
    labels = [f"{i % 2},{coordinates(i)}" for i in range(ROWS)]
    (tmp_path / "x.csv").write_text(csv(labels, "sequence,label,chrom,start,end,strand"))
    task = fb.load_task(tmp_path / "x.csv")
    assert task.in_order()[0].sequences == letters()
    found = [note for note in task.notes if "make no sense" in note]
    assert bool(found) == bool(ignored)
    if ignored:
        assert f"coordinates of {ignored} of {ROWS} rows" in found[0]


def test_files_named_in_other_scripts_are_different_tasks(tmp_path: Path) -> None:
    names = set()
    for name in ("数据", "結果", "Δ-set", "ε-set"):
        (tmp_path / f"{name}.csv").write_text(csv(alternating("0", "1")))
        names.add(fb.load_task(tmp_path / f"{name}.csv").name)
    assert len(names) == 4


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_bed_may_be_gzipped_and_begin_with_a_mark(tmp_path: Path, compressed: bool, mark: bytes) -> None:
    content = mark + b"chr1\t0\t3000\nchr2\t5\t10\n"
    (tmp_path / "x.bed").write_bytes(gzip.compress(content) if compressed else content)
    assert [(i.contig, i.start, i.end) for i in read_bed(tmp_path / "x.bed")] == [("chr1", 0, 3000), ("chr2", 5, 10)]


def test_paths_and_single_sequences_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.csv").write_text(csv(alternating("0", "1")))
    monkeypatch.chdir(tmp_path)
    (found,) = fb.run("majority", [Path("x.csv")], seeds=1, output_dir=tmp_path / "r")
    assert found.task_name == "adhoc/x"
    assert fb.run("majority", Path("x.csv"), seeds=1, output_dir=tmp_path / "r")[0].digest == found.digest
    assert np.array_equal(fb.embed("findna-tiny", "ACGT"), fb.embed("findna-tiny", ["ACGT"]))
    with pytest.raises(DataError, match="sequence 1 is None, a NoneType"):
        fb.embed("findna-tiny", ["ACGT", None])  # type: ignore[list-item]


def test_what_was_read_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from findna_bench.cli import app

    (tmp_path / "x.csv").write_text(csv(alternating("0", "1")))
    with pytest.raises(SystemExit):
        app(["run", "-m", "majority,kmer", "-t", str(tmp_path / "x.csv"), "--seeds", "1", "-o", str(tmp_path / "r")])
    said = capsys.readouterr()
    assert (said.out + said.err).count("x.csv: 40 rows, classes 0 (20), 1 (20); train 32, test 8 (drawn); 30 bp") == 1


@pytest.mark.parametrize("kind", ["empty", "fifo", "folder"])
def test_what_is_no_data_ends_in_a_sentence(tmp_path: Path, kind: str) -> None:
    import os

    path = tmp_path / "x.csv"
    if kind == "empty":
        path.touch()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path = tmp_path / "nothing"
        path.mkdir()
    with pytest.raises(DataError, match=r"is empty|neither a file nor a folder|holds neither"):
        fb.load_task(path)


def test_files_of_one_name_are_different_tasks_and_stand_apart(tmp_path: Path) -> None:
    from findna_bench.comparison.comparing import compare_models
    from findna_bench.leaderboard.table_building import leaderboard

    paths = [tmp_path / folder / "x.csv" for folder in "ab"]
    for seed, path in enumerate(paths):
        path.parent.mkdir()
        path.write_text(csv(alternating("0", "1"), sequences=letters(seed)))
    results = tmp_path / "r"
    found = [fb.run(["majority", "kmer"], [path], seeds=1, output_dir=results) for path in paths]
    together = fb.run(["majority", "kmer"], paths, seeds=1, output_dir=results)  # each is finished already
    assert {result.identity for result in together} == {result.identity for run in found for result in run}
    (table,) = leaderboard(together).tables
    names = sorted(f"adhoc/x#{run[0].task.data_digest[:6]}" for run in found)
    assert [column.name for column in table.columns] == names
    kmer = next(row for row in table.rows if row.model == "kmer")
    shown = {name: entry.value for name, entry in kmer.entries.items()}
    assert shown == {f"adhoc/x#{run[1].task.data_digest[:6]}": run[1].metrics.main.value for run in found}
    assert [task.task for task in compare_models(results, ["majority", "kmer"]).tasks] == names
    (one,) = compare_models(results, ["majority", "kmer"], tasks=[str(paths[1])]).tasks
    assert one.task == f"adhoc/x#{found[1][0].task.data_digest[:6]}"
    paths[1].write_text(csv(alternating("0", "1"), sequences=letters(7)))  # edited: what was scored before is older
    again = fb.run(["majority", "kmer"], [paths[1]], seeds=1, output_dir=results)
    (table,) = leaderboard([*together, *again]).tables
    digests = {found[0][0].task.data_digest[:6], again[0].task.data_digest[:6]}
    assert {column.name for column in table.columns} == {f"adhoc/x#{digest}" for digest in digests}


def test_one_fasta_has_its_labels_in_the_headers(tmp_path: Path) -> None:
    (tmp_path / "x.fna.gz").write_bytes(gzip.compress(fasta(letters(), lambda i: f"r{i}|{i % 2}")))
    task = fb.load_task(tmp_path / "x.fna.gz")
    assert (task.name, task.label_names) == ("adhoc/x", ("0", "1"))
    assert task.in_order()[0].sequences == letters()


def test_true_in_any_spelling_is_one_class_and_other_spellings_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(csv(alternating("true", "False", "TRUE", "false")))
    task = fb.load_task(path)
    assert task.label_names == ("False", "True")
    assert task.in_order()[0].labels.tolist() == [1 - i % 2 for i in range(ROWS)]
    path.write_text(csv(alternating("yes", "no", "Yes", "no")))
    assert any("'Yes' and 'yes' differ in case alone" in note for note in fb.load_task(path).notes)
    path.write_text(csv(alternating("0", "1", "1", "?")))
    assert any("some labels are numbers, others are not (?)" in note for note in fb.load_task(path).notes)
    path.write_text(csv(alternating("01", "2", "1", "2")))
    with pytest.raises(DataError, match="labels '01' and '1' are one number"):
        fb.load_task(path)


@pytest.mark.parametrize(
    "files",
    [
        ("README.md", "data/train-00000-of-00001-0a1b.csv", "data/test-00000-of-00001-0c2d.csv"),
        ("README.md", "plain_text/train-0-of-1.csv", "plain_text/test.csv"),
        ("default/train/0000.csv", "default/test/0000.csv"),
        ("train/0.csv", "test/0.csv"),
        ("Train-00001-Of-00001.csv", "test_00000_of_00001.csv"),
    ],
)
def test_folders_as_the_hub_lays_them_out(tmp_path: Path, files: tuple[str, ...]) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(csv(alternating("0", "1"), sequences=letters("test" in file)))
    task = fb.load_task(tmp_path)
    assert task.load("train").sequences == letters(0)
    assert task.load("test").sequences == letters(1)


def test_a_folder_per_split_may_hold_one_fasta_per_class(tmp_path: Path) -> None:
    for seed, name in enumerate(("train/neg.fa", "train/pos.fa", "test/neg.fa", "test/pos.fa")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(fasta(letters(seed), lambda i: f"r{i}"))
    task = fb.load_task(tmp_path)
    assert task.label_names == ("neg", "pos")
    assert task.load("test").sequences == letters(2) + letters(3)


def test_nothing_in_a_folder_is_passed_over_in_silence(tmp_path: Path) -> None:
    import os

    (tmp_path / "train.csv").write_text(csv(alternating("0", "1")))
    (tmp_path / "test").mkdir()
    assert any("test is left out" in note for note in fb.load_task(tmp_path).notes)
    os.mkfifo(tmp_path / "test.csv")
    with pytest.raises(DataError, match=r"test.csv: is no regular file"):
        fb.load_task(tmp_path)
    (tmp_path / "test.csv").unlink()
    (tmp_path / "test.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"test.csv: cannot be read"):
        fb.load_task(tmp_path)
    classes = tmp_path / "classes"
    classes.mkdir()
    for name in ("a.fa", "a.fa.gz", "b.fa"):
        content = fasta(letters(), lambda i: f"r{i}")
        (classes / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(DataError, match=r"two files for the class a \(a.fa and a.fa.gz\); leave one"):
        fb.load_task(classes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sequence,label,label\n", "two columns have the same name, 'label'"),
        ("sequence\0,label\nACGT,0\n", "holds NUL characters where text is expected"),
        ("sequence;label\nACGT;0\n", "separated by ';'"),
        ("sequence,label\nACGT,0,\n", "3 fields where the header has 2"),
        ("ACGTACGTACGT,0\nACGTACGTACGT,1\n", "its first row holds a sequence"),
    ],
)
def test_tables_that_are_none_end_in_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        fb.load_task(tmp_path / "x.csv")


def test_columns_without_a_name_are_carried_along(tmp_path: Path) -> None:
    rows = [f"{i},{i},{sequence},{i % 2}" for i, sequence in enumerate(letters())]
    (tmp_path / "x.csv").write_text("\n".join([",,sequence,label", *rows]))
    assert fb.load_task(tmp_path / "x.csv").in_order()[0].sequences == letters()


def test_paths_that_lead_nowhere_end_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    for name in ("loop.csv", "a" * 300 + ".csv", "no.csv"):
        with pytest.raises(UsageError, match="no such file or folder"):
            fb.load_task(tmp_path / name)
