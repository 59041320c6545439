"""Time of fitting probes for five seeds together, for one, and one after the other; how far their logits differ. And of a whole
``run`` with nothing embedded before, for five seeds and for one.

    python benchmarks/heads.py [rows] [channels] [classes]

Features as of a network, correlated and of unequal scale; each seed draws its own 10 % for validation. The plain loops are what
one would write: for each seed and strength scikit-learn's StandardScaler and LogisticRegression, warm-started along the strengths;
for each seed a torch layer with AdamW. Processor time on one thread, best of three; each whole run has a cache, results and
random weights of its own.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import findna_bench as fb
from findna_bench.protocols.heads import AdamWProbe, LinearHead, LogisticProbe, Preset, SeedSplit, fit_probe
from findna_bench.training.schedules import learning_rate_factor

SEEDS = 5
WHOLE_RUN = "hyenadna@random"
WHOLE_RUN_ROWS, WHOLE_RUN_BASES = 2_000, 300


def features(rows: int, channels: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, channels) float32 and labels, drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(rows, 40))
    mixing = rng.normal(size=(40, channels)) * np.logspace(0, -2, 40)[:, None]
    x = np.tanh(latent @ mixing) + 0.02 * rng.normal(size=(rows, channels)) + 3 * rng.normal(size=channels)
    logits = latent @ rng.normal(size=(40, classes)) + rng.gumbel(size=(rows, classes))
    return x.astype(np.float32), logits.argmax(1)


def draws(rows: int) -> list[SeedSplit]:
    """Each seed's own tenth for validation."""
    orders = [np.random.default_rng(seed).permutation(rows) for seed in range(SEEDS)]
    return [SeedSplit(s, np.sort(o[rows // 10 :]), np.sort(o[: rows // 10])) for s, o in enumerate(orders)]


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Processor time, best of ``repeats``."""
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def plain(x: np.ndarray, y: np.ndarray, splits: list[SeedSplit], strengths: tuple[float, ...]) -> None:
    """The loop that a reader would write."""
    for split in splits:
        scaler = StandardScaler().fit(x[split.train])
        train, held_out = scaler.transform(x[split.train]), scaler.transform(x[split.validation])
        model = LogisticRegression(tol=1e-5, max_iter=5000, warm_start=True)
        losses = []
        for strength in sorted(strengths, reverse=True):
            model.set_params(C=1 / (strength * len(train))).fit(train, y[split.train])
            scores = model.predict_proba(held_out)
            losses.append(-np.log(np.maximum(scores[np.arange(len(scores)), y[split.validation]], 1e-300)).mean())
            if len(losses) >= 6 and losses[-1] > losses[-2] > losses[-3]:
                break


def plain_adamw(x: np.ndarray, y: np.ndarray, splits: list[SeedSplit], classes: int, preset: AdamWProbe) -> None:
    """The same for the probe trained by AdamW: a layer, an optimiser, batches."""
    inputs, truth = torch.from_numpy(x), torch.from_numpy(y)
    for split in splits:
        torch.manual_seed(split.seed)
        layer = torch.nn.Linear(x.shape[1], classes)
        optimiser = torch.optim.AdamW(layer.parameters(), lr=preset.lr, weight_decay=preset.weight_decay)
        steps = preset.epochs * -(-len(split.train) // preset.batch_size)
        rate = partial(learning_rate_factor, total_steps=steps, warmup_steps=round(preset.warmup * steps))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
        rows, held_out = torch.from_numpy(split.train), torch.from_numpy(split.validation)
        for _ in range(preset.epochs):
            for batch in rows[torch.randperm(len(rows))].split(preset.batch_size):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(layer(inputs[batch]), truth[batch]).backward()
                optimiser.step()
                schedule.step()
            with torch.no_grad():
                float(torch.nn.functional.cross_entropy(layer(inputs[held_out]), truth[held_out]))


def report(name: str, preset: Preset, x: np.ndarray, y: np.ndarray, splits: list[SeedSplit], classes: int) -> float:
    """Print times and the largest difference of logits; returns the time of all seeds together."""
    five = seconds(lambda: fit_probe(x, y, splits, classes, preset))
    one = seconds(lambda: fit_probe(x, y, splits[:1], classes, preset))
    together = fit_probe(x, y, splits, classes, preset)
    alone = [fit_probe(x, y, [split], classes, preset)[0] for split in splits]
    apart = 0.0
    for a, b in zip(together, alone, strict=True):
        assert isinstance(a, LinearHead)
        assert isinstance(b, LinearHead)
        apart = max(apart, float(np.abs(a.logits(x) - b.logits(x)).max()))
    print(
        f"{name}: {SEEDS} seeds {five:.2f} s, one seed {one:.2f} s ({five / one:.2f} times), logits differ by {apart:.1e}"
    )
    return five


def main(rows: int = 10_000, channels: int = 256, classes: int = 2) -> None:
    """Print all figures."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    x, y = features(rows, channels, classes)
    splits, preset = draws(rows), LogisticProbe()
    print(f"{rows:,} rows, {channels} channels, {classes} classes")
    five = report("logistic", preset, x, y, splits, classes)
    compare(five, lambda some: plain(x, y, some, preset.strengths), splits)
    centred, adamw = x - x.mean(0), AdamWProbe()
    five = report("adamw", adamw, centred, y, splits, classes)
    compare(five, lambda some: plain_adamw(centred, y, some, classes, adamw), splits)
    with tempfile.TemporaryDirectory() as folder:
        whole_runs(Path(folder))


def whole_runs(folder: Path) -> None:
    """Print what ``run`` takes from loading the model to written results, its embedding cache empty."""
    generator = np.random.default_rng(0)
    task = folder / "task.csv"
    lines = [
        f"{''.join(generator.choice(list('ACGT'), size=WHOLE_RUN_BASES))},{row % 2},{'test' if row % 5 == 0 else 'train'}"
        for row in range(WHOLE_RUN_ROWS)
    ]
    task.write_text("\n".join(["sequence,label,split", *lines]) + "\n")

    def run(seeds: int, name: str) -> float:
        os.environ["FINDNA_BENCH_CACHE_DIR"] = str(folder / f"cache-{name}")
        started = time.process_time()
        results = fb.run([WHOLE_RUN], [str(task)], seeds=seeds, device="cpu", output_dir=folder / name)
        taken = time.process_time() - started
        assert [result.status for result in results] == ["success"] * seeds
        return taken

    run(1, "warm-up")  # imports
    five, one = (min(run(seeds, f"{seeds}-{turn}") for turn in range(3)) for seeds in (SEEDS, 1))
    print(
        f"run, {WHOLE_RUN} on {WHOLE_RUN_ROWS:,} rows of {WHOLE_RUN_BASES} bases, nothing cached: "
        f"{SEEDS} seeds {five:.2f} s, one seed {one:.2f} s ({five / one:.2f} times)"
    )


def compare(five: float, loop: Callable[[list[SeedSplit]], None], splits: list[SeedSplit]) -> None:
    """Print what a plain loop takes."""
    one, all_of_them = seconds(lambda: loop(splits[:1])), seconds(lambda: loop(splits), 1)
    print(
        f"    plain loop: {SEEDS} seeds {all_of_them:.2f} s, one seed {one:.2f} s; "
        f"{SEEDS} seeds together take {five / one:.2f} times the plain loop's one"
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
