"""Executors under faults: runs the long tests of ``tests/executors`` on a real Slurm and a real Ray, and writes down what came of each.

    python benchmarks/executor_faults.py [--only EXPRESSION] [--page benchmarks/results/executor_faults.md]

Needs Slurm and munge on this machine, root, and the extras ``slurm`` and ``ray``; without one of them its tests are skipped, with the
reason. Outcomes are kept after each test in a JSON file beside the page, so that a run may be cut short and tests run again alone
(``--only`` takes what ``pytest -k`` takes; ``--page-only`` runs none).
"""

from __future__ import annotations

import argparse
import fcntl
import json
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from findna_bench.files import write_atomic
from findna_bench.grid import Grid
from findna_bench.results.environment import environment, environment_line

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests" / "executors"
PAGE = ROOT / "benchmarks" / "results" / "executor_faults.md"


class Recorder:
    """Keeps what came of each test as soon as it is known."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
            self.keep(report.nodeid.partition("executors/")[2], report.outcome, round(report.duration), reason)

    def keep(self, test: str, outcome: str, seconds: int, reason: str) -> None:
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = outcomes(self.path)
            known[test] = {"outcome": outcome, "seconds": seconds, "reason": reason, "date": time.strftime("%Y-%m-%d")}
            write_atomic(self.path, json.dumps(known, indent=1, sort_keys=True) + "\n")


def outcomes(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found: dict[str, dict[str, Any]] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return found


def said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def page(known: dict[str, dict[str, Any]]) -> str:
    """The outcomes as a table, by file."""
    rows = []
    for test, found in sorted(known.items()):
        file, _, name = test.partition("::")
        executor = {
            "test_ray": "ray",
            "test_ray_faults": "ray",
            "test_slurm": "slurm",
            "test_slurm_faults": "slurm",
        }.get(file.removesuffix(".py"), "all")
        words = name.removeprefix("test_").replace("_", " ")
        outcome = f"{found['outcome']}: {found['reason']}" if found["reason"] else found["outcome"]
        rows.append((executor, words, outcome, str(found["seconds"]), found["date"]))
    good = sum(found["outcome"] == "passed" for found in known.values())
    lines = [
        "# Executors under faults",
        "",
        f"`python benchmarks/executor_faults.py`: the tests of `tests/executors` on a real Slurm of two nodes of one processor each ({said('slurmctld', '-V') or 'not here'}, without accounting, by "
        f"submitit {installed('submitit')}) and a real Ray cluster of a head and two such nodes ({installed('ray')}), all on one machine ({environment_line(environment())}). Nodes are killed with all "
        "their processes, daemons alone, processes by SIGKILL; disks are full by a tmpfs of 16 kB under an overlay. A name in brackets is what is killed, sent or answered. Seconds are wall clock, other work going on.",
        "",
        f"{good} of {len(known)} passed.",
        "",
        *Grid(("executor", "what happens", "outcome", "s", "date"), tuple(rows), words=3).to_markdown(),
    ]
    return "\n".join(lines) + "\n"


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not here"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="tests by pytest's -k")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--page-only", action="store_true", help="write the page from what is kept")
    options = parser.parse_args()
    kept = options.page.with_suffix(".json")
    only = ["-k", options.only] if options.only else []
    command = ["-q", "-n", "0", "--timeout", "1800", *only, str(TESTS)]
    code = 0 if options.page_only else pytest.main(command, plugins=[Recorder(kept)])
    write_atomic(options.page, page(outcomes(kept)))
    print(f"wrote {options.page}")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
