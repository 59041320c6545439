"""Time of fitting one logistic regression per label: all labels in one computation, against scikit-learn's one-vs-rest.

    python benchmarks/multilabel.py [rows] [channels] [labels] [labels that scikit-learn fits]

Features as of a network, correlated and of unequal scale; labels with shares from 1 % to 50 %. Both solve the same problems at one
strength, on features standardised beforehand for scikit-learn; its labels are independent of each other, so that its time for all of
them is that of some, times their number. Tolerances: how far from the optimum both end is printed, as the largest entry of the
gradient of the mean loss. Then the whole probe: every strength of the default preset, each label's own chosen on a tenth of the rows.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from findna_bench.protocols.label_probe import fit_labels
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import LogisticProbe

STRENGTH = 1e-3


def made(rows: int, channels: int, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, channels) float32 and (rows, labels) int8, drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(rows, 40))
    mixing = rng.normal(size=(40, channels)) * np.logspace(0, -2, 40)[:, None]
    x = np.tanh(latent @ mixing) + 0.02 * rng.normal(size=(rows, channels)) + 3 * rng.normal(size=channels)
    signal = latent @ rng.normal(size=(40, labels)) / 4 + rng.logistic(size=(rows, labels))
    shares = np.logspace(np.log10(0.01), np.log10(0.5), labels)
    truth = signal > np.quantile(signal, 1 - shares, axis=0)[np.arange(labels), np.arange(labels)]
    return x.astype(np.float32), truth.astype(np.int8)


def timed(work: Callable[[], object]) -> tuple[object, float, float]:
    """(what it gives, seconds, processor seconds)."""
    started, processor = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - started, time.process_time() - processor


def largest_gradient(z: np.ndarray, y: np.ndarray, weight: np.ndarray, bias: float) -> float:
    """Of the mean loss plus the penalty, over weights and intercept, for standardised rows z (n, D)."""
    residual = expit(z @ weight + bias) - y
    return float(max(np.abs(z.T @ residual / len(z) + STRENGTH * weight).max(), abs(residual.mean())))


def main(rows: int = 100_000, channels: int = 256, labels: int = 125, some: int = 8) -> None:
    """Print the figures."""
    threads = torch.get_num_threads()
    x, truth = made(rows, channels, labels)
    order = np.random.default_rng(0).permutation(rows)
    split = SeedSplit(0, np.sort(order[rows // 10 :]), np.sort(order[: rows // 10]))
    train = x[split.train].astype(np.float64)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    z, y = (train - mean) / deviation, truth[split.train]
    checked = np.linspace(0, labels - 1, some).round().astype(int)
    print(
        f"{len(z):,} train rows, {channels} channels, {labels} labels; {threads} thread{'s' * (threads > 1)}",
        flush=True,
    )

    heads, wall, processor = timed(lambda: fit_labels(x, truth, [split], LogisticProbe(strengths=(STRENGTH,))))
    head = heads[0]  # type: ignore[index]
    ours = max(
        largest_gradient(z, y[:, k], head.weight[k] * deviation, head.bias[k] + head.weight[k] @ mean) for k in checked
    )
    print(
        f"all labels at once, one strength: {wall:.1f} s ({processor:.1f} s of processor), gradient {ours:.1e}",
        flush=True,
    )
    for tol in (1e-4, 1e-6):
        model = OneVsRestClassifier(LogisticRegression(C=1 / (STRENGTH * len(z)), tol=tol, max_iter=5000))
        fitted, one, of_processor = timed(lambda model=model: model.fit(z, y[:, checked]))  # type: ignore[misc]
        theirs = max(
            largest_gradient(z, y[:, k], single.coef_[0], float(single.intercept_[0]))
            for k, single in zip(checked, fitted.estimators_, strict=True)  # type: ignore[attr-defined]
        )
        scale = labels / some
        print(
            f"scikit-learn's one-vs-rest, tol {tol:g}, {some} labels: {one:.1f} s ({of_processor:.1f} s of processor), gradient "
            f"{theirs:.1e}; for {labels}: {one * scale:.0f} s, {one * scale / wall:.1f} times as long "
            f"({of_processor * scale / processor:.1f} times the processor time)",
            flush=True,
        )
    heads, wall, processor = timed(lambda: fit_labels(x, truth, [split]))
    path = heads[0].validation["path"]  # type: ignore[index]
    print(f"the whole probe, {len(path)} or more strengths: {wall:.0f} s ({processor:.0f} s of processor)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
