"""``findna-bench check NAME``: does what a plugin registers behave as the harness needs it to?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from findna_bench.cli import options, output


def check(
    name: Annotated[
        str,
        typer.Argument(
            help="A model or task, as `run` takes them, a suite, backbone, objective, augmentation, target, metric, protocol, preset, "
            "executor, file of published figures, or a distribution: everything it brings."
        ),
    ],
    kind: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--kind", help="Which one, where several kinds have the name: models, tasks, suites, ..."),
    ] = None,
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--weights", help="File or folder with a model's weights.", envvar=options.env("weights")),
    ] = None,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    offline: options.Offline = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Load one thing, or all of a distribution, and test it on a tiny example: what it promises and names, determinism, batches, shapes;
    exit 1 if a check fails."""
    from findna_bench.testing import check as run_checks
    from findna_bench.testing import kinds_of

    report = run_checks(
        name, kind, weights=weights, device=device, data_dir=data_dir, offline=offline, progress=output.remark
    )
    if json:
        output.print_json(report.to_dict())
        return 0 if report.passed else 1
    output.answer(report.text())
    others = [other for other in kinds_of(name) if other.removesuffix("s") != report.kind] if kind is None else []
    if others and not quiet:
        output.remark(f"{name} is also among the {' and '.join(others)}: --kind checks that")
    return 0 if report.passed else 1
