"""Streams that are closed or full, locales that cannot write all letters, users without a home: one sentence at most, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "from findna_bench.cli import main; main()"


def environment(**changes: str | None) -> dict[str, str]:
    """That of a shell, with some variables set, or unset where they are None."""
    own = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)])}
    return {name: value for name, value in {**own, **changes}.items() if value is not None}


def shell(line: str, *words: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """A command line of a shell in which ``fb`` is the program."""
    define = f'fb() {{ "{sys.executable}" -c "{PROGRAM}" "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", define + line, "bash", *words],
        env=environment(**changes),
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )


def test_a_full_disk_behind_the_answer_is_an_error_in_one_sentence() -> None:
    done = shell("fb list models > /dev/full")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "findna-bench: the answer cannot be written to standard output: No space left on device"
    )


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "<&- 2>&-", ">&-", ">&- 2>&-"])
def test_streams_that_are_closed_or_full_end_no_verb(closed: str, tmp_path: Path) -> None:
    done = shell(f"fb check mcc --kind metrics {closed}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    if ">&-" not in closed.split():
        assert "passed" in done.stdout


def test_a_failure_is_told_by_its_code_where_stderr_is_closed() -> None:
    assert shell("fb describe no-such-name 2>&-").returncode == 2


def test_a_reader_that_goes_away_is_no_failure_to_speak_of() -> None:
    done = shell("fb list tasks --json | head -1; exit ${PIPESTATUS[0]}")
    assert done.stderr == ""
    assert done.returncode in (0, 1)  # whether all of it fits into the pipe


PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0", "LANG": None}


def test_a_locale_without_utf8_reads_and_writes_whatever_files_hold(tmp_path: Path) -> None:
    table = tmp_path / "жук.csv"
    letters = ["käfer", "日本"]
    rows = [
        f"{'ACGT' * (3 + i % 5)}{'ACGT'[i % 4]},{letters[i % 2]},{'test' if i > 30 else 'train'}" for i in range(44)
    ]
    table.write_text("\n".join(["sequence,label,split", *rows]) + "\n", encoding="utf-8")
    out, page = str(tmp_path / "größe"), str(tmp_path / "page.md")
    run = (
        f'fb run -m majority -t "$1" --seeds 1 -o "$2" && fb leaderboard -o "$2" --markdown "{page}" && fb verify "$2"'
    )
    plain = shell(run, str(table), out, **PLAIN)
    assert plain.returncode == 0, plain.stderr
    assert "Traceback" not in plain.stderr
    assert "+/-" in plain.stdout or "majority" in plain.stdout
    usual = shell('fb plan -m majority -t "$1" --seeds 1 -o "$2" --json', str(table), out, PYTHONUTF8="1")
    assert '"finished": 1' in usual.stdout  # the same task, by the same name
    assert "majority" in Path(page).read_text(encoding="utf-8")


def test_a_user_without_home_and_entry_can_work(tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    rows = [f"{'ACGT' * (3 + i % 5)}{'ACGT'[i % 4]},{i % 2},{'test' if i > 30 else 'train'}" for i in range(44)]
    table.write_text("\n".join(["sequence,label,split", *rows]) + "\n")
    # What the C library says of a user it has no entry for, also to modules that look it up later.
    unknown = "import pwd\ndef nobody(who): raise KeyError(who)\npwd.getpwuid = pwd.getpwnam = nobody\n"
    code = unknown + PROGRAM
    words = [
        "run",
        "-m",
        "majority,findna-tiny",
        "-t",
        str(table),
        "--seeds",
        "1",
        "-o",
        str(tmp_path / "out"),
        "--no-sanity",
    ]
    nobody = environment(HOME=None, USER=None, LOGNAME=None, USERNAME=None, FINDNA_BENCH_DATA_DIR=None, HF_HOME=None)
    nobody = {name: value for name, value in nobody.items() if not name.startswith(("XDG_", "FINDNA_BENCH_"))}

    def run(**folders: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *words]
        return subprocess.run(
            command, env={**nobody, **folders}, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    done = run()
    assert "this user has no home folder; say where data go with --data-dir" in done.stderr
    assert "Traceback" not in done.stderr
    done = run(FINDNA_BENCH_DATA_DIR=str(tmp_path / "data"), FINDNA_BENCH_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_verb_in_its_words_and_with_its_code(number: signal.Signals, tmp_path: Path) -> None:
    waits = (
        "import findna_bench.cli as cli, signal, time, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background starts with these ignored
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "def wait():\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "cli.app.command('wait')(wait)\ncli.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", waits, "wait"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert errors.strip() == "interrupted; the same command goes on where this one stopped"
    assert process.returncode == 128 + number
