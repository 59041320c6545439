"""Profile rows as a table, a checklist, JSON and a markdown page; ratios to the first model as papers print them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from findna_bench.errors import UsageError
from findna_bench.files import write_atomic, write_json
from findna_bench.grid import Grid, code, escape
from findna_bench.profiling.profile_rows import ProfileRow, Spread
from findna_bench.results.environment import environment_line

__all__ = [
    "PROFILE_SCHEMA",
    "RATIOS",
    "ratios",
    "read_profile",
    "render_page",
    "tables",
    "to_json",
    "write_profile",
]

PROFILE_SCHEMA = 1
RATIOS = ("time", "memory", "flops")

Published = Mapping[str, Mapping[str, str]]
"""Canonical model name -> {"time" | "memory" | "flops": the paper's factor of its first model, as printed}."""

CONVENTIONS = (
    "A step is forward, cross-entropy, backward and AdamW (train) or one forward pass (inference) over one batch; random weights.",
    "Times: median over fresh processes of each one's median step, lowest and highest in brackets; models take turns. Processor "
    "time is that of all threads together: other work on the machine disturbs it less.",
    "Operations are those of the plain formulation whatever was run: products and convolutions (a multiply-add is two) and "
    "Fourier transforms (2.5 N log2 N between real numbers and their half spectrum); elementwise work and recurrences are not counted. Padding of "
    "channels or to a longer batch is no operation of the model.",
    "Share: operations per second over those of a large matrix product, measured in the same process and precision.",
    "Memory on the CPU is the peak resident set of a fresh process, torch itself included; on CUDA the most allocated (reserved).",
)


def ratios(row: ProfileRow, rows: Sequence[ProfileRow]) -> dict[str, float | None]:
    """Factors of the first model's row of the same formulation, length and mode: time, memory, operations."""
    same = (row.formulation, row.length, row.mode)
    first = next((r for r in rows if (r.formulation, r.length, r.mode) == same), None)
    if first is None:
        return dict.fromkeys(RATIOS)
    pairs = {
        "time": (_median(row), _median(first)),
        "memory": (row.peak_bytes, first.peak_bytes),
        "flops": (row.flops, first.flops),
    }
    return {name: (own / base if own is not None and base else None) for name, (own, base) in pairs.items()}


def _median(row: ProfileRow) -> float | None:
    return None if row.step_ms is None else row.step_ms.median


Cell = Callable[[ProfileRow], str]
_NAMES: dict[str, Cell] = {
    "model": lambda row: row.model,
    "formulation": lambda row: row.formulation,
    "bases": lambda row: str(row.length),
}
_COSTS: dict[str, Cell] = _NAMES | {
    "tokens": lambda row: "-" if row.tokens is None else str(row.tokens),
    "batch": lambda row: str(row.batch_size),
    "ms per step": lambda row: _step(row),
    "processor ms": lambda row: _figure(None if row.processor_ms is None else row.processor_ms.median),
    "us per base": lambda row: _figure(row.ns_per_base, 1e3),
    "bases/s": lambda row: _figure(row.bases_per_s),
    "peak GiB": lambda row: _memory(row),
}
_OPERATIONS: dict[str, Cell] = _NAMES | {
    "GFLOP per step": lambda row: _figure(row.flops, 1e9),
    "GFLOP/s": lambda row: _figure(row.achieved_flops, 1e9),
    "of ceiling": lambda row: "-" if row.share_of_ceiling is None else f"{100 * row.share_of_ceiling:.0f} %",
    "parameters": lambda row: _parameters(row),
}
"""The columns of the tables: heading, and how a row reads there."""


def _grid(columns: Mapping[str, Cell], rows: Sequence[ProfileRow], title: str, notes: tuple[str, ...]) -> Grid:
    cells = tuple(tuple(cell(row) for cell in columns.values()) for row in rows)
    return Grid(tuple(columns), cells, title, notes)


def cost_table(rows: Sequence[ProfileRow]) -> Grid:
    """Time and memory, one line per row."""
    energy: dict[str, Cell] = {"J per step": lambda row: _figure(row.energy_j)}
    columns = _COSTS | (energy if any(row.energy_j is not None for row in rows) else {})
    first = rows[0]
    return _grid(columns, rows, f"{first.mode} on {first.task}, {first.device_name or first.device}", _notes(rows))


def ratio_table(rows: Sequence[ProfileRow], published: Published | None = None) -> Grid:
    """Operations, parameters, and factors of the first model, beside the paper's where ``published`` has them."""
    papers = published or {}

    def factor(name: str) -> Cell:
        return lambda row: _ratio(ratios(row, rows)[name], papers.get(row.model, {}).get(name))

    columns = _OPERATIONS | {"speed-up": lambda row: _speed_up(row, rows)}
    columns |= {label: factor(name) for label, name in zip(("time x", "memory x", "FLOPs x"), RATIOS, strict=True)}
    speed_up = "speed-up: over the model's own row as published; time x, memory x, FLOPs x: of the first model, same formulation"
    note = "paper: factors as printed there; its batch size, precision and attention kernels are not stated"
    notes = (speed_up, *((note,) if published else ()))
    return _grid(columns, rows, f"operations, and factors of {rows[0].model}", notes)


def _step(row: ProfileRow) -> str:
    if row.step_ms is None:
        return f"{row.status}: {row.reason}"
    spread = row.step_ms
    if spread.n == 1:
        return f"{_figure(spread.median)} (1 process)"
    return f"{_figure(spread.median)} ({_figure(spread.low)}-{_figure(spread.high)}, n={spread.n})"


def _memory(row: ProfileRow) -> str:
    reserved = "" if row.reserved_bytes is None else f" ({_figure(row.reserved_bytes, 2**30)})"
    return _figure(row.peak_bytes, 2**30) + reserved


def _parameters(row: ProfileRow) -> str:
    if row.n_parameters is None:
        return "-"
    inference = f"{row.n_parameters / 1e6:.2f}M"
    training = row.n_parameters_training
    # A classification head is no second network; a teacher is.
    return (
        inference
        if training is None or training < 1.01 * row.n_parameters
        else f"{inference} ({training / 1e6:.2f}M in training)"
    )


def _speed_up(row: ProfileRow, rows: Sequence[ProfileRow]) -> str:
    """Over the same model's first row of this length, which is the published formulation."""
    own = next((r for r in rows if (r.model, r.length, r.mode) == (row.model, row.length, row.mode)), row)
    before, after = _median(own), _median(row)
    return "-" if before is None or after is None else f"{before / after:.2f}"


def _ratio(own: float | None, paper: str | None) -> str:
    shown = "-" if own is None else f"{own:.2f}"
    return shown if paper is None else f"{shown} (paper {paper})"


def _figure(value: float | None, scale: float = 1.0) -> str:
    """Three significant digits, no exponent."""
    if value is None:
        return "-"
    scaled = value / scale
    if scaled == 0:
        return "0"
    if abs(scaled) >= 100:
        return f"{scaled:,.0f}"
    return f"{scaled:.1f}" if abs(scaled) >= 10 else f"{scaled:.2f}" if abs(scaled) >= 1 else f"{scaled:.3f}"


def _notes(rows: Sequence[ProfileRow]) -> tuple[str, ...]:
    notes = [f"data: {data}" for data in dict.fromkeys(row.data for row in rows)]
    models_by_note: dict[str, list[str]] = {}
    for row in rows:
        for note in row.notes:
            models_by_note.setdefault(note, []).append(row.model)
    for note, models in models_by_note.items():
        everyone = len(models) == len(rows)
        notes.append(note if everyone else f"{', '.join(dict.fromkeys(models))}: {note}")
    threads = {row.threads for row in rows if row.threads is not None and row.device == "cpu"}
    if threads:
        notes.append(f"threads: {', '.join(map(str, sorted(threads)))}")
    return (*dict.fromkeys(notes), *CONVENTIONS)


def checklist_table(rows: Sequence[ProfileRow]) -> Grid:
    """What was switched on for each row: the same questions for every model."""
    measured = [row for row in rows if row.checklist]
    items = list(dict.fromkeys(item for row in measured for item in row.checklist))
    lines = {(row.model, row.formulation, *(row.checklist.get(item, "-") for item in items)): None for row in measured}
    return Grid(("model", "formulation", *items), tuple(lines), "checklist, the same for every model")


def to_json(
    rows: Sequence[ProfileRow],
    *,
    command: str = "",
    environment: Mapping[str, Any] | None = None,
    published: Published | None = None,
) -> dict[str, Any]:
    """The profile as JSON: rows with derived figures, factors of the first model, the paper's beside them."""
    published = published or {}
    return {
        "profile_schema": PROFILE_SCHEMA,
        "command": command,
        "environment": dict(environment or {}),
        "rows": [
            row.to_dict()
            | {"ratios": ratios(row, rows), "published_ratios": dict(published.get(row.model, {})) or None}
            for row in rows
        ],
    }


def read_profile(path: Path) -> list[ProfileRow]:
    """The rows of a ``compute.json``.

    Raises:
        UsageError: the file cannot be read, or is no profile.
    """
    known = {field.name for field in fields(ProfileRow)}
    try:
        content = json.loads(path.read_text("utf-8"))
        kept = [{name: value for name, value in row.items() if name in known} for row in content["rows"]]
        for row in kept:
            for name in ("step_ms", "processor_ms"):
                row[name] = None if row[name] is None else Spread(**row[name])
            row["notes"], row["times_ms"] = tuple(row["notes"]), tuple(tuple(times) for times in row["times_ms"])
        return [ProfileRow(**row) for row in kept]
    except OSError as error:
        raise UsageError(f"cannot read costs {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not a compute.json; `findna-bench profile -o FOLDER` writes one") from error


def render_page(
    rows: Sequence[ProfileRow],
    *,
    command: str = "",
    environment: Mapping[str, Any] | None = None,
    published: Published | None = None,
    images: Sequence[str] = (),
) -> str:
    """A markdown page; the same rows give the same bytes."""
    costs, *others = tables(rows, published)
    made = f" Generated by {code(command)}." if command else ""
    made += f" {escape(environment_line(environment))}." if environment else ""
    parts = ["# What it costs", "", f"{escape(costs.title)}.{made}", ""]
    parts += [*costs.to_markdown(words=len(costs.header)), ""]
    for shown in others:
        parts += [f"## {escape(shown.title[0].upper() + shown.title[1:])}", ""]
        parts += [*shown.to_markdown(words=len(shown.header)), ""]
        parts += [*(f"* {escape(note)}" for note in shown.notes), ""] if shown.notes else []
    parts += ["## Notes", "", *(f"* {escape(note)}" for note in costs.notes), ""]
    parts += [line for image in images for line in (f"![{Path(image).stem.replace('-', ' ')}]({image})", "")]
    return "\n".join(parts)


def tables(rows: Sequence[ProfileRow], published: Published | None = None) -> tuple[Grid, ...]:
    """Costs, factors and the checklist, in the order in which they are shown."""
    return cost_table(rows), ratio_table(rows, published), checklist_table(rows)


def write_profile(
    rows: Sequence[ProfileRow],
    folder: Path,
    *,
    command: str = "",
    environment: Mapping[str, Any] | None = None,
    published: Published | None = None,
    results: Sequence[Mapping[str, Any]] = (),
) -> list[Path]:
    """``compute.md``, ``compute.json``; with several lengths ``compute-scaling.png``; with ``results`` (JSON of schema 1)
    ``compute-pareto.png``. Returns what was written.

    Raises:
        OutputError: the folder cannot be written. UsageError: no task was finished by every profiled model with results.
    """
    from findna_bench.profiling.plots import best_control, pareto_points, plot_pareto, plot_scaling
    from findna_bench.registry import get_registry

    images: list[Path] = []
    if len({row.length for row in rows}) > 1:
        images.append(folder / "compute-scaling.png")
        plot_scaling(rows, images[0])
    if results:
        images.append(folder / "compute-pareto.png")
        longest = [row for row in rows if row.length == max(row.length for row in rows)]
        controls = {card.name for card in get_registry().cards("models") if card.control}
        plot_pareto(pareto_points(results, longest), images[-1], control=best_control(results, longest, controls))
    page, data = folder / "compute.md", folder / "compute.json"
    shown = [path.name for path in images]
    write_atomic(page, render_page(rows, command=command, environment=environment, published=published, images=shown))
    write_json(data, to_json(rows, command=command, environment=environment, published=published))
    return [page, data, *images]
