"""``findna-bench leaderboard``: results -> a table on screen, a markdown page, an HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from findna_bench.cli import options, output


def leaderboard(
    output_dir: options.OutputDir = Path("results"),
    markdown: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--markdown", help="Write this markdown page.", envvar=options.env("markdown")),
    ] = None,
    html: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--html", help="Write one self-contained page, index.html, into this folder.", envvar=options.env("html")
        ),
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Title of the page.")] = "Leaderboard",
    include_limited: Annotated[
        bool, typer.Option("--include-limited", help="Show results computed with --limit, flagged.")
    ] = False,
    audits: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--audits",
            help="Show the verdicts that `findna-bench audit --pages FOLDER` wrote into this folder.",
            envvar=options.env("audits"),
        ),
    ] = None,
    costs: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--costs",
            help="Show the costs in this compute.json, which `findna-bench profile -o FOLDER` writes.",
            envvar=options.env("costs"),
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if the page is not what the results give.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Make tables from results; the same results give the same bytes."""
    from findna_bench.errors import OutputError, UsageError
    from findna_bench.files import write_atomic
    from findna_bench.leaderboard import table
    from findna_bench.leaderboard.audits import read_audits
    from findna_bench.leaderboard.costs import read_costs
    from findna_bench.leaderboard.html import render_html
    from findna_bench.leaderboard.markdown import render_markdown
    from findna_bench.leaderboard.published import load_published
    from findna_bench.leaderboard.screen import render_screen
    from findna_bench.registry import get_registry
    from findna_bench.results.store import ResultStore

    if check and markdown is None:
        raise UsageError("--check compares a page with the results; say which page with --markdown FILE")
    if (audits or costs) and not (markdown or html):
        raise UsageError("--audits and --costs are shown on pages; write one with --markdown FILE or --html FOLDER")
    if not output_dir.is_dir():
        raise UsageError(
            f"results folder {output_dir} {'is a file' if output_dir.exists() else 'does not exist'}; `findna-bench run` makes one"
        )
    store = ResultStore(output_dir)
    results = store.load()
    board = table.leaderboard(results, include_limited=include_limited, predictions=store.predictions)
    if markdown is None and html is None:
        if json:
            output.print_json([result.to_dict() for result in results])
        else:
            render_screen(board)
        return 0
    papers = load_published(get_registry().cards("published"))
    verdicts, measured = read_audits(audits) if audits else None, read_costs(costs) if costs else None
    if html is not None and not check:
        write_atomic(
            html / "index.html", render_html(board, title=title, papers=papers, audits=verdicts, costs=measured)
        )
        output.remark(f"wrote {html / 'index.html'}")
    if markdown is None:
        return 0
    command = _command(output_dir, markdown, title, include_limited, audits, costs)
    page = render_markdown(board, title=title, command=command, papers=papers, audits=verdicts, costs=measured)
    if check:
        try:
            same = markdown.read_text() == page
        except OSError as error:
            raise OutputError(f"cannot read {markdown}: {error.strerror}") from error
        output.remark(f"{markdown} {'is up to date' if same else 'is not what the results give'}")
        return 0 if same else 1
    write_atomic(markdown, page)
    output.remark(f"wrote {markdown}")
    return 0


def _command(
    output_dir: Path, markdown: Path, title: str, include_limited: bool, audits: Path | None, costs: Path | None
) -> str:
    """The command that makes the page, the same whichever way its options were given."""
    words = ["findna-bench", "leaderboard", "--output-dir", str(output_dir), "--markdown", str(markdown)]
    words += ["--title", title] if title != "Leaderboard" else []
    words += ["--include-limited"] if include_limited else []
    words += ["--audits", str(audits)] if audits else []
    words += ["--costs", str(costs)] if costs else []
    return output.quoted(words)
