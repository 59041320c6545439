"""What ``findna-bench leaderboard`` is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from findna_bench.errors import UsageError
from findna_bench.requests import shared
from findna_bench.requests.declarations import Flag, PathName, Text, option, read_fields, to_words

__all__ = ["LeaderboardRequest"]


_PAGES = "Pages"


@dataclass(frozen=True, kw_only=True)
class LeaderboardRequest:
    """All options of ``findna-bench leaderboard``.

    Raises:
        UsageError: ``check`` without a page to compare, or something to show on a page and no page.

    Example:
        >>> LeaderboardRequest(markdown="page.md", metric="mcc").command
        'findna-bench leaderboard --markdown page.md --metric mcc'
    """

    output_dir: Path = shared.results_dir()
    submissions: Path | None = option(
        PathName(),
        "Instead of one results folder: all bundles (NAME.tar.gz) and results folders that lie in this folder.",
        default=None,
        environment=False,
    )
    markdown: Path | None = option(PathName(), "Write this markdown page.", default=None, panel=_PAGES)
    html: Path | None = option(
        PathName(), "Write one self-contained page, index.html, into this folder.", default=None, panel=_PAGES
    )
    site: Path | None = option(
        PathName(),
        "Write a site into this folder: a page per suite, model and task, and what each submission changed.",
        default=None,
        environment=False,
        panel=_PAGES,
    )
    csv: Path | None = option(
        PathName(), "Write the rows of all tables into this file; scores are fractions.", default=None, panel=_PAGES
    )
    title: str = option(Text(), "Title of the page.", default="Leaderboard", environment=False, panel=_PAGES)
    metric: str | None = shared.metric()
    include_limited: bool = option(
        Flag(), "Show results computed with --limit, flagged.", default=False, environment=False
    )
    audits: Path | None = option(
        PathName(),
        "Show the verdicts that `findna-bench audit --pages FOLDER` wrote into this folder.",
        default=None,
        panel=_PAGES,
    )
    costs: Path | None = option(
        PathName(),
        "Show the costs in this compute.json, which `findna-bench profile -o FOLDER` writes.",
        default=None,
        panel=_PAGES,
    )
    check: bool = option(
        Flag(),
        "Write nothing; exit 1 if the page is not what the results give.",
        default=False,
        environment=False,
        panel=_PAGES,
    )

    def __post_init__(self) -> None:
        read_fields(self)
        if self.check and self.markdown is None:
            raise UsageError("--check compares a page with the results; say which page with --markdown FILE")
        if self.csv is not None and self.csv.suffix.lower() != ".csv":
            raise UsageError(f"--csv {self.csv}: it writes a .csv file; give it that suffix")
        if (self.audits or self.costs) and not (self.markdown or self.html or self.site):
            raise UsageError(
                "--audits and --costs are shown on pages; write one with --markdown FILE, --html FOLDER or --site FOLDER"
            )

    @property
    def command(self) -> str:
        """The command that makes the Markdown page, the same whichever way its options were given."""
        return to_words(replace(self, html=None, csv=None, site=None, check=False), "leaderboard")

    @property
    def site_command(self) -> str:
        """The command that makes the site."""
        return to_words(replace(self, markdown=None, html=None, csv=None, check=False), "leaderboard")
