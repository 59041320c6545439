"""Memory and time of a probe of states per base whose vectors lie on disk: at two sizes, and what follows for 100,000 windows.

    python benchmarks/base_vectors.py [windows ...]    default 2,000 and 10,000 windows of 512 bp; 2 GB of disk for 10,000

Each size is a process of its own: vectors of every base by findna-tiny (random weights, 96 channels), the linear probe, one epoch of
the convolutional one, and probabilities of every base of a tenth of the windows. What is printed is the highest resident memory of the
process; between two sizes it grows by what is kept per window, and that slope is drawn on to 100,000.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np

LENGTH, GOAL = 512, 100_000


def measure(n: int) -> None:
    """Print (seconds of vectors, of the linear probe, of an epoch of the convolutional one, peak bytes)."""
    import findna_bench as fb
    from findna_bench.models.base_vectors import embed_bases
    from findna_bench.protocols.base_probe import fit_base_probe
    from findna_bench.protocols.conv_probe import fit_conv_probe
    from findna_bench.protocols.seed_splits import SeedSplit
    from findna_bench.protocols.settings import ConvProbe

    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGT"), size=LENGTH)) for _ in range(n)]
    truth = (rng.random((n, LENGTH)) < 0.3).astype(np.uint8)
    clock = [time.perf_counter()]
    vectors = embed_bases(fb.load_model("findna-tiny", weights="random", device="cpu"), sequences).vectors
    clock.append(time.perf_counter())
    rows = np.arange(n)
    split = SeedSplit(0, rows[n // 5 :], rows[n // 10 : n // 5])
    (linear,) = fit_base_probe(vectors, truth, [split], 2)
    linear.predict_scores(vectors[rows[: n // 10]])
    clock.append(time.perf_counter())
    (conv,) = fit_conv_probe(vectors, truth, [split], 2, replace(ConvProbe(), epochs=1))
    conv.predict_scores(vectors[rows[: n // 10]])
    clock.append(time.perf_counter())
    print(*np.diff(clock), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def main(sizes: list[int]) -> None:
    """Print a line per size, then the memory of 100,000 windows."""
    peaks = []
    print("windows  vectors s  linear probe s  conv epoch s  peak MB  file MB")
    for n in sizes:
        child = subprocess.run(
            [sys.executable, __file__, "--measure", str(n)], check=True, stdout=subprocess.PIPE, text=True
        )
        *seconds, peak = map(float, child.stdout.split())
        peaks.append(peak)
        shown = "  ".join(f"{value:.1f}" for value in seconds)
        print(f"{n:,}  {shown}  {peak / 1e6:,.0f}  {n * LENGTH * 96 * 4 / 1e6:,.0f}", flush=True)
    if len(sizes) > 1:
        slope = (peaks[-1] - peaks[0]) / (sizes[-1] - sizes[0])
        print(
            f"{slope / 1e3:.1f} kB per window; {GOAL:,} windows: {(peaks[-1] + slope * (GOAL - sizes[-1])) / 1e9:.2f} GB"
        )


if __name__ == "__main__":
    if "--measure" in sys.argv:
        measure(int(sys.argv[-1]))
    else:
        main([int(text.replace(",", "")) for text in sys.argv[1:]] or [2_000, 10_000])
