"""How the vectors of both sides of a pair become one vector, which a head reads.

With a and b (n, D), one row per pair:

* ``absdiff_product``: ``[|a - b|, a * b]`` (n, 2D), the same bits when the sides change places;
* ``concat``: ``[a, b]`` (n, 2D); a linear head adds up what each side says, and cannot see whether they fit each other;
* ``difference``: ``b - a`` (n, D), which changes its sign with the order;
* ``change``: ``[a, b - a]`` (n, 2D), of a variant's windows: what there is, and what the variant changes in it;
* ``concat_absdiff_product``: ``[a, b, |a - b|, a * b]`` (n, 4D), as InferSent reads pairs of sentences (Conneau et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from findna_bench.models.row_vectors import RowVectors

__all__ = ["OF_VARIANTS", "SYMMETRIC", "combine_sides", "combined_width", "read_in_order"]

SYMMETRIC = frozenset(("absdiff_product",))
"""Combinations to which the order of the sides means nothing."""
OF_VARIANTS = "change"
"""What becomes of a variant's windows where nothing else is said."""


def combine_sides(name: str, a: Any, b: Any) -> Any:
    """(n, width) of the vectors of both sides.

    Args:
        name: one of :data:`findna_bench.cards.COMBINATIONS`, or ``change``.
        a: (n, D) NumPy array, CSR matrix, tensor or vectors on disk, of the first side.
        b: the same of the other side.

    Returns:
        What it was given, in one: an array, a CSR matrix, a tensor or vectors on disk.

    Example:
        >>> combine_sides("absdiff_product", np.array([[1.0, 2.0]]), np.array([[3.0, 2.0]])).tolist()
        [[2.0, 0.0, 3.0, 4.0]]
    """
    if isinstance(a, RowVectors):
        return a.mapped(b, lambda one, other: combine_sides(name, one, other))
    return _beside([part(a, b) for part in _PARTS[name]])


def read_in_order(sequences: Sequence[str], read: Callable[[list[str]], Any]) -> Any:
    """Vectors (n, D) of sequences that are shown to a model in alphabetical order, whatever their own: batches are the same then, and so are the bits
    of each vector.

    Args:
        sequences: n of them.
        read: sequences -> vectors, in their order.
    """
    order = np.array(sorted(range(len(sequences)), key=sequences.__getitem__), dtype=np.int64)
    found = read([sequences[i] for i in order])
    if isinstance(found, RowVectors):
        return found[np.argsort(order)]
    vectors = np.empty_like(found)
    vectors[order] = found
    return vectors


def combined_width(name: str, dimension: int) -> int:
    """Numbers in a combined vector of sides of ``dimension`` numbers each."""
    return len(_PARTS[name]) * dimension


def _product(a: Any, b: Any) -> Any:
    return a.multiply(b).tocsr() if hasattr(a, "multiply") and hasattr(a, "tocsr") else a * b


_Part = Callable[[Any, Any], Any]
_PARTS: Mapping[str, tuple[_Part, ...]] = {
    "absdiff_product": (lambda a, b: abs(a - b), _product),
    "concat": (lambda a, b: a, lambda a, b: b),
    "difference": (lambda a, b: b - a,),
    "change": (lambda a, b: a, lambda a, b: b - a),
    "concat_absdiff_product": (lambda a, b: a, lambda a, b: b, lambda a, b: abs(a - b), _product),
}


def _beside(parts: Sequence[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis=1)
    if hasattr(parts[0], "tocsr"):
        from scipy import sparse

        return sparse.hstack(parts, format="csr")
    import torch

    return torch.cat(list(parts), dim=1)
