"""Does a model answer for a row alike whenever it is asked, and whatever rows share the batch? Dropout left on, statistics of a
batch, padding that is read: each gives scores that nobody can compute again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from findna_bench.errors import ModelError, NotFiniteError

if TYPE_CHECKING:
    from findna_bench.models.loading import LoadedModel

__all__ = [
    "DEPENDS_ON_BATCH",
    "DEPENDS_ON_CALL",
    "DEPENDS_ON_PADDING",
    "TOLERANCE",
    "check_consistent_embeddings",
    "check_consistent_rows",
    "difference",
    "exceeds",
]

TOLERANCE = 1e-4
"""Largest difference of two fp32 vectors that should be one, as a share of their root mean square."""

DEPENDS_ON_CALL = "the same sequences twice give different embeddings"
DEPENDS_ON_PADDING = "an embedding depends on the padding: use the mask, and pad at the right"
DEPENDS_ON_BATCH = "an embedding depends on the other sequences of its batch"

_LONGEST = 96
_FEW = 3


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference as a share of the root mean square; NaN where a number is none."""
    scale = float(np.sqrt(np.mean(np.square(one, dtype=np.float64)))) or 1.0
    return float(np.abs(one - other).max() / scale)


def exceeds(found: float) -> bool:
    """Whether a difference is more than rounding."""
    return not found <= TOLERANCE


def in_words(found: float) -> str:
    """How large a difference is and how large it may be."""
    return f"by {found:.1e} where {TOLERANCE:.0e} is allowed"


def check_consistent_embeddings(model: LoadedModel, *, pooling: str | None = None, layer: int = -1) -> None:
    """Embed a few short made-up rows alone, with others of their length, with a longer one, and again; milliseconds for most
    models. In float32 whatever the model computes in: rounding to bfloat16 would cover what is looked for.

    Raises:
        ModelError: two embeddings of one row differ by more than rounding.
    """
    from findna_bench.models.embedding import embed

    model = model.with_dtype("float32")
    longest = min(_LONGEST, model.max_length or _LONGEST)
    rng = np.random.default_rng(20)
    rows = ["".join(rng.choice(list("ACGT"), size=longest)) for _ in range(_FEW)]
    short = rows[0][: max(1, round(0.4 * longest))]

    def vectors(*sequences: str) -> np.ndarray:
        return embed(model, sequences, pooling=pooling, layer=layer, batch_size=len(sequences)).vectors

    alone = np.concatenate([vectors(row) for row in rows])
    short_alone = vectors(short)
    together, padded = vectors(*rows), vectors(short, rows[1])
    again = np.concatenate([vectors(row) for row in rows])
    # A model whose calls differ fails all three: what it says first is the reason.
    _refuse(model.name, difference(alone, again), DEPENDS_ON_CALL)
    _refuse(model.name, difference(alone, together), DEPENDS_ON_BATCH)
    _refuse(model.name, difference(np.concatenate([short_alone, alone[1:2]]), padded), DEPENDS_ON_PADDING)


def check_consistent_rows(name: str, answer: Callable[[np.ndarray], Any], lengths: Sequence[int]) -> None:
    """The same for what was fitted, on the shortest, the longest and a row between.

    answer: row numbers (k,) -> features or scores (k, D), dense or sparse. lengths: of the sequences of all rows.

    Raises:
        NotFiniteError: an answer holds NaN or infinity. ModelError: two answers for one row differ by more than rounding.
    """
    order = np.argsort(lengths, kind="stable")
    rows = order[[0, len(order) // 2, -1]] if len(order) > _FEW else order

    def dense(some: np.ndarray) -> np.ndarray:
        found = answer(some)
        return np.asarray(found.todense() if hasattr(found, "todense") else found, dtype=np.float64)

    together = dense(rows)
    _check_finite(name, together, [lengths[row] for row in rows])
    alone = np.concatenate([dense(row) for row in np.split(rows, len(rows))])
    _refuse(name, difference(together, dense(rows)), "the same rows twice give different answers")
    _refuse(name, difference(together, alone), "the answer for a row depends on the rows that are asked for with it")


def _check_finite(name: str, found: np.ndarray, lengths: Sequence[int]) -> None:
    """What is no number differs from itself, so it would be taken for a model whose calls differ."""
    wrong = ~np.isfinite(found).reshape(len(found), -1).all(axis=1)
    if wrong.any():
        raise NotFiniteError(
            f"{name}: its answer for a row of {lengths[int(np.argmax(wrong))]} bases holds NaN or infinity; `findna-bench check` tells more"
        )


def _refuse(name: str, found: float, words: str) -> None:
    if exceeds(found):
        raise ModelError(
            f"{name}: {words} ({in_words(found)}), so that its scores could not be computed again; `findna-bench check` tells more"
        )
