"""Jobs in the results folder: what several processes, one after the other or at once, make of them."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fork_server import wait_until
from motif_tasks import write_task

import findna_bench as fb
from findna_bench.matrix.events import event_to_json
from findna_bench.matrix.job_workers import work
from findna_bench.results.claims import Claims
from findna_bench.results.store import ResultStore


@pytest.fixture
def jobs(tmp_path: Path) -> list[fb.Job]:
    """One, of a model on two tasks."""
    tasks = [write_task(tmp_path / f"t{seed}.csv", seed=seed, rows=60) for seed in range(2)]
    return fb.make_jobs("majority", tasks, seeds=1, output_dir=tmp_path / "r")


def attempt(folder: fb.JobFolder, number: int, *lines: Any) -> None:
    """Write down what a process did: events, or the words that end an attempt."""
    whole = [{"event": "begun", "host": "n1"}, *(one if isinstance(one, dict) else event_to_json(one) for one in lines)]
    (folder.path / f"attempt-{number}-x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in whole))


def begin(folder: fb.JobFolder, number: int) -> fb.UnitStarted:
    return fb.UnitStarted(folder.job.units[number], "begun")


STOPPED = {"event": "stopped"}


def follow(
    folder: fb.JobFolder, end: fb.Ended, again: Callable[[Sequence[fb.JobFolder]], None]
) -> dict[str, fb.Result]:
    """The result of each unit, where every process that computes the job ends so."""
    settled = list(fb.follow_jobs([folder], lambda _: end, again, lambda event: None, every_s=0.0))
    store = ResultStore(folder.path.parents[1])
    assert sorted(one.unit for one in settled) == sorted(folder.job.units)
    return {one.unit: fb_result(store, one) for one in settled}


def fb_result(store: ResultStore, settled: fb.Settled) -> fb.Result:
    (name,) = settled.results
    return next(result for path, result in store.readable() if store.name_of(path) == name)


def test_what_is_settled_is_not_computed_by_the_next_process(jobs: list[fb.Job]) -> None:
    opened = fb.open_jobs(jobs, "mine", lambda folder: None)
    (folder,) = opened.new
    assert opened.settled == ()
    first = folder.compute()
    settled = next(first)
    first.close()
    assert [one.unit for one in folder.compute()] == [unit for unit in folder.job.units if unit != settled.unit]
    assert list(folder.compute()) == []
    assert set(follow(folder, fb.Ended("late"), lambda lost: None)) == set(folder.job.units)
    assert fb.job_folders(folder.path.parents[1]) == [], "nobody waits for it any more"
    fb.JobFolder.create(jobs[0], "mine")  # of a run that was killed, and whose job was computed all the same
    assert {one.unit for one in fb.open_jobs(jobs, "mine", lambda folder: None).settled} == set(folder.job.units)
    assert fb.job_folders(folder.path.parents[1]) == []


def test_a_job_that_nobody_waits_for_any_more_is_known(jobs: list[fb.Job], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fb.JobFolder.create(jobs[0], "mine")
    assert not folder.abandoned(), "it was just written down"
    monkeypatch.setattr("findna_bench.matrix.job_folders._JUST_WRITTEN_S", -1.0)
    with fb.waiting_for([folder]):
        assert not folder.abandoned()
    assert folder.abandoned()


def test_a_job_that_is_at_work_already_is_waited_for(jobs: list[fb.Job]) -> None:
    (folder,) = fb.open_jobs(jobs, "mine", lambda folder: True).new
    again = fb.open_jobs(jobs, "mine", lambda folder: True)
    assert ([one.path for one in again.waiting], again.new) == ([folder.path], ())
    other = fb.open_jobs(jobs, "another", lambda folder: True)
    assert len(other.new) == 1, "of another executor"
    assert len(fb.open_jobs(jobs, "mine", lambda folder: False).new) == 1, "its process is gone"
    more = fb.make_jobs("majority", list(jobs[0].request.tasks), seeds=2, output_dir=folder.path.parents[1])
    assert len(fb.open_jobs(more, "mine", lambda folder: True).new) == 1, "of other seeds"


def test_a_lost_process_is_made_up_for_and_the_third_is_the_last(jobs: list[fb.Job]) -> None:
    (folder,) = fb.open_jobs(jobs, "mine", lambda folder: None).new
    sent: list[int] = []

    def again(lost: Sequence[fb.JobFolder]) -> None:
        sent.append(len(lost))
        assert len(sent) < 3, "it is not given up"
        attempt(folder, len(sent), begin(folder, 0))

    attempt(folder, 0, begin(folder, 0))
    results = follow(folder, fb.Ended("its node is gone"), again)
    assert sent == [1, 1]
    assert {result.status for result in results.values()} == {"error"}
    assert all("its node is gone" in result.error.message for result in results.values())


def test_a_process_that_its_model_ended_fails_the_unit_under_work_only(jobs: list[fb.Job]) -> None:
    (folder,) = fb.open_jobs(jobs, "mine", lambda folder: None).new
    attempt(folder, 0, begin(folder, 1))
    results = follow(folder, fb.Ended("no memory", "fail-unit"), lambda lost: list(folder.compute()))
    assert [results[unit].status for unit in folder.job.units] == ["success", "error"]


def test_a_machine_without_room_is_no_reason_to_give_up_and_an_error_of_the_run_is(jobs: list[fb.Job]) -> None:
    (folder,) = fb.open_jobs(jobs, "mine", lambda folder: None).new
    attempt(folder, 0, {"event": "failed", "kind": "ResultsFolderError", "text": "cannot write: no space left"})
    results = follow(folder, fb.Ended("it failed"), lambda lost: list(folder.compute()))
    assert {result.status for result in results.values()} == {"success"}
    (folder,) = fb.open_jobs(
        [fb.make_jobs("kmer", list(jobs[0].request.tasks), output_dir=folder.path.parents[1])[0]],
        "mine",
        lambda _: None,
    ).new
    attempt(folder, 0, {"event": "failed", "kind": "UsageError", "text": "other plugins there"})
    with pytest.raises(fb.BenchError, match="other plugins there"):
        list(fb.follow_jobs([folder], lambda _: None, lambda lost: None, lambda event: None))


def test_a_unit_is_given_up_where_nothing_comes_of_trying(tmp_path: Path) -> None:
    tasks = [write_task(tmp_path / f"t{seed}.csv", seed=seed, rows=60) for seed in range(5)]
    jobs = fb.make_jobs("majority", tasks, seeds=1, output_dir=tmp_path / "r")
    (folder,) = fb.open_jobs(jobs, "mine", lambda folder: None).new
    units = folder.job.units
    written = [{"event": "ResultWritten", "unit": unit, "path": "x.json"} for unit in units]
    for number in range(3):  # processes that were lost
        attempt(folder, number, begin(folder, 0), begin(folder, 1), written[1], *[begin(folder, 2)] * (number < 2))
    for number in range(3, 9):  # processes that were stopped
        further = fb.UnitProgress(units[3], "", 10 * number, 100, "steps")
        attempt(folder, number, begin(folder, 3), further, *[begin(folder, 4)] * (number < 6), STOPPED)
    store = ResultStore(tmp_path / "r")
    found = {one.unit: fb_result(store, one) for one in folder.compute()}
    assert [found[unit].status for unit in units] == ["error", "success", "success", "success", "error"]
    assert "3 processes that computed it were lost, the last on n1" in found[units[0]].error.message
    assert "it was stopped 3 times without getting further" in found[units[4]].error.message


def test_torn_and_foreign_lines_cost_nothing_else(jobs: list[fb.Job]) -> None:
    (folder,) = fb.open_jobs(jobs, "mine", lambda folder: None).new
    path = folder.path / "attempt-0-x.jsonl"
    path.write_bytes(
        b'{"event": "UnitSta\n[]\n{"event": "unheard of"}\n'
        + b"\xff\n"
        + b'{"event": "Note", "text": "so far"}\n{"event"'
    )
    assert [event.text for event in folder.events()] == ["so far"]


def test_workers_take_up_jobs_and_leave_those_that_others_are_at(jobs: list[fb.Job], tmp_path: Path) -> None:
    results = tmp_path / "r"
    request = jobs[0].request
    found: list[list[fb.Result]] = []
    tasks = list(request.tasks)
    driver = threading.Thread(
        target=lambda: found.append(fb.run(["majority"], tasks, seeds=1, executor="worker", output_dir=results))
    )
    driver.start()
    wait_until(lambda: fb.job_folders(results))
    units = [settled.label for settled, _ in work(ResultStore(results), lambda event: None)]
    driver.join(60)
    assert not driver.is_alive()
    assert sorted(units) == ["majority on adhoc/t0", "majority on adhoc/t1"]
    assert [result.status for result in found[0]] == ["success", "success"]
    assert list(work(ResultStore(results), lambda event: None)) == []


def test_a_job_that_a_living_worker_is_at_is_left_to_it(jobs: list[fb.Job], tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "r")
    folder = fb.JobFolder.create(jobs[0], "worker")
    with Claims(store.root) as other:
        assert other.take(f"job-{folder.path.name}", {"executor": "worker"})
        assert list(work(store, lambda event: None)) == []
    assert len(list(work(store, lambda event: None))) == 2


def test_a_process_that_is_stopped_says_so(jobs: list[fb.Job]) -> None:
    (folder,) = fb.open_jobs(jobs, "mine", lambda folder: None).new

    def report(event: fb.Event) -> None:
        if isinstance(event, fb.UnitStarted):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        list(folder.compute(report))
    assert any('"stopped"' in path.read_text() for path in folder.path.glob("attempt-*.jsonl"))
    assert not list((folder.path.parents[1] / ".claims").glob("*.json"))
