"""Intervals of shares and of their differences, 95 %, rows taken as independent."""

from __future__ import annotations

import numpy as np

__all__ = ["difference_interval", "paired_interval", "share_interval"]

_Z = 1.959963984540054


def share_interval(found: int, n: int) -> tuple[float, float]:
    """Wilson's interval of ``found`` of ``n``; 0 to 1 where there are none."""
    if n <= 0:
        return 0.0, 1.0
    from scipy.stats import binomtest

    found_ci = binomtest(int(found), int(n)).proportion_ci(0.95, method="wilson")
    return float(found_ci.low), float(found_ci.high)


def difference_interval(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    """Interval of the difference of two independent shares, each (found, n): Newcombe 1998, method 10."""
    (a, n), (b, m) = first, second
    p, q = a / max(n, 1), b / max(m, 1)
    (p_low, p_high), (q_low, q_high) = share_interval(a, n), share_interval(b, m)
    below = ((p - p_low) ** 2 + (q_high - q) ** 2) ** 0.5
    above = ((p_high - p) ** 2 + (q - q_low) ** 2) ** 0.5
    return float(p - q - below), float(p - q + above)


def paired_interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Interval of the difference of the means of two bool columns (n,) of the same rows: Agresti and Min 2005."""
    n = len(first) + 2
    only_first, only_second = int((first & ~second).sum()) + 0.5, int((second & ~first).sum()) + 0.5
    difference = (only_first - only_second) / n
    error = max(only_first + only_second - (only_first - only_second) ** 2 / n, 0.0) ** 0.5 / n
    return max(-1.0, difference - _Z * error), min(1.0, difference + _Z * error)
