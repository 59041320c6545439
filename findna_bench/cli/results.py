"""``findna-bench results export|bundle|keygen|merge|push|pull``: results for others, and of others."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from findna_bench.cli import options, output
from findna_bench.cli.examples import epilog
from findna_bench.cli.help_groups import GroupedCommand
from findna_bench.errors import OfflineError, UsageError

if TYPE_CHECKING:
    from findna_bench.results.merging import Merged

app = typer.Typer(
    help="Give results to others: export them in other forms, bundle and sign them to be verified, merge folders, push and pull.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

PASSPHRASE = "FINDNA_BENCH_PASSPHRASE"
"""Environment variable: the passphrase of a secret key, where nobody can type it."""

_Sign = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--sign", metavar="KEY", help="Sign with this secret key (`results keygen`), into ARCHIVE.minisig."),
]
_Repository = Annotated[str, typer.Argument(metavar="OWNER/NAME", help="A dataset repository on the hub.")]
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
    sign: _Sign = None,
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
    signed = _signer(sign)
    output.remark(f"packed {write_bundle(root, archive, output.complain)} files into {archive}")
    if signed is not None:
        output.remark(f"signed: {signed(archive)}")


@app.command("keygen", cls=GroupedCommand, epilog=epilog("results keygen"))
def keygen(
    name: Annotated[Path, typer.Argument(help="Writes NAME.key, the secret key, and NAME.pub, the public one.")],
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Leave the secret key unencrypted, for machines that sign alone.")
    ] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Make a pair of keys to sign bundles with, in the format of minisign."""
    from findna_bench.results.signing import make_keys

    secret, public = (name.with_name(f"{name.name}.{suffix}") for suffix in ("key", "pub"))
    passphrase = None if no_passphrase else _new_passphrase()
    key = make_keys(secret, public, passphrase)
    output.remark(f"key {key}: {secret} signs and stays yours, {public} is for those who check")


@app.command("push", cls=GroupedCommand, epilog=epilog("results push"))
def push(
    repository: _Repository,
    name: Annotated[
        str, typer.Option("--name", help="Name of the bundle there; one of that name is replaced.")
    ] = "results",
    sign: _Sign = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private, where it is made now.")
    ] = False,
    pull_request: Annotated[
        bool, typer.Option("--pull-request", help="Propose the commit, in a repository of others.")
    ] = False,
    output_dir: options.OutputDir = Path("results"),
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Put results into a dataset repository on the Hugging Face hub, as one bundle (bundles/NAME.tar.gz)."""
    from findna_bench.results.hub_repository import push as send
    from findna_bench.results.store import ResultStore

    _online(offline)
    done = send(
        ResultStore.existing(output_dir).root,
        repository,
        name,
        sign=_signer(sign),
        private=private,
        pull_request=pull_request,
        left_out=output.complain,
    )
    output.remark(f"pushed {done.files} files: {done.address}")


@app.command("pull", cls=GroupedCommand, epilog=epilog("results pull"))
def pull(
    repository: _Repository,
    names: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--name", help="The bundle to take; repeatable. All, where none is named."),
    ] = None,
    revision: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--revision", help="Branch, tag or commit of the repository (default: the newest)."),
    ] = None,
    key: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--key", metavar="KEY", help="Public key that every bundle is to be signed with."),
    ] = None,
    output_dir: options.OutputDir = Path("results"),
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Bring the results of a dataset repository on the Hugging Face hub into a folder (-o), which may hold some already.

    Digests, names, sizes and the schema are checked before anything is taken; `verify` checks the rest. Cells whose scores contradict
    each other are named and not taken, and the exit code is 1.
    """
    from findna_bench.results.hub_repository import pull as fetch

    _online(offline)
    done = fetch(repository, output_dir, names=names or (), revision=revision, key=key, left_out=output.complain)
    output.remark(f"{', '.join(done.names)} of {repository} at {done.revision[:12]}")
    return _tell(done.merged, output_dir)


def _online(offline: bool) -> None:
    if offline:
        raise OfflineError("the hub is on the network, which --offline forbids; leave it out")


def _signer(secret: Path | None) -> Callable[[Path], Path] | None:
    """What signs with a key, which is opened before anything is packed; None where there is none."""
    from findna_bench.results.signing import signer

    if secret is None:
        return None
    return signer(secret, lambda: _passphrase(f"Passphrase of {secret.name}"), output.complain)


def _passphrase(question: str, *, twice: bool = False) -> str:
    """From the environment, or as it is typed.

    Raises:
        UsageError: neither is there.
    """
    if (given := os.environ.get(PASSPHRASE)) is not None:
        return given
    if not sys.stdin.isatty():
        raise UsageError(f"{question} is needed; set {PASSPHRASE}, or start the command on a terminal")
    return str(typer.prompt(question, hide_input=True, confirmation_prompt=twice, err=True))


def _new_passphrase() -> str:
    passphrase = _passphrase("Passphrase of the new key", twice=True)
    if not passphrase:
        raise UsageError("an empty passphrase protects nothing; give one, or say --no-passphrase")
    return passphrase


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
    return _tell(done, output_dir)


def _tell(done: Merged, output_dir: Path) -> int:
    """What came of a merge; 1 where scores contradict each other."""
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
