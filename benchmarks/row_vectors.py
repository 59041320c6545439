"""Memory and time of probing vectors that take more room than memory: rows x 1,024 channels, from reading the table to written results.

    python benchmarks/row_vectors.py [rows ...] [--channels 1024] [--scored]    default 200,000 rows; 4 GB of disk for a million

Each size is a process of its own: `run -m embeddings:vectors.npy` with one seed on a table of random 100 bp sequences of two classes,
of which 8 of 10 rows train, 1 validates and 1 is scored; with ``--scored`` 1 of 50 trains, 1 of 50 validates, and all others are scored,
which shows what predictions and their intervals take. Vectors are random, correlated, of unequal scale, and tell the classes apart in most
rows. Printed are the seconds of the processor and the highest resident memory of the process.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

BASES, BLOCK, LATENT = 100, 10_000, 40


def write_vectors(path: Path, labels: np.ndarray, channels: int) -> None:
    """An ``.npy`` file of float32 (rows, channels), block by block."""
    rng = np.random.default_rng(0)
    mixing = (rng.normal(size=(LATENT, channels)) * np.logspace(0, -2, LATENT)[:, None]).astype(np.float32)
    apart = rng.normal(size=LATENT).astype(np.float32)
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(len(labels), channels))
    file.flush()
    del file
    with path.open("r+b") as stream:
        np.lib.format.read_magic(stream)
        np.lib.format.read_array_header_1_0(stream)
        for first in range(0, len(labels), BLOCK):
            own = labels[first : first + BLOCK]
            latent = rng.standard_normal((len(own), LATENT), dtype=np.float32) + 0.15 * np.outer(own * 2 - 1, apart)
            noise = rng.standard_normal((len(own), channels), dtype=np.float32)
            stream.write((latent @ mixing + 0.3 * noise + 1).astype(np.float32).tobytes())


def write_table(path: Path, labels: np.ndarray, scored: bool) -> None:
    """A table with a column that says what each row is for."""
    rng = np.random.default_rng(1)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    every = 50 if scored else 10
    with path.open("w") as stream:
        stream.write("sequence,label,split\n")
        for row, label in enumerate(labels.tolist()):
            kind = {0: "validation", 1: "train" if scored else "test"}.get(row % every, "test" if scored else "train")
            stream.write(f"{letters[rng.integers(0, 4, BASES)].tobytes().decode()},{label},{kind}\n")


def measure(folder: Path) -> None:
    """Print (accuracy, its interval, seconds of the processor, peak bytes) of a run."""
    import time

    import findna_bench as fb

    (result,) = fb.run(
        [f"embeddings:{folder / 'vectors.npy'}"],
        [str(folder / "task.csv")],
        seeds=1,
        threads=1,
        output_dir=folder / "results",
    )
    assert result.status == "success", result.error
    with open("/proc/self/status") as stream:  # what ru_maxrss counts may be the parent's
        peak = next(int(line.split()[1]) * 1024 for line in stream if line.startswith("VmHWM"))
    low, high = result.metrics.intervals["accuracy"]
    print(result.metrics.main.value, low, high, time.process_time(), peak)


def main() -> None:
    """Print a line per size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("rows", nargs="*", type=lambda text: int(text.replace(",", "")), default=[200_000])
    parser.add_argument("--channels", type=int, default=1024)
    parser.add_argument("--scored", action="store_true")
    parser.add_argument("--folder", type=Path, help="where files are written; default a temporary folder")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        measure(options.measure)
        return
    print("rows  channels  file GB  accuracy %  processor s  peak GB")
    for n in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            folder = Path(name)
            labels = np.random.default_rng(2).integers(0, 2, n)
            write_vectors(folder / "vectors.npy", labels, options.channels)
            write_table(folder / "task.csv", labels, options.scored)
            child = subprocess.run(
                [sys.executable, __file__, "--measure", name],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "FINDNA_BENCH_CACHE_DIR": str(folder / "cache")},
            )
        value, low, high, seconds, peak = map(float, child.stdout.split())
        size = n * options.channels * 4 / 1e9
        print(
            f"{n:,}  {options.channels:,}  {size:.2f}  {100 * value:.2f} [{100 * low:.2f}, {100 * high:.2f}]  {seconds:.0f}  {peak / 1e9:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
