"""Recipes of arXiv 2405.08538, and how far apart their views are (equation 10). Letters: M masking, D deletion, I insertion,
T translocation, N noise, R reverse complement, as in Table 4; they are applied in the order D, I, T, N, R, M.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from findna_bench.api import one_hot

__all__ = ["PAPER_RECIPE", "REFERENCE_RECIPE", "TABLE_4", "divergence"]

PAPER_RECIPE = "MDIT+NR"
REFERENCE_RECIPE = "MNR+T"
"""What the released code feeds (masking, noise and reverse complement to the student, translocation to the teacher)."""
TABLE_4: Mapping[str, float] = {"M+NoAug": 0.025, "M+DIT": 0.149, "MDT+DIT": 0.152, "MDT+NR": 0.175}
"""KL divergence per recipe as published."""


def divergence(student: Tensor, teacher: Tensor) -> float:
    """Equation 10, as a mean over positions: KL(softmax(u) || softmax(v)) of the five input channels.

    The published values (0.025 to 0.175) can only be per-position means; the equation's sum is this times B x L.
    """
    u, v = (torch.log_softmax(one_hot(x) if x.dtype == torch.uint8 else x, dim=-1) for x in (student, teacher))
    return float((u.exp() * (u - v)).sum(-1).double().mean())
