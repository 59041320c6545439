"""Which number format a model computes in, and what is said of it."""

from __future__ import annotations

import logging
import os
import platform
import subprocess
import sys

import pytest
import torch

from findna_bench.models import precision
from findna_bench.models.precision import compute_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("fast", "dtype", "times"), [(False, "bfloat16", 1), (True, "bfloat16", 0), (False, "float32", 0)]
)
def test_a_processor_without_bfloat16_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fast: bool, dtype: str, times: int
) -> None:
    monkeypatch.setattr(precision, "_bfloat16_is_fast", lambda: fast)
    precision._warn_where_bfloat16_is_slow.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with compute_precision(CPU, precision.resolve_dtype(dtype)):
                pass
    precision._warn_where_bfloat16_is_slow.cache_clear()
    assert [r.levelname for r in caplog.records] == ["WARNING"] * times
    assert caplog.text.count("use --dtype float32") == times


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not torch.backends.mkldnn.is_available(),
    reason="oneDNN's levels are those of x86",
)
@pytest.mark.parametrize(("level", "fast"), [("AVX2", False), ("AVX512_CORE", None)])
def test_what_onednn_may_use_decides(level: str, fast: bool | None) -> None:
    code = "from findna_bench.models.precision import _bfloat16_is_fast as f; print(f())"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": level}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    expected = torch.backends.cpu.get_cpu_capability() == "AVX512" if fast is None else fast
    assert found.stdout.strip() == str(expected)
