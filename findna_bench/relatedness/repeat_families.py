"""Families of repeats among the rows of two splits: how many there are, and how large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from findna_bench.relatedness.components import join_links

__all__ = ["LARGE", "SIZES", "RepeatFamilies", "repeat_families"]

LARGE = 10
"""Rows from which a family is large."""
_BOUNDS = {"2": (2, 2), "3-9": (3, LARGE - 1), "10-99": (LARGE, 99), "100+": (100, None)}
SIZES = tuple(_BOUNDS)
"""By how many rows families are counted."""


@dataclass(frozen=True)
class RepeatFamilies:
    """Rows of two splits, linked directly or through others.

    Attributes:
        families: how many.
        largest: rows of the largest one, of both splits; 0 where there is none.
        rows: of the later split that are in any.
        rows_in_large: of these, in families of :data:`LARGE` rows and more.
        sizes: families by how many rows of both splits they have: "2", "3-9", "10-99", "100+".
    """

    families: int
    largest: int
    rows: int
    rows_in_large: int
    sizes: dict[str, int]


def repeat_families(links: tuple[np.ndarray, np.ndarray], members: np.ndarray, n_earlier: int) -> RepeatFamilies:
    """Join rows by their links.

    Args:
        links: rows of the later split and rows of the earlier one that are related, both (p,) int.
        members: (n,) bool, rows of the later split that count; families without any are none.
        n_earlier: rows of the earlier split.

    Example:
        >>> links = np.array([0, 0, 1, 3]), np.array([5, 6, 6, 9])
        >>> found = repeat_families(links, np.array([True, True, False, True]), 10)
        >>> found.families, found.largest, found.rows, found.sizes["3-9"]
        (2, 4, 3, 1)
    """
    n = len(members)
    family = join_links(links[0], n + links[1], n + n_earlier)
    sizes = np.bincount(family, minlength=1)
    mine = np.bincount(family[:n][members], minlength=len(sizes))
    counted = (mine > 0) & (sizes > 1)
    found = sizes[counted]
    by_size = {
        name: int(((found >= low) & (found <= (high or n + n_earlier))).sum()) for name, (low, high) in _BOUNDS.items()
    }
    large = counted & (sizes >= LARGE)
    return RepeatFamilies(
        len(found), int(found.max(initial=0)), int(mine[counted].sum()), int(mine[large].sum()), by_size
    )
