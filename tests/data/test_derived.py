"""Tasks made from another task's rows: by a committed manifest, or split anew on opening."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from findna_bench.cards import TaskCard, hookimpl
from findna_bench.data.catalog import task_status
from findna_bench.data.derived import manifest_key, read_row_manifest, write_row_manifest
from findna_bench.data.importing import import_suite, store_rows
from findna_bench.data.published_files import PublishedRows
from findna_bench.data.table import SequenceTable
from findna_bench.data.task import open_task
from findna_bench.errors import DataError, UnsupportedError, UsageError
from findna_bench.registry import Plugin, Registry, get_registry

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("negative", "positive")
SOURCE = TaskCard(
    name="source", suite="made-up", labels=LABELS, counts={"train": {"negative": 40, "positive": 40}, "test": {"negative": 10, "positive": 10}}
)  # fmt: skip
DERIVED = TaskCard(
    name="derived",
    suite="made-up-clean",
    labels=LABELS,
    derived_from="made-up/source",
    rows="made_up_rows:folder/rows.parquet",
    config={"crop": 50},
)


def table(n: int, seed: int) -> SequenceTable:
    generator = np.random.default_rng(seed)
    sequences = ["".join(row) for row in np.array(list("ACGT"))[generator.integers(0, 4, (n, 60))]]
    labels = np.arange(n) % 2
    start = 1000 * np.arange(n) + 100_000 * seed
    return SequenceTable(
        sequences,
        labels,
        np.array([f"{LABELS[label]}/{i}" for i, label in enumerate(labels)]),
        contig=np.full(n, "1"),
        start=start,
        end=start + 60,
        strand=np.full(n, "+"),
    )


class Malicious:
    """Unpickled carelessly, it would leave a folder behind."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.target,)


@pytest.fixture
def source() -> dict[str, SequenceTable]:
    return {"train": table(80, 0), "test": table(20, 1)}


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Both cards, and a package with a manifest: every third train row becomes a test row, test rows go nowhere."""
    rows = {
        manifest_key("train", LABELS[i % 2], str(i)): ("test" if i % 3 == 0 else "train", i // 10) for i in range(80)
    }
    folder = tmp_path / "packages" / "made_up_rows" / "folder"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    write_row_manifest(rows, folder / "rows.parquet")
    assert read_row_manifest(folder / "rows.parquet") == rows
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    registry = Registry()
    module = ModuleType("made_up")
    module.findna_bench_tasks = hookimpl(lambda: [SOURCE, DERIVED])  # type: ignore[attr-defined]
    registry.add(module, Plugin("made-up", "made_up", "made-up", "1"))
    return registry


def test_rows_go_where_the_manifest_says(source: dict[str, SequenceTable], registry: Registry, tmp_path: Path) -> None:
    assert task_status(DERIVED, tmp_path) == "missing"
    store_rows(SOURCE, PublishedRows(source), tmp_path, source={})
    task = open_task("made-up-clean/derived", data_dir=tmp_path, registry=registry)
    assert (task.status, task_status(DERIVED, tmp_path), task.splits) == ("complete", "complete", ("train", "test"))
    test = task.load("test")
    expected = [i for i in range(80) if i % 3 == 0]
    assert test.ids.tolist() == [f"train/{LABELS[i % 2]}/{i}" for i in expected]
    assert test.sequences == [source["train"].sequences[i][5:55] for i in expected]
    assert test.start is not None
    assert test.start.tolist() == [1000 * i + 5 for i in expected]
    assert test.group is not None
    assert test.group.tolist() == [i // 10 for i in expected]
    assert task.counts["test"] == {"negative": 14, "positive": 13}
    again = open_task("made-up-clean/derived", data_dir=tmp_path, registry=registry)
    assert (
        again.data_digest
        == task.data_digest
        != open_task("made-up/source", data_dir=tmp_path, registry=registry).data_digest
    )


def test_a_part_of_the_source_gives_a_part(
    source: dict[str, SequenceTable], registry: Registry, tmp_path: Path
) -> None:
    store_rows(SOURCE, PublishedRows(source | {"train": source["train"].take(np.arange(30))}), tmp_path, source={})
    task = open_task("made-up-clean/derived", data_dir=tmp_path, registry=registry)
    assert task.status == "partial"
    assert sorted(len(task.load(split)) for split in task.splits) == [10, 20]


def test_other_row_ids_are_refused(source: dict[str, SequenceTable], registry: Registry, tmp_path: Path) -> None:
    renamed = {split: replace(t, ids=np.array([f"x{i}" for i in range(len(t))])) for split, t in source.items()}
    store_rows(SOURCE, PublishedRows(renamed), tmp_path, source={})
    with pytest.raises(DataError, match="80 of its 80 rows are not in the copy"):
        open_task("made-up-clean/derived", data_dir=tmp_path, registry=registry).load("test")


def test_any_task_can_be_opened_with_another_split(
    source: dict[str, SequenceTable], registry: Registry, tmp_path: Path
) -> None:
    overlapping = source["test"]
    assert overlapping.start is not None
    near = replace(overlapping, start=1000 * np.arange(20) + 10, end=1000 * np.arange(20) + 70)
    store_rows(SOURCE, PublishedRows({**source, "test": near}), tmp_path, source={})
    official = open_task("made-up/source", data_dir=tmp_path, registry=registry)
    folds = [
        open_task("made-up/source", data_dir=tmp_path, registry=registry, split=f"grouped:{i}/2") for i in range(2)
    ]
    assert official.data_digest not in {fold.data_digest for fold in folds}
    assert folds[0].data_digest != folds[1].data_digest
    ids = [set(fold.load("test").ids.tolist()) for fold in folds]
    assert not ids[0] & ids[1]
    assert len(ids[0] | ids[1]) == 100
    for fold in folds:
        train, test = fold.load("train"), fold.load("test")
        assert train.group is not None
        assert test.group is not None
        assert not set(train.group) & set(test.group)
    with pytest.raises(UnsupportedError, match="not evaluable: fewer than 30 independent groups in test"):
        open_task("made-up/source", data_dir=tmp_path, registry=registry, split="grouped").load("test")
    with pytest.raises(UsageError, match="is none of official, grouped"):
        open_task("made-up/source", data_dir=tmp_path, registry=registry, split="groupd")


def test_counts_of_the_committed_manifests_are_those_of_the_cards() -> None:
    cards = {card.full_name: card for card in get_registry().cards("tasks") if card.derived_from}
    assert len(cards) >= 9
    for card in cards.values():
        package, _, path = card.rows.partition(":")
        with resources.as_file(resources.files(package).joinpath(path)) as file:
            rows = read_row_manifest(file)
        counts = {split: dict.fromkeys(card.labels, 0) for split in card.counts}
        sides: dict[int, set[str]] = {}
        for key, (split, group) in rows.items():
            counts[split][key.split("/")[1]] += 1
            if group >= 0:
                sides.setdefault(group, set()).add(split)
        assert counts == {split: dict(of) for split, of in card.counts.items()}
        assert all(len(side) == 1 for side in sides.values())


@pytest.mark.shared
@pytest.mark.long
def test_the_recipe_makes_the_committed_manifests(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINDNA_BENCH_DATA_DIR", str(tmp_path))
    import_suite("genomic_benchmarks", shared / "data" / "genomic_benchmarks" / "intervals", tmp_path)
    subprocess.run([sys.executable, str(ROOT / "scripts" / "make_clean_suite.py"), "--check"], check=True, timeout=600)


@pytest.mark.shared
def test_cleaned_tasks_have_no_overlap_and_no_length_shortcut(shared: Path, tmp_path: Path) -> None:
    from findna_bench.auditing import audit_task

    intervals = shared / "data" / "genomic_benchmarks" / "intervals"
    import_suite("genomic_benchmarks", intervals, tmp_path, tasks=["genomic_benchmarks/human_nontata_promoters"])
    name = "genomic_benchmarks-clean/human_nontata_promoters-clean"
    report = json.loads(json.dumps(audit_task(name, data_dir=tmp_path).to_dict()))
    assert report["verdict"]["level"] == "clean by coordinates"
    assert report["across"]["train->test"]["overlap_any"]["total"] == 0
    assert report["splits"]["test"]["rows"] == 9034


def test_groups_are_found_once_for_all_folds(
    source: dict[str, SequenceTable], registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_rows(SOURCE, PublishedRows(source), tmp_path, source={})
    first = open_task("made-up/source", data_dir=tmp_path, registry=registry, split="grouped:0/3").load("test")

    def refuse(*_: object) -> None:
        raise AssertionError("groups were found a second time")

    with monkeypatch.context() as patched:
        patched.setattr("findna_bench.data.derived.components", refuse)
        second = open_task("made-up/source", data_dir=tmp_path, registry=registry, split="grouped:1/3").load("test")
    assert not set(first.ids.tolist()) & set(second.ids.tolist())
    (kept,) = (tmp_path / "groups").iterdir()
    kept.write_bytes(kept.read_bytes()[:50])  # a damaged file is not used
    again = open_task("made-up/source", data_dir=tmp_path, registry=registry, split="grouped:1/3").load("test")
    assert again.ids.tolist() == second.ids.tolist()
    np.save(kept, np.array([Malicious(tmp_path / "ran")], dtype=object), allow_pickle=True)  # nor one that holds code
    again = open_task("made-up/source", data_dir=tmp_path, registry=registry, split="grouped:1/3").load("test")
    assert again.ids.tolist() == second.ids.tolist()
    assert not (tmp_path / "ran").exists()
