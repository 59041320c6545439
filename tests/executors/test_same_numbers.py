"""One matrix under every executor: what a cell holds does not depend on who computed it, where, or how many cores were there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from drivers import content, start
from local_ray import LocalRay
from local_slurm import LocalSlurm
from motif_tasks import write_task

MODELS, TASKS, SEEDS = ("kmer", "cnn", "findna-tiny"), 6, 3
"""Counts, a head that is trained (its bits depend on the number of threads), and a network's vectors."""


@pytest.mark.long
def test_three_models_six_tasks_three_seeds_are_the_same_under_serial_process_ray_and_slurm(
    slurm: LocalSlurm, ray_cluster: LocalRay, tmp_path: Path
) -> None:
    tasks = [write_task(tmp_path / f"t{seed}.csv", seed=seed, rows=90) for seed in range(TASKS)]
    words = {
        "serial": [],
        "process": ["--workers", 2],
        "ray": ["--ray-address", ray_cluster.address],
        "slurm": [],
    }
    found = {}
    for executor, more in words.items():
        line = ["run", "-m", ",".join(MODELS), *(word for task in tasks for word in ("-t", task)), "--seeds", SEEDS]
        driver = start(
            *line, "--executor", executor, "-o", tmp_path / executor, *more,
            cwd=tmp_path, environment={**slurm.environment, "OMP_NUM_THREADS": "2"},
        )  # fmt: skip
        _, said = driver.communicate(timeout=580)
        assert driver.returncode == 0, said
        found[executor] = content(tmp_path / executor)
        assert len(found[executor]) == len(MODELS) * TASKS * SEEDS
        for name, cell in found[executor].items():
            predictions = (tmp_path / executor / name).with_suffix(".predictions.parquet")
            assert hashlib.sha256(predictions.read_bytes()).hexdigest() == cell[-1]
    for executor in words:
        assert found[executor] == found["serial"], executor
