"""Options that several requests share."""

from __future__ import annotations

import re
from typing import Any

from findna_bench.errors import UsageError
from findna_bench.requests.options import Flag, PathName, Text, Whole, option
from findna_bench.threads import DEFAULT_THREADS

__all__ = ["DeviceName", "data_dir", "device", "dtype", "offline", "threads"]

RUNNING = "Running"
THREADS_HELP = "CPU threads; fixed, not the machine's cores, as other numbers of threads may give other last bits."


class DeviceName(Text):
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""

    def read(self, value: Any, where: str) -> Any:
        if not isinstance(value, str) or not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
            raise UsageError(f"{where} {value!r}: choose auto, cpu, cuda or cuda:N")
        return value


def device() -> Any:
    """``--device``."""
    return option(DeviceName(), "auto, cpu, cuda or cuda:N.", default="auto", panel=RUNNING)


def dtype() -> Any:
    """``--dtype``."""
    kind = Text(("auto", "float32", "bfloat16"))
    return option(kind, "auto, float32 or bfloat16.", default="auto", panel=RUNNING)


def threads() -> Any:
    """``--threads``."""
    kind = Whole(1, "at least one thread computes")
    return option(kind, THREADS_HELP, default=DEFAULT_THREADS, panel=RUNNING)


def data_dir() -> Any:
    """``--data-dir``."""
    return option(PathName(), "Data root (default: the user's data folder).", default=None, panel=RUNNING)


def offline() -> Any:
    """``--offline``."""
    return option(Flag(), "Open no socket.", default=False, panel=RUNNING)
