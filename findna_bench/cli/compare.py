"""``findna-bench compare``: which differences between models are more than noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from findna_bench.cli import options, output


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Two or more models as the leaderboard names them: NAME, 'NAME (pooling max)' where a model has several "
            "configurations, NAME@random:* for all its untrained draws."
        ),
    ],
    output_dir: options.OutputDir = Path("results"),
    tasks: options.Tasks = None,
    suite: options.Suites = None,
    protocol: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--protocol",
            help="probe, finetune or knn, where there are results of several.",
            envvar=options.env("protocol"),
        ),
    ] = None,
    split: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--split", help="Which split, where there are results on several.", envvar=options.env("split")),
    ] = None,
    metric: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--metric", help="One metric for all tasks (default: the main one of each).", envvar=options.env("metric")
        ),
    ] = None,
    data_dir: options.DataDir = None,
    markdown: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--markdown", help="Write this markdown page.", envvar=options.env("markdown")),
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Title of the page.")] = "Comparison",
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Compare models on the rows they share: differences with intervals, corrected p-values, ranks across tasks."""
    from findna_bench.files import write_atomic
    from findna_bench.leaderboard.comparison import compare_models
    from findna_bench.leaderboard.comparison_pages import render_comparison_markdown, render_comparison_screen

    found = compare_models(
        output_dir,
        models,
        tasks=options.split_names(tasks),
        suites=options.split_names(suite),
        protocol=protocol,
        split=split,
        metric=metric,
        data_dir=data_dir,
    )
    if json:
        output.print_json(found.to_dict())
    if markdown is not None:
        words = _command(models, output_dir, tasks, suite, protocol, split, metric, markdown, title)
        write_atomic(markdown, render_comparison_markdown(found, title=title, command=words))
        output.remark(f"wrote {markdown}")
    elif not json:
        render_comparison_screen(found)
    return 0 if found.complete else 1


def _command(
    models: list[str],
    output_dir: Path,
    tasks: list[str] | None,
    suite: list[str] | None,
    protocol: str | None,
    split: str | None,
    metric: str | None,
    markdown: Path,
    title: str,
) -> str:
    """The command that makes the page, the same whichever way its options were given."""
    words = ["findna-bench", "compare", *models, "--output-dir", str(output_dir)]
    given = {
        "--tasks": ",".join(options.split_names(tasks)),
        "--suite": ",".join(options.split_names(suite)),
        "--protocol": protocol,
        "--split": split,
        "--metric": metric,
        "--markdown": str(markdown),
        "--title": title if title != "Comparison" else None,
    }
    for option, value in given.items():
        words += [option, value] if value else []
    return output.quoted(words)
