"""Options that several verbs share, each also readable from ``FINDNA_BENCH_<OPTION>``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from findna_bench.cli import output
from findna_bench.requests.shared import DROP_MISSING_HELP, PROTOCOL, RUNNING, TARGET_HELP

__all__ = [
    "DataDir",
    "Device",
    "DropMissing",
    "Json",
    "Offline",
    "OutputDir",
    "Quiet",
    "Suites",
    "Target",
    "Tasks",
    "Verbose",
    "env",
    "split_names",
]


def env(option: str) -> str:
    """The environment variable of an option."""
    return "FINDNA_BENCH_" + option.upper().replace("-", "_")


def _quiet(value: bool) -> bool:
    if value:
        output.set_verbosity(-1)
    return value


def _verbose(value: bool) -> bool:
    if value:
        output.set_verbosity(1)
    return value


Tasks = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "-t", "--tasks", "--task", help="Tasks (suite/task, a bare name, or a path); repeatable.", envvar=env("tasks")
    ),
]
Suites = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--suite", "--benchmark", help="A named list of tasks; repeatable.", envvar=env("suite")),
]
OutputDir = Annotated[Path, typer.Option("-o", "--output-dir", help="Results folder.", envvar=env("output-dir"))]
DataDir = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--data-dir",
        help="Data root (default: the user's data folder).",
        envvar=env("data-dir"),
        rich_help_panel=RUNNING,
    ),
]
DropMissing = Annotated[
    bool, typer.Option("--drop-missing", help=DROP_MISSING_HELP, envvar=env("drop-missing"), rich_help_panel=RUNNING)
]
Target = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--target", help=TARGET_HELP, envvar=env("target"), rich_help_panel=PROTOCOL),
]
Device = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.", envvar=env("device"), rich_help_panel=RUNNING)
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Open no socket.", envvar=env("offline"), rich_help_panel=RUNNING)
]
Json = Annotated[
    bool, typer.Option("--json", help="JSON on stdout and nothing else.", envvar=env("json"), rich_help_panel=RUNNING)
]
Quiet = Annotated[
    bool,
    typer.Option(
        "-q", "--quiet", help="Say only what was asked for.", callback=_quiet, is_eager=True, rich_help_panel=RUNNING
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "-v", "--verbose", help="Say more; show tracebacks.", callback=_verbose, is_eager=True, rich_help_panel=RUNNING
    ),
]


def split_names(values: list[str] | None) -> tuple[str, ...]:
    """``["a,b", "c"]`` -> ``("a", "b", "c")``, each once, in order."""
    names = (part.strip() for value in values or () for part in value.split(","))
    return tuple(dict.fromkeys(name for name in names if name))
