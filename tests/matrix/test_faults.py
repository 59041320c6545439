"""Full disks, read-only folders, damaged files, changed data, missing memory: the right table or one clear error."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fork_server import Server
from motif_tasks import IMPORTED, import_motif_task, write_task

import findna_bench as fb
from findna_bench.errors import OutputError
from findna_bench.files import write_atomic
from findna_bench.models import embedding_cache
from findna_bench.results.schema import read_result
from findna_bench.results.store import ResultStore
from findna_bench.training.training_checkpoints import load_checkpoint, save_checkpoint


class SmallDisk:
    """A file system in memory that is soon full."""

    def __init__(self, path: Path, size: str) -> None:
        self.path = path
        self._mount("-t", "tmpfs", "-o", f"size={size}", "none")

    def _mount(self, *options: str) -> None:
        subprocess.run(["mount", *options, str(self.path)], check=True, capture_output=True)

    def remount(self, options: str) -> None:
        self._mount("-o", f"remount,{options}")

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Any]:
    """Makes small disks."""
    made: list[SmallDisk] = []

    def make(name: str, size: str) -> SmallDisk:
        (tmp_path / name).mkdir()
        try:
            made.append(SmallDisk(tmp_path / name, size))
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"a tmpfs cannot be mounted here ({error}); the injected variants of these tests do run")
        return made[-1]

    yield make
    for one in made:
        one.close()


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def sentences(stderr: str) -> list[str]:
    assert "Traceback" not in stderr
    return [line for line in stderr.splitlines() if line.startswith("findna-bench:")]


def finished(results: Path) -> dict[Path, int]:
    """Time stamps of the finished cells, every one of which reads well and has its predictions."""
    stamps = {}
    for path in ResultStore(results).paths():
        assert read_result(path).status == "success"
        assert path.with_suffix(".predictions.parquet").exists()
        stamps[path] = path.stat().st_mtime_ns
    return stamps


# ------------------------------------------------------------------------------------------------------------ results


def test_a_disk_that_fills_up_ends_the_run_and_costs_no_finished_cell(
    server: Server, tmp_path: Path, disk: Any
) -> None:
    small = disk("small", "160k")
    tasks = ",".join(str(write_task(tmp_path / f"t{i}.csv", seed=i, rows=60)) for i in range(4))
    command = ["run", "-m", "steady", "-t", tasks, "--seeds", 5, "-o", small.path / "r"]
    job = server.start(*command, cwd=tmp_path)
    assert job.wait() == 1
    (sentence,) = sentences(job.stderr)
    assert "No space left on device" in sentence
    before = finished(small.path / "r")
    assert 0 < len(before) < 20
    assert not list(small.path.rglob("*.part"))
    small.remount("size=4m")
    assert server.start(*command, cwd=tmp_path).wait() == 0
    after = finished(small.path / "r")
    assert len(after) == 20
    assert {path: after[path] for path in before} == before


@pytest.mark.parametrize("executor", ["serial", "process"])
def test_a_disk_that_is_full_from_the_start_is_one_sentence(
    server: Server, tmp_path: Path, disk: Any, executor: str
) -> None:
    small = disk("small", "12k")
    (small.path / "r").mkdir()
    with contextlib.suppress(OSError):
        (small.path / "filler").write_bytes(b"x" * 20_000)
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    job = server.start("run", "-m", "steady", "-t", task, "-o", small.path / "r", "--executor", executor, cwd=tmp_path)
    assert job.wait() == 1
    (sentence,) = sentences(job.stderr)
    assert "No space left on device" in sentence


def test_a_write_that_fails_anywhere_ends_the_run_and_the_next_one_completes_it(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync
    expected = [r.metrics for r in fb.run(["majority"], [str(task)], seeds=2, output_dir=tmp_path / "calm")]
    all_writes = 2 + 2 * 2 * 2  # file and folder, for the probe, and for predictions and results of two cells
    for writes in range(all_writes + 1):
        left = [writes]

        def sync_until_full(descriptor: int, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                full()
            sync(descriptor)

        out = tmp_path / f"r{writes}"
        with monkeypatch.context() as patch, contextlib.ExitStack() as stack:
            patch.setattr(os, "fsync", sync_until_full)
            if writes < all_writes - 1:  # the very last one only makes a rename durable
                stack.enter_context(pytest.raises(OutputError, match="No space left on device"))
            fb.run(["majority"], [str(task)], seeds=2, output_dir=out)
        before = finished(out)
        results = fb.run(["majority"], [str(task)], seeds=2, output_dir=out)
        assert [r.metrics for r in results] == expected
        after = finished(out)
        assert {path: after[path] for path in before} == before
        assert not list(out.rglob("*.part"))


def test_a_results_folder_that_cannot_be_written_is_refused_before_work(
    server: Server, tmp_path: Path, log: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "locked"
    if os.geteuid():
        folder.mkdir(mode=0o500)
    else:  # modes do not bind root: a file system mounted read-only does
        request.getfixturevalue("disk")("locked", "64k").remount("ro")
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    job = server.start("run", "-m", "steady", "-t", task, "-o", folder / "r", cwd=tmp_path)
    assert job.wait() == 1
    (sentence,) = sentences(job.stderr)
    assert "locked" in sentence
    assert "--output-dir" in sentence
    assert log.read_text() == ""


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_result_is_named_and_computed_again(
    server: Server, task: Path, tmp_path: Path, share: float
) -> None:
    out = tmp_path / "r"
    result = fb.run(["majority"], [str(task)], seeds=2, output_dir=out)[1]
    path = ResultStore(out).path_of(result)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.json") if p != path}
    shown = server.start("leaderboard", "-o", out, cwd=tmp_path)
    assert shown.wait() == 0
    assert path.name in shown.stderr
    assert "it is left out" in shown.stderr
    job = server.start("run", "-m", "majority", "-t", task, "--seeds", 2, "-o", out, cwd=tmp_path)
    assert job.wait() == 0
    assert path.name in job.stderr
    assert read_result(path).metrics == result.metrics
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_a_reader_of_a_file_that_is_written_anew_sees_the_old_one_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"old" * 1000)
    with path.open("rb", buffering=0) as reader:
        assert reader.read(3) == b"old"
        write_atomic(path, b"new" * 1000)
        assert reader.read() == b"old" * 999
    assert path.read_bytes() == b"new" * 1000


# -------------------------------------------------------------------------------------------------------------- cache


def embedded_run(server: Server, cwd: Path, task: Path, out: str, cache: Path) -> tuple[list[bytes], str]:
    """Predictions of a run that embeds, and what it said."""
    job = server.start(
        "run", "-m", "hyenadna@random", "-t", task, "--seeds", 1, "-o", out, cwd=cwd,
        environment={"FINDNA_BENCH_CACHE_DIR": str(cache)},
    )  # fmt: skip
    assert job.wait() == 0, job.stderr
    return [path.read_bytes() for path in sorted((cwd / out).rglob("*.parquet"))], job.stderr


def test_a_full_or_read_only_cache_costs_speed_and_nothing_else(server: Server, tmp_path: Path, disk: Any) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    expected, said = embedded_run(server, tmp_path, task, "calm", tmp_path / "cache")
    assert "embedding cache" not in said
    small = disk("small", "20k")
    found, said = embedded_run(server, tmp_path, task, "full", small.path)
    assert found == expected
    assert said.count("the run goes on without keeping embeddings") == 1
    assert "No space left on device" in said
    small.remount("ro,size=1m")
    found, said = embedded_run(server, tmp_path, task, "read-only", small.path)
    assert found == expected
    assert said.count("the run goes on without keeping embeddings") == 1


def test_a_cache_that_cannot_be_written_costs_one_warning(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(embedding_cache, "write_atomic", full)
    with caplog.at_level(logging.WARNING):
        results = fb.run(["hyenadna@random"], [str(task)], seeds=1, output_dir=tmp_path / "r")
    assert results[0].status == "success"
    assert [record.message for record in caplog.records if "embedding cache" in record.message] == [
        "embedding cache: [Errno 28] No space left on device; the run goes on without keeping embeddings"
    ]


@pytest.mark.parametrize("place", [0.0, 0.02, 0.5, 0.999])
def test_flipped_bytes_in_a_cache_file_are_noticed_and_change_no_number(
    server: Server, tmp_path: Path, place: float
) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    expected, _ = embedded_run(server, tmp_path, task, "calm", tmp_path / "cache")
    shards = list((tmp_path / "cache").rglob("*.emb"))
    assert shards
    for shard in shards:
        content = bytearray(shard.read_bytes())
        content[int(place * len(content))] ^= 0x55
        shard.write_bytes(content)
    found, said = embedded_run(server, tmp_path, task, "flipped", tmp_path / "cache")
    assert found == expected
    assert said.count("is damaged and was removed") == len(shards)


# --------------------------------------------------------------------------------------------------------- checkpoint


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(tmp_path: Path, disk: Any) -> None:
    small = disk("small", "64k")
    path = small.path / "state.pt"
    save_checkpoint(path, {"step": 1, "weights": torch.ones(100)})
    with pytest.raises(OutputError, match=r"state\.pt.*free some space"):
        save_checkpoint(path, {"step": 2, "weights": torch.ones(100_000)})
    assert (load_checkpoint(path) or {})["step"] == 1
    assert [entry.name for entry in small.path.iterdir()] == ["state.pt"]


def test_a_checkpoint_that_cannot_be_synced_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.pt"
    save_checkpoint(path, {"step": 1})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        save_checkpoint(path, {"step": 2})
    assert (load_checkpoint(path) or {})["step"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.pt"]


# --------------------------------------------------------------------------------------------------- data and memory


def test_imported_data_that_change_between_plan_and_run_are_a_failed_cell_that_says_so(
    tmp_path: Path,
) -> None:
    data, out = tmp_path / "data", tmp_path / "r"
    folder = import_motif_task(data, tmp_path, seed=0)
    options: dict[str, Any] = {"seeds": 2, "output_dir": out, "data_dir": data}
    assert fb.plan(["majority"], [IMPORTED], **options).finished == 0
    path = folder / "train.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    results = fb.run(["majority"], [IMPORTED, str(write_task(tmp_path / "t.csv", 1))], **options)
    assert [r.status for r in results] == ["error"] * 2 + ["success"] * 2
    assert "train.parquet was changed after it was imported" in results[0].error.message
    assert "fetch the task again" in results[0].error.message
    path.write_bytes(whole)
    assert [r.status for r in fb.run(["majority"], [IMPORTED], **options)] == ["success"] * 2
    assert not list((out / "errors").iterdir())
    path.unlink()
    missing = fb.run(["majority"], [IMPORTED], **options | {"overwrite": "always"})
    assert "train.parquet is missing" in missing[0].error.message


def test_a_batch_that_runs_out_of_memory_is_halved_and_one_sequence_that_does_is_a_row(
    server: Server, tmp_path: Path
) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    command = ["run", "--json", "-t", task, "--seeds", 1]
    found = {}
    for name, options in (("halved", []), ("small", ["--batch-size", 2])):
        job = server.start(
            *command, "-m", "hungry@random,starving@random,steady", *options, "-o", tmp_path / name, cwd=tmp_path,
            environment={"FINDNA_BENCH_CACHE_DIR": str(tmp_path / f"cache-{name}")},
        )  # fmt: skip
        assert job.wait() == 1
        found[name] = json.loads(job.stdout)
    hungry, starving, _ = found["halved"]
    assert [r["status"] for r in found["halved"]] == ["success", "oom", "success"]
    assert "does not fit into the memory" in starving["error"]["message"]
    assert hungry["batch"]["effective"] > 3 >= hungry["batch"]["micro"]
    assert hungry["metrics"]["all"] == pytest.approx(found["small"][0]["metrics"]["all"], abs=1e-6)
    assert found["small"][0]["batch"] == {"requested": 2, "effective": 2, "micro": 2}
