"""A metric in one file."""

import numpy as np

import findna_bench.api as fb


class Kappa(fb.Metric):
    """Cohen's kappa: agreement beyond what chance would give."""

    bounds = (-1.0, 1.0)

    def compute(self, truth, outputs, weights):
        n = outputs.shape[1]
        table = np.zeros((n, n))
        np.add.at(table, (truth, outputs.argmax(axis=1)), weights)
        table /= table.sum()
        chance = float(table.sum(axis=0) @ table.sum(axis=1))
        return float("nan") if chance == 1 else (float(np.trace(table)) - chance) / (1 - chance)


@fb.hookimpl
def findna_bench_metrics():
    return [fb.MetricCard(name="cohens_kappa", factory="kappa_metric:Kappa", higher_is_better=True)]
