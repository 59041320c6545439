"""Wall time of verbs that only show something: median of 5 fresh processes each, after one to warm the file cache."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from findna_bench.results.environment import environment

VERBS = (
    ("--help",),
    ("list", "models"),
    ("list", "tasks"),
    ("list", "suites"),
    ("plan", "-m", "kmer", "-t", "demo/species4"),
)


# An installation keeps its compiled files; a shell that forbids them would measure Python's compiler.
COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=COMPILED)
    return time.perf_counter() - started


def main() -> None:
    program = str(Path(sys.executable).with_name("findna-bench"))
    about = environment()
    print(f"{about['cpu']}, {about['cpu_count']} cores, Python {about['python']}")
    for verb in VERBS:
        command = [program, *verb]
        seconds(command)
        times = [seconds(command) for _ in range(5)]
        print(
            f"findna-bench {' '.join(verb):<36} median {statistics.median(times):.3f} s  ({min(times):.3f} to {max(times):.3f})"
        )


if __name__ == "__main__":
    main()
