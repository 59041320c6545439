"""``findna-bench status`` while a real Slurm or a real Ray computes: what runs, waits and has failed, as the queue itself sees it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from drivers import content, start
from local_ray import LocalRay
from local_slurm import LocalSlurm, wait_until
from motif_tasks import write_task

pytestmark = pytest.mark.long

SLEEP_S = 30


def status(results: Path, environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Units by name, as the command says it."""
    command = "from findna_bench.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, "status", "--json", "-o", str(results)],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    units = json.loads(done.stdout)["units"]
    found = {unit["unit"]: unit for unit in units}
    assert len(found) == len(units)
    return found


def seen(words: list[object], tmp_path: Path, environment: dict[str, str]) -> tuple[Any, dict[str, dict[str, Any]]]:
    """A driver of three models on two tasks, one of which fails on the first; and the units while two of them run and that one has failed."""
    tasks = [write_task(tmp_path / f"t{seed}.csv", seed=seed, rows=60, marked=not seed) for seed in range(2)]
    results = tmp_path / "r"
    run = [
        "run",
        "-m",
        "raises,steady,steady-too",
        "-t",
        ",".join(map(str, tasks)),
        "--seeds",
        1,
        "-o",
        results,
        *words,
    ]
    driver = start(*run, cwd=tmp_path, environment={**environment, "UNRULY_SLEEP": str(SLEEP_S)})
    units: dict[str, dict[str, Any]] = {}

    def two_run_and_one_failed() -> bool:
        assert driver.poll() is None, driver.communicate()
        if not results.is_dir():
            return False
        units.clear()
        units.update(status(results, environment))
        states = [unit["state"] for unit in units.values()]
        return states.count("running") == 2 and "failed" in states

    wait_until(two_run_and_one_failed, 400)
    return driver, units


def check(
    driver: Any, units: dict[str, dict[str, Any]], results: Path, environment: dict[str, str], executor: str
) -> None:
    """What holds under either; and once all has settled."""
    failed = units.pop("raises on adhoc/t0")
    assert (failed["state"], failed["cells"]) == ("failed", 1)
    assert "no idea" in failed["reason"]
    assert {unit["executor"] for unit in units.values()} == {executor}
    assert {unit["state"] for unit in units.values()} == {"running", "waiting"}
    for name, unit in units.items():
        if unit["state"] == "running":
            os.kill(unit["pid"], 0)  # it lives
            assert unit["log"].startswith(f".jobs/{executor}-") or executor == "ray", name
    for model in ("steady", "steady-too"):
        (first, second) = (units[f"{model} on adhoc/t{number}"] for number in range(2))
        assert second["job"] == first["job"], "one job per model"
    _, said = driver.communicate(timeout=600)
    assert driver.returncode == 1, said
    assert len(content(results)) == 5
    ended = status(results, environment)
    assert [unit["state"] for unit in ended.values()] == ["failed"]


def test_status_says_what_slurm_runs_with_its_job_ids_also_without_sacct(
    slurm: LocalSlurm, unruly_path: str, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo"):
        (programs / name).symlink_to(str(shutil.which(name)))
    environment = {**slurm.environment, "PYTHONPATH": unruly_path, "PATH": str(programs)}
    driver, units = seen(["--executor", "slurm"], tmp_path, environment)
    known = set(slurm.ask("squeue", "-h", "-r", "-t", "running", "-o", "%i").split())
    jobs = {name: unit["job"] for name, unit in units.items() if unit["state"] == "running"}
    assert set(jobs.values()) == known, jobs
    assert len(jobs) == 2
    check(driver, units, tmp_path / "r", environment, "slurm")


def test_status_says_what_ray_runs_with_its_job_ids(unruly_path: str, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (extra ray)")
    environment = {"PYTHONPATH": unruly_path}
    cluster = LocalRay()  # with both nodes, whatever became of another's
    try:
        driver, units = seen(["--executor", "ray", "--ray-address", cluster.address], tmp_path, environment)
        jobs = {unit["job"] for unit in units.values() if unit["state"] == "running"}
        assert len(jobs) == 2
        assert all(jobs), "Ray's own names"
        check(driver, units, tmp_path / "r", environment, "ray")
    finally:
        cluster.stop()
