"""Sequences of 1 kb augmented per second on one core, against EvoAug's published rates for the same operations.

    python benchmarks/augmentations.py [--rows 1024] [--length 1000] [--repeats 30] [--device cpu]

EvoAug (measured elsewhere, one core, batch of 1 kb sequences): deletion 21,000, insertion 23,000, translocation 81,000 per second.
Medians; the operations are interleaved within one process. On the CPU the clock is the process's own CPU time, so that a busy
machine does not matter.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from findna_plugins.augmentations import Deletion, Insertion, Masking, ReverseComplement, Translocation

EVOAUG = {"deletion": 21_000.0, "insertion": 23_000.0, "translocation": 81_000.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--length", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clock = time.process_time if arguments.device == "cpu" else time.perf_counter
    generator = torch.Generator(arguments.device).manual_seed(0)
    shape = (arguments.rows, arguments.length)
    x = torch.randint(0, 4, shape, dtype=torch.uint8, generator=generator, device=arguments.device)
    single = {"deletion": Deletion(), "insertion": Insertion(), "translocation": Translocation(), "masking": Masking()}

    def chain(codes: torch.Tensor, g: torch.Generator) -> torch.Tensor:
        for augmentation in single.values():
            codes = augmentation(codes, g)
        return codes

    operations = {**single, "reverse complement": ReverseComplement(), "chain D,I,T,M": chain}
    times: dict[str, list[float]] = {name: [] for name in operations}
    for _ in range(arguments.repeats):
        for name, operation in operations.items():
            start = clock()
            operation(x, generator)
            if arguments.device != "cpu":
                torch.cuda.synchronize()
            times[name].append(clock() - start)
    # EvoAug's chain without masking: the reciprocals of its rates add up.
    reference = {**EVOAUG, "chain D,I,T,M": 1 / sum(1 / rate for rate in EVOAUG.values())}
    for name, values in times.items():
        rate = arguments.rows / statistics.median(values)
        ratio = f"  {rate / reference[name]:5.1f} x EvoAug" if name in reference else ""
        print(f"{name:20s} {rate:12,.0f} sequences/s{ratio}")


if __name__ == "__main__":
    main()
