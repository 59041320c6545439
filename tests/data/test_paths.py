"""Files and folders given as a task: what each layout means, what it is called, and what is said where it means nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy import refusal

import findna_bench as fb
from findna_bench.cards import TaskCard
from findna_bench.data.catalog import (
    adhoc_name,
    data_root,
    expected_rows,
    intervals_folder,
    read_manifest,
    task_folder,
    task_status,
)
from findna_bench.data.split_names import split_name, split_of_file
from findna_bench.data.table import RowOrder
from findna_bench.errors import UnknownNameError, UsageError


def dna(number: int) -> str:
    """Another sequence of ten bases for every number."""
    return "".join("ACGT"[(number >> 2 * place) % 4] for place in range(10))


def csv(*labels: object, first: int = 0, header: str = "sequence,label") -> str:
    return "\n".join([header, *(f"{dna(first + number)},{label}" for number, label in enumerate(labels))]) + "\n"


def fasta(n: int, first: int = 0, label: str = "") -> str:
    return "".join(f">r{number}{label}\n{dna(first + number)}\n" for number in range(n))


def lay(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_text(text)
    return folder


TEN = csv(*"ab" * 5)
MORE = csv(*"ab" * 5, first=100)
A, B, C, D = (fasta(6, first) for first in (0, 50, 100, 150))


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        ({"train.csv": TEN}, {"train": 8, "test": 2}),
        ({"train.csv": TEN, "test.csv": MORE}, {"train": 10, "test": 10}),
        ({"my_train.tsv": TEN.replace(",", "\t"), "my-dev.csv": MORE}, {"train": 8, "validation": 10, "test": 2}),
        ({"train-1-of-2.csv": TEN, "train-2-of-2.csv": MORE}, {"train": 16, "test": 4}),
        ({"train-0-of-2.csv": TEN, "train-1-of-2.csv": MORE}, {"train": 16, "test": 4}),
        ({"data/train.csv": TEN, "other/x.md": ""}, {"train": 8, "test": 2}),
        ({"inner/train.csv": TEN}, {"train": 8, "test": 2}),
        ({"train/2.csv": TEN, "train/10.csv": MORE, "test/x.csv": MORE}, {"train": 20, "test": 10}),
        ({"Training/x.fa": fasta(6, label="|a") + fasta(6, 50, "|b"), "test/a.fa": A, "test/b.fa": B}, {"train": 12, "test": 12}),
        ({"a.fa": A, "b.fa": B}, {"train": 10, "test": 2}),
        ({"a/x.fa": A, "b/x.fa": B}, {"train": 10, "test": 2}),
        ({"a/1.txt": dna(1), "a/2.txt": dna(2), "a/3.txt": dna(3), **{f"b/{n}.txt": dna(n) for n in range(9, 12)}}, {"train": 4, "test": 2}),
        ({"a_train.fa": A, "b_train.fa": B, "a_test.fa": C, "b_test.fa": D}, {"train": 12, "test": 12}),
        ({"train/a.fa": A, "train/b.fa": B, "test/a.fa": C, "test/b.fa": D}, {"train": 12, "test": 12}),
        ({"a/train.fa": A, "b/train.fa": B, "a/test.fa": C, "b/test.fa": D}, {"train": 12, "test": 12}),
        ({"a/train/x.fa": A, "b/train/y.fa": B, "a/val/x.fa": C, "b/val/y.fa": D}, {"train": 10, "validation": 12, "test": 2}),
        ({"train/a/1.fa": A, "train/b/x.fa": B, "test/a/1.fa": C, "test/b/x.fa": D}, {"train": 12, "test": 12}),
        ({"train.csv": TEN, "train.json": "{}"}, {"train": 8, "test": 2}),
    ],
)  # fmt: skip
def test_folders_are_read_by_the_names_in_them(files: dict[str, str], splits: dict[str, int], tmp_path: Path) -> None:
    task = fb.load_task(lay(tmp_path / "set", files))
    assert {split: len(task.load(split)) for split in task.splits} == splits
    assert task.label_names == ("a", "b")
    assert task.name == "adhoc/set"
    assert task.card.split_policy == (
        "test drawn from train (20 %, seed 0)" if "test.csv" not in files and splits["test"] < 6 else "as given"
    )
    assert task.card.summary == "set, given as a path"
    assert task.source["test_drawn"] is (splits["test"] < 6)


@pytest.mark.parametrize(
    ("files", "note"),
    [
        ({"train.csv": TEN, "x.bin": ""}, "x.bin is"),
        ({"train.csv": TEN, "x.bin": "", "readme": "", "y/z": ""}, "x.bin, y are"),
        ({"train.csv": TEN, "other.csv": "", "LICENCE.txt": "", ".hidden": "", "md5sum": "", "a.yaml": ""}, "other.csv is"),
        ({"train/a.csv": TEN, "more/b.csv": TEN}, "more is"),
        ({"a.fa": A, "b.fa": B, "x.csv": ""}, "x.csv is"),
        ({"a/x.fa": A, "b/y.fa": B, "c/notes": ""}, "c is"),
        ({"a_train.fa": A, "b_train.fa": B, "more.bin": ""}, "more.bin is"),
        ({"data/train.csv": TEN, "scripts/x.py": ""}, "scripts is"),
        ({"train.csv": TEN, "README.md": "", "dataset_infos.json": ""}, None),
    ],
)  # fmt: skip
def test_what_is_not_read_of_a_folder_is_named(files: dict[str, str], note: str | None, tmp_path: Path) -> None:
    task = fb.load_task(lay(tmp_path / "set", files))
    found = [text for text in task.notes if "left out" in text]
    assert found == (
        []
        if note is None
        else [f"set: {note} left out: named like no split or class, or no csv, tsv, parquet, jsonl or FASTA"]
    )


NOTHING = (
    "holds neither train, dev or test files (csv, tsv, parquet, jsonl, or FASTA with >name|label) nor one FASTA, or one folder of FASTA, "
    "per class (two or more)"
)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"x.md": "", "y.bin": ""}, "{set} " + NOTHING + " (there are x.md, y.bin)"),
        ({f"{n}.bin": "" for n in range(7)}, "{set} " + NOTHING + " (there are 0.bin, 1.bin, 2.bin, 3.bin, 4.bin)"),
        ({"a/": ""}, "{set}/a " + NOTHING + " (it is empty)"),
        ({"a/b/c.md": ""}, "{set}/a " + NOTHING + " (there are b)"),
        ({"a/x.md": "", "b/y.md": ""}, "{set} " + NOTHING + " (there are a, b)"),
        ({"a.fa": A}, "{set} " + NOTHING + " (there are a.fa)"),
        ({"test.csv": TEN}, "{set} " + NOTHING + " (there are test.csv)"),
        ({"train/a.fa": A, "training/b.fa": B}, "{set}: two of its folders are one split (train, training); leave one folder for each"),
        ({"train.csv": TEN, "my_train.tsv": TEN}, "{set}: two files for the train split (my_train.tsv and train.csv); leave one"),
        ({"train.csv": TEN, "dev.csv": TEN, "valid.csv": TEN}, "{set}: two files for the validation split (dev.csv and valid.csv); leave one"),
        ({"train-0-of-3.csv": TEN, "train-2-of-3.csv": MORE}, "{set}: train: shard 1 of 3 is missing; get it again"),
        ({"train-1-of-3.csv": TEN, "train-2-of-3.csv": MORE}, "{set}: train: shard 0 of 3 is missing; get it again"),
        (
            {"train-1-of-2.csv": TEN, "train-2-of-2.csv": MORE, "train-01-of-2.csv": TEN},
            "{set}: train: its shards do not fit (train-01-of-2.csv, train-1-of-2.csv, train-2-of-2.csv); get it again",
        ),
        (
            {"train-0-of-2.csv": TEN, "train-1-of-3.csv": MORE},
            "{set}: train: its shards do not fit (train-0-of-2.csv, train-1-of-3.csv); get it again",
        ),
        ({"train/a.fa": A, "train/x.md": ""}, "{set}/train holds neither tables alone nor one FASTA per class alone (a.fa, x.md)"),
        ({"train/a.fa": A, "train/x.csv": TEN}, "{set}/train holds neither tables alone nor one FASTA per class alone (a.fa, x.csv)"),
        ({"train/.x": "", "test/a.csv": TEN}, "{set} " + NOTHING + " (there are test, train)"),
        ({"a.fa": A, "a.fna": B, "c.fa": C}, "{set}: two files for the class a (a.fa and a.fna); leave one"),
        ({"train.csv": "sequence,label\n"}, "{set}/train.csv has a header and no rows"),
        ({"a.fa": A, "b.fa": ""}, "{set}/b.fa is empty"),
        ({"a.fa": A, "b.fa": "ACGT\n"}, "{set}/b.fa, line 1: no FASTA header (a line that starts with >)"),
        ({"train.fa": ">x\nACGT\n>y|a\nAA\n"}, "{set}/train.fa, record 1: header 'x' does not end in |label"),
        ({"train.fa": ""}, "{set}/train.fa is empty"),
        (
            {"a/x.fa": A, "b/y.fa": B, "c/test.fa": C},
            "{set}: no name says which split a/x.fa is in, as others do; put train, validation or test into it",
        ),
        (
            {"a/b/x.fa": A, "b/y.fa": B},
            "{set}: a/b/x.fa lies in several folders that may be its class; keep one folder per class, and one above or below it per split",
        ),
        (
            {"train/test/a.fa": A, "test/b.fa": B},
            "{set}: train/test/a.fa lies in several folders that may be its split; keep one folder per class, and one above or below it per split",
        ),
        ({"train.csv": csv(*"ab" * 5), "test.csv": csv(*"ac" * 5)}, "{set}: label 'c' occurs in test and not in train; write labels alike in all splits"),
        ({"train.csv": TEN, "test.csv": "sequence,value\nACGT,1\n"}, "{set}/test.csv: no column label or class among sequence, value; rename one"),
    ],
)  # fmt: skip
def test_a_folder_that_means_nothing_is_refused(files: dict[str, str], message: str, tmp_path: Path) -> None:
    folder = lay(tmp_path / "set", files)
    assert refusal(lambda: fb.load_task(folder)) == message.format(set=folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (csv("0.5", "1", "1"), "label 0.5 is no class; call the column value to predict numbers, or give classes"),
        (csv("1e-3", "0.2", "1"), "label 0.2 is no class; call the column value to predict numbers, or give classes"),
        (csv(*range(1001)), "1001 different labels are no classes; call the column value to predict numbers, or give classes"),
        (csv('"0,5"', '"1,5"'), "labels such as '0,5' have a decimal comma; write 0"),
        (csv("a", "a"), "all rows have label 'a'; two classes or more are needed"),
        (csv("1", "01", "2"), "labels '01' and '1' are one number; write it alike in all rows"),
        (csv(*"ab"), "too few independent rows to draw a test split from; give one (column split)"),
        ("sequence,label,split\nAC,a,train\nAG,b,all\n", "{row 3}: split 'all' is none of train, dev, eval, valid, validation and test"),
        ("sequence,label,split\nAC,a,test\nAG,b,test\n", "no train split; give a train file, or rows with split train"),
        ("sequence,label,split\nAC,a,train\nAG,b,test\nAT,b,dev\n", "label 'b' occurs in validation, test and not in train; write labels alike in all splits"),
        ("sequence,label,part,fold\nAC,a,train,train\nAG,b,test,dev\n", "columns part and fold both say the split of a row; call one of them split"),
        ("sequence,label,value\nAC,a,1\nAG,b,2\n", "too few independent rows to draw a test split from; give one (column split)"),
    ],
)  # fmt: skip
def test_a_table_whose_labels_are_no_classes_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    row = re.match(r"\{(row \d+)\}", message)
    wanted = f"{path}, {row[1]} (the header is row 1){message[row.end() :]}" if row else f"{path}: {message}"
    assert refusal(lambda: fb.load_task(path)) == wanted


def test_a_thousand_classes_are_classes(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(csv(*[n % 1000 for n in range(2000)]))
    assert fb.load_task(path).label_names == tuple(map(str, range(1000)))


def test_one_line_says_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    lines = [f"{dna(n)}{'A' * (n % 3)},{'ab'[n % 2]},{['train', 'dev', 'test'][n % 3]}" for n in range(1200)]
    path.write_text("\n".join(["sequence,label,part", *lines]) + "\n")
    task = fb.load_task(path)
    assert task.notes == (
        "x.csv: 1,200 rows, classes a (600), b (600); train 400, validation 400, test 400; 10 to 12 bp",
        f"{path}: column 'part' says which split a row is in",
    )
    assert task.card.length == (10, 12)
    assert (task.card.metric, task.card.target, task.card.effect, task.card.inputs) == (
        "accuracy",
        "classes",
        "signed",
        "sequence",
    )
    assert task.row_order == RowOrder("the rows of x.csv", 1200)
    assert task.load("test").place is not None
    assert task.load("test").place.tolist() == list(range(2, 1200, 3))  # type: ignore[union-attr]
    folder = lay(tmp_path / "set", {"train.csv": TEN, "test.csv": csv(*"ab", "", first=300)})
    dropped = fb.load_task(folder, drop_missing=True)
    assert dropped.row_order == RowOrder(
        "the rows of the files train, then test of set that are not dropped", 12, {"train": 10, "test": 2}
    )
    assert dropped.load("test").place.tolist() == [10, 11]  # type: ignore[union-attr]
    assert "1 of 3 rows are dropped, 1 without label (empty 1)" in dropped.notes[1]
    assert fb.load_task(lay(tmp_path / "cls", {"a.fa": A, "b.fa": B})).row_order == RowOrder("", 12)


def test_digits_of_a_name_count_as_numbers(tmp_path: Path) -> None:
    files = {"train/10.csv": csv(*"ab"), "train/9.csv": csv(*"ab", first=20), "test/x.csv": csv(*"ab", first=40)}
    train = fb.load_task(lay(tmp_path / "set", files)).load("train")
    assert train.sequences == [dna(20), dna(21), dna(0), dna(1)]
    texts = {
        f"{name}/{number}.txt": dna(number)
        for name, numbers in (("a", (2, 10, 3)), ("b", (7, 8, 9)))
        for number in numbers
    }
    rows, _ = fb.load_task(lay(tmp_path / "texts", texts)).in_order()
    assert rows.sequences == [dna(n) for n in (2, 3, 10, 7, 8, 9)]
    assert rows.ids.tolist() == ["2", "3", "10", "7", "8", "9"]


def test_numbered_classes_stand_in_order_of_size_and_are_named_where_a_column_does(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(csv(*[f"{n % 3 + 8},{'cab'[n % 3]}" for n in range(30)], header="sequence,label,class"))
    assert fb.load_task(path).label_names == ("c", "a", "b")
    path.write_text(csv(*[f"{n % 3 + 8},{'cac'[n % 3]}" for n in range(30)], header="sequence,label,class"))
    assert fb.load_task(path).label_names == ("8", "9", "10")
    folder = lay(
        tmp_path / "set",
        {
            "train.csv": csv(*["0,x", "1,y"] * 5, header="sequence,label,class"),
            "test.csv": csv(*["0,y", "1,x"] * 5, header="sequence,label,class", first=50),
        },
    )
    assert fb.load_task(folder).label_names == ("0", "1")  # two files name them otherwise
    mixed = tmp_path / "m.csv"
    mixed.write_text(csv(*["a", "1", "b", "c", "d", "2"] * 5))
    assert (
        fb.load_task(mixed).notes[1]
        == "some labels are numbers, others are not (a, b, c, ...); all of them are classes"
    )
    mixed.write_text(csv(*["a", "1", "b", "c", "A"] * 5))
    assert fb.load_task(mixed).notes[1:] == (
        "labels 'A' and 'a' differ in case alone and are different classes",
        "some labels are numbers, others are not (A, a, b, ...); all of them are classes",
    )
    mixed.write_text(csv(*["a", "1", "b", "c"] * 5))
    assert fb.load_task(mixed).notes[1] == "some labels are numbers, others are not (a, b, c); all of them are classes"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("x/enhancers.csv.gz", "enhancers"),
        ("x/enhancers.v2.TSV", "enhancers.v2"),
        ("x/train.parquet", "x-train"),
        ("x/Data.json", "x-Data"),
        ("x/my.set-_ (1).fa", "my.set-_-1"),
        ("x/_a+b_.csv", "a+b"),
        ("x/données.csv", "donn-es-"),
        ("x/---.csv", "task"),
        ("x/a.zip", "a.zip"),
        ("x/b.bed.bgz", "b"),
    ],
)
def test_a_path_is_called_by_its_name(path: str, name: str, tmp_path: Path) -> None:
    lay(tmp_path, {path: ""})
    found = adhoc_name(tmp_path / path)
    assert found == name if not name.endswith("-") else re.fullmatch(rf"{name}[0-9a-f]{{8}}", found)


def test_folders_keep_what_looks_like_a_suffix(tmp_path: Path) -> None:
    lay(tmp_path, {"some.csv/": "", "up/data/": ""})
    assert adhoc_name(tmp_path / "some.csv") == "some.csv"
    assert adhoc_name(tmp_path / "up" / "data") == "up-data"


@pytest.mark.parametrize(
    ("text", "split"),
    [
        *((text, "train") for text in ("train", "Training", " TRAIN ")),
        *((text, "validation") for text in ("dev", "valid", "val", "eval", "evaluation", "validation")),
        *((text, "test") for text in ("test", "TESTING")),
        *((text, None) for text in ("", "tests", "trained", "holdout", "train test")),
    ],
)
def test_splits_have_usual_spellings(text: str, split: str | None) -> None:
    assert split_name(text) == split


@pytest.mark.parametrize(
    ("stem", "found"),
    [
        ("train", ("train", None)),
        ("my-DEV set", ("validation", None)),
        ("train_test", None),
        ("training.train", ("train", None)),
        ("x", None),
        ("trainer", None),
        ("train-00003-of-00012", ("train", (3, 12))),
        ("x_test_1_of_2-0a1b", ("test", (1, 2))),
        ("test.0.OF.4", ("test", (0, 4))),
        ("1-of-2", None),
    ],
)
def test_the_split_of_a_file_is_in_its_name(stem: str, found: Any) -> None:
    assert split_of_file(stem) == found


def test_the_data_root_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINDNA_BENCH_DATA_DIR", "~/given")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_root() == tmp_path / "given"
    assert data_root(tmp_path / "own") == tmp_path / "own"
    assert data_root("relative") == Path.cwd() / "relative"
    monkeypatch.delenv("FINDNA_BENCH_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert data_root() == tmp_path / "xdg" / "findna-bench"
    assert task_folder("s", "t", tmp_path) == tmp_path / "tasks" / "s" / "t"
    assert intervals_folder("s", "t", tmp_path) == tmp_path / "intervals" / "s" / "t"


def test_a_manifest_is_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    assert read_manifest(tmp_path) is None
    for text in ("[]", "{}", '{"files": []}', '{"digest": "x"}'):
        path.write_text(text)
        assert (
            refusal(lambda: read_manifest(tmp_path))
            == f"{path} is not a manifest of an imported task; delete the folder and fetch the task again"
        )
    path.write_text("{")
    assert refusal(lambda: read_manifest(tmp_path)).startswith(f"{path} is not JSON (")
    path.write_text('{"files": [], "digest": "x", "more": 1}')
    assert read_manifest(tmp_path) == {"files": [], "digest": "x", "more": 1}
    path.unlink()
    path.mkdir()
    assert refusal(lambda: read_manifest(tmp_path)) == f"{path} cannot be read (Is a directory); check its permissions"


def test_what_is_known_of_a_card_without_its_data(tmp_path: Path) -> None:
    def card(**more: Any) -> TaskCard:
        return TaskCard(**{"name": "t", "suite": "s", "labels": ("a", "b"), **more})

    counts = {"test": {"a": 1, "b": 2}, "train": {"a": 30, "b": 4}}
    assert expected_rows(card()) == {}
    assert expected_rows(card(counts=counts, config={"rows": {"validation": "7", "test": 5, "other": 1}})) == {
        "train": 34,
        "validation": 7,
        "test": 3,
    }
    assert list(expected_rows(card(counts=counts))) == ["train", "test"]
    assert task_status(card(embedded="p:f"), tmp_path) == "embedded"
    assert task_status(card(factory="p:f"), tmp_path) == "generated"
    assert task_status(card(), tmp_path) == "missing"
    lay(tmp_path, {"intervals/s/t/manifest.json": '{"files": [], "digest": ""}'})
    assert task_status(card(), tmp_path) == "coordinates"
    lay(tmp_path, {"tasks/s/t/manifest.json": '{"files": [], "digest": "", "status": "partial"}'})
    assert task_status(card(), tmp_path) == "partial"
    assert task_status(card(name="u", derived_from="s/t", rows="p:x"), tmp_path) == "partial"


def test_a_name_is_a_task_before_it_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay(tmp_path, {"species4": "", "demo/species4": "", "d/x.csv": TEN})
    assert fb.load_task("demo/species4").name == "demo/species4"
    assert fb.load_task("demo/species4").status == "embedded"
    assert fb.load_task("d/x.csv").name == "adhoc/x"
    assert fb.load_task("./d/x.csv").name == "adhoc/x"
    with pytest.raises(UsageError) as missing:
        fb.load_task("./none")
    assert str(missing.value) == "task none: no such file or folder"
    lay(tmp_path, {"nosuchtask": ""})
    with pytest.raises(UnknownNameError) as unknown:
        fb.load_task("nosuchtask")
    assert str(unknown.value).endswith("; for the file or folder of this name write ./nosuchtask")
    with pytest.raises(UnknownNameError) as nowhere:
        fb.load_task("nosuchtask2")
    assert "write ./" not in str(nowhere.value)


def test_vectors_follow_the_rows_of_all_splits(tmp_path: Path) -> None:
    folder = lay(tmp_path / "set", {"train.csv": TEN, "dev.csv": MORE, "test.csv": csv(*"ab", first=300)})
    task = fb.load_task(folder)
    rows, splits = task.in_order()
    np.testing.assert_array_equal(rows.place, np.arange(22))
    assert splits.tolist() == ["train"] * 10 + ["validation"] * 10 + ["test"] * 2
    origins = task.origins("test")
    assert (origins.places.tolist(), origins.ids.tolist(), origins.splits.tolist()) == (
        [20, 21],
        ["0", "1"],
        ["test"] * 2,
    )


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("{c}_train", "{c}"),
        ("train_{c}", "{c}"),
        ("{c}-train.v2", "{c}.v2"),
        ("train_{c}_v2", "{c}_v2"),
        ("x_{c}_train_1", "x_{c}_1"),
    ],
)
def test_a_class_is_what_a_name_says_beside_its_split(name: str, label: str, tmp_path: Path) -> None:
    files = {f"{name.format(c=c)}.fa": fasta(6, first) for c, first in (("a", 0), ("b", 50))}
    assert fb.load_task(lay(tmp_path / "set", files)).label_names == (label.format(c="a"), label.format(c="b"))
