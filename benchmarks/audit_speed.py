"""Processor time and memory of the audit against seqleak, on the same files, in one run.

    python benchmarks/audit_speed.py [--rows 100000] [--length 200] [--seqleak PATH] [-o benchmarks/results/audit_speed.md]

Rows are those of ``benchmarks/audit.py``: cut from a made-up genome with repeat families, some over each other, four fifths of them train; files with
sequence and label. Both linters are run as commands of their own, each with one thread and all its checks, but for seqleak's alignment by
BLAST or MMseqs2; the audit's own alignments and its search for copies down to 80 % identity are in its time. seqleak is said to be absent where it is not
installed. Goal at 100,000 rows: half of seqleak's processor time, and no more memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from audit import tables

from findna_bench.grid import markdown_table
from findna_bench.results.environment import environment, environment_line

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def measured(words: Sequence[str]) -> tuple[float, float, float]:
    """(processor seconds, peak GB, seconds) of a command.

    Raises:
        RuntimeError: it failed.
    """
    began = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env={**os.environ, **ONE_THREAD})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{words[0]} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6, time.perf_counter() - began


def write(rows: int, length: int, folder: Path) -> None:
    """``train.csv`` and ``test.csv``."""
    for split, table in tables(rows, length, 0).items():
        with (folder / f"{split}.csv").open("w") as file:
            file.write("sequence,label\n")
            file.writelines(f"{s},{y}\n" for s, y in zip(table.sequences, table.labels.tolist(), strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--seqleak", help="the program, where it is not on PATH")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    program = options.seqleak or shutil.which("seqleak")
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "rows"
        folder.mkdir()
        write(options.rows, options.length, folder)
        command = "from findna_bench.cli import main; main()"
        data = ["--data-dir", str(Path(root) / "data"), "--json"]
        commands = {"findna-bench": [sys.executable, "-c", command, "audit", str(folder), *data]}
        if program is not None:
            files = ["--train", str(folder / "train.csv"), "--test", str(folder / "test.csv")]
            rest = ["--out", str(Path(root) / "seqleak.json"), "--quiet", "--threads", "1", "--homology", "off"]
            commands["seqleak"] = [program, "audit", *files, *rest]
        found = {name: measured(words) for name, words in commands.items()}
    lines = [
        [name, *(f"{value:.2f}" if i else f"{value:.0f}" for i, value in enumerate(values[:2]))]
        for name, values in found.items()
    ]
    header = ["command", "processor seconds", "peak GB"]
    words = [
        f"{options.rows:,} rows of {options.length} bases, one thread; {environment_line(environment())}. Made by `python benchmarks/audit_speed.py --rows {options.rows}`."
    ]
    if program is None:
        words.append("seqleak is not installed here.")
    else:
        time_share, memory_share = (found["findna-bench"][i] / found["seqleak"][i] for i in (0, 1))
        words.append(
            f"Of seqleak's processor time the audit takes {time_share:.2f} (goal: 0.50), of its memory {memory_share:.2f} (goal: 1.00)."
        )
    text = "\n".join(["# The audit against seqleak", "", *words, "", *markdown_table(header, lines, words=1), ""])
    print(text)
    print({name: f"{values[2]:.0f} s" for name, values in found.items()}, file=sys.stderr)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
