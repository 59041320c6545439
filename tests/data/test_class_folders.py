"""Folders whose names say classes and splits, and splits by other names: what was written is what is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.errors import DataError

ROWS = [
    ("".join(np.random.default_rng(row).choice(list("ACGT"), size=30)), ("neg", "pos")[row % 2], row < 24)
    for row in range(36)
]
"""(sequence, class, whether it is a row of train)."""


def write(folder: Path, name: str) -> Path:
    """Each row into the file that ``name`` gives it: ``{c}`` is its class, ``{s}`` its split, ``{n}`` its number."""
    texts: dict[str, list[str]] = {}
    for number, (sequence, label, train) in enumerate(ROWS):
        file = name.format(c=label, s="train" if train else "test", n=number, half="ab"[number % 4 // 2])
        texts.setdefault(file, []).append(sequence + "\n" if name.endswith(".txt") else f">r{number}\n{sequence}\n")
    for file, lines in texts.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("".join(lines))
    return folder


def read(path: Path) -> dict[str, set[tuple[str, str]]]:
    task = fb.load_task(path)
    tables = {split: task.load(split) for split in task.splits}
    return {
        split: {(sequence, task.label_names[label]) for sequence, label in zip(t.sequences, t.labels, strict=True)}
        for split, t in tables.items()
    }


def written(train: bool | None = None) -> set[tuple[str, str]]:
    return {(sequence, label) for sequence, label, of_train in ROWS if train in (None, of_train)}


@pytest.mark.parametrize(
    "name",
    [
        "{s}/{c}/x.fa",
        "{c}/{s}/x.fa",
        "{c}/{s}.fa",
        "{s}/{c}.fa",
        "{c}_{s}.fa",
        "{s}-{c}.fasta",
        "data/{s}/{c}/x.fa",
        "set/{c}/{s}.fna",
        "{s}/{c}/{half}.fa",
        "{s}/{c}/{n}.txt",
    ],
)
def test_names_of_folders_and_files_say_class_and_split(tmp_path: Path, name: str) -> None:
    assert read(write(tmp_path, name)) == {"train": written(True), "test": written(False)}


@pytest.mark.parametrize("name", ["{c}/x.fa", "{c}/{half}.fa", "all/{c}/x.fa", "{c}/{n}.txt"])
def test_without_a_split_a_test_is_drawn_from_all_classes(tmp_path: Path, name: str) -> None:
    found = read(write(tmp_path, name))
    assert found["train"] | found["test"] == written()
    assert not found["train"] & found["test"]


def test_what_names_leave_open_ends_in_a_sentence(tmp_path: Path) -> None:
    write(tmp_path / "half", "{s}/{c}/x.fa")
    (tmp_path / "half" / "pos").mkdir()
    (tmp_path / "half" / "pos" / "more.fa").write_text(">a\nACGT\n")
    with pytest.raises(DataError, match=r"no name says which split pos/more.fa is in"):
        fb.load_task(tmp_path / "half")
    with pytest.raises(DataError, match="lies in several folders that may be its class"):
        fb.load_task(write(tmp_path / "deep", "{c}/human/{s}/x.fa"))
    write(tmp_path / "twice", "{s}/{c}.fa")
    (tmp_path / "twice" / "training").mkdir()
    with pytest.raises(DataError, match="two of its folders are one split"):
        fb.load_task(tmp_path / "twice")


SPELT = [
    ("train", "dev", "test"),
    ("TRAIN", "VALIDATION", "TEST"),
    ("Training", "valid", "testing"),
    (" train", "eval", "Test "),
    ("train", "Evaluation", "test"),
]


@pytest.mark.parametrize("names", SPELT)
@pytest.mark.parametrize("column", ["split", "Split", "set", "partition", "data_split"])
@pytest.mark.parametrize("target", ["classes", "labels"])
def test_splits_in_any_spelling_of_word_and_column(
    tmp_path: Path, names: tuple[str, str, str], column: str, target: str
) -> None:
    cells = {"classes": ("label", ["x", "y"]), "labels": ("labels", ["x;y", "", "y"])}
    heading, values = cells[target]
    rows = [f"{s},{values[i % len(values)]},{names[(0, 0, 1, 2)[i // 9]]}" for i, (s, _, _) in enumerate(ROWS)]
    path = tmp_path / "x.csv"
    path.write_text("\n".join([f"sequence,{heading},{column}", *rows]) + "\n")
    task = fb.load_task(path)
    assert task.card.target == target
    assert {split: len(task.load(split)) for split in task.splits} == {"train": 18, "validation": 9, "test": 9}
    assert any("says which split a row is in" in note for note in task.notes) == (column.lower() != "split")


def test_a_column_that_is_no_split_is_none(tmp_path: Path) -> None:
    for values in (["train"] * 36, ["train", "other"] * 18, ["0", "1"] * 18, ["test"] * 36):
        rows = [f"{s},{c},{value}" for (s, c, _), value in zip(ROWS, values, strict=True)]
        (tmp_path / "x.csv").write_text("\n".join(["sequence,label,source", *rows]) + "\n")
        task = fb.load_task(tmp_path / "x.csv")
        assert task.splits == ("train", "test")
        assert "(drawn)" in task.notes[0]
    rows = [f"{s},{c},{'train' if t else 'test'},{'test' if t else 'train'}" for s, c, t in ROWS]
    (tmp_path / "x.csv").write_text("\n".join(["sequence,label,one,two", *rows]) + "\n")
    with pytest.raises(DataError, match="columns one and two both say the split"):
        fb.load_task(tmp_path / "x.csv")


RECORDS = [{"sequence": s, "label": c, "split": "train" if t else "test"} for s, c, t in ROWS]
TRAIN, TEST = ([{"sequence": s, "label": c} for s, c, t in ROWS if t is of_train] for of_train in (True, False))


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("json", {"data": RECORDS}),
        ("json", {"schema": {"fields": []}, "data": RECORDS}),
        ("json", {"train": TRAIN, "test": TEST}),
        ("json", {"index": list(range(36)), "columns": list(RECORDS[0]), "data": [list(r.values()) for r in RECORDS]}),
        ("jsonl", RECORDS),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_json_as_programs_nest_it(tmp_path: Path, suffix: str, content: Any, indent: int | None) -> None:
    (tmp_path / f"x.{suffix}").write_text(json.dumps(content, indent=indent))
    assert read(tmp_path / f"x.{suffix}") == {"train": written(True), "test": written(False)}


TABLE = "sequence,label\n" + "".join(f"{s},{c}\n" for s, c, _ in ROWS)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", TABLE.replace(",", ";"), r"separated by ';'"),
        ("x.csv", TABLE.replace(",", "|"), r"separated by '\|'"),
        ("x.csv", TABLE.replace(",", "\t"), "separated by tabs: name it .tsv"),
        ("x.csv", TABLE.replace(",", " "), "separated by spaces"),
        ("x.tsv", TABLE, "separated by ','"),
        ("x.csv", "sep=;\n" + TABLE.replace(",", ";"), r"separated by ';'"),
        ("x.csv", TABLE.replace(",neg", ";0,5").replace(",pos", ";1,5").replace(",", ";", 1), r"separated by ';'"),
        ("x.csv", TABLE.replace("neg", '"0,0"').replace("pos", '"1,0"'), "have a decimal comma; write 0"),
        ("x.csv", TABLE.replace("label", "value").replace("neg", '"0,25"').replace("pos", "1"), "with a point"),
        ("x.csv", "PK\x03\x04" + TABLE, "is a zip archive"),
        ("x.tsv", "PAR1" + TABLE, "is a parquet file: name it .parquet"),
        ("x.zip", "PK\x03\x04", "is an archive; unpack it"),
        ("x.csv.tar.gz", "", "is an archive; unpack it"),
        ("x.csv", TABLE.replace("sequence,label", "'sequence','label'"), "in single quotes"),
    ],
)
def test_what_cannot_be_read_is_told_why(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=words):
        fb.load_task(tmp_path / name)


def test_comments_and_encodings_of_fasta_and_a_spreadsheets_first_line_are_nothing(tmp_path: Path) -> None:
    records = [f">r{row}|{c}\n{s[:15]}\n{s[15:]}\n" for row, (s, c, _) in enumerate(ROWS)]
    (tmp_path / "x.fa").write_text("; made by hand\n" + "; and more\n".join(records))
    (tmp_path / "y.fa").write_bytes("".join(records).encode("utf-16"))
    (tmp_path / "z.csv").write_text("sep=,\n" + TABLE)
    for name in ("x.fa", "y.fa", "z.csv"):
        found = read(tmp_path / name)
        assert found["train"] | found["test"] == written()
