"""The command line: one module per verb. It parses, calls one function, prints; it decides nothing."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Optional

import typer

from findna_bench import __version__
from findna_bench.cli import output, streams
from findna_bench.cli.verbs import Verbs
from findna_bench.errors import BenchError

__all__ = ["app", "main"]

_INTERRUPTED = 130
"""What some versions of typer return instead of raising."""

app = typer.Typer(
    name="findna-bench",
    cls=Verbs,
    help="Benchmarks DNA models under one protocol: probing, fine-tuning, audits, costs, leaderboards.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        output.answer(f"findna-bench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
    no_plugin: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads this form on every Python it supports
        typer.Option(
            "--no-plugin",
            metavar="NAME",
            help="Leave out an installed plugin, by its name or distribution; repeatable. Stands before the verb.",
            envvar="FINDNA_BENCH_NO_PLUGIN",
        ),
    ] = None,
) -> None:
    if no_plugin:  # processes that this one starts leave it out, too
        os.environ["FINDNA_BENCH_NO_PLUGIN"] = ",".join(no_plugin)


def main() -> None:
    """Entry point: user errors are one sentence on stderr; exit codes 0, 1, 2, and 128 more than the signal that interrupted."""
    streams.prepare_streams()
    streams.raise_on_termination()
    output.set_verbosity(0)  # of this call, not of one before in the same process
    try:
        code = _run()
        streams.finish_streams()
    except BrokenPipeError:  # nobody reads the answer any more
        code = 1
    except BenchError as error:
        code = _complain(error, error.exit_code)
    sys.exit(code)


def _run() -> int:
    """One verb, and its exit code."""
    try:
        code = app(standalone_mode=False)
    except BenchError as error:
        return _complain(error, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except BrokenPipeError:
        raise
    except (Exception, SystemExit) as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # click's own usage errors
            error.show()
            return int(error.exit_code)
        return _stopped(error)
    if code == _INTERRUPTED:
        output.complain("interrupted; the same command goes on where this one stopped", name="")
        return 128 + streams.interrupted_by()
    return int(code or 0)


def _stopped(error: Exception | SystemExit) -> int:
    """Of an error that has no words for the user: a plugin's is said to be its own."""
    from findna_bench.plugin_code import plugin_fault
    from findna_bench.registry import get_registry

    if fault := plugin_fault(error, get_registry().strangers):
        fault.__cause__ = error
        return _complain(fault, fault.exit_code)
    if isinstance(error, SystemExit):
        raise error
    return _complain(error, 1, internal=True)


def _complain(error: Exception, code: int, *, internal: bool = False) -> int:
    if output.verbosity() > 0:
        output.complain("".join(traceback.format_exception(error)).rstrip(), name="")
    else:
        kind = f"internal error, please report it ({type(error).__name__}: {error}); -v shows where"
        output.complain(kind if internal else str(error))
    return code
