"""Tables of costs cell by cell, figures line by line, and how often a step is timed."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from findna_bench.errors import UsageError
from findna_bench.profiling import plots, timing
from findna_bench.profiling.cost_tables import CONVENTIONS, _figure, read_profile, render_page, tables, to_json
from findna_bench.profiling.plots import Point, pareto_front, pareto_points, plot_pareto, plot_scaling
from findna_bench.profiling.profile_rows import Formulation, ProfileRow, Spread, spread_of
from findna_bench.profiling.timing import Start, Steps, autocast, measure_steps

ROW = ProfileRow(
    model="first", task="s/t", mode="train", formulation="published", length=1000, batch_size=2, tokens=500,
    step_ms=Spread(100.0, 90.0, 130.0, 3), processor_ms=Spread(350.5, 300.0, 400.0, 3), peak_bytes=3 * 2**29, flops=10**10,
    ceiling_flops=2e11, n_parameters=12_345_678, n_parameters_training=12_400_000, checklist={"precision": "float32"},
    data="random sequence", device_name="test", threads=4,
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "scale", "shown"),
    [
        (None, 1, "-"),
        (0, 1, "0"),
        (1234567.0, 1, "1,234,567"),
        (100, 1, "100"),
        (99.94, 1, "99.9"),
        (10, 1, "10.0"),
        (9.994, 1, "9.99"),
        (1, 1, "1.00"),
        (0.9994, 1, "0.999"),
        (0.01234, 1, "0.012"),
        (-250, 1, "-250"),
        (-12.34, 1, "-12.3"),
        (1500, 1e3, "1.50"),
    ],
)
def test_figures_have_three_digits(value: float | None, scale: float, shown: str) -> None:
    assert _figure(value, scale) == shown


def test_costs_of_a_row() -> None:
    costs, factors, checklist = tables([ROW])
    assert costs.title == "train on s/t, test"
    assert dict(zip(costs.header, costs.rows[0], strict=True)) == {
        "model": "first",
        "formulation": "published",
        "bases": "1000",
        "tokens": "500",
        "batch": "2",
        "ms per step": "100 (90.0-130, n=3)",
        "processor ms": "350",
        "us per base": "50.0",
        "bases/s": "20,000",
        "peak GiB": "1.50",
    }
    assert costs.notes == ("data: random sequence", "threads: 4", *CONVENTIONS)
    assert factors.title == "operations, and factors of first"
    assert dict(zip(factors.header, factors.rows[0], strict=True)) == {
        "model": "first",
        "formulation": "published",
        "bases": "1000",
        "GFLOP per step": "10.0",
        "GFLOP/s": "100",
        "of ceiling": "50 %",
        "parameters": "12.35M",
        "speed-up": "1.00",
        "time x": "1.00",
        "memory x": "1.00",
        "FLOPs x": "1.00",
    }
    speed_up = "speed-up: over the model's own row as published; time x, memory x, FLOPs x: of the first model, same formulation"
    assert factors.notes == (speed_up,)
    paper = "paper: factors as printed there; its batch size, precision and attention kernels are not stated"
    assert tables([ROW], {"other": {}})[1].notes == (speed_up, paper)
    assert checklist.title == "checklist, the same for every model"
    assert (checklist.header, checklist.rows) == (
        ("model", "formulation", "precision"),
        (("first", "published", "float32"),),
    )


def cell(row: ProfileRow, column: str, rows: list[ProfileRow] | None = None, table: int = 0) -> str:
    rows = rows or [row]
    found = tables(rows)[table]
    return found.rows[rows.index(row)][found.header.index(column)]


@pytest.mark.parametrize(
    ("changes", "table", "column", "shown"),
    [
        ({"tokens": None}, 0, "tokens", "-"),
        ({"step_ms": Spread(7.0, 7.0, 7.0, 1)}, 0, "ms per step", "7.00 (1 process)"),
        ({"step_ms": Spread(7.0, 6.0, 8.0, 2)}, 0, "ms per step", "7.00 (6.00-8.00, n=2)"),
        (
            {"step_ms": None, "status": "killed", "reason": "by the system"},
            0,
            "ms per step",
            "killed: by the system",
        ),
        ({"step_ms": None}, 0, "us per base", "-"),
        ({"step_ms": None}, 0, "bases/s", "-"),
        ({"step_ms": None}, 1, "GFLOP/s", "-"),
        ({"step_ms": None}, 1, "speed-up", "-"),
        ({"processor_ms": None}, 0, "processor ms", "-"),
        ({"reserved_bytes": 2 * 2**30}, 0, "peak GiB", "1.50 (2.00)"),
        ({"peak_bytes": None}, 0, "peak GiB", "-"),
        ({"energy_j": 12.5}, 0, "J per step", "12.5"),
        ({"ceiling_flops": None}, 1, "of ceiling", "-"),
        ({"ceiling_flops": 0.0}, 1, "of ceiling", "-"),
        ({"flops": None}, 1, "GFLOP per step", "-"),
        ({"n_parameters": None}, 1, "parameters", "-"),
        ({"n_parameters": 100_000_000, "n_parameters_training": 100_999_999}, 1, "parameters", "100.00M"),
        (
            {"n_parameters": 100_000_000, "n_parameters_training": 101_000_001},
            1,
            "parameters",
            "100.00M (101.00M in training)",
        ),
        ({"n_parameters_training": None}, 1, "parameters", "12.35M"),
    ],
)
def test_what_is_not_measured_is_a_dash_or_its_reason(changes: Any, table: int, column: str, shown: str) -> None:
    assert cell(replace(ROW, **changes), column, table=table) == shown


def test_a_models_own_first_row_is_what_its_other_ways_are_faster_than() -> None:
    best = replace(ROW, formulation="best", step_ms=spread_of([40.0]))
    longer = replace(ROW, length=2000, step_ms=spread_of([300.0]))
    other = replace(ROW, model="second", step_ms=spread_of([250.0]))
    rows = [ROW, best, longer, other, replace(ROW, mode="inference", step_ms=spread_of([10.0]))]
    assert [cell(row, "speed-up", rows, 1) for row in rows] == ["1.00", "2.50", "1.00", "1.00", "1.00"]
    assert [cell(row, "time x", rows, 1) for row in rows] == ["1.00", "1.00", "1.00", "2.50", "1.00"]


def test_notes_are_for_all_or_name_their_models() -> None:
    rows = [
        replace(ROW, notes=("for all", "own")),
        replace(ROW, model="second", notes=("for all",), threads=2),
        replace(ROW, model="third", notes=("for all", "own"), threads=8, device="cuda", data="other"),
    ]
    assert tables(rows)[0].notes == (
        "data: random sequence",
        "data: other",
        "for all",
        "first, third: own",
        "threads: 2, 4",
        *CONVENTIONS,
    )


def test_the_page_shows_tables_notes_and_pictures_in_order() -> None:
    page = render_page([ROW], command="profile x", images=["a/compute-scaling.png"])
    lines = page.splitlines()
    assert lines[:3] == ["# What it costs", "", "train on s/t, test. Generated by `profile x`."]
    headings = [line for line in lines if line.startswith("#")]
    assert headings == [
        "# What it costs",
        "## Operations, and factors of first",
        "## Checklist, the same for every model",
        "## Notes",
    ]
    assert lines[-1] == "![compute scaling](a/compute-scaling.png)"
    assert "* data: random sequence" in lines
    assert render_page([ROW]).splitlines()[2] == "train on s/t, test."


def test_a_profile_as_json() -> None:
    found = to_json([ROW, replace(ROW, model="second", flops=None)], command="c", published={"first": {"time": "1"}})
    assert (found["profile_schema"], found["command"], found["environment"]) == (1, "c", {})
    first, second = found["rows"]
    assert (first["published_ratios"], second["published_ratios"]) == ({"time": "1"}, None)
    assert second["ratios"] == {"time": 1.0, "memory": 1.0, "flops": None}
    assert first["share_of_ceiling"] == 0.5
    assert first["ns_per_base"] == 50_000.0


def test_costs_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "compute.json"
    with pytest.raises(UsageError) as refused:
        read_profile(path)
    assert str(refused.value) == f"cannot read costs {path}: No such file or directory"
    for text in ("{", "[]", json.dumps({"rows": [{"model": "x"}]})):
        path.write_text(text)
        with pytest.raises(UsageError) as refused:
            read_profile(path)
        assert str(refused.value) == f"{path} is not a compute.json; `findna-bench profile -o FOLDER` writes one"


# ---------------------------------------------------------------------------------------------------------------- figures


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Figures as they are about to be saved."""
    kept: list[Any] = []
    save = plots._save

    def keep(figure: Any, path: Path) -> None:
        kept.append(figure)
        save(figure, path)

    monkeypatch.setattr(plots, "_save", keep)
    return kept


def lines(panel: Any) -> list[tuple[str, list[float], list[float], str, str]]:
    return [
        (
            line.get_label(),
            [*map(float, line.get_xdata())],
            [*map(float, line.get_ydata())],
            line.get_linestyle(),
            line.get_color(),
        )
        for line in panel.get_lines()
    ]


def test_time_and_memory_over_length_are_lines_with_their_exponents(drawn: list[Any], tmp_path: Path) -> None:
    def at(length: int, ms: float, gib: float, **changes: Any) -> ProfileRow:
        return replace(ROW, length=length, step_ms=spread_of([ms]), peak_bytes=int(gib * 2**30), **changes)

    rows = [
        at(2000, 40.0, 2.0),
        at(1000, 10.0, 1.0),
        at(1000, 5.0, 1.0, formulation="best"),
        at(1000, 8.0, 4.0, model="second"),
        at(2000, 16.0, 4.0, model="second"),
        replace(ROW, model="third", step_ms=None, peak_bytes=None),
        replace(at(4000, 1.0, 1.0, model="third"), peak_bytes=0),
    ]
    plot_scaling(rows, tmp_path / "s.png")
    time, memory = drawn[0].axes
    blue, red = "#0072b2", "#d55e00"
    assert lines(time) == [
        ("first, published: L^2.00", [1000, 2000], [10, 40], "--", blue),
        ("first, best", [1000], [5], "-", blue),
        ("second, published: L^1.00", [1000, 2000], [8, 16], "--", red),
    ]
    assert lines(memory) == [
        ("first, published: L^1.00", [1000, 2000], [1, 2], "--", blue),
        ("first, best", [1000], [1], "-", blue),
        ("second, published: L^0.00", [1000, 2000], [4, 4], "--", red),
    ]
    assert [panel.get_ylabel() for panel in (time, memory)] == ["ms per step", "peak memory (GiB)"]
    assert {panel.get_xlabel() for panel in (time, memory)} == {"bases per sequence"}
    assert {(panel.get_xscale(), panel.get_yscale()) for panel in (time, memory)} == {("log", "log")}
    assert all(panel.get_legend() is not None for panel in (time, memory))


def test_scores_over_costs_have_a_front_and_a_control(drawn: list[Any], tmp_path: Path) -> None:
    points = [
        Point("cheap", 0.5, 10.0, 2, metric="accuracy"),
        Point("dear", 0.75, 40.0, 2, ("untrained",), "accuracy"),
        Point("poor", 0.25, 20.0, 2, ("limit 5",), "accuracy"),
    ]
    plot_pareto(points, tmp_path / "p.png", control=("kmer", 0.625))
    (panel,) = drawn[0].axes
    dots = [line for line in panel.get_lines() if line.get_marker() == "o"]
    assert [(float(d.get_xdata()[0]), float(d.get_ydata()[0])) for d in dots] == [(10, 50), (40, 75), (20, 25)]
    assert [d.get_color() for d in dots] == ["#0072b2", "#0072b2", "#777777"]
    assert [d.get_markerfacecolor() for d in dots] == ["#0072b2", "white", "white"]
    others = [line for line in panel.get_lines() if line.get_marker() != "o"]
    assert [[*map(float, line.get_ydata())] for line in others] == [[62.5, 62.5], [50, 75, 75]]
    assert [*map(float, others[1].get_xdata())] == [10, 40, 120]
    assert (others[0].get_linestyle(), others[1].get_drawstyle()) == ("--", "steps-post")
    assert [text.get_text() for text in panel.texts] == ["cheap", "dear", "poor", "best control on validation: kmer"]
    assert panel.get_xlim() == pytest.approx((10 / 1.5, 120))
    assert panel.get_xscale() == "log"
    assert panel.get_xlabel() == "time per base (ns)"
    assert panel.get_ylabel().startswith("mean accuracy")
    assert panel.get_ylabel().endswith(", over 2 tasks")
    assert panel.get_title() == "hollow: flagged limit 5, untrained"
    plot_pareto(points[:1], tmp_path / "p.png", cost="peak_bytes", score="mine")
    (panel,) = drawn[1].axes
    assert (panel.get_xlabel(), panel.get_ylabel(), panel.get_title()) == (
        "peak memory (bytes)",
        "mine, over 2 tasks",
        "",
    )


def test_points_that_nothing_beats_whichever_way_a_metric_counts() -> None:
    def front(metric: str, *scored: tuple[str, float, float]) -> list[str]:
        return [p.model for p in pareto_front([Point(m, s, c, 1, metric=metric) for m, s, c in scored])]

    rows = (("a", 0.5, 1.0), ("b", 0.5, 1.0), ("c", 0.5, 2.0), ("d", 0.6, 3.0), ("e", 0.4, 0.5))
    assert front("accuracy", *rows) == ["e", "a", "b", "d"]
    assert front("", *rows) == ["e", "a", "b", "d"]
    assert front("nobody registers it", *rows) == ["e", "a", "b", "d"]
    assert front("rmse", *rows) == ["e"]


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ("ns_per_base", 50_000.0),
        ("flops_per_base", 10**10 / 2000),
        ("peak_bytes", 3 * 2**29),
        ("n_parameters", 12_345_678),
    ],
)
def test_costs_of_points(cost: str, expected: float) -> None:
    result = {
        "request_id": "r",
        "config_id": "c",
        "status": "success",
        "limit": None,
        "flags": [],
        "model": {"name": "first"},
        "task": {"suite": "s", "name": "t", "split": None},
        "protocol": {"name": "probe"},
        "metrics": {"main": {"name": "accuracy", "value": 0.5}},
    }
    (point,) = pareto_points([result], [ROW], cost=cost, formulation="published")
    assert (point.cost, point.score, point.shown, point.worth) == (expected, 0.5, 50.0, 0.5)
    with pytest.raises(UsageError) as refused:
        pareto_points([result], [ROW], cost="price")
    assert str(refused.value) == "cost 'price': choose one of ns_per_base, flops_per_base, peak_bytes, n_parameters"
    with pytest.raises(
        UsageError, match=r"^no task was finished by every profiled model, so scores cannot be set against"
    ):
        pareto_points([result], [ROW], formulation="best")


# ------------------------------------------------------------------------------------------------------------------ steps


class Clock:
    """Time passes only within steps."""

    def __init__(self, seconds: list[float]) -> None:
        self.now, self.seconds, self.steps = 100.0, seconds, 0

    def step(self) -> None:
        self.now += self.seconds[min(self.steps, len(self.seconds) - 1)]
        self.steps += 1


@pytest.mark.parametrize(
    ("steps", "seconds", "counted", "run", "warm"),
    [
        (Steps(), [1.0], 5, 6, True),
        (Steps(warm_up=0), [1.0], 5, 5, True),
        (Steps(warm_up=3, seconds=0.0), [1.0], 1, 4, True),
        (Steps(least=4, seconds=0.0), [1.0], 4, 5, True),
        (Steps(most=3), [1.0], 3, 4, True),
        (Steps(), [0.001], 20, 21, True),
        (Steps(), [60.5], 1, 1, False),
        (Steps(), [60.0, 6.0], 1, 2, True),
        (Steps(warm_up=2, patience=2.0), [1.0, 3.0], 1, 2, False),
    ],
)
def test_steps_are_timed_until_time_or_patience_is_over(
    steps: Steps, seconds: list[float], counted: int, run: int, warm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(seconds)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(timing.time, "process_time", lambda: 2 * clock.now)
    monkeypatch.setattr(timing, "ceiling", lambda device, precision: (7.0, 5.0))
    monkeypatch.setattr(timing, "device_name", lambda device: "a processor")
    plain = Formulation("published", plain=True, attention="math", precision="float32", cuda_graphs=True)
    found = measure_steps(
        clock.step, device="cpu", formulation=plain, steps=steps, start=Start(123, 0.5), training=True
    )
    assert (len(found["times_ms"]), clock.steps, found["warm"]) == (counted, run, warm)
    expected = [1e3 * seconds[min(step, len(seconds) - 1)] for step in range(run - counted, run)]
    assert found["times_ms"] == pytest.approx(expected)
    assert found["processor_ms"] == pytest.approx([2 * one for one in expected])
    assert (found["start_bytes"], found["load"], found["energy_j"]) == (123, 0.5, None)
    assert (found["ceiling_flops"], found["device_name"]) == (7.0, "a processor")
    assert (found["reserved_bytes"], found["memory_kind"]) == (None, "resident set of the process")
    assert found["peak_bytes"] > 2**20
    assert found["checklist"]["CUDA graphs"] == "off"


@pytest.mark.parametrize(
    ("changes", "training", "expected"),
    [
        ({}, True, ("as published", "written out", "float32", "AdamW", "default")),
        ({}, False, ("as published", "written out", "float32", "none", "default")),
        (
            {"plain": False, "attention": "fused", "precision": "bfloat16", "fused_optimiser": True, "allocator": True},
            True,
            ("fastest of its own", "fused kernels", "bfloat16 autocast", "fused AdamW", "keeps large blocks"),
        ),
        (
            {"precision": "float16", "fused_optimiser": True},
            False,
            ("as published", "written out", "float16", "none", "default"),
        ),
    ],
)
def test_a_checklist_says_what_is_switched_on(changes: Any, training: bool, expected: tuple[str, ...]) -> None:
    made: Any = replace(Formulation("x", plain=True, attention="math", precision="float32"), **changes)
    assert made.checklist(training=training) == dict(
        zip(
            ("computation", "attention", "precision", "compile", "CUDA graphs", "optimiser", "allocator"),
            (*expected[:3], "off", "off", *expected[3:]),
            strict=True,
        )
    )
    assert Formulation("x", True, "math", "float32") == Formulation(
        "x", True, "math", "float32", compile=False, cuda_graphs=False, fused_optimiser=False, allocator=False
    )


def test_products_are_in_half_precision_where_weights_are_not() -> None:
    network = nn.Linear(2, 2)
    for precision, kept, expected in (
        ("float32", torch.float32, torch.float32),
        ("bfloat16", torch.float32, torch.bfloat16),
        ("bfloat16", torch.bfloat16, torch.bfloat16),
    ):
        formulation = Formulation("x", True, "math", precision)  # type: ignore[arg-type]
        network.to(kept)
        context = autocast(formulation, "cpu", network)
        assert isinstance(context, contextlib.nullcontext) == (kept is torch.bfloat16 or precision == "float32")
        with context:
            assert network(torch.zeros(1, 2, dtype=kept)).dtype is expected


def test_spread_is_median_lowest_and_highest() -> None:
    assert spread_of([5.0, 1.0, 2.0, 3.0]) == Spread(2.5, 1.0, 5.0, 4)
