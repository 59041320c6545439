"""A target in one file: counts, with a Poisson head for the probe and a metric."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import findna_bench.api as fb


class ExplainedDeviance(fb.Metric):
    """Share of the Poisson deviance that is explained."""

    bounds = (float("-inf"), 1.0)

    def compute(self, truth, outputs, weights):
        guess = np.average(truth[:, 0], weights=weights)
        whole = np.average(_deviance(truth[:, 0], np.full(len(truth), guess)), weights=weights)
        left = np.average(_deviance(truth[:, 0], outputs[:, 0]), weights=weights)
        return float("nan") if whole <= 0 else float(1 - left / whole)


def _deviance(truth, mean):
    mean = np.maximum(mean, 1e-6)
    return 2 * (np.where(truth > 0, truth * np.log(np.maximum(truth, 1e-9) / mean), 0) - truth + mean)


@dataclass(frozen=True, kw_only=True)
class CountHead(fb.FittedHead):
    """exp(features @ weight + bias) expected events per row. weight: (D,)."""

    weight: np.ndarray
    bias: float

    def predict_scores(self, features):
        return np.exp(np.clip(np.asarray(features @ self.weight) + self.bias, -20, 20))[:, None]


def fit_poisson(features, truth, splits, n_outputs, preset, device):
    rows = np.asarray(features.toarray() if hasattr(features, "toarray") else features, dtype=np.float64)
    return [_fit_one(rows, truth[:, 0], split) for split in splits]


def _fit_one(rows, truth, split):
    x, y = rows[split.train], truth[split.train]
    held = split.validation if len(split.validation) else split.train
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    heads = []
    for strength in (1.0, 100.0, 10_000.0):
        weight = _newton((x - centre) / scale, y, strength)
        w = weight[1:] / scale
        heads.append(
            CountHead(seed=split.seed, settings={"strength": strength}, weight=w, bias=float(weight[0] - centre @ w))
        )
    return min(heads, key=lambda head: _deviance(truth[held], head.predict_scores(rows[held])[:, 0]).mean())


def _newton(x, y, strength, steps=15):
    x = np.column_stack([np.ones(len(x)), x])
    ridge = np.diag([0.0] + [strength] * (x.shape[1] - 1))
    w = np.zeros(x.shape[1])
    w[0] = np.log(max(y.mean(), 1e-6))
    for _ in range(steps):
        mean = np.exp(np.clip(x @ w, -20, 20))
        w = w + np.linalg.solve((x.T * mean) @ x + ridge, x.T @ (y - mean) - ridge @ w)
    return w


class Counts(fb.Target):
    """truth and outputs: (n, 1) float64, events per row."""

    default_metric = "explained_deviance"
    heads: ClassVar = {"probe": fit_poisson}

    def label_columns(self, table):
        return tuple(name for name in table.columns if name == "count")

    def read(self, tables, columns):
        truth = []
        for table in tables:
            own = []
            for row, text in enumerate(table.columns["count"]):
                if not str(text).strip().isdigit():
                    raise fb.DataError(f"{table.where(row)}: {text!r} is no count; give 0 or a positive whole number")
                own.append([float(text)])
            truth.append(np.array(own))
        return ("count",), truth

    def check(self, table, labels, where):
        if table.labels.dtype.kind != "f" or table.labels.shape[1:] != (1,) or (table.labels < 0).any():
            raise fb.DataError(f"{where}: labels must be counts, 0 or more, one per row")

    def learned(self, truth, outputs, train_truth):
        prior = float(_deviance(truth[:, 0], np.full(len(truth), train_truth.mean())).mean())
        return {"prior_loss": prior, "learned": bool(_deviance(truth[:, 0], outputs[:, 0]).mean() < prior)}


@fb.hookimpl
def findna_bench_targets():
    return [fb.TargetCard(name="counts", factory="counts_target:Counts", summary="events per row")]


@fb.hookimpl
def findna_bench_metrics():
    return [
        fb.MetricCard(
            name="explained_deviance",
            factory="counts_target:ExplainedDeviance",
            targets=("counts",),
            summary="share of the Poisson deviance that is explained",
        )
    ]
