"""Generated tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from findna_bench.api import SequenceTable


def poly_a(config: Mapping[str, Any]) -> dict[str, SequenceTable]:
    """``rows`` train rows and half as many test rows over C, G, T; class 1 holds a run of ``run`` A."""
    rows, run = config["rows"], config["run"]
    generator = np.random.default_rng(0)
    tables = {}
    for split, n in (("train", rows), ("test", rows // 2)):
        labels = np.arange(n) % 2
        sequences = []
        for label in labels:
            letters = generator.choice(list("CGT"), size=80)
            if label:
                start = generator.integers(0, 60)
                letters[start : start + run] = "A"
            sequences.append("".join(letters))
        tables[split] = SequenceTable(sequences, labels, np.array([f"{split}-{i}" for i in range(n)]))
    return tables


def composition(config: Mapping[str, Any]) -> dict[str, SequenceTable]:
    """``rows`` train rows and half as many test rows, each with its shares of G and C, and of A."""
    generator = np.random.default_rng(1)
    tables = {}
    for split, n in (("train", config["rows"]), ("test", config["rows"] // 2)):
        rows = [generator.choice(list("ACGT"), size=80, p=generator.dirichlet([4, 4, 4, 4])) for _ in range(n)]
        values = np.array([[np.isin(row, ["G", "C"]).mean(), (row == "A").mean()] for row in rows])
        tables[split] = SequenceTable(
            ["".join(row) for row in rows], values, np.array([f"{split}-{i}" for i in range(n)])
        )
    return tables
