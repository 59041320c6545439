"""Ridge regression on frozen features: all outputs, strengths and seeds from the same sums of products.

The problem, for rows s of a seed and outputs k,

    mean over s of 1/2 sum over k of (z_k - w_k x)^2 + lambda / 2 * ||W||^2,

has x and z standardised on s (population standard deviation), so that ``lambda`` means the same for every model and output; it is
scikit-learn's ``Ridge`` with ``alpha = lambda n_s``. Seeds differ by the rows that validation takes: their sums are those of all
rows less those of the few that are left out. Everything is float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from findna_bench.errors import ConfigError, ModelError
from findna_bench.protocols.heads import FittedHead, check_features, what_varies
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import LogisticProbe, Preset, preset_settings
from findna_bench.targets.values import Values

__all__ = ["RidgeHead", "fit_ridge"]

_BLOCK_ROWS = 4096
_LARGEST_SYSTEM = 20_000
"""Equations that are solved at most: 3.2 GB."""


@dataclass(frozen=True, kw_only=True)
class RidgeHead(FittedHead):
    """A linear map in the units of features and values: weight (K, D), bias (K,), both float64."""

    weight: np.ndarray
    bias: np.ndarray

    def predict_scores(self, features: Any) -> np.ndarray:
        """(m, K) float64 values of features (m, D)."""
        found = np.empty((features.shape[0], len(self.bias)))
        for where, block in _blocks(features):
            found[where] = block @ self.weight.T + self.bias
        return found


def fit_ridge(
    features: Any, truth: np.ndarray, splits: Sequence[SeedSplit], preset: Preset | None = None
) -> list[FittedHead]:
    """One ridge regression per split, its strength chosen by the mean squared error on validation rows.

    Args:
        features: (n, D) float32, dense or CSR.
        truth: (n, K) float64.
        splits: rows that each seed trains and chooses on.
        preset: a :class:`~findna_bench.protocols.settings.LogisticProbe`, whose strengths, ``standardise`` and ``drop_below`` are
            meant here as there.

    Raises:
        ConfigError: the preset trains a layer for classes.
        ModelError: a feature is not a finite number, or there are too many features and rows for an exact solution.
        UsageError: a split has no train or validation row.
    """
    preset = LogisticProbe() if preset is None else preset
    if not isinstance(preset, LogisticProbe):
        raise ConfigError(
            f"a preset of method {preset.method} trains a layer for classes; values are probed by ridge regression: use --preset default"
        )
    truth = np.asarray(truth, dtype=np.float64)
    check_features(features, len(truth), splits)
    sums = _SharedSums(features, truth)
    varies = what_varies(preset, splits)
    known: dict[bytes, RidgeHead] = {}
    heads: list[FittedHead] = []
    for split in splits:
        if split.key not in known:
            known[split.key] = _fit_split(sums, split, preset)
        heads.append(replace(known[split.key], seed=split.seed, varies=varies))
    return heads


def _fit_split(sums: _SharedSums, split: SeedSplit, preset: LogisticProbe) -> RidgeHead:
    systems = [_System(sums, train, preset) for train, _ in split.parts]
    strength, path, chosen = _choose_strength(split, systems, preset)
    final = chosen[0] if split.folds is None and chosen else _System(sums, split.train, preset).solve(strength)
    weight, bias, dropped = final
    warnings = []
    if path and len(preset.strengths) > 1 and strength in (max(preset.strengths), min(preset.strengths)):
        edge = "strongest" if strength == max(preset.strengths) else "weakest"
        warnings.append(f"the {edge} regularisation of the grid ({strength:g}) has the lowest validation loss")
    settings = {
        **preset_settings(preset),
        "strength": strength,
        "channels": weight.shape[1],
        "channels_dropped": dropped,
        "train_rows": len(split.train),
    }
    head = RidgeHead(seed=split.seed, settings=settings, warnings=warnings, weight=weight, bias=bias)
    return replace(head, validation=_validation(sums, split, chosen, path, strength))


Solution = tuple[np.ndarray, np.ndarray, int]
"""weight (K, D) and bias (K,) in the units of the features, and the number of channels that were left out."""


def _choose_strength(
    split: SeedSplit, systems: Sequence[_System], preset: LogisticProbe
) -> tuple[float, list[dict[str, float]], list[Solution]]:
    """The strength of the lowest loss (the stronger one among equals), the losses of all that were tried, and the fit of each part
    at that strength; scikit-learn's default, alpha = 1, where nothing can be held out.
    """
    parts = split.parts
    if not parts:
        return (preset.strengths[0] if len(preset.strengths) == 1 else 1.0 / len(split.train)), [], []
    n_held = sum(len(held) for _, held in parts)
    path: list[dict[str, float]] = []
    best: list[Solution] = []
    for number, strength in enumerate(sorted(preset.strengths, reverse=True)):
        losses = [step["loss"] for step in path]
        if number >= preset.always and len(losses) > 2 and losses[-1] > losses[-2] > losses[-3]:
            break
        solved = [system.solve(strength) for system in systems]
        loss = sum(
            system.loss(solution, held) * len(held)
            for system, solution, (_, held) in zip(systems, solved, parts, strict=True)
        )
        path.append({"strength": strength, "loss": loss / n_held})
        if path[-1]["loss"] < min(losses, default=float("inf")):
            best = solved
    lowest = min(path, key=lambda step: step["loss"])
    return lowest["strength"], path, best


def _validation(
    sums: _SharedSums,
    split: SeedSplit,
    chosen: Sequence[Solution],
    path: list[dict[str, float]],
    strength: float,
) -> dict[str, Any]:
    """Scores on the rows that are chosen on, each by the fit of the part that held it out."""
    if not split.parts:
        return {"rows": 0, "loss": None}
    held = np.concatenate([rows for _, rows in split.parts])
    outputs = np.concatenate(
        [sums.predict(solution, rows) for solution, (_, rows) in zip(chosen, split.parts, strict=True)]
    )
    judged = Values().judge(sums.truth[held], outputs, sums.truth[split.train])
    loss = next(step["loss"] for step in path if step["strength"] == strength)
    return {"rows": len(held), "loss": loss, **judged, "path": path}


def _blocks(features: Any) -> Iterator[tuple[slice, np.ndarray]]:
    """(rows, dense float64 block) of all rows."""
    for first in range(0, features.shape[0], _BLOCK_ROWS):
        where = slice(first, min(first + _BLOCK_ROWS, features.shape[0]))
        block = features[where]
        dense = block.toarray() if hasattr(block, "toarray") else block
        yield where, np.asarray(dense, dtype=np.float64)


@dataclass(frozen=True)
class _Sums:
    """Of some rows: their number, sums (D,) and (K,), and sums of products (D, D), (D, K) and (K,)."""

    n: int
    x: np.ndarray
    z: np.ndarray
    xx: np.ndarray
    xz: np.ndarray
    zz: np.ndarray

    def less(self, other: _Sums) -> _Sums:
        of = [getattr(self, name) - getattr(other, name) for name in ("n", "x", "z", "xx", "xz", "zz")]
        return _Sums(*of)


class _SharedSums:
    """Rows, centred and scaled once so that differences of sums lose no digits, and the sums of all of them."""

    def __init__(self, features: Any, truth: np.ndarray) -> None:
        self._features = features.tocsr() if hasattr(features, "tocsr") else features
        self.truth = truth
        n = len(truth)
        total, square = np.zeros(features.shape[1]), np.zeros(features.shape[1])
        for _, block in _blocks(self._features):
            total += block.sum(axis=0)
        self.centre = total / n
        for _, block in _blocks(self._features):
            square += ((block - self.centre) ** 2).sum(axis=0)
        self.scale = _positive(np.sqrt(square / n))
        self.z_centre = truth.mean(axis=0)
        self.z_scale = _positive(truth.std(axis=0))

    @property
    def n_channels(self) -> int:
        return len(self.centre)

    def rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(m, D) and (m, K) centred and scaled."""
        block = self._features[rows]
        dense = np.asarray(block.toarray() if hasattr(block, "toarray") else block, dtype=np.float64)
        return (dense - self.centre) / self.scale, (self.truth[rows] - self.z_centre) / self.z_scale

    def predict(self, solution: Solution, rows: np.ndarray) -> np.ndarray:
        """(m, K) in the units of the values."""
        weight, bias, _ = solution
        return RidgeHead(seed=0, settings={}, weight=weight, bias=bias).predict_scores(self._features[rows])

    @cached_property
    def _all(self) -> _Sums:
        return self._of(np.arange(len(self.truth)))

    def of(self, rows: np.ndarray) -> _Sums:
        """Of some rows, none twice; by way of the others where these are fewer."""
        n = len(self.truth)
        if 2 * len(rows) <= n:
            return self._of(rows)
        others = np.setdiff1d(np.arange(n), rows, assume_unique=True)
        return self._all.less(self._of(others)) if len(others) else self._all

    def _of(self, rows: np.ndarray) -> _Sums:
        d, k = self.n_channels, self.truth.shape[1]
        if hasattr(self._features, "toarray"):
            return self._of_sparse(rows)
        x, z, xx, xz, zz = np.zeros(d), np.zeros(k), np.zeros((d, d)), np.zeros((d, k)), np.zeros(k)
        for first in range(0, len(rows), _BLOCK_ROWS):
            a, b = self.rows(rows[first : first + _BLOCK_ROWS])
            x += a.sum(axis=0)
            z += b.sum(axis=0)
            xx += a.T @ a
            xz += a.T @ b
            zz += (b**2).sum(axis=0)
        return _Sums(len(rows), x, z, xx, xz, zz)

    def _of_sparse(self, rows: np.ndarray) -> _Sums:
        """Products of the few entries that are not zero, centred and scaled afterwards."""
        block = self._features[rows].astype(np.float64)
        b = (self.truth[rows] - self.z_centre) / self.z_scale
        n, c, s = len(rows), self.centre, self.scale
        total = np.asarray(block.sum(axis=0)).ravel()
        gram = np.asarray((block.T @ block).todense())
        gram -= np.outer(total, c)
        gram -= np.outer(c, total - n * c)
        gram /= np.outer(s, s)
        products = (block.T @ b - np.outer(c, b.sum(axis=0))) / s[:, None]
        return _Sums(n, (total - n * c) / s, b.sum(axis=0), gram, products, (b**2).sum(axis=0))


class _System:
    """The equations of one set of train rows, in channels, or in rows where these are fewer."""

    def __init__(self, sums: _SharedSums, train: np.ndarray, preset: LogisticProbe) -> None:
        self._sums, self._train, self._n = sums, train, len(train)
        d = sums.n_channels
        if min(d, self._n) > _LARGEST_SYSTEM:
            raise ModelError(
                f"{d:,} features of {self._n:,} rows are too many for an exact ridge regression (at most {_LARGEST_SYSTEM:,} of either)"
            )
        self._by_rows = self._n < d
        if self._by_rows:
            a, b = sums.rows(train)
            self._mean, self._deviation = a.mean(axis=0), a.std(axis=0)
            self._z_mean, z_deviation = b.mean(axis=0), b.std(axis=0)
        else:
            own = sums.of(train)
            self._mean, self._z_mean = own.x / own.n, own.z / own.n
            self._deviation = np.sqrt(np.maximum(own.xx.diagonal() / own.n - self._mean**2, 0.0))
            z_deviation = np.sqrt(np.maximum(own.zz / own.n - self._z_mean**2, 0.0))
        self._z_deviation = _positive(z_deviation)
        own_units = self._deviation * sums.scale
        kept = (self._deviation > 0) & (own_units >= preset.drop_below * np.median(own_units))
        self._kept = np.flatnonzero(kept)
        self._scale = self._deviation[kept] if preset.standardise else 1.0 / sums.scale[kept]
        if self._by_rows:
            self._rows = (a[:, kept] - self._mean[kept]) / self._scale
            self._targets = (b - self._z_mean) / self._z_deviation
            self._matrix = self._rows @ self._rows.T / self._n
        else:
            covariance = own.xx[np.ix_(kept, kept)] / own.n - np.outer(self._mean[kept], self._mean[kept])
            self._matrix = covariance / np.outer(self._scale, self._scale)
            products = own.xz[kept] / own.n - np.outer(self._mean[kept], self._z_mean)
            self._targets = products / self._scale[:, None] / self._z_deviation

    def solve(self, strength: float) -> Solution:
        """weight and bias in the units of features and values."""
        sums = self._sums
        solved = _solve(self._matrix, strength, self._targets) if len(self._kept) else self._targets[:0]
        if self._by_rows and len(self._kept):
            solved = self._rows.T @ solved / self._n
        weight = np.zeros((len(self._z_mean), sums.n_channels))
        z_scale = self._z_deviation * sums.z_scale
        if len(self._kept):
            weight[:, self._kept] = (solved / (self._scale * sums.scale[self._kept])[:, None]).T * z_scale[:, None]
        mean_x = self._mean * sums.scale + sums.centre
        mean_z = self._z_mean * sums.z_scale + sums.z_centre
        return weight, mean_z - weight @ mean_x, sums.n_channels - len(self._kept)

    def loss(self, solution: Solution, rows: np.ndarray) -> float:
        """Mean squared error over rows and outputs, in units of the variance of each output among the train rows."""
        errors = (self._sums.predict(solution, rows) - self._sums.truth[rows]) / (
            self._z_deviation * self._sums.z_scale
        )
        return float((errors**2).mean())


def _positive(scale: np.ndarray) -> np.ndarray:
    """Scales to divide by: what does not vary stays as it is."""
    return np.where(scale > 0, scale, 1.0)


def _solve(matrix: np.ndarray, strength: float, right: np.ndarray) -> np.ndarray:
    """(matrix + strength I)^-1 right, for a matrix with no negative eigenvalue but for rounding."""
    from scipy import linalg

    system = matrix + strength * np.eye(len(matrix))
    try:
        solved: np.ndarray = linalg.cho_solve(linalg.cho_factor(system, lower=True, overwrite_a=True), right)
    except linalg.LinAlgError:
        values, vectors = linalg.eigh(matrix, driver="ev")
        solved = vectors @ ((vectors.T @ right) / (np.maximum(values, 0.0) + strength)[:, None])
    return solved
