"""L2 logistic regression for many training subsets and many strengths at once.

For a subset s of n_s rows and a strength lambda the objective is

    mean over s of CE(label, softmax(W x + b)) + lambda / 2 * ||W||^2,   b not penalised,

with x standardised on s (population standard deviation); with two classes one weight vector and the logistic function, as in
scikit-learn, where C = 1 / (lambda n_s). All S x K problems run through L-BFGS together: one pass over the rows per
iteration feeds a matrix product with S x K x C columns, in float64, whatever the dtype of the features. The subsets'
standardisations are affine maps folded into the weights, so that the rows are read once for all of them. L-BFGS starts from the
inverse of the Hessian at zero (Gram matrix of the pooled rows, or its leading eigenvectors), which brings the count of
iterations from hundreds to tens. Problems that have converged leave the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from findna_bench.models.row_vectors import RowVectors

__all__ = ["LogisticPaths", "fit_paths"]

_CHUNK_ROWS = 4096
_CACHED_VALUES = 150_000_000
"""Rows x channels kept as float64 (1.2 GB); more are converted anew in each pass."""
_DENSE_SHARE = 0.15
"""CSR rows denser than this are multiplied as dense blocks, which is faster."""
_SMALL_VALUES = 20_000_000
"""Rows x channels up to which CSR rows are multiplied as dense blocks in any case."""
_CACHED_NONZERO = 60_000_000
_FULL_EIGEN = 1024
_LEADING_EIGEN = 256
_GRAM_ROWS = 16_384
_NEWTON_AFTER = 40
"""Iterations after which the problems left, nearly separable ones, take exact Newton steps where these are cheap."""
_NEWTON_OPERATIONS = 2e9
_ABSENT = -50.0
"""Intercept of a class without a training row."""


@dataclass(frozen=True)
class LogisticPaths:
    """Solutions in the features' own units: logits are ``x @ weights[s, k].T + intercepts[s, k]``.

    weights: (S, K, C, D) float64. intercepts: (S, K, C) float64; with two classes the first row is zero.
    objective: (S, K) value reached. iterations: (S, K) int. converged: (S, K) bool.
    dropped: (S,) channels left out for lack of variation. absent: per subset the classes without a row.
    """

    weights: np.ndarray
    intercepts: np.ndarray
    objective: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray
    dropped: np.ndarray
    absent: tuple[tuple[int, ...], ...]


def fit_paths(
    features: Any,
    labels: np.ndarray,
    subsets: Sequence[np.ndarray],
    n_classes: int,
    strengths: Sequence[float],
    *,
    standardise: bool = True,
    drop_below: float = 1e-6,
    tolerance: float = 1e-8,
    max_iterations: int = 1000,
    device: str | torch.device = "cpu",
) -> LogisticPaths:
    """Fit every subset of rows with every strength.

    features: (n, D) dense, in memory or on disk, or a scipy CSR matrix. labels: (n,) in 0..n_classes-1, or (n, S) of 0 and 1, the labels of each subset. subsets: S arrays of row numbers.
    strengths: K values of lambda, all > 0. drop_below: channels whose standard deviation is under this share of the
    median one are left out. tolerance: on the length of the last step, relative to 1 + the length of the solution.
    """
    rows = np.unique(np.concatenate(subsets))
    design = _Design(features, rows, torch.device(device))
    problems = _Problems(design, labels[rows], [np.searchsorted(rows, s) for s in subsets], n_classes, strengths)
    problems.prepare(standardise, drop_below)
    solution, iterations, converged, objective = _lbfgs(problems, tolerance, max_iterations)
    return problems.unfold(solution, iterations, converged, objective)


class _Design:
    """The pooled training rows: read in blocks, centred and scaled by their common mean and standard deviation."""

    def __init__(self, features: Any, rows: np.ndarray, device: torch.device) -> None:
        self.device = device
        self.n_rows, self.n_channels = len(rows), features.shape[1]
        sparse = hasattr(features, "tocsr")
        on_disk = isinstance(features, RowVectors)
        self._source: Any = features.tocsr() if sparse else features if on_disk else np.asarray(features)
        if len(rows) != features.shape[0]:
            self._source = self._source[rows]
        cells = self.n_rows * self.n_channels
        self.sparse_products = sparse and cells > _SMALL_VALUES and self._source.nnz <= _DENSE_SHARE * cells
        self._densify = sparse and not self.sparse_products
        self._cache: list[Any] | None = None
        self.centre = torch.zeros(self.n_channels, dtype=torch.float64, device=device)
        self.scale = torch.ones(self.n_channels, dtype=torch.float64, device=device)
        if not self.sparse_products:
            self._standardise()
        small = self.sparse_products and self._source.nnz <= _CACHED_NONZERO
        if small or (not self.sparse_products and self.n_rows * self.n_channels <= _CACHED_VALUES):
            self._cache = [block for _, block in self.blocks()]

    def _standardise(self) -> None:
        """Keeps the numbers near one, which centring per subset then corrects without cancellation."""
        centre = torch.stack([block.sum(0) for _, block in self.blocks()]).sum(0) / self.n_rows
        self.centre = centre
        square = torch.stack([block.square().sum(0) for _, block in self.blocks()]).sum(0) / self.n_rows
        scale = square.sqrt()
        self.scale = torch.where(scale > 0, scale, torch.ones_like(scale))

    def blocks(self) -> Iterator[tuple[slice, Any]]:
        """(rows, block): float64 tensors, or CSR blocks where products stay sparse."""
        for number, first in enumerate(range(0, self.n_rows, _CHUNK_ROWS)):
            where = slice(first, min(first + _CHUNK_ROWS, self.n_rows))
            if self._cache is not None:
                yield where, self._cache[number]
            elif self.sparse_products:
                yield where, _SparseBlock(self._source[where])
            else:
                block = self._source[where].toarray() if self._densify else np.asarray(self._source[where])
                values = torch.as_tensor(block).to(self.device).to(torch.float64)
                yield where, (values - self.centre).div_(self.scale)


class _SparseBlock:
    """The few operations on a block that the solver needs, for CSR rows."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows.astype(np.float64)

    def __len__(self) -> int:
        n_rows: int = self.rows.shape[0]
        return n_rows

    def __matmul__(self, other: Tensor) -> Tensor:
        return torch.from_numpy(self.rows @ other.cpu().numpy()).to(other.device)

    def transposed_product(self, other: Tensor) -> Tensor:
        return torch.from_numpy(self.rows.T @ other.cpu().numpy()).to(other.device)

    def square(self) -> _SparseBlock:
        return _SparseBlock(self.rows.multiply(self.rows).tocsr())


def _transposed_product(block: Any, other: Tensor) -> Tensor:
    return block.transposed_product(other) if isinstance(block, _SparseBlock) else block.T @ other


class _Problems:
    """S x K objectives over shared rows; parameters are (p, columns, D + 1), the last entry being the intercept."""

    def __init__(
        self, design: _Design, labels: np.ndarray, subsets: list[np.ndarray], n_classes: int, strengths: Sequence[float]
    ) -> None:
        self.design, self.device, self.n_classes = design, design.device, n_classes
        self.columns = 1 if n_classes == 2 else n_classes
        self.n_subsets, self.n_strengths = len(subsets), len(strengths)
        self.labels = torch.as_tensor(labels, dtype=torch.int64, device=self.device)
        share = torch.zeros(design.n_rows, self.n_subsets, dtype=torch.float64)
        for s, rows in enumerate(subsets):
            share[rows, s] = 1.0 / len(rows)
        self.share = share.to(self.device)
        self.subset = torch.arange(self.n_subsets, device=self.device).repeat_interleave(self.n_strengths)
        strength = torch.as_tensor(list(strengths), dtype=torch.float64, device=self.device)
        self.strength = strength.repeat(self.n_subsets)
        present = torch.stack([torch.zeros(n_classes, dtype=torch.bool)] * self.n_subsets)
        for s, rows in enumerate(subsets):
            present[s, np.unique(labels[rows] if labels.ndim == 1 else labels[rows, s])] = True
        self.present = present.to(self.device)
        # Of the loss at the starting point, which is zero weights; labels of their own, often rare, also have their own intercept there.
        self.curvature: float | Tensor = 0.25 if self.columns == 1 else 1.0 / self.n_classes
        self.first_intercept = torch.zeros(self.n_subsets, dtype=torch.float64, device=self.device)
        if labels.ndim > 1:
            prior = (self.share * self.labels).sum(0).clamp(0.5 / design.n_rows, 1 - 0.5 / design.n_rows)
            self.curvature, self.first_intercept = prior * (1 - prior), torch.logit(prior)

    def prepare(self, standardise: bool, drop_below: float) -> None:
        """Each subset's own mean and standard deviation, and the preconditioner."""
        d = self.design
        mean = torch.zeros(d.n_channels, self.n_subsets, dtype=torch.float64, device=self.device)
        square = torch.zeros_like(mean)
        for where, block in d.blocks():
            mean += _transposed_product(block, self.share[where])
            square += _transposed_product(block.square(), self.share[where])
        deviation = (square - mean.square()).clamp(min=0).sqrt().T.contiguous()
        own_units = deviation * d.scale
        self.kept = (own_units > 0) & (own_units >= drop_below * own_units.median(dim=1, keepdim=True).values)
        scale = deviation if standardise else (1.0 / d.scale).expand_as(deviation)
        self.mean = mean.T.contiguous() if standardise else (-d.centre / d.scale).expand_as(deviation)
        self.inverse_scale = torch.where(self.kept, 1.0 / torch.where(self.kept, scale, torch.ones_like(scale)), 0.0)
        self.eigenvalues, self.eigenvectors, self.rest = _spectrum(d, self.mean.mean(0), self.inverse_scale.mean(0))

    def value_and_gradient(self, parameters: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """(p,) objectives and (p, columns, D + 1) gradients of the problems ``which``."""
        subset, p = self.subset[which], len(which)
        weights, offset = self._fold(parameters, subset)
        flat = weights.reshape(p * self.columns, -1).T.contiguous()
        value = torch.zeros(p, dtype=torch.float64, device=self.device)
        slope = torch.zeros_like(flat)
        slope_offset = torch.zeros(p, self.columns, dtype=torch.float64, device=self.device)
        for where, block in self.design.blocks():
            logits = (block @ flat).view(-1, p, self.columns) + offset
            loss, residual = self._loss(logits, self.labels[where], subset)
            share = self.share[where][:, subset]
            value += (loss * share).sum(0)
            residual *= share[:, :, None]
            slope += _transposed_product(block, residual.view(len(block), -1))
            slope_offset += residual.sum(0)
        slope = slope.T.reshape(p, self.columns, -1)
        own = (slope - slope_offset[:, :, None] * self.mean[subset][:, None]) * self.inverse_scale[subset][:, None]
        strength = self.strength[which]
        value += 0.5 * strength * parameters[:, :, :-1].square().sum((1, 2))
        own += strength[:, None, None] * parameters[:, :, :-1]
        return value, torch.cat([own, slope_offset[:, :, None]], dim=2)

    def _fold(self, parameters: Tensor, subset: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and intercepts for rows as the design gives them, without the subsets' standardisation."""
        weights = parameters[:, :, :-1] * self.inverse_scale[subset][:, None]
        return weights, parameters[:, :, -1] - (weights * self.mean[subset][:, None]).sum(-1)

    def _loss(self, logits: Tensor, labels: Tensor, subset: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy (rows, p) and its derivative by the logits (rows, p, columns)."""
        if self.columns == 1:
            z = logits[:, :, 0]
            if labels.ndim > 1:  # as functions of the margin, where no digits cancel: few rows are often separable
                sign = 1.0 - 2.0 * labels[:, subset].to(torch.float64)
                z = z * sign
                return functional.softplus(z), (torch.sigmoid(z) * sign)[:, :, None]
            target = labels[:, None].to(torch.float64)
            return functional.softplus(z) - target * z, (torch.sigmoid(z) - target)[:, :, None]
        logits = logits.masked_fill(~self.present[subset], -torch.inf)
        total = torch.logsumexp(logits, dim=2)
        index = labels[:, None, None].expand(-1, logits.shape[1], 1)
        # A row of another subset may have a class this one lacks; its share is zero, and so must be its loss.
        loss = torch.nan_to_num(total - logits.gather(2, index)[:, :, 0], posinf=0.0)
        residual = torch.exp(logits - total[:, :, None])
        residual.scatter_add_(2, index, torch.full_like(residual[:, :, :1], -1.0))
        return loss, residual

    def precondition(self, gradient: Tensor, which: Tensor) -> Tensor:
        """The inverse Hessian at zero weights (approximately, where channels are many) times ``gradient``."""
        strength, subset = self.strength[which][:, None, None], self.subset[which]
        curvature = self.curvature if isinstance(self.curvature, float) else self.curvature[subset][:, None, None]
        slope = gradient[:, :, :-1]
        inner = slope @ self.eigenvectors
        rest = 1.0 / (curvature * self.rest + strength)
        inner = inner * (1.0 / (curvature * self.eigenvalues + strength) - rest)
        out = (inner @ self.eigenvectors.T + slope * rest) * self.kept[subset][:, None]
        return torch.cat([out, gradient[:, :, -1:] / curvature], dim=2)

    def start(self) -> Tensor:
        """(p, columns, D + 1) zero weights."""
        shape = (len(self.subset), self.columns, self.design.n_channels + 1)
        found = torch.zeros(shape, dtype=torch.float64, device=self.device)
        found[:, :, -1] = self.first_intercept[self.subset][:, None]
        return found

    @property
    def newton_is_cheap(self) -> bool:
        """Whether the Hessian of one problem takes few operations; CSR products are left to L-BFGS."""
        size = self.columns * (self.design.n_channels + 1)
        return not self.design.sparse_products and size <= 2048 and self.design.n_rows * size**2 <= _NEWTON_OPERATIONS

    def newton_step(self, parameters: Tensor, gradient: Tensor, which: Tensor) -> Tensor:
        """Minus the inverse Hessian times ``gradient``, problem by problem."""
        return torch.stack([self._newton_step(*one) for one in zip(parameters, gradient, which, strict=True)])

    def _newton_step(self, parameters: Tensor, gradient: Tensor, problem: Tensor) -> Tensor:
        subset, size = self.subset[problem], self.design.n_channels + 1
        hessian = self._plain_hessian(parameters, problem)
        # To the subset's own units, where raw weights are a * w and the raw intercept is b - mean * a * w.
        mean = self.mean[subset]
        hessian[:, :-1] -= mean[:, None, None] * hessian[:, -1:]
        hessian[..., :-1] -= hessian[..., -1:] * mean
        hessian[:, :-1] *= self.inverse_scale[subset][:, None, None]
        hessian[..., :-1] *= self.inverse_scale[subset]
        if self.columns > 1:
            # A shift of all intercepts changes nothing; without this the Hessian would be singular along it.
            hessian[:, -1, :, -1] += self.curvature
        penalty = self.strength[problem].expand(self.columns, size).clone()
        penalty[:, -1] = 0.0
        hessian = hessian.view(self.columns * size, -1)
        hessian.diagonal().add_(penalty.reshape(-1))
        step: Tensor = -torch.linalg.solve(hessian, gradient.reshape(-1)).view_as(gradient)
        return step

    def _plain_hessian(self, parameters: Tensor, problem: Tensor) -> Tensor:
        """(columns, D + 1, columns, D + 1) second derivatives by weights and intercepts for rows as the design gives them."""
        subset, c, size = self.subset[problem], self.columns, self.design.n_channels + 1
        weights, offset = self._fold(parameters[None], subset[None])
        hessian = torch.zeros(c, size, c, size, dtype=torch.float64, device=self.device)
        for where, block in self.design.blocks():
            share = self.share[where][:, subset]
            logits = block @ weights[0].T + offset[0]
            if c == 1:
                p = torch.sigmoid(logits)
                second = (p * (1 - p))[:, :, None]
            else:
                p = torch.softmax(logits.masked_fill(~self.present[subset], -torch.inf), dim=1)
                second = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
            rows = torch.cat([block, torch.ones_like(block[:, :1])], dim=1)
            for a in range(c):
                for b in range(a + 1):
                    part = (rows * (share * second[:, a, b])[:, None]).T @ rows
                    hessian[a, :, b] += part
                    if a != b:
                        hessian[b, :, a] += part
        absent = ~self.present[subset]
        if c > 1 and absent.any():
            hessian[absent, -1, absent, -1] = 1.0
        return hessian

    def unfold(self, solution: Tensor, iterations: Tensor, converged: Tensor, objective: Tensor) -> LogisticPaths:
        """Solutions in the units of the features."""
        s, k, c = self.n_subsets, self.n_strengths, self.n_classes
        weights, offset = self._fold(solution, self.subset)
        weights = weights / self.design.scale
        offset = offset - (weights * self.design.centre).sum(-1)
        if self.columns == 1:
            weights = torch.cat([torch.zeros_like(weights), weights], dim=1)
            offset = torch.cat([torch.zeros_like(offset), offset], dim=1)
        absent = ~self.present[self.subset]
        weights = torch.where(absent[:, :, None], 0.0, weights)
        offset = torch.where(absent, _ABSENT, offset)
        return LogisticPaths(
            weights.view(s, k, c, -1).cpu().numpy(),
            offset.view(s, k, c).cpu().numpy(),
            objective.view(s, k).cpu().numpy(),
            iterations.view(s, k).cpu().numpy(),
            converged.view(s, k).cpu().numpy(),
            (~self.kept).sum(1).cpu().numpy(),
            tuple(tuple(torch.nonzero(~row)[:, 0].tolist()) for row in self.present),
        )


def _spectrum(design: _Design, mean: Tensor, inverse_scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Eigenvalues (r,), eigenvectors (D, r) of the standardised rows' second moments, and the mean of the eigenvalues left out.

    All of them up to 1,024 channels; beyond, the leading ones by subspace iteration over a part of the rows. Only the speed
    of the solver depends on them.
    """
    blocks = [block for where, block in design.blocks() if where.start < _GRAM_ROWS]
    n = sum(len(block) for block in blocks)
    d = design.n_channels

    def moments(vectors: Tensor) -> Tensor:
        scaled = inverse_scale[:, None] * vectors
        total = torch.zeros_like(vectors)
        for block in blocks:
            total += _transposed_product(block, block @ scaled - mean @ scaled)
        return inverse_scale[:, None] * total / n

    if d <= _FULL_EIGEN:
        gram = moments(torch.eye(d, dtype=torch.float64, device=design.device))
        values, vectors = _eigh((gram + gram.T) / 2)
        return values.clamp(min=0), vectors, torch.zeros((), dtype=torch.float64, device=design.device)
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(d, _LEADING_EIGEN, generator=generator, dtype=torch.float64).to(design.device)
    for _ in range(3):
        basis = torch.linalg.qr(moments(basis)).Q
    image = basis.T @ moments(basis)
    values, rotation = _eigh((image + image.T) / 2)
    values = values.clamp(min=0)
    kept = (inverse_scale > 0).sum()  # standardised channels have variance one: the trace is their number
    rest = ((kept - values.sum()) / max(d - _LEADING_EIGEN, 1)).clamp(min=0)
    return values, basis @ rotation, rest


def _eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a symmetric matrix, also where LAPACK's divide and conquer gives up on repeated values."""
    try:
        values, vectors = torch.linalg.eigh(matrix)
    except torch.linalg.LinAlgError:
        from scipy.linalg import eigh

        found = eigh(matrix.cpu().numpy(), driver="ev")
        values, vectors = (torch.from_numpy(part).to(matrix) for part in found)
    return values, vectors


class _History:
    """The last steps and gradient changes of the problems still in the batch."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, step: Tensor, change: Tensor) -> None:
        inner = _inner(step, change)
        # The objective is strictly convex; rounding near the solution alone can break s'y > 0, and such a pair is switched off.
        inverse = torch.where(inner > 0, 1.0 / inner.clamp(min=torch.finfo(inner.dtype).tiny), 0.0)
        self.pairs = [*self.pairs[-(self.size - 1) :], (step, change, inverse)]

    def keep(self, which: Tensor) -> None:
        self.pairs = [(a[which], b[which], c[which]) for a, b, c in self.pairs]

    def direction(self, gradient: Tensor, problems: _Problems, which: Tensor) -> Tensor:
        """Two-loop recursion from the preconditioner, scaled to the last pair."""
        q, alphas = gradient.clone(), []
        for step, change, inverse in reversed(self.pairs):
            alphas.append(inverse * _inner(step, q))
            q -= alphas[-1][:, None, None] * change
        q = problems.precondition(q, which)
        if self.pairs:
            _, change, inverse = self.pairs[-1]
            curvature = _inner(change, problems.precondition(change, which)) * inverse
            q *= torch.where(curvature > 0, 1.0 / curvature.clamp(min=1e-300), 1.0)[:, None, None]
        for (step, change, inverse), alpha in zip(self.pairs, reversed(alphas), strict=True):
            q += (alpha - inverse * _inner(change, q))[:, None, None] * step
        return -q


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((1, 2))


def _lbfgs(problems: _Problems, tolerance: float, max_iterations: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(solutions, iterations, converged, objectives) of all problems; problems with one class keep zero weights."""
    total = len(problems.subset)
    solution = problems.start()
    iterations = torch.zeros(total, dtype=torch.int64, device=problems.device)
    converged = torch.ones(total, dtype=torch.bool, device=problems.device)
    objective = torch.zeros(total, dtype=torch.float64, device=problems.device)
    active = torch.nonzero(problems.present[problems.subset].sum(1) > 1)[:, 0]
    if not len(active):
        return solution, iterations, converged, objective
    x, history = solution[active], _History(12)
    value, gradient = problems.value_and_gradient(x, active)
    for iteration in range(1, max_iterations + 1):
        newton = iteration > _NEWTON_AFTER and problems.newton_is_cheap
        direction = (
            problems.newton_step(x, gradient, active) if newton else history.direction(gradient, problems, active)
        )
        uphill = _inner(direction, gradient) >= 0
        if uphill.any():  # rounding has spoiled the history of a problem that is all but solved
            direction[uphill] = -problems.precondition(gradient[uphill], active[uphill])
        step, new_value, new_gradient, moved = _line_search(problems, active, x, value, gradient, direction)
        size = torch.sqrt(_inner(direction, direction))
        done = ~moved | (size <= tolerance * (1.0 + torch.sqrt(_inner(x, x))))
        history.add(step, new_gradient - gradient)
        x, value, gradient = x + step, new_value, new_gradient
        if done.any() or iteration == max_iterations:
            over = torch.ones_like(done) if iteration == max_iterations else done
            solution[active[over]], objective[active[over]] = x[over], value[over]
            iterations[active[over]] = iteration
            # A search that cannot move has reached the rounding of the objective, if its model promises no gain either.
            small = _inner(gradient, problems.precondition(gradient, active)) <= 1e-12 * (1.0 + value)
            converged[active[over]] = (done & (moved | small))[over]
            left = ~over
            if not left.any():
                break
            active, x, value, gradient = active[left], x[left], value[left], gradient[left]
            history.keep(left)
    return solution, iterations, converged, objective


def _line_search(
    problems: _Problems, active: Tensor, x: Tensor, value: Tensor, gradient: Tensor, direction: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Backtracking from 1 for each problem by itself: (step, new value, new gradient, whether it moved).

    A step is good if the objective falls enough, or, where rounding hides that, if it does not rise beyond rounding and the
    slope along the direction has shrunk (the approximate Wolfe condition of Hager and Zhang 2005, eq. 4.1).
    """
    slope = _inner(direction, gradient)
    length = torch.ones_like(value)
    new_value, new_gradient = problems.value_and_gradient(x + direction, active)

    def refused() -> Tensor:
        falls = new_value <= value + 1e-4 * length * slope
        flat = (new_value <= value + 1e-12 * value.abs()) & (_inner(direction, new_gradient) <= -0.9998 * slope)
        return ~(falls | flat)

    failed = refused()
    for _ in range(40):
        if not failed.any():
            break
        length[failed] *= 0.5
        trial = x[failed] + length[failed][:, None, None] * direction[failed]
        new_value[failed], new_gradient[failed] = problems.value_and_gradient(trial, active[failed])
        failed = refused()
    length[failed] = 0.0
    new_value, new_gradient = (
        torch.where(failed, value, new_value),
        torch.where(failed[:, None, None], gradient, new_gradient),
    )
    return length[:, None, None] * direction, new_value, new_gradient, ~failed
