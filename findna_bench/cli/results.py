"""``findna-bench results export|bundle|merge``: results for others, and of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from findna_bench.cli import options, output
from findna_bench.cli.examples import epilog
from findna_bench.cli.help_groups import GroupedCommand
from findna_bench.errors import UsageError

app = typer.Typer(
    help="Give results to others: export them in other forms, bundle them to be verified, merge folders.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Old = Annotated[Optional[Path], typer.Argument(hidden=True)]  # noqa: UP045 - typer reads this form on every Python it supports


@app.command("export", cls=GroupedCommand, epilog=epilog("results export"))
def export(
    old: _Old = None,
    to: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--to",
            help="A table, whose suffix says how it is written: .csv, .parquet or .jsonl; a folder for --format geneb and mteb.",
        ),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table, geneb or mteb.")] = "table",
    output_dir: options.OutputDir = Path("results"),
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Write results as one table, as GENEB submissions, or as MTEB-style files."""
    from findna_bench.results.export import check_form
    from findna_bench.results.export import export as write
    from findna_bench.results.store import ResultStore

    out = _target("export", "table.csv", to, old)
    check_form(form, out)
    paths = write(ResultStore.existing(output_dir).load(output.complain), form, out)
    output.remark(f"wrote {len(paths)} file{'' if len(paths) == 1 else 's'} to {out}")


@app.command("bundle", cls=GroupedCommand, epilog=epilog("results bundle"))
def bundle(
    old: _Old = None,
    to: Annotated[Optional[Path], typer.Option("--to", help="The .tar.gz to write.")] = None,  # noqa: UP045
    output_dir: options.OutputDir = Path("results"),
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Pack results and predictions into one archive with digests; `verify` checks it."""
    from findna_bench.results.bundle import write_bundle
    from findna_bench.results.store import ResultStore

    archive = _target("bundle", "results.tar.gz", to, old)
    if not archive.name.lower().endswith((".tar.gz", ".tgz")):
        raise UsageError(f"--to {archive}: a bundle is a .tar.gz; give it that suffix")
    root = ResultStore.existing(output_dir).root
    output.remark(f"packed {write_bundle(root, archive, output.complain)} files into {archive}")


@app.command("merge", cls=GroupedCommand, epilog=epilog("results merge"))
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Results folders, which are only read.")],
    output_dir: options.OutputDir = Path("results"),
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Bring the results of several folders into one (-o), which may hold some already.

    Cells that several folders hold with the same scores are taken once. Where scores contradict each other, the cell is named and copied from
    none, and the exit code is 1.
    """
    from findna_bench.results.merging import merge as bring_together

    done = bring_together(folders, output_dir, output.complain)
    for line in done.conflicts:
        output.complain(f"conflict: {line}")
    output.remark(
        f"{done.copied} results copied to {output_dir}, {done.present} there already or alike, {done.settled} failures settled by a "
        f"number, {len(done.conflicts)} conflicts"
    )
    return int(bool(done.conflicts))


def _target(verb: str, example: str, to: Path | None, old: Path | None) -> Path:
    """Where to write, by ``--to`` or as versions before 0.2 took it.

    Raises:
        UsageError: neither says, or both.
    """
    if (to is None) == (old is None):
        raise UsageError(f"say where to write: `results {verb} --to {example}`")
    if to is not None:
        return to
    output.complain(f"note: `results {verb} {old}` is now `results {verb} --to {old}`", name="")
    assert old is not None
    return old
