"""Figures: time and memory against length with fitted exponents, and score against cost with the Pareto front."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from findna_bench.errors import UsageError
from findna_bench.files import atomic_path
from findna_bench.profiling.profile_rows import ProfileRow
from findna_bench.statistics.metric_cards import metric_card, metric_label, metric_scale
from findna_bench.terminal import in_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = [
    "COSTS",
    "Point",
    "best_control",
    "fitted_exponent",
    "pareto_front",
    "pareto_points",
    "plot_pareto",
    "plot_scaling",
]

COSTS: Mapping[str, str] = {
    "ns_per_base": "time per base (ns)",
    "flops_per_base": "operations per base (FLOP)",
    "peak_bytes": "peak memory (bytes)",
    "n_parameters": "parameters",
}
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette: told apart by colour-blind readers."""


def fitted_exponent(lengths: Sequence[float], values: Sequence[float]) -> float | None:
    """Slope of log(value) over log(length) by least squares; None with fewer than two lengths."""
    if len(set(lengths)) < 2:
        return None
    x, y = [math.log(n) for n in lengths], [math.log(v) for v in values]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def plot_scaling(rows: Sequence[ProfileRow], path: Path) -> None:
    """Two panels, log-log: time of a step and peak memory against bases per sequence, one line per model and formulation."""
    figure = _canvas(11, 4.6)
    panels = figure.subplots(1, 2)
    models = list(dict.fromkeys(row.model for row in rows))
    for panel, (name, scale, title) in zip(
        panels, (("step", 1.0, "ms per step"), ("peak", 2**30, "peak memory (GiB)")), strict=True
    ):
        for model in models:
            for formulation in dict.fromkeys(row.formulation for row in rows):
                points = [
                    (row.length, (row.step_ms.median if name == "step" else row.peak_bytes or 0) / scale)
                    for row in rows
                    if (row.model, row.formulation) == (model, formulation)
                    and row.step_ms is not None
                    and row.peak_bytes
                ]
                if not points:
                    continue
                x, y = zip(*sorted(points), strict=True)
                exponent = fitted_exponent(x, y)
                label = in_picture(f"{model}, {formulation}") + ("" if exponent is None else f": L^{exponent:.2f}")
                style = "o--" if formulation == "published" else "o-"
                panel.plot(x, y, style, color=_COLOURS[models.index(model) % len(_COLOURS)], label=label)
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xlabel("bases per sequence")
        panel.set_ylabel(title)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    _save(figure, path)


@dataclass(frozen=True)
class Point:
    """A model's mean score over ``n_tasks`` tasks, and what it costs."""

    model: str
    score: float
    cost: float
    n_tasks: int
    flags: tuple[str, ...] = ()
    metric: str = ""
    """What the score is a mean of; empty: shares, of which more is better."""

    @property
    def shown(self) -> float:
        """The score as tables show it."""
        return self.score * metric_scale(self.metric)

    @property
    def worth(self) -> float:
        """The more, the better."""
        return self.score * _direction(self.metric)


def _direction(metric: str) -> int:
    """-1 where less of a metric is better."""
    try:
        return 1 if not metric or metric_card(metric).higher_is_better else -1
    except UsageError:  # no plugin registers it here, any more
        return 1


def pareto_points(
    results: Sequence[Mapping[str, Any]],
    rows: Sequence[ProfileRow],
    *,
    cost: str = "ns_per_base",
    formulation: str = "best",
    metric: str | None = None,
) -> list[Point]:
    """Points for the models that have both results (JSON of schema 1) and a profile row.

    Untrained weights (``NAME@random``) cost what trained ones do. A point is one configuration of a model. Score: mean over
    tasks of the mean over seeds of the main metric, over the tasks that all points have; of protocols, splits and metrics
    only the most frequent combination is drawn (``metric`` None: any), and no result computed with ``--limit``. Flags: all
    those of the results.

    Raises:
        UsageError: unknown cost, or no task that all models share.
    """
    costs = _costs(rows, cost, formulation)
    found = _scores(results, costs, metric)
    configurations = Counter(model for model, _ in found.values)
    return [
        Point(
            model if configurations[model] == 1 else f"{model} ({config[:8]})",
            found.score(tasks),
            costs[_base(model)],
            len(found.shared),
            tuple(sorted(found.flags[model, config])),
            found.metric,
        )
        for (model, config), tasks in found.values.items()
        if _base(model) in costs
    ]


def best_control(
    results: Sequence[Mapping[str, Any]],
    rows: Sequence[ProfileRow],
    controls: Collection[str],
    *,
    cost: str = "ns_per_base",
    formulation: str = "best",
    metric: str | None = None,
) -> tuple[str, float] | None:
    """Name and score of that of ``controls`` with the best mean on validation rows over the tasks of :func:`pareto_points` (the
    maximum over several test scores would lie above what any of them is worth); None where none has all tasks and validation
    scores."""
    found = _scores(results, _costs(rows, cost, formulation), metric)
    scores = [
        (chosen_by * _direction(found.metric), model, found.score(tasks))
        for (model, config), tasks in found.values.items()
        if model in controls
        and set(found.shared) <= set(tasks)
        and (chosen_by := found.validation_score(model, config)) is not None
    ]
    if not scores:
        return None
    _, model, score = max(scores)
    return model, score


def _costs(rows: Sequence[ProfileRow], cost: str, formulation: str) -> dict[str, float]:
    if cost not in COSTS:
        raise UsageError(f"cost {cost!r}: choose one of {', '.join(COSTS)}")
    return {
        row.model: value for row in rows if row.formulation == formulation and (value := _cost(row, cost)) is not None
    }


@dataclass(frozen=True)
class _Scores:
    """Values per (model, configuration) and task, of one protocol, split and metric; shared: tasks that all with a cost have."""

    values: Mapping[tuple[str, str], Mapping[str, Sequence[float]]]
    flags: Mapping[tuple[str, str], set[str]]
    shared: Sequence[str]
    metric: str
    validation: Mapping[tuple[str, str], Mapping[str, Sequence[float | None]]]

    def validation_score(self, model: str, configuration: str) -> float | None:
        """Mean over the shared tasks; None where a fit has no validation score."""
        scores = self.validation[model, configuration]
        known = [[score for score in scores[task] if score is not None] for task in self.shared]
        complete = all(len(k) == len(scores[task]) for k, task in zip(known, self.shared, strict=True))
        return _mean([_mean(k) for k in known]) if complete else None

    def score(self, tasks: Mapping[str, Sequence[float]]) -> float:
        return _mean([_mean(tasks[task]) for task in self.shared])


def _scores(results: Sequence[Mapping[str, Any]], costs: Mapping[str, float], metric: str | None) -> _Scores:
    finished = [
        r
        for r in results
        if r["status"] == "success"
        and r["limit"] is None
        and r["metrics"]["main"]["value"] is not None
        and metric in (None, r["metrics"]["main"]["name"])
    ]
    kinds = Counter(_kind(r) for r in finished if _base(r["model"]["name"]) in costs)
    kind = max(sorted(kinds), key=lambda k: kinds[k], default=None)
    values: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    validation: dict[tuple[str, str], dict[str, list[float | None]]] = defaultdict(lambda: defaultdict(list))
    flags: dict[tuple[str, str], set[str]] = defaultdict(set)
    for result in sorted(finished, key=lambda r: (r["model"]["name"], r["config_id"] or "", r["request_id"])):
        if _kind(result) == kind:
            key = result["model"]["name"], result["config_id"] or ""
            values[key][f"{result['task']['suite']}/{result['task']['name']}"].append(
                result["metrics"]["main"]["value"]
            )
            validation[key][f"{result['task']['suite']}/{result['task']['name']}"].append(_on_validation(result))
            flags[key] |= set(result["flags"])
    priced = [set(tasks) for (model, _), tasks in values.items() if _base(model) in costs]
    shared = set.intersection(*priced) if priced else set()
    if not shared:
        raise UsageError("no task was finished by every profiled model, so scores cannot be set against costs")
    return _Scores(values, flags, sorted(shared), kind[2] if kind else "", validation)


def _on_validation(result: Mapping[str, Any]) -> float | None:
    """The main metric on validation rows; None where there is none, or where they are the test rows."""
    if result.get("selection") == "test":
        return None
    metrics = (result.get("validation") or {}).get("metrics") or {}
    score: float | None = metrics.get(result["metrics"]["main"]["name"])
    return score


def _base(model: str) -> str:
    return model.partition("@")[0]


def _kind(result: Mapping[str, Any]) -> tuple[str, str, str]:
    """What must be the same for scores to be averaged: protocol, split, metric."""
    return result["protocol"]["name"], result["task"]["split"] or "", result["metrics"]["main"]["name"]


def _cost(row: ProfileRow, cost: str) -> float | None:
    if cost == "flops_per_base":
        return None if row.flops is None else row.flops / row.bases
    value: float | None = getattr(row, cost)
    return value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Points that no other beats in both score and cost, from the cheapest up; of equal points all are kept."""
    front = [
        p
        for p in points
        if not any(q.worth >= p.worth and q.cost <= p.cost and (q.worth > p.worth or q.cost < p.cost) for q in points)
    ]
    return sorted(front, key=lambda p: (p.cost, p.worth, p.model))


def plot_pareto(
    points: Sequence[Point],
    path: Path,
    *,
    cost: str = "ns_per_base",
    score: str | None = None,
    control: tuple[str, float] | None = None,
) -> None:
    """Score against cost (log), front joined; points off the front in grey, flagged ones hollow; a control's score dashed."""
    figure = _canvas(7, 4.2)
    panel = figure.subplots()
    metric = points[0].metric if points else ""
    scale, score = metric_scale(metric), score or f"mean {metric_label(metric) if metric else 'score, %'}"
    front = pareto_front(points)
    for point in points:
        colour = _COLOURS[0] if point in front else "#777777"
        fill = "white" if point.flags else colour
        panel.plot(point.cost, point.shown, "o", color=colour, markerfacecolor=fill, zorder=3)
        panel.annotate(
            in_picture(point.model), (point.cost, point.shown), xytext=(5, 5), textcoords="offset points", fontsize=8
        )
    if control is not None:
        panel.axhline(scale * control[1], color=_COLOURS[1], linestyle="--", linewidth=1)
        panel.annotate(
            in_picture(f"best control on validation: {control[0]}"), (0, scale * control[1]), xycoords=("axes fraction", "data"), xytext=(4, 3),
            textcoords="offset points", fontsize=8, color=_COLOURS[1],
        )  # fmt: skip
    # To the right edge: beyond its last point the front goes on at that score.
    right = max((p.cost for p in points), default=1.0) * 3
    line = [(p.cost, p.shown) for p in front]
    line += [(right, line[-1][1])] if line else []
    panel.step([x for x, _ in line], [y for _, y in line], where="post", color=_COLOURS[0], alpha=0.5)
    panel.margins(y=0.12)
    panel.set_xscale("log")
    panel.set_xlim(min((p.cost for p in points), default=1.0) / 1.5, right)
    panel.set_xlabel(COSTS[cost])
    panel.set_ylabel(in_picture(f"{score}, over {points[0].n_tasks} tasks" if points else score))
    flags = sorted({flag for point in points for flag in point.flags})
    panel.set_title(in_picture("hollow: flagged " + ", ".join(flags)) if flags else "", fontsize=7)
    panel.grid(alpha=0.3)
    _save(figure, path)


def _canvas(width: float, height: float) -> Canvas:
    """A figure without pyplot: no global state, no display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Canvas, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
