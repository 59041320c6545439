"""What the harness adds to a forward pass, which batch size suits the CPU, and what the embedding cache costs.

    OMP_NUM_THREADS=1 python benchmarks/embedding.py [--models NAME,NAME] [--rows N] [--repeat N]

Prints a table per part; process time, best of ``--repeat`` (other processes on the machine do not count).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from findna_bench.models.embedding import embed
from findna_bench.models.embedding_cache import EmbeddingCache, sequence_digests
from findna_bench.models.loading import LoadedModel, load_model
from findna_bench.sequences.batches import length_batches

CACHED_ROWS, CACHED_CHANNELS, CACHED_BASES = 100_000, 256, 300


def best(work: Callable[[], Any], repeat: int) -> float:
    """Least process time of ``repeat`` runs, in seconds."""
    times = []
    for _ in range(repeat):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def random_dna(rows: int, shortest: int, longest: int, seed: int = 0) -> list[str]:
    generator = np.random.default_rng(seed)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    return [
        letters[generator.integers(0, 4, int(generator.integers(shortest, longest + 1)))].tobytes().decode()
        for _ in range(rows)
    ]


def bare(model: LoadedModel, sequences: list[str]) -> tuple[float, float]:
    """(seconds in tokenize, seconds in forward and mean) over the batches that ``embed`` would make."""
    lengths = [len(sequence) for sequence in sequences]
    batches = length_batches(lengths, max_tokens=8192, batch_size=1024, n_tokens=model.backbone.token_counts(lengths))
    tokenizing = computing = 0.0
    with torch.inference_mode():
        for rows in batches:
            started = time.process_time()
            batch = model.backbone.tokenize([sequences[row] for row in rows])
            tokenized = time.process_time()
            model.backbone(batch).tokens.mean(1).numpy()
            computing += time.process_time() - tokenized
            tokenizing += tokenized - started
    return tokenizing, computing


def overhead(names: list[str], rows: int, repeat: int) -> None:
    print(f"\n{rows} sequences of 200 to 600 bases, float32, CPU, {torch.get_num_threads()} thread")
    print(f"{'model':28} {'tokenize s':>10} {'forward s':>10} {'embed s':>10} {'embed/bare':>10} {'tokenize %':>10}")
    sequences = random_dna(rows, 200, 600)
    for name in names:
        model = load_model(name, device="cpu")
        tokenizing, computing = min((bare(model, sequences) for _ in range(repeat)), key=sum)
        whole = best(lambda model=model: embed(model, sequences), repeat)  # type: ignore[misc]
        share = 100 * tokenizing / computing
        print(
            f"{name:28} {tokenizing:10.2f} {computing:10.2f} {whole:10.2f} {whole / (tokenizing + computing):10.3f} {share:10.2f}"
        )


def batch_sizes(names: list[str], rows: int, repeat: int) -> None:
    print("\nseconds by sequences per batch (400 bases each)")
    sizes = (1, 4, 16, 64)
    print(f"{'model':28} " + " ".join(f"{size:>8}" for size in sizes))
    sequences = random_dna(rows, 400, 400)
    for name in names:
        model = load_model(name, device="cpu")
        times = [
            best(lambda size=size, model=model: embed(model, sequences, batch_size=size), repeat) for size in sizes
        ]  # type: ignore[misc]
        print(f"{name:28} " + " ".join(f"{seconds:8.2f}" for seconds in times))


def cache(repeat: int) -> None:
    print(f"\ncache: {CACHED_ROWS:,} sequences of {CACHED_BASES} bases, {CACHED_CHANNELS} channels")
    sequences = random_dna(CACHED_ROWS, CACHED_BASES, CACHED_BASES)
    digests = sequence_digests(sequences)
    vectors = np.random.default_rng(0).normal(size=(CACHED_ROWS, CACHED_CHANNELS)).astype(np.float32)
    counts = np.ones(CACHED_ROWS, np.int64), np.ones(CACHED_ROWS, np.int32), np.zeros(CACHED_ROWS, np.int32)
    print(f"{'hash':>10} {best(lambda: sequence_digests(sequences), repeat):8.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        space = EmbeddingCache(Path(folder)).space({"part": "benchmark"}, CACHED_CHANNELS)
        started = time.process_time()
        space.store(digests, vectors, *counts)
        print(f"{'store':>10} {time.process_time() - started:8.2f} s")
        print(f"{'look up':>10} {best(lambda: space.lookup(digests), repeat):8.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--models", default="findna@random,hyenadna@random")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    names = arguments.models.split(",")
    overhead(names, arguments.rows, arguments.repeat)
    batch_sizes(names, arguments.rows, arguments.repeat)
    cache(arguments.repeat)


if __name__ == "__main__":
    main()
