"""``findna-bench fetch NAME...``: bring suites (from disk or by download) and models' weights to this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from findna_bench.cli import options, output


def fetch(
    names: Annotated[
        list[str], typer.Argument(help="Suites or models; see `list suites`, `list models`.", metavar="NAME...")
    ],
    source: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--from", help="A suite's folder or archive in upstream's layout; without it data are downloaded."
        ),
    ] = None,
    reference: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--reference", help="FASTA, or a folder of them, from which published places are cut."),
    ] = None,
    tasks: options.Tasks = None,
    data_dir: options.DataDir = None,
    offline: options.Offline = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Bring the data of suites and the weights of models to this machine, checked against what is published."""
    from findna_bench.errors import BenchError, UsageError

    wanted = options.split_names(names)
    kinds = {name: _kind(name) for name in wanted}
    suites = [name for name, kind in kinds.items() if kind == "suite"]
    if source is not None and (len(wanted) != 1 or not suites):
        raise UsageError(
            "--from holds the data of one suite; name that suite alone (weights on disk: --weights NAME=PATH)"
        )
    code, answers = 0, []
    for name, kind in kinds.items():
        try:
            if kind == "suite":
                report = _suite(name, source, reference, tasks, data_dir, offline)
                code |= int(report.failed)
            else:
                report = _model(name, offline)
        except BenchError as error:
            if len(kinds) == 1:
                raise
            output.complain(str(error))
            code = 1
            continue
        answers.append(report.to_dict())
        if not json:
            (_print_suite if kind == "suite" else _print_model)(report)
        if kind == "suite":
            _complain(report)
    if json:
        output.print_json(answers[0] if len(wanted) == 1 else answers)
    elif suites:
        from findna_bench.data.catalog import data_root

        output.remark(f"data are in {data_root(data_dir)}")
    return code


def _kind(name: str) -> str:
    """``suite`` or ``model``.

    Raises:
        UnknownNameError: neither. UsageError: both.
    """
    from findna_bench.errors import BenchError, UnknownNameError, UsageError
    from findna_bench.models.spec import parse_model
    from findna_bench.registry import get_registry

    registry = get_registry()
    is_suite = bool(registry.named("suites", name))
    try:
        parse_model(name, registry)
    except UnknownNameError:
        if is_suite:
            return "suite"
        # Say what near names there are, of either kind.
        problems = []
        for kind in ("suites", "models"):
            try:
                registry.resolve(kind, name)
            except BenchError as error:
                problems.append(str(error))
        raise UnknownNameError("; ".join(problems)) from None
    if is_suite:
        raise UsageError(f"{name} is a suite and a model; write distribution:{name} of the one you mean")
    return "model"


def _suite(
    name: str,
    source: Path | None,
    reference: Path | None,
    tasks: list[str] | None,
    data_dir: Path | None,
    offline: bool,
) -> Any:
    from findna_bench.data.catalog import data_root
    from findna_bench.data.fetching import fetch_suite
    from findna_bench.data.importing import import_suite

    root, chosen = data_root(data_dir), options.split_names(tasks)
    if source is not None:
        return import_suite(name, source, root, reference=reference, tasks=chosen, progress=output.remark)
    return fetch_suite(name, root, tasks=chosen, offline=offline, reference=reference, progress=output.remark)


def _model(name: str, offline: bool) -> Any:
    from findna_bench.models.spec import parse_model
    from findna_bench.models.weights_fetching import fetch_model

    return fetch_model(parse_model(name), offline=offline)


def _print_suite(report: Any) -> None:
    rows = []
    for task in report.tasks:
        held = "/".join(str(n) for n in task.rows.values()) or "-"
        published = "/".join(str(n) for n in task.published.values()) or "not known"
        rows.append((task.name, task.outcome, task.status, held, published, task.message))
    output.print_table(
        f"{report.suite} from {report.source}", ("task", "outcome", "status", "rows", "published", "remark"), rows
    )


def _complain(report: Any) -> None:
    for task in report.with_outcome("failed"):
        output.complain(task.message)
    if len(report.with_outcome("missing")) == len(report.tasks):
        output.complain(f"nothing of suite {report.suite} is in {report.source}")


def _print_model(found: Any) -> None:
    rows = [(found.model, found.source, f"{found.n_bytes:,}", found.digest[:23], found.licence or "-")]
    output.print_table("weights", ("model", "source", "bytes", "digest", "licence"), rows)
