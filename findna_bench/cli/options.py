"""Options that several verbs share, each also readable from ``FINDNA_BENCH_<OPTION>``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional, get_args, get_type_hints

import typer

from findna_bench.cli import output
from findna_bench.errors import ConfigError, UsageError

__all__ = [
    "DataDir",
    "Device",
    "Json",
    "Models",
    "Offline",
    "OutputDir",
    "Quiet",
    "Suites",
    "Tasks",
    "Verbose",
    "Weights",
    "env",
    "parse_batch_size",
    "parse_numbers",
    "parse_seeds",
    "parse_weights",
    "split_names",
    "with_config",
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


Models = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads this form on every Python it supports
    typer.Option("-m", "--models", "--model", help="Models, separated by commas; repeatable.", envvar=env("models")),
]
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
Weights = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--weights", metavar="NAME=PATH", help="Take a model's weights from a file or folder.", envvar=env("weights")
    ),
]
OutputDir = Annotated[Path, typer.Option("-o", "--output-dir", help="Results folder.", envvar=env("output-dir"))]
DataDir = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--data-dir", help="Data root (default: the user's data folder).", envvar=env("data-dir")),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.", envvar=env("device"))]
Offline = Annotated[bool, typer.Option("--offline", help="Open no socket.", envvar=env("offline"))]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout and nothing else.", envvar=env("json"))]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="Say only what was asked for.", callback=_quiet, is_eager=True)
]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Say more; show tracebacks.", callback=_verbose, is_eager=True)
]


def split_names(values: list[str] | None) -> tuple[str, ...]:
    """``["a,b", "c"]`` -> ``("a", "b", "c")``, each once, in order."""
    names = (part.strip() for value in values or () for part in value.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def parse_seeds(text: str) -> tuple[int, ...]:
    """``"5"`` -> 0..4; ``"0,1,7"`` -> these; ``"3,"`` -> only seed 3.

    Raises:
        UsageError: not of that form.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts if part) or not any(parts):
        raise UsageError(f"--seeds {text!r}: give a number of seeds (5) or a list of seeds (0,1,2)")
    if len(parts) == 1:
        if int(parts[0]) < 1:
            raise UsageError("--seeds 0: at least one seed is needed")
        return tuple(range(int(parts[0])))
    return tuple(dict.fromkeys(int(part) for part in parts if part))


def parse_weights(values: list[str] | None) -> dict[str, str]:
    """``["findna=/a.pt"]`` -> ``{"findna": "/a.pt"}``.

    Raises:
        UsageError: an entry is not NAME=PATH.
    """
    pairs = {}
    for value in values or ():
        name, separator, path = value.partition("=")
        if not separator or not name or not path:
            raise UsageError(f"--weights {value!r}: write NAME=PATH, e.g. --weights findna=model.pt")
        pairs[name.strip()] = path.strip()
    return pairs


def parse_numbers(text: str | None, option: str) -> tuple[int, ...]:
    """``"1,10"`` -> ``(1, 10)``; None -> ``()``.

    Raises:
        UsageError: not numbers.
    """
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"{option} {text!r}: give whole numbers separated by commas")
    return tuple(dict.fromkeys(int(part) for part in parts))


def parse_batch_size(text: str) -> int | str:
    """``"auto"`` or a positive number.

    Raises:
        UsageError: neither.
    """
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--batch-size {text!r}: give auto or a positive number")
    return int(text)


def with_config(ctx: typer.Context, config: Path | None) -> dict[str, Any]:
    """The verb's options with a TOML file filled in where neither flag nor environment gave one.

    Keys of the file are option names (``output-dir`` or ``output_dir``), at the top level or in a table named after
    the verb.

    Raises:
        ConfigError: the file cannot be read, or holds a key that is no option.
    """
    values = dict(ctx.params)
    if config is None:
        return values
    import tomllib

    try:
        content = tomllib.loads(config.read_text())
    except OSError as error:
        raise ConfigError(f"cannot read configuration {config}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration {config} is not valid TOML: {error}") from error
    table = {k: v for k, v in content.items() if not isinstance(v, dict) or k == "weights"} | content.get(
        ctx.command.name or "", {}
    )
    hints = get_type_hints(ctx.command.callback)
    for key, value in table.items():
        name = key.replace("-", "_")
        if name == "suites":
            name = "suite"
        if name not in values or name in ("config", "json", "quiet", "verbose"):
            raise ConfigError(f"configuration {config}: {key!r} is no option of {ctx.command.name}; see `--help`")
        source = ctx.get_parameter_source(name)
        if source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT"):
            continue
        values[name] = _as_option(name, value, hints[name], f"configuration {config}: {key}")
    return values


_TOML_VALUES: tuple[tuple[type, Any, str], ...] = (
    (bool, bool, "true or false"),
    (int, int, "a whole number"),
    (float, int | float, "a number"),
    (str, str, "text in quotes"),
)
"""What a TOML value must be for an option of each type."""


def _as_option(name: str, value: Any, hint: Any, where: str) -> Any:
    """A TOML value in the form the command line would have given it."""
    if name in ("models", "tasks", "suite", "weights"):
        if name == "weights" and isinstance(value, dict):
            return [f"{model}={path}" for model, path in value.items()]
        return [str(part) for part in (value if isinstance(value, list) else [value])]
    if name in ("seeds", "shots"):
        if isinstance(value, list):
            return ",".join(str(part) for part in value) + ("," if len(value) == 1 and name == "seeds" else "")
        return str(value)
    if name in ("output_dir", "data_dir"):
        return Path(str(value)).expanduser()
    if name == "batch_size":
        return str(value)
    for kind, types, words in _TOML_VALUES:
        if kind in (hint, *get_args(hint)) and (
            not isinstance(value, types) or (isinstance(value, bool) and kind is not bool)
        ):
            raise ConfigError(f"{where}: {words} is expected, not {value!r}")
    return value
