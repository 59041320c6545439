"""The executor ``slurm``, on a real Slurm of two nodes on this machine: the same numbers as ever, nothing lost, nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from drivers import content, open_jobs
from local_slurm import LocalSlurm
from motif_tasks import write_task

import findna_bench as fb


def test_models_are_tasks_of_an_array_with_the_numbers_of_one_process(
    slurm: LocalSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    tasks = [write_task(tmp_path / f"t{seed}.csv", seed=seed, rows=60) for seed in range(2)]
    for executor in ("serial", "slurm"):
        found = fb.run(["kmer", "trivial"], tasks, seeds=2, executor=executor, output_dir=tmp_path / executor)
        assert [result.status for result in found] == ["success"] * 8
    assert content(tmp_path / "slurm") == content(tmp_path / "serial")
    assert not open_jobs(tmp_path / "slurm")
    logs = [log.read_text() for log in (tmp_path / "slurm" / ".jobs").glob("slurm-*/????????????????.log")]
    assert sorted(log.split("] ")[1].split(":")[0] for log in logs) == [
        f"{model} on adhoc/t{task}" for model in ("kmer", "trivial") for task in range(2)
    ]
    assert fb.run(["kmer", "trivial"], tasks, seeds=2, executor="slurm", output_dir=tmp_path / "slurm") == found
    assert len(list((tmp_path / "slurm" / ".jobs").glob("slurm-array-*"))) == 1, "what is finished is not sent again"


def test_wrong_settings_are_one_sentence(slurm: LocalSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    request = {"executor": "slurm", "seeds": 1, "output_dir": tmp_path / "r"}
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    for settings, words in (
        ("partition=nowhere", "sbatch refuses the jobs: .*Invalid partition name"),
        ("job-name=mine", "--slurm job-name: the harness sets it itself"),
        ("time=soon", "--slurm time=soon: write minutes"),
    ):
        with pytest.raises(fb.UsageError, match=words):
            fb.run(["majority"], [task], slurm=settings, **request)
    assert not open_jobs(tmp_path / "r")
