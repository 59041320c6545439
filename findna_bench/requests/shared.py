"""Options that several requests share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from findna_bench.cards import POOLINGS
from findna_bench.errors import UsageError
from findna_bench.requests.declarations import AutoOrNumber, Flag, Names, PathName, Text, Whole, option
from findna_bench.threads import DEFAULT_THREADS

__all__ = [
    "DROP_MISSING_HELP",
    "PROTOCOL",
    "RUNNING",
    "TARGET_HELP",
    "DeviceName",
    "WindowPolicy",
    "batch_size",
    "data_dir",
    "device",
    "drop_missing",
    "dtype",
    "give_name",
    "layer",
    "metric",
    "model_name",
    "offline",
    "pooling",
    "results_dir",
    "suites",
    "target",
    "tasks",
    "threads",
    "window",
]

PROTOCOL, RUNNING = "Protocol", "Running"
TARGET_HELP = "What the columns of a user's own file predict (classes, values, labels, per_base or a plugin's target), where they say otherwise."
DROP_MISSING_HELP = (
    "Of files given as a path: leave out rows without sequence or label (empty, NA, nan, null, None, ...), and count them; they are "
    "refused otherwise."
)
THREADS_HELP = "CPU threads; fixed, not the machine's cores, as other numbers of threads may give other last bits."


class WindowPolicy(Text):
    """``truncate``, ``truncate-middle``, ``window`` or ``window:STRIDE``."""

    def read(self, value: Any, where: str) -> Any:
        if super().read(value, where) in ("truncate", "truncate-middle", "window"):
            return value
        name, _, stride = value.partition(":")
        if name != "window" or not stride.isdecimal() or int(stride) < 1:
            raise UsageError(f"{where} {value!r}: choose truncate, truncate-middle, window or window:STRIDE")
        return value


class DeviceName(Text):
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""

    def read(self, value: Any, where: str) -> Any:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", super().read(value, where)):
            raise UsageError(f"{where} {value!r}: choose auto, cpu, cuda or cuda:N")
        return value


def device() -> Any:
    """``--device``."""
    return option(DeviceName(), "auto, cpu, cuda or cuda:N.", default="auto", panel=RUNNING, in_ids="always")


def dtype() -> Any:
    """``--dtype``."""
    kind = Text(("auto", "float32", "bfloat16"))
    return option(kind, "auto, float32 or bfloat16.", default="auto", panel=RUNNING, in_ids="always")


def threads() -> Any:
    """``--threads``."""
    kind = Whole(1, "at least one thread computes")
    return option(kind, THREADS_HELP, default=DEFAULT_THREADS, panel=RUNNING, in_ids="always")


def data_dir() -> Any:
    """``--data-dir``."""
    return option(
        PathName(), "Data root (default: the user's data folder).", default=None, panel=RUNNING, recorded=False
    )


def target() -> Any:
    """``--target``."""
    return option(Text(), TARGET_HELP, default=None, panel=PROTOCOL, in_ids="given")


def drop_missing() -> Any:
    """``--drop-missing``."""
    return option(Flag(), DROP_MISSING_HELP, default=False, panel=RUNNING, in_ids="given")


def offline() -> Any:
    """``--offline``."""
    return option(Flag(), "Open no socket.", default=False, panel=RUNNING, recorded=False)


def pooling() -> Any:
    """``--pooling``."""
    words = "mean, mean_all, mean_bases, cls, last or max (default: the card's)."
    return option(Text(POOLINGS), words, default=None, panel=PROTOCOL)


def layer() -> Any:
    """``--layer``."""
    return option(Whole(), "Hidden layer to take; -1 is the last.", default=-1, panel=PROTOCOL)


def window() -> Any:
    """``--window``."""
    words = "Sequences too long for a model: truncate, truncate-middle, window or window:STRIDE (default: the card's)."
    return option(WindowPolicy(), words, default=None, panel=PROTOCOL, in_ids="always")


def batch_size() -> Any:
    """``--batch-size``."""
    return option(AutoOrNumber(), "auto or a number.", default="auto", panel=RUNNING, in_ids="always")


def tasks() -> Any:
    """``--tasks``."""
    words = "Tasks (suite/task, a bare name, or a path); repeatable."
    return option(Names(), words, default=(), flags=("-t", "--tasks", "--task"))


def model_name() -> Any:
    """``--name``."""
    words = (
        "What results call the one model that lies on this machine (default: the last part of path:FOLDER, embeddings:FILE or scores:FILE); of "
        "several, write NAME=path:FOLDER."
    )
    return option(Text(), words, default=None, recorded=False, environment=False)


def give_name(request: Any) -> None:
    """Write the ``name`` of a request into its models, so that all that follows from them holds it.

    Raises:
        UsageError: not exactly one of them lies on this machine.
    """
    name, models = request.name, request.models
    if name is None:
        return
    local = [model for model in models if re.match(r"([^:=/]*=)?(path|embeddings|scores):", model)]
    if len(local) != 1:
        raise UsageError(
            f"--name {name}: it names one model that lies on this machine, and there are {len(local)}; write NAME=path:FOLDER of each"
        )
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,99}", name) or "=" in local[0].partition(":")[0]:
        raise UsageError(f"--name {name}: give one name of letters, digits, dots, dashes, underscores and plus signs")
    object.__setattr__(request, "models", tuple(f"{name}={model}" if model == local[0] else model for model in models))
    object.__setattr__(request, "name", None)


def suites() -> Any:
    """``--suite``."""
    flags = ("--suite", "--benchmark")
    return option(Names(), "A named list of tasks; repeatable.", default=(), name="suite", flags=flags)


def results_dir(panel: str = "") -> Any:
    """``--output-dir``."""
    flags = ("-o", "--output-dir")
    return option(PathName(), "Results folder.", default=Path("results"), flags=flags, panel=panel, recorded=False)


def metric() -> Any:
    """``--metric``."""
    return option(Text(), "One metric for all tasks (default: the main one of each).", default=None)
