"""What is said of the rows of a user's file: everything up to ten outputs, then how many more there are."""

from __future__ import annotations

import numpy as np
import pytest

from findna_bench.targets.target import find_target

NAMES = [f"s{i}" for i in range(12)]
TRUTH = {
    "classes": np.arange(24) % 12,
    "labels": np.where(np.arange(36).reshape(3, 12) % 5 == 4, -1, np.arange(36).reshape(3, 12) % 2),
    "values": np.arange(36, dtype=np.float64).reshape(3, 12),
    "states": (np.arange(48).reshape(4, 12) % 12).astype(np.uint8),
}
SHOWN = {
    "classes": [f"s{i}" for i in range(12)],
    "labels": [
        f"s{i} ({sum((12 * r + i) % 2 and (12 * r + i) % 5 != 4 for r in range(3))}"
        + (f", {unknown} not known)" if (unknown := sum((12 * r + i) % 5 == 4 for r in range(3))) else ")")
        for i in range(12)
    ],
    "values": [f"s{i} {i} to {24 + i}" for i in range(12)],
}
BEFORE = {"classes": "classes", "labels": "labels", "values": "values", "states": "states per base"}


@pytest.mark.parametrize("n", [2, 10, 11, 12])
@pytest.mark.parametrize("kind", ["classes", "labels", "values", "states"])
def test_ten_outputs_are_named_and_the_others_counted(kind: str, n: int) -> None:
    target = find_target({"states": "per_base"}.get(kind, kind))
    truth = TRUTH[kind]
    truth = truth[truth < n] if kind == "classes" else truth[:, :n] if kind != "states" else truth % n
    shown = SHOWN.get(kind) or [f"s{i} ({int((truth == i).sum())})" for i in range(n)]
    text = target.in_words(truth, NAMES[:n])
    more = f" and {n - 10} more" if n > 10 else ""
    assert text == f"{BEFORE[kind]} {', '.join(shown[:n][:10])}{more}"
