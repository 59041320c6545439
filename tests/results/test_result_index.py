"""The index of a results folder costs nothing but time when it is missing, torn, old or wrong: answers are those of the files."""

from __future__ import annotations

import copy
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from findna_bench.results import result_index
from findna_bench.results.result_index import INDEX, ResultIndex
from findna_bench.results.result_rows import RowsInMemory, record_of
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore


def content(number: int, value: float = 0.5, **fields: Any) -> dict[str, Any]:
    """A result as JSON. number: of the cell."""
    model, task = f"model-{number % 3}", f"task-{number % 2}"
    result = {
        "identity": f"{number:064x}", "request_id": f"{number:032x}", "config_id": f"{number % 3:032x}", "status": "success",
        "flags": ["untrained"] * (number % 2), "command": "findna-bench run", "protocol_version": 2, "preset": "default", "selection": "validation",
        "model": {"name": model, "kind": "encoder", "weights": {"trained": True}, "code_digest": "sha256:0"},
        "task": {"suite": "demo", "name": task, "labels": ["a", "b"], "data_digest": "d", "counts": {"test": {"a": 6, "b": 4}}, "split": "official"},
        "seed": number // 3, "protocol": {"name": "probe", "settings": {"seed_varies": [], "c": 1e-05}},
        "metrics": {"main": {"name": "accuracy", "value": value}, "all": {"accuracy": value, "mcc": None},
                    "intervals": {"accuracy": [value - 0.1, value + 0.1], "mcc": None}, "n_groups": 10,
                    "groups": {"a": {"n": 3, "accuracy": value}} if number % 4 == 0 else {}},
        "validation": {"metrics": {"accuracy": value, "path": [1e22, -0.0, 10**30]}, "warnings": ["did not converge"] * (number % 2)},
        "timing": {"fit_s": 1.5}, "environment": {"device": "cpu", "versions": {"torch": "2"}}, "created": "2026-01-01T00:00:00+00:00",
        "hashed": {"request": {"task": {"path": "rows.csv" if number % 3 else None}}, "config": {"a": [1]}, "cell": {"seed": number}},
        "request": {"options": {"models": [model], "seeds": [number], "window": None}, "files": {}},
    }  # fmt: skip
    return Result.model_validate(result | fields).to_dict()


def write(root: Path, number: int, text: str) -> Path:
    path = root / f"model-{number % 3}" / "demo" / f"task-{number % 2}" / "probe" / f"{number:016x}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def by_files(root: Path) -> tuple[list[Result], list[str]]:
    said: list[str] = []
    return [result for _, result in ResultStore(root).readable(said.append)], said


def by_index(root: Path, **options: Any) -> tuple[list[Result], list[str]]:
    said: list[str] = []
    return list(ResultIndex(root, said.append, **options).results()), said


def same(root: Path, **options: Any) -> None:
    (found, said), (wanted, problems) = by_index(root, **options), by_files(root)
    assert said == problems
    assert [r.to_dict() for r in found] == [r.to_dict() for r in wanted]
    index = ResultIndex(root, said.append, **options)
    for name in Result.model_fields:  # each read alone
        assert [getattr(r, name) for r in index.results()] == [getattr(r, name) for r in wanted]
    for models in (None, {"model-1"}):
        alike = [(group.sample, record) for group in index.alike(models=models) for record in group.records]
        of_plans = [(f"{r.status} {r.task} {r.model} {r.protocol}", record[2:]) for r, record in alike]
        alone = [r for r in wanted if models is None or r.model.name in models]
        assert sorted(of_plans, key=str) == sorted(
            ((f"{r.status} {r.task} {r.model} {r.protocol}", record_of(r.to_dict())[2:]) for r in alone), key=str
        )
    for result, whole in zip(index.results(), wanted, strict=True):
        of_tables = [
            (r.task_name, r.warnings, r.place, r.option("window", 1), r.option("seeds"), r.option("later", 2),
             r.metrics.main, r.metrics.n_groups, r.metrics.groups, r.metrics.grouping, r.timing, r.memory, r.is_deterministic,
             r.main_metric, *((r.metrics.interval(metric), r.interval(metric), r.score(metric), r.validation_score(metric))
                              for metric in ("accuracy", "mcc", "none")))
            for r in (result, whole)
        ]  # fmt: skip
        assert of_tables[0] == of_tables[1]
        changed = result.model_copy(update={"status": "oom", "metrics": result.metrics.model_copy(update={"all": {}})})
        expected = whole.model_copy(update={"status": "oom", "metrics": whole.metrics.model_copy(update={"all": {}})})
        assert changed == expected
        assert changed.alike != result.alike
        assert changed.to_dict() == expected.to_dict()
        for copied in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result), copy.copy(result)):
            assert copied == result == whole == copied
        assert repr(result) == repr(whole)
        assert result.validation == whole.validation
        assert result.model_dump_json() == whole.model_dump_json()  # also after parts of it were looked at
        assert result != expected


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "edit", "edit in place", "remove", "damage", "failure", "index"]), st.integers(0, 11)
    ),
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, fewest=st.sampled_from([1, 3, 200]))
def test_whatever_happens_to_the_files_the_index_answers_as_they_do(
    steps: list[tuple[str, int]], fewest: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("results")
    for turn, (what, number) in enumerate(steps):
        path = write(root, number, json.dumps(content(number))) if what in ("add", "edit", "edit in place") else None
        if what == "edit":
            assert path is not None
            beside = path.with_name(".new")
            beside.write_text(json.dumps(content(number, turn / 16)))
            beside.replace(path)
        elif what == "edit in place":  # of the same length, with the same time
            assert path is not None
            same(root, fewest=fewest)
            before = path.stat()
            path.write_text(json.dumps(content(number)).replace("model-", "mOdel-"))
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif what == "remove":
            for found in root.rglob(f"{number:016x}.json"):
                found.unlink()
        elif what == "damage":
            write(root, number, json.dumps(content(number))[: number * 40])
        elif what == "failure":
            (root / "errors").mkdir(exist_ok=True)
            error = {"type": "ValueError", "message": "no", "traceback": "File"}
            (root / "errors" / f"{number:032x}.json").write_text(
                json.dumps(content(number, status="error", error=error))
            )
        same(root, fewest=fewest)
    same(root, fewest=fewest)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Results that were written a while ago, indexed."""
    for number in range(12):
        write(tmp_path / "results", number, json.dumps(content(number)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result_index, "_COARSE_NS", -(10**12))  # as if they were old
        by_index(tmp_path / "results", fewest=1)
    assert (tmp_path / "results" / INDEX).is_file()
    return tmp_path / "results"


def reading(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read as results from now on."""
    read: list[Path] = []

    def read_result(path: Path) -> Result:
        read.append(path)
        return original(path)

    original = result_index.read_result
    monkeypatch.setattr(result_index, "read_result", read_result)
    return read


def test_files_that_did_not_change_are_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = reading(monkeypatch)
    assert len(by_index(folder)[0]) == 12
    assert read == []
    path = write(folder, 3, json.dumps(content(3, 0.9)))
    assert [r.metrics.main.value for r in by_index(folder)[0]].count(0.9) == 1
    assert read == [path]


def test_rows_in_memory_are_what_files_said(folder: Path) -> None:
    rows = RowsInMemory()
    paths = list(ResultStore(folder).paths())
    wanted, found, again = by_files(folder)[0], [*map(rows.read, paths)], [*map(rows.read, paths)]
    shutil.rmtree(folder)
    assert [r.to_dict() for r in found] == [r.to_dict() for r in wanted]
    for name in Result.model_fields:  # each read alone
        assert [getattr(r, name) for r in again] == [getattr(r, name) for r in wanted]
    assert len({id(r.environment) for r in found}) == 1, "what they have in common is kept once"
    assert {r.seed for r in found if r.alike == found[0].alike} == {0, 2}


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 0, json.dumps(content(0)))
    same(tmp_path, fewest=1)
    read = reading(monkeypatch)
    by_index(tmp_path)
    assert len(read) == 1, "file systems with coarse times show no second change"


def test_another_schema_makes_another_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_index, "_version", lambda: "of tomorrow")
    read = reading(monkeypatch)
    by_index(folder, fewest=1)
    assert len(read) == 12
    same(folder)


HARM: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "no database": lambda path: path.write_bytes(b"x" * 5000),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "dangling": lambda path: (path.unlink(), path.symlink_to("nowhere")),
}


@pytest.mark.parametrize("how", HARM)
def test_an_index_that_is_none_changes_no_answer(folder: Path, how: str) -> None:
    HARM[how](folder / INDEX)
    same(folder)
    same(folder, fewest=1)


@pytest.mark.parametrize("seed", range(25))
def test_a_damaged_index_changes_no_answer(folder: Path, seed: int) -> None:
    draw = random.Random(seed)
    damaged = bytearray((folder / INDEX).read_bytes())
    for _ in range(draw.choice([1, 5, 200])):
        damaged[draw.randrange(len(damaged))] = draw.randrange(256)
    (folder / INDEX).write_bytes(damaged)
    same(folder)
    same(folder, fewest=1)


def test_a_folder_that_cannot_be_written_is_read_without_an_index(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / INDEX).unlink()

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("findna_bench.files.tempfile.mkstemp", refuse)
    same(folder, fewest=1)
    assert not (folder / INDEX).exists()


def test_an_index_of_a_copied_folder_is_not_believed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    read = reading(monkeypatch)
    same(tmp_path / "copy")
    assert len(read) >= 12


WRITER = """
import json, pathlib, sys
sys.path.insert(0, {here!r})
from test_result_index import content, write
from findna_bench.results.result_index import ResultIndex
root = pathlib.Path({root!r})
for number in range({first}, {first} + 15):
    path = write(root, number + 1000, "")
    beside = path.with_name(".new.{first}")
    beside.write_text(json.dumps(content(number)))
    beside.replace(path)
    list(ResultIndex(root, lambda text: None, fewest=1).results())
"""


def test_two_processes_write_results_and_indices_while_a_third_reads(folder: Path) -> None:
    here = str(Path(__file__).parent)
    code = [WRITER.format(here=here, root=str(folder), first=first) for first in (0, 500)]
    writers = [subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.PIPE) for text in code]
    seen, ended = [len(by_index(folder)[0])], threading.Event()
    while not ended.is_set():
        if all(writer.poll() is not None for writer in writers):
            ended.set()
        found, said = by_index(folder)
        assert all("not valid JSON" in text for text in said)  # the empty file that a writer begins with
        seen.append(len(found))
    for writer in writers:
        assert writer.wait() == 0, writer.communicate()[1].decode()[-2000:]
    assert seen == sorted(seen)
    assert seen[-1] == 42
    same(folder)


@pytest.mark.parametrize("name", [".hidden", "..", "...x", "a.b", "%2E"])
def test_names_that_begin_with_a_dot_are_seen(tmp_path: Path, name: str) -> None:
    """Of models, suites, tasks and protocols; a file name with a dot in front is hidden."""
    store = ResultStore(tmp_path)
    wanted = content(0)
    wanted["model"]["name"] = wanted["task"]["suite"] = wanted["task"]["name"] = wanted["protocol"]["name"] = name
    path = store.write(Result.model_validate(wanted))
    assert [store.root / found for found, _ in store.index().located(models=[name])] == [path]
    assert path == store.path_of(*store.load())
