"""``embeddings:FILE``: vectors computed elsewhere are scored as any model's are, rows found by order or by id and checked."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from motif_tasks import write_task

import findna_bench as fb
from findna_bench.api import SequenceTable
from findna_bench.cli import main
from findna_bench.errors import UsageError
from findna_bench.results.schema import Result


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """Rows of train, validation and test, mixed; every row has an id."""
    path = write_task(tmp_path / "motif.csv", seed=4, rows=150)
    header, *lines = path.read_text().splitlines()
    rows = [line.replace(",train", ",valid") if row % 5 == 1 else line for row, line in enumerate(lines)]
    path.write_text("\n".join([f"{header},id", *(f"{line},row-{n}" for n, line in enumerate(rows))]) + "\n")
    return path


def vectors_of(sequences: list[str]) -> np.ndarray:
    """Counts of the words of the motif, which tell the classes apart."""
    words = ("TATAAA", "TAT", "AAA", "GC")
    return np.array([[sequence.count(word) for word in words] for sequence in sequences], dtype=np.float32)


def tables(task: Path) -> dict[str, SequenceTable]:
    opened = fb.load_task(task)
    return {split: opened.load(split) for split in ("train", "validation", "test")}


def in_order(task: Path, path: Path) -> Path:
    """One vector per row of the file, as anyone would make them who reads it from top to bottom."""
    with task.open() as stream:
        sequences = [row["sequence"] for row in csv.DictReader(stream)]
    np.save(path, vectors_of(sequences))
    return path


def by_id(task: Path, path: Path) -> Path:
    rows = tables(task).values()
    vectors, ids = np.concatenate([vectors_of(t.sequences) for t in rows]), np.concatenate([t.ids for t in rows])
    shuffled = np.random.default_rng(0).permutation(len(ids))
    np.savez(path, vectors=vectors[shuffled], ids=ids[shuffled])
    return path


def run(task: Path, model: Path, tmp_path: Path, **options: Any) -> list[Result]:
    return fb.run([f"embeddings:{model}"], [str(task)], output_dir=tmp_path / "r", **options)


def test_rows_by_order_and_by_id_give_the_same_scores(task: Path, tmp_path: Path) -> None:
    results = {}
    for path in (in_order(task, tmp_path / "a.npy"), by_id(task, tmp_path / "b.npz")):
        (results[path.suffix],) = run(
            task, path, tmp_path, seeds=3
        )  # official validation: one fit stands for all seeds
    first, second = results.values()
    assert first.status == "success", first.error
    assert first.metrics == second.metrics
    assert first.metrics.main.value is not None
    assert first.metrics.main.value > 0.95
    assert first.is_deterministic
    assert first.n_effective_seeds == 1
    assert set(first.metrics.intervals) == set(first.metrics.all)
    assert first.coverage.bases_seen is None
    assert first.identity != second.identity


@pytest.mark.parametrize("options", [{"protocol": "knn"}, {"limit": 40}, {"shots": (10,)}, {"selection": "test"}])
def test_protocols_and_row_limits_apply(task: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    results = run(task, in_order(task, tmp_path / "a.npy"), tmp_path, seeds=2, **options)
    assert {r.status for r in results} == {"success"}, results[0].error
    assert all((r.metrics.main.value or 0) > 0.8 for r in results)
    assert len(results) == (2 if "shots" in options else 1)


def test_swapped_rows_are_other_rows(task: Path, tmp_path: Path) -> None:
    good = run(task, in_order(task, tmp_path / "a.npy"), tmp_path, seeds=1)[0]
    vectors = np.load(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.random.default_rng(1).permutation(vectors))
    rolled = run(task, tmp_path / "a.npy", tmp_path, seeds=1)[0]
    assert rolled.identity != good.identity
    assert (rolled.metrics.main.value or 0) < 0.8 < (good.metrics.main.value or 0)


def test_a_wrong_number_of_rows_is_one_clear_failed_cell(task: Path, tmp_path: Path) -> None:
    vectors = np.load(in_order(task, tmp_path / "a.npy"))
    np.save(tmp_path / "a.npy", vectors[:-3])
    results = fb.run([f"embeddings:{tmp_path / 'a.npy'}", "majority"], [str(task)], seeds=1, output_dir=tmp_path / "r")
    assert [r.status for r in results] == ["error", "success"]
    message = results[0].error.message
    assert "a.npy holds 147 rows and the task has 150; give one vector for each of the rows of motif.csv" in message
    ids = np.array([f"row-{n}" for n in range(149)])
    np.savez(tmp_path / "b.npz", vectors=vectors[:149][:147], ids=ids[:147])
    (missing,) = run(task, tmp_path / "b.npz", tmp_path, seeds=1)
    assert missing.status == "error"
    assert "has no vector for" in missing.error.message
    assert "'row-14" in missing.error.message


def test_a_strand_without_vectors_is_skipped_with_its_reason_and_a_missing_file_refused(
    task: Path, tmp_path: Path
) -> None:
    path = in_order(task, tmp_path / "a.npy")
    (skipped,) = run(task, path, tmp_path, seeds=2, strand="rc-mean")
    assert skipped.status == "skipped"
    assert "the task's own rows only" in skipped.error.message
    with pytest.raises(UsageError, match="no such file"):
        run(task, tmp_path / "absent.npy", tmp_path)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs the command line in this process: (exit code, what stands on stderr)."""

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["findna-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), capfd.readouterr().err

    return call


# ------------------------------------------------------------------------------------------ every way rows can be ordered

CODES = np.random.default_rng(5).normal(size=(2, 8)).astype(np.float32)


def told(labels: list[str]) -> np.ndarray:
    """Vectors that hold the class of each row and nothing else, in the order of the labels: misplaced rows cost accuracy."""
    noise = np.random.default_rng(6).normal(scale=0.05, size=(len(labels), 8))
    return (CODES[[int(label) for label in labels]] + noise).astype(np.float32)


def file_of(path: Path, split: list[str] | None = None, ids: list[str] | None = None, rows: int = 200) -> list[str]:
    """Write a csv whose sequences say nothing about the class; returns the labels in the order of the file."""
    generator = np.random.default_rng(7)
    labels = [str(label) for label in generator.integers(0, 2, rows)]
    columns = {"sequence": ["".join(generator.choice(list("ACGT"), 40)) for _ in range(rows)], "label": labels}
    columns |= {"split": split} if split else {}
    columns |= {"id": ids} if ids else {}
    lines = [",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return labels


INTERLEAVED = [("test", "train", "train", "dev")[row % 4] for row in range(200)]
WITHIN = [str(INTERLEAVED[:row].count(INTERLEAVED[row])) for row in range(200)]


@pytest.mark.parametrize("split", [None, INTERLEAVED], ids=["drawn test", "interleaved"])
@pytest.mark.parametrize("ids", [None, [f"r{row}" for row in range(200)][::-1]], ids=["row numbers", "own ids"])
def test_vectors_in_the_order_of_a_file_score_all_right(
    tmp_path: Path, split: list[str] | None, ids: list[str] | None
) -> None:
    labels = file_of(tmp_path / "my.csv", split, ids)
    np.save(tmp_path / "v.npy", told(labels))
    np.savez(tmp_path / "v.npz", vectors=told(labels), ids=ids or np.arange(200))
    for name in ("v.npy", "v.npz"):
        results = run(tmp_path / "my.csv", tmp_path / name, tmp_path, seeds=2)
        assert [r.metrics.main.value for r in results] == [1.0] * len(results), (name, results[0].error)


def test_ids_of_the_file_that_repeat_between_splits(tmp_path: Path) -> None:
    labels = file_of(tmp_path / "my.csv", INTERLEAVED, WITHIN)
    np.savez(tmp_path / "v.npz", vectors=told(labels), ids=WITHIN, split=INTERLEAVED)
    (result,) = run(tmp_path / "my.csv", tmp_path / "v.npz", tmp_path, seeds=2)
    assert result.metrics.main.value == 1.0, result.error


def test_the_same_vectors_serve_other_splits(tmp_path: Path) -> None:
    labels = file_of(tmp_path / "my.csv", INTERLEAVED, rows=400 // 2)
    np.save(tmp_path / "v.npy", told(labels))
    np.savez(tmp_path / "v.npz", vectors=told(labels)[::-1], ids=np.arange(200)[::-1])
    for name in ("v.npy", "v.npz"):
        for result in run(tmp_path / "my.csv", tmp_path / name, tmp_path, seeds=1, split="grouped:0/3"):
            assert result.metrics.main.value == 1.0, result.error


def test_equal_rows_may_have_unlike_vectors(tmp_path: Path) -> None:
    labels = file_of(tmp_path / "my.csv", INTERLEAVED)
    lines = (tmp_path / "my.csv").read_text().splitlines()
    alike = [lines[0], *(f"ACGTACGTAC,{line.partition(',')[2]}" for line in lines[1:])]
    (tmp_path / "my.csv").write_text("\n".join(alike) + "\n")
    np.save(tmp_path / "v.npy", told(labels))
    (result,) = run(tmp_path / "my.csv", tmp_path / "v.npy", tmp_path, seeds=1)
    assert result.metrics.main.value == 1.0, result.error


def test_files_of_a_folder_follow_one_another(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    parts = [
        file_of(tmp_path / "task" / f"{name}.csv", rows=n) for name, n in (("train", 90), ("dev", 30), ("test", 40))
    ]
    np.save(tmp_path / "v.npy", np.concatenate([told(labels) for labels in parts]))
    (result,) = run(tmp_path / "task", tmp_path / "v.npy", tmp_path, seeds=1)
    assert result.metrics.main.value == 1.0, result.error
    np.save(tmp_path / "v.npy", told(parts[0]))
    (refused,) = run(tmp_path / "task", tmp_path / "v.npy", tmp_path, seeds=1)
    assert "holds 90 rows and the task has 160 (90 train + 30 validation + 40 test)" in refused.error.message


def test_rows_of_another_order_are_another_task(tmp_path: Path) -> None:
    ids = [f"r{row}" for row in range(200)]
    file_of(tmp_path / "my.csv", INTERLEAVED, ids)
    before = fb.load_task(tmp_path / "my.csv").data_digest
    header, *lines = (tmp_path / "my.csv").read_text().splitlines()
    tests_first = sorted(lines, key=lambda line: ",test," not in line)
    (tmp_path / "my.csv").write_text("\n".join([header, *tests_first]) + "\n")
    assert fb.load_task(tmp_path / "my.csv").data_digest != before


# ----------------------------------------------------------------------------------- what `embed` writes, `embeddings:` reads


def test_embedding_a_file_and_scoring_the_vectors_equals_running_the_model(
    task: Path, tmp_path: Path, typed: Callable[..., tuple[int, str]]
) -> None:
    model = "hyenadna-tiny-1k@random"
    (direct,) = fb.run([model], [str(task)], seeds=1, output_dir=tmp_path / "r")
    for out in (tmp_path / "v.npy", tmp_path / "v.npz", tmp_path / "v.parquet"):
        assert typed("embed", model, "--task", task, "-o", out, "-q") == (0, "")
        (looked_up,) = run(task, out, tmp_path, seeds=1)
        assert looked_up.metrics.main.value == direct.metrics.main.value, looked_up.error


def test_embed_says_what_it_needs_before_any_work(
    task: Path, tmp_path: Path, typed: Callable[..., tuple[int, str]]
) -> None:
    code, said = typed("embed", "no-such-model", "--task", task, "-o", tmp_path / "v.csv")
    assert (code, "give .npy, .npz or .parquet" in said) == (2, True)
    code, said = typed("embed", "no-such-model", "-o", tmp_path / "v.npy")
    assert (code, "--fasta FILE or --task TASK" in said) == (2, True)


def test_records_of_one_fasta_per_class_are_looked_up_by_id(
    tmp_path: Path, typed: Callable[..., tuple[int, str]]
) -> None:
    (tmp_path / "task").mkdir()
    generator = np.random.default_rng(8)
    for number, name in enumerate(("neg", "pos")):
        records = [
            f">{name}{i}\n{''.join(generator.choice(list('ACGT' if number else 'AATT'), 40))}" for i in range(60)
        ]
        (tmp_path / "task" / f"{name}.fa").write_text("\n".join(records) + "\n")
    arguments = ["embed", "hyenadna-tiny-1k@random", "--task", tmp_path / "task", "-q", "-o"]
    code, said = typed(*arguments, tmp_path / "v.npy")
    assert (code, "no common order" in said) == (2, True)
    assert typed(*arguments, tmp_path / "v.npz") == (0, "")
    (result,) = run(tmp_path / "task", tmp_path / "v.npz", tmp_path, seeds=(0,))
    assert (result.metrics.main.value or 0) > 0.9, result.error
    np.save(tmp_path / "v.npy", np.load(tmp_path / "v.npz")["vectors"])
    (refused,) = run(tmp_path / "task", tmp_path / "v.npy", tmp_path, seeds=(0,))
    assert "no common order" in refused.error.message
