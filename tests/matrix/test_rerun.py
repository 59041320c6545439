"""``verify --rerun`` asks for a cell again as it was asked for, whatever that was, and finds a number that does not come out."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fork_server import Server
from motif_tasks import IMPORTED, import_motif_task, write_task

import findna_bench as fb
from findna_bench.cli import main
from findna_bench.errors import ModelError, UsageError
from findna_bench.matrix.unit import metrics_of, replace_result
from findna_bench.matrix.verification import verify
from findna_bench.results.schema import digest_of
from findna_bench.results.store import ResultStore, ScoredRows

SPECIES = "demo/species4"


@dataclass
class Asked:
    """What a run is asked for, and where its files lie afterwards."""

    models: list[str]
    tasks: list[str] = field(default_factory=lambda: [SPECIES])
    options: dict[str, Any] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


def tiny(folder: Path) -> Path:
    """A folder with the weights of findna-tiny."""
    shutil.copytree(str(files("findna_plugins") / "weights" / "findna-tiny"), folder)
    return folder


def shuffled(folder: Path) -> Path:
    """The same with its numbers in another order, which predict nothing."""
    from safetensors.torch import load_file, save_file

    (file,) = tiny(folder).glob("*.safetensors")
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: tensor.flatten()[torch.randperm(tensor.numel(), generator=generator)].reshape(tensor.shape)
        for name, tensor in load_file(file).items()
    }
    save_file(tensors, file)
    return folder


def with_weights(tmp_path: Path) -> Asked:
    weights = tiny(tmp_path / "weights")
    return Asked(["findna-tiny"], options={"weights": {"findna-tiny": str(weights)}}, files=[weights])


def with_weights_that_predict_nothing(tmp_path: Path) -> Asked:
    weights = shuffled(tmp_path / "noise")
    options = {"weights": {"findna-tiny": str(weights)}, "sanity": False}
    return Asked(["findna-tiny"], options=options, files=[weights])


def one_of_two_networks(tmp_path: Path) -> Asked:
    from findna_bench.api import load_model
    from findna_bench.models.folders import save_model_folder

    networks = {
        name: load_model("findna-tiny", weights=weights).backbone
        for name, weights in (("teacher", None), ("student", "random"))
    }
    card = load_model("findna-tiny").card
    folder = save_model_folder(tmp_path / "two", networks, backbone=str(card.backbone), config=card.config)
    return Asked([f"path:{folder}"], options={"network": "student,teacher", "sanity": False}, files=[folder])


def a_folder(tmp_path: Path) -> Asked:
    folder = tiny(tmp_path / "my model")
    return Asked([f"path:{folder}"], files=[folder])


def from_a_hub(tmp_path: Path) -> Asked:
    commit, home = "c" * 40, Path(os.environ["HF_HOME"]) / "hub" / "models--acme--tiny"
    tiny(home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    return Asked(["hf:acme/tiny"])


def vectors(tmp_path: Path) -> Asked:
    task = write_task(tmp_path / "motif.csv", seed=0)
    rows = len(task.read_text().splitlines()) - 1
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32))
    return Asked([f"embeddings:{tmp_path / 'v.npy'}"], [str(task)], files=[tmp_path / "v.npy", task])


def a_file(tmp_path: Path) -> Asked:
    task = write_task(tmp_path / "my, motif.csv", seed=0)
    return Asked(["kmer"], [str(task)], {"split": "grouped:1/3"}, [task])


def a_folder_of_files(tmp_path: Path) -> Asked:
    folder = tmp_path / "data"
    folder.mkdir()
    for seed, split in enumerate(("train", "test")):
        lines = write_task(tmp_path / "all.csv", seed=seed).read_text().splitlines()
        (folder / f"{split}.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    return Asked(["kmer"], [str(folder)], files=[folder])


def with_options(**options: Any) -> Callable[[Path], Asked]:
    return lambda tmp_path: Asked(["kmer"], options=options)


KINDS: dict[str, Callable[[Path], Asked]] = {
    "--weights": with_weights,
    "--no-sanity": with_weights_that_predict_nothing,
    "--network": one_of_two_networks,
    "--split": with_options(split="grouped"),
    "--shots": with_options(shots=(5,)),
    "--shot-validation": with_options(shots=(5,), shot_validation="full"),
    "--threads": lambda tmp_path: replace(vectors(tmp_path), options={"threads": 2}),
    "file": a_file,
    "folder": a_folder_of_files,
    "embeddings:": vectors,
    "hf:": from_a_hub,
    "path:": a_folder,
}


def run(asked: Asked, out: Path) -> int:
    options = {"seeds": 2, "limit": 60, "output_dir": out, **asked.options}
    results = fb.run(asked.models, asked.tasks, **options)
    assert {r.status for r in results} == {"success"}, results[0].error
    return len(results)


def moved(asked: Asked, to: Path) -> dict[str, Path]:
    """Everything somewhere else and under another name, as in the hands of somebody else: places by name."""
    to.mkdir()
    return {file.name: Path(shutil.move(file, to / f"other {file.name}")) for file in asked.files}


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_result_comes_out_again(kind: str, tmp_path: Path) -> None:
    asked = KINDS[kind](tmp_path)
    n = run(asked, tmp_path / "r")
    for path in ResultStore(tmp_path / "r").paths():
        assert str(tmp_path) not in json.dumps(json.loads(path.read_text())["request"])
    places = moved(asked, tmp_path / "elsewhere")
    found = verify(tmp_path / "r", rerun=10, places=places)
    assert (found.findings, found.rerun, dict(found.not_rerun)) == ((), n, {})


def test_fine_tuning_with_a_search_comes_out_again(server: Server, tmp_path: Path, log: Path) -> None:
    import_motif_task(tmp_path / "data", tmp_path, seed=0)
    words = ["-t", IMPORTED, "-m", "hungry@random", "--seeds", 2, "--data-dir", "data", "-o", "r"]
    job = server.start("run", *words, "--protocol", "finetune", "--preset", "brief", "--search", 2, cwd=tmp_path)
    assert job.wait() == 0, job.stderr
    job = server.start("verify", "r", "--rerun", 2, "--json", "--data-dir", "data", cwd=tmp_path)
    job.wait()
    found = json.loads(job.stdout)
    assert (found["findings"], found["rerun"], found["not_rerun"]) == ([], 2, {})


@pytest.mark.parametrize("kind", ["file", "path:", "--shots"])
def test_a_wrong_result_is_found_however_consistent_it_is(kind: str, tmp_path: Path) -> None:
    asked = KINDS[kind](tmp_path)
    run(asked, tmp_path / "r")
    store = ResultStore(tmp_path / "r")
    for result in store.load():
        rows = store.predictions(result)
        better = ScoredRows(rows.ids, rows.labels, np.eye(len(result.task.labels))[rows.labels], rows.groups)
        store.write(
            replace_result(
                result, metrics=metrics_of(better, result.metrics.main, result.metrics.groups_by, result.task.labels)
            ),
            better,
        )
    places = {file.name: file for file in asked.files}
    assert verify(tmp_path / "r").findings == ()
    found = verify(tmp_path / "r", rerun=2, places=places)
    assert len(found.findings) == 2
    assert "computed again" in found.findings[0].problem
    assert "stored is 1.0" in found.findings[0].problem


def test_a_file_that_is_not_known_or_another_one_is_said_and_calls_nothing_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = write_task(tmp_path / "motif.csv", seed=0)
    out = tmp_path / "r"
    fb.run(["kmer"], [str(task)], seeds=1, output_dir=out)
    found = verify(out, rerun=1)
    assert list(found.not_rerun) == ["where motif.csv may lie is not known here; say --map motif.csv=PATH"]
    assert ["no result could be computed again" in finding.problem for finding in found.findings] == [True]
    other = write_task(tmp_path / "other.csv", seed=1)
    (reason,) = verify(out, rerun=1, places={"motif.csv": other}).not_rerun
    assert f"--map motif.csv={other} is not the motif.csv it was made with (digest " in reason
    with pytest.raises(UsageError, match=r"no result names such a file; they name motif\.csv"):
        verify(out, places={"mitof.csv": task})
    with pytest.raises(UsageError, match="there is nothing"):
        verify(out, places={"motif.csv": tmp_path / "absent.csv"})
    # beside one that can be computed again, it is no problem
    fb.run(["kmer"], [SPECIES], seeds=1, limit=40, output_dir=out)
    found = verify(out, rerun=5)
    assert (found.findings, found.rerun, len(found.not_rerun)) == ((), 1, 1)
    monkeypatch.chdir(tmp_path)
    assert verify(out, rerun=5).rerun == 2, "in the working folder it is found"
    monkeypatch.chdir(out)
    monkeypatch.setattr(sys, "argv", ["findna-bench", "verify", str(out), "--rerun", "5", "--map", f"motif.csv={task}"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "rerun: 2 computed again\n" in capsys.readouterr().out


def test_a_cell_that_fails_when_it_is_computed_again_is_named_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fb.run(["majority"], [SPECIES], seeds=1, limit=40, output_dir=tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise ModelError("it broke")

    monkeypatch.setattr("findna_baselines.controls.majority.Majority.fit", fail)
    (finding,) = verify(tmp_path, rerun=1).findings
    assert finding.problem == "computed again it ends in error: it broke"


def test_a_result_from_before_requests_were_held_says_so(tmp_path: Path) -> None:
    fb.run(["majority"], [SPECIES], seeds=1, limit=40, output_dir=tmp_path)
    (path,) = ResultStore(tmp_path).paths()
    content = json.loads(path.read_text())
    del content["request"]
    content["digest"] = digest_of(content)
    path.write_text(json.dumps(content))
    assert verify(tmp_path).findings == ()
    (reason,) = verify(tmp_path, rerun=1).not_rerun
    assert "written before results held their request" in reason


def forge(folder: Path, where: tuple[str, ...], value: Any) -> None:
    """Change the one result of a folder, with a digest that fits."""
    (path,) = ResultStore(folder).paths()
    content = json.loads(path.read_text())
    block = content
    for key in where[:-1]:
        block = block[key]
    block[where[-1]] = value
    content["digest"] = digest_of(content)
    path.write_text(json.dumps(content))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device here")
def test_a_result_of_a_device_that_is_not_here_is_not_compared(tmp_path: Path) -> None:
    fb.run(["kmer"], [SPECIES], seeds=1, limit=40, output_dir=tmp_path)
    forge(tmp_path, ("hashed", "config", "device_type"), "cuda")
    assert list(verify(tmp_path, rerun=1).not_rerun) == ["computed on cuda, which is not here"]


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("request", "options", "models"), ["path:/"]),
        (("request", "options", "tasks"), ["./../secret.csv"]),
        (("request", "options", "seeds"), ["x"]),
        (("request", "options", "tempo"), 3),
        (("hashed", "request", "task", "distribution"), "/etc"),
    ],
)
def test_a_request_in_a_file_of_others_names_no_path_and_breaks_nothing(
    tmp_path: Path, where: tuple[str, ...], value: Any
) -> None:
    fb.run(["majority"], [SPECIES], seeds=1, limit=40, output_dir=tmp_path)
    forge(tmp_path, where, value)
    found = verify(tmp_path, rerun=1)
    assert found.rerun == 0
    assert len(found.not_rerun) == 1
