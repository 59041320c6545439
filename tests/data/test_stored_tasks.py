"""Tasks under a data root: what is written is what is read, what replaces what, and every sentence about what does not fit."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy import LABELS, N, card, csv_text, refusal, rows, write_csvs, write_folders, zip_bytes

import findna_bench as fb
from findna_bench.cards import DataSource, TaskCard
from findna_bench.data.archives import FolderTree, is_archive, open_tree
from findna_bench.data.catalog import TaskRef, task_folder
from findna_bench.data.derived import manifest_key, read_row_manifest, write_row_manifest
from findna_bench.data.generated import check_generated
from findna_bench.data.importing import import_tasks, shortfalls, store_rows
from findna_bench.data.layouts import Piece, find_candidates, read_tables
from findna_bench.data.published_files import PublishedRows
from findna_bench.data.table import SequenceTable
from findna_bench.data.table_tasks import is_table, name_of_task, table_ref
from findna_bench.data.task import Task, open_task
from findna_bench.data.task_store import check_files, content_digest, count_classes, read_split, write_split, write_task
from findna_bench.errors import OfflineError, UnsupportedError, UsageError


def table(n: int = 6, first: int = 0, **more: Any) -> SequenceTable:
    texts = ["".join("ACGT"[(i >> 2 * k) % 4] for k in range(8)) for i in range(first, first + n)]
    return SequenceTable(texts, np.arange(n) % 2, np.array([f"r{i}" for i in range(n)]), **more)


# ------------------------------------------------------------------------------------------------------- the store


def test_a_split_is_read_as_it_was_written(tmp_path: Path) -> None:
    places = {
        "contig": np.array(list("112233")),
        "start": np.arange(6),
        "end": np.arange(6) + 8,
        "strand": np.array(list("+-+-+-")),
    }
    whole = table(
        **places,
        group=np.array(list("aabbcc")),
        sequences_b=["ACGT"] * 6,
        extra={"distance": np.arange(6.0), "element": np.array(list("uvwxyz")), "offset": np.arange(6)},
    )
    write_split(whole, tmp_path / "x.parquet")
    found = read_split(tmp_path / "x.parquet")
    for name in ("sequences", "sequences_b"):
        assert getattr(found, name) == getattr(whole, name)
    for name in ("labels", "ids", "group", *places):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert {name: values.tolist() for name, values in found.extra.items()} == {
        name: values.tolist() for name, values in whole.extra.items()
    }
    assert found.extra["element"].dtype.kind == "U"
    several = replace(table(), labels=np.arange(18, dtype=np.int8).reshape(6, 3))
    write_split(several, tmp_path / "y.parquet")
    again = read_split(tmp_path / "y.parquet")
    assert (again.labels.tolist(), again.labels.dtype) == (several.labels.tolist(), np.int8)
    assert (again.group, again.sequences_b, again.extra) == (None, None, {})
    pq.write_table(pa.table({"sequence": ["AC", "G"], "label": [1, 0]}), tmp_path / "z.parquet")
    assert read_split(tmp_path / "z.parquet").ids.tolist() == ["0", "1"]
    for columns in ({"sequence": ["AC"]}, {"label": [1]}, {"sequence": ["A"], "label_1": [0]}):
        pq.write_table(pa.table(columns), tmp_path / "w.parquet")
        if "label_1" not in columns:
            said = f"{tmp_path / 'w.parquet'} has no columns sequence and label; fetch the task again"
            assert refusal(lambda: read_split(tmp_path / "w.parquet")) == said
    (tmp_path / "w.parquet").write_bytes(b"no")
    said = refusal(lambda: read_split(tmp_path / "w.parquet"))
    assert said.startswith(f"{tmp_path / 'w.parquet'} cannot be read (")
    assert said.endswith("); fetch the task again")


def test_the_digest_is_of_rows_and_of_nothing_else() -> None:
    labels = ("a", "b")
    base = {"train": table(), "test": table(4, 10)}
    digest = content_digest(labels, base)
    assert content_digest(labels, dict(reversed(base.items()))) == digest
    assert (
        content_digest(
            labels, {**base, "train": replace(base["train"], place=np.arange(6), lower=np.full(6, b"", dtype=object))}
        )
        == digest
    )
    assert (
        content_digest(labels, {**base, "train": replace(base["train"], labels=base["train"].labels.astype(np.int32))})
        == digest
    )
    changed = [
        content_digest(("b", "a"), base),
        content_digest(labels, {"train": base["test"], "test": base["train"]}),
        content_digest(labels, {"train": base["train"]}),
        *(
            content_digest(labels, {**base, "train": replace(base["train"], **{name: value})})
            for name, value in (
                ("ids", np.array([f"q{i}" for i in range(6)])),
                ("labels", 1 - base["train"].labels),
                ("labels", base["train"].labels.astype(float)),
                ("sequences", base["train"].sequences[::-1]),
                ("sequences_b", base["train"].sequences),
                ("group", np.arange(6)),
                ("contig", np.full(6, "1")),
                ("start", np.arange(6)),
                ("strand", np.full(6, "+")),
                ("extra", {"x": np.arange(6)}),
                ("extra", {"y": np.arange(6)}),
            )
        ),
    ]
    assert len({digest, *changed}) == len(changed) + 1
    assert count_classes(("a", "b", "c"), base) == {"train": {"a": 3, "b": 3, "c": 0}, "test": {"a": 2, "b": 2, "c": 0}}
    assert count_classes(("v",), {"test": replace(table(), labels=np.zeros((6, 1)))}) == {"test": {"rows": 6}}


def test_a_task_is_replaced_whole_and_what_was_interrupted_is_mended(tmp_path: Path) -> None:
    folder = tmp_path / "t" / "one"
    made = write_task(folder, {"test": table(4), "train": table()}, {"digest": "d", "x": 1})
    assert [entry["path"] for entry in made["files"]] == ["train.parquet", "test.parquet"]
    assert [(entry["split"], entry["rows"]) for entry in made["files"]] == [("train", 6), ("test", 4)]
    assert json.loads((folder / "manifest.json").read_text()) == made
    assert folder.stat().st_mode & 0o777 == 0o755
    write_task(folder, {"train": table(2)}, {"digest": "e"})
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "train.parquet"]
    assert [path.name for path in folder.parent.iterdir()] == ["one"]
    folder.rename(folder.with_name(".one.old"))  # as if it had ended between its two steps
    write_task(folder, {"test": table(3)}, {"digest": "f"})
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "test.parquet"]
    assert [path.name for path in folder.parent.iterdir()] == ["one"]


def test_files_are_those_of_the_manifest_by_stamp_or_content(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    made = write_task(folder, {"train": table()}, {"digest": "d"})
    path = folder / "train.parquet"
    content = path.read_bytes()
    path.write_bytes(content)  # another time, the same bytes
    check_files(folder, made)
    renewed = json.loads((folder / "manifest.json").read_text())
    assert renewed["files"][0]["mtime_ns"] == path.stat().st_mtime_ns
    assert {**renewed, "files": None} == {**made, "files": None}
    changed = f"{path} was changed after it was imported (its digest differs); fetch the task again"
    for other in (content + b"x", bytes([content[0] ^ 1]) + content[1:]):
        path.write_bytes(other)
        assert refusal(lambda: check_files(folder, made)) == changed
    path.unlink()
    assert refusal(lambda: check_files(folder, made)) == f"{path} is missing; fetch the task again"


# ------------------------------------------------------------------------------------------------------- importing

COUNTS = {"train": {"negative": 3, "positive": 3}, "test": {"negative": 2, "positive": 2}}


def test_what_is_offered_replaces_what_is_there_only_where_it_is_no_less(tmp_path: Path) -> None:
    task = card(counts=COUNTS)
    folder = task_folder("toys", "toy_enhancers", tmp_path)
    whole = {"train": table(), "test": table(4, 10)}

    def store(tables: dict[str, SequenceTable], **more: Any) -> tuple[str, str, dict[str, int], str]:
        found = store_rows(task, PublishedRows(tables, **more), tmp_path, source={"kind": "x"})
        assert found.published == {"train": 6, "test": 4}
        return found.outcome, found.status, dict(found.rows), found.message

    some = {"train": table(5), "test": table(4, 10)}
    reason = "train has 5 rows, 6 are published"
    assert store({"train": table()}) == ("imported", "partial", {"train": 6}, "no test split")
    assert store(some) == ("imported", "partial", {"train": 5, "test": 4}, reason)
    assert store(some) == ("unchanged", "partial", {"train": 5, "test": 4}, reason)
    assert store({"train": table()}) == (
        "kept",
        "partial",
        {"train": 5, "test": 4},
        f"the copy in {folder} was kept, since what was offered cannot be run (no test split)",
    )
    assert store(whole, notes=("a note",)) == ("imported", "complete", {"train": 6, "test": 4}, "a note")
    assert store(some, notes=("n",)) == (
        "kept",
        "complete",
        {"train": 6, "test": 4},
        f"the complete copy in {folder} was kept; what was offered is partial ({reason}; n)",
    )
    other = {**whole, "test": table(4, 50)}
    assert store(other) == ("imported", "complete", {"train": 6, "test": 4}, "")
    assert store(other, short=("less",))[0] == "kept"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {
        name: manifest[name]
        for name in ("schema", "suite", "task", "card_version", "labels", "status", "differs", "source")
    } == {
        "schema": 1,
        "suite": "toys",
        "task": "toy_enhancers",
        "card_version": 1,
        "labels": list(LABELS),
        "status": "complete",
        "differs": [],
        "source": {"kind": "x"},
    }
    assert manifest["published_rows"] == {"train": 6, "test": 4}
    assert manifest["lengths"]["train"] == {"min": 8, "usual": 8, "max": 8, "rows_of_other_length": 0}
    uneven = replace(table(), sequences=["A", "AC", "AC", "ACG", "AC", "ACGT"])
    store_rows(card("t2"), PublishedRows({"train": uneven}), tmp_path, source={})
    lengths = json.loads((task_folder("toys", "t2", tmp_path) / "manifest.json").read_text())["lengths"]
    assert lengths == {"train": {"min": 1, "usual": 2, "max": 4, "rows_of_other_length": 3}}


@pytest.mark.parametrize(
    ("held", "partial", "reasons"),
    [
        (COUNTS, (), []),
        ({"test": COUNTS["test"]}, (), ["no train split"]),
        ({"train": COUNTS["train"]}, ("train",), ["train is only a part of the published file", "no test split"]),
        ({**COUNTS, "train": {"negative": 1, "positive": 3}}, (), ["train has 4 rows, 6 are published"]),
        ({**COUNTS, "train": {"negative": 1, "positive": 3}}, ("train",), ["train is only a part of the published file"]),
        (
            {**COUNTS, "test": {"negative": 1, "positive": 3}},
            (),
            ["test has negative 1, positive 3 where negative 2, positive 2 is published (are the class numbers in another order?)"],
        ),
        ({**COUNTS, "validation": {"negative": 9, "positive": 9}}, (), []),
    ],
)  # fmt: skip
def test_where_rows_fall_short_is_said(
    held: dict[str, dict[str, int]], partial: tuple[str, ...], reasons: list[str]
) -> None:
    assert shortfalls(card(counts=COUNTS), held, partial) == reasons


@pytest.mark.parametrize(
    ("file", "piece"),
    [
        ("toy_enhancers/train/positive/7.txt", ("toy_enhancers", "train", "text", "positive", False)),
        ("toy_enhancers/valid/positive.csv.gz", ("toy_enhancers", "validation", "class", "positive", False)),
        ("toy_enhancers/train.csv", ("toy_enhancers", "train", "rows", "", False)),
        ("toy_enhancers/data/test-00000-of-00002-ab1.parquet", ("toy_enhancers", "test", "rows", "", False)),
        ("toy_enhancers/dev_partial.tsv", ("toy_enhancers", "validation", "rows", "", True)),
        ("toy_enhancers_test.csv.gz", ("toy_enhancers", "test", "rows", "", False)),
        ("toy_enhancers-TRAIN_partial.csv", ("toy_enhancers", "train", "rows", "", True)),
        ("toy_enhancers/train.fna", ("toy_enhancers", "train", "fasta", "", False)),
        ("toy_enhancers/train/0000.parquet", ("toy_enhancers", "train", "class", "0000", False)),
        ("toy_enhancers_v0/test.csv", ("toy_enhancers_v0", "test", "rows", "", False)),
        ("ORG_toy-enhancers/test.csv", ("ORG_toy-enhancers", "test", "rows", "", False)),
        ("toy_enhancers/notes.csv", None),
        ("toy_enhancers/train.jsonl", None),
        ("toy_enhancers/x/positive/7.txt", None),
        ("other/train.csv", None),
    ],
)
def test_a_published_file_is_known_by_its_path(file: str, piece: tuple[Any, ...] | None, tmp_path: Path) -> None:
    found = find_candidates(FolderTree(tmp_path, [file], prefix=()), [card()])
    if piece is None:
        assert found == []
        return
    key, split, kind, class_name, partial = piece
    (candidate,) = found
    assert candidate.pieces == [Piece((key,), split, kind, file, class_name, partial)]
    assert candidate.place == f"{tmp_path} ({key})"
    assert candidate.intervals_only is (class_name == "positive" and kind == "class")


def test_a_split_in_several_forms_is_refused(tmp_path: Path) -> None:
    folder = write_csvs(tmp_path / "toy_enhancers")
    for extra, words in (
        ("train.fna", "the same split in several forms (toy_enhancers/train.csv, toy_enhancers/train.fna); leave one"),
        ("my_train.csv", None),
        (
            "training.csv",
            "several files for one split (toy_enhancers/train.csv, toy_enhancers/training.csv); leave one",
        ),
    ):
        (folder / extra).write_text(">x|0\nAC\n" if extra.endswith("fna") else csv_text("train"))
        (found,) = (
            c for c in find_candidates(FolderTree(tmp_path, prefix=()), [card()]) if c.key == ("toy_enhancers",)
        )
        if words is not None:
            assert refusal(lambda found=found: read_tables(found)) == f"{tmp_path} (toy_enhancers): {words}"  # type: ignore[misc]
        (folder / extra).unlink()
    named = write_folders(tmp_path / "f" / "toy_enhancers")
    (named / "train" / "odd").mkdir()
    (named / "train" / "odd" / "1.txt").write_text("ACGT")
    (found,) = find_candidates(FolderTree(tmp_path / "f", prefix=()), [card()])
    assert refusal(lambda: read_tables(found)) == (
        f"{tmp_path / 'f'} (toy_enhancers): folder 'odd' is not among the card's labels (negative, positive)"
    )


def test_two_copies_are_told_apart_and_one_task_of_a_shared_file_is_taken(tmp_path: Path) -> None:
    write_csvs(tmp_path / "a" / "toy_enhancers")
    write_csvs(tmp_path / "b" / "toy_enhancers")
    (result,) = import_tasks([card()], tmp_path, tmp_path / "root")
    assert (result.outcome, result.status) == ("failed", "missing")
    assert result.message == (
        f"toys/toy_enhancers is there twice, in {tmp_path} (a/toy_enhancers) and {tmp_path} (b/toy_enhancers); name one of them"
    )
    shared = tmp_path / "c" / "toy_enhancers"
    shared.mkdir(parents=True)
    for split in N:
        lines = [
            f"{text},{LABELS.index(label)},{'Toy_Enhancers' if i % 2 else 'other'}"
            for i, (_, label, text) in enumerate(rows(split))
        ]
        (shared / f"{split}.csv").write_text("\n".join(["sequence,label,task", *lines]) + "\n")
    (part,) = import_tasks([card()], tmp_path / "c", tmp_path / "root")
    assert part.rows == {"train": 10, "test": 4}
    assert part.message == "train has 10 rows, 20 are published; test has 4 rows, 8 are published"
    said: list[str] = []
    (absent,) = import_tasks([card("gone")], tmp_path / "c", tmp_path / "root", progress=said.append)
    assert (absent.outcome, absent.published, said) == ("missing", {"train": 20, "test": 8}, [])
    none = tmp_path / "none"
    assert refusal(lambda: import_tasks([card()], none, tmp_path / "root")) == f"{none}: no such file or folder"


# -------------------------------------------------------------------------------------------------------- archives


def test_archives_are_told_by_their_names_and_read_without_what_is_hidden(tmp_path: Path) -> None:
    names = {
        "a.zip": True,
        "A.TAR.GZ": True,
        "a.tgz": True,
        "a.tar.zst": True,
        "a.tar.bz2": True,
        "a.tar": True,
        "a.gz": False,
        "zip": False,
    }
    assert {name: is_archive(name) for name in names} == names
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("b/2.txt", "a.txt", ".hidden", "b/.h/x", "__MACOSX/y"):
            archive.writestr(name, name)
    with open_tree(path) as tree:
        assert tree.files == ["a.txt", "b/2.txt"]
        assert tree.prefix[-1] == "x"
        assert tree.origin("a.txt") == f"{path}: a.txt"
        with tree.open("b/2.txt") as stream:
            assert stream.read() == b"b/2.txt"
    folder = tmp_path / "f"
    for name in ("z.txt", ".h", "sub/a.txt", ".s/b", "__MACOSX/c"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    with open_tree(folder) as tree:
        assert tree.files == ["sub/a.txt", "z.txt"]
        assert tree.origin("z.txt") == f"{folder}/z.txt"
    with open_tree(folder / "z.txt") as tree:
        assert tree.files == ["z.txt"]
    gone = tmp_path / "gone"
    with pytest.raises(Exception, match="no such file or folder"), open_tree(gone):
        pass
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("x", "1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("x", "2")

    def opened(name: str) -> None:
        with open_tree(tmp_path / name):
            pass

    assert refusal(lambda: opened("twice.zip")) == (
        f"{tmp_path / 'twice.zip'} holds two files of the name 'x'; it is damaged or unsafe and was not read"
    )
    (tmp_path / "bad.zip").write_bytes(zip_bytes()[:100])
    assert refusal(lambda: opened("bad.zip")).endswith("; get it again")


# --------------------------------------------------------------------------------------------------- made, derived


def test_a_manifest_of_rows_is_sorted_and_read_back(tmp_path: Path) -> None:
    assert manifest_key("train", "a", "a/7") == manifest_key("train", "a", "7") == "train/a/7"
    assert manifest_key("train", "a", "b/7") == "train/a/b/7"
    held = {
        f"{split}/{name}/{row}": ("test", row) for split in ("train", "test") for name in "ba" for row in (10, 9, -1)
    }
    write_row_manifest(held, tmp_path / "x.parquet")
    assert read_row_manifest(tmp_path / "x.parquet") == held
    stored = pq.read_table(tmp_path / "x.parquet").to_pydict()
    assert list(zip(stored["source_split"], stored["class"], stored["id"], strict=True)) == [
        (split, name, row) for split in ("test", "train") for name in "ab" for row in ("9", "-1", "10")
    ]
    pq.write_table(pa.table({"id": ["x"]}), tmp_path / "y.parquet")
    said = refusal(lambda: read_row_manifest(tmp_path / "y.parquet"))
    assert said.startswith("a manifest of rows cannot be read (")
    assert said.endswith("); reinstall the package")


WHERE = "task lab/made (p:make), train"
MADE = TaskCard(name="made", suite="lab", labels=("a", "b"), factory="p:make")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sequences": ("AC",) * 6}, f"{WHERE}: sequences must be a list of texts, not a tuple"),
        ({"ids": list("abcdef")}, f"{WHERE}: ids must be a NumPy array of 6 rows, not a list"),
        ({"labels": None}, f"{WHERE}: labels must be a NumPy array of 6 rows, not a NoneType"),
        ({"group": list("abcdef")}, f"{WHERE}: group must be a NumPy array of 6 rows, not a list"),
        ({"ids": np.array([list("ab")] * 6)}, f"{WHERE}: ids must be one per row, not of shape (6, 2)"),
        ({"ids": np.array(["a", "b", "", "", "c", "d"])}, f"{WHERE}: row 2 has no id"),
        ({"ids": np.array(["a", None, "b", "c", "d", "e"], dtype=object)}, f"{WHERE}: row 1 has no id"),
        ({"ids": np.array(["a", "b", "c", "b", "a", "d"])}, f"{WHERE}: rows 1 and 3 have the same id 'b'"),
        (
            {"sequences_b": ["A"] * 6},
            f"{WHERE}: its card says that a row holds a sequence, and its rows have sequences_b",
        ),
        (
            {"sequences": ["A", "C", "", "G", "", "T"]},
            f"{WHERE}: row 2 (r2): its sequence is empty; a sequence is one or more of A, C, G, T, N in upper case",
        ),
        (
            {"sequences": ["A", "Cag", "C", "G", "x", "T"]},
            f"{WHERE}: row 1 (r1): its sequence holds 'a'; a sequence is one or more of A, C, G, T, N in upper case",
        ),
        (
            {"sequences": ["A", "C", "C", 5, "C", "T"]},
            f"{WHERE}: row 3 (r3): its sequence is a int; a sequence is one or more of A, C, G, T, N in upper case",
        ),
        (
            {"labels": np.zeros(6, dtype=np.int64)},
            f"{WHERE}: there is no row of 'b', which the card names among its labels",
        ),
    ],
)
def test_rows_that_a_factory_makes_are_checked_as_those_of_a_file(changes: dict[str, Any], message: str) -> None:
    made = object.__new__(SequenceTable)
    fields = {**vars(table()), **changes}
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    assert refusal(lambda: check_generated(MADE, "train", made)) == message
    check_generated(MADE, "train", table())


def test_what_is_no_table_of_rows_is_refused() -> None:
    assert (
        refusal(lambda: check_generated(MADE, "train", [])) == f"{WHERE}: a list, not a findna_bench.api.SequenceTable"
    )
    empty = SequenceTable([], np.zeros(0, dtype=np.int64), np.zeros(0, dtype=str))
    assert refusal(lambda: check_generated(MADE, "train", empty)) == f"{WHERE}: there are no rows"
    pairs = replace(MADE, inputs="pair")
    said = f"{WHERE}: its card says that a row holds a pair, and its rows have no sequences_b"
    assert refusal(lambda: check_generated(pairs, "train", table())) == said


# ----------------------------------------------------------------------------------------------------- in a process


def test_tables_of_a_process_are_told_and_named() -> None:
    frame = pd.DataFrame({"Sequence": table(20).sequences, " label ": ["x", "y"] * 10})
    assert [is_table(one) for one in (table(), frame, {"train": frame}, [frame], "x", 5)] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    whole = open_task(table_ref(frame))
    assert whole.label_names == ("x", "y")
    assert whole.row_order.words == "the rows of table"
    parts = open_task(table_ref({"Test": frame[:6], "training": frame[6:]}))
    assert {split: len(parts.load(split)) for split in parts.splits} == {"train": 14, "test": 6}
    assert parts.row_order.words == "the rows of the tables train, then test of table"
    assert (parts.card.suite, parts.card.summary) == (
        "adhoc",
        "table-" + parts.card.name.partition("-")[2] + ", given as a table",
    )
    numbers = replace(table(20), labels=np.arange(40.0).reshape(20, 2), group=np.arange(20))
    task = open_task(table_ref(numbers))
    assert (task.card.target, task.label_names) == ("values", ("1", "2"))
    rows, _ = task.in_order()
    assert rows.labels.tolist() == numbers.labels.tolist()
    assert rows.ids.tolist() == numbers.ids.tolist()
    single = open_task(table_ref(replace(table(20), labels=np.arange(20.0)[:, None])))
    assert single.in_order()[0].labels[:, 0].tolist() == list(range(20))
    placed = table(
        20, contig=np.array(["1"] * 19 + [""]), start=np.arange(20), end=np.arange(20) + 8, strand=np.full(20, "-")
    )
    rows, _ = open_task(table_ref(placed)).in_order()
    assert rows.contig is not None
    assert rows.start is not None
    assert rows.contig.tolist() == placed.contig.tolist()  # type: ignore[union-attr]
    assert rows.start.tolist() == [*range(19), 0]


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ([1], UsageError, "the table is a list; give a name, a path, an fb.SequenceTable, a pandas DataFrame, or a mapping of split names to either"),
        ({}, UsageError, "a mapping without tables is no task; give a name, a path, an fb.SequenceTable, a pandas DataFrame, or a mapping of split names to either"),
        ({"all": table()}, UsageError, "a table is called 'all', which is no split; call them train, validation and test"),
        ({"dev": table(), "valid": table()}, UsageError, "two tables are for the validation split; give one"),
        ({"train": 5}, UsageError, "the train table is a int; give a name, a path, an fb.SequenceTable, a pandas DataFrame, or a mapping of split names to either"),
        (pd.DataFrame({"sequence": [], "label": []}), None, "the table has no rows"),
        (pd.DataFrame([["A", "x", "y"]], columns=["sequence", "Label", "label "]), None, "the table: two columns have the same name (sequence, label, label)"),
        (
            replace(table(), labels=np.zeros((6, 2), dtype=np.int64)),
            None,
            "the table: labels of shape (6, 2) and type int64 are neither classes (n,) nor numbers (n, K)",
        ),
        (replace(table(), labels=np.zeros((6, 0))), None, "the table: labels of shape (6, 0) and type float64 are neither classes (n,) nor numbers (n, K)"),
    ],
)  # fmt: skip
def test_what_is_no_table_of_a_process_is_refused(value: Any, kind: type[Exception] | None, message: str) -> None:
    if kind is None:
        assert refusal(lambda: table_ref(value)) == message
    else:
        with pytest.raises(kind) as found:
            table_ref(value)
        assert str(found.value) == message


# ---------------------------------------------------------------------------------------------------------- opening


def stored(folder: Path, tables: dict[str, SequenceTable], **changes: Any) -> Task:
    task = card(counts=COUNTS, **changes)
    store_rows(task, PublishedRows(tables), folder, source={"kind": "x"})
    return open_task(TaskRef(task.full_name, card=task), data_dir=folder)


def test_a_stored_task_says_what_it_is(tmp_path: Path) -> None:
    task = stored(tmp_path, {"train": table(), "test": table(4, 10)}, known_shortcuts=("overlap of x", "length"))
    assert repr(task) == "Task('toys/toy_enhancers', status='complete', splits=('train', 'test'))"
    assert task.flags == ("shortcut", "leak")
    assert task.load("test").place is not None
    assert task.load("test").place.tolist() == [6, 7, 8, 9]  # type: ignore[union-attr]
    assert (task.row_order.words, task.row_order.n_rows) == ("the rows of train, then test", 10)
    assert (task.split_name, task.folds, task.left_out, task.source, task.notes) == (
        "official",
        (),
        {},
        {"kind": "x"},
        (),
    )
    with pytest.raises(ValueError, match=r"^split must be one of train, validation, test, not 'dev'$"):
        task.load("dev")
    said = "task toys/toy_enhancers: the validation split is absent from this complete copy (train, test is there)"
    assert refusal(lambda: task.load("validation")) == said
    assert (
        refusal(lambda: task.intervals("train"))
        == "task toys/toy_enhancers: no coordinates are known for the train split"
    )
    assert stored(tmp_path / "l", {"train": table(), "test": table(4, 10)}, known_shortcuts=("overlap",)).flags == (
        "leak",
    )
    part = stored(tmp_path / "p", {"test": table(3)}, known_shortcuts=("length",))
    assert part.flags == ("partial (3 of 10)", "shortcut")
    with pytest.raises(UnsupportedError) as absent:
        part.load("train")
    assert (
        str(absent.value) == "task toys/toy_enhancers: the train split is absent from this partial copy (test is there)"
    )
    moved = card(labels=("negative", "other"), counts={})
    assert refusal(lambda: open_task(TaskRef(moved.full_name, card=moved), data_dir=tmp_path)) == (
        f"{task_folder('toys', 'toy_enhancers', tmp_path)} was imported with labels negative, positive, the card now has negative, other; "
        "fetch the task again"
    )


def test_a_task_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    advice = "run `findna-bench fetch toys` or `findna-bench fetch toys --from PATH`"
    ref = TaskRef("toys/toy_enhancers", card=card())
    assert (
        refusal(lambda: open_task(ref, data_dir=tmp_path))
        == f"task toys/toy_enhancers is not under {tmp_path}; {advice}"
    )
    with pytest.raises(OfflineError) as offline:
        open_task(ref, data_dir=tmp_path, offline=True)
    assert str(offline.value) == f"task toys/toy_enhancers is not under {tmp_path}; {advice}"
    store_rows(card("another"), PublishedRows({"train": table()}), tmp_path, source={})
    with pytest.raises(UnsupportedError) as absent:
        open_task(ref, data_dir=tmp_path)
    assert str(absent.value) == f"task toys/toy_enhancers is absent from the partial import of toys; {advice}"
    with pytest.raises(UsageError) as target:
        open_task("demo/species4", target="values")
    assert (
        str(target.value)
        == "--target values says what columns of a file predict; demo/species4 is no file: leave it out"
    )
    made = open_task("demo/species4", split="grouped")
    with pytest.raises(UsageError) as anew:
        name_of_task(made)
    assert str(anew.value) == "demo/species4 is split anew; give the task itself, and split='grouped'"
    assert name_of_task(fb.load_task("demo/species4")) == "demo/species4"
    assert name_of_task(5) is None
    path = tmp_path / "x.csv"
    path.write_text(
        "\n".join(["sequence,label", *(f"{text},{i % 2}" for i, text in enumerate(table(20).sequences))]) + "\n"
    )
    assert name_of_task(fb.load_task(path)) == str(path)
    assert name_of_task(open_task(table_ref(table(20)))) is None
    embedded = TaskCard(name="e", suite="s", labels=("a", "b"), embedded="no_such_package:x")
    said = "task s/e: package 'no_such_package' of its data is not installed"
    assert refusal(lambda: open_task(TaskRef("s/e", card=embedded))) == said
    empty = TaskCard(name="e", suite="s", labels=("a", "b"), embedded="findna_bench:x")
    said = "task s/e: no data in findna_bench:x; reinstall the package that offers it"
    assert refusal(lambda: open_task(TaskRef("s/e", card=empty))) == said


def test_sources_are_planned_by_their_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from findna_bench.data.fetching import Network, fetch_tasks
    from findna_bench.download import DownloadError

    asked: list[tuple[str, str, dict[str, Any]]] = []

    def download(self: Network, url: str, destination: Path, **options: Any) -> Path:
        del self
        name = "/".join(destination.parts[-2:])
        asked.append((url, name, {k: v for k, v in options.items() if k != "partial_dir" and v is not None}))
        raise DownloadError(f"{url}: no")

    monkeypatch.setattr(Network, "download", download)

    def planned(**source: Any) -> tuple[tuple[str, str, dict[str, Any]], str]:
        asked.clear()
        (found,) = fetch_tasks([card(sources=(DataSource(**source),))], tmp_path / "root", cache_dir=tmp_path / "cache")
        assert (found.outcome, found.status) == ("failed", "missing")
        return (asked[0] if asked else ("", "", {})), found.message

    for url, name in (
        ("http://a/x.tar.gz", "toy_enhancers.tar.gz"),
        ("http://a/x.tgz?y", "toy_enhancers.tgz"),
        ("http://a/x", "toy_enhancers.zip"),
    ):
        first, _ = planned(url=url, layout="archive", sha256="s", size=5)
        assert (first[0], first[1].split("/")[1], first[2]) == (url, name, {"sha256": "s", "size": 5})
    first, _ = planned(url="http://a/{split}.csv.gz", layout="tables", sha256="s")
    assert first == ("http://a/train.csv.gz", "toy_enhancers/train.csv.gz", {})
    first, _ = planned(url="http://a/one.x.tsv?raw=1", layout="tables", sha256="s")
    assert first == ("http://a/one.x.tsv?raw=1", "toy_enhancers/train.tsv", {"sha256": "s"})
    first, _ = planned(url="http://a/b/c/d.h5", layout="files", git_blob="g")
    assert first == ("http://a/b/c/d.h5", "c/d.h5", {"git_blob": "g"})
    first, _ = planned(url="http://a/b/c/d.h5 http://a/e.h5", layout="variants", git_blob="g")
    assert first == ("http://a/b/c/d.h5", "c/d.h5", {})
    first, said = planned(url="http://a/api#conf", layout="hub-parquet")
    assert (first[0], first[1].split("/")[1], said) == ("http://a/api", "listing.json", "http://a/api: no")
    _, said = planned(url="http://a/page", layout="page")
    assert (
        said
        == "http://a/page is a page for people; get the files from there and import them: `findna-bench fetch toys --from FOLDER`"
    )
    _, said = planned(url="http://a/page", layout="odd")
    assert said == "task toys/toy_enhancers: layout 'odd' of a source is not known"
    (none,) = fetch_tasks([card()], tmp_path / "root", cache_dir=tmp_path / "cache")
    assert none.message == "no source is known: import it with --from PATH"
    (offline,) = fetch_tasks([card()], tmp_path / "root", offline=True, cache_dir=tmp_path / "cache")
    assert (offline.outcome, offline.message) == (
        "failed",
        "not on this machine, and the network may not be used (--offline)",
    )
    assert offline.published == {"train": 20, "test": 8}
    two = (DataSource(url="http://a/1", layout="page"), DataSource(url="http://a/2", layout="odd"))
    said_of: list[str] = []
    (both,) = fetch_tasks([card(sources=two)], tmp_path / "root", cache_dir=tmp_path / "cache", progress=said_of.append)
    assert "; then task toys/toy_enhancers: layout 'odd'" in both.message
    assert said_of == ["fetching toys/toy_enhancers from a"] * 2
