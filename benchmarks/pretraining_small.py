"""What each objective learns from 2,000 real windows in a few CPU minutes: ``findna-tiny``, three seeds, one thread.

    OMP_NUM_THREADS=1 python benchmarks/pretraining_small.py --fasta chrX.fa.gz --fasta chr22.fa.gz --out benchmarks/results

Runs ``findna-bench pretrain``'s own code at the preset of findna-tiny and equal optimiser steps, and compares masked accuracy and
cross-entropy on held-out windows of the same files with what base composition alone gives. A run that is finished is not run again.
Writes ``pretraining_small.json``, ``.md`` and ``.png``.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from findna_bench.results.environment import environment, environment_line

LITERAL = {"alpha": 0.5, "mnm_reduction": "sum", "cl_reduction": "sum", "teacher_momentum": 0.996}
"""The paper's equations: what differs from the defaults of self_distillation in the preset findna-tiny, put back."""
RUNS: dict[str, dict[str, Any]] = {
    "masked_nucleotide": {"objective": "masked_nucleotide"},
    "self_distillation, preset findna-tiny": {},
    "self_distillation, literal equations": {"changes": {"objective_options": LITERAL}},
}
GAIN = {"masked_nucleotide": 0.04, "self_distillation, preset findna-tiny": 0.02}
CE_GAIN = {"masked_nucleotide": 0.03}


def base_composition(fasta: list[Path], run: Path, data_dir: Path | None) -> tuple[float, float]:
    """(accuracy, cross-entropy in nats) on the validation windows of always naming, or of predicting by, the composition of
    the training windows."""
    from findna_bench.data.catalog import data_root
    from findna_bench.sequences.genome import Genome, WindowManifest

    genome = Genome.open(fasta, data_root(data_dir) / "fasta")
    counts = []
    for name in ("windows.bed", "validation_windows.bed"):
        rows = [line.split("\t") for line in (run / name).read_text().splitlines()]
        index = {contig: i for i, contig in enumerate(genome.contigs)}
        manifest = WindowManifest(
            genome.contigs,
            np.array([index[row[0]] for row in rows], dtype=np.int32),
            np.array([int(row[1]) for row in rows]),
            int(rows[0][2]) - int(rows[0][1]),
        )
        counts.append(np.bincount(genome.codes(manifest).ravel(), minlength=5)[:4].astype(float))
    train, held_out = (c / c.sum() for c in counts)
    return float(held_out[train.argmax()]), float(-(held_out * np.log(train)).sum())


def one_run(arguments: argparse.Namespace, preset: str, seed: int) -> dict[str, Any]:
    from findna_bench.requests.pretrain_request import PretrainRequest
    from findna_bench.training.launch import choose_settings, pretrain

    folder = arguments.work / f"{preset.replace(', ', '-').replace(' ', '-')}-{seed}"
    record = folder / "figures.json"
    if record.is_file():
        return dict(json.loads(record.read_text()))
    changes = {"windows": 2000, "validation_windows": 160, "steps": arguments.steps, "seed": seed, "epochs": None}
    own = RUNS[preset]
    settings, name = choose_settings(
        "findna-tiny", objective=own.get("objective"), changes={**changes, **own.get("changes", {})}
    )
    wanted = PretrainRequest(
        model="findna-tiny",
        output=folder,
        fasta=tuple(arguments.fasta),
        preset=name or None,
        device="cpu",
        log_every=20,
        validate_every=50,
        overwrite=True,
        data_dir=arguments.data_dir,
    )
    began = time.process_time()
    report = pretrain(wanted, settings)
    seconds = time.process_time() - began
    accuracy, entropy = base_composition(arguments.fasta, folder, arguments.data_dir)
    last = dict(report.validation)
    figures = {
        "preset": preset,
        "seed": seed,
        "steps": report.steps,
        "bases": report.steps * settings.batch_size * settings.window_length,
        "cpu_seconds": round(seconds, 1),
        "base_accuracy": accuracy,
        "base_cross_entropy": entropy,
        **last,
        "teacher_entropy_share": last["teacher_entropy"] / last["max_entropy"] if "teacher_entropy" in last else None,
        "curve": [
            [int(row["step"]), float(row["accuracy"]), float(row["mnm"])]
            for row in csv.DictReader((folder / "log.csv").open())
            if row["split"] == "validation"
        ],
    }
    record.write_text(json.dumps(figures))
    return figures


def page(runs: list[dict[str, Any]], fasta: list[Path]) -> str:
    lines = [
        "| preset | seeds | CPU s | gain in accuracy over base composition, points | gain in cross-entropy, nats "
        "| teacher entropy, % of maximum |",
        "|---|---|---|---|---|---|",
    ]
    for preset in dict.fromkeys(run["preset"] for run in runs):
        own = [run for run in runs if run["preset"] == preset]
        gains = [100 * (run["accuracy"] - run["base_accuracy"]) for run in own]
        nats = [run["base_cross_entropy"] - run["mnm"] for run in own]
        shares = [100 * run["teacher_entropy_share"] for run in own if run["teacher_entropy_share"] is not None]
        lines.append(
            f"| {preset} | {len(own)} | {statistics.mean(run['cpu_seconds'] for run in own):.0f} "
            f"| {_spread(gains, 2)} | {_spread(nats, 4)} | {_spread(shares, 1) if shares else '-'} |"
        )
    base = (
        statistics.mean(run["base_accuracy"] for run in runs),
        statistics.mean(run["base_cross_entropy"] for run in runs),
    )
    return (
        "What each objective learns from 2,000 windows of 500 bp. Made by `python benchmarks/pretraining_small.py "
        f"{' '.join(f'--fasta {path.name}' for path in fasta)} --steps {runs[0]['steps']}` on {environment_line(environment())}, one thread.\n\n"
        + "\n".join(lines)
        + f"\n\nMean (lowest to highest) over seeds; base composition: {100 * base[0]:.1f} %, {base[1]:.3f} nats. "
        + f"{runs[0]['steps']} optimiser steps, {runs[0]['bases'] / 1e6:.1f} Mb read, 2,000 training windows.\n"
    )


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def figure(runs: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = Figure(figsize=(9, 3.4), layout="constrained")
    FigureCanvasAgg(picture)
    left, right = picture.subplots(1, 2)
    for number, preset in enumerate(dict.fromkeys(run["preset"] for run in runs)):
        for run in (run for run in runs if run["preset"] == preset):
            steps, accuracy, entropy = zip(*run["curve"], strict=True)
            label = preset if run["seed"] == 0 else None
            left.plot(
                steps, [100 * (a - run["base_accuracy"]) for a in accuracy], f"C{number}", label=label, linewidth=1
            )
            right.plot(steps, [run["base_cross_entropy"] - e for e in entropy], f"C{number}", linewidth=1)
    left.set_ylabel("masked accuracy above base composition, points")
    right.set_ylabel("cross-entropy below base composition, nats")
    for axes in (left, right):
        axes.axhline(0, color="grey", linewidth=0.5)
        axes.set_xlabel("optimiser steps")
    left.legend(fontsize=8)
    picture.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fasta", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--work", type=Path, default=Path("pretraining-small"))
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data-dir", type=Path)
    arguments = parser.parse_args()
    runs = [one_run(arguments, preset, seed) for preset in RUNS for seed in range(arguments.seeds)]
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "pretraining_small.json").write_text(json.dumps(runs, indent=1) + "\n")
    (arguments.out / "pretraining_small.md").write_text(page(runs, arguments.fasta))
    figure(runs, arguments.out / "pretraining_small.png")
    print(page(runs))
    for run in runs:
        gain, nats = run["accuracy"] - run["base_accuracy"], run["base_cross_entropy"] - run["mnm"]
        if gain < GAIN.get(run["preset"], -1) or nats < CE_GAIN.get(run["preset"], -1):
            raise SystemExit(
                f"{run['preset']}, seed {run['seed']}: {100 * gain:.2f} points, {nats:.4f} nats: goal missed"
            )


if __name__ == "__main__":
    main()
