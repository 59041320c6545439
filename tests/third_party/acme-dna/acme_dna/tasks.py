"""A generated task."""

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
