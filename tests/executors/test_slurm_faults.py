"""The executor ``slurm`` where machines fail: nothing that is finished is lost or computed twice. Each takes a minute or more."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from drivers import Terminal, content, failures, fits, process_of, start, steps_trained, tuning
from full_disks import no_full_disks
from local_slurm import NODES, LocalSlurm, wait_until
from motif_tasks import write_task

import findna_bench as fb

pytestmark = pytest.mark.long

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run(slurm: LocalSlurm, unruly_path: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a run of two slow models on a task with three seeds; all nodes are there again at the end."""
    task = write_task(tmp_path / "t.csv", seed=0, rows=60)
    environment = {**slurm.environment, "PYTHONPATH": unruly_path, "UNRULY_LOG": str(tmp_path / "fits.log")}
    drivers = []

    def begin(*words: object, models: str = "steady,steady-too", sleep: float = 6.0) -> subprocess.Popen[str]:
        line = ["run", "-m", models, "-t", task, "--seeds", 3, "--executor", "slurm", "-o", tmp_path / "r", *words]
        drivers.append(start(*line, cwd=tmp_path, environment={**environment, "UNRULY_SLEEP": str(sleep)}))
        return drivers[-1]

    yield begin
    for driver in drivers:
        driver.kill()
    slurm.ask("scancel", "--me")
    for name in NODES:
        if slurm.ask("sinfo", "-h", "-n", name, "-o", "%t").strip() not in ("idle", "mix", "alloc", "comp"):
            slurm.kill_daemon(name)
            slurm.start_node(name)
    wait_until(lambda: slurm.ask("sinfo", "-h", "-N", "-t", "idle").count("\n") == len(NODES), 120)


def finished(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("steady*/*/*/*/*.json")}


def ends_well(driver: subprocess.Popen[str], folder: Path, before: dict[Path, int], seconds: float = 500) -> str:
    """All six cells are there, and what was finished before was left alone."""
    _, said = driver.communicate(timeout=seconds)
    assert driver.returncode == 0, said
    after = finished(folder)
    assert len(after) == 6, said
    assert before.items() <= after.items()
    assert not failures(folder)
    assert not fb.job_folders(folder)
    return said


def node_of(slurm: LocalSlurm) -> str:
    return slurm.ask("squeue", "-h", "-t", "R", "-o", "%N").split()[0]


def test_a_node_that_is_lost_with_all_its_processes_is_made_up_for(
    run: Start, slurm: LocalSlurm, tmp_path: Path
) -> None:
    driver = run()
    wait_until(lambda: finished(tmp_path / "r"), 200)
    slurm.kill_node(node_of(slurm))
    before = finished(tmp_path / "r")
    ends_well(driver, tmp_path / "r", before)


def test_a_process_whose_node_lost_its_daemon_keeps_its_cells(run: Start, slurm: LocalSlurm, tmp_path: Path) -> None:
    driver = run(models="steady", sleep=25.0)
    wait_until(lambda: any(folder.begun() for folder in fb.job_folders(tmp_path / "r")), 200)
    slurm.kill_daemon(node_of(slurm))
    _, said = driver.communicate(timeout=500)
    assert driver.returncode == 0, said
    assert len(content(tmp_path / "r")) == 3
    assert set(Counter(fits(tmp_path / "fits.log")).values()) == {1}, "no cell was computed twice"


def test_a_worker_that_is_killed_for_its_memory_is_made_up_for(run: Start, tmp_path: Path) -> None:
    driver = run(models="steady,steady-too")
    wait_until(lambda: finished(tmp_path / "r"), 200)
    (folder, *_) = [one for one in fb.job_folders(tmp_path / "r") if one.begun()]
    os.kill(process_of(folder), signal.SIGKILL)
    said = ends_well(driver, tmp_path / "r", finished(tmp_path / "r"))
    assert "it is computed again" in said


def test_a_job_that_runs_out_of_time_goes_on_where_it_stopped(run: Start, tmp_path: Path) -> None:
    driver = run("--slurm", "time=2", "--seeds", 6, models="steady", sleep=14.0)  # told after 30 to 90 s
    _, said = driver.communicate(timeout=590)
    assert driver.returncode == 0, said
    assert len(content(tmp_path / "r")) == 6
    attempts = sorted((tmp_path / "r" / ".jobs").glob("slurm-*/attempt-*.jsonl"))
    assert len(attempts) > 1
    assert '"stopped"' in attempts[0].read_text()
    assert set(Counter(fits(tmp_path / "fits.log")).values()) == {1}


def test_a_driver_that_was_killed_finds_its_jobs(run: Start, tmp_path: Path) -> None:
    first = run(sleep=20.0)  # longer than a driver takes to start on a busy machine
    wait_until(lambda: finished(tmp_path / "r"), 200)
    first.kill()
    said = ends_well(run(sleep=20.0), tmp_path / "r", finished(tmp_path / "r"))
    assert "is there already" in said
    assert len(list((tmp_path / "r" / ".jobs").glob("slurm-array-*"))) == 1
    assert set(Counter(fits(tmp_path / "fits.log")).values()) == {2}, "each by two models, once"


def test_two_drivers_on_one_folder_compute_nothing_twice(run: Start, tmp_path: Path) -> None:
    first, second = run(), run()
    _, said = first.communicate(timeout=500)
    assert first.returncode == 0, said
    ends_well(second, tmp_path / "r", {})
    assert set(Counter(fits(tmp_path / "fits.log")).values()) == {2}


def test_without_a_terminal_ctrl_c_leaves_jobs_running_and_says_how_to_cancel(
    run: Start, slurm: LocalSlurm, tmp_path: Path
) -> None:
    driver = run()
    wait_until(lambda: finished(tmp_path / "r"), 200)
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130, said
    assert "scancel" in said
    assert slurm.ask("squeue", "-h", "-t", "R")
    ends_well(run(), tmp_path / "r", finished(tmp_path / "r"))


def test_a_fine_tuning_whose_node_is_lost_goes_on_from_its_checkpoint_elsewhere(
    slurm: LocalSlurm, unruly_path: str, run: Start, tmp_path: Path
) -> None:
    log = tmp_path / "fits.log"
    environment = {**slurm.environment, "PYTHONPATH": unruly_path, "UNRULY_LOG": str(log)}
    words = tuning(tmp_path / "t.csv")
    alone = start(*words, "-o", tmp_path / "serial", cwd=tmp_path, environment=environment)
    assert alone.communicate(timeout=300) is not None
    assert alone.returncode == 0
    whole = steps_trained(log)
    log.unlink()
    driver = start(
        *words, "--executor", "slurm", "-o", tmp_path / "r", cwd=tmp_path, environment={**environment, "UNRULY_SLEEP": "5"}
    )  # fmt: skip
    try:
        wait_until(lambda: list((tmp_path / "r" / ".checkpoints").glob("*.pt")), 300)
        slurm.kill_node(node_of(slurm))
        at_the_kill = steps_trained(log)
        _, said = driver.communicate(timeout=580)
    finally:
        driver.kill()
    assert driver.returncode == 0, said
    assert 5 <= at_the_kill < whole
    assert whole <= steps_trained(log) <= whole + 2, "what the checkpoint held was not trained again"
    assert content(tmp_path / "r") == content(tmp_path / "serial")


def test_a_node_whose_disk_is_full_costs_no_cell(run: Start, slurm: LocalSlurm, tmp_path: Path) -> None:
    if reason := no_full_disks():
        pytest.skip(reason)
    for name in ("r", "scratch"):
        (tmp_path / name).mkdir()
    slurm.kill_daemon("n1")
    slurm.start_node_with_full_disk("n1", tmp_path / "r", tmp_path / "scratch")
    try:
        wait_until(lambda: slurm.ask("sinfo", "-h", "-N", "-t", "idle").count("\n") == len(NODES), 60)
        said = ends_well(run(), tmp_path / "r", {})
        assert "it is computed again" in said
        assert set(Counter(fits(tmp_path / "fits.log")).values()) == {2}, "each by two models, once"
    finally:
        slurm.kill_node("n1")
        slurm.start_node("n1")


@pytest.mark.parametrize("answer", ["n", "y"])
def test_on_a_terminal_ctrl_c_asks_before_it_cancels(
    slurm: LocalSlurm, unruly_path: str, run: Start, tmp_path: Path, answer: str
) -> None:
    environment = {
        **slurm.environment, "PYTHONPATH": unruly_path, "UNRULY_LOG": str(tmp_path / "fits.log"), "UNRULY_SLEEP": "20",
    }  # fmt: skip
    words = ["run", "-m", "steady", "-t", tmp_path / "t.csv", "--seeds", 3, "--executor", "slurm", "-o", tmp_path / "r"]
    terminal = Terminal(*words, cwd=tmp_path, environment=environment)
    try:
        wait_until(lambda: any(folder.begun() for folder in fb.job_folders(tmp_path / "r")), 200)
        terminal.press("\x03")
        terminal.read_until("that are not done? (y/N)", 60)
        assert slurm.ask("squeue", "-h", "-t", "R"), "nothing is cancelled before the answer"
        terminal.press(f"{answer}\n")
        assert terminal.end(60) == 130, terminal.shown
    finally:
        terminal.process.kill()
    if answer == "y":
        assert "cancelled:" in terminal.shown
        wait_until(lambda: not slurm.ask("squeue", "-h"), 60)
        return
    assert "scancel" in terminal.shown
    assert slurm.ask("squeue", "-h", "-t", "R")
    again = start(*words, cwd=tmp_path, environment=environment)
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert "is there already" in said
    assert len(content(tmp_path / "r")) == 3
    assert set(Counter(fits(tmp_path / "fits.log")).values()) == {1}
