"""Tasks from paths, from packages and from generators; names and where they lead."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import LABELS, card, rows

import findna_bench as fb
from findna_bench.cards import TaskCard
from findna_bench.data.catalog import TaskRef, data_root, resolve_suite, resolve_task, suite_tasks, task_status
from findna_bench.data.table import SequenceTable
from findna_bench.data.tabular import MISSING
from findna_bench.data.task import Task, open_task
from findna_bench.data.task_store import write_split
from findna_bench.errors import DataError, UnknownNameError, UsageError
from findna_plugins.suites import nt_tasks


def write_rows(path: Path, labels: list[str], splits: list[str] | None = None) -> Path:
    generator = np.random.default_rng(0)
    header = "text,class" + (",split" if splits else "")
    lines = [header]
    for i, label in enumerate(labels):
        sequence = "".join(generator.choice(list("ACGT"), 30))
        lines.append(f"{sequence},{label}" + (f",{splits[i]}" if splits else ""))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_one_table_is_a_task_with_a_drawn_test_split(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "my peaks.csv", ["10", "9", "2"] * 20)
    task = open_task(str(path))
    assert task.name == "adhoc/my-peaks"
    assert (task.status, task.card.target, task.label_names) == ("adhoc", "classes", ("2", "9", "10"))
    assert task.counts == {"train": dict.fromkeys(("2", "9", "10"), 16), "test": dict.fromkeys(("2", "9", "10"), 4)}
    train, test = task.load("train"), task.load("test")
    assert not set(train.ids) & set(test.ids)
    assert open_task(str(path)).data_digest == task.data_digest
    assert open_task(str(path)).load("test").ids.tolist() == test.ids.tolist()
    write_rows(path, ["10", "9", "2"] * 21)
    assert open_task(str(path)).data_digest != task.data_digest


def test_duplicates_stay_on_one_side_of_a_drawn_test_split(tmp_path: Path) -> None:
    lines = ["sequence,label"]
    for i, (_, label, sequence) in enumerate(rows("train")):
        lines += [f"{sequence},{label}"] * (1 + i % 3)
    path = tmp_path / "copies.csv"
    path.write_text("\n".join(lines))
    task = open_task(str(path))
    assert not set(task.load("train").sequences) & set(task.load("test").sequences)


def test_split_column_and_split_files_are_used_as_given(tmp_path: Path) -> None:
    splits = ["train"] * 8 + ["valid"] * 2 + ["test"] * 2
    path = write_rows(tmp_path / "rows.csv", ["b", "a"] * 6, splits)
    task = open_task(str(path))
    assert task.splits == ("train", "validation", "test")
    assert task.label_names == ("a", "b")
    assert [len(task.load(split)) for split in task.splits] == [8, 2, 2]
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder / "train.csv", ["a", "b"] * 10)
    (folder / "dev.csv.gz").write_bytes(gzip.compress((folder / "train.csv").read_bytes()))
    write_rows(folder / "test.tsv", ["a", "b"]).write_text("sequence\tlabel\nACGTA\ta\nCCCCA\tb\n")
    task = open_task(str(folder))
    assert task.name.startswith("adhoc/")
    assert task.name.endswith("-data")  # "data" alone says nothing
    assert {split: len(task.load(split)) for split in task.splits} == {"train": 20, "validation": 20, "test": 2}


def test_one_fasta_per_class(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ("yes", "no"):
        records = [f">r{i} some words\n{''.join(generator.choice(list('acgtn'), 25))}\n" for i in range(10)]
        (tmp_path / f"{name}.fa").write_text("".join(records))
    task = open_task(str(tmp_path))
    assert task.label_names == ("no", "yes")
    assert task.counts["test"] == {"no": 2, "yes": 2}
    assert all(id_.startswith(("no/r", "yes/r")) for id_ in task.load("train").ids)
    (tmp_path / "no.fa").write_text(">r0\nACGT\n>r1\nAC-GT\n")
    with pytest.raises(DataError, match=r"no\.fa, record 2: position 3"):
        open_task(str(tmp_path))


BAD = {
    "one class": ("text,class\nACGT,a\nACGA,a\n", "all rows have label 'a'"),
    "measurements": ("text,class\nACGT,0.53\nACGA,1.2\n", "call the column value to predict numbers"),
    "no label": ("text,class\nACGT,a\nACGA,\n", "row 3 .* has no class"),
    "not DNA": ("text,class\nACGT,a\nACEA,b\n", "row 3 .* position 3 is 'E'"),
    "unknown split": ("text,class,split\nACGT,a,train\nACGA,b,holdout\n", "row 3 .* split 'holdout'"),
    "empty": ("", "is empty"),
    "class only in test": (
        "text,class,split\nACGT,a,train\nACGA,b,test\n",
        "label 'b' occurs in test and not in train",
    ),
    "no train": ("text,class,split\nACGT,a,test\nACGA,b,test\n", "no train split"),
}


@pytest.mark.parametrize("case", BAD)
def test_unusable_paths_are_refused_by_file_and_row(case: str, tmp_path: Path) -> None:
    text, expected = BAD[case]
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=expected) as caught:
        open_task(str(path))
    assert str(path) in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text("ACGTNacgtn", min_size=1, max_size=30).filter(lambda text: text.lower() not in MISSING),
            st.sampled_from(["a", "b", "c d", 'q"x', "7"]),
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([",", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_tables_are_read_as_they_were_written(
    values: list[tuple[str, str]], delimiter: str, newline: str, mark: bool
) -> None:
    import csv
    import io

    from findna_bench.data.table_files import read_table
    from findna_bench.data.tabular import rows_to_table

    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator=newline).writerows([("Sequence", "Label"), *values])
    content = stream.getvalue().encode("utf-8-sig" if mark else "utf-8")
    name = "t.tsv" if delimiter == "\t" else "t.csv"
    labels = sorted({label for _, label in values})
    table = rows_to_table(read_table(io.BytesIO(content), name, name), labels)
    assert table.sequences == [sequence.upper() for sequence, _ in values]
    assert [labels[i] for i in table.labels] == [label for _, label in values]


def test_very_long_sequences_are_read(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(
        "sequence,label\n" + "".join(f"{'ACGT' * 50_000}{'ACGT'[i % 4]}{i % 2 * 'G'},{i % 2}\n" for i in range(10))
    )
    assert len(open_task(str(path)).load("train").sequences[0]) > 200_000


def test_names_lead_to_cards_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_task("human_nontata_promoters").name == "genomic_benchmarks/human_nontata_promoters"
    assert resolve_task("GUE/tf_0").card is not None
    assert resolve_task("mtcdna-1024").name == "mtcdna/mtcdna-1024"
    with pytest.raises(UnknownNameError, match="did you mean"):
        resolve_task("human_nontata_promotors")
    with pytest.raises(UsageError, match="no such file"):
        resolve_task("./nothing.csv")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gue").mkdir()
    write_rows(tmp_path / "gue" / "tf_0", ["a", "b"])
    write_rows(tmp_path / "gue" / "mine.csv", ["a", "b"] * 10)
    assert resolve_task("gue/tf_0").card is not None  # a stray folder does not hide a registered name
    assert resolve_task("gue/mine.csv").path == tmp_path / "gue" / "mine.csv"
    assert resolve_task("./gue/tf_0").path is not None


def test_suites_hold_what_was_published() -> None:
    sizes = {name: len(resolve_suite(name).tasks) for name in ("genomic_benchmarks", "gue", "gue-emp", "findna-gue")}
    assert sizes == {"genomic_benchmarks": 8, "gue": 28, "gue-emp": 10, "findna-gue": 11}
    assert len(resolve_suite("nt_tasks").tasks) == len(resolve_suite("nt_tasks_revised").tasks) == 18
    for name in ("genomic_benchmarks", "gue", "findna-gue", "mtcdna", "nt_tasks", "nt_tasks_revised"):
        for ref in suite_tasks(resolve_suite(name)):
            assert ref.card is not None
            assert ref.card.sources, ref.name
    metrics = {ref.task: ref.card.metric for ref in suite_tasks(resolve_suite("gue")) if ref.card}
    assert metrics.pop("virus_covid") == "f1_macro"
    assert set(metrics.values()) == {"mcc"}
    for ref in suite_tasks(resolve_suite("genomic_benchmarks")):
        assert ref.card is not None
        assert list(ref.card.labels) == sorted(ref.card.labels)


def test_data_root_follows_option_then_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINDNA_BENCH_DATA_DIR", str(tmp_path / "env"))
    assert data_root() == tmp_path / "env"
    assert data_root(tmp_path / "option") == tmp_path / "option"
    monkeypatch.delenv("FINDNA_BENCH_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert data_root() == tmp_path / "xdg" / "findna-bench"


def make_rows(config: dict[str, int]) -> dict[str, SequenceTable]:
    generator = np.random.default_rng(config["seed"])
    out = {}
    for split, n in (("train", config["n"]), ("test", 4)):
        texts = ["".join(generator.choice(list("ACGT"), 12)) for _ in range(n)]
        out[split] = SequenceTable(texts, np.arange(n) % 2, np.arange(n).astype(str))
    return out


def _generated(**config: int) -> TaskCard:
    sys.modules.setdefault("test_tasks_generator", sys.modules[__name__])
    return card(counts={}, factory="test_tasks_generator:make_rows", config={**config, "splits": ("train", "test")})


def test_generated_tasks_have_a_digest_before_any_row_is_made() -> None:
    task = _generated(n=10, seed=1)
    opened = open_task(TaskRef(task.full_name, card=task))
    assert task_status(task, data_root()) == opened.status == "generated"
    digest = opened.data_digest
    assert not opened._tables
    assert len(opened.load("train")) == 10
    assert opened.counts["train"] == {"negative": 5, "positive": 5}
    other = _generated(n=10, seed=2)
    assert open_task(TaskRef(other.full_name, card=other)).data_digest != digest


def test_embedded_tasks_come_from_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "toy_package"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for split, table in make_rows({"n": 6, "seed": 0}).items():
        write_split(table, package / "data" / f"{split}.parquet")
    monkeypatch.syspath_prepend(str(tmp_path))
    task = card(counts={}, embedded="toy_package:data")
    opened = open_task(TaskRef(task.full_name, card=task))
    assert (opened.status, opened.splits) == ("embedded", ("train", "test"))
    assert opened.load("train").sequences == make_rows({"n": 6, "seed": 0})["train"].sequences
    assert opened.label_names == LABELS
    absent = card(embedded="toy_package:nowhere")
    with pytest.raises(DataError, match="no data in toy_package:nowhere"):
        open_task(TaskRef(absent.full_name, card=absent))


def test_a_test_split_that_nobody_published_is_flagged(tmp_path: Path) -> None:
    rows = [f"{'ACGT' * 5}{'ACGT'[n % 4] * (n % 7 + 1)},{n % 2}" for n in range(60)]
    whole, split = tmp_path / "whole.csv", tmp_path / "split.csv"
    whole.write_text("\n".join(["sequence,label", *rows]) + "\n")
    split.write_text(
        "\n".join(["sequence,label,split", *(f"{r},{'test' if n > 40 else 'train'}" for n, r in enumerate(rows))])
    )
    assert [flag for flag in fb.load_task(whole).flags if flag.startswith("test drawn from train")]
    assert not [flag for flag in fb.load_task(split).flags if flag.startswith("test drawn")]


@pytest.mark.parametrize(
    ("known", "flags"),
    [
        ((), ()),
        (("length",), ("shortcut",)),
        (("overlap of train and test",), ("leak",)),
        (("overlap of train and test", "length"), ("shortcut", "leak")),
        (("overlap: loci", "overlap: strands"), ("leak",)),
    ],
)
def test_what_is_known_of_a_task_is_flagged(known: tuple[str, ...], flags: tuple[str, ...], tmp_path: Path) -> None:
    origin: Any = SimpleNamespace(status="complete")
    task = Task(card(known_shortcuts=known), origin, data_dir=tmp_path)
    assert task.flags == flags


def test_upstream_calls_splice_sites_in_the_singular_too() -> None:
    for task in nt_tasks.TASKS:
        singular = (task.name.removesuffix("s"),) if "splice" in task.name else ()
        assert task.aliases == singular, task.name
