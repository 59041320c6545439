"""Fine-tuning by several processes of torchrun: the numbers of one process, written once; whoever dies ends the run in a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from findna_bench.results.store import ResultStore

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = """
import os
import signal

import torch

from findna_bench.cards import PresetCard, hookimpl
from findna_bench.protocols import fine_tuning_run
from findna_bench.protocols.fine_tuning_run import FineTuningRun

fine_tuning_run._CHECKPOINT_SECONDS, fine_tuning_run._CHECKPOINT_SHARE = 0.0, 1e9  # after every step
stepped = FineTuningRun.stepped


loss = FineTuningRun.loss


def meets(self, *kinds):
    rank, step, kind = os.environ["FAULT"].split(",")
    return os.environ.get("RANK", "0") == rank and self._step == int(step) and kind in kinds


def fault(self, outcomes):
    stepped(self, outcomes)
    if meets(self, "die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if meets(self, "raise"):
        raise ValueError("no such base")


def large(self, part):
    if meets(self, "memory"):
        raise torch.OutOfMemoryError("CUDA out of memory")
    return loss(self, part)


if "FAULT" in os.environ:
    FineTuningRun.stepped, FineTuningRun.loss = fault, large


@hookimpl
def findna_bench_presets():
    brief = {"lr": 1e-3, "epochs": 2, "batch_size": 7, "rates": (1.0,)}
    return [
        PresetCard(name="brief", protocol="finetune", settings=brief),
        PresetCard(name="brief-search", protocol="finetune", settings={**brief, "lr": None, "rates": (0.5, 1.0), "trial_steps": 3}),
    ]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a plugin of two short presets, and a task of 61 rows."""
    info = tmp_path / "site" / "brief-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brief\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[findna_bench]\nbrief = brief_presets\n")
    (info.parent / "brief_presets.py").write_text(PLUGIN)
    rng = np.random.default_rng(0)
    kinds = ["train"] * 36 + ["validation"] * 12 + ["test"] * 13
    rows = [f"{''.join(rng.choice(list('ACGT'), size=40))},{row % 2},{kind}" for row, kind in enumerate(kinds)]
    (tmp_path / "task.csv").write_text("\n".join(["sequence,label,split", *rows]) + "\n")
    return info.parent


def run(site: Path, out: str, *, processes: int, fault: str = "", options: tuple[str, ...] = ()) -> Any:
    words = [
        sys.executable,
        "-m",
        "findna_bench",
        "run",
        "-m",
        "findna-tiny,majority",
        "-t",
        "./task.csv",
        "--protocol",
        "finetune",
    ]
    words += ["--preset", "brief", "--seeds", "2", "--device", "cpu", "-o", out, *options]
    if processes > 1:
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--no-python"]
        words = [sys.executable, *launch, *words]
    path = os.pathsep.join([str(site), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path} | ({"FAULT": fault} if fault else {})
    return subprocess.run(
        words, cwd=site.parent, env=environment, capture_output=True, text=True, timeout=500, check=False
    )


def results(site: Path, out: str) -> dict[tuple[str, int], dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted((site.parent / out).rglob("*.json"))]
    return {(result["model"]["name"], result["seed"]): result for result in found if "identity" in result}


def predictions(site: Path, out: str) -> dict[tuple[str, int], np.ndarray]:
    from findna_bench.results.schema import read_result

    store = ResultStore(site.parent / out)
    read = [read_result(path) for path in sorted((site.parent / out).rglob("*.json"))]
    return {(result.model.name, result.seed or 0): store.predictions(result).scores for result in read}


SHARED = pytest.mark.parametrize("shard", ["off", "on"])
"""Whether each of the processes has a copy of the encoder, or its part of one."""


@pytest.mark.long
@SHARED
@pytest.mark.parametrize("preset", ["brief", "brief-search"])
def test_two_processes_give_the_losses_and_predictions_of_one(site: Path, preset: str, shard: str) -> None:
    options: tuple[str, ...] = ("--preset", preset)
    for out, processes in (("one", 1), ("two", 2)):
        how = ("--shard", shard) if processes == 2 else ()
        done = run(site, out, processes=processes, options=(*options, *how))
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = results(site, "one"), results(site, "two")
    assert one.keys() == two.keys()
    assert len(one) == 3
    for key, alone in one.items():
        together = two[key]
        assert together["status"] == "success"
        if key[0] == "majority":
            continue
        assert alone["identity"] != together["identity"]
        assert together["request"]["options"]["world_size"] == 2
        assert together["request"]["options"]["shard"] == shard
        assert together["environment"].get("sharded", False) == (shard == "on")
        path, other = (result["validation"]["metrics"]["path"] for result in (alone, together))
        assert len(path) == len(other)
        for entry, same in zip(path, other, strict=True):
            assert entry["step"] == same["step"]
            for name in ("train_loss", "loss"):
                assert same[name] == pytest.approx(entry[name], rel=1e-4)
        assert alone["coverage"] == together["coverage"]
    scores, shared = predictions(site, "one"), predictions(site, "two")
    for key in scores:
        np.testing.assert_allclose(shared[key], scores[key], atol=1e-4)
    again = run(site, "two", processes=2, options=options)  # shared or not, it is the same result
    assert again.returncode == 0
    assert results(site, "two") == two


@pytest.mark.long
@SHARED
def test_a_process_that_dies_ends_the_run_in_a_sentence_and_the_same_command_goes_on(site: Path, shard: str) -> None:
    options = ("--shard", shard)
    whole = run(site, "whole", processes=2, options=options)
    assert whole.returncode == 0, whole.stderr[-3000:]
    killed = run(site, "killed", processes=2, fault="1,4,die", options=options)
    assert killed.returncode != 0
    # torchrun asks the others to stop: whichever they notice first.
    assert "another process of torchrun is gone" in killed.stderr or "interrupted; the same command" in killed.stderr
    assert killed.stderr.count("Traceback") == 1  # torchrun's own
    assert list((site.parent / "killed" / ".checkpoints").glob("*.pt"))
    assert not any(result["status"] == "error" for result in results(site, "killed").values())
    again = run(site, "killed", processes=2, options=options)
    assert again.returncode == 0, again.stderr[-3000:]
    before, after = predictions(site, "whole"), predictions(site, "killed")
    for key in before:
        np.testing.assert_array_equal(after[key], before[key])


@pytest.mark.long
@SHARED
def test_what_one_process_meets_alone_ends_the_run(site: Path, shard: str) -> None:
    alone = run(site, "alone", processes=2, fault="1,3,raise", options=("--shard", shard))
    assert alone.returncode != 0
    assert "process 1 of 2 failed and others did not: no such base" in alone.stderr


@pytest.mark.long
def test_memory_that_runs_out_ends_a_run_of_processes_that_share_an_encoder(site: Path) -> None:
    full = run(site, "full", processes=2, fault="1,3,memory", options=("--shard", "on"))
    assert full.returncode != 0
    assert "processes that share an encoder cannot divide them in the middle; say --batch-size N" in full.stderr
    assert full.stderr.count("Traceback") == 1  # torchrun's own


@pytest.mark.long
def test_what_all_processes_meet_is_a_sentence(site: Path) -> None:
    refused = run(site, "refused", processes=2, options=("--protocol", "probe", "--preset", "default"))
    assert refused.returncode != 0
    assert "is computed by one process" in refused.stderr
    single = run(site, "single", processes=1, options=("--world-size", "2"))
    assert single.returncode == 2
    assert "torchrun --nproc-per-node N" in single.stderr
