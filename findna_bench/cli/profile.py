"""``findna-bench profile``: time, memory and operations of models side by side, as published and in the best formulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from findna_bench.cli import options, output
from findna_bench.cli.requested import requested
from findna_bench.errors import UnknownNameError, UsageError
from findna_bench.requests.declarations import to_words
from findna_bench.requests.profile_request import ProfileRequest

if TYPE_CHECKING:
    from findna_bench.leaderboard.published import Figure


@requested(ProfileRequest)
def profile(request: ProfileRequest, json: options.Json = False) -> int:
    """Measure models at their published sizes; neither weights nor data nor network are needed."""
    from findna_bench.data.catalog import resolve_task
    from findna_bench.profiling.cost_tables import tables, to_json, write_profile
    from findna_bench.profiling.model_profiles import profile_models, profile_objectives
    from findna_bench.results.environment import environment

    figures = _published_costs(resolve_task(request.task).name)
    if not request.models:
        request = replace(request, models=_published_models(figures))
    if not request.models:
        raise UsageError(f"no paper at hand compares costs on {request.task}; name models with --models")
    scores = _scores(request.results)
    command, machine = to_words(request, "profile"), environment()
    if request.overhead:
        rows = profile_objectives(request, reporter=output.remark)
        published, remarks = {}, _overhead_remarks(figures)
    else:
        rows = profile_models(request, reporter=output.remark)
        published, remarks = (_published_ratios(figures, rows[0].model) if request.mode == "train" else {}), ()
    if json:
        output.print_json(to_json(rows, command=command, environment=machine, published=published))
    else:
        for shown in tables(rows, published):
            output.print_table(shown.title, shown.header, shown.rows, notes=(*shown.notes, *remarks))
            remarks = ()
    if request.output_dir is not None:
        written = write_profile(
            rows, request.output_dir, command=command, environment=machine, published=published, results=scores
        )
        output.remark(f"wrote {', '.join(str(path) for path in written)}")
    return int(any(row.status not in ("ok", "skipped") for row in rows))


def _scores(folder: Path | None) -> list[dict[str, Any]]:
    """Results to set against costs, read before anything is measured."""
    if folder is None:
        return []
    from findna_bench.results.store import ResultStore

    found = [result.to_dict() for result in ResultStore.existing(folder).load(output.complain)]
    if not found:
        raise UsageError(f"--results {folder}: no results there")
    return found


def _published_costs(task: str) -> list[Figure]:
    """Costs that papers print for this task."""
    from findna_bench.leaderboard.published import load_published
    from findna_bench.registry import get_registry

    papers = load_published(get_registry().cards("published"), output.complain)
    return [figure for paper in papers for figure in paper.figures if figure.kind == "cost" and figure.task == task]


def _published_models(figures: Sequence[Figure]) -> tuple[str, ...]:
    """Registered models whose factors a paper prints, its own reference first, then from the cheapest up."""
    ratios = [figure for figure in figures if figure.metric == "flops_ratio" and _canonical(figure.model)]
    return tuple(figure.model for figure in sorted(ratios, key=lambda figure: figure.number))


def _published_ratios(figures: Sequence[Figure], first: str) -> dict[str, dict[str, str]]:
    """Factors by canonical name, where the paper's reference is our first model too."""
    found: dict[str, dict[str, str]] = {}
    for figure in figures:
        name = _canonical(figure.model)
        if name and figure.metric in ("time_ratio", "memory_ratio", "flops_ratio"):
            found.setdefault(name, {})[figure.metric.removesuffix("_ratio")] = figure.value
    return found if set(found.get(first, {}).values()) == {"1"} else {}


def _canonical(model: str) -> str:
    """The registered name, empty where no plugin registers the model."""
    from findna_bench.registry import get_registry

    try:
        return str(get_registry().resolve("models", model).card.name) if model else ""
    except UnknownNameError:
        return ""


def _overhead_remarks(figures: Sequence[Figure]) -> tuple[str, ...]:
    """The paper's own figures for a training batch, in their units."""
    steps = [figure for figure in figures if figure.metric in ("step_ms", "step_memory")]
    return tuple(f"{figure.source}: {figure.label} {figure.value} {figure.unit} ({figure.column})" for figure in steps)
