"""The executor ``ray`` where machines fail: nothing that is finished is lost or computed twice. Each takes half a minute or more."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from drivers import content, failures, fits, process_of, start, steps_trained, tuning
from full_disks import no_full_disks
from local_ray import LocalRay
from local_slurm import wait_until
from motif_tasks import write_task

import findna_bench as fb

pytestmark = pytest.mark.long

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run(unruly_path: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a run of two slow models on a task with three seeds, on a cluster."""
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    drivers = []

    def begin(
        cluster: LocalRay, *words: object, models: str = "steady,steady-too", sleep: float = 4.0
    ) -> subprocess.Popen[str]:
        line = ["run", "-m", models, "-t", task, "--seeds", 3, "--executor", "ray", "--ray-address", cluster.address]
        environment = everywhere(tmp_path, unruly_path, sleep)
        drivers.append(start(*line, "-o", tmp_path / "r", *words, cwd=tmp_path, environment=environment))
        return drivers[-1]

    yield begin
    for driver in drivers:
        driver.kill()
        driver.wait()


def everywhere(folder: Path, unruly_path: str, sleep: float) -> dict[str, str]:
    """An environment whose models write to ``fits.log`` and are slow wherever modules are found by its ``PYTHONPATH``: a cluster that
    runs already has no variables of a driver.
    """
    site = folder / "site"
    site.mkdir(exist_ok=True)
    values = {"UNRULY_LOG": str(folder / "fits.log"), "UNRULY_SLEEP": str(sleep)}
    (site / "sitecustomize.py").write_text(f"import os\nos.environ.update({values!r})\n")
    return {"PYTHONPATH": os.pathsep.join([str(site), unruly_path])}


def finished(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("steady*/*/*/*/*.json")}


def ends_well(driver: subprocess.Popen[str], folder: Path, before: dict[Path, int], *, lost: int = 0) -> str:
    """All six cells are there, and what was finished before was left alone; fits were begun once each, but for ``lost`` that may have been
    under work when something died."""
    _, said = driver.communicate(timeout=400)
    assert driver.returncode == 0, said
    after = finished(folder)
    assert len(after) == 6, said
    assert before.items() <= after.items()
    assert not failures(folder)
    assert not fb.job_folders(folder)
    counts = Counter(fits(folder.parent / "fits.log"))
    assert len(counts) == 3
    assert 6 <= counts.total() <= 6 + lost, counts
    return said


def at_work(folder: Path) -> int:
    """A process that is at a job, once a cell is finished."""
    wait_until(lambda: finished(folder), 200)
    return process_of(next(one for one in fb.job_folders(folder) if one.begun()))


@pytest.mark.parametrize("what", ["node", "daemon", "worker"])
def test_what_is_lost_is_made_up_for(what: str, run: Start, ray_cluster: LocalRay, tmp_path: Path) -> None:
    driver = run(ray_cluster)
    pid = at_work(tmp_path / "r")
    before = finished(tmp_path / "r")
    if what == "node":
        ray_cluster.kill_node_of(pid)
    elif what == "daemon":
        ray_cluster.kill_daemon_of(pid)
    else:
        os.kill(pid, signal.SIGKILL)
    assert "it is computed again" in ends_well(driver, tmp_path / "r", before, lost=1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_that_was_ended_goes_on_when_it_is_started_again(
    number: signal.Signals, run: Start, ray_cluster: LocalRay, tmp_path: Path
) -> None:
    first = run(ray_cluster)
    at_work(tmp_path / "r")
    first.send_signal(number)
    first.communicate(timeout=100)
    assert first.returncode == (130 if number == signal.SIGINT else -number)
    ends_well(run(ray_cluster), tmp_path / "r", finished(tmp_path / "r"), lost=2)


def test_two_drivers_on_one_folder_compute_nothing_twice(run: Start, ray_cluster: LocalRay, tmp_path: Path) -> None:
    first, second = run(ray_cluster), run(ray_cluster)
    _, said = first.communicate(timeout=400)
    assert first.returncode == 0, said
    ends_well(second, tmp_path / "r", {})


def test_a_unit_past_its_time_fails_alone(run: Start, ray_cluster: LocalRay, tmp_path: Path) -> None:
    marked = write_task(tmp_path / "marked.csv", seed=1, rows=60, marked=True)
    driver = run(ray_cluster, "-t", marked, "--timeout", 20, models="steady,hang", sleep=0.0)
    _, said = driver.communicate(timeout=400)
    assert driver.returncode == 1, said
    assert len(content(tmp_path / "r")) == 9, said
    assert len(failures(tmp_path / "r")) == 3
    assert all("took longer than --timeout 20 s" in text for text in failures(tmp_path / "r"))
    assert len([line for line in fits(tmp_path / "fits.log") if line.startswith("pid")]) == 1, "and is not tried again"


def test_a_node_whose_disk_is_full_costs_no_cell(run: Start, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (extra ray)")
    if reason := no_full_disks():
        pytest.skip(reason)
    for name in ("r", "scratch"):
        (tmp_path / name).mkdir()
    cluster = LocalRay(nodes=0)
    try:
        cluster.add_node_with_full_disk(tmp_path / "r", tmp_path / "scratch")
        driver = run(cluster)
        wait_until(lambda: fb.job_folders(tmp_path / "r"), 100)
        cluster.add_node()  # once jobs were sent to the only one there was
        assert "it is computed again" in ends_well(driver, tmp_path / "r", {})
    finally:
        cluster.stop()


def test_a_fine_tuning_whose_node_is_lost_goes_on_from_its_checkpoint_elsewhere(
    unruly_path: str, ray_cluster: LocalRay, tmp_path: Path
) -> None:
    log, results = tmp_path / "fits.log", tmp_path / "r"
    environment = everywhere(tmp_path, unruly_path, 0.0)
    words = tuning(write_task(tmp_path / "t.csv", seed=0, rows=60))
    alone = start(*words, "-o", tmp_path / "serial", cwd=tmp_path, environment=environment)
    _, said = alone.communicate(timeout=300)
    assert alone.returncode == 0, said
    whole = steps_trained(log)
    log.unlink()
    line = [*words, "--executor", "ray", "--ray-address", ray_cluster.address, "-o", results]
    driver = start(*line, cwd=tmp_path, environment=everywhere(tmp_path, unruly_path, 5.0))
    try:
        wait_until(lambda: list((results / ".checkpoints").glob("*.pt")), 300)
        ray_cluster.kill_node_of(process_of(fb.job_folders(results)[0]))
        at_the_kill = steps_trained(log)
        _, said = driver.communicate(timeout=500)
    finally:
        driver.kill()
    assert driver.returncode == 0, said
    assert 5 <= at_the_kill < whole
    assert whole <= steps_trained(log) <= whole + 2, "what the checkpoint held was not trained again"
    assert content(results) == content(tmp_path / "serial")
