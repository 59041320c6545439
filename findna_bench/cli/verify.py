"""``findna-bench verify``: do results hold what they say?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from findna_bench.cli import options, output
from findna_bench.requests.declarations import Pairs

if TYPE_CHECKING:
    from findna_bench.matrix.verification import Verification

_LIMITS = (
    "someone who made everything anew, consistently, is found only by --rerun, which computes cells again, or by a bundle's signature, "
    "which --key checks"
)


def verify(
    results: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads this form on every Python it supports
        typer.Argument(help="A results folder, or a bundle made by `results bundle`."),
    ] = None,
    output_dir: options.OutputDir = Path("results"),
    rerun: Annotated[int, typer.Option("--rerun", help="Compute this many cells again and compare.")] = 0,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="How far a recomputed main metric may lie off.")
    ] = 1e-3,
    places: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads this form on every Python it supports
        typer.Option(
            "--map",
            metavar="NAME=PATH",
            help="Where a file or folder that results name lies now; its digest is checked.",
        ),
    ] = None,
    key: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--key",
            metavar="KEY",
            help="Public key (a .pub file, or the line in it) that the bundle is to be signed with.",
        ),
    ] = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Check digests, ids, flags, metrics and intervals of results against themselves, their predictions, and data that are here.

    Exit 1 if something does not hold, or if there is no result. What was changed in one place shows; someone who made everything
    anew, consistently, is found only by --rerun, which computes cells again, or by the signature of a bundle (--key), which is checked before anything is unpacked.
    """
    from findna_bench.matrix.verification import verify as check

    mapped = {name: Path(path) for name, path in Pairs("--map my.csv=PATH").read(places or (), "--map").items()}
    found = check(results or output_dir, rerun=rerun, tolerance=tolerance, places=mapped, data_dir=data_dir, key=key)
    if json:
        output.print_json(asdict(found))
    else:
        _print(found)
        output.remark(_LIMITS)
    return int(bool(found.findings))


def _print(found: Verification) -> None:
    for finding in found.findings:
        output.answer(f"{finding.path}: {finding.problem}")
    for kind, check in found.checks.items():
        missing = "; ".join(f"{n} not: {reason}" for reason, n in check.not_done.items())
        output.answer(f"{kind}: {check.done} checked{f'; {missing}' if missing else ''}")
    if found.rerun or found.not_rerun:
        missing = "; ".join(f"{n} not: {reason}" for reason, n in found.not_rerun.items())
        output.answer(f"rerun: {found.rerun} computed again{f'; {missing}' if missing else ''}")
    for note in found.notes:
        output.answer(f"note: {note}")
    n = len(found.findings)
    output.answer(
        f"{found.results} result{'' if found.results == 1 else 's'}, {found.rerun} computed again: "
        f"{n or 'no'} problem{'' if n == 1 else 's'}"
    )
