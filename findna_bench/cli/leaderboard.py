"""``findna-bench leaderboard``: results -> a table on screen, a markdown page, an HTML page, a CSV file, a site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from findna_bench.cli import options, output
from findna_bench.cli.requested import requested
from findna_bench.requests.leaderboard_request import LeaderboardRequest

if TYPE_CHECKING:
    from findna_bench.leaderboard.score_tables import Leaderboard
    from findna_bench.leaderboard.submissions import Submissions
    from findna_bench.results.schema import Result
    from findna_bench.results.store import ResultStore


@requested(LeaderboardRequest)
def leaderboard(request: LeaderboardRequest, json: options.Json = False) -> int:
    """Make tables from results; the same results give the same bytes."""
    import tempfile

    from findna_bench.collecting import no_collection
    from findna_bench.results.store import ResultStore

    if request.submissions is None:
        with no_collection():
            return _made(request, json, ResultStore.existing(request.output_dir), None)
    from findna_bench.leaderboard.submissions import read_submissions

    with tempfile.TemporaryDirectory() as scratch:
        found = read_submissions(request.submissions, Path(scratch), output.complain)
        for problem in found.problems:
            output.complain(problem)
        return max(_made(request, json, found.store, found), int(bool(found.problems)))


def _made(request: LeaderboardRequest, json: bool, store: ResultStore, found: Submissions | None) -> int:
    """found: the submissions whose results the store holds; None = it is a results folder."""
    from findna_bench.files import write_atomic
    from findna_bench.leaderboard.audits import read_audits
    from findna_bench.leaderboard.columns import render_csv
    from findna_bench.leaderboard.costs import read_costs
    from findna_bench.leaderboard.fit_intervals import kept_intervals
    from findna_bench.leaderboard.html import html_files
    from findna_bench.leaderboard.markdown import render_markdown
    from findna_bench.leaderboard.published import load_published
    from findna_bench.leaderboard.screen import render_screen
    from findna_bench.leaderboard.table_building import leaderboard as build
    from findna_bench.registry import get_registry

    index = store.index(output.complain)
    pages_wanted = request.markdown or request.html or request.csv or request.site
    if json and not pages_wanted:
        shown_results = _shown_by(index.results(), request.metric, store)
        output.print_json([result.to_dict() for result in shown_results])
        return 0
    with kept_intervals(store) as intervals:
        board = build(
            index.results(),
            include_limited=request.include_limited,
            predictions=store.predictions,
            intervals=intervals,
            metric=request.metric,
        )
    if not pages_wanted:
        render_screen(board)
        return 0
    shown: dict[str, Any] = {
        "title": request.title,
        "papers": load_published(get_registry().cards("published"), output.complain),
        "audits": read_audits(request.audits) if request.audits else None,
        "costs": read_costs(request.costs) if request.costs else None,
    }
    pages: dict[Path, str] = {}
    if request.markdown:
        pages[request.markdown] = render_markdown(board, command=request.command, **shown)
    if request.check:
        return max(_differs(path, page) for path, page in pages.items())
    if request.html:
        made = html_files(board, command=request.command, **shown)
        pages |= {request.html / name: content for name, content in made.items()}
    if request.csv:
        pages[request.csv] = render_csv(board)
    for path, page in pages.items():
        write_atomic(path, page)
        if path.suffix != ".js":  # which belong to the page
            output.remark(f"wrote {path}")
    if request.site:
        _write_site(request, board, store, found, shown)
    return 0


def _write_site(
    request: LeaderboardRequest,
    board: Leaderboard,
    store: ResultStore,
    found: Submissions | None,
    shown: dict[str, Any],
) -> None:
    from findna_bench.leaderboard.history import history
    from findna_bench.leaderboard.site import Site, site_files, write_site
    from findna_bench.leaderboard.submissions import one_submission

    assert request.site is not None
    submissions = found.submissions if found else (one_submission(request.output_dir, store),)
    steps = history(
        submissions, include_limited=request.include_limited, metric=request.metric, predictions=store.predictions
    )
    problems = found.problems if found else ()
    files = site_files(Site(board=board, steps=steps, problems=problems, command=request.site_command, **shown))
    write_site(request.site, files)
    output.remark(f"wrote {len(files)} files into {request.site}")


def _shown_by(results: list[Result], metric: str | None, store: ResultStore) -> list[Result]:
    """Results with one metric for all as their main one, which is no longer what stands in their files, so without a digest."""
    if metric is None:
        return results
    from findna_bench.leaderboard.selected_results import with_metric
    from findna_bench.registry import get_registry
    from findna_bench.results.schema import MainMetric
    from findna_bench.statistics.metric_cards import metric_card

    notes: list[str] = []
    kept, shown = with_metric(results, metric, store.predictions, get_registry(), notes), []
    for result in kept:
        main = MainMetric(
            name=metric,
            value=result.metrics.all.get(metric),
            higher_is_better=metric_card(metric).higher_is_better,
        )
        metrics = result.metrics.model_copy(update={"main": main})
        shown.append(result.model_copy(update={"metrics": metrics, "digest": None}))
    for note in notes:
        output.remark(f"note: {note}")
    return shown


def _differs(path: Path, page: str) -> int:
    """1 where a file does not hold the page."""
    from findna_bench.errors import OutputError

    try:
        same = path.read_text(encoding="utf-8") == page
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error
    output.remark(f"{path} {'is up to date' if same else 'is not what the results give'}")
    return 0 if same else 1
