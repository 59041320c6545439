"""What ``findna-bench compare`` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from findna_bench.requests import shared
from findna_bench.requests.declarations import PathName, Text, Words, option, read_fields

__all__ = ["CompareRequest"]


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """All options of ``findna-bench compare``.

    Raises:
        UsageError: an option is wrong.

    Example:
        >>> CompareRequest(models=("findna-tiny", "kmer"), metric="mcc").output_dir.name
        'results'
    """

    models: tuple[str, ...] = option(
        Words(),
        "Two or more models as the leaderboard names them: NAME, 'NAME (pooling max)' where a model has several configurations, "
        "NAME@random:* for all its untrained draws, family:PATTERN for pretrainings that differ in their seed.",
        positional=True,
    )
    output_dir: Path = shared.results_dir()
    tasks: tuple[str, ...] = shared.tasks()
    suites: tuple[str, ...] = shared.suites()
    protocol: str | None = option(
        Text(),
        "probe, finetune, knn, zero_shot or a plugin's, where there are results of several.",
        default=None,
        panel=shared.PROTOCOL,
    )
    split: str | None = option(
        Text(), "Which split, where there are results on several.", default=None, panel=shared.PROTOCOL
    )
    metric: str | None = shared.metric()
    data_dir: Path | None = shared.data_dir()
    markdown: Path | None = option(PathName(), "Write this markdown page.", default=None, panel="Pages")
    title: str = option(Text(), "Title of the page.", default="Comparison", environment=False, panel="Pages")

    def __post_init__(self) -> None:
        read_fields(self)
