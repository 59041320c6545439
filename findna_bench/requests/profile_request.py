"""What ``findna-bench profile`` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from findna_bench.errors import UsageError
from findna_bench.requests import shared
from findna_bench.requests.declarations import (
    AutoOrNumber,
    Flag,
    Names,
    Numbers,
    PathName,
    Text,
    Whole,
    option,
    read_fields,
)

__all__ = ["ProfileRequest"]


_MEASURED = "Measurement"


@dataclass(frozen=True, kw_only=True)
class ProfileRequest:
    """All options of ``findna-bench profile``.

    Raises:
        UsageError: not exactly one task is named, or a plot is wanted and nowhere to write it.

    Example:
        >>> ProfileRequest(tasks=("mtcdna-1024",), lengths=(1024, 8192)).task
        'mtcdna-1024'
    """

    models: tuple[str, ...] = option(
        Names(), "Models, separated by commas; repeatable.", default=(), flags=("-m", "--models", "--model")
    )
    name: str | None = shared.model_name()
    tasks: tuple[str, ...] = option(
        Names(), "Task that gives the shape of the sequences.", default=(), flags=("-t", "--tasks", "--task")
    )
    mode: str = option(
        Text(("train", "inference")),
        "train (one fine-tuning step) or inference (one forward pass).",
        default="train",
        panel=_MEASURED,
    )
    batch_size: int | str = option(
        AutoOrNumber(), "auto (16; on the CPU what fits into 10 minutes) or a number.", default="auto", panel=_MEASURED
    )
    lengths: tuple[int, ...] = option(
        Numbers(1), "Bases per sequence, e.g. 1024,4096,8192 (default: the task's).", default=(), panel=_MEASURED
    )
    repeats: int | str = option(
        AutoOrNumber(), "Fresh processes per row; auto: 3, fewer on a slow CPU.", default="auto", panel=_MEASURED
    )
    device: str = shared.device()
    dtype: str = shared.dtype()
    threads: int | None = option(
        Whole(1, "at least one thread computes"),
        "CPU threads (default: as many as torch takes on this machine).",
        default=None,
        panel=shared.RUNNING,
    )
    compile: bool | None = option(
        Flag(),
        "torch.compile in the best formulation (default: on CUDA only).",
        default=None,
        flags=("--compile/--no-compile",),
        panel=shared.RUNNING,
    )
    overhead: bool = option(
        Flag(), "Instead: one pretraining step of the first model under each objective.", default=False, panel=_MEASURED
    )
    data_dir: Path | None = shared.data_dir()
    target: str | None = shared.target()
    drop_missing: bool = shared.drop_missing()
    output_dir: Path | None = option(
        PathName(),
        "Also write compute.md, compute.json and plots here.",
        default=None,
        flags=("-o", "--output-dir"),
    )
    results: Path | None = option(
        PathName(), "Results folder whose scores are set against these costs (with -o: a Pareto plot).", default=None
    )

    def __post_init__(self) -> None:
        read_fields(self)
        shared.give_name(self)
        if len(self.tasks) != 1:
            raise UsageError("name one task with --task, e.g. --task mtcdna-1024; it gives the shape of the sequences")
        if self.results is not None and self.output_dir is None:
            raise UsageError("--results draws a plot: say with -o where to write it")

    @property
    def task(self) -> str:
        """The one task."""
        return self.tasks[0]
