"""What counts as memory that ran out, wherever it is met, and how errors name many things."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import findna_bench as fb
from findna_bench.errors import listed
from findna_bench.profiling import worker

RAN_OUT: list[tuple[str, BaseException]] = [
    ("torch on CUDA", torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has ...")),
    (
        "the CUDA runtime",
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    ),
    ("the CUDA driver", RuntimeError("CUDA driver error: out of memory")),
    ("cuBLAS", RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")),
    ("cuDNN 8", RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")),
    ("cuDNN 9", RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED")),
    ("cuFFT", RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED")),
    ("ROCm", RuntimeError("HIP out of memory. Tried to allocate 1.17 GiB")),
    ("MPS", RuntimeError("MPS backend out of memory (MPS allocated: 17.93 GB, other allocations: 392.00 KB)")),
    ("MPS, one buffer", RuntimeError("Invalid buffer size: 24.00 GB")),
    (
        "torch on Linux",
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 8000000000000 bytes. Error code 12 (Cannot allocate memory)"
        ),
    ),
    (
        "torch on Windows",
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried to allocate 4294967296 bytes."
        ),
    ),
    ("mmap", RuntimeError("unable to mmap 2048 bytes from file <model.safetensors>: Cannot allocate memory (12)")),
    ("C++", RuntimeError("std::bad_alloc")),
    ("Python", MemoryError()),
    ("numpy", np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype("float64"))),
    ("the system", OSError(errno.ENOMEM, "Cannot allocate memory")),
]
"""Real messages of libraries, each as the error it comes as."""

ANOTHER: list[tuple[str, BaseException]] = [
    ("shape", RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)")),
    ("assert", RuntimeError("CUDA error: device-side assert triggered")),
    ("index", IndexError("index out of range in self")),
    ("disk", OSError(errno.ENOSPC, "No space left on device")),
    ("cuBLAS, otherwise", RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`")),
    ("an option", ValueError("--memory: out of memory is no choice")),
]

CASES = [(name, error, True) for name, error in RAN_OUT] + [(name, error, False) for name, error in ANOTHER]


class _Raises:
    """A control that meets an error when it is fitted."""

    varies = ()
    error: BaseException

    def __init__(self, **_: Any) -> None:
        self.settings: dict[str, Any] = {}

    def fit(self, *_: Any) -> None:
        raise self.error

    def predict_scores(self, _: Any) -> Any:
        raise AssertionError("it was never fitted")


@pytest.mark.parametrize(("name", "error", "ran_out"), CASES, ids=[name for name, *_ in CASES])
def test_a_row_of_run_and_a_row_of_profile_agree_on_memory_that_ran_out(
    name: str, error: BaseException, ran_out: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("findna_baselines.controls.majority.Majority", _Raises)
    monkeypatch.setattr(_Raises, "error", error, raising=False)
    result = fb.run(["majority"], ["demo/species4"], seeds=1, output_dir=tmp_path)[0]
    assert result.status == ("oom" if ran_out else "error")

    def fails(job: Any) -> dict[str, Any]:
        raise error

    monkeypatch.setitem(worker._KINDS, "measure", fails)
    found = worker.answer({"kind": "measure"})
    assert found["status"] == result.status
    assert found["reason"]


@pytest.mark.parametrize(("name", "error", "ran_out"), CASES, ids=[name for name, *_ in CASES])
def test_batches_are_halved_for_memory_that_ran_out_and_for_nothing_else(
    name: str, error: BaseException, ran_out: bool
) -> None:
    model = fb.load_model("findna-tiny@random", device="cpu")
    forward = model.backbone.forward

    def cramped(batch: Any, **options: Any) -> Any:
        if len(batch) > 2:
            raise error
        return forward(batch, **options)

    model.backbone.forward = cramped
    sequences = ["ACGT" * 20, "GGCA" * 20, "TTGA" * 20, "CCAT" * 20]
    if ran_out:
        assert fb.embed(model, sequences).shape == (4, model.backbone.embed_dim)
    else:
        with pytest.raises(type(error)):
            fb.embed(model, sequences)


def test_an_error_raised_from_memory_that_ran_out_is_one_too() -> None:
    from findna_bench.errors import DataError, is_out_of_memory

    wrapped = RuntimeError("the forward pass failed")
    wrapped.__cause__ = torch.OutOfMemoryError("CUDA out of memory")
    assert is_out_of_memory(wrapped)
    assert not is_out_of_memory(RuntimeError("the forward pass failed"))
    assert not is_out_of_memory(DataError("row 3: 'out of memory' is no DNA"))


@pytest.mark.parametrize(
    ("names", "most", "words"),
    [((), 2, ""), ("a", 2, "a"), ("ab", 2, "a, b"), ("abc", 2, "a, b and 1 more"), ("abcd", 1, "a and 3 more")],
)
def test_names_beyond_the_most_are_counted(names: str, most: int, words: str) -> None:
    assert listed(names, most) == words
