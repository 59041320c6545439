"""The executor ``ray``, on a Ray that is started on this machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from drivers import content, failures, fits, process_of, start
from local_slurm import wait_until
from motif_tasks import write_task

import findna_bench as fb

pytest.importorskip("ray", reason="Ray is not installed (extra ray)")


def test_models_are_tasks_of_ray_with_the_numbers_of_one_process(tmp_path: Path) -> None:
    tasks = [write_task(tmp_path / f"t{seed}.csv", seed=seed, rows=60) for seed in range(2)]
    for executor in ("serial", "ray"):
        found = fb.run(["kmer", "trivial"], tasks, seeds=2, executor=executor, output_dir=tmp_path / executor)
        assert [result.status for result in found] == ["success"] * 8
    assert content(tmp_path / "ray") == content(tmp_path / "serial")
    assert not fb.job_folders(tmp_path / "ray")


@pytest.mark.long
def test_a_lost_worker_is_made_up_for_and_an_error_of_a_model_is_not_tried_again(
    unruly_path: str, tmp_path: Path
) -> None:
    log, results = tmp_path / "fits.log", tmp_path / "r"
    task = write_task(tmp_path / "t.csv", seed=0, rows=60, marked=True)
    environment = {"PYTHONPATH": unruly_path, "UNRULY_LOG": str(log), "UNRULY_SLEEP": "4"}
    words = ["run", "-m", "steady,raises,killed", "-t", task, "--seeds", 3, "--executor", "ray", "-o", results]
    driver = start(*words, cwd=tmp_path, environment=environment)
    wait_until(lambda: list(results.glob("steady/*/*/*/*.json")), 300)
    (folder,) = [one for one in fb.job_folders(results) if one.job.model == "steady"]
    os.kill(process_of(folder), signal.SIGKILL)
    _, said = driver.communicate(timeout=400)
    assert driver.returncode == 1, said
    assert "its Ray worker was lost" in said
    assert "it is computed again" in said
    assert len(content(results)) == 3
    assert "SIGKILL" in "".join(failures(results))
    assert len(failures(results)) == 6
    assert len(set(fits(log))) == 3 + 2, "three fits, and where the two others misbehaved"
    assert len([line for line in fits(log) if line.startswith("pid")]) == 2
