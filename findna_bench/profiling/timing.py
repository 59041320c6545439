"""Times and memory of a step in this process, on the CPU or a CUDA device."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from findna_bench.models.linear_products import linear
from findna_bench.profiling.profile_rows import Formulation

__all__ = ["DTYPES", "Start", "Steps", "attention", "autocast", "captured", "ceiling", "device_name", "measure_steps"]

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Steps:
    """How long to measure: ``warm_up`` steps, then steps until ``seconds`` are over, at least ``least`` and at most ``most``.

    A first step that takes longer than ``patience`` seconds is the measurement: on so slow a machine nothing is to be had
    from warming up that would be worth a second one.
    """

    warm_up: int = 1
    least: int = 1
    most: int = 20
    seconds: float = 5.0
    patience: float = 60.0


@dataclass(frozen=True)
class Start:
    """The process before the model is built: resident bytes, and the machine's load."""

    resident: int | None
    load: float

    @classmethod
    def now(cls) -> Start:
        return cls(_resident_bytes("VmRSS"), os.getloadavg()[0])


@contextlib.contextmanager
def attention(formulation: Formulation) -> Iterator[None]:
    """Attention written out as products and softmax, or left to the library."""
    with sdpa_kernel(SDPBackend.MATH) if formulation.attention == "math" else contextlib.nullcontext():
        yield


def autocast(formulation: Formulation, device: str, network: nn.Module) -> contextlib.AbstractContextManager[Any]:
    """Half precision for products; nothing where weights are kept in it, or for float32."""
    dtype = DTYPES[formulation.precision]
    if dtype is torch.float32 or next(network.parameters()).dtype is dtype:
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=dtype)


def ceiling(device: str, precision: str, seconds: float = 0.4) -> tuple[float, float]:
    """Operations per second of a large matrix product over ``seconds``: (the fastest one, all of them)."""
    size = 8192 if device.startswith("cuda") else 1024
    a = torch.randn(size, size, device=device, dtype=DTYPES[precision])
    b, out = torch.randn_like(a), torch.empty_like(a)
    linear(a, b, out=out)
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        _synchronise(device)
        before = time.perf_counter()
        linear(a, b, out=out)
        _synchronise(device)
        times.append(time.perf_counter() - before)
    operations = 2 * size**3
    return operations / min(times), operations * len(times) / sum(times)


def _synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


@dataclass(frozen=True)
class _Timed:
    """Milliseconds of each step: on the clock (events on CUDA) and of processor time over all threads."""

    clock: list[float]
    processor: list[float]
    energy_j: float | None
    warm: bool
    """Whether steps went before that do not count."""


def _time_steps(step: Callable[[], Any], device: str, steps: Steps) -> _Timed:
    timed = _timed_on_cuda if device.startswith("cuda") else _timed
    for _ in range(steps.warm_up):
        clock, processor = timed(step)
        if clock > 1e3 * steps.patience:
            return _Timed([clock], [processor], None, warm=False)
    _synchronise(device)
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
    energy, times = _EnergyMeter(device), list[tuple[float, float]]()
    start = time.perf_counter()
    while len(times) < steps.least or (len(times) < steps.most and time.perf_counter() - start < steps.seconds):
        times.append(timed(step))
    clocks, processors = [clock for clock, _ in times], [processor for _, processor in times]
    return _Timed(clocks, processors, energy.joules_per_step(sum(clocks), len(clocks)), warm=True)


def _timed(step: Callable[[], Any]) -> tuple[float, float]:
    clock, processor = time.perf_counter(), time.process_time()
    step()
    return (time.perf_counter() - clock) * 1e3, (time.process_time() - processor) * 1e3


def _timed_on_cuda(step: Callable[[], Any]) -> tuple[float, float]:
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    processor = time.process_time()
    first.record()
    step()
    last.record()
    last.synchronize()
    return float(first.elapsed_time(last)), (time.process_time() - processor) * 1e3


def measure_steps(
    step: Callable[[], Any], *, device: str, formulation: Formulation, steps: Steps, start: Start, training: bool
) -> dict[str, Any]:
    """Everything a row wants to know about ``step``; ``captured`` in the checklist only where a graph was made."""
    checklist = formulation.checklist(training=training)
    with attention(formulation):
        if formulation.cuda_graphs and device.startswith("cuda"):
            step = captured(step)
            checklist["CUDA graphs"] = "one step captured"
        timed = _time_steps(step, device, steps)
    return {
        "times_ms": timed.clock,
        "processor_ms": timed.processor,
        "checklist": checklist,
        "start_bytes": start.resident,
        **_memory(device),
        "energy_j": timed.energy_j,
        "ceiling_flops": ceiling(device, formulation.precision)[0],
        "device_name": device_name(device),
        "threads": torch.get_num_threads(),
        "load": start.load,
        "warm": timed.warm,
    }


def captured(step: Callable[[], None]) -> Callable[[], None]:
    """The step as a CUDA graph; a step that waits for the device cannot be captured and raises."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


class _EnergyMeter:
    """Energy counter of an NVIDIA device, where NVML and its Python package are there."""

    def __init__(self, device: str) -> None:
        self._read: Callable[[], float] | None = None
        self._start = 0.0
        if not device.startswith("cuda"):
            return
        with contextlib.suppress(Exception):  # no package, no driver, or no counter: energy stays unknown
            import pynvml

            pynvml.nvmlInit()
            uuid = str(torch.cuda.get_device_properties(device).uuid)
            handle = pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
            self._read = lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
            self._start = self._read()

    def joules_per_step(self, elapsed_ms: float, steps: int) -> float | None:
        """Joules since construction per step; None where unknown, or too short for the counter (it moves every 100 ms or so)."""
        if self._read is None or elapsed_ms < 1000:
            return None
        return (self._read() - self._start) / steps


def _resident_bytes(key: str) -> int | None:
    """``VmRSS`` now or ``VmHWM`` at its highest, of this process alone (getrusage would inherit the parent's peak)."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    return None


def _memory(device: str) -> dict[str, Any]:
    """Peak memory: allocated and reserved on CUDA, resident set of this process on the CPU."""
    if device.startswith("cuda"):
        return {
            "peak_bytes": torch.cuda.max_memory_allocated(device),
            "reserved_bytes": torch.cuda.max_memory_reserved(device),
            "memory_kind": "allocated on the device",
        }
    return {
        "peak_bytes": _resident_bytes("VmHWM"),
        "reserved_bytes": None,
        "memory_kind": "resident set of the process",
    }


def device_name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    from findna_bench.results.environment import environment

    return str(environment()["cpu"])
