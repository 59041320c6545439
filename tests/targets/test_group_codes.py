"""Which rows count together in a mean over groups."""

from __future__ import annotations

import numpy as np
import pytest

from findna_bench.statistics.fold_mean import BY_ROWS
from findna_bench.targets.group_scores import Weights, group_codes
from findna_bench.targets.target import find_target

NAMES = np.array(["a", "b", "a", "c", "b", "d", "c", "e", "e", "d", "f"])
TRUTH = np.array([0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1])
"""Groups e and f have rows of one class alone."""
ORDER = {"a": 0, "b": 1, "c": 2, "d": 3}


@pytest.mark.parametrize(("weights", "first"), [("uniform", -2), ("rows", BY_ROWS)])
def test_groups_that_can_be_scored_are_numbered_downwards(weights: Weights, first: int) -> None:
    codes = group_codes(find_target("classes"), TRUTH, NAMES, "auroc", ["no", "yes"], weights)
    assert codes.tolist() == [first - ORDER[name] if name in ORDER else -1 for name in NAMES.tolist()]
