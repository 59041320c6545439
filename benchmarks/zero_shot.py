"""How much sharing masked sites among variants saves: forward passes, and seconds beside a plain loop in the same run.

    OMP_NUM_THREADS=1 python benchmarks/zero_shot.py [--models NAME,NAME] [--variants N,N] [--bases N] [--repeat N] [--output FILE]

One element of random sequence, N random substitutions in it. The loop scores one variant after the other: the window with the
site hidden, one row at a time, log p(alt) - log p(ref); the two-pass loop, as scripts that score either window by itself do it, makes a pass over the reference
window and one over the variant's. Process time, best of ``--repeat``, both ways by turns; scores are compared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from findna_bench.models.backbone import Backbone
from findna_bench.models.loading import load_model
from findna_bench.results.environment import environment, environment_line

BASES = "ACGT"
ABOUT = """Passes: floating-point operations of all matrix products, in those of one forward pass over the element. All variants of a site share its hidden row, so a loop
of one pass per variant does variants / sites times the work, and one of two passes twice that. ChordMixer computes a row only where it differs from the element and the
hidden position sees it, which is about half of it here. The rest is batching, which gains little on one core, where a row alone keeps the arithmetic units busy, too. A causal
network makes a pass per variant and one for the reference; the plain loop reads the reference anew each time."""


def substitutions(n: int, bases: int, seed: int = 0) -> tuple[str, list[tuple[str, str]], list[int]]:
    """(element, (element, element with the variant) per variant, sites)."""
    generator = np.random.default_rng(seed)
    element = "".join(generator.choice(list(BASES), size=bases))
    every = [(site, base) for site in range(bases) for base in BASES if base != element[site]]
    chosen = [every[i] for i in np.sort(generator.choice(len(every), size=n, replace=False))]
    return (
        element,
        [(element, element[:site] + base + element[site + 1 :]) for site, base in chosen],
        [s for s, _ in chosen],
    )


def plain_loop(backbone: Backbone, pairs: Sequence[tuple[str, str]], *, both: bool = False) -> np.ndarray:
    """One variant at a time; for a causal network, or with ``both``, by a pass over either window."""
    found = []
    with torch.inference_mode():
        for reference, variant in pairs:
            one, other = backbone.tokenize([reference]), backbone.tokenize([variant])
            if backbone.causal:
                found.append(causal(backbone, other) - causal(backbone, one))
                continue
            differ = one.inputs[0] != other.inputs[0]
            ids, alternatives = one.inputs[0, differ].long(), other.inputs[0, differ].long()
            one.inputs[0, differ] = other.inputs[0, differ] = backbone.mask_token
            if both:
                backbone.logits(other)
            values = backbone.logits(one)[0, differ].double().log_softmax(-1)
            rows = torch.arange(len(ids))
            found.append(float((values[rows, alternatives] - values[rows, ids]).sum()))
    return np.array(found)


def causal(backbone: Backbone, batch: Any) -> float:
    values = backbone.logits(batch)[0, :-1].double().log_softmax(-1)
    own = values.gather(1, batch.inputs[0, 1:, None].long())[:, 0]
    return float(own[(batch.mask & ~batch.special)[0, 1:]].sum())


def whole_row(backbone: Backbone, sequence: str) -> Any:
    """One forward pass."""
    with torch.inference_mode():
        return backbone.logits(backbone.tokenize([sequence]))


def operations(work: Callable[[], Any]) -> int:
    """Floating-point operations of the matrix products."""
    with FlopCounterMode(display=False) as counted:
        work()
    return int(counted.get_total_flops())


def seconds(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


def measure(name: str, variants: int, bases: int, repeat: int) -> str:
    """A line of the table."""
    backbone = load_model(name, device="cpu").backbone
    _, pairs, sites = substitutions(variants, bases)

    def shared() -> np.ndarray:
        return np.array([other - one for one, other in backbone.log_likelihoods(pairs)])

    passes = operations(shared) / operations(lambda: whole_row(backbone, pairs[0][0]))
    fast, slow, slower = [], [], []
    for _ in range(repeat):
        used, found = seconds(shared)
        fast.append(used)
        used, expected = seconds(lambda: plain_loop(backbone, pairs))
        slow.append(used)
        slower.append(seconds(lambda: plain_loop(backbone, pairs, both=True))[0] if not backbone.causal else used)
    distance = float(np.abs(found - expected).max())
    return (
        f"| {name} | {variants} | {len(set(sites))} | {passes:.0f} | {passes / len(set(sites)):.2f} | {min(fast):.2f} | {min(slow):.2f} | "
        f"{min(slow) / min(fast):.1f} | {min(slower):.2f} | {min(slower) / min(fast):.1f} | {distance:.0e} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--models", default="findna-tiny,hyenadna@random")
    parser.add_argument("--variants", default="1000,1800", help="three times the bases: all there are")
    parser.add_argument("--bases", type=int, default=600)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "# Scoring variants without training: shared masks beside a plain loop",
        "",
        f"{environment_line(environment())}, 1 thread; process time, best of {arguments.repeat}, both ways by turns. Element of "
        f"{arguments.bases} bases.",
        "",
        f"`python benchmarks/zero_shot.py --models {arguments.models} --variants {arguments.variants} --bases {arguments.bases} "
        f"--repeat {arguments.repeat}`",
        "",
        "| model | variants | sites | passes | passes / sites | seconds | loop seconds | times | two-pass loop seconds | times | largest difference of scores |",
        "| - | - | - | - | - | - | - | - | - | - | - |",
    ]
    lines += [
        measure(name, int(variants), arguments.bases, arguments.repeat)
        for name in arguments.models.split(",")
        for variants in arguments.variants.split(",")
    ]
    lines += ["", ABOUT]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output is not None:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
