"""``findna-bench pretrain MODEL --fasta FILE -o FOLDER``: train a model's network by self-supervision."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from findna_bench.cli import options, output

__all__ = ["pretrain"]


def pretrain(
    model: Annotated[str, typer.Argument(help="A model, path:FOLDER, or a backbone together with --objective.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run and of the model it makes.")],
    fasta: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option("--fasta", help="Genome, plain or gzipped; repeatable.", envvar=options.env("fasta")),
    ] = None,
    regions: Annotated[Optional[Path], typer.Option(help="BED: windows lie inside these.")] = None,  # noqa: UP045
    exclude: Annotated[Optional[Path], typer.Option(help="BED: windows touch none of these.")] = None,  # noqa: UP045
    contigs: Annotated[Optional[str], typer.Option(help="Contigs to draw from, by commas.")] = None,  # noqa: UP045
    assembly: Annotated[
        str, typer.Option(help="Assembly of the FASTA, e.g. GRCh38: says later which test loci were read.")
    ] = "",
    on: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--on", help="Continue on this task's train split (labels unused)."),
    ] = None,
    preset: Annotated[Optional[str], typer.Option(help="Named settings; default: the model's.")] = None,  # noqa: UP045
    objective: Annotated[Optional[str], typer.Option(help="See `list objectives`.")] = None,  # noqa: UP045
    windows: Annotated[Optional[int], typer.Option(help="Training windows to draw.")] = None,  # noqa: UP045
    window_length: Annotated[Optional[int], typer.Option(help="Bases per window.")] = None,  # noqa: UP045
    sampling: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="uniform-chromosome or length-weighted."),
    ] = None,
    max_n_frac: Annotated[Optional[float], typer.Option(help="Largest share of N in a window.")] = None,  # noqa: UP045
    validation_windows: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Windows held out for the validation loss; 0 = none."),
    ] = None,
    epochs: Annotated[Optional[int], typer.Option(help="Passes over the windows.")] = None,  # noqa: UP045
    steps: Annotated[Optional[int], typer.Option(help="Optimiser steps; overrules --epochs.")] = None,  # noqa: UP045
    batch_size: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--batch-size", help="Sequences per optimiser step, over all processes."),
    ] = None,
    accumulate: Annotated[Optional[int], typer.Option(help="Micro-batches per optimiser step.")] = None,  # noqa: UP045
    lr: Annotated[Optional[float], typer.Option(help="Peak learning rate.")] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option(help="Decides weights, windows, order, views.")] = None,  # noqa: UP045
    set_: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Any other setting; objective.NAME, backbone.NAME too; repeatable."
        ),
    ] = None,
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--weights", help="Start from this file or folder."),
    ] = None,
    from_weights: Annotated[
        bool, typer.Option("--from-weights/--from-random", help="Start from the model's own weights.")
    ] = False,
    network: Annotated[Optional[str], typer.Option(help="Which network of a checkpoint to start from.")] = None,  # noqa: UP045
    device: options.Device = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16.", envvar=options.env("dtype"))] = "auto",
    compiled: Annotated[bool, typer.Option("--compile/--no-compile", help="Compile the blocks.")] = False,
    log_every: Annotated[int, typer.Option(help="Steps per row of log.csv.")] = 50,
    validate_every: Annotated[Optional[int], typer.Option(help="Steps; default: every epoch.")] = None,  # noqa: UP045
    checkpoint_minutes: Annotated[float, typer.Option(help="Minutes between checkpoints.")] = 10.0,
    checkpoint_steps: Annotated[Optional[int], typer.Option(help="Also every so many steps.")] = None,  # noqa: UP045
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Log for TensorBoard, too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin again in a folder that holds a run.")] = False,
    data_dir: options.DataDir = None,
    offline: options.Offline = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Pretrain a network on unlabelled DNA; the same command goes on where it was stopped.

    Start it under torchrun to train on several devices.
    """
    from findna_bench.training import launch

    changes: dict[str, Any] = {
        "windows": windows,
        "window_length": window_length,
        "sampling": sampling,
        "max_n_frac": max_n_frac,
        "validation_windows": validation_windows,
        "epochs": epochs,
        "steps": steps,
        "batch_size": batch_size,
        "accumulate": accumulate,
        "lr": lr,
        "seed": seed,
    }
    settings, name = launch.choose_settings(
        model, preset=preset, objective=objective, changes={**changes, **parse_settings(set_)}
    )
    report = launch.pretrain(
        model,
        launch.DataChoice(
            tuple(fasta or ()),
            regions,
            exclude,
            options.split_names([contigs] if contigs else None),
            assembly,
            on,
            data_dir,
            offline,
        ),
        out,
        settings,
        preset=name,
        weights=weights,
        from_weights=from_weights,
        network=network,
        device=device,
        dtype=dtype,
        compiled=compiled,
        reporter=_reporter(),
        log_every=log_every,
        validate_every=validate_every,
        checkpoint_minutes=checkpoint_minutes,
        checkpoint_steps=checkpoint_steps,
        tensorboard=tensorboard,
        overwrite=overwrite,
    )
    if as_json:
        output.print_json(
            {
                "folder": str(report.folder),
                "steps": report.steps,
                "resumed_from": report.resumed_from,
                "seconds": report.seconds,
                "networks": list(report.networks),
                "validation": dict(report.validation),
            }
        )
        return
    shown = ", ".join(f"{name} {value:.4g}" for name, value in report.validation.items())
    print(
        f"{report.folder}: {report.steps} steps in {report.seconds:.0f} s" + (f"; validation {shown}" if shown else "")
    )
    print(f"use it as path:{report.folder}")


def parse_settings(values: list[str] | None) -> dict[str, Any]:
    """``["clip=1", "objective.alpha=0.9"]`` -> ``{"clip": 1, "objective_options": {"alpha": 0.9}}``; values are JSON or text.

    Raises:
        UsageError: an entry is not NAME=VALUE.
    """
    from findna_bench.errors import UsageError

    changes: dict[str, Any] = {}
    for entry in values or ():
        name, separator, text = entry.partition("=")
        if not separator or not name:
            raise UsageError(f"--set {entry!r}: write NAME=VALUE, e.g. --set objective.alpha=0.9")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        section, dot, key = name.strip().replace("-", "_").partition(".")
        if not dot:
            changes[section] = value
        elif section in ("objective", "backbone"):
            target = "objective_options" if section == "objective" else "backbone"
            changes.setdefault(target, {})[key] = value
        else:
            raise UsageError(f"--set {entry!r}: before the dot stands objective or backbone, not {section!r}")
    return changes


def _reporter() -> Any:
    if output.verbosity() < 0:
        return None
    return _Bar() if sys.stderr.isatty() else _Lines()


def _told(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:.4g}" for name, value in values.items())


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


class _Lines:
    """Dated lines on stderr, at most one every ten seconds."""

    def __init__(self) -> None:
        self._last = 0.0

    def _say(self, text: str) -> None:
        print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}", file=sys.stderr, flush=True)

    def started(self, total_steps: int, done: int, description: str) -> None:
        already = f", going on at step {done}" if done else ""
        self._say(f"{total_steps} steps on {description}{already}")

    def progress(self, step: int, total_steps: int, values: Mapping[str, float], seconds_left: float) -> None:
        if time.monotonic() - self._last < 10 and step < total_steps:
            return
        self._last = time.monotonic()
        self._say(f"step {step}/{total_steps}, {_duration(seconds_left)} left: {_told(values)}")

    def note(self, text: str) -> None:
        self._say(text)


class _Bar:
    """A bar on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("pretraining"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
        )
        self._task: Any = None

    def started(self, total_steps: int, done: int, description: str) -> None:
        self._progress.start()
        self._task = self._progress.add_task(description, total=total_steps, completed=done)

    def progress(self, step: int, total_steps: int, values: Mapping[str, float], seconds_left: float) -> None:
        shown = dict(list(values.items())[:4])
        self._progress.update(self._task, completed=step, description=f"{_duration(seconds_left)} left  {_told(shown)}")
        if step >= total_steps:
            self._progress.stop()

    def note(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)

    def __del__(self) -> None:
        self._progress.stop()
