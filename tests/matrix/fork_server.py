"""Runs the command line in processes of its own that can be killed, without paying the imports each time.

As a script: imports the harness once, then forks a child per job. As a module: :class:`Server`, which tests talk to.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRELOADED = (
    "findna_bench.cli.run",
    "findna_bench.matrix.runner",
    "findna_bench.matrix.executors",
    "findna_bench.matrix.unit",
    "findna_bench.protocols.heads",
    "findna_bench.leaderboard.screen",
    "findna_bench.leaderboard.table_building",
    "findna_bench.models.embedding",
    "findna_bench.models.loading",
    "findna_bench.data.adhoc",
    "pyarrow.parquet",
    "scipy.sparse.csgraph",
)


@dataclass
class Job:
    """One running command line."""

    server: Server
    pid: int
    out: Path
    err: Path

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Exit code; negative for a signal."""
        return self.server.ask({"wait": self.pid})

    @property
    def stdout(self) -> str:
        return self.out.read_text()

    @property
    def stderr(self) -> str:
        return self.err.read_text()


class Server:
    """Starts command lines by forking a process that has imported everything."""

    def __init__(self, work: Path, paths: list[Path], environment: Mapping[str, str]) -> None:
        self._work, self._count = work, 0
        self._process = subprocess.Popen(
            [sys.executable, __file__, *map(str, paths)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment},
        )

    def ask(self, question: Mapping[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(
        self,
        *arguments: object,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        err: Path | None = None,
    ) -> Job:
        """``findna-bench ARGUMENTS`` in a process of its own; ``err`` may be a terminal."""
        self._count += 1
        out, err = self._work / f"{self._count}.out", err or self._work / f"{self._count}.err"
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("FINDNA_BENCH_", "HF_", "UNRULY_", "COLUMNS"))
        }
        job = {
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd),
            "out": str(out),
            "err": str(err),
            "environment": {**kept, **(environment or {})},
        }
        return Job(self, self.ask(job), out, err)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()


def wait_until(condition: Any, seconds: float = 300.0) -> None:
    """Poll until ``condition()`` holds.

    Raises:
        AssertionError: it does not within ``seconds``.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _serve() -> None:
    import importlib

    sys.path[:0] = sys.argv[1:]
    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        job = json.loads(line)
        if "wait" in job:
            _, status = os.waitpid(job["wait"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        pid = os.fork()
        if not pid:
            _run(job)
        print(pid, flush=True)


def _run(job: Mapping[str, Any]) -> None:
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor, path, flags in (
            (0, "/dev/null", os.O_RDONLY),
            (1, job["out"], os.O_WRONLY | os.O_CREAT),
            (2, job["err"], os.O_WRONLY | os.O_CREAT),
        ):
            opened = os.open(path, flags)
            os.dup2(opened, descriptor)
            os.close(opened)
        os.chdir(job["cwd"])
        os.environ.update(job["environment"])
        sys.argv = ["findna-bench", *job["arguments"]]
        from findna_bench.cli import main

        main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except KeyboardInterrupt:
        code = 130
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
