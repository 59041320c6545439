"""Time and peak memory of the audit on 10^5 rows cut from a made-up genome with repeats and overlapping loci.

    python benchmarks/audit.py [--rows 100000] [--length 251] [--seed 0]

Goal: 10^5 sequences under 3 minutes and 4 GB on two cores. Prints one line of JSON with the figures and the hardware.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time

import numpy as np

from findna_bench.auditing import audit_tables
from findna_bench.cards import TaskCard
from findna_bench.data.table import SequenceTable

BASES = np.frombuffer(b"ACGT", dtype=np.uint8)


def genome(size: int, generator: np.random.Generator) -> np.ndarray:
    """(size,) ASCII bases; a tenth of it are copies of twenty 300-base families, 12 % diverged, on either strand."""
    codes = generator.integers(0, 4, size)
    families = generator.integers(0, 4, (20, 300))
    for start in generator.integers(0, size - 300, size // 3000):
        copy = families[generator.integers(20)].copy()
        changed = generator.random(300) < 0.12
        copy[changed] = generator.integers(0, 4, int(changed.sum()))
        codes[start : start + 300] = copy if generator.random() < 0.5 else (3 - copy)[::-1]
    return BASES[codes]


def tables(rows: int, length: int, seed: int) -> dict[str, SequenceTable]:
    """A split into four fifths train and a fifth test; one row in ten lies half over another one."""
    generator = np.random.default_rng(seed)
    bases = genome(12 * rows * length // 10, generator)
    start = generator.integers(0, len(bases) - length, rows)
    overlapping = generator.random(rows) < 0.1
    start[overlapping] = np.minimum(
        start[generator.integers(0, rows, int(overlapping.sum()))] + length // 3, len(bases) - length
    )
    labels = generator.integers(0, 2, rows)
    text = bases.tobytes().decode("ascii")
    sequences = [text[s : s + length] for s in start.tolist()]
    table = SequenceTable(
        sequences, labels, np.arange(rows), contig=np.full(rows, "1", dtype=object), start=start, end=start + length
    )
    order = generator.permutation(rows)
    return {"train": table.take(order[: 4 * rows // 5]), "test": table.take(order[4 * rows // 5 :])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=251)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    card = TaskCard(name="made-up", suite="benchmark", labels=("negative", "positive"))
    made = tables(options.rows, options.length, options.seed)
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    report = audit_tables(made, card)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    similar = report.across["train->test"].similar
    print(
        json.dumps(
            {
                "rows": options.rows,
                "length": options.length,
                "seconds": round(seconds, 1),
                "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
                "peak_gb": round(after.ru_maxrss / 1e6, 2),
                "similar_test_rows": similar.total if similar else None,
                "cores": len(os.sched_getaffinity(0)),
                "omp_threads": os.environ.get("OMP_NUM_THREADS", "unset"),
                "machine": platform.processor() or platform.machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
