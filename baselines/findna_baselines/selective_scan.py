"""The selective state-space recurrence of Mamba (Gu & Dao 2023, arXiv:2312.00752), without compiled kernels.

``h[t] = a[t] * h[t-1] + b[t]``: one step after the other on the CPU, by doubling (Hillis & Steele 1986) on an accelerator, where
a launch costs more than the arithmetic. The backward pass is the same recurrence run from the end.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

__all__ = ["fused_scan", "linear_recurrence", "selective_scan"]

_CHUNK_BYTES = {"infer": 2**20, "train": 32 * 2**20}
"""Per chunk and operand: small enough to stay in the cache; in training fewer, larger chunks make a shorter graph."""


def _step_by_step(a: Tensor, b: Tensor, first: Tensor) -> Tensor:
    """All states; overwrites ``b``."""
    state = first
    for decay, value in zip(a.unbind(0), b.unbind(0), strict=True):
        state = value.addcmul_(decay, state)
    return b


def _doubling(a: Tensor, b: Tensor, first: Tensor) -> Tensor:
    """All states in log2(length) rounds; overwrites ``b``."""
    b[0].addcmul_(a[0], first)
    decay, reach = a.clone(), 1
    while reach < len(a):
        shifted = b[:-reach].clone()
        b[reach:].addcmul_(decay[reach:], shifted)
        decay[reach:] *= decay[:-reach].clone()
        reach *= 2
    return b


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, first: Tensor) -> Tensor:
        states = _run(a, b.clone(), first)
        ctx.save_for_backward(a, states, first)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, states, first = ctx.saved_tensors
        later = torch.cat((a[1:], torch.zeros_like(a[:1]))).flip(0)
        grad = _run(later, gradients[0].flip(0).contiguous(), torch.zeros_like(first)).flip(0)
        earlier = torch.cat((first[None], states[:-1]))
        return grad * earlier, grad, grad[0] * a[0]


def _run(a: Tensor, b: Tensor, first: Tensor) -> Tensor:
    return _step_by_step(a, b, first) if a.device.type == "cpu" else _doubling(a, b, first)


def linear_recurrence(a: Tensor, b: Tensor, first: Tensor) -> Tensor:
    """States ``h[t] = a[t] * h[t-1] + b[t]`` with ``h[-1] = first``: a, b (L, ...), first (...) -> (L, ...); differentiable.

    Without gradients ``b`` is overwritten by the result.
    """
    if torch.is_grad_enabled() and (a.requires_grad or b.requires_grad or first.requires_grad):
        states: Tensor = _Recurrence.apply(a, b, first)
        return states
    return _run(a, b, first)


def selective_scan(u: Tensor, dt: Tensor, decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """``h[t] = exp(dt[t] A) h[t-1] + dt[t] B[t] u[t]``, ``y[t] = C[t] h[t]``, in float32.

    u, dt: (S, B, L, E), S scans with their own A side by side. decay: A (S, E, N), negative. b, c: (S, B, L, N).
    Returns (S, B, L, E). Long sequences are scanned in chunks, so that memory does not grow with ``L * N``.
    """
    scans, size, length, width = u.shape
    n_state = decay.shape[-1]
    chunk = max(
        16, _CHUNK_BYTES["train" if torch.is_grad_enabled() else "infer"] // (4 * scans * size * width * n_state)
    )
    if u.device.type != "cpu":
        chunk = max(chunk, 256)
    time_first = [x.permute(2, 0, 1, 3).contiguous() for x in (u * dt, dt, b, c)]
    state = u.new_zeros(scans, size, width, n_state)
    outputs = []
    for start in range(0, length, chunk):
        drive, step, into, out_of = (x[start : start + chunk] for x in time_first)
        kept = step[..., None] * decay[:, None]
        kept = kept.exp() if torch.is_grad_enabled() else kept.exp_()
        states = linear_recurrence(kept, drive[..., None] * into[..., None, :], state)
        outputs.append((states @ out_of[..., None])[..., 0])
        state = states[-1]
    return torch.cat(outputs).permute(1, 2, 0, 3)


def fused_scan(u: Tensor, dt: Tensor, decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The same by the compiled CUDA kernel of the package mamba-ssm, which has to be installed.

    Raises:
        ImportError: it is not installed.
    """
    selective_scan_fn = importlib.import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn

    def channels_first(x: Tensor) -> Tensor:
        return x.transpose(1, 2).contiguous()

    outputs = [
        selective_scan_fn(channels_first(u_), channels_first(dt_), decay_, channels_first(b_), channels_first(c_))
        for u_, dt_, decay_, b_, c_ in zip(u, dt, decay, b, c, strict=True)
    ]
    return torch.stack(outputs).transpose(2, 3)
