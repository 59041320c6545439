"""Embedding and fine-tuning on a CPU beside plain loops that do the same, by turns in one process.

    OMP_NUM_THREADS=1 python benchmarks/cpu_steps.py [--parts embedding,mixed,training] [--rounds 5] [--output FILE.md]

Prints the page that is committed as ``benchmarks/results/cpu_steps.md``; :data:`ABOUT` says what is compared.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines_forward import hyenadna
from embedding import random_dna
from gpu_steps import Authors
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from findna_bench.api import TokenBatch, linear
from findna_bench.data.table import SequenceTable
from findna_bench.models.embedding import embed
from findna_bench.models.linear_products import FastLinear
from findna_bench.models.loading import LoadedModel, load_model
from findna_bench.models.spec import parse_model
from findna_bench.protocols.fine_tuning import FineTuneOptions, FineTuning, LabelledRows
from findna_bench.protocols.fine_tuning_run import FineTuningRun
from findna_bench.results.environment import environment, environment_line
from findna_bench.training.schedules import learning_rate_factor
from findna_plugins.bases import BLANK
from findna_plugins.chordmixer import ChordMixer

PLAIN, OURS, PRODUCTS = "plain loop", "findna-bench", "products alone"
BATCH = 32
"""Rows of a batch of the plain loops, and of a fine-tuning step."""
STEPS, RATE = 2, 1e-4
"""Optimiser steps of a round, and their learning rate."""
FINDNA = ("findna@random", "findna-tiny")
MIXED = ("findna-tiny", "hyenadna@random", "nt-500m-human@random")
TRAINED = ("findna-tiny", "hyenadna@random")
"""Models of each part."""
SMALL_NT = {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 1024}
TITLES = {
    "embedding": "Embedding, rows of one length (goal: 2.2 in float32, 4 in bfloat16 where it has no AMX)",
    "mixed": "Embedding, rows of mixed lengths (goal: 2)",
    "training": "Fine-tuning steps (goal: 1.5)",
}
ABOUT = """What is compared:

* *Embedding, one length*: the plain loop is the authors' formulation of FinDNA (one-hot, linear, then per block MLP, one roll per track,
  concatenation, addition), 32 rows at a time. *Products alone* are the matrix products of the forward pass without biases, by the library
  that findna-bench computes them with: nothing that computes them one by one in float32 is faster.
* *Embedding, mixed lengths*: rows in random order; the plain loop takes 32 at a time as they come and pads them to the longest. HyenaDNA is computed there as
  published (filters in every pass, transforms of twice the length), the Nucleotide Transformer by transformers' class (six layers of width
  256), which is ours too: what differs is padding, and the library of the products.
* *Fine-tuning*: steps of 32 rows; the plain loop is a DataLoader, forward as above, mean over tokens, linear head, cross-entropy, backward, clipping, AdamW and
  a schedule. Ours is `FineTuningRun`, with all that it checks and records.

The same vectors and losses come out, which is checked before anything is timed; but for mixed lengths of FinDNA, where the authors rotate modulo the padded
length and count padding as positions. Weights are random but for findna-tiny. Time is that of the process, so that what else the machine does hits
all ways alike. *Times as fast* is the median over rounds of the ratio within a round, with the least and the greatest."""


@dataclass(frozen=True)
class Case:
    """ways: name -> what does the work once and returns its seconds; the first one is what ratios refer to."""

    model: str
    rows: str
    ways: Mapping[str, Callable[[], float]]


# --------------------------------------------------------------------------------------------------- plain formulations


class Plain(nn.Module):
    """A plain forward pass and mean over tokens, (B, D), with weights of its own that equal those of ``model``."""

    def __init__(self, model: LoadedModel) -> None:
        super().__init__()
        self.backbone: Any = copy.deepcopy(model.backbone)
        for module in self.backbone.modules():
            if isinstance(module, FastLinear):
                module.__class__ = nn.Linear
        if isinstance(model.backbone, ChordMixer):
            self.backbone = Authors(**model.config)
            self.backbone.load_state_dict(model.backbone.state_dict())

    def batch(self, sequences: Sequence[str]) -> TokenBatch:
        """Tokens, padded to the longest row; of the authors' FinDNA with blank rows."""
        tokens: TokenBatch = self.backbone.tokenize(list(sequences))
        if isinstance(self.backbone, Authors):
            tokens.inputs[~tokens.mask] = BLANK
        return tokens

    def forward(self, batch: TokenBatch) -> Tensor:
        if isinstance(self.backbone, Authors):
            return self.backbone(batch).tokens.mean(1)
        if hasattr(self.backbone, "model"):
            base = self.backbone.model.base_model
            states = base(input_ids=batch.inputs, attention_mask=batch.mask.long()).last_hidden_state
            return masked_mean(states, batch.mask)
        return masked_mean(hyenadna("each", exact=True)(self.backbone, batch), batch.mask & ~batch.special)


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    weights = mask.float()[..., None]
    return (states * weights).sum(1) / weights.sum(1)


def load(name: str, **options: Any) -> LoadedModel:
    """A model as the harness loads it; the Nucleotide Transformer is a small one."""
    card = parse_model(name).card
    if card.backbone == "nucleotide-transformer-v1":
        options["config"] = {"published": {**card.config["published"], **SMALL_NT}}
    return load_model(name, device="cpu", **options)


def processor() -> str:
    """What the processor is and computes with."""
    capability = torch.backends.cpu.get_cpu_capability()
    short = {"AVX512-BF16": torch.cpu._is_avx512_bf16_supported(), "AMX": torch.cpu._is_amx_tile_supported()}
    return f"{environment_line(environment())}; {capability}, " + ", ".join(
        name if has else f"no {name}" for name, has in short.items()
    )


def seconds(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


# ------------------------------------------------------------------------------------------------------------ embedding


def embedding_cases(
    rows_of: Mapping[str, int], shortest: int, longest: int, *, bfloat16: bool = False
) -> Iterator[Case]:
    """Rows of ``shortest`` to ``longest`` bases; of one length, the products alone are timed, too."""
    for name, rows in rows_of.items():
        sequences, model = random_dna(rows, shortest, longest), load(name)
        plain = Plain(model).eval()
        ways: dict[str, Callable[[], Any]] = {
            PLAIN: lambda plain=plain, sequences=sequences: plain_vectors(plain, sequences),
            OURS: lambda model=model, sequences=sequences: embed(model, sequences).vectors,
        }
        mixed = shortest < longest
        if not (mixed and isinstance(model.backbone, ChordMixer)):
            check_vectors(name, ways[PLAIN](), ways[OURS](), 1e-4)
        if not mixed:
            ways[PRODUCTS] = products(model.backbone, rows * longest)
        if not mixed and bfloat16:
            short = load(name, dtype="bfloat16")
            ways[f"{OURS}, bfloat16"] = lambda model=short, sequences=sequences: embed(model, sequences).vectors
            check_vectors(name, ways[PLAIN](), ways[f"{OURS}, bfloat16"](), 3e-2)
        what = f"{rows} of {longest:,}" if not mixed else f"{rows} of {shortest:,} to {longest:,}"
        yield Case(name, what, {way: lambda work=work: seconds(work) for way, work in ways.items()})


def plain_vectors(plain: Plain, sequences: Sequence[str]) -> np.ndarray:
    with torch.no_grad():
        parts = [plain(plain.batch(sequences[i : i + BATCH])).numpy() for i in range(0, len(sequences), BATCH)]
    return np.concatenate(parts)


def check_vectors(name: str, expected: np.ndarray, found: np.ndarray, limit: float) -> None:
    error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    assert error < limit, f"{name}: vectors are off by {error:.1e} of their length"


def products(model: Any, positions: int) -> Callable[[], None]:
    """The matrix products of a forward pass over so many positions, 2,048 at a time."""
    x, hidden = torch.rand(2048, model.channels), torch.rand(2048, model.hidden)
    first, second = torch.rand(model.hidden, model.channels), torch.rand(model.channels, model.hidden)
    outputs = torch.empty_like(x)

    def work() -> None:
        for start in range(0, positions, len(x)):
            n = min(len(x), positions - start)
            for _ in range(model.layers_count * model.blocks_per_layer):
                linear(x[:n], first, out=hidden[:n])
                linear(hidden[:n], second, out=outputs[:n])

    return work


# ------------------------------------------------------------------------------------------------------------- training


def training_cases(names: Iterable[str], lengths: Iterable[tuple[int, int]]) -> Iterator[Case]:
    for name in names:
        model = load(name)
        for shortest, longest in lengths:
            rows = random_dna(BATCH, shortest, longest)
            mixed = shortest < longest
            if not (mixed and isinstance(model.backbone, ChordMixer)):
                expected, found = plain_training(model, rows)[0], our_training(model, rows)[0]
                assert abs(expected - found) < 1e-4, f"{name}: the loss is {found}, that of the plain loop {expected}"
            what = f"{BATCH} of {shortest:,} to {longest:,}" if mixed else f"{BATCH} of {longest:,}"
            yield Case(
                name,
                what,
                {
                    PLAIN: lambda model=model, rows=rows: plain_training(model, rows)[1],
                    OURS: lambda model=model, rows=rows: our_training(model, rows)[1],
                },
            )


def plain_training(model: LoadedModel, sequences: Sequence[str]) -> tuple[float, float]:
    """(mean loss, seconds) of some steps, as scripts write them."""
    network, head = Plain(model).train(), fixed_head(nn.Linear(model.backbone.embed_dim, 2))
    parameters = [*network.parameters(), *head.parameters()]
    data: Any = [(sequence, row % 2) for row, sequence in enumerate(sequences)]
    loader = DataLoader(data, batch_size=BATCH, shuffle=True, collate_fn=lambda rows: list(zip(*rows, strict=True)))
    optimiser = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate_factor(step, STEPS, 0))
    losses = []
    started = time.process_time()
    for _ in range(STEPS):
        for texts, labels in loader:
            loss = functional.cross_entropy(head(network(network.batch(texts))), torch.tensor(labels))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            scheduler.step()
            losses.append(loss.item())
    return statistics.mean(losses), time.process_time() - started


def our_training(model: LoadedModel, sequences: Sequence[str]) -> tuple[float, float]:
    """As :func:`plain_training`, by the harness."""
    n = len(sequences)
    table = SequenceTable(list(sequences), np.arange(n) % 2, np.arange(n).astype(str))
    preset = FineTuning(lr=RATE, batch_size=BATCH, epochs=STEPS, warmup=0.0)
    rows = LabelledRows(table, table.take(np.arange(0)), 2)
    run = FineTuningRun(model, rows, preset, 0, FineTuneOptions(selection="last"))
    fixed_head(run.net.head)
    used = seconds(run.train)
    return statistics.mean(entry["train_loss"] for entry in run.at.path), used


def fixed_head(head: nn.Module) -> nn.Module:
    """The head with the same weights in either way."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(std=0.1, generator=generator)
    return head


# ----------------------------------------------------------------------------------------------------------------- page


def cases(part: str, models: Sequence[str], *, bfloat16: bool = False) -> Iterator[Case]:
    if part == "training":
        return training_cases([name for name in models if name in TRAINED], ((500, 500), (200, 1000)))
    lengths, rows = ((1000, 1000), BATCH) if part == "embedding" else ((200, 1000), 3 * BATCH)
    some = {name: rows for name in models if name in (FINDNA if part == "embedding" else MIXED)}
    return embedding_cases(some, *lengths, bfloat16=bfloat16)


def lines(case: Case, rounds: int) -> Iterator[str]:
    """Rows of the table; ways take turns, and begin in another place each round."""
    times: dict[str, list[float]] = {way: [] for way in case.ways}
    order = list(case.ways)
    for number in range(rounds):
        for way in order[number % len(order) :] + order[: number % len(order)]:
            times[way].append(case.ways[way]())
    base = times[order[0]]
    for way, used in times.items():
        ratios = [b / u for b, u in zip(base, used, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if way != order[0] else "1"
        yield f"| {case.model} | {case.rows} | {way} | {statistics.median(used):.3f} | {min(used):.3f} | {spread} |"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(TITLES))
    parser.add_argument("--models", default=",".join(dict.fromkeys([*FINDNA, *MIXED])), help="some of them, by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--bfloat16", action="store_true", help="embedding in bfloat16, too; slow where the processor lacks it"
    )
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    page = [
        "# Embedding and fine-tuning on a CPU beside plain loops",
        "",
        f"`{' '.join(['python benchmarks/cpu_steps.py', *(sys.argv[1:] if words is None else words)])}`",
        "",
        f"{processor()}; 1 thread; seconds of the process, {arguments.rounds} rounds.",
    ]
    for part in arguments.parts.split(","):
        page += ["", f"## {TITLES[part]}", "", "| model | rows | way | seconds, median | least | times as fast |"]
        page += ["|---|---|---|--:|--:|--:|"]
        print("\n".join(page[-4:]), flush=True)
        for case in cases(part, arguments.models.split(","), bfloat16=arguments.bfloat16):
            for line in lines(case, arguments.rounds):
                page.append(line)
                print(line, flush=True)
    page += ["", ABOUT]
    if arguments.output:
        arguments.output.write_text("\n".join(page) + "\n")


if __name__ == "__main__":
    main()
