"""``findna-bench run`` as users meet it: exit codes, JSON, failing fast, computing again, time to go, an untouched terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import termios
import threading
from pathlib import Path

import pytest
from fork_server import Job, Server, wait_until
from motif_tasks import write_task


def fits(log: Path) -> int:
    return len(log.read_text().splitlines())


def run(server: Server, cwd: Path, *arguments: object) -> Job:
    return server.start("run", "-o", cwd / "r", "--seeds", 2, *arguments, cwd=cwd)


@pytest.fixture
def tasks(tmp_path: Path) -> list[Path]:
    """Three tasks; the second one is marked."""
    return [write_task(tmp_path / f"t{i}.csv", seed=i, rows=60, marked=i == 1) for i in range(3)]


def joined(tasks: list[Path]) -> str:
    return ",".join(map(str, tasks))


@pytest.mark.parametrize("executor", ["serial", "process"])
def test_json_is_all_that_stands_on_stdout_whatever_plugins_print(
    server: Server, tmp_path: Path, tasks: list[Path], executor: str
) -> None:
    job = run(server, tmp_path, "-m", "steady", "-t", tasks[0], "--json", "--executor", executor)
    assert job.wait() == 0
    assert [r["seed"] for r in json.loads(job.stdout)] == [0, 1]
    assert "a word on standard output" in job.stderr


def test_exit_codes(server: Server, tmp_path: Path, tasks: list[Path]) -> None:
    assert run(server, tmp_path, "-m", "steady", "-t", tasks[0]).wait() == 0
    skipped = run(server, tmp_path, "-m", "steady", "-t", tasks[0], "--protocol", "knn", "--json")
    assert skipped.wait() == 0
    assert [(r["status"], "--protocol knn" in r["error"]["message"]) for r in json.loads(skipped.stdout)] == [
        ("skipped", True)
    ]
    failed = run(server, tmp_path, "-m", "raises", "-t", joined(tasks))
    assert failed.wait() == 1
    assert "no idea" in failed.stdout
    for wrong in (["-m", "steadyy"], ["-m", "steady", "--strand", "x"], ["-m", "steady", "--wrong"]):
        refused = run(server, tmp_path, "-t", tasks[0], *wrong)
        assert refused.wait() == 2
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("executor", ["serial", "process"])
def test_fail_fast_stops_at_the_first_failure_and_keeps_what_was_finished(
    server: Server, tmp_path: Path, tasks: list[Path], log: Path, executor: str
) -> None:
    options = ["-m", "raises,steady", "-t", joined(tasks), "--executor", executor]
    job = run(server, tmp_path, *options, "--fail-fast")
    assert job.wait() == 1
    (sentence,) = [line for line in job.stderr.splitlines() if line.startswith("findna-bench:")]
    said = "findna-bench: raises on adhoc/t1: model 'raises': Unruly.fit: RuntimeError: no idea (unruly.py, line "
    assert sentence.startswith(said)
    assert fits(log) == 2 + 1
    assert len(list((tmp_path / "r").rglob("*.parquet"))) == 2
    assert len(list((tmp_path / "r" / "errors").iterdir())) == 2
    assert run(server, tmp_path, *options).wait() == 1
    assert fits(log) == (2 + 1) + (1 + 2 + 6)


def test_overwrite_says_what_is_computed_again(server: Server, tmp_path: Path, tasks: list[Path], log: Path) -> None:
    def computed(*options: str) -> int:
        before = fits(log)
        job = run(server, tmp_path, "-m", "raises", "-t", joined(tasks[:2]), "--json", *options)
        assert job.wait() == 1
        assert [r["status"] for r in json.loads(job.stdout)] == ["success"] * 2 + ["error"] * 2
        return fits(log) - before

    assert computed("--overwrite", "never") == 2 + 1
    assert computed("--overwrite", "never") == 0
    assert computed() == 1
    assert computed("--overwrite", "failed") == 1
    assert computed("--overwrite", "always") == 2 + 1


def test_lines_count_units_and_tell_the_time_to_go(
    server: Server, tmp_path: Path, tasks: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNRULY_SLEEP", "0.3")
    job = run(server, tmp_path, "-m", "steady", "-t", joined(tasks))
    assert job.wait() == 0
    dated = [line for line in job.stderr.splitlines() if re.match(r"\d{4}-\d\d-\d\d ", line)]
    lines = [line for line in dated if " note: " not in line]
    assert sum("rows, classes" in line for line in dated) == 3  # what was read of each file, once
    assert lines[0].endswith("6 cells in 3 model x task units")
    for number, line in enumerate(lines[1:], start=1):
        assert f"[{number}/3] steady on adhoc/t{number - 1}: accuracy" in line
        left = re.search(r"about (\d+) s left", line)
        assert (left is not None) == (number < 3)
        assert left is None or int(left[1]) >= 1
    again = run(server, tmp_path, "-m", "steady", "-t", joined([*tasks, write_task(tmp_path / "t3.csv", seed=3)]))
    assert again.wait() == 0
    assert "8 cells in 4 model x task units, 6 finished before" in again.stderr
    assert "[3/4] 3 units had been finished before" in again.stderr
    assert "[4/4] steady on adhoc/t3: accuracy" in again.stderr
    quiet = run(server, tmp_path, "-m", "steady-too", "-t", tasks[0], "-q", "--json")
    assert quiet.wait() == 0
    assert "adhoc/t0" not in quiet.stderr


def test_a_configuration_file_stands_for_the_options(server: Server, tmp_path: Path, tasks: list[Path]) -> None:
    config = tmp_path / "bench.toml"
    config.write_text(
        f'models = ["steady"]\ntasks = ["{tasks[0]}", "{tasks[1]}"]\noutput-dir = "elsewhere"\n[run]\nseeds = 3\n'
    )
    job = server.start("run", "-C", config, "--json", cwd=tmp_path)
    assert job.wait() == 0
    assert [(r["task"]["name"], r["seed"]) for r in json.loads(job.stdout)] == [
        (f"t{task}", seed) for task in range(2) for seed in range(3)
    ]
    assert len(list((tmp_path / "elsewhere").rglob("*.parquet"))) == 6


@pytest.mark.parametrize("ended", ["interrupted", "finished"])
def test_bars_leave_the_terminal_as_it_was(
    server: Server, tmp_path: Path, tasks: list[Path], monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    monkeypatch.setenv("UNRULY_SLEEP", "0.2")
    controller, terminal = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(controller, 4096):
                shown.append(data)
        except OSError:  # the other side is closed
            return

    before = termios.tcgetattr(terminal)
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    job = server.start(
        "run", "-m", "steady", "-t", joined(tasks), "-o", tmp_path / "r", cwd=tmp_path,
        environment={"TERM": "xterm"}, err=Path(os.ttyname(terminal)),
    )  # fmt: skip
    if ended == "interrupted":
        wait_until(lambda: list((tmp_path / "r").rglob("*.parquet")))
        job.send(signal.SIGINT)
    assert job.wait() == (130 if ended == "interrupted" else 0)
    assert termios.tcgetattr(terminal) == before
    os.close(terminal)
    reader.join(10)
    os.close(controller)
    text = b"".join(shown).decode()
    assert "steady on adhoc/t0" in text
    hidden, visible = text.rfind("\x1b[?25l"), text.rfind("\x1b[?25h")
    assert 0 <= hidden < visible
    assert ("the same command goes on" in text[visible:]) == (ended == "interrupted")
