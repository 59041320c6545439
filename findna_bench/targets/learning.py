"""Whether a fit learned anything: its class probabilities on validation rows against the class shares of its training rows.

Two mean gains per row over the shares pi, y being a row's class and p its probabilities: of the loss, ``log p_y - log pi_y``, and of
the probability, ``p_y / pi_y - 1``, which is what the first one becomes where p is moved towards pi. A fit that puts its rows in
the right order but is too sure of itself has a loss above that of the shares, and still learned: the second gain shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from findna_bench.statistics.base_states import NO_STATE, state_counts

__all__ = [
    "CLEARLY",
    "against_label_priors",
    "against_mean",
    "against_prior",
    "against_state_shares",
    "label_priors",
    "not_learned",
    "state_shares",
]

CLEARLY = 2.5
"""Standard errors of the mean by which a gain lies above zero where it is clear."""
MUCH = 0.05
"""Share of the prior's loss that a gain in loss must not reach for a fit to be called unlearned: few rows prove little, but do not
make a good fit a bad one."""
LEAST_ROWS = 10
"""Fewer validation rows say nothing."""
_LEAST = 1e-300
_SAME = 1e-12
_LEAST_FLOAT16 = 1e-7
_SAME_FLOAT16 = 1e-3
"""Scores of bases are kept as float16."""


def against_prior(labels: np.ndarray, scores: np.ndarray, train_labels: np.ndarray) -> dict[str, Any]:
    """``prior_loss``, the mean cross-entropy of the class shares of train, and whether a fit ``learned`` more than these.

    labels: (n,) of the validation rows, n > 0. scores: (n, C) class probabilities. ``learned`` is None for too few rows, and for scores
    that are the class shares themselves, as those of the control that shows what they are worth.
    """
    shares = _shares(train_labels, scores.shape[1])
    own, prior = np.maximum(scores[np.arange(len(labels)), labels], _LEAST), shares[labels]
    gain, prior_loss = np.log(own) - np.log(prior), float(-np.log(prior).mean())
    if len(labels) < LEAST_ROWS or np.abs(scores - shares).max() <= _SAME:
        return {"prior_loss": prior_loss, "learned": None}
    much = gain.mean() >= MUCH * prior_loss > 0
    learned = much or _clearly_positive(gain) or _clearly_positive(own / prior - 1.0)
    return {"prior_loss": prior_loss, "learned": bool(learned)}


def against_mean(truth: np.ndarray, outputs: np.ndarray, train_truth: np.ndarray) -> dict[str, Any]:
    """``prior_loss``, the mean squared error of the means of train in units of its variances, and whether a fit ``learned`` more.

    Two mean gains per row, summed over outputs: of the squared error, and of the product of deviations, which is what the first
    one becomes where the means are moved a little towards the outputs: a fit on the wrong scale still learned.

    Args:
        truth, outputs: (n, K) of the validation rows, n > 0.
        train_truth: (m, K).
    """
    mean, scale = train_truth.mean(axis=0), train_truth.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    z, f = (truth - mean) / scale, (outputs - mean) / scale
    prior_loss = float((z**2).mean())
    if len(truth) < LEAST_ROWS or np.abs(f).max() <= _SAME:
        return {"prior_loss": prior_loss, "learned": None}
    gain = (z**2 - (z - f) ** 2).mean(axis=1)
    towards = (z * (f - f.mean(axis=0))).mean(axis=1)
    much = gain.mean() >= MUCH * prior_loss > 0
    return {"prior_loss": prior_loss, "learned": bool(much or _clearly_positive(gain) or _clearly_positive(towards))}


def label_priors(truth: np.ndarray) -> np.ndarray:
    """(K,) share of the rows that have a label among those of which it is known; of a label that all of them have, or none, with half a
    row added to either side, so that nothing is held impossible.

    truth: (n, K) of 1, 0 and -1 (not known).
    """
    with_it, without = (truth == 1).sum(axis=0).astype(np.float64), (truth == 0).sum(axis=0).astype(np.float64)
    alike = (with_it == 0) | (without == 0)
    priors: np.ndarray = (with_it + 0.5 * alike) / (with_it + without + alike)
    return priors


def against_label_priors(truth: np.ndarray, outputs: np.ndarray, train_truth: np.ndarray) -> dict[str, Any]:
    """As :func:`against_prior`, of several labels: gains per row are means over its labels that are known.

    Args:
        truth: (n, K) of the validation rows, n > 0; -1 is not known.
        outputs: (n, K) probabilities.
        train_truth: (m, K).
    """
    priors = label_priors(train_truth)
    rows = (truth >= 0).any(axis=1)
    truth, outputs = truth[rows], outputs[rows]
    if not len(truth):
        return {"prior_loss": None, "learned": None}
    known = (truth >= 0) / (truth >= 0).sum(axis=1, keepdims=True)
    own = np.maximum(np.where(truth == 1, outputs, 1 - outputs), _LEAST)
    prior = np.where(truth == 1, priors, 1 - priors)
    prior_loss = float((-np.log(prior) * known).sum(axis=1).mean())
    if len(truth) < LEAST_ROWS or np.abs(outputs - priors).max() <= _SAME:
        return {"prior_loss": prior_loss, "learned": None}
    gain = ((np.log(own) - np.log(prior)) * known).sum(axis=1)
    towards = ((own / prior - 1.0) * known).sum(axis=1)
    much = gain.mean() >= MUCH * prior_loss > 0
    return {"prior_loss": prior_loss, "learned": bool(much or _clearly_positive(gain) or _clearly_positive(towards))}


def state_shares(truth: np.ndarray, n_states: int) -> np.ndarray:
    """(C,) shares of states among the bases that count; where a state has none, of all counts with one base added to each.

    truth: (n, W) uint8 states.
    """
    counts = state_counts(truth, n_states).astype(np.float64)
    counts += (counts == 0).any()
    shares: np.ndarray = counts / counts.sum()
    return shares


def against_state_shares(truth: np.ndarray, outputs: np.ndarray, train_truth: np.ndarray) -> dict[str, Any]:
    """As :func:`against_prior`, of states per base: gains of a row are means over its bases that count.

    Args:
        truth: (n, W) uint8 of the validation rows.
        outputs: (n, W, C) probabilities.
        train_truth: (m, W) uint8.
    """
    shares = state_shares(train_truth, outputs.shape[2])
    gains, towards, losses, largest = [], [], [], 0.0
    for states, scores in zip(truth, outputs, strict=True):
        known = np.flatnonzero(states != NO_STATE)
        if not len(known):
            continue
        state, own = states[known], np.asarray(scores[known], dtype=np.float64)
        largest = max(largest, float(np.abs(own - shares).max()))
        own, prior = np.maximum(own[np.arange(len(state)), state], _LEAST_FLOAT16), shares[state]
        gains.append(float((np.log(own) - np.log(prior)).mean()))
        towards.append(float((own / prior - 1.0).mean()))
        losses.append(float(-np.log(prior).mean()))
    if not losses:
        return {"prior_loss": None, "learned": None}
    prior_loss, gain = float(np.mean(losses)), np.array(gains)
    if len(losses) < LEAST_ROWS or largest <= _SAME_FLOAT16:
        return {"prior_loss": prior_loss, "learned": None}
    much = gain.mean() >= MUCH * prior_loss > 0
    learned = much or _clearly_positive(gain) or _clearly_positive(np.array(towards))
    return {"prior_loss": prior_loss, "learned": bool(learned)}


def _shares(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """(C,) class shares; where a class has no row, of all counts with one row added to each."""
    counts = np.bincount(labels, minlength=n_classes).astype(np.float64)
    counts += (counts == 0).any()
    shares: np.ndarray = counts / counts.sum()
    return shares


def _clearly_positive(gain: np.ndarray) -> bool:
    n = len(gain)
    error = gain.std(ddof=1) / np.sqrt(n) if n > 1 else 0.0
    return bool(gain.mean() > max(CLEARLY * error, _SAME))


def not_learned(validation: Mapping[str, Any], prior: str = "the class shares of train") -> str | None:
    """The warning of a fit that did not learn; None where it did, or nothing can be said. prior: what it should have beaten."""
    if validation.get("learned") is not False:
        return None
    loss, expected = validation.get("loss"), validation["prior_loss"]
    if loss is None:
        return f"did not learn: validation rows are not predicted clearly better than by {prior}"
    return f"did not learn: the validation loss, {loss:.4f}, is not clearly below that of {prior}, {expected:.4f}"
