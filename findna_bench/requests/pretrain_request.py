"""What ``findna-bench pretrain`` is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from findna_bench.errors import UsageError
from findna_bench.requests import shared
from findna_bench.requests.declarations import (
    Flag,
    Names,
    Number,
    Pairs,
    PathName,
    PathNames,
    Text,
    Whole,
    option,
    read_fields,
)

__all__ = ["PretrainRequest"]

_DATA, _TRAINING, _RUNNING = "Data", "Training", "Running"
_SETTINGS = (
    "windows", "window_length", "sampling", "max_n_frac", "validation_windows", "epochs", "steps", "batch_size", "accumulate", "lr",
    "seed",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PretrainRequest:
    """All options of ``findna-bench pretrain``; what is None is the preset's.

    Raises:
        UsageError: not exactly one of ``fasta`` and ``on`` says what to pretrain on.

    Example:
        >>> PretrainRequest(model="findna-tiny", output=Path("m"), fasta=(Path("hg38.fa"),), steps=100).changes()
        {'steps': 100}
    """

    model: str = option(Text(), "A model, path:FOLDER, or a backbone together with --objective.", positional=True)
    output: Path = option(
        PathName(), "Folder of the run and of the model it makes.", flags=("-o", "--output"), environment=False
    )
    fasta: tuple[Path, ...] = option(PathNames(), "Genome, plain or gzipped; repeatable.", default=(), panel=_DATA)
    regions: Path | None = option(PathName(), "BED: windows lie inside these.", default=None, panel=_DATA)
    exclude: Path | None = option(PathName(), "BED: windows touch none of these.", default=None, panel=_DATA)
    contigs: tuple[str, ...] = option(Names(), "Contigs to draw from, by commas.", default=(), panel=_DATA)
    assembly: str = option(
        Text(), "Assembly of the FASTA, e.g. GRCh38: says later which test loci were read.", default="", panel=_DATA
    )
    on: str | None = option(Text(), "Continue on this task's train split (labels unused).", default=None, panel=_DATA)
    windows: int | None = option(Whole(), "Training windows to draw.", default=None, panel=_DATA)
    window_length: int | None = option(Whole(), "Bases per window.", default=None, panel=_DATA)
    sampling: str | None = option(Text(), "uniform-chromosome or length-weighted.", default=None, panel=_DATA)
    max_n_frac: float | None = option(Number(), "Largest share of N in a window.", default=None, panel=_DATA)
    validation_windows: int | None = option(
        Whole(), "Windows held out for the validation loss; 0 = none.", default=None, panel=_DATA
    )
    preset: str | None = option(
        Text(), "Named settings; default: the model's.", default=None, environment=False, panel=_TRAINING
    )
    objective: str | None = option(Text(), "See `list objectives`.", default=None, panel=_TRAINING)
    epochs: int | None = option(Whole(), "Passes over the windows.", default=None, panel=_TRAINING)
    steps: int | None = option(Whole(), "Optimiser steps; overrules --epochs.", default=None, panel=_TRAINING)
    batch_size: int | None = option(
        Whole(), "Sequences per optimiser step, over all processes.", default=None, environment=False, panel=_TRAINING
    )
    accumulate: int | None = option(Whole(), "Micro-batches per optimiser step.", default=None, panel=_TRAINING)
    lr: float | None = option(Number(), "Peak learning rate.", default=None, panel=_TRAINING)
    seed: int | None = option(
        Whole(), "Decides weights, windows, order, views.", default=None, environment=False, panel=_TRAINING
    )
    recipe: str | None = option(
        Text(),
        "Augmentations of the views, by names or letters: student's + teacher's; a single view where there is one network.",
        default=None,
        panel=_TRAINING,
    )
    set: Mapping[str, Any] = option(
        Pairs("NAME=VALUE, e.g. --set objective.alpha=0.9"),
        "Any other setting; objective.NAME, backbone.NAME too; repeatable.",
        default={},
        metavar="NAME=VALUE",
        environment=False,
        panel=_TRAINING,
    )
    weights: Path | None = option(
        PathName(), "Start from this file or folder.", default=None, environment=False, panel=_TRAINING
    )
    from_weights: bool = option(
        Flag(),
        "Start from the model's own weights.",
        default=False,
        flags=("--from-weights/--from-random",),
        panel=_TRAINING,
    )
    network: str | None = option(
        Text(), "Which network of a checkpoint to start from.", default=None, environment=False, panel=_TRAINING
    )
    device: str = shared.device()
    dtype: str = shared.dtype()
    threads: int = shared.threads()
    compile: bool = option(
        Flag(), "Compile the blocks.", default=False, flags=("--compile/--no-compile",), panel=_RUNNING
    )
    log_every: int = option(Whole(1), "Steps per row of log.csv.", default=50, panel=_RUNNING)
    validate_every: int | None = option(Whole(1), "Steps; default: every epoch.", default=None, panel=_RUNNING)
    checkpoint_minutes: float = option(Number(), "Minutes between checkpoints.", default=10.0, panel=_RUNNING)
    checkpoint_steps: int | None = option(Whole(1), "Also every so many steps.", default=None, panel=_RUNNING)
    tensorboard: bool = option(Flag(), "Log for TensorBoard, too.", default=False, panel=_RUNNING)
    overwrite: bool = option(
        Flag(), "Begin again in a folder that holds a run.", default=False, environment=False, panel=_RUNNING
    )
    data_dir: Path | None = shared.data_dir()
    drop_missing: bool = shared.drop_missing()
    offline: bool = shared.offline()

    def __post_init__(self) -> None:
        read_fields(self)
        if bool(self.fasta) == (self.on is not None):
            raise UsageError("say what to pretrain on: --fasta FILE, or --on TASK (one of the two)")

    def changes(self) -> dict[str, Any]:
        """The settings that were given, by the names of the training settings; values of ``set`` are JSON or text.

        Raises:
            UsageError: before a dot in ``set`` stands neither objective nor backbone.
        """
        changes = {name: value for name in _SETTINGS if (value := getattr(self, name)) is not None}
        if self.recipe is not None:
            changes["objective_options"] = {"recipe": self.recipe}
        for entry, text in self.set.items():
            section, dot, key = entry.replace("-", "_").partition(".")
            if not dot:
                changes[section] = _json_or_text(text)
            elif section in ("objective", "backbone"):
                target = "objective_options" if section == "objective" else "backbone"
                changes.setdefault(target, {})[key] = _json_or_text(text)
            else:
                raise UsageError(f"--set {entry}={text}: before the dot stands objective or backbone, not {section!r}")
        return changes


def _json_or_text(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
