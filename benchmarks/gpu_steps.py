"""FinDNA's training steps on one GPU against the authors' formulation, interleaved in one process, timed by CUDA events.

    python benchmarks/gpu_steps.py                         # pretraining B=256 L=1010; fine-tuning L=1024 B=16 and B=128
    python benchmarks/gpu_steps.py --case pretraining --steps 20
    python benchmarks/gpu_steps.py --device cpu --small    # that the code runs; its times mean nothing

NOT RUN ON A GPU so far: no figure of this project comes from it. What is tested is that it runs on a CPU and that all variants
compute the same loss.

Variants: the authors' formulation (one roll per track, float16 autocast, eager); ours in bfloat16 with one compiled block, channels
padded, rotation as one gather (speed); the same with GELU recomputed in the backward pass (memory); for fine-tuning also with the whole
step captured as a CUDA graph. A step is zero_grad, forward, loss, backward, AdamW; in pretraining also both views, the teacher's
forward pass and its moving average. Peak memory is what one variant alone would need: parameters, optimiser and activations.
``input`` is what feeds a pretraining step: windows read from a packed genome on the host, copy, augmentation of both views.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from findna_bench.api import Encoding, TokenBatch
from findna_bench.profiling.timing import captured
from findna_bench.sequences.genome import Genome
from findna_plugins.chordmixer import ChordMixer
from findna_plugins.objectives.nucleotides import base_batch
from findna_plugins.objectives.self_distillation import SelfDistillation

SMALL = {"channels": 22, "track_size": 2, "hidden": 32, "layers": 1, "blocks_per_layer": 10}
GOALS = {
    ("pretraining", 256, "speed"): "at most 100 ms and 68 % of the authors' memory",
    ("pretraining", 256, "memory"): "at most 170 ms and 45 % of the authors' memory",
    ("finetuning", 16, "graph"): "10 ms",
    ("finetuning", 128, "speed"): "40 ms",
    ("finetuning", 128, "memory"): "10 GiB",
}
CASES = (("pretraining", 256, 1000), ("finetuning", 16, 1024), ("finetuning", 128, 1024))
"""Kind, rows, bases; pretraining appends ten [CLS] tokens."""


class Authors(ChordMixer):
    """The same parameters in the authors' formulation: one-hot, linear, MLP, one roll per track, concatenation, addition."""

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        x = batch.inputs
        if not x.is_floating_point():
            x = functional.one_hot(x.long(), 6)[..., :5].float()
        x = functional.linear(x, self.embedding.weight, self.embedding.bias)
        for blocks in self.layers:
            for block, sign in zip(blocks, self.signs, strict=True):  # type: ignore[call-overload]
                y = block.fc2(functional.gelu(block.fc1(x)))
                chunks = torch.split(y, self.track_size, dim=-1)
                rolled = [chunks[0], *(torch.roll(c, -sign * 2**i, 1) for i, c in enumerate(chunks[1:]))]
                x = x + torch.cat(rolled, -1)
        return Encoding(tokens=x)


@dataclass
class Variant:
    """One way to take a step: ``run`` takes it, ``loss`` is of the last one, ``own_bytes`` are kept between steps."""

    name: str
    run: Callable[[], None]
    loss: Tensor
    own_bytes: int = 0
    ms: list[float] = field(default_factory=list)
    peak_bytes: int = 0


def build(name: str, arguments: argparse.Namespace) -> ChordMixer:
    """The network of a variant; all have the same weights."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = SMALL if arguments.small else {}
    if name == "authors":
        return Authors(**sizes).to(arguments.device)
    made = ChordMixer(**sizes, formulation="gather", recompute_gelu=name == "memory").to(arguments.device)
    if arguments.compile:
        made.compile_blocks()
    return made


def make(kind: str, name: str, codes: Tensor, arguments: argparse.Namespace) -> Variant:
    """A variant, one step taken."""
    cuda = codes.device.type == "cuda"
    before = torch.cuda.memory_allocated() if cuda else 0
    network = build(name, arguments)
    half = torch.float16 if name == "authors" and cuda else torch.bfloat16
    kept = torch.zeros((), device=codes.device)
    scaler = torch.amp.GradScaler(codes.device.type, enabled=half == torch.float16)
    # Augmentations are drawn anew every step, from the same seed for every variant.
    generator = torch.Generator(codes.device).manual_seed(0)
    loss_of: Callable[[], Tensor]
    after: Callable[[], None]
    if kind == "pretraining":
        objective = SelfDistillation(network).to(codes.device).train()
        parameters = list(objective.trainable_parameters())

        def loss_of() -> Tensor:
            return objective.training_step(codes, 0, generator)["loss"]

        def after() -> None:
            objective.after_step(0, 100)

    else:
        head = nn.Linear(network.embed_dim, 2).to(codes.device)
        parameters = [*network.parameters(), *head.parameters()]
        labels = torch.arange(len(codes), device=codes.device) % 2
        batch = base_batch(codes)

        def loss_of() -> Tensor:
            return functional.cross_entropy(head(network(batch).tokens.mean(1)).float(), labels)

        def after() -> None: ...

    options: dict[str, Any] = {"fused": True, "capturable": cuda} if name != "authors" else {}
    optimiser = torch.optim.AdamW(parameters, lr=1e-5, **options)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(codes.device.type, dtype=half):
            loss = loss_of()
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        after()
        kept.copy_(loss.detach())

    step()
    optimiser.zero_grad(set_to_none=True)
    run = captured(step) if name == "graph" else step
    return Variant(name, run, kept.clone(), torch.cuda.memory_allocated() - before if cuda else 0)


def timed(run: Callable[[], None], cuda: bool) -> float:
    """Milliseconds: between CUDA events, or of processor time."""
    if not cuda:
        begin = time.process_time()
        run()
        return 1000 * (time.process_time() - begin)
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    first.record()
    run()
    last.record()
    last.synchronize()
    return first.elapsed_time(last)


def measure(kind: str, rows: int, length: int, arguments: argparse.Namespace) -> list[Variant]:
    """All variants of a case, checked against the first, then in turns.

    Raises:
        AssertionError: a variant's first loss is not the authors' formulation's to within 2 %.
    """
    cuda = arguments.device.startswith("cuda")
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 4, (rows, length), dtype=torch.uint8, generator=generator).to(arguments.device)
    names = ["authors", "speed", "memory", *(["graph"] if cuda and kind == "finetuning" else [])]
    variants: list[Variant] = []
    for name in names:
        try:
            variants.append(make(kind, name, codes, arguments))
        except RuntimeError as error:
            if name != "graph":
                raise
            print(f"  {name}: the step could not be captured ({str(error).splitlines()[0]})")
    expected = float(variants[0].loss)
    for variant in variants:
        error = abs(float(variant.loss) / expected - 1)
        assert error < 0.02, f"{kind}, {variant.name}: loss {float(variant.loss):.5g}, authors {expected:.5g}"
    for number in range(arguments.warm_up + arguments.steps):
        for variant in variants:
            if cuda:
                torch.cuda.synchronize()
                torch.cuda.reset_peak_memory_stats()
                held = torch.cuda.memory_allocated()
            elapsed = timed(variant.run, cuda)
            if number >= arguments.warm_up:
                variant.ms.append(elapsed)
            if cuda:
                variant.peak_bytes = torch.cuda.max_memory_allocated() - held + variant.own_bytes
    return variants


def time_input(rows: int, length: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Milliseconds per batch of what feeds a pretraining step; reading happens on the host while the device computes."""
    cuda = arguments.device.startswith("cuda")
    with tempfile.TemporaryDirectory() as folder:
        letters = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), 2_000_000)
        (Path(folder) / "g.fa").write_bytes(b">c\n" + letters.tobytes() + b"\n")
        genome = Genome.open([Path(folder) / "g.fa"], Path(folder) / "cache")
        manifest = genome.draw(rows * (arguments.steps + 1), length, np.random.default_rng(1))
        objective = SelfDistillation(build("speed", argparse.Namespace(**{**vars(arguments), "compile": False})))
        generator = torch.Generator(arguments.device).manual_seed(0)
        read, views = [], []
        for number in range(arguments.steps + 1):
            begin = time.perf_counter()
            codes = torch.from_numpy(genome.codes(manifest.take(slice(number * rows, (number + 1) * rows))))
            read.append(1000 * (time.perf_counter() - begin))

            def feed(codes: Tensor = codes) -> None:
                objective.recipe.views(codes.to(arguments.device), generator)

            views.append(timed(feed, cuda))
    return {"read on the host": statistics.median(read[1:]), "copy and views": statistics.median(views[1:])}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=["pretraining", "finetuning", "all"], default="all")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=20, help="measured; medians are printed")
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="a small network on a few rows")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    arguments = parser.parse_args(words)
    cuda = arguments.device.startswith("cuda")
    if cuda and not torch.cuda.is_available():
        parser.error("no CUDA device here; --device cpu --small only shows that the code runs")
    arguments.compile = arguments.compile and cuda
    where = torch.cuda.get_device_name(arguments.device) if cuda else "CPU: these times say nothing about a GPU"
    print(f"torch {torch.__version__}, {where}")
    for kind, rows, length in CASES:
        if arguments.case not in (kind, "all"):
            continue
        if arguments.small:
            rows, length = 2, 64
        print(f"{kind}, {rows} x {length}" + (" + 10 [CLS]" if kind == "pretraining" else ""))
        variants = measure(kind, rows, length, arguments)
        base = variants[0]
        for variant in variants:
            median = statistics.median(variant.ms)
            memory = (
                f"{variant.peak_bytes / 2**30:7.2f} GiB {variant.peak_bytes / base.peak_bytes:5.0%}" if cuda else ""
            )
            goal = GOALS.get((kind, rows, variant.name), "") if cuda else ""
            ratio = statistics.median(base.ms) / median
            print(
                f"  {variant.name:10s} {median:9.2f} ms {ratio:6.2f} x {memory}" + (f"  goal: {goal}" if goal else "")
            )
        if kind == "pretraining":
            fastest = min(statistics.median(variant.ms) for variant in variants)
            for what, elapsed in time_input(rows, length, arguments).items():
                print(f"  input, {what}: {elapsed:.2f} ms, {elapsed / fastest:.1%} of the fastest step")
        del variants, base
        if cuda:
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
