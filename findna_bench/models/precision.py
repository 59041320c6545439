"""Which device and which number format a model computes in."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator

import torch

from findna_bench.errors import ModelError, UsageError

__all__ = ["compute_precision", "resolve_device", "resolve_dtype"]

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """``auto`` is the first CUDA device where there is one, else the CPU.

    Raises:
        UsageError: no such kind of device. ModelError: this machine has no such device.
    """
    if str(device) == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"--device {device}: choose auto, cpu, cuda or cuda:N") from error
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise ModelError(f"--device {device}: this machine has no usable CUDA device; use --device cpu")
        chosen = torch.device("cuda", chosen.index or 0)
        if chosen.index is not None and chosen.index >= torch.cuda.device_count():
            raise ModelError(
                f"--device {device}: this machine has {torch.cuda.device_count()} CUDA devices, counted from 0"
            )
    return chosen


def resolve_dtype(dtype: str | torch.dtype = "auto") -> torch.dtype:
    """``auto`` is float32; bfloat16 computes under autocast, weights stay in float32.

    Raises:
        UsageError: any other format.
    """
    if dtype == "auto":
        return torch.float32
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise UsageError(f"--dtype {name}: choose auto, float32 or bfloat16")
    return DTYPES[name]


@contextlib.contextmanager
def compute_precision(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Compute in ``dtype``: autocast for bfloat16; for float32 neither autocast nor TF32, whatever the surroundings say."""
    with contextlib.ExitStack() as stack:
        if device.type == "cuda" and dtype == torch.float32:
            stack.enter_context(_without_tf32())
        if device.type == "cpu" and dtype == torch.bfloat16:
            _warn_where_bfloat16_is_slow()
        stack.enter_context(torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16))
        yield


@functools.cache
def _warn_where_bfloat16_is_slow() -> None:
    """Once in a process."""
    if not _bfloat16_is_fast():
        logger.warning(
            "--dtype bfloat16: this processor has no instructions for it, so that it takes several times as long as float32; "
            "use --dtype float32"
        )


def _bfloat16_is_fast() -> bool:
    """Whether oneDNN has products in bfloat16 for this processor; torch's own are loops over single numbers."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextlib.contextmanager
def _without_tf32() -> Iterator[None]:
    matmul, convolution = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, convolution
