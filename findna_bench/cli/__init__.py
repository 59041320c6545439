"""The command line: one module per verb. It parses, calls one function, prints; it decides nothing."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Optional

import typer

from findna_bench import __version__
from findna_bench.cli import output
from findna_bench.errors import BenchError

__all__ = ["app", "main"]

_INTERRUPTED = 130

app = typer.Typer(
    name="findna-bench",
    help="Benchmarks DNA models under one protocol: probing, fine-tuning, audits, costs, leaderboards.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        print(f"findna-bench {__version__}")
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


def _register() -> None:
    """Verb modules import nothing heavy, so that ``--help`` is fast."""
    from findna_bench.cli import (
        audit,
        cache,
        check,
        compare,
        describe,
        embed,
        fetch,
        leaderboard,
        list_,
        plan,
        pretrain,
        profile,
        results,
        run,
        verify,
    )

    app.command("run")(run.run)
    app.command("plan")(plan.plan)
    app.command("fetch")(fetch.fetch)
    app.command("audit")(audit.audit)
    app.command("pretrain")(pretrain.pretrain)
    app.command("profile")(profile.profile)
    app.command("check")(check.check)
    app.command("embed")(embed.embed)
    app.command("leaderboard")(leaderboard.leaderboard)
    app.command("compare")(compare.compare)
    app.command("verify")(verify.verify)
    app.add_typer(results.app, name="results")
    app.add_typer(cache.app, name="cache")
    app.command("list")(list_.list_)
    app.command("describe")(describe.describe)


_register()


def main() -> None:
    """Entry point: user errors are one sentence on stderr; exit codes 0, 1, 2, 130."""
    try:
        code = app(standalone_mode=False)
    except BenchError as error:
        _fail(error, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # click's own usage errors
            error.show()
            sys.exit(error.exit_code)
        _fail(error, 1, internal=True)
    if code == _INTERRUPTED:  # some versions of typer return this code instead of raising
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
    sys.exit(code or 0)


def _fail(error: Exception, code: int, *, internal: bool = False) -> None:
    if output.verbosity() > 0:
        raise error
    what = (
        f"internal error, please report it ({type(error).__name__}: {error}); -v shows where"
        if internal
        else str(error)
    )
    print(f"findna-bench: {what}", file=sys.stderr)
    sys.exit(code)
