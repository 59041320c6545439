"""What ``findna-bench run`` and ``plan`` are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from findna_bench.cards import COMBINATIONS, POOLINGS
from findna_bench.errors import UsageError
from findna_bench.requests import shared
from findna_bench.requests.declarations import (
    Candidates,
    Flag,
    Names,
    Number,
    Numbers,
    Pairs,
    PathName,
    Seeds,
    Settings,
    Text,
    Whole,
    option,
    read_fields,
)
from findna_bench.requests.families import expand_families
from findna_bench.requests.split_choice import parse_split

__all__ = ["SELECTIONS", "SHARDS", "SHOT_VALIDATIONS", "STRANDS", "RunRequest"]

STRANDS = ("forward", "rc-mean", "rc-logit-mean", "rc-augment")
SELECTIONS = ("validation", "last", "test")
SHARDS = ("auto", "on", "off")
SHOT_VALIDATIONS = ("within", "full")
"""On what a few-shot fit chooses: on its shots alone, or on all validation rows of the task."""

_PROTOCOL, _RUNNING = "Protocol", shared.RUNNING


class _Split(Text):
    """``official``, ``grouped``, ``grouped:FOLD/K``, ``chromosome`` or ``chromosome:NAME[+NAME]``."""

    def read(self, value: Any, where: str) -> Any:
        if super().read(value, where) != "official":
            try:
                parse_split(value)
            except ValueError as error:
                raise UsageError(f"{where}: {error}") from error
        return value


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """All options of ``findna-bench run``; defaults are the protocol's.

    Every value may be given in any of its spellings: ``seeds=5``, ``seeds="0,1,2"`` or ``seeds=(0, 1, 2)``.

    Raises:
        UsageError: an option is wrong, or options contradict each other.

    Example:
        >>> RunRequest(models="findna-tiny,kmer", tasks="demo/species4", seeds=2).seeds
        (0, 1)
    """

    models: tuple[str, ...] = option(
        Names(),
        "Models, separated by commas; repeatable. family:PATTERN: every network whose folder is called so.",
        default=(),
        flags=("-m", "--models", "--model"),
    )
    name: str | None = shared.model_name()
    tasks: tuple[str, ...] = shared.tasks()
    suites: tuple[str, ...] = shared.suites()
    protocol: str = option(
        Text(),
        "probe, finetune (features that do not learn, such as k-mers, are probed), knn, or another of `list protocols`.",
        default="probe",
        panel=_PROTOCOL,
        in_ids="always",
    )
    preset: str = option(
        Text(),
        "Named settings of the protocol; see `list presets`. Fine-tuning's default chooses the learning rate on validation.",
        default="default",
        panel=_PROTOCOL,
        in_ids="always",
    )
    seeds: tuple[int, ...] = option(
        Seeds(), "A number (5) or a list (0,1,2).", default=(0, 1, 2, 3, 4), panel=_PROTOCOL
    )
    shots: tuple[int, ...] = option(
        Numbers(1, "shots are rows per class, 1 or more"),
        "Few-shot: train rows per class, e.g. 1,10,100; of values and states per base, rows in all; of several labels, rows per rarest label.",
        default=(),
        panel=_PROTOCOL,
    )
    shot_validation: str = option(
        Text(SHOT_VALIDATIONS),
        "Few-shot: choose settings within the shots (probe: cross-validation; fits that train longer: a part held out; "
        "one shot: fixed settings), or on the full validation rows beside them, which is flagged.",
        default="within",
        panel=_PROTOCOL,
    )
    weights: Mapping[str, str] = option(
        Pairs("NAME=PATH, e.g. --weights findna=model.pt"),
        "Take a model's weights from a file or folder.",
        default={},
        metavar="NAME=PATH",
    )
    network: str | None = option(
        Text(),
        "teacher or student, where a checkpoint holds both; teacher,student scores both, a row each.",
        default=None,
        panel=_PROTOCOL,
        in_ids="always",
    )
    pooling: str | tuple[str, ...] | None = option(
        Candidates(Text(POOLINGS)),
        "mean, mean_all, mean_bases, cls, last or max (default: the card's). Validation chooses among several (mean,max), or auto: the "
        "card's, mean, max and, where there is one, cls.",
        default=None,
        panel=_PROTOCOL,
        in_ids="always",
    )
    layer: int | str | tuple[int, ...] = option(
        Candidates(Whole()),
        "Hidden layer to take; -1 is the last. Validation chooses among several (1,2,-1), or auto: the last and those at three quarters, "
        "half and a quarter of the depth.",
        default=-1,
        panel=_PROTOCOL,
        in_ids="always",
    )
    combination: str | None = option(
        Text(COMBINATIONS),
        "Of pairs: how the vectors a and b of both sides become one (default: the card's; of files absdiff_product, [|a - b|, a * b], to which the "
        "order means nothing); concat, difference or concat_absdiff_product. Of variants that are probed, fine-tuned or compared with their nearest: "
        "a with the reference, b with the alternative (default: [a, b - a]).",
        default=None,
        panel=_PROTOCOL,
        in_ids="given",
    )
    strand: str = option(
        Text(STRANDS),
        "forward, rc-mean, rc-logit-mean or rc-augment.",
        default="forward",
        panel=_PROTOCOL,
        in_ids="always",
    )
    window: str | None = shared.window()
    split: str = option(
        _Split(),
        "official, grouped[:FOLD/K] (relatives stay on one side) or chromosome[:NAME+NAME] (held out for test); all folds as one result: "
        "grouped:*/5, chromosome:*.",
        default="official",
        panel=_PROTOCOL,
        in_ids="always",
    )
    selection: str = option(
        Text(SELECTIONS),
        "Choose settings and epochs on validation; last and test exist solely to reproduce papers, and are flagged.",
        default="validation",
        panel=_PROTOCOL,
        in_ids="always",
    )
    search: int | None = option(
        Whole(1, "at least 1 setting has to be tried"),
        "Fine-tuning: try N settings, the preset's among them and the same ones around every model's learning rate; keep the best on validation.",
        default=None,
        panel=_PROTOCOL,
        in_ids="given",
    )
    limit: int | None = option(
        Whole(2, "at least 2 rows of each split are needed"),
        "At most N rows per split, for trials; flagged.",
        default=None,
        flags=("-L", "--limit"),
        panel=_RUNNING,
        in_ids="always",
    )
    device: str = shared.device()
    dtype: str = shared.dtype()
    batch_size: int | str = shared.batch_size()
    threads: int = shared.threads()
    world_size: int = option(
        Whole(1, "at least one process computes"),
        "Processes that train one encoder together (--protocol finetune); torchrun, which starts them, says how many.",
        default=1,
        panel=_RUNNING,
        environment=False,
        in_ids="given",
    )
    shard: str = option(
        Text(SHARDS),
        "Processes of torchrun: share an encoder, its gradients and its optimiser among them, in place of a copy in each: auto (above "
        "1,000,000,000 parameters), on or off.",
        default="auto",
        panel=_RUNNING,
    )
    output_dir: Path = shared.results_dir(_RUNNING)
    data_dir: Path | None = shared.data_dir()
    drop_missing: bool = shared.drop_missing()
    target: str | None = shared.target()
    fasta: Path | None = option(
        PathName(),
        "Genome of variants or regions (BED) that a file knows by their places; a FASTA file.",
        default=None,
        panel=_PROTOCOL,
    )
    flank: int | None = option(
        Whole(1, "a window has at least 1 base on either side"),
        "Bases on either side of a variant (default: 256) or region (default: 0) that --fasta gives.",
        default=None,
        panel=_PROTOCOL,
        in_ids="given",
    )
    offline: bool = shared.offline()
    sanity: bool = option(
        Flag(),
        "Score trained weights even if they predict real sequence no better than chance. That a row is read alike alone, in a batch "
        "and again is checked in any case.",
        default=True,
        name="no-sanity",
        off="--no-sanity",
        panel=_RUNNING,
    )
    overwrite: str = option(
        Text(("never", "failed", "always")),
        "Compute again: never, failed or always.",
        default="failed",
        panel=_RUNNING,
        recorded=False,
    )
    fail_fast: bool = option(Flag(), "Stop at the first failure.", default=False, panel=_RUNNING, recorded=False)
    executor: str = option(Text(), "See `list executors`.", default="serial", panel=_RUNNING, recorded=False)
    workers: int = option(
        Whole(1, "at least one worker computes"),
        "Models computed at the same time (executor process), each in a process of its own; on one GPU they share its memory. slurm and "
        "ray: from 2 on, the most jobs at once.",
        default=1,
        panel=_RUNNING,
        recorded=False,
    )
    timeout_s: float | None = option(
        Number(above=0),
        "Seconds one model x task may take (any executor but serial).",
        default=None,
        name="timeout",
        panel=_RUNNING,
        recorded=False,
    )
    environment: Mapping[str, str] = option(
        Pairs("NAME=PATH, e.g. --environment old-model=envs/old/bin/python"),
        "Compute a model, or the models of a distribution, with another Python interpreter that has this harness.",
        default={},
        metavar="NAME=PATH",
        panel=_RUNNING,
        recorded=False,
    )
    slurm: Mapping[str, str] = option(
        Settings("NAME=VALUE,NAME=VALUE, e.g. --slurm partition=gpu,gres=gpu:1,time=8:00:00"),
        "What sbatch is to ask for (executor slurm), by the names of its long options.",
        default={},
        metavar="NAME=VALUE,...",
        panel=_RUNNING,
        recorded=False,
    )
    ray_address: str | None = option(
        Text(),
        "A running Ray cluster (executor ray); without it one is started on this machine.",
        default=None,
        panel=_RUNNING,
        recorded=False,
    )

    held: Mapping[str, Any] = field(default_factory=dict, repr=False, metadata={"in_json": False})
    """Models and tasks that are objects of this process, by the names that stand for them."""
    command: str | None = None
    """How the request was worded, for the record."""

    @property
    def choices(self) -> tuple[str, ...]:
        """Those of ``layer`` and ``pooling`` that validation is to choose."""
        return tuple(
            name
            for name in ("layer", "pooling")
            if (value := getattr(self, name)) == "auto" or isinstance(value, tuple)
        )

    def __post_init__(self) -> None:
        read_fields(self)
        expand_families(self)
        shared.give_name(self)
        if not self.models:
            raise UsageError("no model given; say --models NAME,NAME (see `findna-bench list models`)")
        if not self.tasks and not self.suites:
            raise UsageError("no task given; say --suite NAME or --tasks NAME (see `findna-bench list suites`)")
        if self.split != "official" and parse_split(self.split).every:
            for flag, given in (
                ("--limit", self.limit),
                ("--search", self.search),
                *((f"--{c}", True) for c in self.choices),
            ):
                if given is not None:
                    several = " with several values" if given is True else ""
                    raise UsageError(
                        f"--split {self.split} does not go with {flag}{several}; name one fold, or leave it out"
                    )
        if self.shot_validation == "full" and not self.shots:
            raise UsageError("--shot-validation full says how --shots are validated; add --shots, or leave it out")
        for flag, value, executor in (("--slurm", self.slurm, "slurm"), ("--ray-address", self.ray_address, "ray")):
            if value and self.executor != executor:
                raise UsageError(f"{flag} is for the executor {executor}; add --executor {executor}, or leave it out")
        if self.timeout_s is not None and self.executor == "serial":
            raise UsageError("--timeout needs a process that can be stopped; add --executor process")
        if self.workers > 1 and self.executor == "serial":
            raise UsageError(
                f"--workers {self.workers}: serial computes one model after the other; add --executor process"
            )
