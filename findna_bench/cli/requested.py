"""Turns a request into the options of a verb: flags, environment variables and a configuration file, all by its declarations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Optional, TypeVar, get_origin, get_type_hints

import typer

from findna_bench.cli.options import Quiet, Verbose
from findna_bench.errors import ConfigError, UsageError
from findna_bench.requests.declarations import Flag, Option, build, options_of
from findna_bench.requests.shared import RUNNING

__all__ = ["requested"]

Verb = TypeVar("Verb", bound=Callable[..., Any])

Config = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads this form on every Python it supports
    typer.Option(
        "-C",
        "--config",
        help="TOML file with any of these options.",
        envvar="FINDNA_BENCH_CONFIG",
        rich_help_panel=RUNNING,
    ),
]


def requested(request: type[Any]) -> Callable[[Verb], Callable[..., Any]]:
    """Make a verb of a function whose first argument is a request of that class; its other arguments are options of its own.
    Every such verb has ``--quiet`` and ``--verbose`` as well.

    A flag wins over the environment, the environment over the file given with ``--config``, the file over the default.
    """

    def decorate(function: Verb) -> Callable[..., Any]:
        options = options_of(request)
        hints = get_type_hints(function, include_extras=True)
        own = list(inspect.signature(function).parameters.values())[1:]

        def command(ctx: typer.Context, **values: Any) -> Any:
            config = values.pop("config")
            given = {o.field: _value_of(o, o.kind.from_shell(values[o.field])) for o in options if _was_given(ctx, o)}
            file = {} if config is None else _read_config(config, ctx.command.name or "", options)
            mine = build(request, {**file, **given})
            return function(mine, **{parameter.name: values[parameter.name] for parameter in own})

        parameters = [
            inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
            *(_parameter(found) for found in options),
            inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Config),
            *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[p.name]) for p in own),
            inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Quiet),
            inspect.Parameter("verbose", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Verbose),
        ]
        command.__name__, command.__doc__, command.__module__ = function.__name__, function.__doc__, function.__module__
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def _parameter(found: Option) -> inspect.Parameter:
    """The declaration in the form typer reads."""
    kind: Any = found.kind.shell_type
    required = found.default is ...
    if found.off:
        default: Any = False
    elif required:
        default = inspect.Parameter.empty
    else:
        default = _shown_default(found)
    hint = kind if required or (kind is bool and default is not None) else kind | None
    settings: dict[str, Any] = {"help": found.help, "envvar": found.variable if found.environment else None}
    if not found.flags:
        info: Any = typer.Argument(help=found.help, metavar=found.metavar)
    else:
        info = typer.Option(*found.flags, metavar=found.metavar, rich_help_panel=found.panel or None, **settings)
    return inspect.Parameter(
        found.field, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, info]
    )


def _shown_default(found: Option) -> Any:
    """A default as a shell would write it, for the help text."""
    if found.default is None or get_origin(found.kind.shell_type) is list:
        return None
    if isinstance(found.kind, Flag):
        return found.default
    if found.kind.shell_type is str:
        return found.kind.words("", found.default)[1] or None
    return found.default


def _was_given(ctx: typer.Context, found: Option) -> bool:
    source = ctx.get_parameter_source(found.field)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def _value_of(found: Option, value: Any) -> Any:
    return not value if found.off else value


def _read_config(path: Path, verb: str, options: tuple[Option, ...]) -> dict[str, Any]:
    """Values by field: keys are option names (``output-dir`` or ``output_dir``), at the top level or in a table named after
    the verb.

    Raises:
        ConfigError: the file cannot be read, or holds a key that is no option, or a value that is none of the option's.
    """
    import tomllib

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration {path} is not valid TOML: {error}") from error
    by_name = {name: found for found in options for name in _spellings(found)}
    # A table is either an option's own (weights) or holds the options of one verb.
    table = {k: v for k, v in content.items() if not isinstance(v, dict) or k.replace("-", "_") in by_name}
    found_values: dict[str, Any] = {}
    for key, value in {**table, **_table(content, verb)}.items():
        found = by_name.get(key.replace("-", "_"))
        if found is None:
            raise ConfigError(f"configuration {path}: {key!r} is no option of {verb}; see `--help`")
        value = _value_of(found, value) if found.off and key.replace("-", "_") != found.field else value
        try:
            found.read(value, f"configuration {path}: {key}")
        except UsageError as error:
            raise ConfigError(str(error)) from error
        found_values[found.field] = value
    return found_values


def _table(content: Mapping[str, Any], verb: str) -> dict[str, Any]:
    value = content.get(verb, {})
    return value if isinstance(value, dict) else {}


def _spellings(found: Option) -> set[str]:
    """Keys that mean an option: its name, its field and every long spelling of its flag."""
    long = (part for flag in (*found.flags, found.off) for part in flag.split("/") if part.startswith("--"))
    return {name.replace("-", "_") for name in (found.name, found.field, *(part[2:] for part in long))}
