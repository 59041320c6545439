"""What a machine with a GPU can show that others cannot, in one command of at most six minutes.

    python benchmarks/gpu_check.py                       # on a machine with CUDA
    python benchmarks/gpu_check.py --device cpu          # rehearsal: what a CPU can run, on little; the rest is skipped and says why

NOT RUN ON A GPU so far. Prints as it goes, a line per check, and the share of the minutes that is left:

* ``models``: vectors of every first-party encoder equal those of the CPU, to 1e-4 in float32 and 1e-2 in bfloat16 (of the length of
  the CPU's float32 vector). Of what has more than 130 million parameters a smaller network of the same class is taken.
* ``demo``: what ``make demo`` runs, on the device; accuracies of encoders beside those of ``leaderboards/demo.md``.
* ``steps``: ``gpu_steps.py``, with its goals.
* ``memory``: the allocator is given so little that batches do not fit, for embedding and for a fine-tuning step; what comes out equals
  what small batches give.
* ``graphs``: a captured fine-tuning step has the loss of one that is not.
* ``resume``: a pretraining that is killed and typed again ends with the weights of one that was left alone, bit by bit.

Ends with exit code 1 where a check failed.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gpu_steps
import numpy as np
import torch
from cpu_steps import SMALL_NT, fixed_head
from embedding import random_dna

from findna_bench.data.table import SequenceTable
from findna_bench.models.embedding import embed
from findna_bench.models.loading import LoadedModel, load_model
from findna_bench.protocols.fine_tuning import FineTuneOptions, FineTuning, LabelledRows
from findna_bench.protocols.fine_tuning_run import FineTuningRun
from findna_bench.registry import get_registry
from findna_bench.results.environment import environment, environment_line

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 360.0
LARGEST = 130_000_000
LIMITS = {"float32": 1e-4, "bfloat16": 1e-2}
TASKS = ("human_vs_shuffled", "motif_order", "species4")
"""The first columns of ``leaderboards/demo.md``."""
DEMO = "findna-tiny,findna-tiny@random,hyenadna@random,kmer,trivial,majority"
Lines = Iterator[tuple[bool | None, str]]
"""(whether it holds, None = skipped, what was found)."""


class Skipped(Exception):
    """A check that this machine cannot run, and why."""


def models(device: str, small: bool) -> Lines:
    """The vectors of every encoder beside those of the CPU; in a rehearsal of one per class, beside its plain formulation."""
    sequences = random_dna(2, 60, 150) if small else random_dna(4, 150, 400)
    rehearsed: set[str] = set()
    for card in get_registry().cards("models"):
        if card.kind != "encoder":
            continue
        try:
            options = smaller(card)
            if small and (card.backbone in rehearsed or (not options and (card.n_parameters or 0) > 2_000_000)):
                raise Skipped("a rehearsal takes one network of a class, of two million parameters at most")
        except Skipped as error:
            yield None, f"{card.name}: {error}"
            continue
        rehearsed.add(card.backbone)
        name = card.name if any(source.package for source in card.weights) else f"{card.name}@random"
        reference = load_model(name, device="cpu", **options)
        if small:
            reference.backbone.use_formulation("plain")
        expected = embed(reference, sequences).vectors
        for dtype, limit in LIMITS.items():
            tested = load_model(name, device=device, dtype=dtype, **options)
            error = float(np.linalg.norm(embed(tested, sequences).vectors - expected) / np.linalg.norm(expected))
            yield (
                error <= limit,
                f"{name}{' (smaller)' if options else ''}, {dtype}: off by {error:.1e}, limit {limit:g}",
            )


def smaller(card: Any) -> dict[str, Any]:
    """Options that make a network of the card's class small enough.

    Raises:
        Skipped: its class is shown by another card, or its tokenizer is not at hand.
    """
    if card.backbone == "nucleotide-transformer-v1":
        return {"config": {"published": {**card.config["published"], **SMALL_NT}}}
    if (card.n_parameters or 0) > LARGEST:
        raise Skipped("more than 130 million parameters; smaller ones of its class are checked")
    if card.backbone == "dnabert2":
        raise Skipped("its tokenizer is not in the package")
    return {}


def demo(device: str, small: bool) -> Lines:
    """``make demo`` on the device, beside the committed page; in a rehearsal one of its tasks, on little."""
    rows = ["--tasks", "demo/species4", "--limit", "40"] if small else ["--suite", "demo"]
    with tempfile.TemporaryDirectory() as folder:
        findna_bench(["run", "--models", DEMO, *rows, "--seeds", "3", "--device", device, "--output-dir", folder])
        results = [json.loads(file.read_text(encoding="utf-8")) for file in Path(folder).rglob("*.json")]
    scores: dict[tuple[str, str], list[float]] = {}
    for result in results:
        if result.get("status") == "success" and result["task"]["name"].rpartition("/")[2] in TASKS:
            key = result["model"]["name"], result["task"]["name"].rpartition("/")[2]
            scores.setdefault(key, []).append(100 * result["metrics"]["main"]["value"])
    committed = accuracies((ROOT / "leaderboards" / "demo.md").read_text(encoding="utf-8"))
    expected = len(DEMO.split(",")) * (1 if small else len(TASKS))
    yield len(scores) == expected, f"{len(scores)} of {expected} models on tasks have scores"
    for (model, task), values in sorted(scores.items()):
        found, page = statistics.mean(values), committed[model][TASKS.index(task)]
        text = f"{model} on {task}: {found:.2f}"
        yield (True, f"{text} of 40 rows") if small else (abs(found - page) <= 0.5, f"{text}, on the page {page:.2f}")


def findna_bench(words: Sequence[str]) -> str:
    """What the command prints.

    Raises:
        RuntimeError: it fails.
    """
    done = subprocess.run(
        [sys.executable, "-c", "from findna_bench.cli import main; main()", *words], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"findna-bench {' '.join(words)}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def accuracies(page: str) -> dict[str, list[float]]:
    """Scores of each row of the first table, in the order of its columns."""
    found: dict[str, list[float]] = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        values = [float(m[1]) for cell in cells[1:] if (m := re.match(r"(?:\*\*|<u>)?(\d+\.\d+)", cell))]
        name = re.sub(r"[*\\`]|\(control\)", "", cells[0]).strip()
        if values and name not in found:
            found[name] = values
    return found


def steps(device: str, small: bool) -> Lines:
    gpu_steps.main(["--device", "cpu", "--small", "--steps", "1", "--warm-up", "0"] if small else ["--steps", "10"])
    yield True, "all formulations have the authors' loss; times above"


def memory(device: str, small: bool) -> Lines:
    """Batches that do not fit."""
    if not device.startswith("cuda"):
        raise Skipped("memory of a CPU does not run out in a way that can be caught")
    model = load_model("findna-tiny", device=device)
    sequences = random_dna(4096, 1000, 1000)
    expected = embed(model, sequences, batch_size=32).vectors
    losses = {size: one_step(model, sequences[:512], size) for size in (16,)}
    torch.cuda.empty_cache()
    room = torch.cuda.memory_allocated() + 2**30
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(0).total_memory)
    try:
        found = embed(model, sequences, batch_size=4096)
        error = float(np.abs(found.vectors - expected).max())
        halved = found.batch["micro"] < 4096
        yield (
            halved and error < 1e-5,
            f"embedding, 1 GiB: {found.batch['micro']} of 4,096 rows fitted, off by {error:.1e}",
        )
        loss, rows = one_step(model, sequences[:512], "auto")
        off = abs(loss - losses[16][0])
        yield rows < 512 and off < 1e-5, f"fine-tuning step, 1 GiB: {rows} of 512 rows fitted, loss off by {off:.1e}"
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def one_step(model: LoadedModel, sequences: Sequence[str], batch_size: int | str) -> tuple[float, int]:
    """(loss, most rows read at once) of a fine-tuning step of all the rows."""
    n = len(sequences)
    table = SequenceTable(list(sequences), np.arange(n) % 2, np.arange(n).astype(str))
    options = FineTuneOptions(selection="last", batch_size=batch_size)
    preset = FineTuning(lr=1e-4, batch_size=n, epochs=1, warmup=0.0)
    run = FineTuningRun(model, LabelledRows(table, table.take(np.arange(0)), 2), preset, 0, options)
    fixed_head(run.net.head)
    run.train()
    return float(run.at.path[0]["train_loss"]), run.at.micro_rows


def graphs(device: str, small: bool) -> Lines:
    if not device.startswith("cuda"):
        raise Skipped("there are CUDA graphs on CUDA alone")
    arguments = argparse.Namespace(device=device, small=small, compile=False)
    codes = torch.randint(0, 4, (16, 1024), dtype=torch.uint8, device=device)
    eager, graph = (gpu_steps.make("finetuning", name, codes, arguments) for name in ("speed", "graph"))
    graph.run()
    torch.cuda.synchronize()
    error = abs(float(graph.loss) / float(eager.loss) - 1)
    yield (
        error < 1e-2,
        f"the loss of a captured step is {float(graph.loss):.6f}, without a graph {float(eager.loss):.6f}",
    )


def resume(device: str, small: bool) -> Lines:
    """A pretraining killed behind its first checkpoint, and the same command again."""
    from safetensors.torch import load_file

    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder, "g.fa")
        fasta.write_text(">c\n" + random_dna(1, 200_000, 200_000)[0] + "\n")
        n = 12 if small else 60
        words = [
            "pretrain",
            "findna-tiny",
            "--fasta",
            str(fasta),
            "--device",
            device,
            "--steps",
            str(n),
            "--batch-size",
            "8",
        ]
        words += ["--windows", "200", "--window-length", "200", "--validation-windows", "0", "--checkpoint-steps", "3"]
        findna_bench([*words, "-o", f"{folder}/whole"])
        command = [sys.executable, "-c", "from findna_bench.cli import main; main()", *words, "-o", f"{folder}/parts"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not any(Path(folder, "parts").rglob("*.pt")):
            time.sleep(0.05)
        process.kill()
        process.wait()
        printed = findna_bench([*words, "-o", f"{folder}/parts"])
        one, other = (load_file(next(Path(folder, part).rglob("model.safetensors"))) for part in ("whole", "parts"))
    error = max(float((one[key] - other[key]).abs().max()) for key in one)
    yield (
        error == 0,
        f"{n} steps, killed and gone on: weights differ by {error:.1e}; {printed.strip().splitlines()[-1:]}",
    )


CHECKS: dict[str, Callable[[str, bool], Lines]] = {
    "models": models,
    "resume": resume,
    "memory": memory,
    "graphs": graphs,
    "demo": demo,
    "steps": steps,
}


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--checks", default=",".join(CHECKS), help="some of them, by commas")
    parser.add_argument("--seconds", type=float, help="no check begins after so many; 360, in a rehearsal none")
    arguments = parser.parse_args(words)
    small = not arguments.device.startswith("cuda")
    if not small and not torch.cuda.is_available():
        parser.error("no CUDA device here; --device cpu is a rehearsal")
    where = "CPU, a rehearsal" if small else torch.cuda.get_device_name(arguments.device)
    seconds = arguments.seconds or (math.inf if small else SECONDS)
    print(f"{where}: {environment_line(environment())}", flush=True)
    began, failed = time.monotonic(), 0
    for name in arguments.checks.split(","):
        left = seconds - (time.monotonic() - began)
        print(name if small else f"{name}, {left:.0f} s left", flush=True)
        if left < 0:
            print("  skipped: the time is over", flush=True)
            continue
        try:
            for holds, text in CHECKS[name](arguments.device, small):
                failed += holds is False
                print(f"  {'skipped' if holds is None else 'holds' if holds else 'FAILS'}: {text}", flush=True)
        except Skipped as error:
            print(f"  skipped: {error}", flush=True)
        except Exception as error:  # one check that breaks must not keep the others from running
            failed += 1
            traceback.print_exc()
            print(f"  FAILS: {type(error).__name__}: {error}", flush=True)
    print(f"{failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
