"""Does the default fine-tuning find a learning rate that a wide search would find? Three networks of three sizes.

    python benchmarks/learning_rates.py [--steps 500] [--output benchmarks/results/learning_rates]

The default tries five rates within a decade of the model's centre, each for at most 300 of 500 steps, and trains the best one on
validation for all of them. The wide search trains nine rates within two decades for the whole run each. ``--steps`` scales both
budgets down together. Rows: 32 bases drawn so that the classes differ in composition and in how often a base
is repeated; 1,600 for training, 1,000 each for validation and test. Needs no data and no download.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from findna_bench.data.table import SequenceTable
from findna_bench.errors import NotFiniteError
from findna_bench.files import write_json
from findna_bench.models.loading import LoadedModel, load_model
from findna_bench.protocols.fine_tuning import FineTuned, FineTuning, LabelledRows, fine_tune
from findna_bench.protocols.settings import FINETUNE_PRESETS
from findna_bench.results.environment import environment, environment_line

WIDE = tuple(10 ** (exponent / 2) for exponent in range(-4, 5))
NETWORKS: Mapping[str, tuple[str, Mapping[str, Any] | None]] = {
    "HyenaDNA of 32 channels, untrained": ("hyenadna@random", {"d_model": 32, "n_layers": 2, "max_seq_len": 258}),
    "findna-tiny": ("findna-tiny", None),
    "Transformer of 256 channels, untrained": (
        "findna-t@random",
        {"width": 256, "layers": 2, "heads": 4, "feedforward": 1024, "positions": 64},
    ),
}


def rows(n: int, seed: int, length: int = 32) -> SequenceTable:
    """Class 1 is richer in G and C, and repeats a base less often than class 0 does."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    sequences = []
    for label in labels:
        chances = np.array([[0.28, 0.22, 0.22, 0.28], [0.22, 0.28, 0.28, 0.22]][label])
        bases = [int(rng.choice(4, p=chances))]
        for _ in range(length - 1):
            repeats = np.eye(4)[bases[-1]]
            following = chances * (1 + repeats * (0.8, -0.6)[label])
            bases.append(int(rng.choice(4, p=following / following.sum())))
        sequences.append("".join("ACGT"[base] for base in bases))
    return SequenceTable(sequences, labels.astype(np.int64), np.arange(n))


def measure(model: LoadedModel, default: FineTuning, data: tuple[SequenceTable, ...]) -> dict[str, Any]:
    """The default's choice beside the whole wide search's."""
    train, validation, test = data

    def scores(tuned: FineTuned) -> dict[str, Any]:
        right = tuned.predict_scores(test).argmax(1) == test.labels
        found = {"lr": tuned.settings["lr"], "loss": tuned.validation["loss"]}
        return found | {"validation": tuned.validation["accuracy"], "test": float(right.mean())}

    started = time.perf_counter()
    tuned = fine_tune(model, LabelledRows(train, validation, 2), default, 0)
    chosen = scores(tuned) | {"trials": tuned.trials, "warnings": tuned.warnings}
    wide = []
    for preset in replace(default.for_model(model.card, model.n_parameters), rates=WIDE).rate_trials():
        try:
            wide.append(scores(fine_tune(model, LabelledRows(train, validation, 2), preset, 0)))
        except NotFiniteError as error:
            wide.append({"lr": preset.lr, "loss": None, "validation": None, "test": None, "error": str(error)})
        print(model.name, wide[-1], flush=True)
    finite = [run for run in wide if run["loss"] is not None]
    best = min(finite, key=lambda run: run["loss"])
    return {
        "parameters": model.n_parameters,
        "centre": default.for_model(model.card, model.n_parameters).lr,
        "default": chosen,
        "wide": wide,
        "best": best,
        "behind_on_validation": 100 * (max(run["validation"] for run in finite) - chosen["validation"]),
        "seconds": round(time.perf_counter() - started),
    }


def table(found: Mapping[str, Mapping[str, Any]], steps: int) -> str:
    lines = [
        f"Default fine-tuning beside a search over four decades of learning rates, {steps} steps per run, one seed "
        "(`python benchmarks/learning_rates.py"
        + (f" --steps {steps}" if steps != FINETUNE_PRESETS["default"].min_steps else "")
        + "`).",
        "",
        f"Accuracy in %, on one thread; {environment_line(environment())}. *Behind*: points of validation accuracy between the default and the best of all nine runs.",
        "",
        "| network | parameters | centre | default: rate | validation | test | wide, least loss: rate | validation | test | behind |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found.items():
        default, best = row["default"], row["best"]
        cells = [name, f"{row['parameters']:,}", f"{row['centre']:g}"]
        for side in (default, best):
            cells += [f"{side['lr']:g}", f"{100 * side['validation']:.1f}", f"{100 * side['test']:.1f}"]
        lines.append("| " + " | ".join([*cells, f"{row['behind_on_validation']:.1f}"]) + " |")
    lines += ["", "Test accuracy of the wide search, by rate:", ""]
    lines += [
        f"* {name}: " + ", ".join(f"{run['lr']:g} {_percent(run['test'])}" for run in row["wide"])
        for name, row in found.items()
    ]
    return "\n".join(lines) + "\n"


def _percent(share: float | None) -> str:
    return "not finite" if share is None else f"{100 * share:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = FINETUNE_PRESETS["default"]
    assert default.min_steps is not None
    assert default.trial_steps is not None
    parser.add_argument("--steps", type=int, default=default.min_steps)
    parser.add_argument("--only", choices=tuple(NETWORKS), help="one network, added to those that --output has")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/learning_rates"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scaled = replace(
        default,
        epochs=1,
        min_steps=arguments.steps,
        trial_steps=round(default.trial_steps * arguments.steps / default.min_steps),
    )
    data = tuple(rows(n, seed) for seed, n in enumerate((1600, 1000, 1000)))
    wanted = [arguments.only] if arguments.only else list(NETWORKS)
    for name in wanted:
        model, config = NETWORKS[name]
        measured = measure(load_model(model, config=config, device="cpu"), scaled, data)
        found = (
            earlier(arguments.output.with_suffix(".json"), arguments.steps)
            if arguments.only or name != wanted[0]
            else {}
        )
        found = {n: row for n in NETWORKS if (row := (found | {name: measured}).get(n)) is not None}
        write_json(arguments.output.with_suffix(".json"), {"steps": arguments.steps, "networks": found})
        arguments.output.with_suffix(".md").write_text(table(found, arguments.steps), encoding="utf-8")
    print(table(found, arguments.steps))


def earlier(file: Path, steps: int) -> dict[str, dict[str, Any]]:
    """Networks that were measured before, in runs of so many steps."""
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return dict(known["networks"]) if known.get("steps") == steps else {}


if __name__ == "__main__":
    main()
