"""What an audit compares tasks with: other tasks, a genome, and scores that papers print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from findna_bench.auditing.audit_targets import expand_targets, other_benchmark
from findna_bench.auditing.references import Published, References
from findna_bench.cards import TaskCard
from findna_bench.errors import UsageError
from findna_bench.leaderboard.published import Paper, best_published, load_published
from findna_bench.registry import get_registry

__all__ = ["audit_references"]


def audit_references(
    *,
    against: Sequence[str] = (),
    genome: Path | None = None,
    published_best: float | None = None,
    data_dir: str | Path | None = None,
    offline: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> References:
    """References by their names.

    Args:
        against: tasks, suites and paths.
        genome: FASTA file.
        published_best: a score in percent; None = the best figure that a registered paper has for the task.
        data_dir: data root; None for the user's.
        offline: never reach for the network.
        progress: called with what is left out.

    Raises:
        UnknownNameError: ``against`` names nothing that there is. UsageError: a path that does not exist, or a score outside of 1 to 100.
    """
    if published_best is not None and not 1 < published_best <= 100:
        raise UsageError(f"--published-best {published_best:g}: give the score in percent, as 97.4")
    if genome is not None and not genome.is_file():
        raise UsageError(f"--genome {genome}: there is no such file")
    expand_targets(against)

    @cache
    def papers() -> tuple[Paper, ...]:
        return tuple(load_published(get_registry().cards("published"), left_out=progress))

    def published(card: TaskCard) -> Published | None:
        if published_best is not None:
            return Published(published_best / 100, "--published-best")
        figure = best_published(papers(), card.full_name, card.metric)
        if figure is None:
            return None
        return Published(figure.fraction, f"{figure.label}, {figure.source}")

    others = other_benchmark(against, data_dir=data_dir, offline=offline, progress=progress)
    return References(others, genome, published)
