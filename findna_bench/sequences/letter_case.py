"""Upper and lower case of the letters of a file. Models read upper case; which rows a file writes in lower case is kept for audits alone.

Lower case marks repeats in genome files (soft masking), and here and there the rows of one class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["case_features", "lower_case", "lower_share"]

_SEGMENTS = 16
_END = 6


def lower_case(sequences: Sequence[str]) -> np.ndarray | None:
    """Which letters are lower case.

    Args:
        sequences: n strings as a file has them.

    Returns:
        (n,) object, the bits of each row packed into bytes as ``numpy.packbits`` does, ``b""`` where none is lower case; None where no row
        has any.

    Example:
        >>> lower_case(["ACgt", "ACGT"]).tolist()
        [b'0', b'']
        >>> lower_case(["ACGT"]) is None
        True
    """
    marked = [i for i, sequence in enumerate(sequences) if not sequence.isupper()]
    if not marked:
        return None
    lower = np.full(len(sequences), b"", dtype=object)
    for i in marked:
        lower[i] = np.packbits(np.frombuffer(sequences[i].encode("ascii"), dtype=np.uint8) >= ord("a")).tobytes()
    return lower


def lower_share(lower: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(n,) share of the letters of each row that are lower case; lower: as :func:`lower_case` gives it, lengths: (n,) letters."""
    counts = np.array([int.from_bytes(bits, "big").bit_count() for bits in lower.tolist()])
    shares: np.ndarray = counts / np.maximum(lengths, 1)
    return shares


def case_features(lower: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """What a rule on letter case alone may look at.

    Args:
        lower: (n,) as :func:`lower_case` gives it.
        lengths: (n,) letters of each row.

    Returns:
        (n, 28): the lower-case share of 16 equal segments of a row, then of its first six letters and of its last six each 0 or 1.
    """
    features = np.zeros((len(lower), _SEGMENTS + 2 * _END))
    for i, bits in enumerate(lower.tolist()):
        if not bits:
            continue
        n = int(lengths[i])
        row = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=n)
        before = np.concatenate([[0], np.cumsum(row)])
        edges = np.arange(_SEGMENTS + 1) * n // _SEGMENTS
        features[i, :_SEGMENTS] = np.diff(before[edges]) / np.maximum(np.diff(edges), 1)
        end = min(_END, n)
        features[i, _SEGMENTS : _SEGMENTS + end] = row[:end]
        features[i, features.shape[1] - end :] = row[n - end :]
    return features
