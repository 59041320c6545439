"""``findna-bench check MODEL``: does a model behave as the harness needs it to?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from findna_bench.cli import options, output


def check(
    model: Annotated[str, typer.Argument(help="A model, as --models of `run` takes it.")],
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--weights", help="File or folder with the weights.", envvar=options.env("weights")),
    ] = None,
    device: options.Device = "auto",
    offline: options.Offline = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Load a model and test it: determinism, padding, batch, strands, lengths, gradients, tokens; exit 1 if a check fails."""
    from findna_bench.models.spec import parse_model
    from findna_bench.testing import check_model

    parse_model(model)  # a name that nobody knows is wrong usage, not a check that failed
    report = check_model(model, weights=weights, device=device, offline=offline)
    if json:
        output.print_json(report.to_dict())
    else:
        print(report.text())
    return 0 if report.passed else 1
